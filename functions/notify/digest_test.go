package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"agencyhub/shared/agency"
	"agencyhub/shared/outbox"
	"agencyhub/shared/service"
	"agencyhub/shared/table"
	"agencyhub/shared/testbed"
)

var petraBox = agency.Mailbox("petra@bakery.test")

// stranger opens an agency of the n-th stranger.
func (s *stage) stranger(t *testing.T, n int) (agency.Actor, agency.AccountID) {
	t.Helper()
	who := agency.NewActor(fmt.Sprintf("s%d@studio.test", n), "https://issuer.test", fmt.Sprint("s", n))
	return who, s.agencyOf(t, who, fmt.Sprintf("Studio %d", n))
}

// fill sends Petra as many requests by email, each of another stranger, and processes
// them.
func (s *stage) fill(t *testing.T, n int) []agency.Profile {
	t.Helper()
	var asked []agency.Profile
	for i := range n {
		who, studio := s.stranger(t, i)
		asked = append(asked, s.ask(t, who, studio, service.ConnectionRequest{OwnerEmail: "petra@bakery.test"}))
		s.deliver(t, s.waiting(t)...)
	}
	return asked
}

// subjects returns the emails since a number of them: "who: subject".
func (s *stage) subjects(t *testing.T, since int) []string {
	t.Helper()
	got := []string{}
	for _, e := range s.inbox.Emails(t)[since:] {
		got = append(got, e.Destination.To[0]+": "+e.Subject)
	}
	return got
}

// sweepDigest moves the clock to when the digest of a mailbox is due, and sweeps it.
func (s *stage) sweepDigest(t *testing.T, box agency.MailboxID, want service.Outcome) {
	t.Helper()
	s.now = s.service.Rules.DigestDue(box, s.now)
	if got := must[service.Outcome](t)(s.service.SweepMailbox(t.Context(), box)); got != want {
		t.Fatalf("the sweep %q, want %q", got, want)
	}
}

// waitingFor returns how much waits for a person's answer.
func (s *stage) waitingFor(t *testing.T, actor agency.Actor) (n int) {
	t.Helper()
	for page := (service.Page{Limit: 100}); ; {
		list := must[service.List[service.RequestDetail]](t)(s.service.Waiting(t.Context(), actor, page))
		n += len(list.Items)
		if page.Cursor = list.Next; page.Cursor == "" {
			return n
		}
	}
}

// heldItems are the emails that are held for any digest.
func (s *stage) heldItems(t *testing.T) (keys []string) {
	t.Helper()
	for key := range s.items(t) {
		if strings.HasPrefix(key, "HELD#") && strings.Contains(key, " MAIL#") {
			keys = append(keys, key)
		}
	}
	return keys
}

func (s *stage) items(t *testing.T) map[string]testbed.Item {
	t.Helper()
	return testbed.Items(t, s.db, s.tableName)
}

// fateOf returns the fate of the only email of a request's first event to a person.
func (s *stage) fateOf(t *testing.T, asked agency.Profile, who agency.PersonID) outbox.Fate {
	t.Helper()
	list := must[service.List[agency.Event]](t)(s.store.Activity(t.Context(), asked.Addressee, asked.Member.Account(), service.Page{Limit: 100}))
	for _, e := range slices.Backward(list.Items) {
		if e.MailsRequest() && e.Request == asked.Request.Number {
			for _, m := range must[[]outbox.Mail](t)(s.store.Mails(t.Context(), e.ID)) {
				if m.Recipient == who {
					return m.Fate
				}
			}
		}
	}
	return ""
}

