package e2e

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A shape is what of an answer can be compared with another: all but ids, addresses
// and times, which have one length.
type shape struct {
	Status      int
	HeaderNames []string
	Headers     []string
	Body        string
}

var (
	anyID     = regexp.MustCompile(`(acct|per)_[0-9a-z]{26}`)
	anyMoment = regexp.MustCompile(`"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"`)
)

// shapeOf returns an answer's shape. The names differ between the answers that are
// compared.
func shapeOf(r *reply, names ...string) shape {
	s := shape{Status: r.Status, HeaderNames: slices.Sorted(maps.Keys(r.Header))}
	for _, name := range []string{"Content-Type", "Content-Length", "Cache-Control"} {
		s.Headers = append(s.Headers, r.Header.Get(name))
	}
	body := anyMoment.ReplaceAllString(anyID.ReplaceAllString(bodyWithoutID(r), "${1}_X"), `"T"`)
	for _, name := range names {
		body = strings.ReplaceAll(body, name, "N")
	}
	s.Body = body
	return s
}

// expectSameShape compares the shapes of several answers.
func expectSameShape(t *testing.T, what string, shapes ...shape) {
	t.Helper()
	for i := range shapes {
		expectEqual(t, fmt.Sprintf("%s, answer 0 and answer %d", what, i), shapes[0], shapes[i])
	}
}

type byEmailStory struct {
	agencyStaff
	petra, ursel, berta, colin, sam *person
	addressees                      []*person
	message, pots, pans, cups       string
	shops                           map[*person]string
	noAccess, access                []wantAccess
	until                           time.Time
}

// TestByEmail tests requests by email (README, Requests by email).
func TestByEmail(t *testing.T) {
	s := &byEmailStory{agencyStaff: newAgency(t, common(t), "Bright Agency", "byemail.test")}

	// Addresses of one length, so that no answer differs by that.
	s.petra, s.ursel = s.person(t, "petra@pots.test"), s.person(t, "ursel@pots.test")
	s.berta, s.colin = s.person(t, "berta@pots.test"), s.person(t, "colin@pots.test")
	s.sam = s.person(t, "sam@elsewhere.byemail.test")
	s.addressees = []*person{s.petra, s.ursel, s.berta, s.colin}
	s.message = "We met at the fair: shall we set your shop up?"
	s.pots, s.pans = s.petra.opens(t, "Petra's Pots"), s.petra.opens(t, "Petra's Pans")
	s.shops = map[*person]string{s.berta: s.berta.opens(t, "Berta's Bowls"), s.colin: s.colin.opens(t, "Colin's Cups")}
	s.cups = s.sam.opens(t, "Sam's Cups")
	s.sam.invites(t, s.cups, s.petra, "member", levels{"pages": "view"})
	s.expectEmails(t, joined(s.petra, s.sam, "Sam's Cups", "a member")...)

	s.noAccess = []wantAccess{{s.ann, s.agencyID, "no, none"}, {s.ben, "", "no, none"}, {s.petra, "", "yes, own, " + everything + "; client owns"}}
	step(t, t.Run("an agency asks by address: the person is emailed how to answer, with an account or without", s.requestByAddress))
	step(t, t.Run("the person declines, or declines and blocks, by the request's id: both sides are told, and the block to nobody", s.declineAndBlock))
	step(t, t.Run("the answer is the same for an address that is unknown, known, blocking and cooling, now and later", s.sameAnswers))
	step(t, t.Run("it stands under the requests of whoever has the address, and is nobody else's", s.visibleToAddressee))
	step(t, t.Run("it can go to an account in which they are owner or admin, and to no other, as it was asked", s.accountChoice))

	s.until = time.Now().AddDate(0, 1, 0).UTC().Truncate(time.Second)
	s.access = []wantAccess{{s.ann, s.agencyID, "yes, " + s.agencyID + ", mail:view; client owns"}, {s.ben, "", "yes, " + s.agencyID + ", mail:view; client owns"},
		{s.petra, "", "yes, own, " + everything + "; client owns"}}
	step(t, t.Run("she chooses the account, narrows it and sets an end date: the agency is in, knows the account, and both are told", s.acceptIntoChosen))
	step(t, t.Run("the email's link, a bookmark and a repeat still answer, and move it nowhere else", s.linkStaysValid))
	step(t, t.Run("from then on it is a connection as any other: she takes the end date off, and the agency is told", s.endDateRemoved))
	step(t, t.Run("who has no account opens one, and lets the agency into that", s.acceptIntoNewAccount))
	step(t, t.Run("a new request by email comes in the place of the one that went away; what waits at the account is accepted with it", s.requestAgain))
	step(t, t.Run("two accept into two accounts at once: one wins", s.acceptTwiceAtOnce))
	step(t, t.Run("who held the agency off allows it again: what was asked meanwhile does not revive, the next request arrives", s.unblockAndRequest))
	step(t, t.Run("accepting a request in their account ends what they held against the agency themselves", s.acceptInAccount))
}

