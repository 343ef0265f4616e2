// Package law is an executable specification of shared/agency/README.md: what each
// command does to accounts, profiles and pairs, what it answers and which events it
// writes. It uses the product's nouns (ids, codes, states and areas) and what tells
// mailboxes apart (agency.Mailbox, agency.Untagged), and none of its decisions.
// The proofs compare the product with it.
package law

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"agencyhub/shared/agency"
)

// Law is the present state of everything that the law is about. Its methods change it
// by commands; two that are given the same commands and times are equal.
type Law struct {
	Rules agency.Rules
	State
}

// State is what a Law holds. The values of its maps share nothing that is changed.
type State struct {
	Accounts map[agency.AccountID]Account
	Members  map[agency.ProfileKey]Member
	Pairs    map[agency.PairKey]Pair
	People   map[agency.PersonID]Person
	Calls    map[Call]Made
	// Requests counts an agency's new requests by UTC day, and Acts what persons do.
	Requests map[Day]int
	Acts     map[Act]int
	// Mails counts unsolicited emails; Box is one of their mailboxes.
	Mails map[MailCount]int
	Boxes map[agency.MailboxID]Box
}

// Account is an account. Its owners and agencies are counted from its members.
type Account struct {
	ID        agency.AccountID
	Name      string
	Ownership agency.Ownership
	Owner     agency.AccountID
	IsAgency  bool
	Plan      string
	State     agency.SubscriptionState
	// FreezesAt is the end of a cancelled period; Unpaid and ReportedAt are of the newest
	// report of a payment.
	FreezesAt  time.Time
	Unpaid     bool
	ReportedAt time.Time
	Closed     time.Time
	// EndedAll is set once the sweep has ended all members of a closed account.
	EndedAll bool
	// Raised are limits that the platform has raised, as text that can be compared.
	Raised map[agency.Limit]int
	// Input is the call that made the account.
	Input string
}

// Member is a profile: what a person or an agency has in an account, and their latest
// request.
type Member struct {
	Status      agency.Status
	Role        agency.Role
	Areas       agency.Areas
	Name        string
	Email       string
	AccountName string
	Ownership   agency.Ownership
	Request     Request
	Until       time.Time
	Since       time.Time
	RemindAt    time.Time
	CloseAt     time.Time
	// Clients are those that a member of an agency is assigned to, if Limited.
	Clients         []agency.AccountID
	Limited         bool
	MovedTo         agency.AccountID
	Issuer, Subject string
	Registered      bool
}

// Request is the latest request of a member.
type Request struct {
	Number      int
	Kind        agency.RequestKind
	State       agency.RequestState
	From        agency.AccountID
	By          agency.PersonID
	Message     string
	Role        agency.Role
	Areas       agency.Areas
	RequestedAt time.Time
	AnsweredAt  time.Time
	ExpiresAt   time.Time
	MailedAt    time.Time
	Resends     int
	Muted       bool
	// Reached are those who were sent an email of the request, sorted.
	Reached []agency.PersonID
}

// Pair is what lies between an addressee and an asker beyond one request.
type Pair struct {
	CoolingUntil time.Time
	Blocked      bool
	Mailed       []time.Time
	// Number is the highest number of a request whose profile was deleted.
	Number int
}

// Person is what is known of a person apart from their profiles.
type Person struct {
	// FirstAt is when they first signed in or changed anything.
	FirstAt time.Time
	Erasing time.Time
	// DueAt is when the sweep goes on to erase them.
	DueAt time.Time
	// IsSuppressed: their address has bounced, and they have not signed in since.
	IsSuppressed bool
}

// Call is a connection request under an Idempotency-Key, and Made what it made.
type Call struct {
	Agency agency.AccountID
	Key    string
}

// Made is what a Call has made.
type Made struct {
	Input  string
	At     time.Time
	Number int
}

// Day is a UTC day of an agency.
type Day struct {
	Agency agency.AccountID
	Day    time.Time
}

// Act is something that a person does on a UTC day.
type Act struct {
	Person agency.PersonID
	What   agency.Counted
	Day    time.Time
}

// New returns the law of an empty platform.
func New(rules agency.Rules) *Law {
	return &Law{rules, State{
		Accounts: map[agency.AccountID]Account{}, Members: map[agency.ProfileKey]Member{}, Pairs: map[agency.PairKey]Pair{},
		People: map[agency.PersonID]Person{}, Calls: map[Call]Made{}, Requests: map[Day]int{}, Acts: map[Act]int{},
		Mails: map[MailCount]int{}, Boxes: map[agency.MailboxID]Box{},
	}}
}

// Clone returns a law that changes apart from this one.
func (l *Law) Clone() *Law {
	return &Law{l.Rules, State{
		Accounts: maps.Clone(l.Accounts), Members: maps.Clone(l.Members), Pairs: maps.Clone(l.Pairs), People: maps.Clone(l.People),
		Calls: maps.Clone(l.Calls), Requests: maps.Clone(l.Requests), Acts: maps.Clone(l.Acts), Mails: maps.Clone(l.Mails), Boxes: maps.Clone(l.Boxes),
	}}
}

// Equal reports whether two laws hold the same.
func (l *Law) Equal(other *Law) bool { return reflect.DeepEqual(l.State, other.State) }

// Key is a text that two laws share exactly if they are equal.
func (l *Law) Key() string { return fmt.Sprintf("%+v", l.State) }

