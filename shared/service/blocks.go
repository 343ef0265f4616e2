package service

import (
	"context"
	"time"

	"agencyhub/shared/agency"
)

// startCooldown starts a cooldown in each of the pairs.
func (d *decision) startCooldown(keys ...agency.PairKey) {
	for _, key := range keys {
		p := d.pair(key)
		if until := d.now.Add(d.rules.Cooldown); until.After(p.CoolingUntil) {
			p.CoolingUntil = until
		}
		d.putPair(p)
	}
}

// block blocks the agency in each of the pairs, and tells nobody. One event, at
// the first pair that changes, stands for all.
func (d *decision) block(keys ...agency.PairKey) {
	var changed []agency.PairKey
	for _, key := range keys {
		if p := d.pair(key); !p.Blocked {
			p.Blocked = true
			d.putPair(p)
			changed = append(changed, key)
		}
	}
	if len(changed) > 0 {
		d.pairEvent(agency.AgencyBlocked, changed[0])
	}
}

// clearPairs ends blocks and cooldowns. It returns the pairs that had one.
func (d *decision) clearPairs(keys ...agency.PairKey) (held []agency.PairKey) {
	for _, key := range keys {
		p := d.pair(key)
		if p.IsBlockedOrCooling(d.now) {
			held = append(held, key)
		}
		if p.Blocked || !p.CoolingUntil.IsZero() {
			p.Blocked, p.CoolingUntil = false, time.Time{}
			d.putPair(p)
		}
	}
	return held
}

// unblock is clearPairs on request: one event stands for all pairs. It reports
// whether there was a block or a cooldown.
func (d *decision) unblock(keys ...agency.PairKey) bool {
	held := d.clearPairs(keys...)
	if len(held) > 0 {
		d.pairEvent(agency.AgencyUnblocked, held[0])
	}
	return len(held) > 0
}

// Unblock lets an agency request access to an account again: it ends the
// account's block and cooldown, and the actor's own. It reports whether there was
// one. Errors: IdentityChanged, NotFound, PermanentlyOwned, Forbidden.
func (s *Service) Unblock(ctx context.Context, caller agency.Caller, id, agencyID agency.AccountID) (bool, error) {
	pairs := []agency.PairKey{agency.AccountPair(id, agencyID), agency.PersonPair(caller.ID(), agencyID)}
	return run(ctx, s, &caller, wantAuthority(caller, id).plus(Want{Pairs: pairs}), func(d *decision) (allowed bool, err error) {
		if _, err := d.authorize(agency.DecideRequests, id); err != nil {
			return allowed, err
		}
		allowed = d.unblock(pairs...)
		return allowed, nil
	})
}

// UnblockForMe ends the actor's own block and cooldown of the agency of a
// request. Errors: none for an id of the right form.
func (s *Service) UnblockForMe(ctx context.Context, actor agency.Actor, id agency.ConnectionID) (bool, error) {
	_, agencyID, ok := id.Split()
	if !ok {
		return false, noSuchRequest()
	}
	pair := agency.PersonPair(actor.ID(), agencyID)
	caller := agency.Caller{Actor: actor}
	return run(ctx, s, &caller, Want{People: []agency.PersonID{actor.ID()}, Pairs: []agency.PairKey{pair}}, func(d *decision) (allowed bool, err error) {
		allowed = d.unblock(pair)
		return allowed, nil
	})
}

// Block is a block or a cooldown of an agency.
type Block struct {
	agency.Pair
	// Name is the agency's present name.
	Name string
}

// BlockOf returns the block of a request's agency, by its addressee or by the
// actor, to an actor who may answer the request: the later end and the stricter
// of both. It is returned for muted requests too, and is zero for an agency
// without a block or cooldown. Errors: IdentityChanged, NotFound,
// PermanentlyOwned, Forbidden.
func (s *Service) BlockOf(ctx context.Context, actor agency.Actor, id agency.ConnectionID) (Block, error) {
	addressee, agencyID, ok := id.Split()
	if !ok {
		return Block{}, noSuchRequest()
	}
	caller := agency.Caller{Actor: actor}
	pairs := []agency.PairKey{{Addressee: addressee, Asker: agencyID}, {Addressee: agency.Party(actor.ID()), Asker: agencyID}}
	want := Want{Accounts: []agency.AccountID{agencyID}, People: []agency.PersonID{actor.ID()}, Pairs: pairs}
	if account := addressee.Account(); account != "" {
		want = want.plus(wantAuthority(caller, account))
	}
	return runQuery(ctx, s, &caller, want, func(d *decision) (held Block, err error) {
		if account := addressee.Account(); account == "" {
			if err := d.isAddressee(addressee); err != nil {
				return held, err
			}
		} else if _, err := d.authorize(agency.DecideRequests, account); err != nil {
			return held, err
		}
		held = Block{Pair: agency.Pair{PairKey: pairs[0]}, Name: d.read.Account(agencyID).Name}
		for _, key := range pairs {
			p := d.read.Pair(key)
			held.Blocked = held.Blocked || p.Blocked
			if p.IsCooling(d.now) && p.CoolingUntil.After(held.CoolingUntil) {
				held.CoolingUntil = p.CoolingUntil
			}
		}
		return held, nil
	})
}

// AccountBlocks lists an account's blocks and cooldowns. Errors: Invalid
// (cursor), IdentityChanged, NotFound, PermanentlyOwned, Forbidden.
func (s *Service) AccountBlocks(ctx context.Context, caller agency.Caller, id agency.AccountID, page Page) (List[Block], error) {
	if _, _, err := s.authorizeList(ctx, caller, agency.DecideRequests, id); err != nil {
		return List[Block]{}, err
	}
	return s.blocks(ctx, agency.Party(id), page)
}

// MyBlocks lists the actor's own blocks and cooldowns. Errors: Invalid (cursor).
func (s *Service) MyBlocks(ctx context.Context, actor agency.Actor, page Page) (List[Block], error) {
	return s.blocks(ctx, agency.Party(actor.ID()), page)
}

func (s *Service) blocks(ctx context.Context, addressee agency.Party, page Page) (List[Block], error) {
	pairs, err := s.Store.Pairs(ctx, addressee, page)
	if err != nil {
		return List[Block]{}, err
	}
	now := s.Now()
	list := List[Block]{Next: pairs.Next}
	var want Want
	for _, p := range pairs.Items {
		if p.IsBlockedOrCooling(now) {
			if !p.IsCooling(now) {
				p.CoolingUntil = time.Time{}
			}
			list.Items = append(list.Items, Block{Pair: p})
			want.Accounts = append(want.Accounts, p.Asker)
		}
	}
	if len(list.Items) == 0 {
		return list, nil
	}
	read, err := s.Store.Load(ctx, want)
	for i := range list.Items {
		list.Items[i].Name = read.Account(list.Items[i].Asker).Name
	}
	return list, err
}
