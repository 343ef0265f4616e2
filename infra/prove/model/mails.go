package model

import (
	"context"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"pgregory.net/rapid"

	"agencyhub/infra/prove/law"
	"agencyhub/infra/prove/run"
	"agencyhub/shared/agency"
	"agencyhub/shared/outbox"
	"agencyhub/shared/service"
)

// Mailer sends the emails of an event that is in the table, as notify does, and returns
// what it handed to SES.
type Mailer interface {
	Send(ctx context.Context, e agency.Event, now time.Time) ([]Sent, error)
}

// Sent is an email that was handed to SES.
type Sent struct {
	Key     outbox.MailKey
	Address string
}

// NewMailer makes the mailer of a worker.
type NewMailer func(t *testing.T, db *dynamodb.Client, table string) Mailer

// unsent is an event by the law and by the product.
type unsent struct {
	law     law.Event
	product agency.Event
}

// sendMails sends the emails of all events so far, in their order, and compares them with
// the law.
func (w *world) sendMails(rt *rapid.T) {
	if len(w.unsent) == 0 {
		return
	}
	for _, e := range w.unsent {
		w.sendMail(rt, e)
	}
	w.unsent = nil
	// notify notes who was reached by a request.
	w.held = w.load(rt)
}

// mail is one email as it is compared.
type mail struct {
	Kind string
	To   agency.PersonID
	Fate outbox.Fate
}

func (w *world) sendMail(rt *rapid.T, e unsent) {
	sent, err := w.mailer.Send(w.ctx, e.product, w.now)
	if err != nil {
		rt.Fatalf("the emails of %s: %v", e.product.Type, err)
	}
	stored, err := w.table.Mails(w.ctx, e.product.ID)
	if err != nil {
		rt.Fatal(err)
	}
	want, got, addresses, handed := map[mail]int{}, map[mail]int{}, map[string]int{}, map[string]int{}
	for _, m := range w.law.Mail(e.law, w.now) {
		want[mail{m.Kind, m.To, m.Fate}]++
		if m.Fate == outbox.Sent {
			addresses[m.Kind+" to "+m.Address]++
		}
	}
	for _, m := range stored {
		got[mail{m.Kind, m.Recipient, m.Fate}]++
	}
	for _, s := range sent {
		handed[s.Key.Kind+" to "+s.Address]++
	}
	if !maps.Equal(want, got) || !maps.Equal(addresses, handed) {
		rt.Fatalf("the emails of %s, which happened at %s, at %s:\n%s%s%+v", e.product.Type, e.product.At.Format(time.RFC3339), w.now.Format(time.RFC3339),
			differ("emails", want, got), differ("handed to SES", addresses, handed), e.law)
	}
	w.seen.countMails(want)
}

// mailCommand performs what only concerns emails: a mailbox stops unsolicited mail or
// allows it again, or an address bounces.
func (w *world) mailCommand(rt *rapid.T) {
	who := w.person(rt)
	switch between(rt, 0, 3, "mail command") {
	case 0:
		w.perform(rt, law.Command{Do: law.StopMail, By: who})
	case 1:
		w.perform(rt, law.Command{Do: law.AllowMail, By: who})
	default:
		if _, err := w.table.Suppress(w.ctx, who.ID(), agency.AddressBounced, w.now.UTC().Truncate(time.Millisecond)); err != nil {
			rt.Fatal(err)
		}
		w.law.Suppress(who.ID())
		read, err := w.table.Load(w.ctx, service.Want{People: []agency.PersonID{who.ID()}})
		if err != nil {
			rt.Fatal(err)
		}
		w.held.people[who.ID()] = run.Person(read.Person(who.ID()))
	}
}

func (s *tally) countMails(mails map[mail]int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for m, n := range mails {
		s.kinds[m.Kind] += n
		s.fates[m.Fate] += n
	}
}

// kindsOfLaw are the emails that the sequences can cause.
var kindsOfLaw = []string{
	"accepted-agency", "accepted-client", "access-changed", "access-given", "access-taken", "closed-agency", "closed-client", "created-agency",
	"created-client", "declined-agency", "declined-client", "declined-person", "expired-agency", "expired-client", "expired-person",
	"invitation-declined", "invitation-expired", "invitation-expired-maker", "invitation-withdrawn", "invited", "invited-again",
	"invited-reminder", "lapse-ahead-agency", "lapse-ahead-client", "lapsed-agency", "lapsed-client", "left-agency", "left-client", "offered",
	"offered-again", "offered-reminder", "owner-named", "owner-replaced", "ownership-accepted", "ownership-received", "payment-failed",
	"payment-failed-agency", "payment-recovered", "payment-recovered-agency", "person-added", "person-changed", "person-joined", "person-left",
	"person-removed", "plan-changed", "plan-changed-agency", "reminded", "reminded-person", "requested", "requested-person", "resent",
	"resent-person", "restricted-agency", "revoked-agency", "revoked-client", "subscription-cancelled", "subscription-cancelled-agency",
	"subscription-frozen", "subscription-frozen-agency", "subscription-resumed", "subscription-resumed-agency", "withdrawn-client", "withdrawn-person",
}

// fatesOfLaw are those that need no bounce or digest.
var fatesOfLaw = []outbox.Fate{outbox.Sent, outbox.Held, outbox.Obsolete, outbox.Stopped, outbox.Muted, outbox.Suppressed}

// missingKinds are the kinds that did not occur, for a figure.
func (s *tally) missingKinds() []string {
	return slices.DeleteFunc(slices.Clone(kindsOfLaw), func(kind string) bool { return s.kinds[kind] > 0 })
}
