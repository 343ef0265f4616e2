package main

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"agencyhub/shared/agency"
	"agencyhub/shared/outbox"
)

// maxRecipients is how many people of one side are mailed of one event.
const maxRecipients = 10

// eventContext is an event and the present state around it: all that its emails
// rest on. What does not exist has Version 0.
type eventContext struct {
	event agency.Event
	now   time.Time
	// account is the event's, none for a request by email. agency is the agency
	// concerned; of an agency-owned account, its owner.
	account, agency agency.Account
	// profile is the one that changed, as it is now. For AccountCreated it is
	// the client's, and for AccountClosed the agency's.
	profile agency.Profile
	// actor is the address of the person who did it; "" for the clock.
	actor string
	// team are the persons of the account, staff those of the agency. The team of
	// a closed account is as it was at the closing.
	team, staff []agency.Profile
	// mutedBy are the people asked to decide who have a block or a cooldown of
	// their own on the agency.
	mutedBy map[agency.PersonID]bool
	// hasAccount reports whether the addressee of a request by email has an
	// account to choose.
	hasAccount bool
}

// recipient is a person that an email goes to.
type recipient struct {
	ID      agency.PersonID
	Address string
	// isUnused: the person's profile was never used, so they have accepted nothing.
	isUnused bool
}

// mail is one email that an event causes: at most one of a kind to a person.
type mail struct {
	kind string
	to   recipient
	// withheld is the fate of an email that is only noted; "" for one to send.
	withheld outbox.Fate
	// unsolicited emails count towards the daily limits of a mailbox.
	unsolicited bool
	// isNew: its recipient has never signed in.
	isNew bool
	// lifted is when a suppressed recipient signed in again. It is zero for
	// everybody else, and once an email has been sent since.
	lifted time.Time
}

// emailRule is one kind of email that a type of event causes.
type emailRule struct {
	kind string
	to   func(eventContext) []recipient
	// stale reports whether something has happened since that makes the email
	// untrue or useless. It is nil for a record, which names its time and stays
	// true: that is sent however late.
	stale func(eventContext) bool
	// in limits the rule to accounts of that ownership, and of to requests of that
	// kind; "" is all.
	in agency.Ownership
	of agency.RequestKind
	// unsolicited reports whether the recipients have accepted nothing of what the
	// email is about: mail that others can cause them. Such mail is limited, can be
	// stopped, and beyond a limit waits for the digest. It is nil for an email that
	// is solicited by everybody who has used their profile.
	unsolicited func(eventContext) bool
}

// neverAccepted reports whether the account's side has never accepted the connection.
func neverAccepted(c eventContext) bool { return c.profile.AccountName == "" }

// notAccepted reports whether the person has not accepted their place yet.
func notAccepted(c eventContext) bool { return c.profile.Subject == "" }

// isNotAnswered reports whether the person has not accepted what they are asked.
func isNotAnswered(c eventContext) bool { return c.profile.Request.State != agency.StateAccepted }

// isForAgency reports whether emails of a kind go to the agency's side.
func isForAgency(kind string) bool { return strings.HasSuffix(kind, "-agency") }

// asksForDecision holds the events whose emails ask somebody to decide.
var asksForDecision = map[agency.EventType]bool{
	agency.ConnectionRequested: true, agency.ConnectionResent: true, agency.ConnectionReminded: true,
}

// asksPerson holds the events whose emails ask a person to accept.
var asksPerson = map[agency.EventType]bool{
	agency.AccountCreated: true, agency.PersonInvited: true, agency.InvitationResent: true, agency.InvitationReminded: true, agency.OwnershipOffered: true,
}

