package service_test

import (
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"agencyhub/shared/agency"
	"agencyhub/shared/service"
	"agencyhub/shared/testbed"
)

// limitClients limits a member of the agency to some of its clients.
func (w *world) limitClients(who agency.Actor, to ...agency.AccountID) {
	w.t.Helper()
	if to == nil {
		to = []agency.AccountID{}
	}
	must[agency.Profile](w.t)(w.ChangeMember(w.t.Context(), as(w.gil), w.agency, party(who), service.MemberChange{Clients: &to}))
}

// The staff of an agency have access to its clients through its connection, never above what the
// client granted, nor above their own areas in the agency.
func TestStaffReachClientsThroughTheAgency(t *testing.T) {
	ctx := t.Context()
	for _, tt := range []struct {
		name           string
		granted        agency.Areas
		owner, member  agency.Areas
		ownedToMembers agency.Areas
	}{
		{"everything", editAll, editAll, editPages, editPages},
		{"some of it", agency.Areas{"pages": agency.View, "mail": agency.Edit}, agency.Areas{"pages": agency.View, "mail": agency.Edit}, viewPages, editPages},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			must[agency.Profile](t)(w.RequestConnection(ctx, w.gil, w.agency, service.ConnectionRequest{Account: w.client, Areas: tt.granted}))
			must[agency.Profile](t)(w.accept(w.ann, 1))
			for _, who := range []agency.Actor{w.gil, w.gus} {
				diff(t, "as", tt.owner, w.access(as(who, w.agency), w.client).Areas)
				diff(t, "without as", tt.owner, w.access(as(who), w.client).Areas)
				diff(t, "owned", editAll, w.access(as(who, w.agency), w.owned).Areas)
			}
			diff(t, "a member, as", tt.member, w.access(as(w.gem, w.agency), w.client).Areas)
			diff(t, "a member, without as", tt.member, w.access(as(w.gem), w.client).Areas)
			diff(t, "a member, owned", tt.ownedToMembers, w.access(as(w.gem, w.agency), w.owned).Areas)
			// What a member of the agency may do besides.
			diff(t, "seen", tt.member, must[service.AccountView](t)(w.GetAccount(ctx, as(w.gem, w.agency), w.client)).Access.Areas)
			allRefused(t, agency.Forbidden, map[string]error{
				"team":               second(w.Team(ctx, as(w.gem, w.agency), w.client, service.Page{Limit: 1})),
				"activity":           second(w.AccountActivity(ctx, as(w.gem, w.agency), w.client, service.Page{Limit: 1})),
				"rename":             second(w.RenameAccount(ctx, as(w.gem, w.agency), w.owned, "Mine")),
				"request":            second(w.RequestConnection(ctx, w.gem, w.agency, service.ConnectionRequest{OwnerEmail: "x@x.test", Areas: viewPages})),
				"leave":              second(w.LeaveAccount(ctx, w.gem, w.agency, w.con)),
				"close":              second(w.CloseAccount(ctx, as(w.gem, w.agency), w.owned)),
				"close, by an admin": second(w.CloseAccount(ctx, as(w.gus, w.agency), w.owned)),
				"assign":             second(w.ChangeMember(ctx, as(w.gem), w.agency, party(w.gem), service.MemberChange{Clients: new([]agency.AccountID)})),
			})
			// Access passes through one agency only: the agency's own client has none.
			diff(t, "a stranger", agency.NoProfile, w.access(as(w.eve, w.agency), w.client).Reason)
			diff(t, "the client's owner in the agency's hat", agency.NoProfile, w.access(as(w.ann, w.agency), w.owned).Reason)
		})
	}
}

