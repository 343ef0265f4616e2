package main

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"agencyhub/shared/agency"
	"agencyhub/shared/rest"
	"agencyhub/shared/service"
)

// api returns the operations on accounts, on their activity and on an agency's
// clients, and those on the caller.
func api(svc *service.Service) *rest.API {
	a := rest.New("accounts")
	h := handlers{svc}
	rest.Handle(a, "GET /v1/me", huma.Operation{
		OperationID: "see-me", Summary: "Get your own data",
		Description: "If email to you was suppressed because it bounced or you complained, it is sent again from now on.",
	}, h.me)
	rest.Handle(a, "PATCH /v1/me", huma.Operation{
		OperationID: "change-me", Summary: "Allow or stop unsolicited mail to you",
		Description: "Stops, or allows again, emails about requests and invitations that you have not accepted. They still wait for you here.",
	}, h.changeMe)
	rest.Handle(a, "DELETE /v1/me", huma.Operation{
		OperationID: "erase-me", Summary: "Erase your own data",
		Description: "Your access ends immediately. Refused while you are the last owner of an account.",
	}, h.erase)
	rest.Handle(a, "POST /v1/accounts", huma.Operation{
		OperationID: "open-account", DefaultStatus: http.StatusCreated, Summary: "Open an account of your own", Description: "You own it and pay for it.",
	}, h.open)
	rest.Handle(a, "GET /v1/accounts", huma.Operation{
		OperationID: "list-accounts", Summary: "List the accounts to which you have access yourself",
	}, rest.ListForActor(h.account, svc.MyAccounts))
	rest.Handle(a, "GET /v1/accounts/{account}", huma.Operation{
		OperationID: "see-account", Summary: "Get an account",
	}, rest.ForAccount(h.account, svc.GetAccount))
	rest.Handle(a, "PATCH /v1/accounts/{account}", huma.Operation{OperationID: "rename-account", Summary: "Rename an account"}, h.rename)
	rest.Handle(a, "DELETE /v1/accounts/{account}", huma.Operation{
		OperationID: "close-account", Summary: "Close an account permanently",
		Description: "All access ends immediately. The account's data is deleted after the deployment's retention.",
	}, rest.ForAccount(h.account, svc.CloseAccount))
	rest.Handle(a, "DELETE /v1/accounts/{account}/agency", huma.Operation{
		OperationID: "switch-agency-off", Summary: "Switch the account's agency features off", Description: "Refused while the agency has clients or open requests.",
	}, h.switchOff)
	rest.Handle(a, "POST /v1/accounts/{account}/agency", huma.Operation{
		OperationID: "switch-agency-on", Summary: "Switch the account's agency features on",
	}, h.switchOn)
	rest.Handle(a, "GET /v1/accounts/{account}/activity", huma.Operation{
		OperationID: "list-activity", Summary: "List what happened in an account, newest first",
		Description: "For its owners and admins, and for the agency that owns it. A connected agency sees its own entries alone.",
	}, h.activity)
	rest.Handle(a, "GET /v1/agencies/{agency}/activity", huma.Operation{
		OperationID: "list-agency-activity", Tags: []string{"clients"}, Summary: "List what happened between the agency and its clients, newest first",
		Description: "For the agency's owners and admins.",
	}, h.agencyActivity)
	rest.Handle(a, "POST /v1/agencies/{agency}/accounts", huma.Operation{
		OperationID: "create-account", Tags: []string{"clients"}, DefaultStatus: http.StatusCreated,
		Summary:     "Create an account that the agency owns and pays for permanently",
		Description: "The client is invited, and has access once they accept. The agency has access immediately.",
	}, h.create)
	rest.Handle(a, "GET /v1/agencies/{agency}/accounts", huma.Operation{
		OperationID: "list-clients", Tags: []string{"clients"}, Summary: "List the agency's clients: owned, connected, requested and ended",
	}, h.clients)
	return a
}

type handlers struct{ svc *service.Service }

func (h handlers) account(v service.AccountView) rest.Account { return rest.NewAccount(h.svc, v) }

type meOutput struct {
	Body struct {
		ID    string `json:"id" format:"person-id"`
		Email string `json:"email" format:"address" doc:"Your verified address, in lower case and its domain in Unicode."`

		Suppressed   *string         `json:"suppressed" enum:"bounced,complained" doc:"Why email to you was suppressed: an email bounced, or you complained about one. This call ends it; it is shown until the next email is sent. Null for neither."`
		SuppressedAt *rest.Timestamp `json:"suppressedAt" doc:"When that was."`

		UnsolicitedMail string `json:"unsolicitedMail" enum:"allowed,stopped" doc:"Whether your mailbox gets emails about requests and invitations that you have not accepted."`
	}
}

// The values of unsolicitedMail.
const (
	mailAllowed = "allowed"
	mailStopped = "stopped"
)

