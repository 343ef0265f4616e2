package linear

import (
	"context"
	crand "crypto/rand"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/oklog/ulid/v2"

	"agencyhub/infra/prove/law"
	"agencyhub/infra/prove/run"
	"agencyhub/shared/agency"
	"agencyhub/shared/service"
	"agencyhub/shared/table"
	"agencyhub/shared/testbed"
)

// begin is what the clock of a world shows first.
var begin = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// rules have short times, so that in one history requests expire, cooldowns end and access
// lapses. Reminders are too far ahead to come.
var rules = agency.Rules{
	Areas: []agency.Area{{ID: "pages", Name: "Pages"}, {ID: "mail", Name: "Mail"}},
	Plans: []agency.Plan{
		{ID: "starter", Name: "Starter", MonthlyPrice: 2900, Currency: "USD"}, {ID: "growth", Name: "Growth", MonthlyPrice: 9900, Currency: "USD"},
	},
	RequestLifetime: 20 * time.Second, InvitationLifetime: 25 * time.Second, RemindBefore: time.Second, Cooldown: 8 * time.Second, Retention: 90 * 24 * time.Hour,
	PairMails: 6, PairWindow: 40 * time.Second, OpenRequests: 2, OpenInvitations: 2, DailyRequests: 12, Resends: 3, ResendAfter: 3 * time.Second,
	DailyByPerson: agency.PersonLimits{AccountsOpened: 10, AccountsCreated: 2, Requests: 10, Invitations: 10}, NewPersonFor: time.Hour,
	DailyByNewPerson: agency.PersonLimits{AccountsOpened: 10, AccountsCreated: 2, Requests: 10, Invitations: 10},
	UnsolicitedMails: agency.MailLimits{All: 10, NeverSignedIn: 3, BySender: 3, ByAccount: 3}, WakeAfter: time.Minute,
}

// shape says how a history is made.
type shape struct {
	faults  faultRates
	workers int
	// each is how many operations a worker makes.
	each int
	// skew bounds how far a worker's clock is from the world's.
	skew time.Duration
	torn bool
	// conflicts is how long a transaction holds its items at least.
	conflicts time.Duration
}

// A world is a client's account, an agency and the people of both, which several workers
// serve at once: each worker is a function with a clock and a connection of its own. Worlds
// share a table and nothing in it.
type world struct {
	*traffic
	history
	shape
	t     *testing.T
	table string
	plain *table.Table // without faults, for draws alone
	clock atomic.Int64 // nanoseconds since begin
	order atomic.Int64

	ann, bob, eve agency.Actor // ann owns the client's account, bob is an admin of it
	gil, gem      agency.Actor // gil owns the agency, gem is a member of it
	client, of    agency.AccountID
	con, byEmail  agency.ConnectionID
}

// A worker serves people, one after the other.
type worker struct {
	*service.Service
	*client
	w    *world
	id   int
	skew time.Duration

	// Of the present operation.
	times []time.Time   // what the clock showed
	all   []time.Time   // of all decisions that had events
	loads [][]time.Time // as in record
	// wrote is true if the latest decision was to be written, with these events and items.
	wrote  bool
	events []agency.Event
	writes []item
	// decided is the time of that decision, if it had events.
	decided time.Time
}

// recorder is a worker's store, which notes what is decided.
type recorder struct {
	service.Store
	k *worker
}

func (r recorder) Load(ctx context.Context, want service.Want) (service.Snapshot, error) {
	r.k.wrote = false
	read, err := r.Store.Load(ctx, want)
	var last []time.Time
	for _, p := range read.Profiles {
		last = append(last, p.LastEvent.At())
	}
	for _, a := range read.Accounts {
		last = append(last, a.LastEvent.At())
	}
	slices.SortFunc(last, time.Time.Compare)
	r.k.loads = append(r.k.loads, last)
	return read, err
}

func (r recorder) Save(ctx context.Context, read service.Snapshot, c service.Changes) error {
	r.k.wrote, r.k.events, r.k.writes, r.k.decided = true, c.Events, nil, time.Time{}
	if len(c.Events) > 0 {
		r.k.decided = c.Events[0].At
	}
	for _, p := range c.Profiles {
		r.k.writes = append(r.k.writes, item{member: p.ProfileKey})
	}
	for _, a := range c.Accounts {
		r.k.writes = append(r.k.writes, item{account: a.ID})
	}
	return r.Store.Save(ctx, read, c)
}

