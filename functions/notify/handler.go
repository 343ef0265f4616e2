package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"agencyhub/shared/agency"
	"agencyhub/shared/cloud"
	"agencyhub/shared/outbox"
	"agencyhub/shared/table"
)

// hub is what notify reads and writes of the table.
type hub interface {
	reader
	Event(context.Context, table.EventKey) (agency.Event, bool, error)
	ClaimMail(ctx context.Context, m outbox.MailKey, now time.Time, lease time.Duration) (outbox.Claim, error)
	ClaimUnsolicited(ctx context.Context, m outbox.MailKey, now time.Time, lease time.Duration, most int) (outbox.Claim, error)
	FinishMail(ctx context.Context, m outbox.MailKey, fate outbox.Fate, messageID string, now time.Time) error
	WasSent(context.Context, outbox.MailKey) (bool, error)
	ReleaseMail(context.Context, outbox.MailKey) error
	SetDelivery(ctx context.Context, k agency.ProfileKey, request int, d agency.Delivery, reached []agency.PersonID) error
	FailDelivery(ctx context.Context, k agency.ProfileKey, request int, mailedAt time.Time) error
	Mails(context.Context, agency.EventID) ([]outbox.Mail, error)
	Forget(ctx context.Context, id agency.PersonID, lifted time.Time) error
	MarkDone(context.Context, table.EventKey) error
}

// Time within one invocation.
const (
	// lease is how long a claim on an email holds. It is far longer than an
	// email can take from its claim to its mark, so that two never hold one.
	lease = time.Minute
	// saveTime is for noting down what has become of an email, also when the
	// time for sending it is over.
	saveTime = 5 * time.Second
)

// notifier tells people what happened. Its methods are safe for one invocation
// at a time, as Lambda calls them; any number of notifiers may work at once.
type notifier struct {
	hub   hub
	post  post
	bus   bus
	meter cloud.Meter
	house house
	paper paper
	now   func() time.Time
	// carryAccount brings an account's present name and subscription to the copies
	// of them.
	carryAccount func(context.Context, agency.AccountID) error
}

// Handle tells the events of a batch of stream records, in their order. It
// stops at the first one which the table fails, and answers the sequence number
// of its record: AWS brings that record and all after it again. Whatever else
// goes wrong with an event does not hold up the next: the event keeps its due
// mark, and cleanup wakes it later.
func (n *notifier) Handle(ctx context.Context, batch events.DynamoDBEvent) (events.DynamoDBEventResponse, error) {
	run := invocation{notifier: n, fates: map[outbox.Fate]int{}}
	defer run.measure()
	for _, record := range batch.Records {
		key, err := keyOf(record)
		if err != nil {
			// It will never be readable, and nothing can be waiting behind it.
			slog.ErrorContext(ctx, "A stream record has no event's key; it is skipped.", "sequenceNumber", record.Change.SequenceNumber, "error", err.Error())
			continue
		}
		log := slog.With("event", string(key.ID), "account", string(key.Addressee))
		err = run.tell(ctx, key, log)
		switch {
		case err == nil:
		case errors.Is(err, errNotUnderstood):
			log.ErrorContext(ctx, "The event is of no kind that can be told; it keeps its due mark.", "error", err.Error())
		case errors.Is(err, errLater):
			log.WarnContext(ctx, "Not everyone could be told; the event keeps its due mark.", "error", err.Error())
		default:
			log.ErrorContext(ctx, "The event could not be told; its record is given back.", "sequenceNumber", record.Change.SequenceNumber, "error", err.Error())
			return events.DynamoDBEventResponse{
				BatchItemFailures: []events.DynamoDBBatchItemFailure{{ItemIdentifier: record.Change.SequenceNumber}},
			}, nil
		}
	}
	return events.DynamoDBEventResponse{}, nil
}

// keyOf reads the event's key. Nothing else of a record is trusted: its image is
// as old as the stream.
func keyOf(record events.DynamoDBEventRecord) (table.EventKey, error) {
	pk, sk := record.Change.Keys["pk"], record.Change.Keys["sk"]
	if pk.DataType() != events.DataTypeString || sk.DataType() != events.DataTypeString {
		return table.EventKey{}, errors.New("the record has no text keys")
	}
	return table.ParseEventKey(pk.String(), sk.String())
}

