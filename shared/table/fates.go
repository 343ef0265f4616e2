package table

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"agencyhub/shared/agency"
	"agencyhub/shared/outbox"
)

// AdvanceFate stores the fate of a claimed email if it is higher than the stored
// one. messageID is SES's; "" for an email that is not sent. It returns false if
// nothing was stored: the email has come as far already, has a fate that this
// version does not know, or there is none.
func (t *Table) AdvanceFate(ctx context.Context, m outbox.MailKey, fate outbox.Fate, messageID string, now time.Time) (bool, error) {
	set, values := "SET #fate = :fate, #finishedAt = :now", map[string]types.AttributeValue{":fate": text(string(fate)), ":now": text(stamp(now))}
	if messageID != "" {
		set, values[":id"] = set+", #messageId = :id", text(messageID)
	}
	var lower []string
	for i, f := range fate.Below() {
		name := fmt.Sprintf(":f%d", i)
		lower, values[name] = append(lower, name), text(string(f))
	}
	return t.update(ctx, mailKey(m), set+" REMOVE #leaseUntil", "#fate IN ("+strings.Join(lower, ", ")+")", values)
}

// FinishMail is AdvanceFate for a caller who need not be the first: SES's own
// report, which has the message's id too, may have come before.
func (t *Table) FinishMail(ctx context.Context, m outbox.MailKey, fate outbox.Fate, messageID string, now time.Time) error {
	_, err := t.AdvanceFate(ctx, m, fate, messageID, now)
	return err
}

// Mails reads the emails of an event that were claimed, strongly consistent. They
// are kept for 90 days.
func (t *Table) Mails(ctx context.Context, event agency.EventID) ([]outbox.Mail, error) {
	input := &dynamodb.QueryInput{
		TableName: &t.name, ConsistentRead: aws.Bool(true), KeyConditionExpression: aws.String("pk = :mail"),
		ExpressionAttributeValues: map[string]types.AttributeValue{":mail": text(mailPrefix + string(event))},
	}
	var mails []outbox.Mail
	for {
		out, err := t.db.Query(ctx, input)
		if err != nil {
			return nil, fmt.Errorf("table: mails: %w", err)
		}
		for _, item := range out.Items {
			kind, recipient, _ := strings.Cut(textOf(item["sk"]), "#")
			if kind == outbox.BusKind {
				continue
			}
			m := outbox.Mail{MailKey: outbox.MailKey{Event: event, Kind: kind, Recipient: agency.PersonID(recipient)}, Fate: outbox.Fate(textOf(item["fate"]))}
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

// SetDelivery stores the delivery of the request with that number, and everyone
// it has reached. A request that does not exist any more is no error. A failure
// that SES reported before stays.
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

// FailDelivery stores that the emails of a pending request bounced, unless it has
// been resent since the mailing at that time.
func (t *Table) FailDelivery(ctx context.Context, k agency.ProfileKey, request int, mailedAt time.Time) error {
	_, err := t.update(ctx, profileKey(k), "SET #delivery = :failed, #version = #version + :one",
		"#request = :request AND #mailedAt = :at AND #status = :pending AND #delivery <> :failed",
		map[string]types.AttributeValue{
			":failed": text(string(agency.DeliveryFailed)), ":request": number(request), ":at": text(stamp(mailedAt)),
			":pending": text(string(agency.Pending)), ":one": number(1),
		})
	return err
}

// FailInvitation stores that the email about a person's access bounced, unless
// they have used the profile or been invited again since that time.
func (t *Table) FailInvitation(ctx context.Context, k agency.ProfileKey, since time.Time) error {
	_, err := t.update(ctx, profileKey(k), "SET #delivery = :failed, #version = #version + :one",
		"#status = :active AND #since = :since AND attribute_not_exists(#sub) AND attribute_not_exists(#delivery)",
		map[string]types.AttributeValue{
			":failed": text(string(agency.DeliveryFailed)), ":active": text(string(agency.Active)), ":since": text(stamp(since)), ":one": number(1),
		})
	return err
}

// Suppress suppresses mail to a person because of what happened at that time. It
// returns false for old news: the person has signed in since, or it is stored
// already. For a person who was only ever mailed it makes the item, without their
// address.
func (t *Table) Suppress(ctx context.Context, id agency.PersonID, reason agency.SuppressionReason, at time.Time) (bool, error) {
	return t.update(ctx, personKey(id), "SET #suppression = :reason, #suppressedAt = :at, #version = if_not_exists(#version, :zero) + :one REMOVE #liftedAt",
		"(attribute_not_exists(#suppressedAt) OR #suppressedAt < :at) AND (attribute_not_exists(#liftedAt) OR #liftedAt < :at)",
		map[string]types.AttributeValue{
			":reason": text(string(reason)), ":at": text(stamp(at)), ":zero": number(0), ":one": number(1),
		})
}

// Forget deletes a suppression that was lifted at that time, once SES has lifted
// its own.
func (t *Table) Forget(ctx context.Context, id agency.PersonID, lifted time.Time) error {
	_, err := t.update(ctx, personKey(id), "SET #version = #version + :one REMOVE #suppression, #suppressedAt", "#liftedAt = :lifted AND attribute_exists(#suppression)",
		map[string]types.AttributeValue{":lifted": text(stamp(lifted)), ":one": number(1)})
	return err
}
