package e2e

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// aMonth is how long a denial or a revocation holds.
const aMonth = 30 * aDay

// TestDenialHolds is "A denial holds": across both ways of asking, and so that a
// blocked agency cannot tell.
func TestDenialHolds(t *testing.T) {
	s := unlimited(t)
	o := newOffice(t, s, "Bright Agency", "denial.test")
	ann := o.ann
	olga, oscar := s.person(t, "olga@luna.denial.test"), s.person(t, "oscar@luna.denial.test")
	mia, sam := s.person(t, "mia@luna.denial.test"), s.person(t, "sam@rival.denial.test")
	const name, rivals = "Luna Bakery", "Rival Offices" // as long as the other agency's name
	rival := sam.opensAgency(t, rivals)
	luna := olga.opens(t, name)
	olga.invites(t, luna, oscar, "owner", nil)
	olga.invites(t, luna, mia, "member", levels{"pages": "view"})
	s.told(t, added(oscar, olga, name, "an owner"), added(mia, olga, name, "a member"))

	hers, team := "/v1/accounts/"+luna, "/v1/accounts/"+luna+"/team"
	con := connectionID(luna, o.id)
	one := "/v1/agencies/" + o.id + "/connections/" + con
	areas := levels{"pages": "edit"}
	ask := func(t *testing.T, who *person, agency string) *reply {
		t.Helper()
		return who.post(t, "/v1/agencies/"+agency+"/connections", map[string]any{"account": luna, "areas": areas})
	}
	told := func(t *testing.T, who *person, agency string, c connection) []letter {
		t.Helper()
		r := request{by: who.email, agency: agency, account: name, until: moment(*c.ExpiresAt)}
		return []letter{requested(olga, r), requested(oscar, r)}
	}
	blocks := func(t *testing.T, path string, who *person) []block {
		t.Helper()
		return read[list[block]](t, who.get(t, path).is(t, http.StatusOK)).Items
	}
	// The client's side keeps what it has throughout.
	theirs := []check{{olga, "", "yes, own, " + everything + "; client owns"}, {mia, "", "yes, own, pages:view; client owns"}}
	agencys := func(reason string) []check { return append([]check{{ann, o.id, reason}, {ann, "", reason}}, theirs...) }

	then(t, t.Run("for 30 days after a denial a request by account id is refused, and nothing is written", func(t *testing.T) {
		c := read[connection](t, ask(t, ann, o.id).is(t, http.StatusCreated))
		s.told(t, told(t, ann, o.name, c)...)
		olga.post(t, team+"/"+o.id+"/deny", nil).is(t, http.StatusOK)
		s.told(t, denied(ann, o.name, luna), deniedBy(olga, olga, o.name, name), deniedBy(oscar, olga, o.name, name))
		before := s.still(t)
		ask(t, ann, o.id).limited(t, "cooling", "denied", aMonth-time.Minute, aMonth)
		same(t, before, s.dump(t))
		accesses(t, luna, agencys("no, ended; client owns")...)
		s.told(t)
	}))

	then(t, t.Run("asking by email does not evade it: whoever decided is not mailed, whoever did not is", func(t *testing.T) {
		for _, who := range []*person{olga, oscar} {
			c := ann.asksByEmail(t, o.id, who.email, areas)
			if c.Status != "pending" {
				t.Errorf("asked by email: %+v", c)
			}
			var letters []letter
			if who == oscar {
				letters = append(letters, askedPerson(oscar, request{by: ann.email, agency: o.name, until: moment(*c.ExpiresAt)}, true))
			}
			s.told(t, letters...)
		}
		if mine := read[list[connection]](t, olga.get(t, "/v1/requests").is(t, http.StatusOK)).Items; len(mine) != 0 {
			t.Errorf("she sees %+v", mine)
		}
		for _, who := range []*person{olga, oscar} {
			ann.post(t, "/v1/agencies/"+o.id+"/connections/"+connectionID(who.id(), o.id)+"/withdraw", nil).is(t, http.StatusOK)
		}
		s.told(t, withdrawnPerson(oscar, o.name)) // of what she never heard of she does not hear the end
	}))

	then(t, t.Run("nor does asking another account of theirs: it stands in the team, and of its owners those are mailed who denied nothing", func(t *testing.T) {
		pub := olga.opens(t, "Luna Pub")
		olga.invites(t, pub, oscar, "owner", nil)
		s.told(t, added(oscar, olga, "Luna Pub", "an owner"))
		c := ann.asks(t, o.id, pub, areas)
		s.told(t, requested(oscar, request{by: ann.email, agency: o.name, account: "Luna Pub", until: moment(*c.ExpiresAt)}))
		one := "/v1/agencies/" + o.id + "/connections/" + c.ID
		if c := read[connection](t, ann.get(t, one).is(t, http.StatusOK)); value(c.Delivery) != "sent" || c.Status != "pending" {
			t.Errorf("the agency sees %+v", c)
		}
		if m := read[list[member]](t, olga.get(t, "/v1/accounts/"+pub+"/team").is(t, http.StatusOK)).Items[0]; m.ID != o.id || m.Status != "pending" {
			t.Errorf("she sees %+v", m)
		}
		ann.post(t, one+"/withdraw", nil).is(t, http.StatusOK)
		s.told(t, withdrawn(oscar, o.name, "Luna Pub"))
	}))

	then(t, t.Run("whoever holds an agency off sees it in a list: the account's and their own", func(t *testing.T) {
		for path, who := range map[string]*person{hers + "/blocks": oscar, "/v1/me/blocks": olga} {
			list := blocks(t, path, who)
			if len(list) != 1 || list[0].Agency.ID != o.id || list[0].Agency.Name != o.name || list[0].Blocked ||
				list[0].CoolingUntil == nil || time.Until(*list[0].CoolingUntil) < aMonth-time.Hour {
				t.Errorf("%s shows %+v", path, list)
			}
		}
		if list := blocks(t, "/v1/me/blocks", oscar); len(list) != 0 {
			t.Errorf("who decided nothing holds off %+v", list)
		}
		mia.get(t, hers+"/blocks").refused(t, http.StatusForbidden, "forbidden", "")
		mia.post(t, team+"/"+o.id+"/unblock", nil).refused(t, http.StatusForbidden, "forbidden", "")
		for _, who := range []*person{sam, ann} {
			who.get(t, hers+"/blocks").refused(t, http.StatusNotFound, "not_found", "")
			who.post(t, team+"/"+o.id+"/unblock", nil).refused(t, http.StatusNotFound, "not_found", "")
		}
		ann.get(t, hers+"/blocks?as="+o.id).refused(t, http.StatusNotFound, "not_found", "")
	}))

	then(t, t.Run("once the 30 days are over the agency asks again in one call, and is answered", func(t *testing.T) {
		s.ages(t, aMonth-time.Hour, pairRow(luna, o.id), pairRow(olga.id(), o.id))
		ask(t, ann, o.id).limited(t, "cooling", "denied", time.Minute, time.Hour)
		s.ages(t, time.Hour, pairRow(luna, o.id), pairRow(olga.id(), o.id))
		c := read[connection](t, ask(t, ann, o.id).is(t, http.StatusCreated))
		if c.Request != 2 {
			t.Errorf("asked again: %+v", c)
		}
		if list := blocks(t, hers+"/blocks", olga); len(list) != 0 {
			t.Errorf("still held off: %+v", list)
		}
		s.told(t, told(t, ann, o.name, c)...)
	}))

	pair := []struct {
		who          *person
		agency, name string
	}{{ann, o.id, o.name}, {sam, rival, rivals}}
	both := func(t *testing.T, what string, call func(t *testing.T, who *person, agency string) *reply) []*reply {
		t.Helper()
		var replies []*reply
		var shapes []shape
		for _, p := range pair {
			r := call(t, p.who, p.agency)
			replies, shapes = append(replies, r), append(shapes, shapeOf(r, p.name))
		}
		for i := range shapes { // how often each has asked is its own doing
			shapes[i].Body = strings.NewReplacer(`"request":2`, `"request":R`, `"request":1`, `"request":R`, `"request":3`, `"request":R`).Replace(shapes[i].Body)
		}
		alike(t, what, shapes...)
		return replies
	}
	look := func(t *testing.T, who *person, agency string) *reply {
		t.Helper()
		return who.get(t, "/v1/agencies/"+agency+"/connections/"+connectionID(luna, agency))
	}
	check2 := func(t *testing.T, want string) {
		t.Helper()
		accesses(t, luna, append([]check{{ann, o.id, want}, {sam, rival, want}}, theirs...)...)
	}

	then(t, t.Run("one agency is denied, another denied and blocked: neither can tell which", func(t *testing.T) {
		c := read[connection](t, ask(t, sam, rival).is(t, http.StatusCreated))
		s.told(t, told(t, sam, rivals, c)...)
		olga.post(t, team+"/"+o.id+"/deny", map[string]any{"block": true}).is(t, http.StatusOK)
		olga.post(t, team+"/"+rival+"/deny", map[string]any{"block": false}).is(t, http.StatusOK)
		s.told(t, denied(ann, o.name, luna), denied(sam, rivals, luna),
			deniedBy(olga, olga, o.name, name), deniedBy(oscar, olga, o.name, name), deniedBy(olga, olga, rivals, name), deniedBy(oscar, olga, rivals, name))
		both(t, "looking at it", look)
		for _, r := range both(t, "asking again", ask) {
			r.limited(t, "cooling", "denied", aMonth-time.Minute, aMonth)
		}
		check2(t, "no, ended; client owns")
		list := blocks(t, hers+"/blocks", olga)
		slices.SortFunc(list, func(a, b block) int { return strings.Compare(a.Agency.Name, b.Agency.Name) })
		if len(list) != 2 || !list[0].Blocked || list[1].Blocked || list[0].CoolingUntil == nil || list[1].CoolingUntil == nil {
			t.Errorf("the account holds off %+v", list)
		}
	}))

	then(t, t.Run("once the 30 days are over, the blocked one's request is written, counted and shown to it as pending, and reaches nobody", func(t *testing.T) {
		for _, p := range pair {
			s.ages(t, aMonth, pairRow(luna, p.agency), pairRow(olga.id(), p.agency))
		}
		replies := both(t, "asking after the 30 days", ask)
		c := read[connection](t, replies[1].is(t, http.StatusCreated))
		s.told(t, told(t, sam, rivals, c)...)
		for _, r := range both(t, "looking at it", look) {
			if c := read[connection](t, r); c.Status != "pending" || value(c.Delivery) != "sent" {
				t.Errorf("it sees %+v", c)
			}
		}
		check2(t, "no, pending; client owns")
		for _, r := range both(t, "its list", func(t *testing.T, who *person, agency string) *reply {
			t.Helper()
			return who.get(t, "/v1/agencies/"+agency+"/accounts?status=pending")
		}) {
			if l := read[list[connection]](t, r); len(l.Items) != 1 || l.Counts.Pending != 1 {
				t.Errorf("its list is %+v", l)
			}
		}
		for _, m := range read[list[member]](t, olga.get(t, team).is(t, http.StatusOK)).Items {
			if m.ID == o.id {
				t.Errorf("the team shows %+v", m)
			}
		}
		number := read[connection](t, replies[0]).Request
		for _, r := range []*reply{
			olga.post(t, team+"/"+o.id+"/accept", map[string]any{"request": number}), olga.post(t, team+"/"+o.id+"/deny", nil),
			olga.get(t, "/v1/requests/"+con), olga.post(t, "/v1/requests/"+con+"/accept", map[string]any{"account": luna, "request": number}),
			olga.delete(t, team+"/"+o.id),
		} {
			r.refused(t, http.StatusNotFound, "not_found", "")
		}
		if n := count(olga.activity(t, luna, ""), "connection.requested"); n != 4 { // the first two, and the rival's two
			t.Errorf("her activity shows %d requests", n)
		}
		ann.asksByEmail(t, o.id, olga.email, areas)
		s.told(t)
	}))

	then(t, t.Run("it is sent again, and expires, as any other: the agency is told, and nobody else", func(t *testing.T) {
		for _, p := range pair {
			s.ages(t, aDay, connectionRow(luna, p.agency))
		}
		replies := both(t, "sending it again", func(t *testing.T, who *person, agency string) *reply {
			t.Helper()
			return who.post(t, "/v1/agencies/"+agency+"/connections/"+connectionID(luna, agency)+"/resend", nil)
		})
		until := moment(*read[connection](t, replies[1].is(t, http.StatusOK)).ExpiresAt)
		r := request{by: sam.email, agency: rivals, account: name, until: until}
		s.told(t, resent(olga, r), resent(oscar, r))
		var ends []string
		for _, p := range pair {
			s.ages(t, 14*aDay, connectionRow(luna, p.agency))
			ends = append(ends, moment(*read[connection](t, look(t, p.who, p.agency)).ExpiresAt))
		}
		both(t, "looking at it once it has run out", look)
		if r := s.cleanup(t); r.Expired != 2 {
			t.Errorf("the report is %+v", r)
		}
		s.told(t, expired(ann, o.name, luna, ends[0]), expired(sam, rivals, luna, ends[1]),
			expiredAt(olga, rivals, name, ends[1]), expiredAt(oscar, rivals, name, ends[1]))
		both(t, "looking at it once its end is recorded", look)
		check2(t, "no, ended; client owns")
	}))

	then(t, t.Run("unblocking lets it ask again, and revives nothing", func(t *testing.T) {
		c := read[connection](t, ask(t, ann, o.id).is(t, http.StatusCreated))
		s.told(t)
		olga.allows(t, luna, o.id, true)
		olga.allows(t, luna, o.id, false)
		for path, who := range map[string]*person{hers + "/blocks": olga, "/v1/me/blocks": olga} {
			if list := blocks(t, path, who); slices.ContainsFunc(list, func(b block) bool { return b.Agency.ID == o.id }) {
				t.Errorf("%s still shows %+v", path, list)
			}
		}
		olga.post(t, team+"/"+o.id+"/accept", map[string]any{"request": c.Request}).refused(t, http.StatusNotFound, "not_found", "")
		ann.post(t, one+"/withdraw", nil).is(t, http.StatusOK)
		s.told(t)
		c = read[connection](t, ask(t, ann, o.id).is(t, http.StatusCreated))
		s.told(t, told(t, ann, o.name, c)...)
		olga.post(t, team+"/"+o.id+"/accept", map[string]any{"request": c.Request}).is(t, http.StatusOK)
		accesses(t, luna, agencys("yes, "+o.id+", pages:edit; client owns")...)
		s.told(t, accepted(ann, o.name, name, ""), acceptedBy(olga, olga, o.name, name, ""), acceptedBy(oscar, olga, o.name, name, ""))
	}))

	then(t, t.Run("revoking and blocking looks like revoking", func(t *testing.T) {
		if m := read[member](t, oscar.delete(t, team+"/"+o.id+"?block=true").is(t, http.StatusOK)); m.Status != "revoked" {
			t.Errorf("it is %s", m.Status)
		}
		accesses(t, luna, agencys("no, ended; client owns")...)
		s.told(t, revoked(ann, o.name, name), revokedBy(olga, oscar, o.name, name), revokedBy(oscar, oscar, o.name, name))
		ask(t, ann, o.id).limited(t, "cooling", "revoked", aMonth-time.Minute, aMonth)
		for path, who := range map[string]*person{hers + "/blocks": olga, "/v1/me/blocks": oscar} {
			if list := blocks(t, path, who); !slices.ContainsFunc(list, func(b block) bool { return b.Agency.ID == o.id && b.Blocked }) {
				t.Errorf("%s shows %+v", path, list)
			}
		}
		s.told(t)
	}))

	then(t, t.Run("the account's activity tells of blocks; what the agency may read of it never does", func(t *testing.T) {
		var about []string
		for _, l := range olga.activity(t, luna, "") {
			if strings.HasPrefix(l.Type, "agency.") {
				about = append(about, l.Type)
			}
		}
		if diff := cmp.Diff([]string{"agency.blocked", "agency.unblocked", "agency.blocked"}, about); diff != "" {
			t.Errorf("activity (-want +got):\n%s", diff)
		}
		olga.allows(t, luna, o.id, true)
		oscar.allows(t, luna, o.id, true)
		c := read[connection](t, ask(t, ann, o.id).is(t, http.StatusCreated))
		olga.post(t, team+"/"+o.id+"/accept", map[string]any{"request": c.Request}).is(t, http.StatusOK)
		for _, l := range ann.activity(t, luna, o.id) {
			if strings.HasPrefix(l.Type, "agency.") {
				t.Errorf("the agency reads %+v", l)
			}
		}
		s.untilMark(t)
	}))
}
