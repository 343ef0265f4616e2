package service_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"agencyhub/shared/agency"
	"agencyhub/shared/service"
	"agencyhub/shared/testbed"
)

// december is when the period of noon ends.
var december = time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)

// lastEvent returns the newest event of an account.
func (f *fixture) lastEvent(id agency.AccountID) agency.Event {
	f.t.Helper()
	list := must[service.List[agency.Event]](f.t)(f.store.Activity(f.t.Context(), agency.Party(id), "", service.Page{Limit: 1}))
	return list.Items[0]
}

// Every step of a subscription, by the payer of an agency-owned and of a client-owned account: its
// event with old and new state, and its repeat, which changes nothing.
func TestTheLifeOfASubscription(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	for _, of := range []struct {
		payer agency.Caller
		id    agency.AccountID
		plan  string
		other string
		pays  agency.Ownership
	}{
		{as(w.gil, w.agency), w.owned, "growth", "starter", agency.AgencyOwned},
		{as(w.ann), w.client, "starter", "growth", agency.ClientOwned},
	} {
		w.setTime(noon)
		prices := map[string]int{"starter": 2900, "growth": 9900}
		active := agency.Subscription{Plan: of.plan, State: agency.SubscriptionActive}
		seen := must[service.SubscriptionView](t)(w.GetSubscription(ctx, of.payer, of.id))
		diff(t, "at first", service.SubscriptionView{
			Subscription: active, PeriodEnd: december, Payer: of.pays,
			Of: agency.Plan{ID: of.plan, Name: strings.ToUpper(of.plan[:1]) + of.plan[1:], MonthlyPrice: prices[of.plan], Currency: "USD"},
		}, seen)
		plan := func(to string) func() (service.SubscriptionView, error) {
			return func() (service.SubscriptionView, error) { return w.ChangePlan(ctx, of.payer, of.id, to) }
		}
		cancel := func(now bool) func() (service.SubscriptionView, error) {
			return func() (service.SubscriptionView, error) { return w.CancelSubscription(ctx, of.payer, of.id, now) }
		}
		resume := func() (service.SubscriptionView, error) { return w.ResumeSubscription(ctx, of.payer, of.id) }
		for _, step := range []struct {
			name string
			do   func() (service.SubscriptionView, error)
			as   agency.EventType
			plan string
			to   agency.SubscriptionState
		}{
			{"resume what nobody cancelled", resume, "", of.plan, agency.SubscriptionActive},
			{"the same plan", plan(of.plan), "", of.plan, agency.SubscriptionActive},
			{"another plan", plan(of.other), agency.PlanChanged, of.other, agency.SubscriptionActive},
			{"cancel", cancel(false), agency.SubscriptionCancelled, of.other, agency.SubscriptionCancelling},
			{"another plan while cancelling", plan(of.plan), agency.PlanChanged, of.plan, agency.SubscriptionCancelling},
			{"resume", resume, agency.SubscriptionResumed, of.plan, agency.SubscriptionActive},
			{"cancel again", cancel(false), agency.SubscriptionCancelled, of.plan, agency.SubscriptionCancelling},
			{"and at once", cancel(true), agency.SubscriptionFroze, of.plan, agency.SubscriptionFrozen},
			{"cancel what is frozen", cancel(false), "", of.plan, agency.SubscriptionFrozen},
			{"resume what is frozen", resume, agency.SubscriptionResumed, of.plan, agency.SubscriptionActive},
			{"freeze at once", cancel(true), agency.SubscriptionFroze, of.plan, agency.SubscriptionFrozen},
			{"resume once more", resume, agency.SubscriptionResumed, of.plan, agency.SubscriptionActive},
		} {
			was, events := w.account(of.id).Subscription, w.events(of.id)
			for i, name := range []string{step.name, step.name + ", repeated"} {
				got := must[service.SubscriptionView](t)(step.do())
				if got.Plan != step.plan || got.State != step.to || got.Of.ID != step.plan {
					t.Fatalf("%s: %+v", name, got)
				}
				now := agency.Subscription{Plan: step.plan, State: step.to}
				if step.to == agency.SubscriptionCancelling {
					now.FreezesAt = december
				}
				diff(t, name, now, w.account(of.id).Subscription)
				diff(t, name, now, got.Subscription)
				if step.as == "" {
					diff(t, name, events, w.events(of.id))
					continue
				}
				diff(t, name, append(slices.Clone(events), string(step.as)), w.events(of.id))
				if i > 0 {
					continue
				}
				e := w.lastEvent(of.id)
				diff(t, name, agency.State{Plan: was.Plan, Subscription: was.State, Until: was.FreezesAt}, e.Was)
				diff(t, name, agency.State{Plan: now.Plan, Subscription: now.State, Until: now.FreezesAt}, e.Now)
				if e.Actor != of.payer.ID() || e.As != of.payer.As || e.Member != "" || e.Ownership != of.pays {
					t.Errorf("%s: %+v", name, e)
				}
			}
		}
	}
	w.audit(t)
}

