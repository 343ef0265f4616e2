package faults

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// A kind is a kind of fault.
type kind string

// The kinds. What happens before the effect leaves none, what happens after it loses the answer.
const (
	throttle    kind = "throttle"
	errorBefore kind = "5xx before"
	errorAfter  kind = "5xx after"
	closeBefore kind = "connection closed before"
	closeAfter  kind = "connection closed after"
	hangBefore  kind = "no answer, no effect"
	hangAfter   kind = "no answer, effect"
	late        kind = "late arrival"
	partial     kind = "partial batch"
	conflict    kind = "transaction conflict"
	killAfter   kind = "caller killed after the effect"
	// killed is of a function that was killed at any moment, powerCut of everything.
	killed   kind = "function killed"
	powerCut kind = "whole stack killed"
)

// mayHideEffect reports whether the caller can't tell from its answer that the call was done.
func (k kind) mayHideEffect() bool {
	switch k {
	case errorAfter, closeAfter, hangAfter, late, killAfter:
		return true
	default:
		return false
	}
}

// A service is what the proxy stands in front of.
type service string

const (
	dynamo service = "DynamoDB"
	ses    service = "SES"
	bus    service = "bus"
)

// weights say how often each kind of fault hits a service, among its faults. Those that make a
// caller wait for seconds are rare.
var weights = map[service]map[kind]int{
	dynamo: {throttle: 12, errorBefore: 10, errorAfter: 10, closeBefore: 10, closeAfter: 10, hangBefore: 1, hangAfter: 1, late: 3, partial: 10, conflict: 10},
	ses:    {throttle: 10, errorBefore: 10, errorAfter: 8, closeBefore: 10, closeAfter: 8, hangBefore: 2, hangAfter: 2, late: 4, killAfter: 8},
	bus:    {throttle: 10, errorBefore: 10, errorAfter: 8, closeBefore: 10, closeAfter: 8, hangBefore: 1, hangAfter: 1, late: 3, partial: 10, killAfter: 6},
}

const (
	// The shares are how many of a thousand calls get a fault.
	dynamoShare, sinkShare = 130, 300
	// stickyShare is how many of a hundred faults hit the next attempts of the same call too,
	// so that the caller's own attempts do not hide them.
	stickyShare, stickyCalls, maxStickyCalls = 30, 2, 9
	// A service is out for outageTime of each outageEvery: all its calls fail in one way.
	outageEvery, outageTime = 10 * time.Second, 2500 * time.Millisecond
	// hangTime bounds a call without an answer. Every client gives up before.
	hangTime = 12 * time.Second
	// lateTime is how long after its client gave up a late call arrives, at most.
	lateTime = 1500 * time.Millisecond
)

// A call is one call that a fault has hit, or whose effect SES or the bus has kept.
type call struct {
	Service   service
	Operation string
	// Item is what the call is about: an email's tag, an event's id, or the key of an item that
	// is updated; "" for anything else.
	Item string
	// To is the recipient of an email, MessageID what SES has answered.
	To, MessageID string
	Kind          kind // "" for none
	// At is when the call came, Done when its effect was there or it was given up.
	At, Done time.Time
	// Taken reports whether the service has answered that it is done; Unknown whether no one
	// can say, because the service itself ended.
	Taken, Unknown bool
	// Gone reports whether the caller had given up before the answer.
	Gone bool
	// Claims are the keys of the emails and entries that a call of the table claims.
	Claims []string
}

// isDoubted reports whether the call is an invitation whose answer is always lost, and of which
// SES has no news. Nothing but notify itself can know that it may have been sent.
func (c call) isDoubted() bool {
	return c.Service == ses && strings.HasPrefix(c.To, doubtPrefix) && strings.Contains(c.Item, "-invited-")
}

// doubtPrefix is that of the addresses of doubted invitations.
const doubtPrefix = "doubt-"

// answered returns the call with what the service has answered.
func (c call) answered(a *answer, err error) call {
	c.Done = time.Now()
	c.Taken, c.Unknown = err == nil && a.status < 300, err != nil
	if c.Taken && c.Service == ses {
		var taken struct{ MessageID string }
		_ = json.Unmarshal(a.body, &taken) // the stand-in has encoded it
		c.MessageID = taken.MessageID
	}
	return c
}

