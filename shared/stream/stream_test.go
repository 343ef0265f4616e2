package stream_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"agencyhub/shared/agency"
	"agencyhub/shared/cloud"
	"agencyhub/shared/outbox"
	"agencyhub/shared/service"
	"agencyhub/shared/stream"
	"agencyhub/shared/table"
	"agencyhub/shared/testbed"
	"agencyhub/shared/trace"
)

// fixture is a consumer of events in a real table.
type fixture struct {
	stream.Consumer
	table *table.Table
	now   time.Time

	mu sync.Mutex
	// done are the events that were processed, in their order. fails are those that fail.
	done  []agency.EventID
	fails map[agency.EventID]error
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	db, name := testbed.Table(t)
	f := &fixture{table: table.New(db, name), now: monday, fails: map[agency.EventID]error{}}
	f.Consumer = stream.Consumer{
		Name: outbox.Publish, Store: f.table, Knows: agency.EventType.IsKnown, Workers: 8,
		Now: func() time.Time { return f.now }, Pause: func(context.Context, time.Duration) {},
		Process: func(_ context.Context, e agency.Event) error {
			f.mu.Lock()
			defer f.mu.Unlock()
			if err := f.fails[e.ID]; err != nil {
				return err
			}
			f.done = append(f.done, e.ID)
			return nil
		},
	}
	return f
}

// add writes events of one profile in one account, one after another.
func (f *fixture) add(t *testing.T, account, member string, n int) []agency.Event {
	t.Helper()
	return f.addAfter(t, "", account, member, n)
}

