// Package testbed gives tests real engines: a DynamoDB engine with the table of
// template.yaml, and SES with an inbox. Only tests import it.
package testbed

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"go.yaml.in/yaml/v3"
)

// Root returns the project's folder.
func Root() string {
	_, file, _, ok := runtime.Caller(0)
	if !ok {
		panic("testbed: no caller")
	}
	return filepath.Join(filepath.Dir(file), "..", "..")
}

// Config returns a configuration for AWS clients of the engines, which accept any
// credentials.
func Config() aws.Config {
	return aws.Config{
		Region: "eu-central-1",
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "local", SecretAccessKey: "local"}, nil
		}),
		HTTPClient: httpClient{&http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}},
	}
}

// httpClient hides that the SDK's request bodies are an io.WriterTo. Once closed such a body
// fails with io.EOF, and the SDK closes it at the answer: net/http drops the connection of
// an answer that comes before it has looked for the body's end, and the SDK makes the call
// again. An engine on the same busy machine answers as fast as that.
type httpClient struct{ *http.Client }

func (c httpClient) Do(req *http.Request) (*http.Response, error) {
	if req.Body != nil && req.Body != http.NoBody {
		req.Body = struct{ io.ReadCloser }{req.Body}
	}
	return c.Client.Do(req)
}

// Schema is the table of template.yaml.
func Schema() (*dynamodb.CreateTableInput, error) {
	raw, err := os.ReadFile(filepath.Join(Root(), "template.yaml"))
	if err != nil {
		return nil, err
	}
	var template struct {
		Resources map[string]struct {
			Properties yaml.Node `yaml:"Properties"`
		} `yaml:"Resources"`
	}
	if err := yaml.Unmarshal(raw, &template); err != nil {
		return nil, err
	}
	properties := template.Resources[templateTable].Properties
	var plain map[string]any
	if err := properties.Decode(&plain); err != nil {
		return nil, fmt.Errorf("testbed: %s: %w", templateTable, err)
	}
	delete(plain, "DeletionProtectionEnabled") // tests delete their tables
	delete(plain, "TableName")                 // and name them
	text, err := json.Marshal(plain)
	if err != nil {
		return nil, err
	}
	// CloudFormation names the properties as the API does, but for the stream,
	// which is enabled by being there.
	input := &dynamodb.CreateTableInput{}
	if err := json.Unmarshal(text, input); err != nil {
		return nil, err
	}
	if input.StreamSpecification == nil || len(input.KeySchema) != 2 {
		return nil, fmt.Errorf("testbed: %s has no stream or no keys", templateTable)
	}
	input.StreamSpecification.StreamEnabled = aws.Bool(true)
	input.StreamSpecification.StreamViewType = types.StreamViewTypeNewAndOldImages
	return input, nil
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, errors.Join(err, l.Close())
}

// runUntilEOF runs a server until standard input ends. It ends with the test process,
// however that ends.
const runUntilEOF = `"$@" & server=$!; read -r _; kill $server; sleep 2; kill -9 $server 2>/dev/null`

// start runs a server until this process ends, and waits until it answers HTTP.
func start(endpoint, program string, arguments ...string) error {
	var output lastLines
	cmd := exec.Command("sh", append([]string{"-c", runUntilEOF, "sh", program}, arguments...)...)
	cmd.Stdout, cmd.Stderr = &output, &output
	hold, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	failed := make(chan error, 1)
	go func() {
		err := cmd.Wait()
		failed <- fmt.Errorf("testbed: %s: %w\n%s", filepath.Base(program), err, output.String())
		runtime.KeepAlive(hold)
	}()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, endpoint, nil)
		if err != nil {
			return err
		}
		if resp, err := http.DefaultClient.Do(req); err == nil {
			return resp.Body.Close()
		}
		select {
		case err := <-failed:
			return err
		case <-ctx.Done():
			return fmt.Errorf("testbed: %s does not answer\n%s", filepath.Base(program), output.String())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// lastLines keeps the last 20 lines that a server printed.
type lastLines struct {
	mu    sync.Mutex
	lines []string
}

func (t *lastLines) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for s := bufio.NewScanner(strings.NewReader(string(p))); s.Scan(); {
		t.lines = append(t.lines, s.Text())
	}
	t.lines = t.lines[max(0, len(t.lines)-20):]
	return len(p), nil
}

func (t *lastLines) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Join(t.lines, "\n")
}
