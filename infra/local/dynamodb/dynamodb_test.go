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

// The form of an empty table is what is asked for. Another is refused later, as is none.
func TestEnsureFormRefusesAnother(t *testing.T) {
	db, tbl, _ := localtest.Engine(t)
	for _, form := range []int{2, 2} {
		localtest.Check(t, db.EnsureForm(t.Context(), tbl, form))
	}
	localtest.Put(t, db, tbl.Name, map[string]string{"pk": "a", "sk": "EVENT#1"})
	localtest.Check(t, db.EnsureForm(t.Context(), tbl, 2))
	refused := func(form int) {
		t.Helper()
		if err := db.EnsureForm(t.Context(), tbl, form); err == nil || !strings.Contains(err.Error(), "another version of the product: start with `make run FRESH=1`") {
			t.Errorf("form %d: %v", form, err)
		}
	}
	refused(1)
	refused(3)
	// A version that knew no form has written it.
	key := map[string]any{"pk": map[string]string{"S": "FORM"}, "sk": map[string]string{"S": "FORM"}}
	localtest.Check(t, db.Call(t.Context(), "DynamoDB_20120810.DeleteItem", map[string]any{"TableName": tbl.Name, "Key": key}, new(any)))
	refused(2)
	if err := dynamodb.New("http://127.0.0.1:1").EnsureForm(t.Context(), tbl, 2); err == nil {
		t.Error("no engine, no error")
	}
}
