package e2e

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

func (s *stack) db() *dynamodb.Client {
	return dynamodb.New(dynamodb.Options{
		Region: s.Region, BaseEndpoint: &s.DynamoDB,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "local", SecretAccessKey: "local"}, nil
		}),
	})
}

// A row is an item by its keys, as a dump names it.
type row string

// connectionRow and pairRow are what stands between an addressee, an account or
// a person, and an agency.
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

// clocks are the attributes of a row that hold an instant.
var clocks = []string{
	"requestedAt", "expiresAt", "until", "since", "mailedAt", "mailed", "remindAt", "dueSk", "coolingUntil", "closed", "createdAt", "erasing",
}

// ages makes rows older by a time: each instant in them moves into the past by
// so much. No deployment's settings bring a reminder, a retention or a cooldown
// of days about within a test, and the functions have no clock but the machine's;
// so the days go by in the table, and everything after that is the product's own.
// Nothing else may be at work on the rows.
func (s *stack) ages(t *testing.T, by time.Duration, rows ...row) {
	t.Helper()
	const stamp = "2006-01-02T15:04:05.000Z"
	older := func(text string) string {
		at, err := time.Parse(stamp, text)
		if err != nil {
			t.Fatal(err)
		}
		if at.Year() < 2000 {
			return text // the stamp of no time at all
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
		for _, name := range clocks {
			switch value := got.Item[name].(type) {
			case *types.AttributeValueMemberS:
				value.Value = older(value.Value)
			case *types.AttributeValueMemberL:
				for _, one := range value.Value {
					one := one.(*types.AttributeValueMemberS)
					one.Value = older(one.Value)
				}
			}
		}
		if _, err := s.db().PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &s.Table, Item: got.Item}); err != nil {
			t.Fatal(err)
		}
	}
}

const aDay = 24 * time.Hour

// dump is the whole table, each item as JSON by its keys.
func (s *stack) dump(t *testing.T) map[string]string {
	t.Helper()
	db := s.db()
	items := map[string]string{}
	pages := dynamodb.NewScanPaginator(db, &dynamodb.ScanInput{TableName: &s.Table, ConsistentRead: aws.Bool(true)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, item := range page.Items {
			var plain map[string]any
			if err := attributevalue.UnmarshalMap(item, &plain); err != nil {
				t.Fatal(err)
			}
			text, err := json.Marshal(plain)
			if err != nil {
				t.Fatal(err)
			}
			items[plain["pk"].(string)+" "+plain["sk"].(string)] = string(text)
		}
	}
	return items
}

// still is a dump once everyone has been told of everything, and SES has said of
// each email what became of it: the last mark is taken off an event just after
// its emails are out, and news comes just after that.
func (s *stack) still(t *testing.T) map[string]string {
	t.Helper()
	var items map[string]string
	eventually(t, "no event waits to be told, and no email for news", func() bool {
		items = s.dump(t)
		for key, item := range items {
			if isEvent(key) && strings.Contains(item, `"duePk"`) || isMail(key) && strings.Contains(item, `"fate":"sent"`) {
				return false
			}
		}
		return true
	})
	return items
}

// sameBut is an answer's body without its request's id.
func sameBut(r *reply) string {
	return strings.ReplaceAll(string(r.Body), r.Header.Get("Apigw-Requestid"), "")
}

// isEvent tells whether a key of a dump is an event's.
func isEvent(key string) bool { return strings.Contains(key, " EVENT#") }

// isMail tells whether a key of a dump is an email's; the bus's entries, which
// nothing more is heard of, are none.
func isMail(key string) bool {
	return strings.HasPrefix(key, "MAIL#") && !strings.HasSuffix(key, " bus#")
}
