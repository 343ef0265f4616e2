package service

import (
	"context"

	"agencyhub/shared/agency"
)

// Outcome is what a step of the sweep did.
type Outcome string

// The outcomes. OutcomeNone: nothing was due, or it was done already.
const (
	OutcomeNone      Outcome = ""
	OutcomeExpired   Outcome = "expired"
	OutcomeLapsed    Outcome = "lapsed"
	OutcomeReminded  Outcome = "reminded"
	OutcomeEnded     Outcome = "ended"
	OutcomeErased    Outcome = "erased"
	OutcomeCollected Outcome = "collected"
	OutcomeFrozen    Outcome = "frozen"
	OutcomeDigest    Outcome = "digest"
	OutcomeClosed    Outcome = "closed"
)

// SweepProfile does what is due at one profile: it records that a request has
// expired or an end date has lapsed, reminds of either, closes the invitations of
// somebody who is no longer allowed to make them, or deletes a profile that ended long
// ago. A repeat changes nothing more.
func (s *Service) SweepProfile(ctx context.Context, key agency.ProfileKey) (Outcome, error) {
	var done Outcome
	var maker, collected *agency.Profile
	want := Want{Profiles: []agency.ProfileKey{key}}
	if account := key.Addressee.Account(); account != "" {
		want.Accounts = []agency.AccountID{account}
	}
	if of := key.Member.Account(); of != "" {
		want.Pairs = []agency.PairKey{{Addressee: key.Addressee, Asker: of}}
	}
	err := s.command(ctx, nil, want, func(d *decision) error {
		done, maker, collected = OutcomeNone, nil, nil
		p := d.read.Profile(key)
		if due := d.rules.Due(p); p.Version == 0 || due.IsZero() || d.now.Before(due) {
			if p.Version > 0 && !due.Equal(p.DueAt) {
				// A setting has moved the moment since the mark was written.
				p.Version++
				d.put(p)
			}
			return nil
		}
		if !p.CloseAt.IsZero() {
			maker = &p
			return nil
		}
		if p.Status.IsEnded() {
			if p.Kind() == agency.PersonKind && p.Request.From != "" {
				collected = &p
				return nil
			}
			d.GoneProfiles, done = append(d.GoneProfiles, key), OutcomeCollected
			if p.Kind() == agency.AgencyKind {
				d.saveCounters(p, agency.PairKey{Addressee: key.Addressee, Asker: key.Member.Account()})
			}
			return nil
		}
		step := agency.Step{Do: agency.Remind, By: agency.ClockSide}
		switch status := p.StatusAt(d.now); {
		case p.HasOpenRequest() && !p.HasOpenRequestAt(d.now):
			step.Do, done = agency.Expire, OutcomeExpired
		case status == agency.Lapsed:
			step.Do, done = agency.Lapse, OutcomeLapsed
		case status == agency.Active && !p.HasOffer():
			step.Do, done = agency.Warn, OutcomeReminded
		default:
			done = OutcomeReminded
		}
		_, err := d.apply(p, step)
		return err
	})
	switch {
	case err == nil && maker != nil:
		return s.closeInvitations(ctx, *maker)
	case err == nil && collected != nil:
		return s.collectPerson(ctx, *collected)
	default:
		return done, err
	}
}

// collectPerson deletes the profile of a person that ended long ago. Its counters are
// kept in the pair of the person and the account that had asked them.
func (s *Service) collectPerson(ctx context.Context, was agency.Profile) (Outcome, error) {
	pair := agency.PersonPair(was.Member.Person(), was.Request.From)
	done := OutcomeNone
	err := s.command(ctx, nil, Want{Profiles: []agency.ProfileKey{was.ProfileKey}, Pairs: []agency.PairKey{pair}}, func(d *decision) error {
		p := d.read.Profile(was.ProfileKey)
		if done = OutcomeNone; p.Version != was.Version {
			return nil
		}
		d.saveCounters(p, pair)
		d.GoneProfiles, done = append(d.GoneProfiles, p.ProfileKey), OutcomeCollected
		return nil
	})
	return done, err
}

