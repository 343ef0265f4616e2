package e2e

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

type endingsStory struct {
	agencyStaff
	olga, oscar, mia, sam, carl    *person
	rival, luna, accountName, cafe string
	areas                          levels
}

// TestEndings tests endings (README, Endings): after a rename, accounts are closed,
// agency features switched off and a person erased. Cleanup runs on demand.
func TestEndings(t *testing.T) {
	t.Parallel()
	s := &endingsStory{agencyStaff: newAgency(t, startOwn(t, "-schedules=false", "-set", `SettingsOverride={`+personLimits+`}`), "Bright Agency", "endings.test")}

	s.olga, s.oscar = s.person(t, "olga@luna.endings.test"), s.person(t, "oscar@luna.endings.test")
	s.mia, s.sam = s.person(t, "mia@luna.endings.test"), s.person(t, "sam@rival.endings.test")
	s.carl = s.person(t, "carl@cafe.endings.test")
	s.rival = s.sam.opensAgency(t, "Rival Agency")
	s.luna = s.olga.opens(t, "Luna Bakery")
	s.olga.invites(t, s.luna, s.oscar, "admin", nil)
	s.olga.invites(t, s.luna, s.mia, "member", levels{"pages": "view"})

	s.areas = levels{"pages": "edit"}
	s.accountName = "Luna Mill"
	s.ben.requests(t, s.agencyID, s.luna, s.areas)
	s.olga.post(t, "/v1/accounts/"+s.luna+"/team/"+s.agencyID+"/accept", map[string]any{"request": 1}).is(t, http.StatusOK)
	s.sam.requests(t, s.rival, s.luna, s.areas)
	s.cafe = s.ann.opensOwned(t, s.agencyID, "Carl's Café", "starter", s.carl, s.areas)
	s.newEmails(t)

	step(t, t.Run("a rename reaches the other side's list, and nobody whose request waits", s.rename))
	step(t, t.Run("a hub with clients can't be switched off, nor its account closed", s.clientsKeepAgency))
	step(t, t.Run("an owner closes the account: nobody gets in from that moment, and everyone is told once", s.closeAccount))
	step(t, t.Run("90 days after its closing the account's data is gone", s.collectAccount))
	step(t, t.Run("an owned account is closed by an owner of its agency", s.closeOwnedAccount))
	step(t, t.Run("without clients the hub is switched off, and on again, and its account can be closed", s.switchOffAgency))
	step(t, t.Run("a person erases their own data: not while they are a last owner, then at once and everywhere", s.erasePerson))
}

func (s *endingsStory) expectCounts(t *testing.T, who *person, agency string, owned, connected, pending int) {
	t.Helper()
	got := read[list[connection]](t, who.get(t, "/v1/agencies/"+agency+"/accounts").is(t, http.StatusOK)).Counts
	expectEqual(t, "the counts of "+who.email, counts{owned, connected, pending}, got)
}

func (s *endingsStory) cleanUp(t *testing.T) (total cleanupReport) {
	t.Helper()
	eventually(t, "cleanup has nothing left", func() bool {
		r := s.cleanup(t)
		total.Ended, total.Erased, total.Expired, total.Collected = total.Ended+r.Ended, total.Erased+r.Erased, total.Expired+r.Expired, total.Collected+r.Collected
		return r.Backlog == 0
	})
	return total
}

func (s *endingsStory) rename(t *testing.T) {
	s.olga.patch(t, "/v1/accounts/"+s.luna, map[string]any{"name": s.accountName}).is(t, http.StatusOK)
	eventually(t, "the agency's list has the name", func() bool {
		rows := read[list[connection]](t, s.cid.get(t, s.agencyPath+"/accounts?status=active&prefix=luna+m").is(t, http.StatusOK)).Items
		return len(rows) == 1 && rows[0].Name == s.accountName
	})
	s.ann.patch(t, "/v1/accounts/"+s.agencyID, map[string]any{"name": "Bright & Co"}).is(t, http.StatusOK)
	s.agencyName = "Bright & Co"
	eventually(t, "the team has the agency's name", func() bool {
		team := read[list[member]](t, s.oscar.get(t, "/v1/accounts/"+s.luna+"/team").is(t, http.StatusOK)).Items
		return slices.ContainsFunc(team, func(m member) bool { return m.ID == s.agencyID && m.Name == s.agencyName })
	})
	row := read[list[connection]](t, s.sam.get(t, "/v1/agencies/"+s.rival+"/accounts").is(t, http.StatusOK)).Items[0]
	expectEqual(t, "the name that an agency sees that was never let in", s.luna, row.Name)
	for _, who := range []*person{s.olga, s.mia} {
		if mine := read[list[account]](t, who.get(t, "/v1/accounts").is(t, http.StatusOK)).Items; len(mine) != 1 || mine[0].Name != s.accountName {
			t.Errorf("%s can enter %+v", who.email, mine)
		}
	}
	s.expectEmails(t)
}

