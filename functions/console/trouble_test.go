package main

import (
	"context"
	"fmt"
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
	"agencyhub/shared/service"
	"agencyhub/shared/table"
	"agencyhub/shared/testbed"
)

// cold returns the same site at another instance, which knows nothing of the issuer yet.
func (s *site) cold(t *testing.T) *site {
	t.Helper()
	other := s.withStore(s.db)
	other.issuer = s.issuer
	other.console.issuer = newIssuer(s.env, s.clock)
	other.sessions.issuer = other.console.issuer
	return other
}

// An OAuth error code ends a session, but for those of a server that is busy or fails.
// During a failure every page offers to sign in again.
func TestRefusalOfRenewal(t *testing.T) {
	for _, tt := range []struct {
		status int
		code   string
		ends   bool
	}{
		{400, "invalid_grant", true}, {400, "interaction_required", true}, {401, "invalid_client", true},
		{400, "unauthorized_client", true}, {403, "access_denied", true},
		{400, "temporarily_unavailable", false}, {400, "server_error", false}, {429, "invalid_request", false},
		{500, "invalid_grant", false}, {403, "", false}, {503, "", false},
	} {
		t.Run(fmt.Sprint(tt.status, " ", tt.code), func(t *testing.T) {
			w := newWorld(t)
			b := w.cleoRenewable()
			w.advance(2 * time.Hour)
			w.issuer.refusal, w.issuer.refusalStatus = tt.code, tt.status
			page := b.get("/me")
			if _, found := b.stored(); found == tt.ends {
				t.Errorf("the session is there: %t", found)
			}
			if tt.ends {
				page.wantRedirect(t, "/signin?to=%2Fme")
				return
			}
			page.wantText(t, http.StatusServiceUnavailable, "Try again", "Sign in again")
			page.wantMarkup(t, `href="/signin?to=%2Fme"`)
			sent := b.post("/accounts/new", "name", "Mine", "key", "0123456789abcdef")
			sent.wantText(t, http.StatusServiceUnavailable, "Send it again", "sign in again in a new tab")
			sent.wantMarkup(t, `href="/signin?to=%2Faccounts%2Fnew"`)
			w.issuer.refusal, w.issuer.refusalStatus = "", 0
			// The person signs in there, and sends the form of the first tab.
			b.signIn("/signin?to=/me", cleoAt).wantRedirect(t, "/me")
			action, kept := sent.kept(t)
			b.send(http.MethodPost, action, kept, "Sec-Fetch-Site", "same-origin").wantText(t, http.StatusSeeOther)
		})
	}
}

