package table

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// SessionID identifies a session of the console. It is the SHA-256 of the session's
// secret, in lower-case hexadecimal: the table does not hold the secret.
type SessionID string

// NewSessionID returns the id of the session with a secret.
func NewSessionID(secret string) SessionID {
	sum := sha256.Sum256([]byte(secret))
	return SessionID(hex.EncodeToString(sum[:]))
}

// IsValid reports whether the id has the form of one.
func (id SessionID) IsValid() bool {
	return len(id) == hex.EncodedLen(sha256.Size) && strings.Trim(string(id), "0123456789abcdef") == ""
}

// Session is what the table holds of a session.
type Session struct {
	ID SessionID
	// Sealed is the content, encrypted by the console.
	Sealed []byte
	// Version counts the writes of the content, from 1.
	Version int
	// LeasedUntil is when the lease of a renewal ends; zero for no lease.
	LeasedUntil time.Time
}

// CreateSession stores a new session. Its content says when it ends; ttl is when
// DynamoDB may delete it. Errors: service.Busy, and one for an id that exists.
func (t *Table) CreateSession(ctx context.Context, id SessionID, sealed []byte, ttl time.Time) error {
	created, err := t.update(ctx, sessionKey(id), "SET #sealed = :sealed, #version = :one, #ttl = :ttl", "attribute_not_exists(#pk)",
		map[string]types.AttributeValue{":sealed": binary(sealed), ":one": number(1), ":ttl": epoch(ttl)})
	if err == nil && !created {
		err = errors.New("table: a session exists already")
	}
	return busy(err)
}

// Session reads a session, strongly consistent. Errors: service.Busy, ErrUnreadable.
func (t *Table) Session(ctx context.Context, id SessionID) (s Session, found bool, err error) {
	out, err := t.db.GetItem(ctx, &dynamodb.GetItemInput{
		TableName: &t.name, Key: sessionKey(id).attributes(), ConsistentRead: aws.Bool(true),
	})
	if err != nil {
		return Session{}, false, fmt.Errorf("table: session: %w", busy(err))
	}
	if len(out.Item) == 0 {
		return Session{}, false, nil
	}
	s, err = sessionOf(out.Item)
	return s, err == nil, err
}

// LeaseSession gives the owner, a random text, the right to renew a session until a
// time, also if it has that already. It returns false if the content is not of that
// version any more, the lease of another lasts at now, or there is no session. Errors:
// service.Busy.
func (t *Table) LeaseSession(ctx context.Context, id SessionID, version int, owner string, now, until time.Time) (bool, error) {
	leased, err := t.update(ctx, sessionKey(id), "SET #leaseUntil = :until, #owner = :owner",
		"#version = :version AND (attribute_not_exists(#leaseUntil) OR #leaseUntil <= :now OR #owner = :owner)", map[string]types.AttributeValue{
			":version": number(version), ":now": text(stamp(now)), ":until": text(stamp(until)), ":owner": text(owner),
		})
	return leased, busy(err)
}

// RenewSession stores new content in place of that of a version, and ends the lease. It
// returns false if the lease is not the owner's, or there is no session. A lease that
// has run out is the owner's until another takes one. Errors: service.Busy.
func (t *Table) RenewSession(ctx context.Context, id SessionID, version int, owner string, sealed []byte) (bool, error) {
	renewed, err := t.update(ctx, sessionKey(id), "SET #sealed = :sealed, #version = :next REMOVE #leaseUntil, #owner", "#owner = :owner",
		map[string]types.AttributeValue{":sealed": binary(sealed), ":next": number(version + 1), ":owner": text(owner)})
	return renewed, busy(err)
}

// ReleaseSession ends a lease without new content. It does nothing if the lease is not
// the owner's. Errors: service.Busy.
func (t *Table) ReleaseSession(ctx context.Context, id SessionID, owner string) error {
	_, err := t.update(ctx, sessionKey(id), "REMOVE #leaseUntil, #owner", "#owner = :owner", map[string]types.AttributeValue{":owner": text(owner)})
	return busy(err)
}

// DeleteSession deletes a session, and returns it as it was. With an owner it does
// nothing unless the lease is the owner's. Errors: service.Busy, ErrUnreadable for an
// item that was deleted all the same.
func (t *Table) DeleteSession(ctx context.Context, id SessionID, owner string) (was Session, deleted bool, err error) {
	input := &dynamodb.DeleteItemInput{TableName: &t.name, Key: sessionKey(id).attributes(), ReturnValues: types.ReturnValueAllOld}
	if owner != "" {
		input.ConditionExpression, input.ExpressionAttributeNames = aws.String("#owner = :owner"), names("#owner")
		input.ExpressionAttributeValues = map[string]types.AttributeValue{":owner": text(owner)}
	}
	out, err := t.db.DeleteItem(ctx, input)
	if _, failed := errors.AsType[*types.ConditionalCheckFailedException](err); failed {
		return Session{}, false, nil
	}
	if err != nil {
		return Session{}, false, fmt.Errorf("table: session: %w", busy(err))
	}
	if len(out.Attributes) == 0 {
		return Session{}, false, nil
	}
	was, err = sessionOf(out.Attributes)
	return was, true, err
}

// sessionOf reads the item of a session.
func sessionOf(item map[string]types.AttributeValue) (Session, error) {
	k := keyOf(item)
	id, err1 := parseSessionKey(k.pk, k.sk)
	version, err2 := integer(item["version"])
	until, err3 := unstamp(textOf(item["leaseUntil"]))
	if err := errors.Join(err1, err2, err3); err != nil {
		return Session{}, fmt.Errorf("%w: a session: %w", ErrUnreadable, err)
	}
	s := Session{ID: id, Version: version, LeasedUntil: until}
	if sealed, ok := item["sealed"].(*types.AttributeValueMemberB); ok {
		s.Sealed = sealed.Value
	}
	return s, nil
}

func binary(b []byte) types.AttributeValue { return &types.AttributeValueMemberB{Value: b} }
