package e2e

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// month is the cooldown after a decline or a revocation.
const month = 30 * day

type cooldownStory struct {
	agencyStaff
	olga, oscar, mia, sam                                                                *person
	accountName, rivalName, rival, luna, accountPath, team, connectionID, connectionPath string
	areas                                                                                levels
	clientAccess                                                                         []wantAccess
	agencies                                                                             []agencyOwner
}

// TestDeclineHolds tests cooldowns and blocks (README, Cooldown, block, muted): by
// both kinds of requests, and that an agency cannot see that it is blocked.
func TestDeclineHolds(t *testing.T) {
	s := &cooldownStory{agencyStaff: newAgency(t, unlimited(t), "Bright Agency", "decline.test")}

	s.olga, s.oscar = s.person(t, "olga@luna.decline.test"), s.person(t, "oscar@luna.decline.test")
	s.mia, s.sam = s.person(t, "mia@luna.decline.test"), s.person(t, "sam@rival.decline.test")
	s.accountName, s.rivalName = "Luna Bakery", "Rival Offices" // as long as the other agency's name
	s.rival = s.sam.opensAgency(t, s.rivalName)
	s.luna = s.olga.opens(t, s.accountName)
	s.olga.invites(t, s.luna, s.oscar, "owner", nil)
	s.olga.invites(t, s.luna, s.mia, "member", levels{"pages": "view"})
	s.expectEmails(t, slices.Concat(joined(s.oscar, s.olga, s.accountName, "an owner"), joined(s.mia, s.olga, s.accountName, "a member"))...)

	s.accountPath, s.team = "/v1/accounts/"+s.luna, "/v1/accounts/"+s.luna+"/team"
	s.connectionID = connectionID(s.luna, s.agencyID)
	s.connectionPath = s.agencyPath + "/connections/" + s.connectionID
	s.areas = levels{"pages": "edit"}

	// The access of the client's own people never changes.
	s.clientAccess = []wantAccess{{s.olga, "", "yes, own, " + everything + "; client owns"}, {s.mia, "", "yes, own, pages:view; client owns"}}

	step(t, t.Run("for 30 days after a decline a request by account id is refused, and nothing is written", s.cooldown))
	step(t, t.Run("asking by email does not evade it: whoever decided is not mailed, whoever did not is", s.noWayByEmail))
	step(t, t.Run("nor does asking another account of theirs: it stands in the team, and of its owners those are mailed who declined nothing", s.noWayByOtherAccount))
	step(t, t.Run("whoever holds an agency off sees it in a list: the account's and their own", s.listBlocks))
	step(t, t.Run("once the 30 days are over the agency asks again in one call, and is answered", s.cooldownOver))

	s.agencies = []agencyOwner{{s.ann, s.agencyID, s.agencyName}, {s.sam, s.rival, s.rivalName}}

	step(t, t.Run("one agency is declined, another declined and blocked: neither can tell which", s.declineOneBlockOther))
	step(t, t.Run("once the 30 days are over, the blocked one's request is written, counted and shown to it as pending, and reaches nobody", s.blockedReachesNobody))
	step(t, t.Run("it is sent again, and expires, as any other: the agency is told, and nobody else", s.resendAndExpire))
	step(t, t.Run("unblocking lets it ask again, and revives nothing", s.unblock))
	step(t, t.Run("revoking and blocking looks like revoking", s.revokeAndBlock))
	step(t, t.Run("the account's activity tells of blocks; what the agency may read of it never does", s.activityOfBlocks))
}

func (s *cooldownStory) sendRequest(t *testing.T, who *person, agency string) *reply {
	t.Helper()
	return who.post(t, "/v1/agencies/"+agency+"/connections", map[string]any{"account": s.luna, "areas": s.areas})
}

func (s *cooldownStory) requestEmails(t *testing.T, who *person, agency string, c connection) []wantEmail {
	t.Helper()
	r := request{by: who.email, agency: agency, account: s.accountName, until: moment(*c.ExpiresAt)}
	return []wantEmail{requested(s.olga, r), requested(s.oscar, r)}
}

