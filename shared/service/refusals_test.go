package service_test

import (
	"context"
	"strings"
	"testing"

	"agencyhub/shared/agency"
	"agencyhub/shared/service"
	"agencyhub/shared/testbed"
)

// Every refusal of every command, in RULES.md's order: invalid, identity
// changed, not found, permanently owned, not the payer, forbidden, then state.
// Nothing is written by any.
func TestRefusals(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	unknown := agency.NewAccountID("per_x", "unknown")
	nobody := agency.Party(agency.NewPersonID("nobody@x.test"))
	// A second client whose request waits, a third that is connected, a fourth
	// whose request is past its time, and one whose request was withdrawn.
	stage := func(suffix string, steps ...func(*world) error) *world {
		v := w.world(suffix)
		v.gil, v.gus, v.gem, v.agency = w.gil, w.gus, w.gem, w.agency
		v.con = agency.NewConnectionID(agency.Party(v.client), v.agency)
		for _, do := range steps {
			if err := do(v); err != nil {
				t.Fatal(err)
			}
		}
		return v
	}
	ask := func(v *world) error { return second(v.request()) }
	allow := func(v *world) error { return second(v.accept(v.ann, 1)) }
	expired := stage("-expired", ask)
	w.advance(lifetime)
	waiting, joined := stage("-waiting", ask), stage("-joined", ask, allow)
	withdrawn := stage("-withdrawn", ask, func(v *world) error { return second(v.WithdrawRequest(ctx, v.gil, v.agency, v.con)) })
	hubOff := w.world("-off")
	// An agency that asked, and whose hub has been switched off since.
	gone := w.world("-gone").pending()
	read := must[service.Snapshot](t)(w.store.Load(ctx, service.Want{Accounts: []agency.AccountID{gone.agency}}))
	former := read.Account(gone.agency)
	former.AgencyOn = false
	former.Version++
	if err := w.store.Save(ctx, read, service.Changes{Accounts: []agency.Account{former}}); err != nil {
		t.Fatal(err)
	}

	gilElse, annElse := impostor(w.gil), impostor(w.ann)
	request := func(by agency.Actor, of, to agency.AccountID) error {
		return second(w.RequestConnection(ctx, by, of, service.ConnectionRequest{Account: to, Areas: editAll}))
	}
	accept := func(v *world, c agency.Caller, a service.Grant) error {
		return second(v.AcceptRequest(ctx, c, v.client, v.agency, a))
	}
	deny := func(v *world, c agency.Caller) error { return second(v.DenyRequest(ctx, c, v.client, v.agency, false)) }
	remove := func(c agency.Caller, id agency.AccountID, m agency.Party) error {
		return second(w.RemoveMember(ctx, c, id, m, false))
	}
	change := func(c agency.Caller, id agency.AccountID, m agency.Party, in service.MemberChange) error {
		return second(w.ChangeMember(ctx, c, id, m, in))
	}
	invite := func(c agency.Caller, id agency.AccountID, in service.Invitation) error {
		return third(w.InvitePerson(ctx, c, id, in))
	}
	create := func(by agency.Actor, of agency.AccountID, change func(*service.NewClientAccount)) error {
		in := service.NewClientAccount{Name: "New", Plan: "starter", ConfirmPermanentOwnership: true}
		if change != nil {
			change(&in)
		}
		return second(w.CreateAccount(ctx, by, of, key16(50), in))
	}
	somebody := service.Invitation{Email: "new@x.test", Role: agency.Member, Areas: viewPages}
	party := func(a agency.Actor) agency.Party { return agency.Party(a.ID()) }
	ag := agency.Party(w.agency)

	before := testbed.Items(t, w.db, w.name)
	for _, tt := range []struct {
		name  string
		code  agency.Code
		state agency.Status
		err   func() error
	}{
		// The form, before anything else.
		{"open without a name", agency.Invalid, "", func() error { return second(w.OpenAccount(ctx, w.eve, key16(51), " ")) }},
		{"create unconfirmed, by a stranger", agency.Invalid, "", func() error {
			return create(w.eve, w.agency, func(in *service.NewClientAccount) { in.ConfirmPermanentOwnership = false })
		}},
		{"create on no plan", agency.Invalid, "", func() error {
			return create(w.gil, w.agency, func(in *service.NewClientAccount) { in.Plan = "free" })
		}},
		{"create for nobody", agency.Invalid, "", func() error {
			return create(w.gil, w.agency, func(in *service.NewClientAccount) { in.Client = &service.NewClient{Email: "x", Areas: viewPages} })
		}},
		{"create for somebody without areas", agency.Invalid, "", func() error {
			return create(w.gil, w.agency, func(in *service.NewClientAccount) { in.Client = &service.NewClient{Email: "c@x.test"} })
		}},
		{"request of one's own", agency.Invalid, "", func() error { return request(w.gil, w.agency, w.agency) }},
		{"request of nothing", agency.Invalid, "", func() error {
			return second(w.RequestConnection(ctx, w.gil, w.agency, service.ConnectionRequest{Account: w.client, Areas: agency.Areas{"pages": agency.None}}))
		}},
		{"request with a hostile message", agency.Invalid, "", func() error {
			return second(w.RequestConnection(ctx, w.gil, w.agency, service.ConnectionRequest{Account: w.client, Areas: editAll, Message: "\u202eolleh"}))
		}},
		{"request of unknown areas by somebody else", agency.Invalid, "", func() error {
			return second(w.RequestConnection(ctx, gilElse, w.agency, service.ConnectionRequest{Account: w.client, Areas: agency.Areas{"bank": agency.View}}))
		}},
		{"accept of unknown areas by a stranger", agency.Invalid, "", func() error {
			return accept(waiting, as(w.eve), service.Grant{Request: 1, Areas: agency.Areas{"bank": agency.View}})
		}},
		{"accept of nothing", agency.Invalid, "", func() error {
			return accept(waiting, as(waiting.ann), service.Grant{Request: 1, Areas: agency.Areas{}})
		}},
		{"invite an admin with areas", agency.Invalid, "", func() error {
			return invite(as(w.ann), w.client, service.Invitation{Email: "new@x.test", Role: agency.Admin, Areas: viewPages})
		}},
		{"invite a member without areas", agency.Invalid, "", func() error {
			return invite(as(w.ann), w.client, service.Invitation{Email: "new@x.test", Role: agency.Member})
		}},
		{"invite without a role", agency.Invalid, "", func() error {
			return invite(as(w.ann), w.client, service.Invitation{Email: "new@x.test", Areas: viewPages})
		}},
		{"invite to no address", agency.Invalid, "", func() error {
			return invite(as(w.ann), w.client, service.Invitation{Email: "new", Role: agency.Admin})
		}},
		{"change nothing", agency.Invalid, "", func() error { return change(as(w.ann), w.client, party(w.mem), service.MemberChange{}) }},
		{"change to no role", agency.Invalid, "", func() error { return change(as(w.ann), w.client, party(w.mem), service.MemberChange{Role: "king"}) }},
		{"areas for an admin", agency.Invalid, "", func() error { return change(as(w.ann), w.client, party(w.bob), service.MemberChange{Areas: viewPages}) }},
		{"a role for an agency", agency.Invalid, "", func() error {
			return change(as(joined.ann), joined.client, ag, service.MemberChange{Role: agency.Admin, Areas: viewPages})
		}},
		{"as no agency's id", agency.Invalid, "", func() error { return second(w.GetAccount(ctx, as(w.gil, "x"), w.owned)) }},
		{"access as no agency's id", agency.Invalid, "", func() error { return second(w.CheckAccess(ctx, as(w.gil, "x"), w.owned)) }},
		{"access to no account's id", agency.Invalid, "", func() error { return second(w.CheckAccess(ctx, as(w.gil), "x")) }},
		{"clients of no status", agency.Invalid, "", func() error {
			return third(w.Clients(ctx, w.gil, w.agency, service.ClientFilter{Status: "busy"}, service.Page{Limit: 1}))
		}},
		{"clients by a prefix of any status", agency.Invalid, "", func() error {
			return third(w.Clients(ctx, w.gil, w.agency, service.ClientFilter{Prefix: "a"}, service.Page{Limit: 1}))
		}},

		// Somebody else with that address, before what is there.
		{"request of an unknown account by somebody else", agency.IdentityChanged, "", func() error { return request(gilElse, w.agency, unknown) }},
		{"create by somebody else", agency.IdentityChanged, "", func() error { return create(gilElse, w.agency, nil) }},
		{"an unknown account in the hat, by somebody else", agency.IdentityChanged, "", func() error { return second(w.GetAccount(ctx, as(gilElse, w.agency), unknown)) }},
		{"an unknown member removed by somebody else", agency.IdentityChanged, "", func() error { return remove(as(annElse), w.client, nobody) }},
		{"leave by somebody else", agency.IdentityChanged, "", func() error { return remove(as(annElse), w.client, party(w.ann)) }},
		{"accept by somebody else", agency.IdentityChanged, "", func() error {
			return accept(waiting, as(impostor(waiting.ann)), service.Grant{Request: 1})
		}},
		{"an unknown connection seen by somebody else", agency.IdentityChanged, "", func() error {
			return second(w.GetConnection(ctx, gilElse, w.agency, agency.NewConnectionID(agency.Party(unknown), w.agency)))
		}},

		// What is not there, or not to be seen, before what may not be done.
		{"an unknown account", agency.NotFound, "", func() error { return second(w.GetAccount(ctx, as(w.ann), unknown)) }},
		{"an account's id that is none", agency.NotFound, "", func() error { return second(w.GetAccount(ctx, as(w.ann), "acct_x#TEAM")) }},
		{"a stranger's account", agency.NotFound, "", func() error { return second(w.GetAccount(ctx, as(w.eve), w.client)) }},
		{"rename a stranger's account", agency.NotFound, "", func() error { return second(w.RenameAccount(ctx, as(w.eve), w.client, "x")) }},
		{"in the hat of an agency that is not connected", agency.NotFound, "", func() error { return second(w.GetAccount(ctx, as(w.gil, w.agency), w.client)) }},
		{"in the hat of an agency that waits", agency.NotFound, "", func() error { return second(w.GetAccount(ctx, as(w.gil, w.agency), waiting.client)) }},
		{"in the hat of a stranger's agency", agency.NotFound, "", func() error { return second(w.GetAccount(ctx, as(w.eve, w.agency), w.owned)) }},
		{"owned account without the hat", agency.NotFound, "", func() error { return second(w.GetAccount(ctx, as(w.gil), w.owned)) }},
		{"hub of a stranger's account", agency.NotFound, "", func() error { return second(w.SwitchAgencyOn(ctx, w.eve, w.owned)) }},
		{"request by a member of an unknown account", agency.NotFound, "", func() error { return request(w.gem, w.agency, unknown) }},
		{"request for a stranger's agency", agency.NotFound, "", func() error { return request(w.eve, w.agency, w.client) }},
		{"create for a stranger's agency", agency.NotFound, "", func() error { return create(w.eve, w.agency, nil) }},
		{"resend what is not there, by a member", agency.NotFound, "", func() error { return second(w.ResendRequest(ctx, w.gem, w.agency, w.con)) }},
		{"withdraw another agency's", agency.NotFound, "", func() error { return second(w.WithdrawRequest(ctx, hubOff.gil, hubOff.agency, waiting.con)) }},
		{"withdraw no connection's id", agency.NotFound, "", func() error { return second(w.WithdrawRequest(ctx, w.gil, w.agency, "con_x")) }},
		{"accept what is not there, by a member", agency.Forbidden, "", func() error {
			return second(w.AcceptRequest(ctx, as(w.mem), w.client, w.agency, service.Grant{Request: 1}))
		}},
		{"accept by a stranger", agency.NotFound, "", func() error { return accept(waiting, as(w.eve), service.Grant{Request: 1}) }},
		{"change who is not there", agency.NotFound, "", func() error { return change(as(w.ann), w.client, nobody, service.MemberChange{Role: agency.Admin}) }},
		{"change who is not there, by a member", agency.Forbidden, "", func() error { return change(as(w.mem), w.client, nobody, service.MemberChange{Role: agency.Admin}) }},
		{"remove who is not there, by a member", agency.Forbidden, "", func() error { return remove(as(w.mem), w.client, nobody) }},
		{"remove nobody's id", agency.NotFound, "", func() error { return remove(as(w.ann), w.client, "x") }},
		{"leave where one is not", agency.NotFound, "", func() error { return remove(as(w.eve), w.client, party(w.eve)) }},
		{"see no connection", agency.NotFound, "", func() error { return second(w.GetConnection(ctx, w.gil, w.agency, w.con)) }},

		// Owned for good, before what may not be done.
		{"request of an owned account", agency.PermanentlyOwned, "", func() error { return request(hubOff.gil, hubOff.agency, w.owned) }},
		{"request of an owned account by a member", agency.PermanentlyOwned, "", func() error { return request(w.gem, w.agency, w.owned) }},
		{"leave what is owned", agency.PermanentlyOwned, "", func() error { return second(w.LeaveAccount(ctx, w.gil, w.agency, w.ownCon)) }},
		{"leave what is owned, by a member", agency.PermanentlyOwned, "", func() error { return second(w.LeaveAccount(ctx, w.gem, w.agency, w.ownCon)) }},
		{"resend what is owned", agency.PermanentlyOwned, "", func() error { return second(w.ResendRequest(ctx, w.gil, w.agency, w.ownCon)) }},
		{"withdraw what is owned", agency.PermanentlyOwned, "", func() error { return second(w.WithdrawRequest(ctx, w.gil, w.agency, w.ownCon)) }},
		{"the client revokes the owner", agency.PermanentlyOwned, "", func() error { return remove(as(w.olga), w.owned, ag) }},
		{"the client restricts the owner", agency.PermanentlyOwned, "", func() error { return change(as(w.olga), w.owned, ag, service.MemberChange{Areas: viewPages}) }},
		{"the client accepts the owner", agency.PermanentlyOwned, "", func() error { return second(w.AcceptRequest(ctx, as(w.olga), w.owned, w.agency, service.Grant{})) }},
		{"the client denies the owner", agency.PermanentlyOwned, "", func() error { return second(w.DenyRequest(ctx, as(w.olga), w.owned, w.agency, false)) }},
		{"the owner revokes itself", agency.PermanentlyOwned, "", func() error { return remove(as(w.gil, w.agency), w.owned, ag) }},
		{"the owner's member revokes it", agency.PermanentlyOwned, "", func() error { return remove(as(w.gem, w.agency), w.owned, ag) }},
		{"an owned account's hub", agency.PermanentlyOwned, "", func() error { return second(w.SwitchAgencyOn(ctx, w.olga, w.owned)) }},

		// What may not be done, before what the state forbids.
		{"rename by a member", agency.Forbidden, "", func() error { return second(w.RenameAccount(ctx, as(w.mem), w.client, "x")) }},
		{"rename by the client of an owned account", agency.Forbidden, "", func() error { return second(w.RenameAccount(ctx, as(w.olga), w.owned, "x")) }},
		{"rename by a connected agency", agency.Forbidden, "", func() error { return second(w.RenameAccount(ctx, as(w.gil, w.agency), joined.client, "x")) }},
		{"rename by staff", agency.Forbidden, "", func() error { return second(w.RenameAccount(ctx, as(w.gem, w.agency), w.owned, "x")) }},
		{"hub on by an admin", agency.Forbidden, "", func() error { return second(w.SwitchAgencyOn(ctx, w.bob, w.client)) }},
		{"create by a member", agency.Forbidden, "", func() error { return create(w.gem, w.agency, nil) }},
		{"request by a member, of what waits", agency.Forbidden, "", func() error { return request(w.gem, w.agency, waiting.client) }},
		{"withdraw by a member, of what is withdrawn", agency.Forbidden, "", func() error { return second(w.WithdrawRequest(ctx, w.gem, w.agency, withdrawn.con)) }},
		{"accept by a member, past its time", agency.Forbidden, "", func() error { return accept(expired, as(expired.mem), service.Grant{Request: 1}) }},
		{"deny by a member", agency.Forbidden, "", func() error { return deny(waiting, as(waiting.mem)) }},
		{"the agency revokes itself from the client's side", agency.Forbidden, "", func() error { return remove(as(w.gil, w.agency), joined.client, ag) }},
		{"the agency widens itself", agency.Forbidden, "", func() error {
			return change(as(w.gil, w.agency), joined.client, ag, service.MemberChange{Areas: editAll})
		}},
		{"a connected agency invites", agency.Forbidden, "", func() error { return invite(as(w.gil, w.agency), joined.client, somebody) }},
		{"a member invites", agency.Forbidden, "", func() error { return invite(as(w.mem), w.client, somebody) }},
		{"staff invites", agency.Forbidden, "", func() error { return invite(as(w.gem, w.agency), w.owned, somebody) }},
		{"the client of an owned account invites", agency.Forbidden, "", func() error { return invite(as(w.olga), w.owned, somebody) }},
		{"an admin makes an owner", agency.Forbidden, "", func() error {
			return invite(as(w.bob), w.client, service.Invitation{Email: "new@x.test", Role: agency.Owner})
		}},
		{"an admin invites an owner as a member", agency.Forbidden, "", func() error {
			return invite(as(w.bob), w.client, service.Invitation{Email: w.ann.Email, Role: agency.Member, Areas: viewPages})
		}},
		{"an admin makes themselves an owner", agency.Forbidden, "", func() error {
			return change(as(w.bob), w.client, party(w.bob), service.MemberChange{Role: agency.Owner})
		}},
		{"an admin demotes an owner", agency.Forbidden, "", func() error {
			return change(as(w.bob), w.client, party(w.ann), service.MemberChange{Role: agency.Admin})
		}},
		{"an admin removes the last owner", agency.Forbidden, "", func() error { return remove(as(w.bob), w.client, party(w.ann)) }},
		{"a member removes a member", agency.Forbidden, "", func() error { return remove(as(w.mem), w.client, party(w.bob)) }},
		{"a member sees the team", agency.Forbidden, "", func() error { return second(w.Team(ctx, as(w.mem), w.client, service.Page{Limit: 1})) }},
		{"staff sees the team", agency.Forbidden, "", func() error { return second(w.Team(ctx, as(w.gem, w.agency), w.owned, service.Page{Limit: 1})) }},
		{"a member sees the activity", agency.Forbidden, "", func() error { return second(w.AccountActivity(ctx, as(w.mem), w.client, service.Page{Limit: 1})) }},
		{"hub off: create by a member", agency.Forbidden, "", func() error { return create(hubOff.mem, hubOff.client, nil) }},

		// Then the state.
		{"hub off: create", agency.Conflict, "", func() error { return create(w.ann, w.client, nil) }},
		{"hub off: request", agency.Conflict, "", func() error { return request(w.ann, w.client, joined.client) }},
		{"hub off: clients", agency.Conflict, "", func() error {
			return third(w.Clients(ctx, w.ann, w.client, service.ClientFilter{}, service.Page{Limit: 1}))
		}},
		{"hub off: accept", agency.Conflict, "", func() error { return accept(gone, as(gone.ann), service.Grant{Request: 1}) }},
		{"hub off: resend", agency.Conflict, "", func() error { return second(w.ResendRequest(ctx, gone.gil, gone.agency, gone.con)) }},
		{"an admin in an owned account", agency.Invalid, "", func() error {
			return invite(as(w.gil, w.agency), w.owned, service.Invitation{Email: "new@x.test", Role: agency.Admin})
		}},
		{"an owner of an owned account", agency.Invalid, "", func() error {
			return change(as(w.gil, w.agency), w.owned, party(w.olga), service.MemberChange{Role: agency.Owner})
		}},
		{"request twice", agency.AlreadyRequested, agency.Pending, func() error { return request(w.gus, w.agency, waiting.client) }},
		{"request when connected", agency.AlreadyConnected, agency.Active, func() error { return request(w.gil, w.agency, joined.client) }},
		{"accept another request", agency.Conflict, agency.Pending, func() error { return accept(waiting, as(waiting.ann), service.Grant{Request: 2}) }},
		{"accept no request", agency.Conflict, agency.Pending, func() error { return accept(waiting, as(waiting.ann), service.Grant{}) }},
		{"accept past its time", agency.RequestExpired, agency.Expired, func() error { return accept(expired, as(expired.bob), service.Grant{Request: 1}) }},
		{"resend past its time", agency.RequestExpired, agency.Expired, func() error { return second(w.ResendRequest(ctx, w.gil, w.agency, expired.con)) }},
		{"withdraw past its time", agency.RequestExpired, agency.Expired, func() error { return second(w.WithdrawRequest(ctx, w.gil, w.agency, expired.con)) }},
		{"accept what is withdrawn", agency.NotPending, agency.Withdrawn, func() error { return accept(withdrawn, as(withdrawn.ann), service.Grant{Request: 1}) }},
		{"deny what is withdrawn", agency.NotPending, agency.Withdrawn, func() error { return deny(withdrawn, as(withdrawn.ann)) }},
		{"deny what is active", agency.NotPending, agency.Active, func() error { return deny(joined, as(joined.ann)) }},
		{"resend what is active", agency.NotPending, agency.Active, func() error { return second(w.ResendRequest(ctx, w.gil, w.agency, joined.con)) }},
		{"revoke what waits", agency.NotActive, agency.Pending, func() error { return remove(as(waiting.ann), waiting.client, ag) }},
		{"restrict what waits", agency.NotActive, agency.Pending, func() error {
			return change(as(waiting.ann), waiting.client, ag, service.MemberChange{Areas: viewPages})
		}},
		{"leave what waits", agency.NotActive, agency.Pending, func() error { return second(w.LeaveAccount(ctx, w.gil, w.agency, waiting.con)) }},
		{"leave what is withdrawn", agency.NotActive, agency.Withdrawn, func() error { return second(w.LeaveAccount(ctx, w.gil, w.agency, withdrawn.con)) }},
		{"the last owner leaves", agency.LastOwner, agency.Active, func() error { return remove(as(w.ann), w.client, party(w.ann)) }},
		{"the last owner demotes themselves", agency.LastOwner, agency.Active, func() error {
			return change(as(w.ann), w.client, party(w.ann), service.MemberChange{Role: agency.Admin})
		}},
		{"the last owner invites themselves as a member", agency.LastOwner, agency.Active, func() error {
			return invite(as(w.ann), w.client, service.Invitation{Email: strings.ToUpper(w.ann.Email), Role: agency.Member, Areas: viewPages})
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.err()
			if agency.CodeOf(err) != tt.code {
				t.Fatalf("%v, want %s", err, tt.code)
			}
			if refusal, ok := err.(*agency.Error); !ok || refusal.State != tt.state || refusal.Message == "" || //nolint:errorlint // refusals come bare
				(tt.code == agency.Invalid) != (len(refusal.Fields) > 0) {
				t.Errorf("%#v", err)
			}
			testbed.SameItems(t, before, testbed.Items(t, w.db, w.name))
		})
	}
	w.audit(t)
}