// A limited member sees nothing of clients outside their list.
func TestAssignedClients(t *testing.T) {
	w := newWorld(t).connected()
	ctx := t.Context()
	v := w.world("-v")
	v.gil, v.agency = w.gil, w.agency
	must[agency.Profile](t)(v.request())
	must[agency.Profile](t)(w.requestByEmail(w.eve))
	must[agency.Profile](t)(w.requestByEmail(w.mem))
	moved := w.mustOpen(w.mem, 7, "Moved")
	must[agency.Profile](t)(w.acceptInto(w.mem, moved, 1))
	foreign, unknown := v.owned, agency.NewAccountID("per_x", "unknown")
	vCon := agency.NewConnectionID(agency.Party(v.client), w.agency)

	type seen struct {
		List    []agency.AccountID
		Counts  service.Counts
		Details []agency.ConnectionID
		Access  []agency.AccountID
	}
	look := func(who agency.Actor) (s seen) {
		t.Helper()
		all, _ := testbed.Pages(t, 2, func(p service.Page) (list service.List[agency.Profile], err error) {
			list, s.Counts, err = w.Clients(ctx, who, w.agency, service.ClientFilter{}, p)
			return list, err
		})
		for _, c := range all {
			s.List = append(s.List, c.Account())
		}
		for _, id := range []agency.ConnectionID{w.con, w.ownCon, vCon, w.emailConnection(w.eve), w.emailConnection(w.mem), agency.NewConnectionID(agency.Party(moved), w.agency)} {
			_, err := w.GetConnection(ctx, who, w.agency, id)
			if err == nil {
				s.Details = append(s.Details, id)
			} else if agency.CodeOf(err) != agency.NotFound {
				t.Errorf("%s: %v", id, err)
			}
		}
		for _, id := range []agency.AccountID{w.client, w.owned, moved, foreign, unknown, v.client} {
			got, alone := w.access(as(who, w.agency), id), w.access(as(who), id)
			if got.Reason == agency.StillPending || id == v.client {
				// Without as, an agency that is not connected is not looked at.
				got.Reason, got.Ownership, got.Payer = agency.NoProfile, "", ""
			}
			diff(t, "with and without as", got, alone)
			_, err := w.GetAccount(ctx, as(who, w.agency), id)
			if (err == nil) != got.Allowed || err != nil && agency.CodeOf(err) != agency.NotFound {
				t.Errorf("%s: %+v, %v", id, got, err)
			}
			if got.Allowed {
				s.Access = append(s.Access, id)
			}
		}
		slices.Sort(s.List)
		return s
	}
	ids := func(of ...agency.AccountID) []agency.AccountID { slices.Sort(of); return of }
	cons := func(of ...agency.ConnectionID) []agency.ConnectionID { return of }
	movedCon := agency.NewConnectionID(agency.Party(moved), w.agency)

	all := look(w.gem)
	diff(t, "without a limit", seen{
		ids("", w.client, w.owned, moved, v.client), service.Counts{Owned: 1, Connected: 2, Pending: 2},
		cons(w.con, w.ownCon, vCon, w.emailConnection(w.eve), w.emailConnection(w.mem), movedCon), []agency.AccountID{w.client, w.owned, moved},
	}, all)
	w.limitClients(w.gem, w.client, foreign, unknown, w.client)
	diff(t, "limited to one", seen{ids(w.client), service.Counts{Connected: 1}, cons(w.con), []agency.AccountID{w.client}}, look(w.gem))
	diff(t, "why not", agency.NotAssigned, w.access(as(w.gem, w.agency), w.owned).Reason)
	diff(t, "why not, without as", agency.NotAssigned, w.access(as(w.gem), w.owned).Reason)
	diff(t, "a foreign id grants nothing", agency.NoProfile, w.access(as(w.gem, w.agency), foreign).Reason)
	diff(t, "an unknown id grants nothing", agency.NoProfile, w.access(as(w.gem, w.agency), unknown).Reason)
	w.limitClients(w.gem, v.client, w.owned)
	diff(t, "limited to others", seen{ids(w.owned, v.client), service.Counts{Owned: 1, Pending: 1}, cons(w.ownCon, vCon), []agency.AccountID{w.owned}}, look(w.gem))
	diff(t, "pending", agency.StillPending, w.access(as(w.gem, w.agency), v.client).Reason)
	w.limitClients(w.gem, moved)
	diff(t, "limited to what was moved", seen{ids(moved), service.Counts{Connected: 1}, cons(w.emailConnection(w.mem), movedCon), []agency.AccountID{moved}}, look(w.gem))
	w.limitClients(w.gem)
	diff(t, "limited to none", seen{}, look(w.gem))
	// A new invitation keeps the limit; owners and admins never have one.
	w.mustInvite(w.gil, w.agency, w.gem, agency.Member)
	diff(t, "invited again", seen{}, look(w.gem))
	must[agency.Profile](t)(w.ChangeMember(ctx, as(w.gil), w.agency, party(w.gem), service.MemberChange{Role: agency.Admin}))
	diff(t, "an admin", all, look(w.gem))
	must[agency.Profile](t)(w.ChangeMember(ctx, as(w.gil), w.agency, party(w.gem), service.MemberChange{Role: agency.Member, Areas: editPages}))
	diff(t, "a member again", all, look(w.gem))
	w.limitClients(w.gem, w.client)
	must[agency.Profile](t)(w.ChangeMember(ctx, as(w.gus), w.agency, party(w.gem), service.MemberChange{Clients: new([]agency.AccountID)}))
	diff(t, "the limit lifted", all, look(w.gem))
	w.audit(t)
}

