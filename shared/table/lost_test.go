package table_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"agencyhub/shared/agency"
	"agencyhub/shared/outbox"
	"agencyhub/shared/service"
	"agencyhub/shared/table"
	"agencyhub/shared/testbed"
)

// lossy makes its first updates and loses their answers.
type lossy struct {
	table.API
	lose int
}

var errNoAnswer = errors.New("the connection was reset")

func (l *lossy) UpdateItem(ctx context.Context, in *dynamodb.UpdateItemInput, opts ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error) {
	out, err := l.API.UpdateItem(ctx, in, opts...)
	if l.lose > 0 {
		l.lose--
		return nil, errNoAnswer
	}
	return out, err
}

func newLossy(t *testing.T) (*lossy, *table.Table, *testStore) {
	t.Helper()
	plain := newStore(t)
	l := &lossy{API: plain.Faults}
	return l, table.New(l, plain.name), plain
}

// A claim whose answer is lost finds itself when it is repeated: nobody else holds the email, and it
// was not sent before.
func TestAClaimFindsItself(t *testing.T) {
	l, store, _ := newLossy(t)
	for _, lose := range []int{1, 2} {
		l.lose = lose
		got, err := store.ClaimMail(t.Context(), mail(lose, ann), outbox.NewOwner(), noon, lease)
		if err != nil || got.State != outbox.ClaimTaken || got.Attempts > lose || got.Unconfirmed {
			t.Errorf("%d answers lost: %+v, %v", lose, got, err)
		}
		if other, err := store.ClaimMail(t.Context(), mail(lose, ann), outbox.NewOwner(), noon, lease); err != nil || other.State != outbox.ClaimBusy {
			t.Errorf("another's claim: %+v, %v", other, err)
		}
	}
	l.lose = 3
	if got, err := store.ClaimMail(t.Context(), mail(3, ann), outbox.NewOwner(), noon, lease); !errors.Is(err, errNoAnswer) {
		t.Errorf("no answer ever: %+v, %v", got, err)
	}
}

// An update whose answer is lost is not "somebody else's" when it is repeated.
func TestAChangeFindsItself(t *testing.T) {
	l, store, plain := newLossy(t)
	if _, err := store.ClaimMail(t.Context(), mail(1, ann), outbox.NewOwner(), noon, lease); err != nil {
		t.Fatal(err)
	}
	for what, do := range map[string]func() (bool, error){
		"a fate": func() (bool, error) {
			return store.AdvanceFate(t.Context(), mail(1, ann), outbox.Delivered, "ses-1", noon)
		},
		"a suppression": func() (bool, error) { return store.Suppress(t.Context(), ann, agency.AddressBounced, noon) },
	} {
		l.lose = 1
		if done, err := do(); !done || err != nil {
			t.Errorf("%s with its answer lost: %t, %v", what, done, err)
		}
		if done, err := do(); done || err != nil {
			t.Errorf("%s once more: %t, %v", what, done, err)
		}
	}
	if v := testbed.Num(plain.items(t)["PERSON#"+string(ann)+" PERSON"]["version"]); v != "1" {
		t.Errorf("the person has version %s", v)
	}
}

// A claim says whether SES may have accepted the email before.
func TestAClaimKnowsOfUnconfirmedAttempts(t *testing.T) {
	store := newStore(t)
	claim := func(n int, at time.Time, attempts int, unconfirmed bool) (owner string) {
		t.Helper()
		owner = outbox.NewOwner()
		got, err := store.ClaimMail(t.Context(), mail(n, ann), owner, at, lease)
		if err != nil || got.State != outbox.ClaimTaken || got.Attempts != attempts || got.Unconfirmed != unconfirmed {
			t.Fatalf("%+v, %v, want attempt %d, unconfirmed %t", got, err, attempts, unconfirmed)
		}
		return owner
	}
	// A refused attempt gives the claim back.
	c := claim(1, noon, 1, false)
	noError(t, store.ReleaseMail(t.Context(), mail(1, ann), c, false))
	c = claim(1, noon, 2, false)
	// One without an answer gives it back, and says so, permanently.
	noError(t, store.ReleaseMail(t.Context(), mail(1, ann), c, true))
	c = claim(1, noon, 3, true)
	noError(t, store.ReleaseMail(t.Context(), mail(1, ann), c, false))
	claim(1, noon, 4, true)
	// A sender that dies gives nothing back.
	first := claim(2, noon, 1, false)
	second := claim(2, noon.Add(lease), 2, true)
	// What it says later is not about the claim of another.
	noError(t, store.ReleaseMail(t.Context(), mail(2, ann), first, false))
	if got, err := store.ClaimMail(t.Context(), mail(2, ann), outbox.NewOwner(), noon.Add(lease), lease); got.State != outbox.ClaimBusy || err != nil {
		t.Errorf("a claim was given back by another: %+v, %v", got, err)
	}
	noError(t, store.ReleaseMail(t.Context(), mail(2, ann), second, false))
	claim(2, noon.Add(lease), 3, false)
	// The owner itself can claim it again, which is no further attempt.
	third := claim(3, noon, 1, false)
	if got, err := store.ClaimMail(t.Context(), mail(3, ann), third, noon, lease); err != nil || got != (outbox.Claim{State: outbox.ClaimTaken, Attempts: 1}) {
		t.Errorf("%+v, %v", got, err)
	}
	// Unconfirmed counts as sent, and SES can still tell.
	noError(t, store.FinishMail(t.Context(), mail(2, ann), outbox.Unconfirmed, "", noon))
	if sent, err := store.WasSent(t.Context(), mail(2, ann)); !sent || err != nil {
		t.Errorf("sent: %t, %v", sent, err)
	}
	if told, err := store.AdvanceFate(t.Context(), mail(2, ann), outbox.Bounced, "ses", noon); !told || err != nil {
		t.Errorf("%t, %v", told, err)
	}
}

