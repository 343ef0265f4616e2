// Package stream works through batches of the table's stream for one of its
// consumers: profiles side by side, the events of one profile in their order. It
// reads each event from the table: a record only says that there is one.
package stream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"agencyhub/shared/agency"
	"agencyhub/shared/outbox"
	"agencyhub/shared/table"
	"agencyhub/shared/trace"
)

// Store is what a consumer reads and writes of the table.
type Store interface {
	Event(context.Context, table.EventKey) (outbox.Event, bool, error)
	MarkDone(ctx context.Context, k table.EventKey, c outbox.Consumer, now time.Time) error
}

// The errors by which Process leaves an event. It keeps its due mark, and cleanup
// wakes it. Any other error is a failure of the table: the event is tried again for
// a while, and then its record is given back.
var (
	// ErrLater: something cannot be done now.
	ErrLater = errors.New("some of it must wait")
	// errPanic: our own bug, which a later version mends.
	errPanic = fmt.Errorf("%w: a panic", ErrLater)
	// ErrNotUnderstood: a later version knows what to do.
	ErrNotUnderstood = errors.New("this version does not know the type of event")
)

// Consumer is one consumer of the stream. It handles one batch at a time, as Lambda
// calls it; any number of consumers may run at once.
type Consumer struct {
	Name  outbox.Consumer
	Store Store
	// Process does what follows from an event, as far as that is not done yet.
	// Lines of the log that it writes with the context name the event, and the call that
	// caused it.
	Process func(context.Context, agency.Event) error
	// Finish, unless it is nil, is called once the event is marked as done, and again
	// for a record of one that is. It must change nothing when it is repeated.
	Finish func(context.Context, agency.Event) error
	// Knows reports whether Process understands a type of event.
	Knows func(agency.EventType) bool
	// Workers is how many profiles are handled side by side.
	Workers int
	Now     func() time.Time
	// Pause waits, or until the context ends.
	Pause func(context.Context, time.Duration)
}

const (
	// holdTime is how long an invocation tries again while the table or a sink fails.
	holdTime = 12 * time.Second
	// itemTime is how long it tries one item again while the sink takes others.
	itemTime = 2 * time.Second
	// orderTime is how long an event waits for an earlier one of its profile. One
	// that can't be finished must not hold everything back that follows.
	orderTime = time.Hour

	firstPause       = 100 * time.Millisecond
	longestPause     = 2 * time.Second
	longestItemPause = 500 * time.Millisecond
)

// Pause is the Consumer's Pause by the clock.
func Pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// item is a record of the batch.
type item struct {
	key      table.EventKey
	sequence string
	// after is the event that this one waits for; "" for none.
	after agency.EventID
	// request is the call that caused it; "" if that is not known.
	request string
	// position is the record's in the batch.
	position int
	// woken: the event is not new; cleanup has woken it.
	woken bool
}

// Handle works through a batch. It returns the sequence number of the first record
// that the table failed, so that AWS delivers that record and all after it again. It
// leaves any other event that it can't finish, which keeps its due mark.
func (c *Consumer) Handle(ctx context.Context, batch events.DynamoDBEvent) (events.DynamoDBEventResponse, error) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	var failed *item
	slots := make(chan struct{}, max(1, c.Workers))
	for _, profile := range profiles(ctx, batch) {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			for n, i := range profile {
				if err := c.handle(ctx, i); err == nil {
					continue
				}
				// What follows it in the profile may stand before it in the batch.
				i = slices.MinFunc(profile[n:], func(a, b item) int { return cmp.Compare(a.position, b.position) })
				mu.Lock()
				defer mu.Unlock()
				if failed == nil || i.position < failed.position {
					failed = &i
				}
				return
			}
		})
	}
	wg.Wait()
	if failed == nil {
		return events.DynamoDBEventResponse{}, nil
	}
	return events.DynamoDBEventResponse{
		BatchItemFailures: []events.DynamoDBBatchItemFailure{{ItemIdentifier: failed.sequence}},
	}, nil
}

