package agency

import (
	"time"
)

// SubscriptionState is the state of an account's subscription.
type SubscriptionState string

// The states of a subscription. A frozen one leaves every area at most at View.
// One that is past due restricts no access: the platform decides what follows
// from it.
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
	// Unpaid is true after a failed payment. It outlives a cancellation: resuming
	// leads back to the debt.
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
	return StartOfMonth(now).AddDate(0, 1, 0)
}

// Summary is the part that profiles keep a copy of. Reports of payments are not
// in it.
func (s Subscription) Summary() Subscription {
	return Subscription{Plan: s.Plan, State: s.State, FreezesAt: s.FreezesAt}
}

// ActiveState is the state of a subscription that is not cancelled.
func (s Subscription) ActiveState() SubscriptionState {
	if s.Unpaid {
		return SubscriptionPastDue
	}
	return SubscriptionActive
}

// EventState returns what events report of a subscription.
func (s Subscription) EventState() State {
	return State{Plan: s.Plan, Subscription: s.State, Until: s.FreezesAt}
}

// StartOfMonth is the first instant of an instant's UTC month.
func StartOfMonth(t time.Time) time.Time {
	y, m, _ := t.UTC().Date()
	return time.Date(y, m, 1, 0, 0, 0, 0, time.UTC)
}
