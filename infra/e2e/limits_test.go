package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"agencyhub/infra/e2e/client"
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
	s := &limitsStory{stack: startOwn(t, "-schedules=false", "-set", `SettingsOverride={"openRequests":3,"dailyRequests":5,"openInvitations":3,`+
		`"unsolicitedMails":{"all":3,"bySender":3,"byAccount":3,"neverSignedIn":2},"digestAt":"1s","digestSpread":"0s",`+actorLimits+`}`)}
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
	step(t, t.Run("so many invitations and offers of an account wait at once", s.openInvitations))
	step(t, t.Run("a mailbox gets so many unsolicited emails a day, exactly, and the others in one digest; no agency can tell, and receipts are never held back", s.dailyEmails))
	step(t, t.Run("somebody who has never signed in gets fewer", s.neverSignedIn))
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

func (s *limitsStory) openInvitations(t *testing.T) {
	otto, ida, eva := s.person(t, "otto@inn.limits.test"), s.person(t, "ida@inn.limits.test"), s.person(t, "eva@inn.limits.test")
	inn := otto.opens(t, "Otto's Inn")
	team := "/v1/accounts/" + inn + "/team"
	admin := func(email string) map[string]any { return map[string]any{"email": email, "role": "admin"} }
	full := func(t *testing.T) {
		t.Helper()
		s.newEmails(t)
		before := s.settled(t)
		otto.post(t, team, admin("x@inn.limits.test")).limited(t, "rate_limited", "", time.Hour, time.Hour)
		expectUnchanged(t, before, s.dump(t))
	}
	otto.invites(t, inn, ida, "admin", nil)
	otto.sendsInvitation(t, inn, eva, "admin", nil)
	otto.post(t, team, admin("bo@inn.limits.test")).is(t, http.StatusCreated)
	otto.patch(t, team+"/"+ida.id(), map[string]any{"role": "owner"}).is(t, http.StatusOK)
	full(t)
	otto.post(t, team+"/"+eva.id()+"/withdraw", nil).expectStatus(t, "withdrawn")
	otto.sendsInvitation(t, inn, eva, "admin", nil)
	full(t)
	ida.joins(t, inn)
	otto.post(t, team, admin("cy@inn.limits.test")).is(t, http.StatusCreated)
	full(t)
	eva.post(t, "/v1/me/invitations/"+inn+"/decline", map[string]any{"request": 2}).is(t, http.StatusOK)
	otto.post(t, team, admin("di@inn.limits.test")).is(t, http.StatusCreated)
	full(t)
}

// digests sends the digests that are due, and returns all emails since the last look.
func (s *limitsStory) digests(t *testing.T) []client.Email {
	t.Helper()
	eventually(t, "the digests are due and sent", func() bool {
		s.cleanup(t)
		for key := range s.settled(t) {
			if strings.HasPrefix(key, "HELD#") && strings.Contains(key, " MAIL#") {
				return false
			}
		}
		return true
	})
	return s.newEmails(t)
}

// expectDigest checks that the only email is the digest of these subjects.
func (s *limitsStory) expectDigest(t *testing.T, got []client.Email, to *person, subjects ...string) {
	t.Helper()
	s.expectSummary(t, got, to, fmt.Sprintf("%d requests and invitations are waiting for you on Agency Hub", len(subjects)), append(subjects, normalized(s.PublicURL+"/waiting"))...)
}

// expectSummary checks a digest with that subject.
func (s *limitsStory) expectSummary(t *testing.T, got []client.Email, to *person, subject string, lines ...string) {
	t.Helper()
	if len(got) != 1 || got[0].To != to.email || got[0].Subject != subject {
		t.Fatalf("the digest is %+v", got)
	}
	s.expectWellFormed(t, got[0])
	for part, text := range map[string]string{"text": normalized(got[0].Text), "HTML": normalized(htmlText(got[0].HTML))} {
		expectContains(t, "the digest's "+part, text, append(lines, "Here is what we held back for "+to.email)...)
	}
}

func (s *limitsStory) dailyEmails(t *testing.T) {
	s.digests(t) // of the steps before
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
	reached := map[string]bool{} // which of them is not fixed: their emails are sent side by side
	for _, m := range s.newEmails(t) {
		s.expectWellFormed(t, m)
		expectEqual(t, "who got "+m.Subject, nora.email, m.To)
		reached[m.Subject] = true
	}
	expectEqual(t, "emails that reached her", 3, len(reached))
	shapes = nil
	for _, owner := range owners {
		connectionPath := "/v1/agencies/" + owner.agencyID + "/connections/" + connectionID(nora.id(), owner.agencyID)
		r := owner.get(t, connectionPath)
		if c := read[connection](t, r); c.Delivery != nil || c.Status != "pending" {
			t.Errorf("%s sees %+v", owner.agencyName, c)
		}
		shapes = append(shapes, shapeOf(r, owner.agencyName))
	}
	expectSameShape(t, "looking at it", shapes...)
	// All requests are there, with an email or without.
	expectEqual(t, "requests that she sees", len(owners), len(read[list[connection]](t, nora.get(t, "/v1/requests").is(t, http.StatusOK)).Items))
	expectEqual(t, "what waits for her", len(owners), len(nora.waiting(t)))
	var held []string
	for _, owner := range owners {
		if asks := owner.agencyName + " asks to work for you"; !reached[asks] {
			held = append(held, asks)
		}
	}
	s.expectDigest(t, s.digests(t), nora, held...)
	for i, owner := range owners {
		r := owner.get(t, "/v1/agencies/"+owner.agencyID+"/connections/"+connectionID(nora.id(), owner.agencyID))
		expectEqual(t, "what "+owner.agencyName+" sees after the digest", shapes[i], shapeOf(r, owner.agencyName))
	}
	last := owners[len(owners)-1]
	path := "/v1/requests/" + connectionID(nora.id(), last.agencyID) + "/accept"
	nora.post(t, path, map[string]any{"account": shop, "request": 1}).is(t, http.StatusOK)
	expectAccess(t, shop, wantAccess{last.person, last.agencyID, "yes, " + last.agencyID + ", pages:edit; client owns"})
	s.expectEmails(t, accepted(last.person, last.agencyName, "Nora's Shop", ""), acceptedBy(nora, nora, last.agencyName, "Nora's Shop", ""))
	for _, owner := range owners[:4] {
		owner.post(t, "/v1/agencies/"+owner.agencyID+"/connections/"+connectionID(nora.id(), owner.agencyID)+"/withdraw", nil).is(t, http.StatusOK)
	}
	s.expectEmails(t) // the emails about the end are over the limit too
	held = nil
	for _, owner := range owners[:4] {
		held = append(held, owner.agencyName+" has withdrawn its request")
	}
	s.expectSummary(t, s.digests(t), nora, "A summary of your emails from Agency Hub", held...)
}

func (s *limitsStory) neverSignedIn(t *testing.T) {
	var held []string
	nina := &person{stack: s.stack, email: "nina@shop.limits.test"}
	for i := range 4 {
		owner := s.person(t, fmt.Sprintf("chief%d@limits.test", i))
		name := fmt.Sprintf("Luna House %d", i)
		owner.sendsInvitation(t, owner.opens(t, name), nina, "admin", nil)
		if i < 2 {
			s.expectEmails(t, invited(nina, owner, name, "an admin"))
			continue
		}
		held = append(held, "You’re invited to "+name)
		s.expectEmails(t)
	}
	s.expectDigest(t, s.digests(t), nina, held...)
}
