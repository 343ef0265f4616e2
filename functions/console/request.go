package main

import (
	"net/http"
	"net/url"
	"strconv"
	"time"

	"agencyhub/shared/agency"
	"agencyhub/shared/service"
)

// requestLink is what the link in an email shows to whoever is not signed in. It
// is the same for every request, and for none: a link is no right, and must
// betray nothing.
type requestLink struct {
	frame
	// To and Unexpected are where to sign in: to look at the request, or to deny
	// it and block whoever asked.
	To, Unexpected string
}

// requestPage is a request as whoever may decide it sees it, in whatever state
// it is by now. Deciding it happens here and nowhere else: Team Members leads
// here too.
type requestPage struct {
	frame
	ID agency.ConnectionID
	// Agency is who asks, By the address of the person there; "" when they have
	// left it since.
	Agency, By string
	// Account is the name of the account that is asked; "" while the request is
	// addressed to a person.
	Account string
	// Status is by the clock; "" for a request that is kept from the person
	// because they hold its agency off.
	Status  agency.Status
	Message string
	// Number is the request that accepting names, so that nobody accepts what
	// they did not see.
	Number               int
	RequestedAt, Expires time.Time
	// Since is when it came into this state.
	Since time.Time
	Asked []grant
	// Terms are the levels and the end date to grant.
	Terms levelsTable
	Until untilField
	// ByEmail requests go to one of the Choices.
	ByEmail     bool
	Choices     []accountChoice
	MoreChoices bool
	OpenFirst   string
	// Unexpected opens what is for somebody who knows nothing of the agency.
	Unexpected bool
	// Held is what the account or the person holds against the agency.
	Held service.Block
	// Cooldown is how long a denial holds.
	Cooldown string
	// Manage is where a connection is changed and ended; Team are the members.
	Manage, Team string
}

type accountChoice struct {
	ID   agency.AccountID
	Name string
	On   bool
}

// BlockOf tells whether the agency is held off now.
func (p *requestPage) HeldOff() bool { return p.Held.Blocked || !p.Held.CoolingUntil.IsZero() }

// request is where the link in an email leads, and a request in Team Members.
func (c *console) request(v *visit) (answer, error) {
	id := agency.ConnectionID(v.path("id"))
	if _, _, ok := id.Split(); !ok {
		return answer{}, &agency.Error{Code: agency.NotFound, Message: "This address leads to no request. Please open the link exactly as it stands in the email: some mail programs break long links in two."}
	}
	if v.actor.Email == "" {
		if v.post() {
			return v.toSignIn(), nil
		}
		return show("request-link", newRequestLink(v)), nil
	}
	a, err := c.showRequest(v, id)
	if agency.CodeOf(err) == agency.NotFound {
		// One sentence for whatever it is that the person may not know.
		return answer{}, &agency.Error{Code: agency.NotFound, Cause: err, Message: "There is no request here that is yours to decide. " +
			"Perhaps its email went to another address of yours: sign in with that one. It may also be gone, as requests are some time after their end."}
	}
	return a, err
}

// showRequest shows a request to whoever may decide it, and does what they decide.
func (c *console) showRequest(v *visit, id agency.ConnectionID) (answer, error) {
	p := &requestPage{ID: id}
	if v.post() {
		done, err := c.decide(v, id)
		if err == nil {
			return done, nil
		}
		if p.Faults, err = v.refuse(err); err != nil {
			return answer{}, err
		}
		if p.Faults.status == http.StatusConflict {
			// What was typed was meant for other terms than those that stand here now.
			v.form = nil
		}
	}
	found, err := c.readRequest(v, p)
	if err != nil {
		return answer{}, err
	}
	if found != id && !v.post() {
		if v.notice != "" {
			v.leave(v.notice)
		}
		return goTo("/requests/" + string(found)), nil
	}
	return refused("request", p, p.Faults), nil
}

func newRequestLink(v *visit) *requestLink {
	here := v.r.URL.EscapedPath()
	link := &requestLink{To: signInTo(here), Unexpected: signInTo(here + "?unexpected=1")}
	if unexpected(v) {
		// The link in the email has said so already.
		link.To = link.Unexpected
	}
	return link
}

// unexpected tells whether the person has come by "I did not expect this".
func unexpected(v *visit) bool { return v.r.URL.Query().Get("unexpected") != "" }

// decide does what the person has decided.
func (c *console) decide(v *visit, id agency.ConnectionID) (answer, error) {
	here := "/requests/" + string(id)
	addressee, of, _ := id.Split()
	switch v.do() {
	case "accept":
		p, err := c.accept(v, id, addressee.Account())
		if err != nil {
			return answer{}, err
		}
		return v.done("/accounts/"+string(p.Account())+"/team/"+string(of), "accepted"), nil
	case "deny":
		_, err := c.svc.DenyRequestByID(v.ctx, v.actor, id, false)
		return v.doneUnless(err, here, "denied")
	case "block":
		_, err := c.svc.DenyRequestByID(v.ctx, v.actor, id, true)
		return v.doneUnless(err, here, "blocked")
	case "allow":
		var held bool
		var err error
		if account := addressee.Account(); account != "" {
			held, err = c.svc.Unblock(v.ctx, agency.Caller{Actor: v.actor}, account, of)
		} else {
			held, err = c.svc.UnblockForMe(v.ctx, v.actor, id)
		}
		if err != nil {
			return answer{}, err
		}
		// A request that was made meanwhile stays kept from the person.
		if _, err := c.svc.GetRequest(v.ctx, v.actor, id); agency.CodeOf(err) == agency.NotFound {
			here = "/me"
			if account := addressee.Account(); account != "" {
				here = "/accounts/" + string(account) + "/team"
			}
		}
		return v.done(here, allowedNotice(held)), nil
	default:
		return answer{}, unknownAction()
	}
}

