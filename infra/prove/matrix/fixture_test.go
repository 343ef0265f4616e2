package matrix

import (
	"encoding/json"
	"maps"
	"net/http"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"agencyhub/shared/agency"
)

// A fixture is the accounts and the people of matrix.md.
type fixture struct {
	*stack
	*issuer
	tokens map[string]string // of people, by their first name; "" has none, and "platform" is no person

	agency    string // with an agency's own team: gina owner, hal admin, stan and una members, ivan invited, fay former
	shop      string // client-owned: olga and oona owners, adam admin, mia and max members, ines and otto invited, fred former
	cafe      string // the agency's: carl and clem members, cara invited, colin former
	rival     string // rosa's agency, whose request waits at the shop
	kiosk     string // olga's, where the agency's request waits
	pottery   string // petra's, with pam as its admin; the agency has requested access by petra's address
	elsewhere string // oscar's
	closed    string // was olga's
	unknown   string
}

type object = map[string]any

func address(who string) string { return who + "@matrix.test" }

func personID(who string) string { return string(agency.NewPersonID(address(who))) }

// connectionID returns the id of an agency's connection with an account, or of its request
// to a person.
func connectionID(addressee, of string) string {
	return string(agency.NewConnectionID(agency.Party(addressee), agency.AccountID(of)))
}

// malformed is no account's id, and no connection's.
const malformed = "acct_1"

func newFixture(t *testing.T) *fixture {
	t.Helper()
	s := startStack(t)
	f := &fixture{stack: s, issuer: newIssuer(t, s.Stack), unknown: string(agency.NewAccountID("the matrix", "unknown"))}
	f.tokens = map[string]string{"": "", "platform": f.platform, "platform with an email": f.issuer.tokens(t, address("olga"))["the platform's, with an email"]}
	for _, who := range []string{
		"gina", "hal", "stan", "una", "ivan", "fay", "olga", "oona", "adam", "mia", "max", "ines", "otto", "fred", "carl", "clem", "cara", "colin",
		"rosa", "petra", "pam", "oscar", "nell",
	} {
		f.tokens[who] = f.token(t, address(who), nil)
	}
	for _, who := range []string{"olga", "gina", "adam", "carl", "petra"} {
		f.tokens[who+" again"] = f.token(t, address(who), jwt.MapClaims{"sub": "u-another"})
	}
	f.accounts(t)
	f.people(t)
	f.connections(t)
	f.do(t, "olga", http.MethodDelete, "/v1/accounts/"+f.closed, nil)
	return f
}

// do makes a call of the fixture, which succeeds.
func (f *fixture) do(t *testing.T, who, method, path string, body any) reply {
	t.Helper()
	r := f.call(t, f.tokens[who], method, path, body)
	if r.Status >= http.StatusMultipleChoices {
		t.Fatalf("the fixture: %s as %s: %d %s", r.call, who, r.Status, r.Body)
	}
	return r
}

func (f *fixture) opens(t *testing.T, who, name string) string {
	t.Helper()
	return read(t, f.do(t, who, http.MethodPost, "/v1/accounts", object{"name": name})).ID
}

func read(t *testing.T, r reply) (v struct {
	ID      string
	Request int
	Plan    *struct{ ID string }
}) {
	t.Helper()
	must(t, json.Unmarshal(r.Body, &v))
	return v
}

func (f *fixture) accounts(t *testing.T) {
	t.Helper()
	f.agency, f.rival = f.opens(t, "gina", "Bright"), f.opens(t, "rosa", "Rival")
	for who, id := range map[string]string{"gina": f.agency, "rosa": f.rival} {
		f.do(t, who, http.MethodPost, "/v1/accounts/"+id+"/agency", nil)
	}
	f.shop, f.kiosk, f.closed = f.opens(t, "olga", "Shop"), f.opens(t, "olga", "Kiosk"), f.opens(t, "olga", "Closed")
	f.pottery, f.elsewhere = f.opens(t, "petra", "Pottery"), f.opens(t, "oscar", "Elsewhere")
	body := object{"name": "Cafe", "plan": "starter", "confirmPermanentOwnership": true}
	f.cafe = read(t, f.do(t, "gina", http.MethodPost, "/v1/agencies/"+f.agency+"/accounts", body)).ID
}

