package linear

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"agencyhub/infra/prove"
	"agencyhub/infra/prove/law"
	"agencyhub/shared/agency"
)

// A record is one operation of a history: a command or a read, what was answered, and when.
type record struct {
	Worker  int
	Command law.Command
	Answer  answer
	// Call and Return order the operations of a history; no two are equal.
	Call, Return int64
	// Times are those at which it may have been decided, by its worker's clock.
	Times []time.Time

	// exact is true if Times has the very time of the decision.
	exact bool
	// writes are the items that its latest transaction was to write.
	writes []item
	// loads have, for each of its reads, the times of the last events of the accounts and
	// profiles that it returned.
	loads [][]time.Time
	// first is what the clock showed when the call came.
	first time.Time
	id    int
	// parts are what an access check reads, each at one moment; nil where that is all at
	// once.
	parts [][]item
}

// A part is one of the moments at which an access check reads.
type part struct {
	*record
	n int
}

// history collects the operations of a world.
type history struct {
	mu      sync.Mutex
	records []*record
	// decided has the times of all decisions that were to be written.
	decided map[time.Time]bool
}

func (h *history) add(r *record, decided []time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.records = append(h.records, r)
	for _, at := range decided {
		h.decided[at] = true
	}
}

// maxSkew is how far a decision follows an event that is ahead of its own clock.
const maxSkew = time.Minute

// bump adds the times to which a decision without a write may have been moved: just after an
// event of an account or profile that the operation had read then, which another clock has
// written.
func (h *history) bump(r *record) {
	if r.exact || r.Command.Do == law.CheckAccess {
		return
	}
	for _, own := range slices.Clone(r.Times) {
		for _, last := range r.loads {
			moved := own
			for _, at := range last {
				if h.decided[at] && !at.Before(moved) && at.Sub(own) <= maxSkew {
					moved = at.Add(time.Millisecond)
				}
			}
			if !slices.ContainsFunc(r.Times, moved.Equal) {
				r.Times = append(r.Times, moved)
			}
		}
	}
}

// prepare completes the operations for the check: at which moments each may have read, and at
// which times it may have been decided.
func (h *history) prepare(torn bool, of agency.AccountID) {
	for n, r := range h.records {
		r.id = n
		if r.Command.Do == law.CheckAccess {
			h.split(r, torn, of)
		}
		h.bump(r)
	}
}

// An item is what one read of an access check takes: an account, a profile, a person, or an
// account's list of agencies.
type item struct {
	account  agency.AccountID
	member   agency.ProfileKey
	person   agency.PersonID
	agencies agency.AccountID
}

// split divides an access check by the moments at which it reads: each item of a torn batch
// has its own; without an agency named there are two batches. What no command was changing
// meanwhile can be read at any of them, so with one changing part all is read at once.
func (h *history) split(r *record, torn bool, of agency.AccountID) {
	c, me := r.Command, r.Command.By.ID()
	// Nobody is erased, and an account's list of agencies is part of it.
	account, own := []item{{account: c.Account}, {agencies: c.Account}, {person: me}}, []item{{member: agency.PersonAt(c.Account, me)}}
	asker, connection, staff := []item{{account: of}}, []item{{member: agency.AgencyAt(c.Account, of)}}, []item{{member: agency.PersonAt(of, me)}}
	parts := [][]item{account, own, asker, connection, staff}
	if !torn {
		if c.As != "" {
			return
		}
		parts = [][]item{slices.Concat(account, own), slices.Concat(asker, connection, staff)}
	}
	changing := map[item]bool{}
	for _, o := range h.records {
		if o != r && o.Call < r.Return && (o.Answer.Unknown || o.Return > r.Call) {
			for _, i := range o.writes {
				changing[i] = true
			}
		}
	}
	var divided [][]item
	var stable []item
	for _, p := range parts {
		if slices.ContainsFunc(p, func(i item) bool { return changing[i] }) {
			divided = append(divided, p)
		} else {
			stable = append(stable, p...)
		}
	}
	if len(divided) < 2 {
		return
	}
	divided[0] = append(slices.Clip(divided[0]), stable...)
	r.parts = divided
}

// operations returns the history as porcupine reads it. What may have been made or not has
// no end: it can be the last of all, where nobody sees it. What says that nothing was
// changed is left out: if it had changed anything, what follows would not fit.
func (h *history) operations() []porcupine.Operation {
	var all []porcupine.Operation
	for _, r := range h.records {
		if r.Answer.Code == agency.Unavailable && !r.Answer.Unknown {
			continue
		}
		op := porcupine.Operation{ClientId: r.Worker, Input: r, Call: r.Call, Return: r.Return}
		if r.Answer.Unknown {
			op.Return = math.MaxInt64
		}
		if r.parts == nil {
			all = append(all, op)
			continue
		}
		for n := range r.parts {
			op.Input = part{r, n}
			all = append(all, op)
		}
	}
	return all
}

// checkLimit bounds how long one history is looked at.
const checkLimit = 20 * time.Second

func (r *record) String() string {
	c := r.Command
	return fmt.Sprintf("%s by %s #%d %s -> %s %s %s", c.Do, c.By.Subject, c.Number, c.Role, r.Answer.Code, r.Answer.State, r.Answer.Result)
}

// check fails the test unless a history is linearizable.
func (h *history) check(t *testing.T, m *meter) bool {
	t.Helper()
	all := h.operations()
	start := time.Now()
	model := newSpecification().model()
	result := porcupine.CheckOperationsTimeout(model, all, checkLimit)
	took := time.Since(start)
	m.add(func(c *counts) {
		c.histories++
		c.longest, c.most = max(c.longest, took), max(c.most, len(all))
	})
	if result == porcupine.Ok {
		return true
	}
	t.Errorf("a history of %d operations is %s after %s", len(all), result, took)
	content, err := json.MarshalIndent(h.records, "", "\t")
	if err != nil {
		t.Error(err)
	}
	prove.Keep(t, "json", content)
	_, info := porcupine.CheckOperationsVerbose(model, all, checkLimit)
	file := filepath.Join(t.TempDir(), "history.html")
	if err := porcupine.VisualizePath(model, info, file); err != nil {
		t.Error(err)
	} else if page, err := os.ReadFile(file); err != nil {
		t.Error(err)
	} else {
		prove.Keep(t, "html", page)
	}
	h.explain(t, all, info)
	return false
}

// explain logs the operations in an order in which most of them fit, and the others.
func (h *history) explain(t *testing.T, all []porcupine.Operation, info porcupine.LinearizationInfo) {
	t.Helper()
	var longest []int
	for _, found := range info.PartialLinearizations()[0] {
		if len(found) > len(longest) {
			longest = found
		}
	}
	spec := newSpecification()
	s := spec.first()
	fits := map[int]bool{}
	t.Logf("%d of %d operations fit in this order:", len(longest), len(all))
	for _, n := range longest {
		fits[n] = true
		t.Logf("  %d-%d %s", all[n].Call, all[n].Return, describe(all[n].Input))
		_, s = spec.step(s, all[n].Input)
	}
	t.Log("these do not:")
	for n, op := range all {
		if fits[n] {
			continue
		}
		t.Logf("  %d-%d %s", op.Call, op.Return, describe(op.Input))
		if r, ok := op.Input.(*record); ok && len(r.Times) > 0 {
			want := answerOf(s.Clone().Do(r.Command, r.Times[0]))
			t.Logf("      events: %s\n      the law: %s %s %s\n      events: %s", r.Answer.Events, want.Code, want.State, want.Result, want.Events)
		}
	}
}
