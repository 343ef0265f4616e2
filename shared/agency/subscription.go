package agency

import (
	"context"
	"time"
)

// SubscriptionState is where an account's subscription stands.
type SubscriptionState string

// The states of a subscription. A frozen one leaves every area at most at View.
// One that is past due costs no access: what follows from it is the platform's
// to decide.
const (
	SubscriptionActive     SubscriptionState = "active"
	SubscriptionPastDue    SubscriptionState = "past_due"
	SubscriptionCancelling SubscriptionState = "cancelling"
	SubscriptionFrozen     SubscriptionState = "frozen"
)

// Subscription is what an account's payer pays for.
type Subscription struct {
	Plan  string
	State SubscriptionState
	// FreezesAt is the end of the period in which a cancelling subscription was
	// cancelled; zero in every other state.
	FreezesAt time.Time
	// Unpaid tells that the last payment that was reported has failed. It outlives
	// a cancellation: who resumes still owes it.
	Unpaid bool
	// ReportedAt is when that payment succeeded or failed; zero before the first
	// report.
	ReportedAt time.Time
}

// StateAt is the state by the clock: a cancelling subscription whose period is
// over is frozen, whether or not anything has recorded it yet.
func (s Subscription) StateAt(now time.Time) SubscriptionState {
	if s.State == SubscriptionCancelling && !now.Before(s.FreezesAt) {
		return SubscriptionFrozen
	}
	return s.State
}

// At is the subscription by the clock.
func (s Subscription) At(now time.Time) Subscription {
	if state := s.StateAt(now); state != s.State {
		s.State, s.FreezesAt = state, time.Time{}
	}
	return s
}

// PeriodEnd is the end of the period that holds the instant: periods are
// calendar months, UTC.
func (Subscription) PeriodEnd(now time.Time) time.Time {
	return month(now).AddDate(0, 1, 0)
}

// copy is what profiles keep of it. What payments were reported when is nothing
// that a copy is read for.
func (s Subscription) copy() Subscription {
	return Subscription{Plan: s.Plan, State: s.State, FreezesAt: s.FreezesAt}
}

// running is the state of a subscription that nobody has cancelled.
func (s Subscription) running() SubscriptionState {
	if s.Unpaid {
		return SubscriptionPastDue
	}
	return SubscriptionActive
}

// SubscriptionView is an account's subscription as its payer sees it.
type SubscriptionView struct {
	Subscription
	// Of is the plan by its present price.
	Of        Plan
	PeriodEnd time.Time
	Payer     Ownership
}

// viewSubscription is the subscription as it stands at the time of the decision.
func (d *decision) viewSubscription(a Account) SubscriptionView {
	s := a.Subscription.At(d.now)
	return SubscriptionView{Subscription: s, Of: d.rules.Plan(s.Plan), PeriodEnd: s.PeriodEnd(d.now), Payer: a.Payer()}
}

// SeeSubscription answers what an account costs, to whoever pays for it: its
// owner, or the owner of the agency that owns it. Errors: IdentityChanged,
// NotFound, NotPayer, Forbidden.
func (h *Hub) SeeSubscription(ctx context.Context, caller Caller, id AccountID) (SubscriptionView, error) {
	return h.bill(ctx, caller, id, func(*decision, *Account) error { return nil })
}

// ChangePlan changes an account's plan at once, without proration. Of a
// cancelling subscription it leaves the end as it is; while a payment is due it
// may be changed too, so that a payer can go on with less. Errors: Invalid,
// IdentityChanged, NotFound, NotPayer, Forbidden, Conflict (it is frozen).
func (h *Hub) ChangePlan(ctx context.Context, caller Caller, id AccountID, plan string) (SubscriptionView, error) {
	if !h.Rules.hasPlan(plan) {
		return SubscriptionView{}, invalid("body.plan", "There is no such plan. The plans are: %s.", h.Rules.planList())
	}
	return h.bill(ctx, caller, id, func(d *decision, a *Account) error {
		if a.Subscription.State == SubscriptionFrozen {
			return refuse(Conflict, "The subscription is frozen. Resume it first, then change the plan.")
		}
		now := a.Subscription
		now.Plan = plan
		d.subscribe(a, now, PlanChanged)
		return nil
	})
}

