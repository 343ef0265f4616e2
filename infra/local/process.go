package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// stopGrace is how long a child may take to stop before it is killed.
const stopGrace = 2 * time.Second

// A terminal writes whole lines of many writers, each behind its writer's name.
type terminal struct {
	mu  sync.Mutex
	out io.Writer
}

func (t *terminal) line(name, line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprintf(t.out, "%-12s| %s\n", name, strings.TrimRight(line, "\r\n"))
}

func (t *terminal) logf(format string, args ...any) { t.line("local", fmt.Sprintf(format, args...)) }

// A process is one program that the runner started. It dies with the runner.
type process struct {
	name   string
	cmd    *exec.Cmd
	exited chan struct{} // closed when it has ended and all its output is written
	err    error         // how it ended; read after exited
}

// A spawner starts the processes.
type spawner struct {
	term  *terminal
	start func(*exec.Cmd) error // made by newStarter: ties the child's life to ours
}

// spawn starts a program with exactly the environment given. Each line that it
// prints goes to the terminal, unless quiet swallows it.
func (s *spawner) spawn(name string, env []string, quiet func(line string) bool, path string, args ...string) (*process, error) {
	cmd := exec.Command(path, args...)
	cmd.Env = env
	out, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer func() { _ = in.Close() }() // the child has its own
	cmd.Stdout, cmd.Stderr = in, in
	if err := s.start(cmd); err != nil {
		_ = out.Close() // what matters is that it does not start
		return nil, fmt.Errorf("%s does not start: %w", name, err)
	}
	p := &process{name: name, cmd: cmd, exited: make(chan struct{})}
	printed := make(chan struct{})
	go func() {
		defer close(printed)
		defer func() { _ = out.Close() }() // read to its end
		for r := bufio.NewReader(out); ; {
			line, err := r.ReadString('\n')
			if line != "" && (quiet == nil || !quiet(line)) {
				s.term.line(name, line)
			}
			if err != nil {
				return
			}
		}
	}()
	go func() {
		p.err = cmd.Wait()
		<-printed
		close(p.exited)
	}()
	return p, nil
}

// ending says how the process ended; only after exited.
func (p *process) ending() string {
	return fmt.Sprintf("%s (pid %d) ended: %s", p.name, p.cmd.Process.Pid, p.cmd.ProcessState)
}

// stop asks the process to end, waits a little, and ends it.
func (p *process) stop() {
	p.signal(syscall.SIGTERM)
	select {
	case <-p.exited:
		return
	case <-time.After(stopGrace):
	}
	p.kill()
	<-p.exited
}

func (p *process) kill() { p.signal(syscall.SIGKILL) }

// signal leaves out a process that has ended: there is nobody to tell.
func (p *process) signal(sig os.Signal) {
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		fmt.Fprintf(os.Stderr, "%s (pid %d) cannot be signalled: %v\n", p.name, p.cmd.Process.Pid, err)
	}
}

// stopAll stops processes side by side.
func stopAll(ps []*process) {
	var wg sync.WaitGroup
	for _, p := range ps {
		wg.Go(p.stop)
	}
	wg.Wait()
}

// listen opens the port on 127.0.0.1; 0 takes a free one. An error names the
// port and the flag that sets it.
func listen(flagName string, port int) (net.Listener, error) {
	if port == 0 {
		return listenAnywhere()
	}
	address := fmt.Sprintf("127.0.0.1:%d", port)
	l, err := net.Listen("tcp", address)
	// The children of a runner killed a moment ago may be about to let go of it.
	for range 20 {
		if !errors.Is(err, syscall.EADDRINUSE) {
			break
		}
		time.Sleep(20 * time.Millisecond)
		l, err = net.Listen("tcp", address)
	}
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("port %d is in use by another program: stop it, or choose another port with -%s PORT (0 takes a free one)", port, flagName)
	}
	if err != nil {
		return nil, fmt.Errorf("-%s %d: %w", flagName, port, err)
	}
	return l, nil
}

// listenAnywhere takes a free port below those that systems give to outgoing
// connections: a server started a moment later, or started anew on the port of a
// stack before it, must not find it taken by one of these.
func listenAnywhere() (net.Listener, error) {
	for {
		port := 20_000 + rand.IntN(12_000) //nolint:gosec // a port is no secret
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if !errors.Is(err, syscall.EADDRINUSE) {
			return l, err
		}
	}
}

func portOf(l net.Listener) int { return l.Addr().(*net.TCPAddr).Port }

// waitListening waits until something accepts connections on the port, or the
// process has ended.
func waitListening(ctx context.Context, p *process, port int) error {
	for {
		c, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", port), time.Second)
		if err == nil {
			return c.Close()
		}
		select {
		case <-p.exited:
			return fmt.Errorf("%s before it listened on port %d", p.ending(), port)
		case <-ctx.Done():
			return fmt.Errorf("%s does not listen on port %d: %w", p.name, port, ctx.Err())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// writeFile replaces a file so that a crash leaves the old content or the new.
func writeFile(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // fails once it is renamed, as it should
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
