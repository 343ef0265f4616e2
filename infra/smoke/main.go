// Command smoke checks a deployed hub from outside: its routes are there and guarded,
// its pages are served, sign-in leads to the issuer, the platform gets a token, and
// cleanup runs. It changes nothing in the hub: its calls are reads, or are refused. It
// prints one line a check, and exits with 1 if any
// has failed. infra/README.md says when to run it.
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"agencyhub/infra/e2e/client"
)

const usage = `usage: smoke [flags] URL

It checks the hub at URL, such as https://hub.example.com; without one, that of the
stack on this machine, which needs nothing else. From the environment it takes

  HUB_ISSUER          the issuer of the tokens (the output OidcIssuerUrl)
  HUB_CLIENT_ID, HUB_CLIENT_SECRET
                      the platform's client, by which it gets a token; or
  HUB_TOKEN           a token of the platform. The issuer is read in it
  HUB_PERSON_TOKEN    a person's token, to see that the platform's calls refuse it, and
                      that the functions of a person's calls read the table; without
                      one neither is checked
`

// The bounds of time: of one request, of all checks, and until the report of a whole run
// of cleanup, which comes each minute and takes 50 seconds at most.
const (
	requestTime = 15 * time.Second
	checksTime  = 3 * time.Minute
	sweepTime   = 2 * time.Minute
)

func main() {
	flags := flag.NewFlagSet("smoke", flag.ExitOnError)
	wait := flags.Duration("wait", sweepTime, "how long to wait for a run of cleanup; 0 takes its last report")
	data := flags.String("data", ".local", "data folder of a stack on this machine")
	flags.Usage = func() {
		fmt.Fprint(os.Stderr, usage)
		flags.PrintDefaults()
	}
	_ = flags.Parse(os.Args[1:]) // it exits on an error
	if flags.NArg() > 1 {
		flags.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, checksTime+*wait)
	defer cancel()
	c, err := configure(ctx, flags.Arg(0), *data, os.Getenv)
	if err != nil {
		fmt.Fprintln(os.Stderr, "smoke:", err)
		os.Exit(2)
	}
	c.wait, c.pause = *wait, sweepPause
	if !run(ctx, c, os.Stdout) {
		os.Exit(1)
	}
}

// config is what is known of the hub before the checks.
type config struct {
	// url is where the hub is reached, without a slash at the end.
	url string
	// issuer is the URL of the issuer; "" if it is not known.
	issuer string
	// The platform's client or its token, and a person's token; "" for none.
	clientID, clientSecret, token, personToken string
	// wait is how long to wait for a run of cleanup, and pause the time between two looks.
	wait, pause time.Duration
}

// configure reads the configuration. A stack on this machine says by itself what the
// environment does not.
func configure(ctx context.Context, address, data string, env func(string) string) (config, error) {
	c := config{
		url: strings.TrimRight(address, "/"), issuer: env("HUB_ISSUER"), clientID: env("HUB_CLIENT_ID"), clientSecret: env("HUB_CLIENT_SECRET"),
		token: env("HUB_TOKEN"), personToken: env("HUB_PERSON_TOKEN"),
	}
	// stack is nil where none runs on this machine.
	stack, noStack := client.Find(data)
	if c.url == "" {
		if noStack != nil {
			return c, fmt.Errorf("%w, or say where the hub is: smoke https://hub.example.com (URL= with make)", noStack)
		}
		c.url = stack.PublicURL
	}
	u, err := url.Parse(c.url)
	switch {
	case err != nil || u.Host == "" || u.Path != "" || u.RawQuery != "":
		return c, errors.New("the URL must be a scheme and a host, such as https://hub.example.com")
	case !isSecure(c.url):
		return c, errors.New("the URL must begin with https://; http:// is for localhost only")
	case (c.clientID == "") != (c.clientSecret == ""):
		return c, errors.New("HUB_CLIENT_ID and HUB_CLIENT_SECRET go together")
	}
	if stack == nil || stack.PublicURL != c.url || c.issuer+c.clientID+c.token != "" {
		return c, nil
	}
	c.issuer, c.clientID, c.clientSecret = stack.OIDC, stack.Platform, stack.PlatformSecret
	if c.personToken == "" {
		// Without one, the check is left out and says so.
		c.personToken, _ = stack.SignIn(ctx, client.Identity{Email: "smoke@agencyhub.test"})
	}
	return c, nil
}

// isSecure reports whether an address is https, or of this machine.
func isSecure(address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Host != "" && (u.Scheme == "https" || u.Scheme == "http" && isLocal(u.Hostname()))
}

func isLocal(host string) bool { return host == "localhost" || host == "127.0.0.1" || host == "::1" }

// problem is why a check has failed: what is wrong, and what to do about it.
type problem struct{ what, do string }

// Error returns what is wrong and what to do.
func (p problem) Error() string {
	if p.do == "" {
		return p.what
	}
	return p.what + " " + p.do
}

func failed(do, format string, args ...any) error {
	return problem{what: fmt.Sprintf(format, args...), do: do}
}

