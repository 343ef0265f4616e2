package rest

import (
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
		Type: huma.TypeObject, Format: "areas", MaxProperties: &maxAreas,
		Description: "A level for each area of the platform. In a call, an area that is not named is none; an answer names every area.",
		AdditionalProperties: &huma.Schema{
			Type: huma.TypeString, Enum: []any{string(agency.None), string(agency.View), string(agency.Edit)},
		},
	}
}

// Account is an account as its caller sees it.
type Account struct {
	ID           string       `json:"id" format:"account-id"`
	Name         string       `json:"name"`
	Ownership    string       `json:"ownership" enum:"agency,client" doc:"Who owns it. It never changes."`
	Owner        *string      `json:"owner" format:"account-id" doc:"The agency that owns it; null if a client does."`
	Agency       bool         `json:"agency" doc:"Whether its agency features are on, so that it is an agency itself."`
	Role         *string      `json:"role" doc:"Your own role in it; null when you act for an agency."`
	Subscription Subscription `json:"subscription"`
	Access       Access       `json:"access"`
	CreatedAt    Timestamp    `json:"createdAt"`
	ClosedAt     *Timestamp   `json:"closedAt" doc:"When it was closed; null while it is open."`
}

// Subscription is an account's plan and its payment state.
type Subscription struct {
	Plan      *string   `json:"plan" doc:"Null for whoever is not on the side that pays."`
	State     string    `json:"state" enum:"active,past_due,cancelling,frozen"`
	PeriodEnd Timestamp `json:"periodEnd" doc:"The end of the present period: periods are calendar months, UTC."`
	Payer     string    `json:"payer" enum:"agency,client"`
}

// Access is the result of an access check.
type Access struct {
	Allowed   bool    `json:"allowed" doc:"Whether some area is not none."`
	Areas     Areas   `json:"areas"`
	Via       *string `json:"via" format:"via" doc:"own, or the agency through which access is had; null for none."`
	Reason    *string `json:"reason" enum:"none,pending,invited,ended,lapsed,closed,not_assigned,identity_changed,frozen" doc:"Why access is refused, or cut; null where it is neither. invited means that you have an invitation: accept it to have access."`
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
	ID          string     `json:"id" format:"member-id" doc:"The person's or the agency's id."`
	Kind        string     `json:"kind" enum:"person,agency"`
	Name        string     `json:"name" doc:"The agency's name, or the person's address."`
	Email       *string    `json:"email" format:"address" doc:"A person's address, its domain in Unicode."`
	Status      string     `json:"status" enum:"pending,invited,active,declined,withdrawn,expired,revoked,left,lapsed,ended,moved" doc:"pending is an agency's request, and invited a person's invitation, that waits for an answer. Only active grants access."`
	Role        *string    `json:"role" enum:"owner,admin,member" doc:"A person's; the one that they get by accepting while they are invited. Null for an agency."`
	Areas       Areas      `json:"areas" doc:"What is granted, or asked for while it is pending or invited."`
	Ownership   string     `json:"ownership" enum:"agency,client"`
	Request     *int       `json:"request" doc:"The number of the request; accepting and declining name it. A person's is that of the invitation that status is about, or of the open offer; null for the others."`
	Offer       *string    `json:"offer" enum:"owner" doc:"The role that an open offer gives to an active person once they accept it. request, requestedAt and expiresAt are then the offer's. Null for none."`
	Message     *string    `json:"message" doc:"The message of an agency's request."`
	RequestedAt *Timestamp `json:"requestedAt" doc:"When the request was made."`
	ExpiresAt   *Timestamp `json:"expiresAt" doc:"Until when the request can be answered."`
	Until       *Timestamp `json:"until" doc:"When an agency's access ends by itself."`
	Delivery    *string    `json:"delivery" enum:"failed" doc:"failed means that each email of the request's last mailing bounced. Null says nothing about the emails."`
	Clients     *[]string  `json:"clients" format:"account-id" nullable:"true" doc:"The only clients that a member of an agency is assigned to; null for all."`
}

