package matrix

import (
	"bufio"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"agencyhub/infra/prove"
)

// The sections of matrix.md.
const (
	changes     = "What changes the table"
	clientOwned = "In a client-owned account"
	agencyOwned = "In an agency-owned account"
	inAgency    = "In an agency"
	featuresOff = "In an account without agency features"
	oneself     = "On oneself"
	byEmail     = "A request by email"
	platform    = "The platform's calls"
	byAccount   = "The platform's calls by account"
	others      = "Other accounts"
	badTokens   = "Tokens"
)

// TestEveryOperationHasItsRows compares the tables with the routes of the product.
func TestEveryOperationHasItsRows(t *testing.T) {
	sections, err := readMatrix()
	must(t, err)
	got := map[string]bool{}
	rows := func(route string, of ...string) (n int) {
		for _, title := range of {
			for _, r := range sections[title].rows {
				if r.route() == route {
					n++
				}
			}
		}
		return n
	}
	for _, route := range routes(t) {
		got[route] = true
		switch {
		case strings.Contains(route, " /v1/platform/"):
			onAccount := strings.Contains(route, "{account}") || route == "POST /v1/platform/access"
			if rows(route, platform) == 0 || onAccount && rows(route, byAccount) == 0 {
				t.Errorf("%s needs a row in %q, and one in %q if it is about an account", route, platform, byAccount)
			}
		case rows(route, clientOwned, inAgency, oneself) == 0:
			t.Errorf("%s needs a row for its callers", route)
		case strings.Contains(route, "{account}") && !strings.Contains(route, "/me/") && rows(route, agencyOwned) == 0:
			t.Errorf("%s needs a row in %q", route, agencyOwned)
		case (strings.Contains(route, "{account}") || strings.Contains(route, "{agency}")) && rows(route, others) == 0:
			t.Errorf("%s needs a row in %q", route, others)
		}
	}
	for title, s := range sections {
		for _, r := range s.rows {
			if title != "" && title != badTokens && !got[r.route()] {
				t.Errorf("%q has a row of %s, which is no operation", title, r.route())
			}
		}
	}
}

// routes returns the operations of the API.
func routes(t *testing.T) (all []string) {
	t.Helper()
	file, err := os.Open("../../../shared/rest/routes.txt")
	must(t, err)
	defer func() { must(t, file.Close()) }()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		all = append(all, lines.Text())
	}
	must(t, lines.Err())
	return all
}

// A proof runs the sections on one fixture.
type proof struct {
	*fixture
	sections map[string]*section
	statuses map[string]string // by code
	base     dump              // the table as the fixture has left it

	mu    sync.Mutex
	calls int
	cells int
}

// TestMatrix makes every call of matrix.md.
func TestMatrix(t *testing.T) {
	prove.Size(t, 1, 1)
	began := time.Now()
	p := &proof{fixture: newFixture(t), statuses: map[string]string{}}
	var err error
	p.sections, err = readMatrix()
	must(t, err)
	for _, r := range p.sections[""].rows {
		p.statuses[r.label] = r.cells[0]
	}
	p.base = p.dump(t)
	built := time.Since(began)
	for _, c := range p.sectionCases() {
		t.Run(c.title, func(t *testing.T) { p.section(t, c) })
	}
	t.Run(others, p.others)
	t.Run(badTokens, p.badTokens)
	prove.Figure(t, "%d cells by %d calls in %s, after %s for the fixture", p.cells, p.calls, (time.Since(began) - built).Round(time.Second), built.Round(time.Second))
}

// A sectionCase says who the columns of a section are, and what its calls are about.
type sectionCase struct {
	title   string
	callers map[string]string // people, by column
	on      target
	// accounts are the columns' accounts; nil where each column is a caller on the target's.
	accounts map[string]string
}

