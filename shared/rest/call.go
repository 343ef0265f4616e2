package rest

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"agencyhub/shared/agency"
)

// call is what this package knows about the request being served. It is a value of
// the request's context. Handlers cannot see it: they get the actor as a parameter.
type call struct {
	requestID string
	claims    claims
	// actor, or platform for an operation of the platform's, is set before the
	// handler runs.
	actor    agency.Actor
	platform agency.Platform
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
	c.actor, err = c.claims.actor()
	return err
}

// byPlatform sets platform, and refuses a call that somebody else makes.
func (c *call) byPlatform() (err error) {
	c.platform, err = c.claims.platform()
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

// claims are the claims of the token that the gateway's authorizer accepted, each as
// a string. They are nil for a route without an authorizer.
type claims map[string]string

// actor returns the person that the claims name. A token without a verified address
// names nobody, such as an access token. The authorizer accepts it, so it is refused
// here.
func (c claims) actor() (agency.Actor, error) {
	switch {
	case len(c) == 0:
		return agency.Actor{}, unauthenticated("Sign in: this call needs a bearer token of the person who makes it.")
	case c.hasPlatformScope():
		return agency.Actor{}, unauthenticated("This token is the platform's own. Persons make this call, with a token of their own.")
	case c["iss"] == "" || c["sub"] == "":
		return agency.Actor{}, unauthenticated("The token has no issuer or subject. Sign in again.")
	case c["email"] == "":
		return agency.Actor{}, unauthenticated("The token carries no email address. Use the token that signing in as a person gives, with the scope email.")
	case !isAddress(c["email"]):
		return agency.Actor{}, unauthenticated("What the token carries as email is not an email address.")
	case c["email_verified"] != "true":
		return agency.Actor{}, unauthenticated("The email address of the token is not verified. Verify it where you sign in, then sign in again.")
	}
	return agency.NewActor(c["email"], c["iss"], c["sub"]), nil
}

// platformScope is the scope of the platform's own tokens. No person's token has it.
const platformScope = "hub/platform"

// hasPlatformScope reports whether the token has platformScope. The gateway passes a
// list on as text, such as "[a b]".
func (c claims) hasPlatformScope() bool {
	return slices.Contains(strings.Fields(c["scope"]), platformScope) ||
		slices.Contains(strings.Fields(strings.Trim(c["scp"], "[]")), platformScope)
}

// platform returns the platform's own software, if the claims are of a token that was
// issued to it and names no person. The gateway accepts only such tokens for the
// platform's calls; this does not rely on it.
func (c claims) platform() (agency.Platform, error) {
	client := c["client_id"]
	if client == "" {
		client = c["sub"]
	}
	switch {
	case len(c) == 0:
		return agency.Platform{}, unauthenticated("This call needs a bearer token that was issued to the platform's own software.")
	case !c.hasPlatformScope() || c["email"] != "" || client == "":
		return agency.Platform{}, &agency.Error{
			Code:    agency.Forbidden,
			Message: "Only the platform's own software makes this call, with a token of the scope " + platformScope + " that names no person.",
		}
	}
	return agency.Platform{Client: client}, nil
}

func unauthenticated(message string) error {
	return &agency.Error{Code: agency.Unauthenticated, Message: message}
}

// isAddress reports whether the text has the form of an email address. The issuer has
// verified that it exists and is the person's.
func isAddress(s string) bool {
	local, domain, ok := strings.Cut(s, "@")
	return ok && local != "" && domain != "" && !strings.Contains(domain, "@") &&
		len(s) <= 254 && utf8.ValidString(s) &&
		!strings.ContainsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) })
}
