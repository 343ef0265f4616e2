package main

import (
	"net/url"

	"agencyhub/shared/agency"
	"agencyhub/shared/service"
)

// visitedAccount is the account that a page is about, as its visitor may use it.
// Its methods are what templates ask.
type visitedAccount struct {
	service.AccountView
	// As is the agency for which the person is here; "" for themselves.
	As agency.AccountID
	// Tab is the current one of the tabs that lead through the account's pages.
	Tab string
}

// visitedAccount returns the account in the page's address, as the caller sees it.
// Errors: as GetAccount's.
func (v *visit) visitedAccount(tab string) (*visitedAccount, error) {
	caller := v.caller()
	view, err := v.svc.GetAccount(v.ctx, caller, v.accountID())
	if err != nil {
		return nil, err
	}
	return &visitedAccount{AccountView: view, As: caller.As, Tab: tab}, nil
}

// allows reports whether the table of permissions grants the viewer an operation,
// perhaps a part of it.
func allows(view service.AccountView, op agency.Operation) bool {
	return view.Permission(op).Refusal() == nil
}

// The operations that pages offer. The use cases decide again.

func (a *visitedAccount) CanViewTeam() bool      { return allows(a.AccountView, agency.ViewTeam) }
func (a *visitedAccount) CanViewActivity() bool  { return allows(a.AccountView, agency.ViewActivity) }
func (a *visitedAccount) CanViewBill() bool      { return allows(a.AccountView, agency.ViewBill) }
func (a *visitedAccount) CanRename() bool        { return allows(a.AccountView, agency.Rename) }
func (a *visitedAccount) CanManagePersons() bool { return allows(a.AccountView, agency.ManagePersons) }
func (a *visitedAccount) CanDecideRequests() bool {
	return allows(a.AccountView, agency.DecideRequests)
}
func (a *visitedAccount) CanManageBilling() bool { return allows(a.AccountView, agency.ManageBilling) }
func (a *visitedAccount) CanSwitchAgency() bool {
	return allows(a.AccountView, agency.SwitchAgencyOff)
}
func (a *visitedAccount) CanClose() bool { return allows(a.AccountView, agency.Close) }

// SeesWholeTeam reports whether the visitor sees all members: a connected agency
// sees itself alone.
func (a *visitedAccount) SeesWholeTeam() bool { return a.Permission(agency.ViewTeam) == agency.Yes }

// IsAgencyOwned reports whether an agency owns the account.
func (a *visitedAccount) IsAgencyOwned() bool { return a.Ownership == agency.AgencyOwned }

// grantableRoles returns the roles that the visitor can give, the least first.
func (a *visitedAccount) grantableRoles() []agency.Role {
	switch permission := a.Permission(agency.ManagePersons); {
	case a.IsAgencyOwned() || permission.Refusal() != nil:
		return []agency.Role{agency.Member}
	case permission == agency.NotOwners:
		return []agency.Role{agency.Member, agency.Admin}
	default:
		return []agency.Role{agency.Member, agency.Admin, agency.Owner}
	}
}

// CanOfferOwnership reports whether the visitor may offer ownership.
func (a *visitedAccount) CanOfferOwnership() bool {
	return allows(a.AccountView, agency.OfferOwnership)
}

// canManage reports whether the visitor may change or remove a person of a role.
func (a *visitedAccount) canManage(role agency.Role) bool {
	permission := a.Permission(agency.ManagePersons)
	return permission == agency.Yes || permission == agency.NotOwners && role != agency.Owner
}

// Query returns what the address of each page of the account ends in.
func (a *visitedAccount) Query() string {
	if a.As == "" {
		return ""
	}
	return "?as=" + string(a.As)
}

// URL returns the address of a page of the account, for this visitor.
func (a *visitedAccount) URL(path string) string {
	return "/accounts/" + string(a.ID) + path + a.Query()
}

// PageURL is URL with the cursor of the list's next page.
func (a *visitedAccount) PageURL(path, cursor string) string {
	q := url.Values{"cursor": {cursor}}
	if a.As != "" {
		q.Set("as", string(a.As))
	}
	return "/accounts/" + string(a.ID) + path + "?" + q.Encode()
}

// confirmationFailed refuses what can't be undone and was not confirmed.
func confirmationFailed(message string) error {
	return &agency.Error{Code: agency.Invalid, Message: message, Fields: []agency.FieldError{{Field: "confirm", Message: message}}}
}
