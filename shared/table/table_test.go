package table_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"agencyhub/shared/agency"
	"agencyhub/shared/table"
	"agencyhub/shared/testbed"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func TestItemsComeBackAsTheyWere(t *testing.T) {
	db, name := testbed.Table(t)
	store := table.New(db, name)
	account := agency.Account{
		ID: agency.NewAccountID("x", "1"), Name: "Näme", Ownership: agency.ClientOwned, Hub: true, Owners: 2,
		Subscription: agency.Subscription{Plan: "starter", State: agency.SubscriptionActive}, CreatedAt: noon, BodyHash: "h", Version: 1,
	}
	person := agency.Person{ID: agency.NewPersonID("a@b.test"), Email: "a@b.test", Teams: []agency.AccountID{account.ID}, Version: 1}
	profile := agency.Profile{
		ProfileKey: agency.At(account.ID, agency.NewAccountID("y", "2")), Status: agency.Pending, Areas: agency.Areas{"pages": agency.Edit},
		Name: "Agency", Ownership: agency.ClientOwned, Request: 3, Message: "m", RequestedBy: person.ID, RequestedAt: noon,
		ExpiresAt: noon.Add(time.Hour), Since: noon, Delivery: agency.Waiting, Version: 1,
	}
	member := agency.Profile{
		ProfileKey: agency.At(account.ID, person.ID), Status: agency.Active, Role: agency.Owner, Email: person.Email, AccountName: "Näme",
		Ownership: agency.ClientOwned, Plan: "starter", Since: noon, Until: noon.Add(time.Minute), Issuer: "i", Subject: "s", Version: 1,
	}
	want := agency.Want{Accounts: []agency.AccountID{account.ID}, Profiles: []agency.ProfileKey{profile.ProfileKey, member.ProfileKey}, People: []agency.PersonID{person.ID}}
	empty, err := store.Load(t.Context(), want)
	if err != nil {
		t.Fatal(err)
	}
	changes := agency.Changes{Accounts: []agency.Account{account}, Profiles: []agency.Profile{profile, member}, People: []agency.Person{person}}
	if err := store.Save(t.Context(), empty, changes); err != nil {
		t.Fatal(err)
	}
	got, err := store.Load(t.Context(), want)
	if err != nil {
		t.Fatal(err)
	}
	full := agency.Snapshot{
		Accounts: map[agency.AccountID]agency.Account{account.ID: account},
		Profiles: map[agency.ProfileKey]agency.Profile{profile.ProfileKey: profile, member.ProfileKey: member},
		People:   map[agency.PersonID]agency.Person{person.ID: person},
		Pairs:    map[agency.PairKey]agency.Pair{},
	}
	if diff := cmp.Diff(full, got); diff != "" {
		t.Error(diff)
	}
	if err := store.Save(t.Context(), empty, changes); !errors.Is(err, agency.ErrConflict) {
		t.Errorf("saving over what has changed: %v, want ErrConflict", err)
	}
}