func (s *byEmailStory) connection(who *person) string { return connectionID(who.id(), s.agencyID) }

func (s *byEmailStory) sendRequest(t *testing.T, who *person) *reply {
	t.Helper()
	return s.ben.post(t, s.agencyPath+"/connections", map[string]any{
		"ownerEmail": who.email, "message": s.message, "areas": levels{"pages": "edit", "mail": "view"},
	})
}

func (s *byEmailStory) requestEmail(who *person, c connection, manages bool) wantEmail {
	return requestedByEmail(who, request{
		by: s.ben.email, agency: s.agencyName, areas: "Pages: Edit", message: s.message,
		until: moment(*c.ExpiresAt), link: s.PublicURL + "/requests/" + s.connection(who),
	}, manages)
}

func (s *byEmailStory) requestByAddress(t *testing.T) {
	var emails []wantEmail
	for _, who := range s.addressees {
		c := read[connection](t, s.sendRequest(t, who).is(t, http.StatusCreated))
		if c.ID != s.connection(who) || c.Account != nil || value(c.Email) != who.email || c.Name != who.id() || c.Status != "pending" || c.Request != 1 {
			t.Errorf("asked: %+v", c)
		}
		emails = append(emails, s.requestEmail(who, c, who != s.ursel))
	}
	expectAccess(t, s.pots, s.noAccess...)
	s.expectEmails(t, emails...)
}

func (s *byEmailStory) declineAndBlock(t *testing.T) {
	for range 2 { // a repeat changes nothing
		for _, who := range []*person{s.berta, s.colin} {
			body := map[string]any{"request": 1, "block": who == s.berta}
			who.post(t, "/v1/requests/"+s.connection(who)+"/decline", body).expectStatus(t, "declined")
		}
	}
	s.expectEmails(t, declinedByMe(s.berta, s.agencyName), declinedByMe(s.colin, s.agencyName),
		declinedByEmail(s.ben, s.agencyName, s.berta.email), declinedByEmail(s.ann, s.agencyName, s.berta.email),
		declinedByEmail(s.ben, s.agencyName, s.colin.email), declinedByEmail(s.ann, s.agencyName, s.colin.email))
	expectSameShape(t, "a request declined", shapeOf(s.ben.get(t, s.agencyPath+"/connections/"+s.connection(s.berta)), s.berta.email), shapeOf(s.ben.get(t, s.agencyPath+"/connections/"+s.connection(s.colin)), s.colin.email))
	for who, blocked := range map[*person]bool{s.berta: true, s.colin: false} {
		list := read[list[block]](t, who.get(t, "/v1/me/blocks").is(t, http.StatusOK))
		if len(list.Items) != 1 || list.Items[0].Agency.ID != s.agencyID || list.Items[0].Agency.Name != s.agencyName || list.Items[0].Blocked != blocked ||
			list.Items[0].CoolingUntil.Before(time.Now().Add(30*day-time.Hour)) {
			t.Errorf("%s blocks %+v", who.email, list.Items)
		}
	}
	for _, who := range []*person{s.petra, s.ursel} {
		s.ben.post(t, s.agencyPath+"/connections/"+s.connection(who)+"/withdraw", nil).is(t, http.StatusOK)
	}
	s.expectEmails(t, withdrawnByEmail(s.petra, s.agencyName), withdrawnByEmail(s.ursel, s.agencyName))
}

