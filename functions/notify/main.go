// Command notify puts the events of the table's stream on the bus and sends the
// emails that they cause. It reads each event from the table: a stream record only
// says that there is one. It decides nothing of the domain.
package main

import (
	"context"
	"log/slog"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/sesv2"

	"agencyhub/shared/cloud"
	"agencyhub/shared/settings"
	"agencyhub/shared/table"
)

func main() {
	cloud.Log()
	n, err := build(context.Background())
	if err != nil {
		slog.Error("notify can't start.", "error", err.Error())
		os.Exit(1)
	}
	lambda.Start(n.Handle)
}

func build(ctx context.Context) (*notifier, error) {
	env, err := settings.ReadEnvironment(settings.TableName, settings.PublicURL, settings.SenderAddress, settings.ConfigurationSet, settings.BusName)
	if err != nil {
		return nil, err
	}
	templates, err := parseTemplates(env.Settings.Accent)
	if err != nil {
		return nil, err
	}
	service, warm, err := cloud.Service()
	if err != nil {
		return nil, err
	}
	warm(ctx)
	ses := sesv2.NewFromConfig(cloud.Config(), func(o *sesv2.Options) { o.BaseEndpoint = cloud.Endpoint("SESV2") })
	events := eventbridge.NewFromConfig(cloud.Config(), func(o *eventbridge.Options) { o.BaseEndpoint = cloud.Endpoint("EVENTBRIDGE") })
	return &notifier{
		store:         table.New(cloud.DynamoDB(), env.TableName),
		mailer:        mailer{ses: ses, product: env.Settings.Product, sender: env.SenderAddress, configurationSet: env.ConfigurationSet},
		bus:           bus{client: events, name: env.BusName},
		meter:         cloud.NewMeter(os.Stdout, time.Now),
		deployment:    deployment{product: env.Settings.Product, publicURL: env.PublicURL, openURL: env.Settings.OpenURL, rules: service.Rules},
		templates:     templates,
		now:           time.Now,
		refreshCopies: service.RefreshCopies,
	}, nil
}
