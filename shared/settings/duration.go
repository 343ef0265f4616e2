package settings

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

const day = 24 * time.Hour

// duration returns a reader of a duration within bounds, both inclusive.
func duration(into *time.Duration, from, to time.Duration) func(json.RawMessage) error {
	return func(raw json.RawMessage) error {
		var text string
		err := decode(raw, &text)
		var d time.Duration
		if err == nil {
			d, err = parseDuration(text)
		}
		if err != nil || d < from || d > to {
			return fmt.Errorf("must be a duration such as \"90s\", \"5m\", \"12h\" or \"14d\", from %s to %s", format(from), format(to))
		}
		*into = d
		return nil
	}
}

// parseDuration reads a Go duration, which can begin with whole days: "14d", "1d12h".
func parseDuration(text string) (time.Duration, error) {
	days, rest, hasDays := strings.Cut(text, "d")
	if !hasDays {
		return time.ParseDuration(text)
	}
	n, err := strconv.ParseUint(days, 10, 16)
	if err != nil {
		return 0, err
	}
	d := time.Duration(n) * day
	if rest == "" {
		return d, nil
	}
	more, err := time.ParseDuration(rest)
	if err == nil && more < 0 {
		err = errors.New("negative")
	}
	return d + more, err
}

// format returns a duration as an operator would write it.
func format(d time.Duration) string {
	switch {
	case d%day == 0:
		return strconv.FormatInt(int64(d/day), 10) + "d"
	case d%time.Hour == 0:
		return strconv.FormatInt(int64(d/time.Hour), 10) + "h"
	default:
		return d.String()
	}
}
