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

// api returns the operations on an account's Team Members.
func api(svc *service.Service) *rest.API {
	a := rest.New("team")
	h := handlers{svc}
	rest.Handle(a, "GET /v1/accounts/{account}/team", huma.Operation{
		OperationID: "list-team", Summary: "List an account's Team Members, agencies first",
		Description: "Invited persons and past members are in the list: status tells. A connected agency sees its own profile alone.",
	}, rest.ListForAccount(h.member, svc.Team))
	rest.Handle(a, "POST /v1/accounts/{account}/team", huma.Operation{
		OperationID: "invite-person", DefaultStatus: http.StatusCreated, Summary: "Invite a person",
		Description: "They get an email, and access once they accept. An open invitation is sent again with these terms, and gets a new number if they differ. " +
			"Within a day of the last mailing, the same terms change nothing, and other terms are refused with rate_limited. " +
			"Somebody who has access gets this role and these areas immediately; the role owner is offered to them, and they keep the role that they have until they accept. The answer is then 200.",
		Responses: map[string]*huma.Response{"200": {
			Description: "They have access already.",
			Content:     map[string]*huma.MediaType{"application/json": {Schema: &huma.Schema{Ref: "#/components/schemas/Member"}}},
		}},
	}, h.invite)
	rest.Handle(a, "PATCH /v1/accounts/{account}/team/{member}", huma.Operation{
		OperationID: "change-member", Summary: "Change a person's role, areas or clients, or restrict an agency",
		Description: "The role owner is offered: the person keeps the role that they have until they accept.",
	}, h.change)
	rest.Handle(a, "DELETE /v1/accounts/{account}/team/{member}", huma.Operation{
		OperationID: "remove-member", Summary: "Remove a person, revoke an agency's access, or leave yourself",
		Description: "An open invitation is withdrawn by POST …/withdraw.",
	}, h.remove)
	rest.Handle(a, "POST /v1/accounts/{account}/team/{member}/resend", huma.Operation{
		OperationID: "resend-invitation", Summary: "Send an open invitation or offer of ownership again",
		Description: "It can be answered for a whole lifetime from then on. It keeps its number.",
	}, h.onMember(svc.ResendInvitation))
	rest.Handle(a, "POST /v1/accounts/{account}/team/{member}/withdraw", huma.Operation{
		OperationID: "withdraw-invitation", Summary: "Withdraw an open invitation or offer of ownership",
	}, h.onMember(svc.WithdrawInvitation))
	rest.Handle(a, "POST /v1/accounts/{account}/team/{member}/new-sign-in", huma.Operation{
		OperationID: "ask-new-sign-in", Summary: "Ask a person to join with a new sign-in",
		Description: "For a person whose sign-in has changed. They are invited again with the role and areas that they have, and have no access until they accept. Refused for the last owner.",
	}, h.onMember(svc.AskNewSignIn))
	return a
}

type handlers struct{ svc *service.Service }

func (h handlers) member(p agency.Profile) rest.Member { return rest.NewMember(h.svc, p) }

type inviteInput struct {
	rest.OnAccount
	Body inviteBody
}

type inviteBody struct {
	Email string     `json:"email" format:"address" maxLength:"254"`
	Role  string     `json:"role" enum:"owner,admin,member"`
	Areas rest.Areas `json:"areas,omitempty" format:"given-areas" doc:"Needed for a member, and invalid for the other roles, which have every area at edit."`
}

// TransformSchema says in the document that a member has areas and the other roles have
// none. The use case checks it, with better sentences than huma has.
func (inviteBody) TransformSchema(_ huma.Registry, s *huma.Schema) *huma.Schema {
	type object = map[string]any
	withRole := func(roles ...any) object { return object{"role": object{"enum": roles}} }
	s.Extensions = object{"oneOf": []any{
		object{"properties": withRole(string(agency.Member)), "required": []string{"areas"}},
		object{"properties": withRole(string(agency.Owner), string(agency.Admin)), "not": object{"required": []string{"areas"}}},
	}}
	return s
}

