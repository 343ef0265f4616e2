package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"agencyhub/shared/agency"
	"agencyhub/shared/service"
)

const miaAt = "mia@client.test"

// invitation returns the page of an invitation to the shop.
func (w *world) invitation() string { return invitationURL(w.shop) }

// invited returns Mia's profile in the shop.
func (w *world) invited() agency.Profile {
	w.t.Helper()
	return w.memberAt(agency.Party(w.shop), agency.Party(w.actor(miaAt).ID()))
}

// Before sign-in the page of an invitation is the same for every account, existing or
// not. After it, everybody but the invited person gets one sentence.
func TestInvitationLinkRevealsNothing(t *testing.T) {
	w := newWorld(t)
	w.inviteOnly(miaAt, agency.Member)
	none := "acct_00000000000000000000000000"
	page := w.browser().get(w.invitation())
	page.wantText(t, http.StatusOK, "You have an invitation", "Opening this page changes nothing", "Sign in to see the invitation")
	page.wantMarkup(t, `href="/signin?to=%2Finvitations%2F`+string(w.shop)+`"`)
	page.wantNoMarkup(t, "Cleo", cleoAt, miaAt)
	golden(t, "invitation-link", page.Body.Bytes())
	other := w.browser().get(invitationURL(agency.AccountID(none)))
	wantEqual(t, "the page of no invitation", page.Body.String(), strings.ReplaceAll(other.Body.String(), none, string(w.shop)))
	w.browser().get("/invitations/broken").wantText(t, http.StatusNotFound, "exactly as it is in the email")

	// Of those who can't read it, the owner has opened the account without one.
	for _, email := range []string{"eve@nowhere.test", cleoAt, annAt} {
		page := w.as(email).get(w.invitation())
		page.wantText(t, http.StatusNotFound, "There is no invitation here for your address", "signed in as "+email)
		page.wantNoMarkup(t, "Cleo Shoes", miaAt)
		none := w.as(email).get(invitationURL(agency.AccountID(none)))
		wantEqual(t, "the page for "+email, page.text, none.text)
		w.demandUnchanged(t, "answers by "+email, func() {
			for _, do := range []string{"accept", "decline", "block", "allow"} {
				w.as(email).post(w.invitation(), "do", do, "request", "1").wantText(t, http.StatusNotFound, "There is no invitation here")
			}
		})
	}
	// A form sent without a session is kept, and not sent by itself.
	w.demandUnchanged(t, "an answer without a session", func() {
		w.browser().post(w.invitation(), "do", "accept", "request", "1").wantText(t, http.StatusUnauthorized, "You have to sign in again")
	})
}

// A person reads what they are invited to, accepts, and is led to the account.
func TestAcceptInvitation(t *testing.T) {
	w := newWorld(t)
	w.inviteOnly(miaAt, agency.Member)
	mia := w.as(miaAt)
	w.demandUnchanged(t, "looking", func() {
		page := mia.get(w.invitation())
		page.wantText(t, http.StatusOK, "Join Cleo Shoes", "cleo@client.test invited you to this account", "Role Member", "Pages View only",
			"Expires 5 Jun 2030", "You pay nothing", "You can leave at any time", "can’t invite you again for 30 days", "I didn’t expect this")
		page.wantNoMarkup(t, `name="plan"`)
		golden(t, "invitation-member", page.Body.Bytes())
		mia.get("/accounts/"+string(w.shop)+"/settings").wantText(t, http.StatusNotFound)
		mia.post(w.invitation(), "do", "accept").wantText(t, http.StatusBadRequest, "does not do")
		mia.post(w.invitation(), "do", "dance", "request", "1").wantText(t, http.StatusBadRequest, "does not do")
		mia.post(w.invitation(), "do", "accept", "request", "2").wantText(t, http.StatusConflict, "has changed since you looked at it")
	})
	mia.submit(w.invitation(), "do", "accept", "request", "1").wantText(t, http.StatusOK, "You joined the account.", "About this account", "Pages View only")
	wantEqual(t, "status", agency.Active, w.invited().Status)
	again := mia.get(w.invitation())
	again.wantText(t, http.StatusOK, "You’ve joined Cleo Shoes", "Go to Cleo Shoes")
	again.wantNoMarkup(t, `value="accept"`, `value="decline"`)
	golden(t, "invitation-accepted", again.Body.Bytes())

	// An admin is led to the team.
	w.inviteOnly("al@client.test", agency.Admin)
	al := w.as("al@client.test")
	al.get(w.invitation()).wantText(t, http.StatusOK, "Role Admin", "You have full access, except owners, billing and closing the account")
	al.submit(w.invitation(), "do", "accept", "request", "1").wantText(t, http.StatusOK, "You joined the account.", "Everyone with access")
}

