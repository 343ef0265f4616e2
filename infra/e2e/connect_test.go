package e2e

import (
	"net/http"
	"slices"
	"testing"
	"time"
)

type connectStory struct {
	agencyStaff
	olga, oscar, alf, mia, sam                                                        *person
	rival, accountName, message, luna, team, connectionID, connectionPath, memberPath string
	body                                                                              map[string]any
	clientAccess                                                                      []wantAccess
	request                                                                           request
}

// TestConnect tests the life of a connection (README, Life of a connection).
func TestConnect(t *testing.T) {
	s := &connectStory{agencyStaff: newAgency(t, unlimited(t), "Bright Agency", "connect.test")}

	s.olga, s.oscar = s.person(t, "olga@luna.connect.test"), s.person(t, "oscar@luna.connect.test")
	s.alf, s.mia = s.person(t, "alf@luna.connect.test"), s.person(t, "mia@luna.connect.test")
	s.sam = s.person(t, "sam@elsewhere.connect.test")
	s.rival = s.sam.opensAgency(t, "Rival Agency")

	s.accountName, s.message = "Luna Bakery", "Shall we set up your spring campaign? It takes a week."
	s.luna = s.olga.opens(t, s.accountName)
	s.olga.invites(t, s.luna, s.oscar, "owner", nil)
	s.olga.invites(t, s.luna, s.alf, "admin", nil)
	s.olga.invites(t, s.luna, s.mia, "member", levels{"pages": "view"})
	s.expectEmails(t, slices.Concat(joined(s.oscar, s.olga, s.accountName, "an owner"), joined(s.alf, s.olga, s.accountName, "an admin"), joined(s.mia, s.olga, s.accountName, "a member"))...)

	s.team = "/v1/accounts/" + s.luna + "/team"
	s.connectionID = connectionID(s.luna, s.agencyID)
	s.connectionPath, s.memberPath = s.agencyPath+"/connections/"+s.connectionID, s.team+"/"+s.agencyID
	s.body = map[string]any{"account": s.luna, "message": s.message, "areas": levels{"pages": "edit", "mail": "view", "funnels": "edit"}}

	// The access of the client's own people never changes.
	s.clientAccess = []wantAccess{
		{s.olga, "", "yes, own, " + everything + "; client owns"}, {s.alf, "", "yes, own, " + everything + "; client owns"},
		{s.mia, "", "yes, own, pages:view; client owns"}, {s.sam, "", "no, none"}, {s.sam, s.rival, "no, none"},
	}

	step(t, t.Run("an agency asks by account id; until it is accepted it sees only that id, and the owners are emailed", s.requestByAccountID))
	step(t, t.Run("the link is no secret and no right: following it changes nothing and says nothing of the request", s.linkDecidesNothing))
	step(t, t.Run("accepting needs a signed-in owner or admin of the account", s.onlyManagersAccept))
	step(t, t.Run("the same request stands in the account's Team Members", s.teamShowsRequest))
	step(t, t.Run("one pending request binds: another is refused, a resend emails it again and never shortens it", s.resend))
	step(t, t.Run("nobody accepts what they did not see, nor more than was asked for", s.acceptOnlyWhatIsSeen))
	step(t, t.Run("an admin narrows the levels and accepts: the agency is in at once, and both sides are told", s.narrowAndAccept))
	step(t, t.Run("the client pays and manages throughout; the agency sees its own lines and decides nothing", s.clientKeepsControl))
	step(t, t.Run("the client changes the levels at any time, and the agency is told", s.restrict))
	step(t, t.Run("the client revokes: from that moment access is refused, and both sides are told", s.revoke))
	step(t, t.Run("the agency asks again and withdraws: the client's side is told", s.withdraw))
	step(t, t.Run("the owner declines: both sides are told, and nobody gets in", s.decline))
	step(t, t.Run("the agency may leave at any time: access is refused at once, and both sides are told", s.leave))
	step(t, t.Run("ended requests stay visible to both sides", s.endedStaysVisible))
	step(t, t.Run("an unknown account and a stranger's are answered by the same bytes", s.unknownLooksLikeForeign))
	step(t, t.Run("each thing that happened stands in the account's activity once; the agency reads its own lines", s.activityOfBoth))
}

func (s *connectStory) connection(t *testing.T, who *person) connection {
	t.Helper()
	return read[connection](t, who.get(t, s.connectionPath).is(t, http.StatusOK))
}

func (s *connectStory) noAccess(reason string) []wantAccess {
	return append([]wantAccess{{s.ann, s.agencyID, reason}, {s.ben, s.agencyID, reason}, {s.ben, "", withoutAs(reason)}, {s.cid, s.agencyID, reason}}, s.clientAccess...)
}

