package main

import (
	"cmp"
	"context"
	"errors"
	"time"

	"agencyhub/shared/agency"
)

// reader is what the facts are read from, each call strongly consistent.
type reader interface {
	Load(context.Context, agency.Want) (agency.Snapshot, error)
	Team(context.Context, agency.Party, agency.Page) (agency.List[agency.Profile], error)
}

// errNotUnderstood is an event that this version of notify cannot tell. It keeps
// its due mark, so that a version that can will find it.
var errNotUnderstood = errors.New("an event that notify does not understand")

// look reads the present state around an event.
func look(ctx context.Context, from reader, e agency.Event, now time.Time) (facts, error) {
	f := facts{event: e, now: now}
	account := e.AccountID()
	rows, understood := tellings[e.Type]
	if !understood || account == "" {
		return f, errNotUnderstood
	}
	if len(rows) == 0 {
		return f, nil
	}
	changed := agency.ProfileKey{Addressee: e.Addressee, Member: e.Member}
	if e.Type == agency.AccountCreated {
		changed.Member = agency.Party(e.Client)
	}
	want := agency.Want{Accounts: []agency.AccountID{account}}
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
		if read, err = from.Load(ctx, agency.Want{Accounts: []agency.AccountID{of}}); err != nil {
			return f, err
		}
	}
	f.agency = read.Account(of)
	if f.team, err = persons(ctx, from, account); err != nil {
		return f, err
	}
	if of != "" {
		if f.staff, err = persons(ctx, from, of); err != nil {
			return f, err
		}
	}
	f.actor = addressOf(e.Actor, f.team, f.staff)
	return f, nil
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
	var out []agency.Profile
	for page := (agency.Page{Limit: 100}); ; {
		list, err := from.Team(ctx, agency.Party(account), page)
		if err != nil {
			return nil, err
		}
		for _, p := range list.Items {
			if p.Kind() == agency.PersonKind {
				out = append(out, p)
			}
		}
		if page.Cursor = list.Next; page.Cursor == "" {
			return out, nil
		}
	}
}
