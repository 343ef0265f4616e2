package main

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"agencyhub/shared/agency"
	"agencyhub/shared/service"
	"agencyhub/shared/testbed"
)

// confirmed is the checked box by which a person confirms that they will pay.
const confirmed = `name="confirm" value="yes" required checked`

// acceptAsOwner are the fields of the form that accepts the shop's first invitation of
// an owner on its first plan.
var acceptAsOwner = []string{"do", "accept", "request", "1", "plan", "starter", "confirm", "yes"}

// changedTerms are the ways in which an invitation changes while its page is open, and
// what its page shows then.
var changedTerms = map[string]struct {
	change func(*world)
	shows  []string
}{
	"another plan": {
		func(w *world) {
			_, err := w.svc.ChangePlan(w.t.Context(), agency.Caller{Actor: w.cleo}, w.shop, "growth")
			must(w.t, err)
		}, []string{`name="plan" value="growth"`, "Growth, 99 USD a month"},
	},
	"another request": {
		func(w *world) {
			_, err := w.svc.WithdrawInvitation(w.t.Context(), agency.Caller{Actor: w.cleo}, w.shop, agency.Party(w.actor(miaAt).ID()))
			must(w.t, err)
			w.inviteOnly(miaAt, agency.Owner)
		}, []string{`name="request" value="2"`, `name="plan" value="starter"`},
	},
}

// wantUnconfirmed demands that a page shows other terms than those confirmed, says so,
// and holds no confirmation.
func (s result) wantUnconfirmed(t *testing.T, status int, shows []string) {
	t.Helper()
	s.wantText(t, status, "Review them before you answer")
	s.wantMarkup(t, shows...)
	s.wantNoMarkup(t, " checked", "What you typed is still here")
}

// A form that was kept for the time of a sign-in confirms only the plan and the request
// that its page still shows.
func TestKeptConfirmation(t *testing.T) {
	send := func(t *testing.T, w *world, browserOf func() *browser) (*browser, result) {
		t.Helper()
		b := browserOf()
		w.advance(2 * time.Hour) // the session ends
		sent := b.post(w.invitation(), acceptAsOwner...)
		return b, b.signIn(sent.refreshTarget(t), miaAt)
	}
	t.Run("the same terms", func(t *testing.T) {
		w := newWorld(t)
		w.inviteOnly(miaAt, agency.Owner)
		b, back := send(t, w, func() *browser { return w.as(miaAt) })
		page := b.follow(back)
		page.wantText(t, http.StatusOK, "What you typed is still here")
		page.wantMarkup(t, confirmed)
		page.wantNoMarkup(t, "Review them before you answer")
	})
	t.Run("nobody knows whose", func(t *testing.T) {
		w := newWorld(t)
		w.inviteOnly(miaAt, agency.Owner)
		b, back := send(t, w, w.browser)
		b.follow(back).wantNoMarkup(t, " checked")
	})
	for name, tt := range changedTerms {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.t = t
			w.inviteOnly(miaAt, agency.Owner)
			b, back := send(t, w, func() *browser { return w.as(miaAt) })
			tt.change(w)
			// The page can't be served at first: the form is kept once more.
			busy := w.busyFor(t, miaAt, 0)
			busy.cookies = b.cookies
			busy.get(back.Header().Get("Location")).wantText(t, http.StatusServiceUnavailable, "Try again")
			page := b.follow(back)
			page.wantUnconfirmed(t, http.StatusOK, tt.shows)
			page.wantText(t, http.StatusOK, "The terms have changed.")
		})
	}
}

