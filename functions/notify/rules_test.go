package main

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"agencyhub/shared/agency"
	"agencyhub/shared/outbox"
	"agencyhub/shared/testbed"
)

// change is what has happened between an event and its emails.
type change = func(*eventContext)

func withStatus(s agency.Status) change { return func(c *eventContext) { c.profile.Status = s } }

func withNextRequest(c *eventContext) { c.profile.Request.Number = 2 }

func closedAt(at time.Time) change { return func(c *eventContext) { c.account.Closed = at } }

func memberEvent(of agency.EventType, in agency.Ownership, s agency.Status) eventContext {
	return membership(of, in, agency.Member, s)
}

const own, owned = agency.ClientOwned, agency.AgencyOwned

// ruleTest is the emails that are wanted of an event, after a change. A "-" stands
// before a stale one, a "~" before a muted one.
type ruleTest struct {
	name string
	c    eventContext
	then change
	want string
}

func requestRules() []ruleTest {
	asked := connection(agency.ConnectionRequested, "", agency.Pending)
	sentAgain := connection(agency.ConnectionResent, agency.Pending, agency.Pending)
	reminded := connection(agency.ConnectionReminded, agency.Pending, agency.Pending)
	muted := func(c *eventContext) { c.event.Muted, c.profile.Request.Muted = true, true }
	mutes := func(c *eventContext) { c.mutedBy = map[agency.PersonID]bool{petra: true, ann: true} }
	return []ruleTest{
		{name: "requested", c: asked, want: "requested petra"},
		{name: "requested, accepted", c: asked, then: withStatus(agency.Active), want: "-requested petra"},
		{name: "requested, declined", c: asked, then: withStatus(agency.Declined), want: "-requested petra"},
		{name: "requested, withdrawn", c: asked, then: withStatus(agency.Withdrawn), want: "-requested petra"},
		{name: "requested, overdue by the clock", c: asked, then: func(c *eventContext) { c.now = deadline }, want: "-requested petra"},
		{name: "requested, a moment before", c: asked, then: func(c *eventContext) { c.now = deadline.Add(-time.Millisecond) }, want: "requested petra"},
		{name: "requested, asked again", c: asked, then: withNextRequest, want: "-requested petra"},
		{name: "requested, sent again", c: asked, then: func(c *eventContext) { c.profile.Request.ExpiresAt = deadline.Add(time.Second) }, want: "-requested petra"},
		{name: "requested, delivery noted", c: asked, then: func(c *eventContext) { c.profile.Request.Delivery = notFailed; c.profile.Version += 5 }, want: "requested petra"},
		{name: "requested, account closed", c: asked, then: func(c *eventContext) { c.account.Closed = c.now }, want: "-requested petra"},
		{name: "requested, hub switched off", c: asked, then: func(c *eventContext) { c.agency.AgencyOn = false }, want: "-requested petra"},
		{name: "requested, muted", c: asked, then: muted},
		{name: "requested, held off by the owner", c: asked, then: mutes, want: "~requested petra"},
		{name: "requested, held off by another", c: asked, then: func(c *eventContext) { c.mutedBy = map[agency.PersonID]bool{ann: true} }, want: "requested petra"},
		{name: "requested, held off, declined", c: asked, then: func(c *eventContext) { mutes(c); c.profile.Status = agency.Declined }, want: "-requested petra"},
		{name: "resent, muted", c: sentAgain, then: muted},
		{name: "resent, held off by the owner", c: sentAgain, then: mutes, want: "~resent petra"},
		{name: "reminded", c: reminded, want: "reminded petra"},
		{name: "reminded, muted", c: reminded, then: muted},
		{name: "reminded, held off by the owner", c: reminded, then: mutes, want: "~reminded petra"},
		{name: "reminded, accepted", c: reminded, then: withStatus(agency.Active), want: "-reminded petra"},
		{name: "reminded, sent again", c: reminded, then: func(c *eventContext) { c.profile.Request.ExpiresAt = deadline.Add(time.Second) }, want: "-reminded petra"},
		{name: "reminded, overdue by the clock", c: reminded, then: func(c *eventContext) { c.now = deadline }, want: "-reminded petra"},
		{name: "resent", c: sentAgain, want: "resent petra"},
		{name: "resent, accepted", c: sentAgain, then: withStatus(agency.Active), want: "-resent petra"},
	}
}

