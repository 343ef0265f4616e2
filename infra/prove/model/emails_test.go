package model

import (
	"bufio"
	"bytes"
	"context"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"agencyhub/infra/prove"
	"agencyhub/shared/testbed"
)

// The emails are compared where notify can be called: in a test of its own package, which
// is no library. This runs that test.
func TestModelEmails(t *testing.T) {
	prove.Size(t, 1, 1)
	left := 24 * time.Hour
	if end, has := t.Deadline(); has {
		left = time.Until(end) - 10*time.Second
	}
	ctx, cancel := context.WithTimeout(t.Context(), left)
	defer cancel()
	// It ends before this test is out of time, with the processes that it has started.
	cmd := exec.CommandContext(ctx, "go", "test", "-count=1", "-timeout="+left.String(), "-v", "-run=^TestEmailsOfTheLaw$", "./functions/notify")
	cmd.Dir, cmd.WaitDelay = testbed.Root(), 5*time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	out, err := cmd.CombinedOutput()
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		if _, text, found := strings.Cut(lines.Text(), "figure: "); found {
			prove.Figure(t, "emails: %s", text)
		}
		if _, seed, found := strings.Cut(lines.Text(), "SEED="); found {
			t.Logf("SEED=%s (of the emails)", seed)
		}
	}
	if err != nil || !bytes.Contains(out, []byte("--- PASS: TestEmailsOfTheLaw")) {
		t.Fatalf("%v\n%s", err, out)
	}
}