func (s *byEmailStory) sameAnswers(t *testing.T) {
	shapes := map[string][]shape{}
	note := func(what string, who *person, r *reply) { shapes[what] = append(shapes[what], shapeOf(r, who.email)) }
	var emails []wantEmail
	for _, who := range s.addressees {
		r := s.sendRequest(t, who)
		note("asking", who, r)
		c := read[connection](t, r.is(t, http.StatusCreated))
		if who == s.petra || who == s.ursel {
			emails = append(emails, s.requestEmail(who, c, who == s.petra))
		}
	}
	s.expectEmails(t, emails...) // a block and a cooldown are not visible to the agency
	for _, who := range s.addressees {
		path := s.agencyPath + "/connections/" + s.connection(who)
		r := s.ben.get(t, path)
		if c := read[connection](t, r.is(t, http.StatusOK)); c.Delivery != nil || c.Status != "pending" {
			t.Errorf("%s: %+v", who.email, c)
		}
		note("looking at it", who, r)
		note("asking twice", who, s.sendRequest(t, who))
		note("sending it again too soon", who, s.ben.post(t, path+"/resend", nil))
		note("sending it again as a member", who, s.cid.post(t, path+"/resend", nil))
	}
	for what, list := range shapes {
		expectSameShape(t, what, list...)
	}
	if row := read[list[connection]](t, s.ann.get(t, s.agencyPath+"/accounts?status=pending").is(t, http.StatusOK)); len(row.Items) != 4 || row.Counts.Pending != 4 {
		t.Errorf("the agency's list shows %+v", row)
	}
	s.expectEmails(t)
}

func (s *byEmailStory) visibleToAddressee(t *testing.T) {
	for _, who := range []*person{s.petra, s.ursel} {
		mine := read[list[connection]](t, who.get(t, "/v1/requests").is(t, http.StatusOK)).Items
		if len(mine) != 1 || mine[0].ID != s.connection(who) || mine[0].Agency.Name != s.agencyName || value(mine[0].Message) != s.message || mine[0].Request != 2 ||
			mine[0].Areas.String() != "mail:view pages:edit" || value(mine[0].Email) != who.email {
			t.Errorf("%s sees %+v", who.email, mine)
		}
	}
	path := "/v1/requests/" + s.connection(s.petra)
	accept := map[string]any{"account": s.pots, "request": 2}
	before := s.settled(t)
	for _, who := range []*person{s.sam, s.ann, s.ben, s.ursel} {
		for _, r := range []*reply{who.get(t, path), who.post(t, path+"/accept", accept), who.post(t, path+"/decline", map[string]any{"request": 2})} {
			r.refused(t, http.StatusNotFound, "not_found", "")
		}
	}
	for _, who := range []*person{s.berta, s.colin} { // a muted request does not exist for them
		who.expectEmpty(t, "/v1/requests")
		for _, r := range []*reply{
			who.get(t, "/v1/requests/"+s.connection(who)), who.post(t, "/v1/requests/"+s.connection(who)+"/decline", map[string]any{"request": 2}),
			who.post(t, "/v1/requests/"+s.connection(who)+"/accept", map[string]any{"account": s.shops[who], "request": 2}),
		} {
			r.refused(t, http.StatusNotFound, "not_found", "")
		}
	}
	s.signedOut().get(t, path).is(t, http.StatusUnauthorized)
	expectUnchanged(t, before, s.dump(t))
	expectAccess(t, s.pots, s.noAccess...)
}

func (s *byEmailStory) accountChoice(t *testing.T) {
	path := "/v1/requests/" + s.connection(s.petra) + "/accept"
	before := s.settled(t)
	s.petra.post(t, path, map[string]any{"account": s.cups, "request": 2}).refused(t, http.StatusForbidden, "forbidden", "")
	s.petra.post(t, path, map[string]any{"account": s.agencyID, "request": 2}).refused(t, http.StatusBadRequest, "invalid", "")
	s.petra.post(t, path, map[string]any{"account": "acct_00000000000000000000000000", "request": 2}).refused(t, http.StatusNotFound, "not_found", "")
	s.petra.post(t, path, map[string]any{"account": s.pots, "request": 1}).refused(t, http.StatusConflict, "conflict", "pending")
	s.petra.post(t, path, map[string]any{"account": s.pots, "request": 2, "areas": levels{"mail": "edit"}}).refused(t, http.StatusBadRequest, "invalid", "")
	past := time.Now().Add(-time.Minute).UTC().Format(time.RFC3339)
	s.petra.post(t, path, map[string]any{"account": s.pots, "request": 2, "until": past}).refused(t, http.StatusBadRequest, "invalid", "")
	expectUnchanged(t, before, s.dump(t))
	expectAccess(t, s.pots, s.noAccess...)
	s.expectEmails(t)
}

