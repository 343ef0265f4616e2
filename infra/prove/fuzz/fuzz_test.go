// Package fuzz runs every fuzz test of the repository for a while, by Go's own fuzzer.
package fuzz

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"agencyhub/infra/prove"
)

var root = filepath.Join("..", "..", "..")

// target is a fuzz test. folder is its package's, below the root.
type target struct{ folder, name string }

// findTargets returns every fuzz test below the root.
func findTargets(t *testing.T) (all []target) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != root && (d.Name() == "node_modules" || d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".")):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		folder, err := filepath.Rel(root, filepath.Dir(path))
		for _, declared := range file.Decls {
			if f, ok := declared.(*ast.FuncDecl); ok && isFuzzTest(f) {
				all = append(all, target{folder, f.Name.Name})
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(all, func(a, b target) int {
		return strings.Compare(a.folder+" "+a.name, b.folder+" "+b.name)
	})
	return all
}

// isFuzzTest reports whether a function is FuzzX(*testing.F).
func isFuzzTest(f *ast.FuncDecl) bool {
	if f.Recv != nil || !strings.HasPrefix(f.Name.Name, "Fuzz") || f.Type.Params.NumFields() != 1 {
		return false
	}
	pointer, ok := f.Type.Params.List[0].Type.(*ast.StarExpr)
	if !ok {
		return false
	}
	of, ok := pointer.X.(*ast.SelectorExpr)
	return ok && of.Sel.Name == "F"
}

// Every fuzz test has inputs in the repository, each named after its reason, and none
// that a failure has left unnamed.
func TestCorpora(t *testing.T) {
	all := findTargets(t)
	if len(all) < 30 {
		t.Fatalf("%d fuzz tests are found", len(all))
	}
	known := map[string]bool{}
	for _, to := range all {
		folder := filepath.Join(root, to.folder, "testdata", "fuzz", to.name)
		known[filepath.Clean(folder)] = true
		inputs, err := os.ReadDir(folder)
		if err != nil || len(inputs) == 0 {
			t.Errorf("%s of %s has no inputs: %v", to.name, to.folder, err)
		}
		for _, input := range inputs {
			if !named.MatchString(input.Name()) || hashed.MatchString(input.Name()) {
				t.Errorf("%s/%s is not named after its reason", folder, input.Name())
			}
		}
	}
	folders, err := filepath.Glob(filepath.Join(root, "*", "*", "testdata", "fuzz", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range folders {
		if !known[folder] {
			t.Errorf("no fuzz test reads %s", folder)
		}
	}
}

var (
	named  = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	hashed = regexp.MustCompile(`^[0-9a-f]{16}$`)
)

const (
	// Milliseconds of each fuzz test.
	ciTime, longTime = 1200, 5 * 60 * 1000
	// stopTime is what a run may take besides: the inputs of the repository, and an input
	// that is made smaller.
	stopTime = 2 * time.Minute
	workers  = 2
	// minInputs is how many inputs of each fuzz test are tried at least.
	minInputs = 100
)

// TestFuzz looks for inputs that fail a fuzz test. One that it finds is in the testdata of
// the fuzz test's package, and kept as a proof's failure.
func TestFuzz(t *testing.T) {
	each := time.Duration(prove.Size(t, ciTime, longTime)) * time.Millisecond
	all := findTargets(t)
	binaries, inputs := map[string]string{}, filepath.Join(t.TempDir(), "inputs")
	total, building := 0, time.Duration(0)
	for _, to := range all {
		if binaries[to.folder] == "" {
			begin := time.Now()
			binaries[to.folder] = build(t, to.folder)
			building += time.Since(begin)
		}
		t.Run(to.folder+"/"+to.name, func(t *testing.T) { total += run(t, binaries[to.folder], inputs, to, each) })
	}
	prove.Figure(t, "%d fuzz tests, %d inputs tried, %.0f s of building", len(all), total, building.Seconds())
}

// counted makes the compiler count, for the fuzzer, which code an input reaches. -fuzz would
// do so in every dependency too, and compile all of them once more.
const counted = "-gcflags=agencyhub/...=-d=libfuzzer"

// build compiles the tests of a package for the fuzzer.
func build(t *testing.T, folder string) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), strings.ReplaceAll(folder, string(filepath.Separator), "-")+".test")
	c := exec.CommandContext(t.Context(), "go", "test", "-c", counted, "-o", binary, "./"+filepath.ToSlash(folder))
	c.Dir = root
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return binary
}

var (
	progress = regexp.MustCompile(`execs: (\d+) .*new interesting: (\d+)`)
	written  = regexp.MustCompile(`Failing input written to (\S+)`)
)

// run runs one fuzz test for a time, and returns how many inputs it has tried.
func run(t *testing.T, binary, inputs string, to target, each time.Duration) int {
	t.Helper()
	c := exec.CommandContext(t.Context(), binary, "-test.run=^$", "-test.fuzz=^"+to.name+"$", "-test.fuzztime="+each.String(),
		"-test.parallel="+strconv.Itoa(workers), "-test.fuzzminimizetime=5s", "-test.timeout="+(each+stopTime).String(), "-test.fuzzcachedir="+inputs)
	c.Dir = filepath.Join(root, to.folder)
	out, err := c.CombinedOutput()
	tried, fresh := 0, "0"
	for _, line := range progress.FindAllStringSubmatch(string(out), -1) {
		n, numberErr := strconv.Atoi(line[1])
		err = errors.Join(err, numberErr)
		tried, fresh = n, line[2]
	}
	// On a busy machine Go 1.26 takes the end of its own time for a failure, without an input:
	// https://go.dev/issue/75804
	isOver := strings.Contains(string(out), "context deadline exceeded") && !written.Match(out)
	if err != nil && !(isOver && tried > 0) {
		if at := written.FindStringSubmatch(string(out)); at != nil {
			path := filepath.Join(c.Dir, at[1])
			input, readErr := os.ReadFile(path)
			if readErr != nil {
				t.Error(readErr)
			}
			prove.Keep(t, "input", input)
			t.Logf("the input is %s: name it after its reason", filepath.Join(to.folder, at[1]))
		}
		t.Fatalf("%v\n%s", err, out)
	}
	if tried < minInputs || strings.Contains(string(out), "without coverage guidance") {
		t.Errorf("%d inputs were tried, fewer than %d, or blindly:\n%s", tried, minInputs, out)
	}
	prove.Figure(t, "%s", fmt.Sprintf("%s: %d inputs, %s of a new kind", to.name, tried, fresh))
	return tried
}
