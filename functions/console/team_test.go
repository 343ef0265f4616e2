package main

import (
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"agencyhub/shared/agency"
	"agencyhub/shared/service"
	"agencyhub/shared/testbed"
)

// The dashboard shows pending requests, then agencies, people, and blocked agencies.
func TestTeam(t *testing.T) {
	w := newWorld(t)
	w.connect()
	w.requestAs(samAt, w.west, service.ConnectionRequest{Account: w.shop, Areas: requestedAreas, Message: "We met at the fair."})
	mia := w.invite("mia@client.test", agency.Member)
	w.inviteOnly("ivy@client.test", agency.Owner)
	gone := w.invite("gone@client.test", agency.Admin)
	_, err := w.svc.RemoveMember(t.Context(), agency.Caller{Actor: w.cleo}, w.shop, gone, false)
	must(t, err)
	path := "/accounts/" + string(w.shop) + "/team"
	page := w.as(cleoAt).get(path)
	page.wantText(t, http.StatusOK, "Westside Media requests access", "We met at the fair.", "Edit: Pages · View: Mail", "Bright Studio Active",
		"cleo@client.test You Owner Everything", "mia@client.test Member View: Pages", "ivy@client.test Invited Owner", "by cleo@client.test", "Past people (1)", "gone@client.test Revoked")
	page.wantMarkup(t, `href="/requests/con_`+string(w.shop)+`_`+string(w.west)+`"`, `href="`+w.memberPage(mia)+`"`)
	golden(t, "team", page.Body.Bytes())

	w.as("mia@client.test").get(path).wantText(t, http.StatusForbidden, "Your role does not allow that")
	w.as("eve@nowhere.test").get(path).wantText(t, http.StatusNotFound)
	w.as(annAt).get(path).wantText(t, http.StatusNotFound)
	// A connected agency sees only itself.
	theirs := w.as(annAt).get(path + "?as=" + string(w.studio))
	theirs.wantText(t, http.StatusOK, "You see your agency’s own access", "Bright Studio")
	theirs.wantNoMarkup(t, "Westside", "mia@client.test", `value="invite"`)
	w.as(annAt).get(w.memberPage(mia)+"?as="+string(w.studio)).wantText(t, http.StatusNotFound)
	own := w.as(annAt).get(w.memberPage(agency.Party(w.studio)) + "?as=" + string(w.studio))
	own.wantText(t, http.StatusOK, "Your agency’s access", "can change or revoke this at any time")
	own.wantNoMarkup(t, `value="revoke"`, `value="restrict"`)
}

