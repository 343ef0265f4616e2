package service

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"agencyhub/shared/agency"
)

// decision is one attempt at a command: what was read, when, and what is to be
// written.
type decision struct {
	read Snapshot
	Changes
	rules agency.Rules
	now   time.Time
	// caller acts; nil for the clock.
	caller *agency.Caller
	// limits are conditions on counts, on which the changes depend.
	limits []CountChange
	// bound is the caller's profile that the decision binds to their identity.
	bound agency.ProfileKey
}

// refusal turns a failed condition on a count into the refusal of the command.
func (d *decision) refusal(err error) error {
	switch {
	case errors.Is(err, ErrTooManyOpen):
		return &agency.Error{Code: agency.RateLimited, RetryAfter: time.Hour, Cause: err,
			Message: "Your agency has too many requests that wait for an answer. Withdraw some, or wait."}
	case errors.Is(err, ErrTooManyInvited):
		return &agency.Error{Code: agency.RateLimited, RetryAfter: time.Hour, Cause: err,
			Message: "Too many invitations of this account wait for an answer. Withdraw some, or wait."}
	case errors.Is(err, ErrTooManyToday):
		return &agency.Error{Code: agency.RateLimited, RetryAfter: day(d.now).AddDate(0, 0, 1).Sub(d.now), Cause: err,
			Message: "Your agency has made as many new requests as it may in one day. Go on tomorrow."}
	case errors.Is(err, ErrHasClients):
		return &agency.Error{Code: agency.HasClients, Cause: err,
			Message: "The agency still has clients, or requests that wait for an answer. End these first."}
	}
	if limit, ok := errors.AsType[*PersonLimitError](err); ok {
		return &agency.Error{
			Code: agency.RateLimited, RetryAfter: day(d.now).AddDate(0, 0, 1).Sub(d.now), Cause: err, Message: personLimitMessage(limit.Counted),
		}
	}
	return err
}

// day is the UTC day of an instant.
func day(t time.Time) time.Time { return t.UTC().Truncate(24 * time.Hour) }

// chain puts an event behind the last one of its profile or, without a member,
// of its account.
func (d *decision) chain(e *agency.Event) {
	if e.Member != "" {
		key := agency.ProfileKey{Addressee: e.Addressee, Member: e.Member}
		e.After = d.profile(key).LastEvent
		for i := range d.Profiles {
			if d.Profiles[i].ProfileKey == key {
				d.Profiles[i].LastEvent = e.ID
			}
		}
		// The event of a new account is its client's too.
		if invited := e.RequestKey(); e.MailsRequest() && invited != key {
			for i := range d.Profiles {
				if d.Profiles[i].ProfileKey == invited {
					d.Profiles[i].LastEvent = e.ID
				}
			}
		}
		return
	}
	e.After = d.account(d.read.Account(e.AccountID())).LastEvent
	for i := range d.Accounts {
		if d.Accounts[i].ID == e.AccountID() {
			d.Accounts[i].LastEvent = e.ID
		}
	}
}

// apply takes a profile one step, and adds the change and its events to what is
// written. It returns the profile as it is written. Errors are agency.Apply's.
func (d *decision) apply(p agency.Profile, step agency.Step) (agency.Profile, error) {
	p, events, err := d.change(p, step)
	d.Events = append(d.Events, events...)
	return p, err
}

// change is apply that leaves the events to its caller.
func (d *decision) change(p agency.Profile, step agency.Step) (agency.Profile, []agency.Event, error) {
	step.At = d.now
	next, events, err := agency.Apply(p, step)
	if err != nil || len(events) == 0 {
		return next, nil, err
	}
	next.RemindAt = d.rules.NextReminder(p, next, step)
	d.put(next)
	return d.profile(next.ProfileKey), events, nil
}

// profile is a profile as the decision leaves it so far.
func (d *decision) profile(key agency.ProfileKey) agency.Profile {
	for _, p := range d.Profiles {
		if p.ProfileKey == key {
			return p
		}
	}
	return d.read.Profile(key)
}

