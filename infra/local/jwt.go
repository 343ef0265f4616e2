package main

import (
	"bytes"
	"context"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// A tokenChecker stands for the HTTP API's JWT authorizer: RSA signature by the
// issuer's published keys, iss, exp, nbf, aud (or client_id where there is no
// aud), and the route's scopes.
type tokenChecker struct {
	client *http.Client
	now    func() time.Time

	mu   sync.Mutex
	keys map[string]keySet // by issuer
}

type keySet struct {
	byID    map[string]*rsa.PublicKey
	fetched time.Time
}

// refetchAfter bounds how often an unknown key id makes the checker ask the issuer again.
const refetchAfter = 5 * time.Second

func newTokenChecker(now func() time.Time) *tokenChecker {
	return &tokenChecker{client: &http.Client{Timeout: 5 * time.Second}, now: now, keys: map[string]keySet{}}
}

// A tokenError is why a token was refused, as told in WWW-Authenticate.
type tokenError struct {
	status      int // 401 or 403
	scopes      []string
	description string // "" where there was no token
}

func (e *tokenError) Error() string { return e.description }

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

// check returns the token's claims, each as text, or a *tokenError.
func (c *tokenChecker) check(ctx context.Context, header string, a *authorizer, scopes []string) (map[string]string, error) {
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
		var granted []string
		for _, name := range []string{"scope", "scp"} {
			granted = append(granted, strings.Fields(strings.Trim(claimText(claims[name]), "[]"))...)
		}
		if !slices.ContainsFunc(scopes, func(s string) bool { return slices.Contains(granted, s) }) {
			return nil, &tokenError{status: http.StatusForbidden, scopes: scopes, description: "none of the route's scopes is granted"}
		}
	}
	out := map[string]string{}
	for name, raw := range claims {
		out[name] = claimText(raw)
	}
	return out, nil
}

func (c *tokenChecker) verify(ctx context.Context, token string, a *authorizer) (map[string]json.RawMessage, error) {
	// The library checks the signature only. The claims are decoded raw, so
	// that a number reaches the function with the digits that it was sent with.
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"RS256", "RS384", "RS512"}), jwt.WithoutClaimsValidation())
	_, err := parser.Parse(token, func(t *jwt.Token) (any, error) {
		id, _ := t.Header["kid"].(string)
		return c.key(ctx, a.issuer, id)
	})
	if err != nil {
		if errors.Is(err, jwt.ErrTokenSignatureInvalid) {
			return nil, errors.New("the token's signature is invalid")
		}
		return nil, fmt.Errorf("the token cannot be verified: %w", err)
	}
	parts := strings.Split(token, ".")
	body, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return nil, errors.New("the token cannot be decoded")
	}
	var claims map[string]json.RawMessage
	if err := json.Unmarshal(body, &claims); err != nil {
		return nil, errors.New("the token cannot be decoded")
	}
	if claimText(claims["iss"]) != a.issuer {
		return nil, errors.New("the token has another issuer")
	}
	now := float64(c.now().Unix())
	var exp, nbf float64
	if json.Unmarshal(claims["exp"], &exp) != nil || now >= exp {
		return nil, errors.New("the token has expired")
	}
	if raw, ok := claims["nbf"]; ok && (json.Unmarshal(raw, &nbf) != nil || now < nbf) {
		return nil, errors.New("the token is not valid yet")
	}
	audience := claims["aud"]
	if audience == nil {
		audience = claims["client_id"]
	}
	var list []string
	if json.Unmarshal(audience, &list) != nil {
		list = []string{claimText(audience)}
	}
	if !slices.ContainsFunc(list, func(s string) bool { return s != "" && slices.Contains(a.audience, s) }) {
		return nil, errors.New("the token does not have a valid audience")
	}
	return claims, nil
}

// key finds the issuer's public key, asking the issuer when it is not known.
func (c *tokenChecker) key(ctx context.Context, issuer, id string) (*rsa.PublicKey, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	set, ok := c.keys[issuer]
	if set.byID[id] == nil && (!ok || c.now().Sub(set.fetched) >= refetchAfter) {
		fresh, err := c.fetch(ctx, issuer)
		if err != nil {
			return nil, err
		}
		set = keySet{byID: fresh, fetched: c.now()}
		c.keys[issuer] = set
	}
	if key := set.byID[id]; key != nil {
		return key, nil
	}
	return nil, errors.New("the issuer has no such key")
}

func (c *tokenChecker) fetch(ctx context.Context, issuer string) (map[string]*rsa.PublicKey, error) {
	var discovery struct {
		URI string `json:"jwks_uri"`
	}
	if err := c.get(ctx, strings.TrimSuffix(issuer, "/")+"/.well-known/openid-configuration", &discovery); err != nil {
		return nil, err
	}
	var set struct {
		Keys []struct{ Kty, Kid, N, E string }
	}
	if err := c.get(ctx, discovery.URI, &set); err != nil {
		return nil, err
	}
	keys := map[string]*rsa.PublicKey{}
	for _, k := range set.Keys {
		if k.Kty != "RSA" {
			continue
		}
		n, err := base64.RawURLEncoding.DecodeString(k.N)
		if err != nil {
			return nil, fmt.Errorf("key %s: %w", k.Kid, err)
		}
		e, err := base64.RawURLEncoding.DecodeString(k.E)
		if err != nil {
			return nil, fmt.Errorf("key %s: %w", k.Kid, err)
		}
		keys[k.Kid] = &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}
	}
	return keys, nil
}

func (c *tokenChecker) get(ctx context.Context, url string, out any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	res, err := c.client.Do(req)
	if err != nil {
		return fmt.Errorf("the issuer cannot be reached: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("the issuer answered %s", res.Status)
	}
	return json.NewDecoder(res.Body).Decode(out)
}

// claimText is a claim as an HTTP API hands it over: text as it is, a list as
// [a b], anything else as its JSON.
func claimText(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) == nil && list != nil {
		words := make([]string, len(list))
		for i, item := range list {
			words[i] = claimText(item)
		}
		return "[" + strings.Join(words, " ") + "]"
	}
	return string(bytes.TrimSpace(raw))
}
