package service

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"agencyhub/shared/agency"
)

// Clients lists the agency's clients in every state, or in one, with the agency's
// counts. The lists of pending and active clients leave out rows whose end is due
// but not recorded yet. Errors: Invalid, IdentityChanged, NotFound, Forbidden,
// Conflict (the agency features are off).
func (s *Service) Clients(ctx context.Context, actor agency.Actor, agencyID agency.AccountID, filter ClientFilter, page Page) (List[agency.Profile], Counts, error) {
	if filter.Status != "" && !filter.Status.IsValid() {
		return List[agency.Profile]{}, Counts{}, agency.InvalidField("status", "There is no such status.")
	}
	if filter.Prefix != "" && filter.Status == "" {
		return List[agency.Profile]{}, Counts{}, agency.InvalidField("prefix", "A prefix needs a status: search within one.")
	}
	if filter.Ended && filter.Status != "" {
		return List[agency.Profile]{}, Counts{}, agency.InvalidField("status", "Ask for one status, or for all that has ended.")
	}
	me, now, err := s.staff(ctx, actor, agency.ViewClients, agencyID)
	if err != nil {
		return List[agency.Profile]{}, Counts{}, err
	}
	if me.Clients != nil {
		return s.assignedClients(ctx, agencyID, me.Clients, filter, now)
	}
	counts, err := s.Store.Counts(ctx, agencyID)
	if err != nil {
		return List[agency.Profile]{}, Counts{}, err
	}
	rows, err := s.Store.Clients(ctx, agencyID, filter, page)
	if err != nil {
		return List[agency.Profile]{}, Counts{}, err
	}
	list := List[agency.Profile]{Next: rows.Next}
	for _, p := range rows.Items {
		if filter.matches(p, now) {
			list.Items = append(list.Items, p)
		}
	}
	return list, counts, nil
}

// assignedClients lists the clients that a member of an agency is assigned to,
// all on one page, with counts of these alone.
func (s *Service) assignedClients(ctx context.Context, agencyID agency.AccountID, assigned []agency.AccountID, filter ClientFilter, now time.Time) (List[agency.Profile], Counts, error) {
	var list List[agency.Profile]
	var counts Counts
	if len(assigned) == 0 {
		return list, counts, nil
	}
	var want Want
	for _, id := range assigned {
		want.Profiles = append(want.Profiles, agency.AgencyAt(id, agencyID))
	}
	read, err := s.Store.Load(ctx, want.plus(Want{}))
	if err != nil {
		return list, counts, err
	}
	prefix := agency.Fold(filter.Prefix)
	for _, p := range read.Profiles {
		if p.Version == 0 || p.Status == agency.Moved {
			continue
		}
		switch status := p.StatusAt(now); {
		case status == agency.Active && p.Ownership == agency.AgencyOwned:
			counts.Owned++
		case status == agency.Active:
			counts.Connected++
		case status == agency.Pending:
			counts.Pending++
		}
		if filter.matches(p, now) && strings.HasPrefix(agency.Fold(p.AccountName), prefix) {
			list.Items = append(list.Items, p)
		}
	}
	slices.SortFunc(list.Items, func(a, b agency.Profile) int {
		return cmp.Or(cmp.Compare(a.Status, b.Status), cmp.Compare(agency.Fold(a.AccountName), agency.Fold(b.AccountName)), cmp.Compare(a.Addressee, b.Addressee))
	})
	return list, counts, nil
}