// isDoubtful reports whether the caller can't tell that the call was not done: it got no answer,
// or a failure.
func (c call) isDoubtful() bool {
	switch c.Kind {
	case "":
		return c.Unknown || c.Gone || c.Done.Sub(c.At) > answerTime
	case throttle, conflict, partial:
		return false
	default:
		return true
	}
}

// A proxy stands in front of a service and injects faults.
type proxy struct {
	of     func(*http.Request) service
	target func() string // the address of the service; "" while there is none
	client *http.Client
	// kill kills the function that makes the calls of a service.
	kill func(service)

	mu     sync.Mutex
	spares bool // it kills no callers
	random *rand.Rand
	on     bool
	since  time.Time      // when the proxy was made
	sticky map[string]int // attempts that are still to be hit, by service and call
	kinds  map[string]kind
	counts map[service]map[kind]int
	calls  []call
	// claims are when emails and entries were claimed, by their item's key.
	claims map[string][]time.Time
	passed int
	late   sync.WaitGroup
}

func newProxy(seed uint64, of func(*http.Request) service, target func() string, kill func(service)) *proxy {
	return &proxy{
		of: of, target: target, kill: kill, since: time.Now(), random: rand.New(rand.NewPCG(seed, 7)),
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 128}},
		sticky: map[string]int{}, claims: map[string][]time.Time{}, kinds: map[string]kind{}, counts: map[service]map[kind]int{},
	}
}

// listen serves the proxy on a free port until its server is closed.
func (p *proxy) listen() (address string, server *http.Server, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	server = &http.Server{Handler: p, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(l) }() // ends when it is closed
	return "http://" + l.Addr().String(), server, nil
}

// set starts or ends injecting faults.
func (p *proxy) set(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.on = on
	clear(p.sticky)
}

// spare ends killing callers.
func (p *proxy) spare() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.spares = true
}

// count counts a fault that the proxy itself does not inject.
func (p *proxy) count(of service, k kind) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.counted(of, k)
}

func (p *proxy) counted(of service, k kind) {
	if p.counts[of] == nil {
		p.counts[of] = map[kind]int{}
	}
	p.counts[of][k]++
}

// faults returns how many faults there were, by service and kind.
func (p *proxy) faults() (counts map[service]map[kind]int, all int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	counts = map[service]map[kind]int{}
	for of, kinds := range p.counts {
		counts[of] = maps.Clone(kinds)
		for _, n := range kinds {
			all += n
		}
	}
	return counts, all
}

// log returns the calls that were noted, in the order of their end.
func (p *proxy) log() []call {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]call(nil), p.calls...)
}

// claimed returns when emails and entries were claimed, by their item's key.
func (p *proxy) claimed() map[string][]time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.claims)
}

// choose decides on the fault of a call; "" for none.
func (p *proxy) choose(c call, body []byte) kind {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.passed++
	for _, key := range c.Claims {
		p.claims[key] = append(p.claims[key], c.At)
	}
	if !p.on || c.Operation == "" {
		return "" // only functions' calls have an operation
	}
	if c.isDoubted() {
		p.counted(c.Service, closeAfter)
		return closeAfter
	}
	key := string(c.Service) + c.Operation + string(body)
	if p.sticky[key] > 0 {
		p.sticky[key]--
		p.counted(c.Service, p.kinds[key])
		return p.kinds[key]
	}
	share := sinkShare
	if c.Service == dynamo {
		share = dynamoShare
	} else if k := p.outage(c); k != "" {
		p.counted(c.Service, k)
		return k
	}
	if p.random.IntN(1000) >= share {
		return ""
	}
	k := p.draw(c)
	if c.Service != dynamo && !p.spares && p.counts[c.Service][killAfter] == 0 {
		k = killAfter // rare, and each run has one
	}
	if k == "" {
		return ""
	}
	if k != late && k != hangBefore && k != hangAfter && k != killAfter && p.random.IntN(100) < stickyShare {
		p.sticky[key], p.kinds[key] = stickyCalls+p.random.IntN(maxStickyCalls-stickyCalls), k
	}
	p.counted(c.Service, k)
	if k == late {
		p.late.Add(1) // here, so that the end of the faults waits for it
	}
	return k
}

