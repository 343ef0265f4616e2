package service_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"agencyhub/shared/agency"
	"agencyhub/shared/service"
)

// lines returns an account's events as a caller reads them, newest first.
func (w *world) lines(c agency.Caller, id agency.AccountID) []service.ActivityEntry {
	w.t.Helper()
	list := must[service.List[agency.Event]](w.t)(w.AccountActivity(w.t.Context(), c, id, service.Page{Limit: 100}))
	return must[[]service.ActivityEntry](w.t)(w.ActivityEntries(w.t.Context(), c, list.Items...))
}

// line is what an activity entry names.
type line struct{ Type, Account, Agency, By, For, Person, Asked string }

func lineOf(l service.ActivityEntry) line {
	return line{string(l.Type), l.Account, l.AgencyName, l.By, l.For, l.Person, l.Asked}
}

func findLine(t *testing.T, lines []service.ActivityEntry, as agency.EventType) line {
	t.Helper()
	for _, l := range lines {
		if l.Type == as {
			return lineOf(l)
		}
	}
	t.Fatalf("no %s among %d lines", as, len(lines))
	return line{}
}

// An activity entry shows an address only to readers who may see the team that the person is or was
// in.
func TestLinesTellWhatTheirReaderMayKnow(t *testing.T) {
	w := newWorld(t).connected()
	ctx := t.Context()
	must[agency.Profile](t)(w.RemoveMember(ctx, as(w.ann), w.client, party(w.mem), false))
	must[agency.Profile](t)(w.revoke())
	must[bool](t)(w.Unblock(ctx, as(w.ann), w.client, w.agency))
	must[agency.Profile](t)(w.request())
	must[agency.Profile](t)(w.accept(w.bob, 2))

	mine := w.lines(as(w.ann), w.client)
	for _, want := range []line{
		{"connection.requested", "Client", "Agency", "", "", "", ""},
		{"connection.accepted", "Client", "Agency", w.bob.Email, "", "", ""},
		{"connection.revoked", "Client", "Agency", w.ann.Email, "", "", ""},
		{"agency.unblocked", "Client", "Agency", w.ann.Email, "", "", ""},
		{"person.removed", "Client", "", w.ann.Email, "", w.mem.Email, ""},
	} {
		diff(t, "the owner reads", want, findLine(t, mine, agency.EventType(want.Type)))
	}
	// The agency reads the addresses of its own people, not the client's.
	theirs := w.lines(as(w.gil, w.agency), w.client)
	for _, want := range []line{
		{"connection.requested", "Client", "Agency", w.gil.Email, "", "", ""},
		{"connection.accepted", "Client", "Agency", "", "", "", ""},
	} {
		diff(t, "the agency reads", want, findLine(t, theirs, agency.EventType(want.Type)))
	}
	// In an agency-owned account the agency reads both.
	owned := w.lines(as(w.gus, w.agency), w.owned)
	created := line{"account.created", "Owned", "Agency", w.gil.Email, "", w.olga.Email, ""}
	diff(t, "the owning agency reads", created, findLine(t, owned, agency.AccountCreated))

	// Given any events, a caller learns no address and no name that is not theirs to see.
	events := must[service.List[agency.Event]](t)(w.AccountActivity(ctx, as(w.ann), w.client, service.Page{Limit: 100})).Items
	for name, c := range map[string]agency.Caller{
		"a stranger": as(w.eve), "a member of the agency": as(w.gem), "one who was removed": as(w.mem), "an impostor": as(impostor(w.ann)),
		"a stranger in the agency's hat": as(w.eve, w.agency), "a client in the agency's hat": as(w.olga, w.agency),
	} {
		for _, l := range must[[]service.ActivityEntry](t)(w.ActivityEntries(ctx, c, events...)) {
			if l.By != "" || l.Person != "" {
				t.Errorf("%s is told of %s: %+v", name, l.Type, lineOf(l))
			}
		}
	}
	w.TakeCalls()
	if _, err := w.ActivityEntries(ctx, as(w.ann), events...); err != nil {
		t.Fatal(err)
	}
	if calls := w.TakeCalls(); calls["BatchGetItem"] != 1 || len(calls) != 1 {
		t.Errorf("%d lines cost %v", len(events), calls)
	}
	if lines, err := w.ActivityEntries(ctx, as(w.ann)); lines != nil || err != nil {
		t.Errorf("no events are %v, %v", lines, err)
	}
}

// An entry of a pending request does not show the agency the account's name. A request by email
// shows the address that was typed.
func TestLinesOfRequests(t *testing.T) {
	w := newWorld(t).pending()
	ctx := t.Context()
	events := must[service.List[agency.Event]](t)(w.store.Activity(ctx, agency.Party(w.client), w.agency, service.Page{Limit: 10})).Items
	lines := must[[]service.ActivityEntry](t)(w.ActivityEntries(ctx, as(w.gil), events...))
	diff(t, "the agency reads", line{"connection.requested", "", "Agency", w.gil.Email, "", "", ""}, findLine(t, lines, agency.ConnectionRequested))
	p := must[agency.Profile](t)(w.RequestConnection(ctx, w.gil, w.agency, service.ConnectionRequest{OwnerEmail: w.eve.Email, Areas: editAll}))
	e := agency.Event{Type: agency.ConnectionRequested, Addressee: p.Addressee, Agency: w.agency, Member: agency.Party(w.agency), Actor: w.gil.ID()}
	got := must[[]service.ActivityEntry](t)(w.ActivityEntries(ctx, as(w.gil), e))
	diff(t, "by email", line{"connection.requested", "", "Agency", w.gil.Email, "", "", w.eve.Email}, lineOf(got[0]))
}

