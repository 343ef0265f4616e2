// Package roles decides on the calls of functions by their roles, as IAM does, and notes
// what they use of them.
package roles

import (
	"cmp"
	"slices"
	"strings"
)

// A Role is what a function may do: whatever one of its statements allows.
type Role []Statement

// A Statement allows each of its actions on each of its resources while all its
// conditions hold.
type Statement struct {
	Actions    []string // such as dynamodb:GetItem, without wildcards
	Resources  []string // ARNs, in which * is any text
	Conditions []Condition
}

// A Condition compares a value of the call with a list. See Check for what is understood.
type Condition struct {
	Operator string   // such as StringEquals
	Key      string   // such as ses:FromAddress
	Values   []string // one of these
}

// A Permission is one action on one resource of a statement.
type Permission struct {
	Action   string `json:"action"`
	Resource string `json:"resource"`
}

// A Request is one action on one resource. A call can be several.
type Request struct {
	Permission
	// Context has the values that conditions compare, by their key.
	Context map[string][]string
}

// The keys of conditions that are understood.
const (
	LeadingKeys = "dynamodb:LeadingKeys" // the partition keys of an item's action
	FromAddress = "ses:FromAddress"      // the sender of an email
)

// conditional are the actions that each key is known for.
var conditional = map[string][]string{
	LeadingKeys: {"dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem", "dynamodb:ConditionCheckItem"},
	FromAddress: {"ses:SendEmail"},
}

// Operators of conditions. Those ForAllValues are true without any value, as in IAM.
const (
	equals    = "StringEquals"
	like      = "StringLike"
	allEquals = "ForAllValues:StringEquals"
	allLike   = "ForAllValues:StringLike"
)

// Check returns what of a statement is not understood; "" for nothing.
func (s Statement) Check() string {
	for _, action := range s.Actions {
		if service, name, ok := strings.Cut(action, ":"); !ok || service == "" || name == "" || strings.ContainsAny(action, "*?") {
			return "Action: " + action + ": each action is named in full"
		}
	}
	for _, resource := range s.Resources {
		if strings.Contains(resource, "?") {
			return "Resource: " + resource + ": the wildcard ?"
		}
	}
	for _, c := range s.Conditions {
		operators := []string{equals, like}
		if c.Key == LeadingKeys {
			operators = []string{allEquals, allLike}
		}
		if !slices.Contains(operators, c.Operator) {
			return "Condition: " + c.Operator + " of " + c.Key
		}
		for _, action := range s.Actions {
			if !slices.Contains(conditional[c.Key], action) {
				return "Condition: " + c.Key + " of " + action
			}
		}
	}
	return ""
}

// Allow returns the first permission that allows a request.
func (r Role) Allow(q Request) (Permission, bool) {
	for _, s := range r {
		if !slices.Contains(s.Actions, q.Action) || slices.ContainsFunc(s.Conditions, func(c Condition) bool { return !c.holds(q.Context[c.Key]) }) {
			continue
		}
		for _, resource := range s.Resources {
			if matches(resource, q.Resource) {
				return Permission{q.Action, resource}, true
			}
		}
	}
	return Permission{}, false
}

func (c Condition) holds(values []string) bool {
	all := c.Operator == allEquals || c.Operator == allLike
	if len(values) == 0 {
		return all
	}
	return !slices.ContainsFunc(values, func(value string) bool {
		return !slices.ContainsFunc(c.Values, func(want string) bool {
			if c.Operator == like || c.Operator == allLike {
				return matches(want, value)
			}
			return want == value
		})
	})
}

// matches reports whether a text is of a pattern, in which * is any text.
func matches(pattern, text string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == text
	}
	rest, ok := strings.CutPrefix(text, parts[0])
	if !ok {
		return false
	}
	for _, part := range parts[1 : len(parts)-1] {
		if _, rest, ok = strings.Cut(rest, part); !ok {
			return false
		}
	}
	return strings.HasSuffix(rest, parts[len(parts)-1])
}

// Permissions returns what the role allows, sorted.
func (r Role) Permissions() []Permission {
	var all []Permission
	for _, s := range r {
		for _, action := range s.Actions {
			for _, resource := range s.Resources {
				all = append(all, Permission{action, resource})
			}
		}
	}
	slices.SortFunc(all, func(a, b Permission) int {
		return cmp.Or(cmp.Compare(a.Action, b.Action), cmp.Compare(a.Resource, b.Resource))
	})
	return slices.Compact(all)
}