// At the end of its period a cancelled subscription is frozen for every reader, recorded or not. It
// is recorded once, as the clock's doing.
func TestACancelledPeriodEndsByTheClock(t *testing.T) {
	w := newWorld(t).connected()
	ctx := t.Context()
	payer := as(w.gil, w.agency)
	must[service.SubscriptionView](t)(w.CancelSubscription(ctx, payer, w.owned, false))
	must[service.SubscriptionView](t)(w.CancelSubscription(ctx, as(w.ann), w.client, false))
	noError(t, w.RefreshCopies(ctx, w.owned))
	w.advance(december.Sub(noon) - time.Millisecond)
	if a := w.access(payer, w.owned); a.Reason != "" || a.Areas["mail"] != agency.Edit {
		t.Errorf("at the last moment: %+v", a)
	}
	if done := must[service.Outcome](t)(w.SweepAccount(ctx, w.owned)); done != service.OutcomeNone {
		t.Errorf("ticked too early: %s", done)
	}
	w.advance(time.Millisecond)
	events := w.events(w.owned)
	for _, c := range []struct {
		caller agency.Caller
		id     agency.AccountID
		pages  agency.Level
	}{{payer, w.owned, agency.View}, {as(w.olga), w.owned, agency.View}, {as(w.gil, w.agency), w.client, agency.View}, {as(w.ann), w.client, agency.View}} {
		if a := w.access(c.caller, c.id); !a.Allowed || a.Reason != agency.Frozen || a.Areas["pages"] != c.pages {
			t.Errorf("%s: %+v", c.caller.Email, a)
		}
		v := must[service.AccountView](t)(w.GetAccount(ctx, c.caller, c.id))
		if v.Subscription.State != agency.SubscriptionFrozen || v.Access.Reason != agency.Frozen {
			t.Errorf("%s sees %+v", c.caller.Email, v)
		}
	}
	for _, v := range must[service.List[service.AccountView]](t)(w.MyAccounts(ctx, w.ann, service.Page{Limit: 5})).Items {
		if v.Subscription.State != agency.SubscriptionFrozen {
			t.Errorf("%+v", v)
		}
	}
	if v := must[service.SubscriptionView](t)(w.GetSubscription(ctx, payer, w.owned)); v.State != agency.SubscriptionFrozen || !v.PeriodEnd.Equal(december.AddDate(0, 1, 0)) {
		t.Errorf("%+v", v)
	}
	rows := w.clients(w.gil, service.ClientFilter{Status: agency.Active, Prefix: "owned"})
	if len(rows) != 1 || rows[0].Subscription.StateAt(w.Now()) != agency.SubscriptionFrozen {
		t.Errorf("%+v", rows)
	}
	if bill := must[service.AgencyBill](t)(w.Bill(ctx, w.gil, w.agency, service.Page{Limit: 5})); bill.Accounts != 0 || bill.Total != 0 {
		t.Errorf("%+v", bill)
	}
	refused(t, "a plan", agency.Conflict, second(w.ChangePlan(ctx, payer, w.owned, "starter")))
	refused(t, "its own one", agency.Conflict, second(w.ChangePlan(ctx, payer, w.owned, "growth")))
	must[service.SubscriptionView](t)(w.CancelSubscription(ctx, payer, w.owned, false))
	diff(t, "nothing has recorded it", events, w.events(w.owned))

	// The clock records one freeze, and a resume records the other.
	for range 2 {
		noError(t, w.sweepAll())
	}
	diff(t, "recorded", append(slices.Clone(events), "subscription.frozen"), w.events(w.owned))
	if e := w.lastEvent(w.owned); e.Actor != "" || e.As != "" || e.Was.Subscription != agency.SubscriptionCancelling || !e.Was.Until.Equal(december) || e.Now.Subscription != agency.SubscriptionFrozen {
		t.Errorf("%+v", e)
	}
	must[service.SubscriptionView](t)(w.ResumeSubscription(ctx, payer, w.owned))
	must[service.SubscriptionView](t)(w.CancelSubscription(ctx, payer, w.owned, false))
	w.advance(31 * day)
	events = w.events(w.owned)
	v := must[service.SubscriptionView](t)(w.ResumeSubscription(ctx, payer, w.owned))
	diff(t, "resumed when nothing had frozen it yet", append(events, "subscription.frozen", "subscription.resumed"), w.events(w.owned))
	if v.State != agency.SubscriptionActive {
		t.Errorf("%+v", v)
	}
	list := must[service.List[agency.Event]](t)(w.store.Activity(ctx, agency.Party(w.owned), "", service.Page{Limit: 2}))
	if frozen, resumed := list.Items[1], list.Items[0]; frozen.Actor != "" || resumed.Actor != w.gil.ID() || resumed.Version != frozen.Version+1 {
		t.Errorf("%+v", list.Items)
	}
	if done := must[service.Outcome](t)(w.SweepAccount(ctx, w.owned)); done != service.OutcomeNone {
		t.Errorf("ticked after that: %s", done)
	}
	w.audit(t)
}

