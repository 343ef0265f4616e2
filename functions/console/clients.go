package main

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"agencyhub/shared/agency"
	"agencyhub/shared/service"
)

// clientsPage lists an agency's clients.
type clientsPage struct {
	frame
	Agency agency.AccountID
	// CanManage reports whether the person may add clients.
	CanManage bool
	Counts    []countCard
	// Filters are the lists to choose from. EndedFilters are those of one ended
	// status each, offered while the list is of ended connections.
	Filters, EndedFilters []filterLink
	// Filter names the current list; Prefix is what is searched in it.
	Filter, Prefix string
	// SearchScope says in words what a search looks through.
	SearchScope string
	Clients     []clientRow
	// MoreURL is the next page of the list, and FirstURL its first; "" where there
	// is none, or this is it.
	MoreURL, FirstURL string
	Chart             *chart
	// IsEmpty reports whether the agency has no connection in any state.
	IsEmpty bool
}

// countCard is a number of clients, and the list of them.
type countCard struct {
	Number int
	filterLink
}

// filterLink leads to one of the lists of clients.
type filterLink struct {
	Label, URL string
	IsCurrent  bool
}

// clientRow is a row of the list.
type clientRow struct {
	URL string
	clientFacts
}

// clientFacts is what the list and the client's own page both show.
type clientFacts struct {
	// Name is the account's; the address or id that was asked while the agency may
	// not know it.
	Name string
	// NameNote explains such a stand-in; "" for a name.
	NameNote      string
	Status        agency.Status
	IsAgencyOwned bool
	// Plan, its Price a month and SubscriptionState are set where the agency pays.
	Plan, Price       string
	SubscriptionState agency.SubscriptionState
	// Access is a summary of the levels, granted or asked for.
	Access                string
	EmailFailed           bool
	Expires, Until, Since time.Time
	// AccountID is "" for a request by email that nobody has accepted.
	AccountID agency.AccountID
}

// SubscriptionIssue returns the state of a subscription that needs attention; ""
// for one that runs.
func (f clientFacts) SubscriptionIssue() agency.SubscriptionState {
	if f.SubscriptionState == agency.SubscriptionActive || f.IsEnded() {
		return ""
	}
	return f.SubscriptionState
}

// Cost returns what the agency pays for the account now; "" where it does not pay.
func (f clientFacts) Cost() string {
	switch {
	case f.Price == "" || f.IsEnded():
		return ""
	case f.SubscriptionState == agency.SubscriptionFrozen:
		return "nothing while frozen"
	default:
		return f.Price + " a month"
	}
}

func (f clientFacts) IsActive() bool  { return f.Status == agency.Active }
func (f clientFacts) IsPending() bool { return f.Status == agency.Pending }
func (f clientFacts) IsEnded() bool   { return f.Status.IsEnded() }

// clientsPageSize is the number of clients on a page of the list.
const clientsPageSize = 50

// The lists that are not of one status. Addresses name them.
const (
	filterOwned     = "owned"
	filterConnected = "connected"
	filterEnded     = "ended_all"
)

// endedStatuses is in the order of a connection's life.
var endedStatuses = []agency.Status{
	agency.Declined, agency.Withdrawn, agency.Expired, agency.Revoked, agency.Left, agency.Lapsed, agency.Ended,
}

// clientFilter returns the list that an address names, and its name. A search needs
// one status: in a list of several it looks through the active clients.
func clientFilter(name, prefix string) (string, service.ClientFilter) {
	if prefix != "" && (name == "" || name == filterEnded) {
		name = string(agency.Active)
	}
	switch name {
	case filterOwned:
		return name, service.ClientFilter{Status: agency.Active, Ownership: agency.AgencyOwned, Prefix: prefix}
	case filterConnected:
		return name, service.ClientFilter{Status: agency.Active, Ownership: agency.ClientOwned, Prefix: prefix}
	case filterEnded:
		return name, service.ClientFilter{Ended: true}
	default:
		return name, service.ClientFilter{Status: agency.Status(name), Prefix: prefix}
	}
}

