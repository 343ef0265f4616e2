package e2e

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

type endDateStory struct {
	agencyStaff
	olga                                          *person
	accountName, luna, memberPath, connectionPath string
	connectionRow                                 row
	firstEnd, secondEnd                           time.Time
}

// TestEndDates tests end dates, reminders and what cleanup deletes. The days pass in
// the table (see age); the end itself comes by the clock.
func TestEndDates(t *testing.T) {
	t.Parallel()
	s := &endDateStory{agencyStaff: newAgency(t, startOwn(t, "-schedules=false", "-set", `SettingsOverride={`+personLimits+`}`), "Bright Agency", "enddates.test")}

	s.olga = s.person(t, "olga@luna.enddates.test")
	s.accountName = "Luna Orchard"
	s.luna = s.olga.opens(t, s.accountName)
	s.memberPath = "/v1/accounts/" + s.luna + "/team/" + s.agencyID
	s.connectionPath = s.agencyPath + "/connections/" + connectionID(s.luna, s.agencyID)
	s.connectionRow = connectionRow(s.luna, s.agencyID)

	step(t, t.Run("a request that waits is reminded of once, three days ahead", s.remindOfRequest))

	s.firstEnd = fromNow(10 * day)
	step(t, t.Run("an end date is set when accepting, and both are told it", s.acceptWithEndDate))

	s.secondEnd = fromNow(20 * day)
	step(t, t.Run("it is moved and removed at any time, alone or with the levels, and the agency is told", s.moveEndDate))
	step(t, t.Run("both are reminded 7 days and 1 day ahead, once each", s.remindOfEnd))
	step(t, t.Run("at its end access ends by the clock, before anything has recorded it; cleanup records and tells it", s.endByClock))
	step(t, t.Run("what has ended is shown to both for 90 days, then collected", s.collect))
}

func (s *endDateStory) activeAccess(areas string) []wantAccess {
	return s.agencyAccess("yes, " + s.agencyID + ", " + areas + "; client owns")
}

func (s *endDateStory) agencyAccess(want string) []wantAccess {
	return []wantAccess{{s.ann, s.agencyID, want}, {s.ben, "", withoutAs(want)}, {s.olga, "", "yes, own, " + everything + "; client owns"}}
}

func (s *endDateStory) sendRequest(t *testing.T) (connection, request) {
	t.Helper()
	c := s.ben.requests(t, s.agencyID, s.luna, levels{"pages": "edit", "mail": "view"})
	return c, request{by: s.ben.email, agency: s.agencyName, account: s.accountName, until: moment(*c.ExpiresAt), link: s.PublicURL + "/requests/" + c.ID}
}

func fromNow(ahead time.Duration) time.Time {
	return time.Now().Add(ahead).UTC().Truncate(time.Second)
}

func (s *endDateStory) expectStatus(t *testing.T, status string, until *time.Time) {
	t.Helper()
	c := read[connection](t, s.ben.get(t, s.connectionPath).is(t, http.StatusOK))
	m := read[list[member]](t, s.olga.get(t, "/v1/accounts/"+s.luna+"/team").is(t, http.StatusOK)).Items[0]
	if c.Status != status || m.Status != status {
		t.Errorf("the agency sees %s and the client %s, want %s", c.Status, m.Status, status)
	}
	if diff := cmp.Diff(until, c.Until); diff != "" || !cmp.Equal(c.Until, m.Until) {
		t.Errorf("until (-want +got):\n%s", diff)
	}
}

func (s *endDateStory) expectNothingToDo(t *testing.T) {
	t.Helper()
	before := s.settled(t)
	expectEqual(t, "backlog", 0, s.cleanup(t).Backlog)
	expectUnchanged(t, before, s.dump(t))
	s.expectEmails(t)
}

