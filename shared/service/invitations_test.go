package service_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"agencyhub/shared/agency"
	"agencyhub/shared/service"
	"agencyhub/shared/testbed"
)

// answer accepts by a number and a plan.
func (w *world) answer(who agency.Actor, in agency.AccountID, number int, plan string) error {
	return second(w.AcceptInvitation(w.t.Context(), who, in, service.Answer{Request: number, Plan: plan}))
}

func (w *world) refuse(who agency.Actor, in agency.AccountID, number int, block bool) error {
	return second(w.DeclineInvitation(w.t.Context(), who, in, service.Decline{Request: number, Block: block}))
}

func (w *world) person(who agency.Actor, in agency.AccountID) agency.Profile {
	return w.profile(agency.PersonAt(in, who.ID()))
}

// An invitation grants nothing and lays no duty on anybody until its own person accepts it.
func TestInvitationStory(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	p := must[agency.Profile](t)(w.invite(w.ann, w.client, w.eve, agency.Admin))
	diff(t, "expires", noon.Add(30*day), p.Request.ExpiresAt)
	if got := w.access(as(w.eve), w.client); got.Allowed || got.Reason != agency.StillInvited {
		t.Errorf("%+v", got)
	}
	refused(t, "seeing the account", agency.NotFound, second(w.GetAccount(ctx, as(w.eve), w.client)))
	diff(t, "accounts", 0, len(must[service.List[service.AccountView]](t)(w.MyAccounts(ctx, w.eve, service.Page{Limit: 10})).Items))
	waiting := w.waiting(w.eve)
	if len(waiting) != 1 || waiting[0].By != w.ann.Email || waiting[0].Account.Name != "Client" || waiting[0].From.ID != w.client || waiting[0].IsForPayer() {
		t.Fatalf("%+v", waiting)
	}
	if got := must[service.RequestDetail](t)(w.GetInvitation(ctx, w.eve, w.client)); got.Status != agency.Invited || got.By != w.ann.Email {
		t.Errorf("%+v", got)
	}
	refused(t, "another's invitation", agency.NotFound, w.answer(w.bob, w.owned, 1, ""))
	refused(t, "an account that does not exist", agency.NotFound, w.answer(w.eve, agency.NewAccountID("per_x", "none"), 1, ""))
	refused(t, "no account", agency.NotFound, w.answer(w.eve, "acct_x", 1, ""))
	refused(t, "an old number", agency.Conflict, w.answer(w.eve, w.client, 0, ""))
	refused(t, "a number to come", agency.Conflict, w.answer(w.eve, w.client, 2, ""))

	view := must[service.AccountView](t)(w.AcceptInvitation(ctx, w.eve, w.client, service.Answer{Request: 1}))
	if view.Role != agency.Admin || !view.Access.Allowed || view.Name != "Client" {
		t.Errorf("%+v", view)
	}
	if p := w.person(w.eve, w.client); p.Subject != w.eve.Subject || p.Issuer != w.eve.Issuer {
		t.Errorf("not bound: %+v", p)
	}
	before := w.items()
	noError(t, w.answer(w.eve, w.client, 1, ""))
	refused(t, "declining what was accepted", agency.NotPending, w.refuse(w.eve, w.client, 1, false))
	refused(t, "accepting with another sign-in", agency.IdentityChanged, w.answer(impostor(w.eve), w.client, 1, ""))
	testbed.SameItems(t, before, w.items())
	diff(t, "waiting", 0, len(w.waiting(w.eve)))
	diff(t, "events", []string{"person.invited", "person.added"}, w.events(w.client)[5:])
	w.audit(t)
}

// What became of an invitation decides what an answer to it gets.
func TestAnswersToAnInvitation(t *testing.T) {
	for name, tt := range map[string]struct {
		before          func(*world)
		accept, decline agency.Code
		number          int
	}{
		"expired":   {func(w *world) { w.advance(30 * day) }, agency.RequestExpired, "", 1},
		"withdrawn": {func(w *world) { must[agency.Profile](w.t)(w.withdrawInvitation(w.eve)) }, agency.NotPending, agency.NotPending, 1},
		"declined":  {func(w *world) { noError(w.t, w.refuse(w.eve, w.client, 1, false)) }, agency.NotPending, "", 1},
		"muted": {func(w *world) {
			noError(w.t, w.refuse(w.eve, w.client, 1, true))
			w.advance(31 * day)
			must[agency.Profile](w.t)(w.invite(w.ann, w.client, w.eve, agency.Admin))
		}, agency.NotFound, agency.NotFound, 2},
		"of a closed account": {func(w *world) { noError(w.t, w.close(as(w.ann), w.client)) }, agency.Conflict, agency.Conflict, 1},
		"with new terms": {func(w *world) {
			w.advance(day)
			must[agency.Profile](w.t)(w.invite(w.ann, w.client, w.eve, agency.Owner))
		}, agency.Conflict, agency.Conflict, 1},
		"made by who was removed": {func(w *world) {
			w.mustInvite(w.ann, w.client, w.bob, agency.Owner)
			must[agency.Profile](w.t)(w.RemoveMember(w.t.Context(), as(w.bob), w.client, party(w.ann), false))
		}, agency.NotPending, "", 1},
		"made by who was demoted": {func(w *world) {
			w.mustInvite(w.ann, w.client, w.bob, agency.Owner)
			must[agency.Profile](w.t)(w.ChangeMember(w.t.Context(), as(w.bob), w.client, party(w.ann), service.MemberChange{Role: agency.Member}))
		}, agency.NotPending, "", 1},
		"of who is being erased": {func(w *world) { noError(w.t, w.EraseMe(w.t.Context(), w.eve)) }, agency.NotFound, agency.NotFound, 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			must[agency.Profile](t)(w.invite(w.ann, w.client, w.eve, agency.Admin))
			tt.before(w)
			before := w.items()
			refused(t, "accepting", tt.accept, w.answer(w.eve, w.client, tt.number, ""))
			testbed.SameItems(t, before, w.items())
			refused(t, "declining", tt.decline, w.refuse(w.eve, w.client, tt.number, false))
			if got := w.access(as(w.eve), w.client); got.Allowed {
				t.Errorf("%+v", got)
			}
			w.collected = true
			w.audit(t)
		})
	}
}