func (h handlers) me(ctx context.Context, actor agency.Actor, _ *struct{}) (*meOutput, error) {
	me, err := h.svc.Me(ctx, actor)
	if err != nil {
		return nil, err
	}
	stopped, err := h.svc.MyMailStopped(ctx, actor)
	out := &meOutput{}
	out.Body.ID, out.Body.Email, out.Body.UnsolicitedMail = string(me.ID), agency.DisplayEmail(me.Email), mailAllowed
	out.Body.Suppressed, out.Body.SuppressedAt = rest.Optional(me.Suppression.Reason), rest.OptionalTime(me.Suppression.At)
	if stopped {
		out.Body.UnsolicitedMail = mailStopped
	}
	return out, err
}

type changeMeInput struct {
	Body struct {
		UnsolicitedMail string `json:"unsolicitedMail" enum:"allowed,stopped"`
	}
}

func (h handlers) changeMe(ctx context.Context, actor agency.Actor, in *changeMeInput) (*meOutput, error) {
	change := h.svc.AllowMyMail
	if in.Body.UnsolicitedMail == mailStopped {
		change = h.svc.StopMyMail
	}
	if err := change(ctx, actor); err != nil {
		return nil, err
	}
	return h.me(ctx, actor, nil)
}

type openInput struct {
	rest.Idempotency
	Body struct {
		Name string `json:"name" format:"name" minLength:"1" maxLength:"320" doc:"At most 80 characters once it is in NFC and without what is invisible."`
	}
}

func (h handlers) open(ctx context.Context, actor agency.Actor, in *openInput) (*rest.Output[rest.Account], error) {
	return rest.Reply(h.account)(h.svc.OpenAccount(ctx, actor, in.Key, in.Body.Name))
}

type createInput struct {
	rest.Idempotency
	Agency string `path:"agency" format:"account-id"`
	Body   struct {
		Name                      string       `json:"name" format:"name" minLength:"1" maxLength:"320" doc:"At most 80 characters once it is in NFC and without what is invisible."`
		Plan                      string       `json:"plan" minLength:"1" maxLength:"64"`
		ConfirmPermanentOwnership bool         `json:"confirmPermanentOwnership" format:"confirmed" doc:"Must be true: the agency owns the account and pays for it permanently. This can never be undone."`
		Client                    *clientInput `json:"client,omitempty" doc:"The person to invite."`
	}
}

type clientInput struct {
	Email string     `json:"email" format:"address" maxLength:"254"`
	Areas rest.Areas `json:"areas" format:"given-areas"`
}

func (h handlers) create(ctx context.Context, actor agency.Actor, in *createInput) (*rest.Output[rest.Account], error) {
	account := service.NewClientAccount{
		Name: in.Body.Name, Plan: in.Body.Plan, ConfirmPermanentOwnership: in.Body.ConfirmPermanentOwnership,
	}
	if c := in.Body.Client; c != nil {
		account.Client = &service.NewClient{Email: c.Email, Areas: agency.Areas(c.Areas)}
	}
	return rest.Reply(h.account)(h.svc.CreateAccount(ctx, actor, agency.AccountID(in.Agency), in.Key, account))
}

type renameInput struct {
	rest.OnAccount
	Body struct {
		Name string `json:"name" format:"name" minLength:"1" maxLength:"320" doc:"At most 80 characters once it is in NFC and without what is invisible."`
	}
}

func (h handlers) rename(ctx context.Context, actor agency.Actor, in *renameInput) (*rest.Output[rest.Account], error) {
	caller, account := in.Caller(actor)
	return rest.Reply(h.account)(h.svc.RenameAccount(ctx, caller, account, in.Body.Name))
}

type accountInput struct {
	Account string `path:"account" format:"account-id"`
}

func (h handlers) switchOn(ctx context.Context, actor agency.Actor, in *accountInput) (*rest.Output[rest.Account], error) {
	return rest.Reply(h.account)(h.svc.SwitchAgencyOn(ctx, actor, agency.AccountID(in.Account)))
}

func (h handlers) switchOff(ctx context.Context, actor agency.Actor, in *accountInput) (*rest.Output[rest.Account], error) {
	return rest.Reply(h.account)(h.svc.SwitchAgencyOff(ctx, actor, agency.AccountID(in.Account)))
}

func (h handlers) erase(ctx context.Context, actor agency.Actor, _ *struct{}) (*struct{}, error) {
	return nil, h.svc.EraseMe(ctx, actor)
}

// Line is an event as the activity shows it. It is exported because huma ignores the
// fields of an embedded struct that is not.
type Line struct {
	ID        string         `json:"id" format:"event-id"`
	Type      string         `json:"type"`
	At        rest.Timestamp `json:"at"`
	Actor     *string        `json:"actor" format:"person-id" doc:"The person who did it; null for the clock, for the platform, and for a person of the other side: an agency does not read who acts in a client's account, nor the account who acts for an agency."`
	Side      *string        `json:"side" enum:"account,agency,clock" doc:"The side of the connection that did it; null for an event of no connection."`
	As        *string        `json:"as" format:"account-id" doc:"The agency that they acted for."`
	Agency    *string        `json:"agency" format:"account-id" doc:"The agency concerned."`
	Member    *string        `json:"member" format:"member-id" doc:"Whose profile changed."`
	Request   *int           `json:"request" doc:"The number of the request concerned."`
	Kind      *string        `json:"kind" enum:"invitation,ownership" doc:"Whether it is an invitation or an offer of ownership, in an event of one; null for other events."`
	Was       state          `json:"was"`
	Now       state          `json:"now"`
	Ownership string         `json:"ownership" enum:"agency,client"`
}

