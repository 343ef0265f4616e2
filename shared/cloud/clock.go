package cloud

import (
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"
)

// Decisions, leases and ids of events rest on the time, and many functions make them.
// DynamoDB is what they have in common, and each of its responses has a Date. So a
// function whose clock is wrong goes by that of DynamoDB, to within a second or so.

// skew is how far DynamoDB's clock is ahead of this one, in nanoseconds.
var skew atomic.Int64

// Now returns the present time. It is the machine's, as long as DynamoDB's responses
// agree with it.
func Now() time.Time { return time.Now().Add(time.Duration(skew.Load())) }

// httpClient is what the AWS clients call.
type httpClient interface {
	Do(*http.Request) (*http.Response, error)
}

// clockReader is a client that reads the clock of each response.
type clockReader struct{ httpClient }

// Do makes a call. A Date has whole seconds, and was written between the beginning and
// the end of the call: only what lies outside of that is a difference of the clocks.
func (c clockReader) Do(r *http.Request) (*http.Response, error) {
	begin := time.Now()
	resp, err := c.httpClient.Do(r)
	if err != nil {
		return resp, err
	}
	end := time.Now()
	date, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		return resp, nil //nolint:nilerr // a response without a readable Date says nothing of the clock
	}
	var ahead time.Duration
	switch {
	case date.After(end):
		ahead = date.Sub(end)
	case date.Add(time.Second).Before(begin):
		ahead = date.Add(time.Second).Sub(begin)
	}
	if was := time.Duration(skew.Swap(int64(ahead))); isFar(was) != isFar(ahead) {
		slog.WarnContext(r.Context(), "The machine's clock and DynamoDB's differ; DynamoDB's counts.", "ahead", ahead.String())
	}
	return resp, nil
}

// isFar reports whether a difference is more than the second that a Date leaves open.
func isFar(d time.Duration) bool { return d.Abs() > 2*time.Second }
