package main

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"agencyhub/shared/settings"
	"agencyhub/shared/table"
)

// A session opens with its secret for its item, unchanged, and in no other way.
func FuzzSession(f *testing.F) {
	f.Add("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "ABCDEFGHIJKLMNOPQRSTUVWXY2", "ann@client.test", "refresh", int64(1), []byte("sealed"), 3)
	f.Fuzz(func(t *testing.T, secret, other, email, refresh string, ends int64, arbitrary []byte, changed int) {
		if !isSecret(secret) {
			return // current asks the table for no other cookie
		}
		id := table.NewSessionID(secret)
		if _, ok := openSession(secret, table.Session{ID: id, Sealed: arbitrary}); ok {
			t.Fatalf("%q opens", arbitrary)
		}
		at := time.Unix(ends%(1<<33), 0).UTC()
		s := &session{Email: strings.ToValidUTF8(email, ""), Issuer: "issuer", Subject: "1", Refresh: strings.ToValidUTF8(refresh, ""), RenewAt: at, Expires: at, Ends: at}
		sealed := s.seal(secret)
		got, ok := openSession(secret, table.Session{ID: id, Sealed: sealed})
		if diff := cmp.Diff(s, got); !ok || diff != "" {
			t.Errorf("%t: %s", ok, diff)
		}
		if other != secret {
			if _, ok := openSession(other, table.Session{ID: id, Sealed: sealed}); ok {
				t.Error("another secret opens it")
			}
			if _, ok := openSession(secret, table.Session{ID: table.NewSessionID(other), Sealed: sealed}); ok {
				t.Error("it opens as another item")
			}
		}
		sealed[uint(changed)%uint(len(sealed))] ^= 1
		if _, ok := openSession(secret, table.Session{ID: id, Sealed: sealed}); ok {
			t.Error("with another byte it opens")
		}
	})
}

// Whatever cookies a browser sends, none is more than a refusal: sign-ins and forms are
// read or not there, and what is saved stays within the bounds.
func FuzzCookies(f *testing.F) {
	f.Add("__Host-signin-ABCDEFGH=eyJzIjoiQUJDREVGR0gifQ", "ABCDEFGHI", "/me", "text")
	f.Fuzz(func(t *testing.T, cookies, state, to, value string) {
		var a signInAttempt
		var saved savedForm
		for name := range map[string]bool{attemptCookie + "ABCDEFGH": true, formCookieOf("/me"): true} {
			r := httptest.NewRequest(http.MethodGet, "/me", nil)
			r.Header.Set("Cookie", cookies)
			w := httptest.NewRecorder()
			v := &visit{console: &console{env: settings.Environment{PublicURL: publicURL}}, r: r, ctx: t.Context(), w: w}
			if len(state) >= 8 {
				v.readJSON(attemptCookie+state[:8], &a)
			}
			v.readJSON(formCookieOf("/me"), &saved)
			if v.setJSON(name, map[string]string{"v": value}) {
				checkSaved(t, r, w, v.cookieName(name))
			}
		}
		for _, path := range []string{to, a.To, saved.Path} {
			checkLocal(t, path)
		}
	})
}

// checkSaved fails if a new cookie, or all that the browser sends from now on, are over
// their bounds.
func checkSaved(t *testing.T, r *http.Request, w *httptest.ResponseRecorder, name string) {
	t.Helper()
	set, bytes := map[string]int{}, 0
	for _, c := range (&http.Response{Header: w.Header()}).Cookies() {
		set[c.Name] = len(c.Name) + len(c.Value) + 3
		if c.MaxAge < 0 {
			set[c.Name] = 0
		}
	}
	if set[name] == 0 || set[name] > maxCookie+len(name)+3 {
		t.Errorf("%s is saved with %d bytes", name, set[name])
	}
	for _, n := range set {
		bytes += n
	}
	for _, c := range r.Cookies() {
		if _, changed := set[c.Name]; !changed {
			bytes += len(c.Name) + len(c.Value) + 3
		}
	}
	if bytes > maxCookies {
		t.Errorf("the browser sends %d bytes from now on", bytes)
	}
}

// A page to go to after a sign-in is on the hub, by the rules of browsers: they take a
// backslash for a slash, and drop tabs and line breaks.
func FuzzLocalPath(f *testing.F) {
	f.Add("/me?x=1")
	f.Fuzz(checkLocal)
}

func checkLocal(t *testing.T, to string) {
	t.Helper()
	path := localPath(to)
	w := httptest.NewRecorder()
	w.Header().Set("Location", path)
	seen := strings.NewReplacer("\t", "", "\n", "", "\r", "", "\\", "/").Replace(strings.Trim(w.Header().Get("Location"), "\x00\x01\x02\x03\x04\x05\x06\x07\x08\x0b\x0c\x0e\x0f\x1b \x1f"))
	u, err := url.Parse(seen)
	if !strings.HasPrefix(seen, "/") || strings.HasPrefix(seen, "//") || err == nil && (u.Host != "" || u.Scheme != "") {
		t.Errorf("%q leads to %q", to, path)
	}
	if strings.ContainsAny(path, "\r\n") {
		t.Errorf("%q leads to %q, with a line break", to, path)
	}
}

// An end date is no date, the end of a day in the zone, or a refusal.
func FuzzEndOfDay(f *testing.F) {
	f.Add("2030-01-31", "Europe/Berlin")
	f.Fuzz(func(t *testing.T, date, zone string) {
		end, err := endOfDay(date, zone)
		if err != nil || end == nil {
			if (err == nil) != (date == "") {
				t.Errorf("%q in %q: %v, %v", date, zone, end, err)
			}
			return
		}
		in, zoneErr := time.LoadLocation(zone)
		if zoneErr != nil || zone == "Local" {
			in = time.UTC
		}
		next := end.Add(time.Second).In(in)
		if got := end.In(in).Format(time.DateOnly); got != date && next.Format(time.DateOnly) == date {
			t.Errorf("%q in %q ends at %s", date, zone, end)
		}
	})
}