// A person who would pay reads the price first, and confirms that plan.
func TestAcceptInvitationAsOwner(t *testing.T) {
	w := newWorld(t)
	w.inviteOnly(miaAt, agency.Owner)
	mia := w.as(miaAt)
	page := mia.get(w.invitation())
	page.wantText(t, http.StatusOK, "You will pay for this account: Starter, 29 USD a month.", "Role Owner",
		"You pay for the account, and manage its plan and its bill", "I will pay for Cleo Shoes: Starter, 29 USD a month.")
	page.wantMarkup(t, `name="plan" value="starter"`, `name="confirm" value="yes" required`)
	golden(t, "invitation-owner", page.Body.Bytes())
	w.demandUnchanged(t, "an acceptance without the plan or its confirmation", func() {
		bad := mia.post(w.invitation(), "do", "accept", "request", "1", "plan", "starter")
		bad.wantText(t, http.StatusBadRequest, "Confirm that you will pay for this account")
		bad.wantMarkup(t, `id="confirm-fault"`)
		mia.post(w.invitation(), "do", "accept", "request", "1", "confirm", "yes").wantText(t, http.StatusBadRequest, "as an owner you pay for the account")
		mia.post(w.invitation(), "do", "accept", "request", "1", "plan", "free", "confirm", "yes").wantText(t, http.StatusConflict, "plan has changed")
	})
	_, err := w.svc.ChangePlan(t.Context(), agency.Caller{Actor: w.cleo}, w.shop, "growth")
	must(t, err)
	changed := mia.post(w.invitation(), "do", "accept", "request", "1", "plan", "starter", "confirm", "yes")
	changed.wantText(t, http.StatusConflict, "plan has changed", "These are the present terms", "You will pay for this account: Growth, 99 USD a month.")
	changed.wantNoMarkup(t, ` checked`)
	wantEqual(t, "status", agency.Invited, w.invited().Status)
	mia.submit(w.invitation(), "do", "accept", "request", "1", "plan", "growth", "confirm", "yes").
		wantText(t, http.StatusOK, "You’re an owner of this account now.")
	mia.get(w.invitation()).wantText(t, http.StatusOK, "You’re an owner of Cleo Shoes")
}

// Terms that changed while the page was open are shown, not accepted.
func TestInvitationChanges(t *testing.T) {
	w := newWorld(t)
	w.inviteOnly(miaAt, agency.Member)
	w.as(miaAt).get(w.invitation())
	w.advance(24 * time.Hour)
	w.inviteOnly(miaAt, agency.Admin)
	mia := w.as(miaAt)
	for _, path := range []string{w.invitation(), "/waiting"} {
		for _, do := range []string{"accept", "decline"} {
			page := mia.post(path, "do", do, "request", "1", "invitation", string(w.shop))
			page.wantText(t, http.StatusConflict, "has changed since you looked at it", "the present terms", "Role")
			page.wantMarkup(t, "Admin", `name="request" value="2"`)
		}
	}
	wantEqual(t, "status", agency.Invited, w.invited().Status)
	mia.submit(w.invitation(), "do", "accept", "request", "2")
	wantEqual(t, "role", agency.Admin, w.invited().Role)
}

