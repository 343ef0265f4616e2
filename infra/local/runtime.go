package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
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
	"time"
)

// initTimeout is Lambda's limit for a function's init.
const initTimeout = 10 * time.Second

// maxInstances bounds how many instances of one function run at once where the
// template reserves no concurrency; more invocations wait.
const maxInstances = 10

// maxHandOvers bounds how often an event is offered to another instance because
// the one before was gone when it was to be handed over.
const maxHandOvers = 5

var errStopping = errors.New("the stack is stopping")

// A functionError is an invocation that failed as Lambda would say it: the
// function answered with an error, crashed, timed out or did not start.
type functionError struct{ payload []byte }

func (e *functionError) Error() string { return string(e.payload) }

func failure(kind, format string, args ...any) *functionError {
	b, err := json.Marshal(map[string]string{"errorType": kind, "errorMessage": fmt.Sprintf(format, args...)})
	if err != nil {
		b = []byte(`{"errorType":"` + kind + `"}`)
	}
	return &functionError{b}
}

// A lambdas stands for the Lambda service: it starts the functions' bootstraps
// under the real Runtime API and hands events to them. One listener serves all;
// each instance has its own path below /Function/instance.
type lambdas struct {
	spawner *spawner
	address string // host:port of the Runtime API
	server  *http.Server
	pools   map[string]*pool
	now     func() time.Time
}

// newLambdas serves the Runtime API on l. Nothing is started yet.
func newLambdas(l net.Listener, s *spawner, functions []*function, bin string, env map[string]string, now func() time.Time) *lambdas {
	ls := &lambdas{spawner: s, address: l.Addr().String(), pools: map[string]*pool{}, now: now}
	for _, f := range functions {
		p := &pool{lambdas: ls, function: f, path: filepath.Join(bin, f.folder()), limit: f.concurrency, instances: map[string]*instance{}, freed: make(chan struct{})}
		if p.limit == 0 {
			p.limit = maxInstances
		}
		own := map[string]string{
			"AWS_LAMBDA_FUNCTION_NAME":        f.id,
			"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": strconv.Itoa(f.memory),
			"AWS_LAMBDA_LOG_GROUP_NAME":       "/aws/lambda/" + f.id,
		}
		maps.Copy(own, env)
		maps.Copy(own, f.env)
		for k, v := range own {
			p.env = append(p.env, k+"="+v)
		}
		slices.Sort(p.env)
		ls.pools[f.id] = p
	}
	mux := http.NewServeMux()
	api := "/{function}/{instance}/2018-06-01/runtime/"
	mux.HandleFunc("GET "+api+"invocation/next", ls.next)
	mux.HandleFunc("POST "+api+"invocation/{id}/response", ls.answer)
	mux.HandleFunc("POST "+api+"invocation/{id}/error", ls.answer)
	mux.HandleFunc("POST "+api+"init/error", ls.initError)
	ls.server = &http.Server{Handler: mux, ReadHeaderTimeout: initTimeout}
	go func() { _ = ls.server.Serve(l) }() // ends when it is closed
	return ls
}

