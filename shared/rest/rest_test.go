package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"net/http"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/danielgtaylor/huma/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"agencyhub/shared/agency"
)

// AsAgency is exported because huma leaves out what stands in an unexported
// embedded struct.
type AsAgency struct {
	As string `query:"as" maxLength:"64"`
}

// levels is an object whose values are of a few.
type levels map[string]string

func (levels) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeObject, AdditionalProperties: &huma.Schema{Type: huma.TypeString, Enum: []any{"none", "view", "edit"}}}
}

type makeInput struct {
	Thing string `path:"thing" maxLength:"64"`
	AsAgency
	Idempotency
	Body struct {
		Name   string     `json:"name" maxLength:"10"`
		Number int        `json:"number,omitempty" minimum:"1"`
		Areas  levels     `json:"areas,omitempty"`
		Until  *time.Time `json:"until" required:"false"`
		Inner  *struct {
			Deep string `json:"deep"`
		} `json:"inner,omitempty"`
	}
}

type listInput struct {
	Paging
	AsAgency
}

// echo is what a handler of the test API was called with.
type echo struct {
	Actor agency.Actor `json:"actor"`
	Thing string       `json:"thing"`
	As    string       `json:"as"`
	Key   string       `json:"key"`
	Name  string       `json:"name"`
	Limit int          `json:"limit"`
	When  time.Time    `json:"when"`
	Until *time.Time   `json:"until"`
}

type echoOutput struct{ Body echo }

type listOutput struct{ Body List[string] }

type none struct{}

type failInput struct {
	With string `path:"with"`
}

func testAPI() *API {
	a := New("things")
	Handle(a, huma.Operation{OperationID: "make-thing", Method: http.MethodPost, Path: "/v1/things/{thing}", DefaultStatus: 201},
		func(_ context.Context, actor agency.Actor, in *makeInput) (*echoOutput, error) {
			when := time.Date(2030, 1, 31, 13, 0, 0, 999, time.FixedZone("", 3600))
			return &echoOutput{echo{Actor: actor, Thing: in.Thing, As: in.As, Key: in.Key, Name: in.Body.Name, When: Time(when), Until: OptionalTime(time.Time{})}}, nil
		})
	Handle(a, huma.Operation{OperationID: "list-things", Method: http.MethodGet, Path: "/v1/things"},
		func(_ context.Context, _ agency.Actor, in *listInput) (*listOutput, error) {
			return &listOutput{NewList[string](nil, in.Cursor)}, nil
		})
	Handle(a, huma.Operation{OperationID: "poke-thing", Method: http.MethodPost, Path: "/v1/things/{thing}/poke"},
		func(context.Context, agency.Actor, *struct {
			Thing string `path:"thing" maxLength:"64"`
		}) (*none, error) {
			return &none{}, nil
		})
	Handle(a, huma.Operation{OperationID: "fail", Method: http.MethodPost, Path: "/v1/fail/{with}"},
		func(ctx context.Context, _ agency.Actor, in *failInput) (*none, error) {
			switch in.With {
			case "panic":
				panic("secret text")
			case "wait":
				<-ctx.Done()
				return nil, fmt.Errorf("secret text: %w", ctx.Err())
			case "unknown":
				return nil, errors.New("secret text")
			}
			code := agency.Code(in.With)
			e := &agency.Error{Code: code, Message: "A sentence.", Cause: errors.New("secret text")}
			if code == agency.Cooling {
				e.RetryAfter = 1500 * time.Millisecond
			}
			if code == agency.NotPending {
				e.State = agency.Active
			}
			return nil, fmt.Errorf("wrapped: %w", e)
		})
	Page(a, "/requests/{id}", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Add("Set-Cookie", "a=1")
		w.Header().Add("Set-Cookie", "b=2")
		w.Header().Set("Cache-Control", "no-cache")
		fmt.Fprintf(w, "%s %s %s", r.Method, r.PathValue("id"), r.Header.Get("Cookie"))
	}))
	Page(a, "/bytes", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte{0xff, 0x00, 0xfe})
	}))
	return a
}

