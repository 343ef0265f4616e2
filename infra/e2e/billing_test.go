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

// String returns the subscription in a line: "growth, active, 9900 USD, agency
// pays".
func (s subscription) String() string {
	return fmt.Sprintf("%s, %s, %d %s, %s pays", s.Plan, s.State, s.MonthlyPrice, s.Currency, s.Payer)
}

// nextMonth returns the end of the current period.
func nextMonth() time.Time {
	y, m, _ := time.Now().UTC().Date()
	return time.Date(y, m+1, 1, 0, 0, 0, 0, time.UTC)
}

type billingStory struct {
	agencyStaff
	carl, olga                                         *person
	accountName, cafe, luna, ownedPath, clientPath, as string
}

// TestBilling tests subscriptions (README, Subscription): of an agency-owned
// account, and of a client-owned one.
func TestBilling(t *testing.T) {
	s := &billingStory{agencyStaff: newAgency(t, common(t), "Bright Agency", "billing.test")}

	s.carl, s.olga = s.person(t, "carl@cafe.billing.test"), s.person(t, "olga@luna.billing.test")
	s.accountName = "Carl's Café"
	s.cafe = s.ann.opensOwned(t, s.agencyID, s.accountName, "starter", s.carl, levels{"pages": "edit"})
	s.luna = s.olga.opens(t, "Luna Bakery")
	s.ben.requests(t, s.agencyID, s.luna, levels{"pages": "edit"})
	s.olga.post(t, "/v1/accounts/"+s.luna+"/team/"+s.agencyID+"/accept", map[string]any{"request": 1}).is(t, http.StatusOK)
	s.newEmails(t) // other tests look at these

	s.ownedPath, s.clientPath = "/v1/accounts/"+s.cafe+"/subscription", "/v1/accounts/"+s.luna+"/subscription"
	s.as = "?as=" + s.agencyID

	step(t, t.Run("whoever pays sees what an account costs, and nobody else", s.onlyPayerSees))
	step(t, t.Run("the plan changes at once, and the payer is told", s.changePlan))
	step(t, t.Run("the bill is of what the agency owns", s.billOfOwned))
	step(t, t.Run("cancelled at the period's end, everything goes on until then", s.cancelAtPeriodEnd))
	step(t, t.Run("cancelled at once, all that is in it can be viewed at most", s.freeze))
	step(t, t.Run("resumed, it is as before", s.resume))
	step(t, t.Run("both activities show it, old and new", s.activityOfBoth))
}

func (s *billingStory) expectSubscription(t *testing.T, r *reply, want string) {
	t.Helper()
	got := read[subscription](t, r.is(t, http.StatusOK))
	if got.String() != want || !got.PeriodEnd.Equal(nextMonth()) {
		t.Errorf("%s: %s until %s, want %s until %s", r.to, got, got.PeriodEnd, want, nextMonth())
	}
}

func (s *billingStory) onlyPayerSees(t *testing.T) {
	s.expectSubscription(t, s.ann.get(t, s.ownedPath+s.as), "starter, active, 2900 USD, agency pays")
	s.expectSubscription(t, s.olga.get(t, s.clientPath), "starter, active, 2900 USD, client pays")
	calls := []struct {
		method, path string
		body         any
	}{{"GET", "", nil}, {"PATCH", "", map[string]any{"plan": "scale"}}, {"POST", "/cancel", nil}, {"POST", "/cancel", map[string]any{"now": true}}, {"POST", "/resume", nil}}
	for _, call := range calls {
		s.carl.call(t, call.method, s.ownedPath+call.path, call.body).refused(t, http.StatusForbidden, "not_payer", "")
		for _, who := range []*person{s.ann, s.ben, s.cid} {
			who.call(t, call.method, s.clientPath+call.path+s.as, call.body).refused(t, http.StatusForbidden, "not_payer", "")
		}
		s.ben.call(t, call.method, s.ownedPath+call.path+s.as, call.body).refused(t, http.StatusForbidden, "forbidden", "")
		s.cid.call(t, call.method, s.ownedPath+call.path+s.as, call.body).refused(t, http.StatusForbidden, "forbidden", "")
		s.olga.call(t, call.method, s.ownedPath+call.path, call.body).refused(t, http.StatusNotFound, "not_found", "")
		s.ann.call(t, call.method, s.clientPath+call.path, call.body).refused(t, http.StatusNotFound, "not_found", "")
		s.signedOut().call(t, call.method, s.ownedPath+call.path, call.body).is(t, http.StatusUnauthorized)
	}
	for _, who := range []*person{s.ben, s.cid} {
		who.get(t, s.agencyPath+"/bill").refused(t, http.StatusForbidden, "forbidden", "")
	}
	s.olga.get(t, s.agencyPath+"/bill").refused(t, http.StatusNotFound, "not_found", "")
	s.olga.get(t, "/v1/agencies/"+s.luna+"/bill").refused(t, http.StatusConflict, "conflict", "")
	s.expectEmails(t)
}

