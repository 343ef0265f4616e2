package service

import (
	"context"
	"time"

	"agencyhub/shared/agency"
)

// BillLine is one account that an agency pays for.
type BillLine struct {
	Account agency.AccountID
	Name    string
	State   agency.SubscriptionState
	// Plan is the present plan at its present price.
	Plan agency.Plan
}

// AgencyBill is what an agency pays a month.
type AgencyBill struct {
	// Lines are one page of the bill, ordered by name.
	Lines List[BillLine]
	// Accounts and Total are the number of lines and their sum, in minor units of
	// Currency, over the whole bill.
	Accounts, Total int
	Currency        string
}

// Bill returns what an agency pays a month: for each account that it owns and
// that is not frozen, at its present plan. Errors: Invalid (cursor),
// IdentityChanged, NotFound, Forbidden, Conflict (the agency features are off).
func (s *Service) Bill(ctx context.Context, actor agency.Actor, agencyID agency.AccountID, page Page) (AgencyBill, error) {
	_, _, err := s.staff(ctx, actor, agency.ViewBill, agencyID)
	if err != nil {
		return AgencyBill{}, err
	}
	bill := AgencyBill{Currency: s.Rules.Plans[0].Currency}
	if bill.Lines, err = s.billLines(ctx, agencyID, page); err != nil {
		return AgencyBill{}, err
	}
	if page.Cursor == "" && bill.Lines.Next == "" {
		bill.add(bill.Lines.Items)
		return bill, nil
	}
	err = eachPage(func(page Page) (string, error) {
		page.Limit = billPage
		lines, err := s.billLines(ctx, agencyID, page)
		bill.add(lines.Items)
		return lines.Next, err
	})
	return bill, err
}

// billPage is how many connections are read at once to sum up a bill: as many as
// one batch reads accounts.
const billPage = 100

func (b *AgencyBill) add(lines []BillLine) {
	b.Accounts += len(lines)
	for _, line := range lines {
		b.Total += line.Plan.MonthlyPrice
	}
}

// billLines reads a page of the accounts to which an agency has access, and
// returns those that it owns and that are not frozen.
func (s *Service) billLines(ctx context.Context, agencyID agency.AccountID, page Page) (List[BillLine], error) {
	rows, err := s.Store.Clients(ctx, agencyID, ClientFilter{Status: agency.Active}, page)
	if err != nil {
		return List[BillLine]{}, err
	}
	var want Want
	for _, p := range rows.Items {
		if p.Ownership == agency.AgencyOwned {
			want.Accounts = append(want.Accounts, p.Account())
		}
	}
	lines := List[BillLine]{Next: rows.Next}
	if len(want.Accounts) == 0 {
		return lines, nil
	}
	read, err := s.Store.Load(ctx, want)
	if err != nil {
		return List[BillLine]{}, err
	}
	now := s.Now()
	for _, id := range want.Accounts {
		a := read.Account(id)
		if state := a.Subscription.StateAt(now); a.IsOpen() && state != agency.SubscriptionFrozen {
			lines.Items = append(lines.Items, BillLine{Account: id, Name: a.Name, State: state, Plan: s.Rules.Plan(a.Subscription.Plan)})
		}
	}
	return lines, nil
}

// SubscriptionView is an account's subscription as its payer sees it.
type SubscriptionView struct {
	agency.Subscription
	// Of is the plan at its present price.
	Of        agency.Plan
	PeriodEnd time.Time
	Payer     agency.Ownership
}

// viewSubscription is the subscription at the time of the decision.
func (d *decision) viewSubscription(a agency.Account) SubscriptionView {
	s := a.Subscription.At(d.now)
	return SubscriptionView{Subscription: s, Of: d.rules.Plan(s.Plan), PeriodEnd: s.PeriodEnd(d.now), Payer: a.Payer()}
}

// GetSubscription returns what an account costs, to its payer: its owner, or the
// owner of the agency that owns it. Errors: IdentityChanged, NotFound, NotPayer,
// Forbidden.
func (s *Service) GetSubscription(ctx context.Context, caller agency.Caller, id agency.AccountID) (SubscriptionView, error) {
	return runQuery(ctx, s, &caller, wantAuthority(caller, id), func(d *decision) (view SubscriptionView, err error) {
		auth, err := d.authorize(agency.ManageBilling, id)
		if err != nil {
			return view, err
		}
		return d.viewSubscription(auth.account), nil
	})
}

