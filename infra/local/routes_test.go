package main

import (
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMatch(t *testing.T) {
	keys := []route{
		{method: "GET", path: "/pets/dog/1"}, {method: "GET", path: "/pets/dog/{id}"}, {method: "GET", path: "/pets/{proxy+}"},
		{method: "ANY", path: "/pets/dog/{id}"}, {method: "ANY", path: "/v1/{proxy+}"}, {method: "GET", path: "/v1/me"},
		{method: "HEAD", path: "/v1/head"}, {method: "GET", path: "/v1/head"}, {method: "POST", path: "/only"}, {method: "GET", path: "/"},
	}
	fallback := append([]route{{}}, keys...)
	for _, test := range []struct {
		routes       []route
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
			got = r.key()
		}
		if got != test.want || !maps.Equal(parameters, test.parameters) {
			t.Errorf("%s %s: %q %v\n%s", test.method, test.path, got, parameters, cmp.Diff(test.parameters, parameters))
		}
	}
}

func TestCheckPath(t *testing.T) {
	for path, ok := range map[string]bool{"": true, "/": true, "/a/{b}/{c+}": true, "a": false, "/{a+}/b": false, "/{a": false, "/a}": false} {
		if err := checkPath(path); (err == nil) != ok {
			t.Errorf("%q: %v", path, err)
		}
	}
}
