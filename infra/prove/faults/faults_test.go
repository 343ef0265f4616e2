package faults

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"agencyhub/infra/e2e/client"
	"agencyhub/infra/e2e/runner"
	"agencyhub/infra/prove"
	"agencyhub/infra/prove/audit"
	"agencyhub/shared/testbed"
)

var (
	binaries = flag.String("binaries", "", "folder for the runner and the functions, which a later run finds there; \"\" for a new one")
	// Each round has a stack of its own, since the engine becomes slower with each write.
	perRound = flag.Int("faults", 0, "how many faults a round injects at least; 0 for 1,050 in CI and 2,050 in a long run")
)

const (
	// faultTime bounds the load of a round, by fault.
	faultTime = 95 * time.Millisecond
	workers   = 8
	// cuts is how often everything is killed in a round, besides once after the load.
	cuts = 2
)

// TestFaults injects faults into the whole product under load, and audits what it did.
func TestFaults(t *testing.T) {
	rounds := prove.Size(t, 1, 5)
	whole := *perRound == 0
	if whole {
		*perRound = prove.Size(t, 1050, 2050)
	}
	seed := prove.Seed(t)
	folder := *binaries
	if folder == "" {
		folder = t.TempDir()
	}
	program, err := runner.Build(testbed.Root(), folder)
	must(t, err)
	all := newTotals()
	began := time.Now()
	for n := range rounds {
		if end, bounded := t.Deadline(); bounded && n > 0 && 2*time.Until(end) < 3*time.Since(began)/time.Duration(n) {
			t.Logf("no time for more than %d of %d rounds", n, rounds)
			break
		}
		if t.Run(fmt.Sprintf("round %d", n+1), func(t *testing.T) { round(t, program, seed+uint64(n)*1000, all) }); t.Failed() {
			break
		}
	}
	all.print(t)
	if !t.Failed() {
		all.check(t, whole)
	}
}

// minFaults is how many faults a whole run injects at least.
const minFaults = 1000

// check fails if the run has shown too little. A whole run has every kind of fault.
func (a *totals) check(t *testing.T, whole bool) {
	t.Helper()
	kinds := map[kind]int{}
	for _, of := range a.faults {
		add(kinds, of)
	}
	need := map[string]int{
		"commands": a.outcomes[made], "emails due": a.due, "emails taken": a.emails.taken, "entries of the bus": a.entries, "whole stacks killed": kinds[powerCut],
	}
	if whole {
		need["emails taken whose answer was lost, and not sent again"] = a.emails.doubted
		need["faults, above 1,000"] = max(0, a.injected-minFaults+1)
		need["functions killed"] = kinds[killed]
		for of := range weights {
			need["faults of "+string(of)] = len(a.faults[of])
		}
		for _, k := range order {
			need["faults: "+string(k)] = kinds[k]
		}
	}
	for _, what := range slices.Sorted(maps.Keys(need)) {
		if need[what] == 0 {
			t.Errorf("none of: %s", what)
		}
	}
}

// totals are the figures of all rounds.
type totals struct {
	faults                             map[service]map[kind]int
	outcomes                           map[outcome]int
	statuses                           map[string]int
	calls, events, due, mails, entries int
	emails, bus                        tally
	leases, injected, serviceCalls     int
	digests                            int
}

func newTotals() *totals {
	return &totals{faults: map[service]map[kind]int{}, outcomes: map[outcome]int{}, statuses: map[string]int{}, emails: tally{repeats: map[string]int{}}, bus: tally{repeats: map[string]int{}}}
}

func add[K comparable](to, from map[K]int) {
	for k, n := range from {
		to[k] += n
	}
}

func (a *totals) print(t *testing.T) {
	t.Helper()
	prove.Figure(t, "commands: %d made, %d refused, %d with an unknown outcome, in %d calls of the API; %d events", a.outcomes[made], a.outcomes[refused], a.outcomes[unknown], a.calls, a.events)
	for _, of := range slices.Sorted(maps.Keys(a.faults)) {
		n := 0
		for _, of := range a.faults[of] {
			n += of
		}
		prove.Figure(t, "faults of %s: %d, %v", of, n, a.faults[of])
	}
	prove.Figure(t, "faults: %d in %d calls of services", a.injected, a.serviceCalls)
	prove.Figure(t, "emails: %d due, %d stored, %d taken by SES, %d told by digests, %d lost; repeats by cause: %v", a.due, a.mails, a.emails.taken, a.emails.digested, a.emails.lost, a.emails.repeats)
	prove.Figure(t, "emails unconfirmed: %d taken, %d not taken", a.emails.doubted, a.emails.untaken)
	prove.Figure(t, "digests: %d due, %d sent; emails held: %d", a.digests, a.emails.digests, a.emails.held)
	prove.Figure(t, "entries of the bus: %d for %d events, %d lost; repeats by cause: %v", a.entries, a.events, a.bus.lost, a.bus.repeats)
	t.Logf("answers: %v; leases ended: %d", a.statuses, a.leases)
}

