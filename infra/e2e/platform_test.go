package e2e

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"agencyhub/infra/e2e/client"
	"agencyhub/shared/agency"
)

// platformClient returns the platform's own software, with its token.
func (s *stack) platformClient(t *testing.T) *person {
	t.Helper()
	token, err := s.PlatformToken(t.Context())
	must(t, err)
	return &person{stack: s, token: token}
}

type platformAccount struct {
	ID, Name, Ownership string
	Owner               *string
	Agency              bool
	Subscription        struct{ Plan, State, Payer string }
}

type platformStory struct {
	agencyStaff
	software, olga    *person
	luna, accountPath string
}

// TestPlatform tests the platform's own calls: it registers accounts, reports
// payments and checks anyone's access.
func TestPlatform(t *testing.T) {
	s := &platformStory{agencyStaff: newAgency(t, common(t), "Bright Agency", "platform.test")}

	s.software = s.platformClient(t)

	s.olga = s.person(t, "olga@luna.platform.test")
	s.luna = string(agency.NewAccountID("the platform's tests", "luna"))
	s.accountPath = "/v1/platform/accounts/" + s.luna

	step(t, t.Run("registers an account that a client has, and nobody is mailed", s.registerAccount))
	step(t, t.Run("its owner connects an agency as any other does", s.connectAgency))
	step(t, t.Run("asks about anyone by address, and is answered as they are", s.checkAccess))
	step(t, t.Run("a sole owner with another sign-in is let in again by the same call", s.rebindOwner))
	step(t, t.Run("name and plan are brought up to date", s.update))
	step(t, t.Run("the address of a sole owner is replaced, and both addresses are told", s.replaceOwner))
	step(t, t.Run("the new address of a sole owner may have been invited before", s.replaceOwnerByInvited))
	step(t, t.Run("limits are raised, and set back", s.raise))
	step(t, t.Run("payments are reported in any order, and the payer is told once", s.payments))
	step(t, t.Run("an agency is told of payments for what it owns", s.paymentOfAgency))
	step(t, t.Run("sees how the hub is doing", s.readStatus))
	step(t, t.Run("refused are what is malformed, what an agency owns, what is closed, and another owner", s.refusals))
	step(t, t.Run("persons are refused its calls, and it is refused theirs", s.scopes))
}

func (s *platformStory) register(t *testing.T, body map[string]any) *reply {
	t.Helper()
	return s.software.call(t, http.MethodPut, s.accountPath, body)
}

func (s *platformStory) registerAccount(t *testing.T) {
	s.olga.get(t, "/v1/accounts/"+s.luna).refused(t, http.StatusNotFound, "not_found", "")
	for _, status := range []int{http.StatusCreated, http.StatusOK} {
		a := read[platformAccount](t, s.register(t, map[string]any{"name": "Luna Bakery", "ownerEmail": "Olga@luna.platform.test", "plan": "growth"}).is(t, status))
		if a.ID != s.luna || a.Name != "Luna Bakery" || a.Ownership != "client" || a.Owner != nil || a.Subscription.Plan != "growth" || a.Subscription.Payer != "client" {
			t.Errorf("%+v", a)
		}
	}
	expectEqual(t, "her role", "owner", value(read[account](t, s.olga.get(t, "/v1/accounts/"+s.luna).is(t, http.StatusOK)).Role))
	s.olga.expectActivity(t, s.luna, "", "account.registered")
	s.expectEmails(t)
}

func (s *platformStory) connectAgency(t *testing.T) {
	s.ann.requests(t, s.agencyID, s.luna, levels{"pages": "edit"})
	s.olga.post(t, "/v1/accounts/"+s.luna+"/team/"+s.agencyID+"/accept", map[string]any{"request": 1}).is(t, http.StatusOK)
	s.newEmails(t) // other tests look at these
}

func (s *platformStory) checkAccess(t *testing.T) {
	for _, c := range []wantAccess{
		{s.olga, "", "yes, own, " + everything + "; client owns"}, {s.ann, s.agencyID, "yes, " + s.agencyID + ", pages:edit; client owns"},
		{s.ann, "", "yes, " + s.agencyID + ", pages:edit; client owns"}, {s.person(t, "sam@elsewhere.platform.test"), "", "no, none"},
	} {
		body := map[string]any{"account": s.luna, "email": c.who.email}
		if c.as != "" {
			body["as"] = c.as
		}
		got := read[access](t, s.software.post(t, "/v1/platform/access", body).is(t, http.StatusOK)).String()
		if own := c.who.access(t, s.luna, c.as); got != c.want || own != c.want {
			t.Errorf("%s: the platform is answered %s, they are answered %s, want %s", c.who.email, got, own, c.want)
		}
	}
}

