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
// text of bounded length in which mail programs find nothing to make a link of.
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
	// When is the time of the event, Expires that at which the request expires, Again
	// from when on it can be made again after a decline, and Until the end date of the
	// access; "" for none.
	When, Expires, Again, Until string
	// UntilWas is the end date before the change. Left is the time until the end
	// that the email reminds of.
	UntilWas, Left string
	// Cooldown is how long an agency can't request again after a decline or a
	// revocation. Retention is how long a closed account's data is kept.
	Cooldown, Retention string
	// Areas are those above no access, or changed. Rest: there are others.
	Areas []grant
	Rest  bool
	// AccessChanged: the role or an area's level has changed. RoleChanged: the role has.
	AccessChanged, RoleChanged bool
	// Role is a person's: "owner", "admin" or "member".
	Role string
	// Clients says for which clients of an agency its member works; "" for all, as
	// before.
	Clients string
	Message string
	// Offer: the request offers ownership. NewSignIn: the person was in, and is asked to
	// accept again. Created: the account was created for them.
	Offer, NewSignIn, Created bool
	// Reached: an earlier email of the request has reached the recipient. Of those,
	// Resent: the same request once more. Changed: it has other terms by now. Reminder:
	// the request still waits. Ended: the connection has ended since. Early: the request
	// ended before it expired. Asked: the agency's request was never accepted. Owned: an
	// agency owns the account. HasAccount: the addressee has an account to choose.
	Reached, Resent, Changed, Reminder, Ended, Early, Asked, Owned, HasAccount bool
	// Plan and Price are the account's, PlanWas and PriceWas those before the
	// change. A price is "" for free of charge.
	Plan, Price, PlanWas, PriceWas string
	// Unpaid: the last reported payment has failed. Frozen: the subscription is.
	Unpaid, Frozen bool
	// Asks are the emails in a digest that ask for an answer, and News the others. More is
	// how many others it stands for, and Elsewhere how many are held for other spellings
	// of the mailbox.
	Asks, News      []heldLine
	More, Elsewhere int
	// StopURL stops unsolicited mail to the mailbox; "" in a solicited email.
	// WaitingURL is that of everything that waits for the person.
	StopURL, WaitingURL string
	// InvitationURL is that of the invitation or offer, TeamURL that of the account's
	// Team Members, and ConnectURL that of the agency's new requests.
	InvitationURL, TeamURL, ConnectURL string
	// RequestURL is that of the request, HomeURL that of the console, ManageURL that
	// of the agency in the account's Team Members, and OpenURL that of the account in
	// the platform.
	RequestURL, HomeURL, ManageURL, OpenURL string
}

// grant is the access level of one area, in words. Note says what it was before, or
// what was requested; "" where that is the same.
type grant struct{ Area, Level, Note string }

// heldLine is a line of a digest: the subject of so many emails.
type heldLine struct {
	Text  string
	Times int
}

// AskCount is how many emails in a digest ask for an answer.
func (d emailData) AskCount() (n int) {
	for _, line := range d.Asks {
		n += line.Times
	}
	return n
}

// deployment is what all emails of a deployment have alike.
type deployment struct {
	product   string
	publicURL string
	openURL   func(account, as agency.AccountID) string
	rules     agency.Rules
}

// stopURL returns the address that stops unsolicited mail to a mailbox. It holds no
// address of an email.
func (d deployment) stopURL(box agency.MailboxID, value string) string {
	return d.publicURL + "/stop/" + string(box) + "." + value
}

