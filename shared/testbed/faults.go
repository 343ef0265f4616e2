package testbed

import (
	"context"
	"errors"
	"maps"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"
)

// Faults is a client of the real engine that counts calls and can fail before each.
type Faults struct {
	*dynamodb.Client
	mu    sync.Mutex
	calls map[string]int
	// The functions run before a call, which fails with their error.
	BeforeBatch  func(*dynamodb.BatchGetItemInput) error
	BeforeWrite  func(*dynamodb.TransactWriteItemsInput) error
	BeforeQuery  func(*dynamodb.QueryInput) error
	BeforeGet    func(*dynamodb.GetItemInput) error
	BeforeUpdate func(*dynamodb.UpdateItemInput) error
	BeforeDelete func(*dynamodb.DeleteItemInput) error
	// MaxKeys bounds how many keys of a batch are read; 0 is no bound.
	MaxKeys int
	// SplitBatch, if not nil, runs between the two parts in which each batch is read:
	// DynamoDB reads each item of a batch at a moment of its own. The first part has
	// SplitAt keys, at least one; with SplitBackward it is read last.
	SplitBatch    func()
	SplitAt       int
	SplitBackward bool
	// AfterBatch runs after a batch read, AfterWrite after a transaction.
	AfterBatch func()
	AfterWrite func(*dynamodb.TransactWriteItemsInput)
	// AfterCommit runs after a transaction that was made.
	AfterCommit func(*dynamodb.TransactWriteItemsInput)
	// LoseAnswer runs after a transaction that was made. The caller gets its error in
	// place of the answer.
	LoseAnswer func(*dynamodb.TransactWriteItemsInput) error
	// Duration, if not 0, is how long a transaction takes at least. Any other on one
	// of its items meanwhile is refused, as DynamoDB does and the local engine does
	// not.
	Duration time.Duration
	// written has the items of the transactions that are being made.
	written map[string]bool
}

func (f *Faults) count(call string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.calls == nil {
		f.calls = map[string]int{}
	}
	f.calls[call]++
}

// Calls returns the number of calls of one operation since TakeCalls.
func (f *Faults) Calls(operation string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[operation]
}

// TakeCalls returns the number of calls by operation and resets the counts.
func (f *Faults) TakeCalls() map[string]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	was := f.calls
	f.calls = nil
	return was
}

// BatchGetItem reads at most MaxKeys of the keys and reports the others as unprocessed.
func (f *Faults) BatchGetItem(
	ctx context.Context, in *dynamodb.BatchGetItemInput, opts ...func(*dynamodb.Options),
) (*dynamodb.BatchGetItemOutput, error) {
	f.count("BatchGetItem")
	if f.BeforeBatch != nil {
		if err := f.BeforeBatch(in); err != nil {
			return nil, err
		}
	}
	if f.SplitBatch != nil {
		return f.splitBatch(ctx, in, opts...)
	}
	if f.MaxKeys == 0 {
		out, err := f.Client.BatchGetItem(ctx, in, opts...)
		if f.AfterBatch != nil {
			f.AfterBatch()
		}
		return out, err
	}
	left := map[string]types.KeysAndAttributes{}
	some := *in
	some.RequestItems = maps.Clone(in.RequestItems)
	for name, keys := range in.RequestItems {
		if len(keys.Keys) > f.MaxKeys {
			rest := keys
			rest.Keys = slices.Clone(keys.Keys[f.MaxKeys:])
			left[name] = rest
			keys.Keys = keys.Keys[:f.MaxKeys]
			some.RequestItems[name] = keys
		}
	}
	out, err := f.Client.BatchGetItem(ctx, &some, opts...)
	if err == nil {
		out.UnprocessedKeys = left
	}
	return out, err
}

// TransactWriteItems runs BeforeWrite, the transaction and AfterWrite.
func (f *Faults) TransactWriteItems(
	ctx context.Context, in *dynamodb.TransactWriteItemsInput, opts ...func(*dynamodb.Options),
) (*dynamodb.TransactWriteItemsOutput, error) {
	f.count("TransactWriteItems")
	if f.BeforeWrite != nil {
		if err := f.BeforeWrite(in); err != nil {
			return nil, err
		}
	}
	if f.AfterWrite != nil {
		defer f.AfterWrite(in)
	}
	if f.Duration > 0 {
		if err := f.begin(in); err != nil {
			// A refusal takes a round trip too, and its processor time.
			_, failed := f.Client.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{
				tableOf(in): {Keys: []Item{{"pk": &types.AttributeValueMemberS{Value: "-"}, "sk": &types.AttributeValueMemberS{Value: "-"}}}},
			}})
			return nil, errors.Join(err, failed)
		}
		defer f.end(in, time.Now().Add(f.Duration))
	}
	out, err := f.Client.TransactWriteItems(ctx, in, opts...)
	if err == nil && f.AfterCommit != nil {
		f.AfterCommit(in)
	}
	if err == nil && f.LoseAnswer != nil {
		if lost := f.LoseAnswer(in); lost != nil {
			return nil, lost
		}
	}
	return out, err
}

// splitBatch reads a batch in two parts, with SplitBatch between them.
func (f *Faults) splitBatch(
	ctx context.Context, in *dynamodb.BatchGetItemInput, opts ...func(*dynamodb.Options),
) (*dynamodb.BatchGetItemOutput, error) {
	all := &dynamodb.BatchGetItemOutput{Responses: map[string][]Item{}}
	for part := range 2 {
		some := *in
		some.RequestItems = map[string]types.KeysAndAttributes{}
		for name, keys := range in.RequestItems {
			at := min(max(f.SplitAt, 1), len(keys.Keys))
			if (part == 0) == f.SplitBackward {
				keys.Keys = keys.Keys[at:]
			} else {
				keys.Keys = keys.Keys[:at]
			}
			if len(keys.Keys) > 0 {
				some.RequestItems[name] = keys
			}
		}
		if part == 1 {
			f.SplitBatch()
		}
		if len(some.RequestItems) == 0 {
			continue
		}
		out, err := f.Client.BatchGetItem(ctx, &some, opts...)
		if err != nil {
			return nil, err
		}
		for name, items := range out.Responses {
			all.Responses[name] = append(all.Responses[name], items...)
		}
	}
	return all, nil
}

