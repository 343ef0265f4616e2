package main

import (
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

// Types of events that the activity has no sentence of its own for. Whoever adds
// a type gives it a sentence, or names it here and says why the neutral one does.
var untold = []agency.EventType{}

func TestEveryEventHasASentence(t *testing.T) {
	var missing []agency.EventType
	types := eventTypes(t)
	for _, e := range types {
		if _, ok := sentences[e]; !ok {
			missing = append(missing, e)
		}
	}
	if !slices.Equal(missing, untold) {
		t.Errorf("without a sentence of their own are %v, want %v", missing, untold)
	}
	for e := range sentences {
		if !slices.Contains(types, e) {
			t.Errorf("%s is no event", e)
		}
	}
}

// eventTypes are the constants of the type agency.EventType, as its source
// declares them.
func eventTypes(t *testing.T) []agency.EventType {
	t.Helper()
	source := filepath.Join("..", "..", "shared", "agency", "event.go")
	text, err := os.ReadFile(source)
	if err != nil {
		t.Fatal(err)
	}
	file, err := parser.ParseFile(token.NewFileSet(), source, text, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var out []agency.EventType
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok {
			if of, ok := spec.Type.(*ast.Ident); ok && of.Name == "EventType" {
				name, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
				if err != nil {
					t.Fatal(err)
				}
				out = append(out, agency.EventType(name))
			}
		}
		return true
	})
	if len(out) < 20 {
		t.Fatalf("only %d types of events are declared", len(out))
	}
	return out
}

