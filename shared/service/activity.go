package service

import (
	"context"
	"slices"

	"agencyhub/shared/agency"
)

// AccountActivity lists what happened in an account, newest first: everything to
// its owners and admins, and to a connected agency what concerns that agency.
// Errors: Invalid (cursor), IdentityChanged, NotFound, Forbidden.
func (s *Service) AccountActivity(ctx context.Context, caller agency.Caller, id agency.AccountID, page Page) (List[agency.Event], error) {
	only, me, err := s.authorizeList(ctx, caller, agency.ViewActivity, id)
	if err != nil {
		return List[agency.Event]{}, err
	}
	list, err := s.Store.Activity(ctx, agency.Party(id), only, page)
	if only != "" {
		for i, e := range list.Items {
			list.Items[i] = e.ForAgency()
		}
	}
	if me.Request.Muted {
		// What is muted is shown to everybody but its addressee.
		list.Items = slices.DeleteFunc(list.Items, func(e agency.Event) bool {
			return e.Type.IsOfInvitation() && e.Member == me.Member && e.Addressee == me.Addressee && e.Request == me.Request.Number
		})
	}
	return list, err
}

// authorizeList authorizes a caller for a list of an account's. It returns the
// agency whose own entries alone they see, "" for all, and the profile by which they
// act.
func (s *Service) authorizeList(
	ctx context.Context, caller agency.Caller, op agency.Operation, id agency.AccountID,
) (only agency.AccountID, me agency.Profile, err error) {
	err = s.query(ctx, &caller, wantAuthority(caller, id), func(d *decision) error {
		auth, err := d.authorize(op, id)
		only, me = "", auth.profile
		if err == nil && auth.permission(op) == agency.OwnLines {
			only = caller.As
		}
		return err
	})
	return only, me, err
}

// withoutMutedOffer is a member as the caller reads them: without a muted offer to
// the caller themselves.
func withoutMutedOffer(p agency.Profile, caller agency.Caller) agency.Profile {
	if p.Member == agency.Party(caller.ID()) && p.HasOffer() && p.Request.Muted {
		p.Request = agency.Request{}
	}
	return p
}

// ClientEvent is an event as an agency's activity shows it.
type ClientEvent struct {
	agency.Event
	// Name is what the agency knows the client by, as in its list: the account's
	// name as last copied, or the address that the agency typed. It is "" for a
	// request that was never accepted, and for a deleted connection.
	Name string
}

// AgencyActivity lists what concerns an agency over all its clients, newest
// first, to its owners and admins. Errors: Invalid (cursor), IdentityChanged,
// NotFound, Forbidden, Conflict (the agency features are off).
func (s *Service) AgencyActivity(ctx context.Context, actor agency.Actor, agencyID agency.AccountID, page Page) (List[ClientEvent], error) {
	if _, _, err := s.staff(ctx, actor, agency.ViewActivity, agencyID); err != nil {
		return List[ClientEvent]{}, err
	}
	events, err := s.Store.Activity(ctx, "", agencyID, page)
	if err != nil || len(events.Items) == 0 {
		return List[ClientEvent]{Next: events.Next}, err
	}
	var want Want
	for _, e := range events.Items {
		want.Profiles = append(want.Profiles, e.ProfileOf(agencyID))
	}
	read, err := s.Store.Load(ctx, want.plus(Want{}))
	if err != nil {
		return List[ClientEvent]{}, err
	}
	list := List[ClientEvent]{Next: events.Next}
	for _, e := range events.Items {
		p := read.Profile(e.ProfileOf(agencyID))
		name := p.AccountName
		if p.Addressee.Person() != "" {
			name = agency.DisplayEmail(p.Email)
		}
		list.Items = append(list.Items, ClientEvent{Event: e.ForAgency(), Name: name})
	}
	return list, nil
}

// newestEvents bounds how many of the agency's latest events ConnectionActivity
// looks through.
const newestEvents = 100

// ConnectionActivity returns the newest events of one connection, newest first
// and at most the limit, to the agency's owners and admins. It looks through the
// agency's latest 100 events or so, and not further. Errors: IdentityChanged,
// NotFound, Forbidden, Conflict (the agency features are off).
func (s *Service) ConnectionActivity(ctx context.Context, actor agency.Actor, agencyID agency.AccountID, id agency.ConnectionID, limit int) ([]agency.Event, error) {
	addressee, of, ok := id.Split()
	if !ok {
		return nil, noSuchConnection()
	}
	if _, _, err := s.staff(ctx, actor, agency.ViewActivity, agencyID); err != nil {
		return nil, err
	}
	if of != agencyID {
		return nil, noSuchConnection()
	}
	// These are the agency's own events: elsewhere it has none.
	list, err := s.Store.Activity(ctx, addressee, agencyID, Page{Limit: newestEvents})
	events := list.Items[:min(limit, len(list.Items))]
	for i, e := range events {
		events[i] = e.ForAgency()
	}
	return events, err
}
