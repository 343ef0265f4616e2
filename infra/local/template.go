package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// A stack is what template.yaml says, as far as it means something at runtime
// on one machine.
type stack struct {
	functions []*function
	routes    []route
	throttle  throttle
	tables    []table
	queues    []string
	streams   []streamSource
	schedules []schedule
	buses     []string
	rules     []rule
	news      map[string][]string // what SES says of emails, by configuration set
}

type function struct {
	id          string // its logical id, which is its name here
	timeout     time.Duration
	memory      int // MB; the function is told it, nothing enforces it
	concurrency int // reserved; 0 where the template reserves none
	env         map[string]string
	async       *async // nil: as Lambda does by itself
}

// folder is where the function's source lies under functions/, and its binary's name.
func (f *function) folder() string {
	return strings.ToLower(strings.TrimSuffix(f.id, "Function"))
}

type route struct {
	method     string // upper case; ANY for every one
	path       string // as in the template; "" for $default
	function   string
	authorizer *authorizer // nil: open
	scopes     []string
	timeout    time.Duration // of the integration
}

func (r route) key() string {
	if r.path == "" {
		return "$default"
	}
	return r.method + " " + r.path
}

type authorizer struct {
	issuer   string
	audience []string
	scopes   []string
}

// throttle is the stage's limit; 0 means none.
type throttle struct {
	rate  float64 // requests a second
	burst int
}

type table struct {
	name     string
	id       string
	create   map[string]any // CreateTable's input
	streamed bool
}

type streamSource struct {
	name       string // function and event, unique in the template; names the checkpoint
	function   string
	table      string // the table's logical id
	filters    []json.RawMessage
	batchSize  int
	window     time.Duration
	partial    bool // ReportBatchItemFailures
	bisect     bool
	retries    int           // -1: without end
	maxAge     time.Duration // 0: without end
	deadLetter string        // the name of a queue; "" for none
}

type schedule struct {
	name     string
	function string
	when     recurrence
	input    json.RawMessage // nil: the event that EventBridge Scheduler makes
}

type resource struct {
	id, kind   string
	properties *yaml.Node
}

// meaningless are the kinds of resource that nothing on one machine rests on:
// permissions, watching, addresses and identities.
var meaningless = []string{
	"AWS::ApiGatewayV2::ApiMapping", "AWS::ApiGatewayV2::DomainName",
	"AWS::CertificateManager::Certificate",
	"AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm", "AWS::CloudWatch::Dashboard",
	"AWS::IAM::ManagedPolicy", "AWS::IAM::Policy", "AWS::IAM::Role",
	"AWS::Lambda::Permission",
	"AWS::Logs::LogGroup", "AWS::Logs::MetricFilter",
	"AWS::Route53::RecordSet",
	"AWS::Scheduler::ScheduleGroup",
	"AWS::SES::ConfigurationSet", "AWS::SES::EmailIdentity",
	"AWS::SNS::Subscription", "AWS::SNS::Topic", "AWS::SNS::TopicPolicy",
	"AWS::SQS::QueuePolicy",
}

// Properties that mean nothing here, by kind: who may do what, where it is
// built, what it costs, how it is watched. Everything else must be understood.
var (
	functionIgnores = []string{"Architectures", "CodeUri", "Description", "EphemeralStorage", "FunctionName", "Handler", "LoggingConfig", "Policies", "PermissionsBoundary", "Role", "RuntimeManagementConfig", "Tags", "Tracing"}
	apiIgnores      = []string{"AccessLogSettings", "Description", "DisableExecuteApiEndpoint", "Domain", "FailOnWarnings", "Name", "PropagateTags", "Tags"}
	tableIgnores    = []string{"ContributorInsightsSpecification", "DeletionProtectionEnabled", "KinesisStreamSpecification", "OnDemandThroughput", "PointInTimeRecoverySpecification", "ResourcePolicy", "SSESpecification", "TableClass", "Tags", "TimeToLiveSpecification", "WarmThroughput"}
	queueIgnores    = []string{"KmsDataKeyReusePeriodSeconds", "KmsMasterKeyId", "MessageRetentionPeriod", "QueueName", "SqsManagedSseEnabled", "Tags", "VisibilityTimeout"}
)

