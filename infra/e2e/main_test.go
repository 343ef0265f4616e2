// Package e2e plays the product's story whole and from outside: real HTTP
// through the gateway to the production binaries, a real DynamoDB engine with
// its stream, real sign-in tokens, real emails in an inbox. What it asserts is
// what people meet: answers, emails, and the access check before and after.
package e2e

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// built is what all tests share: the runner's program, the functions' folder,
// the contract, and one stack for the tests that need none of their own.
var built struct {
	root, folder, runner, bin string
	contract                  *contract
}

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) (code int) {
	var err error
	defer func() {
		if err != nil {
			fmt.Fprintln(os.Stderr, "e2e:", err)
			code = 1
		}
	}()
	if built.root, err = filepath.Abs(filepath.Join("..", "..")); err != nil {
		return 1
	}
	if built.folder, err = os.MkdirTemp("", "agencyhub-e2e-*"); err != nil {
		return 1
	}
	defer func() { err = errors.Join(err, os.RemoveAll(built.folder)) }()
	built.runner, built.bin = filepath.Join(built.folder, "local"), filepath.Join(built.folder, "bin")
	if err = build(built.runner, "./infra/local"); err != nil {
		return 1
	}
	if built.contract, err = readContract(built.root); err != nil {
		return 1
	}
	code = m.Run()
	err = stopBrowser()
	for _, s := range []*sharing{&asDeployed, &generous, &visited, &looked} {
		if s.stack != nil {
			err = errors.Join(err, s.stack.stop())
		}
	}
	whole := flag.Lookup("test.run").Value.String() == "" && flag.Lookup("test.skip").Value.String() == ""
	if missing := built.contract.unanswered(); whole && code == 0 && len(missing) > 0 {
		fmt.Fprintln(os.Stderr, "e2e: no test has had a good answer of", missing)
		code = 1
	}
	missing, failed := unheard()
	if err = errors.Join(err, failed); whole && code == 0 && len(missing) > 0 {
		fmt.Fprintln(os.Stderr, "e2e: no test has brought about", missing)
		code = 1
	}
	return code
}

func build(program, pkg string) error {
	cmd := exec.Command("go", "build", "-o", program, pkg)
	cmd.Dir = built.root
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s does not build: %w\n%s", pkg, err, out)
	}
	return nil
}

// sharing is a stack that several tests share.
type sharing struct {
	once  sync.Once
	stack *stack
	err   error
}

// One has the settings as they are deployed, the other limits that are out of
// the way of stories which ask the same people again and again in one day.
var asDeployed, generous sharing

// visited is the stack that people visit by browser.
var visited sharing

// common is the stack that most tests share. They run one after the other, so
// that each can hold the whole inbox to what it caused.
func common(t *testing.T) *stack {
	t.Helper()
	return asDeployed.get(t, "common")
}

// unlimited is common for those.
func unlimited(t *testing.T) *stack {
	t.Helper()
	return generous.get(t, "unlimited", "-set", `SettingsOverride={"pairMails":100,"resendAfter":"1s","dailyMails":1000,"dailyRequests":1000}`)
}

func (s *sharing) get(t *testing.T, name string, args ...string) *stack {
	t.Helper()
	s.once.Do(func() {
		s.stack, s.err = start(filepath.Join(built.folder, name), append([]string{"-schedules=false"}, args...)...)
	})
	if s.err != nil {
		t.Fatal(s.err)
	}
	return s.stack
}
