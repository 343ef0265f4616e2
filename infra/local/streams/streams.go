// Package streams stands in for the event source mapping between a table's stream and
// a function.
package streams

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"agencyhub/infra/local/disk"
	"agencyhub/infra/local/dynamodb"
	"agencyhub/infra/local/lambda"
	"agencyhub/infra/local/pattern"
	"agencyhub/infra/local/template"
)

const (
	pollEvery    = 100 * time.Millisecond
	firstBackoff = 100 * time.Millisecond
	lastBackoff  = 10 * time.Second
)

// A Reader reads one stream. It reads each shard in order. The checkpoint is on disk
// and moves only after the function took the records or the on-failure queue has
// them: after a crash records may come again, but none is lost.
type Reader struct {
	Source template.Stream
	ARN    string // of the stream, as the engine names it
	DB     *dynamodb.Client
	Invoke lambda.Invoke
	Data   string // the stack's data folder
	Now    func() time.Time
	Sleep  func(ctx context.Context, d time.Duration) // returns early when ctx ends
	Logf   func(format string, args ...any)

	mu          sync.Mutex
	checkpoints checkpoints
}

type checkpoints struct {
	StreamArn string
	Shards    map[string]checkpoint // by shard id
}

type checkpoint struct {
	After string // the last sequence number that is done; "" for none
	Done  bool   // the shard is closed and read to its end
}

// A record is one change, as the function gets it.
type record struct {
	raw      json.RawMessage
	sequence string
	created  time.Time
}

// Run reads the stream until ctx ends.
func (s *Reader) Run(ctx context.Context) error {
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
			s.Logf("%s cannot list the shards: %v", s.Source.Name, err)
		}
		for _, shard := range shards {
			if running[shard.ShardId] || s.checkpoint(shard.ShardId).Done {
				continue
			}
			// A shard is read after its parent, where that still exists.
			parent := slices.ContainsFunc(shards, func(p shardInfo) bool { return p.ShardId == shard.ParentShardId })
			if parent && !s.checkpoint(shard.ParentShardId).Done {
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
			s.Sleep(ctx, time.Second)
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case err := <-ended:
			if err != nil {
				return err
			}
		case <-time.After(10 * time.Second): // for new shards
		}
		if ctx.Err() != nil {
			return nil
		}
	}
}

type shardInfo struct{ ShardId, ParentShardId string }

func (s *Reader) shards(ctx context.Context) ([]shardInfo, error) {
	var all []shardInfo
	in := map[string]any{"StreamArn": s.ARN}
	for {
		var out struct {
			StreamDescription struct {
				Shards               []shardInfo
				LastEvaluatedShardId string
			}
		}
		if err := s.DB.Call(ctx, "DynamoDBStreams_20120810.DescribeStream", in, &out); err != nil {
			return nil, err
		}
		all = append(all, out.StreamDescription.Shards...)
		if out.StreamDescription.LastEvaluatedShardId == "" {
			return all, nil
		}
		in["ExclusiveStartShardId"] = out.StreamDescription.LastEvaluatedShardId
	}
}

// readShard reads a shard to its end, or until ctx ends. It returns an error only of
// the disk: without a checkpoint it must not go on.
func (s *Reader) readShard(ctx context.Context, shard string) error {
	var iterator string
	var pending []record // read, filtered, not yet handed over
	var since time.Time  // when the first of them came
	var last string      // the sequence number of the last record read
	for ctx.Err() == nil {
		if iterator == "" {
			pending, last = nil, ""
		}
		records, next, err := s.read(ctx, shard, iterator)
		if err != nil {
			// The iterator may have expired: start again after the checkpoint.
			if ctx.Err() == nil {
				s.Logf("%s: %v", s.Source.Name, err)
			}
			iterator = ""
			s.Sleep(ctx, time.Second)
			continue
		}
		for _, raw := range records {
			r, err := s.record(raw)
			if err != nil {
				return err
			}
			last = r.sequence
			match, err := pattern.Match(s.Source.Filters, r.raw)
			if err != nil {
				return err
			}
			if match {
				if len(pending) == 0 {
					since = s.Now()
				}
				pending = append(pending, r)
			}
		}
		closed := next == ""
		for len(pending) >= s.Source.BatchSize || (len(pending) > 0 && (closed || s.Now().Sub(since) >= s.Source.Window)) {
			batch := pending[:min(len(pending), s.Source.BatchSize)]
			done, err := s.handle(ctx, shard, batch, 0)
			if err != nil || !done { // not done: ctx has ended
				return err
			}
			pending = pending[len(batch):]
		}
		if len(pending) == 0 && last != "" {
			if err := s.move(shard, checkpoint{After: last}); err != nil {
				return err
			}
			last = ""
		}
		if closed {
			return s.move(shard, checkpoint{After: s.checkpoint(shard).After, Done: true})
		}
		iterator = next
		if len(records) == 0 {
			s.Sleep(ctx, pollEvery)
		}
	}
	return nil
}

