package main

import (
	"bytes"
	"cmp"
	"embed"
	"fmt"
	htmltemplate "html/template"
	"io/fs"
	"net/url"
	"slices"
	"strconv"
	"strings"
	texttemplate "text/template"
	"time"

	"agencyhub/shared/agency"
	"agencyhub/shared/settings"
)

// letter is what the templates say. Names and the message are plain text of
// bounded length in which nothing looks like a link.
type letter struct {
	Product string
	// Agency is the agency's name. Account is the account as its readers may
	// know it: an agency that was never let in knows the id alone, or the address
	// that it typed, which ByEmail tells.
	Agency, Account string
	ByEmail         bool
	// By is the address of who did it, To that of the person concerned; "" where
	// there is none.
	By, To string
	// When is when it happened, Expires until when a request can be answered and
	// Until when access ends; "" for never.
	When, Expires, Until string
	// UntilWas is the end date before the change, and Left how long it is until
	// the end that a reminder is of.
	UntilWas, Left string
	// Cooldown is how long a denial or a revocation holds the agency off, and
	// Retention how long after its closing an account's data goes.
	Cooldown, Retention string
	// Areas are the levels above none; Rest tells that there are other areas.
	Areas []grant
	Rest  bool
	// Regranted: what may be touched has changed, or the role.
	Regranted bool
	// Role is a person's: "owner", "admin" or "member".
	Role string
	// Clients says for which clients of an agency its member works; "" where that
	// goes without saying.
	Clients string
	Message string
	// Resent: it is the same request once more. Reminder: it still waits. Ended:
	// the connection has ended since. Again: a person was invited who was in
	// already, and nothing else changed. Early: the request ended before its time.
	// Asked: the agency had asked, and was not let in yet. Owned: an agency owns
	// the account. HasAccount: whoever is asked has an account to choose.
	Resent, Reminder, Ended, Again, Early, Asked, Owned, HasAccount bool
	// Plan and Price are the account's; Price is "" for nothing. PlanWas and
	// PriceWas are of before the change.
	Plan, Price, PlanWas, PriceWas string
	// Unpaid: the last payment that was reported has failed. Frozen: so is the
	// subscription.
	Unpaid, Frozen bool
	// Request is the address of the request, Home that of the hub, Manage that of
	// the agency in the account's Team Members, and Open that of the account in the
	// platform.
	Request, Home, Manage, Open string
}

// grant is the level at one area, in words. Note says what it was before, or
// what was asked for; "" where that is the same.
type grant struct{ Area, Level, Note string }

// house is what a deployment gives to every letter.
type house struct {
	product   string
	publicURL string
	openURL   func(account, as agency.AccountID) string
	rules     agency.Rules
}

