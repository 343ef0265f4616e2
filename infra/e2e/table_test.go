package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"agencyhub/shared/table"
)

func (s *stack) db() *dynamodb.Client {
	return dynamodb.New(dynamodb.Options{
		Region: s.Region, BaseEndpoint: &s.DynamoDB,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "local", SecretAccessKey: "local"}, nil
		}),
	})
}

// A row is the key of an item.
type row string

// connectionRow and pairRow are of an agency, and of an account or a person.
func connectionRow(addressee, agency string) row {
	return row(partition(addressee) + " TEAM#" + agency)
}
func pairRow(addressee, agency string) row { return row(partition(addressee) + " PAIR#" + agency) }

func partition(addressee string) string {
	if strings.HasPrefix(addressee, "per_") {
		return "PERSON#" + addressee
	}
	return "ACCT#" + addressee
}

// timeAttributes are the attributes that hold times.
var timeAttributes = []string{
	"requestedAt", "answeredAt", "expiresAt", "until", "since", "mailedAt", "mailed", "remindAt", "dueSk", "coolingUntil", "closed", "createdAt", "erasing",
}

// age moves the times in rows into the past. No setting makes days pass within a
// test, and the functions have no clock but the machine's. Nothing else may write
// the rows meanwhile.
func (s *stack) age(t *testing.T, by time.Duration, rows ...row) {
	t.Helper()
	const stamp = "2006-01-02T15:04:05.000Z"
	older := func(text string) string {
		at, err := time.Parse(stamp, text)
		must(t, err)
		if at.Year() < 2000 {
			return text // the zero time
		}
		return at.Add(-by).Format(stamp)
	}
	for _, r := range rows {
		pk, sk, _ := strings.Cut(string(r), " ")
		key := map[string]types.AttributeValue{"pk": &types.AttributeValueMemberS{Value: pk}, "sk": &types.AttributeValueMemberS{Value: sk}}
		got, err := s.db().GetItem(t.Context(), &dynamodb.GetItemInput{TableName: &s.Table, Key: key, ConsistentRead: aws.Bool(true)})
		if err != nil || len(got.Item) == 0 {
			t.Fatalf("there is no %s to age: %v", r, err)
		}
		for _, name := range timeAttributes {
			switch value := got.Item[name].(type) {
			case *types.AttributeValueMemberS:
				value.Value = older(value.Value)
			case *types.AttributeValueMemberL:
				for _, element := range value.Value {
					element := element.(*types.AttributeValueMemberS)
					element.Value = older(element.Value)
				}
			}
		}
		_, err = s.db().PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &s.Table, Item: got.Item})
		must(t, err)
	}
}

const day = 24 * time.Hour

// dump returns the whole table, each item as JSON by its key.
func (s *stack) dump(t *testing.T) map[string]string {
	t.Helper()
	db := s.db()
	items := map[string]string{}
	pages := dynamodb.NewScanPaginator(db, &dynamodb.ScanInput{TableName: &s.Table, ConsistentRead: aws.Bool(true)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		must(t, err)
		for _, item := range page.Items {
			var plain map[string]any
			must(t, attributevalue.UnmarshalMap(item, &plain))
			if plain["pk"] == "SWEEP" {
				continue // the report of each run of cleanup
			}
			text, err := json.Marshal(plain)
			must(t, err)
			items[plain["pk"].(string)+" "+plain["sk"].(string)] = string(text)
		}
	}
	return items
}

var messageID = regexp.MustCompile(`"messageId":"[^"]+"`)

// settled returns a dump once all emails are out and SES has reported each one's
// fate. Both are written just after an email is there. What a digest stands for stays
// sent.
func (s *stack) settled(t *testing.T) map[string]string {
	t.Helper()
	var items map[string]string
	var open []string
	defer func() {
		if len(open) > 0 {
			t.Logf("what is left: %q", open)
		}
	}()
	eventually(t, "all emails are out, and their fates are known", func() bool {
		items, open = s.dump(t), nil
		digests := map[string]bool{} // by what SES named them
		for key, item := range items {
			if isEmail(key) && strings.Contains(key, " digest#") {
				digests[messageID.FindString(item)] = true
			}
		}
		for key, item := range items {
			waits := isEmail(key) && strings.Contains(item, `"fate":"sent"`) && (strings.Contains(key, " digest#") || !digests[messageID.FindString(item)])
			if waits || isEvent(key) && strings.Contains(item, `"duePk"`) {
				open = append(open, key+" "+item)
			}
		}
		return len(open) == 0
	})
	return items
}

// isNotified reports whether notify has finished every event.
func (s *stack) isNotified(t *testing.T) bool {
	t.Helper()
	for shard := range table.Shards {
		out, err := s.db().Query(t.Context(), &dynamodb.QueryInput{
			TableName: &s.Table, IndexName: aws.String("ByDue"), KeyConditionExpression: aws.String("duePk = :shard"),
			FilterExpression: aws.String("begins_with(sk, :event) AND attribute_not_exists(notified)"),
			ExpressionAttributeValues: map[string]types.AttributeValue{
				":shard": &types.AttributeValueMemberS{Value: fmt.Sprintf("DUE#%d", shard)}, ":event": &types.AttributeValueMemberS{Value: "EVENT#"},
			},
		})
		must(t, err)
		if len(out.Items) > 0 {
			return false
		}
	}
	return true
}

// awaitNotified waits until notify has finished every event, but not for long: one may
// keep failing.
func (s *stack) awaitNotified(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(3 * time.Second); !s.isNotified(t) && time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond)
	}
}

// bodyWithoutID returns an answer's body without its request's id.
func bodyWithoutID(r *reply) string {
	return strings.ReplaceAll(string(r.Body), r.Header.Get("Apigw-Requestid"), "")
}

// isEvent reports whether a key is an event's.
func isEvent(key string) bool { return strings.Contains(key, " EVENT#") }

// isEmail reports whether a key is an email's. The fate of an entry of the bus does
// not change.
func isEmail(key string) bool {
	return strings.HasPrefix(key, "MAIL#") && !strings.HasSuffix(key, " bus#")
}
