package main

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"agencyhub/shared/agency"
	"agencyhub/shared/rest"
	"agencyhub/shared/service"
)

// agency is the agency that the page is about.
func (v *visit) agency() agency.AccountID { return agency.AccountID(v.path("agency")) }

// agencyLink is an address under an agency's own.
func agencyLink(id agency.AccountID, rest string) string { return "/agencies/" + string(id) + rest }

// clientLink is the page of one of an agency's connections.
func clientLink(id agency.AccountID, con agency.ConnectionID) string {
	return agencyLink(id, "/clients/"+string(con))
}

// inAgency is the agency that the page is about, as the person sees it in their
// own right, and the tabs of its pages. Errors: IdentityChanged, NotFound.
func (c *console) inAgency(v *visit, on string) (service.AccountView, *tabs, error) {
	view, err := c.svc.GetAccount(v.ctx, agency.Caller{Actor: v.actor}, v.agency())
	if err != nil {
		return view, nil, err
	}
	return view, &tabs{Account: view, Role: view.Role, On: on}, nil
}

// worksHub tells whether a person's role lets them work in the hub, so that
// pages offer it to them. The use cases decide.
func worksHub(view service.AccountView) bool {
	return view.Role == agency.Owner || view.Role == agency.Admin
}

// toWorkIn is the way to a page that is for working in the hub: the agency with
// its tabs, or what the person is shown in place of the page.
func (c *console) toWorkIn(v *visit) (*tabs, *answer, error) {
	view, tabs, err := c.inAgency(v, "clients")
	if err != nil {
		return nil, nil, err
	}
	if !view.IsAgency() {
		off := hubOff(view, tabs)
		return nil, &off, nil
	}
	if !worksHub(view) {
		return nil, nil, &agency.Error{Code: agency.Forbidden, Message: "Only owners and admins of the agency add clients. Ask one of them."}
	}
	return tabs, nil, nil
}

// hubOffPage is shown in place of an agency's pages while the account is none.
type hubOffPage struct {
	frame
	// Settings is where the person can switch the hub on; "" when they can't.
	Settings string
}

func hubOff(view service.AccountView, tabs *tabs) answer {
	p := &hubOffPage{frame: frame{Tabs: tabs}}
	if view.Role == agency.Owner && view.Ownership == agency.ClientOwned {
		p.Settings = "/accounts/" + string(view.ID) + "/settings"
	}
	return answer{status: http.StatusConflict, name: "hub-off", page: p}
}

