package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"agencyhub/shared/agency"
	"agencyhub/shared/service"
)

// Every event of an invitation or of an offer is on the bus as its schema says, with its
// kind. The test's bus holds each entry to the schema.
func TestInvitationsOnTheBus(t *testing.T) {
	f := newFixture(t)
	owner := agency.Caller{Actor: petra}
	person := func(name string) agency.Actor { return agency.NewActor(name+"@x.test", "https://issuer.test", name) }
	invite := func(name string, role agency.Role) agency.Profile {
		p, _, err := f.service.InvitePerson(t.Context(), owner, f.bakery, service.Invitation{Email: person(name).Email, Role: role})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	answer := func(name string, p agency.Profile, decline bool) {
		if decline {
			must[service.RequestDetail](t)(f.service.DeclineInvitation(t.Context(), person(name), f.bakery, service.Decline{Request: p.Request.Number}))
			return
		}
		must[service.AccountView](t)(f.service.AcceptInvitation(t.Context(), person(name), f.bakery, service.Answer{Request: p.Request.Number, Plan: f.service.Rules.DefaultPlan()}))
	}
	at := func(name string) agency.ProfileKey { return agency.PersonAt(f.bakery, person(name).ID()) }
	sweep := func(name string) {
		if _, err := f.service.SweepProfile(t.Context(), at(name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"late", "yes", "no", "gone"} {
		invite(name, agency.Admin)
	}
	f.at = f.at.Add(24 * time.Hour)
	again := invite("late", agency.Owner)
	answer("yes", agency.Profile{Request: agency.Request{Number: 1}}, false)
	answer("no", agency.Profile{Request: agency.Request{Number: 1}}, true)
	must[agency.Profile](t)(f.service.WithdrawInvitation(t.Context(), owner, f.bakery, agency.Party(person("gone").ID())))
	answer("yes", invite("yes", agency.Owner), true)
	f.at = f.at.Add(f.service.Rules.Cooldown)
	answer("yes", invite("yes", agency.Owner), false)
	must[agency.Profile](t)(f.service.AskNewSignIn(t.Context(), owner, f.bakery, agency.Party(person("yes").ID())))
	f.at = again.Request.ExpiresAt.Add(-f.service.Rules.RemindBefore)
	sweep("late")
	f.at = again.Request.ExpiresAt
	sweep("late")
	must[service.AccountView](t)(f.service.CreateAccount(t.Context(), ann, f.studio, "client-0123456789", service.NewClientAccount{
		Name: "Cafe", Plan: f.service.Rules.DefaultPlan(), ConfirmPermanentOwnership: true, Client: &service.NewClient{Email: person("client").Email, Areas: some},
	}))
	f.publish(t, f.unpublished(t)...)

	got := map[string]int{}
	for _, e := range f.bus.Entries() {
		var detail struct {
			Kind    *string
			Request *int
			Client  *string
			Was     struct{ Status string }
		}
		if err := json.Unmarshal([]byte(e.Detail), &detail); err != nil {
			t.Fatal(err)
		}
		kind := ""
		if detail.Kind != nil {
			kind = *detail.Kind
		}
		if agency.EventType(e.DetailType).IsOfInvitation() != (kind != "") {
			t.Errorf("%s has the kind %q", e.DetailType, kind)
		}
		if e.DetailType == "account.created" && (detail.Client == nil || detail.Request == nil || *detail.Request != 1) {
			t.Errorf("with a client: %s", e.Detail)
		}
		if kind != "" {
			got[fmt.Sprintf("%s %s %s", e.DetailType, kind, detail.Was.Status)]++
		}
	}
	want := map[string]int{
		"person.invited invitation ": 4, "person.invitation_resent invitation invited": 1, "person.invitation_declined invitation invited": 1,
		"person.invitation_withdrawn invitation invited": 1, "person.ownership_offered ownership active": 2, "person.invitation_declined ownership active": 1,
		"person.ownership_accepted ownership active": 1, "person.invited invitation active": 1,
		"person.invitation_reminded invitation invited": 1, "person.invitation_expired invitation invited": 1,
	}
	for _, key := range slices.Sorted(maps.Keys(want)) {
		if got[key] != want[key] {
			t.Errorf("%s: %d times, want %d", key, got[key], want[key])
		}
		delete(got, key)
	}
	if len(got) > 0 {
		t.Errorf("more events: %v", got)
	}
}
