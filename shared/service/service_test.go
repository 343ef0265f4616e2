package service_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"agencyhub/shared/agency"
	"agencyhub/shared/service"
	"agencyhub/shared/testbed"
)

// The connection of a client-owned account: requested, accepted, restricted, revoked and requested
// again.
func TestConnectStory(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	viewer := as(w.gil, w.agency)
	diff(t, "access before", agency.Access{Areas: agency.Areas{"pages": agency.None, "mail": agency.None}, Reason: agency.NoProfile}, w.access(viewer, w.client))

	requested := must[agency.Profile](t)(w.request())
	if requested.Status != agency.Pending || requested.Request.Number != 1 || !requested.Request.ExpiresAt.Equal(noon.Add(lifetime)) || requested.AccountName != "" || requested.Request.By != w.gil.ID() {
		t.Errorf("%+v", requested)
	}
	if got := w.access(viewer, w.client); got.Reason != agency.StillPending || got.Allowed {
		t.Errorf("access while pending: %+v", got)
	}
	diff(t, "counts", service.Counts{Owned: 1, Pending: 1}, must[service.Counts](t)(w.store.Counts(ctx, w.agency)))

	w.advance(24 * time.Hour)
	again := must[agency.Profile](t)(w.ResendRequest(ctx, w.gus, w.agency, w.con))
	if !again.Request.ExpiresAt.Equal(noon.Add(lifetime+24*time.Hour)) || again.Request.Number != 1 || again.Request.By != w.gus.ID() {
		t.Errorf("%+v", again)
	}
	accepted := must[agency.Profile](t)(w.AcceptRequest(ctx, as(w.bob), w.client, w.agency, service.Grant{Request: 1, Areas: editPages}))
	if accepted.Status != agency.Active || accepted.AccountName != "Client" || accepted.Name != "Agency" {
		t.Errorf("%+v", accepted)
	}
	diff(t, "counts", service.Counts{Owned: 1, Connected: 1}, must[service.Counts](t)(w.store.Counts(ctx, w.agency)))
	diff(t, "access", agency.Access{Allowed: true, Areas: editPages, Via: string(w.agency), Ownership: agency.ClientOwned, Payer: agency.ClientOwned}, w.access(viewer, w.client))
	diff(t, "access of a member", true, w.access(as(w.gem, w.agency), w.client).Allowed)
	diff(t, "access of the agency's owner without as", string(w.agency), w.access(as(w.gil), w.client).Via)

	repeat := must[agency.Profile](t)(w.accept(w.ann, 1))
	if repeat.Version != accepted.Version {
		t.Errorf("accepted again: %+v", repeat)
	}
	restricted := must[agency.Profile](t)(w.ChangeMember(ctx, as(w.ann), w.client, agency.Party(w.agency), service.MemberChange{Areas: viewPages}))
	if !restricted.Areas.Equal(viewPages) {
		t.Errorf("%+v", restricted)
	}
	diff(t, "access when restricted", viewPages, w.access(viewer, w.client).Areas)

	must[agency.Profile](t)(w.revoke())
	if got := w.access(viewer, w.client); got.Allowed || got.Reason != agency.HasEnded {
		t.Errorf("access when revoked: %+v", got)
	}
	if p := must[agency.Profile](t)(w.revoke()); p.Status != agency.Revoked {
		t.Errorf("revoked again: %+v", p)
	}
	refused(t, "asked just after a revocation", agency.Cooling, second(w.request()))
	w.advance(30 * day)
	p := must[agency.Profile](t)(w.request())
	if p.Request.Number != 2 || !p.ShownAreas().Equal(editAll) {
		t.Errorf("asked again: %+v", p)
	}
	refused(t, "the first request was accepted for the second", agency.Conflict, second(w.accept(w.ann, 1)))
	must[agency.Profile](t)(w.withdraw())
	must[agency.Profile](t)(w.WithdrawRequest(ctx, w.gus, w.agency, w.con))
	must[agency.Profile](t)(w.request())
	w.advance(lifetime)
	// An overdue request is recorded as expired by the next request.
	if p = must[agency.Profile](t)(w.request()); p.Request.Number != 4 || p.Status != agency.Pending {
		t.Errorf("asked after an expiry: %+v", p)
	}
	must[agency.Profile](t)(w.declineAt(as(w.bob), w.client, w.agency, false))
	w.advance(30 * day)
	must[agency.Profile](t)(w.request())
	must[agency.Profile](t)(w.accept(w.ann, 5))
	must[agency.Profile](t)(w.leave())
	diff(t, "counts at the end", service.Counts{Owned: 1}, must[service.Counts](t)(w.store.Counts(ctx, w.agency)))
	diff(t, "events", []string{
		"account.opened", "person.invited", "person.added", "person.invited", "person.added",
		"connection.requested", "connection.resent", "connection.accepted", "connection.restricted", "connection.revoked",
		"connection.requested", "connection.withdrawn", "connection.requested", "connection.expired", "connection.requested", "connection.declined",
		"connection.requested", "connection.accepted", "connection.left",
	}, w.events(w.client))
	w.audit(t)

	lines := must[service.List[agency.Event]](t)(w.AccountActivity(ctx, as(w.ann), w.client, service.Page{Limit: 100}))
	for _, e := range lines.Items {
		clock := e.Type == agency.ConnectionExpired
		if (e.Actor == "") != clock || e.As != "" || e.WakeAt.Sub(e.At) != 2*time.Minute {
			t.Errorf("%s by %q as %q, woken at %s", e.Type, e.Actor, e.As, e.WakeAt)
		}
	}
}

