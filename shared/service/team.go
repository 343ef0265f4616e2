package service

import (
	"context"
	"errors"
	"slices"
	"time"

	"agencyhub/shared/agency"
)

// Team lists the Team Members of an account, agencies first: all to its owners
// and admins, and to a connected agency its own profile alone. Errors: Invalid
// (cursor), IdentityChanged, NotFound, Forbidden.
func (s *Service) Team(ctx context.Context, caller agency.Caller, id agency.AccountID, page Page) (List[agency.Profile], error) {
	only, _, err := s.authorizeList(ctx, caller, agency.ViewTeam, id)
	if err != nil {
		return List[agency.Profile]{}, err
	}
	if only == "" {
		list, err := s.Store.Team(ctx, agency.Party(id), page)
		list.Items = slices.DeleteFunc(list.Items, agency.Profile.IsHidden)
		for i, p := range list.Items {
			list.Items[i] = withoutMutedOffer(p, caller)
		}
		return list, err
	}
	read, err := s.Store.Load(ctx, Want{Profiles: []agency.ProfileKey{agency.AgencyAt(id, only)}})
	if err != nil {
		return List[agency.Profile]{}, err
	}
	return List[agency.Profile]{Items: []agency.Profile{read.Profile(agency.AgencyAt(id, only))}}, nil
}

// GetMember returns one member of an account, in any state, to a caller who sees
// them in its team. Errors: IdentityChanged, NotFound, Forbidden.
func (s *Service) GetMember(ctx context.Context, caller agency.Caller, id agency.AccountID, member agency.Party) (agency.Profile, error) {
	key := agency.ProfileKey{Addressee: agency.Party(id), Member: member}
	var p agency.Profile
	err := s.query(ctx, &caller, wantAuthority(caller, id).plus(Want{Profiles: []agency.ProfileKey{key}}), func(d *decision) error {
		auth, err := d.locate(id)
		if err != nil {
			return err
		}
		p = withoutMutedOffer(d.profile(key), caller)
		theirs := auth.permission(agency.ViewTeam) != agency.OwnLines || member == agency.Party(caller.As)
		return auth.authorizeMember(agency.ViewTeam, p.Version > 0 && !p.IsHidden() && theirs)
	})
	if err != nil {
		return agency.Profile{}, err
	}
	return p, nil
}

// MemberChange is what a member is to have from now on. What is not given stays.
type MemberChange struct {
	Role  agency.Role
	Areas agency.Areas
	// Until is an agency's end date; a zero time removes it.
	Until *time.Time
	// Clients limits a member of an agency to these clients; a pointer to nil
	// lifts the limit.
	Clients *[]agency.AccountID
}

// MaxAssigned bounds the clients that a member of an agency can be assigned to.
const MaxAssigned = 90

// ChangeMember changes a person's role, areas or assigned clients, or restricts
// an agency. The role owner is offered: the person keeps the role that they have until
// they accept. Errors: Invalid, IdentityChanged, NotFound, PermanentlyOwned, Forbidden,
// NotActive, LastOwner, Cooling, RateLimited.
func (s *Service) ChangeMember(ctx context.Context, caller agency.Caller, id agency.AccountID, member agency.Party, in MemberChange) (agency.Profile, error) {
	if in.Role == "" && in.Areas == nil && in.Until == nil && in.Clients == nil {
		return agency.Profile{}, agency.InvalidField("", "Say what to change.")
	}
	if member.Account() != "" {
		return s.restrict(ctx, caller, id, member.Account(), in)
	}
	areas, err := s.Rules.ParseRole(in.Role, in.Areas, false)
	if err != nil {
		return agency.Profile{}, err
	}
	if err := in.readPerson(); err != nil {
		return agency.Profile{}, err
	}
	key := agency.ProfileKey{Addressee: agency.Party(id), Member: member}
	from := askerFor(caller, id)
	want := wantAuthority(caller, id).plus(Want{Profiles: []agency.ProfileKey{key}})
	if in.Role == agency.Owner && member.Person() != "" {
		want = want.plus(Want{Pairs: []agency.PairKey{agency.PersonPair(member.Person(), from)}})
	}
	var p agency.Profile
	decide := func(d *decision) error {
		auth, err := d.locate(id)
		if err != nil {
			return err
		}
		was := d.profile(key)
		if err := auth.authorizeMember(agency.ManagePersons, was.Version > 0); err != nil {
			return err
		}
		role := in.Role
		if role == "" {
			role = was.ShownRole()
		}
		switch {
		case auth.canHaveRole(role) != nil:
			return auth.canHaveRole(role)
		case role != agency.Member && in.Areas != nil:
			return agency.InvalidField("areas", "Owners and admins have every area. Leave the areas out.")
		case in.Clients != nil && *in.Clients != nil && (role != agency.Member || auth.account.Ownership == agency.AgencyOwned):
			return agency.InvalidField("clients", "Only a member of an agency can be limited to some of its clients.")
		}
		if err := auth.canEditOwner(was, role); err != nil {
			return err
		}
		if in.Role == agency.Owner && was.StatusAt(d.now) == agency.Active && was.Role != agency.Owner {
			var events []agency.Event
			p, events, err = d.invite(auth.account, from, Invitation{Email: was.Email, Role: agency.Owner, Areas: areas})
			d.Events = append(d.Events, events...)
			return err
		}
		if p, err = d.apply(was, agency.Step{Do: agency.Change, By: agency.AccountSide, Role: in.Role, Areas: areas, Clients: in.Clients}); err != nil {
			return err
		}
		return d.countOwners(auth.account, was, p)
	}
	err = s.command(ctx, &caller, want, decide)
	if missing, ok := errors.AsType[*pairNotReadError](err); ok {
		// Only the profile tells that the address has a tag.
		err = s.command(ctx, &caller, want.plus(Want{Pairs: []agency.PairKey{missing.key}}), decide)
	}
	return p, err
}

