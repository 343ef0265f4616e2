package service

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"agencyhub/shared/agency"
)

// Store keeps what the use cases read and write. Its errors are ErrConflict,
// ErrContended, ErrBusy, the limits below, refusals (Invalid for a cursor,
// Unavailable for an unknown outcome or what a newer version has written), or
// failures of the store, which are never mistaken for an absence.
type Store interface {
	// Load reads everything wanted in one strongly consistent batch. What does
	// not exist is in the Snapshot with Version 0.
	Load(context.Context, Want) (Snapshot, error)
	// Save writes the changes in one transaction, if everything in the snapshot
	// is still as it was read, written or not. Otherwise it returns ErrConflict
	// and writes nothing. What is written must have been read, except events. If
	// changes without events may have been made or not it returns ErrConflict too.
	Save(context.Context, Snapshot, Changes) error

	// Team lists the profiles at an addressee, agencies first, strongly
	// consistent.
	Team(context.Context, agency.Party, Page) (List[agency.Profile], error)
	// Pairs lists an addressee's pairs, strongly consistent.
	Pairs(context.Context, agency.Party, Page) (List[agency.Pair], error)
	// Clients lists an agency's profiles, ordered by status, then name.
	Clients(context.Context, agency.AccountID, ClientFilter, Page) (List[agency.Profile], error)
	// Memberships lists a person's active profiles, ordered by account name.
	Memberships(context.Context, agency.PersonID, Page) (List[agency.Profile], error)
	// Invitations lists a person's open invitations that are not muted, oldest first.
	Invitations(context.Context, agency.PersonID, Page) (List[agency.Profile], error)
	// FormerMemberships lists a person's ended profiles that still hold their
	// address.
	FormerMemberships(context.Context, agency.PersonID, Page) (List[agency.Profile], error)
	// Activity lists events, newest first: an account's that concern one agency
	// or, for "", all that are not muted. Without an account it lists an agency's
	// over all its clients.
	Activity(ctx context.Context, at agency.Party, agencyID agency.AccountID, page Page) (List[agency.Event], error)
	// Counts reads an agency's present counts.
	Counts(context.Context, agency.AccountID) (Counts, error)
	// Months reads an agency's present counts and, oldest first, those of its
	// months since an instant in which anything happened, by one strongly
	// consistent query.
	Months(ctx context.Context, id agency.AccountID, since time.Time) (Counts, []Month, error)

	// StopMail stops unsolicited mail to a mailbox. It returns false for a value that
	// is not the mailbox's. StopOwnMail needs none.
	StopMail(ctx context.Context, box agency.MailboxID, value string, now time.Time) (bool, error)
	StopOwnMail(ctx context.Context, box agency.MailboxID, now time.Time) error
	// AllowMail allows it again.
	AllowMail(context.Context, agency.MailboxID) error
	// MailStopped reports whether it is stopped, strongly consistent.
	MailStopped(context.Context, agency.MailboxID) (bool, error)
	// LastSweep reads what the newest run of cleanup has reported, strongly consistent;
	// the zero Sweep if there was none.
	LastSweep(context.Context) (Sweep, error)

	// OpenDigest writes the event of a mailbox's digest and removes its due mark, in
	// one transaction. It returns false if none is due by the event's time.
	OpenDigest(context.Context, agency.Event) (bool, error)
}

// Want names what a decision needs.
type Want struct {
	Accounts []agency.AccountID
	Profiles []agency.ProfileKey
	People   []agency.PersonID
	Pairs    []agency.PairKey
	Calls    []CallKey
}

// Snapshot is what Load read.
type Snapshot struct {
	Accounts map[agency.AccountID]agency.Account
	Profiles map[agency.ProfileKey]agency.Profile
	People   map[agency.PersonID]agency.Person
	Pairs    map[agency.PairKey]agency.Pair
	Calls    map[CallKey]Call
}

// Account returns what was read of an account; Version 0 if there is none.
func (s Snapshot) Account(id agency.AccountID) agency.Account { return s.Accounts[id] }

// Profile returns what was read of a profile; Version 0 if there is none.
func (s Snapshot) Profile(key agency.ProfileKey) agency.Profile {
	p := s.Profiles[key]
	p.ProfileKey = key
	return p
}

// Person returns what was read of a person; Version 0 if there is none.
func (s Snapshot) Person(id agency.PersonID) agency.Person {
	p := s.People[id]
	p.ID = id
	return p
}

// Pair returns what was read of a pair; Version 0 if there is none.
func (s Snapshot) Pair(key agency.PairKey) agency.Pair {
	p := s.Pairs[key]
	p.PairKey = key
	return p
}

