package service

import (
	"context"
	"errors"
	"fmt"
	"time"

	"agencyhub/shared/agency"
)

// Invitation is a person to invite, and the role and access levels that they get by
// accepting.
type Invitation struct {
	Email string
	// Role is Member in an agency-owned account.
	Role agency.Role
	// Areas are a Member's; nil for the other roles, which have all.
	Areas agency.Areas
}

// InvitePerson invites a person into an account. Nothing is granted until they accept.
// An open invitation is sent again with these terms; the same terms again within
// ResendAfter change nothing. Somebody with access gets this role and these areas
// immediately, or as an owner an offer of ownership; invited is false for them. Errors: Invalid, IdentityChanged, NotFound, Forbidden, LastOwner,
// Cooling (they have declined), RateLimited.
func (s *Service) InvitePerson(ctx context.Context, caller agency.Caller, id agency.AccountID, in Invitation) (p agency.Profile, invited bool, err error) {
	if in.Email, err = agency.ParseEmail("email", in.Email); err != nil {
		return agency.Profile{}, false, err
	}
	if in.Areas, err = s.Rules.ParseRole(in.Role, in.Areas, true); err != nil {
		return agency.Profile{}, false, err
	}
	person, from := agency.NewPersonID(in.Email), askerFor(caller, id)
	want := wantAuthority(caller, id).plus(wantInvitation(id, from, in.Email))
	err = s.command(ctx, &caller, want, func(d *decision) error {
		auth, err := d.authorize(agency.ManagePersons, id)
		if err != nil {
			return err
		}
		if err := auth.canHaveRole(in.Role); err != nil {
			return err
		}
		was := d.profile(agency.PersonAt(id, person))
		if err := auth.canEditOwner(was, in.Role); err != nil {
			return err
		}
		status := was.StatusAt(d.now)
		if status == agency.Invited {
			// An admin replaces no invitation that would make an owner.
			if err := auth.canEditOwner(was, offeredRole(was)); err != nil {
				return err
			}
		}
		invited = status != agency.Active
		switch {
		case status == agency.Active && (in.Role != agency.Owner || was.Role == agency.Owner):
			if p, err = d.apply(was, agency.Step{Do: agency.Change, By: agency.AccountSide, Role: in.Role, Areas: in.Areas}); err != nil {
				return err
			}
			return d.countOwners(auth.account, was, p)
		default:
			var events []agency.Event
			p, events, err = d.invite(auth.account, from, in)
			d.Events = append(d.Events, events...)
			return err
		}
	})
	return p, invited, err
}

// askerFor is the account that asks persons to join an account, for a caller who may:
// the account itself or, if an agency owns it, that agency.
func askerFor(caller agency.Caller, id agency.AccountID) agency.AccountID {
	if caller.As != "" {
		return caller.As
	}
	return id
}

// wantInvitation is what an invitation of an address rests on: the person's profile
// and what lies between them, or the address without tags, and the account that asks.
func wantInvitation(id, from agency.AccountID, email string) Want {
	person := agency.NewPersonID(email)
	return Want{
		Profiles: []agency.ProfileKey{agency.PersonAt(id, person)},
		Pairs:    []agency.PairKey{agency.PersonPair(person, from), untaggedPair(email, from)},
	}.plus(Want{})
}

// untaggedPair is the pair of an address without its tag. Its block holds for every
// tag.
func untaggedPair(email string, from agency.AccountID) agency.PairKey {
	return agency.PersonPair(agency.NewPersonID(agency.Untagged(email)), from)
}

// pairNotReadError is a pair that a decision rests on and that was not read.
type pairNotReadError struct{ key agency.PairKey }

func (e *pairNotReadError) Error() string {
	return fmt.Sprintf("service: the pair %s %s was not read", e.key.Addressee, e.key.Asker)
}

// isMuted reports whether a request to any of the pairs reaches nobody.
func (d *decision) isMuted(keys ...agency.PairKey) bool {
	for _, key := range keys {
		if d.pair(key).IsBlockedOrCooling(d.now) {
			return true
		}
	}
	return false
}

