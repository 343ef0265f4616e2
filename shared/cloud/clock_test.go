package cloud

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// A function whose clock is wrong goes by DynamoDB's, whose responses may also be late.
func TestTheClockOfTheStoreCounts(t *testing.T) {
	t.Cleanup(func() { skew.Store(0) })
	var ahead, late time.Duration
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Date", time.Now().Add(ahead).UTC().Format(http.TimeFormat))
		if ahead == time.Hour*24*365*100 {
			w.Header().Set("Date", "yesterday")
		}
		time.Sleep(late)
	}))
	defer server.Close()
	call := func() time.Duration {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := clockReader{http.DefaultClient}.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return Now().Sub(time.Now().Add(ahead))
	}
	for _, ahead = range []time.Duration{0, 3 * time.Minute, -2 * time.Minute, time.Hour, 0} {
		off := call()
		if off < -1100*time.Millisecond || off > 1100*time.Millisecond {
			t.Errorf("the store is %s ahead: %s off", ahead, off)
		}
		if ahead == 0 && skew.Load() != 0 {
			t.Errorf("a right clock is moved by %s", time.Duration(skew.Load()))
		}
	}
	// A slow response is no skew.
	late = 1500 * time.Millisecond
	if call(); skew.Load() != 0 {
		t.Errorf("a slow response has moved the clock by %s", time.Duration(skew.Load()))
	}
	// A response without a date says nothing.
	late, ahead = 0, 3*time.Minute
	call()
	was := skew.Load()
	ahead = time.Hour * 24 * 365 * 100
	if call(); skew.Load() != was || was == 0 {
		t.Errorf("the clock was moved from %d to %d", was, skew.Load())
	}
}
