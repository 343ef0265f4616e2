package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"agencyhub/shared/agency"
)

// maxDetail bounds an entry on the bus, in bytes.
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevents.html
const maxDetail = 256 << 10

// Whatever an event has, its entry is written, reads as JSON, and has neither the message
// nor anything else that people typed but names.
func FuzzEntry(f *testing.F) {
	f.Add("connection.accepted", "acct_x", "acct_y", "member", "active", "Shop", "Hello", "pages", "edit", int64(0), true)
	f.Fuzz(func(t *testing.T, kind, addressee, of, member, status, name, message, area, level string, until int64, limited bool) {
		const secret = "a-message-of-a-person"
		at := time.Unix(until%(1<<36), 0).UTC()
		e := agency.Event{
			ID: "evt_01arz3ndektsv4rrffq69g5fav", Type: agency.EventType(kind), At: at, Addressee: agency.Party(addressee), Agency: agency.AccountID(of), Member: agency.Party(member),
			Now: agency.State{Name: name, Status: agency.Status(status), Areas: agency.Areas{area: agency.Level(level)}, Until: at, Message: message + secret},
		}
		e.Was = e.Now
		if limited {
			e.Now.Clients = []agency.AccountID{}
		}
		detail, err := json.Marshal(newEntry(e))
		if err != nil {
			t.Fatal(err)
		}
		if len(detail) > maxDetail && len(kind+addressee+of+member+status+name+area+level) < 8<<10 {
			t.Errorf("%d bytes", len(detail))
		}
		if strings.Contains(string(detail), secret) {
			t.Errorf("the entry has the message: %s", detail)
		}
		var back struct {
			Version         int
			Account, Person *string
			Now             struct {
				Clients *[]string
				Message any
			}
		}
		if err := json.Unmarshal(detail, &back); err != nil || back.Version != 1 || back.Account != nil && back.Person != nil || back.Now.Message != nil {
			t.Errorf("%s: %v", detail, err)
		}
		if (back.Now.Clients != nil) != limited {
			t.Errorf("the limit to no client is %v", back.Now.Clients)
		}
	})
}
