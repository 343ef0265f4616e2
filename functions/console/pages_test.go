package main

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"agencyhub/shared/agency"
	"agencyhub/shared/service"
)

// The page of each kind of error.
func TestProblems(t *testing.T) {
	s := newSite(t)
	for name, err := range map[string]error{
		"404":      &agency.Error{Code: agency.NotFound, Message: "There is no such account, or you have no access to it."},
		"403":      &agency.Error{Code: agency.Forbidden, Message: "Your role does not allow that. Ask an owner or an admin."},
		"identity": &agency.Error{Code: agency.IdentityChanged, Message: "This address now belongs to another sign-in."},
		"409":      &agency.Error{Code: agency.Conflict, Message: "Somebody else is changing the same thing."},
		"owned":    &agency.Error{Code: agency.PermanentlyOwned, Message: "An agency owns this account permanently."},
		"410":      &agency.Error{Code: agency.RequestExpired, State: agency.Expired, Message: "The request has expired. The agency can ask again."},
		"429":      &agency.Error{Code: agency.Cooling, RetryAfter: 49 * time.Hour, Message: "They have declined not long ago."},
		"401":      &agency.Error{Code: agency.Unauthenticated, Message: "You were not signed in. Please try again."},
		"503":      &agency.Error{Code: agency.Unavailable, RetryAfter: 2 * time.Second, Message: "Too many people are changing this account right now. Nothing was changed; try again in a moment."},
		"500":      errors.New("dynamodb: secret details"),
	} {
		for who, email := range map[string]string{"": "", "-signed-in": cleoAt} {
			w := httptest.NewRecorder()
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/accounts/x", nil)
			v := &visit{console: s.console, ctx: t.Context(), w: w, r: r, actor: s.actor(email)}
			must(t, v.write(v.problem(err)))
			if strings.Contains(w.Body.String(), "secret") {
				t.Errorf("%s tells what went wrong inside", name)
			}
			if (w.Header().Get("Retry-After") != "") != (name == "429" || name == "503") || w.Header().Get("WWW-Authenticate") != "" {
				t.Errorf("%s: headers %v", name, w.Header())
			}
			golden(t, "problem-"+name+who, w.Body.Bytes())
		}
	}
}

// hostile is a name that could break a page: markup, text that runs the other way, and
// 80 wide characters.
var hostile = "<script>alert(1)</script>\"'&<b>\u202eevil\u2066 " + strings.Repeat("𝕎", 80)

