package agency

import (
	_ "embed"
	"maps"
	"slices"
	"strings"
	"testing"
)

// law is the specification. These tests compare its tables with the code.
//
//go:embed README.md
var law string

// lawTable returns the table below a heading of the README, its head first, with
// each cell trimmed of blanks and backticks.
func lawTable(t *testing.T, heading string) [][]string {
	t.Helper()
	_, section, _ := strings.Cut(law, "\n"+heading+"\n")
	var rows [][]string
	for line := range strings.Lines(section) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "#") || !strings.HasPrefix(line, "|") && rows != nil {
			break
		}
		if strings.HasPrefix(line, "|") {
			cells := strings.Split(strings.Trim(line, "|"), "|")
			for i := range cells {
				cells[i] = strings.Trim(cells[i], " `")
			}
			rows = append(rows, cells)
		}
	}
	if len(rows) < 3 {
		t.Fatalf("README, %q: no table", heading)
	}
	for _, cells := range rows {
		if len(cells) != len(rows[0]) {
			t.Fatalf("README, %q: %q has %d cells, want %d", heading, cells[0], len(cells), len(rows[0]))
		}
	}
	return slices.Delete(rows, 1, 2)
}

func TestREADMELives(t *testing.T) {
	for heading, table := range map[string]map[Action]transition{
		"## Life of a connection": connectionTable,
		"## Persons":              personTable,
	} {
		left := maps.Clone(table)
		for _, cells := range lawTable(t, heading)[1:] {
			do := Action(cells[0])
			row, known := left[do]
			if !known {
				t.Errorf("README, %q: %q is no action, or is there twice", heading, do)
				continue
			}
			delete(left, do)
			if got, want := statesOf(cells[1]), slices.Sorted(slices.Values(row.from)); !slices.Equal(got, want) {
				t.Errorf("README, %q: %s from %q, the code has %q", heading, do, got, want)
			}
			if got, want := cells[2:], []string{string(row.by), string(row.to), string(row.as)}; !slices.Equal(got, want) {
				t.Errorf("README, %q: %s is %q, the code has %q", heading, do, got, want)
			}
		}
		for do := range left {
			t.Errorf("README, %q: %q is missing", heading, do)
		}
	}
}

// TestREADMERequests compares the table of a request's steps with the code.
func TestREADMERequests(t *testing.T) {
	left := maps.Clone(requestSteps)
	for _, cells := range lawTable(t, "## Requests")[1:] {
		do := Action(cells[0])
		step, known := left[do]
		if !known {
			t.Errorf("README, Requests: %q is no step, or is there twice", do)
			continue
		}
		delete(left, do)
		var from []RequestState
		for name := range strings.SplitSeq(cells[1], ", ") {
			from = append(from, RequestState(name))
		}
		if cells[1] == "any but open" {
			from = []RequestState{"", StateAccepted, StateDeclined, StateWithdrawn, StateExpired, StateMoved}
		}
		if !slices.Equal(from, step.from) || cells[2] != string(step.by) || cells[3] != string(step.to) {
			t.Errorf("README, Requests: %q, the code has %+v", cells[:4], step)
		}
		for i, kind := range []RequestKind{ConnectionKind, InvitationKind, OwnershipKind} {
			event := strings.TrimPrefix(cells[4+i], "–")
			if string(requestKinds[kind].events[do]) != event {
				t.Errorf("README, Requests: %s of %s is %q, the code has %q", do, kind, event, requestKinds[kind].events[do])
			}
		}
	}
	for do := range left {
		t.Errorf("README, Requests: %q is missing", do)
	}
}

// statesOf reads a cell such as "none, any ended".
func statesOf(cell string) []Status {
	var states []Status
	for name := range strings.SplitSeq(cell, ", ") {
		switch name {
		case "none":
			states = append(states, none)
		case "any ended":
			states = append(states, slices.DeleteFunc(slices.Clone(Statuses), func(s Status) bool { return !s.IsEnded() })...)
		default:
			states = append(states, Status(name))
		}
	}
	return slices.Sorted(slices.Values(states))
}

// Words of the README that differ from the code.
var (
	lawPositions = map[Ownership]map[string]CallerRole{
		ClientOwned: {
			"owner": AsOwner, "admin": AsAdmin, "member": AsMember, "agency's owner": ConnectedOwner, "agency's admin": ConnectedAdmin,
			"staff": Staff, "platform": AsPlatform, "stranger": Stranger,
		},
		AgencyOwned: {
			"member": AsMember, "agency's owner": OwningOwner, "agency's admin": OwningAdmin,
			"staff": Staff, "platform": AsPlatform, "stranger": Stranger,
		},
	}
	lawAnswers = map[string]Permission{
		"✔": Yes, "–": No, "own lines": OwnLines, "not owners": NotOwners, "permanently_owned": PermanentOwner, "not_payer": OtherPayer,
	}
	lawRefusals = map[Permission]Code{Yes: "", OwnLines: "", NotOwners: "", No: Forbidden, PermanentOwner: PermanentlyOwned, OtherPayer: NotPayer}
)

func TestREADMEWhoMayDoWhat(t *testing.T) {
	for ownership, heading := range map[Ownership]string{
		ClientOwned: "### In a client-owned account",
		AgencyOwned: "### In an agency-owned account",
	} {
		rows := lawTable(t, heading)
		columns := rows[0][1:]
		if got, want := slices.Sorted(slices.Values(columns)), slices.Sorted(maps.Keys(lawPositions[ownership])); !slices.Equal(got, want) {
			t.Fatalf("README, %q: the columns %q, want %q", heading, got, want)
		}
		left := maps.Clone(permissions)
		if ownership == AgencyOwned {
			// An agency-owned account is no agency.
			maps.DeleteFunc(left, func(op Operation, _ map[CallerRole]Permission) bool {
				return op == ViewClients || op == ManageClients || op == ViewBill
			})
		}
		for _, cells := range rows[1:] {
			op := Operation(cells[0])
			if _, known := left[op]; !known {
				t.Errorf("README, %q: %q is no operation, or is there twice", heading, op)
				continue
			}
			delete(left, op)
			for i, column := range columns {
				checkCell(t, heading, op, ownership, column, cells[i+1])
			}
		}
		for op := range left {
			t.Errorf("README, %q: %q is missing", heading, op)
		}
	}
}

func checkCell(t *testing.T, heading string, op Operation, ownership Ownership, column, cell string) {
	t.Helper()
	want, legible := lawAnswers[cell]
	got := PermissionFor(op, lawPositions[ownership][column], ownership)
	if !legible || got != want {
		t.Errorf("README, %q, %s, %s: %q, the code has %q", heading, op, column, cell, got)
	}
	if code := CodeOf(got.Refusal()); code != lawRefusals[got] {
		t.Errorf("README, %q, %s, %s: refused by %q, want %q", heading, op, column, code, lawRefusals[got])
	}
}