// A saved form waits for its own page, whatever other tabs do.
func TestSavedFormsOfTabs(t *testing.T) {
	plan := []string{"name", "Cleo's plan", "key", "0123456789abcdef"}
	const kept = "What you typed is still here"
	t.Run("another page first", func(t *testing.T) {
		w := newWorld(t)
		b := w.as(cleoAt)
		w.advance(2 * time.Hour)
		b.post("/accounts/new", plan...).refreshTarget(t)
		page := b.follow(b.signIn("/signin?to=/me", cleoAt))
		page.wantText(t, http.StatusOK, cleoAt)
		page.wantNoMarkup(t, kept)
		b.send(http.MethodHead, "/accounts/new", nil)
		b.send(http.MethodGet, "/accounts/new", nil, "HX-Request", "true")
		page = b.get("/accounts/new")
		page.wantText(t, http.StatusOK, kept)
		page.wantMarkup(t, `value="Cleo&#39;s plan"`)
		b.get("/accounts/new").wantNoMarkup(t, kept, "plan")
	})
	t.Run("two forms", func(t *testing.T) {
		w := newWorld(t)
		settings := "/accounts/" + string(w.shop) + "/settings"
		b := w.as(cleoAt)
		w.advance(2 * time.Hour)
		to := b.post("/accounts/new", "name", "Cleo's plan"+strings.Repeat("x", 1200)).refreshTarget(t)
		b.post(settings, "do", "rename", "name", "Cleo's name").refreshTarget(t)
		// A third that is too long leaves the others alone, and says that it is lost.
		long := b.post("/me", "do", "erase", "confirm", strings.Repeat("x", 2700))
		long.wantText(t, http.StatusUnauthorized, "too long to be kept")
		wantEqual(t, "forms", 3, b.forms())
		first := b.follow(b.signIn(to, cleoAt))
		first.wantText(t, http.StatusOK, kept)
		first.wantMarkup(t, `value="Cleo&#39;s planx`)
		second := b.get(settings)
		second.wantText(t, http.StatusOK, kept)
		second.wantMarkup(t, `value="Cleo&#39;s name"`)
		b.get("/me").wantText(t, http.StatusOK, "What you typed was too long to keep")
		wantEqual(t, "forms that are left", 0, b.forms())
	})
	t.Run("a sign-in that fails", func(t *testing.T) {
		w := newWorld(t)
		b := w.as(cleoAt)
		w.advance(2 * time.Hour)
		to := b.post("/accounts/new", plan...).refreshTarget(t)
		w.issuer.beforeToken = func() int { return http.StatusInternalServerError }
		failed := b.signIn(to, cleoAt)
		failed.wantText(t, http.StatusServiceUnavailable, "Your sign-in service can’t be reached right now")
		failed.wantMarkup(t, `href="/signin?to=%2Faccounts%2Fnew"`)
		another := b.copied().signIn("/signin?another=1&to=/me", cleoAt)
		another.wantMarkup(t, `href="/signin?another=1&amp;to=%2Fme"`)
		w.issuer.beforeToken = nil
		b.get("/").wantNoMarkup(t, kept)
		b.follow(b.signIn("/signin?to=%2Faccounts%2Fnew", cleoAt)).wantText(t, http.StatusOK, kept)
		// A refusal leads there too.
		at := w.issuer.signIn(b.get("/signin?to=/accounts/new").Header().Get("Location"), cleoAt)
		b.get("/signin/callback?state="+at.Query().Get("state")).wantMarkup(t, `href="/signin?to=%2Faccounts%2Fnew"`)
	})
	t.Run("after a sign-out", func(t *testing.T) {
		w := newWorld(t)
		b := w.as(cleoAt)
		b.post("/signout", "do", "signout").wantText(t, http.StatusOK)
		to := b.post("/accounts/new", plan...).refreshTarget(t)
		sam := b.copied()
		sam.follow(sam.signIn(to, samAt)).wantNoMarkup(t, kept, "plan")
		b.follow(b.signIn(to, cleoAt)).wantText(t, http.StatusOK, kept)
	})
}

// A form does nothing for a person who signed in after its page was opened.
func TestFormOfAnotherPerson(t *testing.T) {
	w := newWorld(t)
	b := w.as(cleoAt)
	tab := b.copied()
	b.signIn("/signin?another=1&to=/me", samAt)
	tab.cookies = b.cookies
	var page result
	w.demandUnchanged(t, "a form of Cleo's", func() {
		page = tab.post("/accounts/new", "name", "Cleo's plan", "key", "0123456789abcdef")
	})
	page.wantText(t, http.StatusConflict, "Somebody else is signed in", "Nothing was changed", samAt)
	page.wantMarkup(t, `href="/signin?another=1&amp;to=%2Faccounts%2Fnew"`)
	page.wantNoMarkup(t, "plan", cleoAt)
	sam := b.copied()
	sam.get("/accounts/new").wantNoMarkup(t, "plan", "What you typed")
	back := tab.follow(tab.signIn("/signin?another=1&to=/accounts/new", cleoAt))
	back.wantText(t, http.StatusOK, "What you typed is still here")
	back.wantMarkup(t, `value="Cleo&#39;s plan"`)
	// A new session of the same person takes it.
	old := w.as(cleoAt)
	old.cookies = w.as(cleoAt).cookies
	old.post("/accounts/new", "name", "Cleo's plan", "key", "0123456789abcdef").wantText(t, http.StatusSeeOther)
}