func (s *billingStory) changePlan(t *testing.T) {
	for range 2 { // the second time changes nothing
		s.expectSubscription(t, s.ann.patch(t, s.ownedPath+s.as, map[string]any{"plan": "growth"}), "growth, active, 9900 USD, agency pays")
		s.expectSubscription(t, s.olga.patch(t, s.clientPath, map[string]any{"plan": "scale"}), "scale, active, 29900 USD, client pays")
	}
	s.expectEmails(t,
		wantEmail{s.ann, s.accountName + " is on the plan Growth now", []string{s.ann.email + " of Bright Agency changed the plan of " + s.accountName + " from Starter to Growth", "It costs 99 USD a month from now on; until now it was 29 USD a month."}},
		wantEmail{s.olga, "Luna Bakery is on the plan Scale now", []string{s.olga.email + " changed the plan of Luna Bakery from Starter to Scale", "you own this account and pay for it"}})
}

func (s *billingStory) billOfOwned(t *testing.T) {
	b := read[bill](t, s.ann.get(t, s.agencyPath+"/bill").is(t, http.StatusOK))
	if b.Total != 9900 || b.Accounts != 1 || b.Currency != "USD" || len(b.Items) != 1 || b.Items[0].Account != s.cafe || b.Items[0].MonthlyPrice != 9900 || b.Next != nil {
		t.Errorf("%+v", b)
	}
	// The copy in the agency's list follows with an event, and its emails are out.
	row := read[list[struct{ Plan, Subscription *string }]](t, s.ann.get(t, s.agencyPath+"/accounts?status=active&prefix=carl").is(t, http.StatusOK)).Items[0]
	if value(row.Plan) != "growth" || value(row.Subscription) != "active" {
		t.Errorf("%v", row)
	}
	row = read[list[struct{ Plan, Subscription *string }]](t, s.ann.get(t, s.agencyPath+"/accounts?status=active&prefix=luna").is(t, http.StatusOK)).Items[0]
	if row.Plan != nil || row.Subscription != nil {
		t.Errorf("the agency sees what its client pays: %v", row)
	}
}

func (s *billingStory) cancelAtPeriodEnd(t *testing.T) {
	for range 2 {
		s.expectSubscription(t, s.ann.post(t, s.ownedPath+"/cancel"+s.as, nil), "growth, cancelling, 9900 USD, agency pays")
	}
	expectAccess(t, s.cafe, wantAccess{s.carl, "", "yes, own, pages:edit; agency owns"})
	s.expectEmails(t, wantEmail{s.ann, "The subscription of " + s.accountName + " is cancelled", []string{"Everything works as before until " + moment(nextMonth()), "all that is in it can be viewed, but not edited"}})
	s.expectSubscription(t, s.ann.post(t, s.ownedPath+"/resume"+s.as, nil), "growth, active, 9900 USD, agency pays")
	s.expectEmails(t, wantEmail{s.ann, "The subscription of " + s.accountName + " goes on", []string{"It is on the plan Growth, 99 USD a month."}})
}

