package service

import (
	"context"
	"time"

	"agencyhub/shared/agency"
)

// authority is what a caller is to an account, as one decision read it.
type authority struct {
	agency.CallerRole
	account agency.Account
	// profile is the one by which the caller acts: their own in the account or, for
	// an agency's staff, their own in the agency.
	profile agency.Profile
}

// wantAuthority is what locate needs to have been read.
func wantAuthority(c agency.Caller, account agency.AccountID) Want {
	if c.As == "" {
		return Want{Accounts: []agency.AccountID{account}, Profiles: []agency.ProfileKey{agency.PersonAt(account, c.ID())}, People: []agency.PersonID{c.ID()}}
	}
	return Want{
		Accounts: []agency.AccountID{account, c.As},
		Profiles: []agency.ProfileKey{agency.AgencyAt(account, c.As), agency.PersonAt(c.As, c.ID())},
		People:   []agency.PersonID{c.ID()},
	}
}

// locate finds what the caller is to an account, and binds the profile by which they
// act to their identity when it is used for the first time. Errors:
// IdentityChanged, and NotFound for a caller who can't see the account.
func (d *decision) locate(account agency.AccountID) (authority, error) {
	c := *d.caller
	auth := authority{account: d.read.Account(account), CallerRole: agency.Stranger}
	own := agency.PersonAt(account, c.ID())
	if c.As != "" {
		own = agency.PersonAt(c.As, c.ID())
	}
	auth.profile = d.profile(own)
	active := auth.profile.StatusAt(d.now) == agency.Active
	if active && auth.profile.IsBoundToAnother(c.Actor) {
		return auth, agency.Refuse(agency.IdentityChanged, "This address has a new sign-in since it joined the account. Ask an owner or admin of the account for a new sign-in.")
	}
	if active && auth.account.IsOpen() && d.read.Person(c.ID()).Erasing.IsZero() {
		if c.As == "" {
			auth.CallerRole = agency.CallerRoleOf(auth.profile.Role, "", "")
		} else if connection := d.read.Profile(agency.AgencyAt(account, c.As)); connection.StatusAt(d.now) == agency.Active && d.read.Account(c.As).IsAgency() && auth.profile.IsAssigned(account) {
			auth.CallerRole = agency.CallerRoleOf("", connection.Ownership, auth.profile.Role)
		}
	}
	if auth.CallerRole == agency.Stranger {
		return auth, noSuchAccount()
	}
	auth.profile = d.bind(auth.profile)
	return auth, nil
}

// bind binds a registered profile of the caller's to their identity when it is used
// for the first time.
func (d *decision) bind(p agency.Profile) agency.Profile {
	if p.Status != agency.Active || !p.Registered || p.Subject != "" {
		return p
	}
	p.Issuer, p.Subject = d.caller.Issuer, d.caller.Subject
	p.Version++
	d.put(p)
	d.bound = p.ProfileKey
	return p
}

// bindRefused binds a registered profile whose first call was refused.
func (s *Service) bindRefused(ctx context.Context, caller agency.Caller, key agency.ProfileKey) error {
	return s.command(ctx, &caller, Want{Profiles: []agency.ProfileKey{key}}, func(d *decision) error {
		d.bind(d.profile(key))
		return nil
	})
}

// authorize is locate for a caller who must be allowed an operation. Further errors:
// those of Permission.Refusal.
func (d *decision) authorize(op agency.Operation, account agency.AccountID) (authority, error) {
	auth, err := d.locate(account)
	if err != nil {
		return auth, err
	}
	return auth, auth.allows(op)
}

// authorizeInAgency is authorize in the caller's own agency, whose agency features
// must be on (else Conflict).
func (d *decision) authorizeInAgency(op agency.Operation, agencyID agency.AccountID) (authority, error) {
	auth, err := d.locate(agencyID)
	if err != nil {
		return auth, err
	}
	return auth, auth.allowsInAgency(op)
}

// staff returns the profile in their agency of an actor who is allowed an operation
// there, and the time at which that was decided. Errors are authorizeInAgency's.
func (s *Service) staff(
	ctx context.Context, actor agency.Actor, op agency.Operation, agencyID agency.AccountID,
) (me agency.Profile, now time.Time, err error) {
	caller := agency.Caller{Actor: actor}
	err = s.query(ctx, &caller, wantAuthority(caller, agencyID), func(d *decision) error {
		auth, err := d.authorizeInAgency(op, agencyID)
		me, now = auth.profile, d.now
		return err
	})
	return me, now, err
}

func (auth authority) permission(op agency.Operation) agency.Permission {
	return agency.PermissionFor(op, auth.CallerRole, auth.account.Ownership)
}

// allows refuses a caller who is not allowed the operation.
func (auth authority) allows(op agency.Operation) error { return auth.permission(op).Refusal() }

func (auth authority) allowsInAgency(op agency.Operation) error {
	if err := auth.allows(op); err != nil {
		return err
	}
	if !auth.account.IsAgency() {
		return agency.Refuse(agency.Conflict, "The agency features of this account are off. An owner can switch them on.")
	}
	return nil
}

// allowing is a check by one operation alone.
func allowing(op agency.Operation) func(authority) error {
	return func(auth authority) error { return auth.allows(op) }
}

// authorizeMember is allows for an operation on a member who may not exist. A caller
// who can't list the team gets one answer for every member, so that it does not
// show who is in an account.
func (auth authority) authorizeMember(op agency.Operation, exists bool) error {
	err := auth.allows(op)
	if !exists && (err == nil || auth.permission(agency.ViewTeam) == agency.Yes) {
		return noSuchMember()
	}
	return err
}

func noSuchAccount() error {
	return agency.Refuse(agency.NotFound, "There is no such account, or you have no access to it.")
}

func checkAs(c agency.Caller) error {
	if c.As != "" && !c.As.IsValid() {
		return agency.InvalidField("as", "This is no agency's id.")
	}
	return nil
}
