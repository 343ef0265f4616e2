package table

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"agencyhub/shared/agency"
)

// Wake brings an unfinished event through the stream again, counts that, and moves
// its due mark to next. It returns false if the event is finished by now, or
// somebody else woke it.
func (t *Table) Wake(ctx context.Context, k EventKey, now, next time.Time) (bool, error) {
	return t.update(ctx, eventKey(k), "SET #wake = :wake, #wokenAt = :now, #dueSk = :next ADD #wakes :one", "attribute_exists(#duePk) AND #dueSk <= :now",
		map[string]types.AttributeValue{
			":wake": &types.AttributeValueMemberN{Value: strconv.FormatInt(now.UnixMilli(), 10)},
			":next": text(stamp(next)), ":now": text(stamp(now)), ":one": number(1),
		})
}

// Redrive moves the due mark of an unfinished event, which was read as at, to an
// earlier time. It returns false if the mark has changed. The event does not go
// through the stream again until it is woken: a change that has wake would.
func (t *Table) Redrive(ctx context.Context, k EventKey, at, due time.Time) (bool, error) {
	return t.update(ctx, eventKey(k), "SET #dueSk = :due REMOVE #wake", "attribute_exists(#duePk) AND #dueSk = :at",
		map[string]types.AttributeValue{":due": text(stamp(due)), ":at": text(stamp(at))})
}

// DueItem is something that is due: an unfinished event, a profile, an account
// that is cancelled or closed, a person who is being erased, or the digest of a
// mailbox. Exactly one is set.
type DueItem struct {
	Event   *EventKey
	Profile *agency.ProfileKey
	Account agency.AccountID
	Person  agency.PersonID
	Mailbox agency.MailboxID
	// At is when it was due.
	At time.Time
	// Since is when an event happened, and Wakes how often it was woken. RequestID is
	// the call that caused it.
	Since     time.Time
	Wakes     int
	RequestID string
}

// String names the item by its ids, for the log.
func (d DueItem) String() string {
	switch {
	case d.Event != nil:
		return string(d.Event.ID)
	case d.Profile != nil:
		return string(d.Profile.Member) + " in " + string(d.Profile.Addressee)
	default:
		return string(d.Account) + string(d.Person) + string(d.Mailbox)
	}
}

// Shards is the number of shards of the due index. The second half of them is for
// events, so that neither events nor anything else waits behind the other.
const Shards = 2 * dueShards

// DueEvents reads the unfinished events that are due, the longest overdue first.
// Like Due it yields an error for an item that can't be read, and goes on.
func (t *Table) DueEvents(ctx context.Context, now time.Time) iter.Seq2[DueItem, error] {
	return t.dueOf(ctx, dueShards, Shards, now)
}

// DueSteps reads everything else that is due, in the same way.
func (t *Table) DueSteps(ctx context.Context, now time.Time) iter.Seq2[DueItem, error] {
	return t.dueOf(ctx, 0, dueShards, now)
}

// dueOf merges the shards from one to before another by their due times.
func (t *Table) dueOf(ctx context.Context, from, to int, now time.Time) iter.Seq2[DueItem, error] {
	type head struct {
		item DueItem
		err  error
		next func() (DueItem, error, bool)
	}
	return func(yield func(DueItem, error) bool) {
		var heads []head
		for shard := from; shard < to; shard++ {
			next, stop := iter.Pull2(t.Due(ctx, shard, now))
			defer stop()
			if item, err, ok := next(); ok {
				heads = append(heads, head{item, err, next})
			}
		}
		for len(heads) > 0 {
			first := 0
			for i := range heads {
				if heads[i].item.At.Before(heads[first].item.At) {
					first = i
				}
			}
			h := &heads[first]
			if !yield(h.item, h.err) {
				return
			}
			var ok bool
			if h.item, h.err, ok = h.next(); !ok {
				heads = slices.Delete(heads, first, first+1)
			}
		}
	}
}