// readTemplate reads the template at path. set overrides parameters; given are
// the values that the runner has for parameters which have no default.
// Whatever matters at runtime and is not understood is an error that names the
// resource and the property.
func readTemplate(path string, set, given map[string]string) (*stack, error) {
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
	t := &templateReader{root: doc.Content[0], stack: &stack{}, authorizers: map[string]map[string]*authorizer{}, defaultAuthorizer: map[string]string{}}
	if err := t.read(set, given); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return t.stack, nil
}

type templateReader struct {
	resolver
	root              *yaml.Node
	stack             *stack
	authorizers       map[string]map[string]*authorizer // by api, by name
	defaultAuthorizer map[string]string                 // by api
}

func (t *templateReader) read(set, given map[string]string) error {
	for i := 0; i < len(t.root.Content); i += 2 {
		section := t.root.Content[i].Value
		if !slices.Contains([]string{"AWSTemplateFormatVersion", "Conditions", "Description", "Globals", "Metadata", "Outputs", "Parameters", "Resources", "Rules", "Transform"}, section) {
			return fmt.Errorf("the section %s is not understood", section)
		}
	}
	if err := t.readParameters(set, given); err != nil {
		return err
	}
	t.conditions, t.deciding = map[string]*yaml.Node{}, map[string]bool{}
	if n := child(t.root, "Conditions"); n != nil {
		for i := 0; i < len(n.Content); i += 2 {
			t.conditions[n.Content[i].Value] = n.Content[i+1]
		}
	}
	order, err := t.readResources()
	if err != nil {
		return err
	}
	// APIs come before the functions whose routes name their authorizers.
	read := map[string]func(*resource) error{
		"AWS::Serverless::HttpApi":  t.readAPI,
		"AWS::DynamoDB::Table":      t.readTable,
		"AWS::SQS::Queue":           t.readQueue,
		"AWS::Events::EventBus":     t.readBus,
		"AWS::Serverless::Function": t.readFunction,

		"AWS::SES::ConfigurationSetEventDestination": t.readMailEvents,
	}
	for _, res := range order {
		if read[res.kind] == nil && !slices.Contains(meaningless, res.kind) {
			return fmt.Errorf("resource %s: %s is not understood", res.id, res.kind)
		}
	}
	for _, kind := range []string{"AWS::Serverless::HttpApi", "AWS::DynamoDB::Table", "AWS::SQS::Queue", "AWS::Events::EventBus", "AWS::Serverless::Function", "AWS::SES::ConfigurationSetEventDestination"} {
		for _, res := range order {
			if res.kind != kind {
				continue
			}
			if err := read[kind](res); err != nil {
				return fmt.Errorf("resource %s: %w", res.id, err)
			}
		}
	}
	return nil
}

func (t *templateReader) readParameters(set, given map[string]string) error {
	t.parameters = map[string]any{}
	declared := child(t.root, "Parameters")
	for name := range set {
		if child(declared, name) == nil {
			return fmt.Errorf("there is no parameter %s", name)
		}
	}
	if declared == nil {
		return nil
	}
	for i := 0; i < len(declared.Content); i += 2 {
		name, n := declared.Content[i].Value, declared.Content[i+1]
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
		t.parameters[name] = value
		if kind := child(n, "Type"); kind != nil && (kind.Value == "CommaDelimitedList" || strings.HasPrefix(kind.Value, "List<")) {
			items := []any{}
			for _, item := range strings.Split(value, ",") {
				items = append(items, strings.TrimSpace(item))
			}
			t.parameters[name] = items
		}
	}
	return nil
}

