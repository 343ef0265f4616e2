package main

import (
	"agencyhub/shared/agency"
	"agencyhub/shared/service"
)

// subscriptionPage is what an account costs, for those who pay for it.
type subscriptionPage struct {
	frame
	Subscription service.SubscriptionView
	// Plan is the chosen one of the Choices.
	Plan    string
	Choices []agency.Plan
}

func (c *console) subscription(v *visit) (response, error) {
	a, err := v.visitedAccount("subscription")
	if err != nil {
		return response{}, err
	}
	p := &subscriptionPage{frame: frame{Account: a}, Choices: c.svc.Rules.Plans}
	if res, done, err := v.act(&p.frame, func() (response, error) { return c.changeSubscription(v) }); done {
		return res, err
	}
	if p.Subscription, err = c.svc.GetSubscription(v.ctx, v.caller(), v.accountID()); err != nil {
		return response{}, err
	}
	p.Plan = p.Subscription.Plan
	if chosen := v.form.value("plan"); chosen != "" {
		p.Plan = chosen
	}
	return show("subscription", p), nil
}

// changeSubscription does what the pressed button says.
func (c *console) changeSubscription(v *visit) (response, error) {
	var err error
	var notice string
	switch v.action() {
	case "plan":
		notice = "plan-changed"
		_, err = c.svc.ChangePlan(v.ctx, v.caller(), v.accountID(), v.form.value("plan"))
	case "cancel":
		notice = "cancelled"
		_, err = c.svc.CancelSubscription(v.ctx, v.caller(), v.accountID(), false)
	case "freeze":
		notice = "frozen"
		_, err = c.svc.CancelSubscription(v.ctx, v.caller(), v.accountID(), true)
	case "resume":
		notice = "resumed"
		_, err = c.svc.ResumeSubscription(v.ctx, v.caller(), v.accountID())
	default:
		err = unknownAction()
	}
	return v.doneUnless(err, v.currentURL(), notice)
}

// billPageSize is the number of accounts on a page of the bill.
const billPageSize = 100

// billPage is what an agency pays a month.
type billPage struct {
	frame
	Agency agency.AccountID
	Bill   service.AgencyBill
	Next   string
}

func (c *console) bill(v *visit) (response, error) {
	a, err := v.visitedAgency("bill")
	if err != nil {
		return response{}, err
	}
	if !a.IsAgency() {
		return agencyOff(a), nil
	}
	bill, err := c.svc.Bill(v.ctx, v.actor, a.ID, v.listPage(billPageSize))
	if err != nil {
		return response{}, err
	}
	return show("bill", &billPage{frame: frame{Account: a}, Agency: a.ID, Bill: bill, Next: bill.Lines.Next}), nil
}
