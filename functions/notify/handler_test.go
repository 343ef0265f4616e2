package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sesv2"
	"github.com/google/go-cmp/cmp"

	"agencyhub/shared/agency"
	"agencyhub/shared/cloud"
	"agencyhub/shared/outbox"
	"agencyhub/shared/service"
	"agencyhub/shared/stream"
	"agencyhub/shared/table"
	"agencyhub/shared/testbed"
)

// stage is the use cases on a real table, and a notifier that sends into a real inbox.
type stage struct {
	service service.Service
	store   *table.Table
	n       *notifier
	faults  *faults
	inbox   testbed.Inbox
	// tableName is the store's.
	tableName string
	db        *dynamodb.Client
	// metrics is what was measured.
	metrics *testbed.Lines
	now     time.Time
	// seen are the events that fresh has returned already.
	seen map[agency.EventID]bool
}

var (
	annActs   = agency.NewActor("ann@studio.test", "https://issuer.test", "ann")
	petraActs = agency.NewActor("petra@bakery.test", "https://issuer.test", "petra")
)

func newStage(t *testing.T) *stage {
	t.Helper()
	ses, inbox := testbed.SES(t)
	db, name := testbed.Table(t)
	s := &stage{store: table.New(db, name), tableName: name, db: db, inbox: inbox, now: monday, seen: map[agency.EventID]bool{}, metrics: &testbed.Lines{}}
	s.faults = &faults{store: s.store}
	s.service = service.Service{
		Store: s.store, Now: func() time.Time { return s.now }, Rules: testRules(t), NewEventID: cloud.NewEventID,
	}
	s.n = s.notifier(t, ses)
	return s
}

func (s *stage) notifier(t *testing.T, ses *sesv2.Client) *notifier {
	t.Helper()
	clock := testbed.NewClock(monday)
	return &notifier{
		store: s.faults, deployment: testDeployment(t), templates: testTemplates(t), now: func() time.Time { return s.now },
		mailer: mailer{ses: ses, product: "Agency Hub", sender: "hub@example.com", configurationSet: "hub"},
		meter:  cloud.NewMeter(s.metrics, time.Now),
		// One at a time, so that the inbox has an order; and no pauses.
		workers: 1, pause: func(context.Context, time.Duration) {},
		ses:  &stream.Sink{Now: clock.Now, Pause: clock.Pause},
		slow: newSlowRecipients(),
	}
}

// faults is the table with injected failures.
type faults struct {
	store
	mu      sync.Mutex
	event   table.EventKey
	finish  func(outbox.MailKey) error
	reached error
	mails   error
	// call, if not nil, runs before each call by name, which fails with its error.
	call func(string) error
}

func (f *faults) before(call string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.call == nil {
		return nil
	}
	return f.call(call)
}

func (f *faults) HeldMails(ctx context.Context, box agency.MailboxID, digest int) ([]outbox.HeldMail, error) {
	if err := f.before("held"); err != nil {
		return nil, err
	}
	return f.store.HeldMails(ctx, box, digest)
}

func (f *faults) Unhold(ctx context.Context, box agency.MailboxID, mails ...outbox.MailKey) error {
	if err := f.before("unhold"); err != nil {
		return err
	}
	return f.store.Unhold(ctx, box, mails...)
}

func (f *faults) StopLink(ctx context.Context, box agency.MailboxID) (string, bool, error) {
	if err := f.before("stop link"); err != nil {
		return "", false, err
	}
	return f.store.StopLink(ctx, box)
}

func (f *faults) ClaimMail(ctx context.Context, m outbox.MailKey, owner string, now time.Time, lease time.Duration) (outbox.Claim, error) {
	if err := f.before("claim"); err != nil {
		return outbox.Claim{State: outbox.ClaimBusy}, err
	}
	return f.store.ClaimMail(ctx, m, owner, now, lease)
}

func (f *faults) MarkDone(ctx context.Context, k table.EventKey, c outbox.Consumer, now time.Time) error {
	if err := f.before("done"); err != nil {
		return err
	}
	return f.store.MarkDone(ctx, k, c, now)
}

func (f *faults) Load(ctx context.Context, want service.Want) (service.Snapshot, error) {
	if err := f.before("load"); err != nil {
		return service.Snapshot{}, err
	}
	return f.store.Load(ctx, want)
}

