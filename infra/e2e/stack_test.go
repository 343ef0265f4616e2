package e2e

import (
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
	"testing"
	"time"

	"agencyhub/infra/e2e/client"
	"agencyhub/infra/e2e/runner"
	"agencyhub/shared/testbed"
)

// A stack is a runner and all that it runs, with data and ports of its own.
type stack struct {
	*client.Stack
	process *runner.Process
	log     *runner.Log // what the runner has printed, restarts included
	engine  *testbed.StackEngine

	inbox inbox

	// expectedError is part of the only error that the log may hold; "" for none.
	expectedError string

	mu      sync.Mutex
	secrets map[string]string // what no log may contain: addresses and tokens, with their kind
}

// addSecret adds what no log may contain.
func (s *stack) addSecret(secret, what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.secrets == nil {
		s.secrets = map[string]string{}
	}
	s.secrets[strings.ToLower(secret)] = what
}

// leak returns the kind of a secret in a line; "" for none.
func (s *stack) leak(line string) string {
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

// start starts a stack on free ports.
func start(data string, args ...string) (*stack, error) {
	engine, err := testbed.NewStackEngine()
	if err != nil {
		return nil, err
	}
	return startOn(engine, data, args...)
}

// startOn starts a stack with an engine of its own.
func startOn(engine *testbed.StackEngine, data string, args ...string) (*stack, error) {
	s := &stack{log: &runner.Log{}, engine: engine}
	return s, s.launch(data, append([]string{"-http", "0", "-ses", "0", "-oidc", "0", "-dynamodb", "0"}, args...)...)
}

// startOwn starts a stack for one test.
func startOwn(t *testing.T, args ...string) *stack {
	t.Helper()
	engine, err := testbed.NewStackEngine()
	must(t, err)
	return startOwnOn(t, engine, args...)
}

func startOwnOn(t *testing.T, engine *testbed.StackEngine, args ...string) *stack {
	t.Helper()
	s, err := startOn(engine, t.TempDir(), args...)
	must(t, err)
	t.Cleanup(func() {
		if err := errors.Join(s.stop(), s.engine.Close()); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("the runner's last lines:\n%s", s.log.Tail(40))
		}
	})
	return s
}

// statSources calls stat on every source file of the stack. The go command caches a
// test's result until a file changes that the test has looked at. It does not know
// which files other processes read.
func statSources() error {
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
	if err := statSources(); err != nil {
		return err
	}
	process, err := built.program.Start(data, s.engine.Environment(), s.log, append([]string{"-roles"}, args...)...)
	if err != nil {
		return err
	}
	s.process, s.Stack = process, process.Stack
	return nil
}

// restart starts the runner again on the same data and ports, so that old tokens and
// links still work.
func (s *stack) restart(args ...string) error {
	return s.launch(s.Data, append(runner.SamePorts(s.Stack), args...)...)
}

// kill kills the runner, as a power cut does.
func (s *stack) kill() error { return s.process.Kill() }

// stop stops the runner, and audits what it printed and published.
func (s *stack) stop() error {
	if s.process == nil {
		return nil // it was never up
	}
	noted := noteRoles(s.Stack)
	if err := s.process.Stop(); err != nil {
		return err
	}
	return errors.Join(noted, s.audit(), s.auditIDs(), s.auditBus())
}

var (
	address = regexp.MustCompile(`[^\s"@<>]+@[^\s"@<>]+\.(test|com)`)
	token   = regexp.MustCompile(`eyJ[A-Za-z0-9_-]{8,}`)
)

// audit checks the logs of a whole run: no address, token, name or message, and no
// error but the expected one.
func (s *stack) audit() error {
	var wrong []error
	for line := range strings.Lines(s.log.String()) {
		if strings.HasPrefix(line, "local  ") && strings.Contains(line, "make token EMAIL=") {
			continue // how to get a token, at every start
		}
		for what, found := range map[string]bool{
			"an address":                  address.MatchString(line),
			"a token":                     token.MatchString(line),
			"somebody's address or token": s.leak(line) != "",
			"a name":                      slices.ContainsFunc(typedWords, func(s string) bool { return strings.Contains(line, s) }),
			"an error":                    strings.Contains(line, `"level":"ERROR"`) && (s.expectedError == "" || !strings.Contains(line, s.expectedError)),
			"a call without permission":   strings.Contains(line, "AccessDenied"),
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

// typedWords are words that people type in these tests, and that no log may contain.
var typedWords = []string{"Bright", "Luna", "spring", "Carl's", "Rival"}

// childPIDs returns the runner's processes of a program.
func (s *stack) childPIDs(t *testing.T, program string) []int {
	t.Helper()
	pids, err := s.process.Instances(program)
	must(t, err)
	return pids
}

// eventually waits for a condition that must come.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !condition(); time.Sleep(25 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

// isAlive reports whether a process runs. A zombie does not.
func isAlive(pid int) bool {
	state, err := exec.Command("ps", "-o", "stat=", "-p", strconv.Itoa(pid)).Output()
	return err == nil && !strings.HasPrefix(strings.TrimSpace(string(state)), "Z")
}
