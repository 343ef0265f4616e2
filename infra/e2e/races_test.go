package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
)

// rounds returns how often each race is run, since either side may be first.
func rounds() int {
	if testing.Short() {
		return 2
	}
	return 3
}

// A raceCall is one call of a race.
type raceCall struct {
	who          *person
	method, path string
	body         any
	header       []string
}

// race makes all calls at the same time and returns the replies in their order.
func race(t *testing.T, calls ...raceCall) []*reply {
	t.Helper()
	replies, errs := make([]*reply, len(calls)), make([]error, len(calls))
	var all sync.WaitGroup
	ready := make(chan struct{})
	for i, m := range calls {
		all.Go(func() {
			<-ready
			replies[i], errs[i] = m.who.try(t, m.method, m.path, m.body, m.header...)
		})
	}
	close(ready)
	all.Wait()
	for _, err := range errs {
		must(t, err)
	}
	return replies
}

func statuses(replies []*reply) []int {
	var out []int
	for _, r := range replies {
		out = append(out, r.Status)
	}
	slices.Sort(out)
	return out
}

func countType(lines []line, kind string) int {
	n := 0
	for _, l := range lines {
		if l.Type == kind {
			n++
		}
	}
	return n
}

type raceStory struct {
	agencyStaff
	carl, olga, oscar, alf                                            *person
	accountName, luna, team, connectionPath, memberPath, activeAccess string
	number                                                            int
	areas                                                             levels
}

// TestRaces makes calls at the same time: there is exactly one outcome, one event
// and one set of emails.
func TestRaces(t *testing.T) {
	s := &raceStory{agencyStaff: newAgency(t, unlimited(t), "Bright Works", "races.test")}

	s.carl = s.person(t, "carl@cafe.races.test")
	s.olga, s.oscar = s.person(t, "olga@luna.races.test"), s.person(t, "oscar@luna.races.test")
	s.alf = s.person(t, "alf@luna.races.test")
	s.accountName = "Luna Mill"
	s.luna = s.olga.opens(t, s.accountName)
	s.olga.invites(t, s.luna, s.oscar, "owner", nil)
	s.expectEmails(t, joined(s.oscar, s.olga, s.accountName, "an owner")...)
	s.team = "/v1/accounts/" + s.luna + "/team"
	s.connectionPath, s.memberPath = s.agencyPath+"/connections/"+connectionID(s.luna, s.agencyID), s.team+"/"+s.agencyID
	s.activeAccess = "yes, " + s.agencyID + ", pages:edit; client owns"
	s.number = 0

	s.areas = levels{"pages": "edit"}

	t.Run("the same Idempotency-Key sixteen times at once makes one account", s.sameKey)
	t.Run("the same Idempotency-Key with two bodies at once makes one account, and clashes", s.sameKeyOtherBody)
	t.Run("two ask for the same connection: one request, one set of emails", s.twoRequests)
	t.Run("two accept: one acceptance", s.twoAccepts)
	t.Run("an accept against a withdraw: one of both", s.acceptOrWithdraw)
	t.Run("an accept against a decline: one of both", s.acceptOrDecline)
	t.Run("an accept by an admin who is being removed: before or not at all", s.acceptOrRemoved)
	t.Run("an invitation is accepted twice: one acceptance", s.twoAcceptInvitation)
	t.Run("an invitation is accepted against its withdrawal: one of both", s.acceptOrWithdrawInvitation)
	t.Run("an invitation is accepted against its decline: one of both", s.acceptOrDeclineInvitation)
	t.Run("an invitation is accepted while its maker is removed: before or not at all", s.acceptOrMakerRemoved)
	t.Run("ownership is accepted while the only owner leaves: an owner remains", s.acceptOwnershipOrLeave)
	t.Run("ownership is accepted while the plan changes: with the plan that was shown or not at all", s.acceptOwnershipOrPlan)
	t.Run("two owners demote each other: one remains", s.twoDemotions)
	t.Run("two owners leave at the same time: one remains", s.twoLeave)
}

// leavePending sends a request, reads its emails and returns the activity.
func (s *raceStory) leavePending(t *testing.T) []line {
	t.Helper()
	c := s.ann.requests(t, s.agencyID, s.luna, levels{"pages": "edit", "mail": "view"})
	s.number++
	r := request{by: s.ann.email, agency: s.agencyName, account: s.accountName, until: moment(*c.ExpiresAt)}
	s.expectEmails(t, requested(s.olga, r), requested(s.oscar, r))
	return s.olga.activity(t, s.luna, "")
}

