package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// The fixed identity of the local "AWS account". The functions see it in ARNs only.
const (
	region    = "us-east-1"
	accountID = "000000000000"
	stackName = "agencyhub-local"
)

// noValue is what AWS::NoValue resolves to: the property is left out.
type noValue struct{}

// A resolver turns nodes of a template into plain values, and CloudFormation's
// intrinsic functions into what they stand for. Only what is asked for is
// resolved, and of Fn::If only the branch taken, so that a part which means
// nothing on one machine may use whatever it likes.
type resolver struct {
	parameters map[string]any
	conditions map[string]*yaml.Node
	resources  map[string]*resource
	deciding   map[string]bool // conditions being decided, to refuse a circle
}

// value resolves one node.
func (r *resolver) value(n *yaml.Node) (any, error) {
	if n.Kind == yaml.AliasNode {
		return r.value(n.Alias)
	}
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
		out := map[string]any{}
		for i := 0; i < len(n.Content); i += 2 {
			v, err := r.value(n.Content[i+1])
			if err != nil {
				return nil, fmt.Errorf("%s: %w", n.Content[i].Value, err)
			}
			if v != (noValue{}) {
				out[n.Content[i].Value] = v
			}
		}
		return out, nil
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
		if n.ShortTag() == "!!timestamp" { // a policy's Version is a date to YAML and text to AWS
			return n.Value, nil
		}
		var v any
		if err := n.Decode(&v); err != nil {
			return nil, err
		}
		return v, nil
	}
	return nil, fmt.Errorf("line %d: not a value", n.Line)
}

func (r *resolver) intrinsic(name string, n *yaml.Node) (any, error) {
	switch name {
	case "Ref":
		return r.ref(n.Value)
	case "Fn::GetAtt":
		parts := strings.SplitN(n.Value, ".", 2)
		if n.Kind == yaml.SequenceNode && len(n.Content) == 2 {
			parts = []string{n.Content[0].Value, n.Content[1].Value}
		}
		if len(parts) != 2 {
			return nil, fmt.Errorf("line %d: GetAtt needs a resource and an attribute", n.Line)
		}
		return r.getAtt(parts[0], parts[1])
	case "Fn::Sub":
		return r.sub(n)
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
	}
	argument, err := r.value(n)
	if err != nil {
		return nil, err
	}
	list, ok := argument.([]any)
	if !ok {
		return nil, fmt.Errorf("%s is not understood here", name)
	}
	switch {
	case name == "Fn::Equals" && len(list) == 2:
		return text(list[0]) == text(list[1]), nil
	case name == "Fn::Not" && len(list) == 1:
		return list[0] != true, nil
	case name == "Fn::And":
		return !slices.Contains(list, any(false)), nil
	case name == "Fn::Or":
		return slices.Contains(list, any(true)), nil
	case name == "Fn::Join" && len(list) == 2:
		items, ok := list[1].([]any)
		if !ok {
			break
		}
		words := make([]string, len(items))
		for i, item := range items {
			words[i] = text(item)
		}
		return strings.Join(words, text(list[0])), nil
	case name == "Fn::Select" && len(list) == 2:
		i, err := strconv.Atoi(text(list[0]))
		items, ok := list[1].([]any)
		if err != nil || !ok || i < 0 || i >= len(items) {
			break
		}
		return items[i], nil
	case name == "Fn::Split" && len(list) == 2:
		out := []any{}
		for _, part := range strings.Split(text(list[1]), text(list[0])) {
			out = append(out, part)
		}
		return out, nil
	}
	return nil, fmt.Errorf("%s is not understood here", name)
}

