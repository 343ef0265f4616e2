package main

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"agencyhub/shared/agency"
	"agencyhub/shared/service"
)

// Before sign-in the page of a link is the same for every request, and for none.
func TestALinkIsNoRight(t *testing.T) {
	w := newTown(t)
	w.asks()
	there, none := string(w.con), "con_acct_00000000000000000000000000_acct_11111111111111111111111111"
	page := w.browser().get("/requests/" + there)
	page.says(t, http.StatusOK, "Opening this page has decided nothing", "Sign in to look at it", "I did not expect this",
		"The account stays yours", "You may grant less", "revoke it whenever you like")
	page.has(t, `href="/signin?to=%2Frequests%2F`+there+`"`, `href="/signin?to=%2Frequests%2F`+there+`%3Funexpected%3D1"`)
	golden(t, "request-link", page.Body.Bytes())
	for _, secret := range []string{"Bright", "Cleo", annAt, "Shall we"} {
		page.hasNot(t, secret)
	}
	if page.Header().Get("Set-Cookie") != "" {
		t.Error("looking sets a cookie")
	}
	other := w.browser().get("/requests/" + none)
	if diff := cmp.Diff(page.Body.String(), strings.ReplaceAll(other.Body.String(), none, there)); diff != "" {
		t.Errorf("a request that is not there looks different:\n%s", diff)
	}
	// Who comes by the email's "I did not expect this" is led on to saying so.
	page = w.browser().get("/requests/" + there + "?unexpected=1")
	page.has(t, `href="/signin?to=%2Frequests%2F`+there+`%3Funexpected%3D1"`)
	page.hasNot(t, `href="/signin?to=%2Frequests%2F`+there+`"`)
	w.browser().get("/requests/con_broken").says(t, http.StatusNotFound, "exactly as it stands in the email")
}

// Mail scanners follow links, and some submit the forms that they find. With or
// without a session, whatever does not come from a page of ours changes nothing.
func TestScannersChangeNothing(t *testing.T) {
	w := newTown(t)
	w.asks()
	w.ask(annAt, w.studio, service.ConnectionRequest{OwnerEmail: cleoAt, Areas: asked})
	// Looking binds a profile on its first use, which has been.
	w.as(cleoAt).get(w.memberPage(agency.Party(w.studio)))
	paths := []string{"/", "/me", "/requests/" + string(w.con), "/requests/" + string(w.con) + "?unexpected=1",
		"/requests/" + string(agency.NewConnectionID(agency.Party(w.cleo.ID()), w.studio)),
		"/accounts/" + string(w.shop) + "/team", "/accounts/" + string(w.shop) + "/settings", "/accounts/" + string(w.shop) + "/activity",
		w.memberPage(agency.Party(w.studio)), w.memberPage(agency.Party(w.cleo.ID())), "/accounts/new"}
	sessions := map[string]func() *browser{"nobody": w.browser, "the owner": func() *browser { return w.as(cleoAt) }}
	for who, visitor := range sessions {
		for _, path := range paths {
			w.unchanged(t, "GET and HEAD of "+path+" by "+who, func() {
				visitor().get(path)
				visitor().send(http.MethodHead, path, nil)
				visitor().send(http.MethodGet, path+"?do=accept&request=1", nil)
			})
			for _, do := range []string{"accept", "deny", "block", "allow", "revoke", "remove", "leave", "close", "rename", "hub-on", "invite", "erase", "open"} {
				form := url.Values{"do": {do}, "request": {"1"}, "account": {string(w.shop)}, "area-pages": {"view"}, "name": {"Gotcha"}, "email": {"x@evil.test"}, "role": {"owner"}, "confirm": {"Cleo Shoes"}, "key": {"0123456789abcdef"}}
				w.unchanged(t, "a form without a session or from elsewhere to "+path, func() {
					if who == "nobody" {
						visitor().send(http.MethodPost, path, form)
						return
					}
					for _, from := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Origin", "https://evil.test"}, {"Sec-Fetch-Site", "same-site"}} {
						if r := visitor().send(http.MethodPost, path, form, from...); r.Code != http.StatusForbidden {
							t.Errorf("a form to %s from %v answers %d", path, from, r.Code)
						}
					}
				})
			}
		}
	}
}

