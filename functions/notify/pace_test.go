//go:build !race

package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sesv2"

	"agencyhub/shared/agency"
	"agencyhub/shared/outbox"
	"agencyhub/shared/service"
	"agencyhub/shared/stream"
	"agencyhub/shared/table"
	"agencyhub/shared/testbed"
)

// pace is a stage by the real clock: one shard whose batches are handed over one after the
// other, and an SES that can fail. It measures how long each email takes.
type pace struct {
	*stage
	n      *notifier
	client *sesv2.Client
	// fail returns the status of an email; 0 is no answer until the test ends.
	fail func(to string) int

	mu sync.Mutex
	// queue are the events that the stream has, and made when each was written.
	queue []table.EventKey
	made  map[agency.EventID]time.Time
	// written are the events by account, in the order of the stream.
	written map[agency.Party][]agency.EventID
	// latencies are by recipient; order has the events whose emails SES took.
	latencies map[string][]time.Duration
	order     []agency.EventID
}

func newPace(t *testing.T) *pace {
	t.Helper()
	p := &pace{stage: newStage(t), made: map[agency.EventID]time.Time{}, written: map[agency.Party][]agency.EventID{}, latencies: map[string][]time.Duration{}, fail: func(string) int { return http.StatusOK }}
	p.service.Now = time.Now
	p.service.Rules.OpenRequests, p.service.Rules.DailyRequests = 1e6, 1e6
	many := agency.PersonLimits{AccountsOpened: 1e6, AccountsCreated: 1e6, Requests: 1e6, Invitations: 1e6}
	p.service.Rules.DailyByPerson, p.service.Rules.DailyByNewPerson = many, many
	over := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var call sent
		if err := json.NewDecoder(r.Body).Decode(&call); err != nil {
			t.Error(err)
			return
		}
		to := call.Destination.ToAddresses[0]
		p.mu.Lock()
		status := p.fail(to)
		p.mu.Unlock()
		switch status {
		case 0:
			select {
			case <-over:
			case <-r.Context().Done():
			}
			return
		case http.StatusOK:
			p.take(t, call)
		case http.StatusTooManyRequests:
			w.Header().Set("X-Amzn-ErrorType", "TooManyRequestsException")
		}
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, `{"MessageId":"m"}`)
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(over) })
	p.client = sesv2.NewFromConfig(testbed.Config(), func(o *sesv2.Options) { o.BaseEndpoint = &server.URL })
	p.n = p.notifier(t, p.client)
	p.n.now, p.n.pause, p.n.workers = time.Now, stream.Pause, workers
	p.n.ses = &stream.Sink{Pause: stream.Pause}
	p.n.deployment.rules.UnsolicitedMails = agency.MailLimits{All: 1e6, NeverSignedIn: 1e6, BySender: 1e6, ByAccount: 1e6}
	return p
}

