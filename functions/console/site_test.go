package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/oauth2"

	"agencyhub/shared/agency"
	"agencyhub/shared/service"
	"agencyhub/shared/settings"
	"agencyhub/shared/table"
	"agencyhub/shared/testbed"
)

var update = flag.Bool("update", false, "write the golden files")

const publicURL = "https://hub.test"

// site is the console on a real table, with the test's issuer and clock.
type site struct {
	*console
	t      testing.TB
	issuer *testIssuer
	db     *dynamodb.Client
	table  string

	mu     sync.Mutex
	at     time.Time
	events int
}

func newSite(t testing.TB) *site {
	t.Helper()
	s := &site{t: t, at: time.Date(2030, 5, 6, 12, 0, 0, 0, time.UTC)}
	s.db, s.table = testbed.Table(t)
	s.issuer = newTestIssuer(t, s.clock)
	loaded, err := settings.Load("")
	must(t, err)
	rules := loaded.Rules()
	rules.DailyByPerson, rules.DailyByNewPerson = agency.PersonLimits{}, agency.PersonLimits{}
	store := table.New(s.db, s.table)
	svc := &service.Service{Store: store, Rules: rules, Now: s.clock, NewEventID: func(at time.Time) agency.EventID {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.events++
		return agency.EventID(fmt.Sprintf("evt_%013d%013d", at.UnixMilli(), s.events))
	}}
	env := settings.Environment{PublicURL: publicURL, OIDCIssuer: s.issuer.URL, OIDCClientID: clientID, Settings: loaded}
	if s.console, err = newConsole(svc, store, env, s.clock); err != nil {
		t.Fatal(err)
	}
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (s *site) clock() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.at
}

func (s *site) advance(by time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at = s.at.Add(by)
}

// actor returns the person that the issuer names for an address.
func (s *site) actor(email string) agency.Actor {
	return agency.NewActor(email, s.issuer.URL, "sub-"+email)
}

// dump returns all items of the table, but for sessions, by key.
func (s *site) dump() map[string]string {
	s.t.Helper()
	all := map[string]string{}
	pages := dynamodb.NewScanPaginator(s.db, &dynamodb.ScanInput{TableName: &s.table})
	for pages.HasMorePages() {
		page, err := pages.NextPage(s.t.Context())
		must(s.t, err)
		for _, item := range page.Items {
			if item["sk"].(*types.AttributeValueMemberS).Value == "SESSION" {
				continue
			}
			text, err := json.Marshal(item)
			must(s.t, err)
			key, err := json.Marshal([]any{item["pk"], item["sk"]})
			must(s.t, err)
			all[string(key)] = string(text)
		}
	}
	return all
}

// browser is a client that keeps cookies as browsers do.
type browser struct {
	*site
	cookies map[string]string
	// person is whose page the browser shows; "" for nobody's.
	person identity
	// ctx is the context of its requests; nil for the test's.
	ctx context.Context
}

// result is a response, with its text and the address that was asked for.
type result struct {
	*httptest.ResponseRecorder
	text string
	path string
}

func (s *site) browser() *browser { return &browser{site: s, cookies: map[string]string{}} }

// as returns a browser in which a person is signed in, until their id token ends.
func (s *site) as(email string) *browser { return s.asWith(email, "") }

// cleoRenewable returns a browser in which Cleo is signed in, with a refresh token.
func (s *site) cleoRenewable() *browser { return s.asWith(cleoAt, s.issuer.refreshToken(cleoAt)) }

func (s *site) asWith(email, refresh string) *browser {
	s.t.Helper()
	b := s.browser()
	token := (&oauth2.Token{RefreshToken: refresh}).WithExtra(map[string]any{"id_token": s.issuer.token(s.issuer.claims(email))})
	given, err := s.console.issuer.read(s.t.Context(), token, "")
	must(s.t, err)
	b.cookies[hostSession], err = s.sessions.begin(s.t.Context(), given)
	must(s.t, err)
	b.person = identityOf(given.actor)
	return b
}

// The names of cookies at a hub with an https address.
const (
	hostSession   = "__Host-" + sessionCookie
	hostNotice    = "__Host-" + noticeCookie
	hostSignedOut = "__Host-" + signedOutCookie
)

