package e2e

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
)

// A look is a page of the console in one of its states.
type look struct {
	name  string // of the files of its pictures
	route string // the console's route
	who   string // the address of somebody in the fixture; "" for signed out
	path  func(*fixture) string
	// does is what the person does on the page first; nil for nothing.
	does func(*testing.T, *window)
	// status is the page's status; 0 for 200.
	status int64
}

func fixed(path string) func(*fixture) string { return func(*fixture) string { return path } }

// People who look at pages.
const (
	ann, ben, cid, nora, nick = "ann@bright.test", "ben@bright.test", "cid@bright.test", "nora@new.test", "nick@new.test"
	cleo, al, carl            = "cleo@shoes.test", "al@shoes.test", "carl@cafe.test"
	mia                       = "mia.with-a-rather-long-address.of-her-own@shoes.test"
	paul, petra               = "paul@person.test", "petra@person.test"
	// ivy, otto and dan are invited to the shop, and dora to the café.
	ivy, otto, dan, dora = "ivy@shoes.test", "otto@shoes.test", "dan@shoes.test", "dora@cafe.test"
)

// ofAgency, ofShop, ofInvitation, ofClient and ofRequest return paths in the fixture: of
// the agency, of the shop, of an invitation to the shop, of a client of the agency, and
// of a request to the shop.
func ofAgency(rest string) func(*fixture) string {
	return func(w *fixture) string { return "/agencies/" + w.agency + rest }
}

func ofShop(rest string) func(*fixture) string {
	return func(w *fixture) string { return "/accounts/" + w.shop + rest }
}

func ofInvitation(w *fixture) string { return "/invitations/" + w.shop }

func ofClient(id func(*fixture) string) func(*fixture) string {
	return func(w *fixture) string { return "/agencies/" + w.agency + "/clients/" + id(w) }
}

func ofRequest(rest string, agency func(*fixture) string) func(*fixture) string {
	return func(w *fixture) string { return "/requests/" + connectionID(w.shop, agency(w)) + rest }
}