// sub resolves Fn::Sub in both its forms. ${!name} stays ${name}.
func (r *resolver) sub(n *yaml.Node) (any, error) {
	pattern, own := n.Value, map[string]any{}
	if n.Kind == yaml.SequenceNode && len(n.Content) == 2 {
		pattern = n.Content[0].Value
		v, err := r.value(n.Content[1])
		if err != nil {
			return nil, err
		}
		m, ok := v.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("line %d: Sub needs a map of names", n.Line)
		}
		own = m
	}
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(pattern, "${")
		out.WriteString(before)
		if !found {
			return out.String(), nil
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed {
			return nil, fmt.Errorf("line %d: Sub has a ${ without its }", n.Line)
		}
		pattern = after
		if strings.HasPrefix(name, "!") {
			out.WriteString("${" + name[1:] + "}")
			continue
		}
		v, ok := own[name]
		if !ok {
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
		out.WriteString(text(v))
	}
}

func (r *resolver) ref(name string) (any, error) {
	switch name {
	case "AWS::Region":
		return region, nil
	case "AWS::AccountId":
		return accountID, nil
	case "AWS::StackName":
		return stackName, nil
	case "AWS::Partition":
		return "aws", nil
	case "AWS::URLSuffix":
		return "amazonaws.com", nil
	case "AWS::NoValue":
		return noValue{}, nil
	}
	if v, ok := r.parameters[name]; ok {
		return v, nil
	}
	res, ok := r.resources[name]
	if !ok {
		return nil, fmt.Errorf("%q is no parameter and no resource that is made here", name)
	}
	if res.kind == "AWS::SQS::Queue" {
		return "http://localhost/" + accountID + "/" + name, nil
	}
	return r.physicalName(res)
}

// physicalName is the name that AWS would give or the template gives.
func (r *resolver) physicalName(res *resource) (string, error) {
	for _, key := range []string{"TableName", "FunctionName", "QueueName", "TopicName", "Name"} {
		if n := child(res.properties, key); n != nil {
			v, err := r.value(n)
			if err != nil {
				return "", fmt.Errorf("resource %s, property %s: %w", res.id, key, err)
			}
			return text(v), nil
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
	service := strings.ToLower(strings.Split(res.kind, "::")[1])
	arn := fmt.Sprintf("arn:aws:%s:%s:%s:", service, region, accountID)
	switch res.kind + " " + attribute {
	case "AWS::DynamoDB::Table Arn":
		return arn + "table/" + name, nil
	case "AWS::DynamoDB::Table StreamArn":
		return arn + "table/" + name + "/stream/" + id, nil
	case "AWS::SQS::Queue Arn":
		return arn + name, nil
	case "AWS::SQS::Queue QueueName":
		return name, nil
	case "AWS::Serverless::Function Arn":
		return functionARN(name), nil
	}
	if attribute == "Arn" {
		return arn + name, nil
	}
	return nil, fmt.Errorf("the attribute %s.%s is not known here", id, attribute)
}

func functionARN(name string) string {
	return fmt.Sprintf("arn:aws:lambda:%s:%s:function:%s", region, accountID, name)
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
		if m, isMap := v.(map[string]any); isMap && len(m) == 1 { // the long form {Condition: Name}
			return r.condition(text(m["Condition"]))
		}
		return false, fmt.Errorf("the condition %q is neither true nor false", name)
	}
	return yes, nil
}

// text is a value as CloudFormation writes it where text is wanted.
func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case nil:
		return ""
	case map[string]any, []any:
		b, err := json.Marshal(v)
		if err != nil {
			return fmt.Sprint(v)
		}
		return string(b)
	}
	return fmt.Sprint(v)
}

// child finds the value of key in a mapping, or nil.
func child(n *yaml.Node, key string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

// merge lays b over a as SAM lays a function's properties over Globals: maps
// are merged, lists joined, anything else replaced.
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

// number and boolean accept text as well, which is what a Ref to a parameter gives.
type number float64

func (n *number) UnmarshalJSON(b []byte) error {
	f, err := strconv.ParseFloat(strings.Trim(string(b), `"`), 64)
	if err != nil {
		return fmt.Errorf("%s is not a number", b)
	}
	*n = number(f)
	return nil
}

type boolean bool

func (f *boolean) UnmarshalJSON(b []byte) error {
	yes, err := strconv.ParseBool(strings.Trim(string(b), `"`))
	if err != nil {
		return fmt.Errorf("%s is neither true nor false", b)
	}
	*f = boolean(yes)
	return nil
}
