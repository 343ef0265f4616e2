package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"agencyhub/infra/e2e/client"
)

// TestAttacks plays what a stranger can try against a person whose address they know. The
// victim keeps their access, gets the genuine request's email at once or in the digest,
// owes nothing, gets a bounded number of emails, and can stop these. The attacker can't
// tell what became of an email.
func TestAttacks(t *testing.T) {
	t.Parallel()
	s := newAttackStory(t)
	t.Run("20 junk invitations don't shut somebody out of their clients, and don't slow their sign-in", s.shutOut)
	t.Run("junk doesn't silence the genuine request of somebody who has signed in", s.silence)
	t.Run("nor of somebody who never has", s.silenceNewcomer)
	t.Run("nor can more junk push it out of the digest", s.pushOut)
	t.Run("nor another spelling of the address take the digest", s.misspell)
	t.Run("nobody is made owner and payer by another's act", s.makeOwner)
	t.Run("40 plan changes of an account whose owner has never accepted", s.planChanges)
	t.Run("40 role changes after a sign-in", s.roleChanges)
	t.Run("15 x open, invite, close", s.openInviteClose)
	t.Run("8 x connect and leave", s.connectAndLeave)
	t.Run("150 invitations by one account", s.manyInvitations)
	t.Run("150 requests by three agencies of one person", s.manyRequests)
	t.Run("40 spellings of one mailbox", s.manySpellings)
	t.Run("120 accounts opened by one person", s.manyAccounts)
	t.Run("an inviting account reads the same of every address, at every moment", s.readInvitations)
	t.Run("so does an agency that requests access by email", s.readRequests)
	t.Run("no id of the other side's people is read", s.readIDs)
	t.Run("the last owner offers ownership to a mistyped address, and can't leave", s.mistypedOwner)
	t.Run("stop links: forged, of another mailbox, old, fetched by a scanner", s.stopLinks)
	t.Run("who declined and blocked an account hears nothing more of it", s.declineAndBlock)
}

func (s *attackStory) shutOut(t *testing.T) {
	v, calm := s.victim(t, "vera"), s.victim(t, "cleo")
	me := func(who *victim) func() { return func() { who.get(t, "/v1/me").is(t, http.StatusOK) } }
	before, _ := medians(15, me(v), me(calm))
	all := s.junk(t, 20, v.email)
	v.isAsked(t)
	v.expectAccess(t)
	after, unharmed := medians(15, me(v), me(calm))
	t.Logf("20 junk invitations: /v1/me %.1f ms before, %.1f after; %.1f at the same time for somebody with none", ms(before), ms(after), ms(unharmed))
	if after > 3*unharmed+10*time.Millisecond {
		t.Errorf("/v1/me takes %.1f ms with 20 invitations, and %.1f without", ms(after), ms(unharmed))
	}
	expectEqual(t, "what waits", 21, len(v.waiting(t)))
	for _, j := range all {
		expectAccess(t, j.account, wantAccess{v.person, "", "no, invited; client owns"})
	}
	// Whatever becomes of the junk, access stays.
	v.post(t, "/v1/me/invitations/"+all[0].account+"/decline", map[string]any{"request": 1}).is(t, http.StatusOK)
	all[1].by.post(t, "/v1/accounts/"+all[1].account+"/team/"+v.id()+"/withdraw", nil).is(t, http.StatusOK)
	v.expectUnharmed(t)
	held := v.pageOfWaiting(t)
	for i := 2; i < len(all); i++ {
		expectContains(t, "the page of what waits", held, fmt.Sprintf("Junk %d", i))
	}
}

func (s *attackStory) silence(t *testing.T) { s.expectNotSilenced(t, s.victim(t, "sila"), 12) }

func (s *attackStory) silenceNewcomer(t *testing.T) { s.expectNotSilenced(t, s.newcomer("nele"), 4) }