func (s *connectStory) requestByAccountID(t *testing.T) {
	expectAccess(t, s.luna, s.noAccess("no, none")...)
	before := time.Now()
	c := read[connection](t, s.ben.post(t, s.agencyPath+"/connections", s.body).is(t, http.StatusCreated))
	if c.ID != s.connectionID || value(c.Account) != s.luna || c.Name != s.luna || c.Status != "pending" || c.Ownership != "client" || c.Request != 1 ||
		value(c.Message) != s.message || c.Delivery != nil || c.Areas.String() != "funnels:edit mail:view pages:edit" {
		t.Errorf("asked: %+v", c)
	}
	fortnight := 14 * 24 * time.Hour
	if c.ExpiresAt == nil || c.ExpiresAt.Before(before.Add(fortnight-time.Second)) || c.ExpiresAt.After(time.Now().Add(fortnight)) {
		t.Fatalf("it expires at %v", c.ExpiresAt)
	}
	expectAccess(t, s.luna, s.noAccess("no, pending; client owns")...)
	s.ben.get(t, "/v1/accounts/"+s.luna+"?as="+s.agencyID).refused(t, http.StatusNotFound, "not_found", "")
	row := read[list[connection]](t, s.ann.get(t, s.agencyPath+"/accounts?status=pending").is(t, http.StatusOK))
	if len(row.Items) != 1 || row.Items[0].Name != s.luna || row.Counts.Pending != 1 {
		t.Errorf("the agency's list shows %+v", row)
	}
	s.request = request{
		by: s.ben.email, agency: s.agencyName, account: s.accountName, areas: "Funnels: Edit", message: s.message,
		until: moment(*c.ExpiresAt), link: s.PublicURL + "/requests/" + s.connectionID,
	}
	s.expectEmails(t, requested(s.olga, s.request), requested(s.oscar, s.request))
	expectEqual(t, "what the agency reads of the request's email once it is sent", "", value(s.connection(t, s.ben).Delivery))
}

func (s *connectStory) linkDecidesNothing(t *testing.T) {
	before := s.settled(t)
	s.expectPage(t, s.connectionID, []string{s.agencyName, s.accountName, s.ben.email, s.olga.email, s.message})
	expectUnchanged(t, before, s.dump(t))
	expectAccess(t, s.luna, s.noAccess("no, pending; client owns")...)
	s.expectEmails(t)
}

func (s *connectStory) onlyManagersAccept(t *testing.T) {
	body := map[string]any{"request": 1}
	s.signedOut().post(t, s.memberPath+"/accept", body).is(t, http.StatusUnauthorized)
	s.sam.post(t, s.memberPath+"/accept", body).refused(t, http.StatusNotFound, "not_found", "")
	s.mia.post(t, s.memberPath+"/accept", body).refused(t, http.StatusForbidden, "forbidden", "")
	s.mia.post(t, s.memberPath+"/decline", body).refused(t, http.StatusForbidden, "forbidden", "")
	s.ann.post(t, s.memberPath+"/accept", body).refused(t, http.StatusNotFound, "not_found", "")
	s.ann.post(t, s.memberPath+"/accept?as="+s.agencyID, body).refused(t, http.StatusNotFound, "not_found", "")
	s.ann.patch(t, s.memberPath+"?as="+s.agencyID, map[string]any{"areas": levels{"mail": "edit"}}).refused(t, http.StatusNotFound, "not_found", "")
	expectEqual(t, "its status", "pending", s.connection(t, s.ann).Status)
	expectAccess(t, s.luna, s.noAccess("no, pending; client owns")...)
	s.expectEmails(t)
}

func (s *connectStory) teamShowsRequest(t *testing.T) {
	for _, who := range []*person{s.olga, s.alf} {
		m := read[list[member]](t, who.get(t, s.team).is(t, http.StatusOK)).Items[0]
		if m.ID != s.agencyID || m.Kind != "agency" || m.Name != s.agencyName || m.Status != "pending" || m.Request != 1 ||
			value(m.Message) != s.message || m.Areas.String() != "funnels:edit mail:view pages:edit" {
			t.Errorf("%s sees %+v", who.email, m)
		}
	}
	s.mia.get(t, s.team).refused(t, http.StatusForbidden, "forbidden", "")
}

