package main

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"go.yaml.in/yaml/v3"
)

// operation is one operation of the API's description.
type operation struct{ method, path string }

func (o operation) String() string { return o.method + " " + o.path }

// with returns the path with a value of every parameter.
func (o operation) with(value string) string {
	segments := strings.Split(o.path, "/")
	for i, s := range segments {
		if strings.HasPrefix(s, "{") {
			segments[i] = value
		}
	}
	return strings.Join(segments, "/")
}

// isPlatforms reports whether only the platform's own software calls the operation.
func (o operation) isPlatforms() bool { return strings.HasPrefix(o.path, platformPath) }

// probes is how many requests are made at once: fewer than the concurrent executions of a
// new AWS account.
const probes = 4

// someID stands for every parameter of a path. The gateway asks for a token before it
// looks at one.
const someID = "acct_00000000000000000000000000"

// checkDescription checks that the API's description is served and names this address,
// and reads the operations in it.
func (h *checker) checkDescription(ctx context.Context) (string, error) {
	a, err := h.call(ctx, http.MethodGet, "/v1/openapi.yaml", "")
	if err != nil {
		return "", err
	}
	var document struct {
		Servers []struct {
			URL string `yaml:"url"`
		} `yaml:"servers"`
		Paths map[string]map[string]yaml.Node `yaml:"paths"`
	}
	if a.status != http.StatusOK || yaml.Unmarshal(a.body, &document) != nil || len(document.Paths) == 0 {
		return "", failed("Its route leads to the function console.", "/v1/openapi.yaml is answered %d without a description.", a.status)
	}
	for path, methods := range document.Paths {
		for method := range methods {
			if method = strings.ToUpper(method); slices.Contains([]string{"GET", "PUT", "POST", "PATCH", "DELETE"}, method) {
				h.operations = append(h.operations, operation{method, path})
			}
		}
	}
	slices.SortFunc(h.operations, func(a, b operation) int { return strings.Compare(a.path+a.method, b.path+b.method) })
	if len(document.Servers) != 1 || document.Servers[0].URL != h.url {
		return "", failed("Deploy again with PublicUrl "+h.url+", or check the hub at its own address: links in emails lead there.",
			"The hub says that its address is %q.", serverOf(document.Servers))
	}
	return fmt.Sprintf("%d operations", len(h.operations)), nil
}

func serverOf(servers []struct {
	URL string `yaml:"url"`
}) string {
	if len(servers) == 0 {
		return ""
	}
	return servers[0].URL
}

// checkRoutes checks that every operation, and an unknown path, asks for a token. What
// does not is a route that is missing, or one without the authorizer.
func (h *checker) checkRoutes(ctx context.Context) (string, error) {
	all := append(slices.Clone(h.operations), operation{"GET", "/v1/there-is-no-such-path"})
	if len(h.operations) == 0 {
		// The description is not served. These are always there.
		all = append(all, operation{"GET", "/v1/me"}, operation{"GET", "/v1/platform/status"})
	}
	if err := eachOf(all, func(op operation) error { return h.checkGuard(ctx, op) }); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d routes ask for a token", len(all)), nil
}

// eachOf checks operations, some at once. Its error is the first one's, and says how
// many others have failed.
func eachOf(all []operation, check func(operation) error) error {
	failures := make([]error, len(all))
	var group sync.WaitGroup
	slots := make(chan struct{}, probes)
	for i, op := range all {
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			failures[i] = check(op)
		})
	}
	group.Wait()
	failures = slices.DeleteFunc(failures, func(err error) bool { return err == nil })
	switch len(failures) {
	case 0:
		return nil
	case 1:
		return failures[0]
	default:
		return failed("", "%v (and %d other routes)", failures[0], len(failures)-1)
	}
}

// checkOperations checks that every operation reaches its function, by the platform's
// token: a person's operations refuse it before they do anything, and the platform's own
// get what is no id, and no body. A route that is missing leads to the function accounts,
// which knows no such path.
func (h *checker) checkOperations(ctx context.Context) (string, error) {
	if !h.isPlatform {
		return "", failed("", "There is no token that the platform's calls take.")
	}
	if len(h.operations) == 0 {
		return "", failed("", "The API's description is not known.")
	}
	err := eachOf(h.operations, func(op operation) error {
		if op.path == statusPath {
			return nil // another check
		}
		value, want := someID, []int{http.StatusUnauthorized, http.StatusForbidden}
		if op.isPlatforms() {
			value, want = "smoke", []int{http.StatusBadRequest}
		}
		a, err := h.call(ctx, op.method, op.with(value), h.token)
		if err == nil && (!a.isProblem() || !slices.Contains(want, a.status)) {
			err = failed("Its route is missing, or leads to another function: compare the API's routes with template.yaml, and deploy again.",
				"%s answers the platform's token with %d, and %d is expected.", op, a.status, want[len(want)-1])
		}
		return err
	})
	if err != nil {
		return "", err
	}
	return "each reaches its function", nil
}