// round runs one stack under load and faults, and audits it.
func round(t *testing.T, program runner.Program, seed uint64, all *totals) {
	t.Helper()
	s := newStack(t, program, seed)
	l := &load{here: s.here, ctx: t.Context(), ledger: newLedger(), hasTaken: s.cloud.hasTaken}
	workers := newWorkers(t, l, seed)
	began := time.Now()
	s.dynamo.set(true)
	s.cloud.set(true)
	underLoad(t, s, workers, seed)
	s.dynamo.set(false)
	s.cloud.set(false)
	s.dynamo.late.Wait()
	s.cloud.late.Wait()
	loaded := time.Since(began)
	// All functions that had claims are dead then.
	must(t, s.cutPower())
	s.dynamo.set(false)
	s.cloud.set(false)
	leases, err := s.endLeases()
	must(t, err)
	all.leases += leases
	// What waited for these claims meets faults too. A killed caller would leave another one.
	s.cloud.spare()
	s.cloud.set(true)
	drain(t, s)
	s.cloud.set(false)
	s.cloud.late.Wait()
	settle(t, s)
	d, err := s.read()
	must(t, err)
	t.Logf("load %s, settled and read after %s", loaded.Round(time.Second), (time.Since(began) - loaded).Round(time.Second))
	check(t, s, l.ledger, d, all)
}

// newWorkers signs people in and opens agencies, without faults.
func newWorkers(t *testing.T, l *load, seed uint64) []*worker {
	t.Helper()
	signIn := func(email string) person {
		token, err := l.here().SignIn(t.Context(), client.Identity{Email: email})
		must(t, err)
		return person{email, token}
	}
	for n := range 2 {
		ann := signIn(fmt.Sprintf("ann%d@agency.test", n))
		w := &worker{load: l, n: 1000 + n, random: rand.New(rand.NewPCG(seed, 99+uint64(n))), owner: ann}
		id := w.open(ann)
		_, o := w.do(newCommand(ann, http.MethodPost, "/v1/accounts/"+id+"/agency", nil, "", []fact{{"agency.switched_on", id, ""}}))
		if o != made {
			t.Fatalf("an agency is not open: %s", o)
		}
		l.agencies, l.ann = append(l.agencies, id), append(l.ann, ann)
	}
	// Everybody invites one person, whose mailbox gets digests.
	popular := signIn("popular@everywhere.test")
	var all []*worker
	for n := range workers {
		w := &worker{load: l, n: n, random: rand.New(rand.NewPCG(seed, uint64(n)))}
		w.owner = signIn(fmt.Sprintf("owner@client%d.test", n))
		for m := range 4 {
			w.others = append(w.others, signIn(fmt.Sprintf("other%d@client%d.test", m, n)))
		}
		w.others[1] = popular
		all = append(all, w)
	}
	return all
}

// underLoad lets workers play until there were enough faults, while functions are killed, the
// power is cut and cleanup runs.
func underLoad(t *testing.T, s *stack, workers []*worker, seed uint64) {
	t.Helper()
	end := time.Now().Add(time.Duration(*perRound) * faultTime)
	enough := func(share float64) bool {
		_, a := s.dynamo.faults()
		_, b := s.cloud.faults()
		return float64(a+b) >= share*float64(*perRound)
	}
	stop := func() bool { return enough(1) || time.Now().After(end) }
	var playing, others sync.WaitGroup
	for _, w := range workers {
		playing.Go(func() { w.run(stop) })
	}
	done := make(chan struct{})
	every := func(d time.Duration, do func()) {
		others.Go(func() {
			for {
				select {
				case <-time.After(d):
					do()
				case <-done:
					return
				}
			}
		})
	}
	every(500*time.Millisecond, func() {
		if n, err := s.unfinished(t.Context()); err == nil { // the engine may be down
			workers[0].backlog.Store(n)
		}
	})
	random := rand.New(rand.NewPCG(seed, 5))
	every(900*time.Millisecond, func() {
		if s.dynamo.isOn() {
			s.killAny(random)
		}
	})
	every(time.Second, func() {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		_, _ = s.here().Cleanup(ctx) // it fails at faults, and while the power is cut
	})
	next := 1
	every(500*time.Millisecond, func() {
		if next <= cuts && enough(float64(next)/(cuts+1)) && s.dynamo.isOn() {
			next++
			if err := s.cutPower(); err != nil {
				t.Error(err)
			}
		}
	})
	playing.Wait()
	close(done)
	others.Wait()
}

// drainTime is how long what is left after the load is done under faults of SES and the bus.
const drainTime = 20 * time.Second