// An address that changes at the issuer makes nobody another person.
func TestAddressThatChanges(t *testing.T) {
	w := newWorld(t)
	b := w.cleoRenewable()
	w.advance(2 * time.Hour)
	w.issuer.extraClaims = map[string]any{"email": "new@client.test"}
	b.get("/me").wantText(t, http.StatusOK, "new@client.test")
	b.post("/accounts/new", "name", "Mine", "key", "0123456789abcdef").wantText(t, http.StatusSeeOther)
	other := w.actor(cleoAt)
	other.Subject = "another"
	if identityOf(other) == identityOf(w.cleo) {
		t.Error("two persons with one address, one after the other, are the same")
	}
}

// An error in place of a page says nothing about a saved form, and leaves it.
func TestSavedFormAfterAnError(t *testing.T) {
	const kept = "What you typed"
	team := func(w *world) string { return "/accounts/" + string(w.shop) + "/team" }
	send := func(w *world, email string) (*browser, string) {
		b := w.browser()
		sent := b.post(team(w), "do", "invite", "role", "admin", "email", "max@client.test")
		return b, b.signIn(sent.refreshTarget(t), email).Header().Get("Location")
	}
	t.Run("500", func(t *testing.T) {
		w := newWorld(t)
		b, at := send(w, cleoAt)
		faults := &testbed.Faults{Client: w.db}
		faults.BeforeBatch = func(*dynamodb.BatchGetItemInput) error { panic("a defect") }
		faults.BeforeQuery = func(*dynamodb.QueryInput) error { panic("a defect") }
		broken := b.copied()
		broken.site, broken.cookies = w.withStore(faults), b.cookies
		broken.get(at).wantText(t, http.StatusInternalServerError)
		broken.get(at).wantNoMarkup(t, kept)
		page := b.get(at)
		page.wantText(t, http.StatusOK, kept)
		page.wantMarkup(t, `value="max@client.test"`)
		b.get(at).wantNoMarkup(t, kept)
	})
	t.Run("404", func(t *testing.T) {
		w := newWorld(t)
		b, at := send(w, samAt)
		page := b.get(at)
		page.wantText(t, http.StatusNotFound, "Sign in as somebody else")
		page.wantNoMarkup(t, kept)
		b.follow(b.signIn("/signin?another=1&to="+url.QueryEscape(at), cleoAt)).wantText(t, http.StatusOK, kept)
	})
	t.Run("409", func(t *testing.T) {
		w := newWorld(t)
		path := agencyURL(w.studio, "/add/create")
		b := w.browser()
		sent := b.post(path, "name", "Dora", "key", "0123456789abcdef")
		_, err := w.svc.SwitchAgencyOff(t.Context(), w.ann, w.studio)
		must(t, err)
		page := b.follow(b.signIn(sent.refreshTarget(t), annAt))
		page.wantText(t, http.StatusConflict)
		page.wantNoMarkup(t, kept)
	})
	t.Run("an answer that was given meanwhile", func(t *testing.T) {
		w := newWorld(t)
		w.request()
		link := "/requests/" + string(w.con)
		b := w.browser()
		sent := b.post(link, "do", "decline", "request", "1")
		w.as(cleoAt).post(link, "do", "decline", "request", "1").wantText(t, http.StatusSeeOther)
		page := b.follow(b.signIn(sent.refreshTarget(t), cleoAt))
		page.wantText(t, http.StatusOK)
		page.wantNoMarkup(t, kept)
	})
}