// forms returns how many forms are saved in the browser's cookies.
func (b *browser) forms() int {
	n := 0
	for name := range b.cookies {
		if strings.HasPrefix(name, "__Host-"+formCookie) {
			n++
		}
	}
	return n
}

func (b *browser) get(path string) result { return b.send(http.MethodGet, path, nil) }

// post sends a form as a page of ours does.
func (b *browser) post(path string, fields ...string) result {
	form := url.Values{}
	if b.person != "" {
		form.Set(personField, string(b.person))
	}
	for i := 0; i < len(fields); i += 2 {
		form.Add(fields[i], fields[i+1])
	}
	return b.send(http.MethodPost, path, form, "Sec-Fetch-Site", "same-origin", "Origin", b.env.PublicURL)
}

func (b *browser) send(method, path string, form url.Values, headers ...string) result {
	b.t.Helper()
	ctx := b.ctx
	if ctx == nil {
		ctx = b.t.Context()
	}
	r := httptest.NewRequestWithContext(ctx, method, path, strings.NewReader(form.Encode()))
	_, r.Host, _ = strings.Cut(b.env.PublicURL, "://")
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	for name, value := range b.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	w := httptest.NewRecorder()
	b.ServeHTTP(w, r)
	for _, c := range w.Result().Cookies() {
		if len(c.Name)+len(c.Value) > 4000 || c.Secure != b.isSecure() || strings.HasPrefix(c.Name, "__Host-") != c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" {
			b.t.Errorf("a browser would not keep, or give away, the cookie %s of %d bytes", c.Name, len(c.Value))
		}
		b.cookies[c.Name] = c.Value
		if c.MaxAge < 0 {
			delete(b.cookies, c.Name)
		}
	}
	b.checkForms(path, w.Body.String())
	return result{ResponseRecorder: w, text: plain(w.Body.String()), path: path}
}

var (
	forms      = regexp.MustCompile(`(?s)<form method="post"([^>]*)>(.*?)</form>`)
	formAction = regexp.MustCompile(`action="([^"]*)"`)
	answers    = regexp.MustCompile(`name="do" value="(accept|decline|block)"`)
	inputs     = regexp.MustCompile(`<(?:input|textarea|select|button)\b[^>]* name="([^"]+)"`)
)

// checkForms demands that the fields of a page's forms are among those that are read,
// that every answer to a request names its number, and that every form of a signed-in
// person's page names that person once.
func (s *site) checkForms(path, body string) {
	s.t.Helper()
	isSignedIn := strings.Contains(body, `value="signout"`)
	for _, found := range forms.FindAllStringSubmatch(body, -1) {
		if named := strings.Count(found[2], `name="`+personField+`" value="`); isSignedIn && named != 1 {
			s.t.Errorf("%s has a form that names its person %d times:\n%s", path, named, found[2])
		}
		if answers.MatchString(found[2]) && !strings.Contains(found[2], `name="request" value="`) {
			s.t.Errorf("%s has a form that answers a request without its number:\n%s", path, found[2])
		}
		to := path
		if action := formAction.FindStringSubmatch(found[1]); action != nil {
			to = html.UnescapeString(action[1])
		}
		_, page := s.mux.Handler(httptest.NewRequestWithContext(s.t.Context(), http.MethodPost, to, nil))
		for _, input := range inputs.FindAllStringSubmatch(found[2], -1) {
			if input[1] != personField && !slices.Contains(s.fieldNames(page), input[1]) {
				s.t.Errorf("%s has a form with the field %s, which %s does not read", path, input[1], page)
			}
		}
	}
}

// follow follows redirects, except to a sign-in.
func (b *browser) follow(s result) result {
	b.t.Helper()
	to := s.Header().Get("Location")
	if s.Code != http.StatusSeeOther || !strings.HasPrefix(to, "/") {
		b.t.Fatalf("%s answers %d, Location %q:\n%s", s.path, s.Code, to, s.text)
	}
	next := b.get(to)
	if next.Code == http.StatusSeeOther && !strings.HasPrefix(to, "/signin") {
		return b.follow(next)
	}
	return next
}

// submit posts a form that must succeed, and follows its redirect.
func (b *browser) submit(path string, fields ...string) result {
	b.t.Helper()
	next := b.follow(b.post(path, fields...))
	if next.Code != http.StatusOK {
		b.t.Fatalf("after %s comes %d:\n%s", path, next.Code, next.text)
	}
	return next
}

