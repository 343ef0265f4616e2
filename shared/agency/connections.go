package agency

import (
	"context"
)

// Ask is what an agency says to request a connection.
type Ask struct {
	// Account is whom the request is addressed to; or OwnerEmail is, a person
	// who will choose the account. Exactly one of both is given.
	Account    AccountID
	OwnerEmail string
	Message    string
	Areas      Areas
}

// RequestConnection asks to work in a client-owned account. Addressed by email
// it does and answers the same whatever the address is: known or not, holding
// the agency off or not. Errors: Invalid, IdentityChanged, NotFound,
// PermanentlyOwned, Forbidden, Conflict (the hub is off), AlreadyRequested,
// AlreadyConnected, Cooling, RateLimited.
func (h *Hub) RequestConnection(ctx context.Context, actor Actor, agencyID AccountID, in Ask) (Profile, error) {
	message, err := ParseMessage("body.message", in.Message)
	if err != nil {
		return Profile{}, err
	}
	areas, err := h.Rules.ParseAreas("body.areas", in.Areas)
	if err != nil {
		return Profile{}, err
	}
	key, email, err := in.addressee(agencyID)
	if err != nil {
		return Profile{}, err
	}
	caller := Caller{Actor: actor}
	pairKey := Between(key.Addressee, agencyID)
	want := wantStanding(caller, agencyID).and(Want{Profiles: []ProfileKey{key}, Pairs: []PairKey{pairKey}})
	if in.Account != "" {
		want = want.and(Want{Accounts: []AccountID{in.Account}})
	}
	var p Profile
	err = h.command(ctx, &caller, want, func(d *decision) error {
		s, err := d.stand(agencyID)
		if err != nil {
			return err
		}
		if in.Account != "" {
			account := d.read.Account(in.Account)
			if !account.Open() {
				return Refuse(NotFound, "There is no account with this id.")
			}
			if account.Ownership == AgencyOwned {
				return OwnedForGood.Refusal()
			}
		}
		if _, err := d.standInAgency(WorkHub, agencyID); err != nil {
			return err
		}
		pair := d.pair(pairKey)
		p = d.begun(key)
		p.Name, p.Ownership, p.Email = s.account.Name, ClientOwned, email
		p, err = d.apply(p, Step{
			Do: Request, By: AgencySide, Areas: areas, Message: message, Asker: actor.ID(), ExpiresAt: d.now.Add(d.rules.RequestLifetime),
			Muted: pair.HoldsOff(d.now),
		})
		if err != nil {
			return err
		}
		if in.Account != "" && pair.Cooling(d.now) {
			return &Error{Code: Cooling, State: d.read.Profile(key).Status, RetryAfter: pair.CoolingUntil.Sub(d.now),
				Message: "They have declined not long ago. Give them time before you ask again."}
		}
		d.limits = append(d.limits, CountChange{
			Agency: agencyID, PendingMost: d.rules.OpenRequests, Day: d.now, Requests: 1, DayBelow: d.rules.DailyRequests,
		})
		return d.countMail(pairKey)
	})
	return p, err
}

// addressee is whom a request is addressed to, and the address as it was typed
// where it is a person.
func (in Ask) addressee(agencyID AccountID) (ProfileKey, string, error) {
	switch {
	case (in.Account == "") == (in.OwnerEmail == ""):
		return ProfileKey{}, "", InvalidField("body", "Say whom you ask: an account by its id, or its owner by email, and not both.")
	case in.Account == agencyID:
		return ProfileKey{}, "", InvalidField("body.account", "This is the agency's own account.")
	case in.Account != "":
		return At(in.Account, agencyID), "", nil
	}
	email, err := ParseEmail("body.ownerEmail", in.OwnerEmail)
	return ProfileKey{Addressee: Party(NewPersonID(email)), Member: Party(agencyID)}, email, err
}

// ResendRequest sends a pending request's email again and gives it a whole
// lifetime from now. Errors: IdentityChanged, NotFound, PermanentlyOwned,
// Forbidden, RequestExpired, NotPending, RateLimited.
func (h *Hub) ResendRequest(ctx context.Context, actor Actor, agencyID AccountID, id ConnectionID) (Profile, error) {
	return h.agencyStep(ctx, actor, agencyID, id, Step{Do: Resend, By: AgencySide, Asker: actor.ID()})
}