func TestAccept(t *testing.T) {
	w := newTown(t)
	w.asks()
	cleo := w.as(cleoAt)
	link := "/requests/" + string(w.con)
	page := cleo.get(link)
	page.says(t, http.StatusOK, "Bright Studio asks to work in Cleo Shoes", annAt, "Shall we set up your shop?", "You can answer until", "in UTC")
	page.has(t, `name="area-pages" value="edit" checked>`, `name="area-mail" value="edit" disabled>`, `name="area-funnels" value="view" disabled>`, `name="request" value="1"`)
	golden(t, "request-pending", page.Body.Bytes())

	// More than was asked for is refused, and what was typed stays.
	over := cleo.post(link, with(levelFields(agency.Areas{"pages": agency.View, "mail": agency.Edit}), "do", "accept", "request", "1", "until", "2030-06-30", "zone", "Europe/Berlin")...)
	over.says(t, http.StatusBadRequest, "You can grant less than what was asked for, not more.")
	over.has(t, `name="area-pages" value="view" checked>`, `value="2030-06-30"`)

	past := cleo.post(link, with(levelFields(asked), "do", "accept", "request", "1", "until", "2030-05-05", "zone", "Europe/Berlin")...)
	past.says(t, http.StatusBadRequest, "The end date must lie ahead.")
	past.has(t, `value="2030-05-05"`, `id="until-fault"`)
	cleo.post(link, with(levelFields(asked), "do", "accept", "request", "1", "until", "soon")...).says(t, http.StatusBadRequest, "Give a date such as 2030-01-31.")
	cleo.post(link, with(levelFields(nil), "do", "accept", "request", "1")...).says(t, http.StatusBadRequest, "at least one area")
	cleo.post(link, "do", "dance").says(t, http.StatusBadRequest, "does not do")
	if p := w.profile(w.con); p.Status != agency.Pending {
		t.Fatalf("a refused form has led to %s", p.Status)
	}

	narrowed := agency.Areas{"pages": agency.View}
	next := cleo.does(link, with(levelFields(narrowed), "do", "accept", "request", "1", "until", "2030-06-30", "zone", "Europe/Berlin")...)
	next.says(t, http.StatusOK, "is let in, as you decided", "Revoke the access")
	p := w.profile(w.con)
	if want := time.Date(2030, 6, 30, 21, 59, 59, 0, time.UTC); p.Status != agency.Active || !p.Areas.Equal(narrowed) || !p.Until.Equal(want) {
		t.Errorf("accepted: %s %v until %s", p.Status, p.Areas, p.Until)
	}
	cleo.get(link).says(t, http.StatusOK, "Bright Studio works in Cleo Shoes", "Change or end the access")
}

// Nobody accepts what they did not see.
func TestAChangedRequestIsShownAgain(t *testing.T) {
	w := newTown(t)
	w.asks()
	cleo := w.as(cleoAt)
	link := "/requests/" + string(w.con)
	cleo.get(link)
	if _, err := w.svc.WithdrawRequest(t.Context(), w.ann, w.studio, w.con); err != nil {
		t.Fatal(err)
	}
	w.ask(annAt, w.studio, service.ConnectionRequest{Account: w.shop, Areas: agency.Areas{"contacts": agency.Edit}, Message: "Something else"})
	again := cleo.post(link, with(levelFields(asked), "do", "accept", "request", "1")...)
	again.says(t, http.StatusConflict, "The request has changed since you looked at it", "as it stands now", "Something else")
	again.has(t, `name="request" value="2"`, `name="area-contacts" value="edit" checked>`, `name="area-pages" value="none" checked>`)
	if p := w.profile(w.con); p.Status != agency.Pending {
		t.Errorf("it is %s", p.Status)
	}
}

