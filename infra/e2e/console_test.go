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

// site is the stack that people visit by browser. Each test's people have
// addresses of their own, so the tests do not get into each other's way.
func site(t *testing.T) *stack {
	t.Helper()
	return visited.get(t, "site", "-set", `SettingsOverride={"pairMails":100,"resendAfter":"1s","dailyMails":1000,"dailyRequests":1000}`)
}

// A visitor is a person who works by browser, and whom the test can ask for what
// they may do.
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

// comes signs in from the site's first page.
func (v visitor) comes(t *testing.T) {
	t.Helper()
	v.w.open(t, "/")
	v.w.press(t, button("Sign in"))
	v.w.signsIn(t, v.email)
	v.w.at(t, "/")
	v.w.sees(t, "You are in no account yet")
}

// begins opens an account of the visitor's own, and answers its id.
func (v visitor) begins(t *testing.T, name string) string {
	t.Helper()
	v.comes(t)
	v.w.press(t, button("Open an account"))
	v.w.fill(t, "Name of the account", name)
	v.w.press(t, button("Open the account"))
	v.w.sees(t, "Your account is open.", name)
	return v.w.id(t)
}

// beginsAgency is begins with the hub switched on.
func (v visitor) beginsAgency(t *testing.T, name string) string {
	t.Helper()
	id := v.begins(t, name)
	v.w.press(t, anchor("Settings"))
	v.w.press(t, button("Make it an agency"))
	v.w.sees(t, "The account is an agency now.")
	return id
}

var accountID = regexp.MustCompile(`acct_[0-9a-z]{26}`)

// id is the account that the page's address names.
func (w *window) id(t *testing.T) string {
	t.Helper()
	id := accountID.FindString(w.path(t))
	if id == "" {
		t.Fatalf("%s is at %s, which is no account's", w.who, w.path(t))
	}
	return id
}

// asksFor sends a request from the agency's hub, for levels such as
// "Pages: View and edit".
func (v visitor) asksFor(t *testing.T, agency, whom, message string, levels ...string) {
	t.Helper()
	v.w.open(t, "/agencies/"+agency)
	v.w.press(t, button("Add a client"))
	v.w.press(t, button("Connect an account"))
	v.w.fill(t, "Account id, or the owner’s email address", whom)
	v.w.fill(t, "Message", message)
	for _, level := range levels {
		v.w.choose(t, choice(level))
	}
	v.w.press(t, button("Send the request"))
	v.w.sees(t, "Your request is on its way.", "Waiting")
}

