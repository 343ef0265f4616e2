package table_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"agencyhub/shared/agency"
	"agencyhub/shared/outbox"
	"agencyhub/shared/service"
	"agencyhub/shared/table"
	"agencyhub/shared/testbed"
)

const lease = time.Minute

func TestOneAtATimeHoldsAMail(t *testing.T) {
	store := newStore(t)
	m := outbox.MailKey{Event: event(1, "", "", noon).ID, Kind: "request", Recipient: person(1).ID}
	owner := ""
	claim := func(at time.Time, want outbox.ClaimState) {
		t.Helper()
		by := outbox.NewOwner()
		got, err := store.ClaimMail(t.Context(), m, by, at, lease)
		if err != nil || got.State != want {
			t.Fatalf("at %s: claim %v, want %d (%v)", at.Format(time.TimeOnly), got, want, err)
		}
		if want == outbox.ClaimTaken {
			owner = by
		}
	}
	noError(t, store.ReleaseMail(t.Context(), m, owner, false))
	noError(t, store.FinishMail(t.Context(), m, outbox.Sent, "x", noon))
	if all := store.items(t); len(all) != 0 {
		t.Fatalf("a mail that nobody claimed was written: %v", all)
	}

	claim(noon, outbox.ClaimTaken)
	claim(noon, outbox.ClaimBusy)
	claim(noon.Add(lease-time.Millisecond), outbox.ClaimBusy)
	claim(noon.Add(lease), outbox.ClaimTaken) // the lease is over
	claim(noon.Add(lease), outbox.ClaimBusy)
	noError(t, store.ReleaseMail(t.Context(), m, owner, false))
	claim(noon.Add(lease), outbox.ClaimTaken) // released
	noError(t, store.FinishMail(t.Context(), m, outbox.Sent, "ses-1", noon.Add(lease)))
	claim(noon.Add(lease), outbox.ClaimDone)
	claim(noon.Add(24*time.Hour), outbox.ClaimDone)
	noError(t, store.ReleaseMail(t.Context(), m, owner, false))
	claim(noon.Add(24*time.Hour), outbox.ClaimDone) // a finished email is not released

	i := store.items(t)["MAIL#"+string(m.Event)+" request#"+string(m.Recipient)]
	if testbed.Str(i["fate"]) != "sent" || testbed.Str(i["messageId"]) != "ses-1" || testbed.Num(i["attempts"]) != "3" || testbed.Num(i["ttl"]) == "" || i["leaseUntil"] != nil {
		t.Errorf("%v", i)
	}

	// An event's email to another person, or of another kind, has its own claim.
	m.Recipient = person(2).ID
	claim(noon, outbox.ClaimTaken)
	m.Kind = "receipt"
	claim(noon, outbox.ClaimTaken)
}

func TestOfManyOneClaimsAMail(t *testing.T) {
	store := newStore(t)
	m := outbox.MailKey{Event: event(1, "", "", noon).ID, Kind: "request", Recipient: person(1).ID}
	for _, at := range []time.Time{noon, noon.Add(lease)} {
		var wg sync.WaitGroup
		claims := make([]outbox.ClaimState, 8)
		for i := range claims {
			wg.Go(func() {
				c, err := store.ClaimMail(t.Context(), m, outbox.NewOwner(), at, lease)
				if err != nil {
					t.Error(err)
				}
				claims[i] = c.State
			})
		}
		wg.Wait()
		won := 0
		for _, c := range claims {
			if c == outbox.ClaimTaken {
				won++
			} else if c != outbox.ClaimBusy {
				t.Errorf("claim %d", c)
			}
		}
		if won != 1 {
			t.Errorf("at %s: %d claimed it", at, won)
		}
	}
}