// CancelSubscription ends a subscription with its present period, or at once.
// One that is cancelled so already, or frozen, stays as it is. Errors:
// IdentityChanged, NotFound, NotPayer, Forbidden.
func (h *Hub) CancelSubscription(ctx context.Context, caller Caller, id AccountID, atOnce bool) (SubscriptionView, error) {
	return h.bill(ctx, caller, id, func(d *decision, a *Account) error {
		now := a.Subscription
		switch {
		case now.State == SubscriptionFrozen || now.State == SubscriptionCancelling && !atOnce:
		case atOnce:
			now.State, now.FreezesAt = SubscriptionFrozen, time.Time{}
			d.subscribe(a, now, SubscriptionFroze)
		default:
			now.State, now.FreezesAt = SubscriptionCancelling, now.PeriodEnd(d.now)
			d.subscribe(a, now, SubscriptionCancelled)
		}
		return nil
	})
}

// ResumeSubscription takes a cancellation back, or ends a freeze, at once. A
// payment that was due is due again. What nobody has cancelled stays as it is.
// Errors: IdentityChanged, NotFound, NotPayer, Forbidden.
func (h *Hub) ResumeSubscription(ctx context.Context, caller Caller, id AccountID) (SubscriptionView, error) {
	return h.bill(ctx, caller, id, func(d *decision, a *Account) error {
		now := a.Subscription
		if now.State == SubscriptionCancelling || now.State == SubscriptionFrozen {
			now.State, now.FreezesAt = now.running(), time.Time{}
			d.subscribe(a, now, SubscriptionResumed)
		}
		return nil
	})
}

// bill is one billing action. What the clock has frozen is recorded first; an
// action that then changes nothing leaves that to the clock.
func (h *Hub) bill(ctx context.Context, caller Caller, id AccountID, do func(*decision, *Account) error) (SubscriptionView, error) {
	var view SubscriptionView
	err := h.command(ctx, &caller, wantStanding(caller, id), func(d *decision) error {
		s, err := d.standAs(Bill, id)
		if err != nil {
			return err
		}
		account := s.account
		d.freezeOverdue(&account)
		settled := account.Version
		if err := do(d, &account); err != nil {
			return err
		}
		if account.Version == settled {
			d.Accounts, d.Events = nil, nil
		}
		view = d.viewSubscription(account)
		return nil
	})
	return view, err
}

// subscribe gives an account another subscription, told as that event: nothing
// where that changes nothing.
func (d *decision) subscribe(a *Account, now Subscription, as EventType) {
	was := a.Subscription
	if now == was {
		return
	}
	a.Subscription = now
	// Only a cancelling one has a moment to come.
	a.DueAt = now.FreezesAt
	d.putAccount(a)
	if as != "" {
		d.accountEvent(as, *a, was.state(), now.state())
	}
}

// freezeOverdue records what the clock has decided: a cancelling subscription
// whose period is over is frozen.
func (d *decision) freezeOverdue(a *Account) {
	d.subscribe(a, a.Subscription.At(d.now), SubscriptionFroze)
}

// putAccount notes the new state of an account, with its next version. An
// account is written once however often it changes in one decision.
func (d *decision) putAccount(a *Account) {
	a.Version++
	for i := range d.Accounts {
		if d.Accounts[i].ID == a.ID {
			d.Accounts[i] = *a
			return
		}
	}
	d.Accounts = append(d.Accounts, *a)
}

func (s Subscription) state() State {
	return State{Plan: s.Plan, Subscription: s.State, Until: s.FreezesAt}
}

// freeze is the clock's part: it records that a cancelled period is over.
func (h *Hub) freeze(ctx context.Context, id AccountID) (Ticked, error) {
	done := Idle
	err := h.command(ctx, nil, Want{Accounts: []AccountID{id}}, func(d *decision) error {
		done = Idle
		if account := d.read.Account(id); account.Open() {
			if d.freezeOverdue(&account); len(d.Accounts) > 0 {
				done = DidFreeze
			}
		}
		return nil
	})
	return done, err
}
