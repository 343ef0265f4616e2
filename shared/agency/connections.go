package agency

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"
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
func (h *Hub) RequestConnection(ctx context.Context, actor Actor, agency AccountID, in Ask) (Profile, error) {
	message, err := readMessage("body.message", in.Message)
	if err != nil {
		return Profile{}, err
	}
	areas, err := h.Rules.readAreas("body.areas", in.Areas)
	if err != nil {
		return Profile{}, err
	}
	key, email, err := in.addressee(agency)
	if err != nil {
		return Profile{}, err
	}
	caller := Caller{Actor: actor}
	pairKey := between(key.Addressee, agency)
	want := wantStanding(caller, agency).and(Want{Profiles: []ProfileKey{key}, Pairs: []PairKey{pairKey}})
	if in.Account != "" {
		want = want.and(Want{Accounts: []AccountID{in.Account}})
	}
	var p Profile
	err = h.command(ctx, &caller, want, func(d *decision) error {
		s, err := d.stand(agency)
		if err != nil {
			return err
		}
		if in.Account != "" {
			account := d.read.Account(in.Account)
			if !account.Open() {
				return refuse(NotFound, "There is no account with this id.")
			}
			if account.Ownership == AgencyOwned {
				return OwnedForGood.refusal()
			}
		}
		if _, err := d.standInAgency(WorkHub, agency); err != nil {
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
			Agency: agency, PendingMost: d.rules.OpenRequests, Day: d.now, Requests: 1, DayBelow: d.rules.DailyRequests,
		})
		return d.countMail(pairKey)
	})
	return p, err
}

// addressee is whom a request is addressed to, and the address as it was typed
// where it is a person.
func (in Ask) addressee(agency AccountID) (ProfileKey, string, error) {
	switch {
	case (in.Account == "") == (in.OwnerEmail == ""):
		return ProfileKey{}, "", invalid("body", "Say whom you ask: an account by its id, or its owner by email, and not both.")
	case in.Account == agency:
		return ProfileKey{}, "", invalid("body.account", "This is the agency's own account.")
	case in.Account != "":
		return At(in.Account, agency), "", nil
	}
	email, err := readEmail("body.ownerEmail", in.OwnerEmail)
	return ProfileKey{Addressee: Party(NewPersonID(email)), Member: Party(agency)}, email, err
}

// ResendRequest sends a pending request's email again and gives it a whole
// lifetime from now. Errors: IdentityChanged, NotFound, PermanentlyOwned,
// Forbidden, RequestExpired, NotPending, RateLimited.
func (h *Hub) ResendRequest(ctx context.Context, actor Actor, agency AccountID, id ConnectionID) (Profile, error) {
	return h.agencyStep(ctx, actor, agency, id, Step{Do: Resend, By: AgencySide, Asker: actor.ID()})
}

// maySendAgain refuses a resend that comes too soon, or too often.
func (r Rules) maySendAgain(p Profile, now time.Time) error {
	next := p.MailedAt.Add(r.ResendAfter)
	switch {
	case p.Resends >= r.Resends:
		return &Error{Code: RateLimited, State: p.Status, RetryAfter: p.ExpiresAt.Sub(now), Message: "This request was sent again as often as it may be. Wait for an answer, or until it expires."}
	case now.Before(next):
		return &Error{Code: RateLimited, State: p.Status, RetryAfter: next.Sub(now), Message: "This request was sent not long ago. Give them a day before you send it again."}
	default:
		return nil
	}
}

// WithdrawRequest takes a pending request back. Errors: as ResendRequest's.
func (h *Hub) WithdrawRequest(ctx context.Context, actor Actor, agency AccountID, id ConnectionID) (Profile, error) {
	return h.agencyStep(ctx, actor, agency, id, Step{Do: Withdraw, By: AgencySide})
}