func (w *world) withdrawInvitation(who agency.Actor) (agency.Profile, error) {
	return w.WithdrawInvitation(w.t.Context(), as(w.ann), w.client, party(who))
}

// Ownership is offered. Who accepts it names the plan that they will pay.
func TestOwnershipIsOffered(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	offer := func() (agency.Profile, error) {
		return w.ChangeMember(ctx, as(w.ann), w.client, party(w.bob), service.MemberChange{Role: agency.Owner})
	}
	p := must[agency.Profile](t)(offer())
	if p.Role != agency.Admin || !p.HasOffer() || p.Request.Number != 2 {
		t.Errorf("%+v", p)
	}
	diff(t, "owners", 1, w.account(w.client).Owners)
	if waiting := w.waiting(w.bob); len(waiting) != 1 || waiting[0].RequestKind() != agency.OwnershipKind || !waiting[0].IsForPayer() {
		t.Fatalf("%+v", waiting)
	}
	refused(t, "the last owner leaving", agency.LastOwner, second(w.RemoveMember(ctx, as(w.ann), w.client, party(w.ann), false)))
	refused(t, "no plan", agency.Invalid, w.answer(w.bob, w.client, 2, ""))
	refused(t, "another plan", agency.Conflict, w.answer(w.bob, w.client, 2, "growth"))
	refused(t, "blocking by an offer", agency.Invalid, w.refuse(w.bob, w.client, 2, true))
	must[service.SubscriptionView](t)(w.ChangePlan(ctx, as(w.ann), w.client, "growth"))
	refused(t, "the plan before", agency.Conflict, w.answer(w.bob, w.client, 2, "starter"))
	noError(t, w.answer(w.bob, w.client, 2, "growth"))
	diff(t, "owners", 2, w.account(w.client).Owners)
	must[agency.Profile](t)(w.RemoveMember(ctx, as(w.ann), w.client, party(w.ann), false))
	w.audit(t)

	// A declined offer leaves the role, and can't be made again for a while.
	w = newWorld(t)
	must[agency.Profile](t)(offer())
	noError(t, w.refuse(w.bob, w.client, 2, false))
	noError(t, w.refuse(w.bob, w.client, 2, false))
	if p := w.person(w.bob, w.client); p.Status != agency.Active || p.Role != agency.Admin || p.HasOffer() {
		t.Errorf("%+v", p)
	}
	refused(t, "offered again", agency.Cooling, second(offer()))
	w.advance(30 * day)
	must[agency.Profile](t)(offer())
	w.advance(30 * day)
	refused(t, "an expired offer", agency.RequestExpired, w.answer(w.bob, w.client, 3, "starter"))
	noError(t, w.sweepAll())
	diff(t, "last event", agency.InvitationExpired, w.lastEvent(w.client).Type)
	w.audit(t)

	// An owner by invitation: nothing is owned or owed before the acceptance.
	must[agency.Profile](t)(w.invite(w.ann, w.client, w.eve, agency.Owner))
	diff(t, "owners", 1, w.account(w.client).Owners)
	refused(t, "the last owner leaving", agency.LastOwner, second(w.RemoveMember(ctx, as(w.ann), w.client, party(w.ann), false)))
	noError(t, w.EraseMe(ctx, w.eve))
	w.collected = true
	w.audit(t)
}

// Only owners make owners, whatever the way.
func TestAdminsMakeNoOwners(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	must[agency.Profile](t)(w.invite(w.ann, w.client, w.eve, agency.Owner))
	must[agency.Profile](t)(w.ChangeMember(ctx, as(w.ann), w.client, party(w.mem), service.MemberChange{Role: agency.Owner}))
	w.advance(day)
	allRefused(t, agency.Forbidden, map[string]error{
		"inviting":       third(w.InvitePerson(ctx, as(w.bob), w.client, service.Invitation{Email: "x@x.test", Role: agency.Owner})),
		"inviting again": third(w.InvitePerson(ctx, as(w.bob), w.client, service.Invitation{Email: w.eve.Email, Role: agency.Admin})),
		"resending":      second(w.ResendInvitation(ctx, as(w.bob), w.client, party(w.eve))),
		"withdrawing":    second(w.WithdrawInvitation(ctx, as(w.bob), w.client, party(w.eve))),
		"resending it":   second(w.ResendInvitation(ctx, as(w.bob), w.client, party(w.mem))),
		"withdrawing it": second(w.WithdrawInvitation(ctx, as(w.bob), w.client, party(w.mem))),
		"a new sign-in":  second(w.AskNewSignIn(ctx, as(w.bob), w.client, party(w.ann))),
		"offering":       second(w.ChangeMember(ctx, as(w.bob), w.client, party(w.mem), service.MemberChange{Role: agency.Owner})),
	})
	// What an admin may change of a member closes the offer first.
	must[agency.Profile](t)(w.AskNewSignIn(ctx, as(w.bob), w.client, party(w.mem)))
	w.mustAccept(w.mem, w.client)
	// Who can't list the team gets one answer for everybody.
	for _, who := range []agency.Actor{w.eve, w.ann, actor("nobody")} {
		allRefused(t, agency.Forbidden, map[string]error{
			"resending":     second(w.ResendInvitation(ctx, as(w.mem), w.client, party(who))),
			"withdrawing":   second(w.WithdrawInvitation(ctx, as(w.mem), w.client, party(who))),
			"a new sign-in": second(w.AskNewSignIn(ctx, as(w.mem), w.client, party(who))),
		})
	}
	allRefused(t, agency.NotFound, map[string]error{
		"resending":   second(w.ResendInvitation(ctx, as(w.ann), w.client, party(actor("nobody")))),
		"withdrawing": second(w.WithdrawInvitation(ctx, as(w.ann), w.client, "nobody")),
	})
	refused(t, "an owner where the agency owns", agency.Invalid, third(w.InvitePerson(ctx, as(w.gil, w.agency), w.owned, service.Invitation{Email: "x@x.test", Role: agency.Owner})))
	w.audit(t)
}

