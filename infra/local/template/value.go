package template

import (
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// The region and the AWS account that the local stack claims to be in. Functions
// see them in ARNs only.
const (
	Region    = "us-east-1"
	AccountID = "000000000000"
)

// noValue is what AWS::NoValue resolves to: the property is left out.
type noValue struct{}

// A resolver turns nodes of a template into plain values, intrinsic functions
// included. It resolves only the nodes it is given, and of Fn::If only the branch
// taken: a resource that is not run here may use functions that are unknown here.
type resolver struct {
	parameters map[string]any // the pseudo parameters too
	conditions map[string]*yaml.Node
	resources  map[string]*resource
	deciding   map[string]bool // conditions being evaluated, to find a circle
}

// value resolves one node.
func (r *resolver) value(n *yaml.Node) (any, error) {
	if strings.HasPrefix(n.Tag, "!") && !strings.HasPrefix(n.Tag, "!!") {
		name := n.Tag[1:]
		if name != "Ref" && name != "Condition" {
			name = "Fn::" + name
		}
		argument := *n
		argument.Tag = ""
		if n.Kind == yaml.ScalarNode {
			argument.Tag = "!!str"
		}
		return r.intrinsic(name, &argument)
	}
	switch n.Kind {
	case yaml.MappingNode:
		if len(n.Content) == 2 {
			if name := n.Content[0].Value; name == "Ref" || strings.HasPrefix(name, "Fn::") {
				return r.intrinsic(name, n.Content[1])
			}
		}
		return r.mapping(n, "")
	case yaml.SequenceNode:
		out := []any{}
		for i, item := range n.Content {
			v, err := r.value(item)
			if err != nil {
				return nil, fmt.Errorf("[%d]: %w", i, err)
			}
			if v != (noValue{}) {
				out = append(out, v)
			}
		}
		return out, nil
	case yaml.ScalarNode:
		var v any
		err := n.Decode(&v)
		return v, err
	}
	return nil, fmt.Errorf("line %d: not a value", n.Line)
}

// mapping resolves the values of a mapping, except those of the ignored keys. prefix comes
// before the key in an error.
func (r *resolver) mapping(n *yaml.Node, prefix string, ignored ...string) (map[string]any, error) {
	out := map[string]any{}
	for key, n := range pairs(n) {
		if slices.Contains(ignored, key) {
			continue
		}
		v, err := r.value(n)
		if err != nil {
			return nil, fmt.Errorf("%s%s: %w", prefix, key, err)
		}
		if v != (noValue{}) {
			out[key] = v
		}
	}
	return out, nil
}

func (r *resolver) intrinsic(name string, n *yaml.Node) (any, error) {
	switch name {
	case "Ref":
		return r.ref(n.Value)
	case "Fn::GetAtt":
		id, attribute, ok := strings.Cut(n.Value, ".")
		if !ok {
			return nil, fmt.Errorf("line %d: GetAtt needs a resource and an attribute", n.Line)
		}
		return r.getAtt(id, attribute)
	case "Fn::Sub":
		if n.Kind == yaml.ScalarNode {
			return r.sub(n.Value, nil)
		}
		if n.Kind == yaml.SequenceNode && len(n.Content) == 2 {
			names, err := r.mapping(n.Content[1], "")
			if err != nil {
				return nil, err
			}
			return r.sub(n.Content[0].Value, names)
		}
	case "Fn::If":
		if n.Kind != yaml.SequenceNode || len(n.Content) != 3 {
			return nil, fmt.Errorf("line %d: If needs a condition and two values", n.Line)
		}
		yes, err := r.condition(n.Content[0].Value)
		if err != nil {
			return nil, err
		}
		if yes {
			return r.value(n.Content[1])
		}
		return r.value(n.Content[2])
	case "Condition":
		return r.condition(n.Value)
	case "Fn::Equals", "Fn::Not", "Fn::And", "Fn::Or", "Fn::Select", "Fn::Split":
		v, err := r.value(n)
		if err != nil {
			return nil, err
		}
		switch list, _ := v.([]any); {
		case name == "Fn::Select" && len(list) == 2:
			return selected(list[0], list[1])
		case name == "Fn::Split" && len(list) == 2:
			parts := []any{}
			for _, part := range strings.Split(Text(list[1]), Text(list[0])) {
				parts = append(parts, part)
			}
			return parts, nil
		case name == "Fn::Equals" && len(list) == 2:
			return Text(list[0]) == Text(list[1]), nil
		case name == "Fn::Not" && len(list) == 1:
			return list[0] != true, nil
		case name == "Fn::And" && len(list) > 1:
			return !slices.Contains(list, any(false)), nil
		case name == "Fn::Or" && len(list) > 1:
			return slices.Contains(list, any(true)), nil
		}
	}
	return nil, fmt.Errorf("%s is not understood here", name)
}

// selected returns the element of a list at an index.
func selected(index, list any) (any, error) {
	elements, ok := list.([]any)
	i, err := strconv.Atoi(Text(index))
	if !ok || err != nil || i < 0 || i >= len(elements) {
		return nil, fmt.Errorf("Fn::Select of %s has no element %s", Text(list), Text(index))
	}
	return elements[i], nil
}

// sub resolves Fn::Sub, with the names of its long form. ${!name} becomes ${name}.
func (r *resolver) sub(pattern string, names map[string]any) (any, error) {
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(pattern, "${")
		out.WriteString(before)
		if !found {
			return out.String(), nil
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed {
			return nil, fmt.Errorf("Fn::Sub has a ${ without its }")
		}
		pattern = after
		if strings.HasPrefix(name, "!") {
			out.WriteString("${" + name[1:] + "}")
			continue
		}
		v, own := names[name]
		if !own {
			var err error
			if id, attribute, dotted := strings.Cut(name, "."); dotted {
				v, err = r.getAtt(id, attribute)
			} else {
				v, err = r.ref(name)
			}
			if err != nil {
				return nil, err
			}
		}
		out.WriteString(Text(v))
	}
}

func (r *resolver) ref(name string) (any, error) {
	if v, ok := r.parameters[name]; ok {
		return v, nil
	}
	res, ok := r.resources[name]
	if !ok {
		return nil, fmt.Errorf("%q is no parameter and no resource that is made here", name)
	}
	return r.physicalName(res)
}

// physicalName returns the name that the template gives, or the logical id.
func (r *resolver) physicalName(res *resource) (string, error) {
	for _, key := range []string{"TableName", "QueueName", "Name"} {
		if n := child(res.properties, key); n != nil {
			v, err := r.value(n)
			if err != nil {
				return "", fmt.Errorf("resource %s, property %s: %w", res.id, key, err)
			}
			return Text(v), nil
		}
	}
	return res.id, nil
}

func (r *resolver) getAtt(id, attribute string) (any, error) {
	res, ok := r.resources[id]
	if !ok {
		return nil, fmt.Errorf("%q is no resource that is made here", id)
	}
	name, err := r.physicalName(res)
	if err != nil {
		return nil, err
	}
	switch res.kind + " " + attribute {
	case "AWS::DynamoDB::Table StreamArn":
		return fmt.Sprintf("arn:aws:dynamodb:%s:%s:table/%s/stream/%s", Region, AccountID, name, id), nil
	case "AWS::DynamoDB::Table Arn":
		return fmt.Sprintf("arn:aws:dynamodb:%s:%s:table/%s", Region, AccountID, name), nil
	case "AWS::Events::EventBus Arn":
		return fmt.Sprintf("arn:aws:events:%s:%s:event-bus/%s", Region, AccountID, name), nil
	case "AWS::Logs::LogGroup Arn":
		return fmt.Sprintf("arn:aws:logs:%s:%s:log-group:%s:*", Region, AccountID, name), nil
	case "AWS::SQS::Queue Arn":
		return fmt.Sprintf("arn:aws:sqs:%s:%s:%s", Region, AccountID, name), nil
	}
	return nil, fmt.Errorf("the attribute %s.%s is not known here", id, attribute)
}

// FunctionARN returns the ARN of a function.
func FunctionARN(name string) string {
	return fmt.Sprintf("arn:aws:lambda:%s:%s:function:%s", Region, AccountID, name)
}

func (r *resolver) condition(name string) (bool, error) {
	n, ok := r.conditions[name]
	if !ok {
		return false, fmt.Errorf("the condition %q does not exist", name)
	}
	if r.deciding[name] {
		return false, fmt.Errorf("the condition %q rests on itself", name)
	}
	r.deciding[name] = true
	defer delete(r.deciding, name)
	v, err := r.value(n)
	if err != nil {
		return false, fmt.Errorf("condition %s: %w", name, err)
	}
	yes, ok := v.(bool)
	if !ok {
		return false, fmt.Errorf("the condition %q is neither true nor false", name)
	}
	return yes, nil
}

// Text returns a value as CloudFormation writes it into a string.
func Text(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case map[string]any, []any:
		if b, err := json.Marshal(v); err == nil {
			return string(b)
		}
	}
	return fmt.Sprint(v)
}

