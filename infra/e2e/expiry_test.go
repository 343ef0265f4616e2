package e2e

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestExpiry is the clock's part of a request's life, on a stack whose requests
// live for seconds and whose cleanup runs on demand alone.
func TestExpiry(t *testing.T) {
	t.Parallel()
	s := startOwn(t, "-schedules=false", "-set", `SettingsOverride={"requestLifetime":"3s"}`)
	o := newOffice(t, s, "Bright Agency", "expiry.test")
	olga := s.person(t, "olga@luna.expiry.test")
	const name = "Luna Bakery"
	luna := olga.opens(t, name)
	one := "/v1/agencies/" + o.id + "/connections/" + connectionID(luna, o.id)
	decision := "/v1/accounts/" + luna + "/team/" + o.id
	var asked, again connection

	past := func(t *testing.T, c connection) {
		t.Helper()
		eventually(t, "the request has run out", func() bool {
			now := read[connection](t, o.ben.get(t, one).is(t, http.StatusOK))
			if over := !time.Now().Before(*c.ExpiresAt); now.Status == "expired" && !over {
				t.Fatalf("it is expired %s before its time", time.Until(*c.ExpiresAt))
			}
			return now.Status == "expired"
		})
	}

	then(t, t.Run("a request expires by the clock alone, before anything has recorded it", func(t *testing.T) {
		accesses(t, luna, check{o.ben, o.id, "no, none"})
		asked = o.ben.asks(t, o.id, luna, levels{"pages": "edit"})
		past(t, asked)
		before := s.still(t)
		olga.post(t, decision+"/accept", map[string]any{"request": 1}).refused(t, http.StatusGone, "request_expired", "expired")
		o.ben.post(t, one+"/resend", nil).refused(t, http.StatusGone, "request_expired", "expired")
		o.ben.post(t, one+"/withdraw", nil).refused(t, http.StatusGone, "request_expired", "expired")
		if m := read[list[member]](t, olga.get(t, "/v1/accounts/"+luna+"/team").is(t, http.StatusOK)).Items[0]; m.Status != "expired" {
			t.Errorf("the client sees %s", m.Status)
		}
		if row := read[list[connection]](t, o.ann.get(t, "/v1/agencies/"+o.id+"/accounts?status=pending").is(t, http.StatusOK)); len(row.Items) != 0 {
			t.Errorf("the hub lists it as pending: %+v", row.Items)
		}
		accesses(t, luna, check{o.ben, o.id, "no, ended; client owns"}, check{olga, "", "yes, own, " + everything + "; client owns"})
		if diff := cmp.Diff(before, s.dump(t)); diff != "" {
			t.Errorf("a refused step wrote (-before +after):\n%s", diff)
		}
		s.told(t, requested(olga, request{by: o.ben.email, agency: o.name, account: name, until: moment(*asked.ExpiresAt), link: s.PublicURL + "/requests/" + asked.ID}))
	}))

	then(t, t.Run("cleanup records it and both sides are told, once", func(t *testing.T) {
		r := s.cleanup(t)
		if r.Expired != 1 || r.Lapsed != 0 || r.Failed != 0 || r.Backlog != 0 || !r.Finished {
			t.Errorf("the report is %+v", r)
		}
		until := moment(*asked.ExpiresAt)
		s.told(t, expired(o.ben, o.name, luna, until), expired(o.ann, o.name, luna, until), expiredAt(olga, o.name, name, until))
		accesses(t, luna, check{o.ben, o.id, "no, ended; client owns"})
		row := read[list[connection]](t, o.ann.get(t, "/v1/agencies/"+o.id+"/accounts?status=expired").is(t, http.StatusOK))
		if len(row.Items) != 1 || row.Counts.Pending != 0 {
			t.Errorf("the hub shows %+v", row)
		}
	}))

	then(t, t.Run("a second cleanup changes nothing and tells nobody", func(t *testing.T) {
		before := s.still(t)
		r := s.cleanup(t)
		if r.Expired != 0 || r.Lapsed != 0 || r.Woken != 0 || r.Failed != 0 || r.Backlog != 0 {
			t.Errorf("the report is %+v", r)
		}
		if diff := cmp.Diff(before, s.dump(t)); diff != "" {
			t.Errorf("it wrote (-before +after):\n%s", diff)
		}
		s.told(t)
	}))

	then(t, t.Run("the agency asks again; a request that has run out unrecorded is asked anew with its expiry told first", func(t *testing.T) {
		again = o.ann.asks(t, o.id, luna, levels{"pages": "edit"})
		if again.Request != 2 || again.Status != "pending" {
			t.Errorf("asked again: %+v", again)
		}
		s.told(t, requested(olga, request{by: o.ann.email, agency: o.name, account: name, until: moment(*again.ExpiresAt)}))
		past(t, again)
		third := o.ann.asks(t, o.id, luna, levels{"mail": "view"})
		if third.Request != 3 || third.Status != "pending" {
			t.Errorf("asked a third time: %+v", third)
		}
		// That the second is over is of no use to anybody once the third is there.
		s.told(t, requested(olga, request{by: o.ann.email, agency: o.name, account: name, until: moment(*third.ExpiresAt)}))
		again = third
	}))

	then(t, t.Run("the owner dismisses a request that has run out: that is a denial", func(t *testing.T) {
		past(t, again)
		c := read[connection](t, olga.post(t, decision+"/deny", nil).is(t, http.StatusOK))
		if c.Status != "denied" {
			t.Errorf("it is %s", c.Status)
		}
		if r := s.cleanup(t); r.Expired != 0 || r.Backlog != 0 {
			t.Errorf("the report is %+v", r)
		}
		s.told(t, denied(o.ann, o.name, luna), deniedBy(olga, olga, o.name, name))
		want := []string{
			"account.opened", "connection.requested", "connection.expired", "connection.requested", "connection.expired",
			"connection.requested", "connection.expired", "connection.denied",
		}
		if diff := cmp.Diff(want, kinds(olga.activity(t, luna, ""))); diff != "" {
			t.Errorf("activity (-want +got):\n%s", diff)
		}
		accesses(t, luna, check{o.ann, o.id, "no, ended; client owns"})
	}))

	then(t, t.Run("an accept a moment past the end is refused", func(t *testing.T) {
		// Olga holds the agency off since she denied it, so another one is asked.
		pia := s.person(t, "pia@shop.expiry.test")
		shop := pia.opens(t, "Luna Shop")
		c := o.ann.asks(t, o.id, shop, levels{"pages": "edit"})
		path := "/v1/accounts/" + shop + "/team/" + o.id + "/accept"
		eventually(t, "the request runs out between two accepts of another one", func() bool {
			r := pia.post(t, path, map[string]any{"request": 2})
			return r.Status != http.StatusConflict
		})
		pia.post(t, path, map[string]any{"request": 1}).refused(t, http.StatusGone, "request_expired", "expired")
		accesses(t, shop, check{o.ann, o.id, "no, ended; client owns"})
		if r := s.cleanup(t); r.Expired != 1 {
			t.Errorf("the report is %+v", r)
		}
		until := moment(*c.ExpiresAt)
		s.told(t, requested(pia, request{by: o.ann.email, agency: o.name, account: "Luna Shop", until: until}),
			expired(o.ann, o.name, shop, until), expiredAt(pia, o.name, "Luna Shop", until))
	}))
}

// report is what cleanup prints.
type report struct {
	Expired, Lapsed, Woken, Reminded, Ended, Erased, Collected, Failed, Backlog int
	Oldest                                                                      *time.Time
	Finished                                                                    bool
}

// cleanup runs the scheduled cleanup now, which must leave nothing undone.
func (s *stack) cleanup(t *testing.T) report {
	t.Helper()
	answer, err := s.Cleanup(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var r report
	if err := json.Unmarshal(answer, &r); err != nil {
		t.Fatalf("%s: %v", answer, err)
	}
	if r.Failed != 0 || !r.Finished {
		t.Errorf("the report is %s", answer)
	}
	return r
}
