package table_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"agencyhub/shared/agency"
	"agencyhub/shared/outbox"
	"agencyhub/shared/service"
	"agencyhub/shared/table"
	"agencyhub/shared/testbed"
)

// putDue writes profiles and events in transactions of 90.
func putDue(t *testing.T, store *testStore, profiles []agency.Profile, events []agency.Event) {
	t.Helper()
	for part := range slices.Chunk(profiles, 90) {
		put(t, store, service.Changes{Profiles: part})
	}
	for part := range slices.Chunk(events, 90) {
		put(t, store, service.Changes{Events: part})
	}
}

func pending(n int, due time.Time) agency.Profile {
	return agency.Profile{
		ProfileKey: agency.AgencyAt(account(n).ID, account(100_000).ID), Status: agency.Pending, Ownership: agency.ClientOwned, Request: agency.Request{ExpiresAt: due}, DueAt: due, Since: noon, Version: 1,
	}
}

// Each shard, and all shards of events or of everything else, are read by due times.
func TestWhatIsDueComesInItsOrder(t *testing.T) {
	store := newStore(t)
	const many = 1500
	var profiles []agency.Profile
	var events []agency.Event
	for n := range many {
		at := noon.Add(time.Duration((n*37)%many) * time.Second)
		if n%3 == 0 {
			profiles = append(profiles, pending(n, at))
		} else {
			e := event(n, agency.Party(account(n).ID), "", noon)
			e.WakeAt = at
			events = append(events, e)
		}
	}
	// An ended connection and a processed event are never due.
	profiles = append(profiles, agency.Profile{
		ProfileKey: agency.AgencyAt(account(1).ID, account(1001).ID), Status: agency.Expired, Ownership: agency.ClientOwned, Request: agency.Request{ExpiresAt: noon}, Since: noon, Version: 1,
	})
	told := event(2000, agency.Party(account(1).ID), "", noon)
	told.WakeAt = time.Time{}
	putDue(t, store, profiles, append(events, told))

	now := noon.Add(1250 * time.Second) // 1251 of them, more than a page of 100 in each shard
	const due, dueProfiles = 1251, 417
	read := func(items func(func(table.DueItem, error) bool), events bool) map[string]bool {
		t.Helper()
		seen, last := map[string]bool{}, time.Time{}
		for d, err := range items {
			if err != nil {
				t.Fatal(err)
			}
			if d.At.Before(last) || d.At.After(now) {
				t.Errorf("%s of %s after %s", d, d.At, last)
			}
			if seen[d.String()] || (d.Event != nil) != events || (d.Profile != nil) == events {
				t.Errorf("twice, or of the wrong kind: %s", d)
			}
			last, seen[d.String()] = d.At, true
		}
		return seen
	}
	all := map[string]bool{}
	for shard := range table.Shards {
		some := read(store.Due(t.Context(), shard, now), shard >= table.Shards/2)
		if len(some) < 60 {
			t.Errorf("shard %d has %d", shard, len(some))
		}
		for id := range some {
			all[id] = true
		}
	}
	steps, woken := read(store.DueSteps(t.Context(), now), false), read(store.DueEvents(t.Context(), now), true)
	if len(all) != due || len(steps) != dueProfiles || len(woken) != due-dueProfiles {
		t.Errorf("%d are due, %d and %d", len(all), len(steps), len(woken))
	}
	// A reader can stop early.
	n := 0
	for _, err := range store.DueEvents(t.Context(), now) {
		if n++; err != nil || n == 3 {
			break
		}
	}
	s, e, err := store.Backlog(t.Context(), now)
	if want := (table.Counted{Count: dueProfiles, Oldest: noon}); s != want || e.Count != due-dueProfiles || e.More || err != nil {
		t.Errorf("a backlog of %+v and %+v, %v", s, e, err)
	}
	if s, e, err := store.Backlog(t.Context(), noon.Add(-time.Second)); s != (table.Counted{}) || e != (table.Counted{}) || err != nil {
		t.Errorf("a backlog of %+v and %+v, %v", s, e, err)
	}
}

