package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"

	"agencyhub/shared/cloud"
	"agencyhub/shared/service"
	"agencyhub/shared/table"
	"agencyhub/shared/trace"
)

// input is the payload of an invocation. The schedule's has none of these fields.
type input struct {
	// Redrive makes every unfinished event due, whatever its backoff.
	Redrive bool `json:"redrive"`
	// Start is when a redrive of several calls started, and After is where the call
	// before has stopped. The first call has neither.
	Start *time.Time      `json:"start,omitempty"`
	After *table.Position `json:"after,omitempty"`
}

var errInput = errors.New(`the payload must be {"redrive":true}, the "next" of a redrive's last report, or {}`)

func (in input) check() error {
	if in.Start == nil && in.After == nil {
		return nil
	}
	if !in.Redrive || in.Start == nil || in.After == nil || !in.After.IsValid() {
		return errInput
	}
	return nil
}

// The invocation's time is divided so that each part leaves time to those after it: a
// redrive ends at the first share of it, the run at the second and counting at the
// third, or after its own share. The report is kept until the fourth.
const (
	redriveShare = 0.5
	runShare     = 0.8
	countShare   = 0.9
	noteShare    = 0.95
	countingTime = 0.1
)

// handle redrives if asked to, does a run, counts what is left, keeps the report for the
// hub's status, and records the metrics. It always does the last and returns the report,
// whatever failed: the report counts failures, and the log has them. Only a payload that can't be read is an error.
func (c *cleaner) handle(ctx context.Context, in input) (report, error) {
	if err := in.check(); err != nil {
		return report{}, err
	}
	if invocation, ok := lambdacontext.FromContext(ctx); ok {
		// What a run changes is caused by the run.
		ctx = trace.WithRequest(ctx, invocation.AwsRequestID)
	}
	r := report{Finished: true}
	now, part := c.svc.Now().UTC(), c.parts(ctx)
	if in.Redrive {
		redriving, cancel := part(redriveShare, 1)
		writing, cancelWrites := part(runShare, 1)
		c.redrive(redriving, writing, in, now, &r)
		cancel()
		cancelWrites()
	}
	work, cancel := part(runShare, 1)
	writing, cancelWrites := part(countShare, 1)
	// A redrive of many calls must not bring more events at once into the stream than
	// runs do. So the last call alone wakes events.
	c.run(work, writing, now, r.Next == nil, &r)
	r.Finished = work.Err() == nil
	cancel()
	cancelWrites()
	counting, cancel := part(countShare, countingTime)
	defer cancel()
	counted := c.count(counting, now, &r)
	// What there was no time to count is known to be incomplete, and noted too.
	noting, cancel := part(noteShare, 1)
	defer cancel()
	r.fail(noting, c.saveSweep(noting, r.sweep(c.svc.Now().UTC(), counted)))
	c.measure(now, &r, counted)
	slog.InfoContext(ctx, "Cleaned up.", "expired", r.Expired, "lapsed", r.Lapsed, "frozen", r.Frozen, "woken", r.Woken,
		"redriven", r.Redriven, "redriveFailed", r.RedriveFailed, "reminded", r.Reminded, "ended", r.Ended, "erased", r.Erased, "collected", r.Collected, "closed", r.Closed, "digests", r.Digests,
		"stopped", r.Stopped, "failed", r.Failed, "backlog", r.Backlog, "toWake", r.ToWake, "unfinished", r.Unfinished,
		"finished", r.Finished)
	return r, nil
}

// parts returns a function that derives a context which ends at a share of the
// invocation's time, and after another share of it at most.
func (c *cleaner) parts(ctx context.Context) func(until, atMost float64) (context.Context, context.CancelFunc) {
	start := c.clock()
	return func(until, atMost float64) (context.Context, context.CancelFunc) {
		deadline, ok := ctx.Deadline()
		if !ok {
			return context.WithCancel(ctx)
		}
		all := float64(deadline.Sub(start))
		end, other := start.Add(time.Duration(until*all)), c.clock().Add(time.Duration(atMost*all))
		if other.Before(end) {
			end = other
		}
		return context.WithDeadline(ctx, end)
	}
}

// redrive moves the due marks of unfinished events, so that the next runs wake them,
// within their bounds and the oldest first. It leaves out what has just happened, and
// what was woken since the redrive started. Without time it stops, and r.Next is the
// payload that goes on. That is always at a later place than this call's, so that a
// redrive ends: what it failed at is left to another.
func (c *cleaner) redrive(ctx, writing context.Context, in input, now time.Time, r *report) {
	start, first := now.Truncate(time.Millisecond), table.FirstPosition()
	if in.Start != nil {
		start, first = *in.Start, *in.After
	}
	for at := &first; at != nil; {
		page, err := c.table.Delayed(ctx, start, start.Add(-c.svc.Rules.WakeAfter), *at)
		if err == nil {
			switch done := c.redrivePage(ctx, writing, page, r); done {
			case len(page.Items):
				at = page.Next
			case 0:
			default:
				at = new(table.PositionOf(at.Shard, page.Items[done-1]))
			}
			err = ctx.Err()
		}
		// A shard that fails, or takes all the time of a call, does not keep the events
		// of the others from being due.
		if at != nil && err != nil && (ctx.Err() == nil || *at == first) {
			r.failRedrive(ctx, fmt.Errorf("shard %d of the due index: %w", at.Shard, err))
			at = at.NextShard()
		}
		if at != nil && ctx.Err() != nil {
			r.Next = &input{Redrive: true, Start: &start, After: at}
			return
		}
	}
}

