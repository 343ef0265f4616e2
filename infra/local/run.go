package main

import (
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
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"agencyhub/shared/settings"
)

// Options are what the command line says about a stack.
type options struct {
	template                  string
	data                      string // folder: data, binaries, stack.json
	bin                       string // folder of the functions' binaries; "" for data/bin
	http, ses, oidc, dynamodb int    // ports; 0 takes a free one
	fresh                     bool   // delete the data first
	schedules                 bool   // run schedules on time
	set                       map[string]string
}

// A running is what DIR/stack.json tells others about a stack that is up. Only
// while it runs the file is there.
type running struct {
	PublicURL string `json:"publicUrl"`
	SES       string `json:"ses"`
	OIDC      string `json:"oidc"` // the issuer
	DynamoDB  string `json:"dynamodb"`
	Control   string `json:"control"`
	ClientID  string `json:"clientId"`
	// Platform is the client by which the platform's own software gets its tokens.
	Platform       string `json:"platform"`
	PlatformSecret string `json:"platformSecret"`

	Table  string `json:"table"`  // its name
	Region string `json:"region"` // for a DynamoDB client; any credentials do
	PID    int    `json:"pid"`
	Data   string `json:"data"` // absolute path of the folder
}

// stackFile is where a running stack says where it is.
func stackFile(data string) string { return filepath.Join(data, "stack.json") }

func readRunning(data string) (*running, error) {
	b, err := os.ReadFile(stackFile(data))
	if os.IsNotExist(err) {
		return nil, fmt.Errorf("no stack runs on %s: start one with `make run`", data)
	}
	if err != nil {
		return nil, err
	}
	var r running
	if err := json.Unmarshal(b, &r); err != nil {
		return nil, fmt.Errorf("%s: %w", stackFile(data), err)
	}
	if err := syscall.Kill(r.PID, 0); errors.Is(err, syscall.ESRCH) {
		return nil, fmt.Errorf("no stack runs on %s any more (it was killed): start one with `make run`", data)
	}
	return &r, nil
}