// What people typed is text on every page, isolated from the text around it.
func TestHostileNames(t *testing.T) {
	s := newSite(t)
	at := s.clock()
	account := &visitedAccount{Tab: "team", AccountView: service.AccountView{
		Account: agency.Account{ID: "acct_00000000000000000000000000", Name: hostile, Ownership: agency.ClientOwned, Version: 1, Owners: 1},
		Role:    agency.Owner, CallerRole: agency.AsOwner,
	}}
	f := func() frame { return frame{Account: account, Actor: hostile} }
	v := &visit{console: s.console, ctx: t.Context()}
	levels := v.newLevelsTable("Levels", nil, nil)
	rows := []memberRow{{Name: hostile, Status: agency.Active, Role: agency.Owner, Since: at, URL: "/x"},
		{Name: hostile, Status: agency.Revoked, Since: at, URL: "/x"}}
	blocks := []blockRow{{ID: "acct_00000000000000000000000000", Name: hostile, IsBlocked: true}}
	cards := []waitingCard{
		{Kind: agency.ConnectionKind, From: hostile, Account: hostile, By: hostile, Message: hostile, Expires: at, URL: "/x"},
		{Kind: agency.InvitationKind, From: hostile, Account: hostile, By: hostile, IsAgencyOwned: true, Role: agency.Member, Expires: at, URL: "/x"},
		{Kind: agency.InvitationKind, From: hostile, Account: hostile, Role: agency.Owner, Price: "29 USD a month", Expires: at, URL: "/x"},
		{Kind: agency.OwnershipKind, From: hostile, Account: hostile, By: hostile, Role: agency.Owner, Price: "29 USD a month", Expires: at, URL: "/x"},
	}
	sent := &sentInvitation{By: hostile, SentAt: at, Expires: at, CanManage: true, Resends: 1, EmailFailed: true}
	invited := []invitedRow{{memberRow: memberRow{Name: hostile, Status: agency.Invited, Role: agency.Member, URL: "/x"}, Member: "per_x", sentInvitation: *sent}}
	words := spans("% and %", hostile, hostile)
	pages := map[string]pageData{
		"home": &homePage{frame: f(), Waiting: cards, Accounts: []accountRow{{Name: hostile, Role: agency.Owner, URL: "/x"}}},
		"request": &requestPage{frame: f(), Status: agency.Pending, Agency: hostile, RequestedBy: hostile, AccountName: hostile,
			Message: hostile, Levels: levels, IsByEmail: true, Choices: []accountChoice{{Name: hostile}}},
		"request-link":    &requestLinkPage{frame: f()},
		"invitation-link": &invitationLinkPage{frame: f()},
		"stop":            &stopPage{frame: f()},
		"stopped":         &stoppedPage{frame: f()},
		"waiting":         &waitingPage{frame: f(), Cards: cards},
		"team": &teamPage{frame: f(), Pending: []pendingRow{{Agency: hostile, RequestedBy: hostile, Message: hostile, Expires: at}},
			Agencies: rows, PastAgencies: rows, People: rows, PastPeople: rows, Invited: invited,
			Blocks: blocks, Roles: account.grantableRoles(), Levels: levels},
		"member": &memberPage{frame: f(), Name: hostile, IsAgency: true, Status: agency.Active, RequestedBy: hostile, Message: hostile,
			CanRestrict: true, Levels: levels},
		"settings": &settingsPage{frame: f()},
		"me stop":  &mePage{frame: f(), MailStopped: true},
		"me":       &mePage{frame: f(), Blocks: blocks, LastOwnerOf: []accountRow{{Name: hostile, URL: "/x"}}},
		"activity": &activityPage{frame: f(), Days: []activityDay{{Day: at, Entries: []activityEntry{{
			At: at, Sentence: words, By: words, Message: hostile, Changes: []activityChange{{Name: "Name", Was: hostile, Now: hostile}}}}}}},
		"agency-activity": &agencyActivityPage{frame: f(), Days: []activityDay{{Day: at, Entries: []activityEntry{{At: at, Sentence: words, By: words}}}}},
		"bill": &billPage{frame: f(), Bill: service.AgencyBill{Accounts: 1, Currency: "USD",
			Lines: service.List[service.BillLine]{Items: []service.BillLine{{Name: hostile}}}}},
		"subscription": &subscriptionPage{frame: f()},
		"problem":      &problemPage{frame: f(), Status: 404, SignInURL: "/x", Message: "No."},
	}
	for _, status := range []agency.Status{"", agency.Active, agency.Declined, agency.Expired, agency.Withdrawn, agency.Revoked, agency.Left,
		agency.Lapsed, agency.Ended} {
		pages["request "+string(status)] = &requestPage{frame: f(), Status: status, Agency: hostile, RequestedBy: hostile, AccountName: hostile,
			Message: hostile, Block: service.Block{Pair: agency.Pair{Blocked: true}}}
	}
	for _, state := range []invitationState{invitationOpen, invitationAccepted, invitationDeclined, invitationWithdrawn, invitationExpired,
		invitationEnded, invitationClosed} {
		for _, role := range []agency.Role{agency.Member, agency.Owner} {
			p := &invitationPage{frame: f(), State: state, AccountName: hostile, From: hostile, By: hostile, Role: role, AccountURL: "/x",
				IsAgencyOwned: role == agency.Member, Block: service.Block{Pair: agency.Pair{Blocked: true}}}
			if role == agency.Owner {
				p.Price = "29 USD a month"
			}
			pages["invitation "+string(state)+" "+string(role)] = p
			offer := *p
			offer.IsOffer = true
			pages["invitation offer "+string(state)+" "+string(role)] = &offer
		}
	}
	member := func(change func(*memberPage)) pageData {
		p := &memberPage{frame: f(), Name: hostile, Status: agency.Active, Role: agency.Owner, Levels: levels, Roles: account.grantableRoles(),
			IsYou: true, CanLeave: true, CanChange: true,
			ClientLimits: &limitsForm{Clients: []accountChoice{{Name: hostile}}, Others: hostile}}
		change(p)
		return p
	}
	pages["member a person"] = member(func(*memberPage) {})
	pages["member the last owner"] = member(func(p *memberPage) { p.IsLastOwner = true })
	pages["member invited"] = member(func(p *memberPage) { p.Status, p.CanChange, p.Invitation = agency.Invited, false, sent })
	pages["member offered"] = member(func(p *memberPage) { p.Invitation = sent })
	pages["member the owning agency"] = member(func(p *memberPage) { p.IsAgency, p.IsOwningAgency = true, true })
	for name, p := range pages {
		v.r, v.w = httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/x", nil), httptest.NewRecorder()
		v.fill(p.base())
		p.base().Actor = hostile
		template, _, _ := strings.Cut(name, " ")
		body, err := s.templates.render(template, p)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		checkIsolated(t, name, string(body))
	}
}

