package e2e

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"agencyhub/infra/e2e/client"
)

// TestAddresses tests the spellings of addresses (README, Persons): one person has one account
// under all of them, emails go to the ASCII form, and people read the Unicode form.
func TestAddresses(t *testing.T) {
	s := common(t)
	const ascii, shown = "olga@xn--bcher-kva.addresses.test", "olga@bücher.addresses.test"
	s.addSecret(ascii, "address")
	s.addSecret(shown, "address")
	ann, olga := s.person(t, "ann@addresses.test"), s.person(t, "Olga@BÜCHER.addresses.test")
	shop := ann.opens(t, "Address Shop")
	s.newEmails(t)

	invited := read[member](t, ann.post(t, "/v1/accounts/"+shop+"/team", map[string]any{
		"email": " OLGA@xn--Bcher-kva.addresses.test", "role": "admin",
	}).is(t, http.StatusCreated))
	expectEqual(t, "the person invited", []string{olga.id(), shown, shown}, []string{invited.ID, invited.Name, *invited.Email})
	mails := s.newEmails(t)
	if len(mails) != 1 || mails[0].To != ascii {
		t.Fatalf("the invitation goes to %+v", mails)
	}

	me := read[struct{ ID, Email string }](t, olga.get(t, "/v1/me").is(t, http.StatusOK))
	expectEqual(t, "her own address", shown, me.Email)
	olga.joins(t, shop)
	accounts := read[list[struct{ ID string }]](t, olga.get(t, "/v1/accounts").is(t, http.StatusOK)).Items
	if len(accounts) != 1 || accounts[0].ID != shop {
		t.Errorf("her accounts: %+v", accounts)
	}
	mails = s.newEmails(t)
	toAnn := slices.IndexFunc(mails, func(m client.Email) bool { return m.To == ann.email })
	if toAnn < 0 || !strings.Contains(mails[toAnn].Text, shown) || !strings.Contains(htmlText(mails[toAnn].HTML), shown) {
		t.Errorf("Ann does not read who has joined: %+v", mails)
	}
	for _, m := range mails {
		if strings.ContainsFunc(m.To+m.From, func(r rune) bool { return r > '~' }) {
			t.Errorf("an email from %s to %s", m.From, m.To)
		}
	}

	// What looks alike is somebody else, or nobody.
	info := s.person(t, "info@gigant.addresses.test")
	his := info.opens(t, "Gigant")
	for _, other := range []string{"\u0130nfo@gigant.addresses.test", "\u0131nfo@gigant.addresses.test", "info@gigant"} {
		who := s.person(t, other)
		for _, r := range []*reply{who.get(t, "/v1/me"), who.get(t, "/v1/accounts/"+his), who.get(t, "/v1/accounts/"+his+"/access")} {
			if p := r.refused(t, http.StatusUnauthorized, "unauthenticated", ""); !strings.Contains(p.Detail, "can't send email to the address") {
				t.Errorf("%s: %s", r.to, p.Detail)
			}
		}
		ann.post(t, "/v1/accounts/"+shop+"/team", map[string]any{"email": other, "role": "admin"}).refused(t, http.StatusBadRequest, "invalid", "")
	}
	who := s.person(t, "info@g\u0130gant.addresses.test")
	who.get(t, "/v1/accounts/"+his).refused(t, http.StatusNotFound, "not_found", "")
	if p := ann.post(t, "/v1/accounts/"+shop+"/team", map[string]any{"email": "info@gigant\u200b.addresses.test", "role": "admin"}).
		refused(t, http.StatusBadRequest, "invalid", ""); !strings.Contains(p.Detail, "invisible character") || strings.Contains(p.Detail, "gigant") {
		t.Errorf("%s", p.Detail)
	}
	s.newEmails(t)
}