// wantEqual demands that two values are the same.
func wantEqual(t *testing.T, what string, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// wantText demands a status, and that the page shows some texts.
func (s result) wantText(t *testing.T, status int, texts ...string) {
	t.Helper()
	if s.Code != status {
		t.Errorf("%s answers %d, want %d:\n%s", s.path, s.Code, status, s.text)
	}
	for _, text := range texts {
		if !strings.Contains(s.text, text) {
			t.Errorf("%s does not say %q:\n%s", s.path, text, s.text)
		}
	}
}

// wantMarkup demands that a page's markup has some parts.
func (s result) wantMarkup(t *testing.T, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(s.Body.String(), part) {
			t.Errorf("%s has no %s:\n%s", s.path, part, s.Body)
		}
	}
}

// wantRedirect demands that the response leads to an address.
func (s result) wantRedirect(t *testing.T, to string) {
	t.Helper()
	if got := s.Header().Get("Location"); s.Code != http.StatusSeeOther || got != to {
		t.Errorf("%s answers %d and leads to %q, want %q:\n%s", s.path, s.Code, got, to, s.text)
	}
}

func (s result) wantNoMarkup(t *testing.T, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if strings.Contains(s.Body.String(), part) {
			t.Errorf("%s has %s", s.path, part)
		}
	}
}

var tags = regexp.MustCompile(`(?s)<(head|script)\b.*?</(head|script)>|<[^>]*>`)

// plain returns a page's text, as one line.
func plain(page string) string {
	text := strings.NewReplacer("&#39;", "'", "&amp;", "&", "&lt;", "<", "&gt;", ">", "&#34;", `"`).Replace(tags.ReplaceAllString(page, " "))
	text = strings.Join(strings.Fields(text), " ")
	return strings.NewReplacer(" .", ".", " ,", ",", " :", ":").Replace(text)
}

var (
	versions = regexp.MustCompile(`/static/[0-9a-f]+/`)
	// persons hold the address of the test's issuer.
	persons = regexp.MustCompile(`(name="` + personField + `" value=")\w+"`)
)

// golden compares a page with the file of its name.
func golden(t *testing.T, name string, page []byte) {
	t.Helper()
	page = versions.ReplaceAll(page, []byte("/static/…/"))
	page = persons.ReplaceAll(page, []byte(`$1…"`))
	file := filepath.Join("testdata", name+".html")
	if *update {
		must(t, os.MkdirAll("testdata", 0o755))
		must(t, os.WriteFile(file, page, 0o600))
	}
	want, err := os.ReadFile(file)
	must(t, err)
	if !bytes.Equal(page, want) {
		t.Errorf("%s (-want +got); go test -update writes it:\n%s", file, cmp.Diff(strings.Split(string(want), "\n"), strings.Split(string(page), "\n")))
	}
}

// world is a client's account, two agencies, and the first one's connection.
type world struct {
	*site
	cleo, ann          agency.Actor
	shop, studio, west agency.AccountID
	con                agency.ConnectionID
}

const (
	cleoAt = "cleo@client.test"
	annAt  = "ann@agency.test"
	samAt  = "sam@west.test"
)

func newWorld(t testing.TB) *world {
	t.Helper()
	s := newSite(t)
	w := &world{site: s, cleo: s.actor(cleoAt), ann: s.actor(annAt)}
	w.shop = w.openAccountFor(cleoAt, "Cleo Shoes")
	w.studio = w.openAccountFor(annAt, "Bright Studio")
	w.west = w.openAccountFor(samAt, "Westside Media")
	for email, id := range map[string]agency.AccountID{annAt: w.studio, samAt: w.west} {
		_, err := w.svc.SwitchAgencyOn(t.Context(), w.actor(email), id)
		must(t, err)
	}
	w.con = agency.NewConnectionID(agency.Party(w.shop), w.studio)
	return w
}

func (s *site) openAccountFor(email, name string) agency.AccountID {
	s.t.Helper()
	a, err := s.svc.OpenAccount(s.t.Context(), s.actor(email), "key-of-"+email+name+"-16", name)
	must(s.t, err)
	return a.ID
}

var requestedAreas = agency.Areas{"pages": agency.Edit, "mail": agency.View}

// request has Bright Studio request access to the shop.
func (w *world) request() {
	w.t.Helper()
	w.requestAs(annAt, w.studio, service.ConnectionRequest{Account: w.shop, Areas: requestedAreas, Message: "Shall we set up your shop?"})
}