// readPerson checks what only some members can be given.
func (in MemberChange) readPerson() error {
	if in.Until != nil {
		return agency.InvalidField("until", "Only an agency's access has an end date.")
	}
	if in.Clients == nil {
		return nil
	}
	if len(*in.Clients) > MaxAssigned {
		return agency.InvalidField("clients", "A member can be limited to at most %d clients.", MaxAssigned)
	}
	for _, id := range *in.Clients {
		if !id.IsValid() {
			return agency.InvalidField("clients", "One of the clients is no account id.")
		}
	}
	return nil
}

func (s *Service) restrict(ctx context.Context, caller agency.Caller, id, agencyID agency.AccountID, in MemberChange) (agency.Profile, error) {
	if in.Role != "" {
		return agency.Profile{}, agency.InvalidField("role", "An agency has no role. Give it areas.")
	}
	if in.Clients != nil {
		return agency.Profile{}, agency.InvalidField("clients", "Only persons are assigned to clients.")
	}
	step := agency.Step{Do: agency.Restrict, By: agency.AccountSide, Until: in.Until}
	if in.Until != nil && !in.Until.IsZero() {
		until, err := agency.ParseUntil(in.Until, s.Now())
		if err != nil {
			return agency.Profile{}, err
		}
		step.Until = until
	}
	if in.Areas != nil {
		areas, err := s.Rules.ParseAreas("areas", in.Areas)
		if err != nil {
			return agency.Profile{}, err
		}
		step.Areas = areas
	}
	return s.decideConnection(ctx, caller, id, agencyID, step, false)
}

// RemoveMember ends a member's access: it revokes an agency's (block also blocks
// it), removes a person, or lets the actor leave. Errors: Invalid (blocking a
// person), IdentityChanged, NotFound, PermanentlyOwned, Forbidden, NotActive,
// LastOwner.
func (s *Service) RemoveMember(ctx context.Context, caller agency.Caller, id agency.AccountID, member agency.Party, block bool) (agency.Profile, error) {
	if agencyID := member.Account(); agencyID != "" {
		return s.decideConnection(ctx, caller, id, agencyID, agency.Step{Do: agency.Revoke, By: agency.AccountSide}, block)
	}
	if block {
		return agency.Profile{}, agency.InvalidField("block", "Only an agency can be blocked.")
	}
	key := agency.ProfileKey{Addressee: agency.Party(id), Member: member}
	self := caller.As == "" && member == agency.Party(caller.ID())
	want := wantAuthority(caller, id).plus(Want{Profiles: []agency.ProfileKey{key}})
	return run(ctx, s, &caller, want, func(d *decision) (p agency.Profile, err error) {
		if p = d.profile(key); self && p.Status == agency.Left && !p.IsBoundToAnother(caller.Actor) {
			return p, nil
		}
		auth, err := d.locate(id)
		if err != nil {
			return p, err
		}
		was := d.profile(key)
		step := agency.Step{Do: agency.Leave, By: agency.SelfSide}
		if !self {
			step = agency.Step{Do: agency.Remove, By: agency.AccountSide}
			if err := auth.authorizeMember(agency.ManagePersons, was.Version > 0); err != nil {
				return p, err
			}
			if err := auth.canEditOwner(was, ""); err != nil {
				return p, err
			}
		}
		if p, err = d.apply(was, step); err != nil {
			return p, err
		}
		return p, d.countOwners(auth.account, was, p)
	})
}

func noSuchMember() error {
	return agency.Refuse(agency.NotFound, "There is no such member in this account.")
}