func (s *cooldownStory) blocks(t *testing.T, path string, who *person) []block {
	t.Helper()
	return read[list[block]](t, who.get(t, path).is(t, http.StatusOK)).Items
}

func (s *cooldownStory) agencyAccess(reason string) []wantAccess {
	return append([]wantAccess{{s.ann, s.agencyID, reason}, {s.ann, "", withoutAs(reason)}}, s.clientAccess...)
}

func (s *cooldownStory) cooldown(t *testing.T) {
	c := read[connection](t, s.sendRequest(t, s.ann, s.agencyID).is(t, http.StatusCreated))
	s.expectEmails(t, s.requestEmails(t, s.ann, s.agencyName, c)...)
	s.olga.post(t, s.team+"/"+s.agencyID+"/decline", map[string]any{"request": c.Request}).is(t, http.StatusOK)
	s.expectEmails(t, declined(s.ann, s.agencyName, s.luna), declinedBy(s.olga, s.olga, s.agencyName, s.accountName), declinedBy(s.oscar, s.olga, s.agencyName, s.accountName))
	before := s.settled(t)
	s.sendRequest(t, s.ann, s.agencyID).limited(t, "cooling", "declined", month-time.Minute, month)
	expectUnchanged(t, before, s.dump(t))
	expectAccess(t, s.luna, s.agencyAccess("no, ended; client owns")...)
	s.expectEmails(t)
}

func (s *cooldownStory) noWayByEmail(t *testing.T) {
	for _, who := range []*person{s.olga, s.oscar} {
		c := s.ann.requestsByEmail(t, s.agencyID, who.email, s.areas)
		expectEqual(t, "asked by email, it", "pending", c.Status)
		var emails []wantEmail
		if who == s.oscar {
			emails = append(emails, requestedByEmail(s.oscar, request{by: s.ann.email, agency: s.agencyName, until: moment(*c.ExpiresAt)}, true))
		}
		s.expectEmails(t, emails...)
	}
	s.olga.expectEmpty(t, "/v1/requests")
	for _, who := range []*person{s.olga, s.oscar} {
		s.ann.post(t, s.agencyPath+"/connections/"+connectionID(who.id(), s.agencyID)+"/withdraw", nil).is(t, http.StatusOK)
	}
	s.expectEmails(t, withdrawnByEmail(s.oscar, s.agencyName)) // the other request was muted
}

func (s *cooldownStory) noWayByOtherAccount(t *testing.T) {
	pub := s.olga.opens(t, "Luna Pub")
	s.olga.invites(t, pub, s.oscar, "owner", nil)
	s.expectEmails(t, joined(s.oscar, s.olga, "Luna Pub", "an owner")...)
	c := s.ann.requests(t, s.agencyID, pub, s.areas)
	s.expectEmails(t, requested(s.oscar, request{by: s.ann.email, agency: s.agencyName, account: "Luna Pub", until: moment(*c.ExpiresAt)}))
	connectionPath := s.agencyPath + "/connections/" + c.ID
	if c := read[connection](t, s.ann.get(t, connectionPath).is(t, http.StatusOK)); c.Delivery != nil || c.Status != "pending" {
		t.Errorf("the agency sees %+v", c)
	}
	if m := read[list[member]](t, s.olga.get(t, "/v1/accounts/"+pub+"/team").is(t, http.StatusOK)).Items[0]; m.ID != s.agencyID || m.Status != "pending" {
		t.Errorf("she sees %+v", m)
	}
	s.ann.post(t, connectionPath+"/withdraw", nil).is(t, http.StatusOK)
	s.expectEmails(t, withdrawn(s.oscar, s.agencyName, "Luna Pub"))
}

