package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// A logLine is a line of a function's log.
type logLine struct {
	function         string
	Msg              string `json:"message"`
	Event, RequestID string
	Route, Agency    string
}

// logLines returns the lines that functions have logged so far. Metrics, and what else
// the runner prints, are left out.
func (s *stack) logLines() []logLine {
	var all []logLine
	for line := range strings.Lines(s.log.String()) {
		begin := strings.IndexByte(line, '{')
		var l logLine
		if begin < 1 || json.Unmarshal([]byte(line[begin:]), &l) != nil || l.Msg == "" {
			continue
		}
		l.function = strings.Fields(line[:begin])[0]
		all = append(all, l)
	}
	return all
}

// ofNoEvent are the beginnings of lines of publish, notify and delivery that are not of
// one event: those of the start, of what can't be read, and of Lambda's own library.
var ofNoEvent = []string{
	"The connection to the table is not warm", "The machine's clock", "A stream record has no event's key", "An event of SES can't be read", `{"errorMessage"`,
}

// auditIDs checks that each line about an event names it, and the call that caused it.
func (s *stack) auditIDs() error {
	for _, l := range s.logLines() {
		consumer := slices.Contains([]string{"publish", "notify", "delivery"}, l.function)
		of := l.Event != "" || consumer && !slices.ContainsFunc(ofNoEvent, func(begin string) bool { return strings.HasPrefix(l.Msg, begin) })
		if of && (l.Event == "" || l.RequestID == "") {
			return fmt.Errorf("a line of %s does not name its event, or the call: %+v", l.function, l)
		}
	}
	return nil
}

// A call can be followed by its id, and by that of its event, from its own line to the
// email and to what became of it.
func TestFollowACallToItsEmail(t *testing.T) {
	s := common(t)
	a := newAgency(t, s, "Follow Agency", "follow.test")
	cleo := s.person(t, "cleo@follow-client.test")
	shop := cleo.opens(t, "Follow Shop")
	s.settled(t)
	before := len(s.logLines())
	a.ann.post(t, "/v1/agencies/"+a.agencyID+"/connections", map[string]any{"account": shop, "areas": map[string]any{"pages": "edit"}}).is(t, http.StatusCreated)
	lines := func() []logLine { return s.logLines()[before:] }
	requestID := ""
	eventually(t, "the call's line", func() bool {
		for _, l := range lines() {
			if l.Msg == "request" && l.Route == "/v1/agencies/{agency}/connections" && l.Agency == a.agencyID {
				requestID = l.RequestID
			}
		}
		return requestID != ""
	})
	of := func() (way []string, event string) {
		for _, l := range lines() {
			if l.RequestID == requestID {
				way = append(way, l.function+": "+l.Msg)
				if event == "" {
					event = l.Event
				}
			}
			if event != "" && l.Event == event && l.RequestID != requestID {
				t.Errorf("a line of the event is of another call: %+v", l)
			}
		}
		slices.Sort(way)
		return slices.Compact(way), event
	}
	want := []string{
		"connections: An event is saved.", "connections: request", "delivery: SES has news of an email.", "notify: An email is sent.", "publish: An event is on the bus.",
	}
	eventually(t, "the way of the call", func() bool { way, _ := of(); return len(way) == len(want) })
	way, event := of()
	expectEqual(t, "the way of the call", strings.Join(want, "\n"), strings.Join(way, "\n"))
	if !strings.HasPrefix(event, "evt_") {
		t.Errorf("the event is %q", event)
	}

	// The id is in the event, for the log alone: neither the bus nor the API shows it.
	entries, err := s.bus()
	must(t, err)
	found := false
	for _, e := range entries {
		found = found || strings.Contains(string(e.Detail), event)
		if strings.Contains(string(e.Detail), requestID) {
			t.Errorf("the bus has the call's id: %s", e.Detail)
		}
	}
	activity := a.ann.get(t, "/v1/agencies/"+a.agencyID+"/activity").is(t, http.StatusOK)
	if !found || strings.Contains(string(activity.Body), requestID) {
		t.Errorf("the bus has the event: %t; the activity: %s", found, activity.Body)
	}
	must(t, s.auditIDs())
	s.newEmails(t)
}
