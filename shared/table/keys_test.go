package table

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"agencyhub/shared/agency"
	"agencyhub/shared/outbox"
	"agencyhub/shared/service"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

var (
	account1 = agency.NewAccountID("per_x", "1")
	account2 = agency.NewAccountID("per_x", "2")
	person1  = agency.NewPersonID("ann@client.test")
	hash1    = strings.Repeat("0123456789abcdef", 4)
	event1   = agency.NewEventID("01ARZ3NDEKTSV4RRFFQ69G5FAV")
)

func TestKeysComeApart(t *testing.T) {
	for _, p := range []agency.ProfileKey{
		agency.AgencyAt(account1, account2), agency.PersonAt(account1, person1), {Addressee: agency.Party(person1), Member: agency.Party(account1)},
	} {
		k := profileKey(p)
		if got, err := parseProfileKey(k.pk, k.sk); err != nil || got != p {
			t.Errorf("%v is %v, %v", k, got, err)
		}
	}
	c := service.CallKey{Agency: account1, Hash: hash1}
	if got, err := parseCallKey(callKey(c).pk, callKey(c).sk); err != nil || got != c {
		t.Errorf("%v is %v, %v", c, got, err)
	}
	session := NewSessionID("a secret")
	if got, err := parseSessionKey(sessionKey(session).pk, sessionKey(session).sk); err != nil || got != session {
		t.Errorf("%v is %v, %v", session, got, err)
	}
	for _, e := range []EventKey{{agency.Party(account1), event1}, {agency.Party(person1), event1}} {
		k := eventKey(e)
		if got, err := ParseEventKey(k.pk, k.sk); err != nil || got != e {
			t.Errorf("%v is %v, %v", k, got, err)
		}
	}
}

func TestKeysAreTheContract(t *testing.T) {
	for want, got := range map[key]key{
		{"ACCT#" + string(account1), "ACCT"}:                                                    accountKey(account1),
		{"PERSON#" + string(person1), "PERSON"}:                                                 personKey(person1),
		{"ACCT#" + string(account1), "TEAM#" + string(person1)}:                                 profileKey(agency.PersonAt(account1, person1)),
		{"ACCT#" + string(account1), "TEAM#" + string(account2)}:                                profileKey(agency.AgencyAt(account1, account2)),
		{"PERSON#" + string(person1), "TEAM#" + string(account2)}:                               profileKey(agency.ProfileKey{Addressee: agency.Party(person1), Member: agency.Party(account2)}),
		{"ACCT#" + string(account1), "EVENT#01arz3ndektsv4rrffq69g5fav"}:                        eventKey(EventKey{agency.Party(account1), event1}),
		{"MAIL#" + string(event1), "request#" + string(person1)}:                                mailKey(outbox.MailKey{Event: event1, Kind: "request", Recipient: person1}),
		{"CALL#" + string(account1), hash1}:                                                     callKey(service.CallKey{Agency: account1, Hash: hash1}),
		{"SESSION#" + hash1, "SESSION"}:                                                         sessionKey(SessionID(hash1)),
		{"SESSION#ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb", "SESSION"}: sessionKey(NewSessionID("a")),
		{"SWEEP", "SWEEP"}:                       sweepKey(),
		{"COUNT#" + string(account1), "now"}:     countKey(account1, nowSort),
		{"COUNT#" + string(account1), "2026-11"}: countKey(account1, monthSort(noon)),
		{"COUNT#" + string(account1), "2026-12"}: countKey(account1, monthSort(time.Date(2026, 11, 30, 23, 30, 0, 0, time.FixedZone("west", -3600)))),
	} {
		if got != want {
			t.Errorf("%v, want %v", got, want)
		}
	}
}

func FuzzProfileKey(f *testing.F) {
	f.Add("ACCT#"+string(account1), "TEAM#"+string(person1))
	f.Add("PERSON#"+string(person1), "TEAM#"+string(account1))
	f.Add("ACCT#"+string(person1), "TEAM#"+string(account1))
	f.Add("PERSON#"+string(account1), "TEAM#"+string(account1))
	f.Add("ACCT#"+string(account1)+"#x", "TEAM#"+string(account1))
	f.Add("ACCT#"+string(account1), "TEAM#"+string(event1))
	f.Add("", "")
	f.Fuzz(func(t *testing.T, pk, sk string) {
		p, err := parseProfileKey(pk, sk)
		if err != nil {
			return
		}
		if k := profileKey(p); k.pk != pk || k.sk != sk || !p.Addressee.IsValid() || !p.Member.IsValid() {
			t.Errorf("%q %q is %v, whose key is %v", pk, sk, p, k)
		}
	})
}

