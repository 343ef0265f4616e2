package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"agencyhub/infra/local/disk"
	"agencyhub/infra/local/dynamodb"
	"agencyhub/infra/local/gateway"
	"agencyhub/infra/local/lambda"
	"agencyhub/infra/local/process"
	"agencyhub/infra/local/roles"
	"agencyhub/infra/local/standins"
	"agencyhub/infra/local/streams"
	"agencyhub/infra/local/template"
	"agencyhub/shared/settings"
	"agencyhub/shared/table"
)

// The options of a stack, from the command line.
type options struct {
	template                  string
	data                      string        // folder: data, binaries, stack.json
	bin                       string        // folder of the functions' binaries; "" for data/bin
	http, ses, oidc, dynamodb int           // ports; 0 takes a free one
	pageToken                 time.Duration // how long the id token of a page's session lasts
	fresh                     bool          // delete the data first
	schedules                 bool          // run schedules on time
	streams                   bool          // invoke functions from streams
	checkRoles                bool          // functions can do what their roles allow, and nothing else
	set                       map[string]string
}

// A stack is everything that `local run` runs. Its parts fill the fields in order.
type stack struct {
	options
	term   *process.Terminal
	failed chan error // the first part that fails while the stack is up

	folder   string // of the data itself, data/data
	outside  string // the endpoint of another DynamoDB; "" for the engine
	front    net.Listener
	mailbox  *standins.Program
	issuer   *standins.Program
	engine   *standins.Program // nil where another DynamoDB is used
	programs []*standins.Program
	spec     *template.Stack
	spawner  *process.Spawner
	db       *dynamodb.Client
	arns     map[string]string // of the streams, by the table's logical id
	roles    *roles.Checker    // nil without checkRoles
	toDB     net.Listener      // of the functions' calls of DynamoDB, with checkRoles
	lambda   *lambda.Service
	schedule *standins.Scheduler
	cloud    net.Listener // of EventBridge and SES
	control  net.Listener
}

// runStack runs a stack until ctx ends or a part of it fails. It returns nil after an
// ordered stop.
func runStack(ctx context.Context, o options, term *process.Terminal) error {
	s := &stack{options: o, term: term, failed: make(chan error, 1), outside: os.Getenv("AWS_ENDPOINT_URL_DYNAMODB"), arns: map[string]string{}}
	var err error
	if s.data, err = filepath.Abs(o.data); err != nil {
		return err
	}
	if s.bin, err = filepath.Abs(cmp.Or(o.bin, filepath.Join(s.data, "bin"))); err != nil {
		return err
	}
	s.folder = filepath.Join(s.data, "data")
	const soon = 20 * time.Second
	var l lifecycle
	// First what is cheap to check, then the servers, each before those that call it.
	err = l.start(ctx, []part{
		{"data folder", 0, s.openFolder},
		{"ports", 0, s.openPorts},
		{"template", 0, s.readTemplate},
		{"functions", 0, s.build},
		{"stand-ins", soon, s.startPrograms},
		{"tables", soon, s.ensureTables},
		{"roles", soon, s.serveRoles},
		{"lambda", soon, s.startLambda},
		{"services", soon, s.serveServices},
		{"instances", soon, func(ctx context.Context) (stopFunc, error) { s.lambda.Warm(ctx); return nil, nil }},
		{"streams and schedules", soon, s.startSources},
		{"gateway", soon, func(context.Context) (stopFunc, error) {
			return s.serve(s.front, gateway.New(s.spec, s.lambda.Invoke, time.Now, s.term.Logf)), nil
		}},
		{"control", soon, s.serveControl},
		{"stack.json", soon, s.announce},
	})
	if err == nil {
		select {
		case <-ctx.Done():
		case err = <-s.failed:
		}
	}
	if ctx.Err() != nil {
		term.Logf("stopping")
		err = nil // of a start that was interrupted
	}
	return errors.Join(err, l.stop())
}

// fail stops the stack with an error. Only the first counts.
func (s *stack) fail(err error) {
	select {
	case s.failed <- err:
	default:
	}
}

func (s *stack) openFolder(context.Context) (stopFunc, error) {
	if s.fresh && s.outside != "" {
		return nil, errors.New("-fresh deletes local data only: delete the table behind AWS_ENDPOINT_URL_DYNAMODB yourself, then start without -fresh")
	}
	locked, err := lock(s.data)
	if err != nil {
		return nil, err
	}
	err = os.RemoveAll(stackFile(s.data))
	if s.fresh {
		err = errors.Join(err, os.RemoveAll(s.folder))
	}
	err = errors.Join(err, os.MkdirAll(filepath.Join(s.folder, "oidc"), 0o700))
	return func(context.Context) error { return locked.Close() }, err // which unlocks it
}

