// Package standins stands in for the services that the product calls beside Lambda
// and API Gateway. DynamoDB, SES's mailbox and the OIDC issuer are programs of their
// own. EventBridge, its Scheduler and the events of SES are served here. All listen
// on 127.0.0.1 only.
package standins

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"agencyhub/infra/local/process"
)

// ClientID is the OIDC client that the console and `token` sign in with, and the
// audience that the gateway expects.
const ClientID = "agencyhub-local"

// The OIDC client of the platform's own software. Any address signs in here, so the
// secret protects nothing.
const (
	PlatformID     = "agencyhub-platform"
	PlatformSecret = "on-one-machine-everybody-is-the-platform"
	PlatformScope  = "hub/platform"
)

// A Program is a stand-in that is a program of its own.
type Program struct {
	Port int // 0 for a free one; the chosen one after Reserve

	name  string // its command line flag too
	path  string
	args  func(port int) []string
	quiet func(line string) bool
	held  net.Listener
}

// Reserve opens the port and holds it until Start, so that nothing else takes it.
func (s *Program) Reserve() error {
	l, err := process.Listen(s.name, s.Port)
	if err != nil {
		return err
	}
	s.held, s.Port = l, process.PortOf(l)
	return nil
}

// Release closes the reserved port. It does nothing after Start.
func (s *Program) Release() {
	if s.held != nil {
		_ = s.held.Close() // closed already where it was started
	}
}

// Start starts the program and waits until it listens. The process is returned with
// an error too, where it has started.
func (s *Program) Start(ctx context.Context, sp *process.Spawner) (*process.Process, error) {
	if err := s.held.Close(); err != nil {
		return nil, err
	}
	p, err := sp.Spawn(s.name, []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "NODE_NO_WARNINGS=1"}, s.quiet, s.path, s.args(s.Port)...)
	if err != nil {
		return nil, err
	}
	return p, p.WaitListening(ctx, s.Port)
}

// Home returns the folder infra/local of the module that the working directory is in.
func Home() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "infra", "local", "oidc.mjs")); err == nil {
			return filepath.Join(dir, "infra", "local"), nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("start this inside the project's folder")
		}
	}
}

// findEngine returns the path of the DynamoDB engine: npm's package for this
// platform, or a program on the PATH.
func findEngine(home string) (string, error) {
	arch := map[string]string{"amd64": "x64"}[runtime.GOARCH] // npm's names
	if arch == "" {
		arch = runtime.GOARCH
	}
	path := filepath.Join(home, "node_modules", "@dynoxide", runtime.GOOS+"-"+arch, "dynoxide")
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	if path, err := exec.LookPath("dynoxide"); err == nil {
		return path, nil
	}
	return "", fmt.Errorf("npm has installed no DynamoDB engine for %s-%s: put a dynoxide 1.2 on the PATH, or start any DynamoDB (DynamoDB Local, say) and give its address in AWS_ENDPOINT_URL_DYNAMODB", runtime.GOOS, arch)
}

// Engine returns the DynamoDB engine, which keeps its data in the folder data.
func Engine(home string, port int, data string) (*Program, error) {
	path, err := findEngine(home)
	return &Program{name: "dynamodb", Port: port, path: path, args: func(port int) []string {
		return []string{"serve", "--host", "127.0.0.1", "--port", strconv.Itoa(port), "--db-path", filepath.Join(data, "dynamodb.db")}
	}, quiet: func(line string) bool { return true }}, err
}

// Mailbox returns the server that takes SES's calls and shows the emails.
func Mailbox(node, home string, port int) *Program {
	return &Program{name: "ses", Port: port, path: node, args: func(port int) []string {
		return []string{filepath.Join(home, "node_modules", "aws-ses-v2-local", "dist", "cli.js"), "--host", "127.0.0.1", "--port", strconv.Itoa(port)}
	}, quiet: func(line string) bool { return !strings.Contains(strings.ToLower(line), "error") }}
}

// Issuer returns the OIDC issuer, which keeps its signing key in the folder data. pageToken
// is how long the id tokens of pages last; others last an hour.
func Issuer(node, home string, port int, publicURL, data string, pageToken time.Duration) *Program {
	return &Program{name: "oidc", Port: port, path: node, args: func(port int) []string {
		// The encoding of a map of strings cannot fail.
		config, _ := json.Marshal(map[string]string{
			"port": strconv.Itoa(port), "clientId": ClientID, "publicUrl": publicURL, "data": filepath.Join(data, "oidc"),
			"platformId": PlatformID, "platformSecret": PlatformSecret, "pageTokenSeconds": strconv.Itoa(int(pageToken.Seconds())),
		})
		return []string{filepath.Join(home, "oidc.mjs"), string(config)}
	}, quiet: func(line string) bool { return strings.Contains(line, "oidc-provider WARNING") }}
}