// redrivePage makes the events of a page due, from the first on, and returns how many it
// had time for. Items that this version can't read fail.
func (c *cleaner) redrivePage(ctx, writing context.Context, page table.DelayedPage, r *report) (done int) {
	for _, err := range page.Unread {
		r.fail(ctx, err)
	}
	return together(ctx, each(page.Items), func(e table.DueItem) (bool, error) {
		// An event is due from when it was due first, so that the order of what
		// happened is that of waking.
		redriven, err := c.table.Redrive(writing, *e.Event, e.At, e.Since.Add(c.svc.Rules.WakeAfter))
		if err != nil {
			err = fmt.Errorf("event %s: %w", e, err)
		}
		return redriven, err
	}, func(e table.DueItem, redriven bool, err error) {
		if redriven {
			r.Redriven++
		}
		if err != nil {
			r.failRedrive(traced(ctx, e), err)
		}
	})
}

// countEvery is how many minutes pass between counts of the pending requests, each of
// which reads all of them.
const countEvery = 15

// errLaterSweep is a report that was not kept, since there is one of a later time.
var errLaterSweep = errors.New("the run's report is not kept: there is one that ended later, or by a clock that was ahead")

// saveSweep keeps a run's report for the status of the hub.
func (c *cleaner) saveSweep(ctx context.Context, s service.Sweep) error {
	kept, err := c.table.SaveSweep(ctx, s)
	if err == nil && !kept {
		err = errLaterSweep
	}
	return err
}

// sweep is what the status of the hub says of a run.
func (r *report) sweep(at time.Time, l left) service.Sweep {
	s := service.Sweep{At: at, Version: version, Finished: r.Finished, Failed: r.Failed + r.RedriveFailed, AtLeast: r.AtLeast}
	if l.steps != nil {
		s.Backlog, s.OldestDue = &l.steps.Count, l.steps.Oldest
	}
	if l.unfinished != nil {
		s.Unfinished, s.OldestUnfinished = &l.unfinished.Count, l.unfinished.Oldest
	}
	return s
}

// left is what a run has left: nil for what there was no time to count, and for what
// could not be read.
type left struct {
	steps, unfinished, waiting *table.Counted
}

// count counts what a run has left. What it has no time to count is left out.
func (c *cleaner) count(ctx context.Context, now time.Time, r *report) (l left) {
	steps, events, err := c.table.Backlog(ctx, now)
	r.fail(ctx, err)
	unfinished, err := c.table.Unfinished(ctx, now.Add(-c.svc.Rules.WakeAfter))
	r.fail(ctx, err)
	r.Backlog, r.Oldest, r.ToWake = steps.Count, instant(steps.Oldest), events.Count
	r.Unfinished, r.OldestUnfinished = unfinished.Count, instant(unfinished.Oldest)
	r.AtLeast = steps.More || events.More || unfinished.More
	// What was not counted at all is not recorded as none.
	if steps.Count > 0 || !steps.More {
		l.steps = &steps
	}
	if unfinished.Count > 0 || !unfinished.More {
		l.unfinished = &unfinished
	}
	if now.Truncate(time.Minute).Minute()%countEvery == 0 && r.Finished {
		waiting, err := c.table.Waiting(ctx)
		r.fail(ctx, err)
		// A part of them would look like a fall.
		if !waiting.More {
			l.waiting = &waiting
		}
	}
	return l
}

// measure records the metrics of a run for CloudWatch.
func (c *cleaner) measure(now time.Time, r *report, l left) {
	var metrics []cloud.Metric
	// CloudWatch charges for a metric in each hour that has it: none is recorded of what did
	// not happen.
	for _, counted := range []struct {
		name  string
		count int
	}{{"Expired", r.Expired}, {"Woken", r.Woken}, {"CleanupFailed", r.Failed + r.RedriveFailed}} {
		if counted.count > 0 {
			metrics = append(metrics, cloud.One(counted.name, cloud.Count, float64(counted.count)))
		}
	}
	if l.steps != nil {
		metrics = append(metrics, cloud.One("Backlog", cloud.Count, float64(r.Backlog)), cloud.One("BacklogAge", cloud.Seconds, age(r.Oldest, now)))
	}
	if l.unfinished != nil {
		metrics = append(metrics, cloud.One("Unfinished", cloud.Count, float64(r.Unfinished)), cloud.One("UnfinishedAge", cloud.Seconds, age(r.OldestUnfinished, now)))
	}
	c.meter.Record("", "", metrics...)
	if l.waiting != nil {
		c.meter.Record("", "", cloud.One("RequestsWaiting", cloud.Count, float64(l.waiting.Count)))
	}
}

// instant returns nil for the zero time.
func instant(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// age returns how many seconds ago a time was; 0 for none.
func age(since *time.Time, now time.Time) float64 {
	if since == nil {
		return 0
	}
	return max(0, now.Sub(*since).Seconds())
}