// read returns the records at the iterator and the iterator after them, "" at the end
// of a closed shard. Without an iterator it starts after the checkpoint.
func (s *Reader) read(ctx context.Context, shard, iterator string) (records []json.RawMessage, next string, err error) {
	if iterator == "" {
		if iterator, err = s.iterator(ctx, shard); err != nil {
			return nil, "", err
		}
	}
	var out struct {
		Records           []json.RawMessage
		NextShardIterator string
	}
	err = s.DB.Call(ctx, "DynamoDBStreams_20120810.GetRecords", map[string]any{"ShardIterator": iterator}, &out)
	return out.Records, out.NextShardIterator, err
}

// iterator returns an iterator after the checkpoint, or at the oldest record. It
// treats LATEST as TRIM_HORIZON: the table is no older than its mapping here.
func (s *Reader) iterator(ctx context.Context, shard string) (string, error) {
	in := map[string]any{"StreamArn": s.ARN, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON"}
	if after := s.checkpoint(shard).After; after != "" {
		in["ShardIteratorType"], in["SequenceNumber"] = "AFTER_SEQUENCE_NUMBER", after
	}
	var out struct{ ShardIterator string }
	err := s.DB.Call(ctx, "DynamoDBStreams_20120810.GetShardIterator", in, &out)
	if dynamodb.Is(err, "TrimmedDataAccessException") {
		s.Logf("%s: records were trimmed before they were read", s.Source.Name)
		delete(in, "SequenceNumber")
		in["ShardIteratorType"] = "TRIM_HORIZON"
		err = s.DB.Call(ctx, "DynamoDBStreams_20120810.GetShardIterator", in, &out)
	}
	return out.ShardIterator, err
}

// record adds the one field that Lambda adds to the record of the stream.
func (s *Reader) record(raw json.RawMessage) (record, error) {
	var fields map[string]json.RawMessage
	var known struct {
		Dynamodb struct {
			SequenceNumber              string
			ApproximateCreationDateTime float64
		}
	}
	if err := errors.Join(json.Unmarshal(raw, &fields), json.Unmarshal(raw, &known)); err != nil {
		return record{}, err
	}
	fields["eventSourceARN"] = json.RawMessage(strconv.Quote(s.ARN))
	full, err := json.Marshal(fields)
	return record{
		raw:      full,
		sequence: known.Dynamodb.SequenceNumber,
		created:  time.UnixMilli(int64(known.Dynamodb.ApproximateCreationDateTime * 1000)),
	}, err
}

// handle delivers records until the function took them or the on-failure queue has them.
// It returns false when ctx ended before that. failed is how often the first has failed.
//
// Records before the first failure that the function reports are done; the rest is
// tried again. Where the mapping bisects, a batch that fails at its first record is
// halved until that record is alone, which counts as no retry. Pauses between retries
// grow. After the mapping's last retry the rest goes to the queue.
func (s *Reader) handle(ctx context.Context, shard string, records []record, failed int) (bool, error) {
	for len(records) > 0 {
		if s.Source.MaxAge > 0 && s.Now().Sub(records[0].created) > s.Source.MaxAge {
			if err := s.giveUp(shard, records[:1], failed, "RecordAgeExceeded"); err != nil {
				return false, err
			}
			records, failed = records[1:], 0
			continue
		}
		done, cause := s.deliver(ctx, records)
		if done > 0 {
			if err := s.move(shard, checkpoint{After: records[done-1].sequence}); err != nil {
				return false, err
			}
			records, failed = records[done:], 0
		}
		if stopping := ctx.Err() != nil || errors.Is(cause, lambda.ErrStopping); stopping {
			return false, nil
		}
		if len(records) == 0 {
			return true, nil
		}
		s.Logf("%s failed at record %s (try %d): %v", s.Source.Function, records[0].sequence, failed+1, cause)
		if half := len(records) / 2; s.Source.Bisect && half > 0 && done == 0 {
			if finished, err := s.handle(ctx, shard, records[:half], failed); err != nil || !finished {
				return false, err
			}
			records, failed = records[half:], 0
			continue
		}
		if failed++; s.Source.Retries >= 0 && failed > s.Source.Retries {
			return true, s.giveUp(shard, records, failed, "RetryAttemptsExhausted")
		}
		s.Sleep(ctx, min(firstBackoff<<min(failed-1, 10), lastBackoff))
	}
	return true, nil
}

// deliver hands records to the function and returns how many from the front are
// done, with an error unless that is all.
func (s *Reader) deliver(ctx context.Context, records []record) (int, error) {
	raws := make([]json.RawMessage, len(records))
	for i, r := range records {
		raws[i] = r.raw
	}
	payload, err := json.Marshal(map[string]any{"Records": raws})
	if err != nil {
		return 0, err
	}
	// A stop waits for this call for a while, so that it need not be repeated, and
	// then ends the function.
	answer, err := s.Invoke(context.WithoutCancel(ctx), s.Source.Function, payload)
	if err != nil {
		return 0, err
	}
	if !s.Source.Partial {
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

// giveUp writes what Lambda would send to the on-failure queue, and moves the
// checkpoint behind the records.
func (s *Reader) giveUp(shard string, records []record, tries int, condition string) error {
	first, last := records[0], records[len(records)-1]
	s.Logf("%s: records %s to %s are given up: %s", s.Source.Function, first.sequence, last.sequence, condition)
	if s.Source.DeadLetter != "" {
		err := disk.AppendJSON(disk.QueueFile(s.Data, s.Source.DeadLetter), map[string]any{
			"version": "1.0", "timestamp": s.Now().UTC().Format(time.RFC3339Nano),
			"requestContext": map[string]any{
				"requestId": lambda.NewID(), "functionArn": template.FunctionARN(s.Source.Function), "condition": condition, "approximateInvokeCount": tries,
			},
			"DDBStreamBatchInfo": map[string]any{
				"shardId": shard, "startSequenceNumber": first.sequence, "endSequenceNumber": last.sequence,
				"approximateArrivalOfFirstRecord": first.created.UTC().Format(time.RFC3339Nano),
				"approximateArrivalOfLastRecord":  last.created.UTC().Format(time.RFC3339Nano),
				"batchSize":                       len(records), "streamArn": s.ARN,
			},
		})
		if err != nil {
			return err
		}
	}
	return s.move(shard, checkpoint{After: last.sequence})
}

func (s *Reader) file() string { return filepath.Join(s.Data, "stream", s.Source.Name+".json") }

// load reads the checkpoints. It drops those of another stream: its table is gone.
func (s *Reader) load() error {
	var kept checkpoints
	err := disk.ReadJSON(s.file(), &kept)
	if kept.StreamArn != s.ARN || kept.Shards == nil {
		kept = checkpoints{StreamArn: s.ARN, Shards: map[string]checkpoint{}}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.checkpoints = kept
	return err
}

func (s *Reader) checkpoint(shard string) checkpoint {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.checkpoints.Shards[shard]
}

func (s *Reader) move(shard string, to checkpoint) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.checkpoints.Shards[shard] = to
	b, err := json.Marshal(s.checkpoints)
	if err != nil {
		return err
	}
	return disk.WriteFile(s.file(), b)
}
