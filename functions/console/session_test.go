package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"agencyhub/shared/agency"
	"agencyhub/shared/table"
	"agencyhub/shared/testbed"
)

// secret returns the secret of the browser's session.
func (b *browser) secret() string { return b.cookies[hostSession] }

// copied returns the same browser, such as another tab.
func (b *browser) copied() *browser {
	other := *b
	other.cookies = maps.Clone(b.cookies)
	return &other
}

// stored returns the browser's session from the table.
func (b *browser) stored() (table.Session, bool) {
	b.t.Helper()
	s, found, err := b.sessions.store.Session(b.t.Context(), table.NewSessionID(b.secret()))
	must(b.t, err)
	return s, found
}

// content returns the opened content of the browser's session.
func (b *browser) content() *session {
	b.t.Helper()
	stored, found := b.stored()
	held, ok := openSession(b.secret(), stored)
	if !found || !ok {
		b.t.Fatalf("the session is there: %t, opens: %t", found, ok)
	}
	return held
}

// sleeps gives the site another pause.
func (s *site) sleeps(pause func(time.Duration) bool) {
	s.sessions.sleep = func(_ context.Context, d time.Duration) bool { return pause(d) }
}

// never fails a test in which a request waits.
func never(t *testing.T) func(time.Duration) bool {
	t.Helper()
	return func(time.Duration) bool {
		t.Error("a request waits")
		return false
	}
}

// An id token that has expired is renewed, on a GET and on a POST. It costs no page more
// than one read.
func TestSessionRenewal(t *testing.T) {
	w := newWorld(t)
	w.request()
	for _, method := range []string{"GET", "POST"} {
		b := w.cleoRenewable()
		cookie, refresh := b.cookies[hostSession], b.content().Refresh
		w.advance(2 * time.Hour)
		if method == "GET" {
			b.get("/me").wantText(t, http.StatusOK, cleoAt)
		} else {
			b.post("/requests/"+string(w.con), "do", "decline", "request", "1").wantText(t, http.StatusSeeOther)
		}
		held := b.content()
		if held.Refresh == refresh || !w.issuer.isOpen(held.Refresh) || !held.Expires.Equal(w.clock().Add(time.Hour)) {
			t.Errorf("%s: the session goes to %s", method, held.Expires)
		}
		wantEqual(t, method+": the cookie", cookie, b.cookies[hostSession])
		calls := w.issuer.calls
		faults := &testbed.Faults{Client: w.db}
		other := w.withStore(faults).browser()
		other.cookies = b.cookies
		faults.TakeCalls()
		other.get("/accounts/new").wantText(t, http.StatusOK, cleoAt)
		wantEqual(t, method+": calls of the store for a page", map[string]int{"GetItem": 1}, faults.TakeCalls())
		wantEqual(t, method+": calls of the issuer, with the new token", calls, w.issuer.calls)
	}
	wantEqual(t, "status after a form that renewed its session", agency.Declined, w.profile(w.con).Status)
}

// A session that the issuer does not renew any more is deleted, and leads to the sign-in.
func TestRenewalIsRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		change  func(*world)
		revokes int
	}{
		"the grant has ended":     {func(w *world) { w.issuer.endGrants() }, 0},
		"an unverified address":   {func(w *world) { w.issuer.extraClaims = map[string]any{"email_verified": false} }, 1},
		"another person":          {func(w *world) { w.issuer.extraClaims = map[string]any{"sub": "another"} }, 1},
		"another audience":        {func(w *world) { w.issuer.extraClaims = map[string]any{"aud": "another"} }, 1},
		"a token of the past":     {func(w *world) { w.issuer.extraClaims = map[string]any{"exp": w.clock().Unix()} }, 1},
		"a wrong signature":       {func(w *world) { w.issuer.signsWrongly = true }, 1},
		"no refresh token at all": {nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			b := w.cleoRenewable()
			if tt.change == nil {
				b = w.as(cleoAt)
				w.advance(time.Hour - time.Second)
				b.get("/me").wantText(t, http.StatusOK, cleoAt)
			} else {
				tt.change(w)
			}
			w.advance(2 * time.Hour)
			b.copied().get("/me").wantText(t, http.StatusSeeOther)
			b.get("/").wantText(t, http.StatusOK, "Welcome")
			if _, found := b.stored(); found != (tt.change == nil) {
				t.Errorf("the session is there: %t", found)
			}
			wantEqual(t, "revoked refresh tokens", tt.revokes, len(w.issuer.revoked))
			// The form is kept, and only for the same person.
			w.issuer.extraClaims, w.issuer.signsWrongly = nil, false
			sent := b.post("/accounts/new", "name", "Cleo's plan", "key", "0123456789abcdef")
			to := sent.refreshTarget(t)
			sam := b.copied()
			page := sam.follow(sam.signIn(to, samAt))
			page.wantText(t, http.StatusOK, samAt)
			page.wantNoMarkup(t, "Cleo")
			b.follow(b.signIn(to, cleoAt)).wantText(t, http.StatusOK, "What you typed is still here")
		})
	}
}

