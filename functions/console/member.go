package main

import (
	"slices"
	"strings"
	"time"

	"agencyhub/shared/agency"
	"agencyhub/shared/service"
)

// memberPage is one member of an account: an agency that works in it, or a
// person.
type memberPage struct {
	frame
	In     inside
	Member agency.Party
	// Name is the agency's, or the person's address.
	Name   string
	Agency bool
	// Owner tells that it is the agency which owns the account.
	Owner, You, New bool
	// Failed tells that the email which told a person of their access came back.
	Failed     bool
	Status     agency.Status
	Role       agency.Role
	Since, End time.Time
	May        []grant
	// By is the address of whoever asked for the agency, and Message what they
	// wrote.
	By, Message string
	// May be done: Restrict an agency, Change a person.
	Restrict, Change, Leave bool
	// LastOwner explains why nothing can be done to the account's last owner.
	LastOwner bool
	Roles     []agency.Role
	Levels    levelsTable
	Until     untilField
	Cooldown  string
	// Limits limits a member of an agency to some of its clients; nil of whoever
	// can't be.
	Limits *limitsForm
}

// limitsForm limits a member of an agency to some of its clients.
type limitsForm struct {
	Limited bool
	Clients []accountChoice
	// More tells that there are clients that are not listed, which can be named by
	// their ids; Others are those that were.
	More   bool
	Others string
	Fault  string
	Most   int
}

// RoleNow is the member's role.
func (p *memberPage) RoleNow() string { return string(p.Role) }

func (c *console) member(v *visit) (answer, error) {
	in, err := c.inAccount(v, "team")
	if err != nil {
		return answer{}, err
	}
	p := &memberPage{In: in, Member: agency.Party(v.path("member")), Cooldown: lasting(c.svc.Rules.Cooldown)}
	p.Tabs = in.Tabs
	if v.post() {
		done, err := c.changeMember(v, in, p.Member)
		if err == nil {
			return done, nil
		}
		if p.Faults, err = v.refuse(err); err != nil {
			return answer{}, err
		}
	}
	m, err := c.svc.GetMember(v.ctx, v.caller(), in.ID, p.Member)
	if err != nil {
		return answer{}, err
	}
	if in.Decides() && m.Kind() == agency.AgencyKind && m.StatusAt(v.now()) != agency.Active {
		// What is not active is decided, or allowed again, on its request's page.
		if v.notice != "" {
			v.leave(v.notice)
		}
		return goTo("/requests/" + string(m.ID())), nil
	}
	p.fill(c, v, m)
	if p.Agency {
		err = c.fillAgency(v, p, m)
	} else {
		err = c.fillPerson(v, p, m)
	}
	if err != nil {
		return answer{}, err
	}
	return refused("member", p, p.Faults), nil
}

func (p *memberPage) fill(c *console, v *visit, m agency.Profile) {
	p.Name, p.Agency, p.Owner, p.Role = m.Name, m.Kind() == agency.AgencyKind, m.IsPermanent(), m.Role
	p.Status, p.Since, p.End = m.StatusAt(v.now()), since(m, v.now()), m.Until
	areas := c.svc.GrantedAreas(m)
	p.May = c.grants(areas)
	p.Levels = v.levelsTable("Levels", areas, nil)
	p.Levels.Fault = p.Faults.levels("areas")
}

// fillAgency is what is shown of an agency alone.
func (c *console) fillAgency(v *visit, p *memberPage, m agency.Profile) error {
	p.Restrict = p.In.Decides() && p.Status == agency.Active
	p.Until = v.untilField("Last day of access", m.Until, p.Faults.At("until"))
	if !p.In.Decides() {
		return nil
	}
	details, err := c.svc.RequestDetails(v.ctx, m)
	if err == nil {
		p.By, p.Message = details[0].By, details[0].Request.Message
	}
	return err
}