func TestCreateStory(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	in := service.NewClientAccount{Name: " Shop  of Olga ", Plan: "starter", ConfirmPermanentOwnership: true}
	made := must[service.AccountView](t)(w.CreateAccount(ctx, w.gus, w.agency, idempotencyKey(9), in))
	if made.Ownership != agency.AgencyOwned || made.Owner != w.agency || made.Name != "Shop of Olga" || made.Owners != 0 || made.AgencyOn {
		t.Errorf("%+v", made)
	}
	full := agency.Access{Allowed: true, Areas: editAll, Via: string(w.agency), Ownership: agency.AgencyOwned, Payer: agency.AgencyOwned}
	diff(t, "the agency's access", full, w.access(as(w.gus, w.agency), made.ID))
	// The client is invited; their access is changed and removed.
	member := party(w.olga)
	p, invited, err := w.InvitePerson(ctx, as(w.gus, w.agency), made.ID, service.Invitation{Email: "OLGA@x.test", Role: agency.Member, Areas: viewPages})
	if err != nil || !invited || p.Status != agency.Invited || p.ShownRole() != agency.Member || p.Ownership != agency.AgencyOwned || p.Request.From != w.agency {
		t.Errorf("%+v, %t, %v", p, invited, err)
	}
	if got := w.access(as(w.olga), made.ID); got.Allowed || got.Reason != agency.StillInvited {
		t.Errorf("before the acceptance: %+v", got)
	}
	w.mustAccept(w.olga, made.ID)
	diff(t, "the client's access", viewPages, w.access(as(w.olga), made.ID).Areas)
	must[agency.Profile](t)(w.ChangeMember(ctx, as(w.gil, w.agency), made.ID, member, service.MemberChange{Areas: editPages}))
	diff(t, "the client's access changed", editPages, w.access(as(w.olga), made.ID).Areas)
	must[agency.Profile](t)(w.RemoveMember(ctx, as(w.gil, w.agency), made.ID, member, false))
	if got := w.access(as(w.olga), made.ID); got.Allowed || got.Reason != agency.HasEnded {
		t.Errorf("%+v", got)
	}
	diff(t, "events", []string{"account.created", "person.invited", "person.added", "person.changed", "person.removed"}, w.events(made.ID))
	diff(t, "events with a client", []string{"account.created", "person.added"}, w.events(w.owned))
	first := must[service.List[agency.Event]](t)(w.store.Activity(ctx, agency.Party(w.owned), "", service.Page{Limit: 2})).Items[1]
	if first.Client != w.olga.ID() || first.Agency != w.agency || first.Now.Name != "Owned" {
		t.Errorf("%+v", first)
	}
	// Every event of an agency-owned account is about its agency.
	for _, e := range must[service.List[agency.Event]](t)(w.store.Activity(ctx, agency.Party(made.ID), w.agency, service.Page{Limit: 10})).Items {
		if e.Agency != w.agency || e.Ownership != agency.AgencyOwned {
			t.Errorf("%s concerns %q", e.Type, e.Agency)
		}
		onBehalf := w.agency
		if e.Type == agency.AccountCreated {
			onBehalf = "" // not on behalf of the agency
		}
		if e.Type == agency.PersonAdded {
			continue // the client's own act
		}
		if e.As != onBehalf || e.Actor != w.gus.ID() && e.Actor != w.gil.ID() {
			t.Errorf("%s by %q as %q", e.Type, e.Actor, e.As)
		}
	}
	diff(t, "lines of the agency", 5, len(must[service.List[agency.Event]](t)(w.store.Activity(ctx, agency.Party(made.ID), w.agency, service.Page{Limit: 10})).Items))

	// The client of an agency-owned account may leave.
	must[agency.Profile](t)(w.RemoveMember(ctx, as(w.olga), w.owned, member, false))
	must[agency.Profile](t)(w.RemoveMember(ctx, as(w.olga), w.owned, member, false))
	must[service.AccountView](t)(w.RenameAccount(ctx, as(w.gus, w.agency), w.owned, "New name"))
	diff(t, "events", []string{"account.created", "person.added", "person.left", "account.renamed"}, w.events(w.owned))
	if got := must[service.AccountView](t)(w.GetAccount(ctx, as(w.gem, w.agency), w.owned)); got.Name != "New name" || got.Role != "" || !got.Access.Areas.Equal(editPages) {
		t.Errorf("%+v", got)
	}
	w.audit(t)
}

