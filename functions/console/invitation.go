package main

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"time"

	"agencyhub/shared/agency"
	"agencyhub/shared/service"
)

// invitationURL returns the page of the person's invitation to an account, or of their
// offer of ownership.
func invitationURL(id agency.AccountID) string { return "/invitations/" + string(id) }

// invitationLinkPage is what the link in an email shows before sign-in. It is the same
// for every account, and for none.
type invitationLinkPage struct {
	frame
	SignInURL string
}

// invitationPage is the person's latest invitation to an account, or offer of
// ownership, in any state.
type invitationPage struct {
	frame
	// AccountName is the account's, and From the name of the account that invites.
	AccountName, From string
	// By is the address of the person who invites; "" once they can't be named.
	By string
	// IsAgencyOwned reports whether From is the agency that owns the account.
	IsAgencyOwned, IsOffer bool
	State                  invitationState
	// Role is the role asked for; the person's own once they have accepted.
	Role   agency.Role
	Access []areaLevel
	// Request is the number that every answer must name, so that nobody accepts terms
	// that they did not see.
	Request         int
	SentAt, Expires time.Time
	// HasChanged reports whether the person answered other terms than those shown now.
	HasChanged bool
	// Plan is the account's where accepting makes the person a payer, and Price the
	// plan in words; "" otherwise.
	Plan, Price       string
	SubscriptionIssue agency.SubscriptionState
	// AccountURL is the account's page, for those who have access.
	AccountURL string
	// Cooldown is how long From can't invite again after a decline.
	Cooldown string
	// Block is the person's block or cooldown of From.
	Block service.Block
}

// invitationState is what became of an invitation or of an offer of ownership.
type invitationState string

const (
	invitationOpen      invitationState = "open"
	invitationAccepted  invitationState = "accepted"
	invitationDeclined  invitationState = "declined"
	invitationWithdrawn invitationState = "withdrawn"
	invitationExpired   invitationState = "expired"
	// invitationEnded: the person had access, and has none now.
	invitationEnded  invitationState = "ended"
	invitationClosed invitationState = "closed"
)

// stateOfInvitation returns what became of an invitation, by the clock.
func stateOfInvitation(w service.RequestDetail, now time.Time) invitationState {
	switch {
	case !w.Account.IsOpen():
		return invitationClosed
	case w.HasOpenRequestAt(now):
		return invitationOpen
	case w.HasOpenRequest():
		return invitationExpired
	case w.Status == agency.Active && w.RequestKind() != agency.OwnershipKind:
		return invitationAccepted
	case w.Status == agency.Active || w.ShowsRequest():
		return invitationState(w.Request.State)
	default:
		return invitationEnded
	}
}

// invitation is the page of an invitation. Before sign-in it is the same for all.
func (c *console) invitation(v *visit) (response, error) {
	id := v.accountID()
	if !id.IsValid() {
		return response{}, &agency.Error{Code: agency.NotFound, Message: "This link leads to no invitation. " +
			"Open it exactly as it is in the email: some mail programs break long links in two."}
	}
	if v.actor.Email == "" {
		if v.isPost() {
			return v.askToSignIn(), nil
		}
		return show("invitation-link", &invitationLinkPage{SignInURL: signInTo(v.r.URL.EscapedPath())}), nil
	}
	res, err := c.showInvitation(v, id)
	if agency.CodeOf(err) == agency.NotFound {
		// One sentence for all that the person may not know.
		return response{}, &agency.Error{Code: agency.NotFound, Cause: err, Message: "There is no invitation here for your address. " +
			"If the email went to another address of yours, sign in with that one."}
	}
	return res, err
}

// showInvitation shows an invitation to a signed-in person, and does what they decide.
func (c *console) showInvitation(v *visit, id agency.AccountID) (response, error) {
	p := &invitationPage{Cooldown: inWords(c.svc.Rules.Cooldown)}
	res, done, err := v.act(&p.frame, func() (response, error) { return c.answerInvitation(v, id, invitationURL(id)) })
	if done {
		return res, err
	}
	w, err := c.svc.GetInvitation(v.ctx, v.actor, id)
	if err != nil {
		return response{}, err
	}
	p.fill(c, w)
	p.HasChanged = p.Faults.Code == agency.Conflict || v.answersAnother(p.Request, p.Plan)
	if p.HasChanged || p.Faults.status == http.StatusConflict || p.State != invitationOpen {
		// What was confirmed were other terms, or there is nothing to answer.
		v.dropForm()
	}
	switch p.State {
	case invitationDeclined, invitationExpired, invitationEnded:
		if p.Block, err = c.svc.BlockOf(v.ctx, v.actor, askedBy(v.actor, w.Request.From)); err != nil {
			return response{}, err
		}
	default:
	}
	if w.StatusAt(v.now()) == agency.Active {
		if err := p.fillAccount(c, v, id); err != nil {
			return response{}, err
		}
	}
	return show("invitation", p), nil
}

