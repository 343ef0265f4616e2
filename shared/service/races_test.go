package service_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"agencyhub/shared/agency"
	"agencyhub/shared/service"
)

// barrier returns a hook that makes n batch reads wait for each other, so that n decisions rest on
// the same state.
func barrier(n int) func() {
	var mu sync.Mutex
	all := make(chan struct{})
	return func() {
		mu.Lock()
		n--
		left := n
		mu.Unlock()
		if left == 0 {
			close(all)
		}
		if left >= 0 {
			<-all
		}
	}
}

// raceRounds is how often each race is run, since either side may be first.
const raceRounds = 6

// race runs contenders in one world, again and again: in half of the rounds after all have read the
// same, in the others freely. check gets the code of each, and the events of the client's account
// meanwhile.
func race(t *testing.T, stage func(*world) *world, contenders []func(*world) error, check func(t *testing.T, w *world, codes []agency.Code, happened []string)) {
	t.Helper()
	f := newFixture(t)
	outcomes := map[string]int{}
	for round := range raceRounds {
		w := stage(f.world(fmt.Sprintf("-%d", round)))
		before := len(w.events(w.client))
		f.AfterBatch = nil
		if round%2 == 0 {
			f.AfterBatch = barrier(len(contenders))
		}
		codes := make([]agency.Code, len(contenders))
		var wg sync.WaitGroup
		for i := range contenders {
			// Each starts first equally often.
			i = (i + round/2) % len(contenders)
			wg.Go(func() { codes[i] = agency.CodeOf(contenders[i](w)) })
		}
		wg.Wait()
		f.AfterBatch = nil
		outcomes[fmt.Sprintf("%q", codes)]++
		check(t, w, codes, w.events(w.client)[before:])
	}
	t.Logf("%v", outcomes)
	f.audit(t)
}

// contender is one of two commands of which only one succeeds.
type contender struct {
	do    func(*world) error
	event agency.EventType // of its success
	lost  agency.Code      // its refusal after the other's success
}

// raceForOne checks that exactly one of two contenders succeeds, and then makes the checks given.
func raceForOne(t *testing.T, stage func(*world) *world, one, two contender, checks ...func(*world)) {
	t.Helper()
	race(t, stage, []func(*world) error{one.do, two.do}, func(t *testing.T, w *world, codes []agency.Code, happened []string) {
		t.Helper()
		switch {
		case slices.Equal(codes, []agency.Code{"", two.lost}):
			diff(t, "events", []string{string(one.event)}, happened)
		case slices.Equal(codes, []agency.Code{one.lost, ""}):
			diff(t, "events", []string{string(two.event)}, happened)
		default:
			t.Errorf("one is refused by %q, the other by %q", codes[0], codes[1])
		}
		for _, check := range checks {
			check(w)
		}
	})
}

func TestTwoAccepts(t *testing.T) {
	race(t, (*world).pending, []func(*world) error{
		func(w *world) error { return second(w.accept(w.ann, 1)) },
		func(w *world) error { return second(w.accept(w.bob, 1)) },
	}, func(t *testing.T, w *world, codes []agency.Code, happened []string) {
		t.Helper()
		// The second repeats what its side has done: no error and no event.
		diff(t, "codes", []agency.Code{"", ""}, codes)
		diff(t, "events", []string{"connection.accepted"}, happened)
	})
}

func acceptByOwner(w *world) error { return second(w.accept(w.ann, 1)) }

func TestAcceptAgainstWithdraw(t *testing.T) {
	raceForOne(t, (*world).pending, contender{acceptByOwner, agency.ConnectionAccepted, agency.NotPending},
		contender{func(w *world) error { return second(w.withdraw()) }, agency.ConnectionWithdrawn, agency.NotPending})
}

func TestAcceptAgainstDecline(t *testing.T) {
	raceForOne(t, (*world).pending, contender{acceptByOwner, agency.ConnectionAccepted, agency.NotPending},
		contender{func(w *world) error { return second(w.decline(w.bob, false)) }, agency.ConnectionDeclined, agency.NotPending})
}

// The clock passes the expiry between the two reads, or before both, while cleanup records it.
func TestAcceptAtItsExpiry(t *testing.T) {
	for name, ahead := range map[string]time.Duration{"a moment before": lifetime - time.Millisecond, "the very moment": lifetime, "a moment after": lifetime + time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t).pending()
			w.advance(ahead)
			_, err := w.accept(w.ann, 1)
			want := agency.Code("")
			if ahead >= lifetime {
				want = agency.RequestExpired
			}
			diff(t, "code", want, agency.CodeOf(err))
			diff(t, "access", ahead < lifetime, w.access(as(w.gil, w.agency), w.client).Allowed)
		})
	}
	raceForOne(t, func(w *world) *world { return w.pending().after(lifetime - time.Millisecond) },
		contender{acceptByOwner, agency.ConnectionAccepted, agency.RequestExpired}, contender{func(w *world) error {
			w.advance(time.Millisecond)
			done, err := w.SweepProfile(w.t.Context(), agency.AgencyAt(w.client, w.agency))
			if done == "" && err == nil {
				return &agency.Error{Code: agency.NotPending}
			}
			return err
		}, agency.ConnectionExpired, agency.NotPending})
}

