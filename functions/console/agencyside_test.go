package main

import (
	"encoding/csv"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"agencyhub/shared/agency"
	"agencyhub/shared/service"
)

// agencySite is a site where Ann has an agency.
type agencySite struct {
	*site
	ann agency.Actor
	id  agency.AccountID
}

func newAgencySite(t testing.TB) *agencySite {
	t.Helper()
	s := &agencySite{site: newSite(t)}
	s.at = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	s.ann = s.actor(annAt)
	s.id = s.opens(annAt, "Bright Agency")
	if _, err := s.svc.SwitchAgencyOn(t.Context(), s.ann, s.id); err != nil {
		t.Fatal(err)
	}
	return s
}

// own creates an account for the agency.
func (s *agencySite) own(name string, client *service.NewClient) agency.ConnectionID {
	s.t.Helper()
	view, err := s.svc.CreateAccount(s.t.Context(), s.ann, s.id, "test-key-0123456789 "+name, service.NewClientAccount{
		Name: name, Plan: "growth", ConfirmPermanentOwnership: true, Client: client,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return agency.NewConnectionID(agency.Party(view.ID), s.id)
}

// ask opens a client's account and asks to work in it.
func (s *agencySite) ask(client, name string) agency.Profile {
	s.t.Helper()
	id := s.opens(client, name)
	p, err := s.svc.RequestConnection(s.t.Context(), s.ann, s.id, service.ConnectionRequest{Account: id, Message: "Shall we?", Areas: asked})
	if err != nil {
		s.t.Fatal(err)
	}
	return p
}

// connect is ask, accepted.
func (s *agencySite) connect(client, name string, until *time.Time) agency.ConnectionID {
	s.t.Helper()
	p := s.ask(client, name)
	_, err := s.svc.AcceptRequest(s.t.Context(), agency.Caller{Actor: s.actor(client)}, p.Account(), s.id, service.Grant{Request: p.Request.Number, Until: until})
	if err != nil {
		s.t.Fatal(err)
	}
	return p.ID()
}

// call sends a request of somebody's; fields make it a POST from a page of ours.
func (s *agencySite) call(who agency.Actor, path string, fields url.Values) *httptest.ResponseRecorder {
	s.t.Helper()
	b := s.browser()
	if who.Email != "" {
		b = s.as(who.Email)
	}
	if fields == nil {
		return b.get(path).ResponseRecorder
	}
	return b.send(http.MethodPost, path, fields, "Sec-Fetch-Site", "same-origin").ResponseRecorder
}

// see is a page that must be there.
func (s *agencySite) see(path string) string {
	s.t.Helper()
	w := s.call(s.ann, path, nil)
	if w.Code != http.StatusOK {
		s.t.Fatalf("%s: %d %s", path, w.Code, mainOf(w.Body.String()))
	}
	return w.Body.String()
}

func (s *agencySite) under(rest string) string { return agencyLink(s.id, rest) }

// mainOf is a page between its header and its footer.
func mainOf(page string) string {
	_, page, _ = strings.Cut(page, "<main")
	page, _, _ = strings.Cut(page, "</main>")
	return page
}

var blankLines = regexp.MustCompile(`\n\s*\n+`)

// agencyGolden holds a page to its golden, but for what changes with each
// asset or form.
func agencyGolden(t *testing.T, name, page string) {
	t.Helper()
	got := blankLines.ReplaceAllString("<main"+mainOf(page)+"</main>\n", "\n")
	got = regexp.MustCompile(`name="key" value="[^"]+"`).ReplaceAllString(got, `name="key" value="KEY"`)
	golden(t, "agency-"+name, []byte(got))
}

func wants(t *testing.T, page string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(page, text) {
			t.Errorf("no %q in\n%s", text, mainOf(page))
		}
	}
}

func lacks(t *testing.T, page string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if strings.Contains(page, text) {
			t.Errorf("%q in\n%s", text, mainOf(page))
		}
	}
}