// outage returns the fault of a service that is out; "" while it is not. The two are out at
// different times.
func (p *proxy) outage(c call) kind {
	since := c.At.Sub(p.since)
	if c.Service == ses {
		since += outageEvery / 2
	}
	if since%outageEvery > outageTime {
		return ""
	}
	return []kind{closeAfter, errorBefore, closeBefore, throttle}[int(since/outageEvery)%4]
}

// order has the kinds, so that a draw depends on the seed alone.
var order = []kind{throttle, errorBefore, errorAfter, closeBefore, closeAfter, hangBefore, hangAfter, late, partial, conflict, killAfter}

// draw draws a kind that the call can have.
func (p *proxy) draw(c call) kind {
	all := 0
	for _, k := range order {
		all += weights[c.Service][k]
	}
	n := p.random.IntN(all)
	for _, k := range order {
		if n -= weights[c.Service][k]; n < 0 {
			if k == killAfter && p.spares || k == partial && c.Service == dynamo && c.Operation != "BatchGetItem" || k == conflict && !isWrite(c.Operation) {
				return ""
			}
			return k
		}
	}
	return ""
}

func isWrite(operation string) bool {
	switch operation {
	case "TransactWriteItems", "UpdateItem", "PutItem", "DeleteItem":
		return true
	default:
		return false
	}
}

// note keeps a call that was hit, or whose effect matters to the audit.
func (p *proxy) note(c call) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.Kind != "" || c.Service != dynamo && (c.Taken || c.Unknown) {
		p.calls = append(p.calls, c)
	}
}

// An answer is what the service answers.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (a *answer) write(w http.ResponseWriter) {
	for _, name := range []string{"Content-Type", "X-Amzn-Requestid", "X-Amz-Crc32", "X-Amzn-Errortype", "Date"} {
		if v := a.header.Get(name); v != "" {
			w.Header().Set(name, v)
		}
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body) // fails when the caller has gone
}

// pass passes a call on to the service.
func (p *proxy) pass(ctx context.Context, r *http.Request, body []byte) (*answer, error) {
	to := p.target()
	if to == "" {
		return nil, fmt.Errorf("the service is not up")
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, to+r.URL.RequestURI(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header = r.Header.Clone()
	res, err := p.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	content, err := io.ReadAll(res.Body)
	return &answer{res.StatusCode, res.Header, content}, err
}

// ServeHTTP passes a call on, with a fault or without.
func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the caller is gone
	}
	c := describe(p.of(r), r, body)
	c.At = time.Now()
	c.Kind = p.choose(c, body)
	if c.isDoubted() {
		body = withoutNews(body)
	}
	switch c.Kind {
	case throttle, errorBefore, conflict:
		refusal(c, body).write(w)
	case closeBefore:
		hangUp(w)
	case hangBefore:
		wait(r)
		hangUp(w)
	case late:
		p.arriveLate(w, r, c, body)
		return
	case partial:
		p.serveSome(w, r, &c, body)
	default:
		// A call that has reached the service is done, whether its caller waits or not.
		a, err := p.pass(context.WithoutCancel(r.Context()), r, body)
		c = c.answered(a, err)
		p.answer(w, r, &c, a, err)
	}
	if c.Done.IsZero() {
		c.Done = time.Now()
	}
	p.note(c)
}

// answer ends a call that the service has had, with its answer or by a fault.
func (p *proxy) answer(w http.ResponseWriter, r *http.Request, c *call, a *answer, err error) {
	switch {
	case c.Kind == errorAfter:
		failure(c.Service, http.StatusInternalServerError).write(w)
	case c.Kind == hangAfter:
		wait(r)
		hangUp(w)
	case c.Kind == killAfter:
		p.kill(c.Service)
		hangUp(w)
	case c.Kind == closeAfter, err != nil:
		hangUp(w)
	default:
		c.Gone = r.Context().Err() != nil
		a.write(w)
	}
}

