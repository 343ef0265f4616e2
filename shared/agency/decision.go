package agency

import (
	"errors"
	"time"
)

// decision is one attempt at a command: what was read at what time, and what
// shall be written.
type decision struct {
	read Snapshot
	Changes
	rules Rules
	now   time.Time
	// caller is who acts; nil for the clock.
	caller *Caller
	// limits are what counts must stand at for the changes to be made.
	limits []CountChange
}

// refusal turns a count that stands against a decision into what its caller is
// told.
func (d *decision) refusal(err error) error {
	switch {
	case errors.Is(err, ErrTooManyOpen):
		return &Error{Code: RateLimited, RetryAfter: time.Hour, Cause: err,
			Message: "Your agency has too many requests that wait for an answer. Withdraw some, or wait."}
	case errors.Is(err, ErrTooManyToday):
		return &Error{Code: RateLimited, RetryAfter: day(d.now).AddDate(0, 0, 1).Sub(d.now), Cause: err,
			Message: "Your agency has made as many new requests as it may in one day. Go on tomorrow."}
	case errors.Is(err, ErrHasClients):
		return &Error{Code: HasClients, Cause: err,
			Message: "The agency still has clients, or requests that wait for an answer. End these first."}
	default:
		return err
	}
}

// day is the UTC day of an instant.
func day(t time.Time) time.Time { return t.UTC().Truncate(24 * time.Hour) }

// apply takes a profile one step, and notes the change and its events.
func (d *decision) apply(p Profile, s Step) (Profile, error) {
	s.At = d.now
	next, events, err := Apply(p, s)
	if err != nil || len(events) == 0 {
		return next, err
	}
	next.RemindAt = d.reminder(p, next, s)
	d.put(next)
	d.Events = append(d.Events, events...)
	return d.profile(next.ProfileKey), nil
}

// reminder is when to remind of a profile that a step has just changed. A
// resend, or another end date, plans it anew.
func (d *decision) reminder(was, next Profile, s Step) time.Time {
	switch {
	case s.Do == Request || s.Do == Resend || next.Status == Active && !next.Until.Equal(was.Until):
		return d.rules.RemindAt(next, d.now, MinReminderLead)
	case s.Do == Remind || next.Status.Over():
		return time.Time{}
	case s.Do == Warn:
		return d.rules.RemindAt(next, d.now, 0)
	case was.Status != next.Status:
		return time.Time{}
	default:
		return was.RemindAt
	}
}

// profile is a profile as the decision has it so far.
func (d *decision) profile(key ProfileKey) Profile {
	for _, p := range d.Profiles {
		if p.ProfileKey == key {
			return p
		}
	}
	return d.read.Profile(key)
}

// put notes the new state of a profile. A profile is written once however often
// it changes in one decision.
func (d *decision) put(p Profile) {
	p.DueAt = d.rules.Due(p)
	for i := range d.Profiles {
		if d.Profiles[i].ProfileKey == p.ProfileKey {
			d.Profiles[i] = p
			return
		}
	}
	d.Profiles = append(d.Profiles, p)
}

// counts is how the changes move the counts of the agencies concerned.
func (d *decision) counts() []CountChange {
	var moves []CountChange
	of := func(agencyID AccountID) *CountChange {
		for i := range moves {
			if moves[i].Agency == agencyID {
				return &moves[i]
			}
		}
		moves = append(moves, CountChange{Agency: agencyID, Month: d.now, Happened: map[EventType]int{}})
		return &moves[len(moves)-1]
	}
	for _, p := range d.Profiles {
		if agencyID := p.Member.Account(); agencyID != "" {
			of(agencyID).count(d.read.Profile(p.ProfileKey), -1)
			of(agencyID).count(p, 1)
		}
	}
	for _, e := range d.Events {
		if e.Agency != "" {
			of(e.Agency).Happened[e.Type]++
		}
	}
	for _, l := range d.limits {
		c := of(l.Agency)
		c.PendingMost, c.NoClients = l.PendingMost, l.NoClients
		c.Day, c.Requests, c.DayBelow = l.Day, l.Requests, l.DayBelow
	}
	return moves
}

func (c *CountChange) count(p Profile, by int) {
	switch {
	case p.Status == Active && p.Ownership == AgencyOwned:
		c.Owned += by
	case p.Status == Active:
		c.Connected += by
	case p.Status == Pending:
		c.Pending += by
	}
}