func TestHubPages(t *testing.T) {
	s := newAgencySite(t)
	empty := s.see(s.under(""))
	wants(t, empty, "Bring in your first client", s.under("/add"))
	agencyGolden(t, "empty", empty)

	owned := s.own("Dora Dance", &service.NewClient{Email: "dora@client.test", Areas: asked})
	until := s.clock().AddDate(0, 1, 0)
	connected := s.connect("cleo@client.test", "Cleo Shoes", &until)
	left := s.connect("lea@client.test", "Lea Lamps", nil)
	if _, err := s.svc.LeaveAccount(t.Context(), s.ann, s.id, left); err != nil {
		t.Fatal(err)
	}
	waiting := s.ask("wanda@client.test", "Wanda Wool")
	byEmail, err := s.svc.RequestConnection(t.Context(), s.ann, s.id, service.ConnectionRequest{OwnerEmail: "typo@client.test", Areas: asked})
	if err != nil {
		t.Fatal(err)
	}
	s.bounces(byEmail.ProfileKey)

	hub := s.see(s.under(""))
	wants(t, hub, "Email failed", "typo@client.test", string(waiting.Addressee), "Lea Lamps",
		"https://app.example.com/accounts/"+string(accountOf(t, owned))+"?agency="+string(s.id))
	lacks(t, hub, "Wanda Wool") // its name is none of the agency's business yet
	agencyGolden(t, "hub", hub)
	agencyGolden(t, "owned", s.see(clientLink(s.id, owned)))
	agencyGolden(t, "connected", s.see(clientLink(s.id, connected)))
	agencyGolden(t, "left", s.see(clientLink(s.id, left)))
	agencyGolden(t, "waiting", s.see(clientLink(s.id, waiting.ID())))
	agencyGolden(t, "failed", s.see(clientLink(s.id, byEmail.ID())))
	agencyGolden(t, "add", s.see(s.under("/add")))
	agencyGolden(t, "create", s.see(s.under("/add/create")))
	agencyGolden(t, "connect", s.see(s.under("/add/connect")))
	agencyGolden(t, "again", s.see(s.under("/add/connect?again="+string(left))))

	for show, names := range map[string][2][]string{
		"?show=owned":                {{"Dora Dance"}, {"Cleo Shoes", "Lea Lamps"}},
		"?show=connected":            {{"Cleo Shoes"}, {"Dora Dance", "Lea Lamps"}},
		"?show=active":               {{"Cleo Shoes", "Dora Dance"}, {"Lea Lamps"}},
		"?show=pending":              {{"typo@client.test", string(waiting.Addressee)}, {"Dora Dance"}},
		"?show=ended_all":            {{"Lea Lamps"}, {"Cleo Shoes", "typo@client.test"}},
		"?show=left":                 {{"Lea Lamps"}, {"Cleo Shoes"}},
		"?show=denied":               {{"None of these"}, {"Lea Lamps"}},
		"?prefix=do":                 {{"Dora Dance", `value="active"`}, {"Cleo Shoes"}},
		"?prefix=lea":                {{"Nothing found"}, {"Lea Lamps"}},
		"?show=ended_all&prefix=lea": {{"Nothing found", `value="active"`}, {"Lea Lamps"}},
		"?show=left&prefix=lea":      {{"Lea Lamps"}, {"Nothing found"}},
		"?show=owned&prefix=cl":      {{"Nothing found"}, {"Cleo Shoes"}},
		"?show=connected&prefix=cl":  {{"Cleo Shoes"}, {"Nothing found"}},
	} {
		page := s.see(s.under(show))
		wants(t, page, names[0]...)
		lacks(t, page, names[1]...)
		lacks(t, page, "<svg class=\"chart\"")
	}
	if w := s.call(s.ann, s.under("?show=nonsense"), nil); w.Code != http.StatusBadRequest {
		t.Errorf("no such list: %d", w.Code)
	}
}