// Call returns what was read of a call; Version 0 if there is none.
func (s Snapshot) Call(key CallKey) Call {
	c := s.Calls[key]
	c.CallKey = key
	return c
}

// maxSkew bounds how far the clocks of two functions may differ for a decision to
// follow the one that is ahead.
const maxSkew = time.Minute

// notBefore returns the time of a decision. It is after the last events of what was
// read, so that events of one profile or account sort as they happened even if they
// were written by functions whose clocks differ. In the millisecond of the last one
// their ids see to it: see lastEvent.
func (s Snapshot) notBefore(now time.Time) time.Time {
	earliest := now
	for last := range s.lastEvents() {
		if at := last.At(); at.After(earliest) && at.Sub(now) <= maxSkew {
			earliest = at.Add(time.Millisecond)
		}
	}
	return earliest
}

// lastEvent returns the last event of what was read in the millisecond of a decision, ""
// if there is none. The decision's events follow it.
func (s Snapshot) lastEvent(now time.Time) agency.EventID {
	latest := agency.EventID("")
	for last := range s.lastEvents() {
		if last.At().Equal(now) {
			latest = max(latest, last)
		}
	}
	return latest
}

// lastEvents goes through the last events of the profiles and accounts that were read.
func (s Snapshot) lastEvents() iter.Seq[agency.EventID] {
	return func(yield func(agency.EventID) bool) {
		for _, p := range s.Profiles {
			if !yield(p.LastEvent) {
				return
			}
		}
		for _, a := range s.Accounts {
			if !yield(a.LastEvent) {
				return
			}
		}
	}
}

// Changes are what a decision writes. Each item has its new version.
type Changes struct {
	Accounts []agency.Account
	Profiles []agency.Profile
	People   []agency.Person
	Events   []agency.Event
	Pairs    []agency.Pair
	Calls    []Call
	Counts   []CountChange
	// PersonCounts has one entry for a person at most.
	PersonCounts []PersonCount
	// Gone is deleted; it must have been read.
	GoneProfiles []agency.ProfileKey
	GoneAccounts []agency.AccountID
	GonePeople   []agency.PersonID
	GonePairs    []agency.PairKey
	// GiveUpAt is when the command's time is over, by the machine's clock. Until then the
	// transaction is sent again while it meets others after an attempt without an answer.
	GiveUpAt time.Time
}

// IsEmpty reports whether there is nothing to write.
func (c Changes) IsEmpty() bool {
	return len(c.Accounts)+len(c.Profiles)+len(c.People)+len(c.Events)+len(c.Pairs)+len(c.Calls)+len(c.Counts)+len(c.PersonCounts)+
		len(c.GoneProfiles)+len(c.GoneAccounts)+len(c.GonePeople)+len(c.GonePairs) == 0
}

// Counts are an agency's present clients by what they are.
type Counts struct {
	Owned, Connected, Pending int
}

// Month counts what happened to an agency's clients in one UTC month.
type Month struct {
	// Begin is its first instant.
	Begin time.Time
	// Happened counts its events by type.
	Happened map[agency.EventType]int
}

// CountChange moves an agency's present counts, and its month's counts.
type CountChange struct {
	Agency                    agency.AccountID
	Owned, Connected, Pending int
	// Month is the UTC month of the events.
	Month time.Time
	// Happened counts the events of the month by type.
	Happened map[agency.EventType]int
	// Invited moves the agency's or account's open invitations and offers. MaxInvited,
	// if not 0, bounds them after this change; beyond it Save returns
	// ErrTooManyInvited.
	Invited, MaxInvited int
	// MaxPending, if not 0, bounds the agency's pending requests after this
	// change; beyond it Save returns ErrTooManyOpen.
	MaxPending int
	// Day is the UTC day whose count of new requests moves by Requests. If
	// DayBelow is not 0 the count must be below it before; otherwise Save returns
	// ErrTooManyToday.
	Day      time.Time
	Requests int
	DayBelow int
	// NoClients requires that the agency has no client and no open request;
	// otherwise Save returns ErrHasClients.
	NoClients bool
}

// PersonCount adds one to a person's counts of a UTC day. If Max is not 0 a count
// must be below it before; otherwise Save returns a PersonLimitError.
type PersonCount struct {
	Person agency.PersonID
	Day    time.Time
	Max    map[agency.Counted]int
}

// PersonLimitError is the error of Save, which has written nothing, for a person who
// has reached a limit of the day. It lists what the transaction counted.
type PersonLimitError struct{ Counted []agency.Counted }

func (e *PersonLimitError) Error() string {
	return fmt.Sprintf("service: a person has reached a limit of the day: %q", e.Counted)
}

