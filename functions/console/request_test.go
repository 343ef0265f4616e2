package main

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"agencyhub/shared/agency"
	"agencyhub/shared/service"
)

// Before sign-in the page of a request is the same for every id, existing or not.
func TestRequestLinkRevealsNothing(t *testing.T) {
	w := newWorld(t)
	w.request()
	there, none := string(w.con), "con_acct_00000000000000000000000000_acct_11111111111111111111111111"
	page := w.browser().get("/requests/" + there)
	page.wantText(t, http.StatusOK, "Opening this page changes nothing", "Sign in to review it", "I didn’t expect this",
		"You keep the account", "You can grant less", "revoke the access at any time")
	page.wantMarkup(t, `href="/signin?to=%2Frequests%2F`+there+`"`, `href="/signin?to=%2Frequests%2F`+there+`%3Funexpected%3D1"`)
	golden(t, "request-link", page.Body.Bytes())
	for _, secret := range []string{"Bright", "Cleo", annAt, "Shall we"} {
		page.wantNoMarkup(t, secret)
	}
	if page.Header().Get("Set-Cookie") != "" {
		t.Error("looking sets a cookie")
	}
	other := w.browser().get("/requests/" + none)
	wantEqual(t, "the page of a request that is not there", page.Body.String(), strings.ReplaceAll(other.Body.String(), none, there))
	// The email's "I didn’t expect this" is kept across the sign-in.
	page = w.browser().get("/requests/" + there + "?unexpected=1")
	page.wantMarkup(t, `href="/signin?to=%2Frequests%2F`+there+`%3Funexpected%3D1"`)
	page.wantNoMarkup(t, `href="/signin?to=%2Frequests%2F`+there+`"`)
	w.browser().get("/requests/con_broken").wantText(t, http.StatusNotFound, "exactly as it is in the email")
}

// Mail scanners follow links, and some submit the forms that they find. With or without
// a session, what does not come from a page of ours changes nothing.
func TestScannersChangeNothing(t *testing.T) {
	w := newWorld(t)
	w.request()
	w.requestAs(annAt, w.studio, service.ConnectionRequest{OwnerEmail: cleoAt, Areas: requestedAreas})
	w.inviteOnly(miaAt, agency.Owner)
	// The first use binds a profile, so it is done before.
	w.as(cleoAt).get(w.memberPage(agency.Party(w.studio)))
	paths := []string{"/", "/me", "/waiting", w.invitation(), "/requests/" + string(w.con), "/requests/" + string(w.con) + "?unexpected=1",
		"/requests/" + string(agency.NewConnectionID(agency.Party(w.cleo.ID()), w.studio)),
		"/accounts/" + string(w.shop) + "/team", "/accounts/" + string(w.shop) + "/settings", "/accounts/" + string(w.shop) + "/activity",
		w.memberPage(agency.Party(w.studio)), w.memberPage(agency.Party(w.cleo.ID())), "/accounts/new"}
	sessions := map[string]func() *browser{"nobody": w.browser, "the owner": func() *browser { return w.as(cleoAt) },
		"the invited person": func() *browser { return w.as(miaAt) }}
	for who, visitor := range sessions {
		for _, path := range paths {
			if who == "the invited person" && path != "/waiting" && path != w.invitation() {
				continue
			}
			w.demandUnchanged(t, "GET and HEAD of "+path+" by "+who, func() {
				visitor().get(path)
				visitor().send(http.MethodHead, path, nil)
				visitor().send(http.MethodGet, path+"?do=accept&request=1", nil)
			})
			w.demandUnchanged(t, "forms without a session or from elsewhere to "+path, func() {
				for _, do := range []string{"accept", "decline", "block", "allow", "revoke", "remove", "leave", "close", "rename", "hub-on", "invite",
					"erase", "open", "resend", "withdraw", "offer", "sign-in"} {
					form := url.Values{"do": {do}, "request": {"1"}, "account": {string(w.shop)}, "area-pages": {"view"}, "name": {"Gotcha"},
						"email": {"x@evil.test"}, "role": {"owner"}, "confirm": {"Cleo Shoes"}, "key": {"0123456789abcdef"},
						"plan": {"starter"}, "invitation": {string(w.shop)}, "connection": {string(w.con)}, "member": {string(w.actor(miaAt).ID())}}
					if who == "nobody" {
						visitor().send(http.MethodPost, path, form)
						continue
					}
					for _, from := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Origin", "https://evil.test"}, {"Sec-Fetch-Site", "same-site"}} {
						visitor().send(http.MethodPost, path, form, from...).wantText(t, http.StatusForbidden)
					}
				}
			})
		}
	}
}

