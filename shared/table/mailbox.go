package table

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"agencyhub/shared/agency"
	"agencyhub/shared/outbox"
	"agencyhub/shared/service"
)

// ClaimUnsolicited is ClaimMail for an email that its recipient did not ask for. The
// first claim counts it towards the limits of its mailbox's UTC day. What is over a
// limit is held instead, which the claim stores. Nothing is counted of a mailbox that
// has stopped such mail.
func (t *Table) ClaimUnsolicited(ctx context.Context, m outbox.MailKey, u outbox.Unsolicited, owner string, now time.Time, lease time.Duration) (outbox.Claim, error) {
	claim := outbox.Claim{State: outbox.ClaimBusy}
	err := retryConflicts(ctx, func() error {
		read, err := t.batch(ctx, []key{mailKey(m), stopKey(u.Mailbox), heldKey(u.Mailbox), mailboxLimitKey(u.Mailbox, now)})
		if err != nil {
			return err
		}
		stop := read[stopKey(u.Mailbox)]
		value, isStopped := textOf(stop["value"]), textOf(stop["stoppedAt"]) != ""
		if _, claimed := read[mailKey(m)]; claimed || isStopped {
			// It was counted, or held, by its first claim.
			claim, err = t.ClaimMail(ctx, m, owner, now, lease)
			claim.Stop, claim.IsStopped = value, isStopped
			return err
		}
		w := writer{table: t.name}
		if value == "" {
			value = rand.Text()
			w.update(stopKey(u.Mailbox), "SET #value = :value", "attribute_not_exists(#value)", map[string]types.AttributeValue{":value": text(value)})
		} else {
			w.items = append(w.items, types.TransactWriteItem{ConditionCheck: &types.ConditionCheck{
				TableName: &t.name, Key: stopKey(u.Mailbox).attributes(), ConditionExpression: aws.String("attribute_not_exists(#stoppedAt)"),
				ExpressionAttributeNames: names("#stoppedAt"),
			}})
		}
		won := outbox.Claim{State: outbox.ClaimTaken, Attempts: 1, Stop: value}
		if counts := read[mailboxLimitKey(u.Mailbox, now)]; isWithin(counts, u) {
			w.claimCounted(m, u, owner, now, lease)
		} else {
			won = outbox.Claim{State: outbox.ClaimHeld}
			err = w.hold(m, u, read[heldKey(u.Mailbox)], now)
		}
		if err == nil {
			_, err = t.db.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: w.items})
			err = w.translate(err)
		}
		if err == nil {
			claim = won
		}
		return err
	})
	return claim, err
}

// limitsOf returns the attributes that count an unsolicited email, and their limits.
// Ids are names of attributes.
func limitsOf(u outbox.Unsolicited) map[string]int {
	limits := map[string]int{"mails": u.All}
	if u.Sender != "" {
		limits[string(u.Sender)] = u.BySender
	}
	if u.Account != "" {
		limits[string(u.Account)] = u.ByAccount
	}
	return limits
}

// isWithin reports whether one more email is within every limit.
func isWithin(counts map[string]types.AttributeValue, u outbox.Unsolicited) bool {
	for name, limit := range limitsOf(u) {
		if n, err := integer(counts[name]); err != nil || n >= limit {
			return false
		}
	}
	return true
}

// claimCounted claims an email for the first time, and counts it.
func (w *writer) claimCounted(m outbox.MailKey, u outbox.Unsolicited, owner string, now time.Time, lease time.Duration) {
	claim, _, values := claiming(owner, now, lease)
	w.update(mailKey(m), claim, "attribute_not_exists(#pk)", values)
	counted := map[string]types.AttributeValue{":one": number(1), ":ttl": epoch(now.Add(limitRetention))}
	var sums, below []string
	for name, limit := range limitsOf(u) {
		most := ":max" + strconv.Itoa(len(sums))
		counted[most] = number(limit)
		sums = append(sums, "#"+name+" :one")
		below = append(below, "(attribute_not_exists(#"+name+") OR #"+name+" < "+most+")")
	}
	w.update(mailboxLimitKey(u.Mailbox, now), "ADD "+strings.Join(sums, ", ")+" SET #ttl = :ttl", strings.Join(below, " AND "), counted)
}

