package e2e

import (
	"net/http"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestStaff: persons in the agency's own team reach its clients through the
// agency, never above their own areas, and only those that they are assigned to.
func TestStaff(t *testing.T) {
	s := common(t)
	o := newOffice(t, s, "Bright Agency", "staff.test")
	ann, ben, cid := o.ann, o.ben, o.cid // cid: pages view, mail edit
	olga, sam := s.person(t, "olga@luna.staff.test"), s.person(t, "sam@elsewhere.staff.test")
	rival := sam.opensAgency(t, "Rival Agency")
	hub, team := "/v1/agencies/"+o.id, "/v1/accounts/"+o.id+"/team"
	luna, pub := olga.opens(t, "Luna Bakery"), olga.opens(t, "Luna Pub")
	for _, account := range []string{luna, pub} {
		ann.asks(t, o.id, account, levels{"pages": "edit", "mail": "view", "funnels": "edit"})
		olga.post(t, "/v1/accounts/"+account+"/team/"+o.id+"/accept", map[string]any{"request": 1}).is(t, http.StatusOK)
	}
	inn := olga.opens(t, "Luna Inn")
	waiting := ann.asks(t, o.id, inn, levels{"pages": "edit"})
	cafe := read[account](t, ann.make(t, hub+"/accounts", map[string]any{"name": "Carl's Café", "plan": "starter", "confirmPermanentOwnership": true}).is(t, http.StatusCreated)).ID
	s.untilMark(t)

	own := "mail:view pages:view" // the lower of the agency's and cid's, area by area
	limit := func(t *testing.T, who *person, clients any) *reply {
		t.Helper()
		return ann.patch(t, team+"/"+who.id(), map[string]any{"clients": clients})
	}
	names := func(t *testing.T, who *person, query string) ([]string, struct{ Owned, Connected, Pending int }) {
		t.Helper()
		rows := read[list[connection]](t, who.get(t, hub+"/accounts"+query).is(t, http.StatusOK))
		var names []string
		for _, row := range rows.Items {
			names = append(names, row.Name)
		}
		slices.Sort(names)
		return names, rows.Counts
	}
	shows := func(t *testing.T, who *person, query string, owned, connected, pending int, want ...string) {
		t.Helper()
		got, counts := names(t, who, query)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s lists (-want +got):\n%s", who.email, diff)
		}
		if counts.Owned != owned || counts.Connected != connected || counts.Pending != pending {
			t.Errorf("%s counts %+v", who.email, counts)
		}
	}

	then(t, t.Run("a member reaches the agency's clients by the lower of both, reads the account, and does nothing else there", func(t *testing.T) {
		accesses(t, luna, check{ann, o.id, "yes, " + o.id + ", funnels:edit mail:view pages:edit; client owns"},
			check{cid, o.id, "yes, " + o.id + ", " + own + "; client owns"}, check{cid, "", "yes, " + o.id + ", " + own + "; client owns"},
			check{cid, rival, "no, none"}, check{sam, o.id, "no, none"})
		accesses(t, cafe, check{cid, o.id, "yes, " + o.id + ", mail:edit pages:view; agency owns"})
		hers, as := "/v1/accounts/"+luna, "?as="+o.id
		a := read[account](t, cid.get(t, hers+as).is(t, http.StatusOK))
		if a.Name != "Luna Bakery" || a.Role != nil || a.Access.Areas.String() != own {
			t.Errorf("he sees %+v", a)
		}
		for _, r := range []*reply{
			cid.get(t, hers+"/team"+as), cid.get(t, hers+"/activity"+as), cid.patch(t, hers+as, map[string]any{"name": "x"}), cid.delete(t, hers+as),
			cid.get(t, hers+"/blocks"+as), cid.post(t, hub+"/connections", map[string]any{"account": luna, "areas": levels{"pages": "view"}}),
			cid.post(t, hub+"/connections", map[string]any{"ownerEmail": olga.email, "areas": levels{"pages": "view"}}),
			cid.post(t, hub+"/connections/"+waiting.ID+"/withdraw", nil), cid.patch(t, team+"/"+cid.id(), map[string]any{"clients": nil}),
			cid.patch(t, "/v1/accounts/"+cafe+as, map[string]any{"name": "x"}), cid.delete(t, "/v1/accounts/"+cafe+as),
		} {
			r.refused(t, http.StatusForbidden, "forbidden", "")
		}
		shows(t, cid, "", 1, 2, 1, "Carl's Café", "Luna Bakery", "Luna Pub", inn)
		s.told(t)
	}))

	then(t, t.Run("limited to named clients, they see and reach these alone, and are told", func(t *testing.T) {
		for range 2 { // the second time changes nothing
			m := read[member](t, limit(t, cid, []string{luna, "acct_00000000000000000000000000"}).is(t, http.StatusOK))
			if m.Clients == nil || len(*m.Clients) != 2 {
				t.Errorf("limited: %+v", m)
			}
		}
		s.told(t, changedClients(cid, ann, o.name, "2 clients"))
		accesses(t, luna, check{cid, o.id, "yes, " + o.id + ", " + own + "; client owns"})
		accesses(t, pub, check{cid, o.id, "no, not_assigned; client owns"}, check{cid, "", "no, not_assigned; client owns"},
			check{ann, o.id, "yes, " + o.id + ", funnels:edit mail:view pages:edit; client owns"})
		accesses(t, cafe, check{cid, o.id, "no, not_assigned; agency owns"})
		accesses(t, "acct_00000000000000000000000000", check{cid, o.id, "no, none"})
		cid.get(t, "/v1/accounts/"+pub+"?as="+o.id).refused(t, http.StatusNotFound, "not_found", "")
		for _, id := range []string{waiting.ID, connectionID(pub, o.id)} {
			cid.get(t, hub+"/connections/"+id).refused(t, http.StatusNotFound, "not_found", "")
		}
		cid.get(t, hub+"/connections/"+connectionID(luna, o.id)).is(t, http.StatusOK)
		shows(t, cid, "", 0, 1, 0, "Luna Bakery")
		shows(t, cid, "?status=active&prefix=lun", 0, 1, 0, "Luna Bakery")
		shows(t, cid, "?status=pending", 0, 1, 0)
		shows(t, ann, "", 1, 2, 1, "Carl's Café", "Luna Bakery", "Luna Pub", inn)
		cid.get(t, "/v1/accounts/"+o.id+"/activity").refused(t, http.StatusForbidden, "forbidden", "")
	}))

	then(t, t.Run("limited to none they reach none; lifted, they reach all again", func(t *testing.T) {
		limit(t, cid, []string{}).is(t, http.StatusOK)
		s.told(t, changedClients(cid, ann, o.name, "no client"))
		accesses(t, luna, check{cid, o.id, "no, not_assigned; client owns"})
		shows(t, cid, "", 0, 0, 0)
		if m := read[member](t, limit(t, cid, nil).is(t, http.StatusOK)); m.Clients != nil {
			t.Errorf("lifted: %+v", m)
		}
		s.told(t, changedClients(cid, ann, o.name, "all clients"))
		accesses(t, pub, check{cid, o.id, "yes, " + o.id + ", " + own + "; client owns"})
		shows(t, cid, "", 1, 2, 1, "Carl's Café", "Luna Bakery", "Luna Pub", inn)
	}))

	then(t, t.Run("the limit stays when they are invited again, and goes with a higher role", func(t *testing.T) {
		limit(t, cid, []string{pub}).is(t, http.StatusOK)
		body := map[string]any{"email": cid.email, "role": "member", "areas": levels{"pages": "edit"}}
		if m := read[member](t, ann.post(t, team, body).is(t, http.StatusOK)); m.Clients == nil || !slices.Equal(*m.Clients, []string{pub}) {
			t.Errorf("invited again: %+v", m)
		}
		accesses(t, luna, check{cid, o.id, "no, not_assigned; client owns"})
		accesses(t, pub, check{cid, o.id, "yes, " + o.id + ", pages:edit; client owns"})
		for _, who := range []*person{ann, ben} {
			limit(t, who, []string{luna}).refused(t, http.StatusBadRequest, "invalid", "")
		}
		if m := read[member](t, ann.patch(t, team+"/"+cid.id(), map[string]any{"role": "admin"}).is(t, http.StatusOK)); m.Clients != nil {
			t.Errorf("an admin: %+v", m)
		}
		accesses(t, luna, check{cid, o.id, "yes, " + o.id + ", funnels:edit mail:view pages:edit; client owns"})
		s.untilMark(t)
	}))

	then(t, t.Run("whoever is out of the agency is out of its clients", func(t *testing.T) {
		ann.delete(t, team+"/"+cid.id()).is(t, http.StatusOK)
		accesses(t, luna, check{cid, o.id, "no, none"}, check{cid, "", "no, none"})
		s.told(t, removed(cid, ann, o.name))
	}))
}