func TestPersonsStory(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	eve := party(w.eve)
	invite := func(role agency.Role, areas agency.Areas) (agency.Profile, bool) {
		t.Helper()
		p, added, err := w.InvitePerson(ctx, as(w.ann), w.client, service.Invitation{Email: w.eve.Email, Role: role, Areas: areas})
		noError(t, err)
		return p, added
	}
	if p, invited := invite(agency.Member, viewPages); !invited || p.Status != agency.Invited || p.Role != "" {
		t.Errorf("%+v, %t", p, invited)
	}
	w.mustAccept(w.eve, w.client)
	if p, invited := invite(agency.Owner, nil); invited || p.Role != agency.Member || !p.HasOffer() {
		t.Errorf("%+v, %t", p, invited)
	}
	diff(t, "owners before the offer is accepted", 1, w.account(w.client).Owners)
	w.mustAccept(w.eve, w.client)
	diff(t, "owners", 2, w.account(w.client).Owners)
	p := must[agency.Profile](t)(w.ChangeMember(ctx, as(w.eve), w.client, party(w.ann), service.MemberChange{Role: agency.Member, Areas: viewPages}))
	if p.Role != agency.Member || !p.Areas.Equal(viewPages) {
		t.Errorf("%+v", p)
	}
	diff(t, "owners", 1, w.account(w.client).Owners)
	if got := must[service.AccountView](t)(w.GetAccount(ctx, as(w.ann), w.client)); got.Role != agency.Member || !got.Access.Areas.Equal(viewPages) {
		t.Errorf("%+v", got)
	}
	must[agency.Profile](t)(w.ChangeMember(ctx, as(w.eve), w.client, party(w.ann), service.MemberChange{Role: agency.Owner}))
	w.mustAccept(w.ann, w.client)
	must[agency.Profile](t)(w.RemoveMember(ctx, as(w.ann), w.client, eve, false))
	must[agency.Profile](t)(w.RemoveMember(ctx, as(w.ann), w.client, eve, false))
	if _, invited := invite(agency.Admin, nil); !invited {
		t.Error("not invited again")
	}
	w.mustAccept(w.eve, w.client)
	must[agency.Profile](t)(w.RemoveMember(ctx, as(w.eve), w.client, eve, false))
	must[agency.Profile](t)(w.RemoveMember(ctx, as(w.eve), w.client, eve, false))
	diff(t, "events", []string{
		"account.opened", "person.invited", "person.added", "person.invited", "person.added", "person.invited", "person.added",
		"person.ownership_offered", "person.ownership_accepted", "person.changed", "person.ownership_offered", "person.ownership_accepted",
		"person.removed", "person.invited", "person.added", "person.left",
	}, w.events(w.client))
	mine := must[service.List[service.AccountView]](t)(w.MyAccounts(ctx, w.ann, service.Page{Limit: 10}))
	if len(mine.Items) != 1 || mine.Items[0].Role != agency.Owner || mine.Items[0].ID != w.client {
		t.Errorf("%+v", mine)
	}
	if hers := must[service.List[service.AccountView]](t)(w.MyAccounts(ctx, w.eve, service.Page{Limit: 10})); len(hers.Items) != 0 {
		t.Errorf("%+v", hers)
	}
	w.audit(t)
}

type calls map[string]int

var (
	oneRead  = calls{"BatchGetItem": 1}
	twoReads = calls{"BatchGetItem": 2}
	oneWrite = calls{"BatchGetItem": 1, "TransactWriteItems": 1}
)

// commandCase is a call of a use case in a world, and the calls of DynamoDB that it makes.
type commandCase struct {
	name   string
	before func(*world) *world
	do     func(*world) error
	want   calls
}

func fresh(w *world) *world   { return w }
func expired(w *world) *world { return w.pending().after(lifetime) }
func blocked(w *world) *world {
	must[agency.Profile](w.t)(w.pending().decline(w.ann, true))
	return w
}

// after advances the clock.
func (w *world) after(d time.Duration) *world {
	w.advance(d)
	return w
}

// sweep does what is due for the agency's connection to the client.
func (w *world) sweep() error {
	return second(w.SweepProfile(w.t.Context(), agency.AgencyAt(w.client, w.agency)))
}

// change changes a member of the client's account.
func (w *world) change(member agency.Party, in service.MemberChange) error {
	return second(w.ChangeMember(w.t.Context(), as(w.ann), w.client, member, in))
}

func (w *world) remove(by agency.Actor, member agency.Party, block bool) error {
	return second(w.RemoveMember(w.t.Context(), as(by), w.client, member, block))
}

