package agency

import (
	"slices"
	"time"
)

// EventType names what happened.
type EventType string

// The types of events. A client's access to an agency-owned account is a person's
// profile and has a person's events; Event.Ownership tells them apart.
const (
	AccountOpened  EventType = "account.opened"
	AccountCreated EventType = "account.created"
	// AccountRegistered is of an account that a client has in the platform, which
	// the platform made known here.
	AccountRegistered EventType = "account.registered"
	AccountRenamed    EventType = "account.renamed"
	AccountClosed     EventType = "account.closed"
	AgencySwitchedOn  EventType = "agency.switched_on"
	AgencySwitchedOff EventType = "agency.switched_off"
	// A block is set and cleared without a word to the agency.
	AgencyBlocked   EventType = "agency.blocked"
	AgencyUnblocked EventType = "agency.unblocked"
	PersonErasing   EventType = "person.erasing"
	PersonErased    EventType = "person.erased"

	ConnectionRequested  EventType = "connection.requested"
	ConnectionResent     EventType = "connection.resent"
	ConnectionAccepted   EventType = "connection.accepted"
	ConnectionDeclined   EventType = "connection.declined"
	ConnectionWithdrawn  EventType = "connection.withdrawn"
	ConnectionExpired    EventType = "connection.expired"
	ConnectionRestricted EventType = "connection.restricted"
	ConnectionRevoked    EventType = "connection.revoked"
	ConnectionLeft       EventType = "connection.left"
	ConnectionLapsed     EventType = "connection.lapsed"
	ConnectionEnded      EventType = "connection.ended"
	ConnectionMoved      EventType = "connection.moved"
	ConnectionReminded   EventType = "connection.reminded"
	ConnectionLapseAhead EventType = "connection.lapse_ahead"

	// A subscription's plan and state change by its payer, by the clock, and by
	// what the platform reports of payments.
	PlanChanged           EventType = "subscription.plan_changed"
	SubscriptionCancelled EventType = "subscription.cancelled"
	SubscriptionResumed   EventType = "subscription.resumed"
	SubscriptionFroze     EventType = "subscription.frozen"
	PaymentFailed         EventType = "subscription.payment_failed"
	PaymentRecovered      EventType = "subscription.payment_recovered"

	// What becomes of an invitation or of an offer of ownership; Event.Kind tells them
	// apart. Their acceptance is PersonAdded or OwnershipAccepted.
	PersonInvited       EventType = "person.invited"
	InvitationResent    EventType = "person.invitation_resent"
	InvitationDeclined  EventType = "person.invitation_declined"
	InvitationWithdrawn EventType = "person.invitation_withdrawn"
	InvitationExpired   EventType = "person.invitation_expired"
	InvitationReminded  EventType = "person.invitation_reminded"
	OwnershipOffered    EventType = "person.ownership_offered"
	OwnershipAccepted   EventType = "person.ownership_accepted"

	// PersonAdded: the person has access from now on.
	PersonAdded   EventType = "person.added"
	PersonChanged EventType = "person.changed"
	PersonRemoved EventType = "person.removed"
	PersonLeft    EventType = "person.left"
	PersonEnded   EventType = "person.ended"
	// PersonReleased: their profile belongs to whichever identity uses it next.
	PersonReleased EventType = "person.released"
)

// DigestDue makes notify send a mailbox's digest. Its addressee is the mailbox and its
// version the digest's number. Nothing has happened to anybody by it: it is not in
// EventTypes, in no activity, in no count and not on the bus.
const DigestDue = EventType("digest.due")