// atOnce sends requests of one browser from many tabs at two instances. It returns the
// responses.
func atOnce(w *world, b *browser, tabs int, send func(tab int, b *browser) result) []result {
	other := w.withStore(w.db)
	results := make([]result, tabs)
	var all sync.WaitGroup
	for tab := range tabs {
		copied := b.copied()
		if tab%2 == 1 {
			copied.site = other
		}
		all.Go(func() { results[tab] = send(tab, copied) })
	}
	all.Wait()
	return results
}

// Twenty tabs need a new id token at once, of an issuer that rotates refresh tokens and
// ends a grant whose token comes again. One renews it, and the others wait. Nobody signs
// in again, no form is lost, and the next renewal works too.
func TestManyTabs(t *testing.T) {
	const tabs = 20
	w := newWorld(t)
	b := w.cleoRenewable()
	for round := range 3 {
		w.advance(2 * time.Hour)
		// The issuer answers once all others wait; these go on once the first has its page.
		var mu sync.Mutex
		waiting, gate, done := 0, make(chan struct{}), make(chan struct{})
		finish := sync.OnceFunc(func() { close(done) })
		w.sleeps(func(time.Duration) bool {
			mu.Lock()
			if waiting++; waiting == tabs-1 {
				close(gate)
			}
			mu.Unlock()
			<-done
			return true
		})
		w.issuer.beforeToken = func() int { <-gate; return 0 }
		before := w.issuer.calls
		results := atOnce(w, b, tabs, func(tab int, b *browser) result {
			defer finish()
			if tab%4 == 0 {
				return b.post("/accounts/new", "name", fmt.Sprintf("Shop %d of %d", tab, round), "key", fmt.Sprintf("%016d", 100*round+tab))
			}
			return b.get("/me")
		})
		for tab, r := range results {
			if tab%4 == 0 && (r.Code != http.StatusSeeOther || !strings.HasPrefix(r.Header().Get("Location"), "/accounts/acct_")) ||
				tab%4 != 0 && (r.Code != http.StatusOK || !strings.Contains(r.text, cleoAt)) {
				t.Errorf("round %d, tab %d: %d, %s", round, tab, r.Code, r.Header().Get("Location"))
			}
		}
		wantEqual(t, "calls of the issuer", 1, w.issuer.calls-before)
		wantEqual(t, "requests that wait", tabs-1, waiting)
	}
	wantEqual(t, "refresh tokens that came again", 0, w.issuer.reuses)
}

// While the id token is valid, no request waits for its renewal.
func TestEarlyRenewal(t *testing.T) {
	const tabs = 20
	w := newWorld(t)
	b := w.cleoRenewable()
	w.sleeps(never(t))
	w.advance(time.Hour - maxEarly)
	done, finish := make(chan struct{}), 0
	var mu sync.Mutex
	w.issuer.beforeToken = func() int { <-done; return 0 }
	for _, r := range atOnce(w, b, tabs, func(_ int, b *browser) result {
		r := b.get("/me")
		mu.Lock()
		defer mu.Unlock()
		if finish++; finish == tabs-1 {
			close(done) // all but the one that renews it have their page
		}
		return r
	}) {
		r.wantText(t, http.StatusOK, cleoAt)
	}
	wantEqual(t, "calls of the issuer", 1, w.issuer.calls)
	wantEqual(t, "refresh tokens that came again", 0, w.issuer.reuses)
	if held := b.content(); !held.Expires.Equal(w.clock().Add(time.Hour)) {
		t.Errorf("the id token is valid until %s", held.Expires)
	}
}

