package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"agencyhub/shared/agency"
	"agencyhub/shared/rest"
	"agencyhub/shared/service"
	"agencyhub/shared/testbed"
	"agencyhub/shared/testbed/apitest"
)

const day = 24 * time.Hour

var cleo, olga, ian, mia, gil = apitest.Person("cleo"), apitest.Person("olga"), apitest.Person("ian"), apitest.Person("mia"), apitest.Person("gil")

// world is cleo's shop, with the admin olga and the member mia, and gil's studio, an
// agency that owns the cafe.
type world struct {
	*apitest.Stage
	shop, studio, cafe agency.AccountID
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{Stage: apitest.New(t, api)}
	w.shop, w.studio = w.Open(cleo, "Shop"), w.OpenAgency(gil, "Studio")
	w.cafe = w.CreateOwned(gil, w.studio, "Cafe")
	w.Join(w.byCleo(), w.shop, olga, agency.Admin)
	w.Join(w.byCleo(), w.shop, mia, agency.Member)
	return w
}

func (w *world) byCleo() agency.Caller { return agency.Caller{Actor: cleo} }

func (w *world) team(account agency.AccountID) string {
	return "/v1/accounts/" + string(account) + "/team"
}

func (w *world) invite(who agency.Actor, body string) apitest.Answer {
	return w.Call(who, "POST "+w.team(w.shop), body)
}

// step calls a step on a member of the shop.
func (w *world) step(who, member agency.Actor, step string) apitest.Answer {
	return w.Call(who, "POST "+w.team(w.shop)+"/"+string(member.ID())+"/"+step, "")
}

// member is a member as an answer shows them.
func (w *world) member(status int, a apitest.Answer) rest.Member {
	return apitest.Read[rest.Member](a, status)
}

// listed returns a person as the shop's team shows them.
func (w *world) listed(t *testing.T, who agency.Actor) rest.Member {
	t.Helper()
	for _, m := range apitest.Read[rest.List[rest.Member]](w.Call(cleo, "GET "+w.team(w.shop), ""), 200).Items {
		if m.ID == string(who.ID()) {
			return m
		}
	}
	t.Fatalf("%s is not in the team", who.Email)
	return rest.Member{}
}

func areas(level, others agency.Level) rest.Areas {
	return rest.Areas{"pages": level, "funnels": others, "mail": others, "contacts": others, "analytics": others}
}

