package main

import (
	"time"

	"agencyhub/shared/agency"
	"agencyhub/shared/service"
)

// teamPage is the Team Members dashboard of an account.
type teamPage struct {
	frame
	In inside
	// Pending requests come first, then agencies and people, and those of both
	// who are members no more.
	Pending                []pendingRow
	Agencies, PastAgencies []memberRow
	People, PastPeople     []memberRow
	Blocks                 []blockRow
	Next                   string
	// Roles and Levels are those that a person can be invited with.
	Roles  []agency.Role
	Levels levelsTable
}

type pendingRow struct {
	Agency, By, Message string
	Asked               string
	Expires             time.Time
	Link                string
}

// memberRow is a member: an agency, or a person by their address.
type memberRow struct {
	Name   string
	Role   agency.Role
	Status agency.Status
	// May is what the member may do, in short.
	May string
	// Since is since when the member is in this state, and Until the end date.
	Since, Until time.Time
	// Owner is the agency that owns the account; You is whoever looks; New a
	// person who has not been here yet; and Failed one whom the email that told
	// them has not reached.
	Owner, You, New, Failed bool
	Link                    string
}

// blockRow is an agency that is held off.
type blockRow struct {
	ID      agency.AccountID
	Name    string
	Blocked bool
	Until   time.Time
}

// RoleNow is the role that a new member has at first.
func (*teamPage) RoleNow() string { return string(agency.Member) }

// teamSize is how many members the dashboard shows at once. Agencies come first,
// so that all that waits stands on the first page.
const teamSize = 100

func (c *console) team(v *visit) (answer, error) {
	in, err := c.inAccount(v, "team")
	if err != nil {
		return answer{}, err
	}
	p := &teamPage{In: in}
	p.Tabs = in.Tabs
	if v.post() {
		done, err := c.changeTeam(v, in)
		if err == nil {
			return done, nil
		}
		if p.Faults, err = v.refuse(err); err != nil {
			return answer{}, err
		}
	}
	members, err := c.svc.Team(v.ctx, v.caller(), v.account(), v.page(teamSize))
	if err != nil {
		return answer{}, err
	}
	p.Next = members.Next
	var waiting []agency.Profile
	for _, m := range members.Items {
		if m.StatusAt(v.now()) == agency.Pending && in.Decides() {
			waiting = append(waiting, m)
			continue
		}
		p.add(c.memberRow(v, in, m), m.Kind())
	}
	if err := c.addWaiting(v, p, waiting); err != nil {
		return answer{}, err
	}
	if err := c.addBlocks(v, p); err != nil {
		return answer{}, err
	}
	p.Roles = roles(in)
	p.Levels = v.levelsTable(levelsLegend(in), nil, nil)
	p.Levels.Fault = p.Faults.levels("areas")
	return refused("team", p, p.Faults), nil
}

func levelsLegend(in inside) string {
	if in.Owned() {
		return "What the client may do"
	}
	return "What a member may do"
}

// roles are those that the visitor can give, the least first.
func roles(in inside) []agency.Role {
	switch {
	case in.Owned() || !in.Leads():
		return []agency.Role{agency.Member}
	case in.Owns():
		return []agency.Role{agency.Member, agency.Admin, agency.Owner}
	default:
		return []agency.Role{agency.Member, agency.Admin}
	}
}

// changeTeam does what a form of the dashboard says.
func (c *console) changeTeam(v *visit, in inside) (answer, error) {
	switch v.do() {
	case "invite":
		role, areas := v.roleAndAreas()
		p, added, err := c.svc.InvitePerson(v.ctx, v.caller(), v.account(), service.Invitation{Email: v.form.value("email"), Role: role, Areas: areas})
		if err != nil {
			return answer{}, err
		}
		if !added {
			return v.done(in.Address("/team/"+string(p.Member)), "invited-again"), nil
		}
		return v.done(in.Address("/team"), "invited"), nil
	case "allow":
		held, err := c.svc.Unblock(v.ctx, v.caller(), v.account(), agency.AccountID(v.form.value("agency")))
		return v.doneUnless(err, in.Address("/team"), allowedNotice(held))
	default:
		return answer{}, unknownAction()
	}
}

// roleAndAreas are what a form about a person says. Only members are given areas:
// the other roles have all of them.
func (v *visit) roleAndAreas() (agency.Role, agency.Areas) {
	role := agency.Role(v.form.value("role"))
	if role == agency.Owner || role == agency.Admin {
		return role, nil
	}
	return role, v.areas()
}

func (p *teamPage) add(row memberRow, kind agency.Kind) {
	list := &p.People
	switch active := row.Status == agency.Active; {
	case kind == agency.AgencyKind && (active || row.Status == agency.Pending):
		list = &p.Agencies
	case kind == agency.AgencyKind:
		list = &p.PastAgencies
	case !active:
		list = &p.PastPeople
	}
	*list = append(*list, row)
}

func (c *console) memberRow(v *visit, in inside, m agency.Profile) memberRow {
	row := memberRow{
		Name: m.Name, Role: m.Role, Status: m.StatusAt(v.now()), May: c.inShort(c.svc.GrantedAreas(m)), Since: since(m, v.now()), Until: m.Until,
		Owner: m.IsPermanent(), Link: in.Address("/team/" + string(m.Member)),
	}
	if m.Kind() == agency.PersonKind {
		row.Name, row.You, row.New, row.Failed = m.Email, m.Member == agency.Party(v.actor.ID()), m.Subject == "", uninformed(m)
	}
	return row
}

// uninformed tells whether the email that told a person of their access came
// back, and they have not been there since.
func uninformed(m agency.Profile) bool {
	return m.Status == agency.Active && m.Request.Delivery == agency.DeliveryFailed
}

func (c *console) addWaiting(v *visit, p *teamPage, waiting []agency.Profile) error {
	details, err := c.svc.RequestDetails(v.ctx, waiting...)
	for _, d := range details {
		p.Pending = append(p.Pending, pendingRow{
			Agency: d.Name, By: d.By, Message: d.Request.Message, Asked: c.inShort(c.svc.GrantedAreas(d.Profile)), Expires: d.Request.ExpiresAt,
			Link: "/requests/" + string(d.ID()),
		})
	}
	return err
}

// addBlocks lists who is held off, to whoever may allow them again.
func (c *console) addBlocks(v *visit, p *teamPage) error {
	if !p.In.Decides() {
		return nil
	}
	blocks, err := c.svc.AccountBlocks(v.ctx, v.caller(), v.account(), service.Page{Limit: teamSize})
	p.Blocks = blockRows(blocks.Items)
	return err
}

func blockRows(blocks []service.Block) []blockRow {
	var rows []blockRow
	for _, b := range blocks {
		rows = append(rows, blockRow{ID: b.Agency, Name: b.Name, Blocked: b.Blocked, Until: b.CoolingUntil})
	}
	return rows
}