// A request that has read a session before it was renewed by another does not use the
// old refresh token.
func TestLateRenewal(t *testing.T) {
	w := newWorld(t)
	b := w.cleoRenewable()
	w.sleeps(func(time.Duration) bool { return true })
	w.advance(2 * time.Hour)
	faults := &testbed.Faults{Client: w.db}
	other := b.copied()
	first := sync.OnceFunc(func() { other.get("/me").wantText(t, http.StatusOK, cleoAt) })
	faults.BeforeUpdate = func(*dynamodb.UpdateItemInput) error { first(); return nil }
	late := b.copied()
	late.site = w.withStore(faults)
	late.get("/me").wantText(t, http.StatusOK, cleoAt)
	wantEqual(t, "calls of the issuer", 1, w.issuer.calls)
	wantEqual(t, "refresh tokens that came again", 0, w.issuer.reuses)
}

// A request that dies during a renewal keeps others waiting until its lease ends.
func TestRenewalThatDies(t *testing.T) {
	w := newWorld(t)
	b := w.cleoRenewable()
	id := table.NewSessionID(b.secret())
	die := func(now time.Time) {
		leased, err := w.sessions.store.LeaseSession(t.Context(), id, 1, "one that dies", now, now.Add(leaseTime))
		if must(t, err); !leased {
			t.Fatal("no lease")
		}
	}
	w.advance(time.Hour - maxEarly)
	die(w.clock())
	w.sleeps(never(t))
	b.get("/me").wantText(t, http.StatusOK, cleoAt)
	wantEqual(t, "calls of the issuer while the token is valid", 0, w.issuer.calls)

	w.advance(2 * time.Hour)
	die(w.clock())
	waited := time.Duration(0)
	w.sleeps(func(d time.Duration) bool { waited += d; return true })
	page := b.post("/accounts/new", "name", "Mine", "key", "0123456789abcdef")
	page.wantText(t, http.StatusServiceUnavailable, "We can’t confirm your sign-in right now. Nothing was changed", "Send it again")
	page.wantMarkup(t, `name="name" value="Mine"`)
	if waited < leaseTime || waited > maxWait+maxPause {
		t.Errorf("it waits %s", waited)
	}
	w.sleeps(func(d time.Duration) bool { w.advance(d); return true })
	b.post("/accounts/new", "name", "Mine", "key", "0123456789abcdef").wantText(t, http.StatusSeeOther)
	wantEqual(t, "calls of the issuer", 1, w.issuer.calls)
	wantEqual(t, "version of the session", 2, w.mustStored(t, b).Version)
}

func (w *world) mustStored(t *testing.T, b *browser) table.Session {
	t.Helper()
	s, found := b.stored()
	if !found {
		t.Fatal("the session is gone")
	}
	return s
}

// An outage of the issuer signs nobody out.
func TestIssuerOutage(t *testing.T) {
	for name, tt := range map[string]struct {
		fail, mend func(*testIssuer)
	}{
		"a 500":                       {func(i *testIssuer) { i.beforeToken = func() int { return 500 } }, func(i *testIssuer) { i.beforeToken = nil }},
		"a 429":                       {func(i *testIssuer) { i.beforeToken = func() int { return 429 } }, func(i *testIssuer) { i.beforeToken = nil }},
		"a key that is not shown yet": {func(i *testIssuer) { i.kid = "2" }, func(i *testIssuer) { i.kid = "1" }},
		"no keys for a new token":     {func(i *testIssuer) { i.failsKeys = true }, func(i *testIssuer) { i.failsKeys = false }},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			b := w.cleoRenewable()
			tt.fail(w.issuer)
			// Another instance does not know the issuer's keys.
			fresh, err := newConsole(w.svc, w.sessions.store, w.env, w.clock)
			must(t, err)
			b.site = &site{console: fresh, t: t, issuer: w.issuer, db: w.db, table: w.table}
			w.advance(time.Hour - maxEarly)
			for range 3 {
				b.get("/me").wantText(t, http.StatusOK, cleoAt)
			}
			w.advance(2 * time.Hour)
			page := b.post("/accounts/new", "name", "Mine", "key", "0123456789abcdef")
			page.wantText(t, http.StatusServiceUnavailable, "We can’t confirm your sign-in right now", "Send it again")
			if page.Header().Get("Retry-After") == "" || b.cookies[hostSession] == "" {
				t.Error("no Retry-After, or no session")
			}
			b.get("/me").wantText(t, http.StatusServiceUnavailable, "We can’t load this page right now", "Try again")
			tt.mend(w.issuer)
			w.advance(issuerPause)
			action, kept := page.kept(t)
			b.send(http.MethodPost, action, kept, "Sec-Fetch-Site", "same-origin").wantText(t, http.StatusSeeOther)
			wantEqual(t, "refresh tokens that came again", 0, w.issuer.reuses)
		})
	}
	t.Run("an answer that is lost", func(t *testing.T) {
		// Whether the issuer has rotated the token is not known: the next use may be refused.
		w := newWorld(t)
		b := w.cleoRenewable()
		w.advance(2 * time.Hour)
		w.issuer.loses = 502
		b.get("/me").wantText(t, http.StatusServiceUnavailable)
		w.issuer.loses = 0
		w.advance(issuerPause)
		b.get("/me").wantText(t, http.StatusSeeOther)
		wantEqual(t, "refresh tokens that came again", 1, w.issuer.reuses)
	})
}

