package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"agencyhub/infra/local/lambda"
	"agencyhub/infra/local/localtest"
	"agencyhub/infra/local/process"
	"agencyhub/infra/local/roles"
)

// These tests run the built runner with real bootstraps and real stand-ins.

func TestStackAnswersSignedInRequests(t *testing.T) {
	s := startStack(t, t.TempDir())
	token := s.token(t, "ann@agency.test")
	status, body := s.get(t, "/echo/me", "Authorization", "Bearer "+token)
	var answer struct {
		Greeting string
		Event    struct {
			RequestContext struct {
				Authorizer struct {
					JWT struct{ Claims map[string]string }
				}
			}
		}
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		t.Fatalf("%d %s: %v", status, body, err)
	}
	claims := answer.Event.RequestContext.Authorizer.JWT.Claims
	want := map[string]string{"email": "ann@agency.test", "email_verified": "true", "iss": s.OIDC, "aud": s.ClientID}
	for name, value := range want {
		if claims[name] != value {
			t.Errorf("claim %s is %q, want %q", name, claims[name], value)
		}
	}
	if answer.Greeting != "hello from us-east-1" {
		t.Errorf("the function's environment says %q", answer.Greeting)
	}
	if status, body := s.get(t, "/echo/me"); status != 401 || body != `{"message":"Unauthorized"}` {
		t.Errorf("without a token: %d %s", status, body)
	}
	if status, _ := s.get(t, "/scoped", "Authorization", "Bearer "+token); status != 403 {
		t.Errorf("without the scope: %d", status)
	}
	localtest.Eventually(t, "the function's log is on the terminal", func() bool {
		return strings.Contains(s.output.String(), "echo        | echo of /echo/me")
	})

	other := claimsOf(t, s.token(t, "-subject", "other", "-unverified", "ann@agency.test"))
	if other["sub"] != "other" || other["email_verified"] != false {
		t.Errorf("token -subject other -unverified: %v", other)
	}
	platform := claimsOf(t, s.token(t, "-platform"))
	if platform["scope"] != "hub/platform" || platform["client_id"] != s.Platform || platform["aud"] != s.ClientID || platform["email"] != nil {
		t.Errorf("token -platform: %v", platform)
	}
}

// token returns the token that `local token` prints.
func (s *testStack) token(t *testing.T, args ...string) string {
	t.Helper()
	out := localtest.Must[[]byte](t)(local(t, "token", s.Data, args...).Output())
	token := strings.TrimSuffix(string(out), "\n")
	if strings.ContainsAny(token, " \n") {
		t.Fatalf("token printed more than the token: %q", out)
	}
	return token
}

// claimsOf returns the claims of a token. It checks nothing.
func claimsOf(t *testing.T, token string) (claims map[string]any) {
	t.Helper()
	payload := localtest.Must[[]byte](t)(base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1]))
	localtest.Check(t, json.Unmarshal(payload, &claims))
	return claims
}

// A function can do what its role allows, and the runner knows what it has used.
func TestFunctionsHaveTheirRoles(t *testing.T) {
	s := startStack(t, t.TempDir())
	const table = "arn:aws:dynamodb:us-east-1:000000000000:table/Notes"
	const refusal = "the role of EchoFunction does not allow dynamodb:UpdateItem on " + table
	for operation, want := range map[string]string{"GetItem": "", "UpdateItem": "com.amazon.coral.service#AccessDeniedException: " + refusal} {
		if status, body := s.get(t, "/open/"+operation); status != 200 || body != `{"refused":"`+want+`"}` {
			t.Errorf("%s: %d %s", operation, status, body)
		}
	}
	localtest.Eventually(t, "the refusal is on the terminal", func() bool { return strings.Contains(s.output.String(), "AccessDenied: "+refusal) })
	_, answer, _ := localtest.Fetch(t, http.MethodGet, s.Control+"/roles", nil)
	var uses []roles.Use
	localtest.Check(t, json.Unmarshal([]byte(answer), &uses))
	got := map[string]bool{}
	var byLambda []string
	for _, u := range uses {
		if u.Function == "EchoFunction" && strings.HasPrefix(u.Resource, table) {
			got[u.Action] = u.Used
		}
		if u.ByLambda {
			byLambda = append(byLambda, u.Function+" "+u.Action)
		}
		if u.ByLambda && u.Used {
			t.Errorf("%s has used %s", u.Function, u.Action)
		}
	}
	want := map[string]bool{
		"dynamodb:GetItem": true, "dynamodb:PutItem": false, "dynamodb:ConditionCheckItem": false, "dynamodb:DeleteItem": false, "dynamodb:Query": false,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("used (-want +got):\n%s", diff)
	}
	slices.Sort(byLambda)
	if diff := cmp.Diff([]string{
		"EchoFunction logs:CreateLogStream", "EchoFunction logs:PutLogEvents", "StreamFunction dynamodb:DescribeStream", "StreamFunction dynamodb:GetRecords",
		"StreamFunction dynamodb:GetShardIterator", "StreamFunction dynamodb:ListStreams", "StreamFunction sqs:SendMessage",
	}, byLambda); diff != "" {
		t.Errorf("what Lambda does (-want +got):\n%s", diff)
	}
	s = startStack(t, t.TempDir(), "-roles=false")
	if _, body := s.get(t, "/open/UpdateItem"); body != `{"refused":""}` {
		t.Errorf("without roles: %s", body)
	}
}