// LeaveAccount ends the agency's own connection. Errors: IdentityChanged,
// NotFound, PermanentlyOwned, Forbidden, NotActive.
func (h *Hub) LeaveAccount(ctx context.Context, actor Actor, agency AccountID, id ConnectionID) (Profile, error) {
	return h.agencyStep(ctx, actor, agency, id, Step{Do: Leave, By: AgencySide})
}

// agencyStep is one step that an agency takes in its own connection.
func (h *Hub) agencyStep(ctx context.Context, actor Actor, agency AccountID, id ConnectionID, step Step) (Profile, error) {
	addressee, of, ok := id.Split()
	if !ok || of != agency {
		return Profile{}, noSuchConnection()
	}
	key := ProfileKey{Addressee: addressee, Member: Party(agency)}
	caller := Caller{Actor: actor}
	want := wantStanding(caller, agency).and(Want{Profiles: []ProfileKey{key}})
	if step.Do == Resend {
		want = want.and(Want{Pairs: []PairKey{between(addressee, agency)}})
	}
	var p Profile
	err := h.command(ctx, &caller, want, func(d *decision) error {
		s, err := d.stand(agency)
		if err != nil {
			return err
		}
		p = d.profile(key)
		if p.Version == 0 || !s.profile.assigned(p.Account()) {
			return noSuchConnection()
		}
		if p.Permanent() {
			return OwnedForGood.refusal()
		}
		if _, err := d.standInAgency(WorkHub, agency); err != nil {
			return err
		}
		was := p
		if step.Do == Resend {
			step.ExpiresAt = d.now.Add(d.rules.RequestLifetime)
		}
		if p, err = d.apply(p, step); err != nil || step.Do != Resend {
			return err
		}
		if err := d.rules.maySendAgain(was, d.now); err != nil {
			return err
		}
		return d.countMail(between(addressee, agency))
	})
	return p, err
}

