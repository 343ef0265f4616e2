package matrix

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"agencyhub/infra/e2e/client"
	"agencyhub/infra/e2e/runner"
	"agencyhub/shared/testbed"
)

// override are limits that no call of the matrix reaches.
const override = `SettingsOverride={"pairMails":100,"resendAfter":"1s","resends":20,"dailyRequests":1000,"openInvitations":10000,` +
	`"dailyByPerson":{"accountsOpened":1000,"accountsCreated":1000,"requests":1000,"invitations":1000},` +
	`"dailyByNewPerson":{"accountsOpened":1000,"accountsCreated":1000,"requests":1000,"invitations":1000}}`

// A stack is the whole product, but that nothing reads the table's stream: what a call
// changes in the table is all that it changes.
type stack struct {
	*client.Stack
	db *dynamodb.Client
}

func startStack(t *testing.T) *stack {
	t.Helper()
	root := testbed.Root()
	folder := t.TempDir()
	program, err := runner.Build(root, folder)
	must(t, err)
	engine, err := testbed.NewStackEngine()
	must(t, err)
	var log runner.Log
	process, err := program.Start(filepath.Join(folder, "stack"), engine.Environment(), &log,
		"-http", "0", "-ses", "0", "-oidc", "0", "-dynamodb", "0", "-schedules=false", "-streams=false", "-roles", "-set", override,
		"-set", "ApiRateLimit=10000", "-set", "ApiBurstLimit=5000", "-set", "AccessRateLimit=10000", "-set", "AccessBurstLimit=5000")
	must(t, err)
	t.Cleanup(func() {
		if err := process.Stop(); err != nil {
			t.Error(err)
		}
		if strings.Contains(log.String(), "AccessDenied") || strings.Contains(log.String(), `"level":"ERROR"`) || t.Failed() {
			t.Errorf("the runner's last lines:\n%s", log.Tail(20))
		}
		must(t, engine.Close())
	})
	s := &stack{Stack: process.Stack}
	s.db = dynamodb.New(dynamodb.Options{
		Region: s.Region, BaseEndpoint: &s.DynamoDB,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "local", SecretAccessKey: "local"}, nil
		}),
	})
	return s
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A reply is an answer of the gateway.
type reply struct {
	*client.Answer
	call string
}

// call makes a call with a token; "" is none.
func (s *stack) call(t *testing.T, token, method, path string, body any) reply {
	t.Helper()
	header := []string{"Content-Type", "application/json"}
	if token != "" {
		header = append(header, "Authorization", "Bearer "+token)
	}
	if method == http.MethodPost && strings.HasSuffix(path, "/accounts") {
		header = append(header, "Idempotency-Key", rand.Text())
	}
	var content []byte
	if body != nil {
		var err error
		content, err = json.Marshal(body)
		must(t, err)
	}
	answer, err := s.Call(t.Context(), method, path, content, header...)
	must(t, err)
	return reply{answer, method + " " + path}
}

// outcome returns how matrix.md writes an answer. success is the status of ✔. Its error says
// that an answer has no form that the matrix knows.
func (r reply) outcome(success string, statuses map[string]string) (string, error) {
	status := fmt.Sprint(r.Status)
	switch {
	case r.Status == http.StatusUnauthorized && string(r.Body) == `{"message":"Unauthorized"}`:
		return "gateway", nil
	case r.Status == http.StatusForbidden && string(r.Body) == `{"message":"Forbidden"}`:
		return "scope", nil
	case status == success:
		return "✔", nil
	case r.Status < http.StatusBadRequest:
		return status, nil
	}
	var p struct {
		Code   string
		Status int
	}
	if err := json.Unmarshal(r.Body, &p); err != nil || p.Code == "" || r.Header.Get("Content-Type") != "application/problem+json" {
		return "", fmt.Errorf("answered %d %s", r.Status, r.Body)
	}
	if statuses[p.Code] != status || p.Status != r.Status {
		return "", fmt.Errorf("answered %d with the code %s, whose status is %s", r.Status, p.Code, statuses[p.Code])
	}
	switch p.Code {
	case "forbidden":
		return "–", nil
	case "not_found":
		return "∅", nil
	}
	return p.Code, nil
}

// bare returns an answer's body without its request's id.
func (r reply) bare() string {
	return string(bytes.ReplaceAll(r.Body, []byte(r.Header.Get("Apigw-Requestid")), nil))
}

// A dump is the whole table by key.
type dump map[string]map[string]types.AttributeValue

func (s *stack) dump(t *testing.T) dump {
	t.Helper()
	items := dump{}
	pages := dynamodb.NewScanPaginator(s.db, &dynamodb.ScanInput{TableName: &s.Table, ConsistentRead: aws.Bool(true)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		must(t, err)
		for _, item := range page.Items {
			items[text(t, map[string]types.AttributeValue{"pk": item["pk"], "sk": item["sk"]})] = item
		}
	}
	return items
}

func text(t *testing.T, item map[string]types.AttributeValue) string {
	t.Helper()
	var plain map[string]any
	must(t, attributevalue.UnmarshalMap(item, &plain))
	b, err := json.Marshal(plain)
	must(t, err)
	return string(b)
}

// changed returns the keys of the items that differ.
func (d dump) changed(t *testing.T, now dump) []string {
	t.Helper()
	var keys []string
	for key, item := range now {
		if was, ok := d[key]; !ok || text(t, was) != text(t, item) {
			keys = append(keys, key)
		}
	}
	for key := range d {
		if _, ok := now[key]; !ok {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// restore makes the table what it was, and returns the keys of what had changed.
func (s *stack) restore(t *testing.T, was dump) []string {
	t.Helper()
	now := s.dump(t)
	keys := was.changed(t, now)
	var writes []types.WriteRequest
	for _, key := range keys {
		if item, ok := was[key]; ok {
			writes = append(writes, types.WriteRequest{PutRequest: &types.PutRequest{Item: item}})
			continue
		}
		item := now[key]
		writes = append(writes, types.WriteRequest{DeleteRequest: &types.DeleteRequest{Key: map[string]types.AttributeValue{"pk": item["pk"], "sk": item["sk"]}}})
	}
	for batch := range slices.Chunk(writes, 25) {
		_, err := s.db.BatchWriteItem(t.Context(), &dynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{s.Table: batch}})
		must(t, err)
	}
	return keys
}
