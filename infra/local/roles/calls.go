package roles

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// arn begins the ARNs of a service in the region and the AWS account of the stack.
func (c *Checker) arn(service string) string {
	return fmt.Sprintf("arn:aws:%s:%s:%s:", service, c.region, c.account)
}

// An item is what matters of an action on one item, or of a read of a table or index.
type item struct {
	TableName string
	IndexName string
	Key, Item map[string]json.RawMessage
}

// dynamodb returns the requests of a call of DynamoDB. A transaction has none of its
// own: its parts are.
func (c *Checker) dynamodb(operation string, body []byte) ([]Request, error) {
	switch operation {
	case "GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query", "Scan":
		var in item
		if err := json.Unmarshal(body, &in); err != nil {
			return nil, err
		}
		q, err := c.onTable(operation, in)
		return []Request{q}, err
	case "BatchGetItem", "BatchWriteItem":
		var in struct{ RequestItems map[string]json.RawMessage }
		if err := json.Unmarshal(body, &in); err != nil {
			return nil, err
		}
		var all []Request
		for name := range in.RequestItems {
			q, err := c.onTable(operation, item{TableName: name})
			if err != nil {
				return nil, err
			}
			all = append(all, q)
		}
		return all, nil
	case "TransactWriteItems", "TransactGetItems":
		var in struct{ TransactItems []map[string]item }
		if err := json.Unmarshal(body, &in); err != nil {
			return nil, err
		}
		var all []Request
		for _, part := range in.TransactItems {
			for kind, on := range part {
				action, known := map[string]string{"Get": "GetItem", "Put": "PutItem", "Update": "UpdateItem", "Delete": "DeleteItem", "ConditionCheck": "ConditionCheckItem"}[kind]
				if !known {
					return nil, fmt.Errorf("the part %s of a transaction is not understood", kind)
				}
				q, err := c.onTable(action, on)
				if err != nil {
					return nil, err
				}
				all = append(all, q)
			}
		}
		return all, nil
	}
	return nil, fmt.Errorf("the operation %s is not understood", operation)
}

// onTable returns the request of an action on an item, a table or an index.
func (c *Checker) onTable(action string, on item) (Request, error) {
	resource := c.arn("dynamodb") + "table/" + on.TableName
	if strings.HasPrefix(on.TableName, "arn:") {
		resource = on.TableName
	}
	if on.IndexName != "" {
		resource += "/index/" + on.IndexName
	}
	q := Request{Permission: Permission{"dynamodb:" + action, resource}}
	attributes := on.Key
	if on.Item != nil {
		attributes = on.Item
	}
	if attributes != nil {
		var value map[string]string // the type and the value of a string, a number or bytes
		if err := json.Unmarshal(attributes[c.partitionKeys[on.TableName]], &value); err != nil {
			return q, fmt.Errorf("%s: the item has no partition key", action)
		}
		for _, text := range value {
			q.Context = map[string][]string{LeadingKeys: {text}}
		}
	}
	return q, nil
}

// cloud returns the requests of a call of SES or EventBridge.
func (c *Checker) cloud(r *http.Request, body []byte) ([]Request, error) {
	if target := r.Header.Get("X-Amz-Target"); target != "" {
		if target != "AWSEvents.PutEvents" {
			return nil, fmt.Errorf("the operation %s is not understood", target)
		}
		return c.putEvents(body)
	}
	switch {
	case r.Method == http.MethodPost && r.URL.Path == "/v2/email/outbound-emails":
		return c.sendEmail(body)
	case r.Method == http.MethodDelete && strings.HasPrefix(r.URL.Path, "/v2/email/suppression/addresses/"):
		return []Request{{Permission: Permission{"ses:DeleteSuppressedDestination", "*"}}}, nil
	}
	return nil, fmt.Errorf("%s of SES is not understood", r.Method)
}

func (c *Checker) putEvents(body []byte) ([]Request, error) {
	var in struct {
		Entries []struct{ EventBusName string }
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, err
	}
	var all []Request
	for _, e := range in.Entries {
		bus := e.EventBusName
		switch {
		case bus == "":
			bus = c.arn("events") + "event-bus/default"
		case !strings.HasPrefix(bus, "arn:"):
			bus = c.arn("events") + "event-bus/" + bus
		}
		all = append(all, Request{Permission: Permission{"events:PutEvents", bus}})
	}
	return all, nil
}

// sendEmail returns the requests of one email: the sender's identity, which is its domain
// here, and the configuration set. SES's sandbox decides on the recipients' identities
// too, so this does: a role that allows it works in and out of the sandbox.
func (c *Checker) sendEmail(body []byte) ([]Request, error) {
	var in struct {
		FromEmailAddress     string
		ConfigurationSetName string
		Destination          struct{ ToAddresses, CcAddresses, BccAddresses []string }
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, err
	}
	from := bare(in.FromEmailAddress)
	_, domain, _ := strings.Cut(from, "@")
	resources := []string{"identity/" + domain}
	if in.ConfigurationSetName != "" {
		resources = append(resources, "configuration-set/"+in.ConfigurationSetName)
	}
	for _, list := range [][]string{in.Destination.ToAddresses, in.Destination.CcAddresses, in.Destination.BccAddresses} {
		for _, address := range list {
			resources = append(resources, "identity/"+bare(address))
		}
	}
	var all []Request
	for _, resource := range resources {
		all = append(all, Request{Permission{"ses:SendEmail", c.arn("ses") + resource}, map[string][]string{FromAddress: {from}}})
	}
	return all, nil
}

// bare returns an address without a name in front of it.
func bare(address string) string {
	if i := strings.LastIndexByte(address, '<'); i >= 0 {
		address = strings.TrimSuffix(address[i+1:], ">")
	}
	return address
}

// safe returns a resource without what stands in an address.
func safe(resource string) string {
	if i := strings.Index(resource, ":identity/"); i >= 0 && strings.Contains(resource[i:], "@") {
		return resource[:i] + ":identity/" + url.PathEscape("<an address>")
	}
	return resource
}