// addAfter is add where the first waits for another event.
func (f *fixture) addAfter(t *testing.T, after agency.EventID, account, member string, n int) []agency.Event {
	t.Helper()
	var all []agency.Event
	for i := range n {
		e := agency.Event{
			ID: cloud.NewEventID(f.now), Type: agency.PersonChanged, At: f.now, WakeAt: f.now.Add(time.Minute),
			Addressee: agency.Party(agency.NewAccountID("x", account)), Member: agency.Party(agency.NewPersonID(member)), Version: i + 1,
		}
		if e.After = after; i > 0 {
			e.After = all[i-1].ID
		}
		if err := f.table.Save(t.Context(), service.Snapshot{}, service.Changes{Events: []agency.Event{e}}); err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
	return all
}

// batch returns the stream's records of new events. Their sequence numbers are s1, s2 …
func batch(all ...agency.Event) (b events.DynamoDBEvent) {
	for i, e := range all {
		b.Records = append(b.Records, events.DynamoDBEventRecord{EventName: "INSERT", Change: events.DynamoDBStreamRecord{
			SequenceNumber: "s" + strconv.Itoa(i+1),
			NewImage: map[string]events.DynamoDBAttributeValue{
				"member": events.NewStringAttribute(string(e.Member)), "after": events.NewStringAttribute(string(e.After)),
				"requestId": events.NewStringAttribute("call of " + string(e.ID)),
			},
			Keys: map[string]events.DynamoDBAttributeValue{
				"pk": events.NewStringAttribute("ACCT#" + string(e.Addressee)), "sk": events.NewStringAttribute("EVENT#" + strings.TrimPrefix(string(e.ID), "evt_")),
			},
		}})
	}
	return b
}

// handle handles a batch and checks which record failed: its sequence number, "" for none.
func (f *fixture) handle(t *testing.T, wantFailed string, b events.DynamoDBEvent) {
	t.Helper()
	out, err := f.Handle(t.Context(), b)
	failed := ""
	for _, failure := range out.BatchItemFailures {
		failed = failure.ItemIdentifier
	}
	if err != nil || failed != wantFailed {
		t.Fatalf("the record %q failed, want %q (%v)", failed, wantFailed, err)
	}
}

func ids(all ...agency.Event) (ids []agency.EventID) {
	for _, e := range all {
		ids = append(ids, e.ID)
	}
	return ids
}

func (f *fixture) isDone(t *testing.T, want bool, all ...agency.Event) {
	t.Helper()
	for i, e := range all {
		got, found, err := f.table.Event(t.Context(), table.EventKey{Addressee: e.Addressee, ID: e.ID})
		if err != nil || !found || got.IsDoneBy(outbox.Publish) != want || got.IsDoneBy(outbox.Notify) {
			t.Errorf("event %d is done: %v (%v), want %t", i, got.DoneBy, err, want)
		}
	}
}

// The events of a profile are handled in their order; profiles side by side.
func TestProfilesAreHandledSideBySide(t *testing.T) {
	f := newFixture(t)
	ann, bob := f.add(t, "one", "ann@x.test", 3), f.add(t, "one", "bob@x.test", 3)
	meet, process := make(chan struct{}), f.Process
	f.Process = func(ctx context.Context, e agency.Event) error {
		if e.ID == ann[0].ID || e.ID == bob[0].ID {
			select { // each needs the other to be under way
			case meet <- struct{}{}:
			case <-meet:
			case <-time.After(10 * time.Second):
				t.Error("one profile waits for another")
			}
		}
		return process(ctx, e)
	}
	f.handle(t, "", batch(ann[0], ann[1], bob[0], ann[2], bob[1], bob[2]))
	f.isDone(t, true, append(ann, bob...)...)
	for _, want := range [][]agency.Event{ann, bob} {
		got := slices.DeleteFunc(slices.Clone(f.done), func(id agency.EventID) bool { return !slices.Contains(ids(want...), id) })
		if diff := cmp.Diff(ids(want...), got); diff != "" {
			t.Error(diff)
		}
	}
}

// An event waits for the one before it of its profile, for an hour at most. Others do not.
func TestAnEventWaitsForTheOneBefore(t *testing.T) {
	f := newFixture(t)
	ann, bob := f.add(t, "one", "ann@x.test", 3), f.add(t, "one", "bob@x.test", 1)
	f.fails[ann[0].ID] = stream.ErrLater
	f.handle(t, "", batch(ann[0], ann[1], bob[0]))
	f.handle(t, "", batch(ann[2])) // it comes in a batch of its own
	f.isDone(t, false, ann...)
	f.isDone(t, true, bob...)
	delete(f.fails, ann[0].ID)
	f.handle(t, "", batch(ann[2], ann[1]))
	f.isDone(t, false, ann...)
	f.handle(t, "", batch(ann[0], ann[1], ann[2]))
	f.isDone(t, true, ann...)

	f = newFixture(t)
	tom := f.add(t, "one", "tom@x.test", 2)
	f.fails[tom[0].ID] = stream.ErrLater
	f.now = f.now.Add(time.Hour - time.Second)
	f.handle(t, "", batch(tom...))
	f.isDone(t, false, tom...)
	f.now = f.now.Add(time.Second)
	f.handle(t, "", batch(tom...))
	f.isDone(t, false, tom[0])
	f.isDone(t, true, tom[1])
}

// The first event of a client waits for that of their account, which is of the agency's
// profile. In one batch it waits for its turn, and not for the sweep.
func TestAnEventFollowsAnotherProfiles(t *testing.T) {
	for _, order := range [][]int{{0, 1, 2}, {2, 1, 0}, {1, 0, 2}} {
		f := newFixture(t)
		f.Workers = 1 // one list after another
		created := f.add(t, "one", "the agency", 1)
		all := append(created, f.addAfter(t, created[0].ID, "one", "carl@x.test", 2)...)
		f.handle(t, "", batch(all[order[0]], all[order[1]], all[order[2]]))
		if diff := cmp.Diff(ids(all...), f.done); diff != "" {
			t.Errorf("%v: %s", order, diff)
		}
		f.isDone(t, true, all...)
	}
}

// What the table fails is tried again within the invocation, and then given back with all
// that follows in the stream.
func TestTheFirstRecordThatTheTableFailsIsGivenBack(t *testing.T) {
	f := newFixture(t)
	trouble := errors.New("the table fails")
	ann, bob, tom := f.add(t, "one", "ann@x.test", 1), f.add(t, "two", "bob@x.test", 2), f.add(t, "three", "tom@x.test", 1)
	f.fails[bob[0].ID], f.fails[tom[0].ID] = trouble, trouble
	f.handle(t, "s2", batch(ann[0], bob[0], tom[0], bob[1]))
	f.isDone(t, true, ann...)
	f.isDone(t, false, bob...)
	delete(f.fails, tom[0].ID)
	// It is over after a few attempts.
	attempts, process := 0, f.Process
	f.Process = func(ctx context.Context, e agency.Event) error {
		if e.ID == bob[0].ID {
			if attempts++; attempts == 4 {
				delete(f.fails, bob[0].ID)
			}
		}
		return process(ctx, e)
	}
	f.handle(t, "", batch(bob[0], tom[0], bob[1]))
	f.isDone(t, true, append(bob, tom...)...)
}

// New events come before woken ones.
func TestNewEventsComeFirst(t *testing.T) {
	f := newFixture(t)
	f.Workers = 1
	old, fresh := f.add(t, "one", "ann@x.test", 1), f.add(t, "two", "bob@x.test", 1)
	b := batch(old[0], fresh[0])
	b.Records[0].EventName = "MODIFY"
	f.handle(t, "", b)
	if diff := cmp.Diff(ids(fresh[0], old[0]), f.done); diff != "" {
		t.Error(diff)
	}
}

// A record of an event that is done only has it finished once more.
func TestAnEventIsDoneOnce(t *testing.T) {
	f := newFixture(t)
	finished := 0
	trouble := errors.New("the table fails")
	f.Finish = func(context.Context, agency.Event) error {
		if finished++; finished == 1 {
			return trouble
		}
		return nil
	}
	e := f.add(t, "one", "ann@x.test", 1)
	for range 3 {
		f.handle(t, "", batch(e...))
	}
	if len(f.done) != 1 || finished != 4 {
		t.Errorf("done %d times, finished %d times", len(f.done), finished)
	}
}

// Woken events of one profile may come in any order, and are handled in theirs.
func TestWokenEventsAreHandledInTheirOrder(t *testing.T) {
	f := newFixture(t)
	ann := f.add(t, "one", "ann@x.test", 3)
	b := batch(ann[2], ann[0], ann[1])
	for i := range b.Records {
		b.Records[i].EventName = "MODIFY"
	}
	f.handle(t, "", b)
	f.isDone(t, true, ann...)
	if diff := cmp.Diff(ids(ann...), f.done); diff != "" {
		t.Error(diff)
	}
}

// A panic at one event leaves that one, and no other.
func TestAPanicLeavesItsEvent(t *testing.T) {
	f := newFixture(t)
	ann, bob := f.add(t, "one", "ann@x.test", 2), f.add(t, "one", "bob@x.test", 1)
	process := f.Process
	f.Process = func(ctx context.Context, e agency.Event) error {
		if e.ID == ann[0].ID {
			var none []int
			_ = none[len(f.fails)]
		}
		return process(ctx, e)
	}
	f.handle(t, "", batch(ann[0], bob[0], ann[1]))
	f.isDone(t, false, ann...)
	f.isDone(t, true, bob...)
}

// What the table fails is given back with all that follows it in its profile, also what stands before
// it in the batch.
func TestNothingOfAProfileIsPassedOver(t *testing.T) {
	f := newFixture(t)
	ann, bob := f.add(t, "one", "ann@x.test", 2), f.add(t, "two", "bob@x.test", 1)
	f.fails[ann[0].ID] = errors.New("the table fails")
	f.handle(t, "s2", batch(bob[0], ann[1], ann[0]))
	f.isDone(t, true, bob...)
	f.isDone(t, false, ann...)
}

// Each line about an event names it and the call that caused it, whatever fails: also
// those that Process writes.
func TestLinesNameTheEventAndItsCall(t *testing.T) {
	var lines bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(trace.NewHandler(slog.NewJSONHandler(&lines, nil))))
	t.Cleanup(func() { slog.SetDefault(before) })
	f := newFixture(t)
	f.Workers = 1
	var once agency.EventID
	f.Pause = func(context.Context, time.Duration) { delete(f.fails, once) } // the table fails once
	bug := f.add(t, "e", "m", 1)[0]
	process := f.Process
	f.Process = func(ctx context.Context, e agency.Event) error {
		slog.InfoContext(ctx, "It is processed.")
		if e.ID == bug.ID {
			panic("a bug")
		}
		return process(ctx, e)
	}
	all := f.add(t, "a", "m", 1)
	all = append(all, f.add(t, "b", "m", 1)...)
	unknown := f.add(t, "c", "m", 1)[0]
	all = append(all, unknown)
	later := f.add(t, "d", "m", 2)
	all = append(all, later...)
	all = append(all, bug)
	once = all[0].ID
	f.fails = map[agency.EventID]error{once: errors.New("the table fails"), later[0].ID: stream.ErrLater}
	knows := f.Knows
	for _, e := range all {
		f.Knows = func(kind agency.EventType) bool { return e.ID != unknown.ID && knows(kind) }
		f.handle(t, "", batch(e))
	}
	messages := map[string]bool{}
	for line := range strings.Lines(lines.String()) {
		var l struct{ Msg, Event, Account, RequestID string }
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatal(err)
		}
		messages[l.Msg] = true
		if l.Event == "" || l.Account == "" || l.RequestID != "call of "+l.Event {
			t.Errorf("%s", line)
		}
	}
	for _, want := range []string{
		"It is processed.", "The table fails an event; it is tried again.", "An event is left to another version; it keeps its due mark.",
		"An event is not finished; it keeps its due mark.", "An event ended in a panic; it keeps its due mark.",
	} {
		if !messages[want] {
			t.Errorf("no line says %q: %s", want, &lines)
		}
	}
}
