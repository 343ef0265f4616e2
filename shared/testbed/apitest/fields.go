package apitest

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"

	"agencyhub/shared/agency"
)

// CheckFields calls every operation of the API for a person, or for the platform where it
// is the platform's, with each documented value in turn of another kind, out of bounds, null
// or missing, and with values that are not documented. Every field that a refusal names must
// be a documented one, and the one that is wrong. parameters are the values of the path's
// parameters, by name. It returns how many refusals it has seen.
func (s *Stage) CheckFields(who agency.Actor, parameters map[string]string) (refusals int) {
	s.t.Helper()
	for _, path := range slices.Sorted(maps.Keys(s.api.OpenAPI().Paths)) {
		item := s.api.OpenAPI().Paths[path]
		for method, op := range map[string]*huma.Operation{
			"GET": item.Get, "POST": item.Post, "PUT": item.Put, "PATCH": item.Patch, "DELETE": item.Delete,
		} {
			if op == nil {
				continue
			}
			c := &fieldCheck{Stage: s, op: op, method: method, path: path, claims: claimsOf(who), parameters: parameters, documented: map[string]bool{"body": true}}
			if _, ok := op.Security[0]["platform"]; ok {
				c.claims = platformClaims
			}
			c.run()
			refusals += c.refusals
		}
	}
	return refusals
}

// fieldCheck checks one operation.
type fieldCheck struct {
	*Stage
	op           *huma.Operation
	method, path string
	claims       map[string]string
	parameters   map[string]string
	// documented are the places that the document knows, such as "body.areas.*" and
	// "body.clients[]".
	documented map[string]bool
	refusals   int
}

// field is a documented value of a body: its place, and what sets it.
type field struct {
	place  string
	schema *huma.Schema
	// isRequired is of a field that its object must have.
	isRequired bool
	// set puts raw JSON in its place and returns the body; "" leaves the field out.
	set func(raw string) string
}

func (c *fieldCheck) run() {
	c.t.Helper()
	for _, p := range c.op.Parameters {
		c.documented[p.In+"."+p.Name] = true
	}
	var fields []field
	body := ""
	if c.op.RequestBody != nil {
		schema := c.op.RequestBody.Content["application/json"].Schema
		body = c.example("", schema)
		fields = c.fields("body", schema, body, func(raw string) string { return raw })
	}
	for _, f := range fields {
		c.documented[anyPlace(f.place)] = true
	}
	c.checkParameters(body)
	for _, f := range fields {
		for _, raw := range []string{
			`"x"`, `""`, `"\u0007"`, `"` + strings.Repeat("x", 6000) + `"`, `1`, `-1`, `0`, `1.0`, `1e3`, `1.5`, `99999999999999999999`, `1e999`,
			`true`, `null`, `[]`, `[null]`, `[1]`, `{}`, `{"pages":1}`, `{"kitchen":"view"}`, `"2030-13-31T12:00:00Z"`, `"0001-01-01T00:00:00Z"`, ``,
		} {
			wrong := ""
			if raw == "" && f.isRequired || raw != "" && !c.mayBe(f.schema, raw) {
				wrong = f.place
			}
			c.check(c.target(""), f.set(raw), wrong)
		}
	}
	if body != "" {
		c.check(c.target(""), strings.Replace(body, "{", `{"unknown":1,`, 1), "body.unknown")
	}
}

// checkParameters calls with wrong parameters.
func (c *fieldCheck) checkParameters(body string) {
	c.t.Helper()
	long := strings.Repeat("x", 2000)
	for _, p := range c.op.Parameters {
		place := p.In + "." + p.Name
		switch p.In {
		case "query":
			for _, value := range []string{"", "ten", "-1", "1.5", long, "1&" + p.Name + "=2"} {
				c.check(c.target("?"+p.Name+"="+value), body, map[bool]string{true: place}[value == "" || strings.Contains(value, "&")])
			}
		case "path":
			c.check(strings.Replace(c.target(""), c.parameters[p.Name], long, 1), body, place)
		case "header":
			c.check(c.target(""), body, place, p.Name, "short")
			c.check(c.target(""), body, place, p.Name, long)
		}
	}
	c.documented["query.unknown"] = true
	c.check(c.target("?unknown=1"), body, "query.unknown")
	delete(c.documented, "query.unknown")
}

// target returns the operation's call with the path's parameters.
func (c *fieldCheck) target(query string) string {
	path := c.path
	for name, value := range c.parameters {
		path = strings.ReplaceAll(path, "{"+name+"}", value)
	}
	return c.method + " " + path + query
}

// check calls the operation. wrong is the place that the refusal must name, or "" if the
// call may be right.
func (c *fieldCheck) check(call, body, wrong string, headers ...string) {
	c.t.Helper()
	c.keys++
	all := append([]string{"Idempotency-Key", fmt.Sprintf("apitest-fields-%06d", c.keys)}, headers...)
	answer := c.call(c.claims, call, body, all...)
	about := fmt.Sprintf("%s %.200s: %d %s", call, body, answer.Status, answer.Body)
	if answer.Status >= 500 {
		c.t.Errorf("a server error: %s", about)
	}
	if answer.Problem.Code != agency.Invalid {
		if wrong != "" {
			c.t.Errorf("%s is not refused: %s", wrong, about)
		}
		return
	}
	c.refusals++
	found := wrong == ""
	for _, e := range answer.Problem.Errors {
		found = found || e.Field == wrong || strings.HasPrefix(e.Field, wrong+".") || strings.HasPrefix(e.Field, wrong+"[")
		if !c.isDocumented(e.Field) && !(e.Message == "There is no such field." && strings.Contains(body, strconv.Quote(lastName(e.Field)))) {
			c.t.Errorf("%s is no documented field: %s", e.Field, about)
		}
	}
	if !found {
		c.t.Errorf("%s is not named: %s", wrong, about)
	}
}

