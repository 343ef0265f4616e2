package template

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"agencyhub/infra/local/roles"
)

var given = map[string]string{"PublicUrl": "http://localhost:1", "OidcIssuer": "http://localhost:2", "OidcAudience": "hub"}

// wantFunctions returns the functions of testdata/template.yaml, with their roles.
func wantFunctions(env func(...string) map[string]string) []*Function {
	const (
		table  = "arn:aws:dynamodb:us-east-1:000000000000:table/Notes"
		stream = table + "/stream/Notes"
		queue  = "arn:aws:sqs:us-east-1:000000000000:Failures"
		log    = "arn:aws:logs:us-east-1:000000000000:log-group:EchoLogGroup:*"
		ses    = "arn:aws:ses:us-east-1:000000000000:"
	)
	reads := []string{"dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:ListStreams"}
	allow := func(resource string, actions ...string) roles.Statement {
		return roles.Statement{Actions: actions, Resources: []string{resource}}
	}
	calls := func(resource string, actions ...string) (all []roles.Permission) {
		for _, action := range actions {
			all = append(all, roles.Permission{Action: action, Resource: resource})
		}
		return all
	}
	own := allow(table, "dynamodb:DeleteItem")
	own.Conditions = []roles.Condition{{Operator: "ForAllValues:StringLike", Key: roles.LeadingKeys, Values: []string{"OWN#*"}}}
	mail := allow(ses+"identity/*", "ses:SendEmail")
	mail.Resources = append(mail.Resources, ses+"configuration-set/Mail")
	mail.Conditions = []roles.Condition{{Operator: "StringEquals", Key: roles.FromAddress, Values: []string{"hub@notes.test"}}}
	return []*Function{
		{
			ID: "EchoFunction", Timeout: 2 * time.Second, Memory: 256, Env: env("GREETING", "hello from us-east-1"),
			Role: roles.Role{
				allow(table, "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:ConditionCheckItem"), allow(table+"/index/ByDue", "dynamodb:Query"), own,
				allow(log, "logs:CreateLogStream", "logs:PutLogEvents"),
			},
			Calls: calls(log, "logs:CreateLogStream", "logs:PutLogEvents"),
		},
		{
			ID: "StreamFunction", Timeout: 2 * time.Second, Memory: 256, Env: env(), Async: &Async{Retries: 1, Failures: "Failures"},
			Role: roles.Role{
				allow(queue, "sqs:SendMessage"), allow("arn:aws:events:us-east-1:000000000000:event-bus/notes", "events:PutEvents"), mail, allow(stream, reads...),
			},
			Calls: slices.Concat(calls(queue, "sqs:SendMessage"), calls(stream, reads...), calls(queue, "sqs:SendMessage")),
		},
		{ID: "CleanupFunction", Timeout: 2 * time.Second, Memory: 256, Env: env()},
	}
}

