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

// What a refusal looks like, for each status.
func TestProblems(t *testing.T) {
	s := newSite(t)
	for name, err := range map[string]error{
		"404":      &agency.Error{Code: agency.NotFound, Message: "There is no such account, or you have no access to it."},
		"403":      &agency.Error{Code: agency.Forbidden, Message: "Your role does not allow that. Ask an owner or an admin."},
		"identity": &agency.Error{Code: agency.IdentityChanged, Message: "This address now belongs to another sign-in."},
		"409":      &agency.Error{Code: agency.Conflict, Message: "Somebody else is changing the same thing."},
		"owned":    &agency.Error{Code: agency.PermanentlyOwned, Message: "An agency owns this account for good."},
		"410":      &agency.Error{Code: agency.RequestExpired, State: agency.Expired, Message: "The request has expired. The agency can ask again."},
		"429":      &agency.Error{Code: agency.Cooling, RetryAfter: 49 * time.Hour, Message: "They have declined not long ago."},
		"401":      &agency.Error{Code: agency.Unauthenticated, Message: "You were not signed in. Please try again."},
		"500":      errors.New("dynamodb: secret details"),
	} {
		for who, email := range map[string]string{"": "", "-signed-in": cleoAt} {
			w := httptest.NewRecorder()
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/accounts/x", nil)
			v := &visit{console: s.console, ctx: t.Context(), w: w, r: r, actor: s.actor(email)}
			if err := v.write(v.problem(err)); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(w.Body.String(), "secret") {
				t.Errorf("%s tells what went wrong inside", name)
			}
			if (w.Header().Get("Retry-After") != "") != (name == "429") || w.Header().Get("WWW-Authenticate") != "" {
				t.Errorf("%s: headers %v", name, w.Header())
			}
			golden(t, "problem-"+name+who, w.Body.Bytes())
		}
	}
}

// hostile is what somebody could have typed who wants to break a page: markup,
// text that runs the other way, and 80 wide characters.
var hostile = "<script>alert(1)</script>\"'&<b>\u202eevil\u2066 " + strings.Repeat("𝕎", 80)

// Whatever people typed stands on pages as text, apart from what surrounds it.
func TestHostileNames(t *testing.T) {
	s := newSite(t)
	at := s.clock()
	view := service.AccountView{Account: agency.Account{ID: "acct_00000000000000000000000000", Name: hostile, Ownership: agency.ClientOwned, Version: 1, Owners: 1}, Role: agency.Owner}
	in := inside{AccountView: view, Role: agency.Owner, Tabs: &tabs{Account: view, Role: agency.Owner, On: "team"}}
	f := func() frame { return frame{Tabs: in.Tabs, Actor: hostile} }
	v := &visit{console: s.console, ctx: t.Context()}
	levels := v.levelsTable("Levels", nil, nil)
	rows := []memberRow{{Name: hostile, Status: agency.Active, Role: agency.Owner, Since: at, Link: "/x"}, {Name: hostile, Status: agency.Revoked, Since: at, Link: "/x"}}
	blocks := []blockRow{{ID: "acct_00000000000000000000000000", Name: hostile, Blocked: true}}
	words := say("% and %", hostile, hostile)
	pages := map[string]page{
		"home":         &homePage{frame: f(), Waiting: []waitingRow{{Agency: hostile, Account: hostile, Message: hostile, Expires: at, Link: "/x"}}, Accounts: []accountRow{{Name: hostile, Role: agency.Owner, Link: "/x"}}},
		"request":      &requestPage{frame: f(), Status: agency.Pending, Agency: hostile, By: hostile, Account: hostile, Message: hostile, Terms: levels, ByEmail: true, Choices: []accountChoice{{Name: hostile}}},
		"request-link": &requestLink{frame: f()},
		"team": &teamPage{frame: f(), In: in, Pending: []pendingRow{{Agency: hostile, By: hostile, Message: hostile, Expires: at}}, Agencies: rows, PastAgencies: rows, People: rows, PastPeople: rows,
			Blocks: blocks, Roles: roles(in), Levels: levels},
		"member": &memberPage{frame: f(), In: in, Name: hostile, Agency: true, Status: agency.Active, By: hostile, Message: hostile, Restrict: true, Levels: levels},
		"about":  &aboutPage{frame: f(), In: in},
		"me":     &mePage{frame: f(), Blocks: blocks, LastOwnerOf: []accountRow{{Name: hostile, Link: "/x"}}},
		"activity": &activityPage{frame: f(), In: in, Days: []activityDay{{Day: at, Lines: []activityLine{{
			At: at, Sentence: words, By: words, Message: hostile, Details: []activityDetail{{Name: "Name", Was: hostile, Now: hostile}}}}}}},
		"agency-activity": &agencyActivityPage{frame: f(), Days: []activityDay{{Day: at, Lines: []activityLine{{At: at, Sentence: words, By: words}}}}},
		"bill":            &billPage{frame: f(), Bill: service.AgencyBill{Accounts: 1, Currency: "USD", Lines: service.List[service.BillLine]{Items: []service.BillLine{{Name: hostile}}}}},
		"subscription":    &subscriptionPage{frame: f(), Owned: true},
		"problem":         &problemPage{frame: f(), Status: 404, SignIn: "/x", Message: "No."},
	}
	for _, status := range []agency.Status{"", agency.Active, agency.Denied, agency.Expired, agency.Withdrawn, agency.Revoked, agency.Left, agency.Lapsed, agency.Ended} {
		pages["request "+string(status)] = &requestPage{frame: f(), Status: status, Agency: hostile, By: hostile, Account: hostile, Message: hostile, Held: service.Block{Pair: agency.Pair{Blocked: true}}}
	}
	member := func(change func(*memberPage)) page {
		p := &memberPage{frame: f(), In: in, Name: hostile, Status: agency.Active, Role: agency.Owner, Levels: levels, Roles: roles(in), You: true, Leave: true, Change: true,
			Limits: &limitsForm{Clients: []accountChoice{{Name: hostile}}, Others: hostile}}
		change(p)
		return p
	}
	pages["member a person"] = member(func(*memberPage) {})
	pages["member the last owner"] = member(func(p *memberPage) { p.LastOwner = true })
	pages["member the owning agency"] = member(func(p *memberPage) { p.Agency, p.Owner = true, true })
	for name, p := range pages {
		v.r, v.w = httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/x", nil), httptest.NewRecorder()
		v.fill(p.base())
		p.base().Actor = hostile
		template, _, _ := strings.Cut(name, " ")
		body, err := s.paper.render(template, p)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		apart(t, name, string(body))
	}
}

