package service

import (
	"context"

	"agencyhub/shared/agency"
)

// ConnectionRequest is the input of RequestConnection.
type ConnectionRequest struct {
	// Account is the account asked for access, or OwnerEmail the address of a
	// person who will choose one. Exactly one of them is given.
	Account    agency.AccountID
	OwnerEmail string
	Message    string
	Areas      agency.Areas
	// Key is the call's Idempotency-Key; "" for none.
	Key string
}

// RequestConnection requests access to a client-owned account. By email it does
// and returns the same for every address: known or not, blocking the agency or
// not. The same key and input return, for CallRetention, the same connection as it
// is now. Errors: Invalid, IdentityChanged, NotFound, PermanentlyOwned, Forbidden,
// Conflict (the agency features are off), IdempotencyMismatch, AlreadyRequested,
// AlreadyConnected, Cooling, RateLimited.
func (s *Service) RequestConnection(ctx context.Context, actor agency.Actor, agencyID agency.AccountID, in ConnectionRequest) (agency.Profile, error) {
	message, err := agency.ParseMessage("message", in.Message)
	if err != nil {
		return agency.Profile{}, err
	}
	areas, err := s.Rules.ParseAreas("areas", in.Areas)
	if err != nil {
		return agency.Profile{}, err
	}
	key, email, err := in.addressee(agencyID)
	if err != nil {
		return agency.Profile{}, err
	}
	caller := agency.Caller{Actor: actor}
	pairKey := agency.PairKey{Addressee: key.Addressee, Asker: agencyID}
	pairs := []agency.PairKey{pairKey}
	if email != "" {
		pairs = append(pairs, untaggedPair(email, agencyID))
	}
	want := wantAuthority(caller, agencyID).plus(Want{Profiles: []agency.ProfileKey{key}, Pairs: pairs})
	if in.Account != "" {
		want = want.plus(Want{Accounts: []agency.AccountID{in.Account}})
	}
	callKey, hash := newCallKey(agencyID, in.Key), bodyHash("request", in.Account, email, message, areas)
	if in.Key != "" {
		want = want.plus(Want{Calls: []CallKey{callKey}})
	}
	p, err := run(ctx, s, &caller, want, func(d *decision) (p agency.Profile, err error) {
		auth, err := d.locate(agencyID)
		if err != nil {
			return p, err
		}
		forbidden := auth.allowsInAgency(agency.ManageClients)
		if call, repeated := d.recentCall(callKey); repeated && forbidden == nil {
			p = d.profile(key)
			if err := checkSameCall(call.BodyHash, hash); err != nil {
				return p, err
			}
			if p.Request.Number != call.Request {
				return p, &agency.Error{Code: agency.IdempotencyMismatch, State: p.StatusAt(d.now),
					Message: "The request that was made under this Idempotency-Key was followed by another one. Use a new key to ask again."}
			}
			return p, nil
		}
		if in.Account != "" {
			account := d.read.Account(in.Account)
			if !account.IsOpen() {
				return p, agency.Refuse(agency.NotFound, "There is no account with this id.")
			}
			if account.Ownership == agency.AgencyOwned {
				return p, agency.PermanentOwner.Refusal()
			}
		}
		if forbidden != nil {
			return p, forbidden
		}
		p = d.resumeCounters(key, agencyID)
		p.Name, p.Ownership, p.Email = auth.account.Name, agency.ClientOwned, email
		p, err = d.apply(p, agency.Step{
			Do: agency.OpenRequest, By: agency.AgencySide, Areas: areas, Message: message, Maker: actor.ID(), ExpiresAt: d.now.Add(d.rules.RequestLifetime),
			From: agencyID, Muted: d.isMuted(pairs...),
		})
		if err != nil {
			return p, err
		}
		if in.Account != "" {
			if err := d.isCooling(d.read.Profile(key), pairKey); err != nil {
				return p, err
			}
		}
		rules := d.rules.With(auth.account.Limits)
		d.limits = append(d.limits, CountChange{
			Agency: agencyID, MaxPending: rules.OpenRequests, Day: d.now, Requests: 1, DayBelow: rules.DailyRequests,
		})
		d.countActor(agency.RequestsMade, auth.account.Limits)
		if in.Key != "" {
			d.putCall(callKey, hash, p)
		}
		return p, d.countMail(pairKey)
	})
	if err != nil || p.MovedTo == "" {
		return p, err
	}
	return s.movedTo(ctx, p)
}

// addressee returns the key of the request's profile and, for a person, the
// address that was typed.
func (in ConnectionRequest) addressee(agencyID agency.AccountID) (agency.ProfileKey, string, error) {
	switch {
	case (in.Account == "") == (in.OwnerEmail == ""):
		return agency.ProfileKey{}, "", agency.InvalidField("", "Name the account, or its owner's email address, and not both.")
	case in.Account == agencyID:
		return agency.ProfileKey{}, "", agency.InvalidField("account", "This is the agency's own account.")
	case in.Account != "":
		return agency.AgencyAt(in.Account, agencyID), "", nil
	}
	email, err := agency.ParseEmail("ownerEmail", in.OwnerEmail)
	return agency.ProfileKey{Addressee: agency.Party(agency.NewPersonID(email)), Member: agency.Party(agencyID)}, email, err
}