// Do performs a command at a time and returns what the product must answer. A refused
// command changes nothing, except that a registered owner's first call binds their
// profile.
func (l *Law) Do(c Command, now time.Time) Outcome {
	t := &turn{Law: l.Clone(), before: l, now: now.UTC().Truncate(time.Millisecond), c: c}
	do, known := commands[c.Do]
	if !known {
		panic("law: there is no command " + string(c.Do))
	}
	out, err := do(t)
	if err == nil {
		err = t.limit()
	}
	if r, refused := err.(*refusal); refused { //nolint:errorlint // refusals are never wrapped
		out := Outcome{Code: r.code, State: r.state, Wait: r.wait, Limits: r.limits}
		if t.bound != nil {
			m := l.Members[*t.bound]
			m.Issuer, m.Subject = c.By.Issuer, c.By.Subject
			l.Members[*t.bound] = m
		}
		return out
	}
	t.finish()
	l.State = t.State
	out.Events = t.events
	return out
}

// turn is one command on a copy of the state.
type turn struct {
	*Law
	before *Law
	now    time.Time
	c      Command
	events []Event
	// bound is the profile of a registered caller that this call binds.
	bound *agency.ProfileKey
	// wrote is set by every change.
	wrote bool
	// byClock is set for the sweep, and byPlatform for the platform: no actor.
	byClock, byPlatform bool
	// limits are checked at the end, since limits are the last refusal.
	limits []func() *refusal
}

// limit checks the limits of a command that nothing else refuses.
func (t *turn) limit() error {
	var all *refusal
	for _, check := range t.limits {
		if r := check(); r != nil {
			if all == nil {
				all = &refusal{code: agency.RateLimited}
			}
			all.wait, all.limits = append(all.wait, r.wait...), append(all.limits, r.limits...)
		}
	}
	if all == nil {
		return nil
	}
	return all
}

// finish completes the events and notes what follows from every command.
func (t *turn) finish() {
	// Several events of a profile follow on each other.
	last := map[agency.ProfileKey]Reported{}
	for i := range t.events {
		e := &t.events[i]
		if e.Status != "" {
			key := agency.ProfileKey{Addressee: e.Addressee, Member: e.Member}
			was, told := last[key]
			if !told {
				was = reported(key, t.before.Members[key])
			}
			if e.Was.Status == "" {
				e.Was = was
			}
			last[key] = e.Reported
		}
		if e.Agency == "" {
			e.Agency = t.before.Accounts[e.Addressee.Account()].Owner
		}
		if !t.byClock && !t.byPlatform && !e.byClock {
			e.Actor, e.As = t.c.By.ID(), t.c.As
		}
		e.byClock = false
	}
	for key, m := range t.Members {
		was, closed := t.before.Members[key], !t.before.Accounts[key.Addressee.Account()].Closed.IsZero()
		if !isConnection(key) && m.Status != agency.Invited && !closed && rank(m) < rank(was) {
			m.CloseAt = t.now
			t.Members[key] = m
		}
	}
	if me := t.c.By.ID(); t.wrote && !t.byClock && !t.byPlatform {
		p := t.People[me]
		if p.FirstAt.IsZero() {
			p.FirstAt = t.now
			t.People[me] = p
		}
	}
}

// rank orders what a person may ask others to be: an owner more than an admin.
func rank(m Member) int {
	switch {
	case m.Status != agency.Active:
		return 0
	case m.Role == agency.Owner:
		return 2
	case m.Role == agency.Admin:
		return 1
	default:
		return 0
	}
}

// refusal is why a command is refused.
type refusal struct {
	code  agency.Code
	state agency.Status
	// wait are the times that Retry-After may say.
	wait []time.Duration
	// limits are those that are reached.
	limits []Limit
}

// reached is the refusal by a limit.
func reached(limit Limit, wait time.Duration) *refusal {
	return &refusal{wait: []time.Duration{wait}, limits: []Limit{limit}}
}

func (r *refusal) Error() string { return string(r.code) }

func refuse(code agency.Code) error { return &refusal{code: code} }

func refuseState(code agency.Code, state agency.Status) error {
	return &refusal{code: code, state: state}
}

// day is the UTC day of a time.
func day(t time.Time) time.Time { return t.UTC().Truncate(24 * time.Hour) }

// untilTomorrow is the time to 00:00 UTC.
func untilTomorrow(t time.Time) time.Duration { return day(t).Add(24 * time.Hour).Sub(t) }

// levels returns areas without those that are No access; nil for none.
func levels(a agency.Areas) agency.Areas {
	var out agency.Areas
	for area, level := range a {
		if level != agency.None && level != "" {
			if out == nil {
				out = agency.Areas{}
			}
			out[area] = level
		}
	}
	return out
}

// everything returns every area at Edit.
func (l *Law) everything() agency.Areas {
	out := agency.Areas{}
	for _, area := range l.Rules.Areas {
		out[area.ID] = agency.Edit
	}
	return out
}

func level(l agency.Level) int {
	return slices.Index([]agency.Level{agency.None, agency.View, agency.Edit}, l)
}

// within reports whether no level of a is above b's.
func within(a, b agency.Areas) bool {
	for area, l := range a {
		if level(l) > max(0, level(b[area])) {
			return false
		}
	}
	return true
}

func same(a, b agency.Areas) bool { return within(a, b) && within(b, a) }