// looks are all of the console's pages, which TestPagesAreLookedAt checks.
var looks = []look{
	{name: "welcome", route: "/{$}", path: fixed("/")},
	{name: "home", route: "/{$}", who: ann, path: fixed("/")},
	{name: "home-empty", route: "/{$}", who: nora, path: fixed("/")},
	{name: "home-waiting", route: "/{$}", who: cleo, path: fixed("/")},
	{name: "home-by-email", route: "/{$}", who: petra, path: fixed("/")},
	{name: "home-invited", route: "/{$}", who: ivy, path: fixed("/")},
	{name: "waiting", route: "/waiting", who: cleo, path: fixed("/waiting")},
	{name: "waiting-offer", route: "/waiting", who: al, path: fixed("/waiting")},
	{name: "waiting-empty", route: "/waiting", who: nora, path: fixed("/waiting")},
	{name: "invitation-link", route: "/invitations/{account}", path: ofInvitation},
	{name: "invitation", route: "/invitations/{account}", who: ivy, path: ofInvitation},
	{name: "invitation-owner", route: "/invitations/{account}", who: otto, path: ofInvitation},
	{name: "invitation-refused", route: "/invitations/{account}", who: otto, path: ofInvitation, status: http.StatusConflict, does: func(t *testing.T, w *window) {
		t.Helper()
		if _, err := eval[string](w, `document.querySelector('input[name=plan]').value = 'gone'`); err != nil {
			t.Fatal(err)
		}
		w.choose(t, choice("I will pay for Cleo Shoes"))
		w.press(t, button("Accept and pay"))
	}},
	{name: "invitation-offer", route: "/invitations/{account}", who: al, path: ofInvitation},
	{name: "invitation-client", route: "/invitations/{account}", who: dora, path: func(w *fixture) string { return "/invitations/" + w.cafe }},
	{name: "invitation-declined", route: "/invitations/{account}", who: dan, path: ofInvitation},
	{name: "invitation-accepted", route: "/invitations/{account}", who: mia, path: ofInvitation},
	{name: "invitation-stranger", route: "/invitations/{account}", who: nick, path: ofInvitation, status: http.StatusNotFound},
	{name: "stop", route: "/stop/{link}", path: func(w *fixture) string { return w.stop }},
	{name: "stopped", route: "/stop/{link}", path: func(w *fixture) string { return w.stop }, does: func(t *testing.T, w *window) {
		t.Helper()
		w.press(t, button("Stop these emails"))
		w.expectText(t, "Emails stopped")
	}},
	{name: "stop-broken", route: "/stop/{link}", path: fixed("/stop/box_broken"), status: http.StatusNotFound},
	{name: "docs", route: "/docs", path: fixed("/docs")},
	{name: "open", route: "/accounts/new", who: nora, path: fixed("/accounts/new")},
	{name: "open-refused", route: "/accounts/new", who: nora, path: fixed("/accounts/new"), status: http.StatusBadRequest, does: func(t *testing.T, w *window) {
		t.Helper()
		w.fill(t, "Name of the account", "\u202eturned around")
		w.press(t, button("Open the account"))
	}},

	{name: "clients", route: "/agencies/{agency}", who: ann, path: ofAgency("")},
	{name: "clients-connected", route: "/agencies/{agency}", who: ann, path: ofAgency("?show=connected")},
	{name: "clients-pending", route: "/agencies/{agency}", who: ben, path: ofAgency("?show=pending")},
	{name: "clients-ended", route: "/agencies/{agency}", who: ben, path: ofAgency("?show=ended")},
	{name: "clients-found", route: "/agencies/{agency}", who: ann, path: ofAgency("?prefix=lu")},
	{name: "clients-not-found", route: "/agencies/{agency}", who: ann, path: ofAgency("?prefix=zzz")},
	{name: "clients-assigned", route: "/agencies/{agency}", who: cid, path: ofAgency("")},
	{name: "clients-empty", route: "/agencies/{agency}", who: nick, path: func(w *fixture) string { return "/agencies/" + w.empty }},
	{name: "clients-no-hub", route: "/agencies/{agency}", who: cleo, path: func(w *fixture) string { return "/agencies/" + w.shop }, status: http.StatusConflict},
	{name: "bill", route: "/agencies/{agency}/bill", who: ann, path: ofAgency("/bill")},
	{name: "bill-empty", route: "/agencies/{agency}/bill", who: nick, path: func(w *fixture) string { return "/agencies/" + w.empty + "/bill" }},
	{name: "client-activity", route: "/agencies/{agency}/activity", who: ann, path: ofAgency("/activity")},
	{name: "client-activity-ended", route: "/agencies/{agency}/activity", who: ben, path: ofAgency("/activity")},
	{name: "client-activity-empty", route: "/agencies/{agency}/activity", who: nick, path: func(w *fixture) string { return "/agencies/" + w.empty + "/activity" }},
	{name: "add", route: "/agencies/{agency}/add", who: ann, path: ofAgency("/add")},
	{name: "create", route: "/agencies/{agency}/add/create", who: ann, path: ofAgency("/add/create")},
	{name: "create-refused", route: "/agencies/{agency}/add/create", who: ann, path: ofAgency("/add/create"), status: http.StatusBadRequest, does: func(t *testing.T, w *window) {
		t.Helper()
		w.fill(t, "Name of the account", wide)
		w.use(t, details("Invite your client"))
		w.fill(t, "Your client’s email address", "carl@cafe")
		w.fill(t, "Type the account’s name once more", "something else")
		w.press(t, button("Create the account"))
	}},
	{name: "connect", route: "/agencies/{agency}/add/connect", who: ann, path: ofAgency("/add/connect")},
	{name: "connect-refused", route: "/agencies/{agency}/add/connect", who: ann, path: ofAgency("/add/connect"), status: http.StatusBadRequest, does: func(t *testing.T, w *window) {
		t.Helper()
		w.fill(t, "Account id, or the owner’s email address", "nobody")
		w.fill(t, "Message", longMessage[:200])
		w.press(t, button("Send the request"))
	}},
	{name: "client-owned", route: "/agencies/{agency}/clients/{id}", who: ann, path: ofClient(func(w *fixture) string { return connectionID(w.cafe, w.agency) })},
	{name: "client-owned-long", route: "/agencies/{agency}/clients/{id}", who: ann, path: ofClient(func(w *fixture) string { return connectionID(w.long, w.agency) })},
	{name: "client-connected", route: "/agencies/{agency}/clients/{id}", who: ann, path: ofClient(func(w *fixture) string { return connectionID(w.connected, w.agency) })},
	{name: "client-pending", route: "/agencies/{agency}/clients/{id}", who: ben, path: ofClient(func(w *fixture) string { return w.pending })},
	{name: "client-by-email", route: "/agencies/{agency}/clients/{id}", who: ben, path: ofClient(func(w *fixture) string { return w.byEmail })},
	{name: "client-declined", route: "/agencies/{agency}/clients/{id}", who: ben, path: ofClient(func(w *fixture) string { return w.ended["declined"] })},
	{name: "client-expired", route: "/agencies/{agency}/clients/{id}", who: ben, path: ofClient(func(w *fixture) string { return w.ended["expired by email"] })},
	{name: "client-revoked", route: "/agencies/{agency}/clients/{id}", who: ben, path: ofClient(func(w *fixture) string { return w.ended["revoked"] })},
	{name: "client-closed", route: "/agencies/{agency}/clients/{id}", who: ben, path: ofClient(func(w *fixture) string { return w.ended["ended"] })},

	{name: "request-link", route: "/requests/{id}", path: ofRequest("", func(w *fixture) string { return w.agency })},
	{name: "request", route: "/requests/{id}", who: cleo, path: ofRequest("", func(w *fixture) string { return w.agency })},
	{name: "request-unexpected", route: "/requests/{id}", who: al, path: ofRequest("?unexpected=1", func(w *fixture) string { return w.agency })},
	{name: "request-wide", route: "/requests/{id}", who: cleo, path: ofRequest("", func(w *fixture) string { return w.agencies["pending"] })},
	{name: "request-refused", route: "/requests/{id}", who: al, path: ofRequest("", func(w *fixture) string { return w.agency }), status: http.StatusBadRequest, does: func(t *testing.T, w *window) {
		t.Helper()
		for _, area := range []string{"Pages", "Mail", "Contacts"} {
			w.choose(t, choice(area+": No access"))
		}
		w.press(t, button("Accept"))
	}},
	{name: "request-stranger", route: "/requests/{id}", who: nick, path: ofRequest("", func(w *fixture) string { return w.agency }), status: http.StatusNotFound},
	{name: "request-accepted", route: "/requests/{id}", who: cleo, path: ofRequest("", func(w *fixture) string { return w.agencies["active"] })},
	{name: "request-declined", route: "/requests/{id}", who: cleo, path: ofRequest("", func(w *fixture) string { return w.agencies["declined"] })},
	{name: "request-blocked", route: "/requests/{id}", who: cleo, path: ofRequest("", func(w *fixture) string { return w.agencies["blocked"] })},
	{name: "request-expired", route: "/requests/{id}", who: cleo, path: ofRequest("", func(w *fixture) string { return w.agencies["expired"] })},
	{name: "request-revoked", route: "/requests/{id}", who: cleo, path: ofRequest("", func(w *fixture) string { return w.agencies["revoked"] })},
	{name: "request-by-email", route: "/requests/{id}", who: petra, path: func(w *fixture) string { return "/requests/" + w.byEmail }},
	{name: "request-by-email-expired", route: "/requests/{id}", who: paul, path: func(w *fixture) string { return "/requests/" + w.ended["expired by email"] }},

	{name: "subscription", route: "/accounts/{account}/subscription", who: cleo, path: ofShop("/subscription")},
	{name: "subscription-owned", route: "/accounts/{account}/subscription", who: ann, path: func(w *fixture) string { return "/accounts/" + w.cafe + "/subscription?as=" + w.agency }},
	{name: "subscription-frozen", route: "/accounts/{account}/subscription", who: nick, path: func(w *fixture) string { return "/accounts/" + w.empty + "/subscription" }, does: func(t *testing.T, w *window) {
		t.Helper()
		w.use(t, details("Cancel the subscription"))
		w.press(t, button("Cancel immediately"))
		w.expectText(t, "Frozen")
	}},
	{name: "team", route: "/accounts/{account}/team", who: cleo, path: ofShop("/team")},
	{name: "team-refused", route: "/accounts/{account}/team", who: cleo, path: ofShop("/team"), status: http.StatusBadRequest, does: func(t *testing.T, w *window) {
		t.Helper()
		w.fill(t, "Email address", "m@x")
		w.choose(t, choice("Member"))
		w.press(t, button("Send invitation"))
	}},
	{name: "team-new", route: "/accounts/{account}/team", who: nick, path: func(w *fixture) string { return "/accounts/" + w.empty + "/team" }},
	{name: "team-owned", route: "/accounts/{account}/team", who: ann, path: func(w *fixture) string { return "/accounts/" + w.cafe + "/team?as=" + w.agency }},
	{name: "team-as-agency", route: "/accounts/{account}/team", who: ann, path: func(w *fixture) string { return "/accounts/" + w.connected + "/team?as=" + w.agency }},
	{name: "team-forbidden", route: "/accounts/{account}/team", who: mia, path: ofShop("/team"), status: http.StatusForbidden},
	{name: "member-agency", route: "/accounts/{account}/team/{member}", who: cleo, path: func(w *fixture) string { return "/accounts/" + w.shop + "/team/" + w.agencies["active"] }},
	{name: "member-restricted", route: "/accounts/{account}/team/{member}", who: cleo, path: func(w *fixture) string { return "/accounts/" + w.shop + "/team/" + w.agencies["restricted"] }},
	{name: "member-revoked", route: "/accounts/{account}/team/{member}", who: cleo, path: func(w *fixture) string { return "/accounts/" + w.shop + "/team/" + w.agencies["revoked"] }},
	{name: "member-person", route: "/accounts/{account}/team/{member}", who: cleo, path: func(w *fixture) string { return "/accounts/" + w.shop + "/team/" + w.mia.id() }},
	{name: "member-invited", route: "/accounts/{account}/team/{member}", who: cleo, path: func(w *fixture) string { return "/accounts/" + w.shop + "/team/" + w.ivy.id() }},
	{name: "member-offered", route: "/accounts/{account}/team/{member}", who: cleo, path: func(w *fixture) string { return "/accounts/" + w.shop + "/team/" + w.al.id() }},
	{name: "member-declined", route: "/accounts/{account}/team/{member}", who: cleo, path: func(w *fixture) string { return "/accounts/" + w.shop + "/team/" + w.dan.id() }},
	{name: "member-last-owner", route: "/accounts/{account}/team/{member}", who: cleo, path: func(w *fixture) string { return "/accounts/" + w.shop + "/team/" + w.cleo.id() }},
	{name: "member-staff", route: "/accounts/{account}/team/{member}", who: ann, path: func(w *fixture) string { return "/accounts/" + w.agency + "/team/" + w.cid.id() }},
	{name: "settings", route: "/accounts/{account}/settings", who: cleo, path: ofShop("/settings")},
	{name: "settings-agency", route: "/accounts/{account}/settings", who: ann, path: func(w *fixture) string { return "/accounts/" + w.agency + "/settings" }},
	{name: "settings-refused", route: "/accounts/{account}/settings", who: cleo, path: ofShop("/settings"), status: http.StatusBadRequest, does: func(t *testing.T, w *window) {
		t.Helper()
		w.fill(t, "The account’s name, to confirm", "something else")
		w.press(t, button("Close account"))
	}},
	{name: "settings-member", route: "/accounts/{account}/settings", who: mia, path: ofShop("/settings")},
	{name: "settings-of-owned", route: "/accounts/{account}/settings", who: carl, path: func(w *fixture) string { return "/accounts/" + w.cafe + "/settings" }},
	{name: "settings-long", route: "/accounts/{account}/settings", who: ann, path: func(w *fixture) string { return "/accounts/" + w.long + "/settings?as=" + w.agency }},
	{name: "activity", route: "/accounts/{account}/activity", who: cleo, path: ofShop("/activity")},
	{name: "activity-agency", route: "/accounts/{account}/activity", who: ann, path: func(w *fixture) string { return "/accounts/" + w.agency + "/activity" }},
	{name: "activity-as-agency", route: "/accounts/{account}/activity", who: ann, path: func(w *fixture) string { return "/accounts/" + w.connected + "/activity?as=" + w.agency }},
	{name: "me", route: "/me", who: cleo, path: fixed("/me")},
	{name: "me-refused", route: "/me", who: cleo, path: fixed("/me"), status: http.StatusBadRequest, does: func(t *testing.T, w *window) {
		t.Helper()
		w.fill(t, "Your address, to confirm", "cleo@elsewhere.test")
		w.press(t, button("Erase my data"))
	}},

	{name: "nowhere", route: "/", who: ann, path: fixed("/nowhere"), status: http.StatusNotFound},
	{name: "nowhere-signed-out", route: "/", path: fixed("/nowhere"), status: http.StatusNotFound},
	{name: "request-broken", route: "/requests/{id}", path: fixed("/requests/con_broken"), status: http.StatusNotFound},
	{name: "signin-over", route: "/signin/callback", path: fixed("/signin/callback?state=an-old-one&code=x"), status: http.StatusUnauthorized},
	{name: "signed-out", route: "/signout", who: "", path: fixed("/signin"), does: func(t *testing.T, w *window) {
		t.Helper()
		w.signsIn(t, "nobody@else.test")
		w.press(t, button("Sign out"))
		w.expectText(t, "The next sign-in asks who you are") // by way of the issuer
	}},
}