func TestInvite(t *testing.T) {
	w := newWorld(t)
	path := "/accounts/" + string(w.shop) + "/team"
	cleo := w.as(cleoAt)
	bad := cleo.post(path, withFields(levelFields(agency.Areas{"mail": agency.Edit}), "do", "invite", "email", "not an address", "role", "member")...)
	bad.wantText(t, http.StatusBadRequest, "Give an email address")
	bad.wantMarkup(t, `value="not an address"`, `name="area-mail" value="edit" checked>`, `id="email-fault"`)
	none := cleo.post(path, withFields(levelFields(nil), "do", "invite", "email", "mia@client.test", "role", "member")...)
	none.wantText(t, http.StatusBadRequest, "Give at least one area")
	none.wantMarkup(t, `id="levels-fault"`, `value="mia@client.test"`)
	cleo.post(path, "do", "invite", "email", "mia@client.test", "role", "king").wantText(t, http.StatusBadRequest, "A role is owner, admin or member")

	invite := withFields(levelFields(agency.Areas{"mail": agency.Edit}), "do", "invite", "email", "Mia@Client.test", "role", "member")
	cleo.submit(path, invite...).wantText(t, http.StatusOK, "Invitation sent.", "mia@client.test Invited Member Edit: Mail", "by cleo@client.test")
	// The same terms within a day send nothing; after it they do.
	w.advance(23 * time.Hour)
	cleo = w.as(cleoAt)
	w.demandUnchanged(t, "the same invitation", func() {
		again := cleo.submit(path, invite...)
		again.wantText(t, http.StatusOK, "Already invited.")
		again.wantMarkup(t, `class="warning" role="status"`)
	})
	w.advance(time.Hour)
	cleo = w.as(cleoAt)
	cleo.submit(path, invite...).wantText(t, http.StatusOK, "Invitation sent.")
	w.acceptInvitation("mia@client.test", w.shop)
	cleo.submit(path, withFields(levelFields(nil), "do", "invite", "email", "mia@client.test", "role", "admin")...).
		wantText(t, http.StatusOK, "They already have access.", "Role Admin")
	// Admins can't make owners, and are not offered it.
	mia := w.as("mia@client.test")
	mia.get(path).wantNoMarkup(t, `name="role" value="owner"`)
	mia.post(path, "do", "invite", "email", "x@client.test", "role", "owner").wantText(t, http.StatusForbidden, "Only an owner can make")
	// Ownership is offered to somebody with access, whichever form asks.
	cleo.submit(path, "do", "invite", "email", "mia@client.test", "role", "owner").
		wantText(t, http.StatusOK, "Ownership offered.", "Role Admin", "Offer of ownership")
	w.advance(time.Millisecond)
	w.demandUnchanged(t, "the same offer", func() {
		cleo.submit(path, "do", "invite", "email", "mia@client.test", "role", "owner").wantText(t, http.StatusOK, "Already offered.")
		member := w.memberPage(agency.Party(w.actor("mia@client.test").ID()))
		cleo.submit(member, "do", "offer").wantText(t, http.StatusOK, "Already offered.")
	})
	wantEqual(t, "role", agency.Admin, w.memberAt(agency.Party(w.shop), agency.Party(w.actor("mia@client.test").ID())).Role)
}

func TestChangeAPerson(t *testing.T) {
	w := newWorld(t)
	cleo := w.as(cleoAt)
	mia := w.invite("mia@client.test", agency.Member)
	golden(t, "member-person", cleo.get(w.memberPage(mia)).Body.Bytes())
	cleo.submit(w.memberPage(mia), withFields(levelFields(agency.Areas{"mail": agency.View}), "do", "change", "role", "member")...).
		wantText(t, http.StatusOK, "Saved", "Mail View only")
	bad := cleo.post(w.memberPage(mia), withFields(levelFields(nil), "do", "change", "role", "member")...)
	bad.wantText(t, http.StatusBadRequest, "at least one area")
	bad.wantMarkup(t, `name="area-mail" value="none" checked>`)
	cleo.get(w.memberPage(mia)).wantNoMarkup(t, `name="role" value="owner"`)
	cleo.submit(w.memberPage(mia), "do", "remove").wantText(t, http.StatusOK, "Access removed.", "Past people (1)")
	cleo.get(w.memberPage(mia)).wantText(t, http.StatusOK, "Previous access", "They no longer have access.", "Invite again")
	cleo.get(w.memberPage("per_00000000000000000000000000")).wantText(t, http.StatusNotFound)
	cleo.get(w.memberPage("nonsense")).wantText(t, http.StatusNotFound)
}

// The last owner can't leave: the page says why, and the use case refuses.
func TestTheLastOwner(t *testing.T) {
	w := newWorld(t)
	cleo := w.as(cleoAt)
	self := w.memberPage(agency.Party(w.cleo.ID()))
	page := cleo.get(self)
	page.wantText(t, http.StatusOK, "You’re the only owner of this account", "Invite another owner")
	page.wantNoMarkup(t, `value="leave"`, `value="change"`)
	golden(t, "member-last-owner", page.Body.Bytes())
	cleo.post(self, "do", "leave").wantText(t, http.StatusConflict, "This is the account's last owner. Make somebody else an owner first.")
	cleo.post(self, withFields(levelFields(requestedAreas), "do", "change", "role", "member")...).wantText(t, http.StatusConflict, "last owner")
	w.invite("olga@client.test", agency.Owner)
	cleo.get(self).wantMarkup(t, `value="leave"`)
	cleo.submit(self, "do", "leave").wantText(t, http.StatusOK, "You left the account", "You are in no account yet")
}

