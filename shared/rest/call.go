package rest

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"agencyhub/shared/agency"
)

// call is what this package knows of the request being served. It travels in
// the request's context, unexported: handlers are given the actor as a
// parameter and never look here.
type call struct {
	requestID string
	claims    claims
	// actor, or platform for an operation of the platform's, is set before its
	// handler runs.
	actor    agency.Actor
	platform agency.Platform
	// route and what follows are for the log line, set as they become known.
	route string
	ids   []slog.Attr
	code  agency.Code
	cause error
}

// byPerson and byPlatform find out who makes the call, or refuse it.
func (c *call) byPerson() (err error) {
	c.actor, err = c.claims.actor()
	return err
}

func (c *call) byPlatform() (err error) {
	c.platform, err = c.claims.platform()
	return err
}

// note keeps what a path names for the log line: ids alone, since anybody can
// type anything there, an address too.
func (c *call) note(name, value string) {
	_, _, connection := agency.ConnectionID(value).Split()
	if connection || agency.Party(value).IsValid() {
		c.ids = append(c.ids, slog.String(name, value))
	}
}

type callKey struct{}

func callOf(ctx context.Context) *call {
	if c, ok := ctx.Value(callKey{}).(*call); ok {
		return c
	}
	return &call{}
}

// RequestID is the gateway's id of the request being served, as every problem
// shows it; "" outside of a request.
func RequestID(ctx context.Context) string { return callOf(ctx).requestID }

// claims are those of the token that the gateway's authorizer accepted, as it
// passes them on: strings all. They are nil where it asked for none.
type claims map[string]string

// actor is the person whom the claims name. A token without a verified
// address, such as a service's own or an access token, names nobody: the
// authorizer lets it pass, so it is refused here.
func (c claims) actor() (agency.Actor, error) {
	switch {
	case len(c) == 0:
		return agency.Actor{}, unauthenticated("Sign in: this call needs a bearer token of the person who makes it.")
	case c.ofPlatform():
		return agency.Actor{}, unauthenticated("This token is the platform's own. Persons make this call, with a token of their own.")
	case c["iss"] == "" || c["sub"] == "":
		return agency.Actor{}, unauthenticated("The token does not say who issued it and to whom. Sign in again.")
	case c["email"] == "":
		return agency.Actor{}, unauthenticated("The token carries no email address. Use the token that signing in as a person gives, with the scope email.")
	case !plausibleAddress(c["email"]):
		return agency.Actor{}, unauthenticated("What the token carries as email is not an email address.")
	case c["email_verified"] != "true":
		return agency.Actor{}, unauthenticated("The email address of the token is not verified. Verify it where you sign in, then sign in again.")
	}
	return agency.NewActor(c["email"], c["iss"], c["sub"]), nil
}

// platformScope is what the token of the platform's own software carries, and no
// person's.
const platformScope = "hub/platform"

// ofPlatform tells whether the claims are of a token with that scope. A gateway
// hands a list of scopes over as text, too.
func (c claims) ofPlatform() bool {
	return slices.Contains(strings.Fields(c["scope"]), platformScope) ||
		slices.Contains(strings.Fields(strings.Trim(c["scp"], "[]")), platformScope)
}

// platform is the platform's own software, by a token that was issued to it and
// names no person. The gateway lets none but such tokens pass to the platform's
// calls; that is not relied on.
func (c claims) platform() (agency.Platform, error) {
	client := c["client_id"]
	if client == "" {
		client = c["sub"]
	}
	switch {
	case len(c) == 0:
		return agency.Platform{}, unauthenticated("This call needs a bearer token that was issued to the platform's own software.")
	case !c.ofPlatform() || c["email"] != "" || client == "":
		return agency.Platform{}, &agency.Error{Code: agency.Forbidden, Message: "Only the platform's own software makes this call, with a token of the scope " + platformScope + " that names no person."}
	}
	return agency.Platform{Client: client}, nil
}

func unauthenticated(message string) error {
	return &agency.Error{Code: agency.Unauthenticated, Message: message}
}

// plausibleAddress asks for the form of an address, no more: that it exists
// and is theirs, the issuer has verified.
func plausibleAddress(s string) bool {
	local, domain, ok := strings.Cut(s, "@")
	return ok && local != "" && domain != "" && !strings.Contains(domain, "@") &&
		len(s) <= 254 && utf8.ValidString(s) &&
		!strings.ContainsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) })
}
