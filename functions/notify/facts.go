package main

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"agencyhub/shared/agency"
	"agencyhub/shared/outbox"
	"agencyhub/shared/service"
)

// reader is what the facts are read from, each call strongly consistent but for
// Memberships, which may be a moment old.
type reader interface {
	Load(context.Context, service.Want) (service.Snapshot, error)
	Team(context.Context, agency.Party, service.Page) (service.List[agency.Profile], error)
	Memberships(context.Context, agency.PersonID, service.Page) (service.List[agency.Profile], error)
}

// errNotUnderstood is an event that this version of notify cannot tell. It keeps
// its due mark, so that a version that can will find it.
var errNotUnderstood = errors.New("an event that notify does not understand")

// look reads the present state around an event: of what is told to nobody not at
// all, of a closed account once for its own side and once for each agency, and
// of everything else once.
func look(ctx context.Context, from reader, e agency.Event, now time.Time) ([]facts, error) {
	rows, understood := tellings[e.Type]
	switch {
	case !understood:
		return nil, errNotUnderstood
	case len(rows) == 0:
		return nil, nil
	case e.Type == agency.AccountClosed:
		return lookAtClosing(ctx, from, e, now)
	default:
		f, err := lookAtChange(ctx, from, e, now)
		return []facts{f}, err
	}
}

// lookAtChange reads what is around one profile that changed.
func lookAtChange(ctx context.Context, from reader, e agency.Event, now time.Time) (facts, error) {
	f := facts{event: e, now: now}
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
	// Of an owned account that an agency acts in, the event names the agency as
	// the hat that the actor wore.
	of := cmp.Or(e.Agency, e.As)
	if of != "" && of != account {
		want.Accounts = append(want.Accounts, of)
	}
	read, err := from.Load(ctx, want)
	if err != nil {
		return f, err
	}
	f.account = read.Account(account)
	if changed.Member != "" {
		f.profile = read.Profile(changed)
	}
	if of == "" && f.account.Owner != "" {
		of = f.account.Owner
		if read, err = from.Load(ctx, service.Want{Accounts: []agency.AccountID{of}}); err != nil {
			return f, err
		}
	}
	f.agency = read.Account(of)
	if account != "" {
		if f.team, err = persons(ctx, from, account); err != nil {
			return f, err
		}
	}
	if of != "" {
		if f.staff, err = persons(ctx, from, of); err != nil {
			return f, err
		}
	}
	by := e.Actor
	if e.Type == agency.ConnectionReminded {
		// The clock reminds, in the name of whoever asked.
		by = f.profile.Request.By
	}
	f.actor = addressOf(by, f.team, f.staff)
	if callsForDecision[e.Type] {
		f.heldOff, f.hasAccount, err = lookAtDeciders(ctx, from, f)
	}
	return f, err
}

// lookAtDeciders reads who of those who are asked to decide hold the agency off
// themselves, and whether a person who is asked by email has an account to
// choose.
func lookAtDeciders(ctx context.Context, from reader, f facts) (heldOff map[agency.PersonID]bool, choice bool, err error) {
	var want service.Want
	for _, to := range append(owners(f), addressee(f)...) {
		want.Pairs = append(want.Pairs, agency.PairKey{Addressee: agency.Party(to.ID), Agency: f.agency.ID})
	}
	read, err := from.Load(ctx, want)
	if err != nil {
		return nil, false, err
	}
	heldOff = map[agency.PersonID]bool{}
	for key, pair := range read.Pairs {
		heldOff[key.Addressee.Person()] = pair.IsBlockedOrCooling(f.now)
	}
	if person := f.event.Addressee.Person(); person != "" {
		choice, err = hasAccount(ctx, from, person, f.agency.ID, f.now)
	}
	return heldOff, choice, err
}

// hasAccount tells whether a person is owner or admin of an open account other
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

// suppressed withholds emails from those whose address has bounced or complained
// and who have not signed in since.
func suppressed(ctx context.Context, from reader, mails []mail) ([]mail, error) {
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
	for i, m := range mails {
		s := read.Person(m.to.ID).Suppression
		switch {
		case m.withheld != "" || s.Reason == "":
		case s.IsActive():
			mails[i].withheld = outbox.Suppressed
		default:
			mails[i].lifted = s.Lifted
		}
	}
	return mails, nil
}

// lookAtClosing reads who was in an account when it was closed, whether or not
// cleanup has ended them since: first what its own side is told from, then what
// each agency is.
func lookAtClosing(ctx context.Context, from reader, e agency.Event, now time.Time) ([]facts, error) {
	f := facts{event: e, now: now}
	members, err := profiles(ctx, from, e.AccountID())
	if err != nil {
		return nil, err
	}
	want := service.Want{Accounts: []agency.AccountID{e.AccountID()}}
	var agencies []agency.Profile
	for _, p := range members {
		switch {
		case !wasIn(p, e.At):
		case p.Kind() == agency.PersonKind:
			f.team = append(f.team, p)
		default:
			agencies = append(agencies, p)
			want.Accounts = append(want.Accounts, p.Member.Account())
		}
	}
	read, err := from.Load(ctx, want)
	if err != nil {
		return nil, err
	}
	f.account = read.Account(e.AccountID())
	f.agency = read.Account(f.account.Owner)
	f.actor = addressOf(e.Actor, f.team)
	all := []facts{f}
	for _, p := range agencies {
		id := p.Member.Account()
		g := facts{event: e, now: now, account: f.account, agency: read.Account(id), profile: p}
		if g.staff, err = persons(ctx, from, id); err != nil {
			return nil, err
		}
		g.actor = addressOf(e.Actor, g.staff)
		all = append(all, g)
	}
	return all, nil
}

// wasIn tells whether a profile was active or pending at an instant, if it has
// changed its status at most once since.
func wasIn(p agency.Profile, at time.Time) bool {
	if p.Status.IsEnded() {
		return !p.Since.Before(at)
	}
	return !p.StatusAt(at).IsEnded()
}

// addressOf finds a person's address; "" for the clock and for a stranger.
func addressOf(id agency.PersonID, among ...[]agency.Profile) string {
	for _, people := range among {
		for _, p := range people {
			if id != "" && p.Member.Person() == id {
				return p.Email
			}
		}
	}
	return ""
}

// persons reads all persons of an account, those who have left too.
func persons(ctx context.Context, from reader, account agency.AccountID) ([]agency.Profile, error) {
	all, err := profiles(ctx, from, account)
	var out []agency.Profile
	for _, p := range all {
		if p.Kind() == agency.PersonKind {
			out = append(out, p)
		}
	}
	return out, err
}

// profiles reads all profiles in an account, those that have ended too.
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
