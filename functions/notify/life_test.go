package main

import (
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
)

const day = 24 * time.Hour

// waiting returns the keys of all events that are not done, oldest first.
func (s *stage) waiting(t *testing.T) []table.EventKey {
	t.Helper()
	var keys []table.EventKey
	for shard := range table.Shards {
		for item, err := range s.store.Due(t.Context(), shard, s.now.Add(s.service.Rules.WakeAfter)) {
			if err != nil {
				t.Fatal(err)
			}
			if item.Event == nil {
				continue
			}
			e, _, err := s.store.Event(t.Context(), *item.Event)
			if err != nil {
				t.Fatal(err)
			}
			if !e.IsDoneBy(outbox.Notify) {
				keys = append(keys, *item.Event)
			}
		}
	}
	slices.SortFunc(keys, func(a, b table.EventKey) int { return strings.Compare(string(a.ID), string(b.ID)) })
	return keys
}

// processAll processes all events that wait, and checks the emails that they cause
// and that none waits afterwards.
func (s *stage) processAll(t *testing.T, want ...string) {
	t.Helper()
	before := len(s.inbox.Emails(t))
	s.deliver(t, s.waiting(t)...)
	if left := s.waiting(t); len(left) > 0 {
		t.Errorf("%d events still wait", len(left))
	}
	got := []string{}
	for _, e := range s.inbox.Emails(t)[before:] {
		got = append(got, e.Destination.To[0]+": "+e.Subject)
	}
	if diff := cmp.Diff(append([]string{}, want...), got); diff != "" {
		t.Errorf("the emails: %s", diff)
	}
}

// text returns the text part of the last email.
func (s *stage) text(t *testing.T) string {
	t.Helper()
	all := s.inbox.Emails(t)
	return strings.Join(strings.Fields(all[len(all)-1].Body.Text), " ")
}

func (s *stage) profile(t *testing.T, key agency.ProfileKey) agency.Profile {
	t.Helper()
	return must[service.Snapshot](t)(s.store.Load(t.Context(), service.Want{Profiles: []agency.ProfileKey{key}})).Profile(key)
}

func (s *stage) reached(t *testing.T, key agency.ProfileKey, delivery agency.Delivery, want ...agency.PersonID) {
	t.Helper()
	p := s.profile(t, key)
	if diff := cmp.Diff(append([]agency.PersonID{}, want...), append([]agency.PersonID{}, p.Request.Reached...)); diff != "" || p.Request.Delivery != delivery {
		t.Errorf("%s, want %s; reached: %s", p.Request.Delivery, delivery, diff)
	}
}

// account opens an account.
func (s *stage) account(t *testing.T, actor agency.Actor, name string) agency.AccountID {
	t.Helper()
	return must[service.AccountView](t)(s.service.OpenAccount(t.Context(), actor, name+"-0123456789012345", name)).ID
}

// agencyOf opens an agency.
func (s *stage) agencyOf(t *testing.T, actor agency.Actor, name string) agency.AccountID {
	t.Helper()
	id := s.account(t, actor, name)
	must[service.AccountView](t)(s.service.SwitchAgencyOn(t.Context(), actor, id))
	return id
}

func (s *stage) ask(t *testing.T, actor agency.Actor, of agency.AccountID, ask service.ConnectionRequest) agency.Profile {
	t.Helper()
	ask.Areas = some
	return must[agency.Profile](t)(s.service.RequestConnection(t.Context(), actor, of, ask))
}

func (s *stage) invite(t *testing.T, by agency.Caller, account agency.AccountID, in service.Invitation) agency.PersonID {
	t.Helper()
	p, _, err := s.service.InvitePerson(t.Context(), by, account, in)
	if err != nil {
		t.Fatal(err)
	}
	return p.Member.Person()
}

// join invites a person, or offers them ownership, and accepts in their name.
func (s *stage) join(t *testing.T, by agency.Caller, account agency.AccountID, in service.Invitation) agency.PersonID {
	t.Helper()
	who := s.invite(t, by, account, in)
	s.accept(t, account, in.Email)
	return who
}