// checkGuard checks that an operation asks for a token.
func (h *checker) checkGuard(ctx context.Context, op operation) error {
	a, err := h.call(ctx, op.method, op.with(someID), "")
	if err != nil {
		return err
	}
	return guarded(op, a)
}

// guarded returns why the answer to a call without a valid token is not the
// authorizer's; nil if it is.
func guarded(op operation, a answer) error {
	switch {
	case a.isPage():
		return failed("API Gateway drops the authorizer and all its routes if it can't read the issuer's description during a deployment. "+
			"Check OidcIssuer, and deploy again.", "%s is answered by a page of the hub: its route is missing.", op)
	case a.isProblem() || a.status < 400:
		return failed("Its route must have the authorizer Oidc in template.yaml. Deploy again.",
			"%s reaches a function without a valid token (%d): its route is not guarded.", op, a.status)
	case a.status == http.StatusTooManyRequests:
		return failed("The limit of requests is used up: try again in a minute.", "%s is answered 429.", op)
	case a.status != http.StatusUnauthorized || a.header.Get("WWW-Authenticate") == "":
		return failed("Look for it in the API's access log. What is not there was answered in front of the hub, by WAF or CloudFront.",
			"%s is answered %d, and 401 with WWW-Authenticate is expected.", op, a.status)
	}
	return nil
}

// checkBadTokens checks that a value that is not a token, and a token that somebody else
// has signed, are refused by the authorizer.
func (h *checker) checkBadTokens(ctx context.Context) (string, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return "", err
	}
	forged, err := h.forge(key)
	if err != nil {
		return "", err
	}
	for _, token := range []string{"no-token", forged} {
		for _, op := range []operation{{"GET", "/v1/me"}, {"GET", statusPath}} {
			a, err := h.call(ctx, op.method, op.path, token)
			if err == nil {
				err = guarded(op, a)
			}
			if err != nil {
				return "", err
			}
		}
	}
	return "refused", nil
}

// forge returns a token that a key of our own signs. It is the platform's token, or a
// person's, in its header and claims, and so wrong in its signature alone; without either
// it is like one.
func (h *checker) forge(key *rsa.PrivateKey) (string, error) {
	now := time.Now()
	claims := jwt.MapClaims{
		"iss": h.issuerURL(), "sub": "smoke", "aud": h.clientID, "client_id": h.clientID, "scope": platformScope, "iat": now.Unix(),
	}
	header := map[string]any{}
	for _, original := range []string{h.token, h.personToken} {
		copied := jwt.MapClaims{}
		if token, _, err := jwt.NewParser().ParseUnverified(original, copied); err == nil {
			claims, header = copied, token.Header
			break
		}
	}
	claims["exp"] = now.Add(time.Hour).Unix()
	forged := jwt.NewWithClaims(jwt.SigningMethodRS256, claims)
	if kid, has := header["kid"]; has {
		forged.Header["kid"] = kid
	}
	return forged.SignedString(key)
}

// checkPages checks that pages are served, with the headers that protect them.
func (h *checker) checkPages(ctx context.Context) (string, error) {
	a, err := h.call(ctx, http.MethodGet, "/", "")
	if err != nil {
		return "", err
	}
	if a.status != http.StatusOK || !a.isHTML() {
		return "", failed("Its route $default leads to the function console: look at that function's log.", "/ is answered %d, not by a page.", a.status)
	}
	for name, part := range map[string]string{
		"Strict-Transport-Security": "max-age=", "Content-Security-Policy": policyPart, "X-Content-Type-Options": "nosniff",
	} {
		if !strings.Contains(a.header.Get(name), part) {
			return "", failed("Does something in front of the hub change its headers?", "/ comes without %s.", name)
		}
	}
	return "served, with HSTS and a content security policy", nil
}