// SweepAccount freezes a subscription whose cancelled period is over, or
// continues to close an account: it ends its members, a page at a time, and
// deletes its data after the retention. A repeat changes nothing more.
func (s *Service) SweepAccount(ctx context.Context, id agency.AccountID) (Outcome, error) {
	read, err := s.Store.Load(ctx, Want{Accounts: []agency.AccountID{id}})
	if err != nil {
		return OutcomeNone, err
	}
	account, now := read.Account(id), s.Now()
	switch {
	case account.DueAt.IsZero() || now.Before(account.DueAt):
		return OutcomeNone, nil
	case account.Closed.IsZero():
		return s.freeze(ctx, id)
	}
	gone := !now.Before(account.Closed.Add(s.Rules.Retention))
	left := 0
	for cursor := ""; left < pageSize; {
		team, err := s.Store.Team(ctx, agency.Party(id), Page{Limit: pageSize, Cursor: cursor})
		if err != nil {
			return OutcomeNone, err
		}
		for _, p := range team.Items {
			if p.Status.IsEnded() && !gone || left == pageSize {
				continue
			}
			if left++; p.Status.IsEnded() {
				err = s.collect(ctx, p.ProfileKey)
			} else {
				err = s.end(ctx, p.ProfileKey)
			}
			if err != nil {
				return OutcomeNone, err
			}
		}
		if cursor = team.Next; cursor == "" {
			break
		}
	}
	// There may be more: the due mark stays for the next run.
	switch {
	case left > 0 && gone:
		return OutcomeCollected, nil
	case left > 0:
		return OutcomeEnded, nil
	case gone:
		if some, err := s.collectPairs(ctx, id); some || err != nil {
			return OutcomeCollected, err
		}
	}
	done := OutcomeNone
	err = s.command(ctx, nil, Want{Accounts: []agency.AccountID{id}}, func(d *decision) error {
		account := d.read.Account(id)
		switch {
		case !account.Exists():
			done = OutcomeNone
		case gone:
			d.GoneAccounts, done = append(d.GoneAccounts, id), OutcomeCollected
		default:
			account.Owners, account.DueAt = 0, account.Closed.Add(d.rules.Retention)
			account.Version++
			d.Accounts, done = append(d.Accounts, account), OutcomeEnded
		}
		return nil
	})
	return done, err
}

// collectPairs deletes a page of a closed account's pairs. It reports whether
// there was any.
func (s *Service) collectPairs(ctx context.Context, id agency.AccountID) (bool, error) {
	pairs, err := s.Store.Pairs(ctx, agency.Party(id), Page{Limit: pageSize})
	if err != nil || len(pairs.Items) == 0 {
		return false, err
	}
	var want Want
	for _, p := range pairs.Items {
		want.Pairs = append(want.Pairs, p.PairKey)
	}
	return true, s.command(ctx, nil, want, func(d *decision) error {
		for _, key := range want.Pairs {
			if d.read.Pair(key).Version > 0 {
				d.GonePairs = append(d.GonePairs, key)
			}
		}
		return nil
	})
}

// end ends one profile because its account was closed.
func (s *Service) end(ctx context.Context, key agency.ProfileKey) error {
	want := Want{Profiles: []agency.ProfileKey{key}, Accounts: []agency.AccountID{key.Addressee.Account()}}
	return s.command(ctx, nil, want, func(d *decision) error {
		p := d.read.Profile(key)
		if p.Version == 0 || p.Status.IsEnded() {
			return nil
		}
		_, err := d.apply(p, agency.Step{Do: agency.End, By: agency.ClockSide})
		return err
	})
}

// collect deletes an ended profile.
func (s *Service) collect(ctx context.Context, key agency.ProfileKey) error {
	return s.command(ctx, nil, Want{Profiles: []agency.ProfileKey{key}}, func(d *decision) error {
		if p := d.read.Profile(key); p.Status.IsEnded() {
			d.GoneProfiles = append(d.GoneProfiles, key)
		}
		return nil
	})
}

// freeze records that a cancelled period is over.
func (s *Service) freeze(ctx context.Context, id agency.AccountID) (Outcome, error) {
	done := OutcomeNone
	err := s.command(ctx, nil, Want{Accounts: []agency.AccountID{id}}, func(d *decision) error {
		done = OutcomeNone
		if account := d.read.Account(id); account.IsOpen() {
			if d.freezeOverdue(&account); len(d.Accounts) > 0 {
				done = OutcomeFrozen
			}
		}
		return nil
	})
	return done, err
}