func (p *proof) sectionCases() []sectionCase {
	agencyPeople := map[string]string{"agency's owner": p.agency, "agency's admin": p.agency, "staff": p.agency, "unassigned": p.agency, "rival": p.rival}
	atShop := map[string]string{
		"": p.rival, "a member": personID("max"), "an owner": personID("oona"), "an offer of ownership": personID("max"), "the agency": p.agency,
		"an invitation": personID("ines"), "an owner's invitation": personID("otto"), "nobody": personID("nobody"), "no agency": p.unknown, "malformed": malformed,
	}
	atCafe := map[string]string{
		"": p.agency, "a member": personID("clem"), "an offer of ownership": personID("clem"), "the agency": p.agency, "an invitation": personID("cara"), "nobody": personID("nobody"),
	}
	shopPeople := map[string]string{
		"owner": "olga", "admin": "adam", "member": "mia", "agency's owner": "gina", "agency's admin": "hal", "staff": "stan", "unassigned": "una",
		"invited": "ines", "former": "fred", "rival": "rosa", "other": "oscar", "new": "nell", "another sign-in": "olga again", "platform": "platform", "nobody": "",
	}
	with := func(changes map[string]string) map[string]string {
		people := map[string]string{}
		for column, who := range shopPeople {
			people[column] = who
		}
		for column, who := range changes {
			people[column] = who
		}
		return people
	}
	agencyAccount := target{account: p.agency, agency: p.agency, members: map[string]string{"assigned clients": personID("una")}, ids: map[string]string{
		"": connectionID(p.kiosk, p.agency), "connected": connectionID(p.shop, p.agency), "owned": connectionID(p.cafe, p.agency),
		"of another agency": connectionID(p.shop, p.rival), "malformed": malformed,
	}}
	toPetra := target{account: p.pottery, ids: map[string]string{"": connectionID(personID("petra"), p.agency)}}
	return []sectionCase{
		{clientOwned, shopPeople, target{account: p.shop, members: atShop, ids: map[string]string{
			"": connectionID(p.shop, p.rival), "none": connectionID(p.shop, p.unknown), "malformed": malformed,
		}, as: agencyPeople}, nil},
		{agencyOwned, with(map[string]string{"member": "carl", "invited": "cara", "former": "colin", "another sign-in": "carl again"}), target{account: p.cafe, members: atCafe, as: agencyPeople}, nil},
		{inAgency, with(map[string]string{"owner": "gina", "admin": "hal", "client": "olga", "invited": "ivan", "former": "fay", "another sign-in": "gina again"}), agencyAccount, nil},
		{featuresOff, shopPeople, target{account: p.shop, agency: p.shop, members: map[string]string{"assigned clients": personID("max")}}, nil},
		{oneself, with(map[string]string{"another sign-in": "adam again"}), target{account: p.shop}, nil},
		{byEmail, with(map[string]string{"addressee": "petra", "addressee's admin": "pam", "another sign-in": "petra again"}), toPetra, nil},
		{platform, with(map[string]string{"platform with an email": "platform with an email"}), target{account: p.elsewhere}, nil},
		{byAccount, nil, target{}, map[string]string{
			"client-owned": p.elsewhere, "agency-owned": p.cafe, "closed": p.closed, "unknown": p.unknown, "malformed": malformed,
		}},
	}
}

// A cell is one call, and what matrix.md says about it.
type cell struct {
	row        row
	column     string
	want       string
	who        string
	path       string
	body       any
	token, key string // of the call; key names its answer
}

// section makes the calls of one section.
func (p *proof) section(t *testing.T, c sectionCase) {
	t.Helper()
	var cells []cell
	for _, r := range p.sections[c.title].rows {
		for i, column := range p.sections[c.title].columns {
			on, who := c.on, "platform"
			if c.accounts != nil {
				on.account = c.accounts[column]
			} else {
				var known bool
				if who, known = c.callers[column]; !known {
					t.Fatalf("nobody is %q", column)
				}
			}
			as := ""
			if takesAs(r.route()) {
				as = on.as[column]
			}
			cells = append(cells, cell{row: r, column: column, want: r.cells[i], who: who, token: p.tokens[who], path: on.path(r, who, as), body: p.body(r, on)})
		}
	}
	p.run(t, cells)
}

// isRefusal reports whether a cell is one of a call that changes nothing.
func isRefusal(want string) bool { return want != "✔" && (want[0] < '0' || want[0] > '9') }

// run makes the calls of cells, first those that are refused, which must change nothing,
// then each that succeeds on the fixture's table.
func (p *proof) run(t *testing.T, cells []cell) map[string]string {
	t.Helper()
	bodies := map[string]string{}
	var refused, good []cell
	for _, c := range cells {
		if isRefusal(c.want) {
			refused = append(refused, c)
		} else {
			good = append(good, c)
		}
	}
	var wg sync.WaitGroup
	work := make(chan cell)
	for range 4 {
		wg.Go(func() {
			for c := range work {
				body := p.check(t, c)
				p.mu.Lock()
				bodies[c.key] = body
				p.mu.Unlock()
			}
		})
	}
	for _, c := range refused {
		work <- c
	}
	close(work)
	wg.Wait()
	if keys := p.restore(t, p.base); len(keys) > 0 {
		t.Errorf("calls that are refused have changed %q", keys)
	}
	for _, c := range good {
		p.check(t, c)
		if keys := p.restore(t, p.base); (len(keys) > 0) != p.changes(c) {
			t.Errorf("%s, %s: has changed %q", c.row.label, c.column, keys)
		}
	}
	p.cells += len(cells)
	return bodies
}

