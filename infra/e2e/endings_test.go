package e2e

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestEndings is PRODUCT.md's "How things end": a rename on the way, accounts
// closed, a hub switched off, a person erased. Cleanup runs on demand.
func TestEndings(t *testing.T) {
	t.Parallel()
	s := startOwn(t, "-schedules=false")
	o := newOffice(t, s, "Bright Agency", "endings.test")
	ann, ben := o.ann, o.ben
	olga, oscar := s.person(t, "olga@luna.endings.test"), s.person(t, "oscar@luna.endings.test")
	mia, sam := s.person(t, "mia@luna.endings.test"), s.person(t, "sam@rival.endings.test")
	carl := s.person(t, "carl@cafe.endings.test")
	rival := sam.opensAgency(t, "Rival Agency")
	luna := olga.opens(t, "Luna Bakery")
	olga.invites(t, luna, oscar, "admin", nil)
	olga.invites(t, luna, mia, "member", levels{"pages": "view"})
	hub := "/v1/agencies/" + o.id
	areas := levels{"pages": "edit"}
	name := "Luna Mill"
	ben.asks(t, o.id, luna, areas)
	olga.post(t, "/v1/accounts/"+luna+"/team/"+o.id+"/accept", map[string]any{"request": 1}).is(t, http.StatusOK)
	sam.asks(t, rival, luna, areas)
	cafe := read[account](t, ann.make(t, hub+"/accounts", map[string]any{
		"name": "Carl's Café", "plan": "starter", "confirmPermanentOwnership": true,
		"client": map[string]any{"email": carl.email, "areas": areas},
	}).is(t, http.StatusCreated)).ID
	s.untilMark(t)
	counts := func(t *testing.T, who *person, agency string, owned, connected, pending int) {
		t.Helper()
		c := read[list[connection]](t, who.get(t, "/v1/agencies/"+agency+"/accounts").is(t, http.StatusOK)).Counts
		if c.Owned != owned || c.Connected != connected || c.Pending != pending {
			t.Errorf("%s counts %+v", who.email, c)
		}
	}
	settle := func(t *testing.T) (total report) {
		t.Helper()
		eventually(t, "cleanup has nothing left", func() bool {
			r := s.cleanup(t)
			total.Ended, total.Erased, total.Expired, total.Collected = total.Ended+r.Ended, total.Erased+r.Erased, total.Expired+r.Expired, total.Collected+r.Collected
			return r.Backlog == 0
		})
		return total
	}

	then(t, t.Run("a rename reaches the other side's list, and nobody whose request waits", func(t *testing.T) {
		olga.patch(t, "/v1/accounts/"+luna, map[string]any{"name": name}).is(t, http.StatusOK)
		eventually(t, "the hub's list has the name", func() bool {
			rows := read[list[connection]](t, o.cid.get(t, hub+"/accounts?status=active&prefix=luna+m").is(t, http.StatusOK)).Items
			return len(rows) == 1 && rows[0].Name == name
		})
		ann.patch(t, "/v1/accounts/"+o.id, map[string]any{"name": "Bright & Co"}).is(t, http.StatusOK)
		o.name = "Bright & Co"
		eventually(t, "the team has the agency's name", func() bool {
			team := read[list[member]](t, oscar.get(t, "/v1/accounts/"+luna+"/team").is(t, http.StatusOK)).Items
			return slices.ContainsFunc(team, func(m member) bool { return m.ID == o.id && m.Name == o.name })
		})
		if row := read[list[connection]](t, sam.get(t, "/v1/agencies/"+rival+"/accounts").is(t, http.StatusOK)).Items[0]; row.Name != luna {
			t.Errorf("who was never let in sees the name %q", row.Name)
		}
		for _, who := range []*person{olga, mia} {
			if mine := read[list[account]](t, who.get(t, "/v1/accounts").is(t, http.StatusOK)).Items; len(mine) != 1 || mine[0].Name != name {
				t.Errorf("%s can enter %+v", who.email, mine)
			}
		}
		s.told(t)
	}))

	then(t, t.Run("a hub with clients can't be switched off, nor its account closed", func(t *testing.T) {
		before := s.still(t)
		ann.delete(t, "/v1/accounts/"+o.id+"/agency").refused(t, http.StatusConflict, "has_clients", "")
		ann.delete(t, "/v1/accounts/"+o.id).refused(t, http.StatusConflict, "has_clients", "")
		sam.delete(t, "/v1/accounts/"+rival+"/agency").refused(t, http.StatusConflict, "has_clients", "") // a request waits
		ben.delete(t, "/v1/accounts/"+o.id+"/agency").refused(t, http.StatusForbidden, "forbidden", "")
		olga.delete(t, "/v1/accounts/"+o.id+"/agency").refused(t, http.StatusNotFound, "not_found", "")
		same(t, before, s.dump(t))
		accesses(t, luna, check{ann, o.id, "yes, " + o.id + ", pages:edit; client owns"})
	}))

	then(t, t.Run("an owner closes the account: nobody gets in from that moment, and everyone is told once", func(t *testing.T) {
		for who, as := range map[*person]string{oscar: "", mia: "", ann: "?as=" + o.id} {
			who.delete(t, "/v1/accounts/"+luna+as).refused(t, http.StatusForbidden, "forbidden", "")
		}
		sam.delete(t, "/v1/accounts/"+luna).refused(t, http.StatusNotFound, "not_found", "")
		accesses(t, luna, check{mia, "", "yes, own, pages:view; client owns"}, check{ann, o.id, "yes, " + o.id + ", pages:edit; client owns"})
		a := read[account](t, olga.delete(t, "/v1/accounts/"+luna).is(t, http.StatusOK))
		if a.ClosedAt == nil || a.Access.Allowed {
			t.Errorf("closed: %+v", a)
		}
		gone := func(t *testing.T) {
			t.Helper()
			for _, who := range []*person{olga, oscar, mia} {
				accesses(t, luna, check{who, "", "no, closed; client owns"})
				who.get(t, "/v1/accounts/"+luna).refused(t, http.StatusNotFound, "not_found", "")
				if mine := read[list[account]](t, who.get(t, "/v1/accounts").is(t, http.StatusOK)).Items; len(mine) != 0 {
					t.Errorf("%s can enter %+v", who.email, mine)
				}
			}
			accesses(t, luna, check{ann, o.id, "no, closed; client owns"}, check{ben, "", "no, closed; client owns"}, check{carl, "", "no, none"})
			olga.delete(t, "/v1/accounts/"+luna).refused(t, http.StatusNotFound, "not_found", "")
			olga.post(t, "/v1/accounts/"+luna+"/team/"+rival+"/accept", map[string]any{"request": 1}).refused(t, http.StatusNotFound, "not_found", "")
			ann.post(t, hub+"/connections", map[string]any{"account": luna, "areas": areas}).refused(t, http.StatusNotFound, "not_found", "")
		}
		gone(t)
		s.told(t, closed(ben, o.name, name), closed(ann, o.name, name), closedAsked(sam, "Rival Agency", luna), closedYours(olga, olga, name))
		if r := settle(t); r.Ended == 0 {
			t.Errorf("cleanup did %+v", r)
		}
		gone(t)
		counts(t, ann, o.id, 1, 0, 0)
		counts(t, sam, rival, 0, 0, 0)
		if c := read[connection](t, ben.get(t, hub+"/connections/"+connectionID(luna, o.id)).is(t, http.StatusOK)); c.Status != "ended" || c.Name != name {
			t.Errorf("the agency sees %+v", c)
		}
		if c := read[connection](t, sam.get(t, "/v1/agencies/"+rival+"/connections/"+connectionID(luna, rival)).is(t, http.StatusOK)); c.Status != "expired" || c.Name != luna {
			t.Errorf("who had asked sees %+v", c)
		}
		s.told(t)
		before := s.still(t)
		settle(t)
		same(t, before, s.dump(t))
	}))

	then(t, t.Run("90 days after its closing the account's data is gone", func(t *testing.T) {
		rows := []row{row("ACCT#" + luna + " ACCT")}
		for _, m := range []string{o.id, rival, olga.id(), oscar.id(), mia.id()} {
			rows = append(rows, connectionRow(luna, m))
		}
		s.ages(t, 90*aDay, rows...)
		settle(t)
		for key := range s.dump(t) {
			if strings.HasPrefix(key, "ACCT#"+luna+" ") && !isEvent(key) {
				t.Errorf("%s is still there", key)
			}
		}
		accesses(t, luna, check{olga, "", "no, none"}, check{ann, o.id, "no, none"})
		s.told(t)
	}))

	then(t, t.Run("an owned account is closed by an owner of its agency", func(t *testing.T) {
		as := "?as=" + o.id
		ben.delete(t, "/v1/accounts/"+cafe+as).refused(t, http.StatusForbidden, "forbidden", "")
		carl.delete(t, "/v1/accounts/"+cafe).refused(t, http.StatusForbidden, "forbidden", "")
		accesses(t, cafe, check{carl, "", "yes, own, pages:edit; agency owns"}, check{ann, o.id, "yes, " + o.id + ", " + everything + "; agency owns"})
		ann.delete(t, "/v1/accounts/"+cafe+as).is(t, http.StatusOK)
		accesses(t, cafe, check{carl, "", "no, closed; agency owns"}, check{ann, o.id, "no, closed; agency owns"}, check{ben, "", "no, closed; agency owns"})
		s.told(t, closedOwned(ann, ann, o.name, "Carl's Café"), closedClient(carl, o.name, "Carl's Café"))
		settle(t)
		counts(t, ann, o.id, 0, 0, 0)
		s.told(t)
	}))

	then(t, t.Run("without clients the hub is switched off, and on again, and its account can be closed", func(t *testing.T) {
		for range 2 {
			if a := read[account](t, ann.delete(t, "/v1/accounts/"+o.id+"/agency").is(t, http.StatusOK)); a.Agency {
				t.Errorf("it is still an agency: %+v", a)
			}
		}
		ann.get(t, hub+"/accounts").refused(t, http.StatusConflict, "conflict", "")
		inn := olga.opens(t, "Luna Inn")
		ann.post(t, hub+"/connections", map[string]any{"account": inn, "areas": areas}).refused(t, http.StatusConflict, "conflict", "")
		ann.post(t, "/v1/accounts/"+o.id+"/agency", nil).is(t, http.StatusOK)
		c := ann.asks(t, o.id, inn, areas)
		s.told(t, requested(olga, request{by: ann.email, agency: o.name, account: "Luna Inn", until: moment(*c.ExpiresAt)}))
		sam.delete(t, "/v1/accounts/"+rival+"/agency").is(t, http.StatusOK)
		sam.delete(t, "/v1/accounts/"+rival).is(t, http.StatusOK)
		accesses(t, rival, check{sam, "", "no, closed; client owns"})
		s.told(t, closedYours(sam, sam, "Rival Agency"))
		settle(t)
	}))

	then(t, t.Run("a person erases their own data: not while they are a last owner, then at once and everywhere", func(t *testing.T) {
		eve, eric := s.person(t, "eve.unmistakable@erased.endings.test"), s.person(t, "eric@endings.test")
		shop := eve.opens(t, "Eve's Shop")
		mill := olga.opens(t, "Luna Flour")
		olga.invites(t, mill, eve, "member", levels{"pages": "view"})
		away := olga.opens(t, "Luna Past")
		olga.invites(t, away, eve, "admin", nil)
		eve.get(t, "/v1/accounts/"+away).is(t, http.StatusOK)
		olga.delete(t, "/v1/accounts/"+away+"/team/"+eve.id()).is(t, http.StatusOK)
		asked := hub + "/connections/" + ann.asksByEmail(t, o.id, eve.email, areas).ID
		s.untilMark(t)
		agencySees := shapeOf(ann.get(t, asked))
		p := eve.delete(t, "/v1/me").refused(t, http.StatusConflict, "last_owner", "")
		if len(p.Errors) != 1 || p.Errors[0].Field != shop {
			t.Errorf("it names %+v", p.Errors)
		}
		accesses(t, mill, check{eve, "", "yes, own, pages:view; client owns"})
		eve.invites(t, shop, eric, "owner", nil)
		s.told(t, added(eric, eve, "Eve's Shop", "an owner"))

		eve.delete(t, "/v1/me").is(t, http.StatusNoContent)
		eve.delete(t, "/v1/me").is(t, http.StatusNoContent)
		erased := func(t *testing.T) {
			t.Helper()
			accesses(t, shop, check{eve, "", "no, ended; client owns"}, check{eric, "", "yes, own, " + everything + "; client owns"})
			accesses(t, mill, check{eve, "", "no, ended; client owns"})
			eve.get(t, "/v1/accounts/"+shop).refused(t, http.StatusNotFound, "not_found", "")
			for _, path := range []string{"/v1/accounts", "/v1/requests"} {
				if mine := read[list[map[string]any]](t, eve.get(t, path).is(t, http.StatusOK)).Items; len(mine) != 0 {
					t.Errorf("%s still shows her %+v", path, mine)
				}
			}
		}
		accesses(t, shop, check{eve, "", "no, none"})
		accesses(t, mill, check{eve, "", "no, none"})
		if r := settle(t); r.Erased == 0 {
			t.Errorf("cleanup did %+v", r)
		}
		// The last trace goes some minutes later, once the lists are sure to show all.
		s.ages(t, 6*time.Minute, row("PERSON#"+eve.id()+" PERSON"))
		settle(t)
		erased(t)
		s.told(t)
		// Of the request that an agency had addressed to her, the address that it
		// typed is the agency's, which must not learn that she is gone.
		typed := string(connectionRow(eve.id(), o.id))
		for key, item := range s.still(t) {
			if strings.Contains(item, "unmistakable") && key != typed {
				t.Errorf("her address still stands in %s: %s", key, item)
			}
		}
		alike(t, "what the agency sees of its request", agencySees, shapeOf(ann.get(t, asked)))
		s.ages(t, 14*aDay, connectionRow(eve.id(), o.id))
		c := read[connection](t, ann.get(t, asked).is(t, http.StatusOK))
		if settle(t); c.Status != "expired" {
			t.Errorf("it is %s", c.Status)
		}
		s.told(t, expiredEmail(ann, o.name, eve.email, moment(*c.ExpiresAt)))
		if owners := read[list[member]](t, eric.get(t, "/v1/accounts/"+shop+"/team").is(t, http.StatusOK)).Items; len(owners) != 2 {
			t.Errorf("the team is %+v", owners)
		}
		eric.delete(t, "/v1/accounts/"+shop+"/team/"+eric.id()).refused(t, http.StatusConflict, "last_owner", "active")

		// Who comes back begins anew.
		anew := eve.opens(t, "Eve's Second")
		accesses(t, anew, check{eve, "", "yes, own, " + everything + "; client owns"})
		accesses(t, shop, check{eve, "", "no, ended; client owns"})
		s.told(t)
	}))
}
