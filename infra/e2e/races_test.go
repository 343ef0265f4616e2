package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// rounds is how often each race is run: who is first differs from one to the next.
const rounds = 6

// A move is one call of a race.
type move struct {
	who          *person
	method, path string
	body         any
	header       []string
}

// together makes all calls at once and answers in their order.
func together(t *testing.T, moves ...move) []*reply {
	t.Helper()
	replies, errs := make([]*reply, len(moves)), make([]error, len(moves))
	var all sync.WaitGroup
	ready := make(chan struct{})
	for i, m := range moves {
		all.Go(func() {
			<-ready
			replies[i], errs[i] = m.who.try(t, m.method, m.path, m.body, m.header...)
		})
	}
	close(ready)
	all.Wait()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
	return replies
}

func statuses(replies []*reply) []int {
	var out []int
	for _, r := range replies {
		out = append(out, r.Status)
	}
	slices.Sort(out)
	return out
}

func count(lines []line, kind string) int {
	n := 0
	for _, l := range lines {
		if l.Type == kind {
			n++
		}
	}
	return n
}

// TestRaces: whoever comes at the same time, there is exactly one outcome, one
// event and one set of emails.
func TestRaces(t *testing.T) {
	s := unlimited(t)
	o := newOffice(t, s, "Bright Works", "races.test")
	ann, ben, carl := o.ann, o.ben, s.person(t, "carl@cafe.races.test")
	olga, oscar := s.person(t, "olga@luna.races.test"), s.person(t, "oscar@luna.races.test")
	alf := s.person(t, "alf@luna.races.test")
	const name = "Luna Mill"
	luna := olga.opens(t, name)
	olga.invites(t, luna, oscar, "owner", nil)
	s.told(t, added(oscar, olga, name, "an owner"))
	hub, team := "/v1/agencies/"+o.id, "/v1/accounts/"+luna+"/team"
	one, decision := hub+"/connections/"+connectionID(luna, o.id), team+"/"+o.id
	in := "yes, " + o.id + ", pages:edit; client owns"
	number := 0
	// asked leaves one request pending, and what it told read.
	asked := func(t *testing.T) {
		t.Helper()
		c := ann.asks(t, o.id, luna, levels{"pages": "edit", "mail": "view"})
		number++
		r := request{by: ann.email, agency: o.name, account: name, until: moment(*c.ExpiresAt)}
		s.told(t, requested(olga, r), requested(oscar, r))
	}
	acceptance := func(areas levels) map[string]any { return map[string]any{"request": number, "areas": areas} }
	pages := levels{"pages": "edit"}
	acceptedBoth := func(by *person) []letter {
		grant := "Pages: view and edit"
		return []letter{accepted(ann, o.name, name, grant), acceptedBy(olga, by, o.name, name, grant), acceptedBy(oscar, by, o.name, name, grant)}
	}
	ended := func(t *testing.T) {
		t.Helper()
		ann.post(t, one+"/leave", nil).is(t, http.StatusOK)
		s.told(t, left(ann, ann, o.name, name), leftYours(olga, o.name, name), leftYours(oscar, o.name, name))
	}
	since := func(t *testing.T, before []line) []string {
		t.Helper()
		return kinds(olga.activity(t, luna, "")[len(before):])
	}

	t.Run("the same Idempotency-Key sixteen times at once makes one account", func(t *testing.T) {
		body := map[string]any{
			"name": "Carl's Café", "plan": "starter", "confirmPermanentOwnership": true,
			"client": map[string]any{"email": carl.email, "areas": pages},
		}
		var moves []move
		for range 16 {
			moves = append(moves, move{ann, "POST", hub + "/accounts", body, []string{"Idempotency-Key", "sixteen-times-at-once"}})
		}
		ids := map[string]bool{}
		for _, r := range together(t, moves...) {
			ids[read[account](t, r.is(t, http.StatusCreated)).ID] = true
		}
		if len(ids) != 1 {
			t.Fatalf("it made %d accounts", len(ids))
		}
		for id := range ids {
			if diff := cmp.Diff([]string{"account.created"}, kinds(ann.activity(t, id, o.id))); diff != "" {
				t.Errorf("activity (-want +got):\n%s", diff)
			}
			accesses(t, id, check{carl, "", "yes, own, pages:edit; agency owns"})
		}
		if hub := read[list[connection]](t, ann.get(t, hub+"/accounts").is(t, http.StatusOK)); len(hub.Items) != 1 || hub.Counts.Owned != 1 {
			t.Errorf("the hub shows %+v", hub)
		}
		s.told(t, created(ann, o.name, "Carl's Café"), createdFor(carl, o.name, "Carl's Café", "Pages: view and edit"))
	})

	t.Run("the same Idempotency-Key with two bodies at once makes one account, and clashes", func(t *testing.T) {
		var moves []move
		for i := range 8 {
			body := map[string]any{"name": fmt.Sprintf("Luna %d", i%2)}
			moves = append(moves, move{olga, "POST", "/v1/accounts", body, []string{"Idempotency-Key", "two-bodies-at-once-1"}})
		}
		names := map[string]int{}
		for _, r := range together(t, moves...) {
			if r.Status == http.StatusConflict {
				r.refused(t, http.StatusConflict, "idempotency_mismatch", "")
				continue
			}
			names[read[account](t, r.is(t, http.StatusCreated)).Name]++
		}
		for _, n := range names {
			if len(names) != 1 || n != 4 {
				t.Errorf("answered %v", names)
			}
		}
		s.told(t)
	})

	t.Run("two ask for the same connection: one request, one set of emails", func(t *testing.T) {
		before := olga.activity(t, luna, "")
		body := map[string]any{"account": luna, "areas": pages}
		replies := together(t, move{ann, "POST", hub + "/connections", body, nil}, move{ben, "POST", hub + "/connections", body, nil})
		number++
		by := ann
		if replies[1].Status == http.StatusCreated {
			by, replies[0], replies[1] = ben, replies[1], replies[0]
		}
		c := read[connection](t, replies[0].is(t, http.StatusCreated))
		replies[1].refused(t, http.StatusConflict, "already_requested", "pending")
		if diff := cmp.Diff([]string{"connection.requested"}, since(t, before)); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
		r := request{by: by.email, agency: o.name, account: name, until: moment(*c.ExpiresAt)}
		s.told(t, requested(olga, r), requested(oscar, r))
		ann.post(t, one+"/withdraw", nil).is(t, http.StatusOK)
		s.told(t, withdrawn(olga, o.name, name), withdrawn(oscar, o.name, name))
	})

	t.Run("two accept: one acceptance", func(t *testing.T) {
		for range rounds {
			asked(t)
			before := olga.activity(t, luna, "")
			replies := together(t,
				move{olga, "POST", decision + "/accept", acceptance(pages), nil},
				move{oscar, "POST", decision + "/accept", acceptance(levels{"mail": "view"}), nil})
			// Whoever came second is answered with what the first has granted.
			granted := read[connection](t, replies[0].is(t, http.StatusOK)).Areas.String()
			if other := read[connection](t, replies[1].is(t, http.StatusOK)).Areas.String(); other != granted {
				t.Errorf("one was answered %q, the other %q", granted, other)
			}
			by, grant := olga, "Pages: view and edit"
			if granted == "mail:view" {
				by, grant = oscar, "Mail: view only"
			}
			accesses(t, luna, check{ann, o.id, "yes, " + o.id + ", " + granted + "; client owns"})
			if diff := cmp.Diff([]string{"connection.accepted"}, since(t, before)); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
			s.told(t, accepted(ann, o.name, name, grant), acceptedBy(olga, by, o.name, name, grant), acceptedBy(oscar, by, o.name, name, grant))
			ended(t)
		}
	})

	t.Run("an accept against a withdraw: one of both", func(t *testing.T) {
		for range rounds {
			asked(t)
			before := olga.activity(t, luna, "")
			replies := together(t,
				move{olga, "POST", decision + "/accept", acceptance(pages), nil},
				move{ann, "POST", one + "/withdraw", nil, nil})
			if replies[0].Status == http.StatusOK {
				replies[1].refused(t, http.StatusConflict, "not_pending", "active")
				accesses(t, luna, check{ann, o.id, in})
				if diff := cmp.Diff([]string{"connection.accepted"}, since(t, before)); diff != "" {
					t.Errorf("events (-want +got):\n%s", diff)
				}
				s.told(t, acceptedBoth(olga)...)
				ended(t)
				continue
			}
			replies[0].refused(t, http.StatusConflict, "not_pending", "withdrawn")
			replies[1].is(t, http.StatusOK)
			accesses(t, luna, check{ann, o.id, "no, ended; client owns"})
			if diff := cmp.Diff([]string{"connection.withdrawn"}, since(t, before)); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
			s.told(t, withdrawn(olga, o.name, name), withdrawn(oscar, o.name, name))
		}
	})

	t.Run("an accept against a denial: one of both", func(t *testing.T) {
		for range rounds {
			asked(t)
			before := olga.activity(t, luna, "")
			replies := together(t,
				move{olga, "POST", decision + "/accept", acceptance(pages), nil},
				move{oscar, "POST", decision + "/deny", nil, nil})
			want := "connection.denied"
			if replies[0].Status == http.StatusOK {
				want = "connection.accepted"
				replies[1].refused(t, http.StatusConflict, "not_pending", "active")
				s.told(t, acceptedBoth(olga)...)
				accesses(t, luna, check{ann, o.id, in})
			} else {
				replies[0].refused(t, http.StatusConflict, "not_pending", "denied")
				replies[1].is(t, http.StatusOK)
				s.told(t, denied(ann, o.name, name), deniedBy(olga, oscar, o.name, name), deniedBy(oscar, oscar, o.name, name))
				accesses(t, luna, check{ann, o.id, "no, ended; client owns"})
			}
			if diff := cmp.Diff([]string{want}, since(t, before)); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
			if want == "connection.accepted" {
				ended(t)
			} else {
				oscar.allows(t, luna, o.id, true)
			}
		}
	})

	t.Run("an accept by an admin who is being removed: before or not at all", func(t *testing.T) {
		for range rounds {
			olga.invites(t, luna, alf, "admin", nil)
			s.told(t, added(alf, olga, name, "an admin"))
			asked(t)
			before := olga.activity(t, luna, "")
			replies := together(t,
				move{alf, "POST", decision + "/accept", acceptance(pages), nil},
				move{olga, "DELETE", team + "/" + alf.id(), nil, nil})
			replies[1].is(t, http.StatusOK)
			accesses(t, luna, check{alf, "", "no, ended; client owns"})
			if replies[0].Status == http.StatusOK {
				accesses(t, luna, check{ann, o.id, in})
				if diff := cmp.Diff([]string{"connection.accepted", "person.removed"}, sorted(since(t, before))); diff != "" {
					t.Errorf("events (-want +got):\n%s", diff)
				}
				s.told(t, append(acceptedBoth(alf), removed(alf, olga, name))...)
				ended(t)
				continue
			}
			replies[0].refused(t, http.StatusNotFound, "not_found", "")
			accesses(t, luna, check{ann, o.id, "no, pending; client owns"})
			if diff := cmp.Diff([]string{"person.removed"}, since(t, before)); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
			s.told(t, removed(alf, olga, name))
			ann.post(t, one+"/withdraw", nil).is(t, http.StatusOK)
			s.told(t, withdrawn(olga, o.name, name), withdrawn(oscar, o.name, name))
		}
	})

	t.Run("two owners demote each other: one remains", func(t *testing.T) {
		for range rounds {
			before := olga.activity(t, luna, "")
			admin := map[string]any{"role": "admin"}
			replies := together(t,
				move{olga, "PATCH", team + "/" + oscar.id(), admin, nil},
				move{oscar, "PATCH", team + "/" + olga.id(), admin, nil})
			if got := statuses(replies); !slices.Equal(got, []int{http.StatusOK, http.StatusForbidden}) {
				t.Fatalf("answered %v: %s %s", got, replies[0].Body, replies[1].Body)
			}
			remains, demoted := olga, oscar
			if replies[1].Status == http.StatusOK {
				remains, demoted = oscar, olga
			}
			if diff := cmp.Diff([]string{"person.changed"}, since(t, before)); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
			s.told(t, changedRole(demoted, remains, name, "an admin"))
			remains.delete(t, team+"/"+remains.id()).refused(t, http.StatusConflict, "last_owner", "active")
			remains.patch(t, team+"/"+demoted.id(), map[string]any{"role": "owner"}).is(t, http.StatusOK)
			s.told(t, changedRole(demoted, remains, name, "an owner"))
		}
	})

	t.Run("two owners leave at the same time: one remains", func(t *testing.T) {
		replies := together(t, move{olga, "DELETE", team + "/" + olga.id(), nil, nil}, move{oscar, "DELETE", team + "/" + oscar.id(), nil, nil})
		if got := statuses(replies); !slices.Equal(got, []int{http.StatusOK, http.StatusConflict}) {
			t.Fatalf("answered %v: %s %s", got, replies[0].Body, replies[1].Body)
		}
		remains, gone, refusal := olga, oscar, replies[0]
		if replies[0].Status == http.StatusOK {
			remains, gone, refusal = oscar, olga, replies[1]
		}
		refusal.refused(t, http.StatusConflict, "last_owner", "active")
		if n := count(remains.activity(t, luna, ""), "person.left"); n != 1 {
			t.Errorf("%d have left", n)
		}
		s.told(t, personLeft(remains, gone, name))
	})
}

func sorted(list []string) []string {
	slices.Sort(list)
	return list
}
