package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	platformScope = "hub/platform"
	platformPath  = "/v1/platform/"
	statusPath    = platformPath + "status"
	callbackPath  = "/signin/callback"

	// maxSweepAge is how old cleanup's last run may be, which comes every minute, and
	// maxSweepLead how far its clock may be ahead. maxEventAge is how old the oldest
	// unfinished event may be, and maxBacklogAge since when the oldest other thing is due:
	// the bounds of the alarms EventsUnfinished and CleanupBehind.
	maxSweepAge   = 3 * time.Minute
	maxSweepLead  = time.Minute
	maxEventAge   = 30 * time.Minute
	maxBacklogAge = 10 * time.Minute
	// sweepPause is between two looks for a run of cleanup.
	sweepPause = 5 * time.Second
	// maxRedirects bounds how often the issuer leads on to its page.
	maxRedirects = 10
)

// discovery is the issuer's description (OpenID Connect Discovery 1.0).
type discovery struct {
	Issuer        string `json:"issuer"`
	Authorization string `json:"authorization_endpoint"`
	Token         string `json:"token_endpoint"`
	Keys          string `json:"jwks_uri"`
}

// issuerURL returns the issuer's URL: the one given, else that in the platform's token;
// "" for neither.
func (h *checker) issuerURL() string {
	if h.issuer != "" {
		return h.issuer
	}
	var claims jwt.RegisteredClaims
	if _, _, err := jwt.NewParser().ParseUnverified(h.token, &claims); err != nil {
		return ""
	}
	return claims.Issuer
}

// checkIssuer checks that the issuer's description and keys can be read.
func (h *checker) checkIssuer(ctx context.Context) (string, error) {
	issuer := h.issuerURL()
	if issuer == "" {
		return "", failed("Set HUB_ISSUER to the stack's output OidcIssuerUrl.", "It is not known who the issuer is.")
	}
	const do = "The stack's OidcIssuer must be the issuer's URL exactly, and the issuer must run."
	if !isSecure(issuer) {
		return "", failed("Set HUB_ISSUER to the stack's output OidcIssuerUrl.", "The issuer %s is not at an https address.", issuer)
	}
	a, err := h.fetch(ctx, http.MethodGet, strings.TrimSuffix(issuer, "/")+"/.well-known/openid-configuration", nil, nil)
	if err != nil {
		return "", err
	}
	var d discovery
	if a.status != http.StatusOK || json.Unmarshal(a.body, &d) != nil || d.Authorization == "" || d.Token == "" || d.Keys == "" {
		return "", failed(do, "The description of %s is answered %d, without the endpoints.", issuer, a.status)
	}
	if d.Issuer != issuer {
		return "", failed(do, "%s calls itself %s.", issuer, d.Issuer)
	}
	for _, endpoint := range []string{d.Authorization, d.Token, d.Keys} {
		if !isSecure(endpoint) {
			return "", failed(do, "The issuer names an endpoint that is not https: %s.", withoutQuery(endpoint))
		}
	}
	keys, err := h.fetch(ctx, http.MethodGet, d.Keys, nil, nil)
	if err != nil {
		return "", err
	}
	if keys.status != http.StatusOK {
		return "", failed(do, "The keys of %s are answered %d.", issuer, keys.status)
	}
	h.discovered = &d
	return issuer, nil
}

// checkSignIn checks that the hub leads to the issuer's authorization endpoint, by code
// with PKCE, and that the issuer takes that.
func (h *checker) checkSignIn(ctx context.Context) (string, error) {
	a, err := h.call(ctx, http.MethodGet, "/signin", "")
	if err != nil {
		return "", err
	}
	to, err := url.Parse(a.header.Get("Location"))
	if a.status < 300 || a.status > 399 || err != nil || to.Host == "" {
		return "", failed("Can the function console reach the issuer? Its log says.", "/signin is answered %d, and does not lead to the issuer.", a.status)
	}
	at, q := withoutQuery(to.String()), to.Query()
	switch {
	case !isSecure(to.String()):
		return "", failed("", "Sign-in leads to %s, not by https.", at)
	case h.discovered != nil && at != withoutQuery(h.discovered.Authorization):
		return "", failed("The stack's OidcIssuer is another issuer.", "Sign-in leads to %s, and the issuer's endpoint is %s.", at, h.discovered.Authorization)
	case q.Get("response_type") != "code" || q.Get("code_challenge_method") != "S256" || q.Get("code_challenge") == "":
		return "", failed("", "Sign-in at %s is not by code with PKCE.", at)
	case q.Get("redirect_uri") != h.url+callbackPath:
		return "", failed("Deploy again with PublicUrl "+h.url+".", "Sign-in leads back to %q.", q.Get("redirect_uri"))
	}
	if err := h.visitIssuer(ctx, to); err != nil {
		return "", err
	}
	return "leads to " + at + " with PKCE", nil
}