func newWorld(t *testing.T, db *dynamodb.Client, name string, seed uint64, s shape, m *meter) *world {
	t.Helper()
	w := &world{
		shape: s, t: t, table: name, plain: table.New(db, name),
		traffic: &traffic{faults: &testbed.Faults{Client: db}, meter: m},
		history: history{decided: map[time.Time]bool{}},
	}
	actor := func(who string) agency.Actor {
		return agency.NewActor(fmt.Sprintf("%s-%d@x.test", who, seed), "https://issuer.test", who)
	}
	w.ann, w.bob, w.eve, w.gil, w.gem = actor("ann"), actor("bob"), actor("eve"), actor("gil"), actor("gem")
	const key = "key-000000000001"
	w.client, w.of = agency.NewAccountID(agency.Party(w.ann.ID()), key), agency.NewAccountID(agency.Party(w.gil.ID()), key)
	w.con = agency.NewConnectionID(agency.Party(w.client), w.of)
	w.byEmail = agency.NewConnectionID(agency.Party(w.ann.ID()), w.of)
	setters := []*worker{w.worker(0, seed, 0), w.worker(0, seed, 0)}
	for n, c := range []law.Command{
		{Do: law.OpenAccount, By: w.ann, Key: key, Name: "Client"},
		{Do: law.OpenAccount, By: w.gil, Key: key, Name: "Agency"},
		{Do: law.SwitchAgencyOn, By: w.gil, Account: w.of},
		{Do: law.InvitePerson, By: w.ann, Account: w.client, Email: w.bob.Email, Role: agency.Admin},
		{Do: law.AcceptInvitation, By: w.bob, Account: w.client, Number: 1},
		{Do: law.InvitePerson, By: w.gil, Account: w.of, Email: w.gem.Email, Role: agency.Member, Areas: editAll},
		{Do: law.AcceptInvitation, By: w.gem, Account: w.of, Number: 1},
		{Do: law.ChangeMember, By: w.gil, Account: w.of, Member: agency.Party(w.gem.ID()), Clients: &[]agency.AccountID{w.client}},
	} {
		if a := setters[n%2].do(c); a.Code != "" {
			t.Fatalf("%s: %s", c.Do, a.Message)
		}
	}
	return w
}

func (w *world) now() time.Time { return begin.Add(time.Duration(w.clock.Load())) }

func (w *world) worker(id int, seed uint64, skew time.Duration) *worker {
	k := &worker{w: w, id: id, skew: skew, client: &client{Faults: w.traffic.faults, traffic: w.traffic, rand: rand.New(rand.NewPCG(seed, uint64(id)))}}
	// Its own, as each function has: within a millisecond ids of two workers sort at random.
	entropy := ulid.Monotonic(crand.Reader, 0)
	k.Service = &service.Service{
		Store: recorder{table.New(k.client, w.table), k}, Rules: rules,
		Now: func() time.Time {
			now := w.now().Add(k.skew).Truncate(time.Millisecond)
			k.times = append(k.times, now)
			return now
		},
		NewEventID: func(at time.Time) agency.EventID {
			k.all = append(k.all, at)
			return agency.NewEventID(ulid.MustNew(ulid.Timestamp(at), entropy).String())
		},
	}
	return k
}

// do makes one operation and records it.
func (k *worker) do(c law.Command) answer {
	k.cutOff = false
	k.times, k.loads, k.decided, k.all, k.wrote, k.events, k.writes = nil, nil, time.Time{}, nil, false, nil, nil
	r := &record{Worker: k.id, Command: c, Call: k.w.order.Add(1)}
	out, err := perform(k.w.t.Context(), k.Service, c)
	r.Return = k.w.order.Add(1)
	r.Times = k.times
	if len(k.times) > 0 {
		r.first = k.times[0]
	}
	switch {
	case k.wrote && !k.decided.IsZero():
		r.Times, r.exact = []time.Time{k.decided}, true
	case k.wrote:
		r.Times = k.times[len(k.times)-1:]
	}
	r.writes, r.loads = k.writes, k.loads
	if k.wrote && err == nil {
		for _, e := range k.events {
			out.Events = append(out.Events, run.Event(e))
		}
	}
	r.Answer = answerOf(out)
	if err != nil {
		r.Answer.Code, r.Answer.Unknown, r.Answer.Message = agency.CodeOf(err), isUnknown(err), err.Error()
	}
	k.w.add(r, k.all)
	return r.Answer
}

// play makes a history: all workers at once, and then one who reads everything.
func (w *world) play(seed uint64) {
	w.rates, w.traffic.torn, w.traffic.faults.Duration = w.shape.faults, w.shape.torn, w.conflicts
	var wg sync.WaitGroup
	for id := 1; id <= w.workers; id++ {
		r := rand.New(rand.NewPCG(seed, uint64(id)))
		k := w.worker(id, seed, time.Duration((2*r.Float64()-1)*float64(w.skew)))
		wg.Go(func() {
			for range w.each {
				k.do(k.draw())
			}
		})
	}
	wg.Wait()
	w.late.Wait()
	w.rates, w.traffic.torn, w.traffic.faults.Duration = faultRates{}, false, 0
	last := w.worker(0, seed, 0)
	for _, c := range w.everything() {
		last.do(c)
	}
}