func (p *pace) take(t *testing.T, call sent) {
	t.Helper()
	key, err := outbox.ParseMailTag(call.EmailTags[0].Value)
	if err != nil {
		t.Error(err)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	to := call.Destination.ToAddresses[0]
	p.latencies[to] = append(p.latencies[to], time.Since(p.made[key.Event]))
	p.order = append(p.order, key.Event)
}

// write puts the event of a command into the stream.
func (p *pace) write(t *testing.T, at agency.Party) {
	t.Helper()
	list := must[service.List[agency.Event]](t)(p.store.Activity(t.Context(), at, "", service.Page{Limit: 1}))
	p.mu.Lock()
	defer p.mu.Unlock()
	e := list.Items[0]
	p.made[e.ID] = e.At
	p.queue = append(p.queue, table.EventKey{Addressee: e.Addressee, ID: e.ID})
	p.written[at] = append(p.written[at], e.ID)
}

// run hands the batches over until stop is closed and the stream is empty.
func (p *pace) run(t *testing.T, stop <-chan struct{}) (handled int) {
	t.Helper()
	for stopped := false; ; {
		p.mu.Lock()
		keys := slices.Clone(p.queue[:min(len(p.queue), 50)])
		p.queue = p.queue[len(keys):]
		p.mu.Unlock()
		if len(keys) == 0 {
			if stopped {
				return handled
			}
			select {
			case <-stop:
				// Something may have come meanwhile.
				stopped = true
			case <-time.After(10 * time.Millisecond):
			}
			continue
		}
		handled += len(keys)
		if out, err := p.n.Handle(t.Context(), batch(keys...)); err != nil || len(out.BatchItemFailures) > 0 {
			t.Errorf("%v, %v", out, err)
		}
	}
}

// clients opens accounts of one owner each, and the agency.
func (p *pace) clients(t *testing.T, n int) (studio agency.AccountID, owners []agency.Actor, accounts []agency.AccountID) {
	t.Helper()
	view := must[service.AccountView](t)
	studio = view(p.service.OpenAccount(t.Context(), annActs, "studio-0123456789", "Bright Studio")).ID
	view(p.service.SwitchAgencyOn(t.Context(), annActs, studio))
	for i := range n {
		owner := agency.NewActor(fmt.Sprintf("owner%d@client.test", i), "https://issuer.test", fmt.Sprint("owner", i))
		owners = append(owners, owner)
		accounts = append(accounts, view(p.service.OpenAccount(t.Context(), owner, "client-0123456789", fmt.Sprint("Client ", i))).ID)
		must[agency.Profile](t)(p.service.RequestConnection(t.Context(), annActs, studio, service.ConnectionRequest{Account: accounts[i], Areas: some}))
	}
	return studio, owners, accounts
}

// requestsTold handles the requests to all accounts, since what follows waits for them.
func (p *pace) requestsTold(t *testing.T, accounts []agency.AccountID) (handled int) {
	t.Helper()
	for _, a := range accounts {
		p.write(t, agency.Party(a))
	}
	stop := make(chan struct{})
	close(stop)
	handled = p.run(t, stop)
	p.written, p.order, p.latencies = map[agency.Party][]agency.EventID{}, nil, map[string][]time.Duration{}
	return handled
}

func (p *pace) accepted(t *testing.T, studio agency.AccountID, owner agency.Actor, account agency.AccountID) {
	t.Helper()
	must[agency.Profile](t)(p.service.AcceptRequest(t.Context(), agency.Caller{Actor: owner}, account, studio, service.Grant{Request: 1}))
	p.write(t, agency.Party(account))
}

// others returns the latencies of everybody but one, ordered.
func (p *pace) others(but string) (all []time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for to, latencies := range p.latencies {
		if to != but {
			all = append(all, latencies...)
		}
	}
	slices.Sort(all)
	return all
}

func quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return time.Hour
	}
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

// One recipient that SES never answers for is in every event, and the others hear at once.
func TestOneRecipientWithoutAnswerDelaysNobody(t *testing.T) {
	skipShort(t)
	p := newPace(t)
	studio, owners, accounts := p.clients(t, 140)
	p.requestsTold(t, accounts)
	p.mu.Lock()
	p.fail = func(to string) int {
		if to == annActs.Email {
			return 0
		}
		return http.StatusOK
	}
	p.mu.Unlock()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { p.run(t, stop) })
	ticker := time.NewTicker(150 * time.Millisecond)
	defer ticker.Stop()
	for i := range accounts {
		<-ticker.C
		p.accepted(t, studio, owners[i], accounts[i])
	}
	close(stop)
	wg.Wait()
	others := p.others(annActs.Email)
	t.Logf("with one recipient of all events without an answer: the others' emails p50 %s, p90 %s, max %s, %d of them",
		quantile(others, .5), quantile(others, .9), quantile(others, 1), len(others))
	if len(others) != len(accounts) || quantile(others, .5) > time.Second {
		t.Error("the others waited")
	}
}

