// Command local runs the whole product on one machine: the production binaries under
// the real Lambda Runtime API, wired as template.yaml says, with stand-ins for
// DynamoDB, SES and the OIDC issuer. README.md beside this file describes it.
//
//	local run             runs the stack; Ctrl-C stops it
//	local token EMAIL     prints an id token of the running stack's issuer
//	local token -platform prints an access token of the platform's own software
//	local cleanup         runs the cleanup function now and prints its report
//	local redrive         runs cleanup until every unfinished event is due, and prints
//	                      each report
//	local events          prints the last events of the bus, the newest at the end
//	local failures        prints the messages of the on-failure queues
//	local invoke FUNCTION invokes a function, such as delivery, with the event on stdin, which is
//	                      JSON; nothing is {}
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"agencyhub/infra/local/disk"
	"agencyhub/infra/local/process"
	"agencyhub/infra/local/standins"
)

func main() {
	if err := command(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "local:", err)
		os.Exit(1)
	}
}

func command(args []string) error {
	name := ""
	if len(args) > 0 {
		name, args = args[0], args[1:]
	}
	flags := flag.NewFlagSet(name, flag.ExitOnError)
	data := flags.String("data", ".local", "folder of the stack's data, binaries and stack.json")
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	switch name {
	case "run":
		return run(ctx, flags, data, args)
	case "token":
		return token(ctx, flags, data, args)
	case "cleanup", "redrive":
		if err := parse(flags, args, 0); err != nil {
			return err
		}
		if name == "redrive" {
			return redrive(ctx, *data, os.Stdout)
		}
		_, err := cleanup(ctx, *data, "", os.Stdout)
		return err
	case "events":
		kind := flags.String("type", "", "only events of this type")
		last := flags.Int("last", 20, "how many")
		if err := parse(flags, args, 0); err != nil {
			return err
		}
		printed, err := standins.PrintEvents(filepath.Join(*data, "data"), *kind, *last, os.Stdout)
		if err == nil && printed == 0 {
			fmt.Fprintln(os.Stderr, "The bus has nothing like that yet.")
		}
		return err
	case "failures":
		if err := parse(flags, args, 0); err != nil {
			return err
		}
		return failures(*data, os.Stdout)
	case "invoke":
		if err := parse(flags, args, 1); err != nil {
			return err
		}
		_, err := post(ctx, *data, "/functions/"+flags.Arg(0), os.Stdin, os.Stdout)
		return err
	}
	return fmt.Errorf("usage: local run|token EMAIL|cleanup|redrive|events|failures|invoke FUNCTION [flags]; `local run -h` lists the flags")
}

// parse takes flags before and after exactly n other arguments.
func parse(flags *flag.FlagSet, args []string, n int) error {
	var others []string
	for len(args) > 0 {
		if err := flags.Parse(args); err != nil {
			return err
		}
		if args = flags.Args(); len(args) > 0 {
			others, args = append(others, args[0]), args[1:]
		}
	}
	if len(others) != n {
		return fmt.Errorf("%s takes %d arguments, not %d", flags.Name(), n, len(others))
	}
	return flags.Parse(others)
}

func run(ctx context.Context, flags *flag.FlagSet, data *string, args []string) error {
	o := options{set: map[string]string{}}
	flags.StringVar(&o.template, "template", "template.yaml", "the template; functions/ lies beside it")
	flags.StringVar(&o.bin, "bin", "", "folder of the functions' binaries (default DATA/bin)")
	flags.IntVar(&o.http, "http", 8080, "port of the gateway; 0 takes a free one, here and below")
	flags.IntVar(&o.ses, "ses", 8005, "port of the mailbox that stands for SES")
	flags.IntVar(&o.oidc, "oidc", 8090, "port of the OIDC issuer and its sign-in page")
	flags.DurationVar(&o.pageToken, "page-token", 10*time.Minute, "how long the id token of a page's session lasts, before it is renewed")
	flags.IntVar(&o.dynamodb, "dynamodb", 8000, "port of the DynamoDB engine")
	flags.BoolVar(&o.fresh, "fresh", false, "start empty: delete the data first")
	flags.BoolVar(&o.schedules, "schedules", true, "run schedules on time; without, only on demand")
	flags.BoolVar(&o.streams, "streams", true, "invoke functions from streams; without, nothing is mailed and nothing is on the bus")
	flags.BoolVar(&o.checkRoles, "roles", false, "functions can do what their roles allow and nothing else; makes each call about 0.3 ms slower")
	flags.Func("set", "a parameter of the template, as Name=Value; repeatable", func(s string) error {
		name, value, ok := strings.Cut(s, "=")
		if !ok {
			return fmt.Errorf("%q is not Name=Value", s)
		}
		o.set[name] = value
		return nil
	})
	if err := parse(flags, args, 0); err != nil {
		return err
	}
	o.data = *data
	return runStack(ctx, o, process.NewTerminal(os.Stdout))
}