func accountOf(t *testing.T, id agency.ConnectionID) agency.AccountID {
	t.Helper()
	addressee, _, ok := id.Split()
	if !ok {
		t.Fatal(id)
	}
	return addressee.Account()
}

func TestHubPaging(t *testing.T) {
	s := newAgencySite(t)
	for n := range hubPageSize + 3 {
		s.own(fmt.Sprintf("Client %03d", n), nil)
	}
	first := s.see(s.under("?show=owned"))
	wants(t, first, "Client 049", "More clients")
	lacks(t, first, "Client 050")
	found := regexp.MustCompile(`href="([^"]+cursor[^"]+)"`).FindStringSubmatch(first)
	if found == nil {
		t.Fatal("no address of what follows")
	}
	second := s.see(strings.ReplaceAll(found[1], "&amp;", "&"))
	wants(t, second, "Client 050", "Client 052", "Back to the first")
	lacks(t, second, "Client 049", "More clients")
}

// TestHubForOthers shows the pages to who may see less.
func TestHubForOthers(t *testing.T) {
	s := newAgencySite(t)
	owned := s.own("Dora Dance", nil)
	connected := s.connect("cleo@client.test", "Cleo Shoes", nil)
	mia, mel, eve := s.actor("mia@agency.test"), s.actor("mel@agency.test"), s.actor("eve@x.test")
	for _, who := range []agency.Actor{mia, mel} {
		if _, _, err := s.svc.InvitePerson(t.Context(), agency.Caller{Actor: s.ann}, s.id, service.Invitation{Email: who.Email, Role: agency.Member, Areas: asked}); err != nil {
			t.Fatal(err)
		}
	}
	only := []agency.AccountID{accountOf(t, connected)}
	if _, err := s.svc.ChangeMember(t.Context(), agency.Caller{Actor: s.ann}, s.id, agency.Party(mel.ID()), service.MemberChange{Clients: &only}); err != nil {
		t.Fatal(err)
	}
	page := s.call(mia, s.under(""), nil).Body.String()
	wants(t, page, "Dora Dance", "Cleo Shoes", `<svg class="chart"`)
	lacks(t, page, s.under("/add"))
	page = s.call(mel, s.under(""), nil).Body.String()
	wants(t, page, "Cleo Shoes")
	lacks(t, page, "Dora Dance", `<svg class="chart"`)
	lacks(t, s.call(mel, s.under("/clients.csv"), nil).Body.String(), "Dora Dance")
	lacks(t, s.call(mia, clientLink(s.id, connected), nil).Body.String(), "Leave this account", "Withdraw")
	lacks(t, s.call(mia, clientLink(s.id, owned), nil).Body.String(), "team?as=", "subscription?as=")
	// What the agency may do is not what its staff may: theirs stands in the account's own page.
	theirs := "/accounts/" + string(accountOf(t, owned)) + "/settings?as=" + string(s.id)
	wants(t, s.call(mia, clientLink(s.id, owned), nil).Body.String(), `href="`+theirs+`"`)
	page = s.call(mia, theirs, nil).Body.String()
	wants(t, page, "What you may do here for your agency", ">About</a>")
	lacks(t, page, "/team?as=", "/activity?as=", "/subscription?as=")
	page = s.call(s.ann, theirs, nil).Body.String()
	wants(t, page, ">Settings</a>", "/team?as=", "/activity?as=", "/subscription?as=")
	// A connected agency neither pays nor leads there.
	page = s.call(s.ann, "/accounts/"+string(accountOf(t, connected))+"/settings?as="+string(s.id), nil).Body.String()
	wants(t, page, ">About</a>", "/team?as=", "/activity?as=")
	lacks(t, page, "/subscription?as=")
	lacks(t, s.call(s.ann, clientLink(s.id, owned), nil).Body.String(), theirs)

	for path, codes := range map[string]map[agency.Actor]int{
		s.under("/add"):              {mia: 403, eve: 404, s.ann: 200},
		s.under("/add/create"):       {mia: 403, eve: 404, s.ann: 200},
		s.under("/add/connect"):      {mia: 403, eve: 404, s.ann: 200},
		s.under(""):                  {mia: 200, eve: 404, mel: 200, {}: 303},
		s.under("/clients.csv"):      {mia: 200, eve: 404, {}: 303},
		clientLink(s.id, owned):      {mia: 200, eve: 404, mel: 404, {}: 303},
		s.under("/clients/nonsense"): {s.ann: 404, eve: 404},
		"/agencies/nonsense":         {s.ann: 404},
		"/agencies/nonsense/add":     {s.ann: 404},
	} {
		for who, code := range codes {
			if w := s.call(who, path, nil); w.Code != code {
				t.Errorf("%s for %q: %d, not %d", path, who.Email, w.Code, code)
			}
		}
	}
	if w := s.call(mia, clientLink(s.id, connected), url.Values{"do": {"leave"}}); w.Code != http.StatusForbidden {
		t.Errorf("a member leaves: %d", w.Code)
	}

	// The hub is off: its owner is told where to switch it on.
	other := s.opens(annAt, "No agency")
	for _, path := range []string{"", "/add", "/add/create", "/add/connect"} {
		w := s.call(s.ann, agencyLink(other, path), nil)
		if w.Code != http.StatusConflict {
			t.Errorf("%s with the hub off: %d", path, w.Code)
		}
		wants(t, w.Body.String(), "The agency hub is off", "/accounts/"+string(other)+"/settings")
	}
	agencyGolden(t, "off", s.call(s.ann, agencyLink(other, ""), nil).Body.String())
}

