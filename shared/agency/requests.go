package agency

import (
	"context"
	"slices"
	"time"
)

// MyRequests lists the requests that are addressed to the actor's address.
// Errors: Invalid (cursor).
func (h *Hub) MyRequests(ctx context.Context, actor Actor, page Page) (List[Profile], error) {
	list, err := h.Store.Team(ctx, Party(actor.ID()), page)
	list.Items = slices.DeleteFunc(list.Items, Profile.Hidden)
	return list, err
}

// RequestDetail is a request with what its email says besides: the account that
// it asks, zero while it is addressed by email, and the address of the person who
// asks, "" when the agency has let them go since.
type RequestDetail struct {
	Profile
	To Account
	By string
}

// Details completes requests that another use case has answered to somebody who
// may decide them.
func (h *Hub) Details(ctx context.Context, requests ...Profile) ([]RequestDetail, error) {
	if len(requests) == 0 {
		return nil, nil
	}
	var want Want
	for _, p := range requests {
		asker := Want{Profiles: []ProfileKey{At(p.Member.Account(), p.RequestedBy)}}
		if account := p.Account(); account != "" {
			asker.Accounts = []AccountID{account}
		}
		want = want.and(asker)
	}
	read, err := h.Store.Load(ctx, want)
	if err != nil {
		return nil, err
	}
	details := make([]RequestDetail, len(requests))
	for i, p := range requests {
		details[i] = RequestDetail{Profile: p, To: read.Account(p.Account())}
		if by := read.Profile(At(p.Member.Account(), p.RequestedBy)); by.StatusAt(h.Now()) == Active {
			details[i].By = by.Email
		}
	}
	return details, nil
}

// mostAccounts bounds how many accounts Waiting looks through.
const mostAccounts = 25

// Waiting lists the requests that wait for the actor's decision: those addressed
// to them, then those in the accounts in which they are owner or admin, of which
// the first 25 by name are looked through.
func (h *Hub) Waiting(ctx context.Context, actor Actor) ([]RequestDetail, error) {
	now := h.Now()
	var waiting []Profile
	look := func(at Party) error {
		return eachPage(func(page Page) (string, error) {
			team, err := h.Store.Team(ctx, at, page)
			for _, p := range team.Items {
				if p.Kind() == PersonKind {
					// Agencies come first: there are no more.
					return "", err
				}
				if p.StatusAt(now) == Pending && !p.Hidden() {
					waiting = append(waiting, p)
				}
			}
			return team.Next, err
		})
	}
	if err := look(Party(actor.ID())); err != nil {
		return nil, err
	}
	accounts, err := h.MyAccounts(ctx, actor, Page{Limit: mostAccounts})
	if err != nil {
		return nil, err
	}
	for _, a := range accounts.Items {
		if may(Decide, position(a.Role, "", ""), a.Ownership) != Yes {
			continue
		}
		if err := look(Party(a.ID)); err != nil {
			return nil, err
		}
	}
	return h.Details(ctx, waiting...)
}

// SeeRequest answers a request to whoever may decide it: the person whom it is
// addressed to, or an owner or admin of the account. One that an account has
// taken up is answered as the connection there, to whoever may decide that.
// Errors: IdentityChanged, NotFound.
func (h *Hub) SeeRequest(ctx context.Context, actor Actor, id ConnectionID) (Profile, error) {
	addressee, agency, ok := id.Split()
	if !ok {
		return Profile{}, noSuchRequest()
	}
	caller := Caller{Actor: actor}
	key := ProfileKey{Addressee: addressee, Member: Party(agency)}
	want := Want{Profiles: []ProfileKey{key}, People: []PersonID{actor.ID()}}
	if account := addressee.Account(); account != "" {
		want = want.and(wantStanding(caller, account))
	}
	var p Profile
	err := h.command(ctx, &caller, want, func(d *decision) error {
		if account := addressee.Account(); account == "" {
			if err := d.isAddressee(addressee); err != nil {
				return err
			}
		} else if s, err := d.stand(account); err != nil {
			return err
		} else if s.may(Decide) != Yes {
			return noSuchRequest()
		}
		if p = d.read.Profile(key); p.Version == 0 || p.Muted {
			return noSuchRequest()
		}
		return nil
	})
	if err != nil || p.MovedTo == "" {
		return p, err
	}
	return h.SeeRequest(ctx, actor, NewConnectionID(Party(p.MovedTo), agency))
}

// isAddressee refuses whoever a request by email is not addressed to, and whoever
// is being erased.
func (d *decision) isAddressee(addressee Party) error {
	if addressee != Party(d.caller.ID()) || !d.read.Person(d.caller.ID()).Erasing.IsZero() {
		return noSuchRequest()
	}
	return nil
}