func (s *byEmailStory) acceptIntoChosen(t *testing.T) {
	accept := map[string]any{"account": s.pots, "request": 2, "areas": levels{"mail": "view"}, "until": s.until.Format(time.RFC3339)}
	c := read[connection](t, s.petra.post(t, "/v1/requests/"+s.connection(s.petra)+"/accept", accept).is(t, http.StatusOK))
	if c.Status != "active" || value(c.Account) != s.pots || c.ID != connectionID(s.pots, s.agencyID) || c.Name != "Petra's Pots" ||
		c.Areas.String() != "mail:view" || c.Until == nil || !c.Until.Equal(s.until) || c.Email != nil {
		t.Errorf("accepted: %+v", c)
	}
	expectAccess(t, s.pots, s.access...)
	expectAccess(t, s.pans, s.noAccess...)
	note := "Pages: No access (asked for: Edit)"
	s.expectEmails(t, accepted(s.ben, s.agencyName, "Petra's Pots", note).endingOn(moment(s.until)), accepted(s.ann, s.agencyName, "Petra's Pots", note).endingOn(moment(s.until)),
		acceptedBy(s.petra, s.petra, s.agencyName, "Petra's Pots", note).endingOn(moment(s.until)))
	rows := read[list[connection]](t, s.ann.get(t, s.agencyPath+"/accounts?status=active").is(t, http.StatusOK))
	if len(rows.Items) != 1 || rows.Items[0].ID != c.ID || rows.Items[0].Name != "Petra's Pots" || rows.Counts.Connected != 1 || rows.Counts.Pending != 3 {
		t.Errorf("the agency's list shows %+v", rows)
	}
	if m := read[list[member]](t, s.petra.get(t, "/v1/accounts/"+s.pots+"/team").is(t, http.StatusOK)).Items[0]; m.ID != s.agencyID || m.Status != "active" {
		t.Errorf("the team shows %+v", m)
	}
	s.petra.expectActivity(t, s.pots, "", "account.opened", "connection.accepted")
}

func (s *byEmailStory) linkStaysValid(t *testing.T) {
	before := s.settled(t)
	page := htmlText(string(s.fetchPage(t, http.MethodGet, "/requests/"+s.connection(s.petra)).is(t, http.StatusOK).Body))
	expectContains(t, "the link's page", page, "Opening this page changes nothing", "Sign in to review it")
	expectNoneOf(t, "the link's page", page, s.petra.email, s.agencyName, "Petra's Pots", s.message)
	path := "/v1/requests/" + s.connection(s.petra)
	for _, r := range []*reply{
		s.petra.get(t, path), s.ann.get(t, s.agencyPath+"/connections/"+s.connection(s.petra)), s.ann.get(t, s.agencyPath+"/connections/"+connectionID(s.pots, s.agencyID)),
		s.petra.post(t, path+"/accept", map[string]any{"account": s.pots, "request": 2}),
	} {
		if c := read[connection](t, r.is(t, http.StatusOK)); c.Status != "active" || value(c.Account) != s.pots {
			t.Errorf("%s answers %+v", r.to, c)
		}
	}
	s.petra.post(t, path+"/accept", map[string]any{"account": s.pans, "request": 2}).refused(t, http.StatusConflict, "not_pending", "moved")
	s.petra.post(t, path+"/decline", map[string]any{"request": 2}).refused(t, http.StatusConflict, "not_pending", "moved")
	s.ben.post(t, s.agencyPath+"/connections/"+s.connection(s.petra)+"/withdraw", nil).refused(t, http.StatusConflict, "not_pending", "moved")
	s.petra.expectEmpty(t, "/v1/requests")
	expectUnchanged(t, before, s.dump(t))
	expectAccess(t, s.pots, s.access...)
	s.expectEmails(t)
}

func (s *byEmailStory) endDateRemoved(t *testing.T) {
	s.petra.patch(t, "/v1/accounts/"+s.pots+"/team/"+s.agencyID, map[string]any{"until": nil}).is(t, http.StatusOK)
	gone := "The access has no end date any more; until now it was to end on " + moment(s.until) + "."
	s.expectEmails(t, restrictedUntil(s.ben, s.agencyName, "Petra's Pots", gone), restrictedUntil(s.ann, s.agencyName, "Petra's Pots", gone))
	expectAccess(t, s.pots, s.access...)
}

