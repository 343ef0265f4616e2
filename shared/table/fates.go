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

// AdvanceFate notes what became of an email that was claimed, if that is higher
// than what is noted already. messageID is SES's; "" for what was not sent. It
// answers false when nothing was noted: the email has risen as far or further, or
// there is none.
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

// FinishMail is AdvanceFate for who does not need to know whether it was the first:
// SES's own news, which carries the message's id too, may have come before.
func (t *Table) FinishMail(ctx context.Context, m outbox.MailKey, fate outbox.Fate, messageID string, now time.Time) error {
	_, err := t.AdvanceFate(ctx, m, fate, messageID, now)
	return err
}

// Mails reads all emails of an event, strongly consistent: the ones that were
// claimed so far. They are kept 90 days.
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
