package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"agencyhub/infra/local/lambda"
	"agencyhub/infra/local/localtest"
	"agencyhub/infra/local/template"
)

var update = flag.Bool("update", false, "write the golden files again")

var noon = time.Date(2026, 3, 12, 12, 0, 0, 0, time.UTC)

func TestPayload(t *testing.T) {
	r := httptest.NewRequest("POST", "http://localhost:8080/echo/a%2Fb%25%20c?x=1&x=%262&empty=&flag&plus=a+b", strings.NewReader(`{"name":"Ünï"}`))
	r.RemoteAddr = "127.0.0.1:4321"
	r.Header = http.Header{
		"Content-Type": {"application/json"}, "If-None-Match": {`"a"`, `"b"`}, "Cookie": {"one=1; two=2", "three=3"},
		"User-Agent": {"test"}, "X-Forwarded-For": {"203.0.113.9"},
	}
	route := &template.Route{Method: "ANY", Path: "/echo/{name}"}
	_, parameters := matchPath(route.Path, r.URL.EscapedPath())
	got := payload(r, route, parameters, []byte(`{"name":"Ünï"}`), strings.Repeat("0123456789abcdef", 2), noon)
	golden(t, "testdata/payload.golden.json", got)
}

func golden(t *testing.T, path string, value any) {
	t.Helper()
	var got bytes.Buffer
	e := json.NewEncoder(&got)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	localtest.Check(t, e.Encode(value))
	if *update {
		localtest.Check(t, os.WriteFile(path, got.Bytes(), 0o600))
	}
	want := localtest.Must[[]byte](t)(os.ReadFile(path))
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Error(diff)
	}
}

func TestPayloadBody(t *testing.T) {
	for _, test := range []struct {
		contentType, body, want string
		encoded                 bool
	}{
		{"application/json", `{}`, `{}`, false},
		{"application/merge-patch+json; charset=utf-8", `{}`, `{}`, false},
		{"text/plain", "héllo", "héllo", false},
		{"text/plain", "\xff", "/w==", true},
		{"application/x-www-form-urlencoded", "a=1", "YT0x", true},
		{"application/octet-stream", "a", "YQ==", true},
		{"", "a", "YQ==", true},
		{"application/octet-stream", "", "", false},
	} {
		r := httptest.NewRequest("POST", "/", nil)
		r.Header.Set("Content-Type", test.contentType)
		e := payload(r, &template.Route{}, nil, []byte(test.body), lambda.NewID(), noon)
		if e.Body != test.want || e.IsBase64Encoded != test.encoded {
			t.Errorf("%s %q: %q %v", test.contentType, test.body, e.Body, e.IsBase64Encoded)
		}
	}
	// Live gateways cut the decoded path at a question mark.
	if e := payload(httptest.NewRequest("GET", "/a%3Fb?c", nil), &template.Route{}, nil, nil, lambda.NewID(), noon); e.RawPath != "/a" || e.RawQueryString != "c" {
		t.Errorf("%q %q", e.RawPath, e.RawQueryString)
	}
}

