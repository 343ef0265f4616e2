package rest

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"agencyhub/shared/agency"
)

func TestEventToRequest(t *testing.T) {
	tests := map[string]struct {
		rawPath, rawQuery   string
		path, escaped, list string
	}{
		"plain":             {"/v1/a", "", "/v1/a", "/v1/a", ""},
		"encoded slash":     {"/v1/a%2Fb", "", "/v1/a/b", "/v1/a%2Fb", ""},
		"encoded percent":   {"/v1/a%25", "", "/v1/a%", "/v1/a%25", ""},
		"decoded percent":   {"/v1/a%", "", "/v1/a%", "/v1/a%25", ""},
		"decoded percent 2": {"/v1/50%zz", "", "/v1/50%zz", "/v1/50%25zz", ""},
		"decoded hash":      {"/v1/a#b", "x=1", "/v1/a#b", "/v1/a%23b", ""},
		"decoded question":  {"/v1/a?b", "x=1", "/v1/a?b", "/v1/a%3Fb", ""},
		"encoded hash":      {"/v1/a%23b", "", "/v1/a#b", "/v1/a%23b", ""},
		"a space":           {"/v1/a b", "", "/v1/a b", "/v1/a%20b", ""},
		"not ASCII":         {"/v1/é", "", "/v1/é", "/v1/%C3%A9", ""},
		"repeated values":   {"/v1/a", "x=1&x=2&x=a%26b", "/v1/a", "/v1/a", `["1","2","a\u0026b"]`},
		"two slashes":       {"//evil.test/a", "", "//evil.test/a", "//evil.test/a", ""},
		"dots":              {"/a/../b", "", "/a/../b", "/a/../b", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			e := event(t, "GET", "", "")
			e.RawPath, e.RawQueryString = test.rawPath, test.rawQuery
			r := request(t.Context(), e)
			list := ""
			if values := r.URL.Query()["x"]; len(values) > 1 {
				encoded, err := json.Marshal(values)
				if err != nil {
					t.Fatal(err)
				}
				list = string(encoded)
			}
			got := []string{r.URL.Path, r.URL.EscapedPath(), r.URL.RawQuery, list, r.URL.Host}
			if diff := cmp.Diff([]string{test.path, test.escaped, test.rawQuery, test.list, ""}, got); diff != "" {
				t.Error(diff)
			}
		})
	}

	e := event(t, "POST", "/v1/a", base64.StdEncoding.EncodeToString([]byte{0xff, 0x00}))
	e.IsBase64Encoded = true
	r := request(t.Context(), e)
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]any{
		"host": r.Host, "remote": r.RemoteAddr, "body": body, "length": r.ContentLength,
		"If-None-Match": r.Header.Values("If-None-Match"), "Host": r.Header.Values("Host"),
		"Cookie": r.Header.Values("Cookie"), "cookies": len(r.Cookies()),
	}
	want := map[string]any{
		"host": "hub.example.com", "remote": "192.0.2.7", "body": []byte{0xff, 0x00}, "length": int64(2),
		"If-None-Match": []string{`"a", W/"b"`}, "Host": []string(nil),
		"Cookie": []string{"theme=dark; seen=1"}, "cookies": 2,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestPathValues(t *testing.T) {
	for rawPath, id := range map[string]string{
		"/requests/con_1":  "con_1",
		"/requests/a%2Fb":  "a/b",
		"/requests/a%25b":  "a%b",
		"/requests/a#b":    "a#b",
		"/requests/a?b":    "a?b",
		"/requests/..":     "..",
		"/requests/%2e%2e": "..",
	} {
		e := event(t, "GET", "", "")
		e.RawPath, e.RawQueryString = rawPath, ""
		response := invoke(t, e)
		if want := "GET " + id + " theme=dark; seen=1"; response.StatusCode != 200 || response.Body != want {
			t.Errorf("%s: %d %q, want %q", rawPath, response.StatusCode, response.Body, want)
		}
	}
}

func TestResponses(t *testing.T) {
	page := events.APIGatewayV2HTTPResponse{
		StatusCode: 200,
		Headers:    headers("Content-Type", "text/html; charset=utf-8", "Cache-Control", "no-cache"),
		Cookies:    []string{"a=1", "b=2"},
		Body:       "POST x theme=dark; seen=1",
	}
	e := event(t, "POST", "/requests/x", "a=b")
	e.RequestContext.Authorizer = nil // a page needs no actor
	if diff := cmp.Diff(page, invoke(t, e)); diff != "" {
		t.Error(diff)
	}
	page.Body = ""
	if diff := cmp.Diff(page, invoke(t, event(t, "HEAD", "/requests/x", ""))); diff != "" {
		t.Error(diff)
	}
	binary := invoke(t, event(t, "GET", "/bytes", ""))
	if body, err := base64.StdEncoding.DecodeString(binary.Body); err != nil || !binary.IsBase64Encoded || string(body) != "\xff\x00\xfe" {
		t.Errorf("%v %+v", err, binary)
	}
	e = event(t, "POST", "/v1/things/a", "***")
	e.IsBase64Encoded = true
	if p := problem(t, invoke(t, e)); p.Status != 400 || p.Code != "invalid" {
		t.Errorf("a body that is no base 64: %+v", p)
	}
}

// FuzzInvoke looks for an event that breaks Invoke. Every answer must be one that the
// gateway can send, and 500 only from the handlers that fail on purpose.
func FuzzInvoke(f *testing.F) {
	for _, path := range []string{"/v1/things", "/v1/things/a%2Fb", "/v1/things/%", "//", "", "/requests/#?%zz", "/v1/things/a/poke"} {
		for _, method := range []string{"GET", "POST", ""} {
			f.Add(method, path, "as=x&limit=%31", "application/json", `{"name":"x","areas":{"a":null},"until":"2030-01-31T12:00:00Z"}`, false)
		}
	}
	f.Add("POST", "/v1/things/a", "", "application/json;q=\x00", "bm8=", true)
	f.Add("POST", "/v1/things/a", "a=1;b=2&%", "json", "\xff{\"a\":1}{", false)
	a := testAPI()
	f.Fuzz(func(t *testing.T, method, path, query, kind, body string, encoded bool) {
		e := event(t, method, "", body)
		e.RawPath, e.RawQueryString, e.IsBase64Encoded = path, query, encoded
		e.Headers["content-type"] = kind
		response, err := a.Invoke(t.Context(), e)
		if err != nil {
			t.Fatal(err)
		}
		if len(path) < 8 || path[:8] != "/v1/fail" {
			if response.StatusCode == http.StatusInternalServerError {
				t.Errorf("%s %q?%q %q is an internal error: %s", method, path, query, body, response.Body)
			}
		}
		if response.StatusCode < 200 || response.StatusCode > 599 || !utf8.ValidString(response.Body) {
			t.Errorf("the gateway cannot send this: %+v", response)
		}
	})
}

func TestTheSpecificRouteServes(t *testing.T) {
	for _, order := range [][]string{{"/a/{x}/c", "/a/{x}/{y}", "/a/b/{y}"}, {"/a/b/{y}", "/a/{x}/{y}", "/a/{x}/c"}} {
		a := New("order")
		for _, path := range order {
			page(a, path, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, path) }))
		}
		for path, want := range map[string]string{"/a/b/c": "/a/b/{y}", "/a/b/d": "/a/b/{y}", "/a/x/c": "/a/{x}/c", "/a/x/d": "/a/{x}/{y}"} {
			if response, err := a.Invoke(t.Context(), event(t, "GET", path, "")); err != nil || response.Body != want {
				t.Errorf("%s is served by %s, %v", path, response.Body, err)
			}
		}
	}
}

