package main

import (
	"strings"
	"testing"
	"time"

	"agencyhub/shared/agency"
)

// An event that cleanup was to leave alone for an hour is woken when somebody has
// mended what was wrong; one that has only just happened is left to notify.
func TestRedriveWakesWhatWaits(t *testing.T) {
	f := newFixture(t)
	f.now = f.now.Add(f.svc.Rules.WakeAfter)
	f.tell(t)
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
	if _, err := f.svc.RenameAccount(t.Context(), agency.Caller{Actor: f.ann}, f.hubID, "Another name"); err != nil {
		t.Fatal(err)
	}
	r, err := f.handle(t.Context(), call{})
	if err != nil || r.Woken != 0 || r.Redriven != 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	// What is left alone is in no backlog, and waits all the same.
	if m := f.metrics.String(); !strings.Contains(m, `"Backlog":[0]`) || !strings.Contains(m, `"Untold":[3]`) || !strings.Contains(m, `"UntoldAge":[11160]`) {
		t.Errorf("metrics: %s", m)
	}
	r, err = f.handle(t.Context(), call{Redrive: true})
	// The opening of its account, the request, and that it has expired.
	if err != nil || r.Redriven < 2 || r.Woken != 0 {
		t.Errorf("%+v, %v", r, err)
	}
	again := r.Redriven
	r, err = f.handle(t.Context(), call{Redrive: true})
	if err != nil || r.Redriven != again {
		t.Errorf("the second time: %+v, %v", r, err)
	}
	f.now = f.now.Add(10 * time.Hour)
	f.tell(t)
	if r, err = f.handle(t.Context(), call{Redrive: true}); err != nil || r.Redriven != 0 {
		t.Errorf("all is told, and %+v, %v", r, err)
	}
}

func TestWhatIsMeasured(t *testing.T) {
	f := newFixture(t)
	f.now = f.now.Add(f.svc.Rules.WakeAfter)
	f.tell(t)
	f.now = time.Date(2026, 11, 23, 12, 15, 30, 0, time.UTC)
	f.request(t, 1)
	f.request(t, 2)
	for _, step := range []struct {
		after time.Duration
		want  []string
		never string
	}{
		{0, []string{`"Backlog":[0]`, `"BacklogAge":[0]`, `"RequestsWaiting":[2]`, `"Untold":[0]`, `"UntoldAge":[0]`, `"Stack":""`, `"Namespace":"AgencyHub"`}, "@"},
		{time.Minute, []string{`"Backlog":[0]`, `"Expired":[0]`}, "RequestsWaiting"},
		{time.Hour, []string{`"Backlog":[0]`, `"Expired":[2]`}, "RequestsWaiting"},
	} {
		f.now = f.now.Add(step.after)
		f.metrics.Reset()
		if _, err := f.handle(t.Context(), call{}); err != nil {
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
