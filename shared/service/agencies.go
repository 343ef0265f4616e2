package service

import (
	"context"

	"agencyhub/shared/agency"
)

// SwitchAgencyOn switches the agency features of an account on. Where they are on,
// nothing changes. Errors: IdentityChanged, NotFound, PermanentlyOwned, Forbidden.
func (s *Service) SwitchAgencyOn(ctx context.Context, actor agency.Actor, id agency.AccountID) (AccountView, error) {
	check := func(auth authority) error {
		if auth.permission(agency.SwitchAgencyOn) == agency.PermanentOwner {
			return agency.Refuse(agency.PermanentlyOwned, "An account that an agency owns can't be an agency itself.")
		}
		return auth.allows(agency.SwitchAgencyOn)
	}
	return s.changeAccount(ctx, agency.Caller{Actor: actor}, id, check, func(_ *decision, a *agency.Account) (agency.EventType, error) {
		if a.AgencyOn {
			return "", nil
		}
		a.AgencyOn = true
		return agency.AgencySwitchedOn, nil
	})
}

// SwitchAgencyOff switches the agency features of an account off. Where they are
// off, nothing changes. Errors: IdentityChanged, NotFound, Forbidden, HasClients.
func (s *Service) SwitchAgencyOff(ctx context.Context, actor agency.Actor, id agency.AccountID) (AccountView, error) {
	caller := agency.Caller{Actor: actor}
	return s.changeAccount(ctx, caller, id, allowing(agency.SwitchAgencyOff), func(d *decision, a *agency.Account) (agency.EventType, error) {
		if !a.AgencyOn {
			return "", nil
		}
		a.AgencyOn = false
		d.limits = append(d.limits, CountChange{Agency: id, NoClients: true})
		return agency.AgencySwitchedOff, nil
	})
}