// arriveLate gives a call to the service after its caller has given up.
func (p *proxy) arriveLate(w http.ResponseWriter, r *http.Request, c call, body []byte) {
	wait(r)
	p.mu.Lock()
	pause := time.Duration(p.random.Int64N(int64(lateTime)))
	p.mu.Unlock()
	again := r.Clone(context.Background())
	go func() {
		defer p.late.Done()
		time.Sleep(pause)
		a, err := p.pass(context.Background(), again, body)
		p.note(c.answered(a, err))
	}()
	hangUp(w)
}

// wait waits until the caller has given up.
func wait(r *http.Request) {
	select {
	case <-r.Context().Done():
	case <-time.After(hangTime):
	}
}

// hangUp closes the connection without an answer.
func hangUp(w http.ResponseWriter) {
	if conn, _, err := w.(http.Hijacker).Hijack(); err == nil {
		_ = conn.Close() // closed already where the caller has gone
	}
}

// serveSome serves only a part of a batch read, and refuses the only entry of a PutEvents.
func (p *proxy) serveSome(w http.ResponseWriter, r *http.Request, c *call, body []byte) {
	if c.Service == bus {
		(&answer{http.StatusOK, http.Header{"Content-Type": {"application/x-amz-json-1.1"}},
			[]byte(`{"FailedEntryCount":1,"Entries":[{"ErrorCode":"InternalFailure","ErrorMessage":"Injected."}]}`)}).write(w)
		return
	}
	var in, left map[string]json.RawMessage
	var keys []json.RawMessage
	var batch map[string]map[string]json.RawMessage
	if json.Unmarshal(body, &in) != nil || json.Unmarshal(in["RequestItems"], &batch) != nil || len(batch) != 1 {
		hangUp(w)
		return
	}
	for name, request := range batch {
		if json.Unmarshal(request["Keys"], &keys) != nil || len(keys) == 0 {
			hangUp(w)
			return
		}
		// At least one key is left out, and perhaps all.
		served := rand.New(rand.NewPCG(uint64(len(body)), uint64(len(keys)))).IntN(len(keys))
		rest := maps.Clone(request)
		rest["Keys"] = encode(keys[served:])
		left = map[string]json.RawMessage{name: encode(rest)}
		request["Keys"] = encode(keys[:served])
		if served == 0 {
			(&answer{http.StatusOK, http.Header{"Content-Type": {"application/x-amz-json-1.0"}},
				encode(map[string]any{"Responses": map[string]any{name: []any{}}, "UnprocessedKeys": left})}).write(w)
			return
		}
	}
	in["RequestItems"] = encode(batch)
	a, err := p.pass(r.Context(), r, encode(in))
	var out map[string]json.RawMessage
	if err != nil || a.status != http.StatusOK || json.Unmarshal(a.body, &out) != nil {
		hangUp(w)
		return
	}
	out["UnprocessedKeys"] = encode(left)
	a.body = encode(out)
	a.header.Del("X-Amz-Crc32")
	a.write(w)
}

// withoutNews removes from an email what SES tells its news by.
func withoutNews(body []byte) []byte {
	var in map[string]json.RawMessage
	if json.Unmarshal(body, &in) != nil {
		return body
	}
	delete(in, "ConfigurationSetName")
	delete(in, "EmailTags")
	return encode(in)
}

// hasTaken reports whether SES has taken an email to an address.
func (p *proxy) hasTaken(to string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.ContainsFunc(p.calls, func(c call) bool { return c.To == to && c.Taken })
}

