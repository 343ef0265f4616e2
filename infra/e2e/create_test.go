package e2e

import (
	"net/http"
	"testing"

	"agencyhub/shared/agency"
)

type createStory struct {
	agencyStaff
	carl, sam                           *person
	rival, key, accountName, cafe, team string
	noAccess                            []wantAccess
}

// TestCreate tests agency-owned accounts (README, In an agency-owned account).
func TestCreate(t *testing.T) {
	s := &createStory{agencyStaff: newAgency(t, common(t), "Bright Agency", "create.test")}

	s.carl, s.sam = s.person(t, "carl@cafe.create.test"), s.person(t, "sam@elsewhere.create.test")
	s.rival = s.sam.opensAgency(t, "Rival Agency")

	s.key, s.accountName = "create-carls-cafe-1", "Carl's Café"
	// The id follows from the key, so access can be checked before the account
	// exists.
	s.cafe = string(agency.NewAccountID(agency.Party(s.agencyID), s.key))
	s.team = "/v1/accounts/" + s.cafe + "/team"

	s.noAccess = []wantAccess{{s.ann, s.agencyID, "no, none"}, {s.ben, "", "no, none"}, {s.carl, "", "no, none"}, {s.sam, s.rival, "no, none"}}
	step(t, t.Run("without the explicit confirmation of permanent ownership nothing is made", s.confirmation))
	step(t, t.Run("only the agency's owners and admins create, and only while its hub is on", s.onlyManagersCreate))
	step(t, t.Run("the agency owns it and pays for it, and it and its client are told", s.agencyOwns))
	step(t, t.Run("the agency's profile in it is active at once, with every area at edit", s.agencyAccess))
	step(t, t.Run("the invited client reads the terms, and has no access until they accept", s.clientInvited))
	step(t, t.Run("the client gets in as far as the agency decides, as a member and never more", s.clientAccess))
	step(t, t.Run("the agency changes the client's access, and the client is told", s.changeClientAccess))
	step(t, t.Run("the agency takes the client's access away, and the client is told", s.revokeClientAccess))
	step(t, t.Run("the agency invites the client again, who accepts", s.inviteAgain))
	step(t, t.Run("the owning agency can never be disconnected, on no path", s.neverDisconnected))
	step(t, t.Run("the same Idempotency-Key answers the same account as it is now; with another body it is refused", s.repeatedKey))
	step(t, t.Run("the hub lists it with its counts", s.listed))
	step(t, t.Run("the client may leave, and the agency is told", s.clientLeaves))
	step(t, t.Run("an account without a client is told to the agency alone", s.withoutClient))
	step(t, t.Run("each thing that happened stands in the account's activity once", s.activityOnce))
}

func (s *createStory) create(t *testing.T, who *person, body map[string]any) *reply {
	t.Helper()
	return who.call(t, http.MethodPost, s.agencyPath+"/accounts", body, "Idempotency-Key", s.key)
}

func (s *createStory) createBody() map[string]any {
	return map[string]any{
		"name": s.accountName, "plan": "starter", "confirmPermanentOwnership": true,
		"client": map[string]any{"email": s.carl.email, "areas": levels{"pages": "edit", "mail": "view"}},
	}
}

func (s *createStory) confirmation(t *testing.T) {
	for _, confirm := range []any{nil, false} {
		body := s.createBody()
		if delete(body, "confirmPermanentOwnership"); confirm != nil {
			body["confirmPermanentOwnership"] = confirm
		}
		p := s.create(t, s.ben, body).refused(t, http.StatusBadRequest, "invalid", "")
		if len(p.Errors) != 1 || p.Errors[0].Field != "body.confirmPermanentOwnership" {
			t.Errorf("it does not name the field: %+v", p)
		}
	}
	expectAccess(t, s.cafe, s.noAccess...)
	s.expectEmails(t)
}

