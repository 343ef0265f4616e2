package e2e

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"agencyhub/shared/agency"
)

// An office is an agency with an owner, an admin and a member.
type office struct {
	id, name      string
	ann, ben, cid *person // owner, admin, member
}

// newOffice signs three people in at a domain of their own and makes their
// agency. What its invitations told them is read.
func newOffice(t *testing.T, s *stack, name, domain string) office {
	t.Helper()
	o := office{name: name, ann: s.person(t, "ann@"+domain), ben: s.person(t, "ben@"+domain), cid: s.person(t, "cid@"+domain)}
	o.id = o.ann.opensAgency(t, name)
	o.ann.invites(t, o.id, o.ben, "admin", nil)
	o.ann.invites(t, o.id, o.cid, "member", levels{"pages": "view", "mail": "edit"})
	s.told(t, added(o.ben, o.ann, name, "an admin"), added(o.cid, o.ann, name, "a member"))
	return o
}

// TestCreate is PRODUCT.md's "Create: an account the agency owns".
func TestCreate(t *testing.T) {
	s := common(t)
	o := newOffice(t, s, "Bright Agency", "create.test")
	ann, ben, cid := o.ann, o.ben, o.cid
	carl, sam := s.person(t, "carl@cafe.create.test"), s.person(t, "sam@elsewhere.create.test")
	rival := sam.opensAgency(t, "Rival Agency")

	const key, name = "create-carls-cafe-1", "Carl's Café"
	// The id follows from the key, so access can be asked for before the account is there.
	cafe := string(agency.NewAccountID(agency.Party(o.id), key))
	team, hub := "/v1/accounts/"+cafe+"/team", "/v1/agencies/"+o.id
	create := func(t *testing.T, who *person, body map[string]any) *reply {
		t.Helper()
		return who.call(t, http.MethodPost, hub+"/accounts", body, "Idempotency-Key", key)
	}
	wanted := func() map[string]any {
		return map[string]any{
			"name": name, "plan": "starter", "confirmPermanentOwnership": true,
			"client": map[string]any{"email": carl.email, "areas": levels{"pages": "edit", "mail": "view"}},
		}
	}
	nothing := []check{{ann, o.id, "no, none"}, {ben, "", "no, none"}, {carl, "", "no, none"}, {sam, rival, "no, none"}}

	then(t, t.Run("without the explicit confirmation of permanent ownership nothing is made", func(t *testing.T) {
		for _, confirm := range []any{nil, false} {
			body := wanted()
			if delete(body, "confirmPermanentOwnership"); confirm != nil {
				body["confirmPermanentOwnership"] = confirm
			}
			p := create(t, ben, body).refused(t, http.StatusBadRequest, "invalid", "")
			if len(p.Errors) != 1 || p.Errors[0].Field != "body.confirmPermanentOwnership" {
				t.Errorf("it does not name the field: %+v", p)
			}
		}
		accesses(t, cafe, nothing...)
		s.told(t)
	}))

	then(t, t.Run("only the agency's owners and admins create, and only while its hub is on", func(t *testing.T) {
		create(t, cid, wanted()).refused(t, http.StatusForbidden, "forbidden", "")
		create(t, sam, wanted()).refused(t, http.StatusNotFound, "not_found", "")
		off := ann.opens(t, "No hub")
		r := ann.make(t, "/v1/agencies/"+off+"/accounts", wanted())
		r.refused(t, http.StatusConflict, "conflict", "")
		accesses(t, cafe, nothing...)
		s.told(t)
	}))

	then(t, t.Run("the agency owns it and pays for it, and it and its client are told", func(t *testing.T) {
		accesses(t, cafe, nothing...)
		a := read[account](t, create(t, ben, wanted()).is(t, http.StatusCreated))
		if a.ID != cafe || a.Name != name || a.Ownership != "agency" || value(a.Owner) != o.id || a.Agency ||
			a.Subscription.Plan != "starter" || a.Subscription.State != "active" || a.Subscription.Payer != "agency" {
			t.Errorf("created %+v", a)
		}
		s.told(t, created(ben, o.name, name), created(ann, o.name, name), createdFor(carl, o.name, name, "Pages: view and edit"))
	}))

	then(t, t.Run("the agency's profile in it is active at once, with every area at edit", func(t *testing.T) {
		accesses(t, cafe,
			check{ann, o.id, "yes, " + o.id + ", " + everything + "; agency owns"},
			check{ben, "", "yes, " + o.id + ", " + everything + "; agency owns"},
			// Staff reach it by the lower of both: what the member may do in the agency.
			check{cid, o.id, "yes, " + o.id + ", mail:edit pages:view; agency owns"},
		)
		first := read[list[member]](t, ann.get(t, team+"?as="+o.id).is(t, http.StatusOK)).Items[0]
		if first.ID != o.id || first.Kind != "agency" || first.Status != "active" || first.Name != o.name || first.Areas.String() != everything {
			t.Errorf("the first of the team is %+v", first)
		}
	}))

	then(t, t.Run("the client gets in as far as the agency decides, as a member and never more", func(t *testing.T) {
		accesses(t, cafe, check{carl, "", "yes, own, mail:view pages:edit; agency owns"}, check{sam, "", "no, none"})
		if a := read[account](t, carl.get(t, "/v1/accounts/"+cafe).is(t, http.StatusOK)); value(a.Role) != "member" {
			t.Errorf("the client is %q", value(a.Role))
		}
		carl.get(t, team).refused(t, http.StatusForbidden, "forbidden", "")
		carl.patch(t, "/v1/accounts/"+cafe, map[string]any{"name": "Mine"}).refused(t, http.StatusForbidden, "forbidden", "")
		carl.patch(t, team+"/"+carl.id(), map[string]any{"areas": levels{"funnels": "edit"}}).refused(t, http.StatusForbidden, "forbidden", "")
		for _, role := range []string{"owner", "admin"} {
			ann.post(t, team+"?as="+o.id, map[string]any{"email": carl.email, "role": role}).refused(t, http.StatusBadRequest, "invalid", "")
			ann.patch(t, team+"/"+carl.id()+"?as="+o.id, map[string]any{"role": role}).refused(t, http.StatusBadRequest, "invalid", "")
		}
		accesses(t, cafe, check{carl, "", "yes, own, mail:view pages:edit; agency owns"})
		s.told(t)
	}))

	then(t, t.Run("the agency changes the client's access, and the client is told", func(t *testing.T) {
		change := map[string]any{"areas": levels{"analytics": "view"}}
		read[member](t, ben.patch(t, team+"/"+carl.id()+"?as="+o.id, change).is(t, http.StatusOK))
		accesses(t, cafe, check{carl, "", "yes, own, analytics:view; agency owns"})
		s.told(t, changed(carl, o.name, name, "Analytics: view only (before: no access)"))

		ben.patch(t, team+"/"+carl.id()+"?as="+o.id, change).is(t, http.StatusOK)
		s.told(t) // nothing has changed, so nobody is told
	}))

	then(t, t.Run("the agency takes the client's access away, and the client is told", func(t *testing.T) {
		for range 2 { // the second time changes nothing
			m := read[member](t, ann.delete(t, team+"/"+carl.id()+"?as="+o.id).is(t, http.StatusOK))
			if m.Status != "revoked" {
				t.Errorf("the client's profile is %s", m.Status)
			}
		}
		accesses(t, cafe, check{carl, "", "no, ended; agency owns"})
		carl.get(t, "/v1/accounts/"+cafe).refused(t, http.StatusNotFound, "not_found", "")
		s.told(t, taken(carl, o.name, name))
	}))

	then(t, t.Run("the agency gives the client access again, and the client is told", func(t *testing.T) {
		body := map[string]any{"email": "  CARL@Cafe.Create.TEST ", "role": "member", "areas": levels{"pages": "view"}}
		m := read[member](t, ann.post(t, team+"?as="+o.id, body).is(t, http.StatusCreated))
		if m.ID != carl.id() || value(m.Email) != carl.email {
			t.Errorf("another spelling of the address gave %+v", m)
		}
		accesses(t, cafe, check{carl, "", "yes, own, pages:view; agency owns"})
		s.told(t, given(carl, o.name, name, "Pages: view only"))
	}))

	then(t, t.Run("the owning agency can never be disconnected, on no path", func(t *testing.T) {
		con := hub + "/connections/" + connectionID(cafe, o.id)
		own, as := team+"/"+o.id, "?as="+o.id
		areas := map[string]any{"areas": levels{"pages": "view"}}
		request := map[string]any{"account": cafe, "areas": levels{"pages": "view"}}
		for _, r := range []*reply{
			ann.post(t, con+"/leave", nil), ann.post(t, con+"/withdraw", nil), ann.post(t, con+"/resend", nil),
			ann.delete(t, own+as), ann.patch(t, own+as, areas),
			ann.post(t, own+"/accept"+as, map[string]any{"request": 1}), ann.post(t, own+"/deny"+as, nil),
			carl.delete(t, own), carl.patch(t, own, areas),
			carl.post(t, own+"/accept", map[string]any{"request": 1}), carl.post(t, own+"/deny", nil),
			carl.post(t, "/v1/accounts/"+cafe+"/agency", nil),
			ann.post(t, hub+"/connections", request), sam.post(t, "/v1/agencies/"+rival+"/connections", request),
		} {
			r.refused(t, http.StatusConflict, "permanently_owned", "")
		}
		sam.delete(t, own).refused(t, http.StatusNotFound, "not_found", "")
		accesses(t, cafe,
			check{ann, o.id, "yes, " + o.id + ", " + everything + "; agency owns"}, check{carl, "", "yes, own, pages:view; agency owns"},
			check{sam, rival, "no, none"})
		s.told(t)
	}))

	then(t, t.Run("the same Idempotency-Key answers the same account as it is now; with another body it is refused", func(t *testing.T) {
		ann.patch(t, "/v1/accounts/"+cafe+"?as="+o.id, map[string]any{"name": "Carl's Bar"}).is(t, http.StatusOK)
		a := read[account](t, create(t, ann, wanted()).is(t, http.StatusCreated))
		if a.ID != cafe || a.Name != "Carl's Bar" {
			t.Errorf("the repeat answered %+v", a)
		}
		other := wanted()
		other["plan"] = "growth"
		create(t, ann, other).refused(t, http.StatusConflict, "idempotency_mismatch", "")
		s.told(t)
	}))

	then(t, t.Run("the hub lists it with its counts", func(t *testing.T) {
		clients := read[list[connection]](t, cid.get(t, hub+"/accounts").is(t, http.StatusOK))
		if clients.Counts.Owned != 1 || clients.Counts.Connected != 0 || clients.Counts.Pending != 0 || len(clients.Items) != 1 {
			t.Fatalf("the hub shows %+v", clients)
		}
		if c := clients.Items[0]; value(c.Account) != cafe || c.Ownership != "agency" || c.Status != "active" {
			t.Errorf("the hub shows %+v", c)
		}
	}))

	then(t, t.Run("the client may leave, and the agency is told", func(t *testing.T) {
		for range 2 {
			if m := read[member](t, carl.delete(t, team+"/"+carl.id()).is(t, http.StatusOK)); m.Status != "left" {
				t.Errorf("the client's profile is %s", m.Status)
			}
		}
		accesses(t, cafe, check{carl, "", "no, ended; agency owns"})
		s.told(t, personLeft(ann, carl, "Carl's Bar"))
	}))

	then(t, t.Run("an account without a client is told to the agency alone", func(t *testing.T) {
		body := map[string]any{"name": "Empty House", "plan": "starter", "confirmPermanentOwnership": true}
		a := read[account](t, ann.make(t, hub+"/accounts", body).is(t, http.StatusCreated))
		accesses(t, a.ID, check{ann, "", "yes, " + o.id + ", " + everything + "; agency owns"})
		s.told(t, created(ann, o.name, "Empty House"))
	}))

	then(t, t.Run("each thing that happened stands in the account's activity once", func(t *testing.T) {
		want := []string{
			"account.created", "person.changed", "person.removed", "person.added", "account.renamed", "person.left",
		}
		if diff := cmp.Diff(want, kinds(ann.activity(t, cafe, o.id))); diff != "" {
			t.Errorf("activity (-want +got):\n%s", diff)
		}
	}))
}
