package agency

import (
	"maps"
	"time"
)

// RequestKind is what a request asks for.
type RequestKind string

// The kinds of requests.
const (
	// ConnectionKind asks an account, or a person who will choose the account, to
	// give an agency access.
	ConnectionKind RequestKind = "connection"
	// InvitationKind asks a person to join the team of an account.
	InvitationKind RequestKind = "invitation"
	// OwnershipKind offers a person of the team to become an owner.
	OwnershipKind RequestKind = "ownership"
)

// Request waits for an answer, or is the latest one that had an answer. A profile
// keeps it beside what it grants. The zero value is no request.
type Request struct {
	// Number counts the requests of a profile: 1, 2, …; 0 before the first. New terms
	// of an open invitation count as a new one.
	Number int
	Kind   RequestKind
	// State is how far the request has come.
	State RequestState
	// From is the account that asks: the agency of a connection; the account of an
	// invitation or an offer or, if an agency owns it, that agency.
	From    AccountID
	Message string
	// Role is the role that a person is asked to have; "" for an agency.
	Role Role
	// Areas are the access levels asked for.
	Areas Areas
	// By is the person who sent or resent the request.
	By          PersonID
	RequestedAt time.Time
	// AnsweredAt is when it was accepted or declined; zero before that.
	AnsweredAt time.Time
	// ExpiresAt is when an open request expires.
	ExpiresAt time.Time
	// Resends counts how often it was sent again, and MailedAt is the latest time.
	Resends  int
	MailedAt time.Time
	// Reached lists the people that it was mailed to. They hear of its end too.
	Reached []PersonID
	// Delivery is what the requester reads of its email.
	Delivery Delivery
	// Muted hides the request from an addressee who had blocked the requester or whose
	// cooldown ran. It is mailed to nobody and is in none of their lists. The
	// requester can't tell. It is fixed when the request is opened, except that
	// a person's erasure mutes what is addressed to them.
	Muted bool
}

// RequestState is how far a request has come.
type RequestState string

// The states of a request.
const (
	StateOpen      RequestState = "open"
	StateAccepted  RequestState = "accepted"
	StateDeclined  RequestState = "declined"
	StateWithdrawn RequestState = "withdrawn"
	StateExpired   RequestState = "expired"
	StateMoved     RequestState = "moved"
)

// A requestRole is the part that somebody has in a request.
type requestRole string

const (
	requester requestRole = "requester"
	addressee requestRole = "addressee"
	clock     requestRole = "clock"
)

// A requestStep is a row of requestSteps: from any of these states, by this role,
// to that state.
type requestStep struct {
	from []RequestState
	by   requestRole
	to   RequestState
}

var whileOpen = []RequestState{StateOpen}

// requestSteps is the life of a request of any kind. OpenRequest starts one
// wherever none is open. A kind has the steps for which it has an event.
var requestSteps = map[Action]requestStep{
	OpenRequest:  {[]RequestState{"", StateAccepted, StateDeclined, StateWithdrawn, StateExpired, StateMoved}, requester, StateOpen},
	Accept:       {whileOpen, addressee, StateAccepted},
	Decline:      {[]RequestState{StateOpen, StateExpired}, addressee, StateDeclined},
	Withdraw:     {whileOpen, requester, StateWithdrawn},
	Resend:       {whileOpen, requester, StateOpen},
	Expire:       {whileOpen, clock, StateExpired},
	CloseRequest: {whileOpen, clock, StateWithdrawn},
	Move:         {whileOpen, clock, StateMoved},
	Remind:       {whileOpen, clock, StateOpen},
}

// A requestKind maps the steps of a request to the profile that holds it.
type requestKind struct {
	sides map[requestRole]Side
	// statuses are the profile's by the state of its request. Without any, the
	// profile stays active, and the request's own state tells.
	statuses map[RequestState]Status
	events   map[Action]EventType
}

var invitationSides = map[requestRole]Side{requester: AccountSide, addressee: SelfSide, clock: ClockSide}

var requestKinds = map[RequestKind]requestKind{
	ConnectionKind: {
		sides: map[requestRole]Side{requester: AgencySide, addressee: AccountSide, clock: ClockSide},
		statuses: map[RequestState]Status{
			StateOpen: Pending, StateAccepted: Active, StateDeclined: Declined,
			StateWithdrawn: Withdrawn, StateExpired: Expired, StateMoved: Moved,
		},
		events: map[Action]EventType{
			OpenRequest: ConnectionRequested, Accept: ConnectionAccepted, Decline: ConnectionDeclined,
			Withdraw: ConnectionWithdrawn, Resend: ConnectionResent, Expire: ConnectionExpired,
			Move: ConnectionMoved, Remind: ConnectionReminded,
		},
	},
	InvitationKind: {
		sides: invitationSides,
		statuses: map[RequestState]Status{
			StateOpen: Invited, StateAccepted: Active, StateDeclined: Declined,
			StateWithdrawn: Withdrawn, StateExpired: Expired,
		},
		events: invitationEvents(PersonInvited, PersonAdded),
	},
	OwnershipKind: {
		sides:  invitationSides,
		events: invitationEvents(OwnershipOffered, OwnershipAccepted),
	},
}