// team invites somebody into an account, as a caller with a query.
func (f *fixture) invites(t *testing.T, by, account, query, who, role string) {
	t.Helper()
	body := object{"email": address(who), "role": role}
	if role == "member" {
		body["areas"] = object{"pages": "edit", "mail": "view"}
	}
	f.do(t, by, http.MethodPost, "/v1/accounts/"+account+"/team"+query, body)
}

// joins accepts an invitation.
func (f *fixture) joins(t *testing.T, who, account string) {
	t.Helper()
	path := "/v1/me/invitations/" + account
	in := read(t, f.do(t, who, http.MethodGet, path, nil))
	body := object{"request": in.Request}
	if in.Plan != nil {
		body["plan"] = in.Plan.ID
	}
	f.do(t, who, http.MethodPost, path+"/accept", body)
}

func (f *fixture) people(t *testing.T) {
	t.Helper()
	as := "?as=" + f.agency
	for _, m := range []struct{ by, account, query, who, role string }{
		{"gina", f.agency, "", "hal", "admin"}, {"gina", f.agency, "", "stan", "member"}, {"gina", f.agency, "", "una", "member"}, {"gina", f.agency, "", "fay", "admin"},
		{"olga", f.shop, "", "oona", "owner"}, {"olga", f.shop, "", "adam", "admin"}, {"olga", f.shop, "", "mia", "member"}, {"olga", f.shop, "", "max", "member"}, {"olga", f.shop, "", "fred", "admin"},
		{"gina", f.cafe, as, "carl", "member"}, {"gina", f.cafe, as, "clem", "member"}, {"gina", f.cafe, as, "colin", "member"},
		{"olga", f.closed, "", "adam", "admin"}, {"petra", f.pottery, "", "pam", "admin"},
	} {
		f.invites(t, m.by, m.account, m.query, m.who, m.role)
		f.joins(t, m.who, m.account)
	}
	f.invites(t, "gina", f.agency, "", "ivan", "admin")
	f.invites(t, "olga", f.shop, "", "ines", "admin")
	f.invites(t, "olga", f.shop, "", "otto", "owner")
	f.invites(t, "gina", f.cafe, as, "cara", "member")
	f.do(t, "gina", http.MethodDelete, "/v1/accounts/"+f.agency+"/team/"+personID("fay"), nil)
	f.do(t, "olga", http.MethodDelete, "/v1/accounts/"+f.shop+"/team/"+personID("fred"), nil)
	f.do(t, "gina", http.MethodDelete, "/v1/accounts/"+f.cafe+"/team/"+personID("colin")+as, nil)
}

func (f *fixture) connections(t *testing.T) {
	t.Helper()
	requests := func(by, from string, to object) {
		t.Helper()
		body := object{"areas": object{"pages": "edit", "mail": "view"}}
		maps.Copy(body, to)
		f.do(t, by, http.MethodPost, "/v1/agencies/"+from+"/connections", body)
	}
	requests("gina", f.agency, object{"account": f.shop})
	f.do(t, "olga", http.MethodPost, "/v1/accounts/"+f.shop+"/team/"+f.agency+"/accept", object{"request": 1})
	requests("gina", f.agency, object{"account": f.kiosk})
	requests("gina", f.agency, object{"ownerEmail": address("petra")})
	requests("rosa", f.rival, object{"account": f.shop})
	for who, clients := range map[string][]string{"stan": {f.shop, f.cafe, f.kiosk}, "una": {}} {
		f.do(t, "gina", http.MethodPatch, "/v1/accounts/"+f.agency+"/team/"+personID(who), object{"clients": clients})
	}
	time.Sleep(time.Second) // resendAfter
}
