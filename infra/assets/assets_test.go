package main

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// TestAssetsAreOfTheirSources compares the zipped files with their sources. `make
// assets` zips them again.
func TestAssetsAreOfTheirSources(t *testing.T) {
	root := filepath.Join("..", "..")
	for name, source := range sources {
		want, err := os.ReadFile(filepath.Join(root, source))
		if err != nil {
			t.Fatal(err)
		}
		zipped, err := os.ReadFile(filepath.Join(root, target, name+".gz"))
		if err != nil {
			t.Fatal(err)
		}
		z, err := gzip.NewReader(bytes.NewReader(zipped))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(z)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not what %s says: run make assets", name, source)
		}
	}
	files, err := filepath.Glob(filepath.Join(root, target, "*"))
	if err != nil || len(files) != len(sources) {
		t.Errorf("%d files for %d sources, %v", len(files), len(sources), err)
	}
}
