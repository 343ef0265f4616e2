package main

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/oauth2"
)

const clientID = "console"

var issuerKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

// testIssuer is an OIDC issuer with a real key: discovery, keys, code with PKCE, refresh
// and revocation. The test says who signs in.
type testIssuer struct {
	*httptest.Server
	t   testing.TB
	now func() time.Time

	mu sync.Mutex
	// codes and refreshes are the codes and refresh tokens that can be used.
	codes     map[string]grantedCode
	refreshes map[string]map[string]any
	revoked   []string
	// extraClaims are added to the next tokens, or replace others.
	extraClaims map[string]any
	// calls counts those of the token endpoint.
	calls int
	// withholdsRefresh reports whether no refresh token is given.
	withholdsRefresh bool
	// refreshPadding makes refresh tokens longer by so many bytes.
	refreshPadding int
}

type grantedCode struct {
	challenge string
	claims    map[string]any
}

func newTestIssuer(t testing.TB, now func() time.Time) *testIssuer {
	t.Helper()
	i := &testIssuer{t: t, now: now, codes: map[string]grantedCode{}, refreshes: map[string]map[string]any{}}
	mux := http.NewServeMux()
	i.Server = httptest.NewServer(mux)
	t.Cleanup(i.Close)
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]any{
			"issuer": i.URL, "authorization_endpoint": i.URL + "/auth", "token_endpoint": i.URL + "/token", "jwks_uri": i.URL + "/keys",
			"revocation_endpoint": i.URL + "/revoke", "end_session_endpoint": i.URL + "/end",
			"id_token_signing_alg_values_supported": []string{"RS256"}, "scopes_supported": []string{"openid", "email", "offline_access"},
		})
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		key := issuerKey().PublicKey
		writeJSON(w, http.StatusOK, map[string]any{"keys": []any{map[string]any{
			"kty": "RSA", "kid": "1", "alg": "RS256", "use": "sig",
			"n": base64.RawURLEncoding.EncodeToString(key.N.Bytes()), "e": base64.RawURLEncoding.EncodeToString(big.NewInt(int64(key.E)).Bytes()),
		}}})
	})
	mux.HandleFunc("POST /token", i.serveToken)
	mux.HandleFunc("POST /revoke", func(_ http.ResponseWriter, r *http.Request) {
		i.mu.Lock()
		defer i.mu.Unlock()
		i.revoked = append(i.revoked, r.FormValue("token"))
		delete(i.refreshes, r.FormValue("token"))
	})
	return i
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

// claims returns those of a person's id token, valid for an hour.
func (i *testIssuer) claims(email string) map[string]any {
	claims := map[string]any{
		"iss": i.URL, "aud": clientID, "sub": "sub-" + email, "email": email, "email_verified": true,
		"iat": i.now().Unix(), "exp": i.now().Add(time.Hour).Unix(),
	}
	maps.Copy(claims, i.extraClaims)
	return claims
}

// token signs claims.
func (i *testIssuer) token(claims map[string]any) string {
	body, err := json.Marshal(claims)
	must(i.t, err)
	signed := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"RS256","kid":"1"}`)) + "." + base64.RawURLEncoding.EncodeToString(body)
	sum := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(rand.Reader, issuerKey(), crypto.SHA256, sum[:])
	must(i.t, err)
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// signIn does what the issuer's page does when a person signs in there. It returns the
// address that leads back.
func (i *testIssuer) signIn(at, email string) *url.URL {
	i.t.Helper()
	u, err := url.Parse(at)
	must(i.t, err)
	q := u.Query()
	if q.Get("code_challenge_method") != "S256" || q.Get("client_id") != clientID || q.Get("response_type") != "code" {
		i.t.Fatalf("a sign-in begins with %s", u.RawQuery)
	}
	claims := i.claims(email)
	if _, other := i.extraClaims["nonce"]; !other {
		claims["nonce"] = q.Get("nonce")
	}
	code := rand.Text()
	i.mu.Lock()
	i.codes[code] = grantedCode{challenge: q.Get("code_challenge"), claims: claims}
	i.mu.Unlock()
	back, err := url.Parse(q.Get("redirect_uri") + "?" + url.Values{"code": {code}, "state": {q.Get("state")}}.Encode())
	must(i.t, err)
	return back
}

// refreshToken returns a refresh token of Cleo's.
func (i *testIssuer) refreshToken() string {
	refresh := rand.Text()
	i.mu.Lock()
	defer i.mu.Unlock()
	i.refreshes[refresh] = map[string]any{"email": cleoAt}
	return refresh
}

func (i *testIssuer) serveToken(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.calls++
	var claims map[string]any
	switch r.FormValue("grant_type") {
	case "authorization_code":
		granted, ok := i.codes[r.FormValue("code")]
		delete(i.codes, r.FormValue("code"))
		if !ok || oauth2.S256ChallengeFromVerifier(r.FormValue("code_verifier")) != granted.challenge {
			writeJSON(w, http.StatusBadRequest, map[string]any{"error": "invalid_grant"})
			return
		}
		claims = granted.claims
	case "refresh_token":
		of, ok := i.refreshes[r.FormValue("refresh_token")]
		delete(i.refreshes, r.FormValue("refresh_token"))
		if !ok {
			writeJSON(w, http.StatusBadRequest, map[string]any{"error": "invalid_grant"})
			return
		}
		claims = i.claims(of["email"].(string))
	}
	refresh := ""
	if !i.withholdsRefresh {
		refresh = rand.Text() + strings.Repeat("x", i.refreshPadding)
		i.refreshes[refresh] = map[string]any{"email": claims["email"]}
	}
	writeJSON(w, http.StatusOK, map[string]any{
		"access_token": "unused", "token_type": "Bearer", "expires_in": 3600, "refresh_token": refresh, "id_token": i.token(claims),
	})
}
