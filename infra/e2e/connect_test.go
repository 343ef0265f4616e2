package e2e

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestConnect is PRODUCT.md's "Connect: an account the client owns", with "The
// life of a connection".
func TestConnect(t *testing.T) {
	s := unlimited(t)
	o := newOffice(t, s, "Bright Agency", "connect.test")
	ann, ben, cid := o.ann, o.ben, o.cid
	olga, oscar := s.person(t, "olga@luna.connect.test"), s.person(t, "oscar@luna.connect.test")
	alf, mia := s.person(t, "alf@luna.connect.test"), s.person(t, "mia@luna.connect.test")
	sam := s.person(t, "sam@elsewhere.connect.test")
	rival := sam.opensAgency(t, "Rival Agency")

	const name, words = "Luna Bakery", "Shall we set up your spring campaign? It takes a week."
	luna := olga.opens(t, name)
	olga.invites(t, luna, oscar, "owner", nil)
	olga.invites(t, luna, alf, "admin", nil)
	olga.invites(t, luna, mia, "member", levels{"pages": "view"})
	s.told(t, added(oscar, olga, name, "an owner"), added(alf, olga, name, "an admin"), added(mia, olga, name, "a member"))

	team, hub := "/v1/accounts/"+luna+"/team", "/v1/agencies/"+o.id
	con := connectionID(luna, o.id)
	one, decision := hub+"/connections/"+con, team+"/"+o.id
	asked := map[string]any{"account": luna, "message": words, "areas": levels{"pages": "edit", "mail": "view", "funnels": "edit"}}
	see := func(t *testing.T, who *person) connection {
		t.Helper()
		return read[connection](t, who.get(t, one).is(t, http.StatusOK))
	}
	// Whatever is asked and decided, those on the client's side keep what they have.
	theirs := []check{
		{olga, "", "yes, own, " + everything + "; client owns"}, {alf, "", "yes, own, " + everything + "; client owns"},
		{mia, "", "yes, own, pages:view; client owns"}, {sam, "", "no, none"}, {sam, rival, "no, none"},
	}
	nobodys := func(reason string) []check {
		return append([]check{{ann, o.id, reason}, {ben, o.id, reason}, {ben, "", reason}, {cid, o.id, reason}}, theirs...)
	}
	var letter request

	then(t, t.Run("an agency asks by account id; until it is accepted it sees only that id, and the owners are emailed", func(t *testing.T) {
		accesses(t, luna, nobodys("no, none")...)
		before := time.Now()
		c := read[connection](t, ben.post(t, hub+"/connections", asked).is(t, http.StatusCreated))
		if c.ID != con || value(c.Account) != luna || c.Name != luna || c.Status != "pending" || c.Ownership != "client" || c.Request != 1 ||
			value(c.Message) != words || value(c.Delivery) != "waiting" || c.Areas.String() != "funnels:edit mail:view pages:edit" {
			t.Errorf("asked: %+v", c)
		}
		fortnight := 14 * 24 * time.Hour
		if c.ExpiresAt == nil || c.ExpiresAt.Before(before.Add(fortnight-time.Second)) || c.ExpiresAt.After(time.Now().Add(fortnight)) {
			t.Fatalf("it expires at %v", c.ExpiresAt)
		}
		accesses(t, luna, nobodys("no, pending; client owns")...)
		ben.get(t, "/v1/accounts/"+luna+"?as="+o.id).refused(t, http.StatusNotFound, "not_found", "")
		row := read[list[connection]](t, ann.get(t, hub+"/accounts?status=pending").is(t, http.StatusOK))
		if len(row.Items) != 1 || row.Items[0].Name != luna || row.Counts.Pending != 1 {
			t.Errorf("the hub shows %+v", row)
		}
		letter = request{
			by: ben.email, agency: o.name, account: name, areas: "Funnels: view and edit", message: words,
			until: moment(*c.ExpiresAt), link: s.PublicURL + "/requests/" + con,
		}
		s.told(t, requested(olga, letter), requested(oscar, letter))
		if d := value(see(t, ben).Delivery); d != "sent" {
			t.Errorf("the request's email reads %q once it is sent", d)
		}
	}))

	then(t, t.Run("the link is no secret and no right: following it changes nothing and says nothing of the request", func(t *testing.T) {
		before := s.still(t)
		s.holdsPage(t, con, []string{o.name, name, ben.email, olga.email, words})
		if diff := cmp.Diff(before, s.dump(t)); diff != "" {
			t.Errorf("following the link wrote (-before +after):\n%s", diff)
		}
		accesses(t, luna, nobodys("no, pending; client owns")...)
		s.told(t)
	}))

	then(t, t.Run("accepting needs a signed-in owner or admin of the account", func(t *testing.T) {
		body := map[string]any{"request": 1}
		if r := s.nobody().post(t, decision+"/accept", body); r.Status != http.StatusUnauthorized {
			t.Errorf("without a token: %d %s", r.Status, r.Body)
		}
		sam.post(t, decision+"/accept", body).refused(t, http.StatusNotFound, "not_found", "")
		mia.post(t, decision+"/accept", body).refused(t, http.StatusForbidden, "forbidden", "")
		mia.post(t, decision+"/deny", nil).refused(t, http.StatusForbidden, "forbidden", "")
		ann.post(t, decision+"/accept", body).refused(t, http.StatusNotFound, "not_found", "")
		ann.post(t, decision+"/accept?as="+o.id, body).refused(t, http.StatusNotFound, "not_found", "")
		ann.patch(t, decision+"?as="+o.id, map[string]any{"areas": levels{"mail": "edit"}}).refused(t, http.StatusNotFound, "not_found", "")
		if c := see(t, ann); c.Status != "pending" {
			t.Errorf("it is %s", c.Status)
		}
		accesses(t, luna, nobodys("no, pending; client owns")...)
		s.told(t)
	}))

	then(t, t.Run("the same request stands in the account's Team Members", func(t *testing.T) {
		for _, who := range []*person{olga, alf} {
			m := read[list[member]](t, who.get(t, team).is(t, http.StatusOK)).Items[0]
			if m.ID != o.id || m.Kind != "agency" || m.Name != o.name || m.Status != "pending" || m.Request != 1 ||
				value(m.Message) != words || m.Areas.String() != "funnels:edit mail:view pages:edit" {
				t.Errorf("%s sees %+v", who.email, m)
			}
		}
		mia.get(t, team).refused(t, http.StatusForbidden, "forbidden", "")
	}))

	then(t, t.Run("one pending request binds: another is refused, a resend emails it again and never shortens it", func(t *testing.T) {
		ben.post(t, hub+"/connections", asked).refused(t, http.StatusConflict, "already_requested", "pending")
		was := *see(t, ben).ExpiresAt
		var r *reply
		eventually(t, "it may be sent again", func() bool {
			r = ben.post(t, one+"/resend", nil)
			return r.Status != http.StatusTooManyRequests
		})
		c := read[connection](t, r.is(t, http.StatusOK))
		if c.ExpiresAt.Before(was) || c.Request != 1 || c.Status != "pending" {
			t.Errorf("resent: %+v", c)
		}
		cid.post(t, one+"/resend", nil).refused(t, http.StatusForbidden, "forbidden", "")
		sam.post(t, one+"/resend", nil).refused(t, http.StatusNotFound, "not_found", "")
		letter.until = moment(*c.ExpiresAt)
		accesses(t, luna, nobodys("no, pending; client owns")...)
		s.told(t, resent(olga, letter), resent(oscar, letter))
	}))

	then(t, t.Run("nobody accepts what they did not see, nor more than was asked for", func(t *testing.T) {
		olga.post(t, decision+"/accept", map[string]any{"request": 2}).refused(t, http.StatusConflict, "conflict", "pending")
		more := map[string]any{"request": 1, "areas": levels{"mail": "edit"}}
		olga.post(t, decision+"/accept", more).refused(t, http.StatusBadRequest, "invalid", "")
		accesses(t, luna, nobodys("no, pending; client owns")...)
		s.told(t)
	}))

	in := func(areas, staff string) []check {
		via := "yes, " + o.id + ", "
		return append([]check{
			{ann, o.id, via + areas + "; client owns"}, {ben, "", via + areas + "; client owns"},
			{cid, o.id, via + staff + "; client owns"},
		}, theirs...)
	}

	then(t, t.Run("an admin narrows the levels and accepts: the agency is in at once, and both sides are told", func(t *testing.T) {
		body := map[string]any{"request": 1, "areas": levels{"pages": "edit", "mail": "view"}}
		for range 2 { // a repeat answers the same and changes nothing
			c := read[connection](t, alf.post(t, decision+"/accept", body).is(t, http.StatusOK))
			if c.Status != "active" || c.Areas.String() != "mail:view pages:edit" || c.Name != name {
				t.Errorf("accepted: %+v", c)
			}
			accesses(t, luna, in("mail:view pages:edit", "mail:view pages:view")...)
		}
		if c := see(t, ben); c.Name != name {
			t.Errorf("accepted, the agency sees the name %q", c.Name)
		}
		grants := "Funnels: no access (asked for: view and edit)"
		s.told(t, accepted(ben, o.name, name, grants), accepted(ann, o.name, name, grants),
			acceptedBy(olga, alf, o.name, name, grants), acceptedBy(oscar, alf, o.name, name, grants))
	}))

	then(t, t.Run("the client pays and manages throughout; the agency sees its own lines and decides nothing", func(t *testing.T) {
		a := read[account](t, ann.get(t, "/v1/accounts/"+luna+"?as="+o.id).is(t, http.StatusOK))
		if a.Ownership != "client" || a.Subscription.Payer != "client" || a.Owner != nil || a.Role != nil {
			t.Errorf("the agency sees %+v", a)
		}
		lines := read[list[member]](t, ann.get(t, team+"?as="+o.id).is(t, http.StatusOK))
		if len(lines.Items) != 1 || lines.Items[0].ID != o.id {
			t.Errorf("of the team the agency sees %+v", lines.Items)
		}
		as := "?as=" + o.id
		ann.patch(t, "/v1/accounts/"+luna+as, map[string]any{"name": "Ours"}).refused(t, http.StatusForbidden, "forbidden", "")
		ann.patch(t, decision+as, map[string]any{"areas": levels{"mail": "edit"}}).refused(t, http.StatusForbidden, "forbidden", "")
		ann.delete(t, team+"/"+mia.id()+as).refused(t, http.StatusForbidden, "forbidden", "")
		ann.post(t, team+as, map[string]any{"email": "x@connect.test", "role": "admin"}).refused(t, http.StatusForbidden, "forbidden", "")
		ben.post(t, hub+"/connections", asked).refused(t, http.StatusConflict, "already_connected", "active")
		accesses(t, luna, in("mail:view pages:edit", "mail:view pages:view")...)
		s.told(t)
	}))

	then(t, t.Run("the client changes the levels at any time, and the agency is told", func(t *testing.T) {
		change := map[string]any{"areas": levels{"analytics": "edit"}} // later changes are free
		for range 2 {
			olga.patch(t, decision, change).is(t, http.StatusOK)
			accesses(t, luna, append([]check{
				{ann, o.id, "yes, " + o.id + ", analytics:edit; client owns"}, {cid, o.id, "no, none"}, // nothing of what the agency may, may this member
			}, theirs...)...)
		}
		change["role"] = "admin"
		olga.patch(t, decision, change).refused(t, http.StatusBadRequest, "invalid", "")
		s.told(t, restricted(ben, o.name, name, "Analytics: view and edit (before: no access)"),
			restricted(ann, o.name, name, "Pages: no access (before: view and edit)"))
	}))

	then(t, t.Run("the client revokes: from that moment access is refused, and both sides are told", func(t *testing.T) {
		for range 2 {
			if m := read[member](t, alf.delete(t, decision).is(t, http.StatusOK)); m.Status != "revoked" {
				t.Errorf("it is %s", m.Status)
			}
			accesses(t, luna, nobodys("no, ended; client owns")...)
		}
		alf.patch(t, decision, map[string]any{"areas": levels{"mail": "view"}}).refused(t, http.StatusConflict, "not_active", "revoked")
		ann.post(t, one+"/leave", nil).refused(t, http.StatusConflict, "not_active", "revoked")
		ann.get(t, "/v1/accounts/"+luna+"?as="+o.id).refused(t, http.StatusNotFound, "not_found", "")
		s.told(t, revoked(ben, o.name, name), revoked(ann, o.name, name), revokedBy(olga, alf, o.name, name), revokedBy(oscar, alf, o.name, name))
	}))

	// again asks once more; where somebody's decision holds the agency off, they
	// allow it to first.
	again := func(t *testing.T, who *person, number int, after string, decided *person) {
		t.Helper()
		accesses(t, luna, nobodys("no, ended; client owns")...)
		if decided != nil {
			who.post(t, hub+"/connections", asked).refused(t, http.StatusTooManyRequests, "cooling", after)
			decided.allows(t, luna, o.id, true)
		}
		c := read[connection](t, who.post(t, hub+"/connections", asked).is(t, http.StatusCreated))
		if c.Request != number || c.Status != "pending" {
			t.Errorf("asked again: %+v", c)
		}
		letter.by, letter.until = who.email, moment(*c.ExpiresAt)
		accesses(t, luna, nobodys("no, pending; client owns")...)
		s.told(t, requested(olga, letter), requested(oscar, letter))
	}

	then(t, t.Run("the agency asks again and withdraws: the client's side is told", func(t *testing.T) {
		again(t, ann, 2, "revoked", alf)
		for range 2 {
			if c := read[connection](t, ben.post(t, one+"/withdraw", nil).is(t, http.StatusOK)); c.Status != "withdrawn" {
				t.Errorf("it is %s", c.Status)
			}
		}
		olga.post(t, decision+"/accept", map[string]any{"request": 2}).refused(t, http.StatusConflict, "not_pending", "withdrawn")
		olga.post(t, decision+"/deny", nil).refused(t, http.StatusConflict, "not_pending", "withdrawn")
		ben.post(t, one+"/resend", nil).refused(t, http.StatusConflict, "not_pending", "withdrawn")
		accesses(t, luna, nobodys("no, ended; client owns")...)
		s.told(t, withdrawn(olga, o.name, name), withdrawn(oscar, o.name, name))
	}))

	then(t, t.Run("the owner denies: both sides are told, and nobody gets in", func(t *testing.T) {
		again(t, ben, 3, "withdrawn", nil)
		for range 2 {
			if c := read[connection](t, oscar.post(t, decision+"/deny", nil).is(t, http.StatusOK)); c.Status != "denied" {
				t.Errorf("it is %s", c.Status)
			}
		}
		olga.post(t, decision+"/accept", map[string]any{"request": 3}).refused(t, http.StatusConflict, "not_pending", "denied")
		ben.post(t, one+"/withdraw", nil).refused(t, http.StatusConflict, "not_pending", "denied")
		accesses(t, luna, nobodys("no, ended; client owns")...)
		s.told(t, denied(ben, o.name, name), denied(ann, o.name, name), deniedBy(olga, oscar, o.name, name), deniedBy(oscar, oscar, o.name, name))
	}))

	then(t, t.Run("the agency may leave at any time: access is refused at once, and both sides are told", func(t *testing.T) {
		again(t, ann, 4, "denied", oscar)
		olga.post(t, decision+"/accept", map[string]any{"request": 4}).is(t, http.StatusOK) // as asked
		accesses(t, luna, in("funnels:edit mail:view pages:edit", "mail:view pages:view")...)
		s.told(t, accepted(ann, o.name, name, "Funnels: view and edit"),
			acceptedBy(olga, olga, o.name, name, "Mail: view only"), acceptedBy(oscar, olga, o.name, name, "Mail: view only"))
		cid.post(t, one+"/leave", nil).refused(t, http.StatusForbidden, "forbidden", "")
		for range 2 {
			if c := read[connection](t, ben.post(t, one+"/leave", nil).is(t, http.StatusOK)); c.Status != "left" {
				t.Errorf("it is %s", c.Status)
			}
			accesses(t, luna, nobodys("no, ended; client owns")...)
		}
		s.told(t, left(ann, ben, o.name, name), leftYours(olga, o.name, name), leftYours(oscar, o.name, name))
	}))

	then(t, t.Run("ended requests stay visible to both sides", func(t *testing.T) {
		if c := see(t, cid); c.Status != "left" || c.Name != name {
			t.Errorf("the agency sees %+v", c)
		}
		if m := read[list[member]](t, olga.get(t, team).is(t, http.StatusOK)).Items[0]; m.ID != o.id || m.Status != "left" {
			t.Errorf("the client sees %+v", m)
		}
		row := read[list[connection]](t, ann.get(t, hub+"/accounts?status=left&prefix=lun").is(t, http.StatusOK))
		if len(row.Items) != 1 || row.Items[0].ID != con || row.Counts.Pending != 0 || row.Counts.Connected != 0 {
			t.Errorf("the hub shows %+v", row)
		}
	}))

	then(t, t.Run("an unknown account and a stranger's are answered by the same bytes", func(t *testing.T) {
		unknown := "acct_00000000000000000000000000"
		for _, path := range []string{"", "/access", "/team", "/activity", "?as=" + rival, "/access?as=" + rival} {
			a, b := sam.get(t, "/v1/accounts/"+luna+path), sam.get(t, "/v1/accounts/"+unknown+path)
			if a.Status != b.Status || sameBut(a) != sameBut(b) {
				t.Errorf("%s: %d %s\nunknown: %d %s", path, a.Status, a.Body, b.Status, b.Body)
			}
		}
	}))

	then(t, t.Run("each thing that happened stands in the account's activity once; the agency reads its own lines", func(t *testing.T) {
		connections := []string{
			"connection.requested", "connection.resent", "connection.accepted", "connection.restricted", "connection.revoked",
			"connection.requested", "connection.withdrawn", "connection.requested", "connection.denied",
			"connection.requested", "connection.accepted", "connection.left",
		}
		want := append([]string{"account.opened", "person.added", "person.added", "person.added"}, connections...)
		// That an agency was allowed to ask again stands in the account's lines alone.
		want = slices.Insert(want, slices.Index(want, "connection.revoked")+1, "agency.unblocked")
		want = slices.Insert(want, slices.Index(want, "connection.denied")+1, "agency.unblocked")
		if diff := cmp.Diff(want, kinds(olga.activity(t, luna, ""))); diff != "" {
			t.Errorf("activity (-want +got):\n%s", diff)
		}
		again(t, ann, 5, "left", nil)
		alf.post(t, decision+"/accept", map[string]any{"request": 5}).is(t, http.StatusOK)
		connections = append(connections, "connection.requested", "connection.accepted")
		if diff := cmp.Diff(connections, kinds(ann.activity(t, luna, o.id))); diff != "" {
			t.Errorf("the agency's lines (-want +got):\n%s", diff)
		}
		cid.get(t, "/v1/accounts/"+luna+"/activity?as="+o.id).refused(t, http.StatusForbidden, "forbidden", "")
		s.told(t, accepted(ann, o.name, name, "Mail: view only"),
			acceptedBy(olga, alf, o.name, name, "Mail: view only"), acceptedBy(oscar, alf, o.name, name, "Mail: view only"))
	}))
}