func (s *createStory) onlyManagersCreate(t *testing.T) {
	s.create(t, s.cid, s.createBody()).refused(t, http.StatusForbidden, "forbidden", "")
	s.create(t, s.sam, s.createBody()).refused(t, http.StatusNotFound, "not_found", "")
	noAgency := s.ann.opens(t, "No hub")
	r := s.ann.postOnce(t, "/v1/agencies/"+noAgency+"/accounts", s.createBody())
	r.refused(t, http.StatusConflict, "conflict", "")
	expectAccess(t, s.cafe, s.noAccess...)
	s.expectEmails(t)
}

func (s *createStory) agencyOwns(t *testing.T) {
	expectAccess(t, s.cafe, s.noAccess...)
	a := read[account](t, s.create(t, s.ben, s.createBody()).is(t, http.StatusCreated))
	if a.ID != s.cafe || a.Name != s.accountName || a.Ownership != "agency" || value(a.Owner) != s.agencyID || a.Agency ||
		a.Subscription.Plan != "starter" || a.Subscription.State != "active" || a.Subscription.Payer != "agency" {
		t.Errorf("created %+v", a)
	}
	s.expectEmails(t, created(s.ben, s.agencyName, s.accountName), created(s.ann, s.agencyName, s.accountName), createdFor(s.carl, s.agencyName, s.accountName, "Pages: Edit"))
}

func (s *createStory) agencyAccess(t *testing.T) {
	expectAccess(t, s.cafe,
		wantAccess{s.ann, s.agencyID, "yes, " + s.agencyID + ", " + everything + "; agency owns"},
		wantAccess{s.ben, "", "yes, " + s.agencyID + ", " + everything + "; agency owns"},
		// A member gets the lower of both levels.
		wantAccess{s.cid, s.agencyID, "yes, " + s.agencyID + ", mail:edit pages:view; agency owns"},
	)
	first := read[list[member]](t, s.ann.get(t, s.team+"?as="+s.agencyID).is(t, http.StatusOK)).Items[0]
	if first.ID != s.agencyID || first.Kind != "agency" || first.Status != "active" || first.Name != s.agencyName || first.Areas.String() != everything {
		t.Errorf("the first of the team is %+v", first)
	}
}

func (s *createStory) clientInvited(t *testing.T) {
	expectAccess(t, s.cafe, wantAccess{s.carl, "", "no, invited; agency owns"})
	s.carl.get(t, "/v1/accounts/"+s.cafe).refused(t, http.StatusNotFound, "not_found", "")
	s.carl.expectEmpty(t, "/v1/accounts")
	for _, in := range append(s.carl.waiting(t), s.carl.invitation(t, s.cafe)) {
		if in.Kind != "invitation" || in.Account.ID != s.cafe || in.Account.Name != s.accountName || in.From.ID != s.agencyID || in.From.Name != s.agencyName ||
			value(in.By) != s.ben.email || value(in.Role) != "member" || in.Areas.String() != "mail:view pages:edit" || in.Request != 1 || in.Plan != nil {
			t.Errorf("he sees %+v", in)
		}
	}
	accept := "/v1/me/invitations/" + s.cafe + "/accept"
	for _, who := range []*person{s.sam, s.ann, s.ben} {
		who.post(t, accept, map[string]any{"request": 1}).refused(t, http.StatusNotFound, "not_found", "")
	}
	s.carl.post(t, accept, map[string]any{"request": 2}).refused(t, http.StatusConflict, "conflict", "invited")
	expectAccess(t, s.cafe, wantAccess{s.carl, "", "no, invited; agency owns"})
	s.expectEmails(t)
	for range 2 { // a repeat changes nothing
		s.carl.joins(t, s.cafe)
	}
	s.carl.expectEmpty(t, "/v1/me/waiting")
	s.expectEmails(t, joinedClient(s.carl, s.ben, s.agencyName, s.accountName, "Pages: Edit")...)
}

