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

// lease is how long an email stays claimed.
const lease = time.Minute

// Areas by what they allow.
var (
	editAll   = agency.Areas{"pages": agency.Edit, "mail": agency.Edit}
	viewPages = agency.Areas{"pages": agency.View, "mail": agency.None}
	editPages = agency.Areas{"pages": agency.Edit, "mail": agency.None}
)

const (
	day      = 24 * time.Hour
	lifetime = 14 * day
)

// fixture is the use cases on a real table. Its clock moves only by advance and setTime.
type fixture struct {
	*service.Service
	*testbed.Faults
	t         testing.TB
	db        *dynamodb.Client
	tableName string
	store     *table.Table

	// collected is set by a test in which items were deleted.
	collected bool
	// longWrites allows transactions as long as a page of a list.
	longWrites bool

	mu  sync.Mutex
	now time.Time
	ids int
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	db, name := testbed.Table(t)
	f := &fixture{Faults: &testbed.Faults{Client: db}, t: t, db: db, tableName: name, now: noon}
	f.BeforeWrite, f.AfterCommit = f.checkWrite, f.checkVersions
	f.store = table.New(f.Faults, name)
	f.Service = &service.Service{
		Store: f.store,
		Rules: agency.Rules{
			Areas: []agency.Area{{ID: "pages", Name: "Pages"}, {ID: "mail", Name: "Mail"}},
			Plans: []agency.Plan{{ID: "starter", Name: "Starter", MonthlyPrice: 2900, Currency: "USD"}, {ID: "growth", Name: "Growth", MonthlyPrice: 9900, Currency: "USD"}}, RequestLifetime: lifetime, WakeAfter: 2 * time.Minute,
			RemindBefore: 3 * day, LapseWarnings: []time.Duration{7 * day, day}, Cooldown: 30 * day, Retention: 90 * day,
			PairMails: 4, PairWindow: 30 * day, OpenRequests: 100, OpenInvitations: 100, InvitationLifetime: 30 * day, DailyRequests: 50,
			UnsolicitedMails: agency.MailLimits{All: 10, NeverSignedIn: 3, BySender: 3, ByAccount: 3}, DigestAt: 6 * time.Hour, DigestSpread: 2 * time.Hour, Resends: 3, ResendAfter: day,
		},
		Now: func() time.Time {
			f.mu.Lock()
			defer f.mu.Unlock()
			return f.now
		},
		NewEventID: func(at time.Time) agency.EventID {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.ids++
			return agency.EventID(fmt.Sprintf("evt_%013d%013d", at.UnixMilli(), f.ids))
		},
	}
	return f
}

// items returns everything in the table, by "pk sk".
func (f *fixture) items() map[string]testbed.Item {
	f.t.Helper()
	return testbed.Items(f.t, f.db, f.tableName)
}

func (f *fixture) advance(by time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now = f.now.Add(by)
}

func (f *fixture) setTime(at time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now = at
}

// checkWrite checks what holds for every transaction of every test: at most 16 items, none twice,
// each with a condition except sums.
func (f *fixture) checkWrite(in *dynamodb.TransactWriteItemsInput) error {
	seen := map[string]bool{}
	if len(in.TransactItems) > 16 && !f.longWrites {
		f.t.Errorf("%d items in a transaction", len(in.TransactItems))
	}
	for _, i := range in.TransactItems {
		at, condition := writeTarget(i)
		k := testbed.Str(at["pk"]) + " " + testbed.Str(at["sk"])
		if seen[k] || condition == "" {
			f.t.Errorf("%s is in a transaction twice, or not conditioned", k)
		}
		seen[k] = true
	}
	return nil
}