// Closing an account also ends a subscription that is cancelling.
func TestClosingOvertakesACancellation(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	must[service.SubscriptionView](t)(w.CancelSubscription(ctx, as(w.gil, w.agency), w.owned, false))
	must[service.AccountView](t)(w.CloseAccount(ctx, as(w.gil, w.agency), w.owned))
	noError(t, w.sweepAll())
	w.advance(30 * day)
	noError(t, w.sweepAll())
	if events := strings.Join(w.events(w.owned), " "); strings.Contains(events, "frozen") {
		t.Error(events)
	}
	w.audit(t)
}

// The bill has each account that the agency owns and that is not frozen, at its present plan. Its
// total is of all of them on every page.
func TestTheBill(t *testing.T) {
	w := newWorld(t).connected()
	ctx := t.Context()
	want := []string{}
	total := 0
	for n := range 14 {
		plan, price := "starter", 2900
		if n%3 == 0 {
			plan, price = "growth", 9900
		}
		in := service.NewClientAccount{Name: fmt.Sprintf("Shop %02d", n), Plan: plan, ConfirmPermanentOwnership: true}
		v := must[service.AccountView](t)(w.CreateAccount(ctx, w.gil, w.agency, idempotencyKey(100+n), in))
		payer := as(w.gil, w.agency)
		switch n {
		case 3:
			must[service.SubscriptionView](t)(w.CancelSubscription(ctx, payer, v.ID, true))
			continue
		case 4:
			must[service.SubscriptionView](t)(w.CancelSubscription(ctx, payer, v.ID, false))
		case 5:
			must[service.SubscriptionView](t)(w.ChangePlan(ctx, payer, v.ID, "growth"))
			plan, price = "growth", 9900
		case 6:
			must[service.AccountView](t)(w.CloseAccount(ctx, payer, v.ID))
			continue
		}
		want, total = append(want, fmt.Sprintf("%s %s %d", in.Name, plan, price)), total+price
	}
	want, total = append([]string{"Owned growth 9900"}, want...), total+9900
	for _, limit := range []int{1, 3, 5, 100} {
		var got []string
		lines, _ := testbed.Pages(t, limit, func(page service.Page) (service.List[service.BillLine], error) {
			bill, err := w.Bill(ctx, w.gil, w.agency, page)
			if err == nil && (bill.Total != total || bill.Accounts != len(want) || bill.Currency != "USD") {
				t.Fatalf("%d a page: %+v, want %d for %d", limit, bill, total, len(want))
			}
			return bill.Lines, err
		})
		for _, l := range lines {
			got = append(got, fmt.Sprintf("%s %s %d", l.Name, l.Plan.ID, l.Plan.MonthlyPrice))
		}
		diff(t, fmt.Sprint(limit, " a page"), want, got)
	}
	for name, who := range map[string]struct {
		by   agency.Actor
		of   agency.AccountID
		code agency.Code
	}{
		"an admin": {w.gus, w.agency, agency.Forbidden}, "a member": {w.gem, w.agency, agency.Forbidden}, "a stranger": {w.ann, w.agency, agency.NotFound},
		"no agency": {w.ann, w.client, agency.Conflict}, "another sign-in": {impostor(w.gil), w.agency, agency.IdentityChanged},
	} {
		refused(t, name, who.code, second(w.Bill(ctx, who.by, who.of, service.Page{Limit: 5})))
	}
	// A plan that is no longer in the settings is free.
	w.Rules.Plans = w.Rules.Plans[:1]
	bill := must[service.AgencyBill](t)(w.Bill(ctx, w.gil, w.agency, service.Page{Limit: 100}))
	if bill.Accounts != len(want) || bill.Total >= total {
		t.Errorf("%+v", bill)
	}
}

