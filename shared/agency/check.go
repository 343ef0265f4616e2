package agency

import "context"

// CheckAccess answers whether the actor may do something in an account now, and
// through which profile. It never refuses: whoever has no access is told so,
// and an unknown account and a stranger's look the same. With an agency named
// it is one batch read; without, a second one looks through the agencies that
// the actor works for. Errors: Invalid (an id that is not of the form).
func (h *Hub) CheckAccess(ctx context.Context, caller Caller, id AccountID) (Access, error) {
	if !id.Valid() {
		return Access{}, InvalidField("path.account", "This is no account id.")
	}
	if err := checkAs(caller); err != nil {
		return Access{}, err
	}
	return h.access(ctx, caller, id, func(p Profile) Profile { return p })
}

// access reads what the access check rests on, and decides. by is how a profile
// of the caller's is to be looked at.
func (h *Hub) access(ctx context.Context, caller Caller, id AccountID, by func(Profile) Profile) (Access, error) {
	own := At(id, caller.ID())
	want := Want{Accounts: []AccountID{id}, Profiles: []ProfileKey{own}, People: []PersonID{caller.ID()}}
	agencies := []AccountID{caller.As}
	if caller.As != "" {
		want = want.and(wantPaths(caller, id, agencies))
	}
	read, err := h.Store.Load(ctx, want)
	if err != nil {
		return Access{}, err
	}
	if !read.Person(caller.ID()).Erasing.IsZero() {
		return Access{Areas: h.Rules.AllAreas(None), Reason: NoProfile}, nil
	}
	ways := read
	if caller.As == "" {
		agencies = read.Person(caller.ID()).WithoutTeam(id).Teams
		if len(agencies) > 0 && read.Account(id).Exists() {
			if ways, err = h.Store.Load(ctx, wantPaths(caller, id, agencies)); err != nil {
				return Access{}, err
			}
		}
	}
	d := decision{read: ways, caller: &caller}
	var paths []Path
	for _, agencyID := range agencies {
		way := d.path(id, agencyID)
		way.Staff = by(way.Staff)
		paths = append(paths, way)
	}
	return h.Rules.DecideAccess(caller.Actor, read.Account(id), by(read.Profile(own)), paths, h.Now()), nil
}

func wantPaths(c Caller, account AccountID, agencies []AccountID) Want {
	var w Want
	for _, agencyID := range agencies {
		w.Accounts = append(w.Accounts, agencyID)
		w.Profiles = append(w.Profiles, At(account, agencyID), At(agencyID, c.ID()))
	}
	return w.and(Want{})
}

// CheckAccessOf answers what CheckAccess would answer to the person with that
// address, signed in with whatever identity their profiles belong to. Errors:
// Invalid, Forbidden.
func (h *Hub) CheckAccessOf(ctx context.Context, by Platform, email string, as, id AccountID) (Access, error) {
	if err := by.Authorize(CheckAnyone, ClientOwned); err != nil {
		return Access{}, err
	}
	email, err := ParseEmail("body.email", email)
	if err != nil {
		return Access{}, err
	}
	switch {
	case !id.Valid():
		return Access{}, InvalidField("body.account", "This is no account id.")
	case as != "" && !as.Valid():
		return Access{}, InvalidField("body.as", "This is no agency's id.")
	}
	return h.access(ctx, Caller{Actor: Actor{Email: email}, As: as}, id, Profile.Unbound)
}