var errFault = errors.New("the table fails")

func (f *faults) Event(ctx context.Context, k table.EventKey) (outbox.Event, bool, error) {
	if err := f.before("event"); k == f.event || err != nil {
		return outbox.Event{}, false, errFault
	}
	return f.store.Event(ctx, k)
}

func (f *faults) AdvanceFate(ctx context.Context, m outbox.MailKey, fate outbox.Fate, id string, now time.Time) (bool, error) {
	if err := f.before("fate"); err != nil {
		return false, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.finish != nil {
		if err := f.finish(m); err != nil {
			return false, err
		}
	}
	return f.store.AdvanceFate(ctx, m, fate, id, now)
}

func (f *faults) AddReached(ctx context.Context, k agency.ProfileKey, request int, people ...agency.PersonID) error {
	if err := f.before("reached"); err != nil || f.reached != nil {
		return errFault
	}
	return f.store.AddReached(ctx, k, request, people...)
}

func (f *faults) Mails(ctx context.Context, id agency.EventID) ([]outbox.Mail, error) {
	if err := f.before("mails"); err != nil || f.mails != nil {
		return nil, errFault
	}
	return f.store.Mails(ctx, id)
}

// must fails the test on an error of a command.
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

// requested opens Petra's bakery and Ann's studio, processes their events, and sends
// the studio's request to the bakery.
func (s *stage) requested(t *testing.T) (bakery, studio agency.AccountID, id agency.ConnectionID) {
	t.Helper()
	account := must[service.AccountView](t)
	bakery = account(s.service.OpenAccount(t.Context(), petraActs, "bakery-0123456789", "Petra’s Bakery")).ID
	studio = account(s.service.OpenAccount(t.Context(), annActs, "studio-0123456789", "Bright Studio")).ID
	must[service.AccountView](t)(s.service.SwitchAgencyOn(t.Context(), annActs, studio))
	s.deliver(t, s.fresh(t, bakery, studio)...)
	p := must[agency.Profile](t)(s.service.RequestConnection(t.Context(), annActs, studio, service.ConnectionRequest{Account: bakery, Message: message, Areas: some}))
	return bakery, studio, p.ID()
}

// fresh returns the keys of the events in accounts that it has not returned before,
// oldest first.
func (s *stage) fresh(t *testing.T, accounts ...agency.AccountID) []table.EventKey {
	t.Helper()
	var keys []table.EventKey
	for _, account := range accounts {
		list := must[service.List[agency.Event]](t)(s.store.Activity(t.Context(), agency.Party(account), "", service.Page{Limit: 100}))
		for _, e := range slices.Backward(list.Items) {
			if !s.seen[e.ID] {
				s.seen[e.ID] = true
				keys = append(keys, table.EventKey{Addressee: e.Addressee, ID: e.ID})
			}
		}
	}
	return keys
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
		b.Records = append(b.Records, record("s"+strconv.Itoa(i+1), pk, "EVENT#"+strings.TrimPrefix(string(k.ID), "evt_")))
	}
	return b
}

func record(sequence, pk, sk string) events.DynamoDBEventRecord {
	return events.DynamoDBEventRecord{EventName: "INSERT", EventID: "not-" + sequence, Change: events.DynamoDBStreamRecord{
		SequenceNumber: sequence,
		Keys:           map[string]events.DynamoDBAttributeValue{"pk": events.NewStringAttribute(pk), "sk": events.NewStringAttribute(sk)},
	}}
}

// deliver processes events and expects no failure.
func (s *stage) deliver(t *testing.T, keys ...table.EventKey) {
	t.Helper()
	s.handle(t, s.n, batch(keys...), "")
}

// handle processes records and checks which one failed: its sequence number, "" for none.
func (s *stage) handle(t *testing.T, n *notifier, b events.DynamoDBEvent, wantFailed string) {
	t.Helper()
	out, err := n.Handle(t.Context(), b)
	if err != nil || len(out.BatchItemFailures) > 1 {
		t.Fatalf("%v, %v", out, err)
	}
	failed := ""
	for _, failure := range out.BatchItemFailures {
		failed = failure.ItemIdentifier
	}
	if failed != wantFailed {
		t.Fatalf("the record %q failed, want %q", failed, wantFailed)
	}
}

