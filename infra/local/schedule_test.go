package main

import (
	"context"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestRecurrence(t *testing.T) {
	at := func(s string) time.Time {
		v, err := time.Parse("2006-01-02 15:04:05", s)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for _, test := range []struct{ expression, last, want string }{
		{"rate(1 minute)", "2026-11-23 10:00:30", "2026-11-23 10:01:30"},
		{"rate(2 hours)", "2026-11-23 10:00:30", "2026-11-23 12:00:30"},
		{"rate(1 day)", "2026-11-23 10:00:00", "2026-11-24 10:00:00"},
		{"cron(0/15 * * * ? *)", "2026-11-23 10:01:00", "2026-11-23 10:15:00"},
		{"cron(0/15 * * * ? *)", "2026-11-23 10:15:00", "2026-11-23 10:30:00"},
		{"cron(30 9 1 * ? *)", "2026-11-23 10:00:00", "2026-12-01 09:30:00"},
		{"cron(0 8,20 ? * 2-6 *)", "2026-11-20 20:00:00", "2026-11-23 08:00:00"}, // Friday evening to Monday
		{"cron(0 0 29 2 ? *)", "2026-11-23 10:00:00", "2028-02-29 00:00:00"},
	} {
		r, err := parseRecurrence(test.expression)
		if err != nil {
			t.Error(err)
			continue
		}
		if got := r.next(at(test.last)); !got.Equal(at(test.want)) {
			t.Errorf("%s after %s: %s, want %s", test.expression, test.last, got, test.want)
		}
	}
	for _, bad := range []string{"", "rate(0 minutes)", "rate(1 second)", "rate(1)", "cron(* * * *)", "cron(60 * * * ? *)", "cron(0 0 L * ? *)", "cron(0 0 ? * MON *)", "at(2026-01-01T00:00:00)", "cron(5-1 * * * ? *)", "cron(*/0 * * * ? *)"} {
		if _, err := parseRecurrence(bad); err == nil {
			t.Errorf("%q is understood", bad)
		}
	}
}

// The bubble's clock stands in for the machine's.
func TestScheduler(t *testing.T) {
	path := filepath.Join(t.TempDir(), "schedules.json")
	synctest.Test(t, func(t *testing.T) {
		var runs atomic.Int32
		s := &scheduler{
			path: path, schedules: []schedule{{name: "A", function: "CleanupFunction", when: recurrence{every: time.Minute}}},
			invoke: func(context.Context, string, []byte) ([]byte, error) { runs.Add(1); return nil, nil },
			now:    time.Now, logf: t.Logf,
		}
		during := func(d time.Duration) int32 {
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error)
			before := runs.Load()
			go func() { done <- s.run(ctx) }()
			time.Sleep(d)
			synctest.Wait()
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
			return runs.Load() - before
		}
		if n := during(3*time.Minute + time.Second); n != 3 {
			t.Errorf("%d runs in three minutes", n)
		}
		time.Sleep(10 * time.Minute) // nothing runs
		if n := during(time.Second); n != 1 {
			t.Errorf("%d runs make up for what fell due meanwhile", n)
		}
	})
	if err := os.WriteFile(path, []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := (&scheduler{path: path}).run(t.Context()); err == nil {
		t.Error("a state that cannot be read is taken for none")
	}
}
