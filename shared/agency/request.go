package agency

import (
	"maps"
	"time"
)

// RequestKind is what a request asks for.
type RequestKind string

// ConnectionKind asks an account, or a person who will choose the account, to
// give an agency access.
const ConnectionKind RequestKind = "connection"

// Request waits for an answer, or is the latest one that had an answer. A profile
// keeps it beside what it grants. The zero value is no request.
type Request struct {
	// Number counts the requests of a profile: 1, 2, …; 0 before the first.
	Number  int
	Message string
	// Areas are the access levels asked for.
	Areas Areas
	// By is the person who sent or resent the request.
	By          PersonID
	RequestedAt time.Time
	// ExpiresAt is when an open request expires.
	ExpiresAt time.Time
	// Resends counts how often it was sent again, and MailedAt is the latest time.
	Resends  int
	MailedAt time.Time
	// Reached lists the people that it was mailed to. They hear of its end too.
	Reached []PersonID
	// Delivery is what the requester reads of its email. In a person's profile it is
	// "", or failed if the email about their access bounced.
	Delivery Delivery
	// Muted hides the request from an addressee who had blocked the agency or
	// whose cooldown ran. It is mailed to nobody and is in none of their lists.
	// The agency can't tell. It is fixed when the request is opened, except that
	// a person's erasure mutes what is addressed to them.
	Muted bool
}

// A requestState is how far a request has come.
type requestState string

const (
	requestOpen      requestState = "open"
	requestAccepted  requestState = "accepted"
	requestDeclined  requestState = "declined"
	requestWithdrawn requestState = "withdrawn"
	requestExpired   requestState = "expired"
	requestMoved     requestState = "moved"
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
	from []requestState
	by   requestRole
	to   requestState
}

var whileOpen = []requestState{requestOpen}

// requestSteps is the life of a request of any kind. OpenRequest starts one
// wherever none is open and nothing is granted.
var requestSteps = map[Action]requestStep{
	OpenRequest: {nil, requester, requestOpen},
	Accept:      {whileOpen, addressee, requestAccepted},
	Decline:     {[]requestState{requestOpen, requestExpired}, addressee, requestDeclined},
	Withdraw:    {whileOpen, requester, requestWithdrawn},
	Resend:      {whileOpen, requester, requestOpen},
	Expire:      {whileOpen, clock, requestExpired},
	Move:        {whileOpen, clock, requestMoved},
	Remind:      {whileOpen, clock, requestOpen},
}

// A requestKind maps the steps of a request to the profile that holds it.
type requestKind struct {
	sides    map[requestRole]Side
	statuses map[requestState]Status
	events   map[Action]EventType
}

var requestKinds = map[RequestKind]requestKind{
	ConnectionKind: {
		sides: map[requestRole]Side{requester: AgencySide, addressee: AccountSide, clock: ClockSide},
		statuses: map[requestState]Status{
			requestOpen: Pending, requestAccepted: Active, requestDeclined: Declined,
			requestWithdrawn: Withdrawn, requestExpired: Expired, requestMoved: Moved,
		},
		events: map[Action]EventType{
			OpenRequest: ConnectionRequested, Accept: ConnectionAccepted, Decline: ConnectionDeclined,
			Withdraw: ConnectionWithdrawn, Resend: ConnectionResent, Expire: ConnectionExpired,
			Move: ConnectionMoved, Remind: ConnectionReminded,
		},
	},
}

// transitions returns the steps of the kind as transitions of its profile.
func (k requestKind) transitions() map[Action]transition {
	table := map[Action]transition{}
	for do, step := range requestSteps {
		row := transition{by: k.sides[step.by], to: k.statuses[step.to], as: k.events[do]}
		for _, state := range step.from {
			row.from = append(row.from, k.statuses[state])
		}
		if do == OpenRequest {
			row.from = startStatuses
		}
		table[do] = row
	}
	return table
}

// withSteps returns a table of transitions with those of a kind of request added.
func withSteps(kind RequestKind, table map[Action]transition) map[Action]transition {
	maps.Copy(table, requestKinds[kind].transitions())
	return table
}

// step returns the request after an action on it. Errors: Conflict (an answer to
// another request than the open one), Invalid (an answer that grants more than
// was requested).
func (r Request) step(s Step, status Status) (Request, error) {
	switch s.Do {
	case OpenRequest:
		return Request{
			Number: r.Number + 1, Message: s.Message, Areas: s.Areas, By: s.Asker, RequestedAt: s.At, ExpiresAt: s.ExpiresAt,
			MailedAt: s.At, Delivery: Waiting, Muted: s.Muted,
		}, nil
	case Resend:
		if s.ExpiresAt.After(r.ExpiresAt) {
			r.ExpiresAt = s.ExpiresAt
		}
		r.By, r.Delivery, r.MailedAt = s.Asker, Waiting, s.At
		r.Resends++
		return r, nil
	case Accept:
		if s.Number != r.Number {
			return r, RefuseOtherRequest(status)
		}
		if s.Areas != nil && !s.Areas.isWithin(r.Areas) {
			return r, InvalidField("areas", "You can grant less than what was asked for, not more.")
		}
		return r, nil
	default:
		return r, nil
	}
}

// RefuseOtherRequest is the refusal of an answer to another request than the
// latest one. status is the profile's.
func RefuseOtherRequest(status Status) error {
	return &Error{Code: Conflict, State: status, Message: "The request has changed since you looked at it. Look at it again before you accept."}
}

// ShowsRequest reports whether the profile grants and granted nothing since its
// latest request was opened.
func (p Profile) ShowsRequest() bool {
	switch p.Status {
	case Pending, Declined, Withdrawn, Expired, Moved:
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