func (s *cooldownStory) listBlocks(t *testing.T) {
	for path, who := range map[string]*person{s.accountPath + "/blocks": s.oscar, "/v1/me/blocks": s.olga} {
		list := s.blocks(t, path, who)
		if len(list) != 1 || list[0].Agency.ID != s.agencyID || list[0].Agency.Name != s.agencyName || list[0].Blocked ||
			list[0].CoolingUntil == nil || time.Until(*list[0].CoolingUntil) < month-time.Hour {
			t.Errorf("%s shows %+v", path, list)
		}
	}
	s.oscar.expectEmpty(t, "/v1/me/blocks") // he decided nothing
	s.mia.get(t, s.accountPath+"/blocks").refused(t, http.StatusForbidden, "forbidden", "")
	s.mia.post(t, s.team+"/"+s.agencyID+"/unblock", nil).refused(t, http.StatusForbidden, "forbidden", "")
	for _, who := range []*person{s.sam, s.ann} {
		who.get(t, s.accountPath+"/blocks").refused(t, http.StatusNotFound, "not_found", "")
		who.post(t, s.team+"/"+s.agencyID+"/unblock", nil).refused(t, http.StatusNotFound, "not_found", "")
	}
	s.ann.get(t, s.accountPath+"/blocks?as="+s.agencyID).refused(t, http.StatusNotFound, "not_found", "")
}

func (s *cooldownStory) cooldownOver(t *testing.T) {
	s.age(t, month-time.Hour, connectionRow(s.luna, s.agencyID), pairRow(s.luna, s.agencyID), pairRow(s.olga.id(), s.agencyID))
	s.sendRequest(t, s.ann, s.agencyID).limited(t, "cooling", "declined", time.Minute, time.Hour)
	s.age(t, time.Hour, connectionRow(s.luna, s.agencyID), pairRow(s.luna, s.agencyID), pairRow(s.olga.id(), s.agencyID))
	c := read[connection](t, s.sendRequest(t, s.ann, s.agencyID).is(t, http.StatusCreated))
	expectEqual(t, "the number of the request", 2, c.Request)
	s.olga.expectEmpty(t, s.accountPath+"/blocks")
	s.expectEmails(t, s.requestEmails(t, s.ann, s.agencyName, c)...)
}

func (s *cooldownStory) both(t *testing.T, what string, call func(t *testing.T, who *person, agency string) *reply) []*reply {
	t.Helper()
	var replies []*reply
	var shapes []shape
	for _, p := range s.agencies {
		r := call(t, p.person, p.agencyID)
		replies, shapes = append(replies, r), append(shapes, shapeOf(r, p.agencyName))
	}
	for i := range shapes { // the number of requests may differ
		shapes[i].Body = strings.NewReplacer(`"request":2`, `"request":R`, `"request":1`, `"request":R`, `"request":3`, `"request":R`).Replace(shapes[i].Body)
	}
	expectSameShape(t, what, shapes...)
	return replies
}

func (s *cooldownStory) connection(t *testing.T, who *person, agency string) *reply {
	t.Helper()
	return who.get(t, "/v1/agencies/"+agency+"/connections/"+connectionID(s.luna, agency))
}

func (s *cooldownStory) expectBothAccess(t *testing.T, want string) {
	t.Helper()
	expectAccess(t, s.luna, append([]wantAccess{{s.ann, s.agencyID, want}, {s.sam, s.rival, want}}, s.clientAccess...)...)
}

func (s *cooldownStory) declineOneBlockOther(t *testing.T) {
	c := read[connection](t, s.sendRequest(t, s.sam, s.rival).is(t, http.StatusCreated))
	s.expectEmails(t, s.requestEmails(t, s.sam, s.rivalName, c)...)
	s.olga.post(t, s.team+"/"+s.agencyID+"/decline", map[string]any{"request": 2, "block": true}).is(t, http.StatusOK)
	s.olga.post(t, s.team+"/"+s.rival+"/decline", map[string]any{"request": 1, "block": false}).is(t, http.StatusOK)
	s.expectEmails(t, declined(s.ann, s.agencyName, s.luna), declined(s.sam, s.rivalName, s.luna),
		declinedBy(s.olga, s.olga, s.agencyName, s.accountName), declinedBy(s.oscar, s.olga, s.agencyName, s.accountName), declinedBy(s.olga, s.olga, s.rivalName, s.accountName), declinedBy(s.oscar, s.olga, s.rivalName, s.accountName))
	s.both(t, "looking at it", s.connection)
	for _, r := range s.both(t, "asking again", s.sendRequest) {
		r.limited(t, "cooling", "declined", month-time.Minute, month)
	}
	s.expectBothAccess(t, "no, ended; client owns")
	list := s.blocks(t, s.accountPath+"/blocks", s.olga)
	slices.SortFunc(list, func(a, b block) int { return strings.Compare(a.Agency.Name, b.Agency.Name) })
	if len(list) != 2 || !list[0].Blocked || list[1].Blocked || list[0].CoolingUntil == nil || list[1].CoolingUntil == nil {
		t.Errorf("the account blocks %+v", list)
	}
}

