package service_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"agencyhub/shared/agency"
	"agencyhub/shared/service"
	"agencyhub/shared/testbed"
)

// refusal is a call that is refused with a code and, for some codes, the state of the connection.
type refusal struct {
	name  string
	code  agency.Code
	state agency.Status
	call  func() error
}

// refusals is a world and the worlds whose client its agency has dealt with.
type refusals struct {
	*world
	party     agency.Party // of the agency
	waiting   *world       // its request is pending
	joined    *world       // it is connected
	expired   *world       // its request is past its expiry
	withdrawn *world       // its request was withdrawn
	off       *world       // another agency
	former    *world       // another agency, switched off after its request
}

var (
	unknownAccount   = agency.NewAccountID("per_x", "unknown")
	unknownPerson    = agency.Party(agency.NewPersonID("nobody@x.test"))
	toOwner, toAdmin = service.MemberChange{Role: agency.Owner}, service.MemberChange{Role: agency.Admin}
	toViewPages      = service.MemberChange{Areas: viewPages}
	newAdmin         = service.Invitation{Email: "new@x.test", Role: agency.Admin}
	someInvitation   = service.Invitation{Email: "new@x.test", Role: agency.Member, Areas: viewPages}
)

func newRefusals(t *testing.T) *refusals {
	t.Helper()
	w := newWorld(t)
	ctx := t.Context()
	stage := func(suffix string) *world {
		v := w.world(suffix)
		v.gil, v.gus, v.gem, v.agency = w.gil, w.gus, w.gem, w.agency
		v.con = agency.NewConnectionID(agency.Party(v.client), v.agency)
		return v
	}
	r := &refusals{world: w, party: agency.Party(w.agency), expired: stage("-expired").pending()}
	w.advance(lifetime)
	r.waiting, r.joined, r.withdrawn = stage("-waiting").pending(), stage("-joined").connected(), stage("-withdrawn").pending()
	must[agency.Profile](t)(w.WithdrawRequest(ctx, w.gil, w.agency, r.withdrawn.con))
	r.off, r.former = w.world("-off"), w.world("-gone").pending()
	read := must[service.Snapshot](t)(w.store.Load(ctx, service.Want{Accounts: []agency.AccountID{r.former.agency}}))
	former := read.Account(r.former.agency)
	former.AgencyOn = false
	former.Version++
	noError(t, w.store.Save(ctx, read, service.Changes{Accounts: []agency.Account{former}}))
	return r
}

// Each call function returns a call to make later.

func (r *refusals) callRequest(by agency.Actor, of, to agency.AccountID) func() error {
	return func() error {
		return second(r.RequestConnection(r.t.Context(), by, of, service.ConnectionRequest{Account: to, Areas: editAll}))
	}
}

func (r *refusals) callAccept(v *world, by agency.Actor, g service.Grant) func() error {
	return func() error { return second(r.AcceptRequest(r.t.Context(), as(by), v.client, v.agency, g)) }
}

func (r *refusals) callDecline(v *world, by agency.Actor) func() error {
	return func() error { return second(r.declineAt(as(by), v.client, v.agency, false)) }
}

func (r *refusals) callRemove(c agency.Caller, id agency.AccountID, m agency.Party) func() error {
	return func() error { return second(r.RemoveMember(r.t.Context(), c, id, m, false)) }
}

func (r *refusals) callChange(c agency.Caller, id agency.AccountID, m agency.Party, in service.MemberChange) func() error {
	return func() error { return second(r.ChangeMember(r.t.Context(), c, id, m, in)) }
}

func (r *refusals) callInvite(c agency.Caller, id agency.AccountID, in service.Invitation) func() error {
	return func() error { return third(r.InvitePerson(r.t.Context(), c, id, in)) }
}

func (r *refusals) callRename(c agency.Caller, id agency.AccountID) func() error {
	return func() error { return second(r.RenameAccount(r.t.Context(), c, id, "x")) }
}

func (r *refusals) callClients(by agency.Actor, of agency.AccountID, f service.ClientFilter) func() error {
	return func() error { return third(r.Clients(r.t.Context(), by, of, f, service.Page{Limit: 1})) }
}

