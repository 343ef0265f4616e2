package agency

import (
	"context"
	"time"
)

// Acceptance is what an owner or admin grants when accepting.
type Acceptance struct {
	// Request is the number of the request that they saw.
	Request int
	// Areas may be lower than asked for; nil grants what was asked for.
	Areas Areas
	// Until is the end date; nil for none.
	Until *time.Time
}

// AcceptRequest lets the agency in. Errors: Invalid, IdentityChanged, NotFound,
// PermanentlyOwned, Forbidden, Conflict (another request than the one named, or
// the asker's hub is off), RequestExpired, NotPending.
func (h *Hub) AcceptRequest(ctx context.Context, caller Caller, id, agencyID AccountID, in Acceptance) (Profile, error) {
	step, err := h.readAcceptance(in)
	if err != nil {
		return Profile{}, err
	}
	return h.decide(ctx, caller, id, agencyID, step, false)
}

func (h *Hub) readAcceptance(in Acceptance) (Step, error) {
	until, err := ParseUntil(in.Until, h.Now())
	if err != nil {
		return Step{}, err
	}
	step := Step{Do: Accept, By: AccountSide, Number: in.Request, Until: until}
	if in.Areas != nil {
		step.Areas, err = h.Rules.ParseAreas("body.areas", in.Areas)
	}
	return step, err
}

// DenyRequest refuses a request, or dismisses an expired one; with block the
// agency is held off for good. Errors: IdentityChanged, NotFound,
// PermanentlyOwned, Forbidden, NotPending.
func (h *Hub) DenyRequest(ctx context.Context, caller Caller, id, agencyID AccountID, block bool) (Profile, error) {
	return h.decide(ctx, caller, id, agencyID, Step{Do: Deny, By: AccountSide}, block)
}

// decide is one step that the account's side takes on an agency's profile. A
// denial and a revocation hold the agency off for a while, an acceptance ends
// that.
func (h *Hub) decide(ctx context.Context, caller Caller, id, agencyID AccountID, step Step, block bool) (Profile, error) {
	key := At(id, agencyID)
	want := wantStanding(caller, id).and(Want{Profiles: []ProfileKey{key}, Accounts: []AccountID{agencyID}})
	// The account's own pair and that of the person who decides.
	pairs := []PairKey{Between(id, agencyID), Between(caller.ID(), agencyID)}
	if step.Do != Restrict {
		want = want.and(Want{Pairs: pairs})
	}
	var p Profile
	err := h.command(ctx, &caller, want, func(d *decision) error {
		s, err := d.stand(id)
		if err != nil {
			return err
		}
		was := d.profile(key)
		if err := s.mayOn(Decide, was.Version > 0 && !was.Hidden()); err != nil {
			return err
		}
		p = was
		if step.Do == Accept {
			asker := d.read.Account(agencyID)
			if was.StatusAt(d.now) == Pending && !asker.Agency() {
				return Refuse(Conflict, "Whoever asked is no agency any more.")
			}
			p.Name, p.AccountName, p.Subscription = asker.Name, s.account.Name, s.account.Subscription.Summary()
		}
		if p, err = d.apply(p, step); err != nil {
			return err
		}
		changed := p.Version != was.Version
		switch {
		case step.Do == Accept && changed:
			d.accepted(was, pairs)
		case step.Do == Deny || step.Do == Revoke:
			d.refused(changed, block, pairs)
		}
		return nil
	})
	return p, err
}

// accepted is what accepting a request does besides: a signed-in owner has
// decided, so nothing holds the agency off any more, and a request that is
// accepted on the day on which it was made is given back to that day.
func (d *decision) accepted(request Profile, pairs []PairKey) {
	d.allow(pairs...)
	if day(request.RequestedAt).Equal(day(d.now)) {
		d.limits = append(d.limits, CountChange{Agency: request.Member.Account(), Day: d.now, Requests: -1})
	}
}

// refused is what a denial or a revocation does besides. A block also comes
// into force with a repeat that changes nothing else.
func (d *decision) refused(changed, block bool, pairs []PairKey) {
	if changed {
		d.holdOff(pairs...)
	}
	if block {
		d.block(pairs...)
	}
}

// AcceptRequestInto lets the agency into an account that the actor chooses: the
// one asked, or, for a request by email, any in which they are owner or admin.
// The request then goes to that account; one that waits there from the same
// agency is accepted with it. Errors: as AcceptRequest's, and AlreadyConnected.
func (h *Hub) AcceptRequestInto(ctx context.Context, actor Actor, id ConnectionID, account AccountID, in Acceptance) (Profile, error) {
	addressee, agencyID, ok := id.Split()
	if !ok {
		return Profile{}, noSuchRequest()
	}
	if asked := addressee.Account(); asked != "" {
		if asked != account {
			return Profile{}, InvalidField("body.account", "This request asks another account.")
		}
		return h.AcceptRequest(ctx, Caller{Actor: actor}, account, agencyID, in)
	}
	step, err := h.readAcceptance(in)
	if err != nil {
		return Profile{}, err
	}
	if account == agencyID {
		return Profile{}, InvalidField("body.account", "This is the agency's own account.")
	}
	caller := Caller{Actor: actor}
	asked, there := ProfileKey{Addressee: addressee, Member: Party(agencyID)}, At(account, agencyID)
	pairs := []PairKey{Between(account, agencyID), Between(actor.ID(), agencyID)}
	want := wantStanding(caller, account).and(Want{
		Accounts: []AccountID{agencyID}, Profiles: []ProfileKey{asked, there}, Pairs: pairs,
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
		if err := s.may(Decide).Refusal(); err != nil {
			return err
		}
		if request.Status == Moved {
			switch {
			case request.MovedTo != account || target.Version == 0:
				return RefuseState(Accept, request)
			case target.Hidden():
				return noSuchRequest()
			}
			p = target
			return nil
		}
		asker := d.read.Account(agencyID)
		if request.StatusAt(d.now) == Pending && !asker.Agency() {
			return Refuse(Conflict, "Whoever asked is no agency any more.")
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
		return target, RefuseState(Accept, settled)
	}
	if step.Number != request.Request {
		return target, RefuseOtherRequest(request)
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
	waiting.Ownership, waiting.Subscription = account.Ownership, account.Subscription.Summary()
	waiting.Until, waiting.MovedTo, waiting.Delivery = request.Until, "", request.Delivery
	step.Number = waiting.Request
	d.Events = events
	return d.apply(waiting, step)
}

// DenyRequestByID refuses a request by its id, as DenyRequest does. Errors: as
// DenyRequest's.
func (h *Hub) DenyRequestByID(ctx context.Context, actor Actor, id ConnectionID, block bool) (Profile, error) {
	addressee, agencyID, ok := id.Split()
	if !ok {
		return Profile{}, noSuchRequest()
	}
	caller := Caller{Actor: actor}
	if account := addressee.Account(); account != "" {
		return h.DenyRequest(ctx, caller, account, agencyID, block)
	}
	key := ProfileKey{Addressee: addressee, Member: Party(agencyID)}
	pairs := []PairKey{Between(actor.ID(), agencyID)}
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
