package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"agencyhub/shared/agency"
	"agencyhub/shared/cloud"
	"agencyhub/shared/outbox"
	"agencyhub/shared/service"
	"agencyhub/shared/settings"
	"agencyhub/shared/table"
	"agencyhub/shared/testbed"
	"agencyhub/shared/trace"
)

var monday = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)

// fixture is a receiver on a real table, which has one request to an account of two
// owners.
type fixture struct {
	*receiver
	db      *table.Table
	svc     service.Service
	now     time.Time
	ann     agency.Actor
	owners  []agency.Actor
	studio  agency.AccountID
	profile agency.ProfileKey
	event   table.EventKey
	metrics *strings.Builder
}

// requestID is the call that has caused the request.
const requestID = "JKJaXmPLvHcESHA="

func newFixture(t *testing.T) *fixture {
	t.Helper()
	rules, err := settings.Load("")
	if err != nil {
		t.Fatal(err)
	}
	db, name := testbed.Table(t)
	s := &fixture{db: table.New(db, name), now: monday, metrics: &strings.Builder{}}
	clock := func() time.Time { return s.now }
	s.svc = service.Service{Store: s.db, Now: clock, Rules: rules.Rules(), NewEventID: cloud.NewEventID, RequestID: trace.RequestID}
	s.receiver = &receiver{store: s.db, configurationSet: "hub", meter: cloud.NewMeter(s.metrics, clock), now: clock}

	s.ann = agency.NewActor("ann@studio.test", "issuer", "ann")
	s.owners = []agency.Actor{
		agency.NewActor("petra@bakery.test", "issuer", "petra"), agency.NewActor("paul@bakery.test", "issuer", "paul"),
	}
	bakery, err1 := s.svc.OpenAccount(t.Context(), s.owners[0], "bakery-0123456789", "Bakery")
	studio, err2 := s.svc.OpenAccount(t.Context(), s.ann, "studio-0123456789", "Studio")
	_, err3 := s.svc.SwitchAgencyOn(t.Context(), s.ann, studio.ID)
	_, _, err4 := s.svc.InvitePerson(t.Context(), agency.Caller{Actor: s.owners[0]}, bakery.ID,
		service.Invitation{Email: s.owners[1].Email, Role: agency.Owner})
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		t.Fatal(err)
	}
	s.now = s.now.Add(time.Minute) // ids of events sort by their time
	s.studio, s.profile = studio.ID, agency.AgencyAt(bakery.ID, studio.ID)
	in := service.ConnectionRequest{Account: bakery.ID, Areas: agency.Areas{"pages": agency.Edit}}
	if _, err := s.svc.RequestConnection(trace.WithRequest(t.Context(), requestID), s.ann, s.studio, in); err != nil {
		t.Fatal(err)
	}
	s.event = s.latest(t)
	return s
}

// latest returns the newest event in the account.
func (s *fixture) latest(t *testing.T) table.EventKey {
	t.Helper()
	list, err := s.db.Activity(t.Context(), s.profile.Addressee, "", service.Page{Limit: 1})
	if err != nil || len(list.Items) != 1 {
		t.Fatal(list, err)
	}
	return table.EventKey{Addressee: list.Items[0].Addressee, ID: list.Items[0].ID}
}

func (s *fixture) mail(of int) outbox.MailKey {
	return outbox.MailKey{Event: s.event.ID, Kind: "requested", Recipient: s.owners[of].ID()}
}

