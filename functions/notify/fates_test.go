package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/sesv2"

	"agencyhub/shared/agency"
	"agencyhub/shared/outbox"
	"agencyhub/shared/service"
	"agencyhub/shared/testbed"
)

// failing returns a notifier whose SES fails emails to one address with a status.
func (s *stage) failing(t *testing.T, address string, status int) *notifier {
	t.Helper()
	ses := &moodySES{mood: func(to string) (int, string, string) {
		if to == address {
			return status, "ServiceUnavailable", ""
		}
		return http.StatusOK, "", ""
	}}
	return s.notifier(t, ses.start(t))
}

// No email waits for ever because its recipient is none any more, and the agency reads "failed" once
// all who were mailed bounced.
func TestAnEmailOfSomebodyWhoLeftIsDropped(t *testing.T) {
	s := newStage(t)
	bakery, studio, id := s.requested(t)
	s.now = s.now.Add(time.Minute)
	tom := s.addOwner(t, bakery, "tom@bakery.test")
	key := s.waiting(t)[0]
	s.handle(t, s.failing(t, "tom@bakery.test", http.StatusServiceUnavailable), batch(key), "")
	s.told(t, false, key)
	if f := s.fate(t, key.ID, "requested", tom); f != outbox.Waiting {
		t.Errorf("the fate is %s", f)
	}
	must[agency.Profile](t)(s.service.RemoveMember(t.Context(), agency.Caller{Actor: petraActs}, bakery, agency.Party(tom), false))
	s.deliver(t, key)
	s.told(t, true, key)
	if f := s.fate(t, key.ID, "requested", tom); f != outbox.Dropped {
		t.Errorf("the fate is %s", f)
	}
	s.reached(t, agency.AgencyAt(bakery, studio), notFailed, petraActs.ID())
	if _, err := s.store.AdvanceFate(t.Context(), outbox.MailKey{Event: key.ID, Kind: "requested", Recipient: petraActs.ID()}, outbox.Bounced, "m-1", s.now); err != nil {
		t.Fatal(err)
	}
	s.deliver(t, key) // its record comes again, as delivery would have it
	s.delivery(t, id, agency.DeliveryFailed)
}

// Another invocation is at the email of somebody who left: it is not dropped under its hands.
func TestAnEmailUnderWayIsNotDropped(t *testing.T) {
	s := newStage(t)
	s.requested(t)
	key := s.waiting(t)[0]
	m := outbox.MailKey{Event: key.ID, Kind: "requested", Recipient: agency.NewPersonID("gone@bakery.test")}
	if _, err := s.store.ClaimMail(t.Context(), m, outbox.NewOwner(), s.now, lease); err != nil {
		t.Fatal(err)
	}
	s.deliver(t, key)
	s.told(t, false, key)
	s.now = s.now.Add(lease)
	s.deliver(t, key)
	s.told(t, true, key)
	// Its sender died without a word: SES may have it.
	if f := s.fate(t, key.ID, "requested", m.Recipient); f != outbox.Unconfirmed {
		t.Errorf("the fate is %s", f)
	}
}

// An email whose outcome is unknown counts as sent: those who may have it are told what follows.
func TestAnUnknownOutcomeIsNotUnsent(t *testing.T) {
	for status, want := range map[int]outbox.Fate{
		http.StatusInternalServerError: outbox.Unconfirmed, http.StatusBadGateway: outbox.Unconfirmed,
		http.StatusServiceUnavailable: outbox.Obsolete, http.StatusTooManyRequests: outbox.Obsolete,
	} {
		s := newStage(t)
		bakery, studio, id := s.requested(t)
		key := s.waiting(t)[0]
		s.handle(t, s.failing(t, petraActs.Email, status), batch(key), "")
		s.told(t, false, key)
		must[agency.Profile](t)(s.service.WithdrawRequest(t.Context(), annActs, studio, id))
		var follows []string
		var reached []agency.PersonID
		if want == outbox.Unconfirmed {
			follows, reached = []string{"petra@bakery.test: Bright Studio has withdrawn its request"}, []agency.PersonID{petraActs.ID()}
		}
		s.processAll(t, follows...)
		if f := s.fate(t, key.ID, "requested", petraActs.ID()); f != want {
			t.Errorf("%d: the fate is %s, want %s", status, f, want)
		}
		s.reached(t, agency.AgencyAt(bakery, studio), notFailed, reached...)
	}
}