// openPorts opens the ports that the command line gives: one in use is an error
// before anything is built.
func (s *stack) openPorts(context.Context) (stop stopFunc, err error) {
	home, err := standins.Home()
	if err != nil {
		return nil, err
	}
	if s.front, err = process.Listen("http", s.http); err != nil {
		return nil, err
	}
	stop = func(context.Context) error {
		_ = s.front.Close() // closed already where the gateway has served
		for _, p := range s.programs {
			p.Release()
		}
		return nil
	}
	node, err := exec.LookPath("node")
	if err != nil {
		return stop, errors.New("node is not on the PATH: the mailbox and the sign-in page need Node 20 or newer")
	}
	if _, err := os.Stat(filepath.Join(home, "node_modules")); err != nil {
		return stop, errors.New("the stand-ins are not installed: run `make setup`")
	}
	s.mailbox, s.issuer = standins.Mailbox(node, home, s.ses), standins.Issuer(node, home, s.oidc, s.publicURL(), s.folder, s.pageToken)
	s.programs = []*standins.Program{s.mailbox, s.issuer}
	if s.outside == "" {
		if s.engine, err = standins.Engine(home, s.dynamodb, s.folder); err != nil {
			return stop, err
		}
		s.programs = append(s.programs, s.engine)
	}
	for _, p := range s.programs {
		if err := p.Reserve(); err != nil {
			return stop, err
		}
	}
	return stop, nil
}

func (s *stack) publicURL() string { return localhost(process.PortOf(s.front)) }

func localhost(port int) string { return fmt.Sprintf("http://localhost:%d", port) }

func (s *stack) readTemplate(context.Context) (stopFunc, error) {
	set := map[string]string{"PublicUrl": s.publicURL(), "OidcIssuer": localhost(s.issuer.Port), "OidcAudience": standins.ClientID}
	for name, value := range s.set {
		if _, ours := set[name]; ours {
			return nil, fmt.Errorf("-set %s: the runner sets this parameter itself, from its ports", name)
		}
		set[name] = value
	}
	// Each function would reject it too, but only in its log.
	if _, err := settings.Load(set["SettingsOverride"]); err != nil {
		return nil, fmt.Errorf("-set SettingsOverride: %w", err)
	}
	var err error
	s.spec, err = template.Read(s.template, set, map[string]string{"SenderAddress": "hub@agencyhub.test"})
	return nil, err
}

// build builds the functions with the flags of the Makefile, so that what it has
// built is not built again.
func (s *stack) build(ctx context.Context) (stopFunc, error) {
	if err := os.MkdirAll(s.bin, 0o755); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-trimpath", "-tags", "lambda.norpc", "-ldflags", "-s -w", "-o", s.bin+string(filepath.Separator), "./functions/...")
	cmd.Dir = filepath.Dir(s.template)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("the functions do not build: %w\n%s", err, out)
	}
	for _, f := range s.spec.Functions {
		if _, err := os.Stat(filepath.Join(s.bin, f.Folder())); err != nil {
			return nil, fmt.Errorf("resource %s: there is no functions/%s to run", f.ID, f.Folder())
		}
	}
	return nil, nil
}

// startPrograms runs the stand-ins that are programs. One that ends by itself stops the
// stack.
func (s *stack) startPrograms(ctx context.Context) (stopFunc, error) {
	var err error
	if s.spawner, err = process.NewSpawner(s.term, s.data); err != nil {
		return nil, err
	}
	started, errs := make([]*process.Process, len(s.programs)), make([]error, len(s.programs))
	var wg sync.WaitGroup
	for i, p := range s.programs {
		wg.Go(func() { started[i], errs[i] = p.Start(ctx, s.spawner) })
	}
	wg.Wait()
	started = slices.DeleteFunc(started, func(p *process.Process) bool { return p == nil })
	stopping := make(chan struct{})
	for _, p := range started {
		go func() {
			select {
			case <-p.Exited:
				s.fail(errors.New(p.Ending()))
			case <-stopping:
			}
		}()
	}
	return func(ctx context.Context) error {
		close(stopping)
		process.StopAll(ctx, started)
		return nil
	}, errors.Join(errs...)
}

func (s *stack) ensureTables(ctx context.Context) (_ stopFunc, err error) {
	if s.engine == nil {
		s.db = dynamodb.FromEnvironment(s.outside)
	} else {
		s.db = dynamodb.New(fmt.Sprintf("http://127.0.0.1:%d", s.engine.Port))
	}
	for _, t := range s.spec.Tables {
		if s.arns[t.ID], err = s.db.EnsureTable(ctx, t); err != nil {
			break
		}
		if err = s.db.EnsureForm(ctx, t, table.Form); err != nil {
			break
		}
	}
	return nil, err
}

