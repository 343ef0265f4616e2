package main

import (
	"net/http"
	"testing"
	"time"

	"agencyhub/shared/agency"
	"agencyhub/shared/outbox"
)

// failing returns a notifier whose SES fails emails to one address with a status.
func (s *stage) failing(t *testing.T, address string, status int) *notifier {
	t.Helper()
	ses := &moodySES{mood: func(to string) (int, string, string) {
		if to == address {
			return status, "ServiceUnavailable", ""
		}
		return http.StatusOK, "", ""
	}}
	return s.notifier(t, ses.start(t))
}

// No email waits for ever because its recipient is none any more, and the agency reads "failed" once
// all who were mailed bounced.
func TestAnEmailOfSomebodyWhoLeftIsDropped(t *testing.T) {
	s := newStage(t)
	bakery, studio, id := s.requested(t)
	s.now = s.now.Add(time.Minute)
	tom := s.addOwner(t, bakery, "tom@bakery.test")
	key := s.waiting(t)[0]
	s.handle(t, s.failing(t, "tom@bakery.test", http.StatusServiceUnavailable), batch(key), "")
	s.told(t, false, key)
	if f := s.fate(t, key.ID, "requested", tom); f != outbox.Waiting {
		t.Errorf("the fate is %s", f)
	}
	must[agency.Profile](t)(s.service.RemoveMember(t.Context(), agency.Caller{Actor: petraActs}, bakery, agency.Party(tom), false))
	s.deliver(t, key)
	s.told(t, true, key)
	if f := s.fate(t, key.ID, "requested", tom); f != outbox.Dropped {
		t.Errorf("the fate is %s", f)
	}
	s.reached(t, agency.AgencyAt(bakery, studio), agency.Sent, petraActs.ID())
	if _, err := s.store.AdvanceFate(t.Context(), outbox.MailKey{Event: key.ID, Kind: "requested", Recipient: petraActs.ID()}, outbox.Bounced, "m-1", s.now); err != nil {
		t.Fatal(err)
	}
	s.deliver(t, key) // its record comes again, as delivery would have it
	s.delivery(t, id, agency.DeliveryFailed)
}

// Another invocation is at the email of somebody who left: it is not dropped under its hands.
func TestAnEmailUnderWayIsNotDropped(t *testing.T) {
	s := newStage(t)
	s.requested(t)
	key := s.waiting(t)[0]
	m := outbox.MailKey{Event: key.ID, Kind: "requested", Recipient: agency.NewPersonID("gone@bakery.test")}
	if _, err := s.store.ClaimMail(t.Context(), m, outbox.NewOwner(), s.now, lease); err != nil {
		t.Fatal(err)
	}
	s.deliver(t, key)
	s.told(t, false, key)
	s.now = s.now.Add(lease)
	s.deliver(t, key)
	s.told(t, true, key)
	// Its sender died without a word: SES may have it.
	if f := s.fate(t, key.ID, "requested", m.Recipient); f != outbox.Unconfirmed {
		t.Errorf("the fate is %s", f)
	}
}

// An email whose outcome is unknown counts as sent: those who may have it are told what follows.
func TestAnUnknownOutcomeIsNotUnsent(t *testing.T) {
	for status, want := range map[int]outbox.Fate{
		http.StatusInternalServerError: outbox.Unconfirmed, http.StatusBadGateway: outbox.Unconfirmed,
		http.StatusServiceUnavailable: outbox.Obsolete, http.StatusTooManyRequests: outbox.Obsolete,
	} {
		s := newStage(t)
		bakery, studio, id := s.requested(t)
		key := s.waiting(t)[0]
		s.handle(t, s.failing(t, petraActs.Email, status), batch(key), "")
		s.told(t, false, key)
		must[agency.Profile](t)(s.service.WithdrawRequest(t.Context(), annActs, studio, id))
		var follows []string
		var reached []agency.PersonID
		if want == outbox.Unconfirmed {
			follows, reached = []string{"petra@bakery.test: Bright Studio has withdrawn its request"}, []agency.PersonID{petraActs.ID()}
		}
		s.processAll(t, follows...)
		if f := s.fate(t, key.ID, "requested", petraActs.ID()); f != want {
			t.Errorf("%d: the fate is %s, want %s", status, f, want)
		}
		s.reached(t, agency.AgencyAt(bakery, studio), agency.Sent, reached...)
	}
}
