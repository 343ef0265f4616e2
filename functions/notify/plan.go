package main

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"agencyhub/shared/agency"
	"agencyhub/shared/outbox"
)

// mostRecipients bounds how many people of one side are told of one event.
const mostRecipients = 10

// facts is what an event is told from: the event and the present state around
// it. What does not exist has Version 0.
type facts struct {
	event agency.Event
	now   time.Time
	// account is the event's, none for a request by email; agency is the agency
	// concerned, which in an owned account is the owning one.
	account, agency agency.Account
	// profile is the one that changed, as it is now. For AccountCreated it is
	// the client's, and for AccountClosed the agency's.
	profile agency.Profile
	// actor is the address of who did it; "" for the clock.
	actor string
	// team are the persons of the account, staff those of the agency. Those of a
	// closed account are who was in when it was closed.
	team, staff []agency.Profile
	// heldOff are those of the people asked to decide who hold the agency off
	// themselves.
	heldOff map[agency.PersonID]bool
	// hasAccount tells that the person whom a request by email is addressed to
	// has an account that they can choose.
	hasAccount bool
}

// recipient is whom an email goes to.
type recipient struct {
	ID      agency.PersonID
	Address string
}

// mail is one email that an event causes: at most one of a kind to a person.
type mail struct {
	kind string
	to   recipient
	// withheld is the fate of an email that is not sent, only noted; "" for one
	// that is.
	withheld outbox.Fate
	// unsolicited emails count among those that a person gets a day.
	unsolicited bool
	// lifted is when the recipient, who was not mailed before, signed in again;
	// zero once an email has been sent since, and for everybody else.
	lifted time.Time
}

// telling is one kind of email that a type of event causes.
type telling struct {
	kind string
	to   func(facts) []recipient
	// overtaken tells whether something has happened since that makes the email
	// untrue or useless. nil is a fact: it names its time, stays true, and is
	// somebody's record, so it is sent however late.
	overtaken func(facts) bool
	// in limits the telling to accounts of that ownership; "" is both.
	in agency.Ownership
	// unsolicited is what its recipients have no part in. A person gets so many
	// of these a day, over all agencies. Receipts and news of what somebody has
	// agreed to are none.
	unsolicited bool
	// untilUsed is unsolicited too as long as the person has never used the
	// profile: else whoever invites a stranger could mail them without end.
	untilUsed bool
}

// toAgency tells the kinds that go to an agency from those to a client's side.
func toAgency(kind string) bool { return strings.HasSuffix(kind, "-agency") }

// callsForDecision are the events whose emails ask somebody to decide.
var callsForDecision = map[agency.EventType]bool{
	agency.ConnectionRequested: true, agency.ConnectionResent: true, agency.ConnectionReminded: true,
}

