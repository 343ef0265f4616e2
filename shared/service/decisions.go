package service

import (
	"context"
	"time"

	"agencyhub/shared/agency"
)

// Grant is what an owner or admin grants by accepting.
type Grant struct {
	// Request is the number of the request that they saw.
	Request int
	// Areas may be lower than requested; nil grants what was requested.
	Areas agency.Areas
	// Until is the end date; nil for none.
	Until *time.Time
}

// AcceptRequest accepts an agency's request. Errors: Invalid, IdentityChanged,
// NotFound, PermanentlyOwned, Forbidden, Conflict (another request than the one
// named, or the agency's features are off), RequestExpired, NotPending, TooMany.
func (s *Service) AcceptRequest(ctx context.Context, caller agency.Caller, id, agencyID agency.AccountID, in Grant) (agency.Profile, error) {
	step, err := s.readAcceptance(in)
	if err != nil {
		return agency.Profile{}, err
	}
	return s.decideConnection(ctx, caller, id, agencyID, step, false)
}

func (s *Service) readAcceptance(in Grant) (agency.Step, error) {
	until, err := agency.ParseUntil(in.Until, s.Now())
	if err != nil {
		return agency.Step{}, err
	}
	step := agency.Step{Do: agency.Accept, By: agency.AccountSide, Number: in.Request, Until: until}
	if in.Areas != nil {
		step.Areas, err = s.Rules.ParseAreas("areas", in.Areas)
	}
	return step, err
}

// Decline is the answer no to a request.
type Decline struct {
	// Request is the number of the request that they saw.
	Request int
	// Block also blocks the account that asks.
	Block bool
}

// DeclineRequest declines a request, or dismisses an expired one. Errors:
// IdentityChanged, NotFound, PermanentlyOwned, Forbidden, Conflict (another request
// than the one named), NotPending.
func (s *Service) DeclineRequest(ctx context.Context, caller agency.Caller, id, agencyID agency.AccountID, in Decline) (agency.Profile, error) {
	return s.decideConnection(ctx, caller, id, agencyID, agency.Step{Do: agency.Decline, By: agency.AccountSide, Number: in.Request}, in.Block)
}

// decideConnection is one step by the account's side on an agency's profile. A
// decline and a revocation start a cooldown, and an acceptance ends it.
func (s *Service) decideConnection(ctx context.Context, caller agency.Caller, id, agencyID agency.AccountID, step agency.Step, block bool) (agency.Profile, error) {
	key := agency.AgencyAt(id, agencyID)
	want := wantAuthority(caller, id).plus(Want{Profiles: []agency.ProfileKey{key}, Accounts: []agency.AccountID{agencyID}})
	// The account's own pair and that of the person who decides.
	pairs := []agency.PairKey{agency.AccountPair(id, agencyID), agency.PersonPair(caller.ID(), agencyID)}
	if step.Do != agency.Restrict {
		want = want.plus(Want{Pairs: pairs})
	}
	return run(ctx, s, &caller, want, func(d *decision) (p agency.Profile, err error) {
		auth, err := d.locate(id)
		if err != nil {
			return p, err
		}
		was := d.profile(key)
		if err := auth.authorizeMember(agency.DecideRequests, was.Version > 0 && !was.IsHidden()); err != nil {
			return p, err
		}
		p = was
		if step.Do == agency.Accept {
			asker := d.read.Account(agencyID)
			if was.StatusAt(d.now) == agency.Pending && !asker.IsAgency() {
				return p, agency.Refuse(agency.Conflict, "The agency that asked has switched its agency features off.")
			}
			p.Name, p.AccountName, p.Subscription = asker.Name, auth.account.Name, auth.account.Subscription.Summary()
		}
		if p, err = d.apply(p, step); err != nil {
			return p, err
		}
		changed := p.Version != was.Version
		switch {
		case step.Do == agency.Accept && changed:
			d.endRestraint(was, pairs)
		case step.Do == agency.Decline || step.Do == agency.Revoke:
			d.startRestraint(changed, block, pairs)
		}
		return p, nil
	})
}

// endRestraint follows an acceptance. A signed-in owner has decided, so blocks
// and cooldowns end. A request that is accepted on the UTC day on which it was
// made no longer counts for that day.
func (d *decision) endRestraint(request agency.Profile, pairs []agency.PairKey) {
	d.clearPairs(pairs...)
	if day(request.Request.RequestedAt).Equal(day(d.now)) {
		d.limits = append(d.limits, CountChange{Agency: request.Member.Account(), Day: d.now, Requests: -1})
	}
}

// startRestraint follows a decline or a revocation. A block also takes effect with a
// repeat that changes nothing else.
func (d *decision) startRestraint(changed, block bool, pairs []agency.PairKey) {
	if changed {
		d.startCooldown(pairs...)
	}
	if block {
		d.block(pairs...)
	}
}

