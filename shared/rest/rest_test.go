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
	"go.yaml.in/yaml/v3"

	"agencyhub/shared/agency"
	"agencyhub/shared/service"
	"agencyhub/shared/trace"
)

// AsAgency is exported because huma ignores the parameters of an embedded struct that is
// not.
type AsAgency struct {
	As string `query:"as" maxLength:"64"`
}

// levels is an object whose values have an enum.
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
			Deep    string `json:"deep"`
			Numbers []int  `json:"numbers,omitempty"`
		} `json:"inner,omitempty"`
		Embedded
	}
}

// Embedded is exported because huma ignores the fields of an embedded struct that is not.
type Embedded struct {
	Count int `json:"count,omitempty"`
}

type listInput struct {
	Paging
	AsAgency
}

// echo is the input of a handler of the test API.
type echo struct {
	Actor agency.Actor `json:"actor"`
	Thing string       `json:"thing"`
	As    string       `json:"as"`
	Key   string       `json:"key"`
	Name  string       `json:"name"`
	Limit int          `json:"limit"`
	When  Timestamp    `json:"when"`
	Until *Timestamp   `json:"until"`
}

type none struct{}

type thingInput struct {
	Thing string `path:"thing" maxLength:"64"`
}

type failInput struct {
	With string `path:"with"`
}

func testAPI() *API {
	a := New("things")
	Handle(a, "POST /v1/things/{thing}", huma.Operation{OperationID: "make-thing", DefaultStatus: 201},
		func(_ context.Context, actor agency.Actor, in *makeInput) (*Output[echo], error) {
			when := time.Date(2030, 1, 31, 13, 0, 0, 123_999_999, time.FixedZone("", 3600))
			return &Output[echo]{echo{
				Actor: actor, Thing: in.Thing, As: in.As, Key: in.Key, Name: in.Body.Name, When: Time(when), Until: OptionalTime(time.Time{}),
			}}, nil
		})
	Handle(a, "GET /v1/things", huma.Operation{OperationID: "list-things"},
		func(_ context.Context, _ agency.Actor, in *listInput) (*Output[List[string]], error) {
			return ReplyList(strings.Clone)(service.List[string]{Next: in.Cursor}, nil)
		})
	Handle(a, "POST /v1/things/{thing}/poke", huma.Operation{OperationID: "poke-thing"},
		func(context.Context, agency.Actor, *thingInput) (*none, error) { return &none{}, nil })
	Handle(a, "POST /v1/fail/{with}", huma.Operation{OperationID: "fail"},
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
	HandlePlatform(a, "POST /v1/platform/{thing}", huma.Operation{OperationID: "serve"},
		func(_ context.Context, by agency.Platform, in *thingInput) (*Output[List[string]], error) {
			return ReplyList(strings.Clone)(service.List[string]{Items: []string{by.Client, in.Thing}}, nil)
		})
	page(a, "/requests/{id}", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Add("Set-Cookie", "a=1")
		w.Header().Add("Set-Cookie", "b=2")
		w.Header().Set("Cache-Control", "no-cache")
		fmt.Fprintf(w, "%s %s %s", r.Method, r.PathValue("id"), r.Header.Get("Cookie"))
	}))
	page(a, "/bytes", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte{0xff, 0x00, 0xfe})
	}))
	return a
}

func goldenEvent(t *testing.T) (e events.APIGatewayV2HTTPRequest) {
	t.Helper()
	data, err := os.ReadFile("testdata/event.json")
	if err := errors.Join(err, json.Unmarshal(data, &e)); err != nil {
		t.Fatal(err)
	}
	return e
}

// headers returns the headers of every answer and, in pairs, others.
func headers(more ...string) map[string]string {
	all := map[string]string{
		"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Strict-Transport-Security": "max-age=31536000",
		"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
	}
	for i := 0; i < len(more); i += 2 {
		all[more[i]] = more[i+1]
	}
	return all
}

// event returns the golden event with another call in it.
func event(t *testing.T, method, target, body string) events.APIGatewayV2HTTPRequest {
	t.Helper()
	e := goldenEvent(t)
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
	if p.Status != response.StatusCode || p.Title != http.StatusText(p.Status) || p.Type != "about:blank" || p.Detail == "" ||
		p.RequestID != "JKJaXmPLvHcESHA=" {
		t.Errorf("the problem is incomplete: %+v, status %d", p, response.StatusCode)
	}
	if strings.ContainsAny(response.Body, "\x00") || strings.Contains(response.Body, `\u0000`) || strings.Contains(response.Body, "secret") {
		t.Errorf("the problem shows what callers must not read: %s", response.Body)
	}
	return p
}

