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

// ofKind returns an event of a request of that kind.
func ofKind(kind agency.RequestKind, e agency.Event) agency.Event {
	e.Kind = kind
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
	at, until := eventTime, eventTime.AddDate(0, 1, 0)
	edit, view := agency.Areas{"pages": agency.Edit}, agency.Areas{"pages": agency.View}
	wantSentences(t, []wantedSentence{
		{named(eventOf(agency.AccountOpened)), "The account Cleo Shoes was opened · by cleo@client.test", ""},
		{named(changeOf(agency.AccountRenamed, state{Name: "Old"}, state{Name: "New"})),
			"The account was renamed [Name: Old → New] · by cleo@client.test", ""},
		{named(changeOf(agency.ConnectionRequested, state{}, state{Areas: edit, Expires: until, Message: "Hello"})),
			"Bright Studio requested access [Access requested: Edit: Pages] [Expires: 2030-06-06] “Hello” · by cleo@client.test",
			"Your agency requested access to Cleo Shoes [Access requested: Edit: Pages] [Expires: 2030-06-06] “Hello” · by cleo@client.test"},
		{entry{Event: eventOf(agency.ConnectionRequested), AgencyName: "Bright Studio", Asked: "x@y.test"}, "",
			"Your agency requested access to x@y.test [Access requested: Nothing] [Expires: 0001-01-01] · by Bright Studio"},
		{entry{Event: eventOf(agency.ConnectionWithdrawn)}, "An agency withdrew its request · by the agency", ""},
		{entry{Event: agency.Event{Type: agency.ConnectionRequested, At: at, Actor: "per_x", Addressee: "acct_x"},
			AgencyName: "Bright Studio"}, "",
			"Your agency requested access to acct_x [Access requested: Nothing] [Expires: 0001-01-01] · by Bright Studio"},
		{named(changeOf(agency.ConnectionAccepted, state{}, state{Areas: view, Until: until})),
			"Bright Studio got access [Granted: View: Pages] [Ends: 2030-06-06] · by cleo@client.test", ""},
		{named(changeOf(agency.ConnectionDeclined, state{Status: agency.Expired}, state{})),
			"The expired request of Bright Studio was dismissed · by cleo@client.test", ""},
		{named(changeOf(agency.ConnectionRestricted, state{Areas: edit}, state{Areas: view, Until: until})),
			"The access of Bright Studio was changed [Pages: View and edit → View only] [Ends: 2030-06-06] · by cleo@client.test",
			"Your agency's access was changed, in Cleo Shoes [Pages: View and edit → View only] [Ends: 2030-06-06] · by cleo@client.test"},
		{named(changeOf(agency.ConnectionRestricted, state{Until: at}, state{Until: until})),
			"The access of Bright Studio was changed [End date moved to: 2030-06-06] · by cleo@client.test", ""},
		{named(changeOf(agency.ConnectionRestricted, state{Until: at}, state{})),
			"The access of Bright Studio was changed [End date: removed] · by cleo@client.test", ""},
		{entry{Event: agency.Event{Type: agency.ConnectionExpired, At: at}, AgencyName: "Bright Studio"},
			"The request of Bright Studio expired · automatically", ""},
		{named(changeOf(agency.PersonAdded, state{}, state{Role: agency.Admin})),
			"mia@client.test joined [Role: Admin] · by cleo@client.test", ""},
		{named(changeOf(agency.PersonChanged, state{Role: agency.Member, Areas: view},
			state{Role: agency.Member, Areas: edit, Clients: []agency.AccountID{}})),
			"The access of mia@client.test was changed [Pages: View only → View and edit] " +
				"[Works for: all clients → 0 clients] · by cleo@client.test", ""},
		{named(changeOf(agency.PersonChanged, state{Role: agency.Owner}, state{Role: agency.Member, Areas: view})),
			"The access of mia@client.test was changed [Role: Owner → Member] [Access: View: Pages] · by cleo@client.test", ""},
		{named(changeOf(agency.PersonChanged, state{Role: agency.Owner}, state{Role: agency.Owner})),
			"The access of mia@client.test was changed · by cleo@client.test", ""},
		{entry{Event: eventOf(agency.PersonLeft), Account: "Cleo Shoes"}, "A person left · by the people of Cleo Shoes", ""},
		{entry{Event: eventOf(agency.AgencyBlocked), AgencyName: "Bright Studio"},
			"Bright Studio was blocked · by the other side", ""},
		{entry{Event: eventOf(agency.AccountClosed), Account: "Dora Dance", By: annAt, For: "Bright Studio"},
			"The account Dora Dance was closed · by ann@agency.test for Bright Studio", ""},
		// A type without a sentence.
		{named(eventOf("account.transmuted")), "Something else happened here: account transmuted · by cleo@client.test",
			"Something else happened in Cleo Shoes: account transmuted · by cleo@client.test"},
		{entry{Event: agency.Event{Type: agency.ConnectionDeclined, At: at, Ownership: agency.ClientOwned},
			AgencyName: "Bright Studio", Asked: "x@y.test"}, "",
			"Your request was declined, for x@y.test · by the other side"},
		{entry{Event: changeOf(agency.PlanChanged, state{Plan: "starter"}, state{Plan: "growth"}),
			Account: "Dora Dance", By: annAt}, "",
			"The plan was changed in Dora Dance [Plan: Starter, 29 USD a month → Growth, 99 USD a month] · by ann@agency.test"},
		{entry{Event: agency.Event{Type: agency.PaymentFailed, At: at}, Account: "Dora Dance"}, "",
			"A payment failed in Dora Dance · by the platform"},
		{entry{Event: agency.Event{Type: agency.SubscriptionFroze, At: at}, Account: "Dora Dance"}, "",
			"The subscription ended in Dora Dance: everything can be viewed, and nothing changed · automatically"},
	})
}

