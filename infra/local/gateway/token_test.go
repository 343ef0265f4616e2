package gateway

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/go-cmp/cmp"

	"agencyhub/infra/local/localtest"
	"agencyhub/infra/local/template"
)

type claims = map[string]any

// A testIssuer publishes two keys and signs with one of them.
type testIssuer struct {
	*httptest.Server
	key     *rsa.PrivateKey
	fetched int // how often the keys were
}

func newTestIssuer(t *testing.T) *testIssuer {
	t.Helper()
	is := &testIssuer{key: rsaKey(t)}
	other := localtest.Must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	mux := http.NewServeMux()
	is.Server = httptest.NewServer(mux)
	t.Cleanup(is.Close)
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, is.URL, is.URL+"/keys")
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) {
		is.fetched++
		set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{KeyID: "other", Key: other.Public()}, {KeyID: "1", Key: is.key.Public()}}}
		if err := json.NewEncoder(w).Encode(set); err != nil {
			t.Error(err)
		}
	})
	return is
}

func rsaKey(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	return localtest.Must[*rsa.PrivateKey](t)(rsa.GenerateKey(rand.Reader, 2048))
}

// sign returns a token with the changes to good claims; nil removes a claim.
func (is *testIssuer) sign(t *testing.T, key any, algorithm jose.SignatureAlgorithm, id string, changes claims) string {
	t.Helper()
	all := claims{"iss": is.URL, "aud": "hub", "sub": "u", "exp": noon.Add(time.Minute).Unix()}
	maps.Copy(all, changes)
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
	signingKey := jose.SigningKey{Algorithm: algorithm, Key: jose.JSONWebKey{Key: key, KeyID: id}}
	signer := localtest.Must[jose.Signer](t)(jose.NewSigner(signingKey, nil))
	return localtest.Must[string](t)(jwt.Signed(signer).Claims(all).Serialize())
}

// good returns an Authorization header with the issuer's own token.
func (is *testIssuer) good(t *testing.T, changes claims) string {
	t.Helper()
	return "Bearer " + is.sign(t, is.key, jose.RS256, "1", changes)
}

func (is *testIssuer) authorizer() *template.Authorizer {
	return &template.Authorizer{Issuer: is.URL, Audience: []string{"hub", "hub2"}}
}

func checkerAtNoon() *tokenChecker { return newTokenChecker(func() time.Time { return noon }) }

