package service_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"agencyhub/shared/agency"
	"agencyhub/shared/service"
	"agencyhub/shared/testbed"
)

// limited gives persons limits of a day: 2 of each for who is new, 4 for others.
func (w *world) limited() *world {
	w.Rules.DailyByNewPerson = agency.PersonLimits{AccountsOpened: 2, AccountsCreated: 2, Requests: 2, Invitations: 2}
	w.Rules.DailyByPerson = agency.PersonLimits{AccountsOpened: 4, AccountsCreated: 4, Requests: 4, Invitations: 4}
	w.Rules.NewPersonFor = 7 * day
	return w
}

// counted returns what a person has done on this UTC day.
func (w *world) counted(who agency.Actor, what agency.Counted) int {
	w.t.Helper()
	i := w.items()["LIMIT#"+string(who.ID())+" "+w.Now().UTC().Format("2006-01-02")]
	return atoi(testbed.Num(i[string(what)]))
}

func (w *world) open(who agency.Actor, n int) error {
	return second(w.OpenAccount(w.t.Context(), who, idempotencyKey(n), "Account"))
}

func (w *world) createFor(who agency.Actor, in agency.AccountID, n int) error {
	return second(w.CreateAccount(w.t.Context(), who, in, idempotencyKey(n), service.NewClientAccount{Name: "New", Plan: "starter", ConfirmPermanentOwnership: true}))
}

func (w *world) requestOf(who agency.Actor, in agency.AccountID, n int) error {
	return second(w.RequestConnection(w.t.Context(), who, in, service.ConnectionRequest{OwnerEmail: actor(fmt.Sprint("asked", n)).Email, Areas: viewPages}))
}

func (w *world) firstAt(who agency.Actor) time.Time {
	w.t.Helper()
	read := must[service.Snapshot](w.t)(w.store.Load(w.t.Context(), service.Want{People: []agency.PersonID{who.ID()}}))
	return read.Person(who.ID()).FirstAt
}

// Each limit is reached exactly, holds until midnight in UTC, and is higher once the person is not
// new any more.
func TestLimitsOfAPerson(t *testing.T) {
	for what, do := range map[agency.Counted]func(w *world, n int) error{
		agency.AccountsOpened:  func(w *world, n int) error { return w.open(w.gus, 100+n) },
		agency.AccountsCreated: func(w *world, n int) error { return w.createFor(w.gus, w.agency, 100+n) },
		agency.RequestsMade:    func(w *world, n int) error { return w.requestOf(w.gus, w.agency, n) },
		agency.InvitationsMade: func(w *world, n int) error {
			return second(w.invite(w.gus, w.agency, actor(fmt.Sprint("invited", n)), agency.Admin))
		},
	} {
		t.Run(string(what), func(t *testing.T) {
			w := newWorld(t).limited()
			diff(t, "new since", noon, w.firstAt(w.gus))
			n := 0
			succeeds := func(when string, times int) {
				t.Helper()
				for range times {
					n++
					if err := do(w, n); err != nil {
						t.Fatalf("%s, the %dth: %v", when, n, err)
					}
				}
			}
			limited := func(when string, wait time.Duration) {
				t.Helper()
				w.refusedFor(t, when, agency.RateLimited, wait, func() error { return do(w, n+1) })
			}
			succeeds("new", 2)
			limited("new, a third", 12*time.Hour)
			diff(t, "counted", 2, w.counted(w.gus, what))
			w.setTime(noon.Add(12*time.Hour - time.Millisecond))
			limited("at the day's end", time.Millisecond)
			w.advance(time.Millisecond)
			succeeds("the next day", 2)
			limited("the next day, a third", day)

			w.setTime(noon.Add(7*day - time.Millisecond))
			succeeds("at the end of the week", 2)
			limited("at the end of the week, a third", 12*time.Hour+time.Millisecond)
			w.advance(time.Millisecond)
			succeeds("not new", 2)
			limited("not new, a fifth", 12*time.Hour)
			diff(t, "counted", 4, w.counted(w.gus, what))
			w.audit(t)
		})
	}
}

