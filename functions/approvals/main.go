// Command approvals serves the decision on a connection request, and the page
// that the request's email leads to.
package main

import (
	"context"

	"agencyhub/shared/agency"
	"agencyhub/shared/cloud"
	"agencyhub/shared/rest"
	"agencyhub/shared/settings"
)

// needs is what this function's handlers are made of.
type needs struct {
	hub     *agency.Hub
	product string
}

func main() {
	cloud.Log()
	rest.Serve(api, func() (needs, func(context.Context), error) {
		env, err := settings.ReadEnvironment()
		if err != nil {
			return needs{}, nil, err
		}
		hub, warm, err := cloud.Hub()
		return needs{hub, env.Settings.Product}, warm, err
	})
}
