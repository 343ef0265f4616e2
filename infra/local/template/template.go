// Package template reads the SAM template of the product: what of it means something
// at run time on one machine. Whatever matters and is not understood is an error
// that names the resource and the property.
package template

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"agencyhub/infra/local/roles"
)

// A Stack is what the template declares.
type Stack struct {
	Functions  []*Function
	Routes     []Route
	Throttle   Throttle // of the routes without one of their own
	Tables     []Table
	Queues     []string // names
	Streams    []Stream
	Schedules  []Schedule
	Buses      []string            // names
	Rules      []Rule              // of the default bus
	MailEvents map[string][]string // SES's event types that go to the default bus, as its events name them, by configuration set
}

// A Function is one Lambda function.
type Function struct {
	ID      string // logical id, which is its name here
	Timeout time.Duration
	Memory  int // MB; an environment variable only, nothing enforces it
	Env     map[string]string
	Async   *Async // nil for Lambda's defaults
	Role    roles.Role
	// Calls are what Lambda does by the function's role: it reads streams, and writes to
	// on-failure queues and logs. The role allows them.
	Calls []roles.Permission
}

// Folder returns the folder of the function below functions/, which is its binary's
// name too.
func (f *Function) Folder() string { return Folder(f.ID) }

// Folder returns the folder of the function with this logical id.
func Folder(id string) string { return strings.ToLower(strings.TrimSuffix(id, "Function")) }

// An Async is how a function takes asynchronous invocations.
type Async struct {
	Retries  int
	Failures string // the queue for events whose last retry failed; "" for none
}

// A Route leads requests of the HTTP API to a function.
type Route struct {
	Method     string // upper case; ANY for every method
	Path       string // as in the template; "" for $default
	Function   string
	Authorizer *Authorizer // nil: open
	Scopes     []string
	Timeout    time.Duration // of the integration
	Throttle   *Throttle     // nil: that of the stack
}

// Key returns the route key, such as "GET /v1/me" or "$default".
func (r Route) Key() string {
	if r.Path == "" {
		return "$default"
	}
	return r.Method + " " + r.Path
}

// checkPath returns an error for a route path that HTTP APIs do not know.
func checkPath(path string) error {
	if path == "" {
		return nil
	}
	if !strings.HasPrefix(path, "/") {
		return fmt.Errorf("%q does not begin with a slash", path)
	}
	segments := strings.Split(path[1:], "/")
	for i, s := range segments {
		if strings.HasPrefix(s, "{") != strings.HasSuffix(s, "}") {
			return fmt.Errorf("%q has half a variable", path)
		}
		if strings.HasSuffix(s, "+}") && i != len(segments)-1 {
			return fmt.Errorf("%q goes on after a greedy variable", path)
		}
	}
	return nil
}

// An Authorizer is a JWT authorizer of the HTTP API.
type Authorizer struct {
	Issuer   string
	Audience []string
	Scopes   []string
}

// A Throttle is a limit of requests, of the API's stage or of a route. A Rate of 0 is no
// limit.
type Throttle struct {
	Rate  float64 // requests a second
	Burst int
}

// A Table is one DynamoDB table.
type Table struct {
	Name     string
	ID       string         // logical id
	Create   map[string]any // the input of CreateTable
	Streamed bool
	// PartitionKey is the name of the attribute.
	PartitionKey string
}

// A Stream is an event source mapping from a table's stream to a function.
type Stream struct {
	Name       string // function and event, unique in the template; names the checkpoint
	Function   string
	Table      string // logical id
	Filters    []json.RawMessage
	BatchSize  int
	Window     time.Duration
	Partial    bool // ReportBatchItemFailures
	Bisect     bool
	Retries    int           // -1: no limit
	MaxAge     time.Duration // 0: no limit
	DeadLetter string        // the name of a queue; "" for none
}

// A Schedule invokes a function at a fixed rate.
type Schedule struct {
	Name     string
	Function string
	Every    time.Duration
}

// A Rule sends events of the default bus to a function.
type Rule struct {
	Name     string
	Function string
	Pattern  json.RawMessage
}

type resource struct {
	id, kind   string
	properties *yaml.Node
}

