package rest

import (
	"context"
	"log/slog"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"agencyhub/shared/agency"
)

// call is what this package knows about the request being served. It is a value of
// the request's context. Handlers cannot see it: they get the actor as a parameter.
type call struct {
	requestID string
	// claims are those of the token that the gateway's authorizer accepted; nil for a
	// route without an authorizer.
	claims agency.Claims
	// actor, or platform for an operation of the platform's, is set before the
	// handler runs.
	actor    agency.Actor
	platform agency.Platform
	// isRouted reports whether the gateway has chosen an operation for the call.
	isRouted bool
	// parameters are those of the operation.
	parameters []*huma.Param
	// route, ids, code and cause are for the log line.
	route string
	ids   []slog.Attr
	code  agency.Code
	cause error
}

// byPerson sets actor, and refuses a call that no person makes.
func (c *call) byPerson() (err error) {
	c.actor, err = c.person()
	return err
}

func (c *call) person() (agency.Actor, error) {
	if len(c.claims) == 0 {
		return agency.Actor{}, unauthenticated("Sign in: this call needs a bearer token of the person who makes it.")
	}
	return c.claims.Actor()
}

// byPlatform sets platform, and refuses a call that somebody else makes.
func (c *call) byPlatform() (err error) {
	if len(c.claims) == 0 {
		return unauthenticated("This call needs a bearer token that was issued to the platform's own software.")
	}
	c.platform, err = c.claims.Platform()
	return err
}

// logID adds a parameter of the path to the log line if it is an id. Callers can put
// anything into a path, an email address too.
func (c *call) logID(name, value string) {
	_, _, connection := agency.ConnectionID(value).Split()
	if connection || agency.Party(value).IsValid() {
		c.ids = append(c.ids, slog.String(name, value))
	}
}

// place returns where the call has a field of a use case's input: in the path or query
// if the operation has such a parameter ("status" is at "query.status"), else in the body
// ("areas.pages" is at "body.areas.pages"). The input as a whole, "", is the body.
func (c *call) place(field string) string {
	if field == "" {
		return "body"
	}
	name, _, _ := strings.Cut(field, ".")
	for _, p := range c.parameters {
		if p.Name == name {
			return p.In + "." + field
		}
	}
	return "body." + field
}

type callKey struct{}

func callOf(ctx context.Context) *call {
	if c, ok := ctx.Value(callKey{}).(*call); ok {
		return c
	}
	return &call{}
}

// RequestID returns the gateway's id of the request being served, which every problem
// shows. It is "" outside of a request.
func RequestID(ctx context.Context) string { return callOf(ctx).requestID }

func unauthenticated(message string) error {
	return &agency.Error{Code: agency.Unauthenticated, Message: message}
}
