package main

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"agencyhub/shared/agency"
	"agencyhub/shared/rest"
	"agencyhub/shared/service"
)

// api returns the operations on the connections of an agency.
func api(svc *service.Service) *rest.API {
	a := rest.New("connections")
	h := handlers{svc}
	rest.Handle(a, "POST /v1/agencies/{agency}/connections", huma.Operation{
		OperationID: "request-connection", DefaultStatus: http.StatusCreated, Summary: "Request access to an account that a client owns",
		Description: "Its owners get an email, and an owner or admin decides. The agency has no access before that. " +
			"With an Idempotency-Key you can safely repeat the call.",
	}, h.request)
	rest.Handle(a, "GET /v1/agencies/{agency}/connections/{id}", huma.Operation{
		OperationID: "see-connection", Summary: "Get one of the agency's connections",
	}, h.onConnection(svc.GetConnection))
	rest.Handle(a, "POST /v1/agencies/{agency}/connections/{id}/resend", huma.Operation{
		OperationID: "resend-request", Summary: "Resend a pending request",
		Description: "The request can be accepted for a whole lifetime from then on. Its expiry never moves back.",
	}, h.onConnection(svc.ResendRequest))
	rest.Handle(a, "POST /v1/agencies/{agency}/connections/{id}/withdraw", huma.Operation{
		OperationID: "withdraw-request", Summary: "Withdraw a pending request",
	}, h.onConnection(svc.WithdrawRequest))
	rest.Handle(a, "POST /v1/agencies/{agency}/connections/{id}/leave", huma.Operation{
		OperationID: "leave-account", Summary: "Leave an account that a client owns",
	}, h.onConnection(svc.LeaveAccount))
	return a
}

type handlers struct{ svc *service.Service }

type requestInput struct {
	rest.OptionalIdempotency
	Agency string `path:"agency" format:"account-id"`
	Body   requestBody
}

type requestBody struct {
	Account    string     `json:"account,omitempty" format:"account-id" doc:"The account's id. Give this or ownerEmail."`
	OwnerEmail string     `json:"ownerEmail,omitempty" format:"address" minLength:"1" maxLength:"254" doc:"The owner's address. They choose the account. The answer is the same whoever they are."`
	Message    string     `json:"message,omitempty" maxLength:"2000" doc:"A message to its owner, in plain text: at most 500 characters once it is in NFC and without what is invisible."`
	Areas      rest.Areas `json:"areas" format:"given-areas"`
}

// TransformSchema says in the document that one of account and ownerEmail is given. The
// use case checks it, with a better sentence than huma has.
func (requestBody) TransformSchema(_ huma.Registry, s *huma.Schema) *huma.Schema {
	s.Extensions = map[string]any{"oneOf": []any{
		map[string]any{"required": []string{"account"}}, map[string]any{"required": []string{"ownerEmail"}},
	}}
	return s
}

func (h handlers) request(ctx context.Context, actor agency.Actor, in *requestInput) (*rest.Output[rest.Connection], error) {
	return rest.Reply(h.connection)(h.svc.RequestConnection(ctx, actor, agency.AccountID(in.Agency), service.ConnectionRequest{
		Account: agency.AccountID(in.Body.Account), OwnerEmail: in.Body.OwnerEmail, Message: in.Body.Message, Areas: agency.Areas(in.Body.Areas), Key: in.Key,
	}))
}

type connectionInput struct {
	Agency string `path:"agency" format:"account-id"`
	ID     string `path:"id" format:"connection-id"`
}

type useCase func(context.Context, agency.Actor, agency.AccountID, agency.ConnectionID) (agency.Profile, error)

// onConnection returns the handler of a use case that needs only a connection's id.
func (h handlers) onConnection(do useCase) rest.Handler[agency.Actor, connectionInput, rest.Output[rest.Connection]] {
	return func(ctx context.Context, actor agency.Actor, in *connectionInput) (*rest.Output[rest.Connection], error) {
		return rest.Reply(h.connection)(do(ctx, actor, agency.AccountID(in.Agency), agency.ConnectionID(in.ID)))
	}
}

func (h handlers) connection(p agency.Profile) rest.Connection { return rest.NewConnection(h.svc, p) }