// event is the golden event with another call in it.
func event(t *testing.T, method, target, body string) events.APIGatewayV2HTTPRequest {
	t.Helper()
	data, err := os.ReadFile("testdata/event.json")
	if err != nil {
		t.Fatal(err)
	}
	var e events.APIGatewayV2HTTPRequest
	if err := json.Unmarshal(data, &e); err != nil {
		t.Fatal(err)
	}
	e.RequestContext.HTTP.Method = method
	e.RawPath, e.RawQueryString, _ = strings.Cut(target, "?")
	e.Body, e.IsBase64Encoded = body, false
	return e
}

func invoke(t *testing.T, e events.APIGatewayV2HTTPRequest) events.APIGatewayV2HTTPResponse {
	t.Helper()
	response, err := testAPI().Invoke(t.Context(), e)
	if err != nil {
		t.Fatalf("Invoke returned an error, which Lambda would retry or hide: %v", err)
	}
	return response
}

func problem(t *testing.T, response events.APIGatewayV2HTTPResponse) Problem {
	t.Helper()
	if got := response.Headers["Content-Type"]; got != "application/problem+json" {
		t.Fatalf("Content-Type is %q; body %s", got, response.Body)
	}
	var p Problem
	if err := json.Unmarshal([]byte(response.Body), &p); err != nil {
		t.Fatalf("%v in %s", err, response.Body)
	}
	if p.Status != response.StatusCode || p.Title != http.StatusText(p.Status) || p.Type != "about:blank" || p.Detail == "" || p.RequestID != "JKJaXmPLvHcESHA=" {
		t.Errorf("the problem is not whole: %+v, status %d", p, response.StatusCode)
	}
	if strings.ContainsAny(response.Body, "\x00") || strings.Contains(response.Body, `\u0000`) || strings.Contains(response.Body, "secret") {
		t.Errorf("the problem shows what is not for the caller: %s", response.Body)
	}
	return p
}

func TestGoldenEventReachesTheHandler(t *testing.T) {
	data, err := os.ReadFile("testdata/event.json")
	if err != nil {
		t.Fatal(err)
	}
	var e events.APIGatewayV2HTTPRequest
	if err := json.Unmarshal(data, &e); err != nil {
		t.Fatal(err)
	}
	response := invoke(t, e)
	want := events.APIGatewayV2HTTPResponse{
		StatusCode: 201,
		Headers: map[string]string{
			"Cache-Control":          "no-store",
			"Content-Type":           "application/json",
			"X-Content-Type-Options": "nosniff",
		},
		Body: `{"actor":{"Email":"ann@agency.test","Issuer":"https://issuer.example.com","Subject":"subject-1"},` +
			`"thing":"acct_1","as":"acct_2","key":"0123456789abcdef","name":"Acme","limit":0,"when":"2030-01-31T12:00:00Z","until":null}` + "\n",
	}
	if diff := cmp.Diff(want, response); diff != "" {
		t.Error(diff)
	}
}