// routesWithoutPage are the console's routes that show no page of ours.
var routesWithoutPage = []string{
	"/agencies/{agency}/clients.csv", // a file
	"/signin",                        // leads to the issuer's page
	"GET /favicon.ico",               // a file
	"GET /robots.txt",                // a file
	"GET /static/{version}/{name}",   // files
	"GET /v1/openapi.yaml",           // a file
}

// TestPagesAreLookedAt compares looks with the console's routes, so that no page is
// forgotten.
func TestPagesAreLookedAt(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(built.root, "functions", "console", "*.go"))
	must(t, err)
	added := regexp.MustCompile(`\bc\.(?:privatePage|publicPage|openPage|addStopPage|mux\.Handle|mux\.HandleFunc)\(\s*([^,)]+)[,)]`)
	var routes []string
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		source, err := os.ReadFile(file)
		must(t, err)
		for _, m := range added.FindAllStringSubmatch(string(source), -1) {
			switch name := m[1]; {
			case strings.HasPrefix(name, `"`):
				routes = append(routes, strings.Trim(name, `"`))
			case name != "path": // inside of privatePage, publicPage and openPage
				t.Errorf("%s adds a route by %s, which this test can't read", filepath.Base(file), name)
			}
		}
	}
	if len(routes) < 8 {
		t.Fatalf("the routes are not to be found any more: %q", routes)
	}
	known := slices.Clone(routesWithoutPage)
	for _, l := range looks {
		known = append(known, l.route)
	}
	slices.Sort(routes)
	slices.Sort(known)
	expectEqual(t, "the console's routes and those of looks", slices.Compact(routes), slices.Compact(known))
}

