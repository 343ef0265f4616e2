package template

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"agencyhub/infra/local/roles"
)

// Properties of roles and policies that say nothing of what they allow.
var (
	roleIgnores   = []string{"AssumeRolePolicyDocument", "Description", "MaxSessionDuration", "Path", "RoleName", "Tags"}
	policyIgnores = []string{"Description", "ManagedPolicyName", "Path"}
)

// A policyDocument is a policy in IAM's language.
type policyDocument struct {
	Version   string
	Statement []struct {
		Sid, Effect      string
		Action, Resource texts
		Condition        map[string]map[string]texts
	}
}

// texts are read from one text or a list.
type texts []string

func (t *texts) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*t = texts{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(t))
}

// readRole reads the role that a function names: its own policies, and managed ones of
// this template.
func (t *reader) readRole(n *yaml.Node) (roles.Role, error) {
	if n == nil {
		return nil, fmt.Errorf("only a function with a role of this template is understood")
	}
	id, ok := strings.CutSuffix(n.Value, ".Arn")
	res := t.resources[id]
	if n.Tag != "!GetAtt" || !ok || res == nil || res.kind != "AWS::IAM::Role" {
		return nil, fmt.Errorf("only !GetAtt and the Arn of a role of this template is understood")
	}
	var p struct {
		ManagedPolicyArns []string
		Policies          []struct {
			PolicyName     string
			PolicyDocument policyDocument
		}
	}
	if err := t.decode(res.properties, "", roleIgnores, &p); err != nil {
		return nil, fmt.Errorf("resource %s: %w", id, err)
	}
	var role roles.Role
	for _, policy := range p.Policies {
		statements, err := policy.PolicyDocument.statements()
		if err != nil {
			return nil, fmt.Errorf("resource %s: policy %s: %w", id, policy.PolicyName, err)
		}
		role = append(role, statements...)
	}
	for _, managed := range p.ManagedPolicyArns {
		res := t.resources[managed]
		if res == nil || res.kind != "AWS::IAM::ManagedPolicy" {
			return nil, fmt.Errorf("resource %s: property ManagedPolicyArns: %s is no policy of this template", id, managed)
		}
		var p struct{ PolicyDocument policyDocument }
		if err := t.decode(res.properties, "", policyIgnores, &p); err != nil {
			return nil, fmt.Errorf("resource %s: %w", managed, err)
		}
		statements, err := p.PolicyDocument.statements()
		if err != nil {
			return nil, fmt.Errorf("resource %s: %w", managed, err)
		}
		role = append(role, statements...)
	}
	return role, nil
}

func (d policyDocument) statements() (role roles.Role, err error) {
	if d.Version != "2012-10-17" {
		return nil, fmt.Errorf("property Version: only 2012-10-17 is understood")
	}
	for _, s := range d.Statement {
		if s.Effect != "Allow" {
			return nil, fmt.Errorf("property Effect: only Allow is understood")
		}
		if len(s.Action) == 0 || len(s.Resource) == 0 {
			return nil, fmt.Errorf("a statement without Action or Resource is not understood")
		}
		out := roles.Statement{Actions: s.Action, Resources: s.Resource}
		for operator, keys := range s.Condition {
			for key, values := range keys {
				out.Conditions = append(out.Conditions, roles.Condition{Operator: operator, Key: key, Values: values})
			}
		}
		slices.SortFunc(out.Conditions, func(a, b roles.Condition) int { return strings.Compare(a.Operator+a.Key, b.Operator+b.Key) })
		if what := out.Check(); what != "" {
			return nil, fmt.Errorf("property %s is not understood", what)
		}
		role = append(role, out)
	}
	return role, nil
}
