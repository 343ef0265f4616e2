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
		slog.DebugContext(ctx, "An event of SES is left alone.", "reason", err.Error())
		return nil
	case err != nil:
		// Trying again does not help, but leads to the queue: the event is the only copy
		// of its news.
		slog.ErrorContext(ctx, "An event of SES can't be read.", "reason", err.Error())
		return err
	}
	log := slog.With("event", string(n.mail.Event), "account", string(n.addressee), "kind", n.mail.Kind,
		"recipient", string(n.mail.Recipient), "messageId", n.messageID, "fate", string(n.fate))
	raised, err := r.store.AdvanceFate(ctx, n.mail, n.fate, n.messageID, r.now())
	if err != nil {
		return err
	}
	if raised {
		log.InfoContext(ctx, "SES has news of an email.")
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
		log.WarnContext(ctx, "A person is not mailed any more until they sign in.", "reason", string(n.reason))
	}
	if n.fate != outbox.Bounced {
		return nil
	}
	e, found, err := r.store.Event(ctx, table.EventKey{Addressee: n.addressee, ID: n.mail.Event})
	if err != nil || !found {
		return err
	}
	if !e.IsDoneBy(outbox.Notify) {
		// notify is not done with the event, and checks the fates of its emails then.
		return nil
	}
	return outbox.FailRequest(ctx, r.store, e.Event)
}