// A new sign-in takes access until the person accepts; never the last owner's.
func TestANewSignIn(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	refused(t, "of oneself", agency.Forbidden, second(w.AskNewSignIn(ctx, as(w.ann), w.client, party(w.ann))))
	refused(t, "of an owner by an admin", agency.Forbidden, second(w.AskNewSignIn(ctx, as(w.bob), w.client, party(w.ann))))
	must[agency.Profile](t)(w.AskNewSignIn(ctx, as(w.ann), w.client, party(w.mem)))
	if got := w.access(as(w.mem), w.client); got.Allowed || got.Reason != agency.StillInvited {
		t.Errorf("%+v", got)
	}
	refused(t, "asked twice", agency.NotActive, second(w.AskNewSignIn(ctx, as(w.ann), w.client, party(w.mem))))
	again := impostor(w.mem)
	noError(t, second(w.acceptInvitation(again, w.client)))
	if got := w.access(as(again), w.client); !got.Allowed || !got.Areas.Equal(editPages) {
		t.Errorf("%+v", got)
	}
	diff(t, "the sign-in before", agency.ChangedIdentity, w.access(as(w.mem), w.client).Reason)

	// An owner counts again once they have accepted.
	w.mustInvite(w.ann, w.client, w.bob, agency.Owner)
	must[agency.Profile](t)(w.AskNewSignIn(ctx, as(w.bob), w.client, party(w.ann)))
	diff(t, "owners", 1, w.account(w.client).Owners)
	noError(t, second(w.acceptInvitation(impostor(w.ann), w.client)))
	diff(t, "owners", 2, w.account(w.client).Owners)
	w.audit(t)
}

// What changes or ends somebody with an open offer closes it first.
func TestAnOfferIsClosedFirst(t *testing.T) {
	for name, tt := range map[string]struct {
		do   func(*world) error
		then string
	}{
		"a change of role": {func(w *world) error {
			return second(w.ChangeMember(w.t.Context(), as(w.ann), w.client, party(w.bob), service.MemberChange{Role: agency.Member, Areas: viewPages}))
		}, "person.changed"},
		"removal":       {func(w *world) error { return w.remove(w.ann, party(w.bob), false) }, "person.removed"},
		"leaving":       {func(w *world) error { return w.remove(w.bob, party(w.bob), false) }, "person.left"},
		"a new sign-in": {func(w *world) error { return second(w.AskNewSignIn(w.t.Context(), as(w.ann), w.client, party(w.bob))) }, "person.invited"},
	} {
		w := newWorld(t)
		must[agency.Profile](t)(w.ChangeMember(t.Context(), as(w.ann), w.client, party(w.bob), service.MemberChange{Role: agency.Owner}))
		noError(t, tt.do(w))
		events := w.events(w.client)
		diff(t, name, []string{"person.ownership_offered", "person.invitation_withdrawn", tt.then}, events[len(events)-3:])
		if code := agency.CodeOf(w.answer(w.bob, w.client, 2, "starter")); code != agency.NotPending && code != agency.Conflict {
			t.Errorf("%s: accepting is %q", name, code)
		}
		w.audit(t)
	}
}

// A person's block covers an account, what it owns, and its connection requests; of an address
// without a tag also the tagged ones. Nobody can tell.
func TestABlockCoversWhatTheAccountAsks(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	must[agency.Profile](t)(w.inviteClient(w.eve))
	noError(t, w.refuse(w.eve, w.owned, 1, true))
	refused(t, "the same account", agency.Cooling, second(w.inviteClient(w.eve)))
	other := must[service.AccountView](t)(w.CreateAccount(ctx, w.gil, w.agency, idempotencyKey(5), service.NewClientAccount{
		Name: "Other", Plan: "starter", ConfirmPermanentOwnership: true, Client: &service.NewClient{Email: w.eve.Email, Areas: viewPages},
	})).ID
	must[agency.Profile](t)(w.invite(w.gil, w.agency, w.eve, agency.Admin))
	must[agency.Profile](t)(w.requestByEmail(w.eve))
	tagged := actor("eve+1")
	must[agency.Profile](t)(w.invite(w.gil, w.agency, tagged, agency.Admin))
	must[agency.Profile](t)(w.requestByEmail(tagged))
	diff(t, "what reaches her", 0, len(w.waiting(w.eve)))
	diff(t, "what reaches her tagged address", 0, len(w.waiting(tagged)))
	for _, id := range []agency.AccountID{other, w.agency} {
		p := w.person(w.eve, id)
		diff(t, "as the asker sees it", agency.Invited, p.Status)
		refused(t, "seen", agency.NotFound, second(w.GetInvitation(ctx, w.eve, id)))
		diff(t, "access", agency.NoProfile, w.access(as(w.eve), id).Reason)
	}
	// The account sees its muted invitations, and each in its activity.
	team := must[service.List[agency.Profile]](t)(w.Team(ctx, as(w.gus), w.agency, service.Page{Limit: 50}))
	diff(t, "team", 5, len(team.Items))
	diff(t, "events", []string{"person.invited", "person.invited"}, w.events(w.agency)[len(w.events(w.agency))-2:])
	// Others still reach her, and unblocking does not revive.
	must[agency.Profile](t)(w.invite(w.ann, w.client, w.eve, agency.Admin))
	diff(t, "another account's", 1, len(w.waiting(w.eve)))
	blocks := must[service.List[service.Block]](t)(w.MyBlocks(ctx, w.eve, service.Page{Limit: 10}))
	if len(blocks.Items) != 1 || blocks.Items[0].Asker != w.agency || !blocks.Items[0].Blocked {
		t.Errorf("%+v", blocks)
	}
	must[bool](t)(w.UnblockForMe(ctx, w.eve, w.emailConnection(w.eve)))
	diff(t, "after unblocking", 1, len(w.waiting(w.eve)))
	w.audit(t)
}

