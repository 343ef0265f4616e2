package service

import (
	"context"

	"agencyhub/shared/agency"
)

// SwitchHubOn makes the account an agency. It is one already: nothing changes.
// Errors: IdentityChanged, NotFound, PermanentlyOwned, Forbidden.
func (h *Hub) SwitchHubOn(ctx context.Context, actor agency.Actor, id agency.AccountID) (AccountView, error) {
	var view AccountView
	caller := agency.Caller{Actor: actor}
	err := h.command(ctx, &caller, wantStanding(caller, id), func(d *decision) error {
		s, err := d.stand(id)
		if err != nil {
			return err
		}
		if s.account.Ownership == agency.AgencyOwned {
			return agency.Refuse(agency.PermanentlyOwned, "An account that an agency owns can't be an agency itself.")
		}
		if err := s.may(agency.SwitchHub).Refusal(); err != nil {
			return err
		}
		account := s.account
		if !account.Hub {
			account.Hub = true
			account.Version++
			d.Accounts = append(d.Accounts, account)
			d.accountEvent(agency.HubSwitchedOn, account, agency.State{Name: account.Name}, agency.State{Name: account.Name})
		}
		view = d.view(s, account)
		return nil
	})
	return view, err
}

// SwitchHubOff makes an agency an account like any other. It is one already:
// nothing changes. Errors: IdentityChanged, NotFound, Forbidden, HasClients.
func (h *Hub) SwitchHubOff(ctx context.Context, actor agency.Actor, id agency.AccountID) (AccountView, error) {
	var view AccountView
	caller := agency.Caller{Actor: actor}
	err := h.command(ctx, &caller, wantStanding(caller, id), func(d *decision) error {
		s, err := d.standAs(agency.SwitchHub, id)
		if err != nil {
			return err
		}
		account := s.account
		if account.Hub {
			account.Hub = false
			account.Version++
			d.Accounts = append(d.Accounts, account)
			d.accountEvent(agency.HubSwitchedOff, account, agency.State{Name: account.Name}, agency.State{Name: account.Name})
			d.limits = append(d.limits, CountChange{Agency: id, NoClients: true})
		}
		view = d.view(s, account)
		return nil
	})
	return view, err
}
