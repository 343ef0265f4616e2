package main

import (
	"cmp"
	"context"
	"slices"
	"time"

	"agencyhub/shared/agency"
	"agencyhub/shared/outbox"
	"agencyhub/shared/service"
	"agencyhub/shared/stream"
)

// reader is what the context of an event is read from. Each call is strongly
// consistent except Memberships, which may be a moment old.
type reader interface {
	Load(context.Context, service.Want) (service.Snapshot, error)
	Team(context.Context, agency.Party, service.Page) (service.List[agency.Profile], error)
	Memberships(context.Context, agency.PersonID, service.Page) (service.List[agency.Profile], error)
}

// loadContext reads the present state around an event: none for an event without
// emails, one for the account and one for each agency of a closing, and one for
// every other event.
func loadContext(ctx context.Context, from reader, e agency.Event, now time.Time) ([]eventContext, error) {
	rows, understood := emailRules[e.Type]
	switch {
	case !understood:
		return nil, stream.ErrNotUnderstood
	case len(rows) == 0:
		return nil, nil
	case e.Type == agency.AccountClosed:
		return loadClosing(ctx, from, e, now)
	default:
		c, err := loadChange(ctx, from, e, now)
		return []eventContext{c}, err
	}
}

// loadChange reads the context of an event that changed one profile or account.
func loadChange(ctx context.Context, from reader, e agency.Event, now time.Time) (eventContext, error) {
	c := eventContext{event: e, now: now}
	account := e.AccountID()
	changed := agency.ProfileKey{Addressee: e.Addressee, Member: e.Member}
	if e.Type == agency.AccountCreated {
		changed.Member = agency.Party(e.Client)
	}
	var want service.Want
	if account != "" {
		want.Accounts = append(want.Accounts, account)
	}
	if changed.Member != "" {
		want.Profiles = append(want.Profiles, changed)
	}
	// In an agency-owned account the event names the agency as the one that the
	// actor acted for.
	of := cmp.Or(e.Agency, e.As)
	if of != "" && of != account {
		want.Accounts = append(want.Accounts, of)
	}
	read, err := from.Load(ctx, want)
	if err != nil {
		return c, err
	}
	c.account = read.Account(account)
	if changed.Member != "" {
		c.profile = read.Profile(changed)
	}
	if of == "" && c.account.Owner != "" {
		of = c.account.Owner
		if read, err = from.Load(ctx, service.Want{Accounts: []agency.AccountID{of}}); err != nil {
			return c, err
		}
	}
	c.agency = read.Account(of)
	if account != "" {
		if c.team, err = persons(ctx, from, account); err != nil {
			return c, err
		}
	}
	if of != "" {
		if c.staff, err = persons(ctx, from, of); err != nil {
			return c, err
		}
	}
	by := e.Actor
	if e.Type == agency.ConnectionReminded || e.Type == agency.InvitationReminded {
		// The clock reminds, in the name of the person who sent the request.
		by = c.profile.Request.By
	}
	c.actor = addressOf(by, c.team, c.staff)
	switch {
	case asksForDecision[e.Type]:
		c.mutedBy, c.hasAccount, err = loadDeciders(ctx, from, c)
	case asksPerson[e.Type]:
		c.mutedBy, err = loadPair(ctx, from, c.profile, now)
	}
	return c, err
}

// loadDeciders reads which of the people asked to decide have a block or a cooldown
// of their own on the agency, and whether the addressee of a request by email has
// an account to choose.
func loadDeciders(ctx context.Context, from reader, c eventContext) (mutedBy map[agency.PersonID]bool, choice bool, err error) {
	var want service.Want
	for _, to := range append(owners(c), addressee(c)...) {
		want.Pairs = append(want.Pairs, agency.PairKey{Addressee: agency.Party(to.ID), Asker: c.agency.ID})
	}
	read, err := from.Load(ctx, want)
	if err != nil {
		return nil, false, err
	}
	mutedBy = map[agency.PersonID]bool{}
	for key, pair := range read.Pairs {
		mutedBy[key.Addressee.Person()] = pair.IsBlockedOrCooling(c.now)
	}
	if person := c.event.Addressee.Person(); person != "" {
		choice, err = hasAccount(ctx, from, person, c.agency.ID, c.now)
	}
	return mutedBy, choice, err
}

// loadPair reads whether the person who is asked to join has a block or a cooldown on
// the account that asks, with the address that was typed or with it without its tag.
func loadPair(ctx context.Context, from reader, asked agency.Profile, now time.Time) (map[agency.PersonID]bool, error) {
	person := asked.Member.Person()
	if person == "" || asked.Request.From == "" || asked.Email == "" {
		return nil, nil
	}
	want := service.Want{Pairs: []agency.PairKey{agency.PersonPair(person, asked.Request.From)}}
	if untagged := agency.NewPersonID(agency.Untagged(asked.Email)); untagged != person {
		want.Pairs = append(want.Pairs, agency.PersonPair(untagged, asked.Request.From))
	}
	read, err := from.Load(ctx, want)
	if err != nil {
		return nil, err
	}
	for _, pair := range read.Pairs {
		if pair.IsBlockedOrCooling(now) {
			return map[agency.PersonID]bool{person: true}, nil
		}
	}
	return nil, nil
}

