package main

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"agencyhub/shared/agency"
	"agencyhub/shared/rest"
	"agencyhub/shared/service"
)

// api returns the access check, which the platform calls before each step of a
// person.
func api(svc *service.Service) *rest.API {
	a := rest.New("access")
	rest.Handle(a, huma.Operation{
		OperationID: "check-access", Method: http.MethodGet, Path: "/v1/accounts/{account}/access", Tags: []string{"access"},
		Summary: "Check what you may do in an account now",
		Description: "Always the present truth. With as it looks at your own profile and at the way through that agency; " +
			"without, at your own and through every agency that you work for. A well-formed id is always answered with 200.",
	}, func(ctx context.Context, actor agency.Actor, in *rest.OnAccount) (*rest.Output[rest.Access], error) {
		caller, account := in.Caller(actor)
		return rest.Reply(rest.NewAccess)(svc.CheckAccess(ctx, caller, account))
	})
	return a
}
