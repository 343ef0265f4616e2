package agency

import (
	"slices"
	"time"
)

// Action is what somebody, or the clock, does to a profile.
type Action string

// The actions on an agency's profile, then those on a person's, then those that
// belong to both. Create and Open begin the first profile of a new account.
const (
	Create      Action = "create"
	OpenRequest Action = "request"
	Accept      Action = "accept"
	Decline     Action = "decline"
	Withdraw    Action = "withdraw"
	Resend      Action = "resend"
	Expire      Action = "expire"
	Restrict    Action = "restrict"
	Revoke      Action = "revoke"
	Lapse       Action = "lapse"
	Move        Action = "move"
	// Remind is of a request's expiry, Warn of an end date.
	Remind Action = "remind"
	Warn   Action = "warn"

	Open   Action = "open"
	Invite Action = "invite"
	Change Action = "change"
	Remove Action = "remove"

	Leave Action = "leave"
	End   Action = "end"
)

// Side is on which side of a profile somebody acts.
type Side string

// The sides. AccountSide are the account's owners and admins (in an owned
// account the owning agency's); AgencySide is the agency whose profile it is;
// SelfSide is the person whose profile it is; ClockSide is time, and what
// follows from something else having ended.
const (
	AccountSide Side = "account"
	AgencySide  Side = "agency"
	SelfSide    Side = "self"
	ClockSide   Side = "clock"
)

// Step is one action with its input.
type Step struct {
	Do Action
	By Side
	At time.Time
	// Areas are those requested (OpenRequest), or those to be granted (Accept,
	// Restrict, Invite, Change). nil changes nothing.
	Areas Areas
	// Role is a person's; "" leaves it as it is.
	Role Role
	// Until is the end date to hold from now on; nil leaves it, zero removes it.
	Until *time.Time
	// Number is the request that an Accept names.
	Number int
	// Message and Asker belong to an OpenRequest; Asker also to a Resend.
	Message string
	Asker   PersonID
	// ExpiresAt belongs to an OpenRequest or a Resend; a Resend never shortens.
	ExpiresAt time.Time
	// Into is the account of a Move.
	Into AccountID
	// Muted is fixed by an OpenRequest.
	Muted bool
	// AccountName and Plan are the new account's, for the event of Open and Create.
	AccountName, Plan string
	// Registered marks an Open by which the platform registers an account.
	Registered bool
	// Client is the person who gets access by a Create as well; "" for nobody.
	Client PersonID
	// Clients are the only clients that a member of an agency is assigned to. nil
	// changes nothing, and a pointer to nil lifts the limit.
	Clients *[]AccountID
}

// transition is a row of the table: from any of these states, by this side, to
// that state, reported as that event.
type transition struct {
	from []Status
	by   Side
	to   Status
	as   EventType
}

var none Status

var endedStatuses = []Status{Declined, Withdrawn, Expired, Revoked, Left, Lapsed, Ended, Moved}

var startStatuses = append([]Status{none}, endedStatuses...)

// connectionTable is README, "Life of a connection". Ending a request that is
// still open expires it.
var connectionTable = withSteps(ConnectionKind, map[Action]transition{
	Create:   {[]Status{none}, AgencySide, Active, AccountCreated},
	Restrict: {[]Status{Active}, AccountSide, Active, ConnectionRestricted},
	Revoke:   {[]Status{Active}, AccountSide, Revoked, ConnectionRevoked},
	Leave:    {[]Status{Active}, AgencySide, Left, ConnectionLeft},
	Lapse:    {[]Status{Active}, ClockSide, Lapsed, ConnectionLapsed},
	End:      {[]Status{Active}, ClockSide, Ended, ConnectionEnded},
	Warn:     {[]Status{Active}, ClockSide, Active, ConnectionLapseAhead},
})