// page adds a route with a plain handler, for every method.
func page(a *API, path string, handler http.Handler) {
	a.handler.(*mux).add("", path, handler.ServeHTTP)
}

// A body above the bound is refused by a problem of ours, whatever its size and form, and
// is not decoded to its end.
func TestLargeBodies(t *testing.T) {
	a := testAPI()
	for name, size := range map[string]int{"a byte too many": maxBody + 1, "almost what Lambda takes": 4 << 20} {
		for _, encoded := range []bool{false, true} {
			e := event(t, "POST", anyThing, strings.Repeat(" ", size))
			if encoded {
				e.Body, e.IsBase64Encoded = base64.StdEncoding.EncodeToString([]byte(e.Body)), true
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			response, err := a.Invoke(t.Context(), e)
			runtime.ReadMemStats(&after)
			if err != nil {
				t.Fatal(err)
			}
			p := problem(t, response)
			if p.Status != http.StatusRequestEntityTooLarge || p.Code != agency.Invalid || p.Errors[0].Field != "body" {
				t.Errorf("%s: %+v", name, p)
			}
			if used := after.TotalAlloc - before.TotalAlloc; used > 1<<20 {
				t.Errorf("%s: %d bytes were allocated", name, used)
			}
		}
	}
	e := event(t, "POST", "/v1/things/a/poke", base64.StdEncoding.EncodeToString([]byte(strings.Repeat(" ", maxBody-2)+"{}")))
	e.IsBase64Encoded = true
	if response := invoke(t, e); response.StatusCode != http.StatusNoContent {
		t.Errorf("a body at the bound: %d %s", response.StatusCode, response.Body)
	}
}

// Every answer has the headers that protect it: results, problems and panics.
func TestHeadersOfEveryAnswer(t *testing.T) {
	captureLog(t)
	large := strings.Repeat(" ", maxBody+1)
	for call, status := range map[string]int{
		"GET /v1/things": 200, "POST /v1/things/a/poke": 204, "POST /v1/things/a": 400, "POST /v1/fail/forbidden": 403,
		"GET /v1/nothing": 404, "DELETE /v1/things": 404, "POST /v1/fail/cooling": 429, "POST /v1/fail/unknown": 500,
		"POST /v1/fail/panic": 500, "POST /v1/fail/unavailable": 503, "POST /v1/things/large": 413, "POST /requests/x": 200,
	} {
		method, path, _ := strings.Cut(call, " ")
		body := ""
		if status == 413 {
			body = large
		}
		e := event(t, method, path, body)
		if status == http.StatusNotFound {
			e.RouteKey = "ANY /v1/{proxy+}"
		}
		response := invoke(t, e)
		if response.StatusCode != status {
			t.Errorf("%s: %d %s", call, response.StatusCode, response.Body)
		}
		for name, want := range headers() {
			if got := response.Headers[name]; got != want && (name != "Cache-Control" || path != "/requests/x") {
				t.Errorf("%s: %s is %q", call, name, got)
			}
		}
	}
	e := event(t, "GET", "/v1/things", "")
	e.RequestContext.Authorizer = nil
	if response := invoke(t, e); response.StatusCode != 401 || response.Headers["Strict-Transport-Security"] == "" {
		t.Errorf("without a token: %d %v", response.StatusCode, response.Headers)
	}
}
