//go:build !race

package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"agencyhub/shared/agency"
	"agencyhub/shared/service"
	"agencyhub/shared/stream"
	"agencyhub/shared/table"
	"agencyhub/shared/testbed"
)

// An entry that the bus refuses for ever, with a code that may pass, delays the others by
// little: 9 of 10 are on the bus within a second, on one shard whose batches are handed over
// one after the other.
func TestOneRefusedEntryDelaysNobody(t *testing.T) {
	skipShort(t)
	f := newFixture(t)
	f.service.Now, f.now, f.pause, f.workers = time.Now, time.Now, stream.Pause, workers
	f.sink = &stream.Sink{Pause: stream.Pause}
	var mu sync.Mutex
	var queue []table.EventKey
	made, latencies, refused := map[string]time.Time{}, []time.Duration{}, ""
	f.bus.Refuse = func(e testbed.Entry) (int, string) {
		mu.Lock()
		defer mu.Unlock()
		for id, at := range made {
			if strings.Contains(e.Detail, id) {
				if id == refused {
					return http.StatusOK, "InternalFailure"
				}
				latencies = append(latencies, time.Since(at))
			}
		}
		return http.StatusOK, ""
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for stopped := false; ; {
			mu.Lock()
			keys := slices.Clone(queue[:min(len(queue), 100)])
			queue = queue[len(keys):]
			mu.Unlock()
			if len(keys) > 0 {
				f.publish(t, keys...)
				continue
			}
			if stopped {
				return
			}
			select {
			case <-stop:
				stopped = true
			case <-time.After(10 * time.Millisecond):
			}
		}
	})
	const events = 250
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for i := range events {
		<-ticker.C
		owner := agency.NewActor(fmt.Sprintf("owner%d@client.test", i), "https://issuer.test", fmt.Sprint("owner", i))
		id := must[service.AccountView](t)(f.service.OpenAccount(t.Context(), owner, "client-0123456789", fmt.Sprint("Client ", i))).ID
		list := must[service.List[agency.Event]](t)(f.table.Activity(t.Context(), agency.Party(id), "", service.Page{Limit: 1}))
		e := list.Items[0]
		mu.Lock()
		if made[string(e.ID)] = e.At; i == events/5 {
			refused = string(e.ID)
		}
		queue = append(queue, table.EventKey{Addressee: e.Addressee, ID: e.ID})
		mu.Unlock()
	}
	close(stop)
	wg.Wait()
	slices.Sort(latencies)
	p50, p90, longest := latencies[len(latencies)/2], latencies[len(latencies)*9/10], latencies[len(latencies)-1]
	t.Logf("with one entry refused for ever: the others on the bus p50 %s, p90 %s, max %s, %d of them", p50, p90, longest, len(latencies))
	if len(latencies) != events-1 || p90 > time.Second {
		t.Error("the others waited")
	}
}

// skipShort skips a test that measures, by the real clock.
func skipShort(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("it measures")
	}
}
