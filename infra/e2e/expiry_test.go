package e2e

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"
)

type expiryStory struct {
	agencyStaff
	olga                                          *person
	accountName, luna, connectionPath, memberPath string
	first, latest                                 connection
}

// TestExpiry tests how requests expire, on a stack whose requests expire after
// seconds and whose cleanup runs on demand.
func TestExpiry(t *testing.T) {
	t.Parallel()
	s := &expiryStory{agencyStaff: newAgency(t, startOwn(t, "-schedules=false", "-set", `SettingsOverride={"requestLifetime":"3s",`+personLimits+`}`), "Bright Agency", "expiry.test")}

	s.olga = s.person(t, "olga@luna.expiry.test")
	s.accountName = "Luna Bakery"
	s.luna = s.olga.opens(t, s.accountName)
	s.connectionPath = s.agencyPath + "/connections/" + connectionID(s.luna, s.agencyID)
	s.memberPath = "/v1/accounts/" + s.luna + "/team/" + s.agencyID

	step(t, t.Run("a request expires by the clock alone, before anything has recorded it", s.expireByClock))
	step(t, t.Run("cleanup records it and both sides are told, once", s.cleanupRecords))
	step(t, t.Run("a second cleanup changes nothing and tells nobody", s.cleanupAgain))
	step(t, t.Run("the agency asks again; a request that has run out unrecorded is asked anew with its expiry told first", s.requestAgain))
	step(t, t.Run("the owner dismisses a request that has run out: that is a decline", s.declineExpired))
	step(t, t.Run("an accept a moment past the end is refused", s.acceptTooLate))
}

func (s *expiryStory) waitForExpiry(t *testing.T, c connection) {
	t.Helper()
	eventually(t, "the request has run out", func() bool {
		now := read[connection](t, s.ben.get(t, s.connectionPath).is(t, http.StatusOK))
		if over := !time.Now().Before(*c.ExpiresAt); now.Status == "expired" && !over {
			t.Fatalf("it is expired %s before its time", time.Until(*c.ExpiresAt))
		}
		return now.Status == "expired"
	})
}

func (s *expiryStory) expireByClock(t *testing.T) {
	expectAccess(t, s.luna, wantAccess{s.ben, s.agencyID, "no, none"})
	s.first = s.ben.requests(t, s.agencyID, s.luna, levels{"pages": "edit"})
	s.waitForExpiry(t, s.first)
	before := s.settled(t)
	s.olga.post(t, s.memberPath+"/accept", map[string]any{"request": 1}).refused(t, http.StatusGone, "request_expired", "expired")
	s.ben.post(t, s.connectionPath+"/resend", nil).refused(t, http.StatusGone, "request_expired", "expired")
	s.ben.post(t, s.connectionPath+"/withdraw", nil).refused(t, http.StatusGone, "request_expired", "expired")
	m := read[list[member]](t, s.olga.get(t, "/v1/accounts/"+s.luna+"/team").is(t, http.StatusOK)).Items[0]
	expectEqual(t, "the status that the client sees", "expired", m.Status)
	s.ann.expectEmpty(t, s.agencyPath+"/accounts?status=pending")
	expectAccess(t, s.luna, wantAccess{s.ben, s.agencyID, "no, ended; client owns"}, wantAccess{s.olga, "", "yes, own, " + everything + "; client owns"})
	expectUnchanged(t, before, s.dump(t))
	s.expectEmails(t, requested(s.olga, request{by: s.ben.email, agency: s.agencyName, account: s.accountName, until: moment(*s.first.ExpiresAt), link: s.PublicURL + "/requests/" + s.first.ID}))
}

func (s *expiryStory) cleanupRecords(t *testing.T) {
	r := s.cleanup(t)
	if r.Expired != 1 || r.Lapsed != 0 || r.Failed != 0 || r.Backlog != 0 || !r.Finished {
		t.Errorf("the report is %+v", r)
	}
	until := moment(*s.first.ExpiresAt)
	s.expectEmails(t, expired(s.ben, s.agencyName, s.luna, until), expired(s.ann, s.agencyName, s.luna, until), expiredClient(s.olga, s.agencyName, s.accountName, until))
	expectAccess(t, s.luna, wantAccess{s.ben, s.agencyID, "no, ended; client owns"})
	row := read[list[connection]](t, s.ann.get(t, s.agencyPath+"/accounts?status=expired").is(t, http.StatusOK))
	if len(row.Items) != 1 || row.Counts.Pending != 0 {
		t.Errorf("the agency's list shows %+v", row)
	}
}