// fillPerson is what is shown of a person alone.
func (c *console) fillPerson(v *visit, p *memberPage, m agency.Profile) error {
	p.Name, p.New, p.You = m.Email, m.Subject == "", m.Member == agency.Party(v.actor.ID()) && p.In.As == ""
	p.Failed = uninformed(m)
	p.LastOwner = m.Status == agency.Active && m.Role == agency.Owner && p.In.Owners < 2
	touch := p.In.Leads() && (p.In.Owns() || m.Role != agency.Owner)
	p.Change = touch && p.Status == agency.Active
	p.Leave = p.You && p.Status == agency.Active
	p.Roles = roles(p.In)
	p.Levels.Legend = levelsLegend(p.In)
	if p.Change && p.In.IsAgency() && m.Role == agency.Member {
		return c.fillLimits(v, p, m)
	}
	return nil
}

// mostListed bounds how many of an agency's clients are listed to choose from.
const mostListed = 100

func (c *console) fillLimits(v *visit, p *memberPage, m agency.Profile) error {
	clients, _, err := c.svc.Clients(v.ctx, v.actor, p.In.ID, service.ClientFilter{Status: agency.Active}, service.Page{Limit: mostListed})
	if err != nil {
		return err
	}
	assigned := m.Clients
	l := &limitsForm{Limited: m.Clients != nil, More: clients.Next != "", Fault: p.Faults.At("clients"), Most: service.MaxAssigned}
	if v.do() == "limit" {
		l.Limited, assigned = v.form.value("limited") == "yes", v.assigned()
	}
	var listed []agency.AccountID
	for _, client := range clients.Items {
		id := client.Account()
		listed = append(listed, id)
		l.Clients = append(l.Clients, accountChoice{ID: id, Name: client.AccountName, On: slices.Contains(assigned, id)})
	}
	var others []string
	for _, id := range assigned {
		if !slices.Contains(listed, id) {
			others = append(others, string(id))
		}
	}
	l.Others = strings.Join(others, "\n")
	p.Limits = l
	return nil
}

// assigned are the clients that were ticked, and those that were named by their
// ids, one a line.
func (v *visit) assigned() []agency.AccountID {
	ids := []agency.AccountID{}
	for _, id := range append(v.form.all("client"), strings.Fields(v.form.value("others"))...) {
		if !slices.Contains(ids, agency.AccountID(id)) {
			ids = append(ids, agency.AccountID(id))
		}
	}
	return ids
}

// changeMember does what a form about a member says.
func (c *console) changeMember(v *visit, in inside, member agency.Party) (answer, error) {
	here, team := in.Address("/team/"+string(member)), in.Address("/team")
	change := service.MemberChange{}
	notice := "changed"
	switch v.do() {
	case "revoke":
		_, err := c.svc.RemoveMember(v.ctx, v.caller(), in.ID, member, v.form.value("block") != "")
		return v.doneUnless(err, here, "revoked")
	case "remove":
		_, err := c.svc.RemoveMember(v.ctx, v.caller(), in.ID, member, false)
		return v.doneUnless(err, team, "removed")
	case "leave":
		_, err := c.svc.RemoveMember(v.ctx, v.caller(), in.ID, member, false)
		return v.doneUnless(err, "/", "left")
	case "restrict":
		change.Areas, notice = v.areas(), "restricted"
	case "until":
		until, err := v.until()
		if err != nil {
			return answer{}, err
		}
		if until == nil {
			return answer{}, &agency.Error{Code: agency.Invalid, Message: "Choose the last day.",
				Fields: []agency.FieldError{{Field: "until", Message: "Choose a day, or remove the end date."}}}
		}
		change.Until, notice = until, "restricted"
	case "forever":
		change.Until, notice = &time.Time{}, "restricted"
	case "change":
		change.Role, change.Areas = v.roleAndAreas()
	case "limit":
		var clients []agency.AccountID
		if v.form.value("limited") == "yes" {
			clients = v.assigned()
		}
		change.Clients = &clients
	default:
		return answer{}, unknownAction()
	}
	_, err := c.svc.ChangeMember(v.ctx, v.caller(), in.ID, member, change)
	return v.doneUnless(err, here, notice)
}
