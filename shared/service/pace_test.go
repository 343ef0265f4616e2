//go:build !race

package service_test

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"agencyhub/shared/agency"
	"agencyhub/shared/service"
	"agencyhub/shared/testbed"
)

// 200 commands of one agency at once, on a table that takes 12 ms for a transaction and refuses
// others on its items meanwhile, with one processor. Nothing is shared between the commands. Most
// succeed; the others are told when to try again, and nothing of theirs is written.
func TestManyCommandsOfOneAgencyAtOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("it measures")
	}
	const commands, least = 200, 120
	w := newWorld(t)
	w.Rules.OpenRequests, w.Rules.DailyRequests = 1000, 1000
	clients := make([]agency.AccountID, commands)
	for n := range clients {
		clients[n] = must[service.AccountView](t)(w.OpenAccount(t.Context(), actor(fmt.Sprint("client", n)), idempotencyKey(1), "Client")).ID
	}
	w.Duration = 12 * time.Millisecond
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	w.TakeCalls()
	took, errs := make([]time.Duration, commands), make([]error, commands)
	var wg sync.WaitGroup
	start := time.Now()
	for n, id := range clients {
		wg.Go(func() {
			_, errs[n] = w.RequestConnection(t.Context(), w.gil, w.agency, service.ConnectionRequest{Account: id, Areas: editAll})
			took[n] = time.Since(start)
		})
	}
	wg.Wait()
	calls := w.TakeCalls()
	w.Duration = 0
	var done []time.Duration
	for n, err := range errs {
		if took[n] > 7*time.Second {
			t.Errorf("one took %s", took[n])
		}
		refusal, _ := errors.AsType[*agency.Error](err)
		switch {
		case err == nil:
			done = append(done, took[n])
		case refusal == nil || refusal.Code != agency.Unavailable || refusal.RetryAfter <= 0:
			t.Errorf("%v", err)
		}
	}
	slices.Sort(done)
	t.Logf("%d of %d succeeded within %s, p50 %s, with %d transactions and %d reads", len(done), commands,
		done[len(done)-1].Round(time.Millisecond), done[len(done)/2].Round(time.Millisecond), calls["TransactWriteItems"], calls["BatchGetItem"])
	if len(done) < least {
		t.Errorf("%d succeeded, want %d or more", len(done), least)
	}
	pending := 0
	for k, i := range w.items() {
		if strings.HasSuffix(k, " TEAM#"+string(w.agency)) && testbed.Str(i["status"]) == "pending" {
			pending++
		}
	}
	diff(t, "requests in the table", len(done), pending)
	diff(t, "counts", service.Counts{Owned: 1, Pending: pending}, must[service.Counts](t)(w.store.Counts(t.Context(), w.agency)))
	w.audit(t)
}
