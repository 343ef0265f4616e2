package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"

	"agencyhub/shared/agency"
	"agencyhub/shared/cloud"
	"agencyhub/shared/outbox"
	"agencyhub/shared/service"
	"agencyhub/shared/settings"
	"agencyhub/shared/table"
	"agencyhub/shared/testbed"
)

// fixture is a cleaner on a real table at a given time, with one agency.
type fixture struct {
	*cleaner
	store    *table.Table
	faults   *testbed.Faults
	name     string
	now      time.Time
	ann      agency.Actor
	agencyID agency.AccountID
	// metrics has the recorded metrics.
	metrics *testbed.Lines
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	rules, err := settings.Load(`{"requestLifetime": "1h"}`)
	if err != nil {
		t.Fatal(err)
	}
	db, name := testbed.Table(t)
	faults := &testbed.Faults{Client: db}
	f := &fixture{store: table.New(faults, name), faults: faults, name: name, now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}
	svc := &service.Service{Store: f.store, Now: func() time.Time { return f.now }, Rules: rules.Rules(), NewEventID: cloud.NewEventID}
	f.metrics = &testbed.Lines{}
	f.cleaner = &cleaner{svc: svc, table: f.store, meter: cloud.NewMeter(f.metrics, svc.Now), clock: time.Now}
	f.ann = agency.NewActor("ann@agency.test", "issuer", "ann")
	f.agencyID = f.open(t, f.ann, "agency-key-0123456789")
	if _, err := svc.SwitchAgencyOn(t.Context(), f.ann, f.agencyID); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *fixture) open(t *testing.T, actor agency.Actor, key string) agency.AccountID {
	t.Helper()
	view, err := f.svc.OpenAccount(t.Context(), actor, key, "An account")
	if err != nil {
		t.Fatal(err)
	}
	return view.ID
}