// tellings is PRODUCT.md's "What everyone is told", with what overtakes each
// email. A request by email is told to the person addressed, in kinds of their
// own that presume no account. A type of event that stands here without a
// telling is told to nobody; one that does not stand here is not understood.
var tellings = map[agency.EventType][]telling{
	// Records of what somebody has just done for themselves. A hub that is
	// switched off has no clients and no open requests, so it concerns nobody
	// else; a rename reaches everyone by the name itself.
	agency.AccountOpened:     {},
	agency.AccountRenamed:    {},
	agency.AgencySwitchedOn:  {},
	agency.AgencySwitchedOff: {},
	// The platform knows whom it registers, and tells them itself: an import of all
	// its accounts must not write to everybody. So it is with a sign-in that it has
	// made free, as its owner asked it to.
	agency.AccountRegistered: {},
	agency.PersonReleased:    {},
	// The agency must never learn that it is blocked, nor so that it no longer
	// is. Whoever blocked it knows, and reads it in the list of blocked agencies.
	agency.AgencyBlocked:   {},
	agency.AgencyUnblocked: {},
	// A person who erases their data asked for it themselves, and we are to
	// forget their address, not to write to it.
	agency.PersonErasing: {},
	agency.PersonErased:  {},

	agency.AccountCreated: {
		{kind: "created-agency", to: agencySide},
		{kind: "created-client", to: person, overtaken: notSince, unsolicited: true},
	},
	// That an account is gone is a fact. In an owned one the persons are members.
	agency.AccountClosed: {
		{kind: "closed-agency", to: agencySide},
		{kind: "closed-client", to: ownersThen, in: agency.ClientOwned},
		{kind: "closed-client", to: membersThen, in: agency.AgencyOwned},
	},

	// A request's email calls for a decision, and is no use once nothing is left
	// to decide, or once a newer one says the same with the date that holds.
	agency.ConnectionRequested: {
		{kind: "requested", to: owners, overtaken: nothingToDecide, unsolicited: true},
		{kind: "requested-person", to: addressee, overtaken: nothingToDecide, unsolicited: true},
	},
	agency.ConnectionResent: {
		{kind: "resent", to: owners, overtaken: nothingToDecide, unsolicited: true},
		{kind: "resent-person", to: addressee, overtaken: nothingToDecide, unsolicited: true},
	},
	agency.ConnectionReminded: {
		{kind: "reminded", to: owners, overtaken: nothingToDecide, unsolicited: true},
		{kind: "reminded-person", to: addressee, overtaken: nothingToDecide, unsolicited: true},
	},

	// Decisions are facts. Whoever let an agency in, or shut it out, is shown to
	// the account's owners even if it has been undone since.
	agency.ConnectionAccepted: {{kind: "accepted-agency", to: agencySide}, {kind: "accepted-client", to: owners}},
	agency.ConnectionDenied: {
		{kind: "denied-agency", to: agencySide},
		{kind: "denied-client", to: owners},
		{kind: "denied-person", to: addressee},
	},
	agency.ConnectionRevoked: {{kind: "revoked-agency", to: agencySide}, {kind: "revoked-client", to: owners}},
	agency.ConnectionLeft:    {{kind: "left-agency", to: agencySide}, {kind: "left-client", to: owners}},
	agency.ConnectionLapsed: {
		{kind: "lapsed-agency", to: agencySide, overtaken: closedBefore},
		{kind: "lapsed-client", to: owners, overtaken: closedBefore},
	},

	// That a request is over matters until the next one, or a dismissal, which
	// are told themselves, and to nobody who has never heard of it.
	agency.ConnectionWithdrawn: {
		{kind: "withdrawn-client", to: reached(owners), overtaken: movedOn, unsolicited: true},
		{kind: "withdrawn-person", to: reached(addressee), overtaken: movedOn, unsolicited: true},
	},
	agency.ConnectionExpired: {
		{kind: "expired-agency", to: agencySide, overtaken: movedOn},
		{kind: "expired-client", to: reached(owners), overtaken: movedOn, unsolicited: true},
		{kind: "expired-person", to: reached(addressee), overtaken: movedOn, unsolicited: true},
	},

	// What somebody may do from now on is wrong as soon as it has changed again;
	// that change, or the end, is told itself.
	agency.ConnectionRestricted: {{kind: "restricted-agency", to: agencySide, overtaken: changedAgain}},
	agency.ConnectionLapseAhead: {
		{kind: "lapse-ahead-agency", to: agencySide, overtaken: endMoved},
		{kind: "lapse-ahead-client", to: owners, overtaken: endMoved},
	},
	agency.PersonAdded: {
		{kind: "person-added", to: person, overtaken: notSince, in: agency.ClientOwned, unsolicited: true},
		{kind: "access-given", to: person, overtaken: notSince, in: agency.AgencyOwned, unsolicited: true},
	},
	agency.PersonChanged: {
		{kind: "person-changed", to: person, overtaken: changedAgain, in: agency.ClientOwned, untilUsed: true},
		{kind: "access-changed", to: person, overtaken: changedAgain, in: agency.AgencyOwned, untilUsed: true},
	},
	// "You have no access any more" is wrong for who has been let in again.
	agency.PersonRemoved: {
		{kind: "person-removed", to: person, overtaken: personIsIn, in: agency.ClientOwned, untilUsed: true},
		{kind: "access-taken", to: person, overtaken: personIsIn, in: agency.AgencyOwned, untilUsed: true},
	},
	// An owned account has no owners among its persons: its owner is the agency.
	agency.PersonLeft: {
		{kind: "person-left", to: owners, in: agency.ClientOwned},
		{kind: "person-left", to: agencySide, in: agency.AgencyOwned},
	},

	// What a subscription costs and whether it runs concerns its payer alone, and
	// is wrong as soon as it has changed again, which is told itself.
	agency.PlanChanged:           toPayer("plan-changed", func(s agency.Subscription, e agency.Event) bool { return s.Plan == e.Now.Plan }),
	agency.SubscriptionCancelled: toPayer("subscription-cancelled", func(s agency.Subscription, e agency.Event) bool { return s.FreezesAt.Equal(e.Now.Until) }),
	agency.SubscriptionResumed:   toPayer("subscription-resumed", func(s agency.Subscription, _ agency.Event) bool { return running(s) }),
	agency.SubscriptionFroze:     toPayer("subscription-frozen", func(s agency.Subscription, _ agency.Event) bool { return s.State == agency.SubscriptionFrozen }),
	agency.PaymentFailed:         toPayer("payment-failed", func(s agency.Subscription, _ agency.Event) bool { return s.Unpaid }),
	agency.PaymentRecovered:      toPayer("payment-recovered", func(s agency.Subscription, _ agency.Event) bool { return !s.Unpaid }),

	// What follows from something greater is told with that: a request by email
	// that went to an account by its acceptance there, the end of each profile in
	// a closed account, or of an erased person's, by the closing and the erasing.
	agency.ConnectionMoved: {},
	agency.ConnectionEnded: {},
	agency.PersonEnded:     {},
}

