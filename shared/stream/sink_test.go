package stream_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"agencyhub/shared/stream"
	"agencyhub/shared/testbed"
)

var (
	monday     = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	errTrouble = errors.New("trouble")
)

// pausing is a sink whose time only pauses take.
type pausing struct {
	*stream.Sink
	clock *testbed.Clock
}

func newPausing() *pausing {
	clock := testbed.NewClock(monday)
	return &pausing{&stream.Sink{Now: clock.Now, Pause: clock.Pause}, clock}
}

// try makes attempts that fail with an error, and returns how many and how long they took.
func (p *pausing) try(t *testing.T, once bool, err error, during func()) (attempts int, took time.Duration) {
	t.Helper()
	before := p.clock.Now()
	got := p.Try(t.Context(), once, func(context.Context) error {
		attempts++
		if during != nil {
			during()
		}
		return err
	})
	if !errors.Is(got, err) || !errors.Is(got, stream.ErrLater) && !errors.Is(err, stream.ErrRefused) {
		t.Errorf("%v", got)
	}
	return attempts, p.clock.Now().Sub(before)
}

func (p *pausing) accept(t *testing.T) {
	t.Helper()
	if err := p.Try(t.Context(), false, func(context.Context) error { return nil }); err != nil {
		t.Error(err)
	}
}

// While a sink takes nothing, its items are tried again for up to 12 s. Then each gets one
// attempt, until it takes one.
func TestASinkThatIsDown(t *testing.T) {
	p := newPausing()
	for n := range 2 {
		// One item alone may be a bad one.
		if attempts, took := p.try(t, false, errTrouble, nil); attempts < 8 || took < 9*time.Second || took > 12*time.Second || p.IsDown() != (n == 1) {
			t.Errorf("%d attempts in %s, down %t", attempts, took, p.IsDown())
		}
	}
	if attempts, took := p.try(t, false, errTrouble, nil); attempts != 1 || took != 0 {
		t.Errorf("while it is down: %d attempts in %s", attempts, took)
	}
	p.accept(t)
	if attempts, _ := p.try(t, false, errTrouble, nil); p.IsDown() || attempts < 8 {
		t.Errorf("up again: %d attempts, down %t", attempts, p.IsDown())
	}
	// It counts as down for half a minute.
	p.try(t, false, errTrouble, nil)
	if p.clock.Pause(t.Context(), 31*time.Second); p.IsDown() {
		t.Error("down for ever")
	}
}

// An item that fails while others are taken holds nobody up, and says nothing of the sink.
func TestAnItemThatFails(t *testing.T) {
	for name, try := range map[string]func(p *pausing) (int, time.Duration){
		"others are taken meanwhile": func(p *pausing) (int, time.Duration) {
			return p.try(t, false, errTrouble, func() { p.accept(t) })
		},
		"the sink says that it is the item": func(p *pausing) (int, time.Duration) {
			return p.try(t, false, fmt.Errorf("%w: a code", stream.ErrItem), nil)
		},
	} {
		p := newPausing()
		if attempts, took := try(p); attempts < 4 || took < 1500*time.Millisecond || took > 2*time.Second || p.IsDown() {
			t.Errorf("%s: %d attempts in %s, down %t", name, attempts, took, p.IsDown())
		}
	}
}

func TestAttemptsAreFewWhereTheyWouldNotHelp(t *testing.T) {
	for name, test := range map[string]struct {
		once bool
		err  error
		want int
		down bool
	}{
		"a refusal":                    {false, stream.ErrRefused, 1, false},
		"it has failed before":         {true, errTrouble, 1, false},
		"no answer, for anybody":       {false, stream.ErrNoAnswer, 2, false},
		"no answer, and failed before": {true, stream.ErrNoAnswer, 1, false},
		"a refusal that failed before": {true, stream.ErrRefused, 1, false},
	} {
		p := newPausing()
		if attempts, _ := p.try(t, test.once, test.err, nil); attempts != test.want || p.IsDown() != test.down {
			t.Errorf("%s: %d attempts, down %t", name, attempts, p.IsDown())
		}
	}
	// The second attempt outlasts a fault of a second.
	p := newPausing()
	if _, took := p.try(t, false, stream.ErrNoAnswer, nil); took < time.Second {
		t.Errorf("the second attempt came after %s", took)
	}
	// A sink that asks for less does not fail the item, whatever came before.
	p = newPausing()
	if attempts, took := p.try(t, true, stream.ErrThrottled, nil); attempts < 8 || took < 9*time.Second || took > 14*time.Second {
		t.Errorf("throttled: %d attempts in %s", attempts, took)
	}
	// One that takes nothing at all, such as one whose quota is used up, is down.
	p.try(t, true, stream.ErrThrottled, nil)
	if attempts, _ := p.try(t, true, stream.ErrThrottled, nil); attempts != 1 || !p.IsDown() {
		t.Errorf("throttled for long: %d attempts, down %t", attempts, p.IsDown())
	}
	recovered := 0
	p.Recovered = func() { recovered++ }
	p.accept(t)
	p.accept(t)
	if recovered != 1 {
		t.Errorf("recovered %d times", recovered)
	}
	p = newPausing()
	if attempts, _ := p.try(t, false, stream.ErrNoAnswer, func() { p.accept(t) }); attempts != 2 || p.IsDown() {
		t.Errorf("no answer for one: %d attempts, down %t", attempts, p.IsDown())
	}
	// Near the deadline nothing is tried again.
	ctx, cancel := context.WithTimeout(t.Context(), 11*time.Second)
	defer cancel()
	attempts := 0
	err := newPausing().Try(ctx, false, func(context.Context) error { attempts++; return errTrouble })
	if !errors.Is(err, stream.ErrLater) || attempts != 1 {
		t.Errorf("%d attempts, %v", attempts, err)
	}
}

// A sink that asks for less is given less for a while only, and never beyond the deadline.
func TestTurnsEnd(t *testing.T) {
	p := newPausing()
	p.try(t, false, stream.ErrThrottled, nil)
	if before := p.clock.Now(); true {
		p.clock.Pause(t.Context(), 15*time.Second)
		for range 20 {
			p.accept(t)
		}
		if took := p.clock.Now().Sub(before) - 15*time.Second; took > 0 {
			t.Errorf("20 items took %s a while after the sink had asked for less", took)
		}
	}
	// Of many that are throttled near the deadline, none makes an attempt that has no time for what follows.
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	late := &stream.Sink{Pause: stream.Pause}
	var wg sync.WaitGroup
	var mu sync.Mutex
	shortest := time.Hour
	for range 48 {
		wg.Go(func() {
			err := late.Try(ctx, false, func(ctx context.Context) error {
				deadline, _ := ctx.Deadline()
				mu.Lock()
				defer mu.Unlock()
				shortest = min(shortest, time.Until(deadline))
				return stream.ErrThrottled
			})
			if !errors.Is(err, stream.ErrLater) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if shortest < 17*time.Second {
		t.Errorf("an attempt began %s before the deadline", shortest)
	}
}
