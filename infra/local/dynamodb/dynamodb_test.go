package dynamodb_test

import (
	"strings"
	"testing"

	"agencyhub/infra/local/dynamodb"
	"agencyhub/infra/local/localtest"
)

func TestEnsureTableRefusesAnother(t *testing.T) {
	db, tbl, arn := localtest.Engine(t)
	if again, err := db.EnsureTable(t.Context(), tbl); err != nil || again != arn {
		t.Errorf("the same again: %q, %v", again, err)
	}
	tbl.Create = map[string]any{"TableName": tbl.Name, "KeySchema": []any{map[string]any{"AttributeName": "pk", "KeyType": "HASH"}}}
	if _, err := db.EnsureTable(t.Context(), tbl); err == nil || !strings.Contains(err.Error(), "FRESH=1") {
		t.Errorf("another shape: %v", err)
	}
	if _, err := dynamodb.New("http://127.0.0.1:1").EnsureTable(t.Context(), tbl); err == nil {
		t.Error("no engine, no error")
	}
}
