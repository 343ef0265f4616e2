package main

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"agencyhub/shared/agency"
	"agencyhub/shared/table"
)

// signsIn plays a whole sign-in, from a page that asks for one.
func (b *browser) signsIn(from, email string) shown {
	b.t.Helper()
	begun := b.get(from)
	at := begun.Header().Get("Location")
	if begun.Code != http.StatusSeeOther || !strings.HasPrefix(at, b.issuer.URL+"/auth?") {
		b.t.Fatalf("%s leads to %q", from, at)
	}
	back, err := url.Parse(b.issuer.signsIn(at, email))
	if err != nil {
		b.t.Fatal(err)
	}
	return b.get(back.RequestURI())
}

func TestSignIn(t *testing.T) {
	w := newTown(t)
	b := w.browser()
	path := "/accounts/" + string(w.shop) + "/team"
	toSignIn := b.get(path)
	if got := toSignIn.Header().Get("Location"); got != "/signin?to="+url.QueryEscape(path) {
		t.Fatalf("without a session %s leads to %q", path, got)
	}
	back := b.signsIn(toSignIn.Header().Get("Location"), cleoAt)
	if got := back.Header().Get("Location"); got != path {
		t.Errorf("after sign-in comes %q", got)
	}
	if b.cookies[idCookie] == "" || b.cookies[refreshCookie] == "" || len(b.cookies) != 2 {
		t.Errorf("the session is kept in %d cookies", len(b.cookies))
	}
	b.follow(back).says(t, http.StatusOK, "Team Members", cleoAt)

	// Two tabs do not get into each other's way.
	one, two := b.get("/signin?to=/me"), b.get("/signin?to=/accounts/new")
	for tab, want := range map[string]string{one.Header().Get("Location"): "/me", two.Header().Get("Location"): "/accounts/new"} {
		u, err := url.Parse(w.issuer.signsIn(tab, cleoAt))
		if err != nil {
			t.Fatal(err)
		}
		if got := b.get(u.RequestURI()).Header().Get("Location"); got != want {
			t.Errorf("a tab comes back to %q, want %q", got, want)
		}
	}
	if at := b.get("/signin?another=1&to=/").Header().Get("Location"); !strings.Contains(at, "prompt=login") {
		t.Errorf("another account is asked for at %q", at)
	}
}

// Whoever was not mailed is told so, and why, when they sign in: from then on they
// are.
func TestSignInTellsOfASuppression(t *testing.T) {
	for reason, want := range map[agency.SuppressionReason]string{
		agency.AddressBounced: "An email to you came back", agency.AddressComplained: "was reported as unwanted",
	} {
		w := newTown(t)
		if _, err := table.New(w.db, w.table).Suppress(t.Context(), w.cleo.ID(), reason, w.clock()); err != nil {
			t.Fatal(err)
		}
		w.advance(time.Minute)
		b := w.browser()
		b.follow(b.signsIn("/signin?to=/me", cleoAt)).says(t, http.StatusOK, want, "From now on you are mailed again")
		b.get("/me").hasNot(t, "mailed again")

		// A form that was kept comes first: there is something to do about it.
		b = w.browser()
		kept := b.post("/me", "do", "erase", "confirm", "no")
		kept.says(t, http.StatusUnauthorized)
		b.follow(b.signsIn("/signin?to=/me", cleoAt)).says(t, http.StatusOK, "What you typed is still here")
	}
}

