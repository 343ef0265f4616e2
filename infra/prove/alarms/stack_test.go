package alarms

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"agencyhub/infra/e2e/client"
	"agencyhub/infra/e2e/runner"
	"agencyhub/infra/local/process"
	"agencyhub/infra/local/standins"
	"agencyhub/infra/local/template"
	"agencyhub/infra/prove"
	"agencyhub/shared/testbed"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A fault answers a call in place of the service, or returns false to pass it on.
type fault func(w http.ResponseWriter, r *http.Request, body []byte) bool

// A proxy stands before a service.
type proxy struct {
	mu     sync.Mutex
	fault  fault
	to     func() string
	adjust func(*http.Response)
}

func (p *proxy) set(f fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = f
}

func (p *proxy) current() fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fault
}

// ServeHTTP serves a call by the fault or by the service.
func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if f := p.current(); f != nil && f(w, r, body) {
		return
	}
	to, err := url.Parse(p.to())
	if err != nil || to.Host == "" {
		http.Error(w, "the service is not up yet", http.StatusServiceUnavailable)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	(&httputil.ReverseProxy{
		Rewrite:        func(out *httputil.ProxyRequest) { out.SetURL(to); out.Out.Host = out.In.Host },
		ModifyResponse: func(res *http.Response) error { p.adjust(res); return nil },
	}).ServeHTTP(w, r)
}

// A stack is the whole product on one machine, behind proxies. Its functions go by
// DynamoDB's clock, which can be set forward.
type stack struct {
	*client.Stack
	t       *testing.T
	folder  string
	program runner.Program
	process *runner.Process
	log     runner.Log
	// dynamo, ses and bus are before the services.
	dynamo, ses, bus *proxy
	engine           int // its port

	mu    sync.Mutex
	ahead time.Duration
	// isStale: the clock was set since the last run of cleanup.
	isStale bool
}

// newStack builds and starts a stack.
func newStack(t *testing.T) *stack {
	t.Helper()
	s := &stack{t: t, folder: t.TempDir()}
	absolute, err := filepath.Abs(root)
	must(t, err)
	s.program, err = runner.Build(absolute, filepath.Join(s.folder, "bin"))
	must(t, err)
	s.startEngine()
	cloud := func() string {
		if s.Stack == nil {
			return ""
		}
		return s.Cloud
	}
	as := func(res *http.Response) {}
	s.dynamo = &proxy{to: func() string { return fmt.Sprintf("http://127.0.0.1:%d", s.engine) }, adjust: s.setDate}
	s.ses, s.bus = &proxy{to: cloud, adjust: as}, &proxy{to: cloud, adjust: as}
	env := append(os.Environ(), "AWS_REGION=eu-central-1", "AWS_ACCESS_KEY_ID=local", "AWS_SECRET_ACCESS_KEY=local", "AWS_SESSION_TOKEN=")
	for name, p := range map[string]*proxy{"DYNAMODB": s.dynamo, "SESV2": s.ses, "EVENTBRIDGE": s.bus} {
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		must(t, err)
		server := &httptest.Server{Listener: l, Config: &http.Server{Handler: p, ReadHeaderTimeout: 10 * time.Second}}
		server.Start()
		t.Cleanup(server.Close)
		env = append(env, "AWS_ENDPOINT_URL_"+name+"="+server.URL)
	}
	s.planRun()
	// What expires does so after an hour, in place of two weeks.
	s.process, err = s.program.Start(filepath.Join(s.folder, "stack"), env, &s.log, "-http", "0", "-ses", "0", "-oidc", "0", "-schedules=false",
		"-set", `SettingsOverride={"requestLifetime":"1h","invitationLifetime":"1h","remindBefore":"1m"}`)
	must(t, err)
	s.Stack = s.process.Stack
	t.Cleanup(func() {
		if err := s.process.Stop(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			prove.Keep(t, "log", []byte(s.log.String()))
		}
	})
	return s
}

// planRun makes a run of every schedule overdue, for a stack that has schedules.
func (s *stack) planRun() {
	s.t.Helper()
	spec, err := template.Read(filepath.Join(root, "template.yaml"), map[string]string{
		"PublicUrl": "http://localhost:1", "OidcIssuer": "http://localhost:2", "OidcAudience": "hub", "SenderAddress": "hub@agencyhub.test",
	}, nil)
	must(s.t, err)
	last := map[string]time.Time{}
	for _, sch := range spec.Schedules {
		last[sch.Name] = time.Now().Add(-time.Hour)
	}
	if len(last) == 0 {
		s.t.Fatal("the template has no schedule")
	}
	raw, err := json.Marshal(last)
	must(s.t, err)
	folder := filepath.Join(s.folder, "stack", "data")
	must(s.t, os.MkdirAll(folder, 0o700))
	must(s.t, os.WriteFile(filepath.Join(folder, "schedules.json"), raw, 0o600))
}