func accountCommands(ctx context.Context) []commandCase {
	newcomer := service.Invitation{Email: "new@x.test", Role: agency.Member, Areas: viewPages}
	return []commandCase{
		{"open", fresh, func(w *world) error { return second(w.OpenAccount(ctx, w.eve, idempotencyKey(1), "Eve's")) }, oneWrite},
		{"open again", fresh, func(w *world) error { return second(w.OpenAccount(ctx, w.ann, idempotencyKey(1), "Client")) }, twoReads},
		{"create", fresh, func(w *world) error {
			return second(w.CreateAccount(ctx, w.gil, w.agency, idempotencyKey(3), service.NewClientAccount{
				Name: "New", Plan: "starter", ConfirmPermanentOwnership: true, Client: &service.NewClient{Email: "new@x.test", Areas: viewPages},
			}))
		}, oneWrite},
		{"rename", fresh, func(w *world) error { return second(w.RenameAccount(ctx, as(w.ann), w.client, "New")) }, oneWrite},
		{"rename as", fresh, func(w *world) error { return second(w.RenameAccount(ctx, as(w.gil, w.agency), w.owned, "New")) }, oneWrite},
		{"rename to the same", fresh, func(w *world) error { return second(w.RenameAccount(ctx, as(w.ann), w.client, "Client")) }, twoReads},
		{"hub on", fresh, func(w *world) error { return second(w.SwitchAgencyOn(ctx, w.ann, w.client)) }, oneWrite},
		{"hub on again", fresh, func(w *world) error { return second(w.SwitchAgencyOn(ctx, w.gil, w.agency)) }, twoReads},
		{"invite", fresh, func(w *world) error { return third(w.InvitePerson(ctx, as(w.ann), w.client, newcomer)) }, oneWrite},
		{"invite an owner", fresh, func(w *world) error {
			return third(w.InvitePerson(ctx, as(w.ann), w.client, service.Invitation{Email: w.bob.Email, Role: agency.Owner}))
		}, oneWrite},
		{"invite as", fresh, func(w *world) error { return third(w.InvitePerson(ctx, as(w.gus, w.agency), w.owned, newcomer)) }, oneWrite},
		{"change", fresh, func(w *world) error { return w.change(party(w.mem), toOwner) }, oneWrite},
		{"change again", fresh, func(w *world) error { return w.change(party(w.bob), toAdmin) }, twoReads},
		{"remove", fresh, func(w *world) error { return w.remove(w.ann, party(w.mem), false) }, oneWrite},
		{"leave a team", fresh, func(w *world) error { return w.remove(w.mem, party(w.mem), false) }, oneWrite},
		{"assign", fresh, func(w *world) error {
			to := service.MemberChange{Clients: &[]agency.AccountID{w.client}}
			return second(w.ChangeMember(ctx, as(w.gil), w.agency, party(w.gem), to))
		}, oneWrite},
		{"close", fresh, func(w *world) error { return w.close(as(w.ann), w.client) }, oneWrite},
		{"close as", fresh, func(w *world) error { return w.close(as(w.gil, w.agency), w.owned) }, oneWrite},
		{"hub off", func(w *world) *world {
			must[service.AccountView](w.t)(w.SwitchAgencyOn(ctx, w.ann, w.client))
			return w
		}, func(w *world) error { return second(w.SwitchAgencyOff(ctx, w.ann, w.client)) }, oneWrite},
		// The exceptions: erasing first looks for what would stop it.
		{"erase me", fresh, func(w *world) error { return w.EraseMe(ctx, w.mem) }, calls{"Query": 1, "BatchGetItem": 1, "TransactWriteItems": 1}},
		{"erase me, an owner", func(w *world) *world {
			w.mustInvite(w.ann, w.client, w.bob, agency.Owner)
			return w
		}, func(w *world) error { return w.EraseMe(ctx, w.bob) }, calls{"Query": 1, "BatchGetItem": 1, "TransactWriteItems": 1}},
		{"erase me again", func(w *world) *world {
			noError(w.t, w.EraseMe(ctx, w.mem))
			return w
		}, func(w *world) error { return w.EraseMe(ctx, w.mem) }, calls{"Query": 1, "BatchGetItem": 2}},
	}
}