// What a person does is counted over all their accounts, and not with what others do.
func TestAPersonsLimitsAreTheirOwn(t *testing.T) {
	w := newWorld(t)
	v := w.world("-v")
	w.mustInvite(v.gil, v.agency, w.gil, agency.Admin)
	w.limited()
	noError(t, w.requestOf(w.gil, w.agency, 1))
	noError(t, w.requestOf(w.gil, v.agency, 1))
	for _, in := range []agency.AccountID{w.agency, v.agency} {
		w.refusedFor(t, "a third", agency.RateLimited, 12*time.Hour, func() error { return w.requestOf(w.gil, in, 2) })
	}
	noError(t, w.requestOf(w.gus, w.agency, 2))
	noError(t, w.requestOf(v.gil, v.agency, 2))
	// One kind does not count as another.
	noError(t, w.createFor(w.gil, v.agency, 900))
	w.audit(t)
}

// What is refused, and what repeats another call, is not counted.
func TestRefusedCommandsAreNotCounted(t *testing.T) {
	w := newWorld(t)
	w.limited().Rules.OpenRequests = 1
	ctx := t.Context()
	for range 3 {
		must[agency.Profile](t)(w.requestKeyed(1))
		refused(t, "one more open", agency.RateLimited, w.requestOf(w.gil, w.agency, 2))
		refused(t, "the same again", agency.AlreadyRequested, w.requestOf(w.gil, w.agency, 1))
		refused(t, "of no account", agency.NotFound, second(w.RequestConnection(ctx, w.gil, w.agency, service.ConnectionRequest{Account: newcomer, Areas: viewPages})))
		refused(t, "with another name", agency.IdempotencyMismatch, second(w.OpenAccount(ctx, w.gil, idempotencyKey(1), "Other")))
		noError(t, second(w.OpenAccount(ctx, w.gil, idempotencyKey(1), "Agency")))
	}
	diff(t, "requests", 1, w.counted(w.gil, agency.RequestsMade))
	// The world opened one, before there were limits.
	diff(t, "opened", 1, w.counted(w.gil, agency.AccountsOpened))
	w.audit(t)
}

// requestKeyed makes one request by email under an Idempotency-Key.
func (w *world) requestKeyed(n int) (agency.Profile, error) {
	return w.RequestConnection(w.t.Context(), w.gil, w.agency, service.ConnectionRequest{
		OwnerEmail: actor(fmt.Sprint("asked", n)).Email, Areas: viewPages, Key: idempotencyKey(n),
	})
}

// Of many at once, as many succeed as the limit has places.
func TestAPersonsLimitInARace(t *testing.T) {
	w := newWorld(t)
	v := w.world("-v")
	w.mustInvite(v.gil, v.agency, w.gil, agency.Admin)
	w.limited()
	noError(t, w.requestOf(w.gil, w.agency, 0))
	var wg sync.WaitGroup
	errs := make([]error, 12)
	for i := range errs {
		wg.Go(func() { errs[i] = w.requestOf(w.gil, []agency.AccountID{w.agency, v.agency}[i%2], i+1) })
	}
	wg.Wait()
	made := 0
	for _, err := range errs {
		if err == nil {
			made++
		} else if refusal, ok := errors.AsType[*agency.Error](err); !ok || refusal.Code != agency.RateLimited || refusal.RetryAfter != 12*time.Hour {
			t.Error(err)
		}
	}
	diff(t, "made", 1, made)
	diff(t, "counted", 2, w.counted(w.gil, agency.RequestsMade))
	w.audit(t)
}

// A person is new from the first thing that they changed, be it that they have accepted an invitation.
func TestSinceWhenAPersonIsNew(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	dan, never := actor("dan"), time.Time{}
	diff(t, "nobody", never, w.firstAt(dan))
	w.advance(time.Hour)
	must[agency.Profile](t)(w.invite(w.ann, w.client, dan, agency.Admin))
	diff(t, "invited", never, w.firstAt(dan))
	w.access(as(dan), w.client)
	refused(t, "not theirs", agency.NotFound, second(w.GetAccount(ctx, as(dan), w.owned)))
	diff(t, "access checked, and refused", never, w.firstAt(dan))
	w.advance(time.Hour)
	w.mustAccept(dan, w.client)
	first := noon.Add(2 * time.Hour)
	diff(t, "accepted", first, w.firstAt(dan))
	w.advance(time.Hour)
	must[service.AccountView](t)(w.RenameAccount(ctx, as(dan), w.client, "Renamed"))
	diff(t, "at a later change", first, w.firstAt(dan))

	must[service.AccountView](t)(w.OpenAccount(ctx, w.eve, idempotencyKey(1), "Eve's"))
	diff(t, "opened an account", noon.Add(3*time.Hour), w.firstAt(w.eve))
	fay := actor("fay")
	noError(t, w.EraseMe(ctx, fay))
	diff(t, "erases themselves", noon.Add(3*time.Hour), w.firstAt(fay))
	w.audit(t)
}