func (s *endDateStory) remindOfRequest(t *testing.T) {
	_, r := s.sendRequest(t)
	s.expectEmails(t, requested(s.olga, r))
	s.expectNothingToDo(t)
	s.age(t, 11*day+time.Minute, s.connectionRow)
	c := read[connection](t, s.ben.get(t, s.connectionPath).is(t, http.StatusOK))
	r.until = moment(*c.ExpiresAt)
	if got := s.cleanup(t); got.Reminded != 1 || got.Backlog != 0 {
		t.Errorf("the report is %+v", got)
	}
	s.expectEmails(t, reminded(requested(s.olga, r), "3 days"))
	s.expectNothingToDo(t)
	expectAccess(t, s.luna, s.agencyAccess("no, pending; client owns")...)
}

func (s *endDateStory) acceptWithEndDate(t *testing.T) {
	body := map[string]any{"request": 1, "areas": levels{"pages": "edit"}, "until": s.firstEnd.Format(time.RFC3339)}
	s.olga.post(t, s.memberPath+"/accept", body).is(t, http.StatusOK)
	expectAccess(t, s.luna, s.activeAccess("pages:edit")...)
	s.expectStatus(t, "active", &s.firstEnd)
	s.expectEmails(t, accepted(s.ben, s.agencyName, s.accountName, "Pages: Edit").endingOn(moment(s.firstEnd)), accepted(s.ann, s.agencyName, s.accountName, "").endingOn(moment(s.firstEnd)),
		acceptedBy(s.olga, s.olga, s.agencyName, s.accountName, "").endingOn(moment(s.firstEnd)))
}

func (s *endDateStory) moveEndDate(t *testing.T) {
	for range 2 { // the second time changes nothing
		s.olga.patch(t, s.memberPath, map[string]any{"until": s.secondEnd.Format(time.RFC3339)}).is(t, http.StatusOK)
	}
	s.expectStatus(t, "active", &s.secondEnd)
	moved := "The access ends by itself on " + moment(s.secondEnd) + "; until now it was to end on " + moment(s.firstEnd) + "."
	s.expectEmails(t, restrictedUntil(s.ben, s.agencyName, s.accountName, moved), restrictedUntil(s.ann, s.agencyName, s.accountName, moved))

	s.olga.patch(t, s.memberPath, map[string]any{"until": nil}).is(t, http.StatusOK)
	s.expectStatus(t, "active", nil)
	gone := "The access has no end date any more; until now it was to end on " + moment(s.secondEnd) + "."
	s.expectEmails(t, restrictedUntil(s.ben, s.agencyName, s.accountName, gone), restrictedUntil(s.ann, s.agencyName, s.accountName, gone))

	body := map[string]any{"areas": levels{"mail": "edit"}, "until": s.secondEnd.Format(time.RFC3339)}
	s.olga.patch(t, s.memberPath, body).is(t, http.StatusOK)
	expectAccess(t, s.luna, s.activeAccess("mail:edit")...)
	s.expectEmails(t, restricted(s.ben, s.agencyName, s.accountName, "Mail: Edit (before: No access)").endingOn(moment(s.secondEnd)), restricted(s.ann, s.agencyName, s.accountName, "").endingOn(moment(s.secondEnd)))
	for _, bad := range []time.Duration{-time.Hour, 0} {
		s.olga.patch(t, s.memberPath, map[string]any{"until": fromNow(bad).Format(time.RFC3339)}).refused(t, http.StatusBadRequest, "invalid", "")
	}
	s.ann.patch(t, s.memberPath+"?as="+s.agencyID, map[string]any{"until": nil}).refused(t, http.StatusForbidden, "forbidden", "")
	s.expectStatus(t, "active", &s.secondEnd)
	s.expectEmails(t)
}

func (s *endDateStory) remindOfEnd(t *testing.T) {
	for _, step := range []struct {
		passes time.Duration
		left   string
	}{{13*day + time.Minute, "7 days"}, {6 * day, "1 day"}} {
		s.age(t, step.passes, s.connectionRow)
		end := moment(*read[connection](t, s.ben.get(t, s.connectionPath).is(t, http.StatusOK)).Until)
		if r := s.cleanup(t); r.Reminded != 1 || r.Lapsed != 0 || r.Backlog != 0 {
			t.Errorf("%s ahead the report is %+v", step.left, r)
		}
		s.expectEmails(t, endsSoon(s.ben, s.agencyName, s.accountName, step.left, end), endsSoon(s.ann, s.agencyName, s.accountName, step.left, end),
			endsSoonClient(s.olga, s.agencyName, s.accountName, step.left, end))
		s.expectNothingToDo(t)
	}
	expectAccess(t, s.luna, s.activeAccess("mail:edit")...)
}