// mail waits for an email to the visitor with that beginning of a subject, and
// answers where its link to the site leads.
func (v visitor) mail(t *testing.T, subject string) string {
	t.Helper()
	var at string
	eventually(t, fmt.Sprintf("an email %q to %s", subject, v.email), func() bool {
		all, err := v.Mails(t.Context(), time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		slices.Reverse(all)
		i := slices.IndexFunc(all, func(m client.Mail) bool { return m.To == v.email && strings.Contains(m.Subject, subject) })
		if i < 0 {
			return false
		}
		for _, l := range link.FindAllString(all[i].Text, -1) {
			if at == "" && strings.HasPrefix(l, v.PublicURL+"/requests/") {
				at = strings.TrimPrefix(strings.TrimRight(l, ".)"), v.PublicURL)
			}
		}
		return true
	})
	if at == "" {
		t.Fatalf("the email %q to %s leads to no request", subject, v.email)
	}
	return at
}

// TestConsole is the product's story as an agency and its client live it, each
// in a browser of their own.
func TestConsole(t *testing.T) {
	t.Parallel()
	s := site(t)
	ann, cleo, carl := s.visitor(t, "ann@bright.console.test"), s.visitor(t, "cleo@shoes.console.test"), s.visitor(t, "carl@cafe.console.test")
	var agency, shop, cafe, request string
	const mayNot = "no, ended; client owns"

	then(t, t.Run("an agency signs in, opens its account and switches the hub on", func(t *testing.T) {
		agency = ann.beginsAgency(t, "Bright Agency")
		ann.w.press(t, anchor("Clients"))
		ann.w.sees(t, "Bring in your first client")
	}))

	then(t, t.Run("it creates an account for a client, which needs the name typed twice", func(t *testing.T) {
		ann.w.press(t, button("Add a client"))
		ann.w.press(t, button("Create an account"))
		ann.w.fill(t, "Name of the account", "Carl's Café")
		ann.w.choose(t, choice("Growth"))
		ann.w.use(t, fold("Let your client in"))
		ann.w.fill(t, "Your client’s email address", carl.email)
		ann.w.choose(t, choice("Pages: View and edit"))
		ann.w.fill(t, "Type the account’s name once more", "Carls Cafe")
		ann.w.press(t, button("Create the account"))
		ann.w.sees(t, "Type the account’s name exactly as you gave it above.")
		ann.w.fill(t, "Type the account’s name once more", "Carl's Café")
		ann.w.press(t, button("Create the account"))
		ann.w.sees(t, "The account is made.", "Carl's Café", "Your agency owns it, for good", "99 USD a month", carl.email)
		cafe = accountID.FindString(ann.w.path(t)[strings.LastIndex(ann.w.path(t), "con_"):])
		accesses(t, cafe, check{ann.person, agency, "yes, " + agency + ", " + everything + "; agency owns"}, check{carl.person, "", "yes, own, pages:edit; agency owns"})
		carl.w.open(t, "/")
		carl.w.press(t, button("Sign in"))
		carl.w.signsIn(t, carl.email)
		carl.w.press(t, anchor("Carl's Café"))
		carl.w.sees(t, "About this account")
	}))

	then(t, t.Run("a client opens an account and hands out its id; the agency asks", func(t *testing.T) {
		shop = cleo.begins(t, "Cleo Shoes")
		cleo.w.press(t, anchor("Settings"))
		cleo.w.sees(t, "Account id")
		id, err := on[string](cleo.w, field("Account id"), `(e) => e.value`)
		if err != nil || id != shop {
			t.Fatalf("the settings name the account %q (%v), not %s", id, err, shop)
		}
		ann.asksFor(t, agency, id, "Shall we set up your spring campaign?", "Pages: View and edit", "Mail: View and edit")
		ann.w.sees(t, shop)
		ann.w.misses(t, "Cleo Shoes")
		accesses(t, shop, check{ann.person, agency, "no, pending; client owns"})
	}))

	then(t, t.Run("its link tells a stranger nothing, and offers the wrong one another sign-in", func(t *testing.T) {
		request = cleo.mail(t, "asks to work")
		nick := s.visitor(t, "nick@elsewhere.console.test")
		nick.w.open(t, request)
		nick.w.sees(t, "Somebody asks to work in your account")
		nick.w.misses(t, "Bright", "Cleo", "spring")
		nick.w.press(t, button("Sign in to look at it"))
		nick.w.signsIn(t, nick.email)
		nick.w.at(t, request)
		nick.w.sees(t, "You are signed in as "+nick.email)
		nick.w.misses(t, "Bright", "Cleo", "spring")
		nick.w.press(t, button("Sign in as somebody else"))
		nick.w.signsIn(t, cleo.email)
		nick.w.at(t, request)
		nick.w.sees(t, "Bright Agency asks to work in Cleo Shoes", "spring campaign")
		accesses(t, shop, check{ann.person, agency, "no, pending; client owns"})
		nick.w.quiet(t)
	}))

	then(t, t.Run("the client narrows what is asked for and accepts", func(t *testing.T) {
		cleo.w.press(t, anchor("Team Members"))
		cleo.w.sees(t, "Waiting for your decision", "Bright Agency asks to work here")
		cleo.w.press(t, button("Look at it and decide"))
		cleo.w.at(t, request)
		cleo.w.choose(t, choice("Mail: No access"))
		cleo.w.press(t, button("Accept and let them in"))
		cleo.w.sees(t, "The agency is let in, as you decided.", "Bright Agency")
		accesses(t, shop, check{ann.person, agency, "yes, " + agency + ", pages:edit; client owns"})
		ann.w.open(t, "/agencies/"+agency)
		ann.w.sees(t, "Cleo Shoes", "Carl's Café")
		ann.w.press(t, anchor("Cleo Shoes"))
		ann.w.sees(t, "Your client owns it", "Connected since")
	}))

	then(t, t.Run("the client restricts it, and revokes it", func(t *testing.T) {
		cleo.w.choose(t, choice("Pages: View only"))
		cleo.w.press(t, button("Save the levels"))
		cleo.w.sees(t, "Saved. It holds from now on")
		accesses(t, shop, check{ann.person, agency, "yes, " + agency + ", pages:view; client owns"})
		cleo.w.press(t, button("Revoke now"))
		cleo.w.sees(t, "The access is revoked")
		accesses(t, shop, check{ann.person, agency, mayNot})
		ann.w.open(t, ann.w.path(t))
		ann.w.sees(t, "Revoked", "Your client has ended the connection.")
	}))

	then(t, t.Run("a held-off agency is told to wait, until it is allowed again", func(t *testing.T) {
		ann.w.press(t, button("Ask again"))
		ann.w.press(t, button("Send the request"))
		ann.w.sees(t, "You can try again in 30 days.")
		cleo.w.open(t, request)
		cleo.w.press(t, button("Allow it to ask again"))
		cleo.w.sees(t, "The agency may ask again.")
		ann.w.press(t, button("Send the request"))
		ann.w.sees(t, "Your request is on its way.")
	}))

	then(t, t.Run("declined and blocked looks like declined to the agency; allowed again, it may ask", func(t *testing.T) {
		cleo.w.open(t, request)
		cleo.w.use(t, fold("I did not expect this"))
		cleo.w.press(t, button("Decline and block"))
		cleo.w.sees(t, "Declined and blocked.", "You said no to Bright Agency", "You blocked Bright Agency")
		ann.w.open(t, "/agencies/"+agency+"?show=ended")
		ann.w.sees(t, "Declined")
		ann.w.misses(t, "locked")
		cleo.w.press(t, button("Allow it to ask again"))
		cleo.w.sees(t, "The agency may ask again.")
		ann.asksFor(t, agency, shop, "Once more?", "Contacts: View only")
		cleo.w.open(t, request)
		cleo.w.press(t, button("Decline"))
		cleo.w.sees(t, "Nobody was let in.")
		accesses(t, shop, check{ann.person, agency, mayNot})
	}))

	then(t, t.Run("asked by email, somebody without an account opens one first and accepts", func(t *testing.T) {
		paul := s.visitor(t, "paul@person.console.test")
		ann.asksFor(t, agency, paul.email, "We know each other", "Pages: View and edit", "Contacts: View only")
		at := paul.mail(t, "asks to work")
		paul.w.open(t, at)
		paul.w.press(t, button("Sign in to look at it"))
		paul.w.signsIn(t, paul.email)
		paul.w.at(t, at)
		paul.w.sees(t, "Bright Agency asks to work in an account of yours", "We know each other")
		paul.w.press(t, button("Open an account first"))
		paul.w.fill(t, "Name of the account", "Paul's Plants")
		paul.w.press(t, button("Open the account"))
		paul.w.at(t, at)
		paul.w.choose(t, choice("Paul's Plants"))
		paul.w.choose(t, choice("Contacts: No access"))
		paul.w.press(t, button("Accept and let them in"))
		paul.w.sees(t, "The agency is let in, as you decided.")
		accesses(t, paul.w.id(t), check{ann.person, agency, "yes, " + agency + ", pages:edit; client owns"})
		ann.w.open(t, "/agencies/"+agency)
		ann.w.sees(t, "Paul's Plants")
		paul.w.open(t, at) // the old link still leads to it
		paul.w.sees(t, "Bright Agency works in Paul's Plants")
		paul.w.quiet(t)
	}))

	then(t, t.Run("a form outlives a forced sign-in, and is not sent by itself", func(t *testing.T) {
		cleo.w.open(t, "/accounts/"+shop+"/settings")
		cleo.w.fill(t, "Name", "Cleo's Finest Shoes")
		cleo.w.forgets(t, "__Host-id", "__Host-refresh")
		cleo.w.press(t, button("Save the name"))
		cleo.w.sees(t, "You had to sign in again. What you typed is still here")
		if name := read[account](t, cleo.get(t, "/v1/accounts/"+shop).is(t, http.StatusOK)).Name; name != "Cleo Shoes" {
			t.Errorf("the account is named %s already", name)
		}
		if typed, err := on[string](cleo.w, field("Name"), `(e) => e.value`); err != nil || typed != "Cleo's Finest Shoes" {
			t.Errorf("the form gives back %q (%v)", typed, err)
		}
		cleo.w.press(t, button("Save the name"))
		cleo.w.sees(t, "The account has its new name.", "Cleo's Finest Shoes")
	}))

	then(t, t.Run("signed out, nothing is left in the browser", func(t *testing.T) {
		cleo.w.press(t, button("Sign out"))
		cleo.w.sees(t, "You are signed out")
		cleo.w.open(t, "/accounts/"+shop+"/settings?x="+url.QueryEscape("a b"))
		cleo.w.misses(t, "Sign out of your sign-in service too")
	}))
	ann.w.quiet(t)
	cleo.w.quiet(t)
	carl.w.quiet(t)
}

// core is the story from sign-in to what the hub shows of an accepted request,
// and to its end.
func core(t *testing.T, domain string, equip func(*window)) {
	t.Helper()
	s := site(t)
	ann, cleo := s.visitor(t, "ann@"+domain), s.visitor(t, "cleo@"+domain)
	equip(ann.w)
	equip(cleo.w)
	agency := ann.beginsAgency(t, "Bright Agency")
	shop := cleo.begins(t, "Cleo Shoes")
	ann.asksFor(t, agency, shop, "Shall we?", "Pages: View and edit", "Mail: View only")
	at := cleo.mail(t, "asks to work")
	cleo.w.forgets(t, "__Host-id", "__Host-refresh")
	cleo.w.open(t, at)
	cleo.w.press(t, button("Sign in to look at it")) // the issuer still knows her
	cleo.w.at(t, at)
	cleo.w.sees(t, "Bright Agency asks to work in Cleo Shoes")
	cleo.w.choose(t, choice("Mail: No access"))
	cleo.w.press(t, button("Accept and let them in"))
	cleo.w.sees(t, "The agency is let in, as you decided.")
	accesses(t, shop, check{ann.person, agency, "yes, " + agency + ", pages:edit; client owns"})
	ann.w.open(t, "/agencies/"+agency)
	ann.w.sees(t, "Cleo Shoes", "Active")
	cleo.w.press(t, button("Revoke now"))
	cleo.w.sees(t, "The access is revoked")
	accesses(t, shop, check{ann.person, agency, "no, ended; client owns"})
	ann.w.quiet(t)
	cleo.w.quiet(t)
}

// TestConsoleWithoutScripts plays it with JavaScript switched off.
func TestConsoleWithoutScripts(t *testing.T) {
	t.Parallel()
	core(t, "off.console.test", func(w *window) {
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
	core(t, "keys.console.test", func(w *window) { w.byKeyboard = true })
}

// TestConsoleExpiry is the page of a request that nobody answers in time, on a
// stack whose requests live for seconds.
func TestConsoleExpiry(t *testing.T) {
	t.Parallel()
	s := startOwn(t, "-schedules=false", "-set", `SettingsOverride={"requestLifetime":"4s"}`)
	ann, cleo := s.visitor(t, "ann@late.console.test"), s.visitor(t, "cleo@late.console.test")
	agency := ann.opensAgency(t, "Bright Agency")
	shop := cleo.begins(t, "Cleo Shoes")
	ann.w.open(t, "/signin?to="+url.QueryEscape("/agencies/"+agency))
	ann.w.signsIn(t, ann.email)
	c := ann.asks(t, agency, shop, levels{"pages": "edit"})
	cleo.w.open(t, "/requests/"+c.ID)
	cleo.w.sees(t, "Bright Agency asks to work in Cleo Shoes")
	eventually(t, "the request runs out", func() bool {
		return read[connection](t, ann.get(t, "/v1/agencies/"+agency+"/connections/"+c.ID).is(t, http.StatusOK)).Status == "expired"
	})
	cleo.w.press(t, button("Accept and let them in"))
	cleo.w.sees(t, "expired")
	accesses(t, shop, check{ann.person, agency, "no, ended; client owns"})
	cleo.w.open(t, "/requests/"+c.ID)
	cleo.w.sees(t, "The request of Bright Agency has expired", "at "+ann.email)
	ann.w.open(t, "/agencies/"+agency+"/clients/"+c.ID)
	ann.w.sees(t, "Expired", "Nobody answered in time.")
	if r := s.cleanup(t); r.Expired != 1 {
		t.Errorf("the report is %+v", r)
	}
	ann.w.press(t, button("Ask again"))
	ann.w.press(t, button("Send the request"))
	ann.w.sees(t, "Your request is on its way.")
	ann.w.quiet(t)
	cleo.w.quiet(t)
}
