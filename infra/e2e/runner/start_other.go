//go:build !linux

package runner

import "os/exec"

// startWithParent starts a program. Only Linux kills it when this process is killed.
func startWithParent(cmd *exec.Cmd) error { return cmd.Start() }