// An invitation shows nothing of its addressee, by any call that makes one, with a tag or without: the
// answer, the reads and the writes are the same to the byte.
func TestAnInvitationShowsNothing(t *testing.T) {
	for name, way := range map[string]struct {
		tag    string
		invite func(*world, agency.Actor) (agency.AccountID, any)
	}{
		"invite": {"", func(w *world, who agency.Actor) (agency.AccountID, any) {
			p := must[agency.Profile](w.t)(w.invite(w.gil, w.agency, who, agency.Admin))
			p.Request.Muted = false
			return w.agency, p
		}},
		"invite a tagged address": {"+tag", func(w *world, who agency.Actor) (agency.AccountID, any) {
			p := must[agency.Profile](w.t)(w.invite(w.gil, w.agency, who, agency.Admin))
			p.Request.Muted = false
			return w.agency, p
		}},
		"create an account for a client": {"", func(w *world, who agency.Actor) (agency.AccountID, any) {
			v := must[service.AccountView](w.t)(w.CreateAccount(w.t.Context(), w.gil, w.agency, idempotencyKey(9), service.NewClientAccount{
				Name: "New", Plan: "starter", ConfirmPermanentOwnership: true, Client: &service.NewClient{Email: who.Email, Areas: viewPages},
			}))
			return v.ID, v
		}},
	} {
		t.Run(name, func(t *testing.T) { showsNothing(t, way.tag, way.invite) })
	}
}

// showsNothing compares what an invitation reads, writes and answers over the stages of its addressee.
func showsNothing(t *testing.T, tag string, invite func(*world, agency.Actor) (agency.AccountID, any)) {
	t.Helper()
	var first []string
	for i, tt := range append(addresseeStages[:len(addresseeStages):len(addresseeStages)], addresseeStage{
		"suppressed", false, func(w *world, a agency.Actor) {
			must[bool](w.t)(w.store.Suppress(w.t.Context(), a.ID(), agency.AddressBounced, noon))
		},
	}) {
		w := newWorld(t)
		addressee := actor(fmt.Sprintf("person-%02d", i))
		tt.stage(w, addressee)
		asked := addressee
		if tag != "" {
			asked = actor(fmt.Sprintf("person-%02d%s", i, tag))
		}
		sent := w.recordCalls()
		id, answer := invite(w, asked)
		lines := sent()
		caller := as(w.gil)
		if id != w.agency {
			caller = as(w.gil, w.agency)
		}
		seen := must[agency.Profile](t)(w.GetMember(t.Context(), caller, id, party(asked)))
		diff(t, tt.name+": muted", tt.muted, seen.Request.Muted)
		seen.Request.Muted = false
		lines = append(lines, asText(t, answer), asText(t, seen))
		for i := range lines {
			lines[i] = masked(anyHash.ReplaceAllString(lines[i], "HASH"))
		}
		slices.Sort(lines)
		if first == nil {
			first = lines
		}
		diff(t, tt.name, first, lines)
	}
}

// A decline from elsewhere mutes and does not show; the account's own decline is told.
func TestCooldownsOfPersons(t *testing.T) {
	w := newWorld(t)
	must[agency.Profile](t)(w.invite(w.ann, w.client, w.eve, agency.Admin))
	noError(t, w.refuse(w.eve, w.client, 1, false))
	err := second(w.invite(w.ann, w.client, w.eve, agency.Admin))
	refused(t, "invited during the cooldown", agency.Cooling, err)
	w.advance(30 * day)
	must[agency.Profile](t)(w.invite(w.ann, w.client, w.eve, agency.Admin))
	diff(t, "waiting", 1, len(w.waiting(w.eve)))
	// Accepting ends the cooldown; so nothing mutes what comes later.
	noError(t, w.answer(w.eve, w.client, 2, ""))
	diff(t, "cooling", true, w.pairBetween(party(w.eve), w.client).CoolingUntil.IsZero())
	w.audit(t)
}

func TestInvitationLimits(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	must[agency.Profile](t)(w.invite(w.ann, w.client, w.eve, agency.Admin))
	resend := func() error { return second(w.ResendInvitation(ctx, as(w.ann), w.client, party(w.eve))) }
	refused(t, "resent on the same day", agency.RateLimited, resend())
	before := w.items()
	must[agency.Profile](t)(w.invite(w.ann, w.client, w.eve, agency.Admin))
	testbed.SameItems(t, before, w.items())
	refused(t, "other terms on the same day", agency.RateLimited, second(w.invite(w.ann, w.client, w.eve, agency.Owner)))
	for range 3 {
		w.advance(day)
		noError(t, resend())
	}
	w.advance(day)
	refused(t, "resent too often", agency.RateLimited, resend())
	must[agency.Profile](t)(w.withdrawInvitation(w.eve))
	refused(t, "the fifth email of the pair", agency.RateLimited, second(w.invite(w.ann, w.client, w.eve, agency.Admin)))
	w.advance(30 * day)
	must[agency.Profile](t)(w.invite(w.ann, w.client, w.eve, agency.Admin))

	// Open invitations and offers of one asker count together, over all that an agency owns.
	w.Rules.OpenInvitations = 2
	must[agency.Profile](t)(w.ChangeMember(ctx, as(w.ann), w.client, party(w.mem), service.MemberChange{Role: agency.Owner}))
	refused(t, "a third", agency.RateLimited, second(w.invite(w.ann, w.client, actor("x"), agency.Admin)))
	refused(t, "a new sign-in", agency.RateLimited, second(w.AskNewSignIn(ctx, as(w.ann), w.client, party(w.bob))))
	noError(t, w.answer(w.eve, w.client, w.person(w.eve, w.client).Request.Number, ""))
	must[agency.Profile](t)(w.invite(w.ann, w.client, actor("x"), agency.Admin))
	must[agency.Profile](t)(w.inviteClient(actor("y")))
	must[agency.Profile](t)(w.invite(w.gil, w.agency, actor("y"), agency.Admin))
	refused(t, "a third of the agency", agency.RateLimited, second(w.inviteClient(actor("z"))))
	w.audit(t)
}