// The list of a limited member is filtered like any other, read in one batch, and follows the
// clock.
func TestAssignedClientsAreListedAsOthers(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	var assigned []agency.AccountID
	for n := range 90 {
		id := w.mustOpen(w.ann, 100+n, fmt.Sprintf("%s %02d", []string{"Alpha", "Beta", "GAMMA"}[n%3], n))
		assigned = append(assigned, id)
		if n < 9 {
			must[agency.Profile](t)(w.RequestConnection(ctx, w.gil, w.agency, service.ConnectionRequest{Account: id, Areas: viewPages}))
		}
		if n < 6 {
			until := noon.Add(10 * day)
			must[agency.Profile](t)(w.AcceptRequest(ctx, as(w.ann), id, w.agency, service.Grant{Request: 1, Until: &until}))
		}
	}
	w.limitClients(w.gem, assigned...)
	count := func(filter service.ClientFilter) (names []string, counts service.Counts) {
		t.Helper()
		w.TakeCalls()
		list, counts, err := w.Clients(ctx, w.gem, w.agency, filter, service.Page{Limit: 1})
		if err != nil || list.Next != "" {
			t.Fatal(err, list.Next)
		}
		diff(t, "calls", map[string]int{"BatchGetItem": 2}, w.TakeCalls())
		for _, p := range list.Items {
			names = append(names, p.AccountName)
		}
		return names, counts
	}
	names, counts := count(service.ClientFilter{})
	diff(t, "all", 9, len(names))
	diff(t, "counts", service.Counts{Connected: 6, Pending: 3}, counts)
	names, _ = count(service.ClientFilter{Status: agency.Active})
	diff(t, "active, by name", []string{"Alpha 00", "Alpha 03", "Beta 01", "Beta 04", "GAMMA 02", "GAMMA 05"}, names)
	names, _ = count(service.ClientFilter{Status: agency.Active, Prefix: "gA"})
	diff(t, "by prefix", []string{"GAMMA 02", "GAMMA 05"}, names)
	names, _ = count(service.ClientFilter{Status: agency.Pending, Prefix: "alpha"})
	diff(t, "whom no name is known of", 0, len(names))
	w.advance(10 * day)
	names, counts = count(service.ClientFilter{Status: agency.Active})
	diff(t, "active, past their time", 0, len(names))
	diff(t, "counts", service.Counts{Pending: 3}, counts)
	w.advance(4 * day)
	names, counts = count(service.ClientFilter{Status: agency.Pending})
	diff(t, "pending, past their time", 0, len(names))
	diff(t, "counts", service.Counts{}, counts)
}