// together makes reads that do not need each other at the same time. It answers
// the error of the first in order. A panic is an error like any other.
func (v *visit) together(reads ...func() error) error {
	errs := make([]error, len(reads))
	var all sync.WaitGroup
	for i, read := range reads {
		all.Go(func() {
			defer func() {
				if cause := recover(); cause != nil {
					slog.ErrorContext(v.ctx, "A page panicked.", "requestId", rest.RequestID(v.ctx), "stack", string(debug.Stack()))
					errs[i] = fmt.Errorf("panic: %v", cause)
				}
			}()
			errs[i] = read()
		})
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// clientsPage is the hub: an agency's clients.
type clientsPage struct {
	frame
	Agency agency.AccountID
	// Works tells whether the person may add clients.
	Works  bool
	Counts []countCard
	// Views are the lists that there are to choose from, and Ends those of what
	// has ended, while it is one of these.
	Views, Ends []listView
	// Show is the list that is shown, and Prefix what is searched in it.
	Show, Prefix string
	// Among says what a search looks through.
	Among   string
	Clients []clientRow
	// More is the address of what follows, and First, where this is not the first
	// page, of that.
	More, First string
	Chart       *chart
	// None tells that the agency has no client and has asked nobody.
	None bool
}

// countCard is a number of clients, and the list of them.
type countCard struct {
	Number      int
	Words, Link string
	On          bool
}

// listView is one of the lists of clients.
type listView struct {
	Words, Link string
	On          bool
}

// clientRow is a client as the list shows it.
type clientRow struct {
	ID   agency.ConnectionID
	Link string
	clientFacts
}

// clientFacts are what the list and the client's own page tell alike.
type clientFacts struct {
	// Name is the account's, or what is known in place of it.
	Name string
	// Unnamed says what stands in place of the name; "" for the name.
	Unnamed string
	Status  agency.Status
	Owned   bool
	// Plan, its Price a month and Subscribed are of an account that the agency
	// pays for.
	Plan, Price string
	Subscribed  agency.SubscriptionState
	// Reach is the levels in short, granted or asked for.
	Reach                 string
	Failed                bool
	Expires, Until, Since time.Time
	// Account is known, and may be opened, while Status is active.
	Account agency.AccountID
}

// Trouble is the state of a subscription that does not simply go on; "" of one
// that does.
func (f clientFacts) Trouble() agency.SubscriptionState {
	if f.Subscribed == agency.SubscriptionActive || f.Over() {
		return ""
	}
	return f.Subscribed
}

// Cost is what the agency pays for the account now; "" for what it does not pay.
func (f clientFacts) Cost() string {
	switch {
	case f.Price == "" || f.Over():
		return ""
	case f.Subscribed == agency.SubscriptionFrozen:
		return "nothing while frozen"
	default:
		return f.Price + " a month"
	}
}

// Active, Pending and Over tell where the connection stands.
func (f clientFacts) Active() bool  { return f.Status == agency.Active }
func (f clientFacts) Pending() bool { return f.Status == agency.Pending }
func (f clientFacts) Over() bool    { return f.Status.IsEnded() }

// hubPageSize is how many clients the hub shows at once.
const hubPageSize = 50

// The lists of clients that are no status of theirs.
const (
	showOwned     = "owned"
	showConnected = "connected"
	showEnded     = "ended_all"
)

// endedStatuses are in the order in which an agency meets them.
var endedStatuses = []agency.Status{
	agency.Denied, agency.Withdrawn, agency.Expired, agency.Revoked, agency.Left, agency.Lapsed, agency.Ended,
}

// filterOf is the list that an address names. A search is one in a status: among
// the active clients, where the list is of more than one.
func filterOf(show, prefix string) (string, service.ClientFilter) {
	if prefix != "" && (show == "" || show == showEnded) {
		show = string(agency.Active)
	}
	switch show {
	case showOwned:
		return show, service.ClientFilter{Status: agency.Active, Ownership: agency.AgencyOwned, Prefix: prefix}
	case showConnected:
		return show, service.ClientFilter{Status: agency.Active, Ownership: agency.ClientOwned, Prefix: prefix}
	case showEnded:
		return show, service.ClientFilter{Ended: true}
	default:
		return show, service.ClientFilter{Status: agency.Status(show), Prefix: prefix}
	}
}

func (c *console) clients(v *visit) (answer, error) {
	q := v.r.URL.Query()
	p := &clientsPage{Agency: v.agency(), Prefix: strings.TrimSpace(q.Get("prefix"))}
	var filter service.ClientFilter
	p.Show, filter = filterOf(q.Get("show"), p.Prefix)
	first := p.Show == "" && q.Get("cursor") == ""

	var view service.AccountView
	var list service.List[agency.Profile]
	var counts service.Counts
	var trend service.Trend
	err := v.together(
		func() (err error) { view, p.Tabs, err = c.inAgency(v, "clients"); return err },
		func() (err error) {
			list, counts, err = c.svc.Clients(v.ctx, v.actor, p.Agency, filter, v.page(hubPageSize))
			return err
		},
		func() (err error) {
			if first {
				trend, err = c.svc.Trend(v.ctx, v.actor, p.Agency)
			}
			return err
		},
	)
	if p.Tabs != nil && !view.IsAgency() {
		return hubOff(view, p.Tabs), nil
	}
	if err != nil {
		return answer{}, err
	}
	p.Works = worksHub(view)
	for _, one := range list.Items {
		p.Clients = append(p.Clients, clientRow{ID: one.ID(), Link: clientLink(p.Agency, one.ID()), clientFacts: c.facts(one)})
	}
	p.Counts = []countCard{
		{Number: counts.Owned, Words: "Owned by you", Link: p.link(showOwned), On: p.Show == showOwned},
		{Number: counts.Connected, Words: "Connected", Link: p.link(showConnected), On: p.Show == showConnected},
		{Number: counts.Pending, Words: "Waiting for an answer", Link: p.link(string(agency.Pending)), On: p.Show == string(agency.Pending)},
	}
	p.choose()
	p.None = first && len(list.Items) == 0 && list.Next == ""
	p.Chart = newChart(trend)
	if list.Next != "" {
		p.More = p.address(list.Next)
	}
	if q.Get("cursor") != "" {
		p.First = p.address("")
	}
	return show("clients", p), nil
}

// choose fills in which lists there are, and what a search looks through.
func (p *clientsPage) choose() {
	ended := p.Show == showEnded || slices.Contains(endedStatuses, agency.Status(p.Show))
	for _, one := range []struct{ show, words string }{
		{"", "All"}, {string(agency.Active), "Active"}, {string(agency.Pending), "Waiting"}, {showEnded, "Ended"},
	} {
		on := p.Show == one.show || one.show == showEnded && ended ||
			one.show == string(agency.Active) && (p.Show == showOwned || p.Show == showConnected)
		p.Views = append(p.Views, listView{Words: one.words, Link: p.link(one.show), On: on})
	}
	if ended {
		p.Ends = append(p.Ends, listView{Words: "All that ended", Link: p.link(showEnded), On: p.Show == showEnded})
		for _, status := range endedStatuses {
			p.Ends = append(p.Ends, listView{Words: statusWords(status), Link: p.link(string(status)), On: p.Show == string(status)})
		}
	}
	switch {
	case p.Show == showOwned:
		p.Among = "those that you own"
	case p.Show == showConnected:
		p.Among = "those that you are connected to"
	case p.Show == "" || p.Show == showEnded:
		p.Among = "active clients"
	default:
		p.Among = "those that are: " + strings.ToLower(statusWords(agency.Status(p.Show)))
	}
}

// link is the address of a list, without a search.
func (p *clientsPage) link(show string) string {
	if show == "" {
		return agencyLink(p.Agency, "")
	}
	return agencyLink(p.Agency, "?show="+url.QueryEscape(show))
}

// address is the address of a page of this list.
func (p *clientsPage) address(cursor string) string {
	q := url.Values{}
	for name, value := range map[string]string{"show": p.Show, "prefix": p.Prefix, "cursor": cursor} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if len(q) == 0 {
		return agencyLink(p.Agency, "")
	}
	return agencyLink(p.Agency, "?"+q.Encode())
}

// facts are a connection as its agency reads it.
func (c *console) facts(p agency.Profile) clientFacts {
	now := c.now()
	f := clientFacts{
		Name: p.AccountName, Status: p.StatusAt(now), Owned: p.Ownership == agency.AgencyOwned, Reach: c.inShort(c.svc.GrantedAreas(p)),
		Expires: p.Request.ExpiresAt, Until: p.Until, Since: since(p, now), Account: p.Account(),
	}
	if f.Owned {
		// What an account costs is its payer's to see.
		f.Plan, f.Price, f.Subscribed = p.Subscription.Plan, c.planPrice(p.Subscription.Plan), p.Subscription.StateAt(now)
	}
	switch {
	case f.Name != "":
	case p.Addressee.Person() != "":
		f.Name, f.Unnamed = p.Email, "By email: they choose the account"
	default:
		f.Name, f.Unnamed = string(p.Addressee), "You see its name once they accept"
	}
	if f.Unnamed != "" && f.Over() {
		f.Unnamed = "Never accepted, so you don’t see a name"
	}
	f.Failed = f.Status == agency.Pending && p.Request.Delivery == agency.DeliveryFailed
	return f
}

// since is when a profile came into the state that it is in by the clock, whether
// or not anybody has recorded it yet.
func since(p agency.Profile, now time.Time) time.Time {
	switch status := p.StatusAt(now); {
	case status == p.Status:
		return p.Since
	case status == agency.Expired:
		return p.Request.ExpiresAt
	default:
		return p.Until
	}
}

// inShort is levels in a line, as in "Edit: Pages, Mail · View: Contacts".
func (c *console) inShort(areas agency.Areas) string {
	named := map[agency.Level][]string{}
	for _, area := range c.svc.Rules.Areas {
		level := areas[area.ID]
		named[level] = append(named[level], area.Name)
	}
	var parts []string
	for _, one := range []struct {
		level agency.Level
		words string
	}{{agency.Edit, "Edit"}, {agency.View, "View"}} {
		switch names := named[one.level]; len(names) {
		case 0:
		case len(c.svc.Rules.Areas):
			return one.words + ": everything"
		default:
			parts = append(parts, one.words+": "+strings.Join(names, ", "))
		}
	}
	if len(parts) == 0 {
		return "Nothing"
	}
	return strings.Join(parts, " · ")
}
