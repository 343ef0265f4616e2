package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"agencyhub/infra/local/disk"
)

// A running describes a stack that is up. DATA/stack.json holds it while the stack
// runs.
type running struct {
	PublicURL string `json:"publicUrl"`
	SES       string `json:"ses"`
	Cloud     string `json:"cloud"` // the API of SES and EventBridge
	OIDC      string `json:"oidc"`  // the issuer
	DynamoDB  string `json:"dynamodb"`
	Control   string `json:"control"`
	ClientID  string `json:"clientId"`
	// Platform is the OIDC client of the platform's own software.
	Platform       string `json:"platform"`
	PlatformSecret string `json:"platformSecret"`

	Table  string `json:"table"`  // its name
	Region string `json:"region"` // for a DynamoDB client; any credentials do
	PID    int    `json:"pid"`
	Data   string `json:"data"` // absolute path of the folder
}

func stackFile(data string) string { return filepath.Join(data, "stack.json") }

func readRunning(data string) (*running, error) {
	var r running
	if err := disk.ReadJSON(stackFile(data), &r); err != nil {
		return nil, err
	}
	if r.PID == 0 {
		return nil, fmt.Errorf("no stack runs on %s: start one with `make run`", data)
	}
	if err := syscall.Kill(r.PID, 0); errors.Is(err, syscall.ESRCH) {
		return nil, fmt.Errorf("no stack runs on %s any more (it was killed): start one with `make run`", data)
	}
	return &r, nil
}

// lock keeps a second stack off the folder. The lock ends with the file, and with
// the process.
func lock(data string) (*os.File, error) {
	if err := os.MkdirAll(data, 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(data, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close() // nothing was written
		return nil, fmt.Errorf("a stack runs on %s already: stop it, or choose another folder with -data DIR and other ports", relative(data))
	}
	return f, nil
}

func relative(path string) string {
	if wd, err := os.Getwd(); err == nil {
		if r, err := filepath.Rel(wd, path); err == nil && !strings.HasPrefix(r, "..") {
			return r
		}
	}
	return path
}