// expectNotSilenced checks that as much junk as fills a mailbox's day, and more, costs a
// victim those emails and a digest, and tells nobody anything.
func (s *attackStory) expectNotSilenced(t *testing.T, v *victim, n int) {
	t.Helper()
	all := s.junk(t, n, v.email)
	v.isAsked(t)
	v.expectSameReading(t, all)
	got := v.expectUnharmed(t)
	v.expectSameReading(t, all)
	if len(got.unsolicited) != v.mails || len(got.digests) != 1 {
		t.Errorf("%s", got)
	}
}

// pushOut asks more after the genuine request than a digest has lines.
func (s *attackStory) pushOut(t *testing.T) {
	v := s.victim(t, "xena")
	s.junk(t, 12, v.email)
	v.isAsked(t)
	s.junk(t, 12, v.email)
	v.expectUnharmed(t)
}

// misspell asks another spelling of the mailbox last.
func (s *attackStory) misspell(t *testing.T) {
	v, by := s.victim(t, "yara"), s.stranger(t)
	s.junk(t, 12, v.email)
	v.isAsked(t)
	s.invite(t, by, by.opens(t, "Junk"), "yara+x@victims.test", "member").is(t, http.StatusCreated)
	v.expectUnharmed(t)
}

func (s *attackStory) makeOwner(t *testing.T) {
	v, by := s.victim(t, "olga"), s.stranger(t)
	costly := by.opens(t, "Costly")
	account := "/v1/accounts/" + costly
	s.invite(t, by, costly, v.email, "owner").is(t, http.StatusCreated)
	by.patch(t, account+"/subscription", map[string]any{"plan": "scale"}).is(t, http.StatusOK)
	v.isAsked(t)
	by.delete(t, account+"/team/"+by.id()).refused(t, http.StatusConflict, "last_owner", "active")
	by.patch(t, account+"/team/"+by.id(), map[string]any{"role": "admin"}).refused(t, http.StatusConflict, "last_owner", "active")
	by.delete(t, "/v1/me").refused(t, http.StatusConflict, "last_owner", "")
	for _, path := range []string{"", "/subscription", "/team"} {
		v.get(t, account+path).refused(t, http.StatusNotFound, "not_found", "")
	}
	// The price is shown, and the plan that was seen is named.
	offers := v.waiting(t)
	i := slices.IndexFunc(offers, func(w invitation) bool { return w.Kind == "invitation" })
	if i < 0 || offers[i].Plan == nil || offers[i].Plan.ID != "scale" || value(offers[i].Role) != "owner" {
		t.Fatalf("what waits: %+v", offers)
	}
	expectContains(t, "the page of what waits", v.pageOfWaiting(t), normalized("You will pay for this account: Scale"))
	accept := "/v1/me/invitations/" + costly + "/accept"
	v.post(t, accept, map[string]any{"request": 1}).refused(t, http.StatusBadRequest, "invalid", "")
	v.post(t, accept, map[string]any{"request": 1, "plan": "starter"}).refused(t, http.StatusConflict, "conflict", "invited")
	v.expectUnharmed(t)

	// Nothing holds back somebody who erases their data.
	lea := s.newcomer("lea")
	s.invite(t, by, costly, lea.email, "owner").is(t, http.StatusCreated)
	lea.signsIn(t)
	lea.delete(t, "/v1/me").is(t, http.StatusNoContent)
	s.cleanup(t)
	by.delete(t, account+"/team/"+by.id()).refused(t, http.StatusConflict, "last_owner", "active")
}

func (s *attackStory) planChanges(t *testing.T) {
	v, by := s.newcomer("paula"), s.stranger(t)
	v.mails = 2 // the invitation and the genuine request
	account := by.opens(t, "Restless")
	s.invite(t, by, account, v.email, "owner").is(t, http.StatusCreated)
	for i := range 40 {
		by.patch(t, "/v1/accounts/"+account+"/subscription", map[string]any{"plan": []string{"scale", "starter"}[i%2]}).is(t, http.StatusOK)
	}
	v.isAsked(t)
	v.expectUnharmed(t)
}

