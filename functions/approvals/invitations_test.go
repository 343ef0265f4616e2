package main

import (
	"fmt"
	"strings"
	"sync"
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

var cleo, ian, olga, gil = apitest.Person("cleo"), apitest.Person("ian"), apitest.Person("olga"), apitest.Person("gil")

// world is cleo's shop, in which olga is an admin, and gil's studio, an agency that owns
// the cafe.
type world struct {
	*apitest.Stage
	shop, studio, cafe agency.AccountID
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{Stage: apitest.New(t, api)}
	w.shop, w.studio = w.Open(cleo, "Shop"), w.OpenAgency(gil, "Studio")
	w.cafe = w.CreateOwned(gil, w.studio, "Cafe")
	w.Join(agency.Caller{Actor: cleo}, w.shop, olga, agency.Admin)
	return w
}

func (w *world) byCleo() agency.Caller { return agency.Caller{Actor: cleo} }
func (w *world) byGil() agency.Caller  { return agency.Caller{Actor: gil, As: w.studio} }

// invitationPath is the path of a person's own invitation.
func invitationPath(account agency.AccountID) string { return "/v1/me/invitations/" + string(account) }

func (w *world) accept(who agency.Actor, account agency.AccountID, body string) apitest.Answer {
	return w.Call(who, "POST "+invitationPath(account)+"/accept", body)
}

func (w *world) decline(who agency.Actor, account agency.AccountID, body string) apitest.Answer {
	return w.Call(who, "POST "+invitationPath(account)+"/decline", body)
}

// item is an item of the list of what waits, and status that of an invitation.
type item struct {
	Kind        string
	ID          *string
	Account     *rest.AccountRef
	From        rest.AccountRef
	By, Email   *string
	Role        *string
	Areas       map[string]string
	Message     *string
	Request     int
	RequestedAt time.Time
	ExpiresAt   time.Time
	Plan        *plan
	Status      string
}

type page struct {
	Items []item
	Next  *string
}

// waits returns everything that waits for a person, a page of the limit at a time.
func (w *world) waits(who agency.Actor, limit int) []item {
	var all []item
	for cursor, pages := "", 0; ; pages++ {
		if pages > 1000 {
			panic("the list has no end")
		}
		p := apitest.Read[page](w.Call(who, fmt.Sprintf("GET /v1/me/waiting?limit=%d%s", limit, cursor), ""), 200)
		if len(p.Items) > limit {
			panic(fmt.Sprintf("a page of %d for a limit of %d", len(p.Items), limit))
		}
		all = append(all, p.Items...)
		if p.Next == nil {
			return all
		}
		cursor = "&cursor=" + *p.Next
	}
}

var viewPages = map[string]string{"pages": "view", "funnels": "none", "mail": "none", "contacts": "none", "analytics": "none"}

var editAll = map[string]string{"pages": "edit", "funnels": "edit", "mail": "edit", "contacts": "edit", "analytics": "edit"}

// An invitation waits for its person alone, is accepted once, and an acceptance repeated.
func TestInvitation(t *testing.T) {
	w := newWorld(t)
	w.Invite(w.byCleo(), w.shop, ian, agency.Member)
	want := item{
		Kind: "invitation", Account: &rest.AccountRef{ID: string(w.shop), Name: "Shop"}, From: rest.AccountRef{ID: string(w.shop), Name: "Shop"},
		By: new(cleo.Email), Role: new("member"), Areas: viewPages, Request: 1, RequestedAt: apitest.Noon, ExpiresAt: apitest.Noon.Add(30 * day),
	}
	if diff := cmp.Diff([]item{want}, w.waits(ian, 25)); diff != "" {
		t.Errorf("what waits (-want +got): %s", diff)
	}
	for _, who := range []agency.Actor{cleo, olga, gil, apitest.Person("eve")} {
		if got := w.waits(who, 25); len(got) != 0 {
			t.Errorf("for %s waits %v", who.Email, got)
		}
		if got := w.Call(who, "GET "+invitationPath(w.shop), ""); who != cleo && who != olga && got.Refusal() != "not_found" {
			t.Errorf("%s reads %d %s", who.Email, got.Status, got.Body)
		}
	}
	want.Status = "open"
	if diff := cmp.Diff(want, apitest.Read[item](w.Call(ian, "GET "+invitationPath(w.shop), ""), 200)); diff != "" {
		t.Errorf("the invitation (-want +got): %s", diff)
	}

	first := w.accept(ian, w.shop, `{"request":1}`)
	account := apitest.Read[rest.Account](first, 200)
	if account.ID != string(w.shop) || *account.Role != "member" || !account.Access.Allowed || *account.Access.Via != "own" {
		t.Errorf("accepting returns %s", first.Body)
	}
	if got := apitest.Must[service.AccountView](w.Stage)(w.GetAccount(t.Context(), agency.Caller{Actor: ian}, w.shop)); got.Role != agency.Member {
		t.Errorf("the account afterwards: %+v", got)
	}
	if again := w.accept(ian, w.shop, `{"request":1}`); again.Body != first.Body {
		t.Errorf("accepting again returns %d %s", again.Status, again.Body)
	}
	if got := w.waits(ian, 25); len(got) != 0 {
		t.Errorf("afterwards waits %v", got)
	}
	if got := apitest.Read[item](w.Call(ian, "GET "+invitationPath(w.shop), ""), 200); got.Status != "accepted" {
		t.Errorf("afterwards the invitation is %q", got.Status)
	}
}

// Everything that waits is in one list, whatever the size of its pages.
func TestWaiting(t *testing.T) {
	w := newWorld(t)
	w.Invite(w.byGil(), w.cafe, cleo, agency.Member)
	second := w.Open(olga, "Second")
	w.Invite(agency.Caller{Actor: olga}, second, cleo, agency.Owner)
	ask := func(in service.ConnectionRequest) {
		in.Areas = agency.Areas{"pages": agency.View}
		apitest.Must[agency.Profile](w.Stage)(w.RequestConnection(t.Context(), gil, w.studio, in))
	}
	ask(service.ConnectionRequest{Account: w.shop, Message: "Hello"})
	ask(service.ConnectionRequest{OwnerEmail: cleo.Email})
	apitest.Must[agency.Profile](w.Stage)(w.ChangeMember(t.Context(), w.byCleo(), w.shop, agency.Party(olga.ID()), service.MemberChange{Role: agency.Owner}))

	studio, expires := rest.AccountRef{ID: string(w.studio), Name: "Studio"}, apitest.Noon.Add(14*day)
	shop := rest.AccountRef{ID: string(w.shop), Name: "Shop"}
	starter := &plan{ID: "starter", Name: "Starter", MonthlyPrice: 2900, Currency: "USD"}
	atShop := item{
		Kind: "connection", ID: new("con_" + string(w.shop) + "_" + string(w.studio)), Account: &shop, From: studio,
		By: new(gil.Email), Areas: viewPages, Message: new("Hello"), Request: 1, RequestedAt: apitest.Noon, ExpiresAt: expires,
	}
	ofCleo := []item{
		{Kind: "invitation", Account: &rest.AccountRef{ID: string(w.cafe), Name: "Cafe"}, From: studio, By: new(gil.Email), Role: new("member"), Areas: viewPages, Request: 1, RequestedAt: apitest.Noon, ExpiresAt: apitest.Noon.Add(30 * day)},
		{Kind: "invitation", Account: &rest.AccountRef{ID: string(second), Name: "Second"}, From: rest.AccountRef{ID: string(second), Name: "Second"}, By: new(olga.Email), Role: new("owner"), Areas: editAll, Request: 1, RequestedAt: apitest.Noon, ExpiresAt: apitest.Noon.Add(30 * day), Plan: starter},
		{Kind: "connection", ID: new("con_" + string(cleo.ID()) + "_" + string(w.studio)), From: studio, By: new(gil.Email), Email: new(cleo.Email), Areas: viewPages, Request: 1, RequestedAt: apitest.Noon, ExpiresAt: expires},
		atShop,
	}
	ofOlga := []item{
		{Kind: "ownership", Account: &shop, From: shop, By: new(cleo.Email), Role: new("owner"), Areas: editAll, Request: 2, RequestedAt: apitest.Noon, ExpiresAt: apitest.Noon.Add(30 * day), Plan: starter},
		atShop,
	}
	// Both invitations were made at the same moment: the id decides.
	sorted := cmp.Transformer("sorted", func(items []item) map[string]item {
		by := map[string]item{}
		for _, i := range items {
			key := i.Kind + i.From.ID
			if i.Account != nil {
				key += i.Account.ID
			}
			by[key] = i
		}
		return by
	})
	for _, limit := range []int{1, 2, 25} {
		for _, tt := range []struct {
			who  agency.Actor
			want []item
		}{{cleo, ofCleo}, {olga, ofOlga}} {
			got := w.waits(tt.who, limit)
			if diff := cmp.Diff(tt.want, got, sorted); diff != "" || len(got) != len(tt.want) {
				t.Errorf("what waits for %s, %d a page (-want +got): %s", tt.who.Email, limit, diff)
			}
		}
	}
	for call, want := range map[string]string{
		"GET /v1/me/waiting?cursor=x":        "invalid [query.cursor]",
		"GET /v1/me/waiting?cursor=i.abc":    "invalid [query.cursor]",
		"GET /v1/me/waiting?limit=0":         "invalid [query.limit]",
		"GET /v1/me/waiting?limit=101":       "invalid [query.limit]",
		"GET /v1/me/waiting?as=acct_1":       "invalid [query.as]",
		"GET /v1/me/invitations/":            "not_found",
		"GET /v1/me/invitations/acct_1":      "invalid [path.account]",
		"GET " + invitationPath(w.studio):    "not_found",
		"GET /v1/me/invitations/%00":         "invalid [path.account]",
		"GET " + invitationPath("per_x@y.z"): "invalid [path.account]",
	} {
		if got := w.Call(cleo, call, ""); got.Refusal() != want {
			t.Errorf("%s: %d %s", call, got.Status, got.Body)
		}
	}
}

// The requests in one account can fill many pages. Each is listed once, also if some are
// answered between two pages.
func TestManyRequestsInAnAccount(t *testing.T) {
	w := newWorld(t)
	other := w.Open(cleo, "Zoo")
	apitest.Must[agency.Profile](w.Stage)(w.ChangeMember(t.Context(), w.byCleo(), w.shop, agency.Party(olga.ID()), service.MemberChange{Role: agency.Owner}))
	const agencies = 7
	var asked []agency.AccountID
	for n := range agencies {
		owner := apitest.Person(fmt.Sprintf("agency-%d", n))
		id := w.OpenAgency(owner, fmt.Sprintf("Agency %d", n))
		for _, account := range []agency.AccountID{w.shop, other} {
			apitest.Must[agency.Profile](w.Stage)(w.RequestConnection(t.Context(), owner, id, service.ConnectionRequest{Account: account, Areas: agency.Areas{"pages": agency.View}}))
		}
		asked = append(asked, id)
	}
	for _, limit := range []int{1, 2, 3, 7, 8, 100} {
		for who, want := range map[agency.Actor]int{cleo: 2 * agencies, olga: agencies + 1} {
			seen := map[string]bool{}
			items := w.waits(who, limit)
			for _, i := range items {
				seen[i.Account.ID+i.From.ID] = true
			}
			if len(items) != want || len(seen) != want {
				t.Errorf("for %s wait %d, %d of them different, %d a page", who.Email, len(items), len(seen), limit)
			}
		}
	}
	// The last row of the first page is answered.
	first := apitest.Read[page](w.Call(cleo, "GET /v1/me/waiting?limit=100", ""), 200)
	for first.Next != nil && len(first.Items) == 0 {
		first = apitest.Read[page](w.Call(cleo, "GET /v1/me/waiting?limit=3&cursor="+*first.Next, ""), 200)
	}
	for _, i := range first.Items {
		if got := w.Call(cleo, "POST /v1/requests/"+*i.ID+"/decline", `{"request":1}`); got.Status != 200 {
			t.Errorf("declining: %d %s", got.Status, got.Body)
		}
	}
	others := 0
	for next := first.Next; next != nil; {
		p := apitest.Read[page](w.Call(cleo, "GET /v1/me/waiting?limit=3&cursor="+*next, ""), 200)
		others, next = others+len(p.Items), p.Next
	}
	if len(first.Items) != 3 || others != 2*agencies-3 {
		t.Errorf("%d on the first page, and %d behind it", len(first.Items), others)
	}
	for _, cursor := range []string{"a.x.y.z", "a.." + string(w.shop), "a..." + string(asked[0]), "a.." + string(w.shop) + "." + string(asked[0]) + ".x"} {
		if got := w.Call(cleo, "GET /v1/me/waiting?cursor="+cursor, ""); got.Refusal() != "invalid [query.cursor]" {
			t.Errorf("%s: %d %s", cursor, got.Status, got.Body)
		}
	}
}

// What became of an invitation is by the clock, and an account that closes ends it.
func TestStatusOfAnInvitation(t *testing.T) {
	w := newWorld(t)
	status := func(of agency.Actor) string {
		return apitest.Read[item](w.Call(of, "GET "+invitationPath(w.shop), ""), 200).Status
	}
	w.Invite(w.byCleo(), w.shop, ian, agency.Member)
	w.Pause(t.Context(), 30*day-1)
	if got := status(ian); got != "open" {
		t.Errorf("before its time: %s", got)
	}
	w.Pause(t.Context(), 1)
	if got := status(ian); got != "expired" {
		t.Errorf("at its time: %s", got)
	}
	if got := apitest.Read[item](w.decline(ian, w.shop, `{"request":1}`), 200).Status; got != "declined" {
		t.Errorf("dismissed: %s", got)
	}
	bea := apitest.Person("bea")
	w.Invite(w.byCleo(), w.shop, bea, agency.Member)
	apitest.Must[service.AccountView](w.Stage)(w.CloseAccount(t.Context(), w.byCleo(), w.shop))
	if got := status(bea); got != "expired" {
		t.Errorf("in a closed account: %s", got)
	}
	if got := w.waits(bea, 25); len(got) != 0 {
		t.Errorf("in a closed account waits %v", got)
	}
}

// A refused answer changes nothing and says why.
func TestAnswersThatAreRefused(t *testing.T) {
	const one, other = `{"request":1}`, `{"request":2}`
	for _, tt := range []struct {
		name string
		// given happens to ian's invitation as a member.
		given           func(*world)
		who             agency.Actor
		body            string
		accept, decline string
	}{
		{"another's invitation", nil, apitest.Person("eve"), one, "not_found", "not_found"},
		{"another number", nil, ian, other, "conflict [invited]", "conflict [invited]"},
		{"an old number", func(w *world) {
			w.Pause(t.Context(), 2*day)
			w.Invite(w.byCleo(), w.shop, ian, agency.Admin)
		}, ian, one, "conflict [invited]", "conflict [invited]"},
		{"expired", func(w *world) { w.Pause(t.Context(), 30*day) }, ian, one, "request_expired [expired]", ""},
		{"withdrawn", func(w *world) {
			apitest.Must[agency.Profile](w.Stage)(w.WithdrawInvitation(t.Context(), w.byCleo(), w.shop, agency.Party(ian.ID())))
		}, ian, one, "not_pending [withdrawn]", "not_pending [withdrawn]"},
		{"declined", func(w *world) {
			apitest.Must[service.RequestDetail](w.Stage)(w.DeclineInvitation(t.Context(), ian, w.shop, service.Decline{Request: 1}))
		}, ian, one, "not_pending [declined]", ""},
		{"declined under another number", func(w *world) {
			apitest.Must[service.RequestDetail](w.Stage)(w.DeclineInvitation(t.Context(), ian, w.shop, service.Decline{Request: 1}))
		}, ian, other, "not_pending [declined]", "not_pending [declined]"},
		{"accepted before", func(w *world) {
			apitest.Must[service.AccountView](w.Stage)(w.AcceptInvitation(t.Context(), ian, w.shop, service.Answer{Request: 1}))
		}, ian, other, "not_pending [active]", "not_pending [active]"},
		{"accepted by another sign-in", func(w *world) {
			apitest.Must[service.AccountView](w.Stage)(w.AcceptInvitation(t.Context(), ian, w.shop, service.Answer{Request: 1}))
		}, agency.NewActor(ian.Email, ian.Issuer, "another"), one, "identity_changed", "identity_changed"},
		{"closed", func(w *world) {
			apitest.Must[service.AccountView](w.Stage)(w.CloseAccount(t.Context(), w.byCleo(), w.shop))
		}, ian, one, "conflict", "conflict"},
		{"its maker was removed", func(w *world) {
			// olga invites, and cleo removes her.
			w.Pause(t.Context(), 2*day)
			w.Invite(agency.Caller{Actor: olga}, w.shop, ian, agency.Member)
			apitest.Must[agency.Profile](w.Stage)(w.RemoveMember(t.Context(), w.byCleo(), w.shop, agency.Party(olga.ID()), false))
		}, ian, one, "not_pending [invited]", ""},
		{"no number", nil, ian, `{}`, "invalid [body.request]", "invalid [body.request]"},
		{"zero", nil, ian, `{"request":0}`, "invalid [body.request]", "invalid [body.request]"},
		{"null", nil, ian, `{"request":null}`, "invalid [body.request]", "invalid [body.request]"},
		{"a text", nil, ian, `{"request":"1"}`, "invalid [body.request]", "invalid [body.request]"},
		{"no body", nil, ian, ``, "invalid [body]", "invalid [body]"},
		{"an unknown field", nil, ian, `{"request":1,"role":"owner"}`, "invalid [body.role]", "invalid [body.role]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for verb, want := range map[string]string{"accept": tt.accept, "decline": tt.decline} {
				w := newWorld(t)
				w.Invite(w.byCleo(), w.shop, ian, agency.Member)
				if tt.given != nil {
					tt.given(w)
				}
				before := w.Items()
				got := w.Call(tt.who, "POST "+invitationPath(w.shop)+"/"+verb, tt.body)
				if got.Refusal() != want {
					t.Errorf("%s: %d %s, and %q is expected", verb, got.Status, got.Body, want)
				}
				if want != "" {
					testbed.SameItems(t, before, w.Items())
				}
			}
		})
	}
}

