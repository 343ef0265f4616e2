package stream_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"agencyhub/shared/agency"
	"agencyhub/shared/outbox"
	"agencyhub/shared/stream"
	"agencyhub/shared/table"
)

// scriptedStore is a table whose events are found, missing, unreadable or out of reach,
// as a script says.
type scriptedStore struct {
	mu     sync.Mutex
	script map[table.EventKey]string
	read   map[table.EventKey]bool
}

func (s *scriptedStore) Event(_ context.Context, k table.EventKey) (outbox.Event, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.read[k] = true
	e := outbox.Event{Event: agency.Event{ID: k.ID, Addressee: k.Addressee, Type: agency.PersonChanged, At: monday}}
	switch s.script[k] {
	case "missing":
		return e, false, nil
	case "unreadable":
		return e, true, fmt.Errorf("%w: written by a newer version", table.ErrUnreadable)
	case "out of reach":
		return e, false, errors.New("the table fails")
	case "newer":
		e.Type = "account.transformed"
	case "done":
		e.DoneBy = []outbox.Consumer{outbox.Publish}
	}
	return e, true, nil
}

func (s *scriptedStore) MarkDone(context.Context, table.EventKey, outbox.Consumer, time.Time) error {
	return nil
}

var scripts = []string{"", "missing", "unreadable", "out of reach", "newer", "done", "panics", "later"}

// newScripted returns a consumer of a scripted table, without a log.
func newScripted(t *testing.T, s *scriptedStore) stream.Consumer {
	t.Helper()
	before := slog.Default()
	slog.SetDefault(slog.New(slog.DiscardHandler))
	t.Cleanup(func() { slog.SetDefault(before) })
	return stream.Consumer{
		Name: outbox.Publish, Store: s, Knows: agency.EventType.IsKnown, Workers: 2,
		Now: func() time.Time { return monday }, Pause: func(context.Context, time.Duration) {},
		Process: func(_ context.Context, e agency.Event) error {
			switch s.script[table.EventKey{Addressee: e.Addressee, ID: e.ID}] {
			case "panics":
				panic("on purpose")
			case "later":
				return stream.ErrLater
			}
			return nil
		},
	}
}

// recordOf returns a record of an event, or one that names none. Three bytes choose it.
func recordOf(choice [3]byte, position int) (events.DynamoDBEventRecord, table.EventKey, string) {
	key := table.EventKey{Addressee: agency.Party(agency.NewAccountID("x", strconv.Itoa(int(choice[0]>>4)))), ID: idOf(int(choice[0] & 15))}
	record := events.DynamoDBEventRecord{EventName: "INSERT", Change: events.DynamoDBStreamRecord{
		SequenceNumber: "s" + strconv.Itoa(position),
		NewImage: map[string]events.DynamoDBAttributeValue{
			"member": events.NewStringAttribute(string(agency.NewPersonID(fmt.Sprintf("p%d@x.test", choice[1]&3)))),
			"after":  events.NewStringAttribute(string(idOf(int(choice[1] >> 4)))),
		},
		Keys: map[string]events.DynamoDBAttributeValue{
			"pk": events.NewStringAttribute("ACCT#" + string(key.Addressee)), "sk": events.NewStringAttribute("EVENT#" + strings.TrimPrefix(string(key.ID), "evt_")),
		},
	}}
	if choice[1]&4 != 0 {
		record.EventName = "MODIFY"
	}
	switch choice[2] >> 3 & 7 {
	case 0:
		record.Change.Keys = nil
	case 1:
		record.Change.Keys["sk"] = events.NewNumberAttribute("1")
	case 2:
		record.Change.Keys["sk"] = events.NewStringAttribute("ACCT")
	case 3:
		record.Change.NewImage = nil
		return record, key, scripts[choice[2]&7]
	case 4:
		record.Change.NewImage["member"] = events.NewNullAttribute()
		return record, key, scripts[choice[2]&7]
	default:
		return record, key, scripts[choice[2]&7]
	}
	return record, table.EventKey{}, ""
}

func idOf(n int) agency.EventID {
	return agency.NewEventID(fmt.Sprintf("01ARZ3NDEKTSV4RRFFQ69G5F%02d", n))
}

// Of arbitrary records only those that the table fails are given back: the first of
// them, after all before it were read. What can't be read holds up nothing.
func FuzzRecords(f *testing.F) {
	f.Add([]byte{0x01, 0, 0x28, 0x02, 0, 0x2b})
	f.Fuzz(func(t *testing.T, choices []byte) {
		var b events.DynamoDBEvent
		var keys []table.EventKey
		s := &scriptedStore{script: map[table.EventKey]string{}, read: map[table.EventKey]bool{}}
		for chunk := range slices.Chunk(choices[:min(len(choices), 120)], 3) {
			if len(chunk) < 3 {
				break
			}
			record, key, script := recordOf([3]byte(chunk), len(b.Records))
			b.Records, keys = append(b.Records, record), append(keys, key)
			if _, known := s.script[key]; !known && key.ID != "" {
				s.script[key] = script
			}
		}
		consumer := newScripted(t, s)
		out, err := consumer.Handle(t.Context(), b)
		if err != nil || len(out.BatchItemFailures) > 1 {
			t.Fatalf("%v, %v", out, err)
		}
		first := len(b.Records)
		if len(out.BatchItemFailures) == 1 {
			first = slices.IndexFunc(b.Records, func(r events.DynamoDBEventRecord) bool {
				return r.Change.SequenceNumber == out.BatchItemFailures[0].ItemIdentifier
			})
			if first < 0 {
				t.Fatalf("no record has the sequence number %v", out)
			}
		}
		for n, key := range keys {
			if n < first && key.ID != "" && (!s.read[key] || s.script[key] == "out of reach") {
				t.Errorf("the record %d of %v (%q) was not handled, and %d is given back", n, key, s.script[key], first)
			}
		}
		failing := slices.ContainsFunc(keys, func(k table.EventKey) bool { return s.script[k] == "out of reach" })
		if !failing && first < len(b.Records) {
			t.Errorf("the record %d is given back, although the table fails nothing", first)
		}
	})
}

// A batch of any JSON, if Lambda's library reads it at all, is handled without a panic.
func FuzzBatch(f *testing.F) {
	seed, err := json.Marshal(batch(agency.Event{ID: idOf(1), Addressee: agency.Party(agency.NewAccountID("x", "1"))}))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Fuzz(func(t *testing.T, raw []byte) {
		var b events.DynamoDBEvent
		if readBatch(raw, &b) != nil {
			return
		}
		s := &scriptedStore{script: map[table.EventKey]string{}, read: map[table.EventKey]bool{}}
		consumer := newScripted(t, s)
		if out, err := consumer.Handle(t.Context(), b); err != nil || len(out.BatchItemFailures) > 0 {
			t.Errorf("%v, %v", out, err)
		}
	})
}

// readBatch reads a batch as Lambda's library does. Its own panics are not ours: the
// library makes each an error of the invocation.
func readBatch(raw []byte, into *events.DynamoDBEvent) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("%v", cause)
		}
	}()
	return json.Unmarshal(raw, into)
}