func (s *expiryStory) cleanupAgain(t *testing.T) {
	before := s.settled(t)
	r := s.cleanup(t)
	if r.Expired != 0 || r.Lapsed != 0 || r.Woken != 0 || r.Failed != 0 || r.Backlog != 0 {
		t.Errorf("the report is %+v", r)
	}
	expectUnchanged(t, before, s.dump(t))
	s.expectEmails(t)
}

func (s *expiryStory) requestAgain(t *testing.T) {
	s.latest = s.ann.requests(t, s.agencyID, s.luna, levels{"pages": "edit"})
	if s.latest.Request != 2 || s.latest.Status != "pending" {
		t.Errorf("asked again: %+v", s.latest)
	}
	s.expectEmails(t, requested(s.olga, request{by: s.ann.email, agency: s.agencyName, account: s.accountName, until: moment(*s.latest.ExpiresAt)}))
	s.waitForExpiry(t, s.latest)
	third := s.ann.requests(t, s.agencyID, s.luna, levels{"mail": "view"})
	if third.Request != 3 || third.Status != "pending" {
		t.Errorf("asked a third time: %+v", third)
	}
	// Nobody needs to hear that the second has expired once the third is there.
	s.expectEmails(t, requested(s.olga, request{by: s.ann.email, agency: s.agencyName, account: s.accountName, until: moment(*third.ExpiresAt)}))
	s.latest = third
}

func (s *expiryStory) declineExpired(t *testing.T) {
	s.waitForExpiry(t, s.latest)
	s.olga.post(t, s.memberPath+"/decline", map[string]any{"request": s.latest.Request}).expectStatus(t, "declined")
	if r := s.cleanup(t); r.Expired != 0 || r.Backlog != 0 {
		t.Errorf("the report is %+v", r)
	}
	s.expectEmails(t, declined(s.ann, s.agencyName, s.luna), declinedBy(s.olga, s.olga, s.agencyName, s.accountName))
	s.olga.expectActivity(t, s.luna, "", "account.opened", "connection.requested", "connection.expired", "connection.requested", "connection.expired",
		"connection.requested", "connection.expired", "connection.declined")
	expectAccess(t, s.luna, wantAccess{s.ann, s.agencyID, "no, ended; client owns"})
}

func (s *expiryStory) acceptTooLate(t *testing.T) {
	// Olga's account is in its cooldown, so another one is asked.
	pia := s.person(t, "pia@shop.expiry.test")
	shop := pia.opens(t, "Luna Shop")
	c := s.ann.requests(t, s.agencyID, shop, levels{"pages": "edit"})
	path := "/v1/accounts/" + shop + "/team/" + s.agencyID + "/accept"
	eventually(t, "the request runs out between two accepts of another one", func() bool {
		r := pia.post(t, path, map[string]any{"request": 2})
		return r.Status != http.StatusConflict
	})
	pia.post(t, path, map[string]any{"request": 1}).refused(t, http.StatusGone, "request_expired", "expired")
	expectAccess(t, shop, wantAccess{s.ann, s.agencyID, "no, ended; client owns"})
	expectEqual(t, "expired requests", 1, s.cleanup(t).Expired)
	until := moment(*c.ExpiresAt)
	s.expectEmails(t, requested(pia, request{by: s.ann.email, agency: s.agencyName, account: "Luna Shop", until: until}),
		expired(s.ann, s.agencyName, shop, until), expiredClient(pia, s.agencyName, "Luna Shop", until))
}

// A cleanupReport is what cleanup prints.
type cleanupReport struct {
	Digests                                                                     int
	Expired, Lapsed, Woken, Reminded, Ended, Erased, Collected, Failed, Backlog int
	Oldest                                                                      *time.Time
	Finished                                                                    bool
}

// cleanup runs the scheduled cleanup, which must finish without failures.
func (s *stack) cleanup(t *testing.T) cleanupReport {
	t.Helper()
	answer, err := s.Cleanup(t.Context())
	must(t, err)
	var r cleanupReport
	if err := json.Unmarshal(answer, &r); err != nil {
		t.Fatalf("%s: %v", answer, err)
	}
	if r.Failed != 0 || !r.Finished {
		t.Errorf("the report is %s", answer)
	}
	return r
}
