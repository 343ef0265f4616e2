// Package e2e tests the whole product from outside: HTTP through the gateway to the
// production binaries, and a real DynamoDB engine with its stream. Sign-in tokens
// and emails in the inbox are real too. The tests check what people see: answers,
// emails, and the access check before and after.
package e2e

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"agencyhub/infra/e2e/runner"
)

// built is what all tests share: the runner, the functions' folder and the contract.
var built struct {
	root, folder string
	program      runner.Program
	contract     *contract
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
	if built.program, err = runner.Build(built.root, built.folder); err != nil {
		return 1
	}
	if built.contract, err = readContract(built.root); err != nil {
		return 1
	}
	code = m.Run()
	err = stopBrowser()
	for _, s := range []*sharedStack{&defaultStack, &highLimitStack, &browserStack, &pagesStack} {
		if s.stack != nil {
			err = errors.Join(err, s.stack.stop(), s.stack.engine.Close())
		}
	}
	whole := flag.Lookup("test.run").Value.String() == "" && flag.Lookup("test.skip").Value.String() == ""
	if missing := built.contract.unanswered(); whole && code == 0 && len(missing) > 0 {
		fmt.Fprintln(os.Stderr, "e2e: no test has had a good answer of", missing)
		code = 1
	}
	if unused := unusedPermissions(); whole && code == 0 && len(unused) > 0 {
		fmt.Fprintf(os.Stderr, "e2e: roles allow what no test needs, or exceptions name what a test does need:\n%s\n", strings.Join(unused, "\n"))
		code = 1
	}
	missing, failed := missingTypes()
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

// A sharedStack is a stack that several tests share.
type sharedStack struct {
	once  sync.Once
	stack *stack
	err   error
}

// personLimits are limits of persons and their mailboxes that no test reaches.
const personLimits = `"unsolicitedMails":{"all":1000,"bySender":1000,"byAccount":1000,"neverSignedIn":1000},"openInvitations":10000,` + actorLimits

// actorLimits are limits of acting persons that no test reaches.
const actorLimits = `"dailyByPerson":{"accountsOpened":1000,"accountsCreated":1000,"requests":1000,"invitations":1000},` +
	`"dailyByNewPerson":{"accountsOpened":1000,"accountsCreated":1000,"requests":1000,"invitations":1000}`

// defaultStack has the settings of a deployment, but for personLimits.
// highLimitStack has limits that no test reaches.
var defaultStack, highLimitStack sharedStack

// browserStack is for tests by browser.
var browserStack sharedStack

// common returns the stack that most tests share. They run one after the other, so
// that each can check the whole inbox.
func common(t *testing.T) *stack {
	t.Helper()
	return defaultStack.get(t, "common", "-set", `SettingsOverride={`+personLimits+`}`)
}

// unlimited returns the stack with high limits.
func unlimited(t *testing.T) *stack {
	t.Helper()
	return highLimitStack.get(t, "unlimited", "-set", `SettingsOverride={"pairMails":100,"resendAfter":"1s","dailyRequests":1000,`+personLimits+`}`)
}

func (s *sharedStack) get(t *testing.T, name string, args ...string) *stack {
	t.Helper()
	s.once.Do(func() {
		s.stack, s.err = start(filepath.Join(built.folder, name), append([]string{"-schedules=false"}, args...)...)
	})
	if s.err != nil {
		t.Fatal(s.err)
	}
	return s.stack
}
