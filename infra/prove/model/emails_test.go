package model

import (
	"bufio"
	"bytes"
	"os/exec"
	"strings"
	"testing"

	"agencyhub/infra/prove"
	"agencyhub/shared/testbed"
)

// The emails are compared where notify can be called: in a test of its own package, which
// is no library. This runs that test.
func TestModelEmails(t *testing.T) {
	prove.Size(t, 1, 1)
	cmd := exec.CommandContext(t.Context(), "go", "test", "-count=1", "-timeout=24h", "-v", "-run=^TestEmailsOfTheLaw$", "./functions/notify")
	cmd.Dir = testbed.Root()
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