func (c *console) clients(v *visit) (response, error) {
	q := v.r.URL.Query()
	p := &clientsPage{Agency: v.agencyID(), Prefix: strings.TrimSpace(q.Get("prefix"))}
	var filter service.ClientFilter
	p.Filter, filter = clientFilter(q.Get("show"), p.Prefix)
	first := p.Filter == "" && q.Get("cursor") == ""

	var list service.List[agency.Profile]
	var counts service.Counts
	var trend service.Trend
	err := v.inParallel(
		func() (err error) { p.Account, err = v.visitedAgency("clients"); return err },
		func() (err error) {
			list, counts, err = c.svc.Clients(v.ctx, v.actor, p.Agency, filter, v.listPage(clientsPageSize))
			return err
		},
		func() (err error) {
			if first {
				trend, err = c.svc.Trend(v.ctx, v.actor, p.Agency)
			}
			return err
		},
	)
	if p.Account != nil && !p.Account.IsAgency() {
		return agencyOff(p.Account), nil
	}
	if err != nil {
		return response{}, err
	}
	p.CanManage = allows(p.Account.AccountView, agency.ManageClients)
	for _, one := range list.Items {
		p.Clients = append(p.Clients, clientRow{URL: clientURL(p.Agency, one.ID()), clientFacts: c.clientFacts(one)})
	}
	p.Counts = []countCard{
		{counts.Owned, p.filterLink("Owned by you", filterOwned)},
		{counts.Connected, p.filterLink("Connected", filterConnected)},
		{counts.Pending, p.filterLink("Waiting for an answer", string(agency.Pending))},
	}
	p.fillFilters()
	p.IsEmpty = first && len(list.Items) == 0 && list.Next == ""
	p.Chart = newChart(trend)
	if list.Next != "" {
		p.MoreURL = p.pageURL(list.Next)
	}
	if q.Get("cursor") != "" {
		p.FirstURL = p.pageURL("")
	}
	return show("clients", p), nil
}

// fillFilters fills in which lists there are, and what a search looks through.
func (p *clientsPage) fillFilters() {
	ended := p.Filter == filterEnded || slices.Contains(endedStatuses, agency.Status(p.Filter))
	active, endings := p.filterLink("Active", string(agency.Active)), p.filterLink("Ended", filterEnded)
	active.IsCurrent = active.IsCurrent || p.Filter == filterOwned || p.Filter == filterConnected
	endings.IsCurrent = ended
	p.Filters = []filterLink{p.filterLink("All", ""), active, p.filterLink("Waiting", string(agency.Pending)), endings}
	if ended {
		p.EndedFilters = []filterLink{p.filterLink("All that ended", filterEnded)}
		for _, status := range endedStatuses {
			p.EndedFilters = append(p.EndedFilters, p.filterLink(statusName(status), string(status)))
		}
	}
	switch {
	case p.Filter == filterOwned:
		p.SearchScope = "those that you own"
	case p.Filter == filterConnected:
		p.SearchScope = "those that you are connected to"
	case p.Filter == "" || p.Filter == filterEnded:
		p.SearchScope = "active clients"
	default:
		p.SearchScope = "those that are: " + strings.ToLower(statusName(agency.Status(p.Filter)))
	}
}

// filterLink leads to a list, without a search.
func (p *clientsPage) filterLink(label, filter string) filterLink {
	link := filterLink{Label: label, URL: agencyURL(p.Agency, ""), IsCurrent: p.Filter == filter}
	if filter != "" {
		link.URL += "?show=" + url.QueryEscape(filter)
	}
	return link
}

// pageURL returns the address of a page of this list; the first for no cursor.
func (p *clientsPage) pageURL(cursor string) string {
	q := url.Values{}
	for name, value := range map[string]string{"show": p.Filter, "prefix": p.Prefix, "cursor": cursor} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if len(q) == 0 {
		return agencyURL(p.Agency, "")
	}
	return agencyURL(p.Agency, "?"+q.Encode())
}

// clientFacts returns a connection as its agency reads it.
func (c *console) clientFacts(p agency.Profile) clientFacts {
	now := c.now()
	f := clientFacts{
		Name: p.AccountName, Status: p.StatusAt(now), IsAgencyOwned: p.Ownership == agency.AgencyOwned, Access: c.accessSummary(c.svc.GrantedAreas(p)),
		Expires: p.Request.ExpiresAt, Until: p.Until, Since: statusSince(p, now), AccountID: p.Account(),
	}
	if f.IsAgencyOwned {
		// What an account costs is its payer's to see.
		f.Plan, f.Price, f.SubscriptionState = p.Subscription.Plan, c.planPrice(p.Subscription.Plan), p.Subscription.StateAt(now)
	}
	switch {
	case f.Name != "":
	case p.Addressee.Person() != "":
		f.Name, f.NameNote = agency.DisplayEmail(p.Email), "By email: they choose the account"
	default:
		f.Name, f.NameNote = string(p.Addressee), "You see its name once they accept"
	}
	if f.NameNote != "" && f.IsEnded() {
		f.NameNote = "Never accepted, so you don’t see a name"
	}
	f.EmailFailed = f.Status == agency.Pending && p.Request.Delivery == agency.DeliveryFailed
	return f
}

// statusSince returns when a profile came into its present state by the clock,
// whether or not that is recorded yet.
func statusSince(p agency.Profile, now time.Time) time.Time {
	switch status := p.StatusAt(now); {
	case status == p.Status:
		return p.Since
	case status == agency.Expired:
		return p.Request.ExpiresAt
	default:
		return p.Until
	}
}
