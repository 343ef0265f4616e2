package faults

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"agencyhub/infra/prove/audit"
	"agencyhub/shared/agency"
)

// A record is what SES and the bus have taken, and what has hit the calls on the way.
type record struct {
	sends map[string][]call      // of emails by tag, and of entries by event, in their order
	table map[string][]time.Time // faults at updates, by the item's key
	kills map[service][]time.Time
}

func (s *stack) record() record {
	r := record{sends: map[string][]call{}, table: map[string][]time.Time{}, kills: map[service][]time.Time{ses: s.killsOf("notify"), bus: s.killsOf("publish")}}
	for _, c := range s.cloud.log() {
		r.sends[c.Item] = append(r.sends[c.Item], c)
	}
	for _, calls := range r.sends {
		slices.SortFunc(calls, func(a, b call) int { return a.At.Compare(b.At) })
	}
	for _, c := range s.dynamo.log() {
		if c.Item != "" {
			r.table[c.Item] = append(r.table[c.Item], c.At)
		}
	}
	return r
}

// taken returns the calls that the service has taken, or may have.
func (r record) taken(item string) (taken []call) {
	for _, c := range r.sends[item] {
		if c.Taken || c.Unknown {
			taken = append(taken, c)
		}
	}
	return taken
}

const (
	// answerTime is how long a client waits for SES and the bus.
	answerTime = 2900 * time.Millisecond
	// noteTime is how soon after the answer its fate is saved, and saveTime while the table fails.
	noteTime, saveTime = 3 * time.Second, 13 * time.Second
)

// cause returns why something that was taken by a call came again by a later one; "" for no
// cause. key is that of its item in the table.
func (r record) cause(c, next call, key string) string {
	within := func(times []time.Time, after, until time.Time) bool {
		return slices.ContainsFunc(times, func(at time.Time) bool { return !at.Before(after) && !at.After(until) })
	}
	earliest := func(a, b time.Time) time.Time {
		if a.Before(b) {
			return a
		}
		return b
	}
	from := c.Done.Add(-100 * time.Millisecond)
	switch {
	case c.Kind == killAfter:
		return "the function was killed after the effect"
	case c.Kind.mayHideEffect():
		return "its answer was hit: " + string(c.Kind)
	case c.Unknown:
		return "everything was killed"
	case c.Gone, c.Done.Sub(c.At) > answerTime:
		return "its answer came too late"
	case within(r.table[key], from, earliest(next.At, c.Done.Add(saveTime))):
		return "the table failed as its fate was saved"
	case within(r.kills[c.Service], from, earliest(next.At, c.Done.Add(noteTime))):
		return "the function was killed before its fate was saved"
	default:
		return ""
	}
}

// A tally counts what was sent.
type tally struct {
	taken, lost int
	// held counts emails that waited for a digest, digested those that one told of, and digests
	// the digests that were sent.
	held, digested, digests int
	repeats                 map[string]int // by cause
	wrong                   []string
}

// compare compares the stored emails, or entries of the bus, with the record.
func (r record) compare(of service, mails []audit.Mail) tally {
	t := tally{repeats: map[string]int{}}
	addf := func(format string, args ...any) { t.wrong = append(t.wrong, fmt.Sprintf(format, args...)) }
	known, digests := map[string]bool{}, map[string]bool{}
	for _, m := range mails {
		if m.Kind() == "digest" && len(r.taken(m.Tag())) > 0 {
			digests[m.Recipient()] = true
			t.digests++
		}
	}
	for _, m := range mails {
		if m.WasHeld() {
			t.held++
		}
		item, key := m.Tag(), m.PK+" "+m.SK
		if of == bus {
			item = m.Event()
		}
		known[item] = true
		taken := r.taken(item)
		t.taken += len(taken)
		for i := range max(0, len(taken)-1) {
			cause := r.cause(taken[i], taken[i+1], key)
			if cause == "" {
				addf("%s was sent again without a cause: %+v, then %+v", item, taken[i], taken[i+1])
			}
			t.repeats[cause]++
		}
		sure := slices.ContainsFunc(taken, func(c call) bool { return c.Taken })
		switch {
		case m.WasHeld() && m.IsSent() && digests[m.Recipient()]:
			t.digested++
		case m.IsSent() && len(taken) == 0:
			t.lost++
			addf("LOST: %s is %s, and nobody has taken it", item, m.Fate)
		case m.IsUnsent() && sure:
			addf("%s is %s, and it was taken: %+v", item, m.Fate, taken)
		case m.Fate == "failed":
			addf("%s is %s, and no fault is a refusal", item, m.Fate)
		case m.Fate == "unconfirmed" && !slices.ContainsFunc(r.sends[item], func(c call) bool { return c.Kind != "" || c.Unknown || c.Gone }) && len(r.kills[of]) == 0:
			addf("%s is %s without a fault", item, m.Fate)
		}
		for _, c := range taken {
			if of == ses && string(agency.NewPersonID(c.To)) != m.Recipient() {
				addf("%s went to somebody else", item)
			}
		}
	}
	for item, calls := range r.sends {
		if len(calls) > 0 && calls[0].Service == of && !known[item] && len(r.taken(item)) > 0 {
			addf("%q was sent, and the table does not know it", item)
		}
	}
	return t
}

// entry is an entry of the bus.
type entry struct {
	Type   string `json:"detail-type"`
	Detail struct {
		ID     string `json:"id"`
		Number int    `json:"number"`
		Type   string `json:"type"`
	} `json:"detail"`
}

// entries returns the bus's entries.
func (s *stack) entries() ([]entry, error) {
	files, err := filepath.Glob(filepath.Join(s.here().Data, "data", "bus", "*.jsonl"))
	if err != nil {
		return nil, err
	}
	var all []entry
	for _, path := range files {
		content, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		for line := range bytes.Lines(content) {
			var e entry
			if err := json.Unmarshal(line, &e); err != nil {
				// A power cut can tear the line that it meets: its call got no answer.
				if !bytes.HasSuffix(line, []byte("}\n")) {
					continue
				}
				return nil, err
			}
			all = append(all, e)
		}
	}
	return all, nil
}

// compareBus compares the bus with the events: each is there, as it is stored, and as often as
// the bus has taken it.
func (r record) compareBus(d *audit.Data, entries []entry) (lost int, wrong []string) {
	got := map[string]int{}
	events := map[string]audit.Event{}
	for _, e := range d.Events {
		events[e.ID()] = e
	}
	for _, e := range entries {
		got[e.Detail.ID]++
		if want := events[e.Detail.ID]; e.Type != want.Type || e.Detail.Type != want.Type || e.Detail.Number != want.Version {
			wrong = append(wrong, fmt.Sprintf("the bus has %+v of %s version %d", e, want.Type, want.Version))
		}
	}
	for id, e := range events {
		taken, sure := r.taken(id), 0
		for _, c := range taken {
			if c.Taken {
				sure++
			}
		}
		switch {
		case e.IsDigest():
		case got[id] == 0:
			lost++
			wrong = append(wrong, fmt.Sprintf("LOST: the bus has no entry of %s %s", id, e.Type))
		case got[id] < sure || got[id] > len(taken):
			wrong = append(wrong, fmt.Sprintf("the bus has %d entries of %s %s, and has taken %d to %d", got[id], id, e.Type, sure, len(taken)))
		}
	}
	return lost, wrong
}
