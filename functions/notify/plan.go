package main

import (
	"cmp"
	"slices"
	"time"

	"agencyhub/shared/agency"
)

// mostRecipients bounds how many people of one side are told of one event.
const mostRecipients = 10

// facts is what an event is told from: the event and the present state around
// it. What does not exist has Version 0.
type facts struct {
	event agency.Event
	now   time.Time
	// account is the event's; agency is the agency concerned, which in an owned
	// account is the owning one.
	account, agency agency.Account
	// profile is the one that changed, as it is now. For AccountCreated it is
	// the client's.
	profile agency.Profile
	// actor is the address of who did it; "" for the clock.
	actor string
	// team are the persons of the account, staff those of the agency.
	team, staff []agency.Profile
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
	// obsolete emails are marked so and not sent.
	obsolete bool
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
}

// tellings is PRODUCT.md's "What everyone is told", with what overtakes each
// email. A type of event that stands here without a telling is told to nobody;
// one that does not stand here is not understood.
var tellings = map[agency.EventType][]telling{
	// Records of what somebody has just done for themselves.
	agency.AccountOpened:  {},
	agency.AccountRenamed: {},
	agency.HubSwitchedOn:  {},

	agency.AccountCreated: {
		{kind: "created-agency", to: agencySide},
		{kind: "created-client", to: person, overtaken: notSince},
	},

	// A request's email calls for a decision, and is no use once nothing is left
	// to decide, or once a newer one says the same with the date that holds.
	agency.ConnectionRequested: {{kind: "requested", to: owners, overtaken: nothingToDecide}},
	agency.ConnectionResent:    {{kind: "resent", to: owners, overtaken: nothingToDecide}},

	// Decisions are facts. Whoever let an agency in, or shut it out, is shown to
	// the account's owners even if it has been undone since.
	agency.ConnectionAccepted: {{kind: "accepted-agency", to: agencySide}, {kind: "accepted-client", to: owners}},
	agency.ConnectionDenied:   {{kind: "denied-agency", to: agencySide}, {kind: "denied-client", to: owners}},
	agency.ConnectionRevoked:  {{kind: "revoked-agency", to: agencySide}, {kind: "revoked-client", to: owners}},
	agency.ConnectionLeft:     {{kind: "left-agency", to: agencySide}, {kind: "left-client", to: owners}},
	agency.ConnectionLapsed:   {{kind: "lapsed-agency", to: agencySide}, {kind: "lapsed-client", to: owners}},

	// That a request is over matters until the next one, or a dismissal, which
	// are told themselves.
	agency.ConnectionWithdrawn: {{kind: "withdrawn-client", to: owners, overtaken: movedOn}},
	agency.ConnectionExpired: {
		{kind: "expired-agency", to: agencySide, overtaken: movedOn},
		{kind: "expired-client", to: owners, overtaken: movedOn},
	},

	// What somebody may do from now on is wrong as soon as it has changed again;
	// that change, or the end, is told itself.
	agency.ConnectionRestricted: {{kind: "restricted-agency", to: agencySide, overtaken: changedAgain}},
	agency.PersonAdded: {
		{kind: "person-added", to: person, overtaken: notSince, in: agency.ClientOwned},
		{kind: "access-given", to: person, overtaken: notSince, in: agency.AgencyOwned},
	},
	agency.PersonChanged: {
		{kind: "person-changed", to: person, overtaken: changedAgain, in: agency.ClientOwned},
		{kind: "access-changed", to: person, overtaken: changedAgain, in: agency.AgencyOwned},
	},
	// "You have no access any more" is wrong for who has been let in again.
	agency.PersonRemoved: {
		{kind: "person-removed", to: person, overtaken: personIsIn, in: agency.ClientOwned},
		{kind: "access-taken", to: person, overtaken: personIsIn, in: agency.AgencyOwned},
	},
	// An owned account has no owners among its persons: its owner is the agency.
	agency.PersonLeft: {
		{kind: "person-left", to: owners, in: agency.ClientOwned},
		{kind: "person-left", to: agencySide, in: agency.AgencyOwned},
	},

	// What follows from something greater is told with that: a request by email
	// that went to an account by its acceptance there, the end of each profile in
	// a closed account, or of an erased person's, by the closing and the erasing.
	agency.ConnectionMoved: {},
	agency.ConnectionEnded: {},
	agency.PersonEnded:     {},
}

// plan says which emails an event causes now, in an order that depends on the
// facts alone.
func plan(f facts) []mail {
	var mails []mail
	for _, t := range tellings[f.event.Type] {
		if t.in != "" && t.in != f.event.Ownership {
			continue
		}
		obsolete := t.overtaken != nil && t.overtaken(f)
		for _, to := range t.to(f) {
			mails = append(mails, mail{kind: t.kind, to: to, obsolete: obsolete})
		}
	}
	return mails
}

// owners are the account's owners.
func owners(f facts) []recipient { return among(f.team, f.now, "") }

// agencySide is whoever asked, or created the account, as long as they are in
// the agency, and the agency's owners.
func agencySide(f facts) []recipient {
	first := f.profile.RequestedBy
	if f.event.Type == agency.AccountCreated {
		first = f.event.Actor
	}
	return among(f.staff, f.now, first)
}

// among picks one person, if they are active, and the active owners, who are
// ordered by how long they have been there.
func among(people []agency.Profile, now time.Time, first agency.PersonID) []recipient {
	var chosen []agency.Profile
	for _, p := range people {
		if p.StatusAt(now) == agency.Active && (p.Role == agency.Owner || p.Member.Person() == first) && p.Email != "" {
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
// newer one has taken its place, it was sent again with a later date, or one of
// both sides is no more.
func nothingToDecide(f facts) bool {
	return f.profile.StatusAt(f.now) != agency.Pending || f.profile.Request != f.event.Request ||
		f.profile.ExpiresAt.After(f.event.Now.Expires) || !f.account.Open() || !f.agency.Agency()
}

// movedOn: the profile has left the state, or the request, that the event led
// to.
func movedOn(f facts) bool {
	return f.profile.Status != f.event.Now.Status || f.profile.Request != f.event.Request
}

// changedAgain: the profile has ended, or grants something else by now.
func changedAgain(f facts) bool {
	p, told := f.profile, f.event.Now
	return p.StatusAt(f.now) != agency.Active || p.Request != f.event.Request || p.Role != told.Role ||
		!p.Areas.Equal(told.Areas) || !p.Until.Equal(told.Until)
}

// notSince: the person who was let in is out by now, or has been let in once
// more after that.
func notSince(f facts) bool { return !personIsIn(f) || f.profile.Since.After(f.event.At) }

func personIsIn(f facts) bool { return f.profile.StatusAt(f.now) == agency.Active }
