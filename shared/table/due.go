package table

import (
	"context"
	"fmt"
	"iter"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"agencyhub/shared/agency"
)

// Wake brings an unfinished event through the stream again, and moves its due
// mark to next. It returns false if the event is finished by now, or somebody
// else woke it.
func (t *Table) Wake(ctx context.Context, k EventKey, now, next time.Time) (bool, error) {
	return t.update(ctx, eventKey(k), "SET #wake = :wake, #dueSk = :next", "attribute_exists(#duePk) AND #dueSk <= :now",
		map[string]types.AttributeValue{
			":wake": &types.AttributeValueMemberN{Value: strconv.FormatInt(now.UnixMilli(), 10)},
			":next": text(stamp(next)), ":now": text(stamp(now)),
		})
}

// DueItem is something that is due: an unfinished event, a profile, an account
// that is cancelled or closed, or a person who is being erased. Exactly one is
// set.
type DueItem struct {
	Event   *EventKey
	Profile *agency.ProfileKey
	Account agency.AccountID
	Person  agency.PersonID
	// At is when it was due, and Since when an event happened.
	At, Since time.Time
}

// Shards is the number of shards of the due index; Due reads one.
const Shards = dueShards

// Due reads what is due in one shard, the longest overdue first. The index
// follows the table with a delay, so an item may be done already.
func (t *Table) Due(ctx context.Context, shard int, now time.Time) iter.Seq2[DueItem, error] {
	return func(yield func(DueItem, error) bool) {
		input := t.dueQuery(shard, now)
		input.Limit = aws.Int32(100)
		for {
			out, err := t.db.Query(ctx, input)
			if err != nil {
				yield(DueItem{}, fmt.Errorf("table: due: %w", err))
				return
			}
			for _, item := range out.Items {
				if !yield(dueItem(item)) {
					return
				}
			}
			if input.ExclusiveStartKey = out.LastEvaluatedKey; input.ExclusiveStartKey == nil {
				return
			}
		}
	}
}

func dueItem(item map[string]types.AttributeValue) (DueItem, error) {
	k := keyOf(item)
	at, err := unstamp(textOf(item["dueSk"]))
	if err != nil {
		return DueItem{}, fmt.Errorf("table: due mark of %s %s: %w", k.pk, k.sk, err)
	}
	if e, err := ParseEventKey(k.pk, k.sk); err == nil {
		since, err := unstamp(textOf(item["at"]))
		return DueItem{Event: &e, At: at, Since: since}, err
	}
	if k.sk == accountSort || k.sk == personSort {
		addressee, err := parsePartition(k.pk)
		return DueItem{Account: addressee.Account(), Person: addressee.Person(), At: at}, err
	}
	p, err := parseProfileKey(k.pk, k.sk)
	return DueItem{Profile: &p, At: at}, err
}

// Backlog counts what is due and not done: at most a page of the index a shard,
// enough to see whether it is large. oldest is the due time of the oldest; zero
// for none.
func (t *Table) Backlog(ctx context.Context, now time.Time) (count int, oldest time.Time, err error) {
	for shard := range Shards {
		input := t.dueQuery(shard, now)
		input.Limit = aws.Int32(1000)
		input.ProjectionExpression = aws.String("dueSk")
		out, err := t.db.Query(ctx, input)
		if err != nil {
			return 0, time.Time{}, fmt.Errorf("table: backlog: %w", err)
		}
		count += len(out.Items)
		if len(out.Items) > 0 {
			first, err := unstamp(textOf(out.Items[0]["dueSk"]))
			if err != nil {
				return 0, time.Time{}, fmt.Errorf("table: backlog: %w", err)
			}
			if oldest.IsZero() || first.Before(oldest) {
				oldest = first
			}
		}
	}
	return count, oldest, nil
}

// Unfinished counts the unfinished events from before an instant, whether due or due
// by the horizon, and returns the time of the oldest; zero for none. Like Waiting
// it counts within bounds.
func (t *Table) Unfinished(ctx context.Context, before, horizon time.Time) (count int, oldest time.Time, err error) {
	for shard := range Shards {
		input := t.dueQuery(shard, horizon)
		input.FilterExpression, input.ProjectionExpression = aws.String("#type <> :none AND #at <= :before"), aws.String("#at")
		input.ExpressionAttributeNames = names("#type #at")
		input.ExpressionAttributeValues[":none"], input.ExpressionAttributeValues[":before"] = text(""), text(stamp(before))
		for range maxPages {
			out, err := t.db.Query(ctx, input)
			if err != nil {
				return 0, time.Time{}, fmt.Errorf("table: untold: %w", err)
			}
			count += len(out.Items)
			for _, item := range out.Items {
				at, err := unstamp(textOf(item["at"]))
				if err != nil {
					return 0, time.Time{}, fmt.Errorf("table: untold: %w", err)
				}
				if oldest.IsZero() || at.Before(oldest) {
					oldest = at
				}
			}
			if input.ExclusiveStartKey = out.LastEvaluatedKey; input.ExclusiveStartKey == nil {
				break
			}
		}
	}
	return count, oldest, nil
}

// maxPages bounds how many pages of the index, of a megabyte each, are read of a
// shard to count.
const maxPages = 20

// Waiting counts the pending requests by the due index, in which each has an
// entry until its end. It stops counting beyond some tens of thousands.
func (t *Table) Waiting(ctx context.Context) (int, error) {
	count := 0
	for shard := range Shards {
		input := t.dueQuery(shard, lastStamp)
		input.Select = types.SelectCount
		input.FilterExpression, input.ExpressionAttributeNames = aws.String("#status = :pending"), names("#status")
		input.ExpressionAttributeValues[":pending"] = text(string(agency.Pending))
		for range maxPages {
			out, err := t.db.Query(ctx, input)
			if err != nil {
				return 0, fmt.Errorf("table: waiting: %w", err)
			}
			count += int(out.Count)
			if input.ExclusiveStartKey = out.LastEvaluatedKey; input.ExclusiveStartKey == nil {
				break
			}
		}
	}
	return count, nil
}

func (t *Table) dueQuery(shard int, now time.Time) *dynamodb.QueryInput {
	return &dynamodb.QueryInput{
		TableName: &t.name, IndexName: aws.String("ByDue"), KeyConditionExpression: aws.String("duePk = :shard AND dueSk <= :now"),
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":shard": text(duePrefix + strconv.Itoa(shard)), ":now": text(stamp(now)),
		},
	}
}