// Ids that name nothing, and callers without a person's token, are refused.
func TestMalformedAnswers(t *testing.T) {
	const one = `{"request":1}`
	w := newWorld(t)
	w.Invite(w.byCleo(), w.shop, ian, agency.Member)
	unknown := "acct_" + strings.Repeat("0", 26)
	for call, want := range map[string]string{
		"/accept":                           "not_found",
		"/decline":                          "not_found",
		"x/accept":                          "invalid [path.account]",
		"acct_x/decline":                    "invalid [path.account]",
		unknown + "/accept":                 "not_found",
		unknown + "/decline":                "not_found",
		string(ian.ID()) + "/accept":        "invalid [path.account]",
		string(w.shop) + "/accept?as=x":     "invalid [query.as]",
		string(w.shop) + "/withdraw":        "not_found",
		strings.Repeat("a", 65) + "/accept": "invalid [path.account]",
	} {
		if got := w.Call(ian, "POST /v1/me/invitations/"+call, one); got.Refusal() != want {
			t.Errorf("%s: %d %s", call, got.Status, got.Body)
		}
	}
	for _, call := range []string{"GET /v1/me/waiting", "GET " + invitationPath(w.shop), "POST " + invitationPath(w.shop) + "/accept", "POST " + invitationPath(w.shop) + "/decline"} {
		if got := w.CallWithout(call, ""); got.Refusal() != "unauthenticated" {
			t.Errorf("%s without a token: %d %s", call, got.Status, got.Body)
		}
		if got := w.CallPlatform(call, ""); got.Refusal() != "unauthenticated" {
			t.Errorf("%s with the platform's token: %d %s", call, got.Status, got.Body)
		}
	}
}