func connectionCommands(ctx context.Context) []commandCase {
	return []commandCase{
		{"request", fresh, func(w *world) error { return second(w.request()) }, oneWrite},
		{"resend", func(w *world) *world { return w.pending().after(day) }, func(w *world) error { return second(w.resend()) }, oneWrite},
		{"withdraw", (*world).pending, func(w *world) error { return second(w.withdraw()) }, oneWrite},
		{"accept", (*world).pending, func(w *world) error { return second(w.accept(w.ann, 1)) }, oneWrite},
		{"accept again", (*world).connected, func(w *world) error { return second(w.accept(w.ann, 1)) }, twoReads},
		{"decline", (*world).pending, func(w *world) error {
			return second(w.DeclineRequest(ctx, as(w.ann), w.client, w.agency, service.Decline{Request: 1}))
		}, oneWrite},
		{"decline and block", (*world).pending, func(w *world) error {
			return second(w.DeclineRequest(ctx, as(w.ann), w.client, w.agency, service.Decline{Request: 1, Block: true}))
		}, oneWrite},
		{"dismiss and block", expired, func(w *world) error {
			return second(w.DeclineRequest(ctx, as(w.ann), w.client, w.agency, service.Decline{Request: 1, Block: true}))
		}, oneWrite},
		{"restrict", (*world).connected, func(w *world) error { return w.change(agency.Party(w.agency), toViewPages) }, oneWrite},
		{"set an end", (*world).connected, func(w *world) error {
			until := noon.Add(day)
			return w.change(agency.Party(w.agency), service.MemberChange{Until: &until})
		}, oneWrite},
		{"revoke", (*world).connected, func(w *world) error { return second(w.revoke()) }, oneWrite},
		{"revoke and block", (*world).connected, func(w *world) error { return w.remove(w.ann, agency.Party(w.agency), true) }, oneWrite},
		{"leave", (*world).connected, func(w *world) error { return second(w.leave()) }, oneWrite},
		{"unblock", blocked, func(w *world) error { return second(w.Unblock(ctx, as(w.ann), w.client, w.agency)) }, oneWrite},
		{"unblock for me", blocked, func(w *world) error { return second(w.UnblockForMe(ctx, w.ann, w.con)) }, oneWrite},
		{"request anew after a lapse", func(w *world) *world { return w.connected().setEnd(day).after(2 * day) },
			func(w *world) error { return second(w.request()) }, oneWrite},

		{"request by email", fresh, func(w *world) error { return second(w.requestByEmail(w.ann)) }, oneWrite},
		{"resend by email", func(w *world) *world { return w.pendingByEmail().after(day) },
			func(w *world) error { return second(w.ResendRequest(ctx, w.gil, w.agency, w.emailConnection(w.ann))) }, oneWrite},
		{"withdraw by email", (*world).pendingByEmail,
			func(w *world) error { return second(w.WithdrawRequest(ctx, w.gil, w.agency, w.emailConnection(w.ann))) }, oneWrite},
		{"take a request up", (*world).pendingByEmail, func(w *world) error { return second(w.acceptInto(w.ann, w.client, 1)) }, oneWrite},
		{"take a request up, where one has expired", func(w *world) *world { return expired(w).pendingByEmail() },
			func(w *world) error { return second(w.acceptInto(w.ann, w.client, 1)) }, oneWrite},
		{"take a request up again", func(w *world) *world {
			must[agency.Profile](w.t)(w.pendingByEmail().acceptInto(w.ann, w.client, 1))
			return w
		}, func(w *world) error { return second(w.acceptInto(w.ann, w.client, 1)) }, twoReads},
		{"decline by email and block", (*world).pendingByEmail,
			func(w *world) error {
				return second(w.DeclineRequestByID(ctx, w.ann, w.emailConnection(w.ann), service.Decline{Request: 1, Block: true}))
			}, oneWrite},
	}
}

func sweeps(context.Context) []commandCase {
	return []commandCase{
		{"expire", expired, (*world).sweep, oneWrite},
		{"expire what has time", (*world).pending, (*world).sweep, twoReads},
		{"expire nothing", fresh, (*world).sweep, twoReads},
		{"remind", func(w *world) *world { return w.pending().after(11 * day) }, (*world).sweep, oneWrite},
		{"warn", func(w *world) *world { return w.connected().setEnd(10 * day).after(3 * day) }, (*world).sweep, oneWrite},
		{"lapse", func(w *world) *world { return w.connected().setEnd(day).after(day) }, (*world).sweep, oneWrite},
		{"collect", func(w *world) *world {
			must[agency.Profile](w.t)(w.connected().revoke())
			w.collected = true
			return w.after(90 * day)
		}, (*world).sweep, oneWrite},
	}
}