// put adds a profile to what is written. However often it changes in a decision,
// it is written once.
func (d *decision) put(p agency.Profile) {
	p.DueAt = d.rules.Due(p)
	for i := range d.Profiles {
		if d.Profiles[i].ProfileKey == p.ProfileKey {
			d.Profiles[i] = p
			return
		}
	}
	d.Profiles = append(d.Profiles, p)
}

// counts returns how the changes move the counts of the agencies concerned.
func (d *decision) counts() []CountChange {
	var moves []CountChange
	of := func(agencyID agency.AccountID) *CountChange {
		for i := range moves {
			if moves[i].Agency == agencyID {
				return &moves[i]
			}
		}
		moves = append(moves, CountChange{Agency: agencyID, Month: d.now, Happened: map[agency.EventType]int{}})
		return &moves[len(moves)-1]
	}
	for _, p := range d.Profiles {
		was := d.read.Profile(p.ProfileKey)
		if agencyID := p.Member.Account(); agencyID != "" {
			of(agencyID).count(was, -1)
			of(agencyID).count(p, 1)
			continue
		}
		if was.HasOpenRequest() {
			of(was.Request.From).Invited--
		}
		if p.HasOpenRequest() {
			of(p.Request.From).Invited++
		}
	}
	for _, e := range d.Events {
		if e.Agency != "" {
			of(e.Agency).Happened[e.Type]++
		}
	}
	for _, l := range d.limits {
		c := of(l.Agency)
		c.MaxPending, c.MaxInvited = cmp.Or(c.MaxPending, l.MaxPending), cmp.Or(c.MaxInvited, l.MaxInvited)
		c.NoClients = c.NoClients || l.NoClients
		if l.Requests != 0 {
			c.Day, c.Requests, c.DayBelow = l.Day, l.Requests, l.DayBelow
		}
	}
	return moves
}

func (c *CountChange) count(p agency.Profile, by int) {
	switch {
	case p.Status == agency.Active && p.Ownership == agency.AgencyOwned:
		c.Owned += by
	case p.Status == agency.Active:
		c.Connected += by
	case p.Status == agency.Pending:
		c.Pending += by
	}
}

// resumeCounters is a profile before a request of the asker. One that was deleted
// continues its counters.
func (d *decision) resumeCounters(key agency.ProfileKey, asker agency.AccountID) agency.Profile {
	p := d.profile(key)
	if p.Version == 0 {
		addressee := key.Addressee
		if key.Member.Person() != "" {
			addressee = key.Member
		}
		pair := d.pair(agency.PairKey{Addressee: addressee, Asker: asker})
		p.Request.Number, p.Version = pair.Requests, pair.Versions
	}
	return p
}

// saveCounters keeps the counters of a profile that is being deleted in the pair of
// who was asked and who asked. Several profiles can share it: it keeps the highest.
func (d *decision) saveCounters(p agency.Profile, key agency.PairKey) {
	pair := d.pair(key)
	pair.Requests, pair.Versions = max(pair.Requests, p.Request.Number), max(pair.Versions, p.Version)
	d.putPair(pair)
}

// pair is a pair as the decision leaves it so far.
func (d *decision) pair(key agency.PairKey) agency.Pair {
	for _, p := range d.Pairs {
		if p.PairKey == key {
			return p
		}
	}
	return d.read.Pair(key)
}

func (d *decision) putPair(p agency.Pair) {
	p.Version = d.read.Pair(p.PairKey).Version + 1
	for i := range d.Pairs {
		if d.Pairs[i].PairKey == p.PairKey {
			d.Pairs[i] = p
			return
		}
	}
	d.Pairs = append(d.Pairs, p)
}

// pairEvent adds the event of a pair. It names the agency as the member alone, so
// it is in no list of the agency's.
func (d *decision) pairEvent(as agency.EventType, key agency.PairKey) {
	d.Events = append(d.Events, agency.Event{
		Type: as, At: d.now, Addressee: key.Addressee, Member: agency.Party(key.Asker), Ownership: agency.ClientOwned,
		Version: d.pair(key).Version,
	})
}

