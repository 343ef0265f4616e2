package table_test

import (
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"agencyhub/shared/service"
	"agencyhub/shared/table"
	"agencyhub/shared/testbed"
)

// A session is created once, renewed under a lease, and deleted.
func TestSession(t *testing.T) {
	store := newStore(t)
	id, ends := table.NewSessionID("a secret"), noon.Add(30*day)
	if _, found, err := store.Session(t.Context(), id); found || err != nil {
		t.Fatalf("a session that nobody created: %t, %v", found, err)
	}
	noError(t, store.CreateSession(t.Context(), id, []byte("one"), ends))
	if err := store.CreateSession(t.Context(), id, []byte("other"), ends); err == nil {
		t.Error("it is created twice")
	}
	want := func(sealed string, version int, until time.Time) {
		t.Helper()
		got, found, err := store.Session(t.Context(), id)
		if err != nil || !found {
			t.Fatalf("it is there: %t, %v", found, err)
		}
		diff(t, "the session", table.Session{ID: id, Sealed: []byte(sealed), Version: version, LeasedUntil: until}, got)
	}
	lease := func(version int, owner string, now time.Time) bool {
		t.Helper()
		leased, err := store.LeaseSession(t.Context(), id, version, owner, now, now.Add(8*time.Second))
		noError(t, err)
		return leased
	}
	renew := func(version int, owner, sealed string) bool {
		t.Helper()
		renewed, err := store.RenewSession(t.Context(), id, version, owner, []byte(sealed))
		noError(t, err)
		return renewed
	}
	want("one", 1, time.Time{})
	if renew(1, "x", "two") || lease(2, "x", noon) || !lease(1, "x", noon) {
		t.Fatal("without a lease it is renewed, or a lease is of another version")
	}
	// The owner's own lease, whose answer was lost, is no other's.
	if !lease(1, "x", noon) || lease(2, "x", noon) {
		t.Error("a lease that is repeated fails, or is of another version")
	}
	want("one", 1, noon.Add(8*time.Second))
	if lease(1, "y", noon.Add(8*time.Second-time.Millisecond)) || renew(1, "y", "two") {
		t.Error("two hold a lease")
	}
	noError(t, store.ReleaseSession(t.Context(), id, "y"))
	want("one", 1, noon.Add(8*time.Second))
	if !renew(1, "x", "two") || renew(1, "x", "three") {
		t.Error("the owner renews it not, or twice")
	}
	want("two", 2, time.Time{})
	if lease(1, "x", noon) || !lease(2, "x", noon) || !lease(2, "y", noon.Add(8*time.Second)) {
		t.Error("a lease does not end by the clock")
	}
	if renew(2, "x", "lost") {
		t.Error("it is renewed under the lease of another")
	}
	noError(t, store.ReleaseSession(t.Context(), id, "y"))
	want("two", 2, time.Time{})
	diff(t, "ttl", strconv.FormatInt(ends.Unix(), 10), testbed.Num(store.items(t)["SESSION#"+string(id)+" SESSION"]["ttl"]))

	if !lease(2, "x", noon) {
		t.Fatal("no lease")
	}
	if _, deleted, err := store.DeleteSession(t.Context(), id, "y"); deleted || err != nil {
		t.Errorf("deleted without the lease: %t, %v", deleted, err)
	}
	was, deleted, err := store.DeleteSession(t.Context(), id, "")
	if err != nil || !deleted || string(was.Sealed) != "two" {
		t.Errorf("deleted: %t, %v, %v", deleted, was, err)
	}
	// Nothing brings it back.
	if renew(2, "x", "three") || lease(2, "x", noon) {
		t.Error("what is deleted is renewed")
	}
	noError(t, store.ReleaseSession(t.Context(), id, "x"))
	if _, deleted, err := store.DeleteSession(t.Context(), id, ""); deleted || err != nil {
		t.Errorf("deleted twice: %t, %v", deleted, err)
	}
	if _, deleted, err := store.DeleteSession(t.Context(), id, "x"); deleted || err != nil {
		t.Errorf("deleted twice by its owner: %t, %v", deleted, err)
	}
	if all := store.items(t); len(all) != 0 {
		t.Errorf("left: %v", all)
	}
}

