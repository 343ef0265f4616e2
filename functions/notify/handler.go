package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"agencyhub/shared/agency"
	"agencyhub/shared/cloud"
	"agencyhub/shared/outbox"
	"agencyhub/shared/stream"
	"agencyhub/shared/trace"
)

// store is what notify reads and writes of the table.
type store interface {
	reader
	stream.Store
	outbox.Requests
	ClaimMail(ctx context.Context, m outbox.MailKey, owner string, now time.Time, lease time.Duration) (outbox.Claim, error)
	ClaimUnsolicited(ctx context.Context, m outbox.MailKey, u outbox.Unsolicited, owner string, now time.Time, lease time.Duration) (outbox.Claim, error)
	AdvanceFate(ctx context.Context, m outbox.MailKey, fate outbox.Fate, messageID string, now time.Time) (bool, error)
	WasSent(context.Context, outbox.MailKey) (bool, error)
	ReleaseMail(ctx context.Context, m outbox.MailKey, owner string, unconfirmed bool) error
	AddReached(ctx context.Context, k agency.ProfileKey, request int, people ...agency.PersonID) error
	HeldMails(ctx context.Context, box agency.MailboxID, digest int) ([]outbox.HeldMail, error)
	Unhold(ctx context.Context, box agency.MailboxID, mails ...outbox.MailKey) error
	StopLink(ctx context.Context, box agency.MailboxID) (value string, isStopped bool, err error)
	Forget(ctx context.Context, id agency.PersonID, lifted time.Time) error
}

const (
	// lease is how long a claim on an email holds: a minute longer than an invocation can
	// last, so that two invocations never send one, as long as their clocks differ by less
	// than that.
	lease = 2 * time.Minute
	// workers is how many profiles are handled, and how many emails of one event are
	// sent, side by side.
	workers = 16
	// slowTime is how long a recipient is left alone after SES gave no answer for them,
	// while others are accepted: less than until the event is woken.
	slowTime = 45 * time.Second
)

// notifier sends the emails of events. It handles one invocation at a time, as Lambda
// calls it; any number of notifiers may run at once.
type notifier struct {
	store      store
	mailer     mailer
	meter      cloud.Meter
	deployment deployment
	templates  templates
	now        func() time.Time
	pause      func(context.Context, time.Duration)
	workers    int
	// ses decides how long emails are tried again.
	ses *stream.Sink
	// slow has when SES last gave no answer for a recipient.
	slow *slowRecipients
}

// Handle sends the emails of a batch of stream records, as stream.Consumer says.
func (n *notifier) Handle(ctx context.Context, batch events.DynamoDBEvent) (events.DynamoDBEventResponse, error) {
	run := &invocation{notifier: n, owner: outbox.NewOwner(), fates: map[outbox.Fate]int{}, attempts: map[outbox.MailKey]attempt{}}
	defer run.measure()
	consumer := stream.Consumer{
		Name: outbox.Notify, Store: n.store, Process: run.process,
		Finish:  func(ctx context.Context, e agency.Event) error { return outbox.FailRequest(ctx, n.store, e) },
		Knows:   func(t agency.EventType) bool { _, known := emailRules[t]; return known || t == agency.DigestDue },
		Workers: n.workers, Now: n.now, Pause: n.pause,
	}
	return consumer.Handle(ctx, batch)
}

// invocation is the work on one batch.
type invocation struct {
	*notifier
	// owner claims its emails.
	owner string
	mu    sync.Mutex
	// attempts are what the invocation knows of emails before the table does.
	attempts map[outbox.MailKey]attempt
	// fates counts the fates of emails. latencies are the seconds from an event to
	// each of its emails that was sent.
	fates     map[outbox.Fate]int
	latencies []float64
}

// attempt is what came of an attempt to send an email: SES's id for it, or that SES may
// have accepted it.
type attempt struct {
	messageID   string
	unconfirmed bool
}

func (n *invocation) attempt(key outbox.MailKey) attempt {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.attempts[key]
}

func (n *invocation) noteAttempt(key outbox.MailKey, a attempt) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.attempts[key] = a
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

func (n *invocation) countFate(fate outbox.Fate) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.fates[fate]++
}

