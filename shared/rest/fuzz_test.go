package rest

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/events"
	"github.com/danielgtaylor/huma/v2"
	"github.com/google/go-cmp/cmp"

	"agencyhub/shared/agency"
)

// What arrives at a handler is what the event says: path, query, cookies, body and header,
// the body in either form.
func FuzzRequest(f *testing.F) {
	f.Add("/v1/a%2Fb", "x=1&x=2", "a=1", "b=2", "If-Match", `"1"`, []byte("{}"))
	f.Fuzz(func(t *testing.T, path, query, cookie1, cookie2, name, value string, body []byte) {
		e := events.APIGatewayV2HTTPRequest{RawPath: path, RawQueryString: query, Headers: map[string]string{name: value, "host": "evil.test"}, Body: string(body)}
		e.RequestContext.HTTP.Method, e.RequestContext.DomainName = http.MethodPost, "hub.example.com"
		for _, c := range []string{cookie1, cookie2} {
			if c != "" {
				e.Cookies = append(e.Cookies, c)
			}
		}
		r := request(t.Context(), e)
		e.Body, e.IsBase64Encoded = base64.StdEncoding.EncodeToString(body), true
		coded := request(t.Context(), e)
		for form, r := range map[string]*http.Request{"text": r, "base 64": coded} {
			got, err := io.ReadAll(r.Body)
			if err != nil || !bytes.Equal(got, body) || r.ContentLength != int64(len(body)) {
				t.Errorf("%s: the body %q is %q with the length %d, %v", form, body, got, r.ContentLength, err)
			}
		}
		want, err := url.PathUnescape(path)
		if err != nil {
			want = path
		}
		if r.URL.Path != want || r.URL.RawQuery != query || r.Host != "hub.example.com" || r.URL.Host != "" {
			t.Errorf("%q?%q is %q?%q at %q", path, query, r.URL.Path, r.URL.RawQuery, r.Host)
		}
		if r.Header.Get("Host") != "" {
			t.Errorf("a handler reads the header Host: %q", r.Header)
		}
		if back, err := url.PathUnescape(r.URL.EscapedPath()); err != nil || back != want {
			t.Errorf("%q is written as %q, which is %q", path, r.URL.EscapedPath(), back)
		}
		if values, err := url.ParseQuery(query); err == nil {
			if diff := cmp.Diff(values, r.URL.Query()); diff != "" {
				t.Error(diff)
			}
		}
		checkFuzzedHeaders(t, r, e.Cookies, name, value)
	})
}

func checkFuzzedHeaders(t *testing.T, r *http.Request, cookies []string, name, value string) {
	t.Helper()
	var want []string
	if len(cookies) > 0 {
		want = []string{strings.Join(cookies, "; ")}
	} else if http.CanonicalHeaderKey(name) == "Cookie" {
		want = []string{value}
	}
	if got := r.Header.Values("Cookie"); !slices.Equal(got, want) {
		t.Errorf("the cookies %q are %q", want, got)
	}
	switch http.CanonicalHeaderKey(name) {
	case "Host", "Cookie":
	default:
		if got := r.Header.Values(name); !slices.Equal(got, []string{value}) {
			t.Errorf("the header %q: %q is %q", name, value, got)
		}
	}
}

// What a handler writes is what the gateway gets: status, headers, cookies and body.
func FuzzResponse(f *testing.F) {
	f.Add(200, "ETag", `"1"`, "a=1", []byte("\xff\x00"))
	f.Fuzz(func(t *testing.T, status int, name, value, cookie string, body []byte) {
		w := newRecorder()
		w.WriteHeader(status)
		w.Header().Set(name, value)
		w.Header().Add("Set-Cookie", cookie)
		_, _ = w.Write(body)
		out := w.response(http.MethodGet)
		got := []byte(out.Body)
		if out.IsBase64Encoded {
			var err error
			if got, err = base64.StdEncoding.DecodeString(out.Body); err != nil {
				t.Fatal(err)
			}
		}
		none := status == http.StatusNoContent || status == http.StatusNotModified
		if out.StatusCode != status || !none && !bytes.Equal(got, body) || none && len(got) > 0 || !utf8.ValidString(out.Body) {
			t.Errorf("%d %q is sent as %+v", status, body, out)
		}
		key := http.CanonicalHeaderKey(name)
		if key != "Set-Cookie" && out.Headers[key] != value && !(key == "Content-Type" && value == "") {
			t.Errorf("the header %q: %q is %q", name, value, out.Headers)
		}
		if !slices.Contains(out.Cookies, cookie) {
			t.Errorf("the cookie %q is %q", cookie, out.Cookies)
		}
	})
}

