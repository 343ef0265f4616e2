package testbed

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// EventTypes returns all event types, read from the source of shared/agency and sorted.
func EventTypes() ([]string, error) {
	files, err := filepath.Glob(filepath.Join(Root(), "shared", "agency", "*.go"))
	if err != nil {
		return nil, err
	}
	var types []string
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return nil, err
		}
		for n := range ast.Preorder(file) {
			spec, ok := n.(*ast.ValueSpec)
			if !ok {
				continue
			}
			if kind, ok := spec.Type.(*ast.Ident); !ok || kind.Name != "EventType" {
				continue
			}
			for _, v := range spec.Values {
				literal, ok := v.(*ast.BasicLit)
				if !ok {
					return nil, fmt.Errorf("testbed: a type of event in %s is no literal", path)
				}
				text, err := strconv.Unquote(literal.Value)
				if err != nil {
					return nil, err
				}
				types = append(types, text)
			}
		}
	}
	slices.Sort(types)
	return types, nil
}

// Schemas are the schemas of infra/events, by event type. They are stricter than for the
// platform: a property that they do not describe is an error.
type Schemas struct {
	compiler *jsonschema.Compiler
	types    []string
}

// schemaOf is where the schema of one type stands in the document.
const schemaOf = "#/$defs/"

// ReadSchemas reads the document in infra/events.
func ReadSchemas() (*Schemas, error) {
	raw, err := os.ReadFile(filepath.Join(Root(), "infra", "events", "events.schema.json"))
	if err != nil {
		return nil, err
	}
	var listed struct {
		OneOf []struct {
			Ref string `json:"$ref"`
		}
	}
	if err := json.Unmarshal(raw, &listed); err != nil {
		return nil, err
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	closeObjects(document)
	s := &Schemas{compiler: jsonschema.NewCompiler()}
	s.compiler.AssertFormat()
	for _, one := range listed.OneOf {
		s.types = append(s.types, strings.TrimPrefix(one.Ref, schemaOf))
	}
	slices.Sort(s.types)
	return s, s.compiler.AddResource("events", document)
}

// closeObjects forbids properties that the schema does not describe.
func closeObjects(v any) {
	switch v := v.(type) {
	case map[string]any:
		if _, described := v["properties"].(map[string]any); described && v["type"] == "object" && v["additionalProperties"] == nil {
			v["additionalProperties"] = false
		}
		for _, inner := range v {
			closeObjects(inner)
		}
	case []any:
		for _, inner := range v {
			closeObjects(inner)
		}
	}
}

// Types returns the types of events that have a schema, sorted.
func (s *Schemas) Types() []string { return s.types }

// Validate holds an event's detail to the schema of its type, and to that of the
// whole document, which admits one type.
func (s *Schemas) Validate(kind string, detail []byte) error {
	if !slices.Contains(s.types, kind) {
		return fmt.Errorf("%q has no schema", kind)
	}
	instance, err := jsonschema.UnmarshalJSON(bytes.NewReader(detail))
	if err != nil {
		return err
	}
	for _, of := range []string{schemaOf + kind, ""} {
		schema, err := s.compiler.Compile("events" + of)
		if err != nil {
			return err
		}
		if err := schema.Validate(instance); err != nil {
			return err
		}
	}
	return nil
}

// Entry is an entry of a PutEvents call.
type Entry struct {
	Source, DetailType, Detail, EventBusName string
	Time                                     float64
}

// Bus is a fake EventBridge. It keeps the entries that it accepts, and fails the test on
// one that does not match its schema.
type Bus struct {
	// Refuse, unless it is nil, returns 200 and an error code for the entry, or "" to
	// accept it. Another status is that of the whole call.
	Refuse func(Entry) (status int, code string)

	mu      sync.Mutex
	entries []Entry
	calls   int
}

// NewBus starts a bus for the time of a test. The client makes one attempt a call.
func NewBus(t testing.TB) (*Bus, *eventbridge.Client) {
	t.Helper()
	schemas, err := ReadSchemas()
	if err != nil {
		t.Fatal(err)
	}
	b := &Bus{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in struct{ Entries []Entry }
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil || r.Header.Get("X-Amz-Target") != "AWSEvents.PutEvents" || len(in.Entries) != 1 {
			t.Errorf("a strange call of the bus: %v, %d entries, %v", r.Header["X-Amz-Target"], len(in.Entries), err)
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		if err := schemas.Validate(in.Entries[0].DetailType, []byte(in.Entries[0].Detail)); err != nil {
			t.Errorf("what is sent is not as its schema says: %v\n%s", err, in.Entries[0].Detail)
		}
		status, answer := b.accept(in.Entries[0])
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(answer))
	}))
	t.Cleanup(server.Close)
	cfg := Config()
	cfg.RetryMaxAttempts = 1
	return b, eventbridge.NewFromConfig(cfg, func(o *eventbridge.Options) { o.BaseEndpoint = aws.String(server.URL) })
}

// accept returns the answer to a call with one entry.
func (b *Bus) accept(e Entry) (status int, answer string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calls++
	if b.Refuse != nil {
		status, code := b.Refuse(e)
		if status != http.StatusOK {
			return status, `{"__type":"InternalException","message":"no"}`
		}
		if code != "" {
			return status, `{"FailedEntryCount":1,"Entries":[{"ErrorCode":"` + code + `","ErrorMessage":"no"}]}`
		}
	}
	b.entries = append(b.entries, e)
	return http.StatusOK, `{"FailedEntryCount":0,"Entries":[{"EventId":"bus-` + strconv.Itoa(len(b.entries)) + `"}]}`
}

// Entries returns the entries that the bus has accepted so far, the oldest first.
func (b *Bus) Entries() []Entry {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.entries)
}

// Calls returns how often the bus was called.
func (b *Bus) Calls() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.calls
}