// The page of a request by email, which leads on to the connection that it has become,
// leaves the notice for that.
func TestNoticeOfAMovedRequest(t *testing.T) {
	w := newWorld(t)
	w.requestAs(annAt, w.studio, service.ConnectionRequest{OwnerEmail: cleoAt, Areas: requestedAreas})
	byEmail := agency.NewConnectionID(agency.Party(w.cleo.ID()), w.studio)
	_, err := w.svc.AcceptRequestInto(t.Context(), w.cleo, byEmail, w.shop, service.Grant{Request: 1})
	must(t, err)
	b := w.as(annAt)
	b.cookies[hostNotice] = "resent." + string(identityOf(w.ann))
	b.follow(b.get(clientURL(w.studio, byEmail))).wantText(t, http.StatusOK, notices["resent"])
}

// A lease whose answer is lost holds nobody up.
func TestLeaseThatIsLost(t *testing.T) {
	w := newWorld(t)
	b := w.cleoRenewable()
	w.advance(2 * time.Hour)
	faults := &testbed.Faults{Client: w.db}
	faults.BeforeUpdate = func(in *dynamodb.UpdateItemInput) error {
		if !strings.Contains(aws.ToString(in.UpdateExpression), ":until") {
			return nil
		}
		_, err := w.db.UpdateItem(t.Context(), in)
		must(t, err)
		return &types.InternalServerError{} // the answer is lost
	}
	lost := b.copied()
	lost.site = w.withStore(faults)
	lost.get("/me").wantText(t, http.StatusServiceUnavailable)
	w.sleeps(never(t))
	if until := w.mustStored(t, b).LeasedUntil; !until.IsZero() {
		t.Errorf("it is leased until %s", until)
	}
	b.get("/me").wantText(t, http.StatusOK, cleoAt)
}

// Where an issuer's grants are of its own session, tabs that sign in side by side keep
// the last session.
func TestSharedGrants(t *testing.T) {
	w := newWorld(t)
	w.issuer.sharesGrants = true
	b := w.browser()
	one, two := b.get("/signin?to=/me"), b.get("/signin?to=/me")
	for _, tab := range []result{one, two} {
		b.get(w.issuer.signIn(tab.Header().Get("Location"), cleoAt).RequestURI()).wantRedirect(t, "/me")
	}
	w.advance(2 * time.Hour)
	b.get("/me").wantText(t, http.StatusOK, cleoAt)
	wantEqual(t, "revoked refresh tokens", 0, len(w.issuer.revoked))
	sessions := 0
	for key := range testbed.Items(t, w.db, w.table) {
		if strings.HasSuffix(key, " SESSION") {
			sessions++
		}
	}
	wantEqual(t, "sessions", 1, sessions)
}

