package linear

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"agencyhub/infra/prove"
	"agencyhub/infra/prove/law"
	"agencyhub/shared/agency"
)

// A meter counts what happened in all histories of a run.
type meter struct {
	mu sync.Mutex
	counts
	done     map[law.Do]int      // commands that changed or answered something
	refusals map[agency.Code]int // and those that did not, by why
}

type counts struct {
	histories, operations, concurrent, reads, unknown, unavailable int
	// Faults, as in faultRates.
	before, lost, late, busy, cutOff int
	transactions, lostRaces          int
	conflicts, batches, torn         int
	longest                          time.Duration // of a check
	most                             int           // operations of a check
}

func newMeter() *meter {
	return &meter{done: map[law.Do]int{}, refusals: map[agency.Code]int{}}
}

// add changes the counts.
func (m *meter) add(change func(*counts)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change(&m.counts)
}

// count counts an operation.
func (m *meter) count(r *record) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.operations++
	if r.Worker == 0 {
		return // before and after the others
	}
	m.concurrent++
	switch code := r.Answer.Code; {
	case r.Answer.Unknown:
		m.unknown++
	case code == agency.Unavailable:
		m.unavailable++
	case code != "":
		m.refusals[code]++
	default:
		m.done[r.Command.Do]++
	}
	if r.isRead() {
		m.reads++
	}
}

// figures prints the counts.
func (m *meter) figures(t *testing.T) {
	t.Helper()
	prove.Figure(t, "%d histories, %d operations at once with others (%d reads), %d with those before and after", m.histories, m.concurrent, m.reads, m.operations)
	prove.Figure(t, "%d unknown outcomes, %d unavailable, the others %d done and %d refused by %d codes", m.unknown, m.unavailable, sum(m.done), sum(m.refusals), len(m.refusals))
	prove.Figure(t, "%d transactions: %d met others, %d lost a race; faults: %d before, %d answers lost, %d late, %d reads failed, %d outcomes unreadable",
		m.transactions, m.conflicts, m.lostRaces, m.before, m.lost, m.late, m.busy, m.cutOff)
	prove.Figure(t, "%d of %d batch reads were torn by a commit; clocks up to %s apart", m.torn, m.batches, 2*slices.MaxFunc(shapes, func(a, b namedShape) int { return int(a.skew - b.skew) }).skew)
	prove.Figure(t, "the longest check took %s, the largest had %d operations", m.longest.Round(time.Millisecond), m.most)
}

// covers fails the test if something that histories are about has not happened.
func (m *meter) covers(t *testing.T) {
	t.Helper()
	var missing []string
	for what, n := range map[string]int{
		"unknown outcome": m.unknown, "conflict": m.conflicts, "lost race": m.lostRaces, "torn read": m.torn,
		"fault before": m.before, "lost answer": m.lost, "late transaction": m.late, "failed read": m.busy, "unreadable outcome": m.cutOff,
	} {
		if n == 0 {
			missing = append(missing, "no "+what)
		}
	}
	for _, do := range commands {
		if m.done[do] == 0 {
			missing = append(missing, fmt.Sprintf("%s was never done", do))
		}
	}
	for _, code := range []agency.Code{
		agency.NotFound, agency.Forbidden, agency.AlreadyRequested, agency.AlreadyConnected, agency.NotPending, agency.NotActive, agency.RequestExpired,
		agency.Cooling, agency.RateLimited, agency.LastOwner, agency.HasClients, agency.Conflict, agency.IdempotencyMismatch,
	} {
		if m.refusals[code] == 0 {
			missing = append(missing, fmt.Sprintf("nothing was refused as %s", code))
		}
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		t.Error(strings.Join(missing, "; "))
	}
}

func sum[K comparable](m map[K]int) int {
	all := 0
	for _, n := range m {
		all += n
	}
	return all
}