// request opens a client's account and requests access to it.
func (f *fixture) request(t *testing.T, n int) agency.Profile {
	t.Helper()
	account := f.open(t, agency.NewActor(fmt.Sprintf("c%d@client.test", n), "issuer", fmt.Sprint(n)), "client-key-0123456789")
	p, err := f.svc.RequestConnection(t.Context(), f.ann, f.agencyID, service.ConnectionRequest{
		Account: account, Areas: agency.Areas{"pages": agency.Edit},
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// finishEvents marks every event that is due by then as done, as its consumers would.
func (f *fixture) finishEvents(t *testing.T, after ...time.Duration) {
	t.Helper()
	by := f.now
	for _, d := range after {
		by = by.Add(d)
	}
	for item, err := range f.store.DueEvents(t.Context(), by) {
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range outbox.Consumers {
			if err := f.store.MarkDone(t.Context(), *item.Event, c, f.now); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// clean does a run that must not fail.
func (f *fixture) clean(ctx context.Context, t *testing.T) report {
	t.Helper()
	r, err := f.handle(ctx, input{})
	if err != nil || r.Failed != 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	return r
}

func TestOverdueRequestsExpireOnce(t *testing.T) {
	f := newFixture(t)
	var requests []agency.Profile
	for n := range 5 {
		requests = append(requests, f.request(t, n))
	}
	if got := f.clean(t.Context(), t); got.Expired != 0 {
		t.Errorf("before their time %d expired", got.Expired)
	}
	f.now = f.now.Add(time.Hour)
	f.finishEvents(t)
	if diff := cmp.Diff(report{Expired: 5, Finished: true}, f.clean(t.Context(), t)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(report{Finished: true}, f.clean(t.Context(), t)); diff != "" {
		t.Errorf("a second run did something: %s", diff)
	}
	for _, was := range requests {
		p, err := f.svc.GetConnection(t.Context(), f.ann, f.agencyID, was.ID())
		if err != nil {
			t.Fatal(err)
		}
		if p.Status != agency.Expired || p.Version != was.Version+1 {
			t.Errorf("%s is %s in version %d, want it expired in %d", p.Addressee, p.Status, p.Version, was.Version+1)
		}
	}
	counts, err := f.store.Counts(t.Context(), f.agencyID)
	if err != nil || counts != (service.Counts{}) {
		t.Errorf("counts %+v (%v), want none", counts, err)
	}
}

func TestTwoRunsAtOnceExpireOnce(t *testing.T) {
	f := newFixture(t)
	for n := range 8 {
		f.request(t, n)
	}
	f.now = f.now.Add(time.Hour)
	f.finishEvents(t)
	results := make(chan report, 2)
	for range 2 {
		go func() {
			r, err := f.handle(t.Context(), input{})
			if err != nil || r.Failed != 0 {
				t.Errorf("%+v, %v", r, err)
			}
			results <- r
		}()
	}
	if a, b := <-results, <-results; a.Expired+b.Expired != 8 {
		t.Errorf("%d and %d expired, want 8 in all", a.Expired, b.Expired)
	}
}

// An event is woken a minute after it happened, then 1, 2, 4 … minutes later, up to an
// hour.
func TestWakingBacksOff(t *testing.T) {
	f := newFixture(t)
	f.finishEvents(t, 2*time.Minute)
	f.open(t, f.ann, "another-key-0123456789")
	next := f.now.Add(time.Minute)
	for n, minutes := range []int{1, 2, 4, 8, 16, 32, 60, 60} {
		f.now = next.Add(-time.Millisecond)
		if r := f.clean(t.Context(), t); r.Woken != 0 || r.ToWake != 0 {
			t.Errorf("before wake %d: %+v", n, r)
		}
		f.now = next
		if r := f.clean(t.Context(), t); r.Woken != 1 || r.ToWake != 0 || r.Unfinished != 1 {
			t.Errorf("wake %d: %+v", n, r)
		}
		next = f.now.Add(time.Duration(minutes) * time.Minute)
	}
}

func TestTwoRunsAtOnceWakeOnce(t *testing.T) {
	f := newFixture(t)
	for n := range 20 {
		f.request(t, n)
	}
	f.now = f.now.Add(time.Minute)
	results := make(chan report, 3)
	for range cap(results) {
		go func() {
			r, err := f.handle(t.Context(), input{})
			if err != nil || r.Failed != 0 {
				t.Errorf("%+v, %v", r, err)
			}
			results <- r
		}()
	}
	if woken := (<-results).Woken + (<-results).Woken + (<-results).Woken; woken != 42 {
		t.Errorf("%d woken, want 42", woken)
	}
}

// slowStore is a store whose sweep or redrive takes all the time that there is.
type slowStore struct {
	dueStore
}

func (s slowStore) DueSteps(ctx context.Context, _ time.Time) iter.Seq2[table.DueItem, error] {
	return func(yield func(table.DueItem, error) bool) {
		<-ctx.Done()
		yield(table.DueItem{}, ctx.Err())
	}
}

func (s slowStore) Delayed(ctx context.Context, _, _ time.Time, _ table.Position) (table.DelayedPage, error) {
	<-ctx.Done()
	return table.DelayedPage{}, ctx.Err()
}

// A redrive and a run that take too long leave time to count. Time that is over while
// counting is no error.
func TestAnInvocationEndsBeforeItsDeadline(t *testing.T) {
	f := newFixture(t)
	f.request(t, 1)
	f.now = f.now.Add(time.Hour)
	want := report{Backlog: 1, Oldest: &f.now, Woken: 4, Unfinished: 4}
	opened := f.now.Add(-time.Hour)
	want.OldestUnfinished = &opened
	whole := f.table
	f.table = slowStore{whole}
	short, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if diff := cmp.Diff(want, f.clean(short, t)); diff != "" || short.Err() != nil {
		t.Error(diff, short.Err())
	}
	short, cancel = context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	// The shard that took all the time is left out.
	want.Woken, want.RedriveFailed, want.Next = 0, 1, &input{Redrive: true, Start: &f.now, After: &table.Position{Shard: table.Shards/2 + 1}}
	if r, err := f.handle(short, input{Redrive: true}); !cmp.Equal(want, r) || err != nil || short.Err() != nil {
		t.Error(cmp.Diff(want, r), err, short.Err())
	}
	f.table = whole

	f.metrics.Reset()
	short, cancel = context.WithTimeout(t.Context(), 0)
	defer cancel()
	if diff := cmp.Diff(report{AtLeast: true}, f.clean(short, t)); diff != "" {
		t.Error(diff)
	}
	if m := f.metrics.String(); m != "" {
		t.Errorf("a 0 for what was not counted: %s", m)
	}
	if got := f.clean(t.Context(), t); got.Expired != 1 || !got.Finished || got.AtLeast {
		t.Errorf("%+v, want it done by the next run", got)
	}
}

// A store that fails is in the report and in the metrics.
func TestFailuresAreReported(t *testing.T) {
	f := newFixture(t)
	f.request(t, 1)
	f.now = f.now.Add(time.Hour)
	f.faults.BeforeQuery = func(*dynamodb.QueryInput) error { return errors.New("the store is away") }
	for _, in := range []input{{}, {Redrive: true}} {
		f.metrics.Reset()
		r, err := f.handle(t.Context(), in)
		if r.Failed < 8 || !r.AtLeast || err != nil || r.Next != nil || (r.RedriveFailed == table.Shards/2) != in.Redrive {
			t.Errorf("%+v, %v", r, err)
		}
		if want := fmt.Sprintf(`"CleanupFailed":[%d]`, r.Failed+r.RedriveFailed); !strings.Contains(f.metrics.String(), want) {
			t.Errorf("no %s in %s", want, f.metrics)
		}
	}
	// One shard of four, and all else is done.
	f.faults.BeforeQuery = func(q *dynamodb.QueryInput) error {
		if text, ok := q.ExpressionAttributeValues[":shard"].(*types.AttributeValueMemberS); ok && text.Value == "DUE#5" {
			return errors.New("a shard is away")
		}
		return nil
	}
	if r, err := f.handle(t.Context(), input{}); r.Expired != 1 || r.Woken == 0 || r.Failed != 3 || err != nil {
		t.Errorf("%+v, %v", r, err)
	}
}

// An item of another version, or one at which the sweep panics, fails alone.
func TestUnknownItemsFailAlone(t *testing.T) {
	f := newFixture(t)
	unknown := f.request(t, 1)
	f.request(t, 2)
	text := func(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }
	put := func(item map[string]types.AttributeValue) {
		t.Helper()
		if _, err := f.faults.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &f.name, Item: item}); err != nil {
			t.Fatal(err)
		}
	}
	pk, sk := "ACCT#"+string(unknown.Account()), "TEAM#"+string(f.agencyID)
	item := testbed.Items(t, f.faults.Client, f.name)[pk+" "+sk]
	item["status"] = text("ending")
	put(item)
	for shard := range table.Shards {
		put(map[string]types.AttributeValue{
			"pk": text(pk), "sk": text(fmt.Sprintf("LATER#%d", shard)), "duePk": text(fmt.Sprintf("DUE#%d", shard)), "dueSk": text("2026-11-23T12:00:00.000Z"),
		})
	}
	// An event among everything else.
	var event testbed.Item
	for _, i := range testbed.Items(t, f.faults.Client, f.name) {
		if testbed.Str(i["type"]) == string(agency.AccountOpened) {
			event = i
		}
	}
	event["duePk"] = text("DUE#1")
	put(event)
	f.now = f.now.Add(200 * 24 * time.Hour)
	r, err := f.handle(t.Context(), input{})
	if r.Expired != 1 || r.Woken != 5 || r.Failed != 2+table.Shards || !r.Finished || r.Collected != 0 || err != nil {
		t.Errorf("%+v, %v", r, err)
	}
	if now := testbed.Items(t, f.faults.Client, f.name)[testbed.Str(event["pk"])+" "+testbed.Str(event["sk"])]; !reflect.DeepEqual(event, now) {
		t.Errorf("an event among everything else was changed: %v", now)
	}
	// A redrive can mend none of these, nor one that is not due yet.
	event["sk"], event["duePk"], event["dueSk"] = text("EVENT#00000000000000000000000001"), text("DUE#5"), text("2030-01-01T00:00:00.000Z")
	event["wakes"] = &types.AttributeValueMemberN{Value: "1.5"}
	put(event)
	if r, err := f.handle(t.Context(), input{Redrive: true}); r.Failed != 3+table.Shards || r.RedriveFailed != 0 || r.Next != nil || err != nil {
		t.Errorf("%+v, %v", r, err)
	}
	if now := testbed.Items(t, f.faults.Client, f.name)[pk+" "+sk]; !reflect.DeepEqual(item, now) {
		t.Errorf("an unknown profile was changed: %v", now)
	}
}

// Items that others keep busy, the longest overdue, do not keep younger ones from being
// done in the same run.
func TestABusyItemHoldsUpNoOther(t *testing.T) {
	f := newFixture(t)
	const contended = 7
	busy := map[string]bool{}
	for n := range contended {
		busy["ACCT#"+string(f.request(t, n).Account())] = true
	}
	f.now = f.now.Add(time.Minute)
	for n := range 3 {
		f.request(t, contended+n)
	}
	f.now = f.now.Add(time.Hour)
	f.finishEvents(t)
	f.faults.BeforeWrite = func(in *dynamodb.TransactWriteItemsInput) error {
		for _, item := range in.TransactItems {
			if item.Put != nil && busy[testbed.Str(item.Put.Item["pk"])] {
				return testbed.Cancelled("TransactionConflict")
			}
		}
		return nil
	}
	short, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	r, err := f.handle(short, input{})
	if r.Expired != 3 || r.Failed != contended || r.Backlog != contended || err != nil {
		t.Errorf("%+v, %v", r, err)
	}
	f.faults.BeforeWrite = nil
	if r := f.clean(t.Context(), t); r.Expired != contended || r.Backlog != 0 {
		t.Errorf("%+v", r)
	}
}

// A panic at one item is a failure of that one.
func TestAPanicIsAFailure(t *testing.T) {
	f := newFixture(t)
	f.request(t, 1)
	f.request(t, 2)
	f.now = f.now.Add(time.Hour)
	store := f.svc.Store
	f.svc.Store = nil
	if r, err := f.handle(t.Context(), input{}); r.Failed != 2 || r.Woken == 0 || err != nil {
		t.Errorf("%+v, %v", r, err)
	}
	f.svc.Store = store
	if r := f.clean(t.Context(), t); r.Expired != 2 {
		t.Errorf("%+v", r)
	}
}