// A renewal starts only if it can end within its lease and within the request.
func TestTimesOfRenewal(t *testing.T) {
	const gateway = 14500 * time.Millisecond // what shared/rest leaves of Lambda's 15 seconds
	if sum := leaseWriteTime + renewalTime + saveTime; sum >= leaseTime || leaseTime >= maxWait || sum+pageTime > gateway {
		t.Errorf("a renewal takes %s, a lease %s", sum, leaseTime)
	}
	if sum := exchangeTime + replaceTime + cleanupTime; sum > gateway {
		t.Errorf("a sign-in takes %s", sum)
	}

	t.Run("a late lease", func(t *testing.T) {
		w := newWorld(t)
		b := w.cleoRenewable()
		w.advance(2 * time.Hour)
		faults := &testbed.Faults{Client: w.db}
		late := sync.OnceFunc(func() { w.advance(leaseWriteTime + time.Millisecond) })
		faults.BeforeUpdate = func(*dynamodb.UpdateItemInput) error { late(); return nil }
		b.site = w.withStore(faults)
		b.get("/me").wantText(t, http.StatusServiceUnavailable)
		wantEqual(t, "calls of the issuer", 0, w.issuer.calls)
		b.get("/me").wantText(t, http.StatusOK, cleoAt)
	})
	t.Run("a request without time", func(t *testing.T) {
		w := newWorld(t)
		b := w.cleoRenewable()
		ctx, cancel := context.WithTimeout(t.Context(), leaseWriteTime+renewalTime+saveTime+pageTime-time.Millisecond)
		defer cancel()
		short := b.copied()
		short.ctx = ctx
		w.advance(time.Hour - maxEarly)
		short.get("/me").wantText(t, http.StatusOK, cleoAt)
		w.advance(2 * time.Hour)
		short.post("/accounts/new", "name", "Mine", "key", "0123456789abcdef").
			wantText(t, http.StatusServiceUnavailable, "Send it again")
		wantEqual(t, "calls of the issuer", 0, w.issuer.calls)
		if !w.mustStored(t, b).LeasedUntil.IsZero() {
			t.Error("it holds a lease")
		}
		b.get("/me").wantText(t, http.StatusOK, cleoAt)
	})
	t.Run("a wait", func(t *testing.T) {
		w := newWorld(t)
		b := w.cleoRenewable()
		w.advance(2 * time.Hour)
		leased, err := w.sessions.store.LeaseSession(t.Context(), table.NewSessionID(b.secret()), 1, "another", w.clock(), w.clock().Add(leaseTime))
		if must(t, err); !leased {
			t.Fatal("no lease")
		}
		waited := time.Duration(0)
		w.sleeps(func(d time.Duration) bool { waited += d; return true })
		ctx, cancel := context.WithTimeout(t.Context(), pageTime+200*time.Millisecond)
		defer cancel()
		b.ctx = ctx
		b.get("/me").wantText(t, http.StatusServiceUnavailable)
		if waited > 200*time.Millisecond {
			t.Errorf("with 200 ms to spare it waits %s", waited)
		}
	})
}

// deadlines notes how long each call may take, by the end of its context.
type deadlines struct {
	*dynamodb.Client
	mu    sync.Mutex
	calls map[string]time.Duration
}

func (d *deadlines) note(ctx context.Context, call string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls[call] = -1
	if end, ok := ctx.Deadline(); ok {
		d.calls[call] = time.Until(end)
	}
}

func (d *deadlines) UpdateItem(ctx context.Context, in *dynamodb.UpdateItemInput, opts ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error) {
	name, _, _ := strings.Cut(aws.ToString(in.UpdateExpression), " =")
	d.note(ctx, name)
	return d.Client.UpdateItem(ctx, in, opts...)
}

func (d *deadlines) DeleteItem(ctx context.Context, in *dynamodb.DeleteItemInput, opts ...func(*dynamodb.Options)) (*dynamodb.DeleteItemOutput, error) {
	d.note(ctx, "delete")
	return d.Client.DeleteItem(ctx, in, opts...)
}

func (d *deadlines) RoundTrip(r *http.Request) (*http.Response, error) {
	d.note(r.Context(), r.URL.Path)
	return http.DefaultTransport.RoundTrip(r)
}

// Each call of a renewal and of a sign-in has an end, whatever hangs.
func TestCallsHaveAnEnd(t *testing.T) {
	w := newWorld(t)
	d := &deadlines{Client: w.db, calls: map[string]time.Duration{}}
	site := w.withStore(d)
	site.console.issuer = newIssuer(w.env, w.clock)
	site.console.issuer.client = &http.Client{Transport: d} // without its own timeout
	site.sessions.issuer = site.console.issuer
	within := func(call string, most time.Duration) {
		t.Helper()
		if left, made := d.calls[call]; !made || left < 0 || left > most {
			t.Errorf("%s may take %s (made: %t), want %s at most", call, left, made, most)
		}
		delete(d.calls, call)
	}
	b := w.cleoRenewable()
	b.site = site
	w.advance(2 * time.Hour)
	b.get("/me").wantText(t, http.StatusOK, cleoAt)
	within("SET #leaseUntil", leaseWriteTime)
	within("/token", renewalTime)
	within("SET #sealed", saveTime)
	w.issuer.extraClaims = map[string]any{"aud": "another"}
	w.advance(2 * time.Hour)
	b.get("/me").wantText(t, http.StatusSeeOther)
	within("delete", saveTime)
	within("/revoke", saveTime)
	w.issuer.extraClaims = nil
	b.signIn("/signin?to=/me", cleoAt).wantRedirect(t, "/me")
	within("/token", exchangeTime)
	within("SET #sealed", replaceTime)
	// Somebody else signs in: a hanging revocation delays the session, and does not cost it.
	b.signIn("/signin?another=1&to=/me", samAt).wantRedirect(t, "/me")
	within("delete", replaceTime)
	within("SET #sealed", replaceTime)
	within("/revoke", cleanupTime)
	// At the end of a session nobody waits for the issuer.
	b = w.cleoRenewable()
	b.site = site
	w.advance(sessionTime + time.Minute)
	b.get("/me").wantText(t, http.StatusSeeOther)
	within("delete", cleanupTime)
	within("/revoke", cleanupTime)
}

