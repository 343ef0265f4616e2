package service

import (
	"context"
	"slices"
	"time"

	"agencyhub/shared/agency"
)

// Team lists the Team Members of an account, agencies first: all to its owners
// and admins, and to a connected agency its own profile alone. Errors: Invalid
// (cursor), IdentityChanged, NotFound, Forbidden.
func (s *Service) Team(ctx context.Context, caller agency.Caller, id agency.AccountID, page Page) (List[agency.Profile], error) {
	only, err := s.authorizeList(ctx, caller, agency.ViewTeam, id)
	if err != nil {
		return List[agency.Profile]{}, err
	}
	if only == "" {
		list, err := s.Store.Team(ctx, agency.Party(id), page)
		list.Items = slices.DeleteFunc(list.Items, agency.Profile.IsHidden)
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
		p = d.profile(key)
		theirs := auth.permission(agency.ViewTeam) != agency.OwnLines || member == agency.Party(caller.As)
		return auth.authorizeMember(agency.ViewTeam, p.Version > 0 && !p.IsHidden() && theirs)
	})
	if err != nil {
		return agency.Profile{}, err
	}
	return p, nil
}

// Invitation is a person to give access to, and their role and access levels.
type Invitation struct {
	Email string
	// Role is Member in an agency-owned account.
	Role agency.Role
	// Areas are a Member's; nil for the other roles, which have all.
	Areas agency.Areas
}

// InvitePerson gives a person access immediately. Somebody with access gets this
// role and these areas, and can sign in with a new identity; added tells the two
// apart. Errors: Invalid, IdentityChanged, NotFound, Forbidden, LastOwner,
// Conflict (somebody who is being erased can't be an owner).
func (s *Service) InvitePerson(ctx context.Context, caller agency.Caller, id agency.AccountID, in Invitation) (p agency.Profile, added bool, err error) {
	if in.Email, err = agency.ParseEmail("email", in.Email); err != nil {
		return agency.Profile{}, false, err
	}
	if in.Areas, err = s.Rules.ParseRole(in.Role, in.Areas, true); err != nil {
		return agency.Profile{}, false, err
	}
	person := agency.NewPersonID(in.Email)
	want := wantAuthority(caller, id).plus(Want{Profiles: []agency.ProfileKey{agency.PersonAt(id, person)}, People: []agency.PersonID{person}})
	err = s.command(ctx, &caller, want, func(d *decision) error {
		auth, err := d.authorize(agency.ManagePersons, id)
		if err != nil {
			return err
		}
		if auth.account.Ownership == agency.AgencyOwned && in.Role != agency.Member {
			return agency.InvalidField("role", "In an account that an agency owns, every person is a member.")
		}
		if err := auth.canEditOwner(d.profile(agency.PersonAt(id, person)), in.Role); err != nil {
			return err
		}
		var events []agency.Event
		p, events, added, err = d.invite(auth.account, in)
		d.Events = append(d.Events, events...)
		return err
	})
	return p, added, err
}

// canEditOwner refuses an admin who would change, remove or make an owner.
func (auth authority) canEditOwner(target agency.Profile, role agency.Role) error {
	if auth.permission(agency.ManagePersons) == agency.NotOwners && (target.Status == agency.Active && target.Role == agency.Owner || role == agency.Owner) {
		return agency.Refuse(agency.Forbidden, "Only an owner can make, change or remove an owner.")
	}
	return nil
}

// invite gives a person access; added reports whether they had none before. The
// events are left to the caller. Errors: Conflict (somebody who is being erased
// can't be an owner), LastOwner.
func (d *decision) invite(account agency.Account, in Invitation) (p agency.Profile, events []agency.Event, added bool, err error) {
	was := d.profile(agency.PersonAt(account.ID, agency.NewPersonID(in.Email)))
	if err := d.canBeOwner(was, in.Role); err != nil {
		return was, nil, false, err
	}
	p = was
	p.Email, p.AccountName, p.Ownership, p.Subscription = in.Email, account.Name, account.Ownership, account.Subscription.Summary()
	p, events, err = d.change(p, agency.Step{Do: agency.Invite, By: agency.AccountSide, Role: in.Role, Areas: in.Areas})
	if err != nil {
		return p, nil, false, err
	}
	if p.Version != was.Version {
		d.eraseMore(p)
	}
	return p, events, was.Status != agency.Active, d.countOwners(account, was, p)
}

// canBeOwner refuses to make somebody an owner who is being erased: they could
// not keep it.
func (d *decision) canBeOwner(p agency.Profile, role agency.Role) error {
	if role == agency.Owner && !d.read.Person(p.Member.Person()).Erasing.IsZero() {
		return errBeingErased()
	}
	return nil
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
// an agency.
// Errors: Invalid, IdentityChanged, NotFound, PermanentlyOwned, Forbidden,
// NotActive, LastOwner, Conflict (as InvitePerson's).
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
	want := wantAuthority(caller, id).plus(Want{Profiles: []agency.ProfileKey{key}})
	if in.Role == agency.Owner {
		want = want.plus(Want{People: []agency.PersonID{agency.PersonID(member)}})
	}
	var p agency.Profile
	err = s.command(ctx, &caller, want, func(d *decision) error {
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
			role = was.Role
		}
		switch {
		case auth.account.Ownership == agency.AgencyOwned && role != agency.Member:
			return agency.InvalidField("role", "In an account that an agency owns, every person is a member.")
		case role != agency.Member && in.Areas != nil:
			return agency.InvalidField("areas", "Owners and admins have every area. Leave the areas out.")
		case in.Clients != nil && *in.Clients != nil && (role != agency.Member || auth.account.Ownership == agency.AgencyOwned):
			return agency.InvalidField("clients", "Only a member of an agency can be limited to some of its clients.")
		}
		if err := auth.canEditOwner(was, role); err != nil {
			return err
		}
		if err := d.canBeOwner(was, in.Role); err != nil {
			return err
		}
		if p, err = d.apply(was, agency.Step{Do: agency.Change, By: agency.AccountSide, Role: in.Role, Areas: areas, Clients: in.Clients}); err != nil {
			return err
		}
		return d.countOwners(auth.account, was, p)
	})
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
