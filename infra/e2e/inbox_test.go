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

// An inbox is how far a stack's emails have been read, and who sends the marks.
type inbox struct {
	since time.Time       // second of the newest email read
	read  map[string]bool // ids of the emails read
	marks int
	maker *person // owner of the account that marks invite into
	at    string  // that account
}

// A letter is an email that somebody must get: its subject to the letter, and
// sentences that both of its parts must hold.
type letter struct {
	to      *person
	subject string
	says    []string
}

// told waits until everyone has been told of all that has happened so far, and
// holds the whole inbox to the letters wanted: each of these once, nothing else
// to anybody. It proves the absence of others by a mark: one more event, whose
// email comes after those of all events before it.
func (s *stack) told(t *testing.T, want ...letter) {
	t.Helper()
	got := s.untilMark(t)
	var wanted, found []string
	for _, l := range want {
		wanted = append(wanted, l.to.email+": "+l.subject)
	}
	for _, m := range got {
		found = append(found, m.To+": "+m.Subject)
		s.wellMade(t, m)
	}
	slices.Sort(wanted)
	slices.Sort(found)
	if diff := cmp.Diff(wanted, found); diff != "" {
		t.Fatalf("emails (-want +got):\n%s", diff)
	}
	for _, l := range want {
		i := slices.IndexFunc(got, func(m client.Mail) bool { return m.To == l.to.email && m.Subject == l.subject })
		for part, text := range map[string]string{"text": plain(got[i].Text), "HTML": plain(unmarked(got[i].HTML))} {
			for _, sentence := range l.says {
				if !strings.Contains(text, plain(sentence)) {
					t.Errorf("the %s part of %q to %s does not say %q:\n%s", part, l.subject, l.to.email, sentence, text)
				}
			}
		}
	}
}

// untilMark makes a mark and answers the emails that came before it, but for
// other marks'.
func (s *stack) untilMark(t *testing.T) []client.Mail {
	t.Helper()
	b := &s.inbox
	if b.maker == nil {
		b.read = map[string]bool{}
		b.maker = s.person(t, "maker@mark.test")
		b.at = b.maker.opens(t, "Marks")
	}
	b.marks++
	mark := fmt.Sprintf("mark-%d@mark.test", b.marks)
	b.maker.post(t, "/v1/accounts/"+b.at+"/team", map[string]any{"email": mark, "role": "admin"}).is(t, http.StatusCreated)
	var mails []client.Mail
	eventually(t, "the email of the mark", func() bool {
		fresh, err := s.Mails(t.Context(), b.since)
		if err != nil {
			t.Fatal(err)
		}
		marked := false
		for _, m := range fresh {
			if b.read[m.ID] {
				continue
			}
			b.read[m.ID] = true
			if m.At.After(b.since) {
				b.since = m.At
			}
			if m.To == mark {
				marked = true
			} else if !strings.HasSuffix(m.To, "@mark.test") {
				mails = append(mails, m)
			}
		}
		return marked
	})
	return mails
}

var link = regexp.MustCompile(`https?://[^\s"<>]+`)

// wellMade holds for every email: one recipient, our sender, both parts, and
// only links without secrets, to what is known by its id alone.
func (s *stack) wellMade(t *testing.T, m client.Mail) {
	t.Helper()
	if m.From != `"Agency Hub" <hub@agencyhub.test>` || strings.Contains(m.To, ",") || m.Text == "" || !strings.HasPrefix(m.HTML, "<!doctype html>") {
		t.Errorf("from %s to %s: %q, %d bytes of text, %d of HTML", m.From, m.To, m.Subject, len(m.Text), len(m.HTML))
	}
	known := regexp.MustCompile(`^(` + regexp.QuoteMeta(s.PublicURL) + `(/requests/con_(acct|per)_[0-9a-z]{26}_acct_[0-9a-z]{26}(\?unexpected=1)?|/accounts/acct_[0-9a-z]{26}/team/acct_[0-9a-z]{26})?` +
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

// unmarked is the text of an HTML part, the addresses of its links included.
func unmarked(page string) string {
	page = style.ReplaceAllString(page, "")
	page = href.ReplaceAllString(page, "> $1 <x ")
	return html.UnescapeString(tag.ReplaceAllString(page, " "))
}

// plain is text without what breaks its lines or stands in it unseen, so that
// a sentence is found however it is laid out: what a list has behind a colon, a
// table has in the next column.
func plain(text string) string {
	text = strings.NewReplacer("\u200c", "", ":", " ").Replace(text)
	return strings.NewReplacer(" .", ".", " ,", ",").Replace(strings.Join(strings.Fields(text), " "))
}

// moment is how emails name an instant.
func moment(at time.Time) string { return at.UTC().Format("Monday, 2 January 2006 at 15:04 UTC") }