func (r *refusals) callCreate(by agency.Actor, of agency.AccountID, change ...func(*service.NewClientAccount)) func() error {
	in := service.NewClientAccount{Name: "New", Plan: "starter", ConfirmPermanentOwnership: true}
	for _, do := range change {
		do(&in)
	}
	return func() error { return second(r.CreateAccount(r.t.Context(), by, of, idempotencyKey(50), in)) }
}

func callAt[C, T any](do func(context.Context, C, agency.AccountID) (T, error), c C, id agency.AccountID) func() error {
	return func() error { return second(do(context.Background(), c, id)) }
}

// connectionCommand is a command of an agency about one of its connections.
type connectionCommand func(context.Context, agency.Actor, agency.AccountID, agency.ConnectionID) (agency.Profile, error)

func (r *refusals) callOn(do connectionCommand, by agency.Actor, of agency.AccountID, id agency.ConnectionID) func() error {
	return func() error { return second(do(r.t.Context(), by, of, id)) }
}

// form is refused first.
func (r *refusals) form() []refusal {
	ctx := r.t.Context()
	return []refusal{
		{"open without a name", agency.Invalid, "", func() error { return second(r.OpenAccount(ctx, r.eve, idempotencyKey(51), " ")) }},
		{"create unconfirmed, by a stranger", agency.Invalid, "",
			r.callCreate(r.eve, r.agency, func(in *service.NewClientAccount) { in.ConfirmPermanentOwnership = false })},
		{"create on no plan", agency.Invalid, "", r.callCreate(r.gil, r.agency, func(in *service.NewClientAccount) { in.Plan = "free" })},
		{"create for nobody", agency.Invalid, "",
			r.callCreate(r.gil, r.agency, func(in *service.NewClientAccount) { in.Client = &service.NewClient{Email: "x", Areas: viewPages} })},
		{"create for somebody without areas", agency.Invalid, "",
			r.callCreate(r.gil, r.agency, func(in *service.NewClientAccount) { in.Client = &service.NewClient{Email: "c@x.test"} })},
		{"request of one's own", agency.Invalid, "", r.callRequest(r.gil, r.agency, r.agency)},
		{"request of nothing", agency.Invalid, "", func() error {
			return second(r.RequestConnection(ctx, r.gil, r.agency, service.ConnectionRequest{Account: r.client, Areas: agency.Areas{"pages": agency.None}}))
		}},
		{"request with a hostile message", agency.Invalid, "", func() error {
			return second(r.RequestConnection(ctx, r.gil, r.agency, service.ConnectionRequest{Account: r.client, Areas: editAll, Message: "\u202eolleh"}))
		}},
		{"request of unknown areas by somebody else", agency.Invalid, "", func() error {
			return second(r.RequestConnection(ctx, impostor(r.gil), r.agency, service.ConnectionRequest{Account: r.client, Areas: agency.Areas{"bank": agency.View}}))
		}},
		{"accept of unknown areas by a stranger", agency.Invalid, "",
			r.callAccept(r.waiting, r.eve, service.Grant{Request: 1, Areas: agency.Areas{"bank": agency.View}})},
		{"accept of nothing", agency.Invalid, "", r.callAccept(r.waiting, r.waiting.ann, service.Grant{Request: 1, Areas: agency.Areas{}})},
		{"invite an admin with areas", agency.Invalid, "",
			r.callInvite(as(r.ann), r.client, service.Invitation{Email: "new@x.test", Role: agency.Admin, Areas: viewPages})},
		{"invite a member without areas", agency.Invalid, "",
			r.callInvite(as(r.ann), r.client, service.Invitation{Email: "new@x.test", Role: agency.Member})},
		{"invite without a role", agency.Invalid, "", r.callInvite(as(r.ann), r.client, service.Invitation{Email: "new@x.test", Areas: viewPages})},
		{"invite to no address", agency.Invalid, "", r.callInvite(as(r.ann), r.client, service.Invitation{Email: "new", Role: agency.Admin})},
		{"change nothing", agency.Invalid, "", r.callChange(as(r.ann), r.client, party(r.mem), service.MemberChange{})},
		{"change to no role", agency.Invalid, "", r.callChange(as(r.ann), r.client, party(r.mem), service.MemberChange{Role: "king"})},
		{"areas for an admin", agency.Invalid, "", r.callChange(as(r.ann), r.client, party(r.bob), toViewPages)},
		{"a role for an agency", agency.Invalid, "",
			r.callChange(as(r.joined.ann), r.joined.client, r.party, service.MemberChange{Role: agency.Admin, Areas: viewPages})},
		{"as no agency's id", agency.Invalid, "", callAt(r.GetAccount, as(r.gil, "x"), r.owned)},
		{"access as no agency's id", agency.Invalid, "", callAt(r.CheckAccess, as(r.gil, "x"), r.owned)},
		{"access to no account's id", agency.Invalid, "", callAt(r.CheckAccess, as(r.gil), "x")},
		{"clients of no status", agency.Invalid, "", r.callClients(r.gil, r.agency, service.ClientFilter{Status: "busy"})},
		{"clients by a prefix of any status", agency.Invalid, "", r.callClients(r.gil, r.agency, service.ClientFilter{Prefix: "a"})},
	}
}