// letter says what an email of that kind says of the facts.
func (h house) letter(kind string, f facts) letter {
	e, p := f.event, f.profile
	l := letter{
		Product: h.product, Agency: name(f.agency.Name), Account: name(f.account.Name),
		By: f.actor, To: p.Email, When: moment(e.At), Expires: moment(e.Now.Expires), Until: moment(e.Now.Until), UntilWas: moment(e.Was.Until),
		Cooldown: lasting(h.rules.Cooldown), Retention: lasting(h.rules.Retention),
		Role: string(e.Now.Role), Clients: clientsOf(e), Message: harmless(e.Now.Message, agency.MaxMessage),
		Regranted: e.Was.Role != e.Now.Role || !e.Was.Areas.Equal(e.Now.Areas),
		Resent:    e.Type == agency.ConnectionResent,
		Reminder:  e.Type == agency.ConnectionReminded,
		Ended:     p.StatusAt(f.now) != agency.Active || p.Request.Number != e.Request,
		Early:     e.At.Before(e.Now.Expires),
		Asked:     slices.Contains([]agency.Status{agency.Pending, agency.Expired, agency.Withdrawn}, p.Status),
		ByEmail:   e.AccountID() == "", Owned: e.Ownership == agency.AgencyOwned, HasAccount: f.hasAccount,
		Home: h.publicURL,
	}
	l.Again = e.Type == agency.PersonChanged && !l.Regranted && sameClients(e.Was.Clients, e.Now.Clients)
	switch e.Type {
	case agency.ConnectionReminded:
		l.Left = lasting(e.Now.Expires.Sub(f.now))
	case agency.ConnectionLapseAhead:
		l.Left = lasting(e.Now.Until.Sub(f.now))
	default:
	}
	if c := e.Connection(); c != "" {
		l.Request = h.publicURL + "/requests/" + string(c)
		l.Manage = h.publicURL + "/accounts/" + string(f.account.ID) + "/team/" + string(e.Agency)
	}
	areas, before, note := e.Now.Areas, e.Was.Areas, "before"
	switch e.Type {
	case agency.ConnectionAccepted:
		note = "asked for"
	case agency.AccountCreated, agency.PersonAdded:
		// What holds by now, should it have changed already.
		areas, before, l.Role = p.ShownAreas(), nil, string(p.Role)
	case agency.ConnectionRequested, agency.ConnectionResent, agency.ConnectionReminded:
		before = nil
	default:
	}
	l.Areas, l.Rest = h.grants(areas, before, note)
	now, was := h.rules.Plan(f.account.Subscription.Plan), h.rules.Plan(e.Was.Plan)
	l.Plan, l.Price, l.PlanWas, l.PriceWas = now.Name, price(now), was.Name, price(was)
	l.Unpaid, l.Frozen = f.account.Subscription.Unpaid, f.account.Subscription.StateAt(f.now) == agency.SubscriptionFrozen
	as := f.agency.ID
	if !toAgency(kind) {
		as = ""
	} else if e.Ownership == agency.ClientOwned {
		l.Account = f.clientOf()
	}
	l.Open = h.open(f.account.ID, as)
	return l
}

// open is where an account is opened; as is "" for who does not come from an
// agency, and then nothing in the address names one.
func (h house) open(account, as agency.AccountID) string {
	address := h.openURL(account, as)
	u, err := url.Parse(address)
	if as != "" || err != nil {
		return address
	}
	var kept []string
	for _, pair := range strings.Split(u.RawQuery, "&") {
		if pair != "" && !strings.HasSuffix(pair, "=") {
			kept = append(kept, pair)
		}
	}
	u.RawQuery = strings.Join(kept, "&")
	return u.String()
}

// clientOf is what the agency may call whom it does not own: of an account the
// present name while it works there, the last one that it saw after that, and
// the id that it typed if it never did. Of a person whom it asked by email it is
// the address that it typed, as long as that is not erased.
func (f facts) clientOf() string {
	switch {
	case f.event.AccountID() == "":
		return cmp.Or(oneLine(f.profile.Email), "a person")
	case f.profile.StatusAt(f.now) == agency.Active:
		return name(f.account.Name)
	case f.profile.AccountName != "":
		return name(f.profile.AccountName)
	default:
		return string(f.account.ID)
	}
}

// clientsOf says for which clients a member of an agency works since an event,
// if they are limited, or were.
func clientsOf(e agency.Event) string {
	clients := e.Now.Clients
	switch {
	case clients == nil && e.Was.Clients == nil:
		return ""
	case clients == nil:
		return "all clients"
	case len(clients) == 0:
		return "no client"
	case len(clients) == 1:
		return "one client"
	default:
		return strconv.Itoa(len(clients)) + " clients"
	}
}

func (h house) grants(areas, before agency.Areas, note string) (grants []grant, rest bool) {
	for _, area := range h.rules.Areas {
		level := areas[area.ID]
		was := ""
		if before != nil && before[area.ID].Words() != level.Words() {
			was = note + ": " + before[area.ID].Words()
		}
		if level.Words() == agency.None.Words() && was == "" {
			rest = true
			continue
		}
		grants = append(grants, grant{Area: area.Name, Level: level.Words(), Note: was})
	}
	return grants, rest
}