// serveRoles passes the functions' calls of DynamoDB on, as their roles allow.
func (s *stack) serveRoles(context.Context) (_ stopFunc, err error) {
	if !s.checkRoles {
		return nil, nil
	}
	byFunction, keys := map[string]roles.Role{}, map[string]string{}
	for _, f := range s.spec.Functions {
		byFunction[f.ID] = f.Role
	}
	for _, t := range s.spec.Tables {
		keys[t.Name] = t.PartitionKey
	}
	s.roles = roles.NewChecker(template.Region, template.AccountID, byFunction, keys, s.term.Logf)
	for _, f := range s.spec.Functions {
		if err := s.roles.LambdaDoes(f.ID, f.Calls...); err != nil {
			return nil, err
		}
	}
	if s.toDB, err = process.Listen("roles", 0); err != nil {
		return nil, err
	}
	return s.serve(s.toDB, s.roles.DynamoDB(s.db.Endpoint, s.db.Sign)), nil
}

func (s *stack) startLambda(context.Context) (_ stopFunc, err error) {
	if s.cloud, err = process.Listen("cloud", 0); err != nil {
		return nil, err
	}
	runtimeAPI, err := process.Listen("runtime", 0)
	if err != nil {
		return nil, err
	}
	s.lambda = lambda.New(runtimeAPI, s.spawner, s.spec.Functions, s.bin, s.functionEnvironment(), time.Now)
	return s.lambda.Stop, nil
}

// functionEnvironment returns the variables that Lambda itself sets in every function. With
// roles, the access key is each function's own.
func (s *stack) functionEnvironment() map[string]string {
	cloud := s.cloudURL()
	env := map[string]string{
		"AWS_REGION": s.db.Region, "AWS_DEFAULT_REGION": s.db.Region,
		"AWS_ENDPOINT_URL_SESV2":         cmp.Or(os.Getenv("AWS_ENDPOINT_URL_SESV2"), cloud),
		"AWS_ENDPOINT_URL_EVENTBRIDGE":   cmp.Or(os.Getenv("AWS_ENDPOINT_URL_EVENTBRIDGE"), cloud),
		"AWS_LAMBDA_FUNCTION_VERSION":    "$LATEST",
		"AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
		"AWS_EXECUTION_ENV":              "AWS_Lambda_provided.al2023",
		"_HANDLER":                       "bootstrap",
		"LAMBDA_TASK_ROOT":               "/var/task",
		"LANG":                           "en_US.UTF-8",
		"TZ":                             ":UTC",
	}
	if s.checkRoles {
		env["AWS_ENDPOINT_URL_DYNAMODB"] = fmt.Sprintf("http://127.0.0.1:%d", process.PortOf(s.toDB))
		env["AWS_SECRET_ACCESS_KEY"] = "local"
		return env
	}
	env["AWS_ENDPOINT_URL_DYNAMODB"] = s.db.Endpoint
	env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"] = s.db.Credentials.AccessKeyID, s.db.Credentials.SecretAccessKey
	if t := s.db.Credentials.SessionToken; t != "" {
		env["AWS_SESSION_TOKEN"] = t
	}
	return env
}

// cloudURL returns the address of EventBridge and SES.
func (s *stack) cloudURL() string { return fmt.Sprintf("http://127.0.0.1:%d", process.PortOf(s.cloud)) }

// serveServices serves EventBridge and SES at one address. EventBridge names its action
// in a header. The stop waits for events on their way to a function.
func (s *stack) serveServices(context.Context) (stopFunc, error) {
	bus := &standins.Bus{Stack: s.spec, Data: s.folder, Invoke: s.lambda.Invoke, Now: time.Now, Sleep: process.Sleep, Logf: s.term.Logf}
	mail := (&standins.Mail{
		Mailbox: fmt.Sprintf("127.0.0.1:%d", s.mailbox.Port), Events: s.spec.MailEvents, Publish: bus.Publish, Now: time.Now, Logf: s.term.Logf,
	}).Handler()
	var handler http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Amz-Target") != "" {
			bus.ServeHTTP(w, r)
			return
		}
		mail.ServeHTTP(w, r)
	})
	if s.checkRoles {
		handler = s.roles.Cloud(handler)
	}
	stop := s.serve(s.cloud, handler)
	return func(ctx context.Context) error {
		err := stop(ctx)
		process.Wait(ctx, &bus.Deliveries)
		return err
	}, nil
}