// accept accepts what a person is asked, if anything.
func (s *stage) accept(t *testing.T, account agency.AccountID, email string) {
	t.Helper()
	name, _, _ := strings.Cut(email, "@")
	actor := agency.NewActor(email, "https://issuer.test", name)
	p := s.profile(t, agency.PersonAt(account, actor.ID()))
	if !p.HasOpenRequest() {
		return
	}
	answer := service.Answer{Request: p.Request.Number}
	if p.Request.Role == agency.Owner {
		answer.Plan = "starter"
	}
	must[service.AccountView](t)(s.service.AcceptInvitation(t.Context(), actor, account, answer))
}

func (s *stage) addOwner(t *testing.T, account agency.AccountID, email string) agency.PersonID {
	t.Helper()
	return s.join(t, agency.Caller{Actor: petraActs}, account, service.Invitation{Email: email, Role: agency.Owner})
}

// sweep runs what is due at a profile.
func (s *stage) sweep(t *testing.T, key agency.ProfileKey, want service.Outcome) {
	t.Helper()
	if got := must[service.Outcome](t)(s.service.SweepProfile(t.Context(), key)); got != want {
		t.Fatalf("the clock %q, want %q", got, want)
	}
}

func TestARequestByEmail(t *testing.T) {
	s := newStage(t)
	studio := s.agencyOf(t, annActs, "Bright Studio")
	p := s.ask(t, annActs, studio, service.ConnectionRequest{OwnerEmail: "Petra@Bakery.test", Message: message})
	id := p.ID()
	s.processAll(t, "petra@bakery.test: Bright Studio asks to work for you")
	for _, want := range []string{
		"ann@studio.test of Bright Studio would like to work in an account of yours", "You need an account of your own first",
		"with your address petra@bakery.test and open one: https://hub.example.com Then", "https://hub.example.com/requests/" + string(id),
	} {
		if !strings.Contains(s.text(t), want) {
			t.Errorf("the request does not say %q: %s", want, s.text(t))
		}
	}
	s.reached(t, p.ProfileKey, notFailed, petraActs.ID())

	bakery := s.account(t, petraActs, "Petra’s Bakery")
	s.now = s.now.Add(day)
	must[agency.Profile](t)(s.service.ResendRequest(t.Context(), annActs, studio, id))
	s.processAll(t, "petra@bakery.test: Sent again: Bright Studio asks to work for you")
	if text := s.text(t); !strings.Contains(text, "choose the account. It can be any in which you are an owner or admin.") || strings.Contains(text, "You need an account") {
		t.Error(text)
	}
	s.reached(t, p.ProfileKey, notFailed, petraActs.ID())

	// The agency never learns more than the address that it typed.
	must[agency.Profile](t)(s.service.DeclineRequestByID(t.Context(), petraActs, id, service.Decline{Request: 1}))
	s.processAll(t, "ann@studio.test: Your request to petra@bakery.test was declined", "petra@bakery.test: You declined the request of Bright Studio")
	if text := s.text(t); !strings.Contains(text, "For 30 days it can’t request access again. If you blocked it, it can’t until you unblock it.") {
		t.Error(text)
	}
	s.now = s.now.Add(s.service.Rules.Cooldown)
	s.ask(t, annActs, studio, service.ConnectionRequest{OwnerEmail: "petra@bakery.test"})
	must[agency.Profile](t)(s.service.WithdrawRequest(t.Context(), annActs, studio, id))
	s.processAll(t)
	s.ask(t, annActs, studio, service.ConnectionRequest{OwnerEmail: "petra@bakery.test"})
	s.processAll(t, "petra@bakery.test: Bright Studio asks to work for you")
	must[agency.Profile](t)(s.service.WithdrawRequest(t.Context(), annActs, studio, id))
	s.processAll(t, "petra@bakery.test: Bright Studio has withdrawn its request")
	s.ask(t, annActs, studio, service.ConnectionRequest{OwnerEmail: "petra@bakery.test"})
	s.processAll(t, "petra@bakery.test: Bright Studio asks to work for you")
	s.now = s.now.Add(s.service.Rules.RequestLifetime)
	s.sweep(t, p.ProfileKey, service.OutcomeExpired)
	s.processAll(t, "ann@studio.test: Your request to petra@bakery.test has expired", "petra@bakery.test: The request of Bright Studio has expired")

	s.now = s.now.Add(s.service.Rules.PairWindow)
	s.ask(t, annActs, studio, service.ConnectionRequest{OwnerEmail: "petra@bakery.test"})
	s.processAll(t, "petra@bakery.test: Bright Studio asks to work for you")
	must[agency.Profile](t)(s.service.AcceptRequestInto(t.Context(), petraActs, id, bakery, service.Grant{Request: 5}))
	s.processAll(t, "ann@studio.test: Petra’s Bakery has accepted your request", "petra@bakery.test: Bright Studio was let into Petra’s Bakery")
}