// During an outage the issuer is not asked by every page.
func TestOutageIsNotHammered(t *testing.T) {
	w := newWorld(t)
	b := w.cleoRenewable()
	asked := 0
	w.issuer.beforeToken = func() int { asked++; return 503 }
	w.advance(time.Hour - maxEarly)
	for range 5 {
		b.get("/me").wantText(t, http.StatusOK, cleoAt)
	}
	wantEqual(t, "calls of the issuer", 1, asked)
	w.advance(leaseTime)
	b.get("/me").wantText(t, http.StatusOK, cleoAt)
	wantEqual(t, "calls of the issuer after the lease", 2, asked)
	// Nor after the end of the id token.
	w.advance(2 * time.Hour)
	for range 5 {
		b.get("/me").wantText(t, http.StatusServiceUnavailable)
	}
	wantEqual(t, "calls of the issuer after the id token's end", 3, asked)
	w.advance(issuerPause)
	b.get("/me").wantText(t, http.StatusServiceUnavailable)
	wantEqual(t, "calls of the issuer after the pause", 4, asked)
}

// failsRenewals lets so many attempts to save renewed content fail.
func failsRenewals(w *world, attempts int) *testbed.Faults {
	faults := &testbed.Faults{Client: w.db}
	faults.BeforeUpdate = func(in *dynamodb.UpdateItemInput) error {
		if strings.Contains(aws.ToString(in.UpdateExpression), "#sealed = :sealed, #version = :next") {
			if attempts--; attempts >= 0 {
				return &types.ThrottlingException{}
			}
		}
		return nil
	}
	return faults
}

// New tokens are saved in spite of a busy store, since the old refresh token is used.
func TestRenewalIsSaved(t *testing.T) {
	w := newWorld(t)
	w.sleeps(func(time.Duration) bool { return true })
	b := w.cleoRenewable()
	w.advance(2 * time.Hour)
	b.site = w.withStore(failsRenewals(w, 6))
	b.get("/me").wantText(t, http.StatusOK, cleoAt)
	if !w.issuer.isOpen(b.content().Refresh) {
		t.Error("the new refresh token is lost")
	}

	// Where that fails to the end, the request is served, and the session ends later.
	b = w.cleoRenewable()
	w.advance(2 * time.Hour)
	b.site = w.withStore(failsRenewals(w, 1000))
	b.get("/me").wantText(t, http.StatusOK, cleoAt)
	b.site = w.site
	w.advance(leaseTime)
	b.get("/me").wantText(t, http.StatusSeeOther)
	if _, found := b.stored(); found {
		t.Error("the session is still there")
	}
}

