// Package client uses a running stack from outside: it signs in by OIDC, calls the
// API with the token, and reads the inbox. It knows addresses and HTTP, and nothing
// of the domain.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// A Stack is the content of a running stack's stack.json.
type Stack struct {
	PublicURL string `json:"publicUrl"`
	SES       string `json:"ses"`   // the inbox
	Cloud     string `json:"cloud"` // the API of SES and EventBridge
	OIDC      string `json:"oidc"`
	DynamoDB  string `json:"dynamodb"`
	Control   string `json:"control"`
	ClientID  string `json:"clientId"`
	// Platform is the id of the client of the platform's own software.
	Platform       string `json:"platform"`
	PlatformSecret string `json:"platformSecret"`

	Table  string `json:"table"`
	Region string `json:"region"`
	PID    int    `json:"pid"`
	Data   string `json:"data"`
}

// Find returns the stack that runs on this data folder. Without one, the error says
// what to do.
func Find(data string) (*Stack, error) {
	content, err := os.ReadFile(filepath.Join(data, "stack.json"))
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("no stack runs on %s: start one with `make run`", data)
	}
	if err != nil {
		return nil, err
	}
	var s Stack
	if err := json.Unmarshal(content, &s); err != nil {
		return nil, fmt.Errorf("%s/stack.json: %w", data, err)
	}
	if errors.Is(syscall.Kill(s.PID, 0), syscall.ESRCH) {
		return nil, fmt.Errorf("no stack runs on %s any more, it was killed: start one with `make run`", data)
	}
	return &s, nil
}

var httpClient = &http.Client{
	Timeout:       40 * time.Second,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	Transport:     &http.Transport{MaxIdleConnsPerHost: 32},
}

// An Answer is an HTTP response, read to its end.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Call makes a request to the gateway. The path begins with a slash; a nil body is
// not sent. Headers are pairs of a name and a value.
func (s *Stack) Call(ctx context.Context, method, path string, body []byte, header ...string) (*Answer, error) {
	return send(ctx, method, s.PublicURL+path, body, header...)
}

func send(ctx context.Context, method, url string, body []byte, header ...string) (*Answer, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := httpClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	content, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	return &Answer{Status: res.StatusCode, Header: res.Header, Body: content}, nil
}

// Cleanup runs the scheduled cleanup now and returns its report.
func (s *Stack) Cleanup(ctx context.Context) ([]byte, error) {
	answer, err := send(ctx, http.MethodPost, s.Control+"/schedules/cleanup", nil)
	if err != nil {
		return nil, err
	}
	if answer.Status != http.StatusOK {
		return nil, fmt.Errorf("cleanup failed: %d %s", answer.Status, answer.Body)
	}
	return answer.Body, nil
}

// A Use says whether a function has used what its role allows, since the stack's start.
type Use struct {
	Function, Action, Resource string
	Used                       bool
	ByLambda                   bool // Lambda itself does it by the role
}

// Roles returns what the functions' roles allow, of a stack that was started with -roles.
func (s *Stack) Roles(ctx context.Context) ([]Use, error) {
	answer, err := send(ctx, http.MethodGet, s.Control+"/roles", nil)
	if err != nil {
		return nil, err
	}
	if answer.Status != http.StatusOK {
		return nil, fmt.Errorf("the roles: %d %s", answer.Status, answer.Body)
	}
	var uses []Use
	return uses, json.Unmarshal(answer.Body, &uses)
}

// An Email is an email in the inbox.
type Email struct {
	ID      string
	From    string
	To      string // all recipients, comma-separated
	Subject string
	Text    string
	HTML    string
	Header  map[string]string // those that the sender has set
	At      time.Time         // to the second
}

// Emails returns the emails in the inbox since a second, the oldest first. The zero
// time stands for all.
func (s *Stack) Emails(ctx context.Context, since time.Time) ([]Email, error) {
	url := s.SES + "/store"
	if !since.IsZero() {
		url += fmt.Sprintf("?since=%d", since.Unix())
	}
	answer, err := send(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	var store struct {
		Emails []struct {
			MessageID   string
			From        string
			Destination struct{ To, CC, BCC []string }
			Subject     string
			Body        struct{ HTML, Text string }
			Headers     []struct{ Name, Value string }
			At          int64
		}
	}
	if answer.Status != http.StatusOK {
		return nil, fmt.Errorf("the inbox answered %d: %.200s", answer.Status, answer.Body)
	}
	if err := json.Unmarshal(answer.Body, &store); err != nil {
		return nil, fmt.Errorf("the inbox's answer: %w", err)
	}
	var emails []Email
	for _, e := range store.Emails {
		to := ""
		for _, list := range [][]string{e.Destination.To, e.Destination.CC, e.Destination.BCC} {
			for _, address := range list {
				if to != "" {
					to += ", "
				}
				to += address
			}
		}
		header := map[string]string{}
		for _, h := range e.Headers {
			header[h.Name] = h.Value
		}
		emails = append(emails, Email{
			ID: e.MessageID, From: e.From, To: to, Subject: e.Subject, Header: header,
			Text: e.Body.Text, HTML: e.Body.HTML, At: time.Unix(e.At, 0),
		})
	}
	return emails, nil
}
