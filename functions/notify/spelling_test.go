package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"agencyhub/shared/agency"
	"agencyhub/shared/outbox"
	"agencyhub/shared/service"
)

const aRequestWaits = ": A request or invitation is waiting for you on Agency Hub"

// junk holds emails for an address whose events are over: collected since.
func (s *stage) junk(t *testing.T, address string, n int) {
	t.Helper()
	for range n {
		key := outbox.MailKey{Event: s.service.NewEventID(s.now.Add(time.Minute)), Kind: "requested-person", Recipient: agency.NewPersonID(address)}
		u := outbox.Unsolicited{
			Mailbox: agency.Mailbox(address), Addressee: agency.Party(key.Recipient), IsTagged: agency.Untagged(address) != address,
			DigestAt: s.service.Rules.DigestDue(agency.Mailbox(address), s.now),
		}
		c, err := s.store.ClaimUnsolicited(t.Context(), key, u, outbox.NewOwner(), s.now, lease)
		if err != nil || c.State != outbox.ClaimHeld {
			t.Fatal(c, err)
		}
	}
}

// askBy asks a person at an address in the name of the n-th stranger, and holds the email.
func (s *stage) askBy(t *testing.T, n int, address string) agency.Profile {
	t.Helper()
	who, studio := s.stranger(t, n)
	p := s.ask(t, who, studio, service.ConnectionRequest{OwnerEmail: address})
	s.deliver(t, s.waiting(t)...)
	if f := s.fateOf(t, p, agency.NewPersonID(address)); f != outbox.Held {
		t.Fatalf("%s: the email is %s", address, f)
	}
	return p
}

// withdraw withdraws a request of the n-th stranger.
func (s *stage) withdraw(t *testing.T, n int, p agency.Profile) {
	t.Helper()
	who := agency.NewActor(fmt.Sprintf("s%d@studio.test", n), "https://issuer.test", fmt.Sprint("s", n))
	must[agency.Profile](t)(s.service.WithdrawRequest(t.Context(), who, p.Member.Account(), p.ID()))
}

// heldStage is a stage on which every unsolicited email is held.
func heldStage(t *testing.T) *stage {
	t.Helper()
	s := newStage(t)
	s.n.deployment.rules.UnsolicitedMails.All = 0
	return s
}

// However many newer emails are over by then, a digest finds the one that waits.
func TestADigestLooksAtAllThatIsHeld(t *testing.T) {
	s := heldStage(t)
	genuine := s.askBy(t, 1, "petra@bakery.test")
	s.junk(t, "petra@bakery.test", 210)
	s.junk(t, "petra+x@bakery.test", 30)
	s.sweepDigest(t, petraBox, service.OutcomeDigest)
	s.processAll(t, "petra@bakery.test"+aRequestWaits)
	if f := s.fateOf(t, genuine, petraActs.ID()); f != outbox.Sent || len(s.heldItems(t)) != 0 {
		t.Errorf("it is %s; %d are held", f, len(s.heldItems(t)))
	}
	s.reached(t, genuine.ProfileKey, notFailed, petraActs.ID())
}

// hurried is a context whose deadline is far away until hurry returns true.
type hurried struct {
	context.Context //nolint:containedctx // it stands for one with a deadline
	hurry           func() bool
}

func (h hurried) Deadline() (time.Time, bool) {
	if h.hurry() {
		return time.Now().Add(emailTime / 2), true
	}
	return time.Now().Add(time.Hour), true
}

