package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"agencyhub/shared/agency"
	"agencyhub/shared/outbox"
	"agencyhub/shared/service"
	"agencyhub/shared/table"
	"agencyhub/shared/testbed"
)

// onBus returns the types that the bus has taken.
func (s *stage) onBus() []string {
	var types []string
	for _, e := range s.bus.Entries() {
		types = append(types, e.DetailType)
	}
	return types
}

func TestWhatTheBusIsGiven(t *testing.T) {
	s := newStage(t)
	bakery, studio, id := s.requested(t)
	key := s.fresh(t, bakery)[0]
	s.deliver(t, key, key)
	s.deliver(t, key)
	want := []string{"account.opened", "account.opened", "agency.switched_on", "connection.requested"}
	if diff := cmp.Diff(want, s.onBus()); diff != "" {
		t.Fatal(diff)
	}
	got := s.bus.Entries()[3]
	if got.Source != "agencyhub" || got.EventBusName != "hub-bus" || int64(got.Time) != s.now.Unix() {
		t.Errorf("%+v", got)
	}
	var detail map[string]any
	if err := json.Unmarshal([]byte(got.Detail), &detail); err != nil {
		t.Fatal(err)
	}
	p := s.profile(t, agency.AgencyAt(bakery, studio))
	if diff := cmp.Diff(map[string]any{
		"version": 1.0, "id": string(key.ID), "type": "connection.requested", "at": s.now.Format(time.RFC3339),
		"account": string(bakery), "person": nil, "agency": string(studio), "connection": string(id), "member": string(studio),
		"actor": string(annActs.ID()), "as": nil, "client": nil, "ownership": "client", "payer": "client", "request": 1.0, "number": 1.0, "muted": false,
		"was": map[string]any{},
		"now": map[string]any{
			"status": "pending", "expires": p.Request.ExpiresAt.Format(time.RFC3339),
			"areas": map[string]any{"pages": "edit", "funnels": "edit", "mail": "view", "contacts": "none", "analytics": "view"},
		},
	}, detail); diff != "" {
		t.Error(diff)
	}
	for _, secret := range []string{"@", message, "issuer.test"} {
		if strings.Contains(got.Detail, secret) {
			t.Errorf("the entry holds %q: %s", secret, got.Detail)
		}
	}
}

// What the bus does not take is tried again and delays no email, and no email delays
// the bus.
func TestTheBusAndTheEmailsDoNotWaitForEachOther(t *testing.T) {
	for name, refuse := range map[string]func(testbed.Entry) (int, string){
		"an entry that failed": func(testbed.Entry) (int, string) { return http.StatusOK, "ThrottlingException" },
		"a call that failed":   func(testbed.Entry) (int, string) { return http.StatusInternalServerError, "" },
		"no permission":        func(testbed.Entry) (int, string) { return http.StatusBadRequest, "" },
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			bakery, studio, id := s.requested(t)
			must[agency.Profile](t)(s.service.AcceptRequest(t.Context(), agency.Caller{Actor: petraActs}, bakery, studio, service.Grant{Request: 1}))
			keys := s.fresh(t, bakery)
			before := s.bus.Calls()
			s.bus.Refuse = refuse
			s.deliver(t, keys...)
			// After a failure the bus is not called for the rest of the batch.
			if calls := s.bus.Calls() - before; calls != 1 {
				t.Errorf("%d calls", calls)
			}
			s.mailed(t, "ann@studio.test: Petra’s Bakery has accepted your request", "petra@bakery.test: Bright Studio was let into Petra’s Bakery")
			s.delivery(t, id, agency.Sent)
			s.told(t, false, keys[0], keys[1])
			if !strings.Contains(s.metrics.String(), `"BusFailed":[1]`) {
				t.Errorf("metrics: %s", s.metrics)
			}

			s.bus.Refuse = nil
			s.deliver(t, keys...)
			if diff := cmp.Diff([]string{"connection.requested", "connection.accepted"}, s.onBus()[3:]); diff != "" {
				t.Error(diff)
			}
			s.told(t, true, keys[0], keys[1])
			if n := len(s.inbox.Emails(t)); n != 2 {
				t.Errorf("%d emails", n)
			}
		})
	}
	t.Run("SES is down", func(t *testing.T) {
		s := newStage(t)
		bakery, _, _ := s.requested(t)
		key := s.fresh(t, bakery)[0]
		ses := &moodySES{mood: func(string) (int, string, string) { return 503, "ServiceUnavailable", "" }}
		n := s.notifier(t, ses.start(t))
		for range 2 {
			s.handle(t, n, batch(key), "")
		}
		if diff := cmp.Diff([]string{"connection.requested"}, s.onBus()[3:]); diff != "" {
			t.Error(diff)
		}
		s.told(t, false, key)
	})
}

// An invocation that dies after the bus took the entry and before noting it makes it
// be put a second time, with the same id, once the claim has run out.
func TestARepeatHasTheSameID(t *testing.T) {
	s := newStage(t)
	bakery, _, _ := s.requested(t)
	key := s.fresh(t, bakery)[0]
	s.faults.finish = func(m outbox.MailKey) error {
		if m == outbox.BusKey(key.ID) {
			return errFault
		}
		return nil
	}
	s.handle(t, s.n, batch(key), "s1")
	s.faults.finish = nil
	s.deliver(t, key) // the claim still holds
	s.told(t, false, key)
	s.now = s.now.Add(lease)
	s.deliver(t, key)
	s.told(t, true, key)
	entries := s.bus.Entries()[3:]
	if len(entries) != 2 || entries[0] != entries[1] {
		t.Errorf("%v", entries)
	}
	s.mailed(t, theRequest)
}

// An event that nobody on the account's side may learn of says so.
func TestMutedEventsSaySo(t *testing.T) {
	s := newStage(t)
	bakery, studio, _ := s.requested(t)
	must[agency.Profile](t)(s.service.DenyRequest(t.Context(), agency.Caller{Actor: petraActs}, bakery, studio, true))
	s.deliver(t, s.fresh(t, bakery)...)
	s.ask(t, annActs, studio, service.ConnectionRequest{OwnerEmail: petraActs.Email})
	var keys []table.EventKey
	for _, key := range s.waiting(t) {
		if key.Addressee == agency.Party(petraActs.ID()) {
			keys = append(keys, key)
		}
	}
	before := len(s.inbox.Emails(t))
	s.deliver(t, keys...)
	entries := s.bus.Entries()
	last := entries[len(entries)-1]
	if len(keys) != 1 || last.DetailType != "connection.requested" || !strings.Contains(last.Detail, `"muted":true`) {
		t.Errorf("%d events; %s", len(keys), last.Detail)
	}
	if n := len(s.inbox.Emails(t)); n != before {
		t.Errorf("%d emails to the person who blocked the agency", n-before)
	}
}
