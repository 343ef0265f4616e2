package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"agencyhub/shared/agency"
	"agencyhub/shared/service"
	"agencyhub/shared/testbed"
)

// Every type of event has a sentence.
func TestEveryEventHasSentence(t *testing.T) {
	want, err := testbed.EventTypes()
	if err != nil || len(want) < 20 {
		t.Fatal(want, err)
	}
	var got []string
	for kind := range sentences {
		got = append(got, string(kind))
	}
	slices.Sort(got)
	wantEqual(t, "types with a sentence", want, got)
}

var eventTime = time.Date(2030, 5, 6, 12, 0, 0, 0, time.UTC)

func eventOf(kind agency.EventType) agency.Event {
	return agency.Event{Type: kind, At: eventTime, Actor: "per_x"}
}

func changeOf(kind agency.EventType, was, now agency.State) agency.Event {
	e := eventOf(kind)
	e.Was, e.Now = was, now
	return e
}

// named returns the entry of an event whose names are all known.
func named(e agency.Event) service.ActivityEntry {
	return service.ActivityEntry{Event: e, Account: "Cleo Shoes", AgencyName: "Bright Studio", By: "cleo@client.test", Person: "mia@client.test"}
}

// What people read of events, in the account's activity and in the agency's.
func TestSentences(t *testing.T) {
	type (
		entry = service.ActivityEntry
		state = agency.State
	)
	s, at, until := newSite(t), eventTime, eventTime.AddDate(0, 1, 0)
	edit, view := agency.Areas{"pages": agency.Edit}, agency.Areas{"pages": agency.View}
	for _, tt := range []struct {
		entry       entry
		here, there string
	}{
		{named(eventOf(agency.AccountOpened)), "The account Cleo Shoes was opened · by cleo@client.test", ""},
		{named(changeOf(agency.AccountRenamed, state{Name: "Old"}, state{Name: "New"})),
			"The account was renamed [Name: Old → New] · by cleo@client.test", ""},
		{named(changeOf(agency.ConnectionRequested, state{}, state{Areas: edit, Expires: until, Message: "Hello"})),
			"Bright Studio asked to work here [Asked for: Edit: Pages] [To be answered until: 2030-06-06] “Hello” · by cleo@client.test",
			"Your agency asked to work in Cleo Shoes [Asked for: Edit: Pages] [To be answered until: 2030-06-06] “Hello” · by cleo@client.test"},
		{entry{Event: eventOf(agency.ConnectionRequested), AgencyName: "Bright Studio", Asked: "x@y.test"}, "",
			"Your agency asked to work for x@y.test [Asked for: Nothing] [To be answered until: 0001-01-01] · by Bright Studio"},
		{entry{Event: eventOf(agency.ConnectionWithdrawn)}, "An agency took its request back · by the agency", ""},
		{entry{Event: agency.Event{Type: agency.ConnectionRequested, At: at, Actor: "per_x", Addressee: "acct_x"},
			AgencyName: "Bright Studio"}, "",
			"Your agency asked to work in acct_x [Asked for: Nothing] [To be answered until: 0001-01-01] · by Bright Studio"},
		{named(changeOf(agency.ConnectionAccepted, state{}, state{Areas: view, Until: until})),
			"Bright Studio may work here from now on [Granted: View: Pages] [Ends: 2030-06-06] · by cleo@client.test", ""},
		{named(changeOf(agency.ConnectionDeclined, state{Status: agency.Expired}, state{})),
			"The expired request of Bright Studio was dismissed · by cleo@client.test", ""},
		{named(changeOf(agency.ConnectionRestricted, state{Areas: edit}, state{Areas: view, Until: until})),
			"What Bright Studio may do here was changed [Pages: View and edit → View only] [Ends: 2030-06-06] · by cleo@client.test",
			"What your agency may do in Cleo Shoes was changed [Pages: View and edit → View only] [Ends: 2030-06-06] · by cleo@client.test"},
		{named(changeOf(agency.ConnectionRestricted, state{Until: at}, state{Until: until})),
			"What Bright Studio may do here was changed [End date moved to: 2030-06-06] · by cleo@client.test", ""},
		{named(changeOf(agency.ConnectionRestricted, state{Until: at}, state{})),
			"What Bright Studio may do here was changed [End date: removed] · by cleo@client.test", ""},
		{entry{Event: agency.Event{Type: agency.ConnectionExpired, At: at}, AgencyName: "Bright Studio"},
			"The request of Bright Studio expired without an answer · by itself", ""},
		{named(changeOf(agency.PersonAdded, state{}, state{Role: agency.Admin})),
			"mia@client.test was let in here [Role: Admin] · by cleo@client.test", ""},
		{named(changeOf(agency.PersonChanged, state{Role: agency.Member, Areas: view},
			state{Role: agency.Member, Areas: edit, Clients: []agency.AccountID{}})),
			"What mia@client.test may do here was changed [Pages: View only → View and edit] " +
				"[Works for: all clients → 0 clients] · by cleo@client.test", ""},
		{named(changeOf(agency.PersonChanged, state{Role: agency.Owner}, state{Role: agency.Member, Areas: view})),
			"What mia@client.test may do here was changed [Role: Owner → Member] [May: View: Pages] · by cleo@client.test", ""},
		{named(changeOf(agency.PersonChanged, state{Role: agency.Owner}, state{Role: agency.Owner})),
			"What mia@client.test may do here was changed [Invited again: they may sign in anew] · by cleo@client.test", ""},
		{entry{Event: eventOf(agency.PersonLeft), Account: "Cleo Shoes"}, "A person left · by the people of Cleo Shoes", ""},
		{entry{Event: eventOf(agency.AgencyBlocked), AgencyName: "Bright Studio"},
			"Bright Studio was blocked: its requests reach nobody here · by the other side", ""},
		{entry{Event: eventOf(agency.AccountClosed), Account: "Dora Dance", By: annAt, For: "Bright Studio"},
			"The account Dora Dance was closed · by ann@agency.test for Bright Studio", ""},
		// A type without a sentence.
		{named(eventOf("account.transmuted")), "Something else happened here: account transmuted · by cleo@client.test",
			"Something else happened in Cleo Shoes: account transmuted · by cleo@client.test"},
		{entry{Event: agency.Event{Type: agency.ConnectionDeclined, At: at, Ownership: agency.ClientOwned},
			AgencyName: "Bright Studio", Asked: "x@y.test"}, "",
			"Your request to work for x@y.test was declined · by the other side"},
		{entry{Event: changeOf(agency.PlanChanged, state{Plan: "starter"}, state{Plan: "growth"}),
			Account: "Dora Dance", By: annAt}, "",
			"The plan was changed in Dora Dance [Plan: Starter, 29 USD a month → Growth, 99 USD a month] · by ann@agency.test"},
		{entry{Event: agency.Event{Type: agency.PaymentFailed, At: at}, Account: "Dora Dance"}, "",
			"A payment failed in Dora Dance · by the platform"},
		{entry{Event: agency.Event{Type: agency.SubscriptionFroze, At: at}, Account: "Dora Dance"}, "",
			"The subscription ended in Dora Dance: everything can be viewed, and nothing changed · by itself"},
	} {
		for scope, want := range map[activityScope]string{accountScope: tt.here, agencyScope: tt.there} {
			if want == "" {
				continue
			}
			wantEqual(t, string(tt.entry.Type), want, entryText(s.newActivityEntry(tt.entry, scope)))
		}
	}
}

// Marks in names are not replaced.
func TestSentenceMarksInNames(t *testing.T) {
	tricky := named(eventOf(agency.ConnectionLeft))
	tricky.AgencyName = "50% $off @home"
	got := entryText(newSite(t).newActivityEntry(tricky, agencyScope))
	if !strings.HasPrefix(got, "Your agency ended its work in Cleo Shoes") {
		t.Errorf("a tricky name makes %q", got)
	}
}

// entryText returns an entry as one text.
func entryText(l activityEntry) string {
	text := spanText(l.Sentence)
	for _, d := range l.Changes {
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
	return text + " · " + spanText(l.By)
}

func spanText(line []span) string {
	var b strings.Builder
	for _, w := range line {
		b.WriteString(w.Text)
	}
	return b.String()
}