// A sign-out says what became of the issuer's session, and leads there later if the
// issuer can't be reached by an instance that does not know it yet.
func TestSignOutOfIssuer(t *testing.T) {
	const mayBe = "You may still be signed in at your sign-in service"
	t.Run("an issuer that can't be reached", func(t *testing.T) {
		w := newWorld(t)
		b := w.cleoRenewable()
		erased := w.as("eva@client.test")
		b.site, erased.site = w.cold(t), w.cold(t)
		w.issuer.failsDiscovery = true
		out := b.post("/signout", "do", "signout")
		out.wantText(t, http.StatusOK, "You are signed out", "can’t be reached right now", "Try again")
		out.wantMarkup(t, `href="/signout?issuer=1"`)
		out.wantNoMarkup(t, "Sign in again")
		wantEqual(t, "where it goes on", "", out.Header().Get("Refresh"))
		b.get("/signout?issuer=1").wantText(t, http.StatusOK, "can’t be reached right now", "Try again")
		erased.post("/me", "do", "erase", "confirm", "eva@client.test").wantMarkup(t, `href="/signout?issuer=1"`)
		w.issuer.failsDiscovery = false
		if to := b.get("/signout?issuer=1").Header().Get("Location"); !strings.HasPrefix(to, w.issuer.URL+"/end?") {
			t.Errorf("it leads to %q", to)
		}
	})
	t.Run("an issuer without a sign-out", func(t *testing.T) {
		w := newWorld(t)
		w.issuer.keepsSessions = true
		b := w.cleoRenewable()
		b.site = w.cold(t)
		out := b.post("/signout", "do", "signout")
		out.wantText(t, http.StatusOK, mayBe+", which can’t be signed out of from here. The next sign-in asks who you are.", "Sign in again")
		wantEqual(t, "where it goes on", "", out.Header().Get("Refresh"))
		w.browser().get("/signout?issuer=1").wantRedirect(t, "/")
	})
	for status, leads := range map[int]bool{400: true, 503: false} {
		t.Run(fmt.Sprint("a revocation that answers ", status), func(t *testing.T) {
			w := newWorld(t)
			w.issuer.revokeStatus = status
			out := w.cleoRenewable().post("/signout", "do", "signout")
			out.wantText(t, http.StatusOK, mayBe, "Sign out there too")
			wantEqual(t, "leads to the issuer", leads, out.Header().Get("Refresh") != "")
		})
	}
}

