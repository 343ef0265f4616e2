package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// A dynamo calls DynamoDB and its streams in their own JSON: a template's table
// is CreateTable's input as it is, and a stream's record is a Lambda record as
// it is, which the SDK's types are not.
type dynamo struct {
	endpoint    string // of DynamoDB
	streams     string // of DynamoDB Streams
	region      string
	credentials aws.Credentials
	client      *http.Client
}

// An awsError is an error that the service answered with.
type awsError struct {
	Type    string `json:"__type"`
	Message string `json:"message"`
}

func (e *awsError) Error() string { return e.Type + ": " + e.Message }

func (e *awsError) is(name string) bool { return strings.HasSuffix(e.Type, "#"+name) || e.Type == name }

// call makes one call, such as DynamoDB_20120810.DescribeTable.
func (d *dynamo) call(ctx context.Context, target string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	endpoint := d.endpoint
	if strings.HasPrefix(target, "DynamoDBStreams_") {
		endpoint = d.streams
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.0")
	req.Header.Set("X-Amz-Target", target)
	sum := sha256.Sum256(body)
	if err := v4.NewSigner().SignHTTP(ctx, d.credentials, req, hex.EncodeToString(sum[:]), "dynamodb", d.region, time.Now()); err != nil {
		return err
	}
	res, err := d.client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		refused := &awsError{}
		if json.Unmarshal(answer, refused) != nil || refused.Type == "" {
			return fmt.Errorf("%s: %s: %s", target, res.Status, answer)
		}
		return refused
	}
	return json.Unmarshal(answer, out)
}

type tableDescription struct {
	TableStatus            string
	LatestStreamArn        string
	KeySchema              []any
	GlobalSecondaryIndexes []struct {
		IndexName  string
		KeySchema  []any
		Projection map[string]any
	}
}

// ensureTable makes the table where it is missing and returns its stream's ARN.
// A table that differs from the template in its keys or indexes is an error: it
// is left from another template. Point-in-time recovery and TTL are left out on
// purpose: the engine has no recovery, and nothing may rely on when TTL collects.
func (d *dynamo) ensureTable(ctx context.Context, t table) (string, error) {
	describe := func() (*tableDescription, error) {
		var out struct{ Table *tableDescription }
		err := d.call(ctx, "DynamoDB_20120810.DescribeTable", map[string]any{"TableName": t.name}, &out)
		return out.Table, err
	}
	got, err := describe()
	if refused, ok := errors.AsType[*awsError](err); ok && refused.is("ResourceNotFoundException") {
		var made any
		if err := d.call(ctx, "DynamoDB_20120810.CreateTable", t.create, &made); err != nil {
			return "", fmt.Errorf("table %s: %w", t.name, err)
		}
		got, err = describe()
	}
	for err == nil && got.TableStatus != "ACTIVE" {
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
		got, err = describe()
	}
	if err != nil {
		return "", fmt.Errorf("table %s: %w", t.name, err)
	}
	if !sameShape(t.create, got) || t.streamed != (got.LatestStreamArn != "") {
		return "", fmt.Errorf("table %s, kept from before, has other keys, indexes or stream than the template: start with `make run FRESH=1` (or -fresh), which deletes the local data", t.name)
	}
	return got.LatestStreamArn, nil
}

func sameShape(create map[string]any, got *tableDescription) bool {
	var want tableDescription
	b, err := json.Marshal(create)
	if err != nil || json.Unmarshal(b, &want) != nil || len(want.GlobalSecondaryIndexes) != len(got.GlobalSecondaryIndexes) {
		return false
	}
	shape := func(d *tableDescription) string {
		lines := []string{fmt.Sprint(d.KeySchema)}
		for _, index := range d.GlobalSecondaryIndexes {
			lines = append(lines, fmt.Sprint(index.IndexName, index.KeySchema, index.Projection["ProjectionType"]))
		}
		slices.Sort(lines[1:])
		return strings.Join(lines, "\n")
	}
	return shape(&want) == shape(got)
}
