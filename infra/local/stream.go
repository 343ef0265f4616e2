package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

const (
	pollEvery    = 100 * time.Millisecond
	firstBackoff = 100 * time.Millisecond
	lastBackoff  = 10 * time.Second
)

// A streamReader stands for the event source mapping between the table's
// stream and a function. Each shard is read in order by one worker. The place
// up to which all is done is kept on disk, and moved only after the function
// took the records or the on-failure queue has them: after a crash records come
// again, none is lost.
type streamReader struct {
	source streamSource
	arn    string // of the stream, as the engine names it
	db     *dynamo
	invoke func(ctx context.Context, function string, payload []byte) ([]byte, error)
	dir    string // of the checkpoints
	queues string // of the queues
	now    func() time.Time
	sleep  func(ctx context.Context, d time.Duration) // returns early when ctx ends
	logf   func(format string, args ...any)

	mu          sync.Mutex
	checkpoints checkpoints
}

type checkpoints struct {
	StreamArn string
	Shards    map[string]place // by shard id
}

type place struct {
	After string // the sequence number up to which all is done; "" for none
	Done  bool   // the shard is closed and read to its end
}

// A record is one change, as the function gets it.
type record struct {
	raw      json.RawMessage
	sequence string
	created  time.Time
}

// run reads the stream until ctx ends.
func (s *streamReader) run(ctx context.Context) error {
	if err := s.load(); err != nil {
		return err
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	running := map[string]bool{}
	ended := make(chan error)
	for {
		shards, err := s.shards(ctx)
		if err != nil && ctx.Err() == nil {
			s.logf("%s cannot list the shards: %v", s.source.name, err)
		}
		for _, shard := range shards {
			if running[shard.ShardId] || s.place(shard.ShardId).Done {
				continue
			}
			// A shard is begun when its parent is read to its end or gone.
			parent := slices.ContainsFunc(shards, func(p shardInfo) bool { return p.ShardId == shard.ParentShardId })
			if parent && !s.place(shard.ParentShardId).Done {
				continue
			}
			running[shard.ShardId] = true
			wg.Go(func() {
				err := s.readShard(ctx, shard.ShardId)
				select {
				case ended <- err:
				case <-ctx.Done():
				}
			})
		}
		if err != nil {
			s.sleep(ctx, time.Second)
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case err := <-ended:
			if err != nil {
				return err
			}
		case <-time.After(10 * time.Second): // a stream grows new shards
		}
		if ctx.Err() != nil {
			return nil
		}
	}
}

type shardInfo struct{ ShardId, ParentShardId string }

func (s *streamReader) shards(ctx context.Context) ([]shardInfo, error) {
	var all []shardInfo
	in := map[string]any{"StreamArn": s.arn}
	for {
		var out struct {
			StreamDescription struct {
				Shards               []shardInfo
				LastEvaluatedShardId string
			}
		}
		if err := s.db.call(ctx, "DynamoDBStreams_20120810.DescribeStream", in, &out); err != nil {
			return nil, err
		}
		all = append(all, out.StreamDescription.Shards...)
		if out.StreamDescription.LastEvaluatedShardId == "" {
			return all, nil
		}
		in["ExclusiveStartShardId"] = out.StreamDescription.LastEvaluatedShardId
	}
}

// readShard reads a shard to its end, or until ctx ends. An error is one of the
// disk: without a checkpoint nothing may go on.
func (s *streamReader) readShard(ctx context.Context, shard string) error {
	var iterator string
	var pending []record // read, filtered, not yet handed over
	var since time.Time  // when the first of them came
	var last string      // the sequence number of the last record read
	for ctx.Err() == nil {
		if iterator == "" {
			var err error
			if iterator, err = s.iterator(ctx, shard); err != nil {
				if ctx.Err() == nil {
					s.logf("%s: %v", s.source.name, err)
				}
				s.sleep(ctx, time.Second)
				continue
			}
			pending, last = nil, ""
		}
		var out struct {
			Records           []json.RawMessage
			NextShardIterator string
		}
		if err := s.db.call(ctx, "DynamoDBStreams_20120810.GetRecords", map[string]any{"ShardIterator": iterator}, &out); err != nil {
			// The iterator may have aged: a new one begins after what is done.
			if ctx.Err() == nil {
				s.logf("%s: %v", s.source.name, err)
			}
			iterator = ""
			s.sleep(ctx, time.Second)
			continue
		}
		for _, raw := range out.Records {
			r, err := s.record(raw)
			if err != nil {
				return err
			}
			last = r.sequence
			let, err := passes(s.source.filters, r.raw)
			if err != nil {
				return err
			}
			if let {
				if len(pending) == 0 {
					since = s.now()
				}
				pending = append(pending, r)
			}
		}
		closed := out.NextShardIterator == ""
		for len(pending) >= s.source.batchSize || (len(pending) > 0 && (closed || s.now().Sub(since) >= s.source.window)) {
			batch := pending[:min(len(pending), s.source.batchSize)]
			done, err := s.handle(ctx, shard, batch)
			if err != nil {
				return err
			}
			if !done {
				return nil // stopping
			}
			pending = pending[len(batch):]
		}
		if len(pending) == 0 && last != "" {
			if err := s.move(shard, place{After: last}); err != nil {
				return err
			}
			last = ""
		}
		if closed {
			return s.move(shard, place{After: s.place(shard).After, Done: true})
		}
		iterator = out.NextShardIterator
		if len(out.Records) == 0 {
			s.sleep(ctx, pollEvery)
		}
	}
	return nil
}

// iterator begins after the checkpoint, or with the oldest record. LATEST is
// treated as TRIM_HORIZON: here the table is as old as its mapping.
func (s *streamReader) iterator(ctx context.Context, shard string) (string, error) {
	in := map[string]any{"StreamArn": s.arn, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON"}
	if after := s.place(shard).After; after != "" {
		in["ShardIteratorType"], in["SequenceNumber"] = "AFTER_SEQUENCE_NUMBER", after
	}
	var out struct{ ShardIterator string }
	err := s.db.call(ctx, "DynamoDBStreams_20120810.GetShardIterator", in, &out)
	if refused, ok := errors.AsType[*awsError](err); ok && refused.is("TrimmedDataAccessException") {
		s.logf("%s: records were trimmed before they were read", s.source.name)
		delete(in, "SequenceNumber")
		in["ShardIteratorType"] = "TRIM_HORIZON"
		err = s.db.call(ctx, "DynamoDBStreams_20120810.GetShardIterator", in, &out)
	}
	return out.ShardIterator, err
}

// record adds to the engine's record the one field that Lambda adds.
func (s *streamReader) record(raw json.RawMessage) (record, error) {
	var fields map[string]json.RawMessage
	var known struct {
		Dynamodb struct {
			SequenceNumber              string
			ApproximateCreationDateTime float64
		}
	}
	if err := json.Unmarshal(raw, &fields); err != nil {
		return record{}, err
	}
	if err := json.Unmarshal(raw, &known); err != nil {
		return record{}, err
	}
	arn, err := json.Marshal(s.arn)
	if err != nil {
		return record{}, err
	}
	fields["eventSourceARN"] = arn
	full, err := json.Marshal(fields)
	return record{
		raw:      full,
		sequence: known.Dynamodb.SequenceNumber,
		created:  time.UnixMilli(int64(known.Dynamodb.ApproximateCreationDateTime * 1000)),
	}, err
}

// handle sees a batch through: until the function took it or the on-failure
// queue has it. It is false when ctx ended before that.
//
// Records before the first failure that the function reports are done, and the
// rest is tried again. A batch that fails at its first record is halved where the
// mapping bisects, which costs no try, until that record stands alone. Tries have
// growing pauses between them; after the mapping's retries what is left is given up.
func (s *streamReader) handle(ctx context.Context, shard string, batch []record) (bool, error) {
	type part struct {
		records []record
		failed  int // how often its first record has failed
	}
	parts := []part{{records: batch}}
	for len(parts) > 0 {
		p := parts[0]
		parts = parts[1:]
		if s.source.maxAge > 0 && s.now().Sub(p.records[0].created) > s.source.maxAge {
			if err := s.giveUp(shard, p.records[:1], p.failed, "RecordAgeExceeded"); err != nil {
				return false, err
			}
			if rest := p.records[1:]; len(rest) > 0 {
				parts = append([]part{{records: rest}}, parts...)
			}
			continue
		}
		done, failed := s.deliver(ctx, p.records)
		if done > 0 {
			if err := s.move(shard, place{After: p.records[done-1].sequence}); err != nil {
				return false, err
			}
			p.records, p.failed = p.records[done:], 0
		}
		if stopping := ctx.Err() != nil || errors.Is(failed, errStopping); stopping {
			return false, nil
		}
		if len(p.records) == 0 {
			continue
		}
		p.failed++
		s.logf("%s failed at record %s (try %d): %v", s.source.function, p.records[0].sequence, p.failed, failed)
		switch half := len(p.records) / 2; {
		case s.source.bisect && half > 0 && done == 0:
			p.failed--
			parts = append([]part{{p.records[:half], p.failed}, {p.records[half:], 0}}, parts...)
			continue
		case s.source.retries >= 0 && p.failed > s.source.retries:
			if err := s.giveUp(shard, p.records, p.failed, "RetryAttemptsExhausted"); err != nil {
				return false, err
			}
			continue
		}
		s.sleep(ctx, min(firstBackoff<<min(p.failed-1, 10), lastBackoff))
		parts = append([]part{p}, parts...)
	}
	return true, nil
}

// deliver hands records to the function and says how many from the front are
// done. An error tells why not all are.
func (s *streamReader) deliver(ctx context.Context, records []record) (int, error) {
	raws := make([]json.RawMessage, len(records))
	for i, r := range records {
		raws[i] = r.raw
	}
	payload, err := json.Marshal(map[string]any{"Records": raws})
	if err != nil {
		return 0, err
	}
	// What is under way is waited for at a stop too: the stop ends the function
	// itself after a while, and what was done need not be done again.
	answer, err := s.invoke(context.WithoutCancel(ctx), s.source.function, payload)
	if err != nil {
		return 0, err
	}
	if !s.source.partial {
		return len(records), nil
	}
	var report struct {
		BatchItemFailures []struct{ ItemIdentifier *string }
	}
	if len(answer) > 0 {
		if err := json.Unmarshal(answer, &report); err != nil {
			return 0, fmt.Errorf("its answer is no batch response: %w", err)
		}
	}
	first := len(records)
	for _, f := range report.BatchItemFailures {
		i := -1
		if f.ItemIdentifier != nil {
			i = slices.IndexFunc(records, func(r record) bool { return r.sequence == *f.ItemIdentifier })
		}
		if i < 0 { // Lambda takes this for a failure of the whole batch
			return 0, fmt.Errorf("its answer names a failure that is no SequenceNumber of the batch: %s", answer)
		}
		first = min(first, i)
	}
	if first < len(records) {
		return first, errors.New("the function reported it")
	}
	return first, nil
}

// giveUp writes to the on-failure queue what Lambda would send, then moves on.
func (s *streamReader) giveUp(shard string, records []record, tries int, condition string) error {
	first, last := records[0], records[len(records)-1]
	s.logf("%s: records %s to %s are given up: %s", s.source.function, first.sequence, last.sequence, condition)
	if s.source.deadLetter != "" {
		message, err := json.Marshal(map[string]any{
			"requestContext": map[string]any{"requestId": newID(), "functionArn": functionARN(s.source.function), "condition": condition, "approximateInvokeCount": tries},
			"version":        "1.0",
			"timestamp":      s.now().UTC().Format(time.RFC3339Nano),
			"DDBStreamBatchInfo": map[string]any{
				"shardId": shard, "startSequenceNumber": first.sequence, "endSequenceNumber": last.sequence,
				"approximateArrivalOfFirstRecord": first.created.UTC().Format(time.RFC3339Nano),
				"approximateArrivalOfLastRecord":  last.created.UTC().Format(time.RFC3339Nano),
				"batchSize":                       len(records), "streamArn": s.arn,
			},
		})
		if err != nil {
			return err
		}
		if err := appendLine(filepath.Join(s.queues, s.source.deadLetter+".jsonl"), message); err != nil {
			return err
		}
	}
	return s.move(shard, place{After: last.sequence})
}

// appendLine adds a line to a queue's file and waits until it is on the disk.
func appendLine(path string, line []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(append(line, '\n'))
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func (s *streamReader) file() string { return filepath.Join(s.dir, s.source.name+".json") }

// load reads the checkpoints; those of another stream, of a table that is gone, do not count.
func (s *streamReader) load() error {
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return err
	}
	fresh := checkpoints{StreamArn: s.arn, Shards: map[string]place{}}
	b, err := os.ReadFile(s.file())
	switch {
	case os.IsNotExist(err):
		s.checkpoints = fresh
	case err != nil:
		return err
	default:
		if err := json.Unmarshal(b, &s.checkpoints); err != nil {
			return fmt.Errorf("%s: %w", s.file(), err)
		}
		if s.checkpoints.StreamArn != s.arn {
			s.checkpoints = fresh
		}
	}
	return nil
}

func (s *streamReader) place(shard string) place {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.checkpoints.Shards[shard]
}

func (s *streamReader) move(shard string, to place) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.checkpoints.Shards[shard] = to
	b, err := json.Marshal(s.checkpoints)
	if err != nil {
		return err
	}
	return writeFile(s.file(), b)
}