// canHaveRole refuses a role that no person can have in the account.
func (auth authority) canHaveRole(role agency.Role) error {
	if auth.account.Ownership == agency.AgencyOwned && role != agency.Member {
		return agency.InvalidField("role", "In an account that an agency owns, every person is a member.")
	}
	return nil
}

// offeredRole is the role that a person's open request offers; "" for none.
func offeredRole(p agency.Profile) agency.Role {
	if p.HasOpenRequest() {
		return p.Request.Role
	}
	return ""
}

// canEditOwner refuses an admin who would change or remove an owner, or give that role.
func (auth authority) canEditOwner(target agency.Profile, role agency.Role) error {
	owns := target.Status == agency.Active && target.Role == agency.Owner
	if auth.permission(agency.ManagePersons) == agency.NotOwners && (owns || role == agency.Owner) {
		return agency.Refuse(agency.Forbidden, "Only an owner can make, change or remove an owner.")
	}
	return nil
}

// invite opens an invitation or, for somebody with access, an offer of ownership. An
// open one is sent again with these terms. The events are left to the caller.
// Errors: Cooling, RateLimited.
func (d *decision) invite(account agency.Account, from agency.AccountID, in Invitation) (agency.Profile, []agency.Event, error) {
	key := agency.PersonAt(account.ID, agency.NewPersonID(in.Email))
	was, pair := d.profile(key), agency.PersonPair(key.Member.Person(), from)
	untagged := untaggedPair(in.Email, from)
	if _, read := d.read.Pairs[untagged]; !read {
		return was, nil, &pairNotReadError{untagged}
	}
	p := d.resumeCounters(key, from)
	p.Email, p.AccountName, p.Ownership, p.Subscription = in.Email, account.Name, account.Ownership, account.Subscription.Summary()
	step := agency.Step{
		Do: agency.OpenRequest, By: agency.AccountSide, Role: in.Role, Areas: in.Areas, From: from, Maker: d.caller.ID(),
		ExpiresAt: d.now.Add(d.rules.InvitationLifetime), Muted: d.isMuted(pair, untagged),
	}
	open := was.HasOpenRequestAt(d.now)
	if open {
		if was.Request.Role == in.Role && was.Request.Areas.Equal(in.Areas) && d.now.Before(was.Request.MailedAt.Add(d.rules.ResendAfter)) {
			// The same call again.
			return was, nil, nil
		}
		step.Do = agency.Resend
	}
	p, events, err := d.change(p, step)
	if err != nil {
		return p, nil, err
	}
	if open {
		return p, events, d.countResend(was, pair)
	}
	if err := d.isCooling(was, pair); err != nil {
		return p, nil, err
	}
	d.limitInvitations(from)
	if d.read.Account(account.ID).Exists() {
		// The client of a new account counts as that account.
		d.countInvitation(from)
	}
	return p, events, d.countMail(pair)
}

// countResend counts one more email of an open request of the pair. Errors: RateLimited.
func (d *decision) countResend(was agency.Profile, pair agency.PairKey) error {
	if err := d.rules.CheckResend(was, d.now); err != nil {
		return err
	}
	return d.countMail(pair)
}

// isCooling refuses a new request where the profile asked for was itself declined, or
// revoked as a connection, and that still cools. A cooldown from elsewhere mutes the
// request instead, so that it does not show.
func (d *decision) isCooling(was agency.Profile, key agency.PairKey) error {
	var from time.Time
	switch {
	case was.Status == agency.Declined || was.Status == agency.Revoked && was.Kind() == agency.AgencyKind:
		from = was.Since
	case was.Status == agency.Active && was.RequestKind() == agency.OwnershipKind && was.Request.State == agency.StateDeclined:
		from = was.Request.AnsweredAt
	default:
		return nil
	}
	until := from.Add(d.rules.Cooldown)
	if !d.pair(key).IsCooling(d.now) || !d.now.Before(until) {
		return nil
	}
	return &agency.Error{Code: agency.Cooling, State: was.Status, RetryAfter: until.Sub(d.now),
		Message: "They have declined not long ago. Give them time before you ask again."}
}

// limitInvitations bounds the open invitations and offers of the account that asks.
func (d *decision) limitInvitations(from agency.AccountID) {
	d.limits = append(d.limits, CountChange{Agency: from, MaxInvited: d.rules.With(d.read.Account(from).Limits).OpenInvitations})
}

