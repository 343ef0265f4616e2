package runner

import (
	"os/exec"
	"runtime"
	"syscall"
)

// startWithParent starts a program that the kernel kills when this process ends in
// any way. That is bound to the thread which started it, so the thread must not end
// earlier.
func startWithParent(cmd *exec.Cmd) error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
		started <- cmd.Start()
		select {}
	}()
	return <-started
}
