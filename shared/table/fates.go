package table

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"agencyhub/shared/agency"
)

// Fate is what became of an email.
type Fate string

// The fates.
const (
	// MailWaiting is claimed, or waits to be claimed again.
	MailWaiting Fate = "waiting"
	// What is not sent, and why: overtaken by what has happened since, over its
	// recipient's limit of the day, withheld because the addressee holds the
	// agency off, or because the address bounced or complained before.
	MailObsolete   Fate = "obsolete"
	MailCapped     Fate = "capped"
	MailMuted      Fate = "muted"
	MailSuppressed Fate = "suppressed"
	// MailSent was handed to SES.
	MailSent Fate = "sent"
	// MailDelayed did not get through so far, or was given up for a reason that
	// passes, such as a full mailbox.
	MailDelayed Fate = "delayed"
	// MailFailed is what SES itself refused, at once or after a look.
	MailFailed Fate = "failed"
	// MailDelivered was taken by the recipient's server. It may still come back.
	MailDelivered Fate = "delivered"
	// MailBounced came back for good.
	MailBounced Fate = "bounced"
	// MailComplained was called unwanted by its recipient.
	MailComplained Fate = "complained"
)

// risen are the fates from the lowest; those that are not sent are one step,
// since an email has but one of them. SES's news may come late, doubled and out
// of order, and before notify's own: an email keeps the highest that was told of
// it.
var risen = [][]Fate{
	{MailWaiting},
	{MailObsolete, MailCapped, MailMuted, MailSuppressed},
	{MailSent}, {MailDelayed}, {MailFailed}, {MailDelivered}, {MailBounced}, {MailComplained},
}

// Fates are all there are, from the lowest.
var Fates = slices.Concat(risen...)

// below are the fates that an email rises from to this one.
func (f Fate) below() []Fate {
	var lower []Fate
	for _, step := range risen {
		if slices.Contains(step, f) {
			break
		}
		lower = append(lower, step...)
	}
	return lower
}

// RaiseMail notes what became of an email that was claimed, if that is higher
// than what is noted already. messageID is SES's; "" for what was not sent. It
// answers false when nothing was noted: the email has risen as far or further, or
// there is none.
func (t *Table) RaiseMail(ctx context.Context, m MailKey, fate Fate, messageID string, now time.Time) (bool, error) {
	set, values := "SET #fate = :fate, #finishedAt = :now", map[string]types.AttributeValue{":fate": text(string(fate)), ":now": text(stamp(now))}
	if messageID != "" {
		set, values[":id"] = set+", #messageId = :id", text(messageID)
	}
	var lower []string
	for i, f := range fate.below() {
		name := fmt.Sprintf(":f%d", i)
		lower, values[name] = append(lower, name), text(string(f))
	}
	return t.update(ctx, mailKey(m), set+" REMOVE #leaseUntil", "#fate IN ("+strings.Join(lower, ", ")+")", values)
}

// FinishMail is RaiseMail for who does not need to know whether it was the first:
// SES's own news, which carries the message's id too, may have come before.
func (t *Table) FinishMail(ctx context.Context, m MailKey, fate Fate, messageID string, now time.Time) error {
	_, err := t.RaiseMail(ctx, m, fate, messageID, now)
	return err
}

// Mail is one email and its fate.
type Mail struct {
	MailKey
	Fate Fate
	// At is when the fate was noted, or while it waits, when it was first claimed.
	At time.Time
}

// Mails reads all emails of an event, strongly consistent: the ones that were
// claimed so far. They are kept 90 days.
func (t *Table) Mails(ctx context.Context, event agency.EventID) ([]Mail, error) {
	input := &dynamodb.QueryInput{
		TableName: &t.name, ConsistentRead: aws.Bool(true), KeyConditionExpression: aws.String("pk = :mail"),
		ExpressionAttributeValues: map[string]types.AttributeValue{":mail": text(mailPrefix + string(event))},
	}
	var mails []Mail
	for {
		out, err := t.db.Query(ctx, input)
		if err != nil {
			return nil, fmt.Errorf("table: mails: %w", err)
		}
		for _, item := range out.Items {
			kind, recipient, _ := strings.Cut(textOf(item["sk"]), "#")
			if kind == busKind {
				continue
			}
			m := Mail{MailKey: MailKey{Event: event, Kind: kind, Recipient: agency.PersonID(recipient)}, Fate: Fate(textOf(item["fate"]))}
			at := textOf(item["finishedAt"])
			if at == "" {
				at = textOf(item["claimedAt"])
			}
			if m.At, err = unstamp(at); err != nil {
				return nil, fmt.Errorf("table: mails: %w", err)
			}
			mails = append(mails, m)
		}
		if input.ExclusiveStartKey = out.LastEvaluatedKey; input.ExclusiveStartKey == nil {
			return mails, nil
		}
	}
}

