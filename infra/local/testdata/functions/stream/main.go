// Stream writes the sequence of what it gets to its log, and fails at records
// whose attribute `poison` says how.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
)

func main() {
	lambda.Start(func(ctx context.Context, e events.DynamoDBEvent) (events.DynamoDBEventResponse, error) {
		for _, r := range e.Records {
			key := r.Change.Keys["sk"].String()
			if poison, ok := r.Change.NewImage["poison"]; ok {
				switch poison.String() {
				case "report":
					return events.DynamoDBEventResponse{BatchItemFailures: []events.DynamoDBBatchItemFailure{{ItemIdentifier: r.Change.SequenceNumber}}}, nil
				case "error":
					return events.DynamoDBEventResponse{}, fmt.Errorf("poisoned by %s", key)
				case "exit":
					os.Exit(3)
				}
			}
			fmt.Println("took", key, r.EventName)
		}
		return events.DynamoDBEventResponse{}, nil
	})
}
