package e2e

import (
	"net/http"
	"slices"
	"testing"
)

type staffStory struct {
	agencyStaff
	olga, sam                                      *person
	rival, team, luna, pub, inn, cafe, memberAreas string
	waiting                                        connection
}

// TestStaff tests an agency's staff: they reach its clients through the agency, by
// the lower of both levels, and only the clients that they are limited to.
func TestStaff(t *testing.T) {
	s := &staffStory{agencyStaff: newAgency(t, common(t), "Bright Agency", "staff.test")}

	// cid: pages view, mail edit
	s.olga, s.sam = s.person(t, "olga@luna.staff.test"), s.person(t, "sam@elsewhere.staff.test")
	s.rival = s.sam.opensAgency(t, "Rival Agency")
	s.team = "/v1/accounts/" + s.agencyID + "/team"
	s.luna, s.pub = s.olga.opens(t, "Luna Bakery"), s.olga.opens(t, "Luna Pub")
	for _, account := range []string{s.luna, s.pub} {
		s.ann.requests(t, s.agencyID, account, levels{"pages": "edit", "mail": "view", "funnels": "edit"})
		s.olga.post(t, "/v1/accounts/"+account+"/team/"+s.agencyID+"/accept", map[string]any{"request": 1}).is(t, http.StatusOK)
	}
	s.inn = s.olga.opens(t, "Luna Inn")
	s.waiting = s.ann.requests(t, s.agencyID, s.inn, levels{"pages": "edit"})
	s.cafe = s.ann.opensOwned(t, s.agencyID, "Carl's Café", "starter", nil, nil)
	s.newEmails(t)

	s.memberAreas = "mail:view pages:view" // the lower of the agency's and cid's, area by area

	step(t, t.Run("a member reaches the agency's clients by the lower of both, reads the account, and does nothing else there", s.lowerOfBoth))
	step(t, t.Run("limited to named clients, they see and reach these alone, and are told", s.limitToClients))
	step(t, t.Run("limited to none they reach none; lifted, they reach all again", s.limitToNone))
	step(t, t.Run("the limit stays when they are invited again, and goes with a higher role", s.limitStays))
	step(t, t.Run("whoever is out of the agency is out of its clients", s.removed))
}

func (s *staffStory) assignClients(t *testing.T, who *person, clients any) *reply {
	t.Helper()
	return s.ann.patch(t, s.team+"/"+who.id(), map[string]any{"clients": clients})
}

func (s *staffStory) expectClients(t *testing.T, who *person, query string, owned, connected, pending int, want ...string) {
	t.Helper()
	rows := read[list[connection]](t, who.get(t, s.agencyPath+"/accounts"+query).is(t, http.StatusOK))
	var names []string
	for _, row := range rows.Items {
		names = append(names, row.Name)
	}
	slices.Sort(names)
	expectEqual(t, "the list of "+who.email, want, names)
	expectEqual(t, "the counts of "+who.email, counts{owned, connected, pending}, rows.Counts)
}

func (s *staffStory) lowerOfBoth(t *testing.T) {
	expectAccess(t, s.luna, wantAccess{s.ann, s.agencyID, "yes, " + s.agencyID + ", funnels:edit mail:view pages:edit; client owns"},
		wantAccess{s.cid, s.agencyID, "yes, " + s.agencyID + ", " + s.memberAreas + "; client owns"}, wantAccess{s.cid, "", "yes, " + s.agencyID + ", " + s.memberAreas + "; client owns"},
		wantAccess{s.cid, s.rival, "no, none"}, wantAccess{s.sam, s.agencyID, "no, none"})
	expectAccess(t, s.cafe, wantAccess{s.cid, s.agencyID, "yes, " + s.agencyID + ", mail:edit pages:view; agency owns"})
	hers, as := "/v1/accounts/"+s.luna, "?as="+s.agencyID
	a := read[account](t, s.cid.get(t, hers+as).is(t, http.StatusOK))
	if a.Name != "Luna Bakery" || a.Role != nil || a.Access.Areas.String() != s.memberAreas {
		t.Errorf("he sees %+v", a)
	}
	for _, r := range []*reply{
		s.cid.get(t, hers+"/team"+as), s.cid.get(t, hers+"/activity"+as), s.cid.patch(t, hers+as, map[string]any{"name": "x"}), s.cid.delete(t, hers+as),
		s.cid.get(t, hers+"/blocks"+as), s.cid.post(t, s.agencyPath+"/connections", map[string]any{"account": s.luna, "areas": levels{"pages": "view"}}),
		s.cid.post(t, s.agencyPath+"/connections", map[string]any{"ownerEmail": s.olga.email, "areas": levels{"pages": "view"}}),
		s.cid.post(t, s.agencyPath+"/connections/"+s.waiting.ID+"/withdraw", nil), s.cid.patch(t, s.team+"/"+s.cid.id(), map[string]any{"clients": nil}),
		s.cid.patch(t, "/v1/accounts/"+s.cafe+as, map[string]any{"name": "x"}), s.cid.delete(t, "/v1/accounts/"+s.cafe+as),
	} {
		r.refused(t, http.StatusForbidden, "forbidden", "")
	}
	s.expectClients(t, s.cid, "", 1, 2, 1, "Carl's Café", "Luna Bakery", "Luna Pub", s.inn)
	s.expectEmails(t)
}

