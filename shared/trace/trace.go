// Package trace keeps in a context what the lines of the log name that are written
// with it: the call that is served, the event that is handled. So a call can be followed
// from its line to the emails that it has caused.
package trace

import (
	"context"
	"log/slog"
	"slices"
)

// requestKey names the call in a line.
const requestKey = "requestId"

type contextKey struct{}

// With returns a context whose lines have these attributes, in place of those with the
// same names. They hold ids, never an address, a token or a body.
func With(ctx context.Context, attrs ...slog.Attr) context.Context {
	all := slices.DeleteFunc(slices.Clone(attrsOf(ctx)), func(old slog.Attr) bool {
		return slices.ContainsFunc(attrs, func(a slog.Attr) bool { return a.Key == old.Key })
	})
	return context.WithValue(ctx, contextKey{}, append(all, attrs...))
}

// WithRequest returns a context whose lines name a call, by the gateway's id for it, as
// requestId. Work without a call has the id of its invocation. "" changes nothing.
func WithRequest(ctx context.Context, id string) context.Context {
	if id == "" {
		return ctx
	}
	return With(ctx, slog.String(requestKey, id))
}

// RequestID returns the call that a context's lines name; "" for none.
func RequestID(ctx context.Context) string {
	for _, a := range attrsOf(ctx) {
		if a.Key == requestKey {
			return a.Value.String()
		}
	}
	return ""
}

func attrsOf(ctx context.Context) []slog.Attr {
	attrs, _ := ctx.Value(contextKey{}).([]slog.Attr) // none without the value
	return attrs
}

// NewHandler returns a handler that writes lines with the attributes of their context.
func NewHandler(h slog.Handler) slog.Handler { return handler{h} }

type handler struct {
	slog.Handler
}

// Handle writes a line.
func (h handler) Handle(ctx context.Context, record slog.Record) error {
	record.AddAttrs(attrsOf(ctx)...)
	return h.Handler.Handle(ctx, record)
}

// WithAttrs returns a handler that writes the context's attributes too.
func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return handler{h.Handler.WithAttrs(attrs)}
}

// WithGroup returns a handler that writes the context's attributes too.
func (h handler) WithGroup(name string) slog.Handler { return handler{h.Handler.WithGroup(name)} }
