package main

import (
	"time"

	"agencyhub/shared/agency"
	"agencyhub/shared/service"
)

// teamPage is the Team Members dashboard of an account.
type teamPage struct {
	frame
	// Pending are the requests that the visitor can decide. The past ones are no
	// longer members.
	Pending                []pendingRow
	Agencies, PastAgencies []memberRow
	People, PastPeople     []memberRow
	Blocks                 []blockRow
	Next                   string
	// Roles and Levels are what a person can be invited with.
	Roles  []agency.Role
	Levels levelsTable
}

// pendingRow is a connection request.
type pendingRow struct {
	Agency, RequestedBy, Message string
	Access                       string
	Expires                      time.Time
	URL                          string
}

// memberRow is a member: an agency, or a person by their address.
type memberRow struct {
	Name   string
	Role   agency.Role
	Status agency.Status
	// Access is a summary of the levels.
	Access string
	// Since is when the member came into this state, and Until the end date.
	Since, Until time.Time
	// IsOwningAgency is of the agency that owns the account, the rest of people.
	// EmailFailed reports whether the email about their access came back.
	IsOwningAgency, IsYou, HasNotJoined, EmailFailed bool
	URL                                              string
}

// blockRow is an agency that is blocked or in its cooldown.
type blockRow struct {
	ID        agency.AccountID
	Name      string
	IsBlocked bool
	Until     time.Time
}

// CurrentRole returns the role that the form shows at first.
func (*teamPage) CurrentRole() string { return string(agency.Member) }

// teamPageSize is the number of members on a page of the dashboard. Agencies come
// first, so that pending requests are on the first page.
const teamPageSize = 100

func (c *console) team(v *visit) (response, error) {
	a, err := v.visitedAccount("team")
	if err != nil {
		return response{}, err
	}
	p := &teamPage{frame: frame{Account: a}}
	if res, done, err := v.act(&p.frame, func() (response, error) { return c.changeTeam(v, a) }); done {
		return res, err
	}
	members, err := c.svc.Team(v.ctx, v.caller(), v.accountID(), v.listPage(teamPageSize))
	if err != nil {
		return response{}, err
	}
	p.Next = members.Next
	var waiting []agency.Profile
	for _, m := range members.Items {
		if m.StatusAt(v.now()) == agency.Pending && a.CanDecideRequests() {
			waiting = append(waiting, m)
			continue
		}
		p.add(c.memberRow(v, a, m), m.Kind())
	}
	if err := c.addWaiting(v, p, waiting); err != nil {
		return response{}, err
	}
	if err := c.addBlocks(v, p); err != nil {
		return response{}, err
	}
	p.Roles = a.grantableRoles()
	p.Levels = v.newLevelsTable(accessLegend(a), nil, nil)
	p.Levels.Fault = p.Faults.levels("areas")
	return show("team", p), nil
}

// accessLegend returns the heading of a form with a person's levels.
func accessLegend(a *visitedAccount) string {
	if a.IsAgencyOwned() {
		return "What the client may do"
	}
	return "What a member may do"
}

// changeTeam does what the pressed button of the dashboard says.
func (c *console) changeTeam(v *visit, a *visitedAccount) (response, error) {
	switch v.action() {
	case "invite":
		role, areas := v.roleAndAreas()
		in := service.Invitation{Email: v.form.value("email"), Role: role, Areas: areas}
		p, added, err := c.svc.InvitePerson(v.ctx, v.caller(), v.accountID(), in)
		if err != nil {
			return response{}, err
		}
		if !added {
			return v.done(a.URL("/team/"+string(p.Member)), "invited-again"), nil
		}
		return v.done(a.URL("/team"), "invited"), nil
	case "allow":
		wasBlocked, err := c.svc.Unblock(v.ctx, v.caller(), v.accountID(), agency.AccountID(v.form.value("agency")))
		return v.doneUnless(err, a.URL("/team"), unblockedNotice(wasBlocked))
	default:
		return response{}, unknownAction()
	}
}

// roleAndAreas reads the role and the levels of a person. Owners and admins have all
// areas, so theirs are nil.
func (v *visit) roleAndAreas() (agency.Role, agency.Areas) {
	role := agency.Role(v.form.value("role"))
	if role == agency.Owner || role == agency.Admin {
		return role, nil
	}
	return role, v.areas()
}

// add puts a row into the list where it belongs.
func (p *teamPage) add(row memberRow, kind agency.Kind) {
	list, active := &p.People, row.Status == agency.Active
	switch {
	case kind == agency.AgencyKind && (active || row.Status == agency.Pending):
		list = &p.Agencies
	case kind == agency.AgencyKind:
		list = &p.PastAgencies
	case !active:
		list = &p.PastPeople
	}
	*list = append(*list, row)
}

func (c *console) memberRow(v *visit, a *visitedAccount, m agency.Profile) memberRow {
	row := memberRow{
		Name: m.Name, Role: m.Role, Status: m.StatusAt(v.now()), Access: c.accessSummary(c.svc.GrantedAreas(m)),
		Since: statusSince(m, v.now()), Until: m.Until, IsOwningAgency: m.IsPermanent(), URL: a.URL("/team/" + string(m.Member)),
	}
	if m.Kind() == agency.PersonKind {
		row.Name, row.IsYou, row.HasNotJoined, row.EmailFailed = m.Email, m.Member == agency.Party(v.actor.ID()), m.Subject == "", invitationFailed(m)
	}
	return row
}

// invitationFailed reports whether the email about a person's access came back, and
// they have not signed in since.
func invitationFailed(m agency.Profile) bool {
	return m.Status == agency.Active && m.Request.Delivery == agency.DeliveryFailed
}

// addWaiting fills in the requests that the visitor can decide.
func (c *console) addWaiting(v *visit, p *teamPage, waiting []agency.Profile) error {
	details, err := c.svc.RequestDetails(v.ctx, waiting...)
	for _, d := range details {
		p.Pending = append(p.Pending, pendingRow{
			Agency: d.Name, RequestedBy: d.By, Message: d.Request.Message, Access: c.accessSummary(c.svc.GrantedAreas(d.Profile)), Expires: d.Request.ExpiresAt,
			URL: "/requests/" + string(d.ID()),
		})
	}
	return err
}

// addBlocks fills in the blocked agencies, for those who may unblock them.
func (c *console) addBlocks(v *visit, p *teamPage) error {
	if !p.Account.CanDecideRequests() {
		return nil
	}
	blocks, err := c.svc.AccountBlocks(v.ctx, v.caller(), v.accountID(), service.Page{Limit: teamPageSize})
	p.Blocks = blockRows(blocks.Items)
	return err
}

func blockRows(blocks []service.Block) []blockRow {
	var rows []blockRow
	for _, b := range blocks {
		rows = append(rows, blockRow{ID: b.Asker, Name: b.Name, IsBlocked: b.Blocked, Until: b.CoolingUntil})
	}
	return rows
}
