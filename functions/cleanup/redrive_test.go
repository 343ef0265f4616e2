package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"agencyhub/shared/agency"
	"agencyhub/shared/table"
	"agencyhub/shared/testbed"
)

const stampLayout = "2006-01-02T15:04:05.000Z"

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }
func number(n int) types.AttributeValue  { return &types.AttributeValueMemberN{Value: fmt.Sprint(n)} }
func eventSort(n int) string             { return fmt.Sprintf("EVENT#%026d", n) }
func eventTime(f *fixture, n int) time.Time {
	return f.now.Add(-10*time.Hour + time.Duration(n)*time.Second)
}

// putEvents writes unfinished events, each a second younger than the one before. due
// says when each is due.
func (f *fixture) putEvents(t *testing.T, events int, due func(n int) time.Time) {
	t.Helper()
	var like testbed.Item
	for _, i := range testbed.Items(t, f.faults.Client, f.name) {
		if testbed.Str(i["type"]) == string(agency.AccountOpened) {
			like = i
		}
	}
	var requests []types.WriteRequest
	for n := range events {
		i := maps.Clone(like)
		account := string(agency.NewAccountID("redrive", fmt.Sprint(n%2000)))
		i["pk"], i["sk"], i["addressee"] = text("ACCT#"+account), text(eventSort(n)), text(account)
		h := fnv.New32a()
		_, _ = h.Write([]byte("ACCT#" + account + eventSort(n)))
		i["duePk"] = text(fmt.Sprintf("DUE#%d", table.Shards/2+int(h.Sum32()%(table.Shards/2))))
		i["at"], i["dueSk"] = text(eventTime(f, n).Format(stampLayout)), text(due(n).Format(stampLayout))
		i["wakes"], i["wokenAt"] = number(8), text(f.now.Add(-time.Minute).Format(stampLayout))
		if n%3 == 0 {
			i["wake"] = number(1)
		}
		requests = append(requests, types.WriteRequest{PutRequest: &types.PutRequest{Item: i}})
	}
	for batch := range slices.Chunk(requests, 25) {
		out, err := f.faults.BatchWriteItem(t.Context(), &dynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{f.name: batch}})
		if err != nil || len(out.UnprocessedItems) > 0 {
			t.Fatal(err, out)
		}
	}
}

// redriveAll calls with the next payload until there is none, each with a deadline, and
// returns how many calls that took. between runs after the second call.
func (f *fixture) redriveAll(t *testing.T, events int, deadline time.Duration, between func()) (calls int) {
	t.Helper()
	redriven := 0
	for next := new(input{Redrive: true}); next != nil; calls++ {
		f.now = f.now.Add(time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), deadline)
		start := time.Now()
		r, err := f.handle(ctx, *next)
		took := time.Since(start)
		cancel()
		// A busy machine is a little late.
		if took > deadline+time.Second || err != nil || r.Failed != 0 || r.RedriveFailed != 0 {
			t.Fatalf("call %d: %+v, %v after %s", calls, r, err, took)
		}
		if r.Next != nil && (r.Woken != 0 || r.Redriven == 0) || r.Woken > f.svc.Rules.WakesPerRun {
			t.Fatalf("call %d: %+v", calls, r)
		}
		redriven += r.Redriven
		t.Logf("call %d: %d redriven, %d woken, %d unfinished (at least: %t) in %s", calls, r.Redriven, r.Woken, r.Unfinished, r.AtLeast, took.Round(time.Millisecond))
		if calls == 1 {
			between()
		}
		// As it comes back from an operator.
		answer, err := json.Marshal(r)
		var report struct{ Next *input }
		if err != nil || json.Unmarshal(answer, &report) != nil {
			t.Fatal(err)
		}
		next = report.Next
	}
	if redriven != events {
		t.Errorf("%d redriven of %d", redriven, events)
	}
	return calls
}

// isRedrive reports whether a query reads events for a redrive.
func isRedrive(q *dynamodb.QueryInput) bool {
	return strings.Contains(*q.KeyConditionExpression, "dueSk > ")
}

// A shard that fails at its first page does not keep the others from being redriven, and
// does not keep the redrive from its end.
func TestARedriveLeavesOutAShardThatFails(t *testing.T) {
	f := newFixture(t)
	f.finishEvents(t, time.Hour)
	const events = 40
	f.putEvents(t, events, func(int) time.Time { return f.now.Add(time.Hour) })
	failing := 0
	for _, i := range testbed.Items(t, f.faults.Client, f.name) {
		if testbed.Str(i["duePk"]) == "DUE#5" {
			failing++
		}
	}
	f.faults.BeforeQuery = func(q *dynamodb.QueryInput) error {
		if isRedrive(q) && testbed.Str(q.ExpressionAttributeValues[":shard"]) == "DUE#5" {
			return errors.New("a shard is away")
		}
		return nil
	}
	r, err := f.handle(t.Context(), input{Redrive: true})
	if r.Redriven != events-failing || r.RedriveFailed != 1 || r.Failed != 0 || r.Next != nil || r.Woken != r.Redriven || err != nil {
		t.Errorf("%+v, %v, of %d with %d in that shard", r, err, events, failing)
	}
	// So is what is behind a place that the store refuses.
	f.now = f.now.Add(time.Second)
	start := f.now
	f.faults.BeforeQuery = func(q *dynamodb.QueryInput) error {
		if isRedrive(q) && q.ExclusiveStartKey != nil {
			return errors.New("the exclusive start key is invalid")
		}
		return nil
	}
	r, err = f.handle(t.Context(), input{Redrive: true, Start: &start, After: &table.Position{Shard: table.Shards - 1, Due: "1", PK: "p", SK: "s"}})
	if r.RedriveFailed != 1 || r.Failed != 0 || r.Next != nil || err != nil {
		t.Errorf("%+v, %v", r, err)
	}
	// Another redrive reaches the rest, and those that were woken meanwhile.
	f.faults.BeforeQuery = nil
	r, err = f.handle(t.Context(), input{Redrive: true})
	if r.Redriven != events || r.RedriveFailed != 0 || err != nil {
		t.Errorf("%+v, %v", r, err)
	}
}

