// Package runner starts infra/local as a process of its own, waits until its stack is up, and
// ends it, in order or as a power cut does. Only tests import it.
package runner

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"agencyhub/infra/e2e/client"
)

// A Program is the runner's binary and what it is started with.
type Program struct {
	Root string // the module's folder
	Path string // of the binary
	Bin  string // folder of the functions' binaries, which the first start builds
}

// Build builds the runner into a folder, which gets the functions' binaries too. root is the
// module's folder.
func Build(root, folder string) (Program, error) {
	p := Program{Root: root, Path: filepath.Join(folder, "local"), Bin: filepath.Join(folder, "bin")}
	cmd := exec.Command("go", "build", "-o", p.Path, "./infra/local")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return p, fmt.Errorf("infra/local does not build: %w\n%s", err, out)
	}
	return p, nil
}

// A Process is a runner that was started.
type Process struct {
	*client.Stack
	cmd    *exec.Cmd
	exited chan struct{} // closed when it has ended
}

const (
	// startTime bounds the start of a stack. The first one builds the functions.
	startTime = 3 * time.Minute
	// stopTime bounds an ordered stop.
	stopTime = 20 * time.Second
)

// Start starts a stack on a data folder, with the flags of `local run` besides -data and
// -bin, and waits until it is up. The runner prints to log. On Linux it ends with this process.
func (p Program) Start(data string, env []string, log *Log, args ...string) (*Process, error) {
	r := &Process{cmd: exec.Command(p.Path, append([]string{"run", "-data", data, "-bin", p.Bin}, args...)...), exited: make(chan struct{})}
	r.cmd.Dir, r.cmd.Env = p.Root, env
	r.cmd.Stdout, r.cmd.Stderr = log, log
	if err := startWithParent(r.cmd); err != nil {
		return nil, err
	}
	go func() {
		defer close(r.exited)
		_ = r.cmd.Wait() // its output says how it ended
	}()
	for deadline := time.Now().Add(startTime); ; time.Sleep(10 * time.Millisecond) {
		found, err := client.Find(data)
		switch {
		case err == nil && found.PID == r.cmd.Process.Pid:
			r.Stack = found
			return r, nil
		case time.Now().After(deadline):
			return nil, errors.Join(fmt.Errorf("the stack is not up after %s; the runner printed:\n%s", startTime, log), r.Kill())
		}
		select {
		case <-r.exited:
			return nil, fmt.Errorf("the runner ended before it was up:\n%s", log)
		default:
		}
	}
}

// SamePorts returns the flags by which a stack that is started again has the ports of a
// former one, so that old tokens and links still work.
func SamePorts(s *client.Stack) []string {
	return []string{"-http", port(s.PublicURL), "-ses", port(s.SES), "-oidc", port(s.OIDC), "-dynamodb", port(s.DynamoDB)}
}

func port(url string) string { return url[strings.LastIndexByte(url, ':')+1:] }

// Kill kills the runner, as a power cut does. On Linux all that it runs ends with it.
func (r *Process) Kill() error {
	if err := r.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-r.exited
	return nil
}

// Stop stops the runner in order, and kills it where that takes too long, which is an error.
func (r *Process) Stop() error {
	if err := r.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-r.exited:
		return nil
	case <-time.After(stopTime):
		return errors.Join(fmt.Errorf("the runner did not stop within %s of SIGTERM", stopTime), r.Kill())
	}
}

// Instances returns the processes of a function, such as "notify".
func (r *Process) Instances(function string) ([]int, error) {
	out, err := exec.Command("ps", "-A", "-o", "pid=,ppid=,args=").Output()
	if err != nil {
		return nil, fmt.Errorf("ps: %w", err)
	}
	var pids []int
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		if len(fields) < 3 || fields[1] != strconv.Itoa(r.PID) || !strings.HasSuffix(fields[2], "/"+function) {
			continue
		}
		pid, err := strconv.Atoi(fields[0])
		if err != nil {
			return nil, err
		}
		pids = append(pids, pid)
	}
	return pids, nil
}

// A Log collects what runners print. Several may write to it.
type Log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write adds output.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// String returns all of it.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// Tail returns the last lines.
func (l *Log) Tail(lines int) string {
	all := strings.Split(l.String(), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
