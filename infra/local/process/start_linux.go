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
	calls := make(chan func())
	go func() {
		runtime.LockOSThread()
		for call := range calls {
			call()
		}
	}()
	return func(cmd *exec.Cmd) error {
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
		started := make(chan error)
		calls <- func() { started <- cmd.Start() }
		return <-started
	}, nil
}