// isDocumented reports whether the document has a place.
func (c *fieldCheck) isDocumented(place string) bool {
	place = anyPlace(place)
	return c.documented[place] || c.documented[strings.TrimSuffix(place, lastName(place))+"*"]
}

// lastName returns the last name of a place.
func lastName(place string) string { return place[strings.LastIndex(place, ".")+1:] }

var index = regexp.MustCompile(`\[\d+\]`)

// anyPlace returns a place with [] for each position in a list.
func anyPlace(place string) string { return index.ReplaceAllString(place, "[]") }

func (c *fieldCheck) resolve(schema *huma.Schema) *huma.Schema {
	for schema.Ref != "" {
		schema = c.api.OpenAPI().Components.Schemas.SchemaFromRef(schema.Ref)
	}
	return schema
}

// mayBe reports whether the schema takes the kind of a value: not of another type, and not
// a null without a meaning.
func (c *fieldCheck) mayBe(schema *huma.Schema, raw string) bool {
	schema = c.resolve(schema)
	kind := map[byte]string{'"': "string", 't': "boolean", '[': "array", '{': "object", 'n': "null"}[raw[0]]
	switch {
	case kind == "null":
		return schema.Nullable
	case kind == "":
		return schema.Type == "integer" && !strings.ContainsAny(raw, ".e") && len(raw) < 19
	case schema.Format == "date-time":
		return strings.HasPrefix(raw, `"0001`)
	}
	return kind == schema.Type
}

// example returns a value of a schema, with every field. name is the field's.
func (c *fieldCheck) example(name string, schema *huma.Schema) string {
	schema = c.resolve(schema)
	switch {
	case len(schema.Enum) > 0:
		raw, err := json.Marshal(schema.Enum[0])
		if err != nil {
			c.t.Fatal(err)
		}
		return string(raw)
	case schema.Format == "date-time":
		return `"2030-01-31T12:00:00Z"`
	case schema.Type == "string":
		return `"` + map[bool]string{true: "zoe@x.test", false: "example"}[strings.Contains(strings.ToLower(name), "email")] + `"`
	case schema.Type == "integer":
		return "1"
	case schema.Type == "boolean":
		return "true"
	case schema.Type == "array":
		return "[]"
	case len(schema.Properties) == 0:
		return `{"pages":"view"}`
	}
	var parts []string
	for _, property := range slices.Sorted(maps.Keys(schema.Properties)) {
		parts = append(parts, fmt.Sprintf("%q:%s", property, c.example(property, schema.Properties[property])))
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// fields returns the documented values inside of one, which set puts into the body. value
// is the example of it.
func (c *fieldCheck) fields(place string, schema *huma.Schema, value string, set func(raw string) string) []field {
	schema = c.resolve(schema)
	var all []field
	switch {
	case schema.Type == "array":
		in := func(raw string) string {
			if raw == "" {
				return set("[]")
			}
			return set("[" + raw + "]")
		}
		all = append(all, field{place + "[0]", schema.Items, false, in})
		return append(all, c.fields(place+"[0]", schema.Items, c.example("", schema.Items), in)...)
	case schema.AdditionalProperties != nil && len(schema.Properties) == 0:
		if others, ok := schema.AdditionalProperties.(*huma.Schema); ok {
			c.documented[place+".*"] = true
			all = append(all, field{place + ".pages", others, false, func(raw string) string {
				if raw == "" {
					return set("{}")
				}
				return set(`{"pages":` + raw + `}`)
			}})
		}
		return all
	}
	var object map[string]json.RawMessage
	if len(schema.Properties) > 0 {
		if err := json.Unmarshal([]byte(value), &object); err != nil {
			c.t.Fatal(err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(schema.Properties)) {
		in := func(raw string) string {
			changed := maps.Clone(object)
			if delete(changed, name); raw != "" {
				changed[name] = json.RawMessage(raw)
			}
			var parts []string
			for _, key := range slices.Sorted(maps.Keys(changed)) {
				parts = append(parts, fmt.Sprintf("%q:%s", key, changed[key]))
			}
			return set("{" + strings.Join(parts, ",") + "}")
		}
		property := schema.Properties[name]
		all = append(all, field{place + "." + name, property, slices.Contains(schema.Required, name), in})
		all = append(all, c.fields(place+"."+name, property, string(object[name]), in)...)
	}
	return all
}

// CheckFields runs Stage.CheckFields on an agency's account, and fails if it has seen less
// than a number of refusals: those of a function that reads bodies are hundreds.
func CheckFields(t *testing.T, s *Stage, atLeast int) {
	t.Helper()
	who := Person("field")
	account := s.OpenAgency(who, "Studio")
	other := s.Open(Person("other"), "Shop")
	refusals := s.CheckFields(who, map[string]string{
		"account": string(account), "agency": string(account), "member": string(Person("other").ID()),
		"id": string(agency.NewConnectionID(agency.Party(other), account)),
	})
	if refusals < atLeast {
		t.Errorf("only %d calls were refused", refusals)
	}
}
