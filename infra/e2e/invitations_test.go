package e2e

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"agencyhub/infra/e2e/client"
)

type invitationStory struct {
	*stack
	olga, alf, ivy, dan, eve, sam *person
	accountName, luna, team, path string
}

// TestInvitations tests the life of an invitation (README, Requests and Persons).
func TestInvitations(t *testing.T) {
	s := &invitationStory{stack: common(t)}
	s.olga, s.alf = s.person(t, "olga@luna.invited.test"), s.person(t, "alf@luna.invited.test")
	s.ivy, s.dan, s.eve = s.person(t, "ivy@luna.invited.test"), s.person(t, "dan@luna.invited.test"), s.person(t, "eve@luna.invited.test")
	s.sam = s.person(t, "sam@elsewhere.invited.test")
	s.accountName = "Luna Books"
	s.luna = s.olga.opens(t, s.accountName)
	s.team, s.path = "/v1/accounts/"+s.luna+"/team", "/v1/me/invitations/"+s.luna
	s.olga.invites(t, s.luna, s.alf, "admin", nil)
	s.expectEmails(t, joined(s.alf, s.olga, s.accountName, "an admin")...)

	step(t, t.Run("it grants nothing, and stands in the team and in what waits for its person", s.invite))
	step(t, t.Run("its link tells a stranger nothing and changes nothing", s.linkDecidesNothing))
	step(t, t.Run("nobody else can answer it, nor anybody a number that was not shown", s.onlyItsPerson))
	step(t, t.Run("new terms have a number of their own, and sending it again keeps the number", s.newTerms))
	step(t, t.Run("accepted, it is bound to the sign-in that accepted, and to no other that looked before", s.accept))
	step(t, t.Run("withdrawn, it can't be answered any more, and its person is told", s.withdraw))
	step(t, t.Run("its person is reminded once", s.remind))
	step(t, t.Run("it expires by the clock; cleanup records it and both are told", s.expire))
	step(t, t.Run("declined, whoever invited is told, and waits until its person allows it again", s.decline))
	step(t, t.Run("whoever can't invite any more can't bring anybody in", s.makerDemoted))
	step(t, t.Run("an account that is closed takes nobody in", s.closedAccount))
	step(t, t.Run("each thing that happened stands in the account's activity once", s.activityOnce))
}

func (s *invitationStory) row(who *person) row { return connectionRow(s.luna, who.id()) }

func (s *invitationStory) answer(t *testing.T, who *person, how string, request int) *reply {
	t.Helper()
	return who.post(t, s.path+"/"+how, map[string]any{"request": request})
}

// inTeam returns somebody as the team shows them.
func (s *invitationStory) inTeam(t *testing.T, who *person) member {
	t.Helper()
	return memberOf(t, s.olga, s.luna, who)
}

// memberOf returns somebody as the team of an account shows them.
func memberOf(t *testing.T, by *person, account string, who *person) member {
	t.Helper()
	for _, m := range read[list[member]](t, by.get(t, "/v1/accounts/"+account+"/team?limit=100").is(t, http.StatusOK)).Items {
		if m.ID == who.id() {
			return m
		}
	}
	t.Fatalf("%s is not in the team", who.email)
	return member{}
}

