package service_test

import (
	"fmt"
	"slices"
	"testing"

	"agencyhub/shared/agency"
	"agencyhub/shared/service"
)

// unwanted puts a person into the teams of 25 agencies of somebody else.
func (w *world) unwanted(who agency.Actor) *world {
	w.t.Helper()
	for i := range 25 {
		id := w.mustOpen(w.eve, 500+i, fmt.Sprint("Unwanted ", i))
		must[service.AccountView](w.t)(w.SwitchAgencyOn(w.t.Context(), w.eve, id))
		w.mustInvite(w.eve, id, who, agency.Owner)
	}
	return w
}

// filled adds active agencies to the client's account until it has n.
func (w *world) filled(n int) *world {
	w.t.Helper()
	w.longWrites = true
	account := w.account(w.client)
	want := service.Want{Accounts: []agency.AccountID{w.client}}
	var changes service.Changes
	for i := len(account.Agencies); i < n; i++ {
		id := agency.NewAccountID(party(w.eve), idempotencyKey(900+i))
		p := agency.Profile{
			ProfileKey: agency.AgencyAt(w.client, id), Status: agency.Active, Name: fmt.Sprint("Agency ", i), Ownership: agency.ClientOwned,
			AccountName: account.Name, Areas: editAll, Since: w.Now(), Version: 1,
		}
		want.Profiles, changes.Profiles = append(want.Profiles, p.ProfileKey), append(changes.Profiles, p)
		changes.Counts = append(changes.Counts, service.CountChange{Agency: id, Connected: 1})
		account.Agencies = append(account.Agencies, id)
	}
	account.Version++
	changes.Accounts = []agency.Account{account}
	noError(w.t, w.store.Save(w.t.Context(), must[service.Snapshot](w.t)(w.store.Load(w.t.Context(), want)), changes))
	return w
}

// anotherAgency makes a second agency, whose request for the client's account waits.
func (w *world) anotherAgency() agency.AccountID {
	w.t.Helper()
	id := w.mustOpen(w.eve, 800, "Another agency")
	must[service.AccountView](w.t)(w.SwitchAgencyOn(w.t.Context(), w.eve, id))
	must[agency.Profile](w.t)(w.RequestConnection(w.t.Context(), w.eve, id, service.ConnectionRequest{Account: w.client, Areas: editAll}))
	return id
}

func (w *world) acceptAnother() error {
	return second(w.AcceptRequest(w.t.Context(), as(w.bob), w.client, agency.NewAccountID(party(w.eve), idempotencyKey(800)), service.Grant{Request: 1}))
}

// What others do to a person displaces nothing that their access rests on.
func TestAccessInSpiteOfUnwantedAccounts(t *testing.T) {
	w := newWorld(t).connected()
	through, owned, own := w.access(as(w.gil), w.client), w.access(as(w.gil), w.owned), w.access(as(w.ann), w.client)
	if !through.Allowed || !owned.Allowed || !own.Allowed {
		t.Fatalf("%+v, %+v, %+v", through, owned, own)
	}
	w.unwanted(w.gil).unwanted(w.ann)
	diff(t, "through an agency", through, w.access(as(w.gil), w.client))
	diff(t, "through an agency, asked by the platform", through, must[agency.Access](t)(w.CheckAccessOf(t.Context(), platform, w.gil.Email, "", w.client)))
	diff(t, "through the owner", owned, w.access(as(w.gil), w.owned))
	diff(t, "one's own", own, w.access(as(w.ann), w.client))
	w.audit(t)
}