// mailed checks what the inbox holds: "who: subject".
func (s *stage) mailed(t *testing.T, want ...string) {
	t.Helper()
	got := []string{}
	for _, e := range s.inbox.Emails(t) {
		if len(e.Destination.To) != 1 || e.From != `"Agency Hub" <hub@example.com>` || e.Body.Text == "" || !strings.HasPrefix(e.Body.HTML, "<!doctype html>") {
			t.Errorf("a strange email: %+v", e)
		}
		got = append(got, strings.Join(e.Destination.To, ",")+": "+e.Subject)
	}
	if diff := cmp.Diff(append([]string{}, want...), got); diff != "" {
		t.Errorf("the inbox: %s", diff)
	}
}

// told checks whether notify has finished events.
func (s *stage) told(t *testing.T, want bool, keys ...table.EventKey) {
	t.Helper()
	for _, key := range keys {
		e, found, err := s.store.Event(t.Context(), key)
		if err != nil || !found || e.IsDoneBy(outbox.Notify) != want {
			t.Errorf("%s is done: %v (found %v, %v), want %v", e.Type, !want, found, err, want)
		}
	}
}

// notFailed is what an agency reads of a request's email that has not bounced.
const notFailed agency.Delivery = ""

func (s *stage) delivery(t *testing.T, id agency.ConnectionID, want agency.Delivery) {
	t.Helper()
	addressee, of, _ := id.Split()
	if got := s.profile(t, agency.ProfileKey{Addressee: addressee, Member: agency.Party(of)}).Request.Delivery; got != want {
		t.Errorf("delivery is %s, want %s", got, want)
	}
}

const theRequest = "petra@bakery.test: Bright Studio asks to work in Petra’s Bakery"

func TestEachStepIsToldOnce(t *testing.T) {
	s := newStage(t)
	bakery, studio, id := s.requested(t)
	profile := must[agency.Profile](t)
	petra, ann := agency.Caller{Actor: petraActs}, annActs
	var sent []string
	step := func(lines ...string) {
		t.Helper()
		keys := s.fresh(t, bakery)
		if len(keys) != 1 {
			t.Fatalf("%d events", len(keys))
		}
		s.deliver(t, keys[0], keys[0])
		s.deliver(t, keys[0])
		sent = append(sent, lines...)
		s.mailed(t, sent...)
		s.told(t, true, keys[0])
		s.now = s.now.Add(time.Hour)
	}
	s.delivery(t, id, notFailed)
	step(theRequest)
	s.delivery(t, id, notFailed)
	text := s.inbox.Emails(t)[0].Body.Text
	for _, want := range []string{"ann@studio.test of Bright Studio", "https://hub.example.com/requests/" + string(id) + "\n", "Monday, 7 December 2026 at 10:00 UTC"} {
		if !strings.Contains(text, want) {
			t.Errorf("the request does not say %q:\n%s", want, text)
		}
	}
	s.now = s.now.Add(24 * time.Hour)
	profile(s.service.ResendRequest(t.Context(), ann, studio, id))
	s.delivery(t, id, notFailed)
	step("petra@bakery.test: Sent again: Bright Studio asks to work in Petra’s Bakery")
	s.delivery(t, id, notFailed)
	profile(s.service.WithdrawRequest(t.Context(), ann, studio, id))
	step("petra@bakery.test: Bright Studio has withdrawn its request")
	profile(s.service.RequestConnection(t.Context(), ann, studio, service.ConnectionRequest{Account: bakery, Areas: some}))
	step(theRequest)
	profile(s.service.DeclineRequest(t.Context(), petra, bakery, studio, service.Decline{Request: 2}))
	step("ann@studio.test: Your request to "+string(bakery)+" was declined", "petra@bakery.test: The request of Bright Studio was declined")
	s.now = s.now.Add(s.service.Rules.Cooldown)
	profile(s.service.RequestConnection(t.Context(), ann, studio, service.ConnectionRequest{Account: bakery, Areas: some}))
	step(theRequest)
	profile(s.service.AcceptRequest(t.Context(), petra, bakery, studio, service.Grant{Request: 3}))
	step("ann@studio.test: Petra’s Bakery has accepted your request", "petra@bakery.test: Bright Studio was let into Petra’s Bakery")
	profile(s.service.ChangeMember(t.Context(), petra, bakery, agency.Party(studio), service.MemberChange{Areas: fewer}))
	step("ann@studio.test: What you may do in Petra’s Bakery has changed")
	profile(s.service.RemoveMember(t.Context(), petra, bakery, agency.Party(studio), false))
	step("ann@studio.test: Petra’s Bakery has revoked your access", "petra@bakery.test: The access of Bright Studio to Petra’s Bakery was revoked")
	s.now = s.now.Add(s.service.Rules.Cooldown)
	profile(s.service.RequestConnection(t.Context(), ann, studio, service.ConnectionRequest{Account: bakery, Areas: some}))
	step(theRequest)
	s.now = s.now.Add(15 * 24 * time.Hour)
	must[service.Outcome](t)(s.service.SweepProfile(t.Context(), agency.AgencyAt(bakery, studio)))
	step("ann@studio.test: Your request to Petra’s Bakery has expired", "petra@bakery.test: The request of Bright Studio has expired")
	profile(s.service.RequestConnection(t.Context(), ann, studio, service.ConnectionRequest{Account: bakery, Areas: some}))
	step(theRequest)
	profile(s.service.AcceptRequest(t.Context(), petra, bakery, studio, service.Grant{Request: 5}))
	step("ann@studio.test: Petra’s Bakery has accepted your request", "petra@bakery.test: Bright Studio was let into Petra’s Bakery")
	profile(s.service.LeaveAccount(t.Context(), ann, studio, id))
	step("ann@studio.test: Bright Studio has left Petra’s Bakery", "petra@bakery.test: Bright Studio has left Petra’s Bakery")
}