// checkVersions checks what holds for every transaction that was made: versions rise with each write
// and each event. One that is refused may rest on parts of two states.
func (f *fixture) checkVersions(in *dynamodb.TransactWriteItemsInput) {
	events := map[string]int{}
	for _, i := range in.TransactItems {
		if p := i.Put; p != nil && strings.HasPrefix(testbed.Str(p.Item["sk"]), "EVENT#") {
			events[eventSubject(p.Item)]++
		}
	}
	for _, i := range in.TransactItems {
		p := i.Put
		if p == nil || strings.HasPrefix(testbed.Str(p.Item["sk"]), "EVENT#") {
			continue
		}
		k := testbed.Str(p.Item["pk"]) + " " + testbed.Str(p.Item["sk"])
		was, err1 := strconv.Atoi(testbed.Num(p.ExpressionAttributeValues[":version"]))
		if p.ExpressionAttributeValues == nil {
			was, err1 = 0, nil
		}
		now, err2 := strconv.Atoi(testbed.Num(p.Item["version"]))
		steps := now - was
		// The versions of a collected connection continue where they ended.
		restored := was == 0 && strings.HasPrefix(testbed.Str(p.Item["sk"]), "TEAM#")
		// Binding to an identity is a write without an event.
		if n := events[k]; errors.Join(err1, err2) != nil || steps < 1 || !restored && steps != n && steps != n+1 {
			f.t.Errorf("%s from version %d to %d with %d events (%v, %v)", k, was, now, n, err1, err2)
		}
	}
}

// writeTarget returns an item or key of a transaction's write, and its condition.
func writeTarget(i types.TransactWriteItem) (at testbed.Item, condition string) {
	switch {
	case i.Put != nil:
		return i.Put.Item, *i.Put.ConditionExpression
	case i.Delete != nil:
		return i.Delete.Key, *i.Delete.ConditionExpression
	case i.ConditionCheck != nil:
		return i.ConditionCheck.Key, *i.ConditionCheck.ConditionExpression
	case i.Update != nil:
		return i.Update.Key, "a sum"
	}
	return nil, ""
}

