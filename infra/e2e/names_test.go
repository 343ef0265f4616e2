package e2e

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"agencyhub/shared/agency"
)

// clickable is what mail programs would make a link of, had it been left as typed.
var clickable = regexp.MustCompile(`evil\.test|www\.|https?://evil|@evil|\(555|123-4|4567`)

// TestNames checks that names and messages are plain text in emails: no link, tag,
// header or template.
func TestNames(t *testing.T) {
	s := common(t)
	ann, olga := s.person(t, "ann@names.test"), s.person(t, "olga@names.test")
	const (
		name  = `<b>http://evil.test/x</b> {{.By}} www.evil.test "Bright" ` + "علی\u200cرضا"
		words = "See https://evil.test/login\r\nBcc: sam@evil.test <script>alert(1)</script> or call +1 (555) 123-4567"
	)
	bright := ann.opensAgency(t, name)
	luna := olga.opens(t, "Luna & Söhne <GmbH>")
	body := map[string]any{"account": luna, "message": words, "areas": levels{"pages": "view"}}
	ann.post(t, "/v1/agencies/"+bright+"/connections", body).is(t, http.StatusCreated)
	emails := s.newEmails(t)
	if len(emails) != 1 || emails[0].To != olga.email {
		t.Fatalf("%d emails: %+v", len(emails), emails)
	}
	m := emails[0]
	s.expectWellFormed(t, m) // no other link
	if strings.ContainsAny(m.Subject, "\r\n") || strings.Contains(m.HTML, "<script") || strings.Contains(m.HTML, "<b>http") {
		t.Errorf("%q:\n%s", m.Subject, m.HTML)
	}
	if found := clickable.FindString(m.Subject + m.Text + htmlText(m.HTML)); found != "" {
		t.Errorf("mail programs make a link of %q", found)
	}
	for part, text := range map[string]string{"text": normalized(m.Text), "HTML": normalized(htmlText(m.HTML))} {
		for _, shown := range []string{name, "Luna & Söhne <GmbH>", "See https://evil.test/login Bcc: sam@evil.test", "<script>alert(1)</script>", "call +1 (555) 123-4567"} {
			expectContains(t, "the "+part+" part", text, normalized(shown))
		}
	}
}

// TestNamesByEveryWay checks that each way to name an account takes names of every script,
// as they are typed, and refuses the same names with the same sentence.
func TestNamesByEveryWay(t *testing.T) {
	s := common(t)
	ann, ben, software := s.person(t, "ann@ways.test"), s.person(t, "ben@ways.test"), s.platformClient(t)
	bright, own := ann.opensAgency(t, "Bright Ways"), ann.opens(t, "Ways")
	registered := string(agency.NewAccountID("the names", "ways"))
	client := func(name string) map[string]any {
		return map[string]any{"name": name, "plan": "starter", "confirmPermanentOwnership": true}
	}
	ways := map[string]func(name string) *reply{
		"open":   func(name string) *reply { return ben.postOnce(t, "/v1/accounts", map[string]any{"name": name}) },
		"create": func(name string) *reply { return ann.postOnce(t, "/v1/agencies/"+bright+"/accounts", client(name)) },
		"rename": func(name string) *reply { return ann.patch(t, "/v1/accounts/"+own, map[string]any{"name": name}) },
		"register": func(name string) *reply {
			return software.call(t, http.MethodPut, "/v1/platform/accounts/"+registered, map[string]any{"name": name, "ownerEmail": "olga@ways.test"})
		},
	}
	for way, call := range ways {
		for given, want := range map[string]string{
			"Agency Hub Security":  "This name could be taken for Agency Hub itself. Choose another one.",
			"\u0410gency\u2003Нub": "This name could be taken for Agency Hub itself. Choose another one.",
			"=?utf-8?q?evil?=":     "The name has encoded text that begins with “=?”, at its beginning. Write it in plain letters.",
			"Bright\u202eoidutS":   "The name has a character that changes the direction of text, after “Bright”. Remove it.",
			"\u2800":               "Give it a name.",
		} {
			p := call(given).refused(t, http.StatusBadRequest, "invalid", "")
			if len(p.Errors) != 1 || !strings.HasSuffix(p.Errors[0].Field, "name") || p.Errors[0].Message != want {
				t.Errorf("%s, %+q: %+v", way, given, p.Errors)
			}
		}
		for given, want := range map[string]string{"علی\u200cرضا": "علی\u200cرضا", "\ufeffශ්\u200dරී\u00a0ලංකා": "ශ්\u200dරී ලංකා", "Hub Agency of Kyiv": "Hub Agency of Kyiv"} {
			if got := read[account](t, call(given)).Name; got != want {
				t.Errorf("%s, %+q: %+q", way, given, got)
			}
		}
	}
	s.newEmails(t) // other tests look at these
	// A name is found with and without what is invisible in it.
	for _, prefix := range []string{"علی\u200cر", "علیر"} {
		list := read[struct{ Items []struct{ Name string } }](t, ann.get(t, "/v1/agencies/"+bright+"/accounts?status=active&prefix="+url.QueryEscape(prefix)))
		if len(list.Items) != 1 || list.Items[0].Name != "علی\u200cرضا" {
			t.Errorf("%+q: %+v", prefix, list)
		}
	}
}
