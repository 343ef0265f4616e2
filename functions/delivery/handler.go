package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"time"

	"agencyhub/shared/agency"
	"agencyhub/shared/cloud"
	"agencyhub/shared/outbox"
	"agencyhub/shared/table"
	"agencyhub/shared/trace"
)

// emailStore is what delivery reads and writes of the table.
type emailStore interface {
	outbox.Requests
	Event(context.Context, table.EventKey) (outbox.Event, bool, error)
	AdvanceFate(ctx context.Context, m outbox.MailKey, fate outbox.Fate, messageID string, now time.Time) (bool, error)
	Suppress(ctx context.Context, id agency.PersonID, reason agency.SuppressionReason, at time.Time) (bool, error)
}

// receiver records the events of SES. Several may run at once.
type receiver struct {
	store            emailStore
	configurationSet string
	meter            cloud.Meter
	now              func() time.Time
}

// Handle records one event of SES. Events can come late, twice and out of order. Each
// step changes nothing when it is repeated, so a failure is repaired by handling the
// event again. After an error Lambda tries again, and keeps the event in the failures
// queue at last. Errors: those of the table, and errUnreadable.
func (r *receiver) Handle(ctx context.Context, raw json.RawMessage) error {
	n, err := parseEvent(raw, r.configurationSet, r.now())
	switch {
	case errors.Is(err, errNotOurs), errors.Is(err, errNotOfInterest):
		slog.DebugContext(ctx, "An event of SES is ignored.", "reason", err.Error())
		return nil
	case err != nil:
		// Trying again does not help, but leads to the queue: the event is the only copy
		// of its news.
		slog.ErrorContext(ctx, "An event of SES can't be read.", "reason", err.Error())
		return err
	}
	ctx = trace.With(ctx, slog.String("event", string(n.mail.Event)), slog.String("account", string(n.addressee)), slog.String("kind", n.mail.Kind),
		slog.String("recipient", string(n.mail.Recipient)), slog.String("messageId", n.messageID), slog.String("fate", string(n.fate)))
	e, found, err := r.store.Event(ctx, table.EventKey{Addressee: n.addressee, ID: n.mail.Event})
	ctx = trace.WithRequest(ctx, e.RequestID)
	if err == nil || errors.Is(err, table.ErrUnreadable) {
		err = r.record(ctx, n, e, found, err)
	}
	if err != nil {
		slog.ErrorContext(ctx, "An event of SES is not recorded; it is tried again.", "error", err.Error())
		return err
	}
	return nil
}

// record records what an event of SES says about an email of ours. e is the event that
// has caused the email, as far as it is found and could be read: unread is its error.
// Errors: those of the table.
func (r *receiver) record(ctx context.Context, n notice, e outbox.Event, found bool, unread error) error {
	raised, err := r.store.AdvanceFate(ctx, n.mail, n.fate, n.messageID, r.now())
	if err != nil {
		return err
	}
	if raised {
		slog.InfoContext(ctx, "SES has news of an email.")
		r.meter.Record("Fate", string(n.fate), cloud.One("Mails", cloud.Count, 1))
	}
	if n.reason == "" {
		return nil
	}
	suppressed, err := r.store.Suppress(ctx, n.mail.Recipient, n.reason, n.at)
	if err != nil {
		return err
	}
	if suppressed {
		slog.WarnContext(ctx, "A person is not mailed any more until they sign in.", "reason", string(n.reason))
	}
	if n.fate != outbox.Bounced {
		return nil
	}
	if unread != nil || !found {
		return unread
	}
	if !e.IsDoneBy(outbox.Notify) {
		// notify is not done with the event, and checks the fates of its emails then.
		return nil
	}
	return outbox.FailRequest(ctx, r.store, e.Event)
}