// The latency counts from the event, also if it was woken later, once for each email
// that was sent. A repeat has none.
func TestTimeToEmailIsMeasured(t *testing.T) {
	s := newStage(t)
	bakery, studio, _ := s.requested(t)
	s.now = s.now.Add(90 * time.Second)
	s.deliver(t, s.fresh(t, bakery)...)
	if m := s.metrics.String(); !strings.Contains(m, `"TimeToEmail":[90]`) || !strings.Contains(m, `"Fate":"sent","Mails":[1]`) {
		t.Errorf("metrics: %s", m)
	}
	before := s.metrics.String()
	s.deliver(t, s.waiting(t)...)
	must[agency.Profile](t)(s.service.AcceptRequest(t.Context(), agency.Caller{Actor: petraActs}, bakery, studio, service.Grant{Request: 1}))
	keys := s.fresh(t, bakery)
	s.now = s.now.Add(2 * time.Second)
	s.deliver(t, keys...)
	s.deliver(t, keys...)
	if m := strings.TrimPrefix(s.metrics.String(), before); strings.Count(m, `"TimeToEmail":[2,2]`) != 1 || strings.Count(m, "TimeToEmail\":[") != 1 {
		t.Errorf("of two emails that took two seconds: %s", m)
	}
}

func TestPersonsAreTold(t *testing.T) {
	s := newStage(t)
	bakery, _, _ := s.requested(t)
	s.deliver(t, s.fresh(t, bakery)...)
	petra := agency.Caller{Actor: petraActs}
	tom := agency.NewActor("tom@bakery.test", "https://issuer.test", "tom")
	profile := must[agency.Profile](t)
	sent := []string{theRequest}
	step := func(lines ...string) {
		t.Helper()
		s.deliver(t, s.fresh(t, bakery)...)
		sent = append(sent, lines...)
		s.mailed(t, sent...)
		s.now = s.now.Add(time.Hour)
	}
	s.invite(t, petra, bakery, service.Invitation{Email: tom.Email, Role: agency.Member, Areas: some})
	step("tom@bakery.test: You’re invited to Petra’s Bakery")
	s.accept(t, bakery, tom.Email)
	step("petra@bakery.test: tom@bakery.test joined Petra’s Bakery", "tom@bakery.test: You joined Petra’s Bakery")
	profile(s.service.ChangeMember(t.Context(), petra, bakery, agency.Party(tom.ID()), service.MemberChange{Areas: fewer}))
	step("tom@bakery.test: Your role in Petra’s Bakery has changed")
	profile(s.service.RemoveMember(t.Context(), petra, bakery, agency.Party(tom.ID()), false))
	step("tom@bakery.test: Your access to Petra’s Bakery has ended")
	s.join(t, petra, bakery, service.Invitation{Email: tom.Email, Role: agency.Owner})
	step("petra@bakery.test: tom@bakery.test joined Petra’s Bakery", "tom@bakery.test: You joined Petra’s Bakery")
	profile(s.service.RemoveMember(t.Context(), agency.Caller{Actor: tom}, bakery, agency.Party(tom.ID()), false))
	step("petra@bakery.test: tom@bakery.test has left Petra’s Bakery")
}