func TestWhoHasAnAccountToChoose(t *testing.T) {
	s := newStage(t)
	studio := s.agencyOf(t, annActs, "Bright Studio")
	bakery := s.account(t, petraActs, "Petra’s Bakery")
	petra := agency.Caller{Actor: petraActs}
	tom := agency.NewActor("tom@bakery.test", "https://issuer.test", "tom")
	has := func(person agency.PersonID, want bool) {
		t.Helper()
		if got, err := hasAccount(t.Context(), s.store, person, studio, s.now); got != want || err != nil {
			t.Errorf("has an account: %v, %v; want %v", got, err, want)
		}
	}
	has(tom.ID(), false)
	for _, in := range []service.Invitation{{Role: agency.Member, Areas: some}, {Role: agency.Admin}, {Role: agency.Owner}} {
		in.Email = tom.Email
		s.invite(t, petra, bakery, in)
		has(tom.ID(), in.Role != agency.Member)
		s.accept(t, bakery, in.Email)
		has(tom.ID(), in.Role != agency.Member)
	}
	// The agency's own account can't be the one that its request goes to.
	has(annActs.ID(), false)
	s.account(t, annActs, "Ann’s own")
	has(annActs.ID(), true)
	must[service.AccountView](t)(s.service.CloseAccount(t.Context(), petra, bakery))
	has(tom.ID(), false)
}

func TestAMutedRequestReachesNobody(t *testing.T) {
	s := newStage(t)
	studio := s.agencyOf(t, annActs, "Bright Studio")
	p := s.ask(t, annActs, studio, service.ConnectionRequest{OwnerEmail: "petra@bakery.test"})
	must[agency.Profile](t)(s.service.DeclineRequestByID(t.Context(), petraActs, p.ID(), service.Decline{Request: 1, Block: true}))
	s.processAll(t, "ann@studio.test: Your request to petra@bakery.test was declined", "petra@bakery.test: You declined the request of Bright Studio")

	s.now = s.now.Add(time.Hour)
	if p = s.ask(t, annActs, studio, service.ConnectionRequest{OwnerEmail: "petra@bakery.test"}); !p.Request.Muted {
		t.Fatal("it is not muted")
	}
	s.processAll(t)
	s.reached(t, p.ProfileKey, notFailed)
	// It stays muted, though she unblocks the agency.
	s.now = s.now.Add(day)
	must[bool](t)(s.service.UnblockForMe(t.Context(), petraActs, p.ID()))
	must[agency.Profile](t)(s.service.ResendRequest(t.Context(), annActs, studio, p.ID()))
	s.processAll(t)
	s.reached(t, p.ProfileKey, notFailed)
	s.now = s.now.Add(s.service.Rules.RequestLifetime - s.service.Rules.RemindBefore)
	s.sweep(t, p.ProfileKey, service.OutcomeReminded)
	s.processAll(t)
	s.now = s.now.Add(s.service.Rules.RemindBefore)
	s.sweep(t, p.ProfileKey, service.OutcomeExpired)
	s.processAll(t, "ann@studio.test: Your request to petra@bakery.test has expired")
}

