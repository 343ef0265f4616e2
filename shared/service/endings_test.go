package service_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"agencyhub/shared/agency"
	"agencyhub/shared/service"
	"agencyhub/shared/testbed"
)

// countByStatus counts the members of an account by status.
func (f *fixture) countByStatus(id agency.AccountID) map[agency.Status]int {
	f.t.Helper()
	out := map[agency.Status]int{}
	all, _ := testbed.Pages(f.t, 100, func(p service.Page) (service.List[agency.Profile], error) {
		return f.store.Team(f.t.Context(), agency.Party(id), p)
	})
	for _, p := range all {
		out[p.Status]++
	}
	return out
}

func (w *world) close(c agency.Caller, id agency.AccountID) error {
	return second(w.CloseAccount(w.t.Context(), c, id))
}

func TestCloseAnAccount(t *testing.T) {
	w := newWorld(t).connected()
	ctx := t.Context()
	v := w.world("-v")
	must[agency.Profile](t)(v.RequestConnection(ctx, v.gil, v.agency, service.ConnectionRequest{Account: w.client, Areas: viewPages}))
	must[agency.Profile](t)(w.requestByEmail(w.ann))
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
		refused(t, name, tt.code, tt.err)
	}
	w.TakeCalls()
	view := must[service.AccountView](t)(w.CloseAccount(ctx, as(w.ann), w.client))
	diff(t, "calls", map[string]int{"BatchGetItem": 1, "TransactWriteItems": 1}, w.TakeCalls())
	if !view.Closed.Equal(noon) || view.Access.Allowed || view.Access.Reason != agency.HasClosed {
		t.Errorf("%+v", view)
	}

	checkClosed(t, w, v)

	// Each member ends in a transaction of its own; then nothing is left to do.
	w.TakeCalls()
	diff(t, "first", service.OutcomeEnded, must[service.Outcome](t)(w.SweepAccount(ctx, w.client)))
	diff(t, "transactions", 5, w.TakeCalls()["TransactWriteItems"])
	diff(t, "rows", map[agency.Status]int{agency.Ended: 4, agency.Expired: 1}, w.countByStatus(w.client))
	diff(t, "counts", service.Counts{Owned: 1, Pending: 1}, w.counts())
	diff(t, "the other agency's", service.Counts{Owned: 1}, v.counts())
	diff(t, "second", service.OutcomeEnded, must[service.Outcome](t)(w.SweepAccount(ctx, w.client)))
	w.TakeCalls()
	diff(t, "third", service.OutcomeNone, must[service.Outcome](t)(w.SweepAccount(ctx, w.client)))
	diff(t, "calls", map[string]int{"BatchGetItem": 1}, w.TakeCalls())
	diff(t, "owners", 0, w.account(w.client).Owners)
	happened := w.events(w.client)[7:]
	slices.Sort(happened[2:])
	diff(t, "events", []string{"connection.requested", "account.closed", "connection.ended", "connection.expired", "person.ended", "person.ended", "person.ended"}, happened)
	w.audit(t)

	// After the retention only the events are left, for 2 years.
	w.collected = true
	w.advance(90*day - time.Millisecond)
	must[service.Outcome](t)(w.SweepAccount(ctx, w.client))
	diff(t, "rows", map[agency.Status]int{agency.Ended: 4, agency.Expired: 1}, w.countByStatus(w.client))
	w.advance(time.Millisecond)
	for range 3 {
		must[service.Outcome](t)(w.SweepAccount(ctx, w.client))
	}
	for k, i := range w.items() {
		if strings.HasPrefix(k, "ACCT#"+string(w.client)+" ") && !strings.Contains(k, " EVENT#") {
			t.Errorf("%s is left: %s", k, plain(i))
		}
	}
	diff(t, "gone", agency.NoProfile, w.access(as(w.ann), w.client).Reason)
	w.audit(t)
}

