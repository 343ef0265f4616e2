package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"agencyhub/shared/agency"
	"agencyhub/shared/service"
)

// The longest legal form of each page fits, with half of the bound to spare.
func TestLongestForms(t *testing.T) {
	w := newWorld(t)
	const percent, id = len("%F0%9F%99%82"), len("acct_00000000000000000000000000")
	longest := map[string]int{
		"name": agency.MaxTypedName * percent, "message": agency.MaxTypedMessage * percent, "confirm": agency.MaxTypedName * percent,
		"email": agency.MaxEmail * 3, "addressee": agency.MaxEmail * 3, "key": 128, "zone": 64, "until": len("2030-01-31"),
		"client": maxListed * (len("client=&") + id), "others": service.MaxAssigned * (id + len("%0D%0A")),
		"account": id, "agency": id, "member": id, "plan": 64, "role": 16, "do": 16, "request": 20, "block": 3, "limited": 3,
		"invitation": 3, "connection": 2 * id,
	}
	for path := range w.fields {
		size := 0
		for _, name := range w.fieldNames(path) {
			length, known := longest[name]
			if strings.HasPrefix(name, "area-") {
				length, known = len("edit"), true
			}
			if !known {
				t.Errorf("%s has the field %s, whose length this test does not know", path, name)
			}
			size += len(name) + len("=&") + length
		}
		if size > maxForm/2 {
			t.Errorf("the longest form of %s has %d bytes; %d are taken", path, size, maxForm)
		}
	}
	w.as(annAt).post("/agencies/"+string(w.studio)+"/add/connect", "key", strings.Repeat("k", 128), "addressee", "new@client.test", "area-pages", "view",
		"message", strings.Repeat("🙂", agency.MaxMessage)).wantText(t, http.StatusSeeOther)
}

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
