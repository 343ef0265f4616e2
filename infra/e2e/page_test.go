package e2e

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A linkPage is the page behind the link of an email, before anybody has signed in.
type linkPage struct {
	path string
	// unknown is the path of something that is not there, and ids are the ids in it and
	// those in path, in pairs. broken is no path of anything.
	unknown, broken string
	ids             []string
	// form is what is sent with each of the buttons.
	form    string
	buttons []string
	says    []string
}

// expectPage checks the page of a request's link.
func (s *stack) expectPage(t *testing.T, con string, texts []string) {
	t.Helper()
	parts := strings.SplitAfter(strings.TrimPrefix(con, "con_"), "acct_")
	s.expectLinkPage(t, linkPage{
		path: "/requests/" + con, unknown: "/requests/con_acct_00000000000000000000000000_acct_11111111111111111111111111", broken: "/requests/con_broken",
		ids: []string{
			"acct_00000000000000000000000000", "acct_" + strings.TrimSuffix(parts[1], "_acct_"),
			"acct_11111111111111111111111111", "acct_" + parts[2],
		},
		form: "request=1&area-pages=view", buttons: []string{"accept", "decline", "block", "allow"},
		says: []string{"Only an owner or admin of the account can answer", "Opening this page changes nothing", "Sign in to review it", "I didn’t expect this"},
	}, texts)
}

// expectInvitationPage checks the page of an invitation's link.
func (s *stack) expectInvitationPage(t *testing.T, account string, texts []string) {
	t.Helper()
	const unknown = "acct_00000000000000000000000000"
	s.expectLinkPage(t, linkPage{
		path: "/invitations/" + account, unknown: "/invitations/" + unknown, broken: "/invitations/acct_broken", ids: []string{unknown, account},
		form: "request=1&plan=starter&confirm=yes", buttons: []string{"accept", "decline", "block", "allow"},
		says: []string{"You have an invitation", "Opening this page changes nothing", "If you would pay for the account, you see its price first.", "Sign in to see the invitation"},
	}, texts)
}

// expectLinkPage checks that the page is safe, the same for every person and for
// whatever the link names, and reveals none of the texts.
func (s *stack) expectLinkPage(t *testing.T, l linkPage, texts []string) {
	t.Helper()
	page := s.fetchPage(t, http.MethodGet, l.path).is(t, http.StatusOK)
	for name, want := range map[string]string{
		"Content-Type":              "text/html; charset=utf-8",
		"X-Content-Type-Options":    "nosniff",
		"Referrer-Policy":           "same-origin",
		"Cache-Control":             "no-store",
		"Strict-Transport-Security": "max-age=31536000",
		"Set-Cookie":                "",
	} {
		expectEqual(t, name, want, page.Header.Get(name))
	}
	policy := page.Header.Get("Content-Security-Policy")
	expectContains(t, "the policy", policy, "default-src 'none'", "form-action 'self'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'")
	text := htmlText(string(page.Body))
	expectNoneOf(t, "the page", text, texts...)
	expectContains(t, "the page", text, l.says...)

	// Another page differs by the ids alone, whether there is something or not.
	other := s.fetchPage(t, http.MethodGet, l.unknown)
	renamed := strings.NewReplacer(l.ids...).Replace(string(other.Body))
	if diff := cmp.Diff(string(page.Body), renamed); diff != "" || other.Status != page.Status {
		t.Errorf("what is not there answers %d (-there +not):\n%s", other.Status, diff)
	}
	s.fetchPage(t, http.MethodGet, l.broken).is(t, http.StatusNotFound)

	head := s.fetchPage(t, http.MethodHead, l.path)
	if head.Status != http.StatusOK || len(head.Body) != 0 || head.Header.Get("Content-Security-Policy") != policy {
		t.Errorf("HEAD answers %d, %d bytes, %v", head.Status, len(head.Body), head.Header)
	}
	// Some scanners submit forms, some with stolen cookies. They are sent to the
	// sign-in, and nothing changes.
	for _, do := range l.buttons {
		for _, cookies := range []string{"", "hub-session=stolen", "hub-session=ABCDEFGHIJKLMNOPQRSTUVWXYZ"} {
			r := s.fetchPage(t, http.MethodPost, l.path, "do="+do+"&"+l.form, "Cookie", cookies)
			if r.Status != http.StatusUnauthorized || !strings.HasPrefix(r.Header.Get("Refresh"), "0; url=/signin?to="+url.QueryEscape(l.path)) {
				t.Errorf("a form that says %s answers %d and goes on to %q: %s", do, r.Status, r.Header.Get("Refresh"), r.Body)
			}
			foreign := []string{"do=" + do + "&request=1", "Cookie", cookies, "Origin", "https://scanner.test", "Sec-Fetch-Site", "cross-site"}
			s.fetchPage(t, http.MethodPost, l.path, foreign...).is(t, http.StatusForbidden)
		}
	}
	for _, method := range []string{http.MethodPut, http.MethodPatch, http.MethodDelete} {
		if r := s.fetchPage(t, method, l.path); r.Status != http.StatusMethodNotAllowed || r.Header.Get("Allow") != "GET, HEAD, POST" {
			t.Errorf("%s answers %d, Allow %q: %s", method, r.Status, r.Header.Get("Allow"), r.Body)
		}
	}
}

// fetchPage requests a page without signing in, as a mail scanner does. After the
// path come a form's body, then names and values of headers.
func (s *stack) fetchPage(t *testing.T, method, path string, more ...string) *reply {
	t.Helper()
	headers := []string{"Content-Type", "application/x-www-form-urlencoded"}
	var body []byte
	if len(more) > 0 {
		body, headers = []byte(more[0]), append(headers, more[1:]...)
	}
	answer, err := s.Call(t.Context(), method, path, body, headers...)
	must(t, err)
	return &reply{Answer: answer, to: method + " " + path}
}
