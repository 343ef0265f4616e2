// Command console serves the web pages: an agency's clients, an account's Team Members,
// and the request that an email leads to. It calls the same use cases as the API, for
// the person that its session names. It decides nothing itself, and imports no other
// function.
package main

import (
	"context"

	"agencyhub/shared/cloud"
	"agencyhub/shared/rest"
	"agencyhub/shared/settings"
	"agencyhub/shared/table"
)

func main() {
	cloud.Log()
	rest.Serve(func(c *console) *rest.API { return rest.Site("console", c) }, build)
}

func build() (*console, func(context.Context), error) {
	env, err := settings.ReadEnvironment(settings.TableName, settings.PublicURL, settings.OIDCIssuer, settings.OIDCClientID)
	if err != nil {
		return nil, nil, err
	}
	svc, warmTable, err := cloud.Service()
	if err != nil {
		return nil, nil, err
	}
	c, err := newConsole(svc, table.New(cloud.DynamoDB(), env.TableName), env, cloud.Now)
	if err != nil {
		return nil, nil, err
	}
	return c, func(ctx context.Context) {
		warmTable(ctx)
		c.issuer.warm(ctx)
	}, nil
}
