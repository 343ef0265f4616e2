package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"agencyhub/shared/agency"
	"agencyhub/shared/service"
)

// What an agency pays, and what it can do about one account of it.
func TestBillAndSubscription(t *testing.T) {
	s := newAgencySite(t)
	ann := s.as("ann@agency.test")
	bill := s.under("/bill")
	ann.get(bill).says(t, http.StatusOK, "Nothing to pay", "Create an account")
	con := s.own("<b>Eve</b> & "+strings.Repeat("W", 66), nil)
	s.own("Dora Dance", nil)
	addressee, _, _ := con.Split()
	subscription := "/accounts/" + string(addressee) + "/subscription?as=" + string(s.id)

	page := ann.get(bill)
	page.says(t, http.StatusOK, "198 USD a month", "2 accounts", "Dora Dance")
	agencyGolden(t, "bill", page.Body.String())
	page = ann.get(subscription)
	page.says(t, http.StatusOK, "99 USD a month", "Active", "Your agency owns this account and pays for it")
	agencyGolden(t, "subscription", page.Body.String())

	ann.does(subscription, "do", "plan", "plan", "starter").says(t, http.StatusOK, "The plan is changed", "29 USD a month")
	ann.get(bill).says(t, http.StatusOK, "128 USD a month")
	ann.does(subscription, "do", "cancel").says(t, http.StatusOK, "The subscription is cancelled", "Cancelled, still running", "Resume the subscription")
	ann.does(subscription, "do", "resume").says(t, http.StatusOK, "The subscription goes on", "Active")
	ann.does(subscription, "do", "freeze").says(t, http.StatusOK, "Everybody who gets in can look", "Frozen")
	ann.get(bill).says(t, http.StatusOK, "99 USD a month", "1 account")
	// The list reads copies, which notify brings up to date.
	must(t, s.svc.RefreshCopies(t.Context(), addressee.Account()))
	ann.get(s.under("")).says(t, http.StatusOK, "Frozen", "You own it nothing while frozen · You pay")
	ann.get(clientLink(s.id, con)).says(t, http.StatusOK, "You pay, nothing while frozen")
	ann.get(subscription).says(t, http.StatusOK, "Nothing while it is frozen, 29 USD a month once it is resumed")
	ann.get(s.under("/clients.csv")).says(t, http.StatusOK, "Starter,0,USD", "Growth,99,USD")
	ann.does(subscription, "do", "resume").says(t, http.StatusOK, "Active")
	ann.get(subscription).says(t, http.StatusOK, "Price 29 USD a month")

	// What is closed costs nothing any more.
	ann.does("/accounts/"+string(addressee)+"/settings?as="+string(s.id), "do", "close", "confirm", "<b>Eve</b> & "+strings.Repeat("W", 66))
	for range 2 {
		_, err := s.svc.SweepAccount(t.Context(), addressee.Account())
		must(t, err)
	}
	over := ann.get(clientLink(s.id, con))
	over.says(t, http.StatusOK, "Account closed", "You paid")
	over.hasNot(t, "You pay")
	ann.get(s.under("/clients.csv")).says(t, http.StatusOK, "Starter,,")
}

// A refused change shows the page again, with what was chosen; nothing else is
// taken, and a GET changes nothing.
func TestSubscriptionRefusals(t *testing.T) {
	s := newAgencySite(t)
	con := s.own("Dora Dance", &service.NewClient{Email: "dora@client.test", Areas: asked})
	addressee, _, _ := con.Split()
	at := "/accounts/" + string(addressee) + "/subscription"
	own := at + "?as=" + string(s.id)
	ann := s.as("ann@agency.test")
	s.unchanged(t, "what is refused", func() {
		ann.post(own, "do", "plan", "plan", "gold").says(t, http.StatusBadRequest, "There is no such plan")
		ann.post(own, "do", "give").says(t, http.StatusBadRequest, "something that the page does not do")
		ann.get(own+"&do=freeze").says(t, http.StatusOK, "Active")
		ann.send(http.MethodHead, own+"&do=freeze", nil)
		ann.send(http.MethodPost, own, map[string][]string{"do": {"freeze"}}, "Sec-Fetch-Site", "cross-site").says(t, http.StatusForbidden)
	})
	s.as("dora@client.test").get(at).says(t, http.StatusForbidden, "Somebody else pays for this account")
	s.as("eve@elsewhere.test").get(at).says(t, http.StatusNotFound, "There is nothing here for you")
	// A frozen one has no plan to change.
	ann.does(own, "do", "freeze")
	ann.post(own, "do", "plan", "plan", "scale").says(t, http.StatusConflict, "The subscription is frozen")
}

