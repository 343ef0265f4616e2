package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// What template.yaml says of buses, of what SES says of emails, and of calls that
// nobody waits for.

func (t *templateReader) readBus(res *resource) error {
	if err := t.decode(res.properties, []string{"Description", "Name", "Tags"}, nil, &struct{}{}); err != nil {
		return err
	}
	name, err := t.physicalName(res)
	if err != nil {
		return err
	}
	t.stack.buses = append(t.stack.buses, name)
	return nil
}

func (t *templateReader) readMailEvents(res *resource) error {
	var p struct {
		ConfigurationSetName string
		EventDestination     struct {
			Name                   string
			Enabled                boolean
			MatchingEventTypes     []string
			EventBridgeDestination struct{ EventBusArn string }
		}
	}
	if err := t.decode(res.properties, nil, nil, &p); err != nil {
		return err
	}
	if !strings.HasSuffix(p.EventDestination.EventBridgeDestination.EventBusArn, ":event-bus/default") {
		return fmt.Errorf("property EventBridgeDestination: SES knows the default bus only")
	}
	if p.EventDestination.Enabled {
		if t.stack.news == nil {
			t.stack.news = map[string][]string{}
		}
		t.stack.news[p.ConfigurationSetName] = p.EventDestination.MatchingEventTypes
	}
	return nil
}

// readRule reads a rule on the default bus. How often AWS tries to reach the
// function does not matter here, where it is always there.
func (t *templateReader) readRule(f *function, name string, n *yaml.Node) error {
	var p struct{ Pattern any }
	if err := t.decode(n, []string{"DeadLetterConfig", "RetryPolicy", "RuleName"}, nil, &p); err != nil {
		return err
	}
	pattern, err := json.Marshal(p.Pattern)
	if err != nil {
		return err
	}
	if err := checkPattern(pattern); err != nil {
		return fmt.Errorf("property Pattern: %w", err)
	}
	t.stack.rules = append(t.stack.rules, rule{name: f.id + name, function: f.id, pattern: pattern})
	return nil
}

func (t *templateReader) readAsync(values map[string]any) (*async, error) {
	p := struct {
		MaximumRetryAttempts     number
		MaximumEventAgeInSeconds number
		DestinationConfig        struct {
			OnFailure struct{ Type, Destination string }
		}
	}{MaximumRetryAttempts: 2}
	if err := strict(values, &p); err != nil {
		return nil, err
	}
	queue, err := t.queue(p.DestinationConfig.OnFailure.Type, p.DestinationConfig.OnFailure.Destination)
	return &async{retries: int(p.MaximumRetryAttempts), failures: queue}, err
}

// queue is the name of a queue that a destination names; "" for none.
func (t *templateReader) queue(kind, arn string) (string, error) {
	name := arn[strings.LastIndex(arn, ":")+1:]
	if arn != "" && (kind != "" && kind != "SQS" || !slices.Contains(t.stack.queues, name)) {
		return "", fmt.Errorf("only a queue of this template is understood")
	}
	return name, nil
}
