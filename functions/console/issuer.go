package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"agencyhub/shared/agency"
	"agencyhub/shared/settings"
)

// issuer is the deployment's OIDC issuer. The console is a public client of it:
// authorization code with PKCE (RFC 7636), no secret.
type issuer struct {
	url, clientID, publicURL string
	client                   *http.Client
	now                      func() time.Time

	mu         sync.Mutex
	discovered *provider
}

// provider is what discovery says about the issuer.
type provider struct {
	oauth2   oauth2.Config
	verifier *oidc.IDTokenVerifier
	// revocation and endSession are endpoints; "" for none.
	revocation, endSession string
}

const (
	// issuerTime bounds one call to the issuer.
	issuerTime = 4 * time.Second
	// exchangeTime bounds the issuer's part of a sign-in: discovery, the code and the keys.
	exchangeTime = 8 * time.Second
)

func newIssuer(env settings.Environment, now func() time.Time) *issuer {
	return &issuer{
		url: env.OIDCIssuer, clientID: env.OIDCClientID, publicURL: env.PublicURL, now: now,
		client: &http.Client{Timeout: issuerTime},
	}
}

// clientContext makes calls to the issuer use our HTTP client, with its timeout.
func (i *issuer) clientContext(ctx context.Context) context.Context {
	return oidc.ClientContext(ctx, i.client)
}

// warm fetches the issuer's endpoints and keys during Lambda's init. If that fails, the
// first visit fetches them.
func (i *issuer) warm(ctx context.Context) {
	p, err := i.provider(ctx)
	if err != nil {
		slog.WarnContext(ctx, "The issuer can't be reached yet.", "error", err.Error())
		return
	}
	// A token with an unknown key makes the verifier fetch the keys. It is meant to fail.
	_, _ = p.verifier.Verify(i.clientContext(ctx), unknownToken)
}

// unknownToken names a key that no issuer has.
const unknownToken = "eyJhbGciOiJSUzI1NiIsImtpZCI6Im5vbmUifQ.e30.AA" //nolint:gosec // nobody's token

// provider returns the issuer's endpoints, by discovery at the first need. So pages that
// need no sign-in work while the issuer is down.
func (i *issuer) provider(ctx context.Context) (*provider, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.discovered != nil {
		return i.discovered, nil
	}
	found, err := oidc.NewProvider(i.clientContext(ctx), i.url)
	if err != nil {
		return nil, fmt.Errorf("the issuer: %w", err)
	}
	var more struct {
		Scopes     []string `json:"scopes_supported"`
		Keys       string   `json:"jwks_uri"`
		Signatures []string `json:"id_token_signing_alg_values_supported"`
		Revocation string   `json:"revocation_endpoint"`
		EndSession string   `json:"end_session_endpoint"`
	}
	if err := found.Claims(&more); err != nil {
		return nil, fmt.Errorf("the issuer's description: %w", err)
	}
	scopes := []string{oidc.ScopeOpenID, "email"}
	// Cognito gives refresh tokens without it, and refuses unknown scopes.
	if slices.Contains(more.Scopes, oidc.ScopeOfflineAccess) {
		scopes = append(scopes, oidc.ScopeOfflineAccess)
	}
	endpoint := found.Endpoint()
	endpoint.AuthStyle = oauth2.AuthStyleInParams
	i.discovered = &provider{
		oauth2: oauth2.Config{
			ClientID: i.clientID, Endpoint: endpoint, RedirectURL: i.publicURL + "/signin/callback", Scopes: scopes,
		},
		verifier: oidc.NewVerifier(i.url, newRemoteKeys(ctx, i.client, more.Keys), &oidc.Config{
			ClientID: i.clientID, Now: i.now,
			SupportedSigningAlgs: slices.DeleteFunc(more.Signatures, func(name string) bool { return !slices.Contains(signatures, name) }),
		}),
		revocation: more.Revocation, endSession: more.EndSession,
	}
	return i.discovered, nil
}

// signatures are the algorithms of an id token that we verify, where the issuer has them.
var signatures = []string{
	oidc.RS256, oidc.RS384, oidc.RS512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.EdDSA,
}

// remoteKeys are the issuer's keys. The verifier drops the cause of an error, so they
// note in the context of withKeysError that the keys could not be fetched, or lack the
// token's: an issuer may sign with a new key before it shows that.
type remoteKeys struct {
	oidc.KeySet
	shown *shownKeys
}

// newRemoteKeys returns the keys at an address, fetched by an HTTP client.
func newRemoteKeys(ctx context.Context, client *http.Client, address string) remoteKeys {
	shown := &shownKeys{RoundTripper: client.Transport}
	if shown.RoundTripper == nil {
		shown.RoundTripper = http.DefaultTransport
	}
	client = &http.Client{Timeout: client.Timeout, Transport: shown}
	return remoteKeys{oidc.NewRemoteKeySet(oidc.ClientContext(ctx, client), address), shown}
}

