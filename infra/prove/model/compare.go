package model

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"agencyhub/infra/prove/law"
	"agencyhub/infra/prove/run"
	"agencyhub/shared/agency"
	"agencyhub/shared/cloud"
	"agencyhub/shared/service"
	"agencyhub/shared/table"
	"agencyhub/shared/testbed"
)

const (
	hour = time.Hour
	days = 24 * time.Hour
	// steps is how many commands a sequence has on the average, after its setting.
	steps = 25
	// wholeEvery is after how many steps everything is read again and compared.
	wholeEvery = 8
)

// Rules have limits that short sequences reach.
var Rules = agency.Rules{
	Areas: []agency.Area{{ID: "pages", Name: "Pages"}, {ID: "mail", Name: "Mail"}},
	Plans: []agency.Plan{{ID: "starter", Name: "Starter", MonthlyPrice: 2900, Currency: "USD"}, {ID: "growth", Name: "Growth", MonthlyPrice: 9900, Currency: "USD"}},

	RequestLifetime: 14 * days, InvitationLifetime: 30 * days, RemindBefore: 3 * days, LapseWarnings: []time.Duration{7 * days, days},
	Cooldown: 30 * days, Retention: 90 * days, PairMails: 4, PairWindow: 30 * days, OpenRequests: 3, OpenInvitations: 4, DailyRequests: 4,
	DailyByPerson:    agency.PersonLimits{AccountsOpened: 3, AccountsCreated: 3, Requests: 5, Invitations: 6},
	DailyByNewPerson: agency.PersonLimits{AccountsOpened: 2, AccountsCreated: 2, Requests: 4, Invitations: 4},
	NewPersonFor:     7 * days, Resends: 3, ResendAfter: days, WakeAfter: 2 * time.Minute, WakesPerRun: 100,
	UnsolicitedMails: agency.MailLimits{All: 10, NeverSignedIn: 3, BySender: 3, ByAccount: 3}, DigestAt: 6 * hour, DigestSpread: 2 * hour,
}

// Bench is a worker's use cases on a real table.
type Bench struct {
	service   *service.Service
	recorder  *run.Recorder
	table     *table.Table
	db        *dynamodb.Client
	tableName string
	ctx       context.Context //nolint:containedctx // of the worker's test
	now       time.Time
	// name is in the addresses of the worker's persons.
	name string
	runs int
	seen *tally
	// mailer sends the emails of an event; nil for none.
	mailer Mailer
}

func newBench(t *testing.T, worker int, seen *tally) *Bench {
	t.Helper()
	db, name := testbed.Table(t)
	b := &Bench{ctx: t.Context(), table: table.New(db, name), db: db, tableName: name, seen: seen, name: fmt.Sprint("w", worker)}
	b.recorder = &run.Recorder{Store: b.table}
	b.service = &service.Service{Store: b.recorder, Rules: Rules, Now: func() time.Time { return b.now }, NewEventID: cloud.NewEventID}
	return b
}

// held is what the product holds, by the changes that it has saved, in the form of the law.
type held struct {
	accounts map[agency.AccountID]law.Account
	members  map[agency.ProfileKey]law.Member
	pairs    map[agency.PairKey]law.Pair
	people   map[agency.PersonID]law.Person
	// due are the moments at which the sweep has something to do.
	due map[string]time.Time
}

func newHeld() *held {
	return &held{map[agency.AccountID]law.Account{}, map[agency.ProfileKey]law.Member{}, map[agency.PairKey]law.Pair{}, map[agency.PersonID]law.Person{}, map[string]time.Time{}}
}

// add follows what was saved.
func (h *held) add(c service.Changes) {
	for _, a := range c.Accounts {
		h.accounts[a.ID], h.due[string(a.ID)] = run.Account(a), a.DueAt
	}
	for _, p := range c.Profiles {
		h.members[p.ProfileKey], h.due[profileName(p.ProfileKey)] = run.Member(p), p.DueAt
	}
	for _, p := range c.Pairs {
		h.pairs[p.PairKey] = run.Pair(p)
	}
	for _, p := range c.People {
		h.people[p.ID] = run.Person(p)
	}
	for _, id := range c.GoneAccounts {
		delete(h.accounts, id)
		delete(h.due, string(id))
	}
	for _, key := range c.GoneProfiles {
		delete(h.members, key)
		delete(h.due, profileName(key))
	}
	for _, key := range c.GonePairs {
		delete(h.pairs, key)
	}
	for _, id := range c.GonePeople {
		delete(h.people, id)
	}
}

func profileName(k agency.ProfileKey) string { return string(k.Member) + " in " + string(k.Addressee) }

// difference compares what the product holds with the law; "" if they are equal.
func (h *held) difference(l *law.Law) string {
	accounts := map[agency.AccountID]law.Account{}
	for id, a := range l.Accounts {
		a.Input = ""
		accounts[id] = a
	}
	members := map[agency.ProfileKey]law.Member{}
	for key, m := range l.Members {
		if len(m.Clients) == 0 {
			m.Clients = nil
		}
		members[key] = m
	}
	due := map[string]time.Time{}
	for name, at := range l.DueTimes() {
		due[name] = at
	}
	all := []string{
		differ("accounts", accounts, h.accounts), differ("profiles", members, h.members), differ("pairs", withoutEmpty(l.Pairs), withoutEmpty(h.pairs)),
		differ("persons", withoutEmpty(l.People), withoutEmpty(h.people)), differ("due marks", withoutEmpty(due), withoutEmpty(h.due)),
	}
	return strings.Join(slices.DeleteFunc(all, func(s string) bool { return s == "" }), "\n")
}

