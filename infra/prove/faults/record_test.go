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
	// claims are when emails and entries were claimed, by their item's key.
	claims map[string][]time.Time
}

func (s *stack) record() record {
	r := record{claims: s.dynamo.claimed(), sends: map[string][]call{}, table: map[string][]time.Time{}, kills: map[service][]time.Time{ses: s.killsOf("notify"), bus: s.killsOf("publish")}}
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

// claimTime is how long the attempts of one claim take, with saving what came of them.
const claimTime = 30 * time.Second

// isDoubtful reports whether notify may not know that an email was sent: an answer to it was
// lost, or a claim on it ended in the middle, because its function was killed or the table failed
// as it was given back.
func (r record) isDoubtful(of service, item, key string) bool {
	if slices.ContainsFunc(r.sends[item], call.isDoubtful) {
		return true
	}
	claims := r.claims[key]
	for i, at := range claims {
		end := at.Add(claimTime)
		if i+1 < len(claims) && claims[i+1].Before(end) {
			end = claims[i+1]
		}
		for _, hit := range [][]time.Time{r.kills[of], r.table[key]} {
			if slices.ContainsFunc(hit, func(t time.Time) bool { return !t.Before(at) && !t.After(end) }) {
				return true
			}
		}
	}
	return false
}

// A tally counts what was sent.
type tally struct {
	taken, lost int
	// doubted and untaken count the emails that end as unconfirmed: those that were taken, and
	// those that were not.
	doubted, untaken int
	// held counts emails that waited for a digest, digested those that one told of, and digests
	// the digests that were sent.
	held, digested, digests int
	repeats                 map[string]int // by cause
	wrong                   []string
}

// tag returns what calls name an email or an entry of the bus by.
func tag(of service, m audit.Mail) string {
	if of == bus {
		return m.Event()
	}
	return m.Tag()
}

// hasAnswered reports whether SES has taken an email by a message id. One of an SES that was
// killed is not known.
func (r record) hasAnswered(item, messageID string) bool {
	return slices.ContainsFunc(r.taken(item), func(c call) bool { return c.Unknown || messageID != "" && c.MessageID == messageID })
}

// compare compares the stored emails, or entries of the bus, with the record.
func (r record) compare(of service, mails []audit.Mail) tally {
	t := tally{repeats: map[string]int{}}
	addf := func(format string, args ...any) { t.wrong = append(t.wrong, fmt.Sprintf(format, args...)) }
	known, digests := map[string]bool{}, map[string][]audit.Mail{} // by recipient
	for _, m := range mails {
		if m.Kind() == "digest" {
			digests[m.Recipient()] = append(digests[m.Recipient()], m)
			if len(r.taken(m.Tag())) > 0 {
				t.digests++
			}
		}
	}
	for _, m := range mails {
		if m.WasHeld() {
			t.held++
		}
		item, key := tag(of, m), m.PK+" "+m.SK
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
		// What a digest tells is sent by it.
		by := []audit.Mail{m}
		if m.WasHeld() {
			by = digests[m.Recipient()]
		}
		switch {
		case m.Fate == "unconfirmed":
			if len(taken) > 0 {
				t.doubted++
			} else {
				t.untaken++
			}
			if !slices.ContainsFunc(by, func(b audit.Mail) bool { return r.isDoubtful(of, tag(of, b), b.PK+" "+b.SK) }) {
				addf("%s is %s, and nothing has hit it: claimed at %v, sent %+v", item, m.Fate, r.claims[key], r.sends[item])
			}
		case m.IsSent() && !slices.ContainsFunc(by, func(b audit.Mail) bool { return len(r.taken(tag(of, b))) > 0 }):
			t.lost++
			addf("LOST: %s is %s, and nobody has taken it", item, m.Fate)
		case of == ses && m.IsSent() && !slices.ContainsFunc(by, func(b audit.Mail) bool { return r.hasAnswered(b.Tag(), m.MessageID) }):
			addf("%s is %s as %q, and SES has answered that for none of %+v", item, m.Fate, m.MessageID, taken)
		case m.IsSent() && m.WasHeld():
			t.digested++
		case m.IsUnsent() && sure:
			addf("%s is %s, and it was taken: %+v", item, m.Fate, taken)
		case m.Fate == "failed":
			addf("%s is %s, and no fault is a refusal", item, m.Fate)
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
