package agency

import (
	"errors"
	"fmt"
	"time"
)

// Code is the stable name of a refusal. Callers may branch on it.
type Code string

// The codes of refusals.
const (
	Invalid             Code = "invalid"
	Unauthenticated     Code = "unauthenticated"
	Forbidden           Code = "forbidden"
	NotFound            Code = "not_found"
	PermanentlyOwned    Code = "permanently_owned"
	AlreadyConnected    Code = "already_connected"
	AlreadyRequested    Code = "already_requested"
	NotPending          Code = "not_pending"
	NotActive           Code = "not_active"
	RequestExpired      Code = "request_expired"
	Cooling             Code = "cooling"
	LastOwner           Code = "last_owner"
	NotPayer            Code = "not_payer"
	HasClients          Code = "has_clients"
	IdentityChanged     Code = "identity_changed"
	IdempotencyMismatch Code = "idempotency_mismatch"
	Conflict            Code = "conflict"
	TooMany             Code = "too_many"
	RateLimited         Code = "rate_limited"
	Unavailable         Code = "unavailable"
	Internal            Code = "internal"
)

// Error is a refusal: its kind, a sentence for the person who called, and the
// cause, which is for the log alone.
type Error struct {
	Code    Code
	Message string
	// State is the present state, where a state refused.
	State Status
	// Fields names what was wrong with an Invalid call.
	Fields []FieldError
	// RetryAfter is how long to wait where waiting helps; 0 elsewhere.
	RetryAfter time.Duration
	Cause      error
}

// FieldError is what is wrong with one field of a use case's input.
type FieldError struct {
	// Field is the field's name, such as "areas.pages", or "" for the whole input. The
	// edge adds its place in the call. The refusal LastOwner has an account's id here.
	Field   string
	Message string
}

func (e *Error) Error() string {
	s := string(e.Code) + ": " + e.Message
	if e.Cause != nil {
		s += ": " + e.Cause.Error()
	}
	return s
}

func (e *Error) Unwrap() error { return e.Cause }

// CodeOf is the code of an error: Internal for one that is no refusal of ours,
// "" for none.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return Internal
}

// Refuse returns a refusal with a code and a sentence for the person who called.
func Refuse(code Code, message string) *Error {
	return &Error{Code: code, Message: message}
}

// InvalidField returns the refusal Invalid of one field; the arguments format its
// sentence.
func InvalidField(field, format string, args ...any) *Error {
	message := fmt.Sprintf(format, args...)
	return &Error{Code: Invalid, Message: message, Fields: []FieldError{{Field: field, Message: message}}}
}