// NewMember returns a profile in its account's Team Members.
func NewMember(svc *service.Service, p agency.Profile) Member {
	now := svc.Now()
	m := Member{
		ID: string(p.Member), Kind: string(p.Kind()), Name: p.Name, Email: Optional(agency.DisplayEmail(p.Email)), Status: string(p.StatusAt(now)),
		Role: Optional(p.ShownRole()), Areas: Areas(svc.GrantedAreas(p)), Ownership: string(p.Ownership),
		Until: OptionalTime(p.Until), Clients: OptionalIDs(p.Clients),
	}
	if p.Kind() == agency.PersonKind {
		m.Name = agency.DisplayEmail(p.Email)
		offered := p.HasOffer() && p.HasOpenRequestAt(now)
		if offered {
			m.Offer = Optional(p.Request.Role)
		}
		if !offered && !p.ShowsRequest() {
			// The latest request was answered, and what it led to has changed since.
			return m
		}
	}
	m.Message, m.RequestedAt, m.ExpiresAt = Optional(p.Request.Message), OptionalTime(p.Request.RequestedAt), OptionalTime(p.Request.ExpiresAt)
	if p.Request.Number > 0 {
		m.Request = &p.Request.Number
	}
	if p.Request.Delivery == agency.DeliveryFailed {
		m.Delivery = Optional(p.Request.Delivery)
	}
	return m
}

// Connection is an agency's profile, as the account and the agency see it.
type Connection struct {
	ID          string     `json:"id" format:"connection-id"`
	Kind        string     `json:"kind" enum:"agency"`
	Account     *string    `json:"account" format:"account-id" doc:"The account's id; null while it is addressed by email."`
	Agency      AccountRef `json:"agency"`
	Name        string     `json:"name" doc:"The account's name; the addressee's id until a request has been accepted."`
	Email       *string    `json:"email" format:"address" doc:"The address, where the request is addressed to a person. Its domain is in Unicode."`
	Status      string     `json:"status" enum:"pending,active,declined,withdrawn,expired,revoked,left,lapsed,ended,moved"`
	Role        *string    `json:"role" doc:"Always null: an agency has no role."`
	Areas       Areas      `json:"areas" doc:"What is granted, or asked for while it is pending."`
	Ownership   string     `json:"ownership" enum:"agency,client"`
	Request     *int       `json:"request" doc:"The number of the request; accepting and declining name it."`
	Message     *string    `json:"message"`
	RequestedAt *Timestamp `json:"requestedAt"`
	ExpiresAt   *Timestamp `json:"expiresAt"`
	Until       *Timestamp `json:"until"`
	Delivery    *string    `json:"delivery" enum:"failed" doc:"failed means that each email of the request's last mailing bounced. Null says nothing about the emails."`

	Plan         *string `json:"plan" doc:"What the agency pays for, in an account that it owns; null where it does not pay."`
	Subscription *string `json:"subscription" enum:"active,past_due,cancelling,frozen" doc:"Where the subscription stands, in an account that the agency owns; null where it does not pay."`
}

// AccountRef is an account's id and name.
type AccountRef struct {
	ID   string `json:"id" format:"account-id"`
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
		ID: string(p.ID()), Kind: m.Kind, Account: Optional(p.Account()), Agency: AccountRef{ID: m.ID, Name: p.Name}, Name: name,
		Status: m.Status, Areas: m.Areas, Ownership: m.Ownership, Request: m.Request, Message: m.Message,
		RequestedAt: m.RequestedAt, ExpiresAt: m.ExpiresAt, Until: m.Until, Delivery: m.Delivery,
	}
	if p.Addressee.Person() != "" {
		c.Email = Optional(agency.DisplayEmail(p.Email))
	}
	if p.Ownership == agency.AgencyOwned {
		c.Plan, c.Subscription = Optional(p.Subscription.Plan), Optional(p.Subscription.StateAt(svc.Now()))
	}
	return c
}

// Block is an agency, or an account that invited a person, that is blocked or can't ask
// again yet.
type Block struct {
	Agency       AccountRef `json:"agency" doc:"Who is blocked or in a cooldown: an agency or, among a person's own, also an account that invited them."`
	Blocked      bool       `json:"blocked" doc:"Its requests reach nobody until it is unblocked. It is not told."`
	CoolingUntil *Timestamp `json:"coolingUntil" doc:"Until when it can't request again after a decline or a revocation; null for no cooldown."`
}

// NewBlock returns a block or cooldown.
func NewBlock(b service.Block) Block {
	return Block{
		Agency: AccountRef{ID: string(b.Asker), Name: b.Name}, Blocked: b.Blocked, CoolingUntil: OptionalTime(b.CoolingUntil),
	}
}