// A wake is counted. A redrive moves the mark that was read, and nothing of it goes
// through the stream.
func TestWakesAreCountedAndRedriven(t *testing.T) {
	store := newStore(t)
	e := event(1, agency.Party(account(1).ID), "", noon)
	put(t, store, service.Changes{Events: []agency.Event{e}})
	k := table.EventKey{Addressee: e.Addressee, ID: e.ID}
	item := func() testbed.Item {
		return store.items(t)["ACCT#"+string(account(1).ID)+" EVENT#"+string(e.ID)[4:]]
	}
	now := noon.Add(time.Minute)
	for n := range 3 {
		next := now.Add(time.Minute)
		if ok, err := store.Wake(t.Context(), k, now, next); !ok || err != nil {
			t.Fatal(ok, err)
		}
		for d, err := range store.DueEvents(t.Context(), next) {
			if want := (table.DueItem{Event: &k, At: next, Since: noon, Wakes: n + 1}); err != nil || !cmp.Equal(want, d) {
				t.Errorf("%+v, %v", d, err)
			}
		}
		if i := item(); testbed.Str(i["wokenAt"]) != now.Format("2006-01-02T15:04:05.000Z") || i["wake"] == nil {
			t.Errorf("woken at %s: %v", now, i)
		}
		now = next
	}
	due := noon.Add(time.Minute)
	for _, step := range []struct {
		at   time.Time
		want bool
	}{{now.Add(-time.Minute), false}, {now, true}, {now, false}} {
		if ok, err := store.Redrive(t.Context(), k, step.at, due); ok != step.want || err != nil {
			t.Errorf("redriven from %s: %t, %v", step.at, ok, err)
		}
	}
	i := item()
	if got := testbed.Str(i["dueSk"]); got != "2026-11-23T12:01:00.000Z" || i["wake"] != nil || testbed.Num(i["wakes"]) != "3" {
		t.Errorf("%v", i)
	}
	for _, c := range outbox.Consumers {
		noError(t, store.MarkDone(t.Context(), k, c, now))
	}
	if ok, err := store.Redrive(t.Context(), k, due, noon); ok || err != nil {
		t.Errorf("what is finished is due again: %v", err)
	}
}

// Delayed reads what is due later, page by page, from any place on, also while the
// marks of what it has read move.
func TestDelayedEvents(t *testing.T) {
	store := newStore(t)
	start := noon.Add(time.Hour)
	var events []agency.Event
	for n := range 1000 {
		e := event(n, agency.Party(account(n%7).ID), "", noon.Add(time.Duration(n)*time.Second))
		e.WakeAt = start.Add(time.Duration(n%3) * time.Second) // a third is due at the start
		events = append(events, e)
	}
	putDue(t, store, nil, events)
	before := noon.Add(800 * time.Second)
	woken := map[string]bool{}
	wake := func(n int) {
		k := table.EventKey{Addressee: events[n].Addressee, ID: events[n].ID}
		if ok, err := store.Wake(t.Context(), k, start.Add(2*time.Second), start.Add(time.Minute)); !ok || err != nil {
			t.Fatal(ok, err)
		}
		woken[string(k.ID)] = true
	}
	for n := range 20 {
		wake(n)
	}
	seen := map[string]bool{}
	pages := 0
	for at := new(table.FirstPosition()); at != nil; pages++ {
		if !at.IsValid() {
			t.Fatalf("%+v", at)
		}
		page, err := store.Delayed(t.Context(), start, before, *at)
		noError(t, err)
		for _, d := range page.Items {
			if seen[d.String()] || woken[d.String()] || !d.At.After(start) || d.Since.After(before) {
				t.Errorf("%+v", d)
			}
			seen[d.String()] = true
			if ok, err := store.Redrive(t.Context(), *d.Event, d.At, start); !ok || err != nil {
				t.Error(ok, err)
			}
		}
		if pages == 2 {
			for n := 700; n < 720; n++ {
				if !seen[string(events[n].ID)] && n%3 != 0 {
					wake(n)
				}
			}
		}
		at = page.Next
	}
	want := 0
	for n, e := range events[:801] {
		if n%3 != 0 && !woken[string(e.ID)] {
			want++
		}
	}
	if len(seen) != want || pages < table.Shards/2+4 {
		t.Errorf("%d in %d pages, want %d", len(seen), pages, want)
	}
	for _, at := range []table.Position{{}, {Shard: table.Shards}, {Shard: 4, Due: "x"}, {Shard: 4, Due: "x", PK: "y"}} {
		if at.IsValid() {
			t.Errorf("%+v is valid", at)
		}
	}
}

// What this version can't read is an error each, and everything else is read.
func TestUnknownItemsAreSkipped(t *testing.T) {
	store := newStore(t)
	const n = 20
	var profiles []agency.Profile
	var events []agency.Event
	for i := range n {
		profiles = append(profiles, pending(i, noon.Add(time.Second)))
		e := event(i, agency.Party(account(i).ID), "", noon.Add(-time.Minute))
		e.WakeAt = noon.Add(time.Second)
		events = append(events, e)
	}
	putDue(t, store, profiles, events)
	text := func(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }
	pk := "ACCT#" + string(account(1).ID)
	for i, unknown := range []testbed.Item{
		{"pk": text("HELD#1"), "sk": text("HELD")},
		{"pk": text(pk), "sk": text("LATER#1")},
		{"pk": text(pk), "sk": text("TEAM#" + string(account(2).ID)), "status": text("paused")},
		{"pk": text(pk), "sk": text("TEAM#" + string(account(3).ID)), "status": text("active"), "dueSk": text("1st")},
		{"pk": text(pk), "sk": text("EVENT#00000000000000000000099999"), "at": text("later")},
		{"pk": text(pk), "sk": text("EVENT#00000000000000000000099998"), "at": text("2026-11-23T11:00:00.000Z"), "wakes": &types.AttributeValueMemberN{Value: "1.5"}},
	} {
		unknown["duePk"] = text(fmt.Sprintf("DUE#%d", i))
		if unknown["dueSk"] == nil {
			unknown["dueSk"] = text("2026-11-23T12:00:00.000Z")
		}
		if _, err := store.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &store.name, Item: unknown}); err != nil {
			t.Fatal(err)
		}
	}
	for name, read := range map[string]struct {
		items   iter.Seq2[table.DueItem, error]
		unknown int
	}{
		"steps":  {store.DueSteps(t.Context(), noon.Add(time.Minute)), 4},
		"events": {store.DueEvents(t.Context(), noon.Add(time.Minute)), 2},
	} {
		known, unknown := 0, 0
		for d, err := range read.items {
			switch {
			case err == nil && (d.Event != nil || d.Profile != nil):
				known++
			case err != nil:
				unknown++
			}
		}
		if known != n || unknown != read.unknown {
			t.Errorf("%s: %d known, %d unknown", name, known, unknown)
		}
	}
	page, err := store.Delayed(t.Context(), noon.Add(-time.Hour), noon, table.Position{Shard: 5})
	if len(page.Items) == 0 || len(page.Unread) != 1 || err != nil {
		t.Errorf("%+v, %v", page, err)
	}
}

