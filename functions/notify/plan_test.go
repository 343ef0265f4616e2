package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"agencyhub/shared/agency"
)

func TestPlan(t *testing.T) {
	type change = func(*facts)
	status := func(s agency.Status) change { return func(f *facts) { f.profile.Status = s } }
	request := func(n int) change { return func(f *facts) { f.profile.Request = n } }
	accepted := connection(agency.ConnectionAccepted, agency.Pending, agency.Active)
	restricted := connection(agency.ConnectionRestricted, agency.Active, agency.Active)
	asked := connection(agency.ConnectionRequested, "", agency.Pending)
	sentAgain := connection(agency.ConnectionResent, agency.Pending, agency.Pending)
	expired := connection(agency.ConnectionExpired, agency.Pending, agency.Expired)
	withdrawn := connection(agency.ConnectionWithdrawn, agency.Pending, agency.Withdrawn)
	person := func(as agency.EventType, in agency.Ownership, s agency.Status) facts {
		return membership(as, in, agency.Member, s)
	}
	own, owned := agency.ClientOwned, agency.AgencyOwned

	shown := map[agency.EventType]bool{}
	// A "-" stands before what is overtaken.
	for _, test := range []struct {
		name string
		f    facts
		then change
		want string
	}{
		{name: "requested", f: asked, want: "requested petra"},
		{name: "requested, accepted", f: asked, then: status(agency.Active), want: "-requested petra"},
		{name: "requested, denied", f: asked, then: status(agency.Denied), want: "-requested petra"},
		{name: "requested, withdrawn", f: asked, then: status(agency.Withdrawn), want: "-requested petra"},
		{name: "requested, overdue by the clock", f: asked, then: func(f *facts) { f.now = deadline }, want: "-requested petra"},
		{name: "requested, a moment before", f: asked, then: func(f *facts) { f.now = deadline.Add(-time.Millisecond) }, want: "requested petra"},
		{name: "requested, asked anew", f: asked, then: request(2), want: "-requested petra"},
		{name: "requested, sent again", f: asked, then: func(f *facts) { f.profile.ExpiresAt = deadline.Add(time.Second) }, want: "-requested petra"},
		{name: "requested, delivery noted", f: asked, then: func(f *facts) { f.profile.Delivery = agency.Sent; f.profile.Version += 5 }, want: "requested petra"},
		{name: "requested, account closed", f: asked, then: func(f *facts) { f.account.Closed = f.now }, want: "-requested petra"},
		{name: "requested, hub switched off", f: asked, then: func(f *facts) { f.agency.Hub = false }, want: "-requested petra"},
		{name: "resent", f: sentAgain, want: "resent petra"},
		{name: "resent, accepted", f: sentAgain, then: status(agency.Active), want: "-resent petra"},
		{name: "accepted", f: accepted, want: "accepted-agency ann, accepted-agency oskar, accepted-client petra"},
		{name: "accepted, revoked", f: accepted, then: status(agency.Revoked), want: "accepted-agency ann, accepted-agency oskar, accepted-client petra"},
		{name: "denied", f: connection(agency.ConnectionDenied, agency.Pending, agency.Denied), want: "denied-agency ann, denied-agency oskar, denied-client petra"},
		{name: "denied, asked anew", f: connection(agency.ConnectionDenied, agency.Pending, agency.Pending), then: request(2), want: "denied-agency ann, denied-agency oskar, denied-client petra"},
		{name: "withdrawn", f: withdrawn, want: "withdrawn-client petra"},
		{name: "withdrawn, asked anew", f: withdrawn, then: func(f *facts) { f.profile.Status, f.profile.Request = agency.Pending, 2 }, want: "-withdrawn-client petra"},
		{name: "withdrawn, asked anew, withdrawn", f: withdrawn, then: request(2), want: "-withdrawn-client petra"},
		{name: "expired", f: expired, want: "expired-agency ann, expired-agency oskar, expired-client petra"},
		{name: "expired, dismissed", f: expired, then: status(agency.Denied), want: "-expired-agency ann, -expired-agency oskar, -expired-client petra"},
		{name: "expired, asked anew", f: expired, then: func(f *facts) { f.profile.Status, f.profile.Request = agency.Pending, 2 }, want: "-expired-agency ann, -expired-agency oskar, -expired-client petra"},
		{name: "restricted", f: restricted, want: "restricted-agency ann, restricted-agency oskar"},
		{name: "restricted, and again", f: restricted, then: func(f *facts) { f.profile.Areas = fewer }, want: "-restricted-agency ann, -restricted-agency oskar"},
		{name: "restricted, end date moved", f: restricted, then: func(f *facts) { f.profile.Until = deadline }, want: "-restricted-agency ann, -restricted-agency oskar"},
		{name: "restricted, left", f: restricted, then: status(agency.Left), want: "-restricted-agency ann, -restricted-agency oskar"},
		{name: "restricted, connected anew", f: restricted, then: request(2), want: "-restricted-agency ann, -restricted-agency oskar"},
		{name: "revoked", f: connection(agency.ConnectionRevoked, agency.Active, agency.Revoked), want: "revoked-agency ann, revoked-agency oskar, revoked-client petra"},
		{name: "left", f: connection(agency.ConnectionLeft, agency.Active, agency.Left), want: "left-agency ann, left-agency oskar, left-client petra"},
		{name: "lapsed", f: connection(agency.ConnectionLapsed, agency.Active, agency.Lapsed), want: "lapsed-agency ann, lapsed-agency oskar, lapsed-client petra"},
		{name: "ended", f: connection(agency.ConnectionEnded, agency.Active, agency.Ended)},
		{name: "moved", f: connection(agency.ConnectionMoved, agency.Pending, agency.Moved)},

		{name: "created", f: created(true), want: "created-agency ann, created-agency oskar, created-client tom"},
		{name: "created, client taken out", f: created(true), then: status(agency.Revoked), want: "created-agency ann, created-agency oskar, -created-client tom"},
		{name: "created for nobody", f: created(false), want: "created-agency ann, created-agency oskar"},
		{name: "opened", f: person(agency.AccountOpened, own, agency.Active)},
		{name: "renamed", f: person(agency.AccountRenamed, own, agency.Active)},
		{name: "switched on", f: person(agency.HubSwitchedOn, own, agency.Active)},

		{name: "added", f: person(agency.PersonAdded, own, agency.Active), want: "person-added tom"},
		{name: "added, removed", f: person(agency.PersonAdded, own, agency.Revoked), want: "-person-added tom"},
		{name: "added, removed, added", f: person(agency.PersonAdded, own, agency.Active), then: func(f *facts) { f.profile.Since = f.now.Add(time.Second) }, want: "-person-added tom"},
		{name: "added, changed", f: person(agency.PersonAdded, own, agency.Active), then: func(f *facts) { f.profile.Role = agency.Admin }, want: "person-added tom"},
		{name: "changed", f: person(agency.PersonChanged, own, agency.Active), want: "person-changed tom"},
		{name: "changed, and again", f: person(agency.PersonChanged, own, agency.Active), then: func(f *facts) { f.profile.Role = agency.Owner }, want: "-person-changed tom"},
		{name: "changed, left", f: person(agency.PersonChanged, own, agency.Left), want: "-person-changed tom"},
		{name: "removed", f: person(agency.PersonRemoved, own, agency.Revoked), want: "person-removed tom"},
		{name: "removed, added", f: person(agency.PersonRemoved, own, agency.Active), want: "-person-removed tom"},
		{name: "left a team", f: person(agency.PersonLeft, own, agency.Left), want: "person-left petra"},
		{name: "left a team, added", f: person(agency.PersonLeft, own, agency.Active), want: "person-left petra"},
		{name: "person ended", f: person(agency.PersonEnded, own, agency.Ended)},

		{name: "given", f: person(agency.PersonAdded, owned, agency.Active), want: "access-given tom"},
		{name: "given, taken", f: person(agency.PersonAdded, owned, agency.Revoked), want: "-access-given tom"},
		{name: "access changed", f: person(agency.PersonChanged, owned, agency.Active), want: "access-changed tom"},
		{name: "access changed, taken", f: person(agency.PersonChanged, owned, agency.Revoked), want: "-access-changed tom"},
		{name: "taken", f: person(agency.PersonRemoved, owned, agency.Revoked), want: "access-taken tom"},
		{name: "taken, given", f: person(agency.PersonRemoved, owned, agency.Active), want: "-access-taken tom"},
		{name: "client left", f: person(agency.PersonLeft, owned, agency.Left), want: "person-left oskar"},
	} {
		shown[test.f.event.Type] = true
		t.Run(test.name, func(t *testing.T) {
			f := test.f
			if test.then != nil {
				test.then(&f)
			}
			if diff := cmp.Diff(test.want, brief(plan(f))); diff != "" {
				t.Error(diff)
			}
		})
	}
	for _, e := range eventTypes(t) {
		if !shown[e] {
			t.Errorf("no line shows %s", e)
		}
	}
}

