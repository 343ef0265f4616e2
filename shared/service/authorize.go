package service

import "agencyhub/shared/agency"

// standing is how a caller stands to an account in one decision.
type standing struct {
	agency.CallerRole
	account agency.Account
	// profile is the profile by which the caller acts: their own in the
	// account, or, with an agency's hat on, their own in the agency.
	profile agency.Profile
}

// wantStanding is what stand needs to be read.
func wantStanding(c agency.Caller, account agency.AccountID) Want {
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
func (d *decision) stand(account agency.AccountID) (standing, error) {
	c := *d.caller
	s := standing{account: d.read.Account(account), CallerRole: agency.Stranger}
	own := agency.PersonAt(account, c.ID())
	if c.As != "" {
		own = agency.PersonAt(c.As, c.ID())
	}
	s.profile = d.profile(own)
	active := s.profile.StatusAt(d.now) == agency.Active
	if active && s.profile.IsBoundToAnother(c.Actor) {
		return s, agency.Refuse(agency.IdentityChanged, "This address now belongs to another sign-in than the one that was let in. Ask an owner to invite you again.")
	}
	if active && s.account.Open() && d.read.Person(c.ID()).Erasing.IsZero() {
		if c.As == "" {
			s.CallerRole = agency.CallerRoleOf(s.profile.Role, "", "")
		} else if connection := d.read.Profile(agency.AgencyAt(account, c.As)); connection.StatusAt(d.now) == agency.Active && d.read.Account(c.As).Agency() && s.profile.IsAssigned(account) {
			s.CallerRole = agency.CallerRoleOf("", connection.Ownership, s.profile.Role)
		}
	}
	if s.CallerRole == agency.Stranger {
		return s, noSuchAccount()
	}
	s.profile = d.bind(s.profile)
	return s, nil
}

// bind binds an active profile of the caller's to their identity when it is used
// for the first time.
func (d *decision) bind(p agency.Profile) agency.Profile {
	if p.Status != agency.Active || p.Subject != "" {
		return p
	}
	p.Issuer, p.Subject = d.caller.Issuer, d.caller.Subject
	p.Delivery = "" // whether or not an email reached them, they are here
	p.Version++
	d.put(p)
	return p
}

// standAs is stand for a caller who must be allowed an operation.
func (d *decision) standAs(op agency.Operation, account agency.AccountID) (standing, error) {
	s, err := d.stand(account)
	if err != nil {
		return s, err
	}
	return s, s.may(op).Refusal()
}

func (s standing) may(op agency.Operation) agency.Permission {
	return agency.PermissionFor(op, s.CallerRole, s.account.Ownership)
}

// mayOn is may for an operation on a member, who is there or not. Whoever can't
// list the team gets one answer for every member: who is in an account is not
// theirs to find out.
func (s standing) mayOn(op agency.Operation, there bool) error {
	err := s.may(op).Refusal()
	if !there && (err == nil || s.may(agency.SeeTeam) == agency.Yes) {
		return noSuchMember()
	}
	return err
}

// standInAgency is standAs in the caller's own agency, whose hub must be on.
func (d *decision) standInAgency(op agency.Operation, agencyID agency.AccountID) (standing, error) {
	s, err := d.standAs(op, agencyID)
	if err == nil && !s.account.Agency() {
		err = agency.Refuse(agency.Conflict, "The agency hub of this account is off. An owner can switch it on.")
	}
	return s, err
}

func noSuchAccount() error {
	return agency.Refuse(agency.NotFound, "There is no such account, or you have no access to it.")
}

func checkAs(c agency.Caller) error {
	if c.As != "" && !c.As.Valid() {
		return agency.InvalidField("query.as", "This is no agency's id.")
	}
	return nil
}