type state struct {
	Name         *string         `json:"name,omitempty"`
	Status       *string         `json:"status,omitempty"`
	Role         *string         `json:"role,omitempty"`
	Areas        rest.Areas      `json:"areas,omitempty"`
	Until        *rest.Timestamp `json:"until,omitempty" doc:"When access ends by itself, or a cancelled subscription freezes."`
	Expires      *rest.Timestamp `json:"expires,omitempty" doc:"Until when the request can be answered."`
	Clients      *[]string       `json:"clients,omitempty" format:"account-id" doc:"The only clients that a member of an agency is assigned to; left out for all."`
	Plan         *string         `json:"plan,omitempty"`
	Subscription *string         `json:"subscription,omitempty"`
}

func newState(s agency.State) state {
	return state{
		Expires: rest.OptionalTime(s.Expires), Clients: rest.OptionalIDs(s.Clients),
		Name: rest.Optional(s.Name), Status: rest.Optional(s.Status), Role: rest.Optional(s.Role), Areas: rest.Areas(s.Areas),
		Until: rest.OptionalTime(s.Until), Plan: rest.Optional(s.Plan), Subscription: rest.Optional(s.Subscription),
	}
}

func newLine(e agency.Event) Line {
	l := Line{
		ID: string(e.ID), Type: string(e.Type), At: rest.Time(e.At), Actor: rest.Optional(e.Actor), Side: rest.Optional(e.Side()),
		As: rest.Optional(e.As), Agency: rest.Optional(e.Agency), Member: rest.Optional(e.Member), Ownership: string(e.Ownership), Kind: rest.Optional(e.Kind),
		Was: newState(e.Was), Now: newState(e.Now),
	}
	if e.Request > 0 {
		l.Request = &e.Request
	}
	return l
}

func (h handlers) activity(ctx context.Context, actor agency.Actor, in *rest.OnAccountPage) (*rest.Output[rest.List[Line]], error) {
	caller, account := in.Caller(actor)
	return rest.ReplyList(func(e agency.Event) Line {
		if caller.As == "" {
			e = e.ForAccount()
		}
		return newLine(e)
	})(h.svc.AccountActivity(ctx, caller, account, in.Page()))
}

type agencyActivityInput struct {
	Agency string `path:"agency" format:"account-id"`
	rest.Paging
}

// clientLine is a line of an agency's activity.
type clientLine struct {
	Line
	Connection *string `json:"connection" format:"connection-id" doc:"The connection concerned."`
	Account    *string `json:"account" format:"account-id" doc:"The account concerned; null for a request that is addressed by email."`
	Client     *string `json:"client" doc:"The client's name as the agency knows it: the account's, or the address that it typed; null until a request was accepted."`
}

func (h handlers) agencyActivity(ctx context.Context, actor agency.Actor, in *agencyActivityInput) (*rest.Output[rest.List[clientLine]], error) {
	id := agency.AccountID(in.Agency)
	return rest.ReplyList(func(e service.ClientEvent) clientLine {
		return clientLine{
			Line: newLine(e.Event), Account: rest.Optional(e.AccountID()), Client: rest.Optional(e.Name),
			Connection: rest.Optional(agency.NewConnectionID(e.Addressee, id)),
		}
	})(h.svc.AgencyActivity(ctx, actor, id, in.Page()))
}

type clientsInput struct {
	Agency string `path:"agency" format:"account-id"`
	rest.Paging
	Status string `query:"status" enum:"pending,active,declined,withdrawn,expired,revoked,left,lapsed,ended,moved"`
	Prefix string `query:"prefix" minLength:"1" maxLength:"320" doc:"How the account's name begins; needs a status."`
}

type clientsOutput struct {
	Body struct {
		rest.List[rest.Connection]
		Counts clientCounts `json:"counts"`
	}
}

type clientCounts struct {
	Owned     int `json:"owned"`
	Connected int `json:"connected"`
	Pending   int `json:"pending"`
}

func (h handlers) clients(ctx context.Context, actor agency.Actor, in *clientsInput) (*clientsOutput, error) {
	filter := service.ClientFilter{Status: agency.Status(in.Status), Prefix: in.Prefix}
	page, counts, err := h.svc.Clients(ctx, actor, agency.AccountID(in.Agency), filter, in.Page())
	if err != nil {
		return nil, err
	}
	out := &clientsOutput{}
	out.Body.Counts = clientCounts(counts)
	out.Body.List = rest.NewList(page, func(p agency.Profile) rest.Connection { return rest.NewConnection(h.svc, p) })
	return out, nil
}