// formBody is a body without further rules, so that encoding/json can be its reference.
type formBody struct {
	Name   string           `json:"name,omitempty"`
	Number int64            `json:"number,omitempty"`
	Part   float64          `json:"part,omitempty"`
	On     bool             `json:"on,omitempty"`
	List   []string         `json:"list,omitempty" nullable:"false"`
	Flags  map[string]int32 `json:"flags,omitempty"`
	Inner  *struct {
		Deep string `json:"deep,omitempty"`
	} `json:"inner,omitempty"`
}

type formInput struct{ Body formBody }

// A body is accepted exactly if it is valid UTF-8, one JSON object without doubled or
// unknown names, null and too deep nesting, and encoding/json reads it. The handler gets
// what encoding/json reads.
func FuzzBody(f *testing.F) {
	f.Add([]byte(`{"name":"x","flags":{"a":1}}`))
	var got *formBody
	a := New("forms")
	Handle(a, "POST /v1/forms", huma.Operation{OperationID: "make-form"}, func(_ context.Context, _ agency.Actor, in *formInput) (*none, error) {
		got = &in.Body
		return &none{}, nil
	})
	f.Fuzz(func(t *testing.T, body []byte) {
		got = nil
		e := event(t, http.MethodPost, "/v1/forms", base64.StdEncoding.EncodeToString(body))
		e.IsBase64Encoded, e.RawQueryString = true, ""
		response, err := a.Invoke(t.Context(), e)
		if err != nil {
			t.Fatal(err)
		}
		want, reason := readReference(body)
		if (got != nil) != (reason == "") {
			t.Fatalf("%q: %d %s; the reference says %q", body, response.StatusCode, response.Body, reason)
		}
		if got == nil {
			if response.StatusCode < 400 || response.StatusCode >= 500 {
				t.Errorf("%q: %d %s", body, response.StatusCode, response.Body)
			}
			return
		}
		if diff := cmp.Diff(want, *got); diff != "" {
			t.Errorf("%q is read as another value: %s", body, diff)
		}
	})
}

// readReference reads a body by encoding/json and the further rules, and says why it is to
// be refused.
func readReference(body []byte) (value formBody, reason string) {
	if len(body) == 0 || len(body) > maxBody || !utf8.Valid(body) {
		return value, "empty, large or no UTF-8"
	}
	if why := findFault(json.NewDecoder(bytes.NewReader(body))); why != "" {
		return value, why
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&value); err != nil {
		return value, err.Error()
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return value, "something follows"
	}
	return value, ""
}

// findFault looks through the tokens of a JSON object for doubled names, null, too deep
// nesting, and names of an object that are not among its known ones. encoding/json reads
// known names in any case.
func findFault(d *json.Decoder) string {
	type level struct {
		isObject, isValue bool
		// key is the name before the object or list, and last that before a value.
		key, last string
		names     map[string]bool
	}
	known := map[string][]string{"": {"name", "number", "part", "on", "list", "flags", "inner"}, "inner": {"deep"}}
	var levels []*level
	for {
		token, err := d.Token()
		if err != nil {
			return "no JSON: " + err.Error()
		}
		var at *level
		if len(levels) > 0 {
			at = levels[len(levels)-1]
		}
		if name, ok := token.(string); ok && at != nil && at.isObject && !at.isValue {
			names, isStruct := known[at.key]
			if isStruct && len(levels) <= 2 && !slices.Contains(names, name) || at.names[name] {
				return "doubled or unknown: " + name
			}
			at.names[name], at.isValue, at.last = true, true, name
			continue
		}
		switch token {
		case nil:
			return "null"
		case json.Delim('{'), json.Delim('['):
			if len(levels) > maxDepth {
				return "too deep"
			}
			key := ""
			if at != nil {
				at.isValue, key = false, at.last
			}
			levels = append(levels, &level{isObject: token == json.Delim('{'), key: key, names: map[string]bool{}})
		case json.Delim('}'), json.Delim(']'):
			levels = levels[:len(levels)-1]
		default:
			if at == nil {
				return "no object"
			}
			at.isValue = false
		}
		if len(levels) == 0 {
			return ""
		}
	}
}