// Of many requests at once one gets the lease.
func TestOneLeaseOfASession(t *testing.T) {
	store := newStore(t)
	id := table.NewSessionID("a secret")
	noError(t, store.CreateSession(t.Context(), id, []byte("one"), noon))
	var leases atomic.Int32
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			leased, err := store.LeaseSession(t.Context(), id, 1, strconv.Itoa(i), noon, noon.Add(time.Second))
			if err != nil {
				t.Error(err)
			}
			if leased {
				leases.Add(1)
			}
		})
	}
	all.Wait()
	diff(t, "leases", 1, leases.Load())
}

// A step whose answer is lost is found to be made when it is repeated.
func TestASessionFindsItself(t *testing.T) {
	l, store, _ := newLossy(t)
	id := table.NewSessionID("a secret")
	l.lose = 1
	noError(t, store.CreateSession(t.Context(), id, []byte("one"), noon))
	l.lose = 1
	if leased, err := store.LeaseSession(t.Context(), id, 1, "x", noon, noon.Add(time.Second)); !leased || err != nil {
		t.Errorf("a lease: %t, %v", leased, err)
	}
	l.lose = 2
	if renewed, err := store.RenewSession(t.Context(), id, 1, "x", []byte("two")); !renewed || err != nil {
		t.Errorf("a renewal: %t, %v", renewed, err)
	}
	if got, _, err := store.Session(t.Context(), id); err != nil || string(got.Sealed) != "two" || got.Version != 2 {
		t.Errorf("%v, %v", got, err)
	}
}

// While the store is busy, every step says so; an item of another form can't be read.
func TestBusySession(t *testing.T) {
	store := newStore(t)
	id := table.NewSessionID("a secret")
	noError(t, store.CreateSession(t.Context(), id, []byte("one"), noon))
	store.BeforeGet = func(*dynamodb.GetItemInput) error { return &types.ThrottlingException{} }
	store.BeforeUpdate = func(*dynamodb.UpdateItemInput) error { return &types.ThrottlingException{} }
	store.BeforeDelete = func(*dynamodb.DeleteItemInput) error { return &types.InternalServerError{} }
	_, _, err1 := store.Session(t.Context(), id)
	err2 := store.CreateSession(t.Context(), id, nil, noon)
	_, err3 := store.LeaseSession(t.Context(), id, 1, "x", noon, noon)
	_, err4 := store.RenewSession(t.Context(), id, 1, "x", nil)
	err5 := store.ReleaseSession(t.Context(), id, "x")
	_, _, err6 := store.DeleteSession(t.Context(), id, "")
	for i, err := range []error{err1, err2, err3, err4, err5, err6} {
		if !errors.Is(err, service.ErrBusy) {
			t.Errorf("step %d: %v", i+1, err)
		}
	}
	store.BeforeGet, store.BeforeDelete = nil, nil
	_, err := store.Client.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{
		TableName: &store.name, UpdateExpression: new("SET version = :x"),
		Key:                       map[string]types.AttributeValue{"pk": &types.AttributeValueMemberS{Value: "SESSION#" + string(id)}, "sk": &types.AttributeValueMemberS{Value: "SESSION"}},
		ExpressionAttributeValues: map[string]types.AttributeValue{":x": &types.AttributeValueMemberN{Value: "1.5"}},
	})
	noError(t, err)
	if _, found, err := store.Session(t.Context(), id); found || !errors.Is(err, table.ErrUnreadable) {
		t.Errorf("a version of 1.5: %t, %v", found, err)
	}
	if _, deleted, err := store.DeleteSession(t.Context(), id, ""); !deleted || !errors.Is(err, table.ErrUnreadable) {
		t.Errorf("a version of 1.5, deleted: %t, %v", deleted, err)
	}
}
