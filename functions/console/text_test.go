package main

import (
	"testing"
	"time"
)

// Programs read an instant as it decides, to the millisecond.
func TestISO(t *testing.T) {
	for _, tt := range []struct {
		nanosecond int
		want       string
	}{{0, "2030-05-06T10:00:00Z"}, {120e6, "2030-05-06T10:00:00.12Z"}, {999_999_999, "2030-05-06T10:00:00.999Z"}} {
		at := time.Date(2030, 5, 6, 12, 0, 0, tt.nanosecond, time.FixedZone("", 7200))
		if got := iso(at); got != tt.want {
			t.Errorf("%v is %s, want %s", at, got, tt.want)
		}
	}
}