// An invited person is in the team with what they get by accepting, and has no access.
func TestInvite(t *testing.T) {
	w := newWorld(t)
	got := w.member(201, w.invite(cleo, `{"email":" Ian@X.test ","role":"member","areas":{"pages":"view"}}`))
	at, expires := apitest.Noon, apitest.Noon.Add(30*day)
	want := rest.Member{
		ID: string(ian.ID()), Kind: "person", Name: ian.Email, Email: new(ian.Email), Status: "invited", Role: new("member"),
		Areas: areas("view", "none"), Ownership: "client", Request: new(1), RequestedAt: rest.OptionalTime(at), ExpiresAt: rest.OptionalTime(expires),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("inviting (-want +got): %s", diff)
	}
	if diff := cmp.Diff(want, w.listed(t, ian)); diff != "" {
		t.Errorf("the team (-want +got): %s", diff)
	}
	access := apitest.Must[agency.Access](w.Stage)(w.CheckAccess(t.Context(), agency.Caller{Actor: ian}, w.shop))
	if access.Allowed || access.Reason != agency.StillInvited {
		t.Errorf("access before accepting: %+v", access)
	}
	// Again, a day later: the same terms keep the number, other terms have a new one.
	w.Pause(t.Context(), day)
	if got := w.member(201, w.invite(olga, `{"email":"ian@x.test","role":"member","areas":{"pages":"view"}}`)); *got.Request != 1 || !got.ExpiresAt.Equal(expires.Add(day)) {
		t.Errorf("inviting again: %+v", got)
	}
	w.Pause(t.Context(), day)
	if got := w.member(201, w.invite(cleo, `{"email":"ian@x.test","role":"admin"}`)); *got.Request != 2 || *got.Role != "admin" || got.Areas["mail"] != "edit" {
		t.Errorf("inviting with other terms: %+v", got)
	}
	if got := w.member(201, w.invite(cleo, `{"email":"ian@x.test","role":"admin"}`)); *got.Request != 2 {
		t.Errorf("the same invitation again: %+v", got)
	}
	if got := w.invite(cleo, `{"email":"ian@x.test","role":"owner"}`); got.Refusal() != "rate_limited [invited]" || got.Header["Retry-After"] != "86400" {
		t.Errorf("inviting with other terms on the same day: %d %s", got.Status, got.Body)
	}
	// Who has access gets the role immediately, or as an owner an offer.
	if got := w.member(200, w.invite(cleo, `{"email":"mia@x.test","role":"admin"}`)); got.Status != "active" || *got.Role != "admin" || got.Request != nil || got.Offer != nil || got.ExpiresAt != nil {
		t.Errorf("inviting a member: %+v", got)
	}
	offered := w.member(200, w.invite(cleo, `{"email":"mia@x.test","role":"owner"}`))
	now := w.Now()
	expires = now.Add(30 * day)
	want = rest.Member{
		ID: string(mia.ID()), Kind: "person", Name: mia.Email, Email: new(mia.Email), Status: "active", Role: new("admin"), Offer: new("owner"),
		Areas: areas("edit", "edit"), Ownership: "client", Request: new(2), RequestedAt: rest.OptionalTime(now), ExpiresAt: rest.OptionalTime(expires),
	}
	if diff := cmp.Diff(want, offered); diff != "" {
		t.Errorf("offering ownership (-want +got): %s", diff)
	}
	if got := w.member(200, w.Call(cleo, "PATCH "+w.team(w.shop)+"/"+string(olga.ID()), `{"role":"owner"}`)); got.Status != "active" || *got.Role != "admin" || *got.Offer != "owner" {
		t.Errorf("offering ownership by a change: %+v", got)
	}
	// An offer that has expired is none, whether or not the sweep has recorded it.
	w.Pause(t.Context(), 30*day)
	if got := w.listed(t, mia); got.Offer != nil || got.Request != nil || got.Status != "active" {
		t.Errorf("a member whose offer has expired: %+v", got)
	}
	if got := w.listed(t, ian); got.Status != "expired" || *got.Request != 2 || *got.Role != "admin" {
		t.Errorf("a person whose invitation has expired: %+v", got)
	}
	if got := w.member(201, w.invite(cleo, `{"email":"ian@x.test","role":"admin"}`)); got.Status != "invited" || *got.Request != 3 {
		t.Errorf("inviting after that: %+v", got)
	}
}