// moment is an instant without ambiguity: date, time and zone.
func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("Monday, 2 January 2006 at 15:04 UTC")
}

// lasting is a length of time as a person says it, in the largest unit that it
// fills, rounded: it is of use from a minute up.
func lasting(d time.Duration) string {
	for _, unit := range []struct {
		name string
		long time.Duration
	}{{"day", 24 * time.Hour}, {"hour", time.Hour}, {"minute", time.Minute}} {
		// A little less than one is one: a mail leaves a moment after its time.
		switch n := int((d + unit.long/2) / unit.long); {
		case d < unit.long-unit.long/24:
		case n == 1:
			return "1 " + unit.name
		default:
			return strconv.Itoa(n) + " " + unit.name + "s"
		}
	}
	return "less than a minute"
}

// price is what a plan costs, "" for nothing.
func price(p agency.Plan) string {
	if p.MonthlyPrice == 0 {
		return ""
	}
	return agency.Money(p.MonthlyPrice, p.Currency)
}

// rendered is an email as it is sent.
type rendered struct{ Subject, Text, HTML string }

//go:embed templates
var files embed.FS

// paper is the parsed templates: a text and an HTML twin for each kind.
type paper map[string]twin

type twin struct {
	text *texttemplate.Template
	html *htmltemplate.Template
}

// sharedPaper is the template of a kind which is another one sent again, or to
// the other kind of payer.
var sharedPaper = map[string]string{
	"resent": "requested", "reminded": "requested",
	"resent-person": "requested-person", "reminded-person": "requested-person",
	"plan-changed-agency": "plan-changed", "subscription-cancelled-agency": "subscription-cancelled",
	"subscription-resumed-agency": "subscription-resumed", "subscription-frozen-agency": "subscription-frozen",
	"payment-failed-agency": "payment-failed", "payment-recovered-agency": "payment-recovered",
}

// newPaper parses the templates of every kind that is told. Each file holds the
// words of both parts side by side: "subject", "title" and "why" are shared,
// "text" and "html" are the bodies. accent is the colour of links and buttons.
func newPaper(accent settings.Accent) (paper, error) {
	dressed := dresser(accent)
	layout, err := files.ReadFile("templates/layout.tmpl")
	if err != nil {
		return nil, err
	}
	out := paper{}
	for _, rows := range tellings {
		for _, t := range rows {
			if _, ok := out[t.kind]; ok {
				continue
			}
			file := t.kind
			if other, ok := sharedPaper[t.kind]; ok {
				file = other
			}
			body, err := fs.ReadFile(files, "templates/"+file+".tmpl")
			if err != nil {
				return nil, err
			}
			source := string(layout) + string(body)
			text, err1 := texttemplate.New(t.kind).Funcs(texttemplate.FuncMap{"short": short}).Parse(source)
			html, err2 := htmltemplate.New(t.kind).Funcs(htmltemplate.FuncMap{"short": short}).Parse(dressed.Replace(source))
			if err1 != nil || err2 != nil {
				return nil, fmt.Errorf("template of %s: %w", t.kind, firstOf(err1, err2))
			}
			out[t.kind] = twin{text, html}
		}
	}
	return out, nil
}

func firstOf(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// render writes an email of that kind.
func (p paper) render(kind string, l letter) (rendered, error) {
	t, ok := p[kind]
	if !ok {
		return rendered{}, fmt.Errorf("no template for %s", kind)
	}
	var subject, text, html bytes.Buffer
	if err := t.text.ExecuteTemplate(&subject, "subject", l); err != nil {
		return rendered{}, err
	}
	if err := t.text.ExecuteTemplate(&text, "letter.text", l); err != nil {
		return rendered{}, err
	}
	if err := t.html.ExecuteTemplate(&html, "letter.html", l); err != nil {
		return rendered{}, err
	}
	return rendered{Subject: oneLine(subject.String()), Text: wrap(text.String()), HTML: html.String()}, nil
}
