package rest

import (
	"time"

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

// Time returns an instant as answers show it: UTC, in whole seconds.
func Time(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

// OptionalTime is Time for an instant that can be absent: nil for the zero time.
func OptionalTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = Time(t)
	return &t
}

// Optional returns a pointer to the text, nil for "".
func Optional[S ~string](s S) *string {
	if s == "" {
		return nil
	}
	text := string(s)
	return &text
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