// changes reports whether a call that succeeds is to change the table.
func (p *proof) changes(c cell) bool {
	reads := strings.HasPrefix(c.row.label, "GET ")
	for _, r := range p.sections[changes].rows {
		if r.label == c.row.route() && (r.cells[0] == "all" || slices.Contains(strings.Split(r.cells[0], ", "), c.column)) {
			return reads
		}
	}
	return !reads
}

// check makes the call of a cell, compares its answer, and returns the body without the
// request's id.
func (p *proof) check(t *testing.T, c cell) string {
	t.Helper()
	method, _, _ := strings.Cut(c.row.route(), " ")
	r := p.call(t, c.token, method, c.path, c.body)
	p.mu.Lock()
	p.calls++
	p.mu.Unlock()
	got, err := r.outcome(c.row.success, p.statuses)
	switch {
	case err != nil:
		t.Errorf("%s, %s: %v", c.row.label, c.column, err)
	case got != c.want:
		t.Errorf("%s, %s: %s, want %s\n%s %s: %d %.300s", c.row.label, c.column, got, c.want, method, c.path, r.Status, r.Body)
	}
	return r.bare()
}

// others makes the calls of the shop's owner on accounts that are not theirs. Where the
// answer is that there is none, its bytes are the same.
func (p *proof) others(t *testing.T) {
	s := p.sections[others]
	accounts := map[string]string{"foreign": p.elsewhere, "agency-owned": p.cafe, "closed": p.closed, "unknown": p.unknown, "malformed": malformed}
	agencies := map[string]string{"as a foreign agency": p.rival, "as an unknown agency": p.unknown, "as a malformed agency": malformed}
	var cells []cell
	for _, r := range s.rows {
		for i, column := range s.columns {
			id, ok := accounts[column]
			if !ok {
				id = p.shop
			}
			agencyID := id
			if column == "foreign" {
				agencyID = p.rival
			}
			on := target{account: id, agency: agencyID, members: map[string]string{"": p.agency, "a member": personID("max"), "an invitation": personID("ines")}, ids: map[string]string{}}
			for _, variant := range []string{"", "connected"} {
				on.ids[variant] = connectionID(p.kiosk, agencyID)
			}
			if id == malformed {
				on.ids[""] = connectionID(p.kiosk, p.agency)
				on.ids["connected"] = on.ids[""]
			}
			path := on.path(r, "olga", agencies[column])
			cells = append(cells, cell{row: r, column: column, want: r.cells[i], who: "olga", token: p.tokens["olga"], path: path, body: p.body(r, on), key: r.label + "\n" + column})
		}
	}
	bodies := p.run(t, cells)
	for _, r := range s.rows {
		first := ""
		for i, column := range s.columns {
			if r.cells[i] != "∅" {
				continue
			}
			body := bodies[r.label+"\n"+column]
			if first == "" {
				first = body
			}
			if diff := cmp.Diff(first, body); diff != "" {
				t.Errorf("%s, %s: another body than the first account that is not found:\n%s", r.label, column, diff)
			}
		}
	}
}

// badTokens makes every call with every token.
func (p *proof) badTokens(t *testing.T) {
	tokens := p.issuer.tokens(t, address("olga"))
	shop := target{
		account: p.shop, agency: p.agency, members: map[string]string{"": p.rival}, ids: map[string]string{"": connectionID(p.shop, p.rival)},
	}
	for _, r := range p.sections[badTokens].rows {
		token, known := tokens[r.label]
		if !known {
			t.Errorf("no token is %q", r.label)
			continue
		}
		delete(tokens, r.label)
		for _, route := range routes(t) {
			call := row{label: route}
			want := r.cells[0]
			if strings.Contains(route, " /v1/platform/") {
				want = r.cells[1]
			}
			method, _, _ := strings.Cut(route, " ")
			reply := p.call(t, token, method, shop.path(call, "olga", ""), p.body(call, shop))
			p.calls++
			p.cells++
			got, err := reply.outcome("", p.statuses)
			if want == "✔" && err == nil && got != "gateway" && got != "scope" && got != "unauthenticated" {
				p.restore(t, p.base)
				continue
			}
			if err != nil || got != want || reply.Header.Get("Www-Authenticate") == "" && want != "–" {
				t.Errorf("%s with a token: %s: %s, want %s (%v)\n%d %v %.300s", route, r.label, got, want, err, reply.Status, reply.Header, reply.Body)
			}
		}
		if keys := p.restore(t, p.base); len(keys) > 0 {
			t.Errorf("a token: %s: changed %q", r.label, keys)
		}
	}
	for name := range tokens {
		t.Errorf("matrix.md has no row of the token: %s", name)
	}
}
