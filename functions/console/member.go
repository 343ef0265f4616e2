package main

import (
	"slices"
	"strings"
	"time"

	"agencyhub/shared/agency"
	"agencyhub/shared/service"
)

// memberPage is one member of an account: a connected agency, or a person.
type memberPage struct {
	frame
	Member agency.Party
	// Name is the agency's, or the person's address.
	Name     string
	IsAgency bool
	// IsOwningAgency reports whether the member is the agency that owns the account.
	IsOwningAgency, IsYou bool
	// IsUnused reports whether the platform registered the person, who has not signed
	// in since.
	IsUnused bool
	Status   agency.Status
	// Role is a person's: the one that they are invited to have, until they accept.
	Role           agency.Role
	Since, EndDate time.Time
	Access         []areaLevel
	// RequestedBy is the address of the person who sent an agency's request, and
	// Message their message.
	RequestedBy, Message string
	// Invitation is the open invitation of a person, or the open offer of ownership of
	// an active one; nil for none.
	Invitation *sentInvitation
	// InvitationURL is the link in the invitation's email.
	InvitationURL string
	// CanRestrict is of an agency, the others of an active person.
	CanRestrict, CanChange, CanLeave, CanOffer, CanAskSignIn bool
	// IsLastOwner reports whether the person is the account's only owner, who can't be
	// changed or removed.
	IsLastOwner bool
	Roles       []agency.Role
	Levels      levelsTable
	UntilField  untilField
	Cooldown    string
	// ClientLimits is nil for those who can't be limited to some clients.
	ClientLimits *limitsForm
}

// limitsForm is the choice of the clients that a member of an agency works for.
type limitsForm struct {
	IsLimited bool
	Clients   []accountChoice
	// HasMore reports whether some clients are not listed: they can be named by
	// their ids. Others are the chosen ones among them, one a line.
	HasMore bool
	Others  string
	Fault   string
	Max     int
}

// IsInvitation reports whether the page's form invites a person.
func (*memberPage) IsInvitation() bool { return false }

// CurrentRole returns the role that the form shows at first.
func (p *memberPage) CurrentRole() string { return string(p.Role) }

func (c *console) member(v *visit) (response, error) {
	a, err := v.visitedAccount("team")
	if err != nil {
		return response{}, err
	}
	p := &memberPage{frame: frame{Account: a}, Member: agency.Party(v.pathValue("member")), Cooldown: inWords(c.svc.Rules.Cooldown)}
	if res, done, err := v.act(&p.frame, func() (response, error) { return c.changeMember(v, a, p.Member) }); done {
		return res, err
	}
	m, err := c.svc.GetMember(v.ctx, v.caller(), a.ID, p.Member)
	if err != nil {
		return response{}, err
	}
	if a.CanDecideRequests() && m.Kind() == agency.AgencyKind && m.StatusAt(v.now()) != agency.Active {
		// A connection that is not active is decided or unblocked on its request's page.
		v.passNotice()
		return redirect("/requests/" + string(m.ID())), nil
	}
	p.fill(c, v, m)
	if p.IsAgency {
		err = c.fillAgency(v, p, m)
	} else {
		err = c.fillPerson(v, p, m)
	}
	if err != nil {
		return response{}, err
	}
	return show("member", p), nil
}

// fill fills in what agencies and people have in common.
func (p *memberPage) fill(c *console, v *visit, m agency.Profile) {
	p.Name, p.IsAgency, p.IsOwningAgency, p.Role = m.Name, m.Kind() == agency.AgencyKind, m.IsPermanent(), m.ShownRole()
	p.Status, p.Since, p.EndDate = m.StatusAt(v.now()), statusSince(m, v.now()), m.Until
	areas := c.svc.GrantedAreas(m)
	p.Access = c.areaLevels(areas)
	p.Levels = v.newLevelsTable("Access levels", areas, nil)
	p.Levels.Fault = p.Faults.levels("areas")
}

// fillAgency fills in what only agencies have.
func (c *console) fillAgency(v *visit, p *memberPage, m agency.Profile) error {
	p.CanRestrict = p.Account.CanDecideRequests() && p.Status == agency.Active
	p.UntilField = v.newUntilField("Last day of access", m.Until, p.Faults.At("until"))
	if !p.Account.CanDecideRequests() {
		return nil
	}
	details, err := c.svc.RequestDetails(v.ctx, m)
	if err == nil {
		p.RequestedBy, p.Message = details[0].By, details[0].Request.Message
	}
	return err
}