// A sign-out during a renewal stays one: the renewed session does not come back, and its
// tokens are worth nothing.
func TestSignOutDuringRenewal(t *testing.T) {
	w := newWorld(t)
	b := w.cleoRenewable()
	old := b.content().Refresh
	w.advance(2 * time.Hour)
	for _, late := range []bool{false, true} {
		b := b.copied()
		if late {
			b = w.cleoRenewable()
			old = b.content().Refresh
			w.advance(2 * time.Hour)
		}
		other := b.copied()
		signOut := sync.OnceFunc(func() { other.post("/signout", "do", "signout").wantText(t, http.StatusOK, "You are signed out") })
		if late {
			// After the issuer's answer, before the store's.
			faults := &testbed.Faults{Client: w.db}
			faults.BeforeUpdate = func(in *dynamodb.UpdateItemInput) error {
				if strings.Contains(aws.ToString(in.UpdateExpression), "#sealed = :sealed, #version = :next") {
					signOut()
				}
				return nil
			}
			b.site = w.withStore(faults)
		} else {
			w.issuer.beforeToken = func() int { signOut(); return 0 }
		}
		b.get("/me").wantText(t, http.StatusSeeOther)
		w.issuer.beforeToken = nil
		if _, found := b.stored(); found {
			t.Error("the session is back")
		}
		if !slices.Contains(w.issuer.revoked, old) {
			t.Error("the refresh token is not revoked")
		}
		for refresh := range w.issuer.refreshes {
			if w.issuer.isOpen(refresh) {
				t.Errorf("late %t: a refresh token can be used", late)
			}
		}
	}
	// The late renewal has revoked its new token too, whatever the issuer does about it.
	wantEqual(t, "revoked refresh tokens", 3, len(w.issuer.revoked))
}

// A session ends by the clock, whether DynamoDB has deleted its item or not.
func TestSessionEnds(t *testing.T) {
	w := newWorld(t)
	b := w.cleoRenewable()
	for range 30 {
		w.advance(24*time.Hour - time.Second)
		b.get("/me").wantText(t, http.StatusOK, cleoAt)
	}
	w.advance(time.Minute)
	refresh := b.content().Refresh
	b.get("/me").wantText(t, http.StatusSeeOther)
	if _, found := b.stored(); found || !slices.Contains(w.issuer.revoked, refresh) {
		t.Errorf("the item is there: %t; revoked are %d refresh tokens", found, len(w.issuer.revoked))
	}
}

// What the table holds of a session shows nothing of its person, and opens for the
// cookie only.
func TestSealedSession(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	b.signIn("/signin?to=/me", cleoAt)
	ann := w.as(annAt)
	held := b.content()
	items := testbed.Items(t, w.db, w.table)
	key := "SESSION#" + string(table.NewSessionID(b.secret())) + " SESSION"
	item := items[key]
	var names []string
	for name, value := range item {
		names = append(names, name)
		text, err := json.Marshal(value)
		must(t, err)
		if sealed, ok := value.(*types.AttributeValueMemberB); ok {
			text = sealed.Value
		}
		for _, secret := range []string{cleoAt, "sub-", held.Refresh, b.secret(), w.issuer.URL, string(w.cleo.ID())} {
			if strings.Contains(string(text), secret) {
				t.Errorf("%s shows %s", name, secret)
			}
		}
	}
	slices.Sort(names)
	wantEqual(t, "attributes", []string{"pk", "sealed", "sk", "ttl", "version"}, names)
	wantEqual(t, "ttl", fmt.Sprint(w.clock().Add(sessionTime).Unix()), testbed.Num(item["ttl"]))
	if strings.Contains(b.cookies[hostSession], "cleo") || len(held.seal(b.secret())) > 1000 {
		t.Errorf("the cookie is %s", b.cookies[hostSession])
	}

	put := func(of *browser, sealed []byte) {
		t.Helper()
		_, err := w.db.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{
			TableName: &w.table, UpdateExpression: aws.String("SET sealed = :sealed"),
			Key: map[string]types.AttributeValue{
				"pk": text("SESSION#" + string(table.NewSessionID(of.secret()))), "sk": text("SESSION"),
			},
			ExpressionAttributeValues: map[string]types.AttributeValue{":sealed": &types.AttributeValueMemberB{Value: sealed}},
		})
		must(t, err)
	}
	whole := w.mustStored(t, b).Sealed
	flipped := slices.Clone(whole)
	flipped[len(flipped)/2] ^= 1
	for name, sealed := range map[string][]byte{
		"of another item": w.mustStored(t, ann).Sealed, "cut": whole[:20], "empty": {}, "changed": flipped,
		"sealed under another secret": held.seal(ann.secret()),
		"sealed for another item":     newCipher(b.secret()).Seal(nil, nil, must2(json.Marshal(held)), []byte(table.NewSessionID(ann.secret()))),
		"sealed for no item":          newCipher(b.secret()).Seal(nil, nil, must2(json.Marshal(held)), nil),
		"of another issuer":           (&session{Email: annAt, Issuer: "https://evil.test", Subject: "x", Expires: held.Expires, RenewAt: held.RenewAt, Ends: held.Ends}).seal(b.secret()),
	} {
		put(b, sealed)
		if page := b.get("/me"); page.Code != http.StatusSeeOther {
			t.Errorf("content %s answers %d: %s", name, page.Code, page.text)
		}
	}
	put(b, whole)
	b.get("/me").wantText(t, http.StatusOK, cleoAt)
}

