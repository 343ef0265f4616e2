package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// A reference is the document as the page /docs shows it.
type reference struct {
	// Intro are the paragraphs of the document's description.
	Intro   []string
	Schemes []scheme
	Groups  []group
	Schemas []shownSchema
}

type scheme struct{ Name, Description string }

type group struct {
	ID, Title  string
	Operations []shownOperation
}

type shownOperation struct {
	ID, Method, Path, Summary, Description, Scheme string

	Parameters []field
	Body       []field
	BodyNotes  []string
	// BodyIsOptional reports whether the call can be made without a body.
	BodyIsOptional bool
	Answers        []answer
}

// An answer is one status of an operation. Schema and Codes are empty where there are
// none.
type answer struct {
	Status, Text string
	Schema       kind
	Codes        []string
	// FromGateway reports whether API Gateway can give the answer too, without a code.
	FromGateway bool
}

// IsRefusal reports whether the answer has a status from 400 on.
func (a answer) IsRefusal() bool { return a.Status >= "400" }

type shownSchema struct {
	Name, Description string
	Kind              kind
	Fields            []field
	Notes             []string
}

// A field is a parameter, or a property of an object. In is "path", "query" or
// "header" for a parameter.
type field struct {
	Name, In, Description string
	Kind                  kind
	IsRequired            bool
	// Notes are its bounds, in words.
	Notes []string
}

// A kind is the type of a value in words, with the name of its schema if it has one of
// its own.
type kind struct {
	Before, Schema, After string
}

//go:embed reference.html
var referencePage string

// reference returns the document as a part of an HTML page.
func (d document) reference() ([]byte, error) {
	t, err := template.New("reference").Parse(referencePage)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = t.Execute(&out, d.shown())
	return out.Bytes(), err
}

func (d document) shown() reference {
	r := reference{Intro: strings.Split(strings.TrimSpace(d.Info.Description), "\n\n")}
	for _, name := range slices.Sorted(maps.Keys(d.Components.SecuritySchemes)) {
		r.Schemes = append(r.Schemes, scheme{name, text(d.Components.SecuritySchemes[name], "description")})
	}
	for _, t := range tags {
		g := group{ID: t.Name, Title: t.Description}
		for _, path := range slices.Sorted(maps.Keys(d.Paths)) {
			for _, method := range []string{"get", "post", "put", "patch", "delete"} {
				op, ok := d.Paths[path][method].(object)
				if ok && slices.Contains(op["tags"].([]any), any(t.Name)) {
					g.Operations = append(g.Operations, d.operation(strings.ToUpper(method), path, op))
				}
			}
		}
		r.Groups = append(r.Groups, g)
	}
	bodies := d.bodies()
	for _, name := range slices.Sorted(maps.Keys(d.Components.Schemas)) {
		if s := d.Components.Schemas[name].(object); !bodies[name] {
			r.Schemas = append(r.Schemas, shownSchema{Name: name, Description: text(s, "description"), Kind: kindOf(s), Fields: d.fields(s), Notes: notesOf(s)})
		}
	}
	return r
}

// bodies returns the names of the schemas that are shown as the body of an operation.
func (d document) bodies() map[string]bool {
	names := map[string]bool{}
	for _, operations := range d.Paths {
		for _, op := range operations {
			body, _ := op.(object)["requestBody"].(object)
			if ref, ok := schemaOf(body, "application/json")["$ref"].(string); ok {
				names[lastPart(ref)] = true
			}
		}
	}
	return names
}

func (d document) operation(method, path string, op object) shownOperation {
	shown := shownOperation{
		ID: op["operationId"].(string), Method: method, Path: path, Summary: text(op, "summary"), Description: text(op, "description"), Scheme: "oidc",
	}
	if isForPlatform(op) {
		shown.Scheme = "platform"
	}
	parameters, _ := op["parameters"].([]any)
	for _, p := range parameters {
		p := p.(object)
		f := newField(text(p, "name"), p["schema"].(object), p["required"] == true)
		f.In, f.Description = text(p, "in"), text(p, "description")
		shown.Parameters = append(shown.Parameters, f)
	}
	if body, ok := op["requestBody"].(object); ok {
		shown.BodyIsOptional = body["required"] != true
		schema := d.resolved(schemaOf(body, "application/json"))
		shown.Body, shown.BodyNotes = d.fields(schema), notesOf(schema)
	}
	responses := op["responses"].(object)
	for _, status := range slices.Sorted(maps.Keys(responses)) {
		shown.Answers = append(shown.Answers, d.answer(status, responses[status].(object)))
	}
	return shown
}

