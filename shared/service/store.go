package service

import (
	"context"
	"errors"
	"time"

	"agencyhub/shared/agency"
)

// Store keeps what the use cases decide on and what they decide. Its errors are
// ErrConflict, refusals of ours (Invalid for a cursor), or failures of the
// store itself, which are never taken for an absence.
type Store interface {
	// Load reads everything wanted in one strongly consistent batch. What does
	// not exist is in the Snapshot with Version 0.
	Load(context.Context, Want) (Snapshot, error)
	// Save writes the changes in one transaction, under the condition that
	// everything in the snapshot is still as it was read: what is written and
	// what was merely read alike. Otherwise it answers ErrConflict and nothing
	// is written. Whatever is written must have been read, but for events.
	Save(context.Context, Snapshot, Changes) error

	// Team lists the profiles at an addressee, agencies first, strongly
	// consistent.
	Team(context.Context, agency.Party, Page) (List[agency.Profile], error)
	// Pairs lists what an addressee holds of agencies, strongly consistent.
	Pairs(context.Context, agency.Party, Page) (List[agency.Pair], error)
	// Clients lists an agency's profiles, ordered by status, then name.
	Clients(context.Context, agency.AccountID, ClientFilter, Page) (List[agency.Profile], error)
	// Memberships lists a person's active profiles, ordered by account name.
	Memberships(context.Context, agency.PersonID, Page) (List[agency.Profile], error)
	// FormerMemberships lists a person's ended profiles that still hold their
	// address.
	FormerMemberships(context.Context, agency.PersonID, Page) (List[agency.Profile], error)
	// Activity lists events, newest first: an account's, those that concern one
	// agency or, when that is "", all that are not muted; or, when the account is
	// "", an agency's over all whom it deals with.
	Activity(ctx context.Context, account, agencyID agency.AccountID, page Page) (List[agency.Event], error)
	// Counts reads an agency's counts of now.
	Counts(context.Context, agency.AccountID) (Counts, error)
	// Months reads an agency's counts of now and, the oldest first, those of its
	// months since an instant in which anything happened, all by one strongly
	// consistent query.
	Months(ctx context.Context, id agency.AccountID, since time.Time) (Counts, []Month, error)
}

// Want names what a decision needs.
type Want struct {
	Accounts []agency.AccountID
	Profiles []agency.ProfileKey
	People   []agency.PersonID
	Pairs    []agency.PairKey
}

// Snapshot is what Load read.
type Snapshot struct {
	Accounts map[agency.AccountID]agency.Account
	Profiles map[agency.ProfileKey]agency.Profile
	People   map[agency.PersonID]agency.Person
	Pairs    map[agency.PairKey]agency.Pair
}

// Account answers what was read of an account; Version 0 when there is none.
func (s Snapshot) Account(id agency.AccountID) agency.Account { return s.Accounts[id] }

// Profile answers what was read of a profile; Version 0 when there is none.
func (s Snapshot) Profile(key agency.ProfileKey) agency.Profile {
	p := s.Profiles[key]
	p.ProfileKey = key
	return p
}

// Person answers what was read of a person; Version 0 when there is none.
func (s Snapshot) Person(id agency.PersonID) agency.Person {
	p := s.People[id]
	p.ID = id
	return p
}

// Pair answers what was read of a pair; Version 0 when there is none.
func (s Snapshot) Pair(key agency.PairKey) agency.Pair {
	p := s.Pairs[key]
	p.PairKey = key
	return p
}

// Changes is what a decision writes. Each item carries its new version.
type Changes struct {
	Accounts []agency.Account
	Profiles []agency.Profile
	People   []agency.Person
	Events   []agency.Event
	Pairs    []agency.Pair
	Counts   []CountChange
	// Gone is what is deleted, which was read.
	GoneProfiles []agency.ProfileKey
	GoneAccounts []agency.AccountID
	GonePeople   []agency.PersonID
	GonePairs    []agency.PairKey
}

