//go:build !linux

package e2e

import "os/exec"

// startTied starts a program. Only Linux ends it with this process should that
// be killed; everywhere the tests stop it when they end, also by failing.
func startTied(cmd *exec.Cmd) error { return cmd.Start() }
