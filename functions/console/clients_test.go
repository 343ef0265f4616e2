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
	s.id = s.openAccountFor(annAt, "Bright Agency")
	_, err := s.svc.SwitchAgencyOn(t.Context(), s.ann, s.id)
	must(t, err)
	return s
}

// createAccount creates an agency-owned account.
func (s *agencySite) createAccount(name string, client *service.NewClient) agency.ConnectionID {
	s.t.Helper()
	view, err := s.svc.CreateAccount(s.t.Context(), s.ann, s.id, "test-key-0123456789 "+name, service.NewClientAccount{
		Name: name, Plan: "growth", ConfirmPermanentOwnership: true, Client: client,
	})
	must(s.t, err)
	return agency.NewConnectionID(agency.Party(view.ID), s.id)
}

// requestConnection opens a client's account and requests access to it.
func (s *agencySite) requestConnection(client, name string) agency.Profile {
	s.t.Helper()
	id := s.openAccountFor(client, name)
	p, err := s.svc.RequestConnection(s.t.Context(), s.ann, s.id, service.ConnectionRequest{Account: id, Message: "Shall we?", Areas: requestedAreas})
	must(s.t, err)
	return p
}

// connect is requestConnection, accepted.
func (s *agencySite) connect(client, name string, until *time.Time) agency.ConnectionID {
	s.t.Helper()
	p := s.requestConnection(client, name)
	_, err := s.svc.AcceptRequest(s.t.Context(), agency.Caller{Actor: s.actor(client)}, p.Account(), s.id,
		service.Grant{Request: p.Request.Number, Until: until})
	must(s.t, err)
	return p.ID()
}

// call sends a request as a person; with fields it is a POST from a page of ours.
func (s *agencySite) call(who agency.Actor, path string, fields url.Values) result {
	s.t.Helper()
	b := s.browser()
	if who.Email != "" {
		b = s.as(who.Email)
	}
	if fields == nil {
		return b.get(path)
	}
	return b.send(http.MethodPost, path, fields, "Sec-Fetch-Site", "same-origin")
}

// page returns a page of Ann's, which must exist.
func (s *agencySite) page(path string) result {
	s.t.Helper()
	w := s.call(s.ann, path, nil)
	if w.Code != http.StatusOK {
		s.t.Fatalf("%s: %d %s", path, w.Code, w.text)
	}
	return w
}

func (s *agencySite) path(rest string) string { return agencyURL(s.id, rest) }

var blankLines = regexp.MustCompile(`\n\s*\n+`)

// agencyGolden compares a page, between its header and its footer, with its golden file.
// The key of its form is left out.
func agencyGolden(t *testing.T, name string, page result) {
	t.Helper()
	_, main, _ := strings.Cut(page.Body.String(), "<main")
	main, _, _ = strings.Cut(main, "</main>")
	got := blankLines.ReplaceAllString("<main"+main+"</main>\n", "\n")
	got = regexp.MustCompile(`name="key" value="[^"]+"`).ReplaceAllString(got, `name="key" value="KEY"`)
	golden(t, "agency-"+name, []byte(got))
}