// begin refuses a transaction on items that another one is writing or checking.
func (f *Faults) begin(in *dynamodb.TransactWriteItemsInput) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	reasons, contended := make([]string, len(in.TransactItems)), false
	for i, k := range itemsOf(in) {
		reasons[i] = "None"
		if f.written[k] {
			reasons[i], contended = "TransactionConflict", true
		}
	}
	if contended {
		return Cancelled(reasons...)
	}
	if f.written == nil {
		f.written = map[string]bool{}
	}
	for _, k := range itemsOf(in) {
		f.written[k] = true
	}
	return nil
}

// end ends a transaction, not before a time.
func (f *Faults) end(in *dynamodb.TransactWriteItemsInput, at time.Time) {
	time.Sleep(time.Until(at))
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, k := range itemsOf(in) {
		delete(f.written, k)
	}
}

// tableOf returns the table of a transaction.
func tableOf(in *dynamodb.TransactWriteItemsInput) string {
	for _, item := range in.TransactItems {
		switch {
		case item.Put != nil:
			return *item.Put.TableName
		case item.Update != nil:
			return *item.Update.TableName
		}
	}
	return ""
}

// itemsOf returns the keys of the items that a transaction writes or checks.
func itemsOf(in *dynamodb.TransactWriteItemsInput) []string {
	keys := make([]string, len(in.TransactItems))
	for i, item := range in.TransactItems {
		var at Item
		switch {
		case item.Put != nil:
			at = item.Put.Item
		case item.Update != nil:
			at = item.Update.Key
		case item.Delete != nil:
			at = item.Delete.Key
		case item.ConditionCheck != nil:
			at = item.ConditionCheck.Key
		}
		keys[i] = Str(at["pk"]) + " " + Str(at["sk"])
	}
	return keys
}

// Query runs BeforeQuery and the query.
func (f *Faults) Query(ctx context.Context, in *dynamodb.QueryInput, opts ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error) {
	f.count("Query")
	if f.BeforeQuery != nil {
		if err := f.BeforeQuery(in); err != nil {
			return nil, err
		}
	}
	return f.Client.Query(ctx, in, opts...)
}

// GetItem runs BeforeGet and the read.
func (f *Faults) GetItem(ctx context.Context, in *dynamodb.GetItemInput, opts ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error) {
	f.count("GetItem")
	if f.BeforeGet != nil {
		if err := f.BeforeGet(in); err != nil {
			return nil, err
		}
	}
	return f.Client.GetItem(ctx, in, opts...)
}

// UpdateItem runs BeforeUpdate and the update.
func (f *Faults) UpdateItem(ctx context.Context, in *dynamodb.UpdateItemInput, opts ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error) {
	f.count("UpdateItem")
	if f.BeforeUpdate != nil {
		if err := f.BeforeUpdate(in); err != nil {
			return nil, err
		}
	}
	return f.Client.UpdateItem(ctx, in, opts...)
}

// DeleteItem runs BeforeDelete and the deletion.
func (f *Faults) DeleteItem(ctx context.Context, in *dynamodb.DeleteItemInput, opts ...func(*dynamodb.Options)) (*dynamodb.DeleteItemOutput, error) {
	f.count("DeleteItem")
	if f.BeforeDelete != nil {
		if err := f.BeforeDelete(in); err != nil {
			return nil, err
		}
	}
	return f.Client.DeleteItem(ctx, in, opts...)
}

// Cancelled returns the error by which DynamoDB refuses a transaction, with a reason for
// each item.
func Cancelled(reasons ...string) error {
	e := &types.TransactionCanceledException{Message: aws.String("cancelled")}
	for _, r := range reasons {
		e.CancellationReasons = append(e.CancellationReasons, types.CancellationReason{Code: aws.String(r)})
	}
	return e
}

// Item is an item of a table.
type Item = map[string]types.AttributeValue

// Items returns everything in a table, by "pk sk".
func Items(t testing.TB, db *dynamodb.Client, name string) map[string]Item {
	t.Helper()
	out := map[string]Item{}
	for p := dynamodb.NewScanPaginator(db, &dynamodb.ScanInput{TableName: &name, ConsistentRead: aws.Bool(true)}); p.HasMorePages(); {
		page, err := p.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range page.Items {
			out[Str(i["pk"])+" "+Str(i["sk"])] = i
		}
	}
	return out
}

// SameItems fails when a table is not as it was.
func SameItems(t *testing.T, before, after map[string]Item) {
	t.Helper()
	if reflect.DeepEqual(before, after) {
		return
	}
	if diff := cmp.Diff(before, after, ignoreNoSmithy); diff != "" {
		t.Errorf("the table changed: %s", diff)
	}
}

var ignoreNoSmithy = cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".noSmithyDocumentSerde" }, cmp.Ignore())

// Str returns the text of an attribute; "" for one of another type.
func Str(v types.AttributeValue) string {
	if s, ok := v.(*types.AttributeValueMemberS); ok {
		return s.Value
	}
	return ""
}

// Num returns the digits of a number attribute; "" for one of another type.
func Num(v types.AttributeValue) string {
	if n, ok := v.(*types.AttributeValueMemberN); ok {
		return n.Value
	}
	return ""
}
