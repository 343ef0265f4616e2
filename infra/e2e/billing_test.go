package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"
)

type (
	subscription struct {
		Plan, State, Payer, PlanName, Currency string
		PeriodEnd                              time.Time
		MonthlyPrice                           int
	}
	bill struct {
		Items []struct {
			Account, Name, Plan, PlanName, State string
			MonthlyPrice                         int
		}
		Next            *string
		Accounts, Total int
		Currency        string
	}
	clientLine struct {
		line
		Side, Account, Client *string
		Was, Now              struct {
			Plan, Subscription, Status string
			Areas                      levels
		}
	}
)

// String is the subscription in a line: "growth, active, 9900 USD, agency pays".
func (s subscription) String() string {
	return fmt.Sprintf("%s, %s, %d %s, %s pays", s.Plan, s.State, s.MonthlyPrice, s.Currency, s.Payer)
}

// nextMonth is when the present period ends.
func nextMonth() time.Time {
	y, m, _ := time.Now().UTC().Date()
	return time.Date(y, m+1, 1, 0, 0, 0, 0, time.UTC)
}

// TestBilling is PRODUCT.md's "The subscription", by the agency of an owned
// account and by the owner of a client's own.
func TestBilling(t *testing.T) {
	s := common(t)
	o := newOffice(t, s, "Bright Agency", "billing.test")
	ann, ben, cid := o.ann, o.ben, o.cid
	carl, olga := s.person(t, "carl@cafe.billing.test"), s.person(t, "olga@luna.billing.test")
	const name = "Carl's Café"
	cafe := read[account](t, ann.make(t, "/v1/agencies/"+o.id+"/accounts", map[string]any{
		"name": name, "plan": "starter", "confirmPermanentOwnership": true,
		"client": map[string]any{"email": carl.email, "areas": levels{"pages": "edit"}},
	}).is(t, http.StatusCreated)).ID
	luna := olga.opens(t, "Luna Bakery")
	ben.asks(t, o.id, luna, levels{"pages": "edit"})
	olga.post(t, "/v1/accounts/"+luna+"/team/"+o.id+"/accept", map[string]any{"request": 1}).is(t, http.StatusOK)
	s.untilMark(t) // told elsewhere

	own, theirs, hub := "/v1/accounts/"+cafe+"/subscription", "/v1/accounts/"+luna+"/subscription", "/v1/agencies/"+o.id
	as := "?as=" + o.id
	is := func(t *testing.T, r *reply, want string) {
		t.Helper()
		got := read[subscription](t, r.is(t, http.StatusOK))
		if got.String() != want || !got.PeriodEnd.Equal(nextMonth()) {
			t.Errorf("%s: %s until %s, want %s until %s", r.to, got, got.PeriodEnd, want, nextMonth())
		}
	}

	then(t, t.Run("whoever pays sees what an account costs, and nobody else", func(t *testing.T) {
		is(t, ann.get(t, own+as), "starter, active, 2900 USD, agency pays")
		is(t, olga.get(t, theirs), "starter, active, 2900 USD, client pays")
		calls := []struct {
			method, path string
			body         any
		}{{"GET", "", nil}, {"PATCH", "", map[string]any{"plan": "scale"}}, {"POST", "/cancel", nil}, {"POST", "/cancel", map[string]any{"now": true}}, {"POST", "/resume", nil}}
		for _, call := range calls {
			carl.call(t, call.method, own+call.path, call.body).refused(t, http.StatusForbidden, "not_payer", "")
			for _, who := range []*person{ann, ben, cid} {
				who.call(t, call.method, theirs+call.path+as, call.body).refused(t, http.StatusForbidden, "not_payer", "")
			}
			ben.call(t, call.method, own+call.path+as, call.body).refused(t, http.StatusForbidden, "forbidden", "")
			cid.call(t, call.method, own+call.path+as, call.body).refused(t, http.StatusForbidden, "forbidden", "")
			olga.call(t, call.method, own+call.path, call.body).refused(t, http.StatusNotFound, "not_found", "")
			ann.call(t, call.method, theirs+call.path, call.body).refused(t, http.StatusNotFound, "not_found", "")
			s.nobody().call(t, call.method, own+call.path, call.body).is(t, http.StatusUnauthorized)
		}
		for _, who := range []*person{ben, cid} {
			who.get(t, hub+"/bill").refused(t, http.StatusForbidden, "forbidden", "")
		}
		olga.get(t, hub+"/bill").refused(t, http.StatusNotFound, "not_found", "")
		olga.get(t, "/v1/agencies/"+luna+"/bill").refused(t, http.StatusConflict, "conflict", "")
		s.told(t)
	}))

	then(t, t.Run("the plan changes at once, and the payer is told", func(t *testing.T) {
		for range 2 { // once is enough
			is(t, ann.patch(t, own+as, map[string]any{"plan": "growth"}), "growth, active, 9900 USD, agency pays")
			is(t, olga.patch(t, theirs, map[string]any{"plan": "scale"}), "scale, active, 29900 USD, client pays")
		}
		s.told(t,
			letter{ann, name + " is on the plan Growth now", []string{ann.email + " of Bright Agency changed the plan of " + name + " from Starter to Growth", "It costs 99 USD a month from now on; until now it was 29 USD a month."}},
			letter{olga, "Luna Bakery is on the plan Scale now", []string{olga.email + " changed the plan of Luna Bakery from Starter to Scale", "you own this account and pay for it"}})
	}))

	then(t, t.Run("the bill is of what the agency owns", func(t *testing.T) {
		b := read[bill](t, ann.get(t, hub+"/bill").is(t, http.StatusOK))
		if b.Total != 9900 || b.Accounts != 1 || b.Currency != "USD" || len(b.Items) != 1 || b.Items[0].Account != cafe || b.Items[0].MonthlyPrice != 9900 || b.Next != nil {
			t.Errorf("%+v", b)
		}
		// The copy in the hub's list follows by way of an event that has been told.
		row := read[list[struct{ Plan, Subscription *string }]](t, ann.get(t, hub+"/accounts?status=active&prefix=carl").is(t, http.StatusOK)).Items[0]
		if value(row.Plan) != "growth" || value(row.Subscription) != "active" {
			t.Errorf("%v", row)
		}
		row = read[list[struct{ Plan, Subscription *string }]](t, ann.get(t, hub+"/accounts?status=active&prefix=luna").is(t, http.StatusOK)).Items[0]
		if row.Plan != nil || row.Subscription != nil {
			t.Errorf("the agency sees what its client pays: %v", row)
		}
	}))

	then(t, t.Run("cancelled at the period's end, everything goes on until then", func(t *testing.T) {
		for range 2 {
			is(t, ann.post(t, own+"/cancel"+as, nil), "growth, cancelling, 9900 USD, agency pays")
		}
		accesses(t, cafe, check{carl, "", "yes, own, pages:edit; agency owns"})
		s.told(t, letter{ann, "The subscription of " + name + " is cancelled", []string{"Everything works as before until " + moment(nextMonth()), "all that is in it can be viewed, but not edited"}})
		is(t, ann.post(t, own+"/resume"+as, nil), "growth, active, 9900 USD, agency pays")
		s.told(t, letter{ann, "The subscription of " + name + " goes on", []string{"It is on the plan Growth, 99 USD a month."}})
	}))

	then(t, t.Run("cancelled at once, all that is in it can be viewed at most", func(t *testing.T) {
		for range 2 {
			is(t, ann.post(t, own+"/cancel"+as, map[string]any{"now": true}), "growth, frozen, 9900 USD, agency pays")
			is(t, olga.post(t, theirs+"/cancel", map[string]any{"now": true}), "scale, frozen, 29900 USD, client pays")
		}
		accesses(t, cafe,
			check{carl, "", "yes, own, pages:view, frozen; agency owns"},
			check{ann, o.id, "yes, " + o.id + ", analytics:view contacts:view funnels:view mail:view pages:view, frozen; agency owns"})
		accesses(t, luna, check{ann, o.id, "yes, " + o.id + ", pages:view, frozen; client owns"})
		if a := read[account](t, carl.get(t, "/v1/accounts/"+cafe).is(t, http.StatusOK)); a.Subscription.State != "frozen" {
			t.Errorf("%+v", a.Subscription)
		}
		ann.patch(t, own+as, map[string]any{"plan": "starter"}).refused(t, http.StatusConflict, "conflict", "")
		if b := read[bill](t, ann.get(t, hub+"/bill").is(t, http.StatusOK)); b.Total != 0 || b.Accounts != 0 || len(b.Items) != 0 {
			t.Errorf("%+v", b)
		}
		s.told(t, letter{ann, name + " is frozen", []string{ann.email + " of Bright Agency ended the subscription of " + name + " at once"}},
			letter{olga, "Luna Bakery is frozen", []string{olga.email + " ended the subscription of Luna Bakery at once"}})
	}))

	then(t, t.Run("resumed, it is as before", func(t *testing.T) {
		for range 2 {
			is(t, ann.post(t, own+"/resume"+as, nil), "growth, active, 9900 USD, agency pays")
		}
		accesses(t, cafe, check{carl, "", "yes, own, pages:edit; agency owns"})
		s.told(t, letter{ann, "The subscription of " + name + " goes on", nil})
	}))

	then(t, t.Run("both activities show it, old and new", func(t *testing.T) {
		want := []string{"account.created", "subscription.plan_changed", "subscription.cancelled", "subscription.resumed", "subscription.frozen", "subscription.resumed"}
		if got := kinds(ann.activity(t, cafe, o.id)); !slices.Equal(got, want) {
			t.Errorf("of the account: %v", got)
		}
		page := read[list[clientLine]](t, ben.get(t, hub+"/activity?limit=100").is(t, http.StatusOK))
		var got []string
		for _, l := range slices.Backward(page.Items) {
			got = append(got, l.Type+" of "+value(l.Client))
			if l.Type == "subscription.plan_changed" && (l.Was.Plan != "starter" || l.Now.Plan != "growth" || value(l.Actor) != ann.id() || value(l.Account) != cafe) {
				t.Errorf("%+v", l)
			}
			if l.Type == "connection.accepted" && (l.Actor != nil || value(l.Side) != "account" || l.Now.Areas.String() != "pages:edit" || l.Was.Status != "pending") {
				t.Errorf("%+v", l)
			}
		}
		mixed := []string{"account.created of " + name, "connection.requested of Luna Bakery", "connection.accepted of Luna Bakery"}
		for _, kind := range want[1:] {
			mixed = append(mixed, kind+" of "+name)
		}
		if !slices.Equal(got, mixed) {
			t.Errorf("of the agency: %v", got)
		}
		cid.get(t, hub+"/activity").refused(t, http.StatusForbidden, "forbidden", "")
		olga.get(t, hub+"/activity").refused(t, http.StatusNotFound, "not_found", "")
		for _, l := range read[list[clientLine]](t, ben.get(t, "/v1/accounts/"+luna+"/activity"+as).is(t, http.StatusOK)).Items {
			if value(l.Agency) != o.id || value(l.Actor) == olga.id() {
				t.Errorf("the connected agency reads %+v", l)
			}
		}
	}))
}
