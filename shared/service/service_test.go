package service_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"agencyhub/shared/agency"
	"agencyhub/shared/service"
	"agencyhub/shared/testbed"
)

// The whole story of a client's account: asked for, let in, restricted, thrown
// out, asked again.
func TestConnectStory(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	eye := as(w.gil, w.agency)
	diff(t, "access before", agency.Access{Areas: agency.Areas{"pages": agency.None, "mail": agency.None}, Reason: agency.NoProfile}, w.access(eye, w.client))

	asked := must[agency.Profile](t)(w.request())
	if asked.Status != agency.Pending || asked.Request.Number != 1 || !asked.Request.ExpiresAt.Equal(noon.Add(lifetime)) || asked.AccountName != "" || asked.Request.By != w.gil.ID() {
		t.Errorf("%+v", asked)
	}
	if got := w.access(eye, w.client); got.Reason != agency.StillPending || got.Allowed {
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
	diff(t, "access", agency.Access{Allowed: true, Areas: editPages, Via: string(w.agency), Ownership: agency.ClientOwned, Payer: agency.ClientOwned}, w.access(eye, w.client))
	diff(t, "access of a member", true, w.access(as(w.gem, w.agency), w.client).Allowed)
	diff(t, "access of the hub's owner without as", string(w.agency), w.access(as(w.gil), w.client).Via)

	repeat := must[agency.Profile](t)(w.accept(w.ann, 1))
	if repeat.Version != accepted.Version {
		t.Errorf("accepted again: %+v", repeat)
	}
	restricted := must[agency.Profile](t)(w.ChangeMember(ctx, as(w.ann), w.client, agency.Party(w.agency), service.MemberChange{Areas: viewPages}))
	if !restricted.Areas.Equal(viewPages) {
		t.Errorf("%+v", restricted)
	}
	diff(t, "access when restricted", viewPages, w.access(eye, w.client).Areas)

	must[agency.Profile](t)(w.revoke())
	if got := w.access(eye, w.client); got.Allowed || got.Reason != agency.HasEnded {
		t.Errorf("access when revoked: %+v", got)
	}
	if p := must[agency.Profile](t)(w.revoke()); p.Status != agency.Revoked {
		t.Errorf("revoked again: %+v", p)
	}
	if _, err := w.request(); agency.CodeOf(err) != agency.Cooling {
		t.Errorf("asked just after a revocation: %v", err)
	}
	w.advance(30 * day)
	p := must[agency.Profile](t)(w.request())
	if p.Request.Number != 2 || !p.ShownAreas().Equal(editAll) {
		t.Errorf("asked again: %+v", p)
	}
	if _, err := w.accept(w.ann, 1); agency.CodeOf(err) != agency.Conflict {
		t.Errorf("the first request was accepted for the second: %v", err)
	}
	must[agency.Profile](t)(w.WithdrawRequest(ctx, w.gil, w.agency, w.con))
	must[agency.Profile](t)(w.WithdrawRequest(ctx, w.gus, w.agency, w.con))
	must[agency.Profile](t)(w.request())
	w.advance(lifetime)
	// Its time is over, and nobody has recorded it: both at once.
	if p = must[agency.Profile](t)(w.request()); p.Request.Number != 4 || p.Status != agency.Pending {
		t.Errorf("asked after an expiry: %+v", p)
	}
	must[agency.Profile](t)(w.DenyRequest(ctx, as(w.bob), w.client, w.agency, false))
	w.advance(30 * day)
	must[agency.Profile](t)(w.request())
	must[agency.Profile](t)(w.accept(w.ann, 5))
	must[agency.Profile](t)(w.LeaveAccount(ctx, w.gil, w.agency, w.con))
	diff(t, "counts at the end", service.Counts{Owned: 1}, must[service.Counts](t)(w.store.Counts(ctx, w.agency)))
	diff(t, "events", []string{
		"account.opened", "person.added", "person.added",
		"connection.requested", "connection.resent", "connection.accepted", "connection.restricted", "connection.revoked",
		"connection.requested", "connection.withdrawn", "connection.requested", "connection.expired", "connection.requested", "connection.denied",
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
	made := must[service.AccountView](t)(w.CreateAccount(ctx, w.gus, w.agency, key16(9), in))
	if made.Ownership != agency.AgencyOwned || made.Owner != w.agency || made.Name != "Shop of Olga" || made.Owners != 0 || made.AgencyOn {
		t.Errorf("%+v", made)
	}
	full := agency.Access{Allowed: true, Areas: editAll, Via: string(w.agency), Ownership: agency.AgencyOwned, Payer: agency.AgencyOwned}
	diff(t, "the agency's access", full, w.access(as(w.gus, w.agency), made.ID))
	// Client access is given, changed and taken.
	member := agency.Party(w.olga.ID())
	p, added, err := w.InvitePerson(ctx, as(w.gus, w.agency), made.ID, service.Invitation{Email: "OLGA@x.test", Role: agency.Member, Areas: viewPages})
	if err != nil || !added || p.Role != agency.Member || p.Ownership != agency.AgencyOwned {
		t.Errorf("%+v, %t, %v", p, added, err)
	}
	diff(t, "the client's access", viewPages, w.access(as(w.olga), made.ID).Areas)
	must[agency.Profile](t)(w.ChangeMember(ctx, as(w.gil, w.agency), made.ID, member, service.MemberChange{Areas: editPages}))
	diff(t, "the client's access changed", editPages, w.access(as(w.olga), made.ID).Areas)
	must[agency.Profile](t)(w.RemoveMember(ctx, as(w.gil, w.agency), made.ID, member, false))
	if got := w.access(as(w.olga), made.ID); got.Allowed || got.Reason != agency.HasEnded {
		t.Errorf("%+v", got)
	}
	diff(t, "events", []string{"account.created", "person.added", "person.changed", "person.removed"}, w.events(made.ID))
	diff(t, "events with a client", []string{"account.created"}, w.events(w.owned))
	first := must[service.List[agency.Event]](t)(w.store.Activity(ctx, w.owned, "", service.Page{Limit: 1})).Items[0]
	if first.Client != w.olga.ID() || first.Agency != w.agency || first.Now.Name != "Owned" {
		t.Errorf("%+v", first)
	}
	// What happens in an owned account concerns the agency that owns it.
	for _, e := range must[service.List[agency.Event]](t)(w.store.Activity(ctx, made.ID, w.agency, service.Page{Limit: 10})).Items {
		if e.Agency != w.agency || e.Ownership != agency.AgencyOwned {
			t.Errorf("%s concerns %q", e.Type, e.Agency)
		}
		hat := w.agency
		if e.Type == agency.AccountCreated {
			hat = "" // from the hub, on nobody's behalf
		}
		if e.As != hat || e.Actor != w.gus.ID() && e.Actor != w.gil.ID() {
			t.Errorf("%s by %q as %q", e.Type, e.Actor, e.As)
		}
	}
	diff(t, "lines of the agency", 4, len(must[service.List[agency.Event]](t)(w.store.Activity(ctx, made.ID, w.agency, service.Page{Limit: 10})).Items))

	// The client of an owned account may go.
	must[agency.Profile](t)(w.RemoveMember(ctx, as(w.olga), w.owned, member, false))
	must[agency.Profile](t)(w.RemoveMember(ctx, as(w.olga), w.owned, member, false))
	must[service.AccountView](t)(w.RenameAccount(ctx, as(w.gus, w.agency), w.owned, "New name"))
	diff(t, "events", []string{"account.created", "person.left", "account.renamed"}, w.events(w.owned))
	if got := must[service.AccountView](t)(w.GetAccount(ctx, as(w.gem, w.agency), w.owned)); got.Name != "New name" || got.Role != "" || !got.Access.Areas.Equal(editPages) {
		t.Errorf("%+v", got)
	}
	w.audit(t)
}

func TestPersonsStory(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	eve := agency.Party(w.eve.ID())
	invite := func(role agency.Role, areas agency.Areas) (agency.Profile, bool) {
		t.Helper()
		p, added, err := w.InvitePerson(ctx, as(w.ann), w.client, service.Invitation{Email: w.eve.Email, Role: role, Areas: areas})
		if err != nil {
			t.Fatal(err)
		}
		return p, added
	}
	if _, added := invite(agency.Member, viewPages); !added {
		t.Error("not added")
	}
	if p, added := invite(agency.Owner, nil); added || p.Role != agency.Owner || !p.Areas.Equal(editAll) {
		t.Errorf("%+v, %t", p, added)
	}
	diff(t, "owners", 2, w.owners(w.client))
	p := must[agency.Profile](t)(w.ChangeMember(ctx, as(w.eve), w.client, agency.Party(w.ann.ID()), service.MemberChange{Role: agency.Member, Areas: viewPages}))
	if p.Role != agency.Member || !p.Areas.Equal(viewPages) {
		t.Errorf("%+v", p)
	}
	diff(t, "owners", 1, w.owners(w.client))
	if got := must[service.AccountView](t)(w.GetAccount(ctx, as(w.ann), w.client)); got.Role != agency.Member || !got.Access.Areas.Equal(viewPages) {
		t.Errorf("%+v", got)
	}
	must[agency.Profile](t)(w.ChangeMember(ctx, as(w.eve), w.client, agency.Party(w.ann.ID()), service.MemberChange{Role: agency.Owner}))
	must[agency.Profile](t)(w.RemoveMember(ctx, as(w.ann), w.client, eve, false))
	must[agency.Profile](t)(w.RemoveMember(ctx, as(w.ann), w.client, eve, false))
	if _, added := invite(agency.Admin, nil); !added {
		t.Error("not added anew")
	}
	must[agency.Profile](t)(w.RemoveMember(ctx, as(w.eve), w.client, eve, false))
	must[agency.Profile](t)(w.RemoveMember(ctx, as(w.eve), w.client, eve, false))
	diff(t, "events", []string{
		"account.opened", "person.added", "person.added", "person.added", "person.changed", "person.changed", "person.changed", "person.removed", "person.added", "person.left",
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

func (w *world) owners(id agency.AccountID) int {
	w.t.Helper()
	read := must[service.Snapshot](w.t)(w.store.Load(w.t.Context(), service.Want{Accounts: []agency.AccountID{id}}))
	return read.Account(id).Owners
}

// Each command is one batch read and one transaction, and each check of access
// with an agency named is one batch read.
func TestACommandIsOneReadAndOneWrite(t *testing.T) {
	type calls map[string]int
	command, check := calls{"BatchGetItem": 1, "TransactWriteItems": 1}, calls{"BatchGetItem": 1}
	newcomer := service.Invitation{Email: "new@x.test", Role: agency.Member, Areas: viewPages}
	fresh := func(w *world) *world { return w }
	for _, tt := range []struct {
		name   string
		before func(*world) *world
		do     func(*world) error
		want   calls
	}{
		{"open", fresh, func(w *world) error { return second(w.OpenAccount(w.t.Context(), w.eve, key16(1), "Eve's")) }, command},
		{"open again", fresh, func(w *world) error { return second(w.OpenAccount(w.t.Context(), w.ann, key16(1), "Client")) }, check},
		{"create", fresh, func(w *world) error {
			return second(w.CreateAccount(w.t.Context(), w.gil, w.agency, key16(3), service.NewClientAccount{
				Name: "New", Plan: "starter", ConfirmPermanentOwnership: true, Client: &service.NewClient{Email: "new@x.test", Areas: viewPages},
			}))
		}, command},
		{"rename", fresh, func(w *world) error { return second(w.RenameAccount(w.t.Context(), as(w.ann), w.client, "New")) }, command},
		{"rename as", fresh, func(w *world) error {
			return second(w.RenameAccount(w.t.Context(), as(w.gil, w.agency), w.owned, "New"))
		}, command},
		{"rename to the same", fresh, func(w *world) error { return second(w.RenameAccount(w.t.Context(), as(w.ann), w.client, "Client")) }, check},
		{"hub on", fresh, func(w *world) error { return second(w.SwitchAgencyOn(w.t.Context(), w.ann, w.client)) }, command},
		{"hub on again", fresh, func(w *world) error { return second(w.SwitchAgencyOn(w.t.Context(), w.gil, w.agency)) }, check},
		{"invite", fresh, func(w *world) error { return third(w.InvitePerson(w.t.Context(), as(w.ann), w.client, newcomer)) }, command},
		{"invite an owner", fresh, func(w *world) error {
			return third(w.InvitePerson(w.t.Context(), as(w.ann), w.client, service.Invitation{Email: w.bob.Email, Role: agency.Owner}))
		}, command},
		{"invite as", fresh, func(w *world) error {
			return third(w.InvitePerson(w.t.Context(), as(w.gus, w.agency), w.owned, newcomer))
		}, command},
		{"change", fresh, func(w *world) error {
			return second(w.ChangeMember(w.t.Context(), as(w.ann), w.client, agency.Party(w.mem.ID()), service.MemberChange{Role: agency.Owner}))
		}, command},
		{"change again", fresh, func(w *world) error {
			return second(w.ChangeMember(w.t.Context(), as(w.ann), w.client, agency.Party(w.bob.ID()), service.MemberChange{Role: agency.Admin}))
		}, check},
		{"remove", fresh, func(w *world) error {
			return second(w.RemoveMember(w.t.Context(), as(w.ann), w.client, agency.Party(w.mem.ID()), false))
		}, command},
		{"leave a team", fresh, func(w *world) error {
			return second(w.RemoveMember(w.t.Context(), as(w.mem), w.client, agency.Party(w.mem.ID()), false))
		}, command},
		{"request", fresh, func(w *world) error { return second(w.request()) }, command},
		{"resend", func(w *world) *world { w.pending().advance(day); return w }, func(w *world) error { return second(w.ResendRequest(w.t.Context(), w.gil, w.agency, w.con)) }, command},
		{"withdraw", (*world).pending, func(w *world) error { return second(w.WithdrawRequest(w.t.Context(), w.gil, w.agency, w.con)) }, command},
		{"accept", (*world).pending, func(w *world) error { return second(w.accept(w.ann, 1)) }, command},
		{"accept again", (*world).connected, func(w *world) error { return second(w.accept(w.ann, 1)) }, check},
		{"deny", (*world).pending, func(w *world) error {
			return second(w.DenyRequest(w.t.Context(), as(w.ann), w.client, w.agency, false))
		}, command},
		{"restrict", (*world).connected, func(w *world) error {
			return second(w.ChangeMember(w.t.Context(), as(w.ann), w.client, agency.Party(w.agency), service.MemberChange{Areas: viewPages}))
		}, command},
		{"revoke", (*world).connected, func(w *world) error { return second(w.revoke()) }, command},
		{"leave", (*world).connected, func(w *world) error { return second(w.LeaveAccount(w.t.Context(), w.gil, w.agency, w.con)) }, command},
		{"expire", func(w *world) *world { w.pending().advance(lifetime); return w }, func(w *world) error {
			return second(w.SweepProfile(w.t.Context(), agency.AgencyAt(w.client, w.agency)))
		}, command},
		{"expire what has time", (*world).pending, func(w *world) error {
			return second(w.SweepProfile(w.t.Context(), agency.AgencyAt(w.client, w.agency)))
		}, check},
		{"expire nothing", fresh, func(w *world) error {
			return second(w.SweepProfile(w.t.Context(), agency.AgencyAt(w.client, w.agency)))
		}, check},

		{"request by email", fresh, func(w *world) error { return second(w.ask(w.ann)) }, command},
		{"resend by email", func(w *world) *world { w.mailed().advance(day); return w }, func(w *world) error {
			return second(w.ResendRequest(w.t.Context(), w.gil, w.agency, w.byMail(w.ann)))
		}, command},
		{"withdraw by email", (*world).mailed, func(w *world) error {
			return second(w.WithdrawRequest(w.t.Context(), w.gil, w.agency, w.byMail(w.ann)))
		}, command},
		{"take a request up", (*world).mailed, func(w *world) error { return second(w.into(w.ann, w.client, 1)) }, command},
		{"take a request up, where one has expired", func(w *world) *world {
			w.pending().advance(lifetime)
			return w.mailed()
		}, func(w *world) error { return second(w.into(w.ann, w.client, 1)) }, command},
		{"take a request up again", func(w *world) *world {
			must[agency.Profile](w.t)(w.mailed().into(w.ann, w.client, 1))
			return w
		}, func(w *world) error { return second(w.into(w.ann, w.client, 1)) }, check},
		{"deny by email and block", (*world).mailed, func(w *world) error {
			return second(w.DenyRequestByID(w.t.Context(), w.ann, w.byMail(w.ann), true))
		}, command},
		{"deny and block", (*world).pending, func(w *world) error { return second(w.deny(w.ann, true)) }, command},
		{"dismiss and block", func(w *world) *world { w.pending().advance(lifetime); return w }, func(w *world) error { return second(w.deny(w.ann, true)) }, command},
		{"revoke and block", (*world).connected, func(w *world) error {
			return second(w.RemoveMember(w.t.Context(), as(w.ann), w.client, agency.Party(w.agency), true))
		}, command},
		{"unblock", func(w *world) *world { must[agency.Profile](w.t)(w.pending().deny(w.ann, true)); return w }, func(w *world) error {
			return second(w.Unblock(w.t.Context(), as(w.ann), w.client, w.agency))
		}, command},
		{"unblock for me", func(w *world) *world { must[agency.Profile](w.t)(w.pending().deny(w.ann, true)); return w }, func(w *world) error {
			return second(w.UnblockForMe(w.t.Context(), w.ann, w.con))
		}, command},
		{"request anew after a lapse", func(w *world) *world { w.connected().ends(day); w.advance(2 * day); return w }, func(w *world) error {
			return second(w.request())
		}, command},
		{"set an end", (*world).connected, func(w *world) error {
			until := noon.Add(day)
			return second(w.ChangeMember(w.t.Context(), as(w.ann), w.client, agency.Party(w.agency), service.MemberChange{Until: &until}))
		}, command},
		{"assign", fresh, func(w *world) error {
			return second(w.ChangeMember(w.t.Context(), as(w.gil), w.agency, agency.Party(w.gem.ID()), service.MemberChange{Clients: &[]agency.AccountID{w.client}}))
		}, command},
		{"close", fresh, func(w *world) error { return w.close(as(w.ann), w.client) }, command},
		{"close as", fresh, func(w *world) error { return w.close(as(w.gil, w.agency), w.owned) }, command},
		{"hub off", func(w *world) *world {
			must[service.AccountView](w.t)(w.SwitchAgencyOn(w.t.Context(), w.ann, w.client))
			return w
		}, func(w *world) error { return second(w.SwitchAgencyOff(w.t.Context(), w.ann, w.client)) }, command},
		{"remind", func(w *world) *world { w.pending().advance(11 * day); return w }, func(w *world) error {
			return second(w.SweepProfile(w.t.Context(), agency.AgencyAt(w.client, w.agency)))
		}, command},
		{"warn", func(w *world) *world { w.connected().ends(10 * day); w.advance(3 * day); return w }, func(w *world) error {
			return second(w.SweepProfile(w.t.Context(), agency.AgencyAt(w.client, w.agency)))
		}, command},
		{"lapse", func(w *world) *world { w.connected().ends(day); w.advance(day); return w }, func(w *world) error {
			return second(w.SweepProfile(w.t.Context(), agency.AgencyAt(w.client, w.agency)))
		}, command},
		{"collect", func(w *world) *world {
			must[agency.Profile](w.t)(w.connected().revoke())
			w.advance(90 * day)
			w.collected = true
			return w
		}, func(w *world) error {
			return second(w.SweepProfile(w.t.Context(), agency.AgencyAt(w.client, w.agency)))
		}, command},
		// The exceptions: an erasing begins by looking for what would stop it.
		{"erase me", fresh, func(w *world) error { return w.EraseMe(w.t.Context(), w.mem) }, calls{"Query": 1, "BatchGetItem": 1, "TransactWriteItems": 1}},
		{"erase me, an owner", func(w *world) *world { w.let(w.ann, w.client, w.bob, agency.Owner); return w }, func(w *world) error {
			return w.EraseMe(w.t.Context(), w.bob)
		}, calls{"Query": 1, "BatchGetItem": 2, "TransactWriteItems": 1}},
		{"erase me again", func(w *world) *world {
			if err := w.EraseMe(w.t.Context(), w.mem); err != nil {
				w.t.Fatal(err)
			}
			return w
		}, func(w *world) error { return w.EraseMe(w.t.Context(), w.mem) }, calls{"Query": 1, "BatchGetItem": 1}},

		{"see a request", (*world).pending, func(w *world) error { return second(w.GetRequest(w.t.Context(), w.ann, w.con)) }, check},
		{"see a request by email", (*world).mailed, func(w *world) error { return second(w.GetRequest(w.t.Context(), w.ann, w.byMail(w.ann))) }, check},
		{"see an account", fresh, func(w *world) error { return second(w.GetAccount(w.t.Context(), as(w.mem), w.client)) }, check},
		{"see an account as", fresh, func(w *world) error { return second(w.GetAccount(w.t.Context(), as(w.gem, w.agency), w.owned)) }, check},
		{"see a connection", (*world).connected, func(w *world) error { return second(w.GetConnection(w.t.Context(), w.gem, w.agency, w.con)) }, check},
		{"access as", (*world).connected, func(w *world) error { return second(w.CheckAccess(w.t.Context(), as(w.gil, w.agency), w.client)) }, check},
		{"access as, a stranger", fresh, func(w *world) error { return second(w.CheckAccess(w.t.Context(), as(w.eve, w.agency), w.client)) }, check},
		{"access as, an unknown account", fresh, func(w *world) error {
			return second(w.CheckAccess(w.t.Context(), as(w.gil, w.agency), agency.NewAccountID("per_x", "unknown")))
		}, check},
		{"access of one's own", fresh, func(w *world) error { return second(w.CheckAccess(w.t.Context(), as(w.eve), w.client)) }, check},
		{"access through any agency", (*world).connected, func(w *world) error { return second(w.CheckAccess(w.t.Context(), as(w.gil), w.client)) }, calls{"BatchGetItem": 2}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := tt.before(newWorld(t))
			w.TakeCalls()
			if err := tt.do(w); err != nil {
				t.Fatal(err)
			}
			diff(t, "calls", tt.want, calls(w.TakeCalls()))
			w.audit(t)
		})
	}
}

// mailed is with a request to the client's owner by email.
func (w *world) mailed() *world {
	w.t.Helper()
	must[agency.Profile](w.t)(w.ask(w.ann))
	return w
}

func second[T any](_ T, err error) error        { return err }
func third[T, U any](_ T, _ U, err error) error { return err }

func TestWhatIsRepeatedChangesNothing(t *testing.T) {
	w := newWorld(t).connected()
	ctx := t.Context()
	before := testbed.Items(t, w.db, w.name)
	for name, do := range map[string]func() error{
		"open":   func() error { return second(w.OpenAccount(ctx, w.ann, key16(1), " Client ")) },
		"hub on": func() error { return second(w.SwitchAgencyOn(ctx, w.gil, w.agency)) },
		"rename": func() error { return second(w.RenameAccount(ctx, as(w.ann), w.client, "Client ")) },
		"accept": func() error { return second(w.accept(w.bob, 1)) },
		"restrict": func() error {
			return second(w.ChangeMember(ctx, as(w.ann), w.client, agency.Party(w.agency), service.MemberChange{Areas: editAll}))
		},
		"change": func() error {
			return second(w.ChangeMember(ctx, as(w.ann), w.client, agency.Party(w.mem.ID()), service.MemberChange{Areas: editPages}))
		},
		"same role": func() error {
			return second(w.ChangeMember(ctx, as(w.ann), w.client, agency.Party(w.ann.ID()), service.MemberChange{Role: agency.Owner}))
		},
		"me":       func() error { return second(w.Me(ctx, w.ann)) },
		"see":      func() error { return second(w.GetAccount(ctx, as(w.ann), w.client)) },
		"team":     func() error { return second(w.Team(ctx, as(w.ann), w.client, service.Page{Limit: 10})) },
		"activity": func() error { return second(w.AccountActivity(ctx, as(w.ann), w.client, service.Page{Limit: 10})) },
		"clients": func() error {
			return third(w.Clients(ctx, w.gem, w.agency, service.ClientFilter{}, service.Page{Limit: 10}))
		},
		"create": func() error {
			return second(w.CreateAccount(ctx, w.gus, w.agency, key16(2), service.NewClientAccount{
				Name: "Owned", Plan: "growth", ConfirmPermanentOwnership: true, Client: &service.NewClient{Email: " OLGA@x.test", Areas: agency.Areas{"pages": agency.View}},
			}))
		},
	} {
		if err := do(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		testbed.SameItems(t, before, testbed.Items(t, w.db, w.name))
	}

	// Someone who has never used the access, invited twice alike.
	invite := func() error {
		return third(w.InvitePerson(ctx, as(w.ann), w.client, service.Invitation{Email: w.eve.Email, Role: agency.Member, Areas: viewPages}))
	}
	if err := invite(); err != nil {
		t.Fatal(err)
	}
	before = testbed.Items(t, w.db, w.name)
	if err := invite(); err != nil {
		t.Fatal(err)
	}
	testbed.SameItems(t, before, testbed.Items(t, w.db, w.name))
}

// The first use binds a profile to the identity of the token; another identity
// with the same address is refused until invited again.
func TestAProfileBelongsToItsFirstUser(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	eve := w.eve
	w.let(w.ann, w.client, eve, agency.Admin)
	bound := func() agency.Profile {
		key := agency.PersonAt(w.client, eve.ID())
		return must[service.Snapshot](t)(w.store.Load(ctx, service.Want{Profiles: []agency.ProfileKey{key}})).Profile(key)
	}
	if p := bound(); p.Subject != "" || p.Issuer != "" {
		t.Fatalf("bound by an invitation: %+v", p)
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
		if _, err := w.RenameAccount(ctx, as(who), w.client, "Mine"); agency.CodeOf(err) != agency.IdentityChanged {
			t.Errorf("%v", err)
		}
		if list := must[service.List[service.AccountView]](t)(w.MyAccounts(ctx, who, service.Page{Limit: 10})); len(list.Items) != 0 {
			t.Errorf("%+v", list.Items)
		}
		must[agency.Person](t)(w.Me(ctx, who))
		if p := bound(); p.Subject != eve.Subject || p.Issuer != eve.Issuer {
			t.Errorf("bound anew: %+v", p)
		}
	}
	// Invited again, whoever comes first has it.
	w.let(w.ann, w.client, eve, agency.Admin)
	must[agency.Person](t)(w.Me(ctx, another))
	if p := bound(); p.Subject != another.Subject {
		t.Errorf("not bound by me: %+v", p)
	}
	if _, err := w.RenameAccount(ctx, as(eve), w.client, "Mine"); agency.CodeOf(err) != agency.IdentityChanged {
		t.Errorf("%v", err)
	}
	// A command binds too, in its own transaction.
	w.let(w.ann, w.client, eve, agency.Admin)
	w.TakeCalls()
	must[service.AccountView](t)(w.RenameAccount(ctx, as(eve), w.client, "Mine"))
	diff(t, "calls", map[string]int{"BatchGetItem": 1, "TransactWriteItems": 1}, w.TakeCalls())
	if p := bound(); p.Subject != eve.Subject {
		t.Errorf("not bound by a command: %+v", p)
	}
	// Also where the caller's own row is the command's target.
	w.let(w.ann, w.client, eve, agency.Admin)
	if p := must[agency.Profile](t)(w.RemoveMember(ctx, as(eve), w.client, agency.Party(eve.ID()), false)); p.Status != agency.Left || p.Subject != eve.Subject {
		t.Errorf("%+v", p)
	}
	// In the hat of an agency it is the profile in the agency that is bound.
	w.let(w.gil, w.agency, eve, agency.Admin)
	must[service.AccountView](t)(w.GetAccount(ctx, as(eve, w.agency), w.owned))
	if _, err := w.GetAccount(ctx, as(another, w.agency), w.owned); agency.CodeOf(err) != agency.IdentityChanged {
		t.Errorf("%v", err)
	}
	w.audit(t)
}

func TestOneIdempotencyKeyMakesOneAccount(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	in := service.NewClientAccount{Name: "Once", Plan: "starter", ConfirmPermanentOwnership: true, Client: &service.NewClient{Email: "c@x.test", Areas: viewPages}}
	for name, do := range map[string]func() (service.AccountView, error){
		"open":   func() (service.AccountView, error) { return w.OpenAccount(ctx, w.eve, key16(7), "Eve's") },
		"create": func() (service.AccountView, error) { return w.CreateAccount(ctx, w.gil, w.agency, key16(7), in) },
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
	// The account as it is now.
	id := agency.NewAccountID(agency.Party(w.eve.ID()), key16(7))
	must[service.AccountView](t)(w.RenameAccount(ctx, as(w.eve), id, "Renamed"))
	if again := must[service.AccountView](t)(w.OpenAccount(ctx, w.eve, key16(7), "Eve's")); again.Name != "Renamed" {
		t.Errorf("%+v", again)
	}
	before := testbed.Items(t, w.db, w.name)
	other, dearer, nobody, clientless := in, in, in, in
	other.Name, dearer.Plan, clientless.Client = "Twice", "growth", nil
	nobody.Client = &service.NewClient{Email: "d@x.test", Areas: viewPages}
	wider := in
	wider.Client = &service.NewClient{Email: "c@x.test", Areas: editPages}
	for _, clash := range []service.NewClientAccount{other, dearer, nobody, clientless, wider} {
		if _, err := w.CreateAccount(ctx, w.gil, w.agency, key16(7), clash); agency.CodeOf(err) != agency.IdempotencyMismatch {
			t.Errorf("%+v: %v", clash, err)
		}
	}
	if _, err := w.OpenAccount(ctx, w.eve, key16(7), "Another"); agency.CodeOf(err) != agency.IdempotencyMismatch {
		t.Error(err)
	}
	testbed.SameItems(t, before, testbed.Items(t, w.db, w.name))
	// Another's key is another key.
	if a := must[service.AccountView](t)(w.OpenAccount(ctx, w.bob, key16(7), "Eve's")); a.ID == id {
		t.Error("one account for two persons")
	}
}

func TestListsLeaveOutWhatTheClockHasEnded(t *testing.T) {
	w := newWorld(t).pending()
	ctx := t.Context()
	count := func(s agency.Status) int {
		list, _, err := w.Clients(ctx, w.gem, w.agency, service.ClientFilter{Status: s}, service.Page{Limit: 10})
		if err != nil {
			t.Fatal(err)
		}
		return len(list.Items)
	}
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

// An agency sees its own lines of a connected account and no other.
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
	diff(t, "the client's lines", 5, len(must[service.List[agency.Event]](t)(w.AccountActivity(ctx, as(w.bob), w.client, page)).Items))
	diff(t, "the client's team", 4, len(must[service.List[agency.Profile]](t)(w.Team(ctx, as(w.bob), w.client, page)).Items))
	diff(t, "the owned account's team", 2, len(must[service.List[agency.Profile]](t)(w.Team(ctx, as(w.gus, w.agency), w.owned, page)).Items))
}

// A caller's own account, with its own hat on.
func TestAnAgencyIsNoClientOfItself(t *testing.T) {
	w := newWorld(t)
	if _, err := w.GetAccount(t.Context(), as(w.gil, w.agency), w.agency); agency.CodeOf(err) != agency.NotFound {
		t.Errorf("%v", err)
	}
	if _, err := w.Team(t.Context(), as(w.gil, w.agency), w.agency, service.Page{Limit: 10}); agency.CodeOf(err) != agency.NotFound {
		t.Errorf("%v", err)
	}
	diff(t, "access", agency.ViaOwn, w.access(as(w.gil, w.agency), w.agency).Via)
}
