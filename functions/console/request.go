package main

import (
	"net/http"
	"net/url"
	"strconv"
	"time"

	"agencyhub/shared/agency"
	"agencyhub/shared/service"
)

// requestLinkPage is what the link in an email shows before sign-in. It is the same
// for every request, and for none: the link alone must reveal nothing.
type requestLinkPage struct {
	frame
	// SignInURL leads to the request, and UnexpectedURL to the request with the
	// offer to block its agency; both by way of the sign-in.
	SignInURL, UnexpectedURL string
}

// requestPage is a request in any state, for those who may decide it. It is the only
// page to decide it: Team Members leads here too.
type requestPage struct {
	frame
	ID agency.ConnectionID
	// Agency is the agency's name. RequestedBy is the address of the person who sent
	// the request; "" once they have left the agency.
	Agency, RequestedBy string
	// AccountName is "" while the request is addressed to a person.
	AccountName string
	// Status is by the clock; "" for a request that is hidden, since its agency is
	// blocked.
	Status  agency.Status
	Message string
	// Request is the number that accepting must name, so that nobody accepts terms
	// that they did not see.
	Request              int
	RequestedAt, Expires time.Time
	// HasChanged reports whether the person answered other terms than those shown now.
	HasChanged bool
	// Since is when the request came into this state.
	Since     time.Time
	Requested []areaLevel
	// Levels and UntilField are the terms to grant.
	Levels     levelsTable
	UntilField untilField
	// IsByEmail reports whether the request is accepted into one of the Choices, or
	// into an account opened for it.
	IsByEmail      bool
	Choices        []accountChoice
	HasMoreChoices bool
	OpenAccountURL string
	// IsUnexpected reports whether the person came by "I did not expect this".
	IsUnexpected bool
	// Block is the agency's block or cooldown at the addressee.
	Block service.Block
	// Cooldown is how long the agency can't request access again after a decline.
	Cooldown string
	// ManageURL is where an active connection is changed and ended; TeamURL is the
	// Team Members.
	ManageURL, TeamURL string
}

// accountChoice is an account to choose in a form.
type accountChoice struct {
	ID       agency.AccountID
	Name     string
	IsChosen bool
}

// IsBlockedOrCooling reports whether the agency can't request access now.
func (p *requestPage) IsBlockedOrCooling() bool {
	return p.Block.Blocked || !p.Block.CoolingUntil.IsZero()
}

// request is the page of a request. Before sign-in it is the same for all.
func (c *console) request(v *visit) (response, error) {
	id := agency.ConnectionID(v.pathValue("id"))
	if _, _, ok := id.Split(); !ok {
		return response{}, &agency.Error{Code: agency.NotFound, Message: "This link leads to no request. " +
			"Open it exactly as it is in the email: some mail programs break long links in two."}
	}
	if v.actor.Email == "" {
		if v.isPost() {
			return v.askToSignIn(), nil
		}
		return show("request-link", newRequestLinkPage(v)), nil
	}
	a, err := c.showRequest(v, id)
	if agency.CodeOf(err) == agency.NotFound {
		// One sentence for all that the person may not know.
		return response{}, &agency.Error{Code: agency.NotFound, Cause: err, Message: "There is no request here for you to answer. " +
			"If the email went to another address of yours, sign in with that one. The request may also have been deleted after its end."}
	}
	return a, err
}

// showRequest shows a request to a signed-in person, and does what they decide.
func (c *console) showRequest(v *visit, id agency.ConnectionID) (response, error) {
	p := &requestPage{ID: id}
	if v.isPost() {
		done, err := c.decide(v, id)
		if err == nil {
			return done, nil
		}
		if p.Faults, err = v.refuse(err); err != nil {
			return response{}, err
		}
		if p.Faults.status == http.StatusConflict {
			// What was typed was meant for other terms.
			v.dropForm()
		}
	}
	found, err := c.readRequest(v, p)
	if err != nil {
		return response{}, err
	}
	if found != id && !v.isPost() {
		v.passNotice()
		return redirect("/requests/" + string(found)), nil
	}
	return show("request", p), nil
}

