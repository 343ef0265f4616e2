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
	"time"
)

// How often a row is tried, with pauses that double up to the longest. A hub that
// says how long to wait is believed, within bounds.
const (
	mostTries    = 8
	firstPause   = 200 * time.Millisecond
	longestPause = 20 * time.Second
	longestWait  = 5 * time.Minute
)

// A refusal is what the hub says of a row that it does not take.
type refusal struct{ code, reason string }

// send registers a row's account. nil and no error is done; an error is of the
// hub or of the way there, and says nothing of the row.
func (c *config) send(ctx context.Context, r row) (*refusal, error) {
	body, err := json.Marshal(struct {
		Name       string `json:"name"`
		OwnerEmail string `json:"ownerEmail"`
		Plan       string `json:"plan,omitempty"`
	}{r.name, r.ownerEmail, r.planID})
	if err != nil {
		return nil, err
	}
	var failure error
	pause := firstPause
	for try := range mostTries {
		if try > 0 {
			wait := min(pause/2+rand.N(pause), longestPause) //nolint:gosec // a pause, not a secret
			if told := waitOf(failure); told > 0 {
				wait = min(told, longestWait)
			}
			if err := c.sleep(ctx, wait); err != nil {
				return nil, err
			}
			pause = min(2*pause, longestPause)
		}
		refused, err := c.put(ctx, r, body)
		if err == nil {
			return refused, nil
		}
		if _, again := errors.AsType[*passing](err); !again || ctx.Err() != nil {
			return nil, err
		}
		failure = err
	}
	return nil, fmt.Errorf("after %d tries: %w", mostTries, failure)
}

// A passing failure may be gone the next time.
type passing struct {
	error
	wait time.Duration
}

func (p *passing) Unwrap() error { return p.error }

func waitOf(err error) time.Duration {
	if p, ok := errors.AsType[*passing](err); ok {
		return p.wait
	}
	return 0
}

func (c *config) put(ctx context.Context, r row, body []byte) (*refusal, error) {
	token, err := c.token.Token()
	if err != nil {
		return nil, fmt.Errorf("there is no token: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, c.url+"/v1/platform/accounts/"+string(r.account), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	token.SetAuthHeader(req)
	res, err := c.http.Do(req)
	if err != nil {
		return nil, &passing{error: fmt.Errorf("the hub can't be reached: %w", err)}
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return nil, &passing{error: fmt.Errorf("the hub's answer breaks off: %w", err)}
	}
	switch {
	case res.StatusCode == http.StatusOK:
		return nil, nil
	case res.StatusCode == http.StatusUnauthorized || res.StatusCode == http.StatusForbidden:
		return nil, fmt.Errorf("the hub does not take the token (%s): it must be of the platform's own client, with the scope hub/platform", res.Status)
	case res.StatusCode == http.StatusTooManyRequests || res.StatusCode >= 500:
		seconds, _ := strconv.Atoi(res.Header.Get("Retry-After")) // without one, or with a date, 0
		return nil, &passing{fmt.Errorf("the hub answers %s", res.Status), time.Duration(seconds) * time.Second}
	}
	var problem struct {
		Code, Detail string
		Errors       []struct{ Field, Message string }
	}
	if err := json.Unmarshal(answer, &problem); err != nil || problem.Code == "" {
		return nil, fmt.Errorf("what answers there is no hub: %s", res.Status)
	}
	out := &refusal{problem.Code, problem.Detail}
	if len(problem.Errors) > 1 {
		out.reason = ""
		for _, e := range problem.Errors {
			out.reason += e.Field + ": " + e.Message + " "
		}
	}
	return out, nil
}