// ChangePlan changes an account's plan immediately, without proration. The end of a
// cancelling subscription stays. A plan can be changed while a payment is due, so
// that a payer can continue with less. Errors: Invalid, IdentityChanged, NotFound,
// NotPayer, Forbidden, Conflict (it is frozen).
func (s *Service) ChangePlan(ctx context.Context, caller agency.Caller, id agency.AccountID, plan string) (SubscriptionView, error) {
	if !s.Rules.HasPlan(plan) {
		return SubscriptionView{}, agency.InvalidField("plan", "There is no such plan. The plans are: %s.", s.Rules.PlanList())
	}
	return s.changeBilling(ctx, caller, id, func(now agency.Subscription, _ time.Time) (agency.Subscription, agency.EventType, error) {
		if now.State == agency.SubscriptionFrozen {
			return now, "", agency.Refuse(agency.Conflict, "The subscription is frozen. Resume it first, then change the plan.")
		}
		now.Plan = plan
		return now, agency.PlanChanged, nil
	})
}

// CancelSubscription ends a subscription with its period, or immediately. One that
// is cancelled that way already, or frozen, stays as it is. Errors:
// IdentityChanged, NotFound, NotPayer, Forbidden.
func (s *Service) CancelSubscription(ctx context.Context, caller agency.Caller, id agency.AccountID, immediately bool) (SubscriptionView, error) {
	return s.changeBilling(ctx, caller, id, func(now agency.Subscription, at time.Time) (agency.Subscription, agency.EventType, error) {
		switch {
		case now.State == agency.SubscriptionFrozen || now.State == agency.SubscriptionCancelling && !immediately:
			return now, "", nil
		case immediately:
			now.State, now.FreezesAt = agency.SubscriptionFrozen, time.Time{}
			return now, agency.SubscriptionFroze, nil
		default:
			now.State, now.FreezesAt = agency.SubscriptionCancelling, now.PeriodEnd(at)
			return now, agency.SubscriptionCancelled, nil
		}
	})
}

// ResumeSubscription reverts a cancellation, or ends a freeze, immediately. A payment
// that was due is due again. A running subscription stays as it is. Errors:
// IdentityChanged, NotFound, NotPayer, Forbidden.
func (s *Service) ResumeSubscription(ctx context.Context, caller agency.Caller, id agency.AccountID) (SubscriptionView, error) {
	return s.changeBilling(ctx, caller, id, func(now agency.Subscription, _ time.Time) (agency.Subscription, agency.EventType, error) {
		if now.State == agency.SubscriptionCancelling || now.State == agency.SubscriptionFrozen {
			now.State, now.FreezesAt = now.ActiveState(), time.Time{}
		}
		return now, agency.SubscriptionResumed, nil
	})
}

// changeBilling changes a subscription for its payer: change gets it by the clock
// and returns it as it is to be, with the event of that. A freeze that is due is
// written before a change, and left to the sweep where nothing changes.
func (s *Service) changeBilling(
	ctx context.Context, caller agency.Caller, id agency.AccountID,
	change func(now agency.Subscription, at time.Time) (agency.Subscription, agency.EventType, error),
) (SubscriptionView, error) {
	return run(ctx, s, &caller, wantAuthority(caller, id), func(d *decision) (view SubscriptionView, err error) {
		auth, err := d.authorize(agency.ManageBilling, id)
		if err != nil {
			return view, err
		}
		account := auth.account
		now := account.Subscription.At(d.now)
		next, as, err := change(now, d.now)
		if err != nil {
			return view, err
		}
		if next != now {
			d.freezeOverdue(&account)
			d.setSubscription(&account, next, as)
		}
		return d.viewSubscription(account), nil
	})
}

// setSubscription gives an account another subscription and records the event; an equal
// one changes nothing.
func (d *decision) setSubscription(a *agency.Account, now agency.Subscription, as agency.EventType) {
	was := a.Subscription
	if now == was {
		return
	}
	a.Subscription = now
	// Only a cancelling subscription has a moment to come.
	a.DueAt = now.FreezesAt
	d.putAccount(a)
	if as != "" {
		d.accountEvent(as, *a, was.EventState(), now.EventState())
	}
}

// freezeOverdue records what the clock has decided: a cancelling subscription
// whose period is over is frozen.
func (d *decision) freezeOverdue(a *agency.Account) {
	d.setSubscription(a, a.Subscription.At(d.now), agency.SubscriptionFroze)
}
