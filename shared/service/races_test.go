package service_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"agencyhub/shared/agency"
	"agencyhub/shared/service"
	"agencyhub/shared/testbed"
)

// meet lets the next n batch reads wait for each other, so that n decisions all
// rest on the same state.
func meet(n int) func() {
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

const raceRounds = 16

// race lets contenders loose on one world, again and again: in half of the
// rounds after all have read the same, in the others as they come. check is
// told the code of each, and what happened in the client's account meanwhile.
func race(t *testing.T, stage func(*world) *world, contenders []func(*world) error, check func(t *testing.T, w *world, codes []agency.Code, happened []string)) {
	t.Helper()
	h := newHub(t)
	outcomes := map[string]int{}
	for round := range raceRounds {
		w := stage(h.world(fmt.Sprintf("-%d", round)))
		before := len(w.events(w.client))
		h.AfterBatch = nil
		if round%2 == 0 {
			h.AfterBatch = meet(len(contenders))
		}
		codes := make([]agency.Code, len(contenders))
		var wg sync.WaitGroup
		for i := range contenders {
			// Each is first as often as any other.
			i = (i + round/2) % len(contenders)
			wg.Go(func() { codes[i] = agency.CodeOf(contenders[i](w)) })
		}
		wg.Wait()
		h.AfterBatch = nil
		outcomes[fmt.Sprintf("%q", codes)]++
		check(t, w, codes, w.events(w.client)[before:])
	}
	t.Logf("%v", outcomes)
	h.audit(t)
}

// one holds that exactly one won, and that the others got the code that fits.
func one(t *testing.T, codes []agency.Code, happened []string, then map[int][]agency.Code, events []string) {
	t.Helper()
	winner := -1
	for i, c := range codes {
		if c == "" {
			if winner >= 0 {
				t.Errorf("two won: %q", codes)
			}
			winner = i
		}
	}
	if winner < 0 {
		t.Errorf("nobody won: %q", codes)
		return
	}
	for i, c := range codes {
		if i != winner && !slices.Contains(then[winner], c) {
			t.Errorf("%d won, and %d was refused by %q", winner, i, c)
		}
	}
	diff(t, "events", []string{events[winner]}, happened)
}

func TestTwoAccepts(t *testing.T) {
	race(t, (*world).pending, []func(*world) error{
		func(w *world) error { return second(w.accept(w.ann, 1)) },
		func(w *world) error { return second(w.accept(w.bob, 1)) },
	}, func(t *testing.T, w *world, codes []agency.Code, happened []string) {
		t.Helper()
		// The second repeats what its side has done: no error, and no event.
		diff(t, "codes", []agency.Code{"", ""}, codes)
		diff(t, "events", []string{"connection.accepted"}, happened)
	})
}

func TestAcceptAgainstWithdraw(t *testing.T) {
	race(t, (*world).pending, []func(*world) error{
		func(w *world) error { return second(w.accept(w.ann, 1)) },
		func(w *world) error { return second(w.WithdrawRequest(w.t.Context(), w.gil, w.agency, w.con)) },
	}, func(t *testing.T, _ *world, codes []agency.Code, happened []string) {
		t.Helper()
		one(t, codes, happened, map[int][]agency.Code{0: {agency.NotPending}, 1: {agency.NotPending}}, []string{"connection.accepted", "connection.withdrawn"})
	})
}

func TestAcceptAgainstDeny(t *testing.T) {
	race(t, (*world).pending, []func(*world) error{
		func(w *world) error { return second(w.accept(w.ann, 1)) },
		func(w *world) error {
			return second(w.DenyRequest(w.t.Context(), as(w.bob), w.client, w.agency, false))
		},
	}, func(t *testing.T, _ *world, codes []agency.Code, happened []string) {
		t.Helper()
		one(t, codes, happened, map[int][]agency.Code{0: {agency.NotPending}, 1: {agency.NotPending}}, []string{"connection.accepted", "connection.denied"})
	})
}

// The clock moves past the expiry between the two reads, or before both, while
// cleanup records it.
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
	race(t, func(w *world) *world {
		w.pending().advance(lifetime - time.Millisecond)
		return w
	}, []func(*world) error{
		func(w *world) error { return second(w.accept(w.ann, 1)) },
		func(w *world) error {
			w.advance(time.Millisecond)
			done, err := w.SweepProfile(w.t.Context(), agency.AgencyAt(w.client, w.agency))
			if done == "" && err == nil {
				return &agency.Error{Code: agency.NotPending}
			}
			return err
		},
	}, func(t *testing.T, _ *world, codes []agency.Code, happened []string) {
		t.Helper()
		one(t, codes, happened, map[int][]agency.Code{0: {agency.NotPending}, 1: {agency.RequestExpired}}, []string{"connection.accepted", "connection.expired"})
	})
}

