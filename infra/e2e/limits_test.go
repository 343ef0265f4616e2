package e2e

import (
	"fmt"
	"net/http"
	"testing"
	"time"
)

type limitsStory struct {
	*stack
	ann, olga                 *person
	agencyID, connectionsPath string
	areas                     levels
	accounts                  []string
}

// TestLimits tests limits (README, Limits), on a stack where they are small.
func TestLimits(t *testing.T) {
	t.Parallel()
	s := &limitsStory{stack: startOwn(t, "-schedules=false", "-set", `SettingsOverride={"openRequests":3,"dailyRequests":5,"dailyMails":3,`+personLimits+`}`)}
	s.ann, s.olga = s.person(t, "ann@limits.test"), s.person(t, "olga@luna.limits.test")
	s.agencyID = s.ann.opensAgency(t, "Bright Agency")
	s.connectionsPath = "/v1/agencies/" + s.agencyID + "/connections"
	s.areas = levels{"pages": "edit"}

	for i := range 4 {
		s.accounts = append(s.accounts, s.olga.opens(t, fmt.Sprintf("Luna %d", i)))
	}

	step(t, t.Run("so many requests of an agency wait at once, by either way of asking", s.openRequests))
	step(t, t.Run("so many new ones a day; an accepted one is given back to the day", s.dailyRequests))
	step(t, t.Run("a request is sent again three times, a day apart; four emails in 30 days, whatever is withdrawn and asked again", s.resends))
	step(t, t.Run("a person gets so many unsolicited emails a day over all agencies, exactly; no agency can tell, and receipts are never held back", s.dailyEmails))
}

func (s *limitsStory) sendRequest(t *testing.T, account string) *reply {
	t.Helper()
	return s.ann.post(t, s.connectionsPath, map[string]any{"account": account, "areas": s.areas})
}

func (s *limitsStory) sendRequestByEmail(t *testing.T, email string) *reply {
	t.Helper()
	return s.ann.post(t, s.connectionsPath, map[string]any{"ownerEmail": email, "areas": s.areas})
}

func (s *limitsStory) withdraw(t *testing.T, addressee string) {
	t.Helper()
	s.ann.post(t, s.connectionsPath+"/"+connectionID(addressee, s.agencyID)+"/withdraw", nil).is(t, http.StatusOK)
}

func (s *limitsStory) expectLimited(t *testing.T, least, most time.Duration) {
	t.Helper()
	s.newEmails(t)
	before := s.settled(t)
	s.sendRequest(t, s.accounts[3]).limited(t, "rate_limited", "", least, most)
	s.sendRequestByEmail(t, "nora@limits.test").limited(t, "rate_limited", "", least, most)
	expectUnchanged(t, before, s.dump(t))
}

func (s *limitsStory) expectPending(t *testing.T, want int) {
	t.Helper()
	row := read[list[connection]](t, s.ann.get(t, "/v1/agencies/"+s.agencyID+"/accounts").is(t, http.StatusOK))
	expectEqual(t, "pending requests", want, row.Counts.Pending)
}

func (s *limitsStory) openRequests(t *testing.T) {
	s.sendRequest(t, s.accounts[0]).is(t, http.StatusCreated)
	s.sendRequest(t, s.accounts[1]).is(t, http.StatusCreated)
	s.sendRequestByEmail(t, "petra@limits.test").is(t, http.StatusCreated)
	s.expectPending(t, 3)
	s.expectLimited(t, time.Hour, time.Hour)
	s.withdraw(t, s.accounts[1])
	s.sendRequest(t, s.accounts[2]).is(t, http.StatusCreated)
	s.expectPending(t, 3)
	s.expectLimited(t, time.Hour, time.Hour)
	expectAccess(t, s.accounts[3], wantAccess{s.ann, s.agencyID, "no, none"})
}

func (s *limitsStory) dailyRequests(t *testing.T) {
	midnight := time.Until(time.Now().UTC().Truncate(day).Add(day))
	s.withdraw(t, (&person{email: "petra@limits.test"}).id())
	s.withdraw(t, s.accounts[2])
	s.sendRequest(t, s.accounts[1]).is(t, http.StatusCreated) // the fifth
	s.withdraw(t, s.accounts[1])
	s.expectPending(t, 1)
	s.expectLimited(t, 1, midnight+time.Second)
	s.olga.post(t, "/v1/accounts/"+s.accounts[0]+"/team/"+s.agencyID+"/accept", map[string]any{"request": 1}).is(t, http.StatusOK)
	expectAccess(t, s.accounts[0], wantAccess{s.ann, s.agencyID, "yes, " + s.agencyID + ", pages:edit; client owns"})
	s.sendRequest(t, s.accounts[3]).is(t, http.StatusCreated)
	s.withdraw(t, s.accounts[3])
	s.expectLimited(t, 1, midnight+time.Second)
	s.expectPending(t, 0)
}

