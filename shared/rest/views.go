package rest

import (
	"time"

	"github.com/danielgtaylor/huma/v2"

	"agencyhub/shared/agency"
	"agencyhub/shared/service"
)

// The types below are the resources that more than one function returns.

// Areas is a level for each area, as in {"pages": "edit", "mail": "view"}.
type Areas map[string]agency.Level

// Schema returns the schema for the OpenAPI document and the validation.
func (Areas) Schema(huma.Registry) *huma.Schema {
	maxAreas := 100
	return &huma.Schema{
		Type: huma.TypeObject, MaxProperties: &maxAreas,
		Description: "A level for each area of the platform. In a call, an area that is not named is none; an answer names every area.",
		AdditionalProperties: &huma.Schema{
			Type: huma.TypeString, Enum: []any{string(agency.None), string(agency.View), string(agency.Edit)},
		},
	}
}

// Account is an account as its caller sees it.
type Account struct {
	ID           string       `json:"id"`
	Name         string       `json:"name"`
	Ownership    string       `json:"ownership" enum:"agency,client" doc:"Who owns it. Fixed at creation."`
	Owner        *string      `json:"owner" doc:"The agency that owns it; null when a client does."`
	Agency       bool         `json:"agency" doc:"Whether its hub is on, so that it is an agency itself."`
	Role         *string      `json:"role" doc:"Your own role in it; null when you act for an agency."`
	Subscription Subscription `json:"subscription"`
	Access       Access       `json:"access"`
	CreatedAt    time.Time    `json:"createdAt"`
	ClosedAt     *time.Time   `json:"closedAt" doc:"When it was closed; null while it is open."`
}

// Subscription is an account's plan and its payment state.
type Subscription struct {
	Plan      *string   `json:"plan" doc:"Null for whoever is not on the side that pays."`
	State     string    `json:"state" enum:"active,past_due,cancelling,frozen"`
	PeriodEnd time.Time `json:"periodEnd" doc:"The end of the present period: periods are calendar months, UTC."`
	Payer     string    `json:"payer" enum:"agency,client"`
}

// Access is the result of an access check.
type Access struct {
	Allowed   bool    `json:"allowed" doc:"Whether some area is not none."`
	Areas     Areas   `json:"areas"`
	Via       *string `json:"via" doc:"own, or the agency through which access is had; null for none."`
	Reason    *string `json:"reason" enum:"none,pending,ended,lapsed,closed,not_assigned,identity_changed,frozen" doc:"Why access is refused, or cut; null where it is neither."`
	Ownership *string `json:"ownership" enum:"agency,client"`
	Payer     *string `json:"payer" enum:"agency,client"`
}

// NewAccount returns an account as its caller sees it.
func NewAccount(svc *service.Service, v service.AccountView) Account {
	return Account{
		ID: string(v.ID), Name: v.Name, Ownership: string(v.Ownership), Owner: Optional(v.Owner), Agency: v.IsAgency(),
		Role: Optional(v.Role), Access: NewAccess(v.Access), CreatedAt: Time(v.CreatedAt), ClosedAt: OptionalTime(v.Closed),
		Subscription: NewSubscription(service.SubscriptionView{
			Subscription: v.Subscription, PeriodEnd: v.Subscription.PeriodEnd(svc.Now()), Payer: v.Payer(),
		}),
	}
}

// NewSubscription returns a subscription as its caller sees it.
func NewSubscription(v service.SubscriptionView) Subscription {
	return Subscription{Plan: Optional(v.Plan), State: string(v.State), PeriodEnd: Time(v.PeriodEnd), Payer: string(v.Payer)}
}

// NewAccess returns the result of an access check.
func NewAccess(a agency.Access) Access {
	return Access{
		Allowed: a.Allowed, Areas: Areas(a.Areas), Via: Optional(a.Via), Reason: Optional(a.Reason),
		Ownership: Optional(a.Ownership), Payer: Optional(a.Payer),
	}
}

// Member is a profile in an account's Team Members.
type Member struct {
	ID          string     `json:"id" doc:"The person's or the agency's id."`
	Kind        string     `json:"kind" enum:"person,agency"`
	Name        string     `json:"name" doc:"The agency's name, or the person's address."`
	Email       *string    `json:"email" doc:"A person's address."`
	Status      string     `json:"status" enum:"pending,active,declined,withdrawn,expired,revoked,left,lapsed,ended,moved"`
	Role        *string    `json:"role" enum:"owner,admin,member" doc:"A person's; null for an agency."`
	Areas       Areas      `json:"areas" doc:"What is granted, or asked for while it is pending."`
	Ownership   string     `json:"ownership" enum:"agency,client"`
	Request     *int       `json:"request" doc:"The number of the request; accepting names it."`
	Message     *string    `json:"message"`
	RequestedAt *time.Time `json:"requestedAt"`
	ExpiresAt   *time.Time `json:"expiresAt"`
	Until       *time.Time `json:"until"`
	Delivery    *string    `json:"delivery" enum:"waiting,sent,failed" doc:"What became of the request's email. A person's is null, or failed when the email that told them came back and they have not signed in since."`
	Clients     *[]string  `json:"clients" nullable:"true" doc:"The only clients that a member of an agency is assigned to; null for all."`
}