// keyOf is the hidden key of a form.
func keyOf(t *testing.T, page string) string {
	t.Helper()
	found := regexp.MustCompile(`name="key" value="([^"]+)"`).FindStringSubmatch(page)
	if found == nil {
		t.Fatal("no key")
	}
	return found[1]
}

func (s *agencySite) count() (n int) {
	s.t.Helper()
	list, _, err := s.svc.Clients(s.t.Context(), s.ann, s.id, service.ClientFilter{}, service.Page{Limit: 100})
	if err != nil {
		s.t.Fatal(err)
	}
	return len(list.Items)
}

func TestCreateClient(t *testing.T) {
	s := newAgencySite(t)
	path := s.under("/add/create")
	key := keyOf(t, s.see(path))
	good := func() url.Values {
		return url.Values{
			"key": {key}, "name": {"Dora  Dance"}, "plan": {"growth"}, "confirm": {" Dora Dance "}, "email": {"dora@client.test"},
			"area-pages": {"view"}, "do": {""},
		}
	}
	for name, c := range map[string]struct {
		change map[string]string
		says   string
	}{
		"confirmed by another name": {map[string]string{"confirm": "dora dance"}, "Type the account’s name exactly"},
		"not confirmed":             {map[string]string{"confirm": ""}, "Type the account’s name exactly"},
		"without a name":            {map[string]string{"name": "", "confirm": ""}, "Give it a name."},
		"no plan of ours":           {map[string]string{"plan": "gold"}, "There is no such plan"},
		"no address":                {map[string]string{"email": "dora"}, "Give an email address"},
		"no level":                  {map[string]string{"area-pages": "none"}, "Give at least one area"},
		"levels for nobody":         {map[string]string{"email": ""}, "Give an email address"},
	} {
		fields := good()
		for field, value := range c.change {
			fields.Set(field, value)
		}
		w := s.call(s.ann, path, fields)
		page := w.Body.String()
		if w.Code != http.StatusBadRequest || s.count() != 0 || keyOf(t, page) != key {
			t.Errorf("%s: %d, %d clients", name, w.Code, s.count())
		}
		wants(t, page, `<p class="fault"`, c.says, `role="alert"`)
		for _, field := range []string{"name", "confirm", "email"} {
			wants(t, page, `value="`+strings.TrimSpace(fields.Get(field))+`"`)
		}
		if c.change["plan"] == "" {
			wants(t, page, `value="growth" checked`)
		}
	}
	// Sent twice, it makes one account, and both answers lead there.
	first, second := s.call(s.ann, path, good()), s.call(s.ann, path, good())
	if first.Code != http.StatusSeeOther || second.Header().Get("Location") != first.Header().Get("Location") || s.count() != 1 {
		t.Fatalf("%d %q, %d %q, %d clients", first.Code, first.Header().Get("Location"), second.Code, second.Header().Get("Location"), s.count())
	}
	wants(t, s.see(first.Header().Get("Location")), "Dora Dance", "dora@client.test", "View: Pages")
	// Somebody went back and typed another name.
	other := good()
	other.Set("name", "Emil Ink")
	other.Set("confirm", "Emil Ink")
	w := s.call(s.ann, path, other)
	if w.Code != http.StatusConflict || s.count() != 1 || keyOf(t, w.Body.String()) == key {
		t.Errorf("%d, %d clients", w.Code, s.count())
	}
	wants(t, w.Body.String(), "has already created an account", `value="Emil Ink"`)
	other.Set("key", keyOf(t, w.Body.String()))
	if w = s.call(s.ann, path, other); w.Code != http.StatusSeeOther || s.count() != 2 {
		t.Errorf("%d, %d clients", w.Code, s.count())
	}
}