func connectionRules() []ruleTest {
	accepted := connection(agency.ConnectionAccepted, agency.Pending, agency.Active)
	restricted := connection(agency.ConnectionRestricted, agency.Active, agency.Active)
	expired := connection(agency.ConnectionExpired, agency.Pending, agency.Expired)
	withdrawn := connection(agency.ConnectionWithdrawn, agency.Pending, agency.Withdrawn)
	lapsed := connection(agency.ConnectionLapsed, agency.Active, agency.Lapsed).with(func(c *eventContext) { c.event.Now.Until = c.now })
	warned := ahead(24 * time.Hour)
	muted := func(c *eventContext) { c.event.Muted, c.profile.Request.Muted = true, true }
	unheard := func(c *eventContext) { c.profile.Request.Reached = []agency.PersonID{ann} }
	return []ruleTest{
		{name: "accepted", c: accepted, want: "accepted-agency ann, accepted-agency oskar, accepted-client petra"},
		{name: "accepted, revoked", c: accepted, then: withStatus(agency.Revoked), want: "accepted-agency ann, accepted-agency oskar, accepted-client petra"},
		{name: "declined", c: connection(agency.ConnectionDeclined, agency.Pending, agency.Declined), want: "declined-agency ann, declined-agency oskar, declined-client petra"},
		{name: "declined, asked again", c: connection(agency.ConnectionDeclined, agency.Pending, agency.Pending), then: withNextRequest, want: "declined-agency ann, declined-agency oskar, declined-client petra"},
		{name: "withdrawn", c: withdrawn, want: "withdrawn-client petra"},
		{name: "withdrawn, asked again", c: withdrawn, then: func(c *eventContext) { c.profile.Status, c.profile.Request.Number = agency.Pending, 2 }, want: "-withdrawn-client petra"},
		{name: "withdrawn, asked again, withdrawn", c: withdrawn, then: withNextRequest, want: "-withdrawn-client petra"},
		{name: "withdrawn, unheard of", c: withdrawn, then: unheard},
		{name: "withdrawn, muted", c: withdrawn, then: muted},
		{name: "expired, unheard of", c: expired, then: unheard, want: "expired-agency ann, expired-agency oskar"},
		{name: "expired, muted", c: expired, then: muted, want: "expired-agency ann, expired-agency oskar"},
		{name: "expired with the account", c: expired, then: closedAt(monday), want: "-expired-agency ann, -expired-agency oskar, -expired-client petra"},
		{name: "expired, then closed", c: expired, then: closedAt(deadline), want: "expired-agency ann, expired-agency oskar, expired-client petra"},
		{name: "expired", c: expired, want: "expired-agency ann, expired-agency oskar, expired-client petra"},
		{name: "expired, dismissed", c: expired, then: withStatus(agency.Declined), want: "-expired-agency ann, -expired-agency oskar, -expired-client petra"},
		{name: "expired, asked again", c: expired, then: func(c *eventContext) { c.profile.Status, c.profile.Request.Number = agency.Pending, 2 }, want: "-expired-agency ann, -expired-agency oskar, -expired-client petra"},
		{name: "restricted", c: restricted, want: "restricted-agency ann, restricted-agency oskar"},
		{name: "restricted, and again", c: restricted, then: func(c *eventContext) { c.profile.Areas = fewer }, want: "-restricted-agency ann, -restricted-agency oskar"},
		{name: "restricted, end date moved", c: restricted, then: func(c *eventContext) { c.profile.Until = deadline }, want: "-restricted-agency ann, -restricted-agency oskar"},
		{name: "restricted, left", c: restricted, then: withStatus(agency.Left), want: "-restricted-agency ann, -restricted-agency oskar"},
		{name: "restricted, connected again", c: restricted, then: withNextRequest, want: "-restricted-agency ann, -restricted-agency oskar"},
		{name: "revoked", c: connection(agency.ConnectionRevoked, agency.Active, agency.Revoked), want: "revoked-agency ann, revoked-agency oskar, revoked-client petra"},
		{name: "left", c: connection(agency.ConnectionLeft, agency.Active, agency.Left), want: "left-agency ann, left-agency oskar, left-client petra"},
		{name: "lapsed", c: lapsed, want: "lapsed-agency ann, lapsed-agency oskar, lapsed-client petra"},
		{name: "lapsed, requested again", c: lapsed, then: withNextRequest, want: "lapsed-agency ann, lapsed-agency oskar, lapsed-client petra"},
		{name: "lapsed in a closed account", c: lapsed, then: closedAt(monday), want: "-lapsed-agency ann, -lapsed-agency oskar, -lapsed-client petra"},
		{name: "lapse ahead", c: warned, want: "lapse-ahead-agency ann, lapse-ahead-agency oskar, lapse-ahead-client petra"},
		{name: "lapse ahead, date moved", c: warned, then: func(c *eventContext) { c.profile.Until = deadline.Add(time.Hour) }, want: "-lapse-ahead-agency ann, -lapse-ahead-agency oskar, -lapse-ahead-client petra"},
		{name: "lapse ahead, date removed", c: warned, then: func(c *eventContext) { c.profile.Until = time.Time{} }, want: "-lapse-ahead-agency ann, -lapse-ahead-agency oskar, -lapse-ahead-client petra"},
		{name: "lapse ahead, over by the clock", c: warned, then: func(c *eventContext) { c.now = c.profile.Until }, want: "-lapse-ahead-agency ann, -lapse-ahead-agency oskar, -lapse-ahead-client petra"},
		{name: "lapse ahead, revoked", c: warned, then: withStatus(agency.Revoked), want: "-lapse-ahead-agency ann, -lapse-ahead-agency oskar, -lapse-ahead-client petra"},
		{name: "lapse ahead, account closed", c: warned, then: closedAt(monday), want: "-lapse-ahead-agency ann, -lapse-ahead-agency oskar, -lapse-ahead-client petra"},
		{name: "ended", c: connection(agency.ConnectionEnded, agency.Active, agency.Ended)},
		{name: "moved", c: connection(agency.ConnectionMoved, agency.Pending, agency.Moved)},
	}
}

