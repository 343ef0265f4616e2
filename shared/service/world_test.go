package service_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"

	"agencyhub/shared/agency"
	"agencyhub/shared/service"
	"agencyhub/shared/table"
	"agencyhub/shared/testbed"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// lease is how long a claim of an email holds.
const lease = time.Minute

// Areas in short.
var (
	editAll   = agency.Areas{"pages": agency.Edit, "mail": agency.Edit}
	viewPages = agency.Areas{"pages": agency.View, "mail": agency.None}
	editPages = agency.Areas{"pages": agency.Edit, "mail": agency.None}
)

const (
	day      = 24 * time.Hour
	lifetime = 14 * day
)

// hub is the use cases on a real table, with a clock that stands still until it
// is moved.
type hub struct {
	*service.Service
	*testbed.Faults
	t     testing.TB
	db    *dynamodb.Client
	name  string
	store *table.Table

	// collected says that the test has had something taken away.
	collected bool
	// carrying lets a transaction be as long as a page of a list.
	carrying bool

	mu  sync.Mutex
	now time.Time
	ids int
}

func newHub(t testing.TB) *hub {
	t.Helper()
	db, name := testbed.Table(t)
	h := &hub{Faults: &testbed.Faults{Client: db}, t: t, db: db, name: name, now: noon}
	h.BeforeWrite = h.look
	h.store = table.New(h.Faults, name)
	h.Service = &service.Service{
		Store: h.store,
		Rules: agency.Rules{
			Areas: []agency.Area{{ID: "pages", Name: "Pages"}, {ID: "mail", Name: "Mail"}},
			Plans: []agency.Plan{{ID: "starter", Name: "Starter", MonthlyPrice: 2900, Currency: "USD"}, {ID: "growth", Name: "Growth", MonthlyPrice: 9900, Currency: "USD"}}, RequestLifetime: lifetime, WakeAfter: 2 * time.Minute,
			RemindBefore: 3 * day, LapseWarnings: []time.Duration{7 * day, day}, Cooldown: 30 * day, Retention: 90 * day,
			PairMails: 4, PairWindow: 30 * day, OpenRequests: 100, DailyRequests: 50, DailyMails: 10, Resends: 3, ResendAfter: day,
		},
		Now: func() time.Time {
			h.mu.Lock()
			defer h.mu.Unlock()
			return h.now
		},
		NewEventID: func(at time.Time) agency.EventID {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.ids++
			return agency.EventID(fmt.Sprintf("evt_%013d%013d", at.UnixMilli(), h.ids))
		},
	}
	return h
}

func (h *hub) advance(by time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = h.now.Add(by)
}

// look holds every transaction that any test makes to what is true of all: no
// more than 16 items, none twice, each conditioned but for the sums, and a
// version that rises by each write and by each event.
func (h *hub) look(in *dynamodb.TransactWriteItemsInput) error {
	seen, events := map[string]bool{}, map[string]int{}
	if len(in.TransactItems) > 16 && !h.carrying {
		h.t.Errorf("%d items in a transaction", len(in.TransactItems))
	}
	for _, i := range in.TransactItems {
		if p := i.Put; p != nil && strings.HasPrefix(testbed.Str(p.Item["sk"]), "EVENT#") {
			events[subject(p.Item)]++
		}
	}
	for _, i := range in.TransactItems {
		at, condition := testbed.Item(nil), ""
		switch {
		case i.Put != nil:
			at, condition = i.Put.Item, *i.Put.ConditionExpression
		case i.Delete != nil:
			at, condition = i.Delete.Key, *i.Delete.ConditionExpression
		case i.ConditionCheck != nil:
			at, condition = i.ConditionCheck.Key, *i.ConditionCheck.ConditionExpression
		case i.Update != nil:
			at, condition = i.Update.Key, "a sum"
		}
		k := testbed.Str(at["pk"]) + " " + testbed.Str(at["sk"])
		if seen[k] || condition == "" {
			h.t.Errorf("%s is in a transaction twice, or not conditioned", k)
		}
		seen[k] = true
		if p := i.Put; p != nil && !strings.HasPrefix(testbed.Str(at["sk"]), "EVENT#") {
			was, err1 := strconv.Atoi(testbed.Num(p.ExpressionAttributeValues[":version"]) + "")
			if p.ExpressionAttributeValues == nil {
				was, err1 = 0, nil
			}
			now, err2 := strconv.Atoi(testbed.Num(p.Item["version"]))
			// Binding to an identity is a write without an event.
			steps := now - was
			// A connection that was collected counts on from where it had come.
			anew := was == 0 && strings.HasPrefix(testbed.Str(at["sk"]), "TEAM#acct_")
			if told := events[k]; errors.Join(err1, err2) != nil || steps < 1 || !anew && steps != told && steps != told+1 {
				h.t.Errorf("%s from version %d to %d with %d events (%v, %v)", k, was, now, told, err1, err2)
			}
		}
	}
	return nil
}

