package main

import (
	"net/http"
	"testing"

	"agencyhub/shared/agency"
)

// A genuine token of nobody that the hub can serve is refused, as in the API. The page
// says why, and leads to a sign-in that asks who it is. Otherwise the issuer's session would
// give the same token again.
func TestGenuineTokensThatAreRefused(t *testing.T) {
	w := newWorld(t)
	const unmailable = "We can't send email to the address that you signed in with"
	for name, tt := range map[string]struct {
		claims map[string]any
		says   string
	}{
		"two @":                    {map[string]any{"email": "cleo@shop.test@studio.test"}, unmailable},
		"letters before the @":     {map[string]any{"email": "cléo@shop.test"}, unmailable},
		"a domain without a dot":   {map[string]any{"email": "cleo@shop"}, unmailable},
		"an invisible character":   {map[string]any{"email": "cleo@shop\u200b.test"}, unmailable},
		"an email that is no text": {map[string]any{"email": []string{cleoAt}}, unmailable},
		"no subject":               {map[string]any{"sub": ""}, "no issuer or subject"},
		"the platform's scope":     {map[string]any{"scope": "openid hub/platform"}, "platform's own"},
		"its scopes as a list":     {map[string]any{"scp": []string{"openid", "hub/platform"}}, "platform's own"},
		"its scope as a list":      {map[string]any{"scope": []string{"hub/platform"}}, "platform's own"},
		"no":                       {map[string]any{"email_verified": "false"}, "not verified yet"},
		"a number":                 {map[string]any{"email_verified": 1}, "not verified yet"},
		"a list":                   {map[string]any{"email_verified": []bool{true}}, "not verified yet"},
	} {
		t.Run(name, func(t *testing.T) {
			w.issuer.extraClaims = tt.claims
			defer func() { w.issuer.extraClaims = nil }()
			b := w.browser()
			back := w.issuer.signIn(b.get("/signin?to=/me").Header().Get("Location"), cleoAt)
			page := b.get(back.RequestURI())
			page.wantText(t, http.StatusUnauthorized, tt.says)
			page.wantMarkup(t, `href="/signin?another=1&amp;to=%2Fme"`)
			b.get("/me").wantRedirect(t, "/signin?to=%2Fme")
			if w.issuer.signIn(b.get("/signin?another=1").Header().Get("Location"), cleoAt) == nil {
				t.Error("there is no other sign-in")
			}
		})
	}
}

// Every spelling of a verified address is one person, and the pages show it in Unicode.
func TestSpellingsOfASignInAreOnePerson(t *testing.T) {
	w := newWorld(t)
	w.issuer.extraClaims = map[string]any{"sub": "sub-Olga@BÜCHER.test"}
	id := w.openAccountFor("Olga@BÜCHER.test", "Books")
	for _, spelling := range []string{"olga@bücher.test", "olga@xn--bcher-kva.test", "OLGA@BU\u0308CHER.test"} {
		page := w.as(spelling).get("/accounts/" + string(id) + "/team")
		page.wantText(t, http.StatusOK, "olga@bücher.test", "You")
		page.wantNoMarkup(t, "xn--")
	}
	w.as("olga@bucher.test").get("/accounts/"+string(id)+"/team").wantText(t, http.StatusNotFound)
	if agency.NewPersonID("olga@bucher.test") == agency.NewPersonID("olga@bücher.test") {
		t.Error("two are one")
	}
}
