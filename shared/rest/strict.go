package rest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"agencyhub/shared/agency"
)

// strict returns a middleware that runs before huma's own validation. It identifies the
// caller first, so that others learn nothing about the form of a call. Then it refuses
// what huma and encoding/json accept: doubled keys and parameters, empty parameters,
// null without a meaning, numbers of a form that Go does not read, more than one JSON value,
// invalid UTF-8, other content types, and a body that the operation does not read.
func strict(a *API, identify func(*call) error) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		r, w := humago.Unwrap(ctx)
		c := callOf(r.Context())
		c.parameters = ctx.Operation().Parameters
		err := identify(c)
		if err == nil {
			err = checkQuery(r.URL.RawQuery)
		}
		if err == nil {
			err = checkHeaders(ctx.Operation(), r)
		}
		if err == nil {
			err = checkBody(a, ctx.Operation(), r)
		}
		if err != nil {
			writeProblem(w, ProblemOf(r.Context(), err))
			return
		}
		r.Header.Del("Accept") // every operation answers in JSON
		next(ctx)
	}
}

func malformed(field, message string) *agency.Error {
	return &agency.Error{Code: agency.Invalid, Message: message, Fields: []agency.FieldError{{Field: field, Message: message}}}
}

// checkQuery refuses a query that is ambiguous. huma takes an empty parameter for a
// missing one, so that `?as=` would act for no agency.
func checkQuery(raw string) error {
	values, err := url.ParseQuery(raw)
	if err != nil || !utf8.ValidString(raw) {
		return malformed("query", "The query string is not well formed.")
	}
	for name, given := range values {
		switch {
		case !utf8.ValidString(name) || !utf8.ValidString(given[0]):
			return malformed("query", "The query string is not valid UTF-8.")
		case len(given) > 1:
			return malformed("query."+shortened(name), "Give this parameter once.")
		case given[0] == "":
			return malformed("query."+shortened(name), "Give this parameter a value, or leave it out.")
		}
	}
	return nil
}

// checkHeaders refuses an optional header that is empty. huma takes it for a missing
// one, so that a repeat under an empty Idempotency-Key would be a new call.
func checkHeaders(op *huma.Operation, r *http.Request) error {
	for _, p := range op.Parameters {
		if values := r.Header.Values(p.Name); p.In == "header" && !p.Required && len(values) > 0 && values[0] == "" {
			return malformed("header."+p.Name, "Give this header a value, or leave it out.")
		}
	}
	return nil
}