// Ending one's own block is a command as any other.
func TestUnblockingIsAFirstCommand(t *testing.T) {
	w := newWorld(t)
	who := actor("newcomer")
	pair := agency.PersonPair(who.ID(), w.agency)
	read := must[service.Snapshot](t)(w.store.Load(t.Context(), service.Want{Pairs: []agency.PairKey{pair}}))
	blocked := agency.Pair{PairKey: pair, Blocked: true, Version: 1}
	if err := w.store.Save(t.Context(), read, service.Changes{Pairs: []agency.Pair{blocked}}); err != nil {
		t.Fatal(err)
	}
	diff(t, "unblocked", true, must[bool](t)(w.UnblockForMe(t.Context(), who, agency.NewConnectionID(agency.Party(who.ID()), w.agency))))
	diff(t, "first command", w.Now().UTC(), w.firstAt(who))
}

// The platform raises the limits of an agency and of those who act for it.
func TestRaisedLimits(t *testing.T) {
	w := newWorld(t)
	v := w.world("-v")
	w.mustInvite(v.gil, v.agency, w.gil, agency.Admin)
	dan := actor("dan")
	w.mustInvite(w.gil, w.agency, dan, agency.Admin)
	w.limited()
	w.Rules.OpenRequests, w.Rules.DailyRequests, w.Rules.OpenInvitations = 3, 3, 1
	raise := func(change map[agency.Limit]*int) {
		t.Helper()
		must[agency.Account](t)(w.RaiseLimits(t.Context(), platform, w.agency, change))
	}
	noError(t, w.requestOf(w.gil, v.agency, 1))
	raise(map[agency.Limit]*int{agency.RequestsByPersonLimit: new(1)})
	noError(t, w.requestOf(w.gil, w.agency, 1)) // below the settings' own, it changes nothing
	third := func() error { return w.requestOf(w.gil, w.agency, 2) }
	w.refusedFor(t, "new", agency.RateLimited, 12*time.Hour, third)
	raise(map[agency.Limit]*int{agency.RequestsByPersonLimit: new(6)})
	w.refusedFor(t, "for another agency", agency.RateLimited, 12*time.Hour, func() error { return w.requestOf(w.gil, v.agency, 2) })
	noError(t, third())
	noError(t, w.requestOf(w.gil, w.agency, 3))
	// The agency's own limits are others.
	w.refusedFor(t, "open", agency.RateLimited, time.Hour, func() error { return w.requestOf(w.gil, w.agency, 4) })
	raise(map[agency.Limit]*int{agency.OpenRequestsLimit: new(100)})
	w.refusedFor(t, "of the day", agency.RateLimited, 12*time.Hour, func() error { return w.requestOf(w.gil, w.agency, 4) })
	raise(map[agency.Limit]*int{agency.DailyRequestsLimit: new(100)})
	noError(t, w.requestOf(w.gil, w.agency, 4))
	noError(t, w.requestOf(w.gil, w.agency, 5))
	w.refusedFor(t, "a seventh", agency.RateLimited, 12*time.Hour, func() error { return w.requestOf(w.gil, w.agency, 6) })

	// Who joins the agency has them too; what is not raised stays.
	invite := func(n int) error { return second(w.inviteClient(actor(fmt.Sprint("client", n)))) }
	w.refusedFor(t, "an invitation too many", agency.RateLimited, 12*time.Hour, func() error { return invite(1) })
	raise(map[agency.Limit]*int{agency.InvitesByPersonLimit: new(10)})
	noError(t, invite(1))
	w.refusedFor(t, "open invitations", agency.RateLimited, time.Hour, func() error { return invite(2) })
	raise(map[agency.Limit]*int{agency.OpenInvitationsLimit: new(2), agency.InvitesByPersonLimit: nil})
	for n := range 6 {
		noError(t, w.requestOf(dan, w.agency, 10+n))
	}
	w.refusedFor(t, "another's seventh", agency.RateLimited, 12*time.Hour, func() error { return w.requestOf(dan, w.agency, 20) })
	noError(t, w.createFor(dan, w.agency, 901))
	noError(t, w.createFor(dan, w.agency, 902))
	w.refusedFor(t, "a third account", agency.RateLimited, 12*time.Hour, func() error { return w.createFor(dan, w.agency, 903) })
	raise(map[agency.Limit]*int{agency.CreatedByPersonLimit: new(3), agency.RequestsByPersonLimit: nil})
	noError(t, w.createFor(dan, w.agency, 903))
	w.advance(12 * time.Hour)
	noError(t, w.requestOf(dan, w.agency, 21))
	noError(t, w.requestOf(dan, w.agency, 22))
	w.refusedFor(t, "no longer raised", agency.RateLimited, day, func() error { return w.requestOf(dan, w.agency, 23) })
	diff(t, "kept", agency.Limits{agency.OpenRequestsLimit: 100, agency.DailyRequestsLimit: 100, agency.OpenInvitationsLimit: 2, agency.CreatedByPersonLimit: 3}, w.account(w.agency).Limits)
	raise(map[agency.Limit]*int{agency.OpenRequestsLimit: nil, agency.DailyRequestsLimit: nil, agency.CreatedByPersonLimit: nil, agency.OpenInvitationsLimit: nil})
	diff(t, "kept of none", agency.Limits(nil), w.account(w.agency).Limits)
	w.audit(t)
}

