package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"agencyhub/shared/agency"
)

// A redrive makes events due whose backoff has an hour left, and none that has just
// happened.
func TestRedrive(t *testing.T) {
	f := newFixture(t)
	f.finishEvents(t, time.Hour)
	f.now = f.now.Add(time.Minute)
	f.request(t, 1)
	opened := f.now
	for range 8 {
		f.now = f.now.Add(time.Hour)
		if r := f.clean(t.Context(), t); r.Woken == 0 {
			t.Fatalf("%+v", r)
		}
	}
	f.now = f.now.Add(time.Minute)
	if _, err := f.svc.RenameAccount(t.Context(), agency.Caller{Actor: f.ann}, f.agencyID, "Another name"); err != nil {
		t.Fatal(err)
	}
	f.metrics.Reset()
	if r := f.clean(t.Context(), t); r.Woken != 0 || r.Redriven != 0 {
		t.Fatalf("%+v", r)
	}
	// Events in backoff are not in the backlog, but count as unfinished.
	for _, want := range []string{`"Backlog":[0]`, `"Unfinished":[3]`, fmt.Sprintf(`"UnfinishedAge":[%d]`, 8*3600+60)} {
		if !strings.Contains(f.metrics.String(), want) {
			t.Errorf("there is no %s in %s", want, f.metrics)
		}
	}
	redrive := func(want report) {
		t.Helper()
		r, err := f.handle(t.Context(), input{Redrive: true})
		if diff := cmp.Diff(want, r); diff != "" || err != nil {
			t.Error(diff, err)
		}
	}
	// The opened account, the request and its expiry.
	want := report{Redriven: 3, Woken: 3, Unfinished: 3, OldestUnfinished: &opened, Finished: true}
	redrive(want)
	// Those were woken since then. Another redrive begins a second later.
	again := want
	again.Redriven, again.Woken = 0, 0
	redrive(again)
	f.now = f.now.Add(time.Second)
	redrive(want)
	f.finishEvents(t, 10*time.Hour)
	redrive(report{Finished: true})
}

// A payload that is no redrive's is refused, and what a report has as next is taken.
func TestPayloads(t *testing.T) {
	f := newFixture(t)
	for payload, ok := range map[string]bool{
		`{}`: true, `{"redrive":false}`: true, `{"redrive":true}`: true,
		`{"version":"0","source":"aws.scheduler","time":"2026-11-23T12:00:00Z","detail":"{}"}`:                                        true,
		`{"redrive":true,"start":"2026-11-23T12:00:00.123Z","after":{"shard":4}}`:                                                     true,
		`{"redrive":true,"start":"2026-11-23T12:00:00Z","after":{"shard":7,"due":"2026-11-23T12:00:01.000Z","pk":"ACCT#1","sk":"E"}}`: true,
		`{"redrive":true,"start":"2026-11-23T12:00:00Z"}`:                                                                             false,
		`{"redrive":true,"after":{"shard":4}}`:                                                                                        false,
		`{"redrive":false,"start":"2026-11-23T12:00:00Z","after":{"shard":4}}`:                                                        false,
		`{"redrive":true,"start":"2026-11-23T12:00:00Z","after":{"shard":3}}`:                                                         false,
		`{"redrive":true,"start":"2026-11-23T12:00:00Z","after":{"shard":8}}`:                                                         false,
		`{"redrive":true,"start":"2026-11-23T12:00:00Z","after":{"shard":4,"due":"2026-11-23T12:00:01.000Z"}}`:                        false,
	} {
		var in input
		if err := json.Unmarshal([]byte(payload), &in); err != nil {
			t.Fatal(err)
		}
		r, err := f.handle(t.Context(), in)
		if ok != (err == nil) || ok && (r.Failed != 0 || r.Next != nil) {
			t.Errorf("%s: %+v, %v", payload, r, err)
		}
	}
}

func TestMetrics(t *testing.T) {
	f := newFixture(t)
	f.now = f.now.Add(f.svc.Rules.WakeAfter)
	f.finishEvents(t)
	f.now = time.Date(2026, 11, 23, 12, 15, 30, 0, time.UTC)
	f.request(t, 1)
	f.request(t, 2)
	for _, step := range []struct {
		after time.Duration
		want  []string
		never []string
	}{
		{0, []string{
			`"Backlog":[0]`, `"BacklogAge":[0]`, `"RequestsWaiting":[2]`, `"Unfinished":[0]`, `"UnfinishedAge":[0]`, `"Stack":""`, `"Namespace":"AgencyHub"`,
		}, []string{"@", "Expired", "Woken", "CleanupFailed"}},
		{time.Minute, []string{`"Backlog":[0]`}, []string{"RequestsWaiting", "Expired", "CleanupFailed"}},
		{time.Hour, []string{`"Backlog":[0]`, `"Expired":[2]`}, []string{"RequestsWaiting", "CleanupFailed"}},
	} {
		f.now = f.now.Add(step.after)
		f.metrics.Reset()
		if _, err := f.handle(t.Context(), input{}); err != nil {
			t.Fatal(err)
		}
		for _, want := range step.want {
			if !strings.Contains(f.metrics.String(), want) {
				t.Errorf("after %s there is no %s in %s", step.after, want, f.metrics)
			}
		}
		for _, never := range step.never {
			if strings.Contains(f.metrics.String(), never) {
				t.Errorf("after %s there is %s in %s", step.after, never, f.metrics)
			}
		}
	}
}
