package main

import (
	"cmp"
	"net/url"
	"time"

	"agencyhub/shared/agency"
	"agencyhub/shared/service"
)

// waitingPage lists everything that waits for the person's answer.
type waitingPage struct {
	frame
	Cards []waitingCard
	// IsFirst reports whether this is the first page. MoreURL is the next one; "" for
	// none.
	IsFirst bool
	MoreURL string
}

// waitingCard is a connection request, an invitation or an offer of ownership that
// waits for the person's answer.
type waitingCard struct {
	Kind agency.RequestKind
	// Account is the name of the account concerned; "" for a request by email.
	Account string
	// From is the name of the account that asks, and By the address of the person who
	// asks; "" once they have left it.
	From, By string
	// IsAgencyOwned reports whether From is the agency that owns the account.
	IsAgencyOwned bool
	// Role is a person's, and Access a summary of the levels of an agency or a member.
	Role            agency.Role
	Access, Message string
	// Price is the plan that the person pays once they accept; "" for none.
	Price   string
	Expires time.Time
	// URL is the page of the request.
	URL string
	// Request is its number, which every answer names.
	Request int
	// Connection or Invitation says what an answer is about.
	Connection agency.ConnectionID
	Invitation agency.AccountID
}

// IsRequest reports whether an agency requests access.
func (w waitingCard) IsRequest() bool { return w.Kind == agency.ConnectionKind }

// IsOffer reports whether the person is offered ownership.
func (w waitingCard) IsOffer() bool { return w.Kind == agency.OwnershipKind }

// CanAccept reports whether the card itself can accept: nothing must be chosen or paid.
func (w waitingCard) CanAccept() bool {
	return w.Kind == agency.InvitationKind && w.Price == "" || w.IsRequest() && w.Account != ""
}

func (c *console) waiting(v *visit) (response, error) {
	p := &waitingPage{IsFirst: v.r.URL.Query().Get("cursor") == ""}
	if res, done, err := v.act(&p.frame, func() (response, error) { return c.answerCard(v) }); done {
		return res, err
	}
	list, err := c.waitingCards(v, v.listPage(pageSize))
	if err != nil {
		return response{}, err
	}
	p.Cards = list.Items
	if list.Next != "" {
		p.MoreURL = "/waiting?cursor=" + url.QueryEscape(list.Next)
	}
	return show("waiting", p), nil
}

// answerCard does what the pressed button of a card says.
func (c *console) answerCard(v *visit) (response, error) {
	if id := agency.AccountID(v.form.value("invitation")); id != "" {
		return c.answerInvitation(v, id, "/waiting")
	}
	number, err := v.requestNumber()
	if err != nil {
		return response{}, err
	}
	id := agency.ConnectionID(v.form.value("connection"))
	addressee, _, _ := id.Split()
	switch {
	case v.action() == "accept" && addressee.Person() == "":
		p, err := c.svc.AcceptRequestInto(v.ctx, v.actor, id, addressee.Account(), service.Grant{Request: number})
		if err != nil {
			return response{}, err
		}
		return v.done(connectedURL(p), "accepted"), nil
	case v.action() == "decline":
		_, err = c.svc.DeclineRequestByID(v.ctx, v.actor, id, service.Decline{Request: number})
		return v.doneUnless(err, "/waiting", "declined")
	default:
		return response{}, unknownAction()
	}
}

// maxWaitingReads bounds the pages of the list that one page of ours shows together:
// the list has three parts, and the page of a part may be empty.
const maxWaitingReads = 3

// waitingCards returns what waits for the person, from a page of the list on.
func (c *console) waitingCards(v *visit, page service.Page) (service.List[waitingCard], error) {
	var cards service.List[waitingCard]
	for range maxWaitingReads {
		list, err := c.svc.Waiting(v.ctx, v.actor, page)
		if err != nil {
			return cards, err
		}
		for _, w := range list.Items {
			cards.Items = append(cards.Items, c.waitingCard(w))
		}
		cards.Next, page.Cursor = list.Next, list.Next
		if list.Next == "" || len(cards.Items) >= page.Limit {
			break
		}
	}
	return cards, nil
}

func (c *console) waitingCard(w service.RequestDetail) waitingCard {
	card := waitingCard{
		Kind: w.RequestKind(), Account: w.Account.Name, From: cmp.Or(w.From.Name, w.Name), By: w.By,
		IsAgencyOwned: w.Account.Ownership == agency.AgencyOwned, Role: w.Request.Role, Message: w.Request.Message,
		Expires: w.Request.ExpiresAt, Request: w.Request.Number,
	}
	if card.IsRequest() || card.Role == agency.Member {
		card.Access = c.accessSummary(c.svc.GrantedAreas(w.Profile))
	}
	if w.IsForPayer() {
		card.Price = c.planWithPrice(w.Account.Subscription.Plan)
	}
	if card.IsRequest() {
		card.Connection, card.URL = w.ID(), "/requests/"+string(w.ID())
	} else {
		card.Invitation, card.URL = w.Profile.Account(), invitationURL(w.Profile.Account())
	}
	return card
}