// hasAccount reports whether a person is owner or admin of an open account other
// than the agency's own.
func hasAccount(ctx context.Context, from reader, person agency.PersonID, but agency.AccountID, now time.Time) (bool, error) {
	for page := (service.Page{Limit: 100}); ; {
		list, err := from.Memberships(ctx, person, page)
		if err != nil {
			return false, err
		}
		var want service.Want
		for _, p := range list.Items {
			if id := p.Account(); id != but && p.StatusAt(now) == agency.Active && (p.Role == agency.Owner || p.Role == agency.Admin) {
				want.Accounts = append(want.Accounts, id)
			}
		}
		read, err := from.Load(ctx, want)
		if err != nil {
			return false, err
		}
		for _, account := range read.Accounts {
			if account.IsOpen() {
				return true, nil
			}
		}
		if page.Cursor = list.Next; page.Cursor == "" {
			return false, nil
		}
	}
}

// checkRecipients withholds the emails of people who are being erased, and of those
// whose address has bounced or complained and who have not signed in since. It notes
// who has never signed in.
func checkRecipients(ctx context.Context, from reader, mails []mail) ([]mail, error) {
	var want service.Want
	for _, m := range mails {
		if m.withheld == "" {
			want.People = append(want.People, m.to.ID)
		}
	}
	if len(want.People) == 0 {
		return mails, nil
	}
	slices.Sort(want.People)
	want.People = slices.Compact(want.People)
	read, err := from.Load(ctx, want)
	if err != nil {
		return nil, err
	}
	for i := range mails {
		m, person := &mails[i], read.Person(mails[i].to.ID)
		m.isNew = hasNeverSignedIn(person)
		switch s := person.Suppression; {
		case m.withheld != "":
		case !person.Erasing.IsZero():
			m.withheld = outbox.Obsolete
		case s.IsActive():
			m.withheld = outbox.Suppressed
		case s.Reason != "":
			m.lifted = s.Lifted
		}
	}
	return mails, nil
}

// hasNeverSignedIn reports whether nobody has signed in as a person yet.
func hasNeverSignedIn(p agency.Person) bool { return p.FirstAt.IsZero() }

// loadClosing reads who was in an account when it was closed, even if cleanup has
// ended them since. The first context is for the account's own side, the others are
// for one agency each.
func loadClosing(ctx context.Context, from reader, e agency.Event, now time.Time) ([]eventContext, error) {
	c := eventContext{event: e, now: now}
	members, err := profiles(ctx, from, e.AccountID())
	if err != nil {
		return nil, err
	}
	want := service.Want{Accounts: []agency.AccountID{e.AccountID()}}
	var agencies []agency.Profile
	for _, p := range members {
		switch {
		case !wasMember(p, e.At):
		case p.Kind() == agency.PersonKind:
			c.team = append(c.team, p)
		default:
			agencies = append(agencies, p)
			want.Accounts = append(want.Accounts, p.Member.Account())
		}
	}
	read, err := from.Load(ctx, want)
	if err != nil {
		return nil, err
	}
	c.account = read.Account(e.AccountID())
	c.agency = read.Account(c.account.Owner)
	c.actor = addressOf(e.Actor, c.team)
	all := []eventContext{c}
	for _, p := range agencies {
		id := p.Member.Account()
		side := eventContext{event: e, now: now, account: c.account, agency: read.Account(id), profile: p}
		if side.staff, err = persons(ctx, from, id); err != nil {
			return nil, err
		}
		side.actor = addressOf(e.Actor, side.staff)
		all = append(all, side)
	}
	return all, nil
}

// wasMember reports whether a profile was active or pending at an instant, if it has
// changed its status at most once since.
func wasMember(p agency.Profile, at time.Time) bool {
	if p.Status.IsEnded() {
		return !p.Since.Before(at)
	}
	return !p.StatusAt(at).IsEnded()
}

// addressOf returns a person's address; "" for the clock and for somebody in no team.
func addressOf(id agency.PersonID, teams ...[]agency.Profile) string {
	for _, people := range teams {
		for _, p := range people {
			if id != "" && p.Member.Person() == id {
				return p.Email
			}
		}
	}
	return ""
}

// persons reads all persons of an account, including those who have left.
func persons(ctx context.Context, from reader, account agency.AccountID) ([]agency.Profile, error) {
	all, err := profiles(ctx, from, account)
	return slices.DeleteFunc(all, func(p agency.Profile) bool { return p.Kind() != agency.PersonKind }), err
}

// profiles reads all profiles in an account, including those that have ended.
func profiles(ctx context.Context, from reader, account agency.AccountID) ([]agency.Profile, error) {
	var out []agency.Profile
	for page := (service.Page{Limit: 100}); ; {
		list, err := from.Team(ctx, agency.Party(account), page)
		if err != nil {
			return nil, err
		}
		out = append(out, list.Items...)
		if page.Cursor = list.Next; page.Cursor == "" {
			return out, nil
		}
	}
}
