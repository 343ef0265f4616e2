package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
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

// built holds the runner and the folder of the functions of testdata/, built once for
// all tests.
var built struct {
	once   sync.Once
	folder string
	err    error
}

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	if built.folder != "" {
		if err := os.RemoveAll(built.folder); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

func binaries(t *testing.T) (runner, functions string) {
	t.Helper()
	built.once.Do(func() {
		//nolint:usetesting // shared by all tests
		if built.folder, built.err = os.MkdirTemp("", "agencyhub-local-*"); built.err != nil {
			return
		}
		var out []byte
		if out, built.err = exec.Command("go", "build", "-o", filepath.Join(built.folder, "local"), ".").CombinedOutput(); built.err != nil {
			built.err = fmt.Errorf("%w: %s", built.err, out)
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return filepath.Join(built.folder, "local"), filepath.Join(built.folder, "bin")
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
	runner, functions := binaries(t)
	out := &output{}
	sp, err := process.NewSpawner(process.NewTerminal(out), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	args = append([]string{"run", "-template", "testdata/template.yaml", "-data", data, "-bin", functions, "-http", "0", "-ses", "0", "-oidc", "0", "-dynamodb", "0", "-schedules=false"}, args...)
	p, err := sp.Spawn("runner", os.Environ(), nil, runner, args...)
	if err != nil {
		t.Fatal(err)
	}
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
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.PublicURL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
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
	out, err := exec.Command("ps", "-A", "-o", "pid=,ppid=").Output()
	if err != nil {
		t.Fatal(err)
	}
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
