package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"agencyhub/infra/e2e/client"
)

// site returns the stack for tests by browser. Each test's people have addresses of
// their own, so that tests do not disturb each other.
func site(t *testing.T) *stack {
	t.Helper()
	return browserStack.get(t, "site", "-set", `SettingsOverride={"pairMails":100,"resendAfter":"1s","dailyRequests":1000,`+personLimits+`}`)
}

// A visitor is a person with a browser, who can also call the API.
type visitor struct {
	*person
	w *window
}

// visitor opens a window for somebody who is not signed in yet.
func (s *stack) visitor(t *testing.T, email string) visitor {
	t.Helper()
	who, _, _ := strings.Cut(email, "@")
	return visitor{s.person(t, email), s.window(t, who)}
}

// signsIn signs in from the site's first page.
func (v visitor) signsIn(t *testing.T) {
	t.Helper()
	v.w.open(t, "/")
	v.w.press(t, button("Sign in"))
	v.w.signsIn(t, v.email)
	v.w.expectPath(t, "/")
	v.w.expectText(t, "You are in no account yet")
}

// createsAccount opens the visitor's own account and returns its id.
func (v visitor) createsAccount(t *testing.T, name string) string {
	t.Helper()
	v.signsIn(t)
	v.w.press(t, button("Open an account"))
	v.w.fill(t, "Name of the account", name)
	v.w.press(t, button("Open the account"))
	v.w.expectText(t, "Account opened.", name)
	return v.w.id(t)
}

// createsAgency is createsAccount with agency features switched on.
func (v visitor) createsAgency(t *testing.T, name string) string {
	t.Helper()
	id := v.createsAccount(t, name)
	v.w.press(t, anchor("Settings"))
	v.w.press(t, button("Make it an agency"))
	v.w.expectText(t, "This account is an agency now.")
	return id
}

var accountID = regexp.MustCompile(`acct_[0-9a-z]{26}`)

// id returns the account in the page's URL.
func (w *window) id(t *testing.T) string {
	t.Helper()
	id := accountID.FindString(w.path(t))
	if id == "" {
		t.Fatalf("%s is at %s, which is no account's", w.who, w.path(t))
	}
	return id
}

// sendsRequest sends a request from the agency's page, for levels such as "Pages:
// View and edit".
func (v visitor) sendsRequest(t *testing.T, agency, addressee, message string, levels ...string) {
	t.Helper()
	v.w.open(t, "/agencies/"+agency)
	v.w.press(t, button("Add a client"))
	v.w.press(t, button("Connect an account"))
	v.w.fill(t, "Account id, or the owner’s email address", addressee)
	v.w.fill(t, "Message", message)
	for _, level := range levels {
		v.w.choose(t, choice(level))
	}
	v.w.press(t, button("Send the request"))
	v.w.expectText(t, "Request sent.", "Waiting")
}

// requestLink is emailLink for a request.
func (v visitor) requestLink(t *testing.T, subject string) string {
	t.Helper()
	return v.emailLink(t, subject, "/requests/")
}

// emailLink waits for an email to the visitor whose subject contains this text. It
// returns the path of its link that begins so.
func (v visitor) emailLink(t *testing.T, subject, path string) string {
	t.Helper()
	var at string
	eventually(t, fmt.Sprintf("an email %q to %s", subject, v.email), func() bool {
		all, err := v.Emails(t.Context(), time.Time{})
		must(t, err)
		slices.Reverse(all)
		i := slices.IndexFunc(all, func(m client.Email) bool { return m.To == v.email && strings.Contains(m.Subject, subject) })
		if i < 0 {
			return false
		}
		for _, l := range link.FindAllString(all[i].Text, -1) {
			if at == "" && strings.HasPrefix(l, v.PublicURL+path) {
				at = strings.TrimPrefix(strings.TrimRight(l, ".)"), v.PublicURL)
			}
		}
		return true
	})
	if at == "" {
		t.Fatalf("the email %q to %s has no link to %s…", subject, v.email, path)
	}
	return at
}

type consoleStory struct {
	*stack
	ann, cleo, carl, mona                          visitor
	agencyID, shop, cafe, requestPath, endedAccess string
}

