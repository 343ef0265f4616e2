package main

import (
	"strings"
	"testing"
	"time"

	"agencyhub/shared/agency"
)

// A redrive wakes events whose backoff has an hour left, and none that has just
// happened.
func TestRedrive(t *testing.T) {
	f := newFixture(t)
	f.now = f.now.Add(f.svc.Rules.WakeAfter)
	f.finishEvents(t)
	f.now = f.now.Add(time.Minute)
	f.request(t, 1)
	f.now = f.now.Add(f.svc.Rules.WakeAfter)
	for range 3 {
		if r := f.clean(t.Context(), t); r.Woken == 0 {
			t.Fatalf("%+v", r)
		}
		f.now = f.now.Add(time.Hour)
	}
	if r := f.clean(t.Context(), t); r.Woken == 0 {
		t.Fatalf("%+v", r)
	}
	f.now = f.now.Add(time.Minute)
	if _, err := f.svc.RenameAccount(t.Context(), agency.Caller{Actor: f.ann}, f.agencyID, "Another name"); err != nil {
		t.Fatal(err)
	}
	r, err := f.handle(t.Context(), input{})
	if err != nil || r.Woken != 0 || r.Redriven != 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	// Events in backoff are not in the backlog, but count as waiting.
	for _, want := range []string{`"Backlog":[0]`, `"Untold":[3]`, `"UntoldAge":[11160]`} {
		if !strings.Contains(f.metrics.String(), want) {
			t.Errorf("there is no %s in %s", want, f.metrics)
		}
	}
	r, err = f.handle(t.Context(), input{Redrive: true})
	// The opened account, the request and its expiry.
	if err != nil || r.Redriven < 2 || r.Woken != 0 {
		t.Errorf("%+v, %v", r, err)
	}
	again := r.Redriven
	r, err = f.handle(t.Context(), input{Redrive: true})
	if err != nil || r.Redriven != again {
		t.Errorf("the second time: %+v, %v", r, err)
	}
	f.now = f.now.Add(10 * time.Hour)
	f.finishEvents(t)
	if r, err = f.handle(t.Context(), input{Redrive: true}); err != nil || r.Redriven != 0 {
		t.Errorf("all is told, and %+v, %v", r, err)
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
		never string
	}{
		{0, []string{
			`"Backlog":[0]`, `"BacklogAge":[0]`, `"RequestsWaiting":[2]`, `"Untold":[0]`, `"UntoldAge":[0]`, `"Stack":""`, `"Namespace":"AgencyHub"`,
		}, "@"},
		{time.Minute, []string{`"Backlog":[0]`, `"Expired":[0]`}, "RequestsWaiting"},
		{time.Hour, []string{`"Backlog":[0]`, `"Expired":[2]`}, "RequestsWaiting"},
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
		if strings.Contains(f.metrics.String(), step.never) {
			t.Errorf("after %s: %s", step.after, f.metrics)
		}
	}
}