func must2[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// Cookies without a session lead to the sign-in, and cost a read only where they have
// the form of one.
func TestForeignCookies(t *testing.T) {
	w := newWorld(t)
	faults := &testbed.Faults{Client: w.db}
	other := w.withStore(faults)
	b := w.as(cleoAt)
	for value, reads := range map[string]int{
		"": 0, "x": 0, ".": 0, strings.Repeat("A", 25): 0, strings.Repeat("A", 27): 0, strings.ToLower(b.secret()): 0, b.secret()[:25] + "!": 0,
		strings.Repeat("A", 3000): 0, strings.Repeat("A", 26): 1, strings.Repeat("A", 26) + ".x": 0, string(table.NewSessionID(b.secret())): 0,
	} {
		visitor := other.browser()
		visitor.cookies[hostSession] = value
		faults.TakeCalls()
		visitor.get("/me").wantRedirect(t, "/signin?to=%2Fme")
		wantEqual(t, "reads for "+value, reads, faults.Calls("GetItem"))
		visitor.post("/accounts/new", "name", "Mine", "key", "0123456789abcdef").wantText(t, http.StatusUnauthorized)
	}
}

// Pages and files for everyone read no session, and work while it can't be read. Other
// pages are tried again, and keep what was typed.
func TestBusySession(t *testing.T) {
	w := newWorld(t)
	busy := true
	faults := &testbed.Faults{Client: w.db}
	faults.BeforeGet = func(*dynamodb.GetItemInput) error {
		if busy {
			return &types.ThrottlingException{}
		}
		return nil
	}
	b := w.as(cleoAt)
	b.site = w.withStore(faults)
	for _, path := range []string{"/favicon.ico", "/robots.txt", "/stop/" + strings.Repeat("x", 8), "/signin?to=/", "/signin/callback?state=12345678", "/signout"} {
		if page := b.get(path); page.Code == http.StatusServiceUnavailable {
			t.Errorf("%s is not served", path)
		}
	}
	wantEqual(t, "reads", 0, faults.Calls("GetItem"))
	for _, path := range []string{"/", "/me", "/accounts/" + string(w.shop) + "/team", "/requests/" + string(w.con)} {
		page := b.get(path)
		page.wantText(t, http.StatusServiceUnavailable, "We can’t load this page right now", "Try again")
		page.wantNoMarkup(t, "Sign in")
	}
	page := b.post("/accounts/"+string(w.shop)+"/settings", "do", "rename", "name", "Cleo & Co")
	page.wantText(t, http.StatusServiceUnavailable, "Nothing was changed", "Send it again")
	busy = false
	action, kept := page.kept(t)
	b.send(http.MethodPost, action, kept, "Sec-Fetch-Site", "same-origin").wantText(t, http.StatusSeeOther)
	busy = true
	b.get("/me").wantText(t, http.StatusServiceUnavailable)
	busy = false
	b.get("/accounts/"+string(w.shop)+"/settings").wantText(t, http.StatusOK, "Name changed.")
}

// A sign-out deletes the session, revokes its refresh token, and ends the issuer's own
// session. The next sign-in asks who the person is.
func TestSignOut(t *testing.T) {
	w := newWorld(t)
	b := w.cleoRenewable()
	refresh := b.content().Refresh
	b.get("/signout").wantRedirect(t, "/")
	b.send(http.MethodPost, "/signout", url.Values{"do": {"signout"}}, "Sec-Fetch-Site", "cross-site").wantText(t, http.StatusForbidden)
	if b.copied().get("/me").Code != http.StatusOK {
		t.Fatal("somebody else has signed the person out")
	}
	out := b.post("/signout", "do", "signout")
	out.wantText(t, http.StatusOK, "You are signed out", "Sign out there too")
	end := w.issuer.URL + "/end?" + url.Values{
		"client_id": {clientID}, "post_logout_redirect_uri": {publicURL + "/signout"}, "logout_uri": {publicURL + "/signout"},
	}.Encode()
	wantEqual(t, "where it goes on", "0; url="+end, out.Header().Get("Refresh"))
	out.wantMarkup(t, `href="`+strings.ReplaceAll(end, "&", "&amp;")+`"`)
	out.wantNoMarkup(t, cleoAt)
	if len(b.cookies) != 1 || b.cookies[hostSignedOut] == "" || !slices.Contains(w.issuer.revoked, refresh) {
		t.Errorf("the browser keeps %v; revoked are %v", b.cookies, w.issuer.revoked)
	}
	golden(t, "signed-out-here", []byte(strings.ReplaceAll(out.Body.String(), w.issuer.URL, "https://issuer.test")))
	back := b.get("/signout")
	back.wantText(t, http.StatusOK, "You are signed out", "Sign in again")
	golden(t, "signed-out", back.Body.Bytes())
	w.browser().get("/signout").wantRedirect(t, "/")
	wantEqual(t, "where the page after it goes on", "", back.Header().Get("Refresh"))

	// Until somebody has signed in, the issuer asks.
	for range 2 {
		if at := b.get("/signin?to=/me").Header().Get("Location"); !strings.Contains(at, "prompt=login") {
			t.Errorf("after the sign-out it leads to %s", at)
		}
	}
	b.signIn("/signin?to=/me", cleoAt).wantRedirect(t, "/me")
	if at := b.get("/signin?to=/me").Header().Get("Location"); strings.Contains(at, "prompt") || b.cookies[hostSignedOut] != "" {
		t.Errorf("after the sign-in it leads to %s", at)
	}
}

// A sign-out works while the issuer is down, and does not lead there. While the store is
// busy it is not done, and says so.
func TestSignOutInTrouble(t *testing.T) {
	w := newWorld(t)
	busy := true
	faults := &testbed.Faults{Client: w.db}
	faults.BeforeDelete = func(*dynamodb.DeleteItemInput) error {
		if busy {
			return &types.ThrottlingException{}
		}
		return nil
	}
	b := w.cleoRenewable()
	was := b.copied()
	b.site = w.withStore(faults)
	page := b.post("/signout", "do", "signout")
	page.wantText(t, http.StatusServiceUnavailable, "Nothing was changed", "Send it again")
	page.wantNoMarkup(t, "You are signed out")
	b.get("/me").wantText(t, http.StatusOK, cleoAt)
	busy = false
	w.issuer.Close()
	action, kept := page.kept(t)
	out := b.send(http.MethodPost, action, kept, "Sec-Fetch-Site", "same-origin")
	out.wantText(t, http.StatusOK, "You are signed out", "Sign out there too")
	wantEqual(t, "where it goes on", "", out.Header().Get("Refresh"))
	if len(b.cookies) != 1 {
		t.Errorf("the browser keeps %v", b.cookies)
	}
	was.get("/me").wantText(t, http.StatusSeeOther)
}

// After a sign-out the old cookies open no page, and no form does anything with them.
func TestOldCookiesOpenNothing(t *testing.T) {
	w := newWorld(t)
	w.request()
	w.inviteOnly(miaAt, agency.Owner)
	b := w.cleoRenewable()
	link := w.stopLink(t, cleoAt)
	old := b.copied()
	b.post("/signout", "do", "signout").wantText(t, http.StatusOK)
	for _, later := range []time.Duration{0, 2 * time.Hour} {
		w.advance(later)
		for pattern := range w.fields {
			path := strings.NewReplacer("{id}", string(w.con), "{account}", string(w.shop), "{agency}", string(w.studio),
				"{member}", string(w.studio), "{$}", "").Replace(pattern)
			switch pattern {
			case "/invitations/{account}":
				path = w.invitation()
			case "/":
				path = "/nowhere"
			default:
			}
			visitor := old.copied()
			page := visitor.get(path)
			page.wantNoMarkup(t, cleoAt, "Cleo Shoes", "Bright Studio")
			if page.Code == http.StatusOK && !slices.Contains([]string{"/{$}", "/requests/{id}", "/invitations/{account}", "/signout", "/docs"}, pattern) {
				t.Errorf("GET %s answers %d: %s", path, page.Code, page.text)
			}
			w.demandUnchanged(t, "forms to "+path, func() {
				for _, do := range []string{"accept", "decline", "block", "revoke", "rename", "close", "invite", "erase", "open", "hub-on", "allow", "stop-mail"} {
					page := old.copied().post(path, "do", do, "request", "1", "name", "Gotcha", "confirm", "Cleo Shoes", "key", "0123456789abcdef",
						"email", "x@evil.test", "role", "admin", "plan", "starter", "area-pages", "view")
					page.wantNoMarkup(t, cleoAt, "Cleo Shoes", "Bright Studio")
				}
			})
		}
	}
	// The link that stops emails is of its own right, and no more.
	old.get(link).wantNoMarkup(t, cleoAt)
	wantEqual(t, "calls of the issuer", 0, w.issuer.calls)
}

// A hub at an http address sets cookies that browsers take there.
func TestCookiesOverHTTP(t *testing.T) {
	w := newWorld(t)
	env := w.env
	env.PublicURL = "http://localhost:8080"
	plain, err := newConsole(w.svc, w.sessions.store, env, w.clock)
	must(t, err)
	b := (&site{console: plain, t: t, issuer: w.issuer, db: w.db, table: w.table}).browser()
	b.follow(b.signIn("/signin?to=/me", cleoAt)).wantText(t, http.StatusOK, cleoAt)
	wantEqual(t, "names of cookies", []string{"hub-session"}, slices.Collect(maps.Keys(b.cookies)))
	old := b.copied()
	b.post("/signout", "do", "signout").wantText(t, http.StatusOK)
	wantEqual(t, "names of cookies after the sign-out", []string{"hub-signed-out"}, slices.Collect(maps.Keys(b.cookies)))
	old.get("/me").wantText(t, http.StatusSeeOther)
	// Each kind of address has cookies of its own.
	secure := w.browser()
	secure.cookies["hub-session"] = w.as(cleoAt).cookies[hostSession]
	secure.get("/me").wantText(t, http.StatusSeeOther)
}

// Forms of our own pages are taken by browsers without fetch metadata too, which send
// their origin because of the referrer policy. Those without any origin are refused.
func TestFormOrigins(t *testing.T) {
	w := newWorld(t)
	path := "/accounts/" + string(w.shop) + "/settings"
	for name, tt := range map[string]struct {
		headers []string
		status  int
	}{
		"our origin":                      {[]string{"Origin", publicURL}, http.StatusSeeOther},
		"our origin and fetch metadata":   {[]string{"Origin", publicURL, "Sec-Fetch-Site", "same-origin"}, http.StatusSeeOther},
		"no origin and fetch metadata":    {[]string{"Origin", "null", "Sec-Fetch-Site", "same-origin"}, http.StatusSeeOther},
		"no origin":                       {[]string{"Origin", "null"}, http.StatusForbidden},
		"another origin":                  {[]string{"Origin", "https://evil.test"}, http.StatusForbidden},
		"another origin, fetch metadata":  {[]string{"Origin", "https://evil.test", "Sec-Fetch-Site", "cross-site"}, http.StatusForbidden},
		"our host by another scheme":      {[]string{"Origin", "http://hub.test:80"}, http.StatusForbidden},
		"no origin, from another site":    {[]string{"Origin", "null", "Sec-Fetch-Site", "cross-site"}, http.StatusForbidden},
		"no origin, from our own subsite": {[]string{"Origin", "null", "Sec-Fetch-Site", "same-site"}, http.StatusForbidden},
	} {
		got := w.as(cleoAt).send(http.MethodPost, path, url.Values{"do": {"rename"}, "name": {"Cleo Shoes"}}, tt.headers...)
		if got.Code != tt.status {
			t.Errorf("%s: %d", name, got.Code)
		}
	}
}

// A sign-out does nothing for a person who signed in after its page was opened.
func TestSignOutOfAnotherPerson(t *testing.T) {
	w := newWorld(t)
	b := w.as(cleoAt)
	tab := b.copied()
	b.signIn("/signin?another=1&to=/me", samAt)
	tab.cookies = b.cookies
	page := tab.post("/signout", "do", "signout")
	page.wantText(t, http.StatusConflict, "Somebody else is signed in", "Nothing was changed", samAt)
	wantEqual(t, "saved forms", 0, b.forms())
	b.get("/me").wantText(t, http.StatusOK, samAt)
	b.post("/signout", "do", "signout").wantText(t, http.StatusOK, "You are signed out")
}