func (s *connectStory) resend(t *testing.T) {
	s.ben.post(t, s.agencyPath+"/connections", s.body).refused(t, http.StatusConflict, "already_requested", "pending")
	was := *s.connection(t, s.ben).ExpiresAt
	var r *reply
	eventually(t, "it may be sent again", func() bool {
		r = s.ben.post(t, s.connectionPath+"/resend", nil)
		return r.Status != http.StatusTooManyRequests
	})
	c := read[connection](t, r.is(t, http.StatusOK))
	if c.ExpiresAt.Before(was) || c.Request != 1 || c.Status != "pending" {
		t.Errorf("resent: %+v", c)
	}
	s.cid.post(t, s.connectionPath+"/resend", nil).refused(t, http.StatusForbidden, "forbidden", "")
	s.sam.post(t, s.connectionPath+"/resend", nil).refused(t, http.StatusNotFound, "not_found", "")
	s.request.until = moment(*c.ExpiresAt)
	expectAccess(t, s.luna, s.noAccess("no, pending; client owns")...)
	s.expectEmails(t, resent(requested(s.olga, s.request)), resent(requested(s.oscar, s.request)))
}

func (s *connectStory) acceptOnlyWhatIsSeen(t *testing.T) {
	s.olga.post(t, s.memberPath+"/accept", map[string]any{"request": 2}).refused(t, http.StatusConflict, "conflict", "pending")
	more := map[string]any{"request": 1, "areas": levels{"mail": "edit"}}
	s.olga.post(t, s.memberPath+"/accept", more).refused(t, http.StatusBadRequest, "invalid", "")
	expectAccess(t, s.luna, s.noAccess("no, pending; client owns")...)
	s.expectEmails(t)
}

func (s *connectStory) activeAccess(areas, staff string) []wantAccess {
	via := "yes, " + s.agencyID + ", "
	return append([]wantAccess{
		{s.ann, s.agencyID, via + areas + "; client owns"}, {s.ben, "", via + areas + "; client owns"},
		{s.cid, s.agencyID, via + staff + "; client owns"},
	}, s.clientAccess...)
}

func (s *connectStory) narrowAndAccept(t *testing.T) {
	body := map[string]any{"request": 1, "areas": levels{"pages": "edit", "mail": "view"}}
	for range 2 { // the second time changes nothing
		c := read[connection](t, s.alf.post(t, s.memberPath+"/accept", body).is(t, http.StatusOK))
		if c.Status != "active" || c.Areas.String() != "mail:view pages:edit" || c.Name != s.accountName {
			t.Errorf("accepted: %+v", c)
		}
		expectAccess(t, s.luna, s.activeAccess("mail:view pages:edit", "mail:view pages:view")...)
	}
	expectEqual(t, "the name that the agency sees once it is accepted", s.accountName, s.connection(t, s.ben).Name)
	grants := "Funnels: No access (asked for: Edit)"
	s.expectEmails(t, accepted(s.ben, s.agencyName, s.accountName, grants), accepted(s.ann, s.agencyName, s.accountName, grants),
		acceptedBy(s.olga, s.alf, s.agencyName, s.accountName, grants), acceptedBy(s.oscar, s.alf, s.agencyName, s.accountName, grants))
}

func (s *connectStory) clientKeepsControl(t *testing.T) {
	a := read[account](t, s.ann.get(t, "/v1/accounts/"+s.luna+"?as="+s.agencyID).is(t, http.StatusOK))
	if a.Ownership != "client" || a.Subscription.Payer != "client" || a.Owner != nil || a.Role != nil {
		t.Errorf("the agency sees %+v", a)
	}
	lines := read[list[member]](t, s.ann.get(t, s.team+"?as="+s.agencyID).is(t, http.StatusOK))
	if len(lines.Items) != 1 || lines.Items[0].ID != s.agencyID {
		t.Errorf("of the team the agency sees %+v", lines.Items)
	}
	as := "?as=" + s.agencyID
	s.ann.patch(t, "/v1/accounts/"+s.luna+as, map[string]any{"name": "Ours"}).refused(t, http.StatusForbidden, "forbidden", "")
	s.ann.patch(t, s.memberPath+as, map[string]any{"areas": levels{"mail": "edit"}}).refused(t, http.StatusForbidden, "forbidden", "")
	s.ann.delete(t, s.team+"/"+s.mia.id()+as).refused(t, http.StatusForbidden, "forbidden", "")
	s.ann.post(t, s.team+as, map[string]any{"email": "x@connect.test", "role": "admin"}).refused(t, http.StatusForbidden, "forbidden", "")
	s.ben.post(t, s.agencyPath+"/connections", s.body).refused(t, http.StatusConflict, "already_connected", "active")
	expectAccess(t, s.luna, s.activeAccess("mail:view pages:edit", "mail:view pages:view")...)
	s.expectEmails(t)
}

