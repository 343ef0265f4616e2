package service_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"agencyhub/shared/agency"
	"agencyhub/shared/service"
	"agencyhub/shared/testbed"
)

// statuses counts what stands in an account, by status.
func (h *hub) statuses(id agency.AccountID) map[agency.Status]int {
	h.t.Helper()
	out := map[agency.Status]int{}
	for p := (service.Page{Limit: 100}); ; {
		list := must[service.List[agency.Profile]](h.t)(h.store.Team(h.t.Context(), agency.Party(id), p))
		for _, p := range list.Items {
			out[p.Status]++
		}
		if p.Cursor = list.Next; p.Cursor == "" {
			return out
		}
	}
}

func (w *world) close(c agency.Caller, id agency.AccountID) error {
	return second(w.CloseAccount(w.t.Context(), c, id))
}

func TestCloseAnAccount(t *testing.T) {
	w := newWorld(t).connected()
	ctx := t.Context()
	v := w.world("-v")
	must[agency.Profile](t)(v.RequestConnection(ctx, v.gil, v.agency, service.ConnectionRequest{Account: w.client, Areas: viewPages}))
	must[agency.Profile](t)(w.ask(w.ann))
	for name, tt := range map[string]struct {
		code agency.Code
		err  error
	}{
		"an admin":            {agency.Forbidden, w.close(as(w.bob), w.client)},
		"a member":            {agency.Forbidden, w.close(as(w.mem), w.client)},
		"a stranger":          {agency.NotFound, w.close(as(w.eve), w.client)},
		"the connected":       {agency.Forbidden, w.close(as(w.gil, w.agency), w.client)},
		"the client of owned": {agency.Forbidden, w.close(as(w.olga), w.owned)},
		"an agency":           {agency.HasClients, w.close(as(w.gil), w.agency)},
	} {
		if agency.CodeOf(tt.err) != tt.code {
			t.Errorf("%s: %v, want %s", name, tt.err, tt.code)
		}
	}
	w.TakeCalls()
	view := must[service.AccountView](t)(w.CloseAccount(ctx, as(w.ann), w.client))
	diff(t, "calls", map[string]int{"BatchGetItem": 1, "TransactWriteItems": 1}, w.TakeCalls())
	if !view.Closed.Equal(noon) || view.Access.Allowed || view.Access.Reason != agency.HasClosed {
		t.Errorf("%+v", view)
	}

	// From that moment nobody has access and nothing can be done.
	before := testbed.Items(t, w.db, w.name)
	for _, c := range []agency.Caller{as(w.ann), as(w.bob), as(w.mem), as(w.gil, w.agency), as(w.gem)} {
		if got := w.access(c, w.client); got.Allowed || got.Reason != agency.HasClosed {
			t.Errorf("%s: %+v", c.Email, got)
		}
	}
	diff(t, "a stranger", agency.NoProfile, w.access(as(w.eve), w.client).Reason)
	for name, err := range map[string]error{
		"see":           second(w.GetAccount(ctx, as(w.ann), w.client)),
		"rename":        second(w.RenameAccount(ctx, as(w.ann), w.client, "New")),
		"hub on":        second(w.SwitchAgencyOn(ctx, w.ann, w.client)),
		"hub off":       second(w.SwitchAgencyOff(ctx, w.ann, w.client)),
		"close":         w.close(as(w.ann), w.client),
		"invite":        third(w.InvitePerson(ctx, as(w.ann), w.client, service.Invitation{Email: w.eve.Email, Role: agency.Admin})),
		"change":        second(w.ChangeMember(ctx, as(w.ann), w.client, agency.Party(w.mem.ID()), service.MemberChange{Role: agency.Admin})),
		"remove":        second(w.RemoveMember(ctx, as(w.ann), w.client, agency.Party(w.mem.ID()), false)),
		"leave":         second(w.RemoveMember(ctx, as(w.mem), w.client, agency.Party(w.mem.ID()), false)),
		"revoke":        second(w.revoke()),
		"accept":        second(w.AcceptRequest(ctx, as(w.ann), w.client, v.agency, service.Grant{Request: 1})),
		"accept into":   second(w.into(w.ann, w.client, 1)),
		"deny":          second(w.DenyRequest(ctx, as(w.ann), w.client, v.agency, true)),
		"unblock":       second(w.Unblock(ctx, as(w.ann), w.client, v.agency)),
		"blocks":        second(w.AccountBlocks(ctx, as(w.ann), w.client, service.Page{Limit: 1})),
		"team":          second(w.Team(ctx, as(w.ann), w.client, service.Page{Limit: 1})),
		"activity":      second(w.AccountActivity(ctx, as(w.ann), w.client, service.Page{Limit: 1})),
		"another asks":  second(v.RequestConnection(ctx, v.gus, v.agency, service.ConnectionRequest{Account: w.client, Areas: viewPages})),
		"see a request": second(w.GetRequest(ctx, w.ann, agency.NewConnectionID(agency.Party(w.client), v.agency))),
	} {
		if agency.CodeOf(err) != agency.NotFound && name != "another asks" || agency.CodeOf(err) == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if mine := must[service.List[service.AccountView]](t)(w.MyAccounts(ctx, w.ann, service.Page{Limit: 10})); len(mine.Items) != 0 {
		t.Errorf("%+v", mine.Items)
	}
	testbed.SameItems(t, before, testbed.Items(t, w.db, w.name))

	// The members end each in a transaction of its own; then nothing is left to do.
	w.TakeCalls()
	diff(t, "first", service.OutcomeEnded, must[service.Outcome](t)(w.SweepAccount(ctx, w.client)))
	diff(t, "transactions", 5, w.TakeCalls()["TransactWriteItems"])
	diff(t, "rows", map[agency.Status]int{agency.Ended: 4, agency.Expired: 1}, w.statuses(w.client))
	diff(t, "counts", service.Counts{Owned: 1, Pending: 1}, w.counts())
	diff(t, "the other agency's", service.Counts{Owned: 1}, v.counts())
	diff(t, "second", service.OutcomeEnded, must[service.Outcome](t)(w.SweepAccount(ctx, w.client)))
	w.TakeCalls()
	diff(t, "third", service.OutcomeNone, must[service.Outcome](t)(w.SweepAccount(ctx, w.client)))
	diff(t, "calls", map[string]int{"BatchGetItem": 1}, w.TakeCalls())
	diff(t, "owners", 0, w.owners(w.client))
	happened := w.events(w.client)[5:]
	slices.Sort(happened[2:])
	diff(t, "events", []string{"connection.requested", "account.closed", "connection.ended", "connection.expired", "person.ended", "person.ended", "person.ended"}, happened)
	w.audit(t)

	// After the retention its data is gone, but for the events, which stay 2 years.
	w.collected = true
	w.advance(90*day - time.Millisecond)
	must[service.Outcome](t)(w.SweepAccount(ctx, w.client))
	diff(t, "rows", map[agency.Status]int{agency.Ended: 4, agency.Expired: 1}, w.statuses(w.client))
	w.advance(time.Millisecond)
	for range 3 {
		must[service.Outcome](t)(w.SweepAccount(ctx, w.client))
	}
	for k, i := range testbed.Items(t, w.db, w.name) {
		if strings.HasPrefix(k, "ACCT#"+string(w.client)+" ") && !strings.Contains(k, " EVENT#") {
			t.Errorf("%s is left: %s", k, plain(i))
		}
	}
	diff(t, "gone", agency.NoProfile, w.access(as(w.ann), w.client).Reason)
	w.audit(t)
}

func TestCloseAnOwnedAccount(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	if err := w.close(as(w.gus, w.agency), w.owned); agency.CodeOf(err) != agency.Forbidden {
		t.Errorf("an admin of the agency: %v", err)
	}
	view := must[service.AccountView](t)(w.CloseAccount(ctx, as(w.gil, w.agency), w.owned))
	if view.Access.Allowed || view.Ownership != agency.AgencyOwned {
		t.Errorf("%+v", view)
	}
	for _, c := range []agency.Caller{as(w.gil, w.agency), as(w.gem), as(w.olga)} {
		if got := w.access(c, w.owned); got.Allowed || got.Reason != agency.HasClosed {
			t.Errorf("%+v", got)
		}
	}
	must[service.Outcome](t)(w.SweepAccount(ctx, w.owned))
	diff(t, "rows", map[agency.Status]int{agency.Ended: 2}, w.statuses(w.owned))
	diff(t, "counts", service.Counts{}, w.counts())
	list, _, err := w.Clients(ctx, w.gil, w.agency, service.ClientFilter{Status: agency.Ended}, service.Page{Limit: 5})
	if err != nil || len(list.Items) != 1 {
		t.Errorf("%d ended, %v", len(list.Items), err)
	}
	for _, e := range must[service.List[agency.Event]](t)(w.store.Activity(ctx, w.owned, "", service.Page{Limit: 10})).Items {
		if e.Agency != w.agency {
			t.Errorf("%s concerns %q", e.Type, e.Agency)
		}
	}
	must[service.AccountView](t)(w.SwitchAgencyOff(ctx, w.gil, w.agency))
	if err := w.close(as(w.gil), w.agency); err != nil {
		t.Error(err)
	}
	w.audit(t)
}

// What is long is ended 25 rows a run, each in a transaction of its own, wherever
// in the list those stand that have ended before.
func TestALargeAccountEndsInPages(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	const more = 60
	for n := range more {
		who := actor(fmt.Sprintf("m%02d", n))
		w.let(w.ann, w.client, who, agency.Member)
		if n%3 == 0 {
			must[agency.Profile](t)(w.RemoveMember(ctx, as(w.ann), w.client, agency.Party(who.ID()), false))
		}
	}
	if err := w.close(as(w.ann), w.client); err != nil {
		t.Fatal(err)
	}
	w.BeforeWrite = func(in *dynamodb.TransactWriteItemsInput) error {
		rows := 0
		for _, i := range in.TransactItems {
			if i.Put != nil && strings.HasPrefix(testbed.Str(i.Put.Item["sk"]), "TEAM#") {
				rows++
			}
		}
		if rows > 1 {
			t.Errorf("%d rows in a transaction", rows)
		}
		return w.look(in)
	}
	active := more - more/3 + 3
	for active > 0 {
		active = max(0, active-25)
		diff(t, "did", service.OutcomeEnded, must[service.Outcome](t)(w.SweepAccount(ctx, w.client)))
		diff(t, "left", active, w.statuses(w.client)[agency.Active])
	}
	diff(t, "did", service.OutcomeEnded, must[service.Outcome](t)(w.SweepAccount(ctx, w.client)))
	diff(t, "did", service.OutcomeNone, must[service.Outcome](t)(w.SweepAccount(ctx, w.client)))
	diff(t, "owners", 0, w.owners(w.client))
	w.audit(t)
}

// A failure in the middle leaves the rest to the next run.
func TestClosingGoesOnAfterAFailure(t *testing.T) {
	w := newWorld(t).connected()
	ctx := t.Context()
	if err := w.close(as(w.ann), w.client); err != nil {
		t.Fatal(err)
	}
	n := 0
	broken := errors.New("the store is down")
	w.BeforeWrite = func(in *dynamodb.TransactWriteItemsInput) error {
		if n++; n > 2 {
			return broken
		}
		return w.look(in)
	}
	if _, err := w.SweepAccount(ctx, w.client); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
	w.BeforeWrite = w.look
	diff(t, "rows", map[agency.Status]int{agency.Active: 2, agency.Ended: 2}, w.statuses(w.client))
	diff(t, "did", service.OutcomeEnded, must[service.Outcome](t)(w.SweepAccount(ctx, w.client)))
	diff(t, "rows", map[agency.Status]int{agency.Ended: 4}, w.statuses(w.client))
	w.audit(t)
}

func TestSwitchAHubOff(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	v := w.world("-v")
	off := func(x *world) error { return second(x.SwitchAgencyOff(ctx, x.gil, x.agency)) }
	must[service.AccountView](t)(v.CloseAccount(ctx, as(v.gil, v.agency), v.owned))
	w.limited(t, "with an owned account", agency.HasClients, 0, func() error { return off(w) })
	w.limited(t, "while that is being closed", agency.HasClients, 0, func() error { return off(v) })
	must[service.Outcome](t)(v.SweepAccount(ctx, v.owned))
	must[agency.Profile](t)(v.ask(v.ann))
	v.limited(t, "with an open request", agency.HasClients, 0, func() error { return off(v) })
	must[agency.Profile](t)(v.into(v.ann, v.client, 1))
	v.limited(t, "with a connection", agency.HasClients, 0, func() error { return off(v) })
	must[agency.Profile](t)(v.LeaveAccount(ctx, v.gil, v.agency, agency.NewConnectionID(agency.Party(v.client), v.agency)))
	for name, err := range map[string]error{
		"an admin": second(v.SwitchAgencyOff(ctx, v.gus, v.agency)), "a member": second(v.SwitchAgencyOff(ctx, v.gem, v.agency)), "a stranger": second(v.SwitchAgencyOff(ctx, v.eve, v.agency)),
	} {
		if want := map[bool]agency.Code{true: agency.NotFound, false: agency.Forbidden}[name == "a stranger"]; agency.CodeOf(err) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
	v.TakeCalls()
	if err := off(v); err != nil {
		t.Fatal(err)
	}
	diff(t, "calls", map[string]int{"BatchGetItem": 1, "TransactWriteItems": 1}, v.TakeCalls())
	before := testbed.Items(t, v.db, v.name)
	if err := off(v); err != nil {
		t.Error(err)
	}
	testbed.SameItems(t, before, testbed.Items(t, v.db, v.name))
	if _, err := v.ask(v.bob); agency.CodeOf(err) != agency.Conflict {
		t.Errorf("asked by what is no agency: %v", err)
	}
	diff(t, "events", []string{"agency.switched_on", "agency.switched_off"}, slices.DeleteFunc(v.events(v.agency), func(e string) bool { return e[:7] != "agency." }))
	must[service.AccountView](t)(v.SwitchAgencyOn(ctx, v.gil, v.agency))
	must[agency.Profile](t)(v.ask(v.bob))
	v.audit(t)
}

// Either the request came first, and the hub stays on, or the hub is off, and
// the request is refused.
func TestHubOffAgainstARequest(t *testing.T) {
	h := newHub(t)
	for round := range raceRounds {
		w := h.world(fmt.Sprintf("-%d", round))
		must[service.AccountView](t)(w.CloseAccount(t.Context(), as(w.gil, w.agency), w.owned))
		must[service.Outcome](t)(w.SweepAccount(t.Context(), w.owned))
		h.AfterBatch = nil
		if round%2 == 0 {
			h.AfterBatch = meet(2)
		}
		var wg sync.WaitGroup
		codes := make([]agency.Code, 2)
		contenders := []func() error{
			func() error { return second(w.SwitchAgencyOff(t.Context(), w.gil, w.agency)) },
			func() error { return second(w.request()) },
		}
		for i := range contenders {
			i = (i + round/2) % 2
			wg.Go(func() { codes[i] = agency.CodeOf(contenders[i]()) })
		}
		wg.Wait()
		h.AfterBatch = nil
		if !slices.Equal(codes, []agency.Code{"", agency.Conflict}) && !slices.Equal(codes, []agency.Code{agency.HasClients, ""}) {
			t.Errorf("%q", codes)
		}
	}
	h.audit(t)
}

// addressed are the items of a table in which an address stands.
func (h *hub) addressed(t *testing.T, a agency.Actor) (out []string) {
	t.Helper()
	for k, i := range testbed.Items(t, h.db, h.name) {
		if text := k + plain(i); strings.Contains(text, a.Email) || strings.Contains(text, a.Subject) {
			out = append(out, k)
		}
	}
	slices.Sort(out)
	return out
}

func TestEraseAPerson(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	x := w.eve
	// Of everything: an owner beside another, an admin, one who has left, who was
	// removed, the client of an owned account, one who was asked, one who denied.
	w.let(w.ann, w.client, x, agency.Owner)
	w.let(w.gil, w.agency, x, agency.Member)
	v := w.world("-v")
	v.let(v.ann, v.client, x, agency.Member)
	v.let(v.gil, v.agency, x, agency.Admin)
	must[agency.Person](t)(w.Me(ctx, x))
	must[agency.Profile](t)(w.RemoveMember(ctx, as(x), v.client, agency.Party(x.ID()), false))
	must[agency.Profile](t)(w.RemoveMember(ctx, as(v.gil), v.agency, agency.Party(x.ID()), false))
	if _, _, err := w.InvitePerson(ctx, as(w.gil, w.agency), w.owned, service.Invitation{Email: x.Email, Role: agency.Member, Areas: viewPages}); err != nil {
		t.Fatal(err)
	}
	must[agency.Person](t)(w.Me(ctx, x))
	must[agency.Profile](t)(w.ask(x))
	must[agency.Profile](t)(v.ask(x))
	must[agency.Profile](t)(w.DenyRequestByID(ctx, x, v.byMail(x), true))

	w.TakeCalls()
	if err := w.EraseMe(ctx, x); err != nil {
		t.Fatal(err)
	}
	diff(t, "transactions", 1, w.TakeCalls()["TransactWriteItems"])
	before := testbed.Items(t, w.db, w.name)
	if err := w.EraseMe(ctx, x); err != nil {
		t.Error(err)
	}
	// Access is refused at once, on every path.
	for _, id := range []agency.AccountID{w.client, w.agency, w.owned, v.client} {
		for _, c := range []agency.Caller{as(x), as(x, w.agency)} {
			if got := w.access(c, id); got.Allowed || got.Reason != agency.NoProfile || got.Ownership != "" {
				t.Errorf("%+v", got)
			}
			if _, err := w.GetAccount(ctx, c, id); agency.CodeOf(err) != agency.NotFound {
				t.Errorf("%v", err)
			}
		}
	}
	for name, err := range map[string]error{
		"rename":      second(w.RenameAccount(ctx, as(x), w.client, "Mine")),
		"accept into": second(w.into(x, w.client, 1)),
		"see":         second(w.GetRequest(ctx, x, w.byMail(x))),
		"deny":        second(w.DenyRequestByID(ctx, x, w.byMail(x), false)),
	} {
		if agency.CodeOf(err) != agency.NotFound {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := w.OpenAccount(ctx, x, key16(1), "New"); agency.CodeOf(err) != agency.Conflict {
		t.Errorf("%v", err)
	}
	diff(t, "accounts", 0, len(must[service.List[service.AccountView]](t)(w.MyAccounts(ctx, x, service.Page{Limit: 10})).Items))
	testbed.SameItems(t, before, testbed.Items(t, w.db, w.name))

	runs := 0
	for must[service.Outcome](t)(w.SweepPerson(ctx, x.ID())) == service.OutcomeErased && runs < 10 {
		runs++
		// The last trace goes a while after nothing was left to do.
		w.advance(5 * time.Minute)
	}
	diff(t, "runs", true, runs < 10)
	// The requests that agencies addressed to it are theirs, and reach nobody.
	asked := []string{"PERSON#" + string(x.ID()) + " TEAM#" + string(w.agency), "PERSON#" + string(x.ID()) + " TEAM#" + string(v.agency)}
	slices.Sort(asked)
	diff(t, "where the address stands", asked, w.addressed(t, x))
	diff(t, "counts", service.Counts{Owned: 1, Pending: 1}, w.counts())
	diff(t, "owners", 1, w.owners(w.client))
	w.collected = true
	w.audit(t)

	// Back again they are somebody new.
	must[service.AccountView](t)(w.OpenAccount(ctx, x, key16(1), "New"))
	w.let(w.ann, w.client, x, agency.Member)
	diff(t, "access", agency.ViaOwn, w.access(as(x), w.client).Via)
	w.audit(t)
}

func TestALastOwnerStays(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	shop := w.opened(w.ann, 5, "Shop")
	w.let(w.ann, shop, w.bob, agency.Owner)
	before := testbed.Items(t, w.db, w.name)
	other := w.opened(w.bob, 6, "Bob's")
	err := w.EraseMe(ctx, w.ann)
	refusal, ok := errors.AsType[*agency.Error](err)
	if !ok || refusal.Code != agency.LastOwner || len(refusal.Fields) != 1 || refusal.Fields[0].Field != string(w.client) {
		t.Errorf("%+v", err)
	}
	if err := w.EraseMe(ctx, impostor(w.mem)); agency.CodeOf(err) != agency.IdentityChanged {
		t.Errorf("another identity: %v", err)
	}
	for k, i := range testbed.Items(t, w.db, w.name) {
		if testbed.Str(i["erasing"]) != "" || before[k] == nil && !strings.Contains(k, string(other)) {
			t.Errorf("%s was written", k)
		}
	}
	// An account that is closed needs no owner.
	if err := w.close(as(w.ann), w.client); err != nil {
		t.Fatal(err)
	}
	if err := w.EraseMe(ctx, w.ann); err != nil {
		t.Fatal(err)
	}
	// Here the erasing comes before the closing's own work.
	for range 4 {
		if _, err := w.SweepPerson(ctx, w.ann.ID()); err != nil {
			t.Fatal(err)
		}
	}
	diff(t, "where the address stands", 0, len(w.addressed(t, w.ann)))
	diff(t, "owners", 1, w.owners(shop))
	for range 3 {
		must[service.Outcome](t)(w.SweepAccount(ctx, w.client))
	}
	diff(t, "owners of what is closed", 0, w.owners(w.client))
	w.collected = true
	w.audit(t)
}

// Who is being erased owns nothing any more, from the first moment: so nobody can
// leave an account to them, and two owners can't both be erased.
func TestWhoIsErasedOwnsNothing(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.let(w.ann, w.client, w.bob, agency.Owner)
	shop := w.opened(w.ann, 5, "Shop")
	w.let(w.ann, shop, w.bob, agency.Owner)
	if err := w.EraseMe(ctx, w.ann); err != nil {
		t.Fatal(err)
	}
	for _, id := range []agency.AccountID{w.client, shop} {
		diff(t, "owners", 1, w.owners(id))
		diff(t, "her profile", agency.Ended, w.profile(agency.PersonAt(id, w.ann.ID())).Status)
		for name, err := range map[string]error{
			"leaving":  second(w.RemoveMember(ctx, as(w.bob), id, agency.Party(w.bob.ID()), false)),
			"demoting": second(w.ChangeMember(ctx, as(w.bob), id, agency.Party(w.bob.ID()), service.MemberChange{Role: agency.Admin})),
			"erasing":  w.EraseMe(ctx, w.bob),
		} {
			if agency.CodeOf(err) != agency.LastOwner {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	w.audit(t)

	// And nobody makes them an owner anew.
	if err := w.EraseMe(ctx, w.mem); err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"inviting": third(w.InvitePerson(ctx, as(w.bob), w.client, service.Invitation{Email: w.ann.Email, Role: agency.Owner})),
		"changing": second(w.ChangeMember(ctx, as(w.bob), w.client, agency.Party(w.mem.ID()), service.MemberChange{Role: agency.Owner})),
	} {
		if agency.CodeOf(err) != agency.Conflict {
			t.Errorf("%s: %v", name, err)
		}
	}

	// Two at once: one of them stays.
	v := w.world("-v")
	v.let(v.ann, v.client, v.bob, agency.Owner)
	errs := make(chan error, 2)
	for _, who := range []agency.Actor{v.ann, v.bob} {
		go func() { errs <- v.EraseMe(ctx, who) }()
	}
	one, two := agency.CodeOf(<-errs), agency.CodeOf(<-errs)
	if one != "" && two != "" || one != agency.LastOwner && two != agency.LastOwner {
		t.Errorf("%q and %q", one, two)
	}
	diff(t, "owners", 1, v.owners(v.client))
	w.audit(t)
}

// An erasing that comes upon a last owner all the same, as where somebody owns
// more accounts than one transaction ends, stops there and names the account;
// everything else of theirs is ended.
func TestErasingStopsAtALastOwner(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.let(w.gil, w.agency, w.ann, agency.Admin)
	w.strand()
	for range 3 {
		done, err := w.SweepPerson(ctx, w.ann.ID())
		refusal, ok := errors.AsType[*agency.Error](err)
		if done != service.OutcomeNone || !ok || refusal.Code != agency.LastOwner || len(refusal.Fields) != 1 || refusal.Fields[0].Field != string(w.client) {
			t.Errorf("%q, %+v", done, err)
		}
		// It rests for an hour.
		if done, err := w.SweepPerson(ctx, w.ann.ID()); done != service.OutcomeNone || err != nil {
			t.Errorf("at once again: %q, %v", done, err)
		}
		w.advance(time.Hour)
	}
	diff(t, "owners", 1, w.owners(w.client))
	diff(t, "in the agency", agency.Ended, w.profile(agency.PersonAt(w.agency, w.ann.ID())).Status)
	diff(t, "where the address stands", []string{
		"ACCT#" + string(w.client) + " TEAM#" + string(w.ann.ID()),
	}, w.addressed(t, w.ann))
	w.collected = true
	w.audit(t)
}

// An invitation that comes while the last of a person is erased is not lost with
// it: it is ended too, and their account of teams is right.
func TestInvitedWhileBeingErased(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	if err := w.EraseMe(ctx, w.eve); err != nil {
		t.Fatal(err)
	}
	once := sync.Once{}
	w.BeforeBatch = func(in *dynamodb.BatchGetItemInput) error {
		// The lists have been read, and were empty: the last command begins.
		if n := w.Calls("Query"); n >= 2 && len(in.RequestItems[w.name].Keys) == 1 {
			once.Do(func() { w.BeforeBatch = nil; w.let(w.ann, w.client, w.eve, agency.Member) })
		}
		return nil
	}
	w.TakeCalls()
	for range 5 {
		must[service.Outcome](t)(w.SweepPerson(ctx, w.eve.ID()))
		w.advance(5 * time.Minute)
	}
	diff(t, "invited, and ended", agency.Ended, w.profile(agency.PersonAt(w.client, w.eve.ID())).Status)
	diff(t, "where the address stands", 0, len(w.addressed(t, w.eve)))
	w.collected = true
	w.audit(t)
}

// A rename reaches the copies: the client's name in the agencies' lists and in
// its members' own, the agency's name in its clients'.
func TestNamesAreCarried(t *testing.T) {
	w := newWorld(t).connected()
	ctx := t.Context()
	w.carrying = true
	v := w.world("-v")
	v.client = w.client
	must[agency.Profile](t)(v.RequestConnection(ctx, v.gil, v.agency, service.ConnectionRequest{Account: w.client, Areas: viewPages}))
	must[agency.Profile](t)(w.AcceptRequest(ctx, as(w.ann), w.client, v.agency, service.Grant{Request: 1}))
	must[agency.Profile](t)(v.LeaveAccount(ctx, v.gil, v.agency, agency.NewConnectionID(agency.Party(w.client), v.agency)))
	must[agency.Profile](t)(w.RequestConnection(ctx, w.gil, w.agency, service.ConnectionRequest{Account: v.agency, Areas: viewPages}))
	must[agency.Profile](t)(w.ask(w.eve))
	for n := range 60 {
		w.let(w.ann, w.client, actor(fmt.Sprintf("m%02d", n)), agency.Member)
		if n < 30 {
			must[agency.Profile](t)(w.RequestConnection(ctx, w.gil, w.agency, service.ConnectionRequest{Account: w.opened(actor(fmt.Sprint("more", n)), 1, "More"), Areas: viewPages}))
		}
	}
	events := w.events(w.client)
	names := func() map[string]int {
		out := map[string]int{}
		for _, i := range testbed.Items(t, w.db, w.name) {
			if strings.HasPrefix(testbed.Str(i["sk"]), "TEAM#") && (testbed.Str(i["pk"]) == "ACCT#"+string(w.client) || testbed.Str(i["sk"]) == "TEAM#"+string(w.agency)) {
				out[fmt.Sprintf("%s in %s, %s", testbed.Str(i["name"]), testbed.Str(i["accountName"]), testbed.Str(i["status"]))]++
			}
		}
		return out
	}
	must[service.AccountView](t)(w.RenameAccount(ctx, as(w.ann), w.client, "Zeta"))
	must[service.AccountView](t)(w.RenameAccount(ctx, as(w.gil), w.agency, "Better"))
	diff(t, "before", map[string]int{"Agency in Client, active": 1, "Agency in Owned, active": 1, "Agency-v in Client, left": 1, "Agency in , pending": 32, " in Client, active": 63}, names())
	for range 2 {
		for _, id := range []agency.AccountID{w.client, w.agency} {
			if err := w.RefreshCopies(ctx, id); err != nil {
				t.Fatal(err)
			}
		}
		// What has ended keeps the account's name as it was last known.
		diff(t, "after", map[string]int{"Better in Zeta, active": 1, "Better in Owned, active": 1, "Agency-v in Client, left": 1, "Better in , pending": 32, " in Zeta, active": 63}, names())
	}
	list, _, err := w.Clients(ctx, w.gil, w.agency, service.ClientFilter{Status: agency.Active, Prefix: "zet"}, service.Page{Limit: 5})
	if err != nil || len(list.Items) != 1 {
		t.Errorf("%+v, %v", list, err)
	}
	w.TakeCalls()
	before := testbed.Items(t, w.db, w.name)
	if err := w.RefreshCopies(ctx, w.client); err != nil {
		t.Fatal(err)
	}
	if n := w.TakeCalls()["TransactWriteItems"]; n != 0 {
		t.Errorf("%d transactions to change nothing", n)
	}
	testbed.SameItems(t, before, testbed.Items(t, w.db, w.name))
	diff(t, "events", append(events, "account.renamed"), w.events(w.client))
	w.audit(t)

	// Nothing is carried from an account that is no more.
	must[service.AccountView](t)(v.CloseAccount(ctx, as(v.gil, v.agency), v.owned))
	must[service.Outcome](t)(v.SweepAccount(ctx, v.owned))
	must[service.AccountView](t)(v.SwitchAgencyOff(ctx, v.gil, v.agency))
	must[service.AccountView](t)(v.CloseAccount(ctx, as(v.gil), v.agency))
	w.advance(90 * day)
	w.collected = true
	for range 8 {
		must[service.Outcome](t)(v.SweepAccount(ctx, v.agency))
	}
	before = testbed.Items(t, w.db, w.name)
	if err := w.RefreshCopies(ctx, v.agency); err != nil {
		t.Fatal(err)
	}
	testbed.SameItems(t, before, testbed.Items(t, w.db, w.name))
}