// errLater is an email that cannot be sent now, but may be later.
var errLater = errors.New("some emails must wait")

// invocation is the work on one batch.
type invocation struct {
	*notifier
	// troubled tells that SES has failed to take an email, and busTroubled that
	// the bus has failed to take an event.
	troubled, busTroubled bool
	// fates counts what became of emails, and took is how long after their event
	// those sent went out, in seconds.
	fates map[outbox.Fate]int
	took  []float64
}

// mostValues is how many numbers CloudWatch takes of one metric in a line.
const mostValues = 100

// measure tells CloudWatch of the invocation.
func (n *invocation) measure() {
	for fate, count := range n.fates {
		n.meter.Record("Fate", string(fate), cloud.One("Mails", cloud.Count, float64(count)))
	}
	for took := range slices.Chunk(n.took, mostValues) {
		n.meter.Record("", "", cloud.Metric{Name: "TimeToEmail", Unit: cloud.Seconds, Values: took})
	}
}

// finish notes what became of an email.
func (n *invocation) finish(ctx context.Context, key outbox.MailKey, fate outbox.Fate, messageID string) error {
	n.fates[fate]++
	return n.hub.FinishMail(ctx, key, fate, messageID, n.now())
}

// tell brings an event to the bus and sends its emails, as far as that has not
// been done yet, and does what else follows from it. Neither waits for the other. Errors: errNotUnderstood, errLater, and the table's.
func (n *invocation) tell(ctx context.Context, key table.EventKey, log *slog.Logger) error {
	e, found, err := n.hub.Event(ctx, key)
	if err != nil {
		return err
	}
	switch {
	case !found:
		// Its time is long over.
		return nil
	case e.WakeAt.IsZero() && e.MailsRequest():
		// It is told. What comes after that may have failed.
		return n.failRequest(ctx, e)
	case e.WakeAt.IsZero():
		return nil
	}
	all, err := look(ctx, n.hub, e, n.now())
	if err != nil {
		return err
	}
	published := n.publish(ctx, e, log)
	if published != nil && !errors.Is(published, errLater) {
		return published
	}
	var waiting error
	var sent []agency.PersonID
	for _, f := range all {
		mails, err := suppressed(ctx, n.hub, plan(f))
		if err != nil {
			return err
		}
		for _, m := range mails {
			done, err := n.deliver(ctx, f, m, log.With("kind", m.kind, "recipient", string(m.to.ID)))
			switch {
			case errors.Is(err, errLater):
				waiting = err
			case err != nil:
				return err
			case done:
				sent = append(sent, m.to.ID)
			}
		}
	}
	switch e.Type {
	case agency.ConnectionRequested, agency.ConnectionResent:
		err = n.noteDelivery(ctx, all[0].profile, e.Request, sent, waiting == nil)
	case agency.AccountRenamed, agency.PlanChanged, agency.SubscriptionCancelled, agency.SubscriptionResumed, agency.SubscriptionFroze,
		agency.PaymentFailed, agency.PaymentRecovered:
		err = n.carry(ctx, e.AccountID())
	default:
	}
	if err = cmp.Or(err, waiting, published); err != nil {
		return err
	}
	if err := n.hub.MarkDone(ctx, key); err != nil || !e.MailsRequest() {
		return err
	}
	return n.failRequest(ctx, e)
}

// failRequest notes that all emails of a request have come back, should SES have
// said so before the event was told: delivery leaves it to us until then.
func (n *invocation) failRequest(ctx context.Context, e agency.Event) error {
	mails, err := n.hub.Mails(ctx, e.ID)
	if err != nil || !outbox.AllBounced(mails) {
		return err
	}
	return n.hub.FailDelivery(ctx, agency.ProfileKey{Addressee: e.Addressee, Member: e.Member}, e.Request, e.At)
}

// noteDelivery notes whom a request has reached, and, once all its emails are
// done, that they are: also when none was sent, since what is withheld reads
// "sent", and one that SES refused has not bounced, which alone reads "failed".
func (n *invocation) noteDelivery(ctx context.Context, p agency.Profile, request int, sent []agency.PersonID, all bool) error {
	people, delivery := slices.Clone(p.Request.Reached), p.Request.Delivery
	for _, id := range sent {
		if !slices.Contains(people, id) {
			people = append(people, id)
		}
	}
	if all {
		delivery = agency.Sent
	} else if len(people) == len(p.Request.Reached) {
		return nil
	}
	return n.hub.SetDelivery(ctx, p.ProfileKey, request, delivery, people)
}