func (s *endingsStory) clientsKeepAgency(t *testing.T) {
	before := s.settled(t)
	s.ann.delete(t, "/v1/accounts/"+s.agencyID+"/agency").refused(t, http.StatusConflict, "has_clients", "")
	s.ann.delete(t, "/v1/accounts/"+s.agencyID).refused(t, http.StatusConflict, "has_clients", "")
	s.sam.delete(t, "/v1/accounts/"+s.rival+"/agency").refused(t, http.StatusConflict, "has_clients", "") // a request waits
	s.ben.delete(t, "/v1/accounts/"+s.agencyID+"/agency").refused(t, http.StatusForbidden, "forbidden", "")
	s.olga.delete(t, "/v1/accounts/"+s.agencyID+"/agency").refused(t, http.StatusNotFound, "not_found", "")
	expectUnchanged(t, before, s.dump(t))
	expectAccess(t, s.luna, wantAccess{s.ann, s.agencyID, "yes, " + s.agencyID + ", pages:edit; client owns"})
}

func (s *endingsStory) closeAccount(t *testing.T) {
	for who, as := range map[*person]string{s.oscar: "", s.mia: "", s.ann: "?as=" + s.agencyID} {
		who.delete(t, "/v1/accounts/"+s.luna+as).refused(t, http.StatusForbidden, "forbidden", "")
	}
	s.sam.delete(t, "/v1/accounts/"+s.luna).refused(t, http.StatusNotFound, "not_found", "")
	expectAccess(t, s.luna, wantAccess{s.mia, "", "yes, own, pages:view; client owns"}, wantAccess{s.ann, s.agencyID, "yes, " + s.agencyID + ", pages:edit; client owns"})
	a := read[account](t, s.olga.delete(t, "/v1/accounts/"+s.luna).is(t, http.StatusOK))
	if a.ClosedAt == nil || a.Access.Allowed {
		t.Errorf("closed: %+v", a)
	}
	gone := func(t *testing.T) {
		t.Helper()
		for _, who := range []*person{s.olga, s.oscar, s.mia} {
			expectAccess(t, s.luna, wantAccess{who, "", "no, closed; client owns"})
			who.get(t, "/v1/accounts/"+s.luna).refused(t, http.StatusNotFound, "not_found", "")
			who.expectEmpty(t, "/v1/accounts")
		}
		expectAccess(t, s.luna, wantAccess{s.ann, s.agencyID, "no, closed; client owns"}, wantAccess{s.ben, "", "no, none"}, wantAccess{s.carl, "", "no, none"})
		s.olga.delete(t, "/v1/accounts/"+s.luna).refused(t, http.StatusNotFound, "not_found", "")
		s.olga.post(t, "/v1/accounts/"+s.luna+"/team/"+s.rival+"/accept", map[string]any{"request": 1}).refused(t, http.StatusNotFound, "not_found", "")
		s.ann.post(t, s.agencyPath+"/connections", map[string]any{"account": s.luna, "areas": s.areas}).refused(t, http.StatusNotFound, "not_found", "")
	}
	gone(t)
	s.expectEmails(t, closed(s.ben, s.agencyName, s.accountName), closed(s.ann, s.agencyName, s.accountName), closedRequested(s.sam, "Rival Agency", s.luna), closedOwn(s.olga, s.olga, s.accountName))
	if r := s.cleanUp(t); r.Ended == 0 {
		t.Errorf("cleanup did %+v", r)
	}
	gone(t)
	s.expectCounts(t, s.ann, s.agencyID, 1, 0, 0)
	s.expectCounts(t, s.sam, s.rival, 0, 0, 0)
	if c := read[connection](t, s.ben.get(t, s.agencyPath+"/connections/"+connectionID(s.luna, s.agencyID)).is(t, http.StatusOK)); c.Status != "ended" || c.Name != s.accountName {
		t.Errorf("the agency sees %+v", c)
	}
	if c := read[connection](t, s.sam.get(t, "/v1/agencies/"+s.rival+"/connections/"+connectionID(s.luna, s.rival)).is(t, http.StatusOK)); c.Status != "expired" || c.Name != s.luna {
		t.Errorf("who had asked sees %+v", c)
	}
	s.expectEmails(t)
	before := s.settled(t)
	s.cleanUp(t)
	expectUnchanged(t, before, s.dump(t))
}