// claimEmails records an email of the event to each of the first owners, as notify does,
// with the given fates.
func (s *fixture) claimEmails(t *testing.T, fates ...outbox.Fate) {
	t.Helper()
	for i, f := range fates {
		if claim, err := s.db.ClaimMail(t.Context(), s.mail(i), outbox.NewOwner(), s.now, time.Minute); claim.State != outbox.ClaimTaken || err != nil {
			t.Fatal(claim, err)
		}
		if f != outbox.Waiting {
			if err := s.db.FinishMail(t.Context(), s.mail(i), f, "ses", s.now); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// finishEvent marks the request's event as done, as notify does.
func (s *fixture) finishEvent(t *testing.T) {
	t.Helper()
	if err := s.db.MarkDone(t.Context(), s.event, outbox.Notify, s.now); err != nil {
		t.Fatal(err)
	}
}

// receive handles an event of SES about the email to an owner. more is added to its
// detail.
func (s *fixture) receive(t *testing.T, of int, kind string, more map[string]any) {
	t.Helper()
	s.handle(t, s.newEvent(t, of, kind, more))
}

// handle handles an event without an error.
func (s *fixture) handle(t *testing.T, event json.RawMessage) {
	t.Helper()
	if err := s.Handle(t.Context(), event); err != nil {
		t.Fatal(err)
	}
}

func (s *fixture) newEvent(t *testing.T, of int, kind string, more map[string]any) json.RawMessage {
	t.Helper()
	address := s.owners[of].Email
	detail := map[string]any{
		"eventType": kind,
		"mail": map[string]any{
			"timestamp": s.now, "messageId": "ses-of-" + fmt.Sprint(of), "source": "hub@example.com", "destination": []string{address},
			"tags": map[string]any{
				"ses:configuration-set": []string{"hub"}, "mail": []string{s.mail(of).Tag()}, "addressee": []string{string(s.event.Addressee)},
			},
		},
	}
	for k, v := range more {
		detail[k] = v
	}
	raw, err := json.Marshal(map[string]any{
		"version": "0", "id": "e", "source": "aws.ses", "detail-type": "Email " + kind, "time": s.now, "detail": detail,
	})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func (s *fixture) bounce(how string) map[string]any {
	return map[string]any{"bounce": map[string]any{"bounceType": how, "bounceSubType": "General", "timestamp": s.now}}
}

func (s *fixture) complaint(feedback string) map[string]any {
	return map[string]any{"complaint": map[string]any{"complaintFeedbackType": feedback, "timestamp": s.now}}
}

// withheldBounce and withheldComplaint are what SES says of an email that it has withheld
// because of an earlier one.
func (s *fixture) withheldBounce() map[string]any {
	more := s.bounce("Permanent")
	more["bounce"].(map[string]any)["bounceSubType"] = "OnAccountSuppressionList"
	return more
}

func (s *fixture) withheldComplaint() map[string]any {
	return map[string]any{"complaint": map[string]any{"complaintSubType": "OnAccountSuppressionList", "timestamp": s.now}}
}

// check compares the fates of the request's emails, why each owner is not mailed, and
// what the agency reads of the request's delivery.
func (s *fixture) check(t *testing.T, want string) {
	t.Helper()
	mails, err := s.db.Mails(t.Context(), s.event.ID)
	if err != nil {
		t.Fatal(err)
	}
	read, err := s.db.Load(t.Context(), service.Want{
		Profiles: []agency.ProfileKey{s.profile}, People: []agency.PersonID{s.owners[0].ID(), s.owners[1].ID()},
	})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, o := range s.owners {
		text := "-"
		for _, m := range mails {
			if m.Recipient == o.ID() {
				text = string(m.Fate)
			}
		}
		if p := read.Person(o.ID()).Suppression; p.IsActive() {
			text += " (" + string(p.Reason) + ")"
		}
		got = append(got, text)
	}
	delivery := "-"
	if read.Profile(s.profile).Request.Delivery == agency.DeliveryFailed {
		delivery = "failed"
	}
	if line := strings.Join(got, ", ") + ": " + delivery; line != want {
		t.Errorf("%s; want %s", line, want)
	}
}

func TestFates(t *testing.T) {
	for _, test := range []struct {
		kind string
		more func(*fixture) map[string]any
		want string
	}{
		{"Send", nil, "sent, -: -"},
		{"Delivery", nil, "delivered, -: -"},
		{"DeliveryDelay", nil, "delayed, -: -"},
		{"Reject", nil, "failed, -: -"},
		{"Bounce", func(s *fixture) map[string]any { return s.bounce("Permanent") }, "bounced (bounced), -: failed"},
		{"Bounce", func(s *fixture) map[string]any { return s.bounce("Transient") }, "delayed, -: -"},
		{"Bounce", func(s *fixture) map[string]any { return s.bounce("Undetermined") }, "delayed, -: -"},
		{"Complaint", func(s *fixture) map[string]any { return s.complaint("abuse") }, "complained (complained), -: -"},
		{"Complaint", func(s *fixture) map[string]any { return s.complaint("") }, "complained (complained), -: -"},
		// SES has withheld these, because of an earlier bounce or complaint.
		{"Bounce", func(s *fixture) map[string]any { return s.withheldBounce() }, "bounced (bounced), -: failed"},
		{"Complaint", func(s *fixture) map[string]any { return s.withheldComplaint() }, "suppressed (complained), -: -"},
		{"Rendering Failure", nil, "failed, -: -"},
		{"Complaint", func(s *fixture) map[string]any { return s.complaint("not-spam") }, "sent, -: -"},
		{"Open", nil, "sent, -: -"},
		{"Click", nil, "sent, -: -"},
		{"Subscription", nil, "sent, -: -"},
	} {
		t.Run(test.kind, func(t *testing.T) {
			s := newFixture(t)
			s.claimEmails(t, outbox.Sent)
			s.finishEvent(t)
			var more map[string]any
			if test.more != nil {
				more = test.more(s)
			}
			for range 2 {
				s.receive(t, 0, test.kind, more)
				s.check(t, test.want)
			}
			// An event is counted once, and not at all if the fate was known before.
			fate, _, _ := strings.Cut(strings.ReplaceAll(test.want, ",", ""), " ")
			want := 1
			if outbox.Fate(fate) == outbox.Sent {
				want = 0
			}
			all, its := strings.Count(s.metrics.String(), `"Mails":[1]`), strings.Count(s.metrics.String(), `"Fate":"`+fate+`","Mails":[1]`)
			if all != want || its != want {
				t.Errorf("counted %d times, %d as %s: %s", all, its, fate, s.metrics)
			}
		})
	}
}

// The agency reads that its request failed when the emails to both owners bounced, in
// any order of events.
func TestARequestFailsWhenItReachedNobody(t *testing.T) {
	hard := func(s *fixture) map[string]any { return s.bounce("Permanent") }
	t.Run("one of two", func(t *testing.T) {
		s := newFixture(t)
		s.claimEmails(t, outbox.Sent, outbox.Sent)
		s.finishEvent(t)
		s.receive(t, 0, "Bounce", hard(s))
		s.check(t, "bounced (bounced), sent: -")
		s.receive(t, 1, "Delivery", nil)
		s.receive(t, 1, "Delivery", nil)
		s.check(t, "bounced (bounced), delivered: -")
		s.receive(t, 1, "Bounce", hard(s)) // it came back after all
		s.check(t, "bounced (bounced), bounced (bounced): failed")
		s.receive(t, 1, "Delivery", nil)
		s.check(t, "bounced (bounced), bounced (bounced): failed")
	})
	for _, f := range []outbox.Fate{outbox.Muted, outbox.Stopped, outbox.Suppressed, outbox.Obsolete, outbox.Failed} {
		t.Run("the other is "+string(f), func(t *testing.T) {
			s := newFixture(t)
			s.claimEmails(t, outbox.Sent, f)
			s.finishEvent(t)
			s.receive(t, 0, "Bounce", hard(s))
			s.check(t, "bounced (bounced), "+string(f)+": -")
		})
	}
	t.Run("before notify is done", func(t *testing.T) {
		s := newFixture(t)
		s.claimEmails(t, outbox.Waiting)
		s.receive(t, 0, "Bounce", hard(s))
		s.check(t, "bounced (bounced), -: -")
		s.finishEvent(t)
		// Lambda repeats the event, or notify checks the fates itself.
		s.receive(t, 0, "Bounce", hard(s))
		s.check(t, "bounced (bounced), -: failed")
	})
	t.Run("an older mailing of the same request", func(t *testing.T) {
		s := newFixture(t)
		s.claimEmails(t, outbox.Sent)
		s.finishEvent(t)
		s.now = s.now.Add(25 * time.Hour)
		if _, err := s.svc.ResendRequest(t.Context(), s.ann, s.studio, agency.NewConnectionID(s.profile.Addressee, s.studio)); err != nil {
			t.Fatal(err)
		}
		s.receive(t, 0, "Bounce", hard(s))
		s.check(t, "bounced (bounced), -: -")
	})
	t.Run("another email than a request's", func(t *testing.T) {
		s := newFixture(t)
		s.finishEvent(t)
		s.now = s.now.Add(time.Minute)
		if _, err := s.svc.DeclineRequest(t.Context(), agency.Caller{Actor: s.owners[0]}, s.profile.Addressee.Account(), s.studio, service.Decline{Request: 1}); err != nil {
			t.Fatal(err)
		}
		s.event = s.latest(t)
		s.claimEmails(t, outbox.Sent)
		if err := s.db.MarkDone(t.Context(), s.event, outbox.Notify, s.now); err != nil {
			t.Fatal(err)
		}
		s.receive(t, 0, "Bounce", hard(s))
		s.check(t, "bounced (bounced), -: -")
	})
}

// The account that invites reads that every email of the last mailing bounced, whatever
// became of the emails to its own people.
func TestAnInvitationFails(t *testing.T) {
	s := newFixture(t)
	account := s.profile.Addressee.Account()
	tom := agency.NewActor("tom@x.test", "https://issuer.test", "tom")
	s.owners = append(s.owners, tom)
	last := len(s.owners) - 1
	petra := agency.Caller{Actor: s.owners[0]}
	key := agency.PersonAt(account, tom.ID())
	is := func(want agency.Delivery) {
		t.Helper()
		read, err := s.db.Load(t.Context(), service.Want{Profiles: []agency.ProfileKey{key}})
		if got := read.Profile(key).Request.Delivery; got != want || err != nil {
			t.Errorf("%q, want %q (%v)", got, want, err)
		}
	}
	mailed := func() {
		t.Helper()
		s.event = s.latest(t)
		m := s.mail(last)
		if claim, err := s.db.ClaimMail(t.Context(), m, outbox.NewOwner(), s.now, time.Minute); claim.State != outbox.ClaimTaken || err != nil {
			t.Fatal(claim, err)
		}
		if err := s.db.FinishMail(t.Context(), m, outbox.Sent, "ses", s.now); err != nil {
			t.Fatal(err)
		}
		// Another email of the event goes to the side that asks.
		s.claimEmails(t, outbox.Sent)
		s.finishEvent(t)
	}
	s.now = s.now.Add(time.Minute)
	if _, _, err := s.svc.InvitePerson(t.Context(), petra, account, service.Invitation{Email: tom.Email, Role: agency.Admin}); err != nil {
		t.Fatal(err)
	}
	mailed()
	for range 2 {
		s.receive(t, last, "Bounce", s.bounce("Permanent"))
		is(agency.DeliveryFailed)
	}
	late := s.newEvent(t, last, "Bounce", s.bounce("Permanent"))
	s.now = s.now.Add(24 * time.Hour)
	if _, err := s.svc.ResendInvitation(t.Context(), petra, account, agency.Party(tom.ID())); err != nil {
		t.Fatal(err)
	}
	mailed()
	is("")
	s.handle(t, late)
	s.receive(t, 0, "Bounce", s.bounce("Permanent"))
	is("")
	if _, err := s.svc.AcceptInvitation(t.Context(), tom, account, service.Answer{Request: 1}); err != nil {
		t.Fatal(err)
	}
	s.receive(t, last, "Bounce", s.bounce("Permanent"))
	is("")
}

// The news of a digest's email is of a mailbox. A bounce suppresses its recipient.
func TestNewsOfADigest(t *testing.T) {
	s := newFixture(t)
	box := agency.Mailbox(s.owners[0].Email)
	held := outbox.Unsolicited{Mailbox: box, Addressee: s.event.Addressee, DigestAt: s.now}
	if claim, err := s.db.ClaimUnsolicited(t.Context(), s.mail(0), held, outbox.NewOwner(), s.now, time.Minute); claim.State != outbox.ClaimHeld || err != nil {
		t.Fatal(claim, err)
	}
	if done, err := s.svc.SweepMailbox(t.Context(), box); done != service.OutcomeDigest || err != nil {
		t.Fatal(done, err)
	}
	for item, err := range s.db.DueEvents(t.Context(), s.now.Add(time.Hour)) {
		if err != nil {
			t.Fatal(err)
		}
		if agency.MailboxID(item.Event.Addressee) == box {
			s.event = *item.Event
		}
	}
	s.claimEmails(t, outbox.Sent)
	s.receive(t, 0, "Bounce", s.bounce("Permanent"))
	s.check(t, "bounced (bounced), -: -")
}

// A person who signs in is mailed again. Older events change nothing.
func TestSigningInLiftsASuppression(t *testing.T) {
	s := newFixture(t)
	s.claimEmails(t, outbox.Sent, outbox.Sent)
	s.finishEvent(t)
	before := s.newEvent(t, 0, "Bounce", s.bounce("Permanent"))
	later := s.newEvent(t, 0, "Complaint", map[string]any{"complaint": map[string]any{"timestamp": s.now.Add(24 * time.Hour)}})
	s.handle(t, before)
	s.check(t, "bounced (bounced), sent: -")
	s.now = s.now.Add(time.Minute)
	if _, err := s.svc.Me(t.Context(), s.owners[0]); err != nil {
		t.Fatal(err)
	}
	s.check(t, "bounced, sent: -")
	s.handle(t, before) // doubled
	s.check(t, "bounced, sent: -")
	// A time ahead of our clock is not believed.
	s.now = s.now.Add(time.Minute)
	s.handle(t, later)
	s.check(t, "complained (complained), sent: -")
	s.now = s.now.Add(time.Minute)
	if _, err := s.svc.Me(t.Context(), s.owners[0]); err != nil {
		t.Fatal(err)
	}
	s.check(t, "complained, sent: -")
	s.now = s.now.Add(time.Minute)
	s.receive(t, 0, "Bounce", s.bounce("Permanent"))
	s.check(t, "complained (bounced), sent: -")
}

// record collects the lines of the log.
func record(t *testing.T) *strings.Builder {
	t.Helper()
	var lines strings.Builder
	log := slog.Default()
	slog.SetDefault(slog.New(trace.NewHandler(slog.NewJSONHandler(&lines, nil))))
	t.Cleanup(func() { slog.SetDefault(log) })
	return &lines
}

// An event of another sender is left alone.
func TestEventsThatAreIgnored(t *testing.T) {
	s := newFixture(t)
	s.claimEmails(t, outbox.Sent)
	s.finishEvent(t)
	lines := record(t)
	good := string(s.newEvent(t, 0, "Bounce", s.bounce("Permanent")))
	for what, raw := range map[string]string{
		"another configuration set": strings.Replace(good, `["hub"]`, `["billing"]`, 1),
		"none":                      strings.Replace(good, `"ses:configuration-set"`, `"other"`, 1),
		"another source":            strings.Replace(good, `"aws.ses"`, `"evil"`, 1),
		"nothing":                   `{}`,
	} {
		if raw == good {
			t.Fatalf("%s: the same event", what)
		}
		if err := s.Handle(t.Context(), json.RawMessage(raw)); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		s.check(t, "sent, -: -")
	}
	if lines.Len() > 0 {
		t.Errorf("the log: %s", lines)
	}
	// An unknown email still suppresses its address.
	unknown := s.mail(0)
	unknown.Event = s.svc.NewEventID(s.now)
	s.handle(t, json.RawMessage(strings.Replace(good, s.mail(0).Tag(), unknown.Tag(), 1)))
	s.check(t, "sent (bounced), -: -")
	if strings.Contains(lines.String(), "@") {
		t.Errorf("the log holds an address: %s", lines)
	}
}

// News of our own emails that can't be read is an error, so that Lambda keeps it in the
// failures queue. Nothing is changed, and neither the error nor the log holds an address.
func TestNewsThatCannotBeRead(t *testing.T) {
	s := newFixture(t)
	s.claimEmails(t, outbox.Sent)
	s.finishEvent(t)
	lines := record(t)
	good := string(s.newEvent(t, 0, "Bounce", s.bounce("Permanent")))
	for what, test := range map[string]struct{ raw, reason string }{
		"two configuration sets": {strings.Replace(good, `["hub"]`, `["hub","billing"]`, 1), "several configuration sets"},
		"no tag":                 {strings.Replace(good, `"mail":[`, `"letter":[`, 1), "names no email"},
		"an unknown tag":         {strings.Replace(good, s.mail(0).Tag(), "petra@bakery.test", 1), "names no email"},
		"no addressee":           {strings.Replace(good, `"addressee":["acct_`, `"addressee":["petra@bakery.test`, 1), "names no email"},
		"no object":              {`"petra@bakery.test"`, "not of the form"},
		"another form":           {strings.Replace(good, `"eventType":"Bounce"`, `"eventType":{"petra@bakery.test":1}`, 1), "not of the form"},
		"no time":                {strings.Replace(good, `"bounceType":"Permanent","timestamp":"2026`, `"bounceType":"Permanent","timestamp":"petra@bakery.test`, 1), "not of the form"},
		"an unknown type":        {strings.Replace(good, `"eventType":"Bounce"`, `"eventType":"petra@bakery.test"`, 1), "unknown type"},
		"no type":                {strings.Replace(good, `"eventType":"Bounce",`, ``, 1), "unknown type"},
		"an unknown bounce":      {strings.Replace(good, `"bounceType":"Permanent"`, `"bounceType":"petra@bakery.test"`, 1), "a bounce of an unknown type"},
		"no bounce":              {string(s.newEvent(t, 0, "Bounce", nil)), "a bounce of an unknown type"},
	} {
		if test.raw == good {
			t.Fatalf("%s: the same event", what)
		}
		err := s.Handle(t.Context(), json.RawMessage(test.raw))
		if !errors.Is(err, errUnreadable) || !strings.Contains(err.Error(), test.reason) || strings.Contains(err.Error(), "@") {
			t.Errorf("%s: %v, want %q", what, err, test.reason)
		}
		if !strings.Contains(lines.String(), test.reason) {
			t.Errorf("%s: the log: %s", what, lines)
		}
		s.check(t, "sent, -: -")
	}
	if strings.Contains(lines.String(), "@") || s.metrics.Len() > 0 {
		t.Errorf("the log holds an address, or something was counted: %s %s", lines, s.metrics)
	}
}

// A withheld complaint never raises the alarm, in any order of events, and its asker
// learns nothing of it.
func TestAWithheldComplaintIsNone(t *testing.T) {
	s := newFixture(t)
	s.claimEmails(t, outbox.Sent, outbox.Sent)
	s.finishEvent(t)
	s.receive(t, 1, "Bounce", s.bounce("Permanent"))
	for range 2 {
		s.receive(t, 0, "Complaint", s.withheldComplaint())
		s.check(t, "suppressed (complained), bounced (bounced): -")
	}
	s.receive(t, 0, "Send", nil)
	s.check(t, "suppressed (complained), bounced (bounced): -")
	if all := s.metrics.String(); strings.Contains(all, `"Fate":"complained"`) || strings.Count(all, `"Fate":"suppressed"`) != 1 {
		t.Error(all)
	}
	// Signing in ends it, like that of a complaint.
	s.now = s.now.Add(time.Minute)
	if _, err := s.svc.Me(t.Context(), s.owners[0]); err != nil {
		t.Fatal(err)
	}
	s.check(t, "suppressed, bounced (bounced): -")
}

// faults is the table, which fails at one step.
type faults struct {
	emailStore
	at string
}

var errFault = errors.New("the table fails")

func (f *faults) Suppress(ctx context.Context, id agency.PersonID, reason agency.SuppressionReason, at time.Time) (bool, error) {
	if f.at == "suppress" {
		return false, errFault
	}
	return f.emailStore.Suppress(ctx, id, reason, at)
}

func (f *faults) FailDelivery(ctx context.Context, k agency.ProfileKey, request int, mailedAt time.Time) error {
	if f.at == "fail" {
		return errFault
	}
	return f.emailStore.FailDelivery(ctx, k, request, mailedAt)
}

// A step that failed is repeated when the same event comes again.
func TestAFailedStepIsRepeated(t *testing.T) {
	s := newFixture(t)
	s.claimEmails(t, outbox.Sent)
	s.finishEvent(t)
	f := &faults{emailStore: s.db}
	s.receiver.store = f
	event := s.newEvent(t, 0, "Bounce", s.bounce("Permanent"))
	for _, step := range []struct{ fails, want string }{
		{"suppress", "bounced, -: -"}, {"fail", "bounced (bounced), -: -"},
	} {
		f.at = step.fails
		if err := s.Handle(t.Context(), event); !errors.Is(err, errFault) {
			t.Errorf("%s: %v", step.fails, err)
		}
		s.check(t, step.want)
	}
	f.at = ""
	s.handle(t, event)
	s.check(t, "bounced (bounced), -: failed")
}

// Each line names the event and the call that caused it, also when the table fails.
func TestLinesNameTheEventAndItsCall(t *testing.T) {
	s := newFixture(t)
	s.claimEmails(t, outbox.Sent)
	s.finishEvent(t)
	lines := record(t)
	s.receive(t, 0, "Bounce", s.bounce("Permanent"))
	failure := errors.New("the table fails")
	store := s.store
	s.store = failingStore{store, failure}
	if err := s.Handle(t.Context(), s.newEvent(t, 0, "Complaint", s.bounce("Permanent"))); !errors.Is(err, failure) {
		t.Errorf("%v", err)
	}
	s.store = store
	n := 0
	for line := range strings.Lines(lines.String()) {
		n++
		if !strings.Contains(line, `"event":"`+string(s.mail(0).Event)+`"`) || !strings.Contains(line, `"requestId":"`+requestID+`"`) {
			t.Errorf("%s", line)
		}
	}
	if n != 3 {
		t.Errorf("%d lines, want the news, the suppression and the failure: %s", n, lines)
	}
}

// failingStore fails to save fates.
type failingStore struct {
	emailStore
	err error
}

func (s failingStore) AdvanceFate(context.Context, outbox.MailKey, outbox.Fate, string, time.Time) (bool, error) {
	return false, s.err
}