// A form that met a busy store confirms only the terms that its page still shows, and
// so does one that is sent again.
func TestBusyConfirmation(t *testing.T) {
	// loseWrites returns Mia's browser at a site that makes no change. before runs
	// before the first.
	loseWrites := func(w *world, before func(*world)) *browser {
		faults, first := &testbed.Faults{Client: w.db}, true
		faults.BeforeWrite = func(*dynamodb.TransactWriteItemsInput) error {
			if first {
				first = false
				before(w)
			}
			return &types.InternalServerError{}
		}
		return w.withStore(faults).as(miaAt)
	}
	t.Run("the same terms", func(t *testing.T) {
		w := newWorld(t)
		w.inviteOnly(miaAt, agency.Owner)
		page := loseWrites(w, func(*world) {}).post(w.invitation(), acceptAsOwner...)
		page.wantText(t, http.StatusServiceUnavailable, "Starter, 29 USD a month")
		page.wantMarkup(t, confirmed)
		page.wantNoMarkup(t, "Review them before you answer")
	})
	for name, tt := range changedTerms {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.t = t
			w.inviteOnly(miaAt, agency.Owner)
			page := loseWrites(w, tt.change).post(w.invitation(), acceptAsOwner...)
			page.wantUnconfirmed(t, http.StatusServiceUnavailable, tt.shows)
			page.wantText(t, http.StatusServiceUnavailable, "The terms have changed.")
		})
		t.Run(name+", and a page that holds the form", func(t *testing.T) {
			w := newWorld(t)
			w.t = t
			w.inviteOnly(miaAt, agency.Owner)
			action, kept := w.busyFor(t, miaAt, 0).post(w.invitation(), acceptAsOwner...).kept(t)
			tt.change(w)
			again := w.as(miaAt).send(http.MethodPost, action, kept, "Sec-Fetch-Site", "same-origin")
			again.wantUnconfirmed(t, http.StatusConflict, tt.shows)
			wantEqual(t, "status", agency.Invited, w.invited().Status)
		})
	}
}

// The form of a request keeps its terms only for the request that they were meant for.
func TestKeptTermsOfRequest(t *testing.T) {
	for _, changes := range []bool{false, true} {
		w := newWorld(t)
		w.request()
		link := "/requests/" + string(w.con)
		b := w.as(cleoAt)
		w.advance(2 * time.Hour)
		sent := b.post(link, withFields(levelFields(agency.Areas{"pages": agency.View}), "do", "accept", "request", "1", "until", "2030-06-30", "zone", "UTC")...)
		if changes {
			_, err := w.svc.WithdrawRequest(t.Context(), w.ann, w.studio, w.con)
			must(t, err)
			w.request()
		}
		page := b.follow(b.signIn(sent.refreshTarget(t), cleoAt))
		kept := []string{`name="area-pages" value="view" checked>`, `value="2030-06-30"`}
		if !changes {
			page.wantText(t, http.StatusOK, "What you typed is still here")
			page.wantMarkup(t, kept...)
			page.wantNoMarkup(t, "The terms have changed")
			continue
		}
		page.wantText(t, http.StatusOK, "The terms have changed.")
		page.wantNoMarkup(t, append(slices.Clone(kept), "What you typed is still here")...)
		page.wantMarkup(t, `name="request" value="2"`, `name="area-pages" value="edit" checked>`)
	}
}

// A request to an account is accepted on its card, as it was requested.
func TestAcceptOnCard(t *testing.T) {
	for name, path := range map[string]func(*world) string{
		"team":    func(w *world) string { return "/accounts/" + string(w.shop) + "/team" },
		"waiting": func(*world) string { return "/waiting" },
		"home":    func(*world) string { return "/" },
	} {
		w := newWorld(t)
		w.invite("al@client.test", agency.Admin)
		w.requestAs(samAt, w.west, service.ConnectionRequest{OwnerEmail: cleoAt, Areas: requestedAreas})
		path := path(w)
		at, fields := "/waiting", []string{"do", "accept", "connection", string(w.con)}
		if name == "team" {
			at, fields = "/requests/"+string(w.con), []string{"do", "accept"}
		}
		for n, email := range []string{cleoAt, "al@client.test"} {
			w.request()
			page := w.as(email).get(path)
			page.wantText(t, http.StatusOK, "Bright Studio requests access", "Accept: Bright Studio", "Decline: Bright Studio", "Review request: Bright Studio")
			page.wantMarkup(t, `action="`+at+`"`)
			accepts := strings.Count(page.Body.String(), `value="accept"`)
			wantEqual(t, "cards of the "+name+" page that can accept", 1, accepts)

			old := w.as(email).post(at, append(fields, "request", "99")...)
			old.wantText(t, http.StatusConflict, "The request has changed since you looked at it")
			wantEqual(t, "status", agency.Pending, w.profile(w.con).Status)
			w.as(email).submit(at, append(fields, "request", strconv.Itoa(n+1))...).
				wantText(t, http.StatusOK, "Request accepted. The agency has access now.", "Revoke access")
			p := w.profile(w.con)
			if p.Status != agency.Active || !p.Areas.Equal(requestedAreas) || !p.Until.IsZero() {
				t.Errorf("accepted from %s: %s %v until %s", name, p.Status, p.Areas, p.Until)
			}
			_, err := w.svc.LeaveAccount(t.Context(), w.ann, w.studio, w.con)
			must(t, err)
		}
	}
}