func TestStackRunsCleanupOnDemand(t *testing.T) {
	s := startStack(t, t.TempDir())
	var out bytes.Buffer
	localtest.Must[[]byte](t)(cleanup(t.Context(), s.Data, "", &out))
	var report struct{ Cleaned bool }
	if err := json.Unmarshal(out.Bytes(), &report); err != nil || !report.Cleaned {
		t.Errorf("cleanup printed %s", &out)
	}
}

// Redrive calls cleanup with what the report has as next, until that is null.
func TestRedriveCallsUntilNothingIsLeft(t *testing.T) {
	s := startStack(t, t.TempDir())
	var out bytes.Buffer
	localtest.Check(t, redrive(t.Context(), s.Data, &out))
	var events []string
	for d := json.NewDecoder(&out); d.More(); {
		var report struct{ Event json.RawMessage }
		localtest.Check(t, d.Decode(&report))
		events = append(events, string(report.Event))
	}
	if want := []string{`{"redrive":true}`, `{"after":1,"redrive":true}`, `{"after":2,"redrive":true}`}; !slices.Equal(events, want) {
		t.Errorf("cleanup was called with %s", events)
	}
}

// Redrive stops when cleanup gets nowhere, fails or answers nothing of use.
func TestRedriveStops(t *testing.T) {
	answers := []string{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(answers[0]))
		if len(answers) > 1 {
			answers = answers[1:]
		}
	}))
	defer server.Close()
	data := t.TempDir()
	file := localtest.Must[[]byte](t)(json.Marshal(running{Control: server.URL, PID: os.Getpid()}))
	localtest.Check(t, os.WriteFile(stackFile(data), file, 0o600))
	for _, tt := range []struct {
		answers []string
		want    string
	}{
		{[]string{`{"redriven":0,"next":{"redrive":true}}`}, "cleanup got nowhere"},
		{[]string{`{"redriveFailed":2,"next":{"redrive":true,"after":1}}`, `{"redriveFailed":1,"next":null}`}, "redrive failed 3 times"},
		// What another redrive can't mend.
		{[]string{`{"failed":2,"next":{"redrive":true,"after":1}}`, `{"failed":1,"next":null}`}, ""},
		{[]string{`{"errorMessage":"no"}`}, "without saying how to go on"},
		{[]string{`no`}, "without saying how to go on"},
	} {
		answers = tt.answers
		if err := redrive(t.Context(), data, io.Discard); (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", tt.answers, err)
		}
	}
}

func TestCommandsWithoutAStack(t *testing.T) {
	for _, args := range [][]string{{"token", "ann@agency.test"}, {"cleanup"}} {
		cmd := local(t, args[0], t.TempDir(), args[1:]...)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err == nil || len(out) > 0 || !strings.Contains(stderr.String(), "start one with `make run`") {
			t.Errorf("%v: %v, stdout %q, stderr %q", args, err, out, &stderr)
		}
	}
}