func (s *byEmailStory) acceptIntoNewAccount(t *testing.T) {
	dishes := s.ursel.opens(t, "Ursel's Dishes")
	expectAccess(t, dishes, wantAccess{s.ann, s.agencyID, "no, none"})
	c := read[connection](t, s.ursel.post(t, "/v1/requests/"+s.connection(s.ursel)+"/accept", map[string]any{"account": dishes, "request": 2}).is(t, http.StatusOK))
	if c.Status != "active" || c.Areas.String() != "mail:view pages:edit" || c.Until != nil {
		t.Errorf("accepted: %+v", c)
	}
	expectAccess(t, dishes, wantAccess{s.ann, s.agencyID, "yes, " + s.agencyID + ", mail:view pages:edit; client owns"}, wantAccess{s.cid, s.agencyID, "yes, " + s.agencyID + ", mail:view pages:view; client owns"})
	s.expectEmails(t, accepted(s.ben, s.agencyName, "Ursel's Dishes", "Pages: Edit"), accepted(s.ann, s.agencyName, "Ursel's Dishes", "Pages: Edit"),
		acceptedBy(s.ursel, s.ursel, s.agencyName, "Ursel's Dishes", "Pages: Edit"))
}

func (s *byEmailStory) requestAgain(t *testing.T) {
	atPans := s.ann.requests(t, s.agencyID, s.pans, levels{"contacts": "edit"})
	byEmail := read[connection](t, s.sendRequest(t, s.petra).is(t, http.StatusCreated))
	if byEmail.Request != 3 || byEmail.Account != nil || byEmail.Status != "pending" {
		t.Errorf("asked again: %+v", byEmail)
	}
	s.expectEmails(t, requested(s.petra, request{by: s.ann.email, agency: s.agencyName, account: "Petra's Pans", until: moment(*atPans.ExpiresAt)}), s.requestEmail(s.petra, byEmail, true))
	s.petra.post(t, "/v1/requests/"+s.connection(s.petra)+"/accept", map[string]any{"account": s.pots, "request": 3}).refused(t, http.StatusConflict, "already_connected", "active")
	expectAccess(t, s.pans, wantAccess{s.ann, s.agencyID, "no, pending; client owns"})
	c := read[connection](t, s.petra.post(t, "/v1/requests/"+s.connection(s.petra)+"/accept", map[string]any{"account": s.pans, "request": 3}).is(t, http.StatusOK))
	if c.Status != "active" || value(c.Account) != s.pans || c.Areas.String() != "mail:view pages:edit" {
		t.Errorf("accepted: %+v", c)
	}
	expectAccess(t, s.pans, wantAccess{s.ann, s.agencyID, "yes, " + s.agencyID + ", mail:view pages:edit; client owns"})
	s.petra.expectActivity(t, s.pans, "", "account.opened", "connection.requested", "connection.accepted")
	if rows := read[list[connection]](t, s.ann.get(t, s.agencyPath+"/accounts").is(t, http.StatusOK)); rows.Counts.Connected != 3 || rows.Counts.Pending != 2 {
		t.Errorf("the agency's list counts %+v", rows.Counts)
	}
	s.expectEmails(t, accepted(s.ben, s.agencyName, "Petra's Pans", "Pages: Edit"), accepted(s.ann, s.agencyName, "Petra's Pans", "Pages: Edit"),
		acceptedBy(s.petra, s.petra, s.agencyName, "Petra's Pans", "Pages: Edit"))
}

func (s *byEmailStory) acceptTwiceAtOnce(t *testing.T) {
	jars, jugs := s.petra.opens(t, "Petra's Jars"), s.petra.opens(t, "Petra's Jugs")
	c := read[connection](t, s.sendRequest(t, s.petra).is(t, http.StatusCreated))
	s.expectEmails(t, s.requestEmail(s.petra, c, true))
	accept := "/v1/requests/" + s.connection(s.petra) + "/accept"
	replies := race(t,
		raceCall{s.petra, "POST", accept, map[string]any{"account": jars, "request": c.Request}, nil},
		raceCall{s.petra, "POST", accept, map[string]any{"account": jugs, "request": c.Request}, nil})
	won, lost, name := jars, jugs, "Petra's Jars"
	if replies[1].Status == http.StatusOK {
		won, lost, name, replies[0], replies[1] = jugs, jars, "Petra's Jugs", replies[1], replies[0]
	}
	replies[0].is(t, http.StatusOK)
	replies[1].refused(t, http.StatusConflict, "not_pending", "moved")
	expectAccess(t, won, wantAccess{s.ann, s.agencyID, "yes, " + s.agencyID + ", mail:view pages:edit; client owns"})
	expectAccess(t, lost, wantAccess{s.ann, s.agencyID, "no, none"})
	s.expectEmails(t, accepted(s.ben, s.agencyName, name, ""), accepted(s.ann, s.agencyName, name, ""), acceptedBy(s.petra, s.petra, s.agencyName, name, ""))
}