func TestTokenChecker(t *testing.T) {
	is := newTestIssuer(t)
	tampered := is.good(t, nil)
	tampered = strings.Replace(tampered, tampered[strings.Index(tampered, ".")+1:strings.LastIndex(tampered, ".")],
		base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"iss":%q,"aud":"hub","exp":9999999999}`, is.URL)), 1)

	unsigned := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","kid":"1"}`)) + "." +
		base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"iss":%q,"aud":"hub","exp":9999999999}`, is.URL)) + "."
	for name, test := range map[string]struct {
		header string
		scopes []string
		status int
		why    string
	}{
		"good":                     {header: is.good(t, nil)},
		"without Bearer":           {header: strings.TrimPrefix(is.good(t, nil), "Bearer ")},
		"bearer in lower case":     {header: strings.Replace(is.good(t, nil), "Bearer", "bearer", 1)},
		"one of several audiences": {header: is.good(t, claims{"aud": []string{"x", "hub2"}})},
		"client_id without aud":    {header: is.good(t, claims{"aud": nil, "client_id": "hub"})},
		"client_id beside an aud":  {header: is.good(t, claims{"aud": "x", "client_id": "hub"}), status: 401, why: "does not have a valid audience"},
		"another audience":         {header: is.good(t, claims{"aud": "x"}), status: 401, why: "does not have a valid audience"},
		"no audience":              {header: is.good(t, claims{"aud": nil}), status: 401, why: "does not have a valid audience"},
		"expired":                  {header: is.good(t, claims{"exp": noon.Unix()}), status: 401, why: "has expired"},
		"without expiry":           {header: is.good(t, claims{"exp": nil}), status: 401, why: "has expired"},
		"not yet":                  {header: is.good(t, claims{"nbf": noon.Unix() + 1}), status: 401, why: "not valid yet"},
		"issued now":               {header: is.good(t, claims{"iat": noon.Unix()})},
		"issued later":             {header: is.good(t, claims{"iat": noon.Unix() + 1}), status: 401, why: "issued in the future"},
		"issued in words":          {header: is.good(t, claims{"iat": "noon"}), status: 401, why: "issued in the future"},
		"another issuer":           {header: is.good(t, claims{"iss": "http://x"}), status: 401, why: "another issuer"},
		"a stranger's key":         {header: "Bearer " + is.sign(t, rsaKey(t), jose.RS256, "1", nil), status: 401, why: "signature is invalid"},
		"an unknown key":           {header: "Bearer " + is.sign(t, is.key, jose.RS256, "2", nil), status: 401, why: "signature is invalid"},
		"no key's id":              {header: "Bearer " + is.sign(t, is.key, jose.RS256, "", nil), status: 401, why: "names no key"},
		"changed claims":           {header: tampered, status: 401, why: "signature is invalid"},
		"HMAC":                     {header: "Bearer " + is.sign(t, []byte("secret, of 32 bytes at the least"), jose.HS256, "1", nil), status: 401, why: "signature is invalid"},
		"HMAC by the public key":   {header: "Bearer " + is.sign(t, x509.MarshalPKCS1PublicKey(&is.key.PublicKey), jose.HS256, "1", nil), status: 401, why: "signature is invalid"},
		"none":                     {header: "Bearer " + unsigned, status: 401, why: "signature is invalid"},
		"nonsense":                 {header: "Bearer nonsense", status: 401, why: "cannot be verified"},
		"nothing":                  {header: "", status: 401},
		"scope":                    {header: is.good(t, claims{"scope": "a hub/platform"}), scopes: []string{"hub/platform"}},
		"another scope":            {header: is.good(t, claims{"scope": "a"}), scopes: []string{"hub/platform"}, status: 403, why: "scopes"},
	} {
		t.Run(name, func(t *testing.T) {
			c := checkerAtNoon()
			_, refused := c.check(t.Context(), test.header, is.authorizer(), test.scopes)
			if test.status == 0 {
				if refused != nil {
					t.Errorf("%+v", refused)
				}
				return
			}
			if refused == nil || refused.status != test.status || !strings.Contains(refused.description, test.why) {
				t.Errorf("got %+v, want %d %s", refused, test.status, test.why)
			}
		})
	}
}

func TestClaimsAreText(t *testing.T) {
	is := newTestIssuer(t)
	c := checkerAtNoon()
	got, refused := c.check(t.Context(), is.good(t, claims{"email_verified": true, "groups": []any{"a", 1}, "n": nil, "o": map[string]any{"x": 1}}), is.authorizer(), nil)
	if refused != nil {
		t.Fatalf("%+v", refused)
	}
	want := map[string]string{"iss": is.URL, "aud": "hub", "sub": "u", "exp": "1773316860", "email_verified": "true", "groups": "[a 1]", "o": `{"x":1}`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestKeysAreKept(t *testing.T) {
	is := newTestIssuer(t)
	before := is.fetched
	c := checkerAtNoon()
	for range 2 {
		if _, refused := c.check(t.Context(), is.good(t, nil), is.authorizer(), nil); refused != nil {
			t.Errorf("%+v", refused)
		}
	}
	if is.fetched != before+1 {
		t.Errorf("the keys were fetched %d times", is.fetched-before)
	}
	unknown := "Bearer " + is.sign(t, is.key, jose.RS256, "2", nil)
	// While the library still ends the first fetch, it takes that one's result.
	for try := 0; is.fetched == before+1 && try < 100; try++ {
		if _, refused := c.check(t.Context(), unknown, is.authorizer(), nil); refused == nil {
			t.Fatal("an unknown key is accepted")
		}
	}
	if is.fetched != before+2 {
		t.Errorf("an unknown key: %d fetches", is.fetched-before)
	}
}

func TestIssuerAway(t *testing.T) {
	is := newTestIssuer(t)
	away := httptest.NewServer(nil)
	away.Close()
	c := checkerAtNoon()
	if _, refused := c.check(t.Context(), is.good(t, nil), &template.Authorizer{Issuer: away.URL}, nil); refused == nil || !strings.Contains(refused.description, "cannot be reached") {
		t.Errorf("got %+v", refused)
	}
}
