package e2e

import (
	"net/http"
	"testing"

	"agencyhub/infra/e2e/client"
)

type personsStory struct {
	*stack
	olga, alf, mia, oscar               *person
	accountName, luna, team, fullAccess string
}

// TestPersons tests persons in a team (README, Persons).
func TestPersons(t *testing.T) {
	s := &personsStory{stack: common(t)}
	s.olga, s.alf = s.person(t, "olga@persons.test"), s.person(t, "alf@persons.test")
	s.mia, s.oscar = s.person(t, "mia@persons.test"), s.person(t, "oscar@persons.test")
	s.accountName = "Luna Garden"
	s.luna = s.olga.opens(t, s.accountName)
	s.team = "/v1/accounts/" + s.luna + "/team"
	s.fullAccess = "yes, own, " + everything + "; client owns"
	step(t, t.Run("invited by address, in whatever spelling: told, and without access until they accept", s.invite))
	step(t, t.Run("changed, and told", s.change))
	step(t, t.Run("owners are touched and made by owners alone", s.onlyOwnersTouchOwners))
	step(t, t.Run("the last owner can't be removed or demoted, and can't leave", s.lastOwner))
	step(t, t.Run("removed: refused at once, and told", s.remove))
	step(t, t.Run("they leave, and the owners are told", s.leave))
	step(t, t.Run("another sign-in with the same address is refused until it accepts a new invitation", s.otherSignIn))
	step(t, t.Run("who one is, and which accounts one can enter", s.whoAndWhere))
}

func (s *personsStory) invite(t *testing.T) {
	expectAccess(t, s.luna, wantAccess{s.olga, "", s.fullAccess}, wantAccess{s.alf, "", "no, none"}, wantAccess{s.mia, "", "no, none"})
	s.olga.sendsInvitation(t, s.luna, s.alf, "admin", nil)
	s.expectEmails(t, invited(s.alf, s.olga, s.accountName, "an admin"))
	expectAccess(t, s.luna, wantAccess{s.alf, "", "no, invited; client owns"})
	s.alf.get(t, s.team).refused(t, http.StatusNotFound, "not_found", "")
	s.alf.joins(t, s.luna)
	m := read[member](t, s.alf.post(t, s.team, map[string]any{"email": " MIA@Persons.Test", "role": "member", "areas": levels{"pages": "view"}}).is(t, http.StatusCreated))
	if m.ID != s.mia.id() || m.Name != s.mia.email || m.Status != "invited" || value(m.Role) != "member" {
		t.Errorf("invited: %+v", m)
	}
	expectAccess(t, s.luna, wantAccess{s.alf, "", s.fullAccess}, wantAccess{s.mia, "", "no, invited; client owns"})
	s.expectEmails(t, append(joins(s.alf, s.olga, s.accountName, "an admin"), invited(s.mia, s.alf, s.accountName, "a member"))...)
	s.mia.joins(t, s.luna)
	expectAccess(t, s.luna, wantAccess{s.mia, "", "yes, own, pages:view; client owns"})
	s.expectEmails(t, joins(s.mia, s.alf, s.accountName, "a member")...)
}

func (s *personsStory) change(t *testing.T) {
	change := map[string]any{"areas": levels{"pages": "edit", "contacts": "view"}}
	for range 2 {
		s.alf.patch(t, s.team+"/"+s.mia.id(), change).is(t, http.StatusOK)
	}
	expectAccess(t, s.luna, wantAccess{s.mia, "", "yes, own, contacts:view pages:edit; client owns"})
	s.expectEmails(t, changedRole(s.mia, s.alf, s.accountName, "a member of its team"))
	s.olga.patch(t, s.team+"/"+s.mia.id(), map[string]any{"role": "admin"}).is(t, http.StatusOK)
	expectAccess(t, s.luna, wantAccess{s.mia, "", s.fullAccess})
	s.expectEmails(t, changedRole(s.mia, s.olga, s.accountName, "an admin"))
}

func (s *personsStory) onlyOwnersTouchOwners(t *testing.T) {
	s.alf.patch(t, s.team+"/"+s.olga.id(), map[string]any{"role": "member", "areas": levels{"pages": "view"}}).refused(t, http.StatusForbidden, "forbidden", "")
	s.alf.delete(t, s.team+"/"+s.olga.id()).refused(t, http.StatusForbidden, "forbidden", "")
	s.alf.patch(t, s.team+"/"+s.mia.id(), map[string]any{"role": "owner"}).refused(t, http.StatusForbidden, "forbidden", "")
	s.alf.post(t, s.team, map[string]any{"email": s.oscar.email, "role": "owner"}).refused(t, http.StatusForbidden, "forbidden", "")
	expectAccess(t, s.luna, wantAccess{s.olga, "", s.fullAccess}, wantAccess{s.oscar, "", "no, none"})
	s.expectEmails(t)
}