// A fault of one second delays emails by at most 15 s, and keeps a profile's order.
func TestAFaultOfOneSecondIsSoonOver(t *testing.T) {
	skipShort(t)
	for name, inject := range map[string]func(p *pace, from time.Time){
		"SES throttles": func(p *pace, from time.Time) {
			p.fail = func(string) int {
				if time.Since(from) < time.Second {
					return http.StatusTooManyRequests
				}
				return http.StatusOK
			}
		},
		"SES does not answer": func(p *pace, from time.Time) {
			p.fail = func(string) int {
				if time.Since(from) < time.Second {
					return 0
				}
				return http.StatusOK
			}
		},
		"SES fails for 5 s, and has just taken others": func(p *pace, from time.Time) {
			p.fail = func(string) int {
				if d := time.Since(from); d > 50*time.Millisecond && d < 5*time.Second {
					return http.StatusServiceUnavailable
				}
				return http.StatusOK
			}
		},
		"the table fails": func(p *pace, from time.Time) {
			p.faults.finish = func(outbox.MailKey) error {
				if time.Since(from) < time.Second {
					return errFault
				}
				return nil
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPace(t)
			studio, owners, accounts := p.clients(t, 5)
			p.requestsTold(t, accounts)
			from := time.Now()
			p.mu.Lock()
			inject(p, from)
			p.mu.Unlock()
			stop := make(chan struct{})
			var wg sync.WaitGroup
			wg.Go(func() { p.run(t, stop) })
			for i, a := range accounts {
				p.accepted(t, studio, owners[i], a)
				must[agency.Profile](t)(p.service.RemoveMember(t.Context(), agency.Caller{Actor: owners[i]}, a, agency.Party(studio), false))
				p.write(t, agency.Party(a))
			}
			close(stop)
			wg.Wait()
			all := p.others("")
			t.Logf("max %s of %d emails", quantile(all, 1), len(all))
			if len(all) != 4*len(accounts) || quantile(all, 1) > 15*time.Second {
				t.Errorf("%d emails, the last after %s", len(all), quantile(all, 1))
			}
			for _, pair := range p.written {
				first, second := slices.Index(p.order, pair[0]), slices.Index(p.order, pair[1])
				last := len(p.order) - 1 - slices.Index(reversed(p.order), pair[0])
				if first < 0 || second < 0 || last > second {
					t.Errorf("accepted at %d to %d, revoked at %d", first, last, second)
				}
			}
		})
	}
}

func reversed(ids []agency.EventID) []agency.EventID {
	ids = slices.Clone(ids)
	slices.Reverse(ids)
	return ids
}

// One shard tells at least 40 events of different profiles a second.
func TestEventsASecondOnOneShard(t *testing.T) {
	skipShort(t)
	p := newPace(t)
	_, _, accounts := p.clients(t, 300)
	from := time.Now()
	handled := p.requestsTold(t, accounts)
	took := time.Since(from)
	rate := float64(handled) / took.Seconds()
	t.Logf("%d events of different profiles in %s: %.0f a second", handled, took.Round(time.Millisecond), rate)
	if handled != len(accounts) || rate < 40 {
		t.Errorf("%d events, %.0f a second", handled, rate)
	}
}

// An SES that takes 14 emails a second, as that of a new account, is given as many: a backlog of woken
// events is finished in little more than the time that this takes.
func TestARateLimitedSESIsNotOverrun(t *testing.T) {
	skipShort(t)
	p := newPace(t)
	_, _, accounts := p.clients(t, 150)
	taken, refused := []time.Time{}, 0
	p.fail = func(string) int {
		now := time.Now()
		taken = slices.DeleteFunc(taken, func(at time.Time) bool { return now.Sub(at) > time.Second })
		if len(taken) >= 14 {
			refused++
			return http.StatusTooManyRequests
		}
		taken = append(taken, now)
		return http.StatusOK
	}
	for _, a := range accounts {
		p.write(t, agency.Party(a))
	}
	all := slices.Clone(p.queue)
	from, rounds := time.Now(), 0
	for left := len(all); left > 0 && rounds < 5; rounds++ {
		p.mu.Lock()
		p.queue = nil
		for _, key := range all {
			if e, _, err := p.store.Event(t.Context(), key); err != nil || !e.IsDoneBy(outbox.Notify) {
				p.queue = append(p.queue, key)
			}
		}
		left = len(p.queue)
		p.mu.Unlock()
		stop := make(chan struct{})
		close(stop)
		p.run(t, stop)
	}
	took := time.Since(from)
	t.Logf("%d emails at 14 a second took %s in %d rounds, at best %ds; %d calls were refused", len(all), took.Round(100*time.Millisecond), rounds-1, len(all)/14, refused)
	if sent := len(p.others("")); sent != len(all) || rounds > 3 || took > 30*time.Second || refused > len(all) {
		t.Errorf("%d emails of %d in %d rounds and %s, %d calls refused", sent, len(all), rounds-1, took, refused)
	}
}

// skipShort skips a test that measures, by the real clock.
func skipShort(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("it measures")
	}
}