// emailRules says which emails each type of event causes. A request by email is
// mailed to its addressee, in kinds that presume no account. Whatever its rule says,
// an email is unsolicited to a person who has never used their own profile: they
// were registered, and have accepted nothing. A type of event with
// no rules mails nobody. One that is not listed is not understood.
var emailRules = map[agency.EventType][]emailRule{
	// Records of what somebody has just done for themselves. Switching the agency
	// features off needs no clients and no open requests, so it concerns nobody
	// else. A rename is seen by the name itself.
	agency.AccountOpened:     {},
	agency.AccountRenamed:    {},
	agency.AgencySwitchedOn:  {},
	agency.AgencySwitchedOff: {},
	// The platform knows its own customers, and an import of all its accounts must
	// not mail everybody. The same holds for a sign-in that it has released.
	agency.AccountRegistered: {},
	agency.PersonReleased:    {},
	// The agency must never learn that it is blocked, or no longer is. The person
	// who blocked it knows, and has the list of blocked agencies.
	agency.AgencyBlocked:   {},
	agency.AgencyUnblocked: {},
	// A person who erases their data asked for it, and their address is to be
	// forgotten, not mailed.
	agency.PersonErasing: {},
	agency.PersonErased:  {},

	agency.AccountCreated: {
		{kind: "created-agency", to: agencySide},
		{kind: "created-client", to: changedPerson, stale: isInvitationOver, unsolicited: isNotAnswered},
	},
	// A closing is a record. The persons of an agency-owned account are members.
	agency.AccountClosed: {
		{kind: "closed-agency", to: agencySide},
		{kind: "closed-client", to: ownersAtClosing, in: agency.ClientOwned},
		{kind: "closed-client", to: membersAtClosing, in: agency.AgencyOwned},
	},

	// A request's email asks for a decision. It is stale once there is nothing to
	// decide, or once a newer one says the same with a later date.
	agency.ConnectionRequested: {
		{kind: "requested", to: owners, stale: isRequestOver, unsolicited: neverAccepted},
		{kind: "requested-person", to: addressee, stale: isRequestOver, unsolicited: neverAccepted},
	},
	agency.ConnectionResent: {
		{kind: "resent", to: owners, stale: isRequestOver, unsolicited: neverAccepted},
		{kind: "resent-person", to: addressee, stale: isRequestOver, unsolicited: neverAccepted},
	},
	agency.ConnectionReminded: {
		{kind: "reminded", to: owners, stale: isRequestOver, unsolicited: neverAccepted},
		{kind: "reminded-person", to: addressee, stale: isRequestOver, unsolicited: neverAccepted},
	},

	// Decisions are records: the account's owners learn who decided, even if it has
	// been undone since. One of their own side has caused the email.
	agency.ConnectionAccepted: {{kind: "accepted-agency", to: agencySide}, {kind: "accepted-client", to: owners}},
	agency.ConnectionDeclined: {
		{kind: "declined-agency", to: agencySide},
		{kind: "declined-client", to: owners},
		{kind: "declined-person", to: addressee},
	},
	agency.ConnectionRevoked: {{kind: "revoked-agency", to: agencySide}, {kind: "revoked-client", to: owners}},
	agency.ConnectionLeft:    {{kind: "left-agency", to: agencySide}, {kind: "left-client", to: owners}},
	agency.ConnectionLapsed: {
		{kind: "lapsed-agency", to: agencySide, stale: isClosedBefore},
		{kind: "lapsed-client", to: owners, stale: isClosedBefore},
	},

	// The end of a request matters until the next request or a dismissal, which have
	// emails of their own. Those that the request did not reach get none.
	agency.ConnectionWithdrawn: {
		{kind: "withdrawn-client", to: reached(owners), stale: isSuperseded, unsolicited: neverAccepted},
		{kind: "withdrawn-person", to: reached(addressee), stale: isSuperseded, unsolicited: neverAccepted},
	},
	agency.ConnectionExpired: {
		{kind: "expired-agency", to: agencySide, stale: isSuperseded},
		{kind: "expired-client", to: reached(owners), stale: isSuperseded, unsolicited: neverAccepted},
		{kind: "expired-person", to: reached(addressee), stale: isSuperseded, unsolicited: neverAccepted},
	},

	// What invites somebody is stale once there is nothing to accept, or once a newer
	// email says the same with a later date.
	agency.PersonInvited: {{kind: "invited", to: changedPerson, stale: isInvitationOver, unsolicited: isNotAnswered}},
	agency.InvitationResent: {
		{kind: "invited-again", to: changedPerson, stale: isInvitationOver, of: agency.InvitationKind, unsolicited: isNotAnswered},
		{kind: "offered-again", to: changedPerson, stale: isInvitationOver, of: agency.OwnershipKind, unsolicited: isNotAnswered},
	},
	agency.InvitationReminded: {
		{kind: "invited-reminder", to: changedPerson, stale: isInvitationOver, of: agency.InvitationKind, unsolicited: isNotAnswered},
		{kind: "offered-reminder", to: changedPerson, stale: isInvitationOver, of: agency.OwnershipKind, unsolicited: isNotAnswered},
	},
	agency.OwnershipOffered: {{kind: "offered", to: changedPerson, stale: isInvitationOver, unsolicited: isNotAnswered}},
	// The person who declines or withdraws knows it.
	agency.InvitationDeclined:  {{kind: "invitation-declined", to: maker, stale: isAnsweredAgain}},
	agency.InvitationWithdrawn: {{kind: "invitation-withdrawn", to: reached(changedPerson), stale: isAnsweredAgain, unsolicited: isNotAnswered}},
	agency.InvitationExpired: {
		{kind: "invitation-expired", to: reached(changedPerson), stale: isAnsweredAgain, unsolicited: isNotAnswered},
		{kind: "invitation-expired-maker", to: maker, stale: isExpiryStale},
	},
	// Every owner pays together with the new one, and loses the right to decide alone. Who
	// accepts gets a receipt.
	agency.OwnershipAccepted: {
		{kind: "ownership-accepted", to: otherOwners},
		{kind: "ownership-received", to: changedPerson, stale: isNoOwner},
	},

	// What somebody may do is wrong as soon as it has changed again. That change, or
	// the end, has an email of its own.
	agency.ConnectionRestricted: {{kind: "restricted-agency", to: agencySide, stale: isChangedAgain}},
	agency.ConnectionLapseAhead: {
		{kind: "lapse-ahead-agency", to: agencySide, stale: isEndDateStale},
		{kind: "lapse-ahead-client", to: owners, stale: isEndDateStale},
	},
	// An acceptance is news to the person who invited, to the other owners if it makes an
	// owner, and a receipt for the person. Who is made an owner by the
	// platform, or replaced, pays from then on, or no longer: they are always told.
	agency.PersonAdded: {
		{kind: "person-joined", to: maker, stale: isNoMember},
		{kind: "ownership-accepted", to: ownersButMaker, in: agency.ClientOwned},
		{kind: "person-added", to: byPerson(changedPerson), stale: isNoMember, in: agency.ClientOwned},
		{kind: "access-given", to: byPerson(changedPerson), stale: isNoMember, in: agency.AgencyOwned},
		{kind: "owner-named", to: byPlatform(changedPerson), stale: isNoOwner},
	},
	agency.PersonChanged: {
		{kind: "person-changed", to: byPerson(changedPerson), stale: isChangedAgain, in: agency.ClientOwned, unsolicited: notAccepted},
		{kind: "access-changed", to: byPerson(changedPerson), stale: isChangedAgain, in: agency.AgencyOwned, unsolicited: notAccepted},
		{kind: "owner-named", to: byPlatform(changedPerson), stale: isNoOwner},
	},
	// An email of a removal is wrong once the person has access again.
	agency.PersonRemoved: {
		{kind: "person-removed", to: byPerson(changedPerson), stale: isPersonActive, in: agency.ClientOwned, unsolicited: notAccepted},
		{kind: "access-taken", to: byPerson(changedPerson), stale: isPersonActive, in: agency.AgencyOwned, unsolicited: notAccepted},
		{kind: "owner-replaced", to: byPlatform(changedPerson), stale: isPersonActive},
	},
	// An agency-owned account has no owner among its persons.
	agency.PersonLeft: {
		{kind: "person-left", to: owners, in: agency.ClientOwned},
		{kind: "person-left", to: agencySide, in: agency.AgencyOwned},
	},

	// What a subscription costs and whether it runs concerns its payer alone. It is
	// wrong as soon as it has changed again, which has an email of its own.
	agency.PlanChanged:           payerRules("plan-changed", func(s agency.Subscription, e agency.Event) bool { return s.Plan == e.Now.Plan }),
	agency.SubscriptionCancelled: payerRules("subscription-cancelled", func(s agency.Subscription, e agency.Event) bool { return s.FreezesAt.Equal(e.Now.Until) }),
	agency.SubscriptionResumed:   payerRules("subscription-resumed", func(s agency.Subscription, _ agency.Event) bool { return isRunning(s) }),
	agency.SubscriptionFroze:     payerRules("subscription-frozen", func(s agency.Subscription, _ agency.Event) bool { return s.State == agency.SubscriptionFrozen }),
	agency.PaymentFailed:         payerRules("payment-failed", func(s agency.Subscription, _ agency.Event) bool { return s.Unpaid }),
	agency.PaymentRecovered:      payerRules("payment-recovered", func(s agency.Subscription, _ agency.Event) bool { return !s.Unpaid }),

	// Consequences of another event, whose emails cover them: of an acceptance, of a
	// closing, of an erasure.
	agency.ConnectionMoved: {},
	agency.ConnectionEnded: {},
	agency.PersonEnded:     {},
}