func (s *invitationStory) invite(t *testing.T) {
	m := s.olga.sendsInvitation(t, s.luna, s.ivy, "member", levels{"pages": "edit", "mail": "view"})
	month := 30 * day
	for _, m := range []member{m, s.inTeam(t, s.ivy)} {
		if m.Status != "invited" || m.Request != 1 || value(m.Role) != "member" || m.Offer != nil || m.Delivery != nil || m.Areas.String() != "mail:view pages:edit" ||
			m.ExpiresAt == nil || time.Until(*m.ExpiresAt) > month || time.Until(*m.ExpiresAt) < month-time.Minute {
			t.Errorf("invited: %+v", m)
		}
	}
	expectAccess(t, s.luna, wantAccess{s.ivy, "", "no, invited; client owns"})
	s.ivy.expectEmpty(t, "/v1/accounts")
	for _, path := range []string{"", "/team", "/activity", "/blocks", "/subscription"} {
		s.ivy.get(t, "/v1/accounts/"+s.luna+path).refused(t, http.StatusNotFound, "not_found", "")
	}
	s.ivy.delete(t, s.team+"/"+s.ivy.id()).refused(t, http.StatusNotFound, "not_found", "")
	listed := s.ivy.waiting(t)
	expectEqual(t, "what waits for her", 1, len(listed))
	for _, in := range append(listed, s.ivy.invitation(t, s.luna)) {
		if in.Kind != "invitation" || in.ID != nil || in.Account.ID != s.luna || in.Account.Name != s.accountName || in.From != *in.Account || value(in.By) != s.olga.email ||
			in.Email != nil || value(in.Role) != "member" || in.Areas.String() != "mail:view pages:edit" || in.Request != 1 || in.Plan != nil {
			t.Errorf("she sees %+v", in)
		}
	}
	expectEqual(t, "its status", "open", s.ivy.invitation(t, s.luna).Status)
	s.expectEmails(t, invited(s.ivy, s.olga, s.accountName, "a member"))
}

func (s *invitationStory) linkDecidesNothing(t *testing.T) {
	before := s.settled(t)
	s.expectInvitationPage(t, s.luna, []string{s.accountName, s.olga.email, s.ivy.email})
	expectUnchanged(t, before, s.dump(t))
	s.expectEmails(t)
}

func (s *invitationStory) onlyItsPerson(t *testing.T) {
	before := s.settled(t)
	for _, who := range []*person{s.sam, s.olga, s.alf, s.eve} {
		for _, r := range []*reply{s.answer(t, who, "accept", 1), s.answer(t, who, "decline", 1)} {
			if who == s.alf { // who has accepted his own
				continue
			}
			r.refused(t, http.StatusNotFound, "not_found", "")
		}
	}
	s.signedOut().post(t, s.path+"/accept", map[string]any{"request": 1}).is(t, http.StatusUnauthorized)
	for _, how := range []string{"accept", "decline"} {
		s.answer(t, s.ivy, how, 2).refused(t, http.StatusConflict, "conflict", "invited")
	}
	expectUnchanged(t, before, s.dump(t))
	expectAccess(t, s.luna, wantAccess{s.ivy, "", "no, invited; client owns"})
	s.expectEmails(t)
}

func (s *invitationStory) newTerms(t *testing.T) {
	same := map[string]any{"email": s.ivy.email, "role": "member", "areas": levels{"pages": "edit", "mail": "view"}}
	admin := map[string]any{"email": s.ivy.email, "role": "admin"}
	before := s.settled(t)
	m := read[member](t, s.olga.post(t, s.team, same).is(t, http.StatusCreated)) // changes nothing
	expectEqual(t, "the number of the same terms", 1, m.Request)
	s.olga.post(t, s.team, admin).limited(t, "rate_limited", "invited", day-time.Minute, day)
	s.olga.post(t, s.team+"/"+s.ivy.id()+"/resend", nil).limited(t, "rate_limited", "invited", day-time.Minute, day)
	expectUnchanged(t, before, s.dump(t))
	s.expectEmails(t)

	s.age(t, day, s.row(s.ivy))
	m = read[member](t, s.alf.post(t, s.team, admin).is(t, http.StatusCreated))
	if m.Request != 2 || value(m.Role) != "admin" || m.Status != "invited" {
		t.Errorf("new terms: %+v", m)
	}
	for _, how := range []string{"accept", "decline"} {
		s.answer(t, s.ivy, how, 1).refused(t, http.StatusConflict, "conflict", "invited")
	}
	expectAccess(t, s.luna, wantAccess{s.ivy, "", "no, invited; client owns"})
	s.expectEmails(t, changed(invited(s.ivy, s.alf, s.accountName, "an admin"), "an admin"))

	s.age(t, day, s.row(s.ivy))
	m = read[member](t, s.olga.post(t, s.team+"/"+s.ivy.id()+"/resend", nil).is(t, http.StatusOK))
	if m.Request != 2 || value(m.Role) != "admin" {
		t.Errorf("sent again: %+v", m)
	}
	s.expectEmails(t, resent(invited(s.ivy, s.olga, s.accountName, "an admin")))
}

