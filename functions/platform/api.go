package main

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"agencyhub/shared/agency"
	"agencyhub/shared/rest"
	"agencyhub/shared/service"
)

// version is the build's; the linker sets it. A build that is not for AWS has none.
var version = "dev"

// api returns the operations that the platform's own software calls.
func api(svc *service.Service) *rest.API {
	a := rest.New("platform")
	h := handlers{svc}
	rest.HandlePlatform(a, "PUT /v1/platform/accounts/{account}", huma.Operation{
		OperationID: "register-account", DefaultStatus: http.StatusCreated, Summary: "Register an account that a client has in the platform, or update it",
		Description: "The platform names the account: acct_ and 26 characters of 0-9 and a-z without i, l, o and u, " +
			"the same for the same account each time. The answer is 201 for a new account and 200 for one that was there. The same call again changes nothing, " +
			"except that the profile of a sole owner is bound to the next sign-in with their address. " +
			"An account whose owners are all being erased gets the owner named; one that has another owner is refused with conflict. " +
			"Accounts that agencies own are refused with permanently_owned. A new account is mailed to nobody.",
		Responses: map[string]*huma.Response{"200": {
			Description: "The account was there already. Its name and plan are as in the call.",
			Content:     map[string]*huma.MediaType{"application/json": {Schema: &huma.Schema{Ref: "#/components/schemas/PlatformAccount"}}},
		}},
	}, h.register)
	rest.HandlePlatform(a, "PATCH /v1/platform/accounts/{account}", huma.Operation{
		OperationID: "raise-limits", Summary: "Raise the limits of an account, such as an agency's, and of the people who act in its name",
		Description: "A number raises a limit; null sets it back to the settings' own; one that is left out stays. " +
			"A number below the settings' own changes nothing. Agency-owned accounts are refused with permanently_owned: raise the limits of their agency.",
	}, h.raise)
	rest.HandlePlatform(a, "POST /v1/platform/accounts/{account}/owner", huma.Operation{
		OperationID: "replace-owner", Summary: "Replace the address of an account's only owner",
		Description: "For a person whose address has changed at the issuer. to becomes the owner in place of from, and both addresses are told. " +
			"The same call again changes nothing. An account whose only owner is not from is refused with conflict.",
	}, h.replaceOwner)
	rest.HandlePlatform(a, "POST /v1/platform/accounts/{account}/payment", huma.Operation{
		OperationID: "report-payment", Summary: "Report that a payment for an account succeeded or failed",
		Description: "Reports may come in any order and more than once: one that is not newer, by at, than the newest known changes nothing. " +
			"A failure makes an active subscription past_due, and its payer is told; the next payment that succeeds ends that. Nobody loses access by it.",
	}, h.payment)
	rest.HandlePlatform(a, "POST /v1/platform/access", huma.Operation{
		OperationID: "check-anyone", Summary: "Check what the person with an address may do in an account now",
		Description: "The answer is what they would get themselves. The platform vouches for the address: which sign-in they use is not checked.",
	}, h.access)
	rest.HandlePlatform(a, "GET /v1/platform/status", huma.Operation{
		OperationID: "get-status", Summary: "See how the hub is doing",
		Description: "The figures are those of cleanup's last run, which comes every minute, so they are as old as sweep.at says. " +
			"A hub is well if that is within three minutes of now, failed is 0, both counts are numbers, " +
			"oldestUnfinished is within half an hour and oldestDue within ten minutes.",
	}, h.status)
	return a
}

type handlers struct{ svc *service.Service }

// platformAccount is an account as the platform sees it: without a role or an access.
type platformAccount struct {
	ID           string            `json:"id" format:"account-id"`
	Name         string            `json:"name"`
	Ownership    string            `json:"ownership" enum:"agency,client"`
	Owner        *string           `json:"owner" format:"account-id" doc:"The agency that owns it; null if a client does."`
	Agency       bool              `json:"agency" doc:"Whether its agency features are on, so that it is an agency itself."`
	Subscription rest.Subscription `json:"subscription"`
	CreatedAt    rest.Timestamp    `json:"createdAt"`
}