// An owner with a block or cooldown of their own on an agency is not mailed for an
// account that has none, and the other owners are.
func TestAnOwnersOwnPairMutesTheirEmailAlone(t *testing.T) {
	s := newStage(t)
	studio := s.agencyOf(t, annActs, "Bright Studio")
	bakery := s.account(t, petraActs, "Petra’s Bakery")
	tom := s.addOwner(t, bakery, "tom@bakery.test")
	byEmail := s.ask(t, annActs, studio, service.ConnectionRequest{OwnerEmail: "petra@bakery.test"})
	must[agency.Profile](t)(s.service.DeclineRequestByID(t.Context(), petraActs, byEmail.ID(), service.Decline{Request: 1}))
	s.deliver(t, s.waiting(t)...)

	p := s.ask(t, annActs, studio, service.ConnectionRequest{Account: bakery})
	key := s.waiting(t)[0]
	s.processAll(t, "tom@bakery.test: Bright Studio asks to work in Petra’s Bakery")
	s.reached(t, p.ProfileKey, notFailed, tom)
	s.finished(t, outbox.MailKey{Event: key.ID, Kind: "requested", Recipient: petraActs.ID()}, false)

	// She unblocks it, and gets the next email and so that of its end.
	s.now = s.now.Add(day)
	must[bool](t)(s.service.UnblockForMe(t.Context(), petraActs, byEmail.ID()))
	must[agency.Profile](t)(s.service.ResendRequest(t.Context(), annActs, studio, p.ID()))
	asks := "Bright Studio asks to work in Petra’s Bakery"
	s.processAll(t, "petra@bakery.test: "+asks, "tom@bakery.test: Sent again: "+asks)
	s.reached(t, p.ProfileKey, notFailed, tom, petraActs.ID())
}

// finished checks that an email is at its end, sent or not.
func (s *stage) finished(t *testing.T, m outbox.MailKey, sent bool) {
	t.Helper()
	claim, err := s.store.ClaimMail(t.Context(), m, outbox.NewOwner(), s.now, lease)
	if claim.State != outbox.ClaimDone || err != nil {
		t.Errorf("the email is not finished: %v, %v", claim, err)
	}
	if got := must[bool](t)(s.store.WasSent(t.Context(), m)); got != sent {
		t.Errorf("sent: %v, want %v", got, sent)
	}
}

func TestAReminder(t *testing.T) {
	s := newStage(t)
	bakery, studio, _ := s.requested(t)
	s.processAll(t, theRequest)
	s.now = deadline.Add(-s.service.Rules.RemindBefore)
	s.sweep(t, agency.AgencyAt(bakery, studio), service.OutcomeReminded)
	s.processAll(t, "petra@bakery.test: Reminder: Bright Studio asks to work in Petra’s Bakery")
	for _, want := range []string{"for 3 days more", "ann@studio.test of Bright Studio", "Monday, 7 December 2026 at 10:00 UTC", "as agreed on the phone"} {
		if !strings.Contains(s.text(t), want) {
			t.Errorf("the reminder does not say %q: %s", want, s.text(t))
		}
	}
	s.sweep(t, agency.AgencyAt(bakery, studio), service.OutcomeNone)
}