// EventTypes lists every type of event.
var EventTypes = []EventType{
	AccountOpened, AccountCreated, AccountRegistered, AccountRenamed, AccountClosed, AgencySwitchedOn,
	AgencySwitchedOff, AgencyBlocked, AgencyUnblocked, PersonErasing, PersonErased,
	ConnectionRequested, ConnectionResent, ConnectionAccepted, ConnectionDeclined, ConnectionWithdrawn,
	ConnectionExpired, ConnectionRestricted, ConnectionRevoked, ConnectionLeft, ConnectionLapsed,
	ConnectionEnded, ConnectionMoved, ConnectionReminded, ConnectionLapseAhead, PlanChanged,
	SubscriptionCancelled, SubscriptionResumed, SubscriptionFroze, PaymentFailed, PaymentRecovered,
	PersonInvited, InvitationResent, InvitationDeclined, InvitationWithdrawn, InvitationExpired, InvitationReminded,
	OwnershipOffered, OwnershipAccepted, PersonAdded, PersonChanged, PersonRemoved, PersonLeft, PersonEnded, PersonReleased,
}

// IsKnown reports whether this version knows the type. Another version may have
// stored one that it does not.
func (t EventType) IsKnown() bool { return slices.Contains(EventTypes, t) }

// IsOfInvitation reports whether the event is one of an invitation or of an offer of
// ownership.
func (t EventType) IsOfInvitation() bool {
	switch t {
	case PersonInvited, InvitationResent, InvitationDeclined, InvitationWithdrawn, InvitationExpired, InvitationReminded,
		OwnershipOffered, OwnershipAccepted:
		return true
	default:
		return false
	}
}

// Event is one thing that happened, written in the transaction of its change. It
// is the entry of the activity and what notify sends from. It holds ids and names
// of accounts, never an address.
type Event struct {
	ID   EventID
	Type EventType
	At   time.Time
	// Addressee is the account in which it happened, or the person that a
	// request by email is addressed to.
	Addressee Party
	// Agency is the agency concerned; "" for none.
	Agency AccountID
	// Member is whose profile changed; "" when the account itself did.
	Member Party
	// Actor is who did it; "" for the clock, and for the platform itself.
	Actor PersonID
	// As is the agency in whose name the actor acted.
	As AccountID
	// Ownership is the account's.
	Ownership Ownership
	// Request is the number of the request concerned; 0 for none. Kind is what it asks
	// for, in an event of an invitation or of an offer.
	Request int
	Kind    RequestKind
	// Version is the version of the profile, or of the account, that the event
	// led to. Readers order by it and drop repeats.
	Version int
	// Was and Now are what the event changed.
	Was, Now State
	// Muted marks what concerns a muted request: only the agency sees it.
	Muted bool
	// Client is the person given access by AccountCreated; "" for none.
	Client PersonID
	// After is the event before this one of the same profile or, without a Member,
	// of the same account; "" for none. Consumers handle them in this order.
	After EventID
	// RequestID is the call that caused the event, as the gateway names it; of one that
	// the sweep caused, its invocation. It is for the log alone, and "" where it is not
	// known.
	RequestID string
	// WakeAt is when the sweep wakes an event that is not finished. It is zero
	// once every consumer of the stream has finished it.
	WakeAt time.Time
}

// State is the part of an account or profile that events report.
type State struct {
	Name    string    `json:"name,omitempty"`
	Status  Status    `json:"status,omitempty"`
	Role    Role      `json:"role,omitempty"`
	Areas   Areas     `json:"areas,omitempty"`
	Until   time.Time `json:"until,omitzero"`
	Expires time.Time `json:"expires,omitzero"`
	Message string    `json:"message,omitempty"`
	// Clients are those that a member of an agency is limited to.
	Clients []AccountID `json:"clients,omitempty"`
	// Plan and Subscription are of the account's subscription; Until is then when
	// a cancelled one freezes.
	Plan         string            `json:"plan,omitempty"`
	Subscription SubscriptionState `json:"subscription,omitempty"`
}

// EventState returns what events report of a profile.
func (p Profile) EventState() State {
	s := State{Status: p.Status, Role: p.ShownRole(), Areas: p.ShownAreas(), Until: p.Until, Message: p.Request.Message, Clients: p.Clients}
	if p.Kind() == AgencyKind || p.ShowsRequest() || p.HasOffer() {
		s.Expires = p.Request.ExpiresAt
	}
	return s
}