func reads(ctx context.Context) []commandCase {
	unknown := agency.NewAccountID("per_x", "unknown")
	return []commandCase{
		{"see a request", (*world).pending, func(w *world) error { return second(w.GetRequest(ctx, w.ann, w.con)) }, oneRead},
		{"see a request by email", (*world).pendingByEmail,
			func(w *world) error { return second(w.GetRequest(ctx, w.ann, w.emailConnection(w.ann))) }, oneRead},
		{"refuse to accept", fresh, func(w *world) error {
			refused(w.t, "no request", agency.NotFound, second(w.accept(w.ann, 1)))
			return nil
		}, twoReads},
		{"refuse to show", fresh, func(w *world) error {
			refused(w.t, "a stranger", agency.NotFound, second(w.GetAccount(ctx, as(w.eve), w.client)))
			return nil
		}, oneRead},
		{"see an account", fresh, func(w *world) error { return second(w.GetAccount(ctx, as(w.mem), w.client)) }, oneRead},
		{"see an account as", fresh, func(w *world) error { return second(w.GetAccount(ctx, as(w.gem, w.agency), w.owned)) }, oneRead},
		{"see a connection", (*world).connected, func(w *world) error { return second(w.GetConnection(ctx, w.gem, w.agency, w.con)) }, oneRead},
		{"access as", (*world).connected, func(w *world) error { return second(w.CheckAccess(ctx, as(w.gil, w.agency), w.client)) }, oneRead},
		{"access as, a stranger", fresh, func(w *world) error { return second(w.CheckAccess(ctx, as(w.eve, w.agency), w.client)) }, oneRead},
		{"access as, an unknown account", fresh, func(w *world) error { return second(w.CheckAccess(ctx, as(w.gil, w.agency), unknown)) }, oneRead},
		{"access of one's own", fresh, func(w *world) error { return second(w.CheckAccess(ctx, as(w.eve), w.client)) }, oneRead},
		{"access through any agency", (*world).connected,
			func(w *world) error { return second(w.CheckAccess(ctx, as(w.gil), w.client)) }, calls{"BatchGetItem": 2}},
		{"access through any agency, after many invitations", func(w *world) *world { return w.connected().unwanted(w.gil) },
			func(w *world) error { return second(w.CheckAccess(ctx, as(w.gil), w.client)) }, calls{"BatchGetItem": 2}},
		{"access of one's own, after many invitations", func(w *world) *world { return w.unwanted(w.ann) },
			func(w *world) error { return second(w.CheckAccess(ctx, as(w.ann), w.client)) }, oneRead},
		{"access as, after many invitations", func(w *world) *world { return w.connected().unwanted(w.gil) },
			func(w *world) error { return second(w.CheckAccess(ctx, as(w.gil, w.agency), w.client)) }, oneRead},
	}
}

// A command is one batch read and one transaction, or two batch reads where it changes nothing. An
// access check that names an agency is one batch read.
func TestACommandIsOneReadAndOneWrite(t *testing.T) {
	for _, cases := range []func(context.Context) []commandCase{accountCommands, connectionCommands, invitations, sweeps, reads} {
		for _, tt := range cases(t.Context()) {
			t.Run(tt.name, func(t *testing.T) {
				w := tt.before(newWorld(t))
				w.TakeCalls()
				noError(t, tt.do(w))
				diff(t, "calls", tt.want, calls(w.TakeCalls()))
				w.audit(t)
			})
		}
	}
}

// pendingByEmail requests a connection with the client's owner by email.
func (w *world) pendingByEmail() *world {
	w.t.Helper()
	must[agency.Profile](w.t)(w.requestByEmail(w.ann))
	return w
}

func second[T any](_ T, err error) error        { return err }
func third[T, U any](_ T, _ U, err error) error { return err }