func TestMalformedCalls(t *testing.T) {
	const post = "/v1/things/acct_1"
	long := strings.Repeat("x", 65<<10)
	tests := map[string]struct {
		method, target, body string
		header               map[string]string
		status               int
		fields               []string // as "field: message", sorted
	}{
		"no body":                       {"POST", post, "", nil, 400, []string{"body: This call needs a body: a JSON object."}},
		"null":                          {"POST", post, "null", nil, 400, []string{"body: The body must be a JSON object."}},
		"a list":                        {"POST", post, "[]", nil, 400, []string{"body: The body must be a JSON object."}},
		"half an object":                {"POST", post, `{"name":`, nil, 400, []string{"body: The body is not well-formed JSON."}},
		"open object":                   {"POST", post, `{"name":"a"`, nil, 400, []string{"body: The body is not well-formed JSON."}},
		"wrong closing":                 {"POST", post, `{"name":"a"]`, nil, 400, []string{"body: The body is not well-formed JSON."}},
		"comma too many":                {"POST", post, `{"name":"a",}`, nil, 400, []string{"body: The body is not well-formed JSON."}},
		"trailing data":                 {"POST", post, `{"name":"a"} {}`, nil, 400, []string{"body: The body must be one JSON value, with nothing after it."}},
		"trailing rubbish":              {"POST", post, `{"name":"a"}x`, nil, 400, []string{"body: The body must be one JSON value, with nothing after it."}},
		"invalid UTF-8":                 {"POST", post, "{\"name\":\"\xff\"}", nil, 400, []string{"body: The body is not valid UTF-8."}},
		"deep":                          {"POST", post, `{"name":` + strings.Repeat("[", 30000), nil, 400, []string{"body: The body is nested too deeply."}},
		"missing field":                 {"POST", post, `{}`, nil, 400, []string{"body.name: This field is missing."}},
		"missing field deep":            {"POST", post, `{"name":"a","inner":{}}`, nil, 400, []string{"body.inner.deep: This field is missing."}},
		"unknown field":                 {"POST", post, `{"name":"a","nom":1}`, nil, 400, []string{"body.nom: There is no such field."}},
		"unknown field deep":            {"POST", post, `{"name":"a","inner":{"deep":"x","more":1}}`, nil, 400, []string{"body.inner.more: There is no such field."}},
		"other case":                    {"POST", post, `{"name":"a","Number":1}`, nil, 400, []string{"body.Number: There is no such field."}},
		"doubled key":                   {"POST", post, `{"name":"a","name":"b"}`, nil, 400, []string{"body.name: The body names this field twice."}},
		"doubled key, escaped":          {"POST", post, `{"name":"a","n\u0061me":"b"}`, nil, 400, []string{"body.name: The body names this field twice."}},
		"doubled key in a map":          {"POST", post, `{"name":"a","areas":{"mail":"view","mail":"edit"}}`, nil, 400, []string{"body.areas.mail: The body names this field twice."}},
		"wrong type":                    {"POST", post, `{"name":1}`, nil, 400, []string{"body.name: Give a text."}},
		"wrong type of a map's value":   {"POST", post, `{"name":"a","areas":{"mail":1}}`, nil, 400, []string{"body.areas.mail: Give a text."}},
		"unknown value in a map":        {"POST", post, `{"name":"a","areas":{"mail":"all"}}`, nil, 400, []string{"body.areas.mail: Give one of: none, view, edit."}},
		"null of a field":               {"POST", post, `{"name":null}`, nil, 400, []string{"body.name: This field cannot be null: give it a value or leave it out."}},
		"null of an optional field":     {"POST", post, `{"name":"a","areas":null}`, nil, 400, []string{"body.areas: This field cannot be null: give it a value or leave it out."}},
		"null inside":                   {"POST", post, `{"name":"a","areas":{"mail":null}}`, nil, 400, []string{"body.areas.mail: This field cannot be null: give it a value or leave it out."}},
		"too long":                      {"POST", post, `{"name":"01234567890"}`, nil, 400, []string{"body.name: This is too long: it may have 10 characters at most."}},
		"too small":                     {"POST", post, `{"name":"a","number":0}`, nil, 400, []string{"body.number: Give a number of 1 or more."}},
		"a fraction":                    {"POST", post, `{"name":"a","number":1.5}`, nil, 400, []string{"body.number: Give a whole number."}},
		"an integer spelled as a float": {"POST", post, `{"name":"a","number":1.0}`, nil, 400, []string{"body.number: This value is not of the right kind."}},
		"a number beyond all":           {"POST", post, `{"name":"a","number":1e999}`, nil, 400, []string{"body: A value in the body is not of the right kind."}},
		"a bad time":                    {"POST", post, `{"name":"a","until":"tomorrow"}`, nil, 400, []string{"body.until: Give a date and time such as 2030-01-31T12:00:00Z."}},
		"several":                       {"POST", post, `{"nom":"a","number":0}`, nil, 400, []string{"body.name: This field is missing.", "body.nom: There is no such field.", "body.number: Give a number of 1 or more."}},
		"too large":                     {"POST", post, `{"name":"` + long + `"}`, nil, 413, []string{"body: The body is too large: it may have 65536 bytes at most."}},
		"a form":                        {"POST", post, `name=a`, map[string]string{"content-type": "application/x-www-form-urlencoded"}, 415, []string{"header.Content-Type: The body must be JSON, and the header Content-Type say application/json."}},
		"no type":                       {"POST", post, `{"name":"a"}`, map[string]string{"content-type": ""}, 415, []string{"header.Content-Type: The body must be JSON, and the header Content-Type say application/json."}},
		"a patch type":                  {"POST", post, `{"name":"a"}`, map[string]string{"content-type": "application/merge-patch+json"}, 415, []string{"header.Content-Type: The body must be JSON, and the header Content-Type say application/json."}},
		"no key":                        {"POST", post, `{"name":"a"}`, map[string]string{"idempotency-key": ""}, 400, []string{"header.Idempotency-Key: This header is missing."}},
		"short key":                     {"POST", post, `{"name":"a"}`, map[string]string{"idempotency-key": "0123456789abcde"}, 400, []string{"header.Idempotency-Key: This is too short: it needs 16 characters or more."}},
		"key of other characters":       {"POST", post, `{"name":"a"}`, map[string]string{"idempotency-key": "0123456789 abcdé"}, 400, []string{"header.Idempotency-Key: Give printable ASCII characters without spaces."}},
		"long path value":               {"POST", "/v1/things/" + strings.Repeat("a", 65), `{"name":"a"}`, nil, 400, []string{"path.thing: This is too long: it may have 64 characters at most."}},
		"unknown parameter":             {"GET", "/v1/things?limt=1", "", nil, 400, []string{"query.limt: There is no such parameter."}},
		"doubled parameter":             {"GET", "/v1/things?limit=1&limit=2", "", nil, 400, []string{"query.limit: Give this parameter once."}},
		"empty hat":                     {"GET", "/v1/things?as=", "", nil, 400, []string{"query.as: Give this parameter a value, or leave it out."}},
		"bare hat":                      {"GET", "/v1/things?as&limit=5", "", nil, 400, []string{"query.as: Give this parameter a value, or leave it out."}},
		"bad escape":                    {"GET", "/v1/things?cursor=%zz", "", nil, 400, []string{"query: The query string is not well formed."}},
		"semicolon":                     {"GET", "/v1/things?limit=1;as=x", "", nil, 400, []string{"query: The query string is not well formed."}},
		"query not UTF-8":               {"GET", "/v1/things?cursor=%ff", "", nil, 400, []string{"query: The query string is not valid UTF-8."}},
		"limit no number":               {"GET", "/v1/things?limit=ten", "", nil, 400, []string{"query.limit: Give a whole number."}},
		"limit 0":                       {"GET", "/v1/things?limit=0", "", nil, 400, []string{"query.limit: Give a number of 1 or more."}},
		"limit 101":                     {"GET", "/v1/things?limit=101", "", nil, 400, []string{"query.limit: Give a number of 100 or less."}},
		"a body nobody reads":           {"POST", "/v1/things/a/poke", `{"block":true}`, nil, 400, []string{"body: This call takes no body."}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			e := event(t, test.method, test.target, test.body)
			for key, value := range test.header {
				e.Headers[key] = value
			}
			response := invoke(t, e)
			p := problem(t, response)
			if p.Status != test.status || p.Code != agency.Invalid {
				t.Errorf("%d %s, want %d invalid", p.Status, p.Code, test.status)
			}
			var fields []string
			for _, field := range p.Errors {
				fields = append(fields, field.Field+": "+field.Message)
			}
			if diff := cmp.Diff(test.fields, fields); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestWellFormedCalls(t *testing.T) {
	tests := map[string]struct {
		method, target, body string
		status               int
		want                 string
	}{
		"empty list":              {"GET", "/v1/things", "", 200, `{"items":[],"next":null}`},
		"next":                    {"GET", "/v1/things?cursor=a%26b&limit=100", "", 200, `{"items":[],"next":"a&b"}`},
		"no answer":               {"POST", "/v1/things/a/poke", "", 204, ""},
		"empty object for a body": {"POST", "/v1/things/a/poke", "{}", 204, ""},
		"null where it has a meaning": {"POST", "/v1/things/a", `{"name":"a","until":null}`, 201,
			`{"actor":{"Email":"ann@agency.test","Issuer":"https://issuer.example.com","Subject":"subject-1"},"thing":"a","as":"","key":"0123456789abcdef","name":"a","limit":0,"when":"2030-01-31T12:00:00Z","until":null}`},
		"body at the bound": {"POST", "/v1/things/a/poke", "{" + strings.Repeat(" ", 64<<10-2) + "}", 204, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			response := invoke(t, event(t, test.method, test.target, test.body))
			if response.StatusCode != test.status || strings.TrimSpace(response.Body) != test.want {
				t.Errorf("%d %s", response.StatusCode, response.Body)
			}
		})
	}
}

func TestWhoIsCalling(t *testing.T) {
	tests := map[string]func(claims map[string]string){
		"no email":           func(c map[string]string) { delete(c, "email") },
		"empty email":        func(c map[string]string) { c["email"] = "" },
		"no address":         func(c map[string]string) { c["email"] = "ann" },
		"two addresses":      func(c map[string]string) { c["email"] = "a@b@c" },
		"space":              func(c map[string]string) { c["email"] = "ann @agency.test" },
		"line break":         func(c map[string]string) { c["email"] = "ann@agency.test\nBcc: x" },
		"long":               func(c map[string]string) { c["email"] = strings.Repeat("a", 250) + "@b.test" },
		"not verified":       func(c map[string]string) { c["email_verified"] = "false" },
		"verified otherwise": func(c map[string]string) { c["email_verified"] = "1" },
		"verified missing":   func(c map[string]string) { delete(c, "email_verified") },
		"no issuer":          func(c map[string]string) { delete(c, "iss") },
		"no subject":         func(c map[string]string) { delete(c, "sub") },
		"a service's token":  func(c map[string]string) { delete(c, "email"); delete(c, "email_verified") },
		"no claims":          func(c map[string]string) { clear(c) },
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			// The call is malformed too: who is not signed in is not told.
			for _, target := range []string{"/v1/things?limit=0", "/v1/nothing"} {
				e := event(t, "GET", target, "")
				change(e.RequestContext.Authorizer.JWT.Claims)
				response := invoke(t, e)
				if p := problem(t, response); p.Status != 401 || p.Code != agency.Unauthenticated || len(p.Errors) > 0 {
					t.Errorf("%s: %+v", target, p)
				}
				if response.Headers["Www-Authenticate"] != "Bearer" {
					t.Errorf("%s: no challenge in %v", target, response.Headers)
				}
			}
		})
	}
	e := event(t, "GET", "/v1/things", "")
	e.RequestContext.Authorizer = nil
	if p := problem(t, invoke(t, e)); p.Code != agency.Unauthenticated {
		t.Errorf("no authorizer: %+v", p)
	}
}