// checkClosed checks that nobody has access to a closed account, and that no command changes it. The
// agency of v has a request there.
func checkClosed(t *testing.T, w, v *world) {
	t.Helper()
	ctx := t.Context()
	before := w.items()
	for _, c := range []agency.Caller{as(w.ann), as(w.bob), as(w.mem), as(w.gil, w.agency)} {
		if got := w.access(c, w.client); got.Allowed || got.Reason != agency.HasClosed {
			t.Errorf("%s: %+v", c.Email, got)
		}
	}
	diff(t, "a stranger", agency.NoProfile, w.access(as(w.eve), w.client).Reason)
	diff(t, "an agency's member, without as", agency.NoProfile, w.access(as(w.gem), w.client).Reason)
	for name, err := range map[string]error{
		"see":           second(w.GetAccount(ctx, as(w.ann), w.client)),
		"rename":        second(w.RenameAccount(ctx, as(w.ann), w.client, "New")),
		"hub on":        second(w.SwitchAgencyOn(ctx, w.ann, w.client)),
		"hub off":       second(w.SwitchAgencyOff(ctx, w.ann, w.client)),
		"close":         w.close(as(w.ann), w.client),
		"invite":        third(w.InvitePerson(ctx, as(w.ann), w.client, service.Invitation{Email: w.eve.Email, Role: agency.Admin})),
		"change":        second(w.ChangeMember(ctx, as(w.ann), w.client, party(w.mem), service.MemberChange{Role: agency.Admin})),
		"remove":        second(w.RemoveMember(ctx, as(w.ann), w.client, party(w.mem), false)),
		"leave":         second(w.RemoveMember(ctx, as(w.mem), w.client, party(w.mem), false)),
		"revoke":        second(w.revoke()),
		"accept":        second(w.AcceptRequest(ctx, as(w.ann), w.client, v.agency, service.Grant{Request: 1})),
		"accept into":   second(w.acceptInto(w.ann, w.client, 1)),
		"decline":       second(w.declineAt(as(w.ann), w.client, v.agency, true)),
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
	testbed.SameItems(t, before, w.items())
}

func TestCloseAnOwnedAccount(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	refused(t, "an admin of the agency", agency.Forbidden, w.close(as(w.gus, w.agency), w.owned))
	view := must[service.AccountView](t)(w.CloseAccount(ctx, as(w.gil, w.agency), w.owned))
	if view.Access.Allowed || view.Ownership != agency.AgencyOwned {
		t.Errorf("%+v", view)
	}
	for _, c := range []agency.Caller{as(w.gil, w.agency), as(w.olga)} {
		if got := w.access(c, w.owned); got.Allowed || got.Reason != agency.HasClosed {
			t.Errorf("%+v", got)
		}
	}
	diff(t, "without as", agency.NoProfile, w.access(as(w.gem), w.owned).Reason)
	must[service.Outcome](t)(w.SweepAccount(ctx, w.owned))
	diff(t, "rows", map[agency.Status]int{agency.Ended: 2}, w.countByStatus(w.owned))
	diff(t, "counts", service.Counts{}, w.counts())
	diff(t, "ended", 1, len(w.clients(w.gil, service.ClientFilter{Status: agency.Ended})))
	for _, e := range must[service.List[agency.Event]](t)(w.store.Activity(ctx, agency.Party(w.owned), "", service.Page{Limit: 10})).Items {
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

// A sweep ends 25 members of a large account, each in a transaction of its own. Members that ended
// before may be anywhere in the list.
func TestALargeAccountEndsInPages(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	const more = 60
	for n := range more {
		who := actor(fmt.Sprintf("m%02d", n))
		w.mustInvite(w.ann, w.client, who, agency.Member)
		if n%3 == 0 {
			must[agency.Profile](t)(w.RemoveMember(ctx, as(w.ann), w.client, party(who), false))
		}
	}
	noError(t, w.close(as(w.ann), w.client))
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
		return w.checkWrite(in)
	}
	active := more - more/3 + 3
	for active > 0 {
		active = max(0, active-25)
		diff(t, "did", service.OutcomeEnded, must[service.Outcome](t)(w.SweepAccount(ctx, w.client)))
		diff(t, "left", active, w.countByStatus(w.client)[agency.Active])
	}
	diff(t, "did", service.OutcomeEnded, must[service.Outcome](t)(w.SweepAccount(ctx, w.client)))
	diff(t, "did", service.OutcomeNone, must[service.Outcome](t)(w.SweepAccount(ctx, w.client)))
	diff(t, "owners", 0, w.account(w.client).Owners)
	w.audit(t)
}

// A failure in the middle leaves the rest to the next sweep.
func TestClosingGoesOnAfterAFailure(t *testing.T) {
	w := newWorld(t).connected()
	ctx := t.Context()
	noError(t, w.close(as(w.ann), w.client))
	n := 0
	broken := errors.New("the store is down")
	w.BeforeWrite = func(in *dynamodb.TransactWriteItemsInput) error {
		if n++; n > 2 {
			return broken
		}
		return w.checkWrite(in)
	}
	if _, err := w.SweepAccount(ctx, w.client); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
	w.BeforeWrite = w.checkWrite
	diff(t, "rows", map[agency.Status]int{agency.Active: 2, agency.Ended: 2}, w.countByStatus(w.client))
	diff(t, "did", service.OutcomeEnded, must[service.Outcome](t)(w.SweepAccount(ctx, w.client)))
	diff(t, "rows", map[agency.Status]int{agency.Ended: 4}, w.countByStatus(w.client))
	w.audit(t)
}

func TestSwitchAgencyOff(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	v := w.world("-v")
	off := func(x *world) error { return second(x.SwitchAgencyOff(ctx, x.gil, x.agency)) }
	must[service.AccountView](t)(v.CloseAccount(ctx, as(v.gil, v.agency), v.owned))
	w.refusedFor(t, "with an owned account", agency.HasClients, 0, func() error { return off(w) })
	w.refusedFor(t, "while that is being closed", agency.HasClients, 0, func() error { return off(v) })
	must[service.Outcome](t)(v.SweepAccount(ctx, v.owned))
	must[agency.Profile](t)(v.requestByEmail(v.ann))
	v.refusedFor(t, "with an open request", agency.HasClients, 0, func() error { return off(v) })
	must[agency.Profile](t)(v.acceptInto(v.ann, v.client, 1))
	v.refusedFor(t, "with a connection", agency.HasClients, 0, func() error { return off(v) })
	must[agency.Profile](t)(v.LeaveAccount(ctx, v.gil, v.agency, agency.NewConnectionID(agency.Party(v.client), v.agency)))
	refused(t, "an admin", agency.Forbidden, second(v.SwitchAgencyOff(ctx, v.gus, v.agency)))
	refused(t, "a member", agency.Forbidden, second(v.SwitchAgencyOff(ctx, v.gem, v.agency)))
	refused(t, "a stranger", agency.NotFound, second(v.SwitchAgencyOff(ctx, v.eve, v.agency)))
	v.TakeCalls()
	noError(t, off(v))
	diff(t, "calls", map[string]int{"BatchGetItem": 1, "TransactWriteItems": 1}, v.TakeCalls())
	before := v.items()
	if err := off(v); err != nil {
		t.Error(err)
	}
	testbed.SameItems(t, before, v.items())
	refused(t, "asked by what is no agency", agency.Conflict, second(v.requestByEmail(v.bob)))
	diff(t, "events", []string{"agency.switched_on", "agency.switched_off"}, slices.DeleteFunc(v.events(v.agency), func(e string) bool { return e[:7] != "agency." }))
	must[service.AccountView](t)(v.SwitchAgencyOn(ctx, v.gil, v.agency))
	must[agency.Profile](t)(v.requestByEmail(v.bob))
	v.audit(t)
}

// Either the request came first and the agency stays on, or the agency is off and the request is
// refused.
func TestAgencyOffAgainstARequest(t *testing.T) {
	race(t, func(w *world) *world {
		must[service.AccountView](t)(w.CloseAccount(t.Context(), as(w.gil, w.agency), w.owned))
		must[service.Outcome](t)(w.SweepAccount(t.Context(), w.owned))
		return w
	}, []func(*world) error{
		func(w *world) error { return second(w.SwitchAgencyOff(w.t.Context(), w.gil, w.agency)) },
		func(w *world) error { return second(w.request()) },
	}, func(t *testing.T, _ *world, codes []agency.Code, _ []string) {
		t.Helper()
		if !slices.Equal(codes, []agency.Code{"", agency.Conflict}) && !slices.Equal(codes, []agency.Code{agency.HasClients, ""}) {
			t.Errorf("%q", codes)
		}
	})
}

// itemsWith returns the keys of the items that contain a person's address or subject.
func (f *fixture) itemsWith(t *testing.T, a agency.Actor) (out []string) {
	t.Helper()
	for k, i := range f.items() {
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
	// An owner beside another, an admin, one who left, one who was removed, the client of an
	// agency-owned account, one with a request, and one who declined.
	w.mustInvite(w.ann, w.client, x, agency.Owner)
	w.mustInvite(w.gil, w.agency, x, agency.Member)
	v := w.world("-v")
	v.mustInvite(v.ann, v.client, x, agency.Member)
	v.mustInvite(v.gil, v.agency, x, agency.Admin)
	must[agency.Profile](t)(w.RemoveMember(ctx, as(x), v.client, party(x), false))
	must[agency.Profile](t)(w.RemoveMember(ctx, as(v.gil), v.agency, party(x), false))
	must[agency.Profile](t)(w.inviteClient(x))
	w.mustAccept(x, w.owned)
	shop := w.mustOpen(w.ann, 7, "Shop")
	must[agency.Profile](t)(w.invite(w.ann, shop, x, agency.Admin))
	must[agency.Profile](t)(w.requestByEmail(x))
	must[agency.Profile](t)(v.requestByEmail(x))
	must[agency.Profile](t)(w.declineByID(x, v.emailConnection(x), true))

	w.TakeCalls()
	noError(t, w.EraseMe(ctx, x))
	diff(t, "transactions", 1, w.TakeCalls()["TransactWriteItems"])
	before := w.items()
	if err := w.EraseMe(ctx, x); err != nil {
		t.Error(err)
	}
	// Access is refused immediately, on every path.
	for _, id := range []agency.AccountID{w.client, w.agency, w.owned, v.client} {
		for _, c := range []agency.Caller{as(x), as(x, w.agency)} {
			if got := w.access(c, id); got.Allowed || got.Reason != agency.NoProfile || got.Ownership != "" {
				t.Errorf("%+v", got)
			}
			refused(t, "an account seen by who is erased", agency.NotFound, second(w.GetAccount(ctx, c, id)))
		}
	}
	allRefused(t, agency.NotFound, map[string]error{
		"rename":      second(w.RenameAccount(ctx, as(x), w.client, "Mine")),
		"accept into": second(w.acceptInto(x, w.client, 1)),
		"see":         second(w.GetRequest(ctx, x, w.emailConnection(x))),
		"decline":     second(w.declineByID(x, w.emailConnection(x), false)),
	})
	refused(t, "an account opened by who is erased", agency.Conflict, second(w.OpenAccount(ctx, x, idempotencyKey(1), "New")))
	diff(t, "accounts", 0, len(must[service.List[service.AccountView]](t)(w.MyAccounts(ctx, x, service.Page{Limit: 10})).Items))
	testbed.SameItems(t, before, w.items())

	runs := 0
	for must[service.Outcome](t)(w.SweepPerson(ctx, x.ID())) == service.OutcomeErased && runs < 10 {
		runs++
		// The person's own item is erased some time after everything else.
		w.advance(5 * time.Minute)
	}
	diff(t, "runs", true, runs < 10)
	// The requests that agencies addressed to the person remain theirs.
	asked := []string{
		"PERSON#" + string(x.ID()) + " TEAM#" + string(w.agency), "PERSON#" + string(x.ID()) + " TEAM#" + string(v.agency),
		"ACCT#" + string(shop) + " TEAM#" + string(x.ID()),
	}
	slices.Sort(asked)
	diff(t, "where the address stands", asked, w.itemsWith(t, x))
	diff(t, "counts", service.Counts{Owned: 1, Pending: 1}, w.counts())
	diff(t, "owners", 1, w.account(w.client).Owners)
	w.collected = true
	w.audit(t)

	// The same address is a new person, and the earlier invitation does not reach them.
	diff(t, "muted", true, w.profile(agency.PersonAt(shop, x.ID())).Request.Muted)
	refused(t, "an invitation to who was erased", agency.NotFound, second(w.acceptInvitation(x, shop)))
	must[service.AccountView](t)(w.OpenAccount(ctx, x, idempotencyKey(1), "New"))
	w.mustInvite(w.ann, w.client, x, agency.Member)
	diff(t, "access", agency.ViaOwn, w.access(as(x), w.client).Via)
	w.audit(t)
}

func TestALastOwnerStays(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	shop := w.mustOpen(w.ann, 5, "Shop")
	w.mustInvite(w.ann, shop, w.bob, agency.Owner)
	before := w.items()
	err := w.EraseMe(ctx, w.ann)
	refusal, ok := errors.AsType[*agency.Error](err)
	if !ok || refusal.Code != agency.LastOwner || len(refusal.Fields) != 1 || refusal.Fields[0].Field != string(w.client) {
		t.Errorf("%+v", err)
	}
	refused(t, "another identity", agency.IdentityChanged, w.EraseMe(ctx, impostor(w.mem)))
	for k, i := range w.items() {
		if testbed.Str(i["erasing"]) != "" || before[k] == nil {
			t.Errorf("%s was written", k)
		}
	}
	// A closed account needs no owner.
	noError(t, w.close(as(w.ann), w.client))
	noError(t, w.EraseMe(ctx, w.ann))
	// Here erasing runs before the sweep of the closed account.
	for range 4 {
		if _, err := w.SweepPerson(ctx, w.ann.ID()); err != nil {
			t.Fatal(err)
		}
	}
	diff(t, "where the address stands", 0, len(w.itemsWith(t, w.ann)))
	diff(t, "owners", 1, w.account(shop).Owners)
	for range 3 {
		must[service.Outcome](t)(w.SweepAccount(ctx, w.client))
	}
	diff(t, "owners of what is closed", 0, w.account(w.client).Owners)
	w.collected = true
	w.audit(t)
}

// A person who is being erased owns nothing from the first moment. So nobody can leave an account
// to them, and two owners can't both be erased.
func TestWhoIsErasedOwnsNothing(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.mustInvite(w.ann, w.client, w.bob, agency.Owner)
	shop := w.mustOpen(w.ann, 5, "Shop")
	w.mustInvite(w.ann, shop, w.bob, agency.Owner)
	noError(t, w.EraseMe(ctx, w.ann))
	for _, id := range []agency.AccountID{w.client, shop} {
		diff(t, "owners", 1, w.account(id).Owners)
		diff(t, "her profile", agency.Ended, w.profile(agency.PersonAt(id, w.ann.ID())).Status)
		allRefused(t, agency.LastOwner, map[string]error{
			"leaving":  second(w.RemoveMember(ctx, as(w.bob), id, party(w.bob), false)),
			"demoting": second(w.ChangeMember(ctx, as(w.bob), id, party(w.bob), service.MemberChange{Role: agency.Admin})),
			"erasing":  w.EraseMe(ctx, w.bob),
		})
	}
	w.audit(t)

	// Nor does anybody make them an owner again: they can't accept.
	noError(t, w.EraseMe(ctx, w.mem))
	must[agency.Profile](t)(w.invite(w.bob, w.client, w.ann, agency.Owner))
	must[agency.Profile](t)(w.ChangeMember(ctx, as(w.bob), w.client, party(w.mem), service.MemberChange{Role: agency.Owner}))
	allRefused(t, agency.NotFound, map[string]error{
		"an invitation": second(w.acceptInvitation(w.ann, w.client)),
		"an offer":      second(w.acceptInvitation(w.mem, w.client)),
	})

	// Of two at the same time one stays.
	v := w.world("-v")
	v.mustInvite(v.ann, v.client, v.bob, agency.Owner)
	errs := make(chan error, 2)
	for _, who := range []agency.Actor{v.ann, v.bob} {
		go func() { errs <- v.EraseMe(ctx, who) }()
	}
	one, two := agency.CodeOf(<-errs), agency.CodeOf(<-errs)
	if one != "" && two != "" || one != agency.LastOwner && two != agency.LastOwner {
		t.Errorf("%q and %q", one, two)
	}
	diff(t, "owners", 1, v.account(v.client).Owners)
	w.audit(t)
}

// Erasing stops at a last owner and names the account, for example when a person owns more accounts
// than one transaction ends. Everything else of the person is ended.
func TestErasingStopsAtALastOwner(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.mustInvite(w.gil, w.agency, w.ann, agency.Admin)
	w.eraseLastOwner()
	for range 3 {
		done, err := w.SweepPerson(ctx, w.ann.ID())
		refusal, ok := errors.AsType[*agency.Error](err)
		if done != service.OutcomeNone || !ok || refusal.Code != agency.LastOwner || len(refusal.Fields) != 1 || refusal.Fields[0].Field != string(w.client) {
			t.Errorf("%q, %+v", done, err)
		}
		// It is retried after an hour.
		if done, err := w.SweepPerson(ctx, w.ann.ID()); done != service.OutcomeNone || err != nil {
			t.Errorf("at once again: %q, %v", done, err)
		}
		w.advance(time.Hour)
	}
	diff(t, "owners", 1, w.account(w.client).Owners)
	diff(t, "in the agency", agency.Ended, w.profile(agency.PersonAt(w.agency, w.ann.ID())).Status)
	diff(t, "where the address stands", []string{
		"ACCT#" + string(w.client) + " TEAM#" + string(w.ann.ID()),
	}, w.itemsWith(t, w.ann))
	w.collected = true
	w.audit(t)
}

// An invitation that arrives while a person is erased is muted, and nobody can tell.
func TestInvitedWhileBeingErased(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	noError(t, w.EraseMe(ctx, w.eve))
	p := must[agency.Profile](t)(w.invite(w.ann, w.client, w.eve, agency.Member))
	diff(t, "status", agency.Invited, p.Status)
	refused(t, "accepting", agency.NotFound, second(w.acceptInvitation(w.eve, w.client)))
	for range 5 {
		must[service.Outcome](t)(w.SweepPerson(ctx, w.eve.ID()))
		w.advance(5 * time.Minute)
	}
	now := w.profile(agency.PersonAt(w.client, w.eve.ID()))
	diff(t, "muted", true, now.Request.Muted)
	diff(t, "as its asker sees it", agency.Invited, now.Status)
	diff(t, "waiting", 0, len(w.waiting(w.eve)))
	w.collected = true
	w.audit(t)
}

// A rename reaches the copies: the client's name in the agencies' lists and in its members' own,
// the agency's name in its clients'.
func TestNamesAreCopied(t *testing.T) {
	w := newWorld(t).connected()
	ctx := t.Context()
	w.longWrites = true
	v := w.world("-v")
	v.client = w.client
	must[agency.Profile](t)(v.RequestConnection(ctx, v.gil, v.agency, service.ConnectionRequest{Account: w.client, Areas: viewPages}))
	must[agency.Profile](t)(w.AcceptRequest(ctx, as(w.ann), w.client, v.agency, service.Grant{Request: 1}))
	must[agency.Profile](t)(v.LeaveAccount(ctx, v.gil, v.agency, agency.NewConnectionID(agency.Party(w.client), v.agency)))
	must[agency.Profile](t)(w.RequestConnection(ctx, w.gil, w.agency, service.ConnectionRequest{Account: v.agency, Areas: viewPages}))
	must[agency.Profile](t)(w.requestByEmail(w.eve))
	for n := range 60 {
		w.mustInvite(w.ann, w.client, actor(fmt.Sprintf("m%02d", n)), agency.Member)
		if n < 30 {
			must[agency.Profile](t)(w.RequestConnection(ctx, w.gil, w.agency, service.ConnectionRequest{Account: w.mustOpen(actor(fmt.Sprint("more", n)), 1, "More"), Areas: viewPages}))
		}
	}
	events := w.events(w.client)
	names := func() map[string]int {
		out := map[string]int{}
		for _, i := range w.items() {
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
			noError(t, w.RefreshCopies(ctx, id))
		}
		// An ended connection keeps the account's last name.
		diff(t, "after", map[string]int{"Better in Zeta, active": 1, "Better in Owned, active": 1, "Agency-v in Client, left": 1, "Better in , pending": 32, " in Zeta, active": 63}, names())
	}
	diff(t, "found by the new name", 1, len(w.clients(w.gil, service.ClientFilter{Status: agency.Active, Prefix: "zet"})))
	w.TakeCalls()
	before := w.items()
	noError(t, w.RefreshCopies(ctx, w.client))
	if n := w.TakeCalls()["TransactWriteItems"]; n != 0 {
		t.Errorf("%d transactions to change nothing", n)
	}
	testbed.SameItems(t, before, w.items())
	diff(t, "events", append(events, "account.renamed"), w.events(w.client))
	w.audit(t)

	// Nothing is copied from a collected account.
	must[service.AccountView](t)(v.CloseAccount(ctx, as(v.gil, v.agency), v.owned))
	must[service.Outcome](t)(v.SweepAccount(ctx, v.owned))
	must[service.AccountView](t)(v.SwitchAgencyOff(ctx, v.gil, v.agency))
	must[service.AccountView](t)(v.CloseAccount(ctx, as(v.gil), v.agency))
	w.advance(90 * day)
	w.collected = true
	for range 8 {
		must[service.Outcome](t)(v.SweepAccount(ctx, v.agency))
	}
	before = w.items()
	noError(t, w.RefreshCopies(ctx, v.agency))
	testbed.SameItems(t, before, w.items())
}
