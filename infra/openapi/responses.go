package main

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"agencyhub/shared/agency"
	"agencyhub/shared/rest"
)

type object = map[string]any

const (
	problemKind = "application/problem+json"
	gatewayKind = "application/json"
)

// gatewayAnswers are the statuses with which API Gateway itself answers any call, and
// when. Its bodies have a message and no code. Ours may have the same status.
var gatewayAnswers = map[int]string{
	http.StatusBadRequest:                  "the HTTP request itself is broken",
	http.StatusUnauthorized:                "there is no token, or it is not valid",
	http.StatusRequestEntityTooLarge:       "the body is larger than it takes",
	http.StatusTooManyRequests:             "there are too many calls; try again in a second",
	http.StatusRequestHeaderFieldsTooLarge: "the request line and the headers have more than 10,240 bytes",
	http.StatusInternalServerError:         "the function failed or ran out of time",
	http.StatusServiceUnavailable:          "the function did not answer or could not be called",
	http.StatusGatewayTimeout:              "the function did not answer in time",
}

// edgeStatuses are the statuses that every operation can answer with, besides those of
// its codes: a body that is too large or of another kind is invalid.
var edgeStatuses = []int{http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType}

// addResponses gives every operation the refusals that it can answer with, each of
// which is described once among the components. refused are the codes besides always,
// by route.
func (d document) addResponses(refused map[string][]string) error {
	d.Components.Schemas["GatewayMessage"] = object{
		"type": "object", "additionalProperties": false, "required": []string{"message"},
		"description": "An answer of API Gateway itself.",
		"properties":  object{"message": object{"type": "string"}},
	}
	for path, operations := range d.Paths {
		for method, operation := range operations {
			route := strings.ToUpper(method) + " " + path
			codes, ok := refused[route]
			if !ok {
				return fmt.Errorf("nothing is known of the refusals of %s", route)
			}
			op := operation.(object)
			responses := op["responses"].(object)
			delete(responses, "default")
			gateway := maps.Clone(gatewayAnswers)
			if isForPlatform(op) {
				gateway[http.StatusForbidden] = "the token is not one of the platform's own software"
			}
			for status, codes := range statusesOf(codes, gateway) {
				fromGateway := gateway[status]
				responses[strconv.Itoa(status)] = object{"$ref": "#/components/responses/" + d.addRefusal(status, codes, fromGateway)}
			}
		}
	}
	return nil
}

// statusesOf returns the statuses of an operation that can answer with these codes and
// always, each with its codes. The gateway's alone have none.
func statusesOf(codes []string, gateway map[int]string) map[int][]string {
	statuses := map[int][]string{}
	for status := range gateway {
		statuses[status] = nil
	}
	all := maps.Clone(always)
	for _, code := range codes {
		all[code] = true
	}
	for _, code := range slices.Sorted(maps.Keys(all)) {
		status := rest.StatusOf(agency.Code(code))
		statuses[status] = append(statuses[status], code)
	}
	for _, status := range edgeStatuses {
		statuses[status] = []string{string(agency.Invalid)}
	}
	return statuses
}

// isForPlatform reports whether only the platform's own software may make the call.
func isForPlatform(operation object) bool {
	for _, requirement := range operation["security"].([]any) {
		if _, ok := requirement.(object)["platform"]; ok {
			return true
		}
	}
	return false
}

// addRefusal describes a refusal among the components, and returns its name.
func (d document) addRefusal(status int, codes []string, fromGateway string) string {
	name := strings.Join(append([]string{"Status" + strconv.Itoa(status)}, codes...), "-")
	content, said := object{}, []string{}
	if len(codes) > 0 {
		said = append(said, "A problem: "+strings.Join(codes, ", ")+".")
		content[problemKind] = object{"schema": object{"allOf": []any{
			object{"$ref": "#/components/schemas/Problem"},
			object{"type": "object", "properties": object{
				"status": object{"type": "integer", "const": status}, "code": object{"type": "string", "enum": codes},
			}},
		}}}
	}
	if fromGateway != "" {
		if status == http.StatusForbidden {
			name += "-gateway"
		}
		said = append(said, "From API Gateway: "+fromGateway+".")
		content[gatewayKind] = object{"schema": object{"$ref": "#/components/schemas/GatewayMessage"}}
	}
	response := object{"description": http.StatusText(status) + ". " + strings.Join(said, " "), "content": content}
	if headers := headersOf(status, codes, fromGateway != ""); len(headers) > 0 {
		response["headers"] = headers
	}
	d.Components.Responses[name] = response
	return name
}

// headersOf returns the headers of a refusal besides those of every answer.
func headersOf(status int, codes []string, fromGateway bool) object {
	switch {
	case status == http.StatusUnauthorized, status == http.StatusForbidden && fromGateway:
		return object{"WWW-Authenticate": object{
			"description": "The scheme of the token that is needed; with 403 only in an answer of the gateway.", "schema": object{"type": "string"},
		}}
	case (status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable) && len(codes) > 0:
		return object{"Retry-After": object{
			"description": "In how many seconds to try again; not in an answer of the gateway.",
			"schema":      object{"type": "integer", "minimum": 1},
		}}
	}
	return nil
}

// shareIDs describes each kind of id, and an address, once among the components.
func (d document) shareIDs() {
	for _, operations := range d.Paths {
		for _, operation := range operations {
			d.share(operation)
		}
	}
	for _, schema := range slices.Collect(maps.Values(d.Components.Schemas)) {
		d.share(schema)
	}
}

// share moves the schemas with a title and a pattern, of ids and addresses, to the components.
func (d document) share(node any) any {
	switch node := node.(type) {
	case []any:
		for i := range node {
			node[i] = d.share(node[i])
		}
	case object:
		title, _ := node["title"].(string)
		if _, ok := node["pattern"]; ok && title != "" {
			return d.idReference(title, node)
		}
		delete(node, "patternDescription") // huma's own
		for key := range node {
			node[key] = d.share(node[key])
		}
	}
	return node
}

// idReference returns the schema of an id or an address as a reference to the one among the
// components. Its bounds stay beside the reference.
func (d document) idReference(name string, schema object) object {
	shared := object{
		"type": "string", "pattern": schema["pattern"], "description": upperFirst(schema["patternDescription"].(string)) + ".",
		"examples": schema["examples"],
	}
	if format, ok := schema["format"]; ok {
		shared["format"] = format
	}
	d.Components.Schemas[name] = shared
	ref := object{"$ref": "#/components/schemas/" + name}
	if kinds, ok := schema["type"].([]any); ok && slices.Contains(kinds, any("null")) {
		ref = object{"anyOf": []any{ref, object{"type": "null"}}}
	}
	for _, own := range []string{"description", "minLength", "maxLength"} {
		if value, ok := schema[own]; ok {
			ref[own] = value
		}
	}
	return ref
}

func upperFirst(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
