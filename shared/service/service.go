// Package service holds the use cases: what people, the platform and the clock do.
// Each loads what it decides on from a Store, decides by the law in package
// agency, and saves the changes in one transaction. It knows neither HTTP nor
// DynamoDB, and is given its clock.
package service

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"agencyhub/shared/agency"
)

// Service holds the use cases. All its fields must be set.
type Service struct {
	Store Store
	Rules agency.Rules
	// Now is the clock.
	Now func() time.Time
	// NewEventID makes the id of an event at that time.
	NewEventID func(time.Time) agency.EventID
}

// A command that meets others on the same items tries again for conflictRetryLimit,
// with random pauses up to a ceiling that doubles.
const (
	conflictRetryLimit = 6 * time.Second
	firstCeiling       = 8 * time.Millisecond
	highestCeiling     = 250 * time.Millisecond
)

// command reads what is wanted, decides, and writes: one batch read, one
// transaction. If what it rested on has changed meanwhile it reads and decides
// again, so that a refusal reflects the present state.
func (s *Service) command(ctx context.Context, caller *agency.Caller, want Want, decide func(*decision) error) error {
	if caller != nil {
		if err := checkAs(*caller); err != nil {
			return err
		}
	}
	if !want.isWellFormed() {
		return noSuchAccount()
	}
	// A caller can name one thing twice, such as their own agency as the one they
	// act for.
	want = want.plus(Want{})
	bounded, cancel := context.WithTimeout(ctx, conflictRetryLimit)
	defer cancel()
	for ceiling := firstCeiling; ; ceiling = min(2*ceiling, highestCeiling) {
		err := s.try(ctx, caller, want, decide)
		if !errors.Is(err, ErrConflict) && !errors.Is(err, ErrBusy) {
			return err
		}
		select {
		case <-time.After(rand.N(ceiling)): //nolint:gosec // a pause, not a secret
		case <-bounded.Done():
			if errors.Is(err, ErrBusy) {
				return err
			}
			return &agency.Error{Code: agency.Conflict, Message: "Somebody else is changing the same thing. Nothing was changed for you; try again in a moment.", Cause: err}
		}
	}
}

// decide is command for a decision with a result.
func run[T any](ctx context.Context, s *Service, caller *agency.Caller, want Want, f func(*decision) (T, error)) (T, error) {
	var out T
	err := s.command(ctx, caller, want, func(d *decision) (err error) {
		out, err = f(d)
		return err
	})
	return out, err
}

func (s *Service) try(ctx context.Context, caller *agency.Caller, want Want, decide func(*decision) error) error {
	read, err := s.Store.Load(ctx, want)
	if err != nil {
		return err
	}
	d := &decision{read: read, rules: s.Rules, now: s.Now().UTC().Truncate(time.Millisecond), caller: caller}
	if err := decide(d); err != nil {
		return err
	}
	for i := range d.Events {
		e := &d.Events[i]
		e.ID = s.NewEventID(e.At)
		if e.Agency == "" {
			// What happens to persons of an agency-owned account concerns its
			// owner.
			e.Agency = read.Account(e.AccountID()).Owner
		}
		e.WakeAt = e.At.Add(s.Rules.WakeAfter)
		if caller != nil && !e.IsByClock() {
			e.Actor, e.As = caller.ID(), caller.As
		}
		d.chain(e)
	}
	d.Counts = d.counts()
	if d.Changes.IsEmpty() {
		return nil
	}
	return d.refusal(s.Store.Save(ctx, read, d.Changes))
}

// GrantedAreas returns a profile's shown areas with every area named.
func (s *Service) GrantedAreas(p agency.Profile) agency.Areas { return s.Rules.Granted(p) }