func (s *platformStory) rebindOwner(t *testing.T) {
	again := s.signIn(t, client.Identity{Email: s.olga.email, Subject: "u-another"})
	again.get(t, "/v1/accounts/"+s.luna).refused(t, http.StatusForbidden, "identity_changed", "")
	s.register(t, map[string]any{"name": "Luna Bakery", "ownerEmail": s.olga.email}).is(t, http.StatusOK)
	again.get(t, "/v1/accounts/"+s.luna).is(t, http.StatusOK)
	s.olga.get(t, "/v1/accounts/"+s.luna).refused(t, http.StatusForbidden, "identity_changed", "")
	s.olga = again
	if got := eventTypes(s.olga.activity(t, s.luna, "")); got[len(got)-1] != "person.released" {
		t.Errorf("%v", got)
	}
	s.expectEmails(t)
}

func (s *platformStory) update(t *testing.T) {
	a := read[platformAccount](t, s.register(t, map[string]any{"name": "Luna Café", "ownerEmail": s.olga.email, "plan": "scale"}).is(t, http.StatusOK))
	if a.Name != "Luna Café" || a.Subscription.Plan != "scale" {
		t.Errorf("%+v", a)
	}
	s.expectEmails(t, wantEmail{s.olga, "Luna Café is on the plan Scale now", []string{"the plan of Luna Café was changed from Growth to Scale"}})
	s.olga.get(t, "/v1/accounts/"+s.luna).is(t, http.StatusOK)
}

func (s *platformStory) replaceOwner(t *testing.T) {
	old, next := s.olga, s.person(t, "olga.new@luna.platform.test")
	next.get(t, "/v1/accounts/"+s.luna).refused(t, http.StatusNotFound, "not_found", "")
	for range 2 { // the second time changes nothing
		body := map[string]any{"from": old.email, "to": " OLGA.new@luna.platform.test"}
		a := read[platformAccount](t, s.software.post(t, s.accountPath+"/owner", body).is(t, http.StatusOK))
		if a.ID != s.luna || a.Subscription.Plan != "scale" {
			t.Errorf("%+v", a)
		}
	}
	expectAccess(t, s.luna, wantAccess{old, "", "no, ended; client owns"}, wantAccess{next, "", "yes, own, " + everything + "; client owns"})
	s.expectEmails(t,
		wantEmail{next, "You are now the owner of Luna Café", []string{"made you the owner of the account Luna Café", "You pay for this account: the plan Scale, 299 USD a month."}},
		wantEmail{old, "You no longer own Luna Café with this address", []string{"put another address in place of " + old.email + " as the owner of the account Luna Café"}})
	s.olga = next
	types := eventTypes(next.activity(t, s.luna, ""))
	expectEqual(t, "the last events", []string{"person.added", "person.removed"}, types[len(types)-2:])
	// Who took it over is bound by their first call.
	other := s.signIn(t, client.Identity{Email: next.email, Subject: "u-other"})
	other.get(t, "/v1/accounts/"+s.luna).refused(t, http.StatusForbidden, "identity_changed", "")
}

// replaceOwnerByInvited replaces an owner by an address that they have invited, whose
// invitation is closed.
func (s *platformStory) replaceOwnerByInvited(t *testing.T) {
	old, next := s.person(t, "una@luna.platform.test"), s.person(t, "una.new@luna.platform.test")
	garden := old.opens(t, "Luna Garden")
	old.sendsInvitation(t, garden, next, "admin", nil)
	s.newEmails(t)
	body := map[string]any{"from": old.email, "to": next.email}
	s.software.post(t, "/v1/platform/accounts/"+garden+"/owner", body).is(t, http.StatusOK)
	expectAccess(t, garden, wantAccess{old, "", "no, ended; client owns"}, wantAccess{next, "", "yes, own, " + everything + "; client owns"})
	expectEqual(t, "what waits for her", 0, len(next.waiting(t)))
	s.newEmails(t)
	next.expectActivity(t, garden, "", "account.opened", "person.invited", "person.invitation_withdrawn", "person.added", "person.removed")
}