// A function is invoked with what is on stdin: JSON, or nothing, which is an empty object.
func TestInvoke(t *testing.T) {
	s := startStack(t, t.TempDir())
	for name, test := range map[string]struct{ function, input, want, fails string }{
		"an event":     {"echo", `{"rawPath":"/given"}`, `\"rawPath\":\"/given\"`, ""},
		"nothing":      {"echo", "", `\"rawPath\":\"\"`, ""},
		"a blank line": {"echo", " \n", `\"rawPath\":\"\"`, ""},
		"not JSON":     {"echo", "{", "", "echo failed: the input is not JSON"},
		"two values":   {"echo", "{} {}", "", "echo failed: the input is not JSON"},
		"no function":  {"nothing", "{}", "", "nothing failed: there is no function nothing"},
		"it fails":     {"echo", `{"pathParameters":{"proxy":"error"}}`, "", `"errorMessage":"asked to"`},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := local(t, "invoke", s.Data, test.function)
			var stderr bytes.Buffer
			cmd.Stdin, cmd.Stderr = strings.NewReader(test.input), &stderr
			out, err := cmd.Output()
			if (err != nil) != (test.fails != "") || !strings.Contains(string(out), test.want) && test.fails == "" || !strings.Contains(stderr.String(), test.fails) {
				t.Errorf("%v, stdout %q, stderr %q", err, out, &stderr)
			}
		})
	}
	for input, want := range map[string]int{"": http.StatusOK, "{": http.StatusBadRequest} {
		if status, body, _ := localtest.Fetch(t, http.MethodPost, s.Control+"/functions/echo", strings.NewReader(input)); status != want {
			t.Errorf("%q: %d %s", input, status, body)
		}
	}
}

// With -streams=false nothing is invoked from a stream. What was written meanwhile is read
// after the next start.
func TestStackWithoutStreams(t *testing.T) {
	data := t.TempDir()
	s := startStack(t, data, "-streams=false")
	s.put(t, map[string]string{"pk": "a", "sk": "EVENT#1"})
	if _, body := s.get(t, "/open/wait"); !strings.Contains(body, "/open/wait") {
		t.Errorf("answered %s", body)
	}
	localtest.Stop(s.process)
	if strings.Contains(s.output.String(), "took EVENT#1") {
		t.Error("the function took a record")
	}
	s = startStack(t, data)
	localtest.Eventually(t, "the function took the record", func() bool { return strings.Contains(s.output.String(), "took EVENT#1 INSERT") })
}

func TestFunctionThatFails(t *testing.T) {
	s := startStack(t, t.TempDir())
	_, body := s.get(t, "/open/first")
	before := pid(t, body)
	for _, how := range []string{"error", "panic", "exit"} {
		if status, body := s.get(t, "/open/"+how); status != 500 || body != `{"message":"Internal Server Error"}` {
			t.Errorf("%s: %d %s", how, status, body)
		}
		// Whatever the moment of the next call, it meets an instance that lives.
		if status, body := s.get(t, "/open/after"); status != 200 {
			t.Errorf("after %s: %d %s", how, status, body)
		}
	}
	_, body = s.get(t, "/open/last")
	after := pid(t, body)
	if before == after {
		t.Error("the instance that crashed still answers")
	}
	localtest.Check(t, syscall.Kill(after, syscall.SIGKILL))
	localtest.Eventually(t, "the end is on the terminal", func() bool { return strings.Contains(s.output.String(), "an instance of echo ended (signal: killed)") })
	if status, _ := s.get(t, "/open/killed"); status != 200 {
		t.Errorf("after a kill of the idle instance: %d", status)
	}
	if status, _ := s.get(t, "/open/hang"); status != 500 {
		t.Errorf("a function beyond its timeout: %d", status)
	}
	localtest.Eventually(t, "the timeout is on the terminal", func() bool { return strings.Contains(s.output.String(), "Task timed out after 2.00 seconds") })
}

func TestInstancesStartUnderConcurrency(t *testing.T) {
	s := startStack(t, t.TempDir())
	const calls = lambda.MaxInstances + 5
	pids := make(chan int, calls)
	var wg sync.WaitGroup
	for range calls {
		wg.Go(func() {
			if status, body := s.get(t, "/open/wait"); status == 200 {
				pids <- pid(t, body)
			}
		})
	}
	wg.Wait()
	close(pids)
	seen, answers := map[int]bool{}, 0
	for p := range pids {
		seen[p] = true
		answers++
	}
	if answers != calls || len(seen) < 2 || len(seen) > lambda.MaxInstances {
		t.Errorf("%d of %d calls were answered by %d instances; at most %d may run", answers, calls, len(seen), lambda.MaxInstances)
	}
}