func (s *invitationStory) accept(t *testing.T) {
	other := s.signIn(t, client.Identity{Email: s.ivy.email, Subject: "somebody-who-looks"})
	other.get(t, "/v1/me").is(t, http.StatusOK)
	other.get(t, "/v1/me/waiting").is(t, http.StatusOK)
	other.get(t, "/v1/accounts").is(t, http.StatusOK)
	expectEqual(t, "what another sign-in sees", "open", other.invitation(t, s.luna).Status)
	for range 2 { // the second time changes nothing
		a := read[account](t, s.answer(t, s.ivy, "accept", 2).is(t, http.StatusOK))
		if a.ID != s.luna || value(a.Role) != "admin" || a.Access.Areas.String() != everything {
			t.Errorf("accepted: %+v", a)
		}
		expectAccess(t, s.luna, wantAccess{s.ivy, "", "yes, own, " + everything + "; client owns"}, wantAccess{other, "", "no, identity_changed; client owns"})
	}
	for _, r := range []*reply{
		s.answer(t, other, "accept", 2), s.answer(t, other, "decline", 2), other.get(t, s.path), other.get(t, "/v1/accounts/"+s.luna),
	} {
		r.refused(t, http.StatusForbidden, "identity_changed", "")
	}
	s.answer(t, s.ivy, "decline", 2).refused(t, http.StatusConflict, "not_pending", "active")
	s.olga.post(t, s.team+"/"+s.ivy.id()+"/withdraw", nil).refused(t, http.StatusConflict, "not_pending", "active")
	expectEqual(t, "its status", "accepted", s.ivy.invitation(t, s.luna).Status)
	s.ivy.expectEmpty(t, "/v1/me/waiting")
	s.expectEmails(t, joins(s.ivy, s.olga, s.accountName, "an admin")...)
}

func (s *invitationStory) withdraw(t *testing.T) {
	s.olga.sendsInvitation(t, s.luna, s.dan, "admin", nil)
	s.expectEmails(t, invited(s.dan, s.olga, s.accountName, "an admin"))
	for range 2 {
		s.alf.post(t, s.team+"/"+s.dan.id()+"/withdraw", nil).expectStatus(t, "withdrawn")
	}
	for _, how := range []string{"accept", "decline"} {
		s.answer(t, s.dan, how, 1).refused(t, http.StatusConflict, "not_pending", "withdrawn")
	}
	s.olga.post(t, s.team+"/"+s.dan.id()+"/resend", nil).refused(t, http.StatusConflict, "not_pending", "withdrawn")
	s.dan.expectEmpty(t, "/v1/me/waiting")
	expectEqual(t, "its status", "withdrawn", s.dan.invitation(t, s.luna).Status)
	expectAccess(t, s.luna, wantAccess{s.dan, "", "no, ended; client owns"})
	s.expectEmails(t, invitationWithdrawn(s.dan, s.accountName))
}

func (s *invitationStory) remind(t *testing.T) {
	expectEqual(t, "the number of the next invitation", 2, s.olga.sendsInvitation(t, s.luna, s.dan, "member", levels{"pages": "view"}).Request)
	s.expectEmails(t, invited(s.dan, s.olga, s.accountName, "a member"))
	s.age(t, 27*day+time.Minute, s.row(s.dan))
	for range 2 {
		s.cleanup(t)
	}
	s.expectEmails(t, remindedOfInvitation(invited(s.dan, s.olga, s.accountName, "a member"), "3 days"))
}

func (s *invitationStory) expire(t *testing.T) {
	s.age(t, 3*day, s.row(s.dan))
	before := s.settled(t)
	s.answer(t, s.dan, "accept", 2).refused(t, http.StatusGone, "request_expired", "expired")
	for _, step := range []string{"resend", "withdraw"} {
		s.olga.post(t, s.team+"/"+s.dan.id()+"/"+step, nil).refused(t, http.StatusGone, "request_expired", "expired")
	}
	s.dan.expectEmpty(t, "/v1/me/waiting")
	expectEqual(t, "its status", "expired", s.dan.invitation(t, s.luna).Status)
	m := s.inTeam(t, s.dan)
	expectEqual(t, "what the team shows", "expired", m.Status)
	expectAccess(t, s.luna, wantAccess{s.dan, "", "no, ended; client owns"})
	expectUnchanged(t, before, s.dump(t))
	for range 2 {
		s.cleanup(t)
	}
	until := moment(*m.ExpiresAt)
	s.expectEmails(t, invitationExpired(s.dan, s.accountName, until), invitationExpiredMaker(s.olga, s.dan, s.accountName, until))
	expectEqual(t, "what the team shows", "expired", s.inTeam(t, s.dan).Status)
}

