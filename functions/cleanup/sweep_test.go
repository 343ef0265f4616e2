package main

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"agencyhub/shared/agency"
	"agencyhub/shared/outbox"
	"agencyhub/shared/service"
)

const day = 24 * time.Hour

// runAt moves the clock and does two runs, of which the second must do nothing.
func (f *fixture) runAt(t *testing.T, now time.Time, want report) {
	t.Helper()
	f.now = now
	f.finishEvents(t)
	want.Finished = true
	if diff := cmp.Diff(want, f.clean(t.Context(), t)); diff != "" {
		t.Errorf("at %s: %s", now.Format(time.RFC3339), diff)
	}
	f.finishEvents(t)
	if diff := cmp.Diff(report{Finished: true}, f.clean(t.Context(), t)); diff != "" {
		t.Errorf("at %s a second run did something: %s", now.Format(time.RFC3339), diff)
	}
}

// A request gets a reminder, expires and is collected. An access with an end date gets
// two warnings, ends and is collected.
func TestAConnectionIsSwept(t *testing.T) {
	f := newFixture(t)
	f.svc.Rules.RequestLifetime = 14 * day
	noon := f.now
	f.request(t, 1)
	accepted := f.request(t, 2)
	until := noon.Add(30 * day)
	owner := agency.Caller{Actor: agency.NewActor("c2@client.test", "issuer", "2")}
	if _, err := f.svc.AcceptRequest(t.Context(), owner, accepted.Account(), f.agencyID, service.Grant{Request: 1, Until: &until}); err != nil {
		t.Fatal(err)
	}
	f.runAt(t, noon.Add(11*day-time.Millisecond), report{})
	f.runAt(t, noon.Add(11*day), report{Reminded: 1})
	f.runAt(t, noon.Add(14*day), report{Expired: 1})
	f.runAt(t, noon.Add(23*day), report{Reminded: 1})
	f.runAt(t, noon.Add(29*day), report{Reminded: 1})
	f.runAt(t, noon.Add(30*day), report{Lapsed: 1})
	f.runAt(t, noon.Add(104*day), report{Collected: 1})
	f.runAt(t, noon.Add(120*day), report{Collected: 1})
	list, counts, err := f.svc.Clients(t.Context(), f.ann, f.agencyID, service.ClientFilter{}, service.Page{Limit: 10})
	if len(list.Items) != 0 || counts != (service.Counts{}) || err != nil {
		t.Errorf("%+v, %+v, %v", list, counts, err)
	}
}

// A run that comes weeks late does only the last step that is due.
func TestALateRunSweepsOnce(t *testing.T) {
	f := newFixture(t)
	f.svc.Rules.RequestLifetime = 14 * day
	f.request(t, 1)
	f.runAt(t, f.now.Add(20*day), report{Expired: 1})
}

