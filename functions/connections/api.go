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
	const one = "/v1/agencies/{agency}/connections/{id}"
	tags := []string{"connections"}
	rest.Handle(a, huma.Operation{
		OperationID: "request-connection", Method: http.MethodPost, Path: "/v1/agencies/{agency}/connections", Tags: tags,
		DefaultStatus: http.StatusCreated, Summary: "Ask to work in an account that a client owns",
		Description: "Its owner is asked by email, and decides. Nothing is granted before that.",
	}, h.request)
	rest.Handle(a, huma.Operation{
		OperationID: "see-connection", Method: http.MethodGet, Path: one, Tags: tags, Summary: "See one of the agency's connections",
	}, h.onConnection(svc.GetConnection))
	rest.Handle(a, huma.Operation{
		OperationID: "resend-request", Method: http.MethodPost, Path: one + "/resend", Tags: tags, DefaultStatus: http.StatusOK,
		Summary: "Send a pending request's email again", Description: "The request lives a whole lifetime from now on; its expiry never moves back.",
	}, h.onConnection(svc.ResendRequest))
	rest.Handle(a, huma.Operation{
		OperationID: "withdraw-request", Method: http.MethodPost, Path: one + "/withdraw", Tags: tags, DefaultStatus: http.StatusOK,
		Summary: "Take a pending request back",
	}, h.onConnection(svc.WithdrawRequest))
	rest.Handle(a, huma.Operation{
		OperationID: "leave-account", Method: http.MethodPost, Path: one + "/leave", Tags: tags, DefaultStatus: http.StatusOK,
		Summary: "Leave an account: terminate the contract",
	}, h.onConnection(svc.LeaveAccount))
	return a
}

type handlers struct{ svc *service.Service }

type requestInput struct {
	Agency string `path:"agency" maxLength:"64"`
	Body   struct {
		Account    string     `json:"account,omitempty" maxLength:"64" doc:"The account's id; or ownerEmail is given."`
		OwnerEmail string     `json:"ownerEmail,omitempty" maxLength:"254" doc:"The owner's address. They choose the account. The answer is the same whoever they are."`
		Message    string     `json:"message,omitempty" maxLength:"500" doc:"What you want to say to its owner: plain text."`
		Areas      rest.Areas `json:"areas"`
	}
}

func (h handlers) request(ctx context.Context, actor agency.Actor, in *requestInput) (*rest.Output[rest.Connection], error) {
	return rest.Reply(h.connection)(h.svc.RequestConnection(ctx, actor, agency.AccountID(in.Agency), service.ConnectionRequest{
		Account: agency.AccountID(in.Body.Account), OwnerEmail: in.Body.OwnerEmail, Message: in.Body.Message, Areas: agency.Areas(in.Body.Areas),
	}))
}

type connectionInput struct {
	Agency string `path:"agency" maxLength:"64"`
	ID     string `path:"id" maxLength:"128"`
}

type useCase func(context.Context, agency.Actor, agency.AccountID, agency.ConnectionID) (agency.Profile, error)

// onConnection returns the handler of a use case that needs only a connection's id.
func (h handlers) onConnection(do useCase) func(context.Context, agency.Actor, *connectionInput) (*rest.Output[rest.Connection], error) {
	return func(ctx context.Context, actor agency.Actor, in *connectionInput) (*rest.Output[rest.Connection], error) {
		return rest.Reply(h.connection)(do(ctx, actor, agency.AccountID(in.Agency), agency.ConnectionID(in.ID)))
	}
}

func (h handlers) connection(p agency.Profile) rest.Connection { return rest.NewConnection(h.svc, p) }