// errSkipped is a check that there is nothing to make with.
var errSkipped = errors.New("not checked")

// checker makes the checks of a hub. It has what earlier ones have found.
type checker struct {
	config
	http       *http.Client
	operations []operation
	discovered *discovery
	// busyPause is the time before the second try of a call; it grows with each.
	busyPause time.Duration
	// isPlatform is true once the token was taken as the platform's. No other may be
	// used where a person's would do something.
	isPlatform bool
}

// run makes the checks and prints a line of each. It returns false if any has failed.
func run(ctx context.Context, c config, out io.Writer) bool {
	h := &checker{config: c, busyPause: time.Second, http: &http.Client{
		Timeout: requestTime,
		Transport: &http.Transport{
			MaxIdleConnsPerHost: probes, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}, Proxy: http.ProxyFromEnvironment,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	good := true
	for _, check := range []struct {
		name string
		do   func(context.Context) (found string, err error)
	}{
		{"the API's description", h.checkDescription},
		{"routes and their guard", h.checkRoutes},
		{"pages", h.checkPages},
		{"the issuer", h.checkIssuer},
		{"sign-in", h.checkSignIn},
		{"the platform's token", h.checkPlatformToken},
		{"tokens of others", h.checkBadTokens},
		{"status", h.checkStatus},
		{"operations", h.checkOperations},
		{"the platform's calls", h.checkScope},
		{"the table", h.checkReads},
	} {
		found, err := check.do(ctx)
		switch {
		case errors.Is(err, errSkipped):
			fmt.Fprintf(out, "skipped  %s: %s\n", check.name, found)
		case err != nil:
			good = false
			fmt.Fprintf(out, "failed   %s: %s\n", check.name, err)
		default:
			fmt.Fprintf(out, "ok       %s: %s\n", check.name, found)
		}
	}
	return good
}

// maxBody bounds how much of an answer is read.
const maxBody = 4 << 20

// answer is an HTTP response, read to its end.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// isProblem reports whether the answer is a refusal of a function of the hub, and not
// one of the gateway.
func (a answer) isProblem() bool {
	return strings.HasPrefix(a.header.Get("Content-Type"), "application/problem+json")
}

// isHTML reports whether the answer is a document for people.
func (a answer) isHTML() bool { return strings.HasPrefix(a.header.Get("Content-Type"), "text/html") }

// isPage reports whether the answer is a page of the hub, and not one of WAF or
// CloudFront in front of it: it has the hub's content security policy.
func (a answer) isPage() bool {
	return a.isHTML() && strings.Contains(a.header.Get("Content-Security-Policy"), policyPart)
}

// policyPart begins the content security policy of the hub's pages.
const policyPart = "default-src 'none'"

// maxTries bounds how often a call is made that is turned away: with 503 when Lambda's
// concurrent executions are used up, of which a new AWS account has ten, and with 429 when
// the limit of requests is.
const maxTries = 4

// call makes a request of the hub. Its error names the path and no token.
func (h *checker) call(ctx context.Context, method, path, token string) (answer, error) {
	return h.callWith(ctx, method, path, token, "")
}

// callWith makes a request with a body of JSON, "" for none.
func (h *checker) callWith(ctx context.Context, method, path, token, body string) (answer, error) {
	for try := 1; ; try++ {
		a, err := h.fetch(ctx, method, h.url+path, func(r *http.Request) {
			if token != "" {
				r.Header.Set("Authorization", "Bearer "+token)
			}
			if body != "" {
				r.Header.Set("Content-Type", "application/json")
			}
		}, strings.NewReader(body))
		if err != nil || a.status != http.StatusServiceUnavailable && a.status != http.StatusTooManyRequests || try == maxTries {
			return a, err
		}
		select {
		case <-time.After(time.Duration(try) * h.busyPause):
		case <-ctx.Done():
			return a, nil
		}
	}
}

// fetch makes a request. change completes it.
func (h *checker) fetch(ctx context.Context, method, address string, change func(*http.Request), body io.Reader) (answer, error) {
	r, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		return answer{}, err
	}
	if change != nil {
		change(r)
	}
	res, err := h.http.Do(r)
	if err != nil {
		return answer{}, failed("Is the address right, and reachable from here?", "%s %s is not answered (%s).", method, withoutQuery(address), reason(err))
	}
	defer res.Body.Close()
	content, err := io.ReadAll(io.LimitReader(res.Body, maxBody))
	if err != nil {
		return answer{}, failed("", "The answer to %s %s is cut off (%s).", method, withoutQuery(address), reason(err))
	}
	return answer{res.StatusCode, res.Header, content}, nil
}

// reason returns why a request has failed, without its URL.
func reason(err error) string {
	if inner, ok := errors.AsType[*url.Error](err); ok {
		return inner.Err.Error()
	}
	return err.Error()
}

// withoutQuery returns an address for a line of the output.
func withoutQuery(address string) string {
	address, _, _ = strings.Cut(address, "?")
	return address
}
