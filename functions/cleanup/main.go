// Command cleanup runs every minute and does what is due by then. It sends reminders of
// requests and end dates, expires requests and ends accesses, freezes cancelled
// subscriptions, continues closing accounts and erasing persons, and deletes what ended
// longer ago than the retention. It also wakes events that publish or notify has not
// finished. The next run does what a run has no time for.
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

// version is the build's; the linker sets it. A build that is not for AWS has none.
var version = "dev"

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
		svc: svc, table: table.New(cloud.DynamoDB(), env.TableName), meter: cloud.NewMeter(os.Stdout, cloud.Now), clock: time.Now,
	}).handle)
}
