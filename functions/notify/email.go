package main

import (
	"cmp"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"agencyhub/shared/agency"
)

// emailData is what the templates are filled with. Names and the message are plain
// text of bounded length in which nothing looks like a link.
type emailData struct {
	Product string
	// Agency is the agency's name. Account is the account as its readers may know
	// it: an agency that never had access knows only the id, or with ByEmail the
	// address that it typed.
	Agency, Account string
	ByEmail         bool
	// By is the address of the person who did it, To that of the person concerned;
	// "" for none.
	By, To string
	// When is the time of the event, Expires that at which the request expires and
	// Until the end date of the access; "" for none.
	When, Expires, Until string
	// UntilWas is the end date before the change. Left is the time until the end
	// that the email reminds of.
	UntilWas, Left string
	// Cooldown is how long an agency can't request again after a decline or a
	// revocation. Retention is how long a closed account's data is kept.
	Cooldown, Retention string
	// Areas are those above no access, or changed. Rest: there are others.
	Areas []grant
	Rest  bool
	// AccessChanged: the role or an area's level has changed.
	AccessChanged bool
	// Role is a person's: "owner", "admin" or "member".
	Role string
	// Clients says for which clients of an agency its member works; "" for all, as
	// before.
	Clients string
	Message string
	// Resent: the same request once more. Reminder: it still waits. Ended: the
	// connection has ended since. Reinvited: the person was a member already, and
	// nothing else changed. Early: the request ended before it expired. Asked: the
	// agency's request was never accepted. Owned: an agency owns the account.
	// HasAccount: the addressee has an account to choose.
	Resent, Reminder, Ended, Reinvited, Early, Asked, Owned, HasAccount bool
	// Plan and Price are the account's, PlanWas and PriceWas those before the
	// change. A price is "" for free of charge.
	Plan, Price, PlanWas, PriceWas string
	// Unpaid: the last reported payment has failed. Frozen: the subscription is.
	Unpaid, Frozen bool
	// RequestURL is that of the request, HomeURL that of the console, ManageURL that
	// of the agency in the account's Team Members, and OpenURL that of the account in
	// the platform.
	RequestURL, HomeURL, ManageURL, OpenURL string
}

// grant is the access level of one area, in words. Note says what it was before, or
// what was requested; "" where that is the same.
type grant struct{ Area, Level, Note string }

// deployment is what all emails of a deployment have alike.
type deployment struct {
	product   string
	publicURL string
	openURL   func(account, as agency.AccountID) string
	rules     agency.Rules
}

// emailData returns what an email of a kind says of an event.
func (d deployment) emailData(kind string, c eventContext) emailData {
	e, p := c.event, c.profile
	data := emailData{
		Product: d.product, Agency: accountName(c.agency.Name), Account: accountName(c.account.Name),
		By: c.actor, To: p.Email, When: formatTime(e.At), Expires: formatTime(e.Now.Expires), Until: formatTime(e.Now.Until), UntilWas: formatTime(e.Was.Until),
		Cooldown: formatDuration(d.rules.Cooldown), Retention: formatDuration(d.rules.Retention),
		Role: string(e.Now.Role), Clients: clientLimit(e), Message: sanitize(e.Now.Message, agency.MaxMessage),
		AccessChanged: e.Was.Role != e.Now.Role || !e.Was.Areas.Equal(e.Now.Areas),
		Resent:        e.Type == agency.ConnectionResent,
		Reminder:      e.Type == agency.ConnectionReminded,
		Ended:         p.StatusAt(c.now) != agency.Active || p.Request.Number != e.Request,
		Early:         e.At.Before(e.Now.Expires),
		Asked:         slices.Contains([]agency.Status{agency.Pending, agency.Expired, agency.Withdrawn}, p.Status),
		ByEmail:       e.AccountID() == "", Owned: e.Ownership == agency.AgencyOwned, HasAccount: c.hasAccount,
		HomeURL: d.publicURL,
	}
	data.Reinvited = e.Type == agency.PersonChanged && !data.AccessChanged && sameClients(e.Was.Clients, e.Now.Clients)
	switch e.Type {
	case agency.ConnectionReminded:
		data.Left = formatDuration(e.Now.Expires.Sub(c.now))
	case agency.ConnectionLapseAhead:
		data.Left = formatDuration(e.Now.Until.Sub(c.now))
	default:
	}
	if id := e.Connection(); id != "" {
		data.RequestURL = d.publicURL + "/requests/" + string(id)
		data.ManageURL = d.publicURL + "/accounts/" + string(c.account.ID) + "/team/" + string(e.Agency)
	}
	areas, before, note := e.Now.Areas, e.Was.Areas, "before"
	switch e.Type {
	case agency.ConnectionAccepted:
		note = "asked for"
	case agency.AccountCreated, agency.PersonAdded:
		// The present state, should it have changed already.
		areas, before, data.Role = p.ShownAreas(), nil, string(p.Role)
	case agency.ConnectionRequested, agency.ConnectionResent, agency.ConnectionReminded:
		before = nil
	default:
	}
	data.Areas, data.Rest = d.grants(areas, before, note)
	now, was := d.rules.Plan(c.account.Subscription.Plan), d.rules.Plan(e.Was.Plan)
	data.Plan, data.Price, data.PlanWas, data.PriceWas = now.Name, price(now), was.Name, price(was)
	data.Unpaid, data.Frozen = c.account.Subscription.Unpaid, c.account.Subscription.StateAt(c.now) == agency.SubscriptionFrozen
	as := c.agency.ID
	if !isForAgency(kind) {
		as = ""
	} else if e.Ownership == agency.ClientOwned {
		data.Account = c.clientName()
	}
	data.OpenURL = d.open(c.account.ID, as)
	return data
}

// open returns the URL of an account in the platform. as is the agency that the
// reader works for; without one, empty parameters are left out.
func (d deployment) open(account, as agency.AccountID) string {
	address := d.openURL(account, as)
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

// clientName returns what an agency may know of an account that it does not own: the
// present name while it has access, the last one that it saw after that, and the id
// if it never had access. Of a request by email it is the address that the agency
// typed, unless that is erased.
func (c eventContext) clientName() string {
	switch {
	case c.event.AccountID() == "":
		return cmp.Or(oneLine(c.profile.Email), "a person")
	case c.profile.StatusAt(c.now) == agency.Active:
		return accountName(c.account.Name)
	case c.profile.AccountName != "":
		return accountName(c.profile.AccountName)
	default:
		return string(c.account.ID)
	}
}

// clientLimit says for which clients a member of an agency works since an event; ""
// if they are limited neither now nor before.
func clientLimit(e agency.Event) string {
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

// grants returns the levels to show, and whether other areas are left out.
func (d deployment) grants(areas, before agency.Areas, note string) (grants []grant, rest bool) {
	for _, area := range d.rules.Areas {
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

// formatTime returns an instant with its date, time and zone; "" for none.
func formatTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("Monday, 2 January 2006 at 15:04 UTC")
}

// formatDuration returns a length of time in the largest unit that it fills, rounded.
func formatDuration(d time.Duration) string {
	for _, unit := range []struct {
		name string
		long time.Duration
	}{{"day", 24 * time.Hour}, {"hour", time.Hour}, {"minute", time.Minute}} {
		// A little less than one unit is one: an email leaves a moment late.
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

// price returns what a plan costs a month, "" for nothing.
func price(p agency.Plan) string {
	if p.MonthlyPrice == 0 {
		return ""
	}
	return agency.Money(p.MonthlyPrice, p.Currency)
}
