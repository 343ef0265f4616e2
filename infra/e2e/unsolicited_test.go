package e2e

import (
	"fmt"
	"html"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"agencyhub/infra/e2e/client"
)

type unsolicitedStory struct {
	*stack
	vera *person
	// strangers counts the agencies that have asked her.
	strangers int
	stopLink  string
}

var stopLink = regexp.MustCompile(`/stop/box_[0-9a-z]{26}\.[0-9A-Z]{26}`)

// TestUnsolicited tests unsolicited mail (README, Unsolicited mail), on a stack where the
// digest goes out after a second.
func TestUnsolicited(t *testing.T) {
	t.Parallel()
	s := &unsolicitedStory{stack: startOwn(t, "-schedules=false", "-set", `SettingsOverride={`+personLimits+`,"unsolicitedMails":{"all":10,"bySender":3,"byAccount":3,"neverSignedIn":3},"digestAt":"1s","digestSpread":"0s"}`)}
	s.vera = s.person(t, "vera@luna.unsolicited.test")
	s.vera.opens(t, "Luna Bakery")
	s.newEmails(t)
	step(t, t.Run("strangers fill her day; a genuine request waits for her at once, and is told in the digest", s.held))
	step(t, t.Run("looking at the stop link does nothing; one click stops the mail, and no asker can tell", s.stopped))
	step(t, t.Run("she alone allows it again", s.allowed))
}

// asks sends her a request of another agency.
func (s *unsolicitedStory) asks(t *testing.T, name string) (*person, string) {
	t.Helper()
	s.strangers++
	who := s.person(t, fmt.Sprintf("s%d@unsolicited.test", s.strangers))
	id := who.opensAgency(t, name)
	who.requestsByEmail(t, id, s.vera.email, levels{"pages": "edit"})
	return who, id
}

// toVera returns the new emails to her.
func (s *unsolicitedStory) toVera(t *testing.T) []client.Email {
	t.Helper()
	var to []client.Email
	for _, m := range s.newEmails(t) {
		s.expectWellFormed(t, m)
		if m.To == s.vera.email {
			to = append(to, m)
		}
	}
	return to
}

func (s *unsolicitedStory) digest(t *testing.T) client.Email {
	t.Helper()
	digests := 0
	eventually(t, "the digest is due", func() bool { digests += s.cleanup(t).Digests; return digests > 0 })
	mails := s.toVera(t)
	expectEqual(t, "digests", 1, len(mails))
	expectEqual(t, "digests once more", 0, s.cleanup(t).Digests)
	return mails[0]
}

// waiting counts the requests that wait for her.
func (s *unsolicitedStory) waiting(t *testing.T) int {
	t.Helper()
	return len(read[list[connection]](t, s.vera.get(t, "/v1/requests?limit=100").is(t, http.StatusOK)).Items)
}

func (s *unsolicitedStory) held(t *testing.T) {
	for i := range 10 {
		s.asks(t, fmt.Sprintf("Junk %d", i))
	}
	at := s.toVera(t)
	expectEqual(t, "emails of ten strangers", 10, len(at))
	who, id := s.asks(t, "Bright Agency")
	expectEqual(t, "emails beyond", 0, len(s.toVera(t)))
	expectEqual(t, "requests that wait for her", 11, s.waiting(t))
	c := read[connection](t, who.get(t, "/v1/agencies/"+id+"/connections/"+connectionID(s.vera.id(), id)).is(t, http.StatusOK))
	if c.Delivery != nil || c.Status != "pending" {
		t.Errorf("the agency reads %+v", c)
	}
	m := s.digest(t)
	expectEqual(t, "the digest", "A request or invitation is waiting for you on Agency Hub", m.Subject)
	expectContains(t, "the digest", m.Text, "Bright Agency asks to work for you", s.PublicURL+"/waiting")
	s.stopLink = stopLink.FindString(html.UnescapeString(m.Text))
	if s.stopLink == "" {
		t.Fatalf("the digest can't be stopped: %s", m.Text)
	}
	t.Logf("11 requests of 11 strangers: 10 emails at once, 1 digest with the genuine one")
}

func (s *unsolicitedStory) state(t *testing.T, want string) {
	t.Helper()
	me := read[struct{ UnsolicitedMail string }](t, s.vera.get(t, "/v1/me").is(t, http.StatusOK))
	expectEqual(t, "unsolicited mail", want, me.UnsolicitedMail)
}

func (s *unsolicitedStory) stopped(t *testing.T) {
	box, _, _ := strings.Cut(s.stopLink, ".")
	forged := box + ".ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		for _, link := range []string{s.stopLink, forged} {
			s.fetchPage(t, method, link).is(t, http.StatusOK)
		}
	}
	s.fetchPage(t, http.MethodPost, forged, "List-Unsubscribe=One-Click").is(t, http.StatusNotFound)
	s.fetchPage(t, http.MethodPost, s.stopLink, "", "Origin", "https://scanner.test", "Sec-Fetch-Site", "cross-site").is(t, http.StatusForbidden)
	s.state(t, "allowed")
	for range 2 {
		s.fetchPage(t, http.MethodPost, s.stopLink, "List-Unsubscribe=One-Click").is(t, http.StatusOK)
		s.state(t, "stopped")
	}
	who, id := s.asks(t, "North")
	expectEqual(t, "emails of a stopped mailbox", 0, len(s.toVera(t)))
	expectEqual(t, "requests that wait for her", 12, s.waiting(t))
	c := read[connection](t, who.get(t, "/v1/agencies/"+id+"/connections/"+connectionID(s.vera.id(), id)).is(t, http.StatusOK))
	if c.Delivery != nil || c.Status != "pending" {
		t.Errorf("the agency reads %+v", c)
	}
	expectEqual(t, "digests of a stopped mailbox", 0, s.cleanup(t).Digests)
}

func (s *unsolicitedStory) allowed(t *testing.T) {
	s.vera.patch(t, "/v1/me", map[string]any{"unsolicitedMail": "allowed"}).is(t, http.StatusOK)
	s.state(t, "allowed")
	s.fetchPage(t, http.MethodPost, s.stopLink, "List-Unsubscribe=One-Click").is(t, http.StatusNotFound)
	s.state(t, "allowed")
	s.asks(t, "South")
	if m := s.digest(t); !strings.Contains(m.Text, "South asks to work for you") || strings.Contains(m.Text, s.stopLink) {
		t.Errorf("the next digest: %s", m.Text)
	}
}
