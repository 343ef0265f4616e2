package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"time"

	"agencyhub/shared/agency"
	"agencyhub/shared/cloud"
	"agencyhub/shared/service"
	"agencyhub/shared/table"
)

// reserve is how long before its deadline a run stops beginning new work: it
// leaves time for what is under way and for the report.
const reserve = 5 * time.Second

// longestSleep bounds how far apart an event is woken: the longer it has
// waited, the longer until the next time.
const longestSleep = time.Hour

// due is what cleanup needs of the table besides the use cases.
type due interface {
	Due(ctx context.Context, shard int, now time.Time) iter.Seq2[table.DueItem, error]
	Wake(ctx context.Context, k table.EventKey, now, next time.Time) (bool, error)
	Backlog(ctx context.Context, now time.Time) (count int, oldest time.Time, err error)
	Waiting(ctx context.Context) (int, error)
	Untold(ctx context.Context, before, horizon time.Time) (count int, oldest time.Time, err error)
}

type cleaner struct {
	svc   *service.Service
	table due
	meter cloud.Meter
}

// report is what one run did and what it left.
type report struct {
	// Expired, Lapsed and Frozen count what the clock has ended, Woken the events
	// that were sent through the stream once more.
	Expired int `json:"expired"`
	Lapsed  int `json:"lapsed"`
	Frozen  int `json:"frozen"`
	Woken   int `json:"woken"`
	// Redriven counts those that were woken before their time, as asked.
	Redriven int `json:"redriven"`
	// Reminded counts the reminders that were due, Ended the steps taken to end
	// what stood in closed accounts, Erased those to erase persons, and Collected
	// what had ended long ago.
	Reminded  int `json:"reminded"`
	Ended     int `json:"ended"`
	Erased    int `json:"erased"`
	Collected int `json:"collected"`
	// Stopped counts the erasings that stopped at a last owner.
	Stopped int `json:"stopped"`
	// Failed counts what could not be done; the next run tries again.
	Failed int `json:"failed"`
	// Backlog is what is due and not done when the run ends, and Oldest since
	// when the longest of it waits.
	Backlog int        `json:"backlog"`
	Oldest  *time.Time `json:"oldest"`
	// Finished is false when the run's time ended before its work did.
	Finished bool `json:"finished"`
}

// run does everything that is due, as far as its time goes. Running twice, or
// two at once, changes nothing more: each step is conditioned. Its error says
// that something failed; what could be done is done all the same.
func (c *cleaner) run(ctx context.Context) (report, error) {
	r := report{Finished: true}
	now := c.svc.Now().UTC()
	work, cancel := context.WithCancel(ctx)
	if deadline, ok := ctx.Deadline(); ok {
		work, cancel = context.WithDeadline(ctx, deadline.Add(-reserve))
	}
	defer cancel()

	var failures []error
	for i := range table.Shards {
		// Another shard begins each minute, so that none starves behind a long one.
		shard := (i + now.Minute()) % table.Shards
		for item, err := range c.table.Due(work, shard, now) {
			if work.Err() != nil {
				break
			}
			if err == nil {
				err = c.settle(work, item, now, &r)
			}
			if err != nil && work.Err() == nil {
				r.Failed++
				failures = append(failures, err)
				slog.ErrorContext(ctx, "Something due could not be done.", "error", err.Error(), "shard", shard)
			}
		}
	}
	r.Finished = work.Err() == nil
	backlog, oldest, err := c.table.Backlog(ctx, now)
	if err != nil {
		failures = append(failures, err)
	}
	r.Backlog = backlog
	if !oldest.IsZero() {
		r.Oldest = &oldest
	}
	slog.InfoContext(ctx, "Cleaned up.", "expired", r.Expired, "lapsed", r.Lapsed, "frozen", r.Frozen, "woken", r.Woken,
		"reminded", r.Reminded, "ended", r.Ended, "erased", r.Erased, "collected", r.Collected, "stopped", r.Stopped,
		"failed", r.Failed, "backlog", r.Backlog, "finished", r.Finished)
	return r, errors.Join(failures...)
}

func (c *cleaner) settle(ctx context.Context, item table.DueItem, now time.Time, r *report) error {
	if item.Event != nil {
		woken, err := c.table.Wake(ctx, *item.Event, now, now.Add(c.sleep(item, now)))
		if woken {
			r.Woken++
		}
		if err != nil {
			return fmt.Errorf("waking %s: %w", item.Event.ID, err)
		}
		return nil
	}
	done, err := c.tick(ctx, item)
	if err != nil {
		return err
	}
	switch done {
	case service.OutcomeExpired:
		r.Expired++
	case service.OutcomeLapsed:
		r.Lapsed++
	case service.OutcomeFrozen:
		r.Frozen++
	case service.OutcomeReminded:
		r.Reminded++
	case service.OutcomeEnded:
		r.Ended++
	case service.OutcomeErased:
		r.Erased++
	case service.OutcomeCollected:
		r.Collected++
	case stopped:
		r.Stopped++
	case service.OutcomeNone:
	}
	return nil
}

// stopped is an erasing that waits for another owner.
const stopped service.Outcome = "stopped"

// tick does what the clock has come for.
func (c *cleaner) tick(ctx context.Context, item table.DueItem) (done service.Outcome, err error) {
	switch {
	case item.Account != "":
		if done, err = c.svc.SweepAccount(ctx, item.Account); err != nil {
			return done, fmt.Errorf("at the account %s: %w", item.Account, err)
		}
	case item.Person != "":
		done, err = c.svc.SweepPerson(ctx, item.Person)
		if agency.CodeOf(err) == agency.LastOwner {
			// Nothing has failed: somebody must find these accounts another owner.
			slog.WarnContext(ctx, "An erasing has stopped at a last owner.", "person", string(item.Person), "error", err.Error())
			return stopped, nil
		}
		if err != nil {
			return done, fmt.Errorf("erasing %s: %w", item.Person, err)
		}
	default:
		if done, err = c.svc.SweepProfile(ctx, *item.Profile); err != nil {
			return done, fmt.Errorf("at %s in %s: %w", item.Profile.Member, item.Profile.Addressee, err)
		}
	}
	return done, nil
}

// sleep is how long to leave an event alone after waking it: as long as it has
// been waiting to be told, within bounds.
func (c *cleaner) sleep(item table.DueItem, now time.Time) time.Duration {
	least := c.svc.Rules.WakeAfter
	return min(max(now.Sub(item.Since), least), max(longestSleep, least))
}