func (s *attackStory) roleChanges(t *testing.T) {
	v, by := s.newcomer("rosa"), s.stranger(t)
	v.mails = 2
	account := by.opens(t, "Undecided")
	team := "/v1/accounts/" + account + "/team"
	s.invite(t, by, account, v.email, "member").is(t, http.StatusCreated)
	v.signsIn(t)
	v.get(t, "/v1/me").is(t, http.StatusOK)
	for i := range 20 {
		if role := []string{"admin", "member"}[i%2]; role == "admin" {
			s.invite(t, by, account, v.email, role).limited(t, "rate_limited", "invited", day-time.Minute, day)
		} else {
			s.invite(t, by, account, v.email, role).is(t, http.StatusCreated) // the same call again
		}
		by.patch(t, team+"/"+v.id(), map[string]any{"role": "admin"}).refused(t, http.StatusConflict, "not_active", "invited")
	}
	by.post(t, team+"/"+v.id()+"/resend", nil).limited(t, "rate_limited", "invited", day-time.Minute, day)
	v.isAsked(t)
	v.expectUnharmed(t)
}

func (s *attackStory) openInviteClose(t *testing.T) {
	v := s.newcomer("ines")
	closed := 0
	for range 15 / accountsADay {
		by := s.stranger(t)
		for range accountsADay {
			account := by.opens(t, "Short-lived")
			s.invite(t, by, account, v.email, "owner").is(t, http.StatusCreated)
			eventually(t, "the invitation's email is out", func() bool { return s.isNotified(t) })
			by.delete(t, "/v1/accounts/"+account).is(t, http.StatusOK)
			closed++
		}
		by.postOnce(t, "/v1/accounts", map[string]any{"name": "One more"}).limited(t, "rate_limited", "", 0, day)
	}
	expectEqual(t, "accounts", 15, closed)
	v.isAsked(t)
	s.cleanup(t) // ends the invitations
	v.expectUnharmed(t)
}

func (s *attackStory) connectAndLeave(t *testing.T) {
	v, by := s.victim(t, "lena"), s.stranger(t)
	agency, account := by.opensAgency(t, "Come and Go"), by.opens(t, "Meeting Point")
	s.invite(t, by, account, v.email, "owner").is(t, http.StatusCreated)
	member, connections := "/v1/accounts/"+account+"/team/"+agency, "/v1/agencies/"+agency+"/connections"
	for range 8 {
		// The pair's emails of a month are used up by four requests.
		r := by.post(t, connections, map[string]any{"account": account, "areas": levels{"pages": "edit"}})
		if r.Status != http.StatusCreated {
			r.limited(t, "rate_limited", "", month-time.Hour, month)
			continue
		}
		by.post(t, member+"/accept", map[string]any{"request": read[connection](t, r).Request}).is(t, http.StatusOK)
		by.post(t, connections+"/"+connectionID(account, agency)+"/leave", nil).is(t, http.StatusOK)
	}
	own := v.opens(t, "Lena's Shop")
	v.owns = append(v.owns, own)
	slices.SortFunc(v.owns, func(a, b string) int { return strings.Compare(v.name(t, a), v.name(t, b)) })
	for i := range 8 {
		r := by.post(t, connections, map[string]any{"account": own, "areas": levels{"pages": "edit"}})
		if i >= 4 {
			r.limited(t, "rate_limited", "", month-time.Hour, month)
			continue
		}
		r.is(t, http.StatusCreated)
		eventually(t, "its email is out", func() bool { return s.isNotified(t) })
		by.post(t, connections+"/"+connectionID(own, agency)+"/withdraw", nil).is(t, http.StatusOK)
	}
	v.isAsked(t)
	got := v.expectUnharmed(t)
	if len(got.unsolicited) > 3+1 { // the genuine one too
		t.Errorf("one person caused more than 3 of %s", got)
	}
}

// name returns the name of an account of the person's.
func (p *person) name(t *testing.T, account string) string {
	t.Helper()
	return read[struct{ Name string }](t, p.get(t, "/v1/accounts/"+account).is(t, http.StatusOK)).Name
}