// TestConsole plays the product's story in the browsers of an agency and its client.
func TestConsole(t *testing.T) {
	t.Parallel()
	s := &consoleStory{stack: site(t)}
	s.ann, s.cleo, s.carl = s.visitor(t, "ann@bright.console.test"), s.visitor(t, "cleo@shoes.console.test"), s.visitor(t, "carl@cafe.console.test")

	s.mona = s.visitor(t, "mona@shoes.console.test")

	s.endedAccess = "no, ended; client owns"
	step(t, t.Run("an agency signs in, opens its account and switches the hub on", s.switchOnAgency))
	step(t, t.Run("it creates an account for a client, which needs the name typed twice", s.createAccount))
	step(t, t.Run("a client opens an account and hands out its id; the agency asks", s.requestAccess))
	step(t, t.Run("its link tells a stranger nothing, and offers the wrong one another sign-in", s.openLink))
	step(t, t.Run("the client narrows what is asked for and accepts", s.narrowAndAccept))
	step(t, t.Run("the client restricts it, and revokes it", s.restrictAndRevoke))
	step(t, t.Run("a held-off agency is told to wait, until it is allowed again", s.cooldown))
	step(t, t.Run("declined and blocked looks like declined to the agency; allowed again, it may ask", s.declineAndBlock))
	step(t, t.Run("an invited person opens the email's link, reads the terms and accepts", s.invitePerson))
	step(t, t.Run("ownership is accepted with its plan shown, and not with another", s.offerOwnership))
	step(t, t.Run("who did not expect an invitation declines and blocks, or stops such emails without an account", s.unexpected))
	step(t, t.Run("asked by email, somebody without an account opens one first and accepts", s.acceptByEmail))
	step(t, t.Run("a form outlives a forced sign-in, and is not sent by itself", s.resubmitForm))
	step(t, t.Run("signed out, nothing is left in the browser", s.signOut))
	s.ann.w.expectNoComplaints(t)
	s.cleo.w.expectNoComplaints(t)
	s.carl.w.expectNoComplaints(t)
	s.mona.w.expectNoComplaints(t)
}

func (s *consoleStory) switchOnAgency(t *testing.T) {
	s.agencyID = s.ann.createsAgency(t, "Bright Agency")
	s.ann.w.press(t, anchor("Clients"))
	s.ann.w.expectText(t, "Bring in your first client")
}

func (s *consoleStory) createAccount(t *testing.T) {
	s.ann.w.press(t, button("Add a client"))
	s.ann.w.press(t, button("Create an account"))
	s.ann.w.fill(t, "Name of the account", "Carl's Café")
	s.ann.w.choose(t, choice("Growth"))
	s.ann.w.use(t, details("Invite your client"))
	s.ann.w.fill(t, "Your client’s email address", s.carl.email)
	s.ann.w.choose(t, choice("Pages: View and edit"))
	s.ann.w.fill(t, "Type the account’s name once more", "Carls Cafe")
	s.ann.w.press(t, button("Create the account"))
	s.ann.w.expectText(t, "Type the account’s name exactly as above.")
	s.ann.w.fill(t, "Type the account’s name once more", "Carl's Café")
	s.ann.w.press(t, button("Create the account"))
	s.ann.w.expectText(t, "Account created.", "Carl's Café", "Your agency owns it permanently", "99 USD a month", s.carl.email)
	s.cafe = accountID.FindString(s.ann.w.path(t)[strings.LastIndex(s.ann.w.path(t), "con_"):])
	expectAccess(t, s.cafe, wantAccess{s.ann.person, s.agencyID, "yes, " + s.agencyID + ", " + everything + "; agency owns"}, wantAccess{s.carl.person, "", "no, invited; agency owns"})
	s.carl.w.open(t, "/")
	s.carl.w.press(t, button("Sign in"))
	s.carl.w.signsIn(t, s.carl.email)
	s.carl.w.expectText(t, "Waiting for your answer", "Join Carl's Café")
	s.carl.w.press(t, button("Accept: join Carl's Café"))
	s.carl.w.expectText(t, "You joined the account.", "About this account")
	expectAccess(t, s.cafe, wantAccess{s.carl.person, "", "yes, own, pages:edit; agency owns"})
}