// Removing, demoting, leaving and erasing close what somebody has offered, here and in the accounts
// that their agency owns; the sweep does it.
func TestWhatTheRemovedHaveOffered(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	for n := range 30 {
		p := actor(fmt.Sprintf("p%d", n))
		at, by := w.agency, as(w.gus)
		if n%2 == 0 {
			at, by = w.owned, as(w.gus, w.agency)
		}
		_, _, err := w.InvitePerson(ctx, by, at, service.Invitation{Email: p.Email, Role: agency.Member, Areas: viewPages})
		noError(t, err)
	}
	must[agency.Profile](t)(w.invite(w.gil, w.agency, w.eve, agency.Admin))
	must[agency.Profile](t)(w.RemoveMember(ctx, as(w.gil), w.agency, party(w.gus), false))
	for range 6 {
		noError(t, w.sweepAll())
	}
	for n := range 30 {
		at := w.agency
		if n%2 == 0 {
			at = w.owned
		}
		diff(t, fmt.Sprint(n), agency.Withdrawn, w.person(actor(fmt.Sprintf("p%d", n)), at).Status)
	}
	diff(t, "another's", agency.Invited, w.person(w.eve, w.agency).Status)
	if p := w.person(w.gus, w.agency); !p.CloseAt.IsZero() || p.CloseCursor != "" {
		t.Errorf("%+v", p)
	}
	w.audit(t)

	// An owner who becomes an admin keeps what an admin may offer.
	w.mustInvite(w.ann, w.client, w.bob, agency.Owner)
	must[agency.Profile](t)(w.invite(w.ann, w.client, actor("member"), agency.Member))
	must[agency.Profile](t)(w.invite(w.ann, w.client, actor("owner"), agency.Owner))
	must[agency.Profile](t)(w.ChangeMember(ctx, as(w.bob), w.client, party(w.ann), service.MemberChange{Role: agency.Admin}))
	for range 3 {
		noError(t, w.sweepAll())
	}
	diff(t, "a member's", agency.Invited, w.person(actor("member"), w.client).Status)
	diff(t, "an owner's", agency.Withdrawn, w.person(actor("owner"), w.client).Status)
	w.audit(t)
}

// Whatever happens at the same time as an acceptance, one order of the two explains it.
func TestAcceptAtOnce(t *testing.T) {
	invited := func(w *world) *world {
		must[agency.Profile](w.t)(w.invite(w.ann, w.client, w.eve, agency.Admin))
		return w
	}
	accept := func(w *world) error { return w.answer(w.eve, w.client, 1, "") }
	for name, tt := range map[string]struct {
		before func(*world) *world
		other  func(*world) error
		// lost are the codes of the acceptance if the other comes first.
		lost agency.Code
		// refused is the code of the other after the acceptance; "" for none.
		refused agency.Code
	}{
		"accept":   {invited, accept, "", ""},
		"decline":  {invited, func(w *world) error { return w.refuse(w.eve, w.client, 1, false) }, agency.NotPending, agency.NotPending},
		"withdraw": {invited, func(w *world) error { return second(w.withdrawInvitation(w.eve)) }, agency.NotPending, agency.NotPending},
		"close":    {invited, func(w *world) error { return w.close(as(w.ann), w.client) }, agency.Conflict, ""},
		"the inviter's removal": {func(w *world) *world {
			w.mustInvite(w.ann, w.client, w.bob, agency.Owner)
			return invited(w)
		}, func(w *world) error { return w.remove(w.bob, party(w.ann), false) }, agency.NotPending, ""},
		"erasing": {invited, func(w *world) error { return w.EraseMe(w.t.Context(), w.eve) }, agency.NotFound, ""},
	} {
		t.Run(name, func(t *testing.T) {
			race(t, tt.before, []func(*world) error{accept, tt.other}, func(t *testing.T, w *world, codes []agency.Code, _ []string) {
				t.Helper()
				p := w.person(w.eve, w.client)
				switch {
				case codes[0] == "" && codes[1] == tt.refused && p.Request.State == agency.StateAccepted:
				case codes[0] == "" && codes[1] == "" && p.Request.State == agency.StateAccepted:
				case codes[0] == tt.lost && tt.lost != "" && codes[1] == "" && p.Status != agency.Active:
				default:
					t.Errorf("%q, %s %s", codes, p.Status, p.Request.State)
				}
			})
		})
	}
}

// Of an offer's acceptance and the removal of its maker, the last other owner, an owner is left.
func TestOwnershipAgainstTheLastOwnersRemoval(t *testing.T) {
	race(t, func(w *world) *world {
		must[agency.Profile](w.t)(w.ChangeMember(w.t.Context(), as(w.ann), w.client, party(w.bob), service.MemberChange{Role: agency.Owner}))
		return w
	}, []func(*world) error{
		func(w *world) error { return w.answer(w.bob, w.client, 2, "starter") },
		func(w *world) error { return w.remove(w.ann, party(w.ann), false) },
	}, func(t *testing.T, w *world, codes []agency.Code, _ []string) {
		t.Helper()
		owners := w.account(w.client).Owners
		if codes[0] != "" || codes[1] != "" && codes[1] != agency.LastOwner || owners != map[agency.Code]int{"": 1, agency.LastOwner: 2}[codes[1]] {
			t.Errorf("%q, %d owners", codes, owners)
		}
	})
}