func TestGoldenEventReachesTheHandler(t *testing.T) {
	response := invoke(t, goldenEvent(t))
	want := events.APIGatewayV2HTTPResponse{
		StatusCode: 201,
		Headers:    headers("Content-Type", "application/json"),
		Body: `{"actor":{"Email":"ann@agency.test","Issuer":"https://issuer.example.com","Subject":"subject-1"},` +
			`"thing":"acct_1","as":"acct_2","key":"0123456789abcdef","name":"Acme","limit":0,"when":"2030-01-31T12:00:00.123Z","until":null}` + "\n",
	}
	if diff := cmp.Diff(want, response); diff != "" {
		t.Error(diff)
	}
}

// malformedCall calls the test API, which must refuse the call as invalid. fields are as "field: message".
func malformedCall(t *testing.T, e events.APIGatewayV2HTTPRequest, status int, fields ...string) {
	t.Helper()
	p := problem(t, invoke(t, e))
	if p.Status != status || p.Code != agency.Invalid {
		t.Errorf("%d %s, want %d invalid", p.Status, p.Code, status)
	}
	var got []string
	for _, field := range p.Errors {
		got = append(got, field.Field+": "+field.Message)
	}
	if diff := cmp.Diff(fields, got); diff != "" {
		t.Error(diff)
	}
}

const (
	anyThing = "/v1/things/acct_1"
	notWhole = "Give a whole number, without a decimal point or an exponent."
	notATime = "Give a date and time such as 2030-01-31T12:00:00Z."
)