// ResendRequest sends a pending request's email again and extends the request to
// a whole lifetime from now. Errors: IdentityChanged, NotFound, PermanentlyOwned,
// Forbidden, Conflict (the agency features are off), RequestExpired, NotPending,
// RateLimited.
func (s *Service) ResendRequest(ctx context.Context, actor agency.Actor, agencyID agency.AccountID, id agency.ConnectionID) (agency.Profile, error) {
	return s.agencyStep(ctx, actor, agencyID, id, agency.Step{Do: agency.Resend, By: agency.AgencySide, Maker: actor.ID()})
}

// WithdrawRequest withdraws a pending request. Errors: as ResendRequest's, but for
// RateLimited.
func (s *Service) WithdrawRequest(ctx context.Context, actor agency.Actor, agencyID agency.AccountID, id agency.ConnectionID) (agency.Profile, error) {
	return s.agencyStep(ctx, actor, agencyID, id, agency.Step{Do: agency.Withdraw, By: agency.AgencySide})
}

// LeaveAccount ends the agency's own connection. Errors: IdentityChanged,
// NotFound, PermanentlyOwned, Forbidden, Conflict (the agency features are off), NotActive.
func (s *Service) LeaveAccount(ctx context.Context, actor agency.Actor, agencyID agency.AccountID, id agency.ConnectionID) (agency.Profile, error) {
	return s.agencyStep(ctx, actor, agencyID, id, agency.Step{Do: agency.Leave, By: agency.AgencySide})
}

// agencyStep is one step by the agency on its own connection.
func (s *Service) agencyStep(ctx context.Context, actor agency.Actor, agencyID agency.AccountID, id agency.ConnectionID, step agency.Step) (agency.Profile, error) {
	addressee, of, ok := id.Split()
	if !ok {
		return agency.Profile{}, noSuchConnection()
	}
	key := agency.ProfileKey{Addressee: addressee, Member: agency.Party(agencyID)}
	caller := agency.Caller{Actor: actor}
	want := wantAuthority(caller, agencyID).plus(Want{Profiles: []agency.ProfileKey{key}})
	if account := addressee.Account(); step.Do == agency.Leave && account != "" {
		want = want.plus(Want{Accounts: []agency.AccountID{account}})
	}
	if step.Do == agency.Resend {
		want = want.plus(Want{Pairs: []agency.PairKey{{Addressee: addressee, Asker: agencyID}}})
	}
	return run(ctx, s, &caller, want, func(d *decision) (p agency.Profile, err error) {
		auth, err := d.locate(agencyID)
		if err != nil {
			return p, err
		}
		p = d.profile(key)
		if p.Version == 0 || of != agencyID || !auth.profile.IsAssigned(p.Account()) {
			return p, noSuchConnection()
		}
		if p.IsPermanent() {
			return p, agency.PermanentOwner.Refusal()
		}
		if err := auth.allowsInAgency(agency.ManageClients); err != nil {
			return p, err
		}
		was := p
		if step.Do == agency.Resend {
			step.ExpiresAt = d.now.Add(d.rules.RequestLifetime)
		}
		if p, err = d.apply(p, step); err != nil || step.Do != agency.Resend {
			return p, err
		}
		if err := d.rules.CheckResend(was, d.now); err != nil {
			return p, err
		}
		return p, d.countMail(agency.PairKey{Addressee: addressee, Asker: agencyID})
	})
}

// GetConnection returns one connection of the agency, in any state. Errors:
// IdentityChanged, NotFound, Forbidden.
func (s *Service) GetConnection(ctx context.Context, actor agency.Actor, agencyID agency.AccountID, id agency.ConnectionID) (agency.Profile, error) {
	addressee, of, ok := id.Split()
	if !ok {
		return agency.Profile{}, noSuchConnection()
	}
	key := agency.ProfileKey{Addressee: addressee, Member: agency.Party(agencyID)}
	caller := agency.Caller{Actor: actor}
	var p agency.Profile
	err := s.query(ctx, &caller, wantAuthority(caller, agencyID).plus(Want{Profiles: []agency.ProfileKey{key}}), func(d *decision) error {
		auth, err := d.authorize(agency.ViewClients, agencyID)
		if err != nil {
			return err
		}
		p = d.read.Profile(key)
		if p.Version == 0 || of != agencyID || !auth.profile.IsAssigned(p.Account()) {
			return noSuchConnection()
		}
		return nil
	})
	if err != nil || p.MovedTo == "" {
		return p, err
	}
	return s.movedTo(ctx, p)
}

// movedTo is the connection at the account that took over a request by email.
func (s *Service) movedTo(ctx context.Context, p agency.Profile) (agency.Profile, error) {
	key := agency.AgencyAt(p.MovedTo, p.Member.Account())
	read, err := s.Store.Load(ctx, Want{Profiles: []agency.ProfileKey{key}})
	if err != nil {
		return agency.Profile{}, err
	}
	if there := read.Profile(key); there.Version > 0 {
		return there, nil
	}
	return agency.Profile{}, noSuchConnection()
}

func noSuchConnection() error {
	return agency.Refuse(agency.NotFound, "Your agency has no such connection.")
}