func (h handlers) account(a agency.Account) platformAccount {
	return platformAccount{
		ID: string(a.ID), Name: a.Name, Ownership: string(a.Ownership), Owner: rest.Optional(a.Owner), Agency: a.IsAgency(),
		CreatedAt: rest.Time(a.CreatedAt), Subscription: rest.NewSubscription(service.SubscriptionView{
			Subscription: a.Subscription, PeriodEnd: a.Subscription.PeriodEnd(h.svc.Now()), Payer: a.Payer(),
		}),
	}
}

type registerInput struct {
	Account string `path:"account" format:"account-id"`
	Body    struct {
		Name       string `json:"name" format:"name" minLength:"1" maxLength:"320" doc:"At most 80 characters once it is in NFC and without what is invisible."`
		OwnerEmail string `json:"ownerEmail" format:"address" maxLength:"254" doc:"An owner's address, verified by the platform."`
		Plan       string `json:"plan,omitempty" maxLength:"64" doc:"Left out, it stays; a new account is then on the first of the settings' plans."`
	}
}

type registerOutput struct {
	Status int
	Body   platformAccount
}

func (h handlers) register(ctx context.Context, by agency.Platform, in *registerInput) (*registerOutput, error) {
	account, created, err := h.svc.RegisterAccount(ctx, by, agency.AccountID(in.Account), service.Registration{
		Name: in.Body.Name, OwnerEmail: in.Body.OwnerEmail, Plan: in.Body.Plan,
	})
	if err != nil {
		return nil, err
	}
	out := &registerOutput{Status: http.StatusOK, Body: h.account(account)}
	if created {
		out.Status = http.StatusCreated
	}
	return out, nil
}

type raiseInput struct {
	Account string `path:"account" format:"account-id"`
	Body    struct {
		Limits raisedLimits `json:"limits"`
	}
}

type raisedLimits struct {
	OpenRequests            rest.Nullable[int] `json:"openRequests,omitempty" minimum:"1" maximum:"1000000" doc:"Requests of the agency that wait for an answer."`
	DailyRequests           rest.Nullable[int] `json:"dailyRequests,omitempty" minimum:"1" maximum:"1000000" doc:"New requests of the agency in a UTC day."`
	OpenInvitations         rest.Nullable[int] `json:"openInvitations,omitempty" minimum:"1" maximum:"1000000" doc:"Invitations and offers of ownership of the account that wait for an answer."`
	AccountsCreatedByPerson rest.Nullable[int] `json:"accountsCreatedByPerson,omitempty" minimum:"1" maximum:"1000000" doc:"Accounts that one person creates for the agency in a UTC day."`
	RequestsByPerson        rest.Nullable[int] `json:"requestsByPerson,omitempty" minimum:"1" maximum:"1000000" doc:"Requests that one person makes for the agency in a UTC day."`
	InvitationsByPerson     rest.Nullable[int] `json:"invitationsByPerson,omitempty" minimum:"1" maximum:"1000000" doc:"Invitations that one person makes for the account in a UTC day."`
}

// TransformSchema says in the document that a limit is named. The use case checks it, with
// a better sentence than huma has.
func (raisedLimits) TransformSchema(_ huma.Registry, s *huma.Schema) *huma.Schema {
	s.Extensions = map[string]any{"minProperties": 1}
	return s
}

func (h handlers) raise(ctx context.Context, by agency.Platform, in *raiseInput) (*rest.Output[platformAccount], error) {
	change, l := map[agency.Limit]*int{}, in.Body.Limits
	for name, limit := range map[agency.Limit]rest.Nullable[int]{
		agency.OpenRequestsLimit: l.OpenRequests, agency.DailyRequestsLimit: l.DailyRequests, agency.OpenInvitationsLimit: l.OpenInvitations,
		agency.CreatedByPersonLimit: l.AccountsCreatedByPerson, agency.RequestsByPersonLimit: l.RequestsByPerson, agency.InvitesByPersonLimit: l.InvitationsByPerson,
	} {
		if limit.Given {
			change[name] = limit.Value
		}
	}
	return rest.Reply(h.account)(h.svc.RaiseLimits(ctx, by, agency.AccountID(in.Account), change))
}