// A fate that this version does not know is left alone: the email is not sent, and not finished.
func TestAnUnknownFateIsLeftAlone(t *testing.T) {
	store := newStore(t)
	if _, err := store.ClaimMail(t.Context(), mail(1, ann), outbox.NewOwner(), noon, lease); err != nil {
		t.Fatal(err)
	}
	pk, sk := "MAIL#"+string(mail(1, ann).Event), "requested#"+string(ann)
	update, values := "SET fate = :f", map[string]types.AttributeValue{":f": &types.AttributeValueMemberS{Value: "painted"}}
	if _, err := store.Client.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{
		TableName: &store.name, UpdateExpression: &update, ExpressionAttributeValues: values,
		Key: testbed.Item{"pk": &types.AttributeValueMemberS{Value: pk}, "sk": &types.AttributeValueMemberS{Value: sk}},
	}); err != nil {
		t.Fatal(err)
	}
	before := store.items(t)
	if c, err := store.ClaimMail(t.Context(), mail(1, ann), outbox.NewOwner(), noon.Add(day), lease); c.State != outbox.ClaimBusy || err != nil {
		t.Errorf("%+v, %v", c, err)
	}
	if c, err := store.ClaimUnsolicited(t.Context(), mail(1, ann), toBox(1), outbox.NewOwner(), noon.Add(day), lease); c.State != outbox.ClaimBusy || err != nil {
		t.Errorf("%+v, %v", c, err)
	}
	for _, f := range outbox.Fates[1:] {
		if told, err := store.AdvanceFate(t.Context(), mail(1, ann), f, "ses", noon); told || err != nil {
			t.Errorf("%s: %t, %v", f, told, err)
		}
	}
	mails, err := store.Mails(t.Context(), mail(1, ann).Event)
	if err != nil || len(mails) != 1 || outbox.AllBounced(mails) {
		t.Errorf("%v, %v", mails, err)
	}
	testbed.SameItems(t, before, store.items(t))
}

// Each consumer finishes an event by itself. Only then does nothing wake it any more.
func TestAnEventIsDoneOnceAllConsumersAre(t *testing.T) {
	for _, order := range [][]outbox.Consumer{{outbox.Publish, outbox.Notify}, {outbox.Notify, outbox.Publish}} {
		store := newStore(t)
		e := event(1, agency.Party(account(1).ID), account(2).ID, noon)
		e.WakeAt = noon.Add(time.Minute)
		noError(t, store.Save(t.Context(), service.Snapshot{}, service.Changes{Events: []agency.Event{e}}))
		k := table.EventKey{Addressee: e.Addressee, ID: e.ID}
		if woken, err := store.Wake(t.Context(), k, e.WakeAt, e.WakeAt.Add(time.Minute)); !woken || err != nil {
			t.Fatal(woken, err)
		}
		state := func(done ...outbox.Consumer) {
			t.Helper()
			got, _, err := store.Event(t.Context(), k)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range outbox.Consumers {
				want := false
				for _, d := range done {
					want = want || c == d
				}
				if got.IsDoneBy(c) != want {
					t.Errorf("done by %s: %t", c, !want)
				}
			}
			if got.WakeAt.IsZero() != (len(done) == 2) {
				t.Errorf("done by %v, due at %s", done, got.WakeAt)
			}
		}
		state()
		noError(t, store.MarkDone(t.Context(), k, order[0], noon))
		state(order[0])
		for pk, i := range store.items(t) {
			if i["wake"] != nil {
				t.Errorf("%s would pass the stream's filters again", pk)
			}
		}
		noError(t, store.MarkDone(t.Context(), k, order[0], noon))
		state(order[0])
		noError(t, store.MarkDone(t.Context(), k, order[1], noon))
		state(order...)
		noError(t, store.MarkDone(t.Context(), k, order[0], noon))
		state(order...)
	}
}

// Both consumers finish at once: one of them removes the due mark.
func TestTwoConsumersFinishAtOnce(t *testing.T) {
	store := newStore(t)
	for n := range 30 {
		e := event(n, agency.Party(account(1).ID), account(2).ID, noon)
		e.WakeAt = noon.Add(time.Minute)
		noError(t, store.Save(t.Context(), service.Snapshot{}, service.Changes{Events: []agency.Event{e}}))
		k := table.EventKey{Addressee: e.Addressee, ID: e.ID}
		errs := make(chan error)
		for _, c := range outbox.Consumers {
			go func() { errs <- store.MarkDone(t.Context(), k, c, noon) }()
		}
		for range outbox.Consumers {
			noError(t, <-errs)
		}
		if got, _, err := store.Event(t.Context(), k); err != nil || !got.WakeAt.IsZero() || len(got.DoneBy) != 2 {
			t.Fatalf("%+v, %v", got, err)
		}
	}
}