func TestAnEndIsToldAhead(t *testing.T) {
	s := newStage(t)
	bakery, studio, _ := s.requested(t)
	s.processAll(t, theRequest)
	connection := agency.AgencyAt(bakery, studio)
	until := s.now.Add(10 * day)
	must[agency.Profile](t)(s.service.AcceptRequest(t.Context(), agency.Caller{Actor: petraActs}, bakery, studio, service.Grant{Request: 1, Until: &until}))
	s.processAll(t, "ann@studio.test: Petra’s Bakery has accepted your request", "petra@bakery.test: Bright Studio was let into Petra’s Bakery")
	if !strings.Contains(s.text(t), "The access ends by itself on Thursday, 3 December 2026 at 10:00 UTC.") {
		t.Error(s.text(t))
	}
	both := func(left string) []string {
		return []string{"ann@studio.test: Your access to Petra’s Bakery ends in " + left, "petra@bakery.test: The access of Bright Studio to Petra’s Bakery ends in " + left}
	}
	s.now = until.Add(-7 * day)
	s.sweep(t, connection, service.OutcomeReminded)
	s.processAll(t, both("7 days")...)
	s.now = until.Add(-day)
	s.sweep(t, connection, service.OutcomeReminded)
	// It is mailed late, and says how much is left by then.
	s.now = until.Add(-5 * time.Hour)
	s.processAll(t, both("5 hours")...)

	// A moved date has a warning of its own; that of the old one is stale.
	move := func(to time.Time) {
		t.Helper()
		must[agency.Profile](t)(s.service.ChangeMember(t.Context(), agency.Caller{Actor: petraActs}, bakery, agency.Party(studio), service.MemberChange{Until: &to}))
	}
	until = s.now.Add(3 * day)
	move(until)
	s.processAll(t, "ann@studio.test: Until when you may work in Petra’s Bakery has changed")
	s.now = until.Add(-day)
	s.sweep(t, connection, service.OutcomeReminded)
	move(time.Time{})
	s.processAll(t, "ann@studio.test: Until when you may work in Petra’s Bakery has changed")
	if !strings.Contains(s.text(t), "The access has no end date any more") {
		t.Error(s.text(t))
	}
	until = s.now.Add(time.Hour)
	move(until)
	s.processAll(t, "ann@studio.test: Until when you may work in Petra’s Bakery has changed")
	s.now = until
	s.sweep(t, connection, service.OutcomeLapsed)
	s.processAll(t, "ann@studio.test: Your access to Petra’s Bakery has ended", "petra@bakery.test: The access of Bright Studio to Petra’s Bakery has ended")
}

// cleanUp runs what is due after an account's closing.
func (s *stage) cleanUp(t *testing.T, account agency.AccountID) {
	t.Helper()
	for range 10 {
		if must[service.Outcome](t)(s.service.SweepAccount(t.Context(), account)) == service.OutcomeNone {
			return
		}
	}
	t.Fatal("the closing has no end")
}

