// Package process runs the programs of the local stack and finds ports for them. A
// program never outlives the process that started it.
package process

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A Terminal writes whole lines of many writers, each behind its writer's name.
type Terminal struct {
	mu  sync.Mutex
	out io.Writer
}

// NewTerminal returns a terminal that writes to out.
func NewTerminal(out io.Writer) *Terminal { return &Terminal{out: out} }

// Line writes one line.
func (t *Terminal) Line(name, line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprintf(t.out, "%-12s| %s\n", name, strings.TrimRight(line, "\r\n"))
}

// Logf writes one line of the runner itself.
func (t *Terminal) Logf(format string, args ...any) { t.Line("local", fmt.Sprintf(format, args...)) }

// A Process is one program that a Spawner started.
type Process struct {
	Exited chan struct{} // closed when it has ended and all its output is written
	Err    error         // how it ended, nil for exit status 0; read it after Exited

	name string
	cmd  *exec.Cmd
}

// A Spawner starts programs that die with this process.
type Spawner struct {
	*Terminal
	start func(*exec.Cmd) error
}

// NewSpawner returns a spawner that writes the programs' output to term. Where the
// system cannot tie a child to its parent, dir holds the file of their pids.
func NewSpawner(term *Terminal, dir string) (*Spawner, error) {
	start, err := newStarter(dir)
	return &Spawner{Terminal: term, start: start}, err
}

// Spawn starts a program with exactly the environment given. Each line that it
// prints goes to the terminal, except those for which quiet returns true. A nil
// quiet keeps every line.
func (s *Spawner) Spawn(name string, env []string, quiet func(line string) bool, path string, args ...string) (*Process, error) {
	cmd := exec.Command(path, args...)
	cmd.Env = env
	out, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer func() { _ = in.Close() }() // the child has its own
	cmd.Stdout, cmd.Stderr = in, in
	if err := s.start(cmd); err != nil {
		_ = out.Close() // the error of the start is what matters
		return nil, fmt.Errorf("%s does not start: %w", name, err)
	}
	p := &Process{name: name, cmd: cmd, Exited: make(chan struct{})}
	printed := make(chan struct{})
	go func() {
		defer close(printed)
		defer func() { _ = out.Close() }() // read to its end
		for r := bufio.NewReader(out); ; {
			line, err := r.ReadString('\n')
			if line != "" && (quiet == nil || !quiet(line)) {
				s.Line(name, line)
			}
			if err != nil {
				return
			}
		}
	}()
	go func() {
		p.Err = cmd.Wait()
		<-printed
		close(p.Exited)
	}()
	return p, nil
}

// PID returns the process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// State returns the exit status, such as "signal: killed". Call it after Exited.
func (p *Process) State() string { return p.cmd.ProcessState.String() }

// Ending returns a sentence about how the process ended. Call it after Exited.
func (p *Process) Ending() string {
	return fmt.Sprintf("%s (pid %d) ended: %s", p.name, p.PID(), p.State())
}

// Stop sends SIGTERM, waits until ctx ends, and then kills the process.
func (p *Process) Stop(ctx context.Context) {
	p.Signal(syscall.SIGTERM)
	select {
	case <-p.Exited:
		return
	case <-ctx.Done():
	}
	p.Kill()
	<-p.Exited
}

// Kill ends the process without asking it.
func (p *Process) Kill() { p.Signal(syscall.SIGKILL) }

// Signal sends a signal. It ignores a process that has ended.
func (p *Process) Signal(sig os.Signal) {
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		fmt.Fprintf(os.Stderr, "%s (pid %d) cannot be signalled: %v\n", p.name, p.PID(), err)
	}
}

// StopAll stops processes side by side. See Process.Stop.
func StopAll(ctx context.Context, ps []*Process) {
	var wg sync.WaitGroup
	for _, p := range ps {
		wg.Go(func() { p.Stop(ctx) })
	}
	wg.Wait()
}

// Sleep waits for d or until ctx ends.
func Sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// Wait waits for wg or until ctx ends.
func Wait(ctx context.Context, wg *sync.WaitGroup) {
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
	}
}