// identity is refused before anything is looked up.
func (r *refusals) identity() []refusal {
	return []refusal{
		{"request of an unknown account by somebody else", agency.IdentityChanged, "", r.callRequest(impostor(r.gil), r.agency, unknownAccount)},
		{"create by somebody else", agency.IdentityChanged, "", r.callCreate(impostor(r.gil), r.agency)},
		{"an unknown account in the hat, by somebody else", agency.IdentityChanged, "",
			callAt(r.GetAccount, as(impostor(r.gil), r.agency), unknownAccount)},
		{"an unknown member removed by somebody else", agency.IdentityChanged, "", r.callRemove(as(impostor(r.ann)), r.client, unknownPerson)},
		{"leave by somebody else", agency.IdentityChanged, "", r.callRemove(as(impostor(r.ann)), r.client, party(r.ann))},
		{"accept by somebody else", agency.IdentityChanged, "", r.callAccept(r.waiting, impostor(r.waiting.ann), service.Grant{Request: 1})},
		{"an unknown connection seen by somebody else", agency.IdentityChanged, "",
			r.callOn(r.GetConnection, impostor(r.gil), r.agency, agency.NewConnectionID(agency.Party(unknownAccount), r.agency))},
	}
}

// absence is refused before what the caller may not do. Who may not list a team is forbidden to act on any member.
func (r *refusals) absence() []refusal {
	ctx := r.t.Context()
	return []refusal{
		{"an unknown account", agency.NotFound, "", callAt(r.GetAccount, as(r.ann), unknownAccount)},
		{"an account's id that is none", agency.NotFound, "", callAt(r.GetAccount, as(r.ann), "acct_x#TEAM")},
		{"a stranger's account", agency.NotFound, "", callAt(r.GetAccount, as(r.eve), r.client)},
		{"rename a stranger's account", agency.NotFound, "", r.callRename(as(r.eve), r.client)},
		{"in the hat of an agency that is not connected", agency.NotFound, "", callAt(r.GetAccount, as(r.gil, r.agency), r.client)},
		{"in the hat of an agency that waits", agency.NotFound, "", callAt(r.GetAccount, as(r.gil, r.agency), r.waiting.client)},
		{"in the hat of a stranger's agency", agency.NotFound, "", callAt(r.GetAccount, as(r.eve, r.agency), r.owned)},
		{"owned account without the hat", agency.NotFound, "", callAt(r.GetAccount, as(r.gil), r.owned)},
		{"hub of a stranger's account", agency.NotFound, "", callAt(r.SwitchAgencyOn, r.eve, r.owned)},
		{"request by a member of an unknown account", agency.NotFound, "", r.callRequest(r.gem, r.agency, unknownAccount)},
		{"request for a stranger's agency", agency.NotFound, "", r.callRequest(r.eve, r.agency, r.client)},
		{"create for a stranger's agency", agency.NotFound, "", r.callCreate(r.eve, r.agency)},
		{"resend what is not there, by a member", agency.NotFound, "", r.callOn(r.ResendRequest, r.gem, r.agency, r.con)},
		{"withdraw another agency's", agency.NotFound, "", r.callOn(r.WithdrawRequest, r.off.gil, r.off.agency, r.waiting.con)},
		{"withdraw no connection's id", agency.NotFound, "", r.callOn(r.WithdrawRequest, r.gil, r.agency, "con_x")},
		{"accept what is not there, by a member", agency.Forbidden, "", func() error {
			return second(r.AcceptRequest(ctx, as(r.mem), r.client, r.agency, service.Grant{Request: 1}))
		}},
		{"accept by a stranger", agency.NotFound, "", r.callAccept(r.waiting, r.eve, service.Grant{Request: 1})},
		{"change who is not there", agency.NotFound, "", r.callChange(as(r.ann), r.client, unknownPerson, toAdmin)},
		{"change who is not there, by a member", agency.Forbidden, "", r.callChange(as(r.mem), r.client, unknownPerson, toAdmin)},
		{"remove who is not there, by a member", agency.Forbidden, "", r.callRemove(as(r.mem), r.client, unknownPerson)},
		{"remove nobody's id", agency.NotFound, "", r.callRemove(as(r.ann), r.client, "x")},
		{"leave where one is not", agency.NotFound, "", r.callRemove(as(r.eve), r.client, party(r.eve))},
		{"see no connection", agency.NotFound, "", r.callOn(r.GetConnection, r.gil, r.agency, r.con)},
	}
}

