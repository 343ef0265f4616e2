package table_test

import (
	"context"
	"maps"
	"reflect"
	"slices"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"

	"agencyhub/shared/table"
)

// faulty is the real engine with a chance to go wrong before each call, and a
// count of the calls.
type faulty struct {
	table.API
	mu    sync.Mutex
	calls map[string]int
	// These come before a call and may fail it.
	batch func(*dynamodb.BatchGetItemInput) error
	write func(*dynamodb.TransactWriteItemsInput) error
	query func(*dynamodb.QueryInput) error
	// atMost bounds how many keys of a batch are read; 0 for all.
	atMost int
	// read comes after a batch was read, and done after a transaction.
	read func()
	done func(*dynamodb.TransactWriteItemsInput)
}

func (f *faulty) count(call string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.calls == nil {
		f.calls = map[string]int{}
	}
	f.calls[call]++
}

// taken answers the calls since it was last asked.
func (f *faulty) taken() map[string]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	was := f.calls
	f.calls = nil
	return was
}

func (f *faulty) BatchGetItem(ctx context.Context, in *dynamodb.BatchGetItemInput, opts ...func(*dynamodb.Options)) (*dynamodb.BatchGetItemOutput, error) {
	f.count("BatchGetItem")
	if f.batch != nil {
		if err := f.batch(in); err != nil {
			return nil, err
		}
	}
	if f.atMost == 0 {
		out, err := f.API.BatchGetItem(ctx, in, opts...)
		if f.read != nil {
			f.read()
		}
		return out, err
	}
	left := map[string]types.KeysAndAttributes{}
	some := *in
	some.RequestItems = maps.Clone(in.RequestItems)
	for name, keys := range in.RequestItems {
		if len(keys.Keys) > f.atMost {
			rest := keys
			rest.Keys = slices.Clone(keys.Keys[f.atMost:])
			left[name] = rest
			keys.Keys = keys.Keys[:f.atMost]
			some.RequestItems[name] = keys
		}
	}
	out, err := f.API.BatchGetItem(ctx, &some, opts...)
	if err == nil {
		out.UnprocessedKeys = left
	}
	return out, err
}

func (f *faulty) TransactWriteItems(ctx context.Context, in *dynamodb.TransactWriteItemsInput, opts ...func(*dynamodb.Options)) (*dynamodb.TransactWriteItemsOutput, error) {
	f.count("TransactWriteItems")
	if f.write != nil {
		if err := f.write(in); err != nil {
			return nil, err
		}
	}
	if f.done != nil {
		defer f.done(in)
	}
	return f.API.TransactWriteItems(ctx, in, opts...)
}

func (f *faulty) Query(ctx context.Context, in *dynamodb.QueryInput, opts ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error) {
	f.count("Query")
	if f.query != nil {
		if err := f.query(in); err != nil {
			return nil, err
		}
	}
	return f.API.Query(ctx, in, opts...)
}

func (f *faulty) GetItem(ctx context.Context, in *dynamodb.GetItemInput, opts ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error) {
	f.count("GetItem")
	return f.API.GetItem(ctx, in, opts...)
}

func (f *faulty) UpdateItem(ctx context.Context, in *dynamodb.UpdateItemInput, opts ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error) {
	f.count("UpdateItem")
	return f.API.UpdateItem(ctx, in, opts...)
}

// cancelled is how DynamoDB refuses a transaction, a reason for each item.
func cancelled(reasons ...string) error {
	e := &types.TransactionCanceledException{Message: aws.String("cancelled")}
	for _, r := range reasons {
		e.CancellationReasons = append(e.CancellationReasons, types.CancellationReason{Code: aws.String(r)})
	}
	return e
}

type item = map[string]types.AttributeValue

// dump is everything in a table, by primary key.
func dump(t *testing.T, db *dynamodb.Client, name string) map[string]item {
	t.Helper()
	out := map[string]item{}
	for p := dynamodb.NewScanPaginator(db, &dynamodb.ScanInput{TableName: &name, ConsistentRead: aws.Bool(true)}); p.HasMorePages(); {
		page, err := p.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range page.Items {
			out[str(i["pk"])+" "+str(i["sk"])] = i
		}
	}
	return out
}

// sameItems fails when a table is not as it was.
func sameItems(t *testing.T, before, after map[string]item) {
	t.Helper()
	if reflect.DeepEqual(before, after) {
		return
	}
	if diff := cmp.Diff(before, after, ignoreNoSmithy); diff != "" {
		t.Errorf("the table changed: %s", diff)
	}
}

var ignoreNoSmithy = cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".noSmithyDocumentSerde" }, cmp.Ignore())

func str(v types.AttributeValue) string {
	if s, ok := v.(*types.AttributeValueMemberS); ok {
		return s.Value
	}
	return ""
}

func num(v types.AttributeValue) string {
	if n, ok := v.(*types.AttributeValueMemberN); ok {
		return n.Value
	}
	return ""
}
