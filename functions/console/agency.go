package main

import (
	"net/http"

	"agencyhub/shared/agency"
)

// agencyURL returns an address under an agency's own.
func agencyURL(id agency.AccountID, path string) string { return "/agencies/" + string(id) + path }

// clientURL returns the page of one of an agency's connections.
func clientURL(id agency.AccountID, con agency.ConnectionID) string {
	return agencyURL(id, "/clients/"+string(con))
}

// visitedAgency returns the agency in the page's address, as the person sees it in
// their own right. Errors: IdentityChanged, NotFound.
func (v *visit) visitedAgency(tab string) (*visitedAccount, error) {
	view, err := v.svc.GetAccount(v.ctx, agency.Caller{Actor: v.actor}, v.agencyID())
	if err != nil {
		return nil, err
	}
	return &visitedAccount{AccountView: view, Tab: tab}, nil
}

// forManagers is the handler of a page for those who may add clients. In its place
// the others get the page of a switched-off agency, or the error Forbidden.
func (c *console) forManagers(h func(*visit, *visitedAccount) (response, error)) handler {
	return func(v *visit) (response, error) {
		a, err := v.visitedAgency("clients")
		if err != nil {
			return response{}, err
		}
		if !a.IsAgency() {
			return agencyOff(a), nil
		}
		if !allows(a.AccountView, agency.ManageClients) {
			return response{}, &agency.Error{Code: agency.Forbidden, Message: "Only owners and admins of the agency add clients. Ask one of them."}
		}
		return h(v, a)
	}
}

// agencyOffPage stands in for an agency's pages while its agency features are off.
type agencyOffPage struct {
	frame
	// SettingsURL is where the person can switch them on; "" when they can't.
	SettingsURL string
}

func agencyOff(a *visitedAccount) response {
	p := &agencyOffPage{frame: frame{Account: a}}
	if a.CanSwitchAgency() {
		p.SettingsURL = a.URL("/settings")
	}
	return response{status: http.StatusConflict, name: "agency-off", data: p}
}