// AcceptRequestInto lets the agency into an account that the actor chooses: the
// one asked, or, for a request by email, any in which they are owner or admin.
// The request then goes to that account; one that waits there from the same
// agency is accepted with it. Errors: as AcceptRequest's, and AlreadyConnected.
func (h *Hub) AcceptRequestInto(ctx context.Context, actor Actor, id ConnectionID, account AccountID, in Acceptance) (Profile, error) {
	addressee, agency, ok := id.Split()
	if !ok {
		return Profile{}, noSuchRequest()
	}
	if asked := addressee.Account(); asked != "" {
		if asked != account {
			return Profile{}, invalid("body.account", "This request asks another account.")
		}
		return h.AcceptRequest(ctx, Caller{Actor: actor}, account, agency, in)
	}
	step, err := h.readAcceptance(in)
	if err != nil {
		return Profile{}, err
	}
	if account == agency {
		return Profile{}, invalid("body.account", "This is the agency's own account.")
	}
	caller := Caller{Actor: actor}
	asked, there := ProfileKey{Addressee: addressee, Member: Party(agency)}, At(account, agency)
	pairs := []PairKey{between(account, agency), between(actor.ID(), agency)}
	want := wantStanding(caller, account).and(Want{
		Accounts: []AccountID{agency}, Profiles: []ProfileKey{asked, there}, Pairs: pairs,
	})
	var p Profile
	err = h.command(ctx, &caller, want, func(d *decision) error {
		if err := d.isAddressee(addressee); err != nil {
			return err
		}
		request, target := d.profile(asked), d.profile(there)
		if request.Version == 0 || request.Muted {
			return noSuchRequest()
		}
		s, err := d.stand(account)
		if err != nil {
			return err
		}
		if err := s.may(Decide).refusal(); err != nil {
			return err
		}
		if request.Status == Moved {
			switch {
			case request.MovedTo != account || target.Version == 0:
				return refuseState(Accept, request)
			case target.Hidden():
				return noSuchRequest()
			}
			p = target
			return nil
		}
		asker := d.read.Account(agency)
		if request.StatusAt(d.now) == Pending && !asker.Agency() {
			return refuse(Conflict, "Whoever asked is no agency any more.")
		}
		if target.StatusAt(d.now) == Active {
			return &Error{Code: AlreadyConnected, State: Active, Message: "The agency already works in this account."}
		}
		if p, err = d.take(request, d.begun(there), step, s.account, asker); err != nil {
			return err
		}
		d.accepted(request, pairs)
		return nil
	})
	return p, err
}

// take accepts a request by email into an account: there the agency's profile
// becomes active as the request asks, and the request is moved. One event tells
// of it.
func (d *decision) take(request, target Profile, step Step, account, asker Account) (Profile, error) {
	if settled, _ := Settle(request, d.now); settled.Status != Pending {
		return target, refuseState(Accept, settled)
	}
	if step.Number != request.Request {
		return target, errOtherRequest(request)
	}
	if _, err := d.apply(request, Step{Do: Move, By: ClockSide, Into: account.ID}); err != nil {
		return target, err
	}
	// What the clock had ended there is recorded first.
	target, events := Settle(target, d.now)
	waiting := target
	if target.Status != Pending {
		waiting.Request++
	}
	waiting.Status, waiting.ExpiresAt, waiting.Muted = Pending, request.ExpiresAt, false
	waiting.Areas, waiting.Message = request.Areas, request.Message
	waiting.RequestedBy, waiting.RequestedAt = request.RequestedBy, request.RequestedAt
	waiting.Name, waiting.AccountName = asker.Name, account.Name
	waiting.Ownership, waiting.Subscription = account.Ownership, account.Subscription.copy()
	waiting.Until, waiting.MovedTo, waiting.Delivery = request.Until, "", request.Delivery
	step.Number = waiting.Request
	d.Events = events
	return d.apply(waiting, step)
}

// DenyRequestByID refuses a request by its id, as DenyRequest does. Errors: as
// DenyRequest's.
func (h *Hub) DenyRequestByID(ctx context.Context, actor Actor, id ConnectionID, block bool) (Profile, error) {
	addressee, agency, ok := id.Split()
	if !ok {
		return Profile{}, noSuchRequest()
	}
	caller := Caller{Actor: actor}
	if account := addressee.Account(); account != "" {
		return h.DenyRequest(ctx, caller, account, agency, block)
	}
	key := ProfileKey{Addressee: addressee, Member: Party(agency)}
	pairs := []PairKey{between(actor.ID(), agency)}
	want := Want{Profiles: []ProfileKey{key}, People: []PersonID{actor.ID()}, Pairs: pairs}
	var p Profile
	err := h.command(ctx, &caller, want, func(d *decision) error {
		if err := d.isAddressee(addressee); err != nil {
			return err
		}
		was := d.profile(key)
		if was.Version == 0 || was.Muted {
			return noSuchRequest()
		}
		var err error
		if p, err = d.apply(was, Step{Do: Deny, By: AccountSide}); err != nil {
			return err
		}
		d.refused(p.Version != was.Version, block, pairs)
		return nil
	})
	return p, err
}