func TestAccept(t *testing.T) {
	w := newWorld(t)
	w.request()
	cleo := w.as(cleoAt)
	link := "/requests/" + string(w.con)
	page := cleo.get(link)
	page.wantText(t, http.StatusOK, "Bright Studio requests access to Cleo Shoes", annAt, "Shall we set up your shop?", "Expires", "in UTC")
	page.wantMarkup(t, `name="area-pages" value="edit" checked>`, `name="area-mail" value="edit" disabled>`,
		`name="area-funnels" value="view" disabled>`, `name="request" value="1"`)
	golden(t, "request-pending", page.Body.Bytes())

	// More than was requested is refused, and the form keeps what was typed.
	over := cleo.post(link, withFields(levelFields(agency.Areas{"pages": agency.View, "mail": agency.Edit}), "do", "accept", "request", "1",
		"until", "2030-06-30", "zone", "Europe/Berlin")...)
	over.wantText(t, http.StatusBadRequest, "You can grant less than what was asked for, not more.")
	over.wantMarkup(t, `name="area-pages" value="view" checked>`, `value="2030-06-30"`)

	past := cleo.post(link, withFields(levelFields(requestedAreas), "do", "accept", "request", "1", "until", "2030-05-05", "zone", "Europe/Berlin")...)
	past.wantText(t, http.StatusBadRequest, "The end date must lie ahead.")
	past.wantMarkup(t, `value="2030-05-05"`, `id="until-fault"`)
	cleo.post(link, withFields(levelFields(requestedAreas), "do", "accept", "request", "1", "until", "soon")...).
		wantText(t, http.StatusBadRequest, "Give a date such as 2030-01-31.")
	cleo.post(link, withFields(levelFields(nil), "do", "accept", "request", "1")...).wantText(t, http.StatusBadRequest, "at least one area")
	cleo.post(link, "do", "dance").wantText(t, http.StatusBadRequest, "does not do")
	if p := w.profile(w.con); p.Status != agency.Pending {
		t.Fatalf("a refused form has led to %s", p.Status)
	}

	narrowed := agency.Areas{"pages": agency.View}
	next := cleo.submit(link, withFields(levelFields(narrowed), "do", "accept", "request", "1", "until", "2030-06-30", "zone", "Europe/Berlin")...)
	next.wantText(t, http.StatusOK, "Request accepted", "Revoke access")
	p := w.profile(w.con)
	if want := time.Date(2030, 6, 30, 21, 59, 59, 0, time.UTC); p.Status != agency.Active || !p.Areas.Equal(narrowed) || !p.Until.Equal(want) {
		t.Errorf("accepted: %s %v until %s", p.Status, p.Areas, p.Until)
	}
	cleo.get(link).wantText(t, http.StatusOK, "Bright Studio has access to Cleo Shoes", "Change or revoke access")
}

// A request that changed meanwhile is shown again, not accepted.
func TestAcceptChangedRequest(t *testing.T) {
	w := newWorld(t)
	w.request()
	cleo := w.as(cleoAt)
	link := "/requests/" + string(w.con)
	cleo.get(link)
	_, err := w.svc.WithdrawRequest(t.Context(), w.ann, w.studio, w.con)
	must(t, err)
	w.requestAs(annAt, w.studio, service.ConnectionRequest{Account: w.shop, Areas: agency.Areas{"contacts": agency.Edit}, Message: "Something else"})
	again := cleo.post(link, withFields(levelFields(requestedAreas), "do", "accept", "request", "1")...)
	again.wantText(t, http.StatusConflict, "The request has changed since you looked at it", "These are the present terms", "Something else")
	again.wantMarkup(t, `name="request" value="2"`, `name="area-contacts" value="edit" checked>`, `name="area-pages" value="none" checked>`)
	wantEqual(t, "status", agency.Pending, w.profile(w.con).Status)
}