func (s *stack) startEngine() {
	s.t.Helper()
	spawner, err := process.NewSpawner(process.NewTerminal(io.Discard), s.folder)
	must(s.t, err)
	home, err := standins.Home()
	must(s.t, err)
	program, err := standins.Engine(home, 0, s.folder)
	must(s.t, err)
	must(s.t, program.Reserve())
	s.engine = program.Port
	ctx, cancel := context.WithTimeout(s.t.Context(), 20*time.Second)
	defer cancel()
	engine, err := program.Start(ctx, spawner)
	must(s.t, err)
	s.t.Cleanup(func() { engine.Kill(); <-engine.Exited })
}

// setDate sets the clock of an answer of DynamoDB.
func (s *stack) setDate(res *http.Response) {
	s.mu.Lock()
	defer s.mu.Unlock()
	res.Header.Set("Date", time.Now().Add(s.ahead).UTC().Format(http.TimeFormat))
}

// advance sets the clock forward.
func (s *stack) advance(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ahead += d
	s.isStale = true
}

// db returns a client of the table itself.
func (s *stack) db() *dynamodb.Client {
	return dynamodb.NewFromConfig(testbed.Config(), func(o *dynamodb.Options) { o.BaseEndpoint = aws.String(fmt.Sprintf("http://127.0.0.1:%d", s.engine)) })
}

// kill kills the instances of functions.
func (s *stack) kill(functions ...string) {
	for _, function := range functions {
		pids, err := s.process.Instances(function)
		if err != nil {
			s.t.Error(err)
		}
		for _, pid := range pids {
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
				s.t.Error(err)
			}
		}
	}
}

// mark is the place in the log from which on values count.
func (s *stack) mark() int { return len(s.log.String()) }

// values returns the values of the product's own metrics that the log has since a mark.
func (s *stack) values(since int) map[metric][]float64 {
	all := map[metric][]float64{}
	for line := range strings.Lines(s.log.String()[since:]) {
		at := strings.IndexByte(line, '{')
		if at < 0 || !strings.Contains(line, `"_aws"`) {
			continue
		}
		var raw map[string]json.RawMessage
		var embedded struct {
			CloudWatchMetrics []struct {
				Namespace  string
				Dimensions [][]string
				Metrics    []struct{ Name string }
			}
		}
		if err := errors.Join(json.Unmarshal([]byte(line[at:]), &raw), json.Unmarshal(raw["_aws"], &embedded)); err != nil {
			s.t.Errorf("%s: %v", line, err)
			continue
		}
		for _, definition := range embedded.CloudWatchMetrics {
			for _, named := range definition.Metrics {
				var values []float64
				if err := json.Unmarshal(raw[named.Name], &values); err != nil {
					s.t.Errorf("%s: %v", line, err)
				}
				for _, dimensions := range definition.Dimensions {
					by := map[string]string{}
					for _, name := range dimensions {
						var value string
						if err := json.Unmarshal(raw[name], &value); err != nil || value == "" {
							s.t.Errorf("%s: the dimension %s has no value: %v", line, name, err)
						}
						by[name] = value
					}
					key := newMetric(definition.Namespace, named.Name, by)
					all[key] = append(all[key], values...)
				}
			}
		}
	}
	return all
}

// isUp reports whether values since a mark raise an alarm, and the statistic of them.
func (s *stack) isUp(a alarm, since int) (bool, float64) {
	values := s.values(since)[*a.of]
	if len(values) == 0 {
		return false, 0
	}
	slices.Sort(values)
	n := 0.0
	switch a.statistic {
	case "Sum":
		for _, v := range values {
			n += v
		}
	case "Maximum":
		n = values[len(values)-1]
	case "Minimum":
		n = values[0]
	case "p50":
		n = values[(len(values)-1)/2]
	default:
		s.t.Fatalf("the statistic %q is not known here", a.statistic)
	}
	return a.isOver(n), n
}

// eventually waits for what must come.
func (s *stack) eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !condition(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

// logs reports whether a function has logged a text since a mark.
func (s *stack) logs(since int, function string, texts ...string) bool {
	for line := range strings.Lines(s.log.String()[since:]) {
		if strings.HasPrefix(line, function+" ") && !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(line, text) }) {
			return true
		}
	}
	return false
}

// queue returns the messages of an on-failure queue.
func (s *stack) queue(t *testing.T, name string) (messages []json.RawMessage) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(s.Data, "data", "queues", "*"+name+"*"))
	must(t, err)
	for _, path := range files {
		content, err := os.ReadFile(path)
		must(t, err)
		for line := range bytes.Lines(content) {
			messages = append(messages, line)
		}
	}
	return messages
}

