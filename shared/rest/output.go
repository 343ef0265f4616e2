package rest

import (
	"context"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"agencyhub/shared/agency"
	"agencyhub/shared/service"
)

// Output is an answer with a JSON body.
type Output[T any] struct{ Body T }

// Reply returns a function that turns the results of a use case into those of a
// handler. view gives the value the form that callers see.
func Reply[V, T any](view func(V) T) func(V, error) (*Output[T], error) {
	return func(v V, err error) (*Output[T], error) {
		if err != nil {
			return nil, err
		}
		return &Output[T]{view(v)}, nil
	}
}

// ReplyList is Reply for a page of a list, where view is of one item.
func ReplyList[V, T any](view func(V) T) func(service.List[V], error) (*Output[List[T]], error) {
	return Reply(func(list service.List[V]) List[T] { return NewList(list, view) })
}

// ForAccount returns the handler of a use case that needs only the account. view is
// that of Reply.
func ForAccount[V, T any](
	view func(V) T, do func(context.Context, agency.Caller, agency.AccountID) (V, error),
) Handler[agency.Actor, OnAccount, Output[T]] {
	return func(ctx context.Context, actor agency.Actor, in *OnAccount) (*Output[T], error) {
		caller, account := in.Caller(actor)
		return Reply(view)(do(ctx, caller, account))
	}
}

// ListForAccount is ForAccount for a page of a list, where view is of one item.
func ListForAccount[V, T any](
	view func(V) T, do func(context.Context, agency.Caller, agency.AccountID, service.Page) (service.List[V], error),
) Handler[agency.Actor, OnAccountPage, Output[List[T]]] {
	return func(ctx context.Context, actor agency.Actor, in *OnAccountPage) (*Output[List[T]], error) {
		caller, account := in.Caller(actor)
		return ReplyList(view)(do(ctx, caller, account, in.Page()))
	}
}

// ListForActor is ListForAccount for a list of the caller's own.
func ListForActor[V, T any](
	view func(V) T, do func(context.Context, agency.Actor, service.Page) (service.List[V], error),
) Handler[agency.Actor, struct{ Paging }, Output[List[T]]] {
	return func(ctx context.Context, actor agency.Actor, in *struct{ Paging }) (*Output[List[T]], error) {
		return ReplyList(view)(do(ctx, actor, in.Page()))
	}
}

// List is a page of a list.
type List[T any] struct {
	Items []T `json:"items"`
	// Next leads to the page after this, and is null on the last.
	Next *string `json:"next" doc:"Give it as cursor to get what follows; null when nothing does. A page may be short or empty and still have a next."`
}

// NewList returns a page of a list, each item in the form that view gives it. A page
// without items has an empty list, never null.
func NewList[V, T any](list service.List[V], view func(V) T) List[T] {
	out := List[T]{Items: make([]T, len(list.Items)), Next: Optional(list.Next)}
	for i, item := range list.Items {
		out.Items[i] = view(item)
	}
	return out
}

// Timestamp is an instant in an answer: UTC, in milliseconds, as it is stored and decided
// by. Every one has the same length, so that answers that must be alike are.
type Timestamp struct{ time.Time }

// MarshalJSON writes an instant, such as "2030-01-31T12:00:00.000Z".
func (t Timestamp) MarshalJSON() ([]byte, error) {
	return []byte(t.UTC().Format(`"2006-01-02T15:04:05.000Z"`)), nil
}

// TransformSchema describes an instant as RFC 3339.
func (Timestamp) TransformSchema(_ huma.Registry, s *huma.Schema) *huma.Schema {
	s.Format = "date-time"
	return s
}

// Time returns an instant for an answer.
func Time(t time.Time) Timestamp { return Timestamp{t.UTC().Truncate(time.Millisecond)} }

// OptionalTime is Time for an instant that can be absent: nil for the zero time.
func OptionalTime(t time.Time) *Timestamp {
	if t.IsZero() {
		return nil
	}
	return new(Time(t))
}

// Optional returns a pointer to the text, nil for "".
func Optional[S ~string](s S) *string {
	if s == "" {
		return nil
	}
	return new(string(s))
}

// OptionalIDs returns a pointer to a list of ids, nil for a nil list. An empty list
// is not nil: it limits to no clients at all.
func OptionalIDs[S ~string](ids []S) *[]string {
	if ids == nil {
		return nil
	}
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = string(id)
	}
	return &texts
}
