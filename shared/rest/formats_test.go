package rest

import (
	"math/rand/v2"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"

	"agencyhub/shared/agency"
)

// The documented patterns of ids and the law's own check are one rule: both judge ids,
// and what differs from an id by one edit, alike.
func TestPatternsAreTheLaws(t *testing.T) {
	account, person := string(agency.NewAccountID("per_x", "key")), string(agency.NewPersonID("ann@client.test"))
	event := string(agency.NewEventID("01ARZ3NDEKTSV4RRFFQ69G5FAV"))
	connection := string(agency.NewConnectionID(agency.Party(person), agency.AccountID(account)))
	atAccount := string(agency.NewConnectionID(agency.Party(account), agency.AccountID(account)))
	ids := []string{account, person, event, connection, atAccount}
	judges := map[string]func(string) bool{
		"account-id": func(s string) bool { return agency.AccountID(s).IsValid() },
		"person-id":  func(s string) bool { return agency.PersonID(s).IsValid() },
		"member-id":  func(s string) bool { return agency.Party(s).IsValid() },
		"event-id":   func(s string) bool { return agency.EventID(s).IsValid() },
		"connection-id": func(s string) bool {
			_, _, ok := agency.ConnectionID(s).Split()
			return ok
		},
	}
	patterns := map[string]*regexp.Regexp{}
	for name := range judges {
		patterns[name] = regexp.MustCompile(forms[name].pattern)
	}
	random := rand.New(rand.NewPCG(1, 2))
	const characters = "0123456789abcdefghijklmnopqrstuvwxyzAZ_é#\n \x00\xff"
	valid := 0
	for range 20_000 {
		id := ids[random.IntN(len(ids))]
		at := random.IntN(len(id))
		switch other := string(characters[random.IntN(len(characters))]); random.IntN(5) {
		case 0:
			id = id[:at] + other + id[at+1:]
		case 1:
			id = id[:at] + other + id[at:]
		case 2:
			id = id[:at] + id[at+1:]
		case 3:
			id += other
		}
		for name, isValid := range judges {
			want := isValid(id)
			if got := patterns[name].MatchString(id); got != want {
				t.Fatalf("%q as %s: the pattern says %t, the law %t", id, name, got, want)
			}
			if want {
				valid++
			}
		}
	}
	if valid < 5_000 {
		t.Errorf("%d valid ids only", valid)
	}
}

// Each pattern has an example that matches, and words for who gives something else.
func TestFormsExplainThemselves(t *testing.T) {
	for name, f := range forms {
		if f.pattern == "" {
			schema := &huma.Schema{Format: name}
			if f.document(schema); schema.Format == name {
				t.Errorf("%s is no format for a reader of the document", name)
			}
			continue
		}
		if !regexp.MustCompile(f.pattern).MatchString(f.example) || f.description == "" || strings.HasSuffix(f.description, ".") {
			t.Errorf("%s: %q, %q", name, f.example, f.description)
		}
	}
}

type idsInput struct {
	OnAccount
	Body struct {
		Other   string             `json:"other" format:"connection-id"`
		Clients Nullable[[]string] `json:"clients,omitempty" format:"account-id"`
		Email   string             `json:"email,omitempty" format:"address"`
	}
}

// Ids are checked wherever a call has them; what use cases check is left to them.
func TestFormsAreChecked(t *testing.T) {
	schemas := huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer)
	schema := huma.SchemaFromType(schemas, typeOf[idsInput]("Body"))
	complete(schema)
	account := "acct_" + exampleID
	good := map[string]any{"other": "con_" + account + "_" + account, "clients": []any{account}, "email": "anything"}
	for name, change := range map[string]func(map[string]any){
		"":                  func(map[string]any) {},
		"body.other":        func(body map[string]any) { body["other"] = account },
		"body.clients[0]":   func(body map[string]any) { body["clients"] = []any{"acct_x"} },
		"null for the list": func(body map[string]any) { body["clients"] = nil },
	} {
		body := map[string]any{}
		for key, value := range good {
			body[key] = value
		}
		change(body)
		found := validate(schemas, schema, body)
		if want := strings.HasPrefix(name, "body."); want != (found != "") || want && !strings.HasPrefix(found, name+": ") {
			t.Errorf("%q: %q", name, found)
		}
	}
}

// A gateway decodes the path after it has chosen the operation. What is left is not
// taken for another address.
func TestDecodedPaths(t *testing.T) {
	for name, test := range map[string]struct {
		routeKey, target string
		status           int
	}{
		"a question mark in the path":  {"POST /v1/things/{thing}/made", "/v1/things/a", 400},
		"an unknown path":              {"ANY /v1/{proxy+}", "/v1/nothing", 404},
		"without a route":              {"$default", "/v1/nothing", 404},
		"an operation that is here":    {"GET /v1/things", "/v1/things", 200},
		"an encoded slash in the path": {"POST /v1/things/{thing}", "/v1/things/a/b", 400},
	} {
		t.Run(name, func(t *testing.T) {
			e := event(t, "DELETE", test.target, "")
			e.RouteKey = test.routeKey
			if test.status == 200 {
				e.RequestContext.HTTP.Method = "GET"
			}
			if got := invoke(t, e); got.StatusCode != test.status {
				t.Errorf("%d: %s", got.StatusCode, got.Body)
			}
		})
	}
}

// typeOf returns the type of a struct's field.
func typeOf[T any](field string) reflect.Type {
	f, _ := reflect.TypeFor[T]().FieldByName(field)
	return f.Type
}

// validate returns what huma finds wrong with a body, "" for nothing.
func validate(schemas huma.Registry, schema *huma.Schema, body map[string]any) string {
	result := &huma.ValidateResult{}
	huma.Validate(schemas, schema, huma.NewPathBuffer([]byte("body"), 4), huma.ModeWriteToServer, body, result)
	var found []string
	for _, err := range result.Errors {
		detail := err.(huma.ErrorDetailer).ErrorDetail()
		found = append(found, detail.Location+": "+detail.Message)
	}
	return strings.Join(found, "; ")
}

// The documented form of an address takes every address that the law takes, and refuses
// what is wrong before the @ or has no dot after it.
func TestAddressPattern(t *testing.T) {
	pattern := regexp.MustCompile(addressPattern)
	for address, want := range map[string]bool{
		"ann@example.com": true, "A.n+n'!#/=?`{|}~-@example.com": true, "ann@bücher.example": true, "ann@例え。テスト": true,
		"ann@example．com": true, "ann@example｡com": true, "ann@a.b.c-d.example": true,
		"jörg@example.com": false, `"a b"@example.com`: false, "a@localhost": false, ".a@example.com": false, "a.@example.com": false,
		"a..b@example.com": false, "a@b@example.com": false, "a b@example.com": false, "@example.com": false, "a@": false, "": false,
	} {
		if got := pattern.MatchString(address); got != want {
			t.Errorf("%q: the pattern says %t", address, got)
		}
		if _, err := agency.ParseEmail("email", address); (err == nil) != want {
			t.Errorf("%q: the law says %v", address, err)
		}
	}
}
