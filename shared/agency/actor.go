package agency

// Actor is the signed-in person behind a call. It is a parameter of every use
// case, never a context value.
type Actor struct {
	// Email is the verified address, normalised.
	Email string
	// Issuer and Subject are the token's, and bind a profile on first use.
	Issuer, Subject string
}

// NewActor is the actor of a token's verified address, issuer and subject.
func NewActor(email, issuer, subject string) Actor {
	return Actor{Email: NormaliseEmail(email), Issuer: issuer, Subject: subject}
}

// ID is the person that the actor is.
func (a Actor) ID() PersonID { return NewPersonID(a.Email) }

// Caller is an actor and, in As, the agency that they act for; "" when they act for
// themselves.
type Caller struct {
	Actor
	As AccountID
}

// Platform is the platform's own software behind a call: no person, and so
// without an address. It is a parameter of its use cases, as an Actor is of a
// person's.
type Platform struct {
	// Client is what its token was issued to.
	Client string
}

// Authorize returns a refusal of an operation that the platform is not allowed, or
// of a call that is not the platform's. ownership is the account's.
func (p Platform) Authorize(op Operation, ownership Ownership) error {
	position := AsPlatform
	if p.Client == "" {
		position = Stranger
	}
	return PermissionFor(op, position, ownership).Refusal()
}