// WithdrawRequest takes a pending request back. Errors: as ResendRequest's.
func (h *Hub) WithdrawRequest(ctx context.Context, actor Actor, agencyID AccountID, id ConnectionID) (Profile, error) {
	return h.agencyStep(ctx, actor, agencyID, id, Step{Do: Withdraw, By: AgencySide})
}

// LeaveAccount ends the agency's own connection. Errors: IdentityChanged,
// NotFound, PermanentlyOwned, Forbidden, NotActive.
func (h *Hub) LeaveAccount(ctx context.Context, actor Actor, agencyID AccountID, id ConnectionID) (Profile, error) {
	return h.agencyStep(ctx, actor, agencyID, id, Step{Do: Leave, By: AgencySide})
}

// agencyStep is one step that an agency takes in its own connection.
func (h *Hub) agencyStep(ctx context.Context, actor Actor, agencyID AccountID, id ConnectionID, step Step) (Profile, error) {
	addressee, of, ok := id.Split()
	if !ok || of != agencyID {
		return Profile{}, noSuchConnection()
	}
	key := ProfileKey{Addressee: addressee, Member: Party(agencyID)}
	caller := Caller{Actor: actor}
	want := wantStanding(caller, agencyID).and(Want{Profiles: []ProfileKey{key}})
	if step.Do == Resend {
		want = want.and(Want{Pairs: []PairKey{Between(addressee, agencyID)}})
	}
	var p Profile
	err := h.command(ctx, &caller, want, func(d *decision) error {
		s, err := d.stand(agencyID)
		if err != nil {
			return err
		}
		p = d.profile(key)
		if p.Version == 0 || !s.profile.IsAssigned(p.Account()) {
			return noSuchConnection()
		}
		if p.Permanent() {
			return OwnedForGood.Refusal()
		}
		if _, err := d.standInAgency(WorkHub, agencyID); err != nil {
			return err
		}
		was := p
		if step.Do == Resend {
			step.ExpiresAt = d.now.Add(d.rules.RequestLifetime)
		}
		if p, err = d.apply(p, step); err != nil || step.Do != Resend {
			return err
		}
		if err := d.rules.CheckResend(was, d.now); err != nil {
			return err
		}
		return d.countMail(Between(addressee, agencyID))
	})
	return p, err
}

// SeeConnection answers one connection of the agency, in whatever state. Errors:
// IdentityChanged, NotFound, Forbidden.
func (h *Hub) SeeConnection(ctx context.Context, actor Actor, agencyID AccountID, id ConnectionID) (Profile, error) {
	addressee, of, ok := id.Split()
	if !ok || of != agencyID {
		return Profile{}, noSuchConnection()
	}
	key := ProfileKey{Addressee: addressee, Member: Party(agencyID)}
	caller := Caller{Actor: actor}
	var p Profile
	err := h.command(ctx, &caller, wantStanding(caller, agencyID).and(Want{Profiles: []ProfileKey{key}}), func(d *decision) error {
		s, err := d.standAs(SeeClients, agencyID)
		if err != nil {
			return err
		}
		p = d.read.Profile(key)
		if p.Version == 0 || !s.profile.IsAssigned(p.Account()) {
			return noSuchConnection()
		}
		return nil
	})
	if err != nil || p.MovedTo == "" {
		return p, err
	}
	return h.movedTo(ctx, p)
}

// movedTo is the connection at the account that took a request by email up.
func (h *Hub) movedTo(ctx context.Context, p Profile) (Profile, error) {
	key := At(p.MovedTo, p.Member.Account())
	read, err := h.Store.Load(ctx, Want{Profiles: []ProfileKey{key}})
	if err != nil {
		return Profile{}, err
	}
	if there := read.Profile(key); there.Version > 0 {
		return there, nil
	}
	return Profile{}, noSuchConnection()
}

func noSuchConnection() error {
	return Refuse(NotFound, "Your agency has no such connection.")
}
