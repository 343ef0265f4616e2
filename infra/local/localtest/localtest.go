// Package localtest has what tests of the local stack share.
package localtest

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"testing"
	"time"

	"agencyhub/infra/local/dynamodb"
	"agencyhub/infra/local/process"
	"agencyhub/infra/local/standins"
	"agencyhub/infra/local/template"
)

// Engine starts a DynamoDB engine with the table of testdata/template.yaml. It
// returns the ARN of the table's stream too.
func Engine(t *testing.T) (*dynamodb.Client, template.Table, string) {
	t.Helper()
	home, err := standins.Home()
	if err != nil {
		t.Fatal(err)
	}
	engine, err := standins.Engine(home, 0, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	spawner, err := process.NewSpawner(process.NewTerminal(io.Discard), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := engine.Reserve(); err != nil {
		t.Fatal(err)
	}
	p, err := engine.Start(t.Context(), spawner)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { Stop(p) })
	st, err := template.Read(filepath.Join(home, "testdata", "template.yaml"), map[string]string{"PublicUrl": "http://localhost:1", "OidcIssuer": "http://localhost:2"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	db := dynamodb.New(fmt.Sprintf("http://127.0.0.1:%d", engine.Port))
	arn, err := db.EnsureTable(t.Context(), st.Tables[0])
	if err != nil {
		t.Fatal(err)
	}
	return db, st.Tables[0], arn
}

// Stop stops a process and kills it after two seconds.
func Stop(p *process.Process) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	p.Stop(ctx)
}

// Put writes an item of strings into a table.
func Put(t *testing.T, db *dynamodb.Client, table string, item map[string]string) {
	t.Helper()
	values := map[string]any{}
	for k, v := range item {
		values[k] = map[string]string{"S": v}
	}
	var out any
	if err := db.Call(t.Context(), "DynamoDB_20120810.PutItem", map[string]any{"TableName": table, "Item": values}, &out); err != nil {
		t.Fatal(err)
	}
}

// Eventually waits until condition returns true, for 20 seconds at most.
func Eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if condition() {
			return
		}
	}
	t.Fatalf("never: %s", what)
}