// A decline returns what became of the invitation. A block then mutes what the account, or
// an agency for its accounts, asks of the person, and they can end it.
func TestDeclineAndBlock(t *testing.T) {
	w := newWorld(t)
	w.Invite(w.byGil(), w.cafe, ian, agency.Member)
	got := apitest.Read[item](w.decline(ian, w.cafe, `{"request":1,"block":true}`), 200)
	want := item{
		Kind: "invitation", Account: &rest.AccountRef{ID: string(w.cafe), Name: "Cafe"}, From: rest.AccountRef{ID: string(w.studio), Name: "Studio"},
		Role: new("member"), Areas: viewPages, Request: 1, RequestedAt: apitest.Noon, ExpiresAt: apitest.Noon.Add(30 * day), Status: "declined",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("declining (-want +got): %s", diff)
	}
	if again := apitest.Read[item](w.decline(ian, w.cafe, `{"request":1}`), 200); again.Status != "declined" {
		t.Errorf("declining again: %+v", again)
	}
	type block struct {
		Agency       rest.AccountRef
		Blocked      bool
		CoolingUntil *time.Time
	}
	blocks := apitest.Read[struct{ Items []block }](w.Call(ian, "GET /v1/me/blocks", ""), 200).Items
	if len(blocks) != 1 || blocks[0].Agency.Name != "Studio" || !blocks[0].Blocked || blocks[0].CoolingUntil == nil {
		t.Errorf("blocks: %+v", blocks)
	}
	// Another account of the agency's, and the agency itself.
	bar := w.CreateOwned(gil, w.studio, "Bar")
	for account, by := range map[agency.AccountID]agency.Caller{bar: w.byGil(), w.studio: {Actor: gil}} {
		if p := w.Invite(by, account, ian, agency.Member); p.Status != agency.Invited {
			t.Errorf("inviting somebody who blocks: %+v", p)
		}
		for call, body := range map[string]string{
			"GET " + invitationPath(account):               "",
			"POST " + invitationPath(account) + "/accept":  `{"request":1}`,
			"POST " + invitationPath(account) + "/decline": `{"request":1}`,
		} {
			if got := w.Call(ian, call, body); got.Refusal() != "not_found" {
				t.Errorf("%s of a muted invitation: %d %s", call, got.Status, got.Body)
			}
		}
	}
	if got := w.waits(ian, 25); len(got) != 0 {
		t.Errorf("of a blocked account waits %v", got)
	}
	unblock := "POST /v1/requests/con_" + string(ian.ID()) + "_" + string(w.studio) + "/unblock"
	for _, want := range []bool{true, false} {
		if got := apitest.Read[struct{ Unblocked bool }](w.Call(ian, unblock, ""), 200); got.Unblocked != want {
			t.Errorf("unblocking: %+v", got)
		}
	}
	other := w.CreateOwned(gil, w.studio, "Other")
	w.Invite(w.byGil(), other, ian, agency.Member)
	if got := w.waits(ian, 25); len(got) != 1 || got[0].Account.Name != "Other" {
		t.Errorf("after unblocking waits %v", got)
	}
}