func (s *billingStory) freeze(t *testing.T) {
	for range 2 {
		s.expectSubscription(t, s.ann.post(t, s.ownedPath+"/cancel"+s.as, map[string]any{"now": true}), "growth, frozen, 9900 USD, agency pays")
		s.expectSubscription(t, s.olga.post(t, s.clientPath+"/cancel", map[string]any{"now": true}), "scale, frozen, 29900 USD, client pays")
	}
	expectAccess(t, s.cafe,
		wantAccess{s.carl, "", "yes, own, pages:view, frozen; agency owns"},
		wantAccess{s.ann, s.agencyID, "yes, " + s.agencyID + ", analytics:view contacts:view funnels:view mail:view pages:view, frozen; agency owns"})
	expectAccess(t, s.luna, wantAccess{s.ann, s.agencyID, "yes, " + s.agencyID + ", pages:view, frozen; client owns"})
	frozen := read[account](t, s.carl.get(t, "/v1/accounts/"+s.cafe).is(t, http.StatusOK))
	expectEqual(t, "the subscription's state", "frozen", frozen.Subscription.State)
	s.ann.patch(t, s.ownedPath+s.as, map[string]any{"plan": "starter"}).refused(t, http.StatusConflict, "conflict", "")
	if b := read[bill](t, s.ann.get(t, s.agencyPath+"/bill").is(t, http.StatusOK)); b.Total != 0 || b.Accounts != 0 || len(b.Items) != 0 {
		t.Errorf("%+v", b)
	}
	s.expectEmails(t, wantEmail{s.ann, s.accountName + " is frozen", []string{s.ann.email + " of Bright Agency ended the subscription of " + s.accountName + " at once"}},
		wantEmail{s.olga, "Luna Bakery is frozen", []string{s.olga.email + " ended the subscription of Luna Bakery at once"}})
}

func (s *billingStory) resume(t *testing.T) {
	for range 2 {
		s.expectSubscription(t, s.ann.post(t, s.ownedPath+"/resume"+s.as, nil), "growth, active, 9900 USD, agency pays")
	}
	expectAccess(t, s.cafe, wantAccess{s.carl, "", "yes, own, pages:edit; agency owns"})
	s.expectEmails(t, wantEmail{s.ann, "The subscription of " + s.accountName + " goes on", nil})
}

func (s *billingStory) activityOfBoth(t *testing.T) {
	want := []string{"account.created", "person.added", "subscription.plan_changed", "subscription.cancelled", "subscription.resumed", "subscription.frozen", "subscription.resumed"}
	s.ann.expectActivity(t, s.cafe, s.agencyID, want...)
	page := read[list[clientLine]](t, s.ben.get(t, s.agencyPath+"/activity?limit=100").is(t, http.StatusOK))
	var got []string
	for _, l := range slices.Backward(page.Items) {
		got = append(got, l.Type+" of "+value(l.Client))
		if l.Type == "subscription.plan_changed" && (l.Was.Plan != "starter" || l.Now.Plan != "growth" || value(l.Actor) != s.ann.id() || value(l.Account) != s.cafe) {
			t.Errorf("%+v", l)
		}
		if l.Type == "connection.accepted" && (l.Actor != nil || value(l.Side) != "account" || l.Now.Areas.String() != "pages:edit" || l.Was.Status != "pending") {
			t.Errorf("%+v", l)
		}
	}
	mixed := []string{"account.created of " + s.accountName, "person.added of " + s.accountName, "connection.requested of Luna Bakery", "connection.accepted of Luna Bakery"}
	for _, kind := range want[2:] {
		mixed = append(mixed, kind+" of "+s.accountName)
	}
	expectEqual(t, "the agency's activity", mixed, got)
	s.cid.get(t, s.agencyPath+"/activity").refused(t, http.StatusForbidden, "forbidden", "")
	s.olga.get(t, s.agencyPath+"/activity").refused(t, http.StatusNotFound, "not_found", "")
	for _, l := range read[list[clientLine]](t, s.ben.get(t, "/v1/accounts/"+s.luna+"/activity"+s.as).is(t, http.StatusOK)).Items {
		if value(l.Agency) != s.agencyID || value(l.Actor) == s.olga.id() {
			t.Errorf("the connected agency reads %+v", l)
		}
	}
}