// An accept by an admin who is being removed either came first, or is refused.
func TestAcceptByWhoIsBeingRemoved(t *testing.T) {
	race(t, (*world).pending, []func(*world) error{
		func(w *world) error { return second(w.accept(w.bob, 1)) },
		func(w *world) error {
			return second(w.RemoveMember(w.t.Context(), as(w.ann), w.client, agency.Party(w.bob.ID()), false))
		},
	}, func(t *testing.T, w *world, codes []agency.Code, happened []string) {
		t.Helper()
		// What two decided in the same moment stands in either order.
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
	must[agency.Profile](w.t)(w.ChangeMember(w.t.Context(), as(w.ann), w.client, agency.Party(w.bob.ID()), service.MemberChange{Role: agency.Owner}))
	return w
}

func TestTwoOwnersDemoteEachOther(t *testing.T) {
	demote := func(by, who func(*world) agency.Actor) func(*world) error {
		return func(w *world) error {
			return second(w.ChangeMember(w.t.Context(), as(by(w)), w.client, agency.Party(who(w).ID()), service.MemberChange{Role: agency.Member}))
		}
	}
	ann, bob := func(w *world) agency.Actor { return w.ann }, func(w *world) agency.Actor { return w.bob }
	race(t, twoOwners, []func(*world) error{demote(ann, bob), demote(bob, ann)}, func(t *testing.T, w *world, codes []agency.Code, happened []string) {
		t.Helper()
		one(t, codes, happened, map[int][]agency.Code{0: {agency.Forbidden}, 1: {agency.Forbidden}}, []string{"person.changed", "person.changed"})
		diff(t, "owners", 1, w.owners(w.client))
	})
}

func TestTwoOwnersLeaveAtOnce(t *testing.T) {
	leave := func(who func(*world) agency.Actor) func(*world) error {
		return func(w *world) error {
			return second(w.RemoveMember(w.t.Context(), as(who(w)), w.client, agency.Party(who(w).ID()), false))
		}
	}
	race(t, twoOwners, []func(*world) error{
		leave(func(w *world) agency.Actor { return w.ann }), leave(func(w *world) agency.Actor { return w.bob }),
	}, func(t *testing.T, w *world, codes []agency.Code, happened []string) {
		t.Helper()
		one(t, codes, happened, map[int][]agency.Code{0: {agency.LastOwner}, 1: {agency.LastOwner}}, []string{"person.left", "person.left"})
		diff(t, "owners", 1, w.owners(w.client))
	})
}

func TestRevokeAgainstLeave(t *testing.T) {
	race(t, (*world).connected, []func(*world) error{
		func(w *world) error { return second(w.revoke()) },
		func(w *world) error { return second(w.LeaveAccount(w.t.Context(), w.gil, w.agency, w.con)) },
	}, func(t *testing.T, _ *world, codes []agency.Code, happened []string) {
		t.Helper()
		one(t, codes, happened, map[int][]agency.Code{0: {agency.NotActive}, 1: {agency.NotActive}}, []string{"connection.revoked", "connection.left"})
	})
}

func TestTwoRequests(t *testing.T) {
	race(t, func(w *world) *world { return w }, []func(*world) error{
		func(w *world) error { return second(w.request()) },
		func(w *world) error {
			return second(w.RequestConnection(w.t.Context(), w.gus, w.agency, service.ConnectionRequest{Account: w.client, Areas: viewPages}))
		},
	}, func(t *testing.T, _ *world, codes []agency.Code, happened []string) {
		t.Helper()
		one(t, codes, happened, map[int][]agency.Code{0: {agency.AlreadyRequested}, 1: {agency.AlreadyRequested}}, []string{"connection.requested", "connection.requested"})
	})
}

// Whichever comes first, both hold, and the name that the accept copies is one
// that the account had. A rename that comes after it is carried to the copy by
// notify.
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

// 32 requests of one agency at once, all within the bound of the retries: by an
// admin who has never signed in before, whose profile all of them bind, and on a
// table that refuses, as DynamoDB does, every transaction that meets another
// one on an item.
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
				clients = append(clients, must[service.AccountView](t)(w.OpenAccount(t.Context(), actor(fmt.Sprint("client", n)), key16(1), "Client")).ID)
			}
			by := w.gus
			if tt.conflict {
				meeting(w.hub, 5*time.Millisecond)
			} else {
				w.let(w.gil, w.agency, by, agency.Admin)
				w.AfterBatch = meet(writers)
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

// meeting lets transactions last, and refuses each that meets another one on an
// item, as DynamoDB does and the engine of these tests does not.
func meeting(h *hub, last time.Duration) {
	var mu sync.Mutex
	held := map[string]bool{}
	keys := func(in *dynamodb.TransactWriteItemsInput) []string {
		var out []string
		for _, i := range in.TransactItems {
			at := testbed.Item(nil)
			switch {
			case i.Put != nil:
				at = i.Put.Item
			case i.ConditionCheck != nil:
				at = i.ConditionCheck.Key
			case i.Update != nil:
				at = i.Update.Key
			}
			out = append(out, testbed.Str(at["pk"])+" "+testbed.Str(at["sk"]))
		}
		return out
	}
	h.BeforeWrite = func(in *dynamodb.TransactWriteItemsInput) error {
		if err := h.look(in); err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		mine := keys(in)
		if slices.ContainsFunc(mine, func(k string) bool { return held[k] }) {
			return testbed.Cancelled("None", "TransactionConflict")
		}
		for _, k := range mine {
			held[k] = true
		}
		return nil
	}
	h.AfterWrite = func(in *dynamodb.TransactWriteItemsInput) {
		time.Sleep(last)
		mu.Lock()
		defer mu.Unlock()
		for _, k := range keys(in) {
			delete(held, k)
		}
	}
}
