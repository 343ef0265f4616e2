package service

import (
	"context"

	"agencyhub/shared/agency"
)

// SwitchAgencyOn makes the account an agency. It is one already: nothing changes.
// Errors: IdentityChanged, NotFound, PermanentlyOwned, Forbidden.
func (s *Service) SwitchAgencyOn(ctx context.Context, actor agency.Actor, id agency.AccountID) (AccountView, error) {
	var view AccountView
	caller := agency.Caller{Actor: actor}
	err := s.command(ctx, &caller, wantAuthority(caller, id), func(d *decision) error {
		auth, err := d.locate(id)
		if err != nil {
			return err
		}
		if auth.account.Ownership == agency.AgencyOwned {
			return agency.Refuse(agency.PermanentlyOwned, "An account that an agency owns can't be an agency itself.")
		}
		if err := auth.permission(agency.SwitchAgency).Refusal(); err != nil {
			return err
		}
		account := auth.account
		if !account.AgencyOn {
			account.AgencyOn = true
			account.Version++
			d.Accounts = append(d.Accounts, account)
			d.accountEvent(agency.AgencySwitchedOn, account, agency.State{Name: account.Name}, agency.State{Name: account.Name})
		}
		view = d.view(auth, account)
		return nil
	})
	return view, err
}

// SwitchAgencyOff makes an agency an account like any other. It is one already:
// nothing changes. Errors: IdentityChanged, NotFound, Forbidden, HasClients.
func (s *Service) SwitchAgencyOff(ctx context.Context, actor agency.Actor, id agency.AccountID) (AccountView, error) {
	var view AccountView
	caller := agency.Caller{Actor: actor}
	err := s.command(ctx, &caller, wantAuthority(caller, id), func(d *decision) error {
		auth, err := d.authorize(agency.SwitchAgency, id)
		if err != nil {
			return err
		}
		account := auth.account
		if account.AgencyOn {
			account.AgencyOn = false
			account.Version++
			d.Accounts = append(d.Accounts, account)
			d.accountEvent(agency.AgencySwitchedOff, account, agency.State{Name: account.Name}, agency.State{Name: account.Name})
			d.limits = append(d.limits, CountChange{Agency: id, NoClients: true})
		}
		view = d.view(auth, account)
		return nil
	})
	return view, err
}