func TestDataOutlivesARestartAndAKill(t *testing.T) {
	data := t.TempDir()
	s := startStack(t, data)
	token := localtest.Must[string](t)(signIn{email: "ann@agency.test", scope: "openid email"}.token(t.Context(), &s.running))
	s.put(t, map[string]string{"pk": "a", "sk": "EVENT#1"})
	localtest.Eventually(t, "the function took the record", func() bool { return strings.Contains(s.output.String(), "took EVENT#1 INSERT") })
	checkpoint := filepath.Join(data, "data", "stream", "StreamFunctionChanges.json")
	localtest.Eventually(t, "the checkpoint is written", func() bool { _, err := os.Stat(checkpoint); return err == nil })

	// One that fails holds the stream up while the runner is killed …
	s.put(t, map[string]string{"pk": "a", "sk": "EVENT#2", "poison": "error"})
	s.put(t, map[string]string{"pk": "a", "sk": "EVENT#3"})
	localtest.Eventually(t, "the record fails", func() bool { return strings.Contains(s.output.String(), "poisoned by EVENT#2") })
	children := family(t, s.PID)
	s.process.Kill()
	<-s.process.Exited
	localtest.Eventually(t, "the children of the killed runner are dead", func() bool { return len(alive(children)) == 0 })

	// … and is met again by the next one, as is the record behind it.
	ports := []string{"-http", port(t, s.PublicURL), "-oidc", port(t, s.OIDC)}
	s = startStack(t, data, ports...)
	localtest.Eventually(t, "the record behind is taken", func() bool { return strings.Contains(s.output.String(), "took EVENT#3 INSERT") })
	if strings.Contains(s.output.String(), "took EVENT#1") {
		t.Error("a record before the checkpoint came again")
	}
	if status, body := s.get(t, "/echo/me", "Authorization", "Bearer "+token); status != 200 {
		t.Errorf("a token from before the restart: %d %s", status, body)
	}
	localtest.Eventually(t, "the failing record is in the on-failure queue", func() bool {
		var out bytes.Buffer
		return failures(data, &out) == nil && strings.Contains(out.String(), `"condition":"RetryAttemptsExhausted"`)
	})
	localtest.Stop(s.process)

	s = startStack(t, data, "-fresh")
	var items struct{ Count int }
	if err := s.db().Call(t.Context(), "DynamoDB_20120810.Scan", map[string]any{"TableName": s.Table}, &items); err != nil || items.Count != 1 {
		t.Errorf("-fresh left %d items (%v), want the form alone", items.Count, err)
	}
	s.put(t, map[string]string{"pk": "a", "sk": "EVENT#4"})
	localtest.Eventually(t, "the fresh stream is read from its start", func() bool { return strings.Contains(s.output.String(), "took EVENT#4 INSERT") })
}

// Data that a version before the forms of what is stored has left is refused.
func TestDataOfAnotherFormIsRefused(t *testing.T) {
	data := t.TempDir()
	s := startStack(t, data)
	s.put(t, map[string]string{"pk": "a", "sk": "EVENT#1"})
	key := map[string]any{"pk": map[string]string{"S": "FORM"}, "sk": map[string]string{"S": "FORM"}}
	localtest.Check(t, s.db().Call(t.Context(), "DynamoDB_20120810.DeleteItem", map[string]any{"TableName": s.Table, "Key": key}, new(any)))
	localtest.Stop(s.process)
	p, out := launch(t, data)
	localtest.Eventually(t, "the start is refused", func() bool {
		select {
		case <-p.Exited:
			return true
		default:
			return false
		}
	})
	if p.Err == nil || !strings.Contains(out.String(), "start with `make run FRESH=1`") {
		t.Errorf("ended with %v and\n%s", p.Err, out)
	}
	startStack(t, data, "-fresh")
}

func TestStopEndsEverything(t *testing.T) {
	for _, sig := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		t.Run(sig.String(), func(t *testing.T) {
			s := startStack(t, t.TempDir())
			children := family(t, s.PID)
			if len(children) < 6 { // three stand-ins, three functions
				t.Fatalf("only %d children", len(children))
			}
			s.process.Signal(sig)
			<-s.process.Exited
			if s.process.Err != nil {
				t.Errorf("the runner ended with %v", s.process.Err)
			}
			if left := alive(children); len(left) > 0 {
				t.Errorf("%d of %d children still live", len(left), len(children))
			}
			if _, err := os.Stat(stackFile(s.Data)); !os.IsNotExist(err) {
				t.Errorf("stack.json is still there: %v", err)
			}
		})
	}
}