// drain redrives once and runs cleanup, until nothing is left or drainTime is over.
func drain(t *testing.T, s *stack) {
	t.Helper()
	_, err := redrive(t.Context(), s.here())
	must(t, err)
	for end := time.Now().Add(drainTime); time.Now().Before(end); time.Sleep(time.Second) {
		_, err := s.here().Cleanup(t.Context())
		must(t, err)
		if n, err := s.unfinished(t.Context()); err != nil || n == 0 {
			must(t, err)
			return
		}
	}
}

// report is what cleanup reports of what is left.
type report struct {
	Failed, Backlog, ToWake, Unfinished int
	Finished                            bool
}

// settleTime bounds how long all that is left takes without faults.
const settleTime = 4 * time.Minute

// stallTime is how long nothing is done before nothing will be: longer than notify leaves alone a
// recipient that SES gave no answer for.
const stallTime = 100 * time.Second

// settle redrives and sweeps until nothing is left.
func settle(t *testing.T, s *stack) {
	t.Helper()
	last, left, moved := "", -1, time.Now()
	for end := time.Now().Add(settleTime); time.Now().Before(end) && time.Since(moved) < stallTime; time.Sleep(time.Second) {
		body, err := redrive(t.Context(), s.here())
		must(t, err)
		// What is woken again before it is done only delays what is behind it in the stream.
		for before := int64(-1); ; time.Sleep(time.Second) {
			n, err := s.unfinished(t.Context())
			must(t, err)
			if n == 0 || n == before {
				break
			}
			before = n
		}
		var r report
		must(t, json.Unmarshal(body, &r))
		last = string(body)
		d, err := s.read()
		must(t, err)
		now := len(d.Unfinished())
		if now == 0 && r.Finished && r.Backlog+r.ToWake+r.Unfinished+r.Failed == 0 {
			return
		}
		if now != left {
			left, moved = now, time.Now()
		}
	}
	t.Errorf("not everything is done after the faults: cleanup reports %s", last)
}

// redrive runs cleanup with a redrive.
func redrive(ctx context.Context, at *client.Stack) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, at.Control+"/schedules/cleanup", strings.NewReader(`{"redrive":true}`))
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	var body json.RawMessage
	if err := errors.Join(json.NewDecoder(res.Body).Decode(&body), ctx.Err()); err != nil || res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("cleanup answered %d: %s %w", res.StatusCode, body, err)
	}
	return body, nil
}

// maxShown is how many findings of one kind are printed.
const maxShown = 12

// check audits what is there, and adds to the figures.
func check(t *testing.T, s *stack, l *ledger, d *audit.Data, all *totals) {
	t.Helper()
	expect := func(what string, wrong []string) {
		for i, text := range wrong {
			if i == maxShown {
				t.Errorf("%s: and %d more", what, len(wrong)-i)
				break
			}
			t.Errorf("%s: %s", what, text)
		}
	}
	r := s.record()
	var mails, entries []audit.Mail
	for _, m := range d.Mails {
		if m.Kind() == "bus" {
			entries = append(entries, m)
		} else {
			mails = append(mails, m)
		}
	}
	due, missing := d.Due()
	emails, put := r.compare(ses, mails), r.compare(bus, entries)
	onBus, err := s.entries()
	must(t, err)
	lost, wrongOnBus := r.compareBus(d, onBus)
	expect("answers", l.check(d))
	expect("unfinished", d.Unfinished())
	expect("emails due", missing)
	expect("emails", emails.wrong)
	expect("fates", d.Fates())
	expect("digests", d.Told())
	expect("endings", d.Endings())
	expect("bus", put.wrong)
	expect("bus", wrongOnBus)
	expect("chains", d.Chains())
	expect("counts", d.Counts())
	expect("due marks", d.Marks(90*24*time.Hour))
	expect("answers", l.odd)

	for _, p := range []*proxy{s.dynamo, s.cloud} {
		counts, n := p.faults()
		for of, kinds := range counts {
			if all.faults[of] == nil {
				all.faults[of] = map[kind]int{}
			}
			add(all.faults[of], kinds)
		}
		all.injected += n
		all.serviceCalls += p.passed
	}
	add(all.outcomes, l.outcomes)
	add(all.statuses, l.statuses)
	add(all.emails.repeats, emails.repeats)
	add(all.bus.repeats, put.repeats)
	all.calls += l.calls
	all.events += len(d.Events)
	all.due += due
	all.mails += len(mails)
	all.entries += len(onBus)
	all.emails.taken += emails.taken
	all.emails.lost += emails.lost
	all.emails.doubted += emails.doubted
	all.emails.untaken += emails.untaken
	all.emails.digested += emails.digested
	all.emails.digests += emails.digests
	all.emails.held += emails.held
	for _, e := range d.Events {
		if e.IsDigest() {
			all.digests++
		}
	}
	all.bus.lost += lost
}
