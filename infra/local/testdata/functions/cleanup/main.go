// Cleanup returns a report. A redrive takes three calls.
package main

import (
	"context"
	"encoding/json"

	"github.com/aws/aws-lambda-go/lambda"
)

func main() {
	lambda.Start(func(ctx context.Context, event json.RawMessage) (map[string]any, error) {
		var in struct {
			Redrive bool
			After   int
		}
		if err := json.Unmarshal(event, &in); err != nil {
			return nil, err
		}
		report := map[string]any{"cleaned": true, "event": event, "next": nil}
		if in.Redrive && in.After < 2 {
			report["redriven"], report["next"] = 5, map[string]any{"redrive": true, "after": in.After + 1}
		}
		return report, nil
	})
}
