// Package rest is the JSON edge. It turns an API Gateway event into a call of a typed
// operation and the result into an answer. It identifies the caller, refuses malformed
// input, and writes every refusal as a Problem. It imports the law and the use cases,
// and no database, no mail and no AWS client.
package rest

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strings"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"agencyhub/shared/agency"
)

// API is what a function serves: typed operations, or a site of pages.
type API struct {
	huma    huma.API
	handler http.Handler
}

// maxBody is how many bytes a request's body may have.
const maxBody = 64 << 10

// New returns an API without operations. The title names it in its fragment of the
// OpenAPI document.
func New(title string) *API {
	config := huma.DefaultConfig(title, "1")
	// No hooks, so that answers have no $schema links. No paths, so that functions
	// serve no documents.
	config.CreateHooks = nil
	config.OpenAPIPath, config.DocsPath, config.SchemasPath = "", "", ""
	config.RejectUnknownQueryParameters = true
	config.Formats = map[string]huma.Format{"application/json": jsonFormat, "json": jsonFormat}
	config.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"oidc": {Type: "http", Scheme: "bearer", BearerFormat: "JWT",
			Description: "A token of the deployment's OIDC issuer that carries a verified email address."},
		"platform": {Type: "http", Scheme: "bearer", BearerFormat: "JWT",
			Description: "A token that the issuer gave to the platform's own software by its client credentials, " +
				"with the scope " + agency.PlatformScope + " and no email address."},
	}
	config.OnAddOperation = []huma.AddOpFunc{func(_ *huma.OpenAPI, op *huma.Operation) {
		for _, p := range op.Parameters {
			complete(p.Schema)
		}
	}}
	m := &mux{}
	a := &API{huma: humago.New(m, config), handler: m}
	a.addProblem()
	return a
}

// Site returns an API without operations, for a function that serves pages. The handler
// gets every request and finds out itself who makes it. The log names a call by the
// request's Pattern, which http.ServeMux sets.
func Site(title string, handler http.Handler) *API {
	a := New(title)
	a.handler = handler
	return a
}

// Handler serves the calls of one operation by a caller C.
//
// I has fields with a path, query or header tag and may have a Body. OnAccount, Paging
// and Idempotency can be embedded. O has a Body, or is empty for 204.
type Handler[C, I, O any] func(context.Context, C, *I) (*O, error)

// Handle adds an operation that people call, at a route such as "GET /v1/accounts". Its
// tag is the API's title unless it names another. The handler gets the signed-in actor
// and valid input. An *agency.Error that it returns becomes the problem of its code, and any
// other error an `internal` that says nothing about the cause.
//
// The fields that an Invalid error names are those of the use case's input, such as
// "areas.pages"; the problem has their places in the call, such as "body.areas.pages".
func Handle[I, O any](a *API, route string, op huma.Operation, handler Handler[agency.Actor, I, O]) {
	op.Security = []map[string][]string{{"oidc": {}}}
	register(a, route, op, (*call).byPerson, func(ctx context.Context, in *I) (*O, error) {
		return handler(ctx, callOf(ctx).actor, in)
	})
}

// HandlePlatform is Handle for an operation that only the platform's own software calls,
// with a token of its own.
func HandlePlatform[I, O any](a *API, route string, op huma.Operation, handler Handler[agency.Platform, I, O]) {
	op.Security = []map[string][]string{{"platform": {agency.PlatformScope}}}
	register(a, route, op, (*call).byPlatform, func(ctx context.Context, in *I) (*O, error) {
		return handler(ctx, callOf(ctx).platform, in)
	})
}

// register adds an operation. identify refuses callers that it is not for.
func register[I, O any](
	a *API, route string, op huma.Operation, identify func(*call) error, handler func(context.Context, *I) (*O, error),
) {
	op.Method, op.Path, _ = strings.Cut(route, " ")
	if op.Tags == nil {
		op.Tags = []string{a.huma.OpenAPI().Info.Title}
	}
	op.MaxBodyBytes = -1 // strict has checked the bound, and what it encodes again can be longer
	op.Middlewares = append(huma.Middlewares{strict(a, identify)}, op.Middlewares...)
	huma.Register(a.huma, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := handler(ctx, in)
		if err == nil {
			return out, nil
		}
		p := ProblemOf(ctx, err)
		if p.Code == agency.Invalid {
			for i, field := range p.Errors {
				p.Errors[i].Field = callOf(ctx).place(field.Field)
			}
		}
		return nil, p
	})
	for _, schema := range a.huma.OpenAPI().Components.Schemas.Map() {
		complete(schema)
	}
}

// Serve is the main of a function, which serves an API until Lambda ends the process.
//
// wire returns what api's handlers depend on, such as the use cases, and a function that
// warms its connections. That runs before the first call, while Lambda starts the
// function. An error of wire ends the process with its message.
//
// With the argument `openapi` it only prints the function's fragment of the OpenAPI
// document. Then api gets the zero Dependencies and must not use them.
func Serve[Dependencies any](api func(Dependencies) *API, wire func() (Dependencies, func(context.Context), error)) {
	if slices.Equal(os.Args[1:], []string{"openapi"}) {
		var zero Dependencies
		if err := api(zero).printOpenAPI(os.Stdout); err != nil {
			exit(err)
		}
		return
	}
	dependencies, warm, err := wire()
	if err != nil {
		exit(err)
	}
	served := api(dependencies)
	warm(context.Background())
	lambda.Start(served.Invoke)
}

func exit(err error) {
	slog.Error("The function cannot start.", "error", err.Error())
	os.Exit(1) //nolint:revive // Serve is the whole of a main, before lambda.Start
}

// OpenAPI returns the description of the API's operations.
func (a *API) OpenAPI() *huma.OpenAPI { return a.huma.OpenAPI() }

func (a *API) printOpenAPI(w *os.File) error {
	for _, schema := range a.huma.OpenAPI().Components.Schemas.Map() {
		describe(schema)
	}
	fragment, err := json.MarshalIndent(a.OpenAPI(), "", "  ")
	if err != nil {
		return fmt.Errorf("cannot write the OpenAPI fragment: %w", err)
	}
	_, err = fmt.Fprintf(w, "%s\n", fragment)
	return err
}