func (s *invitationStory) decline(t *testing.T) {
	expectEqual(t, "the number of the next invitation", 3, s.olga.sendsInvitation(t, s.luna, s.dan, "admin", nil).Request)
	s.expectEmails(t, invited(s.dan, s.olga, s.accountName, "an admin"))
	for range 2 {
		expectEqual(t, "declined, it", "declined", read[invitation](t, s.answer(t, s.dan, "decline", 3).is(t, http.StatusOK)).Status)
	}
	s.answer(t, s.dan, "accept", 3).refused(t, http.StatusConflict, "not_pending", "declined")
	s.expectEmails(t, invitationDeclined(s.olga, s.dan, s.accountName))
	expectEqual(t, "what the team shows", "declined", s.inTeam(t, s.dan).Status)
	expectAccess(t, s.luna, wantAccess{s.dan, "", "no, ended; client owns"})
	before := s.settled(t)
	for _, who := range []*person{s.olga, s.alf} {
		who.post(t, s.team, map[string]any{"email": s.dan.email, "role": "admin"}).limited(t, "cooling", "declined", month-time.Minute, month)
	}
	expectUnchanged(t, before, s.dump(t))
	mine := read[list[block]](t, s.dan.get(t, "/v1/me/blocks").is(t, http.StatusOK)).Items
	if len(mine) != 1 || mine[0].Agency.ID != s.luna || mine[0].Agency.Name != s.accountName || mine[0].Blocked || mine[0].CoolingUntil == nil {
		t.Errorf("his blocks are %+v", mine)
	}
	unblock := "/v1/requests/" + connectionID(s.dan.id(), s.luna) + "/unblock"
	for _, ended := range []bool{true, false} {
		expectEqual(t, "a cooldown has ended", ended, read[struct{ Unblocked bool }](t, s.dan.post(t, unblock, nil).is(t, http.StatusOK)).Unblocked)
	}
	expectEqual(t, "the number of the next invitation", 4, s.olga.sendsInvitation(t, s.luna, s.dan, "admin", nil).Request)
	s.expectEmails(t, invited(s.dan, s.olga, s.accountName, "an admin"))
	// It was the fourth email of the pair in 30 days.
	s.olga.post(t, s.team+"/"+s.dan.id()+"/withdraw", nil).expectStatus(t, "withdrawn")
	s.expectEmails(t, invitationWithdrawn(s.dan, s.accountName))
	s.olga.post(t, s.team, map[string]any{"email": s.dan.email, "role": "admin"}).limited(t, "rate_limited", "", month-time.Minute, month)
}

func (s *invitationStory) makerDemoted(t *testing.T) {
	s.alf.sendsInvitation(t, s.luna, s.eve, "admin", nil)
	s.expectEmails(t, invited(s.eve, s.alf, s.accountName, "an admin"))
	s.olga.patch(t, s.team+"/"+s.alf.id(), map[string]any{"role": "member", "areas": levels{"pages": "view"}}).is(t, http.StatusOK)
	s.answer(t, s.eve, "accept", 1).refused(t, http.StatusConflict, "not_pending", "invited")
	expectAccess(t, s.luna, wantAccess{s.eve, "", "no, invited; client owns"})
	s.expectEmails(t, changedRole(s.alf, s.olga, s.accountName, "a member of its team"))
	s.cleanup(t)
	expectEqual(t, "what the team shows", "withdrawn", s.inTeam(t, s.eve).Status)
	s.eve.expectEmpty(t, "/v1/me/waiting")
	s.expectEmails(t, invitationWithdrawn(s.eve, s.accountName))
}