// ownership is refused before what the caller may not do.
func (r *refusals) ownership() []refusal {
	ctx := r.t.Context()
	return []refusal{
		{"request of an owned account", agency.PermanentlyOwned, "", r.callRequest(r.off.gil, r.off.agency, r.owned)},
		{"request of an owned account by a member", agency.PermanentlyOwned, "", r.callRequest(r.gem, r.agency, r.owned)},
		{"leave what is owned", agency.PermanentlyOwned, "", r.callOn(r.LeaveAccount, r.gil, r.agency, r.ownCon)},
		{"leave what is owned, by a member", agency.PermanentlyOwned, "", r.callOn(r.LeaveAccount, r.gem, r.agency, r.ownCon)},
		{"resend what is owned", agency.PermanentlyOwned, "", r.callOn(r.ResendRequest, r.gil, r.agency, r.ownCon)},
		{"withdraw what is owned", agency.PermanentlyOwned, "", r.callOn(r.WithdrawRequest, r.gil, r.agency, r.ownCon)},
		{"the client revokes the owner", agency.PermanentlyOwned, "", r.callRemove(as(r.olga), r.owned, r.party)},
		{"the client restricts the owner", agency.PermanentlyOwned, "", r.callChange(as(r.olga), r.owned, r.party, toViewPages)},
		{"the client accepts the owner", agency.PermanentlyOwned, "", func() error {
			return second(r.AcceptRequest(ctx, as(r.olga), r.owned, r.agency, service.Grant{}))
		}},
		{"the client declines the owner", agency.PermanentlyOwned, "", func() error {
			return second(r.declineAt(as(r.olga), r.owned, r.agency, false))
		}},
		{"the owner revokes itself", agency.PermanentlyOwned, "", r.callRemove(as(r.gil, r.agency), r.owned, r.party)},
		{"the owner's member revokes it", agency.PermanentlyOwned, "", r.callRemove(as(r.gem, r.agency), r.owned, r.party)},
		{"an owned account's hub", agency.PermanentlyOwned, "", callAt(r.SwitchAgencyOn, r.olga, r.owned)},
	}
}