// Due reads what is due in one shard, the longest overdue first. The index
// follows the table with a delay, so an item may be done already. An item that
// this version can't read is an error, after which others follow; an error of the
// store ends the sequence.
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
		since, err1 := unstamp(textOf(item["at"]))
		wakes, err2 := integer(item["wakes"])
		if err := errors.Join(err1, err2); err != nil {
			return DueItem{At: at}, fmt.Errorf("table: event %s: %w", e.ID, err)
		}
		return DueItem{Event: &e, At: at, Since: since, Wakes: wakes, RequestID: textOf(item["requestId"])}, nil
	}
	if k.sk == accountSort || k.sk == personSort {
		addressee, err := parsePartition(k.pk)
		return DueItem{Account: addressee.Account(), Person: addressee.Person(), At: at}, err
	}
	if box, ok := parseMailbox(k.pk); ok && k.sk == heldSort {
		return DueItem{Mailbox: box, At: at}, nil
	}
	p, err := parseProfileKey(k.pk, k.sk)
	if err != nil {
		return DueItem{At: at}, err
	}
	// What a later version has written is left to that version.
	if status := agency.Status(textOf(item["status"])); !status.IsValid() {
		return DueItem{At: at}, fmt.Errorf("table: the status %q of %s %s is unknown", status, k.pk, k.sk)
	}
	return DueItem{Profile: &p, At: at}, nil
}

// integer reads a number attribute; 0 if there is none.
func integer(v types.AttributeValue) (int, error) {
	n, ok := v.(*types.AttributeValueMemberN)
	if !ok {
		return 0, nil
	}
	return strconv.Atoi(n.Value)
}

// Position is a place in the due index: the shard, and the keys of the item behind
// which to go on. Without keys it is the shard's beginning.
type Position struct {
	Shard int    `json:"shard"`
	Due   string `json:"due,omitempty"`
	PK    string `json:"pk,omitempty"`
	SK    string `json:"sk,omitempty"`
}

// IsValid reports whether the place is in a shard of events.
func (p Position) IsValid() bool {
	return p.Shard >= dueShards && p.Shard < Shards && (p.Due == "") == (p.PK == "") && (p.PK == "") == (p.SK == "")
}

// NextShard returns the beginning of the next shard of events; nil behind the last.
func (p Position) NextShard() *Position {
	if p.Shard+1 == Shards {
		return nil
	}
	return &Position{Shard: p.Shard + 1}
}

// PositionOf returns the place of an event that was read in a shard.
func PositionOf(shard int, event DueItem) Position {
	k := eventKey(*event.Event)
	return Position{Shard: shard, Due: stamp(event.At), PK: k.pk, SK: k.sk}
}

// FirstPosition is where the events of the due index begin.
func FirstPosition() Position { return Position{Shard: dueShards} }

// DelayedPage is a page of events that wait for a later due mark.
type DelayedPage struct {
	Items []DueItem
	// Unread has an error for each item that this version can't read.
	Unread []error
	// Next is where the next page begins; nil behind the last.
	Next *Position
}

// Delayed reads a page of the unfinished events that are due after start, and that
// happened by the time before and were not woken since start. A page can be empty.
// An event whose mark is moved to start or earlier leaves the range, which shifts
// no place in it.
func (t *Table) Delayed(ctx context.Context, start, before time.Time, from Position) (DelayedPage, error) {
	input := t.dueQuery(from.Shard, start)
	input.KeyConditionExpression = aws.String("duePk = :shard AND dueSk > :now")
	input.FilterExpression = aws.String("#at <= :before AND (attribute_not_exists(#wokenAt) OR #wokenAt < :now)")
	input.ExpressionAttributeNames = names(*input.FilterExpression)
	input.ExpressionAttributeValues[":before"] = text(stamp(before))
	input.Limit = aws.Int32(100)
	if from.Due != "" {
		input.ExclusiveStartKey = key{from.PK, from.SK}.attributes()
		input.ExclusiveStartKey["duePk"], input.ExclusiveStartKey["dueSk"] = text(duePartition(from.Shard)), text(from.Due)
	}
	out, err := t.db.Query(ctx, input)
	if err != nil {
		return DelayedPage{}, fmt.Errorf("table: delayed: %w", err)
	}
	var page DelayedPage
	for _, item := range out.Items {
		switch d, err := dueItem(item); {
		case err != nil:
			page.Unread = append(page.Unread, err)
		case d.Event != nil:
			page.Items = append(page.Items, d)
		}
	}
	page.Next = from.NextShard()
	if last := out.LastEvaluatedKey; last != nil {
		page.Next = &Position{Shard: from.Shard, Due: textOf(last["dueSk"]), PK: textOf(last["pk"]), SK: textOf(last["sk"])}
	}
	return page, nil
}