func (s *invitationStory) closedAccount(t *testing.T) {
	pub := s.olga.opens(t, "Luna Pub")
	s.olga.sendsInvitation(t, pub, s.eve, "member", levels{"pages": "view"})
	s.expectEmails(t, invited(s.eve, s.olga, "Luna Pub", "a member"))
	s.olga.delete(t, "/v1/accounts/"+pub).is(t, http.StatusOK)
	s.eve.expectEmpty(t, "/v1/me/waiting")
	for _, how := range []string{"accept", "decline"} {
		s.eve.post(t, "/v1/me/invitations/"+pub+"/"+how, map[string]any{"request": 1}).refused(t, http.StatusConflict, "conflict", "")
	}
	expectAccess(t, pub, wantAccess{s.eve, "", "no, closed; client owns"})
	s.expectEmails(t, closedOwn(s.olga, s.olga, "Luna Pub"))
	s.cleanup(t)
	expectEqual(t, "its status", "expired", s.eve.invitation(t, pub).Status)
	s.expectEmails(t, invitationEndedByClosing(s.eve, "Luna Pub"))
}

func (s *invitationStory) activityOnce(t *testing.T) {
	s.olga.expectActivity(t, s.luna, "", "account.opened", "person.invited", "person.added",
		"person.invited", "person.invitation_resent", "person.invitation_resent", "person.added", // ivy
		"person.invited", "person.invitation_withdrawn", "person.invited", "person.invitation_reminded", "person.invitation_expired", // dan
		"person.invited", "person.invitation_declined", "person.invited", "person.invitation_withdrawn",
		"person.invited", "person.changed", "person.invitation_withdrawn") // eve
}

type lookAlikeStory struct {
	agencyStaff
	// addresses are of one length, by what an account must not learn of them.
	addresses         map[string]*person
	cafe, inn, onTeam string
}

// TestInvitationsLookAlike checks that an account reads the same of every address
// (README, Cooldown, block, muted). What lies between agency and person comes from
// another account of the agency.
func TestInvitationsLookAlike(t *testing.T) {
	s := &lookAlikeStory{agencyStaff: newAgency(t, common(t), "Bright Agency", "alike.test"), addresses: map[string]*person{}}
	s.cafe, s.inn = s.ann.opensOwned(t, s.agencyID, "Carl's Café", "starter", nil, nil), s.ann.opensOwned(t, s.agencyID, "Carl's Inn", "starter", nil, nil)
	s.onTeam = "?as=" + s.agencyID
	for state, local := range map[string]string{
		"unknown": "anonymous", "known": "wellknown", "blocking": "blockings", "cooling": "coolingly", "suppressed": "complaint", "erasing": "erasingly",
	} {
		s.addresses[state] = s.person(t, local+"@people.alike.test")
	}
	s.addresses["known"].opens(t, "Luna Known")
	s.each(func(state string, who *person) {
		s.invite(t, s.cafe, who, "view").is(t, http.StatusCreated)
		answer := "/v1/me/invitations/" + s.cafe + "/decline"
		switch state {
		case "blocking", "cooling":
			who.post(t, answer, map[string]any{"request": 1, "block": state == "blocking"}).is(t, http.StatusOK)
		case "erasing":
			who.delete(t, "/v1/me").is(t, http.StatusNoContent)
		}
	})
	s.newEmails(t)
	s.settled(t) // the complaint is known

	step(t, t.Run("inviting, inviting again, looking, sending again, withdrawing, and creating an account", s.sameAnswers))
	step(t, t.Run("only who may be mailed is", s.mailedOrNot))
	step(t, t.Run("and only they can accept", s.acceptedOrNot))
}

func (s *lookAlikeStory) each(do func(state string, who *person)) {
	for _, state := range []string{"unknown", "known", "blocking", "cooling", "suppressed", "erasing"} {
		do(state, s.addresses[state])
	}
}

func (s *lookAlikeStory) invite(t *testing.T, account string, who *person, level string) *reply {
	t.Helper()
	return s.ann.post(t, "/v1/accounts/"+account+"/team"+s.onTeam, map[string]any{"email": who.email, "role": "member", "areas": levels{"pages": level}})
}

