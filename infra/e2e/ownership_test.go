package e2e

import (
	"net/http"
	"testing"
)

type ownershipStory struct {
	*stack
	olga, alf, mia          *person
	accountName, luna, team string
	path, fullAccess        string
}

// TestOwnership tests offers of ownership (README, Persons).
func TestOwnership(t *testing.T) {
	s := &ownershipStory{stack: common(t)}
	s.olga, s.alf, s.mia = s.person(t, "olga@luna.offers.test"), s.person(t, "alf@luna.offers.test"), s.person(t, "mia@luna.offers.test")
	s.accountName = "Luna Cinema"
	s.luna = s.olga.opens(t, s.accountName)
	s.team, s.path = "/v1/accounts/"+s.luna+"/team", "/v1/me/invitations/"+s.luna
	s.fullAccess = "yes, own, " + everything + "; client owns"
	s.olga.invites(t, s.luna, s.alf, "admin", nil)
	s.olga.invites(t, s.luna, s.mia, "member", levels{"pages": "view"})
	s.newEmails(t) // other tests look at these

	step(t, t.Run("a role of owner is offered: the member keeps theirs, and the last owner stays", s.offer))
	step(t, t.Run("who accepts names the plan that they were shown", s.namePlan))
	step(t, t.Run("declined, they keep their role, and the owner waits", s.decline))
	step(t, t.Run("a change of role closes the offer first", s.closedByChange))
	step(t, t.Run("accepted, they own and pay, every owner is told, and the first owner may leave", s.accept))
	step(t, t.Run("each thing that happened stands in the account's activity once", s.activityOnce))
}

// answer accepts or declines an offer by its number.
func (s *ownershipStory) answer(t *testing.T, who *person, how string, request int, plan string) *reply {
	t.Helper()
	body := map[string]any{"request": request}
	if plan != "" {
		body["plan"] = plan
	}
	return who.post(t, s.path+"/"+how, body)
}

func (s *ownershipStory) offer(t *testing.T) {
	for range 2 { // the same offer on the same day is the one that waits
		m := read[member](t, s.olga.patch(t, s.team+"/"+s.alf.id(), map[string]any{"role": "owner"}).is(t, http.StatusOK))
		if m.Status != "active" || value(m.Role) != "admin" || value(m.Offer) != "owner" || m.Request != 2 || m.ExpiresAt == nil {
			t.Errorf("offered: %+v", m)
		}
	}
	expectAccess(t, s.luna, wantAccess{s.alf, "", s.fullAccess})
	listed := s.alf.waiting(t)
	expectEqual(t, "what waits for him", 1, len(listed))
	for _, in := range append(listed, s.alf.invitation(t, s.luna)) {
		if in.Kind != "ownership" || in.Account.ID != s.luna || value(in.By) != s.olga.email || value(in.Role) != "owner" || in.Request != 2 ||
			in.Plan == nil || in.Plan.ID != "starter" || in.Plan.MonthlyPrice != 2900 || in.Plan.Currency != "USD" {
			t.Errorf("he sees %+v", in)
		}
	}
	s.olga.delete(t, s.team+"/"+s.olga.id()).refused(t, http.StatusConflict, "last_owner", "active")
	s.alf.patch(t, s.team+"/"+s.mia.id(), map[string]any{"role": "owner"}).refused(t, http.StatusForbidden, "forbidden", "")
	s.alf.get(t, "/v1/accounts/"+s.luna+"/subscription").refused(t, http.StatusForbidden, "forbidden", "")
	s.expectEmails(t, offered(s.alf, s.olga, s.accountName, "the plan Starter, 29 USD"))
}

func (s *ownershipStory) namePlan(t *testing.T) {
	s.olga.patch(t, "/v1/accounts/"+s.luna+"/subscription", map[string]any{"plan": "growth"}).is(t, http.StatusOK)
	s.expectEmails(t, wantEmail{s.olga, s.accountName + " is on the plan Growth now", nil})
	before := s.settled(t)
	s.answer(t, s.alf, "accept", 2, "starter").refused(t, http.StatusConflict, "conflict", "active")
	s.answer(t, s.alf, "accept", 2, "").refused(t, http.StatusBadRequest, "invalid", "")
	s.answer(t, s.alf, "accept", 1, "growth").refused(t, http.StatusConflict, "conflict", "active")
	expectUnchanged(t, before, s.dump(t))
	expectEqual(t, "the plan that he is shown", "growth", s.alf.invitation(t, s.luna).Plan.ID)
	s.olga.delete(t, s.team+"/"+s.olga.id()).refused(t, http.StatusConflict, "last_owner", "active")
	s.expectEmails(t)
}

