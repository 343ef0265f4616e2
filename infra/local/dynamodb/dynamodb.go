// Package dynamodb calls DynamoDB and DynamoDB Streams in their own JSON: a template's
// table is the input of CreateTable as it is, and a stream's record is a Lambda
// record as it is. The SDK's types are neither.
package dynamodb

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"agencyhub/infra/local/template"
)

// A Client calls one DynamoDB.
type Client struct {
	Endpoint    string
	Region      string
	Credentials aws.Credentials

	streams string // the endpoint of DynamoDB Streams
	http    *http.Client
	signer  *v4.Signer
}

// New returns a client for an engine on this machine, which takes any credentials.
func New(endpoint string) *Client {
	return &Client{
		Endpoint: endpoint, streams: endpoint, Region: template.Region, http: &http.Client{Timeout: 30 * time.Second}, signer: v4.NewSigner(),
		Credentials: aws.Credentials{AccessKeyID: "local", SecretAccessKey: "local"},
	}
}

// FromEnvironment returns a client for the DynamoDB at endpoint. The environment's
// usual variables give the region, the credentials and the endpoint of the streams.
func FromEnvironment(endpoint string) *Client {
	d := New(endpoint)
	d.streams = cmp.Or(os.Getenv("AWS_ENDPOINT_URL_DYNAMODB_STREAMS"), d.streams)
	d.Region = cmp.Or(os.Getenv("AWS_REGION"), d.Region)
	if id := os.Getenv("AWS_ACCESS_KEY_ID"); id != "" {
		d.Credentials = aws.Credentials{AccessKeyID: id, SecretAccessKey: os.Getenv("AWS_SECRET_ACCESS_KEY"), SessionToken: os.Getenv("AWS_SESSION_TOKEN")}
	}
	return d
}

// An Error is an error that the service returned.
type Error struct {
	Type    string `json:"__type"`
	Message string `json:"message"`
}

func (e *Error) Error() string { return e.Type + ": " + e.Message }

// Is reports whether err is the service's error of this name.
func Is(err error, name string) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && (strings.HasSuffix(e.Type, "#"+name) || e.Type == name)
}

// Call makes one call, such as DynamoDB_20120810.DescribeTable.
func (d *Client) Call(ctx context.Context, target string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	endpoint := d.Endpoint
	if strings.HasPrefix(target, "DynamoDBStreams_") {
		endpoint = d.streams
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.0")
	req.Header.Set("X-Amz-Target", target)
	if err := d.Sign(ctx, req, body); err != nil {
		return err
	}
	res, err := d.http.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		refused := &Error{}
		if json.Unmarshal(answer, refused) != nil || refused.Type == "" {
			return fmt.Errorf("%s: %s: %s", target, res.Status, answer)
		}
		return refused
	}
	return json.Unmarshal(answer, out)
}

// Sign signs a request with this body by the client's credentials.
func (d *Client) Sign(ctx context.Context, r *http.Request, body []byte) error {
	sum := sha256.Sum256(body)
	return d.signer.SignHTTP(ctx, d.Credentials, r, hex.EncodeToString(sum[:]), "dynamodb", d.Region, time.Now())
}

type keyAttribute struct{ AttributeName, KeyType string }

type tableDescription struct {
	TableStatus            string
	LatestStreamArn        string
	KeySchema              []keyAttribute
	GlobalSecondaryIndexes []struct {
		IndexName  string
		KeySchema  []keyAttribute
		Projection map[string]any
	}
}

// EnsureTable creates the table where it is missing and returns the ARN of its stream.
// A table whose keys or indexes differ from the template's is an error: another
// template made it. It sets neither point-in-time recovery nor TTL: the engine has no
// recovery, and no behaviour may depend on when TTL deletes.
func (d *Client) EnsureTable(ctx context.Context, t template.Table) (string, error) {
	describe := func() (*tableDescription, error) {
		var out struct{ Table *tableDescription }
		err := d.Call(ctx, "DynamoDB_20120810.DescribeTable", map[string]any{"TableName": t.Name}, &out)
		return out.Table, err
	}
	got, err := describe()
	if Is(err, "ResourceNotFoundException") {
		if err := d.Call(ctx, "DynamoDB_20120810.CreateTable", t.Create, new(any)); err != nil {
			return "", fmt.Errorf("table %s: %w", t.Name, err)
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
		return "", fmt.Errorf("table %s: %w", t.Name, err)
	}
	if !sameShape(t.Create, got) || t.Streamed != (got.LatestStreamArn != "") {
		return "", fmt.Errorf("table %s, kept from before, has other keys, indexes or stream than the template: %s", t.Name, startFresh)
	}
	return got.LatestStreamArn, nil
}

const startFresh = "start with `make run FRESH=1` (or -fresh), which deletes the local data"

// EnsureForm writes the form of what is stored, a number, into an item of the table if
// the table is empty. A table with another form, or with items and none, is an error:
// this version of the product would take what it stores for something else.
func (d *Client) EnsureForm(ctx context.Context, t template.Table, form int) error {
	want := map[string]map[string]string{"form": {"N": strconv.Itoa(form)}}
	var shape tableDescription
	b, err := json.Marshal(t.Create)
	if err == nil {
		err = json.Unmarshal(b, &shape)
	}
	key := map[string]map[string]string{}
	for _, attribute := range shape.KeySchema {
		key[attribute.AttributeName] = map[string]string{"S": "FORM"}
	}
	maps.Copy(want, key)
	var got struct{ Item map[string]map[string]string }
	if err == nil {
		err = d.Call(ctx, "DynamoDB_20120810.GetItem", map[string]any{"TableName": t.Name, "Key": key, "ConsistentRead": true}, &got)
	}
	var first struct{ Count int }
	if err == nil && got.Item == nil {
		err = d.Call(ctx, "DynamoDB_20120810.Scan", map[string]any{"TableName": t.Name, "Limit": 1, "ConsistentRead": true}, &first)
	}
	switch {
	case err != nil:
		return fmt.Errorf("table %s: %w", t.Name, err)
	case got.Item == nil && first.Count == 0:
		if err := d.Call(ctx, "DynamoDB_20120810.PutItem", map[string]any{"TableName": t.Name, "Item": want, "ConditionExpression": "attribute_not_exists(form)"}, new(any)); err != nil {
			return fmt.Errorf("table %s: %w", t.Name, err)
		}
	case !maps.EqualFunc(want, got.Item, maps.Equal):
		return fmt.Errorf("table %s, kept from before, was written by another version of the product: %s", t.Name, startFresh)
	}
	return nil
}

// sameShape reports whether keys and indexes are those of CreateTable's input.
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