// widths are in pixels, for a phone and a desktop.
var (
	widths  = []int64{360, 1280}
	schemes = []string{"light", "dark"}
)

// eachLook opens every look, in a window of its person, and runs a test there.
func (w *fixture) eachLook(t *testing.T, check func(*testing.T, look, *window)) {
	t.Helper()
	windows := map[string]*window{}
	for _, l := range looks {
		win := windows[l.who]
		if win == nil {
			win = w.opensWindow(t, l.name)
			if l.who != "" {
				win.open(t, "/signin?to=%2F")
				win.signsIn(t, l.who)
				windows[l.who] = win
			}
		}
		t.Run(l.name, func(t *testing.T) {
			win.resize(t, 1280, "light")
			win.open(t, l.path(w))
			if l.does != nil {
				l.does(t, win)
			}
			check(t, l, win)
			if t.Failed() {
				t.Log(win.saveFailure(t.Name()))
			}
		})
	}
}

// TestPages looks at every page in both colour schemes and widths: axe-core finds
// nothing wrong, nothing is wider than the window, and the browser does not
// complain.
func TestPages(t *testing.T) {
	t.Parallel()
	w := seededFixture(t)
	axe, err := os.ReadFile(filepath.Join(built.root, "infra", "local", "node_modules", "axe-core", "axe.min.js"))
	must(t, err)
	w.eachLook(t, func(t *testing.T, l look, win *window) {
		t.Helper()
		win.expectStatus(t, l)
		apart := win.isolatedWorld(t)
		_, err := evalIn[struct{}](win, string(axe)+";undefined", apart)
		must(t, err)
		if n, err := eval[int](win, `document.querySelectorAll('h1').length`); err != nil || n != 1 {
			t.Errorf("it has %d h1 (%v)", n, err)
		}
		for _, width := range widths {
			for _, scheme := range schemes {
				win.resize(t, width, scheme)
				win.expectFit(t, width)
				rules := "{}"
				if scheme == "dark" {
					rules = rulesOfColours // the others don't depend on the scheme
				}
				found, err := evalIn[[]violation](win, runAxe(rules), apart)
				must(t, err)
				for _, v := range found {
					t.Errorf("%d px, %s: axe-core finds %s", width, scheme, v)
				}
			}
		}
		win.expectNoComplaints(t)
	})
}

