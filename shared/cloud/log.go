package cloud

import (
	"context"
	"io"
	"log/slog"
	"os"

	"github.com/aws/aws-lambda-go/lambdacontext"

	"agencyhub/shared/trace"
)

// Log makes slog write JSON lines to standard error, in Lambda's format, from the level
// in AWS_LAMBDA_LOG_LEVEL on (INFO without one). A line logged with the context of an
// invocation has its id as lambdaRequestId, and what package trace has put into the
// context. Log ids only, never an address, a token or a body.
func Log() {
	slog.SetDefault(slog.New(newHandler(os.Stderr, os.Getenv("AWS_LAMBDA_LOG_LEVEL"))))
}

func newHandler(w io.Writer, level string) slog.Handler {
	minLevel := slog.LevelInfo
	switch level {
	case "TRACE", "DEBUG":
		minLevel = slog.LevelDebug
	case "WARN":
		minLevel = slog.LevelWarn
	case "ERROR", "FATAL":
		minLevel = slog.LevelError
	}
	return handler{trace.NewHandler(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: minLevel, ReplaceAttr: lambdacontext.ReplaceAttr}))}
}

// handler adds the invocation's id to each line.
type handler struct {
	slog.Handler
}

// Handle writes a line.
func (h handler) Handle(ctx context.Context, record slog.Record) error {
	if invocation, ok := lambdacontext.FromContext(ctx); ok {
		record.AddAttrs(slog.String("lambdaRequestId", invocation.AwsRequestID))
	}
	return h.Handler.Handle(ctx, record)
}

// WithAttrs returns a handler that adds the id too.
func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return handler{h.Handler.WithAttrs(attrs)}
}

// WithGroup returns a handler that adds the id too.
func (h handler) WithGroup(name string) slog.Handler { return handler{h.Handler.WithGroup(name)} }