func TestDeclineInvitation(t *testing.T) {
	w := newWorld(t)
	w.inviteOnly(miaAt, agency.Member)
	mia := w.as(miaAt)
	declined := mia.submit(w.invitation(), "do", "decline", "request", "1")
	declined.wantText(t, http.StatusOK, "Declined.", "You declined this invitation", "can’t invite you again until", "Unblock")
	golden(t, "invitation-declined", declined.Body.Bytes())
	team := "/accounts/" + string(w.shop) + "/team"
	cleo := w.as(cleoAt)
	cleo.get(team).wantText(t, http.StatusOK, "Past people (1)", "mia@client.test Declined")
	cleo.get(w.memberPage(agency.Party(w.actor(miaAt).ID()))).wantText(t, http.StatusOK, "They declined the invitation", "Access that was offered")
	cooling := cleo.post(team, "do", "invite", "email", miaAt, "role", "admin")
	cooling.wantText(t, http.StatusTooManyRequests, "They have declined not long ago", "You can try again in 30 days")
	cooling.wantMarkup(t, `value="mia@client.test"`)

	mia.submit(w.invitation(), "do", "allow").wantText(t, http.StatusOK, "Unblocked. It can request again.")
	cleo.submit(team, "do", "invite", "email", miaAt, "role", "admin").wantText(t, http.StatusOK, "Invitation sent.")
	blocked := mia.submit(w.invitation(), "do", "block", "request", "2")
	blocked.wantText(t, http.StatusOK, "Declined and blocked. They’re told only that you declined.", "You blocked Cleo Shoes", "Unblock")
	mia.get("/me").wantText(t, http.StatusOK, "Blocked accounts", "Cleo Shoes Blocked")

	// Once the cooldown is over, a new invitation stays hidden, and the account can't
	// tell.
	w.advance(31 * 24 * time.Hour)
	cleo = w.as(cleoAt)
	cleo.submit(team, "do", "invite", "email", miaAt, "role", "admin").wantText(t, http.StatusOK, "mia@client.test Invited Admin")
	mia = w.as(miaAt)
	mia.get(w.invitation()).wantText(t, http.StatusNotFound)
	mia.get("/waiting").wantText(t, http.StatusOK, "Nothing waits for your answer")
	mia.post(w.invitation(), "do", "accept", "request", "3").wantText(t, http.StatusNotFound)
	mia.submit("/me", "do", "allow", "agency", string(w.shop)).wantText(t, http.StatusOK, "Unblocked.", "None.")
	mia.get(w.invitation()).wantText(t, http.StatusNotFound)
}

// The page of an answered invitation says what can be done now.
func TestInvitationPageByState(t *testing.T) {
	for name, tt := range map[string]struct {
		do   func(*world, agency.Party)
		says []string
	}{
		"withdrawn": {func(w *world, mia agency.Party) {
			_, err := w.svc.WithdrawInvitation(w.t.Context(), agency.Caller{Actor: w.cleo}, w.shop, mia)
			must(w.t, err)
		}, []string{"This invitation was withdrawn", "There is nothing for you to answer"}},
		"expired": {func(w *world, _ agency.Party) { w.advance(31 * 24 * time.Hour) },
			[]string{"This invitation has expired", "ask cleo@client.test for a new invitation", "Dismiss and block"}},
		"closed": {func(w *world, _ agency.Party) {
			_, err := w.svc.CloseAccount(w.t.Context(), agency.Caller{Actor: w.cleo}, w.shop)
			must(w.t, err)
		}, []string{"Cleo Shoes is closed"}},
		"ended": {func(w *world, mia agency.Party) {
			w.acceptInvitation(miaAt, w.shop)
			_, err := w.svc.RemoveMember(w.t.Context(), agency.Caller{Actor: w.cleo}, w.shop, mia, false)
			must(w.t, err)
		}, []string{"You no longer have access to Cleo Shoes"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.t = t
			tt.do(w, w.inviteOnly(miaAt, agency.Member))
			page := w.as(miaAt).get(w.invitation())
			page.wantText(t, http.StatusOK, tt.says...)
			page.wantNoMarkup(t, `value="accept"`)
			golden(t, "invitation-"+name, page.Body.Bytes())
			before := w.invited()
			refused := w.as(miaAt).post(w.invitation(), "do", "accept", "request", "1")
			if want := map[string]int{"expired": http.StatusGone}[name]; refused.Code != max(want, http.StatusConflict) {
				t.Errorf("accepting answers %d:\n%s", refused.Code, refused.text)
			}
			wantEqual(t, "profile", before, w.invited())
		})
	}
}

