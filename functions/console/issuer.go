package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
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

// issuer is the deployment's OIDC issuer, to which the console is a public
// client: authorization code with PKCE (RFC 7636), no secret.
type issuer struct {
	url, clientID, publicURL string
	client                   *http.Client
	now                      func() time.Time

	mu    sync.Mutex
	found *provider
}

// provider is what the issuer has told of itself.
type provider struct {
	oauth2   oauth2.Config
	verifier *oidc.IDTokenVerifier
	// revocation and endSession are its addresses for these; "" for none.
	revocation, endSession string
}

// issuerTime bounds one call of the issuer.
const issuerTime = 4 * time.Second

func newIssuer(env settings.Environment, now func() time.Time) *issuer {
	return &issuer{
		url: env.OIDCIssuer, clientID: env.OIDCClientID, publicURL: env.PublicURL, now: now,
		client: &http.Client{Timeout: issuerTime},
	}
}

// with makes calls of the issuer go through our client.
func (i *issuer) with(ctx context.Context) context.Context { return oidc.ClientContext(ctx, i.client) }

// warm learns the issuer's addresses and keys while Lambda counts the start.
// What fails here is tried again by the first visitor.
func (i *issuer) warm(ctx context.Context) {
	p, err := i.provider(ctx)
	if err != nil {
		slog.WarnContext(ctx, "The issuer can't be reached yet.", "error", err.Error())
		return
	}
	// A token that is none makes the verifier look for the keys.
	_, _ = p.verifier.Verify(i.with(ctx), unknownToken) // it is meant to be refused
}

// unknownToken is of a key that no issuer has.
const unknownToken = "eyJhbGciOiJSUzI1NiIsImtpZCI6Im5vbmUifQ.e30.AA" //nolint:gosec // nobody's token

// provider asks the issuer for its addresses, once. It is not asked before it is
// needed, so that a page which needs no sign-in stands while the issuer is down.
func (i *issuer) provider(ctx context.Context) (*provider, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.found != nil {
		return i.found, nil
	}
	found, err := oidc.NewProvider(i.with(ctx), i.url)
	if err != nil {
		return nil, fmt.Errorf("the issuer: %w", err)
	}
	var more struct {
		Scopes     []string `json:"scopes_supported"`
		Revocation string   `json:"revocation_endpoint"`
		EndSession string   `json:"end_session_endpoint"`
	}
	if err := found.Claims(&more); err != nil {
		return nil, fmt.Errorf("the issuer's description: %w", err)
	}
	scopes := []string{oidc.ScopeOpenID, "email"}
	// Cognito gives refresh tokens without, and refuses a scope it does not know.
	if slices.Contains(more.Scopes, oidc.ScopeOfflineAccess) {
		scopes = append(scopes, oidc.ScopeOfflineAccess)
	}
	endpoint := found.Endpoint()
	endpoint.AuthStyle = oauth2.AuthStyleInParams
	i.found = &provider{
		oauth2: oauth2.Config{
			ClientID: i.clientID, Endpoint: endpoint, RedirectURL: i.publicURL + "/signin/callback", Scopes: scopes,
		},
		verifier:   found.Verifier(&oidc.Config{ClientID: i.clientID, Now: i.now}),
		revocation: more.Revocation, endSession: more.EndSession,
	}
	return i.found, nil
}

// attempt is one sign-in that is under way. It is kept in a cookie of its own, so
// that two tabs do not get into each other's way.
type attempt struct {
	State    string `json:"s"`
	Verifier string `json:"v"`
	Nonce    string `json:"n"`
	// To is where the person was going.
	To string `json:"t"`
}

func newAttempt(to string) attempt {
	return attempt{State: rand.Text(), Verifier: oauth2.GenerateVerifier(), Nonce: rand.Text(), To: to}
}

// begin is the issuer's address at which a sign-in begins. With another the
// issuer asks who it is even if it knows somebody.
func (i *issuer) begin(ctx context.Context, a attempt, another bool) (string, error) {
	p, err := i.provider(ctx)
	if err != nil {
		return "", err
	}
	options := []oauth2.AuthCodeOption{oauth2.S256ChallengeOption(a.Verifier), oidc.Nonce(a.Nonce)}
	if another {
		options = append(options, oauth2.SetAuthURLParam("prompt", "login"))
	}
	return p.oauth2.AuthCodeURL(a.State, options...), nil
}