// However much junk comes, a genuine request comes at once as long as the day is not
// full, and else in one digest the next morning.
func TestAGenuineRequestGetsThrough(t *testing.T) {
	s := newStage(t)
	s.now = monday.Truncate(day).Add(time.Hour)
	bakery := s.account(t, petraActs, "Petra’s Bakery")
	s.processAll(t)
	// One stranger invites her into ten accounts of theirs, three a day come.
	who := agency.NewActor("junk@junk.test", "https://issuer.test", "junk")
	for i := range 10 {
		junk := s.account(t, who, fmt.Sprintf("Junk %d", i))
		s.invite(t, agency.Caller{Actor: who}, junk, service.Invitation{Email: "petra@bakery.test", Role: agency.Admin})
		s.deliver(t, s.waiting(t)...)
	}
	if got := len(s.inbox.Emails(t)); got != 3 {
		t.Fatalf("%d emails of one sender", got)
	}
	studio := s.agencyOf(t, annActs, "Bright Studio")
	s.processAll(t)
	genuine := s.ask(t, annActs, studio, service.ConnectionRequest{Account: bakery})
	s.processAll(t, theRequest)
	s.reached(t, genuine.ProfileKey, notFailed, petraActs.ID())

	// Seven more strangers fill the day with three that came and hers.
	asked := s.fill(t, 7)
	if got := len(s.inbox.Emails(t)); got != 10 {
		t.Fatalf("%d emails, want 10", got)
	}
	late := agency.NewActor("lea@north.test", "https://issuer.test", "lea")
	north := s.agencyOf(t, late, "North")
	s.processAll(t)
	second := s.ask(t, late, north, service.ConnectionRequest{Account: bakery})
	s.processAll(t)
	if f := s.fateOf(t, second, petraActs.ID()); f != outbox.Held {
		t.Errorf("it is %s", f)
	}
	// The asker reads nothing of it, and it waits for her at once.
	s.reached(t, second.ProfileKey, notFailed)
	if got := s.waitingFor(t, petraActs); got != 10+1+7+1 {
		t.Errorf("%d wait for her", got)
	}
	// A receipt of her own is never held.
	must[agency.Profile](t)(s.service.DeclineRequestByID(t.Context(), petraActs, asked[6].ID(), service.Decline{Request: 1}))
	s.processAll(t, "s6@studio.test: Your request to petra@bakery.test was declined", "petra@bakery.test: You declined the request of Studio 6")

	before := len(s.inbox.Emails(t))
	s.sweepDigest(t, petraBox, service.OutcomeDigest)
	keys := s.waiting(t)
	s.deliver(t, keys...)
	s.deliver(t, keys...)
	if diff := cmp.Diff([]string{"petra@bakery.test: 8 requests and invitations are waiting for you on Agency Hub"}, s.subjects(t, before)); diff != "" {
		t.Fatal(diff)
	}
	text := s.text(t)
	for _, want := range []string{"- North asks to work in Petra’s Bakery - You’re invited to Junk 9", "https://hub.example.com/waiting", "https://hub.example.com/stop/" + string(petraBox) + "."} {
		if !strings.Contains(text, want) {
			t.Errorf("the digest does not say %q: %s", want, text)
		}
	}
	if f := s.fateOf(t, second, petraActs.ID()); f != outbox.Sent || len(s.heldItems(t)) != 0 {
		t.Errorf("it is %s; %v are held", f, s.heldItems(t))
	}
	s.reached(t, second.ProfileKey, notFailed, petraActs.ID())
	s.sweepDigest(t, petraBox, service.OutcomeNone)
	must[agency.Profile](t)(s.service.WithdrawRequest(t.Context(), late, north, second.ID()))
	s.processAll(t, "petra@bakery.test: North has withdrawn its request")
}

