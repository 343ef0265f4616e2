package service_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"

	"agencyhub/shared/agency"
	"agencyhub/shared/service"
	"agencyhub/shared/testbed"
)

// An erased person's address stands nowhere in the table, neither where they were
// active nor where they had been removed before, but in the request that an
// agency addressed to it, which looks to the agency as ever.
func TestErasingTakesTheAddressOutOfEverything(t *testing.T) {
	w := newWorld(t).connected()
	ctx := t.Context()
	must[agency.Profile](t)(w.RemoveMember(ctx, as(w.ann), w.client, agency.Party(w.mem.ID()), false))
	w.let(w.gil, w.agency, w.mem, agency.Member)
	asked := must[agency.Profile](t)(w.RequestConnection(ctx, w.gil, w.agency, service.ConnectionRequest{OwnerEmail: w.mem.Email, Areas: editAll}))
	if n := w.mentions(t, w.mem.Email); n == 0 {
		t.Fatal("the address stands nowhere before it is erased")
	}
	if err := w.EraseMe(ctx, w.mem); err != nil {
		t.Fatal(err)
	}
	for i := 0; ; i++ {
		did, err := w.SweepPerson(ctx, w.mem.ID())
		if err != nil {
			t.Fatal(err)
		}
		if did == service.OutcomeNone {
			break
		}
		if i > 20 {
			t.Fatal("erasing never ends")
		}
	}
	if n := w.mentions(t, w.mem.Email); n != 1 {
		t.Errorf("the address still stands in %d items, want the request alone", n)
	}
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

// mentions counts the items that hold a text anywhere.
func (w *world) mentions(t *testing.T, text string) int {
	t.Helper()
	n := 0
	for _, i := range testbed.Items(t, w.db, w.name) {
		var all map[string]any
		if err := attributevalue.UnmarshalMap(i, &all); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(fmt.Sprint(all), text) {
			n++
			t.Logf("%s %s", testbed.Str(i["pk"]), testbed.Str(i["sk"]))
		}
	}
	return n
}

// Whoever holds the address and the key by now need not be who opened the
// account.
func TestARepeatOfOpeningIsAnsweredToWhoMaySeeTheAccount(t *testing.T) {
	w := newWorld(t)
	if _, err := w.OpenAccount(t.Context(), impostor(w.ann), key16(1), "Client"); agency.CodeOf(err) != agency.IdentityChanged {
		t.Errorf("another sign-in with the address: %v, want %s", err, agency.IdentityChanged)
	}
	w.let(w.ann, w.client, w.eve, agency.Owner)
	must[agency.Profile](t)(w.RemoveMember(t.Context(), as(w.ann), w.client, agency.Party(w.ann.ID()), false))
	if _, err := w.OpenAccount(t.Context(), w.ann, key16(1), "Client"); agency.CodeOf(err) != agency.NotFound {
		t.Errorf("one who has left: %v, want %s", err, agency.NotFound)
	}
}