// profiles returns the records of a batch by profile, or by account where it changed
// itself; those with a new event first. The first event of a client is that of their
// account, which is of the agency's profile: the two are one list then.
func profiles(ctx context.Context, batch events.DynamoDBEvent) [][]item {
	at := map[[2]agency.Party]int{}
	var all [][]item
	for position, record := range batch.Records {
		key, err := keyOf(record)
		if err != nil {
			// It will never be readable.
			slog.ErrorContext(ctx, "A stream record has no event's key; it is skipped.", "sequenceNumber", record.Change.SequenceNumber, "error", err.Error())
			continue
		}
		// These attributes of an event never change, so the image is as good as the table.
		profile := [2]agency.Party{key.Addressee}
		profile[1] = agency.Party(textOf(record, "member"))
		n, ok := at[profile]
		if !ok {
			n = len(all)
			at[profile], all = n, append(all, nil)
		}
		// Events that were woken may come in any order.
		all[n] = append(all[n], item{
			key: key, sequence: record.Change.SequenceNumber, position: position, woken: record.EventName == "MODIFY",
			after: agency.EventID(textOf(record, "after")), request: textOf(record, "requestId"),
		})
	}
	all = joined(all)
	for _, profile := range all {
		slices.SortStableFunc(profile, func(a, b item) int { return cmp.Compare(a.key.ID, b.key.ID) })
	}
	isOld := func(profile []item) int {
		for _, i := range profile {
			if !i.woken {
				return 0
			}
		}
		return 1
	}
	slices.SortStableFunc(all, func(a, b []item) int { return cmp.Compare(isOld(a), isOld(b)) })
	return all
}

// joined returns the lists with those made one in which an event waits for one of another
// list.
func joined(all [][]item) [][]item {
	list := map[agency.EventID]int{}
	for n := range all {
		for _, i := range all[n] {
			list[i.key.ID] = n
		}
	}
	for n := range all {
		for _, i := range all[n] {
			before, ok := list[i.after]
			from := list[i.key.ID]
			if !ok || before == from {
				continue
			}
			for _, moved := range all[from] {
				list[moved.key.ID] = before
			}
			all[before], all[from] = append(all[before], all[from]...), nil
		}
	}
	return slices.DeleteFunc(all, func(profile []item) bool { return len(profile) == 0 })
}

// textOf returns an attribute of a record's item; "" for none.
func textOf(record events.DynamoDBEventRecord, name string) string {
	if value, ok := record.Change.NewImage[name]; ok && value.DataType() == events.DataTypeString {
		return value.String()
	}
	return ""
}

// keyOf reads the event's key.
func keyOf(record events.DynamoDBEventRecord) (table.EventKey, error) {
	pk, sk := record.Change.Keys["pk"], record.Change.Keys["sk"]
	if pk.DataType() != events.DataTypeString || sk.DataType() != events.DataTypeString {
		return table.EventKey{}, errors.New("the record has no text keys")
	}
	return table.ParseEventKey(pk.String(), sk.String())
}

// handle handles one event, for up to holdTime while the table fails. It returns only
// errors of the table.
func (c *Consumer) handle(ctx context.Context, i item) error {
	ctx = trace.With(trace.WithRequest(ctx, i.request), slog.String("event", string(i.key.ID)), slog.String("account", string(i.key.Addressee)))
	pauses := pauses{}
	for {
		begin := time.Now()
		err := c.process(ctx, i.key)
		pauses.spent += time.Since(begin)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, ErrNotUnderstood), errors.Is(err, table.ErrUnreadable):
			slog.ErrorContext(ctx, "An event is left to another version; it keeps its due mark.", "error", err.Error())
			return nil
		case errors.Is(err, errPanic):
			slog.ErrorContext(ctx, "An event ended in a panic; it keeps its due mark.", "error", err.Error())
			return nil
		case errors.Is(err, ErrLater):
			slog.WarnContext(ctx, "An event is not finished; it keeps its due mark.", "error", err.Error())
			return nil
		}
		pause, ok := pauses.next(holdTime)
		if !ok || ctx.Err() != nil || !HasTime(ctx, pause+reserve) {
			slog.ErrorContext(ctx, "The table fails an event; its record is given back.", "sequenceNumber", i.sequence, "error", err.Error())
			return err
		}
		slog.WarnContext(ctx, "The table fails an event; it is tried again.", "error", err.Error())
		c.Pause(ctx, pause)
	}
}