// permission is refused before the state.
func (r *refusals) permission() []refusal {
	ctx := r.t.Context()
	return []refusal{
		{"rename by a member", agency.Forbidden, "", r.callRename(as(r.mem), r.client)},
		{"rename by the client of an owned account", agency.Forbidden, "", r.callRename(as(r.olga), r.owned)},
		{"rename by a connected agency", agency.Forbidden, "", r.callRename(as(r.gil, r.agency), r.joined.client)},
		{"rename by staff", agency.Forbidden, "", r.callRename(as(r.gem, r.agency), r.owned)},
		{"hub on by an admin", agency.Forbidden, "", callAt(r.SwitchAgencyOn, r.bob, r.client)},
		{"create by a member", agency.Forbidden, "", r.callCreate(r.gem, r.agency)},
		{"request by a member, of what waits", agency.Forbidden, "", r.callRequest(r.gem, r.agency, r.waiting.client)},
		{"withdraw by a member, of what is withdrawn", agency.Forbidden, "", r.callOn(r.WithdrawRequest, r.gem, r.agency, r.withdrawn.con)},
		{"accept by a member, past its time", agency.Forbidden, "", r.callAccept(r.expired, r.expired.mem, service.Grant{Request: 1})},
		{"decline by a member", agency.Forbidden, "", r.callDecline(r.waiting, r.waiting.mem)},
		{"the agency revokes itself from the client's side", agency.Forbidden, "", r.callRemove(as(r.gil, r.agency), r.joined.client, r.party)},
		{"the agency widens itself", agency.Forbidden, "",
			r.callChange(as(r.gil, r.agency), r.joined.client, r.party, service.MemberChange{Areas: editAll})},
		{"a connected agency invites", agency.Forbidden, "", r.callInvite(as(r.gil, r.agency), r.joined.client, someInvitation)},
		{"a member invites", agency.Forbidden, "", r.callInvite(as(r.mem), r.client, someInvitation)},
		{"staff invites", agency.Forbidden, "", r.callInvite(as(r.gem, r.agency), r.owned, someInvitation)},
		{"the client of an owned account invites", agency.Forbidden, "", r.callInvite(as(r.olga), r.owned, someInvitation)},
		{"an admin makes an owner", agency.Forbidden, "",
			r.callInvite(as(r.bob), r.client, service.Invitation{Email: "new@x.test", Role: agency.Owner})},
		{"an admin invites an owner as a member", agency.Forbidden, "",
			r.callInvite(as(r.bob), r.client, service.Invitation{Email: r.ann.Email, Role: agency.Member, Areas: viewPages})},
		{"an admin makes themselves an owner", agency.Forbidden, "", r.callChange(as(r.bob), r.client, party(r.bob), toOwner)},
		{"an admin demotes an owner", agency.Forbidden, "", r.callChange(as(r.bob), r.client, party(r.ann), toAdmin)},
		{"an admin removes the last owner", agency.Forbidden, "", r.callRemove(as(r.bob), r.client, party(r.ann))},
		{"a member removes a member", agency.Forbidden, "", r.callRemove(as(r.mem), r.client, party(r.bob))},
		{"a member sees the team", agency.Forbidden, "", func() error { return second(r.Team(ctx, as(r.mem), r.client, service.Page{Limit: 1})) }},
		{"staff sees the team", agency.Forbidden, "", func() error {
			return second(r.Team(ctx, as(r.gem, r.agency), r.owned, service.Page{Limit: 1}))
		}},
		{"a member sees the activity", agency.Forbidden, "", func() error {
			return second(r.AccountActivity(ctx, as(r.mem), r.client, service.Page{Limit: 1}))
		}},
		{"hub off: create by a member", agency.Forbidden, "", r.callCreate(r.off.mem, r.off.client)},
	}
}

