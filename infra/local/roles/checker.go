package roles

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"
)

// A Checker refuses calls of functions that their roles do not allow, and notes which
// permissions they have used. Lambda gives each function an access key of its own, whose
// id is the function's name: it is in each call's signature. Calls with another key are
// not a function's, and are not checked.
type Checker struct {
	region, account string
	partitionKeys   map[string]string // by the table's name
	roles           map[string]Role   // by the function's name
	logf            func(format string, args ...any)

	mu       sync.Mutex
	used     map[string]map[Permission]bool
	byLambda map[string]map[Permission]bool
}

// NewChecker returns a checker that has seen no call. roles are by the function's name,
// partitionKeys by the table's.
func NewChecker(region, account string, roles map[string]Role, partitionKeys map[string]string, logf func(format string, args ...any)) *Checker {
	c := &Checker{
		region: region, account: account, roles: roles, partitionKeys: partitionKeys, logf: logf,
		used: map[string]map[Permission]bool{}, byLambda: map[string]map[Permission]bool{},
	}
	for name := range roles {
		c.used[name], c.byLambda[name] = map[Permission]bool{}, map[Permission]bool{}
	}
	return c
}

// A Use says whether a function has used what its role allows.
type Use struct {
	Function string `json:"function"`
	Permission
	Used bool `json:"used"`
	// ByLambda is true of what Lambda itself does by the role. Nothing here does it.
	ByLambda bool `json:"byLambda"`
}

// Uses returns what the roles allow.
func (c *Checker) Uses() []Use {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := []Use{}
	for name, role := range c.roles {
		for _, p := range role.Permissions() {
			all = append(all, Use{name, p, c.used[name][p], c.byLambda[name][p]})
		}
	}
	return all
}

// Use notes the requests of a call by a function's role. Its error names what the role does
// not allow. A call is allowed as a whole or not at all.
func (c *Checker) Use(function string, requests ...Request) error {
	return c.note(c.used, function, requests)
}

// LambdaDoes notes what Lambda itself does by a function's role, such as reading a stream.
// Its error names what the role does not allow.
func (c *Checker) LambdaDoes(function string, calls ...Permission) error {
	requests := make([]Request, len(calls))
	for i, call := range calls {
		requests[i] = Request{Permission: call}
	}
	return c.note(c.byLambda, function, requests)
}

func (c *Checker) note(where map[string]map[Permission]bool, function string, requests []Request) error {
	used := make([]Permission, len(requests))
	for i, q := range requests {
		var ok bool
		if used[i], ok = c.roles[function].Allow(q); !ok {
			return fmt.Errorf("the role of %s does not allow %s on %s", function, q.Action, safe(q.Resource))
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range used {
		where[function][p] = true
	}
	return nil
}

var credential = regexp.MustCompile(`Credential=([^/,]+)/`)

// caller returns the function that has signed a call.
func (c *Checker) caller(r *http.Request) (string, bool) {
	m := credential.FindStringSubmatch(r.Header.Get("Authorization"))
	if m == nil {
		return "", false
	}
	_, ok := c.roles[m[1]]
	return m[1], ok
}

// check decides on a call whose requests are known, unless err says why not.
func (c *Checker) check(function string, requests []Request, err error) error {
	if err != nil {
		return fmt.Errorf("a call of %s can't be checked: %w", function, err)
	}
	return c.Use(function, requests...)
}

// Cloud checks the calls of SES and EventBridge that next serves.
func (c *Checker) Cloud(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		function, ok := c.caller(r)
		if !ok {
			next.ServeHTTP(w, r)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler) // the function is gone
		}
		requests, err := c.cloud(r, body)
		if err := c.check(function, requests, err); err != nil {
			status := http.StatusForbidden // as SES
			if r.Header.Get("X-Amz-Target") != "" {
				status = http.StatusBadRequest
			}
			c.refuse(w, status, "AccessDeniedException", err)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		next.ServeHTTP(w, r)
	})
}

// DynamoDB signs the calls of functions for the DynamoDB at endpoint, and passes them on.
func (c *Checker) DynamoDB(endpoint string, sign func(ctx context.Context, r *http.Request, body []byte) error) http.Handler {
	client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true}}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		function, ok := c.caller(r)
		if !ok {
			http.Error(w, "only functions call this", http.StatusForbidden)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler) // the function is gone
		}
		target := r.Header.Get("X-Amz-Target")
		requests, err := c.dynamodb(target[strings.LastIndexByte(target, '.')+1:], body)
		if err := c.check(function, requests, err); err != nil {
			c.refuse(w, http.StatusBadRequest, "com.amazon.coral.service#AccessDeniedException", err)
			return
		}
		out, err := http.NewRequestWithContext(r.Context(), http.MethodPost, endpoint, bytes.NewReader(body))
		if err == nil {
			out.Header.Set("Content-Type", r.Header.Get("Content-Type"))
			out.Header.Set("X-Amz-Target", target)
			err = sign(r.Context(), out, body)
		}
		var res *http.Response
		if err == nil {
			res, err = client.Do(out)
		}
		if err != nil {
			panic(http.ErrAbortHandler) // no answer of DynamoDB is none of ours
		}
		defer res.Body.Close()
		answer, err := io.ReadAll(res.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		header := w.Header()
		for name, values := range res.Header {
			header[name] = values
		}
		w.WriteHeader(res.StatusCode)
		_, _ = w.Write(answer) // fails when the function is gone
	})
}

// refuse writes what AWS does where a role does not allow a call.
func (c *Checker) refuse(w http.ResponseWriter, status int, kind string, err error) {
	c.logf("AccessDenied: %v", err)
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	w.Header().Set("X-Amzn-ErrorType", kind)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"__type": kind, "message": err.Error()}) // fails when the function is gone
}