// Who accepts to be an owner names the plan that they saw. An offer can't be blocked.
func TestOfferOfOwnership(t *testing.T) {
	w := newWorld(t)
	apitest.Must[agency.Profile](w.Stage)(w.ChangeMember(t.Context(), w.byCleo(), w.shop, agency.Party(olga.ID()), service.MemberChange{Role: agency.Owner}))
	before := w.Items()
	for _, tt := range []struct{ verb, body, want string }{
		{"accept", `{"request":2}`, "invalid [body.plan]"},
		{"accept", `{"request":2,"plan":""}`, "invalid [body.plan]"},
		{"accept", `{"request":2,"plan":null}`, "invalid [body.plan]"},
		{"accept", `{"request":2,"plan":"scale"}`, "conflict [active]"},
		{"accept", `{"request":2,"plan":"free"}`, "conflict [active]"},
		{"accept", `{"request":1,"plan":"starter"}`, "conflict [active]"},
		{"decline", `{"request":2,"block":true}`, "invalid [body.block]"},
		{"decline", `{"request":1}`, "conflict [active]"},
	} {
		if got := w.Call(olga, "POST "+invitationPath(w.shop)+"/"+tt.verb, tt.body); got.Refusal() != tt.want {
			t.Errorf("%s %s: %d %s", tt.verb, tt.body, got.Status, got.Body)
		}
	}
	testbed.SameItems(t, before, w.Items())
	if got := apitest.Read[rest.Account](w.accept(olga, w.shop, `{"request":2,"plan":"starter"}`), 200); *got.Role != "owner" || *got.Subscription.Plan != "starter" {
		t.Errorf("the account of a new owner: %+v", got)
	}
	if got := apitest.Read[item](w.Call(olga, "GET "+invitationPath(w.shop), ""), 200); got.Kind != "ownership" || got.Status != "accepted" {
		t.Errorf("the offer afterwards: %+v", got)
	}

	w = newWorld(t)
	apitest.Must[agency.Profile](w.Stage)(w.ChangeMember(t.Context(), w.byCleo(), w.shop, agency.Party(olga.ID()), service.MemberChange{Role: agency.Owner}))
	if got := apitest.Read[item](w.decline(olga, w.shop, `{"request":2}`), 200); got.Kind != "ownership" || got.Status != "declined" {
		t.Errorf("declining an offer: %+v", got)
	}
	if got := apitest.Must[service.AccountView](w.Stage)(w.GetAccount(t.Context(), agency.Caller{Actor: olga}, w.shop)); got.Role != agency.Admin {
		t.Errorf("who declined an offer is %q", got.Role)
	}
	if got := w.accept(olga, w.shop, `{"request":2,"plan":"starter"}`); got.Refusal() != "not_pending [active]" {
		t.Errorf("accepting a declined offer: %d %s", got.Status, got.Body)
	}
}

