package main

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
)

// The servers that stand for DynamoDB, SES and the OIDC issuer. All listen on
// 127.0.0.1 only.

// clientID is the OIDC client that the console and `token` sign in with, and
// the audience that the gateway asks for.
const clientID = "agencyhub-local"

// platformID is the client that stands for the platform's own software. On a
// machine where any address signs in its secret protects nothing.
const (
	platformID     = "agencyhub-platform"
	platformSecret = "on-one-machine-everybody-is-the-platform"
	platformScope  = "hub/platform"
)

// A standIn is one such server, to be started.
type standIn struct {
	name  string
	flag  string // which sets its port
	port  int    // 0 for a free one; the chosen one after reserve
	path  string
	args  func(port int) []string
	quiet func(line string) bool

	held net.Listener
}

// reserve finds out whether the port is free, or takes a free one, and holds it
// until start, so that no other of ours takes it.
func (s *standIn) reserve() error {
	l, err := listen(s.flag, s.port)
	if err != nil {
		return err
	}
	s.held, s.port = l, portOf(l)
	return nil
}

func (s *standIn) start(ctx context.Context, sp *spawner) (*process, error) {
	if err := s.held.Close(); err != nil {
		return nil, err
	}
	p, err := sp.spawn(s.name, []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "NODE_NO_WARNINGS=1"}, s.quiet, s.path, s.args(s.port)...)
	if err != nil {
		return nil, err
	}
	return p, waitListening(ctx, p, s.port)
}

// here finds infra/local in the module that the working directory lies in.
func here() (string, error) {
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

// findDynoxide finds the engine's program: npm's for this platform, or one on the PATH.
func findDynoxide(home string) (string, error) {
	arch := map[string]string{"amd64": "x64"}[runtime.GOARCH]
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
	return "", fmt.Errorf("npm has no dynoxide for %s/%s in this project: put a dynoxide 1.2 on the PATH, or start any DynamoDB (DynamoDB Local, say) and give its address in AWS_ENDPOINT_URL_DYNAMODB", runtime.GOOS, runtime.GOARCH)
}

func dynoxide(path string, port int, data string) *standIn {
	return &standIn{name: "dynamodb", flag: "dynamodb", port: port, path: path, args: func(port int) []string {
		return []string{"serve", "--host", "127.0.0.1", "--port", strconv.Itoa(port), "--db-path", filepath.Join(data, "dynamodb.db")}
	}, quiet: func(line string) bool { return true }}
}

func inbox(node, home string, port int) *standIn {
	return &standIn{name: "ses", flag: "ses", port: port, path: node, args: func(port int) []string {
		return []string{filepath.Join(home, "node_modules", "aws-ses-v2-local", "dist", "cli.js"), "--host", "127.0.0.1", "--port", strconv.Itoa(port)}
	}, quiet: func(line string) bool { return !strings.Contains(strings.ToLower(line), "error") }}
}

func issuer(node, home string, port int, publicURL, data string) *standIn {
	return &standIn{name: "oidc", flag: "oidc", port: port, path: node, args: func(port int) []string {
		// The encoding of a map of texts cannot fail.
		config, _ := json.Marshal(map[string]string{
			"port": strconv.Itoa(port), "clientId": clientID, "publicUrl": publicURL, "data": filepath.Join(data, "oidc"),
			"platformId": platformID, "platformSecret": platformSecret,
		})
		return []string{filepath.Join(home, "oidc.mjs"), string(config)}
	}, quiet: func(line string) bool { return strings.Contains(line, "oidc-provider WARNING") }}
}
