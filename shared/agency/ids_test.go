package agency

import (
	"strings"
	"testing"
	"time"
)

// The time of an event is in its id.
func TestEventIDsHaveTheirTime(t *testing.T) {
	for id, want := range map[EventID]time.Time{
		NewEventID("01ARZ3NDEKTSV4RRFFQ69G5FAV"): time.UnixMilli(1469922850259).UTC(),
		NewEventID("00000000000000000000000000"): time.UnixMilli(0).UTC(),
		"evt_short":                              {}, "": {},
	} {
		if got := id.At(); !got.Equal(want) {
			t.Errorf("%s is of %s, want %s", id, got, want)
		}
	}
}

func TestIDsHaveTheirForm(t *testing.T) {
	const suffix = "0123456789abcdefghjkmnpqrs"
	for _, tt := range []struct {
		id                     string
		account, person, event bool
	}{
		{string(NewAccountID("per_x", "key")), true, false, false},
		{string(NewPersonID("ann@client.test")), false, true, false},
		{string(NewEventID("01ARZ3NDEKTSV4RRFFQ69G5FAV")), false, false, true},
		{"acct_" + suffix, true, false, false},
		{"acct_" + suffix[1:], false, false, false},
		{"acct_" + suffix + "0", false, false, false},
		{"acct_" + strings.ToUpper(suffix), false, false, false},
		{"acct_" + suffix[:25] + "u", false, false, false},
		{"acct_" + suffix[:25] + "i", false, false, false},
		{"acct_" + suffix[:25] + "#", false, false, false},
		{"acct_" + suffix[:24] + "é", false, false, false},
		{"ACCT_" + suffix, false, false, false},
		{" acct_" + suffix, false, false, false},
		{"acct_" + suffix + "\n", false, false, false},
		{"", false, false, false},
		{"acct_", false, false, false},
	} {
		if AccountID(tt.id).IsValid() != tt.account || PersonID(tt.id).IsValid() != tt.person || EventID(tt.id).IsValid() != tt.event {
			t.Errorf("%q: account %t, person %t, event %t", tt.id, AccountID(tt.id).IsValid(), PersonID(tt.id).IsValid(), EventID(tt.id).IsValid())
		}
		p := Party(tt.id)
		if (p.Account() != "") != tt.account || (p.Person() != "") != tt.person || p.IsValid() != (tt.account || tt.person) {
			t.Errorf("%q as a party: %q, %q", tt.id, p.Account(), p.Person())
		}
	}
}

func TestIDsTellTheirMakersApart(t *testing.T) {
	seen := map[string]string{}
	for _, maker := range []Party{"per_a", "per_b", Party(NewAccountID("a", "b"))} {
		for _, key := range []string{"k", "kk", "k\x00", ""} {
			id := string(NewAccountID(maker, key))
			if was, there := seen[id]; there {
				t.Errorf("%q and %q with %q make one account", was, maker, key)
			}
			seen[id] = string(maker) + key
			if NewAccountID(maker, key) != AccountID(id) {
				t.Error("the same call names another account")
			}
		}
	}
	if strings.TrimPrefix(string(NewAccountID("ann@client.test", "")), accountPrefix) == strings.TrimPrefix(string(NewPersonID("ann@client.test")), personPrefix) {
		t.Error("a person's digest is an account's")
	}
}

func FuzzConnectionID(f *testing.F) {
	account, agency := NewAccountID("per_x", "1"), NewAccountID("per_x", "2")
	f.Add(string(NewConnectionID(Party(account), agency)))
	f.Add(string(NewConnectionID(Party(NewPersonID("ann@client.test")), agency)))
	f.Add("con_" + string(account))
	f.Add("con__" + string(agency))
	f.Add("con_" + string(account) + "_" + string(agency) + "_" + string(agency))
	f.Add("con_acct_x_" + string(agency))
	f.Add("")
	f.Fuzz(func(t *testing.T, id string) {
		addressee, of, ok := ConnectionID(id).Split()
		if !ok {
			return
		}
		if !addressee.IsValid() || !of.IsValid() || NewConnectionID(addressee, of) != ConnectionID(id) {
			t.Errorf("%q is %q and %q", id, addressee, of)
		}
	})
}

func TestConnectionIDsComeApart(t *testing.T) {
	agency := NewAccountID("per_x", "2")
	for _, addressee := range []Party{Party(NewAccountID("per_x", "1")), Party(NewPersonID("ann@client.test"))} {
		got, of, ok := NewConnectionID(addressee, agency).Split()
		if !ok || got != addressee || of != agency {
			t.Errorf("%q, %q, %t", got, of, ok)
		}
	}
	for _, id := range []ConnectionID{"", "con_", "acct_x", NewConnectionID("acct_x", agency), ConnectionID("con_" + string(agency)), NewConnectionID(Party(agency), "acct_x"), NewConnectionID(Party(agency), AccountID(NewPersonID("x")))} {
		if _, _, ok := id.Split(); ok {
			t.Errorf("%q came apart", id)
		}
	}
}

func TestFollowing(t *testing.T) {
	const at = "01ARZ3NDEK"
	for _, test := range []struct{ id, last, want string }{
		{at + "0000000000000001", at + "0000000000000002", at + "0010000000000001"},
		{at + "0000000000000002", at + "0000000000000002", at + "0010000000000002"},
		{at + "1110000000000001", at + "0000000000000002", at + "1110000000000001"},
		{at + "0000000000000001", at + "00Z0000000000000", at + "0100000000000001"},
		{at + "0000000000000001", at + "ZZZ0000000000000", "01ARZ3NDEM0000000000000001"}, // a millisecond later
		{at + "0000000000000001", "01ARZ3NDEM0000000000000000", at + "0000000000000001"},
		{at + "0000000000000001", "", at + "0000000000000001"},
	} {
		last := EventID("")
		if test.last != "" {
			last = NewEventID(test.last)
		}
		got := NewEventID(test.id).Following(last)
		if want := NewEventID(test.want); got != want || !got.IsValid() {
			t.Errorf("%s following %q is %s, want %s", test.id, test.last, got, want)
		}
	}
}