// pairs yields the keys and values of a mapping, none for any other node.
func pairs(n *yaml.Node) iter.Seq2[string, *yaml.Node] {
	return func(yield func(string, *yaml.Node) bool) {
		if n == nil || n.Kind != yaml.MappingNode {
			return
		}
		for i := 0; i < len(n.Content); i += 2 {
			if !yield(n.Content[i].Value, n.Content[i+1]) {
				return
			}
		}
	}
}

// child returns the value of key in a mapping, or nil.
func child(n *yaml.Node, key string) *yaml.Node {
	for name, value := range pairs(n) {
		if name == key {
			return value
		}
	}
	return nil
}

// merge returns b over a, as SAM merges a resource's properties into Globals: maps
// are merged, lists joined, other values replaced.
func merge(a, b any) any {
	switch b := b.(type) {
	case map[string]any:
		if a, ok := a.(map[string]any); ok {
			out := maps.Clone(a)
			for k, v := range b {
				if old, ok := out[k]; ok {
					v = merge(old, v)
				}
				out[k] = v
			}
			return out
		}
	case []any:
		if a, ok := a.([]any); ok {
			return append(slices.Clone(a), b...)
		}
	}
	return b
}

// A number is read from a JSON number or a string: a Ref to a parameter gives a string.
type number float64

func (n *number) UnmarshalJSON(b []byte) error {
	f, err := strconv.ParseFloat(strings.Trim(string(b), `"`), 64)
	if err != nil {
		return fmt.Errorf("%s is not a number", b)
	}
	*n = number(f)
	return nil
}

// A boolean is read from a JSON boolean or a string.
type boolean bool

func (f *boolean) UnmarshalJSON(b []byte) error {
	yes, err := strconv.ParseBool(strings.Trim(string(b), `"`))
	if err != nil {
		return fmt.Errorf("%s is neither true nor false", b)
	}
	*f = boolean(yes)
	return nil
}
