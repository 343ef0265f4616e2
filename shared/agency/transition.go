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
	// CloseRequest is of a request that what it rested on has ended.
	CloseRequest Action = "close"
	// Remind is of a request's expiry, Warn of an end date.
	Remind Action = "remind"
	Warn   Action = "warn"

	Open      Action = "open"
	Change    Action = "change"
	Remove    Action = "remove"
	NewSignIn Action = "new sign-in"
	// Appoint makes an owner of a person that the platform names.
	Appoint Action = "appoint"

	Leave Action = "leave"
	End   Action = "end"
)

// Side is on which side of a profile somebody acts.
type Side string

// The sides. AccountSide are the account's owners and admins (in an owned
// account the owning agency's); AgencySide is the agency whose profile it is;
// SelfSide is the person whose profile it is; PlatformSide is the platform itself;
// ClockSide is time, and what follows from something else having ended.
const (
	AccountSide  Side = "account"
	AgencySide   Side = "agency"
	SelfSide     Side = "self"
	PlatformSide Side = "platform"
	ClockSide    Side = "clock"
)

// Step is one action with its input.
type Step struct {
	Do Action
	By Side
	At time.Time
	// Areas are those requested (OpenRequest, Resend), or those to be granted (Accept,
	// Restrict, Change). nil changes nothing.
	Areas Areas
	// Role is a person's, in the same way; "" leaves it as it is. A Resend with a role
	// has new terms if they differ.
	Role Role
	// Until is the end date to hold from now on; nil leaves it, zero removes it.
	Until *time.Time
	// Number is the request that an Accept or a Decline names.
	Number int
	// From, Message and Maker belong to an OpenRequest or a NewSignIn; Maker, the person
	// who asks, also to a Resend.
	From    AccountID
	Message string
	Maker   PersonID
	// ExpiresAt belongs to what opens or resends a request; a Resend never shortens.
	ExpiresAt time.Time
	// Into is the account of a Move.
	Into AccountID
	// Muted is fixed by what opens a request.
	Muted bool
	// Issuer and Subject are of the sign-in that opens an account or accepts an
	// invitation.
	Issuer, Subject string
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
	// requests are the states of the profile's request from which the row starts, and
	// request the one to which it leads. Both are empty where the status tells.
	requests []RequestState
	request  RequestState
}

// startsFrom reports whether a profile is in one of the row's from states.
func (row transition) startsFrom(p Profile) bool {
	if !slices.Contains(row.from, p.Status) {
		return false
	}
	if row.requests == nil {
		return true
	}
	state := p.Request.State
	if p.RequestKind() != OwnershipKind {
		state = StateAccepted // of what made the person a member
	}
	return slices.Contains(row.requests, state)
}

// isDone reports whether a profile is in the state to which the row leads.
func (row transition) isDone(p Profile) bool {
	if row.request == "" {
		return p.Status == row.to
	}
	return p.RequestKind() == OwnershipKind && p.Request.State == row.request
}

var none Status

var endedStatuses = []Status{Declined, Withdrawn, Expired, Revoked, Left, Lapsed, Ended, Moved}

var startStatuses = append([]Status{none}, endedStatuses...)

// connectionTable is README, "Life of a connection". Ending a request that is
// still open expires it.
var connectionTable = withSteps(ConnectionKind, map[Action]transition{
	Create:   {from: []Status{none}, by: AgencySide, to: Active, as: AccountCreated},
	Restrict: {from: []Status{Active}, by: AccountSide, to: Active, as: ConnectionRestricted},
	Revoke:   {from: []Status{Active}, by: AccountSide, to: Revoked, as: ConnectionRevoked},
	Leave:    {from: []Status{Active}, by: AgencySide, to: Left, as: ConnectionLeft},
	Lapse:    {from: []Status{Active}, by: ClockSide, to: Lapsed, as: ConnectionLapsed},
	End:      {from: []Status{Active}, by: ClockSide, to: Ended, as: ConnectionEnded},
	Warn:     {from: []Status{Active}, by: ClockSide, to: Active, as: ConnectionLapseAhead},
})

// personTable is README, "Persons", but for the steps of a request.
var personTable = map[Action]transition{
	Open:      {from: []Status{none}, by: SelfSide, to: Active, as: AccountOpened},
	Appoint:   {from: append([]Status{Active}, startStatuses...), by: PlatformSide, to: Active, as: PersonAdded},
	Change:    {from: []Status{Active}, by: AccountSide, to: Active, as: PersonChanged},
	Remove:    {from: []Status{Active}, by: AccountSide, to: Revoked, as: PersonRemoved},
	NewSignIn: {from: []Status{Active}, by: AccountSide, to: Invited, as: PersonInvited},
	Leave:     {from: []Status{Active}, by: SelfSide, to: Left, as: PersonLeft},
	End:       {from: []Status{Active}, by: ClockSide, to: Ended, as: PersonEnded},
}

