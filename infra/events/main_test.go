package main

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"agencyhub/shared/agency"
	"agencyhub/shared/testbed"
)

// Every type of event that the domain can write has its schema, and no other has.
func TestEveryTypeHasItsSchema(t *testing.T) {
	want, err := testbed.EventTypes()
	if err != nil || len(want) < 20 {
		t.Fatal(want, err)
	}
	var described []string
	for _, kind := range slices.Sorted(maps.Keys(types)) {
		described = append(described, string(kind))
	}
	if diff := cmp.Diff(want, described); diff != "" {
		t.Errorf("types (-source +described): %s", diff)
	}
	schemas, err := testbed.ReadSchemas()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, schemas.Types()); diff != "" {
		t.Errorf("types (-source +document): %s; run make schemas", diff)
	}
	content, err := format(document(), "")
	if err != nil {
		t.Fatal(err)
	}
	written, err := os.ReadFile(fileName)
	if err != nil || content+"\n" != string(written) {
		t.Errorf("%s is not what the descriptions say (%v); run make schemas", fileName, err)
	}
	for kind, of := range types {
		if !strings.HasSuffix(of.text, ".") {
			t.Errorf("%s is described by %q", kind, of.text)
		}
	}
}

// A schema that accepts everything checks nothing.
func TestSchemasRefuse(t *testing.T) {
	schemas, err := testbed.ReadSchemas()
	if err != nil {
		t.Fatal(err)
	}
	const a, g, p = "acct_00000000000000000000000001", "acct_00000000000000000000000002", "per_00000000000000000000000003"
	good := `{"version":1,"id":"evt_00000000000000000000000004","type":"connection.revoked","at":"2026-11-23T12:00:00Z",` +
		`"account":"` + a + `","person":null,"agency":"` + g + `","connection":"con_` + a + `_` + g + `","member":"` + g + `","actor":"` + p + `","as":null,"client":null,` +
		`"ownership":"client","payer":"client","request":1,"kind":null,"number":3,"muted":false,"was":{"status":"active"},"now":{"status":"revoked"}}`
	kind := string(agency.ConnectionRevoked)
	if err := schemas.Validate(kind, []byte(good)); err != nil {
		t.Fatal(err)
	}
	for old, instead := range map[string]string{
		`"version":1`:               `"version":2`,
		`"type":"connection.r`:      `"type":"connection.R`,
		`"member":"` + g:            `"member":"` + p,
		`"actor":"` + p + `"`:       `"actor":"ann@agency.test"`,
		`"account":"` + a + `"`:     `"account":null`,
		`"request":1`:               `"request":0`,
		`"number":3`:                `"number":null`,
		`"now":{"status":"revoked"`: `"now":{"role":"owner"`,
		`"muted":false`:             `"muted":false,"email":"ann@agency.test"`,
		`{"status":"active"}`:       `{"status":"active","message":"Hello"}`,
		`"2026-11-23T12:00:00Z"`:    `"yesterday"`,
		`"as":null,`:                ``,
		`"kind":null`:               `"kind":"connection"`,
	} {
		bad := strings.Replace(good, old, instead, 1)
		if bad == good {
			t.Fatalf("%s is not there", old)
		}
		if err := schemas.Validate(kind, []byte(bad)); err == nil {
			t.Errorf("%s in the place of %s passes", instead, old)
		}
	}
	invited := strings.NewReplacer("connection.revoked", "person.invitation_declined", `"member":"`+g, `"member":"`+p,
		`"connection":"con_`+a+`_`+g+`"`, `"connection":null`, `"kind":null`, `"kind":"ownership"`).Replace(good)
	kind = string(agency.InvitationDeclined)
	if err := schemas.Validate(kind, []byte(invited)); err != nil {
		t.Fatal(err)
	}
	for old, instead := range map[string]string{
		`"kind":"ownership"`: `"kind":null`,
		`"request":1`:        `"request":null`,
		`"member":"` + p:     `"member":"` + g,
		`"status":"revoked"`: `"role":"member"`,
	} {
		bad := strings.Replace(invited, old, instead, 1)
		if bad == invited {
			t.Fatalf("%s is not there", old)
		}
		if err := schemas.Validate(kind, []byte(bad)); err == nil {
			t.Errorf("%s in the place of %s passes", instead, old)
		}
	}
}