func byEmailRules() []ruleTest {
	muted := func(c *eventContext) { c.event.Muted, c.profile.Request.Muted = true, true }
	unheard := func(c *eventContext) { c.profile.Request.Reached = []agency.PersonID{ann} }
	mutes := func(c *eventContext) { c.mutedBy = map[agency.PersonID]bool{petra: true, ann: true} }
	mailAsk := byEmail(agency.ConnectionRequested, "", agency.Pending)
	mailAgain := byEmail(agency.ConnectionResent, agency.Pending, agency.Pending)
	mailReminded := byEmail(agency.ConnectionReminded, agency.Pending, agency.Pending)
	mailDeclined := byEmail(agency.ConnectionDeclined, agency.Pending, agency.Declined)
	mailWithdrawn := byEmail(agency.ConnectionWithdrawn, agency.Pending, agency.Withdrawn)
	mailExpired := byEmail(agency.ConnectionExpired, agency.Pending, agency.Expired)
	return []ruleTest{
		{name: "requested by email", c: mailAsk, want: "requested-person petra"},
		{name: "requested by email, muted", c: mailAsk, then: muted},
		{name: "requested by email, held off since", c: mailAsk, then: mutes, want: "~requested-person petra"},
		{name: "requested by email, moved", c: mailAsk, then: withStatus(agency.Moved), want: "-requested-person petra"},
		{name: "requested by email, hub switched off", c: mailAsk, then: func(c *eventContext) { c.agency.AgencyOn = false }, want: "-requested-person petra"},
		{name: "requested by email, address erased", c: mailAsk, then: func(c *eventContext) { c.profile.Email = "" }},
		{name: "resent by email", c: mailAgain, want: "resent-person petra"},
		{name: "resent by email, muted", c: mailAgain, then: muted},
		{name: "reminded by email", c: mailReminded, want: "reminded-person petra"},
		{name: "declined by email", c: mailDeclined, want: "declined-agency ann, declined-agency oskar, declined-person petra"},
		{name: "withdrawn by email", c: mailWithdrawn, want: "withdrawn-person petra"},
		{name: "withdrawn by email, unheard of", c: mailWithdrawn, then: unheard},
		{name: "withdrawn by email, muted", c: mailWithdrawn, then: muted},
		{name: "expired by email", c: mailExpired, want: "expired-agency ann, expired-agency oskar, expired-person petra"},
		{name: "expired by email, unheard of", c: mailExpired, then: unheard, want: "expired-agency ann, expired-agency oskar"},
		{name: "expired by email, muted", c: mailExpired, then: muted, want: "expired-agency ann, expired-agency oskar"},
		{name: "expired by email, erased", c: mailExpired, then: func(c *eventContext) { c.profile = agency.Profile{ProfileKey: c.profile.ProfileKey} }, want: "expired-agency oskar"},
		{name: "expired by email, asked again", c: mailExpired, then: withNextRequest, want: "-expired-agency ann, -expired-agency oskar, -expired-person petra"},
	}
}

func accountRules() []ruleTest {
	return []ruleTest{
		{name: "closed", c: closing("", ""), want: "closed-client petra"},
		{name: "closed, members ended since", c: closing("", ""), then: func(c *eventContext) { ended(c.team, c.event.At.Add(time.Second)) }, want: "closed-client petra"},
		{name: "closed on an agency", c: closing(agency.Active, agency.Active), want: "closed-agency ann, closed-agency oskar"},
		{name: "closed on an agency, ended since", c: closing(agency.Active, agency.Ended), want: "closed-agency ann, closed-agency oskar"},
		{name: "closed on an agency that asked", c: closing(agency.Pending, agency.Expired), want: "closed-agency ann, closed-agency oskar"},
		{name: "closed on an agency that asked, muted", c: closing(agency.Pending, agency.Pending), then: func(c *eventContext) { c.profile.Request.Muted = true }, want: "closed-agency ann, closed-agency oskar"},
		{name: "owned account closed", c: closingOwned("", ""), want: "closed-client petra, closed-client tom"},
		{name: "owned account closed, members ended since", c: closingOwned("", ""), then: func(c *eventContext) { ended(c.team, c.event.At.Add(time.Second)) }, want: "closed-client petra, closed-client tom"},
		{name: "owned account closed on its agency", c: closingOwned(agency.Active, agency.Ended), want: "closed-agency ann, closed-agency oskar"},
		{name: "switched off", c: memberEvent(agency.AgencySwitchedOff, own, agency.Active)},
		{name: "blocked", c: connection(agency.AgencyBlocked, agency.Pending, agency.Declined)},
		{name: "unblocked", c: connection(agency.AgencyUnblocked, agency.Declined, agency.Declined)},
		{name: "erasing", c: memberEvent(agency.PersonErasing, own, agency.Active)},
		{name: "erased", c: memberEvent(agency.PersonErased, own, agency.Ended)},
		{name: "created", c: created(true), want: "created-agency ann, created-agency oskar, created-client tom"},
		{name: "created, invitation withdrawn", c: created(true), then: answered(agency.Withdrawn, agency.StateWithdrawn), want: "created-agency ann, created-agency oskar, -created-client tom"},
		{name: "created, sent again", c: created(true), then: func(c *eventContext) { c.profile.Request.MailedAt = c.now.Add(time.Hour) }, want: "created-agency ann, created-agency oskar, -created-client tom"},
		{name: "created, muted", c: created(true), then: mutesInvitation, want: "created-agency ann, created-agency oskar, ~created-client tom"},
		{name: "created for nobody", c: created(false), want: "created-agency ann, created-agency oskar"},
		{name: "opened", c: memberEvent(agency.AccountOpened, own, agency.Active)},
		{name: "registered", c: memberEvent(agency.AccountRegistered, own, agency.Active)},
		{name: "released", c: memberEvent(agency.PersonReleased, own, agency.Active)},
		{name: "renamed", c: memberEvent(agency.AccountRenamed, own, agency.Active)},
		{name: "switched on", c: memberEvent(agency.AgencySwitchedOn, own, agency.Active)},
	}
}