func TestGatewayRefusals(t *testing.T) {
	now := noon
	g := &Gateway{
		routes: []template.Route{
			{Method: "ANY", Path: "/open", Function: "echo", Timeout: time.Second},
			{Method: "GET", Path: "/slow", Function: "slow", Timeout: time.Millisecond},
			{Method: "GET", Path: "/failing", Function: "failing", Timeout: time.Second},
			{Method: "GET", Path: "/closed", Function: "echo", Timeout: time.Second, Authorizer: &template.Authorizer{}},
		},
		limits: newLimits(&template.Stack{Throttle: template.Throttle{Rate: 1, Burst: 10}}),
		tokens: newTokenChecker(func() time.Time { return now }),
		invoke: func(ctx context.Context, function string, _ []byte) ([]byte, error) {
			switch function {
			case "slow":
				<-ctx.Done()
				return nil, ctx.Err()
			case "failing":
				return nil, lambda.Errorf("Error", "no")
			}
			return []byte(`{"statusCode":204}`), nil
		},
		now: func() time.Time { return now }, logf: t.Logf,
	}
	server := httptest.NewServer(g)
	defer server.Close()
	for _, test := range []struct {
		method, path string
		body         io.Reader
		header       string
		status       int
		want         string
	}{
		// Without a type a body is sent in Base64, a third longer than it is.
		{"POST", "/open", bytes.NewReader(make([]byte, lambda.MaxPayload/4*3-4096)), "", 204, ""},
		{"POST", "/open", bytes.NewReader(make([]byte, lambda.MaxPayload/4*3)), "", 413, `{"message":"Request Entity Too Large"}`},
		{"POST", "/open", bytes.NewReader(make([]byte, maxBody)), "", 413, `{"message":"Request Entity Too Large"}`},
		{"POST", "/open", bytes.NewReader(make([]byte, maxBody+1)), "", 413, `{"message":"Request Entity Too Large"}`},
		{"GET", "/open", nil, strings.Repeat("x", MaxHeaders), 431, `{"message":"Request Header Fields Too Large"}`},
		{"GET", "/none", nil, "", 404, `{"message":"Not Found"}`},
		{"GET", "/closed", nil, "", 401, `{"message":"Unauthorized"}`},
		{"GET", "/slow", nil, "", 503, `{"message":"Service Unavailable"}`},
		{"GET", "/failing", nil, "", 500, `{"message":"Internal Server Error"}`},
		{"GET", "/open", nil, "", 204, ""},
		{"GET", "/open", nil, "", 204, ""},
		{"GET", "/open", nil, "", 429, `{"message":"Too Many Requests"}`},
	} {
		status, body, header := localtest.Fetch(t, test.method, server.URL+test.path, test.body, "X-Long", test.header)
		if status != test.status || body != test.want {
			t.Errorf("%s %s: %d %s, want %d %s", test.method, test.path, status, body, test.status, test.want)
		}
		if status == 401 && header.Get("Www-Authenticate") != "Bearer" {
			t.Errorf("WWW-Authenticate: %q", header.Get("Www-Authenticate"))
		}
		if header.Get("Apigw-Requestid") == "" {
			t.Error("no request id")
		}
	}
	now = now.Add(time.Second)
	if status, _, _ := localtest.Fetch(t, "GET", server.URL+"/open", nil); status != 204 {
		t.Errorf("a second later: %d", status)
	}
}

// What Go escapes for HTML counts as it is against Lambda's limit.
func TestEncode(t *testing.T) {
	e := payload(httptest.NewRequest("POST", "/", nil), &template.Route{}, nil, nil, lambda.NewID(), noon)
	e.Body = "<&>"
	if raw := localtest.Must[[]byte](t)(encode(e)); !bytes.Contains(raw, []byte(`"body":"<&>"`)) {
		t.Errorf("the event is %s", raw)
	}
}

