package table_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"agencyhub/shared/agency"
	"agencyhub/shared/outbox"
	"agencyhub/shared/service"
	"agencyhub/shared/testbed"
)

var annBox, bobBox = agency.Mailbox("ann@x.test"), agency.Mailbox("bob@x.test")

// toBox is an unsolicited email to Ann's mailbox: the n-th sender's, for an account of
// their own.
func toBox(n int) outbox.Unsolicited {
	return outbox.Unsolicited{
		Mailbox: annBox, Sender: person(n).ID, Account: account(n).ID, Addressee: agency.Party(account(n).ID),
		All: 10, BySender: 3, ByAccount: 3, DigestAt: noon.Add(18 * time.Hour),
	}
}

func (s *testStore) claim(t *testing.T, n int, u outbox.Unsolicited, at time.Time) outbox.Claim {
	t.Helper()
	c, err := s.ClaimUnsolicited(t.Context(), mail(n, ann), u, outbox.NewOwner(), at, lease)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (s *testStore) limits(t *testing.T, day string) testbed.Item {
	t.Helper()
	return s.items(t)["LIMIT#"+string(annBox)+" "+day]
}

func (s *testStore) fateOf(t *testing.T, n int) string {
	t.Helper()
	return testbed.Str(s.items(t)["MAIL#"+string(mail(n, ann).Event)+" requested#"+string(ann)]["fate"])
}

// A mailbox gets at most ten unsolicited emails a day, even of concurrent claims. What is
// over is held, once.
func TestUnsolicitedMailIsLimited(t *testing.T) {
	store := newStore(t)
	var wg sync.WaitGroup
	claims := make([]outbox.Claim, 40)
	for i := range claims {
		// Two claim each email.
		wg.Go(func() { claims[i] = store.claim(t, i/2, toBox(i/2), noon) })
	}
	wg.Wait()
	count := map[outbox.ClaimState]int{}
	for i, c := range claims {
		count[c.State]++
		if i%2 == 0 && c.State == outbox.ClaimTaken && claims[i+1].State == outbox.ClaimTaken {
			t.Errorf("mail %d was claimed twice", i/2)
		}
	}
	diff(t, "claimed", 10, count[outbox.ClaimTaken])
	diff(t, "counted", "10", testbed.Num(store.limits(t, "2026-11-23")["mails"]))
	held, err := store.HeldMails(t.Context(), annBox, 1)
	noError(t, err)
	diff(t, "held", 10, len(held))

	// A claim that ran out is claimed again without being counted again. A held email
	// stays held, that day and the next.
	later, tomorrow := noon.Add(lease), noon.Add(day)
	again := map[outbox.ClaimState]int{}
	for n := range 20 {
		c := store.claim(t, n, toBox(n), later)
		again[c.State]++
		if c.State == outbox.ClaimTaken {
			continue
		}
		if c := store.claim(t, n, toBox(n), tomorrow); c.State != outbox.ClaimDone || store.fateOf(t, n) != "held" {
			t.Errorf("mail %d was held: %+v, %s", n, c, store.fateOf(t, n))
		}
	}
	diff(t, "claimed again", 10, again[outbox.ClaimTaken])
	diff(t, "counted", "10", testbed.Num(store.limits(t, "2026-11-23")["mails"]))
	diff(t, "of the next day", outbox.ClaimTaken, store.claim(t, 100, toBox(100), tomorrow).State)
	if i := store.limits(t, "2026-11-24"); testbed.Num(i["mails"]) != "1" || testbed.Num(i["ttl"]) == "" {
		t.Errorf("%v", i)
	}
	// Another mailbox has ten of its own; a solicited email is never held.
	other := toBox(1)
	other.Mailbox = bobBox
	if c, err := store.ClaimUnsolicited(t.Context(), mail(1, bob), other, outbox.NewOwner(), noon, lease); c.State != outbox.ClaimTaken || err != nil {
		t.Errorf("%v, %v", c, err)
	}
	if c, err := store.ClaimMail(t.Context(), mail(101, ann), outbox.NewOwner(), noon, lease); c.State != outbox.ClaimTaken || err != nil {
		t.Errorf("%v, %v", c, err)
	}
}

// One sender, or one account, fills a part of the day only, over all spellings.
func TestLimitsBySenderAndAccount(t *testing.T) {
	for name, tt := range map[string]struct {
		of   func(n int) outbox.Unsolicited
		want int
	}{
		"one sender": {func(n int) outbox.Unsolicited {
			u := toBox(n)
			u.Sender = person(99).ID
			return u
		}, 3},
		"one account": {func(n int) outbox.Unsolicited {
			u := toBox(n)
			u.Account = account(99).ID
			return u
		}, 3},
		"nobody": {func(n int) outbox.Unsolicited {
			u := toBox(n)
			u.Sender, u.Account = "", ""
			return u
		}, 10},
		"never signed in": {func(n int) outbox.Unsolicited {
			u := toBox(n)
			u.All = 3
			return u
		}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			store := newStore(t)
			taken := 0
			for n := range 12 {
				if c := store.claim(t, n, tt.of(n), noon); c.State == outbox.ClaimTaken {
					taken++
				} else if c.State != outbox.ClaimHeld {
					t.Errorf("%+v", c)
				}
			}
			diff(t, "claimed", tt.want, taken)
			diff(t, "counted", fmt.Sprint(tt.want), testbed.Num(store.limits(t, "2026-11-23")["mails"]))
			// The others still come through, as far as all together allows.
			want := outbox.ClaimTaken
			if tt.want == 10 {
				want = outbox.ClaimHeld
			}
			diff(t, "another's", want, store.claim(t, 50, toBox(50), noon).State)
		})
	}
}

