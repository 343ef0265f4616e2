package service_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"agencyhub/shared/agency"
	"agencyhub/shared/service"
	"agencyhub/shared/testbed"
)

var platform = agency.Platform{Client: "the-platform"}

// newcomer is the id of an account that is not registered yet.
var newcomer = agency.NewAccountID("platform", "newcomer")

func (f *fixture) register(id agency.AccountID, name, owner, plan string) (agency.Account, error) {
	account, _, err := f.RegisterAccount(f.t.Context(), platform, id, service.Registration{Name: name, OwnerEmail: owner, Plan: plan})
	return account, err
}

func TestThePlatformRegistersAccounts(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	zoe := actor("zoe")
	a, created, err := w.RegisterAccount(ctx, platform, newcomer, service.Registration{Name: " Zoe's  Shop ", OwnerEmail: " ZOE@x.test"})
	if err != nil || !created || a.Name != "Zoe's Shop" || a.Ownership != agency.ClientOwned || a.Owners != 1 || a.Subscription.Plan != "starter" || a.Subscription.State != agency.SubscriptionActive {
		t.Errorf("created %t: %+v, %v", created, a, err)
	}
	e := w.lastEvent(newcomer)
	if e.Type != agency.AccountRegistered || e.Actor != "" || e.Member != party(zoe) || e.Now.Name != "Zoe's Shop" || e.Now.Plan != "starter" {
		t.Errorf("%+v", e)
	}
	before := w.items()
	for _, plan := range []string{"", "starter"} {
		if _, created, err = w.RegisterAccount(ctx, platform, newcomer, service.Registration{Name: "Zoe's Shop", OwnerEmail: "zoe@x.test", Plan: plan}); created || err != nil {
			t.Errorf("again: created %t, %v", created, err)
		}
	}
	testbed.SameItems(t, before, w.items())

	// The owner finds it and works in it like a person who opened one.
	if mine := must[service.List[service.AccountView]](t)(w.MyAccounts(ctx, zoe, service.Page{Limit: 5})); len(mine.Items) != 1 || mine.Items[0].Role != agency.Owner {
		t.Errorf("%+v", mine)
	}
	must[service.AccountView](t)(w.GetAccount(ctx, as(zoe), newcomer))
	must[agency.Profile](t)(w.RequestConnection(ctx, w.gil, w.agency, service.ConnectionRequest{Account: newcomer, Areas: editAll}))
	must[agency.Profile](t)(w.AcceptRequest(ctx, as(zoe), newcomer, w.agency, service.Grant{Request: 1}))

	// Name and plan are updated, each with an event.
	events := w.events(newcomer)
	a = must[agency.Account](t)(w.register(newcomer, "Zoe", "zoe@x.test", "growth"))
	if a.Name != "Zoe" || a.Subscription.Plan != "growth" {
		t.Errorf("%+v", a)
	}
	// The sole owner's profile was in use, so its identity is removed too.
	diff(t, "updated", append(events, "subscription.plan_changed", "account.renamed", "person.released"), w.events(newcomer))
	w.audit(t)
}

// A sole owner who signs in with another identity regains access by the same call. With a second
// owner, that is the second owner's to do.
func TestThePlatformSetsASoleOwnerFree(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	again := impostor(w.ann)
	refused(t, "another identity", agency.IdentityChanged, second(w.GetAccount(ctx, as(again), w.client)))
	must[agency.Account](t)(w.register(w.client, "Client", w.ann.Email, ""))
	if e := w.lastEvent(w.client); e.Type != agency.PersonReleased || e.Member != party(w.ann) || e.Actor != "" {
		t.Errorf("%+v", e)
	}
	must[service.AccountView](t)(w.GetAccount(ctx, as(again), w.client))
	refused(t, "the identity before", agency.IdentityChanged, second(w.GetAccount(ctx, as(w.ann), w.client)))
	must[service.AccountView](t)(w.GetAccount(ctx, as(again), w.client))
	must[agency.Profile](t)(w.invite(again, w.client, w.bob, agency.Owner))
	w.mustAccept(w.bob, w.client)
	before := w.items()
	must[agency.Account](t)(w.register(w.client, "Client", w.ann.Email, ""))
	testbed.SameItems(t, before, w.items())
	w.audit(t)
}

