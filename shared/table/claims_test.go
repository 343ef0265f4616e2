package table_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"agencyhub/shared/agency"
	"agencyhub/shared/outbox"
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
