package rest_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-lambda-go/events"
	"github.com/danielgtaylor/huma/v2"

	"agencyhub/shared/agency"
	"agencyhub/shared/rest"
)

// One operation, called as API Gateway calls a function, behind its JWT authorizer.
func ExampleHandle() {
	type input struct {
		Name string `query:"name"`
	}
	type output struct{ Body string }
	api := rest.New("greetings")
	rest.Handle(api, "GET /v1/greeting", huma.Operation{OperationID: "greet", Summary: "Greet somebody"},
		func(_ context.Context, actor agency.Actor, in *input) (*output, error) {
			if in.Name == "" {
				return nil, agency.InvalidField("name", "Give a name.")
			}
			return &output{Body: actor.Email + " greets " + in.Name}, nil
		})

	call := events.APIGatewayV2HTTPRequest{RawPath: "/v1/greeting"}
	call.RequestContext.HTTP.Method = "GET"
	call.RequestContext.Authorizer = &events.APIGatewayV2HTTPRequestContextAuthorizerDescription{
		JWT: &events.APIGatewayV2HTTPRequestContextAuthorizerJWTDescription{
			Claims: map[string]string{"iss": "https://issuer.example", "sub": "1", "email": "ann@example.com", "email_verified": "true"},
		},
	}
	for _, query := range []string{"name=Bo", ""} {
		call.RawQueryString = query
		answer, err := api.Invoke(context.Background(), call)
		fmt.Println(answer.StatusCode, strings.TrimSpace(answer.Body), err)
	}
	// Output:
	// 200 "ann@example.com greets Bo" <nil>
	// 400 {"type":"about:blank","title":"Bad Request","status":400,"detail":"Give a name.","code":"invalid","requestId":"","errors":[{"field":"query.name","message":"Give a name."}]} <nil>
}
