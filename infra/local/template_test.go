package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

var given = map[string]string{"PublicUrl": "http://localhost:1", "OidcIssuer": "http://localhost:2", "OidcAudience": "hub"}

func TestReadTemplate(t *testing.T) {
	got, err := readTemplate("testdata/template.yaml", given, nil)
	if err != nil {
		t.Fatal(err)
	}
	oidc := &authorizer{issuer: "http://localhost:2", audience: []string{"hub"}}
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
	want := &stack{
		functions: []*function{
			{id: "EchoFunction", timeout: 2 * time.Second, memory: 256, env: env("GREETING", "hello from us-east-1")},
			{id: "StreamFunction", timeout: 2 * time.Second, memory: 256, env: env(), async: &async{retries: 1, failures: "Failures"}},
			{id: "CleanupFunction", timeout: 2 * time.Second, memory: 256, env: env()},
		},
		routes: []route{
			{method: "ANY", path: "/echo/{name}", function: "EchoFunction", authorizer: oidc, timeout: 30 * time.Second},
			{method: "ANY", path: "/open/{proxy+}", function: "EchoFunction", timeout: 30 * time.Second},
			{method: "GET", path: "/scoped", function: "EchoFunction", authorizer: oidc, scopes: []string{"hub/platform"}, timeout: 30 * time.Second},
		},
		throttle: throttle{rate: 1000, burst: 500},
		tables: []table{{name: "Notes", id: "Notes", streamed: true, create: map[string]any{
			"TableName":            "Notes",
			"BillingMode":          "PAY_PER_REQUEST",
			"AttributeDefinitions": []any{attribute("pk"), attribute("sk"), attribute("due")},
			"KeySchema":            []any{key("pk", "HASH"), key("sk", "RANGE")},
			"GlobalSecondaryIndexes": []any{map[string]any{
				"IndexName": "ByDue", "KeySchema": []any{key("due", "HASH")}, "Projection": map[string]any{"ProjectionType": "ALL"},
			}},
			"StreamSpecification": map[string]any{"StreamViewType": "NEW_AND_OLD_IMAGES", "StreamEnabled": true},
		}}},
		queues: []string{"Failures"},
		streams: []streamSource{{
			name: "StreamFunctionChanges", function: "StreamFunction", table: "Notes", batchSize: 10, partial: true, bisect: true,
			retries: 2, maxAge: time.Hour, deadLetter: "Failures",
			filters: []json.RawMessage{
				json.RawMessage(`{"eventName":["INSERT"],"dynamodb":{"Keys":{"sk":{"S":[{"prefix":"EVENT#"}]}}}}`),
				json.RawMessage(`{"eventName":["MODIFY"],"dynamodb":{"NewImage":{"wake":{"N":[{"exists":true}]}}}}`),
			},
		}},
		buses: []string{"notes"},
		rules: []rule{{
			name: "StreamFunctionNews", function: "StreamFunction",
			pattern: json.RawMessage(`{"detail":{"mail":{"tags":{"ses:configuration-set":["Mail"]}}},"source":["aws.ses"]}`),
		}},
		news:      map[string][]string{"Mail": {"BOUNCE"}},
		schedules: []schedule{{name: "CleanupFunctionEveryMinute", function: "CleanupFunction", when: recurrence{every: time.Minute}}},
	}
	all := cmp.AllowUnexported(stack{}, function{}, route{}, authorizer{}, throttle{}, table{}, streamSource{}, schedule{}, recurrence{}, rule{}, async{})
	if diff := cmp.Diff(want, got, all); diff != "" {
		t.Error(diff)
	}
}