// subject is the key of the item whose change an event tells of.
func subject(event testbed.Item) string {
	pk, member, kind := testbed.Str(event["pk"]), testbed.Str(event["member"]), testbed.Str(event["type"])
	switch {
	case kind == "agency.blocked" || kind == "agency.unblocked":
		return pk + " PAIR#" + member
	case kind == "person.erasing" || kind == "person.erased":
		return pk + " PERSON"
	case member == "":
		return pk + " ACCT"
	default:
		return pk + " TEAM#" + member
	}
}

// key16 is an Idempotency-Key.
func key16(n int) string { return fmt.Sprintf("key-%012d", n) }

func actor(name string) agency.Actor {
	return agency.NewActor(name+"@x.test", "https://issuer.test", "sub-"+name)
}

func as(a agency.Actor, of ...agency.AccountID) agency.Caller {
	c := agency.Caller{Actor: a}
	if len(of) > 0 {
		c.As = of[0]
	}
	return c
}

// impostor is somebody else who now has that address.
func impostor(a agency.Actor) agency.Actor {
	a.Subject += "-another"
	return a
}

// world is a client's account with an owner, an admin and a member; an agency
// with the same; and an account that the agency owns, with its client.
type world struct {
	*hub
	ann, bob, mem agency.Actor // of client
	gil, gus, gem agency.Actor // of agency
	olga          agency.Actor // of owned
	eve           agency.Actor // of nothing
	client        agency.AccountID
	agency        agency.AccountID
	owned         agency.AccountID
	// con and ownCon are the agency's connections to client and owned.
	con, ownCon agency.ConnectionID
}

func newWorld(t testing.TB) *world {
	t.Helper()
	return newHub(t).world("")
}

// world makes one more in the same table; its persons are its own.
func (h *hub) world(suffix string) *world {
	h.t.Helper()
	w := &world{
		hub: h, ann: actor("ann" + suffix), bob: actor("bob" + suffix), mem: actor("mem" + suffix), gil: actor("gil" + suffix),
		gus: actor("gus" + suffix), gem: actor("gem" + suffix), olga: actor("olga" + suffix), eve: actor("eve" + suffix),
	}
	ctx := h.t.Context()
	client := must[service.AccountView](h.t)(h.OpenAccount(ctx, w.ann, key16(1), "Client"+suffix))
	of := must[service.AccountView](h.t)(h.OpenAccount(ctx, w.gil, key16(1), "Agency"+suffix))
	w.client, w.agency = client.ID, of.ID
	must[service.AccountView](h.t)(h.SwitchAgencyOn(ctx, w.gil, w.agency))
	w.let(w.ann, w.client, w.bob, agency.Admin)
	w.let(w.ann, w.client, w.mem, agency.Member)
	w.let(w.gil, w.agency, w.gus, agency.Admin)
	w.let(w.gil, w.agency, w.gem, agency.Member)
	owned := must[service.AccountView](h.t)(h.CreateAccount(ctx, w.gil, w.agency, key16(2), service.NewClientAccount{
		Name: "Owned" + suffix, Plan: "growth", ConfirmPermanentOwnership: true, Client: &service.NewClient{Email: w.olga.Email, Areas: viewPages},
	}))
	w.owned = owned.ID
	w.con, w.ownCon = agency.NewConnectionID(agency.Party(w.client), w.agency), agency.NewConnectionID(agency.Party(w.owned), w.agency)
	// Everybody has been here before, so that no command binds.
	for _, a := range []agency.Actor{w.bob, w.mem, w.gus, w.gem, w.olga} {
		must[agency.Person](h.t)(h.Me(ctx, a))
	}
	return w
}

