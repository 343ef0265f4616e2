package main

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"agencyhub/infra/e2e/client"
	"agencyhub/infra/local/localtest"
	"agencyhub/infra/local/process"
	"agencyhub/shared/testbed"
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

// startStack starts a stack without schedules on a template.
func startStack(t *testing.T, template string) *client.Stack {
	t.Helper()
	localtest.Check(t, build())
	// The go command caches a result until a file changes that the test has looked at.
	_ = localtest.Must[[]byte](t)(os.ReadFile(template))
	data, out := t.TempDir(), &testbed.Lines{}
	sp := localtest.Must[*process.Spawner](t)(process.NewSpawner(process.NewTerminal(out), t.TempDir()))
	p := localtest.Must[*process.Process](t)(sp.Spawn("runner", os.Environ(), nil, filepath.Join(folder, "local"),
		"run", "-data", data, "-template", template, "-bin", filepath.Join(folder, "bin"),
		"-http", "0", "-ses", "0", "-oidc", "0", "-dynamodb", "0", "-schedules=false", "-roles"))
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
	if len(lines) != 11 {
		t.Errorf("11 checks are expected:\n%s", &out)
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
	fails(t, wrong, map[string]string{"the platform's token": "gives no token", "status": none, "operations": notTaken, "the table": notTaken})

	person := c
	person.token = c.personToken
	// With it no operation is called: a person's own would do something.
	fails(t, person, map[string]string{"status": "is answered 403", "operations": notTaken, "the table": notTaken})

	other := c
	other.issuer = s.SES
	fails(t, other, map[string]string{"the issuer": "without the endpoints", "the platform's token": "not known", "status": none, "operations": notTaken, "the table": notTaken})
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
		"operations": "There is no token that", "the platform's calls": "answers a person's token with 4", "the table": "There is no token that",
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
			"status": "is answered 401", "operations": "There is no token that", "the platform's calls": "the gateway's 403 is expected", "the table": "There is no token that",
		}},
		"one": {"Method: GET, Path: /v1/me}", "Method: GET, Path: /v1/me, Auth: {Authorizer: NONE}}", map[string]string{
			"routes and their guard": "GET /v1/me reaches", "tokens of others": "GET /v1/me reaches", "the table": "GET /v1/me is answered 401",
		}},
		"without its scope": {"Path: /v1/platform/status, Auth: {AuthorizationScopes: [hub/platform]}}", "Path: /v1/platform/status}", map[string]string{
			"the platform's calls": "GET /v1/platform/status answers a person's token",
		}},
		"a function that may not read the table": {"      ManagedPolicyArns: [!Ref UseCasePolicy]\n      Policies:\n        - PolicyName: team\n", "      Policies:\n        - PolicyName: team\n", map[string]string{
			"the table": "GET /v1/accounts/{account}/team is answered 500",
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
		"sign-in": "does not lead to the issuer", "status": "is answered 401", "operations": "There is no token that", "the table": "There is no token that", "the platform's calls": "answers a person's token with 401",
	})
	c.issuer = "http://127.0.0.1:9"
	fails(t, c, map[string]string{
		"the issuer": "is not answered", "sign-in": "does not lead to the issuer",
		"the platform's token": "not known", "status": "There is no token", "operations": "There is no token", "the table": "There is no token", "the platform's calls": "answers a person's token with 401",
	})
}

// What a status means.
func TestStatus(t *testing.T) {
	// well returns a report that is well, with changes by pairs of a part and its value.
	well := func(change ...string) string {
		report := `{"at":"2026-11-23T12:00:00.000Z","version":"v7","failed":0,"backlog":0,"oldestDue":null,"unfinished":0,"oldestUnfinished":null}`
		return strings.NewReplacer(change...).Replace(report)
	}
	const now = "2026-11-23T12:00:00.000Z"
	for _, tt := range []struct{ sweep, want string }{
		{well(), ""},
		{well(now, "2026-11-23T11:57:00.000Z", `"unfinished":0,"oldestUnfinished":null`, `"unfinished":2,"oldestUnfinished":"2026-11-23T11:30:00.000Z"`), ""},
		{well(`"backlog":0,"oldestDue":null`, `"backlog":2,"oldestDue":"2026-11-23T11:50:00.000Z"`), ""},
		{well(now, "2026-11-23T12:01:00.000Z"), ""},
		{well(now, "2026-11-23T11:56:59.000Z"), "has last run 3m1s ago"},
		{well(now, "2026-11-23T12:01:01.000Z"), "1m1s ahead"},
		{well(`"unfinished":0,"oldestUnfinished":null`, `"unfinished":2,"oldestUnfinished":"2026-11-23T11:29:59.000Z"`), "the oldest happened 30m1s ago"},
		{well(`"backlog":0,"oldestDue":null`, `"backlog":2,"oldestDue":"2026-11-23T11:49:59.000Z"`), "the first since 10m1s"},
		{well(`"unfinished":0`, `"unfinished":null`), "could not count"},
		{well(`"backlog":0`, `"backlog":null`), "could not count"},
		{well(`"failed":0`, `"failed":2`), "failed at 2"},
		{well("v7", "v6"), "cleanup is of version v6"},
		{`null`, "has never run"},
	} {
		found, err := statusOf(t, 0, tt.sweep)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) || err == nil && !strings.Contains(found, "version v7") {
			t.Errorf("%s: %q, %v", tt.sweep, found, err)
		}
	}

	// It waits for a whole run after the first look, by the version that answers.
	before, after := well(now, "2026-11-23T11:59:59.000Z"), well(now, "2026-11-23T12:00:01.000Z")
	for name, sweeps := range map[string][]string{
		"the first run":            {"null", "null", after},
		"the run before":           {before, before, after},
		"a run of another version": {before, well(now, "2026-11-23T12:00:01.000Z", "v7", "v6"), after},
		"a run that failed":        {well(`"failed":0`, `"failed":1`), after},
	} {
		if found, err := statusOf(t, time.Minute, sweeps...); err != nil || !strings.Contains(found, "version v7") {
			t.Errorf("%s: %q, %v", name, found, err)
		}
	}
	for report, want := range map[string]string{before: "has not run since", "null": "has never run"} {
		if found, err := statusOf(t, 50*time.Millisecond, report); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %q, %v", report, found, err)
		}
	}
}