func FuzzEventKey(f *testing.F) {
	f.Add("ACCT#"+string(account1), "EVENT#01arz3ndektsv4rrffq69g5fav")
	f.Add("ACCT#"+string(account1), "EVENT#evt_01arz3ndektsv4rrffq69g5fav")
	f.Add("ACCT#"+string(account1), "EVENT#")
	f.Add("COUNT#"+string(account1), "EVENT#01arz3ndektsv4rrffq69g5fav")
	f.Fuzz(func(t *testing.T, pk, sk string) {
		e, err := ParseEventKey(pk, sk)
		if err != nil {
			return
		}
		if k := eventKey(e); k.pk != pk || k.sk != sk {
			t.Errorf("%q %q is %v, whose key is %v", pk, sk, e, k)
		}
	})
}

func FuzzCallKey(f *testing.F) {
	f.Add("CALL#"+string(account1), hash1)
	f.Add("CALL#"+string(account1), strings.ToUpper(hash1))
	f.Add("CALL#"+string(account1), hash1[1:])
	f.Add("CALL#"+string(person1), hash1)
	f.Add("COUNT#"+string(account1), hash1)
	f.Fuzz(func(t *testing.T, pk, sk string) {
		c, err := parseCallKey(pk, sk)
		if err != nil {
			return
		}
		if k := callKey(c); k.pk != pk || k.sk != sk || !c.IsValid() {
			t.Errorf("%q %q is %v, whose key is %v", pk, sk, c, k)
		}
	})
}

func FuzzSessionKey(f *testing.F) {
	f.Add("SESSION#"+hash1, "SESSION")
	f.Add("SESSION#"+strings.ToUpper(hash1), "SESSION")
	f.Add("SESSION#"+hash1[1:], "SESSION")
	f.Add("SESSION#"+hash1, "SESSION#")
	f.Add("STOP#"+hash1, "SESSION")
	f.Fuzz(func(t *testing.T, pk, sk string) {
		id, err := parseSessionKey(pk, sk)
		if err != nil {
			return
		}
		if k := sessionKey(id); k.pk != pk || k.sk != sk || !id.IsValid() {
			t.Errorf("%q %q is %v, whose key is %v", pk, sk, id, k)
		}
	})
}

func TestMalformedKeysAreRefused(t *testing.T) {
	for _, k := range []key{
		{}, {"ACCT#", "TEAM#"}, {string(account1), "TEAM#" + string(person1)}, {"ACCT#" + string(account1), string(person1)},
		{"ACCT#" + string(person1), "TEAM#" + string(person1)}, {"PERSON#" + string(account1), "TEAM#" + string(person1)},
		{"ACCT#" + string(account1), "TEAM#" + string(person1) + " "}, {"acct#" + string(account1), "TEAM#" + string(person1)},
		{"ACCT#" + string(account1), "ACCT"},
	} {
		if got, err := parseProfileKey(k.pk, k.sk); err == nil {
			t.Errorf("%v is the profile %v", k, got)
		}
		if got, err := ParseEventKey(k.pk, k.sk); err == nil {
			t.Errorf("%v is the event %v", k, got)
		}
		if got, err := parseCallKey(k.pk, k.sk); err == nil {
			t.Errorf("%v is the call %v", k, got)
		}
		if got, err := parseSessionKey(k.pk, k.sk); err == nil {
			t.Errorf("%v is the session %v", k, got)
		}
	}
}

