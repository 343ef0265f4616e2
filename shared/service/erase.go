package service

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"agencyhub/shared/agency"
)

// EraseMe starts to erase the actor's data. From then on they have no access and
// own nothing, so that no other owner can leave an account to them. The sweep
// ends their other profiles and deletes their address. Errors: IdentityChanged, and
// LastOwner, which names the accounts.
func (s *Service) EraseMe(ctx context.Context, actor agency.Actor) error {
	caller := agency.Caller{Actor: actor}
	want := Want{People: []agency.PersonID{actor.ID()}}
	err := eachPage(func(page Page) (string, error) {
		mine, err := s.Store.Memberships(ctx, actor.ID(), page)
		if err != nil {
			return "", err
		}
		for _, p := range mine.Items {
			if p.IsBoundToAnother(actor) {
				if err := s.checkIdentity(ctx, actor, p.ProfileKey); err != nil {
					return "", err
				}
			}
			if p.Role == agency.Owner {
				want = want.plus(Want{Accounts: []agency.AccountID{p.Account()}, Profiles: []agency.ProfileKey{p.ProfileKey}})
			}
		}
		return mine.Next, nil
	})
	if err != nil {
		return err
	}
	// The sweep ends what does not fit into one transaction. It is checked before.
	more := want.Profiles[min(len(want.Profiles), pageSize):]
	for keys := range slices.Chunk(more, pageSize) {
		rest := Want{Profiles: keys}
		for _, key := range keys {
			rest.Accounts = append(rest.Accounts, key.Addressee.Account())
		}
		if err := s.command(ctx, &caller, rest, func(d *decision) error { return d.checkLastOwner(keys) }); err != nil {
			return err
		}
	}
	owned := len(want.Profiles) - len(more)
	want.Accounts, want.Profiles = want.Accounts[:owned], want.Profiles[:owned]
	return s.command(ctx, &caller, want, func(d *decision) error {
		me := d.read.Person(actor.ID())
		if !me.Erasing.IsZero() {
			return nil
		}
		if err := d.checkLastOwner(want.Profiles); err != nil {
			return err
		}
		me.Erasing, me.DueAt = d.now, d.now
		me.Version++
		d.Events = append(d.Events, agency.Event{
			Type: agency.PersonErasing, At: d.now, Addressee: agency.Party(me.ID), Member: agency.Party(me.ID), Ownership: agency.ClientOwned, Version: me.Version,
		})
		for _, key := range want.Profiles {
			if p := d.profile(key); p.Status == agency.Active && p.Role == agency.Owner && d.read.Account(p.Account()).IsOpen() {
				if err := d.endErased(p); err != nil {
					return err
				}
			}
		}
		d.People = append(d.People, me)
		return nil
	})
}

// checkIdentity refuses an actor whose address has an active profile of another
// sign-in. The list that it was found in may be a moment old.
func (s *Service) checkIdentity(ctx context.Context, actor agency.Actor, key agency.ProfileKey) error {
	read, err := s.Store.Load(ctx, Want{Profiles: []agency.ProfileKey{key}})
	if err != nil {
		return err
	}
	if p := read.Profile(key); p.Status == agency.Active && p.IsBoundToAnother(actor) {
		return agency.Refuse(agency.IdentityChanged, "This address has a new sign-in since it joined an account. Ask an owner or admin of that account for a new sign-in.")
	}
	return nil
}

// checkLastOwner refuses to take away profiles of which one is an account's last
// owner. It names the accounts.
func (d *decision) checkLastOwner(keys []agency.ProfileKey) error {
	var fields []agency.FieldError
	for _, key := range keys {
		p, a := d.profile(key), d.read.Account(key.Addressee.Account())
		if p.Status == agency.Active && p.Role == agency.Owner && a.IsOpen() && a.Owners < 2 {
			fields = append(fields, agency.FieldError{Field: string(a.ID), Message: "You are its last owner. Make somebody else an owner, or close it."})
		}
	}
	if len(fields) > 0 {
		return &agency.Error{Code: agency.LastOwner, Fields: fields, Message: fmt.Sprintf("You are the last owner of %d of your accounts.", len(fields))}
	}
	return nil
}