func TestMalformedBodies(t *testing.T) {
	for name, test := range map[string]struct {
		body   string
		fields []string // sorted
	}{
		"no body":              {"", []string{"body: This call needs a body: a JSON object."}},
		"null":                 {"null", []string{"body: The body must be a JSON object."}},
		"a list":               {"[]", []string{"body: The body must be a JSON object."}},
		"half an object":       {`{"name":`, []string{"body: The body is not well-formed JSON."}},
		"open object":          {`{"name":"a"`, []string{"body: The body is not well-formed JSON."}},
		"wrong closing":        {`{"name":"a"]`, []string{"body: The body is not well-formed JSON."}},
		"comma too many":       {`{"name":"a",}`, []string{"body: The body is not well-formed JSON."}},
		"trailing data":        {`{"name":"a"} {}`, []string{"body: The body must be one JSON value, with nothing after it."}},
		"trailing rubbish":     {`{"name":"a"}x`, []string{"body: The body must be one JSON value, with nothing after it."}},
		"invalid UTF-8":        {"{\"name\":\"\xff\"}", []string{"body: The body is not valid UTF-8."}},
		"deep":                 {`{"name":` + strings.Repeat("[", 30000), []string{"body: The body is nested too deeply."}},
		"missing field":        {`{}`, []string{"body.name: This field is missing."}},
		"missing field deep":   {`{"name":"a","inner":{}}`, []string{"body.inner.deep: This field is missing."}},
		"unknown field":        {`{"name":"a","nom":1}`, []string{"body.nom: There is no such field."}},
		"unknown field deep":   {`{"name":"a","inner":{"deep":"x","more":1}}`, []string{"body.inner.more: There is no such field."}},
		"other case":           {`{"name":"a","Number":1}`, []string{"body.Number: There is no such field."}},
		"doubled key":          {`{"name":"a","name":"b"}`, []string{"body.name: The body names this field twice."}},
		"many <, one escaped":  {`{"name":"\u0041` + strings.Repeat("<", 20_000) + `"}`, []string{"body.name: This is too long: it may have 10 characters at most."}},
		"many line separators": {`{"name":"\u0041` + strings.Repeat("\u2028", 20_000) + `"}`, []string{"body.name: This is too long: it may have 10 characters at most."}},
		"doubled key, escaped": {`{"name":"a","n\u0061me":"b"}`, []string{"body.name: The body names this field twice."}},
		"doubled key in a map": {`{"name":"a","areas":{"mail":"view","mail":"edit"}}`, []string{
			"body.areas.mail: The body names this field twice.",
		}},
		"wrong type":                  {`{"name":1}`, []string{"body.name: Give a text."}},
		"wrong type of a map's value": {`{"name":"a","areas":{"mail":1}}`, []string{"body.areas.mail: Give a text."}},
		"unknown value in a map":      {`{"name":"a","areas":{"mail":"all"}}`, []string{"body.areas.mail: Give one of: none, view, edit."}},
		"null of a field":             {`{"name":null}`, []string{"body.name: This field cannot be null: give it a value or leave it out."}},
		"null of an optional field":   {`{"name":"a","areas":null}`, []string{"body.areas: This field cannot be null: give it a value or leave it out."}},
		"null inside": {`{"name":"a","areas":{"mail":null}}`, []string{
			"body.areas.mail: This field cannot be null: give it a value or leave it out.",
		}},
		"too long":                      {`{"name":"01234567890"}`, []string{"body.name: This is too long: it may have 10 characters at most."}},
		"too small":                     {`{"name":"a","number":0}`, []string{"body.number: Give a number of 1 or more."}},
		"a fraction":                    {`{"name":"a","number":1.5}`, []string{"body.number: " + notWhole}},
		"an integer spelled as a float": {`{"name":"a","number":1.0}`, []string{"body.number: " + notWhole}},
		"an integer with an exponent":   {`{"name":"a","number":1e2}`, []string{"body.number: " + notWhole}},
		"a number beyond all":           {`{"name":"a","number":1e999}`, []string{"body.number: This number is too large or too small."}},
		"a number beyond all elsewhere": {`{"name":1e999}`, []string{"body.name: This number is too large or too small."}},
		"an integer beyond 64 bits":     {`{"name":"a","number":9223372036854775808}`, []string{"body.number: This number is too large or too small."}},
		"an integer in a list":          {`{"name":"a","inner":{"deep":"x","numbers":[1,2.0]}}`, []string{"body.inner.numbers[1]: " + notWhole}},
		"an embedded integer":           {`{"name":"a","count":1.0}`, []string{"body.count: " + notWhole}},
		"a text for an embedded one":    {`{"name":"a","count":"1"}`, []string{"body.count: Give a whole number."}},
		"a bad time":                    {`{"name":"a","until":"tomorrow"}`, []string{"body.until: " + notATime}},
		"a time of 25 o'clock":          {`{"name":"a","until":"2030-01-31T25:00:00Z"}`, []string{"body.until: " + notATime}},
		"several": {`{"nom":"a","number":0}`, []string{
			"body.name: This field is missing.",
			"body.nom: There is no such field.",
			"body.number: Give a number of 1 or more.",
		}},
	} {
		t.Run(name, func(t *testing.T) { malformedCall(t, event(t, "POST", anyThing, test.body), 400, test.fields...) })
	}
	t.Run("too large", func(t *testing.T) {
		body := `{"name":"` + strings.Repeat("x", 65<<10) + `"}`
		malformedCall(t, event(t, "POST", anyThing, body), 413, "body: The body is too large: it may have 65536 bytes at most.")
	})
}

func TestMalformedHeaders(t *testing.T) {
	const notJSON = "header.Content-Type: The body must be JSON, and the header Content-Type say application/json."
	for name, test := range map[string]struct {
		header, value string
		status        int
		field         string
	}{
		"a form":                  {"content-type", "application/x-www-form-urlencoded", 415, notJSON},
		"no type":                 {"content-type", "", 415, notJSON},
		"a patch type":            {"content-type", "application/merge-patch+json", 415, notJSON},
		"no key":                  {"idempotency-key", "", 400, "header.Idempotency-Key: This header is missing."},
		"short key":               {"idempotency-key", "0123456789abcde", 400, "header.Idempotency-Key: This is too short: it needs 16 characters or more."},
		"key of other characters": {"idempotency-key", "0123456789 abcdé", 400, "header.Idempotency-Key: Give printable ASCII characters without spaces."},
	} {
		t.Run(name, func(t *testing.T) {
			e := event(t, "POST", anyThing, `{"name":"a"}`)
			e.Headers[test.header] = test.value
			malformedCall(t, e, test.status, test.field)
		})
	}
}