// A refused invitation changes nothing.
func TestInvitationsThatAreRefused(t *testing.T) {
	w := newWorld(t)
	w.invite(cleo, `{"email":"ian@x.test","role":"member","areas":{"pages":"view"}}`)
	w.Join(w.byCleo(), w.shop, apitest.Person("deniz"), agency.Member)
	declined := w.Invite(w.byCleo(), w.shop, apitest.Person("no"), agency.Member)
	apitest.Must[service.RequestDetail](w.Stage)(w.DeclineInvitation(t.Context(), apitest.Person("no"), w.shop, service.Decline{Request: declined.Request.Number}))
	before := w.Items()
	const member = `"role":"member","areas":{"pages":"view"}}`
	for _, tt := range []struct {
		who        agency.Actor
		body, want string
	}{
		{cleo, `{"email":"no@x.test",` + member, "cooling [declined]"},
		{olga, `{"email":"x@x.test","role":"owner"}`, "forbidden"},
		{olga, `{"email":"mia@x.test","role":"owner"}`, "forbidden"},
		{olga, `{"email":"cleo@x.test","role":"admin"}`, "forbidden"},
		{cleo, `{"email":"cleo@x.test","role":"admin"}`, "last_owner [active]"},
		{mia, `{"email":"x@x.test",` + member, "forbidden"},
		{ian, `{"email":"x@x.test",` + member, "not_found"},
		{gil, `{"email":"x@x.test",` + member, "not_found"},
		{agency.NewActor(cleo.Email, cleo.Issuer, "another"), `{"email":"x@x.test",` + member, "identity_changed"},
		{cleo, `{"email":"x",` + member, "invalid [body.email]"},
		{cleo, `{"email":"",` + member, "invalid [body.email]"},
		{cleo, `{"email":"a@b@x.test",` + member, "invalid [body.email]"},
		{cleo, `{"email":"` + strings.Repeat("x", 254) + `@x.test",` + member, "invalid [body.email]"},
		{cleo, `{"email":null,` + member, "invalid [body.email]"},
		{cleo, `{` + member, "invalid [body.email]"},
		{cleo, `{"email":"x@x.test"}`, "invalid [body.role]"},
		{cleo, `{"email":"x@x.test","role":"boss"}`, "invalid [body.role]"},
		{cleo, `{"email":"x@x.test","role":"member"}`, "invalid [body.areas]"},
		{cleo, `{"email":"x@x.test","role":"member","areas":{"pages":"none"}}`, "invalid [body.areas]"},
		{cleo, `{"email":"x@x.test","role":"member","areas":{"cellar":"view"}}`, "invalid [body.areas.cellar]"},
		{cleo, `{"email":"x@x.test","role":"member","areas":{"pages":"all"}}`, "invalid [body.areas.pages]"},
		{cleo, `{"email":"x@x.test","role":"admin","areas":{"pages":"view"}}`, "invalid [body.areas]"},
		{cleo, `{"email":"x@x.test","role":"admin","until":null}`, "invalid [body.until]"},
		{cleo, ``, "invalid [body]"},
	} {
		if got := w.invite(tt.who, tt.body); got.Refusal() != tt.want {
			t.Errorf("%s: %s: %d %s, and %q is expected", tt.who.Email, tt.body, got.Status, got.Body, tt.want)
		}
	}
	for call, want := range map[string]string{
		"POST /v1/accounts/acct_x/team":                               "invalid [path.account]",
		"POST /v1/accounts/acct_" + strings.Repeat("0", 26) + "/team": "not_found",
		"POST " + w.team(w.cafe):                                      "not_found",
		"POST " + w.team(w.shop) + "?as=x":                            "invalid [query.as]",
		"POST " + w.team(w.shop) + "?as=" + string(w.studio):          "not_found",
	} {
		if got := w.Call(cleo, call, `{"email":"x@x.test",`+member); got.Refusal() != want {
			t.Errorf("%s: %d %s", call, got.Status, got.Body)
		}
	}
	if got := w.Call(gil, "POST "+w.team(w.cafe)+"?as="+string(w.studio), `{"email":"x@x.test","role":"admin"}`); got.Refusal() != "invalid [body.role]" {
		t.Errorf("an admin of an owned account: %d %s", got.Status, got.Body)
	}
	testbed.SameItems(t, before, w.Items())
	if got := w.member(201, w.Call(gil, "POST "+w.team(w.cafe)+"?as="+string(w.studio), `{"email":"x@x.test",`+member)); got.Status != "invited" || got.Ownership != "agency" {
		t.Errorf("inviting the client: %+v", got)
	}
}

// An answer does not show whether the person is known, blocks the account, cools from
// elsewhere or is being erased.
func TestInvitationsTellNothing(t *testing.T) {
	w := newWorld(t)
	known, blocking, erasing := apitest.Person("known"), apitest.Person("block"), apitest.Person("erase")
	for _, who := range []agency.Actor{known, blocking} {
		w.Open(who, "Own")
	}
	// blocking blocks by an invitation that another account of the agency made.
	p := w.Invite(agency.Caller{Actor: gil, As: w.studio}, w.cafe, blocking, agency.Member)
	apitest.Must[service.RequestDetail](w.Stage)(w.DeclineInvitation(t.Context(), blocking, w.cafe, service.Decline{Request: p.Request.Number, Block: true}))
	if err := w.EraseMe(t.Context(), erasing); err != nil {
		t.Fatal(err)
	}
	var first string
	for _, name := range []string{"newer", "known", "block", "erase"} {
		w.TakeCalls()
		got := w.Call(gil, "POST "+w.team(w.studio), fmt.Sprintf(`{"email":"%s@x.test","role":"admin"}`, name))
		m := w.member(201, got)
		text := strings.NewReplacer(name, "newer", m.ID, "per_").Replace(got.Body) + fmt.Sprint(w.TakeCalls())
		if first == "" {
			first = text
		}
		if text != first {
			t.Errorf("inviting %s: %s\nbut of an unknown address: %s", name, text, first)
		}
	}
}

