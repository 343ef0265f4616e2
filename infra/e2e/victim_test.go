package e2e

import (
	"encoding/json"
	"fmt"
	"html"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"agencyhub/infra/e2e/client"
)

// attackStory is a stack with the settings of a deployment.
type attackStory struct {
	*stack
	software *person
	// hana's agency makes the genuine requests. cora's shop is a client of every victim
	// who has an agency.
	hana, cora   *person
	honest, shop string
	strangers    int
	victims      int
}

const honestName = "Honest Agency"

func newAttackStory(t *testing.T) *attackStory {
	t.Helper()
	s := &attackStory{stack: startOwn(t, "-schedules=false")}
	s.software = s.platformClient(t)
	s.hana, s.cora = s.person(t, "hana@honest.test"), s.person(t, "cora@shop.test")
	s.honest, s.shop = s.hana.opensAgency(t, honestName), s.cora.opens(t, "Cora's Shop")
	return s
}

// stranger signs in somebody new.
func (s *attackStory) stranger(t *testing.T) *person {
	t.Helper()
	s.strangers++
	return s.person(t, fmt.Sprintf("stranger-%02d@junk.test", s.strangers))
}

// invite asks somebody to join an account.
func (s *attackStory) invite(t *testing.T, by *person, account, email, role string) *reply {
	t.Helper()
	body := map[string]any{"email": email, "role": role}
	if role == "member" {
		body["areas"] = levels{"pages": "view"}
	}
	return by.post(t, "/v1/accounts/"+account+"/team", body)
}

// A junk account is one that a stranger opened to invite a victim.
type junk struct {
	by      *person
	account string
}

// accountsADay is how many accounts somebody new opens a day.
const accountsADay = 3

// junk invites a victim into new accounts, as strangers: each opens as many as they can.
func (s *attackStory) junk(t *testing.T, n int, email string) []junk {
	t.Helper()
	var all []junk
	for i := range n {
		by := s.stranger
		if i%accountsADay > 0 {
			by = func(*testing.T) *person { return all[i-1].by }
		}
		j := junk{by: by(t)}
		j.account = j.by.opens(t, fmt.Sprintf("Junk %d", i))
		s.invite(t, j.by, j.account, email, "member").is(t, http.StatusCreated)
		all = append(all, j)
	}
	return all
}

// A victim is somebody that strangers attack.
type victim struct {
	*person
	story *attackStory
	// owns are the victim's accounts. access is theirs to the shop, through their agency.
	owns   []string
	access string
	// mails is how many unsolicited emails a day reach them at most.
	mails int
	// asked is the genuine request, and came says when its email came.
	asked connection
	came  string
	// solicited is how many emails they have caused themselves.
	solicited int
	// session is the cookie of their session on the pages; "" before the first page.
	session string
}

// victim signs in somebody who has an agency, of which the shop is a client.
func (s *attackStory) victim(t *testing.T, name string) *victim {
	t.Helper()
	v := &victim{story: s, person: s.person(t, name+"@victims.test"), mails: 10}
	v.owns = []string{v.opensAgency(t, "Agency of "+name)}
	c := v.requests(t, v.owns[0], s.shop, levels{"pages": "edit"})
	s.cora.post(t, "/v1/accounts/"+s.shop+"/team/"+v.owns[0]+"/accept", map[string]any{"request": c.Request}).is(t, http.StatusOK)
	v.access = "yes, " + v.owns[0] + ", pages:edit; client owns"
	v.expectAccess(t)
	v.solicited = len(v.received(t).solicited)
	return v
}

// newcomer is a victim who has never signed in.
func (s *attackStory) newcomer(name string) *victim {
	return &victim{story: s, person: &person{stack: s.stack, email: name + "@victims.test"}, access: "no, none", mails: 3}
}

// isAsked makes the genuine request, by the victim's address, and notes when its email
// comes.
func (v *victim) isAsked(t *testing.T) {
	t.Helper()
	began := time.Now()
	v.asked = v.story.hana.requestsByEmail(t, v.story.honest, v.email, levels{"pages": "view"})
	v.came = "in the digest"
	eventually(t, "the genuine request's email is out or held", func() bool {
		isOut := v.isNotified(t)
		if hasGenuine(v.readInbox(t).unsolicited) {
			v.came, isOut = fmt.Sprintf("after %.2f s", time.Since(began).Seconds()), true
		}
		return isOut
	})
}