func (s *createStory) clientAccess(t *testing.T) {
	expectAccess(t, s.cafe, wantAccess{s.carl, "", "yes, own, mail:view pages:edit; agency owns"}, wantAccess{s.sam, "", "no, none"})
	expectEqual(t, "the client's role", "member", value(read[account](t, s.carl.get(t, "/v1/accounts/"+s.cafe).is(t, http.StatusOK)).Role))
	s.carl.get(t, s.team).refused(t, http.StatusForbidden, "forbidden", "")
	s.carl.patch(t, "/v1/accounts/"+s.cafe, map[string]any{"name": "Mine"}).refused(t, http.StatusForbidden, "forbidden", "")
	s.carl.patch(t, s.team+"/"+s.carl.id(), map[string]any{"areas": levels{"funnels": "edit"}}).refused(t, http.StatusForbidden, "forbidden", "")
	for _, role := range []string{"owner", "admin"} {
		s.ann.post(t, s.team+"?as="+s.agencyID, map[string]any{"email": s.carl.email, "role": role}).refused(t, http.StatusBadRequest, "invalid", "")
		s.ann.patch(t, s.team+"/"+s.carl.id()+"?as="+s.agencyID, map[string]any{"role": role}).refused(t, http.StatusBadRequest, "invalid", "")
	}
	expectAccess(t, s.cafe, wantAccess{s.carl, "", "yes, own, mail:view pages:edit; agency owns"})
	s.expectEmails(t)
}

func (s *createStory) changeClientAccess(t *testing.T) {
	change := map[string]any{"areas": levels{"analytics": "view"}}
	read[member](t, s.ben.patch(t, s.team+"/"+s.carl.id()+"?as="+s.agencyID, change).is(t, http.StatusOK))
	expectAccess(t, s.cafe, wantAccess{s.carl, "", "yes, own, analytics:view; agency owns"})
	s.expectEmails(t, accessChanged(s.carl, s.agencyName, s.accountName, "Analytics: View (before: No access)"))

	s.ben.patch(t, s.team+"/"+s.carl.id()+"?as="+s.agencyID, change).is(t, http.StatusOK)
	s.expectEmails(t) // nothing has changed
}

func (s *createStory) revokeClientAccess(t *testing.T) {
	for range 2 { // the second time changes nothing
		s.ann.delete(t, s.team+"/"+s.carl.id()+"?as="+s.agencyID).expectStatus(t, "revoked")
	}
	expectAccess(t, s.cafe, wantAccess{s.carl, "", "no, ended; agency owns"})
	s.carl.get(t, "/v1/accounts/"+s.cafe).refused(t, http.StatusNotFound, "not_found", "")
	s.expectEmails(t, accessEnded(s.carl, s.agencyName, s.accountName))
}

func (s *createStory) inviteAgain(t *testing.T) {
	body := map[string]any{"email": "  CARL@Cafe.Create.TEST ", "role": "member", "areas": levels{"pages": "view"}}
	m := read[member](t, s.ann.post(t, s.team+"?as="+s.agencyID, body).is(t, http.StatusCreated))
	if m.ID != s.carl.id() || value(m.Email) != s.carl.email || m.Status != "invited" || m.Request != 2 {
		t.Errorf("another spelling of the address gave %+v", m)
	}
	expectAccess(t, s.cafe, wantAccess{s.carl, "", "no, invited; agency owns"})
	s.expectEmails(t, invitedClient(s.carl, s.ann, s.agencyName, s.accountName, "Pages: View"))
	s.carl.joins(t, s.cafe)
	expectAccess(t, s.cafe, wantAccess{s.carl, "", "yes, own, pages:view; agency owns"})
	s.expectEmails(t, joinedClient(s.carl, s.ann, s.agencyName, s.accountName, "Pages: View")...)
}