func (s *platformStory) raise(t *testing.T) {
	path := "/v1/platform/accounts/" + s.agencyID
	for _, limits := range []map[string]any{
		{"openRequests": 200, "dailyRequests": 1_000_000, "openInvitations": 200, "accountsCreatedByPerson": 200, "requestsByPerson": 200, "invitationsByPerson": 1},
		{"openRequests": 300, "dailyRequests": nil},
		{"openRequests": nil, "openInvitations": nil, "accountsCreatedByPerson": nil, "requestsByPerson": nil, "invitationsByPerson": nil},
	} {
		a := read[platformAccount](t, s.software.call(t, http.MethodPatch, path, map[string]any{"limits": limits}).is(t, http.StatusOK))
		if a.ID != s.agencyID || !a.Agency {
			t.Errorf("%+v", a)
		}
	}
	s.expectEmails(t)
}

func (s *platformStory) payments(t *testing.T) {
	at := time.Now().UTC().Add(-time.Hour).Truncate(time.Second)
	pay := func(state string, after time.Duration, want string) {
		t.Helper()
		body := map[string]any{"state": state, "at": at.Add(after).Format(time.RFC3339)}
		a := read[platformAccount](t, s.software.post(t, s.accountPath+"/payment", body).is(t, http.StatusOK))
		expectEqual(t, fmt.Sprintf("the state once it is %s after %s", state, after), want, a.Subscription.State)
	}
	pay("failed", time.Minute, "past_due")
	pay("failed", time.Minute, "past_due")
	pay("paid", 0, "past_due") // this payment is older
	s.expectEmails(t, wantEmail{s.olga, "A payment for Luna Café has failed", []string{"Nobody has lost access by this."}})
	expectAccess(t, s.luna, wantAccess{s.ann, s.agencyID, "yes, " + s.agencyID + ", pages:edit; client owns"})
	pay("paid", 2*time.Minute, "active")
	pay("failed", 90*time.Second, "active")
	s.expectEmails(t, wantEmail{s.olga, "The payment for Luna Café has succeeded", nil})
}

// paymentOfAgency reports a payment for an account that the agency owns: it is among the
// events of the agency's month too.
func (s *platformStory) paymentOfAgency(t *testing.T) {
	cafe := s.ann.opensOwned(t, s.agencyID, "Paid Café", "starter", nil, nil)
	s.newEmails(t)
	body := map[string]any{"state": "failed", "at": time.Now().UTC().Add(-time.Minute).Format(time.RFC3339)}
	a := read[platformAccount](t, s.software.post(t, "/v1/platform/accounts/"+cafe+"/payment", body).is(t, http.StatusOK))
	if a.Subscription.State != "past_due" || a.Subscription.Payer != "agency" {
		t.Errorf("%+v", a)
	}
	s.expectEmails(t, wantEmail{s.ann, "A payment for Paid Café has failed", nil})
	s.ann.expectActivity(t, cafe, s.agencyID, "account.created", "subscription.payment_failed")
}

func (s *platformStory) readStatus(t *testing.T) {
	before := time.Now()
	_, err := s.Cleanup(t.Context())
	must(t, err)
	got := read[struct {
		Version string
		Now     time.Time
		Sweep   struct {
			At       time.Time
			Finished bool
			Failed   int
		}
	}](t, s.software.get(t, "/v1/platform/status").is(t, http.StatusOK))
	// The run is later than this machine's clock says at its start, by at most what the
	// functions' clock may differ.
	if got.Version != "dev" || !got.Sweep.Finished || got.Sweep.Failed != 0 || got.Sweep.At.Before(before.Add(-2*time.Second)) || got.Now.Before(got.Sweep.At) {
		t.Errorf("%+v, and cleanup ran after %s", got, before)
	}
}

