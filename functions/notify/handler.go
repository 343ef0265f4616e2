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

// store is what notify reads and writes of the table.
type store interface {
	reader
	outbox.Requests
	Event(context.Context, table.EventKey) (agency.Event, bool, error)
	ClaimMail(ctx context.Context, m outbox.MailKey, now time.Time, lease time.Duration) (outbox.Claim, error)
	ClaimUnsolicited(ctx context.Context, m outbox.MailKey, now time.Time, lease time.Duration, limit int) (outbox.Claim, error)
	FinishMail(ctx context.Context, m outbox.MailKey, fate outbox.Fate, messageID string, now time.Time) error
	WasSent(context.Context, outbox.MailKey) (bool, error)
	ReleaseMail(context.Context, outbox.MailKey) error
	SetDelivery(ctx context.Context, k agency.ProfileKey, request int, d agency.Delivery, reached []agency.PersonID) error
	Forget(ctx context.Context, id agency.PersonID, lifted time.Time) error
	MarkDone(context.Context, table.EventKey) error
}

// Time within one invocation.
const (
	// lease is how long a claim on an email holds: far longer than an email can
	// take, so that two invocations never send one.
	lease = time.Minute
	// saveTime is for saving the fate of an email, also when the time for sending
	// it is over.
	saveTime = 5 * time.Second
)

// notifier publishes events and mails them. It handles one invocation at a time, as
// Lambda calls it; any number of notifiers may run at once.
type notifier struct {
	store      store
	mailer     mailer
	bus        bus
	meter      cloud.Meter
	deployment deployment
	templates  templates
	now        func() time.Time
	// refreshCopies writes an account's present name and subscription into the
	// copies of them.
	refreshCopies func(context.Context, agency.AccountID) error
}