func TestAnOwnedAccountIsTold(t *testing.T) {
	s := newStage(t)
	_, studio, _ := s.requested(t)
	client := agency.NewActor("chloe@cafe.test", "https://issuer.test", "chloe")
	cafe := must[service.AccountView](t)(s.service.CreateAccount(t.Context(), annActs, studio, "cafe-01234567890", service.NewClientAccount{
		Name: "Café Chloé", Plan: "growth", ConfirmPermanentOwnership: true, Client: &service.NewClient{Email: client.Email, Areas: some},
	})).ID
	asStudio := agency.Caller{Actor: annActs, As: studio}
	profile := must[agency.Profile](t)
	var sent []string
	step := func(lines ...string) {
		t.Helper()
		keys := s.fresh(t, cafe)
		s.deliver(t, keys...)
		sent = append(sent, lines...)
		s.mailed(t, sent...)
		s.told(t, true, keys...)
		s.now = s.now.Add(time.Hour)
	}
	step("ann@studio.test: Café Chloé is ready, and Bright Studio owns it", "chloe@cafe.test: Bright Studio created Café Chloé for you")
	s.reached(t, agency.PersonAt(cafe, client.ID()), notFailed, client.ID())
	if text := s.inbox.Emails(t)[0].Body.Text; !strings.Contains(text, "the plan Growth, 99 USD a month") {
		t.Error(text)
	}
	s.accept(t, cafe, client.Email)
	step("ann@studio.test: chloe@cafe.test joined Café Chloé", "chloe@cafe.test: You joined Café Chloé")
	profile(s.service.ChangeMember(t.Context(), asStudio, cafe, agency.Party(client.ID()), service.MemberChange{Areas: fewer}))
	step("chloe@cafe.test: Your access to Café Chloé has changed")
	profile(s.service.RemoveMember(t.Context(), asStudio, cafe, agency.Party(client.ID()), false))
	step("chloe@cafe.test: Your access to Café Chloé has ended")
	s.join(t, asStudio, cafe, service.Invitation{Email: client.Email, Role: agency.Member, Areas: some})
	step("ann@studio.test: chloe@cafe.test joined Café Chloé", "chloe@cafe.test: You joined Café Chloé")
	profile(s.service.RemoveMember(t.Context(), agency.Caller{Actor: client}, cafe, agency.Party(client.ID()), false))
	step("ann@studio.test: chloe@cafe.test has left Café Chloé")
}

func TestStaleEmailsAreNotSent(t *testing.T) {
	s := newStage(t)
	bakery, studio, id := s.requested(t)
	must[agency.Profile](t)(s.service.WithdrawRequest(t.Context(), annActs, studio, id))
	keys := s.fresh(t, bakery)
	s.deliver(t, keys...)
	// The request reached nobody, so nobody is mailed that it is withdrawn.
	s.mailed(t)
	s.told(t, true, keys...)
	s.delivery(t, id, notFailed)
	// It is marked, so it can't be claimed any more.
	claim, err := s.store.ClaimMail(t.Context(), outbox.MailKey{Event: keys[0].ID, Kind: "requested", Recipient: petraActs.ID()}, outbox.NewOwner(), s.now, lease)
	if claim.State != outbox.ClaimDone || err != nil {
		t.Errorf("claim %v, %v", claim, err)
	}
}