// ignoredKinds are the kinds of resource that change nothing on one machine:
// monitoring, domains and identities, and roles that are no function's.
var ignoredKinds = []string{
	"AWS::ApiGatewayV2::ApiMapping", "AWS::ApiGatewayV2::DomainName",
	"AWS::CertificateManager::Certificate",
	"AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm", "AWS::CloudWatch::Dashboard",
	"AWS::Events::Archive", "AWS::Events::EventBusPolicy",
	"AWS::IAM::ManagedPolicy", "AWS::IAM::Role",
	"AWS::Lambda::Permission",
	"AWS::Logs::LogGroup", "AWS::Logs::MetricFilter", "AWS::Logs::QueryDefinition",
	"AWS::Route53::RecordSet",
	"AWS::Scheduler::ScheduleGroup",
	"AWS::SES::ConfigurationSet", "AWS::SES::EmailIdentity",
	"AWS::SNS::Subscription", "AWS::SNS::Topic", "AWS::SNS::TopicPolicy",
	"AWS::SQS::QueuePolicy",
}

// Properties that change nothing on one machine, by kind: builds, cost, monitoring. All others must be understood.
var (
	functionIgnores = []string{"Architectures", "CodeUri", "Description", "EphemeralStorage", "FunctionName", "Handler", "ReservedConcurrentExecutions", "RuntimeManagementConfig", "Tags", "Tracing"}
	apiIgnores      = []string{"AccessLogSettings", "Description", "DisableExecuteApiEndpoint", "Domain", "FailOnWarnings", "Name", "PropagateTags", "Tags"}
	tableIgnores    = []string{"ContributorInsightsSpecification", "DeletionProtectionEnabled", "KinesisStreamSpecification", "OnDemandThroughput", "PointInTimeRecoverySpecification", "ResourcePolicy", "SSESpecification", "TableClass", "Tags", "TimeToLiveSpecification", "WarmThroughput"}
	queueIgnores    = []string{"KmsDataKeyReusePeriodSeconds", "KmsMasterKeyId", "MessageRetentionPeriod", "QueueName", "SqsManagedSseEnabled", "Tags", "VisibilityTimeout"}
	busIgnores      = []string{"Description", "Name", "Tags"}
	scheduleIgnores = []string{"DeadLetterConfig", "Description", "GroupName", "Name", "OmitName", "PermissionsBoundary", "RetryPolicy", "RoleArn"}
)

// Read reads the template at path. set overrides parameters. given are values for
// parameters that have no default and are not set.
func Read(path string, set, given map[string]string) (*Stack, error) {
	source, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(source, &doc); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(doc.Content) == 0 {
		return nil, fmt.Errorf("%s is empty", path)
	}
	t := &reader{root: doc.Content[0], stack: &Stack{}, authorizers: map[string]map[string]*Authorizer{}, defaultAuthorizer: map[string]string{}, throttles: map[string]map[string]*Throttle{}}
	if err := t.read(set, given); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return t.stack, nil
}

// A reader reads a parsed template into stack.
type reader struct {
	resolver
	root              *yaml.Node
	stack             *Stack
	authorizers       map[string]map[string]*Authorizer // by api, by name
	defaultAuthorizer map[string]string                 // by api
	throttles         map[string]map[string]*Throttle   // by api, by route key; those that no route has taken
}

func (t *reader) read(set, given map[string]string) error {
	for section := range pairs(t.root) {
		if !slices.Contains([]string{"AWSTemplateFormatVersion", "Conditions", "Description", "Globals", "Metadata", "Outputs", "Parameters", "Resources", "Rules", "Transform"}, section) {
			return fmt.Errorf("the section %s is not understood", section)
		}
	}
	if err := t.readParameters(set, given); err != nil {
		return err
	}
	t.conditions, t.deciding = maps.Collect(pairs(child(t.root, "Conditions"))), map[string]bool{}
	order, err := t.readResources()
	if err != nil {
		return err
	}
	// In this order: a function's events name APIs, tables and queues.
	kinds := []struct {
		name string
		read func(*resource) error
	}{
		{"AWS::Serverless::HttpApi", t.readAPI},
		{"AWS::DynamoDB::Table", t.readTable},
		{"AWS::SQS::Queue", func(r *resource) error { return t.readName(r, queueIgnores, &t.stack.Queues) }},
		{"AWS::Events::EventBus", func(r *resource) error { return t.readName(r, busIgnores, &t.stack.Buses) }},
		{"AWS::Serverless::Function", t.readFunction},
		{"AWS::SES::ConfigurationSetEventDestination", t.readMailEvents},
	}
	known := slices.Clone(ignoredKinds)
	for _, kind := range kinds {
		known = append(known, kind.name)
	}
	for _, res := range order {
		if !slices.Contains(known, res.kind) {
			return fmt.Errorf("resource %s: %s is not understood", res.id, res.kind)
		}
	}
	for _, kind := range kinds {
		for _, res := range order {
			if res.kind != kind.name {
				continue
			}
			if err := kind.read(res); err != nil {
				return fmt.Errorf("resource %s: %w", res.id, err)
			}
		}
	}
	return t.checkThrottles()
}

