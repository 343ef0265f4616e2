package main

import (
	"agencyhub/shared/agency"
	"agencyhub/shared/service"
)

// subscriptionPage is what an account costs, to whoever pays for it, and what
// they can do about it.
type subscriptionPage struct {
	frame
	Subscription service.SubscriptionView
	// Owned tells that an agency pays, for good.
	Owned bool
	// Plan is the chosen one, of Choices.
	Plan    string
	Choices []agency.Plan
}

func (c *console) subscription(v *visit) (answer, error) {
	in, err := c.inAccount(v, "subscription")
	if err != nil {
		return answer{}, err
	}
	p := &subscriptionPage{Owned: in.Owned(), Choices: c.svc.Rules.Plans}
	p.Tabs = in.Tabs
	if v.post() {
		notice, err := c.changeSubscription(v)
		if err == nil {
			return v.done(v.here(), notice), nil
		}
		if p.Faults, err = v.refuse(err); err != nil {
			return answer{}, err
		}
	}
	if p.Subscription, err = c.svc.GetSubscription(v.ctx, v.caller(), v.account()); err != nil {
		return answer{}, err
	}
	p.Plan = p.Subscription.Plan
	if chosen := v.form.value("plan"); chosen != "" {
		p.Plan = chosen
	}
	return refused("subscription", p, p.Faults), nil
}

// changeSubscription does what the form says, and answers what to tell of it.
func (c *console) changeSubscription(v *visit) (notice string, err error) {
	switch v.do() {
	case "plan":
		_, err = c.svc.ChangePlan(v.ctx, v.caller(), v.account(), v.form.value("plan"))
		return "plan-changed", err
	case "cancel":
		_, err = c.svc.CancelSubscription(v.ctx, v.caller(), v.account(), false)
		return "cancelled", err
	case "freeze":
		_, err = c.svc.CancelSubscription(v.ctx, v.caller(), v.account(), true)
		return "frozen", err
	case "resume":
		_, err = c.svc.ResumeSubscription(v.ctx, v.caller(), v.account())
		return "resumed", err
	default:
		return "", unknownAction()
	}
}

// billPage is what an agency pays a month.
type billPage struct {
	frame
	Agency agency.AccountID
	Bill   service.AgencyBill
	Next   string
}

func (c *console) bill(v *visit) (answer, error) {
	view, tabs, err := c.inAgency(v, "bill")
	if err != nil {
		return answer{}, err
	}
	if !view.IsAgency() {
		return hubOff(view, tabs), nil
	}
	bill, err := c.svc.Bill(v.ctx, v.actor, view.ID, v.page(100))
	if err != nil {
		return answer{}, err
	}
	p := &billPage{Agency: view.ID, Bill: bill, Next: bill.Lines.Next}
	p.Tabs = tabs
	return show("bill", p), nil
}
