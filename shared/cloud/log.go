package cloud

import (
	"context"
	"io"
	"log/slog"
	"os"

	"github.com/aws/aws-lambda-go/lambdacontext"
)

// Log makes JSON lines on standard error, as Lambda reads them, of all that
// is logged by slog, from the level that AWS_LAMBDA_LOG_LEVEL names (INFO when
// it names none). A line logged with the context of an invocation carries its
// id as lambdaRequestId. Lines hold ids, never an address, a token or a body.
func Log() {
	slog.SetDefault(slog.New(newHandler(os.Stderr, os.Getenv("AWS_LAMBDA_LOG_LEVEL"))))
}

func newHandler(w io.Writer, level string) slog.Handler {
	least := slog.LevelInfo
	switch level {
	case "TRACE", "DEBUG":
		least = slog.LevelDebug
	case "WARN":
		least = slog.LevelWarn
	case "ERROR", "FATAL":
		least = slog.LevelError
	}
	return handler{slog.NewJSONHandler(w, &slog.HandlerOptions{Level: least, ReplaceAttr: lambdacontext.ReplaceAttr})}
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

// WithAttrs keeps the id on lines of derived loggers.
func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return handler{h.Handler.WithAttrs(attrs)}
}

// WithGroup keeps the id on lines of derived loggers.
func (h handler) WithGroup(name string) slog.Handler { return handler{h.Handler.WithGroup(name)} }
