package service

import (
	"context"

	"agencyhub/shared/agency"
)

// CheckAccess returns the actor's access to an account now, and the profile by
// which they have it. It never refuses a well-formed id, and an unknown account
// looks like a stranger's. With an agency named it takes one batch read; without,
// a second one reads the account's agencies, if it has any. Errors: Invalid (a
// malformed id).
func (s *Service) CheckAccess(ctx context.Context, caller agency.Caller, id agency.AccountID) (agency.Access, error) {
	if !id.IsValid() {
		return agency.Access{}, agency.InvalidField("account", "This is no account id.")
	}
	if err := checkAs(caller); err != nil {
		return agency.Access{}, err
	}
	return s.access(ctx, caller, id, func(p agency.Profile) agency.Profile { return p })
}

// access reads what the access check rests on, and decides. by maps each profile
// of the caller's before that.
func (s *Service) access(ctx context.Context, caller agency.Caller, id agency.AccountID, by func(agency.Profile) agency.Profile) (agency.Access, error) {
	own := agency.PersonAt(id, caller.ID())
	want := Want{Accounts: []agency.AccountID{id}, Profiles: []agency.ProfileKey{own}, People: []agency.PersonID{caller.ID()}}
	agencies := []agency.AccountID{caller.As}
	if caller.As != "" {
		want = want.plus(wantPaths(caller, id, agencies))
	}
	read, err := s.Store.Load(ctx, want)
	if err != nil {
		return agency.Access{}, err
	}
	if !read.Person(caller.ID()).Erasing.IsZero() {
		return agency.Access{Areas: s.Rules.AllAreas(agency.None), Reason: agency.NoProfile}, nil
	}
	ways, now := read, s.Now()
	if caller.As == "" {
		agencies = nil
		if account := read.Account(id); account.IsOpen() {
			agencies = account.Agencies
		}
		if len(agencies) > 0 {
			if ways, err = s.Store.Load(ctx, wantPaths(caller, id, agencies)); err != nil {
				return agency.Access{}, err
			}
		}
	}
	d := decision{read: ways, caller: &caller}
	var paths []agency.Path
	for _, agencyID := range agencies {
		way := d.accessPath(id, agencyID)
		if caller.As == "" && way.Connection.StatusAt(now) != agency.Active {
			// It has lapsed, which the list follows once that is recorded.
			continue
		}
		way.Staff = by(way.Staff)
		paths = append(paths, way)
	}
	return s.Rules.DecideAccess(caller.Actor, read.Account(id), by(read.Profile(own)), paths, now), nil
}

func wantPaths(c agency.Caller, account agency.AccountID, agencies []agency.AccountID) Want {
	var w Want
	for _, agencyID := range agencies {
		w.Accounts = append(w.Accounts, agencyID)
		w.Profiles = append(w.Profiles, agency.AgencyAt(account, agencyID), agency.PersonAt(agencyID, c.ID()))
	}
	return w.plus(Want{})
}

// CheckAccessOf returns what CheckAccess returns to the person with that address,
// signed in with the identity that their profiles are bound to. Errors: Invalid,
// Forbidden.
func (s *Service) CheckAccessOf(ctx context.Context, by agency.Platform, email string, as, id agency.AccountID) (agency.Access, error) {
	if err := by.Authorize(agency.CheckAnyone, agency.ClientOwned); err != nil {
		return agency.Access{}, err
	}
	email, err := agency.ParseEmail("email", email)
	if err != nil {
		return agency.Access{}, err
	}
	switch {
	case !id.IsValid():
		return agency.Access{}, agency.InvalidField("account", "This is no account id.")
	case as != "" && !as.IsValid():
		return agency.Access{}, agency.InvalidField("as", "This is no agency's id.")
	}
	return s.access(ctx, agency.Caller{Actor: agency.Actor{Email: email}, As: as}, id, agency.Profile.Unbound)
}