// A mailbox whose person has never signed in gets three a day, over all its spellings. The
// digest goes to the one without a tag, lists what waits for that one, and counts the
// others, which nobody has been told.
func TestTheDigestOfAMailboxWithTags(t *testing.T) {
	s := newStage(t)
	s.now = monday.Truncate(day)
	addresses := []string{"vera@x.test", "vera+1@x.test", "vera+2@x.test", "vera@x.test", "vera+1@x.test", "vera+1@x.test"}
	var asked []agency.Profile
	for i, address := range addresses {
		who, studio := s.stranger(t, i)
		s.now = s.now.Add(time.Second)
		asked = append(asked, s.ask(t, who, studio, service.ConnectionRequest{OwnerEmail: address}))
		s.deliver(t, s.waiting(t)...)
	}
	if got := len(s.inbox.Emails(t)); got != 3 || len(s.heldItems(t)) != 3 {
		t.Fatalf("%d emails, %v are held", got, s.heldItems(t))
	}
	s.sweepDigest(t, agency.Mailbox("vera@x.test"), service.OutcomeDigest)
	s.processAll(t, "vera@x.test: A request or invitation is waiting for you on Agency Hub")
	if text := s.text(t); !strings.Contains(text, "- Studio 3 asks to work for you Nothing happens") || !strings.Contains(text, "held back 2 emails for other spellings") || strings.Contains(text, "Studio 4") {
		t.Error(text)
	}
	for i, want := range map[int]outbox.Fate{3: outbox.Sent, 4: outbox.Counted, 5: outbox.Counted} {
		who := agency.NewPersonID(addresses[i])
		if f := s.fateOf(t, asked[i], who); f != want {
			t.Errorf("%s: %s", addresses[i], f)
		}
		if got := slices.Contains(s.profile(t, asked[i].ProfileKey).Request.Reached, who); got != (want == outbox.Sent) {
			t.Errorf("%s was reached: %t", addresses[i], got)
		}
	}
	if len(s.heldItems(t)) != 0 {
		t.Errorf("%v are held", s.heldItems(t))
	}
}

// A digest lists ten, and counts the others.
func TestADigestListsTen(t *testing.T) {
	s := newStage(t)
	s.n.deployment.rules.UnsolicitedMails.All = 0
	s.fill(t, 12)
	s.sweepDigest(t, petraBox, service.OutcomeDigest)
	s.processAll(t, "petra@bakery.test: Requests and invitations are waiting for you on Agency Hub")
	if text := s.text(t); strings.Count(text, "asks to work for you") != 10 || !strings.Contains(text, "2 more emails are not listed here.") {
		t.Error(text)
	}
}

// What does not wait any more is not told, and without anything else there is no digest.
func TestHeldMailThatIsOverIsObsolete(t *testing.T) {
	s := newStage(t)
	s.n.deployment.rules.UnsolicitedMails.All = 0
	asked := s.fill(t, 2)
	withdraw := func(n int) {
		t.Helper()
		who := agency.NewActor(fmt.Sprintf("s%d@studio.test", n), "https://issuer.test", fmt.Sprint("s", n))
		must[agency.Profile](t)(s.service.WithdrawRequest(t.Context(), who, asked[n].Member.Account(), asked[n].ID()))
		s.processAll(t)
	}
	withdraw(1)
	s.sweepDigest(t, petraBox, service.OutcomeDigest)
	s.processAll(t, "petra@bakery.test: A request or invitation is waiting for you on Agency Hub")
	if a, b := s.fateOf(t, asked[0], petraActs.ID()), s.fateOf(t, asked[1], petraActs.ID()); a != outbox.Sent || b != outbox.Obsolete {
		t.Errorf("%s, %s", a, b)
	}
	// Nobody hears of the end of what they have not heard of.
	s.reached(t, asked[1].ProfileKey, notFailed)

	who, studio := s.stranger(t, 5)
	p := s.ask(t, who, studio, service.ConnectionRequest{OwnerEmail: "petra@bakery.test"})
	s.processAll(t)
	must[agency.Profile](t)(s.service.WithdrawRequest(t.Context(), who, studio, p.ID()))
	s.processAll(t)
	s.sweepDigest(t, petraBox, service.OutcomeDigest)
	s.processAll(t)
	if f := s.fateOf(t, p, petraActs.ID()); f != outbox.Obsolete || len(s.heldItems(t)) != 0 {
		t.Errorf("%s, %v", f, s.heldItems(t))
	}
}

