package main

import (
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"agencyhub/shared/agency"
)

// marker is HTML that no email may have as such.
const marker = "<x-marker onload=1>"

// Whatever is in a name, a message or an address, each email of an event is written: its
// subject is one line, and no text of a person is HTML.
func FuzzEmail(f *testing.F) {
	of, err := parsed()
	if err != nil {
		f.Fatal(err)
	}
	var types []agency.EventType
	for kind := range emailRules {
		types = append(types, kind)
	}
	slices.Sort(types)
	f.Add(3, byte(0), byte(1), "Bakery", "Hello", "ann@studio.test", int64(0), int64(0))
	f.Fuzz(func(t *testing.T, n int, was, now byte, name, message, address string, until, expires int64) {
		kind := types[uint(n)%uint(len(types))]
		statuses := agency.Statuses
		c := connection(kind, statuses[int(was)%len(statuses)], statuses[int(now)%len(statuses)])
		if n%3 == 0 && !strings.HasPrefix(string(kind), "account.") {
			c = byEmail(kind, c.event.Was.Status, c.event.Now.Status)
		}
		c.account.Name, c.agency.Name, c.profile.Name, c.event.Was.Name = name+marker, marker+name, name+marker, name
		c.event.Now.Message, c.event.Was.Message, c.profile.Request.Message = message+marker, message, marker+message
		c.actor, c.profile.Email = address, address
		c.event.Now.Until, c.event.Was.Until = time.Unix(until%(1<<36), 0).UTC(), time.Time{}
		c.event.Now.Expires = time.Unix(expires%(1<<36), 0).UTC()
		c.event.Actor = ann
		d := testDeployment(t)
		for _, m := range emailsFor(c) {
			e, err := of.render(m.kind, d.emailData(m.kind, m.to.ID, c))
			if err != nil {
				t.Fatalf("%s: %v", m.kind, err)
			}
			if strings.Contains(e.HTML, "<x-marker") {
				t.Errorf("%s: the HTML has a person's tag", m.kind)
			}
			if e.Subject == "" || strings.ContainsAny(e.Subject, "\r\n\x00") || !utf8.ValidString(e.Subject) && utf8.ValidString(name) {
				t.Errorf("%s: the subject is %q", m.kind, e.Subject)
			}
			if strings.Contains(e.Subject, "=?") {
				t.Errorf("%s: the subject %q has an encoded word", m.kind, e.Subject)
			}
		}
	})
}