func subscriptionRules() []ruleTest {
	return []ruleTest{
		{name: "plan changed", c: subscribed(agency.PlanChanged, own, runs, dearer), want: "plan-changed petra"},
		{name: "plan changed, and again", c: subscribed(agency.PlanChanged, own, runs, dearer), then: func(c *eventContext) { c.account.Subscription = runs }, want: "-plan-changed petra"},
		{name: "plan changed, cancelled", c: subscribed(agency.PlanChanged, own, dearer, runs), then: func(c *eventContext) { c.account.Subscription = cancels }, want: "plan-changed petra"},
		{name: "plan changed, closed", c: subscribed(agency.PlanChanged, own, runs, dearer), then: closedAt(deadline), want: "-plan-changed petra"},
		{name: "plan of an owned account changed", c: subscribed(agency.PlanChanged, owned, runs, dearer), want: "plan-changed-agency oskar"},
		{name: "cancelled", c: subscribed(agency.SubscriptionCancelled, own, runs, cancels), want: "subscription-cancelled petra"},
		{name: "cancelled, over by the clock", c: subscribed(agency.SubscriptionCancelled, own, runs, cancels), then: func(c *eventContext) { c.now = deadline }, want: "-subscription-cancelled petra"},
		{name: "cancelled, resumed", c: subscribed(agency.SubscriptionCancelled, owned, runs, cancels), then: func(c *eventContext) { c.account.Subscription = runs }, want: "-subscription-cancelled-agency oskar"},
		{name: "resumed", c: subscribed(agency.SubscriptionResumed, owned, frozen, runs), want: "subscription-resumed-agency oskar"},
		{name: "resumed, past due", c: subscribed(agency.SubscriptionResumed, own, frozen, due), want: "subscription-resumed petra"},
		{name: "resumed, cancelled again", c: subscribed(agency.SubscriptionResumed, own, frozen, runs), then: func(c *eventContext) { c.account.Subscription = cancels }, want: "-subscription-resumed petra"},
		{name: "frozen", c: subscribed(agency.SubscriptionFroze, own, cancels, frozen), want: "subscription-frozen petra"},
		{name: "frozen, resumed", c: subscribed(agency.SubscriptionFroze, owned, cancels, frozen), then: func(c *eventContext) { c.account.Subscription = runs }, want: "-subscription-frozen-agency oskar"},
		{name: "payment failed", c: subscribed(agency.PaymentFailed, own, runs, due), want: "payment-failed petra"},
		{name: "payment failed, recovered", c: subscribed(agency.PaymentFailed, own, runs, due), then: func(c *eventContext) { c.account.Subscription = runs }, want: "-payment-failed petra"},
		{name: "payment recovered", c: subscribed(agency.PaymentRecovered, owned, due, runs), want: "payment-recovered-agency oskar"},
		{name: "payment recovered, failed again", c: subscribed(agency.PaymentRecovered, own, due, runs), then: func(c *eventContext) { c.account.Subscription = due }, want: "-payment-recovered petra"},
	}
}