func (s *consoleStory) requestAccess(t *testing.T) {
	s.shop = s.cleo.createsAccount(t, "Cleo Shoes")
	s.cleo.w.press(t, anchor("Settings"))
	s.cleo.w.expectText(t, "Account id")
	id, err := evalOn[string](s.cleo.w, field("Account id"), `(e) => e.value`)
	if err != nil || id != s.shop {
		t.Fatalf("the settings name the account %q (%v), not %s", id, err, s.shop)
	}
	s.ann.sendsRequest(t, s.agencyID, id, "Shall we set up your spring campaign?", "Pages: View and edit", "Mail: View and edit")
	s.ann.w.expectText(t, s.shop)
	s.ann.w.expectNoText(t, "Cleo Shoes")
	expectAccess(t, s.shop, wantAccess{s.ann.person, s.agencyID, "no, pending; client owns"})
}

func (s *consoleStory) openLink(t *testing.T) {
	s.requestPath = s.cleo.requestLink(t, "asks to work")
	nick := s.visitor(t, "nick@elsewhere.console.test")
	nick.w.open(t, s.requestPath)
	nick.w.expectText(t, "An agency requests access to your account")
	nick.w.expectNoText(t, "Bright", "Cleo", "spring")
	nick.w.press(t, button("Sign in to review it"))
	nick.w.signsIn(t, nick.email)
	nick.w.expectPath(t, s.requestPath)
	nick.w.expectText(t, "You are signed in as "+nick.email)
	nick.w.expectNoText(t, "Bright", "Cleo", "spring")
	nick.w.press(t, button("Sign in as somebody else"))
	nick.w.signsIn(t, s.cleo.email)
	nick.w.expectPath(t, s.requestPath)
	nick.w.expectText(t, "Bright Agency requests access to Cleo Shoes", "spring campaign")
	expectAccess(t, s.shop, wantAccess{s.ann.person, s.agencyID, "no, pending; client owns"})
	nick.w.expectNoComplaints(t)
}

func (s *consoleStory) narrowAndAccept(t *testing.T) {
	s.cleo.w.press(t, anchor("Team Members"))
	s.cleo.w.expectText(t, "Waiting for your answer", "Bright Agency requests access")
	s.cleo.w.press(t, anchor("Review request"))
	s.cleo.w.expectPath(t, s.requestPath)
	s.cleo.w.choose(t, choice("Mail: No access"))
	s.cleo.w.press(t, button("Accept"))
	s.cleo.w.expectText(t, "Request accepted.", "Bright Agency")
	expectAccess(t, s.shop, wantAccess{s.ann.person, s.agencyID, "yes, " + s.agencyID + ", pages:edit; client owns"})
	s.ann.w.open(t, "/agencies/"+s.agencyID)
	s.ann.w.expectText(t, "Cleo Shoes", "Carl's Café")
	s.ann.w.press(t, anchor("Cleo Shoes"))
	s.ann.w.expectText(t, "Your client owns it", "Connected since")
}

func (s *consoleStory) restrictAndRevoke(t *testing.T) {
	s.cleo.w.choose(t, choice("Pages: View only"))
	s.cleo.w.press(t, button("Save access levels"))
	s.cleo.w.expectText(t, "Saved. Takes effect immediately")
	expectAccess(t, s.shop, wantAccess{s.ann.person, s.agencyID, "yes, " + s.agencyID + ", pages:view; client owns"})
	s.cleo.w.press(t, button("Revoke access"))
	s.cleo.w.expectText(t, "Access revoked")
	expectAccess(t, s.shop, wantAccess{s.ann.person, s.agencyID, s.endedAccess})
	s.ann.w.open(t, s.ann.w.path(t))
	s.ann.w.expectText(t, "Revoked", "Your client revoked your access.")
}

func (s *consoleStory) cooldown(t *testing.T) {
	s.ann.w.press(t, button("Request again"))
	s.ann.w.press(t, button("Send the request"))
	s.ann.w.expectText(t, "You can try again in 30 days.")
	s.cleo.w.open(t, s.requestPath)
	s.cleo.w.press(t, button("Unblock"))
	s.cleo.w.expectText(t, "Unblocked.")
	s.ann.w.press(t, button("Send the request"))
	s.ann.w.expectText(t, "Request sent.")
}