func newRequestLinkPage(v *visit) *requestLinkPage {
	here := v.r.URL.EscapedPath()
	link := &requestLinkPage{SignInURL: signInTo(here), UnexpectedURL: signInTo(here + "?unexpected=1")}
	if isUnexpected(v) {
		// The person followed that link in the email.
		link.SignInURL = link.UnexpectedURL
	}
	return link
}

// isUnexpected reports whether the person came by "I did not expect this".
func isUnexpected(v *visit) bool { return v.r.URL.Query().Get("unexpected") != "" }

// decide does what the pressed button says.
func (c *console) decide(v *visit, id agency.ConnectionID) (response, error) {
	here := "/requests/" + string(id)
	addressee, of, _ := id.Split()
	switch v.action() {
	case "accept":
		p, err := c.accept(v, id, addressee.Account())
		if err != nil {
			return response{}, err
		}
		return v.done(connectedURL(p), "accepted"), nil
	case "decline":
		number, err := v.requestNumber()
		if err != nil {
			return response{}, err
		}
		_, err = c.svc.DeclineRequestByID(v.ctx, v.actor, id, service.Decline{Request: number})
		return v.doneUnless(err, here, "declined")
	case "block":
		number, err := v.requestNumber()
		if err != nil {
			return response{}, err
		}
		_, err = c.svc.DeclineRequestByID(v.ctx, v.actor, id, service.Decline{Request: number, Block: true})
		return v.doneUnless(err, here, "blocked")
	case "allow":
		var wasBlocked bool
		var err error
		if account := addressee.Account(); account != "" {
			wasBlocked, err = c.svc.Unblock(v.ctx, agency.Caller{Actor: v.actor}, account, of)
		} else {
			wasBlocked, err = c.svc.UnblockForMe(v.ctx, v.actor, id)
		}
		if err != nil {
			return response{}, err
		}
		// A request made while the agency was blocked stays hidden from the person.
		if _, err := c.svc.GetRequest(v.ctx, v.actor, id); agency.CodeOf(err) == agency.NotFound {
			here = "/me"
			if account := addressee.Account(); account != "" {
				here = "/accounts/" + string(account) + "/team"
			}
		}
		return v.done(here, unblockedNotice(wasBlocked)), nil
	default:
		return response{}, unknownAction()
	}
}

// connectedURL returns the account's page of a connected agency.
func connectedURL(p agency.Profile) string {
	return "/accounts/" + string(p.Account()) + "/team/" + string(p.Member)
}

// unblockedNotice returns the notice of unblocking: was reports whether there was
// anything to lift.
func unblockedNotice(was bool) string {
	if was {
		return "allowed"
	}
	return "not-held"
}

// accept accepts a request on the typed terms, into its account. A request by email
// has none: it goes into the chosen one. Without a table of levels, as on a card, it
// grants what was requested.
func (c *console) accept(v *visit, id agency.ConnectionID, account agency.AccountID) (agency.Profile, error) {
	until, err := v.endDate()
	if err != nil {
		return agency.Profile{}, err
	}
	if account == "" {
		account = agency.AccountID(v.form.value("account"))
		if !account.IsValid() {
			return agency.Profile{}, &agency.Error{Code: agency.Invalid, Message: "Choose the account.",
				Fields: []agency.FieldError{{Field: "account", Message: "Choose one."}}}
		}
	}
	number, err := v.requestNumber()
	if err != nil {
		return agency.Profile{}, err
	}
	grant := service.Grant{Request: number, Areas: v.areas(), Until: until}
	if len(grant.Areas) == 0 {
		grant.Areas = nil
	}
	return c.svc.AcceptRequestInto(v.ctx, v.actor, id, account, grant)
}

// requestNumber returns the number of the request that the form showed.
func (v *visit) requestNumber() (int, error) {
	number, err := strconv.Atoi(v.form.value("request"))
	if err != nil {
		return 0, unknownAction()
	}
	return number, nil
}