// A claim that loses the race for the count has failed, and can be made again. One whose
// answer is lost is not counted twice.
func TestAnUnsolicitedClaimFails(t *testing.T) {
	store := newStore(t)
	for _, want := range []error{service.ErrConflict, context.DeadlineExceeded} {
		store.BeforeWrite = func(*dynamodb.TransactWriteItemsInput) error {
			if errors.Is(want, service.ErrConflict) {
				return testbed.Cancelled("None", "TransactionConflict")
			}
			return want
		}
		c, err := store.ClaimUnsolicited(t.Context(), mail(1, ann), toBox(1), outbox.NewOwner(), noon, lease)
		if c.State != outbox.ClaimBusy || !errors.Is(err, want) {
			t.Errorf("%v, %v", c, err)
		}
	}
	if all := store.items(t); len(all) != 0 {
		t.Errorf("%v", all)
	}
	store.BeforeWrite = nil
	for n, limit := range map[int]int{2: 10, 3: 0} {
		lost := false
		store.LoseAnswer = func(*dynamodb.TransactWriteItemsInput) error {
			if lost {
				return nil
			}
			lost = true
			return context.DeadlineExceeded
		}
		u := toBox(n)
		u.All = limit
		owner := outbox.NewOwner()
		for range 2 {
			if c, err := store.ClaimUnsolicited(t.Context(), mail(n, ann), u, owner, noon, lease); err == nil && c.State == outbox.ClaimBusy {
				t.Errorf("mail %d: %+v", n, c)
			}
		}
		store.LoseAnswer = nil
	}
	diff(t, "counted", "1", testbed.Num(store.limits(t, "2026-11-23")["mails"]))
	held, err := store.HeldMails(t.Context(), annBox, 1)
	noError(t, err)
	diff(t, "held", 1, len(held))
}

var digestEvents atomic.Int64

func digestEvent(at time.Time) agency.Event {
	id := agency.EventID(fmt.Sprintf("evt_%026d", digestEvents.Add(1)))
	return agency.Event{ID: id, Type: agency.DigestDue, At: at, Addressee: agency.Party(annBox), WakeAt: at.Add(time.Minute)}
}

// hold holds an email to Ann.
func (s *testStore) hold(t *testing.T, n int, at time.Time) {
	t.Helper()
	u := toBox(n)
	u.All, u.DigestAt = 0, at.Add(18*time.Hour)
	if c := s.claim(t, n, u, at); c.State != outbox.ClaimHeld {
		t.Fatalf("%+v", c)
	}
}