func TestWhatALimitMayBe(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	many := make([]agency.AccountID, 91)
	for n := range many {
		many[n] = agency.NewAccountID("per_x", strconv.Itoa(n))
	}
	past := noon.Add(day)
	before := w.items()
	for _, tt := range []struct {
		name   string
		in     agency.AccountID
		by     agency.Caller
		member agency.Party
		change service.MemberChange
		code   agency.Code
	}{
		{"too many", w.agency, as(w.gil), party(w.gem), service.MemberChange{Clients: &many}, agency.Invalid},
		{"no ids", w.agency, as(w.gil), party(w.gem), service.MemberChange{Clients: &[]agency.AccountID{w.client, "x"}}, agency.Invalid},
		{"a person's id", w.agency, as(w.gil), party(w.gem), service.MemberChange{Clients: &[]agency.AccountID{agency.AccountID(w.ann.ID())}}, agency.Invalid},
		{"an admin", w.agency, as(w.gil), party(w.gus), service.MemberChange{Clients: &[]agency.AccountID{w.client}}, agency.Invalid},
		{"an owner", w.agency, as(w.gil), party(w.gil), service.MemberChange{Clients: &[]agency.AccountID{}}, agency.Invalid},
		{"a member who becomes an admin", w.agency, as(w.gil), party(w.gem), service.MemberChange{Role: agency.Admin, Clients: &[]agency.AccountID{w.client}}, agency.Invalid},
		{"the client of an owned account", w.owned, as(w.gil, w.agency), party(w.olga), service.MemberChange{Clients: &[]agency.AccountID{w.client}}, agency.Invalid},
		{"an agency", w.client, as(w.ann), agency.Party(w.agency), service.MemberChange{Clients: &[]agency.AccountID{w.client}}, agency.Invalid},
		{"an end date for a person", w.agency, as(w.gil), party(w.gem), service.MemberChange{Until: &past}, agency.Invalid},
		{"nothing", w.agency, as(w.gil), party(w.gem), service.MemberChange{}, agency.Invalid},
		{"by a member", w.agency, as(w.gem), party(w.gem), service.MemberChange{Clients: new([]agency.AccountID)}, agency.Forbidden},
		{"a stranger", w.agency, as(w.gil), party(w.eve), service.MemberChange{Clients: &[]agency.AccountID{}}, agency.NotFound},
	} {
		refused(t, tt.name, tt.code, second(w.ChangeMember(ctx, tt.by, tt.in, tt.member, tt.change)))
	}
	testbed.SameItems(t, before, w.items())
	most := many[:90]
	w.limitClients(w.gem, most...)
	diff(t, "kept", most, w.profile(agency.PersonAt(w.agency, w.gem.ID())).Clients)
	w.limitClients(w.gem)
	if p := w.profile(agency.PersonAt(w.agency, w.gem.ID())); p.Clients == nil || len(p.Clients) != 0 {
		t.Errorf("limited to none is %v", p.Clients)
	}
}