// A value that may be null must be so by its list of values too.
func TestNullIsAmongTheValues(t *testing.T) {
	a := New("things")
	Handle(a, huma.Operation{OperationID: "check", Method: http.MethodGet, Path: "/v1/check"},
		func(context.Context, agency.Actor, *struct{}) (*struct{ Body Access }, error) { return nil, nil })
	schema := a.huma.OpenAPI().Components.Schemas.Map()["Access"].Properties["payer"]
	if diff := cmp.Diff([]any{"agency", "client", nil}, schema.Enum); diff != "" || !schema.Nullable {
		t.Errorf("nullable %v, enum (-want +got):\n%s", schema.Nullable, diff)
	}
}

// What is shown as null must be allowed to be so: each pointer of a resource that
// is not left out, a list's too.
func TestWhatIsNullMayBeNull(t *testing.T) {
	a := New("things")
	Handle(a, huma.Operation{OperationID: "check", Method: http.MethodGet, Path: "/v1/check"},
		func(context.Context, agency.Actor, *struct{}) (*struct {
			Body struct {
				Account    Account
				Member     Member
				Connection Connection
				Block      Block
			}
		}, error) {
			return nil, nil
		})
	schemas := a.huma.OpenAPI().Components.Schemas.Map()
	for _, resource := range []any{Account{}, Access{}, Member{}, Connection{}, Block{}} {
		kind := reflect.TypeOf(resource)
		for i := range kind.NumField() {
			field := kind.Field(i)
			name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
			if field.Type.Kind() == reflect.Pointer && options == "" && !schemas[kind.Name()].Properties[name].Nullable {
				t.Errorf("%s.%s may not be null", kind.Name(), name)
			}
		}
	}
}