// statusOf checks the status of a hub whose reports of cleanup are these, one a call; the
// last stays.
func statusOf(t *testing.T, wait time.Duration, sweeps ...string) (string, error) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"version":"v7","now":"2026-11-23T12:00:00.000Z","sweep":%s}`, sweeps[0])
		sweeps = sweeps[min(1, len(sweeps)-1):]
	}))
	defer server.Close()
	h := &checker{config: config{url: server.URL, token: "token", wait: wait, pause: time.Millisecond}, http: http.DefaultClient}
	return h.checkStatus(t.Context())
}

// What stands in front of the hub can answer with a document of its own.
func TestGuarded(t *testing.T) {
	html, problem := http.Header{"Content-Type": {"text/html"}}, http.Header{"Content-Type": {"application/problem+json"}}
	page := http.Header{"Content-Type": {"text/html"}, "Content-Security-Policy": {policyPart + "; script-src 'self'"}}
	for _, tt := range []struct {
		a    answer
		want string
	}{
		{answer{status: 401, header: http.Header{"Www-Authenticate": {"Bearer"}}}, ""},
		{answer{status: 404, header: page}, "its route is missing"},
		{answer{status: 405, header: page}, "its route is missing"},
		{answer{status: 403, header: html}, "is answered 403"},
		{answer{status: 502, header: html}, "is answered 502"},
		{answer{status: 401, header: problem}, "is not guarded"},
		{answer{status: 429, header: html}, "is answered 429"},
	} {
		err := guarded(operation{"GET", "/v1/me"}, tt.a)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%d %v: %v", tt.a.status, tt.a.header, err)
		}
	}
}

// A call that Lambda turns away is made again, some times.
func TestCallsThatAreTurnedAway(t *testing.T) {
	for busy, want := range map[int]int{0: 200, maxTries - 1: 200, maxTries: 503} {
		var calls atomic.Int32
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if body, err := io.ReadAll(r.Body); string(body) != "{}" || err != nil {
				t.Errorf("%q, %v", body, err)
			}
			if int(calls.Add(1)) <= busy {
				w.WriteHeader([]int{http.StatusServiceUnavailable, http.StatusTooManyRequests}[calls.Load()%2])
			}
		}))
		h := &checker{config: config{url: server.URL}, http: http.DefaultClient}
		a, err := h.callWith(t.Context(), "POST", "/v1/me", "token", "{}")
		server.Close()
		if err != nil || a.status != want || int(calls.Load()) > maxTries {
			t.Errorf("busy for %d calls: %d after %d, %v", busy, a.status, calls.Load(), err)
		}
	}
}

// The platform's secret goes to https alone, and to this machine.
func TestAnIssuerWithoutHTTPS(t *testing.T) {
	document := ""
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, document) }))
	defer server.Close()
	endpoints := map[string]string{"issuer": server.URL, "authorization_endpoint": server.URL + "/a", "token_endpoint": server.URL + "/t", "jwks_uri": server.URL + "/k"}
	for change, want := range map[string]string{"": "", "authorization_endpoint": "not https", "token_endpoint": "not https", "jwks_uri": "not https"} {
		d := maps.Clone(endpoints)
		if change != "" {
			d[change] = "http://issuer.test/x?y"
		}
		document = string(localtest.Must[[]byte](t)(json.Marshal(d)))
		h := &checker{config: config{issuer: server.URL}, http: http.DefaultClient}
		_, err := h.checkIssuer(t.Context())
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) || (h.discovered == nil) != (want != "") {
			t.Errorf("%s: %v, %v", change, err, h.discovered)
		}
	}
	h := &checker{config: config{issuer: "http://issuer.test"}, http: http.DefaultClient}
	if _, err := h.checkIssuer(t.Context()); err == nil || !strings.Contains(err.Error(), "not at an https address") {
		t.Error(err)
	}
}

// A forged token is wrong in its signature alone.
func TestForge(t *testing.T) {
	key := localtest.Must[*rsa.PrivateKey](t)(rsa.GenerateKey(rand.Reader, 2048))
	original := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims{"iss": "i", "aud": "hub", "token_use": "access"})
	original.Header["kid"] = "k1"
	for token, want := range map[string][2]any{localtest.Must[string](t)(original.SignedString(key)): {"k1", "hub"}, "": {nil, "c"}, "opaque": {nil, "c"}} {
		h := &checker{config: config{token: token, clientID: "c"}}
		claims := jwt.MapClaims{}
		forged, _, err := jwt.NewParser().ParseUnverified(localtest.Must[string](t)(h.forge(key)), claims)
		if err != nil || forged.Header["kid"] != want[0] || claims["aud"] != want[1] || claims["exp"] == nil {
			t.Errorf("%q: %v, %v", token, forged, err)
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
