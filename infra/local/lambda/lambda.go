// Package lambda stands in for the Lambda service: it starts the functions'
// bootstraps under the real Runtime API and hands events to them.
package lambda

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"agencyhub/infra/local/process"
	"agencyhub/infra/local/template"
)

// Limits of Lambda.
const (
	initTimeout = 10 * time.Second
	MaxPayload  = 6 << 20 // bytes of an event and of its response
)

// MaxInstances bounds the instances of one function. More invocations wait.
const MaxInstances = 10

// maxAttempts bounds how often an event is offered to another instance because the
// one before ended when it was to get the event.
const maxAttempts = 5

// ErrStopping is the error of an invocation while the stack stops.
var ErrStopping = errors.New("the stack is stopping")

// An Error is an invocation that failed as Lambda reports it: the function returned
// an error, crashed, timed out or did not start.
type Error struct{ payload []byte }

func (e *Error) Error() string { return string(e.payload) }

// Errorf returns an Error of the given type.
func Errorf(kind, format string, args ...any) *Error {
	b, _ := json.Marshal(map[string]string{"errorType": kind, "errorMessage": fmt.Sprintf(format, args...)}) // never fails
	return &Error{b}
}

// Invoke invokes a function and waits for its response. See Service.Invoke.
type Invoke func(ctx context.Context, function string, payload []byte) ([]byte, error)

// A Service runs the instances of all functions. One listener serves all; each
// instance has its own path below /Function/instance.
type Service struct {
	spawner *process.Spawner
	address string // host:port of the Runtime API
	server  *http.Server
	pools   map[string]*pool
	now     func() time.Time
}

// New serves the Runtime API on l. It starts no instance. bin is the folder of the
// functions' binaries, env the environment of every function.
func New(l net.Listener, s *process.Spawner, functions []*template.Function, bin string, env map[string]string, now func() time.Time) *Service {
	ls := &Service{spawner: s, address: l.Addr().String(), pools: map[string]*pool{}, now: now}
	for _, f := range functions {
		p := &pool{service: ls, function: f, path: filepath.Join(bin, f.Folder()), instances: map[string]*instance{}, freed: make(chan struct{})}
		own := map[string]string{
			"AWS_ACCESS_KEY_ID":               f.ID, // shows whose its calls are; the environment may have another
			"AWS_LAMBDA_FUNCTION_NAME":        f.ID,
			"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": strconv.Itoa(f.Memory),
			"AWS_LAMBDA_LOG_GROUP_NAME":       "/aws/lambda/" + f.ID,
		}
		maps.Copy(own, env)
		maps.Copy(own, f.Env)
		for k, v := range own {
			p.env = append(p.env, k+"="+v)
		}
		slices.Sort(p.env)
		ls.pools[f.ID] = p
	}
	mux := http.NewServeMux()
	api := "/{function}/{instance}/2018-06-01/runtime/"
	mux.HandleFunc("GET "+api+"invocation/next", ls.next)
	mux.HandleFunc("POST "+api+"invocation/{id}/response", ls.respond)
	mux.HandleFunc("POST "+api+"invocation/{id}/error", ls.respond)
	// A bootstrap that ends during its init logs its error too.
	mux.HandleFunc("POST "+api+"init/error", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusAccepted) })
	ls.server = &http.Server{Handler: mux, ReadHeaderTimeout: initTimeout}
	go func() { _ = ls.server.Serve(l) }() // ends when it is closed
	return ls
}

// Warm starts one instance of each function and waits until each has started or
// failed. A failure is on the terminal already.
func (ls *Service) Warm(ctx context.Context) {
	var wg sync.WaitGroup
	for _, p := range ls.pools {
		wg.Go(func() {
			if in, err := p.acquire(ctx); err == nil {
				p.release(in)
			}
		})
	}
	wg.Wait()
}

// Stop ends every instance, then the Runtime API. It kills the instances that run
// when ctx ends.
func (ls *Service) Stop(ctx context.Context) error {
	var all []*process.Process
	for _, p := range ls.pools {
		p.mu.Lock()
		p.stopping = true
		for _, in := range p.instances {
			all = append(all, in.process)
		}
		p.wakeWaiting()
		p.mu.Unlock()
	}
	process.StopAll(ctx, all)
	return ls.server.Close() // only connections of ended processes are left
}