var markup = regexp.MustCompile(`<[^>]*>|[^<]+`)

// checkIsolated demands that hostile text is text, in elements that isolate its
// direction.
func checkIsolated(t *testing.T, name, body string) {
	t.Helper()
	if strings.Contains(body, "<script>alert") || strings.Contains(body, "<b>") {
		t.Errorf("%s: markup of a name is markup of the page", name)
	}
	if !strings.Contains(body, "alert(1)") {
		t.Errorf("%s: the name is not there at all", name)
	}
	depth := 0
	for _, part := range markup.FindAllString(body, -1) {
		switch tag, _, _ := strings.Cut(strings.Trim(part, "<>"), " "); {
		case part[0] == '<' && (tag == "bdi" || tag == "title" || tag == "textarea"):
			depth++
		case part[0] == '<' && (tag == "/bdi" || tag == "/title" || tag == "/textarea"):
			depth--
		case part[0] != '<' && strings.Contains(part, "evil") && depth == 0:
			t.Errorf("%s: not apart from what surrounds it: %.60s", name, strings.TrimSpace(part))
		}
	}
}

// The same end to end, with names that accounts can have.
func TestHostileNamesAreServed(t *testing.T) {
	w := newWorld(t)
	wide := strings.Repeat("W", 80)
	name := `<img src=x onerror=alert(1)>"'&`
	for n, given := range []string{name, wide} {
		email := []string{"a@markup.test", "b@wide.test"}[n]
		id := w.openAccountFor(email, given)
		_, err := w.svc.SwitchAgencyOn(t.Context(), w.actor(email), id)
		must(t, err)
		w.requestAs(email, id, service.ConnectionRequest{Account: w.shop, Areas: requestedAreas, Message: given})
		w.requestAs(email, id, service.ConnectionRequest{OwnerEmail: cleoAt, Areas: requestedAreas, Message: given})
		con := agency.NewConnectionID(agency.Party(w.shop), id)
		cleo := w.as(cleoAt)
		for _, path := range []string{"/", "/accounts/" + string(w.shop) + "/team", "/accounts/" + string(w.shop) + "/activity",
			"/requests/" + string(con)} {
			page := cleo.get(path)
			page.wantText(t, http.StatusOK, given)
			page.wantNoMarkup(t, "<img src=x")
		}
		cleo.submit("/requests/"+string(con), "do", "block", "request", "1").wantText(t, http.StatusOK, given)
		cleo.get("/me").wantText(t, http.StatusOK, given)
	}
}

// Home shows a pending request after many withdrawn ones.
func TestHomeShowsEveryRequest(t *testing.T) {
	w := newWorld(t)
	asker := map[agency.AccountID]string{}
	for n := range 30 {
		email := fmt.Sprintf("ann%d@many.test", n)
		id := w.openAccountFor(email, fmt.Sprintf("Agency %d", n))
		_, err := w.svc.SwitchAgencyOn(t.Context(), w.actor(email), id)
		must(t, err)
		w.requestAs(email, id, service.ConnectionRequest{Account: w.shop, Areas: requestedAreas})
		asker[id] = email
	}
	ids := slices.Sorted(maps.Keys(asker))
	last := ids[len(ids)-1]
	for _, id := range ids[:len(ids)-1] {
		_, err := w.svc.WithdrawRequest(t.Context(), w.actor(asker[id]), id, agency.NewConnectionID(agency.Party(w.shop), id))
		must(t, err)
	}
	w.as(cleoAt).get("/").wantMarkup(t, "/requests/"+string(agency.NewConnectionID(agency.Party(w.shop), last)))
}