func TestRestrictAndRevoke(t *testing.T) {
	w := newWorld(t)
	w.connect()
	cleo := w.as(cleoAt)
	page := w.memberPage(agency.Party(w.studio))
	golden(t, "member-agency", cleo.get(page).Body.Bytes())
	cleo.submit(page, withFields(levelFields(agency.Areas{"contacts": agency.View}), "do", "restrict")...).
		wantText(t, http.StatusOK, "Takes effect immediately", "Contacts View only")
	cleo.post(page, withFields(levelFields(nil), "do", "restrict")...).wantText(t, http.StatusBadRequest, "at least one area")
	cleo.post(page, "do", "until").wantText(t, http.StatusBadRequest, "Choose a day, or remove the end date")
	past := cleo.post(page, "do", "until", "until", "2020-01-01", "zone", "UTC")
	past.wantText(t, http.StatusBadRequest, "The end date must lie ahead")
	past.wantMarkup(t, `value="2020-01-01"`)
	cleo.submit(page, "do", "until", "until", "2030-12-31", "zone", "America/New_York")
	if got, want := w.profile(w.con).Until, time.Date(2031, 1, 1, 4, 59, 59, 0, time.UTC); !got.Equal(want) {
		t.Errorf("until %s, want %s", got, want)
	}
	set := cleo.get(page)
	set.wantMarkup(t, `data-at="2031-01-01T04:59:59Z"`, "Change end date", "Remove end date")
	cleo.submit(page, "do", "forever").wantText(t, http.StatusOK, "End date None")

	cleo.submit(page, "do", "revoke", "block", "yes").wantText(t, http.StatusOK, "Access revoked.",
		"You blocked Bright Studio", "Unblock")
	wantEqual(t, "status", agency.Revoked, w.profile(w.con).Status)
	cleo.submit("/accounts/"+string(w.shop)+"/team", "do", "allow", "agency", string(w.studio)).wantText(t, http.StatusOK, "Unblocked.")
	cleo.post(page, "do", "restrict", "area-pages", "view").wantText(t, http.StatusSeeOther)
}

// A member of an agency can be limited to some of its clients.
func TestLimitStaff(t *testing.T) {
	w := newWorld(t)
	w.connect()
	p, _, err := w.svc.InvitePerson(t.Context(), agency.Caller{Actor: w.ann}, w.studio,
		service.Invitation{Email: "stan@agency.test", Role: agency.Member, Areas: requestedAreas})
	must(t, err)
	w.acceptInvitation("stan@agency.test", w.studio)
	ann := w.as(annAt)
	page := "/accounts/" + string(w.studio) + "/team/" + string(p.Member)
	ann.get(page).wantText(t, http.StatusOK, "Assigned clients", "Cleo Shoes")
	limited := ann.submit(page, "do", "limit", "limited", "yes", "client", string(w.shop))
	limited.wantMarkup(t, `name="client" value="`+string(w.shop)+`" checked>`, `value="yes" checked>`)
	golden(t, "member-staff", limited.Body.Bytes())
	wantEqual(t, "limited to one", []agency.AccountID{w.shop}, w.memberAt(agency.Party(w.studio), p.Member).Clients)
	bad := ann.post(page, "do", "limit", "limited", "yes", "others", "nonsense")
	bad.wantText(t, http.StatusBadRequest, "no account id")
	bad.wantMarkup(t, ">nonsense</textarea>")
	ann.submit(page, "do", "limit", "limited", "yes")
	wantEqual(t, "limited to nobody", []agency.AccountID{}, w.memberAt(agency.Party(w.studio), p.Member).Clients)
	ann.submit(page, "do", "limit", "limited", "no")
	wantEqual(t, "not limited", []agency.AccountID(nil), w.memberAt(agency.Party(w.studio), p.Member).Clients)
}