// Invoke hands the payload to an instance of the function and waits for its
// response. It returns an *Error when the function failed. ctx bounds only the
// waiting: the function has a timeout of its own.
func (ls *Service) Invoke(ctx context.Context, function string, payload []byte) ([]byte, error) {
	p, ok := ls.pools[function]
	if !ok {
		return nil, fmt.Errorf("there is no function %s", function)
	}
	if len(payload) > MaxPayload {
		return nil, Errorf("RequestTooLarge", "%d bytes are more than the %d of an invocation", len(payload), MaxPayload)
	}
	done := make(chan response, 1)
	go func() { done <- p.run(context.WithoutCancel(ctx), payload) }()
	select {
	case res := <-done:
		return res.payload, res.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// A pool holds the instances of one function.
type pool struct {
	service  *Service
	function *template.Function
	path     string
	env      []string

	mu        sync.Mutex
	stopping  bool
	instances map[string]*instance
	idle      []*instance   // the most recently used last
	freed     chan struct{} // closed and replaced when an instance is released or ends
}

// An instance is one running bootstrap.
type instance struct {
	id      string
	process *process.Process
	started sync.Once
	ready   chan struct{}       // closed at its first call of next
	jobs    chan *job           // read by its call of next
	current atomic.Pointer[job] // handed over, without a response yet
}

type job struct {
	id       string
	payload  []byte
	deadline time.Time
	handed   chan bool // whether the event was written to the instance
	done     chan response
}

type response struct {
	payload []byte
	err     error
}

// run finds an instance and waits for its response. It offers the event to another
// instance only while none has got it. A later crash fails the invocation: the
// invoker decides about a retry.
func (p *pool) run(ctx context.Context, payload []byte) response {
	for range maxAttempts {
		in, err := p.acquire(ctx)
		if err != nil {
			return response{err: err}
		}
		j := &job{id: NewID(), payload: payload, deadline: p.service.now().Add(p.function.Timeout), handed: make(chan bool, 1), done: make(chan response, 1)}
		select {
		case in.jobs <- j:
		case <-in.process.Exited:
			continue
		}
		if !<-j.handed {
			in.process.Kill()
			continue
		}
		return p.wait(in, j)
	}
	return response{err: Errorf("Runtime.ExitError", "%s: no instance stays up long enough to take an event", p.function.ID)}
}

func (p *pool) wait(in *instance, j *job) response {
	select {
	case res := <-j.done:
		p.release(in)
		return res
	case <-time.After(p.function.Timeout):
		in.process.Kill()
		err := Errorf("Sandbox.Timedout", "RequestId: %s Error: Task timed out after %.2f seconds", j.id, p.function.Timeout.Seconds())
		p.service.spawner.Line(p.function.Folder(), err.Error())
		return response{err: err}
	case <-in.process.Exited:
		select {
		case res := <-j.done: // it responded and then ended
			return res
		default:
			return response{err: Errorf("Runtime.ExitError", "RequestId: %s Error: Runtime exited: %s", j.id, in.process.State())}
		}
	}
}

// acquire returns an idle instance, starts one, or waits for one.
func (p *pool) acquire(ctx context.Context) (*instance, error) {
	for {
		p.mu.Lock()
		if p.stopping {
			p.mu.Unlock()
			return nil, ErrStopping
		}
		if n := len(p.idle); n > 0 {
			in := p.idle[n-1]
			p.idle = p.idle[:n-1]
			p.mu.Unlock()
			return in, nil
		}
		if len(p.instances) < MaxInstances {
			in, err := p.start() // under the lock: the limit holds and Stop sees it
			p.mu.Unlock()
			if err != nil {
				return nil, Errorf("Runtime.InvalidEntrypoint", "%v", err)
			}
			return p.awaitInit(in)
		}
		freed := p.freed
		p.mu.Unlock()
		select {
		case <-freed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// start needs p.mu held.
func (p *pool) start() (*instance, error) {
	in := &instance{id: NewID()[:8], ready: make(chan struct{}), jobs: make(chan *job)}
	env := append([]string{
		"AWS_LAMBDA_RUNTIME_API=" + p.service.address + "/" + p.function.ID + "/" + in.id,
		"AWS_LAMBDA_LOG_STREAM_NAME=" + in.id,
	}, p.env...)
	var err error
	if in.process, err = p.service.spawner.Spawn(p.function.Folder(), env, nil, p.path); err != nil {
		return nil, err
	}
	p.instances[in.id] = in
	go func() {
		<-in.process.Exited
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.instances, in.id)
		p.idle = slices.DeleteFunc(p.idle, func(other *instance) bool { return other == in })
		p.wakeWaiting()
		if !p.stopping {
			p.service.spawner.Logf("an instance of %s ended (%s); the next call starts another", p.function.Folder(), in.process.State())
		}
	}()
	return in, nil
}

func (p *pool) awaitInit(in *instance) (*instance, error) {
	select {
	case <-in.ready:
		return in, nil
	case <-in.process.Exited:
		return nil, Errorf("Runtime.ExitError", "%s ended during its init: %s", p.function.ID, in.process.State())
	case <-time.After(initTimeout):
		in.process.Kill()
		p.service.spawner.Logf("%s did not finish its init within %v", p.function.Folder(), initTimeout)
		return nil, Errorf("Sandbox.Timedout", "%s did not finish its init within %v", p.function.ID, initTimeout)
	}
}

func (p *pool) release(in *instance) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.instances[in.id] != in {
		return // it ended meanwhile
	}
	p.idle = append(p.idle, in)
	p.wakeWaiting()
}

// wakeWaiting needs p.mu held.
func (p *pool) wakeWaiting() {
	close(p.freed)
	p.freed = make(chan struct{})
}

func (ls *Service) instance(w http.ResponseWriter, r *http.Request) *instance {
	if p := ls.pools[r.PathValue("function")]; p != nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		if in := p.instances[r.PathValue("instance")]; in != nil {
			return in
		}
	}
	http.Error(w, "no such instance", http.StatusForbidden)
	return nil
}

// next is the bootstrap's long poll for an event.
func (ls *Service) next(w http.ResponseWriter, r *http.Request) {
	in := ls.instance(w, r)
	if in == nil {
		return
	}
	in.started.Do(func() { close(in.ready) })
	select {
	case j := <-in.jobs:
		in.current.Store(j)
		h := w.Header()
		h.Set("Content-Type", "application/json")
		h.Set("Lambda-Runtime-Aws-Request-Id", j.id)
		h.Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(j.deadline.UnixMilli(), 10))
		h.Set("Lambda-Runtime-Invoked-Function-Arn", template.FunctionARN(r.PathValue("function")))
		h.Set("Lambda-Runtime-Trace-Id", "Root=1-"+strconv.FormatInt(ls.now().Unix(), 16)+"-"+j.id[:24])
		_, err := w.Write(j.payload)
		if err == nil {
			err = http.NewResponseController(w).Flush()
		}
		j.handed <- err == nil && r.Context().Err() == nil
	case <-r.Context().Done():
	}
}

// respond takes the function's response or error.
func (ls *Service) respond(w http.ResponseWriter, r *http.Request) {
	in := ls.instance(w, r)
	if in == nil {
		return
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, MaxPayload+1))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	j := in.current.Load()
	if j == nil || j.id != r.PathValue("id") || !in.current.CompareAndSwap(j, nil) {
		http.Error(w, "no such invocation", http.StatusBadRequest)
		return
	}
	res := response{payload: body}
	switch {
	case filepath.Base(r.URL.Path) == "error":
		res = response{err: &Error{body}}
	case len(body) > MaxPayload:
		res = response{err: Errorf("Function.ResponseSizeTooLarge", "the answer is larger than %d bytes", MaxPayload)}
	}
	j.done <- res
	w.WriteHeader(http.StatusAccepted)
}

// NewID returns an id for requests, 32 hexadecimal digits.
func NewID() string {
	b := make([]byte, 16)
	rand.Read(b) // never fails
	return fmt.Sprintf("%x", b)
}