// visitIssuer follows the issuer's redirects to its page, as a browser does. It makes no
// sign-in.
func (h *checker) visitIssuer(ctx context.Context, to *url.URL) error {
	const do = "The issuer's client must have the callback {PublicUrl}" + callbackPath + " and the id OidcAudience."
	jar, err := cookiejar.New(nil)
	if err != nil {
		return err
	}
	browser := checker{http: &http.Client{Jar: jar, Timeout: requestTime, Transport: h.http.Transport, CheckRedirect: h.http.CheckRedirect}}
	at := withoutQuery(to.String())
	for range maxRedirects {
		a, err := browser.fetch(ctx, http.MethodGet, to.String(), nil, nil)
		if err != nil {
			return err
		}
		if a.status < 300 || a.status > 399 {
			if a.status >= 400 {
				return failed(do, "The issuer refuses a sign-in at %s (%d).", at, a.status)
			}
			return nil
		}
		next, err := to.Parse(a.header.Get("Location"))
		if err != nil {
			return failed(do, "The issuer leads nowhere from %s.", at)
		}
		if code := next.Query().Get("error"); code != "" || strings.HasSuffix(next.Path, "/error") {
			return failed(do, "The issuer refuses a sign-in at %s (%s).", at, code)
		}
		to = next
	}
	return failed("", "The issuer redirects in a circle from %s.", at)
}

// checkPlatformToken gets a token of the platform, unless one is given.
func (h *checker) checkPlatformToken(ctx context.Context) (string, error) {
	switch {
	case h.token != "":
		return "given in HUB_TOKEN", nil
	case h.clientID == "":
		return "", failed("Set HUB_CLIENT_ID and HUB_CLIENT_SECRET, or HUB_TOKEN. The user pool has such a client if CreatePlatformClient is true.", "There is no client of the platform.")
	case h.discovered == nil:
		return "", failed("", "The issuer's token endpoint is not known.")
	}
	var a answer
	var err error
	// Issuers differ in how they take the secret: in the header, as RFC 6749 has it
	// first, or in the form.
	for _, inForm := range []bool{false, true} {
		form := url.Values{"grant_type": {"client_credentials"}, "scope": {platformScope}}
		if inForm {
			form.Set("client_id", h.clientID)
			form.Set("client_secret", h.clientSecret)
		}
		a, err = h.fetch(ctx, http.MethodPost, h.discovered.Token, func(r *http.Request) {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			if !inForm {
				r.SetBasicAuth(url.QueryEscape(h.clientID), url.QueryEscape(h.clientSecret))
			}
		}, strings.NewReader(form.Encode()))
		if err != nil {
			return "", err
		}
		var given struct {
			Token string `json:"access_token"`
		}
		if a.status == http.StatusOK && json.Unmarshal(a.body, &given) == nil && given.Token != "" {
			h.token = given.Token
			return "given by the issuer", nil
		}
	}
	return "", failed("Are HUB_CLIENT_ID and HUB_CLIENT_SECRET right, and may that client have the scope "+platformScope+"?",
		"The issuer gives no token (%d %s).", a.status, errorCode(a.body))
}

// errorCode returns the error code in an answer of a token endpoint, if it is one.
func errorCode(body []byte) string {
	var refusal struct {
		Error string `json:"error"`
	}
	if json.Unmarshal(body, &refusal) != nil || len(refusal.Error) > 40 {
		return ""
	}
	return refusal.Error
}

// checkScope checks that the platform's calls ask for its scope.
func (h *checker) checkScope(ctx context.Context) (string, error) {
	if h.personToken == "" {
		return "they refuse a person's token, but none is given in HUB_PERSON_TOKEN", errSkipped
	}
	calls := slices.DeleteFunc(slices.Clone(h.operations), func(op operation) bool { return !op.isPlatforms() })
	if len(calls) == 0 {
		return "", failed("", "The API's description does not name them.")
	}
	err := eachOf(calls, func(op operation) error {
		a, err := h.call(ctx, op.method, op.with("smoke"), h.personToken)
		if err == nil && (a.isProblem() || a.status != http.StatusForbidden) {
			err = failed("Its route must have the scope "+platformScope+" in template.yaml. Is HUB_PERSON_TOKEN still valid?",
				"%s answers a person's token with %d, and the gateway's 403 is expected.", op, a.status)
		}
		return err
	})
	if err != nil {
		return "", err
	}
	return "a person's token is refused them", nil
}

// accessPath is the platform's access check.
const accessPath = platformPath + "access"