type ownerInput struct {
	Account string `path:"account" format:"account-id"`
	Body    struct {
		From string `json:"from" format:"address" maxLength:"254" doc:"The address of the account's only owner."`
		To   string `json:"to" format:"address" maxLength:"254" doc:"Their new address, verified by the platform."`
	}
}

func (h handlers) replaceOwner(ctx context.Context, by agency.Platform, in *ownerInput) (*rest.Output[platformAccount], error) {
	return rest.Reply(h.account)(h.svc.ReplaceOwner(ctx, by, agency.AccountID(in.Account), in.Body.From, in.Body.To))
}

type paymentInput struct {
	Account string `path:"account" format:"account-id"`
	Body    struct {
		State string    `json:"state" enum:"paid,failed"`
		At    time.Time `json:"at" doc:"When it succeeded or failed, to the millisecond."`
	}
}

func (h handlers) payment(ctx context.Context, by agency.Platform, in *paymentInput) (*rest.Output[platformAccount], error) {
	return rest.Reply(h.account)(h.svc.ReportPayment(ctx, by, agency.AccountID(in.Account), service.Payment{
		Failed: in.Body.State == "failed", At: in.Body.At,
	}))
}

type accessInput struct {
	Body struct {
		Account string `json:"account" format:"account-id"`
		Email   string `json:"email" format:"address" maxLength:"254"`
		As      string `json:"as,omitempty" format:"account-id" doc:"The agency for which they act, as its staff."`
	}
}

func (h handlers) access(ctx context.Context, by agency.Platform, in *accessInput) (*rest.Output[rest.Access], error) {
	as, account := agency.AccountID(in.Body.As), agency.AccountID(in.Body.Account)
	return rest.Reply(rest.NewAccess)(h.svc.CheckAccessOf(ctx, by, in.Body.Email, as, account))
}

type status struct {
	Version string         `json:"version" doc:"The build that answers; dev for one that was not made for AWS from a Git repository."`
	Now     rest.Timestamp `json:"now" doc:"The hub's clock."`
	Sweep   *sweep         `json:"sweep" doc:"Cleanup's last run; null before the first."`
}

type sweep struct {
	_                struct{}        `nullable:"true"` // before the first run
	At               rest.Timestamp  `json:"at" doc:"When the run ended, and its figures were counted."`
	Version          string          `json:"version" doc:"The build of cleanup that ran. Another than the hub's is of a deployment that is not complete."`
	Finished         bool            `json:"finished" doc:"False if its time was over before all was done. The next run goes on."`
	Failed           int             `json:"failed" doc:"Steps and counts that failed. The next run tries them again."`
	Backlog          *int            `json:"backlog" doc:"Expiries, reminders and the like that are due and not done; null if they could not be counted."`
	OldestDue        *rest.Timestamp `json:"oldestDue" doc:"Since when the first of the backlog is due; null for none."`
	Unfinished       *int            `json:"unfinished" doc:"Events that have waited for their emails or their entry on the bus, longer than it takes until cleanup wakes them; null if they could not be counted."`
	OldestUnfinished *rest.Timestamp `json:"oldestUnfinished" doc:"When the first of them happened; null for none."`
	AtLeast          bool            `json:"atLeast" doc:"Whether counting stopped early or failed, so that there may be more."`
}

func (h handlers) status(ctx context.Context, by agency.Platform, _ *struct{}) (*rest.Output[status], error) {
	return rest.Reply(newStatus)(h.svc.ReadStatus(ctx, by))
}

func newStatus(s service.Status) status {
	out := status{Version: version, Now: rest.Time(s.Now)}
	if last := s.Sweep; !last.At.IsZero() {
		out.Sweep = &sweep{
			At: rest.Time(last.At), Version: last.Version, Finished: last.Finished, Failed: last.Failed, Backlog: last.Backlog, OldestDue: rest.OptionalTime(last.OldestDue),
			Unfinished: last.Unfinished, OldestUnfinished: rest.OptionalTime(last.OldestUnfinished), AtLeast: last.AtLeast,
		}
	}
	return out
}