// A violation is a rule of axe-core that a page breaks, and where.
type violation struct {
	ID, Help string
	Nodes    []struct{ HTML, Summary string }
}

func (v violation) String() string {
	text := v.ID + " (" + v.Help + ")"
	for _, n := range v.Nodes {
		text += "\n\t" + n.HTML + "\n\t\t" + strings.ReplaceAll(n.Summary, "\n", " ")
	}
	return text
}

// rulesOfColours are options of axe-core for its rules that look at colours.
const rulesOfColours = `{ runOnly: { type: 'rule', values: ['color-contrast', 'link-in-text-block'] } }`

// runAxe returns a script that runs axe-core with options, "{}" for all rules. It returns the
// violations.
func runAxe(options string) string {
	return `axe.run(document, { resultTypes: ['violations'], ...` + options + ` }).then((r) => r.violations.map((v) => ({
  id: v.id, help: v.help, nodes: v.nodes.slice(0, 5).map((n) => ({ html: n.html.slice(0, 300), summary: n.failureSummary })),
})))`
}

// expectStatus checks the page's status, and clears the loads.
func (w *window) expectStatus(t *testing.T, l look) {
	t.Helper()
	want := l.status
	if want == 0 {
		want = http.StatusOK
	}
	at := evaluate[string](t, w, `location.href.replace(/#.*/, '')`)
	var last *load
	for _, load := range w.takeLoads() {
		if load.kind == network.ResourceTypeDocument && load.url == at && (last == nil || load.at > last.at) {
			last = load
		}
	}
	if last == nil || last.status != want {
		t.Fatalf("%s answered %+v, want %d", at, last, want)
	}
}