// Unblock lets an agency ask an account again: it ends a block and a cooldown,
// the account's and the actor's own. It answers whether anything held the agency
// off. Errors: IdentityChanged, NotFound, PermanentlyOwned, Forbidden.
func (h *Hub) Unblock(ctx context.Context, caller Caller, id, agency AccountID) (bool, error) {
	pairs := []PairKey{between(id, agency), between(caller.ID(), agency)}
	var allowed bool
	err := h.command(ctx, &caller, wantStanding(caller, id).and(Want{Pairs: pairs}), func(d *decision) error {
		if _, err := d.standAs(Decide, id); err != nil {
			return err
		}
		allowed = d.unblock(pairs...)
		return nil
	})
	return allowed, err
}

// UnblockForMe ends what the actor themselves hold against the agency of a
// request. Errors: NotFound.
func (h *Hub) UnblockForMe(ctx context.Context, actor Actor, id ConnectionID) (bool, error) {
	_, agency, ok := id.Split()
	if !ok {
		return false, noSuchRequest()
	}
	pair := between(actor.ID(), agency)
	caller := Caller{Actor: actor}
	var allowed bool
	err := h.command(ctx, &caller, Want{Pairs: []PairKey{pair}}, func(d *decision) error {
		allowed = d.unblock(pair)
		return nil
	})
	return allowed, err
}

// Block is an agency that is held off.
type Block struct {
	Pair
	// Name is the agency's name as it is now.
	Name string
}

// HeldOff answers what the addressee of a request, or the actor themselves, hold
// against its agency, to whoever may decide the request: the later end and the
// stricter hold of both. It is answered for requests that are kept from the client
// too, and for agencies that nothing holds off. Errors: IdentityChanged, NotFound,
// PermanentlyOwned, Forbidden.
func (h *Hub) HeldOff(ctx context.Context, actor Actor, id ConnectionID) (Block, error) {
	addressee, agency, ok := id.Split()
	if !ok {
		return Block{}, noSuchRequest()
	}
	caller := Caller{Actor: actor}
	pairs := []PairKey{between(addressee, agency), between(Party(actor.ID()), agency)}
	want := Want{Accounts: []AccountID{agency}, People: []PersonID{actor.ID()}, Pairs: pairs}
	if account := addressee.Account(); account != "" {
		want = want.and(wantStanding(caller, account))
	}
	var held Block
	err := h.command(ctx, &caller, want, func(d *decision) error {
		if account := addressee.Account(); account == "" {
			if err := d.isAddressee(addressee); err != nil {
				return err
			}
		} else if _, err := d.standAs(Decide, account); err != nil {
			return err
		}
		held = Block{Pair: Pair{PairKey: pairs[0]}, Name: d.read.Account(agency).Name}
		for _, key := range pairs {
			p := d.read.Pair(key)
			held.Blocked = held.Blocked || p.Blocked
			if p.Cooling(d.now) && p.CoolingUntil.After(held.CoolingUntil) {
				held.CoolingUntil = p.CoolingUntil
			}
		}
		return nil
	})
	return held, err
}

// AccountBlocks lists the agencies that an account holds off. Errors: Invalid
// (cursor), IdentityChanged, NotFound, PermanentlyOwned, Forbidden.
func (h *Hub) AccountBlocks(ctx context.Context, caller Caller, id AccountID, page Page) (List[Block], error) {
	if _, err := h.seeLines(ctx, caller, Decide, id); err != nil {
		return List[Block]{}, err
	}
	return h.blocks(ctx, Party(id), page)
}

// MyBlocks lists the agencies that the actor holds off by their own decisions.
// Errors: Invalid (cursor).
func (h *Hub) MyBlocks(ctx context.Context, actor Actor, page Page) (List[Block], error) {
	return h.blocks(ctx, Party(actor.ID()), page)
}

func (h *Hub) blocks(ctx context.Context, addressee Party, page Page) (List[Block], error) {
	pairs, err := h.Store.Pairs(ctx, addressee, page)
	if err != nil {
		return List[Block]{}, err
	}
	now := h.Now()
	list := List[Block]{Next: pairs.Next}
	var want Want
	for _, p := range pairs.Items {
		if p.HoldsOff(now) {
			if !p.Cooling(now) {
				p.CoolingUntil = time.Time{}
			}
			list.Items = append(list.Items, Block{Pair: p})
			want.Accounts = append(want.Accounts, p.Agency)
		}
	}
	if len(list.Items) == 0 {
		return list, nil
	}
	read, err := h.Store.Load(ctx, want)
	for i := range list.Items {
		list.Items[i].Name = read.Account(list.Items[i].Agency).Name
	}
	return list, err
}

func noSuchRequest() error {
	return refuse(NotFound, "There is no such request, or it is not yours to decide.")
}
