package service

import "agencyhub/shared/agency"

// standing is how a caller stands to an account in one decision.
type authority struct {
	agency.CallerRole
	account agency.Account
	// profile is the profile by which the caller acts: their own in the
	// account, or, with an agency's hat on, their own in the agency.
	profile agency.Profile
}

// wantAuthority is what stand needs to be read.
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

// stand finds how the caller stands to an account, and binds the profile by
// which they act to their identity when it is used for the first time. Errors:
// IdentityChanged, and NotFound for whoever may not see the account.
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
		return auth, agency.Refuse(agency.IdentityChanged, "This address now belongs to another sign-in than the one that was let in. Ask an owner to invite you again.")
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

// bind binds an active profile of the caller's to their identity when it is used
// for the first time.
func (d *decision) bind(p agency.Profile) agency.Profile {
	if p.Status != agency.Active || p.Subject != "" {
		return p
	}
	p.Issuer, p.Subject = d.caller.Issuer, d.caller.Subject
	p.Request.Delivery = "" // whether or not an email reached them, they are here
	p.Version++
	d.put(p)
	return p
}

// authorize is stand for a caller who must be allowed an operation.
func (d *decision) authorize(op agency.Operation, account agency.AccountID) (authority, error) {
	auth, err := d.locate(account)
	if err != nil {
		return auth, err
	}
	return auth, auth.permission(op).Refusal()
}

func (auth authority) permission(op agency.Operation) agency.Permission {
	return agency.PermissionFor(op, auth.CallerRole, auth.account.Ownership)
}

// authorizeMember is may for an operation on a member, who is there or not. Whoever can't
// list the team gets one answer for every member: who is in an account is not
// theirs to find out.
func (auth authority) authorizeMember(op agency.Operation, there bool) error {
	err := auth.permission(op).Refusal()
	if !there && (err == nil || auth.permission(agency.ViewTeam) == agency.Yes) {
		return noSuchMember()
	}
	return err
}

// authorizeInAgency is authorize in the caller's own agency, whose hub must be on.
func (d *decision) authorizeInAgency(op agency.Operation, agencyID agency.AccountID) (authority, error) {
	auth, err := d.authorize(op, agencyID)
	if err == nil && !auth.account.IsAgency() {
		err = agency.Refuse(agency.Conflict, "The agency hub of this account is off. An owner can switch it on.")
	}
	return auth, err
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