// countInvitation counts an invitation or offer of the caller on this UTC day.
func (d *decision) countInvitation(from agency.AccountID) {
	d.countActor(agency.InvitationsMade, d.read.Account(from).Limits)
}

// ResendInvitation sends an open invitation or offer again, and extends it to a whole
// lifetime from now. Errors: IdentityChanged, NotFound, Forbidden, RequestExpired,
// NotPending, RateLimited.
func (s *Service) ResendInvitation(ctx context.Context, caller agency.Caller, id agency.AccountID, member agency.Party) (agency.Profile, error) {
	return s.invitationStep(ctx, caller, id, member, agency.Step{Do: agency.Resend, By: agency.AccountSide, Maker: caller.ID()})
}

// WithdrawInvitation withdraws an open invitation or offer. Errors: as
// ResendInvitation's, but for RateLimited.
func (s *Service) WithdrawInvitation(ctx context.Context, caller agency.Caller, id agency.AccountID, member agency.Party) (agency.Profile, error) {
	return s.invitationStep(ctx, caller, id, member, agency.Step{Do: agency.Withdraw, By: agency.AccountSide})
}

// AskNewSignIn turns an active person's profile into an invitation with the same role
// and access levels, so that they accept it with their present sign-in. Until then they
// have no access. Errors: IdentityChanged, NotFound, Forbidden, NotActive, LastOwner,
// RateLimited.
func (s *Service) AskNewSignIn(ctx context.Context, caller agency.Caller, id agency.AccountID, member agency.Party) (agency.Profile, error) {
	return s.invitationStep(ctx, caller, id, member, agency.Step{Do: agency.NewSignIn, By: agency.AccountSide, Maker: caller.ID()})
}

// invitationStep is one step by the account's side on the invitation of a member.
func (s *Service) invitationStep(ctx context.Context, caller agency.Caller, id agency.AccountID, member agency.Party, step agency.Step) (agency.Profile, error) {
	key := agency.ProfileKey{Addressee: agency.Party(id), Member: member}
	from := askerFor(caller, id)
	pair := agency.PairKey{Addressee: member, Asker: from}
	want := wantAuthority(caller, id).plus(Want{Profiles: []agency.ProfileKey{key}})
	if step.Do != agency.Withdraw && member.Person() != "" {
		want = want.plus(Want{Pairs: []agency.PairKey{pair}})
	}
	return run(ctx, s, &caller, want, func(d *decision) (p agency.Profile, err error) {
		auth, err := d.locate(id)
		if err != nil {
			return p, err
		}
		was := d.profile(key)
		if err := auth.authorizeMember(agency.ManagePersons, was.Version > 0 && !was.IsHidden()); err != nil {
			return p, err
		}
		role := offeredRole(was)
		if step.Do == agency.NewSignIn {
			role = "" // it closes an offer, and makes nobody an owner
		}
		if err := auth.canEditOwner(was, role); err != nil {
			return p, err
		}
		if step.Do == agency.NewSignIn && caller.As == "" && member == agency.Party(caller.ID()) {
			return p, agency.Refuse(agency.Forbidden, "You can't ask yourself for a new sign-in. Another owner or admin can.")
		}
		// A new sign-in is never muted: the person has accepted this place.
		step.From, step.ExpiresAt = from, d.now.Add(d.rules.InvitationLifetime)
		if p, err = d.apply(was, step); err != nil {
			return p, err
		}
		switch step.Do {
		case agency.Resend:
			return p, d.countResend(was, pair)
		case agency.NewSignIn:
			if err := d.countOwners(auth.account, was, p); err != nil {
				return p, err
			}
			d.limitInvitations(from)
			d.countInvitation(from)
			return p, d.countMail(pair)
		default:
			return p, nil
		}
	})
}

// Answer is a person's acceptance of an invitation or an offer of ownership.
type Answer struct {
	// Request is the number of the request that they saw.
	Request int
	// Plan is the plan that they saw, of an account for which they will pay.
	Plan string
}