// dueBoxes are the mailboxes whose digest is due.
func (s *testStore) dueBoxes(t *testing.T, at time.Time) (due []agency.MailboxID) {
	t.Helper()
	for item, err := range s.DueSteps(t.Context(), at) {
		noError(t, err)
		due = append(due, item.Mailbox)
	}
	return due
}

// A digest is due once, at the time of the first held email. Of many sweeps one writes
// its event, and what is held after that belongs to the next.
func TestADigestIsDueOnce(t *testing.T) {
	store := newStore(t)
	store.hold(t, 1, noon)
	store.hold(t, 2, noon.Add(time.Hour))
	due := noon.Add(18 * time.Hour)
	diff(t, "due too early", 0, len(store.dueBoxes(t, due.Add(-time.Millisecond))))
	diff(t, "due", []agency.MailboxID{annBox}, store.dueBoxes(t, due))
	if opened, err := store.OpenDigest(t.Context(), digestEvent(due.Add(-time.Millisecond))); opened || err != nil {
		t.Errorf("too early: %t, %v", opened, err)
	}
	var wg sync.WaitGroup
	opened := make([]bool, 8)
	for i := range opened {
		wg.Go(func() {
			var err error
			if opened[i], err = store.OpenDigest(t.Context(), digestEvent(due)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	diff(t, "opened", 1, len(slices.DeleteFunc(opened, func(b bool) bool { return !b })))
	diff(t, "due afterwards", 0, len(store.dueBoxes(t, due.Add(day))))

	store.hold(t, 3, due)
	for digest, want := range map[int][]outbox.MailKey{1: {mail(2, ann), mail(1, ann)}, 2: {mail(3, ann)}, 3: nil} {
		held, err := store.HeldMails(t.Context(), annBox, digest)
		noError(t, err)
		var got []outbox.MailKey
		for _, h := range held {
			got = append(got, h.MailKey)
		}
		diff(t, fmt.Sprintf("digest %d", digest), want, got)
	}
	if opened, err := store.OpenDigest(t.Context(), digestEvent(due.Add(day))); !opened || err != nil {
		t.Fatal(opened, err)
	}
	// Both events wait for notify alone, the second for the first.
	var events []outbox.Event
	for item, err := range store.DueEvents(t.Context(), due.Add(2*day)) {
		noError(t, err)
		e, found, err := store.Event(t.Context(), *item.Event)
		if !found || err != nil || !e.IsDoneBy(outbox.Publish) || e.IsDoneBy(outbox.Notify) {
			t.Errorf("%+v, %t, %v", e, found, err)
		}
		events = append(events, e)
	}
	if len(events) != 2 || events[0].Version != 1 || events[1].Version != 2 || events[1].After != events[0].ID || events[0].Type != agency.DigestDue {
		t.Fatalf("%+v", events)
	}
	for item, err := range store.DueEvents(t.Context(), due.Add(2*day)) {
		noError(t, err)
		noError(t, store.MarkDone(t.Context(), *item.Event, outbox.Notify, due))
	}
	for item, err := range store.DueEvents(t.Context(), due.Add(2*day)) {
		t.Errorf("an event still waits: %v, %v", item, err)
	}
	noError(t, store.Unhold(t.Context(), annBox, mail(1, ann), mail(2, ann)))
	noError(t, store.Unhold(t.Context(), annBox, mail(1, ann)))
	held, err := store.HeldMails(t.Context(), annBox, 1)
	if len(held) != 0 || err != nil {
		t.Errorf("%v, %v", held, err)
	}
}

// A held email holds whether its address has a tag, and no address.
func TestAHeldEmailTellsOfItsTag(t *testing.T) {
	store := newStore(t)
	for n, tagged := range []bool{false, true} {
		u := toBox(n)
		u.All, u.IsTagged = 0, tagged
		store.claim(t, n, u, noon.Add(time.Duration(n)*time.Second))
	}
	held, err := store.HeldMails(t.Context(), annBox, 1)
	noError(t, err)
	if len(held) != 2 || !held[0].IsTagged || held[1].IsTagged {
		t.Errorf("%+v", held)
	}
	for key, item := range store.items(t) {
		if strings.HasPrefix(key, "HELD#") && strings.Contains(fmt.Sprint(item), "@") {
			t.Errorf("%s holds an address: %v", key, item)
		}
	}
}

// A sweep whose answer is lost has written one event, and says so.
func TestADigestIsWrittenOnceThoughItsAnswerIsLost(t *testing.T) {
	l, store, plain := newLossy(t)
	plain.hold(t, 1, noon)
	l.lose = 1
	if opened, err := store.OpenDigest(t.Context(), digestEvent(noon.Add(day))); !opened || err != nil {
		t.Errorf("%t, %v", opened, err)
	}
	if opened, err := store.OpenDigest(t.Context(), digestEvent(noon.Add(day))); opened || err != nil {
		t.Errorf("once more: %t, %v", opened, err)
	}
	events := 0
	for key := range plain.items(t) {
		if strings.Contains(key, " EVENT#") {
			events++
		}
	}
	diff(t, "events", 1, events)
}

// Only the value of the mailbox's own link stops its mail, until its person allows it.
func TestMailIsStopped(t *testing.T) {
	store := newStore(t)
	ctx := t.Context()
	is := func(want bool) {
		t.Helper()
		if got, err := store.MailStopped(ctx, annBox); got != want || err != nil {
			t.Errorf("stopped: %t, want %t (%v)", got, want, err)
		}
	}
	stop := func(box agency.MailboxID, value string, want bool) {
		t.Helper()
		if got, err := store.StopMail(ctx, box, value, noon); got != want || err != nil {
			t.Errorf("%t, want %t (%v)", got, want, err)
		}
	}
	is(false)
	stop(annBox, "FORGED", false)
	if all := store.items(t); len(all) != 0 {
		t.Errorf("a forged link has written %v", all)
	}
	value := store.claim(t, 1, toBox(1), noon).Stop
	diff(t, "the next email's link", value, store.claim(t, 2, toBox(2), noon).Stop)
	other := toBox(3)
	other.Mailbox = bobBox
	others := store.claim(t, 3, other, noon).Stop
	if value == "" || value == others {
		t.Fatalf("%q and %q", value, others)
	}
	stop(annBox, others, false)
	stop(bobBox, value, false)
	stop(annBox, value[1:], false)
	is(false)
	for range 2 {
		stop(annBox, value, true)
		is(true)
	}
	// Nothing is counted any more, nor held.
	for n := 4; n < 7; n++ {
		if c := store.claim(t, n, toBox(n), noon); !c.IsStopped || c.State != outbox.ClaimTaken {
			t.Errorf("%+v", c)
		}
	}
	diff(t, "counted", "2", testbed.Num(store.limits(t, "2026-11-23")["mails"]))
	// A claim from before the stop is not sent any more.
	if c := store.claim(t, 1, toBox(1), noon.Add(lease)); !c.IsStopped || c.Attempts != 2 {
		t.Errorf("%+v", c)
	}
	for range 2 {
		noError(t, store.AllowMail(ctx, annBox))
		is(false)
	}
	stop(annBox, value, false)
	is(false)
	fresh := store.claim(t, 10, toBox(10), noon).Stop
	stop(annBox, fresh, true)
	is(true)
	noError(t, store.AllowMail(ctx, annBox))
	for range 2 {
		noError(t, store.StopOwnMail(ctx, annBox, noon))
		is(true)
	}
	// Somebody who was never mailed can stop it too.
	noError(t, store.StopOwnMail(ctx, agency.Mailbox("tom@x.test"), noon))
	if stopped, err := store.MailStopped(ctx, agency.Mailbox("tom@x.test")); !stopped || err != nil {
		t.Errorf("%t, %v", stopped, err)
	}
}

// A stop that comes between the read and the claim holds.
func TestAStopMeetsAClaim(t *testing.T) {
	store := newStore(t)
	value := store.claim(t, 1, toBox(1), noon).Stop
	store.BeforeWrite = func(*dynamodb.TransactWriteItemsInput) error {
		store.BeforeWrite = nil
		_, err := store.StopMail(t.Context(), annBox, value, noon)
		return err
	}
	if c := store.claim(t, 2, toBox(2), noon); !c.IsStopped {
		t.Errorf("%+v", c)
	}
	diff(t, "counted", "1", testbed.Num(store.limits(t, "2026-11-23")["mails"]))
}