// runStack brings the stack up and keeps it up until ctx ends or a part of it
// fails. It returns nil after an ordered stop.
func runStack(ctx context.Context, o options, term *terminal) (err error) {
	home, err := here()
	if err != nil {
		return err
	}
	root := filepath.Dir(o.template)
	if o.data, err = filepath.Abs(o.data); err != nil {
		return err
	}
	if o.bin == "" {
		o.bin = filepath.Join(o.data, "bin")
	}
	if o.bin, err = filepath.Abs(o.bin); err != nil {
		return err
	}
	unlock, err := lock(o.data)
	if err != nil {
		return err
	}
	defer unlock()
	if err := os.Remove(stackFile(o.data)); err != nil && !os.IsNotExist(err) {
		return err
	}
	data := filepath.Join(o.data, "data")
	outside := os.Getenv("AWS_ENDPOINT_URL_DYNAMODB")
	if o.fresh {
		if outside != "" {
			return errors.New("-fresh deletes local data only: delete the table behind AWS_ENDPOINT_URL_DYNAMODB yourself, then start without -fresh")
		}
		if err := os.RemoveAll(data); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(filepath.Join(data, "oidc"), 0o700); err != nil {
		return err
	}

	// Ports first: one in use is told at once.
	front, err := listen("http", o.http)
	if err != nil {
		return err
	}
	defer func() { _ = front.Close() }() // closed already by an ordered stop
	publicURL := fmt.Sprintf("http://localhost:%d", portOf(front))
	node, err := exec.LookPath("node")
	if err != nil {
		return errors.New("node is not on the PATH: the mailbox and the sign-in page need Node 20 or newer")
	}
	if _, err := os.Stat(filepath.Join(home, "node_modules")); err != nil {
		return errors.New("the stand-ins are not installed: run `make setup`")
	}
	mail, sign := inbox(node, home, o.ses), issuer(node, home, o.oidc, publicURL, data)
	standIns := []*standIn{mail, sign}
	var engine *standIn
	if outside == "" {
		path, err := findDynoxide(home)
		if err != nil {
			return err
		}
		engine = dynoxide(path, o.dynamodb, data)
		standIns = append(standIns, engine)
	}
	for _, s := range standIns {
		if err := s.reserve(); err != nil {
			return err
		}
		defer func() { _ = s.held.Close() }() // closed already where it was started
	}
	issuerURL := fmt.Sprintf("http://localhost:%d", sign.port)

	set := map[string]string{"PublicUrl": publicURL, "OidcIssuer": issuerURL, "OidcAudience": clientID}
	for name, value := range o.set {
		if _, ours := set[name]; ours {
			return fmt.Errorf("-set %s: the runner sets this parameter itself, from its ports", name)
		}
		set[name] = value
	}
	// Each function would refuse it too, in its log alone and at each call.
	if _, err := settings.Load(set["SettingsOverride"]); err != nil {
		return fmt.Errorf("-set SettingsOverride: %w", err)
	}
	st, err := readTemplate(o.template, set, map[string]string{"SenderAddress": "hub@agencyhub.test"})
	if err != nil {
		return err
	}
	if err := build(ctx, root, o.bin, st.functions); err != nil {
		return err
	}

	// From here on things run that must be stopped, in the opposite order.
	start, err := newStarter(o.data)
	if err != nil {
		return err
	}
	sp := &spawner{term: term, start: start}
	failed := make(chan error, 1) // the first part that fails stops all
	fail := func(err error) {
		select {
		case failed <- err:
		default:
		}
	}
	var servers []*process
	defer func() { stopAll(servers) }()
	up, cancelUp := context.WithTimeout(ctx, 20*time.Second)
	defer cancelUp()
	if servers, err = startAll(up, sp, standIns); err != nil {
		return err
	}
	stopping := make(chan struct{})
	defer close(stopping)
	for _, p := range servers {
		go func() {
			select {
			case <-p.exited:
				fail(errors.New(p.ending()))
			case <-stopping:
			}
		}()
	}

	db := database(engine, outside)
	cloud, err := listen("cloud", 0)
	if err != nil {
		return err
	}
	env := functionEnvironment(db, portOf(cloud))
	arns := map[string]string{}
	for _, t := range st.tables {
		if arns[t.id], err = db.ensureTable(up, t); err != nil {
			return err
		}
	}
	runtimeAPI, err := listen("runtime", 0)
	if err != nil {
		return err
	}
	ls := newLambdas(runtimeAPI, sp, st.functions, o.bin, env, time.Now)
	defer ls.stop()
	events := &bus{
		names: st.buses, rules: st.rules, async: map[string]*async{}, folder: filepath.Join(data, "bus"), queues: filepath.Join(data, "queues"),
		invoke: ls.invoke, now: time.Now, sleep: sleep, logf: term.logf,
	}
	for _, f := range st.functions {
		events.async[f.id] = f.async
	}
	room := &mailRoom{
		mailbox: fmt.Sprintf("127.0.0.1:%d", mail.port), news: st.news, publish: events.publish, now: time.Now, logf: term.logf,
		suppressed: map[string]bool{},
	}
	defer waitAtMost(&events.all, stopGrace)
	stopCloud := serve(cloud, services(events, room.handler()), fail)
	defer stopCloud()
	ls.warm(up)

	// Stream and schedules end first, and may finish what is under way.
	background, endBackground := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	defer func() {
		endBackground()
		waitAtMost(&wg, stopGrace)
	}()
	for _, source := range st.streams {
		reader := &streamReader{
			source: source, arn: arns[source.table], db: db, invoke: ls.invoke,
			dir: filepath.Join(data, "stream"), queues: filepath.Join(data, "queues"),
			now: time.Now, sleep: sleep, logf: term.logf,
		}
		wg.Go(func() {
			if err := reader.run(background); err != nil {
				fail(err)
			}
		})
	}
	clock := &scheduler{path: filepath.Join(data, "schedules.json"), schedules: st.schedules, invoke: ls.invoke, now: time.Now, logf: term.logf}
	if o.schedules {
		wg.Go(func() {
			if err := clock.run(background); err != nil {
				fail(err)
			}
		})
	}

	controlAt, err := listen("control", 0)
	if err != nil {
		return err
	}
	gate := &gateway{routes: st.routes, limit: newLimiter(st.throttle), tokens: newTokenChecker(time.Now), invoke: ls.invoke, now: time.Now, logf: term.logf}
	stopFront := serve(front, gate, fail)
	defer stopFront()
	stopControl := serve(controlAt, control(clock), fail)
	defer stopControl()

	r := running{
		PublicURL: publicURL, SES: fmt.Sprintf("http://localhost:%d", mail.port), OIDC: issuerURL, DynamoDB: db.endpoint,
		Control: fmt.Sprintf("http://127.0.0.1:%d", portOf(controlAt)), ClientID: clientID,
		Platform: platformID, PlatformSecret: platformSecret, Region: db.region, PID: os.Getpid(), Data: o.data,
	}
	if len(st.tables) > 0 {
		r.Table = st.tables[0].name
	}
	content, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := writeFile(stackFile(o.data), append(content, '\n')); err != nil {
		return err
	}
	defer func() { _ = os.Remove(stackFile(o.data)) }() // gone already is as good
	term.logf("ready    %s", r.PublicURL)
	term.logf("inbox    %s", r.SES)
	term.logf("sign-in  %s   (make token EMAIL=ann@agency.test)", r.OIDC)
	term.logf("DynamoDB %s, data in %s; Ctrl-C stops all", r.DynamoDB, relative(o.data))

	select {
	case <-ctx.Done():
		term.logf("stopping")
		return nil
	case err := <-failed:
		return err
	}
}

// lock keeps two stacks off one folder. The lock ends with the process.
func lock(data string) (func(), error) {
	if err := os.MkdirAll(data, 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(data, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close() // nothing was written
		return nil, fmt.Errorf("a stack runs on %s already: stop it, or choose another folder with -data DIR and other ports", relative(data))
	}
	return func() { _ = f.Close() }, nil // the lock goes with it
}

// build makes the production binaries for this machine, one command for all.
func build(ctx context.Context, root, bin string, functions []*function) error {
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-tags", "lambda.norpc", "-ldflags", "-s -w", "-o", bin+string(filepath.Separator), "./functions/...")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("the functions do not build: %w\n%s", err, out)
	}
	for _, f := range functions {
		if _, err := os.Stat(filepath.Join(bin, f.folder())); err != nil {
			return fmt.Errorf("resource %s: there is no functions/%s to run", f.id, f.folder())
		}
	}
	return nil
}

// startAll starts servers side by side. Those that started are returned with an error too.
func startAll(ctx context.Context, sp *spawner, standIns []*standIn) ([]*process, error) {
	processes, errs := make([]*process, len(standIns)), make([]error, len(standIns))
	var wg sync.WaitGroup
	for i, s := range standIns {
		wg.Go(func() { processes[i], errs[i] = s.start(ctx, sp) })
	}
	wg.Wait()
	var started []*process
	for _, p := range processes {
		if p != nil {
			started = append(started, p)
		}
	}
	return started, errors.Join(errs...)
}

// database is the client for our engine, or for the one that the environment
// names, with the environment's credentials.
func database(engine *standIn, outside string) *dynamo {
	d := &dynamo{
		region: region, client: &http.Client{Timeout: 30 * time.Second},
		credentials: aws.Credentials{AccessKeyID: "local", SecretAccessKey: "local"},
	}
	if engine != nil {
		d.endpoint = fmt.Sprintf("http://127.0.0.1:%d", engine.port)
		d.streams = d.endpoint
		return d
	}
	d.endpoint, d.streams = outside, outside
	if s := os.Getenv("AWS_ENDPOINT_URL_DYNAMODB_STREAMS"); s != "" {
		d.streams = s
	}
	if r := os.Getenv("AWS_REGION"); r != "" {
		d.region = r
	}
	if id := os.Getenv("AWS_ACCESS_KEY_ID"); id != "" {
		d.credentials = aws.Credentials{AccessKeyID: id, SecretAccessKey: os.Getenv("AWS_SECRET_ACCESS_KEY"), SessionToken: os.Getenv("AWS_SESSION_TOKEN")}
	}
	return d
}

// functionEnvironment is what Lambda itself sets in every function.
func functionEnvironment(db *dynamo, cloudPort int) map[string]string {
	cloud := fmt.Sprintf("http://127.0.0.1:%d", cloudPort)
	env := map[string]string{
		"AWS_REGION": db.region, "AWS_DEFAULT_REGION": db.region,
		"AWS_ACCESS_KEY_ID": db.credentials.AccessKeyID, "AWS_SECRET_ACCESS_KEY": db.credentials.SecretAccessKey,
		"AWS_ENDPOINT_URL_DYNAMODB":      db.endpoint,
		"AWS_ENDPOINT_URL_SESV2":         cloud,
		"AWS_ENDPOINT_URL_EVENTBRIDGE":   cloud,
		"AWS_LAMBDA_FUNCTION_VERSION":    "$LATEST",
		"AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
		"AWS_EXECUTION_ENV":              "AWS_Lambda_provided.al2023",
		"_HANDLER":                       "bootstrap",
		"LAMBDA_TASK_ROOT":               "/var/task",
		"LANG":                           "en_US.UTF-8",
		"TZ":                             ":UTC",
	}
	if t := db.credentials.SessionToken; t != "" {
		env["AWS_SESSION_TOKEN"] = t
	}
	return env
}

// services are those of AWS that functions call, but for DynamoDB, at one address:
// EventBridge names its action in a header, all else is SES.
func services(events, mail http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Amz-Target") != "" {
			events.ServeHTTP(w, r)
			return
		}
		mail.ServeHTTP(w, r)
	})
}

