package matrix

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"agencyhub/infra/e2e/client"
)

// An issuer signs tokens by the key of the stack's issuer: good ones, and those that it
// would not.
type issuer struct {
	stack    *client.Stack
	key      *rsa.PrivateKey
	keyID    string
	platform string // the platform's own token, which the issuer has signed itself
}

func newIssuer(t *testing.T, stack *client.Stack) *issuer {
	t.Helper()
	i := &issuer{stack: stack}
	var err error
	i.key, i.keyID, err = stack.IssuerKey()
	must(t, err)
	i.platform, err = stack.PlatformToken(t.Context())
	must(t, err)
	return i
}

// claims returns those of a person's good token, with changes. A nil value leaves one out.
func (i *issuer) claims(email string, changes jwt.MapClaims) jwt.MapClaims {
	claims := jwt.MapClaims{
		"iss": i.stack.OIDC, "aud": i.stack.ClientID, "sub": "u-" + email, "email": email, "email_verified": true,
		"iat": time.Now().Add(-time.Hour).Unix(), "exp": time.Now().Add(time.Hour).Unix(),
	}
	maps.Copy(claims, changes)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	return claims
}

func (i *issuer) sign(t *testing.T, method jwt.SigningMethod, key any, claims jwt.MapClaims) string {
	t.Helper()
	return signAs(t, i.keyID, method, key, claims)
}

// signAs is sign with the id of a key; "" is none.
func signAs(t *testing.T, keyID string, method jwt.SigningMethod, key any, claims jwt.MapClaims) string {
	t.Helper()
	token := jwt.NewWithClaims(method, claims)
	if keyID != "" {
		token.Header["kid"] = keyID
	}
	text, err := token.SignedString(key)
	must(t, err)
	return text
}

// token returns a person's good token, with changes.
func (i *issuer) token(t *testing.T, email string, changes jwt.MapClaims) string {
	t.Helper()
	return i.sign(t, jwt.SigningMethodRS256, i.key, i.claims(email, changes))
}

// tokens returns a token of every kind of matrix.md, by its name there.
func (i *issuer) tokens(t *testing.T, email string) map[string]string {
	t.Helper()
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	good := i.token(t, email, nil)
	software := jwt.MapClaims{"scope": "hub/platform", "client_id": i.stack.Platform, "sub": i.stack.Platform, "email": nil, "email_verified": nil}
	withEmail := maps.Clone(software)
	withEmail["email"], withEmail["email_verified"] = email, true
	late := maps.Clone(software)
	past := time.Now().Add(-time.Second).Unix()
	late["exp"] = past
	return map[string]string{
		"a good one":                 good,
		"none":                       "",
		"words":                      "let me in",
		"stale":                      i.token(t, email, jwt.MapClaims{"exp": past}),
		"without exp":                i.token(t, email, jwt.MapClaims{"exp": nil}),
		"issued in the future":       i.token(t, email, jwt.MapClaims{"iat": time.Now().Add(10 * time.Minute).Unix()}),
		"not valid yet":              i.token(t, email, jwt.MapClaims{"nbf": time.Now().Add(10 * time.Minute).Unix()}),
		"another audience":           i.token(t, email, jwt.MapClaims{"aud": "another-app"}),
		"no audience":                i.token(t, email, jwt.MapClaims{"aud": nil}),
		"another issuer":             i.token(t, email, jwt.MapClaims{"iss": "https://issuer.test"}),
		"signed by another key":      i.sign(t, jwt.SigningMethodRS256, other, i.claims(email, nil)),
		"signed by a secret (HS256)": i.sign(t, jwt.SigningMethodHS256, []byte("secret"), i.claims(email, nil)),
		"signed by the public key as a secret (HS256)": i.sign(t, jwt.SigningMethodHS256, pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(&i.key.PublicKey)}), i.claims(email, nil)),
		"without the key's id":                         signAs(t, "", jwt.SigningMethodRS256, i.key, i.claims(email, nil)),
		"with the id of an unknown key":                signAs(t, "unknown", jwt.SigningMethodRS256, i.key, i.claims(email, nil)),
		"not signed (none)":                            i.sign(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, i.claims(email, nil)),
		"a cut signature":                              good[:strings.LastIndexByte(good, '.')+1],
		"an access token": i.token(t, email, jwt.MapClaims{
			"aud": nil, "client_id": i.stack.ClientID, "scope": "openid email", "email": nil, "email_verified": nil,
		}),
		"without email":       i.token(t, email, jwt.MapClaims{"email": nil, "email_verified": nil}),
		"an unverified email": i.token(t, email, jwt.MapClaims{"email_verified": false}),
		`an email that is verified by the text "true"`: i.token(t, email, jwt.MapClaims{"email_verified": "true"}),
		"nothing says that the email is verified":      i.token(t, email, jwt.MapClaims{"email_verified": nil}),
		"an email that is no address":                  i.token(t, email, jwt.MapClaims{"email": "olga"}),
		"an empty email":                               i.token(t, email, jwt.MapClaims{"email": ""}),
		"two emails":                                   i.token(t, email, jwt.MapClaims{"email": []string{email, "sam@else.test"}}),
		"without subject":                              i.token(t, email, jwt.MapClaims{"sub": nil}),
		"the platform's":                               i.platform,
		"the platform's, with an email":                i.token(t, email, withEmail),
		"the platform's, stale":                        i.token(t, email, late),
	}
}
