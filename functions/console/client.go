package main

import (
	"time"

	"agencyhub/shared/agency"
	"agencyhub/shared/service"
)

// clientPage is one of an agency's connections: its terms, its request, and what the
// agency can do about it.
type clientPage struct {
	frame
	Agency agency.AccountID
	// CanManage reports whether the person may change the connection.
	CanManage bool
	clientFacts
	// SubscriptionBadge is the account's subscription state while the connection is
	// active; "" otherwise.
	SubscriptionBadge agency.SubscriptionState
	// Levels are those granted; those asked for while pending; the last ones after
	// the end.
	Levels []areaLevel
	// Request is the number of the request; 0 for an account that the agency
	// created.
	Request     int
	Message     string
	RequestedAt time.Time
	ByEmail     string
	MailedAt    time.Time
	// RequestURL is the link in the request's email.
	RequestURL string
	// Resends is how often the email can still be sent again. ResendAt is the next
	// time that it can; zero for now.
	Resends  int
	ResendAt time.Time
	// AgainURL is where to request access again; "" where nobody could accept.
	AgainURL string
	// People are the client's people in an agency-owned account.
	People []clientPerson
	// TeamURL and SubscriptionURL are pages of an agency-owned account; "" for those
	// who may not see them.
	TeamURL, SubscriptionURL string
	// Days is the latest activity, for those who may read it.
	Days []activityDay
}

// recentEntries is the number of activity entries on a client's page.
const recentEntries = 10

// clientPerson is one of the client's people in an agency-owned account: with access,
// or invited.
type clientPerson struct {
	Email, Access string
	URL           string
	// Expires is when the invitation does; zero for somebody with access.
	Expires time.Time
	// EmailFailed reports whether the email of the invitation came back.
	EmailFailed bool
}

// IsInvited reports whether the person's invitation waits for their answer.
func (p clientPerson) IsInvited() bool { return !p.Expires.IsZero() }

func (c *console) client(v *visit) (response, error) {
	id := agency.ConnectionID(v.pathValue("id"))
	p := &clientPage{Agency: v.agencyID()}
	if res, done, err := v.act(&p.frame, func() (response, error) { return c.changeClient(v, id) }); done {
		return res, err
	}
	var profile agency.Profile
	err := v.inParallel(
		func() (err error) { p.Account, err = v.visitedAgency("clients"); return err },
		func() (err error) { profile, err = c.svc.GetConnection(v.ctx, v.actor, p.Agency, id); return err },
	)
	if err != nil {
		return response{}, err
	}
	if profile.ID() != id && !p.Faults.HasAny() {
		// A request by email, accepted into an account.
		v.passNotice()
		return redirect(clientURL(p.Agency, profile.ID())), nil
	}
	c.fillConnection(p, profile)
	if p.CanManage {
		events, err := c.svc.ConnectionActivity(v.ctx, v.actor, p.Agency, profile.ID(), recentEntries)
		if err != nil {
			return response{}, err
		}
		if p.Days, err = c.activityDays(v, agency.Caller{Actor: v.actor, As: p.Agency}, events, agencyScope); err != nil {
			return response{}, err
		}
	}
	if p.IsActive() {
		if err := c.fillAccount(v, p); err != nil {
			return response{}, err
		}
	}
	return show("client", p), nil
}

// changeClient does what the pressed button says.
func (c *console) changeClient(v *visit, id agency.ConnectionID) (response, error) {
	var err error
	var notice string
	switch v.action() {
	case "resend":
		notice = "resent"
		_, err = c.svc.ResendRequest(v.ctx, v.actor, v.agencyID(), id)
	case "withdraw":
		notice = "withdrawn"
		_, err = c.svc.WithdrawRequest(v.ctx, v.actor, v.agencyID(), id)
	case "leave":
		notice = "departed"
		_, err = c.svc.LeaveAccount(v.ctx, v.actor, v.agencyID(), id)
	default:
		err = unknownAction()
	}
	return v.doneUnless(err, clientURL(v.agencyID(), id), notice)
}

// fillConnection fills in what the connection's profile says.
func (c *console) fillConnection(p *clientPage, profile agency.Profile) {
	p.CanManage = allows(p.Account.AccountView, agency.ManageClients) && p.Account.IsAgency()
	p.clientFacts = c.clientFacts(profile)
	p.Request, p.Message, p.RequestedAt = profile.Request.Number, profile.Request.Message, profile.Request.RequestedAt
	p.MailedAt = profile.Request.MailedAt
	if profile.Addressee.Person() != "" {
		p.ByEmail = agency.DisplayEmail(profile.Email)
	}
	p.Levels = c.areaLevels(c.svc.GrantedAreas(profile))
	if p.IsPending() {
		p.RequestURL = c.env.PublicURL + "/requests/" + string(profile.ID())
		p.Resends = max(0, c.svc.Rules.Resends-profile.Request.Resends)
		if at := profile.Request.MailedAt.Add(c.svc.Rules.ResendAfter); c.now().Before(at) {
			p.ResendAt = at
		}
	}
	// Nobody can accept for a closed account.
	if p.CanManage && p.IsEnded() && !p.IsAgencyOwned && p.Status != agency.Ended {
		p.AgainURL = agencyURL(p.Agency, "/add/connect?again="+string(profile.ID()))
	}
}

// fillAccount fills in what an agency may see of an account that it is connected to.
func (c *console) fillAccount(v *visit, p *clientPage) error {
	caller := agency.Caller{Actor: v.actor, As: p.Agency}
	var view service.AccountView
	var team service.List[agency.Profile]
	err := v.inParallel(
		func() (err error) { view, err = c.svc.GetAccount(v.ctx, caller, p.AccountID); return err },
		func() (err error) {
			if p.IsAgencyOwned && p.CanManage {
				team, err = c.svc.Team(v.ctx, caller, p.AccountID, service.Page{Limit: pageSize})
			}
			return err
		},
	)
	if agency.CodeOf(err) == agency.NotFound {
		// It ended between two reads, or the agency is switched off.
		return nil
	}
	if err != nil {
		return err
	}
	p.SubscriptionBadge = view.Subscription.State
	if p.IsAgencyOwned {
		// The connection's copy of the plan may be older.
		p.Plan, p.Price, p.SubscriptionState = view.Subscription.Plan, c.planPrice(view.Subscription.Plan), view.Subscription.State
	}
	if !p.IsAgencyOwned || !p.CanManage {
		return nil
	}
	account := "/accounts/" + string(p.AccountID)
	p.TeamURL = account + "/team?as=" + string(p.Agency)
	if allows(view, agency.ManageBilling) {
		p.SubscriptionURL = account + "/subscription?as=" + string(p.Agency)
	}
	for _, one := range team.Items {
		status := one.StatusAt(c.now())
		if one.Kind() != agency.PersonKind || status != agency.Active && status != agency.Invited {
			continue
		}
		person := clientPerson{
			Email: agency.DisplayEmail(one.Email), Access: c.accessSummary(c.svc.GrantedAreas(one)), URL: account + "/team/" + string(one.Member) + "?as=" + string(p.Agency),
		}
		if status == agency.Invited {
			person.Expires, person.EmailFailed = one.Request.ExpiresAt, one.Request.Delivery == agency.DeliveryFailed
		}
		p.People = append(p.People, person)
	}
	return nil
}
