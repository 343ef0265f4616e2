package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// startEngine starts a real engine with the fixture's table.
func startEngine(t *testing.T) (*dynamo, table, string) {
	t.Helper()
	home, err := here()
	if err != nil {
		t.Fatal(err)
	}
	path, err := findDynoxide(home)
	if err != nil {
		t.Fatal(err)
	}
	start, err := newStarter(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	engine := dynoxide(path, 0, t.TempDir())
	if err := engine.reserve(); err != nil {
		t.Fatal(err)
	}
	p, err := engine.start(t.Context(), &spawner{term: &terminal{out: &output{}}, start: start})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.stop)
	st, err := readTemplate("testdata/template.yaml", given, nil)
	if err != nil {
		t.Fatal(err)
	}
	db := database(engine, "")
	arn, err := db.ensureTable(t.Context(), st.tables[0])
	if err != nil {
		t.Fatal(err)
	}
	return db, st.tables[0], arn
}

// A taker is a function that notes what it got, and fails where it is told to.
type taker struct {
	mu      sync.Mutex
	batches []string                // the keys of each batch, joined
	fails   func(key string) string // "", "report", "error" or an answer of its own
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
			return nil, failure("Error", "at %s", key)
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
	db, tbl, arn := startEngine(t)
	for _, key := range []string{"1", "2", "3", "4"} {
		put(t, db, tbl.name, map[string]string{"pk": "a", "sk": key})
	}
	always := func(keys ...string) func(string) string {
		return func(key string) string {
			if slices.Contains(keys[1:], key) {
				return keys[0]
			}
			return ""
		}
	}
	once := func(how, key string) func(string) string {
		left := 1
		return func(k string) string {
			if k == key && left > 0 {
				left--
				return how
			}
			return ""
		}
	}
	for name, test := range map[string]struct {
		source streamSource
		fails  func(string) string
		want   []string
		given  string // the record in the on-failure queue, first to last
	}{
		"all at once":                   {streamSource{batchSize: 10}, always(""), []string{"1 2 3 4"}, ""},
		"batches":                       {streamSource{batchSize: 3}, always(""), []string{"1 2 3", "4"}, ""},
		"filtered":                      {streamSource{batchSize: 10, filters: []json.RawMessage{json.RawMessage(`{"dynamodb":{"Keys":{"sk":{"S":["2","4"]}}}}`)}}, always(""), []string{"2 4"}, ""},
		"retry of the whole":            {streamSource{batchSize: 10, retries: 2}, once("error", "2"), []string{"1 2 3 4", "1 2 3 4"}, ""},
		"retry from the reported":       {streamSource{batchSize: 10, retries: 2, partial: true}, once("report", "3"), []string{"1 2 3 4", "3 4"}, ""},
		"a report nobody asked for":     {streamSource{batchSize: 10, retries: 2}, once("report", "3"), []string{"1 2 3 4"}, ""},
		"an id that is no sequence":     {streamSource{batchSize: 10, retries: 2, partial: true}, once(`{"batchItemFailures":[{"itemIdentifier":"evt_1"}]}`, "3"), []string{"1 2 3 4", "1 2 3 4"}, ""},
		"an id left out":                {streamSource{batchSize: 10, retries: 2, partial: true}, once(`{"batchItemFailures":[{}]}`, "3"), []string{"1 2 3 4", "1 2 3 4"}, ""},
		"halves":                        {streamSource{batchSize: 10, retries: 0, bisect: true}, once("error", "3"), []string{"1 2 3 4", "1 2", "3 4"}, ""},
		"poison isolated and given up":  {streamSource{batchSize: 10, retries: 1, bisect: true}, always("error", "3"), []string{"1 2 3 4", "1 2", "3 4", "3", "3", "4"}, "3"},
		"poison reported and given up":  {streamSource{batchSize: 10, retries: 1, bisect: true, partial: true}, always("report", "2"), []string{"1 2 3 4", "2 3 4", "2", "3 4"}, "2"},
		"given up with all behind it":   {streamSource{batchSize: 3, retries: 1}, always("error", "2"), []string{"1 2 3", "1 2 3", "4"}, "1-3"},
		"tried without end":             {streamSource{batchSize: 10, retries: -1}, failing(5), []string{"1 2 3 4", "1 2 3 4", "1 2 3 4", "1 2 3 4", "1 2 3 4", "1 2 3 4"}, ""},
		"too old is given up untouched": {streamSource{batchSize: 10, retries: -1, maxAge: time.Nanosecond}, always(""), nil, "1"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			k := &taker{fails: test.fails}
			test.source.name, test.source.deadLetter = "S", "Failures"
			if test.source.maxAge == 0 {
				test.source.maxAge = time.Hour
			}
			var pauses []time.Duration
			s := &streamReader{
				source: test.source, arn: arn, db: db, invoke: k.invoke, dir: filepath.Join(dir, "stream"), queues: filepath.Join(dir, "queues"), now: time.Now, logf: t.Logf,
				sleep: func(ctx context.Context, d time.Duration) {
					pauses = append(pauses, d)
					sleep(ctx, time.Millisecond)
				},
			}
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- s.run(ctx) }()
			last := position(t, db, arn)
			eventually(t, "the checkpoint is at the end", func() bool {
				s.mu.Lock()
				defer s.mu.Unlock()
				for _, p := range s.checkpoints.Shards {
					return p.After == last
				}
				return false
			})
			cancel()
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, k.seen()); diff != "" {
				t.Error(diff)
			}
			queue, err := os.ReadFile(filepath.Join(dir, "queues", "Failures.jsonl"))
			if test.given == "" {
				if !os.IsNotExist(err) {
					t.Errorf("the on-failure queue holds %s (%v)", queue, err)
				}
				return
			}
			first, lastGiven, ranged := strings.Cut(test.given, "-")
			if !ranged {
				lastGiven = first
			}
			var message struct {
				DDBStreamBatchInfo struct{ StartSequenceNumber, EndSequenceNumber, StreamArn string }
			}
			line, _, _ := strings.Cut(string(queue), "\n")
			if err := json.Unmarshal([]byte(line), &message); err != nil {
				t.Fatalf("%s: %v", queue, err)
			}
			if info := message.DDBStreamBatchInfo; info.StartSequenceNumber != first || info.EndSequenceNumber != lastGiven || info.StreamArn != arn {
				t.Errorf("the on-failure queue holds %s", queue)
			}
		})
	}
}