// What is held once a digest has started belongs to the next.
func TestHeldAfterTheDigestHasStarted(t *testing.T) {
	s := newStage(t)
	s.n.deployment.rules.UnsolicitedMails.All = 0
	s.fill(t, 1)
	s.sweepDigest(t, petraBox, service.OutcomeDigest)
	digest := s.waiting(t)
	who, studio := s.stranger(t, 7)
	s.ask(t, who, studio, service.ConnectionRequest{OwnerEmail: "petra@bakery.test"})
	s.deliver(t, slices.DeleteFunc(s.waiting(t), func(k table.EventKey) bool { return slices.Contains(digest, k) })...)
	s.processAll(t, "petra@bakery.test: A request or invitation is waiting for you on Agency Hub")
	if text := s.text(t); !strings.Contains(text, "- Studio 0 asks") || len(s.heldItems(t)) != 1 {
		t.Errorf("%s\n%v", text, s.heldItems(t))
	}
	s.sweepDigest(t, petraBox, service.OutcomeDigest)
	s.processAll(t, "petra@bakery.test: A request or invitation is waiting for you on Agency Hub")
	if text := s.text(t); !strings.Contains(text, "- Studio 7 asks") || len(s.heldItems(t)) != 0 {
		t.Errorf("%s\n%v", text, s.heldItems(t))
	}
}

// Wherever an invocation dies, the next one finishes the digest: every held email has its
// end, and she gets one digest, or two if it died between SES's answer and the mark.
func TestADigestSurvivesACrashAnywhere(t *testing.T) {
	for steps, died := 0, true; died; steps++ {
		s := newStage(t)
		s.n.deployment.rules.UnsolicitedMails.All = 0
		asked := s.fill(t, 3)
		who := agency.NewActor("s1@studio.test", "https://issuer.test", "s1")
		must[agency.Profile](t)(s.service.WithdrawRequest(t.Context(), who, asked[1].Member.Account(), asked[1].ID()))
		s.processAll(t)
		s.sweepDigest(t, petraBox, service.OutcomeDigest)
		key := s.waiting(t)[0]

		calls, lastCall := 0, ""
		died = false
		s.faults.call = func(call string) error {
			if calls++; calls > steps {
				if !died {
					lastCall = call
				}
				died = true
				return errFault
			}
			return nil
		}
		if _, err := s.n.Handle(t.Context(), batch(key)); err != nil {
			t.Fatal(err)
		}
		s.faults.call = nil
		sent := len(s.inbox.Emails(t))
		// The next invocation comes once the claims of the dead one have run out.
		s.now = s.now.Add(lease)
		s.n.slow = newSlowRecipients()
		s.deliver(t, key)
		s.told(t, true, key)
		most := 1
		if sent == 1 && lastCall == "fate" {
			most = 2
		}
		if got := len(s.inbox.Emails(t)); got < 1 || got > most {
			t.Errorf("died at call %d (%s): %d digests, %d of the first", steps+1, lastCall, got, sent)
		}
		want := []outbox.Fate{outbox.Sent, outbox.Obsolete, outbox.Sent}
		for i, p := range asked {
			if f := s.fateOf(t, p, petraActs.ID()); f != want[i] {
				t.Errorf("died at call %d (%s): email %d is %s, want %s", steps+1, lastCall, i, f, want[i])
			}
		}
		s.reached(t, asked[0].ProfileKey, notFailed, petraActs.ID())
		if held := s.heldItems(t); len(held) != 0 {
			t.Errorf("died at call %d (%s): %v are held", steps+1, lastCall, held)
		}
		if steps > 100 {
			t.Fatal("the digest has no end")
		}
	}
}

// What a digest has told has reached its recipient, though it is over by the time that
// this is saved.
func TestWhatADigestHasToldIsNotUntold(t *testing.T) {
	s := newStage(t)
	s.n.deployment.rules.UnsolicitedMails.All = 0
	asked := s.fill(t, 1)[0]
	s.sweepDigest(t, petraBox, service.OutcomeDigest)
	key := s.waiting(t)[0]
	s.faults.call = func(call string) error {
		if call == "reached" {
			return errFault
		}
		return nil
	}
	s.handle(t, s.n, batch(key), "s1")
	s.faults.call = nil
	who := agency.NewActor("s0@studio.test", "https://issuer.test", "s0")
	must[agency.Profile](t)(s.service.WithdrawRequest(t.Context(), who, asked.Member.Account(), asked.ID()))
	s.deliver(t, key)
	s.mailed(t, "petra@bakery.test: A request or invitation is waiting for you on Agency Hub")
	if f := s.fateOf(t, asked, petraActs.ID()); f != outbox.Sent || len(s.heldItems(t)) != 0 {
		t.Errorf("it is %s; %v", f, s.heldItems(t))
	}
	s.reached(t, asked.ProfileKey, notFailed, petraActs.ID())
}