// An agency gives the client of its account access, changes it and takes it away.
func TestAnOwnedAccount(t *testing.T) {
	w := newWorld(t)
	owned, err := w.svc.CreateAccount(t.Context(), w.ann, w.studio, "key-of-the-owned-one",
		service.NewClientAccount{Name: "Dora Dance", Plan: "starter", ConfirmPermanentOwnership: true})
	must(t, err)
	at, as := "/accounts/"+string(owned.ID), "?as="+string(w.studio)
	ann := w.as(annAt)
	page := ann.get(at + "/team" + as)
	page.wantText(t, http.StatusOK, "Team Members", "Your client doesn’t have access", "Everything: it owns the account")
	page.wantNoMarkup(t, `type="radio" name="role"`)
	golden(t, "team-owned", page.Body.Bytes())
	ann.submit(at+"/team"+as, withFields(levelFields(agency.Areas{"pages": agency.View}), "do", "invite", "email", "dora@dance.test", "role",
		"member")...).wantText(t, http.StatusOK, "dora@dance.test")
	client := at + "/team/" + string(w.actor("dora@dance.test").ID())
	w.acceptInvitation("dora@dance.test", owned.ID)
	ann.submit(client+as, withFields(levelFields(agency.Areas{"pages": agency.Edit}), "do", "change", "role", "member")...).
		wantText(t, http.StatusOK, "Change access levels", "Pages View and edit")
	ann.get(at+"/team/"+string(w.studio)+as).wantText(t, http.StatusOK, "owns Dora Dance permanently")
	ann.post(at+"/team/"+string(w.studio)+as, "do", "revoke").wantText(t, http.StatusConflict, "owns this account permanently")

	dora := w.as("dora@dance.test")
	about := dora.get(at + "/settings")
	about.wantText(t, http.StatusOK, "About this account", "an agency, which pays for it", "Pages View and edit", "Leave the account")
	golden(t, "settings-client", about.Body.Bytes())
	dora.get(at+"/team").wantText(t, http.StatusForbidden)
	ann.submit(client+as, "do", "remove").wantText(t, http.StatusOK, "Your client doesn’t have access")
	dora.get(at+"/settings").wantText(t, http.StatusNotFound)
	ann.submit(at+"/settings"+as, "do", "rename", "name", "Dora's Dance").wantText(t, http.StatusOK, "Name changed")
	ann.post(at+"/settings"+as, "do", "close", "confirm", "dora's dance").wantText(t, http.StatusBadRequest, "exactly as shown")
	ann.post(at+"/settings"+as, "do", "close", "confirm", " Dora's  Dance").wantRedirect(t, "/agencies/"+string(w.studio))
}

