package main

import (
	"context"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"agencyhub/shared/agency"
	"agencyhub/shared/rest"
	"agencyhub/shared/service"
)

// api returns the operations on requests that wait for an answer, and on the blocks
// and cooldowns that an answer leaves.
func api(svc *service.Service) *rest.API {
	a := rest.New("approvals")
	h := handlers{svc}
	rest.Handle(a, "POST /v1/accounts/{account}/team/{member}/accept", huma.Operation{
		OperationID: "accept-request", Summary: "Let the agency in",
		Description: "An owner or admin of the account accepts the request that they saw, named by its number, and may grant less than was asked for.",
	}, h.accept)
	rest.Handle(a, "POST /v1/accounts/{account}/team/{member}/decline", huma.Operation{
		OperationID: "decline-request", Summary: "Refuse the agency's request, or dismiss an expired one",
	}, h.decline)
	rest.Handle(a, "POST /v1/accounts/{account}/team/{member}/unblock", huma.Operation{
		OperationID: "unblock-agency", Summary: "Allow an agency to ask again", Description: "Ends a block and a cooldown: the account's, and your own.",
	}, h.unblock)
	rest.Handle(a, "GET /v1/accounts/{account}/blocks", huma.Operation{
		OperationID: "list-blocks", Summary: "List the agencies that the account holds off",
	}, rest.ListForAccount(rest.NewBlock, svc.AccountBlocks))
	rest.Handle(a, "GET /v1/me/blocks", huma.Operation{
		OperationID: "list-my-blocks", Summary: "List the agencies that you hold off yourself",
	}, rest.ListForActor(rest.NewBlock, svc.MyBlocks))
	rest.Handle(a, "GET /v1/requests", huma.Operation{
		OperationID: "list-requests", Summary: "List the requests that are addressed to your address",
	}, rest.ListForActor(h.connection, svc.MyRequests))
	rest.Handle(a, "GET /v1/requests/{id}", huma.Operation{OperationID: "see-request", Summary: "See a request that is yours to decide"}, h.see)
	rest.Handle(a, "POST /v1/requests/{id}/accept", huma.Operation{
		OperationID: "accept-request-into", Summary: "Let the agency into an account of yours",
		Description: "For a request by email: any account in which you are owner or admin. The request goes there.",
	}, h.acceptInto)
	rest.Handle(a, "POST /v1/requests/{id}/decline", huma.Operation{OperationID: "decline-request-by-id", Summary: "Refuse a request"}, h.declineByID)
	rest.Handle(a, "POST /v1/requests/{id}/unblock", huma.Operation{
		OperationID: "unblock-for-me", Summary: "Allow the agency of a request to ask you again",
	}, h.unblockForMe)
	return a
}

type handlers struct{ svc *service.Service }

func (h handlers) connection(p agency.Profile) rest.Connection { return rest.NewConnection(h.svc, p) }

type acceptInput struct {
	rest.OnAccount
	Member string `path:"member" maxLength:"64" doc:"The agency's id."`
	Body   struct {
		Acceptance
	}
}

// Acceptance is what the account grants. It is exported because huma ignores the
// fields of an embedded struct that is not.
type Acceptance struct {
	Request int        `json:"request" minimum:"1" doc:"The number of the request that you saw. Another one has changed: look again."`
	Areas   rest.Areas `json:"areas,omitempty" doc:"What you grant: no more than was asked for. Absent: as asked."`
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
	Member string `path:"member" maxLength:"64" doc:"The agency's id."`
	Body   *decline
}

type decline struct {
	Block bool `json:"block,omitempty" doc:"Hold the agency off for good besides. It is not told."`
}

func (d *decline) blocks() bool { return d != nil && d.Block }

func (h handlers) decline(ctx context.Context, actor agency.Actor, in *declineInput) (*rest.Output[rest.Connection], error) {
	caller, account := in.Caller(actor)
	return rest.Reply(h.connection)(h.svc.DeclineRequest(ctx, caller, account, agency.AccountID(in.Member), in.Body.blocks()))
}

type memberInput struct {
	rest.OnAccount
	Member string `path:"member" maxLength:"64" doc:"The agency's id."`
}

type allowedOutput struct {
	Body struct {
		Allowed bool `json:"allowed" doc:"Whether anything held the agency off."`
	}
}

func unblocked(changed bool, err error) (*allowedOutput, error) {
	out := &allowedOutput{}
	out.Body.Allowed = changed
	return out, err
}

func (h handlers) unblock(ctx context.Context, actor agency.Actor, in *memberInput) (*allowedOutput, error) {
	caller, account := in.Caller(actor)
	return unblocked(h.svc.Unblock(ctx, caller, account, agency.AccountID(in.Member)))
}

type requestInput struct {
	ID string `path:"id" maxLength:"128"`
}

func (h handlers) see(ctx context.Context, actor agency.Actor, in *requestInput) (*rest.Output[rest.Connection], error) {
	return rest.Reply(h.connection)(h.svc.GetRequest(ctx, actor, agency.ConnectionID(in.ID)))
}

type acceptIntoInput struct {
	ID   string `path:"id" maxLength:"128"`
	Body struct {
		Account string `json:"account" maxLength:"64" doc:"The account that the agency shall work in."`
		Acceptance
	}
}

func (h handlers) acceptInto(ctx context.Context, actor agency.Actor, in *acceptIntoInput) (*rest.Output[rest.Connection], error) {
	return rest.Reply(h.connection)(h.svc.AcceptRequestInto(ctx, actor, agency.ConnectionID(in.ID), agency.AccountID(in.Body.Account), in.Body.grant()))
}

type declineByIDInput struct {
	ID   string `path:"id" maxLength:"128"`
	Body *decline
}

func (h handlers) declineByID(ctx context.Context, actor agency.Actor, in *declineByIDInput) (*rest.Output[rest.Connection], error) {
	return rest.Reply(h.connection)(h.svc.DeclineRequestByID(ctx, actor, agency.ConnectionID(in.ID), in.Body.blocks()))
}

func (h handlers) unblockForMe(ctx context.Context, actor agency.Actor, in *requestInput) (*allowedOutput, error) {
	return unblocked(h.svc.UnblockForMe(ctx, actor, agency.ConnectionID(in.ID)))
}