// Empty tells whether there is nothing to write.
func (c Changes) IsEmpty() bool {
	return len(c.Accounts)+len(c.Profiles)+len(c.People)+len(c.Events)+len(c.Pairs)+len(c.Counts)+
		len(c.GoneProfiles)+len(c.GoneAccounts)+len(c.GonePeople)+len(c.GonePairs) == 0
}

// Counts are an agency's clients by what they are now.
type Counts struct {
	Owned, Connected, Pending int
}

// Month is what happened to an agency's clients in one UTC month.
type Month struct {
	// Begin is its first instant.
	Begin time.Time
	// Happened counts its events by type.
	Happened map[agency.EventType]int
}

// CountChange moves an agency's counts of now, and its month's count of what
// happened.
type CountChange struct {
	Agency                    agency.AccountID
	Owned, Connected, Pending int
	// Month is the UTC month of the events.
	Month time.Time
	// Happened counts the events of the month by type.
	Happened map[agency.EventType]int
	// MaxPending, when not 0, is what the agency's pending requests must not
	// exceed after this change; otherwise Save answers ErrTooManyOpen.
	MaxPending int
	// Day is the UTC day whose count of new requests moves by Requests; it must
	// be below DayBelow before, when that is not 0, else ErrTooManyToday.
	Day      time.Time
	Requests int
	DayBelow int
	// NoClients demands that the agency has no client and no open request, else
	// Save answers ErrHasClients.
	NoClients bool
}

// What Save answers, having written nothing, when a count stands against the
// changes.
var (
	ErrTooManyOpen  = errors.New("agency: too many requests are open")
	ErrTooManyToday = errors.New("agency: too many requests were made today")
	ErrHasClients   = errors.New("agency: the agency has clients")
)

// ClientFilter narrows a list of clients. Prefix is of the account's name and
// needs a Status.
type ClientFilter struct {
	Status agency.Status
	Prefix string
	// Ownership, when not "", leaves the accounts of the other one out. A page
	// may then be shorter than asked for.
	Ownership agency.Ownership
	// Ended leaves out what is active or waits for an answer; it goes without a
	// Status.
	Ended bool
}

// holds tells whether a client belongs in the list, by the clock.
func (f ClientFilter) matches(p agency.Profile, now time.Time) bool {
	status := p.StatusAt(now)
	return (f.Status == "" || status == f.Status) && (!f.Ended || status.IsEnded()) && (f.Ownership == "" || p.Ownership == f.Ownership)
}

// Page asks for part of a list: at most Limit items, from where Cursor says.
type Page struct {
	Limit  int
	Cursor string
}

// List is part of a list. Next is the cursor of what follows; "" at the end. A
// page may be short of its limit, even empty, and have a Next all the same.
type List[T any] struct {
	Items []T
	Next  string
}

// and joins what two parts of a decision need; nothing is wanted twice.
func (w Want) plus(other Want) Want {
	return Want{
		Accounts: union(w.Accounts, other.Accounts),
		Profiles: union(w.Profiles, other.Profiles),
		People:   union(w.People, other.People),
		Pairs:    union(w.Pairs, other.Pairs),
	}
}

// isWellFormed tells whether every id is of its form. One that is not names
// nothing, and must not reach the store's keys.
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
		if !p.Addressee.IsValid() || !p.Agency.IsValid() {
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

// pageSize is how many rows one step of something long takes.
const pageSize = 25

// eachPage goes through a list, whose pages are read by step.
func eachPage(step func(Page) (next string, err error)) error {
	for cursor := ""; ; {
		next, err := step(Page{Limit: pageSize, Cursor: cursor})
		if err != nil || next == "" {
			return err
		}
		cursor = next
	}
}

// ErrBusy is what a Store answers when it has no capacity for a transaction at
// this moment. Nothing was written.
var ErrBusy = errors.New("agency: the store is busy")

// ErrConflict is what a Store answers when something that a decision rested on
// has changed since it was read. Nothing was written; the use case loads again
// and decides again.
var ErrConflict = errors.New("agency: what the decision rested on has changed")