// No two things share a key.
func TestKeysAreTheirOwn(t *testing.T) {
	suffix := rapid.StringMatching(`[0-9a-hjkmnp-tv-z]{26}`)
	rapid.Check(t, func(t *rapid.T) {
		// With only two suffixes, items of different kinds often share one.
		var accounts []agency.AccountID
		var people []agency.PersonID
		var events []agency.EventID
		for range 2 {
			s := suffix.Draw(t, "suffix")
			accounts, people, events = append(accounts, agency.AccountID("acct_"+s)), append(people, agency.PersonID("per_"+s)), append(events, agency.EventID("evt_"+s))
		}
		all := map[key]any{}
		add := func(k key, of any) {
			if was, there := all[k]; there && was != of {
				t.Fatalf("%v is %v and %v", k, was, of)
			}
			all[k] = of
		}
		add(sweepKey(), "sweep")
		kinds := []string{"a", "b"}
		for i := range 2 {
			add(accountKey(accounts[i]), accounts[i])
			add(personKey(people[i]), people[i])
			add(countKey(accounts[i], nowSort), "count"+string(accounts[i]))
			add(sessionKey(NewSessionID(string(accounts[i]))), "session"+string(accounts[i]))
			add(callKey(service.CallKey{Agency: accounts[i], Hash: hash1}), "call"+string(accounts[i]))
			for j := range 2 {
				add(profileKey(agency.AgencyAt(accounts[i], accounts[j])), agency.AgencyAt(accounts[i], accounts[j]))
				add(profileKey(agency.PersonAt(accounts[i], people[j])), agency.PersonAt(accounts[i], people[j]))
				mixed := agency.ProfileKey{Addressee: agency.Party(people[i]), Member: agency.Party(accounts[j])}
				add(profileKey(mixed), mixed)
				add(eventKey(EventKey{agency.Party(accounts[i]), events[j]}), EventKey{agency.Party(accounts[i]), events[j]})
				add(eventKey(EventKey{agency.Party(people[i]), events[j]}), EventKey{agency.Party(people[i]), events[j]})
				for _, kind := range kinds {
					add(mailKey(outbox.MailKey{Event: events[i], Kind: kind, Recipient: people[j]}), outbox.MailKey{Event: events[i], Kind: kind, Recipient: people[j]})
				}
			}
		}
	})
}

func TestStampsSortAsTimes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string) time.Time {
			return time.UnixMilli(rapid.Int64Range(0, 250_000_000_000_000).Draw(t, name)).UTC()
		}
		a, b := draw("a"), draw("b")
		if (stamp(a) < stamp(b)) != a.Before(b) {
			t.Fatalf("%s and %s", stamp(a), stamp(b))
		}
		if back, err := unstamp(stamp(a)); err != nil || !back.Equal(a) {
			t.Fatalf("%s is %s, %v", a, back, err)
		}
	})
	if _, err := unstamp("2026-11-23"); err == nil {
		t.Error("half a stamp was read")
	}
	if zero, err := unstamp(stamp(time.Time{})); err != nil || !zero.IsZero() {
		t.Error("no time is some time")
	}
}

func TestClientsAreOrderedByStatusAndName(t *testing.T) {
	var keys []string
	for _, p := range []agency.Profile{
		{Status: agency.Pending}, {Status: agency.Pending, AccountName: "Acme"}, {Status: agency.Active},
		{Status: agency.Active, AccountName: "ÄPFEL"}, {Status: agency.Active, AccountName: "Beta"}, {Status: agency.Active, AccountName: "acme"},
	} {
		p.ProfileKey = agency.AgencyAt(account1, account2)
		keys = append(keys, memberSort(p))
	}
	// Folded names are ordered by their bytes; an account without a name is between ASCII and the rest.
	slices.Sort(keys)
	want := []string{"active#acme", "active#beta", "active#\x7f" + string(account1), "active#äpfel", "pending#acme", "pending#\x7f" + string(account1)}
	if !slices.Equal(keys, want) {
		t.Errorf("%q", keys)
	}
	p := agency.Profile{ProfileKey: agency.PersonAt(account1, person1), Status: agency.Active, AccountName: "Acme"}
	if memberSort(p) != "acme" {
		t.Errorf("a person's is %q", memberSort(p))
	}
}

func TestBoundsOfStatuses(t *testing.T) {
	for _, s := range agency.Statuses {
		if !(eventPrefix < allStatuses && allStatuses < string(s)) || (string(s) < endedStatuses) != (s == agency.Active) {
			t.Errorf("%q is on the wrong side of a bound", s)
		}
	}
}