func (s *endingsStory) collectAccount(t *testing.T) {
	rows := []row{row("ACCT#" + s.luna + " ACCT")}
	for _, m := range []string{s.agencyID, s.rival, s.olga.id(), s.oscar.id(), s.mia.id()} {
		rows = append(rows, connectionRow(s.luna, m))
	}
	s.age(t, 90*day, rows...)
	s.cleanUp(t)
	for key := range s.dump(t) {
		if strings.HasPrefix(key, "ACCT#"+s.luna+" ") && !isEvent(key) {
			t.Errorf("%s is still there", key)
		}
	}
	expectAccess(t, s.luna, wantAccess{s.olga, "", "no, none"}, wantAccess{s.ann, s.agencyID, "no, none"})
	s.expectEmails(t)
}

func (s *endingsStory) closeOwnedAccount(t *testing.T) {
	as := "?as=" + s.agencyID
	s.ben.delete(t, "/v1/accounts/"+s.cafe+as).refused(t, http.StatusForbidden, "forbidden", "")
	s.carl.delete(t, "/v1/accounts/"+s.cafe).refused(t, http.StatusForbidden, "forbidden", "")
	expectAccess(t, s.cafe, wantAccess{s.carl, "", "yes, own, pages:edit; agency owns"}, wantAccess{s.ann, s.agencyID, "yes, " + s.agencyID + ", " + everything + "; agency owns"})
	s.ann.delete(t, "/v1/accounts/"+s.cafe+as).is(t, http.StatusOK)
	expectAccess(t, s.cafe, wantAccess{s.carl, "", "no, closed; agency owns"}, wantAccess{s.ann, s.agencyID, "no, closed; agency owns"}, wantAccess{s.ben, "", "no, none"})
	s.expectEmails(t, closedOwned(s.ann, s.ann, s.agencyName, "Carl's Café"), closedClient(s.carl, s.agencyName, "Carl's Café"))
	s.cleanUp(t)
	s.expectCounts(t, s.ann, s.agencyID, 0, 0, 0)
	s.expectEmails(t)
}

func (s *endingsStory) switchOffAgency(t *testing.T) {
	for range 2 {
		if a := read[account](t, s.ann.delete(t, "/v1/accounts/"+s.agencyID+"/agency").is(t, http.StatusOK)); a.Agency {
			t.Errorf("it is still an agency: %+v", a)
		}
	}
	s.ann.get(t, s.agencyPath+"/accounts").refused(t, http.StatusConflict, "conflict", "")
	inn := s.olga.opens(t, "Luna Inn")
	s.ann.post(t, s.agencyPath+"/connections", map[string]any{"account": inn, "areas": s.areas}).refused(t, http.StatusConflict, "conflict", "")
	s.ann.post(t, "/v1/accounts/"+s.agencyID+"/agency", nil).is(t, http.StatusOK)
	c := s.ann.requests(t, s.agencyID, inn, s.areas)
	s.expectEmails(t, requested(s.olga, request{by: s.ann.email, agency: s.agencyName, account: "Luna Inn", until: moment(*c.ExpiresAt)}))
	s.sam.delete(t, "/v1/accounts/"+s.rival+"/agency").is(t, http.StatusOK)
	s.sam.delete(t, "/v1/accounts/"+s.rival).is(t, http.StatusOK)
	expectAccess(t, s.rival, wantAccess{s.sam, "", "no, closed; client owns"})
	s.expectEmails(t, closedOwn(s.sam, s.sam, "Rival Agency"))
	s.cleanUp(t)
}