func memberRules() []ruleTest {
	return []ruleTest{
		{name: "joined", c: joined(own, agency.Member), want: "person-joined petra, person-added tom"},
		{name: "joined, removed", c: joined(own, agency.Member), then: withStatus(agency.Revoked), want: "-person-joined petra, -person-added tom"},
		{name: "joined, removed, joined", c: joined(own, agency.Member), then: func(c *eventContext) { c.profile.Since = c.now.Add(time.Second) }, want: "-person-joined petra, -person-added tom"},
		{name: "joined, changed", c: joined(own, agency.Member), then: func(c *eventContext) { c.profile.Role = agency.Admin }, want: "person-joined petra, person-added tom"},
		{name: "joined, maker gone", c: joined(own, agency.Member), then: withoutMaker, want: "person-added tom"},
		{name: "joined as an owner", c: joined(own, agency.Owner), then: withAnotherOwner, want: "person-joined petra, ownership-accepted oskar, person-added tom"},
		{name: "joined as an admin", c: joined(own, agency.Admin), then: withAnotherOwner, want: "person-joined petra, person-added tom"},
		{name: "named by the platform", c: memberOwner(agency.PersonAdded), then: withAnotherOwner, want: "owner-named tom"},
		{name: "named by the platform, removed", c: memberOwner(agency.PersonAdded), then: withStatus(agency.Revoked), want: "-owner-named tom"},
		{name: "named by the platform, a member before", c: memberOwner(agency.PersonChanged), want: "owner-named tom"},
		{name: "named by the platform, a member again", c: memberOwner(agency.PersonChanged), then: func(c *eventContext) { c.profile.Role = agency.Member }, want: "-owner-named tom"},
		{name: "replaced by the platform", c: memberOwner(agency.PersonRemoved), then: withStatus(agency.Revoked), want: "owner-replaced tom"},
		{name: "replaced by the platform, joined", c: memberOwner(agency.PersonRemoved), want: "-owner-replaced tom"},
		{name: "changed", c: memberEvent(agency.PersonChanged, own, agency.Active), want: "person-changed tom"},
		{name: "changed, and again", c: memberEvent(agency.PersonChanged, own, agency.Active), then: func(c *eventContext) { c.profile.Role = agency.Owner }, want: "-person-changed tom"},
		{name: "changed, clients since", c: memberEvent(agency.PersonChanged, own, agency.Active), then: func(c *eventContext) { c.profile.Clients = []agency.AccountID{} }, want: "-person-changed tom"},
		{name: "changed, left", c: memberEvent(agency.PersonChanged, own, agency.Left), want: "-person-changed tom"},
		{name: "removed", c: memberEvent(agency.PersonRemoved, own, agency.Revoked), want: "person-removed tom"},
		{name: "removed, added", c: memberEvent(agency.PersonRemoved, own, agency.Active), want: "-person-removed tom"},
		{name: "left a team", c: memberEvent(agency.PersonLeft, own, agency.Left), want: "person-left petra"},
		{name: "left a team, added", c: memberEvent(agency.PersonLeft, own, agency.Active), want: "person-left petra"},
		{name: "person ended", c: memberEvent(agency.PersonEnded, own, agency.Ended)},
		{name: "given", c: joined(owned, agency.Member), want: "person-joined ann, access-given tom"},
		{name: "given, taken", c: joined(owned, agency.Member), then: withStatus(agency.Revoked), want: "-person-joined ann, -access-given tom"},
		{name: "access changed", c: memberEvent(agency.PersonChanged, owned, agency.Active), want: "access-changed tom"},
		{name: "access changed, taken", c: memberEvent(agency.PersonChanged, owned, agency.Revoked), want: "-access-changed tom"},
		{name: "taken", c: memberEvent(agency.PersonRemoved, owned, agency.Revoked), want: "access-taken tom"},
		{name: "taken, given", c: memberEvent(agency.PersonRemoved, owned, agency.Active), want: "-access-taken tom"},
		{name: "client left", c: memberEvent(agency.PersonLeft, owned, agency.Left), want: "person-left oskar"},
	}
}

// memberOwner is an event of Tom, an owner, that the platform has caused.
func memberOwner(of agency.EventType) eventContext {
	return membership(of, own, agency.Owner, agency.Active).with(byThePlatform)
}

// withAnotherOwner: Oskar and Tom own the account too.
func withAnotherOwner(c *eventContext) {
	c.team = append(slices.Clone(c.team), staff(bakery, "oskar@studio.test", agency.Owner), staff(bakery, "tom@bakery.test", agency.Owner))
}

// answered is what has become of an invitation since.
func answered(status agency.Status, state agency.RequestState) change {
	return func(c *eventContext) { c.profile.Status, c.profile.Request.State = status, state }
}

func mutesInvitation(c *eventContext) { c.profile.Request.Muted = true }

// withoutMaker: the person who invited has left.
func withoutMaker(c *eventContext) {
	c.team, c.staff = slices.Clone(c.team), slices.Clone(c.staff)
	for _, people := range [][]agency.Profile{c.team, c.staff} {
		for i := range people {
			if people[i].Member.Person() == c.profile.Request.By {
				people[i].Status = agency.Left
			}
		}
	}
}

// asAdmin: the person who invited is an admin by now.
func asAdmin(c *eventContext) {
	c.team = slices.Clone(c.team)
	for i := range c.team {
		c.team[i].Role = agency.Admin
	}
}

