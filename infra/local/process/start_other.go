//go:build !linux

package process

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// newStarter returns a function that starts a child and writes its pid to a file in
// dir. It first kills what the file lists from a runner that was killed. A pid that
// belongs to another program by now is left alone: its name differs.
func newStarter(dir string) (func(*exec.Cmd) error, error) {
	path := filepath.Join(dir, "pids")
	if f, err := os.Open(path); err == nil {
		for s := bufio.NewScanner(f); s.Scan(); {
			pid, name, _ := strings.Cut(s.Text(), " ")
			id, err := strconv.Atoi(pid)
			if err != nil || id < 2 {
				continue
			}
			out, err := exec.Command("ps", "-o", "comm=", "-p", pid).Output()
			if err != nil || filepath.Base(strings.TrimSpace(string(out))) != name {
				continue
			}
			if err := syscall.Kill(id, syscall.SIGKILL); err != nil {
				return nil, fmt.Errorf("%s (pid %d) is left from before and cannot be ended: %w", name, id, err)
			}
		}
		f.Close()
	}
	pids, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	return func(cmd *exec.Cmd) error {
		mu.Lock()
		defer mu.Unlock()
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		if err := cmd.Start(); err != nil {
			return err
		}
		_, err := fmt.Fprintf(pids, "%d %s\n", cmd.Process.Pid, filepath.Base(cmd.Path))
		return err
	}, nil
}