// When the invocation's time is nearly over, a digest goes on at the next wake where it
// was: before it is sent, and after.
func TestADigestGoesOnAtTheNextWake(t *testing.T) {
	s := heldStage(t)
	genuine := s.askBy(t, 1, "petra@bakery.test")
	s.junk(t, "petra@bakery.test", 3*heldBatch)
	s.junk(t, "petra+x@bakery.test", 2*heldBatch)
	s.sweepDigest(t, petraBox, service.OutcomeDigest)
	key := s.waiting(t)[0]
	all := 5*heldBatch + 1
	for wake := 1; ; wake++ {
		batches := 0
		s.faults.call = func(call string) error {
			if call == "unhold" {
				batches++
			}
			return nil
		}
		ctx := hurried{t.Context(), func() bool { return batches > 0 }}
		if out, err := s.n.Handle(ctx, batch(key)); err != nil || len(out.BatchItemFailures) > 0 {
			t.Fatal(out, err)
		}
		s.faults.call = nil
		left := len(s.heldItems(t))
		if left >= all || all-left > heldBatch {
			t.Fatalf("wake %d: %d are left of %d", wake, left, all)
		}
		all = left
		done := left == 0
		if e, _, err := s.store.Event(t.Context(), key); err != nil || !done && e.IsDoneBy(outbox.Notify) {
			t.Fatalf("wake %d: done with %d emails left, %v", wake, left, err)
		}
		if done {
			break
		}
	}
	s.deliver(t, key)
	s.told(t, true, key)
	s.mailed(t, "petra@bakery.test"+aRequestWaits)
	if f := s.fateOf(t, genuine, petraActs.ID()); f != outbox.Sent {
		t.Errorf("it is %s", f)
	}
}

// A digest looks at nothing when the invocation's time is nearly over.
func TestADigestDoesNotStartLate(t *testing.T) {
	s := heldStage(t)
	s.askBy(t, 1, "petra@bakery.test")
	s.sweepDigest(t, petraBox, service.OutcomeDigest)
	key := s.waiting(t)[0]
	looked := 0
	s.faults.call = func(call string) error {
		if call == "event" {
			looked++
		}
		return nil
	}
	if out, err := s.n.Handle(hurried{t.Context(), func() bool { return true }}, batch(key)); err != nil || len(out.BatchItemFailures) > 0 {
		t.Fatal(out, err)
	}
	// The digest's own event is one.
	if looked != 1 || len(s.heldItems(t)) != 1 {
		t.Errorf("%d events were read; %v", looked, s.heldItems(t))
	}
	s.told(t, false, key)
	s.mailed(t)
}

// A stranger does not choose to which spelling the digest goes.
func TestTheSpellingOfADigest(t *testing.T) {
	for name, tt := range map[string]struct {
		asked  []string
		signed string
		want   int
	}{
		"the one who has signed in":      {[]string{"petra+shop@bakery.test", "petra@bakery.test", "petra+x@bakery.test"}, "petra+shop@bakery.test", 0},
		"nobody: the one without a tag":  {[]string{"petra@bakery.test", "petra+x@bakery.test", "petra+y@bakery.test"}, "", 0},
		"all with tags: the newest":      {[]string{"petra+x@bakery.test", "petra+y@bakery.test"}, "", 1},
		"at Gmail: dots are no tag":      {[]string{"pe.tra@gmail.com", "petra+x@gmail.com"}, "", 0},
		"what waits for who signs in is": {[]string{"petra+x@bakery.test", "petra@bakery.test"}, "petra@bakery.test", 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := heldStage(t)
			if tt.signed != "" {
				s.account(t, agency.NewActor(tt.signed, "https://issuer.test", "petra"), "Petra’s Bakery")
			}
			s.deliver(t, s.waiting(t)...)
			var asked []agency.Profile
			for n, address := range tt.asked {
				s.now = s.now.Add(time.Second)
				asked = append(asked, s.askBy(t, n, address))
			}
			s.sweepDigest(t, agency.Mailbox(tt.asked[0]), service.OutcomeDigest)
			s.processAll(t, tt.asked[tt.want]+aRequestWaits)
			for n, p := range asked {
				who, want := agency.NewPersonID(tt.asked[n]), outbox.Counted
				var reached []agency.PersonID
				if n == tt.want {
					want, reached = outbox.Sent, []agency.PersonID{who}
				}
				if f := s.fateOf(t, p, who); f != want {
					t.Errorf("%s: %s, want %s", tt.asked[n], f, want)
				}
				s.reached(t, p.ProfileKey, notFailed, reached...)
			}
			if text := s.text(t); !strings.Contains(text, "for other spellings of your address") || len(s.heldItems(t)) != 0 {
				t.Errorf("%s\n%v", text, s.heldItems(t))
			}
		})
	}
}