func TestConnectClient(t *testing.T) {
	s := newAgencySite(t)
	path := s.under("/add/connect")
	cleo := s.actor("cleo@client.test")
	shop := s.opens(cleo.Email, "Cleo Shoes")
	owned := s.own("Dora Dance", nil)
	fields := func(whom string) url.Values {
		return url.Values{"whom": {whom}, "message": {"Hello there"}, "area-pages": {"edit"}, "do": {""}}
	}
	refuses := func(name string, in url.Values, code int, says ...string) {
		t.Helper()
		before := s.count()
		w := s.call(s.ann, path, in)
		if w.Code != code || s.count() != before {
			t.Errorf("%s: %d", name, w.Code)
		}
		wants(t, w.Body.String(), append(says, `value="`+in.Get("whom")+`"`, ">Hello there</textarea>")...)
	}
	refuses("nobody", fields(""), 400, "Give the owner’s email address")
	refuses("no id", fields("acct_short"), 400, "Give the owner’s email address")
	refuses("no such account", fields("acct_00000000000000000000000000"), 400, "There is no account with this id")
	refuses("no address", fields("cleo@"), 400, "Give an email address")
	refuses("oneself", fields(string(s.id)), 400, "own account")
	refuses("an owned account", fields(string(accountOf(t, owned))), 409, "An agency owns this account")
	nothing := fields(string(shop))
	nothing.Del("area-pages")
	refuses("nothing asked for", nothing, 400, "Give at least one area")

	w := s.call(s.ann, path, fields(string(shop)))
	con := agency.NewConnectionID(agency.Party(shop), s.id)
	if w.Code != http.StatusSeeOther || w.Header().Get("Location") != clientLink(s.id, con) {
		t.Fatalf("%d %s", w.Code, w.Header().Get("Location"))
	}
	wants(t, s.see(clientLink(s.id, con)), "Hello there", publicURL+"/requests/"+string(con), "The email is on its way")
	refuses("asked already", fields(string(shop)), 409, "already a request", clientLink(s.id, con))
	if w = s.call(s.ann, path, fields("Emil@client.test")); w.Code != http.StatusSeeOther {
		t.Fatal(w.Code)
	}
	refuses("asked already by email", fields("emil@CLIENT.test"), 409, "already a request", w.Header().Get("Location"))

	if _, err := s.svc.DenyRequest(t.Context(), agency.Caller{Actor: cleo}, shop, s.id, false); err != nil {
		t.Fatal(err)
	}
	wants(t, s.see(clientLink(s.id, con)), "They have declined", s.under("/add/connect?again="+string(con)))
	refuses("declined not long ago", fields(string(shop)), 429, "They have declined not long ago", "You can try again in 30 days.")
	again := s.see(s.under("/add/connect?again=" + string(con)))
	wants(t, again, `value="`+string(shop)+`"`, ">Hello there</textarea>", `name="area-pages" value="edit" checked`)

	s.advance(31 * 24 * time.Hour)
	if w = s.call(s.ann, path, fields(string(shop))); w.Code != http.StatusSeeOther {
		t.Fatal(w.Code)
	}
	if _, err := s.svc.AcceptRequest(t.Context(), agency.Caller{Actor: cleo}, shop, s.id, service.Grant{Request: 2}); err != nil {
		t.Fatal(err)
	}
	refuses("connected already", fields(string(shop)), 409, "already connected", clientLink(s.id, con))
}