// Handle processes the events of a batch of stream records in order. It stops at the
// first one that the table fails, and returns the sequence number of its record, so
// that AWS delivers that record and all after it again. Any other failure does not
// stop the next event: the event keeps its due mark, and cleanup wakes it later.
func (n *notifier) Handle(ctx context.Context, batch events.DynamoDBEvent) (events.DynamoDBEventResponse, error) {
	run := invocation{notifier: n, fates: map[outbox.Fate]int{}}
	defer run.measure()
	for _, record := range batch.Records {
		key, err := keyOf(record)
		if err != nil {
			// It will never be readable.
			slog.ErrorContext(ctx, "A stream record has no event's key; it is skipped.", "sequenceNumber", record.Change.SequenceNumber, "error", err.Error())
			continue
		}
		log := slog.With("event", string(key.ID), "account", string(key.Addressee))
		err = run.process(ctx, key, log)
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

// keyOf reads the event's key. The record's image is not used: it is as old as the
// stream.
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
	// sesFailing: SES has failed to take an email. busFailing: the bus has failed to
	// take an event.
	sesFailing, busFailing bool
	// fates counts the fates of emails. latencies are the seconds from an event to
	// each of its emails that was sent.
	fates     map[outbox.Fate]int
	latencies []float64
}

// maxValues is how many values of one metric CloudWatch takes in a line.
const maxValues = 100

// measure records the invocation's metrics.
func (n *invocation) measure() {
	for fate, count := range n.fates {
		n.meter.Record("Fate", string(fate), cloud.One("Mails", cloud.Count, float64(count)))
	}
	for latencies := range slices.Chunk(n.latencies, maxValues) {
		n.meter.Record("", "", cloud.Metric{Name: "TimeToEmail", Unit: cloud.Seconds, Values: latencies})
	}
}

// finish saves the fate of an email.
func (n *invocation) finish(ctx context.Context, key outbox.MailKey, fate outbox.Fate, messageID string) error {
	n.fates[fate]++
	return n.store.FinishMail(ctx, key, fate, messageID, n.now())
}

// process puts an event on the bus, sends its emails and does what else follows from
// it, as far as that is not done yet. The bus and the emails do not wait for each
// other. Errors: errNotUnderstood, errLater, and the table's.
func (n *invocation) process(ctx context.Context, key table.EventKey, log *slog.Logger) error {
	e, found, err := n.store.Event(ctx, key)
	if err != nil {
		return err
	}
	switch {
	case !found:
		// It is collected since.
		return nil
	case e.WakeAt.IsZero():
		// Its emails are done. What comes after that may have failed.
		return outbox.FailRequest(ctx, n.store, e)
	}
	all, err := loadContext(ctx, n.store, e, n.now())
	if err != nil {
		return err
	}
	published := n.publish(ctx, e, log)
	if published != nil && !errors.Is(published, errLater) {
		return published
	}
	var waiting error
	var sent []agency.PersonID
	for _, c := range all {
		mails, err := suppressed(ctx, n.store, emailsFor(c))
		if err != nil {
			return err
		}
		for _, m := range mails {
			done, err := n.deliver(ctx, c, m, log.With("kind", m.kind, "recipient", string(m.to.ID)))
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
	switch {
	case e.MailsRequest():
		p := all[0].profile
		if d, reached, changed := outbox.Delivery(p, sent, waiting == nil); changed {
			err = n.store.SetDelivery(ctx, p.ProfileKey, e.Request, d, reached)
		}
	case e.ChangesCopies():
		err = n.refreshAccount(ctx, e.AccountID())
	}
	if err = cmp.Or(err, waiting, published); err != nil {
		return err
	}
	if err := n.store.MarkDone(ctx, key); err != nil {
		return err
	}
	return outbox.FailRequest(ctx, n.store, e)
}

// refreshAccount refreshes the copies of an account's name and subscription within
// the invocation's time. What is left is done when the event is woken.
func (n *invocation) refreshAccount(ctx context.Context, account agency.AccountID) error {
	if deadline, ok := ctx.Deadline(); ok {
		bounded, cancel := context.WithDeadline(ctx, deadline.Add(-saveTime))
		defer cancel()
		ctx = bounded
	}
	err := n.refreshCopies(ctx, account)
	if err != nil && ctx.Err() != nil || agency.CodeOf(err) == agency.Conflict {
		return fmt.Errorf("%w: not every copy of the account is written", errLater)
	}
	return err
}

// deliver sends one email or saves why not, unless another invocation has or is about
// to, and reports whether it was sent, now or before. An invocation that dies after
// SES took the email and before noting it makes it be sent a second time, once the
// claim has run out.
func (n *invocation) deliver(ctx context.Context, c eventContext, m mail, log *slog.Logger) (sent bool, err error) {
	if deadline, ok := ctx.Deadline(); ok && deadline.Before(n.now().Add(emailTime)) {
		return false, fmt.Errorf("%w: the invocation's time is nearly over", errLater)
	}
	var r email
	if m.withheld == "" {
		if r, err = n.templates.render(m.kind, n.deployment.emailData(m.kind, c)); err != nil {
			// Our own bug, which a later version fixes.
			log.ErrorContext(ctx, "An email can't be written.", "error", err.Error())
			return false, fmt.Errorf("%w: one can't be written", errLater)
		}
	}
	key := outbox.MailKey{Event: c.event.ID, Kind: m.kind, Recipient: m.to.ID}
	claim, err := n.claim(ctx, key, m)
	switch {
	case err != nil:
		return false, err
	case claim == outbox.ClaimDone:
		return n.store.WasSent(ctx, key)
	case claim == outbox.ClaimHeld:
		return false, fmt.Errorf("%w: another is at one of them", errLater)
	case claim == outbox.ClaimCapped:
		// The claim has saved that.
		n.fates[outbox.Capped]++
		return false, nil
	case m.withheld != "":
		return false, n.finish(ctx, key, m.withheld, "")
	}
	id, err := n.send(ctx, c, m, key, r)
	// Its fate is saved even if the time is over.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTime)
	defer cancel()
	switch {
	case err == nil:
		log.InfoContext(ctx, "An email is sent.", "messageId", id)
		n.latencies = append(n.latencies, n.now().Sub(c.event.At).Seconds())
		return true, n.finish(ctx, key, outbox.Sent, id)
	case errors.Is(err, errRefused):
		log.ErrorContext(ctx, "SES refuses an email for good.", "reason", reason(err))
		return false, n.finish(ctx, key, outbox.Failed, "")
	default:
		n.sesFailing = true
		log.WarnContext(ctx, "SES does not take an email now.", "reason", reason(err))
		if err := n.store.ReleaseMail(ctx, key); err != nil {
			return false, err
		}
		return false, fmt.Errorf("%w: SES does not take them now", errLater)
	}
}

// send hands an email to SES. If the person was suppressed until they signed in, it
// first takes the address off SES's suppression list.
func (n *invocation) send(ctx context.Context, c eventContext, m mail, key outbox.MailKey, r email) (messageID string, err error) {
	if !m.lifted.IsZero() {
		if err := n.mailer.unsuppress(ctx, m.to.Address); err != nil {
			return "", err
		}
		if err := n.store.Forget(ctx, m.to.ID, m.lifted); err != nil {
			return "", err
		}
	}
	return n.mailer.send(ctx, m.to.Address, tags{mail: key, addressee: c.event.Addressee}, r, !n.sesFailing)
}

// claim claims one email. A withheld one does not count towards the daily limit.
func (n *invocation) claim(ctx context.Context, key outbox.MailKey, m mail) (outbox.Claim, error) {
	if m.unsolicited && m.withheld == "" {
		return n.store.ClaimUnsolicited(ctx, key, n.now(), lease, n.deployment.rules.DailyMails)
	}
	return n.store.ClaimMail(ctx, key, n.now(), lease)
}
