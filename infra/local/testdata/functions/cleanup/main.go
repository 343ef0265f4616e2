// Cleanup returns a report.
package main

import (
	"context"
	"encoding/json"

	"github.com/aws/aws-lambda-go/lambda"
)

func main() {
	lambda.Start(func(ctx context.Context, event json.RawMessage) (map[string]any, error) {
		return map[string]any{"cleaned": true, "event": event}, nil
	})
}