func invitationRules() []ruleTest {
	var all []ruleTest
	// What asks somebody to accept is stale for the same reasons.
	for kind, c := range map[string]eventContext{
		"invited":          invitation(agency.PersonInvited, own, agency.Owner, agency.StateOpen),
		"invited-again":    invitation(agency.InvitationResent, own, agency.Owner, agency.StateOpen),
		"invited-reminder": invitation(agency.InvitationReminded, own, agency.Owner, agency.StateOpen),
		"offered":          offer(agency.OwnershipOffered, agency.StateOpen),
		"offered-again":    offer(agency.InvitationResent, agency.StateOpen),
		"offered-reminder": offer(agency.InvitationReminded, agency.StateOpen),
	} {
		ended := func(status agency.Status, state agency.RequestState) change {
			if c.profile.Status == agency.Active {
				status = agency.Active
			}
			return answered(status, state)
		}
		stale := "-" + kind + " tom"
		all = append(all,
			ruleTest{name: kind, c: c, want: kind + " tom"},
			ruleTest{name: kind + ", accepted", c: c, then: ended(agency.Active, agency.StateAccepted), want: stale},
			ruleTest{name: kind + ", declined", c: c, then: ended(agency.Declined, agency.StateDeclined), want: stale},
			ruleTest{name: kind + ", withdrawn", c: c, then: ended(agency.Withdrawn, agency.StateWithdrawn), want: stale},
			ruleTest{name: kind + ", removed", c: c, then: answered(agency.Revoked, agency.StateWithdrawn), want: stale},
			ruleTest{name: kind + ", overdue by the clock", c: c, then: func(c *eventContext) { c.now = deadline }, want: stale},
			ruleTest{name: kind + ", other terms", c: c, then: withNextRequest, want: stale},
			ruleTest{name: kind + ", sent again since", c: c, then: func(c *eventContext) { c.profile.Request.MailedAt = c.event.At.Add(time.Second) }, want: stale},
			ruleTest{name: kind + ", maker gone", c: c, then: withoutMaker, want: stale},
			ruleTest{name: kind + ", maker no owner any more", c: c, then: asAdmin, want: stale},
			ruleTest{name: kind + ", closed", c: c, then: closedAt(monday), want: stale},
			ruleTest{name: kind + ", muted", c: c, then: mutesInvitation, want: "~" + kind + " tom"},
			ruleTest{name: kind + ", blocked since", c: c, then: func(c *eventContext) {
				c.mutedBy = map[agency.PersonID]bool{c.profile.Member.Person(): true}
			}, want: "~" + kind + " tom"},
			ruleTest{name: kind + ", erased", c: c, then: func(c *eventContext) { c.profile.Email = "" }},
		)
	}
	unheard := func(c *eventContext) { c.profile.Request.Reached = nil }
	withdrawn := invitation(agency.InvitationWithdrawn, own, agency.Member, agency.StateWithdrawn)
	expired := invitation(agency.InvitationExpired, own, agency.Member, agency.StateExpired)
	declined := invitation(agency.InvitationDeclined, own, agency.Member, agency.StateDeclined)
	withdrawnOffer := offer(agency.InvitationWithdrawn, agency.StateWithdrawn)
	return append(all,
		ruleTest{name: "invited by an agency", c: invitation(agency.PersonInvited, owned, agency.Member, agency.StateOpen), want: "invited tom"},
		ruleTest{name: "invited by an agency, maker gone", c: invitation(agency.PersonInvited, owned, agency.Member, agency.StateOpen), then: withoutMaker, want: "-invited tom"},
		ruleTest{name: "invited as a member, maker an admin", c: invitation(agency.PersonInvited, own, agency.Member, agency.StateOpen), then: asAdmin, want: "invited tom"},
		ruleTest{name: "invitation withdrawn", c: withdrawn, want: "invitation-withdrawn tom"},
		ruleTest{name: "invitation withdrawn, unheard of", c: withdrawn, then: unheard},
		ruleTest{name: "invitation withdrawn, invited again", c: withdrawn, then: func(c *eventContext) { withNextRequest(c); answered(agency.Invited, agency.StateOpen)(c) }, want: "-invitation-withdrawn tom"},
		ruleTest{name: "invitation withdrawn, muted", c: withdrawn, then: mutesInvitation, want: "~invitation-withdrawn tom"},
		ruleTest{name: "invitation withdrawn, collected", c: withdrawn, then: func(c *eventContext) { c.profile.Version = 0 }, want: "invitation-withdrawn tom"},
		ruleTest{name: "offer withdrawn", c: withdrawnOffer, want: "invitation-withdrawn tom"},
		ruleTest{name: "offer withdrawn by a removal", c: withdrawnOffer, then: withStatus(agency.Revoked), want: "-invitation-withdrawn tom"},
		ruleTest{name: "invitation expired", c: expired, want: "invitation-expired tom, invitation-expired-maker petra"},
		ruleTest{name: "invitation expired, unheard of", c: expired, then: unheard, want: "invitation-expired-maker petra"},
		ruleTest{name: "invitation expired, maker gone", c: expired, then: withoutMaker, want: "invitation-expired tom"},
		ruleTest{name: "invitation expired with the account", c: expired, then: closedAt(monday), want: "invitation-expired tom, -invitation-expired-maker petra"},
		ruleTest{name: "invitation expired, dismissed", c: expired, then: answered(agency.Declined, agency.StateDeclined), want: "-invitation-expired tom, -invitation-expired-maker petra"},
		ruleTest{name: "invitation expired, muted", c: expired, then: mutesInvitation, want: "~invitation-expired tom, invitation-expired-maker petra"},
		ruleTest{name: "offer expired", c: offer(agency.InvitationExpired, agency.StateExpired), want: "invitation-expired tom, invitation-expired-maker petra"},
		ruleTest{name: "invitation to an owned account expired", c: invitation(agency.InvitationExpired, owned, agency.Member, agency.StateExpired), want: "invitation-expired tom, invitation-expired-maker ann"},
		ruleTest{name: "invitation declined", c: declined, want: "invitation-declined petra"},
		ruleTest{name: "invitation declined, invited again", c: declined, then: withNextRequest, want: "-invitation-declined petra"},
		ruleTest{name: "invitation declined, maker gone", c: declined, then: withoutMaker},
		ruleTest{name: "offer declined", c: offer(agency.InvitationDeclined, agency.StateDeclined), want: "invitation-declined petra"},
		ruleTest{name: "ownership accepted", c: offer(agency.OwnershipAccepted, agency.StateAccepted).by("tom@bakery.test"), want: "ownership-accepted petra, ownership-received tom"},
		ruleTest{name: "ownership accepted, and lost", c: offer(agency.OwnershipAccepted, agency.StateAccepted).by("tom@bakery.test"), then: func(c *eventContext) { c.profile.Role = agency.Member }, want: "ownership-accepted petra, -ownership-received tom"},
	)
}