// invitationTable and ownershipTable are the tables of a person whose latest request
// is of that kind.
var (
	invitationTable = withSteps(InvitationKind, personTable)
	ownershipTable  = withSteps(OwnershipKind, personTable)
)

// tableFor returns the transitions of a profile. The first request of somebody who is
// active is an offer.
func tableFor(p Profile, do Action) map[Action]transition {
	switch {
	case p.Kind() == AgencyKind:
		return connectionTable
	case p.Status == Active && (do == OpenRequest || p.RequestKind() == OwnershipKind):
		return ownershipTable
	default:
		return invitationTable
	}
}

// Apply takes a profile one step along its life. It returns the profile after the
// step and the events that led there, oldest first, one for each version: two if
// the clock had already ended the profile or its request and nothing had recorded it,
// or if the step closes an open request first. No events and no error mean that the
// step repeats what its side has done, or changes nothing.
//
// Errors are refusals that name the present state: PermanentlyOwned, Forbidden
// (the wrong side), AlreadyRequested, AlreadyConnected, RequestExpired,
// NotPending, NotActive, Conflict (another request than the one named) and
// Invalid (more areas than requested, an end date that is not ahead).
func Apply(p Profile, s Step) (Profile, []Event, error) {
	if p.IsPermanent() && s.By != ClockSide && s.Do != Create {
		return p, nil, Refuse(PermanentlyOwned, "The agency owns this account permanently. Its connection can't be requested, decided, restricted or ended.")
	}
	settled, events := Settle(p, s.At)
	row, ok := tableFor(settled, s.Do)[s.Do]
	if !ok || row.by != s.By {
		return p, nil, Refuse(Forbidden, "That can't be done to this member from your side.")
	}
	switch {
	case s.Do == Expire || s.Do == Lapse:
		if len(events) > 0 && events[0].Type == row.as {
			return settled, events, nil
		}
		if !row.isDone(p) {
			return p, nil, &Error{Code: Conflict, State: settled.Status, Message: "Its time has not come."}
		}
		return p, nil, nil
	case s.Do == End && len(events) > 0 && settled.Status.IsEnded():
		// The clock was there first: it has ended by itself.
		return settled, events, nil
	case s.Do == End && (settled.Status == Pending || settled.Status == Invited):
		s.Do = Expire
		row = tableFor(settled, s.Do)[s.Do]
	case s.closesRequest(settled):
		var closed []Event
		settled, closed = settled.closeRequest(s.At)
		events = append(events, closed...)
	}
	if !row.startsFrom(settled) {
		if repeats(row, settled, s) {
			return p, nil, nil
		}
		return p, nil, RefuseState(s.Do, settled)
	}
	next, err := row.step(settled, s)
	if err != nil {
		return p, nil, err
	}
	if isUnchanged(s.Do, settled, next) {
		return p, nil, nil
	}
	as := row.as
	switch {
	case s.Do == Appoint && settled.Status == Active:
		as = PersonChanged
	case s.Do == Open && s.Registered:
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
	switch {
	case p.HasOpenRequest() && !p.HasOpenRequestAt(now):
		return p.endRequest(Expire, p.Request.ExpiresAt, now)
	case p.StatusAt(now) == Lapsed && p.Status != Lapsed:
		next := p
		next.Status, next.Since, next.Version = Lapsed, p.Until, p.Version+1
		return next, []Event{NewProfileEvent(ConnectionLapsed, p, next, now)}
	default:
		return p, nil
	}
}

// SettleBy returns a profile as it counts at the instant: as Settle, and with an
// invitation or offer closed whose maker has no longer the role that it needs.
func SettleBy(p, maker Profile, now time.Time) Profile {
	p, _ = Settle(p, now)
	if p.Kind() == PersonKind && p.HasOpenRequest() && !maker.MayMake(p.Request, now) {
		p, _ = p.closeRequest(now)
	}
	return p
}

// endRequest ends the open request of a profile by the clock, as of a time.
func (p Profile) endRequest(do Action, since, now time.Time) (Profile, []Event) {
	row := tableFor(p, do)[do]
	next := p
	if row.to != p.Status {
		next.Status, next.Since = row.to, since
	}
	next.Request.State, next.Version = requestSteps[do].to, p.Version+1
	return next, []Event{NewProfileEvent(row.as, p, next, now)}
}

// closesRequest reports whether a step on a person closes their open request first:
// what they were offered rested on what the step changes.
func (s Step) closesRequest(p Profile) bool {
	switch s.Do {
	case Change:
		return p.HasOffer() && s.Role != "" && s.Role != p.Role
	case Remove, Leave, NewSignIn, End:
		return p.HasOffer()
	case Appoint:
		return p.HasOpenRequest()
	default:
		return false
	}
}

// closeRequest closes the open request of a person.
func (p Profile) closeRequest(now time.Time) (Profile, []Event) {
	return p.endRequest(CloseRequest, now, now)
}

// step makes the row's change to a profile that is in one of its from states.
func (row transition) step(p Profile, s Step) (Profile, error) {
	next := p
	next.Status = row.to
	if row.to != p.Status {
		next.Since = s.At
	}
	if s.Do == NewSignIn {
		// What is granted now is asked for.
		s.Role, s.Areas = p.Role, p.Areas
	}
	kind := p.RequestKind()
	if s.Do == NewSignIn || s.Do == OpenRequest && kind != ConnectionKind {
		kind = InvitationKind
		if p.Status == Active && s.Do == OpenRequest {
			kind = OwnershipKind
		}
	}
	request, err := p.Request.step(kind, s, p.Status)
	if err != nil {
		return p, err
	}
	next.Request = request
	switch s.Do {
	case OpenRequest, NewSignIn:
		if row.to != Active {
			next.Role, next.Areas, next.Until, next.MovedTo = "", nil, time.Time{}, ""
			next.Issuer, next.Subject, next.Registered = "", "", false
		}
		if s.Do == OpenRequest && row.to != Active {
			next.Clients = nil
		}
	case Accept:
		next.Areas = p.Request.Areas
		if kind != ConnectionKind {
			next.Role, next.Issuer, next.Subject, next.Registered = p.Request.Role, s.Issuer, s.Subject, false
			s.Role, s.Areas = "", nil
		}
		return next.change(s)
	case Restrict, Change:
		if s.Role == Owner && p.Role != Owner {
			return p, InvalidField("role", "A person becomes an owner by accepting an offer of ownership.")
		}
		return next.change(s)
	case Open, Create, Appoint:
		next.Role, next.Areas, next.Registered = s.Role, s.Areas, s.Do == Appoint || s.Registered
		if p.Status != Active {
			next.Issuer, next.Subject = s.Issuer, s.Subject
		}
		next.Clients = nil
	case Move:
		next.MovedTo = s.Into
	default:
		// The other actions change the status alone, or the request.
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
	case s.Do == OpenRequest || s.Do == NewSignIn || !row.isDone(p):
		return false
	case s.Do == Accept || s.Do == Decline:
		return s.Number == p.Request.Number
	default:
		return true
	}
}

// isUnchanged reports whether a change of an active profile kept everything that it
// grants.
func isUnchanged(do Action, p, next Profile) bool {
	if do != Restrict && do != Change && do != Appoint {
		return false
	}
	return p.Status == Active && p.Role == next.Role && p.Areas.Equal(next.Areas) && p.Until.Equal(next.Until) &&
		slices.Equal(p.Clients, next.Clients) && (p.Clients == nil) == (next.Clients == nil)
}

// RefuseState is the refusal of an action that the present state does not allow. It
// names that state.
func RefuseState(do Action, p Profile) error {
	refusal := &Error{Code: NotActive, State: p.Status}
	switch {
	case do == OpenRequest && p.HasOpenRequest():
		refusal.Code, refusal.Message = AlreadyRequested, "There is already a request that waits for an answer. Resend or withdraw that one."
	case do == OpenRequest:
		refusal.Code, refusal.Message = AlreadyConnected, "The agency is already connected to this account."
	case p.hasExpiredRequest() && slices.Contains([]Action{Accept, Resend, Withdraw}, do):
		refusal.Code, refusal.Message = RequestExpired, "The request has expired. The agency can send a new one."
		switch {
		case p.Kind() == PersonKind && do == Accept:
			refusal.Message = "The invitation has expired. The account can invite you again."
		case p.Kind() == PersonKind:
			refusal.Message = "The invitation has expired. Invite the person again."
		}
	case p.Kind() == PersonKind && p.Status == Active && slices.Contains([]Action{Accept, Decline, Withdraw, Resend, Remind, CloseRequest}, do):
		refusal.Code, refusal.Message = NotPending, "There is no invitation and no offer of ownership that waits for an answer."
	case slices.Contains([]Action{Accept, Decline, Withdraw, Resend, Move, Remind, CloseRequest}, do):
		refusal.Code, refusal.Message = NotPending, "There is no request that waits for an answer: it is "+p.Status.sentence()+"."
	case p.Status == Invited:
		refusal.Message = "The invitation has not been accepted yet. Withdraw it, or invite the person again."
	case p.Status == Pending:
		refusal.Message = "The request has not been accepted yet. Decide it first."
	default:
		refusal.Message = "The member is not active: it is " + p.Status.sentence() + "."
	}
	return refusal
}

// hasExpiredRequest reports whether the latest request has expired without an answer.
func (p Profile) hasExpiredRequest() bool {
	return p.Status == Expired || p.Status == Active && p.RequestKind() == OwnershipKind && p.Request.State == StateExpired
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
	e := Event{
		Type: as, At: at, Addressee: now.Addressee, Agency: now.Member.Account(), Member: now.Member,
		Ownership: now.Ownership, Request: now.Request.Number, Version: now.Version, Muted: now.Kind() == AgencyKind && now.Request.Muted,
		Was: was.EventState(), Now: now.EventState(),
	}
	if as.IsOfInvitation() {
		e.Kind = now.RequestKind()
	}
	return e
}
