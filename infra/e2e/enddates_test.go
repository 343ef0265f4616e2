package e2e

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestEndDates: access that ends by itself, the reminders of that and of a
// request, and what is collected in the end. The days go by in the table (see
// ages); the moment itself comes by the clock.
func TestEndDates(t *testing.T) {
	t.Parallel()
	s := startOwn(t, "-schedules=false")
	o := newOffice(t, s, "Bright Agency", "enddates.test")
	ann, ben := o.ann, o.ben
	olga := s.person(t, "olga@luna.enddates.test")
	const name = "Luna Orchard"
	luna := olga.opens(t, name)
	decision := "/v1/accounts/" + luna + "/team/" + o.id
	one := "/v1/agencies/" + o.id + "/connections/" + connectionID(luna, o.id)
	theRow := connectionRow(luna, o.id)
	in := func(areas string) []check {
		return []check{{ann, o.id, "yes, " + o.id + ", " + areas + "; client owns"}, {ben, "", "yes, " + o.id + ", " + areas + "; client owns"},
			{olga, "", "yes, own, " + everything + "; client owns"}}
	}
	out := func(reason string) []check {
		return []check{{ann, o.id, reason}, {ben, "", reason}, {olga, "", "yes, own, " + everything + "; client owns"}}
	}
	asks := func(t *testing.T) (connection, request) {
		t.Helper()
		c := ben.asks(t, o.id, luna, levels{"pages": "edit", "mail": "view"})
		return c, request{by: ben.email, agency: o.name, account: name, until: moment(*c.ExpiresAt), link: s.PublicURL + "/requests/" + c.ID}
	}
	at := func(ahead time.Duration) time.Time { return time.Now().Add(ahead).UTC().Truncate(time.Second) }
	sees := func(t *testing.T, status string, until *time.Time) {
		t.Helper()
		c := read[connection](t, ben.get(t, one).is(t, http.StatusOK))
		m := read[list[member]](t, olga.get(t, "/v1/accounts/"+luna+"/team").is(t, http.StatusOK)).Items[0]
		if c.Status != status || m.Status != status {
			t.Errorf("the agency sees %s and the client %s, want %s", c.Status, m.Status, status)
		}
		if diff := cmp.Diff(until, c.Until); diff != "" || !cmp.Equal(c.Until, m.Until) {
			t.Errorf("until (-want +got):\n%s", diff)
		}
	}
	quiet := func(t *testing.T) {
		t.Helper()
		before := s.still(t)
		if r := s.cleanup(t); r.Backlog != 0 {
			t.Errorf("the report is %+v", r)
		}
		same(t, before, s.dump(t))
		s.told(t)
	}

	then(t, t.Run("a request that waits is reminded of once, three days ahead", func(t *testing.T) {
		_, r := asks(t)
		s.told(t, requested(olga, r))
		quiet(t)
		s.ages(t, 11*aDay+time.Minute, theRow)
		c := read[connection](t, ben.get(t, one).is(t, http.StatusOK))
		r.until = moment(*c.ExpiresAt)
		if got := s.cleanup(t); got.Reminded != 1 || got.Backlog != 0 {
			t.Errorf("the report is %+v", got)
		}
		s.told(t, reminded(requested(olga, r), "3 days"))
		quiet(t)
		accesses(t, luna, out("no, pending; client owns")...)
	}))

	first := at(10 * aDay)
	then(t, t.Run("an end date is set when accepting, and both are told it", func(t *testing.T) {
		body := map[string]any{"request": 1, "areas": levels{"pages": "edit"}, "until": first.Format(time.RFC3339)}
		olga.post(t, decision+"/accept", body).is(t, http.StatusOK)
		accesses(t, luna, in("pages:edit")...)
		sees(t, "active", &first)
		s.told(t, accepted(ben, o.name, name, "Pages: view and edit").until(moment(first)), accepted(ann, o.name, name, "").until(moment(first)),
			acceptedBy(olga, olga, o.name, name, "").until(moment(first)))
	}))

	second := at(20 * aDay)
	then(t, t.Run("it is moved and removed at any time, alone or with the levels, and the agency is told", func(t *testing.T) {
		for range 2 { // the second time changes nothing
			olga.patch(t, decision, map[string]any{"until": second.Format(time.RFC3339)}).is(t, http.StatusOK)
		}
		sees(t, "active", &second)
		moved := "The access ends by itself on " + moment(second) + "; until now it was to end on " + moment(first) + "."
		s.told(t, restrictedUntil(ben, o.name, name, moved), restrictedUntil(ann, o.name, name, moved))

		olga.patch(t, decision, map[string]any{"until": nil}).is(t, http.StatusOK)
		sees(t, "active", nil)
		gone := "The access has no end date any more; until now it was to end on " + moment(second) + "."
		s.told(t, restrictedUntil(ben, o.name, name, gone), restrictedUntil(ann, o.name, name, gone))

		body := map[string]any{"areas": levels{"mail": "edit"}, "until": second.Format(time.RFC3339)}
		olga.patch(t, decision, body).is(t, http.StatusOK)
		accesses(t, luna, in("mail:edit")...)
		s.told(t, restricted(ben, o.name, name, "Mail: view and edit (before: no access)").until(moment(second)), restricted(ann, o.name, name, "").until(moment(second)))
		for _, bad := range []time.Duration{-time.Hour, 0} {
			olga.patch(t, decision, map[string]any{"until": at(bad).Format(time.RFC3339)}).refused(t, http.StatusBadRequest, "invalid", "")
		}
		ann.patch(t, decision+"?as="+o.id, map[string]any{"until": nil}).refused(t, http.StatusForbidden, "forbidden", "")
		sees(t, "active", &second)
		s.told(t)
	}))

	then(t, t.Run("both are reminded 7 days and 1 day ahead, once each", func(t *testing.T) {
		for _, step := range []struct {
			passes time.Duration
			left   string
		}{{13*aDay + time.Minute, "7 days"}, {6 * aDay, "1 day"}} {
			s.ages(t, step.passes, theRow)
			end := moment(*read[connection](t, ben.get(t, one).is(t, http.StatusOK)).Until)
			if r := s.cleanup(t); r.Reminded != 1 || r.Lapsed != 0 || r.Backlog != 0 {
				t.Errorf("%s ahead the report is %+v", step.left, r)
			}
			s.told(t, lapseAhead(ben, o.name, name, step.left, end), lapseAhead(ann, o.name, name, step.left, end),
				lapseAheadYours(olga, o.name, name, step.left, end))
			quiet(t)
		}
		accesses(t, luna, in("mail:edit")...)
	}))

	then(t, t.Run("at its end access ends by the clock, before anything has recorded it; cleanup records and tells it", func(t *testing.T) {
		end := at(2 * time.Second)
		olga.patch(t, decision, map[string]any{"until": end.Format(time.RFC3339)}).is(t, http.StatusOK)
		s.told(t, restrictedUntil(ben, o.name, name, moment(end)), restrictedUntil(ann, o.name, name, moment(end)))
		before := s.still(t)
		eventually(t, "the access has ended", func() bool {
			got := ann.may(t, luna, o.id)
			if over := !time.Now().Before(end); got != in("mail:edit")[0].want && !over {
				t.Fatalf("%s before its end it is %s", time.Until(end), got)
			}
			return got == "no, lapsed; client owns"
		})
		accesses(t, luna, out("no, lapsed; client owns")...)
		sees(t, "lapsed", &end)
		ann.get(t, "/v1/accounts/"+luna+"?as="+o.id).refused(t, http.StatusNotFound, "not_found", "")
		ann.post(t, one+"/leave", nil).refused(t, http.StatusConflict, "not_active", "lapsed")
		olga.patch(t, decision, map[string]any{"until": nil}).refused(t, http.StatusConflict, "not_active", "lapsed")
		if rows := read[list[connection]](t, ann.get(t, "/v1/agencies/"+o.id+"/accounts?status=active").is(t, http.StatusOK)); len(rows.Items) != 0 {
			t.Errorf("the hub lists it as active: %+v", rows.Items)
		}
		same(t, before, s.dump(t))
		s.told(t)

		if r := s.cleanup(t); r.Lapsed != 1 || r.Backlog != 0 {
			t.Errorf("the report is %+v", r)
		}
		s.told(t, lapsed(ben, o.name, name, moment(end)), lapsed(ann, o.name, name, moment(end)), lapsedYours(olga, o.name, name, moment(end)))
		sees(t, "lapsed", &end)
		accesses(t, luna, out("no, lapsed; client owns")...)
		quiet(t)
	}))

	then(t, t.Run("what has ended is shown to both for 90 days, then collected", func(t *testing.T) {
		s.ages(t, 90*aDay-time.Minute, theRow)
		quiet(t)
		row := read[list[connection]](t, ann.get(t, "/v1/agencies/"+o.id+"/accounts?status=lapsed&prefix=luna").is(t, http.StatusOK))
		if len(row.Items) != 1 || row.Items[0].Name != name {
			t.Errorf("the hub shows %+v", row)
		}
		s.ages(t, time.Minute, theRow)
		if r := s.cleanup(t); r.Collected != 1 || r.Backlog != 0 {
			t.Errorf("the report is %+v", r)
		}
		ben.get(t, one).refused(t, http.StatusNotFound, "not_found", "")
		for _, m := range read[list[member]](t, olga.get(t, "/v1/accounts/"+luna+"/team").is(t, http.StatusOK)).Items {
			if m.Kind == "agency" {
				t.Errorf("the client still sees %+v", m)
			}
		}
		accesses(t, luna, out("no, none")[:2]...)
		quiet(t)
		// Numbers never come twice, though the row of before has gone.
		c, r := asks(t)
		if c.Request != 2 {
			t.Errorf("asked anew: %+v", c)
		}
		s.told(t, requested(olga, r))
	}))
}

