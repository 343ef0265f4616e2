package service_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"agencyhub/shared/agency"
	"agencyhub/shared/cloud"
	"agencyhub/shared/service"
)

// An event sorts after the earlier ones of its profile or account, although its function's clock is
// behind. A clock that is far ahead is not followed.
func TestEventsSortAsTheyHappened(t *testing.T) {
	w := newWorld(t)
	w.NewEventID = cloud.NewEventID
	w.pending()
	for _, test := range []struct {
		behind time.Duration
		sorts  bool
	}{{30 * time.Second, true}, {59 * time.Second, true}, {2 * time.Minute, false}} {
		w.now = w.now.Add(time.Hour)
		must[service.AccountView](t)(w.RenameAccount(t.Context(), as(w.ann), w.client, "One "+test.behind.String()))
		w.now = w.now.Add(-test.behind)
		must[service.AccountView](t)(w.RenameAccount(t.Context(), as(w.ann), w.client, "Two "+test.behind.String()))
		list, err := w.Store.Activity(t.Context(), agency.Party(w.client), "", service.Page{Limit: 100})
		if err != nil {
			t.Fatal(err)
		}
		renames := slices.DeleteFunc(list.Items, func(e agency.Event) bool { return e.Type != agency.AccountRenamed })
		if got := renames[0].Now.Name == "Two "+test.behind.String(); got != test.sorts {
			t.Errorf("%s behind: the last event is %q", test.behind, renames[0].Now.Name)
		}
		w.now = w.now.Add(time.Hour)
	}
}

// Two functions in the same millisecond: what one of them makes of it may sort before the other's.
func TestEventsOfOneMillisecondSortAsTheyHappened(t *testing.T) {
	w := newWorld(t)
	n := 1000
	w.NewEventID = func(at time.Time) agency.EventID {
		n--
		return agency.EventID(fmt.Sprintf("%s%016d", cloud.NewEventID(at)[:len("evt_")+10], n))
	}
	var names []string
	for _, name := range []string{"One", "Two", "Three"} {
		must[service.AccountView](t)(w.RenameAccount(t.Context(), as(w.ann), w.client, name))
	}
	list, err := w.Store.Activity(t.Context(), agency.Party(w.client), "", service.Page{Limit: 100})
	for _, e := range list.Items {
		if e.Type == agency.AccountRenamed {
			names = append(names, e.Now.Name)
		}
	}
	if err != nil || !slices.Equal(names, []string{"Three", "Two", "One"}) {
		t.Errorf("the last events are %q, %v", names, err)
	}
}

// Each event names the one before it of the same profile, or of the same account.
func TestEachEventNamesTheOneBefore(t *testing.T) {
	w := newWorld(t).pending()
	must[agency.Profile](t)(w.accept(w.ann, 1))
	must[service.AccountView](t)(w.RenameAccount(t.Context(), as(w.ann), w.client, "Another name"))
	must[agency.Profile](t)(w.RemoveMember(t.Context(), as(w.ann), w.client, agency.Party(w.agency), false))
	must[service.AccountView](t)(w.RenameAccount(t.Context(), as(w.ann), w.client, "A third name"))
	list, err := w.Store.Activity(t.Context(), agency.Party(w.client), "", service.Page{Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	last, chained := map[agency.Party]agency.EventID{}, 0
	for i := len(list.Items) - 1; i >= 0; i-- {
		e := list.Items[i]
		if e.After != last[e.Member] {
			t.Errorf("%s of %q comes after %q, want %q", e.Type, e.Member, e.After, last[e.Member])
		}
		if e.After != "" {
			chained++
		}
		last[e.Member] = e.ID
	}
	if chained != 5 {
		t.Errorf("%d events have one before them, want 5: two invitations accepted, accepted, revoked and the second rename", chained)
	}
	if p := w.profile(agency.AgencyAt(w.client, w.agency)); p.LastEvent != last[agency.Party(w.agency)] {
		t.Errorf("the profile's last event is %q, want %q", p.LastEvent, last[agency.Party(w.agency)])
	}
}

// The event of a new account is its client's too, so what follows comes after it.
func TestAClientsEventsFollowTheirAccounts(t *testing.T) {
	w := newWorld(t)
	id := must[service.AccountView](t)(w.CreateAccount(t.Context(), w.gil, w.agency, "created-0123456789", service.NewClientAccount{
		Name: "Café", Plan: "starter", ConfirmPermanentOwnership: true, Client: &service.NewClient{Email: "chloe@cafe.test", Areas: agency.Areas{"pages": agency.View}},
	})).ID
	must[agency.Profile](t)(w.WithdrawInvitation(t.Context(), agency.Caller{Actor: w.gil, As: w.agency}, id, agency.Party(agency.NewPersonID("chloe@cafe.test"))))
	list, err := w.Store.Activity(t.Context(), agency.Party(id), "", service.Page{Limit: 10})
	if err != nil || len(list.Items) != 2 || list.Items[0].After != list.Items[1].ID {
		t.Errorf("%+v, %v", list.Items, err)
	}
}
