package stream

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Sink is a service that takes one item after another and may fail: SES, the bus. It
// tells a bad item from a bad sink. While a sink takes nothing, its items are tried
// again for up to 12 s; an item that fails while others are taken is tried again for
// 2 s, so that it holds up nobody. A sink that asks for less is given less: all wait
// their turn. All invocations of a process share it.
type Sink struct {
	// Pause waits, or until the context ends.
	Pause func(context.Context, time.Duration)
	// Recovered, unless it is nil, is called when the sink takes an item again after it
	// was down.
	Recovered func()

	mu       sync.Mutex
	accepted int
	// downSince is when an item was given up after the whole time; zero once the sink
	// has taken one since.
	downSince time.Time
	// interval is the time between two attempts, while the sink asks for less, and next
	// is when the next may start.
	interval       time.Duration
	next, slowedAt time.Time
}

// The errors of an attempt. Any other error is transient, and the item is not taken.
var (
	// ErrRefused: the sink will never take this item.
	ErrRefused = errors.New("it is refused permanently")
	// ErrNoAnswer: the sink did not answer, or with a failure of its own. It may have
	// taken the item.
	ErrNoAnswer = errors.New("there was no answer")
	// ErrThrottled: the sink asks for less.
	ErrThrottled = errors.New("there were too many at once")
	// ErrItem: the sink answered, and failed this item alone.
	ErrItem = errors.New("this item failed")
)

const (
	// attemptsWithoutAnswer is how often an item is tried that gets no answer. The sink
	// may have been away for a moment, so the second attempt comes after pauseWithoutAnswer;
	// but each may have been taken.
	attemptsWithoutAnswer = 2
	pauseWithoutAnswer    = 1200 * time.Millisecond
	// downTime is how long a sink counts as down at most.
	downTime = 30 * time.Second
	// The bounds of the interval.
	firstInterval   = 20 * time.Millisecond
	slowDownEvery   = 100 * time.Millisecond
	longestInterval = time.Second
)

// Try makes attempts until the sink takes the item. once allows one attempt, but for a
// sink that asks for less: for an item that has failed in an earlier invocation, and
// waits for its due mark. Errors: ErrRefused, ErrLater.
func (s *Sink) Try(ctx context.Context, once bool, attempt func(context.Context) error) error {
	pauses, unanswered := pauses{}, 0
	first := s.acceptances()
	seen := first
	for {
		begin := time.Now()
		s.turn(ctx)
		err := attempt(ctx)
		if err == nil {
			s.accept()
			return nil
		}
		if errors.Is(err, ErrRefused) {
			return err
		}
		pauses.spent += time.Since(begin)
		accepted := s.acceptances()
		limit, last := holdTime, once || s.IsDown()
		switch {
		case errors.Is(err, ErrThrottled):
			s.slowDown()
			last = false
		case errors.Is(err, ErrNoAnswer):
			unanswered++
		case errors.Is(err, ErrItem) || accepted > seen:
			limit = itemTime
		}
		pause, ok := pauses.next(limit)
		if errors.Is(err, ErrNoAnswer) {
			pause, ok = max(pause, pauseWithoutAnswer), ok && unanswered < attemptsWithoutAnswer
		}
		if !ok && !last && limit == holdTime && accepted == first && !errors.Is(err, ErrThrottled) {
			s.setDown()
		}
		if last || !ok || ctx.Err() != nil || !HasTime(ctx, pause+reserve) {
			return fmt.Errorf("%w: %w", ErrLater, err)
		}
		seen = accepted
		s.Pause(ctx, pause)
	}
}

// IsDown reports whether the sink takes nothing at the moment.
func (s *Sink) IsDown() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.downSince.IsZero() && time.Since(s.downSince) < downTime
}

// turn waits until the next attempt may start.
func (s *Sink) turn(ctx context.Context) {
	s.mu.Lock()
	now := time.Now()
	start := now
	if s.interval > 0 && s.next.After(now) {
		start = s.next
	}
	s.next = start.Add(s.interval)
	s.mu.Unlock()
	if start.After(now) {
		s.Pause(ctx, start.Sub(now))
	}
}

// slowDown makes the interval half as long again. Items that are refused together do
// it once.
func (s *Sink) slowDown() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := time.Now(); now.Sub(s.slowedAt) > max(s.interval, slowDownEvery) {
		s.interval = min(max(3*s.interval/2, firstInterval), longestInterval)
		s.slowedAt = now
	}
}

// accept notes that an item was taken, and shortens the interval a little.
func (s *Sink) accept() {
	s.mu.Lock()
	wasDown := !s.downSince.IsZero()
	s.accepted++
	s.downSince = time.Time{}
	if s.interval -= s.interval / 20; s.interval < firstInterval/4 {
		s.interval = 0
	}
	s.mu.Unlock()
	if wasDown && s.Recovered != nil {
		s.Recovered()
	}
}

func (s *Sink) acceptances() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.accepted
}

func (s *Sink) setDown() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.downSince = time.Now()
}
