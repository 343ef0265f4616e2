package agency

import (
	"context"
	"fmt"
)

// CloseAccount closes an account for good. From that moment nobody has access
// and nothing can be done in it; its members are ended by Tick, and its data
// goes after the retention. Errors: IdentityChanged, NotFound, NotPayer,
// Forbidden, HasClients (its hub is on).
func (h *Hub) CloseAccount(ctx context.Context, caller Caller, id AccountID) (AccountView, error) {
	var view AccountView
	err := h.command(ctx, &caller, wantStanding(caller, id), func(d *decision) error {
		s, err := d.standAs(Close, id)
		if err != nil {
			return err
		}
		account := s.account
		if account.Hub {
			return refuse(HasClients, "This account is an agency. Switch its hub off first.")
		}
		account.Closed, account.DueAt = d.now, d.now
		account.Version++
		d.Accounts = append(d.Accounts, account)
		d.accountEvent(AccountClosed, account, State{Name: account.Name}, State{Name: account.Name})
		view = d.view(s, account)
		return nil
	})
	return view, err
}

// SwitchHubOff makes an agency an account like any other. It is one already:
// nothing changes. Errors: IdentityChanged, NotFound, Forbidden, HasClients.
func (h *Hub) SwitchHubOff(ctx context.Context, actor Actor, id AccountID) (AccountView, error) {
	var view AccountView
	caller := Caller{Actor: actor}
	err := h.command(ctx, &caller, wantStanding(caller, id), func(d *decision) error {
		s, err := d.standAs(SwitchHub, id)
		if err != nil {
			return err
		}
		account := s.account
		if account.Hub {
			account.Hub = false
			account.Version++
			d.Accounts = append(d.Accounts, account)
			d.accountEvent(HubSwitchedOff, account, State{Name: account.Name}, State{Name: account.Name})
			d.limits = append(d.limits, CountChange{Agency: id, NoClients: true})
		}
		view = d.view(s, account)
		return nil
	})
	return view, err
}

// pageSize is how many rows one step of something long takes.
const pageSize = 25

// EraseMe begins to erase the actor's own data. They have no access from that
// moment, and own nothing, so that no other owner can leave an account to them;
// their other profiles are ended and their address goes by Tick. Errors:
// LastOwner, which names the accounts.
func (h *Hub) EraseMe(ctx context.Context, actor Actor) error {
	caller := Caller{Actor: actor}
	want := Want{People: []PersonID{actor.ID()}}
	for cursor := ""; ; {
		mine, err := h.Store.Memberships(ctx, actor.ID(), Page{Limit: pageSize, Cursor: cursor})
		if err != nil {
			return err
		}
		for _, p := range mine.Items {
			if p.boundToAnother(actor) {
				return refuse(IdentityChanged, "This address now belongs to another sign-in than the one that was let in.")
			}
			if p.Role == Owner {
				want = want.and(Want{Accounts: []AccountID{p.Account()}})
			}
		}
		if cursor = mine.Next; cursor == "" {
			break
		}
	}
	read, err := h.Store.Load(ctx, Want{Accounts: want.Accounts})
	if err != nil {
		return err
	}
	var fields []FieldError
	for _, id := range want.Accounts {
		if a := read.Account(id); a.Open() && a.Owners < 2 {
			fields = append(fields, FieldError{Field: string(id), Message: "You are its last owner. Make somebody else an owner, or close it."})
		}
	}
	if len(fields) > 0 {
		return &Error{Code: LastOwner, Fields: fields, Message: fmt.Sprintf("You are the last owner of %d of your accounts.", len(fields))}
	}
	// What one transaction does not hold is ended by Tick, which looks for a last
	// owner too.
	want.Accounts = want.Accounts[:min(len(want.Accounts), pageSize)]
	for _, id := range want.Accounts {
		want.Profiles = append(want.Profiles, At(id, actor.ID()))
	}
	return h.command(ctx, &caller, want, func(d *decision) error {
		me := d.read.Person(actor.ID())
		if !me.Erasing.IsZero() {
			return nil
		}
		me.Erasing, me.DueAt = d.now, d.now
		me.Version++
		d.Events = append(d.Events, Event{
			Type: PersonErasing, At: d.now, Addressee: Party(me.ID), Member: Party(me.ID), Ownership: ClientOwned, Version: me.Version,
		})
		for _, key := range want.Profiles {
			if p := d.profile(key); p.Status == Active && p.Role == Owner && d.read.Account(p.Account()).Open() {
				if err := d.endErased(p); err != nil {
					return err
				}
				me = me.without(p.Account())
			}
		}
		d.People = append(d.People, me)
		return nil
	})
}

// Carry brings the present name and subscription of an account to the copies of
// them, in the profiles of its active members, and, where it is an agency, its
// name to all of that agency's own. It may be done again at any time.
func (h *Hub) Carry(ctx context.Context, id AccountID) error {
	err := eachPage(func(page Page) (string, error) {
		team, err := h.Store.Team(ctx, Party(id), page)
		if err != nil {
			return "", err
		}
		return team.Next, h.carry(ctx, id, team.Items, func(p *Profile, account Account) bool {
			if p.Status != Active || p.AccountName == account.Name && p.Subscription == account.Subscription.copy() {
				return false
			}
			p.AccountName, p.Subscription = account.Name, account.Subscription.copy()
			return true
		})
	})
	if err != nil {
		return err
	}
	return eachPage(func(page Page) (string, error) {
		clients, err := h.Store.Clients(ctx, id, ClientFilter{}, page)
		if err != nil {
			return "", err
		}
		return clients.Next, h.carry(ctx, id, clients.Items, func(p *Profile, account Account) bool {
			if p.Name == account.Name {
				return false
			}
			p.Name = account.Name
			return true
		})
	})
}

// carry writes those of the profiles that change, in one transaction.
func (h *Hub) carry(ctx context.Context, id AccountID, profiles []Profile, change func(*Profile, Account) bool) error {
	want := Want{Accounts: []AccountID{id}}
	for _, p := range profiles {
		want = want.and(Want{Profiles: []ProfileKey{p.ProfileKey}})
	}
	if len(want.Profiles) == 0 {
		return nil
	}
	return h.command(ctx, nil, want, func(d *decision) error {
		account := d.read.Account(id)
		for _, key := range want.Profiles {
			if p := d.read.Profile(key); p.Version > 0 && account.Exists() && change(&p, account) {
				p.Version++
				d.put(p)
			}
		}
		return nil
	})
}

// eachPage goes through a list, whose pages are read by step.
func eachPage(step func(Page) (next string, err error)) error {
	for cursor := ""; ; {
		next, err := step(Page{Limit: pageSize, Cursor: cursor})
		if err != nil || next == "" {
			return err
		}
		cursor = next
	}
}
