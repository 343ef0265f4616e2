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
// 2 s, so that it holds up nobody. A sink that asks for less is given less for a while:
// all wait their turn. All invocations of a process share it.
type Sink struct {
	// Now is the clock, for how long things take; nil for the machine's.
	Now func() time.Time
	// Pause waits, or until the context ends.
	Pause func(context.Context, time.Duration)
	// Recovered, unless it is nil, is called when the sink takes an item again after it
	// was down.
	Recovered func()

	mu sync.Mutex
	// accepted counts the items that were taken, and givenUp those that were given up
	// after the whole time since the last of them.
	accepted, givenUp int
	// downSince is when the second item was given up; zero once one was taken since.
	downSince time.Time
	// interval is the time between two attempts, since the sink has asked for less, at
	// slowedAt the last time. The next attempt may start at next.
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
	// The bounds of the interval, and how often it gets longer.
	shortestInterval = 5 * time.Millisecond
	firstInterval    = 20 * time.Millisecond
	longestInterval  = time.Second
	slowDownEvery    = 100 * time.Millisecond
)

// Try makes attempts until the sink takes the item. once allows one attempt, but for a
// sink that asks for less: for an item that has failed in an earlier invocation, and
// waits for its due mark. It leaves time for what follows an attempt. Errors:
// ErrRefused, ErrLater.
func (s *Sink) Try(ctx context.Context, once bool, attempt func(context.Context) error) error {
	pauses, unanswered := pauses{}, 0
	first := s.acceptances()
	seen := first
	for {
		begin := s.now()
		if err := s.turn(ctx); err != nil {
			return err
		}
		err := attempt(ctx)
		if err == nil {
			s.accept()
			return nil
		}
		if errors.Is(err, ErrRefused) {
			return err
		}
		pauses.spent += s.now().Sub(begin)
		accepted, down := s.acceptances(), s.IsDown()
		limit, last := holdTime, once || down
		switch {
		case errors.Is(err, ErrThrottled):
			s.slowDown()
			last = down
		case errors.Is(err, ErrNoAnswer):
			unanswered++
		case errors.Is(err, ErrItem) || accepted > seen:
			limit = itemTime
		}
		pause, ok := pauses.next(limit)
		if errors.Is(err, ErrNoAnswer) {
			pause, ok = max(pause, pauseWithoutAnswer), ok && unanswered < attemptsWithoutAnswer
		}
		if !ok && !last && limit == holdTime && accepted == first {
			s.giveUp()
		}
		if last || !ok || ctx.Err() != nil || !HasTime(ctx, pause+reserve) {
			return fmt.Errorf("%w: %w", ErrLater, err)
		}
		seen = accepted
		s.Pause(ctx, pause)
	}
}

func (s *Sink) now() time.Time {
	if s.Now == nil {
		return time.Now()
	}
	return s.Now()
}

// IsDown reports whether the sink takes nothing at the moment.
func (s *Sink) IsDown() bool {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.downSince.IsZero() && now.Sub(s.downSince) < downTime
}

// turn waits until the next attempt may start: for holdTime at most, and not when there
// would be no time left for it.
func (s *Sink) turn(ctx context.Context) error {
	for begin := s.now(); ; {
		wait := s.takeTurn()
		if wait == 0 {
			return nil
		}
		if s.now().Sub(begin) > holdTime || ctx.Err() != nil || !HasTime(ctx, wait+reserve) {
			return fmt.Errorf("%w: there are too many at once", ErrLater)
		}
		s.Pause(ctx, wait)
	}
}

// takeTurn takes the next turn, or returns how long it is until then.
func (s *Sink) takeTurn() (wait time.Duration) {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	// Each second without being asked for less halves the interval.
	for s.interval > 0 && now.Sub(s.slowedAt) > time.Second {
		s.interval, s.slowedAt = s.interval/2, s.slowedAt.Add(time.Second)
	}
	if s.interval < shortestInterval {
		s.interval = 0
		return 0
	}
	if s.next.After(now) {
		return s.next.Sub(now)
	}
	s.next = now.Add(s.interval)
	return 0
}

// slowDown makes the interval half as long again. Items that are refused together do
// it once.
func (s *Sink) slowDown() {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.interval == 0 || now.Sub(s.slowedAt) > slowDownEvery {
		s.interval = min(max(3*s.interval/2, firstInterval), longestInterval)
		s.slowedAt = now
	}
}

// accept notes that an item was taken, and shortens the interval a little.
func (s *Sink) accept() {
	s.mu.Lock()
	wasDown := !s.downSince.IsZero()
	s.accepted++
	s.givenUp, s.downSince = 0, time.Time{}
	s.interval -= s.interval / 20
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

// giveUp notes that an item was given up after the whole time. One alone may be a bad
// item; with the second the sink is down.
func (s *Sink) giveUp() {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.givenUp++; s.givenUp > 1 {
		s.downSince = now
	}
}
