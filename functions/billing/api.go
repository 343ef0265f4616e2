package main

import (
	"context"

	"github.com/danielgtaylor/huma/v2"

	"agencyhub/shared/agency"
	"agencyhub/shared/rest"
	"agencyhub/shared/service"
)

// api returns the operations on an account's subscription and on an agency's bill.
func api(svc *service.Service) *rest.API {
	a := rest.New("billing")
	h := handlers{svc}
	rest.Handle(a, "GET /v1/accounts/{account}/subscription", huma.Operation{
		OperationID: "see-subscription", Summary: "See what an account costs",
		Description: "For whoever pays alone, as all of billing: the owner of the account, or, with as, the owner of the agency that owns it. " +
			"A connected agency, and the client of an owned account, are refused with not_payer; whoever else sees the account with forbidden.",
	}, rest.ForAccount(newPaidSubscription, svc.GetSubscription))
	rest.Handle(a, "PATCH /v1/accounts/{account}/subscription", huma.Operation{
		OperationID: "change-plan", Summary: "Change an account's plan",
		Description: "Immediately, without proration. Refused with conflict while the subscription is frozen.",
	}, h.change)
	rest.Handle(a, "POST /v1/accounts/{account}/subscription/cancel", huma.Operation{
		OperationID: "cancel-subscription", Summary: "Cancel a subscription",
		Description: "At the end of the current period, or immediately with now. " +
			"It is frozen then: nothing is paid for the account any more, and every area can be viewed at most.",
	}, h.cancel)
	rest.Handle(a, "POST /v1/accounts/{account}/subscription/resume", huma.Operation{
		OperationID: "resume-subscription", Summary: "Undo a cancellation, or end a freeze",
		Description: "Immediately. A payment that was due is due again.",
	}, rest.ForAccount(newPaidSubscription, svc.ResumeSubscription))
	rest.Handle(a, "GET /v1/agencies/{agency}/bill", huma.Operation{
		OperationID: "see-bill", Summary: "See what an agency pays a month",
		Description: "Each account that it owns and that is not frozen, at its present plan, ordered by name. " +
			"The total is of the whole bill, whatever the page. For the agency's owners alone.",
	}, h.bill)
	return a
}

type handlers struct{ svc *service.Service }

// paidSubscription is an account's subscription with its price.
type paidSubscription struct {
	rest.Subscription
	PlanName     string `json:"planName"`
	MonthlyPrice int    `json:"monthlyPrice" doc:"In minor units of the currency, such as cents."`
	Currency     string `json:"currency" doc:"By ISO 4217, such as USD."`
}

func newPaidSubscription(v service.SubscriptionView) paidSubscription {
	return paidSubscription{
		Subscription: rest.NewSubscription(v), PlanName: v.Of.Name, MonthlyPrice: v.Of.MonthlyPrice, Currency: v.Of.Currency,
	}
}

type planInput struct {
	rest.OnAccount
	Body struct {
		Plan string `json:"plan" minLength:"1" maxLength:"64"`
	}
}

func (h handlers) change(ctx context.Context, actor agency.Actor, in *planInput) (*rest.Output[paidSubscription], error) {
	caller, account := in.Caller(actor)
	return rest.Reply(newPaidSubscription)(h.svc.ChangePlan(ctx, caller, account, in.Body.Plan))
}

type cancelInput struct {
	rest.OnAccount
	Body *struct {
		Now bool `json:"now,omitempty" doc:"Freeze it immediately, not at the end of the period."`
	}
}

func (h handlers) cancel(ctx context.Context, actor agency.Actor, in *cancelInput) (*rest.Output[paidSubscription], error) {
	caller, account := in.Caller(actor)
	return rest.Reply(newPaidSubscription)(h.svc.CancelSubscription(ctx, caller, account, in.Body != nil && in.Body.Now))
}

type billInput struct {
	Agency string `path:"agency" format:"account-id"`
	rest.Paging
}

type billOutput struct {
	Body struct {
		rest.List[billLine]
		Accounts int    `json:"accounts" doc:"How many accounts the whole bill has."`
		Total    int    `json:"total" doc:"The sum of the whole bill a month, in minor units."`
		Currency string `json:"currency" doc:"By ISO 4217, such as USD."`
	}
}

type billLine struct {
	Account      string `json:"account" format:"account-id"`
	Name         string `json:"name"`
	Plan         string `json:"plan"`
	PlanName     string `json:"planName"`
	State        string `json:"state" enum:"active,past_due,cancelling" doc:"Where its subscription stands."`
	MonthlyPrice int    `json:"monthlyPrice" doc:"In minor units of the currency."`
}

func (h handlers) bill(ctx context.Context, actor agency.Actor, in *billInput) (*billOutput, error) {
	bill, err := h.svc.Bill(ctx, actor, agency.AccountID(in.Agency), in.Page())
	if err != nil {
		return nil, err
	}
	out := &billOutput{}
	out.Body.List = rest.NewList(bill.Lines, func(l service.BillLine) billLine {
		return billLine{
			Account: string(l.Account), Name: l.Name, State: string(l.State),
			Plan: l.Plan.ID, PlanName: l.Plan.Name, MonthlyPrice: l.Plan.MonthlyPrice,
		}
	})
	out.Body.Accounts, out.Body.Total, out.Body.Currency = bill.Accounts, bill.Total, bill.Currency
	return out, nil
}
