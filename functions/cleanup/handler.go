package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"agencyhub/shared/cloud"
	"agencyhub/shared/table"
)

// input is the payload of an invocation. The schedule's is empty.
type input struct {
	// Redrive wakes every event that has waited for longer than WakeAfter, whatever its
	// backoff.
	Redrive bool `json:"redrive"`
}

// handle redrives if asked to, does a run, and records its metrics.
func (c *cleaner) handle(ctx context.Context, in input) (report, error) {
	redriven, err := 0, error(nil)
	if in.Redrive {
		redriven, err = c.redrive(ctx)
	}
	r, runErr := c.run(ctx)
	r.Redriven = redriven
	err = errors.Join(err, runErr)
	return r, errors.Join(err, c.recordMetrics(ctx, r))
}

// redrive wakes all events that wait too long, even before they are due.
func (c *cleaner) redrive(ctx context.Context) (woken int, err error) {
	now := c.svc.Now().UTC()
	var failures []error
	for shard := range table.Shards {
		for item, err := range c.table.Due(ctx, shard, c.horizon(now)) {
			if err != nil {
				failures = append(failures, err)
				continue
			}
			if item.Event == nil || now.Sub(item.Since) < c.svc.Rules.WakeAfter {
				continue
			}
			done, err := c.table.Wake(ctx, *item.Event, item.At, now.Add(c.wakeDelay(item, now)))
			if err != nil {
				failures = append(failures, fmt.Errorf("waking %s: %w", item.Event.ID, err))
			}
			if done {
				woken++
			}
		}
	}
	slog.InfoContext(ctx, "Redriven.", "woken", woken, "failed", len(failures))
	return woken, errors.Join(failures...)
}

// countEvery is how many minutes pass between counts of the pending requests, each of
// which reads all of them.
const countEvery = 15

// recordMetrics records a run's metrics for CloudWatch.
func (c *cleaner) recordMetrics(ctx context.Context, r report) error {
	now := c.svc.Now().UTC()
	untold, since, err := c.table.Unfinished(ctx, now.Add(-c.svc.Rules.WakeAfter), c.horizon(now))
	if err != nil {
		return err
	}
	c.meter.Record("", "",
		cloud.One("Expired", cloud.Count, float64(r.Expired)), cloud.One("Woken", cloud.Count, float64(r.Woken+r.Redriven)),
		cloud.One("CleanupFailed", cloud.Count, float64(r.Failed)),
		cloud.One("Backlog", cloud.Count, float64(r.Backlog)), cloud.One("BacklogAge", cloud.Seconds, age(r.Oldest, now)),
		cloud.One("Untold", cloud.Count, float64(untold)), cloud.One("UntoldAge", cloud.Seconds, age(&since, now)))
	if now.Truncate(time.Minute).Minute()%countEvery != 0 || !r.Finished {
		return nil
	}
	waiting, err := c.table.Waiting(ctx)
	if err != nil {
		return err
	}
	c.meter.Record("", "", cloud.One("RequestsWaiting", cloud.Count, float64(waiting)))
	return nil
}

// horizon returns a time by which every unfinished event is due again.
func (c *cleaner) horizon(now time.Time) time.Time {
	return now.Add(maxWakeDelay + c.svc.Rules.WakeAfter)
}

// age returns how many seconds ago a time was; 0 for none.
func age(since *time.Time, now time.Time) float64 {
	if since == nil || since.IsZero() {
		return 0
	}
	return max(0, now.Sub(*since).Seconds())
}