func TestEmailRules(t *testing.T) {
	shown := map[agency.EventType]bool{}
	for _, test := range slices.Concat(requestRules(), connectionRules(), byEmailRules(), accountRules(), subscriptionRules(), memberRules(), invitationRules()) {
		shown[test.c.event.Type] = true
		t.Run(test.name, func(t *testing.T) {
			c := test.c
			if test.then != nil {
				test.then(&c)
			}
			if diff := cmp.Diff(test.want, brief(emailsFor(c))); diff != "" {
				t.Error(diff)
			}
		})
	}
	types, err := testbed.EventTypes()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range types {
		if !shown[agency.EventType(e)] {
			t.Errorf("no line shows %s", e)
		}
	}
}

// ended makes people what cleanup makes of them once their account is closed.
func ended(people []agency.Profile, at time.Time) {
	for i := range people {
		people[i].Status, people[i].Since = agency.Ended, at.Add(-time.Duration(i)*time.Second)
	}
}

// unsolicitedKinds returns the kinds that are unsolicited to somebody.
func unsolicitedKinds(c eventContext) string {
	var kinds []string
	for _, m := range emailsFor(c) {
		if m.unsolicited && !slices.Contains(kinds, m.kind) {
			kinds = append(kinds, m.kind)
		}
	}
	slices.Sort(kinds)
	return strings.Join(kinds, " ")
}

// Of the account's side, emails about a connection are unsolicited until it was accepted
// once; of a person, those about a place until they have used it. Everything else is
// solicited by a person who has used their own profile.
func TestUnsolicited(t *testing.T) {
	want := map[agency.EventType]string{
		agency.ConnectionRequested: "requested requested-person", agency.ConnectionResent: "resent resent-person",
		agency.ConnectionReminded: "reminded reminded-person", agency.ConnectionWithdrawn: "withdrawn-client withdrawn-person",
		agency.ConnectionExpired: "expired-client expired-person",
		agency.AccountCreated:    "created-client", agency.PersonInvited: "invited",
		agency.InvitationResent: "invited-again offered-again", agency.InvitationReminded: "invited-reminder offered-reminder",
		agency.OwnershipOffered: "offered", agency.InvitationWithdrawn: "invitation-withdrawn", agency.InvitationExpired: "invitation-expired",
		agency.PersonChanged: "access-changed person-changed", agency.PersonRemoved: "access-taken person-removed",
	}
	got, accepted := map[agency.EventType]string{}, map[agency.EventType]string{}
	all := slices.Concat(requestRules(), connectionRules(), byEmailRules(), accountRules(), subscriptionRules(), memberRules(), invitationRules())
	for _, test := range all {
		of := test.c.event.Type
		before, after := test.c, test.c
		if before.profile.Kind() == agency.PersonKind {
			before.profile = before.profile.Unbound()
		} else if before.profile.Status == agency.Pending || before.profile.Status.IsEnded() {
			before.profile.AccountName = ""
		}
		after.profile.Subject, after.profile.AccountName, after.profile.Request.State = "known", "Petra’s Bakery", agency.StateAccepted
		got[of] = merge(got[of], unsolicitedKinds(before))
		accepted[of] = merge(accepted[of], unsolicitedKinds(after))
	}
	for of := range emailRules {
		if got[of] != want[of] {
			t.Errorf("%s: %q, want %q", of, got[of], want[of])
		}
		if accepted[of] != "" {
			t.Errorf("%s: once accepted %q are unsolicited", of, accepted[of])
		}
	}
}

// merge returns the words of two lists, each once, in order.
func merge(a, b string) string {
	words := strings.Fields(a + " " + b)
	slices.Sort(words)
	return strings.Join(slices.Compact(words), " ")
}

// Whatever the event is, it is unsolicited to somebody who was registered as an owner and
// has never used the account, and to nobody else.
func TestMailToAnUnusedOwnerIsUnsolicited(t *testing.T) {
	all := slices.Concat(requestRules(), connectionRules(), byEmailRules(), accountRules(), subscriptionRules(), memberRules(), invitationRules())
	for _, test := range all {
		c := test.c
		c.profile.Subject, c.profile.AccountName, c.profile.Request.State = "known", "Petra’s Bakery", agency.StateAccepted
		petra := agency.NewPersonID("petra@bakery.test")
		c.team = slices.Clone(c.team)
		for i := range c.team {
			if c.team[i].Member.Person() == petra {
				c.team[i] = c.team[i].Unbound()
			}
		}
		for _, m := range emailsFor(c) {
			fromTeam := m.to.ID == petra && c.profile.Member.Person() != petra && c.event.Addressee.Person() == ""
			if m.unsolicited != fromTeam {
				t.Errorf("%s: %s to %s is unsolicited: %t", test.name, m.kind, m.to.Address, m.unsolicited)
			}
		}
	}
}

func TestWasMember(t *testing.T) {
	at := monday.Add(time.Hour)
	for want, profiles := range map[bool][]agency.Profile{
		true: {
			{Status: agency.Active}, {Status: agency.Active, Until: at.Add(1)}, {Status: agency.Pending, Request: agency.Request{ExpiresAt: at.Add(1)}},
			{Status: agency.Ended, Since: at.Add(time.Hour)}, {Status: agency.Expired, Since: at}, {Status: agency.Left, Since: at.Add(time.Hour)},
		},
		false: {
			{Status: agency.Active, Until: at}, {Status: agency.Pending, Request: agency.Request{ExpiresAt: at}},
			{Status: agency.Revoked, Since: at.Add(-1)}, {Status: agency.Lapsed, Since: at.Add(-time.Hour)},
		},
	} {
		for _, p := range profiles {
			if got := wasMember(p, at); got != want {
				t.Errorf("%s since %s until %s: %v", p.Status, p.Since, p.Until, got)
			}
		}
	}
}

