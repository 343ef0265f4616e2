package e2e

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestDemo plays `make demo` twice on one stack, and without one.
func TestDemo(t *testing.T) {
	s := common(t)
	program := filepath.Join(built.folder, "demo")
	must(t, build(program, "./infra/e2e/demo"))
	s.expectEmails(t)
	for range 2 {
		out, err := exec.Command(program, "-data", s.Data).CombinedOutput()
		if err != nil {
			t.Fatalf("%v:\n%s", err, out)
		}
		expectContains(t, "the story", string(out), "permanently_owned", "Luna Bakery has accepted your request", "status: revoked", "status: declined",
			"cooling: ", "not_assigned", "reason: invited", "last_owner: ", "offer: owner",
			"ownership as owner", "blocked: true", "That was the story: 22 steps, 30 emails.", s.SES)
		if token.Match(out) {
			t.Errorf("it shows a token:\n%s", out)
		}
		expectEqual(t, "the number of emails, as the story says", 30, len(s.newEmails(t)))
	}
	var stderr bytes.Buffer
	cmd := exec.Command(program, "-data", t.TempDir())
	cmd.Stderr = &stderr
	if out, err := cmd.Output(); err == nil || len(out) > 0 || !strings.Contains(stderr.String(), "start one with `make run`") {
		t.Errorf("without a stack: %v, %q, %q", err, out, &stderr)
	}
}
