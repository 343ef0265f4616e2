package agency

import (
	"errors"
	"maps"
	"strings"
	"testing"
)

func TestClaimsOfAPerson(t *testing.T) {
	good := Claims{"iss": "https://issuer.test", "sub": "u-1", "email": " Olga@BÜCHER.test", "email_verified": "true", "scope": "openid email"}
	want := Actor{Email: "olga@xn--bcher-kva.test", Issuer: "https://issuer.test", Subject: "u-1"}
	if got, err := good.Actor(); got != want || err != nil {
		t.Errorf("%+v, %v", got, err)
	}
	for name, tt := range map[string]struct {
		change Claims
		says   string
	}{
		"no issuer":                {Claims{"iss": ""}, "no issuer or subject"},
		"no subject":               {Claims{"sub": ""}, "no issuer or subject"},
		"no address":               {Claims{"email": ""}, "no email address"},
		"two @":                    {Claims{"email": "a@b.test@c.test"}, "can't send email"},
		"no domain":                {Claims{"email": "ann"}, "can't send email"},
		"no dot":                   {Claims{"email": "ann@client"}, "can't send email"},
		"other letters":            {Claims{"email": "zoë@client.test"}, "can't send email"},
		"a list of addresses":      {Claims{"email": "[ann@client.test]"}, "can't send email"},
		"an invisible character":   {Claims{"email": "ann@client.test\u200b"}, "can't send email"},
		"not verified":             {Claims{"email_verified": "false"}, "not verified"},
		"nothing says so":          {Claims{"email_verified": ""}, "not verified"},
		"verified in another case": {Claims{"email_verified": "True"}, "not verified"},
		"verified by a number":     {Claims{"email_verified": "1"}, "not verified"},
		"the platform's":           {Claims{"scope": "openid hub/platform"}, "the platform's own"},
		"the platform's, a list":   {Claims{"scope": "[hub/platform]"}, "the platform's own"},
		"the platform's, scp":      {Claims{"scp": "[a hub/platform]"}, "the platform's own"},
	} {
		claims := maps.Clone(good)
		maps.Copy(claims, tt.change)
		got, err := claims.Actor()
		if got != (Actor{}) || CodeOf(err) != Unauthenticated || !errors.Is(err, ErrToken) || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		if email := tt.change["email"]; email != "" && strings.Contains(err.Error(), email) {
			t.Errorf("%s: the error repeats the address", name)
		}
	}
	if _, err := good.Platform(); CodeOf(err) != Forbidden {
		t.Errorf("a person's as the platform's: %v", err)
	}
}

func TestClaimsOfThePlatform(t *testing.T) {
	for name, tt := range map[string]struct {
		claims Claims
		want   string
	}{
		"a scope":     {Claims{"client_id": "c", "sub": "s", "scope": "x hub/platform"}, "c"},
		"a list":      {Claims{"sub": "s", "scp": "[hub/platform]"}, "s"},
		"a person's":  {Claims{"sub": "s", "scope": "hub/platform", "email": "ann@client.test"}, ""},
		"no scope":    {Claims{"sub": "s"}, ""},
		"like it":     {Claims{"sub": "s", "scope": "hub/platforms"}, ""},
		"nobody's":    {Claims{"scope": "hub/platform"}, ""},
		"no claims":   {nil, ""},
		"a whole one": {Claims{"sub": "s", "scope": "hub/platform", "email_verified": "true"}, "s"},
	} {
		got, err := tt.claims.Platform()
		if got.Client != tt.want || (tt.want == "") != (CodeOf(err) == Forbidden) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}
