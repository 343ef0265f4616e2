package template

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"agencyhub/infra/local/pattern"
	"agencyhub/infra/local/roles"
)

func (t *reader) readFunction(res *resource) error {
	p := struct {
		Runtime             string
		Timeout, MemorySize number
		Environment         struct{ Variables map[string]any }
		EventInvokeConfig   map[string]any
		LoggingConfig       struct{ LogFormat, LogGroup, ApplicationLogLevel, SystemLogLevel string }
	}{Timeout: 3, MemorySize: 128} // Lambda's own defaults
	if err := t.decode(res.properties, "Function", functionIgnores, &p, "Events", "Role"); err != nil {
		return err
	}
	if p.Runtime != "provided.al2023" {
		return fmt.Errorf("property Runtime: only a bootstrap in a Zip on provided.al2023 is understood")
	}
	f := &Function{
		ID:      res.id,
		Timeout: time.Duration(float64(p.Timeout) * float64(time.Second)),
		Memory:  int(p.MemorySize),
		Env:     map[string]string{},
	}
	for k, v := range p.Environment.Variables {
		f.Env[k] = Text(v)
	}
	var err error
	if f.Role, err = t.readRole(child(res.properties, "Role")); err != nil {
		return fmt.Errorf("property Role: %w", err)
	}
	if group := p.LoggingConfig.LogGroup; group != "" {
		arn := fmt.Sprintf("arn:aws:logs:%s:%s:log-group:%s:*", Region, AccountID, group)
		f.calls(arn, "logs:CreateLogStream", "logs:PutLogEvents")
	}
	if p.EventInvokeConfig != nil {
		if f.Async, err = t.readAsync(f, p.EventInvokeConfig); err != nil {
			return fmt.Errorf("property EventInvokeConfig: %w", err)
		}
	}
	t.stack.Functions = append(t.stack.Functions, f)
	for name, n := range pairs(child(res.properties, "Events")) {
		if err := t.readEvent(f, name, n); err != nil {
			return fmt.Errorf("event %s: %w", name, err)
		}
	}
	for _, call := range f.Calls {
		if _, ok := f.Role.Allow(roles.Request{Permission: call}); !ok {
			return fmt.Errorf("property Role: it does not allow %s on %s, which Lambda does by it", call.Action, call.Resource)
		}
	}
	return nil
}

// calls adds what Lambda does by the function's role.
func (f *Function) calls(resource string, actions ...string) {
	for _, action := range actions {
		f.Calls = append(f.Calls, roles.Permission{Action: action, Resource: resource})
	}
}

func (t *reader) readEvent(f *Function, name string, n *yaml.Node) error {
	kind, properties := child(n, "Type"), child(n, "Properties")
	if kind == nil {
		return fmt.Errorf("property Type is missing")
	}
	switch kind.Value {
	case "HttpApi":
		return t.readRoute(f, properties)
	case "DynamoDB":
		return t.readStream(f, name, properties)
	case "ScheduleV2":
		return t.readSchedule(f, name, properties)
	case "EventBridgeRule":
		return t.readRule(f, name, properties)
	}
	return fmt.Errorf("property Type: %s is not understood", kind.Value)
}

func (t *reader) readRoute(f *Function, n *yaml.Node) error {
	var p struct {
		Method, Path string
		Auth         struct {
			Authorizer          string
			AuthorizationScopes []string
		}
	}
	// A Ref would resolve to the API's physical name; its logical id is needed.
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
	if err := t.decode(n, "", nil, &p, "ApiId"); err != nil {
		return err
	}
	if (p.Path == "") != (p.Method == "") {
		return fmt.Errorf("properties Path and Method go together")
	}
	r := Route{Method: strings.ToUpper(p.Method), Path: p.Path, Function: f.ID, Timeout: 30 * time.Second} // an HTTP API's default
	authorizer := p.Auth.Authorizer
	if authorizer == "" {
		authorizer = t.defaultAuthorizer[id]
	}
	if authorizer != "" && authorizer != "NONE" {
		if r.Authorizer = authorizers[authorizer]; r.Authorizer == nil {
			return fmt.Errorf("property Auth.Authorizer: %q is none of the API's", authorizer)
		}
		r.Scopes = p.Auth.AuthorizationScopes
		if r.Scopes == nil {
			r.Scopes = r.Authorizer.Scopes
		}
	}
	for _, other := range t.stack.Routes {
		if other.Key() == r.Key() {
			return fmt.Errorf("the route %s leads to %s already", r.Key(), other.Function)
		}
	}
	if err := checkPath(r.Path); err != nil {
		return fmt.Errorf("property Path: %w", err)
	}
	r.Throttle = t.throttles[id][r.Key()]
	delete(t.throttles[id], r.Key())
	t.stack.Routes = append(t.stack.Routes, r)
	return nil
}

