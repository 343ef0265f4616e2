package linear

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"agencyhub/shared/testbed"
)

// faultRates say how often calls of DynamoDB go wrong, each of 1,000.
type faultRates struct {
	before int // a transaction fails before it is made
	lost   int // it is made, and its answer is lost
	late   int // its call fails, and it is made a moment later
	busy   int // a batch read fails
	cutOff int // all calls of a command fail from a moment on, so that its outcome can't be read
}

// errLost is what a caller sees of a lost connection: it doesn't say whether the call was
// made.
var errLost = errors.New("connection reset by peer")

// traffic is the calls of all workers of a world.
type traffic struct {
	faults  *testbed.Faults
	rates   faultRates
	torn    bool
	meter   *meter
	commits atomic.Int64
	late    sync.WaitGroup
	// underWay has the tokens of transactions that are being made.
	underWay sync.Map
}

// A client is one worker's client of DynamoDB.
type client struct {
	*testbed.Faults
	traffic *traffic
	rand    *rand.Rand
	// cutOff is true once no more answer reaches the present operation.
	cutOff bool
}

func (c *client) happens(rate int) bool { return c.rand.IntN(1000) < rate }

// BatchGetItem reads a batch. With torn reads it reads each item by a call of its own, in
// random order and with pauses, as DynamoDB may.
func (c *client) BatchGetItem(
	ctx context.Context, in *dynamodb.BatchGetItemInput, opts ...func(*dynamodb.Options),
) (*dynamodb.BatchGetItemOutput, error) {
	m := c.traffic.meter
	if c.cutOff {
		return nil, errLost
	}
	if c.happens(c.traffic.rates.busy) {
		m.add(func(c *counts) { c.busy++ })
		return nil, &types.InternalServerError{}
	}
	m.add(func(c *counts) { c.batches++ })
	if !c.traffic.torn {
		return c.Faults.BatchGetItem(ctx, in, opts...)
	}
	begin := c.traffic.commits.Load()
	out, err := c.readEach(ctx, in, opts...)
	if c.traffic.commits.Load() != begin {
		m.add(func(c *counts) { c.torn++ })
	}
	return out, err
}

func (c *client) readEach(
	ctx context.Context, in *dynamodb.BatchGetItemInput, opts ...func(*dynamodb.Options),
) (*dynamodb.BatchGetItemOutput, error) {
	all := &dynamodb.BatchGetItemOutput{Responses: map[string][]testbed.Item{}}
	for name, wanted := range in.RequestItems {
		for _, n := range c.rand.Perm(len(wanted.Keys)) {
			one := wanted
			one.Keys = wanted.Keys[n : n+1]
			some := *in
			some.RequestItems = map[string]types.KeysAndAttributes{name: one}
			out, err := c.Faults.BatchGetItem(ctx, &some, opts...)
			if err != nil {
				return nil, err
			}
			all.Responses[name] = append(all.Responses[name], out.Responses[name]...)
			time.Sleep(rand.N(time.Millisecond))
		}
	}
	return all, nil
}

// TransactWriteItems makes a transaction, unless a fault comes between.
func (c *client) TransactWriteItems(
	ctx context.Context, in *dynamodb.TransactWriteItemsInput, opts ...func(*dynamodb.Options),
) (*dynamodb.TransactWriteItemsOutput, error) {
	tr, m := c.traffic, c.traffic.meter
	if c.happens(tr.rates.cutOff) {
		c.cutOff = true
		m.add(func(c *counts) { c.cutOff++ })
	}
	switch {
	case c.happens(tr.rates.before):
		m.add(func(c *counts) { c.before++ })
		return nil, errLost
	case c.happens(tr.rates.late):
		m.add(func(c *counts) { c.late++ })
		pause := rand.N(120 * time.Millisecond)
		tr.late.Go(func() {
			time.Sleep(pause)
			// Its caller has an answer already.
			_, _ = tr.transact(context.WithoutCancel(ctx), in, opts...)
		})
		return nil, errLost
	}
	out, err := tr.transact(ctx, in, opts...)
	if err == nil && (c.cutOff || c.happens(tr.rates.lost)) {
		m.add(func(c *counts) { c.lost++ })
		return nil, errLost
	}
	return out, err
}

func (tr *traffic) transact(
	ctx context.Context, in *dynamodb.TransactWriteItemsInput, opts ...func(*dynamodb.Options),
) (*dynamodb.TransactWriteItemsOutput, error) {
	tr.meter.add(func(c *counts) { c.transactions++ })
	if _, there := tr.underWay.LoadOrStore(*in.ClientRequestToken, true); there {
		return nil, &types.TransactionInProgressException{}
	}
	defer tr.underWay.Delete(*in.ClientRequestToken)
	out, err := tr.faults.TransactWriteItems(ctx, in, opts...)
	refused, ok := errors.AsType[*types.TransactionCanceledException](err)
	switch {
	case err == nil:
		tr.commits.Add(1)
	case ok && contended(refused):
		tr.meter.add(func(c *counts) { c.conflicts++ })
	case ok:
		tr.meter.add(func(c *counts) { c.lostRaces++ })
	}
	return out, err
}

func contended(e *types.TransactionCanceledException) bool {
	for _, r := range e.CancellationReasons {
		if r.Code != nil && *r.Code == "TransactionConflict" {
			return true
		}
	}
	return false
}