// shownKeys makes the HTTP calls for the issuer's keys, and notes the ids of those that
// the last answer has.
type shownKeys struct {
	http.RoundTripper
	mu  sync.Mutex
	ids []string
}

// RoundTrip implements http.RoundTripper.
func (k *shownKeys) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := k.RoundTripper.RoundTrip(r)
	if err != nil || res.StatusCode != http.StatusOK {
		return res, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	res.Body = io.NopCloser(bytes.NewReader(body))
	var set struct {
		Keys []struct {
			ID string `json:"kid"`
		} `json:"keys"`
	}
	if json.Unmarshal(body, &set) != nil {
		return res, nil // the key set refuses it too
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.ids = nil
	for _, key := range set.Keys {
		k.ids = append(k.ids, key.ID)
	}
	return res, nil
}

// has reports whether there is a key with the id that a token names. A token that names
// none is tried with every key.
func (k *shownKeys) has(jwt string) bool {
	header, _, _ := strings.Cut(jwt, ".")
	text, err := base64.RawURLEncoding.DecodeString(header)
	var named struct {
		ID string `json:"kid"`
	}
	if err != nil || json.Unmarshal(text, &named) != nil || named.ID == "" {
		return true
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Contains(k.ids, named.ID)
}

type keysErrorKey struct{}

// withKeysError returns a context in which remoteKeys set err.
func withKeysError(ctx context.Context, err *error) context.Context {
	return context.WithValue(ctx, keysErrorKey{}, err)
}

// VerifySignature implements oidc.KeySet.
func (k remoteKeys) VerifySignature(ctx context.Context, jwt string) ([]byte, error) {
	payload, err := k.KeySet.VerifySignature(ctx, jwt)
	// oidc.RemoteKeySet wraps the error of a fetch, and has none to wrap for a signature
	// that is wrong.
	cause := errors.Unwrap(err)
	if err != nil && cause == nil && !k.shown.has(jwt) {
		cause = errors.New("the key of the id token is not among them")
	}
	if cause != nil {
		if at, ok := ctx.Value(keysErrorKey{}).(*error); ok {
			*at = fmt.Errorf("the issuer's keys: %w", cause)
		}
	}
	return payload, err
}

// signInAttempt is one sign-in in progress. Each has a cookie of its own, so that two
// tabs can sign in side by side.
type signInAttempt struct {
	State    string `json:"s"`
	Verifier string `json:"v"`
	Nonce    string `json:"n"`
	// To is the page to lead to afterwards.
	To string `json:"t"`
	// Another reports whether the issuer is to ask who the person is.
	Another bool `json:"a,omitempty"`
}

func newSignInAttempt(to string, another bool) signInAttempt {
	return signInAttempt{State: rand.Text(), Verifier: oauth2.GenerateVerifier(), Nonce: rand.Text(), To: to, Another: another}
}

// authURL returns the issuer's address for a sign-in. With asks the issuer asks who the
// person is, even if it has a session (prompt=login of OpenID Connect Core, 3.1.2.1).
func (i *issuer) authURL(ctx context.Context, a signInAttempt, asks bool) (string, error) {
	p, err := i.provider(ctx)
	if err != nil {
		return "", err
	}
	options := []oauth2.AuthCodeOption{oauth2.S256ChallengeOption(a.Verifier), oidc.Nonce(a.Nonce)}
	if asks {
		options = append(options, oauth2.SetAuthURLParam("prompt", "login"))
	}
	return p.oauth2.AuthCodeURL(a.State, options...), nil
}

// tokens are what the issuer gives for a sign-in or a refresh token: who the person is,
// until when that holds, and the next refresh token, "" for none.
type tokens struct {
	actor   agency.Actor
	expires time.Time
	refresh string
}

// exchange returns the tokens for an authorization code, within exchangeTime. Errors:
// refusedError, agency.ErrToken, and a failure of the issuer, which may pass.
func (i *issuer) exchange(ctx context.Context, a signInAttempt, code string) (tokens, error) {
	ctx, cancel := context.WithTimeout(ctx, exchangeTime)
	defer cancel()
	p, err := i.provider(ctx)
	if err != nil {
		return tokens{}, err
	}
	given, err := p.oauth2.Exchange(i.clientContext(ctx), code, oauth2.VerifierOption(a.Verifier))
	if err != nil {
		return tokens{}, answerError(err)
	}
	return i.read(ctx, given, a.Nonce)
}

// refusedError is a refusal of the issuer's, or an id token that is not valid. Another
// attempt would end the same: the person has to sign in.
type refusedError struct {
	reason string
	cause  error
}

func (e *refusedError) Error() string { return e.reason }

func (e *refusedError) Unwrap() error { return e.cause }

// isRefusal reports whether an error of the issuer is a refusedError.
func isRefusal(err error) bool {
	_, ok := errors.AsType[*refusedError](err)
	return ok
}

// answerError returns the error of a call of the token endpoint: a refusedError for an
// OAuth error code (RFC 6749, 5.2), but for those of a server that is busy or fails. It
// is without the response's body, which may contain a token.
func answerError(err error) error {
	answer, ok := errors.AsType[*oauth2.RetrieveError](err)
	if !ok {
		return err
	}
	status := 0
	if answer.Response != nil {
		status = answer.Response.StatusCode
	}
	reason := fmt.Sprintf("the issuer refuses: %d %s", status, loggableCode(answer.ErrorCode))
	switch {
	case answer.ErrorCode == "", answer.ErrorCode == "temporarily_unavailable", answer.ErrorCode == "server_error",
		status == http.StatusTooManyRequests, status >= http.StatusInternalServerError:
		return errors.New(reason)
	default:
		return &refusedError{reason: reason}
	}
}

// refresh returns new tokens for a refresh token, within renewalTime. Errors:
// refusedError, and a failure of the issuer, which may pass. With an error after the
// issuer's answer it returns the new refresh token too.
func (i *issuer) refresh(ctx context.Context, refresh string) (tokens, error) {
	ctx, cancel := context.WithTimeout(ctx, renewalTime)
	defer cancel()
	p, err := i.provider(ctx)
	if err != nil {
		return tokens{}, err
	}
	given, err := p.oauth2.TokenSource(i.clientContext(ctx), &oauth2.Token{RefreshToken: refresh}).Token()
	if err != nil {
		return tokens{}, answerError(err)
	}
	t, err := i.read(ctx, given, "")
	t.refresh = given.RefreshToken
	return t, err
}

// read verifies the id token in the issuer's response. nonce is "" where none was sent.
// Errors: as of verify.
func (i *issuer) read(ctx context.Context, given *oauth2.Token, nonce string) (tokens, error) {
	id, ok := given.Extra("id_token").(string)
	if !ok {
		return tokens{}, &refusedError{reason: "the issuer gave no id token"}
	}
	actor, token, err := i.verify(ctx, id)
	if err != nil {
		return tokens{}, err
	}
	if nonce != "" && token.Nonce != nonce {
		return tokens{}, &refusedError{reason: "the id token is of another sign-in"}
	}
	return tokens{actor: actor, expires: token.Expiry, refresh: given.RefreshToken}, nil
}

// verify returns the person that an id token names, and the token. Errors: refusedError,
// with the cause agency.ErrToken for a token that is genuine, and a failed fetch of the
// issuer's keys or one without the token's key, which may pass.
func (i *issuer) verify(ctx context.Context, id string) (agency.Actor, *oidc.IDToken, error) {
	p, err := i.provider(ctx)
	if err != nil {
		return agency.Actor{}, nil, err
	}
	var keysErr error
	token, err := p.verifier.Verify(withKeysError(i.clientContext(ctx), &keysErr), id)
	if err != nil && keysErr != nil {
		return agency.Actor{}, nil, keysErr
	}
	if err != nil {
		return agency.Actor{}, nil, &refusedError{reason: err.Error(), cause: err}
	}
	var raw map[string]json.RawMessage
	if err := token.Claims(&raw); err != nil {
		return agency.Actor{}, nil, &refusedError{reason: "the id token's claims: " + err.Error(), cause: err}
	}
	claims := agency.Claims{}
	for name, value := range raw {
		claims[name] = agency.ClaimText(value)
	}
	actor, err := claims.Actor()
	if err != nil {
		return agency.Actor{}, nil, &refusedError{reason: err.Error(), cause: err}
	}
	return actor, token, nil
}

// revoke revokes a refresh token (RFC 7009), if the issuer supports that. Errors:
// refusedError, and a failure of the issuer, which may pass.
func (i *issuer) revoke(ctx context.Context, refresh string) error {
	p, err := i.provider(ctx)
	if err != nil || p.revocation == "" {
		return err
	}
	fields := url.Values{"token": {refresh}, "token_type_hint": {"refresh_token"}, "client_id": {i.clientID}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.revocation, strings.NewReader(fields.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := i.client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	switch {
	case res.StatusCode == http.StatusOK:
		return nil
	case res.StatusCode >= http.StatusInternalServerError:
		return fmt.Errorf("the issuer answers a revocation with %d", res.StatusCode)
	default:
		return &refusedError{reason: fmt.Sprintf("the issuer refuses a revocation: %d", res.StatusCode)}
	}
}

// endSessionURL returns where to sign out of the issuer (OpenID Connect RP-Initiated
// Logout), which leads back to /signout; "" for nowhere. It contains no
// id token, since those contain email addresses.
func (i *issuer) endSessionURL(ctx context.Context) (string, error) {
	p, err := i.provider(ctx)
	if err != nil || p.endSession == "" {
		return "", err
	}
	at, err := url.Parse(p.endSession)
	if err != nil {
		return "", err
	}
	q := at.Query()
	q.Set("client_id", i.clientID)
	q.Set("post_logout_redirect_uri", i.publicURL+"/signout")
	q.Set("logout_uri", i.publicURL+"/signout") // Cognito's name for it
	at.RawQuery = q.Encode()
	return at.String(), nil
}