// tokens are what a session is made of.
type tokens struct {
	id, refresh string
	actor       agency.Actor
}

// finish turns the code that the issuer gave into tokens.
func (i *issuer) finish(ctx context.Context, a attempt, code string) (tokens, error) {
	p, err := i.provider(ctx)
	if err != nil {
		return tokens{}, err
	}
	given, err := p.oauth2.Exchange(i.with(ctx), code, oauth2.VerifierOption(a.Verifier))
	if err != nil {
		return tokens{}, safely(err)
	}
	return i.read(ctx, given, a.Nonce)
}

// refresh gets new tokens for a session whose id token has run out.
func (i *issuer) refresh(ctx context.Context, refresh string) (tokens, error) {
	p, err := i.provider(ctx)
	if err != nil {
		return tokens{}, err
	}
	given, err := p.oauth2.TokenSource(i.with(ctx), &oauth2.Token{RefreshToken: refresh}).Token()
	if err != nil {
		return tokens{}, safely(err)
	}
	return i.read(ctx, given, "")
}

// read checks the id token among what the issuer gave. nonce is "" where none
// was sent.
func (i *issuer) read(ctx context.Context, given *oauth2.Token, nonce string) (tokens, error) {
	id, ok := given.Extra("id_token").(string)
	if !ok {
		return tokens{}, errors.New("the issuer gave no id token")
	}
	actor, got, err := i.verify(ctx, id)
	if err != nil {
		return tokens{}, err
	}
	if nonce != "" && got != nonce {
		return tokens{}, errors.New("the id token is of another sign-in")
	}
	return tokens{id: id, refresh: given.RefreshToken, actor: actor}, nil
}

// errUnverified is a sign-in whose address nobody has verified.
var errUnverified = &agency.Error{
	Code: agency.Unauthenticated, Message: "Your email address is not verified yet. Verify it where you sign in, then sign in again.",
}

// verify answers whom an id token names, and its nonce. Errors: errUnverified,
// and what is wrong with the token.
func (i *issuer) verify(ctx context.Context, id string) (agency.Actor, string, error) {
	p, err := i.provider(ctx)
	if err != nil {
		return agency.Actor{}, "", err
	}
	token, err := p.verifier.Verify(i.with(ctx), id)
	if err != nil {
		return agency.Actor{}, "", err
	}
	var claims struct {
		Email    string          `json:"email"`
		Verified json.RawMessage `json:"email_verified"`
	}
	if err := token.Claims(&claims); err != nil {
		return agency.Actor{}, "", fmt.Errorf("the id token's claims: %w", err)
	}
	// Some issuers write the text "true".
	if claims.Email == "" || strings.Trim(string(claims.Verified), `"`) != "true" {
		return agency.Actor{}, "", errUnverified
	}
	return agency.NewActor(claims.Email, token.Issuer, token.Subject), token.Nonce, nil
}

// revoke makes a refresh token worthless (RFC 7009), where the issuer can.
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
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("the issuer answers a revocation with %d", res.StatusCode)
	}
	return nil
}

// leave is the issuer's address at which the person ends their session there
// too; "" where it has none. No token goes into it, since tokens hold addresses.
func (i *issuer) leave(ctx context.Context) (string, error) {
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
	q.Set("post_logout_redirect_uri", i.publicURL+"/")
	q.Set("logout_uri", i.publicURL+"/") // Cognito's name for it
	at.RawQuery = q.Encode()
	return at.String(), nil
}

// safely is an error of the issuer's without the body of its answer, which may
// hold a token.
func safely(err error) error {
	if refused, ok := errors.AsType[*oauth2.RetrieveError](err); ok {
		status := 0
		if refused.Response != nil {
			status = refused.Response.StatusCode
		}
		return fmt.Errorf("the issuer refuses: %d %s", status, refused.ErrorCode)
	}
	return err
}
