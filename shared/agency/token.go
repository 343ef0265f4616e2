package agency

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
)

// PlatformScope is the scope of the platform's own tokens. No person's token has it.
const PlatformScope = "hub/platform"

// ErrToken is the cause of a refusal of a token that is genuine: the same sign-in would
// be refused again.
var ErrToken = errors.New("the token names nobody who may call")

// Claims are those of a token whose signature, issuer, audience and times are verified.
// Each is a text, as an HTTP API's authorizer passes it on: true is "true", and a list is
// "[a b]".
type Claims map[string]string

// Actor returns the person that the claims name. Errors: Unauthenticated with ErrToken,
// for a token without an issuer and a subject, for one without a verified address that
// the hub can mail (ParseEmail), and for one with PlatformScope.
func (c Claims) Actor() (Actor, error) {
	email, unmailable := ParseEmail("email", c["email"])
	switch {
	case c.hasPlatformScope():
		return Actor{}, refusedToken("This token is the platform's own. Sign in as a person.")
	case c["iss"] == "" || c["sub"] == "":
		return Actor{}, refusedToken("The token has no issuer or subject. Sign in again.")
	case c["email"] == "":
		return Actor{}, refusedToken("Your sign-in gives no email address. Sign in with one; a program uses the id token, with the scope email.")
	// Some issuers send the string "true", which is the same text.
	case c["email_verified"] != "true":
		return Actor{}, refusedToken("Your email address is not verified yet. Verify it where you sign in, then sign in again.")
	case unmailable != nil:
		return Actor{}, refusedToken("We can't send email to the address that you signed in with. Sign in with another address.")
	}
	return NewActor(email, c["iss"], c["sub"]), nil
}

// Platform returns the platform's own software, if the claims are of a token that was
// issued to it and names no person. The gateway accepts only such tokens for the
// platform's calls; this does not rely on it. Errors: Forbidden.
func (c Claims) Platform() (Platform, error) {
	client := c["client_id"]
	if client == "" {
		client = c["sub"]
	}
	if !c.hasPlatformScope() || c["email"] != "" || client == "" {
		return Platform{}, Refuse(Forbidden,
			"Only the platform's own software makes this call, with a token of the scope "+PlatformScope+" that names no person.")
	}
	return Platform{Client: client}, nil
}

func (c Claims) hasPlatformScope() bool {
	for _, name := range []string{"scope", "scp"} {
		if slices.Contains(strings.Fields(strings.Trim(c[name], "[]")), PlatformScope) {
			return true
		}
	}
	return false
}

func refusedToken(message string) error {
	return &Error{Code: Unauthenticated, Message: message, Cause: ErrToken}
}

// ClaimText returns a claim as an HTTP API's authorizer passes it on: a string as it is,
// a list as "[a b]", and anything else as its JSON.
func ClaimText(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) == nil && list != nil {
		words := make([]string, len(list))
		for i, item := range list {
			words[i] = ClaimText(item)
		}
		return "[" + strings.Join(words, " ") + "]"
	}
	return string(bytes.TrimSpace(raw))
}
