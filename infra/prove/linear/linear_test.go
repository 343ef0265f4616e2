package linear

import (
	"sync"
	"testing"
	"time"

	"agencyhub/infra/prove"
	"agencyhub/shared/agency"
	"agencyhub/shared/testbed"
)

// faults hit one of four commands.
var faults = faultRates{before: 50, lost: 60, late: 60, busy: 20, cutOff: 40}

type namedShape struct {
	name string
	shape
}

// shapes are the ways in which histories are made.
var shapes = []namedShape{
	{"one clock", shape{workers: 6, each: 7}},
	{"skewed clocks and conflicts", shape{workers: 8, each: 5, skew: 2 * time.Second, conflicts: 3 * time.Millisecond}},
	{"faults", shape{workers: 5, each: 8, skew: 2 * time.Second, faults: faults}},
	{"late transactions and conflicts", shape{
		workers: 6, each: 7, skew: 2 * time.Second, faults: faultRates{before: 20, lost: 30, late: 200, cutOff: 10}, conflicts: 8 * time.Millisecond,
	}},
	{"torn reads", shape{workers: 5, each: 8, skew: 2 * time.Second, torn: true}},
	{"faults and torn reads", shape{workers: 5, each: 8, skew: 2 * time.Second, faults: faults, torn: true}},
	{"clocks minutes apart", shape{workers: 5, each: 8, skew: 2 * time.Minute, faults: faults, torn: true}},
}

// Whatever several people do at the same moment, under faults of DynamoDB and with clocks
// that differ, is as if it were done one after the other by the law.
func TestHistories(t *testing.T) {
	histories := prove.Size(t, 36, 1500) // of each shape
	seed := prove.Seed(t)
	total := newMeter()
	var wg sync.WaitGroup
	for n, s := range shapes {
		// Not as parallel subtests: there are more of these than processors, and they wait.
		wg.Go(func() {
			t.Run(s.name, func(t *testing.T) { runShape(t, s.shape, histories, seed+uint64(n)<<32, total) })
		})
	}
	wg.Wait()
	total.figures(t)
	if total.histories == histories*len(shapes) { // else -run has chosen some, or one has failed
		total.covers(t)
	}
}

// runShape makes histories of one shape and checks each, and then the table.
func runShape(t *testing.T, s shape, histories int, seed uint64, total *meter) {
	t.Helper()
	db, name := testbed.Table(t)
	for n := range histories {
		seed := seed + uint64(n)
		w := newWorld(t, db, name, seed, s, total)
		w.play(seed)
		for _, r := range w.records {
			total.count(r)
			if r.Answer.Code == agency.Internal {
				t.Errorf("%s: %s", r, r.Answer.Message)
			}
		}
		w.prepare(s.torn, w.of)
		if !w.check(t, total) || t.Failed() {
			return
		}
	}
	items := testbed.Items(t, db, name)
	problems := auditItems(items)
	if s.skew <= maxSkew/2 {
		problems = append(problems, auditOrder(items)...)
	}
	for _, p := range problems {
		t.Error(p)
	}
}
