package table_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/google/go-cmp/cmp"

	"agencyhub/shared/agency"
	"agencyhub/shared/outbox"
	"agencyhub/shared/service"
	"agencyhub/shared/table"
	"agencyhub/shared/testbed"
)

const day = 24 * time.Hour

var ann, bob = agency.NewPersonID("ann@x.test"), agency.NewPersonID("bob@x.test")

// mail is the n-th email to a person.
func mail(n int, to agency.PersonID) outbox.MailKey {
	return outbox.MailKey{Event: agency.EventID(fmt.Sprintf("evt_%026d", n)), Kind: "requested", Recipient: to}
}

// testStore is a table over a client that can fail.
type testStore struct {
	*table.Table
	*testbed.Faults
	name string
}

func newStore(t *testing.T) *testStore {
	t.Helper()
	db, name := testbed.Table(t)
	f := &testbed.Faults{Client: db}
	return &testStore{table.New(f, name), f, name}
}

func (s *testStore) items(t *testing.T) map[string]testbed.Item {
	t.Helper()
	return testbed.Items(t, s.Client, s.name)
}

func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// diff fails the test if want and got differ.
func diff[T any](t testing.TB, what string, want, got T) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s: %s", what, d)
	}
}

// A person gets at most ten unsolicited emails a day from all agencies, even of concurrent claims.
func TestUnsolicitedMailIsCapped(t *testing.T) {
	store := newStore(t)
	ctx := t.Context()
	claim := func(n int, at time.Time) outbox.ClaimState {
		t.Helper()
		c, err := store.ClaimUnsolicited(ctx, mail(n, ann), outbox.NewOwner(), at, lease, 10)
		if err != nil {
			t.Fatal(err)
		}
		return c.State
	}
	var wg sync.WaitGroup
	claims := make([]outbox.ClaimState, 40)
	for i := range claims {
		// Two claim each email.
		wg.Go(func() { claims[i] = claim(i/2, noon) })
	}
	wg.Wait()
	count := map[outbox.ClaimState]int{}
	for i := range claims {
		count[claims[i]]++
		if i%2 == 0 && claims[i] == outbox.ClaimTaken && claims[i+1] == outbox.ClaimTaken {
			t.Errorf("mail %d was claimed twice", i/2)
		}
	}
	diff(t, "claimed", 10, count[outbox.ClaimTaken])
	mails := func(day string) string {
		return testbed.Num(store.items(t)["LIMIT#"+string(ann)+" "+day]["mails"])
	}
	diff(t, "counted", "10", mails("2026-11-23"))

	// A claim that ran out is claimed again without being counted again. A capped email stays capped,
	// that day and the next.
	later, tomorrow := noon.Add(lease), noon.Add(day)
	again := map[outbox.ClaimState]int{}
	var capped []int
	for n := range 20 {
		c := claim(n, later)
		again[c]++
		if c != outbox.ClaimTaken {
			capped = append(capped, n)
		}
	}
	diff(t, "claimed again", 10, again[outbox.ClaimTaken])
	diff(t, "counted", "10", mails("2026-11-23"))
	for _, n := range capped {
		if c := claim(n, tomorrow); c == outbox.ClaimTaken {
			t.Errorf("mail %d was capped, and is sent the next day", n)
		}
		if i := store.items(t)["MAIL#"+string(mail(n, ann).Event)+" requested#"+string(ann)]; testbed.Str(i["fate"]) != "capped" || testbed.Num(i["ttl"]) == "" {
			t.Errorf("mail %d: %v", n, i)
		}
	}
	diff(t, "of the next day", outbox.ClaimTaken, claim(100, tomorrow))
	diff(t, "counted the next day", "1", mails("2026-11-24"))
	if i := store.items(t)["LIMIT#"+string(ann)+" 2026-11-24"]; testbed.Num(i["ttl"]) == "" {
		t.Errorf("a day's limit stays for ever: %v", i)
	}
	// Another person has ten of their own; a solicited email is never capped.
	if c, err := store.ClaimUnsolicited(ctx, mail(1, bob), outbox.NewOwner(), noon, lease, 10); c.State != outbox.ClaimTaken || err != nil {
		t.Errorf("%v, %v", c, err)
	}
	if c, err := store.ClaimMail(ctx, mail(101, ann), outbox.NewOwner(), noon, lease); c.State != outbox.ClaimTaken || err != nil {
		t.Errorf("%v, %v", c, err)
	}
	diff(t, "done", outbox.ClaimDone, func() outbox.ClaimState {
		noError(t, store.FinishMail(ctx, mail(100, ann), outbox.Sent, "ses", tomorrow))
		return claim(100, tomorrow.Add(day))
	}())
}

// A claim that loses the race for the count has failed, and can be made again.
func TestAClaimThatMeetsAnotherHasFailed(t *testing.T) {
	store := newStore(t)
	store.BeforeWrite = func(*dynamodb.TransactWriteItemsInput) error { return testbed.Cancelled("None", "TransactionConflict") }
	if c, err := store.ClaimUnsolicited(t.Context(), mail(1, ann), outbox.NewOwner(), noon, lease, 10); c.State != outbox.ClaimHeld || !errors.Is(err, service.ErrConflict) {
		t.Errorf("%v, %v", c, err)
	}
	store.BeforeWrite = func(*dynamodb.TransactWriteItemsInput) error { return context.DeadlineExceeded }
	if c, err := store.ClaimUnsolicited(t.Context(), mail(1, ann), outbox.NewOwner(), noon, lease, 10); c.State != outbox.ClaimHeld || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v, %v", c, err)
	}
	if all := store.items(t); len(all) != 0 {
		t.Errorf("%v", all)
	}
}