// A sole owner's address is replaced; the invitation of the new one is closed.
func TestReplaceOwner(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	replace := func(from, to string) error { return second(w.ReplaceOwner(ctx, platform, w.client, from, to)) }
	must[agency.Profile](t)(w.invite(w.ann, w.client, w.eve, agency.Member))
	noError(t, replace(w.ann.Email, "EVE@x.test"))
	before := w.items()
	noError(t, replace(w.ann.Email, w.eve.Email))
	testbed.SameItems(t, before, w.items())
	events := w.events(w.client)
	diff(t, "events", []string{"person.invitation_withdrawn", "person.added", "person.removed"}, events[len(events)-3:])
	diff(t, "owners", 1, w.account(w.client).Owners)
	diff(t, "before", agency.HasEnded, w.access(as(w.ann), w.client).Reason)
	must[service.AccountView](t)(w.RenameAccount(ctx, as(w.eve), w.client, "Mine"))
	diff(t, "bound", w.eve.Subject, w.person(w.eve, w.client).Subject)
	w.audit(t)
	for what, tt := range map[string]struct {
		err  error
		code agency.Code
	}{
		"a typing error": {replace("anm@x.test", w.eve.Email), agency.Conflict},
		"nobody":         {second(w.ReplaceOwner(ctx, agency.Platform{}, w.client, w.eve.Email, "n@x.test")), agency.Forbidden},
		"no address":     {replace("eve", "n@x.test"), agency.Invalid},
		"no new address": {replace(w.eve.Email, "n"), agency.Invalid},
		"the same":       {replace(w.eve.Email, " Eve@x.test"), agency.Invalid},
		"no owner":       {replace(w.bob.Email, "n@x.test"), agency.Conflict},
		"agency-owned":   {second(w.ReplaceOwner(ctx, platform, w.owned, w.olga.Email, "n@x.test")), agency.PermanentlyOwned},
		"unknown":        {second(w.ReplaceOwner(ctx, platform, agency.NewAccountID("per_x", "n"), w.olga.Email, "n@x.test")), agency.NotFound},
		"a malformed id": {second(w.ReplaceOwner(ctx, platform, "acct_x", w.olga.Email, "n@x.test")), agency.Invalid},
	} {
		refused(t, what, tt.code, tt.err)
	}
	w.mustInvite(w.eve, w.client, w.bob, agency.Owner)
	refused(t, "one of two", agency.Conflict, replace(w.eve.Email, "n@x.test"))
}

// The list of what waits has its parts in order, and each page its cursor.
func TestWaiting(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	for n := range 3 {
		at := w.mustOpen(w.ann, 20+n, fmt.Sprintf("Shop %d", n))
		must[agency.Profile](t)(w.invite(w.ann, at, w.bob, agency.Member))
	}
	must[agency.Profile](t)(w.requestByEmail(w.bob))
	must[agency.Profile](t)(w.request())
	must[agency.Profile](t)(w.ChangeMember(ctx, as(w.ann), w.client, party(w.bob), service.MemberChange{Role: agency.Owner}))
	for _, limit := range []int{1, 2, 50} {
		var kinds []agency.RequestKind
		pages, cursor := 0, ""
		for {
			list := must[service.List[service.RequestDetail]](t)(w.Waiting(ctx, w.bob, service.Page{Limit: limit, Cursor: cursor}))
			for _, item := range list.Items {
				kinds = append(kinds, item.RequestKind())
			}
			if cursor = list.Next; cursor == "" || pages > 20 {
				break
			}
			pages++
		}
		diff(t, fmt.Sprint(limit), []agency.RequestKind{
			agency.InvitationKind, agency.InvitationKind, agency.InvitationKind, agency.ConnectionKind, agency.OwnershipKind, agency.ConnectionKind,
		}, kinds)
	}
	for _, cursor := range []string{"x", "i.x", "e.x", "a.x", "z.", "."} {
		if cursor == "." {
			continue // the beginning
		}
		refused(t, cursor, agency.Invalid, second(w.Waiting(ctx, w.bob, service.Page{Limit: 10, Cursor: cursor})))
	}
	// What costs what: me is one read however much waits.
	must[agency.Person](t)(w.Me(ctx, w.bob))
	w.TakeCalls()
	must[agency.Person](t)(w.Me(ctx, w.bob))
	diff(t, "me", map[string]int{"BatchGetItem": 1}, w.TakeCalls())
	w.audit(t)
}

func invitations(ctx context.Context) []commandCase {
	invited := func(w *world) *world {
		must[agency.Profile](w.t)(w.invite(w.ann, w.client, w.eve, agency.Admin))
		return w
	}
	offered := func(w *world) *world {
		must[agency.Profile](w.t)(w.ChangeMember(ctx, as(w.ann), w.client, party(w.bob), service.MemberChange{Role: agency.Owner}))
		return w
	}
	answered := calls{"BatchGetItem": 2, "TransactWriteItems": 1}
	return []commandCase{
		{"invite", fresh, func(w *world) error { return second(w.invite(w.ann, w.client, w.eve, agency.Admin)) }, oneWrite},
		{"invite a client", fresh, func(w *world) error { return second(w.inviteClient(w.eve)) }, oneWrite},
		{"offer", fresh, func(w *world) error { offered(w); return nil }, oneWrite},
		{"resend an invitation", func(w *world) *world { return invited(w).after(day) },
			func(w *world) error { return second(w.ResendInvitation(ctx, as(w.ann), w.client, party(w.eve))) }, oneWrite},
		{"withdraw an invitation", invited, func(w *world) error { return second(w.withdrawInvitation(w.eve)) }, oneWrite},
		{"withdraw an offer", offered, func(w *world) error { return second(w.withdrawInvitation(w.bob)) }, oneWrite},
		{"a new sign-in", fresh, func(w *world) error { return second(w.AskNewSignIn(ctx, as(w.ann), w.client, party(w.mem))) }, oneWrite},
		{"accept an invitation", invited, func(w *world) error { return w.answer(w.eve, w.client, 1, "") }, answered},
		{"accept an offer", offered, func(w *world) error { return w.answer(w.bob, w.client, 2, "starter") }, answered},
		{"decline an invitation", invited, func(w *world) error { return w.refuse(w.eve, w.client, 1, true) }, answered},
		{"expire an invitation", func(w *world) *world { return invited(w).after(30 * day) }, (*world).sweepEve, oneWrite},
		{"remind of an invitation", func(w *world) *world { return invited(w).after(27 * day) }, (*world).sweepEve, oneWrite},
		{"replace an owner", fresh, func(w *world) error { return second(w.ReplaceOwner(ctx, platform, w.client, w.ann.Email, w.eve.Email)) }, oneWrite},
	}
}

