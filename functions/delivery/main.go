// Command delivery receives SES's events about sent emails. It records the fate of the
// email, whether the person can be mailed, and whether a request's or an invitation's
// email failed. It sends nothing and runs no use case.
package main

import (
	"context"
	"log/slog"
	"os"

	"github.com/aws/aws-lambda-go/lambda"

	"agencyhub/shared/cloud"
	"agencyhub/shared/settings"
	"agencyhub/shared/table"
)

func main() {
	cloud.Log()
	env, err := settings.ReadEnvironment(settings.TableName, settings.ConfigurationSet)
	if err != nil {
		slog.Error("delivery can't start.", "error", err.Error())
		os.Exit(1)
	}
	db := cloud.DynamoDB()
	cloud.Warm(context.Background(), db, env.TableName)
	lambda.Start((&receiver{
		store: table.New(db, env.TableName), configurationSet: env.ConfigurationSet,
		meter: cloud.NewMeter(os.Stdout, cloud.Now), now: cloud.Now,
	}).Handle)
}