// An account whose only owner is being erased gets an owner; no other account does.
func TestThePlatformFindsAnOwner(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	refused(t, "beside an owner", agency.Conflict, second(w.register(w.client, "Client", w.eve.Email, "")))
	w.eraseLastOwner()
	refused(t, "who is being erased", agency.Conflict, second(w.register(w.client, "Client", w.ann.Email, "")))
	must[agency.Account](t)(w.register(w.client, "Client", w.eve.Email, ""))
	if e := w.lastEvent(w.client); e.Type != agency.PersonAdded || e.Member != party(w.eve) || e.Now.Role != agency.Owner {
		t.Errorf("%+v", e)
	}
	must[service.AccountView](t)(w.GetAccount(ctx, as(w.eve), w.client))
	w.collected = true
	for range 8 {
		noError(t, w.sweepAll())
		w.advance(time.Hour)
	}
	diff(t, "owners", 1, w.account(w.client).Owners)
	w.audit(t)
}

// An account that changes its owner while the platform names a third is not given to the third.
func TestThePlatformGivesNoOwnedAccountAway(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.Faults.AfterBatch = func() {
		w.Faults.AfterBatch = nil
		w.mustInvite(w.ann, w.client, w.bob, agency.Owner)
		must[agency.Profile](t)(w.ChangeMember(ctx, as(w.bob), w.client, party(w.ann), service.MemberChange{Role: agency.Admin}))
	}
	refused(t, "a third owner", agency.Conflict, second(w.register(w.client, "Client", w.eve.Email, "")))
	refused(t, "the third", agency.NotFound, second(w.GetAccount(ctx, as(w.eve), w.client)))
	w.audit(t)
}

// eraseLastOwner leaves the client's account to an owner who is being erased.
func (w *world) eraseLastOwner() {
	w.t.Helper()
	ann := must[service.Snapshot](w.t)(w.store.Load(w.t.Context(), service.Want{People: []agency.PersonID{w.ann.ID()}})).Person(w.ann.ID())
	ann.Erasing, ann.DueAt = w.Now(), w.Now()
	ann.Version++
	read := must[service.Snapshot](w.t)(w.store.Load(w.t.Context(), service.Want{People: []agency.PersonID{ann.ID}}))
	noError(w.t, w.store.Save(w.t.Context(), read, service.Changes{People: []agency.Person{ann}}))
}