// hold stores that an email waits for the next digest of its mailbox. held is the
// mailbox's item as it was read.
func (w *writer) hold(m outbox.MailKey, u outbox.Unsolicited, held map[string]types.AttributeValue, now time.Time) error {
	digests, err := integer(held["digests"])
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrUnreadable, heldKey(u.Mailbox).pk, err)
	}
	w.update(mailKey(m), "SET #fate = :held, #claimedAt = :now, #finishedAt = :now, #ttl = :ttl", "attribute_not_exists(#pk)", map[string]types.AttributeValue{
		":held": text(string(outbox.Held)), ":now": text(stamp(now)), ":ttl": epoch(now.Add(mailRetention)),
	})
	w.update(heldKey(u.Mailbox),
		"SET #digests = :digests, #duePk = if_not_exists(#duePk, :shard), #dueSk = if_not_exists(#dueSk, :due)",
		"attribute_not_exists(#digests) OR #digests = :digests",
		map[string]types.AttributeValue{
			":digests": number(digests), ":shard": text(dueShard(heldKey(u.Mailbox))), ":due": text(stamp(u.DigestAt)),
		})
	w.update(heldMailKey(u.Mailbox, m), "SET #addressee = :addressee, #tagged = :tagged, #digest = :digest, #at = :now, #ttl = :ttl", "", map[string]types.AttributeValue{
		":addressee": text(string(u.Addressee)), ":tagged": &types.AttributeValueMemberBOOL{Value: u.IsTagged},
		":digest": number(digests + 1), ":now": text(stamp(now)), ":ttl": epoch(now.Add(mailRetention)),
	})
	return nil
}

// update adds an update of one item; a condition of "" is none.
func (w *writer) update(k key, expression, condition string, values map[string]types.AttributeValue) {
	update := &types.Update{
		TableName: &w.table, Key: k.attributes(), UpdateExpression: &expression,
		ExpressionAttributeNames: names(expression + " " + condition), ExpressionAttributeValues: values,
	}
	if condition != "" {
		update.ConditionExpression = &condition
	}
	w.items = append(w.items, types.TransactWriteItem{Update: update})
}

// OpenDigest writes the event of a mailbox's next digest and removes its due mark. It
// returns false if no digest is due by the event's time, or another sweep has written
// it. The event gets its number, and the event before it.
func (t *Table) OpenDigest(ctx context.Context, e agency.Event) (opened bool, err error) {
	err = retryConflicts(ctx, func() error {
		opened, err = t.openDigest(ctx, e)
		return err
	})
	return opened, err
}

func (t *Table) openDigest(ctx context.Context, e agency.Event) (bool, error) {
	box := agency.MailboxID(e.Addressee)
	read, err := t.batch(ctx, []key{heldKey(box)})
	if err != nil {
		return false, err
	}
	held := read[heldKey(box)]
	due := textOf(held["dueSk"])
	if due == "" || due > stamp(e.At) {
		return false, nil
	}
	digests, err := integer(held["digests"])
	if err != nil {
		return false, fmt.Errorf("%w: %s: %w", ErrUnreadable, heldKey(box).pk, err)
	}
	e.Version, e.After = digests+1, agency.EventID(textOf(held["lastEvent"]))
	w := writer{table: t.name, was: map[key]int{}}
	w.update(heldKey(box), "SET #digests = :next, #lastEvent = :event REMOVE #duePk, #dueSk", "#digests = :digests AND #dueSk = :due", map[string]types.AttributeValue{
		":digests": number(digests), ":next": number(digests + 1), ":event": text(string(e.ID)), ":due": text(due),
	})
	item := eventKey(EventKey{e.Addressee, e.ID})
	w.was[item] = 0
	w.put(item, fromEvent(e))
	if w.err != nil {
		return false, w.err
	}
	// It has no entry on the bus.
	w.items[len(w.items)-1].Put.Item[doneAttributes[outbox.Publish]] = text(stamp(e.At))
	err = t.transact(ctx, &w, []agency.Event{e}, time.Time{})
	if errors.Is(err, service.ErrConflict) && !errors.Is(err, service.ErrContended) {
		return false, nil
	}
	return err == nil, err
}