func (w *world) let(by agency.Actor, in agency.AccountID, who agency.Actor, role agency.Role) {
	w.t.Helper()
	i := service.Invitation{Email: who.Email, Role: role}
	if role == agency.Member {
		i.Areas = editPages
	}
	if _, _, err := w.InvitePerson(w.t.Context(), as(by), in, i); err != nil {
		w.t.Fatal(err)
	}
}

// Short forms of what tests do most.

func (w *world) request() (agency.Profile, error) {
	return w.RequestConnection(w.t.Context(), w.gil, w.agency, service.ConnectionRequest{Account: w.client, Areas: editAll, Message: "please"})
}

func (w *world) accept(by agency.Actor, number int) (agency.Profile, error) {
	return w.AcceptRequest(w.t.Context(), as(by), w.client, w.agency, service.Grant{Request: number})
}

func (w *world) revoke() (agency.Profile, error) {
	return w.RemoveMember(w.t.Context(), as(w.ann), w.client, agency.Party(w.agency), false)
}

func (w *world) pending() *world {
	w.t.Helper()
	must[agency.Profile](w.t)(w.request())
	return w
}

func (w *world) connected() *world {
	w.t.Helper()
	p := must[agency.Profile](w.t)(w.request())
	must[agency.Profile](w.t)(w.accept(w.ann, p.Request.Number))
	return w
}

func (w *world) access(c agency.Caller, id agency.AccountID) agency.Access {
	w.t.Helper()
	return must[agency.Access](w.t)(w.CheckAccess(w.t.Context(), c, id))
}

// events are the types of an account's events, oldest first.
func (h *hub) events(id agency.AccountID) []string {
	h.t.Helper()
	list := must[service.List[agency.Event]](h.t)(h.store.Activity(context.Background(), id, "", service.Page{Limit: 1000}))
	var out []string
	for _, e := range slices.Backward(list.Items) {
		out = append(out, string(e.Type))
	}
	return out
}

