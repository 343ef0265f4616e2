// Command console serves the pages on which people work: the agency's hub, an
// account's Team Members, and the request that an email leads to. It calls the
// same use cases as the API does, in the name of whoever its cookies say is
// signed in. It decides nothing by itself, and imports no other function.
package main

import (
	"context"
	"time"

	"agencyhub/shared/cloud"
	"agencyhub/shared/rest"
	"agencyhub/shared/settings"
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
	svc, warmHub, err := cloud.Service()
	if err != nil {
		return nil, nil, err
	}
	c, err := newConsole(svc, env, time.Now)
	if err != nil {
		return nil, nil, err
	}
	return c, func(ctx context.Context) {
		warmHub(ctx)
		c.issuer.warm(ctx)
	}, nil
}
