package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Rows are tried again after pauses that double up to a maximum. A pause that the
// API asks for comes first, within bounds.
const (
	maxTries     = 8
	firstPause   = 200 * time.Millisecond
	longestPause = 20 * time.Second
	longestWait  = 5 * time.Minute
)

// A refusal is why the API does not take a row.
type refusal struct{ code, reason string }

// An outcome is what became of a row.
type outcome struct {
	// created is set for a new account. Otherwise it was there, perhaps by an earlier
	// try that got no answer.
	created bool
	// refused is nil for a row that was taken.
	refused *refusal
}

// send registers a row's account. An error is not about the row, but about the API or
// the way to it.
func (c *config) send(ctx context.Context, r row) (outcome, error) {
	body, err := json.Marshal(struct {
		Name       string `json:"name"`
		OwnerEmail string `json:"ownerEmail"`
		Plan       string `json:"plan,omitempty"`
	}{r.name, r.ownerEmail, r.planID})
	if err != nil {
		return outcome{}, err
	}
	var failure error
	pause := firstPause
	for try := range maxTries {
		if try > 0 {
			wait := min(pause/2+rand.N(pause), longestPause) //nolint:gosec // a pause, not a secret
			if after := retryAfter(failure); after > 0 {
				wait = min(after, longestWait)
			}
			if err := c.sleep(ctx, wait); err != nil {
				return outcome{}, err
			}
			pause = min(2*pause, longestPause)
		}
		out, err := c.put(ctx, r, body)
		if err == nil {
			return out, nil
		}
		if _, again := errors.AsType[*temporary](err); !again || ctx.Err() != nil {
			return outcome{}, err
		}
		failure = err
	}
	return outcome{}, fmt.Errorf("after %d tries: %w", maxTries, failure)
}

// A temporary error may be gone at the next try.
type temporary struct {
	error
	wait time.Duration
}

func (p *temporary) Unwrap() error { return p.error }

func retryAfter(err error) time.Duration {
	if p, ok := errors.AsType[*temporary](err); ok {
		return p.wait
	}
	return 0
}

func (c *config) put(ctx context.Context, r row, body []byte) (outcome, error) {
	token, err := c.token.Token()
	if err != nil {
		return outcome{}, fmt.Errorf("there is no token: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, c.url+"/v1/platform/accounts/"+string(r.account), bytes.NewReader(body))
	if err != nil {
		return outcome{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	token.SetAuthHeader(req)
	res, err := c.http.Do(req)
	if err != nil {
		return outcome{}, &temporary{error: fmt.Errorf("the hub can't be reached: %w", err)}
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return outcome{}, &temporary{error: fmt.Errorf("the hub's answer breaks off: %w", err)}
	}
	switch {
	case res.StatusCode == http.StatusCreated, res.StatusCode == http.StatusOK:
		var account struct{ ID string }
		if err := json.Unmarshal(answer, &account); err != nil || account.ID != string(r.account) {
			return outcome{}, fmt.Errorf("what answers is no hub: %s without the account. Check the URL", res.Status)
		}
		return outcome{created: res.StatusCode == http.StatusCreated}, nil
	case res.StatusCode >= 300 && res.StatusCode < 400:
		return outcome{}, fmt.Errorf("what answers is no hub: %s. Check the URL", res.Status)
	case res.StatusCode == http.StatusUnauthorized || res.StatusCode == http.StatusForbidden:
		return outcome{}, fmt.Errorf("the hub does not take the token (%s): it must be of the platform's own client, with the scope hub/platform", res.Status)
	case res.StatusCode == http.StatusTooManyRequests || res.StatusCode >= 500:
		seconds, _ := strconv.Atoi(res.Header.Get("Retry-After")) // without one, or with a date, 0
		return outcome{}, &temporary{fmt.Errorf("the hub answers %s", res.Status), time.Duration(seconds) * time.Second}
	}
	var problem struct {
		Code, Detail string
		Errors       []struct{ Field, Message string }
	}
	if err := json.Unmarshal(answer, &problem); err != nil || problem.Code == "" {
		return outcome{}, fmt.Errorf("what answers is no hub: %s. Check the URL", res.Status)
	}
	out := &refusal{problem.Code, problem.Detail}
	if len(problem.Errors) > 1 {
		out.reason = ""
		for _, e := range problem.Errors {
			out.reason += columnOf(e.Field) + ": " + e.Message + " "
		}
	}
	return outcome{refused: out}, nil
}

// columnOf returns the name of the column of which a field of the API is made.
func columnOf(field string) string {
	name := field[strings.LastIndex(field, ".")+1:]
	if name == "ownerEmail" {
		return "owner"
	}
	return name
}
