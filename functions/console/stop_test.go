package main

import (
	"bytes"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"agencyhub/shared/agency"
	"agencyhub/shared/outbox"
	"agencyhub/shared/table"
)

// stopLink sends an unsolicited email to a mailbox, and returns the path of its link.
func (s *site) stopLink(t *testing.T, address string) string {
	t.Helper()
	m := outbox.MailKey{Event: agency.NewEventID("01ARZ3NDEKTSV4RRFFQ69G5FAV"), Kind: "requested", Recipient: agency.NewPersonID(address)}
	u := outbox.Unsolicited{Mailbox: agency.Mailbox(address), All: 10}
	claim, err := table.New(s.db, s.table).ClaimUnsolicited(t.Context(), m, u, outbox.NewOwner(), s.clock(), time.Minute)
	must(t, err)
	return "/stop/" + string(u.Mailbox) + "." + claim.Stop
}

func (s *site) wantStopped(t *testing.T, address string, want bool) {
	t.Helper()
	if got, err := s.svc.MyMailStopped(t.Context(), s.actor(address)); got != want || err != nil {
		t.Errorf("mail to %s is stopped: %t, want %t (%v)", address, got, want, err)
	}
}

// The link in an unsolicited email shows a page whose button stops such mail. Looking at
// it does nothing, and shows the same for every link.
func TestTheStopLink(t *testing.T) {
	s := newSite(t)
	link := s.stopLink(t, cleoAt)
	others := s.stopLink(t, annAt)
	box, value, _ := strings.Cut(strings.TrimPrefix(others, "/stop/"), ".")
	foreign := "/stop/" + string(agency.Mailbox(cleoAt)) + "." + value
	unknown := "/stop/" + string(agency.Mailbox("nobody@x.test")) + ".ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	b := s.browser()
	page := b.get(link)
	page.wantText(t, http.StatusOK, "Stop these emails")
	golden(t, "stop", page.Body.Bytes())
	for _, other := range []string{foreign, unknown, "/stop/" + box + ".x"} {
		if got := b.get(other); got.Code != http.StatusOK || strings.ReplaceAll(got.Body.String(), other, link) != page.Body.String() {
			t.Errorf("%s looks otherwise: %d", other, got.Code)
		}
		if got := b.send(http.MethodHead, other, nil); got.Code != http.StatusOK {
			t.Errorf("HEAD %s: %d", other, got.Code)
		}
		b.post(other).wantText(t, http.StatusNotFound, "This link doesn't stop anything any more.")
	}
	b.send(http.MethodHead, link, nil)
	for _, bad := range []string{"/stop/", "/stop/x", "/stop/" + box, "/stop/" + box + ".", "/stop/per_" + box[4:] + ".x"} {
		b.get(bad).wantText(t, http.StatusNotFound)
		b.post(bad).wantText(t, http.StatusNotFound)
	}
	if got := b.send(http.MethodPut, link, nil); got.Code != http.StatusMethodNotAllowed {
		t.Errorf("PUT: %d", got.Code)
	}
	b.send(http.MethodPost, link, nil, "Sec-Fetch-Site", "cross-site", "Origin", "https://evil.test").wantText(t, http.StatusForbidden)
	s.wantStopped(t, cleoAt, false)
	s.wantStopped(t, annAt, false)
	for range 2 {
		b.post(link).wantText(t, http.StatusOK, "Emails stopped")
		s.wantStopped(t, cleoAt, true)
	}
	s.wantStopped(t, annAt, false)
}

// A mail program stops the mail by one click: a POST without a cookie or an Origin, with a
// form of either type.
func TestOneClick(t *testing.T) {
	var form bytes.Buffer
	parts := multipart.NewWriter(&form)
	must(t, parts.WriteField("List-Unsubscribe", "One-Click"))
	must(t, parts.Close())
	for kind, body := range map[string]string{
		"application/x-www-form-urlencoded": "List-Unsubscribe=One-Click", parts.FormDataContentType(): form.String(), "": "",
	} {
		s := newSite(t)
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, s.stopLink(t, cleoAt), strings.NewReader(body))
		r.Host = "hub.test"
		if kind != "" {
			r.Header.Set("Content-Type", kind)
		}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != http.StatusOK || len(w.Result().Cookies()) != 0 {
			t.Errorf("%q: %d", kind, w.Code)
		}
		s.wantStopped(t, cleoAt, true)
	}
}

// Only the signed-in person allows the mail again, for all spellings of their mailbox.
func TestMailIsAllowedAgain(t *testing.T) {
	s := newSite(t)
	link := s.stopLink(t, "cleo+news@cafe.test")
	cleo := s.as("cleo@cafe.test")
	cleo.get("/me").wantText(t, http.StatusOK, "You get emails about requests and invitations")
	s.browser().post(link).wantText(t, http.StatusOK)
	cleo.get("/me").wantText(t, http.StatusOK, "Stopped. You get no emails")
	cleo.submit("/me", "do", "allow-mail").wantText(t, http.StatusOK, "Unsolicited emails allowed.", "You get emails")
	// The old link is worth nothing any more.
	s.browser().post(link).wantText(t, http.StatusNotFound)
	s.wantStopped(t, "cleo@cafe.test", false)
	cleo.submit("/me", "do", "stop-mail").wantText(t, http.StatusOK, "Unsolicited emails stopped.", "Stopped.")
	s.wantStopped(t, "cleo+other@cafe.test", true)
}