// purge empties an on-failure queue.
func (s *stack) purge(t *testing.T, name string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(s.Data, "data", "queues", "*"+name+"*"))
	must(t, err)
	for _, path := range files {
		must(t, os.Truncate(path, 0))
	}
}

// local runs a command of the local stack beside it, as an operator does.
func (s *stack) local(t *testing.T, stdin []byte, args ...string) []byte {
	t.Helper()
	out, err := s.tryLocal(t, stdin, args...)
	if err != nil {
		t.Fatalf("%v: %v\n%s", args, err, out)
	}
	return out
}

func (s *stack) tryLocal(t *testing.T, stdin []byte, args ...string) ([]byte, error) {
	t.Helper()
	c := exec.CommandContext(t.Context(), s.program.Path, append(args, "-data", s.Data)...)
	c.Stdin, c.Dir = bytes.NewReader(stdin), s.program.Root
	return c.CombinedOutput()
}

// tryInvoke invokes a function with an event, as an operator does.
func (s *stack) tryInvoke(t *testing.T, function string, event []byte) ([]byte, error) {
	t.Helper()
	return s.tryLocal(t, event, "invoke", function)
}

// runs counts the runs of cleanup in the log.
func (s *stack) runs() int { return strings.Count(s.log.String(), `"message":"Cleaned up."`) }

// A report is what cleanup returns.
type report map[string]any

func (r report) number(name string) float64 {
	n, _ := r[name].(float64)
	return n
}

// cleanup runs cleanup now. A function knows the time of DynamoDB's last answer to it: of
// a clock that was set the first run learns.
func (s *stack) cleanup(t *testing.T) report {
	t.Helper()
	s.mu.Lock()
	stale := s.isStale
	s.isStale = false
	s.mu.Unlock()
	if stale {
		before := s.runs()
		_, err := s.Cleanup(t.Context())
		must(t, err)
		s.eventually(t, "the run in the log", func() bool { return s.runs() > before })
	}
	before := s.runs()
	out, err := s.Cleanup(t.Context())
	must(t, err)
	var r report
	must(t, json.Unmarshal(out, &r))
	// The line that a run ends with, so that its metrics are in the log too.
	s.eventually(t, "the run in the log", func() bool { return s.runs() > before })
	return r
}

// A person calls the API.
type person struct {
	*stack
	email, token string
}

func (s *stack) person(t *testing.T, email string) *person {
	t.Helper()
	token, err := s.SignIn(t.Context(), client.Identity{Email: email})
	must(t, err)
	return &person{s, email, token}
}

// call makes a call and returns its status and answer.
func (p *person) call(t *testing.T, method, path string, body any) (int, map[string]any) {
	t.Helper()
	var text []byte
	if body != nil {
		var err error
		text, err = json.Marshal(body)
		must(t, err)
	}
	header := map[string]string{"Authorization": "Bearer " + p.token, "Content-Type": "application/json"}
	if path == "/v1/accounts" {
		header["Idempotency-Key"] = "the-account-of-" + strings.ReplaceAll(p.email, "@", "-at-")
	}
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(header)) {
		pairs = append(pairs, name, header[name])
	}
	answer, err := p.Call(t.Context(), method, path, text, pairs...)
	must(t, err)
	var out map[string]any
	if len(answer.Body) > 0 {
		must(t, json.Unmarshal(answer.Body, &out))
	}
	return answer.Status, out
}

// does makes a call that must succeed.
func (p *person) does(t *testing.T, method, path string, body any) map[string]any {
	t.Helper()
	status, out := p.call(t, method, path, body)
	if status >= 300 {
		t.Fatalf("%s %s: %d %v", method, path, status, out)
	}
	return out
}

// invites invites somebody as an admin.
func (p *person) invites(t *testing.T, account, email string) {
	t.Helper()
	p.does(t, http.MethodPost, "/v1/accounts/"+account+"/team", map[string]any{"email": email, "role": "admin"})
}

// emails returns how many emails an address has.
func (s *stack) emails(t *testing.T, to string) (n int) {
	t.Helper()
	all, err := s.Emails(t.Context(), time.Time{})
	must(t, err)
	for _, e := range all {
		if e.To == to {
			n++
		}
	}
	return n
}

// onBus returns the last events of a type on the bus.
func (s *stack) onBus(t *testing.T, kind string) string {
	t.Helper()
	var out bytes.Buffer
	_, err := standins.PrintEvents(filepath.Join(s.Data, "data"), kind, 100, &out)
	must(t, err)
	return out.String()
}
