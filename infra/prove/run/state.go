package run

import (
	"context"
	"slices"
	"sync"

	"agencyhub/infra/prove/law"
	"agencyhub/shared/agency"
	"agencyhub/shared/service"
)

// Account is an account of the product in the form of the law. What made it is not in it.
func Account(a agency.Account) law.Account {
	out := law.Account{
		ID: a.ID, Name: a.Name, Ownership: a.Ownership, Owner: a.Owner, IsAgency: a.AgencyOn, Closed: a.Closed,
		EndedAll: !a.Closed.IsZero() && a.DueAt.After(a.Closed),
	}
	if !a.Exists() {
		out.ID = ""
	}
	for limit, n := range a.Limits {
		if out.Raised == nil {
			out.Raised = map[agency.Limit]int{}
		}
		out.Raised[limit] = n
	}
	return subscribed(out, a.Subscription)
}

func subscribed(a law.Account, s agency.Subscription) law.Account {
	a.Plan, a.State, a.FreezesAt, a.Unpaid, a.ReportedAt = s.Plan, s.State, s.FreezesAt, s.Unpaid, s.ReportedAt
	return a
}

// Member is a profile of the product in the form of the law.
func Member(p agency.Profile) law.Member {
	r := p.Request
	m := law.Member{
		Status: p.Status, Role: p.Role, Areas: levels(p.Areas), Name: p.Name, Email: p.Email, AccountName: p.AccountName, Ownership: p.Ownership,
		Until: p.Until, Since: p.Since, RemindAt: p.RemindAt, CloseAt: p.CloseAt, Clients: p.Clients, Limited: p.Clients != nil, MovedTo: p.MovedTo,
		Issuer: p.Issuer, Subject: p.Subject, Registered: p.Registered,
		Request: law.Request{
			Number: r.Number, Kind: r.Kind, State: r.State, From: r.From, By: r.By, Message: r.Message, Role: r.Role, Areas: levels(r.Areas),
			RequestedAt: r.RequestedAt, AnsweredAt: r.AnsweredAt, ExpiresAt: r.ExpiresAt, MailedAt: r.MailedAt, Resends: r.Resends, Muted: r.Muted,
			Reached: slices.Sorted(slices.Values(r.Reached)),
		},
	}
	if len(m.Clients) == 0 {
		m.Clients = nil
	}
	return m
}

// Pair is a pair of the product in the form of the law.
func Pair(p agency.Pair) law.Pair {
	return law.Pair{CoolingUntil: p.CoolingUntil, Blocked: p.Blocked, Mailed: p.Mailed, Number: p.Requests}
}

// Person is a person of the product in the form of the law.
func Person(p agency.Person) law.Person {
	return law.Person{FirstAt: p.FirstAt, Erasing: p.Erasing, DueAt: p.DueAt, IsSuppressed: p.Suppression.IsActive()}
}

// Event is an event of the product in the form of the law.
func Event(e agency.Event) law.Event {
	out := law.Event{
		Type: e.Type, At: e.At, Addressee: e.Addressee, Agency: e.Agency, Member: e.Member, Actor: e.Actor, As: e.As, Ownership: e.Ownership,
		Request: e.Request, Kind: e.Kind, Muted: e.Muted, Client: e.Client, Reported: reported(e.Now), Was: reported(e.Was),
	}
	return out
}

func reported(s agency.State) law.Reported {
	out := law.Reported{
		Name: s.Name, Status: s.Status, Role: s.Role, Areas: levels(s.Areas), Until: s.Until, Expires: s.Expires, Message: s.Message,
		Clients: s.Clients, Limited: s.Clients != nil, Plan: s.Plan, Subscription: s.Subscription,
	}
	if len(out.Clients) == 0 {
		out.Clients = nil
	}
	return out
}

func accessOf(a agency.Access) *agency.Access {
	a.Areas = levels(a.Areas)
	return &a
}

// levels returns areas without those that are No access; nil for none.
func levels(a agency.Areas) agency.Areas {
	var out agency.Areas
	for area, level := range a {
		if level == agency.View || level == agency.Edit {
			if out == nil {
				out = agency.Areas{}
			}
			out[area] = level
		}
	}
	return out
}

// Recorder is a Store that keeps the changes which were saved.
type Recorder struct {
	service.Store
	mu    sync.Mutex
	saved []service.Changes
}

// Save saves, and keeps what was saved.
func (r *Recorder) Save(ctx context.Context, read service.Snapshot, c service.Changes) error {
	err := r.Store.Save(ctx, read, c)
	if err == nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.saved = append(r.saved, c)
	}
	return err
}

// Take returns the changes since the last call, in their order.
func (r *Recorder) Take() []service.Changes {
	r.mu.Lock()
	defer r.mu.Unlock()
	saved := r.saved
	r.saved = nil
	return saved
}