// Cleanup may have ended the profiles before the closing is mailed: it is mailed to
// those who had access when it happened, and its consequences are not mailed.
func TestAClosingIsTold(t *testing.T) {
	for _, cleanedUp := range []bool{false, true} {
		t.Run(fmt.Sprint("cleaned up: ", cleanedUp), func(t *testing.T) {
			s := newStage(t)
			bakery, studio, _ := s.requested(t)
			s.processAll(t, theRequest)
			must[agency.Profile](t)(s.service.AcceptRequest(t.Context(), agency.Caller{Actor: petraActs}, bakery, studio, service.Grant{Request: 1}))
			s.addOwner(t, bakery, "tom@bakery.test")
			bob, eve := agency.NewActor("bob@agency.test", "https://issuer.test", "bob"), agency.NewActor("eve@gone.test", "https://issuer.test", "eve")
			asks, gone := s.agencyOf(t, bob, "Asking"), s.agencyOf(t, eve, "Gone")
			s.ask(t, bob, asks, service.ConnectionRequest{Account: bakery})
			withdrawn := s.ask(t, eve, gone, service.ConnectionRequest{Account: bakery})
			must[agency.Profile](t)(s.service.WithdrawRequest(t.Context(), eve, gone, withdrawn.ID()))
			s.deliver(t, s.waiting(t)...)

			s.now = s.now.Add(time.Hour)
			must[service.AccountView](t)(s.service.CloseAccount(t.Context(), agency.Caller{Actor: petraActs}, bakery))
			if cleanedUp {
				s.now = s.now.Add(time.Minute)
				s.cleanUp(t, bakery)
				if p := s.profile(t, agency.AgencyAt(bakery, studio)); p.Status != agency.Ended {
					t.Fatalf("the agency is %s", p.Status)
				}
			}
			all := s.inbox.Emails(t)
			s.deliver(t, s.waiting(t)...)
			if left := s.waiting(t); len(left) > 0 {
				t.Errorf("%d events still wait", len(left))
			}
			var got []string
			for _, e := range s.inbox.Emails(t)[len(all):] {
				got = append(got, e.Destination.To[0]+": "+e.Subject)
			}
			slices.Sort(got)
			want := []string{
				"ann@studio.test: Petra’s Bakery was closed", "bob@agency.test: " + string(bakery) + " was closed",
				"petra@bakery.test: Petra’s Bakery was closed", "tom@bakery.test: Petra’s Bakery was closed",
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestTheClosingOfAnOwnedAccountIsTold(t *testing.T) {
	s := newStage(t)
	studio := s.agencyOf(t, annActs, "Bright Studio")
	cafe := must[service.AccountView](t)(s.service.CreateAccount(t.Context(), annActs, studio, "cafe-01234567890", service.NewClientAccount{
		Name: "Café Chloé", Plan: "growth", ConfirmPermanentOwnership: true, Client: &service.NewClient{Email: "chloe@cafe.test", Areas: some},
	})).ID
	s.accept(t, cafe, "chloe@cafe.test")
	s.deliver(t, s.waiting(t)...)
	must[service.AccountView](t)(s.service.CloseAccount(t.Context(), agency.Caller{Actor: annActs, As: studio}, cafe))
	s.cleanUp(t, cafe)
	s.processAll(t, "chloe@cafe.test: Café Chloé was closed", "ann@studio.test: Café Chloé was closed")
	if text := s.text(t); !strings.Contains(text, "ann@studio.test of Bright Studio closed the account Café Chloé, which Bright Studio owned.") {
		t.Error(text)
	}
}

// Every change of a subscription reaches its payer.
func TestThePayerLearnsOfTheSubscription(t *testing.T) {
	s := newStage(t)
	bakery, studio, _ := s.requested(t)
	petra := agency.Caller{Actor: petraActs}
	must[agency.Profile](t)(s.service.AcceptRequest(t.Context(), petra, bakery, studio, service.Grant{Request: 1}))
	s.deliver(t, s.waiting(t)...)
	told := func(subject string) {
		t.Helper()
		s.processAll(t, "petra@bakery.test: "+subject)
	}
	must[service.SubscriptionView](t)(s.service.ChangePlan(t.Context(), petra, bakery, "growth"))
	told("Petra’s Bakery is on the plan Growth now")
	must[service.SubscriptionView](t)(s.service.CancelSubscription(t.Context(), petra, bakery, false))
	told("The subscription of Petra’s Bakery is cancelled")
	must[service.SubscriptionView](t)(s.service.CancelSubscription(t.Context(), petra, bakery, true))
	told("Petra’s Bakery is frozen")
	must[service.SubscriptionView](t)(s.service.ResumeSubscription(t.Context(), petra, bakery))
	told("The subscription of Petra’s Bakery goes on")
	platform := agency.Platform{Client: "the-platform"}
	must[agency.Account](t)(s.service.ReportPayment(t.Context(), platform, bakery, service.Payment{Failed: true, At: monday}))
	told("A payment for Petra’s Bakery has failed")
	must[agency.Account](t)(s.service.ReportPayment(t.Context(), platform, bakery, service.Payment{At: monday.Add(time.Second)}))
	told("The payment for Petra’s Bakery has succeeded")
}

// The people that a request reached are known even if saving them failed, and while some of its
// emails still wait.
func TestReachedSurvivesARepeat(t *testing.T) {
	s := newStage(t)
	bakery, studio, id := s.requested(t)
	connection := agency.AgencyAt(bakery, studio)
	tom := s.addOwner(t, bakery, "tom@bakery.test")
	keys := s.waiting(t)
	s.faults.reached = errFault
	s.handle(t, s.n, batch(keys[0]), "s1")
	s.reached(t, connection, notFailed)
	s.faults.reached = nil
	before := len(s.inbox.Emails(t))
	s.deliver(t, keys...)
	if got := len(s.inbox.Emails(t)); got != before+2 {
		t.Errorf("%d emails more, want those of Tom's acceptance alone", got-before)
	}
	s.reached(t, connection, notFailed, petraActs.ID(), tom)

	// A new owner was not mailed the request, nor is its end.
	s.addOwner(t, bakery, "una@bakery.test")
	s.processAll(t, "petra@bakery.test: una@bakery.test joined Petra’s Bakery", "tom@bakery.test: una@bakery.test is now an owner of Petra’s Bakery", "una@bakery.test: You joined Petra’s Bakery")
	must[agency.Profile](t)(s.service.WithdrawRequest(t.Context(), annActs, studio, id))
	gone := ": Bright Studio has withdrawn its request"
	s.processAll(t, "petra@bakery.test"+gone, "tom@bakery.test"+gone)
}

func TestWhoWasReachedIsNotedWhileOthersWait(t *testing.T) {
	s := newStage(t)
	bakery, studio, id := s.requested(t)
	s.now = s.now.Add(time.Minute)
	s.addOwner(t, bakery, "tom@bakery.test")
	ses := &moodySES{mood: func(to string) (int, string, string) {
		if to == "tom@bakery.test" {
			return 503, "ServiceUnavailable", ""
		}
		return 200, "", ""
	}}
	n := s.notifier(t, ses.start(t))
	key := s.waiting(t)[0]
	s.handle(t, n, batch(key), "")
	s.told(t, false, key)
	s.reached(t, agency.AgencyAt(bakery, studio), notFailed, petraActs.ID())
	must[agency.Profile](t)(s.service.WithdrawRequest(t.Context(), annActs, studio, id))
	s.processAll(t, "petra@bakery.test: tom@bakery.test joined Petra’s Bakery", "tom@bakery.test: You joined Petra’s Bakery", "petra@bakery.test: Bright Studio has withdrawn its request")
	s.reached(t, agency.AgencyAt(bakery, studio), notFailed, petraActs.ID())
}

func TestStaffAreToldOfTheirClients(t *testing.T) {
	s := newStage(t)
	studio := s.agencyOf(t, annActs, "Bright Studio")
	ann := agency.Caller{Actor: annActs}
	sam := s.join(t, ann, studio, service.Invitation{Email: "sam@studio.test", Role: agency.Member, Areas: some})
	s.processAll(t, "ann@studio.test: sam@studio.test joined Bright Studio", "sam@studio.test: You joined Bright Studio")
	assign := func(clients []agency.AccountID, want string) {
		t.Helper()
		must[agency.Profile](t)(s.service.ChangeMember(t.Context(), ann, studio, agency.Party(sam), service.MemberChange{Clients: &clients}))
		s.processAll(t, "sam@studio.test: Your clients in Bright Studio have changed")
		if text := s.text(t); !strings.Contains(text, want) {
			t.Errorf("it does not say %q: %s", want, text)
		}
	}
	assign([]agency.AccountID{bakery, studio}, "You work for 2 clients of Bright Studio.")
	assign([]agency.AccountID{}, "You work for no client of Bright Studio.")
	assign(nil, "You work for all clients of Bright Studio.")
}

// A person who is erased is not mailed, and the agency can't tell: its request to
// them stays pending.
func TestAnErasedPersonIsNotWrittenTo(t *testing.T) {
	s := newStage(t)
	studio := s.agencyOf(t, annActs, "Bright Studio")
	other := s.agencyOf(t, annActs, "Another")
	told := s.ask(t, annActs, studio, service.ConnectionRequest{OwnerEmail: "petra@bakery.test"})
	s.processAll(t, "petra@bakery.test: Bright Studio asks to work for you")
	untold := s.ask(t, annActs, other, service.ConnectionRequest{OwnerEmail: "petra@bakery.test"})
	s.now = s.now.Add(time.Hour)
	if err := s.service.EraseMe(t.Context(), petraActs); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		must[service.Outcome](t)(s.service.SweepPerson(t.Context(), petraActs.ID()))
		s.now = s.now.Add(5 * time.Minute)
	}
	s.processAll(t)
	for _, p := range []agency.Profile{told, untold} {
		if got := s.profile(t, p.ProfileKey); got.StatusAt(s.now) != agency.Pending || got.Request.Delivery != notFailed {
			t.Errorf("the request is %s, its email %s", got.StatusAt(s.now), got.Request.Delivery)
		}
	}
	must[agency.Profile](t)(s.service.WithdrawRequest(t.Context(), annActs, studio, told.ID()))
	s.processAll(t)
	s.now = untold.Request.ExpiresAt
	must[service.Outcome](t)(s.service.SweepProfile(t.Context(), untold.ProfileKey))
	s.processAll(t, "ann@studio.test: Your request to petra@bakery.test has expired")
}