// A spelling that SES refuses does not take the digest with it: the next one gets it.
func TestADigestGoesToTheNextSpelling(t *testing.T) {
	s := heldStage(t)
	first, second := s.askBy(t, 1, "petra@bakery.test"), s.askBy(t, 2, "petra+x@bakery.test")
	s.sweepDigest(t, petraBox, service.OutcomeDigest)
	key := s.waiting(t)[0]
	ses := &moodySES{mood: func(to string) (int, string, string) {
		if to == "petra@bakery.test" {
			return http.StatusBadRequest, "MessageRejected", ""
		}
		return http.StatusOK, "", ""
	}}
	n := s.notifier(t, ses.start(t))
	n.deployment.rules = s.n.deployment.rules
	s.handle(t, n, batch(key), "")
	s.told(t, true, key)
	var to []string
	for _, m := range ses.received {
		to = append(to, m.Destination.ToAddresses[0])
	}
	if diff := cmp.Diff([]string{"petra@bakery.test", "petra+x@bakery.test"}, to); diff != "" {
		t.Error(diff)
	}
	tagged := agency.NewPersonID("petra+x@bakery.test")
	if a, b := s.fateOf(t, first, petraActs.ID()), s.fateOf(t, second, tagged); a != outbox.Failed || b != outbox.Sent || len(s.heldItems(t)) != 0 {
		t.Errorf("%s, %s; %v", a, b, s.heldItems(t))
	}
	s.reached(t, first.ProfileKey, notFailed)
	s.reached(t, second.ProfileKey, notFailed, tagged)
}

// A digest that may have been sent has reached its recipient: they hear of what follows.
func TestADigestThatMayBeSent(t *testing.T) {
	for status, want := range map[int]outbox.Fate{http.StatusInternalServerError: outbox.Unconfirmed, http.StatusServiceUnavailable: outbox.Obsolete} {
		s := heldStage(t)
		asked := s.askBy(t, 1, "petra@bakery.test")
		s.sweepDigest(t, petraBox, service.OutcomeDigest)
		key := s.waiting(t)[0]
		s.handle(t, s.failing(t, petraActs.Email, status), batch(key), "")
		s.told(t, false, key)
		var follows []string
		var reached []agency.PersonID
		if want == outbox.Unconfirmed {
			reached = []agency.PersonID{petraActs.ID()}
		}
		s.reached(t, asked.ProfileKey, notFailed, reached...)
		s.withdraw(t, 1, asked)
		if want == outbox.Unconfirmed {
			s.n.deployment.rules.UnsolicitedMails.All = 10
			follows = []string{"petra@bakery.test: Studio 1 has withdrawn its request"}
		}
		s.processAll(t, follows...)
		s.told(t, true, key)
		if f := s.fateOf(t, asked, petraActs.ID()); f != want || len(s.heldItems(t)) != 0 {
			t.Errorf("%d: it is %s, want %s; %v", status, f, want, s.heldItems(t))
		}
		s.reached(t, asked.ProfileKey, notFailed, reached...)
	}
}

// A digest tells what asks for an answer apart from news, and equal lines once.
func TestADigestTellsRequestsFromNews(t *testing.T) {
	s := heldStage(t)
	s.askBy(t, 1, "petra@bakery.test")
	id := agency.NewAccountID("platform", "1")
	platform := agency.Platform{Client: "the-platform"}
	mustRegister(t)(s.service.RegisterAccount(t.Context(), platform, id, service.Registration{Name: "Petra’s", OwnerEmail: "petra@bakery.test", Plan: "starter"}))
	for n := range 4 {
		s.now = s.now.Add(time.Minute)
		must[agency.Account](t)(s.service.ReportPayment(t.Context(), platform, id, service.Payment{Failed: n%2 == 0, At: s.now}))
		s.deliver(t, s.waiting(t)...)
	}
	s.sweepDigest(t, petraBox, service.OutcomeDigest)
	s.processAll(t, "petra@bakery.test"+aRequestWaits)
	want := "Waiting for your answer - Studio 1 asks to work for you Nothing happens unless you accept. News - The payment for Petra’s has succeeded (2 emails) See what"
	if text := s.text(t); !strings.Contains(text, want) {
		t.Error(text)
	}
}

