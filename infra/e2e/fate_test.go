package e2e

import (
	"net/http"
	"strings"
	"testing"
)

// fates returns the fate of each email to a person, by the email's kind.
func (s *stack) fates(t *testing.T, who *person) map[string]string {
	t.Helper()
	out := map[string]string{}
	for key, item := range s.settled(t) {
		_, mail, _ := strings.Cut(key, " ")
		if kind, ok := strings.CutSuffix(mail, "#"+who.id()); isEmail(key) && ok {
			_, rest, _ := strings.Cut(item, `"fate":"`)
			fate, _, _ := strings.Cut(rest, `"`)
			out[kind] = fate
		}
	}
	return out
}

// delivery returns what the agency reads of its request's email.
func (s agencyStaff) delivery(t *testing.T, addressee string) string {
	t.Helper()
	c := read[connection](t, s.ann.get(t, s.agencyPath+"/connections/"+connectionID(addressee, s.agencyID)).is(t, http.StatusOK))
	return value(c.Delivery)
}

// invitationDelivery returns what an account reads of its invitation's email.
func invitationDelivery(t *testing.T, by *person, account string, who *person) string {
	t.Helper()
	for _, m := range read[list[member]](t, by.get(t, "/v1/accounts/"+account+"/team").is(t, http.StatusOK)).Items {
		if m.ID == who.id() {
			return value(m.Delivery)
		}
	}
	t.Fatalf("%s is not in the team", who.email)
	return ""
}

// TestFate tests the fates of emails, with the addresses of SES's mailbox simulator.
func TestFate(t *testing.T) {
	s := newAgency(t, unlimited(t), "Bright Agency", "fate.test")
	areas := levels{"pages": "edit"}
	fate := func(t *testing.T, who *person, kind, want string) {
		t.Helper()
		expectEqual(t, "the fate of "+kind+" to "+who.email, want, s.fates(t, who)[kind])
	}
	delivery := func(t *testing.T, addressee, want string) {
		t.Helper()
		eventually(t, "the request to "+addressee+" reads "+want, func() bool { return s.delivery(t, addressee) == want })
	}
	for local, as := range map[string]string{"bounce": "bounced", "complaint": "complained", "suppressed": "bounced", "complained": "complained"} {
		step(t, t.Run(local, func(t *testing.T) {
			who := s.person(t, local+"@luna.fate.test")
			luna := who.opens(t, "Luna Bakery")
			s.ann.requests(t, s.agencyID, luna, areas)
			s.newEmails(t)
			// An email that SES withholds because of an earlier complaint is none itself.
			first := map[string]string{"complained": "suppressed"}[local]
			if first == "" {
				first = as
			}
			fate(t, who, "requested", first)
			delivery(t, luna, map[string]string{"bounced": "failed", "complained": ""}[as])

			// The next emails to that person are suppressed, which nobody reads.
			rival := s.person(t, "sam@"+local+".rival.fate.test")
			theirs := rival.opens(t, "Rival Offices")
			rival.sendsInvitation(t, theirs, who, "admin", nil)
			s.expectEmails(t)
			fate(t, who, "invited", "suppressed")
			expectEqual(t, "what the team shows of the invitation's email", "", invitationDelivery(t, rival, theirs, who))
			s.ann.post(t, s.agencyPath+"/connections/"+connectionID(luna, s.agencyID)+"/withdraw", nil).is(t, http.StatusOK)
			s.ann.requests(t, s.agencyID, luna, areas)
			s.expectEmails(t)
			delivery(t, luna, "")

			// Signing in ends the suppression, in SES too, or the email's fate would be
			// another.
			expectContains(t, "what she is told", string(who.get(t, "/v1/me").is(t, http.StatusOK).Body), `"suppressed":"`+as+`"`)
			who.joins(t, theirs)
			s.expectEmails(t, joins(who, rival, "Rival Offices", "an admin")...)
			fate(t, who, "person-added", first)
		}))
	}
	step(t, t.Run("an answer from somebody on holiday is no bounce", func(t *testing.T) {
		who := s.person(t, "ooto@luna.fate.test")
		luna := who.opens(t, "Luna Bakery")
		s.ann.requests(t, s.agencyID, luna, areas)
		s.newEmails(t)
		fate(t, who, "requested", "delivered")
		delivery(t, luna, "")
	}))
	step(t, t.Run("of two owners one is enough", func(t *testing.T) {
		who, other := s.person(t, "bounce+two@luna.fate.test"), s.person(t, "olga@luna.fate.test")
		luna := other.opens(t, "Luna Bakery")
		other.invites(t, luna, who, "owner", nil)
		s.newEmails(t)
		who.get(t, "/v1/me").is(t, http.StatusOK)
		s.ann.requests(t, s.agencyID, luna, areas)
		s.newEmails(t)
		fate(t, who, "requested", "bounced")
		fate(t, other, "requested", "delivered")
		delivery(t, luna, "")
	}))
	step(t, t.Run("a request by email", func(t *testing.T) {
		who := s.person(t, "bounce@simulator.amazonses.com")
		s.ann.requestsByEmail(t, s.agencyID, who.email, areas)
		s.newEmails(t)
		fate(t, who, "requested-person", "bounced")
		delivery(t, who.id(), "failed")
	}))
	step(t, t.Run("an invitation", func(t *testing.T) {
		who, olga := s.person(t, "bounce+three@luna.fate.test"), s.person(t, "olga@garden.fate.test")
		garden := olga.opens(t, "Luna Garden")
		olga.sendsInvitation(t, garden, who, "owner", nil)
		s.newEmails(t)
		fate(t, who, "invited", "bounced")
		eventually(t, "the team shows that the email failed", func() bool { return invitationDelivery(t, olga, garden, who) == "failed" })
		olga.delete(t, "/v1/accounts/"+garden+"/team/"+olga.id()).refused(t, http.StatusConflict, "last_owner", "active")
	}))
}
