package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"agencyhub/shared/agency"
	"agencyhub/shared/cloud"
	"agencyhub/shared/outbox"
	"agencyhub/shared/service"
	"agencyhub/shared/settings"
	"agencyhub/shared/stream"
	"agencyhub/shared/table"
	"agencyhub/shared/testbed"
)

const message = "Hello Petra, as agreed on the phone."

var (
	monday = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	some   = agency.Areas{"pages": agency.Edit, "funnels": agency.Edit, "mail": agency.View, "contacts": agency.None, "analytics": agency.View}
	ann    = agency.NewActor("ann@studio.test", "https://issuer.test", "ann")
	petra  = agency.NewActor("petra@bakery.test", "https://issuer.test", "petra")
)

// fixture is the use cases on a real table, and a publisher to a bus.
type fixture struct {
	*publisher
	service service.Service
	table   *table.Table
	faults  *faults
	bus     *testbed.Bus
	metrics *testbed.Lines
	at      time.Time

	bakery, studio agency.AccountID
	id             agency.ConnectionID
	// request is the event of the studio's request to the bakery.
	request table.EventKey
}

// faults is the table with injected failures.
type faults struct {
	store
	finish error
}

var errFault = errors.New("the table fails")

func (f *faults) FinishMail(ctx context.Context, m outbox.MailKey, fate outbox.Fate, id string, now time.Time) error {
	if f.finish != nil {
		return f.finish
	}
	return f.store.FinishMail(ctx, m, fate, id, now)
}