// Reports of payments can come in any order and repeatedly.
func TestPaymentsAreReported(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	const paid, failed = false, true
	report := func(is bool, at time.Time) agency.Account {
		t.Helper()
		return must[agency.Account](t)(w.ReportPayment(ctx, platform, w.owned, service.Payment{Failed: is, At: at}))
	}
	events := w.events(w.owned)
	for _, step := range []struct {
		name string
		do   func() agency.Account
		to   agency.SubscriptionState
		as   agency.EventType
	}{
		{"paid", func() agency.Account { return report(paid, noon) }, "active", ""},
		{"an older failure", func() agency.Account { return report(failed, noon.Add(-time.Hour)) }, "active", ""},
		{"a failure at the same time", func() agency.Account { return report(failed, noon) }, "active", ""},
		{"a failure", func() agency.Account { return report(failed, noon.Add(time.Second)) }, "past_due", agency.PaymentFailed},
		{"the same once more", func() agency.Account { return report(failed, noon.Add(time.Second)) }, "past_due", ""},
		{"a newer failure", func() agency.Account { return report(failed, noon.Add(3*time.Second)) }, "past_due", ""},
		{"a success before that", func() agency.Account { return report(paid, noon.Add(2*time.Second)) }, "past_due", ""},
		{"another plan", func() agency.Account {
			must[service.SubscriptionView](t)(w.ChangePlan(ctx, as(w.gil, w.agency), w.owned, "starter"))
			return w.account(w.owned)
		}, "past_due", agency.PlanChanged},
		{"cancelled", func() agency.Account {
			must[service.SubscriptionView](t)(w.CancelSubscription(ctx, as(w.gil, w.agency), w.owned, false))
			return w.account(w.owned)
		}, "cancelling", agency.SubscriptionCancelled},
		{"resumed", func() agency.Account {
			must[service.SubscriptionView](t)(w.ResumeSubscription(ctx, as(w.gil, w.agency), w.owned))
			return w.account(w.owned)
		}, "past_due", agency.SubscriptionResumed},
		{"frozen", func() agency.Account {
			must[service.SubscriptionView](t)(w.CancelSubscription(ctx, as(w.gil, w.agency), w.owned, true))
			return w.account(w.owned)
		}, "frozen", agency.SubscriptionFroze},
		{"paid while frozen", func() agency.Account { return report(paid, noon.Add(4*time.Second)) }, "frozen", agency.PaymentRecovered},
		{"failed while frozen", func() agency.Account { return report(failed, noon.Add(5*time.Second)) }, "frozen", agency.PaymentFailed},
		{"resumed, and due", func() agency.Account {
			must[service.SubscriptionView](t)(w.ResumeSubscription(ctx, as(w.gil, w.agency), w.owned))
			return w.account(w.owned)
		}, "past_due", agency.SubscriptionResumed},
		{"paid at last", func() agency.Account { return report(paid, noon.Add(6*time.Second)) }, "active", agency.PaymentRecovered},
	} {
		if got := step.do(); got.Subscription.State != step.to {
			t.Errorf("%s: %+v, want %s", step.name, got.Subscription, step.to)
		}
		if step.as != "" {
			events = append(events, string(step.as))
		}
		diff(t, step.name, events, w.events(w.owned))
	}
	if e := w.lastEvent(w.owned); e.Actor != "" || e.Agency != w.agency || e.Was.Subscription != agency.SubscriptionPastDue || e.Now.Subscription != agency.SubscriptionActive {
		t.Errorf("%+v", e)
	}
	// Past its end by the clock, the freeze is recorded before the report.
	must[service.SubscriptionView](t)(w.CancelSubscription(ctx, as(w.gil, w.agency), w.owned, false))
	events = w.events(w.owned)
	w.advance(30 * day)
	if got := report(failed, w.Now()); got.Subscription.State != agency.SubscriptionFrozen {
		t.Errorf("%+v", got)
	}
	diff(t, "past its end", append(events, "subscription.frozen", "subscription.payment_failed"), w.events(w.owned))
	w.audit(t)
}

// The access that the platform reads of a person is what the person would read.
func TestThePlatformAsksAboutAnyone(t *testing.T) {
	w := newWorld(t).connected()
	ctx := t.Context()
	for _, who := range []agency.Actor{w.ann, w.bob, w.mem, w.gil, w.gus, w.gem, w.olga, w.eve} {
		for _, id := range []agency.AccountID{w.client, w.agency, w.owned, newcomer} {
			for _, through := range []agency.AccountID{"", w.agency, w.client} {
				want := w.access(agency.Caller{Actor: who, As: through}, id)
				got := must[agency.Access](t)(w.CheckAccessOf(ctx, platform, strings.ToUpper(who.Email), through, id))
				diff(t, who.Email, want, got)
			}
		}
	}
	// The platform names an address, so any identity with it will do.
	if a := must[agency.Access](t)(w.CheckAccessOf(ctx, platform, w.ann.Email, "", w.client)); !a.Allowed {
		t.Errorf("%+v", a)
	}
	noError(t, w.EraseMe(ctx, w.mem))
	if a := must[agency.Access](t)(w.CheckAccessOf(ctx, platform, w.mem.Email, "", w.client)); a.Allowed || a.Reason != agency.NoProfile {
		t.Errorf("who is being erased: %+v", a)
	}
}