func (s *ownershipStory) decline(t *testing.T) {
	s.alf.post(t, s.path+"/decline", map[string]any{"request": 2, "block": true}).refused(t, http.StatusBadRequest, "invalid", "")
	for range 2 {
		expectEqual(t, "the offer's status", "declined", read[invitation](t, s.answer(t, s.alf, "decline", 2, "").is(t, http.StatusOK)).Status)
	}
	m := memberOf(t, s.olga, s.luna, s.alf)
	if m.Status != "active" || value(m.Role) != "admin" || m.Offer != nil {
		t.Errorf("the team shows %+v", m)
	}
	expectAccess(t, s.luna, wantAccess{s.alf, "", s.fullAccess})
	s.expectEmails(t, offerDeclined(s.olga, s.alf, s.accountName))
	before := s.settled(t)
	s.olga.patch(t, s.team+"/"+s.alf.id(), map[string]any{"role": "owner"}).limited(t, "cooling", "active", month-day, month)
	s.olga.post(t, s.team, map[string]any{"email": s.alf.email, "role": "owner"}).limited(t, "cooling", "active", month-day, month)
	expectUnchanged(t, before, s.dump(t))
	unblock := "/v1/requests/" + connectionID(s.alf.id(), s.luna) + "/unblock"
	s.alf.post(t, unblock, nil).is(t, http.StatusOK)
	expectEqual(t, "the number of the next offer", 3, read[member](t, s.olga.post(t, s.team, map[string]any{"email": s.alf.email, "role": "owner"}).is(t, http.StatusOK)).Request)
	s.expectEmails(t, offered(s.alf, s.olga, s.accountName, "the plan Growth, 99 USD"))
}

func (s *ownershipStory) closedByChange(t *testing.T) {
	s.olga.patch(t, s.team+"/"+s.alf.id(), map[string]any{"role": "member", "areas": levels{"mail": "edit"}}).is(t, http.StatusOK)
	expectAccess(t, s.luna, wantAccess{s.alf, "", "yes, own, mail:edit; client owns"})
	s.answer(t, s.alf, "accept", 3, "growth").refused(t, http.StatusConflict, "not_pending", "active")
	s.alf.expectEmpty(t, "/v1/me/waiting")
	s.expectEmails(t, offerWithdrawn(s.alf, s.accountName), changedRole(s.alf, s.olga, s.accountName, "a member of its team"))
}

func (s *ownershipStory) accept(t *testing.T) {
	s.olga.post(t, s.team, map[string]any{"email": s.mia.email, "role": "owner"}).is(t, http.StatusOK)
	expectAccess(t, s.luna, wantAccess{s.mia, "", "yes, own, pages:view; client owns"})
	s.expectEmails(t, offered(s.mia, s.olga, s.accountName, "the plan Growth, 99 USD"))
	for range 2 { // the second time changes nothing
		a := read[account](t, s.answer(t, s.mia, "accept", 2, "growth").is(t, http.StatusOK))
		if value(a.Role) != "owner" || a.Access.Areas.String() != everything {
			t.Errorf("accepted: %+v", a)
		}
	}
	expectAccess(t, s.luna, wantAccess{s.mia, "", s.fullAccess})
	s.mia.get(t, "/v1/accounts/"+s.luna+"/subscription").is(t, http.StatusOK)
	s.expectEmails(t, newOwner(s.olga, s.mia, s.accountName), ownsNow(s.mia, s.accountName, "the plan Growth, 99 USD"))
	s.olga.delete(t, s.team+"/"+s.olga.id()).expectStatus(t, "left")
	s.mia.delete(t, s.team+"/"+s.mia.id()).refused(t, http.StatusConflict, "last_owner", "active")
	s.expectEmails(t, personLeft(s.mia, s.olga, s.accountName))
}

func (s *ownershipStory) activityOnce(t *testing.T) {
	s.mia.expectActivity(t, s.luna, "", "account.opened", "person.invited", "person.added", "person.invited", "person.added",
		"person.ownership_offered", "subscription.plan_changed", "person.invitation_declined", "person.ownership_offered",
		"person.invitation_withdrawn", "person.changed", "person.ownership_offered", "person.ownership_accepted", "person.left")
}