func TestSayNoAndAllowAgain(t *testing.T) {
	w := newTown(t)
	w.asks()
	cleo := w.as(cleoAt)
	link := "/requests/" + string(w.con)
	denied := cleo.does(link, "do", "deny")
	denied.says(t, http.StatusOK, "was told that its request is declined", "You said no to Bright Studio", "It can’t ask again before", "Allow it to ask again")
	golden(t, "request-denied", denied.Body.Bytes())
	cleo.get(link).hasNot(t, `role="status"`) // a notice is shown once
	cleo.does(link, "do", "allow").says(t, http.StatusOK, "may ask again", "Nothing holds the agency off")
	cleo.does(link, "do", "allow").says(t, http.StatusOK, "Nothing held that agency off any more")

	w.asks()
	cleo.get(link+"?unexpected=1").says(t, http.StatusOK, "You did not expect this?", "You will not be bothered again", "told of the denial alone")
	cleo.does(link+"?unexpected=1", "do", "block").says(t, http.StatusOK, "Declined and blocked", "You blocked Bright Studio")

	// What a blocked agency asks later reaches nobody; the receipt's link still
	// leads to where it can be allowed again.
	w.advance(31 * 24 * time.Hour)
	w.asks()
	cleo = w.as(cleoAt)
	held := cleo.get(link)
	held.says(t, http.StatusOK, "Bright Studio is held off", "You blocked Bright Studio", "Allow it to ask again")
	held.hasNot(t, "Shall we")
	cleo.get("/accounts/"+string(w.shop)+"/team").says(t, http.StatusOK, "Agencies that are held off", "Blocked")
	w.as(annAt).get(link).says(t, http.StatusNotFound, "no request here that is yours to decide")
	cleo.post(link, "do", "accept", "request", "2", "area-pages", "view").says(t, http.StatusNotFound)
	cleo.does(link, "do", "allow").says(t, http.StatusOK, "may ask again", "Team Members")
	cleo.get(link).says(t, http.StatusNotFound)
}

