package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// The Makefile's build gives both functions that name their version the one of the build.
func TestTheLinkerSetsTheVersion(t *testing.T) {
	for function, has := range map[string]bool{"Platform": true, "Cleanup": true, "Access": false} {
		dir := t.TempDir()
		cmd := exec.CommandContext(t.Context(), "make", "-s", "build-"+function+"Function", "ARTIFACTS_DIR="+dir, "VERSION=v7-of-the-test")
		cmd.Dir = "../.."
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		binary, err := os.ReadFile(filepath.Join(dir, "bootstrap"))
		if got := bytes.Contains(binary, []byte("v7-of-the-test")); got != has || err != nil {
			t.Errorf("%s names the version: %t, %v", function, got, err)
		}
	}
}