func must[T any](t *testing.T) func(T, error) T {
	t.Helper()
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// newFixture opens Petra's bakery and Ann's studio, publishes their events, and sends the
// studio's request to the bakery.
func newFixture(t *testing.T) *fixture {
	t.Helper()
	set, err := settings.Load("")
	if err != nil {
		t.Fatal(err)
	}
	db, name := testbed.Table(t)
	f := &fixture{table: table.New(db, name), metrics: &testbed.Lines{}, at: monday}
	now := func() time.Time { return f.at }
	f.service = service.Service{Store: f.table, Now: now, Rules: set.Rules(), NewEventID: cloud.NewEventID}
	f.faults = &faults{store: f.table}
	taken, client := testbed.NewBus(t)
	f.bus = taken
	noPause := func(context.Context, time.Duration) {}
	f.publisher = newPublisher(f.faults, bus{client: client, name: "hub-bus"}, cloud.NewMeter(f.metrics, now), f.service.RefreshCopies, now, noPause)
	f.workers = 1
	clock := testbed.NewClock(monday)
	f.sink = &stream.Sink{Now: clock.Now, Pause: clock.Pause}
	account := must[service.AccountView](t)
	f.bakery = account(f.service.OpenAccount(t.Context(), petra, "bakery-0123456789", "Petra’s Bakery")).ID
	f.studio = account(f.service.OpenAccount(t.Context(), ann, "studio-0123456789", "Bright Studio")).ID
	account(f.service.SwitchAgencyOn(t.Context(), ann, f.studio))
	f.publish(t, f.unpublished(t)...)
	f.id = must[agency.Profile](t)(f.service.RequestConnection(t.Context(), ann, f.studio, service.ConnectionRequest{Account: f.bakery, Message: message, Areas: some})).ID()
	f.request = f.unpublished(t)[0]
	return f
}

// unpublished returns the keys of the events that publish has not finished, oldest first.
func (f *fixture) unpublished(t *testing.T) []table.EventKey {
	t.Helper()
	var keys []table.EventKey
	for shard := range table.Shards {
		for item, err := range f.table.Due(t.Context(), shard, f.at.Add(48*time.Hour)) {
			if err != nil {
				t.Fatal(err)
			}
			if item.Event != nil && !f.isDone(t, *item.Event) {
				keys = append(keys, *item.Event)
			}
		}
	}
	slices.SortFunc(keys, func(a, b table.EventKey) int { return strings.Compare(string(a.ID), string(b.ID)) })
	return keys
}

func (f *fixture) isDone(t *testing.T, k table.EventKey) bool {
	t.Helper()
	e, found, err := f.table.Event(t.Context(), k)
	if err != nil || !found {
		t.Fatal(found, err)
	}
	return e.IsDoneBy(outbox.Publish)
}

// done checks whether publish has finished events.
func (f *fixture) done(t *testing.T, want bool, keys ...table.EventKey) {
	t.Helper()
	for _, k := range keys {
		if f.isDone(t, k) != want {
			t.Errorf("%s is done: %t", k.ID, !want)
		}
	}
}

// batch returns the stream's records of events. Their sequence numbers are s1, s2 …
func batch(keys ...table.EventKey) events.DynamoDBEvent {
	var b events.DynamoDBEvent
	for i, k := range keys {
		pk := "ACCT#" + string(k.Addressee)
		if k.Addressee.Person() != "" {
			pk = "PERSON#" + string(k.Addressee)
		}
		if agency.MailboxID(k.Addressee).IsValid() {
			pk = "HELD#" + string(k.Addressee)
		}
		b.Records = append(b.Records, events.DynamoDBEventRecord{EventName: "INSERT", Change: events.DynamoDBStreamRecord{
			SequenceNumber: "s" + strconv.Itoa(i+1),
			Keys: map[string]events.DynamoDBAttributeValue{
				"pk": events.NewStringAttribute(pk), "sk": events.NewStringAttribute("EVENT#" + strings.TrimPrefix(string(k.ID), "evt_")),
			},
		}})
	}
	return b
}

// handle publishes events and checks which record failed: its sequence number, "" for none.
func (f *fixture) handle(t *testing.T, wantFailed string, keys ...table.EventKey) {
	t.Helper()
	out, err := f.Handle(t.Context(), batch(keys...))
	failed := ""
	for _, failure := range out.BatchItemFailures {
		failed = failure.ItemIdentifier
	}
	if err != nil || failed != wantFailed {
		t.Fatalf("the record %q failed, want %q (%v)", failed, wantFailed, err)
	}
}

func (f *fixture) publish(t *testing.T, keys ...table.EventKey) {
	t.Helper()
	f.handle(t, "", keys...)
}

// onBus returns the types that the bus has taken since the fixture was made.
func (f *fixture) onBus() []string {
	types := []string{}
	for _, e := range f.bus.Entries()[3:] {
		types = append(types, e.DetailType)
	}
	return types
}

func (f *fixture) accept(t *testing.T) table.EventKey {
	t.Helper()
	must[agency.Profile](t)(f.service.AcceptRequest(t.Context(), agency.Caller{Actor: petra}, f.bakery, f.studio, service.Grant{Request: 1}))
	return f.unpublished(t)[1]
}

func TestWhatTheBusIsGiven(t *testing.T) {
	f := newFixture(t)
	f.at = f.at.Add(2 * time.Second)
	f.publish(t, f.request, f.request)
	f.publish(t, f.request)
	if diff := cmp.Diff([]string{"connection.requested"}, f.onBus()); diff != "" {
		t.Fatal(diff)
	}
	if m := f.metrics.String(); strings.Count(m, `"TimeToBus":[2]`) != 1 {
		t.Errorf("metrics: %s", m)
	}
	got := f.bus.Entries()[3]
	if got.Source != "agencyhub" || got.EventBusName != "hub-bus" || int64(got.Time) != monday.Unix() {
		t.Errorf("%+v", got)
	}
	var detail map[string]any
	if err := json.Unmarshal([]byte(got.Detail), &detail); err != nil {
		t.Fatal(err)
	}
	expires := monday.Add(f.service.Rules.RequestLifetime).Format(time.RFC3339)
	if diff := cmp.Diff(map[string]any{
		"version": 1.0, "id": string(f.request.ID), "type": "connection.requested", "at": monday.Format(time.RFC3339),
		"account": string(f.bakery), "person": nil, "agency": string(f.studio), "connection": string(f.id), "member": string(f.studio),
		"actor": string(ann.ID()), "as": nil, "client": nil, "ownership": "client", "payer": "client", "request": 1.0, "kind": nil, "number": 1.0, "muted": false,
		"was": map[string]any{},
		"now": map[string]any{
			"status": "pending", "expires": expires,
			"areas": map[string]any{"pages": "edit", "funnels": "edit", "mail": "view", "contacts": "none", "analytics": "view"},
		},
	}, detail); diff != "" {
		t.Error(diff)
	}
	for _, secret := range []string{"@", message, "issuer.test"} {
		if strings.Contains(got.Detail, secret) {
			t.Errorf("the entry holds %q: %s", secret, got.Detail)
		}
	}
}

// What the bus does not take now is tried again within the invocation, and then when the
// event is woken. The next event of the profile waits for it.
func TestWhatTheBusDoesNotTakeIsTriedAgain(t *testing.T) {
	for name, refuse := range map[string]func(testbed.Entry) (int, string){
		"an entry that failed": func(testbed.Entry) (int, string) { return http.StatusOK, "InternalFailure" },
		"a call that failed":   func(testbed.Entry) (int, string) { return http.StatusInternalServerError, "" },
		"no permission":        func(testbed.Entry) (int, string) { return http.StatusBadRequest, "" },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			accepted := f.accept(t)
			before := f.bus.Calls()
			f.bus.Refuse = refuse
			f.publish(t, f.request, accepted)
			if calls := f.bus.Calls() - before; calls < 2 || name != "a call that failed" && calls < 4 {
				t.Errorf("%d attempts at the first", calls)
			}
			f.done(t, false, f.request, accepted)
			if !strings.Contains(f.metrics.String(), `"BusFailed":[1]`) {
				t.Errorf("metrics: %s", f.metrics)
			}
			before = f.bus.Calls()
			f.publish(t, f.request)
			if calls := f.bus.Calls() - before; calls != 1 {
				t.Errorf("%d attempts at a woken event, want 1", calls)
			}
			f.bus.Refuse = nil
			f.publish(t, accepted)
			f.done(t, false, accepted)
			f.publish(t, f.request, accepted)
			if diff := cmp.Diff([]string{"connection.requested", "connection.accepted"}, f.onBus()); diff != "" {
				t.Error(diff)
			}
			f.done(t, true, f.request, accepted)
		})
	}
}