// atOnce makes calls side by side.
func atOnce(calls ...func() apitest.Answer) []apitest.Answer {
	answers := make([]apitest.Answer, len(calls))
	var all sync.WaitGroup
	for i, call := range calls {
		all.Go(func() { answers[i] = call() })
	}
	all.Wait()
	return answers
}

// count counts the events of a type in the table.
func (w *world) count(kind agency.EventType) int {
	n := 0
	for _, i := range w.Items() {
		if testbed.Str(i["type"]) == string(kind) {
			n++
		}
	}
	return n
}

// Answers that meet each other, a withdrawal or a closing have one outcome.
func TestAnswersAtOnce(t *testing.T) {
	for range 8 {
		w := newWorld(t)
		w.Invite(w.byCleo(), w.shop, ian, agency.Member)
		accept := func() apitest.Answer { return w.accept(ian, w.shop, `{"request":1}`) }
		for _, got := range atOnce(accept, accept, accept) {
			if got.Status != 200 {
				t.Errorf("two acceptances: %d %s", got.Status, got.Body)
			}
		}
		if n := w.count(agency.PersonAdded); n != 2 { // olga's is the other
			t.Errorf("%d events of acceptances", n)
		}

		bea := apitest.Person("bea")
		w.Invite(w.byCleo(), w.shop, bea, agency.Member)
		var withdrawal error
		answers := atOnce(
			func() apitest.Answer { return w.accept(bea, w.shop, `{"request":1}`) },
			func() apitest.Answer { return w.decline(bea, w.shop, `{"request":1}`) },
			func() apitest.Answer {
				_, withdrawal = w.WithdrawInvitation(t.Context(), w.byCleo(), w.shop, agency.Party(bea.ID()))
				return apitest.Answer{}
			},
		)
		won := map[agency.Status]bool{}
		for led, refusal := range map[agency.Status]string{
			agency.Active: answers[0].Refusal(), agency.Declined: answers[1].Refusal(), agency.Withdrawn: codeOf(withdrawal),
		} {
			switch {
			case refusal == "":
				won[led] = true
			case !strings.HasPrefix(refusal, "not_pending"):
				t.Errorf("what leads to %s is refused with %s", led, refusal)
			}
		}
		if len(won) != 1 {
			t.Errorf("%v have all been made", won)
		}
		status := apitest.Must[agency.Profile](w.Stage)(w.GetMember(t.Context(), w.byCleo(), w.shop, agency.Party(bea.ID()))).Status
		if !won[status] {
			t.Errorf("%v was made, and the profile is %s", won, status)
		}
	}
}