func (s *platformStory) refusals(t *testing.T) {
	cafe := s.ann.opensOwned(t, s.agencyID, "Carl's Café", "starter", nil, nil)
	closed := s.olga.opens(t, "Luna Pub")
	s.olga.delete(t, "/v1/accounts/"+closed).is(t, http.StatusOK)
	s.newEmails(t) // other tests look at these
	before := s.settled(t)
	good := func(change func(map[string]any)) map[string]any {
		body := map[string]any{"name": "Luna Café", "ownerEmail": s.olga.email}
		change(body)
		return body
	}
	raised := func(limits map[string]any) map[string]any { return map[string]any{"limits": limits} }
	accounts := "/v1/platform/accounts/"
	for _, c := range []struct {
		name, method, path string
		body               any
		status             int
		code, field        string
	}{
		{"no body", "PUT", s.accountPath, nil, 400, "invalid", "body"},
		{"no name", "PUT", s.accountPath, good(func(b map[string]any) { delete(b, "name") }), 400, "invalid", "body.name"},
		{"a hostile name", "PUT", s.accountPath, good(func(b map[string]any) { b["name"] = "x\u202ey" }), 400, "invalid", "body.name"},
		{"no owner", "PUT", s.accountPath, good(func(b map[string]any) { delete(b, "ownerEmail") }), 400, "invalid", "body.ownerEmail"},
		{"no address", "PUT", s.accountPath, good(func(b map[string]any) { b["ownerEmail"] = "olga" }), 400, "invalid", "body.ownerEmail"},
		{"no such plan", "PUT", s.accountPath, good(func(b map[string]any) { b["plan"] = "free" }), 400, "invalid", "body.plan"},
		{"an unknown field", "PUT", s.accountPath, good(func(b map[string]any) { b["role"] = "owner" }), 400, "invalid", "body.role"},
		{"no id", "PUT", accounts + "shop-7", good(func(map[string]any) {}), 400, "invalid", "path.account"},
		{"an unknown parameter", "PUT", s.accountPath + "?as=" + s.agencyID, good(func(map[string]any) {}), 400, "invalid", "query.as"},
		{"an owned account", "PUT", accounts + cafe, good(func(map[string]any) {}), 409, "permanently_owned", ""},
		{"a closed account", "PUT", accounts + closed, good(func(map[string]any) {}), 409, "conflict", ""},
		{"another owner", "PUT", s.accountPath, good(func(b map[string]any) { b["ownerEmail"] = s.ann.email }), 409, "conflict", ""},
		{"replacing without addresses", "POST", s.accountPath + "/owner", map[string]any{}, 400, "invalid", "body.from"},
		{"replacing by no address", "POST", s.accountPath + "/owner", map[string]any{"from": s.olga.email, "to": "olga"}, 400, "invalid", "body.to"},
		{"replacing by the same address", "POST", s.accountPath + "/owner", map[string]any{"from": s.olga.email, "to": "OLGA.NEW@luna.platform.test"}, 400, "invalid", "body.to"},
		{"replacing with a role", "POST", s.accountPath + "/owner", map[string]any{"from": s.olga.email, "to": "x@platform.test", "role": "admin"}, 400, "invalid", "body.role"},
		{"replacing somebody else", "POST", s.accountPath + "/owner", map[string]any{"from": s.ann.email, "to": "x@platform.test"}, 409, "conflict", ""},
		{"replacing the owner of an owned account", "POST", accounts + cafe + "/owner", map[string]any{"from": s.ann.email, "to": "x@platform.test"}, 409, "permanently_owned", ""},
		{"replacing the owner of a closed account", "POST", accounts + closed + "/owner", map[string]any{"from": s.olga.email, "to": "x@platform.test"}, 409, "conflict", ""},
		{"replacing the owner of no account", "POST", accounts + "acct_00000000000000000000000000/owner", map[string]any{"from": s.olga.email, "to": "x@platform.test"}, 404, "not_found", ""},
		{"replacing the owner of no id", "POST", accounts + "shop-7/owner", map[string]any{"from": s.olga.email, "to": "x@platform.test"}, 400, "invalid", "path.account"},
		{"no limits", "PATCH", s.accountPath, map[string]any{}, 400, "invalid", "body.limits"},
		{"limits of nothing", "PATCH", s.accountPath, raised(map[string]any{}), 400, "invalid", "body.limits"},
		{"limits that are null", "PATCH", s.accountPath, map[string]any{"limits": nil}, 400, "invalid", "body.limits"},
		{"a limit of 0", "PATCH", s.accountPath, raised(map[string]any{"openRequests": 0}), 400, "invalid", "body.limits.openRequests"},
		{"a limit below 0", "PATCH", s.accountPath, raised(map[string]any{"openInvitations": -1}), 400, "invalid", "body.limits.openInvitations"},
		{"half a limit", "PATCH", s.accountPath, raised(map[string]any{"openRequests": 1.5}), 400, "invalid", "body.limits.openRequests"},
		{"an absurd limit", "PATCH", s.accountPath, raised(map[string]any{"requestsByPerson": 1_000_001}), 400, "invalid", "body.limits.requestsByPerson"},
		{"an unknown limit", "PATCH", s.accountPath, raised(map[string]any{"dailyMails": 20}), 400, "invalid", "body.limits.dailyMails"},
		{"limits of an owned account", "PATCH", accounts + cafe, raised(map[string]any{"openRequests": 200}), 409, "permanently_owned", ""},
		{"limits of a closed account", "PATCH", accounts + closed, raised(map[string]any{"openRequests": 200}), 409, "conflict", ""},
		{"limits of no account", "PATCH", accounts + "acct_00000000000000000000000000", raised(map[string]any{"openRequests": 200}), 404, "not_found", ""},
		{"no state", "POST", s.accountPath + "/payment", map[string]any{"at": "2026-01-01T00:00:00Z"}, 400, "invalid", "body.state"},
		{"another state", "POST", s.accountPath + "/payment", map[string]any{"state": "due", "at": "2026-01-01T00:00:00Z"}, 400, "invalid", "body.state"},
		{"no time", "POST", s.accountPath + "/payment", map[string]any{"state": "paid"}, 400, "invalid", "body.at"},
		{"half a time", "POST", s.accountPath + "/payment", map[string]any{"state": "paid", "at": "2026-01-01"}, 400, "invalid", "body.at"},
		{"a time ahead", "POST", s.accountPath + "/payment", map[string]any{"state": "paid", "at": time.Now().Add(time.Hour).UTC().Format(time.RFC3339)}, 400, "invalid", "body.at"},
		{"a payment of nothing", "POST", accounts + "acct_00000000000000000000000000/payment", map[string]any{"state": "paid", "at": "2026-01-01T00:00:00Z"}, 404, "not_found", ""},
		{"a payment of what is closed", "POST", accounts + closed + "/payment", map[string]any{"state": "paid", "at": "2026-01-01T00:00:00Z"}, 409, "conflict", ""},
		{"access of nobody", "POST", "/v1/platform/access", map[string]any{"account": s.luna}, 400, "invalid", "body.email"},
		{"access of no address", "POST", "/v1/platform/access", map[string]any{"account": s.luna, "email": "x"}, 400, "invalid", "body.email"},
		{"access to no id", "POST", "/v1/platform/access", map[string]any{"account": "luna", "email": s.ann.email}, 400, "invalid", "body.account"},
		{"access as no id", "POST", "/v1/platform/access", map[string]any{"account": s.luna, "email": s.ann.email, "as": "x"}, 400, "invalid", "body.as"},
		{"a status with a parameter", "GET", "/v1/platform/status?x=1", nil, 400, "invalid", "query.x"},
		{"another method", "DELETE", s.accountPath, nil, 405, "invalid", ""},
		{"nothing", "GET", "/v1/platform/nothing", nil, 404, "not_found", ""},
	} {
		p := s.software.call(t, c.method, c.path, c.body)
		got := p.refused(t, c.status, c.code, "")
		named := false
		for _, e := range got.Errors {
			named = named || e.Field == c.field
		}
		if named != (c.field != "") {
			t.Errorf("%s names %+v, want %q", c.name, got.Errors, c.field)
		}
	}
	expectUnchanged(t, before, s.dump(t))
	s.expectEmails(t)
}

func (s *platformStory) scopes(t *testing.T) {
	before := s.settled(t)
	for _, who := range []*person{s.ann, s.olga} {
		for _, c := range [][2]string{{"PUT", s.accountPath}, {"PATCH", s.accountPath}, {"POST", s.accountPath + "/payment"}, {"POST", s.accountPath + "/owner"}, {"POST", "/v1/platform/access"}} {
			r := who.call(t, c[0], c[1], map[string]any{"account": s.luna, "email": s.ann.email, "name": "x", "ownerEmail": s.ann.email})
			if r.is(t, http.StatusForbidden); r.Header.Get("Www-Authenticate") == "" {
				t.Errorf("%s: the gateway asks for no scope", r.to)
			}
		}
	}
	s.signedOut().call(t, "PUT", s.accountPath, map[string]any{}).is(t, http.StatusUnauthorized)
	for _, path := range []string{"/v1/me", "/v1/accounts", "/v1/accounts/" + s.luna, "/v1/accounts/" + s.luna + "/access", "/v1/accounts/" + s.luna + "/subscription", s.agencyPath + "/bill"} {
		s.software.get(t, path).refused(t, http.StatusUnauthorized, "unauthenticated", "")
	}
	expectUnchanged(t, before, s.dump(t))
}