func TestSettings(t *testing.T) {
	w := newWorld(t)
	cleo := w.as(cleoAt)
	path := "/accounts/" + string(w.shop) + "/settings"
	page := cleo.get(path)
	page.wantText(t, http.StatusOK, "Account id", "Make it an agency", "Close the account")
	golden(t, "settings", page.Body.Bytes())
	long := strings.Repeat("W", 81)
	bad := cleo.post(path, "do", "rename", "name", long)
	bad.wantText(t, http.StatusBadRequest, "at most 80 characters")
	bad.wantMarkup(t, `value="`+long+`"`)
	cleo.submit(path, "do", "rename", "name", "Cleo Boots").wantText(t, http.StatusOK, "Name changed.", "Cleo Boots")
	cleo.post(path, "do", "hub-on").wantRedirect(t, "/agencies/"+string(w.shop))
	on := cleo.get(path)
	on.wantText(t, http.StatusOK, "This account is an agency", "To close it, first leave or close all client accounts")
	golden(t, "settings-agency", on.Body.Bytes())
	cleo.post(path, "do", "close", "confirm", "Cleo Boots").wantText(t, http.StatusConflict, "Switch its agency features off first")
	w.as(annAt).post("/accounts/"+string(w.studio)+"/settings", "do", "hub-off").wantText(t, http.StatusSeeOther)
	w.requestAs(samAt, w.west, service.ConnectionRequest{OwnerEmail: "x@y.test", Areas: requestedAreas})
	w.as(samAt).post("/accounts/"+string(w.west)+"/settings", "do", "hub-off").wantText(t, http.StatusConflict, "End these first")
	cleo.submit(path, "do", "hub-off").wantText(t, http.StatusOK, "Agency features are off")
	w.invite("bob@client.test", agency.Admin)
	bob := w.as("bob@client.test")
	bob.get(path).wantNoMarkup(t, `value="close"`, `value="hub-on"`)
	bob.post(path, "do", "close", "confirm", "Cleo Boots").wantText(t, http.StatusForbidden)
	bob.submit(path, "do", "leave").wantText(t, http.StatusOK, "You left")
	cleo.submit(path, "do", "close", "confirm", "Cleo Boots").wantText(t, http.StatusOK, "Account closed")
	cleo.get(path).wantText(t, http.StatusNotFound)
}

func TestMe(t *testing.T) {
	w := newWorld(t)
	cleo := w.as(cleoAt)
	page := cleo.get("/me")
	page.wantText(t, http.StatusOK, "You are signed in as cleo@client.test", "Erase my data")
	golden(t, "me", page.Body.Bytes())
	cleo.post("/me", "do", "erase", "confirm", "cleo").wantText(t, http.StatusBadRequest, "Type the address that you are signed in with")
	last := cleo.post("/me", "do", "erase", "confirm", cleoAt)
	last.wantText(t, http.StatusConflict, "last owner of 1 of your accounts", "Cleo Shoes: invite another owner, who must accept, or close it")
	w.invite("olga@client.test", agency.Owner)
	cleo = w.cleoRenewable()
	was := maps.Clone(cleo.cookies)
	cleo.post("/me", "do", "erase", "confirm", " CLEO@client.test ").wantText(t, http.StatusOK, "Your data is being erased")
	if len(cleo.cookies) != 1 || cleo.cookies[hostSignedOut] == "" || len(w.issuer.revoked) != 1 {
		t.Errorf("erased, the browser keeps %v; %d tokens are revoked", cleo.cookies, len(w.issuer.revoked))
	}
	cleo.cookies = was
	cleo.get("/me").wantText(t, http.StatusSeeOther)
	w.as(cleoAt).get("/").wantText(t, http.StatusOK, "You are in no account yet")
}

// A person who is erased is led to the issuer's sign-out, even if their session could not
// be ended.
func TestErasedInTrouble(t *testing.T) {
	w := newWorld(t)
	w.invite("olga@client.test", agency.Owner)
	faults := &testbed.Faults{Client: w.db}
	faults.BeforeDelete = func(*dynamodb.DeleteItemInput) error { return &types.ThrottlingException{} }
	b := w.cleoRenewable()
	b.site = w.withStore(faults)
	page := b.post("/me", "do", "erase", "confirm", cleoAt)
	page.wantText(t, http.StatusOK, "Your data is being erased")
	page.wantMarkup(t, w.issuer.URL+"/end")
}

