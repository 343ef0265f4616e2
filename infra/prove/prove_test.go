package prove

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"agencyhub/shared/testbed"
)

// An ending is a test that ends as a case says.
type ending struct {
	testing.TB
	failed bool
	end    []func()
}

func (e *ending) Failed() bool     { return e.failed }
func (e *ending) Cleanup(f func()) { e.end = append(e.end, f) }

// A run that fails or that a timeout ends keeps its seed; one that passes does not.
func TestSeedIsKept(t *testing.T) {
	for name, test := range map[string]struct {
		ends, failed bool
		want         []string
	}{
		"passes":       {ends: true},
		"fails":        {ends: true, failed: true, want: []string{"TestSeedIsKept-fails.seed"}},
		"does not end": {want: []string{"TestSeedIsKept-does_not_end.unfinished"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(seed, "7")
			e := &ending{TB: t, failed: test.failed}
			if n := Seed(e); n != 7 {
				t.Errorf("the seed is %d", n)
			}
			if test.ends {
				for _, f := range slices.Backward(e.end) {
					f()
				}
			}
			files, err := filepath.Glob(filepath.Join(testbed.Root(), ".local", "prove", strings.ReplaceAll(t.Name(), "/", "-")+".*"))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, path := range files {
				got = append(got, filepath.Base(path))
				if b, err := os.ReadFile(path); err != nil || string(b) != "7\n" {
					t.Errorf("%s has %q (%v)", path, b, err)
				}
				if err := os.Remove(path); err != nil {
					t.Error(err)
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("kept (-want +got):\n%s", diff)
			}
		})
	}
}