func (s *raceStory) acceptance(areas levels) map[string]any {
	return map[string]any{"request": s.number, "areas": areas}
}

func (s *raceStory) acceptedEmails(by *person, grant string) []wantEmail {
	return []wantEmail{accepted(s.ann, s.agencyName, s.accountName, grant), acceptedBy(s.olga, by, s.agencyName, s.accountName, grant), acceptedBy(s.oscar, by, s.agencyName, s.accountName, grant)}
}

func (s *raceStory) endConnection(t *testing.T) {
	t.Helper()
	s.ann.post(t, s.connectionPath+"/leave", nil).is(t, http.StatusOK)
	s.expectEmails(t, left(s.ann, s.ann, s.agencyName, s.accountName), leftClient(s.olga, s.agencyName, s.accountName), leftClient(s.oscar, s.agencyName, s.accountName))
}

// expectEvents compares the types of events in the activity since then, sorted.
func (s *raceStory) expectEvents(t *testing.T, before []line, want ...string) {
	t.Helper()
	got := eventTypes(s.olga.activity(t, s.luna, "")[len(before):])
	slices.Sort(got)
	expectEqual(t, "events", want, got)
}

func (s *raceStory) sameKey(t *testing.T) {
	body := map[string]any{
		"name": "Carl's Café", "plan": "starter", "confirmPermanentOwnership": true,
		"client": map[string]any{"email": s.carl.email, "areas": s.areas},
	}
	var calls []raceCall
	for range 16 {
		calls = append(calls, raceCall{s.ann, "POST", s.agencyPath + "/accounts", body, []string{"Idempotency-Key", "sixteen-times-at-once"}})
	}
	ids := map[string]bool{}
	for _, r := range race(t, calls...) {
		ids[read[account](t, r.is(t, http.StatusCreated)).ID] = true
	}
	if len(ids) != 1 {
		t.Fatalf("it made %d accounts", len(ids))
	}
	for id := range ids {
		s.ann.expectActivity(t, id, s.agencyID, "account.created")
		expectAccess(t, id, wantAccess{s.carl, "", "no, invited; agency owns"})
	}
	if clients := read[list[connection]](t, s.ann.get(t, s.agencyPath+"/accounts").is(t, http.StatusOK)); len(clients.Items) != 1 || clients.Counts.Owned != 1 {
		t.Errorf("the agency's list shows %+v", clients)
	}
	s.expectEmails(t, created(s.ann, s.agencyName, "Carl's Café"), createdFor(s.carl, s.agencyName, "Carl's Café", "Pages: Edit"))
}

func (s *raceStory) sameKeyOtherBody(t *testing.T) {
	var calls []raceCall
	for i := range 8 {
		body := map[string]any{"name": fmt.Sprintf("Luna %d", i%2)}
		calls = append(calls, raceCall{s.olga, "POST", "/v1/accounts", body, []string{"Idempotency-Key", "two-bodies-at-once-1"}})
	}
	names := map[string]int{}
	for _, r := range race(t, calls...) {
		if r.Status == http.StatusConflict {
			r.refused(t, http.StatusConflict, "idempotency_mismatch", "")
			continue
		}
		names[read[account](t, r.is(t, http.StatusCreated)).Name]++
	}
	for _, n := range names {
		if len(names) != 1 || n != 4 {
			t.Errorf("answered %v", names)
		}
	}
	s.expectEmails(t)
}

func (s *raceStory) twoRequests(t *testing.T) {
	before := s.olga.activity(t, s.luna, "")
	body := map[string]any{"account": s.luna, "areas": s.areas}
	replies := race(t, raceCall{s.ann, "POST", s.agencyPath + "/connections", body, nil}, raceCall{s.ben, "POST", s.agencyPath + "/connections", body, nil})
	s.number++
	by := s.ann
	if replies[1].Status == http.StatusCreated {
		by, replies[0], replies[1] = s.ben, replies[1], replies[0]
	}
	c := read[connection](t, replies[0].is(t, http.StatusCreated))
	replies[1].refused(t, http.StatusConflict, "already_requested", "pending")
	s.expectEvents(t, before, "connection.requested")
	r := request{by: by.email, agency: s.agencyName, account: s.accountName, until: moment(*c.ExpiresAt)}
	s.expectEmails(t, requested(s.olga, r), requested(s.oscar, r))
	s.ann.post(t, s.connectionPath+"/withdraw", nil).is(t, http.StatusOK)
	s.expectEmails(t, withdrawn(s.olga, s.agencyName, s.accountName), withdrawn(s.oscar, s.agencyName, s.accountName))
}

