package e2e

import (
	"net/http"
	"strings"
	"testing"
)

// TestNames: what people type reaches emails as plain text. No name and no
// message makes a link, a tag, a header or a template.
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
	mails := s.untilMark(t)
	if len(mails) != 1 || mails[0].To != olga.email {
		t.Fatalf("%d emails: %+v", len(mails), mails)
	}
	m := mails[0]
	s.wellMade(t, m) // no link but ours
	if strings.ContainsAny(m.Subject, "\r\n") || strings.Contains(m.HTML, "<script") || strings.Contains(m.HTML, "<b>http") {
		t.Errorf("%q:\n%s", m.Subject, m.HTML)
	}
	for part, text := range map[string]string{"text": plain(m.Text), "HTML": plain(unmarked(m.HTML))} {
		for _, shown := range []string{name, "Luna & Söhne <GmbH>", "See https://evil.test/login Bcc: sam@evil.test", "<script>alert(1)</script>"} {
			if !strings.Contains(text, plain(shown)) {
				t.Errorf("the %s part does not show %q as it was typed:\n%s", part, shown, text)
			}
		}
	}
}