func TestWhoseLimitsAreNotRaised(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	closed := w.world("-closed")
	noError(t, closed.close(as(closed.ann), closed.client))
	one := map[agency.Limit]*int{agency.DailyRequestsLimit: new(1)}
	for what, tt := range map[string]struct {
		by     agency.Platform
		id     agency.AccountID
		change map[agency.Limit]*int
		code   agency.Code
	}{
		"nobody":         {agency.Platform{}, w.agency, one, agency.Forbidden},
		"no id":          {platform, "x", one, agency.Invalid},
		"nothing":        {platform, w.agency, nil, agency.Invalid},
		"no limit":       {platform, w.agency, map[agency.Limit]*int{"dailyMails": new(1)}, agency.Invalid},
		"zero":           {platform, w.agency, map[agency.Limit]*int{agency.DailyRequestsLimit: new(0)}, agency.Invalid},
		"negative":       {platform, w.agency, map[agency.Limit]*int{agency.OpenInvitationsLimit: new(-1)}, agency.Invalid},
		"absurd":         {platform, w.agency, map[agency.Limit]*int{agency.DailyRequestsLimit: new(1_000_001)}, agency.Invalid},
		"unknown":        {platform, newcomer, one, agency.NotFound},
		"closed":         {platform, closed.client, one, agency.Conflict},
		"agency-owned":   {platform, w.owned, one, agency.PermanentlyOwned},
		"no agency":      {platform, w.client, map[agency.Limit]*int{agency.OpenInvitationsLimit: new(1_000_000)}, ""},
		"the same again": {platform, w.client, map[agency.Limit]*int{agency.OpenInvitationsLimit: new(1_000_000)}, ""},
	} {
		if tt.code != "" {
			w.refusedFor(t, what, tt.code, 0, func() error { return second(w.RaiseLimits(ctx, tt.by, tt.id, tt.change)) })
			continue
		}
		must[agency.Account](t)(w.RaiseLimits(ctx, tt.by, tt.id, tt.change))
	}
	before := w.items()
	must[agency.Account](t)(w.RaiseLimits(ctx, platform, w.client, map[agency.Limit]*int{agency.OpenInvitationsLimit: new(1_000_000), agency.DailyRequestsLimit: nil}))
	testbed.SameItems(t, before, w.items())
	w.audit(t)
}

// Invitations count per acting person over all their accounts; a client that comes with a new account
// does not.
func TestInvitationsOfAPersonAreCounted(t *testing.T) {
	w := newWorld(t)
	w.Rules.DailyByPerson = agency.PersonLimits{Invitations: 2}
	w.Rules.DailyByNewPerson = w.Rules.DailyByPerson
	w.advance(day)
	shop := w.mustOpen(w.ann, 5, "Shop")
	must[agency.Profile](t)(w.invite(w.ann, w.client, actor("one"), agency.Admin))
	must[agency.Profile](t)(w.ChangeMember(t.Context(), as(w.ann), w.client, party(w.bob), service.MemberChange{Role: agency.Owner}))
	refused(t, "a third", agency.RateLimited, second(w.invite(w.ann, shop, actor("two"), agency.Admin)))
	refused(t, "a new sign-in", agency.RateLimited, second(w.AskNewSignIn(t.Context(), as(w.ann), w.client, party(w.mem))))
	must[agency.Profile](t)(w.inviteClient(actor("three")))
	w.advance(day)
	must[agency.Profile](t)(w.invite(w.ann, shop, actor("two"), agency.Admin))
	w.audit(t)
}