// brief returns emails in a line.
func brief(mails []mail) string {
	var out []string
	for _, m := range mails {
		mark := map[outbox.Fate]string{"": "", outbox.Obsolete: "-", outbox.Muted: "~"}[m.withheld]
		who, _, _ := strings.Cut(m.to.Address, "@")
		out = append(out, mark+m.kind+" "+who)
		if m.to.ID != agency.NewPersonID(m.to.Address) {
			out = append(out, "(with another's id)")
		}
	}
	return strings.Join(out, ", ")
}

func TestRecipients(t *testing.T) {
	c := connection(agency.ConnectionAccepted, agency.Pending, agency.Active)
	c.staff = nil
	for i := range 14 {
		p := staff(studio, fmt.Sprintf("o%02d@studio.test", i), agency.Owner)
		p.Since = monday.Add(-time.Duration(i) * time.Hour)
		c.staff = append(c.staff, p)
	}
	admin, gone, lapsed := staff(studio, "admin@studio.test", agency.Admin), staff(studio, "gone@studio.test", agency.Owner), staff(studio, "lapsed@studio.test", agency.Owner)
	gone.Status, lapsed.Until = agency.Left, monday
	asker := staff(studio, "ann@studio.test", agency.Admin)
	c.staff = append(c.staff, admin, gone, lapsed, asker)

	addresses := func(to []recipient) string {
		var out []string
		for _, r := range to {
			out = append(out, strings.TrimSuffix(r.Address, "@studio.test"))
		}
		return strings.Join(out, " ")
	}
	all := "ann o13 o12 o11 o10 o09 o08 o07 o06 o05"
	if got := addresses(agencySide(c)); got != all {
		t.Errorf("%s, want %s", got, all)
	}
	slices.Reverse(c.staff)
	if got := addresses(agencySide(c)); got != all {
		t.Errorf("in another order: %s, want %s", got, all)
	}
	c.profile.Request.By = agency.NewPersonID("gone@studio.test")
	if got := addresses(agencySide(c)); strings.Contains(got, "gone") || !strings.HasPrefix(got, "o13 ") || len(strings.Fields(got)) != maxRecipients {
		t.Errorf("asked by who has left: %s", got)
	}
	c.profile.Request.By = agency.NewPersonID("o03@studio.test")
	if got := addresses(agencySide(c)); strings.Count(got, "o03") != 1 || !strings.HasPrefix(got, "o03 ") {
		t.Errorf("asked by an owner: %s", got)
	}
}

// Every type of event has its rules. An empty row has its reason in the comment above
// it, or above the empty rows that it follows.
func TestEveryEventHasItsRow(t *testing.T) {
	want, err := testbed.EventTypes()
	if err != nil || len(want) < 20 {
		t.Fatal(want, err)
	}
	var rows []string
	for kind := range emailRules {
		rows = append(rows, string(kind))
	}
	slices.Sort(rows)
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Errorf("types (-source +rows): %s", diff)
	}
	source, err := os.ReadFile("rules.go")
	if err != nil {
		t.Fatal(err)
	}
	empty := regexp.MustCompile(`^\tagency\.\w+:\s+\{\},$`)
	reason, found := false, 0
	for line := range strings.Lines(string(source)) {
		line = strings.TrimRight(line, "\n")
		if !empty.MatchString(line) {
			reason = strings.HasPrefix(line, "\t//")
			continue
		}
		found++
		if !reason {
			t.Errorf("nothing says why nobody is mailed:%s", line)
		}
	}
	mailing := 0
	for _, row := range emailRules {
		if len(row) > 0 {
			mailing++
		}
	}
	if found != len(emailRules)-mailing {
		t.Errorf("%d empty rows are found, of %d", found, len(emailRules)-mailing)
	}
}

// Somebody who never used their profile has agreed to nothing: emails about it are
// unsolicited until they do.
func TestNewsToAStrangerIsUnsolicited(t *testing.T) {
	person := agency.NewPersonID("stranger@x.test")
	account := agency.NewAccountID("x", "1")
	for _, of := range []agency.EventType{agency.PersonChanged, agency.PersonRemoved} {
		for _, ownership := range []agency.Ownership{agency.ClientOwned, agency.AgencyOwned} {
			c := eventContext{now: monday, account: agency.Account{ID: account, Ownership: ownership, Version: 1}}
			c.event = agency.Event{Type: of, At: monday, Addressee: agency.Party(account), Member: agency.Party(person), Ownership: ownership, Actor: petra}
			c.profile = agency.Profile{ProfileKey: agency.PersonAt(account, person), Status: agency.Active, Email: "stranger@x.test", Version: 2}
			for _, subject := range []string{"", "known"} {
				c.profile.Subject = subject
				mails := emailsFor(c)
				if len(mails) != 1 || mails[0].unsolicited != (subject == "") {
					t.Errorf("%s in an account of %s, signed in %t: %+v", of, ownership, subject != "", mails)
				}
			}
		}
	}
}
