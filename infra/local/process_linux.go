package main

import (
	"os/exec"
	"runtime"
	"syscall"
)

// newStarter makes children die with the runner, however it ends: the kernel
// kills them when the thread that forked them is gone. So one thread forks all
// of them, and lives as long as the runner. The children get a process group of
// their own, so that Ctrl-C reaches the runner alone, which stops them in order.
// dir is where other systems keep their pid file.
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
