package testbed_test

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"agencyhub/shared/testbed"
)

// proxied returns a client of the engine through a proxy, with a table.
func proxied(t *testing.T, p *testbed.Proxy) (*dynamodb.Client, string) {
	t.Helper()
	db, name := testbed.Table(t)
	p.Engine = *db.Options().BaseEndpoint
	endpoint, err := p.Listen()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return dynamodb.NewFromConfig(testbed.Config(), func(o *dynamodb.Options) { o.BaseEndpoint = &endpoint }), name
}

func item(sk string) testbed.Item {
	return testbed.Item{"pk": &types.AttributeValueMemberS{Value: "p"}, "sk": &types.AttributeValueMemberS{Value: sk}}
}

// write writes n into items, in one transaction.
func write(ctx context.Context, db *dynamodb.Client, name string, n int, sks ...string) error {
	var items []types.TransactWriteItem
	for _, sk := range sks {
		i := item(sk)
		i["n"] = &types.AttributeValueMemberN{Value: strconv.Itoa(n)}
		items = append(items, types.TransactWriteItem{Put: &types.Put{TableName: &name, Item: i}})
	}
	_, err := db.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: items})
	return err
}

// read returns items with their n, in the order of their keys, from one batch.
func read(ctx context.Context, db *dynamodb.Client, name string, sks ...string) ([]string, error) {
	var keys []map[string]types.AttributeValue
	for _, sk := range sks {
		keys = append(keys, item(sk))
	}
	out, err := db.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{
		RequestItems: map[string]types.KeysAndAttributes{name: {Keys: keys, ConsistentRead: aws.Bool(true)}},
	})
	if err != nil {
		return nil, err
	}
	var got []string
	for _, i := range out.Responses[name] {
		got = append(got, testbed.Str(i["sk"])+testbed.Num(i["n"]))
	}
	slices.SortFunc(got, cmp.Compare)
	return got, nil
}

// TestTornReads reads two items that are always written together.
func TestTornReads(t *testing.T) {
	db, name := proxied(t, &testbed.Proxy{Torn: true})
	if err := write(t.Context(), db, name, 0, "a", "b"); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var writer sync.WaitGroup
	defer writer.Wait()
	defer stop()
	writer.Go(func() {
		for n := 1; ctx.Err() == nil; n++ {
			if err := write(ctx, db, name, n, "a", "b"); err != nil && ctx.Err() == nil {
				t.Error(err)
				return
			}
		}
	})
	for range 1000 {
		got, err := read(t.Context(), db, name, "a", "b")
		if err != nil || len(got) != 2 {
			t.Fatalf("%v, %v", got, err)
		}
		if strings.TrimPrefix(got[0], "a") != strings.TrimPrefix(got[1], "b") {
			return
		}
	}
	t.Error("1,000 batches were snapshots")
}

// A torn batch has what is there, and is refused where the engine refuses it.
func TestTornReadsAreReads(t *testing.T) {
	db, name := proxied(t, &testbed.Proxy{Torn: true})
	if err := write(t.Context(), db, name, 7, "a", "b", "c"); err != nil {
		t.Fatal(err)
	}
	got, err := read(t.Context(), db, name, "c", "missing", "a")
	if want := []string{"a7", "c7"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v, want %v", got, err, want)
	}
	if got, err = read(t.Context(), db, name, "a", "a"); err == nil {
		t.Errorf("the same key twice: %v", got)
	}
	_, err = read(t.Context(), db, "NoTable", "a", "b")
	if _, missing := errors.AsType[*types.ResourceNotFoundException](err); !missing {
		t.Errorf("no table: %v", err)
	}
}

// A proxy gives a table another name.
func TestProxyRenamesTheTable(t *testing.T) {
	p := &testbed.Proxy{Table: "HubTable"}
	db, name := proxied(t, p)
	p.TableThere = name
	if err := write(t.Context(), db, "HubTable", 1, "a"); err != nil {
		t.Fatal(err)
	}
	if got, err := read(t.Context(), db, "HubTable", "a"); err != nil || !slices.Equal(got, []string{"a1"}) {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := read(t.Context(), testbed.DynamoDB(t), name, "a"); err != nil || !slices.Equal(got, []string{"a1"}) {
		t.Errorf("in the engine: %v, %v", got, err)
	}
}
