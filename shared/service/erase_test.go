package service_test

import (
	"errors"
	"fmt"
	"testing"

	"agencyhub/shared/agency"
	"agencyhub/shared/service"
)

// An erased person's address remains only in the request that an agency addressed to it. To the agency
// the request looks as before.
func TestErasingTakesTheAddressOutOfEverything(t *testing.T) {
	w := newWorld(t).connected()
	ctx := t.Context()
	must[agency.Profile](t)(w.RemoveMember(ctx, as(w.ann), w.client, party(w.mem), false))
	w.mustInvite(w.gil, w.agency, w.mem, agency.Member)
	asked := must[agency.Profile](t)(w.RequestConnection(ctx, w.gil, w.agency, service.ConnectionRequest{OwnerEmail: w.mem.Email, Areas: editAll}))
	if len(w.itemsWith(t, w.mem)) == 0 {
		t.Fatal("the address is nowhere before it is erased")
	}
	noError(t, w.EraseMe(ctx, w.mem))
	for i := 0; ; i++ {
		did, err := w.SweepPerson(ctx, w.mem.ID())
		noError(t, err)
		if did == service.OutcomeNone {
			break
		}
		if i > 20 {
			t.Fatal("erasing never ends")
		}
	}
	diff(t, "items with the address, the request alone", 1, len(w.itemsWith(t, w.mem)))
	seen := must[agency.Profile](t)(w.GetConnection(ctx, w.gil, w.agency, asked.ID()))
	if seen.Status != agency.Pending || seen.Email != w.mem.Email || !seen.Request.ExpiresAt.Equal(asked.Request.ExpiresAt) {
		t.Errorf("the agency sees %+v, want its request as it was", seen)
	}
	if mine := must[service.List[agency.Profile]](t)(w.MyRequests(ctx, w.mem, service.Page{Limit: 10})); len(mine.Items) != 0 {
		t.Errorf("%d requests wait for an erased person", len(mine.Items))
	}
	if access := w.access(as(w.mem), w.agency); access.Allowed {
		t.Error("an erased person has access")
	}
}

// The present owner of an address and an Idempotency-Key need not be the person who opened the account.
func TestARepeatOfOpeningIsAnsweredToWhoMaySeeTheAccount(t *testing.T) {
	w := newWorld(t)
	refused(t, "another sign-in with the address", agency.IdentityChanged,
		second(w.OpenAccount(t.Context(), impostor(w.ann), idempotencyKey(1), "Client")))
	w.mustInvite(w.ann, w.client, w.eve, agency.Owner)
	must[agency.Profile](t)(w.RemoveMember(t.Context(), as(w.ann), w.client, party(w.ann), false))
	refused(t, "one who has left", agency.NotFound, second(w.OpenAccount(t.Context(), w.ann, idempotencyKey(1), "Client")))
}

// A person who has just left an account to another owner is not its last owner, whatever a list that is
// a moment old, or a batch read of two moments, says.
func TestErasingIsRefusedOnOneState(t *testing.T) {
	for round := range 12 {
		w := newWorld(t)
		w.mustInvite(w.ann, w.client, w.eve, agency.Owner)
		must[service.AccountView](t)(w.GetAccount(t.Context(), as(w.eve), w.client))
		w.splitBy(round)
		split := func() {
			w.SplitBatch = nil
			must[agency.Profile](t)(w.RemoveMember(t.Context(), as(w.ann), w.client, agency.Party(w.ann.ID()), false))
		}
		w.SplitBatch = split
		if err := w.EraseMe(t.Context(), w.ann); err != nil || w.SplitBatch != nil {
			t.Errorf("round %d: %v, left: %t", round, err, w.SplitBatch == nil)
		}
	}
}

// A person who owns more accounts than one transaction takes is refused as the last owner of any.
func TestErasingLooksAtEveryAccount(t *testing.T) {
	w := newWorld(t)
	var last agency.AccountID
	for n := range 60 {
		id := must[service.AccountView](t)(w.OpenAccount(t.Context(), w.bob, idempotencyKey(1000+n), fmt.Sprintf("Account %02d", n))).ID
		if n == 59 {
			last = id
			break
		}
		w.mustInvite(w.bob, id, w.eve, agency.Owner)
		must[service.AccountView](t)(w.GetAccount(t.Context(), as(w.eve), id))
	}
	err := w.EraseMe(t.Context(), w.bob)
	refusal, ok := errors.AsType[*agency.Error](err)
	if !ok || refusal.Code != agency.LastOwner || len(refusal.Fields) != 1 || refusal.Fields[0].Field != string(last) {
		t.Errorf("%v", err)
	}
	read, err := w.store.Load(t.Context(), service.Want{People: []agency.PersonID{w.bob.ID()}})
	if err != nil || !read.Person(w.bob.ID()).Erasing.IsZero() {
		t.Errorf("the erasing has started (%v)", err)
	}
}
