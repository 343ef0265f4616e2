package main

import (
	"context"

	"github.com/danielgtaylor/huma/v2"

	"agencyhub/shared/agency"
	"agencyhub/shared/rest"
	"agencyhub/shared/service"
)

// addInvitations adds the operations on what waits for the caller, and on their
// invitations.
func (h handlers) addInvitations(a *rest.API) {
	rest.Handle(a, "GET /v1/me/waiting", huma.Operation{
		OperationID: "list-waiting", Summary: "List everything that waits for your answer",
		Description: "Invitations come first, then connection requests to your address, then offers of ownership and connection requests in accounts in which you are an owner or admin. " +
			"Requests are answered by POST /v1/requests/{id}/accept or …/decline, the others by POST /v1/me/invitations/{account}/accept or …/decline.",
	}, rest.ListForActor(h.waiting, h.svc.Waiting))
	rest.Handle(a, "GET /v1/me/invitations/{account}", huma.Operation{
		OperationID: "see-invitation", Summary: "Get your latest invitation to an account, or offer of ownership in it",
		Description: "Whatever became of it. An account that has never invited you is not_found, and so is an invitation to another address.",
	}, h.invitation)
	rest.Handle(a, "POST /v1/me/invitations/{account}/accept", huma.Operation{
		OperationID: "accept-invitation", Summary: "Accept an invitation to an account, or an offer of ownership",
		Description: "You have access from then on, with the sign-in that you use for this call. An owner pays for the account, and names the plan that they saw. " +
			"The answer is the account. Accepting the same request again returns it as it is now.",
	}, h.acceptInvitation)
	rest.Handle(a, "POST /v1/me/invitations/{account}/decline", huma.Operation{
		OperationID: "decline-invitation", Summary: "Decline an invitation or an offer of ownership, or dismiss an expired one",
		Description: "A cooldown starts in which the account can't ask you again. Declining an offer changes nothing about the access that you have.",
	}, h.declineInvitation)
}

// Waiting is a request that waits for the caller's answer. It is exported because huma
// ignores the fields of an embedded struct that is not.
type Waiting struct {
	Kind        string           `json:"kind" enum:"connection,invitation,ownership" doc:"connection: an agency requests access to an account. invitation: an account invites you. ownership: you are offered to become an owner of an account."`
	ID          *string          `json:"id" format:"connection-id" doc:"The connection's id; null for the other kinds, which are named by their account."`
	Account     *rest.AccountRef `json:"account" doc:"The account concerned; null for a connection request to your address, for which you choose one."`
	From        rest.AccountRef  `json:"from" doc:"The account that asks: the agency, or the account that invites or its owning agency."`
	By          *string          `json:"by" format:"address" doc:"The address of the person who asked; null if they have left since."`
	Email       *string          `json:"email" format:"address" doc:"Your address, of a connection request to it. Its domain is in Unicode."`
	Role        *string          `json:"role" enum:"owner,admin,member" doc:"The role that you get by accepting; null for a connection."`
	Areas       rest.Areas       `json:"areas" doc:"The access levels asked for, or those that you get."`
	Message     *string          `json:"message" doc:"The agency's message."`
	Request     int              `json:"request" doc:"The number of the request; accepting and declining name it."`
	RequestedAt rest.Timestamp   `json:"requestedAt"`
	ExpiresAt   rest.Timestamp   `json:"expiresAt" doc:"Until when it can be answered."`
	Plan        *plan            `json:"plan" doc:"What you pay for if you accept; null where accepting does not make you a payer."`
}

// TransformSchema lets account and plan be null, which huma has no tag for where the
// value has a schema of its own.
func (Waiting) TransformSchema(_ huma.Registry, s *huma.Schema) *huma.Schema {
	for _, name := range []string{"account", "plan"} {
		p := s.Properties[name]
		s.Properties[name] = &huma.Schema{Description: p.Description, AnyOf: []*huma.Schema{{Ref: p.Ref}, {Type: "null"}}}
	}
	return s
}

type plan struct {
	ID           string `json:"id" doc:"Accepting names it."`
	Name         string `json:"name"`
	MonthlyPrice int    `json:"monthlyPrice" doc:"In minor units of the currency."`
	Currency     string `json:"currency" doc:"By ISO 4217, such as USD."`
}

