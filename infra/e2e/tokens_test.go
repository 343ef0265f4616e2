package e2e

import (
	"crypto/rand"
	"crypto/rsa"
	"net/http"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"agencyhub/infra/e2e/client"
)

// A forger makes tokens that the issuer would not.
type forger struct {
	*stack
	email, keyID string
	key          *rsa.PrivateKey
}

// forged returns a good token's maker, with changed claims.
func (s *forger) forged(change func(jwt.MapClaims)) func(t *testing.T) string {
	return s.signed(jwt.SigningMethodRS256, s.key, change)
}

func (s *forger) signed(method jwt.SigningMethod, key any, change func(jwt.MapClaims)) func(t *testing.T) string {
	return func(t *testing.T) string {
		t.Helper()
		claims := jwt.MapClaims{
			"iss": s.OIDC, "aud": s.ClientID, "sub": "u-forged", "email": s.email, "email_verified": true,
			"iat": time.Now().Add(-time.Hour).Unix(), "exp": time.Now().Add(time.Hour).Unix(),
		}
		change(claims)
		made := jwt.NewWithClaims(method, claims)
		made.Header["kid"] = s.keyID
		text, err := made.SignedString(key)
		must(t, err)
		return text
	}
}

// issued returns what the issuer itself signs.
func (s *forger) issued(who client.Identity) func(t *testing.T) string {
	return func(t *testing.T) string {
		t.Helper()
		return s.signIn(t, who).token
	}
}

// TestWhoIsNotSignedIn refuses stale, foreign and forged tokens at the gateway, and
// tokens without a verified address at the function.
func TestWhoIsNotSignedIn(t *testing.T) {
	s := &forger{stack: common(t)}
	var err error
	s.key, s.keyID, err = s.IssuerKey()
	must(t, err)
	olga := s.person(t, "olga@tokens.test")
	s.email = olga.email
	luna := olga.opens(t, "Luna Bakery")
	s.expectEmails(t)
	another, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	asIs := func(jwt.MapClaims) {}
	for _, c := range []struct {
		name  string
		token func(t *testing.T) string
		ours  bool // refused by the function, and not by the gateway
	}{
		{"no token", func(*testing.T) string { return "" }, false},
		{"no token at all, but words", func(*testing.T) string { return "let me in" }, false},
		{"a stale token", s.forged(func(c jwt.MapClaims) { c["exp"] = time.Now().Add(-time.Second).Unix() }), false},
		{"a token that never ends", s.forged(func(c jwt.MapClaims) { delete(c, "exp") }), false},
		{"a token not valid yet", s.forged(func(c jwt.MapClaims) { c["nbf"] = time.Now().Add(time.Minute).Unix() }), false},
		{"another audience", s.forged(func(c jwt.MapClaims) { c["aud"] = "another-app" }), false},
		{"no audience", s.forged(func(c jwt.MapClaims) { delete(c, "aud") }), false},
		{"another issuer", s.forged(func(c jwt.MapClaims) { c["iss"] = "https://issuer.test" }), false},
		{"signed by another key", s.signed(jwt.SigningMethodRS256, another, asIs), false},
		{"signed by a secret", s.signed(jwt.SigningMethodHS256, []byte("secret"), asIs), false},
		{"not signed", s.signed(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, asIs), false},
		{"a token without email", s.issued(client.Identity{Email: olga.email, Scopes: []string{"openid"}}), true},
		{"an email that is not verified", s.issued(client.Identity{Email: olga.email, Unverified: true}), true},
		{"an email that nothing says is verified", s.forged(func(c jwt.MapClaims) { delete(c, "email_verified") }), true},
		{"an email that is no address", s.forged(func(c jwt.MapClaims) { c["email"] = "olga" }), true},
		{"an empty email", s.forged(func(c jwt.MapClaims) { c["email"] = "" }), true},
		{"two emails", s.forged(func(c jwt.MapClaims) { c["email"] = []string{olga.email, "sam@tokens.test"} }), true},
		{"no subject", s.forged(func(c jwt.MapClaims) { delete(c, "sub") }), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			who := &person{stack: s.stack, email: olga.email, token: c.token(t)}
			before := s.settled(t)
			for _, r := range []*reply{
				who.get(t, "/v1/accounts/"+luna), who.get(t, "/v1/accounts/"+luna+"/access"), who.get(t, "/v1/me"),
				who.get(t, "/v1/accounts/"+luna+"/team"), who.get(t, "/v1/nothing"),
				who.post(t, "/v1/agencies/"+luna+"/connections", "{"),
				who.postOnce(t, "/v1/accounts", map[string]any{"name": "x"}),
				who.delete(t, "/v1/accounts/"+luna+"/team/"+olga.id()),
			} {
				if c.ours {
					r.refused(t, http.StatusUnauthorized, "unauthenticated", "")
				} else if r.Status != http.StatusUnauthorized || string(r.Body) != `{"message":"Unauthorized"}` {
					t.Errorf("%s answered %d %s", r.to, r.Status, r.Body)
				}
				if r.Header.Get("Www-Authenticate") == "" {
					t.Errorf("%s names no way to sign in", r.to)
				}
			}
			expectUnchanged(t, before, s.dump(t))
		})
	}
	s.expectEmails(t)
	expectAccess(t, luna, wantAccess{olga, "", "yes, own, " + everything + "; client owns"})
}