func (s *raceStory) twoAccepts(t *testing.T) {
	for range rounds() {
		before := s.leavePending(t)
		replies := race(t,
			raceCall{s.olga, "POST", s.memberPath + "/accept", s.acceptance(s.areas), nil},
			raceCall{s.oscar, "POST", s.memberPath + "/accept", s.acceptance(levels{"mail": "view"}), nil})
		// The second gets the access that the first has granted.
		granted := read[connection](t, replies[0].is(t, http.StatusOK)).Areas.String()
		expectEqual(t, "the answers to both", granted, read[connection](t, replies[1].is(t, http.StatusOK)).Areas.String())
		by, grant := s.olga, "Pages: Edit"
		if granted == "mail:view" {
			by, grant = s.oscar, "Mail: View"
		}
		expectAccess(t, s.luna, wantAccess{s.ann, s.agencyID, "yes, " + s.agencyID + ", " + granted + "; client owns"})
		s.expectEvents(t, before, "connection.accepted")
		s.expectEmails(t, s.acceptedEmails(by, grant)...)
		s.endConnection(t)
	}
}

func (s *raceStory) acceptOrWithdraw(t *testing.T) {
	for range rounds() {
		before := s.leavePending(t)
		replies := race(t,
			raceCall{s.olga, "POST", s.memberPath + "/accept", s.acceptance(s.areas), nil},
			raceCall{s.ann, "POST", s.connectionPath + "/withdraw", nil, nil})
		if replies[0].Status == http.StatusOK {
			replies[1].refused(t, http.StatusConflict, "not_pending", "active")
			expectAccess(t, s.luna, wantAccess{s.ann, s.agencyID, s.activeAccess})
			s.expectEvents(t, before, "connection.accepted")
			s.expectEmails(t, s.acceptedEmails(s.olga, "Pages: Edit")...)
			s.endConnection(t)
			continue
		}
		replies[0].refused(t, http.StatusConflict, "not_pending", "withdrawn")
		replies[1].is(t, http.StatusOK)
		expectAccess(t, s.luna, wantAccess{s.ann, s.agencyID, "no, ended; client owns"})
		s.expectEvents(t, before, "connection.withdrawn")
		s.expectEmails(t, withdrawn(s.olga, s.agencyName, s.accountName), withdrawn(s.oscar, s.agencyName, s.accountName))
	}
}

func (s *raceStory) acceptOrDecline(t *testing.T) {
	for range rounds() {
		before := s.leavePending(t)
		replies := race(t,
			raceCall{s.olga, "POST", s.memberPath + "/accept", s.acceptance(s.areas), nil},
			raceCall{s.oscar, "POST", s.memberPath + "/decline", map[string]any{"request": s.number}, nil})
		want := "connection.declined"
		if replies[0].Status == http.StatusOK {
			want = "connection.accepted"
			replies[1].refused(t, http.StatusConflict, "not_pending", "active")
			s.expectEmails(t, s.acceptedEmails(s.olga, "Pages: Edit")...)
			expectAccess(t, s.luna, wantAccess{s.ann, s.agencyID, s.activeAccess})
		} else {
			replies[0].refused(t, http.StatusConflict, "not_pending", "declined")
			replies[1].is(t, http.StatusOK)
			s.expectEmails(t, declined(s.ann, s.agencyName, s.accountName), declinedBy(s.olga, s.oscar, s.agencyName, s.accountName), declinedBy(s.oscar, s.oscar, s.agencyName, s.accountName))
			expectAccess(t, s.luna, wantAccess{s.ann, s.agencyID, "no, ended; client owns"})
		}
		s.expectEvents(t, before, want)
		if want == "connection.accepted" {
			s.endConnection(t)
		} else {
			s.oscar.unblocks(t, s.luna, s.agencyID, true)
		}
	}
}