func (s *attackStory) manyInvitations(t *testing.T) {
	by := s.stranger(t)
	account := by.opens(t, "Bulk")
	made := 0
	for i := range 150 {
		r := s.invite(t, by, account, fmt.Sprintf("bulk-%03d@crowd.test", i), "member")
		if r.Status == http.StatusCreated {
			made++
			continue
		}
		r.limited(t, "rate_limited", "", 0, day)
	}
	expectEqual(t, "invitations of somebody new", 20, made)
	expectEqual(t, "emails", 20, s.mailedAt(t, "@crowd.test"))
	t.Logf("150 invitations by one account: %d made, %d refused", made, 150-made)
}

// mailedAt returns how many emails a domain's mailboxes have received.
func (s *attackStory) mailedAt(t *testing.T, domain string) int {
	t.Helper()
	eventually(t, "all emails are out", func() bool { return s.isNotified(t) })
	all, err := s.Emails(t.Context(), time.Time{})
	must(t, err)
	return len(slices.DeleteFunc(all, func(m client.Email) bool { return !strings.HasSuffix(m.To, domain) }))
}

func (s *attackStory) manyRequests(t *testing.T) {
	by := s.stranger(t)
	made := 0
	for a := range 3 {
		connections := "/v1/agencies/" + by.opensAgency(t, fmt.Sprintf("Bulk Agency %d", a)) + "/connections"
		for i := range 50 {
			r := by.post(t, connections, map[string]any{"ownerEmail": fmt.Sprintf("bulk-%d-%02d@throng.test", a, i), "areas": levels{"pages": "edit"}})
			if r.Status == http.StatusCreated {
				made++
				continue
			}
			r.limited(t, "rate_limited", "", 0, day)
		}
	}
	expectEqual(t, "requests of somebody new", 20, made)
	expectEqual(t, "emails", 20, s.mailedAt(t, "@throng.test"))
	t.Logf("150 requests by three agencies of one person: %d made, %d refused", made, 150-made)
}

func (s *attackStory) manySpellings(t *testing.T) {
	v := s.victim(t, "tina")
	for n := range 2 {
		by := s.stranger(t)
		account := by.opens(t, fmt.Sprintf("Spelling %d", n))
		for i := range 20 {
			s.invite(t, by, account, fmt.Sprintf("tina+%d-%d@victims.test", n, i), "member").is(t, http.StatusCreated)
		}
	}
	v.isAsked(t)
	got := v.expectUnharmed(t)
	if len(got.unsolicited) > 3+1 { // the genuine one too
		t.Errorf("40 spellings of one mailbox: %s", got)
	}
}

func (s *attackStory) manyAccounts(t *testing.T) {
	by := s.stranger(t)
	opened := 0
	for i := range 120 {
		r := by.postOnce(t, "/v1/accounts", map[string]any{"name": fmt.Sprintf("Account %d", i)})
		if r.Status == http.StatusCreated {
			opened++
			continue
		}
		r.limited(t, "rate_limited", "", 0, day)
	}
	expectEqual(t, "accounts of somebody new", accountsADay, opened)
	t.Logf("120 accounts by one person: %d opened, %d refused", opened, 120-opened)
}

// addressStates returns addresses of one length, by what an asker must not learn of them.
// first makes an earlier request of the same asker to an address, and decline answers it.
func (s *attackStory) addressStates(t *testing.T, mark string, first func(email string), decline func(who *person, block bool)) map[string]string {
	t.Helper()
	states := map[string]string{}
	for i, state := range []string{"unknown", "known", "blocking", "cooling", "stopped", "full", "suppressed", "erasing"} {
		states[state] = fmt.Sprintf("p%d@%s.test", i, mark)
	}
	// An address that complains about its first email gets no further one.
	states["suppressed"] = "complaint@" + mark + ".test"
	for state, email := range states {
		for len(email) < len(states["suppressed"]) {
			email = "x" + email
		}
		states[state] = email
	}
	s.person(t, states["known"]).opens(t, "Known")
	for _, state := range []string{"blocking", "cooling"} {
		who := s.person(t, states[state])
		who.opens(t, "Of "+state)
		first(who.email)
		decline(who, state == "blocking")
	}
	s.person(t, states["stopped"]).patch(t, "/v1/me", map[string]any{"unsolicitedMail": "stopped"}).is(t, http.StatusOK)
	s.junk(t, 4, states["full"])
	s.junk(t, 1, states["suppressed"])
	s.person(t, states["erasing"]).delete(t, "/v1/me").is(t, http.StatusNoContent)
	s.awaitFates(t)
	return states
}

