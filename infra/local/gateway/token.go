package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"

	"agencyhub/infra/local/template"
	"agencyhub/shared/agency"
)

// A tokenChecker stands in for the JWT authorizer: it checks the RSA signature by the
// issuer's published keys, of which the header's kid names one, iss, exp, nbf, iat, aud (or
// client_id where there is no aud), and the route's scopes.
type tokenChecker struct {
	ctx context.Context // configures the client of go-oidc
	now func() time.Time

	mu   sync.Mutex
	keys map[string]oidc.KeySet // by issuer
}

func newTokenChecker(now func() time.Time) *tokenChecker {
	ctx := oidc.ClientContext(context.Background(), &http.Client{Timeout: 5 * time.Second})
	return &tokenChecker{ctx: ctx, now: now, keys: map[string]oidc.KeySet{}}
}

// A tokenError is a refused token.
type tokenError struct {
	status      int // 401 or 403
	scopes      []string
	description string // "" where there was no token
}

// challenge returns the WWW-Authenticate header.
func (e *tokenError) challenge() string {
	if e.description == "" {
		return "Bearer"
	}
	code := "invalid_token"
	if e.status == http.StatusForbidden {
		code = "insufficient_scope"
	}
	return fmt.Sprintf("Bearer scope=%q error=%q error_description=%q", strings.Join(e.scopes, " "), code, e.description)
}

// check returns the token's claims, each as a string.
func (c *tokenChecker) check(ctx context.Context, header string, a *template.Authorizer, scopes []string) (map[string]string, *tokenError) {
	token := header
	if kind, rest, found := strings.Cut(header, " "); found && strings.EqualFold(kind, "bearer") {
		token = strings.TrimSpace(rest)
	}
	if token == "" {
		return nil, &tokenError{status: http.StatusUnauthorized}
	}
	claims, err := c.verify(ctx, token, a)
	if err != nil {
		return nil, &tokenError{status: http.StatusUnauthorized, scopes: scopes, description: err.Error()}
	}
	if len(scopes) > 0 {
		granted := strings.Fields(strings.Trim(agency.ClaimText(claims["scope"]), "[]") + " " + strings.Trim(agency.ClaimText(claims["scp"]), "[]"))
		if !slices.ContainsFunc(scopes, func(s string) bool { return slices.Contains(granted, s) }) {
			return nil, &tokenError{status: http.StatusForbidden, scopes: scopes, description: "none of the route's scopes is granted"}
		}
	}
	out := map[string]string{}
	for name, raw := range claims {
		out[name] = agency.ClaimText(raw)
	}
	return out, nil
}

// verify returns the raw claims, so that a number keeps the digits it was sent with.
func (c *tokenChecker) verify(ctx context.Context, token string, a *template.Authorizer) (map[string]json.RawMessage, error) {
	errSignature := errors.New("the token's signature is invalid")
	if strings.Count(token, ".") != 2 {
		return nil, errors.New("the token cannot be verified: token is malformed: token contains an invalid number of segments")
	}
	signed, err := jose.ParseSigned(token, []jose.SignatureAlgorithm{jose.RS256, jose.RS384, jose.RS512})
	if err != nil {
		if _, unexpected := errors.AsType[*jose.ErrUnexpectedSignatureAlgorithm](err); unexpected {
			return nil, errSignature
		}
		return nil, fmt.Errorf("the token cannot be verified: %w", err)
	}
	if signed.Signatures[0].Protected.KeyID == "" {
		return nil, errors.New("the token names no key")
	}
	keys, err := c.keySet(a.Issuer)
	if err != nil {
		return nil, fmt.Errorf("the token cannot be verified: the issuer cannot be reached: %w", err)
	}
	body, err := keys.VerifySignature(ctx, token)
	if errors.Unwrap(err) != nil { // of the HTTP request
		return nil, fmt.Errorf("the token cannot be verified: the issuer cannot be reached: %w", err)
	}
	if err != nil {
		return nil, errSignature
	}
	var claims map[string]json.RawMessage
	if err := json.Unmarshal(body, &claims); err != nil {
		return nil, errors.New("the token cannot be decoded")
	}
	if agency.ClaimText(claims["iss"]) != a.Issuer {
		return nil, errors.New("the token has another issuer")
	}
	now := float64(c.now().Unix())
	var exp, nbf, iat float64
	if json.Unmarshal(claims["exp"], &exp) != nil || now >= exp {
		return nil, errors.New("the token has expired")
	}
	if raw, ok := claims["nbf"]; ok && (json.Unmarshal(raw, &nbf) != nil || now < nbf) {
		return nil, errors.New("the token is not valid yet")
	}
	if raw, ok := claims["iat"]; ok && (json.Unmarshal(raw, &iat) != nil || now < iat) {
		return nil, errors.New("the token was issued in the future")
	}
	audience := claims["aud"]
	if audience == nil {
		audience = claims["client_id"]
	}
	var list []string
	if json.Unmarshal(audience, &list) != nil {
		list = []string{agency.ClaimText(audience)}
	}
	if !slices.ContainsFunc(list, func(s string) bool { return s != "" && slices.Contains(a.Audience, s) }) {
		return nil, errors.New("the token does not have a valid audience")
	}
	return claims, nil
}

// keySet returns the issuer's keys. The first token makes it: the issuer need not run
// before. Unknown keys are fetched then.
func (c *tokenChecker) keySet(issuer string) (oidc.KeySet, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if keys, ok := c.keys[issuer]; ok {
		return keys, nil
	}
	provider, err := oidc.NewProvider(c.ctx, issuer)
	if err != nil {
		return nil, err
	}
	var discovery struct {
		Keys string `json:"jwks_uri"`
	}
	if err := provider.Claims(&discovery); err != nil {
		return nil, err
	}
	c.keys[issuer] = oidc.NewRemoteKeySet(c.ctx, discovery.Keys)
	return c.keys[issuer], nil
}