func (s *raceStory) acceptOrRemoved(t *testing.T) {
	for range rounds() {
		s.olga.invites(t, s.luna, s.alf, "admin", nil)
		s.expectEmails(t, joined(s.alf, s.olga, s.accountName, "an admin")...)
		before := s.leavePending(t)
		replies := race(t,
			raceCall{s.alf, "POST", s.memberPath + "/accept", s.acceptance(s.areas), nil},
			raceCall{s.olga, "DELETE", s.team + "/" + s.alf.id(), nil, nil})
		replies[1].is(t, http.StatusOK)
		expectAccess(t, s.luna, wantAccess{s.alf, "", "no, ended; client owns"})
		if replies[0].Status == http.StatusOK {
			expectAccess(t, s.luna, wantAccess{s.ann, s.agencyID, s.activeAccess})
			s.expectEvents(t, before, "connection.accepted", "person.removed")
			s.expectEmails(t, append(s.acceptedEmails(s.alf, "Pages: Edit"), removed(s.alf, s.olga, s.accountName))...)
			s.endConnection(t)
			continue
		}
		replies[0].refused(t, http.StatusNotFound, "not_found", "")
		expectAccess(t, s.luna, wantAccess{s.ann, s.agencyID, "no, pending; client owns"})
		s.expectEvents(t, before, "person.removed")
		s.expectEmails(t, removed(s.alf, s.olga, s.accountName))
		s.ann.post(t, s.connectionPath+"/withdraw", nil).is(t, http.StatusOK)
		s.expectEmails(t, withdrawn(s.olga, s.agencyName, s.accountName), withdrawn(s.oscar, s.agencyName, s.accountName))
	}
}

// leaveInvited invites alf, reads the email, and returns the activity and the path of his
// answers with their body.
func (s *raceStory) leaveInvited(t *testing.T) (before []line, path string, body map[string]any) {
	t.Helper()
	m := s.olga.sendsInvitation(t, s.luna, s.alf, "admin", nil)
	s.expectEmails(t, invited(s.alf, s.olga, s.accountName, "an admin"))
	return s.olga.activity(t, s.luna, ""), "/v1/me/invitations/" + s.luna, map[string]any{"request": m.Request}
}

func (s *raceStory) removeAlf(t *testing.T) {
	t.Helper()
	s.olga.delete(t, s.team+"/"+s.alf.id()).expectStatus(t, "revoked")
	s.expectEmails(t, removed(s.alf, s.olga, s.accountName))
}

func (s *raceStory) expectAlf(t *testing.T, want string) {
	t.Helper()
	expectAccess(t, s.luna, wantAccess{s.alf, "", want})
}

func (s *raceStory) twoAcceptInvitation(t *testing.T) {
	for range rounds() {
		before, path, body := s.leaveInvited(t)
		for _, r := range race(t, raceCall{s.alf, "POST", path + "/accept", body, nil}, raceCall{s.alf, "POST", path + "/accept", body, nil}) {
			expectEqual(t, "the role that is answered", "admin", value(read[account](t, r.is(t, http.StatusOK)).Role))
		}
		s.expectAlf(t, "yes, own, "+everything+"; client owns")
		s.expectEvents(t, before, "person.added")
		s.expectEmails(t, joins(s.alf, s.olga, s.accountName, "an admin")...)
		s.removeAlf(t)
	}
}

func (s *raceStory) acceptOrWithdrawInvitation(t *testing.T) {
	for range rounds() {
		before, path, body := s.leaveInvited(t)
		withdraw := raceCall{s.oscar, "POST", s.team + "/" + s.alf.id() + "/withdraw", nil, nil}
		s.acceptOr(t, before, raceCall{s.alf, "POST", path + "/accept", body, nil}, withdraw, "withdrawn", invitationWithdrawn(s.alf, s.accountName))
	}
}

func (s *raceStory) acceptOrDeclineInvitation(t *testing.T) {
	for range rounds() {
		before, path, body := s.leaveInvited(t)
		decline := raceCall{s.alf, "POST", path + "/decline", body, nil}
		if !s.acceptOr(t, before, raceCall{s.alf, "POST", path + "/accept", body, nil}, decline, "declined", invitationDeclined(s.olga, s.alf, s.accountName)) {
			s.alf.post(t, "/v1/requests/"+connectionID(s.alf.id(), s.luna)+"/unblock", nil).is(t, http.StatusOK)
		}
	}
}