// failing fails a number of times, whatever it gets.
func failing(times int) func(string) string {
	return func(string) string {
		if times == 0 {
			return ""
		}
		times--
		return "error"
	}
}

// position is the sequence number of the stream's last record.
func position(t *testing.T, db *dynamo, arn string) string {
	t.Helper()
	s := &streamReader{arn: arn, db: db}
	shards, err := s.shards(t.Context())
	if err != nil || len(shards) != 1 {
		t.Fatal(shards, err)
	}
	iterator, err := s.iterator(t.Context(), shards[0].ShardId)
	if err != nil {
		t.Fatal(err)
	}
	var out struct{ Records []json.RawMessage }
	if err := db.call(t.Context(), "DynamoDBStreams_20120810.GetRecords", map[string]any{"ShardIterator": iterator}, &out); err != nil {
		t.Fatal(err)
	}
	r, err := s.record(out.Records[len(out.Records)-1])
	if err != nil {
		t.Fatal(err)
	}
	return r.sequence
}

func TestStreamWaitsForItsWindow(t *testing.T) {
	db, tbl, arn := startEngine(t)
	var mu sync.Mutex
	now := noon
	k := &taker{fails: func(string) string { return "" }}
	s := &streamReader{
		source: streamSource{name: "S", batchSize: 3, window: time.Minute}, arn: arn, db: db, invoke: k.invoke, dir: t.TempDir(), logf: t.Logf,
		now:   func() time.Time { mu.Lock(); defer mu.Unlock(); return now },
		sleep: func(ctx context.Context, _ time.Duration) { sleep(ctx, time.Millisecond) },
	}
	done := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { done <- s.run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	for _, key := range []string{"1", "2", "3", "4"} {
		put(t, db, tbl.name, map[string]string{"pk": "a", "sk": key})
	}
	eventually(t, "a full batch goes at once", func() bool { return slices.Equal(k.seen(), []string{"1 2 3"}) })
	eventually(t, "the rest goes after the window", func() bool {
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
			s := &streamReader{
				source: streamSource{name: "S", retries: 0, deadLetter: "Failures"}, dir: t.TempDir(), queues: t.TempDir(), now: time.Now, sleep: sleep, logf: t.Logf,
				invoke: func(context.Context, string, []byte) ([]byte, error) { cancel(); return nil, test.err },
			}
			if err := s.load(); err != nil {
				t.Fatal(err)
			}
			if _, err := s.handle(ctx, "shard", []record{{raw: json.RawMessage(`{}`), sequence: "1", created: time.Now()}}); err != nil {
				t.Fatal(err)
			}
			if got := s.place("shard").After; got != test.want {
				t.Errorf("the checkpoint is %q, want %q", got, test.want)
			}
		})
	}
}

func TestEnsureTableRefusesAnother(t *testing.T) {
	db, tbl, arn := startEngine(t)
	if again, err := db.ensureTable(t.Context(), tbl); err != nil || again != arn {
		t.Errorf("the same again: %q, %v", again, err)
	}
	tbl.create = map[string]any{"TableName": tbl.name, "KeySchema": []any{map[string]any{"AttributeName": "pk", "KeyType": "HASH"}}}
	if _, err := db.ensureTable(t.Context(), tbl); err == nil || !strings.Contains(err.Error(), "FRESH=1") {
		t.Errorf("another shape: %v", err)
	}
	away := &dynamo{endpoint: "http://127.0.0.1:1", client: http.DefaultClient, region: region, credentials: db.credentials}
	if _, err := away.ensureTable(t.Context(), tbl); err == nil {
		t.Error("no engine, no error")
	}
}
