// Command cleanup runs every minute and does what the clock asks for: it
// reminds of requests and end dates, records that they have passed, freezes what
// was cancelled, goes on with closing accounts and erasing persons, takes away
// what ended long ago, and wakes events that nobody finished telling. What it does
// not get to, the next run does.
package main

import (
	"context"
	"log/slog"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"agencyhub/shared/cloud"
	"agencyhub/shared/settings"
	"agencyhub/shared/table"
)

func main() {
	cloud.Log()
	env, err := settings.ReadEnvironment(settings.TableName)
	if err != nil {
		slog.Error("The function cannot start.", "error", err.Error())
		os.Exit(1)
	}
	svc, warm, err := cloud.Service()
	if err != nil {
		slog.Error("The function cannot start.", "error", err.Error())
		os.Exit(1)
	}
	warm(context.Background())
	lambda.Start((&cleaner{
		svc: svc, table: table.New(cloud.DynamoDB(), env.TableName), meter: cloud.NewMeter(os.Stdout, time.Now),
	}).handle)
}
