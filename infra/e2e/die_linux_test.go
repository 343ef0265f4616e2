package e2e

import (
	"os/exec"
	"runtime"
	"syscall"
)

// startTied starts a program that the kernel kills when this process ends,
// however it ends: it goes with the thread that forked it, so that thread is
// kept for as long as the process lives.
func startTied(cmd *exec.Cmd) error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
		started <- cmd.Start()
		select {}
	}()
	return <-started
}
