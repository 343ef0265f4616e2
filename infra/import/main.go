// Command import registers accounts in bulk by the platform's API, from a CSV file.
// It reads the file as a stream, sends a bounded number of rows at once, and
// continues where it stopped. It knows the API and the form of ids, and nothing else
// of the domain.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"agencyhub/infra/e2e/client"
)

const usage = `usage: import [flags] accounts.csv

A file is CSV, in UTF-8 or UTF-16, and a row is one line. The first row names the
columns: account, name and owner, and plan if you have plans. account is an
account's id, acct_ and 26 characters, or your own id for it, from which one is
derived. The token comes from HUB_TOKEN, or, renewed as needed, by HUB_TOKEN_URL,
HUB_CLIENT_ID and HUB_CLIENT_SECRET. A stack on this machine needs none.
`

func main() {
	c := config{now: time.Now, sleep: sleep, out: os.Stdout, http: &http.Client{Timeout: 40 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: maxWorkers}}}
	flags := flag.NewFlagSet("import", flag.ExitOnError)
	flags.StringVar(&c.url, "url", "", "where the hub is reached; without it, the stack on this machine")
	flags.IntVar(&c.workers, "workers", 8, "how many rows to send at once, 1 to 64")
	data := flags.String("data", ".local", "data folder of a stack on this machine, for its token")
	flags.Usage = func() {
		fmt.Fprint(os.Stderr, usage)
		flags.PrintDefaults()
	}
	_ = flags.Parse(os.Args[1:]) // it exits on an error
	if flags.NArg() != 1 || c.workers < 1 || c.workers > maxWorkers {
		flags.Usage()
		os.Exit(2)
	}
	if info, err := os.Stderr.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
		c.terminal = os.Stderr
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	if c.url, err = baseURL(c.url, *data); err == nil {
		c.token, err = tokens(ctx, c.url, *data)
	}
	if err == nil {
		err = importFile(ctx, c, flags.Arg(0))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "import:", err)
		os.Exit(1)
	}
}

// baseURL returns the URL of the API: the given one, else that of the stack on this
// machine.
func baseURL(url, data string) (string, error) {
	if url != "" {
		return strings.TrimSuffix(url, "/"), nil
	}
	stack, err := client.Find(data)
	if err != nil {
		return "", fmt.Errorf("%w, or say where the hub is: -url https://hub.example.com (URL= with make)", err)
	}
	return stack.PublicURL, nil
}

// tokens returns the source of the platform's tokens.
func tokens(ctx context.Context, url, data string) (oauth2.TokenSource, error) {
	if token := os.Getenv("HUB_TOKEN"); token != "" {
		return oauth2.StaticTokenSource(&oauth2.Token{AccessToken: token}), nil
	}
	flow := clientcredentials.Config{
		TokenURL: os.Getenv("HUB_TOKEN_URL"), ClientID: os.Getenv("HUB_CLIENT_ID"), ClientSecret: os.Getenv("HUB_CLIENT_SECRET"), Scopes: []string{"hub/platform"},
	}
	if flow.TokenURL == "" {
		stack, err := client.Find(data)
		if err != nil || stack.PublicURL != url {
			return nil, errors.New("there is no token: set HUB_TOKEN, or HUB_TOKEN_URL, HUB_CLIENT_ID and HUB_CLIENT_SECRET")
		}
		flow.TokenURL, flow.ClientID, flow.ClientSecret, flow.AuthStyle = stack.OIDC+"/token", stack.Platform, stack.PlatformSecret, oauth2.AuthStyleInParams
	}
	return flow.TokenSource(ctx), nil
}

// importFile imports a file, from where the last run stopped.
func importFile(ctx context.Context, c config, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // it was only read
	info, err := file.Stat()
	if err != nil {
		return err
	}
	c.size, c.name = info.Size(), filepath.Base(path)
	c.progressFile, c.refusedFile = path+".progress", path+".refused.csv"
	return c.run(ctx, file)
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
