package main

import (
	"strings"
	"sync"
	"testing"

	"agencyhub/shared/agency"
	"agencyhub/shared/service"
	"agencyhub/shared/testbed"
	"agencyhub/shared/testbed/apitest"
)

var cleo, cleoNew, olga, gil = apitest.Person("cleo"), apitest.Person("cleo-new"), apitest.Person("olga"), apitest.Person("gil")

func ownerCall(account agency.AccountID) string {
	return "POST /v1/platform/accounts/" + string(account) + "/owner"
}

const fromTo = `{"from":"cleo@x.test","to":"cleo-new@x.test"}`

// The platform replaces the address of a sole owner, who then signs in with the new one.
func TestReplaceOwner(t *testing.T) {
	s := apitest.New(t, api)
	shop := s.Open(cleo, "Shop")
	for range 2 { // again changes nothing
		got := apitest.Read[platformAccount](s.CallPlatform(ownerCall(shop), fromTo), 200)
		if got.ID != string(shop) || got.Name != "Shop" || got.Ownership != "client" || *got.Subscription.Plan != "starter" {
			t.Errorf("replacing: %+v", got)
		}
	}
	if _, err := s.GetAccount(t.Context(), agency.Caller{Actor: cleo}, shop); agency.CodeOf(err) != agency.NotFound {
		t.Errorf("the old address: %v", err)
	}
	if got, err := s.GetAccount(t.Context(), agency.Caller{Actor: cleoNew}, shop); err != nil || got.Role != agency.Owner || got.Owners != 1 {
		t.Errorf("the new address: %+v, %v", got, err)
	}
	kinds := map[string]int{}
	for _, i := range s.Items() {
		if kind := testbed.Str(i["type"]); strings.HasPrefix(kind, "person.") {
			kinds[kind]++
			if testbed.Str(i["actor"]) != "" {
				t.Errorf("%s has an actor", kind)
			}
		}
	}
	if len(kinds) != 2 || kinds["person.added"] != 1 || kinds["person.removed"] != 1 {
		t.Errorf("events: %v", kinds)
	}
}

// Somebody who is in the team becomes the owner, and their open offer ends.
func TestReplaceOwnerByAMember(t *testing.T) {
	s := apitest.New(t, api)
	shop := s.Open(cleo, "Shop")
	s.Join(agency.Caller{Actor: cleo}, shop, cleoNew, agency.Admin)
	apitest.Must[agency.Profile](s)(s.ChangeMember(t.Context(), agency.Caller{Actor: cleo}, shop, agency.Party(cleoNew.ID()), service.MemberChange{Role: agency.Owner}))
	apitest.Read[platformAccount](s.CallPlatform(ownerCall(shop), fromTo), 200)
	got := apitest.Must[agency.Profile](s)(s.GetMember(t.Context(), agency.Caller{Actor: cleoNew}, shop, agency.Party(cleoNew.ID())))
	if got.Role != agency.Owner || got.HasOffer() {
		t.Errorf("the new owner: %+v", got)
	}
}

