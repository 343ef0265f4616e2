package main

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"agencyhub/shared/agency"
	"agencyhub/shared/rest"
	"agencyhub/shared/table"
)

// signIn does a whole sign-in, from a page that requires one.
func (b *browser) signIn(from, email string) result {
	b.t.Helper()
	start := b.get(from)
	at := start.Header().Get("Location")
	if start.Code != http.StatusSeeOther || !strings.HasPrefix(at, b.issuer.URL+"/auth?") {
		b.t.Fatalf("%s leads to %q", from, at)
	}
	back := b.get(b.issuer.signIn(at, email).RequestURI())
	if back.Code == http.StatusSeeOther {
		b.person = identityOf(b.actor(email))
	}
	return back
}

func TestSignIn(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	path := "/accounts/" + string(w.shop) + "/team"
	toSignIn := b.get(path)
	toSignIn.wantRedirect(t, "/signin?to="+url.QueryEscape(path))
	back := b.signIn(toSignIn.Header().Get("Location"), cleoAt)
	back.wantRedirect(t, path)
	if len(b.cookies) != 1 || len(b.cookies[hostSession]) > 64 {
		t.Errorf("the session is kept in %v", b.cookies)
	}
	b.follow(back).wantText(t, http.StatusOK, "Team Members", cleoAt)

	// Two tabs sign in side by side.
	one, two := b.get("/signin?to=/me"), b.get("/signin?to=/accounts/new")
	for tab, want := range map[string]string{one.Header().Get("Location"): "/me", two.Header().Get("Location"): "/accounts/new"} {
		b.get(w.issuer.signIn(tab, cleoAt).RequestURI()).wantRedirect(t, want)
	}
	if at := b.get("/signin?another=1&to=/").Header().Get("Location"); !strings.Contains(at, "prompt=login") {
		t.Errorf("another account is asked for at %q", at)
	}
}

// A person whose mail was suppressed reads why when they sign in, which lifts it.
func TestSignInShowsSuppression(t *testing.T) {
	for reason, want := range map[agency.SuppressionReason]string{
		agency.AddressBounced: "An email to you came back", agency.AddressComplained: "was reported as spam",
	} {
		w := newWorld(t)
		_, err := table.New(w.db, w.table).Suppress(t.Context(), w.cleo.ID(), reason, w.clock())
		must(t, err)
		w.advance(time.Minute)
		b := w.browser()
		b.follow(b.signIn("/signin?to=/me", cleoAt)).wantText(t, http.StatusOK, want, "You get emails again from now on")
		b.get("/me").wantNoMarkup(t, "You get emails again")

		// The notice of a saved form comes first: it asks to do something.
		b = w.browser()
		kept := b.post("/me", "do", "erase", "confirm", "no")
		kept.wantText(t, http.StatusUnauthorized)
		b.follow(b.signIn("/signin?to=/me", cleoAt)).wantText(t, http.StatusOK, "What you typed is still here")
	}
}

