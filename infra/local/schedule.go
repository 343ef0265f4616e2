package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A recurrence is a schedule expression of EventBridge Scheduler, to the
// minute, in UTC: rate(…) or cron(…).
type recurrence struct {
	every  time.Duration // of a rate; 0 for a cron
	fields [6]map[int]bool
}

var cronBounds = [6][2]int{{0, 59}, {0, 23}, {1, 31}, {1, 12}, {1, 7}, {1970, 2199}}

func parseRecurrence(expression string) (recurrence, error) {
	kind, rest, ok := strings.Cut(strings.TrimSuffix(expression, ")"), "(")
	words := strings.Fields(rest)
	switch {
	case ok && kind == "rate" && len(words) == 2:
		n, err := strconv.Atoi(words[0])
		unit := map[string]time.Duration{"minute": time.Minute, "hour": time.Hour, "day": 24 * time.Hour}[strings.TrimSuffix(words[1], "s")]
		if err == nil && n > 0 && unit > 0 {
			return recurrence{every: time.Duration(n) * unit}, nil
		}
	case ok && kind == "cron" && len(words) == 6:
		var r recurrence
		for i, word := range words {
			set, err := cronField(word, cronBounds[i])
			if err != nil {
				return recurrence{}, fmt.Errorf("%q: %w", expression, err)
			}
			r.fields[i] = set
		}
		return r, nil
	}
	return recurrence{}, fmt.Errorf("%q is not understood", expression)
}

// cronField reads numbers, lists, ranges, steps, * and ?; names and the letters
// L, W and # are refused.
func cronField(word string, bounds [2]int) (map[int]bool, error) {
	set := map[int]bool{}
	for _, part := range strings.Split(word, ",") {
		span, stepText, stepped := strings.Cut(part, "/")
		first, last, step := bounds[0], bounds[1], 1
		var err error
		if stepped {
			if step, err = strconv.Atoi(stepText); err != nil || step < 1 {
				return nil, fmt.Errorf("%q is not understood", part)
			}
		}
		if span != "*" && span != "?" {
			from, to, ranged := strings.Cut(span, "-")
			if first, err = strconv.Atoi(from); err != nil {
				return nil, fmt.Errorf("%q is not understood", part)
			}
			if ranged {
				if last, err = strconv.Atoi(to); err != nil {
					return nil, fmt.Errorf("%q is not understood", part)
				}
			} else if !stepped {
				last = first
			}
		}
		if first < bounds[0] || last > bounds[1] || first > last {
			return nil, fmt.Errorf("%q is out of bounds", part)
		}
		for v := first; v <= last; v += step {
			set[v] = true
		}
	}
	return set, nil
}

// next is the first moment after last at which to run; the zero time when there is none.
func (r recurrence) next(last time.Time) time.Time {
	if r.every > 0 {
		return last.Add(r.every)
	}
	// Whole days that do not match are skipped, so that 5 years are few steps.
	t := last.UTC().Truncate(time.Minute).Add(time.Minute)
	for end := t.AddDate(5, 0, 0); t.Before(end); {
		day := r.fields[2][t.Day()] && r.fields[3][int(t.Month())] && r.fields[4][int(t.Weekday())+1] && r.fields[5][t.Year()]
		switch {
		case !day:
			t = t.Truncate(24*time.Hour).AddDate(0, 0, 1)
		case r.fields[0][t.Minute()] && r.fields[1][t.Hour()]:
			return t
		default:
			t = t.Add(time.Minute)
		}
	}
	return time.Time{}
}

// A scheduler stands for EventBridge Scheduler. It keeps when each schedule ran
// last, so that one which fell due while nothing ran is made up for once.
type scheduler struct {
	path      string // of its state
	schedules []schedule
	invoke    func(ctx context.Context, function string, payload []byte) ([]byte, error)
	now       func() time.Time
	logf      func(format string, args ...any)
}

// run runs the schedules on time until ctx ends.
func (s *scheduler) run(ctx context.Context) error {
	last := map[string]time.Time{}
	switch b, err := os.ReadFile(s.path); {
	case err == nil:
		if err := json.Unmarshal(b, &last); err != nil {
			return fmt.Errorf("%s: %w", s.path, err)
		}
	case !os.IsNotExist(err):
		return err
	}
	for _, sch := range s.schedules {
		if last[sch.name].IsZero() {
			last[sch.name] = s.now()
		}
	}
	for {
		var due time.Time
		for _, sch := range s.schedules {
			if next := sch.when.next(last[sch.name]); !next.IsZero() && (due.IsZero() || next.Before(due)) {
				due = next
			}
		}
		if due.IsZero() {
			return nil
		}
		timer := time.NewTimer(due.Sub(s.now()))
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
		now := s.now()
		for _, sch := range s.schedules {
			next := sch.when.next(last[sch.name])
			if next.IsZero() || next.After(now) {
				continue
			}
			last[sch.name] = now
			go func() {
				if _, err := s.fire(context.WithoutCancel(ctx), sch); err != nil {
					s.logf("the scheduled run of %s failed: %v", sch.function, err)
				}
			}()
		}
		if err := s.keep(last); err != nil {
			return err
		}
	}
}

func (s *scheduler) keep(last map[string]time.Time) error {
	b, err := json.Marshal(last)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(s.path), 0o755); err != nil {
		return err
	}
	return writeFile(s.path, b)
}

// fire runs a schedule now and returns the function's answer.
func (s *scheduler) fire(ctx context.Context, sch schedule) ([]byte, error) {
	input := sch.input
	if input == nil {
		var err error
		input, err = json.Marshal(map[string]any{
			"version": "0", "id": newID(), "detail-type": "Scheduled Event", "source": "aws.scheduler",
			"account": accountID, "time": s.now().UTC().Format(time.RFC3339), "region": region,
			"resources": []string{fmt.Sprintf("arn:aws:scheduler:%s:%s:schedule/default/%s", region, accountID, sch.name)},
			"detail":    "{}",
		})
		if err != nil {
			return nil, err
		}
	}
	return s.invoke(ctx, sch.function, input)
}

// byFunction finds the schedule of the function whose folder is named.
func (s *scheduler) byFunction(folder string) (schedule, bool) {
	i := slices.IndexFunc(s.schedules, func(sch schedule) bool {
		return (&function{id: sch.function}).folder() == folder
	})
	if i < 0 {
		return schedule{}, false
	}
	return s.schedules[i], true
}