// AcceptRequestInto accepts a request for an account that the actor chooses: the
// account asked or, for a request by email, any in which they are owner or admin.
// A request that the same agency has open at that account is accepted with it.
// Errors: as AcceptRequest's, and AlreadyConnected.
func (s *Service) AcceptRequestInto(ctx context.Context, actor agency.Actor, id agency.ConnectionID, account agency.AccountID, in Grant) (agency.Profile, error) {
	addressee, agencyID, ok := id.Split()
	if !ok {
		return agency.Profile{}, noSuchRequest()
	}
	if asked := addressee.Account(); asked != "" {
		if asked != account {
			return agency.Profile{}, agency.InvalidField("account", "This request asks another account.")
		}
		return s.AcceptRequest(ctx, agency.Caller{Actor: actor}, account, agencyID, in)
	}
	step, err := s.readAcceptance(in)
	if err != nil {
		return agency.Profile{}, err
	}
	if account == agencyID {
		return agency.Profile{}, agency.InvalidField("account", "This is the agency's own account.")
	}
	caller := agency.Caller{Actor: actor}
	asked, there := agency.ProfileKey{Addressee: addressee, Member: agency.Party(agencyID)}, agency.AgencyAt(account, agencyID)
	pairs := []agency.PairKey{agency.AccountPair(account, agencyID), agency.PersonPair(actor.ID(), agencyID)}
	want := wantAuthority(caller, account).plus(Want{
		Accounts: []agency.AccountID{agencyID}, Profiles: []agency.ProfileKey{asked, there}, Pairs: pairs,
	})
	return run(ctx, s, &caller, want, func(d *decision) (p agency.Profile, err error) {
		if err := d.isAddressee(addressee); err != nil {
			return p, err
		}
		request, target := d.profile(asked), d.profile(there)
		if request.Version == 0 || request.Request.Muted {
			return p, noSuchRequest()
		}
		auth, err := d.locate(account)
		if err != nil {
			return p, err
		}
		if err := auth.permission(agency.DecideRequests).Refusal(); err != nil {
			return p, err
		}
		if request.Status == agency.Moved {
			switch {
			case request.MovedTo != account || target.Version == 0:
				return p, agency.RefuseState(agency.Accept, request)
			case target.IsHidden():
				return p, noSuchRequest()
			}
			p = target
			return p, nil
		}
		asker := d.read.Account(agencyID)
		if request.StatusAt(d.now) == agency.Pending && !asker.IsAgency() {
			return p, agency.Refuse(agency.Conflict, "The agency that asked has switched its agency features off.")
		}
		if target.StatusAt(d.now) == agency.Active {
			return p, &agency.Error{Code: agency.AlreadyConnected, State: agency.Active, Message: "The agency is already connected to this account."}
		}
		if p, err = d.acceptInto(request, d.resumeCounters(there, agencyID), step, auth.account, asker); err != nil {
			return p, err
		}
		d.endRestraint(request, pairs)
		return p, nil
	})
}

// acceptInto accepts a request by email into an account: the agency's profile there
// becomes active as the request asks, and the request is moved. One event reports
// both.
func (d *decision) acceptInto(request, target agency.Profile, step agency.Step, account, asker agency.Account) (agency.Profile, error) {
	if settled, _ := agency.Settle(request, d.now); settled.Status != agency.Pending {
		return target, agency.RefuseState(agency.Accept, settled)
	}
	if step.Number != request.Request.Number {
		return target, agency.RefuseOtherRequest(request.Status)
	}
	// The event of the acceptance stands for this one's.
	if _, _, err := d.change(request, agency.Step{Do: agency.Move, By: agency.ClockSide, Into: account.ID}); err != nil {
		return target, err
	}
	// What the clock has ended there comes first.
	target, settled := agency.Settle(target, d.now)
	d.Events = append(d.Events, settled...)
	open, number := target, target.Request.Number
	if target.Status != agency.Pending {
		number++
	}
	open.Status, open.Request = agency.Pending, request.Request
	open.Request.Number, step.Number = number, number
	open.Name, open.AccountName = asker.Name, account.Name
	open.Ownership, open.Subscription = account.Ownership, account.Subscription.Summary()
	open.Until, open.MovedTo = time.Time{}, ""
	return d.apply(open, step)
}

// DeclineRequestByID is DeclineRequest by the request's id. Errors: as DeclineRequest's.
func (s *Service) DeclineRequestByID(ctx context.Context, actor agency.Actor, id agency.ConnectionID, in Decline) (agency.Profile, error) {
	addressee, agencyID, ok := id.Split()
	if !ok {
		return agency.Profile{}, noSuchRequest()
	}
	caller := agency.Caller{Actor: actor}
	if account := addressee.Account(); account != "" {
		return s.DeclineRequest(ctx, caller, account, agencyID, in)
	}
	key := agency.ProfileKey{Addressee: addressee, Member: agency.Party(agencyID)}
	pairs := []agency.PairKey{agency.PersonPair(actor.ID(), agencyID)}
	want := Want{Profiles: []agency.ProfileKey{key}, People: []agency.PersonID{actor.ID()}, Pairs: pairs}
	return run(ctx, s, &caller, want, func(d *decision) (p agency.Profile, err error) {
		if err := d.isAddressee(addressee); err != nil {
			return p, err
		}
		was := d.profile(key)
		if was.Version == 0 || was.Request.Muted {
			return p, noSuchRequest()
		}
		if p, err = d.apply(was, agency.Step{Do: agency.Decline, By: agency.AccountSide, Number: in.Request}); err != nil {
			return p, err
		}
		d.startRestraint(p.Version != was.Version, in.Block, pairs)
		return p, nil
	})
}