func TestSignInIsRefused(t *testing.T) {
	w := newWorld(t)
	back := func(b *browser, change func(*url.URL)) result {
		u := w.issuer.signIn(b.get("/signin?to=/me").Header().Get("Location"), cleoAt)
		change(u)
		return b.get(u.RequestURI())
	}
	query := func(name, value string) func(*url.URL) {
		return func(u *url.URL) {
			q := u.Query()
			q.Set(name, value)
			u.RawQuery = q.Encode()
		}
	}
	similarState := func(u *url.URL) { query("state", u.Query().Get("state")[:8]+"other")(u) }
	same := func(*url.URL) {}
	for name, tt := range map[string]struct {
		more   map[string]any
		change func(*url.URL)
		forget bool
		says   string
	}{
		"a state of nobody's":      {nil, query("state", "somebodyelse"), false, "began in another browser"},
		"a state that is too like": {nil, similarState, false, "began in another browser"},
		"no state":                 {nil, query("state", ""), false, "began in another browser"},
		"another browser":          {nil, same, true, "began in another browser"},
		"no code":                  {nil, query("code", ""), false, "You were not signed in"},
		"a code of nobody's":       {nil, query("code", "other"), false, "refused this sign-in"},
		"another nonce":            {map[string]any{"nonce": "another"}, same, false, "refused this sign-in"},
		"another audience":         {map[string]any{"aud": "another"}, same, false, "refused this sign-in"},
		"another issuer":           {map[string]any{"iss": "https://another.test"}, same, false, "refused this sign-in"},
		"an old token":             {map[string]any{"exp": w.clock().Add(-time.Hour).Unix()}, same, false, "refused this sign-in"},
		"an unverified address":    {map[string]any{"email_verified": false}, same, false, "not verified yet"},
		"no word on the address":   {map[string]any{"email_verified": nil}, same, false, "not verified yet"},
		"no address":               {map[string]any{"email": ""}, same, false, "gives no email address"},
	} {
		t.Run(name, func(t *testing.T) {
			w.issuer.extraClaims = tt.more
			b := w.browser()
			page := back(b, func(u *url.URL) {
				tt.change(u)
				if tt.forget {
					b.cookies = map[string]string{}
				}
			})
			page.wantText(t, http.StatusUnauthorized, tt.says, "Sign in")
			if b.cookies[hostSession] != "" {
				t.Error("it signs in all the same")
			}
			page.wantNoMarkup(t, "nonce", "audience", "invalid_grant")
		})
	}
	w.issuer.extraClaims = map[string]any{"email_verified": "true"}
	if b := w.browser(); back(b, same).Code != http.StatusSeeOther || b.cookies[hostSession] == "" {
		t.Error("a verification in text is not taken")
	}
	// A code works once.
	w.issuer.extraClaims = nil
	b := w.browser()
	u := w.issuer.signIn(b.get("/signin?to=/me").Header().Get("Location"), cleoAt)
	b.get(u.RequestURI()).wantText(t, http.StatusSeeOther)
	w.browser().get(u.RequestURI()).wantText(t, http.StatusUnauthorized)
}

// No redirect leads to another site.
func TestLocalPath(t *testing.T) {
	for to, want := range map[string]string{
		"/me": "/me", "/a?b=c%2Fd#e": "/a?b=c%2Fd#e", "": "/", "me": "/", "https://evil.test/": "/", "//evil.test/": "/",
		"/\\evil.test": "/", "\\\\evil.test": "/",
		"/\tevil": "/", "/a\nb": "/", "javascript:alert(1)": "/", "http:/evil": "/", "/signout": "/", "/signin?to=/": "/",
		"/signin/callback?code=1": "/", "///evil.test": "/",
		"/" + strings.Repeat("a", 1024): "/", "/%": "/", "/%2F/evil.test": "/%2F/evil.test",
	} {
		wantEqual(t, fmt.Sprintf("where %q leads to", to), want, localPath(to))
	}
	w := newWorld(t)
	for _, to := range []string{"https://evil.test/", "//evil.test", "/\\evil.test"} {
		w.browser().signIn("/signin?to="+url.QueryEscape(to), annAt).wantRedirect(t, "/")
	}
	r := w.as(cleoAt).post("/accounts/new?to="+url.QueryEscape("//evil.test"), "name", "X", "key", "0123456789abcdef")
	if got := r.Header().Get("Location"); !strings.HasPrefix(got, "/accounts/") {
		t.Errorf("opening leads to %q", got)
	}
}

// refreshTarget returns where the response to a form sent without a session goes on by
// itself. It is no redirect: form-action would block one to the issuer.
func (s result) refreshTarget(t *testing.T) string {
	t.Helper()
	s.wantText(t, http.StatusUnauthorized, "You have to sign in again.")
	seconds, to, _ := strings.Cut(s.Header().Get("Refresh"), "; url=")
	if seconds != "0" || !strings.HasPrefix(to, "/signin?to=") {
		t.Fatalf("it goes on to %q", s.Header().Get("Refresh"))
	}
	s.wantMarkup(t, `href="`+to+`"`)
	return to
}

