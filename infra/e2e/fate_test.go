package e2e

import (
	"net/http"
	"strings"
	"testing"
)

// fates are what became of the emails to a person so far, by their kind.
func (s *stack) fates(t *testing.T, who *person) map[string]string {
	t.Helper()
	out := map[string]string{}
	for key, item := range s.still(t) {
		_, mail, _ := strings.Cut(key, " ")
		if kind, ok := strings.CutSuffix(mail, "#"+who.id()); isMail(key) && ok {
			_, rest, _ := strings.Cut(item, `"fate":"`)
			fate, _, _ := strings.Cut(rest, `"`)
			out[kind] = fate
		}
	}
	return out
}

// delivery is what the agency reads of its request.
func (o office) delivery(t *testing.T, addressee string) string {
	t.Helper()
	c := read[connection](t, o.ann.get(t, "/v1/agencies/"+o.id+"/connections/"+connectionID(addressee, o.id)).is(t, http.StatusOK))
	return value(c.Delivery)
}

// TestFate is "Every email knows its fate", with SES's mailbox simulator.
func TestFate(t *testing.T) {
	s := unlimited(t)
	o := newOffice(t, s, "Bright Agency", "fate.test")
	areas := levels{"pages": "edit"}
	fate := func(t *testing.T, who *person, kind, want string) {
		t.Helper()
		if got := s.fates(t, who)[kind]; got != want {
			t.Errorf("%s to %s: %s, want %s", kind, who.email, got, want)
		}
	}
	delivery := func(t *testing.T, addressee, want string) {
		t.Helper()
		eventually(t, "the request to "+addressee+" reads "+want, func() bool { return o.delivery(t, addressee) == want })
	}
	for local, as := range map[string]string{"bounce": "bounced", "complaint": "complained", "suppressed": "bounced"} {
		then(t, t.Run(local, func(t *testing.T) {
			who := s.person(t, local+"@luna.fate.test")
			luna := who.opens(t, "Luna Bakery")
			o.ann.asks(t, o.id, luna, areas)
			s.untilMark(t)
			fate(t, who, "requested", as)
			delivery(t, luna, map[string]string{"bounced": "failed", "complained": "sent"}[as])

			// The next email to that person is kept from them, and reads as sent.
			rival := s.person(t, "sam@"+local+".rival.fate.test")
			theirs := rival.opens(t, "Rival Offices")
			rival.invites(t, theirs, who, "admin", nil)
			s.told(t)
			fate(t, who, "person-added", "suppressed")
			o.ann.post(t, "/v1/agencies/"+o.id+"/connections/"+connectionID(luna, o.id)+"/withdraw", nil).is(t, http.StatusOK)
			o.ann.asks(t, o.id, luna, areas)
			s.told(t)
			delivery(t, luna, "sent")

			// Signing in lifts it: the mail goes out again, and SES has let go of the
			// address too, or else it would say that it suppresses it.
			me := who.get(t, "/v1/me").is(t, http.StatusOK)
			if !strings.Contains(string(me.Body), `"suppressed":"`+as+`"`) {
				t.Errorf("she is told %s", me.Body)
			}
			rival.delete(t, "/v1/accounts/"+theirs+"/team/"+who.id()).is(t, http.StatusOK)
			s.told(t, removed(who, rival, "Rival Offices"))
			fate(t, who, "person-removed", as)
		}))
	}
	then(t, t.Run("an answer from somebody on holiday is no bounce", func(t *testing.T) {
		who := s.person(t, "ooto@luna.fate.test")
		luna := who.opens(t, "Luna Bakery")
		o.ann.asks(t, o.id, luna, areas)
		s.untilMark(t)
		fate(t, who, "requested", "delivered")
		delivery(t, luna, "sent")
	}))
	then(t, t.Run("of two owners one is enough", func(t *testing.T) {
		who, other := s.person(t, "bounce+two@luna.fate.test"), s.person(t, "olga@luna.fate.test")
		luna := other.opens(t, "Luna Bakery")
		other.invites(t, luna, who, "owner", nil)
		s.untilMark(t)
		who.get(t, "/v1/me").is(t, http.StatusOK)
		o.ann.asks(t, o.id, luna, areas)
		s.untilMark(t)
		fate(t, who, "requested", "bounced")
		fate(t, other, "requested", "delivered")
		delivery(t, luna, "sent")
	}))
	then(t, t.Run("a request by email", func(t *testing.T) {
		who := s.person(t, "bounce@simulator.amazonses.com")
		o.ann.asksByEmail(t, o.id, who.email, areas)
		s.untilMark(t)
		fate(t, who, "requested-person", "bounced")
		delivery(t, who.id(), "failed")
	}))
}