// The copies in the agency's list follow the plan and the state.
func TestSubscriptionsAreCopied(t *testing.T) {
	w := newWorld(t).connected()
	ctx := t.Context()
	must[service.SubscriptionView](t)(w.ChangePlan(ctx, as(w.gil, w.agency), w.owned, "starter"))
	must[service.SubscriptionView](t)(w.CancelSubscription(ctx, as(w.gil, w.agency), w.owned, false))
	must[service.SubscriptionView](t)(w.CancelSubscription(ctx, as(w.ann), w.client, true))
	copies := func() map[string]agency.Subscription {
		out := map[string]agency.Subscription{}
		for _, p := range w.clients(w.gil, service.ClientFilter{Status: agency.Active}) {
			out[p.AccountName] = p.Subscription
		}
		return out
	}
	diff(t, "before", map[string]agency.Subscription{
		"Owned": {Plan: "growth", State: agency.SubscriptionActive}, "Client": {Plan: "starter", State: agency.SubscriptionActive},
	}, copies())
	for range 2 {
		for _, id := range []agency.AccountID{w.owned, w.client} {
			noError(t, w.RefreshCopies(ctx, id))
		}
		diff(t, "after", map[string]agency.Subscription{
			"Owned": {Plan: "starter", State: agency.SubscriptionCancelling, FreezesAt: december}, "Client": {Plan: "starter", State: agency.SubscriptionFrozen},
		}, copies())
	}
	w.audit(t)
}