func (t *reader) readStream(f *Function, name string, n *yaml.Node) error {
	p := struct {
		Stream, StartingPosition       string
		BatchSize                      number
		MaximumBatchingWindowInSeconds number
		FunctionResponseTypes          []string
		BisectBatchOnFunctionError     boolean
		MaximumRetryAttempts           number
		MaximumRecordAgeInSeconds      number
		ParallelizationFactor          number
		FilterCriteria                 struct{ Filters []struct{ Pattern string } }
		DestinationConfig              onFailure
	}{BatchSize: 100, MaximumRetryAttempts: -1, MaximumRecordAgeInSeconds: -1, ParallelizationFactor: 1}
	if err := t.decode(n, "", nil, &p); err != nil {
		return err
	}
	if p.ParallelizationFactor != 1 {
		return fmt.Errorf("property ParallelizationFactor: only 1 is understood")
	}
	s := Stream{
		Name: f.ID + name, Function: f.ID,
		BatchSize: int(p.BatchSize), Window: time.Duration(float64(p.MaximumBatchingWindowInSeconds) * float64(time.Second)),
		Bisect: bool(p.BisectBatchOnFunctionError), Retries: int(p.MaximumRetryAttempts),
		MaxAge: max(0, time.Duration(p.MaximumRecordAgeInSeconds)*time.Second),
	}
	for _, tbl := range t.stack.Tables {
		if arn, err := t.getAtt(tbl.ID, "StreamArn"); err == nil && arn == p.Stream && tbl.Streamed {
			s.Table = tbl.ID
		}
	}
	if s.Table == "" {
		return fmt.Errorf("property Stream: %q is the stream of no table of this template", p.Stream)
	}
	for _, kind := range p.FunctionResponseTypes {
		if kind != "ReportBatchItemFailures" {
			return fmt.Errorf("property FunctionResponseTypes: %s is not understood", kind)
		}
		s.Partial = true
	}
	for _, filter := range p.FilterCriteria.Filters {
		if err := pattern.Check([]byte(filter.Pattern)); err != nil {
			return fmt.Errorf("property FilterCriteria: %w", err)
		}
		s.Filters = append(s.Filters, json.RawMessage(filter.Pattern))
	}
	var err error
	f.calls(p.Stream, "dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:ListStreams")
	if s.DeadLetter, err = t.queue(f, p.DestinationConfig); err != nil {
		return fmt.Errorf("property DestinationConfig: %w", err)
	}
	t.stack.Streams = append(t.stack.Streams, s)
	return nil
}

func (t *reader) readSchedule(f *Function, name string, n *yaml.Node) error {
	var p struct{ ScheduleExpression string }
	if err := t.decode(n, "", scheduleIgnores, &p); err != nil {
		return err
	}
	every, err := parseRate(p.ScheduleExpression)
	if err != nil {
		return fmt.Errorf("property ScheduleExpression: %w", err)
	}
	t.stack.Schedules = append(t.stack.Schedules, Schedule{Name: f.ID + name, Function: f.ID, Every: every})
	return nil
}

// parseRate reads a schedule expression of the form rate(5 minutes).
func parseRate(expression string) (time.Duration, error) {
	rest, isRate := strings.CutPrefix(strings.TrimSuffix(expression, ")"), "rate(")
	if words := strings.Fields(rest); isRate && len(words) == 2 {
		n, err := strconv.Atoi(words[0])
		unit := map[string]time.Duration{"minute": time.Minute, "hour": time.Hour, "day": 24 * time.Hour}[strings.TrimSuffix(words[1], "s")]
		if err == nil && n > 0 && unit > 0 {
			return time.Duration(n) * unit, nil
		}
	}
	return 0, fmt.Errorf("%q is not understood: write rate(…) in minutes, hours or days", expression)
}

// readRule reads a rule on the default bus. It ignores the rule's own retries, which
// matter only when Lambda cannot be reached.
func (t *reader) readRule(f *Function, name string, n *yaml.Node) error {
	var p struct{ Pattern json.RawMessage }
	if err := t.decode(n, "", []string{"DeadLetterConfig", "RetryPolicy", "RuleName"}, &p); err != nil {
		return err
	}
	if err := pattern.Check(p.Pattern); err != nil {
		return fmt.Errorf("property Pattern: %w", err)
	}
	t.stack.Rules = append(t.stack.Rules, Rule{Name: f.ID + name, Function: f.ID, Pattern: p.Pattern})
	return nil
}

func (t *reader) readAsync(f *Function, values map[string]any) (*Async, error) {
	p := struct {
		MaximumRetryAttempts     number
		MaximumEventAgeInSeconds number
		DestinationConfig        onFailure
	}{MaximumRetryAttempts: 2}
	if err := strict(values, &p); err != nil {
		return nil, err
	}
	queue, err := t.queue(f, p.DestinationConfig)
	return &Async{Retries: int(p.MaximumRetryAttempts), Failures: queue}, err
}

type onFailure struct {
	OnFailure struct{ Type, Destination string }
}

// queue returns the name of the queue that a function's destination names, "" for none.
func (t *reader) queue(f *Function, d onFailure) (string, error) {
	kind, arn := d.OnFailure.Type, d.OnFailure.Destination
	name := arn[strings.LastIndex(arn, ":")+1:]
	if arn != "" && (kind != "" && kind != "SQS" || !slices.Contains(t.stack.Queues, name)) {
		return "", fmt.Errorf("only a queue of this template is understood")
	}
	if arn != "" {
		f.calls(arn, "sqs:SendMessage")
	}
	return name, nil
}
