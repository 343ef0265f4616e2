package e2e

import (
	"net/http"
	"strings"
	"testing"
)

// TestNames checks that names and messages are plain text in emails: no link, tag,
// header or template.
func TestNames(t *testing.T) {
	s := common(t)
	ann, olga := s.person(t, "ann@names.test"), s.person(t, "olga@names.test")
	const (
		name  = `<b>http://evil.test/x</b> {{.By}} www.evil.test "Bright"`
		words = "See https://evil.test/login\r\nBcc: sam@evil.test <script>alert(1)</script>"
	)
	agency := ann.opensAgency(t, name)
	luna := olga.opens(t, "Luna & Söhne <GmbH>")
	body := map[string]any{"account": luna, "message": words, "areas": levels{"pages": "view"}}
	ann.post(t, "/v1/agencies/"+agency+"/connections", body).is(t, http.StatusCreated)
	emails := s.newEmails(t)
	if len(emails) != 1 || emails[0].To != olga.email {
		t.Fatalf("%d emails: %+v", len(emails), emails)
	}
	m := emails[0]
	s.expectWellFormed(t, m) // no other link
	if strings.ContainsAny(m.Subject, "\r\n") || strings.Contains(m.HTML, "<script") || strings.Contains(m.HTML, "<b>http") {
		t.Errorf("%q:\n%s", m.Subject, m.HTML)
	}
	for part, text := range map[string]string{"text": normalized(m.Text), "HTML": normalized(htmlText(m.HTML))} {
		for _, shown := range []string{name, "Luna & Söhne <GmbH>", "See https://evil.test/login Bcc: sam@evil.test", "<script>alert(1)</script>"} {
			expectContains(t, "the "+part+" part", text, normalized(shown))
		}
	}
}
