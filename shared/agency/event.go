package agency

import "time"

// EventType names what happened.
type EventType string

// What can happen. Client access in an owned account is a person's profile, so
// its events are the persons' ones; Event.Ownership tells them apart.
const (
	AccountOpened  EventType = "account.opened"
	AccountCreated EventType = "account.created"
	AccountRenamed EventType = "account.renamed"
	AccountClosed  EventType = "account.closed"
	HubSwitchedOn  EventType = "agency.switched_on"
	HubSwitchedOff EventType = "agency.switched_off"
	// An agency is blocked and allowed again without being told.
	AgencyBlocked   EventType = "agency.blocked"
	AgencyUnblocked EventType = "agency.unblocked"
	PersonErasing   EventType = "person.erasing"
	PersonErased    EventType = "person.erased"

	ConnectionRequested  EventType = "connection.requested"
	ConnectionResent     EventType = "connection.resent"
	ConnectionAccepted   EventType = "connection.accepted"
	ConnectionDenied     EventType = "connection.denied"
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

	PersonAdded   EventType = "person.added"
	PersonChanged EventType = "person.changed"
	PersonRemoved EventType = "person.removed"
	PersonLeft    EventType = "person.left"
	PersonEnded   EventType = "person.ended"
)

// Event is one thing that happened, written in the transaction of its change.
// It is the line in the activity and what notify tells from. It holds ids and
// names of accounts, never an address.
type Event struct {
	ID   EventID
	Type EventType
	At   time.Time
	// Addressee is where the event stands: an account, or the person whom a
	// request by email is addressed to.
	Addressee Party
	// Agency is the agency concerned; "" where there is none.
	Agency AccountID
	// Member is whose profile changed; "" when the account itself did.
	Member Party
	// Actor is who did it; "" for the clock.
	Actor PersonID
	// As is the agency in whose name the actor acted.
	As AccountID
	// Ownership is the account's.
	Ownership Ownership
	// Request is the number of the request concerned; 0 where there is none.
	Request int
	// Version is the version of the profile, or of the account, that the event
	// led to. Readers order by it and drop repeats.
	Version int
	// Was and Now are what the event changed.
	Was, Now State
	// Muted marks what concerns a muted request: only the agency sees it.
	Muted bool
	// Client is the person given access by AccountCreated; "" for none.
	Client PersonID
	// WakeAt is when to wake the event if nobody has finished telling it. It is
	// zero once everyone has been told.
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
}

func (p Profile) state() State {
	return State{Status: p.Status, Role: p.Role, Areas: p.Areas, Until: p.Until, Expires: p.ExpiresAt, Message: p.Message, Clients: p.Clients}
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

// MailsRequest tells whether the event's emails ask for the decision on a
// request, so that their fate is the request's delivery.
func (e Event) MailsRequest() bool {
	return e.Type == ConnectionRequested || e.Type == ConnectionResent
}

// Invited is the profile whose person the event tells, by an email, that they
// have it; false for an event that lets nobody in.
func (e Event) Invited() (ProfileKey, bool) {
	switch {
	case e.Type == PersonAdded:
		return ProfileKey{Addressee: e.Addressee, Member: e.Member}, true
	case e.Type == AccountCreated && e.Client != "":
		return ProfileKey{Addressee: e.Addressee, Member: Party(e.Client)}, true
	default:
		return ProfileKey{}, false
	}
}
