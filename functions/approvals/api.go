package main

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"agencyhub/shared/agency"
	"agencyhub/shared/rest"
)

// api is what this function serves.
func api(n needs) *rest.API {
	a := rest.New("approvals")
	h := handlers{n.hub}
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
	rest.Page(a, "/requests/{id}", newRequestPage(n.product))
	return a
}

type handlers struct{ hub *agency.Hub }

type connectionOutput struct{ Body rest.Connection }

func (h handlers) connection(p agency.Profile, err error) (*connectionOutput, error) {
	if err != nil {
		return nil, err
	}
	return &connectionOutput{rest.NewConnection(h.hub, p)}, nil
}

type acceptInput struct {
	rest.OnAccount
	Member string `path:"member" maxLength:"64" doc:"The agency's id."`
	Body   struct {
		Request int        `json:"request" minimum:"1" doc:"The number of the request that you saw. Another one has changed: look again."`
		Areas   rest.Areas `json:"areas,omitempty" doc:"What you grant: no more than was asked for. Absent: as asked."`
	}
}

func (h handlers) accept(ctx context.Context, actor agency.Actor, in *acceptInput) (*connectionOutput, error) {
	caller, account := in.Caller(actor)
	return h.connection(h.hub.AcceptRequest(ctx, caller, account, agency.AccountID(in.Member), agency.Acceptance{
		Request: in.Body.Request, Areas: agency.Areas(in.Body.Areas),
	}))
}

type denyInput struct {
	rest.OnAccount
	Member string `path:"member" maxLength:"64" doc:"The agency's id."`
}

func (h handlers) deny(ctx context.Context, actor agency.Actor, in *denyInput) (*connectionOutput, error) {
	caller, account := in.Caller(actor)
	return h.connection(h.hub.DenyRequest(ctx, caller, account, agency.AccountID(in.Member)))
}
