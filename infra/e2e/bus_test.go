package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"agencyhub/shared/agency"
	"agencyhub/shared/testbed"
)

// A busEntry is an event on the bus.
type busEntry struct {
	DetailType string `json:"detail-type"`
	Source     string
	Detail     json.RawMessage
}

// bus returns all entries of the stack's bus, the oldest first.
func (s *stack) bus() ([]busEntry, error) {
	files, err := filepath.Glob(filepath.Join(s.Data, "data", "bus", "*.jsonl"))
	if err != nil || len(files) > 1 {
		return nil, fmt.Errorf("buses: %v, %w", files, err)
	}
	var all []busEntry
	for _, path := range files {
		content, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		for line := range bytes.Lines(content) {
			var p busEntry
			if err := json.Unmarshal(line, &p); err != nil {
				return nil, err
			}
			all = append(all, p)
		}
	}
	return all, nil
}

// publishedTypes are the types of events on the buses of this run.
var publishedTypes sync.Map

// missingTypes returns the types of events that no test of the run has caused. One
// type is never written: the acceptance says that a request by email has moved. Another
// is not on the bus: a digest is nobody's but its reader's.
func missingTypes() ([]string, error) {
	types, err := testbed.EventTypes()
	return slices.DeleteFunc(types, func(kind string) bool {
		_, ok := publishedTypes.Load(kind)
		return ok || kind == string(agency.ConnectionMoved) || kind == string(agency.DigestDue)
	}), err
}

// auditBus checks each entry of the bus against its schema, and for addresses and
// tokens.
func (s *stack) auditBus() error {
	all, err := s.bus()
	if err != nil {
		return err
	}
	schemas, err := testbed.ReadSchemas()
	if err != nil {
		return err
	}
	var wrong []error
	for _, p := range all {
		publishedTypes.Store(p.DetailType, true)
		if err := schemas.Validate(p.DetailType, p.Detail); err != nil {
			wrong = append(wrong, fmt.Errorf("on the bus: %w\n%s", err, p.Detail))
		}
		if what := s.leak(string(p.Detail)); what != "" || address.Match(p.Detail) {
			wrong = append(wrong, fmt.Errorf("on the bus: an address or a token: %s", p.Detail))
		}
	}
	return errors.Join(wrong...)
}

// TestBus checks that the platform gets each event of an account once, with numbers
// to sort by.
func TestBus(t *testing.T) {
	s := newAgency(t, common(t), "Bright Agency", "bus.test")
	olga := s.person(t, "olga@luna.bus.test")
	luna := olga.opens(t, "Luna Bakery")
	c := s.ann.requests(t, s.agencyID, luna, levels{"pages": "edit", "mail": "view"})
	s.newEmails(t)
	team := "/v1/accounts/" + luna + "/team/" + s.agencyID
	olga.post(t, team+"/accept", map[string]any{"request": 1, "areas": levels{"pages": "edit"}}).is(t, 200)
	olga.delete(t, team).is(t, 200)
	s.newEmails(t)
	s.settled(t)
	all, err := s.bus()
	must(t, err)
	type line struct {
		Type    string
		Number  int
		Request int
		Actor   string
		Was     struct{ Status string }
		Now     struct {
			Status string
			Areas  map[string]string
		}
	}
	var got []line
	ids := map[string]bool{}
	for _, p := range all {
		var d struct {
			line
			ID, Account, Connection string
		}
		must(t, json.Unmarshal(p.Detail, &d))
		if ids[d.ID] || d.Type != p.DetailType || p.Source != "agencyhub" {
			t.Errorf("%s from %s, again: %t", p.DetailType, p.Source, ids[d.ID])
		}
		ids[d.ID] = true
		if d.Connection == c.ID {
			got = append(got, d.line)
		}
	}
	slices.SortFunc(got, func(a, b line) int { return a.Number - b.Number })
	var lines []string
	for _, l := range got {
		lines = append(lines, fmt.Sprintf("%d %s of request %d: %s to %s, pages:%s mail:%s", l.Number, l.Type, l.Request, l.Was.Status, l.Now.Status, l.Now.Areas["pages"], l.Now.Areas["mail"]))
	}
	// Number 2 was a write without an event: it noted who got the request's email.
	expectEqual(t, "entries of the bus", []string{
		"1 connection.requested of request 1:  to pending, pages:edit mail:view",
		"3 connection.accepted of request 1: pending to active, pages:edit mail:none",
		"4 connection.revoked of request 1: active to revoked, pages:edit mail:none",
	}, lines)
}

// TestTheOperatorsCommands runs `events`, which shows entries of the bus, and
// `redrive`, which runs cleanup.
func TestTheOperatorsCommands(t *testing.T) {
	s := common(t)
	ann := s.person(t, "ann@operator.test")
	id := ann.opens(t, "Luna Bakery")
	s.newEmails(t)
	run := func(args ...string) string {
		t.Helper()
		cmd := exec.Command(built.program.Path, append(args, "-data", s.Data)...)
		cmd.Dir = built.root
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	if out := run("events", "-type", "account.opened", "-last", "2"); !strings.Contains(out, `"account": "`+id+`"`) || strings.Count(out, `"detail-type"`) != 2 {
		t.Errorf("events: %s", out)
	}
	expectContains(t, "redrive", run("redrive"), `"redriven":0`)
}