func (s *connectStory) restrict(t *testing.T) {
	change := map[string]any{"areas": levels{"analytics": "edit"}} // later changes need no request
	for range 2 {
		s.olga.patch(t, s.memberPath, change).is(t, http.StatusOK)
		expectAccess(t, s.luna, append([]wantAccess{
			{s.ann, s.agencyID, "yes, " + s.agencyID + ", analytics:edit; client owns"}, {s.cid, s.agencyID, "no, none"}, // the member has no access to this area
		}, s.clientAccess...)...)
	}
	change["role"] = "admin"
	s.olga.patch(t, s.memberPath, change).refused(t, http.StatusBadRequest, "invalid", "")
	s.expectEmails(t, restricted(s.ben, s.agencyName, s.accountName, "Analytics: Edit (before: No access)"),
		restricted(s.ann, s.agencyName, s.accountName, "Pages: No access (before: Edit)"))
}

func (s *connectStory) revoke(t *testing.T) {
	for range 2 {
		s.alf.delete(t, s.memberPath).expectStatus(t, "revoked")
		expectAccess(t, s.luna, s.noAccess("no, ended; client owns")...)
	}
	s.alf.patch(t, s.memberPath, map[string]any{"areas": levels{"mail": "view"}}).refused(t, http.StatusConflict, "not_active", "revoked")
	s.ann.post(t, s.connectionPath+"/leave", nil).refused(t, http.StatusConflict, "not_active", "revoked")
	s.ann.get(t, "/v1/accounts/"+s.luna+"?as="+s.agencyID).refused(t, http.StatusNotFound, "not_found", "")
	s.expectEmails(t, revoked(s.ben, s.agencyName, s.accountName), revoked(s.ann, s.agencyName, s.accountName), revokedBy(s.olga, s.alf, s.agencyName, s.accountName), revokedBy(s.oscar, s.alf, s.agencyName, s.accountName))
}

// requestAgain sends another request. Where a decision has caused a cooldown, the
// person who decided ends that first.
func (s *connectStory) requestAgain(t *testing.T, who *person, number int, after string, decided *person) {
	t.Helper()
	expectAccess(t, s.luna, s.noAccess("no, ended; client owns")...)
	if decided != nil {
		who.post(t, s.agencyPath+"/connections", s.body).refused(t, http.StatusTooManyRequests, "cooling", after)
		decided.unblocks(t, s.luna, s.agencyID, true)
	}
	c := read[connection](t, who.post(t, s.agencyPath+"/connections", s.body).is(t, http.StatusCreated))
	if c.Request != number || c.Status != "pending" {
		t.Errorf("asked again: %+v", c)
	}
	s.request.by, s.request.until = who.email, moment(*c.ExpiresAt)
	expectAccess(t, s.luna, s.noAccess("no, pending; client owns")...)
	s.expectEmails(t, requested(s.olga, s.request), requested(s.oscar, s.request))
}

func (s *connectStory) withdraw(t *testing.T) {
	s.requestAgain(t, s.ann, 2, "revoked", s.alf)
	for range 2 {
		s.ben.post(t, s.connectionPath+"/withdraw", nil).expectStatus(t, "withdrawn")
	}
	s.olga.post(t, s.memberPath+"/accept", map[string]any{"request": 2}).refused(t, http.StatusConflict, "not_pending", "withdrawn")
	s.olga.post(t, s.memberPath+"/decline", map[string]any{"request": 2}).refused(t, http.StatusConflict, "not_pending", "withdrawn")
	s.ben.post(t, s.connectionPath+"/resend", nil).refused(t, http.StatusConflict, "not_pending", "withdrawn")
	expectAccess(t, s.luna, s.noAccess("no, ended; client owns")...)
	s.expectEmails(t, withdrawn(s.olga, s.agencyName, s.accountName), withdrawn(s.oscar, s.agencyName, s.accountName))
}

func (s *connectStory) decline(t *testing.T) {
	s.requestAgain(t, s.ben, 3, "withdrawn", nil)
	for range 2 {
		s.oscar.post(t, s.memberPath+"/decline", map[string]any{"request": 3}).expectStatus(t, "declined")
	}
	s.olga.post(t, s.memberPath+"/accept", map[string]any{"request": 3}).refused(t, http.StatusConflict, "not_pending", "declined")
	s.ben.post(t, s.connectionPath+"/withdraw", nil).refused(t, http.StatusConflict, "not_pending", "declined")
	expectAccess(t, s.luna, s.noAccess("no, ended; client owns")...)
	s.expectEmails(t, declined(s.ben, s.agencyName, s.accountName), declined(s.ann, s.agencyName, s.accountName), declinedBy(s.olga, s.oscar, s.agencyName, s.accountName), declinedBy(s.oscar, s.oscar, s.agencyName, s.accountName))
}