func token(ctx context.Context, flags *flag.FlagSet, data *string, args []string) error {
	s := signIn{}
	flags.StringVar(&s.subject, "subject", "", "sign in as this subject, in place of the one that belongs to the address")
	flags.BoolVar(&s.unverified, "unverified", false, "the address is not verified")
	flags.StringVar(&s.scope, "scope", "openid email", "the scopes to ask for; without email the token carries no address")
	platform := flags.Bool("platform", false, "a token of the platform's own software, for its calls; no address is given then")
	addresses := 1
	if slices.ContainsFunc(args, func(a string) bool { return strings.TrimLeft(a, "-") == "platform" }) {
		addresses = 0
	}
	if err := parse(flags, args, addresses); err != nil {
		return err
	}
	s.email = flags.Arg(0)
	r, err := readRunning(*data)
	if err != nil {
		return err
	}
	get := s.token
	if *platform {
		get = platformToken
	}
	token, err := get(ctx, r)
	if err == nil {
		fmt.Println(token)
	}
	return err
}

// cleanup runs the cleanup function now, prints its report and returns it. An input of
// "" is its schedule's own.
func cleanup(ctx context.Context, data, input string, out io.Writer) ([]byte, error) {
	return post(ctx, data, "/schedules/cleanup", strings.NewReader(input), out)
}

// post makes a call of the running stack's control, prints the response and returns it.
func post(ctx context.Context, data, path string, input io.Reader, out io.Writer) ([]byte, error) {
	r, err := readRunning(data)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.Control+path, input)
	if err != nil {
		return nil, err
	}
	res, err := (&http.Client{Timeout: 2 * time.Minute}).Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s failed: %s", path[strings.LastIndexByte(path, '/')+1:], strings.TrimSpace(string(body)))
	}
	_, err = fmt.Fprintf(out, "%s\n", body)
	return body, err
}

// redrive makes every unfinished event due, in as many runs of cleanup as that takes.
func redrive(ctx context.Context, data string, out io.Writer) error {
	failed := 0
	for input := `{"redrive":true}`; input != "null"; {
		body, err := cleanup(ctx, data, input, out)
		if err != nil {
			return err
		}
		var report struct {
			RedriveFailed int
			Next          json.RawMessage
		}
		if err := json.Unmarshal(body, &report); err != nil || report.Next == nil {
			return fmt.Errorf("cleanup answered without saying how to go on: %s", body)
		}
		if string(report.Next) == input {
			return fmt.Errorf("cleanup got nowhere: see its log, then repeat `make redrive`")
		}
		failed += report.RedriveFailed
		input = string(report.Next)
	}
	if failed > 0 {
		return fmt.Errorf("the redrive failed %d times: see cleanup's log, then repeat `make redrive`", failed)
	}
	return nil
}

// failures prints the messages of all on-failure queues, one a line. The stack need
// not run.
func failures(data string, out io.Writer) error {
	files, err := filepath.Glob(disk.QueueFile(filepath.Join(data, "data"), "*"))
	if err != nil {
		return err
	}
	for _, path := range files {
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if _, err := out.Write(b); err != nil {
			return err
		}
	}
	return nil
}