// A refused call changes nothing.
func TestReplaceOwnerIsRefused(t *testing.T) {
	s := apitest.New(t, api)
	shop, two, closed := s.Open(cleo, "Shop"), s.Open(cleo, "Two"), s.Open(cleo, "Closed")
	s.Join(agency.Caller{Actor: cleo}, two, olga, agency.Owner)
	s.Invite(agency.Caller{Actor: cleo}, shop, olga, agency.Owner)
	apitest.Must[service.AccountView](s)(s.CloseAccount(t.Context(), agency.Caller{Actor: cleo}, closed))
	cafe := s.CreateOwned(gil, s.OpenAgency(gil, "Studio"), "Cafe")
	erasing := apitest.Person("erasing")
	if err := s.EraseMe(t.Context(), erasing); err != nil {
		t.Fatal(err)
	}
	before := s.Items()
	for _, tt := range []struct {
		account    agency.AccountID
		body, want string
	}{
		{agency.AccountID("acct_" + strings.Repeat("0", 26)), fromTo, "not_found"},
		{"acct_x", fromTo, "invalid [path.account]"},
		{agency.AccountID(cleo.ID()), fromTo, "invalid [path.account]"},
		{cafe, fromTo, "permanently_owned"},
		{closed, fromTo, "conflict"},
		{two, fromTo, "conflict"},
		{shop, `{"from":"olga@x.test","to":"cleo-new@x.test"}`, "conflict"},
		{shop, `{"from":"x@x.test","to":"cleo-new@x.test"}`, "conflict"},
		{shop, `{"from":"cleo@x.test","to":"erasing@x.test"}`, "conflict"},
		{shop, `{"from":"cleo@x.test","to":"Cleo@x.test "}`, "invalid [body.to]"},
		{shop, `{"from":"cleo@x.test","to":"cleo"}`, "invalid [body.to]"},
		{shop, `{"from":"cleo","to":"cleo-new@x.test"}`, "invalid [body.from]"},
		{shop, `{"from":null,"to":"cleo-new@x.test"}`, "invalid [body.from]"},
		{shop, `{"from":"cleo@x.test"}`, "invalid [body.to]"},
		{shop, `{"from":"cleo@x.test","to":"cleo-new@x.test","role":"owner"}`, "invalid [body.role]"},
		{shop, ``, "invalid [body]"},
	} {
		if got := s.CallPlatform(ownerCall(tt.account), tt.body); got.Refusal() != tt.want {
			t.Errorf("%s: %s: %d %s, and %q is expected", tt.account, tt.body, got.Status, got.Body, tt.want)
		}
	}
	if got := s.Call(cleo, ownerCall(shop), fromTo); got.Refusal() != "forbidden" {
		t.Errorf("by a person: %d %s", got.Status, got.Body)
	}
	if got := s.CallWithout(ownerCall(shop), fromTo); got.Refusal() != "unauthenticated" {
		t.Errorf("without a token: %d %s", got.Status, got.Body)
	}
	testbed.SameItems(t, before, s.Items())
}

// Against the acceptance of an offer, the account never loses its owner.
func TestReplaceOwnerAgainstAnAcceptance(t *testing.T) {
	for range 8 {
		s := apitest.New(t, api)
		shop := s.Open(cleo, "Shop")
		p := s.Invite(agency.Caller{Actor: cleo}, shop, olga, agency.Owner)
		var both sync.WaitGroup
		var replaced apitest.Answer
		var accepted error
		both.Go(func() { replaced = s.CallPlatform(ownerCall(shop), fromTo) })
		both.Go(func() {
			_, accepted = s.AcceptInvitation(t.Context(), olga, shop, service.Answer{Request: p.Request.Number, Plan: "starter"})
		})
		both.Wait()
		// One of them is first. An acceptance makes two owners; a replacement ends the
		// role of the person who invited.
		switch {
		case replaced.Refusal() == "conflict" && accepted == nil:
		case replaced.Status == 200 && agency.CodeOf(accepted) == agency.NotPending:
		default:
			t.Errorf("replacing: %d %s; accepting: %v", replaced.Status, replaced.Body, accepted)
		}
		owner := cleo
		if replaced.Status == 200 {
			owner = cleoNew
		}
		if got, err := s.GetAccount(t.Context(), agency.Caller{Actor: owner}, shop); err != nil || got.Owners < 1 {
			t.Errorf("the account afterwards: %+v, %v", got, err)
		}
	}
}

// TestRegisterSaysWhatIsNew checks the status: 201 for a new account, and 200 for one that was there.
func TestRegisterSaysWhatIsNew(t *testing.T) {
	s := apitest.New(t, api)
	call := "PUT /v1/platform/accounts/" + string(agency.NewAccountID("platform", "shop-7"))
	for _, tt := range []struct {
		body string
		want int
	}{
		{`{"name":"Shop","ownerEmail":"cleo@x.test"}`, 201},
		{`{"name":"Shop","ownerEmail":"cleo@x.test"}`, 200},
		{`{"name":"Another name","ownerEmail":"cleo@x.test"}`, 200},
	} {
		apitest.Read[platformAccount](s.CallPlatform(call, tt.body), tt.want)
	}
}
