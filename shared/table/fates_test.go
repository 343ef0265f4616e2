package table_test

import (
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"agencyhub/shared/agency"
	"agencyhub/shared/outbox"
	"agencyhub/shared/service"
	"agencyhub/shared/testbed"
)

// In every order of reports and repeats, an email ends at the highest fate.
func TestFatesOnlyRise(t *testing.T) {
	store := newStore(t)
	order := []outbox.Fate{
		outbox.Obsolete, outbox.Sent, outbox.Delayed, outbox.Failed, outbox.Delivered, outbox.Bounced, outbox.Complained,
	}
	for n := range 40 {
		m := outbox.MailKey{Event: event(n, "", "", noon).ID, Kind: "requested", Recipient: person(1).ID}
		if claim, err := store.ClaimMail(t.Context(), m, outbox.NewOwner(), noon, lease); claim.State != outbox.ClaimTaken || err != nil {
			t.Fatal(claim, err)
		}
		news := slices.Clone(order[:1+n%len(order)])
		news = append(news, news...)
		rand.Shuffle(len(news), func(i, j int) { news[i], news[j] = news[j], news[i] })
		var wg sync.WaitGroup
		for _, f := range news {
			wg.Go(func() {
				if _, err := store.AdvanceFate(t.Context(), m, f, "ses-1", noon); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		mails, err := store.Mails(t.Context(), m.Event)
		want := []outbox.Mail{{MailKey: m, Fate: order[n%len(order)], MessageID: "ses-1", At: noon}}
		if diff := cmp.Diff(want, mails); diff != "" || err != nil {
			t.Errorf("after %v: %s %v", news, diff, err)
		}
		if claim, err := store.ClaimMail(t.Context(), m, outbox.NewOwner(), noon.Add(time.Hour), lease); claim.State != outbox.ClaimDone || err != nil {
			t.Errorf("after %v it can be claimed: %v, %v", news, claim, err)
		}
	}
}

// A report of SES can come before notify records that it sent the email, and that record may be lost.
func TestNewsComesBeforeTheMark(t *testing.T) {
	store := newStore(t)
	m := outbox.MailKey{Event: event(1, "", "", noon).ID, Kind: "requested", Recipient: person(1).ID}
	raise := func(f outbox.Fate, id string, want bool) {
		t.Helper()
		if got, err := store.AdvanceFate(t.Context(), m, f, id, noon); got != want || err != nil {
			t.Fatalf("%s: %t, want %t (%v)", f, got, want, err)
		}
	}
	raise(outbox.Delivered, "ses-1", false) // not claimed yet
	if all := store.items(t); len(all) != 0 {
		t.Fatalf("an email that nobody claimed was written: %v", all)
	}
	if _, err := store.ClaimMail(t.Context(), m, outbox.NewOwner(), noon, lease); err != nil {
		t.Fatal(err)
	}
	raise(outbox.Delivered, "ses-1", true)
	raise(outbox.Delivered, "ses-1", false)
	raise(outbox.Sent, "ses-2", false)
	noError(t, store.ReleaseMail(t.Context(), m, "", false))
	if sent, err := store.WasSent(t.Context(), m); !sent || err != nil {
		t.Errorf("sent: %t, %v", sent, err)
	}
	raise(outbox.Failed, "", false)
	raise(outbox.Bounced, "", true)
	i := store.items(t)["MAIL#"+string(m.Event)+" requested#"+string(m.Recipient)]
	if testbed.Str(i["fate"]) != "bounced" || testbed.Str(i["messageId"]) != "ses-1" || i["leaseUntil"] != nil {
		t.Errorf("%v", i)
	}
}

func TestDeliveryFailsOfTheMailingThatBounced(t *testing.T) {
	store := newStore(t)
	later := noon.Add(24 * time.Hour)
	p := agency.Profile{
		ProfileKey: agency.AgencyAt(account(1).ID, account(2).ID), Status: agency.Pending, Ownership: agency.ClientOwned, Request: agency.Request{Number: 2, State: agency.StateOpen, ExpiresAt: noon.Add(time.Hour), MailedAt: later},
		Since: noon, Version: 5,
	}
	done := p
	done.Member, done.Status, done.Request.State = agency.Party(account(3).ID), agency.Active, agency.StateAccepted
	put(t, store, service.Changes{Profiles: []agency.Profile{p, done}})
	for _, tt := range []struct {
		profile agency.Profile
		request int
		at      time.Time
		version int
		want    agency.Delivery
	}{
		{p, 1, later, 5, ""},
		{p, 2, noon, 5, ""}, // it was resent since
		{p, 2, later, 6, agency.DeliveryFailed},
		{p, 2, later, 6, agency.DeliveryFailed},
		{done, 2, later, 5, ""}, // it is accepted
	} {
		noError(t, store.FailDelivery(t.Context(), tt.profile.ProfileKey, tt.request, tt.at))
		got := load(t, store, service.Want{Profiles: []agency.ProfileKey{tt.profile.ProfileKey}}).Profile(tt.profile.ProfileKey)
		if got.Request.Delivery != tt.want || got.Version != tt.version {
			t.Errorf("request %d mailed at %s: %s, version %d", tt.request, tt.at, got.Request.Delivery, got.Version)
		}
	}
}

func TestASuppressionHoldsUntilItIsLifted(t *testing.T) {
	store := newStore(t)
	id := person(1).ID
	key := service.Want{People: []agency.PersonID{id}}
	suppress := func(reason agency.SuppressionReason, at time.Time, want bool) {
		t.Helper()
		if got, err := store.Suppress(t.Context(), id, reason, at); got != want || err != nil {
			t.Fatalf("%s at %s: %t, want %t (%v)", reason, at.Format(time.TimeOnly), got, want, err)
		}
	}
	is := func(want agency.Suppression) agency.Person {
		t.Helper()
		got := load(t, store, key).Person(id)
		if diff := cmp.Diff(want, got.Suppression); diff != "" {
			t.Fatal(diff)
		}
		return got
	}
	suppress(agency.AddressBounced, noon, true)
	suppress(agency.AddressBounced, noon, false)
	suppress(agency.AddressComplained, noon.Add(-time.Second), false) // a late report
	suppress(agency.AddressComplained, noon.Add(time.Second), true)
	p := is(agency.Suppression{Reason: agency.AddressComplained, At: noon.Add(time.Second)})

	// The person signs in: Save keeps the suppression, and late reports change nothing.
	lifted := noon.Add(time.Minute)
	read := load(t, store, key)
	p.Suppression.Lifted = lifted
	p.Version++
	noError(t, store.Save(t.Context(), read, service.Changes{People: []agency.Person{p}}))
	suppress(agency.AddressBounced, lifted.Add(-time.Second), false)
	noError(t, store.Forget(t.Context(), id, noon))
	is(agency.Suppression{Reason: agency.AddressComplained, At: noon.Add(time.Second), Lifted: lifted})
	for range 2 {
		noError(t, store.Forget(t.Context(), id, lifted))
	}
	is(agency.Suppression{Lifted: lifted})
	suppress(agency.AddressBounced, lifted.Add(-time.Second), false)
	suppress(agency.AddressBounced, lifted.Add(time.Second), true)
	if got := is(agency.Suppression{Reason: agency.AddressBounced, At: lifted.Add(time.Second)}); got.Version != 5 || got.Email != "" {
		t.Errorf("%+v", got)
	}
}