// SetDelivery notes that a request's emails are done, and all whom it has
// reached, for the request of that number alone. A request that is no more is no
// error. News of SES may have come first: what has failed stays so.
func (t *Table) SetDelivery(ctx context.Context, k agency.ProfileKey, request int, d agency.Delivery, reached []agency.PersonID) error {
	people := &types.AttributeValueMemberL{Value: []types.AttributeValue{}}
	for _, id := range reached {
		people.Value = append(people.Value, text(string(id)))
	}
	values := map[string]types.AttributeValue{
		":d": text(string(d)), ":failed": text(string(agency.DeliveryFailed)), ":request": number(request), ":one": number(1), ":reached": people,
	}
	const those = "SET #reached = :reached, #version = #version + :one"
	risen, err := t.update(ctx, profileKey(k), those+", #delivery = :d",
		"#request = :request AND #delivery <> :failed AND (#delivery <> :d OR attribute_not_exists(#reached) OR #reached <> :reached)", values)
	if risen || err != nil {
		return err
	}
	delete(values, ":d")
	_, err = t.update(ctx, profileKey(k), those,
		"#request = :request AND #delivery = :failed AND (attribute_not_exists(#reached) OR #reached <> :reached)", values)
	return err
}

// FailDelivery notes that the emails of a request which still waits came back,
// if it has not been sent again since the one mailed at that time.
func (t *Table) FailDelivery(ctx context.Context, k agency.ProfileKey, request int, mailedAt time.Time) error {
	_, err := t.update(ctx, profileKey(k), "SET #delivery = :failed, #version = #version + :one",
		"#request = :request AND #mailedAt = :at AND #status = :pending AND #delivery <> :failed",
		map[string]types.AttributeValue{
			":failed": text(string(agency.DeliveryFailed)), ":request": number(request), ":at": text(stamp(mailedAt)),
			":pending": text(string(agency.Pending)), ":one": number(1),
		})
	return err
}

// FailInvitation notes that the email which told a person of their profile came
// back, if they have not used it, nor been let in anew since that time.
func (t *Table) FailInvitation(ctx context.Context, k agency.ProfileKey, since time.Time) error {
	_, err := t.update(ctx, profileKey(k), "SET #delivery = :failed, #version = #version + :one",
		"#status = :active AND #since = :since AND attribute_not_exists(#sub) AND attribute_not_exists(#delivery)",
		map[string]types.AttributeValue{
			":failed": text(string(agency.DeliveryFailed)), ":active": text(string(agency.Active)), ":since": text(stamp(since)), ":one": number(1),
		})
	return err
}

// Suppress keeps mail from a person from now on, for what happened at that time.
// It answers false when that is older than what is known: the person has signed
// in since, or it has been noted before. Nothing is known of a person who was
// only ever mailed: then the item is made, without their address.
func (t *Table) Suppress(ctx context.Context, id agency.PersonID, reason agency.SuppressionReason, at time.Time) (bool, error) {
	return t.update(ctx, personKey(id), "SET #suppression = :reason, #suppressedAt = :at, #version = if_not_exists(#version, :zero) + :one REMOVE #liftedAt",
		"(attribute_not_exists(#suppressedAt) OR #suppressedAt < :at) AND (attribute_not_exists(#liftedAt) OR #liftedAt < :at)",
		map[string]types.AttributeValue{
			":reason": text(string(reason)), ":at": text(stamp(at)), ":zero": number(0), ":one": number(1),
		})
}

// Forget takes away what is left of a suppression that was lifted at that time,
// once SES does not suppress the address any more either.
func (t *Table) Forget(ctx context.Context, id agency.PersonID, lifted time.Time) error {
	_, err := t.update(ctx, personKey(id), "SET #version = #version + :one REMOVE #suppression, #suppressedAt", "#liftedAt = :lifted AND attribute_exists(#suppression)",
		map[string]types.AttributeValue{":lifted": text(stamp(lifted)), ":one": number(1)})
	return err
}

// AllBounced tells whether not one of an event's emails has reached anybody. One
// that was withheld counts as if it had been sent: else an agency could tell who
// gets no mail from it.
func AllBounced(mails []Mail) bool {
	for _, m := range mails {
		if m.Fate != MailBounced {
			return false
		}
	}
	return len(mails) > 0
}