// However much one person asks, a digest first names everybody who asks.
func TestADigestNamesEveryAskerFirst(t *testing.T) {
	s := heldStage(t)
	s.service.Rules.DailyByNewPerson = agency.PersonLimits{}
	s.askBy(t, 1, "petra@bakery.test")
	for n := range 2 {
		who := agency.NewActor(fmt.Sprintf("junk%d@studio.test", n), "https://issuer.test", fmt.Sprint("junk", n))
		for i := range 8 {
			s.ask(t, who, s.agencyOf(t, who, fmt.Sprintf("Junk %d of %d", i, n)), service.ConnectionRequest{OwnerEmail: "petra@bakery.test"})
			s.deliver(t, s.waiting(t)...)
		}
	}
	s.sweepDigest(t, petraBox, service.OutcomeDigest)
	s.processAll(t, "petra@bakery.test: Requests and invitations are waiting for you on Agency Hub")
	want := "Waiting for your answer - Junk 7 of 1 asks to work for you - Junk 7 of 0 asks to work for you - Studio 1 asks to work for you - Junk 6 of 1"
	if text := s.text(t); !strings.Contains(text, want) || !strings.Contains(text, "7 more emails are not listed here.") {
		t.Error(text)
	}
}

// The invitation to a new account has not reached the agency's owner, who gets a digest
// with news of the account.
func TestADigestReachesOnlyWhoIsAsked(t *testing.T) {
	s := newStage(t)
	vera := agency.NewActor("vera@x.test", "https://issuer.test", "vera")
	id := agency.NewAccountID("platform", "1")
	platform := agency.Platform{Client: "the-platform"}
	registration := service.Registration{Name: "Vera’s", OwnerEmail: vera.Email, Plan: "starter"}
	mustRegister(t)(s.service.RegisterAccount(t.Context(), platform, id, registration))
	must[service.AccountView](t)(s.service.SwitchAgencyOn(t.Context(), vera, id))
	s.join(t, agency.Caller{Actor: vera}, id, service.Invitation{Email: annActs.Email, Role: agency.Admin})
	// The platform releases her sign-in: she has never used it.
	mustRegister(t)(s.service.RegisterAccount(t.Context(), platform, id, registration))
	s.deliver(t, s.waiting(t)...)
	s.n.deployment.rules.UnsolicitedMails.All = 0
	shop := must[service.AccountView](t)(s.service.CreateAccount(t.Context(), annActs, id, "shop-0123456789012345", service.NewClientAccount{
		Name: "The Shop", Plan: "growth", ConfirmPermanentOwnership: true, Client: &service.NewClient{Email: "tom@x.test", Areas: some},
	})).ID
	s.deliver(t, s.waiting(t)...)
	s.sweepDigest(t, agency.Mailbox(vera.Email), service.OutcomeDigest)
	before := len(s.inbox.Emails(t))
	s.deliver(t, s.waiting(t)...)
	if diff := cmp.Diff([]string{"vera@x.test: A summary of your emails from Agency Hub"}, s.subjects(t, before)); diff != "" {
		t.Fatal(diff)
	}
	s.reached(t, agency.PersonAt(shop, agency.NewPersonID("tom@x.test")), notFailed)
}

