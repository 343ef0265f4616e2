package service_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"agencyhub/shared/agency"
	"agencyhub/shared/service"
)

// repeats are commands that are made twice at once under the same key, or with the same input.
var repeats = map[string]func(w *world, n int) (id string, err error){
	"open": func(w *world, n int) (string, error) {
		a, err := w.OpenAccount(w.t.Context(), w.eve, idempotencyKey(n), "Mine")
		return string(a.ID), err
	},
	"create": func(w *world, n int) (string, error) {
		a, err := w.CreateAccount(w.t.Context(), w.gil, w.agency, idempotencyKey(n), service.NewClientAccount{
			Name: "Theirs", Plan: "growth", ConfirmPermanentOwnership: true, Client: &service.NewClient{Email: fmt.Sprintf("eve%d@x.test", n), Areas: viewPages},
		})
		return string(a.ID), err
	},
	"register": func(w *world, n int) (string, error) {
		a, err := w.register(agency.NewAccountID("platform", fmt.Sprint(n)), "Registered", w.eve.Email, "")
		return string(a.ID), err
	},
	"request": func(w *world, n int) (string, error) {
		client := agency.NewAccountID(party(w.ann), idempotencyKey(n))
		p, err := w.RequestConnection(w.t.Context(), w.gil, w.agency, service.ConnectionRequest{Account: client, Areas: editAll, Key: idempotencyKey(n)})
		return string(p.ID()), err
	},
	"request by email": func(w *world, n int) (string, error) {
		p, err := w.RequestConnection(w.t.Context(), w.gil, w.agency, service.ConnectionRequest{
			OwnerEmail: fmt.Sprintf("person%d@x.test", n), Areas: editAll, Key: idempotencyKey(n),
		})
		return string(p.ID()), err
	},
}

// splitBy splits each batch read elsewhere in each round, and reads either part first.
func (w *world) splitBy(round int) {
	w.SplitAt, w.SplitBackward = 1+round/2%6, round%2 == 0
	// What is decided on two moments can be nonsense, which the table refuses.
	w.BeforeWrite = nil
}

// A batch read is no snapshot: between its parts the same command is made by somebody else, as a
// whole. Both succeed with the same result, wherever the batch is split.
func TestARepeatThatReadsPartOfTheFirst(t *testing.T) {
	for name, do := range repeats {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			const rounds = 12
			for n := 100; n < 100+rounds; n++ {
				w.mustOpen(w.ann, n, "Client")
			}
			for n := 100; n < 100+rounds; n++ {
				var first string
				once, inner := sync.Once{}, false
				w.splitBy(n)
				w.SplitBatch = func() {
					if inner {
						return
					}
					once.Do(func() {
						inner = true
						first = must[string](t)(do(w, n))
						inner = false
					})
				}
				again, err := do(w, n)
				w.SplitBatch = nil
				if err != nil || again != first || first == "" {
					t.Errorf("round %d: %q, then %q, %v", n, first, again, err)
				}
			}
			w.audit(t)
		})
	}
}

// The same at once, and eight of them.
func TestRepeatsAtOnceWithSplitReads(t *testing.T) {
	for name, do := range repeats {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			const rounds, callers = 12, 8
			for n := 100; n < 100+rounds; n++ {
				w.mustOpen(w.ann, n, "Client")
			}
			w.SplitBatch = func() { time.Sleep(2 * time.Millisecond) }
			for n := 100; n < 100+rounds; n++ {
				w.splitBy(n)
				ids := make([]string, callers)
				var wg sync.WaitGroup
				for i := range callers {
					wg.Go(func() {
						var err error
						if ids[i], err = do(w, n); err != nil {
							t.Errorf("round %d: %v", n, err)
						}
					})
				}
				wg.Wait()
				for _, id := range ids {
					diff(t, "result", ids[0], id)
				}
			}
			w.SplitBatch = nil
			w.audit(t)
		})
	}
}

// A refusal that rests on two moments is decided again: a request is withdrawn and another made
// between the parts.
func TestNoRefusalFromTwoMoments(t *testing.T) {
	w := newWorld(t).pending()
	w.splitBy(0)
	moves := 0
	w.SplitBatch = func() {
		split := w.SplitBatch
		w.SplitBatch = nil
		defer func() { w.SplitBatch = split }()
		if moves++; moves > 1 {
			return
		}
		must[agency.Profile](t)(w.withdraw())
		must[agency.Profile](t)(w.request())
	}
	// The first part has the request as it was first.
	_, err := w.accept(w.ann, 2)
	w.SplitBatch = nil
	refused(t, "accepted", "", err)
	w.audit(t)
}

// A panic of a decision is Internal, with what it was and where, and writes nothing. One that comes
// of a torn read is decided again.
func TestAPanicIsInternal(t *testing.T) {
	w := newWorld(t)
	now := w.Now
	w.Now = func() time.Time { panic("no clock") }
	for name, do := range map[string]func() error{
		"a command": func() error { return second(w.RenameAccount(t.Context(), as(w.ann), w.client, "New")) },
		"a query":   func() error { return second(w.GetAccount(t.Context(), as(w.ann), w.client)) },
	} {
		w.TakeCalls()
		err := do()
		if agency.CodeOf(err) != agency.Internal || !strings.Contains(err.Error(), "no clock") || !strings.Contains(err.Error(), "one_state_test.go") {
			t.Errorf("%s: %v", name, err)
		}
		diff(t, name, 0, w.TakeCalls()["TransactWriteItems"])
	}
	w.Now = func() time.Time {
		w.Now = now
		must[service.AccountView](t)(w.RenameAccount(t.Context(), as(w.bob), w.client, "Meanwhile"))
		panic("torn")
	}
	must[service.AccountView](t)(w.RenameAccount(t.Context(), as(w.ann), w.client, "New"))
	diff(t, "name", "New", w.account(w.client).Name)
	w.audit(t)
}