// An expired invitation is dismissed.
func TestDismissInvitation(t *testing.T) {
	w := newWorld(t)
	w.inviteOnly(miaAt, agency.Member)
	w.advance(31 * 24 * time.Hour)
	mia := w.as(miaAt)
	mia.get("/waiting").wantText(t, http.StatusOK, "Nothing waits for your answer")
	mia.submit(w.invitation(), "do", "decline", "request", "1").wantText(t, http.StatusOK, "You declined this invitation")
	wantEqual(t, "status", agency.Declined, w.invited().Status)
}

// An invitation can't be accepted once its maker has lost the role for it.
func TestInviterHasLeft(t *testing.T) {
	w := newWorld(t)
	al := w.invite("al@client.test", agency.Admin)
	_, _, err := w.svc.InvitePerson(t.Context(), agency.Caller{Actor: w.actor("al@client.test")}, w.shop, service.Invitation{Email: miaAt, Role: agency.Admin})
	must(t, err)
	_, err = w.svc.RemoveMember(t.Context(), agency.Caller{Actor: w.cleo}, w.shop, al, false)
	must(t, err)
	mia := w.as(miaAt)
	mia.get(w.invitation()).wantText(t, http.StatusOK, "This invitation was withdrawn")
	mia.post(w.invitation(), "do", "accept", "request", "1").wantText(t, http.StatusConflict, "can no longer do so")
}

// An owner offers ownership; the member keeps their role until they accept.
func TestOfferOwnership(t *testing.T) {
	w := newWorld(t)
	mia := w.invite(miaAt, agency.Admin)
	cleo, page := w.as(cleoAt), w.memberPage(mia)
	cleo.get(page).wantMarkup(t, `value="offer"`)
	offered := cleo.submit(page, "do", "offer")
	offered.wantText(t, http.StatusOK, "Ownership offered. They keep their role until they accept.", "Role Admin", "Offer of ownership", "Sent by cleo@client.test",
		"You can send it again from")
	offered.wantMarkup(t, `value="`+publicURL+w.invitation()+`"`, `value="withdraw"`)
	offered.wantNoMarkup(t, `value="offer"`, `value="resend"`)
	golden(t, "member-offered", offered.Body.Bytes())
	cleo.get("/accounts/"+string(w.shop)+"/team").wantText(t, http.StatusOK, "mia@client.test Offered ownership Admin")

	her := w.as(miaAt)
	her.get(page).wantNoMarkup(t, `value="withdraw"`, `value="resend"`)
	her.post(page, "do", "withdraw").wantText(t, http.StatusForbidden, "Only an owner can")
	offer := her.get(w.invitation())
	offer.wantText(t, http.StatusOK, "Become an owner of Cleo Shoes", "offers you ownership of this account", "You will pay for this account: Starter, 29 USD a month.",
		"You keep your present access")
	offer.wantNoMarkup(t, `value="block"`)
	golden(t, "invitation-offer", offer.Body.Bytes())
	her.post(w.invitation(), "do", "block", "request", "2").wantText(t, http.StatusBadRequest, "can be declined, but not blocked")
	her.get("/").wantText(t, http.StatusOK, "Become an owner of Cleo Shoes", "Review offer")

	cleo.submit(page, "do", "withdraw").wantText(t, http.StatusOK, "Offer withdrawn.", "Offer ownership")
	her.get(w.invitation()).wantText(t, http.StatusOK, "This offer was withdrawn", "You keep your access to Cleo Shoes", "Go to Cleo Shoes")
	cleo.submit(page, "do", "offer")
	her.submit(w.invitation(), "do", "decline", "request", "3").wantText(t, http.StatusOK, "You declined ownership", "Unblock", "Go to Cleo Shoes")
	cleo.post(page, "do", "offer").wantText(t, http.StatusTooManyRequests, "They have declined not long ago", "You can try again in 30 days")
	her.submit(w.invitation(), "do", "allow")
	cleo.submit(page, "do", "offer")
	her.submit(w.invitation(), "do", "accept", "request", "4", "plan", "starter", "confirm", "yes").
		wantText(t, http.StatusOK, "You’re an owner of this account now.", "mia@client.test You Owner")
	cleo.get(page).wantMarkup(t, `name="role" value="owner" required checked`)
}