func (s *consoleStory) declineAndBlock(t *testing.T) {
	s.cleo.w.open(t, s.requestPath)
	s.cleo.w.use(t, details("I didn’t expect this"))
	s.cleo.w.press(t, button("Decline and block"))
	s.cleo.w.expectText(t, "Request declined and agency blocked.", "You declined the request of Bright Agency", "You blocked Bright Agency")
	s.ann.w.open(t, "/agencies/"+s.agencyID+"?show=ended")
	s.ann.w.expectText(t, "Declined")
	s.ann.w.expectNoText(t, "locked")
	s.cleo.w.press(t, button("Unblock"))
	s.cleo.w.expectText(t, "Unblocked.")
	s.ann.sendsRequest(t, s.agencyID, s.shop, "Once more?", "Contacts: View only")
	s.cleo.w.open(t, s.requestPath)
	s.cleo.w.press(t, button("Decline"))
	s.cleo.w.expectText(t, "Request declined.")
	expectAccess(t, s.shop, wantAccess{s.ann.person, s.agencyID, s.endedAccess})
}

func (s *consoleStory) invitePerson(t *testing.T) {
	s.cleo.w.open(t, "/accounts/"+s.shop+"/team")
	s.cleo.w.fill(t, "Email address", s.mona.email)
	s.cleo.w.choose(t, choice("Member"))
	s.cleo.w.choose(t, choice("Pages: View and edit"))
	s.cleo.w.press(t, button("Send invitation"))
	s.cleo.w.expectText(t, "Invitation sent.", s.mona.email, "expires")
	at := s.mona.emailLink(t, "You’re invited to Cleo Shoes", "/invitations/")
	s.mona.w.open(t, at)
	s.mona.w.expectText(t, "You have an invitation", "Opening this page changes nothing.")
	s.mona.w.expectNoText(t, "Cleo", "cleo@")
	s.mona.w.press(t, button("Sign in to see the invitation"))
	s.mona.w.signsIn(t, s.mona.email)
	s.mona.w.expectPath(t, at)
	s.mona.w.expectText(t, "Join Cleo Shoes", s.cleo.email+" invited you to this account.", "You pay nothing.")
	expectAccess(t, s.shop, wantAccess{s.mona.person, "", "no, invited; client owns"})
	s.mona.w.press(t, button("Accept"))
	s.mona.w.expectText(t, "You joined the account.")
	expectAccess(t, s.shop, wantAccess{s.mona.person, "", "yes, own, pages:edit; client owns"})
	s.mona.w.open(t, at) // the old link still works
	s.mona.w.expectText(t, "You’ve joined Cleo Shoes", "You accepted. Your role is Member.")
}

func (s *consoleStory) offerOwnership(t *testing.T) {
	s.cleo.w.open(t, "/accounts/"+s.shop+"/team/"+s.mona.id())
	s.cleo.w.press(t, button("Offer ownership"))
	s.cleo.w.expectText(t, "Ownership offered. They keep their role until they accept.")
	at := s.mona.emailLink(t, "Become an owner of Cleo Shoes", "/invitations/")
	s.mona.w.open(t, "/")
	s.mona.w.expectText(t, "Become an owner of Cleo Shoes", "You will pay for this account: Starter, 29 USD a month")
	s.mona.w.press(t, button("Review offer"))
	s.mona.w.expectPath(t, at)
	s.mona.w.expectText(t, "You will pay for this account: Starter, 29 USD a month.")
	s.cleo.patch(t, "/v1/accounts/"+s.shop+"/subscription", map[string]any{"plan": "growth"}).is(t, http.StatusOK)
	s.mona.w.choose(t, choice("I will pay for Cleo Shoes"))
	s.mona.w.press(t, button("Accept and pay"))
	s.mona.w.expectText(t, "The account's plan has changed since you looked.", "These are the present terms.", "You will pay for this account: Growth, 99 USD a month.")
	expectAccess(t, s.shop, wantAccess{s.mona.person, "", "yes, own, pages:edit; client owns"})
	s.mona.w.choose(t, choice("I will pay for Cleo Shoes: Growth, 99 USD a month."))
	s.mona.w.press(t, button("Accept and pay"))
	s.mona.w.expectText(t, "You’re an owner of this account now.")
	expectAccess(t, s.shop, wantAccess{s.mona.person, "", "yes, own, " + everything + "; client owns"})
	expectEqual(t, "the owners", []string{s.cleo.email, s.mona.email}, s.cleo.owners(t, s.shop))
}