// What the bus will never take is its fate, which the operator sees, and holds nothing up.
func TestARefusalIsAFate(t *testing.T) {
	for _, code := range []string{"InvalidArgument", "MalformedDetail", "RedactionFailure"} {
		f := newFixture(t)
		accepted := f.accept(t)
		calls := 0
		f.bus.Refuse = func(e testbed.Entry) (int, string) {
			if e.DetailType == "connection.requested" {
				calls++
				return http.StatusOK, code
			}
			return http.StatusOK, ""
		}
		f.publish(t, f.request, accepted)
		f.publish(t, f.request, accepted)
		f.done(t, true, f.request, accepted)
		if diff := cmp.Diff([]string{"connection.accepted"}, f.onBus()); diff != "" || calls != 1 {
			t.Errorf("%s: %d attempts, %s", code, calls, diff)
		}
		if m := f.metrics.String(); strings.Count(m, `"BusRefused":[1]`) != 1 {
			t.Errorf("metrics: %s", m)
		}
	}
}

// An invocation that dies after the bus took the entry and before noting it makes it be put
// a second time, with the same id, once the claim has run out.
func TestARepeatHasTheSameID(t *testing.T) {
	f := newFixture(t)
	f.faults.finish = errFault
	f.handle(t, "s1", f.request)
	if n := len(f.onBus()); n != 1 {
		t.Errorf("%d entries of one invocation", n)
	}
	f.faults.finish = nil
	f.publish(t, f.request) // the claim still holds
	f.done(t, false, f.request)
	f.at = f.at.Add(lease)
	f.publish(t, f.request)
	f.done(t, true, f.request)
	entries := f.bus.Entries()[3:]
	if len(entries) != 2 || entries[0] != entries[1] {
		t.Errorf("%v", entries)
	}
}