// Invitations are sent again and withdrawn from the team and from the member's page.
func TestResendAndWithdrawInvitation(t *testing.T) {
	w := newWorld(t)
	mia := w.inviteOnly(miaAt, agency.Member)
	team, cleo := "/accounts/"+string(w.shop)+"/team", w.as(cleoAt)
	listed := cleo.get(team)
	listed.wantText(t, http.StatusOK, "mia@client.test Invited Member View: Pages 6 May 2030, 12:00 UTC by cleo@client.test expires 5 Jun 2030")
	listed.wantNoMarkup(t, `value="resend"`)
	page := cleo.get(w.memberPage(mia))
	page.wantText(t, http.StatusOK, "Access once they accept", "They have no access until they accept", "You can send it again from 7 May 2030")
	page.wantNoMarkup(t, `value="change"`, `value="remove"`, `value="sign-in"`, `value="offer"`)
	golden(t, "member-invited", page.Body.Bytes())
	early := cleo.post(team, "do", "resend", "member", string(mia))
	early.wantText(t, http.StatusTooManyRequests, "sent not long ago", "You can try again in 1 day")
	for n := range 3 {
		w.advance(24 * time.Hour)
		cleo = w.as(cleoAt)
		at := []string{team, w.memberPage(mia)}[n%2]
		cleo.get(at).wantMarkup(t, `value="resend"`)
		cleo.submit(at, "do", "resend", "member", string(mia)).wantText(t, http.StatusOK, "Invitation sent again.")
	}
	w.advance(24 * time.Hour)
	cleo = w.as(cleoAt)
	cleo.get(w.memberPage(mia)).wantText(t, http.StatusOK, "It can’t be sent again.")
	cleo.post(w.memberPage(mia), "do", "resend").wantText(t, http.StatusTooManyRequests, "as often as it may be")
	cleo.submit(team, "do", "withdraw", "member", string(mia)).wantText(t, http.StatusOK, "Invitation withdrawn.", "mia@client.test Withdrawn")
	cleo.submit(team, "do", "withdraw", "member", string(mia)).wantText(t, http.StatusOK, "Invitation withdrawn.")
	cleo.post(team, "do", "resend", "member", string(mia)).wantText(t, http.StatusConflict, "no request that waits")
	cleo.post(team, "do", "withdraw", "member", "nonsense").wantText(t, http.StatusNotFound)

	// An admin sees the invitation of an owner, and can't change it.
	w.invite("al@client.test", agency.Admin)
	otto := w.inviteOnly("otto@client.test", agency.Owner)
	al := w.as("al@client.test")
	al.get(team).wantText(t, http.StatusOK, "otto@client.test Invited Owner")
	al.get(w.memberPage(otto)).wantText(t, http.StatusOK, "Only an owner can resend or withdraw this")
	al.post(team, "do", "withdraw", "member", string(otto)).wantText(t, http.StatusForbidden, "Only an owner can")
}

// A new sign-in turns access into an invitation.
func TestAskNewSignIn(t *testing.T) {
	w := newWorld(t)
	mia := w.invite(miaAt, agency.Member)
	cleo, page := w.as(cleoAt), w.memberPage(mia)
	cleo.get(page).wantText(t, http.StatusOK, "Ask for a new sign-in", "They lose access immediately")
	asked := cleo.submit(page, "do", "sign-in")
	asked.wantText(t, http.StatusOK, "Access removed and invitation sent.", "Invited since", "Access once they accept", "Pages View only")
	asked.wantNoMarkup(t, `value="sign-in"`)
	her := w.as(miaAt)
	her.get("/accounts/"+string(w.shop)+"/settings").wantText(t, http.StatusNotFound)
	w.issuer.extraClaims = map[string]any{"sub": "another"}
	her = w.as(miaAt)
	her.submit("/waiting", "do", "accept", "invitation", string(w.shop), "request", "2").wantText(t, http.StatusOK, "You joined the account.")
	w.issuer.extraClaims = nil
	w.as(miaAt).get(w.invitation()).wantText(t, http.StatusForbidden, "Your sign-in has changed", "Ask an owner or admin of the account for a new sign-in")

	// Not of the last owner, nor of oneself.
	self := w.memberPage(agency.Party(w.cleo.ID()))
	cleo.get(self).wantNoMarkup(t, `value="sign-in"`)
	w.demandUnchanged(t, "a new sign-in of the last owner", func() { cleo.post(self, "do", "sign-in") })
	otto, al := w.invite("otto@client.test", agency.Owner), w.invite("al@client.test", agency.Admin)
	for email, own := range map[string]agency.Party{"otto@client.test": otto, "al@client.test": al} {
		w.as(email).get(w.memberPage(own)).wantNoMarkup(t, `value="sign-in"`)
	}
	cleo.get(w.memberPage(otto)).wantMarkup(t, `value="sign-in"`)

	// An agency's owner who is a client of their own agency does not see it either.
	owned, err := w.svc.CreateAccount(t.Context(), w.ann, w.studio, "key-of-the-owned-one", service.NewClientAccount{
		Name: "Ann's own", Plan: "starter", ConfirmPermanentOwnership: true, Client: &service.NewClient{Email: annAt, Areas: requestedAreas},
	})
	must(t, err)
	w.acceptInvitation(annAt, owned.ID)
	ann := w.as(annAt).get("/accounts/" + string(owned.ID) + "/team/" + string(w.ann.ID()) + "?as=" + string(w.studio))
	ann.wantText(t, http.StatusOK, "Remove access")
	ann.wantNoMarkup(t, `value="sign-in"`)
}