// inTeam returns a member as the person reads them in an account's team.
func (p *person) inTeam(t *testing.T, account, as, id string) string {
	t.Helper()
	path := "/v1/accounts/" + account + "/team?limit=100"
	if as != "" {
		path += "&as=" + as
	}
	for _, raw := range read[list[json.RawMessage]](t, p.get(t, path).is(t, http.StatusOK)).Items {
		if strings.Contains(string(raw), id) {
			return string(raw)
		}
	}
	t.Fatalf("%s is not in the team of %s", id, account)
	return ""
}

func (s *attackStory) readInvitations(t *testing.T) {
	by := s.stranger(t)
	agency := by.opensAgency(t, "Curious Agency")
	// Pairs are of the agency, which owns both accounts.
	first, second := by.opensOwned(t, agency, "First", "starter", nil, nil), by.opensOwned(t, agency, "Second", "starter", nil, nil)
	team := func(account string) string { return "/v1/accounts/" + account + "/team" }
	invite := func(account, email string) *reply {
		return by.post(t, team(account)+"?as="+agency, map[string]any{"email": email, "role": "member", "areas": levels{"pages": "view"}})
	}
	states := s.addressStates(t, "read", func(email string) { invite(first, email).is(t, http.StatusCreated) }, func(who *person, block bool) {
		who.post(t, "/v1/me/invitations/"+first+"/decline", map[string]any{"request": 1, "block": block}).is(t, http.StatusOK)
	})
	s.watch(t, states, func(email string) *reply {
		return invite(second, email).is(t, http.StatusCreated)
	}, func(email string) string {
		who := &person{email: email}
		raw := by.inTeam(t, second, agency, who.id())
		expectContains(t, "what is read", raw, `"delivery":null`)
		return withoutMoments(raw, email)
	})
	types := eventTypes(by.activity(t, second, agency))
	expectEqual(t, "events of the account", len(states)+1, len(types))
	for _, of := range types[1:] {
		expectEqual(t, "an event", "person.invited", of)
	}
}

func (s *attackStory) readRequests(t *testing.T) {
	by := s.stranger(t)
	agency := by.opensAgency(t, "Nosy Agency")
	connections := "/v1/agencies/" + agency + "/connections"
	ask := func(email string) *reply {
		return by.post(t, connections, map[string]any{"ownerEmail": email, "areas": levels{"pages": "edit"}})
	}
	con := func(email string) string {
		who := &person{email: email}
		return connectionID(who.id(), agency)
	}
	states := s.addressStates(t, "asks", func(email string) { ask(email).is(t, http.StatusCreated) }, func(who *person, block bool) {
		who.post(t, "/v1/requests/"+con(who.email)+"/decline", map[string]any{"request": 1, "block": block}).is(t, http.StatusOK)
	})
	for state, email := range states {
		if state != "blocking" && state != "cooling" {
			// Each has had one request before, so that the numbers are the same.
			ask(email).is(t, http.StatusCreated)
			by.post(t, connections+"/"+con(email)+"/withdraw", nil).is(t, http.StatusOK)
		}
	}
	s.awaitFates(t)
	s.watch(t, states, func(email string) *reply { return ask(email).is(t, http.StatusCreated) }, func(email string) string {
		r := by.get(t, connections+"/"+con(email)).is(t, http.StatusOK)
		expectContains(t, "what is read", string(r.Body), `"delivery":null`)
		return fmt.Sprintf("%+v", shapeOf(r, email))
	})
}