// Each state has a page of its own that says what can be done now.
func TestEveryState(t *testing.T) {
	for status, tt := range map[agency.Status]struct {
		do   func(*town)
		says []string
	}{
		agency.Withdrawn: {func(w *town) {
			_, err := w.svc.WithdrawRequest(w.t.Context(), w.ann, w.studio, w.con)
			must(w.t, err)
		}, []string{"took its request back", "nothing for you to decide"}},
		agency.Expired: {func(w *town) { w.advance(15 * 24 * time.Hour) }, []string{"has expired", "ask Bright Studio, at ann@agency.test", "Dismiss and block"}},
		agency.Revoked: {func(w *town) {
			w.accepts(nil)
			_, err := w.svc.RemoveMember(w.t.Context(), agency.Caller{Actor: w.cleo}, w.shop, agency.Party(w.studio), false)
			must(w.t, err)
		}, []string{"The access of Bright Studio is revoked", "Allow it to ask again"}},
		agency.Left: {func(w *town) {
			w.accepts(nil)
			_, err := w.svc.LeaveAccount(w.t.Context(), w.ann, w.studio, w.con)
			must(w.t, err)
		}, []string{"has ended its work", "ask it for a new request"}},
		agency.Lapsed: {func(w *town) {
			until := w.clock().Add(time.Hour)
			w.accepts(&until)
			w.advance(2 * time.Hour)
		}, []string{"The end date that was set has passed"}},
	} {
		t.Run(string(status), func(t *testing.T) {
			w := newTown(t)
			w.t = t
			w.asks()
			tt.do(w)
			page := w.as(cleoAt).get("/requests/" + string(w.con))
			page.says(t, http.StatusOK, tt.says...)
			page.hasNot(t, `value="accept"`)
			golden(t, "request-"+string(status), page.Body.Bytes())
		})
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (w *town) accepts(until *time.Time) {
	w.t.Helper()
	_, err := w.svc.AcceptRequest(w.t.Context(), agency.Caller{Actor: w.cleo}, w.shop, w.studio, service.Grant{Request: 1, Until: until})
	must(w.t, err)
}

// An expired request is refused with its page, and can be dismissed there.
func TestTooLate(t *testing.T) {
	w := newTown(t)
	w.asks()
	w.advance(15 * 24 * time.Hour)
	cleo := w.as(cleoAt)
	link := "/requests/" + string(w.con)
	cleo.post(link, with(levelFields(asked), "do", "accept", "request", "1")...).says(t, http.StatusGone, "The request has expired. The agency can ask again.", "ask Bright Studio")
	cleo.does(link, "do", "deny").says(t, http.StatusOK, "You said no to Bright Studio")
}

// A request by email is addressed to a person, who chooses the account, or opens
// one first and comes back.
func TestByEmailThePersonChooses(t *testing.T) {
	w := newTown(t)
	const doraAt = "dora@dance.test"
	dora := w.as(doraAt)
	w.ask(annAt, w.studio, service.ConnectionRequest{OwnerEmail: doraAt, Areas: asked})
	id := agency.NewConnectionID(agency.Party(w.actor(doraAt).ID()), w.studio)
	link := "/requests/" + string(id)
	page := dora.get(link)
	page.says(t, http.StatusOK, "Bright Studio asks to work in an account of yours", "Open an account first")
	page.has(t, `href="/accounts/new?to=%2Frequests%2F`+string(id)+`"`)
	page.hasNot(t, `value="accept"`)
	w.as(cleoAt).get(link).says(t, http.StatusNotFound, "Sign in as somebody else")

	back := dora.does("/accounts/new?to="+url.QueryEscape(link), "name", "Dora Dance", "key", "0123456789abcdef")
	back.says(t, http.StatusOK, "Your account is open", "Dora Dance")
	w.opens(doraAt, "Dora Yoga")
	dora.get(link).says(t, http.StatusOK, "Dora Dance", "Dora Yoga")
	none := dora.post(link, with(levelFields(asked), "do", "accept", "request", "1")...)
	none.says(t, http.StatusBadRequest, "Choose the account that the agency may work in.")
	none.has(t, `id="account-fault"`)
	dora.post(link, with(levelFields(asked), "do", "accept", "request", "1", "account", string(w.shop))...).says(t, http.StatusNotFound)

	dance := agency.NewAccountID(agency.Party(w.actor(doraAt).ID()), "0123456789abcdef")
	dora.does(link, with(levelFields(asked), "do", "accept", "request", "1", "account", string(dance))...).says(t, http.StatusOK, "is let in")
	// The email's link leads to the connection there.
	dora.follow(dora.get(link)).says(t, http.StatusOK, "Bright Studio works in Dora Dance")
}

func TestByEmailBlockAndAllow(t *testing.T) {
	w := newTown(t)
	w.ask(annAt, w.studio, service.ConnectionRequest{OwnerEmail: cleoAt, Areas: asked})
	id := agency.NewConnectionID(agency.Party(w.cleo.ID()), w.studio)
	cleo := w.as(cleoAt)
	cleo.get("/requests/"+string(id)).has(t, `name="account" value="`+string(w.shop)+`" required checked>`)
	cleo.does("/requests/"+string(id), "do", "block").says(t, http.StatusOK, "Declined and blocked")
	cleo.get("/me").says(t, http.StatusOK, "Agencies that you hold off", "Bright Studio", "Blocked")
	cleo.does("/me", "do", "allow", "agency", string(w.studio)).says(t, http.StatusOK, "may ask again", "None.")
}

// Staff and strangers are told the same.
func TestARequestIsNotForEverybody(t *testing.T) {
	w := newTown(t)
	w.asks()
	w.invites("mem@client.test", agency.Member)
	for _, email := range []string{annAt, "eve@nowhere.test", "mem@client.test"} {
		page := w.as(email).get("/requests/" + string(w.con))
		page.says(t, http.StatusNotFound, "no request here that is yours to decide", "signed in as "+email, "Sign in as somebody else")
		page.hasNot(t, "Shall we", "Bright Studio")
		w.unchanged(t, email, func() {
			w.as(email).post("/requests/"+string(w.con), "do", "accept", "request", "1", "area-pages", "view")
		})
	}
}