// Everything that waits for a person is one list, which the home page begins.
func TestWaiting(t *testing.T) {
	w := newWorld(t)
	dora := w.as("dora@dance.test")
	w.demandUnchanged(t, "looking", func() {
		dora.get("/waiting").wantText(t, http.StatusOK, "Nothing waits for your answer")
		page := dora.get("/")
		page.wantNoMarkup(t, "Waiting for your answer", "See everything that waits for you")
	})
	doras := w.openAccountFor("dora@dance.test", "Dora Dance")
	w.requestAs(annAt, w.studio, service.ConnectionRequest{Account: doras, Areas: requestedAreas, Message: "Shall we?"})
	w.requestAs(samAt, w.west, service.ConnectionRequest{OwnerEmail: "dora@dance.test", Areas: requestedAreas})
	w.inviteOnly("dora@dance.test", agency.Member)
	owned, err := w.svc.CreateAccount(t.Context(), w.ann, w.studio, "key-of-the-owned-one", service.NewClientAccount{
		Name: "Dora Yoga", Plan: "growth", ConfirmPermanentOwnership: true, Client: &service.NewClient{Email: "dora@dance.test", Areas: requestedAreas},
	})
	must(t, err)
	page := dora.get("/waiting")
	says := []string{"Join Cleo Shoes Invited by cleo@client.test Access: View: Pages",
		"Join Dora Yoga Invited by ann@agency.test of Bright Studio Access: Edit: Pages · View: Mail",
		"Bright Studio requests access to Dora Dance Requested by ann@agency.test", "Shall we?", "Westside Media requests access to an account of yours"}
	page.wantText(t, http.StatusOK, says...)
	page.wantNoMarkup(t, "USD", `value="block"`)
	wantEqual(t, "cards that can accept", 3, strings.Count(page.Body.String(), `value="accept"`))
	byEmail := agency.NewConnectionID(agency.Party(w.actor("dora@dance.test").ID()), w.west)
	golden(t, "waiting", page.Body.Bytes())
	home := dora.get("/")
	home.wantText(t, http.StatusOK, says...)
	home.wantNoMarkup(t, "See everything that waits for you")

	dora.submit("/waiting", "do", "decline", "connection", string(agency.NewConnectionID(agency.Party(doras), w.studio)), "request", "1").
		wantText(t, http.StatusOK, "Request declined.", "Waiting for your answer")
	dora.submit("/waiting", "do", "decline", "invitation", string(w.shop), "request", "1").wantText(t, http.StatusOK, "Declined.")
	joined := dora.submit("/waiting", "do", "accept", "invitation", string(owned.ID), "request", "1")
	joined.wantText(t, http.StatusOK, "You joined the account.", "Dora Yoga", "About this account")
	left := dora.get("/waiting")
	left.wantText(t, http.StatusOK, "Westside Media")
	left.wantNoMarkup(t, "Cleo Shoes", "Bright Studio")
	w.demandUnchanged(t, "what no card asks", func() {
		dora.post("/waiting", "do", "decline", "invitation", "nonsense", "request", "1").wantText(t, http.StatusNotFound)
		dora.post("/waiting", "do", "decline", "connection", "nonsense", "request", "1").wantText(t, http.StatusNotFound)
		dora.post("/waiting", "do", "accept", "connection", string(w.con), "request", "1").wantText(t, http.StatusNotFound)
		dora.post("/waiting", "do", "accept", "connection", string(byEmail), "request", "1").wantText(t, http.StatusBadRequest, "does not do")
		dora.post("/waiting", "do", "block", "connection", string(w.con), "request", "1").wantText(t, http.StatusBadRequest, "does not do")
		dora.post("/waiting", "do", "decline").wantText(t, http.StatusBadRequest, "does not do")
		dora.get("/waiting?cursor=nonsense").wantText(t, http.StatusBadRequest)
	})
}

