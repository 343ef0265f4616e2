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
	// Invited are the people whose invitation waits for their answer.
	Invited []invitedRow
	Blocks  []blockRow
	Next    string
	// Roles and Levels are what a person can be invited with.
	Roles  []agency.Role
	Levels levelsTable
}

// pendingRow is a connection request.
type pendingRow struct {
	Agency, RequestedBy, Message string
	Access                       string
	Expires                      time.Time
	ID                           agency.ConnectionID
	// Request is its number, which every answer names.
	Request int
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
	IsOwningAgency, IsYou bool
	// IsUnused reports whether the platform registered the person, who has not signed
	// in since.
	IsUnused bool
	// IsOffered reports whether the person has an open offer of ownership.
	IsOffered bool
	URL       string
}

// invitedRow is a person whose invitation waits for their answer.
type invitedRow struct {
	memberRow
	Member agency.Party
	sentInvitation
}

// sentInvitation is an open invitation or offer of ownership, as the account sees it.
type sentInvitation struct {
	// SentAt is when it was sent last.
	SentAt, Expires time.Time
	// By is the address of the person who sent it; "" once they have left.
	By          string
	EmailFailed bool
	// CanManage reports whether the visitor may resend and withdraw it.
	CanManage bool
	// Resends is how often it can still be sent again. ResendAt is the next time that
	// it can; zero for now.
	Resends  int
	ResendAt time.Time
}

// CanResend reports whether the visitor can send it again now.
func (i sentInvitation) CanResend() bool { return i.CanManage && i.Resends > 0 && i.ResendAt.IsZero() }

// sentInvitation returns the open invitation or offer of a member.
func (c *console) sentInvitation(a *visitedAccount, d service.RequestDetail) sentInvitation {
	i := sentInvitation{
		SentAt: d.Request.MailedAt, Expires: d.Request.ExpiresAt, By: d.By, CanManage: a.canManage(d.Request.Role),
		EmailFailed: d.Request.Delivery == agency.DeliveryFailed, Resends: max(0, c.svc.Rules.Resends-d.Request.Resends),
	}
	if at := d.Request.MailedAt.Add(c.svc.Rules.ResendAfter); c.now().Before(at) {
		i.ResendAt = at
	}
	return i
}

// blockRow is an account that is blocked or in its cooldown.
type blockRow struct {
	ID        agency.AccountID
	Name      string
	IsBlocked bool
	Until     time.Time
}

// IsInvitation reports whether the page's form invites a person.
func (*teamPage) IsInvitation() bool { return true }

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
	var open []agency.Profile
	for _, m := range members.Items {
		if status := m.StatusAt(v.now()); status == agency.Pending && a.CanDecideRequests() || status == agency.Invited {
			open = append(open, m)
			continue
		}
		p.add(c.memberRow(v, a, m), m.Kind())
	}
	if err := c.addOpen(v, p, open); err != nil {
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
		return "The client’s access levels"
	}
	return "Access levels of a member"
}

// changeTeam does what the pressed button of the dashboard says.
func (c *console) changeTeam(v *visit, a *visitedAccount) (response, error) {
	switch v.action() {
	case "invite":
		role, areas := v.roleAndAreas()
		in := service.Invitation{Email: v.form.value("email"), Role: role, Areas: areas}
		since := v.now()
		p, invited, err := c.svc.InvitePerson(v.ctx, v.caller(), v.accountID(), in)
		switch {
		case err != nil:
			return response{}, err
		case invited:
			return v.done(a.URL("/team"), sentNotice(p, since, "invited")), nil
		default:
			return v.done(a.URL("/team/"+string(p.Member)), changeNotice(p, role, since, "has-access")), nil
		}
	case "resend", "withdraw":
		return c.changeInvitation(v, a, agency.Party(v.form.value("member")), a.URL("/team"))
	case "allow":
		wasBlocked, err := c.svc.Unblock(v.ctx, v.caller(), v.accountID(), agency.AccountID(v.form.value("agency")))
		return v.doneUnless(err, a.URL("/team"), unblockedNotice(wasBlocked))
	default:
		return response{}, unknownAction()
	}
}

// changeNotice returns the notice of a change, since a time, of a person with access:
// the role owner is offered to them.
func changeNotice(p agency.Profile, role agency.Role, since time.Time, otherwise string) string {
	if role == agency.Owner && p.Role != agency.Owner {
		return sentNotice(p, since, "offered")
	}
	return otherwise
}

// sentNotice returns the notice of an invitation or an offer, or that nothing was sent:
// the same one was sent before the time since.
func sentNotice(p agency.Profile, since time.Time, notice string) string {
	// The table keeps milliseconds.
	if p.Request.MailedAt.Before(since.Truncate(time.Millisecond)) {
		return "unsent-" + notice
	}
	return notice
}

// changeInvitation resends or withdraws an open invitation or offer, as the pressed
// button says. after is the page that follows.
func (c *console) changeInvitation(v *visit, a *visitedAccount, member agency.Party, after string) (response, error) {
	if v.action() == "resend" {
		p, err := c.svc.ResendInvitation(v.ctx, v.caller(), a.ID, member)
		notice := "invitation-resent"
		if p.HasOffer() {
			notice = "offer-resent"
		}
		return v.doneUnless(err, after, notice)
	}
	p, err := c.svc.WithdrawInvitation(v.ctx, v.caller(), a.ID, member)
	notice := "invitation-withdrawn"
	if p.Status == agency.Active {
		notice = "offer-withdrawn"
	}
	return v.doneUnless(err, after, notice)
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
		Name: m.Name, Role: m.ShownRole(), Status: m.StatusAt(v.now()), Access: c.accessSummary(c.svc.GrantedAreas(m)),
		Since: statusSince(m, v.now()), Until: m.Until, IsOwningAgency: m.IsPermanent(), URL: a.URL("/team/" + string(m.Member)),
	}
	if m.Kind() == agency.PersonKind {
		row.Name, row.IsYou, row.IsUnused = agency.DisplayEmail(m.Email), m.Member == agency.Party(v.actor.ID()), m.Subject == ""
		row.IsOffered = m.HasOffer() && m.HasOpenRequestAt(v.now())
	}
	return row
}

// addOpen fills in the requests that the visitor can decide, and who is invited.
func (c *console) addOpen(v *visit, p *teamPage, open []agency.Profile) error {
	details, err := c.svc.RequestDetails(v.ctx, open...)
	for _, d := range details {
		if d.Kind() == agency.PersonKind {
			p.Invited = append(p.Invited, invitedRow{
				memberRow: c.memberRow(v, p.Account, d.Profile), Member: d.Member, sentInvitation: c.sentInvitation(p.Account, d),
			})
			continue
		}
		p.Pending = append(p.Pending, pendingRow{
			Agency: d.Name, RequestedBy: d.By, Message: d.Request.Message, Access: c.accessSummary(c.svc.GrantedAreas(d.Profile)), Expires: d.Request.ExpiresAt,
			ID: d.ID(), Request: d.Request.Number,
		})
	}
	return err
}

// addBlocks fills in the blocked accounts, for those who may unblock them.
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