// signsIn gives a newcomer a token.
func (v *victim) signsIn(t *testing.T) {
	t.Helper()
	if v.token == "" {
		v.person = v.person.person(t, v.email)
	}
}

// expectAccess checks the victim's access to the shop: their own check, without an
// agency named and with it, and the platform's.
func (v *victim) expectAccess(t *testing.T) {
	t.Helper()
	shop := v.story.shop
	check := read[access](t, v.story.software.post(t, "/v1/platform/access", map[string]any{"account": shop, "email": v.email}).is(t, http.StatusOK))
	expectEqual(t, "the platform's check of "+v.email, v.access, check.String())
	if v.token == "" {
		return
	}
	expectAccess(t, shop, wantAccess{v.person, "", v.access})
	if len(v.owns) > 0 {
		expectAccess(t, shop, wantAccess{v.person, v.owns[0], v.access})
	}
}

// page requests a page of the console as the victim, who is signed in. After the path
// comes a form to send.
func (v *victim) page(t *testing.T, path string, form ...string) *reply {
	t.Helper()
	method, body := http.MethodGet, []byte(nil)
	if len(form) > 0 {
		method, body = http.MethodPost, []byte(form[0])
	}
	if v.session == "" {
		v.session = v.signInToPages(t, v.email)
	}
	answer, err := v.Call(t.Context(), method, path, body, "Cookie", v.session, "Content-Type", "application/x-www-form-urlencoded")
	must(t, err)
	return &reply{Answer: answer, to: method + " " + path}
}

// pageOfWaiting returns the text of all pages of what waits.
func (v *victim) pageOfWaiting(t *testing.T) string {
	t.Helper()
	text := ""
	for path := "/waiting"; path != ""; {
		body := string(v.page(t, path).is(t, http.StatusOK).Body)
		text += htmlText(body)
		more := moreWaiting.FindStringSubmatch(body)
		if path = ""; more != nil {
			path = html.UnescapeString(more[1])
		}
	}
	return normalized(text)
}

var moreWaiting = regexp.MustCompile(`href="(/waiting\?cursor=[^"]+)"`)

// received is what a mailbox has received, in whatever spelling.
type received struct {
	unsolicited, digests, solicited []client.Email
}

// received returns what the victim's mailbox has received, once all emails are out.
func (v *victim) received(t *testing.T) received {
	t.Helper()
	eventually(t, "all emails are out", func() bool { return v.isNotified(t) })
	return v.readInbox(t)
}

// readInbox returns what the victim's mailbox has received so far.
func (v *victim) readInbox(t *testing.T) received {
	t.Helper()
	all, err := v.Emails(t.Context(), time.Time{})
	must(t, err)
	var r received
	for _, m := range all {
		switch {
		case untagged(m.To) != v.email:
		case strings.Contains(m.Subject, "waiting for you on Agency Hub"):
			r.digests = append(r.digests, m)
		case oneClickURL(m) != "":
			r.unsolicited = append(r.unsolicited, m)
		default:
			r.solicited = append(r.solicited, m)
		}
	}
	return r
}

// untagged returns an address without its tag.
func untagged(email string) string {
	local, domain, _ := strings.Cut(email, "@")
	local, _, _ = strings.Cut(local, "+")
	return local + "@" + domain
}

func (r received) String() string {
	return fmt.Sprintf("%d unsolicited emails, %d digests, %d others", len(r.unsolicited), len(r.digests), len(r.solicited))
}

// hasGenuine reports whether an email about the genuine request is among some.
func hasGenuine(emails []client.Email) bool {
	return slices.ContainsFunc(emails, func(m client.Email) bool {
		return strings.Contains(normalized(m.Text), honestName) && strings.Contains(normalized(htmlText(m.HTML)), honestName)
	})
}

// oneClickURL returns the URL by which a mail program stops emails like this one; "" for an
// email that can't be stopped.
func oneClickURL(m client.Email) string {
	if m.Header["List-Unsubscribe-Post"] != "List-Unsubscribe=One-Click" {
		return ""
	}
	return strings.Trim(m.Header["List-Unsubscribe"], "<>")
}