// AcceptInvitation accepts the invitation or the offer of ownership that waits for the
// actor in an account, and binds the profile to their sign-in. Errors: Invalid (no
// plan), IdentityChanged, NotFound, Conflict (another request or plan than the ones
// named, or the account is closed), RequestExpired, NotPending (among others where the
// person who made it is no longer allowed to).
func (s *Service) AcceptInvitation(ctx context.Context, actor agency.Actor, id agency.AccountID, in Answer) (AccountView, error) {
	step := agency.Step{Do: agency.Accept, By: agency.SelfSide, Number: in.Request, Issuer: actor.Issuer, Subject: actor.Subject}
	var view AccountView
	err := s.answerInvitation(ctx, actor, id, func(d *decision, account agency.Account, was agency.Profile) error {
		next := was
		next.AccountName, next.Subscription = account.Name, account.Subscription.Summary()
		p, err := d.apply(next, step)
		if err != nil {
			return err
		}
		if p.Version != was.Version {
			if err := d.canAccept(account, was, in); err != nil {
				return err
			}
			d.clearPairs(agency.PersonPair(actor.ID(), was.Request.From))
			if err := d.countOwners(account, was, p); err != nil {
				return err
			}
		}
		account = d.account(account)
		view = d.view(authority{CallerRole: agency.CallerRoleOf(p.Role, "", ""), profile: p, account: account}, account)
		return nil
	})
	return view, err
}

// canAccept refuses an acceptance where what it rests on is no longer there.
func (d *decision) canAccept(account agency.Account, was agency.Profile, in Answer) error {
	if !account.IsOpen() {
		return agency.Refuse(agency.Conflict, "This account was closed.")
	}
	maker := d.profile(agency.PersonAt(was.Request.From, was.Request.By))
	if !maker.MayMake(was.Request, d.now) {
		return &agency.Error{Code: agency.NotPending, State: was.Status, Message: "The person who invited you can no longer do so. Ask the account's owner for a new invitation."}
	}
	if was.Request.Role != agency.Owner {
		return nil
	}
	switch plan := account.Subscription.Plan; in.Plan {
	case plan:
		return nil
	case "":
		return agency.InvalidField("plan", "Name the plan that was shown: as an owner you pay for the account.")
	default:
		return &agency.Error{Code: agency.Conflict, State: was.Status, Message: "The account's plan has changed since you looked. Look at it again before you accept."}
	}
}

// DeclineInvitation declines the invitation or the offer of ownership that waits for
// the actor in an account, or dismisses an expired one; block also blocks the account
// that asks, and what it owns. Errors: Invalid (blocking by an offer), IdentityChanged,
// NotFound, Conflict (another request than the one named), NotPending.
func (s *Service) DeclineInvitation(ctx context.Context, actor agency.Actor, id agency.AccountID, in Decline) (RequestDetail, error) {
	var declined RequestDetail
	err := s.answerInvitation(ctx, actor, id, func(d *decision, _ agency.Account, was agency.Profile) error {
		if in.Block && was.RequestKind() == agency.OwnershipKind && was.Status == agency.Active {
			return agency.InvalidField("block", "An offer of ownership can be declined, but not blocked: you are a member of this account.")
		}
		p, err := d.apply(was, agency.Step{Do: agency.Decline, By: agency.SelfSide, Number: in.Request})
		if err != nil {
			return err
		}
		d.startRestraint(p.Version != was.Version, in.Block, []agency.PairKey{agency.PersonPair(actor.ID(), was.Request.From)})
		declined = newRequestDetail(p, d.read, d.now)
		return nil
	})
	return declined, err
}

