// Command notify sends the emails that the events of the table's stream cause. It
// decides nothing of the domain.
package main

import (
	"context"
	"log/slog"
	"os"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sesv2"

	"agencyhub/shared/cloud"
	"agencyhub/shared/settings"
	"agencyhub/shared/stream"
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
	env, err := settings.ReadEnvironment(settings.TableName, settings.PublicURL, settings.SenderAddress, settings.ConfigurationSet)
	if err != nil {
		return nil, err
	}
	templates, err := parseTemplates(env.Settings.Accent)
	if err != nil {
		return nil, err
	}
	db := cloud.DynamoDB()
	cloud.Warm(ctx, db, env.TableName)
	ses := sesv2.NewFromConfig(cloud.Config(), func(o *sesv2.Options) { o.BaseEndpoint = cloud.Endpoint("SESV2") })
	slow := newSlowRecipients()
	return &notifier{
		store:      table.New(db, env.TableName),
		mailer:     mailer{ses: ses, product: env.Settings.Product, sender: env.SenderAddress, configurationSet: env.ConfigurationSet},
		meter:      cloud.NewMeter(os.Stdout, cloud.Now),
		deployment: deployment{product: env.Settings.Product, publicURL: env.PublicURL, openURL: env.Settings.OpenURL, rules: env.Settings.Rules()},
		templates:  templates,
		now:        cloud.Now,
		pause:      stream.Pause,
		workers:    workers,
		ses:        &stream.Sink{Pause: stream.Pause, Recovered: slow.clear},
		slow:       slow,
	}, nil
}
