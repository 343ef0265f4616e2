package e2e

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"agencyhub/infra/e2e/client"
)

// TestPersons is PRODUCT.md's "Persons in a team".
func TestPersons(t *testing.T) {
	s := common(t)
	olga, alf := s.person(t, "olga@persons.test"), s.person(t, "alf@persons.test")
	mia, oscar := s.person(t, "mia@persons.test"), s.person(t, "oscar@persons.test")
	const name = "Luna Garden"
	luna := olga.opens(t, name)
	team := "/v1/accounts/" + luna + "/team"
	whole := "yes, own, " + everything + "; client owns"

	then(t, t.Run("invited by address, in whatever spelling: active at once, and told", func(t *testing.T) {
		accesses(t, luna, check{olga, "", whole}, check{alf, "", "no, none"}, check{mia, "", "no, none"})
		olga.invites(t, luna, alf, "admin", nil)
		m := read[member](t, alf.post(t, team, map[string]any{"email": " MIA@Persons.Test", "role": "member", "areas": levels{"pages": "view"}}).is(t, http.StatusCreated))
		if m.ID != mia.id() || m.Name != mia.email || m.Status != "active" || value(m.Role) != "member" {
			t.Errorf("invited: %+v", m)
		}
		accesses(t, luna, check{alf, "", whole}, check{mia, "", "yes, own, pages:view; client owns"})
		s.told(t, added(alf, olga, name, "an admin"), added(mia, alf, name, "a member"))
	}))

	then(t, t.Run("changed, and told", func(t *testing.T) {
		change := map[string]any{"areas": levels{"pages": "edit", "contacts": "view"}}
		for range 2 {
			alf.patch(t, team+"/"+mia.id(), change).is(t, http.StatusOK)
		}
		accesses(t, luna, check{mia, "", "yes, own, contacts:view pages:edit; client owns"})
		s.told(t, changedRole(mia, alf, name, "a member of its team"))
		olga.patch(t, team+"/"+mia.id(), map[string]any{"role": "admin"}).is(t, http.StatusOK)
		accesses(t, luna, check{mia, "", whole})
		s.told(t, changedRole(mia, olga, name, "an admin"))
	}))

	then(t, t.Run("owners are touched and made by owners alone", func(t *testing.T) {
		alf.patch(t, team+"/"+olga.id(), map[string]any{"role": "member", "areas": levels{"pages": "view"}}).refused(t, http.StatusForbidden, "forbidden", "")
		alf.delete(t, team+"/"+olga.id()).refused(t, http.StatusForbidden, "forbidden", "")
		alf.patch(t, team+"/"+mia.id(), map[string]any{"role": "owner"}).refused(t, http.StatusForbidden, "forbidden", "")
		alf.post(t, team, map[string]any{"email": oscar.email, "role": "owner"}).refused(t, http.StatusForbidden, "forbidden", "")
		accesses(t, luna, check{olga, "", whole}, check{oscar, "", "no, none"})
		s.told(t)
	}))

	then(t, t.Run("the last owner can't be removed or demoted, and can't leave", func(t *testing.T) {
		olga.delete(t, team+"/"+olga.id()).refused(t, http.StatusConflict, "last_owner", "active")
		olga.patch(t, team+"/"+olga.id(), map[string]any{"role": "admin"}).refused(t, http.StatusConflict, "last_owner", "active")
		olga.post(t, team, map[string]any{"email": olga.email, "role": "admin"}).refused(t, http.StatusConflict, "last_owner", "active")
		accesses(t, luna, check{olga, "", whole})
		s.told(t)
	}))

	then(t, t.Run("removed: refused at once, and told", func(t *testing.T) {
		for range 2 {
			if m := read[member](t, alf.delete(t, team+"/"+mia.id()).is(t, http.StatusOK)); m.Status != "revoked" {
				t.Errorf("she is %s", m.Status)
			}
		}
		accesses(t, luna, check{mia, "", "no, ended; client owns"})
		mia.get(t, "/v1/accounts/"+luna).refused(t, http.StatusNotFound, "not_found", "")
		alf.patch(t, team+"/"+mia.id(), map[string]any{"role": "admin"}).refused(t, http.StatusConflict, "not_active", "revoked")
		s.told(t, removed(mia, alf, name))
	}))

	then(t, t.Run("they leave, and the owners are told", func(t *testing.T) {
		olga.invites(t, luna, oscar, "owner", nil)
		s.told(t, added(oscar, olga, name, "an owner"))
		for range 2 {
			if m := read[member](t, alf.delete(t, team+"/"+alf.id()).is(t, http.StatusOK)); m.Status != "left" {
				t.Errorf("he is %s", m.Status)
			}
		}
		accesses(t, luna, check{alf, "", "no, ended; client owns"})
		s.told(t, personLeft(olga, alf, name), personLeft(oscar, alf, name))
	}))

	then(t, t.Run("another sign-in with the same address is refused until it is invited again", func(t *testing.T) {
		oscar.get(t, "/v1/accounts/"+luna).is(t, http.StatusOK) // first use binds
		other := s.signIn(t, client.Identity{Email: oscar.email, Subject: "somebody-else"})
		accesses(t, luna, check{oscar, "", whole}, check{other, "", "no, identity_changed; client owns"})
		for _, r := range []*reply{
			other.get(t, "/v1/accounts/"+luna), other.get(t, team), other.delete(t, team+"/"+olga.id()),
			other.post(t, team, map[string]any{"email": "x@persons.test", "role": "admin"}),
		} {
			r.refused(t, http.StatusForbidden, "identity_changed", "")
		}
		s.told(t)
		olga.post(t, team, map[string]any{"email": oscar.email, "role": "owner"}).is(t, http.StatusOK)
		other.get(t, "/v1/accounts/"+luna).is(t, http.StatusOK)
		accesses(t, luna, check{other, "", whole}, check{oscar, "", "no, identity_changed; client owns"})
		s.told(t, invitedAgain(oscar, olga, name))
	}))

	then(t, t.Run("who one is, and which accounts one can enter", func(t *testing.T) {
		me := read[struct{ ID, Email string }](t, olga.get(t, "/v1/me").is(t, http.StatusOK))
		if me.ID != olga.id() || me.Email != olga.email {
			t.Errorf("me is %+v", me)
		}
		mine := read[list[account]](t, olga.get(t, "/v1/accounts").is(t, http.StatusOK))
		if len(mine.Items) != 1 || mine.Items[0].ID != luna || value(mine.Items[0].Role) != "owner" {
			t.Errorf("she can enter %+v", mine.Items)
		}
		if gone := read[list[account]](t, mia.get(t, "/v1/accounts").is(t, http.StatusOK)); len(gone.Items) != 0 {
			t.Errorf("who was removed can enter %+v", gone.Items)
		}
		want := []string{
			"account.opened", "person.added", "person.added", "person.changed", "person.changed", "person.removed",
			"person.added", "person.left", "person.changed",
		}
		if diff := cmp.Diff(want, kinds(olga.activity(t, luna, ""))); diff != "" {
			t.Errorf("activity (-want +got):\n%s", diff)
		}
	}))
}