// Access ends at its instant by the clock, on every path, recorded or not.
func TestAccessEndsAtItsInstant(t *testing.T) {
	w := newWorld(t).connected()
	ctx := t.Context()
	w.setEnd(10 * day)
	paths := func(allowed bool) {
		t.Helper()
		for name, c := range map[string]agency.Caller{"as": as(w.gil, w.agency), "without": as(w.gil), "a member, as": as(w.gem, w.agency), "a member, without": as(w.gem)} {
			got := w.access(c, w.client)
			want := agency.Reason("")
			switch {
			case !allowed && c.As == "":
				want = agency.NoProfile
			case !allowed:
				want = agency.HasLapsed
			}
			if got.Allowed != allowed || got.Reason != want {
				t.Errorf("%s: %+v", name, got)
			}
		}
		for name, err := range map[string]error{
			"see":      second(w.GetAccount(ctx, as(w.gil, w.agency), w.client)),
			"team":     second(w.Team(ctx, as(w.gil, w.agency), w.client, service.Page{Limit: 5})),
			"activity": second(w.AccountActivity(ctx, as(w.gil, w.agency), w.client, service.Page{Limit: 5})),
		} {
			if (err == nil) != allowed || err != nil && agency.CodeOf(err) != agency.NotFound {
				t.Errorf("%s: %v", name, err)
			}
		}
		active := w.clients(w.gil, service.ClientFilter{Status: agency.Active})
		diff(t, "active", map[bool]int{true: 2, false: 1}[allowed], len(active))
	}
	w.advance(10*day - time.Millisecond)
	paths(true)
	w.advance(time.Millisecond)
	paths(false)
	for name, err := range map[string]error{
		"restrict": second(w.ChangeMember(ctx, as(w.ann), w.client, agency.Party(w.agency), service.MemberChange{Areas: viewPages})),
		"revoke":   second(w.revoke()),
		"leave":    second(w.leave()),
	} {
		if refusal, ok := err.(*agency.Error); !ok || refusal.Code != agency.NotActive || refusal.State != agency.Lapsed { //nolint:errorlint // refusals are not wrapped
			t.Errorf("%s: %v", name, err)
		}
	}
	diff(t, "counts", service.Counts{Owned: 1, Connected: 1}, w.counts())
	// A new request records the lapse in the same command.
	w.TakeCalls()
	if p := must[agency.Profile](t)(w.request()); p.Request.Number != 2 || !p.Until.IsZero() || p.Version != 5 {
		t.Errorf("%+v", p)
	}
	diff(t, "calls", map[string]int{"BatchGetItem": 1, "TransactWriteItems": 1}, w.TakeCalls())
	diff(t, "counts", service.Counts{Owned: 1, Pending: 1}, w.counts())
	diff(t, "events", []string{"connection.requested", "connection.accepted", "connection.restricted", "connection.lapsed", "connection.requested"}, w.events(w.client)[5:])
	w.audit(t)
}