func TestMalformedParameters(t *testing.T) {
	for target, field := range map[string]string{
		"/v1/things?limt=1":          "query.limt: There is no such parameter.",
		"/v1/things?limit=1&limit=2": "query.limit: Give this parameter once.",
		"/v1/things?as=":             "query.as: Give this parameter a value, or leave it out.",
		"/v1/things?as&limit=5":      "query.as: Give this parameter a value, or leave it out.",
		"/v1/things?cursor=%zz":      "query: The query string is not well formed.",
		"/v1/things?limit=1;as=x":    "query: The query string is not well formed.",
		"/v1/things?cursor=%ff":      "query: The query string is not valid UTF-8.",
		"/v1/things?limit=ten":       "query.limit: Give a whole number.",
		"/v1/things?limit=0":         "query.limit: Give a number of 1 or more.",
		"/v1/things?limit=101":       "query.limit: Give a number of 100 or less.",
	} {
		t.Run(target, func(t *testing.T) { malformedCall(t, event(t, "GET", target, ""), 400, field) })
	}
	t.Run("long path value", func(t *testing.T) {
		e := event(t, "POST", "/v1/things/"+strings.Repeat("a", 65), `{"name":"a"}`)
		malformedCall(t, e, 400, "path.thing: This is too long: it may have 64 characters at most.")
	})
	t.Run("a body nobody reads", func(t *testing.T) {
		malformedCall(t, event(t, "POST", "/v1/things/a/poke", `{"block":true}`), 400, "body: This call takes no body.")
	})
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
			`{"actor":{"Email":"ann@agency.test","Issuer":"https://issuer.example.com","Subject":"subject-1"},"thing":"a",` +
				`"as":"","key":"0123456789abcdef","name":"a","limit":0,"when":"2030-01-31T12:00:00.123Z","until":null}`},
		"an escaped time": {"POST", "/v1/things/a", `{"name":"a","until":"2030-01-31T12:00:00\u002b01:00"}`, 201,
			`{"actor":{"Email":"ann@agency.test","Issuer":"https://issuer.example.com","Subject":"subject-1"},"thing":"a",` +
				`"as":"","key":"0123456789abcdef","name":"a","limit":0,"when":"2030-01-31T12:00:00.123Z","until":null}`},
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

// The platform's calls accept only its own tokens. A refusal says what is wrong with the
// kind of token that the operation needs.
func TestPlatformCaller(t *testing.T) {
	service := func(c map[string]string) {
		delete(c, "email")
		delete(c, "email_verified")
		c["client_id"], c["scope"] = "its-client", "hub/other hub/platform"
	}
	for name, test := range map[string]struct {
		change func(c map[string]string)
		status int
		client string
	}{
		"its token":            {service, 200, "its-client"},
		"its scopes as a list": {func(c map[string]string) { service(c); delete(c, "scope"); c["scp"] = "[hub/platform x]" }, 200, "its-client"},
		"named by its subject": {func(c map[string]string) { service(c); delete(c, "client_id"); c["sub"] = "its-subject" }, 200, "its-subject"},
		"a person's":           {func(map[string]string) {}, 403, ""},
		"a person's with it":   {func(c map[string]string) { c["scope"] = "hub/platform" }, 403, ""},
		"another scope":        {func(c map[string]string) { service(c); c["scope"] = "hub/platforms hub" }, 403, ""},
		"no scope":             {func(c map[string]string) { service(c); delete(c, "scope") }, 403, ""},
		"nobody's":             {func(c map[string]string) { service(c); delete(c, "client_id"); delete(c, "sub") }, 403, ""},
		"no claims":            {func(c map[string]string) { clear(c) }, 401, ""},
	} {
		t.Run(name, func(t *testing.T) {
			e := event(t, "POST", "/v1/platform/it", "")
			test.change(e.RequestContext.Authorizer.JWT.Claims)
			response := invoke(t, e)
			if response.StatusCode != test.status {
				t.Fatalf("%d %s", response.StatusCode, response.Body)
			}
			if want := `{"items":["` + test.client + `","it"],"next":null}`; test.status == 200 && strings.TrimSpace(response.Body) != want {
				t.Errorf("%s, want %s", response.Body, want)
			}
		})
	}
	// A path without an operation is refused as it is to a person.
	e := event(t, "POST", "/v1/nothing", "")
	e.RouteKey = "ANY /v1/{proxy+}"
	service(e.RequestContext.Authorizer.JWT.Claims)
	if p := problem(t, invoke(t, e)); p.Status != 404 {
		t.Errorf("%+v", p)
	}
}

