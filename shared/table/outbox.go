package table

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"regexp"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"agencyhub/shared/outbox"
	"agencyhub/shared/service"
)

// doneAttributes hold when a consumer has finished an event.
var doneAttributes = map[outbox.Consumer]string{outbox.Publish: "published", outbox.Notify: "notified"}

// Event reads an event, strongly consistent, and which consumers have finished it.
// Its WakeAt is zero once all have.
func (t *Table) Event(ctx context.Context, k EventKey) (e outbox.Event, found bool, err error) {
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
	event, err2 := i.event()
	e.Event = event
	for _, c := range outbox.Consumers {
		if textOf(out.Item[doneAttributes[c]]) != "" {
			e.DoneBy = append(e.DoneBy, c)
		}
	}
	if err := errors.Join(err1, err2); err != nil {
		return e, true, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	return e, true, nil
}

// MarkDone stores that a consumer has finished an event. Once all have, nothing
// wakes it any more. A repeat changes nothing.
func (t *Table) MarkDone(ctx context.Context, k EventKey, c outbox.Consumer, now time.Time) error {
	done, other := "#"+doneAttributes[c], "#"+doneAttributes[outbox.Publish]
	if c == outbox.Publish {
		other = "#" + doneAttributes[outbox.Notify]
	}
	values := map[string]types.AttributeValue{":now": text(stamp(now))}
	// Two conditions, since one update cannot depend on the other mark. The other
	// consumer may finish between them, so the first is tried once more. Without
	// the attribute wake the change does not pass the stream's filters.
	for range 2 {
		if last, err := t.update(ctx, eventKey(k), "SET "+done+" = :now REMOVE #duePk, #dueSk, #wake", "attribute_exists(#duePk) AND attribute_exists("+other+")", values); last || err != nil {
			return err
		}
		if first, err := t.update(ctx, eventKey(k), "SET "+done+" = :now REMOVE #wake", "attribute_exists(#duePk) AND attribute_not_exists("+other+")", values); first || err != nil {
			return err
		}
	}
	return nil
}

// update changes one item. It returns false if the condition does not hold.
func (t *Table) update(ctx context.Context, k key, expression, condition string, values map[string]types.AttributeValue) (bool, error) {
	_, unknown, err := t.updateItem(ctx, &dynamodb.UpdateItemInput{
		Key: k.attributes(), UpdateExpression: &expression, ConditionExpression: &condition, ExpressionAttributeValues: values,
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	if failed, ok := errors.AsType[*types.ConditionalCheckFailedException](err); ok {
		// The attempt whose answer was lost may be what the condition met.
		return unknown && hasValues(failed.Item, expression, values), nil
	}
	if err != nil {
		return false, fmt.Errorf("table: update: %w", err)
	}
	return true, nil
}

// assignment sets an attribute to a value.
var assignment = regexp.MustCompile(`#(\w+) = (:\w+)(?:,| REMOVE| ADD|$)`)

// hasValues reports whether an item has every value that an update sets.
func hasValues(item map[string]types.AttributeValue, expression string, values map[string]types.AttributeValue) bool {
	set := assignment.FindAllStringSubmatch(expression, -1)
	for _, a := range set {
		if !reflect.DeepEqual(item[a[1]], values[a[2]]) {
			return false
		}
	}
	return len(set) > 0
}

// updateAttempts is how often an update is made whose answer does not come.
const updateAttempts = 3

// updateItem makes an update, and repeats it while a transaction is on the same
// item: these take milliseconds. It also repeats one whose answer does not come.
// unknown means that an earlier attempt may have been made. It makes the
// client's attempts itself, to know that.
func (t *Table) updateItem(ctx context.Context, input *dynamodb.UpdateItemInput) (out *dynamodb.UpdateItemOutput, unknown bool, err error) {
	input.TableName = &t.name
	input.ExpressionAttributeNames = names(aws.ToString(input.UpdateExpression) + " " + aws.ToString(input.ConditionExpression))
	attempts := 0
	err = retryConflicts(ctx, func() error {
		out, err = t.db.UpdateItem(ctx, input, func(o *dynamodb.Options) { o.RetryMaxAttempts = 1 })
		if _, met := errors.AsType[*types.TransactionConflictException](err); met {
			return fmt.Errorf("%w: %w", service.ErrConflict, err)
		}
		if err == nil || isClear(err) && !retryable.IsErrorRetryable(err).Bool() {
			return err
		}
		unknown = unknown || !isClear(err)
		if attempts++; attempts < updateAttempts && ctx.Err() == nil {
			return fmt.Errorf("%w: %w", errAgain, err)
		}
		return err
	})
	return out, unknown, err
}

// errAgain is an attempt that is made again.
var errAgain = errors.New("table: no usable answer")

// retryConflicts repeats something a few times while it meets others on the same
// items.
func retryConflicts(ctx context.Context, do func() error) error {
	for pause := 10 * time.Millisecond; ; pause *= 2 {
		err := do()
		again := errors.Is(err, service.ErrConflict) || errors.Is(err, service.ErrBusy) || errors.Is(err, errAgain)
		if !again || pause > 200*time.Millisecond {
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

// ClaimMail claims an email for the time of the lease. The owner, a token of
// outbox.NewOwner, can claim it again. It must have finished or given up before the
// lease ends, since another can claim the email from then on.
func (t *Table) ClaimMail(ctx context.Context, m outbox.MailKey, owner string, now time.Time, lease time.Duration) (outbox.Claim, error) {
	claim, condition, values := claiming(owner, now, lease)
	out, _, err := t.updateItem(ctx, &dynamodb.UpdateItemInput{
		Key: mailKey(m).attributes(), UpdateExpression: &claim, ConditionExpression: &condition, ExpressionAttributeValues: values,
		ReturnValues:                        types.ReturnValueAllOld,
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	failed, lost := errors.AsType[*types.ConditionalCheckFailedException](err)
	switch {
	case err == nil:
		return taken(owner, out.Attributes), nil
	case !lost:
		return outbox.Claim{State: outbox.ClaimBusy}, fmt.Errorf("table: claim: %w", err)
	}
	fate := outbox.Fate(textOf(failed.Item["fate"]))
	if fate == outbox.Waiting || !fate.IsKnown() {
		// Another version of the product has stored a fate that this one does not
		// know: the email is left to it.
		return outbox.Claim{State: outbox.ClaimBusy}, nil
	}
	return outbox.Claim{State: outbox.ClaimDone}, nil
}

// taken is the claim over a mail as it was before.
func taken(owner string, was map[string]types.AttributeValue) outbox.Claim {
	attempts, _ := strconv.Atoi(numberOf(was["attempts"])) // 0 for none
	if textOf(was["owner"]) == owner {
		// The owner has claimed it before, or the client has repeated the claim.
		return outbox.Claim{State: outbox.ClaimTaken, Attempts: attempts, Unconfirmed: numberOf(was["unconfirmed"]) != ""}
	}
	return outbox.Claim{State: outbox.ClaimTaken, Attempts: attempts + 1, Unconfirmed: mayBeSent(was)}
}

// mayBeSent reports whether SES may have accepted a claimed mail: it has not answered, or
// a lease that was not given back ran out in the middle of an attempt.
func mayBeSent(mail map[string]types.AttributeValue) bool {
	return numberOf(mail["unconfirmed"]) != "" || textOf(mail["leaseUntil"]) != ""
}

func numberOf(v types.AttributeValue) string {
	if n, ok := v.(*types.AttributeValueMemberN); ok {
		return n.Value
	}
	return ""
}

// claiming returns the update that claims a mail, and the condition that it is
// free or the owner's already.
func claiming(owner string, now time.Time, lease time.Duration) (update, condition string, values map[string]types.AttributeValue) {
	return "SET #fate = :waiting, #leaseUntil = :until, #owner = :owner, #ttl = :ttl, #claimedAt = if_not_exists(#claimedAt, :now) ADD #attempts :one",
		"attribute_not_exists(#pk) OR (#fate = :waiting AND (#leaseUntil <= :now OR #owner = :owner))",
		map[string]types.AttributeValue{
			":waiting": text(string(outbox.Waiting)), ":until": text(stamp(now.Add(lease))), ":now": text(stamp(now)), ":owner": text(owner),
			":one": number(1), ":ttl": epoch(now.Add(mailRetention)),
		}
}

// WasSent reports, strongly consistent, whether SES accepted an email or may have,
// whatever became of it since.
func (t *Table) WasSent(ctx context.Context, m outbox.MailKey) (bool, error) {
	out, err := t.db.GetItem(ctx, &dynamodb.GetItemInput{
		TableName: &t.name, Key: mailKey(m).attributes(), ConsistentRead: aws.Bool(true),
		ProjectionExpression: aws.String("messageId, fate"),
	})
	if err != nil {
		return false, fmt.Errorf("table: mail: %w", err)
	}
	return textOf(out.Item["messageId"]) != "" || textOf(out.Item["fate"]) == string(outbox.Unconfirmed), nil
}

// ReleaseMail gives a claim back, so that the next one need not wait for the lease
// to end. unconfirmed means that SES may have accepted the email. It does nothing if
// the claim has passed to another.
func (t *Table) ReleaseMail(ctx context.Context, m outbox.MailKey, owner string, unconfirmed bool) error {
	set := "SET #leaseUntil = :never"
	values := map[string]types.AttributeValue{":never": text(""), ":waiting": text(string(outbox.Waiting)), ":owner": text(owner)}
	if unconfirmed {
		set += ", #unconfirmed = :one"
		values[":one"] = number(1)
	}
	_, err := t.update(ctx, mailKey(m), set, "#fate = :waiting AND #owner = :owner", values)
	return err
}