func (s *personsStory) lastOwner(t *testing.T) {
	s.olga.delete(t, s.team+"/"+s.olga.id()).refused(t, http.StatusConflict, "last_owner", "active")
	s.olga.patch(t, s.team+"/"+s.olga.id(), map[string]any{"role": "admin"}).refused(t, http.StatusConflict, "last_owner", "active")
	s.olga.post(t, s.team, map[string]any{"email": s.olga.email, "role": "admin"}).refused(t, http.StatusConflict, "last_owner", "active")
	s.olga.post(t, s.team+"/"+s.olga.id()+"/new-sign-in", nil).refused(t, http.StatusForbidden, "forbidden", "")
	// Who is only invited is no owner yet.
	s.olga.sendsInvitation(t, s.luna, s.oscar, "owner", nil)
	s.olga.delete(t, s.team+"/"+s.olga.id()).refused(t, http.StatusConflict, "last_owner", "active")
	s.expectEmails(t, invited(s.oscar, s.olga, s.accountName, "an owner"))
	expectAccess(t, s.luna, wantAccess{s.olga, "", s.fullAccess})
	s.expectEmails(t)
}

func (s *personsStory) remove(t *testing.T) {
	for range 2 {
		s.alf.delete(t, s.team+"/"+s.mia.id()).expectStatus(t, "revoked")
	}
	expectAccess(t, s.luna, wantAccess{s.mia, "", "no, ended; client owns"})
	s.mia.get(t, "/v1/accounts/"+s.luna).refused(t, http.StatusNotFound, "not_found", "")
	s.alf.patch(t, s.team+"/"+s.mia.id(), map[string]any{"role": "admin"}).refused(t, http.StatusConflict, "not_active", "revoked")
	s.expectEmails(t, removed(s.mia, s.alf, s.accountName))
}

func (s *personsStory) leave(t *testing.T) {
	s.oscar.joins(t, s.luna)
	s.expectEmails(t, joins(s.oscar, s.olga, s.accountName, "an owner")...)
	for range 2 {
		s.alf.delete(t, s.team+"/"+s.alf.id()).expectStatus(t, "left")
	}
	expectAccess(t, s.luna, wantAccess{s.alf, "", "no, ended; client owns"})
	s.expectEmails(t, personLeft(s.olga, s.alf, s.accountName), personLeft(s.oscar, s.alf, s.accountName))
}

func (s *personsStory) otherSignIn(t *testing.T) {
	other := s.signIn(t, client.Identity{Email: s.oscar.email, Subject: "somebody-else"})
	expectAccess(t, s.luna, wantAccess{s.oscar, "", s.fullAccess}, wantAccess{other, "", "no, identity_changed; client owns"})
	for _, r := range []*reply{
		other.get(t, "/v1/accounts/"+s.luna), other.get(t, s.team), other.delete(t, s.team+"/"+s.olga.id()),
		other.post(t, s.team, map[string]any{"email": "x@persons.test", "role": "admin"}),
	} {
		r.refused(t, http.StatusForbidden, "identity_changed", "")
	}
	s.expectEmails(t)
	// Inviting somebody who is in changes nothing about their sign-in.
	s.olga.post(t, s.team, map[string]any{"email": s.oscar.email, "role": "owner"}).is(t, http.StatusOK)
	expectAccess(t, s.luna, wantAccess{other, "", "no, identity_changed; client owns"})
	s.expectEmails(t)
	m := read[member](t, s.olga.post(t, s.team+"/"+s.oscar.id()+"/new-sign-in", nil).is(t, http.StatusOK))
	if m.Status != "invited" || value(m.Role) != "owner" {
		t.Errorf("asked for a new sign-in: %+v", m)
	}
	expectAccess(t, s.luna, wantAccess{other, "", "no, invited; client owns"}, wantAccess{s.oscar, "", "no, invited; client owns"})
	s.expectEmails(t, newSignIn(s.oscar, s.olga, s.accountName))
	s.olga.delete(t, s.team+"/"+s.olga.id()).refused(t, http.StatusConflict, "last_owner", "active")
	other.joins(t, s.luna)
	expectAccess(t, s.luna, wantAccess{other, "", s.fullAccess}, wantAccess{s.oscar, "", "no, identity_changed; client owns"})
	s.expectEmails(t, joins(s.oscar, s.olga, s.accountName, "an owner")...)
}

func (s *personsStory) whoAndWhere(t *testing.T) {
	me := read[struct{ ID, Email string }](t, s.olga.get(t, "/v1/me").is(t, http.StatusOK))
	if me.ID != s.olga.id() || me.Email != s.olga.email {
		t.Errorf("me is %+v", me)
	}
	mine := read[list[account]](t, s.olga.get(t, "/v1/accounts").is(t, http.StatusOK))
	if len(mine.Items) != 1 || mine.Items[0].ID != s.luna || value(mine.Items[0].Role) != "owner" {
		t.Errorf("she can enter %+v", mine.Items)
	}
	s.mia.expectEmpty(t, "/v1/accounts")
	s.olga.expectActivity(t, s.luna, "", "account.opened", "person.invited", "person.added", "person.invited", "person.added", "person.changed", "person.changed",
		"person.invited", "person.removed", "person.added", "person.left", "person.invited", "person.added")
}
