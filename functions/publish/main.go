// Command publish puts the events of the table's stream on the bus, and refreshes the
// copies of what they changed. It sends no emails.
package main

import (
	"context"
	"log/slog"
	"os"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"

	"agencyhub/shared/cloud"
	"agencyhub/shared/settings"
	"agencyhub/shared/stream"
	"agencyhub/shared/table"
)

func main() {
	cloud.Log()
	p, err := build(context.Background())
	if err != nil {
		slog.Error("publish can't start.", "error", err.Error())
		os.Exit(1)
	}
	lambda.Start(p.Handle)
}

func build(ctx context.Context) (*publisher, error) {
	env, err := settings.ReadEnvironment(settings.TableName, settings.BusName)
	if err != nil {
		return nil, err
	}
	service, warm, err := cloud.Service()
	if err != nil {
		return nil, err
	}
	warm(ctx)
	client := eventbridge.NewFromConfig(cloud.Config(), func(o *eventbridge.Options) { o.BaseEndpoint = cloud.Endpoint("EVENTBRIDGE") })
	return newPublisher(
		table.New(cloud.DynamoDB(), env.TableName), bus{client: client, name: env.BusName}, cloud.NewMeter(os.Stdout, cloud.Now),
		service.RefreshCopies, cloud.Now, stream.Pause,
	), nil
}