func (d document) answer(status string, response object) answer {
	number, _ := strconv.Atoi(status)
	a := answer{Status: status, Text: http.StatusText(number)}
	if ref, ok := response["$ref"].(string); ok {
		response = d.Components.Responses[lastPart(ref)].(object)
		_, codes, _ := strings.Cut(lastPart(ref), "-")
		if problem := schemaOf(response, problemKind); problem != nil {
			a.Codes = strings.Split(strings.TrimSuffix(codes, "-gateway"), "-")
		}
		a.FromGateway = schemaOf(response, gatewayKind) != nil
		return a
	}
	if schema := schemaOf(response, "application/json"); schema != nil {
		a.Schema = kindOf(schema)
	}
	return a
}

// schemaOf returns the schema of a body of this kind, nil for none.
func schemaOf(response object, mediaType string) object {
	content, _ := response["content"].(object)
	media, _ := content[mediaType].(object)
	schema, _ := media["schema"].(object)
	return schema
}

// resolved returns what a schema refers to.
func (d document) resolved(schema object) object {
	if ref, ok := schema["$ref"].(string); ok {
		return d.Components.Schemas[lastPart(ref)].(object)
	}
	return schema
}

func (d document) fields(schema object) []field {
	properties, _ := schema["properties"].(object)
	required := map[string]bool{}
	switch names := schema["required"].(type) {
	case []any:
		for _, name := range names {
			required[name.(string)] = true
		}
	case []string:
		for _, name := range names {
			required[name] = true
		}
	}
	var fields []field
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		fields = append(fields, newField(name, properties[name].(object), required[name]))
	}
	// What is needed comes first.
	slices.SortStableFunc(fields, func(a, b field) int { return rank(a) - rank(b) })
	return fields
}

func rank(f field) int {
	if f.IsRequired {
		return 0
	}
	return 1
}

func newField(name string, schema object, required bool) field {
	return field{Name: name, Description: text(schema, "description"), Kind: kindOf(schema), IsRequired: required, Notes: notesOf(schema)}
}

func kindOf(schema object) kind {
	if ref, ok := schema["$ref"].(string); ok {
		return kind{Schema: lastPart(ref)}
	}
	if choices, ok := schema["anyOf"].([]any); ok {
		k := kindOf(choices[0].(object))
		k.After += " or null"
		return k
	}
	name, null := text(schema, "type"), ""
	if names, ok := schema["type"].([]any); ok {
		name, null = names[0].(string), " or null"
	}
	values, isMap := schema["additionalProperties"].(object)
	switch format := text(schema, "format"); {
	case name == "array":
		k := kindOf(schema["items"].(object))
		return kind{Before: "list of " + k.Before, Schema: k.Schema, After: k.After + null}
	case name == "object" && isMap:
		k := kindOf(values)
		if words := enumOf(values); words != "" {
			k = kind{After: words}
		}
		return kind{Before: "object of " + k.Before, Schema: k.Schema, After: k.After + null}
	case format == "date-time":
		name = "date and time"
	case format == "idn-email":
		name = "email address"
	}
	return kind{After: name + null}
}

// notesOf returns the bounds of a value.
func notesOf(schema object) []string {
	var notes []string
	for _, bound := range []struct{ key, words string }{
		{"minimum", "at least %v"}, {"maximum", "at most %v"}, {"minLength", "at least %v characters"}, {"maxLength", "at most %v characters"},
		{"maxItems", "at most %v"}, {"minProperties", "at least %v"}, {"maxProperties", "at most %v"}, {"default", "%v if left out"}, {"pattern", "matches %v"},
	} {
		if value, ok := schema[bound.key]; ok && bound.key == "minLength" && fmt.Sprint(value) == "1" {
			notes = append(notes, "not empty")
		} else if ok {
			notes = append(notes, fmt.Sprintf(bound.words, value))
		}
	}
	items, _ := schema["items"].(object)
	for _, s := range []object{schema, items} {
		if words := enumOf(s); words != "" {
			notes = append(notes, words)
		}
	}
	return notes
}

// enumOf returns the values that a schema lists, in words, and "" for none.
func enumOf(schema object) string {
	values, _ := schema["enum"].([]any)
	var words []string
	for _, v := range values {
		if v != nil {
			words = append(words, fmt.Sprint(v))
		}
	}
	if len(words) == 0 {
		return ""
	}
	return "one of " + strings.Join(words, ", ")
}

func text(node any, key string) string {
	s, _ := node.(object)[key].(string)
	return s
}

// lastPart returns the name at the end of a reference.
func lastPart(ref string) string { return ref[strings.LastIndexByte(ref, '/')+1:] }