// The errors of Save, which has written nothing, for a condition on a count.
var (
	ErrTooManyOpen    = errors.New("service: too many requests are open")
	ErrTooManyToday   = errors.New("service: too many requests were made today")
	ErrTooManyInvited = errors.New("service: too many invitations are open")
	ErrHasClients     = errors.New("service: the agency has clients")
)

// ClientFilter narrows a list of clients. Prefix is of the account's name and
// needs a Status.
type ClientFilter struct {
	Status agency.Status
	Prefix string
	// Ownership, if not "", leaves out the accounts of the other kind. A page may
	// then be short.
	Ownership agency.Ownership
	// Ended leaves out active and pending clients; it goes without a Status.
	Ended bool
}

// matches reports whether a client belongs in the list, by the clock.
func (f ClientFilter) matches(p agency.Profile, now time.Time) bool {
	status := p.StatusAt(now)
	return (f.Status == "" || status == f.Status) && (!f.Ended || status.IsEnded()) && (f.Ownership == "" || p.Ownership == f.Ownership)
}

// Page asks for part of a list: at most Limit items, from where Cursor says.
type Page struct {
	Limit  int
	Cursor string
}

// List is a page of a list. Next is the cursor of the next page; "" at the end. A
// page may be short of its limit, or empty, and still have a Next.
type List[T any] struct {
	Items []T
	Next  string
}

// plus returns what two parts of a decision need, each thing once.
func (w Want) plus(other Want) Want {
	return Want{
		Accounts: union(w.Accounts, other.Accounts),
		Profiles: union(w.Profiles, other.Profiles),
		People:   union(w.People, other.People),
		Pairs:    union(w.Pairs, other.Pairs),
		Calls:    union(w.Calls, other.Calls),
	}
}

// isWellFormed reports whether every id has its form. A malformed id names
// nothing and must not reach the store's keys.
func (w Want) isWellFormed() bool {
	for _, a := range w.Accounts {
		if !a.IsValid() {
			return false
		}
	}
	for _, p := range w.Profiles {
		if !p.Addressee.IsValid() || !p.Member.IsValid() {
			return false
		}
	}
	for _, p := range w.People {
		if !p.IsValid() {
			return false
		}
	}
	for _, p := range w.Pairs {
		if !p.Addressee.IsValid() || !p.Asker.IsValid() {
			return false
		}
	}
	for _, c := range w.Calls {
		if !c.IsValid() {
			return false
		}
	}
	return true
}

func union[K comparable](a, b []K) []K {
	var out []K
	seen := map[K]bool{}
	for _, k := range append(append([]K{}, a...), b...) {
		if !seen[k] {
			seen[k] = true
			out = append(out, k)
		}
	}
	return out
}

// pageSize is how many rows one step of a long operation takes.
const pageSize = 25

// eachPage goes through a list page by page.
func eachPage(step func(Page) (next string, err error)) error {
	for cursor := ""; ; {
		next, err := step(Page{Limit: pageSize, Cursor: cursor})
		if err != nil || next == "" {
			return err
		}
		cursor = next
	}
}

// ErrBusy is returned by a Store without capacity at the moment. Nothing was
// written. A Store returns it by Busy.
var ErrBusy = errors.New("service: the store is busy")

const busyMessage = "We can't keep up right now. Nothing was changed; try again in a moment."

// Busy returns ErrBusy with its cause. It is the refusal Unavailable.
func Busy(cause error) error {
	return &agency.Error{
		Code: agency.Unavailable, RetryAfter: retryAfter(), Message: busyMessage, Cause: fmt.Errorf("%w: %w", ErrBusy, cause),
	}
}

// errOutcomeUnknown is what OutcomeUnknown returns. The command must not decide again,
// whatever the cause: it would meet its own changes.
var errOutcomeUnknown = errors.New("service: the outcome of a transaction is unknown")

// OutcomeUnknown returns the refusal Unavailable for a transaction that may have
// been made or not.
func OutcomeUnknown(cause error) error {
	return &agency.Error{
		Code: agency.Unavailable, RetryAfter: retryAfter(), Cause: fmt.Errorf("%w: %w", errOutcomeUnknown, cause),
		Message: "We can't say whether your change was made. Look before you try again.",
	}
}

// ErrConflict is returned by a Store if something that a decision rested on has
// changed since it was read. Nothing was written: the use case reads and decides
// again.
var ErrConflict = errors.New("service: what the decision rested on has changed")

// ErrContended is the ErrConflict of a transaction that only met others on the same
// items: nothing that it rested on is known to have changed. The use case decides
// again on what it has read, and the next transaction validates that.
var ErrContended = fmt.Errorf("%w, or may be changing", ErrConflict)