// TestClientActions plays a connection from its own page.
func TestClientActions(t *testing.T) {
	s := newAgencySite(t)
	p := s.ask("cleo@client.test", "Cleo Shoes")
	path := clientLink(s.id, p.ID())
	do := func(what string) *httptest.ResponseRecorder { return s.call(s.ann, path, url.Values{"do": {what}}) }
	lacks(t, s.see(path), `value="resend"`, `value="leave"`)
	wants(t, s.see(path), "You can send the email again from")
	if w := do("resend"); w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") == "" {
		t.Errorf("too soon: %d", w.Code)
	} else {
		wants(t, w.Body.String(), "sent not long ago", "You can try again in 1 day.")
	}
	for n := range 3 {
		s.advance(1 * 24 * time.Hour)
		wants(t, s.see(path), `value="resend"`)
		if w := do("resend"); w.Code != http.StatusSeeOther {
			t.Errorf("resend %d: %d", n+1, w.Code)
		}
	}
	s.advance(1 * 24 * time.Hour)
	lacks(t, s.see(path), `value="resend"`)
	wants(t, s.see(path), "as often as it may be")
	if w := do("nonsense"); w.Code != http.StatusBadRequest {
		t.Errorf("nonsense: %d", w.Code)
	}

	// Nothing but a POST from a page of ours does anything.
	for name, send := range map[string]func(b *browser){
		"GET":  func(b *browser) { b.get(path + "?do=withdraw") },
		"HEAD": func(b *browser) { b.send(http.MethodHead, path+"?do=withdraw", nil) },
		"another site": func(b *browser) {
			b.send(http.MethodPost, path, url.Values{"do": {"withdraw"}}, "Sec-Fetch-Site", "cross-site")
		},
	} {
		send(s.as(annAt))
		if now, err := s.svc.GetConnection(t.Context(), s.ann, s.id, p.ID()); err != nil || now.Status != agency.Pending {
			t.Errorf("%s: %s, %v", name, now.Status, err)
		}
	}
	if w := s.call(agency.Actor{}, path, url.Values{"do": {"withdraw"}}); w.Code != http.StatusUnauthorized || !strings.HasPrefix(w.Header().Get("Refresh"), "0; url=/signin") {
		t.Errorf("without a session: %d %s", w.Code, w.Header().Get("Refresh"))
	}

	if w := do("withdraw"); w.Code != http.StatusSeeOther || w.Header().Get("Location") != path {
		t.Errorf("withdraw: %d", w.Code)
	}
	wants(t, s.see(path), "Ask again", "Withdrawn")

	con := s.connect("emil@client.test", "Emil Ink", nil)
	path = clientLink(s.id, con)
	wants(t, s.see(path), "Leave this account", "Your client pays")
	if w := do("leave"); w.Code != http.StatusSeeOther {
		t.Errorf("leave: %d", w.Code)
	}
	wants(t, s.see(path), "Your agency has left", "Ask again")
	owned := clientLink(s.id, s.own("Dora Dance", nil))
	lacks(t, s.see(owned), "Leave this account", "Ask again")
	wants(t, s.see(owned), "/team?as="+string(s.id), "/subscription?as="+string(s.id))
	if w := s.call(s.ann, owned, url.Values{"do": {"leave"}}); w.Code != http.StatusConflict {
		t.Errorf("leave what is owned: %d", w.Code)
	}
}