func TestTwoNotifiersSendOneSet(t *testing.T) {
	s := newStage(t)
	bakery, studio, _ := s.requested(t)
	s.deliver(t, s.fresh(t, bakery)...)
	for i := range 4 {
		s.addOwner(t, bakery, fmt.Sprintf("owner%d@bakery.test", i))
	}
	s.deliver(t, s.fresh(t, bakery)...)
	before := len(s.inbox.Emails(t))
	must[agency.Profile](t)(s.service.DeclineRequest(t.Context(), agency.Caller{Actor: petraActs}, bakery, studio, service.Decline{Request: 1}))
	keys := s.fresh(t, bakery)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			out, err := s.n.Handle(t.Context(), batch(keys...))
			if err != nil || len(out.BatchItemFailures) > 0 {
				t.Errorf("%v, %v", out, err)
			}
		})
	}
	all.Wait()
	once := map[string]int{}
	for _, e := range s.inbox.Emails(t)[before:] {
		once[e.Destination.To[0]]++
	}
	want := map[string]int{"ann@studio.test": 1, "petra@bakery.test": 1, "owner0@bakery.test": 1, "owner1@bakery.test": 1, "owner2@bakery.test": 1, "owner3@bakery.test": 1}
	if diff := cmp.Diff(want, once); diff != "" {
		t.Error(diff)
	}
	// A notifier that met another's claim has left the due mark; the next finds all done.
	s.deliver(t, keys...)
	s.told(t, true, keys[0])
	if got := len(s.inbox.Emails(t)); got != before+6 {
		t.Errorf("%d emails, want %d", got, before+6)
	}
}

func TestACrashBetweenSendAndMarkRepeatsOneEmail(t *testing.T) {
	s := newStage(t)
	bakery, studio, _ := s.requested(t)
	s.deliver(t, s.fresh(t, bakery)...)
	must[agency.Profile](t)(s.service.DeclineRequest(t.Context(), agency.Caller{Actor: petraActs}, bakery, studio, service.Decline{Request: 1}))
	keys := s.fresh(t, bakery)
	isForAgency := "ann@studio.test: Your request to " + string(bakery) + " was declined"
	toClient := "petra@bakery.test: The request of Bright Studio was declined"

	s.faults.finish = func(m outbox.MailKey) error {
		if m.Kind == "declined-client" {
			return errFault
		}
		return nil
	}
	s.handle(t, s.n, batch(keys...), "s1")
	s.mailed(t, theRequest, isForAgency, toClient)
	s.faults.finish = nil
	// Until the claim runs out it is not known whether the email was sent.
	s.deliver(t, keys...)
	s.told(t, false, keys[0])
	s.mailed(t, theRequest, isForAgency, toClient)
	s.now = s.now.Add(lease)
	s.deliver(t, keys...)
	s.told(t, true, keys[0])
	s.mailed(t, theRequest, isForAgency, toClient, toClient)
}

func TestTheFirstFailureIsAnsweredAndWhatFollowsIsLeft(t *testing.T) {
	s := newStage(t)
	bakery, studio, _ := s.requested(t)
	requested := s.fresh(t, bakery)
	must[agency.Profile](t)(s.service.AcceptRequest(t.Context(), agency.Caller{Actor: petraActs}, bakery, studio, service.Grant{Request: 1}))
	accepted := s.fresh(t, bakery)
	must[agency.Profile](t)(s.service.RemoveMember(t.Context(), agency.Caller{Actor: petraActs}, bakery, agency.Party(studio), false))
	revoked := s.fresh(t, bakery)
	b := batch(requested[0], accepted[0], revoked[0])

	s.faults.event = accepted[0]
	s.handle(t, s.n, b, "s2")
	s.told(t, true, requested[0])
	s.told(t, false, accepted[0], revoked[0])
	s.mailed(t)
	s.faults.event = table.EventKey{}
	b.Records = b.Records[1:]
	s.handle(t, s.n, b, "")
	s.told(t, true, accepted[0], revoked[0])
	if got := len(s.inbox.Emails(t)); got != 4 {
		t.Errorf("%d emails, want 4", got)
	}
}

func TestPoisonRecordsAreSkipped(t *testing.T) {
	s := newStage(t)
	bakery, _, _ := s.requested(t)
	keys := s.fresh(t, bakery)
	good := batch(keys...).Records[0]
	noKeys := good
	noKeys.Change.Keys = nil
	numbers := record("n", "", "")
	numbers.Change.Keys = map[string]events.DynamoDBAttributeValue{"pk": events.NewNumberAttribute("1"), "sk": events.NewNullAttribute()}
	b := events.DynamoDBEvent{Records: []events.DynamoDBEventRecord{
		noKeys, numbers, record("a", "ACCT#x", "EVENT#y"), record("b", "ACCT#"+string(bakery), "TEAM#"+string(petraActs.ID())),
		// An event that does not exist.
		record("c", "ACCT#"+string(bakery), "EVENT#01kbq0000000000000000000zz"), good,
	}}
	s.handle(t, s.n, b, "")
	s.mailed(t, theRequest)
	s.told(t, true, keys[0])
}

