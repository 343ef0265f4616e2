package service

import (
	"context"
	"slices"

	"agencyhub/shared/agency"
)

// MyRequests lists the requests addressed to the actor's address. Errors: Invalid
// (cursor).
func (s *Service) MyRequests(ctx context.Context, actor agency.Actor, page Page) (List[agency.Profile], error) {
	list, err := s.Store.Team(ctx, agency.Party(actor.ID()), page)
	list.Items = slices.DeleteFunc(list.Items, agency.Profile.IsHidden)
	return list, err
}

// RequestDetail is a request, an invitation or an offer with what its email adds: the
// account concerned, zero while a request is addressed by email, and the address of
// the person who asks, "" if they have left the account that asks.
type RequestDetail struct {
	agency.Profile
	To agency.Account
	By string
}

// RequestDetails completes requests, invitations and offers that another use case has
// returned to an actor who may answer or withdraw them.
func (s *Service) RequestDetails(ctx context.Context, requests ...agency.Profile) ([]RequestDetail, error) {
	if len(requests) == 0 {
		return nil, nil
	}
	var want Want
	for _, p := range requests {
		want = want.plus(wantWaiting(p))
	}
	read, err := s.Store.Load(ctx, want)
	if err != nil {
		return nil, err
	}
	details := make([]RequestDetail, len(requests))
	for i, p := range requests {
		w := newWaiting(p, read, s)
		details[i] = RequestDetail{Profile: p, To: w.Account, By: w.By}
	}
	return details, nil
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
