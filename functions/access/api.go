package main

import (
	"github.com/danielgtaylor/huma/v2"

	"agencyhub/shared/rest"
	"agencyhub/shared/service"
)

// api returns the access check, which the platform calls before each step of a
// person.
func api(svc *service.Service) *rest.API {
	a := rest.New("access")
	rest.Handle(a, "GET /v1/accounts/{account}/access", huma.Operation{
		OperationID: "check-access", Summary: "Check what you may do in an account now",
		Description: "Always the present truth. With as it looks at your own profile and at the way through that agency; " +
			"without, at your own and through every agency that you work for. A well-formed id is always answered with 200.",
	}, rest.ForAccount(rest.NewAccess, svc.CheckAccess))
	return a
}