// A flood of anonymous requests on one route's limit leaves the limits of the others.
func TestLimitsOfRoutes(t *testing.T) {
	stack := localtest.Must[*template.Stack](t)(template.Read("../../../template.yaml", map[string]string{
		"PublicUrl": "http://localhost:1", "OidcIssuer": "http://localhost:2", "OidcAudience": "hub", "SenderAddress": "hub@agencyhub.test",
		"AccessRateLimit": "2", "AccessBurstLimit": "3", "ApiRateLimit": "4", "ApiBurstLimit": "5", "PagesRateLimit": "6", "PagesBurstLimit": "7",
	}, nil))
	const account = "/v1/accounts/acct_00000000000000000000000000"
	classes := map[string]struct {
		burst, rate int
		status      int // of a request without a token
		calls       []string
	}{
		"access of persons":      {3, 2, 401, []string{"GET " + account + "/access"}},
		"access of the platform": {3, 2, 401, []string{"POST /v1/platform/access"}},
		"the API's other calls": {5, 4, 401, []string{
			"GET /v1/me", "POST /v1/accounts", "POST " + account + "/access", "GET /v1/nothing", "PUT /v1/platform/accounts/acct_0", "DELETE /v1/me",
		}},
		"pages": {7, 6, 204, []string{"GET /", "POST /me", "GET /static/1/app.js", "GET /v2/me", "GET /nowhere", "GET /v1"}},
	}
	for flooded := range classes {
		now := noon
		g := New(stack, func(context.Context, string, []byte) ([]byte, error) { return []byte(`{"statusCode":204}`), nil }, func() time.Time { return now }, t.Logf)
		// passed returns how many of n requests of a class get past its limit.
		passed := func(class string, n int) (passed int) {
			for i := range n {
				method, path, _ := strings.Cut(classes[class].calls[i%len(classes[class].calls)], " ")
				w := httptest.NewRecorder()
				g.ServeHTTP(w, httptest.NewRequest(method, path, nil))
				switch w.Code {
				case classes[class].status:
					passed++
				case http.StatusTooManyRequests:
				default:
					t.Errorf("%s %s: %d", method, path, w.Code)
				}
			}
			return passed
		}
		if n := passed(flooded, 60); n != classes[flooded].burst {
			t.Errorf("a flood of %s: %d pass, want %d", flooded, n, classes[flooded].burst)
		}
		for other, c := range classes {
			if other == flooded {
				continue
			}
			if n := passed(other, c.burst); n != c.burst {
				t.Errorf("a flood of %s leaves %d of %d of %s", flooded, n, c.burst, other)
			}
		}
		now = now.Add(time.Second)
		if n := passed(flooded, 60); n != classes[flooded].rate {
			t.Errorf("%s a second later: %d pass, want %d", flooded, n, classes[flooded].rate)
		}
	}
}

func TestWriteResponse(t *testing.T) {
	for _, test := range []struct {
		answer string
		status int
		body   string
		header http.Header
		wrong  bool
	}{
		{`{"statusCode":201,"headers":{"content-type":"a/b","x":1},"cookies":["a=1","b=2"],"body":"hi"}`, 201, "hi",
			http.Header{"Content-Type": {"a/b"}, "X": {"1"}, "Set-Cookie": {"a=1", "b=2"}}, false},
		{`{"statusCode":200,"body":"/w==","isBase64Encoded":true,"headers":{"content-type":"a/b","connection":"close"}}`, 200, "\xff", http.Header{"Content-Type": {"a/b"}}, false},
		{`{"statusCode":200,"body":"x"}`, 200, "x", http.Header{"Content-Type": {"text/plain;charset=UTF-8"}}, false},
		{`{"hello":1}`, 200, `{"hello":1}`, http.Header{"Content-Type": {"application/json"}}, false},
		{`"text"`, 200, `"text"`, http.Header{"Content-Type": {"application/json"}}, false},
		{`{"statusCode":204}`, 204, "", http.Header{}, false},
		{`{"statusCode":"many"}`, 0, "", nil, true},
		{`{"statusCode":20}`, 0, "", nil, true},
		{`{"statusCode":200,"body":"?","isBase64Encoded":true}`, 0, "", nil, true},
		{`nonsense`, 0, "", nil, true},
	} {
		w := httptest.NewRecorder()
		if err := writeResponse(w, []byte(test.answer)); (err != nil) != test.wrong {
			t.Errorf("%s: %v", test.answer, err)
		} else if err == nil {
			got := fmt.Sprint(w.Code, w.Body.String(), w.Header())
			if want := fmt.Sprint(test.status, test.body, test.header); got != want {
				t.Errorf("%s: %s, want %s", test.answer, got, want)
			}
		}
	}
}
