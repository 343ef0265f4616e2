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

// api is what this function serves.
func api(svc *service.Service) *rest.API {
	a := rest.New("approvals")
	h := handlers{svc}
	const member = "/v1/accounts/{account}/team/{member}"
	tags := []string{"approvals"}
	rest.Handle(a, huma.Operation{
		OperationID: "accept-request", Method: http.MethodPost, Path: member + "/accept", Tags: tags, DefaultStatus: http.StatusOK,
		Summary:     "Let the agency in",
		Description: "An owner or admin of the account accepts the request that they saw, named by its number, and may grant less than was asked for.",
	}, h.accept)
	rest.Handle(a, huma.Operation{
		OperationID: "deny-request", Method: http.MethodPost, Path: member + "/deny", Tags: tags, DefaultStatus: http.StatusOK,
		Summary: "Refuse the agency's request, or dismiss an expired one",
	}, h.deny)
	rest.Handle(a, huma.Operation{
		OperationID: "unblock-agency", Method: http.MethodPost, Path: member + "/unblock", Tags: tags, DefaultStatus: http.StatusOK,
		Summary: "Allow an agency to ask again", Description: "Ends a block and a cooldown: the account's, and your own.",
	}, h.unblock)
	rest.Handle(a, huma.Operation{
		OperationID: "list-blocks", Method: http.MethodGet, Path: "/v1/accounts/{account}/blocks", Tags: tags,
		Summary: "List the agencies that the account holds off",
	}, h.accountBlocks)
	rest.Handle(a, huma.Operation{
		OperationID: "list-my-blocks", Method: http.MethodGet, Path: "/v1/me/blocks", Tags: tags,
		Summary: "List the agencies that you hold off yourself",
	}, h.myBlocks)
	rest.Handle(a, huma.Operation{
		OperationID: "list-requests", Method: http.MethodGet, Path: "/v1/requests", Tags: tags,
		Summary: "List the requests that are addressed to your address",
	}, h.requests)
	const request = "/v1/requests/{id}"
	rest.Handle(a, huma.Operation{
		OperationID: "see-request", Method: http.MethodGet, Path: request, Tags: tags,
		Summary: "See a request that is yours to decide",
	}, h.see)
	rest.Handle(a, huma.Operation{
		OperationID: "accept-request-into", Method: http.MethodPost, Path: request + "/accept", Tags: tags, DefaultStatus: http.StatusOK,
		Summary:     "Let the agency into an account of yours",
		Description: "For a request by email: any account in which you are owner or admin. The request goes there.",
	}, h.acceptInto)
	rest.Handle(a, huma.Operation{
		OperationID: "deny-request-by-id", Method: http.MethodPost, Path: request + "/deny", Tags: tags, DefaultStatus: http.StatusOK,
		Summary: "Refuse a request",
	}, h.denyByID)
	rest.Handle(a, huma.Operation{
		OperationID: "unblock-for-me", Method: http.MethodPost, Path: request + "/unblock", Tags: tags, DefaultStatus: http.StatusOK,
		Summary: "Allow the agency of a request to ask you again",
	}, h.unblockForMe)
	return a
}

type handlers struct{ svc *service.Service }

type connectionOutput struct{ Body rest.Connection }

func (h handlers) connection(p agency.Profile, err error) (*connectionOutput, error) {
	if err != nil {
		return nil, err
	}
	return &connectionOutput{rest.NewConnection(h.svc, p)}, nil
}

type acceptInput struct {
	rest.OnAccount
	Member string `path:"member" maxLength:"64" doc:"The agency's id."`
	Body   struct {
		Acceptance
	}
}

// Acceptance is what one grants. It is exported because huma leaves out what
// stands in an unexported struct.
type Acceptance struct {
	Request int        `json:"request" minimum:"1" doc:"The number of the request that you saw. Another one has changed: look again."`
	Areas   rest.Areas `json:"areas,omitempty" doc:"What you grant: no more than was asked for. Absent: as asked."`
	Until   *time.Time `json:"until" required:"false" doc:"When the access ends by itself; null for never."`
}

func (in Acceptance) terms() service.Grant {
	return service.Grant{Request: in.Request, Areas: agency.Areas(in.Areas), Until: in.Until}
}

