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

	"github.com/google/go-cmp/cmp"

	"agencyhub/shared/agency"
	"agencyhub/shared/testbed"
)

// A published is an entry of the bus.
type published struct {
	DetailType string `json:"detail-type"`
	Source     string
	Detail     json.RawMessage
}

// bus is all that stands on the stack's bus, the oldest first.
func (s *stack) bus() ([]published, error) {
	files, err := filepath.Glob(filepath.Join(s.Data, "data", "bus", "*.jsonl"))
	if err != nil || len(files) > 1 {
		return nil, fmt.Errorf("buses: %v, %w", files, err)
	}
	var all []published
	for _, path := range files {
		content, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		for line := range bytes.Lines(content) {
			var p published
			if err := json.Unmarshal(line, &p); err != nil {
				return nil, err
			}
			all = append(all, p)
		}
	}
	return all, nil
}

// heard are the types of events that the buses of this run had.
var heard sync.Map

// unheard are the types that no story of the run has caused, but for the one that
// is written nowhere: that a request by email has moved is told by its acceptance.
func unheard() ([]string, error) {
	types, err := testbed.EventTypes()
	return slices.DeleteFunc(types, func(kind string) bool {
		_, ok := heard.Load(kind)
		return ok || kind == string(agency.ConnectionMoved)
	}), err
}

// auditBus holds everything that a run has put on the bus to its schema, and to
// holding neither an address nor a token.
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
		heard.Store(p.DetailType, true)
		if err := schemas.Validate(p.DetailType, p.Detail); err != nil {
			wrong = append(wrong, fmt.Errorf("on the bus: %w\n%s", err, p.Detail))
		}
		if what := s.leaked(string(p.Detail)); what != "" || address.Match(p.Detail) {
			wrong = append(wrong, fmt.Errorf("on the bus: an address or a token: %s", p.Detail))
		}
	}
	return errors.Join(wrong...)
}

// TestBus: the platform reads each event of an account once, in an order that it
// can restore.
func TestBus(t *testing.T) {
	s := common(t)
	o := newOffice(t, s, "Bright Agency", "bus.test")
	olga := s.person(t, "olga@luna.bus.test")
	luna := olga.opens(t, "Luna Bakery")
	c := o.ann.asks(t, o.id, luna, levels{"pages": "edit", "mail": "view"})
	s.untilMark(t)
	team := "/v1/accounts/" + luna + "/team/" + o.id
	olga.post(t, team+"/accept", map[string]any{"request": 1, "areas": levels{"pages": "edit"}}).is(t, 200)
	olga.delete(t, team).is(t, 200)
	s.untilMark(t)
	s.still(t)
	all, err := s.bus()
	if err != nil {
		t.Fatal(err)
	}
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
		if err := json.Unmarshal(p.Detail, &d); err != nil {
			t.Fatal(err)
		}
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
	// A number in between is of a write that is no event: whom the request reached.
	if diff := cmp.Diff([]string{
		"1 connection.requested of request 1:  to pending, pages:edit mail:view",
		"3 connection.accepted of request 1: pending to active, pages:edit mail:none",
		"4 connection.revoked of request 1: active to revoked, pages:edit mail:none",
	}, lines); diff != "" {
		t.Error(diff)
	}
}

// Without a stack, or beside one, `events` shows what the bus keeps; redrive is a
// run of cleanup.
func TestTheOperatorsCommands(t *testing.T) {
	s := common(t)
	ann := s.person(t, "ann@operator.test")
	id := ann.opens(t, "Luna Bakery")
	s.untilMark(t)
	run := func(args ...string) string {
		t.Helper()
		cmd := exec.Command(built.runner, append(args, "-data", s.Data)...)
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
	if out := run("redrive"); !strings.Contains(out, `"redriven":0`) {
		t.Errorf("redrive: %s", out)
	}
}
