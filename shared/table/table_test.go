package table_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"agencyhub/shared/agency"
	"agencyhub/shared/service"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func TestItemsComeBackAsTheyWere(t *testing.T) {
	store := newStore(t)
	account := agency.Account{
		ID: agency.NewAccountID("x", "1"), Name: "Näme", Ownership: agency.ClientOwned, AgencyOn: true, Owners: 2, Agencies: []agency.AccountID{agency.NewAccountID("y", "2"), agency.NewAccountID("z", "3")}, Limits: agency.Limits{agency.DailyRequestsLimit: 5},
		Subscription: agency.Subscription{Plan: "starter", State: agency.SubscriptionCancelling, FreezesAt: noon.Add(time.Hour), Unpaid: true, ReportedAt: noon.Add(time.Minute)},
		CreatedAt:    noon, BodyHash: "h",
		Closed: noon.Add(time.Hour), DueAt: noon.Add(2 * time.Hour), Version: 1,
	}
	person := agency.Person{ID: agency.NewPersonID("a@b.test"), FirstAt: noon.Add(-time.Hour), Erasing: noon, DueAt: noon.Add(time.Second), Version: 1}
	profile := agency.Profile{
		ProfileKey: agency.AgencyAt(account.ID, agency.NewAccountID("y", "2")), Status: agency.Pending,
		Name: "Agency", Ownership: agency.ClientOwned, Request: agency.Request{Number: 3, Areas: agency.Areas{"pages": agency.Edit}, Message: "m", By: person.ID, RequestedAt: noon, ExpiresAt: noon.Add(time.Hour), Delivery: agency.DeliveryFailed, Resends: 2, MailedAt: noon.Add(time.Second), Reached: []agency.PersonID{person.ID}, Muted: true},
		Since:    noon,
		RemindAt: noon.Add(time.Minute), DueAt: noon.Add(time.Minute), Version: 1,
	}
	member := agency.Profile{
		ProfileKey: agency.PersonAt(account.ID, person.ID), Status: agency.Active, Role: agency.Owner, Email: "a@b.test", AccountName: "Näme",
		Ownership: agency.ClientOwned, Subscription: agency.Subscription{Plan: "starter", State: agency.SubscriptionCancelling, FreezesAt: noon.Add(time.Hour)}, Since: noon, Until: noon.Add(time.Minute), Issuer: "i", Subject: "s", Version: 1,
	}
	limited, unassigned := member, member
	limited.ProfileKey, limited.Clients = agency.PersonAt(account.ID, agency.NewPersonID("c@d.test")), []agency.AccountID{account.ID}
	unassigned.ProfileKey, unassigned.Clients = agency.PersonAt(account.ID, agency.NewPersonID("e@f.test")), []agency.AccountID{}
	// Accepted with less than was requested.
	connected := profile
	connected.ProfileKey = agency.AgencyAt(account.ID, agency.NewAccountID("z", "3"))
	connected.Status, connected.Areas = agency.Active, agency.Areas{"pages": agency.View}
	// Requested by email and accepted.
	moved := agency.Profile{
		ProfileKey: agency.ProfileKey{Addressee: agency.Party(person.ID), Member: profile.Member}, Status: agency.Moved,
		Name: "Agency", Email: "a@b.test", Ownership: agency.ClientOwned, Request: agency.Request{Number: 1, Areas: agency.Areas{"pages": agency.Edit}, RequestedAt: noon, ExpiresAt: noon}, Since: noon, MovedTo: account.ID, Version: 2,
		DueAt: noon.Add(time.Hour),
	}
	// Invited, with what an offer and a removed inviter have as well.
	invited := agency.Profile{
		ProfileKey: agency.PersonAt(account.ID, agency.NewPersonID("i@j.test")), Status: agency.Invited, Email: "i@j.test", AccountName: "Näme", Ownership: agency.ClientOwned,
		Request: agency.Request{
			Number: 2, Kind: agency.InvitationKind, State: agency.StateOpen, From: account.ID, Role: agency.Member, Areas: agency.Areas{"pages": agency.View},
			By: person.ID, RequestedAt: noon, ExpiresAt: noon.Add(time.Hour), MailedAt: noon,
		},
		Since: noon, DueAt: noon.Add(time.Minute), Version: 1,
	}
	offered := member
	offered.ProfileKey, offered.Role, offered.Registered = agency.PersonAt(account.ID, agency.NewPersonID("k@l.test")), agency.Admin, true
	offered.CloseAt, offered.CloseCursor, offered.DueAt = noon, "cursor", noon
	offered.Request = agency.Request{Number: 3, Kind: agency.OwnershipKind, State: agency.StateOpen, From: account.ID, Role: agency.Owner, Areas: agency.Areas{"pages": agency.Edit}}
	pairs := []agency.Pair{
		{PairKey: agency.PairKey{Addressee: agency.Party(account.ID), Asker: profile.Member.Account()}, CoolingUntil: noon, Blocked: true, Mailed: []time.Time{noon, noon.Add(time.Hour)}, Requests: 2, Versions: 17, Version: 3},
		{PairKey: agency.PairKey{Addressee: agency.Party(person.ID), Asker: profile.Member.Account()}, Version: 1},
	}
	call := service.Call{
		CallKey: service.CallKey{Agency: profile.Member.Account(), Hash: strings.Repeat("0a", 32)}, BodyHash: "h", Connection: profile.ID(), Request: 3, At: noon, Version: 1,
	}
	want := service.Want{Accounts: []agency.AccountID{account.ID}, Profiles: []agency.ProfileKey{profile.ProfileKey, connected.ProfileKey, member.ProfileKey, limited.ProfileKey, unassigned.ProfileKey, moved.ProfileKey, invited.ProfileKey, offered.ProfileKey},
		People: []agency.PersonID{person.ID}, Pairs: []agency.PairKey{pairs[0].PairKey, pairs[1].PairKey}, Calls: []service.CallKey{call.CallKey}}
	empty, err := store.Load(t.Context(), want)
	if err != nil {
		t.Fatal(err)
	}
	changes := service.Changes{Accounts: []agency.Account{account}, Profiles: []agency.Profile{profile, connected, member, limited, unassigned, moved, invited, offered}, People: []agency.Person{person}, Pairs: pairs, Calls: []service.Call{call}}
	noError(t, store.Save(t.Context(), empty, changes))
	got, err := store.Load(t.Context(), want)
	if err != nil {
		t.Fatal(err)
	}
	full := service.Snapshot{
		Accounts: map[agency.AccountID]agency.Account{account.ID: account},
		Profiles: map[agency.ProfileKey]agency.Profile{profile.ProfileKey: profile, connected.ProfileKey: connected, member.ProfileKey: member, limited.ProfileKey: limited, unassigned.ProfileKey: unassigned, moved.ProfileKey: moved, invited.ProfileKey: invited, offered.ProfileKey: offered},
		People:   map[agency.PersonID]agency.Person{person.ID: person},
		Pairs:    map[agency.PairKey]agency.Pair{pairs[0].PairKey: pairs[0], pairs[1].PairKey: pairs[1]},
		Calls:    map[service.CallKey]service.Call{call.CallKey: call},
	}
	diff(t, "snapshot", full, got)
	if err := store.Save(t.Context(), empty, changes); !errors.Is(err, service.ErrConflict) {
		t.Errorf("saving over what has changed: %v, want ErrConflict", err)
	}
}