// countMail counts one request email of the pair. Errors: RateLimited.
func (d *decision) countMail(key agency.PairKey) error {
	p := d.pair(key)
	var recent []time.Time
	for _, at := range p.Mailed {
		if d.now.Sub(at) < d.rules.PairWindow {
			recent = append(recent, at)
		}
	}
	if len(recent) >= d.rules.PairMails {
		return &agency.Error{
			Code: agency.RateLimited, RetryAfter: recent[len(recent)-d.rules.PairMails].Add(d.rules.PairWindow).Sub(d.now),
			Message: "You have emailed them as often as you can for now. Try again later.",
		}
	}
	p.Mailed = append(recent, d.now)
	d.putPair(p)
	return nil
}

// putAccount adds an account to what is written, with its next version. However
// often it changes in a decision, it is written once.
func (d *decision) putAccount(a *agency.Account) {
	a.Version++
	d.setAccount(*a)
}

// setAccount is putAccount for an account that has its next version.
func (d *decision) setAccount(a agency.Account) {
	for i := range d.Accounts {
		if d.Accounts[i].ID == a.ID {
			d.Accounts[i] = a
			return
		}
	}
	d.Accounts = append(d.Accounts, a)
}

// accountEvent adds the event of a change to the account itself.
func (d *decision) accountEvent(as agency.EventType, a agency.Account, was, now agency.State) {
	d.Events = append(d.Events, agency.Event{
		Type: as, At: d.now, Addressee: agency.Party(a.ID), Agency: a.Owner, Ownership: a.Ownership, Version: a.Version, Was: was, Now: now,
	})
}

// listAgencies keeps each account's list of the agencies with an active profile in
// it. Errors: TooMany; and one for an account that was not read.
func (d *decision) listAgencies() error {
	for _, p := range d.Profiles {
		agencyID, id := p.Member.Account(), p.Addressee.Account()
		active := p.Status == agency.Active
		if agencyID == "" || id == "" || active == (d.read.Profile(p.ProfileKey).Status == agency.Active) {
			continue
		}
		read, ok := d.read.Accounts[id]
		if !ok {
			return fmt.Errorf("service: a profile of %s changes in %s, which was not read", agencyID, id)
		}
		account := d.account(read)
		if !active {
			account = account.WithoutAgency(agencyID)
		} else if with, err := account.WithAgency(agencyID); err != nil {
			return err
		} else {
			account = with
		}
		if account.Version == read.Version {
			account.Version++
		}
		d.setAccount(account)
	}
	return nil
}

// countOwners keeps the count of an open account's owners, and refuses to lose
// the last one.
func (d *decision) countOwners(account agency.Account, was, now agency.Profile) error {
	count := func(p agency.Profile) int {
		if p.Status == agency.Active && p.Role == agency.Owner {
			return 1
		}
		return 0
	}
	change := count(now) - count(was)
	if change == 0 || account.Ownership == agency.AgencyOwned || !account.IsOpen() {
		return nil
	}
	account.Owners += change
	if account.Owners < 1 {
		return &agency.Error{Code: agency.LastOwner, State: was.Status, Message: "This is the account's last owner. Make somebody else an owner first."}
	}
	d.putAccount(&account)
	return nil
}

// account is an account as the decision leaves it so far.
func (d *decision) account(a agency.Account) agency.Account {
	for _, written := range d.Accounts {
		if written.ID == a.ID {
			return written
		}
	}
	return a
}

// accessPath is the path through an agency, as far as it was read.
func (d *decision) accessPath(account, agencyID agency.AccountID) agency.Path {
	return agency.Path{
		Agency:     d.read.Account(agencyID),
		Connection: d.profile(agency.AgencyAt(account, agencyID)),
		Staff:      d.profile(agency.PersonAt(agencyID, d.caller.ID())),
	}
}