// payerRules returns the rules of a subscription's event. Its emails go to the
// payer: the owners of the account, or of the agency that owns it. still reports
// whether the event still holds by the subscription as it is now. In a closed
// account it does not: the closing has emails of its own.
func payerRules(kind string, still func(agency.Subscription, agency.Event) bool) []emailRule {
	stale := func(c eventContext) bool {
		return !c.account.IsOpen() || !still(c.account.Subscription.At(c.now), c.event)
	}
	return []emailRule{
		{kind: kind, to: owners, stale: stale, in: agency.ClientOwned},
		{kind: kind + "-agency", to: agencySide, stale: stale, in: agency.AgencyOwned},
	}
}

// isRunning reports whether a subscription runs and is not cancelled.
func isRunning(s agency.Subscription) bool {
	return s.State == agency.SubscriptionActive || s.State == agency.SubscriptionPastDue
}

// askedBy returns the person who asked last for what an event is about, and the
// account that they asked for; "" for none. Unsolicited mail is counted by both.
func askedBy(c eventContext) (agency.PersonID, agency.AccountID) {
	r, e := c.profile.Request, c.event
	switch {
	case e.Type.IsOfInvitation() || e.Type == agency.AccountCreated:
		return cmp.Or(r.By, e.Actor), cmp.Or(r.From, e.Agency)
	case e.Connection() != "":
		return cmp.Or(r.By, e.Actor), e.Agency
	default:
		return e.Actor, cmp.Or(e.As, c.account.Owner, c.account.ID)
	}
}