// An account lists the agencies with an active profile in it, whatever makes or ends one.
func TestAnAccountListsItsAgencies(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	lists := func(what string, id agency.AccountID, want ...agency.AccountID) {
		t.Helper()
		diff(t, what, want, w.account(id).Agencies)
		w.audit(t)
	}
	lists("created", w.owned, w.agency)
	lists("requested", w.pending().client)
	must[agency.Profile](t)(w.accept(w.ann, 1))
	lists("accepted", w.client, w.agency)
	another := w.anotherAgency()
	noError(t, w.acceptAnother())
	lists("two", w.client, w.agency, another)
	must[agency.Profile](t)(w.revoke())
	lists("revoked", w.client, another)
	must[agency.Profile](t)(w.LeaveAccount(ctx, w.eve, another, agency.NewConnectionID(agency.Party(w.client), another)))
	lists("left", w.client)

	must[agency.Profile](t)(w.requestByEmail(w.bob))
	must[agency.Profile](t)(w.acceptInto(w.bob, w.client, 1))
	lists("accepted by email", w.client, w.agency)
	w.setEnd(day).advance(day)
	lists("lapsed, not recorded", w.client, w.agency)
	without := w.access(as(w.gil), w.client)
	diff(t, "the reason, with as", agency.HasLapsed, w.access(as(w.gil, w.agency), w.client).Reason)
	diff(t, "the reason", agency.NoProfile, without.Reason)
	noError(t, w.sweepAll())
	lists("lapsed", w.client)
	diff(t, "once recorded", without, w.access(as(w.gil), w.client))

	must[agency.Profile](t)(w.request())
	must[agency.Profile](t)(w.accept(w.ann, w.profile(agency.AgencyAt(w.client, w.agency)).Request.Number))
	w.setEnd(day).advance(day)
	must[agency.Profile](t)(w.request())
	lists("lapsed, and requested again", w.client)
	must[agency.Profile](t)(w.accept(w.ann, w.profile(agency.AgencyAt(w.client, w.agency)).Request.Number))
	w.setEnd(day).advance(day)
	must[agency.Profile](t)(w.requestByEmail(w.bob))
	must[agency.Profile](t)(w.acceptInto(w.bob, w.client, 2))
	lists("lapsed, and accepted again", w.client, w.agency)

	noError(t, w.close(as(w.ann), w.client))
	noError(t, w.close(as(w.gil, w.agency), w.owned))
	without = w.access(as(w.gil), w.client)
	diff(t, "the reason, with as", agency.HasClosed, w.access(as(w.gil, w.agency), w.client).Reason)
	diff(t, "the reason", agency.NoProfile, without.Reason)
	noError(t, w.sweepAll())
	diff(t, "once ended", without, w.access(as(w.gil), w.client))
	lists("closed", w.client)
	lists("closed, owned", w.owned)
}

// An account has 20 agencies at most.
func TestATwentyFirstAgency(t *testing.T) {
	w := newWorld(t).pending()
	another := w.anotherAgency()
	w.filled(agency.MaxAgencies - 1)
	noError(t, w.acceptAnother())
	diff(t, "agencies", agency.MaxAgencies, len(w.account(w.client).Agencies))
	must[agency.Profile](t)(w.requestByEmail(w.ann))
	tooMany := func(what string, do func() error) {
		t.Helper()
		w.refusedFor(t, what, agency.TooMany, 0, do)
	}
	tooMany("a 21st", func() error { return second(w.accept(w.ann, 1)) })
	tooMany("a 21st by email", func() error { return second(w.acceptInto(w.ann, w.client, 1)) })
	// The state and the role are checked before.
	w.refusedFor(t, "another request", agency.Conflict, 0, func() error { return second(w.accept(w.ann, 2)) })
	w.refusedFor(t, "a member", agency.Forbidden, 0, func() error { return second(w.accept(w.mem, 1)) })
	noError(t, w.acceptAnother())
	// One that is there can be accepted again before its lapse is recorded.
	first := w.account(w.client).Agencies[0]
	must[agency.Profile](t)(w.RemoveMember(t.Context(), as(w.ann), w.client, agency.Party(first), false))
	must[agency.Profile](t)(w.accept(w.ann, 1))
	diff(t, "agencies", agency.MaxAgencies, len(w.account(w.client).Agencies))
	w.setEnd(day).advance(day)
	must[agency.Profile](t)(w.requestByEmail(w.bob))
	must[agency.Profile](t)(w.acceptInto(w.bob, w.client, 1))
	diff(t, "the last", []agency.AccountID{another, w.agency}, w.account(w.client).Agencies[agency.MaxAgencies-2:])
	w.TakeCalls()
	diff(t, "through the last", true, w.access(as(w.gil), w.client).Allowed)
	diff(t, "calls", calls{"BatchGetItem": 2}, calls(w.TakeCalls()))
	w.audit(t)
}

func TestTwoAgenciesAtOnce(t *testing.T) {
	for n, want := range map[int][]agency.Code{agency.MaxAgencies - 1: {"", agency.TooMany}, agency.MaxAgencies - 2: {"", ""}} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			race(t, func(w *world) *world { w.pending().anotherAgency(); return w.filled(n) },
				[]func(*world) error{acceptByOwner, (*world).acceptAnother},
				func(t *testing.T, w *world, codes []agency.Code, _ []string) {
					t.Helper()
					slices.Sort(codes)
					diff(t, "codes", want, codes)
					diff(t, "agencies", agency.MaxAgencies, len(w.account(w.client).Agencies))
				})
		})
	}
}

func TestAcceptAgainstRevokeOfAnother(t *testing.T) {
	race(t, func(w *world) *world { w.connected().anotherAgency(); return w.filled(agency.MaxAgencies) },
		[]func(*world) error{(*world).acceptAnother, func(w *world) error { return second(w.revoke()) }},
		func(t *testing.T, w *world, codes []agency.Code, _ []string) {
			t.Helper()
			agencies := agency.MaxAgencies
			if codes[0] != "" {
				agencies--
				diff(t, "accepting", agency.TooMany, codes[0])
			}
			diff(t, "revoking", agency.Code(""), codes[1])
			diff(t, "agencies", agencies, len(w.account(w.client).Agencies))
		})
}
