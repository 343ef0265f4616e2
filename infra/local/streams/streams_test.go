package streams

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"agencyhub/infra/local/disk"
	"agencyhub/infra/local/dynamodb"
	"agencyhub/infra/local/lambda"
	"agencyhub/infra/local/localtest"
	"agencyhub/infra/local/process"
	"agencyhub/infra/local/template"
)

var noon = time.Date(2026, 3, 12, 12, 0, 0, 0, time.UTC)

// A taker is a function that records its batches, and fails where fails says so.
type taker struct {
	mu      sync.Mutex
	batches []string                // the keys of each batch, joined
	fails   func(key string) string // "", "report", "error" or a response of its own
}

func (k *taker) invoke(_ context.Context, _ string, payload []byte) ([]byte, error) {
	var event struct {
		Records []struct {
			EventSourceARN string
			Dynamodb       struct {
				SequenceNumber string
				Keys           map[string]map[string]string
			}
		}
	}
	if err := json.Unmarshal(payload, &event); err != nil {
		return nil, err
	}
	var keys []string
	for _, r := range event.Records {
		keys = append(keys, r.Dynamodb.Keys["sk"]["S"])
		if !strings.Contains(r.EventSourceARN, "/stream/") {
			return nil, fmt.Errorf("eventSourceARN is %q", r.EventSourceARN)
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.batches = append(k.batches, strings.Join(keys, " "))
	for i, key := range keys {
		switch how := k.fails(key); how {
		case "":
		case "report":
			return fmt.Appendf(nil, `{"batchItemFailures":[{"itemIdentifier":%q}]}`, event.Records[i].Dynamodb.SequenceNumber), nil
		case "error":
			return nil, lambda.Errorf("Error", "at %s", key)
		default:
			return []byte(how), nil
		}
	}
	return []byte(`{"batchItemFailures":[]}`), nil
}

func (k *taker) seen() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.batches)
}

func TestStreamDelivery(t *testing.T) {
	db, tbl, arn := localtest.Engine(t)
	for _, key := range []string{"1", "2", "3", "4"} {
		localtest.Put(t, db, tbl.Name, map[string]string{"pk": "a", "sk": key})
	}
	for name, test := range map[string]struct {
		source template.Stream
		fails  func(string) string
		want   []string
		given  string // the record in the on-failure queue, first to last
	}{
		"all at once":                   {template.Stream{BatchSize: 10}, failing(0, ""), []string{"1 2 3 4"}, ""},
		"batches":                       {template.Stream{BatchSize: 3}, failing(0, ""), []string{"1 2 3", "4"}, ""},
		"filtered":                      {template.Stream{BatchSize: 10, Filters: []json.RawMessage{json.RawMessage(`{"dynamodb":{"Keys":{"sk":{"S":["2","4"]}}}}`)}}, failing(0, ""), []string{"2 4"}, ""},
		"retry of the whole":            {template.Stream{BatchSize: 10, Retries: 2}, failing(1, "error", "2"), []string{"1 2 3 4", "1 2 3 4"}, ""},
		"retry from the reported":       {template.Stream{BatchSize: 10, Retries: 2, Partial: true}, failing(1, "report", "3"), []string{"1 2 3 4", "3 4"}, ""},
		"a report nobody asked for":     {template.Stream{BatchSize: 10, Retries: 2}, failing(1, "report", "3"), []string{"1 2 3 4"}, ""},
		"an id that is no sequence":     {template.Stream{BatchSize: 10, Retries: 2, Partial: true}, failing(1, `{"batchItemFailures":[{"itemIdentifier":"evt_1"}]}`, "3"), []string{"1 2 3 4", "1 2 3 4"}, ""},
		"an id left out":                {template.Stream{BatchSize: 10, Retries: 2, Partial: true}, failing(1, `{"batchItemFailures":[{}]}`, "3"), []string{"1 2 3 4", "1 2 3 4"}, ""},
		"halves":                        {template.Stream{BatchSize: 10, Retries: 0, Bisect: true}, failing(1, "error", "3"), []string{"1 2 3 4", "1 2", "3 4"}, ""},
		"poison isolated and given up":  {template.Stream{BatchSize: 10, Retries: 1, Bisect: true}, failing(-1, "error", "3"), []string{"1 2 3 4", "1 2", "3 4", "3", "3", "4"}, "3"},
		"poison reported and given up":  {template.Stream{BatchSize: 10, Retries: 1, Bisect: true, Partial: true}, failing(-1, "report", "2"), []string{"1 2 3 4", "2 3 4", "2", "3 4"}, "2"},
		"given up with all behind it":   {template.Stream{BatchSize: 3, Retries: 1}, failing(-1, "error", "2"), []string{"1 2 3", "1 2 3", "4"}, "1-3"},
		"tried without end":             {template.Stream{BatchSize: 10, Retries: -1}, failing(5, "error"), []string{"1 2 3 4", "1 2 3 4", "1 2 3 4", "1 2 3 4", "1 2 3 4", "1 2 3 4"}, ""},
		"too old is given up untouched": {template.Stream{BatchSize: 10, Retries: -1, MaxAge: time.Nanosecond}, failing(0, ""), nil, "1"},
	} {
		t.Run(name, func(t *testing.T) {
			k := &taker{fails: test.fails}
			queue := readAll(t, db, arn, test.source, k)
			if diff := cmp.Diff(test.want, k.seen()); diff != "" {
				t.Error(diff)
			}
			checkQueue(t, queue, test.given, arn)
		})
	}
}