// emailsFor returns the emails that an event causes now, in an order that depends
// on the context alone. A muted event mails nobody on the client's side.
func emailsFor(c eventContext) []mail {
	var mails []mail
	for _, rule := range emailRules[c.event.Type] {
		otherKind := rule.in != "" && rule.in != c.event.Ownership || rule.of != "" && rule.of != c.event.Kind
		if otherKind || c.event.Muted && !isForAgency(rule.kind) {
			continue
		}
		stale := rule.stale != nil && rule.stale(c)
		for _, to := range rule.to(c) {
			m := mail{kind: rule.kind, to: to, unsolicited: to.isUnused || rule.unsolicited != nil && rule.unsolicited(c)}
			switch {
			case stale:
				m.withheld = outbox.Obsolete
			case c.mutedBy[to.ID], c.mutesInvitation(to):
				m.withheld = outbox.Muted
			}
			mails = append(mails, m)
		}
	}
	return mails
}

// mutesInvitation reports whether a recipient must not learn of the invitation or offer
// that the event is about. The other side's emails are as for any other.
func (c eventContext) mutesInvitation(to recipient) bool {
	about := c.event.Type.IsOfInvitation() || c.event.Type == agency.AccountCreated
	return about && c.profile.Request.Muted && to.ID == c.profile.Member.Person()
}

// maker returns the person who invited or made the offer last, while they are active in
// the account that asks.
func maker(c eventContext) []recipient {
	by := c.profile.Request.By
	if c.event.Type == agency.PersonAdded && c.event.Actor != c.profile.Member.Person() {
		return nil // the platform has added them
	}
	for _, p := range c.askers() {
		if by != "" && p.Member.Person() == by && p.StatusAt(c.now) == agency.Active && p.Email != "" {
			return []recipient{{ID: by, Address: p.Email, isUnused: p.Subject == ""}}
		}
	}
	return nil
}

// askers are the persons of the account that asks a person.
func (c eventContext) askers() []agency.Profile {
	if c.profile.Request.From == c.account.ID {
		return c.team
	}
	return c.staff
}