func TestWhatThePlatformIsRefused(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	closed := w.world("-closed")
	must[service.AccountView](t)(w.CloseAccount(ctx, as(closed.ann), closed.client))
	must[service.SubscriptionView](t)(w.CancelSubscription(ctx, as(w.ann), w.client, true))
	pay := func(id agency.AccountID, at time.Time) error {
		return second(w.ReportPayment(ctx, platform, id, service.Payment{Failed: true, At: at}))
	}
	checkAccess := func(email string, as, id agency.AccountID) error {
		return second(w.CheckAccessOf(ctx, platform, email, as, id))
	}
	before := w.items()
	for name, tt := range map[string]struct {
		err  error
		code agency.Code
	}{
		"no id":                       {second(w.register("shop-7", "Shop", "a@x.test", "")), agency.Invalid},
		"no name":                     {second(w.register(newcomer, " ", "a@x.test", "")), agency.Invalid},
		"no address":                  {second(w.register(newcomer, "Shop", "a", "")), agency.Invalid},
		"no plan":                     {second(w.register(newcomer, "Shop", "a@x.test", "free")), agency.Invalid},
		"an owned account":            {second(w.register(w.owned, "Owned", w.olga.Email, "")), agency.PermanentlyOwned},
		"a closed account":            {second(w.register(closed.client, "Client", closed.ann.Email, "")), agency.Conflict},
		"another plan while frozen":   {second(w.register(w.client, "Client", w.ann.Email, "growth")), agency.Conflict},
		"an admin as its owner":       {second(w.register(w.client, "Client", w.bob.Email, "")), agency.Conflict},
		"a payment of no account":     {pay(newcomer, noon), agency.NotFound},
		"a payment of no id":          {pay("x", noon), agency.Invalid},
		"a payment at no time":        {pay(w.client, time.Time{}), agency.Invalid},
		"a payment that lies ahead":   {pay(w.client, noon.Add(6*time.Minute)), agency.Invalid},
		"a payment of a closed one":   {pay(closed.client, noon), agency.Conflict},
		"access of no address":        {checkAccess("ann", "", w.client), agency.Invalid},
		"access to no id":             {checkAccess(w.ann.Email, "", "x"), agency.Invalid},
		"access as no id":             {checkAccess(w.ann.Email, "x", w.client), agency.Invalid},
		"registering by nobody":       {third(w.RegisterAccount(ctx, agency.Platform{}, newcomer, service.Registration{})), agency.Forbidden},
		"reporting by nobody":         {second(w.ReportPayment(ctx, agency.Platform{}, w.client, service.Payment{})), agency.Forbidden},
		"asking about access, nobody": {second(w.CheckAccessOf(ctx, agency.Platform{}, w.ann.Email, "", w.client)), agency.Forbidden},
	} {
		refused(t, name, tt.code, tt.err)
	}
	testbed.SameItems(t, before, w.items())
}