// SES that does not take the digest, or refuses it, loses nothing.
func TestADigestThatSESDoesNotTake(t *testing.T) {
	for _, tt := range []struct {
		status int
		kind   string
		done   bool
		fate   outbox.Fate
	}{{503, "ServiceUnavailable", false, outbox.Held}, {400, "MessageRejected", true, outbox.Failed}} {
		s := newStage(t)
		s.n.deployment.rules.UnsolicitedMails.All = 0
		asked := s.fill(t, 1)[0]
		s.sweepDigest(t, petraBox, service.OutcomeDigest)
		key := s.waiting(t)[0]
		ses := &moodySES{mood: func(string) (int, string, string) { return tt.status, tt.kind, "" }}
		n := s.notifier(t, ses.start(t))
		n.deployment.rules = s.n.deployment.rules
		s.handle(t, n, batch(key), "")
		s.told(t, tt.done, key)
		if f := s.fateOf(t, asked, petraActs.ID()); f != tt.fate {
			t.Errorf("%s: the email is %s", tt.kind, f)
		}
		if !tt.done {
			s.deliver(t, key)
			s.mailed(t, "petra@bakery.test: A request or invitation is waiting for you on Agency Hub")
		}
		if held := s.heldItems(t); len(held) != 0 {
			t.Errorf("%s: %v are held", tt.kind, held)
		}
	}
}

