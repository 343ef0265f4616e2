package main

import (
	"net/http"
	"strings"
	"testing"

	"agencyhub/shared/agency"
	"agencyhub/shared/service"
)

// An agency's bill, and what it can do about one account's subscription.
func TestBillAndSubscription(t *testing.T) {
	s := newAgencySite(t)
	ann := s.as("ann@agency.test")
	bill := s.path("/bill")
	ann.get(bill).wantText(t, http.StatusOK, "Nothing to pay", "Create an account")
	con := s.createAccount("<b>Eve</b> & "+strings.Repeat("W", 66), nil)
	s.createAccount("Dora Dance", nil)
	addressee, _, _ := con.Split()
	subscription := "/accounts/" + string(addressee) + "/subscription?as=" + string(s.id)

	page := ann.get(bill)
	page.wantText(t, http.StatusOK, "198 USD a month", "2 accounts", "Dora Dance")
	agencyGolden(t, "bill", page)
	page = ann.get(subscription)
	page.wantText(t, http.StatusOK, "99 USD a month", "Active", "Your agency owns this account and pays for it")
	agencyGolden(t, "subscription", page)

	ann.submit(subscription, "do", "plan", "plan", "starter").wantText(t, http.StatusOK, "Plan changed", "29 USD a month")
	ann.get(bill).wantText(t, http.StatusOK, "128 USD a month")
	ann.submit(subscription, "do", "cancel").wantText(t, http.StatusOK, "Subscription cancelled", "Cancelled, still running",
		"Resume the subscription")
	ann.submit(subscription, "do", "resume").wantText(t, http.StatusOK, "Subscription resumed", "Active")
	ann.submit(subscription, "do", "freeze").wantText(t, http.StatusOK, "People with access can view everything", "Frozen")
	ann.get(bill).wantText(t, http.StatusOK, "99 USD a month", "1 account")
	// The list reads copies, which notify refreshes.
	must(t, s.svc.RefreshCopies(t.Context(), addressee.Account()))
	ann.get(s.path("")).wantText(t, http.StatusOK, "Frozen", "You own it nothing while frozen · You pay")
	ann.get(clientURL(s.id, con)).wantText(t, http.StatusOK, "You pay, nothing while frozen")
	ann.get(subscription).wantText(t, http.StatusOK, "Nothing while it is frozen, 29 USD a month once it is resumed")
	ann.get(s.path("/clients.csv")).wantText(t, http.StatusOK, "Starter,0,USD", "Growth,99,USD")
	ann.submit(subscription, "do", "resume").wantText(t, http.StatusOK, "Active")
	ann.get(subscription).wantText(t, http.StatusOK, "Price 29 USD a month")

	// A closed account costs nothing.
	ann.submit("/accounts/"+string(addressee)+"/settings?as="+string(s.id), "do", "close", "confirm", "<b>Eve</b> & "+strings.Repeat("W", 66))
	for range 2 {
		_, err := s.svc.SweepAccount(t.Context(), addressee.Account())
		must(t, err)
	}
	over := ann.get(clientURL(s.id, con))
	over.wantText(t, http.StatusOK, "Account closed", "You paid")
	over.wantNoMarkup(t, "You pay")
	ann.get(s.path("/clients.csv")).wantText(t, http.StatusOK, "Starter,,")
}