func (s *endDateStory) endByClock(t *testing.T) {
	end := fromNow(2 * time.Second)
	s.olga.patch(t, s.memberPath, map[string]any{"until": end.Format(time.RFC3339)}).is(t, http.StatusOK)
	s.expectEmails(t, restrictedUntil(s.ben, s.agencyName, s.accountName, moment(end)), restrictedUntil(s.ann, s.agencyName, s.accountName, moment(end)))
	before := s.settled(t)
	eventually(t, "the access has ended", func() bool {
		got := s.ann.access(t, s.luna, s.agencyID)
		if over := !time.Now().Before(end); got != s.activeAccess("mail:edit")[0].want && !over {
			t.Fatalf("%s before its end it is %s", time.Until(end), got)
		}
		return got == "no, lapsed; client owns"
	})
	expectAccess(t, s.luna, s.agencyAccess("no, lapsed; client owns")...)
	s.expectStatus(t, "lapsed", &end)
	s.ann.get(t, "/v1/accounts/"+s.luna+"?as="+s.agencyID).refused(t, http.StatusNotFound, "not_found", "")
	s.ann.post(t, s.connectionPath+"/leave", nil).refused(t, http.StatusConflict, "not_active", "lapsed")
	s.olga.patch(t, s.memberPath, map[string]any{"until": nil}).refused(t, http.StatusConflict, "not_active", "lapsed")
	s.ann.expectEmpty(t, s.agencyPath+"/accounts?status=active")
	expectUnchanged(t, before, s.dump(t))
	s.expectEmails(t)

	if r := s.cleanup(t); r.Lapsed != 1 || r.Backlog != 0 {
		t.Errorf("the report is %+v", r)
	}
	s.expectEmails(t, endedOnDate(s.ben, s.agencyName, s.accountName, moment(end)), endedOnDate(s.ann, s.agencyName, s.accountName, moment(end)), endedOnDateClient(s.olga, s.agencyName, s.accountName, moment(end)))
	s.expectStatus(t, "lapsed", &end)
	expectAccess(t, s.luna, s.agencyAccess("no, lapsed; client owns")...)
	s.expectNothingToDo(t)
}

func (s *endDateStory) collect(t *testing.T) {
	s.age(t, 90*day-time.Minute, s.connectionRow)
	s.expectNothingToDo(t)
	row := read[list[connection]](t, s.ann.get(t, s.agencyPath+"/accounts?status=lapsed&prefix=luna").is(t, http.StatusOK))
	if len(row.Items) != 1 || row.Items[0].Name != s.accountName {
		t.Errorf("the agency's list shows %+v", row)
	}
	s.age(t, time.Minute, s.connectionRow)
	if r := s.cleanup(t); r.Collected != 1 || r.Backlog != 0 {
		t.Errorf("the report is %+v", r)
	}
	s.ben.get(t, s.connectionPath).refused(t, http.StatusNotFound, "not_found", "")
	for _, m := range read[list[member]](t, s.olga.get(t, "/v1/accounts/"+s.luna+"/team").is(t, http.StatusOK)).Items {
		if m.Kind == "agency" {
			t.Errorf("the client still sees %+v", m)
		}
	}
	expectAccess(t, s.luna, s.agencyAccess("no, none")[:2]...)
	s.expectNothingToDo(t)
	// A request's number is not used again, though the connection was deleted.
	c, r := s.sendRequest(t)
	expectEqual(t, "the number of the request", 2, c.Request)
	s.expectEmails(t, requested(s.olga, r))
}