// readRequest fills in the request as it is now, and returns its id: another one for
// a request by email that was accepted into an account.
func (c *console) readRequest(v *visit, p *requestPage) (agency.ConnectionID, error) {
	p.IsUnexpected = isUnexpected(v)
	p.Cooldown = inWords(c.svc.Rules.Cooldown)
	request, err := c.svc.GetRequest(v.ctx, v.actor, p.ID)
	if agency.CodeOf(err) == agency.NotFound {
		return p.ID, c.readHidden(v, p, err)
	}
	if err != nil {
		return "", err
	}
	p.ID = request.ID()
	if err := c.fillRequest(v, p, request); err != nil {
		return "", err
	}
	if p.Status != agency.Pending {
		v.dropForm() // there is nothing to answer
	}
	switch p.Status {
	case agency.Pending:
		if p.IsByEmail {
			return p.ID, c.readChoices(v, p, request.Member.Account())
		}
	case agency.Active:
	default:
		p.Block, err = c.svc.BlockOf(v.ctx, v.actor, p.ID)
	}
	return p.ID, err
}

// readHidden fills in the block by which a request is hidden from its addressee, so
// that they can unblock the agency. Without a block it returns the error missing.
func (c *console) readHidden(v *visit, p *requestPage, missing error) error {
	block, err := c.svc.BlockOf(v.ctx, v.actor, p.ID)
	if code := agency.CodeOf(err); code == agency.Internal || code == agency.Unavailable {
		return err
	}
	if err != nil || !block.IsBlockedOrCooling(v.now()) {
		return missing
	}
	p.Block, p.Agency = block, block.Name
	return nil
}

// fillRequest fills in who requests access, to what, and what became of it.
func (c *console) fillRequest(v *visit, p *requestPage, request agency.Profile) error {
	details, err := c.svc.RequestDetails(v.ctx, request)
	if err != nil {
		return err
	}
	asked := details[0]
	p.Agency, p.RequestedBy, p.Message, p.Request = asked.Name, asked.By, asked.Request.Message, asked.Request.Number
	p.Status, p.RequestedAt, p.Expires = asked.StatusAt(v.now()), asked.Request.RequestedAt, asked.Request.ExpiresAt
	p.Since = statusSince(asked.Profile, v.now())
	if p.HasChanged = p.Faults.Code == agency.Conflict || v.answersAnother(p.Request, ""); p.HasChanged {
		v.dropForm()
	}
	areas := c.svc.GrantedAreas(request)
	p.Requested = c.areaLevels(areas)
	p.Levels = v.newLevelsTable("Access levels", areas, areas)
	p.Levels.Hint = "You can grant less than requested, not more. You can change it later."
	p.Levels.Fault = p.Faults.levels("areas")
	p.UntilField = v.newUntilField("End date", time.Time{}, p.Faults.At("until"))
	p.UntilField.IsOptional = true
	if account := request.Account(); account != "" {
		view, err := c.svc.GetAccount(v.ctx, agency.Caller{Actor: v.actor}, account)
		if err != nil {
			return err
		}
		p.AccountName, p.Account = view.Name, &visitedAccount{AccountView: view, Tab: "team"}
		p.TeamURL = "/accounts/" + string(account) + "/team"
		p.ManageURL = p.TeamURL + "/" + string(request.Member)
	}
	p.IsByEmail = request.Account() == ""
	return nil
}

// maxChoices ends the list of accounts to choose from, after a whole page of them.
const maxChoices = 100

// readChoices lists the accounts that a request by email can be accepted into: those
// where the person may decide requests, but not the agency's own.
func (c *console) readChoices(v *visit, p *requestPage, asker agency.AccountID) error {
	p.OpenAccountURL = "/accounts/new?to=" + url.QueryEscape("/requests/"+string(p.ID))
	chosen := agency.AccountID(v.form.value("account"))
	page := service.Page{Limit: pageSize}
	for {
		mine, err := c.svc.MyAccounts(v.ctx, v.actor, page)
		if err != nil {
			return err
		}
		for _, a := range mine.Items {
			if a.ID != asker && allows(a, agency.DecideRequests) {
				p.Choices = append(p.Choices, accountChoice{ID: a.ID, Name: a.Name, IsChosen: a.ID == chosen})
			}
		}
		p.HasMoreChoices = mine.Next != "" && len(p.Choices) >= maxChoices
		if mine.Next == "" || p.HasMoreChoices {
			break
		}
		page.Cursor = mine.Next
	}
	if len(p.Choices) == 1 {
		p.Choices[0].IsChosen = true
	}
	return nil
}
