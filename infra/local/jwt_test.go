package main

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"
)

func TestTokenChecker(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	fetched := 0
	mux := http.NewServeMux()
	issuer := httptest.NewServer(mux)
	defer issuer.Close()
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"jwks_uri":%q}`, issuer.URL+"/keys")
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) {
		fetched++
		fmt.Fprintf(w, `{"keys":[{"kty":"EC","kid":"other"},{"kty":"RSA","kid":"1","n":%q,"e":%q}]}`,
			base64.RawURLEncoding.EncodeToString(key.N.Bytes()), base64.RawURLEncoding.EncodeToString(big.NewInt(int64(key.E)).Bytes()))
	})

	sign := func(key any, method jwt.SigningMethod, id string, changes jwt.MapClaims) string {
		claims := jwt.MapClaims{"iss": issuer.URL, "aud": "hub", "sub": "u", "exp": noon.Add(time.Minute).Unix()}
		maps.Copy(claims, changes)
		maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
		token := jwt.NewWithClaims(method, claims)
		token.Header["kid"] = id
		s, err := token.SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	good := func(changes jwt.MapClaims) string { return "Bearer " + sign(key, jwt.SigningMethodRS256, "1", changes) }
	tampered := good(nil)
	tampered = strings.Replace(tampered, tampered[strings.Index(tampered, ".")+1:strings.LastIndex(tampered, ".")],
		base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"iss":%q,"aud":"hub","exp":9999999999}`, issuer.URL)), 1)

	a := &authorizer{issuer: issuer.URL, audience: []string{"hub", "hub2"}}
	for name, test := range map[string]struct {
		header string
		scopes []string
		status int
		why    string
	}{
		"good":                     {header: good(nil)},
		"without Bearer":           {header: strings.TrimPrefix(good(nil), "Bearer ")},
		"bearer in lower case":     {header: strings.Replace(good(nil), "Bearer", "bearer", 1)},
		"one of several audiences": {header: good(jwt.MapClaims{"aud": []string{"x", "hub2"}})},
		"client_id without aud":    {header: good(jwt.MapClaims{"aud": nil, "client_id": "hub"})},
		"client_id beside an aud":  {header: good(jwt.MapClaims{"aud": "x", "client_id": "hub"}), status: 401, why: "does not have a valid audience"},
		"another audience":         {header: good(jwt.MapClaims{"aud": "x"}), status: 401, why: "does not have a valid audience"},
		"no audience":              {header: good(jwt.MapClaims{"aud": nil}), status: 401, why: "does not have a valid audience"},
		"expired":                  {header: good(jwt.MapClaims{"exp": noon.Unix()}), status: 401, why: "has expired"},
		"without expiry":           {header: good(jwt.MapClaims{"exp": nil}), status: 401, why: "has expired"},
		"not yet":                  {header: good(jwt.MapClaims{"nbf": noon.Unix() + 1}), status: 401, why: "not valid yet"},
		"another issuer":           {header: good(jwt.MapClaims{"iss": "http://x"}), status: 401, why: "another issuer"},
		"a stranger's key":         {header: "Bearer " + sign(stranger, jwt.SigningMethodRS256, "1", nil), status: 401, why: "signature is invalid"},
		"an unknown key":           {header: "Bearer " + sign(key, jwt.SigningMethodRS256, "2", nil), status: 401, why: "no such key"},
		"changed claims":           {header: tampered, status: 401, why: "signature is invalid"},
		"HMAC":                     {header: "Bearer " + sign([]byte("secret"), jwt.SigningMethodHS256, "1", nil), status: 401, why: "signature is invalid"},
		"none":                     {header: "Bearer " + sign(jwt.UnsafeAllowNoneSignatureType, jwt.SigningMethodNone, "1", nil), status: 401, why: "signature is invalid"},
		"nonsense":                 {header: "Bearer nonsense", status: 401, why: "cannot be verified"},
		"nothing":                  {header: "", status: 401},
		"scope":                    {header: good(jwt.MapClaims{"scope": "a hub/platform"}), scopes: []string{"hub/platform"}},
		"another scope":            {header: good(jwt.MapClaims{"scope": "a"}), scopes: []string{"hub/platform"}, status: 403, why: "scopes"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newTokenChecker(func() time.Time { return noon })
			_, err := c.check(t.Context(), test.header, a, test.scopes)
			if test.status == 0 {
				if err != nil {
					t.Error(err)
				}
				return
			}
			refused, ok := errors.AsType[*tokenError](err)
			if !ok || refused.status != test.status || !strings.Contains(refused.description, test.why) {
				t.Errorf("got %v (%+v), want %d %s", err, refused, test.status, test.why)
			}
		})
	}

	t.Run("claims are text", func(t *testing.T) {
		c := newTokenChecker(func() time.Time { return noon })
		got, err := c.check(t.Context(), good(jwt.MapClaims{"email_verified": true, "groups": []any{"a", 1}, "n": nil, "o": map[string]any{"x": 1}}), a, nil)
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]string{"iss": issuer.URL, "aud": "hub", "sub": "u", "exp": "1773316860", "email_verified": "true", "groups": "[a 1]", "o": `{"x":1}`}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})

	t.Run("keys are kept", func(t *testing.T) {
		now, before := noon, fetched
		c := newTokenChecker(func() time.Time { return now })
		unknown := "Bearer " + sign(key, jwt.SigningMethodRS256, "2", nil)
		for _, header := range []string{good(nil), good(nil), unknown, unknown} {
			if _, err := c.check(t.Context(), header, a, nil); err != nil && header != unknown {
				t.Error(err)
			}
		}
		if fetched != before+1 {
			t.Errorf("the keys were fetched %d times", fetched-before)
		}
		now = now.Add(refetchAfter)
		if _, err := c.check(t.Context(), unknown, a, nil); err == nil || fetched != before+2 {
			t.Errorf("an unknown key later: %v, %d fetches", err, fetched-before)
		}
	})

	t.Run("issuer away", func(t *testing.T) {
		away := httptest.NewServer(nil)
		away.Close()
		c := newTokenChecker(func() time.Time { return noon })
		if _, err := c.check(t.Context(), good(nil), &authorizer{issuer: away.URL}, nil); err == nil || !strings.Contains(err.Error(), "cannot be reached") {
			t.Errorf("got %v", err)
		}
	})
}