func (s *byEmailStory) unblockAndRequest(t *testing.T) {
	unblock := "/v1/requests/" + s.connection(s.berta) + "/unblock"
	for _, ended := range []bool{true, false} {
		expectEqual(t, "a block has ended", ended, read[struct{ Unblocked bool }](t, s.berta.post(t, unblock, nil).is(t, http.StatusOK)).Unblocked)
	}
	s.berta.get(t, "/v1/requests/"+s.connection(s.berta)).refused(t, http.StatusNotFound, "not_found", "")
	s.berta.expectEmpty(t, "/v1/me/blocks")
	s.ben.post(t, s.agencyPath+"/connections/"+s.connection(s.berta)+"/withdraw", nil).is(t, http.StatusOK)
	s.expectEmails(t) // the request was muted
	c := read[connection](t, s.sendRequest(t, s.berta).is(t, http.StatusCreated))
	s.expectEmails(t, s.requestEmail(s.berta, c, true))
	s.age(t, day, connectionRow(s.berta.id(), s.agencyID))
	c = read[connection](t, s.ben.post(t, s.agencyPath+"/connections/"+s.connection(s.berta)+"/resend", nil).is(t, http.StatusOK))
	s.expectEmails(t, resent(s.requestEmail(s.berta, c, true)))
}

func (s *byEmailStory) acceptInAccount(t *testing.T) {
	cups := s.shops[s.colin]
	s.ann.requests(t, s.agencyID, cups, levels{"pages": "view"})
	s.expectEmails(t) // the cooldown has not ended
	s.colin.post(t, "/v1/accounts/"+cups+"/team/"+s.agencyID+"/accept", map[string]any{"request": 1}).is(t, http.StatusOK)
	expectAccess(t, cups, wantAccess{s.ann, s.agencyID, "yes, " + s.agencyID + ", pages:view; client owns"})
	s.expectEmails(t, accepted(s.ann, s.agencyName, "Colin's Cups", ""), acceptedBy(s.colin, s.colin, s.agencyName, "Colin's Cups", ""))
	s.colin.expectEmpty(t, "/v1/me/blocks")
	s.ben.post(t, s.agencyPath+"/connections/"+s.connection(s.colin)+"/withdraw", nil).is(t, http.StatusOK)
	c := read[connection](t, s.sendRequest(t, s.colin).is(t, http.StatusCreated))
	s.expectEmails(t, s.requestEmail(s.colin, c, true))
}

// TestByEmailTakesTheSameTime reports how long requests and withdrawals take for
// each kind of address. It checks no times: this machine's noise is larger than any
// difference.
func TestByEmailTakesTheSameTime(t *testing.T) {
	s := unlimited(t)
	ann := s.person(t, "ann@timing.test")
	agency := ann.opensAgency(t, "Bright Agency")
	connectionsPath := "/v1/agencies/" + agency + "/connections"
	cases := []string{"unknown", "known", "blocking", "cooling"}
	took := map[string][]time.Duration{}
	for _, name := range cases[1:] {
		who := s.person(t, name+"@timing.test")
		who.opens(t, "Luna "+name)
		if name == "known" {
			continue
		}
		c := ann.requestsByEmail(t, agency, who.email, levels{"pages": "view"})
		who.post(t, "/v1/requests/"+c.ID+"/decline", map[string]any{"request": c.Request, "block": name == "blocking"}).is(t, http.StatusOK)
	}
	s.newEmails(t)
	const calls = 40
	for range calls {
		for _, i := range rand.Perm(len(cases)) {
			began := time.Now()
			c := ann.requestsByEmail(t, agency, cases[i]+"@timing.test", levels{"pages": "view"})
			took[cases[i]] = append(took[cases[i]], time.Since(began))
			ann.post(t, connectionsPath+"/"+c.ID+"/withdraw", nil).is(t, http.StatusOK)
		}
	}
	line := ""
	for _, name := range cases {
		slices.Sort(took[name])
		line += fmt.Sprintf("  %s %s", name, took[name][calls/2].Round(10*time.Microsecond))
	}
	t.Log("medians of asking by email over " + strconv.Itoa(calls) + " calls each:" + line)
	for _, m := range s.newEmails(t) {
		if m.To == "blocking@timing.test" || m.To == "cooling@timing.test" {
			t.Errorf("%s got %q", m.To, m.Subject)
		}
	}
}
