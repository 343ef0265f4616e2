package table

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"agencyhub/shared/agency"
	"agencyhub/shared/outbox"
	"agencyhub/shared/service"
)

// Event reads an event, strongly consistent. Its WakeAt is zero once it is
// finished.
func (t *Table) Event(ctx context.Context, k EventKey) (e agency.Event, found bool, err error) {
	out, err := t.db.GetItem(ctx, &dynamodb.GetItemInput{
		TableName: &t.name, Key: eventKey(k).attributes(), ConsistentRead: aws.Bool(true),
	})
	if err != nil {
		return e, false, fmt.Errorf("table: event: %w", err)
	}
	if len(out.Item) == 0 {
		return e, false, nil
	}
	i, err1 := decode[eventItem](out.Item)
	e, err2 := i.event()
	return e, true, errors.Join(err1, err2)
}

// MarkDone stores that an event is finished, so that nothing wakes it any more. A
// repeat changes nothing.
func (t *Table) MarkDone(ctx context.Context, k EventKey) error {
	_, err := t.update(ctx, eventKey(k), "REMOVE #duePk, #dueSk, #wake", "attribute_exists(#duePk)", nil)
	return err
}

// update changes one item. It returns false if the condition does not hold.
func (t *Table) update(ctx context.Context, k key, expression, condition string, values map[string]types.AttributeValue) (bool, error) {
	err := t.updateItem(ctx, &dynamodb.UpdateItemInput{
		Key: k.attributes(), UpdateExpression: &expression, ConditionExpression: &condition, ExpressionAttributeValues: values,
	})
	if _, failed := errors.AsType[*types.ConditionalCheckFailedException](err); failed {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("table: update: %w", err)
	}
	return true, nil
}

// updateItem makes an update, and repeats it while a transaction is on the same
// item: these take milliseconds, and the client does not try again by itself.
func (t *Table) updateItem(ctx context.Context, input *dynamodb.UpdateItemInput) error {
	input.TableName = &t.name
	input.ExpressionAttributeNames = names(aws.ToString(input.UpdateExpression) + " " + aws.ToString(input.ConditionExpression))
	return retryConflicts(ctx, func() error {
		_, err := t.db.UpdateItem(ctx, input)
		if _, met := errors.AsType[*types.TransactionConflictException](err); met {
			return fmt.Errorf("%w: %w", service.ErrConflict, err)
		}
		return err
	})
}

// retryConflicts repeats something a few times while it meets others on the same
// items.
func retryConflicts(ctx context.Context, do func() error) error {
	for pause := 10 * time.Millisecond; ; pause *= 2 {
		err := do()
		if !errors.Is(err, service.ErrConflict) && !errors.Is(err, service.ErrBusy) || pause > 200*time.Millisecond {
			return err
		}
		select {
		case <-time.After(pause/2 + rand.N(pause)): //nolint:gosec // a pause, not a secret
		case <-ctx.Done():
			return err
		}
	}
}

// placeholder is an attribute's name in an expression. All names are written so,
// since many plain words are reserved.
var placeholder = regexp.MustCompile(`#(\w+)`)

// names resolves the placeholders of expressions: "#x" is the attribute x.
func names(expressions string) map[string]string {
	out := map[string]string{}
	for _, m := range placeholder.FindAllStringSubmatch(expressions, -1) {
		out[m[0]] = m[1]
	}
	return out
}