func TestEveryCodeHasItsStatus(t *testing.T) {
	want := map[agency.Code]int{
		"invalid": 400, "unauthenticated": 401,
		"forbidden": 403, "not_payer": 403, "identity_changed": 403,
		"not_found": 404, "request_expired": 410, "cooling": 429, "rate_limited": 429, "internal": 500,
		"permanently_owned": 409, "already_connected": 409, "already_requested": 409, "not_pending": 409,
		"not_active": 409, "last_owner": 409, "has_clients": 409, "idempotency_mismatch": 409, "conflict": 409,
	}
	if diff := cmp.Diff(codesOfTheDomain(t), codes, cmpopts.SortSlices(func(a, b agency.Code) bool { return a < b })); diff != "" {
		t.Errorf("the codes are not the domain's: %s", diff)
	}
	for _, code := range codes {
		t.Run(string(code), func(t *testing.T) {
			response := invoke(t, event(t, "POST", "/v1/fail/"+string(code), ""))
			p := problem(t, response)
			if p.Status != want[code] || p.Code != code {
				t.Errorf("%d %s, want %d", p.Status, p.Code, want[code])
			}
			if code != agency.Internal && p.Detail != "A sentence." {
				t.Errorf("detail is %q", p.Detail)
			}
			wait, state := "", agency.Status("")
			if code == agency.Cooling {
				wait = "2"
			}
			if code == agency.NotPending {
				state = agency.Active
			}
			if response.Headers["Retry-After"] != wait || p.State != state {
				t.Errorf("Retry-After %q, state %q", response.Headers["Retry-After"], p.State)
			}
		})
	}
}