// owners returns the account's owners.
func owners(c eventContext) []recipient { return activeOf(c.team, c.now, agency.Owner, "") }

// otherOwners returns the account's owners but for the person whose profile changed.
func otherOwners(c eventContext) []recipient {
	return slices.DeleteFunc(owners(c), func(r recipient) bool { return r.ID == c.profile.Member.Person() })
}

// ownersButMaker returns the other owners but for the person who invited, if somebody has
// joined as an owner. Who invited has an email of their own.
func ownersButMaker(c eventContext) []recipient {
	if c.event.Now.Role != agency.Owner || c.event.Actor == "" {
		return nil
	}
	return slices.DeleteFunc(otherOwners(c), func(r recipient) bool { return r.ID == c.profile.Request.By })
}

// byPerson limits recipients to events that a person has caused, and byPlatform to those
// of the platform itself: a change of a person that has no actor.
func byPerson(to func(eventContext) []recipient) func(eventContext) []recipient {
	return func(c eventContext) []recipient {
		if c.event.Actor == "" {
			return nil
		}
		return to(c)
	}
}

func byPlatform(to func(eventContext) []recipient) func(eventContext) []recipient {
	return func(c eventContext) []recipient {
		if c.event.Actor != "" {
			return nil
		}
		return to(c)
	}
}

// ownersAtClosing returns who owned a closed account when it was closed.
func ownersAtClosing(c eventContext) []recipient {
	return activeOf(teamAtClosing(c), c.event.At, agency.Owner, "")
}

// membersAtClosing returns the members of a closed account when it was closed.
func membersAtClosing(c eventContext) []recipient {
	return activeOf(teamAtClosing(c), c.event.At, agency.Member, "")
}

// teamAtClosing returns the team of a closed account as active, which cleanup may
// have ended since. When each became active is lost by then, so it orders nobody.
func teamAtClosing(c eventContext) []agency.Profile {
	team := slices.Clone(c.team)
	for i := range team {
		team[i].Status, team[i].Since = agency.Active, time.Time{}
	}
	return team
}

// addressee returns the person that a request by email is addressed to, at the
// address that the agency typed.
func addressee(c eventContext) []recipient { return atProfile(c, c.event.Addressee.Person()) }

// changedPerson returns the person whose profile changed.
func changedPerson(c eventContext) []recipient { return atProfile(c, c.profile.Member.Person()) }

// atProfile returns a person at the address of the profile, if there is one.
func atProfile(c eventContext, id agency.PersonID) []recipient {
	if id == "" || c.profile.Email == "" {
		return nil
	}
	return []recipient{{ID: id, Address: c.profile.Email}}
}

// reached narrows recipients to those who were mailed the request.
func reached(to func(eventContext) []recipient) func(eventContext) []recipient {
	return func(c eventContext) []recipient {
		return slices.DeleteFunc(to(c), func(r recipient) bool { return !slices.Contains(c.profile.Request.Reached, r.ID) })
	}
}

// agencySide returns the agency's owners, after the member of the agency who sent
// the request or created the account, if they are still active there.
func agencySide(c eventContext) []recipient {
	first := c.profile.Request.By
	if c.event.Type == agency.AccountCreated {
		first = c.event.Actor
	}
	return activeOf(c.staff, c.now, agency.Owner, first)
}

// activeOf returns the active people of a role, the longest active first, after
// one person whatever their role, if they are active.
func activeOf(people []agency.Profile, at time.Time, role agency.Role, first agency.PersonID) []recipient {
	var chosen []agency.Profile
	for _, p := range people {
		if p.StatusAt(at) == agency.Active && (p.Role == role || p.Member.Person() == first) && p.Email != "" {
			chosen = append(chosen, p)
		}
	}
	slices.SortFunc(chosen, func(a, b agency.Profile) int {
		return cmp.Or(cmp.Compare(rank(a, first), rank(b, first)), a.Since.Compare(b.Since), cmp.Compare(a.Member, b.Member))
	})
	var out []recipient
	for _, p := range chosen[:min(len(chosen), maxRecipients)] {
		out = append(out, recipient{ID: p.Member.Person(), Address: p.Email, isUnused: p.Subject == ""})
	}
	return out
}

func rank(p agency.Profile, first agency.PersonID) int {
	if p.Member.Person() == first {
		return 0
	}
	return 1
}

