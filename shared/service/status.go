package service

import (
	"context"
	"time"

	"agencyhub/shared/agency"
)

// Sweep is what a run of cleanup reports when it ends. Its counts are as of then, and
// do not move until the next run.
type Sweep struct {
	// At is when the run ended; zero if there was no run. Version is cleanup's build.
	At      time.Time
	Version string
	// Finished is false if the run's time was over before everything was done. Failed
	// counts items, reads and counts that failed.
	Finished bool
	Failed   int
	// Backlog counts what is due and not done, except for events; nil if it could not be
	// counted. OldestDue is since when the first of it is due, zero for none.
	Backlog   *int
	OldestDue time.Time
	// Unfinished counts the events that have waited longer than Rules.WakeAfter for
	// their emails or their bus entry; nil if they could not be counted.
	// OldestUnfinished is when the first of them happened, zero for none.
	Unfinished       *int
	OldestUnfinished time.Time
	// AtLeast is true if counting stopped early or failed: there may be more than that.
	AtLeast bool
}

// Status is how the hub is doing.
type Status struct {
	// Now is the hub's clock.
	Now   time.Time
	Sweep Sweep
}

// ReadStatus returns how the hub is doing, by one read. Errors: Forbidden.
func (s *Service) ReadStatus(ctx context.Context, by agency.Platform) (Status, error) {
	if err := by.Authorize(agency.ReadStatus, agency.ClientOwned); err != nil {
		return Status{}, err
	}
	sweep, err := s.Store.LastSweep(ctx)
	if err != nil {
		return Status{}, err
	}
	return Status{Now: s.Now().UTC(), Sweep: sweep}, nil
}