// An event that nobody on the account's side may learn of says so.
func TestMutedEventsSaySo(t *testing.T) {
	f := newFixture(t)
	must[agency.Profile](t)(f.service.DeclineRequest(t.Context(), agency.Caller{Actor: petra}, f.bakery, f.studio, service.Decline{Request: 1, Block: true}))
	must[agency.Profile](t)(f.service.RequestConnection(t.Context(), ann, f.studio, service.ConnectionRequest{OwnerEmail: petra.Email, Areas: some}))
	f.publish(t, f.unpublished(t)...)
	muted := 0
	for _, e := range f.bus.Entries() {
		if strings.Contains(e.Detail, `"muted":true`) {
			muted++
			if e.DetailType != "connection.requested" {
				t.Errorf("%s", e.Detail)
			}
		}
	}
	if muted != 1 {
		t.Errorf("%d muted events, want 1", muted)
	}
}

func TestARenameRefreshesTheCopies(t *testing.T) {
	f := newFixture(t)
	f.accept(t)
	f.publish(t, f.unpublished(t)...)
	must[service.AccountView](t)(f.service.RenameAccount(t.Context(), agency.Caller{Actor: petra}, f.bakery, "Pâtisserie"))
	must[service.AccountView](t)(f.service.RenameAccount(t.Context(), agency.Caller{Actor: ann}, f.studio, "Brighter Studio"))
	keys := f.unpublished(t)
	names := func(account, of string) {
		t.Helper()
		connection, own := f.profile(t, agency.AgencyAt(f.bakery, f.studio)), f.profile(t, agency.PersonAt(f.bakery, petra.ID()))
		if diff := cmp.Diff([]string{account, account, of}, []string{connection.AccountName, own.AccountName, connection.Name}); diff != "" {
			t.Error(diff)
		}
	}
	names("Petra’s Bakery", "Bright Studio")

	refresh, failure := f.refreshCopies, errFault
	f.refreshCopies = func(context.Context, agency.AccountID) error { return failure }
	f.handle(t, "s1", keys...)
	// What meets others is tried again later. The bus does not wait for it.
	failure = &agency.Error{Code: agency.Unavailable}
	f.publish(t, keys...)
	f.done(t, false, keys...)
	names("Petra’s Bakery", "Bright Studio")
	if diff := cmp.Diff([]string{"account.renamed", "account.renamed"}, f.onBus()[2:]); diff != "" {
		t.Error(diff)
	}
	f.refreshCopies = refresh
	f.publish(t, keys...)
	f.done(t, true, keys...)
	names("Pâtisserie", "Brighter Studio")
	if n := len(f.onBus()); n != 4 {
		t.Errorf("%d entries, want 4", n)
	}
}