func TestDeclineAndUnblock(t *testing.T) {
	w := newWorld(t)
	w.request()
	cleo := w.as(cleoAt)
	link := "/requests/" + string(w.con)
	declined := cleo.submit(link, "do", "decline", "request", "1")
	declined.wantText(t, http.StatusOK, "Request declined.", "You declined the request of Bright Studio", "It can’t request access again until",
		"Unblock")
	golden(t, "request-declined", declined.Body.Bytes())
	cleo.get(link).wantNoMarkup(t, `role="status"`) // a notice is shown once
	cleo.submit(link, "do", "allow").wantText(t, http.StatusOK, "Unblocked.", "The agency can request access again")
	cleo.submit(link, "do", "allow").wantText(t, http.StatusOK, "No changes. It wasn’t blocked.")

	w.request()
	cleo.get(link+"?unexpected=1").wantText(t, http.StatusOK, "You didn’t expect this?", "you won’t get its requests", "told only that you declined")
	cleo.submit(link+"?unexpected=1", "do", "block", "request", "2").wantText(t, http.StatusOK, "Request declined and agency blocked", "You blocked Bright Studio")

	// A blocked agency's later request is hidden; the link still leads to unblocking.
	w.advance(31 * 24 * time.Hour)
	w.request()
	cleo = w.as(cleoAt)
	held := cleo.get(link)
	held.wantText(t, http.StatusOK, "Bright Studio is blocked", "You blocked Bright Studio", "Unblock")
	held.wantNoMarkup(t, "Shall we")
	cleo.get("/accounts/"+string(w.shop)+"/team").wantText(t, http.StatusOK, "Blocked accounts", "Blocked")
	w.as(annAt).get(link).wantText(t, http.StatusNotFound, "no request here for you to answer")
	cleo.post(link, "do", "accept", "request", "2", "area-pages", "view").wantText(t, http.StatusNotFound)
	cleo.submit(link, "do", "allow").wantText(t, http.StatusOK, "Unblocked.", "Team Members")
	cleo.get(link).wantText(t, http.StatusNotFound)
}

// The page of an ended request says what can be done now.
func TestRequestPageByStatus(t *testing.T) {
	for status, tt := range map[agency.Status]struct {
		do   func(*world)
		says []string
	}{
		agency.Withdrawn: {func(w *world) {
			_, err := w.svc.WithdrawRequest(w.t.Context(), w.ann, w.studio, w.con)
			must(w.t, err)
		}, []string{"withdrew its request", "nothing for you to answer"}},
		agency.Expired: {func(w *world) { w.advance(15 * 24 * time.Hour) },
			[]string{"has expired", "ask Bright Studio, at ann@agency.test", "Dismiss and block"}},
		agency.Revoked: {func(w *world) {
			w.accept(nil)
			_, err := w.svc.RemoveMember(w.t.Context(), agency.Caller{Actor: w.cleo}, w.shop, agency.Party(w.studio), false)
			must(w.t, err)
		}, []string{"The access of Bright Studio is revoked", "Unblock"}},
		agency.Left: {func(w *world) {
			w.accept(nil)
			_, err := w.svc.LeaveAccount(w.t.Context(), w.ann, w.studio, w.con)
			must(w.t, err)
		}, []string{"left the account", "ask it for a new request"}},
		agency.Lapsed: {func(w *world) {
			until := w.clock().Add(time.Hour)
			w.accept(&until)
			w.advance(2 * time.Hour)
		}, []string{"The end date has passed"}},
	} {
		t.Run(string(status), func(t *testing.T) {
			w := newWorld(t)
			w.t = t
			w.request()
			tt.do(w)
			page := w.as(cleoAt).get("/requests/" + string(w.con))
			page.wantText(t, http.StatusOK, tt.says...)
			page.wantNoMarkup(t, `value="accept"`)
			golden(t, "request-"+string(status), page.Body.Bytes())
		})
	}
}

func (w *world) accept(until *time.Time) {
	w.t.Helper()
	_, err := w.svc.AcceptRequest(w.t.Context(), agency.Caller{Actor: w.cleo}, w.shop, w.studio, service.Grant{Request: 1, Until: until})
	must(w.t, err)
}

