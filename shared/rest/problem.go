package rest

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"agencyhub/shared/agency"
)

// Problem is the body of every refusal: RFC 9457, with a stable code.
type Problem struct {
	Type      string         `json:"type" doc:"Always about:blank: code tells what kind of problem it is."`
	Title     string         `json:"title" doc:"The status in words."`
	Status    int            `json:"status" doc:"The HTTP status again."`
	Detail    string         `json:"detail" doc:"What is wrong, for a person."`
	Code      agency.Code    `json:"code" doc:"What kind of problem it is. Programs branch on this."`
	State     agency.Status  `json:"state,omitempty" doc:"The present state, where it is the state that refused."`
	RequestID string         `json:"requestId" doc:"Names this call in our logs."`
	Errors    []FieldProblem `json:"errors,omitempty" doc:"What is wrong with which part of the call."`

	headers http.Header
}

// FieldProblem is what is wrong with one part of a call.
type FieldProblem struct {
	Field   string `json:"field" doc:"The part, such as body.name, query.limit or header.Idempotency-Key. With last_owner of DELETE /v1/me it is the id of an account."`
	Message string `json:"message" doc:"What is wrong with it, for a person."`
}

// codes are all codes of problems.
var codes = []agency.Code{
	agency.Invalid, agency.Unauthenticated, agency.Forbidden, agency.NotFound, agency.PermanentlyOwned,
	agency.AlreadyConnected, agency.AlreadyRequested, agency.NotPending, agency.NotActive, agency.RequestExpired,
	agency.Cooling, agency.LastOwner, agency.NotPayer, agency.HasClients, agency.IdentityChanged,
	agency.IdempotencyMismatch, agency.Conflict, agency.TooMany, agency.RateLimited,
	agency.Unavailable, agency.Internal,
}

// statuses maps codes to HTTP statuses. The others mean that the present state forbids
// the call: 409.
var statuses = map[agency.Code]int{
	agency.Invalid:         http.StatusBadRequest,
	agency.Unauthenticated: http.StatusUnauthorized,
	agency.Forbidden:       http.StatusForbidden,
	agency.NotPayer:        http.StatusForbidden,
	agency.IdentityChanged: http.StatusForbidden,
	agency.NotFound:        http.StatusNotFound,
	agency.RequestExpired:  http.StatusGone,
	agency.Cooling:         http.StatusTooManyRequests,
	agency.RateLimited:     http.StatusTooManyRequests,
	agency.Internal:        http.StatusInternalServerError,
	agency.Unavailable:     http.StatusServiceUnavailable,
}

// StatusOf returns the HTTP status of a code.
func StatusOf(code agency.Code) int {
	if status, ok := statuses[code]; ok {
		return status
	}
	return http.StatusConflict
}

// ProblemOf returns the problem of an error, also for a site that shows it as a page. The
// context is the request's. An error that is no refusal of a use case is logged and
// becomes `internal`: the caller reads the request's id, and nothing of the error. The
// cause of an `unavailable` is logged too.
func ProblemOf(ctx context.Context, err error) *Problem {
	c := callOf(ctx)
	if p, ok := errors.AsType[*Problem](err); ok {
		return p
	}
	e, ok := errors.AsType[*agency.Error](err)
	if !ok || e.Code == agency.Internal || !slices.Contains(codes, e.Code) {
		slog.ErrorContext(ctx, "A call failed.", "route", c.route, "error", err.Error())
		e = &agency.Error{
			Code:    agency.Internal,
			Message: "Something went wrong on our side. Try again; if it stays, tell us the request id " + c.requestID + ".",
		}
	} else {
		// The cause of an `invalid` can hold what the caller has sent.
		if e.Code != agency.Invalid {
			c.cause = e.Cause
		}
		if e.Code == agency.Unavailable {
			slog.WarnContext(ctx, "A call could not be served.", "route", c.route, "error", err.Error())
		}
	}
	c.code = e.Code
	p := &Problem{Type: "about:blank", Detail: e.Message, Code: e.Code, State: e.State, RequestID: c.requestID}
	p.setStatus(StatusOf(e.Code))
	for _, field := range e.Fields {
		p.Errors = append(p.Errors, FieldProblem{Field: field.Field, Message: field.Message})
	}
	if e.Code == agency.Unauthenticated {
		p.setHeader("WWW-Authenticate", "Bearer")
	}
	if e.RetryAfter > 0 {
		p.setHeader("Retry-After", strconv.FormatInt(int64((e.RetryAfter+time.Second-1)/time.Second), 10))
	}
	return p
}

// TooLarge returns the refusal of a body above its bound: 413. The message says the bound.
func TooLarge(ctx context.Context, message string) *Problem {
	p := ProblemOf(ctx, malformed("body", message))
	p.setStatus(http.StatusRequestEntityTooLarge)
	return p
}

func (p *Problem) setStatus(status int) { p.Status, p.Title = status, http.StatusText(status) }

func (p *Problem) setHeader(name, value string) {
	if p.headers == nil {
		p.headers = http.Header{}
	}
	p.headers.Set(name, value)
}

// Error makes a Problem an error, which huma then writes as the answer.
func (p *Problem) Error() string { return string(p.Code) + ": " + p.Detail }

// GetStatus returns the HTTP status. huma calls it.
func (p *Problem) GetStatus() int { return p.Status }

// GetHeaders returns further headers of the answer. huma calls it.
func (p *Problem) GetHeaders() http.Header { return p.headers }

// ContentType returns the media type of problems. huma calls it.
func (*Problem) ContentType(string) string { return "application/problem+json" }

// TransformSchema lists the codes in the OpenAPI document.
func (*Problem) TransformSchema(_ huma.Registry, s *huma.Schema) *huma.Schema {
	for _, code := range codes {
		s.Properties["code"].Enum = append(s.Properties["code"].Enum, string(code))
	}
	return s
}

// writeProblem writes a problem without huma.
func writeProblem(w http.ResponseWriter, p *Problem) {
	maps.Copy(w.Header(), p.headers)
	w.Header().Set("Content-Type", p.ContentType(""))
	w.WriteHeader(p.Status)
	// Writing to a recorder cannot fail, nor can encoding strings.
	_ = json.NewEncoder(w).Encode(p)
}

// addProblem adds the schema of Problem to the OpenAPI document. Which operation gives
// which is added where the fragments are merged.
func (a *API) addProblem() {
	a.huma.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[Problem](), true, "Problem")
}