// expectFit checks that the page does not scroll sideways.
func (w *window) expectFit(t *testing.T, width int64) {
	t.Helper()
	out := evaluate[[]string](t, w, fmt.Sprintf(`(() => {
	  if (document.documentElement.scrollWidth <= %d) return [];
	  const out = [...document.querySelectorAll('body *')].filter((e) => e.getBoundingClientRect().right > %d + 1 && !e.closest('.scroll'));
	  return [document.documentElement.scrollWidth + ' px', ...out.slice(0, 5).map((e) => e.outerHTML.slice(0, 160))];
	})()`, width, width))
	if len(out) > 0 {
		t.Errorf("at %d px the page is as wide as %s", width, strings.Join(out, "\n\t"))
	}
}

// maxView bounds the first view of a page, in bytes over the wire.
const maxView = 60_000

// TestFirstView measures what a new browser loads, and how much the page's layout
// shifts meanwhile.
func TestFirstView(t *testing.T) {
	t.Parallel()
	w := seededFixture(t)
	for _, view := range []struct {
		name, who, path string
	}{
		{"welcome", "", "/"},
		{"home", cleo, "/"},
		{"clients", ann, "/agencies/" + w.agency}, // a whole page of them
		{"request", cleo, "/requests/" + connectionID(w.shop, w.agency)},
		{"team", cleo, "/accounts/" + w.shop + "/team"},
	} {
		t.Run(view.name, func(t *testing.T) {
			win := w.window(t, view.name)
			if view.who != "" {
				win.open(t, "/signin?to=%2F")
				win.signsIn(t, view.who)
			}
			call(t, win, network.SetCacheDisabled, network.SetCacheDisabledParams{CacheDisabled: true})
			// The script that writes local times comes last. It must not change lines that
			// are painted.
			call(t, win, network.EmulateNetworkConditionsByRule, network.EmulateNetworkConditionsByRuleParams{MatchedNetworkConditions: []*network.Conditions{
				{URLPattern: w.PublicURL + "/static/*/app.js", Latency: 200, DownloadThroughput: -1, UploadThroughput: -1},
			}})
			for _, width := range widths {
				win.resize(t, width, "light")
				win.takeLoads()
				win.open(t, view.path)
				win.expectFirstView(t, width)
				if rows, err := eval[int](win, `document.querySelectorAll('#rows > tr').length`); view.name == "clients" && rows < 25 {
					t.Errorf("the page has %d clients only (%v)", rows, err)
				}
			}
			win.expectNoComplaints(t)
		})
	}
}

