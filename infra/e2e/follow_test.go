package e2e

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
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
	// all is the whole line.
	all map[string]any
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
		if json.Unmarshal([]byte(line[begin:]), &l.all) != nil {
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
	var all []map[string]any
	for _, l := range lines() {
		if l.RequestID == requestID {
			all = append(all, l.all)
		}
	}
	expectQueries(t, all)
	must(t, s.auditIDs())
	s.newEmails(t)
}

// query is a saved query of Logs Insights in the template.
type query struct{ name, text string }

// savedQueries reads the saved queries of the template.
func savedQueries(t *testing.T) (all []query) {
	t.Helper()
	template, err := os.ReadFile("../../template.yaml")
	must(t, err)
	for _, m := range regexp.MustCompile(`(?m)^  Query(\w+):\n(?: {4}.*\n)*? {6}QueryString: \|\n((?: {8}.*\n)+)`).FindAllStringSubmatch(string(template), -1) {
		all = append(all, query{m[1], m[2]})
	}
	if len(all) < 5 {
		t.Fatalf("%d queries", len(all))
	}
	return all
}

// insightsWords are words of the query language, and names that a query gives itself.
var insightsWords = strings.Fields("fields filter sort limit stats by as asc desc in and or not like coalesce ispresent count refusals why")

// named returns the fields that a query names, but for those of Logs Insights itself, and
// the messages that it looks for.
func (q query) named() (fields, messages []string) {
	for _, m := range regexp.MustCompile(`message = "([^"]*)"`).FindAllStringSubmatch(q.text, -1) {
		messages = append(messages, m[1])
	}
	text := regexp.MustCompile(`"[^"]*"`).ReplaceAllString(q.text, "")
	for _, word := range regexp.MustCompile(`@?[a-zA-Z]+`).FindAllString(text, -1) {
		if word[0] != '@' && !slices.Contains(insightsWords, word) && !slices.Contains(fields, word) {
			fields = append(fields, word)
		}
	}
	return fields, messages
}

// sources returns the code of the functions and of what they share.
func sources(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, folder := range []string{"../../functions", "../../shared"} {
		must(t, filepath.WalkDir(folder, func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			content, err := os.ReadFile(path)
			all.Write(content)
			return err
		}))
	}
	return all.String()
}

// expectQueries checks the saved queries against lines of one call and its event: a query
// names fields that lines have, and the two that follow an id name all of them but those
// that say where a line is from. What only a failure has is in the source.
func expectQueries(t *testing.T, lines []map[string]any) {
	t.Helper()
	keys := map[string]bool{}
	for _, l := range lines {
		for key := range l {
			keys[key] = true
		}
	}
	code := sources(t)
	isLogged := func(field string) bool {
		return keys[field] || regexp.MustCompile(`slog\.\w+\(.*"`+field+`", `).MatchString(code)
	}
	for _, q := range savedQueries(t) {
		fields, messages := q.named()
		for _, field := range fields {
			if !isLogged(field) {
				t.Errorf("the query %s names %s, which no line has", q.name, field)
			}
		}
		for _, message := range messages {
			if !strings.Contains(code, `"`+message+`"`) {
				t.Errorf("the query %s looks for %q, which is not logged", q.name, message)
			}
		}
		if q.name != "ByRequest" {
			continue
		}
		for _, key := range slices.Sorted(maps.Keys(keys)) {
			isPlace := slices.Contains([]string{"timestamp", "lambdaRequestId", "account", "agency", "actor", "method", "ms", "entry"}, key)
			if !isPlace && !slices.Contains(fields, key) {
				t.Errorf("the query %s leaves out %s, which lines of the call have", q.name, key)
			}
		}
	}
}