// checkBody checks the body and leaves it to be read again.
func checkBody(a *API, op *huma.Operation, r *http.Request) error {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil {
		return err
	}
	if len(body) > maxBody {
		return TooLarge(r.Context(), fmt.Sprintf("The body is too large: it may have %d bytes at most.", maxBody))
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	if len(body) == 0 {
		if op.RequestBody != nil && op.RequestBody.Required {
			return malformed("body", "This call needs a body: a JSON object.")
		}
		return nil
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		p := ProblemOf(r.Context(), malformed("header.Content-Type", "The body must be JSON, and the header Content-Type say application/json."))
		p.setStatus(http.StatusUnsupportedMediaType)
		return p
	}
	if !utf8.Valid(body) {
		return malformed("body", "The body is not valid UTF-8.")
	}
	value, err := parseJSON(body)
	if err != nil {
		return err
	}
	object, ok := value.(map[string]any)
	if !ok {
		return malformed("body", "The body must be a JSON object.")
	}
	if bytes.IndexByte(body, '\\') >= 0 {
		// time.Time reads a text as it is written, with its escapes.
		var plain bytes.Buffer
		e := json.NewEncoder(&plain)
		e.SetEscapeHTML(false)
		if err := e.Encode(object); err != nil {
			return err
		}
		r.Body = io.NopCloser(&plain)
	}
	if op.RequestBody == nil {
		if len(object) > 0 {
			return malformed("body", "This call takes no body.")
		}
		return nil
	}
	return checkValue(a.huma.OpenAPI().Components.Schemas, op.RequestBody.Content["application/json"].Schema, "body", object)
}

// maxDepth is how many levels deep a body may be.
const maxDepth = 16

// parseJSON reads exactly one JSON value. It refuses an object with a doubled key.
func parseJSON(body []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	value, err := parseValue(d, "body", 0)
	if err == nil {
		if _, more := d.Token(); !errors.Is(more, io.EOF) {
			err = malformed("body", "The body must be one JSON value, with nothing after it.")
		}
	}
	return value, err
}

func parseValue(d *json.Decoder, path string, depth int) (any, error) {
	if depth > maxDepth {
		return nil, malformed("body", "The body is nested too deeply.")
	}
	token, err := d.Token()
	if err != nil {
		return nil, malformed("body", "The body is not well-formed JSON.")
	}
	switch token {
	case json.Delim('{'):
		return parseObject(d, path, depth)
	case json.Delim('['):
		return parseArray(d, path, depth)
	default:
		return token, nil
	}
}

func parseObject(d *json.Decoder, path string, depth int) (any, error) {
	object := map[string]any{}
	for d.More() {
		token, err := d.Token()
		key, ok := token.(string)
		if err != nil || !ok {
			return nil, malformed("body", "The body is not well-formed JSON.")
		}
		field := path + "." + shortened(key)
		if _, doubled := object[key]; doubled {
			return nil, malformed(field, "The body names this field twice.")
		}
		if object[key], err = parseValue(d, field, depth+1); err != nil {
			return nil, err
		}
	}
	return object, closeValue(d)
}

func parseArray(d *json.Decoder, path string, depth int) (any, error) {
	var array []any
	for d.More() {
		value, err := parseValue(d, path+"["+strconv.Itoa(len(array))+"]", depth+1)
		if err != nil {
			return nil, err
		}
		array = append(array, value)
	}
	return array, closeValue(d)
}

// closeValue reads the end of an object or a list.
func closeValue(d *json.Decoder) error {
	if _, err := d.Token(); err != nil {
		return malformed("body", "The body is not well-formed JSON.")
	}
	return nil
}

// shortened returns a name that the caller chose, cut to a length that an answer can
// repeat.
func shortened(name string) string {
	const maxRunes = 64
	if utf8.RuneCountInString(name) <= maxRunes {
		return name
	}
	return string([]rune(name)[:maxRunes]) + "…"
}

// checkValue refuses what huma's validation lets through, by the documented name of the
// field: null for a field that has no such value, which huma takes for a missing field, and
// numbers that encoding/json cannot read into the field.
func checkValue(schemas huma.Registry, schema *huma.Schema, path string, value any) error {
	for schema != nil && schema.Ref != "" {
		schema = schemas.SchemaFromRef(schema.Ref)
	}
	if schema == nil {
		return nil
	}
	switch value := value.(type) {
	case nil:
		if schema.Type != "" && !schema.Nullable {
			return malformed(path, "This field cannot be null: give it a value or leave it out.")
		}
	case json.Number:
		return checkNumber(path, value, schema.Type == huma.TypeInteger)
	case []any:
		for i, item := range value {
			if err := checkValue(schemas, schema.Items, path+"["+strconv.Itoa(i)+"]", item); err != nil {
				return err
			}
		}
	case map[string]any:
		others, _ := schema.AdditionalProperties.(*huma.Schema)
		for _, name := range slices.Sorted(maps.Keys(value)) {
			property, ok := schema.Properties[name]
			if !ok {
				property = others
			}
			if err := checkValue(schemas, property, path+"."+shortened(name), value[name]); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkNumber refuses a number that is too large and, where an integer is wanted, one that is
// not written as such.
func checkNumber(path string, value json.Number, isInteger bool) error {
	_, err := value.Float64()
	if isInteger && err == nil {
		_, err = value.Int64()
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, strconv.ErrRange):
		return malformed(path, "This number is too large or too small.")
	default:
		return malformed(path, "Give a whole number, without a decimal point or an exponent.")
	}
}

// jsonFormat reads and writes bodies. strict has checked the syntax and the values. What it
// cannot read even so is refused without a field: the names in an error of encoding/json
// are those of Go types.
var jsonFormat = huma.Format{
	Marshal: huma.DefaultJSONFormat.Marshal,
	Unmarshal: func(data []byte, v any) error {
		if json.Unmarshal(data, v) != nil {
			return inputError(ours + "A value in the body is not of the right kind.")
		}
		return nil
	},
}

// inputError is a message for the caller, marked as messages.go describes.
type inputError string

func (e inputError) Error() string { return string(e) }
