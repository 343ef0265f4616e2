package agency

import (
	"context"
	"time"
)

// Ask is what an agency says to request a connection.
type Ask struct {
	Account AccountID
	Message string
	Areas   Areas
}

// RequestConnection asks to work in a client-owned account. Errors: Invalid,
// IdentityChanged, NotFound, PermanentlyOwned, Forbidden, Conflict (the hub is
// off), AlreadyRequested, AlreadyConnected.
func (h *Hub) RequestConnection(ctx context.Context, actor Actor, agency AccountID, in Ask) (Profile, error) {
	message, err := readMessage("body.message", in.Message)
	if err != nil {
		return Profile{}, err
	}
	areas, err := h.Rules.readAreas("body.areas", in.Areas)
	if err != nil {
		return Profile{}, err
	}
	if in.Account == agency {
		return Profile{}, invalid("body.account", "This is the agency's own account.")
	}
	caller := Caller{Actor: actor}
	key := At(in.Account, agency)
	want := wantStanding(caller, agency).and(Want{Accounts: []AccountID{in.Account}, Profiles: []ProfileKey{key}})
	var p Profile
	err = h.command(ctx, &caller, want, func(d *decision) error {
		s, err := d.stand(agency)
		if err != nil {
			return err
		}
		account := d.read.Account(in.Account)
		if !account.Open() {
			return refuse(NotFound, "There is no account with this id.")
		}
		if account.Ownership == AgencyOwned {
			return OwnedForGood.refusal()
		}
		if _, err := d.standInAgency(WorkHub, agency); err != nil {
			return err
		}
		p = d.profile(key)
		p.Name, p.Ownership = s.account.Name, account.Ownership
		p, err = d.apply(p, Step{
			Do: Request, By: AgencySide, Areas: areas, Message: message, Asker: actor.ID(), ExpiresAt: d.now.Add(d.rules.RequestLifetime),
		})
		return err
	})
	return p, err
}

// ResendRequest sends a pending request's email again and gives it a whole
// lifetime from now. Errors: IdentityChanged, NotFound, PermanentlyOwned,
// Forbidden, RequestExpired, NotPending.
func (h *Hub) ResendRequest(ctx context.Context, actor Actor, agency AccountID, id ConnectionID) (Profile, error) {
	return h.agencyStep(ctx, actor, agency, id, Step{Do: Resend, By: AgencySide, Asker: actor.ID()})
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
	var p Profile
	err := h.command(ctx, &caller, wantStanding(caller, agency).and(Want{Profiles: []ProfileKey{key}}), func(d *decision) error {
		if _, err := d.stand(agency); err != nil {
			return err
		}
		p = d.profile(key)
		if p.Version == 0 {
			return noSuchConnection()
		}
		if p.Permanent() {
			return OwnedForGood.refusal()
		}
		if _, err := d.standInAgency(WorkHub, agency); err != nil {
			return err
		}
		if step.Do == Resend {
			step.ExpiresAt = d.now.Add(d.rules.RequestLifetime)
		}
		var err error
		p, err = d.apply(p, step)
		return err
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
		if _, err := d.standAs(SeeClients, agency); err != nil {
			return err
		}
		if p = d.read.Profile(key); p.Version == 0 {
			return noSuchConnection()
		}
		return nil
	})
	return p, err
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
	caller := Caller{Actor: actor}
	var now time.Time
	err := h.command(ctx, &caller, wantStanding(caller, agency), func(d *decision) error {
		now = d.now
		_, err := d.standInAgency(SeeClients, agency)
		return err
	})
	if err != nil {
		return List[Profile]{}, Counts{}, err
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
		if filter.Status == "" || p.StatusAt(now) == filter.Status {
			list.Items = append(list.Items, p)
		}
	}
	return list, counts, nil
}

// Acceptance is what an owner or admin grants when accepting.
type Acceptance struct {
	// Request is the number of the request that they saw.
	Request int
	// Areas may be lower than asked for; nil grants what was asked for.
	Areas Areas
}

// AcceptRequest lets the agency in. Errors: Invalid, IdentityChanged, NotFound,
// PermanentlyOwned, Forbidden, Conflict (another request than the one named, or
// the asker's hub is off), RequestExpired, NotPending.
func (h *Hub) AcceptRequest(ctx context.Context, caller Caller, id, agency AccountID, in Acceptance) (Profile, error) {
	step := Step{Do: Accept, By: AccountSide, Number: in.Request}
	if in.Areas != nil {
		areas, err := h.Rules.readAreas("body.areas", in.Areas)
		if err != nil {
			return Profile{}, err
		}
		step.Areas = areas
	}
	return h.decide(ctx, caller, id, agency, step)
}

// DenyRequest refuses a request, or dismisses an expired one. Errors:
// IdentityChanged, NotFound, PermanentlyOwned, Forbidden, NotPending.
func (h *Hub) DenyRequest(ctx context.Context, caller Caller, id, agency AccountID) (Profile, error) {
	return h.decide(ctx, caller, id, agency, Step{Do: Deny, By: AccountSide})
}

// decide is one step that the account's side takes on an agency's profile.
func (h *Hub) decide(ctx context.Context, caller Caller, id, agency AccountID, step Step) (Profile, error) {
	key := At(id, agency)
	want := wantStanding(caller, id).and(Want{Profiles: []ProfileKey{key}, Accounts: []AccountID{agency}})
	var p Profile
	err := h.command(ctx, &caller, want, func(d *decision) error {
		s, err := d.stand(id)
		if err != nil {
			return err
		}
		was := d.profile(key)
		if was.Version == 0 {
			return noSuchMember()
		}
		if err := s.may(Decide).refusal(); err != nil {
			return err
		}
		p = was
		if step.Do == Accept {
			asker := d.read.Account(agency)
			if was.StatusAt(d.now) == Pending && !asker.Agency() {
				return refuse(Conflict, "Whoever asked is no agency any more.")
			}
			p.Name, p.AccountName, p.Plan = asker.Name, s.account.Name, s.account.Subscription.Plan
		}
		p, err = d.apply(p, step)
		return err
	})
	return p, err
}

// Expire records what the clock has decided on one profile: an overdue request
// or end date. It answers the event's type, "" when there was nothing to do.
func (h *Hub) Expire(ctx context.Context, key ProfileKey) (EventType, error) {
	var done EventType
	err := h.command(ctx, nil, Want{Profiles: []ProfileKey{key}}, func(d *decision) error {
		done = ""
		p, events := Settle(d.read.Profile(key), d.now)
		if len(events) > 0 {
			d.put(p)
			d.Events, done = events, events[0].Type
		}
		return nil
	})
	return done, err
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
	own := At(id, caller.ID())
	want := Want{Accounts: []AccountID{id}, Profiles: []ProfileKey{own}}
	agencies := []AccountID{caller.As}
	if caller.As == "" {
		want.People = []PersonID{caller.ID()}
	} else if err := checkAs(caller); err != nil {
		return Access{}, err
	} else {
		want = want.and(wantPaths(caller, id, agencies))
	}
	read, err := h.Store.Load(ctx, want)
	if err != nil {
		return Access{}, err
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
		paths = append(paths, d.path(id, agency))
	}
	return h.Rules.decideAccess(caller.Actor, read.Account(id), read.Profile(own), paths, h.Now()), nil
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
