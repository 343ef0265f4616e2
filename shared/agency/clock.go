package agency

import (
	"context"
	"errors"
	"fmt"
	"time"
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
func (h *Hub) TickProfile(ctx context.Context, key ProfileKey) (Ticked, error) {
	var done Ticked
	want := Want{Profiles: []ProfileKey{key}}
	if of := key.Member.Account(); of != "" {
		want.Pairs = []PairKey{between(key.Addressee, of)}
	}
	err := h.command(ctx, nil, want, func(d *decision) error {
		done = Idle
		p := d.read.Profile(key)
		if due := d.rules.due(p); p.Version == 0 || due.IsZero() || d.now.Before(due) {
			if p.Version > 0 && !due.Equal(p.DueAt) {
				// A setting has moved the moment since the mark was made.
				p.Version++
				d.put(p)
			}
			return nil
		}
		if p.Status.Over() {
			d.GoneProfiles, done = append(d.GoneProfiles, key), DidCollect
			if p.Kind() == AgencyKind {
				d.remember(p)
			}
			return nil
		}
		step := Step{Do: Remind, By: ClockSide}
		switch status := p.StatusAt(d.now); {
		case status == Expired:
			step.Do, done = Expire, DidExpire
		case status == Lapsed:
			step.Do, done = Lapse, DidLapse
		case status == Active:
			step.Do, done = Warn, DidRemind
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
func (h *Hub) TickAccount(ctx context.Context, id AccountID) (Ticked, error) {
	read, err := h.Store.Load(ctx, Want{Accounts: []AccountID{id}})
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
		team, err := h.Store.Team(ctx, Party(id), Page{Limit: pageSize, Cursor: cursor})
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
	err = h.command(ctx, nil, Want{Accounts: []AccountID{id}}, func(d *decision) error {
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
func (h *Hub) collectPairs(ctx context.Context, id AccountID) (bool, error) {
	pairs, err := h.Store.Pairs(ctx, Party(id), Page{Limit: pageSize})
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
func (h *Hub) end(ctx context.Context, key ProfileKey) error {
	want := Want{Profiles: []ProfileKey{key}, Accounts: []AccountID{key.Addressee.Account()}}
	person := key.Member.Person()
	if person != "" {
		want.People = []PersonID{person}
	}
	return h.command(ctx, nil, want, func(d *decision) error {
		p := d.read.Profile(key)
		if p.Version == 0 || p.Status.Over() {
			return nil
		}
		p, err := d.apply(p, Step{Do: End, By: ClockSide})
		if err == nil && person != "" {
			d.join(p)
		}
		return err
	})
}

// collect takes an ended profile away.
func (h *Hub) collect(ctx context.Context, key ProfileKey) error {
	return h.command(ctx, nil, Want{Profiles: []ProfileKey{key}}, func(d *decision) error {
		if p := d.read.Profile(key); p.Status.Over() {
			d.GoneProfiles = append(d.GoneProfiles, key)
		}
		return nil
	})
}

// TickPerson goes on with erasing a person: it ends their profiles and the
// requests that are addressed to them, takes their address out of all of these,
// also of what had ended before, and then themselves away. Where they have become
// a last owner meanwhile the erasing stops, with the error LastOwner that names
// the account, and is tried again each hour.
func (h *Hub) TickPerson(ctx context.Context, id PersonID) (Ticked, error) {
	read, err := h.Store.Load(ctx, Want{People: []PersonID{id}})
	if err != nil {
		return Idle, err
	}
	me := read.Person(id)
	if me.Erasing.IsZero() || h.Now().Before(me.DueAt) {
		return Idle, nil
	}
	var stopped error
	did := 0
	for _, list := range []func(Page) (List[Profile], error){
		func(page Page) (List[Profile], error) { return h.Store.Memberships(ctx, id, page) },
		func(page Page) (List[Profile], error) { return h.Store.FormerMemberships(ctx, id, page) },
		func(page Page) (List[Profile], error) { return h.Store.Team(ctx, Party(id), page) },
	} {
		err := eachPage(func(page Page) (string, error) {
			found, err := list(page)
			if err != nil {
				return "", err
			}
			for _, p := range found.Items {
				forgot, err := h.forget(ctx, id, p.ProfileKey)
				if CodeOf(err) == LastOwner {
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
			return Idle, err
		}
	}
	switch {
	case stopped != nil:
		return Idle, errors.Join(stopped, h.eraseAgain(ctx, id, h.Now().Add(stopTime)))
	case did > 0:
		return DidErase, nil
	case h.Now().Before(me.Erasing.Add(settleTime)):
		// The lists follow the table by a moment: look once more before the last
		// trace goes.
		return DidErase, h.eraseAgain(ctx, id, me.Erasing.Add(settleTime))
	}
	done := Idle
	err = h.command(ctx, nil, Want{People: []PersonID{id}}, func(d *decision) error {
		now := d.read.Person(id)
		if done = Idle; now.Version != me.Version {
			// Somebody let them in anew since the lists were read: there is more to do.
			return nil
		}
		d.GonePeople, done = append(d.GonePeople, id), DidErase
		d.Events = append(d.Events, Event{
			Type: PersonErased, At: d.now, Addressee: Party(id), Member: Party(id), Ownership: ClientOwned, Version: me.Version + 1,
		})
		return nil
	})
	return done, err
}

const (
	// stopTime is how long an erasing that stopped at a last owner rests before it
	// is tried again.
	stopTime = time.Hour
	// settleTime is far longer than an index can lag behind the table.
	settleTime = 5 * time.Minute
)

// eraseAgain puts the next step of an erasing off. The address goes at once.
func (h *Hub) eraseAgain(ctx context.Context, id PersonID, at time.Time) error {
	return h.command(ctx, nil, Want{People: []PersonID{id}}, func(d *decision) error {
		if me := d.read.Person(id); !me.Erasing.IsZero() {
			me.Email, me.DueAt = "", at.UTC().Truncate(time.Millisecond)
			me.Version++
			d.People = append(d.People, me)
		}
		return nil
	})
}

// forget ends one profile of a person who is being erased and takes the address
// out of it. A request that an agency addressed to them runs on as the agency
// sees it, with the address that it typed, and reaches nobody any more. It
// answers whether there was anything to do.
func (h *Hub) forget(ctx context.Context, id PersonID, key ProfileKey) (did bool, err error) {
	want := Want{Profiles: []ProfileKey{key}, People: []PersonID{id}}
	account := key.Addressee.Account()
	if account != "" {
		want.Accounts = []AccountID{account}
	}
	err = h.command(ctx, nil, want, func(d *decision) error {
		p := d.read.Profile(key)
		did = false
		switch {
		case p.Version == 0:
		case account == "":
			if did = p.Status == Pending && !p.Muted; did {
				p.Muted = true
				p.Version++
				d.put(p)
			}
		case p.Status.Over():
			if did = p.Email != ""; did {
				p.Version++
				d.put(p.nameless())
			}
		default:
			did = true
			return d.forgetActive(p)
		}
		return nil
	})
	return did && err == nil, err
}

// forgetActive ends an active profile of a person who is being erased, unless
// they are the last owner.
func (d *decision) forgetActive(was Profile) error {
	me := d.read.Person(was.Member.Person()).without(was.Account())
	me.Version++
	d.People = append(d.People, me)
	return d.endErased(was)
}

// endErased ends a profile of a person who is being erased, without what tells
// who they are, unless they are the last owner.
func (d *decision) endErased(was Profile) error {
	p, err := d.apply(was, Step{Do: End, By: ClockSide})
	if err != nil {
		return err
	}
	d.put(p.nameless())
	err = d.countOwners(d.read.Account(p.Account()), was, p)
	if refusal, ok := errors.AsType[*Error](err); ok {
		refusal.Fields = []FieldError{{Field: string(p.Account()), Message: "The person who is being erased is its last owner."}}
	}
	return err
}

// nameless is the profile of a person without what tells who they are.
func (p Profile) nameless() Profile {
	p.Email, p.Issuer, p.Subject = "", "", ""
	return p
}