// personTable is README, "Persons".
var personTable = map[Action]transition{
	Open:   {[]Status{none}, SelfSide, Active, AccountOpened},
	Invite: {append([]Status{Active}, startStatuses...), AccountSide, Active, PersonAdded},
	Change: {[]Status{Active}, AccountSide, Active, PersonChanged},
	Remove: {[]Status{Active}, AccountSide, Revoked, PersonRemoved},
	Leave:  {[]Status{Active}, SelfSide, Left, PersonLeft},
	End:    {[]Status{Active}, ClockSide, Ended, PersonEnded},
}

// Apply takes a profile one step along its life. It returns the profile after the
// step and the events that led there, oldest first, one for each version: two if
// the clock had already ended the profile and nothing had recorded it. No events
// and no error mean that the step repeats what its side has done, or changes
// nothing.
//
// Errors are refusals that name the present state: PermanentlyOwned, Forbidden
// (the wrong side), AlreadyRequested, AlreadyConnected, RequestExpired,
// NotPending, NotActive, Conflict (another request than the one named) and
// Invalid (more areas than requested, an end date that is not ahead).
func Apply(p Profile, s Step) (Profile, []Event, error) {
	if p.IsPermanent() && s.By != ClockSide && s.Do != Create {
		return p, nil, Refuse(PermanentlyOwned, "The agency owns this account for good: its connection can't be requested, decided, limited or ended.")
	}
	table := personTable
	if p.Kind() == AgencyKind {
		table = connectionTable
	}
	row, ok := table[s.Do]
	if !ok || row.by != s.By {
		return p, nil, Refuse(Forbidden, "That can't be done to this member from your side.")
	}

	settled, events := Settle(p, s.At)
	switch {
	case s.Do == Expire || s.Do == Lapse:
		if len(events) > 0 && settled.Status == row.to {
			return settled, events, nil
		}
		if p.Status != row.to {
			return p, nil, &Error{Code: Conflict, State: settled.Status, Message: "Its time has not come."}
		}
		return p, nil, nil
	case s.Do == End && len(events) > 0:
		// The clock was there first: it has ended by itself.
		return settled, events, nil
	case s.Do == End && settled.Status == Pending:
		row = connectionTable[Expire]
	}
	if !slices.Contains(row.from, settled.Status) {
		if repeats(row, settled, s) {
			return p, nil, nil
		}
		return p, nil, RefuseState(s.Do, settled)
	}
	next, err := row.step(settled, s)
	if err != nil {
		return p, nil, err
	}
	if next.Status == settled.Status && isUnchanged(s.Do, settled, next) {
		return p, nil, nil
	}
	as := row.as
	switch {
	case s.Do == Invite && settled.Status == Active:
		as = PersonChanged
	case s.Registered:
		as = AccountRegistered
	}
	next.Version = settled.Version + 1
	event := NewProfileEvent(as, settled, next, s.At)
	event.Now.Name, event.Now.Plan, event.Client = s.AccountName, s.Plan, s.Client
	return next, append(events, event), nil
}

// Settle records what the clock has decided: an overdue request is expired, an
// overdue end date has lapsed. It returns one event, or none.
func Settle(p Profile, now time.Time) (Profile, []Event) {
	status := p.StatusAt(now)
	if status == p.Status {
		return p, nil
	}
	next, as, at := p, ConnectionExpired, p.Request.ExpiresAt
	if status == Lapsed {
		as, at = ConnectionLapsed, p.Until
	}
	next.Status, next.Since, next.Version = status, at, p.Version+1
	return next, []Event{NewProfileEvent(as, p, next, now)}
}