// brief writes a plan down in a line.
func brief(mails []mail) string {
	var out []string
	for _, m := range mails {
		mark := ""
		if m.obsolete {
			mark = "-"
		}
		who, _, _ := strings.Cut(m.to.Address, "@")
		out = append(out, mark+m.kind+" "+who)
		if m.to.ID != agency.NewPersonID(m.to.Address) {
			out = append(out, "(with another's id)")
		}
	}
	return strings.Join(out, ", ")
}

func TestRecipients(t *testing.T) {
	f := connection(agency.ConnectionAccepted, agency.Pending, agency.Active)
	f.staff = nil
	for i := range 14 {
		p := staff(studio, fmt.Sprintf("o%02d@studio.test", i), agency.Owner)
		p.Since = monday.Add(-time.Duration(i) * time.Hour)
		f.staff = append(f.staff, p)
	}
	admin, gone, lapsed := staff(studio, "admin@studio.test", agency.Admin), staff(studio, "gone@studio.test", agency.Owner), staff(studio, "lapsed@studio.test", agency.Owner)
	gone.Status, lapsed.Until = agency.Left, monday
	asker := staff(studio, "ann@studio.test", agency.Admin)
	f.staff = append(f.staff, admin, gone, lapsed, asker)

	addresses := func(to []recipient) string {
		var out []string
		for _, r := range to {
			out = append(out, strings.TrimSuffix(r.Address, "@studio.test"))
		}
		return strings.Join(out, " ")
	}
	all := "ann o13 o12 o11 o10 o09 o08 o07 o06 o05"
	if got := addresses(agencySide(f)); got != all {
		t.Errorf("%s, want %s", got, all)
	}
	slices.Reverse(f.staff)
	if got := addresses(agencySide(f)); got != all {
		t.Errorf("in another order: %s, want %s", got, all)
	}
	f.profile.RequestedBy = agency.NewPersonID("gone@studio.test")
	if got := addresses(agencySide(f)); strings.Contains(got, "gone") || !strings.HasPrefix(got, "o13 ") || len(strings.Fields(got)) != mostRecipients {
		t.Errorf("asked by who has left: %s", got)
	}
	f.profile.RequestedBy = agency.NewPersonID("o03@studio.test")
	if got := addresses(agencySide(f)); strings.Count(got, "o03") != 1 || !strings.HasPrefix(got, "o03 ") {
		t.Errorf("asked by an owner: %s", got)
	}
}