func (n *invocation) countSent(latency time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.latencies = append(n.latencies, latency.Seconds())
}

// finish saves the fate of an email. The context's lines name the email.
func (n *invocation) finish(ctx context.Context, key outbox.MailKey, fate outbox.Fate, messageID string) error {
	stored := false
	err := stream.Save(ctx, n.pause, func(ctx context.Context) (err error) {
		stored, err = n.store.AdvanceFate(ctx, key, fate, messageID, n.now())
		return err
	})
	if stored {
		n.countFate(fate)
		if fate != outbox.Sent {
			logFate(ctx, fate)
		}
	}
	return err
}

// logFate logs what became of an email that was not sent by itself, and logged then.
func logFate(ctx context.Context, fate outbox.Fate) {
	slog.InfoContext(ctx, "An email's fate is saved.", "fate", string(fate))
}

// ofMail returns a context whose lines name an email of the event that they name.
func ofMail(ctx context.Context, m outbox.MailKey) context.Context {
	return trace.With(ctx, slog.String("kind", m.Kind), slog.String("recipient", string(m.Recipient)))
}

// process sends an event's emails and does what else follows from it, as far as that is
// not done yet. Errors: stream's, and the table's.
func (n *invocation) process(ctx context.Context, e agency.Event) error {
	if e.Type == agency.DigestDue {
		return n.processDigest(ctx, e)
	}
	all, err := loadContext(ctx, n.store, e, n.now())
	if err != nil || len(all) == 0 {
		return err
	}
	var deliveries []delivery
	for _, c := range all {
		mails, err := checkRecipients(ctx, n.store, emailsFor(c))
		if err != nil {
			return err
		}
		for _, m := range mails {
			deliveries = append(deliveries, delivery{context: c, mail: m})
		}
	}
	n.deliverAll(ctx, deliveries)
	// asked are those who got an email that asks for an answer, if the event has such.
	var asked []agency.PersonID
	var failed, waiting error
	for _, d := range deliveries {
		if d.sent && !isForAgency(d.kind) {
			asked = append(asked, d.to.ID)
		}
		switch {
		case errors.Is(d.err, stream.ErrLater):
			waiting = d.err
		case d.err != nil:
			failed = d.err
		}
	}
	if failed == nil && waiting == nil {
		waiting, failed = n.drop(ctx, e, deliveries)
	}
	if e.MailsRequest() && failed == nil {
		if more := outbox.NotReached(all[0].profile, asked...); len(more) > 0 {
			failed = n.store.AddReached(ctx, e.RequestKey(), e.Request, more...)
		}
	}
	if failed != nil {
		return failed
	}
	return waiting
}

// delivery is one email of an event, and what came of it in this invocation.
type delivery struct {
	context eventContext
	mail
	// digest is what the email says if it is a digest.
	digest *emailData
	sent   bool
	err    error
}

func (d *delivery) key() outbox.MailKey {
	return outbox.MailKey{Event: d.context.event.ID, Kind: d.kind, Recipient: d.to.ID}
}

// deliverAll delivers the emails of an event side by side.
func (n *invocation) deliverAll(ctx context.Context, deliveries []delivery) {
	var wg sync.WaitGroup
	slots := make(chan struct{}, max(1, n.workers))
	for i := range deliveries {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			d := &deliveries[i]
			defer stream.Recover(&d.err)
			d.sent, d.err = n.deliver(ofMail(ctx, d.key()), d)
		})
	}
	wg.Wait()
}

// drop finishes the emails of an event that an earlier attempt has claimed for
// somebody who is no recipient any more: nobody else would.
func (n *invocation) drop(ctx context.Context, e agency.Event, deliveries []delivery) (waiting, failed error) {
	mails, err := n.store.Mails(ctx, e.ID)
	if err != nil {
		return nil, err
	}
	for _, m := range mails {
		present := slices.ContainsFunc(deliveries, func(d delivery) bool { return d.key() == m.MailKey })
		if m.Fate != outbox.Waiting || present {
			continue
		}
		claim, err := n.store.ClaimMail(ctx, m.MailKey, n.owner, n.now(), lease)
		switch {
		case err != nil:
			return nil, err
		case claim.State == outbox.ClaimBusy:
			waiting = fmt.Errorf("%w: another is at one of the emails", stream.ErrLater)
		case claim.State == outbox.ClaimTaken:
			fate, a := outbox.Dropped, n.attempt(m.MailKey)
			switch {
			case a.messageID != "":
				fate = outbox.Sent
			case claim.Unconfirmed || a.unconfirmed:
				fate = outbox.Unconfirmed
			}
			if err := n.finish(ofMail(ctx, m.MailKey), m.MailKey, fate, a.messageID); err != nil {
				return nil, err
			}
		}
	}
	return waiting, nil
}

