package process

import (
	"os/exec"
	"runtime"
	"syscall"
)

// newStarter returns a function that starts a child which dies with this process,
// however that ends. The kernel kills a child when the thread that forked it ends,
// so one thread forks all of them and lives on. Each child gets a process group of
// its own: Ctrl-C reaches the runner alone, which stops the children in order. dir
// is for other systems.
func newStarter(dir string) (func(*exec.Cmd) error, error) {
	type request struct {
		cmd  *exec.Cmd
		done chan error
	}
	requests := make(chan request)
	go func() {
		runtime.LockOSThread()
		for r := range requests {
			r.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
			r.done <- r.cmd.Start()
		}
	}()
	return func(cmd *exec.Cmd) error {
		r := request{cmd, make(chan error, 1)}
		requests <- r
		return <-r.done
	}, nil
}