func (s *endingsStory) erasePerson(t *testing.T) {
	eve, eric := s.person(t, "eve.unmistakable@erased.endings.test"), s.person(t, "eric@endings.test")
	shop := eve.opens(t, "Eve's Shop")
	mill := s.olga.opens(t, "Luna Flour")
	s.olga.invites(t, mill, eve, "member", levels{"pages": "view"})
	away := s.olga.opens(t, "Luna Past")
	s.olga.invites(t, away, eve, "admin", nil)
	eve.get(t, "/v1/accounts/"+away).is(t, http.StatusOK)
	s.olga.delete(t, "/v1/accounts/"+away+"/team/"+eve.id()).is(t, http.StatusOK)
	ian, yard := s.person(t, "ian@endings.test"), s.olga.opens(t, "Luna Yard")
	s.olga.sendsInvitation(t, yard, eve, "owner", nil)
	eve.sendsInvitation(t, shop, ian, "admin", nil)
	path := s.agencyPath + "/connections/" + s.ann.requestsByEmail(t, s.agencyID, eve.email, s.areas).ID
	s.newEmails(t)
	agencySees := shapeOf(s.ann.get(t, path))
	inviterSees := s.olga.inTeam(t, yard, "", eve.id())
	p := eve.delete(t, "/v1/me").refused(t, http.StatusConflict, "last_owner", "")
	if len(p.Errors) != 1 || p.Errors[0].Field != shop {
		t.Errorf("it names %+v", p.Errors)
	}
	expectAccess(t, mill, wantAccess{eve, "", "yes, own, pages:view; client owns"})
	eve.invites(t, shop, eric, "owner", nil)
	s.expectEmails(t, joined(eric, eve, "Eve's Shop", "an owner")...)

	eve.delete(t, "/v1/me").is(t, http.StatusNoContent)
	eve.delete(t, "/v1/me").is(t, http.StatusNoContent)
	erased := func(t *testing.T) {
		t.Helper()
		expectAccess(t, shop, wantAccess{eve, "", "no, ended; client owns"}, wantAccess{eric, "", "yes, own, " + everything + "; client owns"})
		expectAccess(t, mill, wantAccess{eve, "", "no, ended; client owns"})
		eve.get(t, "/v1/accounts/"+shop).refused(t, http.StatusNotFound, "not_found", "")
		for _, path := range []string{"/v1/accounts", "/v1/requests", "/v1/me/waiting"} {
			eve.expectEmpty(t, path)
		}
	}
	expectAccess(t, shop, wantAccess{eve, "", "no, none"})
	expectAccess(t, mill, wantAccess{eve, "", "no, none"})
	eve.post(t, "/v1/me/invitations/"+yard+"/accept", map[string]any{"request": 1, "plan": "starter"}).refused(t, http.StatusNotFound, "not_found", "")
	ian.post(t, "/v1/me/invitations/"+shop+"/accept", map[string]any{"request": 1}).refused(t, http.StatusConflict, "not_pending", "invited")
	if r := s.cleanUp(t); r.Erased == 0 {
		t.Errorf("cleanup did %+v", r)
	}
	// The last row is deleted some minutes later, once the lists are sure to show
	// all.
	s.age(t, 6*time.Minute, row("PERSON#"+eve.id()+" PERSON"))
	s.cleanUp(t)
	erased(t)
	s.expectEmails(t, invitationWithdrawn(ian, "Eve's Shop")) // by somebody who is gone
	expectAccess(t, shop, wantAccess{ian, "", "no, ended; client owns"})
	// The request and the invitation keep the address that was typed: nobody must learn of
	// the erasure by them.
	typed := []string{string(connectionRow(eve.id(), s.agencyID)), string(connectionRow(yard, eve.id()))}
	for key, item := range s.settled(t) {
		if strings.Contains(item, "unmistakable") && !slices.Contains(typed, key) {
			t.Errorf("her address still stands in %s: %s", key, item)
		}
	}
	expectSameShape(t, "what the agency sees of its request", agencySees, shapeOf(s.ann.get(t, path)))
	expectEqual(t, "what the account sees of its invitation", inviterSees, s.olga.inTeam(t, yard, "", eve.id()))
	s.olga.delete(t, "/v1/accounts/"+yard+"/team/"+s.olga.id()).refused(t, http.StatusConflict, "last_owner", "active")
	s.age(t, 14*day, connectionRow(eve.id(), s.agencyID))
	c := read[connection](t, s.ann.get(t, path).is(t, http.StatusOK))
	s.cleanUp(t)
	expectEqual(t, "its status", "expired", c.Status)
	s.expectEmails(t, expiredByEmail(s.ann, s.agencyName, eve.email, moment(*c.ExpiresAt)))
	expectEqual(t, "the number of members", 3, len(read[list[member]](t, eric.get(t, "/v1/accounts/"+shop+"/team").is(t, http.StatusOK)).Items))
	eric.delete(t, "/v1/accounts/"+shop+"/team/"+eric.id()).refused(t, http.StatusConflict, "last_owner", "active")

	// Their next account is a new beginning.
	anew := eve.opens(t, "Eve's Second")
	expectAccess(t, anew, wantAccess{eve, "", "yes, own, " + everything + "; client owns"})
	expectAccess(t, shop, wantAccess{eve, "", "no, ended; client owns"})
	s.expectEmails(t)
}
