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
// again for up to 12 s, the time that everybody waits anyway; an item that fails
// while others are taken is tried again for 2 s only, so that it holds nobody up. All
// invocations of a process share it.
type Sink struct {
	// Pause waits, or until the context ends.
	Pause func(context.Context, time.Duration)

	mu       sync.Mutex
	accepted int
	// down: an item was tried for the whole time, and the sink has taken none since.
	down bool
}

// The errors of an attempt. Any other error is transient.
var (
	// ErrRefused: the sink will never take this item.
	ErrRefused = errors.New("it is refused permanently")
	// ErrTimeout: the sink did not answer in time.
	ErrTimeout = errors.New("there was no answer in time")
	// ErrItem: the sink answered, and failed this item alone.
	ErrItem = errors.New("this item failed")
)

// attemptsWithoutAnswer is how often an item is tried that gets no answer. The sink
// may have been away for a moment, but each attempt may also have been accepted.
const attemptsWithoutAnswer = 2

// Try makes attempts until the sink takes the item. once allows one attempt: for an
// item that has failed in an earlier invocation, and waits for its due mark. Errors:
// ErrRefused, ErrLater.
func (s *Sink) Try(ctx context.Context, once bool, attempt func(context.Context) error) error {
	pauses := pauses{}
	before, _ := s.state()
	for attempts := 1; ; attempts++ {
		err := attempt(ctx)
		if err == nil {
			s.accept()
			return nil
		}
		if errors.Is(err, ErrRefused) {
			return err
		}
		accepted, down := s.state()
		limit := holdTime
		if accepted > before || errors.Is(err, ErrItem) {
			limit = itemTime
		}
		pause, ok := pauses.next(limit)
		if errors.Is(err, ErrTimeout) && attempts == attemptsWithoutAnswer {
			ok = false
		}
		if once || down || !ok || ctx.Err() != nil || !HasTime(ctx, pause+reserve) {
			if !ok && limit == holdTime {
				s.setDown()
			}
			return fmt.Errorf("%w: %w", ErrLater, err)
		}
		s.Pause(ctx, pause)
	}
}

// IsDown reports whether the sink takes nothing at the moment.
func (s *Sink) IsDown() bool {
	_, down := s.state()
	return down
}

func (s *Sink) accept() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.accepted++
	s.down = false
}

func (s *Sink) state() (accepted int, down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.accepted, s.down
}

func (s *Sink) setDown() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = true
}
