package template

import (
	"fmt"
	"strings"
)

func (t *reader) readAPI(res *resource) error {
	var p struct {
		DefaultRouteSettings struct{ ThrottlingRateLimit, ThrottlingBurstLimit number }
		RouteSettings        map[string]struct{ ThrottlingRateLimit, ThrottlingBurstLimit number }
		Auth                 struct {
			DefaultAuthorizer string
			Authorizers       map[string]struct {
				AuthorizationScopes []string
				IdentitySource      string
				JwtConfiguration    map[string]any
			}
		}
	}
	if err := t.decode(res.properties, "HttpApi", apiIgnores, &p); err != nil {
		return err
	}
	t.stack.Throttle = Throttle{Rate: float64(p.DefaultRouteSettings.ThrottlingRateLimit), Burst: int(p.DefaultRouteSettings.ThrottlingBurstLimit)}
	t.throttles[res.id] = map[string]*Throttle{}
	for key, s := range p.RouteSettings {
		if s.ThrottlingRateLimit <= 0 || s.ThrottlingBurstLimit <= 0 {
			return fmt.Errorf("property RouteSettings.%s: ThrottlingRateLimit and ThrottlingBurstLimit go together, both above 0", key)
		}
		t.throttles[res.id][key] = &Throttle{Rate: float64(s.ThrottlingRateLimit), Burst: int(s.ThrottlingBurstLimit)}
	}
	t.authorizers[res.id] = map[string]*Authorizer{}
	for name, a := range p.Auth.Authorizers {
		if a.IdentitySource != "" && a.IdentitySource != "$request.header.Authorization" {
			return fmt.Errorf("property Auth.Authorizers.%s.IdentitySource: only $request.header.Authorization is understood", name)
		}
		out := &Authorizer{Scopes: a.AuthorizationScopes}
		for key, v := range a.JwtConfiguration { // SAM takes these in either case
			switch strings.ToLower(key) {
			case "issuer":
				out.Issuer = Text(v)
			case "audience":
				items, ok := v.([]any)
				if !ok {
					items = []any{v}
				}
				for _, item := range items {
					out.Audience = append(out.Audience, Text(item))
				}
			default:
				return fmt.Errorf("property Auth.Authorizers.%s.JwtConfiguration.%s is not understood", name, key)
			}
		}
		t.authorizers[res.id][name] = out
	}
	t.defaultAuthorizer[res.id] = p.Auth.DefaultAuthorizer
	return nil
}

func (t *reader) readTable(res *resource) error {
	var p struct {
		AttributeDefinitions   any
		BillingMode            any `json:",omitempty"`
		GlobalSecondaryIndexes any `json:",omitempty"`
		KeySchema              []struct{ AttributeName, KeyType string }
		StreamSpecification    map[string]any
	}
	if err := t.decode(res.properties, "", tableIgnores, &p, "TableName"); err != nil {
		return err
	}
	name, err := t.physicalName(res)
	if err != nil {
		return err
	}
	values, err := t.mapping(res.properties, "property ", tableIgnores...)
	if err != nil {
		return err
	}
	values["TableName"] = name
	if p.StreamSpecification != nil {
		values["StreamSpecification"] = merge(p.StreamSpecification, map[string]any{"StreamEnabled": true})
	}
	table := Table{Name: name, ID: res.id, Create: values, Streamed: p.StreamSpecification != nil}
	for _, key := range p.KeySchema {
		if key.KeyType == "HASH" {
			table.PartitionKey = key.AttributeName
		}
	}
	t.stack.Tables = append(t.stack.Tables, table)
	return nil
}

// readName adds the name of a resource to names.
func (t *reader) readName(res *resource, ignored []string, names *[]string) error {
	if err := t.decode(res.properties, "", ignored, &struct{}{}); err != nil {
		return err
	}
	name, err := t.physicalName(res)
	*names = append(*names, name)
	return err
}

func (t *reader) readMailEvents(res *resource) error {
	var p struct {
		ConfigurationSetName string
		EventDestination     struct {
			Name                   string
			Enabled                boolean
			MatchingEventTypes     []string
			EventBridgeDestination struct{ EventBusArn string }
		}
	}
	if err := t.decode(res.properties, "", nil, &p); err != nil {
		return err
	}
	if !strings.HasSuffix(p.EventDestination.EventBridgeDestination.EventBusArn, ":event-bus/default") {
		return fmt.Errorf("property EventBridgeDestination: SES knows the default bus only")
	}
	var kinds []string
	for _, name := range p.EventDestination.MatchingEventTypes {
		kind, ok := mailEventKinds[name]
		if !ok {
			return fmt.Errorf("property MatchingEventTypes: %s is not understood", name)
		}
		kinds = append(kinds, kind)
	}
	if p.EventDestination.Enabled {
		if t.stack.MailEvents == nil {
			t.stack.MailEvents = map[string][]string{}
		}
		t.stack.MailEvents[p.ConfigurationSetName] = kinds
	}
	return nil
}

// mailEventKinds are the types of SES's events: as CloudFormation has always named them,
// and as the events name them. CloudFormation also takes capitals since 2025.
var mailEventKinds = map[string]string{
	"bounce": "Bounce", "click": "Click", "complaint": "Complaint", "delivery": "Delivery", "deliveryDelay": "DeliveryDelay",
	"open": "Open", "reject": "Reject", "renderingFailure": "Rendering Failure", "send": "Send", "subscription": "Subscription",
}