func TestClientsPages(t *testing.T) {
	s := newAgencySite(t)
	empty := s.page(s.path(""))
	empty.wantMarkup(t, "Bring in your first client", s.path("/add"))
	agencyGolden(t, "empty", empty)

	owned := s.createAccount("Dora Dance", &service.NewClient{Email: "dora@client.test", Areas: requestedAreas})
	until := s.clock().AddDate(0, 1, 0)
	connected := s.connect("cleo@client.test", "Cleo Shoes", &until)
	left := s.connect("lea@client.test", "Lea Lamps", nil)
	_, err := s.svc.LeaveAccount(t.Context(), s.ann, s.id, left)
	must(t, err)
	waiting := s.requestConnection("wanda@client.test", "Wanda Wool")
	byEmail, err := s.svc.RequestConnection(t.Context(), s.ann, s.id, service.ConnectionRequest{OwnerEmail: "typo@client.test", Areas: requestedAreas})
	must(t, err)
	s.bounce(byEmail.ProfileKey)

	page := s.page(s.path(""))
	page.wantMarkup(t, "Email came back", "typo@client.test", string(waiting.Addressee), "Lea Lamps",
		"https://app.example.com/accounts/"+string(accountOf(t, owned))+"?agency="+string(s.id))
	page.wantNoMarkup(t, "Wanda Wool") // the agency may not know the name yet
	agencyGolden(t, "clients", page)
	agencyGolden(t, "owned", s.page(clientURL(s.id, owned)))
	agencyGolden(t, "connected", s.page(clientURL(s.id, connected)))
	agencyGolden(t, "left", s.page(clientURL(s.id, left)))
	agencyGolden(t, "waiting", s.page(clientURL(s.id, waiting.ID())))
	agencyGolden(t, "failed", s.page(clientURL(s.id, byEmail.ID())))
	agencyGolden(t, "add-client", s.page(s.path("/add")))
	agencyGolden(t, "create-client", s.page(s.path("/add/create")))
	agencyGolden(t, "connect-client", s.page(s.path("/add/connect")))
	agencyGolden(t, "again", s.page(s.path("/add/connect?again="+string(left))))

	for show, names := range map[string][2][]string{
		"?show=owned":                {{"Dora Dance"}, {"Cleo Shoes", "Lea Lamps"}},
		"?show=connected":            {{"Cleo Shoes"}, {"Dora Dance", "Lea Lamps"}},
		"?show=active":               {{"Cleo Shoes", "Dora Dance"}, {"Lea Lamps"}},
		"?show=pending":              {{"typo@client.test", string(waiting.Addressee)}, {"Dora Dance"}},
		"?show=ended_all":            {{"Lea Lamps"}, {"Cleo Shoes", "typo@client.test"}},
		"?show=left":                 {{"Lea Lamps"}, {"Cleo Shoes"}},
		"?show=declined":             {{"None of these"}, {"Lea Lamps"}},
		"?prefix=do":                 {{"Dora Dance", `value="active"`}, {"Cleo Shoes"}},
		"?prefix=lea":                {{"Nothing found"}, {"Lea Lamps"}},
		"?show=ended_all&prefix=lea": {{"Nothing found", `value="active"`}, {"Lea Lamps"}},
		"?show=left&prefix=lea":      {{"Lea Lamps"}, {"Nothing found"}},
		"?show=owned&prefix=cl":      {{"Nothing found"}, {"Cleo Shoes"}},
		"?show=connected&prefix=cl":  {{"Cleo Shoes"}, {"Nothing found"}},
	} {
		page := s.page(s.path(show))
		page.wantMarkup(t, names[0]...)
		page.wantNoMarkup(t, append(names[1], `<svg class="chart"`)...)
	}
	s.call(s.ann, s.path("?show=nonsense"), nil).wantText(t, http.StatusBadRequest)
}

func accountOf(t *testing.T, id agency.ConnectionID) agency.AccountID {
	t.Helper()
	addressee, _, ok := id.Split()
	if !ok {
		t.Fatal(id)
	}
	return addressee.Account()
}

func TestClientsPaging(t *testing.T) {
	s := newAgencySite(t)
	for n := range clientsPageSize + 3 {
		s.createAccount(fmt.Sprintf("Client %03d", n), nil)
	}
	first := s.page(s.path("?show=owned"))
	first.wantMarkup(t, "Client 049", "More clients")
	first.wantNoMarkup(t, "Client 050")
	found := regexp.MustCompile(`href="([^"]+cursor[^"]+)"`).FindStringSubmatch(first.Body.String())
	if found == nil {
		t.Fatal("no address of what follows")
	}
	second := s.page(strings.ReplaceAll(found[1], "&amp;", "&"))
	second.wantMarkup(t, "Client 050", "Client 052", "Back to the first")
	second.wantNoMarkup(t, "Client 049", "More clients")
}