// control takes what the command line asks of a running stack: POST
// /schedules/{function} runs that function's schedule now, with the input of the
// body where there is one, and answers as it does.
func control(clock *scheduler) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /schedules/{function}", func(w http.ResponseWriter, r *http.Request) {
		sch, ok := clock.byFunction(r.PathValue("function"))
		if !ok {
			http.Error(w, "the template has no schedule for "+r.PathValue("function"), http.StatusNotFound)
			return
		}
		input, err := io.ReadAll(io.LimitReader(r.Body, maxPayload))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if len(input) > 0 {
			sch.input = input
		}
		answer, err := clock.fire(r.Context(), sch)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(answer) // a caller who went away needs none
	})
	// A page in the browser may not do this.
	return http.NewCrossOriginProtection().Handler(mux)
}

// serve serves h on l until the returned function is called, which lets
// requests under way finish for a moment.
func serve(l net.Listener, h http.Handler, fail func(error)) (stop func()) {
	s := &http.Server{Handler: h, MaxHeaderBytes: 4 * maxHeaders, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			fail(err)
		}
	}()
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), stopGrace)
		defer cancel()
		if s.Shutdown(ctx) != nil {
			_ = s.Close() // what is left had its time
		}
	}
}

func waitAtMost(wg *sync.WaitGroup, d time.Duration) {
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(d):
	}
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

func relative(path string) string {
	if wd, err := os.Getwd(); err == nil {
		if r, err := filepath.Rel(wd, path); err == nil && !strings.HasPrefix(r, "..") {
			return r
		}
	}
	return path
}
