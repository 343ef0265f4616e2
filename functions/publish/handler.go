package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"agencyhub/shared/agency"
	"agencyhub/shared/cloud"
	"agencyhub/shared/outbox"
	"agencyhub/shared/stream"
)

// store is what publish reads and writes of the table.
type store interface {
	stream.Store
	ClaimMail(ctx context.Context, m outbox.MailKey, owner string, now time.Time, lease time.Duration) (outbox.Claim, error)
	FinishMail(ctx context.Context, m outbox.MailKey, fate outbox.Fate, messageID string, now time.Time) error
	ReleaseMail(ctx context.Context, m outbox.MailKey, owner string, unconfirmed bool) error
}

const (
	// lease is how long a claim on an entry holds: a minute longer than an invocation can
	// last, so that two invocations never put one, as long as their clocks differ by less
	// than that.
	lease = 2 * time.Minute
	// workers is how many profiles are handled side by side.
	workers = 16
	// copyTime is how long a new event's copies are refreshed, and longCopyTime those of
	// one that is older than wokenAfter.
	copyTime, longCopyTime, wokenAfter = 5 * time.Second, 10 * time.Second, 45 * time.Second
)

// publisher puts events on the bus and refreshes the copies of names. It handles one
// invocation at a time, as Lambda calls it; any number of publishers may run at once.
type publisher struct {
	store store
	bus   bus
	meter cloud.Meter
	// refreshCopies writes an account's present name and subscription into the copies
	// of them.
	refreshCopies func(context.Context, agency.AccountID) error
	now           func() time.Time
	pause         func(context.Context, time.Duration)
	workers       int
	// sink decides how long entries are tried again.
	sink *stream.Sink
}

func newPublisher(
	store store, bus bus, meter cloud.Meter, refreshCopies func(context.Context, agency.AccountID) error,
	now func() time.Time, pause func(context.Context, time.Duration),
) *publisher {
	return &publisher{
		store: store, bus: bus, meter: meter, refreshCopies: refreshCopies, now: now, pause: pause, workers: workers,
		sink: &stream.Sink{Pause: pause},
	}
}

// Handle publishes the events of a batch of stream records, as stream.Consumer says.
func (p *publisher) Handle(ctx context.Context, batch events.DynamoDBEvent) (events.DynamoDBEventResponse, error) {
	run := &invocation{publisher: p, owner: outbox.NewOwner(), put: map[agency.EventID]string{}}
	defer run.measure()
	consumer := stream.Consumer{
		Name: outbox.Publish, Store: p.store, Process: run.process, Knows: agency.EventType.IsKnown,
		Workers: p.workers, Now: p.now, Pause: p.pause,
	}
	return consumer.Handle(ctx, batch)
}

// invocation is the work on one batch.
type invocation struct {
	*publisher
	// owner claims its entries.
	owner string
	mu    sync.Mutex
	// put has the bus's ids of entries that are not saved as sent yet.
	put map[agency.EventID]string
	// latencies are the seconds from an event to its entry. failed and refused count
	// entries.
	latencies       []float64
	failed, refused int
}

// maxValues is how many values of one metric CloudWatch takes in a line.
const maxValues = 100

// measure records the invocation's metrics.
func (p *invocation) measure() {
	for latencies := range slices.Chunk(p.latencies, maxValues) {
		p.meter.Record("", "", cloud.Metric{Name: "TimeToBus", Unit: cloud.Seconds, Values: latencies})
	}
	if p.failed > 0 {
		p.meter.Record("", "", cloud.One("BusFailed", cloud.Count, float64(p.failed)))
	}
	if p.refused > 0 {
		p.meter.Record("", "", cloud.One("BusRefused", cloud.Count, float64(p.refused)))
	}
}

func (p *invocation) locked(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
}

// process puts an event on the bus and refreshes the copies of what it changed, as far
// as that is not done yet. The two do not wait for each other. Errors: stream's, and the
// table's.
func (p *invocation) process(ctx context.Context, e agency.Event) error {
	err := p.publish(ctx, e)
	if err != nil && !errors.Is(err, stream.ErrLater) || !e.ChangesCopies() {
		return err
	}
	if copied := p.refresh(ctx, e); copied != nil {
		return copied
	}
	return err
}

// refresh refreshes the copies of an account's name and subscription. What there is no
// time for is done when the event is woken, and has more time then: a new event must not
// hold up the others of its batch.
func (p *invocation) refresh(ctx context.Context, e agency.Event) error {
	bound := copyTime
	if p.now().Sub(e.At) > wokenAfter {
		bound = longCopyTime
	}
	ctx, cancel, ok := stream.Within(ctx, bound)
	defer cancel()
	if !ok {
		return errNoTime
	}
	err := p.refreshCopies(ctx, e.AccountID())
	if err != nil && ctx.Err() != nil || agency.CodeOf(err) == agency.Unavailable {
		return fmt.Errorf("%w: not every copy of the account is written", stream.ErrLater)
	}
	return err
}

var errNoTime = fmt.Errorf("%w: the invocation's time is nearly over", stream.ErrLater)

// publish puts an event on the bus, unless another invocation has or is about to. It is
// claimed like an email. The entry comes twice, with the same id, if the bus took it and
// its answer was lost, or if the invocation died before noting it.
func (p *invocation) publish(ctx context.Context, e agency.Event) error {
	if !stream.HasTime(ctx, busTime+stream.Finishing) {
		return errNoTime
	}
	key := outbox.BusKey(e.ID)
	var id string
	p.locked(func() { id = p.put[e.ID] })
	if id != "" {
		// It is put, and that could not be saved.
		return p.finish(ctx, key, outbox.Sent, id)
	}
	claim, err := p.store.ClaimMail(ctx, key, p.owner, p.now(), lease)
	switch {
	case err != nil:
		return err
	case claim.State == outbox.ClaimDone:
		return nil
	case claim.State == outbox.ClaimBusy:
		return fmt.Errorf("%w: another is at its entry on the bus", stream.ErrLater)
	}
	err = p.sink.Try(ctx, claim.Attempts > 1, func(ctx context.Context) (err error) {
		id, err = p.bus.put(ctx, e)
		return err
	})
	switch {
	case err == nil:
		p.locked(func() {
			p.put[e.ID] = id
			p.latencies = append(p.latencies, p.now().Sub(e.At).Seconds())
		})
		slog.InfoContext(ctx, "An event is on the bus.", "type", string(e.Type), "entry", id)
		return p.finish(ctx, key, outbox.Sent, id)
	case errors.Is(err, stream.ErrRefused):
		p.locked(func() { p.refused++ })
		slog.ErrorContext(ctx, "The bus refuses an event permanently.", "type", string(e.Type), "reason", reason(err))
		return p.finish(ctx, key, outbox.Failed, "")
	}
	p.locked(func() { p.failed++ })
	slog.WarnContext(ctx, "The bus does not take an event now.", "reason", reason(err))
	if err := stream.Save(ctx, p.pause, func(ctx context.Context) error { return p.store.ReleaseMail(ctx, key, p.owner, false) }); err != nil {
		return err
	}
	return fmt.Errorf("%w: the bus does not take it now", stream.ErrLater)
}

// finish saves the fate of an entry.
func (p *invocation) finish(ctx context.Context, key outbox.MailKey, fate outbox.Fate, id string) error {
	return stream.Save(ctx, p.pause, func(ctx context.Context) error { return p.store.FinishMail(ctx, key, fate, id, p.now()) })
}