func (w *window) expectFirstView(t *testing.T, width int64) {
	t.Helper()
	w.until(t, "everything loaded", func() (bool, error) { return w.isIdle(), nil })
	var sum int64
	var parts []string
	for _, l := range w.takeLoads() {
		if strings.HasPrefix(l.url, "data:") {
			continue
		}
		sum += l.wire
		parts = append(parts, fmt.Sprintf("%s %d", strings.TrimPrefix(l.url, w.PublicURL), l.wire))
	}
	slices.Sort(parts)
	if sum > maxView || sum < 5_000 {
		t.Errorf("it loads %d bytes, at most %d are allowed: %s", sum, maxView, strings.Join(parts, ", "))
	}
	shift := evaluate[float64](t, w, `new Promise((done) => {
	  let sum = 0;
	  const seen = new PerformanceObserver((list) => { for (const e of list.getEntries()) sum += e.value; });
	  seen.observe({ type: 'layout-shift', buffered: true });
	  requestAnimationFrame(() => requestAnimationFrame(() => { for (const e of seen.takeRecords()) sum += e.value; done(sum); }));
	})`)
	if shift > 0.02 {
		t.Errorf("at %d px the layout shifts by %.3f", width, shift)
	}
	t.Logf("at %d px: %d bytes in %d requests, layout shift %.4f (%s)", width, sum, len(parts), shift, strings.Join(parts, ", "))
}

var pictures = flag.String("screenshots", "", "folder to write a picture of every page into; none where it is empty")

// TestScreenshots saves a picture of every page and of every email, in each width
// and scheme.
func TestScreenshots(t *testing.T) {
	if *pictures == "" {
		t.Skip("pictures are written by `make screenshots`")
	}
	folder := *pictures
	if !filepath.IsAbs(folder) {
		folder = filepath.Join(built.root, folder)
	}
	must(t, os.RemoveAll(folder))
	must(t, os.MkdirAll(folder, 0o755))
	w := seededFixture(t)
	number := 0
	w.eachLook(t, func(t *testing.T, l look, win *window) {
		t.Helper()
		number++
		win.savePictures(t, filepath.Join(folder, fmt.Sprintf("%02d-%s", number, l.name)))
	})
	win := w.window(t, "emails")
	seen := map[string]bool{}
	emails, err := w.Emails(t.Context(), time.Time{})
	must(t, err)
	for _, m := range emails {
		kind := subjectKind(m.Subject)
		if seen[kind] {
			continue
		}
		seen[kind] = true
		win.open(t, "about:blank")
		html, err := json.Marshal(m.HTML)
		must(t, err)
		evaluate[struct{}](t, win, fmt.Sprintf(`document.open(); document.write(%s); document.close()`, html))
		win.savePictures(t, filepath.Join(folder, fmt.Sprintf("mail-%02d", len(seen))))
	}
	t.Logf("the pictures of %d pages and %d emails are in %s", number, len(seen), folder)
}

// subjectKind returns the words in small letters, which the subjects of one kind of
// email share: names mostly begin with a large one.
func subjectKind(subject string) string {
	small := regexp.MustCompile(`^[a-z]+$`)
	return strings.Join(slices.DeleteFunc(strings.Fields(subject), func(word string) bool { return !small.MatchString(word) }), " ")
}

// savePictures saves the page in each width and scheme.
func (w *window) savePictures(t *testing.T, base string) {
	t.Helper()
	for _, width := range widths {
		for _, scheme := range schemes {
			w.resize(t, width, scheme)
			picture, err := w.picture()
			must(t, err)
			must(t, os.WriteFile(fmt.Sprintf("%s-%d-%s.png", base, width, scheme), picture, 0o644))
		}
	}
}