// digest makes the digests of all mailboxes due, and sends them.
func (s *attackStory) digest(t *testing.T) {
	t.Helper()
	eventually(t, "all emails are out", func() bool { return s.isNotified(t) })
	for key, item := range s.dump(t) {
		if strings.HasPrefix(key, "HELD#") && strings.HasSuffix(key, " HELD") && strings.Contains(item, `"dueSk"`) {
			s.age(t, 2*day, row(key))
		}
	}
	s.cleanup(t)
	eventually(t, "the digests are out", func() bool { return s.isNotified(t) })
}

// expectUnharmed checks what no attack may take from a victim, after the genuine request
// was made: their access, its email, that they owe nothing, a bound on emails, and that
// they can stop these. It returns what the victim's mailbox has received.
func (v *victim) expectUnharmed(t *testing.T) received {
	t.Helper()
	v.expectAccess(t)
	v.story.digest(t)
	v.story.digest(t)
	got := v.received(t)
	if !hasGenuine(got.unsolicited) && !hasGenuine(got.digests) {
		t.Errorf("%s was never emailed the genuine request: %s", v.email, got)
	}
	v.expectFewMails(t, got)
	v.signsIn(t)
	v.expectOwesNothing(t)
	v.expectWaiting(t, v.asked.ID, honestName)
	v.expectStops(t, got)
	t.Logf("%s: access as before; the genuine request's email %s; owes nothing; %s; none after the stop", v.email, v.came, got)
	return got
}

// expectFewMails checks how much a mailbox has received.
func (v *victim) expectFewMails(t *testing.T, got received) {
	t.Helper()
	days := map[string]int{}
	for _, m := range got.unsolicited {
		days[m.At.UTC().Format(time.DateOnly)]++
		expectContains(t, "the text of an unsolicited email", m.Text, oneClickURL(m))
		expectContains(t, "the HTML of an unsolicited email", m.HTML, oneClickURL(m))
	}
	for _, n := range days {
		if n > v.mails {
			t.Errorf("%s got %d unsolicited emails in a day, more than %d", v.email, n, v.mails)
		}
	}
	if len(got.solicited) > v.solicited {
		t.Errorf("%s got %d emails that can't be stopped, and has caused %d", v.email, len(got.solicited), v.solicited)
	}
	if len(got.digests) > 1 {
		t.Errorf("%s got %d digests", v.email, len(got.digests))
	}
	for _, m := range got.digests {
		expectContains(t, "the digest", m.Text, v.PublicURL+"/waiting", oneClickURL(m))
	}
}

// expectOwesNothing checks that the victim is in no account but their own, and owns none
// but these.
func (v *victim) expectOwesNothing(t *testing.T) {
	t.Helper()
	var in []string
	for _, a := range read[list[account]](t, v.get(t, "/v1/accounts?limit=100").is(t, http.StatusOK)).Items {
		in = append(in, a.ID)
	}
	expectEqual(t, "the accounts of "+v.email, v.owns, in)
}

// expectWaiting checks that what waits for the victim includes a connection request, or
// an account's invitation, and that the page shows the name of who asks.
func (v *victim) expectWaiting(t *testing.T, id, name string) {
	t.Helper()
	if !slices.ContainsFunc(v.waiting(t), func(w invitation) bool { return value(w.ID) == id || w.Account != nil && w.Account.ID == id }) {
		t.Errorf("%s is not in what waits for %s", id, v.email)
	}
	expectContains(t, "the page of what waits", v.pageOfWaiting(t), normalized(name))
}