// checkThrottles returns an error for settings of a route that does not exist, as AWS does.
func (t *reader) checkThrottles() error {
	for api, routes := range t.throttles {
		for key := range routes {
			return fmt.Errorf("resource %s: property RouteSettings: there is no route %s", api, key)
		}
	}
	return nil
}

func (t *reader) readParameters(set, given map[string]string) error {
	t.parameters = map[string]any{
		"AWS::Region": Region, "AWS::AccountId": AccountID, "AWS::StackName": "agencyhub-local", "AWS::Partition": "aws", "AWS::NoValue": noValue{},
	}
	declared := child(t.root, "Parameters")
	for name := range set {
		if child(declared, name) == nil {
			return fmt.Errorf("there is no parameter %s", name)
		}
	}
	for name, n := range pairs(declared) {
		value, ok := set[name]
		if def := child(n, "Default"); !ok && def != nil {
			value, ok = def.Value, true
		}
		if !ok {
			value, ok = given[name]
		}
		if !ok {
			return fmt.Errorf("the parameter %s has no default: give it by -set %s=…", name, name)
		}
		if kind := child(n, "Type"); kind == nil || kind.Value != "String" && kind.Value != "Number" {
			return fmt.Errorf("the parameter %s is neither a String nor a Number", name)
		}
		t.parameters[name] = value
	}
	return nil
}

// readResources returns the resources whose condition is true, in the template's order.
func (t *reader) readResources() ([]*resource, error) {
	t.resources = map[string]*resource{}
	var order []*resource
	all := child(t.root, "Resources")
	if all == nil {
		return nil, fmt.Errorf("there are no Resources")
	}
	for id, n := range pairs(all) {
		kind := child(n, "Type")
		if kind == nil {
			return nil, fmt.Errorf("resource %s has no Type", id)
		}
		if c := child(n, "Condition"); c != nil {
			yes, err := t.condition(c.Value)
			if err != nil {
				return nil, fmt.Errorf("resource %s: %w", id, err)
			}
			if !yes {
				continue
			}
		}
		res := &resource{id: id, kind: kind.Value, properties: child(n, "Properties")}
		t.resources[id] = res
		order = append(order, res)
	}
	return order, nil
}

// decode resolves the node's properties, merges them into the section of Globals ("" for
// none), and reads the result strictly into out. It leaves out the ignored properties, and
// the node's own, which the caller reads.
func (t *reader) decode(n *yaml.Node, section string, ignored []string, out any, own ...string) error {
	base, err := t.mapping(child(child(t.root, "Globals"), section), "property ", ignored...)
	if err != nil {
		return fmt.Errorf("section Globals.%s: %w", section, err)
	}
	values, err := t.mapping(n, "property ", slices.Concat(ignored, own)...)
	if err != nil {
		return err
	}
	return strict(merge(base, values), out)
}

// strict reads values into out. A property that out does not have is an error.
func strict(values any, out any) error {
	b, err := json.Marshal(values)
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(out); err != nil {
		message := strings.TrimPrefix(err.Error(), "json: ")
		if name, unknown := strings.CutPrefix(message, "unknown field "); unknown {
			return fmt.Errorf("property %s is not understood", strings.Trim(name, `"`))
		}
		return fmt.Errorf("a property is not understood: %s", message)
	}
	return nil
}
