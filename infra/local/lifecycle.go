package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// stopTime bounds the stop of each part.
const stopTime = 2 * time.Second

// A part is one thing that a stack starts and stops.
type part struct {
	name      string
	startTime time.Duration // bounds the start; 0 for no bound
	// start returns how to stop the part, nil for nothing to do, with an error too.
	start func(ctx context.Context) (stopFunc, error)
}

// A stopFunc stops a part. It returns soon after ctx ends, and leaves nothing running.
type stopFunc func(ctx context.Context) error

// A lifecycle starts parts in order and stops them in the reverse order.
type lifecycle struct {
	names []string
	stops []stopFunc
}

// start starts the parts until one fails. The caller stops the lifecycle in any case.
func (l *lifecycle) start(ctx context.Context, parts []part) error {
	for _, p := range parts {
		within, cancel := context.WithCancel(ctx)
		if p.startTime > 0 {
			within, cancel = context.WithTimeout(ctx, p.startTime)
		}
		stop, err := p.start(within)
		cancel()
		if stop != nil {
			l.names, l.stops = append(l.names, p.name), append(l.stops, stop)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// stop stops the started parts, each within stopTime, and joins their errors.
func (l *lifecycle) stop() error {
	var errs []error
	for i, stop := range slices.Backward(l.stops) {
		ctx, cancel := context.WithTimeout(context.Background(), stopTime)
		if err := stop(ctx); err != nil {
			errs = append(errs, fmt.Errorf("%s does not stop: %w", l.names[i], err))
		}
		cancel()
	}
	return errors.Join(errs...)
}