// answerInvitation is one answer of the actor to the request in their own profile. It
// reads the profile first, since that names what else the answer rests on.
func (s *Service) answerInvitation(
	ctx context.Context, actor agency.Actor, id agency.AccountID, answer func(*decision, agency.Account, agency.Profile) error,
) error {
	key := agency.PersonAt(id, actor.ID())
	want := Want{Accounts: []agency.AccountID{id}, Profiles: []agency.ProfileKey{key}, People: []agency.PersonID{actor.ID()}}
	if !want.isWellFormed() {
		return noSuchInvitation()
	}
	for range answerAttempts {
		read, err := s.Store.Load(ctx, want)
		if err != nil {
			return err
		}
		first := read.Profile(key)
		if first.Request.From != "" {
			more := Want{
				Accounts: []agency.AccountID{first.Request.From}, Pairs: []agency.PairKey{agency.PersonPair(actor.ID(), first.Request.From)},
			}
			if first.Request.By != "" {
				more.Profiles = []agency.ProfileKey{agency.PersonAt(first.Request.From, first.Request.By)}
			}
			more = want.plus(more)
			err = s.command(ctx, &agency.Caller{Actor: actor}, more, func(d *decision) error {
				was := d.profile(key)
				if was.Request.From != first.Request.From || was.Request.By != first.Request.By {
					return errRequestChanged
				}
				return d.answer(actor, id, was, answer)
			})
		} else {
			// Confirmed by a second read, as every refusal of a command.
			err = s.command(ctx, &agency.Caller{Actor: actor}, want, func(d *decision) error {
				if d.profile(key).Request.From != "" {
					return errRequestChanged
				}
				return noSuchInvitation()
			})
		}
		if !errors.Is(err, errRequestChanged) {
			return err
		}
	}
	return unavailable(errRequestChanged)
}

// answerAttempts bounds how often an answer reads who asks.
const answerAttempts = 4

// errRequestChanged is returned if a request has another asker than when it was read.
var errRequestChanged = errors.New("service: the request has changed")

// answer decides an answer of the actor to the request in their own profile.
func (d *decision) answer(actor agency.Actor, id agency.AccountID, was agency.Profile, answer func(*decision, agency.Account, agency.Profile) error) error {
	if was.Version == 0 || was.Request.Muted || !d.read.Person(actor.ID()).Erasing.IsZero() {
		return noSuchInvitation()
	}
	if was.Status == agency.Active && was.IsBoundToAnother(actor) {
		return agency.Refuse(agency.IdentityChanged, "This address has a new sign-in since it joined the account. Ask an owner or admin of the account for a new sign-in.")
	}
	account := d.read.Account(id)
	if !account.IsOpen() && was.HasOpenRequestAt(d.now) {
		return agency.Refuse(agency.Conflict, "This account was closed.")
	}
	return answer(d, account, was)
}

func noSuchInvitation() error {
	return agency.Refuse(agency.NotFound, "There is no such invitation, or it is not for your address.")
}

// GetInvitation returns the latest invitation or offer of ownership to the actor in an
// account, whatever became of it. Errors: IdentityChanged, NotFound.
func (s *Service) GetInvitation(ctx context.Context, actor agency.Actor, id agency.AccountID) (RequestDetail, error) {
	key := agency.PersonAt(id, actor.ID())
	want := Want{Profiles: []agency.ProfileKey{key}, People: []agency.PersonID{actor.ID()}}
	if !want.isWellFormed() {
		return RequestDetail{}, noSuchInvitation()
	}
	read, err := s.Store.Load(ctx, want)
	if err != nil {
		return RequestDetail{}, err
	}
	p := read.Profile(key)
	switch {
	case p.Request.Number == 0 || p.Request.Muted || !read.Person(actor.ID()).Erasing.IsZero():
		return RequestDetail{}, noSuchInvitation()
	case p.Status == agency.Active && p.IsBoundToAnother(actor):
		return RequestDetail{}, agency.Refuse(agency.IdentityChanged, "This address has a new sign-in since it joined the account. Ask an owner or admin of the account for a new sign-in.")
	}
	if read, err = s.Store.Load(ctx, wantRequestDetail(p).plus(Want{})); err != nil {
		return RequestDetail{}, err
	}
	return newRequestDetail(p, read, s.Now()), nil
}

// markMakers plans to close the invitations and offers of everybody who loses the role
// that they need. Those of a closed account end with it.
func (d *decision) markMakers() {
	rank := func(p agency.Profile) int {
		switch {
		case p.Status != agency.Active:
			return 0
		case p.Role == agency.Owner:
			return 2
		case p.Role == agency.Admin:
			return 1
		default:
			return 0
		}
	}
	for i := range d.Profiles {
		p := &d.Profiles[i]
		closed := !d.read.Account(p.Account()).Closed.IsZero()
		// Who is asked for a new sign-in has not lost the role.
		if p.Kind() == agency.PersonKind && p.Status != agency.Invited && !closed && rank(*p) < rank(d.read.Profile(p.ProfileKey)) {
			p.CloseAt, p.CloseCursor = d.now, ""
			p.DueAt = d.rules.Due(*p)
		}
	}
}

