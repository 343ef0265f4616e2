package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"agencyhub/shared/agency"
	"agencyhub/shared/cloud"
	"agencyhub/shared/service"
	"agencyhub/shared/table"
	"agencyhub/shared/trace"
)

// maxWakeDelay bounds the backoff between two attempts to wake an event.
const maxWakeDelay = time.Hour

// dueStore is what cleanup reads and writes besides the use cases. Its events are
// unfinished: publish or notify has work left with them.
type dueStore interface {
	DueSteps(ctx context.Context, now time.Time) iter.Seq2[table.DueItem, error]
	DueEvents(ctx context.Context, now time.Time) iter.Seq2[table.DueItem, error]
	Wake(ctx context.Context, k table.EventKey, now, next time.Time) (bool, error)
	Delayed(ctx context.Context, start, before time.Time, from table.Position) (table.DelayedPage, error)
	Redrive(ctx context.Context, k table.EventKey, at, due time.Time) (bool, error)
	Backlog(ctx context.Context, now time.Time) (steps, events table.Counted, err error)
	Unfinished(ctx context.Context, before time.Time) (table.Counted, error)
	Waiting(ctx context.Context) (table.Counted, error)
	SaveSweep(ctx context.Context, s service.Sweep) (bool, error)
}

type cleaner struct {
	svc   *service.Service
	table dueStore
	meter cloud.Meter
	// clock is the time that the invocation's deadline is of.
	clock func() time.Time
}

// report is the result of an invocation.
type report struct {
	// Expired, Lapsed and Frozen count requests, accesses and subscriptions whose end
	// came, Woken the events that were sent through the stream again.
	Expired int `json:"expired"`
	Lapsed  int `json:"lapsed"`
	Frozen  int `json:"frozen"`
	Woken   int `json:"woken"`
	// Redriven counts events that an operator's redrive made due, and RedriveFailed
	// events, and shards of events, that it failed to make due. Another redrive tries
	// these again.
	Redriven      int `json:"redriven"`
	RedriveFailed int `json:"redriveFailed"`
	// Reminded counts due reminders, Ended steps to end the profiles of closed
	// accounts, Erased steps to erase persons, and Collected what was deleted after
	// the retention.
	Reminded  int `json:"reminded"`
	Ended     int `json:"ended"`
	Erased    int `json:"erased"`
	Collected int `json:"collected"`
	// Closed counts steps to close invitations whose maker can't make them any more, and
	// Digests the digests of held emails that were started.
	Closed  int `json:"closed"`
	Digests int `json:"digests"`
	// Stopped counts erasures that wait because the person is a last owner.
	Stopped int `json:"stopped"`
	// Failed counts items, reads and counts that failed otherwise. The next run tries them
	// again; a redrive is of no use to them.
	Failed int `json:"failed"`
	// Backlog counts what is still due when the run ends, except for events. Oldest is
	// since when the first of it is due; nil for none.
	Backlog int        `json:"backlog"`
	Oldest  *time.Time `json:"oldest"`
	// ToWake counts events that are due and not woken yet, and Unfinished all that have
	// not been finished for WakeAfter. OldestUnfinished is when the first of these
	// happened.
	ToWake           int        `json:"toWake"`
	Unfinished       int        `json:"unfinished"`
	OldestUnfinished *time.Time `json:"oldestUnfinished"`
	// AtLeast is true if one of these counts stopped early or failed: there is at least
	// that much, and 0 can mean that nothing was counted.
	AtLeast bool `json:"atLeast"`
	// Finished is false when the run stopped for its deadline.
	Finished bool `json:"finished"`
	// Next is the payload of the call that goes on with a redrive; nil when all of it is
	// done.
	Next *input `json:"next"`
}

// fail counts a failure and logs it. What fails because the time is over is none.
func (r *report) fail(ctx context.Context, err error) {
	if err == nil || ctx.Err() != nil && (errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)) {
		return
	}
	r.Failed++
	slog.ErrorContext(ctx, "Something due could not be done.", "error", err.Error())
}

// failRedrive counts a failure of the redrive and logs it.
func (r *report) failRedrive(ctx context.Context, err error) {
	r.RedriveFailed++
	slog.ErrorContext(ctx, "Events could not be made due.", "error", err.Error())
}

// run does what is due until its context ends. Two runs at once do each item once, since
// every write has a precondition. A failed item does not stop the run, and one that
// others keep busy takes the time of one worker only. Events are woken beside the other
// steps, so that neither waits for the other. A wake that has started ends with the
// context writing.
func (c *cleaner) run(ctx, writing context.Context, now time.Time, wake bool, r *report) {
	var woken report
	var sides sync.WaitGroup
	if wake {
		sides.Go(func() { c.wakeEvents(ctx, writing, now, &woken) })
	}
	together(ctx, c.table.DueSteps(ctx, now), func(item table.DueItem) (service.Outcome, error) {
		return c.sweep(ctx, item)
	}, func(_ table.DueItem, done service.Outcome, err error) {
		if err != nil {
			r.fail(ctx, err)
			return
		}
		r.count(done)
	})
	sides.Wait()
	r.Woken += woken.Woken
	r.Failed += woken.Failed
}

