package main

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
)

// Event patterns as an event source mapping's filters know them: a pattern is
// an object with the record's shape, whose leaves are lists of what is let
// through: a value, or {"prefix": …}, {"exists": …}, {"anything-but": […]}.

// checkPattern refuses what matches does not understand.
func checkPattern(pattern json.RawMessage) error {
	var p map[string]any
	if err := json.Unmarshal(pattern, &p); err != nil {
		return fmt.Errorf("the pattern is no JSON object: %w", err)
	}
	return checkNode(p)
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
				m, ok := rule.(map[string]any)
				if !ok {
					continue
				}
				for name, argument := range m {
					_, isText := argument.(string)
					_, isBool := argument.(bool)
					_, isList := argument.([]any)
					if len(m) != 1 || !(name == "prefix" && isText || name == "exists" && isBool || name == "anything-but" && isList) {
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

// passes tells whether a record matches any of the filters; without filters
// every record does.
func passes(filters []json.RawMessage, record json.RawMessage) (bool, error) {
	if len(filters) == 0 {
		return true, nil
	}
	var value map[string]any
	if err := json.Unmarshal(record, &value); err != nil {
		return false, fmt.Errorf("a record is no JSON object: %w", err)
	}
	for _, f := range filters {
		var pattern map[string]any
		if err := json.Unmarshal(f, &pattern); err != nil {
			return false, err
		}
		if matches(pattern, value) {
			return true, nil
		}
	}
	return false, nil
}

func matches(pattern, value map[string]any) bool {
	for key, want := range pattern {
		got, present := value[key]
		if nested, ok := want.(map[string]any); ok {
			inner, _ := got.(map[string]any) // nil where absent: {"exists": false} may still match
			if !matches(nested, inner) {
				return false
			}
			continue
		}
		// Of a list, one value that is let through is enough.
		values, isList := got.([]any)
		if !isList {
			values = []any{got}
		}
		let := false
		for _, rule := range want.([]any) {
			for _, got := range values {
				let = let || lets(rule, got, present)
			}
		}
		if !let {
			return false
		}
	}
	return true
}

func lets(rule, got any, present bool) bool {
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
	for _, unwanted := range m["anything-but"].([]any) {
		if reflect.DeepEqual(unwanted, got) {
			return false
		}
	}
	return present
}