// TestClientsPagesByRole checks what each role sees of an agency's pages.
func TestClientsPagesByRole(t *testing.T) {
	s := newAgencySite(t)
	owned := s.createAccount("Dora Dance", nil)
	connected := s.connect("cleo@client.test", "Cleo Shoes", nil)
	mia, mel, eve := s.actor("mia@agency.test"), s.actor("mel@agency.test"), s.actor("eve@x.test")
	for _, who := range []agency.Actor{mia, mel} {
		_, _, err := s.svc.InvitePerson(t.Context(), agency.Caller{Actor: s.ann}, s.id,
			service.Invitation{Email: who.Email, Role: agency.Member, Areas: requestedAreas})
		must(t, err)
		s.acceptInvitation(who.Email, s.id)
	}
	only := []agency.AccountID{accountOf(t, connected)}
	_, err := s.svc.ChangeMember(t.Context(), agency.Caller{Actor: s.ann}, s.id, agency.Party(mel.ID()),
		service.MemberChange{Clients: &only})
	must(t, err)
	page := s.call(mia, s.path(""), nil)
	page.wantMarkup(t, "Dora Dance", "Cleo Shoes", `<svg class="chart"`)
	page.wantNoMarkup(t, s.path("/add"))
	page = s.call(mel, s.path(""), nil)
	page.wantMarkup(t, "Cleo Shoes")
	page.wantNoMarkup(t, "Dora Dance", `<svg class="chart"`)
	s.call(mel, s.path("/clients.csv"), nil).wantNoMarkup(t, "Dora Dance")
	s.call(mia, clientURL(s.id, connected), nil).wantNoMarkup(t, "Leave this account", "Withdraw")
	s.call(mia, clientURL(s.id, owned), nil).wantNoMarkup(t, "team?as=", "subscription?as=")
	// The staff's own levels may be lower; the account's page shows them.
	theirs := "/accounts/" + string(accountOf(t, owned)) + "/settings?as=" + string(s.id)
	s.call(mia, clientURL(s.id, owned), nil).wantMarkup(t, `href="`+theirs+`"`)
	page = s.call(mia, theirs, nil)
	page.wantMarkup(t, "Your access for your agency", ">About</a>")
	page.wantNoMarkup(t, "/team?as=", "/activity?as=", "/subscription?as=")
	page = s.call(s.ann, theirs, nil)
	page.wantMarkup(t, ">Settings</a>", "/team?as=", "/activity?as=", "/subscription?as=")
	// A connected agency does not pay, and sees no subscription.
	page = s.call(s.ann, "/accounts/"+string(accountOf(t, connected))+"/settings?as="+string(s.id), nil)
	page.wantMarkup(t, ">About</a>", "/team?as=", "/activity?as=")
	page.wantNoMarkup(t, "/subscription?as=")
	s.call(s.ann, clientURL(s.id, owned), nil).wantNoMarkup(t, theirs)

	for path, codes := range map[string]map[agency.Actor]int{
		s.path("/add"):              {mia: 403, eve: 404, s.ann: 200},
		s.path("/add/create"):       {mia: 403, eve: 404, s.ann: 200},
		s.path("/add/connect"):      {mia: 403, eve: 404, s.ann: 200},
		s.path(""):                  {mia: 200, eve: 404, mel: 200, {}: 303},
		s.path("/clients.csv"):      {mia: 200, eve: 404, {}: 303},
		clientURL(s.id, owned):      {mia: 200, eve: 404, mel: 404, {}: 303},
		s.path("/clients/nonsense"): {s.ann: 404, eve: 404},
		"/agencies/nonsense":        {s.ann: 404},
		"/agencies/nonsense/add":    {s.ann: 404},
	} {
		for who, code := range codes {
			s.call(who, path, nil).wantText(t, code)
		}
	}
	s.call(mia, clientURL(s.id, connected), url.Values{"do": {"leave"}}).wantText(t, http.StatusForbidden)

	// The agency is switched off: its owner gets a link to switch it on.
	other := s.openAccountFor(annAt, "No agency")
	for _, path := range []string{"", "/add", "/add/create", "/add/connect"} {
		w := s.call(s.ann, agencyURL(other, path), nil)
		w.wantText(t, http.StatusConflict, "The agency hub is off")
		w.wantMarkup(t, "/accounts/"+string(other)+"/settings")
	}
	agencyGolden(t, "off", s.call(s.ann, agencyURL(other, ""), nil))
}