// SweepPerson continues to erase a person: it ends their profiles and the
// requests addressed to them, deletes their address from these and from what had
// ended before, and then the person. If they have become a last owner meanwhile
// it stops with the error LastOwner, which names the account, and tries again
// each hour.
func (s *Service) SweepPerson(ctx context.Context, id agency.PersonID) (Outcome, error) {
	read, err := s.Store.Load(ctx, Want{People: []agency.PersonID{id}})
	if err != nil {
		return OutcomeNone, err
	}
	me := read.Person(id)
	if me.Erasing.IsZero() || s.Now().Before(me.DueAt) {
		return OutcomeNone, nil
	}
	var stopped error
	did := 0
	for _, list := range []func(Page) (List[agency.Profile], error){
		func(page Page) (List[agency.Profile], error) { return s.Store.Memberships(ctx, id, page) },
		func(page Page) (List[agency.Profile], error) { return s.Store.Invitations(ctx, id, page) },
		func(page Page) (List[agency.Profile], error) { return s.Store.FormerMemberships(ctx, id, page) },
		func(page Page) (List[agency.Profile], error) { return s.Store.Team(ctx, agency.Party(id), page) },
	} {
		err := eachPage(func(page Page) (string, error) {
			found, err := list(page)
			if err != nil {
				return "", err
			}
			for _, p := range found.Items {
				forgot, err := s.eraseProfile(ctx, id, p.ProfileKey)
				if agency.CodeOf(err) == agency.LastOwner {
					stopped = errors.Join(stopped, fmt.Errorf("in %s: %w", p.Addressee, err))
				} else if err != nil {
					return "", err
				}
				if forgot {
					did++
				}
			}
			if did >= pageSize {
				return "", nil
			}
			return found.Next, nil
		})
		if err != nil {
			return OutcomeNone, err
		}
	}
	switch {
	case stopped != nil:
		return OutcomeNone, errors.Join(stopped, s.eraseAgain(ctx, id, s.Now().Add(eraseRetry)))
	case did > 0:
		return OutcomeErased, nil
	case s.Now().Before(me.Erasing.Add(indexLag)):
		// An index follows the table with a delay: look once more before the last
		// trace goes.
		return OutcomeErased, s.eraseAgain(ctx, id, me.Erasing.Add(indexLag))
	}
	done := OutcomeNone
	err = s.command(ctx, nil, Want{People: []agency.PersonID{id}}, func(d *decision) error {
		now := d.read.Person(id)
		if done = OutcomeNone; now.Version != me.Version {
			// Somebody has invited them again since the lists were read: there is
			// more to do.
			return nil
		}
		d.GonePeople, done = append(d.GonePeople, id), OutcomeErased
		d.Events = append(d.Events, agency.Event{
			Type: agency.PersonErased, At: d.now, Addressee: agency.Party(id), Member: agency.Party(id), Ownership: agency.ClientOwned, Version: me.Version + 1,
		})
		return nil
	})
	return done, err
}

const (
	// eraseRetry is how long an erasure waits after it stopped at a last owner.
	eraseRetry = time.Hour
	// indexLag is far longer than an index can lag behind the table.
	indexLag = 5 * time.Minute
)

// eraseAgain plans the next step of an erasure.
func (s *Service) eraseAgain(ctx context.Context, id agency.PersonID, at time.Time) error {
	return s.command(ctx, nil, Want{People: []agency.PersonID{id}}, func(d *decision) error {
		if me := d.read.Person(id); !me.Erasing.IsZero() {
			me.DueAt = at.UTC().Truncate(time.Millisecond)
			me.Version++
			d.People = append(d.People, me)
		}
		return nil
	})
}

// eraseProfile ends one profile of a person who is being erased and deletes the
// address from it. A request addressed to them, or an invitation, stays as it is for
// the side that asks, with the address that it typed, and reaches nobody. It reports
// whether there was anything to do.
func (s *Service) eraseProfile(ctx context.Context, id agency.PersonID, key agency.ProfileKey) (did bool, err error) {
	want := Want{Profiles: []agency.ProfileKey{key}, People: []agency.PersonID{id}}
	account := key.Addressee.Account()
	if account != "" {
		want.Accounts = []agency.AccountID{account}
	}
	err = s.command(ctx, nil, want, func(d *decision) error {
		p := d.read.Profile(key)
		did = false
		switch {
		case p.Version == 0:
		case account == "" || p.Status == agency.Invited:
			if did = p.HasOpenRequest() && !p.Request.Muted; did {
				p.Request.Muted = true
				p.Version++
				d.put(p)
			}
		case p.Status.IsEnded():
			if did = p.Email != ""; did {
				p.Version++
				d.put(p.WithoutIdentity())
			}
		default:
			did = true
			return d.endErased(p)
		}
		return nil
	})
	return did && err == nil, err
}

// endErased ends a profile of a person who is being erased and deletes what
// identifies them, unless they are the last owner.
func (d *decision) endErased(was agency.Profile) error {
	p, err := d.apply(was, agency.Step{Do: agency.End, By: agency.ClockSide})
	if err != nil {
		return err
	}
	d.put(p.WithoutIdentity())
	err = d.countOwners(d.read.Account(p.Account()), was, p)
	if refusal, ok := errors.AsType[*agency.Error](err); ok {
		refusal.Fields = []agency.FieldError{{Field: string(p.Account()), Message: "The person who is being erased is its last owner."}}
	}
	return err
}