func must[T any](t testing.TB) func(T, error) T {
	t.Helper()
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// audit recounts everything that is kept in two places.
func (h *hub) audit(t *testing.T) {
	t.Helper()
	all := testbed.Items(t, h.db, h.name)
	type counts struct{ Owned, Connected, Pending int }
	now, month, owners, teams := map[string]counts{}, map[string]map[string]int{}, map[string]int{}, map[string][]string{}
	told := map[string]int{}
	for _, k := range slices.Sorted(maps.Keys(all)) {
		i := all[k]
		pk, sk := testbed.Str(i["pk"]), testbed.Str(i["sk"])
		if id, ok := strings.CutPrefix(sk, "TEAM#"); ok {
			c := now[id]
			switch active := testbed.Str(i["status"]) == "active"; {
			case strings.HasPrefix(id, "per_") && active && testbed.Str(i["ownership"]) == "client":
				teams[id] = append(teams[id], strings.TrimPrefix(pk, "ACCT#"))
				if testbed.Str(i["role"]) == "owner" {
					owners[pk]++
				}
			case strings.HasPrefix(id, "per_"):
			case active && testbed.Str(i["ownership"]) == "agency":
				c.Owned++
			case active:
				c.Connected++
			case testbed.Str(i["status"]) == "pending":
				c.Pending++
			}
			if strings.HasPrefix(id, "acct_") {
				now[id] = c
			}
			// Only what is active without an end date waits for nothing.
			if due := testbed.Str(i["status"]) != "active" || i["until"] != nil; due != (i["duePk"] != nil) || due != (testbed.Str(i["dueSk"]) != "") {
				t.Errorf("%s is %s: due mark %t", k, testbed.Str(i["status"]), !due)
			}
		}
		if strings.HasPrefix(sk, "EVENT#") {
			of := subject(i)
			if testbed.Str(i["type"]) == "account.registered" && h.collected {
				// An id whose account has gone can be registered anew, all from 1.
				maps.DeleteFunc(told, func(k string, _ int) bool { return strings.HasPrefix(k, pk+" ") })
			}
			version, err := strconv.Atoi(testbed.Num(i["version"]))
			// A person who was collected begins anew.
			if err != nil || version <= told[of] && (version != 1 || strings.HasPrefix(testbed.Str(i["member"]), "acct_")) {
				t.Errorf("%s: %s of version %d after %d", of, testbed.Str(i["type"]), version, told[of])
			}
			told[of] = version
			if testbed.Str(i["type"]) == "person.erased" {
				told[of] = 0
			}
			if there, found := all[of]; found && !h.collected {
				if at, err := strconv.Atoi(testbed.Num(there["version"])); err != nil || at < version {
					t.Errorf("%s is of version %d, and an event of %d", of, at, version)
				}
			} else if !found && !h.collected {
				t.Errorf("%s is gone", of)
			}
			if id := testbed.Str(i["agency"]); id != "" {
				if month[id] == nil {
					month[id] = map[string]int{}
				}
				month[id][testbed.Str(i["type"])]++
			}
		}
	}
	for k, i := range all {
		pk, sk := testbed.Str(i["pk"]), testbed.Str(i["sk"])
		switch {
		case sk == "ACCT":
			closed := testbed.Str(i["closed"]) != ""
			state := testbed.Str(i["subscriptionState"])
			if due := closed || state == "cancelling"; due != (i["duePk"] != nil) || (state == "cancelling") != (testbed.Str(i["freezesAt"]) != "") {
				t.Errorf("%s is %s, closed %t: due mark %t, freezes at %q", pk, state, closed, i["duePk"] != nil, testbed.Str(i["freezesAt"]))
			}
			if unpaid, _ := i["unpaid"].(*types.AttributeValueMemberBOOL); (state == "past_due") && unpaid == nil || state == "active" && unpaid != nil {
				t.Errorf("%s is %s, unpaid %v", pk, state, unpaid)
			}
			if kept := testbed.Num(i["owners"]); kept != strconv.Itoa(owners[pk]) && !closed {
				t.Errorf("%s has %d owners and keeps %s", pk, owners[pk], kept)
			}
			if testbed.Str(i["ownership"]) == "client" && owners[pk] == 0 && !closed {
				t.Errorf("%s has no owner", pk)
			}
		case sk == "PERSON":
			var kept []string
			if list, ok := i["teams"].(*types.AttributeValueMemberL); ok {
				for _, v := range list.Value {
					kept = append(kept, testbed.Str(v))
				}
			}
			is := teams[strings.TrimPrefix(pk, "PERSON#")]
			slices.Sort(kept)
			slices.Sort(is)
			if !slices.Equal(kept, is) {
				t.Errorf("%s is in the teams %v and keeps %v", k, is, kept)
			}
			delete(teams, strings.TrimPrefix(pk, "PERSON#"))
		case strings.HasPrefix(pk, "COUNT#") && sk == "now":
			id := agency.AccountID(strings.TrimPrefix(pk, "COUNT#"))
			kept, err := h.store.Counts(t.Context(), id)
			if counts(kept) != now[string(id)] || err != nil {
				t.Errorf("%s counts %+v and keeps %+v, %v", id, now[string(id)], kept, err)
			}
			delete(now, string(id))
		case strings.HasPrefix(pk, "COUNT#"):
			id := strings.TrimPrefix(pk, "COUNT#")
			for what, n := range month[id] {
				month[id][what] = n - atoi(testbed.Num(i[what]))
			}
		}
	}
	for id, months := range month {
		for what, n := range months {
			if n != 0 {
				t.Errorf("%s: %d of %s in no month", id, n, what)
			}
		}
	}
	for id, c := range now {
		if c != (counts{}) {
			t.Errorf("%s counts %+v and keeps nothing", id, c)
		}
	}
	for id, in := range teams {
		t.Errorf("%s is in %v and keeps nothing", id, in)
	}
}

func atoi(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0
	}
	return n
}

// diff fails the test where two differ.
func diff[T any](t testing.TB, what string, want, got T) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s: %s", what, d)
	}
}
