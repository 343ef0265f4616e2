package e2e

import (
	"fmt"
	"html"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"agencyhub/infra/e2e/client"
)

// An inbox is how far a stack's emails have been read, and who causes the sentinels.
type inbox struct {
	since     time.Time       // second of the newest email read
	read      map[string]bool // ids of the emails read
	sentinels int
	sender    *person // owns an account whose change of plan is a sentinel
	account   string
}

// A wantEmail is an email that somebody must get: its exact subject, and sentences
// that both of its parts must contain.
type wantEmail struct {
	to       *person
	subject  string
	contains []string
}

// expectEmails waits until all emails about what has happened so far are there, and
// compares the whole inbox with those wanted: each of these once, and no other.
func (s *stack) expectEmails(t *testing.T, want ...wantEmail) {
	t.Helper()
	got := s.newEmails(t)
	var expected, received []string
	for _, l := range want {
		expected = append(expected, l.to.email+": "+l.subject)
	}
	for _, m := range got {
		received = append(received, m.To+": "+m.Subject)
		s.expectWellFormed(t, m)
	}
	slices.Sort(expected)
	slices.Sort(received)
	if diff := cmp.Diff(expected, received); diff != "" {
		t.Fatalf("emails (-want +got):\n%s", diff)
	}
	for _, l := range want {
		i := slices.IndexFunc(got, func(m client.Email) bool { return m.To == l.to.email && m.Subject == l.subject })
		for part, text := range map[string]string{"text": normalized(got[i].Text), "HTML": normalized(htmlText(got[i].HTML))} {
			for _, sentence := range l.contains {
				expectContains(t, fmt.Sprintf("the %s part of %q to %s", part, l.subject, l.to.email), text, normalized(sentence))
			}
		}
	}
}

// newEmails returns the emails since the last call. It causes one more event, whose
// email is the sentinel, and then waits for the events that are told side by side with
// it, but not for one that keeps failing.
func (s *stack) newEmails(t *testing.T) []client.Email {
	t.Helper()
	b := &s.inbox
	if b.sender == nil {
		b.read = map[string]bool{}
		b.sender = s.person(t, "owner@mark.test")
		b.account = b.sender.opens(t, "Marks")
	}
	b.sentinels++
	plan := []string{"starter", "growth"}[b.sentinels%2]
	b.sender.patch(t, "/v1/accounts/"+b.account+"/subscription", map[string]any{"plan": plan}).is(t, http.StatusOK)
	var emails []client.Email
	first := time.Time{}
	eventually(t, "the sentinel's email", func() bool {
		waited := !first.IsZero() && (time.Since(first) > 3*time.Second || s.isNotified(t))
		fresh, err := s.Emails(t.Context(), b.since)
		must(t, err)
		arrived := false
		for _, m := range fresh {
			if b.read[m.ID] {
				continue
			}
			b.read[m.ID] = true
			if m.At.After(b.since) {
				b.since = m.At
			}
			if m.To == b.sender.email {
				arrived = true
			} else {
				emails = append(emails, m)
			}
		}
		if arrived {
			first = time.Now()
		}
		return waited
	})
	return emails
}

var link = regexp.MustCompile(`https?://[^\s"<>]+`)

// expectWellFormed checks what holds for every email: one recipient, our sender,
// both parts, and no links but known ones, none with a secret but that which stops
// emails.
func (s *stack) expectWellFormed(t *testing.T, m client.Email) {
	t.Helper()
	if m.From != `"Agency Hub" <hub@agencyhub.test>` || strings.Contains(m.To, ",") || m.Text == "" || !strings.HasPrefix(m.HTML, "<!doctype html>") {
		t.Errorf("from %s to %s: %q, %d bytes of text, %d of HTML", m.From, m.To, m.Subject, len(m.Text), len(m.HTML))
	}
	known := regexp.MustCompile(`^(` + regexp.QuoteMeta(s.PublicURL) + `(/requests/con_(acct|per)_[0-9a-z]{26}_acct_[0-9a-z]{26}(\?unexpected=1)?|/invitations/acct_[0-9a-z]{26}|/waiting|/stop/box_[0-9a-z]{26}\.[A-Z2-7]{26}` +
		`|/agencies/acct_[0-9a-z]{26}/add/connect|/accounts/acct_[0-9a-z]{26}/team(/acct_[0-9a-z]{26}|\?as=acct_[0-9a-z]{26})?)?` +
		`|https://app\.example\.com/accounts/acct_[0-9a-z]{26}(\?agency=(acct_[0-9a-z]{26})?)?)$`)
	for _, l := range append(link.FindAllString(m.Text, -1), link.FindAllString(m.HTML, -1)...) {
		if !known.MatchString(html.UnescapeString(l)) {
			t.Errorf("%q to %s has the link %s", m.Subject, m.To, l)
		}
	}
	if token.MatchString(m.Text + m.HTML) {
		t.Errorf("%q to %s holds a token", m.Subject, m.To)
	}
}

var (
	style = regexp.MustCompile(`(?s)<style>.*?</style>`)
	tag   = regexp.MustCompile(`<[^>]*>`)
	href  = regexp.MustCompile(`href="([^"]*)"`)
)

// htmlText returns the text of an HTML part, and the URLs of its links.
func htmlText(page string) string {
	page = style.ReplaceAllString(page, "")
	page = href.ReplaceAllString(page, "> $1 <x ")
	return html.UnescapeString(tag.ReplaceAllString(page, " "))
}

// normalized returns text without line breaks and invisible characters, so that a
// sentence is found in any layout. A colon in a list is a new column in a table.
func normalized(text string) string {
	text = strings.NewReplacer("\u200c", "", ":", " ").Replace(text)
	return strings.NewReplacer(" .", ".", " ,", ",").Replace(strings.Join(strings.Fields(text), " "))
}

// moment formats a time as emails do.
func moment(at time.Time) string { return at.UTC().Format("Monday, 2 January 2006 at 15:04 UTC") }