// TestAskAgain: from every state that a connection can have ended in, one call
// asks again. What ended is visible to both until then.
func TestAskAgain(t *testing.T) {
	s := unlimited(t)
	o := newOffice(t, s, "Bright Agency", "again.test")
	ann, olga := o.ann, s.person(t, "olga@luna.again.test")
	const name = "Luna Bakery"
	luna := olga.opens(t, name)
	decision := "/v1/accounts/" + luna + "/team/" + o.id
	hub := "/v1/agencies/" + o.id
	one := hub + "/connections/" + connectionID(luna, o.id)
	accept := func(t *testing.T, number int) {
		t.Helper()
		olga.post(t, decision+"/accept", map[string]any{"request": number}).is(t, http.StatusOK)
	}
	areas := levels{"pages": "edit"}
	ann.asks(t, o.id, luna, areas)
	for i, c := range []struct {
		status string
		end    func(t *testing.T, number int)
		held   bool // until the owner allows it
		access string
	}{
		{"withdrawn", func(t *testing.T, _ int) { t.Helper(); ann.post(t, one+"/withdraw", nil).is(t, http.StatusOK) }, false, "no, ended; client owns"},
		{"denied", func(t *testing.T, _ int) { t.Helper(); olga.post(t, decision+"/deny", nil).is(t, http.StatusOK) }, true, "no, ended; client owns"},
		{"expired", func(t *testing.T, _ int) {
			t.Helper()
			s.ages(t, 14*aDay, connectionRow(luna, o.id))
			s.cleanup(t)
		}, false, "no, ended; client owns"},
		{"expired", func(t *testing.T, _ int) { t.Helper(); s.ages(t, 14*aDay, connectionRow(luna, o.id)) }, false, "no, ended; client owns"},
		{"revoked", func(t *testing.T, n int) {
			t.Helper()
			accept(t, n)
			olga.delete(t, decision).is(t, http.StatusOK)
		}, true, "no, ended; client owns"},
		{"left", func(t *testing.T, n int) {
			t.Helper()
			accept(t, n)
			ann.post(t, one+"/leave", nil).is(t, http.StatusOK)
		}, false, "no, ended; client owns"},
		{"lapsed", func(t *testing.T, n int) {
			t.Helper()
			body := map[string]any{"request": n, "until": time.Now().Add(aDay).UTC().Format(time.RFC3339)}
			olga.post(t, decision+"/accept", body).is(t, http.StatusOK)
			s.ages(t, aDay, connectionRow(luna, o.id))
			s.cleanup(t)
		}, false, "no, lapsed; client owns"},
	} {
		then(t, t.Run(c.status, func(t *testing.T) {
			s.untilMark(t)
			c.end(t, i+1)
			s.untilMark(t)
			sees := read[connection](t, ann.get(t, one).is(t, http.StatusOK))
			team := read[list[member]](t, olga.get(t, "/v1/accounts/"+luna+"/team").is(t, http.StatusOK)).Items[0]
			if sees.Status != c.status || team.Status != c.status || team.ID != o.id {
				t.Errorf("the agency sees %s, the client %s of %s", sees.Status, team.Status, team.ID)
			}
			accesses(t, luna, check{ann, o.id, c.access})
			if c.held {
				ann.post(t, hub+"/connections", map[string]any{"account": luna, "areas": areas}).limited(t, "cooling", c.status, 1, aMonth)
				olga.allows(t, luna, o.id, true)
			}
			again := ann.asks(t, o.id, luna, areas)
			if again.Request != i+2 || again.Status != "pending" || again.Until != nil {
				t.Errorf("asked again: %+v", again)
			}
			accesses(t, luna, check{ann, o.id, "no, pending; client owns"})
			s.told(t, requested(olga, request{by: ann.email, agency: o.name, account: name, until: moment(*again.ExpiresAt)}))
		}))
	}
}
