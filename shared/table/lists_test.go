package table_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"agencyhub/shared/agency"
	"agencyhub/shared/service"
	"agencyhub/shared/testbed"
)

// listed is a table with an agency of many clients, a person in many accounts, and an account with a
// large team and much activity.
type listed struct {
	store   *testStore
	agency  agency.AccountID
	account agency.AccountID
	person  agency.PersonID
}

func newListed(t *testing.T) listed {
	t.Helper()
	l := listed{newStore(t), account(100).ID, account(101).ID, person(100).ID}
	var c service.Changes
	for n := range 11 {
		// Statuses and names in no order: the index makes the order.
		client := account((n * 7) % 11)
		status := []agency.Status{agency.Active, agency.Pending, agency.Revoked}[n%3]
		c.Profiles = append(c.Profiles, agency.Profile{
			ProfileKey: agency.AgencyAt(client.ID, l.agency), Status: status, AccountName: client.Name, Ownership: agency.ClientOwned,
			Request: agency.Request{ExpiresAt: noon.Add(time.Hour)}, Since: noon, Version: 1,
		})
		mine := member(client, person(100))
		if n == 5 {
			mine.Status = agency.Left
		}
		other := member(account(101), person(n))
		c.Profiles = append(c.Profiles, mine, other)
		// The agency's events share its partition of the index with its clients.
		of := l.agency
		if n%2 == 0 {
			of = account(102).ID
		}
		c.Events = append(c.Events, event(n, agency.Party(l.account), of, noon.Add(time.Duration(n)*time.Second)))
	}
	c.Profiles = append(c.Profiles, agency.Profile{ProfileKey: agency.AgencyAt(l.account, l.agency), Status: agency.Declined, Ownership: agency.ClientOwned, Since: noon, Version: 1})
	put(t, l.store, c)
	return l
}

func names(profiles []agency.Profile) []string {
	var out []string
	for _, p := range profiles {
		out = append(out, string(p.Status)+" "+p.AccountName)
	}
	return out
}

func TestClientsByStatusAndName(t *testing.T) {
	l := newListed(t)
	read := func(f service.ClientFilter) func(service.Page) (service.List[agency.Profile], error) {
		return func(p service.Page) (service.List[agency.Profile], error) {
			return l.store.Clients(t.Context(), l.agency, f, p)
		}
	}
	for _, limit := range []int{1, 2, 3, 100} {
		all, n := testbed.Pages(t, limit, read(service.ClientFilter{}))
		if got := names(all); !slices.IsSorted(got) || len(got) != 12 || limit < 4 && n < 4 {
			t.Errorf("by %d: %q", limit, got)
		}
		active, _ := testbed.Pages(t, limit, read(service.ClientFilter{Status: agency.Active}))
		want := []string{"active Account 000", "active Account 008", "active Account 009", "active Account 010"}
		diff(t, "active", want, names(active))
	}
	for prefix, want := range map[string]int{"account 0": 4, "ACCOUNT 00": 3, "Account 010": 1, "x": 0, "account 001": 0, "#": 0} {
		got, _ := testbed.Pages(t, 2, read(service.ClientFilter{Status: agency.Active, Prefix: prefix}))
		if len(got) != want {
			t.Errorf("%q has %q", prefix, names(got))
		}
	}
}

func TestMembershipsAreOnlyThoseThatGrant(t *testing.T) {
	l := newListed(t)
	got, n := testbed.Pages(t, 2, func(p service.Page) (service.List[agency.Profile], error) {
		return l.store.Memberships(t.Context(), l.person, p)
	})
	all := names(got)
	if len(all) != 10 || !slices.IsSorted(all) || n < 5 || slices.ContainsFunc(got, func(p agency.Profile) bool { return p.Status != agency.Active }) {
		t.Errorf("%d pages: %q", n, all)
	}
}

func TestTeamIsAgenciesThenPersons(t *testing.T) {
	l := newListed(t)
	for _, limit := range []int{1, 3, 12, 13, 100} {
		got, n := testbed.Pages(t, limit, func(p service.Page) (service.List[agency.Profile], error) {
			return l.store.Team(t.Context(), agency.Party(l.account), p)
		})
		if len(got) != 12 || got[0].Kind() != agency.AgencyKind || limit == 3 && n < 4 {
			t.Errorf("by %d: %d in %d pages, %s first", limit, len(got), n, got[0].Kind())
		}
		seen := map[agency.Party]bool{}
		for _, p := range got {
			if seen[p.Member] || p.Addressee != agency.Party(l.account) {
				t.Errorf("%s twice, or of another account", p.Member)
			}
			seen[p.Member] = true
		}
	}
}