// TestMovedRequest follows a request by email to the account that took it up.
func TestMovedRequest(t *testing.T) {
	s := newAgencySite(t)
	cleo := s.actor("cleo@client.test")
	shop := s.opens(cleo.Email, "Cleo Shoes")
	p, err := s.svc.RequestConnection(t.Context(), s.ann, s.id, service.ConnectionRequest{OwnerEmail: cleo.Email, Areas: asked})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.svc.AcceptRequestInto(t.Context(), cleo, p.ID(), shop, service.Grant{Request: 1}); err != nil {
		t.Fatal(err)
	}
	w := s.call(s.ann, clientLink(s.id, p.ID()), nil)
	if want := clientLink(s.id, agency.NewConnectionID(agency.Party(shop), s.id)); w.Code != http.StatusSeeOther || w.Header().Get("Location") != want {
		t.Errorf("%d %s", w.Code, w.Header().Get("Location"))
	}
}

func TestHostileClients(t *testing.T) {
	s := newAgencySite(t)
	names := []string{`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, strings.Repeat("W", 80), "שלום עליכם", `{{.}} ' " & </bdi></table>`}
	for n, name := range names {
		until := s.clock().AddDate(0, 1, 0)
		con := s.connect(fmt.Sprintf("c%d@client.test", n), name, &until)
		owned := s.own(name+"2"[:min(1, 80-len([]rune(name)))], &service.NewClient{Email: "o'hara@client.test", Areas: asked})
		for _, path := range []string{clientLink(s.id, con), clientLink(s.id, owned), s.under(""), s.under("?prefix=" + url.QueryEscape(name)), s.under("/add/connect?again=" + string(con))} {
			page := s.see(path)
			lacks(t, page, "<script>alert", "<img src=x", "</bdi></table>")
		}
	}
	w := s.call(s.ann, s.under("/add/create"), url.Values{"name": {names[1]}, "confirm": {names[0]}, "email": {names[1]}, "key": {names[1]}})
	lacks(t, w.Body.String(), "<script>alert", "<img src=x")
	w = s.call(s.ann, s.under("/add/connect"), url.Values{"whom": {names[1]}, "message": {"</textarea>" + names[0]}})
	lacks(t, w.Body.String(), "<script>alert", "<img src=x", "</textarea><script")
}

func TestClientsFile(t *testing.T) {
	s := newAgencySite(t)
	s.own(`=HYPERLINK("http://evil.test","x")`, nil)
	s.own("+1", nil)
	s.own("-1", nil)
	s.own("@SUM(A1)", nil)
	s.own("＝1+1", nil)
	s.own(`Quotes "and", commas`, nil)
	s.connect("cleo@client.test", "Café Noir", nil)
	if _, err := s.svc.RequestConnection(t.Context(), s.ann, s.id, service.ConnectionRequest{OwnerEmail: "emil@client.test", Areas: asked}); err != nil {
		t.Fatal(err)
	}
	w := s.call(s.ann, s.under("/clients.csv"), nil)
	if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "text/csv; charset=utf-8" ||
		w.Header().Get("Content-Disposition") != `attachment; filename="clients-2026-11-23.csv"` {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	text, ok := strings.CutPrefix(w.Body.String(), "\ufeff")
	if !ok {
		t.Error("no byte order mark")
	}
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil || len(rows) != 9 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	var names []string
	for _, row := range rows {
		names = append(names, row[0])
		for _, cell := range row {
			if cell != "" && strings.ContainsAny(cell[:1], "=+-@\t\r") {
				t.Errorf("a cell that is a formula: %q", cell)
			}
		}
	}
	want := []string{"Client", "'+1", "'-1", `'=HYPERLINK("http://evil.test","x")`, "'@SUM(A1)", "Café Noir", `Quotes "and", commas`, "'＝1+1", ""}
	if d := cmp.Diff(want, names); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"", "emil@client.test", "Waiting", "Client", "Client", "", "", "", "Asked for: View and edit"}, rows[8][:9]); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"Agency", "Agency", "Growth", "99", "USD"}, rows[1][3:8]); d != "" {
		t.Error(d)
	}
}