func TestAnUnknownEventKeepsItsDueMark(t *testing.T) {
	s := newStage(t)
	bakery, _, _ := s.requested(t)
	keys := s.fresh(t, bakery)
	at := func(addressee agency.Party, as agency.EventType) table.EventKey {
		e := agency.Event{ID: s.service.NewEventID(s.now), Type: as, At: s.now, Addressee: addressee, WakeAt: s.now.Add(time.Minute)}
		if err := s.store.Save(t.Context(), service.Snapshot{}, service.Changes{Events: []agency.Event{e}}); err != nil {
			t.Fatal(err)
		}
		return table.EventKey{Addressee: addressee, ID: e.ID}
	}
	unknown := at(agency.Party(bakery), "account.painted")
	ofPerson := at(agency.Party(petraActs.ID()), "person.painted")
	b := batch(unknown, ofPerson, keys[0])
	s.handle(t, s.n, b, "")
	s.told(t, false, unknown, ofPerson)
	s.told(t, true, keys[0])
	s.mailed(t, theRequest)
}

func TestAWokenEventIsTold(t *testing.T) {
	s := newStage(t)
	bakery, _, _ := s.requested(t)
	key := s.fresh(t, bakery)[0]
	later := s.now.Add(6 * time.Minute)
	if woken, err := s.store.Wake(t.Context(), key, later, later.Add(10*time.Minute)); !woken || err != nil {
		t.Fatal(woken, err)
	}
	s.now = later
	b := batch(key)
	b.Records[0].EventName = "MODIFY"
	s.handle(t, s.n, b, "")
	s.mailed(t, theRequest)
	s.told(t, true, key)
	if err := s.store.MarkDone(t.Context(), key, outbox.Publish, s.now); err != nil {
		t.Fatal(err)
	}
	if woken, err := s.store.Wake(t.Context(), key, later.Add(time.Hour), later.Add(2*time.Hour)); woken || err != nil {
		t.Errorf("a told event can be woken: %v, %v", woken, err)
	}
}

func TestNothingStartsWhenTheTimeIsNearlyOver(t *testing.T) {
	s := newStage(t)
	bakery, _, _ := s.requested(t)
	key := s.fresh(t, bakery)[0]
	s.now = time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), emailTime-time.Second)
	defer cancel()
	out, err := s.n.Handle(ctx, batch(key))
	if err != nil || len(out.BatchItemFailures) > 0 {
		t.Errorf("%v, %v", out, err)
	}
	s.mailed(t)
	s.told(t, false, key)
}

// Old records come again when a stream is read again: what is done stays done, also
// for owners who were added since.
func TestAToldEventTellsNobodyElse(t *testing.T) {
	s := newStage(t)
	bakery, _, _ := s.requested(t)
	keys := s.fresh(t, bakery)
	s.deliver(t, keys...)
	s.addOwner(t, bakery, "new@bakery.test")
	s.deliver(t, keys...)
	s.mailed(t, theRequest)
}

// Somebody who creates an account for themselves is reached by the invitation's email, and
// not by that of the creation.
func TestAMakerWhoInvitesThemselves(t *testing.T) {
	s := newStage(t)
	_, studio, _ := s.requested(t)
	id := must[service.AccountView](t)(s.service.CreateAccount(t.Context(), annActs, studio, "mine-01234567890", service.NewClientAccount{
		Name: "Mine", Plan: "starter", ConfirmPermanentOwnership: true, Client: &service.NewClient{Email: annActs.Email, Areas: some},
	})).ID
	s.deliver(t, s.fresh(t, id)...)
	got := s.profile(t, agency.PersonAt(id, annActs.ID())).Request.Reached
	if want := []agency.PersonID{annActs.ID()}; !slices.Equal(got, want) {
		t.Errorf("reached %q, want %q", got, want)
	}
}
