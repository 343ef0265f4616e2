package client

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// An Identity is who signs in at the issuer, and how.
type Identity struct {
	Email      string
	Subject    string // "" for the address's own
	Unverified bool
	Scopes     []string // nil for openid and email
}

// SignIn signs in on the issuer's page as a browser does, by code and PKCE, and
// returns the id token.
func (s *Stack) SignIn(ctx context.Context, who Identity) (string, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return "", err
	}
	flow := oauth2.Config{
		ClientID: s.ClientID, RedirectURL: s.PublicURL + "/signin/callback", Scopes: who.Scopes,
		Endpoint: oauth2.Endpoint{AuthURL: s.OIDC + "/auth", TokenURL: s.OIDC + "/token", AuthStyle: oauth2.AuthStyleInParams},
	}
	if flow.Scopes == nil {
		flow.Scopes = []string{"openid", "email"}
	}
	browser := &http.Client{Jar: jar, Timeout: 20 * time.Second, CheckRedirect: func(next *http.Request, before []*http.Request) error {
		switch {
		case strings.HasPrefix(next.URL.String(), flow.RedirectURL):
			return http.ErrUseLastResponse // nothing needs to listen there: the code is in the URL
		case len(before) > 10:
			return errors.New("the issuer redirects in a circle")
		default:
			return nil
		}
	}}
	state, verifier := rand.Text(), oauth2.GenerateVerifier()
	page, _, err := visit(ctx, browser, http.MethodGet, flow.AuthCodeURL(state, oauth2.S256ChallengeOption(verifier)), nil)
	if err != nil {
		return "", err
	}
	fields := url.Values{"email": {who.Email}}
	if who.Subject != "" {
		fields.Set("subject", who.Subject)
	}
	if who.Unverified {
		fields.Set("unverified", "on")
	}
	_, back, err := visit(ctx, browser, http.MethodPost, page.String(), fields)
	if err != nil {
		return "", err
	}
	if back == nil || back.Query().Get("state") != state {
		return "", fmt.Errorf("signing in as %s: the issuer did not send back to where the sign-in began", who.Email)
	}
	ctx = context.WithValue(ctx, oauth2.HTTPClient, browser)
	tokens, err := flow.Exchange(ctx, back.Query().Get("code"), oauth2.VerifierOption(verifier))
	if err != nil {
		return "", fmt.Errorf("signing in as %s: %w", who.Email, err)
	}
	token, ok := tokens.Extra("id_token").(string)
	if !ok {
		return "", fmt.Errorf("signing in as %s: the issuer gave no id token", who.Email)
	}
	return token, nil
}

// SignInToPages signs in on the pages as a browser does, and returns the session's
// cookie as name=value.
func (s *Stack) SignInToPages(ctx context.Context, email string) (string, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return "", err
	}
	browser := &http.Client{Jar: jar, Timeout: 20 * time.Second, CheckRedirect: func(next *http.Request, before []*http.Request) error {
		if len(before) > 10 {
			return errors.New("the sign-in redirects in a circle")
		}
		if next.URL.Path == "/robots.txt" {
			return http.ErrUseLastResponse // where the sign-in leads to
		}
		return nil
	}}
	page, _, err := visit(ctx, browser, http.MethodGet, s.PublicURL+"/signin?to=/robots.txt", nil)
	if err != nil {
		return "", err
	}
	if _, _, err := visit(ctx, browser, http.MethodPost, page.String(), url.Values{"email": {email}}); err != nil {
		return "", err
	}
	site, err := url.Parse(s.PublicURL)
	if err != nil {
		return "", err
	}
	for _, c := range jar.Cookies(site) {
		if c.Name == "hub-session" {
			return c.Name + "=" + c.Value, nil
		}
	}
	return "", fmt.Errorf("signing in as %s: the pages set no session", email)
}

// PlatformToken returns a token of the platform's own software, by its client
// credentials.
func (s *Stack) PlatformToken(ctx context.Context) (string, error) {
	flow := clientcredentials.Config{
		ClientID: s.Platform, ClientSecret: s.PlatformSecret, TokenURL: s.OIDC + "/token", Scopes: []string{"hub/platform"}, AuthStyle: oauth2.AuthStyleInParams,
	}
	tokens, err := flow.Token(ctx)
	if err != nil {
		return "", fmt.Errorf("the platform gets no token: %w", err)
	}
	return tokens.AccessToken, nil
}

// visit opens a page, or posts a form. It returns the final URL, and the one to
// which the answer there redirects, or nil.
func visit(ctx context.Context, browser *http.Client, method, address string, form url.Values) (at, on *url.URL, err error) {
	req, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, nil, err
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	res, err := browser.Do(req)
	if err != nil {
		return nil, nil, fmt.Errorf("the issuer cannot be reached: %w", err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, nil, err
	}
	if res.StatusCode >= http.StatusBadRequest {
		return nil, nil, fmt.Errorf("the issuer answered %s: %.200s", res.Status, body)
	}
	if on, err = res.Location(); errors.Is(err, http.ErrNoLocation) {
		err = nil
	}
	return res.Request.URL, on, err
}