// Counted is a number of items of the due index.
type Counted struct {
	Count int
	// Oldest is the earliest time of them; zero for none.
	Oldest time.Time
	// More is true if counting stopped before its end, so that there may be more.
	More bool
}

// Backlog counts what is due and not done, steps and events apart: at most a page of
// 250 a shard, enough to see whether it is large. Oldest is the due time of
// the oldest. Counting stops at the context's deadline, which is no error.
func (t *Table) Backlog(ctx context.Context, now time.Time) (steps, events Counted, err error) {
	queries := make([]*dynamodb.QueryInput, Shards)
	for shard := range queries {
		queries[shard] = t.dueQuery(shard, now)
		queries[shard].Limit, queries[shard].ProjectionExpression = aws.Int32(250), aws.String("dueSk")
	}
	steps, err1 := t.count(ctx, queries[:dueShards], 1, "dueSk")
	events, err2 := t.count(ctx, queries[dueShards:], 1, "dueSk")
	return steps, events, errors.Join(err1, err2)
}

// Unfinished counts the unfinished events that happened by an instant, whether due
// or not. Oldest is when the oldest happened. Like Backlog it counts within bounds.
func (t *Table) Unfinished(ctx context.Context, before time.Time) (Counted, error) {
	queries := make([]*dynamodb.QueryInput, dueShards)
	for i := range queries {
		q := t.dueQuery(dueShards+i, lastStamp)
		q.FilterExpression, q.ProjectionExpression = aws.String("#at <= :before"), aws.String("#at")
		q.Limit = aws.Int32(countPage)
		q.ExpressionAttributeNames = names("#at")
		q.ExpressionAttributeValues[":before"] = text(stamp(before))
		queries[i] = q
	}
	return t.count(ctx, queries, maxPages, "at")
}

// Waiting counts the pending requests by the due index, in which each has an
// entry until its end. Like Backlog it counts within bounds.
func (t *Table) Waiting(ctx context.Context) (Counted, error) {
	queries := make([]*dynamodb.QueryInput, dueShards)
	for shard := range queries {
		q := t.dueQuery(shard, lastStamp)
		q.Select, q.Limit = types.SelectCount, aws.Int32(countPage)
		q.FilterExpression, q.ExpressionAttributeNames = aws.String("#status = :pending"), names("#status")
		q.ExpressionAttributeValues[":pending"] = text(string(agency.Pending))
		queries[shard] = q
	}
	return t.count(ctx, queries, maxPages, "")
}

// maxPages bounds how many pages of the index, of countPage items or a megabyte, are
// read of a shard to count.
const (
	maxPages  = 50
	countPage = 1000
)

// count counts what the queries find, a page of each in turn, within a number of
// pages each. The earliest of their times is in an attribute. A query that fails does
// not keep others from being counted.
func (t *Table) count(ctx context.Context, queries []*dynamodb.QueryInput, pages int, attribute string) (Counted, error) {
	var c Counted
	var failures []error
	for range pages {
		var left []*dynamodb.QueryInput
		for _, q := range queries {
			out, err := t.db.Query(ctx, q)
			if ctx.Err() != nil {
				c.More = true
				return c, errors.Join(failures...)
			}
			if err != nil {
				c.More = true
				failures = append(failures, fmt.Errorf("table: counting: %w", err))
				continue
			}
			c.Count += int(out.Count)
			for _, item := range out.Items {
				// The sweep reports what can't be read; it counts here without a time.
				at, err := unstamp(textOf(item[attribute]))
				if err == nil && !at.IsZero() && (c.Oldest.IsZero() || at.Before(c.Oldest)) {
					c.Oldest = at
				}
			}
			if q.ExclusiveStartKey = out.LastEvaluatedKey; q.ExclusiveStartKey != nil {
				left = append(left, q)
			}
		}
		queries = left
	}
	c.More = c.More || len(queries) > 0
	return c, errors.Join(failures...)
}

// dueQuery finds what is due in a shard.
func (t *Table) dueQuery(shard int, now time.Time) *dynamodb.QueryInput {
	return &dynamodb.QueryInput{
		TableName: &t.name, IndexName: aws.String("ByDue"), KeyConditionExpression: aws.String("duePk = :shard AND dueSk <= :now"),
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":shard": text(duePartition(shard)), ":now": text(stamp(now)),
		},
	}
}