func (s *attackStory) readIDs(t *testing.T) {
	v, by := s.victim(t, "iris"), s.stranger(t)
	shop, agency := v.opens(t, "Iris"), by.opensAgency(t, "Reader")
	c := by.requests(t, agency, shop, levels{"pages": "edit"})
	v.post(t, "/v1/accounts/"+shop+"/team/"+agency+"/accept", map[string]any{"request": c.Request}).is(t, http.StatusOK)
	v.patch(t, "/v1/accounts/"+shop+"/team/"+agency, map[string]any{"areas": levels{"pages": "view"}}).is(t, http.StatusOK)
	for _, path := range []string{
		"/v1/accounts/" + shop + "/activity?as=" + agency, "/v1/agencies/" + agency + "/activity", "/v1/accounts/" + shop + "/team?as=" + agency,
		"/v1/agencies/" + agency + "/connections/" + c.ID, "/v1/agencies/" + agency + "/accounts", "/v1/accounts/" + shop + "?as=" + agency,
	} {
		expectNoneOf(t, path+", read by the agency", string(by.get(t, path).is(t, http.StatusOK).Body), v.id())
	}
	for _, path := range []string{"/activity", "/team", "", "/blocks"} {
		expectNoneOf(t, path+", read by the account", string(v.get(t, "/v1/accounts/"+shop+path).is(t, http.StatusOK).Body), by.id())
	}
}

func (s *attackStory) mistypedOwner(t *testing.T) {
	by := s.stranger(t)
	account := by.opens(t, "Left Behind")
	team := "/v1/accounts/" + account + "/team"
	wrong := &person{email: "bounce+owner@mistyped.test"}
	s.invite(t, by, account, wrong.email, "owner").is(t, http.StatusCreated)
	eventually(t, "the team shows that the email bounced", func() bool {
		return strings.Contains(by.inTeam(t, account, "", wrong.id()), `"delivery":"failed"`)
	})
	by.delete(t, team+"/"+by.id()).refused(t, http.StatusConflict, "last_owner", "active")
	by.patch(t, team+"/"+by.id(), map[string]any{"role": "admin"}).refused(t, http.StatusConflict, "last_owner", "active")
	by.delete(t, "/v1/me").refused(t, http.StatusConflict, "last_owner", "")
	expectAccess(t, account, wantAccess{by, "", "yes, own, " + everything + "; client owns"})

	// The right address is invited, accepts, and is an owner: now the other may leave.
	by.post(t, team+"/"+wrong.id()+"/withdraw", nil).is(t, http.StatusOK)
	right := s.person(t, "owner@mistyped.test")
	s.invite(t, by, account, right.email, "owner").is(t, http.StatusCreated)
	by.delete(t, team+"/"+by.id()).refused(t, http.StatusConflict, "last_owner", "active")
	right.post(t, "/v1/me/invitations/"+account+"/accept", map[string]any{"request": 1, "plan": "starter"}).is(t, http.StatusOK)
	by.delete(t, team+"/"+by.id()).expectStatus(t, "left")
	expectAccess(t, account, wantAccess{right, "", "yes, own, " + everything + "; client owns"})

	// Somebody whose address has changed is replaced by the platform.
	body := map[string]any{"from": right.email, "to": "owner@correct.test"}
	s.software.post(t, "/v1/platform/accounts/"+account+"/owner", body).is(t, http.StatusOK)
	expectAccess(t, account, wantAccess{s.person(t, "owner@correct.test"), "", "yes, own, " + everything + "; client owns"})
}