// status is refused last.
func (r *refusals) status() []refusal {
	return []refusal{
		{"hub off: create", agency.Conflict, "", r.callCreate(r.ann, r.client)},
		{"hub off: request", agency.Conflict, "", r.callRequest(r.ann, r.client, r.joined.client)},
		{"hub off: clients", agency.Conflict, "", r.callClients(r.ann, r.client, service.ClientFilter{})},
		{"hub off: accept", agency.Conflict, "", r.callAccept(r.former, r.former.ann, service.Grant{Request: 1})},
		{"hub off: resend", agency.Conflict, "", r.callOn(r.ResendRequest, r.former.gil, r.former.agency, r.former.con)},
		{"an admin in an owned account", agency.Invalid, "", r.callInvite(as(r.gil, r.agency), r.owned, newAdmin)},
		{"an owner of an owned account", agency.Invalid, "", r.callChange(as(r.gil, r.agency), r.owned, party(r.olga), toOwner)},
		{"request twice", agency.AlreadyRequested, agency.Pending, r.callRequest(r.gus, r.agency, r.waiting.client)},
		{"request when connected", agency.AlreadyConnected, agency.Active, r.callRequest(r.gil, r.agency, r.joined.client)},
		{"accept another request", agency.Conflict, agency.Pending, r.callAccept(r.waiting, r.waiting.ann, service.Grant{Request: 2})},
		{"accept no request", agency.Conflict, agency.Pending, r.callAccept(r.waiting, r.waiting.ann, service.Grant{})},
		{"accept past its time", agency.RequestExpired, agency.Expired, r.callAccept(r.expired, r.expired.bob, service.Grant{Request: 1})},
		{"resend past its time", agency.RequestExpired, agency.Expired, r.callOn(r.ResendRequest, r.gil, r.agency, r.expired.con)},
		{"withdraw past its time", agency.RequestExpired, agency.Expired, r.callOn(r.WithdrawRequest, r.gil, r.agency, r.expired.con)},
		{"accept what is withdrawn", agency.NotPending, agency.Withdrawn, r.callAccept(r.withdrawn, r.withdrawn.ann, service.Grant{Request: 1})},
		{"decline what is withdrawn", agency.NotPending, agency.Withdrawn, r.callDecline(r.withdrawn, r.withdrawn.ann)},
		{"decline what is active", agency.NotPending, agency.Active, r.callDecline(r.joined, r.joined.ann)},
		{"resend what is active", agency.NotPending, agency.Active, r.callOn(r.ResendRequest, r.gil, r.agency, r.joined.con)},
		{"revoke what waits", agency.NotActive, agency.Pending, r.callRemove(as(r.waiting.ann), r.waiting.client, r.party)},
		{"restrict what waits", agency.NotActive, agency.Pending, r.callChange(as(r.waiting.ann), r.waiting.client, r.party, toViewPages)},
		{"leave what waits", agency.NotActive, agency.Pending, r.callOn(r.LeaveAccount, r.gil, r.agency, r.waiting.con)},
		{"leave what is withdrawn", agency.NotActive, agency.Withdrawn, r.callOn(r.LeaveAccount, r.gil, r.agency, r.withdrawn.con)},
		{"the last owner leaves", agency.LastOwner, agency.Active, r.callRemove(as(r.ann), r.client, party(r.ann))},
		{"the last owner demotes themselves", agency.LastOwner, agency.Active, r.callChange(as(r.ann), r.client, party(r.ann), toAdmin)},
		{"the last owner invites themselves as a member", agency.LastOwner, agency.Active,
			r.callInvite(as(r.ann), r.client, service.Invitation{Email: strings.ToUpper(r.ann.Email), Role: agency.Member, Areas: viewPages})},
	}
}

// Every refusal of every command, in the order of README, Error codes. A refused command writes nothing.
func TestRefusals(t *testing.T) {
	r := newRefusals(t)
	before := r.items()
	for _, tt := range slices.Concat(r.form(), r.identity(), r.absence(), r.ownership(), r.permission(), r.status()) {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.call()
			if agency.CodeOf(err) != tt.code {
				t.Fatalf("%v, want %s", err, tt.code)
			}
			if refusal, ok := err.(*agency.Error); !ok || refusal.State != tt.state || refusal.Message == "" || //nolint:errorlint // refusals are not wrapped
				(tt.code == agency.Invalid) != (len(refusal.Fields) > 0) {
				t.Errorf("%#v", err)
			}
			testbed.SameItems(t, before, r.items())
		})
	}
	r.audit(t)
}