// IsByClock reports whether time caused the event, even where a command recorded
// it first.
func (e Event) IsByClock() bool {
	switch e.Type {
	case ConnectionExpired, ConnectionLapsed, InvitationExpired:
		return true
	case SubscriptionFroze:
		return !e.Was.Until.IsZero() && !e.At.Before(e.Was.Until)
	default:
		return false
	}
}

// AccountID is the account that the event concerns, "" for a request by email.
func (e Event) AccountID() AccountID { return e.Addressee.Account() }

// Connection is the connection that the event concerns; "" for none.
func (e Event) Connection() ConnectionID {
	if e.Agency == "" || e.Member != Party(e.Agency) {
		return ""
	}
	return NewConnectionID(e.Addressee, e.Agency)
}

// MailsRequest reports whether the event's emails ask for an answer to a request,
// so that their fate is the request's delivery.
func (e Event) MailsRequest() bool {
	switch e.Type {
	case ConnectionRequested, ConnectionResent, PersonInvited, InvitationResent, OwnershipOffered:
		return true
	case AccountCreated:
		return e.Client != ""
	default:
		return false
	}
}

// RequestKey is the profile whose request the event's emails ask to answer.
func (e Event) RequestKey() ProfileKey {
	if e.Type == AccountCreated {
		return ProfileKey{Addressee: e.Addressee, Member: Party(e.Client)}
	}
	return ProfileKey{Addressee: e.Addressee, Member: e.Member}
}

// ChangesCopies reports whether the event changes an account's name or subscription,
// which the account's profiles hold copies of.
func (e Event) ChangesCopies() bool {
	switch e.Type {
	case AccountRenamed, PlanChanged, SubscriptionCancelled, SubscriptionResumed, SubscriptionFroze, PaymentFailed, PaymentRecovered:
		return true
	default:
		return false
	}
}

// ProfileOf is the key of the agency's profile where the event happened.
func (e Event) ProfileOf(agency AccountID) ProfileKey {
	return ProfileKey{Addressee: e.Addressee, Member: Party(agency)}
}

// ForAgency is the event as the agency concerned reads it. It names no person of
// a client-owned account: an agency must not learn who is in one, and an id can
// be computed from an address.
func (e Event) ForAgency() Event {
	if e.Ownership == ClientOwned && e.Side() == AccountSide {
		e.Actor = ""
	}
	return e
}

// ForAccount is the event as the people of the account read it, in the API. It names no
// person of an agency that does not own the account: As says which agency acted.
func (e Event) ForAccount() Event {
	if e.Ownership == ClientOwned && (e.Side() == AgencySide || e.As != "") {
		e.Actor = ""
	}
	return e
}

// Side is the side of a connection, or of an account, that acted. It is "" for an
// account's own people and for reports of the platform.
func (e Event) Side() Side {
	if e.IsByClock() {
		return ClockSide
	}
	for _, row := range connectionTable {
		if row.as == e.Type {
			return row.by
		}
	}
	return ""
}

// Teams are the accounts in whose teams the persons of an event can be.
func (e Event) Teams() []AccountID {
	var teams []AccountID
	for _, id := range []AccountID{e.AccountID(), e.Agency, e.As} {
		if id != "" {
			teams = append(teams, id)
		}
	}
	return teams
}

// People lists the persons that an event names.
func (e Event) People() []PersonID {
	var people []PersonID
	for _, id := range []PersonID{e.Actor, e.Member.Person(), e.Client} {
		if id != "" {
			people = append(people, id)
		}
	}
	return people
}

// ConcernedAgency is the agency that the event is about.
func (e Event) ConcernedAgency() AccountID {
	if agency := e.Member.Account(); agency != "" {
		return agency
	}
	return e.Agency
}
