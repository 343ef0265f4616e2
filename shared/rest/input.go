package rest

import (
	"encoding/json"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"agencyhub/shared/agency"
)

// The pieces below are embedded in the input of operations. They are exported
// because huma leaves out parameters that stand in an unexported struct.

// OnAccount is a call on /v1/accounts/{account}/…, which agency staff make with
// ?as={agency}.
type OnAccount struct {
	Account string `path:"account" maxLength:"64"`
	As      string `query:"as" maxLength:"64" doc:"The agency for which its staff makes this call."`
}

// Caller is who makes the call, with the hat that they wear, and ID the account
// that it is about.
func (in OnAccount) Caller(actor agency.Actor) (agency.Caller, agency.AccountID) {
	return agency.Caller{Actor: actor, As: agency.AccountID(in.As)}, agency.AccountID(in.Account)
}

// Nullable is a value of a change that can be absent, which leaves things as
// they are, null, which takes something away, or given.
type Nullable[T any] struct {
	// Given is false when the value is absent.
	Given bool
	// Value is nil for null.
	Value *T
}

// UnmarshalJSON reads a value that is there.
func (n *Nullable[T]) UnmarshalJSON(raw []byte) error {
	n.Given = true
	return json.Unmarshal(raw, &n.Value)
}

// Schema is the value's own, with null.
func (n Nullable[T]) Schema(r huma.Registry) *huma.Schema {
	schema := *r.Schema(reflect.TypeFor[T](), false, "")
	schema.Nullable = true
	return &schema
}

// Paging asks for a part of a list.
type Paging struct {
	// Limit is at least 1 and at most 100.
	Limit int `query:"limit" minimum:"1" maximum:"100" default:"25" doc:"How many items to give at most."`
	// Cursor is the next of an earlier answer, or "" for the beginning.
	Cursor string `query:"cursor" maxLength:"1024" doc:"The next of an earlier answer to the same question."`
}

// Idempotency names a call that makes something, so that its repeat makes
// nothing more.
type Idempotency struct {
	Key string `header:"Idempotency-Key" required:"true" minLength:"16" maxLength:"128" pattern:"^[!-~]*$" patternDescription:"printable ASCII characters without spaces" doc:"A name of your choosing for this call, such as a UUID. A repeat with the same body answers as the first; with another body it is refused with idempotency_mismatch."`
}

// List is a page of a list.
type List[T any] struct {
	Items []T `json:"items"`
	// Next leads to the page after this, and is null on the last.
	Next *string `json:"next" doc:"Give it as cursor to get what follows; null when nothing does. A page may be short or empty and still have a next."`
}

// NewList is a page of items; next is the cursor of the following one, or "".
// No items are an empty list, never null.
func NewList[T any](items []T, next string) List[T] {
	list := List[T]{Items: items}
	if items == nil {
		list.Items = []T{}
	}
	if next != "" {
		list.Next = &next
	}
	return list
}

// Time is an instant as answers show it: UTC, in whole seconds.
func Time(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

// OptionalTime is the same for an instant that may not be there: null for the
// zero time.
func OptionalTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = Time(t)
	return &t
}