// wakeEvents wakes due events, the oldest first, and WakesPerRun at most: what happens
// meanwhile must not wait behind all of a large backlog in the stream.
func (c *cleaner) wakeEvents(ctx, writing context.Context, now time.Time, r *report) {
	limit := c.svc.Rules.WakesPerRun
	var page []table.DueItem
	flush := func() {
		together(ctx, each(page), func(e table.DueItem) (bool, error) {
			return c.wake(writing, e, now)
		}, func(e table.DueItem, woken bool, err error) {
			ctx := traced(ctx, e)
			if woken {
				r.Woken++
				slog.InfoContext(ctx, "An event is woken.", "wakes", e.Wakes+1)
			}
			r.fail(ctx, err)
		})
		page = page[:0]
	}
	for item, err := range c.table.DueEvents(ctx, now) {
		if ctx.Err() != nil {
			return
		}
		if err == nil && item.Event == nil {
			err = fmt.Errorf("%s is among the events", item)
		}
		if err != nil {
			r.fail(ctx, err)
			continue
		}
		if page = append(page, item); len(page) == min(wakePage, limit-r.Woken) {
			flush()
		}
		if r.Woken >= limit {
			return
		}
	}
	flush()
}

// wakePage is how many events are woken before the next are read.
const wakePage = 100

// workers is how many items are done at once.
const workers = 8

// together does something to items, some at once, in their order, until the context
// ends. It finishes what it has started, and returns how many items that were. It notes
// each result, one at a time, and each error of the sequence.
func together[T any](ctx context.Context, items iter.Seq2[table.DueItem, error], do func(table.DueItem) (T, error), note func(table.DueItem, T, error)) (started int) {
	var mu sync.Mutex
	noteOne := func(item table.DueItem, result T, err error) {
		mu.Lock()
		defer mu.Unlock()
		note(item, result, err)
	}
	var group sync.WaitGroup
	queue := make(chan table.DueItem)
	for range workers {
		group.Go(func() {
			for item := range queue {
				result, err := do(item)
				noteOne(item, result, err)
			}
		})
	}
	for item, err := range items {
		if ctx.Err() != nil {
			break
		}
		if err != nil {
			noteOne(item, *new(T), err)
			continue
		}
		select {
		case queue <- item:
			started++
		case <-ctx.Done():
		}
	}
	close(queue)
	group.Wait()
	return started
}

// traced returns a context whose lines of the log name an event that is due, and the
// call that caused it.
func traced(ctx context.Context, item table.DueItem) context.Context {
	if item.Event == nil {
		return ctx
	}
	return trace.WithRequest(trace.With(ctx, slog.String("event", string(item.Event.ID)), slog.String("account", string(item.Event.Addressee))), item.RequestID)
}

// each returns the items of a page as a sequence.
func each(page []table.DueItem) iter.Seq2[table.DueItem, error] {
	return func(yield func(table.DueItem, error) bool) {
		for _, item := range page {
			if !yield(item, nil) {
				return
			}
		}
	}
}

// wake wakes an event. It is due again after wakeAfter, and each time after twice as
// long, up to maxWakeDelay.
func (c *cleaner) wake(ctx context.Context, e table.DueItem, now time.Time) (bool, error) {
	delay := c.svc.Rules.WakeAfter
	for range e.Wakes {
		if delay >= maxWakeDelay {
			break
		}
		delay *= 2
	}
	woken, err := c.table.Wake(ctx, *e.Event, now, now.Add(min(delay, maxWakeDelay)))
	if err != nil {
		err = fmt.Errorf("event %s: %w", e, err)
	}
	return woken, err
}

// count counts a step of the sweep.
func (r *report) count(done service.Outcome) {
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
	case service.OutcomeClosed:
		r.Closed++
	case service.OutcomeDigest:
		r.Digests++
	case outcomeStopped:
		r.Stopped++
	case service.OutcomeNone:
	}
}

// outcomeStopped is an erasure that waits until the account has another owner.
const outcomeStopped service.Outcome = "stopped"

// sweep does the next due step of an account, a person, a mailbox or a profile. A panic is a
// failure of that item alone.
func (c *cleaner) sweep(ctx context.Context, item table.DueItem) (done service.Outcome, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("at %s: panic: %v\n%s", item, cause, debug.Stack())
		}
	}()
	switch {
	case item.Event != nil:
		// Events have shards of their own: another version has written this one.
		return service.OutcomeNone, fmt.Errorf("the event %s is not among the events", item)
	case item.Account != "":
		if done, err = c.svc.SweepAccount(ctx, item.Account); err != nil {
			return done, fmt.Errorf("at the account %s: %w", item.Account, err)
		}
	case item.Mailbox != "":
		if done, err = c.svc.SweepMailbox(ctx, item.Mailbox); err != nil {
			return done, fmt.Errorf("at the mailbox %s: %w", item.Mailbox, err)
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
			return done, fmt.Errorf("at %s: %w", item, err)
		}
	}
	return done, nil
}
