package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"agencyhub/infra/e2e/client"
)

// A stack is one runner with all that it runs, on data and ports of its own.
type stack struct {
	*client.Stack
	runner *exec.Cmd
	exited chan struct{} // closed when the runner has ended
	log    *terminal     // all that it has printed, over its restarts

	inbox inbox

	mu      sync.Mutex
	secrets map[string]string // what no log may hold: addresses and tokens, and which it is
}

// keeps notes what no log may hold.
func (s *stack) keeps(secret, what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.secrets == nil {
		s.secrets = map[string]string{}
	}
	s.secrets[strings.ToLower(secret)] = what
}

// leaked says what of that a line holds; "" for nothing.
func (s *stack) leaked(line string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	line = strings.ToLower(line)
	for secret, what := range s.secrets {
		if strings.Contains(line, secret) {
			return what
		}
	}
	return ""
}

// terminal collects what is printed.
type terminal struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *terminal) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *terminal) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// startTime bounds how long a stack may take until it serves; the first of a
// run builds the functions.
const startTime = 3 * time.Minute

// start brings up a stack on free ports.
func start(data string, args ...string) (*stack, error) {
	s := &stack{log: &terminal{}}
	return s, s.launch(data, append([]string{"-http", "0", "-ses", "0", "-oidc", "0", "-dynamodb", "0"}, args...)...)
}

// startOwn is a stack for one test, which it is stopped with.
func startOwn(t *testing.T, args ...string) *stack {
	t.Helper()
	s, err := start(t.TempDir(), args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.stop(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			lines := strings.Split(s.log.String(), "\n")
			t.Logf("the runner's last lines:\n%s", strings.Join(lines[max(0, len(lines)-40):], "\n"))
		}
	})
	return s
}

// sources looks at every file that the stack is built from. The go command keeps
// a test's result for as long as the files that it looked at are the same, and
// of what other processes read it knows nothing.
func sources() error {
	for _, part := range []string{"functions", "shared", "infra/local", "infra/e2e", "template.yaml", "go.mod", "go.sum"} {
		err := filepath.WalkDir(filepath.Join(built.root, part), func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.Name() == "node_modules" {
				return filepath.SkipDir
			}
			if err == nil {
				_, err = os.Stat(path)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *stack) launch(data string, args ...string) error {
	if err := sources(); err != nil {
		return err
	}
	s.runner = exec.Command(built.runner, append([]string{"run", "-data", data, "-bin", built.bin}, args...)...)
	s.runner.Dir, s.runner.Stdout, s.runner.Stderr = built.root, s.log, s.log
	if err := startTied(s.runner); err != nil {
		return err
	}
	exited := make(chan struct{})
	s.exited = exited
	go func() {
		defer close(exited)
		_ = s.runner.Wait() // how it ended stands in what it printed
	}()
	for deadline := time.Now().Add(startTime); ; time.Sleep(10 * time.Millisecond) {
		found, err := client.Find(data)
		switch {
		case err == nil && found.PID == s.runner.Process.Pid:
			s.Stack = found
			return nil
		case time.Now().After(deadline):
			return errors.Join(fmt.Errorf("the stack is not up after %s; the runner printed:\n%s", startTime, s.log), s.kill())
		}
		select {
		case <-s.exited:
			return fmt.Errorf("the runner ended before it was up:\n%s", s.log)
		default:
		}
	}
}

// again starts the runner once more on the same data and the same ports, by
// which tokens and links of before still hold.
func (s *stack) again(args ...string) error {
	return s.launch(s.Data, append([]string{
		"-http", port(s.PublicURL), "-ses", port(s.SES), "-oidc", port(s.OIDC), "-dynamodb", port(s.DynamoDB),
	}, args...)...)
}

func port(url string) string { return url[strings.LastIndexByte(url, ':')+1:] }

// kill ends the runner as a power cut does.
func (s *stack) kill() error {
	if err := s.runner.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-s.exited
	return nil
}

// stop ends the runner in order, and looks through all that it printed.
func (s *stack) stop() error {
	if err := s.runner.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-s.exited:
	case <-time.After(20 * time.Second):
		return errors.Join(errors.New("the runner did not stop within 20 s of SIGTERM"), s.kill())
	}
	return errors.Join(s.audit(), s.auditBus())
}

var (
	address = regexp.MustCompile(`[^\s"@<>]+@[^\s"@<>]+\.(test|com)`)
	token   = regexp.MustCompile(`eyJ[A-Za-z0-9_-]{8,}`)
)

// audit holds the logs of a whole run to what they may say: no address, no
// token, no name and no message of anybody's, and no error.
func (s *stack) audit() error {
	var wrong []error
	for line := range strings.Lines(s.log.String()) {
		if strings.HasPrefix(line, "local  ") && strings.Contains(line, "make token EMAIL=") {
			continue // how to get a token, at every start
		}
		for what, found := range map[string]bool{
			"an address":                  address.MatchString(line),
			"a token":                     token.MatchString(line),
			"somebody's address or token": s.leaked(line) != "",
			"a name":                      slices.ContainsFunc(told, func(s string) bool { return strings.Contains(line, s) }),
			"an error":                    strings.Contains(line, `"level":"ERROR"`),
			"a panic":                     strings.Contains(line, "panic: ") || strings.Contains(line, "goroutine "),
			"a data race":                 strings.Contains(line, "DATA RACE"),
			"a dead child":                strings.Contains(line, "ended by itself"),
		} {
			if found {
				wrong = append(wrong, fmt.Errorf("the terminal shows %s: %s", what, strings.TrimSpace(line)))
			}
		}
	}
	return errors.Join(wrong...)
}

// told are words that people type in these tests, and that no log may hold.
var told = []string{"Bright", "Luna", "spring", "Carl's", "Rival"}

// children are the processes of the runner, by the program that they run.
func (s *stack) children(t *testing.T, program string) []int {
	t.Helper()
	out, err := exec.Command("ps", "-A", "-o", "pid=,ppid=,args=").Output()
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		if len(fields) < 3 || fields[1] != strconv.Itoa(s.PID) || !strings.HasSuffix(fields[2], "/"+program) {
			continue
		}
		pid, err := strconv.Atoi(fields[0])
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	return pids
}

// eventually waits for a condition that is sure to come.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !condition(); time.Sleep(25 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

// alive tells whether a process runs; one that is dead and not yet collected
// does not.
func alive(pid int) bool {
	state, err := exec.Command("ps", "-o", "stat=", "-p", strconv.Itoa(pid)).Output()
	return err == nil && !strings.HasPrefix(strings.TrimSpace(string(state)), "Z")
}