// What people read of each event, in the account's activity and in the agency's.
func TestTelling(t *testing.T) {
	s := newSite(t)
	at := time.Date(2030, 5, 6, 12, 0, 0, 0, time.UTC)
	until := at.AddDate(0, 1, 0)
	edit, view := agency.Areas{"pages": agency.Edit}, agency.Areas{"pages": agency.View}
	full := func(e agency.Event) agency.Line {
		return agency.Line{Event: e, Account: "Cleo Shoes", AgencyName: "Bright Studio", By: "cleo@client.test", Person: "mia@client.test"}
	}
	event := func(as agency.EventType) agency.Event { return agency.Event{Type: as, At: at, Actor: "per_x"} }
	with := func(as agency.EventType, was, now agency.State) agency.Event {
		e := event(as)
		e.Was, e.Now = was, now
		return e
	}
	for _, tt := range []struct {
		line        agency.Line
		here, there string
	}{
		{full(event(agency.AccountOpened)), "The account Cleo Shoes was opened · by cleo@client.test", ""},
		{full(with(agency.AccountRenamed, agency.State{Name: "Old"}, agency.State{Name: "New"})), "The account was renamed [Name: Old → New] · by cleo@client.test", ""},
		{full(with(agency.ConnectionRequested, agency.State{}, agency.State{Areas: edit, Expires: until, Message: "Hello"})),
			"Bright Studio asked to work here [Asked for: Pages view and edit] [To be answered until: 2030-06-06] “Hello” · by cleo@client.test",
			"Bright Studio asked to work in Cleo Shoes [Asked for: Pages view and edit] [To be answered until: 2030-06-06] “Hello” · by cleo@client.test"},
		{agency.Line{Event: event(agency.ConnectionRequested), AgencyName: "Bright Studio", Asked: "x@y.test"}, "",
			"Bright Studio asked to work for x@y.test [Asked for: no area] [To be answered until: 0001-01-01] · by Bright Studio"},
		{agency.Line{Event: event(agency.ConnectionWithdrawn)}, "An agency took its request back · by the agency", ""},
		{agency.Line{Event: event(agency.ConnectionRequested), AgencyName: "Bright Studio"}, "",
			"Bright Studio asked to work in an account that has not let it in yet [Asked for: no area] [To be answered until: 0001-01-01] · by Bright Studio"},
		{full(with(agency.ConnectionAccepted, agency.State{}, agency.State{Areas: view, Until: until})),
			"Bright Studio was let in here [Granted: Pages view only] [Ends: 2030-06-06] · by cleo@client.test", ""},
		{full(with(agency.ConnectionDenied, agency.State{Status: agency.Expired}, agency.State{})), "The expired request of Bright Studio was dismissed · by cleo@client.test", ""},
		{full(with(agency.ConnectionRestricted, agency.State{Areas: edit}, agency.State{Areas: view, Until: until})),
			"What Bright Studio may do here was changed [Pages: View and edit → View only] [Ends: 2030-06-06] · by cleo@client.test",
			"What Bright Studio may do in Cleo Shoes was changed [Pages: View and edit → View only] [Ends: 2030-06-06] · by cleo@client.test"},
		{full(with(agency.ConnectionRestricted, agency.State{Until: at}, agency.State{Until: until})), "What Bright Studio may do here was changed [End date moved to: 2030-06-06] · by cleo@client.test", ""},
		{full(with(agency.ConnectionRestricted, agency.State{Until: at}, agency.State{})), "What Bright Studio may do here was changed [End date: removed] · by cleo@client.test", ""},
		{agency.Line{Event: agency.Event{Type: agency.ConnectionExpired, At: at}, AgencyName: "Bright Studio"}, "The request of Bright Studio expired without an answer · by itself", ""},
		{full(with(agency.PersonAdded, agency.State{}, agency.State{Role: agency.Admin})), "mia@client.test was let in here [Role: Admin] · by cleo@client.test", ""},
		{full(with(agency.PersonChanged, agency.State{Role: agency.Member, Areas: view}, agency.State{Role: agency.Member, Areas: edit, Clients: []agency.AccountID{}})),
			"What mia@client.test may do here was changed [Pages: View only → View and edit] [Works for: all clients → 0 clients] · by cleo@client.test", ""},
		{full(with(agency.PersonChanged, agency.State{Role: agency.Owner}, agency.State{Role: agency.Member, Areas: view})),
			"What mia@client.test may do here was changed [Role: Owner → Member] [May: Pages view only] · by cleo@client.test", ""},
		{full(with(agency.PersonChanged, agency.State{Role: agency.Owner}, agency.State{Role: agency.Owner})),
			"What mia@client.test may do here was changed [Invited again: they may sign in anew] · by cleo@client.test", ""},
		{agency.Line{Event: event(agency.PersonLeft), Account: "Cleo Shoes"}, "A person left · by the people of Cleo Shoes", ""},
		{agency.Line{Event: event(agency.AgencyBlocked), AgencyName: "Bright Studio"}, "Bright Studio was blocked: its requests reach nobody here · by the other side", ""},
		{agency.Line{Event: event(agency.AccountClosed), Account: "Dora Dance", By: annAt, For: "Bright Studio"}, "The account Dora Dance was closed · by ann@agency.test for Bright Studio", ""},
		// Types that this page does not know yet.
		{full(event("subscription.plan_changed")), "Something else happened here: subscription plan changed · by cleo@client.test",
			"Something else happened in Cleo Shoes: subscription plan changed · by cleo@client.test"},
	} {
		for where, want := range map[telling]string{tellInAccount: tt.here, tellInAgency: tt.there} {
			if want == "" {
				continue
			}
			if diff := cmp.Diff(want, spoken(s.tell(tt.line, where))); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tt.line.Type, diff)
			}
		}
	}
	// Names that look like a pattern's marks stand for themselves.
	tricky := full(event(agency.ConnectionLeft))
	tricky.AgencyName = "50% $off @home"
	if got := spoken(s.tell(tricky, tellInAgency)); !strings.HasPrefix(got, "50% $off @home ended its work in Cleo Shoes") {
		t.Errorf("a tricky name makes %q", got)
	}
}

// spoken is a line as one text.
func spoken(l activityLine) string {
	text := joined(l.Sentence)
	for _, d := range l.Details {
		now := d.Now
		if now == "" {
			now = d.At.Format(time.DateOnly)
		}
		if d.Was != "" {
			now = d.Was + " → " + now
		}
		text += " [" + d.Name + ": " + now + "]"
	}
	if l.Message != "" {
		text += " “" + l.Message + "”"
	}
	return text + " · " + joined(l.By)
}

func joined(line []words) string {
	var b strings.Builder
	for _, w := range line {
		b.WriteString(w.Text)
	}
	return b.String()
}