func (s *attackStory) stopLinks(t *testing.T) {
	v, other := s.victim(t, "stella"), s.victim(t, "oona")
	v.isAsked(t)
	other.isAsked(t)
	pathOf := func(v *victim) string {
		t.Helper()
		got := v.received(t).unsolicited
		if len(got) == 0 {
			t.Fatalf("%s got no email", v.email)
		}
		return strings.TrimPrefix(oneClickURL(got[len(got)-1]), v.PublicURL)
	}
	path, theirs := pathOf(v), pathOf(other)
	box, _, _ := strings.Cut(path, ".")
	_, value, _ := strings.Cut(theirs, ".")
	mail := func(v *victim) string {
		t.Helper()
		return read[struct{ UnsolicitedMail string }](t, v.get(t, "/v1/me").is(t, http.StatusOK)).UnsolicitedMail
	}
	// A scanner opens every link.
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		page := v.fetchPage(t, method, path).is(t, http.StatusOK)
		forged := v.fetchPage(t, method, box+"."+value).is(t, http.StatusOK)
		expectEqual(t, "the page of a forged link", strings.ReplaceAll(string(page.Body), path, "L"), strings.ReplaceAll(string(forged.Body), box+"."+value, "L"))
	}
	for _, forged := range []string{box + "." + value, box + ".AAAAAAAAAAAAAAAAAAAAAAAAAA", strings.ToLower(path), theirs + "x"} {
		v.fetchPage(t, http.MethodPost, forged, "List-Unsubscribe=One-Click").is(t, http.StatusNotFound)
	}
	v.fetchPage(t, http.MethodPost, path, "", "Origin", "https://scanner.test", "Sec-Fetch-Site", "cross-site").is(t, http.StatusForbidden)
	expectEqual(t, "mail to her", "allowed", mail(v))
	expectEqual(t, "mail to the other", "allowed", mail(other))

	for range 2 {
		v.fetchPage(t, http.MethodPost, path, "List-Unsubscribe=One-Click").is(t, http.StatusOK)
		expectEqual(t, "mail to her", "stopped", mail(v))
	}
	expectEqual(t, "mail to the other", "allowed", mail(other))
	v.patch(t, "/v1/me", map[string]any{"unsolicitedMail": "allowed"}).is(t, http.StatusOK)
	v.fetchPage(t, http.MethodPost, path, "List-Unsubscribe=One-Click").is(t, http.StatusNotFound) // it is old
	expectEqual(t, "mail to her", "allowed", mail(v))
	s.junk(t, 1, v.email)
	v.fetchPage(t, http.MethodPost, pathOf(v), "List-Unsubscribe=One-Click").is(t, http.StatusOK)
	expectEqual(t, "mail to her", "stopped", mail(v))
}

func (s *attackStory) declineAndBlock(t *testing.T) {
	v, by := s.victim(t, "bea"), s.stranger(t)
	agency := by.opensAgency(t, "Pushy Agency")
	s.invite(t, by, agency, v.email, "member").is(t, http.StatusCreated)
	v.received(t)
	v.post(t, "/v1/me/invitations/"+agency+"/decline", map[string]any{"request": 1, "block": true}).is(t, http.StatusOK)
	before := v.received(t)
	s.invite(t, by, agency, v.email, "member").limited(t, "cooling", "declined", month-time.Hour, month)
	owned := by.opensOwned(t, agency, "Owned", "starter", nil, nil)
	by.post(t, "/v1/accounts/"+owned+"/team?as="+agency, map[string]any{"email": v.email, "role": "member", "areas": levels{"pages": "edit"}}).is(t, http.StatusCreated)
	s.invite(t, by, agency, strings.Replace(v.email, "@", "+work@", 1), "member").is(t, http.StatusCreated)
	by.requestsByEmail(t, agency, v.email, levels{"pages": "edit"})
	by.requestsByEmail(t, agency, strings.Replace(v.email, "@", "+home@", 1), levels{"pages": "edit"})
	expectEqual(t, "emails after the block", before.String(), v.received(t).String())
	expectEqual(t, "what waits", 0, len(v.waiting(t)))
	expectAccess(t, owned, wantAccess{v.person, "", "no, none"})
	v.isAsked(t)
	v.expectUnharmed(t)
}