// withoutEmpty leaves out what says nothing.
func withoutEmpty[K comparable, V any](m map[K]V) map[K]V {
	out := maps.Clone(m)
	maps.DeleteFunc(out, func(_ K, v V) bool { return reflect.ValueOf(v).IsZero() })
	return out
}

func differ[T any](what string, want, got T) string {
	if reflect.DeepEqual(want, got) {
		return ""
	}
	if d := gocmp.Diff(want, got, cmpopts.EquateEmpty(), cmpopts.IgnoreUnexported(law.Event{})); d != "" {
		return what + " (-law +product):\n" + d
	}
	return ""
}

// load reads everything that the law or the product knows, and returns it as held.
func (w *world) load(rt *rapid.T) *held {
	var want service.Want
	for id := range union(w.law.Accounts, w.held.accounts) {
		want.Accounts = append(want.Accounts, id)
	}
	for key := range union(w.law.Members, w.held.members) {
		want.Profiles = append(want.Profiles, key)
	}
	for key := range union(w.law.Pairs, w.held.pairs) {
		want.Pairs = append(want.Pairs, key)
	}
	for id := range union(w.law.People, w.held.people) {
		want.People = append(want.People, id)
	}
	read, err := w.table.Load(w.ctx, want)
	if err != nil {
		rt.Fatal(err)
	}
	h := newHeld()
	for id, a := range read.Accounts {
		if a.Version > 0 {
			h.accounts[id], h.due[string(id)] = run.Account(a), a.DueAt
		}
	}
	for key, p := range read.Profiles {
		if p.Version > 0 {
			h.members[key], h.due[profileName(key)] = run.Member(p), p.DueAt
		}
	}
	for key, p := range read.Pairs {
		if p.Version > 0 {
			h.pairs[key] = run.Pair(p)
		}
	}
	for id, p := range read.People {
		if p.Version > 0 {
			h.people[id] = run.Person(p)
		}
	}
	return h
}

func union[K comparable, V any](a, b map[K]V) map[K]V {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

// outcomeDifference compares two answers; "" if they agree.
func outcomeDifference(c law.Command, want, got law.Outcome) string {
	// A limit is no state; the product may add it.
	if want.Code != got.Code || want.State != got.State && want.Code != agency.RateLimited {
		return fmt.Sprintf("the law answers %q %q, the product %q %q", want.Code, want.State, got.Code, got.State)
	}
	if len(want.Wait) > 0 && (len(got.Wait) != 1 || !slices.Contains(want.Wait, got.Wait[0])) {
		return fmt.Sprintf("Retry-After: the law says %v, the product %v", want.Wait, got.Wait)
	}
	if want.Done != got.Done {
		return fmt.Sprintf("the law reports %q, the product %q", want.Done, got.Done)
	}
	var all []string
	if want.Code == "" {
		all = append(all, differ("profile", plain(want.Profile), plain(got.Profile)), differ("access", access(want.Access), access(got.Access)))
		all = append(all, differ("account", want.Account, got.Account))
	}
	wantEvents, gotEvents := want.Events, got.Events
	if c.Do == law.SweepAccount || c.Do == law.SweepPerson || c.Do == law.SweepProfile || c.Do == law.EraseMe {
		// Several transactions, or lists: the order among profiles is not determined.
		wantEvents, gotEvents = sorted(wantEvents), sorted(gotEvents)
	}
	all = append(all, differ("events", wantEvents, gotEvents))
	return strings.Join(slices.DeleteFunc(all, func(s string) bool { return s == "" }), "\n")
}

// plain is a profile as it is answered: names are copies, which a repeat may show fresher.
func plain(m *law.Member) *law.Member {
	if m == nil {
		return nil
	}
	p := *m
	p.Name, p.AccountName = "", ""
	if len(p.Clients) == 0 {
		p.Clients = nil
	}
	// The reminder and marks of the sweep are no part of an answer.
	p.RemindAt, p.CloseAt = time.Time{}, time.Time{}
	return &p
}

func access(a *agency.Access) *agency.Access {
	if a == nil {
		return nil
	}
	plain := *a
	if len(plain.Areas) == 0 {
		plain.Areas = nil
	}
	return &plain
}

func sorted(events []law.Event) []law.Event {
	events = slices.Clone(events)
	slices.SortStableFunc(events, func(a, b law.Event) int {
		return cmp.Or(cmp.Compare(a.Addressee, b.Addressee), cmp.Compare(a.Member, b.Member))
	})
	return events
}

// perform does a command by the law and by the product, and compares.
func (w *world) perform(rt *rapid.T, c law.Command) law.Outcome {
	want := w.law.Do(c, w.now)
	got := run.Do(w.ctx, w.service, c)
	var events []agency.Event
	for _, change := range w.recorder.Take() {
		events = append(events, change.Events...)
		w.held.add(change)
	}
	for _, e := range events {
		got.Events = append(got.Events, run.Event(e))
	}
	if d := outcomeDifference(c, want, got); d != "" {
		rt.Fatalf("%s at %s\n%+v\n%s", c.Do, w.now.Format(time.RFC3339), c, d)
	}
	if d := w.held.difference(w.law); d != "" {
		rt.Fatalf("after %s at %s\n%+v\n%s", c.Do, w.now.Format(time.RFC3339), c, d)
	}
	if w.mailer != nil {
		for i, e := range events {
			w.unsent = append(w.unsent, unsent{got.Events[i], e})
		}
	}
	w.seen.count(c, got)
	if len(want.Limits) == 1 {
		w.seen.countLimit(c.Do, want.Limits[0])
	}
	// Two commands on the same items are never of one millisecond.
	w.now = w.now.Add(time.Millisecond)
	return want
}
