// Echo returns the event that it got, and fails on request.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"

	"agencyhub/infra/local/dynamodb"
)

func main() {
	lambda.Start(func(ctx context.Context, e events.APIGatewayV2HTTPRequest) (any, error) {
		switch e.PathParameters["proxy"] {
		case "panic":
			panic("asked to")
		case "exit":
			os.Exit(3)
		case "error":
			return nil, errors.New("asked to")
		case "hang":
			time.Sleep(time.Minute)
		case "wait":
			time.Sleep(300 * time.Millisecond)
		case "plain":
			return map[string]string{"plain": "answer"}, nil
		case "binary":
			return events.APIGatewayV2HTTPResponse{StatusCode: 201, Headers: map[string]string{"Content-Type": "image/png"}, Cookies: []string{"a=1", "b=2"}, Body: "AP8=", IsBase64Encoded: true}, nil
		case "GetItem", "UpdateItem":
			return map[string]string{"refused": call(ctx, e.PathParameters["proxy"])}, nil
		case "broken":
			return map[string]any{"statusCode": "many"}, nil
		}
		fmt.Println("echo of", e.RawPath)
		body, err := json.Marshal(map[string]any{"event": e, "pid": os.Getpid(), "greeting": os.Getenv("GREETING")})
		if err != nil {
			return nil, err
		}
		return events.APIGatewayV2HTTPResponse{StatusCode: 200, Headers: map[string]string{"Content-Type": "application/json"}, Body: string(body)}, nil
	})
}

// call calls DynamoDB by the function's own role, and returns what it was refused with.
func call(ctx context.Context, operation string) string {
	key := map[string]any{"pk": map[string]string{"S": "a"}, "sk": map[string]string{"S": "b"}}
	db := dynamodb.FromEnvironment(os.Getenv("AWS_ENDPOINT_URL_DYNAMODB"))
	if err := db.Call(ctx, "DynamoDB_20120810."+operation, map[string]any{"TableName": os.Getenv("TABLE_NAME"), "Key": key}, new(any)); err != nil {
		return err.Error()
	}
	return ""
}