var markup = regexp.MustCompile(`<[^>]*>|[^<]+`)

// apart demands that hostile text is text, and stands in elements that keep its
// direction to themselves.
func apart(t *testing.T, name, body string) {
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

// The same through everything: names as the hub takes them.
func TestHostileNamesAreServed(t *testing.T) {
	w := newTown(t)
	wide := strings.Repeat("W", 80)
	name := `<img src=x onerror=alert(1)>"'&`
	for n, given := range []string{name, wide} {
		email := []string{"a@markup.test", "b@wide.test"}[n]
		id := w.opens(email, given)
		_, err := w.svc.SwitchAgencyOn(t.Context(), w.actor(email), id)
		must(t, err)
		w.ask(email, id, service.ConnectionRequest{Account: w.shop, Areas: asked, Message: given})
		w.ask(email, id, service.ConnectionRequest{OwnerEmail: cleoAt, Areas: asked, Message: given})
		con := agency.NewConnectionID(agency.Party(w.shop), id)
		cleo := w.as(cleoAt)
		for _, path := range []string{"/", "/accounts/" + string(w.shop) + "/team", "/accounts/" + string(w.shop) + "/activity", "/requests/" + string(con)} {
			page := cleo.get(path)
			page.says(t, http.StatusOK, given)
			page.hasNot(t, "<img src=x")
		}
		cleo.does("/requests/"+string(con), "do", "block").says(t, http.StatusOK, given)
		cleo.get("/me").says(t, http.StatusOK, given)
	}
}

// A request waits on the home page however many agencies have asked before.
func TestHomeMissesNoRequest(t *testing.T) {
	w := newTown(t)
	asker := map[agency.AccountID]string{}
	for n := range 30 {
		email := fmt.Sprintf("ann%d@many.test", n)
		id := w.opens(email, fmt.Sprintf("Agency %d", n))
		_, err := w.svc.SwitchAgencyOn(t.Context(), w.actor(email), id)
		must(t, err)
		w.ask(email, id, service.ConnectionRequest{Account: w.shop, Areas: asked})
		asker[id] = email
	}
	ids := slices.Sorted(maps.Keys(asker))
	last := ids[len(ids)-1]
	for _, id := range ids[:len(ids)-1] {
		_, err := w.svc.WithdrawRequest(t.Context(), w.actor(asker[id]), id, agency.NewConnectionID(agency.Party(w.shop), id))
		must(t, err)
	}
	w.as(cleoAt).get("/").has(t, "/requests/"+string(agency.NewConnectionID(agency.Party(w.shop), last)))
}