// ClaimMail claims an email for the time of the lease. The holder of a claim must
// have finished or given up before the lease ends, since another sender can claim
// the email from then on.
func (t *Table) ClaimMail(ctx context.Context, m outbox.MailKey, now time.Time, lease time.Duration) (outbox.Claim, error) {
	claim, condition, values := claiming(now, lease)
	err := t.updateItem(ctx, &dynamodb.UpdateItemInput{
		Key: mailKey(m).attributes(), UpdateExpression: &claim, ConditionExpression: &condition, ExpressionAttributeValues: values,
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	failed, lost := errors.AsType[*types.ConditionalCheckFailedException](err)
	switch {
	case err == nil:
		return outbox.ClaimTaken, nil
	case !lost:
		return outbox.ClaimHeld, fmt.Errorf("table: claim: %w", err)
	case textOf(failed.Item["fate"]) == string(outbox.Waiting):
		return outbox.ClaimHeld, nil
	default:
		return outbox.ClaimDone, nil
	}
}

// claiming returns the update that claims a mail, and the condition that it is
// free.
func claiming(now time.Time, lease time.Duration) (update, condition string, values map[string]types.AttributeValue) {
	return "SET #fate = :waiting, #leaseUntil = :until, #ttl = :ttl, #claimedAt = if_not_exists(#claimedAt, :now) ADD #attempts :one",
		"attribute_not_exists(#pk) OR (#fate = :waiting AND #leaseUntil <= :now)",
		map[string]types.AttributeValue{
			":waiting": text(string(outbox.Waiting)), ":until": text(stamp(now.Add(lease))), ":now": text(stamp(now)),
			":one": number(1), ":ttl": epoch(now.Add(mailRetention)),
		}
}

// ClaimUnsolicited is ClaimMail for an email that its recipient did not ask for.
// The first claim counts it towards the limit of its recipient's UTC day.
func (t *Table) ClaimUnsolicited(ctx context.Context, m outbox.MailKey, now time.Time, lease time.Duration, limit int) (outbox.Claim, error) {
	claim, _, values := claiming(now, lease)
	// A mail that was claimed before has been counted before.
	condition := "attribute_not_exists(#pk)"
	w := writer{table: t.name, limits: map[int]error{0: errClaimed}}
	w.items = append(w.items, types.TransactWriteItem{Update: &types.Update{
		TableName: &t.name, Key: mailKey(m).attributes(), UpdateExpression: &claim, ConditionExpression: &condition,
		ExpressionAttributeNames: names(claim + " " + condition), ExpressionAttributeValues: values,
	}})
	mails := adding(map[string]int{"mails": 1})
	mails.require(lessThan("mails"), map[string]int{":max": limit})
	mails.expireAt(now.Add(limitRetention))
	w.add(limitKey(agency.Party(m.Recipient), now), mails, errCapped)
	err := retryConflicts(ctx, func() error {
		_, err := t.db.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: w.items})
		return w.translate(err)
	})
	switch {
	case err == nil:
		return outbox.ClaimTaken, nil
	case errors.Is(err, errClaimed):
		return t.ClaimMail(ctx, m, now, lease)
	case errors.Is(err, service.ErrConflict):
		return outbox.ClaimHeld, nil
	case errors.Is(err, errCapped):
		// Final, since another claim would find it uncounted.
		capped, err := t.update(ctx, mailKey(m), "SET #fate = :capped, #claimedAt = :now, #finishedAt = :now, #ttl = :ttl", "attribute_not_exists(#pk)",
			map[string]types.AttributeValue{":capped": text(string(outbox.Capped)), ":now": text(stamp(now)), ":ttl": epoch(now.Add(mailRetention))})
		if capped || err != nil {
			return outbox.ClaimCapped, err
		}
		return t.ClaimMail(ctx, m, now, lease)
	default:
		return outbox.ClaimHeld, err
	}
}

var (
	errClaimed = errors.New("table: the mail was claimed, and counted, before")
	errCapped  = errors.New("table: the recipient has had enough mail today")
)

// WasSent reports, strongly consistent, whether SES accepted an email, whatever
// became of it since.
func (t *Table) WasSent(ctx context.Context, m outbox.MailKey) (bool, error) {
	out, err := t.db.GetItem(ctx, &dynamodb.GetItemInput{
		TableName: &t.name, Key: mailKey(m).attributes(), ConsistentRead: aws.Bool(true), ProjectionExpression: aws.String("messageId"),
	})
	if err != nil {
		return false, fmt.Errorf("table: mail: %w", err)
	}
	return textOf(out.Item["messageId"]) != "", nil
}

// ReleaseMail gives a claim back, so that the next one need not wait for the
// lease to end.
func (t *Table) ReleaseMail(ctx context.Context, m outbox.MailKey) error {
	_, err := t.update(ctx, mailKey(m), "SET #leaseUntil = :never", "#fate = :waiting",
		map[string]types.AttributeValue{":never": text(""), ":waiting": text(string(outbox.Waiting))})
	return err
}