func (s *staffStory) limitToClients(t *testing.T) {
	for range 2 { // the second time changes nothing
		m := read[member](t, s.assignClients(t, s.cid, []string{s.luna, "acct_00000000000000000000000000"}).is(t, http.StatusOK))
		if m.Clients == nil || len(*m.Clients) != 2 {
			t.Errorf("limited: %+v", m)
		}
	}
	s.expectEmails(t, changedClients(s.cid, s.ann, s.agencyName, "2 clients"))
	expectAccess(t, s.luna, wantAccess{s.cid, s.agencyID, "yes, " + s.agencyID + ", " + s.memberAreas + "; client owns"})
	expectAccess(t, s.pub, wantAccess{s.cid, s.agencyID, "no, not_assigned; client owns"}, wantAccess{s.cid, "", "no, not_assigned; client owns"},
		wantAccess{s.ann, s.agencyID, "yes, " + s.agencyID + ", funnels:edit mail:view pages:edit; client owns"})
	expectAccess(t, s.cafe, wantAccess{s.cid, s.agencyID, "no, not_assigned; agency owns"})
	expectAccess(t, "acct_00000000000000000000000000", wantAccess{s.cid, s.agencyID, "no, none"})
	s.cid.get(t, "/v1/accounts/"+s.pub+"?as="+s.agencyID).refused(t, http.StatusNotFound, "not_found", "")
	for _, id := range []string{s.waiting.ID, connectionID(s.pub, s.agencyID)} {
		s.cid.get(t, s.agencyPath+"/connections/"+id).refused(t, http.StatusNotFound, "not_found", "")
	}
	s.cid.get(t, s.agencyPath+"/connections/"+connectionID(s.luna, s.agencyID)).is(t, http.StatusOK)
	s.expectClients(t, s.cid, "", 0, 1, 0, "Luna Bakery")
	s.expectClients(t, s.cid, "?status=active&prefix=lun", 0, 1, 0, "Luna Bakery")
	s.expectClients(t, s.cid, "?status=pending", 0, 1, 0)
	s.expectClients(t, s.ann, "", 1, 2, 1, "Carl's Café", "Luna Bakery", "Luna Pub", s.inn)
	s.cid.get(t, "/v1/accounts/"+s.agencyID+"/activity").refused(t, http.StatusForbidden, "forbidden", "")
}

func (s *staffStory) limitToNone(t *testing.T) {
	s.assignClients(t, s.cid, []string{}).is(t, http.StatusOK)
	s.expectEmails(t, changedClients(s.cid, s.ann, s.agencyName, "no client"))
	expectAccess(t, s.luna, wantAccess{s.cid, s.agencyID, "no, not_assigned; client owns"})
	s.expectClients(t, s.cid, "", 0, 0, 0)
	if m := read[member](t, s.assignClients(t, s.cid, nil).is(t, http.StatusOK)); m.Clients != nil {
		t.Errorf("lifted: %+v", m)
	}
	s.expectEmails(t, changedClients(s.cid, s.ann, s.agencyName, "all clients"))
	expectAccess(t, s.pub, wantAccess{s.cid, s.agencyID, "yes, " + s.agencyID + ", " + s.memberAreas + "; client owns"})
	s.expectClients(t, s.cid, "", 1, 2, 1, "Carl's Café", "Luna Bakery", "Luna Pub", s.inn)
}

func (s *staffStory) limitStays(t *testing.T) {
	s.assignClients(t, s.cid, []string{s.pub}).is(t, http.StatusOK)
	body := map[string]any{"email": s.cid.email, "role": "member", "areas": levels{"pages": "edit"}}
	if m := read[member](t, s.ann.post(t, s.team, body).is(t, http.StatusOK)); m.Clients == nil || !slices.Equal(*m.Clients, []string{s.pub}) {
		t.Errorf("invited again: %+v", m)
	}
	expectAccess(t, s.luna, wantAccess{s.cid, s.agencyID, "no, not_assigned; client owns"})
	expectAccess(t, s.pub, wantAccess{s.cid, s.agencyID, "yes, " + s.agencyID + ", pages:edit; client owns"})
	for _, who := range []*person{s.ann, s.ben} {
		s.assignClients(t, who, []string{s.luna}).refused(t, http.StatusBadRequest, "invalid", "")
	}
	if m := read[member](t, s.ann.patch(t, s.team+"/"+s.cid.id(), map[string]any{"role": "admin"}).is(t, http.StatusOK)); m.Clients != nil {
		t.Errorf("an admin: %+v", m)
	}
	expectAccess(t, s.luna, wantAccess{s.cid, s.agencyID, "yes, " + s.agencyID + ", funnels:edit mail:view pages:edit; client owns"})
	s.newEmails(t)
}

func (s *staffStory) removed(t *testing.T) {
	s.ann.delete(t, s.team+"/"+s.cid.id()).is(t, http.StatusOK)
	expectAccess(t, s.luna, wantAccess{s.cid, s.agencyID, "no, none"}, wantAccess{s.cid, "", "no, none"})
	s.expectEmails(t, removed(s.cid, s.ann, s.agencyName))
}
