package service

import (
	"context"
	"slices"
	"time"

	"agencyhub/shared/agency"
)

// MyRequests lists the requests addressed to the actor's address. Errors: Invalid
// (cursor).
func (s *Service) MyRequests(ctx context.Context, actor agency.Actor, page Page) (List[agency.Profile], error) {
	list, err := s.Store.Team(ctx, agency.Party(actor.ID()), page)
	list.Items = slices.DeleteFunc(list.Items, agency.Profile.IsHidden)
	return list, err
}

// RequestDetail is a request, an invitation or an offer with what its email adds.
type RequestDetail struct {
	agency.Profile
	// Account is the account concerned: the one asked for access, or the one that
	// invites; zero while a request is addressed by email.
	Account agency.Account
	// From is the account that asks.
	From agency.Account
	// By is the address of the person who asks; "" if they have left since.
	By string
}

// IsForPayer reports whether accepting makes the actor a payer of the account. It is
// false for what can't be accepted any more.
func (d RequestDetail) IsForPayer() bool {
	return d.Kind() == agency.PersonKind && d.HasOpenRequest() && d.Request.Role == agency.Owner
}

// RequestDetails completes requests, invitations and offers that another use case has
// returned to an actor who may answer or withdraw them.
func (s *Service) RequestDetails(ctx context.Context, requests ...agency.Profile) ([]RequestDetail, error) {
	if len(requests) == 0 {
		return nil, nil
	}
	var want Want
	for _, p := range requests {
		want = want.plus(wantRequestDetail(p))
	}
	read, err := s.Store.Load(ctx, want)
	if err != nil {
		return nil, err
	}
	details := make([]RequestDetail, len(requests))
	for i, p := range requests {
		details[i] = newRequestDetail(p, read, s.Now())
	}
	return details, nil
}

// askerOf is the account that asks by a profile's request.
func askerOf(p agency.Profile) agency.AccountID {
	if of := p.Member.Account(); of != "" {
		return of
	}
	return p.Request.From
}

func wantRequestDetail(p agency.Profile) Want {
	var w Want
	if account := p.Account(); account != "" {
		w.Accounts = append(w.Accounts, account)
	}
	if from := askerOf(p); from != "" {
		w.Accounts = append(w.Accounts, from)
		if p.Request.By != "" {
			w.Profiles = append(w.Profiles, agency.PersonAt(from, p.Request.By))
		}
	}
	return w
}

// newRequestDetail completes a request from what wantRequestDetail has read. Its state is
// by the clock and by its maker's present role. Of an account that a person did not join,
// or has left, it has what the profile keeps.
func newRequestDetail(p agency.Profile, read Snapshot, now time.Time) RequestDetail {
	from := askerOf(p)
	maker := read.Profile(agency.PersonAt(from, p.Request.By))
	p = agency.SettleBy(p, maker, now)
	d := RequestDetail{Profile: p, Account: read.Account(p.Account()), From: read.Account(from)}
	if p.Kind() == agency.PersonKind && p.Status.IsEnded() {
		a := d.Account
		d.Account = agency.Account{ID: a.ID, Name: p.AccountName, Ownership: a.Ownership, Closed: a.Closed, Version: a.Version}
		if d.From.ID == a.ID {
			d.From = d.Account
		}
		if p.Status != agency.Expired {
			return d
		}
	}
	if maker.StatusAt(now) == agency.Active {
		d.By = agency.DisplayEmail(maker.Email)
	}
	return d
}

// GetRequest returns a request to an actor who may answer it: the person
// addressed, or an owner or admin of the account. One that an account has taken
// over is returned as the connection there, to an actor who may answer that.
// Errors: IdentityChanged, NotFound.
func (s *Service) GetRequest(ctx context.Context, actor agency.Actor, id agency.ConnectionID) (agency.Profile, error) {
	addressee, agencyID, ok := id.Split()
	if !ok {
		return agency.Profile{}, noSuchRequest()
	}
	caller := agency.Caller{Actor: actor}
	key := agency.ProfileKey{Addressee: addressee, Member: agency.Party(agencyID)}
	want := Want{Profiles: []agency.ProfileKey{key}, People: []agency.PersonID{actor.ID()}}
	if account := addressee.Account(); account != "" {
		want = want.plus(wantAuthority(caller, account))
	}
	var p agency.Profile
	err := s.query(ctx, &caller, want, func(d *decision) error {
		if account := addressee.Account(); account == "" {
			if err := d.isAddressee(addressee); err != nil {
				return err
			}
		} else if auth, err := d.locate(account); err != nil {
			return err
		} else if auth.permission(agency.DecideRequests) != agency.Yes {
			return noSuchRequest()
		}
		if p = d.read.Profile(key); p.Version == 0 || p.Request.Muted {
			return noSuchRequest()
		}
		return nil
	})
	if err != nil || p.MovedTo == "" {
		return p, err
	}
	return s.GetRequest(ctx, actor, agency.NewConnectionID(agency.Party(p.MovedTo), agencyID))
}

// isAddressee refuses an actor who is not the addressee of a request by email, or
// who is being erased.
func (d *decision) isAddressee(addressee agency.Party) error {
	if addressee != agency.Party(d.caller.ID()) || !d.read.Person(d.caller.ID()).Erasing.IsZero() {
		return noSuchRequest()
	}
	return nil
}

func noSuchRequest() error {
	return agency.Refuse(agency.NotFound, "There is no such request, or it is not yours to decide.")
}