// encode encodes what was decoded, which never fails.
func encode(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

// refusal is the answer of a service that does not do a call.
func refusal(c call, body []byte) *answer {
	if c.Kind == errorBefore {
		return failure(c.Service, []int{http.StatusInternalServerError, http.StatusServiceUnavailable}[len(body)%2])
	}
	coded := func(status int, code string) *answer {
		return &answer{status, http.Header{"Content-Type": {"application/json"}, "X-Amzn-Errortype": {code}}, []byte(`{"__type":"` + code + `","message":"Injected."}`)}
	}
	switch {
	case c.Service == ses:
		return coded(http.StatusTooManyRequests, "TooManyRequestsException")
	case c.Service == bus:
		return coded(http.StatusBadRequest, "ThrottlingException")
	case c.Operation == "TransactWriteItems":
		reason := "TransactionConflict"
		if c.Kind == throttle {
			reason = "ThrottlingError"
		}
		return cancelled(body, reason)
	case c.Kind == conflict:
		return coded(http.StatusBadRequest, "com.amazonaws.dynamodb.v20120810#TransactionConflictException")
	case len(body)%2 == 0:
		return coded(http.StatusBadRequest, "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException")
	default:
		return coded(http.StatusBadRequest, "com.amazonaws.dynamodb.v20120810#ThrottlingException")
	}
}

// cancelled cancels a transaction because of its last item.
func cancelled(body []byte, reason string) *answer {
	var in struct{ TransactItems []json.RawMessage }
	_ = json.Unmarshal(body, &in) // the client has encoded it
	reasons := make([]map[string]string, len(in.TransactItems))
	for i := range reasons {
		reasons[i] = map[string]string{"Code": "None"}
	}
	if len(reasons) > 0 {
		reasons[len(reasons)-1] = map[string]string{"Code": reason, "Message": "Injected."}
	}
	return &answer{http.StatusBadRequest, http.Header{"Content-Type": {"application/x-amz-json-1.0"}}, encode(map[string]any{
		"__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException", "Message": "Injected.", "CancellationReasons": reasons,
	})}
}

// failure is a failure of the service itself.
func failure(of service, status int) *answer {
	code := map[service]string{dynamo: "InternalServerError", ses: "InternalServiceErrorException", bus: "InternalException"}[of]
	return &answer{status, http.Header{"Content-Type": {"application/json"}, "X-Amzn-Errortype": {code}}, []byte(`{"__type":"` + code + `","message":"Injected."}`)}
}

// describe says what a call is about. Only calls with an operation get faults: those of
// functions, but not the runner's reading of the stream and its look at the table.
func describe(of service, r *http.Request, body []byte) call {
	c := call{Service: of}
	target := r.Header.Get("X-Amz-Target")
	switch of {
	case dynamo:
		name, ok := strings.CutPrefix(target, "DynamoDB_20120810.")
		if !ok || name == "DescribeTable" || name == "CreateTable" {
			return c
		}
		c.Operation = name
		type update struct {
			Key              map[string]struct{ S string }
			UpdateExpression string
		}
		var in struct {
			update
			TransactItems []struct{ Update update }
		}
		if !isWrite(name) {
			return c
		}
		_ = json.Unmarshal(body, &in) // the client has encoded it
		key := func(u update) string { return u.Key["pk"].S + " " + u.Key["sk"].S }
		if name == "UpdateItem" {
			c.Item = key(in.update)
			in.TransactItems = append(in.TransactItems, struct{ Update update }{in.update})
		}
		for _, i := range in.TransactItems {
			if strings.HasPrefix(key(i.Update), "MAIL#") && strings.Contains(i.Update.UpdateExpression, "#attempts") {
				c.Claims = append(c.Claims, key(i.Update))
			}
		}
	case bus:
		c.Operation = strings.TrimPrefix(target, "AWSEvents.")
		var in struct{ Entries []struct{ Detail string } }
		var detail struct{ ID string }
		if json.Unmarshal(body, &in) == nil && len(in.Entries) == 1 && json.Unmarshal([]byte(in.Entries[0].Detail), &detail) == nil {
			c.Item = detail.ID
		}
	case ses:
		if r.Method != http.MethodPost || r.URL.Path != "/v2/email/outbound-emails" {
			return c
		}
		c.Operation = "SendEmail"
		var in struct {
			EmailTags   []struct{ Name, Value string }
			Destination struct{ ToAddresses []string }
		}
		_ = json.Unmarshal(body, &in) // the client has encoded it
		for _, tag := range in.EmailTags {
			if tag.Name == "mail" {
				c.Item = tag.Value
			}
		}
		if len(in.Destination.ToAddresses) == 1 {
			c.To = in.Destination.ToAddresses[0]
		}
	}
	return c
}

func (p *proxy) isOn() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.on
}
