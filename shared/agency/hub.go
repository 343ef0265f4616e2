// Package agency is the domain: who owns an account, who pays, who may do what,
// and how a connection between an agency and an account lives and ends. It
// decides; it does not know how it is called, where things are kept or what
// time it is. It imports the standard library and Unicode normalisation, and
// nothing of AWS or HTTP.
package agency

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

// Hub is the use cases. All its fields must be set.
type Hub struct {
	Store Store
	Rules Rules
	// Now is the clock.
	Now func() time.Time
	// NewEventID makes the id of an event at that time.
	NewEventID func(time.Time) EventID
}

// A command that meets others on the same items tries again for this long, with
// pauses drawn from zero to a ceiling that doubles.
const (
	conflictTime   = 6 * time.Second
	firstCeiling   = 8 * time.Millisecond
	highestCeiling = 250 * time.Millisecond
)

// decision is one attempt at a command: what was read at what time, and what
// shall be written.
type decision struct {
	read Snapshot
	Changes
	rules Rules
	now   time.Time
	// caller is who acts; nil for the clock.
	caller *Caller
	// limits are what counts must stand at for the changes to be made.
	limits []CountChange
}

// command reads what is wanted, decides, and writes: one batch read, one
// transaction. When what it rested on changed meanwhile it reads and decides
// again, so a refusal always speaks of the present state.
func (h *Hub) command(ctx context.Context, caller *Caller, want Want, decide func(*decision) error) error {
	if caller != nil {
		if err := checkAs(*caller); err != nil {
			return err
		}
	}
	if !want.wellFormed() {
		return noSuchAccount()
	}
	// A caller can name one thing twice, such as their own agency in its own hat.
	want = want.and(Want{})
	bounded, cancel := context.WithTimeout(ctx, conflictTime)
	defer cancel()
	for ceiling := firstCeiling; ; ceiling = min(2*ceiling, highestCeiling) {
		err := h.try(ctx, caller, want, decide)
		if !errors.Is(err, ErrConflict) && !errors.Is(err, ErrBusy) {
			return err
		}
		select {
		case <-time.After(rand.N(ceiling)): //nolint:gosec // a pause, not a secret
		case <-bounded.Done():
			if errors.Is(err, ErrBusy) {
				return err
			}
			return &Error{Code: Conflict, Message: "Somebody else is changing the same thing. Nothing was changed for you; try again in a moment.", Cause: err}
		}
	}
}

func (h *Hub) try(ctx context.Context, caller *Caller, want Want, decide func(*decision) error) error {
	read, err := h.Store.Load(ctx, want)
	if err != nil {
		return err
	}
	d := &decision{read: read, rules: h.Rules, now: h.Now().UTC().Truncate(time.Millisecond), caller: caller}
	if err := decide(d); err != nil {
		return err
	}
	for i := range d.Events {
		e := &d.Events[i]
		e.ID = h.NewEventID(e.At)
		if e.Agency == "" {
			// What happens to the persons of an owned account concerns its owner.
			e.Agency = read.Account(e.AccountID()).Owner
		}
		e.WakeAt = e.At.Add(h.Rules.WakeAfter)
		if caller != nil && !e.byClock() {
			e.Actor, e.As = caller.ID(), caller.As
		}
	}
	d.Counts = d.counts()
	if d.Changes.Empty() {
		return nil
	}
	return d.refusal(h.Store.Save(ctx, read, d.Changes))
}

// refusal turns a count that stands against a decision into what its caller is
// told.
func (d *decision) refusal(err error) error {
	switch {
	case errors.Is(err, ErrTooManyOpen):
		return &Error{Code: RateLimited, RetryAfter: time.Hour, Cause: err,
			Message: "Your agency has too many requests that wait for an answer. Withdraw some, or wait."}
	case errors.Is(err, ErrTooManyToday):
		return &Error{Code: RateLimited, RetryAfter: day(d.now).AddDate(0, 0, 1).Sub(d.now), Cause: err,
			Message: "Your agency has made as many new requests as it may in one day. Go on tomorrow."}
	case errors.Is(err, ErrHasClients):
		return &Error{Code: HasClients, Cause: err,
			Message: "The agency still has clients, or requests that wait for an answer. End these first."}
	default:
		return err
	}
}

// day is the UTC day of an instant.
func day(t time.Time) time.Time { return t.UTC().Truncate(24 * time.Hour) }

// apply takes a profile one step, and notes the change and its events.
func (d *decision) apply(p Profile, s Step) (Profile, error) {
	s.At = d.now
	next, events, err := Apply(p, s)
	if err != nil || len(events) == 0 {
		return next, err
	}
	next.RemindAt = d.reminder(p, next, s)
	d.put(next)
	d.Events = append(d.Events, events...)
	return d.profile(next.ProfileKey), nil
}

// reminder is when to remind of a profile that a step has just changed. A
// resend, or another end date, plans it anew.
func (d *decision) reminder(was, next Profile, s Step) time.Time {
	switch {
	case s.Do == Request || s.Do == Resend || next.Status == Active && !next.Until.Equal(was.Until):
		return d.rules.remindAt(next, d.now, tooSoon)
	case s.Do == Remind || next.Status.Over():
		return time.Time{}
	case s.Do == Warn:
		return d.rules.remindAt(next, d.now, 0)
	case was.Status != next.Status:
		return time.Time{}
	default:
		return was.RemindAt
	}
}

// profile is a profile as the decision has it so far.
func (d *decision) profile(key ProfileKey) Profile {
	for _, p := range d.Profiles {
		if p.ProfileKey == key {
			return p
		}
	}
	return d.read.Profile(key)
}

// put notes the new state of a profile. A profile is written once however often
// it changes in one decision.
func (d *decision) put(p Profile) {
	p.DueAt = d.rules.due(p)
	for i := range d.Profiles {
		if d.Profiles[i].ProfileKey == p.ProfileKey {
			d.Profiles[i] = p
			return
		}
	}
	d.Profiles = append(d.Profiles, p)
}

// counts is how the changes move the counts of the agencies concerned.
func (d *decision) counts() []CountChange {
	var moves []CountChange
	of := func(agency AccountID) *CountChange {
		for i := range moves {
			if moves[i].Agency == agency {
				return &moves[i]
			}
		}
		moves = append(moves, CountChange{Agency: agency, Month: d.now, Happened: map[EventType]int{}})
		return &moves[len(moves)-1]
	}
	for _, p := range d.Profiles {
		if agency := p.Member.Account(); agency != "" {
			of(agency).count(d.read.Profile(p.ProfileKey), -1)
			of(agency).count(p, 1)
		}
	}
	for _, e := range d.Events {
		if e.Agency != "" {
			of(e.Agency).Happened[e.Type]++
		}
	}
	for _, l := range d.limits {
		c := of(l.Agency)
		c.PendingMost, c.NoClients = l.PendingMost, l.NoClients
		c.Day, c.Requests, c.DayBelow = l.Day, l.Requests, l.DayBelow
	}
	return moves
}

func (c *CountChange) count(p Profile, by int) {
	switch {
	case p.Status == Active && p.Ownership == AgencyOwned:
		c.Owned += by
	case p.Status == Active:
		c.Connected += by
	case p.Status == Pending:
		c.Pending += by
	}
}