// HeldMails reads the emails that are held for a digest of a mailbox, strongly
// consistent, the newest first.
func (t *Table) HeldMails(ctx context.Context, box agency.MailboxID, digest int) ([]outbox.HeldMail, error) {
	input := &dynamodb.QueryInput{
		TableName: &t.name, ConsistentRead: aws.Bool(true), ScanIndexForward: aws.Bool(false),
		KeyConditionExpression: aws.String("pk = :box AND begins_with(sk, :mail)"), FilterExpression: aws.String("#digest = :digest"),
		ExpressionAttributeNames:  names("#digest"),
		ExpressionAttributeValues: map[string]types.AttributeValue{":box": text(heldPrefix + string(box)), ":mail": text(mailPrefix), ":digest": number(digest)},
	}
	var all []outbox.HeldMail
	for {
		out, err := t.db.Query(ctx, input)
		if err != nil {
			return nil, fmt.Errorf("table: held mails: %w", err)
		}
		for _, item := range out.Items {
			m, err1 := outbox.ParseMailTag(strings.TrimPrefix(textOf(item["sk"]), mailPrefix))
			h := outbox.HeldMail{MailKey: m, Addressee: agency.Party(textOf(item["addressee"]))}
			if tagged, ok := item["tagged"].(*types.AttributeValueMemberBOOL); ok {
				h.IsTagged = tagged.Value
			}
			if err := errors.Join(err1, read(&h.At, textOf(item["at"]))); err != nil {
				return nil, fmt.Errorf("%w: %s: %w", ErrUnreadable, textOf(item["pk"]), err)
			}
			all = append(all, h)
		}
		if input.ExclusiveStartKey = out.LastEvaluatedKey; input.ExclusiveStartKey == nil {
			return all, nil
		}
	}
}

// Unhold deletes the items of held emails whose fates are stored, at most 100. What does
// not exist is no error.
func (t *Table) Unhold(ctx context.Context, box agency.MailboxID, mails ...outbox.MailKey) error {
	w := writer{table: t.name}
	for _, m := range mails {
		w.items = append(w.items, types.TransactWriteItem{Delete: &types.Delete{TableName: &t.name, Key: heldMailKey(box, m).attributes()}})
	}
	return retryConflicts(ctx, func() error {
		_, err := t.db.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: w.items})
		return w.translate(err)
	})
}

// StopLink returns the value of the link that stops unsolicited mail to a mailbox, ""
// for a mailbox that was never sent any, and whether it is stopped.
func (t *Table) StopLink(ctx context.Context, box agency.MailboxID) (value string, isStopped bool, err error) {
	read, err := t.batch(ctx, []key{stopKey(box)})
	item := read[stopKey(box)]
	return textOf(item["value"]), textOf(item["stoppedAt"]) != "", err
}

// MailStopped reports whether a mailbox gets no unsolicited mail.
func (t *Table) MailStopped(ctx context.Context, box agency.MailboxID) (bool, error) {
	_, isStopped, err := t.StopLink(ctx, box)
	return isStopped, err
}

// StopMail stops unsolicited mail to a mailbox, for a person who has the value of its
// link. It returns false for another value. A repeat changes nothing.
func (t *Table) StopMail(ctx context.Context, box agency.MailboxID, value string, now time.Time) (bool, error) {
	return t.update(ctx, stopKey(box), "SET #stoppedAt = if_not_exists(#stoppedAt, :now)", "#value = :value",
		map[string]types.AttributeValue{":value": text(value), ":now": text(stamp(now))})
}

// StopOwnMail is StopMail for the mailbox's person, who has signed in.
func (t *Table) StopOwnMail(ctx context.Context, box agency.MailboxID, now time.Time) error {
	_, err := t.update(ctx, stopKey(box), "SET #stoppedAt = :now, #value = if_not_exists(#value, :value)", "attribute_not_exists(#stoppedAt)",
		map[string]types.AttributeValue{":value": text(rand.Text()), ":now": text(stamp(now))})
	return err
}

// AllowMail ends a stop. The links in emails from before stop nothing any more. It does
// nothing where nothing is stopped.
func (t *Table) AllowMail(ctx context.Context, box agency.MailboxID) error {
	_, err := t.update(ctx, stopKey(box), "SET #value = :value REMOVE #stoppedAt", "attribute_exists(#stoppedAt)",
		map[string]types.AttributeValue{":value": text(rand.Text())})
	return err
}