// warm starts one instance of each function and waits until each has started
// or failed; failures stand on the terminal already.
func (ls *lambdas) warm(ctx context.Context) {
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

// stop ends every instance, then the Runtime API.
func (ls *lambdas) stop() {
	var all []*process
	for _, p := range ls.pools {
		p.mu.Lock()
		p.stopping = true
		for _, in := range p.instances {
			all = append(all, in.process)
		}
		p.wakeWaiting()
		p.mu.Unlock()
	}
	stopAll(all)
	_ = ls.server.Close() // only connections of ended processes are left
}

// invoke hands the payload to an instance of the function and waits for its
// answer. A *functionError says that the function failed; ctx bounds only the
// waiting, not the function, which has its own timeout.
func (ls *lambdas) invoke(ctx context.Context, function string, payload []byte) ([]byte, error) {
	p, ok := ls.pools[function]
	if !ok {
		return nil, fmt.Errorf("there is no function %s", function)
	}
	if len(payload) > maxPayload {
		return nil, failure("RequestTooLarge", "%d bytes are more than the %d of an invocation", len(payload), maxPayload)
	}
	done := make(chan answer, 1)
	go func() { done <- p.run(context.WithoutCancel(ctx), payload) }()
	select {
	case a := <-done:
		return a.payload, a.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// A pool is the instances of one function.
type pool struct {
	lambdas  *lambdas
	function *function
	path     string
	env      []string
	limit    int

	mu        sync.Mutex
	stopping  bool
	instances map[string]*instance
	idle      []*instance   // the most recently used last
	freed     chan struct{} // closed and renewed when an instance is released or ends
}

// An instance is one running bootstrap.
type instance struct {
	id      string
	process *process
	ready   chan struct{} // closed at its first call of next
	jobs    chan *job     // taken by its call of next

	mu      sync.Mutex
	started bool
	current *job // handed over, not answered
}

type job struct {
	id       string
	payload  []byte
	deadline time.Time
	handed   chan bool // whether the event was written to the instance
	done     chan answer
}

type answer struct {
	payload []byte
	err     error
}

// run finds an instance and sees the event through. An event is offered to
// another instance only while none has got it: afterwards a crash is the
// event's own failure, and whoever invoked decides about a retry.
func (p *pool) run(ctx context.Context, payload []byte) answer {
	for range maxHandOvers {
		in, err := p.acquire(ctx)
		if err != nil {
			return answer{err: err}
		}
		j := &job{id: newID(), payload: payload, deadline: p.lambdas.now().Add(p.function.timeout), handed: make(chan bool, 1), done: make(chan answer, 1)}
		select {
		case in.jobs <- j:
		case <-in.process.exited:
			continue
		}
		if !<-j.handed {
			in.process.kill()
			continue
		}
		return p.wait(in, j)
	}
	return answer{err: failure("Runtime.ExitError", "%s: no instance stays up long enough to take an event", p.function.id)}
}

func (p *pool) wait(in *instance, j *job) answer {
	timeout := time.NewTimer(p.function.timeout)
	defer timeout.Stop()
	select {
	case a := <-j.done:
		p.release(in)
		return a
	case <-timeout.C:
		in.process.kill()
		err := failure("Sandbox.Timedout", "RequestId: %s Error: Task timed out after %.2f seconds", j.id, p.function.timeout.Seconds())
		p.lambdas.spawner.term.line(p.function.folder(), err.Error())
		return answer{err: err}
	case <-in.process.exited:
		select {
		case a := <-j.done: // it answered, and ended before it was looked at
			return a
		default:
			return answer{err: failure("Runtime.ExitError", "RequestId: %s Error: Runtime exited: %s", j.id, in.process.cmd.ProcessState)}
		}
	}
}

// acquire takes an idle instance, starts one, or waits for one.
func (p *pool) acquire(ctx context.Context) (*instance, error) {
	for {
		p.mu.Lock()
		if p.stopping {
			p.mu.Unlock()
			return nil, errStopping
		}
		if n := len(p.idle); n > 0 {
			in := p.idle[n-1]
			p.idle = p.idle[:n-1]
			p.mu.Unlock()
			return in, nil
		}
		if len(p.instances) < p.limit {
			in, err := p.start() // under the lock, so that the bound holds and stop sees it
			p.mu.Unlock()
			if err != nil {
				return nil, failure("Runtime.InvalidEntrypoint", "%v", err)
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
	in := &instance{id: newID()[:8], ready: make(chan struct{}), jobs: make(chan *job)}
	env := append([]string{
		"AWS_LAMBDA_RUNTIME_API=" + p.lambdas.address + "/" + p.function.id + "/" + in.id,
		"AWS_LAMBDA_LOG_STREAM_NAME=" + in.id,
	}, p.env...)
	var err error
	if in.process, err = p.lambdas.spawner.spawn(p.function.folder(), env, nil, p.path); err != nil {
		return nil, err
	}
	p.instances[in.id] = in
	go func() {
		<-in.process.exited
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.instances, in.id)
		p.idle = slices.DeleteFunc(p.idle, func(other *instance) bool { return other == in })
		p.wakeWaiting()
		if !p.stopping {
			p.lambdas.spawner.term.logf("an instance of %s ended (%s); the next call starts another", p.function.folder(), in.process.cmd.ProcessState)
		}
	}()
	return in, nil
}

func (p *pool) awaitInit(in *instance) (*instance, error) {
	timeout := time.NewTimer(initTimeout)
	defer timeout.Stop()
	select {
	case <-in.ready:
		return in, nil
	case <-in.process.exited:
		return nil, failure("Runtime.ExitError", "%s ended during its init: %s", p.function.id, in.process.cmd.ProcessState)
	case <-timeout.C:
		in.process.kill()
		p.lambdas.spawner.term.logf("%s did not finish its init within %v", p.function.folder(), initTimeout)
		return nil, failure("Sandbox.Timedout", "%s did not finish its init within %v", p.function.id, initTimeout)
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

func (ls *lambdas) instance(w http.ResponseWriter, r *http.Request) *instance {
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
func (ls *lambdas) next(w http.ResponseWriter, r *http.Request) {
	in := ls.instance(w, r)
	if in == nil {
		return
	}
	in.mu.Lock()
	if !in.started {
		in.started = true
		close(in.ready)
	}
	in.mu.Unlock()
	select {
	case j := <-in.jobs:
		in.mu.Lock()
		in.current = j
		in.mu.Unlock()
		h := w.Header()
		h.Set("Content-Type", "application/json")
		h.Set("Lambda-Runtime-Aws-Request-Id", j.id)
		h.Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(j.deadline.UnixMilli(), 10))
		h.Set("Lambda-Runtime-Invoked-Function-Arn", functionARN(r.PathValue("function")))
		h.Set("Lambda-Runtime-Trace-Id", "Root=1-"+strconv.FormatInt(ls.now().Unix(), 16)+"-"+j.id[:24])
		_, err := w.Write(j.payload)
		if err == nil {
			err = http.NewResponseController(w).Flush()
		}
		j.handed <- err == nil && r.Context().Err() == nil
	case <-r.Context().Done():
	}
}

// answer takes what the function made of its event, or its error.
func (ls *lambdas) answer(w http.ResponseWriter, r *http.Request) {
	in := ls.instance(w, r)
	if in == nil {
		return
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxPayload+1))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	in.mu.Lock()
	j := in.current
	if j == nil || j.id != r.PathValue("id") {
		in.mu.Unlock()
		http.Error(w, "no such invocation", http.StatusBadRequest)
		return
	}
	in.current = nil
	in.mu.Unlock()
	a := answer{payload: body}
	switch {
	case filepath.Base(r.URL.Path) == "error":
		a = answer{err: &functionError{body}}
	case r.Trailer.Get("Lambda-Runtime-Function-Error-Type") != "":
		a = answer{err: failure(r.Trailer.Get("Lambda-Runtime-Function-Error-Type"), "the answer broke off")}
	case len(body) > maxPayload:
		a = answer{err: failure("Function.ResponseSizeTooLarge", "the answer is larger than %d bytes", maxPayload)}
	}
	j.done <- a
	w.WriteHeader(http.StatusAccepted)
}

// initError is a bootstrap's last word before it ends; its log says the same.
func (ls *lambdas) initError(w http.ResponseWriter, r *http.Request) {
	w.WriteHeader(http.StatusAccepted)
}

// newID is an id for requests: 32 hexadecimal digits.
func newID() string {
	b := make([]byte, 16)
	rand.Read(b) // never fails
	return hex.EncodeToString(b)
}