// codesOfTheDomain reads the codes out of the domain's source, so that a new
// one cannot be forgotten here.
func codesOfTheDomain(t *testing.T) []agency.Code {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../agency/errors.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var found []agency.Code
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if kind, ok := spec.Type.(*ast.Ident); ok && kind.Name == "Code" {
			code, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			found = append(found, agency.Code(code))
		}
		return true
	})
	return found
}

func TestWhatIsNotExpectedTellsNothing(t *testing.T) {
	for _, with := range []string{"unknown", "panic", "internal", "no_such_code"} {
		t.Run(with, func(t *testing.T) {
			logged := captureLog(t)
			p := problem(t, invoke(t, event(t, "POST", "/v1/fail/"+with, "")))
			if p.Status != 500 || p.Code != agency.Internal || !strings.Contains(p.Detail, "JKJaXmPLvHcESHA=") {
				t.Errorf("%+v", p)
			}
			if lines := logged(); !strings.Contains(lines, "secret text") || !strings.Contains(lines, `"requestId":"JKJaXmPLvHcESHA="`) || !strings.Contains(lines, `"route":"/v1/fail/{with}"`) {
				t.Errorf("the log does not tell the cause: %s", lines)
			}
		})
	}
}

func TestHandlerIsStoppedBeforeLambdaIs(t *testing.T) {
	captureLog(t)
	deadline := time.Now().Add(headroom + 20*time.Millisecond)
	ctx, cancel := context.WithDeadline(t.Context(), deadline)
	defer cancel()
	response, err := testAPI().Invoke(ctx, event(t, "POST", "/v1/fail/wait", ""))
	if err != nil {
		t.Fatal(err)
	}
	if p := problem(t, response); p.Status != 500 || time.Until(deadline) < headroom/4 {
		t.Errorf("%+v, %s before Lambda's end", p, time.Until(deadline))
	}
}