// A caller who may not see what a subscription costs may not change it. Refusals are in the order
// of README, Error codes.
func TestWhoMayBill(t *testing.T) {
	w := newWorld(t).connected()
	ctx := t.Context()
	before := w.items()
	for name, tt := range map[string]struct {
		by   agency.Caller
		of   agency.AccountID
		code agency.Code
	}{
		"an admin":                             {as(w.bob), w.client, agency.Forbidden},
		"a member":                             {as(w.mem), w.client, agency.Forbidden},
		"a connected agency's owner":           {as(w.gil, w.agency), w.client, agency.NotPayer},
		"a connected agency's admin":           {as(w.gus, w.agency), w.client, agency.NotPayer},
		"a connected agency's member":          {as(w.gem, w.agency), w.client, agency.NotPayer},
		"the client of an owned account":       {as(w.olga), w.owned, agency.NotPayer},
		"an admin of the owning agency":        {as(w.gus, w.agency), w.owned, agency.Forbidden},
		"a member of the owning agency":        {as(w.gem, w.agency), w.owned, agency.Forbidden},
		"its owner without the agency's hat":   {as(w.gil), w.owned, agency.NotFound},
		"a stranger":                           {as(w.eve), w.client, agency.NotFound},
		"somebody else with the address":       {as(impostor(w.ann)), w.client, agency.IdentityChanged},
		"nobody's account":                     {as(w.ann), newcomer, agency.NotFound},
		"an owner of an agency that is no way": {as(w.gil, w.client), w.owned, agency.NotFound},
	} {
		for action, do := range map[string]func() error{
			"see":       func() error { return second(w.GetSubscription(ctx, tt.by, tt.of)) },
			"change":    func() error { return second(w.ChangePlan(ctx, tt.by, tt.of, "growth")) },
			"cancel":    func() error { return second(w.CancelSubscription(ctx, tt.by, tt.of, false)) },
			"freeze":    func() error { return second(w.CancelSubscription(ctx, tt.by, tt.of, true)) },
			"resume":    func() error { return second(w.ResumeSubscription(ctx, tt.by, tt.of)) },
			"misspell":  func() error { return second(w.ChangePlan(ctx, tt.by, tt.of, "free")) },
			"misspell ": func() error { return second(w.ChangePlan(ctx, tt.by, tt.of, "")) },
		} {
			want := tt.code
			if strings.HasPrefix(action, "misspell") {
				want = agency.Invalid
			}
			refused(t, action+" of "+name, want, do())
		}
	}
	testbed.SameItems(t, before, w.items())
}

// Of two concurrent commands each is decided on the result of the other.
func TestBillingRaces(t *testing.T) {
	for name, race := range map[string]func(*world) (one, two func() error, ends []string){
		"two plans": func(w *world) (func() error, func() error, []string) {
			return func() error { return second(w.ChangePlan(w.t.Context(), as(w.ann), w.client, "growth")) },
				func() error { return second(w.ChangePlan(w.t.Context(), as(w.ann), w.client, "starter")) },
				[]string{"growth active", "starter active"}
		},
		"cancel and resume": func(w *world) (func() error, func() error, []string) {
			return func() error { return second(w.CancelSubscription(w.t.Context(), as(w.ann), w.client, false)) },
				func() error { return second(w.ResumeSubscription(w.t.Context(), as(w.ann), w.client)) },
				[]string{"starter cancelling", "starter active"}
		},
		"a payment and a cancel": func(w *world) (func() error, func() error, []string) {
			return func() error {
					return second(w.ReportPayment(w.t.Context(), platform, w.client, service.Payment{Failed: true, At: noon}))
				},
				func() error { return second(w.CancelSubscription(w.t.Context(), as(w.ann), w.client, true)) },
				[]string{"starter frozen, due"}
		},
		"a plan and a freeze": func(w *world) (func() error, func() error, []string) {
			return func() error {
					err := second(w.ChangePlan(w.t.Context(), as(w.ann), w.client, "growth"))
					if agency.CodeOf(err) == agency.Conflict {
						return nil
					}
					return err
				},
				func() error { return second(w.CancelSubscription(w.t.Context(), as(w.ann), w.client, true)) },
				[]string{"growth frozen", "starter frozen"}
		},
		"two registrations": func(w *world) (func() error, func() error, []string) {
			return func() error { return second(w.register(w.client, "One", w.ann.Email, "growth")) },
				func() error { return second(w.register(w.client, "Two", w.ann.Email, "growth")) },
				[]string{"growth active"}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			for range 10 {
				one, two, ends := race(w)
				errs := make(chan error, 2)
				for _, do := range []func() error{one, two} {
					go func() { errs <- do() }()
				}
				for range 2 {
					if err := <-errs; err != nil {
						t.Error(err)
					}
				}
				s := w.account(w.client).Subscription
				end := s.Plan + " " + string(s.State)
				if s.Unpaid {
					end += ", due"
				}
				if !slices.Contains(ends, end) {
					t.Errorf("ended as %s", end)
				}
				w.audit(t)
			}
		})
	}
}