// toPayer are the tellings of a subscription's event to whoever pays: the owners
// of the account, or of the agency that owns it. still tells, by the subscription
// as it is now, whether what the event says still holds. A closed account's does
// not: the closing has told its end.
func toPayer(kind string, still func(agency.Subscription, agency.Event) bool) []telling {
	overtaken := func(f facts) bool {
		return !f.account.IsOpen() || !still(f.account.Subscription.At(f.now), f.event)
	}
	return []telling{
		{kind: kind, to: owners, overtaken: overtaken, in: agency.ClientOwned},
		{kind: kind + "-agency", to: agencySide, overtaken: overtaken, in: agency.AgencyOwned},
	}
}

// running: nobody has cancelled it.
func running(s agency.Subscription) bool {
	return s.State == agency.SubscriptionActive || s.State == agency.SubscriptionPastDue
}

// plan says which emails an event causes now, in an order that depends on the
// facts alone. What is muted is told to nobody on the client's side.
func plan(f facts) []mail {
	var mails []mail
	for _, t := range tellings[f.event.Type] {
		if t.in != "" && t.in != f.event.Ownership || f.event.Muted && !toAgency(t.kind) {
			continue
		}
		overtaken := t.overtaken != nil && t.overtaken(f)
		for _, to := range t.to(f) {
			m := mail{kind: t.kind, to: to, unsolicited: t.unsolicited || t.untilUsed && f.profile.Subject == ""}
			switch {
			case overtaken:
				m.withheld = outbox.Obsolete
			case f.heldOff[to.ID]:
				m.withheld = outbox.Muted
			}
			mails = append(mails, m)
		}
	}
	return mails
}

// owners are the account's owners.
func owners(f facts) []recipient { return among(f.team, f.now, agency.Owner, "") }

// ownersThen and membersThen are the owners, or the members, of an account when
// it was closed.
func ownersThen(f facts) []recipient  { return among(then(f), f.event.At, agency.Owner, "") }
func membersThen(f facts) []recipient { return among(then(f), f.event.At, agency.Member, "") }

// then are the persons of a closed account as they were: still in. Since when
// each had been in is lost once cleanup has ended them, so it orders nobody.
func then(f facts) []agency.Profile {
	team := slices.Clone(f.team)
	for i := range team {
		team[i].Status, team[i].Since = agency.Active, time.Time{}
	}
	return team
}

// addressee is the person whom a request by email is addressed to, at the
// address that was asked.
func addressee(f facts) []recipient {
	if id := f.event.Addressee.Person(); id != "" && f.profile.Email != "" {
		return []recipient{{ID: id, Address: f.profile.Email}}
	}
	return nil
}

