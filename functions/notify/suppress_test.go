package main

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"agencyhub/shared/agency"
	"agencyhub/shared/outbox"
	"agencyhub/shared/service"
	"agencyhub/shared/table"
)

// fate returns the fate of an email.
func (s *stage) fate(t *testing.T, e agency.EventID, kind string, who agency.PersonID) outbox.Fate {
	t.Helper()
	for _, m := range must[[]outbox.Mail](t)(s.store.Mails(t.Context(), e)) {
		if m.Kind == kind && m.Recipient == who {
			return m.Fate
		}
	}
	return ""
}

// A person whose address bounced or who complained is not mailed until they sign in.
// The others of the same event are, and the agency can't tell.
func TestASuppressedPersonIsNotMailed(t *testing.T) {
	for _, why := range []agency.SuppressionReason{agency.AddressBounced, agency.AddressComplained} {
		t.Run(string(why), func(t *testing.T) {
			s := newStage(t)
			ses := &moodySES{mood: func(string) (int, string, string) { return 200, "", "" }}
			n := s.notifier(t, ses.start(t))
			bakery, studio, id := s.requested(t)
			must[bool](t)(s.store.Suppress(t.Context(), petraActs.ID(), why, s.now))
			handle := func() table.EventKey {
				t.Helper()
				keys := s.fresh(t, bakery)
				s.handle(t, n, batch(keys...), "")
				s.told(t, true, keys[0])
				return keys[0]
			}
			key := handle()
			if f := s.fate(t, key.ID, "requested", petraActs.ID()); f != outbox.Suppressed || len(ses.received) != 0 {
				t.Errorf("%s, %d emails", f, len(ses.received))
			}
			s.delivery(t, id, notFailed)
			if !strings.Contains(s.metrics.String(), `"Fate":"suppressed","Mails":[1]`) {
				t.Errorf("metrics: %s", s.metrics)
			}

			// She signs in: her address is taken off SES's list, once.
			s.now = s.now.Add(time.Hour)
			must[agency.Person](t)(s.service.Me(t.Context(), petraActs))
			must[agency.Profile](t)(s.service.AcceptRequest(t.Context(), agency.Caller{Actor: petraActs}, bakery, studio, service.Grant{Request: 1}))
			key = handle()
			if f := s.fate(t, key.ID, "accepted-client", petraActs.ID()); f != outbox.Sent {
				t.Error(f)
			}
			must[agency.Profile](t)(s.service.RemoveMember(t.Context(), agency.Caller{Actor: petraActs}, bakery, agency.Party(studio), false))
			handle()
			if diff := cmp.Diff([]string{"/v2/email/suppression/addresses/petra@bakery.test"}, ses.freed); diff != "" {
				t.Error(diff)
			}
			var to []string
			for _, m := range ses.received {
				to = append(to, m.Destination.ToAddresses...)
			}
			slices.Sort(to)
			if diff := cmp.Diff([]string{"ann@studio.test", "ann@studio.test", "petra@bakery.test", "petra@bakery.test"}, to); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// As long as SES does not take the address off its list, the email waits.
func TestSESMustLiftItToo(t *testing.T) {
	s := newStage(t)
	ses := &moodySES{mood: func(string) (int, string, string) { return 200, "", "" }}
	var lines strings.Builder
	logged(t, &lines)
	n := s.notifier(t, ses.start(t))
	bakery, _, _ := s.requested(t)
	must[bool](t)(s.store.Suppress(t.Context(), petraActs.ID(), agency.AddressBounced, s.now))
	s.now = s.now.Add(time.Hour)
	must[agency.Person](t)(s.service.Me(t.Context(), petraActs))
	key := s.fresh(t, bakery)[0]
	for _, answer := range []struct {
		status int
		kind   string
		sent   int
	}{{http.StatusTooManyRequests, "TooManyRequestsException", 0}, {http.StatusForbidden, "AccessDeniedException", 0}, {http.StatusNotFound, "NotFoundException", 1}} {
		ses.free = func() (int, string) { return answer.status, answer.kind }
		s.handle(t, n, batch(key), "")
		s.told(t, answer.sent == 1, key)
		if len(ses.received) != answer.sent {
			t.Errorf("%s: %d emails", answer.kind, len(ses.received))
		}
	}
	if strings.Contains(lines.String(), "petra") {
		t.Errorf("the log holds an address: %s", lines.String())
	}
}

// Nor may an error of the line to SES, which names the call's address, reach the log.
func TestAnUnreachableSESDoesNotNameTheAddress(t *testing.T) {
	s := newStage(t)
	s.n.mailer.ses = closedSES(t)
	if err := s.n.mailer.unsuppress(t.Context(), "petra@bakery.test"); !errors.Is(err, errUnreachable) || strings.Contains(err.Error(), "petra") {
		t.Error(err)
	}
}

// bounceFirst makes each email bounce before its own fate is saved.
func (s *stage) bounceFirst(t *testing.T) {
	t.Helper()
	s.faults.finish = func(m outbox.MailKey) error {
		if m.Recipient == "" {
			return nil
		}
		_, err := s.store.AdvanceFate(t.Context(), m, outbox.Bounced, "ses", s.now)
		return err
	}
}

// A request may bounce before all its emails are done.
func TestABounceThatComesFirst(t *testing.T) {
	s := newStage(t)
	bakery, _, id := s.requested(t)
	key := s.fresh(t, bakery)[0]
	s.bounceFirst(t)
	s.deliver(t, key)
	if f := s.fate(t, key.ID, "requested", petraActs.ID()); f != outbox.Bounced {
		t.Error(f)
	}
	s.delivery(t, id, agency.DeliveryFailed)
	s.told(t, true, key)
}

// What fails after the event is marked as done is done when its record comes again.
// Otherwise the request would read "sent" forever.
func TestABounceThatComesFirstIsNotLost(t *testing.T) {
	s := newStage(t)
	bakery, _, id := s.requested(t)
	key := s.fresh(t, bakery)[0]
	s.bounceFirst(t)
	s.faults.mails = errFault
	s.handle(t, s.n, batch(key), "s1")
	s.faults.mails = nil
	s.deliver(t, key)
	s.delivery(t, id, agency.DeliveryFailed)
}