// expectStops stops unsolicited emails, by the link or by the mail program's one click. A
// further invitation reaches the victim by no email, and waits for them.
func (v *victim) expectStops(t *testing.T, got received) {
	t.Helper()
	v.story.victims++
	emails := append(got.unsolicited, got.digests...)
	path := strings.TrimPrefix(oneClickURL(emails[len(emails)-1]), v.PublicURL)
	if v.story.victims%2 == 0 {
		v.fetchPage(t, http.MethodPost, path, "List-Unsubscribe=One-Click").is(t, http.StatusOK)
	} else {
		v.fetchPage(t, http.MethodGet, path).is(t, http.StatusOK)
		v.fetchPage(t, http.MethodPost, path, "").is(t, http.StatusOK)
	}
	by := v.story.stranger(t)
	name := fmt.Sprintf("Too Late %d", v.story.victims)
	account := by.opens(t, name)
	v.story.invite(t, by, account, v.email, "member").is(t, http.StatusCreated)
	v.story.digest(t)
	after := v.received(t)
	expectEqual(t, "emails after they were stopped", got.String(), after.String())
	v.expectWaiting(t, account, name)
}

// expectSameReading checks that all askers read the same of their invitations, sent or held.
func (v *victim) expectSameReading(t *testing.T, all []junk) {
	t.Helper()
	first := ""
	for i, j := range all {
		text := withoutMoments(j.by.inTeam(t, j.account, "", v.id()), v.email)
		if i == 0 {
			first = text
		}
		expectEqual(t, fmt.Sprintf("what is read of invitation %d", i), first, text)
	}
	expectContains(t, "what is read", first, `"status":"invited"`, `"delivery":null`)
}

// A reading is what an asker reads, at all moments, of what they asked an address: each
// text once, in order, without what differs by address and time.
type reading []string

// watch makes a call for each address, all of one length, and reads what it shows until
// the emails are out and after the digest. Every address must read the same.
func (s *attackStory) watch(t *testing.T, addresses map[string]string, ask func(email string) *reply, look func(email string) string) {
	t.Helper()
	readings := map[string]reading{}
	note := func(email, text string) {
		if read := readings[email]; len(read) == 0 || read[len(read)-1] != text {
			readings[email] = append(read, text)
		}
	}
	var took []string
	looks := 0
	for _, state := range slices.Sorted(maps.Keys(addresses)) {
		email := addresses[state]
		began := time.Now()
		r := ask(email)
		took = append(took, fmt.Sprintf("%s %.1f ms", state, ms(time.Since(began))))
		note(email, fmt.Sprintf("asking: %+v", shapeOf(r, email)))
		for isOut := false; !isOut; looks++ {
			isOut = s.isNotified(t)
			note(email, look(email))
		}
	}
	s.digest(t)
	s.awaitFates(t)
	for state, email := range addresses {
		note(email, look(email))
		looks++
		if len(readings[email]) != 2 {
			t.Errorf("what is read of an address that is %s changes: %q", state, readings[email])
		}
		expectEqual(t, "what is read of an address that is "+state+", against one that is unknown", readings[addresses["unknown"]], readings[email])
	}
	t.Logf("%d addresses read the same in %d looks; asking took: %s", len(addresses), looks, strings.Join(took, ", "))
}

// awaitFates waits until SES has reported what became of each email. Emails that were held
// stay as sent: they have come as far as their digest.
func (s *attackStory) awaitFates(t *testing.T) {
	t.Helper()
	type email struct{ Fate, MessageID string }
	eventually(t, "the fates of all emails are known", func() bool {
		digests, open := map[string]bool{}, []email{}
		for key, item := range s.dump(t) {
			if !isEmail(key) {
				continue
			}
			var m email
			must(t, json.Unmarshal([]byte(item), &m))
			if strings.Contains(key, " digest#") {
				digests[m.MessageID] = true
			}
			if m.Fate == "sent" {
				open = append(open, m)
			}
		}
		return s.isNotified(t) && !slices.ContainsFunc(open, func(m email) bool { return !digests[m.MessageID] })
	})
}

// withoutMoments is a text without an address, ids and times.
func withoutMoments(text, email string) string {
	return strings.ReplaceAll(anyMoment.ReplaceAllString(anyID.ReplaceAllString(text, "${1}_X"), `"T"`), email, "N")
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// medians times two calls in turn, and returns the median of each.
func medians(times int, a, b func()) (time.Duration, time.Duration) {
	var as, bs []time.Duration
	for range times {
		began := time.Now()
		a()
		between := time.Now()
		b()
		as, bs = append(as, between.Sub(began)), append(bs, time.Since(between))
	}
	slices.Sort(as)
	slices.Sort(bs)
	return as[times/2], bs[times/2]
}