// expectFates checks the fates that the log has of an email that asks a person, in order.
// Each line names the email.
func (s *stage) expectFates(t *testing.T, lines string, asked agency.Profile, who agency.PersonID, want ...outbox.Fate) {
	t.Helper()
	var got []outbox.Fate
	list := must[service.List[agency.Event]](t)(s.store.Activity(t.Context(), asked.Addressee, asked.Member.Account(), service.Page{Limit: 100}))
	for line := range strings.Lines(lines) {
		var l struct {
			Event, Account, Kind, Recipient string
			Fate                            outbox.Fate
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatal(err)
		}
		isOfEvent := slices.ContainsFunc(list.Items, func(e agency.Event) bool {
			return e.MailsRequest() && e.Request == asked.Request.Number && string(e.ID) == l.Event
		})
		if isOfEvent && l.Fate != "" && l.Recipient == string(who) {
			got = append(got, l.Fate)
		}
		if l.Fate != "" && (l.Event == "" || l.Kind == "" || l.Recipient == "" || l.Account == "") || strings.Contains(line, "@") {
			t.Errorf("a line does not name its email, or names an address: %s", line)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("the log has the fates %v of request %d, want %v", got, asked.Request.Number, want)
	}
}

// Every email says that a program sends it. An unsolicited one can be stopped by one
// click, and then nothing unsolicited comes, until she allows it.
func TestUnsolicitedMailCanBeStopped(t *testing.T) {
	s := newStage(t)
	var lines strings.Builder
	logged(t, &lines)
	bakery, studio, id := s.requested(t)
	s.processAll(t, theRequest)
	link := func(e testbed.Email) string {
		t.Helper()
		if e.Header("Auto-Submitted") != "auto-generated" {
			t.Errorf("%s: %v", e.Subject, e.Headers)
		}
		address := strings.Trim(e.Header("List-Unsubscribe"), "<>")
		if (address == "") != (e.Header("List-Unsubscribe-Post") == "") || address != "" && (!strings.Contains(e.Body.Text, address) || !strings.Contains(e.Body.HTML, address)) {
			t.Errorf("%s: %v", e.Subject, e.Headers)
		}
		return address
	}
	address := link(s.inbox.Emails(t)[0])
	stop, ok := strings.CutPrefix(address, "https://hub.example.com/stop/"+string(petraBox)+".")
	if !ok || strings.ContainsAny(address, "@%") {
		t.Fatal(address)
	}
	// Something is held when she stops it.
	s.n.deployment.rules.UnsolicitedMails.All = 1
	late, north := s.stranger(t, 1)
	held := s.ask(t, late, north, service.ConnectionRequest{Account: bakery})
	s.processAll(t)
	if err := s.service.StopMail(t.Context(), petraBox, stop); err != nil {
		t.Fatal(err)
	}
	s.sweepDigest(t, petraBox, service.OutcomeDigest)
	s.processAll(t)
	if f := s.fateOf(t, held, petraActs.ID()); f != outbox.Stopped || len(s.heldItems(t)) != 0 {
		t.Errorf("what was held is %s, %v", f, s.heldItems(t))
	}
	s.expectFates(t, lines.String(), held, petraActs.ID(), outbox.Held, outbox.Stopped)
	must[agency.Profile](t)(s.service.WithdrawRequest(t.Context(), annActs, studio, id))
	asked := s.ask(t, annActs, studio, service.ConnectionRequest{Account: bakery})
	s.processAll(t)
	if f := s.fateOf(t, asked, petraActs.ID()); f != outbox.Stopped {
		t.Errorf("the next is %s", f)
	}
	s.expectFates(t, lines.String(), asked, petraActs.ID(), outbox.Stopped)
	s.reached(t, asked.ProfileKey, notFailed)
	if got := s.waitingFor(t, petraActs); got != 2 {
		t.Errorf("%d wait for her", got)
	}
	// What she has decided herself is told.
	must[agency.Profile](t)(s.service.AcceptRequest(t.Context(), agency.Caller{Actor: petraActs}, bakery, studio, service.Grant{Request: 2}))
	s.processAll(t, "ann@studio.test: Petra’s Bakery has accepted your request", "petra@bakery.test: Bright Studio was let into Petra’s Bakery")
	if got := link(s.inbox.Emails(t)[len(s.inbox.Emails(t))-1]); got != "" {
		t.Errorf("a solicited email can be stopped: %s", got)
	}
	if err := s.service.AllowMyMail(t.Context(), petraActs); err != nil {
		t.Fatal(err)
	}
	s.now = s.now.Add(day)
	must[agency.Profile](t)(s.service.ResendRequest(t.Context(), late, north, held.ID()))
	s.processAll(t, "petra@bakery.test: Studio 1 asks to work in Petra’s Bakery")
	if got := link(s.inbox.Emails(t)[len(s.inbox.Emails(t))-1]); got == "" || got == address {
		t.Errorf("the next link is %q", got)
	}
	if err := s.service.StopMail(t.Context(), petraBox, stop); agency.CodeOf(err) != agency.NotFound {
		t.Errorf("an old link: %v", err)
	}
}

// A registered owner who has never used the account is told three times of forty changes
// of the plan, and once more in the digest.
func TestARegisteredOwnerIsNotFlooded(t *testing.T) {
	s := newStage(t)
	id := agency.NewAccountID("platform", "1")
	mustRegister(t)(s.service.RegisterAccount(t.Context(), agency.Platform{Client: "the-platform"}, id, service.Registration{Name: "Vera’s", OwnerEmail: "vera@x.test", Plan: "starter"}))
	for i := range 40 {
		s.now = s.now.Add(time.Minute)
		payment := service.Payment{Failed: i%2 == 0, At: s.now}
		must[agency.Account](t)(s.service.ReportPayment(t.Context(), agency.Platform{Client: "the-platform"}, id, payment))
		s.deliver(t, s.waiting(t)...)
	}
	if got := len(s.inbox.Emails(t)); got != 3 {
		t.Fatalf("%d emails", got)
	}
	s.sweepDigest(t, agency.Mailbox("vera@x.test"), service.OutcomeDigest)
	s.processAll(t, "vera@x.test: A summary of your emails from Agency Hub")
	if text := s.text(t); !strings.Contains(text, "News - The payment for Vera’s has succeeded (") || strings.Contains(text, "unless you accept") || strings.Contains(text, "/waiting") {
		t.Error(text)
	}
}

// Somebody who is being erased gets nothing, and what is held for them goes. The stop
// stays.
func TestHeldMailGoesWithAnErasure(t *testing.T) {
	s := newStage(t)
	s.n.deployment.rules.UnsolicitedMails.All = 0
	asked := s.fill(t, 1)[0]
	if err := s.service.StopMyMail(t.Context(), petraActs); err != nil {
		t.Fatal(err)
	}
	if err := s.service.AllowMyMail(t.Context(), petraActs); err != nil {
		t.Fatal(err)
	}
	if err := s.service.EraseMe(t.Context(), petraActs); err != nil {
		t.Fatal(err)
	}
	s.sweepDigest(t, petraBox, service.OutcomeDigest)
	s.processAll(t)
	if f := s.fateOf(t, asked, petraActs.ID()); f != outbox.Obsolete || len(s.heldItems(t)) != 0 {
		t.Errorf("%s, %v", f, s.heldItems(t))
	}
	if _, kept := s.items(t)["STOP#"+string(petraBox)+" STOP"]; !kept {
		t.Error("the stop mark is gone")
	}
}

// An invitation that bounces reads failed to those who made it, one that is held or
// stopped reads nothing.
func TestWhatAnInvitersEmailCameTo(t *testing.T) {
	s := newStage(t)
	bakery := s.account(t, petraActs, "Petra’s Bakery")
	s.processAll(t)
	tom := s.invite(t, agency.Caller{Actor: petraActs}, bakery, service.Invitation{Email: "tom@x.test", Role: agency.Admin})
	key := s.waiting(t)[0]
	s.bounceFirst(t)
	s.deliver(t, key)
	s.reached(t, agency.PersonAt(bakery, tom), agency.DeliveryFailed, tom)
	s.faults.finish = nil
	// Sent again it is nothing again.
	s.now = s.now.Add(day)
	must[agency.Profile](t)(s.service.ResendInvitation(t.Context(), agency.Caller{Actor: petraActs}, bakery, agency.Party(tom)))
	s.reached(t, agency.PersonAt(bakery, tom), notFailed, tom)
}

// Somebody who blocks an account is not mailed about what it asked them before, and
// nobody can tell.
func TestABlockMutesWhatIsOpen(t *testing.T) {
	s := newStage(t)
	studio := s.agencyOf(t, annActs, "Bright Studio")
	tom := agency.NewActor("tom+1@x.test", "https://issuer.test", "tom+1")
	var accounts []agency.AccountID
	for _, name := range []string{"Café One", "Café Two"} {
		accounts = append(accounts, must[service.AccountView](t)(s.service.CreateAccount(t.Context(), annActs, studio, name+"-0123456789012345", service.NewClientAccount{
			Name: name, Plan: "growth", ConfirmPermanentOwnership: true, Client: &service.NewClient{Email: tom.Email, Areas: some},
		})).ID)
	}
	s.deliver(t, s.waiting(t)...)
	must[service.RequestDetail](t)(s.service.DeclineInvitation(t.Context(), tom, accounts[0], service.Decline{Request: 1, Block: true}))
	s.processAll(t, "ann@studio.test: tom+1@x.test declined your invitation")
	s.now = s.now.Add(day)
	p := must[agency.Profile](t)(s.service.ResendInvitation(t.Context(), agency.Caller{Actor: annActs, As: studio}, accounts[1], agency.Party(tom.ID())))
	key := s.waiting(t)[0]
	s.processAll(t)
	if f := s.fate(t, key.ID, "invited-again", tom.ID()); f != outbox.Muted {
		t.Errorf("it is %s", f)
	}
	s.reached(t, p.ProfileKey, notFailed, tom.ID())
}