// reached narrows recipients to those to whom the request was mailed.
func reached(to func(facts) []recipient) func(facts) []recipient {
	return func(f facts) []recipient {
		return slices.DeleteFunc(to(f), func(r recipient) bool { return !slices.Contains(f.profile.Request.Reached, r.ID) })
	}
}

// agencySide is whoever asked, or created the account, as long as they are in
// the agency, and the agency's owners.
func agencySide(f facts) []recipient {
	first := f.profile.Request.By
	if f.event.Type == agency.AccountCreated {
		first = f.event.Actor
	}
	return among(f.staff, f.now, agency.Owner, first)
}

// among picks one person, if they are active, and the active ones of a role, who
// are ordered by how long they have been there.
func among(people []agency.Profile, at time.Time, role agency.Role, first agency.PersonID) []recipient {
	var chosen []agency.Profile
	for _, p := range people {
		if p.StatusAt(at) == agency.Active && (p.Role == role || p.Member.Person() == first) && p.Email != "" {
			chosen = append(chosen, p)
		}
	}
	slices.SortFunc(chosen, func(a, b agency.Profile) int {
		return cmp.Or(
			cmp.Compare(rank(a, first), rank(b, first)),
			a.Since.Compare(b.Since),
			cmp.Compare(a.Member, b.Member),
		)
	})
	var out []recipient
	for _, p := range chosen[:min(len(chosen), mostRecipients)] {
		out = append(out, recipient{ID: p.Member.Person(), Address: p.Email})
	}
	return out
}

func rank(p agency.Profile, first agency.PersonID) int {
	if p.Member.Person() == first {
		return 0
	}
	return 1
}

// person is whose profile changed.
func person(f facts) []recipient {
	if id := f.profile.Member.Person(); id != "" && f.profile.Email != "" {
		return []recipient{{ID: id, Address: f.profile.Email}}
	}
	return nil
}

// nothingToDecide: the request has been answered, taken back or has expired, a
// newer one has taken its place, it was sent again with a later date, one of both
// sides is no more, or the addressee is being erased.
func nothingToDecide(f facts) bool {
	closed := f.event.AccountID() != "" && !f.account.IsOpen()
	return f.profile.StatusAt(f.now) != agency.Pending || f.profile.Request.Number != f.event.Request ||
		f.profile.Request.ExpiresAt.After(f.event.Now.Expires) || closed || !f.agency.IsAgency() || f.profile.Request.Muted
}

// movedOn: the profile has left the state, or the request, that the event led
// to, or that state is a part of the account's closing. That the profile has been
// collected since changes nothing.
func movedOn(f facts) bool {
	p := f.profile
	return p.Version > 0 && (p.Status != f.event.Now.Status || p.Request.Number != f.event.Request) || closedBefore(f)
}

// closedBefore: the account was closed before the clock came to it, so that the
// end is told with the closing.
func closedBefore(f facts) bool {
	clock := f.event.Now.Expires
	if f.event.Type == agency.ConnectionLapsed {
		clock = f.event.Now.Until
	}
	return !f.account.Closed.IsZero() && f.account.Closed.Before(clock)
}

// changedAgain: the profile has ended, or grants something else by now.
func changedAgain(f facts) bool {
	p, told := f.profile, f.event.Now
	return p.StatusAt(f.now) != agency.Active || p.Request.Number != f.event.Request || p.Role != told.Role ||
		!p.ShownAreas().Equal(told.Areas) || !p.Until.Equal(told.Until) || !sameClients(p.Clients, told.Clients)
}

// sameClients tells no limit from a limit to nobody.
func sameClients(a, b []agency.AccountID) bool { return slices.Equal(a, b) && (a == nil) == (b == nil) }

// endMoved: the access has ended, or ends at another time by now.
func endMoved(f facts) bool {
	p := f.profile
	return p.StatusAt(f.now) != agency.Active || p.Request.Number != f.event.Request || !p.Until.Equal(f.event.Now.Until) || !f.account.IsOpen()
}

// notSince: the person who was let in is out by now, or has been let in once
// more after that.
func notSince(f facts) bool { return !personIsIn(f) || f.profile.Since.After(f.event.At) }

func personIsIn(f facts) bool { return f.profile.StatusAt(f.now) == agency.Active }