func (w *world) sweepEve() error {
	return second(w.SweepProfile(w.t.Context(), agency.PersonAt(w.client, w.eve.ID())))
}

// An invitation is reminded of once, three days before it expires.
func TestInvitationReminders(t *testing.T) {
	w := newWorld(t)
	must[agency.Profile](t)(w.invite(w.ann, w.client, w.eve, agency.Admin))
	must[agency.Profile](t)(w.ChangeMember(t.Context(), as(w.ann), w.client, party(w.bob), service.MemberChange{Role: agency.Owner}))
	w.advance(27*day - time.Millisecond)
	noError(t, w.sweepAll())
	diff(t, "before", 0, countOf(w.events(w.client), "person.invitation_reminded"))
	w.advance(time.Millisecond)
	noError(t, w.sweepAll())
	noError(t, w.sweepAll())
	diff(t, "then", 2, countOf(w.events(w.client), "person.invitation_reminded"))
	w.advance(3 * day)
	noError(t, w.sweepAll())
	diff(t, "expired", 2, countOf(w.events(w.client), "person.invitation_expired"))
	w.audit(t)
}

// A cooldown from elsewhere never shows who decided there: an invitation is refused only while its own
// decline cools.
func TestACooldownFromElsewhereDoesNotShow(t *testing.T) {
	for _, who := range []string{"eve", "another owner"} {
		w := newWorld(t)
		must[agency.Profile](t)(w.invite(w.gil, w.agency, w.eve, agency.Admin))
		noError(t, w.refuse(w.eve, w.agency, 1, false))
		w.mustInvite(w.ann, w.client, w.eve, agency.Admin)
		w.advance(31 * day)
		w.connected()
		by := w.eve
		if who != "eve" {
			by = w.ann
		}
		must[agency.Profile](t)(w.RemoveMember(t.Context(), as(by), w.client, agency.Party(w.agency), false))
		p, err := w.invite(w.gil, w.agency, w.eve, agency.Admin)
		noError(t, err)
		diff(t, who, agency.Invited, p.Status)
		diff(t, who+": muted", by == w.eve, p.Request.Muted)
		w.audit(t)
	}
}

// A person's limits are of their mailbox, whatever tags they sign in with.
func TestTagsAreNoWayAroundAPersonsLimits(t *testing.T) {
	w := newWorld(t)
	w.Rules.DailyByNewPerson = agency.PersonLimits{AccountsOpened: 2}
	for n := range 2 {
		must[service.AccountView](t)(w.OpenAccount(t.Context(), actor(fmt.Sprintf("spam+%d", n)), idempotencyKey(n), "Account"))
	}
	refused(t, "a third", agency.RateLimited, second(w.OpenAccount(t.Context(), actor("spam+2"), idempotencyKey(2), "Account")))
	refused(t, "without a tag", agency.RateLimited, second(w.OpenAccount(t.Context(), actor("spam"), idempotencyKey(3), "Account")))
}

// What the clock does to an invitation in an agency-owned account concerns its agency.
func TestTheClocksEventsConcernTheOwningAgency(t *testing.T) {
	w := newWorld(t)
	must[agency.Profile](t)(w.inviteClient(w.eve))
	w.advance(27 * day)
	noError(t, w.sweepAll())
	w.advance(3 * day)
	noError(t, w.sweepAll())
	for _, e := range must[service.List[agency.Event]](t)(w.store.Activity(t.Context(), agency.Party(w.owned), "", service.Page{Limit: 2})).Items {
		if e.Agency != w.agency || e.Kind != agency.InvitationKind {
			t.Errorf("%+v", e)
		}
	}
	w.audit(t)
}

// Nobody who is being erased becomes an owner, by no call of the platform.
func TestThePlatformAppointsNobodyWhoIsErased(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	noError(t, w.EraseMe(ctx, w.eve))
	refused(t, "a new owner", agency.Conflict, second(w.ReplaceOwner(ctx, platform, w.client, w.ann.Email, w.eve.Email)))
	w.eraseLastOwner()
	noError(t, w.EraseMe(ctx, w.bob))
	refused(t, "an admin", agency.Conflict, second(w.register(w.client, "Client", w.bob.Email, "")))
}

// Who loses a role again while the sweep closes what they offered is not forgotten, and no profile is
// collected before that.
func TestASecondDemotion(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	key := agency.PersonAt(w.client, w.bob.ID())
	demote := func() {
		must[agency.Profile](t)(w.ChangeMember(ctx, as(w.ann), w.client, party(w.bob), service.MemberChange{Role: agency.Member, Areas: viewPages}))
	}
	demote()
	queries := 0
	w.BeforeQuery = func(*dynamodb.QueryInput) error {
		if queries++; queries == 1 {
			w.BeforeQuery = nil
			w.advance(time.Second)
			must[agency.Profile](t)(w.ChangeMember(ctx, as(w.ann), w.client, party(w.bob), service.MemberChange{Role: agency.Admin}))
			must[agency.Profile](t)(w.invite(w.bob, w.client, w.eve, agency.Admin))
			demote()
		}
		return nil
	}
	must[service.Outcome](t)(w.SweepProfile(ctx, key))
	diff(t, "raced", 1, queries)
	if w.profile(key).CloseAt.IsZero() && w.person(w.eve, w.client).Status == agency.Invited {
		t.Error("the second demotion is forgotten")
	}
	must[service.Outcome](t)(w.SweepProfile(ctx, key))
	diff(t, "closed", agency.Withdrawn, w.person(w.eve, w.client).Status)
	must[agency.Profile](t)(w.RemoveMember(ctx, as(w.ann), w.client, party(w.bob), false))
	must[agency.Profile](t)(w.invite(w.ann, w.client, actor("z"), agency.Admin))
	w.mustAccept(actor("z"), w.client)
	must[agency.Profile](t)(w.RemoveMember(ctx, as(w.ann), w.client, party(actor("z")), false))
	item := w.items()["ACCT#"+string(w.client)+" TEAM#"+string(actor("z").ID())]
	if item["closeAt"] == nil || item["ttl"] != nil {
		t.Errorf("collected before its invitations are closed: %s", plain(item))
	}
	w.audit(t)
}