// TestAskAgain sends a new request in each state in which a connection can end. Both
// sides see the state until then.
func TestAskAgain(t *testing.T) {
	s := newAgency(t, unlimited(t), "Bright Agency", "again.test")
	olga := s.person(t, "olga@luna.again.test")
	const name = "Luna Bakery"
	luna := olga.opens(t, name)
	memberPath := "/v1/accounts/" + luna + "/team/" + s.agencyID
	connectionPath := s.agencyPath + "/connections/" + connectionID(luna, s.agencyID)
	accept := func(t *testing.T, number int) {
		t.Helper()
		olga.post(t, memberPath+"/accept", map[string]any{"request": number}).is(t, http.StatusOK)
	}
	areas := levels{"pages": "edit"}
	s.ann.requests(t, s.agencyID, luna, areas)
	for i, c := range []struct {
		status string
		end    func(t *testing.T, number int)
		cools  bool // until the owner unblocks the agency
		access string
	}{
		{"withdrawn", func(t *testing.T, _ int) {
			t.Helper()
			s.ann.post(t, connectionPath+"/withdraw", nil).is(t, http.StatusOK)
		}, false, "no, ended; client owns"},
		{"declined", func(t *testing.T, n int) {
			t.Helper()
			olga.post(t, memberPath+"/decline", map[string]any{"request": n}).is(t, http.StatusOK)
		}, true, "no, ended; client owns"},
		{"expired", func(t *testing.T, _ int) {
			t.Helper()
			s.age(t, 14*day, connectionRow(luna, s.agencyID))
			s.cleanup(t)
		}, false, "no, ended; client owns"},
		{"expired", func(t *testing.T, _ int) { t.Helper(); s.age(t, 14*day, connectionRow(luna, s.agencyID)) }, false, "no, ended; client owns"},
		{"revoked", func(t *testing.T, n int) {
			t.Helper()
			accept(t, n)
			olga.delete(t, memberPath).is(t, http.StatusOK)
		}, true, "no, ended; client owns"},
		{"left", func(t *testing.T, n int) {
			t.Helper()
			accept(t, n)
			s.ann.post(t, connectionPath+"/leave", nil).is(t, http.StatusOK)
		}, false, "no, ended; client owns"},
		{"lapsed", func(t *testing.T, n int) {
			t.Helper()
			body := map[string]any{"request": n, "until": time.Now().Add(day).UTC().Format(time.RFC3339)}
			olga.post(t, memberPath+"/accept", body).is(t, http.StatusOK)
			s.age(t, day, connectionRow(luna, s.agencyID))
			s.cleanup(t)
		}, false, "no, lapsed; client owns"},
	} {
		step(t, t.Run(c.status, func(t *testing.T) {
			s.newEmails(t)
			c.end(t, i+1)
			s.newEmails(t)
			sees := read[connection](t, s.ann.get(t, connectionPath).is(t, http.StatusOK))
			team := read[list[member]](t, olga.get(t, "/v1/accounts/"+luna+"/team").is(t, http.StatusOK)).Items[0]
			if sees.Status != c.status || team.Status != c.status || team.ID != s.agencyID {
				t.Errorf("the agency sees %s, the client %s of %s", sees.Status, team.Status, team.ID)
			}
			expectAccess(t, luna, wantAccess{s.ann, s.agencyID, c.access})
			if c.cools {
				s.ann.post(t, s.agencyPath+"/connections", map[string]any{"account": luna, "areas": areas}).limited(t, "cooling", c.status, 1, month)
				olga.unblocks(t, luna, s.agencyID, true)
			}
			again := s.ann.requests(t, s.agencyID, luna, areas)
			if again.Request != i+2 || again.Status != "pending" || again.Until != nil {
				t.Errorf("asked again: %+v", again)
			}
			expectAccess(t, luna, wantAccess{s.ann, s.agencyID, "no, pending; client owns"})
			s.expectEmails(t, requested(olga, request{by: s.ann.email, agency: s.agencyName, account: name, until: moment(*again.ExpiresAt)}))
		}))
	}
}