// begun is an agency's profile as a request finds it: one that was collected
// counts on from where it had come.
func (d *decision) begun(key ProfileKey) Profile {
	p := d.profile(key)
	if p.Version == 0 {
		pair := d.pair(Between(key.Addressee, key.Member.Account()))
		p.Request, p.Version = pair.Requests, pair.Versions
	}
	return p
}

// remember notes in the pair how far a profile that is being collected has come.
func (d *decision) remember(p Profile) {
	pair := d.pair(Between(p.Addressee, p.Member.Account()))
	pair.Requests, pair.Versions = p.Request, p.Version
	d.putPair(pair)
}

// pair is a pair as the decision has it so far.
func (d *decision) pair(key PairKey) Pair {
	for _, p := range d.Pairs {
		if p.PairKey == key {
			return p
		}
	}
	return d.read.Pair(key)
}

func (d *decision) putPair(p Pair) {
	p.Version = d.read.Pair(p.PairKey).Version + 1
	for i := range d.Pairs {
		if d.Pairs[i].PairKey == p.PairKey {
			d.Pairs[i] = p
			return
		}
	}
	d.Pairs = append(d.Pairs, p)
}

// pairEvent tells of a pair. It names the agency as the member alone, so it
// stands in no list of the agency's.
func (d *decision) pairEvent(as EventType, key PairKey) {
	d.Events = append(d.Events, Event{
		Type: as, At: d.now, Addressee: key.Addressee, Member: Party(key.Agency), Ownership: ClientOwned,
		Version: d.pair(key).Version,
	})
}

// countMail counts one request email of the pair. Errors: RateLimited.
func (d *decision) countMail(key PairKey) error {
	p := d.pair(key)
	var recent []time.Time
	for _, at := range p.Mailed {
		if d.now.Sub(at) < d.rules.PairWindow {
			recent = append(recent, at)
		}
	}
	if len(recent) >= d.rules.PairMails {
		return &Error{
			Code: RateLimited, RetryAfter: recent[len(recent)-d.rules.PairMails].Add(d.rules.PairWindow).Sub(d.now),
			Message: "Your agency has written to them often enough for now.",
		}
	}
	p.Mailed = append(recent, d.now)
	d.putPair(p)
	return nil
}

// putAccount notes the new state of an account, with its next version. An
// account is written once however often it changes in one decision.
func (d *decision) putAccount(a *Account) {
	a.Version++
	for i := range d.Accounts {
		if d.Accounts[i].ID == a.ID {
			d.Accounts[i] = *a
			return
		}
	}
	d.Accounts = append(d.Accounts, *a)
}

// accountEvent tells of a change to the account itself.
func (d *decision) accountEvent(as EventType, a Account, was, now State) {
	d.Events = append(d.Events, Event{
		Type: as, At: d.now, Addressee: Party(a.ID), Agency: a.Owner, Ownership: a.Ownership, Version: a.Version, Was: was, Now: now,
	})
}

// join notes in which client-owned accounts the person of a profile is active.
func (d *decision) join(p Profile) {
	was := d.read.Person(p.Member.Person())
	now := was
	now.Email = p.Email
	if p.Ownership == ClientOwned {
		if p.Status == Active {
			now = now.WithTeam(p.Account())
		} else {
			now = now.WithoutTeam(p.Account())
		}
	}
	now.Version++
	d.People = append(d.People, now)
}

// countOwners keeps the count of an open account's owners, and keeps the last one.
func (d *decision) countOwners(account Account, was, now Profile) error {
	count := func(p Profile) int {
		if p.Status == Active && p.Role == Owner {
			return 1
		}
		return 0
	}
	change := count(now) - count(was)
	if change == 0 || account.Ownership == AgencyOwned || !account.Open() {
		return nil
	}
	account.Owners += change
	if account.Owners < 1 {
		return &Error{Code: LastOwner, State: was.Status, Message: "This is the account's last owner. Make somebody else an owner first."}
	}
	d.putAccount(&account)
	return nil
}

// account is an account as the decision has it so far.
func (d *decision) account(a Account) Account {
	for _, written := range d.Accounts {
		if written.ID == a.ID {
			return written
		}
	}
	return a
}

// path is the way through an agency, as far as it was read.
func (d *decision) path(account, agencyID AccountID) Path {
	return Path{
		Agency:     d.read.Account(agencyID),
		Connection: d.profile(At(account, agencyID)),
		Staff:      d.profile(At(agencyID, d.caller.ID())),
	}
}
