// Command delivery learns from SES what became of an email, and notes it: at the
// email, at the person whose address it is, and at the request that the email was
// about. It sends nothing, and decides nothing of the domain.
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
	env, err := settings.ReadEnvironment(settings.TableName, settings.ConfigurationSet)
	if err != nil {
		slog.Error("delivery can't start.", "error", err.Error())
		os.Exit(1)
	}
	db := cloud.DynamoDB()
	cloud.Warm(context.Background(), db, env.TableName)
	lambda.Start((&receiver{
		store: table.New(db, env.TableName), configurationSet: env.ConfigurationSet,
		meter: cloud.NewMeter(os.Stdout, time.Now), now: time.Now,
	}).Handle)
}