// Every change of a subscription reaches its copies.
func TestSubscriptionsRefreshTheCopies(t *testing.T) {
	f := newFixture(t)
	f.accept(t)
	caller, platform := agency.Caller{Actor: petra}, agency.Platform{Client: "the-platform"}
	for _, step := range []struct {
		do   func() error
		plan string
		want agency.SubscriptionState
	}{
		{func() error { return second(f.service.ChangePlan(t.Context(), caller, f.bakery, "growth")) }, "growth", agency.SubscriptionActive},
		{func() error { return second(f.service.CancelSubscription(t.Context(), caller, f.bakery, false)) }, "growth", agency.SubscriptionCancelling},
		{func() error { return second(f.service.CancelSubscription(t.Context(), caller, f.bakery, true)) }, "growth", agency.SubscriptionFrozen},
		{func() error { return second(f.service.ResumeSubscription(t.Context(), caller, f.bakery)) }, "growth", agency.SubscriptionActive},
		{func() error {
			return second(f.service.ReportPayment(t.Context(), platform, f.bakery, service.Payment{Failed: true, At: monday}))
		}, "growth", agency.SubscriptionPastDue},
		{func() error {
			return second(f.service.ReportPayment(t.Context(), platform, f.bakery, service.Payment{At: monday.Add(time.Second)}))
		}, "growth", agency.SubscriptionActive},
	} {
		if err := step.do(); err != nil {
			t.Fatal(err)
		}
		f.publish(t, f.unpublished(t)...)
		if got := f.profile(t, agency.AgencyAt(f.bakery, f.studio)).Subscription; got.Plan != step.plan || got.State != step.want {
			t.Errorf("the copy is %+v, want %s, %s", got, step.plan, step.want)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func (f *fixture) profile(t *testing.T, key agency.ProfileKey) agency.Profile {
	t.Helper()
	read, err := f.table.Load(t.Context(), service.Want{Profiles: []agency.ProfileKey{key}})
	if err != nil {
		t.Fatal(err)
	}
	return read.Profile(key)
}

// A type that this version does not know is left to the next, and holds nothing up.
func TestAnUnknownTypeIsLeftAlone(t *testing.T) {
	f := newFixture(t)
	e := agency.Event{
		ID: f.service.NewEventID(f.at), Type: "account.painted", At: f.at, Addressee: agency.Party(f.bakery), WakeAt: f.at.Add(time.Minute),
	}
	next := e
	next.ID, next.Type, next.After = f.service.NewEventID(f.at), agency.AccountRenamed, e.ID
	next.Ownership, next.Version, next.Now.Name = agency.ClientOwned, 2, "Pâtisserie"
	if err := f.table.Save(t.Context(), service.Snapshot{}, service.Changes{Events: []agency.Event{e, next}}); err != nil {
		t.Fatal(err)
	}
	unknown, after := table.EventKey{Addressee: e.Addressee, ID: e.ID}, table.EventKey{Addressee: e.Addressee, ID: next.ID}
	f.publish(t, unknown, after, f.request)
	f.done(t, false, unknown)
	f.done(t, true, after, f.request)
}

// A digest is notify's alone: it has no entry on the bus, and none is left to do.
func TestADigestIsNotPublished(t *testing.T) {
	f := newFixture(t)
	box := agency.Mailbox("petra@bakery.test")
	mail := outbox.MailKey{Event: f.request.ID, Kind: "requested", Recipient: petra.ID()}
	u := outbox.Unsolicited{Mailbox: box, Addressee: f.request.Addressee, DigestAt: f.at}
	must[outbox.Claim](t)(f.table.ClaimUnsolicited(t.Context(), mail, u, outbox.NewOwner(), f.at, time.Minute))
	before := len(f.bus.Entries())
	must[service.Outcome](t)(f.service.SweepMailbox(t.Context(), box))
	digests := 0
	for item, err := range f.table.DueEvents(t.Context(), f.at.Add(time.Hour)) {
		if err != nil {
			t.Fatal(err)
		}
		if agency.MailboxID(item.Event.Addressee) != box {
			continue
		}
		digests++
		f.handle(t, "", *item.Event)
		e, _, err := f.table.Event(t.Context(), *item.Event)
		if err != nil || e.IsDoneBy(outbox.Notify) || !e.IsDoneBy(outbox.Publish) {
			t.Errorf("%+v, %v", e.DoneBy, err)
		}
	}
	if got := len(f.bus.Entries()); got != before || digests != 1 {
		t.Errorf("%d entries more, %d digests", got-before, digests)
	}
}

// agency.EventTypes is complete.
func TestEveryTypeIsKnown(t *testing.T) {
	want := must[[]string](t)(testbed.EventTypes())
	var got []string
	for _, e := range agency.EventTypes {
		got = append(got, string(e))
	}
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