// An acceptance that meets the end of what it rests on is made before it, or refused.
func TestAcceptAgainstAnEnd(t *testing.T) {
	for name, end := range map[string]func(*world) error{
		"the inviter's removal": func(w *world) error {
			_, err := w.RemoveMember(t.Context(), w.byCleo(), w.shop, agency.Party(olga.ID()), false)
			return err
		},
		"the account's closing": func(w *world) error {
			_, err := w.CloseAccount(t.Context(), w.byCleo(), w.shop)
			return err
		},
		"other terms": func(w *world) error {
			_, _, err := w.InvitePerson(t.Context(), w.byCleo(), w.shop, service.Invitation{Email: ian.Email, Role: agency.Admin})
			return err
		},
	} {
		for range 8 {
			w := newWorld(t)
			w.Invite(agency.Caller{Actor: olga}, w.shop, ian, agency.Member)
			w.Pause(t.Context(), day)
			var failed error
			got := atOnce(
				func() apitest.Answer { return w.accept(ian, w.shop, `{"request":1}`) },
				func() apitest.Answer { failed = end(w); return apitest.Answer{} },
			)[0]
			want := map[string]string{"the inviter's removal": "not_pending [invited]", "the account's closing": "conflict", "other terms": "conflict [invited]"}[name]
			if failed != nil || got.Status != 200 && got.Refusal() != want {
				t.Errorf("%s: %v; accepting: %d %s", name, failed, got.Status, got.Body)
			}
			if n := w.count(agency.PersonAdded); n != 1+boolToInt(got.Status == 200) { // olga's is the first
				t.Errorf("%s: %d events of acceptances after %d %s", name, n, got.Status, got.Body)
			}
		}
	}
}

func boolToInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// codeOf returns the code of a use case's error; "" for none.
func codeOf(err error) string { return string(agency.CodeOf(err)) }
