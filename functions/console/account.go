package main

import (
	"net/url"

	"agencyhub/shared/agency"
	"agencyhub/shared/service"
)

// inside is an account as whoever visits it stands to it.
type inside struct {
	service.AccountView
	// As is the agency for which the person is here; "" for themselves.
	As agency.AccountID
	// Role is the person's own: in the account, or in the agency for which they
	// are here.
	Role agency.Role
	// Tabs lead through the account's pages.
	Tabs *tabs
}

// inAccount finds how the visitor stands to the account that the page is about.
// on is the page's name among its tabs. Errors: as ViewAccount's.
func (c *console) inAccount(v *visit, on string) (inside, error) {
	caller := v.caller()
	view, err := c.svc.GetAccount(v.ctx, caller, v.account())
	if err != nil {
		return inside{}, err
	}
	in := inside{AccountView: view, As: caller.As, Role: view.Role, Tabs: &tabs{Account: view, As: caller.As, Role: view.Role, On: on}}
	if caller.As != "" {
		agencyView, err := c.svc.GetAccount(v.ctx, agency.Caller{Actor: v.actor}, caller.As)
		if err != nil {
			return inside{}, err
		}
		in.Role, in.Tabs.Role = agencyView.Role, agencyView.Role
	}
	return in, nil
}

// Owned tells whether an agency owns the account.
func (in inside) Owned() bool { return in.Ownership == agency.AgencyOwned }

// Own tells whether the visitor stands on the side that owns the account: the
// agency's, of an owned one.
func (in inside) Own() bool {
	if in.Owned() {
		return in.As != "" && in.As == in.Owner
	}
	return in.As == ""
}

// Leads and Owns tell whether the visitor is owner or admin, or owner, on that
// side. What they show and hide, the use cases decide once more.
func (in inside) Leads() bool {
	return in.Own() && (in.Role == agency.Owner || in.Role == agency.Admin)
}

// Owns is Leads for owners alone.
func (in inside) Owns() bool { return in.Own() && in.Role == agency.Owner }

// Decides tells whether the visitor may decide on agencies: an owned account has
// nothing to decide.
func (in inside) Decides() bool { return in.Leads() && !in.Owned() }

// Address is the address of a page of the account, as this visitor sees it.
func (in inside) Address(path string) string {
	return "/accounts/" + string(in.ID) + path + in.Tabs.Query()
}

// PageAt is Address with the cursor of what follows there.
func (in inside) PageAt(path, cursor string) string {
	q := url.Values{"cursor": {cursor}}
	if in.As != "" {
		q.Set("as", string(in.As))
	}
	return "/accounts/" + string(in.ID) + path + "?" + q.Encode()
}

// grant is a level in one area.
type grant struct {
	Name  string
	Level agency.Level
}

// grants are the levels in all areas, in the settings' order.
func (c *console) grants(areas agency.Areas) []grant {
	var out []grant
	for _, area := range c.svc.Rules.Areas {
		level := areas[area.ID]
		if !level.IsValid() {
			level = agency.None
		}
		out = append(out, grant{Name: area.Name, Level: level})
	}
	return out
}

// unconfirmed is the refusal of something that cannot be undone and was not
// confirmed in so many words.
func unconfirmed(message string) error {
	return &agency.Error{Code: agency.Invalid, Message: message, Fields: []agency.FieldError{{Field: "confirm", Message: message}}}
}
