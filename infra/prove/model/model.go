package model

import (
	"flag"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"agencyhub/infra/prove"
	"agencyhub/infra/prove/law"
	"agencyhub/shared/agency"
	"agencyhub/shared/outbox"
)

// workers is how many sequences run side by side, each on a table of its own.
const workers = 4

// Compare plays random sequences, and fails the test where the product does not do, answer
// or hold what the law says. Every command must have succeeded in some sequence, and every
// refusal and event of the law appeared. With a mailer it compares the emails too.
func Compare(t *testing.T, sequences int, newMailer NewMailer) {
	t.Helper()
	seed := prove.Seed(t)
	setFlag(t, "rapid.checks", strconv.Itoa(max(1, sequences/workers)))
	setFlag(t, "rapid.steps", strconv.Itoa(steps))
	seen := newTally()
	var starting sync.Mutex
	t.Run("sequences", func(t *testing.T) {
		for worker := range workers {
			t.Run(strconv.Itoa(worker), func(t *testing.T) {
				t.Parallel()
				b := newBench(t, worker, seen)
				if newMailer != nil {
					b.mailer = newMailer(t, b.db, b.tableName)
				}
				// rapid reads its seed as it begins.
				starting.Lock()
				hasSeed := sync.OnceFunc(starting.Unlock)
				defer hasSeed()
				setFlag(t, "rapid.seed", strconv.FormatUint(seed+uint64(worker)*7919|1, 10))
				rapid.Check(t, func(rt *rapid.T) {
					hasSeed()
					b.sequence(rt)
				})
			})
		}
	})
	seen.report(t, newMailer != nil)
}

func setFlag(t *testing.T, name, value string) {
	t.Helper()
	if err := flag.Set(name, value); err != nil {
		t.Fatal(err)
	}
}

// tally counts what the sequences have met.
type tally struct {
	mu        sync.Mutex
	begin     time.Time
	sequences int
	done      map[law.Do]int
	refused   map[agency.Code]int
	events    map[agency.EventType]int
	reasons   map[agency.Reason]int
	checks    int
	// limits counts what one limit alone has refused, as "command: limit".
	limits map[string]int
	kinds  map[string]int
	fates  map[outbox.Fate]int
}

func newTally() *tally {
	return &tally{
		begin: time.Now(), done: map[law.Do]int{}, refused: map[agency.Code]int{}, events: map[agency.EventType]int{}, reasons: map[agency.Reason]int{},
		kinds: map[string]int{}, limits: map[string]int{}, fates: map[outbox.Fate]int{},
	}
}

func (s *tally) count(c law.Command, out law.Outcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case c.Do == law.CheckAccess || c.Do == law.CheckAccessOf:
		s.checks++
	case out.Code != "":
		s.refused[out.Code]++
	}
	if out.Code == "" {
		s.done[c.Do]++
	}
	for _, e := range out.Events {
		s.events[e.Type]++
	}
	if out.Access != nil {
		s.reasons[out.Access.Reason]++
	}
}

func (s *tally) countLimit(do law.Do, limit law.Limit) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limits[limited(do, limit)]++
}

// commandsOfLaw are those that must have succeeded.
var commandsOfLaw = []law.Do{
	law.OpenAccount, law.CreateAccount, law.RenameAccount, law.CloseAccount, law.SwitchAgencyOn, law.SwitchAgencyOff, law.InvitePerson,
	law.ResendInvitation, law.WithdrawInvitation, law.AskNewSignIn, law.AcceptInvitation, law.DeclineInvitation, law.ChangeMember,
	law.RemoveMember, law.RequestConnection, law.ResendRequest, law.WithdrawRequest, law.LeaveAccount, law.AcceptRequest, law.AcceptInto,
	law.DeclineRequest, law.DeclineByID, law.Unblock, law.UnblockForMe, law.ChangePlan, law.CancelSubscription, law.ResumeSubscription,
	law.RegisterAccount, law.ReplaceOwner, law.RaiseLimits, law.ReportPayment, law.Me, law.EraseMe, law.SweepProfile, law.SweepAccount,
	law.SweepPerson, law.CheckAccess, law.CheckAccessOf,
}

// codesOfLaw are the refusals that the commands have. The others are of the edge
// (unauthenticated) or of failures (internal, unavailable).
var codesOfLaw = []agency.Code{
	agency.Invalid, agency.Forbidden, agency.NotPayer, agency.IdentityChanged, agency.NotFound, agency.RequestExpired, agency.Cooling,
	agency.RateLimited, agency.PermanentlyOwned, agency.AlreadyRequested, agency.AlreadyConnected, agency.NotPending, agency.NotActive,
	agency.LastOwner, agency.HasClients, agency.TooMany, agency.IdempotencyMismatch, agency.Conflict,
}

var reasonsOfLaw = []agency.Reason{
	"", agency.NoProfile, agency.StillPending, agency.StillInvited, agency.HasEnded, agency.HasLapsed, agency.HasClosed, agency.NotAssigned,
	agency.ChangedIdentity, agency.Frozen,
}

// report prints what was met, and fails the test for what never was.
func (s *tally) report(t *testing.T, withMails bool) {
	t.Helper()
	commands, refused, events := sum(s.done), sum(s.refused), sum(s.events)
	prove.Figure(t, "%d sequences, %d commands done and %d refused, %d events, %d access checks, none different from the law, in %.0f s",
		s.sequences, commands-s.checks, refused, events, s.checks, time.Since(s.begin).Seconds())
	prove.Figure(t, "done %s", list(s.done))
	prove.Figure(t, "refused %s", list(s.refused))
	prove.Figure(t, "events %s", list(s.events))
	prove.Figure(t, "access %s", list(s.reasons))
	prove.Figure(t, "refused by one limit alone %s", list(s.limits))
	if withMails {
		prove.Figure(t, "%d emails of %d kinds: %s", sum(s.fates), len(s.kinds), list(s.fates))
		if missing := s.missingKinds(); len(missing) > 0 {
			prove.Figure(t, "no email of the kinds %s", strings.Join(missing, ", "))
		}
	}
	if t.Failed() {
		return
	}
	if withMails {
		never(t, "email had the fate", fatesOfLaw, s.fates)
		return // fewer sequences: the whole law is for those without emails
	}
	never(t, "command was done", commandsOfLaw, s.done)
	never(t, "refusal had the code", codesOfLaw, s.refused)
	never(t, "command was refused by the limit alone", limitsOfLaw, s.limits)
	never(t, "access check had the reason", reasonsOfLaw, s.reasons)
	// An acceptance stands for the move of its request (infra/events/README.md).
	types := slices.DeleteFunc(slices.Clone(agency.EventTypes), func(as agency.EventType) bool { return as == agency.ConnectionMoved })
	never(t, "event had the type", types, s.events)
}

func never[K comparable](t *testing.T, what string, all []K, met map[K]int) {
	t.Helper()
	for _, k := range all {
		if met[k] == 0 {
			t.Errorf("no %s %q", what, fmt.Sprint(k))
		}
	}
}

func sum[K comparable](m map[K]int) int {
	n := 0
	for _, count := range m {
		n += count
	}
	return n
}

func list[K ~string](m map[K]int) string {
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		name := string(k)
		if name == "" {
			name = "granted"
		}
		parts = append(parts, fmt.Sprintf("%s %d", name, m[k]))
	}
	return strings.Join(parts, ", ")
}