// carry brings an account's new name or subscription to its copies, as far as the invocation's
// time goes. What is left is carried when the event is woken.
func (n *invocation) carry(ctx context.Context, account agency.AccountID) error {
	if deadline, ok := ctx.Deadline(); ok {
		bounded, cancel := context.WithDeadline(ctx, deadline.Add(-saveTime))
		defer cancel()
		ctx = bounded
	}
	err := n.carryAccount(ctx, account)
	if err != nil && ctx.Err() != nil || agency.CodeOf(err) == agency.Conflict {
		return fmt.Errorf("%w: not every copy of the account is written", errLater)
	}
	return err
}

// deliver brings one email to its end, unless another has or is about to, and
// answers whether it was sent, now or before. Between SES's yes and our note of
// it lies a moment: whoever dies in it leaves an email that is sent a second time
// once the claim has run out.
func (n *invocation) deliver(ctx context.Context, f facts, m mail, log *slog.Logger) (sent bool, err error) {
	if deadline, ok := ctx.Deadline(); ok && deadline.Before(n.now().Add(oneEmailAtAll)) {
		return false, fmt.Errorf("%w: the invocation's time is nearly over", errLater)
	}
	var r rendered
	if m.withheld == "" {
		if r, err = n.paper.render(m.kind, n.house.letter(m.kind, f)); err != nil {
			// A fault of ours, which a later version mends.
			log.ErrorContext(ctx, "An email can't be written.", "error", err.Error())
			return false, fmt.Errorf("%w: one can't be written", errLater)
		}
	}
	key := outbox.MailKey{Event: f.event.ID, Kind: m.kind, Recipient: m.to.ID}
	claim, err := n.claim(ctx, key, m)
	switch {
	case err != nil:
		return false, err
	case claim == outbox.ClaimDone:
		return n.hub.WasSent(ctx, key)
	case claim == outbox.ClaimHeld:
		return false, fmt.Errorf("%w: another is at one of them", errLater)
	case claim == outbox.ClaimCapped:
		// That is noted already.
		n.fates[outbox.Capped]++
		return false, nil
	case m.withheld != "":
		return false, n.finish(ctx, key, m.withheld, "")
	}
	id, err := n.send(ctx, f, m, key, r)
	// What has become of it is noted down even if the time is over.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTime)
	defer cancel()
	switch {
	case err == nil:
		log.InfoContext(ctx, "An email is sent.", "messageId", id)
		n.took = append(n.took, n.now().Sub(f.event.At).Seconds())
		return true, n.finish(ctx, key, outbox.Sent, id)
	case errors.Is(err, errRefused):
		log.ErrorContext(ctx, "SES refuses an email for good.", "reason", reason(err))
		return false, n.finish(ctx, key, outbox.Failed, "")
	default:
		n.troubled = true
		log.WarnContext(ctx, "SES does not take an email now.", "reason", reason(err))
		if err := n.hub.ReleaseMail(ctx, key); err != nil {
			return false, err
		}
		return false, fmt.Errorf("%w: SES does not take them now", errLater)
	}
}

// send hands an email to SES. Where mail to the person was suppressed until they
// signed in, SES is told first that it may reach them again.
func (n *invocation) send(ctx context.Context, f facts, m mail, key outbox.MailKey, r rendered) (messageID string, err error) {
	if !m.lifted.IsZero() {
		if err := n.post.unsuppress(ctx, m.to.Address); err != nil {
			return "", err
		}
		if err := n.hub.Forget(ctx, m.to.ID, m.lifted); err != nil {
			return "", err
		}
	}
	return n.post.send(ctx, m.to.Address, tags{mail: key, addressee: f.event.Addressee}, r, !n.troubled)
}

// claim takes one email. What is withheld does not count among what a person
// gets a day.
func (n *invocation) claim(ctx context.Context, key outbox.MailKey, m mail) (outbox.Claim, error) {
	if m.unsolicited && m.withheld == "" {
		return n.hub.ClaimUnsolicited(ctx, key, n.now(), lease, n.house.rules.DailyMails)
	}
	return n.hub.ClaimMail(ctx, key, n.now(), lease)
}
