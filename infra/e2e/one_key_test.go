package e2e

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"agencyhub/shared/testbed"
)

const (
	keyPairs = 60 // pairs of calls with one Idempotency-Key; a third of them in the short form
	keyTime  = 2 * time.Minute
	lag      = 20 * time.Millisecond // about as long as a call takes
)

// TestOneKeyTwiceAtOnce makes the same call twice at once, while each item of a batch read
// is read for itself: both answer with the same account.
func TestOneKeyTwiceAtOnce(t *testing.T) {
	t.Parallel()
	engine, err := testbed.NewTornEngine()
	must(t, err)
	s := startOwnOn(t, engine, "-schedules=false", "-set", `SettingsOverride={`+personLimits+`}`)
	ann := s.person(t, "ann@onekey.test")
	agency := ann.opensAgency(t, "Key Agency")
	t.Run("an account of one's own", func(t *testing.T) {
		ann.keyPairs(t, "/v1/accounts", func(int) map[string]any { return map[string]any{"name": "Key Bakery"} })
	})
	t.Run("an account for a client", func(t *testing.T) {
		ann.keyPairs(t, "/v1/agencies/"+agency+"/accounts", func(i int) map[string]any {
			return map[string]any{
				"name": "Key Inn", "plan": "starter", "confirmPermanentOwnership": true,
				"client": map[string]any{"email": fmt.Sprintf("carl-%d@onekey.test", i), "areas": levels{"pages": "edit"}},
			}
		})
	})
}

// keyPairs makes pairs of the same call and checks their answers.
func (p *person) keyPairs(t *testing.T, path string, body func(i int) map[string]any) {
	t.Helper()
	pairs := keyPairs
	if testing.Short() {
		pairs /= 3
	}
	answers, ids, different := map[string]int{}, map[string]bool{}, 0
	began := time.Now()
	for i := range pairs {
		if time.Since(began) > keyTime {
			t.Fatalf("%d pairs in %s", i, keyTime)
		}
		call := raceCall{p, "POST", path, body(i), []string{"Idempotency-Key", fmt.Sprintf("one-key-of-many-%04d", i)}}
		bodies := map[string]bool{}
		for _, r := range p.pair(t, call) {
			if r.Status != http.StatusCreated {
				problem, err := r.problem()
				must(t, err)
				answers[fmt.Sprint(r.Status, " ", problem.Code)]++
				continue
			}
			answers["201"]++
			bodies[string(r.Body)], ids[read[account](t, r).ID] = true, true
		}
		if len(bodies) > 1 {
			if different++; different == 1 {
				t.Logf("one key answers %s", slices.Sorted(maps.Keys(bodies)))
			}
		}
	}
	var figures []string
	for _, answer := range slices.Sorted(maps.Keys(answers)) {
		figures = append(figures, fmt.Sprintf("%d x %s", answers[answer], answer))
	}
	t.Logf("POST %s, %d pairs in %.1f s: %s; %d pairs differ", path, pairs, time.Since(began).Seconds(), strings.Join(figures, ", "), different)
	if answers["201"] != 2*pairs || len(ids) != pairs || different > 0 {
		t.Errorf("%d of %d calls answered 201, with %d accounts; %d pairs differ", answers["201"], 2*pairs, len(ids), different)
	}
}

// pair makes a call twice, the second up to lag later: it reads while the first writes.
func (p *person) pair(t *testing.T, c raceCall) [2]*reply {
	t.Helper()
	var replies [2]*reply
	var errs [2]error
	var both sync.WaitGroup
	for i := range replies {
		both.Go(func() {
			time.Sleep(time.Duration(i) * rand.N(lag))
			replies[i], errs[i] = p.try(t, c.method, c.path, c.body, c.header...)
		})
	}
	both.Wait()
	must(t, errors.Join(errs[:]...))
	return replies
}
