package e2e

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
)

// A contract is infra/openapi.yaml. Each answer of the run is checked against it,
// and each of its operations needs a good answer.
type contract struct {
	operations []*operation
	compiler   *jsonschema.Compiler

	mu      sync.Mutex
	schemas map[string]*jsonschema.Schema // by pointer
}

type operation struct {
	id, method, path string
	segments         []string
	responses        map[string]string // where each is described, by "200" and the like
	answered         bool              // with a success, in this run
}

const documentURL = "openapi.json"

// pointerEscape escapes a part of a JSON pointer.
var pointerEscape = strings.NewReplacer("~", "~0", "/", "~1")

func readContract(root string) (*contract, error) {
	raw, err := os.ReadFile(filepath.Join(root, "infra", "openapi.yaml"))
	if err != nil {
		return nil, err
	}
	var document map[string]any
	if err := yaml.Unmarshal(raw, &document); err != nil {
		return nil, err
	}
	encoded, err := json.Marshal(document)
	if err != nil {
		return nil, err
	}
	parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(encoded))
	if err != nil {
		return nil, err
	}
	c := &contract{compiler: jsonschema.NewCompiler(), schemas: map[string]*jsonschema.Schema{}}
	c.compiler.AssertFormat()
	if err := c.compiler.AddResource(documentURL, parsed); err != nil {
		return nil, err
	}
	var outline struct {
		Paths map[string]map[string]struct {
			OperationID string
			Responses   map[string]struct {
				Ref string `json:"$ref"`
			}
		}
	}
	if err := json.Unmarshal(encoded, &outline); err != nil {
		return nil, err
	}
	for path, methods := range outline.Paths {
		for method, o := range methods {
			op := &operation{id: o.OperationID, method: strings.ToUpper(method), path: path, segments: strings.Split(path, "/"), responses: map[string]string{}}
			for status, response := range o.Responses {
				op.responses[status] = cmp.Or(strings.TrimPrefix(response.Ref, "#"),
					"/paths/"+pointerEscape.Replace(path)+"/"+method+"/responses/"+status)
			}
			c.operations = append(c.operations, op)
		}
	}
	if len(c.operations) == 0 {
		return nil, fmt.Errorf("the contract has no operations")
	}
	return c, nil
}

func (c *contract) find(method, path string) *operation {
	path, _, _ = strings.Cut(path, "?")
	segments := strings.Split(path, "/")
	for _, op := range c.operations {
		if op.method == method && slices.EqualFunc(op.segments, segments, func(want, got string) bool {
			return want == got || strings.HasPrefix(want, "{") && got != ""
		}) {
			return op
		}
	}
	return nil
}

// check compares an answer with the contract, refusals too: an operation may give only
// the statuses and codes that it names. What no operation serves is refused by a problem.
func (c *contract) check(method, path string, answer *reply) error {
	kind := strings.Split(answer.Header.Get("Content-Type"), ";")[0]
	op := c.find(method, path)
	if op == nil {
		if kind == "application/json" && answer.Status >= http.StatusBadRequest {
			return c.validate("/components/schemas/GatewayMessage", answer.Body)
		}
		if kind != "application/problem+json" {
			return fmt.Errorf("%s where the contract has nothing", kind)
		}
		return c.validate("/components/schemas/Problem", answer.Body)
	}
	response, ok := op.responses[strconv.Itoa(answer.Status)]
	if !ok {
		return fmt.Errorf("the contract of %s has no answer %d: %s", op.id, answer.Status, answer.Body)
	}
	if answer.Status < http.StatusBadRequest {
		c.mu.Lock()
		op.answered = true
		c.mu.Unlock()
	}
	if answer.Status == http.StatusNoContent {
		if len(answer.Body) > 0 {
			return fmt.Errorf("no content, and yet: %s", answer.Body)
		}
		return nil
	}
	return c.validate(response+"/content/"+pointerEscape.Replace(kind)+"/schema", answer.Body)
}

func (c *contract) validate(pointer string, body []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	schema, ok := c.schemas[pointer]
	if !ok {
		var err error
		if schema, err = c.compiler.Compile(documentURL + "#" + pointer); err != nil {
			return fmt.Errorf("the contract has no such answer: %w", err)
		}
		c.schemas[pointer] = schema
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("the answer is no JSON: %w", err)
	}
	return schema.Validate(value)
}

// unanswered returns the operations that had no good answer in this run.
func (c *contract) unanswered() []string {
	var ids []string
	for _, op := range c.operations {
		if !op.answered {
			ids = append(ids, op.id)
		}
	}
	slices.Sort(ids)
	return ids
}
