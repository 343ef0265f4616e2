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
	refreshes map[string]*refreshToken
	revoked   []string
	// extraClaims are added to the next tokens, or replace others.
	extraClaims map[string]any
	// calls counts those of the token endpoint.
	calls int
	// reuses counts refresh tokens that came again, each of which ended its grant.
	reuses int
	// withholdsRefresh reports whether no refresh token is given.
	withholdsRefresh bool
	// beforeToken, if not nil, runs before a call of the token endpoint. It fails with the
	// status that it returns, but for 0.
	beforeToken func() int
	// loses is a status in place of the answer of the token endpoint; 0 for the answer.
	loses int
	// failsKeys makes the keys unavailable, and failsDiscovery the description.
	failsKeys, failsDiscovery bool
	// refusal is an OAuth error code in place of the tokens, with refusalStatus; "" for none.
	refusal       string
	refusalStatus int
	// kid is the id of the key that tokens name; "1" is the only key that is shown.
	kid string
	// signsWrongly makes signatures that no key has made.
	signsWrongly bool
	// sharesGrants gives all sign-ins of a person one grant, as issuers do whose grants are
	// of their own session.
	sharesGrants bool
	grants       map[string]*grant
	// revokeStatus is the status of a revocation; 0 for 200.
	revokeStatus int
	// keepsSessions reports whether there is no end_session_endpoint.
	keepsSessions bool
}

// refreshToken is a refresh token, which can be used once.
type refreshToken struct {
	grant *grant
	used  bool
}

// grant is what a person granted when they signed in.
type grant struct {
	email string
	ended bool
}

type grantedCode struct {
	challenge string
	claims    map[string]any
}

func newTestIssuer(t testing.TB, now func() time.Time) *testIssuer {
	t.Helper()
	i := &testIssuer{t: t, now: now, kid: "1", codes: map[string]grantedCode{}, refreshes: map[string]*refreshToken{}, grants: map[string]*grant{}}
	mux := http.NewServeMux()
	i.Server = httptest.NewServer(mux)
	t.Cleanup(i.Close)
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		if i.failsDiscovery {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		description := map[string]any{
			"issuer": i.URL, "authorization_endpoint": i.URL + "/auth", "token_endpoint": i.URL + "/token", "jwks_uri": i.URL + "/keys",
			"revocation_endpoint": i.URL + "/revoke", "end_session_endpoint": i.URL + "/end",
			"id_token_signing_alg_values_supported": []string{"RS256"}, "scopes_supported": []string{"openid", "email", "offline_access"},
		}
		if i.keepsSessions {
			delete(description, "end_session_endpoint")
		}
		writeJSON(w, http.StatusOK, description)
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		if i.failsKeys {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		key := issuerKey().PublicKey
		writeJSON(w, http.StatusOK, map[string]any{"keys": []any{map[string]any{
			"kty": "RSA", "kid": "1", "alg": "RS256", "use": "sig",
			"n": base64.RawURLEncoding.EncodeToString(key.N.Bytes()), "e": base64.RawURLEncoding.EncodeToString(big.NewInt(int64(key.E)).Bytes()),
		}}})
	})
	mux.HandleFunc("POST /token", i.serveToken)
	mux.HandleFunc("POST /revoke", func(w http.ResponseWriter, r *http.Request) {
		if i.revokeStatus != 0 {
			writeJSON(w, i.revokeStatus, map[string]any{"error": "unsupported_token_type"})
			return
		}
		i.mu.Lock()
		defer i.mu.Unlock()
		i.revoked = append(i.revoked, r.FormValue("token"))
		if of := i.refreshes[r.FormValue("token")]; of != nil {
			of.grant.ended = true
		}
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
	signed := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"RS256","kid":"`+i.kid+`"}`)) + "." + base64.RawURLEncoding.EncodeToString(body)
	sum := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(rand.Reader, issuerKey(), crypto.SHA256, sum[:])
	must(i.t, err)
	if i.signsWrongly {
		signature[0] ^= 1
	}
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

// refreshToken returns a refresh token of a new grant of a person's.
func (i *testIssuer) refreshToken(email string) string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.newRefreshToken(&grant{email: email})
}

func (i *testIssuer) newRefreshToken(of *grant) string {
	refresh := rand.Text()
	i.refreshes[refresh] = &refreshToken{grant: of}
	return refresh
}

// isOpen reports whether a refresh token can be used.
func (i *testIssuer) isOpen(refresh string) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	of := i.refreshes[refresh]
	return of != nil && !of.used && !of.grant.ended
}

// endGrants ends all grants, as an administrator does.
func (i *testIssuer) endGrants() {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, of := range i.refreshes {
		of.grant.ended = true
	}
}

func (i *testIssuer) serveToken(w http.ResponseWriter, r *http.Request) {
	if i.beforeToken != nil {
		if status := i.beforeToken(); status != 0 {
			w.WriteHeader(status)
			return
		}
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.calls++
	if i.refusal != "" || i.refusalStatus != 0 {
		writeJSON(w, i.refusalStatus, map[string]any{"error": i.refusal})
		return
	}
	claims, of := i.redeem(r)
	if claims == nil {
		writeJSON(w, http.StatusBadRequest, map[string]any{"error": "invalid_grant"})
		return
	}
	refresh := ""
	if !i.withholdsRefresh {
		refresh = i.newRefreshToken(of)
	}
	if i.loses != 0 {
		w.WriteHeader(i.loses)
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{
		"access_token": "unused", "token_type": "Bearer", "expires_in": 3600, "refresh_token": refresh, "id_token": i.token(claims),
	})
}

// redeem returns the claims for a code or a refresh token, and its grant; nil where it is
// not valid. A refresh token that comes again ends its grant.
func (i *testIssuer) redeem(r *http.Request) (map[string]any, *grant) {
	if r.FormValue("grant_type") == "authorization_code" {
		granted, ok := i.codes[r.FormValue("code")]
		delete(i.codes, r.FormValue("code"))
		if !ok || oauth2.S256ChallengeFromVerifier(r.FormValue("code_verifier")) != granted.challenge {
			return nil, nil
		}
		email, _ := granted.claims["email"].(string)
		if i.sharesGrants {
			if i.grants[email] == nil || i.grants[email].ended {
				i.grants[email] = &grant{email: email}
			}
			return granted.claims, i.grants[email]
		}
		return granted.claims, &grant{email: email}
	}
	of := i.refreshes[r.FormValue("refresh_token")]
	if of == nil {
		return nil, nil
	}
	if of.used && !of.grant.ended {
		i.reuses++
		of.grant.ended = true
	}
	if of.grant.ended {
		return nil, nil
	}
	of.used = true
	return i.claims(of.grant.email), of.grant
}