func (s *consoleStory) unexpected(t *testing.T) {
	ida := s.visitor(t, "ida@elsewhere.console.test")
	s.cleo.sendsInvitation(t, s.shop, ida.person, "owner", nil)
	at := ida.emailLink(t, "You’re invited to Cleo Shoes", "/invitations/")
	stop := ida.emailLink(t, "You’re invited to Cleo Shoes", "/stop/")
	ida.w.open(t, at)
	ida.w.press(t, button("Sign in to see the invitation"))
	ida.w.signsIn(t, ida.email)
	ida.w.expectText(t, "You will pay for this account: Growth, 99 USD a month.")
	ida.w.use(t, details("I didn’t expect this"))
	ida.w.press(t, button("Decline and block"))
	ida.w.expectText(t, "You declined this invitation", "You blocked Cleo Shoes.")
	expectAccess(t, s.shop, wantAccess{ida.person, "", "no, ended; client owns"})
	ida.w.open(t, "/me")
	ida.w.expectText(t, "Cleo Shoes", "Blocked")
	ida.w.deleteCookies(t, "hub-session")
	ida.w.open(t, stop)
	ida.w.expectText(t, "Stop emails")
	ida.w.press(t, button("Stop these emails"))
	ida.w.expectText(t, "Emails stopped", "This mailbox gets no more emails about requests and invitations that you haven’t accepted.")
	expectContains(t, "her own data", string(ida.get(t, "/v1/me").is(t, http.StatusOK).Body), `"unsolicitedMail":"stopped"`)
	ida.w.expectNoComplaints(t)
}

func (s *consoleStory) acceptByEmail(t *testing.T) {
	paul := s.visitor(t, "paul@person.console.test")
	s.ann.sendsRequest(t, s.agencyID, paul.email, "We know each other", "Pages: View and edit", "Contacts: View only")
	at := paul.requestLink(t, "asks to work")
	paul.w.open(t, at)
	paul.w.press(t, button("Sign in to review it"))
	paul.w.signsIn(t, paul.email)
	paul.w.expectPath(t, at)
	paul.w.expectText(t, "Bright Agency requests access to an account of yours", "We know each other")
	paul.w.press(t, button("Open an account first"))
	paul.w.fill(t, "Name of the account", "Paul's Plants")
	paul.w.press(t, button("Open the account"))
	paul.w.expectPath(t, at)
	paul.w.choose(t, choice("Paul's Plants"))
	paul.w.choose(t, choice("Contacts: No access"))
	paul.w.press(t, button("Accept"))
	paul.w.expectText(t, "Request accepted.")
	expectAccess(t, paul.w.id(t), wantAccess{s.ann.person, s.agencyID, "yes, " + s.agencyID + ", pages:edit; client owns"})
	s.ann.w.open(t, "/agencies/"+s.agencyID)
	s.ann.w.expectText(t, "Paul's Plants")
	paul.w.open(t, at) // the old link still works
	paul.w.expectText(t, "Bright Agency has access to Paul's Plants")
	paul.w.expectNoComplaints(t)
}

func (s *consoleStory) resubmitForm(t *testing.T) {
	s.cleo.w.open(t, "/accounts/"+s.shop+"/settings")
	s.cleo.w.fill(t, "Name", "Cleo's Finest Shoes")
	s.cleo.w.deleteCookies(t, "hub-session")
	s.cleo.w.press(t, button("Save the name"))
	s.cleo.w.expectText(t, "You had to sign in again. What you typed is still here")
	expectEqual(t, "the account's name", "Cleo Shoes", read[account](t, s.cleo.get(t, "/v1/accounts/"+s.shop).is(t, http.StatusOK)).Name)
	if typed, err := evalOn[string](s.cleo.w, field("Name"), `(e) => e.value`); err != nil || typed != "Cleo's Finest Shoes" {
		t.Errorf("the form gives back %q (%v)", typed, err)
	}
	s.cleo.w.press(t, button("Save the name"))
	s.cleo.w.expectText(t, "Name changed.", "Cleo's Finest Shoes")
}

func (s *consoleStory) signOut(t *testing.T) {
	s.cleo.w.open(t, "/me")
	s.cleo.w.press(t, button("Sign out"))
	s.cleo.w.expectText(t, "You are signed out", "The next sign-in asks who you are")
	s.cleo.w.expectPath(t, "/signout")
	// Neither the way back nor a new sign-in gets by without the person.
	s.cleo.w.goBackTo(t, "/me")
	s.cleo.w.expectText(t, "Any email address signs in")
	s.cleo.w.open(t, "/accounts/"+s.shop+"/settings?x="+url.QueryEscape("a b"))
	s.cleo.w.expectText(t, "Any email address signs in")
	s.cleo.w.signsIn(t, s.cleo.email)
	s.cleo.w.expectText(t, "Cleo's Finest Shoes")
}

