package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"agencyhub/shared/agency"
	"agencyhub/shared/service"
	"agencyhub/shared/testbed"
)

// Every type of event has a sentence of its own in the activity.
func TestEveryEventHasASentence(t *testing.T) {
	want, err := testbed.EventTypes()
	if err != nil || len(want) < 20 {
		t.Fatal(want, err)
	}
	var told []string
	for kind := range sentences {
		told = append(told, string(kind))
	}
	slices.Sort(told)
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("types (-source +sentences): %s", diff)
	}
}

// What people read of each event, in the account's activity and in the agency's.
func TestTelling(t *testing.T) {
	s := newSite(t)
	at := time.Date(2030, 5, 6, 12, 0, 0, 0, time.UTC)
	until := at.AddDate(0, 1, 0)
	edit, view := agency.Areas{"pages": agency.Edit}, agency.Areas{"pages": agency.View}
	full := func(e agency.Event) service.ActivityEntry {
		return service.ActivityEntry{Event: e, Account: "Cleo Shoes", AgencyName: "Bright Studio", By: "cleo@client.test", Person: "mia@client.test"}
	}
	event := func(as agency.EventType) agency.Event { return agency.Event{Type: as, At: at, Actor: "per_x"} }
	with := func(as agency.EventType, was, now agency.State) agency.Event {
		e := event(as)
		e.Was, e.Now = was, now
		return e
	}
	for _, tt := range []struct {
		line        service.ActivityEntry
		here, there string
	}{
		{full(event(agency.AccountOpened)), "The account Cleo Shoes was opened · by cleo@client.test", ""},
		{full(with(agency.AccountRenamed, agency.State{Name: "Old"}, agency.State{Name: "New"})), "The account was renamed [Name: Old → New] · by cleo@client.test", ""},
		{full(with(agency.ConnectionRequested, agency.State{}, agency.State{Areas: edit, Expires: until, Message: "Hello"})),
			"Bright Studio asked to work here [Asked for: Edit: Pages] [To be answered until: 2030-06-06] “Hello” · by cleo@client.test",
			"Your agency asked to work in Cleo Shoes [Asked for: Edit: Pages] [To be answered until: 2030-06-06] “Hello” · by cleo@client.test"},
		{service.ActivityEntry{Event: event(agency.ConnectionRequested), AgencyName: "Bright Studio", Asked: "x@y.test"}, "",
			"Your agency asked to work for x@y.test [Asked for: Nothing] [To be answered until: 0001-01-01] · by Bright Studio"},
		{service.ActivityEntry{Event: event(agency.ConnectionWithdrawn)}, "An agency took its request back · by the agency", ""},
		{service.ActivityEntry{Event: agency.Event{Type: agency.ConnectionRequested, At: at, Actor: "per_x", Addressee: "acct_x"}, AgencyName: "Bright Studio"}, "",
			"Your agency asked to work in acct_x [Asked for: Nothing] [To be answered until: 0001-01-01] · by Bright Studio"},
		{full(with(agency.ConnectionAccepted, agency.State{}, agency.State{Areas: view, Until: until})),
			"Bright Studio may work here from now on [Granted: View: Pages] [Ends: 2030-06-06] · by cleo@client.test", ""},
		{full(with(agency.ConnectionDenied, agency.State{Status: agency.Expired}, agency.State{})), "The expired request of Bright Studio was dismissed · by cleo@client.test", ""},
		{full(with(agency.ConnectionRestricted, agency.State{Areas: edit}, agency.State{Areas: view, Until: until})),
			"What Bright Studio may do here was changed [Pages: View and edit → View only] [Ends: 2030-06-06] · by cleo@client.test",
			"What your agency may do in Cleo Shoes was changed [Pages: View and edit → View only] [Ends: 2030-06-06] · by cleo@client.test"},
		{full(with(agency.ConnectionRestricted, agency.State{Until: at}, agency.State{Until: until})), "What Bright Studio may do here was changed [End date moved to: 2030-06-06] · by cleo@client.test", ""},
		{full(with(agency.ConnectionRestricted, agency.State{Until: at}, agency.State{})), "What Bright Studio may do here was changed [End date: removed] · by cleo@client.test", ""},
		{service.ActivityEntry{Event: agency.Event{Type: agency.ConnectionExpired, At: at}, AgencyName: "Bright Studio"}, "The request of Bright Studio expired without an answer · by itself", ""},
		{full(with(agency.PersonAdded, agency.State{}, agency.State{Role: agency.Admin})), "mia@client.test was let in here [Role: Admin] · by cleo@client.test", ""},
		{full(with(agency.PersonChanged, agency.State{Role: agency.Member, Areas: view}, agency.State{Role: agency.Member, Areas: edit, Clients: []agency.AccountID{}})),
			"What mia@client.test may do here was changed [Pages: View only → View and edit] [Works for: all clients → 0 clients] · by cleo@client.test", ""},
		{full(with(agency.PersonChanged, agency.State{Role: agency.Owner}, agency.State{Role: agency.Member, Areas: view})),
			"What mia@client.test may do here was changed [Role: Owner → Member] [May: View: Pages] · by cleo@client.test", ""},
		{full(with(agency.PersonChanged, agency.State{Role: agency.Owner}, agency.State{Role: agency.Owner})),
			"What mia@client.test may do here was changed [Invited again: they may sign in anew] · by cleo@client.test", ""},
		{service.ActivityEntry{Event: event(agency.PersonLeft), Account: "Cleo Shoes"}, "A person left · by the people of Cleo Shoes", ""},
		{service.ActivityEntry{Event: event(agency.AgencyBlocked), AgencyName: "Bright Studio"}, "Bright Studio was blocked: its requests reach nobody here · by the other side", ""},
		{service.ActivityEntry{Event: event(agency.AccountClosed), Account: "Dora Dance", By: annAt, For: "Bright Studio"}, "The account Dora Dance was closed · by ann@agency.test for Bright Studio", ""},
		// Types that this page does not know yet.
		{full(event("account.transmuted")), "Something else happened here: account transmuted · by cleo@client.test",
			"Something else happened in Cleo Shoes: account transmuted · by cleo@client.test"},
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
	declined := agency.Event{Type: agency.ConnectionDenied, At: at, Ownership: agency.ClientOwned}
	for _, tt := range []struct {
		line service.ActivityEntry
		want string
	}{
		{service.ActivityEntry{Event: declined, AgencyName: "Bright Studio", Asked: "x@y.test"}, "Your request to work for x@y.test was declined · by the other side"},
		{service.ActivityEntry{Event: with(agency.PlanChanged, agency.State{Plan: "starter"}, agency.State{Plan: "growth"}), Account: "Dora Dance", By: annAt},
			"The plan was changed in Dora Dance [Plan: Starter, 29 USD a month → Growth, 99 USD a month] · by ann@agency.test"},
		{service.ActivityEntry{Event: agency.Event{Type: agency.PaymentFailed, At: at}, Account: "Dora Dance"}, "A payment failed in Dora Dance · by the platform"},
		{service.ActivityEntry{Event: agency.Event{Type: agency.SubscriptionFroze, At: at}, Account: "Dora Dance"},
			"The subscription ended in Dora Dance: everything can be viewed, and nothing changed · by itself"},
	} {
		if diff := cmp.Diff(tt.want, spoken(s.tell(tt.line, tellInAgency))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.line.Type, diff)
		}
	}
	// Names that look like a pattern's marks stand for themselves.
	tricky := full(event(agency.ConnectionLeft))
	tricky.AgencyName = "50% $off @home"
	if got := spoken(s.tell(tricky, tellInAgency)); !strings.HasPrefix(got, "Your agency ended its work in Cleo Shoes") {
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