// The profiles of a closed account end a page a run. Its data is deleted 90 days later.
func TestAClosedAccountEnds(t *testing.T) {
	f := newFixture(t)
	f.svc.Rules.DailyByNewPerson = agency.PersonLimits{}
	ctx := t.Context()
	p := f.request(t, 1)
	owner := agency.Caller{Actor: agency.NewActor("c1@client.test", "issuer", "1")}
	for n := range 30 {
		in := service.Invitation{Email: fmt.Sprintf("m%d@client.test", n), Role: agency.Admin}
		if _, _, err := f.svc.InvitePerson(ctx, owner, p.Account(), in); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := f.svc.CloseAccount(ctx, owner, p.Account()); err != nil {
		t.Fatal(err)
	}
	closed := f.now
	f.finishEvents(t)
	for run, want := range []report{{Ended: 1, Backlog: 1, Oldest: &closed}, {Ended: 1, Backlog: 1, Oldest: &closed}, {Ended: 1}, {}} {
		want.Finished = true
		if diff := cmp.Diff(want, f.clean(ctx, t)); diff != "" {
			t.Errorf("run %d: %s", run, diff)
		}
	}
	f.now = closed.Add(90 * day)
	f.finishEvents(t)
	for range 5 {
		if r := f.clean(ctx, t); r.Ended != 0 {
			t.Errorf("%+v ended", r)
		}
	}
	if r := f.clean(ctx, t); r.Backlog != 0 || r.Collected != 0 {
		t.Errorf("%+v", r)
	}
	team, err := f.store.Team(ctx, agency.Party(p.Account()), service.Page{Limit: 10})
	read, err1 := f.store.Load(ctx, service.Want{Accounts: []agency.AccountID{p.Account()}})
	if len(team.Items) != 0 || read.Account(p.Account()).Exists() || err != nil || err1 != nil {
		t.Errorf("%+v, %+v, %v, %v", team, read, err, err1)
	}
}

// An erasure stops when the person has become a last owner, which can happen if they
// own more accounts than one transaction can end. It is reported at each attempt, and
// does not delay anything else.
func TestAnErasingThatStopsIsReported(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	bob, eve := agency.NewActor("bob@client.test", "issuer", "bob"), agency.NewActor("eve@client.test", "issuer", "eve")
	id := f.open(t, bob, "bob-key-0123456789")
	if _, _, err := f.svc.InvitePerson(ctx, agency.Caller{Actor: bob}, id, service.Invitation{Email: eve.Email, Role: agency.Owner}); err != nil {
		t.Fatal(err)
	}
	if err := f.svc.EraseMe(ctx, eve); err != nil {
		t.Fatal(err)
	}
	read, err := f.store.Load(ctx, service.Want{People: []agency.PersonID{bob.ID()}})
	if err != nil {
		t.Fatal(err)
	}
	erasing := read.Person(bob.ID())
	erasing.Erasing, erasing.DueAt, erasing.Version = f.now, f.now, erasing.Version+1
	if err := f.store.Save(ctx, read, service.Changes{People: []agency.Person{erasing}}); err != nil {
		t.Fatal(err)
	}
	f.request(t, 1)
	f.now = f.now.Add(time.Hour)
	f.finishEvents(t)
	var sum report
	for range 4 {
		r := f.clean(ctx, t) // a stop is no failure
		sum.Erased, sum.Expired, sum.Stopped = sum.Erased+r.Erased, sum.Expired+r.Expired, sum.Stopped+r.Stopped
		f.finishEvents(t)
	}
	if sum.Erased == 0 || sum.Expired != 1 || sum.Stopped != 1 {
		t.Errorf("%+v, want one stop, reported once", sum)
	}
	// It is tried again an hour later.
	f.now = f.now.Add(time.Hour)
	f.finishEvents(t)
	if r := f.clean(ctx, t); r.Stopped != 1 {
		t.Errorf("after an hour: %+v", r)
	}
}

// A cancelled subscription is frozen once, at the end of its period.
func TestACancelledSubscriptionIsFrozen(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	bob := agency.Caller{Actor: agency.NewActor("bob@client.test", "issuer", "bob")}
	id := f.open(t, bob.Actor, "bob-key-0123456789")
	v, err := f.svc.CancelSubscription(ctx, bob, id, false)
	if err != nil {
		t.Fatal(err)
	}
	f.now = v.FreezesAt.Add(-time.Minute)
	f.finishEvents(t)
	if r := f.clean(ctx, t); r.Frozen != 0 {
		t.Errorf("too early: %+v", r)
	}
	f.now = v.FreezesAt
	for _, want := range []int{1, 0} {
		if r := f.clean(ctx, t); r.Frozen != want {
			t.Errorf("%+v, want %d frozen", r, want)
		}
		f.finishEvents(t)
	}
	events, err := f.svc.AccountActivity(ctx, bob, id, service.Page{Limit: 1})
	if err != nil || events.Items[0].Type != agency.SubscriptionFroze || events.Items[0].Actor != "" {
		t.Errorf("%+v, %v", events, err)
	}
}

// A digest of held emails is started once, at its time, however many runs meet; the
// event that notify sends it by is woken like any other.
func TestADigestIsStarted(t *testing.T) {
	f := newFixture(t)
	f.finishEvents(t, day)
	box := agency.Mailbox("petra@client.test")
	mail := outbox.MailKey{Event: agency.NewEventID("01ARZ3NDEKTSV4RRFFQ69G5FAV"), Kind: "requested", Recipient: agency.NewPersonID("petra@client.test")}
	due := f.svc.Rules.DigestDue(box, f.now)
	u := outbox.Unsolicited{Mailbox: box, Addressee: agency.Party(f.agencyID), DigestAt: due}
	if claim, err := f.store.ClaimUnsolicited(t.Context(), mail, u, outbox.NewOwner(), f.now, time.Minute); claim.State != outbox.ClaimHeld || err != nil {
		t.Fatal(claim, err)
	}
	f.now = due.Add(-time.Millisecond)
	if got := f.clean(t.Context(), t); got.Digests != 0 {
		t.Errorf("%d digests too early", got.Digests)
	}
	f.now = due
	var runs sync.WaitGroup
	started := make([]report, 4)
	for i := range started {
		runs.Go(func() { started[i], _ = f.handle(t.Context(), input{}) })
	}
	runs.Wait()
	digests := 0
	for _, r := range started {
		digests += r.Digests
		if r.Failed > 0 {
			t.Errorf("%+v", r)
		}
	}
	if digests != 1 {
		t.Errorf("%d digests were started", digests)
	}
	f.now = due.Add(f.svc.Rules.WakeAfter)
	if got := f.clean(t.Context(), t); got.Woken != 1 || got.Digests != 0 {
		t.Errorf("%+v", got)
	}
}
