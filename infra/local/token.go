package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// problem is what the issuer's page says of a sign-in that it refuses.
var problem = regexp.MustCompile(`role="alert">([^<]+)<`)

// A signIn is what is filled into the issuer's sign-in page.
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
	callback := r.PublicURL + "/signin/callback"
	client := &http.Client{Jar: jar, Timeout: 10 * time.Second, CheckRedirect: func(req *http.Request, via []*http.Request) error {
		if strings.HasPrefix(req.URL.String(), callback) {
			return http.ErrUseLastResponse // the code stands in its address
		}
		if len(via) > 10 {
			return errors.New("the issuer redirects in a circle")
		}
		return nil
	}}
	verifier, state := rand.Text()+rand.Text(), rand.Text()
	challenge := sha256.Sum256([]byte(verifier))
	page, err := do(ctx, client, http.MethodGet, r.OIDC+"/auth?"+url.Values{
		"client_id": {r.ClientID}, "redirect_uri": {callback}, "response_type": {"code"}, "scope": {s.scope}, "state": {state},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])}, "code_challenge_method": {"S256"},
	}.Encode(), nil)
	if err != nil {
		return "", err
	}
	form := url.Values{"email": {s.email}, "subject": {s.subject}}
	if s.unverified {
		form.Set("unverified", "on")
	}
	back, err := do(ctx, client, http.MethodPost, page.at, form)
	if err != nil {
		return "", err
	}
	location, err := url.Parse(back.location)
	if err != nil {
		return "", fmt.Errorf("the issuer sends back to a wrong address: %w", err)
	}
	answer := location.Query()
	if answer.Get("state") != state || answer.Get("code") == "" {
		return "", fmt.Errorf("the issuer refused: %s %s", answer.Get("error"), answer.Get("error_description"))
	}
	res, err := do(ctx, client, http.MethodPost, r.OIDC+"/token", url.Values{
		"grant_type": {"authorization_code"}, "client_id": {r.ClientID}, "redirect_uri": {callback},
		"code": {answer.Get("code")}, "code_verifier": {verifier},
	})
	if err != nil {
		return "", err
	}
	var tokens struct {
		ID string `json:"id_token"`
	}
	if err := json.Unmarshal(res.body, &tokens); err != nil {
		return "", fmt.Errorf("the issuer's answer is not understood: %w", err)
	}
	if tokens.ID == "" {
		return "", errors.New("the issuer's answer holds no id token")
	}
	return tokens.ID, nil
}

// platformToken gets a token as the platform's own software does, by its client
// credentials.
func platformToken(ctx context.Context, r *running) (string, error) {
	res, err := do(ctx, &http.Client{Timeout: 10 * time.Second}, http.MethodPost, r.OIDC+"/token", url.Values{
		"grant_type": {"client_credentials"}, "client_id": {r.Platform}, "client_secret": {r.PlatformSecret}, "scope": {platformScope},
	})
	if err != nil {
		return "", err
	}
	var tokens struct {
		Access string `json:"access_token"`
	}
	if err := json.Unmarshal(res.body, &tokens); err != nil || tokens.Access == "" {
		return "", errors.New("the issuer's answer holds no access token")
	}
	return tokens.Access, nil
}

// A reply is an answer of the issuer's, read whole.
type reply struct {
	at       string // the address that answered, after redirects
	location string // where it sends the browser next
	body     []byte
}

// do makes a request; a form is posted. A status from 400 is an error with what
// the issuer says.
func do(ctx context.Context, client *http.Client, method, address string, form url.Values) (*reply, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	res, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("the issuer cannot be reached: %w", err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	if said := problem.FindSubmatch(body); res.StatusCode >= 400 && said != nil {
		return nil, fmt.Errorf("the issuer says: %s", said[1])
	}
	if res.StatusCode >= 400 {
		return nil, fmt.Errorf("the issuer answered %s: %s", res.Status, body)
	}
	return &reply{at: res.Request.URL.String(), location: res.Header.Get("Location"), body: body}, nil
}
