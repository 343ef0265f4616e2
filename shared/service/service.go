// Package service holds the use cases: what people, the platform and the clock do.
// Each loads what it decides on from a Store, decides by the law in package
// agency, and saves the changes in one transaction. It knows neither HTTP nor
// DynamoDB, and is given its clock.
package service

import (
	"context"
	"time"

	"agencyhub/shared/agency"
)

// Service holds the use cases. All its fields must be set, but for those that say so.
type Service struct {
	Store Store
	Rules agency.Rules
	// Now is the clock.
	Now func() time.Time
	// NewEventID makes the id of an event at that time.
	NewEventID func(time.Time) agency.EventID
	// RequestID returns the call that a context serves, which events keep; nil for none.
	RequestID func(context.Context) string
	// Saved, unless it is nil, is called with the events of each transaction that was made.
	Saved func(context.Context, []agency.Event)
}

func (s *Service) requestID(ctx context.Context) string {
	if s.RequestID == nil {
		return ""
	}
	return s.RequestID(ctx)
}

func (s *Service) saved(ctx context.Context, events ...agency.Event) {
	if s.Saved != nil {
		s.Saved(ctx, events)
	}
}

// command reads what is wanted, decides, and writes: one batch read, one
// transaction. If what it rested on has changed meanwhile it decides again. A
// refusal, or an answer that changes nothing, takes a second read that must equal
// the first. Further errors: Unavailable.
func (s *Service) command(ctx context.Context, caller *agency.Caller, want Want, decide func(*decision) error) error {
	return s.attempt(ctx, attempts{caller: caller, want: want, decide: decide, confirms: true})
}

// query is command for a use case that only reads. It may bind a profile, and takes
// one read. It answers what it has read even if that was changing meanwhile.
func (s *Service) query(ctx context.Context, caller *agency.Caller, want Want, decide func(*decision) error) error {
	return s.attempt(ctx, attempts{caller: caller, want: want, decide: decide})
}

func (s *Service) attempt(ctx context.Context, a attempts) error {
	if a.caller != nil {
		if err := checkAs(*a.caller); err != nil {
			return err
		}
	}
	if !a.want.isWellFormed() {
		return noSuchAccount()
	}
	// A caller can name one thing twice, such as their own agency as the one they
	// act for.
	a.Service, a.want, a.request = s, a.want.plus(Want{}), s.requestID(ctx)
	err := a.run(ctx)
	if err != nil && a.unbound.Member != "" {
		// A refused call is the first one of a registered person too.
		if failed := s.bindRefused(ctx, *a.caller, a.unbound); failed != nil {
			return failed
		}
	}
	return err
}

// run is command for a decision with a result.
func run[T any](ctx context.Context, s *Service, caller *agency.Caller, want Want, f func(*decision) (T, error)) (T, error) {
	var out T
	err := s.command(ctx, caller, want, func(d *decision) (err error) {
		out, err = f(d)
		return err
	})
	return out, err
}

// runQuery is query for a decision with a result.
func runQuery[T any](ctx context.Context, s *Service, caller *agency.Caller, want Want, f func(*decision) (T, error)) (T, error) {
	var out T
	err := s.query(ctx, caller, want, func(d *decision) (err error) {
		out, err = f(d)
		return err
	})
	return out, err
}

// GrantedAreas returns a profile's shown areas with every area named.
func (s *Service) GrantedAreas(p agency.Profile) agency.Areas { return s.Rules.Granted(p) }
