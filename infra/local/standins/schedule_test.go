package standins

import (
	"context"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"agencyhub/infra/local/template"
)

// The bubble's clock stands in for the machine's.
func TestScheduler(t *testing.T) {
	path := filepath.Join(t.TempDir(), "schedules.json")
	synctest.Test(t, func(t *testing.T) {
		var runs atomic.Int32
		s := &Scheduler{
			Path: path, Schedules: []template.Schedule{{Name: "A", Function: "CleanupFunction", Every: time.Minute}},
			Invoke: func(context.Context, string, []byte) ([]byte, error) { runs.Add(1); return nil, nil },
			Now:    time.Now, Logf: t.Logf,
		}
		during := func(d time.Duration) int32 {
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error)
			before := runs.Load()
			go func() { done <- s.Run(ctx) }()
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
	if err := (&Scheduler{Path: path}).Run(t.Context()); err == nil {
		t.Error("a state that cannot be read is taken for none")
	}
}