// An invitation or offer is sent again, withdrawn, and asked for a new sign-in, each only
// where it makes sense.
func TestSteps(t *testing.T) {
	w := newWorld(t)
	w.invite(cleo, `{"email":"ian@x.test","role":"member","areas":{"pages":"view"}}`)
	if got := w.step(cleo, ian, "resend"); got.Refusal() != "rate_limited [invited]" || got.Header["Retry-After"] != "86400" {
		t.Errorf("resending at once: %d %s", got.Status, got.Body)
	}
	w.Pause(t.Context(), day)
	if got := w.member(200, w.step(olga, ian, "resend")); got.Status != "invited" || *got.Request != 1 || !got.ExpiresAt.Equal(apitest.Noon.Add(31*day)) {
		t.Errorf("resending: %+v", got)
	}
	for _, step := range []string{"withdraw", "withdraw"} { // again changes nothing
		if got := w.member(200, w.step(olga, ian, step)); got.Status != "withdrawn" || *got.Request != 1 {
			t.Errorf("withdrawing: %+v", got)
		}
	}
	if got := w.step(cleo, ian, "resend"); got.Refusal() != "not_pending [withdrawn]" {
		t.Errorf("resending a withdrawn invitation: %d %s", got.Status, got.Body)
	}

	// An offer: only an owner resends or withdraws it.
	w.invite(cleo, `{"email":"mia@x.test","role":"owner"}`)
	for _, step := range []string{"resend", "withdraw"} {
		if got := w.step(olga, mia, step); got.Refusal() != "forbidden" {
			t.Errorf("%s of an offer by an admin: %d %s", step, got.Status, got.Body)
		}
	}
	w.Pause(t.Context(), day)
	if got := w.member(200, w.step(cleo, mia, "resend")); got.Status != "active" || *got.Offer != "owner" || *got.Request != 2 {
		t.Errorf("resending an offer: %+v", got)
	}
	if got := w.member(200, w.step(cleo, mia, "withdraw")); got.Status != "active" || got.Offer != nil || got.Request != nil || *got.Role != "member" {
		t.Errorf("withdrawing an offer: %+v", got)
	}

	// A new sign-in: the terms stay, and the access ends until they accept.
	got := w.member(200, w.step(olga, mia, "new-sign-in"))
	if got.Status != "invited" || *got.Role != "member" || got.Areas["pages"] != "view" || *got.Request != 3 {
		t.Errorf("asking for a new sign-in: %+v", got)
	}
	another := agency.NewActor(mia.Email, mia.Issuer, "another")
	if got := w.Call(mia, "GET "+w.team(w.shop), ""); got.Refusal() != "not_found" {
		t.Errorf("before accepting: %d %s", got.Status, got.Body)
	}
	apitest.Must[service.AccountView](w.Stage)(w.AcceptInvitation(t.Context(), another, w.shop, service.Answer{Request: 3}))
	if got := w.Call(another, "GET "+w.team(w.shop), ""); got.Refusal() != "forbidden" {
		t.Errorf("with the new sign-in: %d %s", got.Status, got.Body)
	}
	if got := w.Call(mia, "GET "+w.team(w.shop), ""); got.Refusal() != "identity_changed" {
		t.Errorf("with the old sign-in: %d %s", got.Status, got.Body)
	}
}