// checkReads checks that functions read the table: the platform's by an access check of
// an account and a person that do not exist, and a person's by each operation that reads.
func (h *checker) checkReads(ctx context.Context) (string, error) {
	if !h.isPlatform {
		return "", failed("", "There is no token that the platform's calls take.")
	}
	const do = "Look at that function's log: may its role use the table?"
	a, err := h.callWith(ctx, http.MethodPost, accessPath, h.token, `{"account":"`+someID+`","email":"smoke@agencyhub.test"}`)
	switch {
	case err != nil:
		return "", err
	case a.status != http.StatusOK:
		return "", failed(do, "POST %s is answered %d, and 200 is expected.", accessPath, a.status)
	case h.personToken == "":
		return "read by the function platform; no other is checked without HUB_PERSON_TOKEN", nil
	}
	reads := slices.DeleteFunc(slices.Clone(h.operations), func(op operation) bool { return op.method != http.MethodGet || op.isPlatforms() })
	if len(reads) == 0 {
		return "", failed("", "The API's description is not known.")
	}
	err = eachOf(reads, func(op operation) error {
		a, err := h.call(ctx, op.method, op.with(someID), h.personToken)
		// There is nothing at this id, except for what is the person's own.
		isRefused := a.isProblem() && (a.status == http.StatusBadRequest || a.status == http.StatusForbidden || a.status == http.StatusNotFound)
		if err == nil && a.status != http.StatusOK && !isRefused {
			err = failed(do+" Is HUB_PERSON_TOKEN still valid?", "%s is answered %d by a person's token.", op, a.status)
		}
		return err
	})
	if err != nil {
		return "", err
	}
	return "read by the platform's and by a person's calls", nil
}

// status is the answer of statusPath.
type status struct {
	Version string    `json:"version"`
	Now     time.Time `json:"now"`
	Sweep   *struct {
		At               time.Time  `json:"at"`
		Version          string     `json:"version"`
		Failed           int        `json:"failed"`
		Backlog          *int       `json:"backlog"`
		OldestDue        *time.Time `json:"oldestDue"`
		Unfinished       *int       `json:"unfinished"`
		OldestUnfinished *time.Time `json:"oldestUnfinished"`
	} `json:"sweep"`
}

// checkStatus checks that cleanup runs, and that nothing waits for long. It waits until a
// run that has ended after the first look is well: a report from before can be of the
// version before a deployment. Without a time to wait it takes the last report.
func (h *checker) checkStatus(ctx context.Context) (string, error) {
	if h.token == "" {
		return "", failed("", "There is no token of the platform.")
	}
	var since time.Time
	for end := time.Now().Add(h.wait); ; {
		a, err := h.call(ctx, http.MethodGet, statusPath, h.token)
		if err != nil {
			return "", err
		}
		var s status
		if a.status != http.StatusOK || json.Unmarshal(a.body, &s) != nil || s.Now.IsZero() {
			return "", failed("With 401 or 403 the token is not the platform's for this hub; else look at the log of the function platform.",
				"GET %s is answered %d.", statusPath, a.status)
		}
		h.isPlatform = true
		if since.IsZero() && h.wait > 0 {
			since = s.Now
		}
		found, err := s.judge(since)
		if err == nil || !time.Now().Add(h.pause).Before(end) {
			return found, err
		}
		select {
		case <-time.After(h.pause):
		case <-ctx.Done():
			return found, err
		}
	}
}

// judge returns what is wrong with a status. Its report must be of a run that has ended
// after an instant.
func (s status) judge(since time.Time) (string, error) {
	const do = "Is its schedule enabled? Look at the log of the function cleanup."
	if s.Sweep == nil {
		return "", failed(do, "Version %s runs, and cleanup has never run to its end.", s.Version)
	}
	age := s.Now.Sub(s.Sweep.At).Round(time.Second)
	past := func(at *time.Time) time.Duration {
		if at == nil {
			return 0
		}
		return s.Now.Sub(*at).Round(time.Second)
	}
	switch last := s.Sweep; {
	case age > maxSweepAge:
		return "", failed(do, "Version %s runs, and cleanup has last run %s ago.", s.Version, age)
	case age < -maxSweepLead:
		return "", failed("Until then no newer report is kept. The log of the function cleanup says how its clock differs.",
			"Cleanup's last report is %s ahead of the hub's clock.", -age)
	case !last.At.After(since):
		return "", failed(do+" ARGS='-wait 5m' waits longer.", "Version %s runs, and cleanup has not run since this check began.", s.Version)
	case last.Version != s.Version:
		return "", failed("Has the deployment ended? Deploy again.", "Version %s runs, and cleanup is of version %s.", s.Version, last.Version)
	case last.Unfinished == nil || last.Backlog == nil:
		return "", failed("Look at the log of the function cleanup.", "Cleanup could not count what is unfinished or due.")
	case last.Failed > 0:
		return "", failed("Look at the log of the function cleanup.", "Cleanup has failed at %d steps or counts.", last.Failed)
	case past(last.OldestUnfinished) > maxEventAge:
		return "", failed("The logs of the functions notify and publish say why.",
			"%d events are unfinished, and the oldest happened %s ago.", *last.Unfinished, past(last.OldestUnfinished))
	case past(last.OldestDue) > maxBacklogAge:
		return "", failed("Look at the log of the function cleanup.",
			"%d expiries, reminders or the like are due, the first since %s.", *last.Backlog, past(last.OldestDue))
	}
	return fmt.Sprintf("version %s, cleanup ran %s ago, %d events unfinished", s.Version, age, *s.Sweep.Unfinished), nil
}
