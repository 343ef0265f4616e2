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

// met answers the first updates as DynamoDB does while a transaction is at the
// same item, which the local engine never does.
type met struct {
	table.API
	times int
}

func (m *met) UpdateItem(ctx context.Context, in *dynamodb.UpdateItemInput, opts ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error) {
	if m.times > 0 {
		m.times--
		return nil, &types.TransactionConflictException{}
	}
	return m.API.UpdateItem(ctx, in, opts...)
}

// An update that meets a transaction waits for it, and is not given up at once
// nor tried for ever.
func TestAnUpdateWaitsForATransaction(t *testing.T) {
	db, name := testbed.Table(t)
	m := &met{API: db, times: 2}
	store := table.New(m, name)
	key := outbox.MailKey{Event: "evt_01hzzzzzzzzzzzzzzzzzzzzzzz", Kind: "requested", Recipient: agency.NewPersonID("a@b.test")}
	if got, err := store.ClaimMail(t.Context(), key, noon, time.Minute); got != outbox.ClaimTaken || err != nil || m.times != 0 {
		t.Errorf("%v, %v with %d left, want it claimed", got, err, m.times)
	}
	m.times = 1000
	err := store.FinishMail(t.Context(), key, outbox.Sent, "id", noon)
	if !errors.Is(err, service.ErrConflict) || m.times < 980 {
		t.Errorf("%v after %d tries, want a conflict after a few", err, 1000-m.times)
	}
}