func TestAnEventIsWokenUntilItIsTold(t *testing.T) {
	store := newStore(t)
	e := event(1, agency.Party(account(1).ID), account(2).ID, noon)
	put(t, store, service.Changes{Events: []agency.Event{e}})
	k := table.EventKey{Addressee: e.Addressee, ID: e.ID}
	pk := "ACCT#" + string(account(1).ID) + " EVENT#" + string(e.ID)[4:]
	wake := func(at, next time.Time, want bool) {
		t.Helper()
		if got, err := store.Wake(t.Context(), k, at, next); err != nil || got != want {
			t.Fatalf("woken at %s: %t, want %t (%v)", at.Format(time.TimeOnly), got, want, err)
		}
	}
	due := noon.Add(time.Minute)
	wake(due.Add(-time.Millisecond), due.Add(time.Hour), false) // not due yet
	if i := store.items(t)[pk]; i["wake"] != nil {
		t.Errorf("woken before its time: %v", i["wake"])
	}
	wake(due, due.Add(time.Hour), true)
	wake(due, due.Add(time.Hour), false) // once per due mark
	wake(due.Add(time.Hour-1), due.Add(2*time.Hour), false)
	first := testbed.Num(store.items(t)[pk]["wake"])
	wake(due.Add(time.Hour), due.Add(2*time.Hour), true)
	if second := testbed.Num(store.items(t)[pk]["wake"]); first == "" || second == first {
		t.Errorf("the second wake is the first to the stream: %s, %s", first, second)
	}
	got, found, err := store.Event(t.Context(), k)
	e.WakeAt = due.Add(2 * time.Hour)
	if diff := cmp.Diff(e, got.Event); diff != "" || !found || err != nil {
		t.Error(diff, err)
	}

	for range 2 {
		noError(t, store.MarkDone(t.Context(), k, outbox.Publish, noon))
		noError(t, store.MarkDone(t.Context(), k, outbox.Notify, noon))
		got, _, err := store.Event(t.Context(), k)
		e.WakeAt = time.Time{}
		if diff := cmp.Diff(e, got.Event); diff != "" || err != nil {
			t.Error(diff, err)
		}
	}
	wake(due.Add(100*time.Hour), due.Add(101*time.Hour), false)
	if i := store.items(t)[pk]; i["duePk"] != nil || i["dueSk"] != nil || i["wake"] != nil {
		t.Errorf("told, and still marked: %v", i)
	}
	absent := table.EventKey{Addressee: e.Addressee, ID: event(2, "", "", noon).ID}
	noError(t, store.MarkDone(t.Context(), absent, outbox.Notify, noon))
	if woken, err := store.Wake(t.Context(), absent, due, due.Add(1)); woken || err != nil {
		t.Errorf("woke what is not there: %v", err)
	}
	if all := store.items(t); len(all) != 1 {
		t.Errorf("%d items", len(all))
	}
}

func TestOfManyOneWakesAnEvent(t *testing.T) {
	store := newStore(t)
	e := event(1, agency.Party(account(1).ID), "", noon)
	put(t, store, service.Changes{Events: []agency.Event{e}})
	var woken, wg = make(chan bool, 8), sync.WaitGroup{}
	for range cap(woken) {
		wg.Go(func() {
			ok, err := store.Wake(t.Context(), table.EventKey{Addressee: e.Addressee, ID: e.ID}, noon.Add(time.Hour), noon.Add(2*time.Hour))
			if err != nil {
				t.Error(err)
			}
			woken <- ok
		})
	}
	wg.Wait()
	close(woken)
	n := 0
	for ok := range woken {
		if ok {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d woke it", n)
	}
}

func TestReachedPeopleAreAdded(t *testing.T) {
	store := newStore(t)
	p := agency.Profile{
		ProfileKey: agency.AgencyAt(account(1).ID, account(2).ID), Status: agency.Pending, Ownership: agency.ClientOwned, Request: agency.Request{Number: 2, ExpiresAt: noon.Add(time.Hour)},
		Since: noon, Version: 5,
	}
	put(t, store, service.Changes{Profiles: []agency.Profile{p}})
	one, two, three := person(1).ID, person(2).ID, person(3).ID
	for _, tt := range []struct {
		request int
		people  []agency.PersonID
		version int
		want    []agency.PersonID
	}{
		{1, []agency.PersonID{one}, 5, nil},
		{3, []agency.PersonID{one}, 5, nil},
		{2, []agency.PersonID{one}, 6, []agency.PersonID{one}},
		{2, []agency.PersonID{one}, 6, []agency.PersonID{one}},
		// Another digest has added one of them meanwhile.
		{2, []agency.PersonID{one, two, three}, 8, []agency.PersonID{one, two, three}},
	} {
		noError(t, store.AddReached(t.Context(), p.ProfileKey, tt.request, tt.people...))
		got := load(t, store, service.Want{Profiles: []agency.ProfileKey{p.ProfileKey}}).Profile(p.ProfileKey)
		want := p
		want.Version, want.Request.Reached = tt.version, tt.want
		diff(t, fmt.Sprintf("%d people of request %d", len(tt.people), tt.request), want, got)
	}
	noError(t, store.AddReached(t.Context(), agency.AgencyAt(account(3).ID, account(2).ID), 1, one))
	if all := store.items(t); len(all) != 1 {
		t.Errorf("%d items", len(all))
	}
}

// An email counts as sent whatever SES reports of it later.
func TestWhatWasSentIsKnown(t *testing.T) {
	store := newStore(t)
	m := outbox.MailKey{Event: event(1, "", "", noon).ID, Kind: "requested", Recipient: person(1).ID}
	sent := func(want bool) {
		t.Helper()
		if got, err := store.WasSent(t.Context(), m); got != want || err != nil {
			t.Errorf("sent: %t, want %t (%v)", got, want, err)
		}
	}
	sent(false)
	if claim, err := store.ClaimMail(t.Context(), m, outbox.NewOwner(), noon, lease); claim.State != outbox.ClaimTaken || err != nil {
		t.Fatal(claim, err)
	}
	sent(false)
	for _, fate := range []outbox.Fate{outbox.Obsolete, outbox.Muted, outbox.Stopped} {
		noError(t, store.FinishMail(t.Context(), m, fate, "", noon))
		sent(false)
	}
	for _, fate := range []outbox.Fate{outbox.Sent, outbox.Suppressed} {
		noError(t, store.FinishMail(t.Context(), m, fate, "ses-1", noon))
		sent(true)
	}
}
