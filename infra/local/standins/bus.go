package standins

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

	"agencyhub/infra/local/disk"
	"agencyhub/infra/local/lambda"
	"agencyhub/infra/local/pattern"
	"agencyhub/infra/local/template"
)

// firstRetry is how long an asynchronous invocation waits for its first retry. Lambda
// waits a minute.
const firstRetry = time.Second

// A Bus stands in for EventBridge: it keeps what is put on the template's buses, and
// sends the events of AWS services on the default bus to functions.
type Bus struct {
	Stack  *template.Stack
	Data   string // the stack's data folder
	Invoke lambda.Invoke
	Now    func() time.Time
	Sleep  func(ctx context.Context, d time.Duration)
	Logf   func(format string, args ...any)

	Deliveries sync.WaitGroup // events on their way to a function

	mu sync.Mutex
}

// An Event is an event in the envelope of EventBridge.
type Event struct {
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

func newEvent(source, kind string, at time.Time, detail json.RawMessage) Event {
	return Event{
		Version: "0", ID: lambda.NewID(), DetailType: kind, Source: source, Account: template.AccountID,
		Time: at.UTC().Format(time.RFC3339), Region: template.Region, Resources: []string{}, Detail: detail,
	}
}

// Publish puts an event on the default bus: it invokes the functions whose rules match.
func (b *Bus) Publish(e Event) error {
	payload, err := json.Marshal(e)
	if err != nil {
		return err
	}
	for _, r := range b.Stack.Rules {
		match, err := pattern.Match([]json.RawMessage{r.Pattern}, payload)
		if err != nil {
			return err
		}
		if match {
			b.Deliveries.Go(func() { b.deliver(r.Function, payload) })
		}
	}
	return nil
}

// deliver invokes a function asynchronously, as Lambda does: with retries, and an
// on-failure queue after the last.
func (b *Bus) deliver(function string, payload []byte) {
	how := &template.Async{Retries: 2} // Lambda's own
	for _, f := range b.Stack.Functions {
		if f.ID == function && f.Async != nil {
			how = f.Async
		}
	}
	ctx := context.Background()
	var err error
	for try := range how.Retries + 1 {
		if try > 0 {
			b.Sleep(ctx, firstRetry<<(try-1))
		}
		if _, err = b.Invoke(ctx, function, payload); err == nil || errors.Is(err, lambda.ErrStopping) {
			return
		}
	}
	b.Logf("%s failed at an event to the last try", function)
	if how.Failures == "" {
		return
	}
	err = disk.AppendJSON(disk.QueueFile(b.Data, how.Failures), map[string]any{
		"version": "1.0", "timestamp": b.Now().UTC().Format(time.RFC3339Nano), "requestPayload": json.RawMessage(payload),
		"requestContext": map[string]any{
			"requestId": lambda.NewID(), "functionArn": template.FunctionARN(function), "condition": "RetriesExhausted", "approximateInvokeCount": how.Retries + 1,
		},
		"responsePayload": err.Error(),
	})
	if err != nil {
		b.Logf("an event is lost: %v", err)
	}
}

// ServeHTTP serves PutEvents.
func (b *Bus) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Entries []struct {
			Source, DetailType, Detail, EventBusName string
			Time                                     float64
			Resources                                []string
		}
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	err := json.NewDecoder(io.LimitReader(r.Body, lambda.MaxPayload)).Decode(&in)
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
		at := b.Now()
		if in.Time > 0 {
			at = time.UnixMilli(int64(in.Time * 1000))
		}
		e := newEvent(in.Source, in.DetailType, at, json.RawMessage(in.Detail))
		done := result{EventID: e.ID}
		switch {
		case !slices.Contains(b.Stack.Buses, in.EventBusName):
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
	_ = json.NewEncoder(w).Encode(out) // fails when the caller has gone
}

func (b *Bus) keep(name string, e Event) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return disk.AppendJSON(filepath.Join(b.Data, "bus", name+".jsonl"), e)
}

// PrintEvents prints the last entries of the buses below the data folder, the newest
// at the end, and returns their number. It prints only events of the type kind unless
// that is "".
func PrintEvents(data, kind string, last int, out io.Writer) (int, error) {
	files, err := filepath.Glob(filepath.Join(data, "bus", "*.jsonl"))
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
			var e Event
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