func (s *cooldownStory) blockedReachesNobody(t *testing.T) {
	for _, p := range s.agencies {
		s.age(t, month, connectionRow(s.luna, p.agencyID), pairRow(s.luna, p.agencyID), pairRow(s.olga.id(), p.agencyID))
	}
	replies := s.both(t, "asking after the 30 days", s.sendRequest)
	c := read[connection](t, replies[1].is(t, http.StatusCreated))
	s.expectEmails(t, s.requestEmails(t, s.sam, s.rivalName, c)...)
	for _, r := range s.both(t, "looking at it", s.connection) {
		if c := read[connection](t, r); c.Status != "pending" || c.Delivery != nil {
			t.Errorf("it sees %+v", c)
		}
	}
	s.expectBothAccess(t, "no, pending; client owns")
	for _, r := range s.both(t, "its list", func(t *testing.T, who *person, agency string) *reply {
		t.Helper()
		return who.get(t, "/v1/agencies/"+agency+"/accounts?status=pending")
	}) {
		if l := read[list[connection]](t, r); len(l.Items) != 1 || l.Counts.Pending != 1 {
			t.Errorf("its list is %+v", l)
		}
	}
	for _, m := range read[list[member]](t, s.olga.get(t, s.team).is(t, http.StatusOK)).Items {
		if m.ID == s.agencyID {
			t.Errorf("the team shows %+v", m)
		}
	}
	number := read[connection](t, replies[0]).Request
	for _, r := range []*reply{
		s.olga.post(t, s.team+"/"+s.agencyID+"/accept", map[string]any{"request": number}), s.olga.post(t, s.team+"/"+s.agencyID+"/decline", map[string]any{"request": number}),
		s.olga.get(t, "/v1/requests/"+s.connectionID), s.olga.post(t, "/v1/requests/"+s.connectionID+"/accept", map[string]any{"account": s.luna, "request": number}),
		s.olga.delete(t, s.team+"/"+s.agencyID),
	} {
		r.refused(t, http.StatusNotFound, "not_found", "")
	}
	if n := countType(s.olga.activity(t, s.luna, ""), "connection.requested"); n != 4 { // the first two, and the rival's two
		t.Errorf("her activity shows %d requests", n)
	}
	s.ann.requestsByEmail(t, s.agencyID, s.olga.email, s.areas)
	s.expectEmails(t)
}

func (s *cooldownStory) resendAndExpire(t *testing.T) {
	for _, p := range s.agencies {
		s.age(t, day, connectionRow(s.luna, p.agencyID))
	}
	replies := s.both(t, "sending it again", func(t *testing.T, who *person, agency string) *reply {
		t.Helper()
		return who.post(t, "/v1/agencies/"+agency+"/connections/"+connectionID(s.luna, agency)+"/resend", nil)
	})
	until := moment(*read[connection](t, replies[1].is(t, http.StatusOK)).ExpiresAt)
	r := request{by: s.sam.email, agency: s.rivalName, account: s.accountName, until: until}
	s.expectEmails(t, resent(requested(s.olga, r)), resent(requested(s.oscar, r)))
	var ends []string
	for _, p := range s.agencies {
		s.age(t, 14*day, connectionRow(s.luna, p.agencyID))
		ends = append(ends, moment(*read[connection](t, s.connection(t, p.person, p.agencyID)).ExpiresAt))
	}
	s.both(t, "looking at it once it has run out", s.connection)
	expectEqual(t, "expired requests", 2, s.cleanup(t).Expired)
	s.expectEmails(t, expired(s.ann, s.agencyName, s.luna, ends[0]), expired(s.sam, s.rivalName, s.luna, ends[1]),
		expiredClient(s.olga, s.rivalName, s.accountName, ends[1]), expiredClient(s.oscar, s.rivalName, s.accountName, ends[1]))
	s.both(t, "looking at it once its end is recorded", s.connection)
	s.expectBothAccess(t, "no, ended; client owns")
}