// fillPerson fills in what only people have.
func (c *console) fillPerson(v *visit, p *memberPage, m agency.Profile) error {
	p.Name, p.IsUnused, p.IsYou = agency.DisplayEmail(m.Email), m.Subject == "", m.Member == agency.Party(v.actor.ID()) && p.Account.As == ""
	isActive := p.Status == agency.Active
	p.IsLastOwner = isActive && m.Role == agency.Owner && p.Account.Owners < 2
	p.CanChange = p.Account.canManage(m.Role) && isActive
	p.CanLeave = p.IsYou && isActive
	p.Roles = p.Account.grantableRoles()
	if m.Role != agency.Owner {
		// That role is offered, in a form of its own.
		p.Roles = slices.DeleteFunc(p.Roles, func(r agency.Role) bool { return r == agency.Owner })
	}
	if m.HasOpenRequestAt(v.now()) {
		details, err := c.svc.RequestDetails(v.ctx, m)
		if err != nil {
			return err
		}
		sent := c.sentInvitation(p.Account, details[0])
		p.Invitation, p.InvitationURL = &sent, c.env.PublicURL+invitationURL(p.Account.ID)
	}
	p.CanOffer = p.CanChange && p.Account.CanOfferOwnership() && m.Role != agency.Owner && p.Invitation == nil
	p.CanAskSignIn = p.CanChange && m.Member != agency.Party(v.actor.ID()) && !p.IsLastOwner && !p.IsUnused
	p.Levels.Legend = accessLegend(p.Account)
	if p.CanChange && p.Account.IsAgency() && m.Role == agency.Member {
		return c.fillClientLimits(v, p, m)
	}
	return nil
}

// maxListed bounds the clients that are listed to choose from.
const maxListed = 100

func (c *console) fillClientLimits(v *visit, p *memberPage, m agency.Profile) error {
	clients, _, err := c.svc.Clients(v.ctx, v.actor, p.Account.ID, service.ClientFilter{Status: agency.Active}, service.Page{Limit: maxListed})
	if err != nil {
		return err
	}
	assigned := m.Clients
	l := &limitsForm{IsLimited: m.Clients != nil, HasMore: clients.Next != "", Fault: p.Faults.At("clients"), Max: service.MaxAssigned}
	if v.action() == "limit" {
		l.IsLimited, assigned = v.form.value("limited") == "yes", v.assignedClients()
	}
	var listed []agency.AccountID
	for _, client := range clients.Items {
		id := client.Account()
		listed = append(listed, id)
		l.Clients = append(l.Clients, accountChoice{ID: id, Name: client.AccountName, IsChosen: slices.Contains(assigned, id)})
	}
	var others []string
	for _, id := range assigned {
		if !slices.Contains(listed, id) {
			others = append(others, string(id))
		}
	}
	l.Others = strings.Join(others, "\n")
	p.ClientLimits = l
	return nil
}

// assignedClients returns the clients that were checked, and those named by their
// ids in a text; each once.
func (v *visit) assignedClients() []agency.AccountID {
	ids := []agency.AccountID{}
	for _, id := range append(v.form.values("client"), strings.Fields(v.form.value("others"))...) {
		if !slices.Contains(ids, agency.AccountID(id)) {
			ids = append(ids, agency.AccountID(id))
		}
	}
	return ids
}

// changeMember does what the pressed button says.
func (c *console) changeMember(v *visit, a *visitedAccount, member agency.Party) (response, error) {
	here, team := a.URL("/team/"+string(member)), a.URL("/team")
	change := service.MemberChange{}
	notice := "changed"
	if v.action() == "resend" || v.action() == "withdraw" {
		return c.changeInvitation(v, a, member, here)
	}
	switch v.action() {
	case "revoke":
		_, err := c.svc.RemoveMember(v.ctx, v.caller(), a.ID, member, v.form.value("block") != "")
		return v.doneUnless(err, here, "revoked")
	case "remove":
		_, err := c.svc.RemoveMember(v.ctx, v.caller(), a.ID, member, false)
		return v.doneUnless(err, team, "removed")
	case "leave":
		_, err := c.svc.RemoveMember(v.ctx, v.caller(), a.ID, member, false)
		return v.doneUnless(err, "/", "left")
	case "restrict":
		change.Areas, notice = v.areas(), "restricted"
	case "until":
		until, err := v.endDate()
		if err != nil {
			return response{}, err
		}
		if until == nil {
			return response{}, &agency.Error{Code: agency.Invalid, Message: "Choose the last day.",
				Fields: []agency.FieldError{{Field: "until", Message: "Choose a day, or remove the end date."}}}
		}
		change.Until, notice = until, "restricted"
	case "forever":
		change.Until, notice = &time.Time{}, "restricted"
	case "sign-in":
		_, err := c.svc.AskNewSignIn(v.ctx, v.caller(), a.ID, member)
		return v.doneUnless(err, here, "sign-in-asked")
	case "offer":
		change.Role = agency.Owner
	case "change":
		change.Role, change.Areas = v.roleAndAreas()
	case "limit":
		var clients []agency.AccountID
		if v.form.value("limited") == "yes" {
			clients = v.assignedClients()
		}
		change.Clients = &clients
	default:
		return response{}, unknownAction()
	}
	since := v.now()
	p, err := c.svc.ChangeMember(v.ctx, v.caller(), a.ID, member, change)
	return v.doneUnless(err, here, changeNotice(p, change.Role, since, notice))
}
