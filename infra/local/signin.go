package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"agencyhub/infra/local/standins"
)

// problem matches the error on the issuer's page.
var problem = regexp.MustCompile(`role="alert">([^<]+)<`)

// A signIn holds the fields of the issuer's sign-in page.
type signIn struct {
	email      string
	subject    string
	unverified bool
	scope      string
}

// token signs in as a browser does, by code and PKCE, and returns the id token.
func (s signIn) token(ctx context.Context, r *running) (string, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return "", err
	}
	config := oauth2.Config{
		ClientID: r.ClientID, RedirectURL: r.PublicURL + "/signin/callback", Scopes: strings.Fields(s.scope), Endpoint: endpoint(r),
	}
	client := &http.Client{Jar: jar, Timeout: 10 * time.Second, CheckRedirect: func(req *http.Request, via []*http.Request) error {
		if strings.HasPrefix(req.URL.String(), config.RedirectURL) {
			return http.ErrUseLastResponse // its address has the code
		}
		if len(via) > 10 {
			return errors.New("the issuer redirects in a circle")
		}
		return nil
	}}
	verifier, state := oauth2.GenerateVerifier(), rand.Text()
	page, _, err := do(ctx, client, http.MethodGet, config.AuthCodeURL(state, oauth2.S256ChallengeOption(verifier)), nil)
	if err != nil {
		return "", err
	}
	form := url.Values{"email": {s.email}, "subject": {s.subject}}
	if s.unverified {
		form.Set("unverified", "on")
	}
	_, back, err := do(ctx, client, http.MethodPost, page, form)
	if err != nil {
		return "", err
	}
	answer := back.Query()
	if answer.Get("state") != state || answer.Get("code") == "" {
		return "", fmt.Errorf("the issuer refused: %s %s", answer.Get("error"), answer.Get("error_description"))
	}
	tokens, err := config.Exchange(ctx, answer.Get("code"), oauth2.VerifierOption(verifier))
	if err != nil {
		return "", err
	}
	id, ok := tokens.Extra("id_token").(string)
	if !ok {
		return "", errors.New("the issuer's answer holds no id token")
	}
	return id, nil
}

func endpoint(r *running) oauth2.Endpoint {
	return oauth2.Endpoint{AuthURL: r.OIDC + "/auth", TokenURL: r.OIDC + "/token", AuthStyle: oauth2.AuthStyleInParams}
}

// platformToken gets a token as the platform's own software does, by its client
// credentials.
func platformToken(ctx context.Context, r *running) (string, error) {
	config := clientcredentials.Config{
		ClientID: r.Platform, ClientSecret: r.PlatformSecret, Scopes: []string{standins.PlatformScope},
		TokenURL: endpoint(r).TokenURL, AuthStyle: oauth2.AuthStyleInParams,
	}
	token, err := config.Token(ctx)
	if err != nil {
		return "", err
	}
	return token.AccessToken, nil
}

// do sends a request, with a form as its body unless that is nil. It returns its address
// after redirects, and where the response redirects to. A status from 400 is an error
// with the issuer's own message.
func do(ctx context.Context, client *http.Client, method, address string, form url.Values) (at string, to *url.URL, err error) {
	req, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(form.Encode()))
	if err != nil {
		return "", nil, err
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	res, err := client.Do(req)
	if err != nil {
		return "", nil, fmt.Errorf("the issuer cannot be reached: %w", err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return "", nil, err
	}
	if said := problem.FindSubmatch(body); res.StatusCode >= 400 && said != nil {
		return "", nil, fmt.Errorf("the issuer says: %s", said[1])
	}
	if res.StatusCode >= 400 {
		return "", nil, fmt.Errorf("the issuer answered %s: %s", res.Status, body)
	}
	to, err = url.Parse(res.Header.Get("Location"))
	return res.Request.URL.String(), to, err
}