func TestWhatIsRepeatedChangesNothing(t *testing.T) {
	w := newWorld(t).connected()
	ctx := t.Context()
	before := w.items()
	for name, do := range map[string]func() error{
		"open":   func() error { return second(w.OpenAccount(ctx, w.ann, idempotencyKey(1), " Client ")) },
		"hub on": func() error { return second(w.SwitchAgencyOn(ctx, w.gil, w.agency)) },
		"rename": func() error { return second(w.RenameAccount(ctx, as(w.ann), w.client, "Client ")) },
		"accept": func() error { return second(w.accept(w.bob, 1)) },
		"restrict": func() error {
			return second(w.ChangeMember(ctx, as(w.ann), w.client, agency.Party(w.agency), service.MemberChange{Areas: editAll}))
		},
		"change": func() error {
			return second(w.ChangeMember(ctx, as(w.ann), w.client, party(w.mem), service.MemberChange{Areas: editPages}))
		},
		"same role": func() error {
			return second(w.ChangeMember(ctx, as(w.ann), w.client, party(w.ann), service.MemberChange{Role: agency.Owner}))
		},
		"me":       func() error { return second(w.Me(ctx, w.ann)) },
		"see":      func() error { return second(w.GetAccount(ctx, as(w.ann), w.client)) },
		"team":     func() error { return second(w.Team(ctx, as(w.ann), w.client, service.Page{Limit: 10})) },
		"activity": func() error { return second(w.AccountActivity(ctx, as(w.ann), w.client, service.Page{Limit: 10})) },
		"clients": func() error {
			return third(w.Clients(ctx, w.gem, w.agency, service.ClientFilter{}, service.Page{Limit: 10}))
		},
		"create": func() error {
			return second(w.CreateAccount(ctx, w.gus, w.agency, idempotencyKey(2), service.NewClientAccount{
				Name: "Owned", Plan: "growth", ConfirmPermanentOwnership: true, Client: &service.NewClient{Email: " OLGA@x.test", Areas: agency.Areas{"pages": agency.View}},
			}))
		},
	} {
		if err := do(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		testbed.SameItems(t, before, w.items())
	}

	// A person who has never signed in, invited twice alike.
	invite := func() error {
		return third(w.InvitePerson(ctx, as(w.ann), w.client, service.Invitation{Email: w.eve.Email, Role: agency.Member, Areas: viewPages}))
	}
	noError(t, invite())
	before = w.items()
	noError(t, invite())
	testbed.SameItems(t, before, w.items())
}

// The first use binds a profile to the identity of the token. Another identity with the same
// address is refused until it is invited again.
func TestAProfileBelongsToItsFirstUser(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	eve := w.eve
	must[agency.Account](t)(w.register(w.client, "Client", w.ann.Email, ""))
	must[service.AccountView](t)(w.GetAccount(ctx, as(w.ann), w.client))
	must[agency.Account](t)(w.ReplaceOwner(ctx, platform, w.client, w.ann.Email, eve.Email))
	bound := func() agency.Profile {
		key := agency.PersonAt(w.client, eve.ID())
		return must[service.Snapshot](t)(w.store.Load(ctx, service.Want{Profiles: []agency.ProfileKey{key}})).Profile(key)
	}
	if p := bound(); p.Subject != "" || p.Issuer != "" {
		t.Fatalf("bound before its first use: %+v", p)
	}
	if got := w.access(as(eve), w.client); !got.Allowed || bound().Subject != "" {
		t.Errorf("the access check bound it, or refused: %+v", got)
	}
	must[service.AccountView](t)(w.GetAccount(ctx, as(eve), w.client))
	if p := bound(); p.Subject != eve.Subject || p.Issuer != eve.Issuer {
		t.Errorf("not bound: %+v", p)
	}
	another := impostor(eve)
	elsewhere := eve
	elsewhere.Issuer = "https://another.test"
	for _, who := range []agency.Actor{another, elsewhere} {
		if got := w.access(as(who), w.client); got.Allowed || got.Reason != agency.ChangedIdentity || got.Ownership != agency.ClientOwned {
			t.Errorf("%+v", got)
		}
		refused(t, "renamed by another identity", agency.IdentityChanged, second(w.RenameAccount(ctx, as(who), w.client, "Mine")))
		if list := must[service.List[service.AccountView]](t)(w.MyAccounts(ctx, who, service.Page{Limit: 10})); len(list.Items) != 0 {
			t.Errorf("%+v", list.Items)
		}
		must[agency.Person](t)(w.Me(ctx, who))
		if p := bound(); p.Subject != eve.Subject || p.Issuer != eve.Issuer {
			t.Errorf("bound anew: %+v", p)
		}
	}
	release := func() { must[agency.Account](t)(w.register(w.client, "Client", eve.Email, "")) }
	// Once the platform has released it, the next identity to use it is bound.
	release()
	must[service.AccountView](t)(w.GetAccount(ctx, as(another), w.client))
	refused(t, "renamed by the identity before", agency.IdentityChanged, second(w.RenameAccount(ctx, as(eve), w.client, "Mine")))
	// A command binds too, in its own transaction.
	release()
	w.TakeCalls()
	must[service.AccountView](t)(w.RenameAccount(ctx, as(eve), w.client, "Mine"))
	diff(t, "calls", map[string]int{"BatchGetItem": 1, "TransactWriteItems": 1}, w.TakeCalls())
	if p := bound(); p.Subject != eve.Subject {
		t.Errorf("not bound by a command: %+v", p)
	}
	// A refused call binds in a transaction of its own: a command's and a query's.
	for name, refuse := range map[string]func() error{
		"command": func() error { return second(w.RemoveMember(ctx, as(another), w.client, party(eve), false)) },
		"read":    func() error { return second(w.GetMember(ctx, as(another), w.client, party(w.gem))) },
	} {
		release()
		if err := refuse(); err == nil || agency.CodeOf(err) == agency.IdentityChanged {
			t.Errorf("%s: %v", name, err)
		}
		if p := bound(); p.Subject != another.Subject {
			t.Errorf("not bound by a refused %s: %+v", name, p)
		}
	}
	w.audit(t)
	// On behalf of an agency, the profile in the agency is bound.
	must[agency.Account](t)(w.ReplaceOwner(ctx, platform, w.agency, w.gil.Email, eve.Email))
	// A call that a count refuses binds too.
	refused(t, "an agency with a client", agency.HasClients, second(w.SwitchAgencyOff(ctx, eve, w.agency)))
	if p := w.profile(agency.PersonAt(w.agency, eve.ID())); p.Subject != eve.Subject {
		t.Errorf("not bound by a call that a count refused: %+v", p)
	}
	must[service.AccountView](t)(w.GetAccount(ctx, as(eve, w.agency), w.owned))
	refused(t, "seen by another identity as the agency", agency.IdentityChanged, second(w.GetAccount(ctx, as(another, w.agency), w.owned)))
	w.audit(t)
}

func TestOneIdempotencyKeyMakesOneAccount(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	in := service.NewClientAccount{Name: "Once", Plan: "starter", ConfirmPermanentOwnership: true, Client: &service.NewClient{Email: "c@x.test", Areas: viewPages}}
	for name, do := range map[string]func() (service.AccountView, error){
		"open": func() (service.AccountView, error) { return w.OpenAccount(ctx, w.eve, idempotencyKey(7), "Eve's") },
		"create": func() (service.AccountView, error) {
			return w.CreateAccount(ctx, w.gil, w.agency, idempotencyKey(7), in)
		},
	} {
		var wg sync.WaitGroup
		made := make([]service.AccountView, 16)
		for i := range made {
			wg.Go(func() { made[i] = must[service.AccountView](t)(do()) })
		}
		wg.Wait()
		for _, a := range made {
			diff(t, name, made[0], a)
		}
		if got := w.events(made[0].ID); len(got) != 1 {
			t.Errorf("%s: %q", name, got)
		}
	}
	w.audit(t)
	// The answer is the account's present state.
	id := agency.NewAccountID(party(w.eve), idempotencyKey(7))
	must[service.AccountView](t)(w.RenameAccount(ctx, as(w.eve), id, "Renamed"))
	if again := must[service.AccountView](t)(w.OpenAccount(ctx, w.eve, idempotencyKey(7), "Eve's")); again.Name != "Renamed" {
		t.Errorf("%+v", again)
	}
	before := w.items()
	other, dearer, nobody, clientless := in, in, in, in
	other.Name, dearer.Plan, clientless.Client = "Twice", "growth", nil
	nobody.Client = &service.NewClient{Email: "d@x.test", Areas: viewPages}
	wider := in
	wider.Client = &service.NewClient{Email: "c@x.test", Areas: editPages}
	for _, clash := range []service.NewClientAccount{other, dearer, nobody, clientless, wider} {
		refused(t, fmt.Sprintf("%+v", clash), agency.IdempotencyMismatch, second(w.CreateAccount(ctx, w.gil, w.agency, idempotencyKey(7), clash)))
	}
	refused(t, "another name with one key", agency.IdempotencyMismatch, second(w.OpenAccount(ctx, w.eve, idempotencyKey(7), "Another")))
	testbed.SameItems(t, before, w.items())
	// The same key of another person makes another account.
	if a := must[service.AccountView](t)(w.OpenAccount(ctx, w.bob, idempotencyKey(7), "Eve's")); a.ID == id {
		t.Error("one account for two persons")
	}
}

func TestListsLeaveOutWhatTheClockHasEnded(t *testing.T) {
	w := newWorld(t).pending()
	ctx := t.Context()
	count := func(s agency.Status) int { return len(w.clients(w.gem, service.ClientFilter{Status: s})) }
	diff(t, "pending", 1, count(agency.Pending))
	w.advance(lifetime - time.Millisecond)
	diff(t, "pending, a moment before", 1, count(agency.Pending))
	w.advance(time.Millisecond)
	diff(t, "pending, past its time", 0, count(agency.Pending))
	for range 2 {
		must[service.Outcome](t)(w.SweepProfile(ctx, agency.AgencyAt(w.client, w.agency)))
	}
	diff(t, "expired", 1, count(agency.Expired))
	diff(t, "in any state", 2, count(""))
	diff(t, "events", 1, countOf(w.events(w.client), "connection.expired"))
	w.audit(t)
}

func countOf(all []string, one string) int {
	return len(slices.DeleteFunc(slices.Clone(all), func(s string) bool { return s != one }))
}

// An agency sees its own events of a connected account and no other.
func TestAnAgencySeesItsOwnLines(t *testing.T) {
	w := newWorld(t).connected()
	ctx := t.Context()
	page := service.Page{Limit: 100}
	team := must[service.List[agency.Profile]](t)(w.Team(ctx, as(w.gus, w.agency), w.client, page))
	if len(team.Items) != 1 || team.Items[0].Member != agency.Party(w.agency) || team.Next != "" {
		t.Errorf("%+v", team)
	}
	for _, e := range must[service.List[agency.Event]](t)(w.AccountActivity(ctx, as(w.gus, w.agency), w.client, page)).Items {
		if e.Agency != w.agency {
			t.Errorf("the agency sees %s", e.Type)
		}
	}
	diff(t, "own lines", 2, len(must[service.List[agency.Event]](t)(w.AccountActivity(ctx, as(w.gus, w.agency), w.client, page)).Items))
	diff(t, "the client's lines", 7, len(must[service.List[agency.Event]](t)(w.AccountActivity(ctx, as(w.bob), w.client, page)).Items))
	diff(t, "the client's team", 4, len(must[service.List[agency.Profile]](t)(w.Team(ctx, as(w.bob), w.client, page)).Items))
	diff(t, "the owned account's team", 2, len(must[service.List[agency.Profile]](t)(w.Team(ctx, as(w.gus, w.agency), w.owned, page)).Items))
}

// A caller's own account, on its own behalf.
func TestAnAgencyIsNoClientOfItself(t *testing.T) {
	w := newWorld(t)
	refused(t, "the account as itself", agency.NotFound, second(w.GetAccount(t.Context(), as(w.gil, w.agency), w.agency)))
	refused(t, "the team as itself", agency.NotFound, second(w.Team(t.Context(), as(w.gil, w.agency), w.agency, service.Page{Limit: 10})))
	diff(t, "access", agency.ViaOwn, w.access(as(w.gil, w.agency), w.agency).Via)
}
