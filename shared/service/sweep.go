package service

import (
	"context"

	"agencyhub/shared/agency"
)

// Ticked is what Tick did.
type Ticked string

// What Tick can do. Idle is nothing: it was not due, or somebody else did it.
const (
	Idle       Ticked = ""
	DidExpire  Ticked = "expired"
	DidLapse   Ticked = "lapsed"
	DidRemind  Ticked = "reminded"
	DidEnd     Ticked = "ended"
	DidErase   Ticked = "erased"
	DidCollect Ticked = "collected"
	DidFreeze  Ticked = "frozen"
)

// TickProfile does what the clock asks for at one profile: it records that a
// request has expired or an end date has lapsed, reminds of either, or collects
// what ended long ago. Done twice it changes nothing more.
func (h *Hub) TickProfile(ctx context.Context, key agency.ProfileKey) (Ticked, error) {
	var done Ticked
	want := Want{Profiles: []agency.ProfileKey{key}}
	if of := key.Member.Account(); of != "" {
		want.Pairs = []agency.PairKey{agency.PairKey{Addressee: key.Addressee, Agency: of}}
	}
	err := h.command(ctx, nil, want, func(d *decision) error {
		done = Idle
		p := d.read.Profile(key)
		if due := d.rules.Due(p); p.Version == 0 || due.IsZero() || d.now.Before(due) {
			if p.Version > 0 && !due.Equal(p.DueAt) {
				// A setting has moved the moment since the mark was made.
				p.Version++
				d.put(p)
			}
			return nil
		}
		if p.Status.Over() {
			d.GoneProfiles, done = append(d.GoneProfiles, key), DidCollect
			if p.Kind() == agency.AgencyKind {
				d.remember(p)
			}
			return nil
		}
		step := agency.Step{Do: agency.Remind, By: agency.ClockSide}
		switch status := p.StatusAt(d.now); {
		case status == agency.Expired:
			step.Do, done = agency.Expire, DidExpire
		case status == agency.Lapsed:
			step.Do, done = agency.Lapse, DidLapse
		case status == agency.Active:
			step.Do, done = agency.Warn, DidRemind
		default:
			done = DidRemind
		}
		_, err := d.apply(p, step)
		return err
	})
	return done, err
}

// TickAccount freezes an account's subscription when its cancelled period is
// over, or goes on with what follows from its closing: it ends its members, a
// page of them at a time, and takes its data away after the retention. Done twice
// it changes nothing more.
func (h *Hub) TickAccount(ctx context.Context, id agency.AccountID) (Ticked, error) {
	read, err := h.Store.Load(ctx, Want{Accounts: []agency.AccountID{id}})
	if err != nil {
		return Idle, err
	}
	account, now := read.Account(id), h.Now()
	switch {
	case account.DueAt.IsZero() || now.Before(account.DueAt):
		return Idle, nil
	case account.Closed.IsZero():
		return h.freeze(ctx, id)
	}
	gone := !now.Before(account.Closed.Add(h.Rules.Retention))
	left := 0
	for cursor := ""; left < pageSize; {
		team, err := h.Store.Team(ctx, agency.Party(id), Page{Limit: pageSize, Cursor: cursor})
		if err != nil {
			return Idle, err
		}
		for _, p := range team.Items {
			if p.Status.Over() && !gone || left == pageSize {
				continue
			}
			if left++; p.Status.Over() {
				err = h.collect(ctx, p.ProfileKey)
			} else {
				err = h.end(ctx, p.ProfileKey)
			}
			if err != nil {
				return Idle, err
			}
		}
		if cursor = team.Next; cursor == "" {
			break
		}
	}
	// There may be more; the due mark stays, and so does the next run's work.
	switch {
	case left > 0 && gone:
		return DidCollect, nil
	case left > 0:
		return DidEnd, nil
	case gone:
		if some, err := h.collectPairs(ctx, id); some || err != nil {
			return DidCollect, err
		}
	}
	done := Idle
	err = h.command(ctx, nil, Want{Accounts: []agency.AccountID{id}}, func(d *decision) error {
		account := d.read.Account(id)
		switch {
		case !account.Exists():
			done = Idle
		case gone:
			d.GoneAccounts, done = append(d.GoneAccounts, id), DidCollect
		default:
			account.Owners, account.DueAt = 0, account.Closed.Add(d.rules.Retention)
			account.Version++
			d.Accounts, done = append(d.Accounts, account), DidEnd
		}
		return nil
	})
	return done, err
}

// collectPairs takes a page of what a collected account held of agencies away. It
// answers whether there was any.
func (h *Hub) collectPairs(ctx context.Context, id agency.AccountID) (bool, error) {
	pairs, err := h.Store.Pairs(ctx, agency.Party(id), Page{Limit: pageSize})
	if err != nil || len(pairs.Items) == 0 {
		return false, err
	}
	var want Want
	for _, p := range pairs.Items {
		want.Pairs = append(want.Pairs, p.PairKey)
	}
	return true, h.command(ctx, nil, want, func(d *decision) error {
		for _, key := range want.Pairs {
			if d.read.Pair(key).Version > 0 {
				d.GonePairs = append(d.GonePairs, key)
			}
		}
		return nil
	})
}

// end ends one profile because its account was closed.
func (h *Hub) end(ctx context.Context, key agency.ProfileKey) error {
	want := Want{Profiles: []agency.ProfileKey{key}, Accounts: []agency.AccountID{key.Addressee.Account()}}
	person := key.Member.Person()
	if person != "" {
		want.People = []agency.PersonID{person}
	}
	return h.command(ctx, nil, want, func(d *decision) error {
		p := d.read.Profile(key)
		if p.Version == 0 || p.Status.Over() {
			return nil
		}
		p, err := d.apply(p, agency.Step{Do: agency.End, By: agency.ClockSide})
		if err == nil && person != "" {
			d.join(p)
		}
		return err
	})
}

// collect takes an ended profile away.
func (h *Hub) collect(ctx context.Context, key agency.ProfileKey) error {
	return h.command(ctx, nil, Want{Profiles: []agency.ProfileKey{key}}, func(d *decision) error {
		if p := d.read.Profile(key); p.Status.Over() {
			d.GoneProfiles = append(d.GoneProfiles, key)
		}
		return nil
	})
}

// freeze is the clock's part: it records that a cancelled period is over.
func (h *Hub) freeze(ctx context.Context, id agency.AccountID) (Ticked, error) {
	done := Idle
	err := h.command(ctx, nil, Want{Accounts: []agency.AccountID{id}}, func(d *decision) error {
		done = Idle
		if account := d.read.Account(id); account.Open() {
			if d.freezeOverdue(&account); len(d.Accounts) > 0 {
				done = DidFreeze
			}
		}
		return nil
	})
	return done, err
}
