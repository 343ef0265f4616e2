package trace

import (
	"bytes"
	"log/slog"
	"testing"
)

func TestLinesNameTheirContext(t *testing.T) {
	var lines bytes.Buffer
	log := slog.New(NewHandler(slog.NewTextHandler(&lines, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey || a.Key == slog.LevelKey {
				return slog.Attr{}
			}
			return a
		},
	})))
	call := WithRequest(t.Context(), "r1")
	event := With(call, slog.String("event", "e1"), slog.String("account", "a1"))
	log.InfoContext(t.Context(), "nothing")
	log.InfoContext(call, "call", "x", 1)
	log.With("y", 2).InfoContext(event, "event")
	log.InfoContext(WithRequest(With(event, slog.String("event", "e2")), "r2"), "another")
	log.InfoContext(WithRequest(event, ""), "the same")
	log.InfoContext(call, "call")
	want := "msg=nothing\n" +
		"msg=call x=1 requestId=r1\n" +
		"msg=event y=2 requestId=r1 event=e1 account=a1\n" +
		"msg=another account=a1 event=e2 requestId=r2\n" +
		"msg=\"the same\" requestId=r1 event=e1 account=a1\n" +
		"msg=call requestId=r1\n"
	if got := lines.String(); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	if got := RequestID(event); got != "r1" {
		t.Errorf("the request is %q", got)
	}
	if got := RequestID(t.Context()); got != "" {
		t.Errorf("without a call it is %q", got)
	}
}