func (s *limitsStory) resends(t *testing.T) {
	rita, sam := s.person(t, "rita@limits.test"), s.person(t, "sam@limits.test")
	shop := rita.opens(t, "Rita's Shop")
	rivalID := sam.opensAgency(t, "Rival Agency")
	connectionsPath := "/v1/agencies/" + rivalID + "/connections"
	sendRequest := func(t *testing.T) *reply {
		t.Helper()
		return sam.post(t, connectionsPath, map[string]any{"account": shop, "areas": s.areas})
	}
	connectionPath := connectionsPath + "/" + connectionID(shop, rivalID)
	c := read[connection](t, sendRequest(t).is(t, http.StatusCreated))
	r := request{by: sam.email, agency: "Rival Agency", account: "Rita's Shop", until: moment(*c.ExpiresAt)}
	s.expectEmails(t, requested(rita, r))
	resend := func(t *testing.T) *reply { t.Helper(); return sam.post(t, connectionPath+"/resend", nil) }
	// One email a day stays below the day's own limit of 3.
	for range 2 {
		resend(t).limited(t, "rate_limited", "pending", day-time.Minute, day)
		s.age(t, day, connectionRow(shop, rivalID), pairRow(shop, rivalID))
		r.until = moment(*read[connection](t, resend(t).is(t, http.StatusOK)).ExpiresAt)
		s.expectEmails(t, resent(requested(rita, r)))
	}
	sam.post(t, connectionPath+"/withdraw", nil).is(t, http.StatusOK)
	s.newEmails(t) // her fourth email of the day
	sendRequest(t).is(t, http.StatusCreated)
	sam.post(t, connectionPath+"/withdraw", nil).is(t, http.StatusOK)
	s.newEmails(t)
	before := s.settled(t)
	sendRequest(t).limited(t, "rate_limited", "", month-2*day-time.Minute, month-2*day)
	expectUnchanged(t, before, s.dump(t))
	expectAccess(t, shop, wantAccess{sam, rivalID, "no, ended; client owns"})
	s.age(t, month-2*day, pairRow(shop, rivalID))
	sendRequest(t).is(t, http.StatusCreated)
	s.newEmails(t)
	// The three resends of one request, without the limit on emails of a month.
	for range 3 {
		s.age(t, day, connectionRow(shop, rivalID))
		s.age(t, month, pairRow(shop, rivalID))
		resend(t).is(t, http.StatusOK)
	}
	s.age(t, day, connectionRow(shop, rivalID))
	s.age(t, month, pairRow(shop, rivalID))
	resend(t).limited(t, "rate_limited", "pending", 13*day-time.Minute, 13*day)
	s.newEmails(t)
}

func (s *limitsStory) dailyEmails(t *testing.T) {
	nora := s.person(t, "nora@shop.limits.test")
	shop := nora.opens(t, "Nora's Shop")
	var owners []agencyOwner
	var shapes []shape
	for i := range 5 {
		owner := agencyOwner{person: s.person(t, fmt.Sprintf("boss%d@limits.test", i)), agencyName: fmt.Sprintf("Bright %d", i)}
		owner.agencyID = owner.opensAgency(t, owner.agencyName)
		r := owner.post(t, "/v1/agencies/"+owner.agencyID+"/connections", map[string]any{"ownerEmail": nora.email, "areas": s.areas})
		r.is(t, http.StatusCreated)
		owners, shapes = append(owners, owner), append(shapes, shapeOf(r, owner.agencyName))
	}
	expectSameShape(t, "asking somebody who has had enough", shapes...)
	reached := 0
	for _, m := range s.newEmails(t) {
		s.expectWellFormed(t, m)
		expectEqual(t, "who got "+m.Subject, nora.email, m.To)
		reached++
	}
	expectEqual(t, "emails that reached her", 3, reached)
	shapes = nil
	for _, owner := range owners {
		connectionPath := "/v1/agencies/" + owner.agencyID + "/connections/" + connectionID(nora.id(), owner.agencyID)
		r := owner.get(t, connectionPath)
		if c := read[connection](t, r); value(c.Delivery) != "sent" || c.Status != "pending" {
			t.Errorf("%s sees %+v", owner.agencyName, c)
		}
		shapes = append(shapes, shapeOf(r, owner.agencyName))
	}
	expectSameShape(t, "looking at it", shapes...)
	// All requests are there, with an email or without.
	expectEqual(t, "requests that she sees", len(owners), len(read[list[connection]](t, nora.get(t, "/v1/requests").is(t, http.StatusOK)).Items))
	last := owners[len(owners)-1]
	path := "/v1/requests/" + connectionID(nora.id(), last.agencyID) + "/accept"
	nora.post(t, path, map[string]any{"account": shop, "request": 1}).is(t, http.StatusOK)
	expectAccess(t, shop, wantAccess{last.person, last.agencyID, "yes, " + last.agencyID + ", pages:edit; client owns"})
	s.expectEmails(t, accepted(last.person, last.agencyName, "Nora's Shop", ""), acceptedBy(nora, nora, last.agencyName, "Nora's Shop", ""))
	for _, owner := range owners[:4] {
		owner.post(t, "/v1/agencies/"+owner.agencyID+"/connections/"+connectionID(nora.id(), owner.agencyID)+"/withdraw", nil).is(t, http.StatusOK)
	}
	s.expectEmails(t) // she gets no email about the end either
}