// An agency reads the events about it over all its clients, newest first, and nothing that its
// lists hide.
func TestTheAgencysActivity(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	must[agency.Profile](t)(w.request())
	must[agency.Profile](t)(w.requestByEmail(w.eve))
	before := must[service.List[service.ClientEvent]](t)(w.AgencyActivity(ctx, w.gus, w.agency, service.Page{Limit: 2}))
	for i, want := range []string{w.eve.Email, ""} {
		if e := before.Items[i]; e.Type != agency.ConnectionRequested || e.Name != want || e.Actor != w.gil.ID() {
			t.Errorf("%d: %+v, want the name %q", i, e, want)
		}
	}
	must[agency.Profile](t)(w.accept(w.bob, 1))
	must[agency.Profile](t)(w.ChangeMember(ctx, as(w.bob), w.client, agency.Party(w.agency), service.MemberChange{Areas: viewPages}))
	must[service.SubscriptionView](t)(w.ChangePlan(ctx, as(w.ann), w.client, "growth"))
	must[service.SubscriptionView](t)(w.ChangePlan(ctx, as(w.gil, w.agency), w.owned, "starter"))
	must[agency.Profile](t)(w.RemoveMember(ctx, as(w.ann), w.client, agency.Party(w.agency), true))
	must[agency.Profile](t)(w.RemoveMember(ctx, as(w.olga), w.owned, party(w.olga), false))
	type row struct {
		Type, Name string
		Side       agency.Side
		Actor      agency.PersonID
	}
	want := []row{
		{"person.left", "Owned", "", w.olga.ID()},
		{"connection.revoked", "Client", agency.AccountSide, ""},
		{"subscription.plan_changed", "Owned", "", w.gil.ID()},
		{"connection.restricted", "Client", agency.AccountSide, ""},
		{"connection.accepted", "Client", agency.AccountSide, ""},
		{"connection.requested", w.eve.Email, agency.AgencySide, w.gil.ID()},
		{"connection.requested", "Client", agency.AgencySide, w.gil.ID()},
		{"person.added", "Owned", "", w.olga.ID()},
		{"account.created", "Owned", agency.AgencySide, w.gil.ID()},
	}
	for _, limit := range []int{1, 3, 100} {
		var got []row
		all, _ := testbed.Pages(t, limit, func(page service.Page) (service.List[service.ClientEvent], error) {
			return w.AgencyActivity(ctx, w.gil, w.agency, page)
		})
		for _, e := range all {
			got = append(got, row{string(e.Type), e.Name, e.Side(), e.Actor})
		}
		diff(t, fmt.Sprint(limit, " a page"), want, got)
	}
	// The connected agency reads the same events in the account; the account's owner reads every
	// actor.
	for _, e := range must[service.List[agency.Event]](t)(w.AccountActivity(ctx, as(w.ann), w.client, service.Page{Limit: 50})).Items {
		if e.Actor == "" {
			t.Errorf("%s has no actor for the account's owner", e.Type)
		}
	}
	for name, who := range map[string]struct {
		by   agency.Actor
		of   agency.AccountID
		code agency.Code
	}{
		"a member": {w.gem, w.agency, agency.Forbidden}, "a stranger": {w.ann, w.agency, agency.NotFound}, "no agency": {w.ann, w.client, agency.Conflict},
	} {
		refused(t, name, who.code, second(w.AgencyActivity(ctx, who.by, who.of, service.Page{Limit: 5})))
	}
	refused(t, "another list's cursor", agency.Invalid,
		second(w.AgencyActivity(ctx, w.gil, w.agency, service.Page{Limit: 1, Cursor: must[service.List[agency.Event]](t)(w.AccountActivity(ctx, as(w.ann), w.client, service.Page{Limit: 1})).Next})))
}

// Only the side that pays sees what an account costs, in every view of it. The state of the
// subscription is for everybody with access.
func TestWhatAnAccountCostsIsItsPayersToSee(t *testing.T) {
	w := newWorld(t).connected()
	ctx := t.Context()
	for _, tt := range []struct {
		name string
		by   agency.Caller
		id   agency.AccountID
		plan string
	}{
		{"the owner who pays", as(w.ann), w.client, "starter"},
		{"a member of theirs", as(w.mem), w.client, "starter"},
		{"the agency that pays", as(w.gil, w.agency), w.owned, "growth"},
		{"an admin of that agency", as(w.gus, w.agency), w.owned, "growth"},
		{"the client of an owned account", as(w.olga), w.owned, ""},
		{"a connected agency", as(w.gil, w.agency), w.client, ""},
		{"an admin of a connected agency", as(w.gus, w.agency), w.client, ""},
	} {
		a := must[service.AccountView](t)(w.GetAccount(ctx, tt.by, tt.id))
		if a.Subscription.Plan != tt.plan || a.Subscription.State != agency.SubscriptionActive {
			t.Errorf("%s sees %+v", tt.name, a.Subscription)
		}
	}
	mine := must[service.List[service.AccountView]](t)(w.MyAccounts(ctx, w.olga, service.Page{Limit: 10}))
	if len(mine.Items) != 1 || mine.Items[0].Subscription.Plan != "" {
		t.Errorf("in the client's own list stands %+v", mine.Items)
	}
}