// playConnection plays the life of a connection, from sign-in until it is revoked.
func playConnection(t *testing.T, domain string, equip func(*window)) {
	t.Helper()
	s := site(t)
	ann, cleo := s.visitor(t, "ann@"+domain), s.visitor(t, "cleo@"+domain)
	equip(ann.w)
	equip(cleo.w)
	agency := ann.createsAgency(t, "Bright Agency")
	shop := cleo.createsAccount(t, "Cleo Shoes")
	ann.sendsRequest(t, agency, shop, "Shall we?", "Pages: View and edit", "Mail: View only")
	at := cleo.requestLink(t, "asks to work")
	cleo.w.deleteCookies(t, "hub-session")
	cleo.w.open(t, at)
	cleo.w.press(t, button("Sign in to review it")) // the issuer's session goes on
	cleo.w.expectPath(t, at)
	cleo.w.expectText(t, "Bright Agency requests access to Cleo Shoes")
	cleo.w.choose(t, choice("Mail: No access"))
	cleo.w.press(t, button("Accept"))
	cleo.w.expectText(t, "Request accepted.")
	expectAccess(t, shop, wantAccess{ann.person, agency, "yes, " + agency + ", pages:edit; client owns"})
	ann.w.open(t, "/agencies/"+agency)
	ann.w.expectText(t, "Cleo Shoes", "Active")
	cleo.w.press(t, button("Revoke access"))
	cleo.w.expectText(t, "Access revoked")
	expectAccess(t, shop, wantAccess{ann.person, agency, "no, ended; client owns"})
	ann.w.expectNoComplaints(t)
	cleo.w.expectNoComplaints(t)
}

// TestConsoleWithoutScripts plays it with JavaScript switched off.
func TestConsoleWithoutScripts(t *testing.T) {
	t.Parallel()
	playConnection(t, "off.console.test", func(w *window) {
		w.withoutScripts(t)
		w.open(t, "/")
		scripts, err := eval[int](w, `document.querySelectorAll('time[data-local]').length + (window.htmx ? 1 : 0)`)
		if err != nil || scripts != 0 {
			t.Fatalf("scripts run: %d (%v)", scripts, err)
		}
	})
}

// TestConsoleByKeyboard plays it without a mouse.
func TestConsoleByKeyboard(t *testing.T) {
	t.Parallel()
	playConnection(t, "keys.console.test", func(w *window) { w.byKeyboard = true })
}

// TestConsoleExpiry opens the page of an expired request, on a stack whose requests
// expire after seconds.
func TestConsoleExpiry(t *testing.T) {
	t.Parallel()
	s := startOwn(t, "-schedules=false", "-set", `SettingsOverride={"requestLifetime":"4s",`+personLimits+`}`)
	ann, cleo := s.visitor(t, "ann@late.console.test"), s.visitor(t, "cleo@late.console.test")
	agency := ann.opensAgency(t, "Bright Agency")
	shop := cleo.createsAccount(t, "Cleo Shoes")
	ann.w.open(t, "/signin?to="+url.QueryEscape("/agencies/"+agency))
	ann.w.signsIn(t, ann.email)
	c := ann.requests(t, agency, shop, levels{"pages": "edit"})
	cleo.w.open(t, "/requests/"+c.ID)
	cleo.w.expectText(t, "Bright Agency requests access to Cleo Shoes")
	eventually(t, "the request runs out", func() bool {
		return read[connection](t, ann.get(t, "/v1/agencies/"+agency+"/connections/"+c.ID).is(t, http.StatusOK)).Status == "expired"
	})
	cleo.w.press(t, button("Accept"))
	cleo.w.expectText(t, "expired")
	expectAccess(t, shop, wantAccess{ann.person, agency, "no, ended; client owns"})
	cleo.w.open(t, "/requests/"+c.ID)
	cleo.w.expectText(t, "The request of Bright Agency has expired", "at "+ann.email)
	ann.w.open(t, "/agencies/"+agency+"/clients/"+c.ID)
	ann.w.expectText(t, "Expired", "They didn’t answer in time.")
	expectEqual(t, "expired requests", 1, s.cleanup(t).Expired)
	ann.w.press(t, button("Request again"))
	ann.w.press(t, button("Send the request"))
	ann.w.expectText(t, "Request sent.")
	ann.w.expectNoComplaints(t)
	cleo.w.expectNoComplaints(t)
}
