package main

import (
	"bytes"
	"compress/gzip"
	"html"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

// must returns a function that takes a call's results. It fails the test on an error.
func must[T any](t *testing.T) func(T, error) T {
	t.Helper()
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func TestFilesAreFresh(t *testing.T) {
	root := must[string](t)(moduleRoot(t.Context()))
	for name, want := range must[map[string][]byte](t)(generate(t.Context(), root)) {
		kept := must[[]byte](t)(os.ReadFile(filepath.Join(root, name)))
		if strings.HasSuffix(name, ".gz") {
			kept, want = unzip(t, kept), unzip(t, want)
		}
		if diff := cmp.Diff(string(kept), string(want)); diff != "" {
			t.Errorf("%s is stale: run `make openapi` and commit what it writes.\n%s", name, diff)
		}
	}
}

func unzip(t *testing.T, zipped []byte) []byte {
	t.Helper()
	z := must[*gzip.Reader](t)(gzip.NewReader(bytes.NewReader(zipped)))
	return must[[]byte](t)(io.ReadAll(z))
}

// TestTemplateServesTheDocument compares the operations that functions describe with
// their routes in the template.
func TestTemplateServesTheDocument(t *testing.T) {
	root := must[string](t)(moduleRoot(t.Context()))
	described := []string{}
	for function, fragment := range must[map[string][]byte](t)(fragmentsOf(t.Context(), root)) {
		part := must[document](t)(merge(map[string][]byte{function: fragment}))
		for route := range strings.Lines(string(part.routes())) {
			described = append(described, strings.TrimSpace(route)+" by "+function)
		}
	}
	slices.Sort(described)
	if diff := cmp.Diff(templateRoutes(t, filepath.Join(root, "template.yaml")), described); diff != "" {
		t.Errorf("template.yaml (-) and the functions (+) do not agree:\n%s", diff)
	}
}

// templateRoutes returns the template's routes of the API: under /v1, for one method
// each, without the console's.
func templateRoutes(t *testing.T, file string) []string {
	t.Helper()
	var template struct {
		Resources map[string]struct {
			Type       string `yaml:"Type"`
			Properties struct {
				Events yaml.Node `yaml:"Events"`
			} `yaml:"Properties"`
		} `yaml:"Resources"`
	}
	if err := yaml.Unmarshal(must[[]byte](t)(os.ReadFile(file)), &template); err != nil {
		t.Fatal(err)
	}
	routes := []string{}
	for id, resource := range template.Resources {
		function := strings.ToLower(strings.TrimSuffix(id, "Function"))
		if resource.Type != "AWS::Serverless::Function" || resource.Properties.Events.IsZero() || function == "console" {
			continue
		}
		var events map[string]struct {
			Type       string `yaml:"Type"`
			Properties struct {
				Method string `yaml:"Method"`
				Path   string `yaml:"Path"`
			} `yaml:"Properties"`
		}
		if err := resource.Properties.Events.Decode(&events); err != nil {
			t.Fatalf("%s: %v", id, err)
		}
		for _, event := range events {
			route := event.Properties
			if event.Type == "HttpApi" && strings.HasPrefix(route.Path, "/v1/") && !strings.EqualFold(route.Method, "ANY") {
				routes = append(routes, strings.ToUpper(route.Method)+" "+route.Path+" by "+function)
			}
		}
	}
	slices.Sort(routes)
	return routes
}

func TestMerge(t *testing.T) {
	const fragment = `{"openapi":"3.1.0","info":{"title":"x","version":"1"},
		"paths":{"/v1/b":{"post":{"operationId":"make-b"},"get":{"operationId":"get-b"}},"/v1/a":{"get":{"operationId":"get-a"}}},
		"components":{"schemas":{"Problem":{"type":"object","minimum":1}},"securitySchemes":{"oidc":{"type":"http"}}}}`
	merged := must[document](t)(merge(map[string][]byte{"one": []byte(fragment),
		"two": []byte(`{"openapi":"3.1.0","info":{"title":"y","version":"1"},"paths":{"/v1/b":{"delete":{"operationId":"end-b"}}},
			"components":{"schemas":{"Problem":{"type":"object","minimum":1}}}}`)}))
	if got, want := string(merged.routes()), "GET /v1/a\nDELETE /v1/b\nGET /v1/b\nPOST /v1/b\n"; got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	for name, other := range map[string]string{
		"both one and two serve GET /v1/a":                          `"paths":{"/v1/a":{"get":{"operationId":"x"}}}`,
		`operation id "get-a"`:                                      `"paths":{"/v1/c":{"get":{"operationId":"get-a"}}}`,
		"one and two describe the schema Problem differently":       `"components":{"schemas":{"Problem":{"type":"string"}}}`,
		"one and two describe the security scheme oidc differently": `"components":{"securitySchemes":{"oidc":{"type":"apiKey"}}}`,
		`unknown field "webhooks"`:                                  `"webhooks":{}`,
	} {
		_, err := merge(map[string][]byte{"one": []byte(fragment), "two": []byte(`{"openapi":"3.1.0",` + other + `}`)})
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := merge(map[string][]byte{"one": []byte(`{"openapi":"3.0.3"}`)}); err == nil {
		t.Error("another version of OpenAPI is merged")
	}
}

// A use case says what it refuses; what it says is what it does, and other use cases can
// be named in place of a list.
func TestErrorsOfUseCases(t *testing.T) {
	s := &source{
		docs: map[string]string{
			useCase + "Open":   "Open opens. Errors: Invalid, Forbidden (another's),\nNotFound.\n",
			useCase + "Close":  "Close closes. Errors: as Open's, but for NotFound; and Conflict.\n",
			useCase + "See":    "See sees. Errors: none.\n",
			useCase + "Silent": "Silent says nothing.\n",
			useCase + "Lies":   "Lies lies. Errors: Conflict.\n",
		},
		uses:  map[string][]string{useCase + "Open": {"may", "find"}, useCase + "Close": {"may", "find", "state"}},
		codes: map[string][]string{"may": {"forbidden"}, "find": {"not_found"}, "state": {"conflict"}},
		named: map[string]string{"Invalid": "invalid", "Forbidden": "forbidden", "NotFound": "not_found", "Conflict": "conflict"},
	}
	for method, want := range map[string]string{"Open": "forbidden not_found", "Close": "forbidden conflict", "See": ""} {
		if got := strings.Join(must[[]string](t)(s.errorsOf(method)), " "); got != want {
			t.Errorf("%s: %q, want %q", method, got, want)
		}
	}
	for method, want := range map[string]string{"Silent": "does not say Errors:", "Lies": "names Conflict, which nothing in it does"} {
		if _, err := s.errorsOf(method); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", method, err)
		}
	}
}

// Each operation names every status that it can answer with, and each refusal its codes.
func TestResponses(t *testing.T) {
	d := document{
		Paths: map[string]map[string]any{"/v1/a": {
			"get": object{"responses": object{"200": object{}, "default": object{}}, "security": []any{object{"oidc": []any{}}}},
			"put": object{"responses": object{"200": object{}}, "security": []any{object{"platform": []any{}}}},
		}},
		Components: components{Responses: map[string]any{}, Schemas: map[string]any{}},
	}
	if err := d.addResponses(map[string][]string{"GET /v1/a": {"cooling", "forbidden", "conflict", "last_owner"}}); err == nil {
		t.Error("an operation of which nothing is known has responses")
	}
	if err := d.addResponses(map[string][]string{"GET /v1/a": {"cooling", "forbidden", "conflict", "last_owner"}, "PUT /v1/a": nil}); err != nil {
		t.Fatal(err)
	}
	statuses := func(method string) string {
		return strings.Join(slices.Sorted(maps.Keys(d.Paths["/v1/a"][method].(object)["responses"].(object))), " ")
	}
	if got, want := statuses("get"), "200 400 401 403 409 413 415 429 431 500 503 504"; got != want {
		t.Errorf("GET: %s, want %s", got, want)
	}
	if got, want := statuses("put"), "200 400 401 403 413 415 429 431 500 503 504"; got != want {
		t.Errorf("PUT: %s, want %s", got, want)
	}
	for _, name := range []string{"Status409-conflict-last_owner", "Status429-cooling", "Status429", "Status403-forbidden", "Status431"} {
		if d.Components.Responses[name] == nil {
			t.Errorf("there is no %s among %q", name, slices.Sorted(maps.Keys(d.Components.Responses)))
		}
	}
}

// TestReferenceNamesEveryChoice holds the page /docs to the document: what a value can be
// is on it.
func TestReferenceNamesEveryChoice(t *testing.T) {
	root := must[string](t)(moduleRoot(t.Context()))
	var whole map[string]any
	if err := yaml.Unmarshal(must[[]byte](t)(os.ReadFile(filepath.Join(root, documentFile))), &whole); err != nil {
		t.Fatal(err)
	}
	page := html.UnescapeString(string(unzip(t, must[[]byte](t)(os.ReadFile(filepath.Join(root, servedReference))))))
	choices := 0
	var walk func(node any, path string)
	walk = func(node any, path string) {
		switch node := node.(type) {
		case []any:
			for _, part := range node {
				walk(part, path)
			}
		case map[string]any:
			if words := enumOf(node); words != "" {
				if choices++; !strings.Contains(page, words) {
					t.Errorf("%s: the page does not say %q", path, words)
				}
			}
			for key, part := range node {
				// What only narrows a value down repeats some of its choices.
				if !slices.Contains([]string{"not", "oneOf", "responses"}, key) {
					walk(part, path+"/"+key)
				}
			}
		}
	}
	walk(whole, "")
	if choices < 20 || !strings.Contains(page, "object of one of none, view, edit") {
		t.Errorf("%d choices", choices)
	}
	for _, want := range []string{"forbidden</code>, or from API Gateway, without a code", "at least 1", `id="schema-EmailAddress"`} {
		if !strings.Contains(page, want) {
			t.Errorf("the page has no %q", want)
		}
	}
}
