package main

import (
	"context"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"agencyhub/shared/agency"
	"agencyhub/shared/rest"
	"agencyhub/shared/service"
)

// api returns the operations on what waits for an answer, and on the blocks and
// cooldowns that an answer leaves.
func api(svc *service.Service) *rest.API {
	a := rest.New("approvals")
	h := handlers{svc}
	h.addInvitations(a)
	rest.Handle(a, "POST /v1/accounts/{account}/team/{member}/accept", huma.Operation{
		OperationID: "accept-request", Summary: "Accept an agency's request",
		Description: "For owners and admins of the account. They name the request that they saw by its number, and may lower the access levels and set an end date.",
	}, h.accept)
	rest.Handle(a, "POST /v1/accounts/{account}/team/{member}/decline", huma.Operation{
		OperationID: "decline-request", Summary: "Decline an agency's request, or dismiss an expired one",
		Description: "For owners and admins of the account. They name the request that they saw by its number. A cooldown starts in which the agency can't request again.",
	}, h.decline)
	rest.Handle(a, "POST /v1/accounts/{account}/team/{member}/unblock", huma.Operation{
		OperationID: "unblock-agency", Summary: "Unblock an agency", Description: "Ends the account's block and cooldown of the agency, and your own.",
	}, h.unblock)
	rest.Handle(a, "GET /v1/accounts/{account}/blocks", huma.Operation{
		OperationID: "list-blocks", Summary: "List the account's blocks and cooldowns",
	}, rest.ListForAccount(rest.NewBlock, svc.AccountBlocks))
	rest.Handle(a, "GET /v1/me/blocks", huma.Operation{
		OperationID: "list-my-blocks", Summary: "List your own blocks and cooldowns",
		Description: "POST /v1/requests/con_{your id}_{agency.id}/unblock ends one, also one of an account that invited you.",
	}, rest.ListForActor(rest.NewBlock, svc.MyBlocks))
	rest.Handle(a, "GET /v1/requests", huma.Operation{
		OperationID: "list-requests", Summary: "List the connection requests to your address, in any state",
		Description: "GET /v1/me/waiting lists everything that waits for your answer.",
	}, rest.ListForActor(h.connection, svc.MyRequests))
	rest.Handle(a, "GET /v1/requests/{id}", huma.Operation{
		OperationID: "see-request", Summary: "Get a connection request that you may answer",
	}, h.see)
	rest.Handle(a, "POST /v1/requests/{id}/accept", huma.Operation{
		OperationID: "accept-request-into", Summary: "Accept a connection request for an account of yours",
		Description: "For a request by email you choose any account in which you are an owner or admin. The connection is in that account from then on.",
	}, h.acceptInto)
	rest.Handle(a, "POST /v1/requests/{id}/decline", huma.Operation{
		OperationID: "decline-request-by-id", Summary: "Decline a connection request, or dismiss an expired one",
	}, h.declineByID)
	rest.Handle(a, "POST /v1/requests/{id}/unblock", huma.Operation{
		OperationID: "unblock-for-me", Summary: "Unblock the agency of a request for yourself",
		Description: "Ends your own block and cooldown. Those of an account stay.",
	}, h.unblockForMe)
	return a
}

type handlers struct{ svc *service.Service }

func (h handlers) connection(p agency.Profile) rest.Connection { return rest.NewConnection(h.svc, p) }

type acceptInput struct {
	rest.OnAccount
	Member string `path:"member" format:"account-id" doc:"The agency's id."`
	Body   struct {
		Acceptance
	}
}

// Acceptance is what the account grants. It is exported because huma ignores the
// fields of an embedded struct that is not.
type Acceptance struct {
	Request int        `json:"request" minimum:"1" doc:"The number of the request that you saw. If there is another one by now, the answer is conflict."`
	Areas   rest.Areas `json:"areas,omitempty" format:"given-areas" doc:"The access levels that you grant, none higher than requested. Absent: as requested."`
	Until   *time.Time `json:"until" required:"false" doc:"When the access ends by itself; null for never."`
}

func (in Acceptance) grant() service.Grant {
	return service.Grant{Request: in.Request, Areas: agency.Areas(in.Areas), Until: in.Until}
}

func (h handlers) accept(ctx context.Context, actor agency.Actor, in *acceptInput) (*rest.Output[rest.Connection], error) {
	caller, account := in.Caller(actor)
	return rest.Reply(h.connection)(h.svc.AcceptRequest(ctx, caller, account, agency.AccountID(in.Member), in.Body.grant()))
}

type declineInput struct {
	rest.OnAccount
	Member string `path:"member" format:"account-id" doc:"The agency's id."`
	Body   decline
}

type decline struct {
	Request int  `json:"request" minimum:"1" doc:"The number of the request that you saw. If there is another one by now, the answer is conflict."`
	Block   bool `json:"block,omitempty" doc:"Also blocks the agency. It is not told."`
}

func (d decline) answer() service.Decline { return service.Decline{Request: d.Request, Block: d.Block} }

func (h handlers) decline(ctx context.Context, actor agency.Actor, in *declineInput) (*rest.Output[rest.Connection], error) {
	caller, account := in.Caller(actor)
	return rest.Reply(h.connection)(h.svc.DeclineRequest(ctx, caller, account, agency.AccountID(in.Member), in.Body.answer()))
}

type memberInput struct {
	rest.OnAccount
	Member string `path:"member" format:"account-id" doc:"The agency's id."`
}

type unblockedOutput struct {
	Body struct {
		Unblocked bool `json:"unblocked" doc:"Whether there was a block or a cooldown."`
	}
}

func unblocked(changed bool, err error) (*unblockedOutput, error) {
	out := &unblockedOutput{}
	out.Body.Unblocked = changed
	return out, err
}

func (h handlers) unblock(ctx context.Context, actor agency.Actor, in *memberInput) (*unblockedOutput, error) {
	caller, account := in.Caller(actor)
	return unblocked(h.svc.Unblock(ctx, caller, account, agency.AccountID(in.Member)))
}

type requestInput struct {
	ID string `path:"id" format:"connection-id"`
}

func (h handlers) see(ctx context.Context, actor agency.Actor, in *requestInput) (*rest.Output[rest.Connection], error) {
	return rest.Reply(h.connection)(h.svc.GetRequest(ctx, actor, agency.ConnectionID(in.ID)))
}

type acceptIntoInput struct {
	ID   string `path:"id" format:"connection-id"`
	Body struct {
		Account string `json:"account" format:"account-id" doc:"The account to which the agency gets access."`
		Acceptance
	}
}

func (h handlers) acceptInto(ctx context.Context, actor agency.Actor, in *acceptIntoInput) (*rest.Output[rest.Connection], error) {
	return rest.Reply(h.connection)(h.svc.AcceptRequestInto(ctx, actor, agency.ConnectionID(in.ID), agency.AccountID(in.Body.Account), in.Body.grant()))
}

type declineByIDInput struct {
	ID   string `path:"id" format:"connection-id"`
	Body decline
}

func (h handlers) declineByID(ctx context.Context, actor agency.Actor, in *declineByIDInput) (*rest.Output[rest.Connection], error) {
	return rest.Reply(h.connection)(h.svc.DeclineRequestByID(ctx, actor, agency.ConnectionID(in.ID), in.Body.answer()))
}

func (h handlers) unblockForMe(ctx context.Context, actor agency.Actor, in *requestInput) (*unblockedOutput, error) {
	return unblocked(h.svc.UnblockForMe(ctx, actor, agency.ConnectionID(in.ID)))
}
