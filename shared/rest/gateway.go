package rest

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/events"

	"agencyhub/shared/agency"
)

// headroom is what is left of a call's time when its handler is stopped, to
// answer with a problem of ours before Lambda cuts the call off.
const headroom = 500 * time.Millisecond

// Invoke answers one event of an HTTP API (payload format 2.0). It never
// returns an error: what goes wrong, a panic too, is a problem in the answer.
func (a *API) Invoke(ctx context.Context, event events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error) {
	began := time.Now()
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-headroom))
		defer cancel()
	}
	c := &call{requestID: event.RequestContext.RequestID}
	if authorizer := event.RequestContext.Authorizer; authorizer != nil && authorizer.JWT != nil {
		c.claims = authorizer.JWT.Claims
	}
	ctx = context.WithValue(ctx, callKey{}, c)
	w := a.answer(ctx, event)
	logCall(ctx, c, event.RequestContext.HTTP.Method, w.status, time.Since(began))
	return w.response(event.RequestContext.HTTP.Method), nil
}

func (a *API) answer(ctx context.Context, event events.APIGatewayV2HTTPRequest) (w *recorder) {
	w = newRecorder()
	defer func() {
		if cause := recover(); cause != nil {
			slog.ErrorContext(ctx, "A handler panicked.", "requestId", RequestID(ctx), "stack", string(debug.Stack()))
			w = newRecorder() // whatever was half written is dropped
			writeProblem(w, problemOf(ctx, fmt.Errorf("panic: %v", cause)))
		}
	}()
	r, err := request(ctx, event)
	if err != nil {
		writeProblem(w, problemOf(ctx, err))
		return w
	}
	a.mux.ServeHTTP(w, r)
	return w
}

// logCall writes the one line of each request: of its path the ids, and no query
// or body, which may hold what a log must not.
func logCall(ctx context.Context, c *call, method string, status int, took time.Duration) {
	attrs := []slog.Attr{
		slog.String("requestId", c.requestID), slog.String("method", method), slog.String("route", c.route),
		slog.Int("status", status), slog.Float64("ms", float64(took.Microseconds())/1000),
	}
	attrs = append(attrs, c.ids...)
	if c.actor.Email != "" {
		attrs = append(attrs, slog.String("actor", string(c.actor.ID())))
	}
	if c.code != "" {
		attrs = append(attrs, slog.String("code", string(c.code)))
	}
	if c.cause != nil {
		attrs = append(attrs, slog.String("cause", c.cause.Error()))
	}
	slog.LogAttrs(ctx, slog.LevelInfo, "request", attrs...)
}

// request is the event as net/http knows requests.
func request(ctx context.Context, event events.APIGatewayV2HTTPRequest) (*http.Request, error) {
	body := []byte(event.Body)
	if event.IsBase64Encoded {
		var err error
		if body, err = base64.StdEncoding.DecodeString(event.Body); err != nil {
			return nil, &agency.Error{Code: agency.Invalid, Message: "The body could not be read.", Cause: err}
		}
	}
	header := http.Header{}
	for name, value := range event.Headers {
		// One value each: the gateway has joined repeated headers by commas.
		header.Set(name, value)
	}
	header.Del("Host")
	if len(event.Cookies) > 0 {
		header.Set("Cookie", strings.Join(event.Cookies, "; "))
	}
	path := pathOf(event.RawPath)
	r := &http.Request{
		Method:        event.RequestContext.HTTP.Method,
		URL:           &url.URL{Path: path.Path, RawPath: path.RawPath, RawQuery: event.RawQueryString},
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        header,
		Body:          io.NopCloser(bytes.NewReader(body)),
		ContentLength: int64(len(body)),
		Host:          event.RequestContext.DomainName,
		RemoteAddr:    event.RequestContext.HTTP.SourceIP,
	}
	r.RequestURI = r.URL.RequestURI()
	return r.WithContext(ctx), nil
}

// pathOf reads a rawPath. HTTP APIs have decoded it, other sources of the same
// event have not: what can stand in an encoded path is taken for encoded, and
// anything else (a bare %, a #, a ?) for itself. It never splits the path.
func pathOf(raw string) url.URL {
	decoded, err := url.PathUnescape(raw)
	if err != nil {
		return url.URL{Path: raw}
	}
	return url.URL{Path: decoded, RawPath: raw}
}

// recorder keeps an answer until it is whole.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func newRecorder() *recorder {
	return &recorder{header: http.Header{
		"Cache-Control":          {"no-store"},
		"X-Content-Type-Options": {"nosniff"},
	}, status: http.StatusOK}
}

// Header are the headers to be; those of the API are set, and may be changed.
func (w *recorder) Header() http.Header { return w.header }

// WriteHeader sets the status.
func (w *recorder) WriteHeader(status int) { w.status = status }

// Write adds to the body.
func (w *recorder) Write(b []byte) (int, error) { return w.body.Write(b) }

// response is the recorded answer as the gateway takes it.
func (w *recorder) response(method string) events.APIGatewayV2HTTPResponse {
	out := events.APIGatewayV2HTTPResponse{StatusCode: w.status, Headers: map[string]string{}, Cookies: w.header.Values("Set-Cookie")}
	body := w.body.Bytes()
	if len(body) > 0 && w.header.Get("Content-Type") == "" {
		w.header.Set("Content-Type", http.DetectContentType(body))
	}
	for name, values := range w.header {
		if name != "Set-Cookie" {
			out.Headers[name] = strings.Join(values, ", ")
		}
	}
	switch {
	case method == http.MethodHead || w.status == http.StatusNoContent || w.status == http.StatusNotModified:
	case utf8.Valid(body):
		out.Body = string(body)
	default:
		out.Body, out.IsBase64Encoded = base64.StdEncoding.EncodeToString(body), true
	}
	return out
}