// keyOf returns the hidden key of a form.
func keyOf(t *testing.T, page result) string {
	t.Helper()
	found := regexp.MustCompile(`name="key" value="([^"]+)"`).FindStringSubmatch(page.Body.String())
	if found == nil {
		t.Fatal("no key")
	}
	return found[1]
}

func (s *agencySite) clientCount() (n int) {
	s.t.Helper()
	list, _, err := s.svc.Clients(s.t.Context(), s.ann, s.id, service.ClientFilter{}, service.Page{Limit: 100})
	must(s.t, err)
	return len(list.Items)
}

func TestCreateClient(t *testing.T) {
	s := newAgencySite(t)
	path := s.path("/add/create")
	key := keyOf(t, s.page(path))
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
		page := s.call(s.ann, path, fields)
		if page.Code != http.StatusBadRequest || s.clientCount() != 0 || keyOf(t, page) != key {
			t.Errorf("%s: %d, %d clients", name, page.Code, s.clientCount())
		}
		page.wantMarkup(t, `<p class="fault"`, c.says, `role="alert"`)
		for _, field := range []string{"name", "confirm", "email"} {
			page.wantMarkup(t, `value="`+strings.TrimSpace(fields.Get(field))+`"`)
		}
		if c.change["plan"] == "" {
			page.wantMarkup(t, `value="growth" checked`)
		}
	}
	// Sent twice, the form creates one account, and both responses lead there.
	first, second := s.call(s.ann, path, good()), s.call(s.ann, path, good())
	if first.Code != http.StatusSeeOther || second.Header().Get("Location") != first.Header().Get("Location") || s.clientCount() != 1 {
		t.Fatalf("%d %q, %d %q, %d clients", first.Code, first.Header().Get("Location"), second.Code, second.Header().Get("Location"), s.clientCount())
	}
	s.page(first.Header().Get("Location")).wantMarkup(t, "Dora Dance", "dora@client.test", "View: Pages")
	// The person went back and typed another name.
	other := good()
	other.Set("name", "Emil Ink")
	other.Set("confirm", "Emil Ink")
	w := s.call(s.ann, path, other)
	if w.Code != http.StatusConflict || s.clientCount() != 1 || keyOf(t, w) == key {
		t.Errorf("%d, %d clients", w.Code, s.clientCount())
	}
	w.wantMarkup(t, "has already created an account", `value="Emil Ink"`)
	other.Set("key", keyOf(t, w))
	if w = s.call(s.ann, path, other); w.Code != http.StatusSeeOther || s.clientCount() != 2 {
		t.Errorf("%d, %d clients", w.Code, s.clientCount())
	}
}