// readAll reads the stream to its end. It returns the file of the on-failure queue.
func readAll(t *testing.T, db *dynamodb.Client, arn string, source template.Stream, k *taker) string {
	t.Helper()
	dir := t.TempDir()
	source.Name, source.DeadLetter = "S", "Failures"
	if source.MaxAge == 0 {
		source.MaxAge = time.Hour
	}
	s := &Reader{
		Source: source, ARN: arn, DB: db, Invoke: k.invoke, Data: dir, Now: time.Now, Logf: t.Logf,
		Sleep: func(ctx context.Context, _ time.Duration) { process.Sleep(ctx, time.Millisecond) },
	}
	stop := start(t, s)
	last := position(t, db, arn)
	localtest.Eventually(t, "the checkpoint is at the end", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, p := range s.checkpoints.Shards {
			return p.After == last
		}
		return false
	})
	stop()
	return disk.QueueFile(dir, "Failures")
}

// start starts a reader. The function that it returns stops it.
func start(t *testing.T, s *Reader) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// checkQueue checks the records in the on-failure queue: "" for none, "1" or "1-3".
func checkQueue(t *testing.T, file, given, arn string) {
	t.Helper()
	queue, err := os.ReadFile(file)
	if given == "" {
		if !os.IsNotExist(err) {
			t.Errorf("the on-failure queue holds %s (%v)", queue, err)
		}
		return
	}
	first, last, ranged := strings.Cut(given, "-")
	if !ranged {
		last = first
	}
	var message struct {
		DDBStreamBatchInfo struct{ StartSequenceNumber, EndSequenceNumber, StreamArn string }
	}
	line, _, _ := strings.Cut(string(queue), "\n")
	if err := json.Unmarshal([]byte(line), &message); err != nil {
		t.Fatalf("%s: %v", queue, err)
	}
	if info := message.DDBStreamBatchInfo; info.StartSequenceNumber != first || info.EndSequenceNumber != last || info.StreamArn != arn {
		t.Errorf("the on-failure queue holds %s", queue)
	}
}

// failing fails at the keys, or at each without keys, a number of times; -1 is always.
func failing(times int, how string, keys ...string) func(string) string {
	return func(key string) string {
		if times == 0 || len(keys) > 0 && !slices.Contains(keys, key) {
			return ""
		}
		times--
		return how
	}
}

// position is the sequence number of the stream's last record.
func position(t *testing.T, db *dynamodb.Client, arn string) string {
	t.Helper()
	s := &Reader{ARN: arn, DB: db}
	shards, err := s.shards(t.Context())
	if err != nil || len(shards) != 1 {
		t.Fatal(shards, err)
	}
	records, _, err := s.read(t.Context(), shards[0].ShardId, "")
	localtest.Check(t, err)
	return localtest.Must[record](t)(s.record(records[len(records)-1])).sequence
}

func TestStreamWaitsForItsWindow(t *testing.T) {
	db, tbl, arn := localtest.Engine(t)
	var mu sync.Mutex
	now := noon
	k := &taker{fails: func(string) string { return "" }}
	s := &Reader{
		Source: template.Stream{Name: "S", BatchSize: 3, Window: time.Minute}, ARN: arn, DB: db, Invoke: k.invoke, Data: t.TempDir(), Logf: t.Logf,
		Now:   func() time.Time { mu.Lock(); defer mu.Unlock(); return now },
		Sleep: func(ctx context.Context, _ time.Duration) { process.Sleep(ctx, time.Millisecond) },
	}
	defer start(t, s)()
	for _, key := range []string{"1", "2", "3", "4"} {
		localtest.Put(t, db, tbl.Name, map[string]string{"pk": "a", "sk": key})
	}
	localtest.Eventually(t, "a full batch goes at once", func() bool { return slices.Equal(k.seen(), []string{"1 2 3"}) })
	localtest.Eventually(t, "the rest goes after the window", func() bool {
		mu.Lock()
		defer mu.Unlock()
		now = now.Add(time.Minute)
		return slices.Equal(k.seen(), []string{"1 2 3", "4"})
	})
}

// A stop in the middle of a delivery moves the checkpoint only if it succeeds.
func TestStreamStopsCleanly(t *testing.T) {
	for name, test := range map[string]struct {
		err  error
		want string
	}{"after success": {nil, "1"}, "after failure": {errors.New("killed"), ""}} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			s := &Reader{
				Source: template.Stream{Name: "S", Retries: 0, DeadLetter: "Failures"}, Data: t.TempDir(), Now: time.Now, Sleep: process.Sleep, Logf: t.Logf,
				Invoke: func(context.Context, string, []byte) ([]byte, error) { cancel(); return nil, test.err },
			}
			localtest.Check(t, s.load())
			localtest.Must[bool](t)(s.handle(ctx, "shard", []record{{raw: json.RawMessage(`{}`), sequence: "1", created: time.Now()}}, 0))
			if got := s.checkpoint("shard").After; got != test.want {
				t.Errorf("the checkpoint is %q, want %q", got, test.want)
			}
		})
	}
}
