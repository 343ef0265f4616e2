// Package rest is the JSON edge: it turns an API Gateway event into a call of
// a typed operation and back, knows who is calling, refuses what is malformed,
// and writes every refusal as one kind of problem. It knows the domain's
// words, and no database, no mail and no AWS client.
package rest

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"slices"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"agencyhub/shared/agency"
)

// API is what one function serves: typed operations, or a site of pages.
type API struct {
	huma    huma.API
	handler http.Handler
}

// maxBody bounds a request's body, in bytes.
const maxBody = 64 << 10

// New is an API without operations. The title names it in its fragment of the
// OpenAPI document.
func New(title string) *API {
	config := huma.DefaultConfig(title, "1")
	// No documents are served from the functions, and no $schema links: each
	// of these comes from a hook or from a path.
	config.CreateHooks = nil
	config.OpenAPIPath, config.DocsPath, config.SchemasPath = "", "", ""
	config.RejectUnknownQueryParameters = true
	config.Formats = map[string]huma.Format{"application/json": jsonFormat, "json": jsonFormat}
	config.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"oidc": {Type: "http", Scheme: "bearer", BearerFormat: "JWT",
			Description: "A token of the deployment's OIDC issuer that carries a verified email address."},
		"platform": {Type: "http", Scheme: "bearer", BearerFormat: "JWT",
			Description: "A token that the issuer gave to the platform's own software by its client credentials, with the scope " + platformScope + " and no email address."},
	}
	m := &mux{}
	return &API{huma: humago.New(m, config), handler: m}
}

// Site is what a function serves that answers people and not programs: every
// request goes to the handler. It has no operations, and no actor is asked for:
// who the person is, the handler finds out. The log names a call by the
// request's Pattern, which http.ServeMux sets.
func Site(title string, handler http.Handler) *API {
	a := New(title)
	a.handler = handler
	return a
}

// Handle adds an operation. Its handler is called with a signed-in actor and
// with input that has the form that I says; an error that it returns becomes
// the problem of its code, and one that is no *agency.Error an `internal` that
// tells nothing.
//
// I has fields with a path, query or header tag and may have a Body; shared
// pieces (OnAccount, Paging, Idempotency) are embedded. O has a Body, or is
// empty for 204.
func Handle[I, O any](a *API, op huma.Operation, handler func(context.Context, agency.Actor, *I) (*O, error)) {
	op.Security = []map[string][]string{{"oidc": {}}}
	register(a, op, (*call).byPerson, func(ctx context.Context, in *I) (*O, error) {
		return handler(ctx, callOf(ctx).actor, in)
	})
}

// HandlePlatform is Handle for an operation that the platform's own software
// calls, with a token of its own; persons are refused.
func HandlePlatform[I, O any](a *API, op huma.Operation, handler func(context.Context, agency.Platform, *I) (*O, error)) {
	op.Security = []map[string][]string{{"platform": {platformScope}}}
	register(a, op, (*call).byPlatform, func(ctx context.Context, in *I) (*O, error) {
		return handler(ctx, callOf(ctx).platform, in)
	})
}

// register adds an operation for those callers whom identify knows.
func register[I, O any](a *API, op huma.Operation, identify func(*call) error, handler func(context.Context, *I) (*O, error)) {
	op.MaxBodyBytes = maxBody + 1 // huma refuses at the bound itself; ours is inclusive
	documentProblems(a, &op)
	op.Middlewares = append(huma.Middlewares{strict(a, identify)}, op.Middlewares...)
	huma.Register(a.huma, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := handler(ctx, in)
		if err != nil {
			return nil, problemOf(ctx, err)
		}
		return out, nil
	})
	for _, schema := range a.huma.OpenAPI().Components.Schemas.Map() {
		finish(schema)
	}
}

// finish adds what huma leaves out of a schema: the messages of what it says of
// an object's further values, and null among the values of what can be null,
// without which no answer that has one would be valid.
func finish(schema *huma.Schema) {
	if values, ok := schema.AdditionalProperties.(*huma.Schema); ok {
		values.PrecomputeMessages()
	}
	if schema.Nullable && len(schema.Enum) > 0 && !slices.Contains(schema.Enum, nil) {
		schema.Enum = append(schema.Enum, nil)
	}
	for _, property := range schema.Properties {
		finish(property)
	}
}

// Serve is the main of a function. Called with the argument `openapi` it
// prints the function's fragment of the OpenAPI document and returns, without
// wiring anything: api must only close over what it is given. Otherwise wire
// makes what the handlers need, and a function that warms its connections,
// which runs while Lambda still counts the start; then calls are served until
// Lambda ends the process. An error from wire ends the process at once with
// its message.
func Serve[Needs any](api func(Needs) *API, wire func() (Needs, func(context.Context), error)) {
	if slices.Equal(os.Args[1:], []string{"openapi"}) {
		var none Needs
		if err := api(none).printOpenAPI(os.Stdout); err != nil {
			exit(err)
		}
		return
	}
	needs, warm, err := wire()
	if err != nil {
		exit(err)
	}
	served := api(needs)
	warm(context.Background())
	lambda.Start(served.Invoke)
}

func exit(err error) {
	slog.Error("The function cannot start.", "error", err.Error())
	os.Exit(1) //nolint:revive // Serve is the whole of a main, before lambda.Start
}

func (a *API) printOpenAPI(w *os.File) error {
	fragment, err := json.MarshalIndent(a.huma.OpenAPI(), "", "  ")
	if err != nil {
		return fmt.Errorf("cannot write the OpenAPI fragment: %w", err)
	}
	_, err = fmt.Fprintf(w, "%s\n", fragment)
	return err
}