// deliver sends one email or saves why not, unless another invocation has or is about
// to, and reports whether it was sent, now or before, or may have been. An email is
// sent a second time if SES took it and its answer was lost, or if the invocation died
// before noting it.
func (n *invocation) deliver(ctx context.Context, d *delivery) (sent bool, err error) {
	key := d.key()
	if a := n.attempt(key); a.messageID != "" {
		// It is sent, and that could not be saved.
		return true, n.finish(ctx, key, outbox.Sent, a.messageID)
	}
	if !stream.HasTime(ctx, emailTime) {
		return false, errNoTime
	}
	if d.withheld == "" && n.slow.has(d.to.ID, n.now()) && !n.ses.IsDown() {
		return false, fmt.Errorf("%w: SES did not answer for a recipient a moment ago", stream.ErrLater)
	}
	claim, err := n.claim(ctx, d)
	claim.Unconfirmed = claim.Unconfirmed || n.attempt(key).unconfirmed
	if claim.IsStopped {
		d.withheld = outbox.Stopped
	}
	switch {
	case err != nil:
		return false, err
	case claim.State == outbox.ClaimDone:
		return n.store.WasSent(ctx, key)
	case claim.State == outbox.ClaimBusy:
		return false, fmt.Errorf("%w: another is at one of the emails", stream.ErrLater)
	case claim.State == outbox.ClaimHeld:
		// The claim has saved that.
		n.countFate(outbox.Held)
		logFate(ctx, outbox.Held)
		return false, nil
	case d.withheld != "" && claim.Unconfirmed:
		// It may have been sent. So what follows from it does.
		return true, n.finish(ctx, key, outbox.Unconfirmed, "")
	case d.withheld != "":
		return false, n.finish(ctx, key, d.withheld, "")
	case !stream.HasTime(ctx, emailTime):
		// The claim took long.
		return claim.Unconfirmed, errors.Join(errNoTime, n.release(ctx, key, claim.Unconfirmed))
	}
	if d.digest != nil {
		return n.write(ctx, d, claim, *d.digest)
	}
	data := n.deployment.emailData(d.kind, d.to.ID, d.context)
	if claim.Stop != "" {
		data.StopURL = n.deployment.stopURL(agency.Mailbox(d.to.Address), claim.Stop)
	}
	return n.write(ctx, d, claim, data)
}

// write writes a claimed email and sends it.
func (n *invocation) write(ctx context.Context, d *delivery, claim outbox.Claim, data emailData) (sent bool, err error) {
	r, err := n.templates.render(d.kind, data)
	if err != nil {
		// Our own bug, which a later version fixes.
		slog.ErrorContext(ctx, "An email can't be written.", "error", err.Error())
		return claim.Unconfirmed, errors.Join(fmt.Errorf("%w: one can't be written", stream.ErrLater), n.release(ctx, d.key(), claim.Unconfirmed))
	}
	return n.send(ctx, d, claim, r)
}

var errNoTime = fmt.Errorf("%w: the invocation's time is nearly over", stream.ErrLater)

// release gives a claim back.
func (n *invocation) release(ctx context.Context, key outbox.MailKey, unconfirmed bool) error {
	return stream.Save(ctx, n.pause, func(ctx context.Context) error { return n.store.ReleaseMail(ctx, key, n.owner, unconfirmed) })
}