// An email whose answer is lost is tried once more in the invocation, and its recipient counts as
// reached at once: what follows must not wait for certainty.
func TestALostAnswerIsTriedOnceMore(t *testing.T) {
	s := newStage(t)
	bakery, studio, _ := s.requested(t)
	key := s.waiting(t)[0]
	var accepted atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		accepted.Add(1)
		connection, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_ = connection.Close()
	}))
	defer server.Close()
	n := s.notifier(t, sesv2.NewFromConfig(testbed.Config(), func(o *sesv2.Options) { o.BaseEndpoint = &server.URL }))
	s.handle(t, n, batch(key), "")
	if accepted.Load() != 2 {
		t.Errorf("SES was given the email %d times, want 2", accepted.Load())
	}
	s.told(t, false, key)
	s.reached(t, agency.AgencyAt(bakery, studio), notFailed, petraActs.ID())
	// Its recipient is left alone for less than until the event is woken.
	s.now = s.now.Add(slowTime)
	s.handle(t, n, batch(key), "")
	if accepted.Load() != 3 {
		t.Errorf("a woken event was tried %d times, want once", accepted.Load()-2)
	}
}

// What was sent and could not be saved is not dropped, although its recipient ceased to be one.
func TestWhatWasSentIsNotDropped(t *testing.T) {
	s := newStage(t)
	bakery, _, _ := s.requested(t)
	s.now = s.now.Add(time.Minute)
	tom := s.addOwner(t, bakery, "tom@bakery.test")
	key := s.waiting(t)[0]
	attempts := 0
	s.faults.finish = func(m outbox.MailKey) error {
		if m.Recipient != tom {
			return nil
		}
		if attempts++; attempts == 5 {
			must[agency.Profile](t)(s.service.RemoveMember(t.Context(), agency.Caller{Actor: petraActs}, bakery, agency.Party(tom), false))
		}
		if attempts < 30 {
			return errFault
		}
		return nil
	}
	s.deliver(t, key)
	s.told(t, true, key)
	if f := s.fate(t, key.ID, "requested", tom); f != outbox.Sent {
		t.Errorf("the fate is %s after %d attempts to save it", f, attempts)
	}
}

// A profile that a newer version has written leaves its events to that version, at once, and nothing
// else.
func TestWhatANewerVersionWroteIsLeftAlone(t *testing.T) {
	s := newStage(t)
	bakery, _, _ := s.requested(t)
	other := s.account(t, agency.NewActor("owner@other.test", "https://issuer.test", "owner"), "Another")
	s.invite(t, agency.Caller{Actor: agency.NewActor("owner@other.test", "https://issuer.test", "owner")}, other, service.Invitation{Email: "sam@other.test", Role: agency.Member, Areas: some})
	keys := s.waiting(t)
	update, name := "SET #status = :s", s.tableName
	if _, err := testbed.DynamoDB(t).UpdateItem(t.Context(), &dynamodb.UpdateItemInput{
		TableName: &name, UpdateExpression: &update, ExpressionAttributeNames: map[string]string{"#status": "status"},
		ExpressionAttributeValues: map[string]types.AttributeValue{":s": &types.AttributeValueMemberS{Value: "painted"}},
		Key:                       testbed.Item{"pk": &types.AttributeValueMemberS{Value: "ACCT#" + string(bakery)}, "sk": &types.AttributeValueMemberS{Value: "TEAM#" + string(petraActs.ID())}},
	}); err != nil {
		t.Fatal(err)
	}
	pauses := 0
	s.n.pause = func(context.Context, time.Duration) { pauses++ }
	s.handle(t, s.n, batch(keys...), "")
	for _, key := range keys {
		s.told(t, key.Addressee != agency.Party(bakery), key)
	}
	if pauses > 0 {
		t.Errorf("%d pauses", pauses)
	}
}

// An email is counted once, however often the event is tried again.
func TestAnEmailIsCountedOnce(t *testing.T) {
	s := newStage(t)
	s.requested(t)
	key := s.waiting(t)[0]
	before := s.metrics.String()
	s.faults.reached = errFault
	s.handle(t, s.n, batch(key), "s1")
	s.faults.reached = nil
	s.deliver(t, key)
	if m := strings.TrimPrefix(s.metrics.String(), before); strings.Count(m, `"Fate":"sent","Mails":[1]`) != 1 || strings.Count(m, `"Fate":"sent"`) != 1 {
		t.Errorf("metrics: %s", m)
	}
}