func TestPersonCaller(t *testing.T) {
	tests := map[string]func(claims map[string]string){
		"no email":           func(c map[string]string) { delete(c, "email") },
		"empty email":        func(c map[string]string) { c["email"] = "" },
		"no address":         func(c map[string]string) { c["email"] = "ann" },
		"two addresses":      func(c map[string]string) { c["email"] = "a@b@c" },
		"space":              func(c map[string]string) { c["email"] = "ann @agency.test" },
		"line break":         func(c map[string]string) { c["email"] = "ann@agency.test\nBcc: x" },
		"long":               func(c map[string]string) { c["email"] = strings.Repeat("a", 250) + "@b.test" },
		"cannot be mailed":   func(c map[string]string) { c["email"] = "zoë@agency.test" },
		"not verified":       func(c map[string]string) { c["email_verified"] = "false" },
		"verified otherwise": func(c map[string]string) { c["email_verified"] = "1" },
		"verified missing":   func(c map[string]string) { delete(c, "email_verified") },
		"no issuer":          func(c map[string]string) { delete(c, "iss") },
		"no subject":         func(c map[string]string) { delete(c, "sub") },
		"a service's token":  func(c map[string]string) { delete(c, "email"); delete(c, "email_verified") },
		"the platform's":     func(c map[string]string) { c["scope"] = "openid hub/platform" },
		"no claims":          func(c map[string]string) { clear(c) },
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			// The call is malformed too, which only a signed-in caller reads.
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

// The enum of a nullable value has null in it.
func TestNullIsInTheEnum(t *testing.T) {
	a := New("things")
	Handle(a, "GET /v1/check", huma.Operation{OperationID: "check"},
		func(context.Context, agency.Actor, *struct{}) (*struct{ Body Access }, error) { return nil, nil })
	schema := a.huma.OpenAPI().Components.Schemas.Map()["Access"].Properties["payer"]
	if diff := cmp.Diff([]any{"agency", "client", nil}, schema.Enum); diff != "" || !schema.Nullable {
		t.Errorf("nullable %v, enum (-want +got):\n%s", schema.Nullable, diff)
	}
}

// Each pointer of a resource without omitempty can be null, so its schema must say so.
func TestPointersAreNullable(t *testing.T) {
	a := New("things")
	Handle(a, "GET /v1/check", huma.Operation{OperationID: "check"},
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
		"not_found": 404, "request_expired": 410, "cooling": 429, "rate_limited": 429, "internal": 500, "unavailable": 503,
		"permanently_owned": 409, "already_connected": 409, "already_requested": 409, "not_pending": 409,
		"not_active": 409, "last_owner": 409, "has_clients": 409, "idempotency_mismatch": 409, "conflict": 409, "too_many": 409,
	}
	if diff := cmp.Diff(agencyCodes(t), codes, cmpopts.SortSlices(func(a, b agency.Code) bool { return a < b })); diff != "" {
		t.Errorf("the codes are not those of shared/agency: %s", diff)
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

// agencyCodes reads the codes from the source of shared/agency, so that a new one cannot
// be forgotten here.
func agencyCodes(t *testing.T) []agency.Code {
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

// Use cases name the fields of their input. A problem says where the call has them.
func TestPlacesOfFields(t *testing.T) {
	a := New("things")
	code, fields := agency.Invalid, []agency.FieldError{}
	Handle(a, "POST /v1/things/{thing}/move", huma.Operation{OperationID: "move"},
		func(context.Context, agency.Actor, *struct {
			Thing string `path:"thing"`
			AsAgency
			Body struct {
				Name string `json:"name"`
			}
		}) (*none, error) {
			return nil, fmt.Errorf("wrapped: %w", &agency.Error{Code: code, Message: "A sentence.", Fields: fields})
		})
	call := func(names ...string) []string {
		fields = nil
		for _, name := range names {
			fields = append(fields, agency.FieldError{Field: name, Message: "A sentence."})
		}
		response, err := a.Invoke(t.Context(), event(t, "POST", "/v1/things/a/move", `{"name":"x"}`))
		if err != nil {
			t.Fatal(err)
		}
		var places []string
		for _, e := range problem(t, response).Errors {
			places = append(places, e.Field)
		}
		return places
	}
	got := call("", "thing", "as", "as.x", "name", "name.thing", "nothing", "assets")
	want := []string{"body", "path.thing", "query.as", "query.as.x", "body.name", "body.name.thing", "body.nothing", "body.assets"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	// Its fields are ids of accounts.
	code = agency.LastOwner
	if diff := cmp.Diff([]string{"acct_1", "thing"}, call("acct_1", "thing")); diff != "" {
		t.Error(diff)
	}
}

// A field's place is found by its name, so no body of the contract has a property with
// the name of a parameter of its operation.
func TestFieldsHaveOnePlace(t *testing.T) {
	raw, err := os.ReadFile("../../infra/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	type schema struct {
		Ref        string `yaml:"$ref"`
		Properties map[string]yaml.Node
	}
	var document struct {
		Paths map[string]map[string]struct {
			Parameters  []struct{ Name string }
			RequestBody struct {
				Content map[string]struct{ Schema schema }
			} `yaml:"requestBody"`
		}
		Components struct{ Schemas map[string]schema }
	}
	if err := yaml.Unmarshal(raw, &document); err != nil {
		t.Fatal(err)
	}
	bodies := 0
	for path, operations := range document.Paths {
		for method, operation := range operations {
			body := operation.RequestBody.Content["application/json"].Schema
			if body.Ref != "" {
				body = document.Components.Schemas[strings.TrimPrefix(body.Ref, "#/components/schemas/")]
			}
			if len(body.Properties) > 0 {
				bodies++
			}
			for _, p := range operation.Parameters {
				if _, both := body.Properties[p.Name]; both {
					t.Errorf("%s %s has %s as a parameter and in its body", method, path, p.Name)
				}
			}
		}
	}
	if bodies < 10 {
		t.Errorf("only %d bodies were found", bodies)
	}
}

func TestUnexpectedErrorsAreNotShown(t *testing.T) {
	for _, with := range []string{"unknown", "panic", "internal", "no_such_code"} {
		t.Run(with, func(t *testing.T) {
			logged := captureLog(t)
			p := problem(t, invoke(t, event(t, "POST", "/v1/fail/"+with, "")))
			if p.Status != 500 || p.Code != agency.Internal || !strings.Contains(p.Detail, "JKJaXmPLvHcESHA=") {
				t.Errorf("%+v", p)
			}
			lines := logged()
			for _, want := range []string{"secret text", `"requestId":"JKJaXmPLvHcESHA="`, `"route":"/v1/fail/{with}"`} {
				if !strings.Contains(lines, want) {
					t.Errorf("the log does not have %s: %s", want, lines)
				}
			}
		})
	}
}

func TestHandlerIsStoppedBeforeTheDeadline(t *testing.T) {
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
	invoke(t, event(t, "POST", "/v1/fail/invalid", ""))
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
		// The cause of an invalid one can hold what was sent.
		{"method": "POST", "route": "/v1/fail/{with}", "status": 400.0, "code": "invalid"},
		// The line has the ids of a path, and nothing else of it.
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

// captureLog returns a function that returns what is logged until the end of the test.
func captureLog(t *testing.T) func() string {
	t.Helper()
	var lines bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(trace.NewHandler(slog.NewJSONHandler(&lines, nil))))
	t.Cleanup(func() { slog.SetDefault(before) })
	return lines.String
}

// The document is below /v1 too, though it does not name itself.
func TestMethodsOfTheDocument(t *testing.T) {
	e := event(t, "POST", "/v1/openapi.yaml", "")
	e.RouteKey = "ANY /v1/{proxy+}"
	if r := invoke(t, e); r.StatusCode != 405 || r.Headers["Allow"] != "GET, HEAD" {
		t.Errorf("%d, Allow %q", r.StatusCode, r.Headers["Allow"])
	}
}

func TestUnknownRoutes(t *testing.T) {
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
			e := event(t, test.method, test.target, "")
			e.RouteKey = "ANY /v1/{proxy+}"
			response := invoke(t, e)
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

// TestMain keeps request lines out of the output of tests.
func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.DiscardHandler))
	os.Exit(m.Run())
}
