package rest

import (
	_ "embed"
	"net/http"
	"slices"
	"strings"

	"agencyhub/shared/agency"
)

// routesFile lists the operations of all functions, one "METHOD /path" a line.
// `make openapi` writes it.
//
//go:embed routes.txt
var routesFile string

// documentRoutes are those of the OpenAPI document, which does not name itself.
const documentRoutes = "GET /v1/openapi.yaml\nHEAD /v1/openapi.yaml\n"

// contract is every route below /v1, of this function and the others.
var contract = readRoutes(routesFile + documentRoutes)

func readRoutes(file string) []pattern {
	var routes []pattern
	for line := range strings.Lines(file) {
		if method, path, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
			routes = append(routes, newPattern(method, path))
		}
	}
	return routes
}

// methodsAt returns the methods of the operations at a path, sorted.
func methodsAt(routes []pattern, segments []string) []string {
	var methods []string
	for _, route := range routes {
		if route.matches(segments) {
			methods = append(methods, route.method)
		}
	}
	slices.Sort(methods)
	return slices.Compact(methods)
}

// refuseUnknown refuses a request that no operation serves: 401 without a token, 400 if
// decoding has changed the path, 405 if the contract has the path with other methods,
// else 404.
func refuseUnknown(w http.ResponseWriter, r *http.Request, segments []string) {
	ctx := r.Context()
	c := callOf(ctx)
	_, err := c.person()
	if _, other := c.claims.Platform(); err != nil && other != nil {
		writeProblem(w, ProblemOf(ctx, err))
		return
	}
	if c.isRouted {
		// The gateway decodes the path after it has chosen the operation, and cuts it at a
		// question mark.
		writeProblem(w, ProblemOf(ctx, malformed("path", "The path holds an encoded question mark or slash. No path of ours needs one.")))
		return
	}
	methods := methodsAt(contract, segments)
	if len(methods) == 0 || slices.Contains(methods, r.Method) {
		writeProblem(w, ProblemOf(ctx, &agency.Error{
			Code:    agency.NotFound,
			Message: "There is nothing at this address. See the API's description for what there is.",
		}))
		return
	}
	p := ProblemOf(ctx, &agency.Error{
		Code:    agency.Invalid,
		Message: "This address does not take " + methodName(r.Method) + ", but " + strings.Join(methods, ", ") + ".",
	})
	p.setStatus(http.StatusMethodNotAllowed)
	p.setHeader("Allow", strings.Join(methods, ", "))
	writeProblem(w, p)
}

// methodName returns the method for use in a sentence. An unknown one is not repeated
// to the caller.
func methodName(method string) string {
	if slices.Contains([]string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}, method) {
		return method
	}
	return "this method"
}
