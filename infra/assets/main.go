// Command assets zips what the console's pages load into functions/console/static,
// which is built into the function: API Gateway's HTTP APIs do not compress. The
// sources are the project's own style sheets, script and icon, and two npm packages.
// It runs in any folder of the module.
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

// Folders, relative to the module's root.
const (
	target  = "functions/console/static"
	own     = "functions/console/style"
	modules = "infra/local/node_modules"
)

// sources are the source files, by the names under which pages load them.
var sources = map[string]string{
	"app.css":  own + "/app.css",
	"docs.css": own + "/docs.css",
	"app.js":   own + "/app.js",
	"icon.svg": own + "/icon.svg",
	"pico.css": modules + "/@picocss/pico/css/pico.min.css",
	"htmx.js":  modules + "/htmx.org/dist/htmx.min.js",
}

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "assets:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return err
	}
	root := strings.TrimSpace(string(out))
	for name, source := range sources {
		content, err := os.ReadFile(filepath.Join(root, source))
		if err != nil {
			return err
		}
		zipped, err := compress(content)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(root, target, name+".gz"), zipped, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// compress returns the same bytes each time.
func compress(content []byte) ([]byte, error) {
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
