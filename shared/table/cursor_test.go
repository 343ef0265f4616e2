package table

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"agencyhub/shared/agency"
)

// A cursor that was made by hand and leads out of its list is refused before DynamoDB fails on it.
func TestForgedCursorsLeadNowhere(t *testing.T) {
	store := New(nil, "Hub")
	team := query{pk: "pk", partition: accountKey(account1).pk, sk: "sk", from: teamPrefix}
	active := query{index: "ByMember", pk: "memberPk", partition: string(account2), sk: "memberSk", from: "active#"}
	every := query{index: "ByMember", pk: "memberPk", partition: string(account2), sk: "memberSk", from: "a", open: true}
	mine := query{index: "ByMember", pk: "memberPk", partition: string(person1), sk: "memberSk"}
	row := profileKey(agency.AgencyAt(account1, account2))
	for _, tt := range []struct {
		name string
		of   query
		at   any
		good bool
	}{
		{"its own", team, position{PK: row.pk, SK: row.sk}, true},
		{"another partition", team, position{PK: accountKey(account2).pk, SK: row.sk}, false},
		{"another kind of item", team, position{PK: row.pk, SK: eventPrefix}, false},
		{"the account itself", team, position{PK: row.pk, SK: accountSort}, false},
		{"no sort key", team, position{PK: row.pk}, false},
		{"nothing", team, position{}, false},
		{"no object", team, 7, false},
		{"its own of an index", active, position{PK: row.pk, SK: row.sk, Member: "active#acme"}, true},
		{"of another status", active, position{PK: row.pk, SK: row.sk, Member: "pending#acme"}, false},
		{"of an index, without a place in it", active, position{PK: row.pk, SK: row.sk}, false},
		{"of an index, without a key", active, position{Member: "active#acme"}, false},
		{"of an index, half a key", active, position{PK: row.pk, Member: "active#acme"}, false},
		{"its own of an open range", every, position{PK: row.pk, SK: row.sk, Member: "pending#acme"}, true},
		{"before an open range", every, position{PK: row.pk, SK: row.sk, Member: "EVENT#x"}, false},
		{"its own of a whole partition", mine, position{PK: row.pk, SK: row.sk, Member: "acme"}, true},
		{"no place in a whole partition", mine, position{PK: row.pk, SK: row.sk}, false},
	} {
		at, err := json.Marshal(tt.at)
		if err != nil {
			t.Fatal(err)
		}
		nonce := make([]byte, store.seal.NonceSize())
		start, err := store.start(tt.of, base64.RawURLEncoding.EncodeToString(store.seal.Seal(nonce, nonce, at, tt.of.identity())))
		if tt.good != (err == nil) || !tt.good && (agency.CodeOf(err) != agency.Invalid || start != nil) {
			t.Errorf("%s: %v, %v", tt.name, start, err)
		}
	}
}

func FuzzCursor(f *testing.F) {
	store := New(nil, "Hub")
	q := query{pk: "pk", partition: accountKey(account1).pk, sk: "sk", from: teamPrefix}
	good, err := store.cursor(q, profileKey(agency.AgencyAt(account1, account2)).attributes())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add("")
	f.Add("AAAAAAAAAAAAAA")
	f.Fuzz(func(t *testing.T, cursor string) {
		start, err := store.start(q, cursor)
		if err != nil && agency.CodeOf(err) != agency.Invalid {
			t.Errorf("%q: %v", cursor, err)
		}
		if err == nil && start != nil && textOf(start["pk"]) != q.partition {
			t.Errorf("%q leads to %v", cursor, start)
		}
	})
}

// A cursor can be at a row that the reader of the list does not see, such as a muted request or
// another agency's event.
func TestACursorTellsNothing(t *testing.T) {
	store := New(nil, "Hub")
	q := query{pk: "pk", partition: accountKey(account1).pk, sk: "sk", from: teamPrefix}
	cursor, err := store.cursor(q, profileKey(agency.AgencyAt(account1, account2)).attributes())
	if err != nil {
		t.Fatal(err)
	}
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{string(account2), string(account2)[8:16], "TEAM"} {
		if strings.Contains(string(raw), secret) || strings.Contains(cursor, secret) {
			t.Errorf("the cursor shows %q", secret)
		}
	}
	if again, err := store.cursor(q, profileKey(agency.AgencyAt(account1, account2)).attributes()); again != cursor || err != nil {
		t.Errorf("one position has two cursors (%v)", err)
	}
	if _, err := New(nil, "Another").start(q, cursor); agency.CodeOf(err) != agency.Invalid {
		t.Errorf("another table opens it: %v", err)
	}
}