// emailData returns what an email of a kind says to a person of an event.
func (d deployment) emailData(kind string, to agency.PersonID, c eventContext) emailData {
	e, p := c.event, c.profile
	data := emailData{
		Product: d.product, Agency: accountName(c.agency.Name), Account: accountName(c.account.Name),
		By: agency.DisplayEmail(c.actor), To: agency.DisplayEmail(p.Email), When: formatTime(e.At), Expires: formatTime(expires(c)), Until: formatTime(e.Now.Until), UntilWas: formatTime(e.Was.Until),
		Cooldown: formatDuration(d.rules.Cooldown), Retention: formatDuration(d.rules.Retention),
		Role: string(e.Now.Role), Clients: clientLimit(e), Message: sanitize(e.Now.Message, agency.MaxMessage),
		AccessChanged: e.Was.Role != e.Now.Role || !e.Was.Areas.Equal(e.Now.Areas),
		RoleChanged:   e.Was.Role != e.Now.Role,
		Reached:       slices.Contains(p.Request.Reached, to),
		Reminder:      e.Type == agency.ConnectionReminded || e.Type == agency.InvitationReminded,
		Offer:         e.Kind == agency.OwnershipKind,
		Created:       e.Type == agency.AccountCreated,
		NewSignIn:     e.Type == agency.PersonInvited && e.Was.Status == agency.Active,
		Ended:         p.StatusAt(c.now) != agency.Active || p.Request.Number != e.Request,
		Early:         e.At.Before(expires(c)),
		Asked:         slices.Contains([]agency.Status{agency.Pending, agency.Expired, agency.Withdrawn}, p.Status),
		ByEmail:       e.AccountID() == "", Owned: e.Ownership == agency.AgencyOwned, HasAccount: c.hasAccount,
		HomeURL: d.publicURL,
	}
	switch e.Type {
	case agency.ConnectionResent:
		data.Resent = data.Reached
	case agency.InvitationResent:
		data.Changed = data.Reached && data.AccessChanged
		data.Resent = data.Reached && !data.AccessChanged
	case agency.InvitationDeclined:
		data.Again = formatTime(e.At.Add(d.rules.Cooldown))
	case agency.ConnectionReminded, agency.InvitationReminded:
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
	case agency.AccountCreated:
		areas, before, data.Role = p.Request.Areas, nil, string(p.Request.Role)
	case agency.PersonAdded:
		// The present state, should it have changed already.
		areas, before, data.Role = p.ShownAreas(), nil, string(p.Role)
	case agency.ConnectionRequested, agency.ConnectionResent, agency.ConnectionReminded, agency.PersonInvited, agency.InvitationResent, agency.InvitationReminded:
		before = nil
	default:
	}
	data.Areas, data.Rest = d.grants(areas, before, note)
	now, was := d.rules.Plan(c.account.Subscription.Plan), d.rules.Plan(e.Was.Plan)
	data.Plan, data.Price, data.PlanWas, data.PriceWas = now.Name, price(now), was.Name, price(was)
	data.Unpaid, data.Frozen = c.account.Subscription.Unpaid, c.account.Subscription.StateAt(c.now) == agency.SubscriptionFrozen
	data.InvitationURL = d.publicURL + "/invitations/" + string(c.account.ID)
	data.TeamURL = d.publicURL + "/accounts/" + string(c.account.ID) + "/team"
	as := c.agency.ID
	data.ConnectURL = d.publicURL + "/agencies/" + string(as) + "/add/connect"
	if e.Ownership == agency.AgencyOwned {
		data.TeamURL += "?as=" + string(as)
	}
	if !isForAgency(kind) {
		as = ""
	} else if e.Ownership == agency.ClientOwned {
		data.Account = c.clientName()
	}
	data.OpenURL = d.open(c.account.ID, as)
	return data
}

// expires returns when the request of an event expires, or expired; zero for none.
func expires(c eventContext) time.Time {
	switch {
	case c.event.Type == agency.AccountCreated:
		return c.profile.Request.ExpiresAt
	case c.event.Now.Expires.IsZero() && c.event.Type.IsOfInvitation():
		// The offer is over.
		return c.event.Was.Expires
	default:
		return c.event.Now.Expires
	}
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
		return cmp.Or(agency.PlainText(agency.DisplayEmail(c.profile.Email)), "a person")
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
		if before != nil && levelName(before[area.ID]) != levelName(level) {
			was = note + ": " + levelName(before[area.ID])
		}
		if levelName(level) == levelName(agency.None) && was == "" {
			rest = true
			continue
		}
		grants = append(grants, grant{Area: area.Name, Level: levelName(level), Note: was})
	}
	return grants, rest
}

// levelName returns an access level as emails show it. An unknown one reads like None.
func levelName(l agency.Level) string {
	switch l {
	case agency.View:
		return "View"
	case agency.Edit:
		return "Edit"
	default:
		return "No access"
	}
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
