package main

import (
	"context"
	"errors"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"agencyhub/shared/agency"
	"agencyhub/shared/service"
	"agencyhub/shared/table"
	"agencyhub/shared/testbed"
)

// overdue is a context whose deadline passes when end is called.
type overdue struct {
	context.Context
	done chan struct{}
	end  func()
}

func newOverdue(t *testing.T) *overdue {
	t.Helper()
	done := make(chan struct{})
	return &overdue{Context: t.Context(), done: done, end: sync.OnceFunc(func() { close(done) })}
}

func (c *overdue) Done() <-chan struct{} { return c.done }

func (c *overdue) Err() error {
	select {
	case <-c.done:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

// busyFor returns a person's browser at a site whose store serves so many calls and is
// busy then. What waits for the store has no time left.
func (s *site) busyFor(t *testing.T, email string, calls int) *browser {
	t.Helper()
	ctx := newOverdue(t)
	var mu sync.Mutex
	isBusy := func() bool {
		mu.Lock()
		defer mu.Unlock()
		if calls--; calls < 0 {
			ctx.end()
		}
		return calls < 0
	}
	faults := &testbed.Faults{Client: s.db}
	faults.BeforeBatch = func(*dynamodb.BatchGetItemInput) error {
		if isBusy() {
			return &types.ThrottlingException{}
		}
		return nil
	}
	faults.BeforeQuery = func(*dynamodb.QueryInput) error {
		if isBusy() {
			return &types.ThrottlingException{}
		}
		return nil
	}
	faults.BeforeWrite = func(*dynamodb.TransactWriteItemsInput) error {
		if isBusy() {
			return testbed.Cancelled("TransactionConflict")
		}
		return nil
	}
	b := s.withStore(faults).as(email)
	b.ctx = ctx
	return b
}

// withStore returns the same site with another client of its table.
func (s *site) withStore(db table.API) *site {
	s.t.Helper()
	svc := *s.svc
	svc.Store = table.New(db, s.table)
	other, err := newConsole(&svc, table.New(db, s.table), s.env, s.clock)
	must(s.t, err)
	other.issuer, other.sessions.issuer, other.sessions.sleep = s.console.issuer, s.console.issuer, s.sessions.sleep
	return &site{console: other, t: s.t, issuer: s.issuer, db: s.db, table: s.table, at: s.clock()}
}

// kept returns the form that a page of the error Unavailable holds, to be sent again.
func (s result) kept(t *testing.T) (action string, fields url.Values) {
	t.Helper()
	_, body, _ := strings.Cut(s.Body.String(), "<main")
	found := regexp.MustCompile(`(?s)<form method="post" action="([^"]+)">(.*?)</form>`).FindStringSubmatch(body)
	if found == nil {
		t.Fatalf("%s holds no form:\n%s", s.path, s.text)
	}
	fields = url.Values{}
	for _, input := range regexp.MustCompile(`(?s)<input type="hidden" name="([^"]+)" value="([^"]*)">`).FindAllStringSubmatch(found[2], -1) {
		fields.Add(input[1], html.UnescapeString(input[2]))
	}
	return html.UnescapeString(found[1]), fields
}

// sentForm is a form that a person sends, and the status of its answer.
type sentForm struct {
	who, path string
	status    int
	fields    []string
}

// sendBusily sends a form while the store is busy from its first call on, from the
// second, and so on, until it is served. Each time what was typed must still be there.
// What such a page holds is what is sent next.
func (s *site) sendBusily(t *testing.T, f sentForm) {
	t.Helper()
	sent := url.Values{personField: {string(identityOf(s.actor(f.who)))}}
	for i := 0; i < len(f.fields); i += 2 {
		sent.Add(f.fields[i], f.fields[i+1])
	}
	name := fmt.Sprint(f.path, " ", sent)
	next, bare := sent, 0
	for calls := 0; ; calls++ {
		if calls > 100 {
			t.Fatalf("%s is never served", name)
		}
		with := url.Values{"other": {`"><script>`}, "area-other": {"edit"}}
		for field, values := range next {
			with[field] = values
		}
		before := s.dump()
		page := s.busyFor(t, f.who, calls).send(http.MethodPost, f.path, with, "Sec-Fetch-Site", "same-origin")
		if page.Code != http.StatusServiceUnavailable {
			page.wantText(t, f.status)
			if bare == 0 && !strings.HasPrefix(f.path, "/accounts/new") {
				t.Errorf("%s was never refused before its page could be read", name)
			}
			return
		}
		wantEqual(t, name+": the table", before, s.dump())
		if page.Header().Get("Retry-After") == "" {
			t.Errorf("%s, busy after %d: no Retry-After", name, calls)
		}
		if !strings.Contains(page.text, "Send it again") {
			page.wantShown(t, sent)
			continue
		}
		bare++
		action, kept := page.kept(t)
		wantEqual(t, name+": the address", f.path, action)
		wantEqual(t, fmt.Sprintf("%s, busy after %d: what was typed", name, calls), sent, kept)
		next = kept
	}
}

// wantShown demands that a page's forms hold what was typed.
func (s result) wantShown(t *testing.T, sent url.Values) {
	t.Helper()
	for field, values := range sent {
		for _, value := range values {
			value = html.EscapeString(strings.TrimSpace(value))
			switch {
			case field == "do" || field == "zone" || field == "agency" || value == "":
			case field == "message":
				s.wantMarkup(t, ">"+value+"</textarea>")
			case field == "others":
				s.wantText(t, s.Code, strings.Fields(value)...)
			default:
				if !regexp.MustCompile(`name="` + field + `"[^>]* value="` + regexp.QuoteMeta(value) + `"`).MatchString(s.Body.String()) {
					t.Errorf("%s has no field %s with %q:\n%s", s.path, field, value, s.Body)
				}
			}
		}
	}
}

// Whatever a person sends while the store is busy is there to be sent again, whether
// the reads before the change, the change itself or the reads after a refusal fail.
func TestBusyStoreLosesNoForm(t *testing.T) {
	w := newWorld(t)
	shop, studio := "/accounts/"+string(w.shop), agencyURL(w.studio, "")
	add, request := studio+"/add", "/requests/"+string(w.con)
	message := "Shall we?\r\n\"Yes\" & <b>now</b> 'x'"
	pages := levelFields(agency.Areas{"pages": agency.View})
	mia := w.invite("mia@client.test", agency.Member)
	_, _, err := w.svc.InvitePerson(t.Context(), agency.Caller{Actor: w.ann}, w.studio, service.Invitation{
		Email: "sam@agency.test", Role: agency.Member, Areas: requestedAreas})
	must(t, err)
	w.acceptInvitation("sam@agency.test", w.studio)
	ivy, otto := w.inviteOnly("ivy@client.test", agency.Admin), w.inviteOnly("otto@client.test", agency.Owner)
	w.inviteOnly("una@client.test", agency.Member)
	staff := "/accounts/" + string(w.studio) + "/team/" + string(agency.NewPersonID("sam@agency.test"))
	w.requestAs(annAt, w.studio, service.ConnectionRequest{OwnerEmail: cleoAt, Areas: requestedAreas})
	byEmail := agency.NewConnectionID(agency.Party(w.cleo.ID()), w.studio)
	w.requestAs(samAt, w.west, service.ConnectionRequest{OwnerEmail: cleoAt, Areas: requestedAreas})
	unexpected := agency.NewConnectionID(agency.Party(w.cleo.ID()), w.west)

	for _, f := range []sentForm{
		{annAt, "/accounts/new?to=/me", 303, []string{"key", "0123456789abcdef", "name", "Second & \"Third\""}},
		{annAt, "/accounts/new", 400, []string{"key", "0123456789abcdeg", "name", ""}},
		{annAt, add + "/connect", 303, withFields(pages, "key", "0123456789abcdef", "addressee", string(w.shop), "message", message)},
		{annAt, add + "/connect", 409, withFields(pages, "key", "0123456789abcdeg", "addressee", string(w.shop), "message", message)},
		{annAt, add + "/connect?again=" + string(w.con), 400, withFields(pages, "key", "0123456789abcdeg", "addressee", "nobody", "message", message)},
		{annAt, add + "/create", 400, withFields(pages, "key", "0123456789abcdef", "name", "Dora", "plan", "growth", "email", "dora@client.test", "confirm", "D")},
		{annAt, add + "/create", 303, withFields(pages, "key", "0123456789abcdef", "name", "Dora", "plan", "growth", "email", "dora@client.test", "confirm", "Dora")},
		{annAt, clientURL(w.studio, w.con), 429, []string{"do", "resend"}},
		{cleoAt, request, 400, withFields(pages, "do", "accept", "request", "1", "zone", "UTC", "until", "soon")},
		{cleoAt, request + "?unexpected=1", 409, withFields(pages, "do", "accept", "request", "7", "zone", "UTC", "until", "2031-01-31")},
		{cleoAt, request, 303, withFields(pages, "do", "accept", "request", "1", "zone", "Europe/Berlin", "until", "2031-01-31")},
		{cleoAt, "/requests/" + string(byEmail), 409, withFields(pages, "do", "accept", "request", "1", "account", string(w.shop), "zone", "", "until", "")},
		{cleoAt, "/requests/" + string(unexpected), 400, withFields(pages, "do", "accept", "request", "1", "zone", "UTC", "until", "")},
		{cleoAt, "/requests/" + string(unexpected), 303, []string{"do", "block", "request", "1"}},
		{cleoAt, "/requests/" + string(unexpected), 303, []string{"do", "allow"}},
		{cleoAt, "/requests/" + string(byEmail), 303, []string{"do", "decline", "request", "1"}},
		{cleoAt, "/me", 303, []string{"do", "allow", "agency", string(w.studio)}},
		{cleoAt, "/me?cursor=", 400, []string{"do", "erase", "confirm", "cleo"}},
		{cleoAt, "/me", 409, []string{"do", "erase", "confirm", cleoAt}},
		{cleoAt, w.memberPage(agency.Party(w.studio)), 400, withFields(levelFields(nil), "do", "restrict")},
		{cleoAt, w.memberPage(agency.Party(w.studio)), 303, []string{"do", "until", "zone", "UTC", "until", "2030-12-24"}},
		{cleoAt, w.memberPage(agency.Party(w.studio)), 303, []string{"do", "revoke", "block", "yes"}},
		{cleoAt, w.memberPage(mia), 303, withFields(pages, "do", "change", "role", "member")},
		{cleoAt, w.memberPage(mia), 303, []string{"do", "offer"}},
		{cleoAt, w.memberPage(mia), 303, []string{"do", "sign-in"}},
		{miaAt, "/waiting", 409, []string{"do", "accept", "invitation", string(w.shop), "request", "1"}},
		{miaAt, "/waiting", 303, []string{"do", "accept", "invitation", string(w.shop), "request", "3"}},
		{"otto@client.test", w.invitation(), 400, []string{"do", "accept", "request", "1", "plan", "starter"}},
		{"otto@client.test", w.invitation(), 409, []string{"do", "accept", "request", "1", "plan", "gold", "confirm", "yes"}},
		{"otto@client.test", w.invitation(), 303, []string{"do", "accept", "request", "1", "plan", "starter", "confirm", "yes"}},
		{"una@client.test", w.invitation(), 303, []string{"do", "block", "request", "1"}},
		{"una@client.test", w.invitation(), 303, []string{"do", "allow"}},
		{cleoAt, shop + "/team", 429, []string{"do", "resend", "member", string(ivy)}},
		{cleoAt, shop + "/team", 303, []string{"do", "withdraw", "member", string(ivy)}},
		{cleoAt, w.memberPage(otto), 303, withFields(pages, "do", "change", "role", "member")},
		{cleoAt, w.memberPage(mia), 303, []string{"do", "remove"}},
		{annAt, staff, 400, []string{"do", "limit", "limited", "yes", "client", "acct_00000000000000000000000001", "client",
			"acct_00000000000000000000000002", "others", "acct_00000000000000000000000003\r\nnobody"}},
		{cleoAt, shop + "/team?cursor=", 400, withFields(levelFields(nil), "do", "invite", "email", "max@client.test", "role", "member")},
		{cleoAt, shop + "/team", 303, withFields(pages, "do", "invite", "email", "max@client.test", "role", "member")},
		{cleoAt, shop + "/team", 303, []string{"do", "allow", "agency", string(w.studio)}},
		{cleoAt, shop + "/settings", 400, []string{"do", "rename", "name", strings.Repeat("x", 81)}},
		{cleoAt, shop + "/settings", 303, []string{"do", "rename", "name", "Cleo & Co"}},
		{cleoAt, shop + "/subscription", 400, []string{"do", "plan", "plan", "gold"}},
		{cleoAt, shop + "/subscription", 303, []string{"do", "freeze"}},
		{cleoAt, shop + "/settings", 400, []string{"do", "close", "confirm", "Cleo"}},
		{cleoAt, shop + "/settings", 303, []string{"do", "close", "confirm", "Cleo & Co"}},
	} {
		w.sendBusily(t, f)
	}
}

// What became of a change is not known, and then its page can't be read either: the
// page does not say that nothing was changed.
func TestBusyAfterUnknownOutcome(t *testing.T) {
	w := newWorld(t)
	lost := false
	ctx := newOverdue(t)
	faults := &testbed.Faults{Client: w.db}
	faults.LoseAnswer = func(*dynamodb.TransactWriteItemsInput) error {
		lost = true
		return &types.InternalServerError{}
	}
	looked := false
	faults.BeforeBatch = func(*dynamodb.BatchGetItemInput) error {
		switch {
		case !lost:
			return nil
		case !looked:
			// The store looks whether the change was made.
			looked = true
			return errors.New("no answer")
		}
		ctx.end()
		return &types.ThrottlingException{}
	}
	faults.BeforeQuery = func(*dynamodb.QueryInput) error {
		ctx.end()
		return &types.ThrottlingException{}
	}
	b := w.withStore(faults).as(cleoAt)
	b.ctx = ctx
	page := b.post("/accounts/"+string(w.shop)+"/team", withFields(levelFields(requestedAreas), "do", "invite", "email", "max@client.test", "role", "member")...)
	page.wantText(t, http.StatusServiceUnavailable, "We can't say whether your change was made", "Send it again")
	if strings.Contains(page.text, "Nothing was changed") {
		t.Errorf("the page says that nothing was changed:\n%s", page.text)
	}
}

// A page that can't be shown leads to itself again, and keeps what earlier pages left
// for it.
func TestBusyPageIsTriedAgain(t *testing.T) {
	w := newWorld(t)
	team := "/accounts/" + string(w.shop) + "/team"
	page := w.busyFor(t, cleoAt, 0).get(team + "?cursor=a%2Fb&x=%22")
	page.wantText(t, http.StatusServiceUnavailable, "We can’t load this page right now.")
	page.wantMarkup(t, `href="`+team+`?cursor=a%2Fb&amp;x=%22">Try again</a>`)
	page.wantNoMarkup(t, "Send it again", "Nothing was changed")

	// The notice of what was done is still there.
	b, busy := w.as(cleoAt), w.busyFor(t, cleoAt, 0)
	b.post("/accounts/"+string(w.shop)+"/settings", "do", "rename", "name", "Cleo & Co").wantText(t, http.StatusSeeOther)
	busy.cookies = b.cookies
	busy.get(team).wantText(t, http.StatusServiceUnavailable, "Name changed.")
	b.get(team).wantText(t, http.StatusOK, "Name changed.")

	// So is a form that was saved for the time of a sign-in.
	b, busy = w.browser(), w.busyFor(t, cleoAt, 0)
	sent := b.post(team, "do", "invite", "role", "admin", "email", "max@client.test")
	back := b.signIn(sent.refreshTarget(t), cleoAt)
	busy.cookies = b.cookies
	page = busy.get(back.Header().Get("Location"))
	page.wantText(t, http.StatusServiceUnavailable, "Try again")
	page.wantNoMarkup(t, "What you typed")
	page = b.get(team)
	page.wantText(t, http.StatusOK, "What you typed is still here")
	page.wantMarkup(t, `value="max@client.test"`)
}

// The page of the longest form stays far below what Lambda may return.
func TestBusyPageOfLongForm(t *testing.T) {
	w := newWorld(t)
	fields := []string{"do", "limit"}
	for range maxForm / len("&client=") * 9 / 10 {
		fields = append(fields, "client", "")
	}
	for _, sent := range [][]string{fields, {"do", "limit", "others", strings.Repeat("<", maxForm/4)}} {
		page := w.busyFor(t, cleoAt, 0).post(w.memberPage("per_00000000000000000000000000"), sent...)
		page.wantMarkup(t, "Send it again")
		if page.Code != http.StatusServiceUnavailable || page.Body.Len() > 512<<10 {
			t.Errorf("%d, %d bytes", page.Code, page.Body.Len())
		}
	}
}

// A page that takes minutes to come back says so.
func TestBusyForMinutes(t *testing.T) {
	s := newSite(t)
	r, w := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/me", nil), httptest.NewRecorder()
	v := &visit{console: s.console, ctx: t.Context(), w: w, r: r}
	must(t, v.write(v.problem(&agency.Error{Code: agency.Unavailable, RetryAfter: 2 * time.Minute, Message: "Of a newer version."})))
	result{ResponseRecorder: w, text: plain(w.Body.String()), path: "/me"}.wantText(t, http.StatusServiceUnavailable,
		"We can’t load this page right now. You can try again in 2 minutes.")
}

// A sign-in that can't be completed is tried again from its start.
func TestBusySignIn(t *testing.T) {
	w := newWorld(t)
	b, busy := w.browser(), w.busyFor(t, cleoAt, 0)
	at := b.get("/signin?to=/me").Header().Get("Location")
	busy.cookies = b.cookies
	page := busy.get(w.issuer.signIn(at, cleoAt).RequestURI())
	page.wantText(t, http.StatusServiceUnavailable, "Try again")
	page.wantMarkup(t, `href="/signin?to=%2Fme"`)
}

// The page of a form that could not be served.
func TestBusyFormPage(t *testing.T) {
	s := newSite(t)
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/agencies/acct_1/add/connect?again=x", nil)
	r.Pattern = "/agencies/{agency}/add/connect"
	w := httptest.NewRecorder()
	v := &visit{console: s.console, ctx: t.Context(), w: w, r: r, actor: s.actor(cleoAt), sent: form{
		"addressee": {"max@client.test"}, "message": {"\"Hello\" & <b>welcome</b>"}, "area-pages": {"edit"}, "other": {"x"},
	}}
	must(t, v.write(v.problem(&agency.Error{Code: agency.Unavailable, RetryAfter: 2 * time.Second,
		Message: "We can't keep up right now. Nothing was changed; try again in a moment."})))
	wantEqual(t, "Retry-After", "2", w.Header().Get("Retry-After"))
	golden(t, "problem-503-sent-signed-in", w.Body.Bytes())
}