// eventSubject returns the key of the item that an event is about.
func eventSubject(event testbed.Item) string {
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

// idempotencyKey returns a valid Idempotency-Key.
func idempotencyKey(n int) string { return fmt.Sprintf("key-%012d", n) }

func actor(name string) agency.Actor {
	return agency.NewActor(name+"@x.test", "https://issuer.test", "sub-"+name)
}

func party(a agency.Actor) agency.Party { return agency.Party(a.ID()) }

func as(a agency.Actor, of ...agency.AccountID) agency.Caller {
	c := agency.Caller{Actor: a}
	if len(of) > 0 {
		c.As = of[0]
	}
	return c
}

// impostor returns another identity with the same address.
func impostor(a agency.Actor) agency.Actor {
	a.Subject += "-another"
	return a
}

// world is a client's account and an agency, each with an owner, an admin and a member, and an
// agency-owned account with its client.
type world struct {
	*fixture
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
	return newFixture(t).world("")
}

// world adds a world to the same table, with persons of its own.
func (f *fixture) world(suffix string) *world {
	f.t.Helper()
	w := &world{
		fixture: f, ann: actor("ann" + suffix), bob: actor("bob" + suffix), mem: actor("mem" + suffix), gil: actor("gil" + suffix),
		gus: actor("gus" + suffix), gem: actor("gem" + suffix), olga: actor("olga" + suffix), eve: actor("eve" + suffix),
	}
	ctx := f.t.Context()
	client := must[service.AccountView](f.t)(f.OpenAccount(ctx, w.ann, idempotencyKey(1), "Client"+suffix))
	of := must[service.AccountView](f.t)(f.OpenAccount(ctx, w.gil, idempotencyKey(1), "Agency"+suffix))
	w.client, w.agency = client.ID, of.ID
	must[service.AccountView](f.t)(f.SwitchAgencyOn(ctx, w.gil, w.agency))
	w.mustInvite(w.ann, w.client, w.bob, agency.Admin)
	w.mustInvite(w.ann, w.client, w.mem, agency.Member)
	w.mustInvite(w.gil, w.agency, w.gus, agency.Admin)
	w.mustInvite(w.gil, w.agency, w.gem, agency.Member)
	owned := must[service.AccountView](f.t)(f.CreateAccount(ctx, w.gil, w.agency, idempotencyKey(2), service.NewClientAccount{
		Name: "Owned" + suffix, Plan: "growth", ConfirmPermanentOwnership: true, Client: &service.NewClient{Email: w.olga.Email, Areas: viewPages},
	}))
	w.owned = owned.ID
	w.mustAccept(w.olga, w.owned)
	w.con, w.ownCon = agency.NewConnectionID(agency.Party(w.client), w.agency), agency.NewConnectionID(agency.Party(w.owned), w.agency)
	return w
}

func (w *world) mustInvite(by agency.Actor, in agency.AccountID, who agency.Actor, role agency.Role) {
	w.t.Helper()
	must[agency.Profile](w.t)(w.invite(by, in, who, role))
	w.mustAccept(who, in)
}

// invite invites a person, who has not accepted yet.
func (w *world) invite(by agency.Actor, in agency.AccountID, who agency.Actor, role agency.Role) (agency.Profile, error) {
	i := service.Invitation{Email: who.Email, Role: role}
	if role == agency.Member {
		i.Areas = editPages
	}
	p, _, err := w.InvitePerson(w.t.Context(), as(by), in, i)
	return p, err
}

// inviteClient invites a person into the agency-owned account.
func (w *world) inviteClient(who agency.Actor) (agency.Profile, error) {
	p, _, err := w.InvitePerson(w.t.Context(), as(w.gil, w.agency), w.owned, service.Invitation{Email: who.Email, Role: agency.Member, Areas: viewPages})
	return p, err
}

// waiting returns everything that waits for a person.
func (f *fixture) waiting(who agency.Actor) []service.RequestDetail {
	f.t.Helper()
	var all []service.RequestDetail
	for cursor := ""; ; {
		list := must[service.List[service.RequestDetail]](f.t)(f.Waiting(f.t.Context(), who, service.Page{Limit: 10, Cursor: cursor}))
		all = append(all, list.Items...)
		if cursor = list.Next; cursor == "" {
			return all
		}
	}
}

// acceptInvitation accepts what waits for a person in an account, as it is now.
func (f *fixture) acceptInvitation(who agency.Actor, in agency.AccountID) (service.AccountView, error) {
	read := must[service.Snapshot](f.t)(f.store.Load(f.t.Context(), service.Want{
		Accounts: []agency.AccountID{in}, Profiles: []agency.ProfileKey{agency.PersonAt(in, who.ID())},
	}))
	answer := service.Answer{Request: read.Profile(agency.PersonAt(in, who.ID())).Request.Number, Plan: read.Account(in).Subscription.Plan}
	return f.AcceptInvitation(f.t.Context(), who, in, answer)
}

func (f *fixture) mustAccept(who agency.Actor, in agency.AccountID) {
	f.t.Helper()
	must[service.AccountView](f.t)(f.acceptInvitation(who, in))
}

// declineAt declines an agency's latest request to an account.
func (f *fixture) declineAt(by agency.Caller, id, agencyID agency.AccountID, block bool) (agency.Profile, error) {
	p := f.profile(agency.AgencyAt(id, agencyID))
	return f.DeclineRequest(f.t.Context(), by, id, agencyID, service.Decline{Request: p.Request.Number, Block: block})
}

// declineByID declines the latest request of a connection.
func (f *fixture) declineByID(by agency.Actor, id agency.ConnectionID, block bool) (agency.Profile, error) {
	addressee, agencyID, _ := id.Split()
	p := f.profile(agency.ProfileKey{Addressee: addressee, Member: agency.Party(agencyID)})
	return f.DeclineRequestByID(f.t.Context(), by, id, service.Decline{Request: p.Request.Number, Block: block})
}

func (w *world) request() (agency.Profile, error) {
	return w.RequestConnection(w.t.Context(), w.gil, w.agency, service.ConnectionRequest{Account: w.client, Areas: editAll, Message: "please"})
}

func (w *world) accept(by agency.Actor, number int) (agency.Profile, error) {
	return w.AcceptRequest(w.t.Context(), as(by), w.client, w.agency, service.Grant{Request: number})
}

func (w *world) revoke() (agency.Profile, error) {
	return w.RemoveMember(w.t.Context(), as(w.ann), w.client, agency.Party(w.agency), false)
}

func (w *world) withdraw() (agency.Profile, error) {
	return w.WithdrawRequest(w.t.Context(), w.gil, w.agency, w.con)
}

func (w *world) resend() (agency.Profile, error) {
	return w.ResendRequest(w.t.Context(), w.gil, w.agency, w.con)
}

func (w *world) leave() (agency.Profile, error) {
	return w.LeaveAccount(w.t.Context(), w.gil, w.agency, w.con)
}

// clients returns the first page of an agency's clients.
func (w *world) clients(who agency.Actor, f service.ClientFilter) []agency.Profile {
	w.t.Helper()
	list, _, err := w.Clients(w.t.Context(), who, w.agency, f, service.Page{Limit: 10})
	noError(w.t, err)
	return list.Items
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

// account returns an account as it is stored, whatever the clock makes of its subscription.
func (f *fixture) account(id agency.AccountID) agency.Account {
	f.t.Helper()
	return must[service.Snapshot](f.t)(f.store.Load(f.t.Context(), service.Want{Accounts: []agency.AccountID{id}})).Account(id)
}

// events returns the types of an account's events, oldest first.
func (f *fixture) events(id agency.AccountID) []string {
	f.t.Helper()
	list := must[service.List[agency.Event]](f.t)(f.store.Activity(context.Background(), agency.Party(id), "", service.Page{Limit: 1000}))
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

func noError(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// refused fails the test unless err has a code; "" is for no error.
func refused(t testing.TB, what string, want agency.Code, err error) {
	t.Helper()
	if agency.CodeOf(err) != want {
		t.Errorf("%s: %v, want %q", what, err, want)
	}
}

func allRefused(t testing.TB, want agency.Code, errs map[string]error) {
	t.Helper()
	for what, err := range errs {
		refused(t, what, want, err)
	}
}

// clientCounts are an agency's clients by state, counted from their connections.
type clientCounts struct{ Owned, Connected, Pending int }

// auditor compares what the table keeps in two places.
type auditor struct {
	*fixture
	t        *testing.T
	all      map[string]testbed.Item
	clients  map[string]clientCounts
	invited  map[string]int            // open invitations and offers by who asks, less what is kept
	months   map[string]map[string]int // events by agency and type, less what the months count
	owners   map[string]int
	agencies map[string][]string // with an active profile, by account
	versions map[string]int      // of the newest event, by the key of its subject
}

// audit fails the test where two places of the table disagree.
func (f *fixture) audit(t *testing.T) {
	t.Helper()
	a := &auditor{f, t, f.items(), map[string]clientCounts{}, map[string]int{}, map[string]map[string]int{}, map[string]int{}, map[string][]string{}, map[string]int{}}
	for _, k := range slices.Sorted(maps.Keys(a.all)) {
		i := a.all[k]
		pk, sk := testbed.Str(i["pk"]), testbed.Str(i["sk"])
		if id, ok := strings.CutPrefix(sk, "TEAM#"); ok {
			a.profile(k, pk, id, i)
		}
		if strings.HasPrefix(sk, "EVENT#") {
			a.event(pk, i)
		}
	}
	for _, i := range a.all {
		pk, sk := testbed.Str(i["pk"]), testbed.Str(i["sk"])
		id, isCount := strings.CutPrefix(pk, "COUNT#")
		switch {
		case sk == "ACCT":
			a.account(pk, i)
		case isCount && sk == "now":
			kept, err := f.store.Counts(t.Context(), agency.AccountID(id))
			if clientCounts(kept) != a.clients[id] || err != nil {
				t.Errorf("%s counts %+v and keeps %+v, %v", id, a.clients[id], kept, err)
			}
			delete(a.clients, id)
			if n := testbed.Num(i["invited"]); n != "" {
				a.invited[id] -= atoi(n)
			}
		case isCount:
			for what, n := range a.months[id] {
				a.months[id][what] = n - atoi(testbed.Num(i[what]))
			}
		}
	}
	for id, months := range a.months {
		for what, n := range months {
			if n != 0 {
				t.Errorf("%s: %d of %s in no month", id, n, what)
			}
		}
	}
	for id, c := range a.clients {
		if c != (clientCounts{}) {
			t.Errorf("%s counts %+v and keeps nothing", id, c)
		}
	}
	for id, n := range a.invited {
		if n != 0 {
			t.Errorf("%s has %d more open invitations than it counts", id, n)
		}
	}
	for id, in := range a.agencies {
		t.Errorf("%s has the agencies %v and keeps nothing", id, in)
	}
}

// profile counts a profile and checks its due mark.
func (a *auditor) profile(k, pk, id string, i testbed.Item) {
	a.t.Helper()
	status, ownership := testbed.Str(i["status"]), testbed.Str(i["ownership"])
	active, c := status == "active", a.clients[id]
	switch {
	case strings.HasPrefix(id, "per_") && active && ownership == "client":
		if testbed.Str(i["role"]) == "owner" {
			a.owners[pk]++
		}
	case strings.HasPrefix(id, "per_"):
	case active && ownership == "agency":
		c.Owned++
	case active:
		c.Connected++
	case status == "pending":
		c.Pending++
	}
	if strings.HasPrefix(id, "acct_") {
		a.clients[id] = c
		if active && strings.HasPrefix(pk, "ACCT#") {
			a.agencies[pk] = append(a.agencies[pk], id)
		}
	}
	offered := active && testbed.Str(i["requestKind"]) == "ownership" && testbed.Str(i["requestState"]) == "open"
	if strings.HasPrefix(id, "per_") && (status == "invited" || offered) {
		a.invited[testbed.Str(i["requestFrom"])]++
	}
	// Only an active profile without an end date, an offer or invitations to close has no
	// due mark.
	if due := !active || i["until"] != nil || offered || i["closeAt"] != nil; due != (i["duePk"] != nil) || due != (testbed.Str(i["dueSk"]) != "") {
		a.t.Errorf("%s is %s: due mark %t", k, status, !due)
	}
}

// event checks that versions rise, and counts the event for its agency.
func (a *auditor) event(pk string, i testbed.Item) {
	a.t.Helper()
	subject, kind := eventSubject(i), testbed.Str(i["type"])
	if kind == "account.registered" && a.collected {
		// A collected account can be registered again under its id; all its versions restart at 1.
		maps.DeleteFunc(a.versions, func(k string, _ int) bool { return strings.HasPrefix(k, pk+" ") })
	}
	version, err := strconv.Atoi(testbed.Num(i["version"]))
	// The versions of a collected person restart at 1.
	if err != nil || version <= a.versions[subject] && (version != 1 || strings.HasPrefix(testbed.Str(i["member"]), "acct_")) {
		a.t.Errorf("%s: %s of version %d after %d", subject, kind, version, a.versions[subject])
	}
	a.versions[subject] = version
	if kind == "person.erased" {
		a.versions[subject] = 0
	}
	if now, found := a.all[subject]; found && !a.collected {
		if at, err := strconv.Atoi(testbed.Num(now["version"])); err != nil || at < version {
			a.t.Errorf("%s is of version %d, and an event of %d", subject, at, version)
		}
	} else if !found && !a.collected {
		a.t.Errorf("%s is gone", subject)
	}
	// What happens in an agency-owned account concerns its owner.
	if testbed.Str(i["ownership"]) == "agency" && testbed.Str(i["agency"]) == "" {
		a.t.Errorf("%s of %s names no agency", kind, subject)
	}
	if id := testbed.Str(i["agency"]); id != "" {
		if a.months[id] == nil {
			a.months[id] = map[string]int{}
		}
		a.months[id][kind]++
	}
}

// account checks an account's due mark, payment state, number of owners and list of agencies.
func (a *auditor) account(pk string, i testbed.Item) {
	a.t.Helper()
	closed, state := testbed.Str(i["closed"]) != "", testbed.Str(i["subscriptionState"])
	if due := closed || state == "cancelling"; due != (i["duePk"] != nil) || (state == "cancelling") != (testbed.Str(i["freezesAt"]) != "") {
		a.t.Errorf("%s is %s, closed %t: due mark %t, freezes at %q", pk, state, closed, i["duePk"] != nil, testbed.Str(i["freezesAt"]))
	}
	if unpaid, _ := i["unpaid"].(*types.AttributeValueMemberBOOL); (state == "past_due") && unpaid == nil || state == "active" && unpaid != nil {
		a.t.Errorf("%s is %s, unpaid %v", pk, state, unpaid)
	}
	if kept := testbed.Num(i["owners"]); kept != strconv.Itoa(a.owners[pk]) && !closed {
		a.t.Errorf("%s has %d owners and keeps %s", pk, a.owners[pk], kept)
	}
	if testbed.Str(i["ownership"]) == "client" && a.owners[pk] == 0 && !closed {
		a.t.Errorf("%s has no owner", pk)
	}
	var kept []string
	if list, ok := i["agencies"].(*types.AttributeValueMemberL); ok {
		for _, v := range list.Value {
			kept = append(kept, testbed.Str(v))
		}
	}
	slices.Sort(kept)
	slices.Sort(a.agencies[pk])
	if !slices.Equal(kept, a.agencies[pk]) {
		a.t.Errorf("%s has the agencies %v and keeps %v", pk, a.agencies[pk], kept)
	}
	delete(a.agencies, pk)
}

func atoi(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0
	}
	return n
}

// diff fails the test if want and got differ.
func diff[T any](t testing.TB, what string, want, got T) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s: %s", what, d)
	}
}