// The same of invitations and of offers of ownership.
func TestInvitationSentences(t *testing.T) {
	type (
		entry = service.ActivityEntry
		state = agency.State
	)
	at, until := eventTime, eventTime.AddDate(0, 1, 0)
	view := agency.Areas{"pages": agency.View}
	wantSentences(t, []wantedSentence{
		{named(changeOf(agency.PersonInvited, state{}, state{Role: agency.Member, Areas: view, Expires: until})),
			"mia@client.test was invited [Access: View: Pages] [Expires: 2030-06-06] · by cleo@client.test",
			"mia@client.test was invited, in Cleo Shoes [Access: View: Pages] [Expires: 2030-06-06] · by cleo@client.test"},
		{named(changeOf(agency.PersonInvited, state{Status: agency.Active}, state{Role: agency.Admin, Expires: until})),
			"A new sign-in was asked of mia@client.test [Role: Admin] [Expires: 2030-06-06] · by cleo@client.test", ""},
		{named(ofKind(agency.InvitationKind, changeOf(agency.InvitationResent, state{}, state{Role: agency.Admin, Expires: until}))),
			"The invitation of mia@client.test was sent again [Role: Admin] [Expires: 2030-06-06] · by cleo@client.test", ""},
		{named(ofKind(agency.OwnershipKind, changeOf(agency.InvitationResent, state{}, state{Role: agency.Admin, Expires: until}))),
			"The offer of ownership to mia@client.test was sent again [Expires: 2030-06-06] · by cleo@client.test", ""},
		{named(ofKind(agency.InvitationKind, eventOf(agency.InvitationDeclined))),
			"mia@client.test declined the invitation · by cleo@client.test", "mia@client.test declined the invitation, in Cleo Shoes · by cleo@client.test"},
		{named(ofKind(agency.OwnershipKind, eventOf(agency.InvitationDeclined))), "mia@client.test declined ownership · by cleo@client.test", ""},
		{named(ofKind(agency.InvitationKind, eventOf(agency.InvitationWithdrawn))),
			"The invitation of mia@client.test was withdrawn · by cleo@client.test", ""},
		{entry{Event: ofKind(agency.OwnershipKind, agency.Event{Type: agency.InvitationWithdrawn, At: at}), Person: "mia@client.test"},
			"The offer of ownership to mia@client.test was withdrawn · automatically", ""},
		{entry{Event: ofKind(agency.InvitationKind, agency.Event{Type: agency.InvitationExpired, At: at}), Person: "mia@client.test"},
			"The invitation of mia@client.test expired · automatically", ""},
		{entry{Event: ofKind(agency.OwnershipKind, changeOf(agency.InvitationReminded, state{}, state{Expires: until})), By: "x@y.test"},
			"A reminder of the offer of ownership to a person was sent [Expires: 2030-06-06] · by x@y.test", ""},
		{named(ofKind(agency.OwnershipKind, changeOf(agency.OwnershipOffered, state{}, state{Role: agency.Admin, Expires: until}))),
			"mia@client.test was offered ownership [Expires: 2030-06-06] · by cleo@client.test", ""},
		{named(ofKind(agency.OwnershipKind, eventOf(agency.OwnershipAccepted))), "mia@client.test became an owner · by cleo@client.test", ""},
	})
}

// wantedSentence is what people read of an entry in the account's activity and in the
// agency's; "" for what they never do.
type wantedSentence struct {
	entry       service.ActivityEntry
	here, there string
}

func wantSentences(t *testing.T, wanted []wantedSentence) {
	t.Helper()
	s := newSite(t)
	for _, tt := range wanted {
		for scope, want := range map[activityScope]string{accountScope: tt.here, agencyScope: tt.there} {
			if want != "" {
				wantEqual(t, string(tt.entry.Type), want, entryText(s.newActivityEntry(tt.entry, scope)))
			}
		}
	}
}

// Marks in names are not replaced.
func TestSentenceMarksInNames(t *testing.T) {
	tricky := named(eventOf(agency.ConnectionLeft))
	tricky.AgencyName = "50% $off @home"
	got := entryText(newSite(t).newActivityEntry(tricky, agencyScope))
	if !strings.HasPrefix(got, "Your agency left, in Cleo Shoes") {
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
