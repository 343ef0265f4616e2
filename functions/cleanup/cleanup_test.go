package main

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

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
	now      time.Time
	ann      agency.Actor
	agencyID agency.AccountID
	// metrics has the recorded metrics.
	metrics *strings.Builder
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	rules, err := settings.Load(`{"requestLifetime": "1h"}`)
	if err != nil {
		t.Fatal(err)
	}
	db, name := testbed.Table(t)
	f := &fixture{store: table.New(db, name), now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}
	svc := &service.Service{Store: f.store, Now: func() time.Time { return f.now }, Rules: rules.Rules(), NewEventID: cloud.NewEventID}
	f.metrics = &strings.Builder{}
	f.cleaner = &cleaner{svc: svc, table: f.store, meter: cloud.NewMeter(f.metrics, svc.Now)}
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

// finishEvents marks every event that is due by now as done, as notify would.
func (f *fixture) finishEvents(t *testing.T) {
	t.Helper()
	for shard := range table.Shards {
		for item, err := range f.store.Due(t.Context(), shard, f.now) {
			if err != nil {
				t.Fatal(err)
			}
			if item.Event != nil {
				for _, c := range outbox.Consumers {
					if err := f.store.MarkDone(t.Context(), *item.Event, c, f.now); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
	}
}

// clean does a run that must not fail.
func (f *fixture) clean(ctx context.Context, t *testing.T) report {
	t.Helper()
	r, err := f.run(ctx)
	if err != nil {
		t.Fatal(err)
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
			r, err := f.run(t.Context())
			if err != nil {
				t.Error(err)
			}
			results <- r
		}()
	}
	if a, b := <-results, <-results; a.Expired+b.Expired != 8 {
		t.Errorf("%d and %d expired, want 8 in all", a.Expired, b.Expired)
	}
}

func TestWakingBacksOff(t *testing.T) {
	f := newFixture(t)
	f.open(t, f.ann, "another-key-0123456789")
	if got := f.clean(t.Context(), t); got.Woken != 0 {
		t.Errorf("woken %d at once", got.Woken)
	}
	f.now = f.now.Add(5 * time.Minute)
	first := f.clean(t.Context(), t)
	if first.Woken != 3 || // two opened accounts, and agency features switched on
		first.Backlog != 0 {
		t.Errorf("%+v, want 3 woken and no backlog", first)
	}
	wakes := func(after time.Duration, want int) {
		t.Helper()
		f.now = f.now.Add(after)
		if r := f.clean(t.Context(), t); r.Woken != want {
			t.Errorf("woken %d %s later, want %d", r.Woken, after, want)
		}
	}
	wakes(0, 0)
	wakes(4*time.Minute, 0)
	wakes(time.Minute, 3)
	// After ten minutes of waiting the next attempt is ten minutes later.
	wakes(9*time.Minute, 0)
}

func TestARunStopsBeforeItsDeadline(t *testing.T) {
	f := newFixture(t)
	f.request(t, 1)
	f.now = f.now.Add(time.Hour)
	f.finishEvents(t)
	short, cancel := context.WithTimeout(t.Context(), reserve)
	defer cancel()
	got := f.clean(short, t)
	if got.Finished || got.Expired != 0 || got.Backlog != 1 || got.Oldest == nil || !got.Oldest.Equal(f.now) {
		t.Errorf("%+v, want nothing done and a backlog of 1 since now", got)
	}
	if got := f.clean(t.Context(), t); got.Expired != 1 || !got.Finished {
		t.Errorf("%+v, want it done by the next run", got)
	}
}