// A form that was sent without a session is shown again after the sign-in, and not sent
// by itself.
func TestFormSavedAcrossSignIn(t *testing.T) {
	w := newWorld(t)
	w.request()
	link := "/requests/" + string(w.con)
	for path, tt := range map[string]struct{ fields, has []string }{
		link: {withFields(levelFields(agency.Areas{"pages": agency.View}), "do", "accept", "request", "1", "until", "2030-12-24"),
			[]string{`name="area-pages" value="view" checked>`, `value="2030-12-24"`}},
		"/accounts/" + string(w.shop) + "/team": {withFields(levelFields(agency.Areas{"mail": agency.Edit}), "do", "invite", "role", "admin",
			"email", "mia@client.test"),
			[]string{`value="mia@client.test"`, `name="area-mail" value="edit" checked>`, `value="admin" required checked>`}},
		"/accounts/" + string(w.shop) + "/settings": {[]string{"do", "rename", "name", "Cleo & <b>Co</b>"},
			[]string{`value="Cleo &amp; &lt;b&gt;Co&lt;/b&gt;"`}},
		"/accounts/new": {[]string{"name", "Mine", "key", "0123456789abcdef"}, []string{`value="Mine"`, `value="0123456789abcdef"`}},
	} {
		b := w.browser()
		var sent result
		w.demandUnchanged(t, "a form without a session", func() { sent = b.post(path, tt.fields...) })
		back := b.signIn(sent.refreshTarget(t), cleoAt)
		before := w.dump()
		page := b.follow(back)
		page.wantText(t, http.StatusOK, "What you typed is still here. Send it again.")
		page.wantMarkup(t, tt.has...)
		if len(w.dump()) != len(before) {
			t.Errorf("%s was sent by itself", path)
		}
		if b.forms() != 0 {
			t.Error("the form is still kept")
		}
		b.get(path).wantNoMarkup(t, "What you typed is still here")
	}

	// A form too long for a cookie is lost, and the page says so.
	b := w.browser()
	sent := b.post("/accounts/new", "name", strings.Repeat("x", 5000), "key", "0123456789abcdef")
	b.follow(b.signIn(sent.refreshTarget(t), cleoAt)).wantText(t, http.StatusOK, "too long to keep")
	w.as(cleoAt).post("/accounts/new", "name", strings.Repeat("x", maxForm)).wantText(t, http.StatusRequestEntityTooLarge,
		"That is too long", "nothing was done. Go back, shorten what you entered, and send it again.")
}

// A person who signs in after another in the same browser gets nothing of theirs: no
// session that returns later, no saved form, and no notice.
func TestTwoPeopleInOneBrowser(t *testing.T) {
	for _, withholds := range []bool{true, false} {
		t.Run(fmt.Sprintf("a refresh token withheld: %t", withholds), func(t *testing.T) {
			w := newWorld(t)
			b := w.browser()
			b.signIn("/signin?to=/me", cleoAt)
			old := *b
			old.cookies = maps.Clone(b.cookies)
			w.issuer.withholdsRefresh = withholds
			b.signIn("/signin?another=1&to=/me", samAt)
			b.get("/me").wantText(t, http.StatusOK, samAt)
			if b.cookies[hostSession] == old.cookies[hostSession] {
				t.Error("the session has the same cookie")
			}
			old.get("/me").wantText(t, http.StatusSeeOther)
			wantEqual(t, "revoked refresh tokens", 1, len(w.issuer.revoked))
			w.advance(2 * time.Hour)
			b.get("/me").wantNoMarkup(t, cleoAt)
		})
	}
	t.Run("what was typed", func(t *testing.T) {
		w := newWorld(t)
		b := w.as(cleoAt)
		w.advance(2 * time.Hour)
		sent := b.post("/accounts/new", "name", "Cleo's secret plan", "key", "0123456789abcdef")
		page := b.follow(b.signIn(sent.refreshTarget(t), samAt))
		page.wantText(t, http.StatusOK, samAt)
		page.wantNoMarkup(t, "secret plan", "What you typed is still here")
		// The same person gets it back, once.
		back := b.follow(b.signIn(sent.refreshTarget(t), cleoAt))
		back.wantText(t, http.StatusOK, "What you typed is still here")
		back.wantMarkup(t, "secret plan")
		wantEqual(t, "saved forms", 0, b.forms())
	})
	t.Run("what was done", func(t *testing.T) {
		w := newWorld(t)
		b := w.as(cleoAt)
		b.post("/accounts/"+string(w.shop)+"/settings", "do", "rename", "name", "Cleo").wantText(t, http.StatusSeeOther)
		sam := b.copied()
		page := sam.follow(sam.signIn("/signin?another=1&to=/me", samAt))
		page.wantText(t, http.StatusOK, samAt)
		page.wantNoMarkup(t, "Name changed")
		// The same person reads it, by GET and on the whole page only.
		back := b.signIn("/signin?another=1&to=/me", cleoAt)
		b.send(http.MethodHead, "/me", nil)
		b.send(http.MethodGet, "/me", nil, "HX-Request", "true")
		b.follow(back).wantText(t, http.StatusOK, "Name changed.")
		if b.cookies[hostNotice] != "" {
			t.Error("the notice comes again")
		}
	})
}