// send sends a claimed email and saves its fate. An email that SES may have accepted
// counts as sent, also while it is tried again.
func (n *invocation) send(ctx context.Context, d *delivery, claim outbox.Claim, r email) (sent bool, err error) {
	key, messageID, unconfirmed := d.key(), "", claim.Unconfirmed
	err = n.ses.Try(ctx, claim.Attempts > 1, func(ctx context.Context) error {
		var err error
		messageID, err = n.hand(ctx, d, key, r)
		unconfirmed = unconfirmed || errors.Is(err, stream.ErrNoAnswer)
		n.noteAttempt(key, attempt{messageID, unconfirmed})
		return err
	})
	switch {
	case err == nil:
		n.slow.remove(d.to.ID)
		latency := n.now().Sub(d.context.event.At)
		slog.InfoContext(ctx, "An email is sent.", "fate", string(outbox.Sent), "messageId", messageID, "seconds", latency.Seconds())
		n.countSent(latency)
		return true, n.finish(ctx, key, outbox.Sent, messageID)
	case errors.Is(err, stream.ErrRefused) && unconfirmed:
		return true, n.finish(ctx, key, outbox.Unconfirmed, "")
	case errors.Is(err, stream.ErrRefused):
		slog.ErrorContext(ctx, "SES refuses an email permanently.", "reason", reason(err))
		return false, n.finish(ctx, key, outbox.Failed, "")
	}
	if errors.Is(err, stream.ErrNoAnswer) {
		n.slow.add(d.to.ID, n.now())
	}
	slog.WarnContext(ctx, "SES does not take an email now.", "reason", reason(err))
	if err := n.release(ctx, key, unconfirmed); err != nil {
		return unconfirmed, err
	}
	return unconfirmed, fmt.Errorf("%w: SES does not take one of the emails now", stream.ErrLater)
}

// hand hands an email to SES. If the person was suppressed until they signed in, it
// first takes the address off SES's suppression list.
func (n *invocation) hand(ctx context.Context, d *delivery, key outbox.MailKey, r email) (messageID string, err error) {
	if !d.lifted.IsZero() {
		if err := n.mailer.unsuppress(ctx, d.to.Address); err != nil {
			return "", errors.Join(errNotHanded, err)
		}
		if err := n.store.Forget(ctx, d.to.ID, d.lifted); err != nil {
			return "", errors.Join(errNotHanded, err)
		}
	}
	return n.mailer.send(ctx, d.to.Address, tags{mail: key, addressee: d.context.event.Addressee}, r)
}

// claim claims one email. A withheld one does not count towards the daily limits.
func (n *invocation) claim(ctx context.Context, d *delivery) (outbox.Claim, error) {
	if !d.unsolicited || d.withheld != "" {
		return n.store.ClaimMail(ctx, d.key(), n.owner, n.now(), lease)
	}
	rules, now := n.deployment.rules, n.now()
	u := outbox.Unsolicited{
		Mailbox: agency.Mailbox(d.to.Address), Addressee: d.context.event.Addressee,
		IsTagged: agency.Untagged(d.to.Address) != d.to.Address,
		All:      rules.UnsolicitedMails.All, BySender: rules.UnsolicitedMails.BySender, ByAccount: rules.UnsolicitedMails.ByAccount,
	}
	if d.isNew {
		u.All = min(u.All, rules.UnsolicitedMails.NeverSignedIn)
	}
	u.Sender, u.Account = askedBy(d.context)
	u.DigestAt = rules.DigestDue(u.Mailbox, now)
	return n.store.ClaimUnsolicited(ctx, d.key(), u, n.owner, now, lease)
}

// slowRecipients are recipients that SES gave no answer for, and when.
type slowRecipients struct {
	mu   sync.Mutex
	last map[agency.PersonID]time.Time
}

func newSlowRecipients() *slowRecipients {
	return &slowRecipients{last: map[agency.PersonID]time.Time{}}
}

// has reports whether a recipient is to be left alone.
func (s *slowRecipients) has(id agency.PersonID, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, ok := s.last[id]
	return ok && now.Sub(at) < slowTime
}

// add adds a recipient, and deletes those of before slowTime.
func (s *slowRecipients) add(id agency.PersonID, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, at := range s.last {
		if now.Sub(at) >= slowTime {
			delete(s.last, id)
		}
	}
	s.last[id] = now
}

// clear deletes all: SES did not answer for anybody.
func (s *slowRecipients) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.last)
}

func (s *slowRecipients) remove(id agency.PersonID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.last, id)
}
