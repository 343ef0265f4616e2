package service

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"runtime/debug"
	"time"

	"agencyhub/shared/agency"
)

// A command that meets others on the same items tries again for conflictRetryLimit,
// with random pauses up to a ceiling that doubles. It gives up as soon as a pause
// would pass the limit: more attempts at the end would only slow the others down.
const (
	conflictRetryLimit = 6 * time.Second
	firstCeiling       = 8 * time.Millisecond
	highestCeiling     = time.Second
)

// attempts are the attempts at one command or query.
type attempts struct {
	*Service
	caller *agency.Caller
	want   Want
	decide func(*decision) error
	// request is the call that the command serves; "" for none.
	request string
	// confirms is true for a command: what it answers without a write is confirmed
	// by a second read.
	confirms bool
	// read is what the next attempt decides on; nil if that must be read first.
	read *Snapshot
	// unbound is the caller's profile that a refused attempt would have bound.
	unbound agency.ProfileKey
}

// run makes attempts until one is no conflict, and the store is not busy.
func (a *attempts) run(ctx context.Context) error {
	bounded, cancel := context.WithTimeout(ctx, conflictRetryLimit)
	defer cancel()
	limit, _ := bounded.Deadline()
	for ceiling := firstCeiling; ; ceiling = min(2*ceiling, highestCeiling) {
		err := a.try(ctx, bounded)
		again := errors.Is(err, ErrConflict) || errors.Is(err, ErrBusy)
		if !again || errors.Is(err, errOutcomeUnknown) {
			return err
		}
		pause := rand.N(ceiling)       //nolint:gosec // a pause, not a secret
		if time.Until(limit) < pause { //nolint:forbidigo // the caller waits by the machine's clock
			return unavailable(err)
		}
		select {
		case <-time.After(pause):
		case <-bounded.Done():
			return unavailable(err)
		}
	}
}

// try makes one attempt. The reads end with the bounded context; a transaction is
// not cut off by it, since its outcome would then be unknown.
func (a *attempts) try(ctx, bounded context.Context) error {
	if a.read == nil {
		read, err := a.Store.Load(bounded, a.want)
		if err != nil {
			return err
		}
		a.read = &read
	}
	for {
		d, err := a.decideOn(*a.read)
		a.unbound = agency.ProfileKey{}
		if err != nil && d != nil {
			a.unbound = d.bound
		}
		if err == nil && !d.Changes.IsEmpty() {
			d.GiveUpAt, _ = bounded.Deadline()
			// A failed condition on a count is found by the transaction itself, so
			// that refusal needs no second read.
			if err = d.refusal(a.Store.Save(ctx, *a.read, d.Changes)); isOfCount(err) {
				a.unbound = d.bound
			}
			if errors.Is(err, ErrConflict) && !errors.Is(err, ErrContended) {
				a.read = nil
			}
			if err == nil {
				a.saved(ctx, d.Events...)
			}
			return err
		}
		if !a.confirms {
			return err
		}
		// A batch read takes each item at a moment of its own, so what was decided on
		// may never have been there at once. Every write raises a version: if the same
		// is read twice, one after the other, it was all there in between.
		again, failed := a.Store.Load(bounded, a.want)
		if failed != nil {
			return failed
		}
		if reflect.DeepEqual(*a.read, again) {
			return err
		}
		a.read = &again
	}
}

// isOfCount reports whether an error of a transaction is the refusal by a count, which
// has written nothing.
func isOfCount(err error) bool {
	code := agency.CodeOf(err)
	return code == agency.RateLimited || code == agency.HasClients
}

// decideOn decides on what was read, and completes the changes. A panic becomes the
// error Internal.
func (a *attempts) decideOn(read Snapshot) (d *decision, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = &agency.Error{
				Code: agency.Internal, Message: "Something went wrong on our side.",
				Cause: fmt.Errorf("panic: %v\n%s", cause, debug.Stack()),
			}
		}
	}()
	now := read.notBefore(a.Now().UTC().Truncate(time.Millisecond))
	d = &decision{read: read, rules: a.Rules, now: now, caller: a.caller}
	if err := a.decide(d); err != nil {
		return d, err
	}
	if err := d.listAgencies(); err != nil {
		return d, err
	}
	last := read.lastEvent(now)
	for i := range d.Events {
		e := &d.Events[i]
		e.ID, e.RequestID = a.NewEventID(e.At).Following(last), a.request
		last = e.ID
		if e.Agency == "" {
			// What happens to persons of an agency-owned account concerns its
			// owner.
			e.Agency = read.Account(e.AccountID()).Owner
		}
		e.WakeAt = e.At.Add(a.Rules.WakeAfter)
		if a.caller != nil && !e.IsByClock() {
			e.Actor, e.As = a.caller.ID(), a.caller.As
		}
		d.chain(e)
	}
	d.markMakers()
	d.Counts = d.counts()
	d.noteFirst()
	return d, nil
}

// unavailable is the refusal of a command that met others, or a busy store, until
// its time was over. Nothing was written.
func unavailable(err error) error {
	message := "Too many people are changing this account right now. Nothing was changed; try again in a moment."
	if errors.Is(err, ErrBusy) {
		message = busyMessage
	}
	return &agency.Error{Code: agency.Unavailable, RetryAfter: retryAfter(), Message: message, Cause: err}
}

// retryAfter is how long a caller waits after Unavailable. It varies, so that those
// who are refused together don't come back together.
func retryAfter() time.Duration {
	return time.Second + rand.N(4*time.Second) //nolint:gosec // a pause, not a secret
}