type inviteOutput struct {
	Status int
	Body   rest.Member
}

func (h handlers) invite(ctx context.Context, actor agency.Actor, in *inviteInput) (*inviteOutput, error) {
	caller, account := in.Caller(actor)
	p, invited, err := h.svc.InvitePerson(ctx, caller, account, service.Invitation{
		Email: in.Body.Email, Role: agency.Role(in.Body.Role), Areas: agency.Areas(in.Body.Areas),
	})
	if err != nil {
		return nil, err
	}
	out := &inviteOutput{Status: http.StatusOK, Body: h.member(p)}
	if invited {
		out.Status = http.StatusCreated
	}
	return out, nil
}

type changeInput struct {
	rest.OnAccount
	Member string `path:"member" format:"member-id"`
	Body   changeBody
}

type changeBody struct {
	Role  string     `json:"role,omitempty" enum:"owner,admin,member" doc:"A person's; an agency has none."`
	Areas rest.Areas `json:"areas,omitempty" format:"given-areas" doc:"All access levels: an area that is not named is none."`

	Until   rest.Nullable[time.Time] `json:"until,omitempty" doc:"When an agency's access ends by itself; null for never."`
	Clients rest.Nullable[[]string]  `json:"clients,omitempty" format:"account-id" maxItems:"90" doc:"The only clients of the agency that this member is assigned to; null for all."`
}

// TransformSchema says in the document that something is to change. The use case checks
// it, with a better sentence than huma has.
func (changeBody) TransformSchema(_ huma.Registry, s *huma.Schema) *huma.Schema {
	s.Extensions = map[string]any{"minProperties": 1}
	return s
}

func (h handlers) change(ctx context.Context, actor agency.Actor, in *changeInput) (*rest.Output[rest.Member], error) {
	caller, account := in.Caller(actor)
	change := service.MemberChange{Role: agency.Role(in.Body.Role), Areas: agency.Areas(in.Body.Areas)}
	if until := in.Body.Until; until.Given {
		change.Until = &time.Time{}
		if until.Value != nil {
			if until.Value.IsZero() {
				// The use case would remove the end date, which only null does here.
				return nil, &agency.Error{
					Code: agency.Invalid, Message: "The end date must lie ahead.",
					Fields: []agency.FieldError{{Field: "until", Message: "The end date must lie ahead; null removes it."}},
				}
			}
			change.Until = until.Value
		}
	}
	if clients := in.Body.Clients; clients.Given {
		change.Clients = new([]agency.AccountID)
		if clients.Value != nil {
			*change.Clients = []agency.AccountID{}
			for _, id := range *clients.Value {
				*change.Clients = append(*change.Clients, agency.AccountID(id))
			}
		}
	}
	return rest.Reply(h.member)(h.svc.ChangeMember(ctx, caller, account, agency.Party(in.Member), change))
}

type memberInput struct {
	rest.OnAccount
	Member string `path:"member" format:"person-id" doc:"The person's id."`
}

// onMember returns the handler of a use case that needs only a member.
func (h handlers) onMember(
	do func(context.Context, agency.Caller, agency.AccountID, agency.Party) (agency.Profile, error),
) rest.Handler[agency.Actor, memberInput, rest.Output[rest.Member]] {
	return func(ctx context.Context, actor agency.Actor, in *memberInput) (*rest.Output[rest.Member], error) {
		caller, account := in.Caller(actor)
		return rest.Reply(h.member)(do(ctx, caller, account, agency.Party(in.Member)))
	}
}

type removeInput struct {
	rest.OnAccount
	Member string `path:"member" format:"member-id"`
	Block  bool   `query:"block" doc:"Also blocks the agency. It is not told."`
}

func (h handlers) remove(ctx context.Context, actor agency.Actor, in *removeInput) (*rest.Output[rest.Member], error) {
	caller, account := in.Caller(actor)
	return rest.Reply(h.member)(h.svc.RemoveMember(ctx, caller, account, agency.Party(in.Member), in.Block))
}
