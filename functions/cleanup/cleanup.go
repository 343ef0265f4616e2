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

// reserve is how long before its deadline a run starts nothing more. It leaves time to
// finish the present item and to report.
const reserve = 5 * time.Second

// maxWakeDelay bounds the backoff between two attempts to wake an event.
const maxWakeDelay = time.Hour

// dueStore is what cleanup reads and writes besides the use cases. Its events are
// unfinished: notify still has to send their emails.
type dueStore interface {
	Due(ctx context.Context, shard int, now time.Time) iter.Seq2[table.DueItem, error]
	Wake(ctx context.Context, k table.EventKey, now, next time.Time) (bool, error)
	Backlog(ctx context.Context, now time.Time) (count int, oldest time.Time, err error)
	Waiting(ctx context.Context) (int, error)
	Unfinished(ctx context.Context, before, horizon time.Time) (count int, oldest time.Time, err error)
}

type cleaner struct {
	svc   *service.Service
	table dueStore
	meter cloud.Meter
}

// report is the result of a run.
type report struct {
	// Expired, Lapsed and Frozen count requests, accesses and subscriptions whose end
	// came, Woken the events that were sent through the stream again.
	Expired int `json:"expired"`
	Lapsed  int `json:"lapsed"`
	Frozen  int `json:"frozen"`
	Woken   int `json:"woken"`
	// Redriven counts events that an operator's redrive woke early.
	Redriven int `json:"redriven"`
	// Reminded counts due reminders, Ended steps to end the profiles of closed
	// accounts, Erased steps to erase persons, and Collected what was deleted after
	// the retention.
	Reminded  int `json:"reminded"`
	Ended     int `json:"ended"`
	Erased    int `json:"erased"`
	Collected int `json:"collected"`
	// Stopped counts erasures that wait because the person is a last owner.
	Stopped int `json:"stopped"`
	// Failed counts items that failed. The next run tries them again.
	Failed int `json:"failed"`
	// Backlog counts items that are still due when the run ends, and Oldest is since
	// when the first of them is; nil for none.
	Backlog int        `json:"backlog"`
	Oldest  *time.Time `json:"oldest"`
	// Finished is false when the run stopped for its deadline.
	Finished bool `json:"finished"`
}

// run does what is due until shortly before its deadline. Two runs at once do each item
// once, since every write has a precondition. A failed item does not stop the run; the
// error joins all failures.
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
		// Each minute starts with another shard, so that a long one cannot starve others.
		shard := (i + now.Minute()) % table.Shards
		for item, err := range c.table.Due(work, shard, now) {
			if work.Err() != nil {
				break
			}
			if err == nil {
				err = c.process(work, item, now, &r)
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

// process does one due item and counts it in r.
func (c *cleaner) process(ctx context.Context, item table.DueItem, now time.Time, r *report) error {
	if item.Event != nil {
		woken, err := c.table.Wake(ctx, *item.Event, now, now.Add(c.wakeDelay(item, now)))
		if woken {
			r.Woken++
		}
		if err != nil {
			return fmt.Errorf("waking %s: %w", item.Event.ID, err)
		}
		return nil
	}
	done, err := c.sweep(ctx, item)
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
	case outcomeStopped:
		r.Stopped++
	case service.OutcomeNone:
	}
	return nil
}

// outcomeStopped is an erasure that waits until the account has another owner.
const outcomeStopped service.Outcome = "stopped"

// sweep does the next due step of an account, a person or a profile.
func (c *cleaner) sweep(ctx context.Context, item table.DueItem) (done service.Outcome, err error) {
	switch {
	case item.Account != "":
		if done, err = c.svc.SweepAccount(ctx, item.Account); err != nil {
			return done, fmt.Errorf("at the account %s: %w", item.Account, err)
		}
	case item.Person != "":
		done, err = c.svc.SweepPerson(ctx, item.Person)
		if agency.CodeOf(err) == agency.LastOwner {
			// This is no failure, but an operator must find these accounts another owner.
			slog.WarnContext(ctx, "An erasing has stopped at a last owner.", "person", string(item.Person), "error", err.Error())
			return outcomeStopped, nil
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

// wakeDelay returns how long after waking an event it is woken again: as long as it has
// waited so far, within bounds.
func (c *cleaner) wakeDelay(item table.DueItem, now time.Time) time.Duration {
	minDelay := c.svc.Rules.WakeAfter
	return min(max(now.Sub(item.Since), minDelay), max(maxWakeDelay, minDelay))
}
