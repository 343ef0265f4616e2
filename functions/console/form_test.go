package main

import (
	"testing"
	"time"

	"agencyhub/shared/agency"
)

// Access ends with the last second of the chosen day, in the reader's zone.
func TestEndOfDay(t *testing.T) {
	for _, tt := range []struct{ date, zone, want string }{
		{"2030-01-31", "", "2030-01-31T23:59:59Z"},
		{"2030-01-31", "UTC", "2030-01-31T23:59:59Z"},
		{"2030-01-31", "Europe/Berlin", "2030-01-31T22:59:59Z"},
		{"2030-07-31", "Europe/Berlin", "2030-07-31T21:59:59Z"},
		{"2030-07-31", "America/Los_Angeles", "2030-08-01T06:59:59Z"},
		{"2030-07-31", "Pacific/Kiritimati", "2030-07-31T09:59:59Z"},
		{"2030-07-31", "Asia/Kathmandu", "2030-07-31T18:14:59Z"},
		// Clocks are set back: the day has 25 hours.
		{"2030-10-27", "Europe/Berlin", "2030-10-27T22:59:59Z"},
		{"2028-02-29", "Europe/Berlin", "2028-02-29T22:59:59Z"},
		{"2030-01-31", "Mars/Olympus", "2030-01-31T23:59:59Z"},
		{"2030-01-31", "../../etc/passwd", "2030-01-31T23:59:59Z"},
		{"2030-01-31", "Local", "2030-01-31T23:59:59Z"},
	} {
		got, err := endOfDay(tt.date, tt.zone)
		if err != nil || got.Format(time.RFC3339) != tt.want {
			t.Errorf("%s in %q ends %v (%v), want %s", tt.date, tt.zone, got, err, tt.want)
		}
	}
	if got, err := endOfDay("", "UTC"); got != nil || err != nil {
		t.Errorf("no date is %v, %v", got, err)
	}
	for _, date := range []string{"31.01.2030", "2030-02-30", "2030-01-31T12:00:00Z", "soon", "-1"} {
		if _, err := endOfDay(date, "UTC"); agency.CodeOf(err) != agency.Invalid {
			t.Errorf("%s: %v", date, err)
		}
	}
}