// acceptOr races an acceptance against a call that ends the invitation in a state, and
// reports whether the acceptance came first. Alf is out again after it.
func (s *raceStory) acceptOr(t *testing.T, before []line, accept, other raceCall, state string, told wantEmail) bool {
	t.Helper()
	replies := race(t, accept, other)
	if replies[0].Status == http.StatusOK {
		replies[1].refused(t, http.StatusConflict, "not_pending", "active")
		s.expectAlf(t, "yes, own, "+everything+"; client owns")
		s.expectEvents(t, before, "person.added")
		s.expectEmails(t, joins(s.alf, s.olga, s.accountName, "an admin")...)
		s.removeAlf(t)
		return true
	}
	replies[0].refused(t, http.StatusConflict, "not_pending", state)
	replies[1].is(t, http.StatusOK)
	s.expectAlf(t, "no, ended; client owns")
	s.expectEvents(t, before, "person.invitation_"+state)
	s.expectEmails(t, told)
	return false
}

func (s *raceStory) acceptOrMakerRemoved(t *testing.T) {
	eva := s.person(t, "eva@luna.races.test")
	for range rounds() {
		s.olga.invites(t, s.luna, s.alf, "admin", nil)
		m := s.alf.sendsInvitation(t, s.luna, eva, "admin", nil)
		s.expectEmails(t, append(joined(s.alf, s.olga, s.accountName, "an admin"), invited(eva, s.alf, s.accountName, "an admin"))...)
		before := s.olga.activity(t, s.luna, "")
		replies := race(t,
			raceCall{eva, "POST", "/v1/me/invitations/" + s.luna + "/accept", map[string]any{"request": m.Request}, nil},
			raceCall{s.olga, "DELETE", s.team + "/" + s.alf.id(), nil, nil})
		replies[1].is(t, http.StatusOK)
		s.expectAlf(t, "no, ended; client owns")
		if replies[0].Status == http.StatusOK {
			expectAccess(t, s.luna, wantAccess{eva, "", "yes, own, " + everything + "; client owns"})
			s.expectEvents(t, before, "person.added", "person.removed")
			// The news goes to alf only if he is still there when it does.
			for _, m := range s.newEmails(t) {
				if m.To != eva.email && m.To != s.alf.email {
					t.Errorf("%s got %q", m.To, m.Subject)
				}
			}
			s.olga.delete(t, s.team+"/"+eva.id()).is(t, http.StatusOK)
			s.expectEmails(t, removed(eva, s.olga, s.accountName))
			continue
		}
		replies[0].refused(t, http.StatusConflict, "not_pending", "invited")
		expectAccess(t, s.luna, wantAccess{eva, "", "no, invited; client owns"})
		s.expectEvents(t, before, "person.removed")
		s.cleanup(t)
		s.expectEvents(t, before, "person.invitation_withdrawn", "person.removed")
		expectAccess(t, s.luna, wantAccess{eva, "", "no, ended; client owns"})
		s.expectEmails(t, removed(s.alf, s.olga, s.accountName), invitationWithdrawn(eva, s.accountName))
	}
}

// offersOwnership returns a new account of one owner, who has offered ownership to alf.
func (s *raceStory) offersOwnership(t *testing.T) (account, accept string, body map[string]any) {
	t.Helper()
	account = s.olga.opens(t, "Luna Well")
	s.olga.invites(t, account, s.alf, "admin", nil)
	s.olga.patch(t, "/v1/accounts/"+account+"/team/"+s.alf.id(), map[string]any{"role": "owner"}).is(t, http.StatusOK)
	s.newEmails(t)
	return account, "/v1/me/invitations/" + account + "/accept", map[string]any{"request": 2, "plan": "starter"}
}

// owners returns the active owners in the team of an account.
func (p *person) owners(t *testing.T, account string) []string {
	t.Helper()
	var emails []string
	for _, m := range read[list[member]](t, p.get(t, "/v1/accounts/"+account+"/team").is(t, http.StatusOK)).Items {
		if m.Status == "active" && value(m.Role) == "owner" {
			emails = append(emails, m.Name)
		}
	}
	slices.Sort(emails)
	return emails
}