// Tokens that can't be verified are kept, and the issuer is asked again after a pause
// only: each answer costs a refresh token.
func TestUnverifiedTokens(t *testing.T) {
	for name, later := range map[string]time.Duration{"while the old one is valid": time.Hour - maxEarly, "after its end": 2 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			b := w.cleoRenewable()
			b.site = w.cold(t)
			w.issuer.failsKeys = true
			w.advance(later)
			status := http.StatusOK
			if later > time.Hour {
				status = http.StatusServiceUnavailable
			}
			for range 4 {
				b.get("/me").wantText(t, status)
			}
			wantEqual(t, "calls of the issuer", 1, w.issuer.calls)
			w.advance(issuerPause)
			b.get("/me").wantText(t, status)
			wantEqual(t, "calls of the issuer after the pause", 2, w.issuer.calls)
			w.issuer.failsKeys = false
			w.advance(issuerPause)
			b.get("/me").wantText(t, http.StatusOK, cleoAt)
			wantEqual(t, "refresh tokens that came again", 0, w.issuer.reuses)
		})
	}
}

// No refresh token is left over: not by a sign-out whose deletion is repeated after a lost
// answer, and not by a sign-in that fails.
func TestNoTokenIsLeft(t *testing.T) {
	t.Run("a deletion that is repeated", func(t *testing.T) {
		w := newWorld(t)
		b := w.cleoRenewable()
		refresh := b.content().Refresh
		faults := &testbed.Faults{Client: w.db}
		faults.BeforeDelete = func(in *dynamodb.DeleteItemInput) error {
			_, err := w.db.DeleteItem(t.Context(), in) // whose answer is lost
			return err
		}
		b.site = w.withStore(faults)
		b.post("/signout", "do", "signout").wantText(t, http.StatusOK, "You are signed out")
		if !slices.Contains(w.issuer.revoked, refresh) {
			t.Error("the refresh token is not revoked")
		}
	})
	t.Run("a sign-out before tokens that can't be verified", func(t *testing.T) {
		w := newWorld(t)
		b := w.cleoRenewable()
		w.advance(2 * time.Hour)
		w.issuer.failsKeys = true
		tab := b.copied()
		tab.site = w.cold(t)
		w.issuer.beforeToken = func() int {
			b.post("/signout", "do", "signout").wantText(t, http.StatusOK)
			w.issuer.mu.Lock()
			defer w.issuer.mu.Unlock()
			for _, of := range w.issuer.refreshes {
				of.grant.ended = false // the issuer does not heed the revocation
			}
			return 0
		}
		tab.get("/me").wantText(t, http.StatusServiceUnavailable)
		wantEqual(t, "refresh tokens", 2, len(w.issuer.refreshes))
		for refresh := range w.issuer.refreshes {
			if w.issuer.isOpen(refresh) {
				t.Error("a refresh token can be used")
			}
		}
	})
	t.Run("a sign-in that can't be stored", func(t *testing.T) {
		for name, former := range map[string]bool{"the first": false, "after another": true} {
			w := newWorld(t)
			faults := &testbed.Faults{Client: w.db}
			faults.BeforeUpdate = func(*dynamodb.UpdateItemInput) error { return &types.ThrottlingException{} }
			faults.BeforeDelete = func(*dynamodb.DeleteItemInput) error { return &types.ThrottlingException{} }
			b := w.browser()
			if former {
				b = w.cleoRenewable()
			}
			b.site = w.withStore(faults)
			failed := b.signIn("/signin?to=/me", samAt)
			failed.wantText(t, http.StatusServiceUnavailable)
			failed.wantMarkup(t, `href="/signin?to=%2Fme"`)
			wantEqual(t, name+": revoked refresh tokens", 1, len(w.issuer.revoked))
		}
	})
}

// A HEAD of the address that a sign-in leads back to uses nothing up.
func TestHeadOfCallback(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	back := w.issuer.signIn(b.get("/signin?to=/me").Header().Get("Location"), cleoAt)
	for _, method := range []string{http.MethodHead, http.MethodPost} {
		r := b.send(method, back.RequestURI(), url.Values{}, "Sec-Fetch-Site", "same-origin")
		wantEqual(t, method+": the status", http.StatusMethodNotAllowed, r.Code)
		wantEqual(t, method+": Allow", "GET", r.Header().Get("Allow"))
	}
	b.get(back.RequestURI()).wantRedirect(t, "/me")
}