// A refused step changes nothing.
func TestStepsThatAreRefused(t *testing.T) {
	w := newWorld(t)
	w.invite(cleo, `{"email":"ian@x.test","role":"member","areas":{"pages":"view"}}`)
	w.invite(cleo, `{"email":"late@x.test","role":"member","areas":{"pages":"view"}}`)
	w.Pause(t.Context(), 29*day)
	w.member(200, w.step(cleo, ian, "resend"))
	w.Pause(t.Context(), day) // late's has expired
	late := apitest.Person("late")
	apitest.Must[agency.Profile](w.Stage)(w.RequestConnection(t.Context(), gil, w.studio, service.ConnectionRequest{Account: w.shop, Areas: agency.Areas{"pages": agency.View}}))
	before := w.Items()
	for _, tt := range []struct {
		who                         agency.Actor
		member                      string
		resend, withdraw, newSignIn string
	}{
		{cleo, string(late.ID()), "request_expired [expired]", "request_expired [expired]", "not_active [expired]"},
		{cleo, string(ian.ID()), "", "", "not_active [invited]"},
		{cleo, string(mia.ID()), "not_pending [active]", "not_pending [active]", ""},
		{cleo, string(cleo.ID()), "not_pending [active]", "not_pending [active]", "forbidden"},
		{olga, string(cleo.ID()), "forbidden", "forbidden", "forbidden"},
		{mia, string(ian.ID()), "forbidden", "forbidden", "forbidden"},
		{mia, string(gil.ID()), "forbidden", "forbidden", "forbidden"},
		{ian, string(ian.ID()), "not_found", "not_found", "not_found"},
		{gil, string(ian.ID()), "not_found", "not_found", "not_found"},
		{agency.NewActor(cleo.Email, cleo.Issuer, "another"), string(ian.ID()), "identity_changed", "identity_changed", "identity_changed"},
		{cleo, string(gil.ID()), "not_found", "not_found", "not_found"},
		{cleo, "per_x", "invalid [path.member]", "invalid [path.member]", "invalid [path.member]"},
		{cleo, "ian@x.test", "invalid [path.member]", "invalid [path.member]", "invalid [path.member]"},
		{cleo, string(w.studio), "invalid [path.member]", "invalid [path.member]", "invalid [path.member]"},
		{cleo, strings.Repeat("x", 65), "invalid [path.member]", "invalid [path.member]", "invalid [path.member]"},
	} {
		for step, want := range map[string]string{"resend": tt.resend, "withdraw": tt.withdraw, "new-sign-in": tt.newSignIn} {
			if want == "" {
				continue
			}
			if got := w.Call(tt.who, "POST "+w.team(w.shop)+"/"+tt.member+"/"+step, ""); got.Refusal() != want {
				t.Errorf("%s %ss %s: %d %s, and %q is expected", tt.who.Email, step, tt.member, got.Status, got.Body, want)
			}
		}
	}
	for _, step := range []string{"resend", "withdraw", "new-sign-in"} {
		call := "POST " + w.team(w.shop) + "/" + string(ian.ID()) + "/" + step
		if got := w.Call(cleo, call, `{"request":1}`); got.Refusal() != "invalid [body]" {
			t.Errorf("%s with a body: %d %s", step, got.Status, got.Body)
		}
		for _, got := range []apitest.Answer{w.CallWithout(call, ""), w.CallPlatform(call, "")} {
			if got.Refusal() != "unauthenticated" {
				t.Errorf("%s without a person: %d %s", step, got.Status, got.Body)
			}
		}
	}
	testbed.SameItems(t, before, w.Items())
}

// Times are answered as they decide, to the millisecond: an end date that was read and is
// given back changes nothing, and access ends at it.
func TestTimesAreWhole(t *testing.T) {
	w := newWorld(t)
	w.Pause(t.Context(), 123*time.Millisecond)
	view := agency.Areas{w.Rules.Areas[0].ID: agency.View}
	con := apitest.Must[agency.Profile](w.Stage)(w.RequestConnection(t.Context(), gil, w.studio, service.ConnectionRequest{Account: w.shop, Areas: view}))
	path := w.team(w.shop) + "/" + string(w.studio)
	agencyOf := func() rest.Member {
		return apitest.Read[rest.List[rest.Member]](w.Call(cleo, "GET "+w.team(w.shop), ""), 200).Items[0]
	}
	if m := agencyOf(); !m.ExpiresAt.Equal(con.Request.ExpiresAt) || m.ExpiresAt.Nanosecond() != 123e6 {
		t.Errorf("expiresAt is %v, and %v decides", m.ExpiresAt, con.Request.ExpiresAt)
	}
	apitest.Must[agency.Profile](w.Stage)(w.AcceptRequest(t.Context(), w.byCleo(), w.shop, w.studio, service.Grant{Request: 1}))
	events := func() int {
		return len(apitest.Must[service.List[agency.Event]](w.Stage)(w.AccountActivity(t.Context(), w.byCleo(), w.shop, service.Page{Limit: 100})).Items)
	}
	until := w.Now().Add(day).Add(456_789 * time.Microsecond)
	for i, given := range []string{until.Format(time.RFC3339Nano), ""} {
		before := events()
		if given == "" {
			given = agencyOf().Until.Format(time.RFC3339Nano)
		}
		m := w.member(200, w.Call(cleo, "PATCH "+path, `{"until":"`+given+`"}`))
		if want := until.Truncate(time.Millisecond); !m.Until.Equal(want) {
			t.Errorf("until is %v, want %v", m.Until, want)
		}
		if changed := events() - before; changed != 1-i {
			t.Errorf("%s was recorded %d times", given, changed)
		}
	}
	end := agencyOf().Until.Time
	for _, tt := range []struct {
		at      time.Time
		allowed bool
	}{{end.Add(-time.Millisecond), true}, {end, false}} {
		w.Pause(t.Context(), tt.at.Sub(w.Now()))
		access := apitest.Must[agency.Access](w.Stage)(w.CheckAccess(t.Context(), agency.Caller{Actor: gil, As: w.studio}, w.shop))
		if access.Allowed != tt.allowed {
			t.Errorf("at %v, with the end at %v: %+v", tt.at, end, access)
		}
	}
}