// startSources invokes functions from streams and schedules. The stop waits for
// invocations that run. What is left then is invoked again after the next start.
func (s *stack) startSources(context.Context) (stopFunc, error) {
	background, end := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	run := func(f func(context.Context) error) {
		wg.Go(func() {
			if err := f(background); err != nil {
				s.fail(err)
			}
		})
	}
	for _, source := range s.spec.Streams {
		if !s.streams {
			break
		}
		run((&streams.Reader{
			Source: source, ARN: s.arns[source.Table], DB: s.db, Invoke: s.lambda.Invoke, Data: s.folder,
			Now: time.Now, Sleep: process.Sleep, Logf: s.term.Logf,
		}).Run)
	}
	s.schedule = &standins.Scheduler{
		Path: filepath.Join(s.folder, "schedules.json"), Schedules: s.spec.Schedules, Invoke: s.lambda.Invoke, Now: time.Now, Logf: s.term.Logf,
	}
	if s.schedules {
		run(s.schedule.Run)
	}
	return func(ctx context.Context) error {
		end()
		process.Wait(ctx, &wg)
		return nil
	}, nil
}

// serveControl serves the commands that act on a running stack.
func (s *stack) serveControl(context.Context) (_ stopFunc, err error) {
	if s.control, err = process.Listen("control", 0); err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /schedules/{function}", s.schedule.Serve)
	if s.checkRoles {
		mux.HandleFunc("GET /roles", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(s.roles.Uses()) // fails when the caller has gone
		})
	}
	mux.HandleFunc("POST /functions/{function}", s.invoke)
	// A page in a browser may not call it.
	return s.serve(s.control, http.NewCrossOriginProtection().Handler(mux)), nil
}

// invoke invokes the function of the folder {function} with the body, as
// `aws lambda invoke` does, and writes its response. No body is an empty object.
func (s *stack) invoke(w http.ResponseWriter, r *http.Request) {
	folder := r.PathValue("function")
	i := slices.IndexFunc(s.spec.Functions, func(f *template.Function) bool { return f.Folder() == folder })
	if i < 0 {
		http.Error(w, "there is no function "+folder, http.StatusNotFound)
		return
	}
	input, err := io.ReadAll(io.LimitReader(r.Body, lambda.MaxPayload+1))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if len(bytes.TrimSpace(input)) == 0 {
		input = []byte("{}")
	}
	if len(input) <= lambda.MaxPayload && !json.Valid(input) {
		http.Error(w, "the input is not JSON", http.StatusBadRequest)
		return
	}
	response, err := s.lambda.Invoke(r.Context(), s.spec.Functions[i].ID, input)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	_, _ = w.Write(response) // fails when the caller has gone
}

// serve serves on a listener. The stop waits for requests that run, and then closes
// their connections.
func (s *stack) serve(l net.Listener, h http.Handler) stopFunc {
	// Far above what the gateway takes: its own refusal has the body of AWS.
	server := &http.Server{Handler: h, MaxHeaderBytes: 64 * gateway.MaxHeaders, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			s.fail(err)
		}
	}()
	return func(ctx context.Context) error {
		if server.Shutdown(ctx) != nil {
			_ = server.Close() // the time is over
		}
		return nil
	}
}

// announce writes stack.json and prints where the stack is.
func (s *stack) announce(context.Context) (stopFunc, error) {
	r := running{
		PublicURL: s.publicURL(), SES: localhost(s.mailbox.Port), Cloud: s.cloudURL(), OIDC: localhost(s.issuer.Port), DynamoDB: s.db.Endpoint,
		Control: fmt.Sprintf("http://127.0.0.1:%d", process.PortOf(s.control)), ClientID: standins.ClientID,
		Platform: standins.PlatformID, PlatformSecret: standins.PlatformSecret, Region: s.db.Region, PID: os.Getpid(), Data: s.data,
	}
	if len(s.spec.Tables) > 0 {
		r.Table = s.spec.Tables[0].Name
	}
	content, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return nil, err
	}
	if err := disk.WriteFile(stackFile(s.data), append(content, '\n')); err != nil {
		return nil, err
	}
	s.term.Logf("ready    %s", r.PublicURL)
	s.term.Logf("inbox    %s", r.SES)
	s.term.Logf("sign-in  %s   (make token EMAIL=ann@agency.test)", r.OIDC)
	s.term.Logf("DynamoDB %s, data in %s; Ctrl-C stops all", r.DynamoDB, relative(s.data))
	return func(context.Context) error { return os.RemoveAll(stackFile(s.data)) }, nil
}