// Counting stops at its deadline, and counts what it can when a shard fails.
func TestCountsAreBounded(t *testing.T) {
	store := newStore(t)
	var profiles []agency.Profile
	var events []agency.Event
	for n := range 40 {
		profiles = append(profiles, pending(n, noon.Add(time.Hour)))
		events = append(events, event(n, agency.Party(account(n).ID), "", noon.Add(time.Duration(n)*time.Second)))
	}
	profiles[0].Status = agency.Active
	putDue(t, store, profiles, events)
	late := noon.Add(2 * time.Hour)
	got, err := store.Unfinished(t.Context(), noon.Add(9*time.Second))
	if want := (table.Counted{Count: 10, Oldest: noon}); got != want || err != nil {
		t.Errorf("unfinished %+v, %v", got, err)
	}
	if got, err = store.Waiting(t.Context()); got != (table.Counted{Count: 39}) || err != nil {
		t.Errorf("waiting %+v, %v", got, err)
	}
	over, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	for name, count := range map[string]func(context.Context) (table.Counted, error){
		"backlog":    func(ctx context.Context) (table.Counted, error) { c, _, err := store.Backlog(ctx, late); return c, err },
		"unfinished": func(ctx context.Context) (table.Counted, error) { return store.Unfinished(ctx, late) },
		"waiting":    store.Waiting,
	} {
		if got, err := count(over); got != (table.Counted{More: true}) || err != nil {
			t.Errorf("%s without time: %+v, %v", name, got, err)
		}
		failure, calls := errors.New("a shard fails"), 0
		store.BeforeQuery = func(*dynamodb.QueryInput) error {
			if calls++; calls == 1 {
				return failure
			}
			return nil
		}
		if got, err := count(t.Context()); got.Count == 0 || got.Count >= 40 || !got.More || !errors.Is(err, failure) {
			t.Errorf("%s with a shard that fails: %+v, %v", name, got, err)
		}
		store.BeforeQuery = nil
	}
}

// A place behind an event that was read is where the events after it begin.
func TestPositions(t *testing.T) {
	store := newStore(t)
	var events []agency.Event
	for n := range 60 {
		e := event(n, agency.Party(account(n%7).ID), "", noon)
		e.WakeAt = noon.Add(time.Duration(1+n%9) * time.Second)
		events = append(events, e)
	}
	putDue(t, store, nil, events)
	n := 0
	for at := new(table.FirstPosition()); at != nil; at = at.NextShard() {
		all, err := store.Delayed(t.Context(), noon, noon, *at)
		noError(t, err)
		for i, d := range all.Items {
			from := table.PositionOf(at.Shard, d)
			rest, err := store.Delayed(t.Context(), noon, noon, from)
			noError(t, err)
			if diff := cmp.Diff(all.Items[i+1:], rest.Items, cmpopts.EquateEmpty()); diff != "" || !from.IsValid() {
				t.Errorf("behind %+v: %s", from, diff)
			}
			n++
		}
	}
	if n != len(events) {
		t.Errorf("%d of %d", n, len(events))
	}
}

// Where the due marks of Form are. Data of before has them elsewhere once this changes, so
// that Form must too.
func TestTheDueMarksOfTheForm(t *testing.T) {
	store := newStore(t)
	putDue(t, store, []agency.Profile{pending(1, noon)}, []agency.Event{event(1, agency.Party(account(1).ID), "", noon)})
	got := map[string]string{}
	for k, i := range store.items(t) {
		got[k] = testbed.Str(i["duePk"]) + " " + testbed.Str(i["dueSk"])
	}
	want := map[string]string{
		"ACCT#acct_a6ex0fk2jyxnc3j57peynt81w8 TEAM#acct_wd0qgeqxkr0jj7v0cp5wg9595g": "DUE#3 2026-11-23T12:00:00.000Z",
		"ACCT#acct_a6ex0fk2jyxnc3j57peynt81w8 EVENT#00000000000000000000000001":     "DUE#5 2026-11-23T12:01:00.000Z",
	}
	if diff := cmp.Diff(want, got); diff != "" || table.Form != 3 {
		t.Errorf("form %d: %s", table.Form, diff)
	}
}
