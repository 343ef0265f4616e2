// Package gateway stands in for API Gateway's HTTP API: it selects the route, checks
// the token, hands the request to a function in payload format 2.0 and writes the
// function's response. Its own refusals have the bodies of AWS.
package gateway

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/events"

	"agencyhub/infra/local/lambda"
	"agencyhub/infra/local/template"
)

// Limits of an HTTP API.
const (
	maxBody    = 10 << 20 // bytes
	MaxHeaders = 10_240   // bytes of the request line and all headers
)

// A Gateway serves the routes of a template.
type Gateway struct {
	routes []template.Route
	limits limits
	tokens *tokenChecker
	invoke lambda.Invoke
	now    func() time.Time
	logf   func(format string, args ...any)
}

// New returns the gateway of a stack.
func New(stack *template.Stack, invoke lambda.Invoke, now func() time.Time, logf func(format string, args ...any)) *Gateway {
	return &Gateway{routes: stack.Routes, limits: newLimits(stack), tokens: newTokenChecker(now), invoke: invoke, now: now, logf: logf}
}

func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := lambda.NewID()
	w.Header().Set("Apigw-Requestid", id)
	if status := g.serve(w, r, id); status != 0 {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"message":%q}`, http.StatusText(status))
	}
}

// serve writes the function's response and returns 0, or returns the status of a refusal.
func (g *Gateway) serve(w http.ResponseWriter, r *http.Request, id string) int {
	if headerSize(r) > MaxHeaders {
		return http.StatusRequestHeaderFieldsTooLarge
	}
	route, parameters := match(g.routes, r.Method, r.URL.EscapedPath())
	// Before the token is looked at: a request without one counts too.
	if !g.limits.of(route).allow(g.now()) {
		return http.StatusTooManyRequests
	}
	if route == nil {
		return http.StatusNotFound
	}
	var authorizer *events.APIGatewayV2HTTPRequestContextAuthorizerDescription
	if route.Authorizer != nil {
		claims, refused := g.tokens.check(r.Context(), r.Header.Get("Authorization"), route.Authorizer, route.Scopes)
		if refused != nil {
			w.Header().Set("Www-Authenticate", refused.challenge())
			return refused.status
		}
		authorizer = &events.APIGatewayV2HTTPRequestContextAuthorizerDescription{
			JWT: &events.APIGatewayV2HTTPRequestContextAuthorizerJWTDescription{Claims: claims, Scopes: route.Scopes},
		}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return http.StatusRequestEntityTooLarge
	}
	if err != nil {
		return http.StatusBadRequest
	}
	event := payload(r, route, parameters, body, id, g.now())
	event.RequestContext.Authorizer = authorizer
	encoded, err := encode(event)
	if err != nil {
		g.logf("%s %s: %v", r.Method, route.Key(), err)
		return http.StatusInternalServerError
	}
	// Lambda refuses the event with its own 413.
	if len(encoded) > lambda.MaxPayload {
		return http.StatusRequestEntityTooLarge
	}
	// A caller that goes away does not stop the function; the integration timeout does.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), route.Timeout)
	defer cancel()
	response, err := g.invoke(ctx, route.Function, encoded)
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, lambda.ErrStopping):
		return http.StatusServiceUnavailable
	case err != nil:
		return http.StatusInternalServerError
	}
	if err := writeResponse(w, response); err != nil {
		g.logf("%s answered %s in a form that the gateway does not take: %v", route.Function, route.Key(), err)
		return http.StatusInternalServerError
	}
	return 0
}

func headerSize(r *http.Request) int {
	n := len(r.Method) + len(r.RequestURI) + len(r.Proto) + len("  \r\n") + len("Host: \r\n") + len(r.Host)
	for name, values := range r.Header {
		for _, v := range values {
			n += len(name) + len(v) + len(": \r\n")
		}
	}
	return n
}

// An event is the library's, except for the null that AWS sends when there is no
// client certificate. The library's type has an empty object there.
type event struct {
	events.APIGatewayV2HTTPRequest
	RequestContext struct {
		events.APIGatewayV2HTTPRequestContext
		Authentication *struct{} `json:"authentication"`
	} `json:"requestContext"`
}

// encode returns the event as JSON without what Go escapes for HTML: that would count
// against Lambda's limit.
func encode(e *event) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(e)
	return b.Bytes(), err
}

// payload returns the event of payload format 2.0. Like live HTTP APIs it decodes the
// path and cuts it at a decoded question mark.
func payload(r *http.Request, route *template.Route, parameters map[string]string, body []byte, id string, now time.Time) *event {
	path, _, _ := strings.Cut(r.URL.Path, "?")
	client, _, _ := net.SplitHostPort(r.RemoteAddr) // net/http sets a host and a port
	headers, cookies := map[string]string{}, []string(nil)
	for name, values := range r.Header {
		name = strings.ToLower(name)
		if name == "cookie" {
			for c := range strings.SplitSeq(strings.Join(values, ";"), ";") {
				cookies = append(cookies, strings.TrimSpace(c))
			}
			continue
		}
		headers[name] = strings.Join(values, ",")
	}
	headers["host"] = r.Host
	headers["content-length"] = strconv.Itoa(len(body))
	headers["x-amzn-trace-id"] = "Root=1-" + strconv.FormatInt(now.Unix(), 16) + "-" + id[:24]
	headers["x-forwarded-for"] = strings.TrimPrefix(headers["x-forwarded-for"]+", "+client, ", ")
	headers["x-forwarded-proto"] = "http"
	_, port, _ := net.SplitHostPort(r.Host)
	headers["x-forwarded-port"] = cmp.Or(port, "80")
	query := map[string]string{}
	for pair := range strings.FieldsFuncSeq(r.URL.RawQuery, func(c rune) bool { return c == '&' }) {
		k, v, _ := strings.Cut(pair, "=")
		k, v = unescaped(k, url.QueryUnescape), unescaped(v, url.QueryUnescape)
		if old, ok := query[k]; ok {
			v = old + "," + v
		}
		query[k] = v
	}
	domainPrefix, _, _ := strings.Cut(strings.Split(r.Host, ":")[0], ".")
	event := &event{APIGatewayV2HTTPRequest: events.APIGatewayV2HTTPRequest{
		Version: "2.0", RouteKey: route.Key(), RawPath: path, RawQueryString: r.URL.RawQuery,
		Cookies: cookies, Headers: headers, QueryStringParameters: query, PathParameters: parameters,
	}}
	event.RequestContext.APIGatewayV2HTTPRequestContext = events.APIGatewayV2HTTPRequestContext{
		RouteKey: route.Key(), AccountID: template.AccountID, Stage: "$default", RequestID: id, APIID: "local",
		DomainName: r.Host, DomainPrefix: domainPrefix,
		Time: now.UTC().Format("02/Jan/2006:15:04:05 -0700"), TimeEpoch: now.UnixMilli(),
		HTTP: events.APIGatewayV2HTTPRequestContextHTTPDescription{
			Method: r.Method, Path: path, Protocol: r.Proto, SourceIP: client, UserAgent: r.UserAgent(),
		},
	}
	if len(body) > 0 {
		if isText(r.Header.Get("Content-Type")) && utf8.Valid(body) {
			event.Body = string(body)
		} else {
			event.Body, event.IsBase64Encoded = base64.StdEncoding.EncodeToString(body), true
		}
	}
	return event
}

// unescaped returns s unescaped, or s itself where that fails.
func unescaped(s string, unescape func(string) (string, error)) string {
	if out, err := unescape(s); err == nil {
		return out
	}
	return s
}

// isText reports whether an HTTP API sends a body of this type without Base64. Forms
// are not among them.
func isText(contentType string) bool {
	kind, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return false
	}
	return strings.HasPrefix(kind, "text/") || strings.HasSuffix(kind, "+json") || strings.HasSuffix(kind, "+xml") ||
		slices.Contains([]string{"application/json", "application/xml", "application/javascript"}, kind)
}

// writeResponse writes a function's response in payload format 2.0. Without a
// statusCode the whole response is the JSON body. It ignores errors of the
// connection: the caller has gone.
func writeResponse(w http.ResponseWriter, response []byte) error {
	var a struct {
		StatusCode      *int
		Headers         map[string]any
		Cookies         []string
		Body            string
		IsBase64Encoded bool
	}
	var object map[string]json.RawMessage
	if json.Unmarshal(response, &object) != nil || object["statusCode"] == nil {
		if !json.Valid(response) {
			return fmt.Errorf("not JSON")
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(response)
		return nil
	}
	if err := json.Unmarshal(response, &a); err != nil {
		return err
	}
	if *a.StatusCode < 200 || *a.StatusCode > 599 {
		return fmt.Errorf("statusCode %d", *a.StatusCode)
	}
	body := []byte(a.Body)
	if a.IsBase64Encoded {
		var err error
		if body, err = base64.StdEncoding.DecodeString(a.Body); err != nil {
			return err
		}
	}
	for name, v := range a.Headers {
		switch strings.ToLower(name) {
		case "connection", "content-length", "keep-alive", "transfer-encoding", "upgrade":
		default:
			w.Header().Set(name, template.Text(v))
		}
	}
	for _, c := range a.Cookies {
		w.Header().Add("Set-Cookie", c)
	}
	if w.Header().Get("Content-Type") == "" && len(body) > 0 {
		w.Header().Set("Content-Type", "text/plain;charset=UTF-8")
	}
	w.WriteHeader(*a.StatusCode)
	_, _ = w.Write(body)
	return nil
}

// limits are the token buckets of a stage. AWS does not say whether routes without
// settings of their own have the default each or together. Here they have it together:
// what one class of routes leaves to another here, it leaves on AWS in both readings.
type limits struct {
	stage  *limiter
	routes map[string]*limiter // by route key
}

func newLimits(stack *template.Stack) limits {
	l := limits{stage: newLimiter(stack.Throttle), routes: map[string]*limiter{}}
	for _, r := range stack.Routes {
		if r.Throttle != nil {
			l.routes[r.Key()] = newLimiter(*r.Throttle)
		}
	}
	return l
}

// of returns the limiter of a route, nil for a request that no route takes.
func (l limits) of(route *template.Route) *limiter {
	if route != nil {
		if own, ok := l.routes[route.Key()]; ok {
			return own
		}
	}
	return l.stage
}

// A limiter is one token bucket. A rate of 0 is no limit.
type limiter struct {
	mu     sync.Mutex
	rate   float64
	burst  float64
	tokens float64
	last   time.Time
}

func newLimiter(t template.Throttle) *limiter {
	burst := max(float64(t.Burst), 1)
	return &limiter{rate: t.Rate, burst: burst, tokens: burst}
}

func (l *limiter) allow(now time.Time) bool {
	if l.rate == 0 {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tokens = min(l.burst, l.tokens+now.Sub(l.last).Seconds()*l.rate)
	l.last = now
	if l.tokens < 1 {
		return false
	}
	l.tokens--
	return true
}