// SeeConnection answers one connection of the agency, in whatever state. Errors:
// IdentityChanged, NotFound, Forbidden.
func (h *Hub) SeeConnection(ctx context.Context, actor Actor, agency AccountID, id ConnectionID) (Profile, error) {
	addressee, of, ok := id.Split()
	if !ok || of != agency {
		return Profile{}, noSuchConnection()
	}
	key := ProfileKey{Addressee: addressee, Member: Party(agency)}
	caller := Caller{Actor: actor}
	var p Profile
	err := h.command(ctx, &caller, wantStanding(caller, agency).and(Want{Profiles: []ProfileKey{key}}), func(d *decision) error {
		s, err := d.standAs(SeeClients, agency)
		if err != nil {
			return err
		}
		p = d.read.Profile(key)
		if p.Version == 0 || !s.profile.assigned(p.Account()) {
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

// Clients lists the agency's clients in every state, or in one, with the
// agency's counts. Rows that the clock has ended, and nobody has recorded yet,
// are left out of the lists of pending and active ones. Errors: Invalid,
// IdentityChanged, NotFound, Forbidden, Conflict (the hub is off).
func (h *Hub) Clients(ctx context.Context, actor Actor, agency AccountID, filter ClientFilter, page Page) (List[Profile], Counts, error) {
	if filter.Status != "" && !filter.Status.Valid() {
		return List[Profile]{}, Counts{}, invalid("query.status", "There is no such status.")
	}
	if filter.Prefix != "" && filter.Status == "" {
		return List[Profile]{}, Counts{}, invalid("query.prefix", "A prefix needs a status: search within one.")
	}
	if filter.Ended && filter.Status != "" {
		return List[Profile]{}, Counts{}, invalid("query.status", "Ask for one status, or for all that has ended.")
	}
	caller := Caller{Actor: actor}
	var now time.Time
	var me Profile
	err := h.command(ctx, &caller, wantStanding(caller, agency), func(d *decision) error {
		now = d.now
		s, err := d.standInAgency(SeeClients, agency)
		me = s.profile
		return err
	})
	if err != nil {
		return List[Profile]{}, Counts{}, err
	}
	if me.Clients != nil {
		return h.assignedClients(ctx, agency, me.Clients, filter, now)
	}
	counts, err := h.Store.Counts(ctx, agency)
	if err != nil {
		return List[Profile]{}, Counts{}, err
	}
	rows, err := h.Store.Clients(ctx, agency, filter, page)
	if err != nil {
		return List[Profile]{}, Counts{}, err
	}
	list := List[Profile]{Next: rows.Next}
	for _, p := range rows.Items {
		if filter.holds(p, now) {
			list.Items = append(list.Items, p)
		}
	}
	return list, counts, nil
}

// assignedClients lists the clients that a member of an agency is limited to:
// all on one page, with counts of these alone.
func (h *Hub) assignedClients(ctx context.Context, agency AccountID, assigned []AccountID, filter ClientFilter, now time.Time) (List[Profile], Counts, error) {
	var list List[Profile]
	var counts Counts
	if len(assigned) == 0 {
		return list, counts, nil
	}
	var want Want
	for _, id := range assigned {
		want.Profiles = append(want.Profiles, At(id, agency))
	}
	read, err := h.Store.Load(ctx, want.and(Want{}))
	if err != nil {
		return list, counts, err
	}
	for _, p := range read.Profiles {
		if p.Version == 0 || p.Status == Moved {
			continue
		}
		switch status := p.StatusAt(now); {
		case status == Active && p.Ownership == AgencyOwned:
			counts.Owned++
		case status == Active:
			counts.Connected++
		case status == Pending:
			counts.Pending++
		}
		if filter.holds(p, now) && strings.HasPrefix(Fold(p.AccountName), Fold(filter.Prefix)) {
			list.Items = append(list.Items, p)
		}
	}
	slices.SortFunc(list.Items, func(a, b Profile) int {
		return cmp.Or(cmp.Compare(a.Status, b.Status), cmp.Compare(Fold(a.AccountName), Fold(b.AccountName)), cmp.Compare(a.Addressee, b.Addressee))
	})
	return list, counts, nil
}

// Acceptance is what an owner or admin grants when accepting.
type Acceptance struct {
	// Request is the number of the request that they saw.
	Request int
	// Areas may be lower than asked for; nil grants what was asked for.
	Areas Areas
	// Until is the end date; nil for none.
	Until *time.Time
}

// AcceptRequest lets the agency in. Errors: Invalid, IdentityChanged, NotFound,
// PermanentlyOwned, Forbidden, Conflict (another request than the one named, or
// the asker's hub is off), RequestExpired, NotPending.
func (h *Hub) AcceptRequest(ctx context.Context, caller Caller, id, agency AccountID, in Acceptance) (Profile, error) {
	step, err := h.readAcceptance(in)
	if err != nil {
		return Profile{}, err
	}
	return h.decide(ctx, caller, id, agency, step, false)
}

func (h *Hub) readAcceptance(in Acceptance) (Step, error) {
	until, err := readUntil(in.Until, h.Now())
	if err != nil {
		return Step{}, err
	}
	step := Step{Do: Accept, By: AccountSide, Number: in.Request, Until: until}
	if in.Areas != nil {
		step.Areas, err = h.Rules.readAreas("body.areas", in.Areas)
	}
	return step, err
}

// DenyRequest refuses a request, or dismisses an expired one; with block the
// agency is held off for good. Errors: IdentityChanged, NotFound,
// PermanentlyOwned, Forbidden, NotPending.
func (h *Hub) DenyRequest(ctx context.Context, caller Caller, id, agency AccountID, block bool) (Profile, error) {
	return h.decide(ctx, caller, id, agency, Step{Do: Deny, By: AccountSide}, block)
}

// decide is one step that the account's side takes on an agency's profile. A
// denial and a revocation hold the agency off for a while, an acceptance ends
// that.
func (h *Hub) decide(ctx context.Context, caller Caller, id, agency AccountID, step Step, block bool) (Profile, error) {
	key := At(id, agency)
	want := wantStanding(caller, id).and(Want{Profiles: []ProfileKey{key}, Accounts: []AccountID{agency}})
	// The account's own pair and that of the person who decides.
	pairs := []PairKey{between(id, agency), between(caller.ID(), agency)}
	if step.Do != Restrict {
		want = want.and(Want{Pairs: pairs})
	}
	var p Profile
	err := h.command(ctx, &caller, want, func(d *decision) error {
		s, err := d.stand(id)
		if err != nil {
			return err
		}
		was := d.profile(key)
		if err := s.mayOn(Decide, was.Version > 0 && !was.Hidden()); err != nil {
			return err
		}
		p = was
		if step.Do == Accept {
			asker := d.read.Account(agency)
			if was.StatusAt(d.now) == Pending && !asker.Agency() {
				return refuse(Conflict, "Whoever asked is no agency any more.")
			}
			p.Name, p.AccountName, p.Subscription = asker.Name, s.account.Name, s.account.Subscription.copy()
		}
		if p, err = d.apply(p, step); err != nil {
			return err
		}
		changed := p.Version != was.Version
		switch {
		case step.Do == Accept && changed:
			d.accepted(was, pairs)
		case step.Do == Deny || step.Do == Revoke:
			d.refused(changed, block, pairs)
		}
		return nil
	})
	return p, err
}

// accepted is what accepting a request does besides: a signed-in owner has
// decided, so nothing holds the agency off any more, and a request that is
// accepted on the day on which it was made is given back to that day.
func (d *decision) accepted(request Profile, pairs []PairKey) {
	d.allow(pairs...)
	if day(request.RequestedAt).Equal(day(d.now)) {
		d.limits = append(d.limits, CountChange{Agency: request.Member.Account(), Day: d.now, Requests: -1})
	}
}

// refused is what a denial or a revocation does besides. A block also comes
// into force with a repeat that changes nothing else.
func (d *decision) refused(changed, block bool, pairs []PairKey) {
	if changed {
		d.holdOff(pairs...)
	}
	if block {
		d.block(pairs...)
	}
}

// CheckAccess answers whether the actor may do something in an account now, and
// through which profile. It never refuses: whoever has no access is told so,
// and an unknown account and a stranger's look the same. With an agency named
// it is one batch read; without, a second one looks through the agencies that
// the actor works for. Errors: Invalid (an id that is not of the form).
func (h *Hub) CheckAccess(ctx context.Context, caller Caller, id AccountID) (Access, error) {
	if !id.Valid() {
		return Access{}, invalid("path.account", "This is no account id.")
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
		return Access{Areas: h.Rules.every(None), Reason: NoProfile}, nil
	}
	ways := read
	if caller.As == "" {
		agencies = read.Person(caller.ID()).without(id).Teams
		if len(agencies) > 0 && read.Account(id).Exists() {
			if ways, err = h.Store.Load(ctx, wantPaths(caller, id, agencies)); err != nil {
				return Access{}, err
			}
		}
	}
	d := decision{read: ways, caller: &caller}
	var paths []path
	for _, agency := range agencies {
		way := d.path(id, agency)
		way.staff = by(way.staff)
		paths = append(paths, way)
	}
	return h.Rules.decideAccess(caller.Actor, read.Account(id), by(read.Profile(own)), paths, h.Now()), nil
}

func wantPaths(c Caller, account AccountID, agencies []AccountID) Want {
	var w Want
	for _, agency := range agencies {
		w.Accounts = append(w.Accounts, agency)
		w.Profiles = append(w.Profiles, At(account, agency), At(agency, c.ID()))
	}
	return w.and(Want{})
}

func checkAs(c Caller) error {
	if c.As != "" && !c.As.Valid() {
		return invalid("query.as", "This is no agency's id.")
	}
	return nil
}

func noSuchConnection() error {
	return refuse(NotFound, "Your agency has no such connection.")
}
