package e2e

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
)

// dump is the whole table, each item as JSON by its keys.
func (s *stack) dump(t *testing.T) map[string]string {
	t.Helper()
	db := dynamodb.New(dynamodb.Options{
		Region: s.Region, BaseEndpoint: &s.DynamoDB,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "local", SecretAccessKey: "local"}, nil
		}),
	})
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

// sameBut is an answer's body without its request's id.
func sameBut(r *reply) string {
	return strings.ReplaceAll(string(r.Body), r.Header.Get("Apigw-Requestid"), "")
}

// isEvent tells whether a key of a dump is an event's.
func isEvent(key string) bool { return strings.Contains(key, " EVENT#") }