func (s *lookAlikeStory) sameAnswers(t *testing.T) {
	shapes := map[string][]shape{}
	note := func(what string, status int, who *person, r *reply) {
		shapes[what] = append(shapes[what], shapeOf(r.is(t, status), who.email))
	}
	team := map[string]string{}
	look := func(what string, who *person) {
		text := withoutMoments(s.ann.inTeam(t, s.inn, s.agencyID, who.id()), who.email)
		if team[what] == "" {
			team[what] = text
		}
		expectEqual(t, "the team once it is "+what+", for "+who.email, team[what], text)
	}
	s.each(func(_ string, who *person) {
		note("inviting", http.StatusCreated, who, s.invite(t, s.inn, who, "view"))
		look("invited", who)
		note("inviting again", http.StatusCreated, who, s.invite(t, s.inn, who, "view"))
		note("inviting with other terms", http.StatusTooManyRequests, who, s.invite(t, s.inn, who, "edit"))
	})
	s.awaitNotified(t)
	path := func(who *person, step string) string {
		return "/v1/accounts/" + s.inn + "/team/" + who.id() + "/" + step + s.onTeam
	}
	s.each(func(_ string, who *person) {
		look("mailed", who)
		note("sending it again too soon", http.StatusTooManyRequests, who, s.ann.post(t, path(who, "resend"), nil))
		note("sending it again as staff", http.StatusForbidden, who, s.cid.post(t, path(who, "resend"), nil))
		s.age(t, day, connectionRow(s.inn, who.id()))
		note("sending it again", http.StatusOK, who, s.ann.post(t, path(who, "resend"), nil))
		s.awaitNotified(t)
		look("sent again", who)
		note("withdrawing it", http.StatusOK, who, s.ann.post(t, path(who, "withdraw"), nil))
		note("withdrawing it again", http.StatusOK, who, s.ann.post(t, path(who, "withdraw"), nil))
		look("withdrawn", who)
		note("creating an account", http.StatusCreated, who, s.ann.postOnce(t, s.agencyPath+"/accounts", map[string]any{
			"name": "Carl's Bar", "plan": "starter", "confirmPermanentOwnership": true, "client": map[string]any{"email": who.email, "areas": levels{"pages": "view"}},
		}))
		note("a fifth email", http.StatusTooManyRequests, who, s.invite(t, s.inn, who, "view"))
	})
	for what, list := range shapes {
		expectSameShape(t, what, list...)
	}
	var want []string
	for range s.addresses {
		want = append(want, "person.invited")
	}
	for range s.addresses {
		want = append(want, "person.invitation_resent", "person.invitation_withdrawn")
	}
	s.ann.expectActivity(t, s.inn, s.agencyID, append([]string{"account.created"}, want...)...)
}

func (s *lookAlikeStory) mailedOrNot(t *testing.T) {
	subjects := map[string][]string{}
	for _, m := range s.newEmails(t) {
		if m.To != s.ann.email {
			subjects[m.To] = append(subjects[m.To], m.Subject)
		}
	}
	want := map[string][]string{}
	for _, state := range []string{"unknown", "known"} {
		want[s.addresses[state].email] = []string{
			"Bright Agency invites you to Carl's Inn", "Sent again: Bright Agency invites you to Carl's Inn", "Your invitation to Carl's Inn was withdrawn", "Bright Agency created Carl's Bar for you",
		}
	}
	for _, list := range []map[string][]string{want, subjects} {
		for email := range list {
			slices.Sort(list[email])
		}
	}
	expectEqual(t, "who was mailed", want, subjects)
}

func (s *lookAlikeStory) acceptedOrNot(t *testing.T) {
	for state, waiting := range map[string]int{"unknown": 2, "known": 2, "blocking": 0, "cooling": 0, "suppressed": 2, "erasing": 0} {
		expectEqual(t, "what waits for who is "+state, waiting, len(s.addresses[state].waiting(t)))
	}
	for state, status := range map[string]int{"known": http.StatusConflict, "blocking": http.StatusNotFound, "cooling": http.StatusNotFound, "erasing": http.StatusNotFound} {
		s.addresses[state].post(t, "/v1/me/invitations/"+s.inn+"/accept", map[string]any{"request": 1}).is(t, status)
	}
}