// readResources lists the resources whose condition holds, in the template's order.
func (t *templateReader) readResources() ([]*resource, error) {
	t.resources = map[string]*resource{}
	var order []*resource
	all := child(t.root, "Resources")
	if all == nil {
		return nil, fmt.Errorf("there are no Resources")
	}
	for i := 0; i < len(all.Content); i += 2 {
		id, n := all.Content[i].Value, all.Content[i+1]
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

// properties resolves the node's properties but the ignored ones, lays them
// over base, and reads the result strictly into out.
func (t *templateReader) decode(n *yaml.Node, ignored []string, base any, out any) error {
	values, err := t.plain(n, ignored)
	if err != nil {
		return err
	}
	if base != nil {
		values = merge(base, values).(map[string]any)
	}
	return strict(values, out)
}

func (t *templateReader) plain(n *yaml.Node, ignored []string) (map[string]any, error) {
	values := map[string]any{}
	if n == nil {
		return values, nil
	}
	for i := 0; i < len(n.Content); i += 2 {
		key := n.Content[i].Value
		if slices.Contains(ignored, key) {
			continue
		}
		v, err := t.value(n.Content[i+1])
		if err != nil {
			return nil, fmt.Errorf("property %s: %w", key, err)
		}
		if v != (noValue{}) {
			values[key] = v
		}
	}
	return values, nil
}

// strict reads values into out and refuses a property that out does not have.
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

func (t *templateReader) globals(section string, ignored []string) (map[string]any, error) {
	values, err := t.plain(child(child(t.root, "Globals"), section), ignored)
	if err != nil {
		return nil, fmt.Errorf("section Globals.%s: %w", section, err)
	}
	return values, nil
}

func (t *templateReader) readAPI(res *resource) error {
	base, err := t.globals("HttpApi", apiIgnores)
	if err != nil {
		return err
	}
	var p struct {
		StageName            string
		DefaultRouteSettings struct {
			ThrottlingRateLimit    number
			ThrottlingBurstLimit   number
			DetailedMetricsEnabled boolean
		}
		Auth struct {
			DefaultAuthorizer string
			Authorizers       map[string]struct {
				AuthorizationScopes []string
				IdentitySource      string
				JwtConfiguration    map[string]any
			}
		}
	}
	if err := t.decode(res.properties, apiIgnores, base, &p); err != nil {
		return err
	}
	if p.StageName != "" && p.StageName != "$default" {
		return fmt.Errorf("property StageName: only $default is understood")
	}
	t.stack.throttle = throttle{rate: float64(p.DefaultRouteSettings.ThrottlingRateLimit), burst: int(p.DefaultRouteSettings.ThrottlingBurstLimit)}
	t.authorizers[res.id] = map[string]*authorizer{}
	for name, a := range p.Auth.Authorizers {
		if a.IdentitySource != "" && a.IdentitySource != "$request.header.Authorization" {
			return fmt.Errorf("property Auth.Authorizers.%s.IdentitySource: only $request.header.Authorization is understood", name)
		}
		out := &authorizer{scopes: a.AuthorizationScopes}
		for key, v := range a.JwtConfiguration { // SAM takes these in either case
			switch strings.ToLower(key) {
			case "issuer":
				out.issuer = text(v)
			case "audience":
				items, ok := v.([]any)
				if !ok {
					items = []any{v}
				}
				for _, item := range items {
					out.audience = append(out.audience, text(item))
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

func (t *templateReader) readTable(res *resource) error {
	var p struct {
		AttributeDefinitions   any
		BillingMode            any `json:",omitempty"`
		GlobalSecondaryIndexes any `json:",omitempty"`
		KeySchema              any
		LocalSecondaryIndexes  any `json:",omitempty"`
		ProvisionedThroughput  any `json:",omitempty"`
		StreamSpecification    map[string]any
	}
	if err := t.decode(res.properties, append(tableIgnores, "TableName"), nil, &p); err != nil {
		return err
	}
	name, err := t.physicalName(res)
	if err != nil {
		return err
	}
	values, err := t.plain(res.properties, tableIgnores)
	if err != nil {
		return err
	}
	values["TableName"] = name
	if p.StreamSpecification != nil {
		values["StreamSpecification"] = merge(p.StreamSpecification, map[string]any{"StreamEnabled": true})
	}
	t.stack.tables = append(t.stack.tables, table{name: name, id: res.id, create: values, streamed: p.StreamSpecification != nil})
	return nil
}

func (t *templateReader) readQueue(res *resource) error {
	if err := t.decode(res.properties, queueIgnores, nil, &struct{}{}); err != nil {
		return err
	}
	name, err := t.physicalName(res)
	if err != nil {
		return err
	}
	t.stack.queues = append(t.stack.queues, name)
	return nil
}

func (t *templateReader) readFunction(res *resource) error {
	base, err := t.globals("Function", functionIgnores)
	if err != nil {
		return err
	}
	p := struct {
		Runtime                      string
		Timeout                      number
		MemorySize                   number
		ReservedConcurrentExecutions number
		PackageType                  string
		Environment                  struct{ Variables map[string]any }
		Events                       map[string]any
		EventInvokeConfig            map[string]any
	}{Timeout: 3, MemorySize: 128} // Lambda's own defaults
	if err := t.decode(res.properties, append(functionIgnores, "Events"), base, &p); err != nil {
		return err
	}
	if p.Runtime != "provided.al2023" || (p.PackageType != "" && p.PackageType != "Zip") {
		return fmt.Errorf("property Runtime: only a bootstrap in a Zip on provided.al2023 is understood")
	}
	f := &function{
		id:          res.id,
		timeout:     time.Duration(float64(p.Timeout) * float64(time.Second)),
		memory:      int(p.MemorySize),
		concurrency: int(p.ReservedConcurrentExecutions),
		env:         map[string]string{},
	}
	for k, v := range p.Environment.Variables {
		f.env[k] = text(v)
	}
	if p.EventInvokeConfig != nil {
		if f.async, err = t.readAsync(p.EventInvokeConfig); err != nil {
			return fmt.Errorf("property EventInvokeConfig: %w", err)
		}
	}
	t.stack.functions = append(t.stack.functions, f)
	events := child(res.properties, "Events")
	if events == nil {
		return nil
	}
	for i := 0; i < len(events.Content); i += 2 {
		name, n := events.Content[i].Value, events.Content[i+1]
		if err := t.readEvent(f, name, n); err != nil {
			return fmt.Errorf("event %s: %w", name, err)
		}
	}
	return nil
}

func (t *templateReader) readEvent(f *function, name string, n *yaml.Node) error {
	kind, properties := child(n, "Type"), child(n, "Properties")
	if kind == nil {
		return fmt.Errorf("property Type is missing")
	}
	switch kind.Value {
	case "HttpApi":
		return t.readRoute(f, properties)
	case "DynamoDB":
		return t.readStream(f, name, properties)
	case "Schedule", "ScheduleV2":
		return t.readSchedule(f, name, properties)
	case "EventBridgeRule":
		return t.readRule(f, name, properties)
	}
	return fmt.Errorf("property Type: %s is not understood", kind.Value)
}

func (t *templateReader) readRoute(f *function, n *yaml.Node) error {
	p := struct {
		ApiId                any
		Method, Path         string
		PayloadFormatVersion string
		TimeoutInMillis      number
		Auth                 struct {
			Authorizer          string
			AuthorizationScopes []string
		}
	}{TimeoutInMillis: 30_000}
	// Ref of the API gives its physical name; what is wanted here is which one.
	api := child(n, "ApiId")
	if api == nil {
		return fmt.Errorf("property ApiId is missing")
	}
	id := api.Value
	if ref := child(api, "Ref"); ref != nil {
		id = ref.Value
	}
	authorizers, ok := t.authorizers[id]
	if !ok {
		return fmt.Errorf("property ApiId: %q is no HttpApi of this template", id)
	}
	if err := t.decode(n, []string{"ApiId"}, nil, &p); err != nil {
		return err
	}
	if p.PayloadFormatVersion != "" && p.PayloadFormatVersion != "2.0" {
		return fmt.Errorf("property PayloadFormatVersion: only 2.0 is understood")
	}
	if (p.Path == "") != (p.Method == "") {
		return fmt.Errorf("properties Path and Method go together")
	}
	r := route{method: strings.ToUpper(p.Method), path: p.Path, function: f.id, timeout: time.Duration(p.TimeoutInMillis) * time.Millisecond}
	if r.method == "X-AMAZON-APIGATEWAY-ANY-METHOD" {
		r.method = "ANY"
	}
	authorizer := p.Auth.Authorizer
	if authorizer == "" {
		authorizer = t.defaultAuthorizer[id]
	}
	if authorizer != "" && authorizer != "NONE" {
		if r.authorizer = authorizers[authorizer]; r.authorizer == nil {
			return fmt.Errorf("property Auth.Authorizer: %q is none of the API's", authorizer)
		}
		r.scopes = p.Auth.AuthorizationScopes
		if r.scopes == nil {
			r.scopes = r.authorizer.scopes
		}
	}
	for _, other := range t.stack.routes {
		if other.key() == r.key() {
			return fmt.Errorf("the route %s leads to %s already", r.key(), other.function)
		}
	}
	if err := checkPath(r.path); err != nil {
		return fmt.Errorf("property Path: %w", err)
	}
	t.stack.routes = append(t.stack.routes, r)
	return nil
}

func (t *templateReader) readStream(f *function, name string, n *yaml.Node) error {
	p := struct {
		Stream                         string
		StartingPosition               string
		Enabled                        boolean
		BatchSize                      number
		MaximumBatchingWindowInSeconds number
		FunctionResponseTypes          []string
		BisectBatchOnFunctionError     boolean
		MaximumRetryAttempts           number
		MaximumRecordAgeInSeconds      number
		ParallelizationFactor          number
		FilterCriteria                 struct{ Filters []struct{ Pattern string } }
		DestinationConfig              struct {
			OnFailure struct{ Type, Destination string }
		}
	}{Enabled: true, BatchSize: 100, MaximumRetryAttempts: -1, MaximumRecordAgeInSeconds: -1, ParallelizationFactor: 1}
	if err := t.decode(n, nil, nil, &p); err != nil {
		return err
	}
	if !p.Enabled {
		return nil
	}
	if p.ParallelizationFactor != 1 {
		return fmt.Errorf("property ParallelizationFactor: only 1 is understood")
	}
	s := streamSource{
		name: f.id + name, function: f.id,
		batchSize: int(p.BatchSize), window: time.Duration(float64(p.MaximumBatchingWindowInSeconds) * float64(time.Second)),
		bisect: bool(p.BisectBatchOnFunctionError), retries: int(p.MaximumRetryAttempts),
		maxAge: max(0, time.Duration(p.MaximumRecordAgeInSeconds)*time.Second),
	}
	for _, tbl := range t.stack.tables {
		if arn, err := t.getAtt(tbl.id, "StreamArn"); err == nil && arn == p.Stream && tbl.streamed {
			s.table = tbl.id
		}
	}
	if s.table == "" {
		return fmt.Errorf("property Stream: %q is the stream of no table of this template", p.Stream)
	}
	for _, kind := range p.FunctionResponseTypes {
		if kind != "ReportBatchItemFailures" {
			return fmt.Errorf("property FunctionResponseTypes: %s is not understood", kind)
		}
		s.partial = true
	}
	for _, f := range p.FilterCriteria.Filters {
		if err := checkPattern([]byte(f.Pattern)); err != nil {
			return fmt.Errorf("property FilterCriteria: %w", err)
		}
		s.filters = append(s.filters, json.RawMessage(f.Pattern))
	}
	var err error
	if s.deadLetter, err = t.queue(p.DestinationConfig.OnFailure.Type, p.DestinationConfig.OnFailure.Destination); err != nil {
		return fmt.Errorf("property DestinationConfig: %w", err)
	}
	t.stack.streams = append(t.stack.streams, s)
	return nil
}

func (t *templateReader) readSchedule(f *function, name string, n *yaml.Node) error {
	p := struct {
		Schedule, ScheduleExpression string
		ScheduleExpressionTimezone   string
		Input                        string
		State                        string
		Enabled                      boolean
		FlexibleTimeWindow           struct{ Mode string }
	}{Enabled: true}
	if err := t.decode(n, []string{"DeadLetterConfig", "Description", "GroupName", "Name", "OmitName", "PermissionsBoundary", "RetryPolicy", "RoleArn"}, nil, &p); err != nil {
		return err
	}
	if p.FlexibleTimeWindow.Mode != "" && p.FlexibleTimeWindow.Mode != "OFF" {
		return fmt.Errorf("property FlexibleTimeWindow: only OFF is understood")
	}
	if zone := p.ScheduleExpressionTimezone; zone != "" && zone != "UTC" {
		return fmt.Errorf("property ScheduleExpressionTimezone: only UTC is understood")
	}
	if !p.Enabled || p.State == "DISABLED" {
		return nil
	}
	when, err := parseRecurrence(p.Schedule + p.ScheduleExpression)
	if err != nil {
		return fmt.Errorf("property ScheduleExpression: %w", err)
	}
	s := schedule{name: f.id + name, function: f.id, when: when}
	if p.Input != "" {
		if s.input = json.RawMessage(p.Input); !json.Valid(s.input) {
			return fmt.Errorf("property Input is not JSON")
		}
	}
	t.stack.schedules = append(t.stack.schedules, s)
	return nil
}
