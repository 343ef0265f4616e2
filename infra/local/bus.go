package main

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
	"slices"
	"strings"
	"sync"
	"time"
)

// A rule leads events of the account's default bus to a function.
type rule struct {
	name     string
	function string
	pattern  json.RawMessage
}

// An async is how a function takes calls that nobody waits for.
type async struct {
	retries  int
	failures string // the queue of what failed to the last try; "" for none
}

// asyncPause is how long a call that failed waits for its first retry; Lambda
// waits a minute.
const asyncPause = time.Second

// A bus stands for EventBridge: it keeps what is put on the template's buses, and
// leads what AWS's services say on the default bus to functions.
type bus struct {
	names  []string
	rules  []rule
	async  map[string]*async // by function
	folder string            // of what is kept, a file a bus
	queues string
	invoke func(ctx context.Context, function string, payload []byte) ([]byte, error)
	now    func() time.Time
	sleep  func(ctx context.Context, d time.Duration)
	logf   func(format string, args ...any)

	mu  sync.Mutex
	all sync.WaitGroup // events that are on their way to a function
}

// A busEvent is an event as EventBridge hands it on.
type busEvent struct {
	Version    string          `json:"version"`
	ID         string          `json:"id"`
	DetailType string          `json:"detail-type"`
	Source     string          `json:"source"`
	Account    string          `json:"account"`
	Time       string          `json:"time"`
	Region     string          `json:"region"`
	Resources  []string        `json:"resources"`
	Detail     json.RawMessage `json:"detail"`
}

func newBusEvent(source, kind string, at time.Time, detail json.RawMessage) busEvent {
	return busEvent{
		Version: "0", ID: newID(), DetailType: kind, Source: source, Account: accountID,
		Time: at.UTC().Format(time.RFC3339), Region: region, Resources: []string{}, Detail: detail,
	}
}

// publish leads an event of a service to the functions whose rules it matches.
func (b *bus) publish(e busEvent) error {
	payload, err := json.Marshal(e)
	if err != nil {
		return err
	}
	for _, r := range b.rules {
		match, err := passes([]json.RawMessage{r.pattern}, payload)
		if err != nil {
			return err
		}
		if match {
			b.all.Go(func() { b.lead(r.function, payload) })
		}
	}
	return nil
}

// lead calls a function as Lambda does where nobody waits: a few times, then what
// failed goes to its queue.
func (b *bus) lead(function string, payload []byte) {
	how := b.async[function]
	if how == nil {
		how = &async{retries: 2} // Lambda's own
	}
	ctx := context.Background()
	var err error
	for try := range how.retries + 1 {
		if try > 0 {
			b.sleep(ctx, asyncPause<<(try-1))
		}
		if _, err = b.invoke(ctx, function, payload); err == nil || errors.Is(err, errStopping) {
			return
		}
	}
	b.logf("%s failed at an event to the last try", function)
	if how.failures == "" {
		return
	}
	message, err := json.Marshal(map[string]any{
		"version": "1.0", "timestamp": b.now().UTC().Format(time.RFC3339Nano), "requestPayload": json.RawMessage(payload),
		"requestContext": map[string]any{
			"requestId": newID(), "functionArn": functionARN(function), "condition": "RetriesExhausted", "approximateInvokeCount": how.retries + 1,
		},
		"responsePayload": err.Error(),
	})
	if err == nil {
		err = appendLine(filepath.Join(b.queues, how.failures+".jsonl"), message)
	}
	if err != nil {
		b.logf("an event is lost: %v", err)
	}
}

// ServeHTTP answers PutEvents, entry by entry.
func (b *bus) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Entries []struct {
			Source, DetailType, Detail, EventBusName string
			Time                                     float64
			Resources                                []string
		}
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	err := json.NewDecoder(io.LimitReader(r.Body, maxPayload)).Decode(&in)
	if err != nil || len(in.Entries) == 0 || len(in.Entries) > 10 || r.Header.Get("X-Amz-Target") != "AWSEvents.PutEvents" {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"__type":"ValidationException","message":"PutEvents takes 1 to 10 entries; nothing else is served here."}`)
		return
	}
	type result struct {
		EventID      string `json:"EventId,omitempty"`
		ErrorCode    string `json:",omitempty"`
		ErrorMessage string `json:",omitempty"`
	}
	out := struct {
		FailedEntryCount int
		Entries          []result
	}{}
	for _, in := range in.Entries {
		at := b.now()
		if in.Time > 0 {
			at = time.UnixMilli(int64(in.Time * 1000))
		}
		e := newBusEvent(in.Source, in.DetailType, at, json.RawMessage(in.Detail))
		done := result{EventID: e.ID}
		switch {
		case !slices.Contains(b.names, in.EventBusName):
			done = result{ErrorCode: "InvalidArgument", ErrorMessage: "The template has no such bus."}
		case in.Source == "" || in.DetailType == "" || strings.HasPrefix(in.Source, "aws."):
			done = result{ErrorCode: "InvalidArgument", ErrorMessage: "Source and DetailType are needed, and no source of AWS's."}
		case !bytes.HasPrefix(bytes.TrimSpace(e.Detail), []byte("{")) || !json.Valid(e.Detail):
			done = result{ErrorCode: "MalformedDetail", ErrorMessage: "Detail is no JSON object."}
		default:
			if err := b.keep(in.EventBusName, e); err != nil {
				done = result{ErrorCode: "InternalFailure", ErrorMessage: err.Error()}
			}
		}
		if done.ErrorCode != "" {
			out.FailedEntryCount++
		}
		out.Entries = append(out.Entries, done)
	}
	_ = json.NewEncoder(w).Encode(out) // a caller who went away needs none
}

func (b *bus) keep(name string, e busEvent) error {
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return appendLine(filepath.Join(b.folder, name+".jsonl"), line)
}

// printEvents prints the last entries of the buses, the newest at the end, of one
// type or, where that is "", of all, and answers how many.
func printEvents(data, kind string, last int, out io.Writer) (int, error) {
	files, err := filepath.Glob(filepath.Join(data, "data", "bus", "*.jsonl"))
	if err != nil {
		return 0, err
	}
	var lines [][]byte
	for _, path := range files {
		content, err := os.ReadFile(path)
		if err != nil {
			return 0, err
		}
		for line := range bytes.Lines(content) {
			var e busEvent
			if err := json.Unmarshal(line, &e); err != nil {
				return 0, fmt.Errorf("%s: %w", path, err)
			}
			if kind == "" || kind == e.DetailType {
				lines = append(lines, line)
			}
		}
	}
	lines = lines[max(0, len(lines)-last):]
	for _, line := range lines {
		var pretty bytes.Buffer
		if err := json.Indent(&pretty, line, "", "  "); err != nil {
			return 0, err
		}
		if _, err := pretty.WriteTo(out); err != nil {
			return 0, err
		}
	}
	return len(lines), nil
}