func (w *world) requestAs(by string, of agency.AccountID, a service.ConnectionRequest) {
	w.t.Helper()
	_, err := w.svc.RequestConnection(w.t.Context(), w.actor(by), of, a)
	must(w.t, err)
}

// connect has the shop accept the request of Bright Studio.
func (w *world) connect() {
	w.t.Helper()
	w.request()
	_, err := w.svc.AcceptRequest(w.t.Context(), agency.Caller{Actor: w.cleo}, w.shop, w.studio, service.Grant{Request: w.profile(w.con).Request.Number})
	must(w.t, err)
}

// profile returns a connection from the table.
func (s *site) profile(id agency.ConnectionID) agency.Profile {
	s.t.Helper()
	addressee, of, _ := id.Split()
	return s.memberAt(addressee, agency.Party(of))
}

func (s *site) memberAt(at, member agency.Party) agency.Profile {
	s.t.Helper()
	key := agency.ProfileKey{Addressee: at, Member: member}
	read, err := s.svc.Store.Load(s.t.Context(), service.Want{Profiles: []agency.ProfileKey{key}})
	must(s.t, err)
	return read.Profile(key)
}

func (w *world) memberPage(member agency.Party) string {
	return "/accounts/" + string(w.shop) + "/team/" + string(member)
}

// invite invites a person to the shop, who accepts.
func (w *world) invite(email string, role agency.Role) agency.Party {
	w.t.Helper()
	member := w.inviteOnly(email, role)
	w.acceptInvitation(email, w.shop)
	return member
}

// inviteOnly invites a person to the shop.
func (w *world) inviteOnly(email string, role agency.Role) agency.Party {
	w.t.Helper()
	in := service.Invitation{Email: email, Role: role}
	if role == agency.Member {
		in.Areas = agency.Areas{"pages": agency.View}
	}
	p, _, err := w.svc.InvitePerson(w.t.Context(), agency.Caller{Actor: w.cleo}, w.shop, in)
	must(w.t, err)
	return p.Member
}

// acceptInvitation accepts a person's invitation or offer of ownership.
func (s *site) acceptInvitation(email string, at agency.AccountID) {
	s.t.Helper()
	p := s.memberAt(agency.Party(at), agency.Party(s.actor(email).ID()))
	in := service.Answer{Request: p.Request.Number}
	if p.Request.Role == agency.Owner {
		in.Plan = s.svc.Rules.DefaultPlan()
	}
	_, err := s.svc.AcceptInvitation(s.t.Context(), s.actor(email), at, in)
	must(s.t, err)
}

// bounce records that the emails of a request or of an invitation came back.
func (s *site) bounce(k agency.ProfileKey) {
	s.t.Helper()
	p := s.memberAt(k.Addressee, k.Member)
	if p.Kind() == agency.AgencyKind {
		must(s.t, table.New(s.db, s.table).FailDelivery(s.t.Context(), k, p.Request.Number, p.Request.MailedAt))
		return
	}
	_, err := s.db.UpdateItem(s.t.Context(), &dynamodb.UpdateItemInput{
		TableName:                 &s.table,
		Key:                       map[string]types.AttributeValue{"pk": text("ACCT#" + string(k.Addressee)), "sk": text("TEAM#" + string(k.Member))},
		UpdateExpression:          aws.String("SET delivery = :failed"),
		ConditionExpression:       aws.String("attribute_exists(pk)"),
		ExpressionAttributeValues: map[string]types.AttributeValue{":failed": text(string(agency.DeliveryFailed))},
	})
	must(s.t, err)
}

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

// demandUnchanged demands that do writes nothing.
func (s *site) demandUnchanged(t *testing.T, what string, do func()) {
	t.Helper()
	before := s.dump()
	do()
	wantEqual(t, "the table before and after "+what, before, s.dump())
}

// levelFields returns the form fields of levels.
func levelFields(a agency.Areas) []string {
	var fields []string
	for _, area := range []string{"pages", "funnels", "mail", "contacts", "analytics"} {
		level := a[area]
		if level == "" {
			level = agency.None
		}
		fields = append(fields, "area-"+area, string(level))
	}
	return fields
}

func withFields(fields []string, more ...string) []string {
	return append(slices.Clone(more), fields...)
}