// step makes the row's change to a profile that is in one of its from states.
func (row transition) step(p Profile, s Step) (Profile, error) {
	next := p
	next.Status = row.to
	if row.to != p.Status {
		next.Since = s.At
	}
	request, err := p.Request.step(s, p.Status)
	if err != nil {
		return p, err
	}
	next.Request = request
	switch s.Do {
	case OpenRequest:
		next.Areas, next.Until, next.MovedTo = nil, time.Time{}, ""
	case Accept:
		next.Areas = p.Request.Areas
		return next.change(s)
	case Restrict, Change:
		return next.change(s)
	case Open, Create, Invite:
		next.Role, next.Areas = s.Role, s.Areas
		next.Issuer, next.Subject, next.Request.Delivery = "", "", ""
		if p.Status != Active || s.Role != Member {
			next.Clients = nil
		}
	case Move:
		next.MovedTo = s.Into
	default:
		// The other actions change the status alone.
	}
	return next, nil
}

// change returns a profile with what the step sets of its grant. Errors: Invalid (an
// end date that is not ahead).
func (p Profile) change(s Step) (Profile, error) {
	if s.Areas != nil {
		p.Areas = s.Areas
	}
	if s.Role != "" {
		p.Role = s.Role
	}
	if s.Until != nil {
		if !s.Until.IsZero() && !s.Until.After(s.At) {
			return p, InvalidField("until", "The end date must lie ahead.")
		}
		p.Until = *s.Until
	}
	if s.Clients != nil {
		p.Clients = *s.Clients
	}
	if p.Role != Member {
		p.Clients = nil
	}
	return p, nil
}

// repeats reports whether a refused step is one that its side has already done.
func repeats(row transition, p Profile, s Step) bool {
	switch {
	case s.Do == OpenRequest || p.Status != row.to:
		return false
	case s.Do == Accept:
		return s.Number == p.Request.Number
	default:
		return true
	}
}

// isUnchanged reports whether an action on an active profile kept everything that it
// grants. A resend, a reminder and an invitation that clears a binding always change
// something.
func isUnchanged(do Action, p, next Profile) bool {
	return p.Status == Active && do != Warn && p.Role == next.Role && p.Areas.Equal(next.Areas) && p.Until.Equal(next.Until) &&
		slices.Equal(p.Clients, next.Clients) && (p.Clients == nil) == (next.Clients == nil) &&
		p.Issuer == next.Issuer && p.Subject == next.Subject
}

// RefuseState is the refusal of an action that the present state does not allow. It
// names that state.
func RefuseState(do Action, p Profile) error {
	refusal := &Error{Code: NotActive, State: p.Status}
	switch {
	case do == OpenRequest && p.Status == Pending:
		refusal.Code, refusal.Message = AlreadyRequested, "There is already a request that waits for an answer. Resend or withdraw that one."
	case do == OpenRequest:
		refusal.Code, refusal.Message = AlreadyConnected, "The agency is already connected to this account."
	case p.Status == Expired && slices.Contains([]Action{Accept, Resend, Withdraw}, do):
		refusal.Code, refusal.Message = RequestExpired, "The request has expired. The agency can ask again."
	case slices.Contains([]Action{Accept, Decline, Withdraw, Resend, Move, Remind}, do):
		refusal.Code, refusal.Message = NotPending, "There is no request that waits for an answer: it is "+p.Status.sentence()+"."
	case p.Status == Pending:
		refusal.Message = "The request has not been accepted yet. Decide it first."
	default:
		refusal.Message = "The member is not active: it is " + p.Status.sentence() + "."
	}
	return refusal
}

// sentence is the status as a person says it.
func (s Status) sentence() string {
	switch s {
	case none:
		return "not there"
	case Left:
		return "left"
	case Moved:
		return "taken up by another account"
	default:
		return string(s)
	}
}

// NewProfileEvent is the event of one profile's change. Who did it is filled in by the use
// case, as is the event's id.
func NewProfileEvent(as EventType, was, now Profile, at time.Time) Event {
	return Event{
		Type: as, At: at, Addressee: now.Addressee, Agency: now.Member.Account(), Member: now.Member,
		Ownership: now.Ownership, Request: now.Request.Number, Version: now.Version, Muted: now.Request.Muted,
		Was: was.EventState(), Now: now.EventState(),
	}
}
