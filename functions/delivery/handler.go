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

// hub is what delivery reads and writes of the table.
type emailStore interface {
	Event(context.Context, table.EventKey) (agency.Event, bool, error)
	Mails(context.Context, agency.EventID) ([]outbox.Mail, error)
	AdvanceFate(ctx context.Context, m outbox.MailKey, fate outbox.Fate, messageID string, now time.Time) (bool, error)
	Suppress(ctx context.Context, id agency.PersonID, reason agency.SuppressionReason, at time.Time) (bool, error)
	FailDelivery(ctx context.Context, k agency.ProfileKey, request int, mailedAt time.Time) error
	FailInvitation(ctx context.Context, k agency.ProfileKey, since time.Time) error
}

// receiver notes what SES tells. Any number may work at once.
type receiver struct {
	store            emailStore
	configurationSet string
	meter            cloud.Meter
	now              func() time.Time
}

// Handle notes one event of SES. It may come late, doubled and out of order: each
// step changes nothing the second time, so one that failed in between is taken up
// by doing all again. An error is the table's, and Lambda tries again; what can't
// be understood never will be, and is only logged.
func (r *receiver) Handle(ctx context.Context, raw json.RawMessage) error {
	t, err := read(raw, r.configurationSet, r.now())
	switch {
	case errors.Is(err, errNotOurs), errors.Is(err, errNotOfInterest):
		slog.DebugContext(ctx, "An event of SES is left alone.", "reason", err.Error())
		return nil
	case err != nil:
		slog.WarnContext(ctx, "An event of SES can't be understood.", "reason", err.Error())
		return nil
	}
	log := slog.With("event", string(t.mail.Event), "account", string(t.addressee), "kind", t.mail.Kind, "recipient", string(t.mail.Recipient), "messageId", t.messageID, "fate", string(t.fate))
	raised, err := r.store.AdvanceFate(ctx, t.mail, t.fate, t.messageID, r.now())
	if err != nil {
		return err
	}
	if raised {
		log.InfoContext(ctx, "SES has news of an email.")
		r.meter.Record("Fate", string(t.fate), cloud.One("Mails", cloud.Count, 1))
	}
	if t.reason == "" {
		return nil
	}
	suppressed, err := r.store.Suppress(ctx, t.mail.Recipient, t.reason, t.at)
	if err != nil {
		return err
	}
	if suppressed {
		log.WarnContext(ctx, "A person is not mailed any more until they sign in.", "reason", string(t.reason))
	}
	if t.fate != outbox.Bounced {
		return nil
	}
	e, found, err := r.store.Event(ctx, table.EventKey{Addressee: t.addressee, ID: t.mail.Event})
	if err != nil || !found {
		return err
	}
	if key, invites := e.Invited(); invites && key.Member == agency.Party(t.mail.Recipient) {
		return r.store.FailInvitation(ctx, key, e.At)
	}
	if !e.WakeAt.IsZero() {
		// notify has not finished the event, and looks at its emails when it has.
		return nil
	}
	return outbox.FailRequest(ctx, r.store, e)
}
