package rest

import (
	"encoding/json"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"agencyhub/shared/agency"
	"agencyhub/shared/service"
)

// The types below are embedded in the input of operations. They are exported because
// huma ignores the parameters of an embedded struct that is not.

// OnAccount is the input of a call on /v1/accounts/{account}/…. Agency staff make it
// with ?as={agency}.
type OnAccount struct {
	Account string `path:"account" format:"account-id"`
	As      string `query:"as" format:"account-id" doc:"The agency for which its staff makes this call."`
}

// Caller returns who makes the call, with the agency that they act for, and the
// account that the call is about.
func (in OnAccount) Caller(actor agency.Actor) (agency.Caller, agency.AccountID) {
	return agency.Caller{Actor: actor, As: agency.AccountID(in.As)}, agency.AccountID(in.Account)
}

// Nullable is a value in a change. Absent it changes nothing; null removes what is
// there.
type Nullable[T any] struct {
	// Given is false when the value is absent, and true for null.
	Given bool
	// Value is nil for null.
	Value *T
}

// UnmarshalJSON reads a value that is not absent.
func (n *Nullable[T]) UnmarshalJSON(raw []byte) error {
	n.Given = true
	return json.Unmarshal(raw, &n.Value)
}

// Schema returns the schema of T, with null allowed.
func (n Nullable[T]) Schema(r huma.Registry) *huma.Schema {
	schema := *r.Schema(reflect.TypeFor[T](), false, "")
	schema.Nullable = true
	return &schema
}

// Paging is the input of a call that reads a page of a list.
type Paging struct {
	// Limit is at least 1 and at most 100.
	Limit int `query:"limit" minimum:"1" maximum:"100" default:"25" doc:"How many items to give at most."`
	// Cursor is the next of an earlier answer, or "" for the first page.
	Cursor string `query:"cursor" minLength:"1" maxLength:"1024" doc:"The next of an earlier answer to the same question."`
}

// Page returns the page as use cases take it.
func (in Paging) Page() service.Page { return service.Page{Limit: in.Limit, Cursor: in.Cursor} }

// OnAccountPage is the input of a call that reads a page of a list in an account.
type OnAccountPage struct {
	OnAccount
	Paging
}

// Idempotency is the input of a call that creates something: a repeat with the same
// key creates nothing more.
type Idempotency struct {
	Key string `header:"Idempotency-Key" required:"true" minLength:"16" maxLength:"128" pattern:"^[!-~]*$" patternDescription:"printable ASCII characters without spaces" doc:"A name of your choosing for this call, such as a UUID. A repeat with the same body answers as the first; with another body it is refused with idempotency_mismatch."`
}

// OptionalIdempotency is Idempotency for a call that can do without a key: Key is then
// "".
type OptionalIdempotency struct {
	Key string `header:"Idempotency-Key" minLength:"16" maxLength:"128" pattern:"^[!-~]*$" patternDescription:"printable ASCII characters without spaces" doc:"A name of your choosing for this call, such as a UUID. For 48 hours a repeat with the same body answers with what the first has made, as it is now; with another body it is refused with idempotency_mismatch."`
}
