package service

import (
	"context"
	"slices"
	"strings"

	"agencyhub/shared/agency"
)

// Waiting is a request that waits for the actor's answer, with what its email adds.
type Waiting struct {
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
func (w Waiting) IsForPayer() bool {
	return w.Kind() == agency.PersonKind && w.HasOpenRequest() && w.Request.Role == agency.Owner
}

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
func (s *Service) Waiting(ctx context.Context, actor agency.Actor, page Page) (List[Waiting], error) {
	part, cursor, _ := strings.Cut(page.Cursor, ".")
	var rows []agency.Profile
	var next string
	switch part {
	case "", waitingInvitations:
		list, err := s.Store.Invitations(ctx, actor.ID(), Page{Limit: page.Limit, Cursor: cursor})
		if err != nil {
			return List[Waiting]{}, err
		}
		rows, next = list.Items, following(waitingInvitations, list.Next, waitingByEmail)
	case waitingByEmail:
		list, err := s.Store.Team(ctx, agency.Party(actor.ID()), Page{Limit: page.Limit, Cursor: cursor})
		if err != nil {
			return List[Waiting]{}, err
		}
		rows, next = list.Items, following(waitingByEmail, list.Next, waitingInAccounts)
	case waitingInAccounts:
		list, err := s.waitingInAccounts(ctx, actor, max(1, page.Limit), cursor)
		if err != nil {
			return List[Waiting]{}, err
		}
		rows, next = list.Items, following(waitingInAccounts, list.Next, "")
	default:
		return List[Waiting]{}, errForeignCursor()
	}
	now, open := s.Now(), rows[:0]
	for _, p := range rows {
		if p.HasOpenRequestAt(now) && !p.Request.Muted {
			open = append(open, p)
		}
	}
	items, err := s.waitingDetails(ctx, actor, open)
	return List[Waiting]{Items: items, Next: next}, err
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
func (s *Service) waitingDetails(ctx context.Context, actor agency.Actor, requests []agency.Profile) ([]Waiting, error) {
	if len(requests) == 0 {
		return nil, nil
	}
	want := Want{People: []agency.PersonID{actor.ID()}}
	for _, p := range requests {
		want = want.plus(wantWaiting(p))
	}
	read, err := s.Store.Load(ctx, want)
	if err != nil || !read.Person(actor.ID()).Erasing.IsZero() {
		return nil, err
	}
	var items []Waiting
	for _, p := range requests {
		w := newWaiting(p, read, s)
		if w.HasOpenRequest() && (p.Account() == "" || w.Account.IsOpen()) {
			items = append(items, w)
		}
	}
	return items, nil
}

// askerOf is the account that asks by a profile's request.
func askerOf(p agency.Profile) agency.AccountID {
	if of := p.Member.Account(); of != "" {
		return of
	}
	return p.Request.From
}

func wantWaiting(p agency.Profile) Want {
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

// newWaiting completes a request from what wantWaiting has read. Its state is by the
// clock, and by whether its maker still has the role that it needs. Of an account to
// which the person was never joined, or is no longer, it has what the profile keeps.
func newWaiting(p agency.Profile, read Snapshot, s *Service) Waiting {
	now, from := s.Now(), askerOf(p)
	p, _ = agency.Settle(p, now)
	maker := read.Profile(agency.PersonAt(from, p.Request.By))
	if p.Kind() == agency.PersonKind && p.HasOpenRequest() && !maker.MayMake(p.Request, now) {
		if closed, _, err := agency.Apply(p, agency.Step{Do: agency.CloseRequest, By: agency.ClockSide, At: now}); err == nil {
			p = closed
		}
	}
	w := Waiting{Profile: p, Account: read.Account(p.Account()), From: read.Account(from)}
	if p.Kind() == agency.PersonKind && p.Status.IsEnded() {
		a := w.Account
		w.Account = agency.Account{ID: a.ID, Name: p.AccountName, Ownership: a.Ownership, Closed: a.Closed, Version: a.Version}
		if w.From.ID == a.ID {
			w.From = w.Account
		}
		if p.Status != agency.Expired {
			return w
		}
	}
	if maker.StatusAt(now) == agency.Active {
		w.By = maker.Email
	}
	return w
}

// GetInvitation returns the latest invitation or offer of ownership to the actor in an
// account, whatever became of it. Errors: IdentityChanged, NotFound.
func (s *Service) GetInvitation(ctx context.Context, actor agency.Actor, id agency.AccountID) (Waiting, error) {
	key := agency.PersonAt(id, actor.ID())
	want := Want{Profiles: []agency.ProfileKey{key}, People: []agency.PersonID{actor.ID()}}
	if !want.isWellFormed() {
		return Waiting{}, noSuchInvitation()
	}
	read, err := s.Store.Load(ctx, want)
	if err != nil {
		return Waiting{}, err
	}
	p := read.Profile(key)
	switch {
	case p.Request.Number == 0 || p.Request.Muted || !read.Person(actor.ID()).Erasing.IsZero():
		return Waiting{}, noSuchInvitation()
	case p.Status == agency.Active && p.IsBoundToAnother(actor):
		return Waiting{}, agency.Refuse(agency.IdentityChanged, "This address has a new sign-in since it joined the account. Ask an owner or admin of the account for a new sign-in.")
	}
	if read, err = s.Store.Load(ctx, wantWaiting(p).plus(Want{})); err != nil {
		return Waiting{}, err
	}
	return newWaiting(p, read, s), nil
}
