package gateway

import (
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"agencyhub/infra/local/localtest"
	"agencyhub/infra/local/template"
)

func TestMatch(t *testing.T) {
	keys := []template.Route{
		{Method: "GET", Path: "/pets/dog/1"}, {Method: "GET", Path: "/pets/dog/{id}"}, {Method: "GET", Path: "/pets/{proxy+}"},
		{Method: "ANY", Path: "/pets/dog/{id}"}, {Method: "ANY", Path: "/v1/{proxy+}"}, {Method: "GET", Path: "/v1/me"},
		{Method: "HEAD", Path: "/v1/head"}, {Method: "GET", Path: "/v1/head"}, {Method: "POST", Path: "/only"}, {Method: "GET", Path: "/"},
	}
	fallback := append([]template.Route{{}}, keys...)
	for _, test := range []struct {
		routes       []template.Route
		method, path string
		want         string
		parameters   map[string]string
	}{
		// The examples of the HTTP API's own documentation.
		{fallback, "GET", "/pets/dog/1", "GET /pets/dog/1", nil},
		{fallback, "GET", "/pets/dog/2", "GET /pets/dog/{id}", map[string]string{"id": "2"}},
		{fallback, "GET", "/pets/cat/1", "GET /pets/{proxy+}", map[string]string{"proxy": "cat/1"}},
		{fallback, "POST", "/test/5", "$default", nil},
		{fallback, "POST", "/pets/dog/1", "ANY /pets/dog/{id}", map[string]string{"id": "1"}},
		{fallback, "POST", "/pets/cat/1", "$default", nil},
		{keys, "POST", "/pets/cat/1", "", nil},
		{keys, "GET", "/v1/me", "GET /v1/me", nil},
		{keys, "PUT", "/v1/me", "ANY /v1/{proxy+}", map[string]string{"proxy": "me"}},
		{keys, "HEAD", "/v1/me", "ANY /v1/{proxy+}", map[string]string{"proxy": "me"}},
		{keys, "HEAD", "/v1/head", "HEAD /v1/head", nil},
		{keys, "HEAD", "/", "", nil},
		{keys, "GET", "/", "GET /", nil},
		{keys, "GET", "/only", "", nil},
		{keys, "POST", "/only/", "", nil},
		{keys, "POST", "//only", "", nil},
		{keys, "GET", "/v1/", "", nil},
		{keys, "GET", "/v1", "", nil},
		{keys, "GET", "/v1//x", "ANY /v1/{proxy+}", map[string]string{"proxy": "/x"}},
		{keys, "GET", "/pets/dog/", "GET /pets/{proxy+}", map[string]string{"proxy": "dog/"}},
		{keys, "GET", "/pets/dog/a%2Fb%25%23", "GET /pets/dog/{id}", map[string]string{"id": "a/b%#"}},
		{keys, "GET", "/v1/m%65", "GET /v1/me", nil},
	} {
		r, parameters := match(test.routes, test.method, test.path)
		got := ""
		if r != nil {
			got = r.Key()
		}
		if got != test.want || !maps.Equal(parameters, test.parameters) {
			t.Errorf("%s %s: %q %v\n%s", test.method, test.path, got, parameters, cmp.Diff(test.parameters, parameters))
		}
	}
}

// Requests reach the functions of the product's own template.
func TestMatchTheProductsTemplate(t *testing.T) {
	set := map[string]string{"PublicUrl": "http://localhost:1", "OidcIssuer": "http://localhost:2", "OidcAudience": "hub", "SenderAddress": "hub@agencyhub.test"}
	st := localtest.Must[*template.Stack](t)(template.Read("../../../template.yaml", set, nil))
	for request, want := range map[string]string{
		"GET /v1/me":           "AccountsFunction",
		"GET /v1/nothing/here": "AccountsFunction",
		"PUT /v1/me":           "AccountsFunction",
		"POST /v1/agencies/acct_1/connections/con_1/leave": "ConnectionsFunction",
		"POST /v1/accounts/acct_1/team/acct_2/accept":      "ApprovalsFunction",
		"GET /requests/con_1":                              "ConsoleFunction",
		"DELETE /v1/accounts/acct_1/team/per_1":            "TeamFunction",
		"GET /v1/accounts/acct_1/access":                   "AccessFunction",
	} {
		method, path, _ := strings.Cut(request, " ")
		r, _ := match(st.Routes, method, path)
		if r == nil || r.Function != want {
			t.Errorf("%s leads to %+v, want %s", request, r, want)
		}
		if open := strings.HasPrefix(path, "/requests/"); r != nil && open != (r.Authorizer == nil) {
			t.Errorf("%s: its authorizer is %+v", request, r.Authorizer)
		}
	}
}
