package service

import (
	"context"
	"slices"
	"strings"

	"agencyhub/shared/agency"
)

// The parts of the list of what waits, in order. A cursor is a part's name and where
// to go on in it.
const (
	waitingInvitations = "i"
	waitingByEmail     = "e"
	waitingInAccounts  = "a"
)

// accountsPerPage is how many of the person's accounts one page of Waiting looks
// through.
const accountsPerPage = 25

// Waiting lists what waits for the actor's answer: invitations, then requests addressed
// to them by email, then offers of ownership and requests in accounts in which they
// decide these, at most 25 accounts a page. A page may be short, or empty, and still have a
// Next. Errors: Invalid (cursor).
func (s *Service) Waiting(ctx context.Context, actor agency.Actor, page Page) (List[RequestDetail], error) {
	part, cursor, _ := strings.Cut(page.Cursor, ".")
	var rows []agency.Profile
	var next string
	switch part {
	case "", waitingInvitations:
		list, err := s.Store.Invitations(ctx, actor.ID(), Page{Limit: page.Limit, Cursor: cursor})
		if err != nil {
			return List[RequestDetail]{}, err
		}
		rows, next = list.Items, following(waitingInvitations, list.Next, waitingByEmail)
	case waitingByEmail:
		list, err := s.Store.Team(ctx, agency.Party(actor.ID()), Page{Limit: page.Limit, Cursor: cursor})
		if err != nil {
			return List[RequestDetail]{}, err
		}
		rows, next = list.Items, following(waitingByEmail, list.Next, waitingInAccounts)
	case waitingInAccounts:
		list, err := s.waitingInAccounts(ctx, actor, max(1, page.Limit), cursor)
		if err != nil {
			return List[RequestDetail]{}, err
		}
		rows, next = list.Items, following(waitingInAccounts, list.Next, "")
	default:
		return List[RequestDetail]{}, errForeignCursor()
	}
	now, open := s.Now(), rows[:0]
	for _, p := range rows {
		if p.HasOpenRequestAt(now) && !p.Request.Muted {
			open = append(open, p)
		}
	}
	items, err := s.waitingDetails(ctx, actor, open)
	return List[RequestDetail]{Items: items, Next: next}, err
}

func errForeignCursor() error {
	return agency.InvalidField("cursor", "This cursor is not of this list. Begin again without one.")
}

// following is the cursor of the next page: in the same part or, at its end, the
// beginning of the one after it.
func following(part, cursor, after string) string {
	switch {
	case cursor != "":
		return part + "." + cursor
	case after != "":
		return after + "."
	default:
		return ""
	}
}

// waitingInAccounts returns what waits in a page of the actor's accounts: at most limit
// rows. Its cursor is that of the page and, if rows are left, the account and the member
// of the last row.
func (s *Service) waitingInAccounts(ctx context.Context, actor agency.Actor, limit int, cursor string) (List[agency.Profile], error) {
	accounts, last, isPart := strings.Cut(cursor, ".")
	at, member, _ := strings.Cut(last, ".")
	after := agency.ProfileKey{Addressee: agency.Party(at), Member: agency.Party(member)}
	if isPart && !(Want{Profiles: []agency.ProfileKey{after}}).isWellFormed() {
		return List[agency.Profile]{}, errForeignCursor()
	}
	mine, err := s.Store.Memberships(ctx, actor.ID(), Page{Limit: accountsPerPage, Cursor: accounts})
	if err != nil {
		return List[agency.Profile]{}, err
	}
	// If the account of the last row is no longer there, the page begins again.
	first := max(0, slices.IndexFunc(mine.Items, func(own agency.Profile) bool { return own.Addressee == after.Addressee }))
	found := List[agency.Profile]{Next: mine.Next}
	now := s.Now()
	for _, own := range mine.Items[first:] {
		if own.StatusAt(now) != agency.Active || own.IsBoundToAnother(actor) {
			continue
		}
		rows := []agency.Profile{own}
		if agency.PermissionFor(agency.DecideRequests, agency.CallerRoleOf(own.Role, "", ""), own.Ownership) == agency.Yes {
			requests, err := s.pendingAt(ctx, own.Addressee)
			if err != nil {
				return List[agency.Profile]{}, err
			}
			rows = append(rows, requests...)
		}
		for _, p := range rows {
			if !p.HasOpenRequestAt(now) || p.Request.Muted || isListed(p, after) {
				continue
			}
			if len(found.Items) == limit {
				shown := found.Items[limit-1]
				found.Next = accounts + "." + string(shown.Addressee) + "." + string(shown.Member)
				return found, nil
			}
			found.Items = append(found.Items, p)
		}
	}
	return found, nil
}

// isListed reports whether a row of an account is not behind the last row of the page
// before: the person's own row comes first, then the agencies' by their ids.
func isListed(p agency.Profile, last agency.ProfileKey) bool {
	if p.Addressee != last.Addressee {
		return false
	}
	return p.Kind() == agency.PersonKind || last.Member.Account() != "" && p.Member <= last.Member
}

// pendingAt returns the agencies' requests that an account shows.
func (s *Service) pendingAt(ctx context.Context, at agency.Party) ([]agency.Profile, error) {
	var found []agency.Profile
	err := eachPage(func(page Page) (string, error) {
		team, err := s.Store.Team(ctx, at, page)
		if err != nil {
			return "", err
		}
		for _, p := range team.Items {
			if p.Kind() == agency.PersonKind {
				// Agencies sort first: there are no more.
				return "", nil
			}
			if p.Status == agency.Pending && !p.IsHidden() {
				found = append(found, p)
			}
		}
		return team.Next, nil
	})
	return found, err
}

// waitingDetails completes requests that wait for the actor. Those of closed accounts,
// and all of somebody who is being erased, are left out.
func (s *Service) waitingDetails(ctx context.Context, actor agency.Actor, requests []agency.Profile) ([]RequestDetail, error) {
	if len(requests) == 0 {
		return nil, nil
	}
	want := Want{People: []agency.PersonID{actor.ID()}}
	for _, p := range requests {
		want = want.plus(wantRequestDetail(p))
	}
	read, err := s.Store.Load(ctx, want)
	if err != nil || !read.Person(actor.ID()).Erasing.IsZero() {
		return nil, err
	}
	var items []RequestDetail
	for _, p := range requests {
		w := newRequestDetail(p, read, s.Now())
		if w.HasOpenRequest() && (p.Account() == "" || w.Account.IsOpen()) {
			items = append(items, w)
		}
	}
	return items, nil
}