// Accepting an expired request is refused; its page offers to dismiss it.
func TestExpiredRequest(t *testing.T) {
	w := newWorld(t)
	w.request()
	w.advance(15 * 24 * time.Hour)
	cleo := w.as(cleoAt)
	link := "/requests/" + string(w.con)
	cleo.post(link, withFields(levelFields(requestedAreas), "do", "accept", "request", "1")...).
		wantText(t, http.StatusGone, "The request has expired. The agency can send a new one.", "ask Bright Studio")
	cleo.submit(link, "do", "decline", "request", "1").wantText(t, http.StatusOK, "You declined the request of Bright Studio")
}

// A person accepts a request by email into an account of theirs, or opens one first.
func TestAcceptByEmailIntoAccount(t *testing.T) {
	w := newWorld(t)
	const doraAt = "dora@dance.test"
	dora := w.as(doraAt)
	w.requestAs(annAt, w.studio, service.ConnectionRequest{OwnerEmail: doraAt, Areas: requestedAreas})
	id := agency.NewConnectionID(agency.Party(w.actor(doraAt).ID()), w.studio)
	link := "/requests/" + string(id)
	page := dora.get(link)
	page.wantText(t, http.StatusOK, "Bright Studio requests access to an account of yours", "Open an account first")
	page.wantMarkup(t, `href="/accounts/new?to=%2Frequests%2F`+string(id)+`"`)
	page.wantNoMarkup(t, `value="accept"`)
	w.as(cleoAt).get(link).wantText(t, http.StatusNotFound, "Sign in as somebody else")

	back := dora.submit("/accounts/new?to="+url.QueryEscape(link), "name", "Dora Dance", "key", "0123456789abcdef")
	back.wantText(t, http.StatusOK, "Account opened", "Dora Dance")
	w.openAccountFor(doraAt, "Dora Yoga")
	dora.get(link).wantText(t, http.StatusOK, "Dora Dance", "Dora Yoga")
	none := dora.post(link, withFields(levelFields(requestedAreas), "do", "accept", "request", "1")...)
	none.wantText(t, http.StatusBadRequest, "Choose the account.")
	none.wantMarkup(t, `id="account-fault"`)
	dora.post(link, withFields(levelFields(requestedAreas), "do", "accept", "request", "1", "account", string(w.shop))...).
		wantText(t, http.StatusNotFound)

	dance := agency.NewAccountID(agency.Party(w.actor(doraAt).ID()), "0123456789abcdef")
	dora.submit(link, withFields(levelFields(requestedAreas), "do", "accept", "request", "1", "account", string(dance))...).
		wantText(t, http.StatusOK, "Request accepted")
	// The email's link leads to the connection there.
	dora.follow(dora.get(link)).wantText(t, http.StatusOK, "Bright Studio has access to Dora Dance")
}

func TestBlockByEmail(t *testing.T) {
	w := newWorld(t)
	w.requestAs(annAt, w.studio, service.ConnectionRequest{OwnerEmail: cleoAt, Areas: requestedAreas})
	id := agency.NewConnectionID(agency.Party(w.cleo.ID()), w.studio)
	cleo := w.as(cleoAt)
	cleo.get("/requests/"+string(id)).wantMarkup(t, `name="account" value="`+string(w.shop)+`" required checked>`)
	cleo.submit("/requests/"+string(id), "do", "block", "request", "1").wantText(t, http.StatusOK, "Request declined and agency blocked")
	cleo.get("/me").wantText(t, http.StatusOK, "Blocked accounts", "Bright Studio", "Blocked")
	cleo.submit("/me", "do", "allow", "agency", string(w.studio)).wantText(t, http.StatusOK, "Unblocked.", "None.")
}

// Agency staff, strangers and members get one message.
func TestRequestHiddenFromOthers(t *testing.T) {
	w := newWorld(t)
	w.request()
	w.invite("mem@client.test", agency.Member)
	for _, email := range []string{annAt, "eve@nowhere.test", "mem@client.test"} {
		page := w.as(email).get("/requests/" + string(w.con))
		page.wantText(t, http.StatusNotFound, "no request here for you to answer", "signed in as "+email, "Sign in as somebody else")
		page.wantNoMarkup(t, "Shall we", "Bright Studio")
		w.demandUnchanged(t, email, func() {
			w.as(email).post("/requests/"+string(w.con), "do", "accept", "request", "1", "area-pages", "view")
		})
	}
}