// TestClientsFileIsBounded says in the file that it does not hold all.
func TestClientsFileIsBounded(t *testing.T) {
	s := newAgencySite(t)
	for n := range 4 {
		s.own(fmt.Sprintf("Client %d", n), nil)
	}
	r := httptest.NewRequest(http.MethodGet, publicURL+s.under("/clients.csv"), nil)
	r.SetPathValue("agency", string(s.id))
	for most, last := range map[int]string{3: "The list goes on. This file holds the first 3 clients", 4: "Client 3,"} {
		file, err := s.export(&visit{console: s.console, ctx: t.Context(), r: r, actor: s.ann}, most)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSpace(file.String()), "\r\n")
		if len(lines) != 5 || !strings.HasPrefix(strings.Trim(lines[4], `"`), last) {
			t.Errorf("%d at most: %q", most, lines)
		}
	}
}

func TestHarmlessCell(t *testing.T) {
	for cell, want := range map[string]string{
		"": "", "a=b": "a=b", "=1": "'=1", "\t=1": "'\t=1", "\r=1": "'\r=1", " =1": "' =1", "\u00a0-1": "'\u00a0-1", "＠x": "'＠x", "é": "é",
	} {
		if got := harmlessCell(cell); got != want {
			t.Errorf("%q: %q", cell, got)
		}
	}
}

func TestChart(t *testing.T) {
	begin := time.Date(2025, 12, 1, 0, 0, 0, 0, time.UTC)
	year := make(service.Trend, service.TrendMonths)
	for i := range year {
		year[i] = service.TrendMonth{Begin: begin.AddDate(0, i, 0)}
	}
	if newChart(nil) != nil || newChart(year) != nil {
		t.Error("a chart of nothing")
	}
	year[11].Clients = 1
	c := newChart(year)
	if c.Clients[11].H != chartHeight || c.Clients[10].H != 0 || c.Ends[0].W != 0 {
		t.Errorf("one month: %+v", c)
	}
	for i := range year {
		year[i] = service.TrendMonth{Begin: begin.AddDate(0, i, 0), Clients: i * 1000, Accepted: 100, Denied: i, Expired: 1}
	}
	c = newChart(year)
	for i, b := range c.Clients {
		if b.X < 0 || b.X+b.W > 360 || b.Above() < 10 || b.Y+b.H != chartFoot || i > 0 && b.H == 0 {
			t.Errorf("%+v lies outside", b)
		}
	}
	for _, b := range c.Ends {
		if b.X+b.W > 314 || b.Y < 0 || b.Y+b.H > 132 || b.Value > 0 && b.W == 0 {
			t.Errorf("%+v lies outside", b)
		}
	}
	if want := "Clients at the end of each month: 0 in December 2025, 11000 now."; c.SayClients != want {
		t.Error(c.SayClients)
	}
	if want := "How requests ended in the last 12 months: 1200 accepted, 66 declined, 0 withdrawn, 12 expired."; c.SayEnds != want {
		t.Error(c.SayEnds)
	}
}