// hungStore is a store whose redrive takes all the time that there is, at what it reads
// or at what it writes.
type hungStore struct {
	dueStore
	writes bool
}

func (s hungStore) Delayed(ctx context.Context, start, before time.Time, from table.Position) (table.DelayedPage, error) {
	if s.writes {
		return s.dueStore.Delayed(ctx, start, before, from)
	}
	<-ctx.Done()
	return table.DelayedPage{}, ctx.Err()
}

func (s hungStore) Redrive(ctx context.Context, _ table.EventKey, _, _ time.Time) (bool, error) {
	<-ctx.Done()
	return false, ctx.Err()
}

// Each call of a redrive ends at a later place than the one before, even if it gets
// nowhere: a redrive ends.
func TestARedriveEnds(t *testing.T) {
	f := newFixture(t)
	f.finishEvents(t, time.Hour)
	const events = 60
	f.putEvents(t, events, func(int) time.Time { return f.now.Add(time.Hour) })
	for _, test := range []struct {
		writes          bool
		calls, failures int
	}{{false, 4, 4}, {true, events, events}} {
		store := f.table
		f.table = hungStore{store, test.writes}
		calls, failures, seen := 0, 0, map[table.Position]bool{}
		for next := new(input{Redrive: true}); next != nil; calls++ {
			ctx, cancel := context.WithTimeout(t.Context(), 250*time.Millisecond)
			r, err := f.handle(ctx, *next)
			cancel()
			if err != nil || r.Redriven != 0 || r.Failed != 0 {
				t.Fatalf("%+v, %v", r, err)
			}
			failures += r.RedriveFailed
			if next = r.Next; next != nil && seen[*next.After] || calls > test.calls {
				t.Fatalf("call %d: %+v again", calls, next)
			}
			if next != nil {
				seen[*next.After] = true
			}
		}
		if failures != test.failures || !test.writes && calls != test.calls {
			t.Errorf("writes %t: %d calls, %d failures", test.writes, calls, failures)
		}
		t.Logf("writes %t: %d calls, %d failures", test.writes, calls, failures)
		f.table = store
	}
}

// Thousands of unfinished events in their backoff are made due in calls with a short
// deadline, and runs wake each once, within their bound and the oldest first. A request
// that is due does not wait behind them.
func TestRedriveOfManyEvents(t *testing.T) {
	// The deadline is an invocation's, scaled down. The second engine writes some ten times
	// slower: what is on its way at the deadline would not be done in what is left of it.
	events, deadline := 8_000, 2*time.Second
	switch {
	case testing.Short():
		events, deadline = 600, 10*time.Second
	case raceDetector:
		events = 3000
	}
	f := newFixture(t)
	f.svc.Rules.RequestLifetime, f.svc.Rules.WakesPerRun = 10*time.Minute, events/5
	f.request(t, 1)
	f.finishEvents(t, time.Hour)
	started := time.Now()
	f.putEvents(t, events, func(n int) time.Time { return f.now.Add(time.Minute + time.Duration(n*7919%3500)*time.Second) })
	t.Logf("written in %s", time.Since(started).Round(time.Millisecond))

	started = time.Now()
	runs, between := 0, f.now
	calls := f.redriveAll(t, events, deadline, func() {
		f.now = f.now.Add(time.Second)
		between = f.now
		ctx, cancel := context.WithTimeout(t.Context(), 5*deadline)
		defer cancel()
		f.clean(ctx, t)
		runs++
	})
	t.Logf("%d calls in %s", calls, time.Since(started).Round(time.Millisecond))

	started = time.Now()
	f.now = f.now.Add(10 * time.Minute)
	for last, first := 1, runs; last > 0; runs++ {
		f.now = f.now.Add(time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), 5*deadline)
		r := f.clean(ctx, t)
		cancel()
		if expired := r.Expired == 1; expired != (runs == first) {
			t.Errorf("run %d: %+v", runs, r)
		}
		if last = r.Woken; last > f.svc.Rules.WakesPerRun {
			t.Errorf("%d woken by one run", last)
		}
	}
	t.Logf("%d runs in %s", runs, time.Since(started).Round(time.Millisecond))
	type bounds struct{ first, last string }
	byRun := map[string]bounds{}
	n := 0
	for _, i := range testbed.Items(t, f.faults.Client, f.name) {
		if i["wakes"] == nil {
			continue
		}
		n++
		if wakes := testbed.Num(i["wakes"]); wakes != "9" {
			t.Errorf("%s was woken %s times", testbed.Str(i["sk"]), wakes)
		}
		at, run := testbed.Str(i["at"]), testbed.Str(i["wokenAt"])
		b, ok := byRun[run]
		if !ok || at < b.first {
			b.first = at
		}
		b.last = max(b.last, at)
		byRun[run] = b
	}
	if n != events {
		t.Errorf("%d were woken, want %d", n, events)
	}
	last := ""
	delete(byRun, between.Format(stampLayout)) // it woke what was due by then
	for _, run := range slices.Sorted(maps.Keys(byRun)) {
		if byRun[run].first <= last {
			t.Errorf("the run of %s woke what happened at %s, after %s", run, byRun[run].first, last)
		}
		last = byRun[run].last
	}
}
