package main

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"agencyhub/shared/agency"
	"agencyhub/shared/rest"
	"agencyhub/shared/service"
)

// api is what this function serves: the access check, the hot path.
func api(svc *service.Service) *rest.API {
	a := rest.New("access")
	rest.Handle(a, huma.Operation{
		OperationID: "check-access", Method: http.MethodGet, Path: "/v1/accounts/{account}/access", Tags: []string{"access"},
		Summary: "Check what you may do in an account now",
		Description: "Always the present truth. With as it looks at your own profile and at the way through that agency; " +
			"without, at your own and through every agency that you work for. A well-formed id is always answered with 200.",
	}, func(ctx context.Context, actor agency.Actor, in *rest.OnAccount) (*output, error) {
		caller, account := in.Caller(actor)
		access, err := svc.CheckAccess(ctx, caller, account)
		if err != nil {
			return nil, err
		}
		return &output{rest.NewAccess(access)}, nil
	})
	return a
}

type output struct{ Body rest.Access }