func (s *createStory) neverDisconnected(t *testing.T) {
	con := s.agencyPath + "/connections/" + connectionID(s.cafe, s.agencyID)
	own, as := s.team+"/"+s.agencyID, "?as="+s.agencyID
	areas := map[string]any{"areas": levels{"pages": "view"}}
	request := map[string]any{"account": s.cafe, "areas": levels{"pages": "view"}}
	for _, r := range []*reply{
		s.ann.post(t, con+"/leave", nil), s.ann.post(t, con+"/withdraw", nil), s.ann.post(t, con+"/resend", nil),
		s.ann.delete(t, own+as), s.ann.patch(t, own+as, areas),
		s.ann.post(t, own+"/accept"+as, map[string]any{"request": 1}), s.ann.post(t, own+"/decline"+as, map[string]any{"request": 1}),
		s.carl.delete(t, own), s.carl.patch(t, own, areas),
		s.carl.post(t, own+"/accept", map[string]any{"request": 1}), s.carl.post(t, own+"/decline", map[string]any{"request": 1}),
		s.carl.post(t, "/v1/accounts/"+s.cafe+"/agency", nil),
		s.ann.post(t, s.agencyPath+"/connections", request), s.sam.post(t, "/v1/agencies/"+s.rival+"/connections", request),
	} {
		r.refused(t, http.StatusConflict, "permanently_owned", "")
	}
	s.sam.delete(t, own).refused(t, http.StatusNotFound, "not_found", "")
	expectAccess(t, s.cafe,
		wantAccess{s.ann, s.agencyID, "yes, " + s.agencyID + ", " + everything + "; agency owns"}, wantAccess{s.carl, "", "yes, own, pages:view; agency owns"},
		wantAccess{s.sam, s.rival, "no, none"})
	s.expectEmails(t)
}

func (s *createStory) repeatedKey(t *testing.T) {
	s.ann.patch(t, "/v1/accounts/"+s.cafe+"?as="+s.agencyID, map[string]any{"name": "Carl's Bar"}).is(t, http.StatusOK)
	a := read[account](t, s.create(t, s.ann, s.createBody()).is(t, http.StatusCreated))
	if a.ID != s.cafe || a.Name != "Carl's Bar" {
		t.Errorf("the repeat answered %+v", a)
	}
	other := s.createBody()
	other["plan"] = "growth"
	s.create(t, s.ann, other).refused(t, http.StatusConflict, "idempotency_mismatch", "")
	s.expectEmails(t)
}

func (s *createStory) listed(t *testing.T) {
	clients := read[list[connection]](t, s.cid.get(t, s.agencyPath+"/accounts").is(t, http.StatusOK))
	if clients.Counts.Owned != 1 || clients.Counts.Connected != 0 || clients.Counts.Pending != 0 || len(clients.Items) != 1 {
		t.Fatalf("the agency's list shows %+v", clients)
	}
	if c := clients.Items[0]; value(c.Account) != s.cafe || c.Ownership != "agency" || c.Status != "active" {
		t.Errorf("the agency's list shows %+v", c)
	}
}

func (s *createStory) clientLeaves(t *testing.T) {
	for range 2 {
		s.carl.delete(t, s.team+"/"+s.carl.id()).expectStatus(t, "left")
	}
	expectAccess(t, s.cafe, wantAccess{s.carl, "", "no, ended; agency owns"})
	s.expectEmails(t, personLeft(s.ann, s.carl, "Carl's Bar"))
}

func (s *createStory) withoutClient(t *testing.T) {
	id := s.ann.opensOwned(t, s.agencyID, "Empty House", "starter", nil, nil)
	expectAccess(t, id, wantAccess{s.ann, "", "yes, " + s.agencyID + ", " + everything + "; agency owns"})
	s.expectEmails(t, created(s.ann, s.agencyName, "Empty House"))
}

func (s *createStory) activityOnce(t *testing.T) {
	s.ann.expectActivity(t, s.cafe, s.agencyID, "account.created", "person.added", "person.changed", "person.removed", "person.invited", "person.added",
		"account.renamed", "person.left")
}