// An agency reads what concerns it over all its clients, in its own words, and
// no name of a client's that is not its to know.
func TestAgencyActivity(t *testing.T) {
	s := newAgencySite(t)
	ann := s.as("ann@agency.test")
	activity := s.under("/activity")
	ann.get(activity).says(t, http.StatusOK, "Nothing has happened yet")
	s.own("Dora Dance", &service.NewClient{Email: "dora@client.test", Areas: asked})
	s.connect("cleo@client.test", "Cleo Shoes", nil)
	waiting := s.ask("mia@client.test", "Mia Music")
	if _, err := s.svc.DenyRequest(t.Context(), agency.Caller{Actor: s.actor("mia@client.test")}, waiting.Account(), s.id, true); err != nil {
		t.Fatal(err)
	}
	page := ann.get(activity)
	page.says(t, http.StatusOK,
		"Your agency created the account Dora Dance, owns it and pays for it", "Access given to: dora@client.test",
		"Your agency may work in Cleo Shoes from now on", "by the people of Cleo Shoes",
		"Your request to work in "+string(waiting.Addressee)+" was declined", "by the other side")
	for _, secret := range []string{"cleo@client.test", "mia@client.test", "Mia Music", "blocked"} {
		if strings.Contains(page.text, secret) {
			t.Errorf("the agency reads %s:\n%s", secret, page.text)
		}
	}
	agencyGolden(t, "activity", page.Body.String())
	if diff := cmp.Diff(http.StatusForbidden, s.staff(t, "sam@agency.test").get(activity).Code); diff != "" {
		t.Errorf("a member of the agency: %s", diff)
	}
}

// A client's page shows what happened there, and nowhere else.
func TestClientActivity(t *testing.T) {
	s := newAgencySite(t)
	own := s.own("Dora Dance", nil)
	con := s.connect("cleo@client.test", "Cleo Shoes", nil)
	page := s.as("ann@agency.test").get(clientLink(s.id, con))
	page.says(t, http.StatusOK, "What happened lately", "Your agency may work in Cleo Shoes from now on", "Your agency asked to work in Cleo Shoes")
	page.hasNot(t, "Dora Dance", "cleo@client.test")
	s.as("ann@agency.test").get(clientLink(s.id, own)).says(t, http.StatusOK, "Your agency created the account Dora Dance")
	if page := s.staff(t, "sam@agency.test").get(clientLink(s.id, con)); page.Code != http.StatusOK || strings.Contains(page.text, "What happened lately") {
		t.Errorf("a member of the agency is answered %d:\n%s", page.Code, page.text)
	}
	for what, ask := range map[string]func() error{
		"of another agency": func() error {
			_, err := s.svc.ConnectionActivity(t.Context(), s.ann, s.id, agency.NewConnectionID(agency.Party(s.id), "acct_00000000000000000000000000"), 5)
			return err
		},
		"by a stranger": func() error {
			_, err := s.svc.ConnectionActivity(t.Context(), s.actor("eve@elsewhere.test"), s.id, con, 5)
			return err
		},
	} {
		if code := agency.CodeOf(ask()); code != agency.NotFound {
			t.Errorf("%s: %q", what, code)
		}
	}
	if events, err := s.svc.ConnectionActivity(t.Context(), s.ann, s.id, con, 1); err != nil || len(events) != 1 {
		t.Errorf("%d events, %v", len(events), err)
	}
}

// staff is the browser of a member of the agency.
func (s *agencySite) staff(t *testing.T, email string) *browser {
	t.Helper()
	_, _, err := s.svc.InvitePerson(t.Context(), agency.Caller{Actor: s.ann}, s.id, service.Invitation{Email: email, Role: agency.Member, Areas: asked})
	if err != nil {
		t.Fatal(err)
	}
	return s.as(email)
}
