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
	"agencyhub/shared/trace"
)

// headroom is how long before Lambda's deadline a handler is stopped. It leaves time to
// answer with a problem.
const headroom = 500 * time.Millisecond

// Invoke serves one event of an HTTP API (payload format 2.0). It never returns an
// error: every failure, a panic too, becomes a problem in the answer.
func (a *API) Invoke(ctx context.Context, event events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error) {
	start := time.Now()
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-headroom))
		defer cancel()
	}
	c := &call{requestID: event.RequestContext.RequestID, isRouted: isOperation(event.RouteKey)}
	if authorizer := event.RequestContext.Authorizer; authorizer != nil && authorizer.JWT != nil {
		c.claims = authorizer.JWT.Claims
	}
	ctx = context.WithValue(trace.WithRequest(ctx, c.requestID), callKey{}, c)
	w := a.serve(ctx, event)
	logCall(ctx, c, event.RequestContext.HTTP.Method, w.status, time.Since(start))
	return w.response(event.RequestContext.HTTP.Method), nil
}

// isOperation reports whether a route of the gateway is one method of one path, and not
// what is left over.
func isOperation(routeKey string) bool {
	method, path, ok := strings.Cut(routeKey, " ")
	return ok && method != "ANY" && !strings.Contains(path, "+}")
}

// serve returns the recorded answer to an event.
func (a *API) serve(ctx context.Context, event events.APIGatewayV2HTTPRequest) (w *recorder) {
	w = newRecorder()
	defer func() {
		if cause := recover(); cause != nil {
			slog.ErrorContext(ctx, "A handler panicked.", "stack", string(debug.Stack()))
			w = newRecorder() // drops what is half written
			writeProblem(w, ProblemOf(ctx, fmt.Errorf("panic: %v", cause)))
		}
	}()
	r := request(ctx, event)
	a.handler.ServeHTTP(w, r)
	if c := callOf(ctx); c.route == "" {
		c.route = r.Pattern
	}
	return w
}

// logCall writes the log line of a request. It has the ids of the path, and nothing of
// the query or body, which can hold addresses and tokens.
func logCall(ctx context.Context, c *call, method string, status int, took time.Duration) {
	attrs := []slog.Attr{
		slog.String("method", method), slog.String("route", c.route),
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

// request returns the event as a request of net/http. Its body is decoded while it is
// read: a handler that reads up to its bound pays for no more than that.
func request(ctx context.Context, event events.APIGatewayV2HTTPRequest) *http.Request {
	body, length := io.Reader(strings.NewReader(event.Body)), len(event.Body)
	if event.IsBase64Encoded {
		length = base64.StdEncoding.DecodedLen(length) - strings.Count(event.Body[max(0, length-2):], "=")
		body = encodedBody{base64.NewDecoder(base64.StdEncoding, body)}
	}
	header := http.Header{}
	for name, value := range event.Headers {
		// The gateway joins the values of a repeated header by commas.
		header.Set(name, value)
	}
	header.Del("Host")
	if len(event.Cookies) > 0 {
		header.Set("Cookie", strings.Join(event.Cookies, "; "))
	}
	path := pathOf(event.RawPath)
	r := &http.Request{
		Method: event.RequestContext.HTTP.Method, URL: &url.URL{Path: path.Path, RawPath: path.RawPath, RawQuery: event.RawQueryString},
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: header,
		Body: io.NopCloser(body), ContentLength: int64(length),
		Host: event.RequestContext.DomainName, RemoteAddr: event.RequestContext.HTTP.SourceIP,
	}
	r.RequestURI = r.URL.RequestURI()
	return r.WithContext(ctx)
}

// encodedBody reads a body that came in base 64. Errors: Invalid.
type encodedBody struct{ decoder io.Reader }

func (b encodedBody) Read(p []byte) (int, error) {
	n, err := b.decoder.Read(p)
	if err != nil && err != io.EOF {
		err = &agency.Error{Code: agency.Invalid, Message: "The body could not be read.", Cause: err}
	}
	return n, err
}

// pathOf reads an event's rawPath. HTTP APIs have decoded it, other sources of the same
// event have not. So a valid encoded path is decoded, and any other (with a bare %, #
// or ?) is taken literally.
func pathOf(raw string) url.URL {
	decoded, err := url.PathUnescape(raw)
	if err != nil {
		return url.URL{Path: raw}
	}
	return url.URL{Path: decoded, RawPath: raw}
}

// recorder keeps an answer until it is complete.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func newRecorder() *recorder { return &recorder{header: baseHeaders(), status: http.StatusOK} }

// baseHeaders returns the headers of every answer, refusals and panics included. A page
// replaces the policy by its own: JSON loads nothing and is shown in no frame. Browsers
// ignore Strict-Transport-Security over http, so it is sent on one machine too.
func baseHeaders() http.Header {
	return http.Header{
		"Cache-Control":             {"no-store"},
		"Content-Security-Policy":   {"default-src 'none'; frame-ancestors 'none'"},
		"Strict-Transport-Security": {"max-age=31536000"},
		"X-Content-Type-Options":    {"nosniff"},
	}
}

// Header returns the headers, which can be changed.
func (w *recorder) Header() http.Header { return w.header }

// WriteHeader sets the status.
func (w *recorder) WriteHeader(status int) { w.status = status }

// Write appends to the body.
func (w *recorder) Write(b []byte) (int, error) { return w.body.Write(b) }

// response returns the answer as the gateway takes it.
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