func TestSeeMember(t *testing.T) {
	w := newWorld(t).connected()
	ctx := t.Context()
	stranger := party(w.eve)
	for _, tt := range []struct {
		name   string
		by     agency.Caller
		in     agency.AccountID
		member agency.Party
		want   agency.Code
	}{
		{"an owner sees a person", as(w.ann), w.client, party(w.mem), ""},
		{"an admin sees the agency", as(w.bob), w.client, agency.Party(w.agency), ""},
		{"an owner looks for a stranger", as(w.ann), w.client, stranger, agency.NotFound},
		{"an owner looks for nonsense", as(w.ann), w.client, "nonsense", agency.NotFound},
		{"a member sees nobody", as(w.mem), w.client, party(w.ann), agency.Forbidden},
		{"nor learns who is there", as(w.mem), w.client, stranger, agency.Forbidden},
		{"a stranger", as(w.eve), w.client, party(w.ann), agency.NotFound},
		{"a connected agency sees itself", as(w.gil, w.agency), w.client, agency.Party(w.agency), ""},
		{"and nobody else", as(w.gil, w.agency), w.client, party(w.ann), agency.NotFound},
		{"and learns of nobody else", as(w.gil, w.agency), w.client, stranger, agency.NotFound},
		{"its members see nobody", as(w.gem, w.agency), w.client, agency.Party(w.agency), agency.Forbidden},
		{"an owning agency sees the client", as(w.gus, w.agency), w.owned, party(w.olga), ""},
		{"an impostor", as(impostor(w.ann)), w.client, party(w.mem), agency.IdentityChanged},
	} {
		p, err := w.GetMember(ctx, tt.by, tt.in, tt.member)
		if got := agency.CodeOf(err); got != tt.want || (err == nil) != (p.Version > 0) || err == nil && p.Member != tt.member {
			t.Errorf("%s: %v, %+v", tt.name, err, p)
		}
	}
	// A muted request is not found by anybody in the account.
	must[agency.Profile](t)(w.revoke())
	must[agency.Profile](t)(w.RemoveMember(ctx, as(w.ann), w.client, agency.Party(w.agency), true))
	w.advance(31 * day)
	if p := must[agency.Profile](t)(w.request()); !p.Request.Muted {
		t.Fatal("the request is not muted")
	}
	if p, err := w.GetMember(ctx, as(w.ann), w.client, agency.Party(w.agency)); agency.CodeOf(err) != agency.NotFound || p.Version != 0 {
		t.Errorf("a muted request: %v, %+v", err, p)
	}
}

func TestHeldOff(t *testing.T) {
	w := newWorld(t).pending()
	ctx := t.Context()
	held := func(by agency.Actor, id agency.ConnectionID) (blocked bool, until time.Time, err error) {
		b, err := w.BlockOf(ctx, by, id)
		if err == nil && (b.Name != "Agency" || b.Asker != w.agency) {
			t.Errorf("it is %+v", b)
		}
		return b.Blocked, b.CoolingUntil, err
	}
	if blocked, until, err := held(w.ann, w.con); blocked || !until.IsZero() || err != nil {
		t.Errorf("nothing holds the agency off: %t %s %v", blocked, until, err)
	}
	must[agency.Profile](t)(w.declineAt(as(w.ann), w.client, w.agency, false))
	ends := w.Now().Add(30 * day)
	if blocked, until, err := held(w.bob, w.con); blocked || !until.Equal(ends) || err != nil {
		t.Errorf("after a decline: %t %s %v", blocked, until, err)
	}
	// A person who declined has a cooldown by email too, and their own block counts here.
	byEmail := agency.NewConnectionID(party(w.ann), w.agency)
	if blocked, until, err := held(w.ann, byEmail); blocked || !until.Equal(ends) || err != nil {
		t.Errorf("by email: %t %s %v", blocked, until, err)
	}
	w.advance(31 * day)
	if blocked, until, err := held(w.ann, w.con); blocked || !until.IsZero() || err != nil {
		t.Errorf("once it is over: %t %s %v", blocked, until, err)
	}
	must[agency.Profile](t)(w.request())
	must[agency.Profile](t)(w.declineAt(as(w.ann), w.client, w.agency, true))
	if blocked, _, err := held(w.bob, w.con); !blocked || err != nil {
		t.Errorf("after a block: %t %v", blocked, err)
	}
	for name, tt := range map[string]struct {
		by   agency.Actor
		id   agency.ConnectionID
		want agency.Code
	}{
		"a member": {w.mem, w.con, agency.Forbidden}, "a stranger": {w.eve, w.con, agency.NotFound}, "the agency": {w.gil, w.con, agency.NotFound},
		"another person": {w.bob, byEmail, agency.NotFound}, "nonsense": {w.ann, "con_x", agency.NotFound}, "of an owned account": {w.olga, w.ownCon, agency.PermanentlyOwned},
	} {
		if b, err := w.BlockOf(ctx, tt.by, tt.id); agency.CodeOf(err) != tt.want || !cmp.Equal(b, service.Block{}) {
			t.Errorf("%s: %v, %+v", name, err, b)
		}
	}
}