func (s *connectStory) leave(t *testing.T) {
	s.requestAgain(t, s.ann, 4, "declined", s.oscar)
	s.olga.post(t, s.memberPath+"/accept", map[string]any{"request": 4}).is(t, http.StatusOK) // as asked
	expectAccess(t, s.luna, s.activeAccess("funnels:edit mail:view pages:edit", "mail:view pages:view")...)
	s.expectEmails(t, accepted(s.ann, s.agencyName, s.accountName, "Funnels: Edit"),
		acceptedBy(s.olga, s.olga, s.agencyName, s.accountName, "Mail: View"), acceptedBy(s.oscar, s.olga, s.agencyName, s.accountName, "Mail: View"))
	s.cid.post(t, s.connectionPath+"/leave", nil).refused(t, http.StatusForbidden, "forbidden", "")
	for range 2 {
		s.ben.post(t, s.connectionPath+"/leave", nil).expectStatus(t, "left")
		expectAccess(t, s.luna, s.noAccess("no, ended; client owns")...)
	}
	s.expectEmails(t, left(s.ann, s.ben, s.agencyName, s.accountName), leftClient(s.olga, s.agencyName, s.accountName), leftClient(s.oscar, s.agencyName, s.accountName))
}

func (s *connectStory) endedStaysVisible(t *testing.T) {
	if c := s.connection(t, s.cid); c.Status != "left" || c.Name != s.accountName {
		t.Errorf("the agency sees %+v", c)
	}
	if m := read[list[member]](t, s.olga.get(t, s.team).is(t, http.StatusOK)).Items[0]; m.ID != s.agencyID || m.Status != "left" {
		t.Errorf("the client sees %+v", m)
	}
	row := read[list[connection]](t, s.ann.get(t, s.agencyPath+"/accounts?status=left&prefix=lun").is(t, http.StatusOK))
	if len(row.Items) != 1 || row.Items[0].ID != s.connectionID || row.Counts.Pending != 0 || row.Counts.Connected != 0 {
		t.Errorf("the agency's list shows %+v", row)
	}
}

func (s *connectStory) unknownLooksLikeForeign(t *testing.T) {
	unknown := "acct_00000000000000000000000000"
	for _, path := range []string{"", "/access", "/team", "/activity", "?as=" + s.rival, "/access?as=" + s.rival} {
		a, b := s.sam.get(t, "/v1/accounts/"+s.luna+path), s.sam.get(t, "/v1/accounts/"+unknown+path)
		if a.Status != b.Status || bodyWithoutID(a) != bodyWithoutID(b) {
			t.Errorf("%s: %d %s\nunknown: %d %s", path, a.Status, a.Body, b.Status, b.Body)
		}
	}
}

func (s *connectStory) activityOfBoth(t *testing.T) {
	connections := []string{
		"connection.requested", "connection.resent", "connection.accepted", "connection.restricted", "connection.revoked",
		"connection.requested", "connection.withdrawn", "connection.requested", "connection.declined",
		"connection.requested", "connection.accepted", "connection.left",
	}
	want := append([]string{"account.opened", "person.invited", "person.added", "person.invited", "person.added", "person.invited", "person.added"}, connections...)
	// The agency's own lines do not show that it was unblocked.
	want = slices.Insert(want, slices.Index(want, "connection.revoked")+1, "agency.unblocked")
	want = slices.Insert(want, slices.Index(want, "connection.declined")+1, "agency.unblocked")
	s.olga.expectActivity(t, s.luna, "", want...)
	s.requestAgain(t, s.ann, 5, "left", nil)
	s.alf.post(t, s.memberPath+"/accept", map[string]any{"request": 5}).is(t, http.StatusOK)
	connections = append(connections, "connection.requested", "connection.accepted")
	s.ann.expectActivity(t, s.luna, s.agencyID, connections...)
	s.cid.get(t, "/v1/accounts/"+s.luna+"/activity?as="+s.agencyID).refused(t, http.StatusForbidden, "forbidden", "")
	s.expectEmails(t, accepted(s.ann, s.agencyName, s.accountName, "Mail: View"),
		acceptedBy(s.olga, s.alf, s.agencyName, s.accountName, "Mail: View"), acceptedBy(s.oscar, s.alf, s.agencyName, s.accountName, "Mail: View"))
}
