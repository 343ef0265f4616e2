// Command demo plays the product's story against the running stack, and prints
// each step: what happens, who does it, the HTTP call with its answer in short,
// and the emails that it caused. It can be played any number of times: each
// time people with new addresses do it.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"agencyhub/infra/e2e/client"
)

func main() {
	data := flag.String("data", ".local", "folder of the running stack's data")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *data, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// run plays the whole story. Its error names the step that failed.
func run(ctx context.Context, data string, out io.Writer) error {
	stack, err := client.Find(data)
	if err != nil {
		return err
	}
	s := newDemo(stack, out)
	if s.play(ctx); s.err != nil {
		return fmt.Errorf("step %d (%s) failed: %w", s.number, s.title, s.err)
	}
	s.goodbye()
	return nil
}