// NewMember returns a profile in its account's Team Members.
func NewMember(svc *service.Service, p agency.Profile) Member {
	m := Member{
		ID: string(p.Member), Kind: string(p.Kind()), Name: p.Name, Email: Optional(p.Email), Status: string(p.StatusAt(svc.Now())),
		Role: Optional(p.Role), Areas: Areas(svc.GrantedAreas(p)), Ownership: string(p.Ownership),
		Message: Optional(p.Request.Message), RequestedAt: OptionalTime(p.Request.RequestedAt), ExpiresAt: OptionalTime(p.Request.ExpiresAt),
		Until: OptionalTime(p.Until), Delivery: Optional(p.Request.Delivery), Clients: OptionalIDs(p.Clients),
	}
	if p.Kind() == agency.PersonKind {
		m.Name = p.Email
	}
	if p.Request.Number > 0 {
		m.Request = &p.Request.Number
	}
	return m
}

// Connection is an agency's profile, as the account and the agency see it.
type Connection struct {
	ID          string     `json:"id"`
	Kind        string     `json:"kind" enum:"agency"`
	Account     *string    `json:"account" doc:"The account's id; null while it is addressed by email."`
	Agency      AgencyRef  `json:"agency"`
	Name        string     `json:"name" doc:"The account's name; the id of whom it is addressed to until a request has been accepted."`
	Email       *string    `json:"email" doc:"The address as it was typed, where the request is addressed to a person."`
	Status      string     `json:"status" enum:"pending,active,declined,withdrawn,expired,revoked,left,lapsed,ended,moved"`
	Role        *string    `json:"role" doc:"Always null: an agency has no role."`
	Areas       Areas      `json:"areas" doc:"What is granted, or asked for while it is pending."`
	Ownership   string     `json:"ownership" enum:"agency,client"`
	Request     *int       `json:"request" doc:"The number of the request; accepting names it."`
	Message     *string    `json:"message"`
	RequestedAt *time.Time `json:"requestedAt"`
	ExpiresAt   *time.Time `json:"expiresAt"`
	Until       *time.Time `json:"until"`
	Delivery    *string    `json:"delivery" enum:"waiting,sent,failed" doc:"What became of the request's email: failed is when it has reached nobody, because each one that was sent came back."`

	Plan         *string `json:"plan" doc:"What the agency pays for, in an account that it owns; null where it does not pay."`
	Subscription *string `json:"subscription" enum:"active,past_due,cancelling,frozen" doc:"Where the subscription stands, in an account that the agency owns; null where it does not pay."`
}

// AgencyRef is an agency's id and name.
type AgencyRef struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// NewConnection returns an agency's profile as a connection.
func NewConnection(svc *service.Service, p agency.Profile) Connection {
	m := NewMember(svc, p)
	name := p.AccountName
	if name == "" {
		name = string(p.Addressee)
	}
	c := Connection{
		ID: string(p.ID()), Kind: m.Kind, Account: Optional(p.Account()), Agency: AgencyRef{ID: m.ID, Name: p.Name}, Name: name,
		Status: m.Status, Areas: m.Areas, Ownership: m.Ownership, Request: m.Request, Message: m.Message,
		RequestedAt: m.RequestedAt, ExpiresAt: m.ExpiresAt, Until: m.Until, Delivery: m.Delivery,
	}
	if p.Addressee.Person() != "" {
		c.Email = Optional(p.Email)
	}
	if p.Ownership == agency.AgencyOwned {
		c.Plan, c.Subscription = Optional(p.Subscription.Plan), Optional(p.Subscription.StateAt(svc.Now()))
	}
	return c
}

// Block is an agency that is blocked, or that can't request again yet.
type Block struct {
	Agency       AgencyRef  `json:"agency"`
	Blocked      bool       `json:"blocked" doc:"Held off for good, until it is allowed again."`
	CoolingUntil *time.Time `json:"coolingUntil" doc:"Until when a decline or a revocation holds the agency off."`
}

// NewBlock returns a block or cooldown.
func NewBlock(b service.Block) Block {
	return Block{
		Agency: AgencyRef{ID: string(b.Asker), Name: b.Name}, Blocked: b.Blocked, CoolingUntil: OptionalTime(b.CoolingUntil),
	}
}
