package testbed

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
)

// Environment variables that choose the DynamoDB engine of a test run.
const (
	// endpointVariable has the address of another engine. Without it a test process
	// starts dynoxide.
	endpointVariable = "AWS_ENDPOINT_URL_DYNAMODB"
	// tornVariable set to 1 puts a Proxy with torn reads before the engine.
	tornVariable = "HUB_TEST_TORN_READS"
)

// another returns the address of the engine that the environment names; "" for none.
func another() string { return strings.TrimSuffix(os.Getenv(endpointVariable), "/") }

var dynamoEndpoint = sync.OnceValues(func() (string, error) {
	endpoint, err := another(), error(nil)
	if endpoint == "" {
		endpoint, err = startEngine()
	}
	if err != nil || os.Getenv(tornVariable) != "1" {
		return endpoint, err
	}
	return (&Proxy{Engine: endpoint, Torn: true}).Listen()
})

// DynamoDB returns a client of the engine that the tests of this process share. It is
// started on first use and stopped with the process, but for one that the environment
// names.
func DynamoDB(t testing.TB) *dynamodb.Client {
	t.Helper()
	endpoint, err := dynamoEndpoint()
	if err != nil {
		t.Fatal(err)
	}
	return client(endpoint)
}

func client(endpoint string) *dynamodb.Client {
	return dynamodb.NewFromConfig(Config(), func(o *dynamodb.Options) { o.BaseEndpoint = &endpoint })
}

// startEngine starts dynoxide in memory on a free port.
func startEngine() (endpoint string, err error) {
	found, err := filepath.Glob(filepath.Join(Root(), "infra", "local", "node_modules", "@dynoxide", "*", "dynoxide*"))
	if err != nil || len(found) == 0 {
		return "", fmt.Errorf("testbed: the DynamoDB engine is not installed; run: make setup")
	}
	port, err := freePort()
	if err != nil {
		return "", err
	}
	endpoint = "http://127.0.0.1:" + port
	return endpoint, start(endpoint, found[0], "serve", "--port", port)
}

// tables names the tables of this process. Other processes use the same engine.
var tables struct {
	sync.Mutex
	made int
}

var processName = strings.ToLower(rand.Text()[:8])

// tableName returns a name that no other table has.
func tableName() string {
	tables.Lock()
	defer tables.Unlock()
	tables.made++
	return "Hub-" + processName + "-" + strconv.Itoa(tables.made)
}

// Table creates a table as template.yaml describes it and returns its name. The table has
// no stream, since the engine's writes become slower with each one to a stream.
func Table(t testing.TB) (*dynamodb.Client, string) {
	t.Helper()
	db := DynamoDB(t)
	input, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	name := tableName()
	input.StreamSpecification, input.TableName = nil, &name
	if _, err := db.CreateTable(t.Context(), input); err != nil {
		t.Fatal(err)
	}
	if another() == "" {
		return db, name // dynoxide creates it at once and ends with the process
	}
	t.Cleanup(func() {
		if err := deleteTable(db, name); err != nil {
			t.Error(err)
		}
	})
	active := dynamodb.NewTableExistsWaiter(db, func(o *dynamodb.TableExistsWaiterOptions) {
		o.MinDelay, o.MaxDelay = 20*time.Millisecond, time.Second
	})
	if err := active.Wait(t.Context(), &dynamodb.DescribeTableInput{TableName: &name}, time.Minute); err != nil {
		t.Fatal(err)
	}
	return db, name
}

func deleteTable(db *dynamodb.Client, name string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_, err := db.DeleteTable(ctx, &dynamodb.DeleteTableInput{TableName: aws.String(name)})
	return err
}

// A StackEngine is the engine of one local stack, which finds a table of its own there by
// the name that the template gives. A nil one stands for the engine that the stack starts
// itself.
type StackEngine struct {
	proxy    *Proxy
	endpoint string
}

// NewStackEngine returns an engine for one stack, as the environment chooses it.
func NewStackEngine() (*StackEngine, error) {
	torn := os.Getenv(tornVariable) == "1"
	if another() == "" && !torn {
		return nil, nil
	}
	return newStackEngine(torn)
}

// NewTornEngine returns an engine with torn reads for one stack.
func NewTornEngine() (*StackEngine, error) { return newStackEngine(true) }

func newStackEngine(torn bool) (*StackEngine, error) {
	p := &Proxy{Engine: another(), Torn: torn}
	if p.Engine == "" {
		var err error
		if p.Engine, err = startEngine(); err != nil {
			return nil, err
		}
	} else {
		p.Table, p.TableThere = templateTable, tableName()
	}
	endpoint, err := p.Listen()
	return &StackEngine{p, endpoint}, err
}

// templateTable is the table's logical id in template.yaml, which is its name in a local stack.
const templateTable = "HubTable"

// Environment returns the environment of the stack's runner.
func (e *StackEngine) Environment() []string {
	if e == nil {
		return os.Environ()
	}
	return append(os.Environ(), endpointVariable+"="+e.endpoint,
		"AWS_REGION="+Config().Region, "AWS_ACCESS_KEY_ID=local", "AWS_SECRET_ACCESS_KEY=local", "AWS_SESSION_TOKEN=")
}

// Close deletes the stack's table from an engine that other tests use too.
func (e *StackEngine) Close() error {
	if e == nil {
		return nil
	}
	var err error
	if e.proxy.TableThere != "" {
		err = deleteTable(client(e.endpoint), e.proxy.Table)
	}
	return errors.Join(err, e.proxy.Close())
}