func TestConnectClient(t *testing.T) {
	s := newAgencySite(t)
	path := s.path("/add/connect")
	cleo := s.actor("cleo@client.test")
	shop := s.openAccountFor(cleo.Email, "Cleo Shoes")
	owned := s.createAccount("Dora Dance", nil)
	fields := func(to string) url.Values {
		return url.Values{"addressee": {to}, "message": {"Hello there"}, "area-pages": {"edit"}, "do": {""}}
	}
	refuses := func(name string, in url.Values, code int, says ...string) {
		t.Helper()
		before := s.clientCount()
		w := s.call(s.ann, path, in)
		if w.Code != code || s.clientCount() != before {
			t.Errorf("%s: %d", name, w.Code)
		}
		w.wantMarkup(t, append(says, `value="`+in.Get("addressee")+`"`, ">Hello there</textarea>")...)
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

	con := agency.NewConnectionID(agency.Party(shop), s.id)
	s.call(s.ann, path, fields(string(shop))).wantRedirect(t, clientURL(s.id, con))
	s.page(clientURL(s.id, con)).wantMarkup(t, "Hello there", publicURL+"/requests/"+string(con), "Last sent")
	refuses("asked already", fields(string(shop)), 409, "already a request", clientURL(s.id, con))
	w := s.call(s.ann, path, fields("Emil@client.test"))
	w.wantText(t, http.StatusSeeOther)
	refuses("asked already by email", fields("emil@CLIENT.test"), 409, "already a request", w.Header().Get("Location"))

	// Sent twice, the form makes one request, and both responses lead there. Then the person went
	// back and typed another address.
	form := fields("fay@client.test")
	form.Set("key", keyOf(t, s.page(path)))
	first := s.call(s.ann, path, form)
	first.wantText(t, http.StatusSeeOther)
	s.call(s.ann, path, form).wantRedirect(t, first.Header().Get("Location"))
	form.Set("addressee", "gus@client.test")
	refuses("another address", form, 409, "has already sent a request")
	form.Set("key", keyOf(t, s.call(s.ann, path, form)))
	s.call(s.ann, path, form).wantText(t, http.StatusSeeOther)

	_, err := s.svc.DeclineRequest(t.Context(), agency.Caller{Actor: cleo}, shop, s.id, service.Decline{Request: 1})
	must(t, err)
	s.page(clientURL(s.id, con)).wantMarkup(t, "They declined", s.path("/add/connect?again="+string(con)))
	refuses("declined not long ago", fields(string(shop)), 429, "They have declined not long ago", "You can try again in 30 days.")
	again := s.page(s.path("/add/connect?again=" + string(con)))
	again.wantMarkup(t, `value="`+string(shop)+`"`, ">Hello there</textarea>", `name="area-pages" value="edit" checked`)

	s.advance(31 * 24 * time.Hour)
	s.call(s.ann, path, fields(string(shop))).wantText(t, http.StatusSeeOther)
	_, err = s.svc.AcceptRequest(t.Context(), agency.Caller{Actor: cleo}, shop, s.id, service.Grant{Request: 2})
	must(t, err)
	refuses("connected already", fields(string(shop)), 409, "already connected", clientURL(s.id, con))
}

// TestClientActions takes a connection through its life from its own page.
func TestClientActions(t *testing.T) {
	s := newAgencySite(t)
	p := s.requestConnection("cleo@client.test", "Cleo Shoes")
	path := clientURL(s.id, p.ID())
	do := func(what string) result { return s.call(s.ann, path, url.Values{"do": {what}}) }
	s.page(path).wantNoMarkup(t, `value="resend"`, `value="leave"`)
	s.page(path).wantMarkup(t, "You can send it again from")
	w := do("resend")
	w.wantText(t, http.StatusTooManyRequests, "sent not long ago", "You can try again in 1 day.")
	if w.Header().Get("Retry-After") == "" {
		t.Error("too soon, and no Retry-After")
	}
	for range 3 {
		s.advance(1 * 24 * time.Hour)
		s.page(path).wantMarkup(t, `value="resend"`)
		do("resend").wantText(t, http.StatusSeeOther)
	}
	s.advance(1 * 24 * time.Hour)
	s.page(path).wantNoMarkup(t, `value="resend"`)
	s.page(path).wantMarkup(t, "It can’t be sent again")
	do("nonsense").wantText(t, http.StatusBadRequest)

	// Only a POST from a page of ours changes anything.
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
	w = s.call(agency.Actor{}, path, url.Values{"do": {"withdraw"}})
	if refresh := w.Header().Get("Refresh"); w.Code != http.StatusUnauthorized || !strings.HasPrefix(refresh, "0; url=/signin") {
		t.Errorf("without a session: %d %s", w.Code, refresh)
	}

	do("withdraw").wantRedirect(t, path)
	s.page(path).wantMarkup(t, "Request again", "Withdrawn")

	con := s.connect("emil@client.test", "Emil Ink", nil)
	path = clientURL(s.id, con)
	s.page(path).wantMarkup(t, "Leave this account", "Your client pays")
	do("leave").wantText(t, http.StatusSeeOther)
	s.page(path).wantMarkup(t, "Your agency left", "Request again")
	owned := clientURL(s.id, s.createAccount("Dora Dance", nil))
	s.page(owned).wantNoMarkup(t, "Leave this account", "Request again")
	s.page(owned).wantMarkup(t, "/team?as="+string(s.id), "/subscription?as="+string(s.id))
	s.call(s.ann, owned, url.Values{"do": {"leave"}}).wantText(t, http.StatusConflict)
}

// TestMovedRequest follows a request by email to the account it was accepted into.
func TestMovedRequest(t *testing.T) {
	s := newAgencySite(t)
	cleo := s.actor("cleo@client.test")
	shop := s.openAccountFor(cleo.Email, "Cleo Shoes")
	p, err := s.svc.RequestConnection(t.Context(), s.ann, s.id, service.ConnectionRequest{OwnerEmail: cleo.Email, Areas: requestedAreas})
	must(t, err)
	_, err = s.svc.AcceptRequestInto(t.Context(), cleo, p.ID(), shop, service.Grant{Request: 1})
	must(t, err)
	s.call(s.ann, clientURL(s.id, p.ID()), nil).wantRedirect(t, clientURL(s.id, agency.NewConnectionID(agency.Party(shop), s.id)))
}

func TestHostileClients(t *testing.T) {
	s := newAgencySite(t)
	names := []string{`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, strings.Repeat("W", 80), "שלום עליכם",
		`{{.}} ' " & </bdi></table>`}
	for n, name := range names {
		until := s.clock().AddDate(0, 1, 0)
		con := s.connect(fmt.Sprintf("c%d@client.test", n), name, &until)
		owned := s.createAccount(name+"2"[:min(1, 80-len([]rune(name)))], &service.NewClient{Email: fmt.Sprintf("o'hara%d@client.test", n), Areas: requestedAreas})
		for _, path := range []string{clientURL(s.id, con), clientURL(s.id, owned), s.path(""), s.path("?prefix=" + url.QueryEscape(name)),
			s.path("/add/connect?again=" + string(con))} {
			s.page(path).wantNoMarkup(t, "<script>alert", "<img src=x", "</bdi></table>")
		}
	}
	w := s.call(s.ann, s.path("/add/create"), url.Values{"name": {names[1]}, "confirm": {names[0]}, "email": {names[1]}, "key": {names[1]}})
	w.wantNoMarkup(t, "<script>alert", "<img src=x")
	w = s.call(s.ann, s.path("/add/connect"), url.Values{"addressee": {names[1]}, "message": {"</textarea>" + names[0]}})
	w.wantNoMarkup(t, "<script>alert", "<img src=x", "</textarea><script")
}

func TestClientsFile(t *testing.T) {
	s := newAgencySite(t)
	s.createAccount(`=HYPERLINK("http://evil.test","x")`, nil)
	s.createAccount("+1", nil)
	s.createAccount("-1", nil)
	s.createAccount("@SUM(A1)", nil)
	s.createAccount("＝1+1", nil)
	s.createAccount(`Quotes "and", commas`, nil)
	s.connect("cleo@client.test", "Café Noir", nil)
	_, err := s.svc.RequestConnection(t.Context(), s.ann, s.id,
		service.ConnectionRequest{OwnerEmail: "emil@client.test", Areas: requestedAreas})
	must(t, err)
	w := s.call(s.ann, s.path("/clients.csv"), nil)
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
	want := []string{"Client", "_+1", "_-1", `_=HYPERLINK("http://evil.test","x")`, "_@SUM(A1)", "Café Noir", `Quotes "and", commas`, "_＝1+1", ""}
	wantEqual(t, "names", want, names)
	request := []string{"", "emil@client.test", "Waiting", "Client", "Client", "", "", "", "Asked for: View and edit"}
	wantEqual(t, "the request", request, rows[8][:9])
	wantEqual(t, "an owned account", []string{"Agency", "Agency", "Growth", "99", "USD"}, rows[1][3:8])
}

// TestClientsFileIsBounded checks that a cut-off file says so.
func TestClientsFileIsBounded(t *testing.T) {
	s := newAgencySite(t)
	for n := range 4 {
		s.createAccount(fmt.Sprintf("Client %d", n), nil)
	}
	r := httptest.NewRequest(http.MethodGet, publicURL+s.path("/clients.csv"), nil)
	r.SetPathValue("agency", string(s.id))
	for maxRows, last := range map[int]string{3: "The list goes on. This file holds the first 3 clients", 4: "Client 3,"} {
		file, err := s.export(&visit{console: s.console, ctx: t.Context(), r: r, actor: s.ann}, maxRows)
		must(t, err)
		lines := strings.Split(strings.TrimSpace(file.String()), "\r\n")
		if len(lines) != 5 || !strings.HasPrefix(strings.Trim(lines[4], `"`), last) {
			t.Errorf("%d at most: %q", maxRows, lines)
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
		year[i] = service.TrendMonth{Begin: begin.AddDate(0, i, 0), Clients: i * 1000, Accepted: 100, Declined: i, Expired: 1}
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
	wantEqual(t, "text", "Clients at the end of each month: 0 in December 2025, 11000 now.", c.ClientsText)
	wantEqual(t, "text", "How requests ended in the last 12 months: 1200 accepted, 66 declined, 0 withdrawn, 12 expired.", c.EndsText)
}

// bring brings Cleo's pending request into another state.
func (s *agencySite) bring(t *testing.T, p agency.Profile, to agency.Status) {
	t.Helper()
	cleo, past := agency.Caller{Actor: s.actor(cleoAt)}, s.clock().Add(time.Minute)
	switch to {
	case agency.Active, agency.Revoked, agency.Left, agency.Lapsed:
		_, err := s.svc.AcceptRequest(t.Context(), cleo, p.Account(), s.id, service.Grant{Request: p.Request.Number})
		must(t, err)
	default:
	}
	var err error
	switch to {
	case agency.Declined:
		_, err = s.svc.DeclineRequest(t.Context(), cleo, p.Account(), s.id, service.Decline{Request: 1})
	case agency.Withdrawn:
		_, err = s.svc.WithdrawRequest(t.Context(), s.ann, s.id, p.ID())
	case agency.Expired:
		s.advance(p.Request.ExpiresAt.Sub(s.clock()))
	case agency.Revoked:
		_, err = s.svc.RemoveMember(t.Context(), cleo, p.Account(), agency.Party(s.id), false)
	case agency.Left:
		_, err = s.svc.LeaveAccount(t.Context(), s.ann, s.id, p.ID())
	case agency.Lapsed:
		_, err = s.svc.ChangeMember(t.Context(), cleo, p.Account(), agency.Party(s.id), service.MemberChange{Until: &past})
		s.advance(time.Hour)
	default:
	}
	must(t, err)
}

// A request's form that is sent again says what became of its request. It sends no
// other; the form that leads to another has a new key.
func TestRequestFormSentAgain(t *testing.T) {
	for status, says := range map[agency.Status]string{
		agency.Pending:   "Request sent.",
		agency.Active:    "Nothing was sent. Your earlier request was accepted.",
		agency.Declined:  "Nothing was sent. Your earlier request was declined.",
		agency.Withdrawn: "Nothing was sent. Your earlier request was withdrawn.",
		agency.Expired:   "Nothing was sent. Your earlier request has expired.",
		agency.Revoked:   "Nothing was sent. Your earlier request was accepted; your access was revoked later.",
		agency.Left:      "Nothing was sent. Your agency has left the account since.",
		agency.Lapsed:    "Nothing was sent. Your access has ended on its end date.",
	} {
		s := newAgencySite(t)
		// Repeats are recognised for 48 hours.
		s.svc.Rules.RequestLifetime = time.Hour
		shop := s.openAccountFor(cleoAt, "Cleo Shoes")
		con := agency.NewConnectionID(agency.Party(shop), s.id)
		form := url.Values{"addressee": {string(shop)}, "message": {"Hello there"}, "area-pages": {"edit"}, "key": {keyOf(t, s.page(s.path("/add/connect")))}}
		send := func() result {
			ann := s.as(annAt)
			return ann.follow(ann.send(http.MethodPost, s.path("/add/connect"), form, "Sec-Fetch-Site", "same-origin"))
		}
		send().wantText(t, http.StatusOK, "Request sent.")
		s.bring(t, s.profile(con), status)
		var page result
		s.demandUnchanged(t, "a repeat when "+string(status), func() { page = send() })
		page.wantText(t, http.StatusOK, says)
		wantEqual(t, "status", status, s.profile(con).StatusAt(s.clock()))
		if status == agency.Pending || status == agency.Active {
			continue
		}
		page.wantNoMarkup(t, "Request sent.")
		again := s.path("/add/connect?again=" + string(con))
		page.wantMarkup(t, `<p class="warning" role="status">`, `href="`+again+`"`)
		form.Set("key", keyOf(t, s.page(again)))
		s.advance(s.svc.Rules.Cooldown)
		send().wantText(t, http.StatusOK, "Request sent.")
		wantEqual(t, string(status)+": requests", 2, s.profile(con).Request.Number)
	}
}

// Every state in which a repeated request may be has its notice.
func TestRequestNotices(t *testing.T) {
	for _, status := range agency.Statuses {
		if notices[requestNotice(status)] == "" && status != agency.Moved && status != agency.Invited {
			t.Errorf("no notice for %s", status)
		}
	}
}

// A form that made an account, which is closed since, does not say that it is there.
func TestAccountFormSentAgain(t *testing.T) {
	s := newAgencySite(t)
	ann := s.as(annAt)
	path := s.path("/add/create")
	form := []string{"key", keyOf(t, ann.get(path)), "name", "Dora", "plan", "growth", "confirm", "Dora"}
	ann.submit(path, form...).wantText(t, http.StatusOK, "Account created.")
	ann.submit(path, form...).wantText(t, http.StatusOK, "Account created.")
	list, _, err := s.svc.Clients(t.Context(), s.ann, s.id, service.ClientFilter{}, service.Page{Limit: 1})
	must(t, err)
	_, err = s.svc.CloseAccount(t.Context(), agency.Caller{Actor: s.ann, As: s.id}, list.Items[0].Account())
	must(t, err)
	ann.submit(path, form...).wantText(t, http.StatusOK, "Nothing was created.", "it is closed")

	// An account of one's own: the form comes back with a new key.
	form = []string{"key", keyOf(t, ann.get("/accounts/new")), "name", "Mine"}
	ann.submit("/accounts/new", form...).wantText(t, http.StatusOK, "Account opened.")
	other := ann.post("/accounts/new", "key", form[1], "name", "Another")
	other.wantText(t, http.StatusConflict, "This form has already opened an account, with another name.")
	other.wantMarkup(t, `value="Another"`)
	ann.submit("/accounts/new", "key", keyOf(t, other), "name", "Another").wantText(t, http.StatusOK, "Account opened.", "Another")
	at := ann.post("/accounts/new", form...).Header().Get("Location")
	ann.submit(strings.Replace(at, "/team", "/settings", 1), "do", "close", "confirm", "Mine")
	closed := ann.post("/accounts/new", form...)
	closed.wantText(t, http.StatusConflict, "which you have no access to now")
	ann.submit("/accounts/new", "key", keyOf(t, closed), "name", "Mine").wantText(t, http.StatusOK, "Account opened.")
}
