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
			m := outbox.Mail{MailKey: outbox.MailKey{Event: event, Kind: kind, Recipient: agency.PersonID(recipient)}, Fate: outbox.Fate(textOf(item["fate"])), MessageID: textOf(item["messageId"])}
			m.MayBeSent = m.Fate == outbox.Waiting && mayBeSent(item)
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

// AddReached stores that the request with that number has reached more people. One that
// does not exist any more is no error. Several may do so at once.
func (t *Table) AddReached(ctx context.Context, k agency.ProfileKey, request int, people ...agency.PersonID) error {
	list, condition := &types.AttributeValueMemberL{}, "#request = :request"
	values := map[string]types.AttributeValue{":request": number(request), ":one": number(1), ":people": list, ":nobody": &types.AttributeValueMemberL{Value: []types.AttributeValue{}}}
	for i, id := range people {
		name := fmt.Sprintf(":p%d", i)
		values[name] = text(string(id))
		list.Value = append(list.Value, values[name])
		condition += " AND NOT contains(#reached, " + name + ")"
	}
	added, err := t.update(ctx, profileKey(k), "SET #reached = list_append(if_not_exists(#reached, :nobody), :people), #version = #version + :one", condition, values)
	if added || err != nil || len(people) < 2 {
		return err
	}
	// Somebody else has added some of them.
	for _, id := range people {
		if err := t.AddReached(ctx, k, request, id); err != nil {
			return err
		}
	}
	return nil
}

// FailDelivery stores that the emails of an open request bounced, unless it has been
// resent since the mailing at that time.
func (t *Table) FailDelivery(ctx context.Context, k agency.ProfileKey, request int, mailedAt time.Time) error {
	_, err := t.update(ctx, profileKey(k), "SET #delivery = :failed, #version = #version + :one",
		"#request = :request AND #mailedAt = :at AND #requestState = :open AND (attribute_not_exists(#delivery) OR #delivery <> :failed)",
		map[string]types.AttributeValue{
			":failed": text(string(agency.DeliveryFailed)), ":request": number(request), ":at": text(stamp(mailedAt)),
			":open": text(string(agency.StateOpen)), ":one": number(1),
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