func (s *raceStory) acceptOwnershipOrLeave(t *testing.T) {
	for range rounds() {
		account, accept, body := s.offersOwnership(t)
		replies := race(t,
			raceCall{s.alf, "POST", accept, body, nil},
			raceCall{s.olga, "DELETE", "/v1/accounts/" + account + "/team/" + s.olga.id(), nil, nil})
		replies[0].is(t, http.StatusOK)
		want := []string{s.alf.email}
		if replies[1].Status != http.StatusOK {
			replies[1].refused(t, http.StatusConflict, "last_owner", "active")
			want = append(want, s.olga.email)
		}
		expectEqual(t, "the owners", want, s.alf.owners(t, account))
		expectEqual(t, "acceptances", 1, countType(s.alf.activity(t, account, ""), "person.ownership_accepted"))
		s.newEmails(t)
	}
}

func (s *raceStory) acceptOwnershipOrPlan(t *testing.T) {
	for range rounds() {
		account, accept, body := s.offersOwnership(t)
		replies := race(t,
			raceCall{s.alf, "POST", accept, body, nil},
			raceCall{s.olga, "PATCH", "/v1/accounts/" + account + "/subscription", map[string]any{"plan": "scale"}, nil})
		replies[1].is(t, http.StatusOK)
		types := eventTypes(s.olga.activity(t, account, ""))
		last := []string{"subscription.plan_changed"}
		if replies[0].Status == http.StatusOK {
			last = []string{"person.ownership_accepted", "subscription.plan_changed"}
			expectEqual(t, "the owners", []string{s.alf.email, s.olga.email}, s.olga.owners(t, account))
		} else {
			replies[0].refused(t, http.StatusConflict, "conflict", "active")
			expectEqual(t, "the owners", []string{s.olga.email}, s.olga.owners(t, account))
		}
		expectEqual(t, "the last events", last, types[len(types)-len(last):])
		s.newEmails(t)
	}
}

func (s *raceStory) twoDemotions(t *testing.T) {
	for range rounds() {
		before := s.olga.activity(t, s.luna, "")
		admin := map[string]any{"role": "admin"}
		replies := race(t,
			raceCall{s.olga, "PATCH", s.team + "/" + s.oscar.id(), admin, nil},
			raceCall{s.oscar, "PATCH", s.team + "/" + s.olga.id(), admin, nil})
		if got := statuses(replies); !slices.Equal(got, []int{http.StatusOK, http.StatusForbidden}) {
			t.Fatalf("answered %v: %s %s", got, replies[0].Body, replies[1].Body)
		}
		remains, demoted := s.olga, s.oscar
		if replies[1].Status == http.StatusOK {
			remains, demoted = s.oscar, s.olga
		}
		s.expectEvents(t, before, "person.changed")
		s.expectEmails(t, changedRole(demoted, remains, s.accountName, "an admin"))
		remains.delete(t, s.team+"/"+remains.id()).refused(t, http.StatusConflict, "last_owner", "active")
		remains.patch(t, s.team+"/"+demoted.id(), map[string]any{"role": "owner"}).is(t, http.StatusOK)
		demoted.joins(t, s.luna)
		s.expectEmails(t, offered(demoted, remains, s.accountName, "the plan Starter, 29 USD"), newOwner(remains, demoted, s.accountName), ownsNow(demoted, s.accountName, "the plan Starter, 29 USD"))
	}
}

func (s *raceStory) twoLeave(t *testing.T) {
	replies := race(t, raceCall{s.olga, "DELETE", s.team + "/" + s.olga.id(), nil, nil}, raceCall{s.oscar, "DELETE", s.team + "/" + s.oscar.id(), nil, nil})
	if got := statuses(replies); !slices.Equal(got, []int{http.StatusOK, http.StatusConflict}) {
		t.Fatalf("answered %v: %s %s", got, replies[0].Body, replies[1].Body)
	}
	remains, gone, refusal := s.olga, s.oscar, replies[0]
	if replies[0].Status == http.StatusOK {
		remains, gone, refusal = s.oscar, s.olga, replies[1]
	}
	refusal.refused(t, http.StatusConflict, "last_owner", "active")
	expectEqual(t, "people who left", 1, countType(remains.activity(t, s.luna, ""), "person.left"))
	s.expectEmails(t, personLeft(remains, gone, s.accountName))
}