// What the runner does not understand must stop the start, and say where.
func TestReadTemplateRefuses(t *testing.T) {
	source, err := os.ReadFile("testdata/template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct{ old, new, want string }{
		"kind of resource":     {"AWS::SQS::Queue", "AWS::SQS::Fifo", "resource Failures: AWS::SQS::Fifo is not understood"},
		"function's property":  {"      Role: !GetAtt Missing.Arn", "      SnapStart: {ApplyOn: None}", "resource EchoFunction: property SnapStart is not understood"},
		"event's property":     {"Path: /scoped,", "Path: /scoped, RouteSettings: {},", "resource EchoFunction: event Scoped: property RouteSettings is not understood"},
		"event's type":         {"Type: ScheduleV2", "Type: SNS", "resource CleanupFunction: event EveryMinute: property Type: SNS is not understood"},
		"API's property":       {"      DefaultRouteSettings:", "      CorsConfiguration: true\n      DefaultRouteSettings:", "resource Api: property CorsConfiguration is not understood"},
		"table's property":     {"      BillingMode", "      ImportSourceSpecification: {}\n      BillingMode", "resource Notes: property ImportSourceSpecification is not understood"},
		"queue's property":     {"MessageRetentionPeriod", "FifoQueue", "resource Failures: property FifoQueue is not understood"},
		"intrinsic":            {"!Sub '${Greeting} from ${AWS::Region}'", "!ImportValue x", "resource EchoFunction: property Environment: Variables: GREETING: Fn::ImportValue is not understood"},
		"reference":            {"TABLE_NAME: !Ref Notes", "TABLE_NAME: !Ref Nothing", `TABLE_NAME: "Nothing" is no parameter and no resource`},
		"reference made not":   {"TABLE_NAME: !Ref Notes", "TABLE_NAME: !Ref UserPool", `TABLE_NAME: "UserPool" is no parameter and no resource that is made here`},
		"section":              {"Conditions:", "Mappings: {}\nConditions:", "the section Mappings is not understood"},
		"filter's rule":        {`{"prefix":"EVENT#"}`, `{"suffix":"x"}`, "event Changes: property FilterCriteria: the pattern's rule"},
		"schedule":             {"rate(1 minute)", "rate(1 fortnight)", `event EveryMinute: property ScheduleExpression: "rate(1 fortnight)" is not understood`},
		"parallel":             {"BatchSize: 10", "ParallelizationFactor: 2", "property ParallelizationFactor: only 1"},
		"authorizer":           {"Authorizer: NONE", "Authorizer: Other", `event Open: property Auth.Authorizer: "Other" is none of the API's`},
		"runtime":              {"provided.al2023", "nodejs24.x", "property Runtime: only a bootstrap"},
		"route twice":          {"Method: GET, Path: /scoped", "Method: any, Path: '/echo/{name}'", "the route ANY /echo/{name} leads to EchoFunction already"},
		"rule's pattern":       {"source: [aws.ses]", "source: [{suffix: ses}]", "event News: property Pattern: the pattern's rule"},
		"rule's bus":           {"            Pattern:", "            EventBusName: notes\n            Pattern:", "event News: property EventBusName is not understood"},
		"mail's bus":           {"event-bus/default", "event-bus/notes", "resource MailEvents: property EventBridgeDestination: SES knows the default bus only"},
		"on failure":           {"Type: SQS, Destination: !GetAtt Failures.Arn}}\n      Events", "Type: SNS, Destination: !GetAtt Failures.Arn}}\n      Events", "property EventInvokeConfig: only a queue"},
		"circle of conditions": {"!Equals [!Ref OidcIssuer, '']", "!Not [!Condition Greets]", "rests on itself"},
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
			if _, err := readTemplate(path, given, nil); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v\nwant %s", err, test.want)
			}
		})
	}
	if _, err := readTemplate("testdata/template.yaml", map[string]string{}, nil); err == nil || !strings.Contains(err.Error(), "PublicUrl has no default") {
		t.Errorf("a parameter without a value: %v", err)
	}
}

// The real template must be understood whole, and lead where it should.
func TestReadTheProductsTemplate(t *testing.T) {
	st, err := readTemplate("../../template.yaml", given, map[string]string{"SenderAddress": "hub@agencyhub.test"})
	if err != nil {
		t.Fatal(err)
	}
	for request, want := range map[string]string{
		"GET /v1/me":           "AccountsFunction",
		"GET /v1/nothing/here": "AccountsFunction",
		"PUT /v1/me":           "AccountsFunction",
		"POST /v1/agencies/acct_1/connections/con_1/leave": "ConnectionsFunction",
		"POST /v1/accounts/acct_1/team/acct_2/accept":      "ApprovalsFunction",
		"GET /requests/con_1":                              "ConsoleFunction",
		"DELETE /v1/accounts/acct_1/team/per_1":            "TeamFunction",
		"GET /v1/accounts/acct_1/access":                   "AccessFunction",
	} {
		method, path, _ := strings.Cut(request, " ")
		r, _ := match(st.routes, method, path)
		if r == nil || r.function != want {
			t.Errorf("%s leads to %+v, want %s", request, r, want)
		}
		if open := strings.HasPrefix(path, "/requests/"); r != nil && open != (r.authorizer == nil) {
			t.Errorf("%s: its authorizer is %+v", request, r.authorizer)
		}
	}
	if len(st.tables) != 1 || len(st.streams) != 1 || st.streams[0].function != "NotifyFunction" || !st.streams[0].partial || st.streams[0].deadLetter == "" {
		t.Errorf("tables %+v, streams %+v", st.tables, st.streams)
	}
	if len(st.rules) != 1 || st.rules[0].function != "DeliveryFunction" || len(st.news["MailConfiguration"]) != 5 || len(st.buses) != 1 {
		t.Errorf("rules %+v, news %v, buses %v", st.rules, st.news, st.buses)
	}
	for _, f := range st.functions {
		if f.id == "DeliveryFunction" && (f.async == nil || f.async.failures != "DeliveryFailures" || f.async.retries != 2) {
			t.Errorf("delivery is called as %+v", f.async)
		}
	}
	if len(st.schedules) != 1 || st.schedules[0].function != "CleanupFunction" {
		t.Errorf("schedules %+v", st.schedules)
	}
}

// Every function has a role and a log group of its own, and an alarm that says by
// its name which one is in trouble.
func TestEveryFunctionHasItsOwn(t *testing.T) {
	raw, err := os.ReadFile("../../template.yaml")
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
		names(name+"Failing", "AWS::CloudWatch::Alarm", "Value: !Ref "+id)
	}
	rooms, err := os.ReadDir("../../functions")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, room := range rooms {
		want = append(want, room.Name())
	}
	slices.Sort(folders)
	if diff := cmp.Diff(want, folders); diff != "" {
		t.Errorf("functions (-folders +template):\n%s", diff)
	}
}