// The old and the new owner that the platform names are told, whatever limit or stop their
// mailbox has.
func TestAReplacedOwnerIsTold(t *testing.T) {
	s := heldStage(t)
	bakery := s.account(t, petraActs, "Petra’s Bakery")
	s.processAll(t)
	platform := agency.Platform{Client: "the-platform"}
	for _, address := range []string{"petra@bakery.test", "petra@new.test"} {
		if err := s.service.StopMyMail(t.Context(), agency.NewActor(address, "https://issuer.test", "petra")); err != nil {
			t.Fatal(err)
		}
	}
	must[agency.Account](t)(s.service.ReplaceOwner(t.Context(), platform, bakery, "petra@bakery.test", "petra@new.test"))
	before := len(s.inbox.Emails(t))
	s.deliver(t, s.waiting(t)...)
	got := s.subjects(t, before)
	slices.Sort(got)
	if diff := cmp.Diff([]string{
		"petra@bakery.test: You no longer own Petra’s Bakery with this address",
		"petra@new.test: You are now the owner of Petra’s Bakery",
	}, got); diff != "" {
		t.Fatal(diff)
	}
	for _, e := range s.inbox.Emails(t)[before:] {
		if e.Header("List-Unsubscribe") != "" {
			t.Errorf("%s can be stopped", e.Subject)
		}
		if e.Destination.To[0] == "petra@new.test" && !strings.Contains(e.Body.Text, "the plan Starter, 29 USD a month") {
			t.Error(e.Body.Text)
		}
	}
	if len(s.heldItems(t)) != 0 {
		t.Error(s.heldItems(t))
	}
}

// Who accepts an offer gets a receipt; the other owners hear of it.
func TestWhoBecomesAnOwnerIsTold(t *testing.T) {
	s := newStage(t)
	bakery := s.account(t, petraActs, "Petra’s Bakery")
	petra := agency.Caller{Actor: petraActs}
	s.join(t, petra, bakery, service.Invitation{Email: "tom@x.test", Role: agency.Admin})
	s.deliver(t, s.waiting(t)...)
	s.join(t, petra, bakery, service.Invitation{Email: "tom@x.test", Role: agency.Owner})
	s.processAll(t, "petra@bakery.test: tom@x.test is now an owner of Petra’s Bakery", "tom@x.test: You are now an owner of Petra’s Bakery")
	if text := s.text(t); !strings.Contains(text, "You pay for this account: the plan Starter, 29 USD a month.") {
		t.Error(text)
	}
	s.join(t, petra, bakery, service.Invitation{Email: "una@x.test", Role: agency.Owner})
	s.processAll(t, "petra@bakery.test: una@x.test joined Petra’s Bakery", "tom@x.test: una@x.test is now an owner of Petra’s Bakery", "una@x.test: You joined Petra’s Bakery")
}

// An invitation that is sent again says so only to a person that it has reached, and says
// what has changed.
func TestWhatAnInvitationSentAgainSays(t *testing.T) {
	s := heldStage(t)
	bakery := s.account(t, petraActs, "Petra’s Bakery")
	s.processAll(t)
	petra := agency.Caller{Actor: petraActs}
	invite := func(role agency.Role, subject, text string) {
		t.Helper()
		s.invite(t, petra, bakery, service.Invitation{Email: "tom@x.test", Role: role})
		s.processAll(t, "tom@x.test: "+subject)
		if got := s.text(t); !strings.Contains(got, text) {
			t.Errorf("no %q: %s", text, got)
		}
		s.now = s.now.Add(day)
	}
	s.invite(t, petra, bakery, service.Invitation{Email: "tom@x.test", Role: agency.Admin})
	s.processAll(t)
	s.now = s.now.Add(day)
	s.n.deployment.rules.UnsolicitedMails.All = 10
	invite(agency.Admin, "You’re invited to Petra’s Bakery", "Petra’s Bakery petra@bakery.test invites you")
	invite(agency.Owner, "Changed: You’re invited to Petra’s Bakery", "The invitation has changed: you are now invited as an owner.")
	invite(agency.Owner, "Sent again: You’re invited to Petra’s Bakery", "You already have this invitation.")
}

// mustRegister fails the test on an error of RegisterAccount.
func mustRegister(t *testing.T) func(agency.Account, bool, error) {
	t.Helper()
	return func(_ agency.Account, _ bool, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
}