func TestSignInIsRefused(t *testing.T) {
	w := newTown(t)
	back := func(b *browser, change func(*url.URL)) shown {
		u, err := url.Parse(w.issuer.signsIn(b.get("/signin?to=/me").Header().Get("Location"), cleoAt))
		if err != nil {
			t.Fatal(err)
		}
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
	same := func(*url.URL) {}
	for name, tt := range map[string]struct {
		more   map[string]any
		change func(*url.URL)
		forget bool
		says   string
	}{
		"a state of nobody's":      {nil, query("state", "somebodyelse"), false, "began in another browser"},
		"a state that is too like": {nil, func(u *url.URL) { q := u.Query(); q.Set("state", q.Get("state")[:8]+"other"); u.RawQuery = q.Encode() }, false, "began in another browser"},
		"no state":                 {nil, query("state", ""), false, "began in another browser"},
		"another browser":          {nil, same, true, "began in another browser"},
		"no code":                  {nil, query("code", ""), false, "You were not signed in"},
		"a code of nobody's":       {nil, query("code", "other"), false, "Signing in does not work"},
		"another nonce":            {map[string]any{"nonce": "another"}, same, false, "Signing in does not work"},
		"another audience":         {map[string]any{"aud": "another"}, same, false, "Signing in does not work"},
		"another issuer":           {map[string]any{"iss": "https://another.test"}, same, false, "Signing in does not work"},
		"an old token":             {map[string]any{"exp": w.clock().Add(-time.Hour).Unix()}, same, false, "Signing in does not work"},
		"an unverified address":    {map[string]any{"email_verified": false}, same, false, "not verified yet"},
		"no word on the address":   {map[string]any{"email_verified": nil}, same, false, "not verified yet"},
		"no address":               {map[string]any{"email": ""}, same, false, "not verified yet"},
	} {
		t.Run(name, func(t *testing.T) {
			w.issuer.more = tt.more
			b := w.browser()
			page := back(b, func(u *url.URL) {
				tt.change(u)
				if tt.forget {
					b.cookies = map[string]string{}
				}
			})
			page.says(t, http.StatusUnauthorized, tt.says, "Sign in")
			if b.cookies[idCookie] != "" || b.cookies[refreshCookie] != "" {
				t.Error("it signs in all the same")
			}
			page.hasNot(t, "nonce", "audience", "invalid_grant")
		})
	}
	w.issuer.more = map[string]any{"email_verified": "true"}
	if b := w.browser(); back(b, same).Code != http.StatusSeeOther || b.cookies[idCookie] == "" {
		t.Error("a verification in text is not taken")
	}
	// A code works once.
	w.issuer.more = nil
	b := w.browser()
	at := b.get("/signin?to=/me").Header().Get("Location")
	u, err := url.Parse(w.issuer.signsIn(at, cleoAt))
	if err != nil {
		t.Fatal(err)
	}
	b.get(u.RequestURI()).says(t, http.StatusSeeOther)
	w.browser().get(u.RequestURI()).says(t, http.StatusUnauthorized)
}

// Nobody is led to a page that is not ours.
func TestOwnPath(t *testing.T) {
	for to, want := range map[string]string{
		"/me": "/me", "/a?b=c%2Fd#e": "/a?b=c%2Fd#e", "": "/", "me": "/", "https://evil.test/": "/", "//evil.test/": "/", "/\\evil.test": "/", "\\\\evil.test": "/",
		"/\tevil": "/", "/a\nb": "/", "javascript:alert(1)": "/", "http:/evil": "/", "/signout": "/", "/signin?to=/": "/", "/signin/callback?code=1": "/", "///evil.test": "/",
		"/" + strings.Repeat("a", 1024): "/", "/%": "/", "/%2F/evil.test": "/%2F/evil.test",
	} {
		if got := ownPath(to); got != want {
			t.Errorf("%q leads to %q, want %q", to, got, want)
		}
	}
	w := newTown(t)
	for _, to := range []string{"https://evil.test/", "//evil.test", "/\\evil.test"} {
		if got := w.browser().signsIn("/signin?to="+url.QueryEscape(to), annAt).Header().Get("Location"); got != "/" {
			t.Errorf("a sign-in with to=%s leads to %q", to, got)
		}
	}
	r := w.as(cleoAt).post("/accounts/new?to="+url.QueryEscape("//evil.test"), "name", "X", "key", "0123456789abcdef")
	if got := r.Header().Get("Location"); !strings.HasPrefix(got, "/accounts/") {
		t.Errorf("opening leads to %q", got)
	}
}

// An id token that has run out is renewed, on whatever request.
func TestSessionsAreRenewed(t *testing.T) {
	w := newTown(t)
	w.asks()
	expired := func() *browser {
		b := w.as(cleoAt)
		b.cookies[refreshCookie] = w.issuer.refreshToken()
		return b
	}
	get, post, gone, without := expired(), expired(), expired(), expired()
	w.advance(2 * time.Hour)
	for name, b := range map[string]*browser{"GET": get, "POST": post} {
		before := b.cookies[idCookie]
		if name == "GET" {
			b.get("/me").says(t, http.StatusOK, cleoAt)
		} else {
			b.post("/requests/"+string(w.con), "do", "deny").says(t, http.StatusSeeOther)
		}
		if b.cookies[idCookie] == before || b.cookies[refreshCookie] == "" {
			t.Errorf("%s: no new cookies", name)
		}
		calls := w.issuer.calls
		b.get("/me").says(t, http.StatusOK, cleoAt)
		if w.issuer.calls != calls {
			t.Errorf("%s: the new token is not used", name)
		}
	}
	if p := w.profile(w.con); p.Status != agency.Denied {
		t.Errorf("a form that renewed its session led to %s", p.Status)
	}
	gone.cookies[refreshCookie] = "gone"
	gone.get("/me").says(t, http.StatusSeeOther)
	gone.get("/").says(t, http.StatusOK, "Welcome")
	delete(without.cookies, refreshCookie)
	without.get("/me").says(t, http.StatusSeeOther)
	// Whoever has kept the refresh token alone is signed in by it.
	only := w.browser()
	only.cookies[refreshCookie] = w.issuer.refreshToken()
	only.get("/me").says(t, http.StatusOK, cleoAt)
	// A token that is not the issuer's is not renewed, it is refused.
	forged := expired()
	forged.cookies[idCookie] = forged.cookies[idCookie][:len(forged.cookies[idCookie])-8] + "AAAAAAAA"
	forged.get("/me").says(t, http.StatusSeeOther)
}

// goesOn is where the answer to a form sent without a session goes on by itself.
// It is no redirect: browsers hold those of a form to form-action, and the issuer
// is another site.
func (s shown) goesOn(t *testing.T) string {
	t.Helper()
	s.says(t, http.StatusUnauthorized, "You have to sign in again.")
	seconds, to, _ := strings.Cut(s.Header().Get("Refresh"), "; url=")
	if seconds != "0" || !strings.HasPrefix(to, "/signin?to=") {
		t.Fatalf("it goes on to %q", s.Header().Get("Refresh"))
	}
	s.has(t, `href="`+to+`"`)
	return to
}

// A form that was sent without a session is given back after the sign-in, and is
// sent once more by the person alone.
func TestAFormIsGivenBack(t *testing.T) {
	w := newTown(t)
	w.asks()
	link := "/requests/" + string(w.con)
	for path, tt := range map[string]struct{ fields, has []string }{
		link: {with(levelFields(agency.Areas{"pages": agency.View}), "do", "accept", "request", "1", "until", "2030-12-24"), []string{`name="area-pages" value="view" checked>`, `value="2030-12-24"`}},
		"/accounts/" + string(w.shop) + "/team": {with(levelFields(agency.Areas{"mail": agency.Edit}), "do", "invite", "role", "admin", "email", "mia@client.test"),
			[]string{`value="mia@client.test"`, `name="area-mail" value="edit" checked>`, `value="admin" required checked>`}},
		"/accounts/" + string(w.shop) + "/settings": {[]string{"do", "rename", "name", "Cleo & <b>Co</b>"}, []string{`value="Cleo &amp; &lt;b&gt;Co&lt;/b&gt;"`}},
		"/accounts/new": {[]string{"name", "Mine", "key", "0123456789abcdef"}, []string{`value="Mine"`, `value="0123456789abcdef"`}},
	} {
		b := w.browser()
		var sent shown
		w.unchanged(t, "a form without a session", func() { sent = b.post(path, tt.fields...) })
		back := b.signsIn(sent.goesOn(t), cleoAt)
		before := w.dump()
		page := b.follow(back)
		page.says(t, http.StatusOK, "What you typed is still here; send it once more.")
		page.has(t, tt.has...)
		if len(w.dump()) != len(before) {
			t.Errorf("%s was sent by itself", path)
		}
		if b.cookies[formCookie] != "" {
			t.Error("the form is still kept")
		}
		b.get(path).hasNot(t, "What you typed is still here")
	}

	// What is too long for a cookie is lost, and that is said.
	b := w.browser()
	sent := b.post("/accounts/new", "name", strings.Repeat("x", 5000), "key", "0123456789abcdef")
	b.follow(b.signsIn(sent.goesOn(t), cleoAt)).says(t, http.StatusOK, "too long to keep")
	w.as(cleoAt).post("/accounts/new", "name", strings.Repeat("x", maxForm)).says(t, http.StatusBadRequest, "That is too long")
}

// Whoever signs in after somebody else in the same browser gets nothing of
// theirs: no session that comes back once the own has run out, nothing that was
// typed, and no notice.
func TestOneBrowserForTwo(t *testing.T) {
	for name, withhold := range map[string]func(*town){
		"no refresh token":           func(w *town) { w.issuer.withholds = true },
		"a refresh token too long":   func(w *town) { w.issuer.padding = maxCookie },
		"a refresh token of his own": func(*town) {},
	} {
		t.Run(name, func(t *testing.T) {
			w := newTown(t)
			b := w.browser()
			b.signsIn("/signin?to=/me", cleoAt)
			withhold(w)
			b.signsIn("/signin?another=1&to=/me", samAt)
			b.get("/me").says(t, http.StatusOK, samAt)
			w.advance(2 * time.Hour)
			b.get("/me").hasNot(t, cleoAt)
		})
	}
	t.Run("what was typed", func(t *testing.T) {
		w := newTown(t)
		b := w.as(cleoAt)
		w.advance(2 * time.Hour)
		sent := b.post("/accounts/new", "name", "Cleo's secret plan", "key", "0123456789abcdef")
		page := b.follow(b.signsIn(sent.goesOn(t), samAt))
		page.says(t, http.StatusOK, samAt)
		page.hasNot(t, "secret plan", "What you typed is still here")
		if b.cookies[formCookie] != "" {
			t.Error("it is still kept")
		}
		// Of whom nothing is known, it is given to whoever signs in; and to herself.
		b = w.as(cleoAt)
		w.advance(2 * time.Hour)
		sent = b.post("/accounts/new", "name", "Cleo's own plan", "key", "0123456789abcdef")
		b.follow(b.signsIn(sent.goesOn(t), cleoAt)).says(t, http.StatusOK, "What you typed is still here")
	})
	t.Run("what was done", func(t *testing.T) {
		w := newTown(t)
		b := w.as(cleoAt)
		b.post("/accounts/"+string(w.shop)+"/settings", "do", "rename", "name", "Cleo").says(t, http.StatusSeeOther)
		b.follow(b.signsIn("/signin?another=1&to=/me", samAt)).hasNot(t, "The account has its new name")
	})
}

// mostHeld is how many bytes of cookies leave room for the rest within the
// 10,240 bytes of headers that an HTTP API takes: beyond, it refuses every request
// until cookies have run out.
const mostHeld = 8 << 10

func (b *browser) holds() int {
	bytes := 0
	for name, value := range b.cookies {
		bytes += len(name) + len(value) + 3
	}
	return bytes
}

// However many tabs are opened, and whatever is typed without a session, the
// cookies of a browser stay within what the gateway takes.
func TestCookiesStaySmall(t *testing.T) {
	w := newTown(t)
	b := w.as(cleoAt)
	b.cookies[refreshCookie] = strings.Repeat("r", 1800)
	b.cookies[idCookie] += strings.Repeat("i", 1200)
	to := "/signin?to=" + url.QueryEscape("/requests/"+string(w.con)+"?"+strings.Repeat("a", 900))
	var last shown
	for range 40 {
		last = b.get(to)
		if b.holds() > mostHeld {
			t.Fatalf("the cookies are of %d bytes", b.holds())
		}
	}
	back, err := url.Parse(w.issuer.signsIn(last.Header().Get("Location"), cleoAt))
	must(t, err)
	b.get(back.RequestURI()).says(t, http.StatusSeeOther)

	// The largest session there can be, which does not hold any more.
	b = w.browser()
	b.cookies[refreshCookie], b.cookies[idCookie] = strings.Repeat("r", maxCookie), strings.Repeat("i", maxCookie)
	sent := b.post("/accounts/new", "name", strings.Repeat("x", 2000), "key", "0123456789abcdef")
	if b.holds() > mostHeld {
		t.Errorf("with what was typed the cookies are of %d bytes", b.holds())
	}
	to = sent.goesOn(t)
	for range 3 {
		b.get(to)
		if b.holds() > mostHeld {
			t.Errorf("with a sign-in that begins the cookies are of %d bytes", b.holds())
		}
	}
	back, err = url.Parse(w.issuer.signsIn(b.get(to).Header().Get("Location"), cleoAt))
	must(t, err)
	again := *b
	again.cookies = maps.Clone(b.cookies)
	b.follow(b.get(back.RequestURI())).says(t, http.StatusOK, "What you typed is still here")

	// The session goes before what was typed, where there is no room for both.
	w.issuer.more, w.issuer.padding = map[string]any{"groups": strings.Repeat("x", 2000)}, 3700
	back, err = url.Parse(w.issuer.signsIn(again.get(to).Header().Get("Location"), cleoAt))
	must(t, err)
	again.get(back.RequestURI()).says(t, http.StatusSeeOther)
	if again.cookies[idCookie] == "" || again.cookies[refreshCookie] == "" || again.holds() > mostHeld {
		t.Errorf("after the sign-in the cookies are of %d bytes", again.holds())
	}
}

func TestSignOut(t *testing.T) {
	w := newTown(t)
	b := w.as(cleoAt)
	b.cookies[refreshCookie] = w.issuer.refreshToken()
	refresh := b.cookies[refreshCookie]
	b.get("/signout").says(t, http.StatusSeeOther)
	b.send(http.MethodPost, "/signout", url.Values{"do": {"signout"}}, "Sec-Fetch-Site", "cross-site").says(t, http.StatusForbidden)
	if b.cookies[idCookie] == "" {
		t.Fatal("somebody else has signed the person out")
	}
	out := b.post("/signout", "do", "signout")
	out.says(t, http.StatusOK, "You are signed out", "Sign out of your sign-in service too")
	out.has(t, w.issuer.URL+"/end?client_id="+clientID)
	out.hasNot(t, cleoAt)
	if len(b.cookies) != 0 || !slices.Contains(w.issuer.revoked, refresh) {
		t.Errorf("the browser keeps %v; revoked are %v", b.cookies, w.issuer.revoked)
	}
	// An issuer that is down does not keep anybody signed in.
	b = w.as(cleoAt)
	b.cookies[refreshCookie] = "some"
	b.get("/me").says(t, http.StatusOK)
	w.issuer.Close()
	b.post("/signout", "do", "signout").says(t, http.StatusOK, "You are signed out")
	if len(b.cookies) != 0 {
		t.Errorf("the browser keeps %v", b.cookies)
	}
}

// While the issuer is down, pages that need no sign-in stand.
func TestIssuerDown(t *testing.T) {
	w := newTown(t)
	w.issuer.Close()
	w.browser().get("/requests/"+string(w.con)).says(t, http.StatusOK, "Sign in to look at it")
	w.browser().get("/").says(t, http.StatusOK, "Welcome")
	w.browser().get("/signin?to=/").says(t, http.StatusUnauthorized, "Signing in does not work at the moment")
	w.as(cleoAt).get("/me").says(t, http.StatusSeeOther)
}

// A token too long for a cookie is not kept in half: browsers drop it in silence.
func TestLongTokens(t *testing.T) {
	w := newTown(t)
	w.issuer.more = map[string]any{"groups": strings.Repeat("x", 4000)}
	b := w.browser()
	b.signsIn("/signin?to=/me", cleoAt).says(t, http.StatusInternalServerError)
	if b.cookies[idCookie] != "" {
		t.Error("a cookie of more than 3,800 bytes is set")
	}
}

// Another sign-in with the same address is not let in.
func TestAnotherIdentity(t *testing.T) {
	w := newTown(t)
	w.issuer.more = map[string]any{"sub": "another"}
	w.as(cleoAt).get("/accounts/"+string(w.shop)+"/team").says(t, http.StatusForbidden, "another sign-in")
}

func TestHeaders(t *testing.T) {
	w := newTown(t)
	for _, path := range []string{"/", "/requests/" + string(w.con), "/nowhere"} {
		page := w.browser().get(path)
		for name, want := range map[string]string{
			"Content-Security-Policy": policy, "Referrer-Policy": "no-referrer", "Strict-Transport-Security": "max-age=31536000", "X-Frame-Options": "DENY",
		} {
			if got := page.Header().Get(name); got != want {
				t.Errorf("%s: %s is %q", path, name, got)
			}
		}
	}
	for _, part := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'", "script-src 'self';", "style-src 'self';"} {
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
