// Package pattern matches event patterns, as EventBridge rules and the filters of
// event source mappings use them.
//
// A pattern is an object in the shape of the event. Its leaves are lists of what
// matches: a value, {"prefix": …}, {"exists": …} or {"anything-but": […]}.
package pattern

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Check returns an error for a pattern that Match does not understand.
func Check(pattern json.RawMessage) error {
	var p map[string]any
	if err := json.Unmarshal(pattern, &p); err != nil {
		return fmt.Errorf("the pattern is no JSON object: %w", err)
	}
	return checkNode(p)
}

// arguments are the types of the rules' arguments.
var arguments = map[string]reflect.Type{
	"prefix": reflect.TypeFor[string](), "exists": reflect.TypeFor[bool](), "anything-but": reflect.TypeFor[[]any](),
}

func checkNode(p map[string]any) error {
	for key, v := range p {
		switch v := v.(type) {
		case map[string]any:
			if err := checkNode(v); err != nil {
				return err
			}
		case []any:
			for _, rule := range v {
				m, _ := rule.(map[string]any)
				for name, argument := range m {
					if want := arguments[name]; len(m) != 1 || want == nil || reflect.TypeOf(argument) != want {
						return fmt.Errorf("the pattern's rule %v of %q is not understood", m, key)
					}
				}
			}
		default:
			return fmt.Errorf("the pattern's %q is neither an object nor a list", key)
		}
	}
	return nil
}

// Match reports whether an event matches any of the patterns. Without patterns
// every event does.
func Match(patterns []json.RawMessage, event json.RawMessage) (bool, error) {
	if len(patterns) == 0 {
		return true, nil
	}
	var value map[string]any
	if err := json.Unmarshal(event, &value); err != nil {
		return false, fmt.Errorf("an event is no JSON object: %w", err)
	}
	for _, raw := range patterns {
		var p map[string]any
		if err := json.Unmarshal(raw, &p); err != nil {
			return false, err
		}
		if matchNode(p, value) {
			return true, nil
		}
	}
	return false, nil
}

func matchNode(pattern, value map[string]any) bool {
	for key, want := range pattern {
		got, present := value[key]
		if nested, ok := want.(map[string]any); ok {
			inner, _ := got.(map[string]any) // nil where absent: {"exists": false} may still match
			if !matchNode(nested, inner) {
				return false
			}
			continue
		}
		// One matching value of a list is enough.
		values, isList := got.([]any)
		if !isList {
			values = []any{got}
		}
		matched := slices.ContainsFunc(want.([]any), func(rule any) bool {
			return slices.ContainsFunc(values, func(got any) bool { return matchRule(rule, got, present) })
		})
		if !matched {
			return false
		}
	}
	return true
}

func matchRule(rule, got any, present bool) bool {
	m, ok := rule.(map[string]any)
	if !ok {
		return present && reflect.DeepEqual(rule, got)
	}
	if exists, ok := m["exists"]; ok {
		return present == exists.(bool)
	}
	if prefix, ok := m["prefix"]; ok {
		s, isText := got.(string)
		return isText && strings.HasPrefix(s, prefix.(string))
	}
	unwanted := slices.ContainsFunc(m["anything-but"].([]any), func(value any) bool { return reflect.DeepEqual(value, got) })
	return present && !unwanted
}
