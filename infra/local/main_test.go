package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"agencyhub/infra/local/dynamodb"
	"agencyhub/infra/local/localtest"
	"agencyhub/infra/local/process"
)

// folder holds the runner and the functions of testdata/, for all tests.
var folder string

// buildRunner builds the runner on first use.
var buildRunner = sync.OnceValue(func() error {
	if out, err := exec.Command("go", "build", "-o", filepath.Join(folder, "local"), ".").CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
})

func TestMain(m *testing.M) {
	code := 1
	var err error
	if folder, err = os.MkdirTemp("", "agencyhub-local-*"); err == nil {
		code = m.Run()
		err = os.RemoveAll(folder)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// local returns a command of the built runner.
func local(t *testing.T, name, data string, args ...string) *exec.Cmd {
	t.Helper()
	localtest.Check(t, buildRunner())
	return exec.Command(filepath.Join(folder, "local"), append([]string{name, "-data", data}, args...)...)
}

// A testStack is a runner with testdata/template.yaml.
type testStack struct {
	running
	process *process.Process
	output  *output
}

// An output collects what a process prints.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// launch starts the runner on free ports. It ends with the test, and with the test's
// own process.
func launch(t *testing.T, data string, args ...string) (*process.Process, *output) {
	t.Helper()
	out := &output{}
	sp := localtest.Must[*process.Spawner](t)(process.NewSpawner(process.NewTerminal(out), t.TempDir()))
	cmd := local(t, "run", data, append([]string{
		"-template", "testdata/template.yaml", "-bin", filepath.Join(folder, "bin"),
		"-http", "0", "-ses", "0", "-oidc", "0", "-dynamodb", "0", "-schedules=false", "-roles",
	}, args...)...)
	p := localtest.Must[*process.Process](t)(sp.Spawn("runner", os.Environ(), nil, cmd.Path, cmd.Args[1:]...))
	t.Cleanup(func() {
		localtest.Stop(p)
		if t.Failed() {
			t.Logf("the runner printed:\n%s", out)
		}
	})
	return p, out
}

func startStack(t *testing.T, data string, args ...string) *testStack {
	t.Helper()
	p, out := launch(t, data, args...)
	s := &testStack{process: p, output: out}
	localtest.Eventually(t, "the stack is up", func() bool {
		select {
		case <-p.Exited:
			t.Fatalf("the runner ended: %v\n%s", p.Err, out)
		default:
		}
		r, err := readRunning(data)
		if err != nil || r.PID != p.PID() {
			return false
		}
		s.running = *r
		return true
	})
	return s
}

// get sends a request to the stack's gateway and returns status and body.
func (s *testStack) get(t *testing.T, path string, header ...string) (int, string) {
	t.Helper()
	status, body, _ := localtest.Fetch(t, http.MethodGet, s.PublicURL+path, nil, header...)
	return status, body
}

// pid returns the process id of the instance that responded.
func pid(t *testing.T, body string) int {
	t.Helper()
	var answer struct{ PID int }
	if err := json.Unmarshal([]byte(body), &answer); err != nil || answer.PID == 0 {
		t.Fatalf("no pid in %s", body)
	}
	return answer.PID
}

// put writes an item into the stack's table.
func (s *testStack) put(t *testing.T, item map[string]string) {
	t.Helper()
	localtest.Put(t, s.db(), s.Table, item)
}

func (s *testStack) db() *dynamodb.Client { return dynamodb.New(s.DynamoDB) }

// family returns the living processes that the runner with this pid started.
func family(t *testing.T, runner int) []int {
	t.Helper()
	out := localtest.Must[[]byte](t)(exec.Command("ps", "-A", "-o", "pid=,ppid=").Output())
	var pids []int
	for line := range strings.Lines(string(out)) {
		var pid, parent int
		if _, err := fmt.Sscan(line, &pid, &parent); err == nil && parent == runner {
			pids = append(pids, pid)
		}
	}
	return pids
}

func alive(pids []int) []int {
	var out []int
	for _, pid := range pids {
		state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err == nil && strings.Contains(string(state), ") Z ") {
			continue // a zombie
		}
		if syscall.Kill(pid, 0) == nil {
			out = append(out, pid)
		}
	}
	return out
}
