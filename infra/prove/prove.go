// Package prove has what the proofs below this folder share: how long they run, their
// seeds and their figures. Only tests import it; `make prove` runs them.
package prove

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"agencyhub/shared/testbed"
)

// Variables of the environment that choose what a proof does.
const (
	// form is how long proofs run: "ci", "long", or "" to skip them.
	form = "PROVE"
	// seed repeats a run.
	seed = "SEED"
)

// Size returns how much a proof does: ci in CI, long with LONG=1. Without PROVE it skips
// the test.
func Size(t testing.TB, ci, long int) int {
	t.Helper()
	switch os.Getenv(form) {
	case "ci":
		return ci
	case "long":
		return long
	case "":
		t.Skip("a proof: `make prove` runs it")
	default:
		t.Fatalf("%s is %q, want ci or long", form, os.Getenv(form))
	}
	return 0
}

// Seed returns the seed of a run: SEED, or the time. While a test runs, its seed is in
// .local/prove/<test>.unfinished, which a timeout leaves there. A test that fails keeps it
// in .local/prove/<test>.seed.
func Seed(t testing.TB) uint64 {
	t.Helper()
	n := uint64(time.Now().UnixNano())
	if given := os.Getenv(seed); given != "" {
		var err error
		if n, err = strconv.ParseUint(given, 10, 64); err != nil {
			t.Fatalf("%s: %v", seed, err)
		}
	}
	t.Logf("SEED=%d", n)
	content := fmt.Appendln(nil, n)
	running, err := write(t, "unfinished", content)
	if err != nil {
		t.Error(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			Keep(t, "seed", content)
		}
		if err := os.Remove(running); err != nil {
			t.Error(err)
		}
	})
	return n
}

// Keep writes what a failure needs to be looked into, to .local/prove/<test>.<kind>.
func Keep(t testing.TB, kind string, content []byte) {
	t.Helper()
	path, err := write(t, kind, content)
	if err != nil {
		t.Error(err)
		return
	}
	t.Logf("kept .local/prove/%s", filepath.Base(path))
}

// write writes the file of a test, and returns its path.
func write(t testing.TB, kind string, content []byte) (string, error) {
	t.Helper()
	folder := filepath.Join(testbed.Root(), ".local", "prove")
	path := filepath.Join(folder, strings.ReplaceAll(t.Name(), "/", "-")+"."+kind)
	if err := os.MkdirAll(folder, 0o750); err != nil {
		return "", err
	}
	return path, os.WriteFile(path, content, 0o600)
}

// Figure prints a figure of a proof. `make prove` shows these lines alone.
func Figure(t testing.TB, text string, args ...any) {
	t.Helper()
	t.Logf("figure: "+text, args...)
}