func TestStandInThatDiesStopsTheStack(t *testing.T) {
	s := startStack(t, t.TempDir())
	children := family(t, s.PID)
	for _, child := range children {
		if args, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", child)); err == nil && bytes.Contains(args, []byte("--db-path")) {
			localtest.Check(t, syscall.Kill(child, syscall.SIGKILL))
		}
	}
	<-s.process.Exited
	if s.process.Err == nil || !strings.Contains(s.output.String(), "dynamodb (pid ") {
		t.Errorf("the runner ended with %v", s.process.Err)
	}
	if left := alive(children); len(left) > 0 {
		t.Errorf("%d children still live", len(left))
	}
}

func TestWhatStopsTheStart(t *testing.T) {
	taken := localtest.Must[net.Listener](t)(net.Listen("tcp", "127.0.0.1:0"))
	t.Cleanup(func() { _ = taken.Close() })
	inUse := fmt.Sprint(process.PortOf(taken))
	busy := t.TempDir()
	startStack(t, busy)
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"gateway's port":    {[]string{"-http", inUse}, "port " + inUse + " is in use by another program: stop it, or choose another port with -http PORT"},
		"inbox's port":      {[]string{"-ses", inUse}, "-ses PORT"},
		"issuer's port":     {[]string{"-oidc", inUse}, "-oidc PORT"},
		"engine's port":     {[]string{"-dynamodb", inUse}, "-dynamodb PORT"},
		"folder in use":     {[]string{"-data", busy}, "a stack runs on " + busy + " already"},
		"unknown parameter": {[]string{"-set", "Nothing=1"}, "there is no parameter Nothing"},
		"our own parameter": {[]string{"-set", "PublicUrl=http://x"}, "-set PublicUrl: the runner sets this parameter itself"},
		"settings":          {[]string{"-set", `SettingsOverride={"accent":"#ffffff"}`}, "-set SettingsOverride: settings: accent: must be a colour"},
	} {
		t.Run(name, func(t *testing.T) {
			p, out := launch(t, t.TempDir(), test.args...)
			<-p.Exited
			if p.Err == nil || !strings.Contains(out.String(), test.want) {
				t.Errorf("ended with %v and\n%s\nwant: %s", p.Err, out, test.want)
			}
		})
	}
}

func TestSignInPageRefusesWhatIsNoAddress(t *testing.T) {
	s := startStack(t, t.TempDir())
	_, err := (signIn{email: "nobody", scope: "openid"}).token(t.Context(), &s.running)
	if err == nil || err.Error() != "the issuer says: That is not an email address." {
		t.Errorf("got %v", err)
	}
}

func TestControlRefusesPagesInABrowser(t *testing.T) {
	s := startStack(t, t.TempDir())
	status, _, _ := localtest.Fetch(t, http.MethodPost, s.Control+"/schedules/cleanup", nil, "Sec-Fetch-Site", "cross-site")
	if status != http.StatusForbidden {
		t.Errorf("%d", status)
	}
}

func port(t *testing.T, address string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(strings.TrimPrefix(address, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func TestAnotherDynamoDBStandsIn(t *testing.T) {
	db, _, _ := localtest.Engine(t)
	t.Setenv("AWS_ENDPOINT_URL_DYNAMODB", db.Endpoint)
	t.Setenv("AWS_REGION", "eu-central-1")
	s := startStack(t, t.TempDir())
	if s.DynamoDB != db.Endpoint || s.Region != "eu-central-1" {
		t.Errorf("the stack uses %s in %s", s.DynamoDB, s.Region)
	}
	if children := family(t, s.PID); len(children) != 5 { // two stand-ins, three functions
		t.Errorf("%d children", len(children))
	}
	s.put(t, map[string]string{"pk": "a", "sk": "EVENT#1"})
	localtest.Eventually(t, "the function took the record", func() bool { return strings.Contains(s.output.String(), "took EVENT#1 INSERT") })

	p, out := launch(t, t.TempDir(), "-fresh")
	<-p.Exited
	if p.Err == nil || !strings.Contains(out.String(), "delete the table behind AWS_ENDPOINT_URL_DYNAMODB yourself") {
		t.Errorf("-fresh: %v\n%s", p.Err, out)
	}
}