// maxHeld bounds a browser's cookies, in bytes. HTTP APIs refuse every request with more
// than 10,240 bytes of headers, until cookies expire.
const maxHeld = 8 << 10

func (b *browser) cookieBytes() int {
	bytes := 0
	for name, value := range b.cookies {
		bytes += len(name) + len(value) + 3
	}
	return bytes
}

// A browser's cookies stay within what the gateway accepts, with any number of tabs and
// any form sent without a session.
func TestCookiesStaySmall(t *testing.T) {
	w := newWorld(t)
	b := w.as(cleoAt)
	to := "/signin?to=" + url.QueryEscape("/requests/"+string(w.con)+"?"+strings.Repeat("a", 900))
	var last result
	for range 40 {
		last = b.get(to)
		if b.cookieBytes() > maxHeld {
			t.Fatalf("the cookies are of %d bytes", b.cookieBytes())
		}
	}
	back := w.issuer.signIn(last.Header().Get("Location"), cleoAt)
	b.get(back.RequestURI()).wantText(t, http.StatusSeeOther)

	// The longest form that is kept, and sign-ins after it.
	b = w.as(cleoAt)
	w.advance(2 * time.Hour)
	sent := b.post("/accounts/new", "name", strings.Repeat("x", 2500), "key", "0123456789abcdef")
	sent.refreshTarget(t)
	for range 3 {
		b.get(to)
	}
	if b.cookieBytes() > maxHeld || b.forms() == 0 {
		t.Errorf("with what was typed the cookies are of %d bytes", b.cookieBytes())
	}
	back = w.issuer.signIn(b.get("/signin?to=/accounts/new").Header().Get("Location"), cleoAt)
	b.follow(b.get(back.RequestURI())).wantText(t, http.StatusOK, "What you typed is still here")
}

// While the issuer is down, pages that need no sign-in work.
func TestIssuerDown(t *testing.T) {
	w := newWorld(t)
	cleo := w.as(cleoAt)
	other := newWorld(t)
	other.issuer.Close()
	w.issuer.Close()
	w.browser().get("/requests/"+string(w.con)).wantText(t, http.StatusOK, "Sign in to review it")
	w.browser().get("/").wantText(t, http.StatusOK, "Welcome")
	page := other.browser().get("/signin?to=/me")
	page.wantText(t, http.StatusServiceUnavailable, "Your sign-in service can’t be reached right now", "Try again")
	page.wantMarkup(t, `href="/signin?to=/me"`)
	cleo.get("/me").wantText(t, http.StatusOK, cleoAt)
}

// Another identity with the same address is refused.
func TestAnotherIdentity(t *testing.T) {
	w := newWorld(t)
	w.issuer.extraClaims = map[string]any{"sub": "another"}
	w.as(cleoAt).get("/accounts/"+string(w.shop)+"/team").wantText(t, http.StatusForbidden, "Your sign-in has changed", "Ask an owner or admin of the account for a new sign-in")
}

func TestHeaders(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"/", "/requests/" + string(w.con), "/nowhere"} {
		page := w.browser().get(path)
		for name, want := range map[string]string{
			"Content-Security-Policy": policy, "Referrer-Policy": "same-origin", "X-Frame-Options": "DENY",
		} {
			wantEqual(t, path+": "+name, want, page.Header().Get(name))
		}
		// As the gateway gets it.
		event := events.APIGatewayV2HTTPRequest{RawPath: path}
		event.RequestContext.HTTP.Method = http.MethodGet
		answer, err := rest.Site("console", w.console).Invoke(t.Context(), event)
		must(t, err)
		for name, want := range map[string]string{
			"Content-Security-Policy": policy, "Strict-Transport-Security": "max-age=31536000", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store",
		} {
			wantEqual(t, path+": "+name, want, answer.Headers[name])
		}
	}
	for _, part := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'",
		"script-src 'self';", "style-src 'self';"} {
		if !strings.Contains(policy, part) {
			t.Errorf("the policy lacks %s", part)
		}
	}
	for _, method := range []string{http.MethodPut, http.MethodPatch, http.MethodDelete} {
		if r := w.as(cleoAt).send(method, "/me", nil); r.Code != http.StatusMethodNotAllowed || r.Header().Get("Allow") != "GET, HEAD, POST" {
			t.Errorf("%s answers %d, Allow %q", method, r.Code, r.Header().Get("Allow"))
		}
	}
}