func (s *cooldownStory) unblock(t *testing.T) {
	c := read[connection](t, s.sendRequest(t, s.ann, s.agencyID).is(t, http.StatusCreated))
	s.expectEmails(t)
	s.olga.unblocks(t, s.luna, s.agencyID, true)
	s.olga.unblocks(t, s.luna, s.agencyID, false)
	for path, who := range map[string]*person{s.accountPath + "/blocks": s.olga, "/v1/me/blocks": s.olga} {
		if list := s.blocks(t, path, who); slices.ContainsFunc(list, func(b block) bool { return b.Agency.ID == s.agencyID }) {
			t.Errorf("%s still shows %+v", path, list)
		}
	}
	s.olga.post(t, s.team+"/"+s.agencyID+"/accept", map[string]any{"request": c.Request}).refused(t, http.StatusNotFound, "not_found", "")
	s.ann.post(t, s.connectionPath+"/withdraw", nil).is(t, http.StatusOK)
	s.expectEmails(t)
	c = read[connection](t, s.sendRequest(t, s.ann, s.agencyID).is(t, http.StatusCreated))
	s.expectEmails(t, s.requestEmails(t, s.ann, s.agencyName, c)...)
	s.olga.post(t, s.team+"/"+s.agencyID+"/accept", map[string]any{"request": c.Request}).is(t, http.StatusOK)
	expectAccess(t, s.luna, s.agencyAccess("yes, "+s.agencyID+", pages:edit; client owns")...)
	s.expectEmails(t, accepted(s.ann, s.agencyName, s.accountName, ""), acceptedBy(s.olga, s.olga, s.agencyName, s.accountName, ""), acceptedBy(s.oscar, s.olga, s.agencyName, s.accountName, ""))
}

func (s *cooldownStory) revokeAndBlock(t *testing.T) {
	s.oscar.delete(t, s.team+"/"+s.agencyID+"?block=true").expectStatus(t, "revoked")
	expectAccess(t, s.luna, s.agencyAccess("no, ended; client owns")...)
	s.expectEmails(t, revoked(s.ann, s.agencyName, s.accountName), revokedBy(s.olga, s.oscar, s.agencyName, s.accountName), revokedBy(s.oscar, s.oscar, s.agencyName, s.accountName))
	s.sendRequest(t, s.ann, s.agencyID).limited(t, "cooling", "revoked", month-time.Minute, month)
	for path, who := range map[string]*person{s.accountPath + "/blocks": s.olga, "/v1/me/blocks": s.oscar} {
		if list := s.blocks(t, path, who); !slices.ContainsFunc(list, func(b block) bool { return b.Agency.ID == s.agencyID && b.Blocked }) {
			t.Errorf("%s shows %+v", path, list)
		}
	}
	s.expectEmails(t)
}

func (s *cooldownStory) activityOfBlocks(t *testing.T) {
	var about []string
	for _, l := range s.olga.activity(t, s.luna, "") {
		if strings.HasPrefix(l.Type, "agency.") {
			about = append(about, l.Type)
		}
	}
	expectEqual(t, "activity", []string{"agency.blocked", "agency.unblocked", "agency.blocked"}, about)
	s.olga.unblocks(t, s.luna, s.agencyID, true)
	s.oscar.unblocks(t, s.luna, s.agencyID, true)
	c := read[connection](t, s.sendRequest(t, s.ann, s.agencyID).is(t, http.StatusCreated))
	s.olga.post(t, s.team+"/"+s.agencyID+"/accept", map[string]any{"request": c.Request}).is(t, http.StatusOK)
	for _, l := range s.ann.activity(t, s.luna, s.agencyID) {
		if strings.HasPrefix(l.Type, "agency.") {
			t.Errorf("the agency reads %+v", l)
		}
	}
	s.newEmails(t)
}