func (h handlers) accept(ctx context.Context, actor agency.Actor, in *acceptInput) (*connectionOutput, error) {
	caller, account := in.Caller(actor)
	return h.connection(h.svc.AcceptRequest(ctx, caller, account, agency.AccountID(in.Member), in.Body.terms()))
}

type denyInput struct {
	rest.OnAccount
	Member string `path:"member" maxLength:"64" doc:"The agency's id."`
	Body   *denial
}

type denial struct {
	Block bool `json:"block,omitempty" doc:"Hold the agency off for good besides. It is not told."`
}

func (d *denial) blocks() bool { return d != nil && d.Block }

func (h handlers) deny(ctx context.Context, actor agency.Actor, in *denyInput) (*connectionOutput, error) {
	caller, account := in.Caller(actor)
	return h.connection(h.svc.DenyRequest(ctx, caller, account, agency.AccountID(in.Member), in.Body.blocks()))
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

func allowed(was bool, err error) (*allowedOutput, error) {
	out := &allowedOutput{}
	out.Body.Allowed = was
	return out, err
}

func (h handlers) unblock(ctx context.Context, actor agency.Actor, in *memberInput) (*allowedOutput, error) {
	caller, account := in.Caller(actor)
	return allowed(h.svc.Unblock(ctx, caller, account, agency.AccountID(in.Member)))
}

type blocksInput struct {
	rest.OnAccount
	rest.Paging
}

type blocksOutput struct{ Body rest.List[rest.Block] }

func blocks(list service.List[service.Block], err error) (*blocksOutput, error) {
	if err != nil {
		return nil, err
	}
	var items []rest.Block
	for _, b := range list.Items {
		items = append(items, rest.NewBlock(b))
	}
	return &blocksOutput{rest.NewList(items, list.Next)}, nil
}

func (h handlers) accountBlocks(ctx context.Context, actor agency.Actor, in *blocksInput) (*blocksOutput, error) {
	caller, account := in.Caller(actor)
	return blocks(h.svc.AccountBlocks(ctx, caller, account, service.Page{Limit: in.Limit, Cursor: in.Cursor}))
}

func (h handlers) myBlocks(ctx context.Context, actor agency.Actor, in *struct{ rest.Paging }) (*blocksOutput, error) {
	return blocks(h.svc.MyBlocks(ctx, actor, service.Page{Limit: in.Limit, Cursor: in.Cursor}))
}

type requestsOutput struct{ Body rest.List[rest.Connection] }

func (h handlers) requests(ctx context.Context, actor agency.Actor, in *struct{ rest.Paging }) (*requestsOutput, error) {
	list, err := h.svc.MyRequests(ctx, actor, service.Page{Limit: in.Limit, Cursor: in.Cursor})
	if err != nil {
		return nil, err
	}
	var items []rest.Connection
	for _, p := range list.Items {
		items = append(items, rest.NewConnection(h.svc, p))
	}
	return &requestsOutput{rest.NewList(items, list.Next)}, nil
}

type requestInput struct {
	ID string `path:"id" maxLength:"128"`
}

func (h handlers) see(ctx context.Context, actor agency.Actor, in *requestInput) (*connectionOutput, error) {
	return h.connection(h.svc.GetRequest(ctx, actor, agency.ConnectionID(in.ID)))
}

type acceptIntoInput struct {
	ID   string `path:"id" maxLength:"128"`
	Body struct {
		Account string `json:"account" maxLength:"64" doc:"The account that the agency shall work in."`
		Acceptance
	}
}

func (h handlers) acceptInto(ctx context.Context, actor agency.Actor, in *acceptIntoInput) (*connectionOutput, error) {
	return h.connection(h.svc.AcceptRequestInto(ctx, actor, agency.ConnectionID(in.ID), agency.AccountID(in.Body.Account), in.Body.terms()))
}

type denyByIDInput struct {
	ID   string `path:"id" maxLength:"128"`
	Body *denial
}

func (h handlers) denyByID(ctx context.Context, actor agency.Actor, in *denyByIDInput) (*connectionOutput, error) {
	return h.connection(h.svc.DenyRequestByID(ctx, actor, agency.ConnectionID(in.ID), in.Body.blocks()))
}

func (h handlers) unblockForMe(ctx context.Context, actor agency.Actor, in *requestInput) (*allowedOutput, error) {
	return allowed(h.svc.UnblockForMe(ctx, actor, agency.ConnectionID(in.ID)))
}
