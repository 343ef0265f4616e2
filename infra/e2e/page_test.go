package e2e

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// expectPage checks the page of a request's link: it is safe, the same for every
// person and request, and does not reveal this one.
func (s *stack) expectPage(t *testing.T, con string, texts []string) {
	t.Helper()
	page := s.fetchPage(t, http.MethodGet, "/requests/"+con).is(t, http.StatusOK)
	for name, want := range map[string]string{
		"Content-Type":              "text/html; charset=utf-8",
		"X-Content-Type-Options":    "nosniff",
		"Referrer-Policy":           "no-referrer",
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
	expectContains(t, "the page", text,
		"you must own or manage the account", "Opening this page has decided nothing", "Sign in to look at it", "I did not expect this")

	// Another request's page differs by the ids alone, whether the request exists or
	// not.
	parts := strings.SplitAfter(strings.TrimPrefix(con, "con_"), "acct_")
	ids := []string{"acct_" + strings.TrimSuffix(parts[1], "_acct_"), "acct_" + parts[2]}
	unknown := []string{"acct_00000000000000000000000000", "acct_11111111111111111111111111"}
	other := s.fetchPage(t, http.MethodGet, "/requests/con_"+unknown[0]+"_"+unknown[1])
	renamed := strings.NewReplacer(unknown[0], ids[0], unknown[1], ids[1]).Replace(string(other.Body))
	if diff := cmp.Diff(string(page.Body), renamed); diff != "" || other.Status != page.Status {
		t.Errorf("a request that is not there answers %d (-there +not):\n%s", other.Status, diff)
	}
	s.fetchPage(t, http.MethodGet, "/requests/con_broken").is(t, http.StatusNotFound)

	head := s.fetchPage(t, http.MethodHead, "/requests/"+con)
	if head.Status != http.StatusOK || len(head.Body) != 0 || head.Header.Get("Content-Security-Policy") != policy {
		t.Errorf("HEAD answers %d, %d bytes, %v", head.Status, len(head.Body), head.Header)
	}
	// Some scanners submit forms, some with stolen cookies. They are sent to the
	// sign-in, and nothing changes.
	for _, do := range []string{"accept", "decline", "block", "allow"} {
		for _, cookies := range []string{"", "__Host-id=stolen; __Host-refresh=stolen"} {
			r := s.fetchPage(t, http.MethodPost, "/requests/"+con, "do="+do+"&request=1&area-pages=view", "Cookie", cookies)
			if r.Status != http.StatusUnauthorized || !strings.HasPrefix(r.Header.Get("Refresh"), "0; url=/signin?to=%2Frequests%2F"+con) {
				t.Errorf("a form that says %s answers %d and goes on to %q: %s", do, r.Status, r.Header.Get("Refresh"), r.Body)
			}
			foreign := []string{"do=" + do + "&request=1", "Cookie", cookies, "Origin", "https://scanner.test", "Sec-Fetch-Site", "cross-site"}
			s.fetchPage(t, http.MethodPost, "/requests/"+con, foreign...).is(t, http.StatusForbidden)
		}
	}
	for _, method := range []string{http.MethodPut, http.MethodPatch, http.MethodDelete} {
		if r := s.fetchPage(t, method, "/requests/"+con); r.Status != http.StatusMethodNotAllowed || r.Header.Get("Allow") != "GET, HEAD, POST" {
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
