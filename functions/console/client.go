package main

import (
	"time"

	"agencyhub/shared/agency"
	"agencyhub/shared/service"
)

// clientPage is one of an agency's connections: what holds, what became of its
// request, and what the agency can do about it.
type clientPage struct {
	frame
	Agency agency.AccountID
	// Works tells whether the person may do anything here.
	Works bool
	clientFacts
	// State is where the subscription stands, while the account is active.
	State agency.SubscriptionState
	// Levels are granted, asked for, or, after the end, what was.
	Levels []grant
	// Request is the number of the request, 0 for an account that the agency has
	// created.
	Request     int
	Message     string
	RequestedAt time.Time
	ByEmail     string
	Delivery    agency.Delivery
	MailedAt    time.Time
	// Link is the request's, as its email has it.
	Link string
	// Resends is how often the email can still be sent again, and ResendAt from
	// when on, while that is not now.
	Resends  int
	ResendAt time.Time
	// Again is where to ask again; "" where that leads nowhere.
	Again string
	// People are the client's persons in an owned account.
	People []clientPerson
	// Team and Subscription are the account's pages with the agency's hat on, for
	// those who may go there.
	Team, Subscription string
	// Days are what happened lately, for those who may read it.
	Days []activityDay
}

// lately is how many lines of activity stand on a client's page.
const lately = 10

// clientPerson is a person of the client's, in an account that the agency owns.
type clientPerson struct {
	Email, Reach string
	// Failed tells that the email which told them of their access came back.
	Failed bool
}

func (c *console) client(v *visit) (answer, error) {
	id := agency.ConnectionID(v.path("id"))
	p := &clientPage{Agency: v.agency()}
	if v.post() {
		notice, err := c.actOnClient(v, id)
		if err == nil {
			return v.done(clientLink(p.Agency, id), notice), nil
		}
		if p.Faults, err = v.refuse(err); err != nil {
			return answer{}, err
		}
	}
	var view service.AccountView
	var profile agency.Profile
	err := v.together(
		func() (err error) { view, p.Tabs, err = c.inAgency(v, "clients"); return err },
		func() (err error) { profile, err = c.svc.GetConnection(v.ctx, v.actor, p.Agency, id); return err },
	)
	if err != nil {
		return answer{}, err
	}
	if profile.ID() != id && !p.Faults.Any() {
		// A request by email that an account has taken up.
		return goTo(clientLink(p.Agency, profile.ID())), nil
	}
	c.describe(p, view, profile)
	if p.Works {
		events, err := c.svc.ConnectionActivity(v.ctx, v.actor, p.Agency, profile.ID(), lately)
		if err != nil {
			return answer{}, err
		}
		if p.Days, err = c.activityDays(v, agency.Caller{Actor: v.actor, As: p.Agency}, events, tellInAgency); err != nil {
			return answer{}, err
		}
	}
	if p.Active() {
		if err := c.lookInside(v, p); err != nil {
			return answer{}, err
		}
	}
	return refused("client", p, p.Faults), nil
}

// actOnClient does what the pressed button says, and names the notice of it.
func (c *console) actOnClient(v *visit, id agency.ConnectionID) (notice string, err error) {
	switch v.do() {
	case "resend":
		_, err = c.svc.ResendRequest(v.ctx, v.actor, v.agency(), id)
		return "resent", err
	case "withdraw":
		_, err = c.svc.WithdrawRequest(v.ctx, v.actor, v.agency(), id)
		return "withdrawn", err
	case "leave":
		_, err = c.svc.LeaveAccount(v.ctx, v.actor, v.agency(), id)
		return "departed", err
	default:
		return "", unknownAction()
	}
}

// describe fills in what the connection itself tells.
func (c *console) describe(p *clientPage, view service.AccountView, profile agency.Profile) {
	p.Works = worksHub(view) && view.IsAgency()
	p.clientFacts = c.facts(profile)
	p.Request, p.Message, p.RequestedAt = profile.Request.Number, profile.Request.Message, profile.Request.RequestedAt
	p.Delivery, p.MailedAt = profile.Request.Delivery, profile.Request.MailedAt
	if profile.Addressee.Person() != "" {
		p.ByEmail = profile.Email
	}
	p.Levels = c.grants(c.svc.GrantedAreas(profile))
	if p.Pending() {
		p.Link = c.env.PublicURL + "/requests/" + string(profile.ID())
		p.Resends = max(0, c.svc.Rules.Resends-profile.Request.Resends)
		if at := profile.Request.MailedAt.Add(c.svc.Rules.ResendAfter); c.now().Before(at) {
			p.ResendAt = at
		}
	}
	// Nobody can accept for an account that is closed.
	if p.Works && p.Over() && !p.Owned && p.Status != agency.Ended {
		p.Again = agencyLink(p.Agency, "/add/connect?again="+string(profile.ID()))
	}
}

// lookInside fills in what an active account itself tells to its agency.
func (c *console) lookInside(v *visit, p *clientPage) error {
	inside := agency.Caller{Actor: v.actor, As: p.Agency}
	var view service.AccountView
	var team service.List[agency.Profile]
	err := v.together(
		func() (err error) { view, err = c.svc.GetAccount(v.ctx, inside, p.Account); return err },
		func() (err error) {
			if p.Owned && p.Works {
				team, err = c.svc.Team(v.ctx, inside, p.Account, service.Page{Limit: pageSize})
			}
			return err
		},
	)
	if agency.CodeOf(err) == agency.NotFound {
		// It has ended between two reads, or the hub is off: the connection tells.
		return nil
	}
	if err != nil {
		return err
	}
	p.State = view.Subscription.State
	if p.Owned {
		// The account knows its plan; the connection, what it was.
		p.Plan, p.Price, p.Subscribed = view.Subscription.Plan, c.planPrice(view.Subscription.Plan), view.Subscription.State
	}
	if !p.Owned || !p.Works {
		return nil
	}
	account := "/accounts/" + string(p.Account)
	p.Team = account + "/team?as=" + string(p.Agency)
	if p.Tabs.Account.Role == agency.Owner {
		p.Subscription = account + "/subscription?as=" + string(p.Agency)
	}
	for _, one := range team.Items {
		if one.Kind() == agency.PersonKind && one.StatusAt(c.now()) == agency.Active {
			p.People = append(p.People, clientPerson{Email: one.Email, Reach: c.inShort(c.svc.GrantedAreas(one)), Failed: uninformed(one)})
		}
	}
	return nil
}
