package main

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"agencyhub/infra/e2e/client"
	"agencyhub/infra/local/localtest"
	"agencyhub/infra/local/process"
)

// folder holds the runner and the functions' binaries, for all tests.
var folder string

func TestMain(m *testing.M) {
	code := 1
	var err error
	if folder, err = os.MkdirTemp("", "agencyhub-smoke-*"); err == nil {
		code = m.Run()
		err = os.RemoveAll(folder)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// build builds the runner and the functions on first use, these as the runner does.
var build = sync.OnceValue(func() error {
	bin := filepath.Join(folder, "bin")
	for _, args := range [][]string{
		{"build", "-o", filepath.Join(folder, "local"), "./infra/local"},
		{"build", "-buildvcs=false", "-trimpath", "-tags", "lambda.norpc", "-ldflags", "-s -w", "-o", bin + string(filepath.Separator), "./functions/..."},
	} {
		if err := os.MkdirAll(bin, 0o755); err != nil {
			return err
		}
		cmd := exec.Command("go", args...)
		cmd.Dir, cmd.Env = root, append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
	}
	return nil
})

const root = "../.."

// output collects what a process prints.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// startStack starts a stack without schedules on a template.
func startStack(t *testing.T, template string) *client.Stack {
	t.Helper()
	localtest.Check(t, build())
	// The go command caches a result until a file changes that the test has looked at.
	_ = localtest.Must[[]byte](t)(os.ReadFile(template))
	data, out := t.TempDir(), &output{}
	sp := localtest.Must[*process.Spawner](t)(process.NewSpawner(process.NewTerminal(out), t.TempDir()))
	p := localtest.Must[*process.Process](t)(sp.Spawn("runner", os.Environ(), nil, filepath.Join(folder, "local"),
		"run", "-data", data, "-template", template, "-bin", filepath.Join(folder, "bin"),
		"-http", "0", "-ses", "0", "-oidc", "0", "-dynamodb", "0", "-schedules=false"))
	t.Cleanup(func() {
		localtest.Stop(p)
		if t.Failed() {
			t.Logf("the runner printed:\n%s", out)
		}
	})
	for deadline := time.Now().Add(3 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if s, err := client.Find(data); err == nil && s.PID == p.PID() {
			s.Data = data
			return s
		}
		select {
		case <-p.Exited:
			t.Fatalf("the runner ended: %v", p.Err)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatal("the stack is not up")
		}
	}
}

// changed writes the product's template with changes, in a folder whose functions are
// those that are built already.
func changed(t *testing.T, change func(string) string) string {
	t.Helper()
	template := string(localtest.Must[[]byte](t)(os.ReadFile(filepath.Join(root, "template.yaml"))))
	after := change(template)
	if after == template {
		t.Fatal("nothing is changed in the template")
	}
	dir := t.TempDir()
	localtest.Check(t, os.MkdirAll(filepath.Join(dir, "functions", "none"), 0o755))
	for name, content := range map[string]string{
		"template.yaml": after, "go.mod": "module changed\n", "functions/none/main.go": "package main\n\nfunc main() {}\n",
	} {
		localtest.Check(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644))
	}
	return filepath.Join(dir, "template.yaml")
}

func noEnv(string) string { return "" }

// smoke makes the checks of a stack and returns the lines, by the check's name.
func smoke(t *testing.T, c config) (good bool, lines map[string]string) {
	t.Helper()
	var out bytes.Buffer
	good = run(t.Context(), c, &out)
	lines = map[string]string{}
	for line := range strings.Lines(out.String()) {
		result, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		name, text, _ := strings.Cut(strings.TrimSpace(rest), ": ")
		lines[name] = result + ": " + text
	}
	for _, secret := range []string{c.clientSecret, c.token, c.personToken} {
		if secret != "" && strings.Contains(out.String(), secret) {
			t.Errorf("the output holds a secret:\n%s", &out)
		}
	}
	if len(lines) != 10 {
		t.Errorf("10 checks are expected:\n%s", &out)
	}
	return good, lines
}

// fails checks that the checks with these names fail, each saying that, and no other.
func fails(t *testing.T, c config, want map[string]string) {
	t.Helper()
	good, lines := smoke(t, c)
	if good != (len(want) == 0) {
		t.Errorf("all is well: %t", good)
	}
	for name, line := range lines {
		part, expected := want[name]
		if has := strings.HasPrefix(line, "failed: "); has != expected || !strings.Contains(line, part) {
			t.Errorf("%s: %s; failed with %q is expected: %t", name, line, part, expected)
		}
	}
}

// A whole stack passes once cleanup has run. Under another address than its own it does
// not, nor with a client or a token that is not the platform's.
func TestAWholeStack(t *testing.T) {
	s := startStack(t, filepath.Join(root, "template.yaml"))
	c := localtest.Must[config](t)(configure(t.Context(), "", s.Data, noEnv))
	if c.url != s.PublicURL || c.personToken == "" {
		t.Fatalf("%+v", c)
	}
	fails(t, c, map[string]string{"status": "cleanup has never run"})
	_ = localtest.Must[[]byte](t)(s.Cleanup(t.Context()))
	fails(t, c, nil)

	token := localtest.Must[string](t)(s.PlatformToken(t.Context()))
	byToken := localtest.Must[config](t)(configure(t.Context(), s.PublicURL+"/", t.TempDir(), func(name string) string {
		return map[string]string{"HUB_TOKEN": token}[name]
	}))
	good, lines := smoke(t, byToken)
	if !good || !strings.HasPrefix(lines["the platform's calls"], "skipped: ") || lines["the issuer"] != "ok: "+s.OIDC {
		t.Errorf("with a token alone: %v", lines)
	}

	elsewhere := c
	elsewhere.url = strings.Replace(s.PublicURL, "localhost", "127.0.0.1", 1)
	fails(t, elsewhere, map[string]string{"the API's description": "its address is", "sign-in": "leads back to"})

	wrong := c
	wrong.clientSecret = "wrong"
	none, notTaken := "There is no token of the platform.", "There is no token that"
	fails(t, wrong, map[string]string{"the platform's token": "gives no token", "status": none, "operations": notTaken})

	person := c
	person.token = c.personToken
	// With it no operation is called: a person's own would do something.
	fails(t, person, map[string]string{"status": "is answered 403", "operations": notTaken})

	other := c
	other.issuer = s.SES
	fails(t, other, map[string]string{"the issuer": "without the endpoints", "the platform's token": "not known", "status": none, "operations": notTaken})
}

// API Gateway drops guarded routes if it can't read the issuer's description.
func TestDroppedRoutes(t *testing.T) {
	route := regexp.MustCompile(`(?m)^ +\w+: \{Type: HttpApi, .*\n`)
	limit := regexp.MustCompile(`(?m)^ +'(GET|POST) /v1/(accounts|platform)/.*access': \{Throttling.*\n`)
	events := regexp.MustCompile(`(?m)^ +Events:\n((?: +#.*\n)*)(\n)`)
	s := startStack(t, changed(t, func(template string) string {
		template = route.ReplaceAllStringFunc(template, func(line string) string {
			if strings.Contains(line, "Authorizer: NONE") {
				return line
			}
			return ""
		})
		return events.ReplaceAllString(limit.ReplaceAllString(template, ""), "$2")
	}))
	_ = localtest.Must[[]byte](t)(s.Cleanup(t.Context()))
	missing := "its route is missing"
	fails(t, localtest.Must[config](t)(configure(t.Context(), "", s.Data, noEnv)), map[string]string{
		"routes and their guard": missing, "tokens of others": missing, "status": "is answered 404",
		"operations": "There is no token that", "the platform's calls": "answers a person's token with 4",
	})
}

// A route without the authorizer reaches its function, which refuses the call itself.
// One that is missing reaches another.
func TestChangedRoutes(t *testing.T) {
	for name, tt := range map[string]struct {
		from, to string
		want     map[string]string
	}{
		"all": {"        DefaultAuthorizer: Oidc\n", "", map[string]string{
			"routes and their guard": "is not guarded", "tokens of others": "is not guarded",
			"status": "is answered 401", "operations": "There is no token that", "the platform's calls": "the gateway's 403 is expected",
		}},
		"one": {"Method: GET, Path: /v1/me}", "Method: GET, Path: /v1/me, Auth: {Authorizer: NONE}}", map[string]string{
			"routes and their guard": "GET /v1/me reaches", "tokens of others": "GET /v1/me reaches",
		}},
		"without its scope": {"Path: /v1/platform/status, Auth: {AuthorizationScopes: [hub/platform]}}", "Path: /v1/platform/status}", map[string]string{
			"the platform's calls": "GET /v1/platform/status answers a person's token",
		}},
		// What is missing falls to the function of unknown paths, which is guarded.
		"one is missing": {"        ListRequests: {Type: HttpApi, Properties: {ApiId: !Ref Api, Method: GET, Path: /v1/requests}}\n", "", map[string]string{
			"operations": "GET /v1/requests answers the platform's token with 40",
		}},
		"one of the platform's is missing": {"        Owner: {Type: HttpApi, Properties: {ApiId: !Ref Api, Method: POST, Path: '/v1/platform/accounts/{account}/owner', Auth: {AuthorizationScopes: [hub/platform]}}}\n", "", map[string]string{
			"operations": "owner answers the platform's token with 40", "the platform's calls": "owner answers a person's token with 40",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := startStack(t, changed(t, func(template string) string {
				if name == "all" {
					template = strings.ReplaceAll(template, ", Auth: {AuthorizationScopes: [hub/platform]}", "")
				}
				return strings.Replace(template, tt.from, tt.to, 1)
			}))
			_ = localtest.Must[[]byte](t)(s.Cleanup(t.Context()))
			fails(t, localtest.Must[config](t)(configure(t.Context(), "", s.Data, noEnv)), tt.want)
		})
	}
}

// A hub whose issuer is not there signs nobody in and takes no token.
func TestAnIssuerThatIsNotThere(t *testing.T) {
	s := startStack(t, changed(t, func(template string) string {
		return strings.ReplaceAll(template, "- !Ref OidcIssuer\n", "- http://127.0.0.1:9\n")
	}))
	_ = localtest.Must[[]byte](t)(s.Cleanup(t.Context()))
	c := localtest.Must[config](t)(configure(t.Context(), "", s.Data, noEnv))
	fails(t, c, map[string]string{
		"sign-in": "does not lead to the issuer", "status": "is answered 401", "operations": "There is no token that", "the platform's calls": "answers a person's token with 401",
	})
	c.issuer = "http://127.0.0.1:9"
	fails(t, c, map[string]string{
		"the issuer": "is not answered", "sign-in": "does not lead to the issuer",
		"the platform's token": "not known", "status": "There is no token", "operations": "There is no token", "the platform's calls": "answers a person's token with 401",
	})
}

// What a status means.
func TestStatus(t *testing.T) {
	for _, tt := range []struct{ sweep, want string }{
		{`{"at":"2026-11-23T12:00:00.000Z","unfinished":0,"oldestUnfinished":null}`, ""},
		{`{"at":"2026-11-23T11:57:00.000Z","unfinished":2,"oldestUnfinished":"2026-11-23T11:30:00.000Z"}`, ""},
		{`{"at":"2026-11-23T11:56:59.000Z","unfinished":0,"oldestUnfinished":null}`, "has last run 3m1s ago"},
		{`{"at":"2026-11-23T12:00:00.000Z","unfinished":2,"oldestUnfinished":"2026-11-23T11:29:59.000Z"}`, "the oldest happened 30m1s ago"},
		{`null`, "has never run"},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, `{"version":"v7","now":"2026-11-23T12:00:00.000Z","sweep":%s}`, tt.sweep)
		}))
		h := &checker{config: config{url: server.URL, token: "token"}, http: http.DefaultClient}
		found, err := h.checkStatus(t.Context())
		server.Close()
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) || err == nil && !strings.Contains(found, "version v7") {
			t.Errorf("%s: %q, %v", tt.sweep, found, err)
		}
	}
}

func TestConfigure(t *testing.T) {
	for address, want := range map[string]string{
		"":                           "no stack runs",
		"http://hub.example.com":     "https://",
		"hub.example.com":            "a scheme and a host",
		"https://hub.example.com/v1": "a scheme and a host",
		"https://hub.example.com/":   "",
		"http://127.0.0.1:8080":      "",
	} {
		c, err := configure(t.Context(), address, t.TempDir(), noEnv)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) || strings.HasSuffix(c.url, "/") {
			t.Errorf("%q: %+v, %v", address, c, err)
		}
	}
	half := func(name string) string { return map[string]string{"HUB_CLIENT_ID": "x"}[name] }
	if _, err := configure(t.Context(), "https://hub.example.com", t.TempDir(), half); err == nil {
		t.Error("a client without its secret is taken")
	}
}