func TestOneLogLineEachRequest(t *testing.T) {
	logged := captureLog(t)
	invoke(t, event(t, "GET", "/v1/things?cursor=confidential", ""))
	invoke(t, event(t, "POST", "/v1/things/confidential?as=confidential", `{"confidential":1}`))
	invoke(t, event(t, "POST", "/v1/fail/conflict", ""))
	const account = "acct_00000000000000000000000001"
	invoke(t, event(t, "POST", "/v1/things/"+account, `{}`))
	invoke(t, event(t, "POST", "/v1/things/ann%40agency.test", `{}`))
	var got []map[string]any
	for line := range strings.Lines(logged()) {
		var entry map[string]any
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatal(err)
		}
		if _, ok := entry["ms"].(float64); !ok {
			t.Errorf("no duration in %s", line)
		}
		delete(entry, "ms")
		delete(entry, "time")
		got = append(got, entry)
	}
	want := []map[string]any{
		{"method": "GET", "route": "/v1/things", "status": 200.0},
		{"method": "POST", "route": "/v1/things/{thing}", "status": 400.0, "code": "invalid"},
		{"method": "POST", "route": "/v1/fail/{with}", "status": 409.0, "code": "conflict", "cause": "secret text"},
		// Of a path the line holds ids, and nothing else that somebody typed.
		{"method": "POST", "route": "/v1/things/{thing}", "status": 400.0, "code": "invalid", "thing": account},
		{"method": "POST", "route": "/v1/things/{thing}", "status": 400.0, "code": "invalid"},
	}
	for _, line := range want {
		line["level"], line["msg"], line["requestId"], line["actor"] = "INFO", "request", "JKJaXmPLvHcESHA=", string(agency.NewPersonID("ann@agency.test"))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// captureLog gives what is logged from here to the end of the test.
func captureLog(t *testing.T) func() string {
	t.Helper()
	var lines bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewJSONHandler(&lines, nil)))
	t.Cleanup(func() { slog.SetDefault(before) })
	return lines.String
}

func TestContractAnswersWhatNoOperationDoes(t *testing.T) {
	before := contract
	contract = readRoutes("GET /v1/things\nPOST /v1/things/{thing}\nGET /v1/others/{id}\nPATCH /v1/others/{id}\n")
	t.Cleanup(func() { contract = before })
	tests := map[string]struct {
		method, target string
		status         int
		allow          string
	}{
		"nothing there":            {"GET", "/v1/nothing", 404, ""},
		"another method":           {"DELETE", "/v1/things", 405, "GET"},
		"HEAD":                     {"HEAD", "/v1/things", 405, "GET"},
		"another function's path":  {"DELETE", "/v1/others/1", 405, "GET, PATCH"},
		"another function's route": {"GET", "/v1/others/1", 404, ""},
		"a slash more":             {"GET", "/v1/things/", 404, ""},
		"an empty segment":         {"POST", "/v1//things/a", 404, ""},
		"dots":                     {"GET", "/v1/x/../things", 404, ""},
		"a made-up method":         {"<B>", "/v1/things", 405, "GET"},
		"an empty method":          {"", "/v1/things", 405, "GET"},
		"no path":                  {"GET", "", 404, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			response := invoke(t, event(t, test.method, test.target, ""))
			if response.StatusCode != test.status || response.Headers["Allow"] != test.allow {
				t.Errorf("%d, Allow %q", response.StatusCode, response.Headers["Allow"])
			}
			if test.method == "HEAD" {
				if response.Body != "" {
					t.Errorf("HEAD is answered with a body: %s", response.Body)
				}
				return
			}
			p := problem(t, response)
			want := agency.NotFound
			if test.status == 405 {
				want = agency.Invalid
			}
			if p.Code != want || strings.Contains(p.Detail, "<") {
				t.Errorf("%+v", p)
			}
		})
	}
}

// TestMain keeps request lines out of the tests' output; captureLog shows them
// to those that look.
func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.DiscardHandler))
	os.Exit(m.Run())
}