// answersAnother reports whether the form answers a request, and not the one of this
// number and plan. Only an acceptance names a plan.
func (v *visit) answersAnother(request int, plan string) bool {
	if !slices.Contains([]string{"accept", "decline", "block"}, v.action()) {
		return false
	}
	return v.form.value("request") != strconv.Itoa(request) || v.action() == "accept" && v.form.value("plan") != plan
}

// dropForm forgets what was typed, and the notice that it is still there.
func (v *visit) dropForm() {
	v.form = nil
	if isAboutForm(v.notice) {
		v.notice = ""
	}
}

// askedBy names what is between a person and an account that asks them.
func askedBy(actor agency.Actor, from agency.AccountID) agency.ConnectionID {
	return agency.NewConnectionID(agency.Party(actor.ID()), from)
}

// fill fills in who invites, to what, and what became of it.
func (p *invitationPage) fill(c *console, w service.RequestDetail) {
	p.AccountName, p.From, p.By = cmp.Or(w.Account.Name, w.AccountName), w.From.Name, w.By
	p.IsAgencyOwned, p.IsOffer = w.Ownership == agency.AgencyOwned, w.RequestKind() == agency.OwnershipKind
	p.State, p.Role, p.Request = stateOfInvitation(w, c.now()), w.ShownRole(), w.Request.Number
	p.SentAt, p.Expires = w.Request.MailedAt, w.Request.ExpiresAt
	p.Access = c.areaLevels(c.svc.GrantedAreas(w.Profile))
	if p.State != invitationOpen {
		return
	}
	p.Role = w.Request.Role
	if w.IsForPayer() {
		p.Plan, p.Price = w.Account.Subscription.Plan, c.planWithPrice(w.Account.Subscription.Plan)
		if state := w.Account.Subscription.At(c.now()).State; state != agency.SubscriptionActive {
			p.SubscriptionIssue = state
		}
	}
}

// fillAccount fills in the page of the account, if the person still has access.
func (p *invitationPage) fillAccount(c *console, v *visit, id agency.AccountID) error {
	view, err := c.svc.GetAccount(v.ctx, agency.Caller{Actor: v.actor}, id)
	if agency.CodeOf(err) == agency.NotFound {
		return nil // it ended between two reads
	}
	if err != nil {
		return err
	}
	p.AccountURL = accountURL(view)
	return nil
}

// IsBlockedOrCooling reports whether the account can't invite the person now.
func (p *invitationPage) IsBlockedOrCooling() bool {
	return p.Block.Blocked || !p.Block.CoolingUntil.IsZero()
}

// answerInvitation does what the pressed button of an invitation says. after is the
// page that follows a decline.
func (c *console) answerInvitation(v *visit, id agency.AccountID, after string) (response, error) {
	if v.action() == "allow" {
		w, err := c.svc.GetInvitation(v.ctx, v.actor, id)
		if err != nil {
			return response{}, err
		}
		wasBlocked, err := c.svc.UnblockForMe(v.ctx, v.actor, askedBy(v.actor, w.Request.From))
		return v.doneUnless(err, after, unblockedNotice(wasBlocked))
	}
	number, err := v.requestNumber()
	if err != nil {
		return response{}, err
	}
	switch v.action() {
	case "accept":
		in, notice := service.Answer{Request: number, Plan: v.form.value("plan")}, "joined"
		if in.Plan != "" {
			notice = "owner-now"
			if v.form.value("confirm") == "" {
				return response{}, confirmationFailed("Confirm that you will pay for this account.")
			}
		}
		view, err := c.svc.AcceptInvitation(v.ctx, v.actor, id, in)
		if err != nil {
			return response{}, err
		}
		return v.done(accountURL(view), notice), nil
	case "decline", "block":
		block := v.action() == "block"
		notice := "invitation-declined"
		if block {
			notice = "invitation-blocked"
		}
		_, err := c.svc.DeclineInvitation(v.ctx, v.actor, id, service.Decline{Request: number, Block: block})
		return v.doneUnless(err, after, notice)
	default:
		return response{}, unknownAction()
	}
}