// A refused change, an unknown action and a GET change nothing.
func TestSubscriptionRefusals(t *testing.T) {
	s := newAgencySite(t)
	con := s.createAccount("Dora Dance", &service.NewClient{Email: "dora@client.test", Areas: requestedAreas})
	addressee, _, _ := con.Split()
	s.acceptInvitation("dora@client.test", addressee.Account())
	at := "/accounts/" + string(addressee) + "/subscription"
	own := at + "?as=" + string(s.id)
	ann := s.as("ann@agency.test")
	s.demandUnchanged(t, "what is refused", func() {
		ann.post(own, "do", "plan", "plan", "gold").wantText(t, http.StatusBadRequest, "There is no such plan")
		ann.post(own, "do", "give").wantText(t, http.StatusBadRequest, "something that the page does not do")
		ann.get(own+"&do=freeze").wantText(t, http.StatusOK, "Active")
		ann.send(http.MethodHead, own+"&do=freeze", nil)
		ann.send(http.MethodPost, own, map[string][]string{"do": {"freeze"}}, "Sec-Fetch-Site", "cross-site").wantText(t, http.StatusForbidden)
	})
	s.as("dora@client.test").get(at).wantText(t, http.StatusForbidden, "Somebody else pays for this account")
	s.as("eve@elsewhere.test").get(at).wantText(t, http.StatusNotFound, "There is nothing here for you")
	// The plan of a frozen subscription can't be changed.
	ann.submit(own, "do", "freeze")
	ann.post(own, "do", "plan", "plan", "scale").wantText(t, http.StatusConflict, "The subscription is frozen")
}

// An agency reads what concerns it over all its clients, and no name that it may not
// know.
func TestAgencyActivity(t *testing.T) {
	s := newAgencySite(t)
	ann := s.as("ann@agency.test")
	activity := s.path("/activity")
	ann.get(activity).wantText(t, http.StatusOK, "Nothing has happened yet")
	s.createAccount("Dora Dance", &service.NewClient{Email: "dora@client.test", Areas: requestedAreas})
	s.connect("cleo@client.test", "Cleo Shoes", nil)
	waiting := s.requestConnection("mia@client.test", "Mia Music")
	_, err := s.svc.DeclineRequest(t.Context(), agency.Caller{Actor: s.actor("mia@client.test")}, waiting.Account(), s.id, service.Decline{Request: 1, Block: true})
	must(t, err)
	page := ann.get(activity)
	page.wantText(t, http.StatusOK,
		"Your agency created the account Dora Dance, owns it and pays for it", "Invited: dora@client.test",
		"Your agency got access to Cleo Shoes", "by the people of Cleo Shoes",
		"Your request was declined, in "+string(waiting.Addressee), "by the other side")
	for _, secret := range []string{"cleo@client.test", "mia@client.test", "Mia Music", "blocked"} {
		if strings.Contains(page.text, secret) {
			t.Errorf("the agency reads %s:\n%s", secret, page.text)
		}
	}
	agencyGolden(t, "activity", page)
	s.staff(t, "sam@agency.test").get(activity).wantText(t, http.StatusForbidden)
}

// A client's page shows the activity of that connection only.
func TestClientActivity(t *testing.T) {
	s := newAgencySite(t)
	own := s.createAccount("Dora Dance", nil)
	con := s.connect("cleo@client.test", "Cleo Shoes", nil)
	page := s.as("ann@agency.test").get(clientURL(s.id, con))
	page.wantText(t, http.StatusOK, "Latest activity", "Your agency got access to Cleo Shoes", "Your agency requested access to Cleo Shoes")
	page.wantNoMarkup(t, "Dora Dance", "cleo@client.test")
	s.as("ann@agency.test").get(clientURL(s.id, own)).wantText(t, http.StatusOK, "Your agency created the account Dora Dance")
	page = s.staff(t, "sam@agency.test").get(clientURL(s.id, con))
	page.wantText(t, http.StatusOK)
	page.wantNoMarkup(t, "Latest activity")
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
		wantEqual(t, what, agency.NotFound, agency.CodeOf(ask()))
	}
	if events, err := s.svc.ConnectionActivity(t.Context(), s.ann, s.id, con, 1); err != nil || len(events) != 1 {
		t.Errorf("%d events, %v", len(events), err)
	}
}

// staff invites a member of the agency, and returns their browser.
func (s *agencySite) staff(t *testing.T, email string) *browser {
	t.Helper()
	_, _, err := s.svc.InvitePerson(t.Context(), agency.Caller{Actor: s.ann}, s.id,
		service.Invitation{Email: email, Role: agency.Member, Areas: requestedAreas})
	must(t, err)
	s.acceptInvitation(email, s.id)
	return s.as(email)
}