// isRequestOver reports whether the email asks for nothing any more: the request
// is answered, withdrawn or expired, replaced by a newer one or sent again with a
// later date, one of its sides is gone, or the addressee is being erased.
func isRequestOver(c eventContext) bool {
	closed := c.event.AccountID() != "" && !c.account.IsOpen()
	return c.profile.StatusAt(c.now) != agency.Pending || c.profile.Request.Number != c.event.Request ||
		c.profile.Request.ExpiresAt.After(c.event.Now.Expires) || closed || !c.agency.IsAgency() || c.profile.Request.Muted
}

// isSuperseded reports whether the profile has left the status or the request that
// the event led to, or that status is part of the account's closing. A profile that
// was collected since (Version 0) is not superseded.
func isSuperseded(c eventContext) bool {
	p := c.profile
	return p.Version > 0 && (p.Status != c.event.Now.Status || p.Request.Number != c.event.Request) || isClosedBefore(c)
}

// isClosedBefore reports whether the account was closed before the event's date, so
// that the emails of the closing cover its end.
func isClosedBefore(c eventContext) bool {
	end := c.event.Now.Expires
	if c.event.Type == agency.ConnectionLapsed {
		end = c.event.Now.Until
	}
	return !c.account.Closed.IsZero() && c.account.Closed.Before(end)
}

// isChangedAgain reports whether the profile has ended, or grants something else by now.
func isChangedAgain(c eventContext) bool {
	p, then := c.profile, c.event.Now
	return p.StatusAt(c.now) != agency.Active || p.Request.Number != c.event.Request || p.Role != then.Role ||
		!p.ShownAreas().Equal(then.Areas) || !p.Until.Equal(then.Until) || !sameClients(p.Clients, then.Clients)
}

// sameClients reports whether two limits are equal: nil is no limit, empty is nobody.
func sameClients(a, b []agency.AccountID) bool { return slices.Equal(a, b) && (a == nil) == (b == nil) }

// isEndDateStale reports whether the access has ended, or has another end date by now.
func isEndDateStale(c eventContext) bool {
	p := c.profile
	return p.StatusAt(c.now) != agency.Active || p.Request.Number != c.event.Request || !p.Until.Equal(c.event.Now.Until) || !c.account.IsOpen()
}

// isInvitationOver reports whether there is nothing to accept any more: it is answered,
// withdrawn, expired, replaced or sent again, its maker is no longer allowed to make it, or the
// account is closed. What is muted is told apart, as muted.
func isInvitationOver(c eventContext) bool {
	p := c.profile
	canMake := slices.ContainsFunc(c.askers(), func(m agency.Profile) bool {
		return m.Member.Person() == p.Request.By && m.MayMake(p.Request, c.now)
	})
	return !p.HasOpenRequestAt(c.now) || p.Request.Number != c.event.Request || p.Request.MailedAt.After(c.event.At) ||
		!canMake || !c.account.IsOpen()
}

// isAnsweredAgain reports whether the invitation or offer is no longer as the event left
// it. A profile that was collected since is.
func isAnsweredAgain(c eventContext) bool {
	p := c.profile
	if p.Version == 0 {
		return false
	}
	want := map[agency.EventType]agency.RequestState{
		agency.InvitationDeclined: agency.StateDeclined, agency.InvitationWithdrawn: agency.StateWithdrawn, agency.InvitationExpired: agency.StateExpired,
	}[c.event.Type]
	return p.Request.State != want || p.Request.Number != c.event.Request || p.Status != c.event.Now.Status
}

// isExpiryStale is isAnsweredAgain for who made it. They know of a closing.
func isExpiryStale(c eventContext) bool { return isAnsweredAgain(c) || isClosedBefore(c) }

// isNoMember reports whether the person has lost their access since, or was given it
// once more.
func isNoMember(c eventContext) bool {
	return !isPersonActive(c) || c.profile.Since.After(c.event.At)
}

// isNoOwner reports whether the person has ceased to be an owner, or the account is closed.
func isNoOwner(c eventContext) bool {
	return !isPersonActive(c) || c.profile.Role != agency.Owner || !c.account.IsOpen()
}

func isPersonActive(c eventContext) bool { return c.profile.StatusAt(c.now) == agency.Active }
