package table_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"agencyhub/shared/agency"
	"agencyhub/shared/outbox"
	"agencyhub/shared/service"
	"agencyhub/shared/table"
	"agencyhub/shared/testbed"
)

// conflicting fails its first updates as DynamoDB does while a transaction writes the same item. The
// local engine never does.
type conflicting struct {
	table.API
	times int
}

func (c *conflicting) UpdateItem(ctx context.Context, in *dynamodb.UpdateItemInput, opts ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error) {
	if c.times > 0 {
		c.times--
		return nil, &types.TransactionConflictException{}
	}
	return c.API.UpdateItem(ctx, in, opts...)
}

// An update that conflicts with a transaction is retried a limited number of times.
func TestAnUpdateWaitsForATransaction(t *testing.T) {
	db, name := testbed.Table(t)
	c := &conflicting{API: db, times: 2}
	store := table.New(c, name)
	key := outbox.MailKey{Event: "evt_01hzzzzzzzzzzzzzzzzzzzzzzz", Kind: "requested", Recipient: agency.NewPersonID("a@b.test")}
	if got, err := store.ClaimMail(t.Context(), key, outbox.NewOwner(), noon, time.Minute); got.State != outbox.ClaimTaken || err != nil || c.times != 0 {
		t.Errorf("%v, %v with %d left, want it claimed", got, err, c.times)
	}
	c.times = 1000
	err := store.FinishMail(t.Context(), key, outbox.Sent, "id", noon)
	if !errors.Is(err, service.ErrConflict) || c.times < 980 {
		t.Errorf("%v after %d tries, want a conflict after a few", err, 1000-c.times)
	}
}
