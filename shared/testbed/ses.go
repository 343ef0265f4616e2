package testbed

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sesv2"

	"agencyhub/shared/testbed/sesrules"
)

var sesEndpoint = sync.OnceValues(startSES)

// SES returns a client of this test process's own SES, and its inbox, which it empties.
// SES is started on first use and stopped with the process. All tests of a process share
// it, so tests that use it must not run in parallel.
func SES(t testing.TB) (*sesv2.Client, Inbox) {
	t.Helper()
	endpoint, err := sesEndpoint()
	if err != nil {
		t.Fatal(err)
	}
	inbox := Inbox{endpoint}
	inbox.clear(t)
	return sesv2.NewFromConfig(Config(), func(o *sesv2.Options) { o.BaseEndpoint = &endpoint }), inbox
}

// startSES starts aws-ses-v2-local, which keeps emails in memory, on a free port, and
// before it what refuses the calls that SES refuses. It returns the address of that.
func startSES() (endpoint string, err error) {
	program := filepath.Join(Root(), "infra", "local", "node_modules", "aws-ses-v2-local", "dist", "cli.js")
	if _, err := os.Stat(program); err != nil {
		return "", fmt.Errorf("testbed: the local SES is not installed; run: make setup")
	}
	port, err := freePort()
	if err != nil {
		return "", err
	}
	mailbox := &url.URL{Scheme: "http", Host: "127.0.0.1:" + port}
	if err := start(mailbox.String(), "node", program, "--host", "127.0.0.1", "--port", port); err != nil {
		return "", err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	pass := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(mailbox) }}
	server := &http.Server{Handler: sesrules.Handler(pass), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(l) }() // it ends with the process
	return "http://" + l.Addr().String(), nil
}

// Inbox has the emails that the local SES was sent.
type Inbox struct{ endpoint string }

// Email is one email in the inbox.
type Email struct {
	MessageID   string `json:"messageId"`
	From        string `json:"from"`
	Destination struct {
		To []string `json:"to"`
	} `json:"destination"`
	Subject string `json:"subject"`
	Body    struct {
		Text string `json:"text"`
		HTML string `json:"html"`
	} `json:"body"`
	Headers []struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	} `json:"headers"`
}

// Header returns the value of a header of our own; "" for none.
func (e Email) Header(name string) string {
	for _, h := range e.Headers {
		if h.Name == name {
			return h.Value
		}
	}
	return ""
}

// Emails returns all emails so far, the oldest first.
func (i Inbox) Emails(t testing.TB) []Email {
	t.Helper()
	var sent struct {
		Emails []Email `json:"emails"`
	}
	resp := i.call(t, http.MethodGet, "/store")
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&sent); err != nil {
		t.Fatal(err)
	}
	return sent.Emails
}

func (i Inbox) clear(t testing.TB) {
	t.Helper()
	resp := i.call(t, http.MethodPost, "/clear-store")
	_ = resp.Body.Close()
}

func (i Inbox) call(t testing.TB, method, path string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, i.endpoint+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("the inbox answers %s to %s", resp.Status, path)
	}
	return resp
}