func TestActivity(t *testing.T) {
	w := newWorld(t)
	w.connect()
	path := "/accounts/" + string(w.shop) + "/activity"
	w.advance(24 * time.Hour)
	cleo := w.as(cleoAt)
	cleo.submit(w.memberPage(agency.Party(w.studio)), withFields(levelFields(agency.Areas{"pages": agency.View}), "do", "restrict")...)
	mia := w.invite("mia@client.test", agency.Member)
	page := cleo.get(path)
	page.wantText(t, http.StatusOK, "mia@client.test joined", "by cleo@client.test", "The access of Bright Studio was changed",
		"Pages: View and edit →, now View only",
		"Bright Studio requested access", "Tuesday, 7 May 2030", "Monday, 6 May 2030")
	golden(t, "activity", page.Body.Bytes())
	theirs := w.as(annAt).get(path + "?as=" + string(w.studio))
	theirs.wantText(t, http.StatusOK, "What concerns your agency", "Bright Studio got access", "by the people of Cleo Shoes",
		"by ann@agency.test")
	theirs.wantNoMarkup(t, cleoAt, "mia@client.test", "was opened")
	for n := range 30 {
		areas := agency.Areas{"pages": agency.View}
		if n%2 == 1 {
			areas = requestedAreas
		}
		_, err := w.svc.ChangeMember(t.Context(), agency.Caller{Actor: w.cleo}, w.shop, mia, service.MemberChange{Areas: areas})
		must(t, err)
	}
	first := cleo.get(path)
	first.wantText(t, http.StatusOK, "Older activity")
	_, link, _ := strings.Cut(first.Body.String(), `class="secondary" href="`)
	link, _, _ = strings.Cut(link, `"`)
	cleo.get(strings.ReplaceAll(link, "&amp;", "&")).wantText(t, http.StatusOK, "The account Cleo Shoes was opened")
	cleo.get(path+"?cursor=nonsense").wantText(t, http.StatusBadRequest)
	w.as("mia@client.test").get(path).wantText(t, http.StatusForbidden)
}

// A bounced invitation shows wherever the person is listed, until it is sent again.
func TestInvitationBounced(t *testing.T) {
	w := newWorld(t)
	mia := w.inviteOnly("mia@client.test", agency.Member)
	owned, err := w.svc.CreateAccount(t.Context(), w.ann, w.studio, "key-of-the-owned-one", service.NewClientAccount{
		Name: "Dora Dance", Plan: "starter", ConfirmPermanentOwnership: true, Client: &service.NewClient{Email: "dora@dance.test", Areas: requestedAreas},
	})
	must(t, err)
	client := "/agencies/" + string(w.studio) + "/clients/" + string(agency.NewConnectionID(agency.Party(owned.ID), w.studio))
	team := "/accounts/" + string(w.shop) + "/team"
	dora := agency.PersonAt(owned.ID, w.actor("dora@dance.test").ID())
	const failed = "Email came back"
	for _, page := range []result{w.as(cleoAt).get(team), w.as(cleoAt).get(w.memberPage(mia)), w.as(annAt).get(client)} {
		page.wantText(t, http.StatusOK, "Invited")
		page.wantNoMarkup(t, failed)
	}
	w.bounce(agency.ProfileKey{Addressee: agency.Party(w.shop), Member: mia})
	w.bounce(dora)
	w.as(cleoAt).get(team).wantText(t, http.StatusOK, "mia@client.test Invited Email came back Member")
	page := w.as(cleoAt).get(w.memberPage(mia))
	page.wantText(t, http.StatusOK, "The email came back.", "Check the address", "withdraw the invitation and invite the right address")
	golden(t, "member-failed", page.Body.Bytes())
	w.as(annAt).get(client).wantText(t, http.StatusOK, "dora@dance.test Invited Email came back")
	w.as(annAt).get("/accounts/"+string(owned.ID)+"/team?as="+string(w.studio)).wantText(t, http.StatusOK, "dora@dance.test Invited Email came back")

	w.advance(24 * time.Hour)
	w.as(cleoAt).submit(w.memberPage(mia), "do", "resend").wantNoMarkup(t, failed)
	w.as(cleoAt).get(team).wantNoMarkup(t, failed)
}