func (h handlers) waiting(w service.RequestDetail) Waiting {
	rules, kind := h.svc.Rules, w.RequestKind()
	v := Waiting{
		Kind: string(kind), From: rest.AccountRef{ID: string(w.From.ID), Name: w.From.Name}, By: rest.Optional(w.By),
		Role: rest.Optional(w.Request.Role), Areas: requestedAreas(rules, w.Request), Message: rest.Optional(w.Request.Message),
		Request: w.Request.Number, RequestedAt: rest.Time(w.Request.RequestedAt), ExpiresAt: rest.Time(w.Request.ExpiresAt),
	}
	if w.Account.Exists() {
		v.Account = &rest.AccountRef{ID: string(w.Account.ID), Name: w.Account.Name}
	}
	if kind == agency.ConnectionKind {
		v.ID = rest.Optional(w.ID())
	}
	if w.Addressee.Person() != "" {
		v.Email = rest.Optional(agency.DisplayEmail(w.Email))
	}
	if w.IsForPayer() {
		v.Plan = new(plan(rules.Plan(w.Account.Subscription.Plan)))
	}
	return v
}

// requestedAreas returns the access levels that a request asks for, every area named.
func requestedAreas(rules agency.Rules, r agency.Request) rest.Areas {
	if r.Role == agency.Owner || r.Role == agency.Admin {
		return rest.Areas(rules.AllAreas(agency.Edit))
	}
	return rest.Areas(rules.CompleteAreas(r.Areas))
}

// invitation is the latest request to the caller in an account.
type invitation struct {
	Waiting
	Status string `json:"status" enum:"open,accepted,declined,withdrawn,expired" doc:"What became of it. Only an open one can be accepted."`
}

func (h handlers) newInvitation(w service.RequestDetail) invitation {
	state := w.Request.State
	if state == agency.StateOpen && (!w.HasOpenRequestAt(h.svc.Now()) || !w.Account.IsOpen()) {
		// The sweep has yet to record it.
		state = agency.StateExpired
	}
	return invitation{h.waiting(w), string(state)}
}

type invitationInput struct {
	Account string `path:"account" format:"account-id"`
}

func (h handlers) invitation(ctx context.Context, actor agency.Actor, in *invitationInput) (*rest.Output[invitation], error) {
	return rest.Reply(h.newInvitation)(h.svc.GetInvitation(ctx, actor, agency.AccountID(in.Account)))
}

type acceptInvitationInput struct {
	Account string `path:"account" format:"account-id"`
	Body    struct {
		Request int    `json:"request" minimum:"1" doc:"The number of the request that you saw. If there is another one by now, the answer is conflict."`
		Plan    string `json:"plan,omitempty" maxLength:"64" doc:"The id of the plan that you saw. Needed to become an owner. If the account has another one by now, the answer is conflict."`
	}
}

func (h handlers) acceptInvitation(ctx context.Context, actor agency.Actor, in *acceptInvitationInput) (*rest.Output[rest.Account], error) {
	return rest.Reply(h.account)(h.svc.AcceptInvitation(ctx, actor, agency.AccountID(in.Account), service.Answer{Request: in.Body.Request, Plan: in.Body.Plan}))
}

func (h handlers) account(v service.AccountView) rest.Account { return rest.NewAccount(h.svc, v) }

type declineInvitationInput struct {
	Account string `path:"account" format:"account-id"`
	Body    struct {
		Request int  `json:"request" minimum:"1" doc:"The number of the request that you saw. If there is another one by now, the answer is conflict."`
		Block   bool `json:"block,omitempty" doc:"Also blocks the account that asks and the accounts that it owns. It is not told. Invalid for an offer of ownership."`
	}
}

func (h handlers) declineInvitation(ctx context.Context, actor agency.Actor, in *declineInvitationInput) (*rest.Output[invitation], error) {
	return rest.Reply(h.newInvitation)(h.svc.DeclineInvitation(ctx, actor, agency.AccountID(in.Account), service.Decline{
		Request: in.Body.Request, Block: in.Body.Block,
	}))
}
