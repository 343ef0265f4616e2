package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A document is an OpenAPI document, with only those fields that fragments have.
type document struct {
	OpenAPI    string                    `json:"openapi" yaml:"openapi"`
	Info       info                      `json:"info" yaml:"info"`
	Servers    []server                  `json:"-" yaml:"servers"`
	Tags       []tag                     `json:"-" yaml:"tags"`
	Paths      map[string]map[string]any `json:"paths" yaml:"paths"`
	Components components                `json:"components" yaml:"components"`
}

type info struct {
	Title       string `json:"title" yaml:"title"`
	Version     string `json:"version" yaml:"version"`
	Description string `json:"description,omitempty" yaml:"description,omitempty"`
}

// A server is where the API is served.
type server struct {
	URL         string `yaml:"url"`
	Description string `yaml:"description"`
}

// A tag names a group of operations.
type tag struct {
	Name        string `yaml:"name"`
	Description string `yaml:"description"`
}

// tags are the groups in the order in which they are shown.
var tags = []tag{
	{"access", "Access"}, {"accounts", "Accounts"}, {"team", "Team Members"}, {"approvals", "Requests and invitations"},
	{"clients", "Clients of an agency"}, {"connections", "Connections of an agency"}, {"billing", "Billing"}, {"platform", "The platform’s calls"},
}

type components struct {
	Responses       map[string]any `json:"-" yaml:"responses,omitempty"`
	Schemas         map[string]any `json:"schemas" yaml:"schemas"`
	SecuritySchemes map[string]any `json:"securitySchemes" yaml:"securitySchemes"`
}

// publicURL stands in the document for the address of a deployment. The hub serves the
// document with its own in this place.
const publicURL = "https://hub.example.com"

const description = `The agency side of a platform's accounts.

Every call carries a bearer token of the person who makes it, or of the platform's own software for the
calls under /v1/platform. Every refusal of ours is an application/problem+json with a stable code.
Times are RFC 3339, ids are opaque, and lists are paged: give next of one answer as cursor of the next call.

API Gateway answers some calls before us, with a message and no code. Below /v1, an unknown path is answered
with not_found, and a method that a path does not take with 405 and the header Allow. A call without a token
is answered with 401 before that.

A whole number is written without a decimal point or an exponent: 1, not 1.0 or 1e0.
`

// merge merges fragments, each under its function's name. What two of them describe
// differently, or both claim, is an error that names them.
func merge(fragments map[string][]byte) (document, error) {
	whole := document{
		OpenAPI:    "3.1.0",
		Info:       info{Title: "Agency Hub", Version: "1", Description: description},
		Paths:      map[string]map[string]any{},
		Servers:    []server{{URL: publicURL, Description: "This deployment."}},
		Tags:       tags,
		Components: components{Responses: map[string]any{}, Schemas: map[string]any{}, SecuritySchemes: map[string]any{}},
	}
	ids := map[string]string{}
	from := map[string]string{}
	for _, function := range slices.Sorted(maps.Keys(fragments)) {
		var part document
		d := json.NewDecoder(bytes.NewReader(fragments[function]))
		d.DisallowUnknownFields()
		if err := d.Decode(&part); err != nil {
			return document{}, fmt.Errorf("the fragment of %s: %w", function, err)
		}
		if part.OpenAPI != whole.OpenAPI {
			return document{}, fmt.Errorf("the fragment of %s is of OpenAPI %s, not %s", function, part.OpenAPI, whole.OpenAPI)
		}
		for path, operations := range part.Paths {
			if whole.Paths[path] == nil {
				whole.Paths[path] = map[string]any{}
			}
			for method, operation := range operations {
				route := strings.ToUpper(method) + " " + path
				if other, claimed := from[route]; claimed {
					return document{}, fmt.Errorf("both %s and %s serve %s", other, function, route)
				}
				from[route] = function
				if err := checkTags(route, operation); err != nil {
					return document{}, err
				}
				whole.Paths[path][method] = operation
				id := operationID(operation)
				if ids[id] != "" {
					return document{}, fmt.Errorf("both %s and %s have the operation id %q", ids[id], route, id)
				}
				ids[id] = route
			}
		}
		if err := add(whole.Components.Schemas, part.Components.Schemas, from, "the schema ", function); err != nil {
			return document{}, err
		}
		if err := add(whole.Components.SecuritySchemes, part.Components.SecuritySchemes, from, "the security scheme ", function); err != nil {
			return document{}, err
		}
	}
	return whole, nil
}

func operationID(operation any) string {
	fields, _ := operation.(map[string]any)
	id, _ := fields["operationId"].(string)
	return id
}

// checkTags returns an error for an operation that no group has.
func checkTags(route string, operation any) error {
	fields, _ := operation.(map[string]any)
	names, _ := fields["tags"].([]any)
	for _, name := range names {
		if !slices.ContainsFunc(tags, func(t tag) bool { return t.Name == name }) {
			return fmt.Errorf("%s has the tag %v, which no group has", route, name)
		}
	}
	return nil
}

// add copies what is new, and returns an error where the rest differs.
func add(whole, part map[string]any, from map[string]string, kind, function string) error {
	for name, value := range part {
		if present, ok := whole[name]; ok && !reflect.DeepEqual(present, value) {
			return fmt.Errorf("%s and %s describe %s%s differently", from[kind+name], function, kind, name)
		}
		whole[name] = value
		from[kind+name] = function
	}
	return nil
}

// yaml returns the document as YAML. Its keys are sorted, so that a diff shows what
// has changed.
func (d document) yaml() ([]byte, error) {
	var out bytes.Buffer
	out.WriteString("# Written by `make openapi` from what the functions say of themselves. Do not edit.\n")
	e := yaml.NewEncoder(&out)
	e.SetIndent(2)
	if err := e.Encode(d); err != nil {
		return nil, err
	}
	return out.Bytes(), e.Close()
}

// routes returns the document's operations as "METHOD /path" lines, sorted by path.
func (d document) routes() []byte {
	var out bytes.Buffer
	for _, path := range slices.Sorted(maps.Keys(d.Paths)) {
		for _, method := range slices.Sorted(maps.Keys(d.Paths[path])) {
			fmt.Fprintf(&out, "%s %s\n", strings.ToUpper(method), path)
		}
	}
	return out.Bytes()
}
