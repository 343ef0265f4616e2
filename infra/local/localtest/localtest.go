// Package localtest has what tests of the local stack share.
package localtest

import (
	"context"
	"fmt"
	"io"
	"net/http"
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
	home := Must[string](t)(standins.Home())
	engine := Must[*standins.Program](t)(standins.Engine(home, 0, t.TempDir()))
	spawner := Must[*process.Spawner](t)(process.NewSpawner(process.NewTerminal(io.Discard), t.TempDir()))
	Check(t, engine.Reserve())
	p := Must[*process.Process](t)(engine.Start(t.Context(), spawner))
	t.Cleanup(func() { Stop(p) })
	set := map[string]string{"PublicUrl": "http://localhost:1", "OidcIssuer": "http://localhost:2"}
	table := Must[*template.Stack](t)(template.Read(filepath.Join(home, "testdata", "template.yaml"), set, nil)).Tables[0]
	db := dynamodb.New(fmt.Sprintf("http://127.0.0.1:%d", engine.Port))
	return db, table, Must[string](t)(db.EnsureTable(t.Context(), table))
}

// Must returns a function that takes a call's results. It fails the test on an error.
func Must[T any](t testing.TB) func(T, error) T {
	t.Helper()
	return func(v T, err error) T {
		t.Helper()
		Check(t, err)
		return v
	}
}

// Check fails the test on an error.
func Check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Fetch sends a request with pairs of header names and values. It returns the
// response's status, body and header.
func Fetch(t testing.TB, method, address string, body io.Reader, header ...string) (int, string, http.Header) {
	t.Helper()
	req := Must[*http.Request](t)(http.NewRequestWithContext(t.Context(), method, address, body))
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	Check(t, err)
	defer res.Body.Close()
	return res.StatusCode, string(Must[[]byte](t)(io.ReadAll(res.Body))), res.Header
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
	Check(t, db.Call(t.Context(), "DynamoDB_20120810.PutItem", map[string]any{"TableName": table, "Item": values}, new(any)))
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