// More waits than a page shows: the pages together have each once.
func TestWaitingPages(t *testing.T) {
	w := newWorld(t)
	const accounts = pageSize + 3
	for n := range accounts {
		email := strings.Repeat("o", n+1) + "@many.test"
		id := w.openAccountFor(email, "Account "+strings.Repeat("o", n+1))
		_, _, err := w.svc.InvitePerson(t.Context(), agency.Caller{Actor: w.actor(email)}, id, service.Invitation{Email: miaAt, Role: agency.Admin})
		must(t, err)
	}
	mia := w.as(miaAt)
	mia.get("/").wantText(t, http.StatusOK, "See everything that waits for you")
	seen, path := 0, "/waiting"
	for pages := 0; path != "" && pages < 5; pages++ {
		page := mia.get(path)
		page.wantText(t, http.StatusOK)
		seen += strings.Count(page.Body.String(), `class="card waiting"`)
		_, link, _ := strings.Cut(page.Body.String(), `class="secondary" href="/waiting?`)
		if path, _, _ = strings.Cut(link, `"`); path != "" {
			path = "/waiting?" + strings.ReplaceAll(path, "&amp;", "&")
		}
	}
	wantEqual(t, "cards on all pages", accounts, seen)
}

// The client of a new agency-owned account is invited; the agency manages that from
// the account's team.
func TestClientIsInvited(t *testing.T) {
	w := newWorld(t)
	owned, err := w.svc.CreateAccount(t.Context(), w.ann, w.studio, "key-of-the-owned-one", service.NewClientAccount{
		Name: "Dora Dance", Plan: "starter", ConfirmPermanentOwnership: true, Client: &service.NewClient{Email: "dora@dance.test", Areas: requestedAreas},
	})
	must(t, err)
	ann, dora := w.as(annAt), w.as("dora@dance.test")
	team := "/accounts/" + string(owned.ID) + "/team?as=" + string(w.studio)
	client := clientURL(w.studio, agency.NewConnectionID(agency.Party(owned.ID), w.studio))
	ann.get(client).wantText(t, http.StatusOK, "dora@dance.test Invited Edit: Pages · View: Mail Expires", "Manage access")
	page := ann.get(team)
	page.wantText(t, http.StatusOK, "dora@dance.test Invited Client Edit: Pages · View: Mail", "by ann@agency.test", "Invite your client")
	golden(t, "team-owned-invited", page.Body.Bytes())
	invited := dora.get(invitationURL(owned.ID))
	invited.wantText(t, http.StatusOK, "ann@agency.test of Bright Studio invited you", "Owned by Bright Studio", "Role Client",
		"Bright Studio owns the account and pays for it. You pay nothing.")
	invited.wantNoMarkup(t, "USD")
	golden(t, "invitation-client", invited.Body.Bytes())
	member := string(w.actor("dora@dance.test").ID())
	ann.submit(team, "do", "withdraw", "member", member).wantText(t, http.StatusOK, "Invitation withdrawn.", "Your client doesn’t have access")
	ann.get(client).wantText(t, http.StatusOK, "Your client doesn’t have access yet.", "Invite your client")
	ann.submit(team, withFields(levelFields(requestedAreas), "do", "invite", "email", "dora@dance.test", "role", "member")...).wantText(t, http.StatusOK, "Invitation sent.")
	dora.submit(invitationURL(owned.ID), "do", "block", "request", "2").wantText(t, http.StatusOK, "You blocked Bright Studio")
	// The block is of the agency: it covers its own requests, and its other accounts.
	dora.get("/me").wantText(t, http.StatusOK, "Bright Studio Blocked")
}