func allowedNotice(held bool) string {
	if held {
		return "allowed"
	}
	return "not-held"
}

// accept lets the agency in, on the terms that were typed, into the account that
// is asked or, by email, into the one that was chosen.
func (c *console) accept(v *visit, id agency.ConnectionID, account agency.AccountID) (agency.Profile, error) {
	until, err := v.until()
	if err != nil {
		return agency.Profile{}, err
	}
	if account == "" {
		if account = agency.AccountID(v.form.value("account")); !account.IsValid() {
			return agency.Profile{}, &agency.Error{Code: agency.Invalid, Message: "Choose the account that the agency may work in.",
				Fields: []agency.FieldError{{Field: "account", Message: "Choose one."}}}
		}
	}
	number, err := strconv.Atoi(v.form.value("request"))
	if err != nil {
		return agency.Profile{}, unknownAction()
	}
	return c.svc.AcceptRequestInto(v.ctx, v.actor, id, account, service.Grant{Request: number, Areas: v.areas(), Until: until})
}

// readRequest fills the page with the request as it is now, and answers under
// which id it stands: a request by email may have gone to an account.
func (c *console) readRequest(v *visit, p *requestPage) (agency.ConnectionID, error) {
	p.Unexpected = unexpected(v)
	p.Cooldown = lasting(c.svc.Rules.Cooldown)
	request, err := c.svc.GetRequest(v.ctx, v.actor, p.ID)
	if agency.CodeOf(err) == agency.NotFound {
		return p.ID, c.readHeld(v, p, err)
	}
	if err != nil {
		return "", err
	}
	p.ID = request.ID()
	if err := c.readAsked(v, p, request); err != nil {
		return "", err
	}
	switch p.Status {
	case agency.Pending:
		if p.ByEmail {
			return p.ID, c.readChoices(v, p, request.Member.Account())
		}
	case agency.Active:
	default:
		p.Held, err = c.svc.BlockOf(v.ctx, v.actor, p.ID)
	}
	return p.ID, err
}

// readHeld is for a request that its addressee does not see: whoever holds its
// agency off is told so, and can allow it again.
func (c *console) readHeld(v *visit, p *requestPage, missing error) error {
	held, err := c.svc.BlockOf(v.ctx, v.actor, p.ID)
	if err != nil && agency.CodeOf(err) == agency.Internal {
		return err
	}
	if err != nil || !held.IsBlockedOrCooling(v.now()) {
		return missing
	}
	p.Held, p.Agency = held, held.Name
	return nil
}

// readAsked fills in who asks, for what, and what has become of it.
func (c *console) readAsked(v *visit, p *requestPage, request agency.Profile) error {
	details, err := c.svc.RequestDetails(v.ctx, request)
	if err != nil {
		return err
	}
	asked := details[0]
	p.Agency, p.By, p.Message, p.Number = asked.Name, asked.By, asked.Request.Message, asked.Request.Number
	p.Status, p.RequestedAt, p.Expires = asked.StatusAt(v.now()), asked.Request.RequestedAt, asked.Request.ExpiresAt
	p.Since = since(asked.Profile, v.now())
	areas := c.svc.GrantedAreas(request)
	p.Asked = c.grants(areas)
	p.Terms = v.levelsTable("What it may do", areas, areas)
	p.Terms.Hint = "You can grant less than what was asked for, not more. Afterwards you can change it at any time."
	p.Terms.Fault = p.Faults.levels("areas")
	p.Until = v.untilField("Until when", time.Time{}, p.Faults.At("until"))
	p.Until.Optional = true
	if account := request.Account(); account != "" {
		view, err := c.svc.GetAccount(v.ctx, agency.Caller{Actor: v.actor}, account)
		if err != nil {
			return err
		}
		p.Account, p.Tabs = view.Name, &tabs{Account: view, Role: view.Role, On: "team"}
		p.Team = "/accounts/" + string(account) + "/team"
		p.Manage = p.Team + "/" + string(request.Member)
	}
	p.ByEmail = request.Account() == ""
	return nil
}

// mostChoices bounds among how many accounts a person chooses.
const mostChoices = 100

// readChoices lists the accounts that a request by email can go to: those which
// the person owns or manages, but for the agency's own.
func (c *console) readChoices(v *visit, p *requestPage, asker agency.AccountID) error {
	p.OpenFirst = "/accounts/new?to=" + url.QueryEscape("/requests/"+string(p.ID))
	chosen := agency.AccountID(v.form.value("account"))
	for page := (service.Page{Limit: pageSize}); ; {
		mine, err := c.svc.MyAccounts(v.ctx, v.actor, page)
		if err != nil {
			return err
		}
		for _, a := range mine.Items {
			if a.ID != asker && a.Ownership == agency.ClientOwned && (a.Role == agency.Owner || a.Role == agency.Admin) {
				p.Choices = append(p.Choices, accountChoice{ID: a.ID, Name: a.Name, On: a.ID == chosen})
			}
		}
		if page.Cursor = mine.Next; page.Cursor == "" {
			break
		}
		if len(p.Choices) >= mostChoices {
			p.MoreChoices = true
			break
		}
	}
	if len(p.Choices) == 1 {
		p.Choices[0].On = true
	}
	return nil
}
