// Command openapi merges the OpenAPI fragments of all functions that serve the API.
// It writes the document, the list of its operations, and what the hub serves of it: the
// document again and the page /docs, both zipped. It runs in any folder of the module.
package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// The files that are written, relative to the module's root.
const (
	documentFile = "infra/openapi.yaml"
	routesFile   = "shared/rest/routes.txt"
	// What the hub serves, zipped: HTTP APIs do not compress.
	servedFolder    = "functions/console/reference/"
	servedDocument  = servedFolder + "openapi.yaml.gz"
	servedReference = servedFolder + "reference.html.gz"
)

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "openapi:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	root, err := moduleRoot(ctx)
	if err != nil {
		return err
	}
	files, err := generate(ctx, root)
	if err != nil {
		return err
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(root, name), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// generate returns the content of each file that is written, by its path.
func generate(ctx context.Context, root string) (map[string][]byte, error) {
	fragments, err := fragmentsOf(ctx, root)
	if err != nil {
		return nil, err
	}
	merged, err := merge(fragments)
	if err != nil {
		return nil, err
	}
	refused, err := refusals(ctx, root)
	if err != nil {
		return nil, err
	}
	if err := merged.addResponses(refused); err != nil {
		return nil, err
	}
	merged.shareIDs()
	yaml, err := merged.yaml()
	if err != nil {
		return nil, err
	}
	page, err := merged.reference()
	if err != nil {
		return nil, err
	}
	zippedYAML, err := zip(yaml)
	if err != nil {
		return nil, err
	}
	zippedPage, err := zip(page)
	return map[string][]byte{
		documentFile: yaml, routesFile: merged.routes(), servedDocument: zippedYAML, servedReference: zippedPage,
	}, err
}

// zip returns the same bytes each time.
func zip(content []byte) ([]byte, error) {
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := z.Write(content); err != nil {
		return nil, err
	}
	err = z.Close()
	return b.Bytes(), err
}

func moduleRoot(ctx context.Context) (string, error) {
	out, err := command(ctx, "", "go", "list", "-m", "-f", "{{.Dir}}")
	return strings.TrimSpace(string(out)), err
}

// fragmentsOf builds the functions that import the JSON edge, and runs each for its
// fragment. The keys are the functions' folders. Other functions need not build.
func fragmentsOf(ctx context.Context, root string) (map[string][]byte, error) {
	out, err := command(ctx, root, "go", "list", "-e", "-f", "{{.ImportPath}} {{.Imports}}", "./functions/...")
	if err != nil {
		return nil, err
	}
	var packages []string
	for line := range strings.Lines(string(out)) {
		path, imports, _ := strings.Cut(line, " ")
		if strings.Contains(imports, "agencyhub/shared/rest") {
			packages = append(packages, path)
		}
	}
	fragments := map[string][]byte{}
	if len(packages) == 0 {
		return fragments, nil
	}
	binaries, err := os.MkdirTemp("", "openapi")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(binaries) //nolint:errcheck // a temporary folder
	if _, err := command(ctx, root, "go", append([]string{"build", "-o", binaries + string(filepath.Separator)}, packages...)...); err != nil {
		return nil, err
	}
	for _, path := range packages {
		name := filepath.Base(path)
		if fragments[name], err = command(ctx, root, filepath.Join(binaries, name), "openapi"); err != nil {
			return nil, err
		}
	}
	return fragments, nil
}

func command(ctx context.Context, dir, name string, args ...string) ([]byte, error) {
	c := exec.CommandContext(ctx, name, args...)
	c.Dir = dir
	var complaint strings.Builder
	c.Stderr = &complaint
	out, err := c.Output()
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w\n%s", filepath.Base(name), strings.Join(args, " "), err, complaint.String())
	}
	return out, nil
}