func TestReadTemplate(t *testing.T) {
	got, err := Read("../testdata/template.yaml", given, nil)
	if err != nil {
		t.Fatal(err)
	}
	oidc := &Authorizer{Issuer: "http://localhost:2", Audience: []string{"hub"}}
	env := func(more ...string) map[string]string {
		m := map[string]string{"TABLE_NAME": "Notes", "PUBLIC_URL": "http://localhost:1"}
		for i := 0; i < len(more); i += 2 {
			m[more[i]] = more[i+1]
		}
		return m
	}
	key := func(name, kind string) map[string]any {
		return map[string]any{"AttributeName": name, "KeyType": kind}
	}
	attribute := func(name string) map[string]any {
		return map[string]any{"AttributeName": name, "AttributeType": "S"}
	}
	want := &Stack{
		Functions: wantFunctions(env),
		Routes: []Route{
			{Method: "ANY", Path: "/echo/{name}", Function: "EchoFunction", Authorizer: oidc, Timeout: 30 * time.Second},
			{Method: "ANY", Path: "/open/{proxy+}", Function: "EchoFunction", Timeout: 30 * time.Second},
			{Method: "GET", Path: "/scoped", Function: "EchoFunction", Authorizer: oidc, Scopes: []string{"hub/platform"}, Timeout: 30 * time.Second, Throttle: &Throttle{Rate: 1000, Burst: 7}},
		},
		Throttle: Throttle{Rate: 1000, Burst: 500},
		Tables: []Table{{Name: "Notes", ID: "Notes", Streamed: true, PartitionKey: "pk", Create: map[string]any{
			"TableName":            "Notes",
			"BillingMode":          "PAY_PER_REQUEST",
			"AttributeDefinitions": []any{attribute("pk"), attribute("sk"), attribute("due")},
			"KeySchema":            []any{key("pk", "HASH"), key("sk", "RANGE")},
			"GlobalSecondaryIndexes": []any{map[string]any{
				"IndexName": "ByDue", "KeySchema": []any{key("due", "HASH")}, "Projection": map[string]any{"ProjectionType": "ALL"},
			}},
			"StreamSpecification": map[string]any{"StreamViewType": "NEW_AND_OLD_IMAGES", "StreamEnabled": true},
		}}},
		Queues: []string{"Failures"},
		Streams: []Stream{{
			Name: "StreamFunctionChanges", Function: "StreamFunction", Table: "Notes", BatchSize: 10, Partial: true, Bisect: true,
			Retries: 2, MaxAge: time.Hour, DeadLetter: "Failures",
			Filters: []json.RawMessage{
				json.RawMessage(`{"eventName":["INSERT"],"dynamodb":{"Keys":{"sk":{"S":[{"prefix":"EVENT#"}]}}}}`),
				json.RawMessage(`{"eventName":["MODIFY"],"dynamodb":{"NewImage":{"wake":{"N":[{"exists":true}]}}}}`),
			},
		}},
		Buses: []string{"notes"},
		Rules: []Rule{{
			Name: "StreamFunctionNews", Function: "StreamFunction",
			Pattern: json.RawMessage(`{"detail":{"mail":{"tags":{"ses:configuration-set":["Mail"]}}},"source":["aws.ses"]}`),
		}},
		MailEvents: map[string][]string{"Mail": {"Bounce", "DeliveryDelay"}},
		Schedules:  []Schedule{{Name: "CleanupFunctionEveryMinute", Function: "CleanupFunction", Every: time.Minute}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// Fn::And and Fn::Or decide as in CloudFormation.
func TestConditions(t *testing.T) {
	for _, test := range []struct {
		set  map[string]string
		want bool
	}{
		{map[string]string{}, true},
		{map[string]string{"Greeting": "hi"}, false},
		{map[string]string{"Greeting": "hi", "Rate": "1"}, true},
		{map[string]string{"Rate": "1"}, true},
	} {
		set := maps.Clone(given)
		maps.Copy(set, test.set)
		st, err := Read("../testdata/template.yaml", set, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, got := st.Functions[0].Env["GREETING"]; got != test.want {
			t.Errorf("with %v the condition Greets is %t", test.set, got)
		}
	}
}

// An error names what is not understood, and where.
func TestReadTemplateRefuses(t *testing.T) {
	source, err := os.ReadFile("../testdata/template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct{ old, new, want string }{
		"kind of resource":     {"AWS::SQS::Queue", "AWS::SQS::Fifo", "resource Failures: AWS::SQS::Fifo is not understood"},
		"function's property":  {"      Role: !GetAtt EchoRole.Arn", "      SnapStart: {ApplyOn: None}", "resource EchoFunction: property SnapStart is not understood"},
		"event's property":     {"Path: /scoped,", "Path: /scoped, RouteSettings: {},", "resource EchoFunction: event Scoped: property RouteSettings is not understood"},
		"event's type":         {"Type: ScheduleV2", "Type: SNS", "resource CleanupFunction: event EveryMinute: property Type: SNS is not understood"},
		"API's property":       {"      DefaultRouteSettings:", "      CorsConfiguration: true\n      DefaultRouteSettings:", "resource Api: property CorsConfiguration is not understood"},
		"setting of no route":  {"        GET /scoped: {Thr", "        GET /other: {Thr", "resource Api: property RouteSettings: there is no route GET /other"},
		"setting of a route":   {", ThrottlingBurstLimit: 7}", ", ThrottlingBurstLimit: 7, DetailedMetricsEnabled: true}", "resource Api: property DetailedMetricsEnabled is not understood"},
		"half a limit":         {", ThrottlingBurstLimit: 7}", "}", "resource Api: property RouteSettings.GET /scoped: ThrottlingRateLimit and ThrottlingBurstLimit go together"},
		"table's property":     {"      BillingMode", "      ImportSourceSpecification: {}\n      BillingMode", "resource Notes: property ImportSourceSpecification is not understood"},
		"queue's property":     {"MessageRetentionPeriod", "FifoQueue", "resource Failures: property FifoQueue is not understood"},
		"intrinsic":            {"!Sub '${Greeting} from ${AWS::Region}'", "!ImportValue x", "resource EchoFunction: property Environment: Variables: GREETING: Fn::ImportValue is not understood"},
		"reference":            {"TABLE_NAME: !Ref Notes", "TABLE_NAME: !Ref Nothing", `TABLE_NAME: "Nothing" is no parameter and no resource`},
		"reference made not":   {"TABLE_NAME: !Ref Notes", "TABLE_NAME: !Ref UserPool", `TABLE_NAME: "UserPool" is no parameter and no resource that is made here`},
		"section":              {"Conditions:", "Mappings: {}\nConditions:", "the section Mappings is not understood"},
		"filter's rule":        {`{"prefix":"EVENT#"}`, `{"suffix":"x"}`, "event Changes: property FilterCriteria: the pattern's rule"},
		"schedule":             {"rate(1 minute)", "rate(1 fortnight)", `event EveryMinute: property ScheduleExpression: "rate(1 fortnight)" is not understood`},
		"cron":                 {"rate(1 minute)", "'cron(0 0 * * ? *)'", `event EveryMinute: property ScheduleExpression: "cron(0 0 * * ? *)" is not understood`},
		"parallel":             {"BatchSize: 10", "ParallelizationFactor: 2", "property ParallelizationFactor: only 1"},
		"authorizer":           {"Authorizer: NONE", "Authorizer: Other", `event Open: property Auth.Authorizer: "Other" is none of the API's`},
		"runtime":              {"provided.al2023", "nodejs24.x", "property Runtime: only a bootstrap"},
		"route twice":          {"Method: GET, Path: /scoped", "Method: any, Path: '/echo/{name}'", "the route ANY /echo/{name} leads to EchoFunction already"},
		"rule's pattern":       {"source: [aws.ses]", "source: [{suffix: ses}]", "event News: property Pattern: the pattern's rule"},
		"rule's bus":           {"            Pattern:", "            EventBusName: notes\n            Pattern:", "event News: property EventBusName is not understood"},
		"mail's event":         {"[bounce,", "[BOUNCE,", "resource MailEvents: property MatchingEventTypes: BOUNCE is not understood"},
		"mail's bus":           {"event-bus/default", "event-bus/notes", "resource MailEvents: property EventBridgeDestination: SES knows the default bus only"},
		"on failure":           {"Type: SQS, Destination: !GetAtt Failures.Arn}}\n      Events", "Type: SNS, Destination: !GetAtt Failures.Arn}}\n      Events", "property EventInvokeConfig: only a queue"},
		"circle of conditions": {"!Equals [!Ref OidcIssuer, '']", "!Not [!Condition Greets]", "rests on itself"},
		"no role":              {"      Role: !GetAtt EchoRole.Arn\n", "", "resource EchoFunction: property Role: only a function with a role of this template is understood"},
		"role of another":      {"!GetAtt EchoRole.Arn", "arn:aws:iam::1:role/x", "property Role: only !GetAtt and the Arn of a role of this template is understood"},
		"role's property":      {"      ManagedPolicyArns", "      PermissionsBoundary: x\n      ManagedPolicyArns", "resource StreamRole: property PermissionsBoundary is not understood"},
		"policy of AWS":        {"[!Ref ReadsStream]", "['arn:aws:iam::aws:policy/x']", "property ManagedPolicyArns: arn:aws:iam::aws:policy/x is no policy of this template"},
		"policy of its own":    {"    Type: AWS::Logs::LogGroup", "    Type: AWS::IAM::Policy", "resource EchoLogGroup: AWS::IAM::Policy is not understood"},
		"what is denied":       {"{Effect: Allow, Action: sqs:SendMessage", "{Effect: Deny, Action: sqs:SendMessage", "resource StreamRole: policy stream: property Effect: only Allow is understood"},
		"all but an action":    {"{Effect: Allow, Action: sqs:SendMessage", "{Effect: Allow, NotAction: sqs:SendMessage", "property NotAction is not understood"},
		"every action":         {"Action: sqs:SendMessage", "Action: 'sqs:*'", "property Action: sqs:*: each action is named in full is not understood"},
		"condition":            {"StringEquals: {'ses:", "StringNotEquals: {'ses:", "property Condition: StringNotEquals of ses:FromAddress is not understood"},
		"condition's action":   {"Action: dynamodb:DeleteItem", "Action: [dynamodb:DeleteItem, dynamodb:Query]", "property Condition: dynamodb:LeadingKeys of dynamodb:Query is not understood"},
		"stream not allowed":   {"dynamodb:GetRecords, ", "", "resource StreamFunction: property Role: it does not allow dynamodb:GetRecords on arn:aws:dynamodb:us-east-1:000000000000:table/Notes/stream/Notes, which Lambda does by it"},
		"queue not allowed":    {"Action: sqs:SendMessage", "Action: sqs:GetQueueUrl", "resource StreamFunction: property Role: it does not allow sqs:SendMessage"},
		"log not allowed":      {", logs:PutLogEvents]", "]", "resource EchoFunction: property Role: it does not allow logs:PutLogEvents"},
		"resource's sign-in":   {"    Condition: MakesSignIn\n", "", "resource UserPool: AWS::Cognito::UserPool is not understood"},
	} {
		t.Run(name, func(t *testing.T) {
			changed := strings.Replace(string(source), test.old, test.new, 1)
			if changed == string(source) {
				t.Fatal("the change does not apply")
			}
			path := filepath.Join(t.TempDir(), "template.yaml")
			if err := os.WriteFile(path, []byte(changed), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := Read(path, given, nil); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v\nwant %s", err, test.want)
			}
		})
	}
	if _, err := Read("../testdata/template.yaml", map[string]string{}, nil); err == nil || !strings.Contains(err.Error(), "PublicUrl has no default") {
		t.Errorf("a parameter without a value: %v", err)
	}
}

// The product's own template must be understood whole.
func TestReadTheProductsTemplate(t *testing.T) {
	st, err := Read("../../../template.yaml", given, map[string]string{"SenderAddress": "hub@agencyhub.test"})
	if err != nil {
		t.Fatal(err)
	}
	var consumers []string
	for _, s := range st.Streams {
		consumers = append(consumers, s.Function)
		if !s.Partial || s.DeadLetter == "" {
			t.Errorf("the stream of %s: %+v", s.Function, s)
		}
	}
	// A shard serves two readers.
	if !slices.Equal(consumers, []string{"PublishFunction", "NotifyFunction"}) || len(st.Tables) != 1 {
		t.Errorf("tables %+v, consumers %v", st.Tables, consumers)
	}
	if len(st.Rules) != 1 || st.Rules[0].Function != "DeliveryFunction" || len(st.MailEvents["MailConfiguration"]) != 5 || len(st.Buses) != 1 {
		t.Errorf("rules %+v, mail events %v, buses %v", st.Rules, st.MailEvents, st.Buses)
	}
	for _, f := range st.Functions {
		if f.ID == "DeliveryFunction" && (f.Async == nil || f.Async.Failures != "DeliveryFailures" || f.Async.Retries != 2) {
			t.Errorf("delivery is called as %+v", f.Async)
		}
	}
	if len(st.Schedules) != 1 || st.Schedules[0].Function != "CleanupFunction" {
		t.Errorf("schedules %+v", st.Schedules)
	}
}

// wide are permissions with a wildcard in their resource, with the reason for it.
var wide = map[string]string{
	"NotifyFunction ses:DeleteSuppressedDestination *":                           "SES knows no narrower resource for the action",
	"NotifyFunction ses:SendEmail arn:aws:ses:us-east-1:000000000000:identity/*": "SES's sandbox checks the recipients' identities too; a condition names the only sender",
}

// keys are the partition keys that conditions leave, by function and action.
var keys = map[string][]string{
	"ConsoleFunction dynamodb:DeleteItem": {"SESSION#*"},
	"NotifyFunction dynamodb:DeleteItem":  {"HELD#*"},
}

// The roles are no wider than decision 0011 says: no wildcard without a reason, items are
// deleted and emails sent by those that it names, and the access check does nothing but
// read.
func TestNoRoleIsTooWide(t *testing.T) {
	const sender = "hub@agencyhub.test"
	st, err := Read("../../../template.yaml", given, map[string]string{"SenderAddress": sender})
	if err != nil {
		t.Fatal(err)
	}
	only := map[string][]string{
		"dynamodb:DeleteItem": {"CleanupFunction", "ConsoleFunction", "NotifyFunction"},
		"events:PutEvents":    {"PublishFunction"}, "ses:SendEmail": {"NotifyFunction"}, "ses:DeleteSuppressedDestination": {"NotifyFunction"},
	}
	got := map[string][]string{}
	gotKeys, reasons := map[string][]string{}, maps.Clone(wide)
	for _, f := range st.Functions {
		for _, s := range f.Role {
			for _, action := range s.Actions {
				key := f.ID + " " + action
				i := slices.IndexFunc(s.Conditions, func(c roles.Condition) bool { return c.Key == roles.LeadingKeys })
				switch {
				case i >= 0:
					gotKeys[key] = append(gotKeys[key], s.Conditions[i].Values...)
				case keys[key] != nil:
					gotKeys[key] = append(gotKeys[key], "any")
				}
			}
			if slices.Contains(s.Actions, "ses:SendEmail") {
				want := []roles.Condition{{Operator: "StringEquals", Key: roles.FromAddress, Values: []string{sender}}}
				if diff := cmp.Diff(want, s.Conditions); diff != "" {
					t.Errorf("%s sends as (-want +got):\n%s", f.ID, diff)
				}
			}
		}
		for _, p := range f.Role.Permissions() {
			if _, limited := only[p.Action]; limited && !slices.Contains(got[p.Action], f.ID) {
				got[p.Action] = append(got[p.Action], f.ID)
			}
			reason := f.ID + " " + p.Action + " " + p.Resource
			if strings.Contains(p.Resource, "*") && reasons[reason] == "" && !slices.Contains(f.Calls, p) { // a log group's ARN ends in *
				t.Errorf("%s has a wildcard without a reason", reason)
			}
			delete(reasons, reason)
			if f.ID == "AccessFunction" && p.Action != "dynamodb:BatchGetItem" && !slices.Contains(f.Calls, p) {
				t.Errorf("the access check can do %s", p.Action)
			}
		}
	}
	for _, functions := range got {
		slices.Sort(functions)
	}
	if diff := cmp.Diff(only, got); diff != "" {
		t.Errorf("functions by action (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(keys, gotKeys); diff != "" {
		t.Errorf("partition keys by action (-want +got):\n%s", diff)
	}
	for reason := range reasons {
		t.Errorf("no role has %s", reason)
	}
}

// People reach the hub by HTTPS, but for one machine.
func TestPublicURL(t *testing.T) {
	raw, err := os.ReadFile("../../../template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var template struct {
		Parameters map[string]struct {
			Default        string `yaml:"Default"`
			AllowedPattern string `yaml:"AllowedPattern"`
		} `yaml:"Parameters"`
	}
	if err := yaml.Unmarshal(raw, &template); err != nil {
		t.Fatal(err)
	}
	parameter := template.Parameters["PublicUrl"]
	allowed := regexp.MustCompile(parameter.AllowedPattern)
	for url, want := range map[string]bool{
		parameter.Default: true, "https://hub.example.com": true, "https://hub.example.com:8443": true, "https://xn--bcher-kva.test": true,
		"http://localhost:8080": true, "http://localhost": true, "http://127.0.0.1:8080": true,
		"http://hub.example.com": false, "http://localhost.example.com": false, "http://127.0.0.10": false, "http://127a0b0c1": false,
		"https://hub.example.com/": false, "https://": false, "ftp://localhost": false, "https://a b": false, "": false,
	} {
		if got := allowed.MatchString(url); got != want {
			t.Errorf("%q is allowed: %t", url, got)
		}
	}
}

// Every function has a role and a log group of its own. One that nobody waits for has an
// alarm that says by its name which one is in trouble; what the others fail at is a 5xx.
func TestEveryFunctionHasItsOwn(t *testing.T) {
	raw, err := os.ReadFile("../../../template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var template struct {
		Resources map[string]struct {
			Type       string    `yaml:"Type"`
			Properties yaml.Node `yaml:"Properties"`
		} `yaml:"Resources"`
	}
	if err := yaml.Unmarshal(raw, &template); err != nil {
		t.Fatal(err)
	}
	names := func(id, kind, what string) {
		t.Helper()
		r := template.Resources[id]
		text, err := yaml.Marshal(&r.Properties)
		if err != nil || r.Type != kind || !strings.Contains(string(text), what) {
			t.Errorf("%s is %q, want %s with %s in it (%v)", id, r.Type, kind, what, err)
		}
	}
	var folders []string
	for id, r := range template.Resources {
		name, ok := strings.CutSuffix(id, "Function")
		if r.Type != "AWS::Serverless::Function" || !ok {
			continue
		}
		folders = append(folders, strings.ToLower(name))
		names(id, r.Type, "!GetAtt "+name+"Role.Arn")
		names(id, r.Type, "LogGroup: !Ref "+name+"LogGroup")
		names(name+"Role", "AWS::IAM::Role", "!GetAtt "+name+"LogGroup.Arn")
		names(name+"LogGroup", "AWS::Logs::LogGroup", "-"+strings.ToLower(name))
		text, err := yaml.Marshal(&r.Properties)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "Type: HttpApi") {
			names("ApiErrors", "AWS::CloudWatch::Alarm", "MetricName: 5xx")
			continue
		}
		names(name+"Failing", "AWS::CloudWatch::Alarm", "Value: !Ref "+id)
	}
	mains, err := filepath.Glob("../../../functions/*/main.go")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, path := range mains {
		want = append(want, filepath.Base(filepath.Dir(path)))
	}
	slices.Sort(folders)
	if diff := cmp.Diff(want, folders); diff != "" {
		t.Errorf("functions (-folders +template):\n%s", diff)
	}
}

func TestCheckPath(t *testing.T) {
	for path, ok := range map[string]bool{"": true, "/": true, "/a/{b}/{c+}": true, "a": false, "/{a+}/b": false, "/{a": false, "/a}": false} {
		if err := checkPath(path); (err == nil) != ok {
			t.Errorf("%q: %v", path, err)
		}
	}
}

func TestParseRate(t *testing.T) {
	for expression, want := range map[string]time.Duration{
		"rate(1 minute)": time.Minute, "rate(2 hours)": 2 * time.Hour, "rate(1 day)": 24 * time.Hour,
	} {
		if got, err := parseRate(expression); err != nil || got != want {
			t.Errorf("%s: %v, %v", expression, got, err)
		}
	}
	for _, bad := range []string{"", "rate(0 minutes)", "rate(1 second)", "rate(1)", "cron(0/15 * * * ? *)", "at(2026-01-01T00:00:00)"} {
		if _, err := parseRate(bad); err == nil {
			t.Errorf("%q is understood", bad)
		}
	}
}