func TestActivityIsNewestFirst(t *testing.T) {
	l := newListed(t)
	for _, of := range []struct {
		agency agency.AccountID
		want   int
	}{{"", 11}, {l.agency, 5}, {account(102).ID, 6}, {account(103).ID, 0}} {
		for _, limit := range []int{1, 2, 100} {
			got, _ := testbed.Pages(t, limit, func(p service.Page) (service.List[agency.Event], error) {
				return l.store.Activity(t.Context(), agency.Party(l.account), of.agency, p)
			})
			if len(got) != of.want {
				t.Errorf("of %q by %d: %d, want %d", of.agency, limit, len(got), of.want)
			}
			for i, e := range got {
				if i > 0 && !e.At.Before(got[i-1].At) || of.agency != "" && e.Agency != of.agency {
					t.Errorf("of %q: %s of %s after %s", of.agency, e.At, e.Agency, got[max(i-1, 0)].At)
				}
			}
		}
	}
}

func TestAPageIsBounded(t *testing.T) {
	store := newStore(t)
	const most = 1000
	for n := 0; n <= most; n += 77 {
		var c service.Changes
		for i := n; i < min(n+77, most+1); i++ {
			c.Profiles = append(c.Profiles, member(account(1), person(i)))
		}
		put(t, store, c)
	}
	for _, tt := range []struct{ limit, want int }{{-1, 1}, {0, 1}, {most, most}, {most + 1, most}, {5 * most, most}} {
		list, err := store.Team(t.Context(), agency.Party(account(1).ID), service.Page{Limit: tt.limit})
		if err != nil || len(list.Items) != tt.want || list.Next == "" {
			t.Errorf("%d: %d items, %v", tt.limit, len(list.Items), err)
		}
	}
}

// A cursor belongs to its query. A damaged or forged one, or one of another list, is refused as
// invalid.
func TestForeignCursorsAreRefused(t *testing.T) {
	l := newListed(t)
	type reader func(service.Page) (string, error)
	profiles := func(list service.List[agency.Profile], err error) (string, error) { return list.Next, err }
	events := func(list service.List[agency.Event], err error) (string, error) { return list.Next, err }
	lists := map[string]reader{
		"team": func(p service.Page) (string, error) {
			return profiles(l.store.Team(t.Context(), agency.Party(l.account), p))
		},
		"clients": func(p service.Page) (string, error) {
			return profiles(l.store.Clients(t.Context(), l.agency, service.ClientFilter{}, p))
		},
		"active clients": func(p service.Page) (string, error) {
			return profiles(l.store.Clients(t.Context(), l.agency, service.ClientFilter{Status: agency.Active}, p))
		},
		"active clients a…": func(p service.Page) (string, error) {
			return profiles(l.store.Clients(t.Context(), l.agency, service.ClientFilter{Status: agency.Active, Prefix: "a"}, p))
		},
		"memberships": func(p service.Page) (string, error) { return profiles(l.store.Memberships(t.Context(), l.person, p)) },
		"activity": func(p service.Page) (string, error) {
			return events(l.store.Activity(t.Context(), agency.Party(l.account), "", p))
		},
		"activity of one": func(p service.Page) (string, error) {
			return events(l.store.Activity(t.Context(), agency.Party(l.account), l.agency, p))
		},
		"activity elsewhere": func(p service.Page) (string, error) {
			return events(l.store.Activity(t.Context(), agency.Party(account(1).ID), "", p))
		},
	}
	refused := func(name, what, cursor string) {
		t.Helper()
		if next, err := lists[name](service.Page{Limit: 2, Cursor: cursor}); agency.CodeOf(err) != agency.Invalid || next != "" {
			t.Errorf("%s: %s: %v", name, what, err)
		}
	}
	for of, read := range lists {
		cursor, err := read(service.Page{Limit: 1})
		if err != nil {
			t.Fatal(err)
		}
		if cursor == "" {
			if of != "activity elsewhere" {
				t.Fatalf("%s has one page", of)
			}
			continue
		}
		if _, err := read(service.Page{Limit: 1, Cursor: cursor}); err != nil {
			t.Errorf("%s: its own cursor: %v", of, err)
		}
		for name := range lists {
			if name != of {
				refused(name, "the cursor of "+of, cursor)
			}
		}
		for i := range cursor {
			damaged := []byte(cursor)
			damaged[i] ^= 1
			if cursor[i] == 'A' {
				damaged[i] = 'Q'
			}
			refused(of, fmt.Sprintf("damaged at %d", i), string(damaged))
		}
		refused(of, "cut", cursor[:len(cursor)-1])
		refused(of, "longer", cursor+"A")
	}
	for _, garbage := range []string{"x", "!", "====", " ", "null", strings.Repeat("A", 13), strings.Repeat("A", 4000), "\x00", "é"} {
		refused("team", fmt.Sprintf("garbage %.10q", garbage), garbage)
	}
}