// closeRun bounds how many invitations one run of the sweep closes.
const closeRun = pageSize

// closeInvitations closes invitations and offers that a person made and is no longer
// allowed to: in the account of their profile and, if that is an agency, in the
// accounts that it owns. It takes a page at a time.
func (s *Service) closeInvitations(ctx context.Context, maker agency.Profile) (Outcome, error) {
	id, done := maker.Account(), 0
	cursor, more := maker.CloseCursor, false
	if cursor == "" {
		n, err := s.closeInvitationsIn(ctx, id, maker.ProfileKey, closeRun)
		if err != nil {
			return OutcomeNone, err
		}
		done, more = n, n == closeRun
	}
	if !more {
		owned, err := s.Store.Clients(ctx, id, ClientFilter{Status: agency.Active, Ownership: agency.AgencyOwned}, Page{Limit: pageSize, Cursor: cursor})
		if err != nil {
			return OutcomeNone, err
		}
		for _, p := range owned.Items {
			n, err := s.closeInvitationsIn(ctx, p.Account(), maker.ProfileKey, closeRun-done)
			if err != nil {
				return OutcomeNone, err
			}
			if done += n; done == closeRun {
				more = true
				break
			}
		}
		if !more {
			cursor = owned.Next
		}
	}
	err := s.command(ctx, nil, Want{Profiles: []agency.ProfileKey{maker.ProfileKey}}, func(d *decision) error {
		p := d.read.Profile(maker.ProfileKey)
		if !p.CloseAt.Equal(maker.CloseAt) || p.CloseCursor != maker.CloseCursor || p.CloseAt.IsZero() {
			// They have lost a role again meanwhile: that begins again.
			return nil
		}
		if p.CloseCursor = cursor; cursor == "" && !more {
			p.CloseAt = time.Time{}
		}
		p.Version++
		d.put(p)
		return nil
	})
	return OutcomeClosed, err
}

// closeInvitationsIn closes at most limit of the open invitations and offers that a
// person made in an account. It returns how many.
func (s *Service) closeInvitationsIn(ctx context.Context, id agency.AccountID, maker agency.ProfileKey, limit int) (int, error) {
	done := 0
	err := eachPage(func(page Page) (string, error) {
		team, err := s.Store.Team(ctx, agency.Party(id), page)
		if err != nil {
			return "", err
		}
		for _, p := range team.Items {
			if done == limit {
				return "", nil
			}
			if p.Kind() != agency.PersonKind || !p.HasOpenRequest() || p.Request.By != maker.Member.Person() {
				continue
			}
			closed, err := s.closeInvitation(ctx, p.ProfileKey, maker)
			if err != nil {
				return "", err
			}
			if closed {
				done++
			}
		}
		return team.Next, nil
	})
	return done, err
}

// closeInvitation closes one invitation, if its maker still is not allowed to make it.
func (s *Service) closeInvitation(ctx context.Context, key, maker agency.ProfileKey) (closed bool, err error) {
	want := Want{Accounts: []agency.AccountID{key.Addressee.Account()}, Profiles: []agency.ProfileKey{key, maker}}
	err = s.command(ctx, nil, want, func(d *decision) error {
		p, by := d.read.Profile(key), d.read.Profile(maker)
		closed = false
		if !p.HasOpenRequest() || p.Request.By != maker.Member.Person() || by.MayMake(p.Request, d.now) {
			return nil
		}
		next, err := d.apply(p, agency.Step{Do: agency.CloseRequest, By: agency.ClockSide})
		closed = err == nil && next.Version != p.Version
		if agency.CodeOf(err) == agency.NotPending || agency.CodeOf(err) == agency.RequestExpired {
			return nil // it has expired, which the sweep records by itself
		}
		return err
	})
	return closed, err
}