// A person's numbers and versions go on after their profile was collected.
func TestNumbersOfPersonsNeverRepeat(t *testing.T) {
	w := newWorld(t)
	must[agency.Profile](t)(w.invite(w.ann, w.client, w.eve, agency.Admin))
	noError(t, w.refuse(w.eve, w.client, 1, false))
	was := w.person(w.eve, w.client)
	w.advance(91 * day)
	noError(t, w.sweepAll())
	diff(t, "collected", 0, w.person(w.eve, w.client).Version)
	p := must[agency.Profile](t)(w.invite(w.ann, w.client, w.eve, agency.Admin))
	diff(t, "number", 2, p.Request.Number)
	diff(t, "version", was.Version+1, p.Version)
}

// A profile has its account's name of the acceptance.
func TestAnAcceptanceCopiesTheName(t *testing.T) {
	w := newWorld(t)
	must[agency.Profile](t)(w.invite(w.ann, w.client, w.eve, agency.Admin))
	must[service.AccountView](t)(w.RenameAccount(t.Context(), as(w.ann), w.client, "Renamed"))
	w.mustAccept(w.eve, w.client)
	diff(t, "name", "Renamed", w.person(w.eve, w.client).AccountName)
}

// A new sign-in keeps what the person has offered, and reaches them whatever cools or is blocked.
func TestANewSignInIsNoRemoval(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	must[agency.Profile](t)(w.invite(w.bob, w.client, w.eve, agency.Admin))
	must[agency.Profile](t)(w.ChangeMember(ctx, as(w.ann), w.client, party(w.bob), service.MemberChange{Role: agency.Owner}))
	noError(t, w.refuse(w.bob, w.client, 2, false))
	must[agency.Profile](t)(w.AskNewSignIn(ctx, as(w.ann), w.client, party(w.bob)))
	noError(t, w.sweepAll())
	diff(t, "what he offered", agency.Invited, w.person(w.eve, w.client).Status)
	diff(t, "waiting", 1, len(w.waiting(w.bob)))
	noError(t, second(w.acceptInvitation(impostor(w.bob), w.client)))
	w.audit(t)
}

// An offer to a tagged address is muted by the block of the address without its tag, by each call.
func TestOffersToTaggedAddresses(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	vera, tagged := actor("vera"), actor("vera+1")
	w.mustInvite(w.ann, w.client, tagged, agency.Admin)
	must[agency.Profile](t)(w.invite(w.ann, w.client, vera, agency.Admin))
	noError(t, w.refuse(vera, w.client, 1, true))
	p := must[agency.Profile](t)(w.ChangeMember(ctx, as(w.ann), w.client, party(tagged), service.MemberChange{Role: agency.Owner}))
	diff(t, "muted", true, p.Request.Muted)
	// Who it is addressed to sees nothing of it in the team and its activity; the others do.
	find := func(who agency.Actor) (offered bool, events int) {
		for _, p := range must[service.List[agency.Profile]](t)(w.Team(ctx, as(who), w.client, service.Page{Limit: 50})).Items {
			offered = offered || p.Member == party(tagged) && p.HasOffer()
		}
		for _, e := range must[service.List[agency.Event]](t)(w.AccountActivity(ctx, as(who), w.client, service.Page{Limit: 50})).Items {
			if e.Type == agency.OwnershipOffered {
				events++
			}
		}
		return offered, events
	}
	if offered, events := find(tagged); offered || events != 0 {
		t.Errorf("the addressee sees %t, %d", offered, events)
	}
	if offered, events := find(w.ann); !offered || events != 1 {
		t.Errorf("the owner sees %t, %d", offered, events)
	}
	refused(t, "accepting", agency.NotFound, w.answer(tagged, w.client, 2, "starter"))
	diff(t, "access", true, w.access(as(tagged), w.client).Allowed)
	w.audit(t)
}

// Who declined, or was removed, reads no more of the account than they knew.
func TestAnEndedInvitationTellsNothingNew(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	must[agency.Profile](t)(w.invite(w.ann, w.client, w.eve, agency.Owner))
	noError(t, w.refuse(w.eve, w.client, 1, true))
	must[service.SubscriptionView](t)(w.ChangePlan(ctx, as(w.ann), w.client, "growth"))
	must[service.AccountView](t)(w.RenameAccount(ctx, as(w.ann), w.client, "Renamed"))
	got := must[service.RequestDetail](t)(w.GetInvitation(ctx, w.eve, w.client))
	if got.IsForPayer() || got.Account.Name != "Client" || got.From.Name != "Client" || got.Account.Subscription.Plan != "" || got.By != "" {
		t.Errorf("%+v", got)
	}
	// An invitation whose maker can't make it any more is shown as withdrawn before the sweep.
	w.mustInvite(w.ann, w.client, w.mem, agency.Admin)
	must[agency.Profile](t)(w.invite(w.bob, w.client, actor("x"), agency.Admin))
	must[agency.Profile](t)(w.RemoveMember(ctx, as(w.ann), w.client, party(w.bob), false))
	diff(t, "state", agency.StateWithdrawn, must[service.RequestDetail](t)(w.GetInvitation(ctx, actor("x"), w.client)).Request.State)
	diff(t, "waiting", 0, len(w.waiting(actor("x"))))
}