// A new type of event must be given a row, be it an empty one.
func TestEveryEventIsThoughtOf(t *testing.T) {
	types := eventTypes(t)
	if len(types) < 20 {
		t.Fatalf("only %d types of events found", len(types))
	}
	for _, e := range types {
		if _, ok := tellings[e]; !ok {
			t.Errorf("nothing says who is told of %s", e)
		}
	}
	for e := range tellings {
		if !slices.Contains(types, e) {
			t.Errorf("%s is no event", e)
		}
	}
}

// eventTypes are the constants of the type agency.EventType, as its source
// declares them.
func eventTypes(t *testing.T) []agency.EventType {
	t.Helper()
	sources, err := filepath.Glob(filepath.Join("..", "..", "shared", "agency", "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var out []agency.EventType
	for _, source := range sources {
		text, err := os.ReadFile(source)
		if err != nil {
			t.Fatal(err)
		}
		file, err := parser.ParseFile(token.NewFileSet(), source, text, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok {
				return true
			}
			if of, ok := spec.Type.(*ast.Ident); ok && of.Name == "EventType" {
				for _, value := range spec.Values {
					name, err := strconv.Unquote(value.(*ast.BasicLit).Value)
					if err != nil {
						t.Fatal(err)
					}
					out = append(out, agency.EventType(name))
				}
			}
			return true
		})
	}
	return out
}
