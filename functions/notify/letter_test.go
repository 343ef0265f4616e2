package main

import (
	"flag"
	"html"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"agencyhub/shared/agency"
	"agencyhub/shared/settings"
)

var update = flag.Bool("update", false, "write the golden files")

var (
	monday   = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	deadline = monday.Add(14 * 24 * time.Hour)

	petra   = agency.NewPersonID("petra@bakery.test")
	ann     = agency.NewPersonID("ann@studio.test")
	bakery  = agency.NewAccountID(agency.Party(petra), "bakery")
	studio  = agency.NewAccountID(agency.Party(ann), "studio")
	some    = agency.Areas{"pages": agency.Edit, "funnels": agency.Edit, "mail": agency.View, "contacts": agency.None, "analytics": agency.View}
	fewer   = agency.Areas{"pages": agency.View, "funnels": agency.None, "mail": agency.View, "contacts": agency.None, "analytics": agency.View}
	message = "Hello Petra, as agreed on the phone: we would set up the autumn funnel & the newsletter for you."
)

func testSettings(t *testing.T) settings.Settings {
	t.Helper()
	s, err := settings.Load(deployed)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func testRules(t *testing.T) agency.Rules {
	t.Helper()
	return testSettings(t).Rules()
}

func testHouse(t *testing.T) house {
	t.Helper()
	s := testSettings(t)
	return house{product: s.Product, publicURL: "https://hub.example.com", openURL: s.OpenURL, rules: s.Rules()}
}

// connection is the facts of an event of the studio's connection to the bakery,
// an hour after the request.
func connection(as agency.EventType, was, now agency.Status) facts {
	at := monday.Add(time.Hour)
	p := agency.Profile{
		ProfileKey: agency.AgencyAt(bakery, studio), Status: now, Areas: some, Name: "Bright Studio", Ownership: agency.ClientOwned,
		Request: agency.Request{Number: 1, Message: message, By: ann, RequestedAt: monday, ExpiresAt: deadline, Reached: []agency.PersonID{petra}}, Since: at, Version: 2,
	}
	if was == agency.Active || now == agency.Active {
		p.AccountName = "Petra’s Bakery"
	}
	return facts{
		event: agency.Event{
			ID: agency.NewEventID("01KBQ0000000000000000000AA"), Type: as, At: at, Addressee: agency.Party(bakery), Agency: studio, Member: agency.Party(studio),
			Ownership: agency.ClientOwned, Request: 1, Version: 2,
			Was: agency.State{Status: was, Areas: some, Expires: deadline, Message: message},
			Now: agency.State{Status: now, Areas: some, Expires: deadline, Message: message},
		},
		now:     at,
		account: agency.Account{ID: bakery, Name: "Petra’s Bakery", Ownership: agency.ClientOwned, Owners: 1, Version: 1, Subscription: agency.Subscription{Plan: "starter"}},
		agency:  agency.Account{ID: studio, Name: "Bright Studio", Ownership: agency.ClientOwned, AgencyOn: true, Owners: 1, Version: 2},
		profile: p,
		team:    []agency.Profile{staff(bakery, "petra@bakery.test", agency.Owner)},
		staff:   []agency.Profile{staff(studio, "ann@studio.test", agency.Admin), staff(studio, "oskar@studio.test", agency.Owner)},
	}
}

// byEmail is the same of a request that is addressed to Petra, not to an account.
func byEmail(as agency.EventType, was, now agency.Status) facts {
	f := connection(as, was, now)
	f.event.Addressee, f.profile.Addressee = agency.Party(petra), agency.Party(petra)
	f.profile.Email, f.profile.AccountName = "petra@bakery.test", ""
	f.account, f.team = agency.Account{}, nil
	return f
}

// closing is the facts of the bakery's closing: of its own side, or of the
// studio's, whose profile there was and is of those states.
func closing(was, now agency.Status) facts {
	f := connection(agency.AccountClosed, was, now)
	f.event.Agency, f.event.Member, f.event.Request = "", "", 0
	f.event.Was, f.event.Now = agency.State{Name: "Petra’s Bakery"}, agency.State{Name: "Petra’s Bakery"}
	f.account.Closed = f.event.At
	f.now = f.now.Add(time.Minute)
	if f.team = nil; was == "" {
		f.team = []agency.Profile{staff(bakery, "petra@bakery.test", agency.Owner), staff(bakery, "tom@bakery.test", agency.Member)}
		f.profile, f.agency, f.staff = agency.Profile{}, agency.Account{}, nil
		f.actor, f.event.Actor = "petra@bakery.test", petra
	}
	return f
}

// closingOwned is the same of an account that the studio owns.
func closingOwned(was, now agency.Status) facts {
	f := closing(was, now)
	f.event.Agency, f.event.As, f.event.Actor, f.actor = studio, studio, ann, ""
	f.event.Ownership, f.profile.Ownership = agency.AgencyOwned, agency.AgencyOwned
	f.account.Ownership, f.account.Owner, f.account.Owners = agency.AgencyOwned, studio, 0
	f.agency = agency.Account{ID: studio, Name: "Bright Studio", Ownership: agency.ClientOwned, AgencyOn: true, Owners: 1, Version: 2}
	for i := range f.team {
		f.team[i].Role, f.team[i].Ownership = agency.Member, agency.AgencyOwned
	}
	if len(f.staff) > 0 {
		f.actor = "ann@studio.test"
	}
	return f
}

// ahead is the facts of an end date that is left so far in the future.
func ahead(left time.Duration) facts {
	f := connection(agency.ConnectionLapseAhead, agency.Active, agency.Active)
	f.profile.Until = f.now.Add(left)
	f.event.Now.Until, f.event.Was.Until = f.profile.Until, f.profile.Until
	return f
}

// staff is an active person in an account.
func staff(account agency.AccountID, email string, role agency.Role) agency.Profile {
	return agency.Profile{
		ProfileKey: agency.PersonAt(account, agency.NewPersonID(email)), Status: agency.Active, Role: role, Email: email, Since: monday,
		Ownership: agency.ClientOwned, Version: 1,
	}
}

// membership is the facts of an event of Tom's profile in the bakery, or in an
// account that the studio owns.
func membership(as agency.EventType, ownership agency.Ownership, role agency.Role, status agency.Status) facts {
	f := connection(as, "", status)
	p := staff(bakery, "tom@bakery.test", role)
	p.Status, p.Since, p.Ownership, p.Areas = status, f.event.At, ownership, fewer
	f.profile = p
	f.actor = "petra@bakery.test"
	e := &f.event
	e.Member, e.Agency, e.Request, e.Ownership, e.Actor = p.Member, "", 0, ownership, petra
	e.Was, e.Now = agency.State{Status: agency.Active, Role: role, Areas: some}, agency.State{Status: status, Role: role, Areas: fewer}
	if as == agency.PersonAdded {
		e.Was = agency.State{}
	}
	if ownership == agency.AgencyOwned {
		f.account.Ownership, f.account.Owner, f.account.Owners = ownership, studio, 0
		e.As, e.Actor, f.actor = studio, ann, "ann@studio.test"
	} else {
		f.agency = agency.Account{}
	}
	return f
}

// subscribed is the facts of an event of the bakery's subscription, or of that of
// an account that the studio owns.
func subscribed(as agency.EventType, in agency.Ownership, was, now agency.Subscription) facts {
	f := closing("", "")
	if in == agency.AgencyOwned {
		f = closingOwned(agency.Active, agency.Active)
		f.team, f.profile = nil, agency.Profile{}
	}
	f.now = f.event.At
	f.account.Closed, f.account.Subscription = time.Time{}, now
	f.event.Type = as
	f.event.Was = agency.State{Plan: was.Plan, Subscription: was.State, Until: was.FreezesAt}
	f.event.Now = agency.State{Plan: now.Plan, Subscription: now.State, Until: now.FreezesAt}
	return f
}

// The states of a subscription, as those tests need them.
var (
	runs    = agency.Subscription{Plan: "starter", State: agency.SubscriptionActive}
	dearer  = agency.Subscription{Plan: "growth", State: agency.SubscriptionActive}
	due     = agency.Subscription{Plan: "starter", State: agency.SubscriptionPastDue, Unpaid: true}
	cancels = agency.Subscription{Plan: "starter", State: agency.SubscriptionCancelling, FreezesAt: deadline}
	frozen  = agency.Subscription{Plan: "starter", State: agency.SubscriptionFrozen}
)

func created(client bool) facts {
	f := membership(agency.AccountCreated, agency.AgencyOwned, agency.Member, agency.Active)
	f.event.Agency, f.event.Member, f.event.As = studio, agency.Party(studio), ""
	f.event.Client = f.profile.Member.Person()
	if !client {
		f.event.Client, f.profile = "", agency.Profile{}
	}
	return f
}

// by is the facts with somebody who did it.
func (f facts) by(email string) facts {
	f.actor, f.event.Actor = email, agency.NewPersonID(email)
	return f
}

// with is the facts after a change to them.
func (f facts) with(change func(*facts)) facts {
	change(&f)
	return f
}

// letters are what the golden files show: each kind, and its variants.
func letters() map[string]facts {
	accepted := connection(agency.ConnectionAccepted, agency.Pending, agency.Active).by("petra@bakery.test").with(func(f *facts) {
		f.event.Now.Areas, f.profile.Areas = fewer, fewer
	})
	ended := accepted.with(func(f *facts) { f.profile.Status = agency.Revoked })
	limited := connection(agency.ConnectionRestricted, agency.Active, agency.Active).with(func(f *facts) {
		f.event.Now.Areas, f.event.Now.Until = fewer, deadline.Add(24*time.Hour)
	})
	lapsed := connection(agency.ConnectionLapsed, agency.Active, agency.Lapsed).with(func(f *facts) { f.event.Now.Until = f.now })
	// What was asked for before, in another request, is nobody's business now.
	asked := connection(agency.ConnectionRequested, agency.Denied, agency.Pending).by("ann@studio.test").with(func(f *facts) { f.event.Was.Areas = fewer })
	added := membership(agency.PersonAdded, agency.ClientOwned, agency.Member, agency.Active)
	changed := membership(agency.PersonChanged, agency.ClientOwned, agency.Member, agency.Active)
	again := func(f *facts) { f.event.Was = f.event.Now }
	until := func(was, now time.Time) func(*facts) {
		return func(f *facts) {
			f.event.Was.Until, f.event.Now.Until, f.profile.Until = was, now, now
		}
	}
	clients := func(was, now []agency.AccountID) facts {
		return changed.with(func(f *facts) {
			f.event.Was = f.event.Now
			f.event.Was.Clients, f.event.Now.Clients = was, now
		})
	}
	restricted := connection(agency.ConnectionRestricted, agency.Active, agency.Active)
	reminded := func(f *facts) {
		f.actor, f.now = "ann@studio.test", deadline.Add(-72*time.Hour)
		f.event.At = f.now
	}
	asksPetra := byEmail(agency.ConnectionRequested, "", agency.Pending).by("ann@studio.test")
	withAccount := func(f *facts) { f.hasAccount = true }
	outOfTime := func(f *facts) { f.now, f.event.At = deadline, deadline }
	early := func(f *facts) { f.profile.Email = "" }
	next := deadline.Add(7 * 24 * time.Hour)
	shown := map[string]facts{
		"requested":              asked,
		"requested without more": asked.with(func(f *facts) { f.actor, f.event.Now.Message = "", "" }),
		"resent":                 connection(agency.ConnectionResent, agency.Pending, agency.Pending).by("ann@studio.test"),
		"accepted-agency":        accepted,
		"accepted-agency ended":  ended,
		"accepted-client":        accepted,
		"accepted-client ended":  ended,
		"denied-agency":          connection(agency.ConnectionDenied, agency.Pending, agency.Denied),
		"denied-client":          connection(agency.ConnectionDenied, agency.Pending, agency.Denied).by("petra@bakery.test"),
		"expired-agency":         connection(agency.ConnectionExpired, agency.Pending, agency.Expired).with(outOfTime),
		"expired-client":         connection(agency.ConnectionExpired, agency.Pending, agency.Expired).with(outOfTime),
		"withdrawn-client":       connection(agency.ConnectionWithdrawn, agency.Pending, agency.Withdrawn),
		"restricted-agency":      limited,
		"revoked-agency":         connection(agency.ConnectionRevoked, agency.Active, agency.Revoked),
		"revoked-client":         connection(agency.ConnectionRevoked, agency.Active, agency.Revoked).by("petra@bakery.test"),
		"left-agency":            connection(agency.ConnectionLeft, agency.Active, agency.Left).by("ann@studio.test"),
		"left-client":            connection(agency.ConnectionLeft, agency.Active, agency.Left),
		"lapsed-agency":          lapsed,
		"lapsed-client":          lapsed,
		"created-agency":         created(true),
		"created-agency alone":   created(false),
		"created-client":         created(true),
		"access-given":           membership(agency.PersonAdded, agency.AgencyOwned, agency.Member, agency.Active),
		"access-changed":         membership(agency.PersonChanged, agency.AgencyOwned, agency.Member, agency.Active),
		"access-changed again":   membership(agency.PersonChanged, agency.AgencyOwned, agency.Member, agency.Active).with(again),
		"access-taken":           membership(agency.PersonRemoved, agency.AgencyOwned, agency.Member, agency.Revoked),
		"person-added":           added,
		"person-added owner":     membership(agency.PersonAdded, agency.ClientOwned, agency.Owner, agency.Active),
		"person-changed":         changed,
		"person-changed admin":   membership(agency.PersonChanged, agency.ClientOwned, agency.Admin, agency.Active).with(func(f *facts) { f.event.Was.Role = agency.Member }),
		"person-changed again":   changed.with(again),
		"person-removed":         membership(agency.PersonRemoved, agency.ClientOwned, agency.Member, agency.Revoked),
		"person-left":            membership(agency.PersonLeft, agency.ClientOwned, agency.Member, agency.Left),
		"person-left owned":      membership(agency.PersonLeft, agency.AgencyOwned, agency.Member, agency.Left),

		"reminded":                       connection(agency.ConnectionReminded, agency.Pending, agency.Pending).with(reminded),
		"requested-person":               asksPetra,
		"requested-person with account":  asksPetra.with(withAccount),
		"resent-person":                  byEmail(agency.ConnectionResent, agency.Pending, agency.Pending).by("ann@studio.test"),
		"reminded-person":                byEmail(agency.ConnectionReminded, agency.Pending, agency.Pending).with(reminded).with(withAccount),
		"denied-agency by email":         byEmail(agency.ConnectionDenied, agency.Pending, agency.Denied),
		"denied-person":                  byEmail(agency.ConnectionDenied, agency.Pending, agency.Denied).by("petra@bakery.test"),
		"withdrawn-person":               byEmail(agency.ConnectionWithdrawn, agency.Pending, agency.Withdrawn),
		"expired-agency by email":        byEmail(agency.ConnectionExpired, agency.Pending, agency.Expired).with(outOfTime),
		"expired-agency by email early":  byEmail(agency.ConnectionExpired, agency.Pending, agency.Expired).with(early),
		"expired-person":                 byEmail(agency.ConnectionExpired, agency.Pending, agency.Expired).with(outOfTime),
		"accepted-agency until":          accepted.with(until(time.Time{}, next)),
		"accepted-client until":          accepted.with(until(time.Time{}, next)),
		"restricted-agency date set":     restricted.with(until(time.Time{}, next)),
		"restricted-agency date moved":   restricted.with(until(deadline, next)),
		"restricted-agency date removed": restricted.with(until(next, time.Time{})),
		"restricted-agency date kept":    limited.with(until(next, next)),
		"lapse-ahead-agency":             ahead(7 * 24 * time.Hour),
		"lapse-ahead-client":             ahead(7 * 24 * time.Hour),
		"lapse-ahead-agency last day":    ahead(24*time.Hour - time.Minute),
		"lapse-ahead-client late":        ahead(5*time.Hour + 10*time.Minute),
		"closed-agency":                  closing(agency.Active, agency.Ended),
		"closed-agency asked":            closing(agency.Pending, agency.Expired).with(func(f *facts) { f.profile.AccountName = "" }),
		"closed-agency owned":            closingOwned(agency.Active, agency.Ended),
		"closed-client":                  closing("", ""),
		"closed-client owned":            closingOwned("", ""),
		"person-changed clients":         clients(nil, []agency.AccountID{bakery, studio, bakery}),
		"person-changed one client":      clients([]agency.AccountID{}, []agency.AccountID{bakery}),
		"person-changed no client":       clients([]agency.AccountID{bakery}, []agency.AccountID{}),
		"person-changed all clients":     clients([]agency.AccountID{bakery}, nil),
		"person-changed all": changed.with(func(f *facts) {
			f.event.Now.Clients = []agency.AccountID{bakery, studio}
		}),
	}
	clock := func(f *facts) { f.actor, f.event.Actor, f.event.As = "", "", "" }
	own, owned := agency.ClientOwned, agency.AgencyOwned
	maps.Copy(shown, map[string]facts{
		"plan-changed":                  subscribed(agency.PlanChanged, own, runs, dearer),
		"plan-changed cancelling":       subscribed(agency.PlanChanged, own, agency.Subscription{Plan: "growth", State: cancels.State, FreezesAt: deadline}, cancels),
		"plan-changed platform":         subscribed(agency.PlanChanged, own, dearer, runs).with(clock),
		"plan-changed-agency":           subscribed(agency.PlanChanged, owned, runs, dearer),
		"subscription-cancelled":        subscribed(agency.SubscriptionCancelled, own, runs, cancels),
		"subscription-cancelled-agency": subscribed(agency.SubscriptionCancelled, owned, runs, cancels),
		"subscription-resumed":          subscribed(agency.SubscriptionResumed, own, frozen, runs),
		"subscription-resumed unpaid":   subscribed(agency.SubscriptionResumed, own, frozen, due),
		"subscription-resumed-agency":   subscribed(agency.SubscriptionResumed, owned, cancels, runs),
		"subscription-frozen":           subscribed(agency.SubscriptionFroze, own, runs, frozen),
		"subscription-frozen clock":     subscribed(agency.SubscriptionFroze, own, cancels, frozen).with(clock),
		"subscription-frozen-agency":    subscribed(agency.SubscriptionFroze, owned, runs, frozen),
		"payment-failed":                subscribed(agency.PaymentFailed, own, runs, due).with(clock),
		"payment-failed frozen":         subscribed(agency.PaymentFailed, own, frozen, agency.Subscription{Plan: "starter", State: agency.SubscriptionFrozen, Unpaid: true}).with(clock),
		"payment-failed-agency":         subscribed(agency.PaymentFailed, owned, runs, due).with(clock),
		"payment-recovered":             subscribed(agency.PaymentRecovered, own, due, runs).with(clock),
		"payment-recovered-agency":      subscribed(agency.PaymentRecovered, owned, due, runs).with(clock),
	})
	return shown
}

var parsed = sync.OnceValues(func() (paper, error) { return newPaper("#2456c8") })

func testPaper(t *testing.T) paper {
	t.Helper()
	p, err := parsed()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func render(t *testing.T, shown string, f facts) rendered {
	t.Helper()
	kind, _, _ := strings.Cut(shown, " ")
	r, err := testPaper(t).render(kind, testHouse(t).letter(kind, f))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestLetters(t *testing.T) {
	missing := maps.Clone(testPaper(t))
	for shown, f := range letters() {
		kind, _, _ := strings.Cut(shown, " ")
		delete(missing, kind)
		t.Run(shown, func(t *testing.T) {
			r := render(t, shown, f)
			file := filepath.Join("testdata", strings.ReplaceAll(shown, " ", "_"))
			golden(t, file+".txt", "Subject: "+r.Subject+"\n\n"+r.Text)
			golden(t, file+".html", r.HTML)
		})
	}
	for kind := range missing {
		t.Errorf("no golden file shows %s", kind)
	}
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s is not as it was; if it should be as it is now: go test ./functions/notify -update\n%s", file, diff)
	}
}

// Whoever reads the text part reads the same as whoever sees the HTML.
func TestBothPartsSayTheSame(t *testing.T) {
	for shown, f := range letters() {
		r := render(t, shown, f)
		_, body, _ := strings.Cut(r.HTML, "</div>")
		seen, _ := view(t, body)
		// The text names the product once less: HTML has it above the title too.
		wanted := testHouse(t).product + " " + r.Text
		if diff := cmp.Diff(strings.Fields(marks.Replace(wanted)), strings.Fields(marks.Replace(seen))); diff != "" {
			t.Errorf("%s: the text says -, the HTML says +\n%s", shown, diff)
		}
	}
}

// marks are what only one of the parts is laid out with.
var marks = strings.NewReplacer("\n> ", "\n", "\n- ", "\n", "\n  - ", "\n", "\n--\n", "\n", ":", " ")

var (
	tag  = regexp.MustCompile(`<(/?[a-z0-9]+|!)[^>]*>`)
	href = regexp.MustCompile(`<a [^>]*href="([^"]*)"`)
)

// view is the words of HTML with the address of each link behind its words, and
// those addresses.
func view(t *testing.T, source string) (words string, links []string) {
	t.Helper()
	address := ""
	words = tag.ReplaceAllStringFunc(source, func(element string) string {
		switch tag.FindStringSubmatch(element)[1] {
		case "a":
			address = html.UnescapeString(href.FindStringSubmatch(element)[1])
			links = append(links, address)
			return " "
		case "/a":
			return " " + address + " "
		case "b", "/b", "bdi", "/bdi", "span", "/span":
			return ""
		default:
			return " "
		}
	})
	return html.UnescapeString(words), links
}

func TestHostileNames(t *testing.T) {
	wide := strings.Repeat("漢", 80)
	for name, hostile := range map[string]string{
		"markup":     `</td><script>alert(1)</script><img src=x onerror=alert(1)><a href="https://evil.test">x</a>`,
		"quotes":     `" onmouseover="alert(1)' style='x`,
		"a template": `{{.By}} {{template "html" .}}`,
		"a link":     "https://evil.test click",
		"a host":     "www.evil.test/now",
		"an address": "win@evil.test",
		"a header":   "Bright\r\nBcc: all@evil.test\r\n\r\nBuy now",
		"bidi":       "Bright\u202egnp.exe\u2066 Studio\u200f",
		"hidden":     "Bri\u00adght\ufeff\u200bStudio\x00\x1b[31m",
		"not UTF-8":  "Bright\xff\xfeStudio",
		"wide":       wide,
		"too long":   wide + wide,
		"emoji":      "👩‍👩‍👧 & Co.",
		"a quote":    "> You can answer",
	} {
		t.Run(name, func(t *testing.T) {
			for shown, f := range letters() {
				f.account.Name, f.agency.Name, f.profile.AccountName = hostile, hostile, hostile
				if f.event.Now.Message != "" {
					f.event.Now.Message = hostile
				}
				honest := render(t, shown, letters()[shown])
				r := render(t, shown, f)

				if strings.ContainsAny(r.Subject, "\r\n") || len([]rune(r.Subject)) > 200 {
					t.Errorf("%s: subject %q", shown, r.Subject)
				}
				seen, links := view(t, r.HTML)
				_, honestLinks := view(t, honest.HTML)
				if diff := cmp.Diff(honestLinks, links); diff != "" {
					t.Errorf("%s: the links differ\n%s", shown, diff)
				}
				if diff := cmp.Diff(elements(honest.HTML), elements(r.HTML)); diff != "" {
					t.Errorf("%s: the elements differ\n%s", shown, diff)
				}
				for part, text := range map[string]string{"subject": r.Subject, "text": r.Text, "HTML": seen} {
					if found := linkable.FindString(text); found != "" {
						t.Errorf("%s: the %s can be made a link: %q", shown, part, found)
					}
					if i := strings.IndexFunc(text, hidden); i >= 0 {
						t.Errorf("%s: the %s hides something: %q", shown, part, text[i:min(len(text), i+10)])
					}
				}
			}
		})
	}
}

// linkable is what mail programs make links of, had it been left as it was.
var linkable = regexp.MustCompile(`https?://evil|evil\.test|@evil`)

// hidden are the characters that must not survive.
func hidden(r rune) bool {
	return r < ' ' && r != '\n' || strings.ContainsRune("\u202e\u2066\u200f\u00ad\ufeff\u200b\x7f\u2028", r)
}

// elements are the tags of HTML with their attributes.
func elements(source string) []string {
	return regexp.MustCompile(`<[a-z/!][^>]*>`).FindAllString(source, -1)
}

func TestWrap(t *testing.T) {
	long := strings.Repeat("word ", 20)
	got := wrap("\n\nTitle\n\n\n- " + long + "\n> " + long + "\nhttps://" + strings.Repeat("x", 100) + "\n\n")
	want := "Title\n\n" +
		"- " + strings.TrimSpace(strings.Repeat("word ", 14)) + "\n  " + strings.TrimSpace(strings.Repeat("word ", 6)) + "\n" +
		"> " + strings.TrimSpace(strings.Repeat("word ", 14)) + "\n> " + strings.TrimSpace(strings.Repeat("word ", 6)) + "\n" +
		"https://" + strings.Repeat("x", 100) + "\n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestLasting(t *testing.T) {
	const day = 24 * time.Hour
	for _, test := range []struct {
		d    time.Duration
		want string
	}{
		{90 * day, "90 days"}, {7 * day, "7 days"}, {7*day - time.Hour, "7 days"}, {7*day - 13*time.Hour, "6 days"},
		{day, "1 day"}, {day - time.Minute, "1 day"}, {22 * time.Hour, "22 hours"}, {90 * time.Minute, "2 hours"},
		{time.Hour, "1 hour"}, {59 * time.Minute, "1 hour"}, {50 * time.Minute, "50 minutes"}, {time.Minute, "1 minute"},
		{10 * time.Second, "less than a minute"},
	} {
		if got := lasting(test.d); got != test.want {
			t.Errorf("%s: %q, want %q", test.d, got, test.want)
		}
	}
}

func TestPrice(t *testing.T) {
	for _, test := range []struct {
		minor    int
		currency string
		want     string
	}{
		{0, "USD", ""}, {2900, "USD", "29 USD"}, {2905, "EUR", "29.05 EUR"}, {7, "EUR", "0.07 EUR"}, {2900, "JPY", "2900 JPY"}, {1500, "KWD", "1.500 KWD"},
	} {
		if got := price(agency.Plan{MonthlyPrice: test.minor, Currency: test.currency}); got != test.want {
			t.Errorf("%d %s: %q, want %q", test.minor, test.currency, got, test.want)
		}
	}
}

// No agency learns the name of an account that never let it in.
func TestNamesStayUnknownUntilAccepted(t *testing.T) {
	known := []string{"accepted-agency", "restricted-agency", "revoked-agency", "left-agency", "lapsed-agency", "lapse-ahead-agency", "closed-agency", "created-agency",
		// These are of accounts that the agency owns.
		"plan-changed-agency", "subscription-cancelled-agency", "subscription-resumed-agency", "subscription-frozen-agency", "payment-failed-agency", "payment-recovered-agency"}
	for shown, f := range letters() {
		kind, _, _ := strings.Cut(shown, " ")
		if !strings.HasSuffix(kind, "-agency") {
			continue
		}
		r := render(t, shown, f)
		letIn := slices.Contains(known, kind) && shown != "closed-agency asked"
		if got := strings.Contains(r.Text+r.HTML+r.Subject, "Bakery"); got != letIn {
			t.Errorf("%s names the account: %v", shown, got)
		}
	}
}

// deployed are the settings that the emails of these tests speak of, whatever a
// deployment has in its file.
const deployed = `{
	"product": "Agency Hub", "openUrl": "https://app.example.com/accounts/{account}?agency={agency}",
	"areas": [
		{"id": "pages", "name": "Pages"}, {"id": "funnels", "name": "Funnels"}, {"id": "mail", "name": "Mail"},
		{"id": "contacts", "name": "Contacts"}, {"id": "analytics", "name": "Analytics"}
	],
	"plans": [
		{"id": "starter", "name": "Starter", "monthlyPrice": 2900, "currency": "USD"},
		{"id": "growth", "name": "Growth", "monthlyPrice": 9900, "currency": "USD"},
		{"id": "scale", "name": "Scale", "monthlyPrice": 29900, "currency": "USD"}
	],
	"requestLifetime": "14d", "remindBefore": "3d", "lapseWarnings": ["7d", "1d"], "cooldown": "30d", "pairMails": 4,
	"pairWindow": "30d", "openRequests": 100, "dailyRequests": 50, "dailyMails": 10, "resends": 3, "resendAfter": "1d",
	"retention": "90d", "wakeAfter": "5m"
}`