// invitationEvents are the events of an invitation, or of an offer of ownership, by
// its steps.
func invitationEvents(opened, accepted EventType) map[Action]EventType {
	return map[Action]EventType{
		OpenRequest: opened, Accept: accepted, Decline: InvitationDeclined, Withdraw: InvitationWithdrawn,
		Resend: InvitationResent, Expire: InvitationExpired, CloseRequest: InvitationWithdrawn, Remind: InvitationReminded,
	}
}

// transitions returns the steps of the kind as transitions of its profile.
func (k requestKind) transitions() map[Action]transition {
	table := map[Action]transition{}
	for do, step := range requestSteps {
		as, ok := k.events[do]
		if !ok {
			continue
		}
		row := transition{by: k.sides[step.by], as: as}
		switch {
		case k.statuses == nil:
			row.from, row.to, row.requests, row.request = []Status{Active}, Active, step.from, step.to
		case do == OpenRequest:
			row.from, row.to = startStatuses, k.statuses[step.to]
		default:
			row.to = k.statuses[step.to]
			for _, state := range step.from {
				row.from = append(row.from, k.statuses[state])
			}
		}
		table[do] = row
	}
	return table
}

// withSteps returns a table of transitions with those of a kind of request added.
func withSteps(kind RequestKind, table map[Action]transition) map[Action]transition {
	out := maps.Clone(table)
	maps.Copy(out, requestKinds[kind].transitions())
	return out
}

// step returns the request after an action on it. Errors: Conflict (an answer to
// another request than the open one), Invalid (an answer that grants more than
// was requested).
func (r Request) step(kind RequestKind, s Step, status Status) (Request, error) {
	if to, ok := requestSteps[s.Do]; ok && s.Do != Remind {
		r.State = to.to
	}
	switch s.Do {
	case OpenRequest, NewSignIn:
		return Request{
			Number: r.Number + 1, Kind: kind, State: StateOpen, From: s.From, Message: s.Message, Role: s.Role, Areas: s.Areas,
			By: s.Maker, RequestedAt: s.At, ExpiresAt: s.ExpiresAt, MailedAt: s.At, Muted: s.Muted,
		}, nil
	case Resend:
		if s.ExpiresAt.After(r.ExpiresAt) {
			r.ExpiresAt = s.ExpiresAt
		}
		if s.Role != "" && (s.Role != r.Role || !s.Areas.Equal(r.Areas)) {
			r.Role, r.Areas = s.Role, s.Areas
			r.Number++
		}
		r.By, r.Delivery, r.MailedAt = s.Maker, "", s.At
		r.Resends++
		return r, nil
	case Accept:
		if s.Number != r.Number {
			return r, RefuseOtherRequest(status)
		}
		if s.Areas != nil && !s.Areas.isWithin(r.Areas) {
			return r, InvalidField("areas", "You can grant less than what was asked for, not more.")
		}
		r.AnsweredAt = s.At
		return r, nil
	case Decline:
		if s.Number != r.Number {
			return r, RefuseOtherRequest(status)
		}
		r.AnsweredAt = s.At
		return r, nil
	default:
		return r, nil
	}
}

// RefuseOtherRequest is the refusal of an answer to another request than the
// latest one. status is the profile's.
func RefuseOtherRequest(status Status) error {
	return &Error{Code: Conflict, State: status, Message: "The request has changed since you looked at it. Look at it again before you answer."}
}

// RequestKind is the kind of the profile's latest request.
func (p Profile) RequestKind() RequestKind {
	switch {
	case p.Kind() == AgencyKind:
		return ConnectionKind
	case p.Request.Kind == OwnershipKind:
		return OwnershipKind
	default:
		return InvitationKind
	}
}

// HasOpenRequest reports whether the profile's request waits for an answer, by what
// is recorded.
func (p Profile) HasOpenRequest() bool {
	return p.Status == Pending || p.Status == Invited || p.HasOffer()
}

// HasOffer reports whether the person has an open offer of ownership, by what is
// recorded.
func (p Profile) HasOffer() bool {
	return p.Status == Active && p.RequestKind() == OwnershipKind && p.Request.State == StateOpen
}

// HasOpenRequestAt reports whether the profile's request waits for an answer, by the
// clock.
func (p Profile) HasOpenRequestAt(now time.Time) bool {
	return p.HasOpenRequest() && now.Before(p.Request.ExpiresAt)
}

// ShowsRequest reports whether the profile grants and granted nothing since its
// latest request was opened.
func (p Profile) ShowsRequest() bool {
	switch p.Status {
	case Pending, Invited, Declined, Withdrawn, Expired, Moved:
		return true
	default:
		return false
	}
}

// ShownAreas are the access levels that a profile grants, or granted last; or those
// asked for, where its latest request was not accepted.
func (p Profile) ShownAreas() Areas {
	if p.ShowsRequest() {
		return p.Request.Areas
	}
	return p.Areas
}

// ShownRole is the role that a person has or had last; or the one asked for, where
// the latest request was not accepted. It is "" for an agency.
func (p Profile) ShownRole() Role {
	if p.ShowsRequest() {
		return p.Request.Role
	}
	return p.Role
}