// An accept by an admin who is being removed either comes first or is refused.
func TestAcceptByWhoIsBeingRemoved(t *testing.T) {
	race(t, (*world).pending, []func(*world) error{
		func(w *world) error { return second(w.accept(w.bob, 1)) },
		func(w *world) error {
			return second(w.RemoveMember(w.t.Context(), as(w.ann), w.client, party(w.bob), false))
		},
	}, func(t *testing.T, w *world, codes []agency.Code, happened []string) {
		t.Helper()
		// Concurrent decisions are in either order.
		slices.Sort(happened)
		switch fmt.Sprint(codes, happened) {
		case "[ ] [connection.accepted person.removed]", "[not_found ] [person.removed]":
		default:
			t.Errorf("%q, %q", codes, happened)
		}
		if got := w.access(as(w.gil, w.agency), w.client).Allowed; got != (codes[0] == "") {
			t.Errorf("access %t after %q", got, codes)
		}
	})
}

func twoOwners(w *world) *world {
	w.t.Helper()
	w.mustInvite(w.ann, w.client, w.bob, agency.Owner)
	return w
}

func TestTwoOwnersDemoteEachOther(t *testing.T) {
	demote := func(w *world, by, who agency.Actor) error {
		return second(w.ChangeMember(w.t.Context(), as(by), w.client, party(who), service.MemberChange{Role: agency.Member}))
	}
	raceForOne(t, twoOwners,
		contender{func(w *world) error { return demote(w, w.ann, w.bob) }, agency.PersonChanged, agency.Forbidden},
		contender{func(w *world) error { return demote(w, w.bob, w.ann) }, agency.PersonChanged, agency.Forbidden},
		func(w *world) { diff(w.t, "owners", 1, w.account(w.client).Owners) })
}

func TestTwoOwnersLeaveAtOnce(t *testing.T) {
	raceForOne(t, twoOwners,
		contender{func(w *world) error { return w.remove(w.ann, party(w.ann), false) }, agency.PersonLeft, agency.LastOwner},
		contender{func(w *world) error { return w.remove(w.bob, party(w.bob), false) }, agency.PersonLeft, agency.LastOwner},
		func(w *world) { diff(w.t, "owners", 1, w.account(w.client).Owners) })
}

func TestRevokeAgainstLeave(t *testing.T) {
	raceForOne(t, (*world).connected,
		contender{func(w *world) error { return second(w.revoke()) }, agency.ConnectionRevoked, agency.NotActive},
		contender{func(w *world) error { return second(w.leave()) }, agency.ConnectionLeft, agency.NotActive})
}

func TestTwoRequests(t *testing.T) {
	raceForOne(t, fresh,
		contender{func(w *world) error { return second(w.request()) }, agency.ConnectionRequested, agency.AlreadyRequested},
		contender{func(w *world) error {
			return second(w.RequestConnection(w.t.Context(), w.gus, w.agency, service.ConnectionRequest{Account: w.client, Areas: viewPages}))
		}, agency.ConnectionRequested, agency.AlreadyRequested})
}

// Both succeed in either order, and the accept copies one of the account's names. notify copies a
// later rename.
func TestRenameAgainstAccept(t *testing.T) {
	race(t, (*world).pending, []func(*world) error{
		func(w *world) error { return second(w.RenameAccount(w.t.Context(), as(w.ann), w.client, "Renamed")) },
		func(w *world) error { return second(w.accept(w.bob, 1)) },
	}, func(t *testing.T, w *world, codes []agency.Code, happened []string) {
		t.Helper()
		diff(t, "codes", []agency.Code{"", ""}, codes)
		p := must[agency.Profile](t)(w.GetConnection(t.Context(), w.gil, w.agency, w.con))
		slices.Sort(happened)
		diff(t, "events", []string{"account.renamed", "connection.accepted"}, happened)
		if p.AccountName != "Renamed" && !strings.HasPrefix(p.AccountName, "Client-") {
			t.Errorf("the copy is %q", p.AccountName)
		}
	})
}

// 32 concurrent requests of one agency succeed within the bound of the retries: by an admin who
// signs in for the first time, whose profile all of them bind, and on a table that refuses
// overlapping transactions, as DynamoDB does.
func TestManyWritersOnOneAgency(t *testing.T) {
	const writers = 32
	for _, tt := range []struct {
		name     string
		conflict bool
	}{{"the first use of a profile", false}, {"a table that refuses what meets", true}} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			var clients []agency.AccountID
			for n := range writers {
				clients = append(clients, must[service.AccountView](t)(w.OpenAccount(t.Context(), actor(fmt.Sprint("client", n)), idempotencyKey(1), "Client")).ID)
			}
			by := w.gus
			if tt.conflict {
				w.Duration = 5 * time.Millisecond
			} else {
				w.mustInvite(w.gil, w.agency, by, agency.Admin)
				w.AfterBatch = barrier(writers)
			}
			w.TakeCalls()
			start := time.Now()
			var wg sync.WaitGroup
			var slowest time.Duration
			var mu sync.Mutex
			for _, id := range clients {
				wg.Go(func() {
					if _, err := w.RequestConnection(t.Context(), by, w.agency, service.ConnectionRequest{Account: id, Areas: editAll}); err != nil {
						t.Error(err)
					}
					mu.Lock()
					defer mu.Unlock()
					slowest = max(slowest, time.Since(start))
				})
			}
			wg.Wait()
			t.Logf("%d writers took %d transactions, the slowest %s", writers, w.TakeCalls()["TransactWriteItems"], slowest.Round(time.Millisecond))
			w.AfterBatch = nil
			diff(t, "counts", service.Counts{Owned: 1, Pending: writers}, must[service.Counts](t)(w.store.Counts(t.Context(), w.agency)))
			w.audit(t)
		})
	}
}