// Recover makes a panic of the function that it is deferred in an error, by which the
// event is left. Without it the other events of the invocation would be lost.
func Recover(err *error) {
	if cause := recover(); cause != nil {
		*err = fmt.Errorf("%w: %v\n%s", errPanic, cause, debug.Stack())
	}
}

// process does one event, unless it is done, or an earlier one of its profile is not.
func (c *Consumer) process(ctx context.Context, key table.EventKey) (err error) {
	defer Recover(&err)
	e, found, err := c.Store.Event(ctx, key)
	if err != nil || !found {
		// One that is not there is collected since.
		return err
	}
	if !e.IsDoneBy(c.Name) {
		if !c.Knows(e.Type) {
			return fmt.Errorf("%w: %q", ErrNotUnderstood, e.Type)
		}
		if err := c.checkOrder(ctx, e.Event); err != nil {
			return err
		}
		if err := c.Process(ctx, e.Event); err != nil {
			return err
		}
		if err := c.Store.MarkDone(ctx, key, c.Name, c.Now()); err != nil {
			return err
		}
	}
	if c.Finish == nil {
		return nil
	}
	return c.Finish(ctx, e.Event)
}

// checkOrder returns ErrLater if an earlier event of the profile is not finished. It
// does not wait for one that this version does not know or can't read.
func (c *Consumer) checkOrder(ctx context.Context, e agency.Event) error {
	if e.After == "" || c.Now().Sub(e.At) >= orderTime {
		return nil
	}
	before, found, err := c.Store.Event(ctx, table.EventKey{Addressee: e.Addressee, ID: e.After})
	if errors.Is(err, table.ErrUnreadable) {
		return nil
	}
	if err != nil || !found || before.IsDoneBy(c.Name) || !c.Knows(before.Type) {
		return err
	}
	return fmt.Errorf("%w: the event %s before it is not finished", ErrLater, e.After)
}

// pauses are the pauses between attempts: they double, with half of each at random.
type pauses struct {
	ceiling, spent time.Duration
}

// next returns the next pause, and false if the pauses would take longer than a limit.
func (p *pauses) next(limit time.Duration) (time.Duration, bool) {
	longest := longestPause
	if limit <= itemTime {
		longest = longestItemPause
	}
	p.ceiling = min(max(2*p.ceiling, firstPause), longest)
	pause := p.ceiling/2 + rand.N(p.ceiling/2) //nolint:gosec // a pause, not a secret
	if p.spent += pause; p.spent > limit {
		return 0, false
	}
	return pause, true
}

// SaveTime is for saving what came of an item. Finishing is for that and for the marks of
// its event: what an attempt leaves time for.
const (
	SaveTime  = 10 * time.Second
	Finishing = SaveTime + 3*time.Second
)

// Save repeats something until it succeeds, for SaveTime at most: also if the context is
// over, or the table fails for a moment.
func Save(ctx context.Context, pause func(context.Context, time.Duration), do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), SaveTime)
	defer cancel()
	pauses := pauses{}
	for {
		err := do(ctx)
		next, ok := pauses.next(SaveTime)
		if err == nil || !ok || ctx.Err() != nil {
			return err
		}
		pause(ctx, next)
	}
}

// reserve is for finishing what is under way when an invocation's time is over: an
// attempt, saving what came of it, and the event's own marks.
const reserve = Finishing + 5*time.Second

// Within returns a context that ends after a time, and in time for what follows before
// the invocation ends. It returns false if that is over.
func Within(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc, bool) {
	if deadline, ok := ctx.Deadline(); ok {
		d = min(d, time.Until(deadline)-reserve)
	}
	bounded, cancel := context.WithTimeout(ctx, d)
	return bounded, cancel, d > 0
}

// HasTime reports whether a context has that much time left, by the machine's clock,
// which its deadline is of.
func HasTime(ctx context.Context, d time.Duration) bool {
	deadline, ok := ctx.Deadline()
	return !ok || time.Until(deadline) > d
}