// The owner sets the end date when accepting, and later. The requested areas bound only the
// acceptance.
func TestEndDates(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	must[agency.Profile](t)(w.RequestConnection(ctx, w.gil, w.agency, service.ConnectionRequest{Account: w.client, Areas: viewPages}))
	until, past, never := noon.Add(20*day), noon, time.Time{}
	accept := func(areas agency.Areas, until *time.Time) error {
		return second(w.AcceptRequest(ctx, as(w.ann), w.client, w.agency, service.Grant{Request: 1, Areas: areas, Until: until}))
	}
	before := w.items()
	for name, err := range map[string]error{"more": accept(editPages, nil), "other areas": accept(agency.Areas{"mail": agency.View}, nil), "none": accept(agency.Areas{"pages": agency.None}, nil), "passed": accept(nil, &past)} {
		refused(t, name, agency.Invalid, err)
	}
	testbed.SameItems(t, before, w.items())
	noError(t, accept(nil, &until))
	key := agency.AgencyAt(w.client, w.agency)
	change := func(in service.MemberChange) agency.Profile {
		t.Helper()
		return must[agency.Profile](t)(w.ChangeMember(ctx, as(w.bob), w.client, agency.Party(w.agency), in))
	}
	if p := w.profile(key); !p.Until.Equal(until) || !p.RemindAt.Equal(until.Add(-7*day)) || !p.DueAt.Equal(p.RemindAt) {
		t.Errorf("%+v", p)
	}
	if p := change(service.MemberChange{Areas: editAll}); !p.Until.Equal(until) || !p.Areas.Equal(editAll) {
		t.Errorf("%+v", p)
	}
	if p := change(service.MemberChange{Until: &never}); !p.Until.IsZero() || !p.DueAt.IsZero() || !p.Areas.Equal(editAll) {
		t.Errorf("%+v", p)
	}
	refused(t, "an end date that has passed", agency.Invalid, second(w.ChangeMember(ctx, as(w.bob), w.client, agency.Party(w.agency), service.MemberChange{Until: &past})))
	change(service.MemberChange{Until: &until})

	// The clock warns 7 days and 1 day ahead, then ends the connection. When late, it does one
	// thing at a time.
	step := func(at time.Duration, want service.Outcome, event string) {
		t.Helper()
		was := len(w.events(w.client))
		w.setTime(noon.Add(at))
		w.TakeCalls()
		got := must[service.Outcome](t)(w.SweepProfile(ctx, key))
		calls := w.TakeCalls()
		if got != want {
			t.Errorf("after %s: %q, want %q", at, got, want)
		}
		happened := w.events(w.client)[was:]
		if want == service.OutcomeNone {
			diff(t, "calls", map[string]int{"BatchGetItem": 2}, calls)
			diff(t, "events", 0, len(happened))
			return
		}
		diff(t, "calls", map[string]int{"BatchGetItem": 1, "TransactWriteItems": 1}, calls)
		if event != "" {
			diff(t, "events", []string{event}, happened)
		}
	}
	step(13*day-time.Millisecond, service.OutcomeNone, "")
	step(13*day, service.OutcomeReminded, "connection.lapse_ahead")
	step(13*day, service.OutcomeNone, "")
	step(19*day+time.Hour, service.OutcomeReminded, "connection.lapse_ahead")
	step(19*day+time.Hour, service.OutcomeNone, "")
	step(21*day, service.OutcomeLapsed, "connection.lapsed")
	step(21*day, service.OutcomeNone, "")
	diff(t, "counts", service.Counts{Owned: 1}, w.counts())
	w.audit(t)
	// An ended connection is shown to both sides for 90 days from its end, then it is collected.
	step(110*day-time.Millisecond, service.OutcomeNone, "")
	must[agency.Profile](t)(w.GetConnection(ctx, w.gil, w.agency, w.con))
	step(110*day, service.OutcomeCollected, "")
	step(110*day, service.OutcomeNone, "")
	refused(t, "seen after 90 days", agency.NotFound, second(w.GetConnection(ctx, w.gil, w.agency, w.con)))
	w.collected = true
	w.audit(t)
	must[agency.Profile](t)(w.request())
	w.audit(t)
}

// A pending request is reminded of once, 3 days ahead. The reminder and the expiry happen once,
// even in concurrent sweeps.
func TestTheClockDoesThingsOnce(t *testing.T) {
	w := newWorld(t).pending()
	key := agency.AgencyAt(w.client, w.agency)
	for _, at := range []struct {
		ahead time.Duration
		did   service.Outcome
		event string
	}{{11 * day, service.OutcomeReminded, "connection.reminded"}, {3 * day, service.OutcomeExpired, "connection.expired"}} {
		w.advance(at.ahead)
		did := make(chan service.Outcome, 4)
		w.AfterBatch = barrier(cap(did))
		for range cap(did) {
			go func() {
				done, err := w.SweepProfile(t.Context(), key)
				if err != nil {
					t.Error(err)
				}
				did <- done
			}()
		}
		n := 0
		for range cap(did) {
			if <-did == at.did {
				n++
			}
		}
		w.AfterBatch = nil
		diff(t, string(at.did), 1, n)
		diff(t, at.event, 1, countOf(w.events(w.client), at.event))
	}
	w.audit(t)
}

// DynamoDB collects ended connections that the sweep left.
func TestWhatHasEndedHasATimeToLive(t *testing.T) {
	w := newWorld(t).connected()
	key := "ACCT#" + string(w.client) + " TEAM#" + string(w.agency)
	ttl := func() string { return testbed.Num(w.items()[key]["ttl"]) }
	diff(t, "active", "", ttl())
	must[agency.Profile](t)(w.revoke())
	kept := time.Unix(int64(atoi(ttl())), 0)
	if kept.Before(noon.Add(90*day)) || kept.After(noon.Add(100*day)) {
		t.Errorf("kept until %s", kept)
	}
	w.advance(30 * day)
	must[agency.Profile](t)(w.request())
	diff(t, "pending", "", ttl())
}
