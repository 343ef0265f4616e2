package main

import (
	"agencyhub/shared/agency"
	"agencyhub/shared/service"
)

// homePage is the accounts that the person has access to, and the first of what waits
// for their answer.
type homePage struct {
	frame
	Waiting []waitingCard
	// HasMoreWaiting reports whether more may wait than is shown.
	HasMoreWaiting bool
	Accounts       []accountRow
	Next           string
}

// accountRow is an account of the person's.
type accountRow struct {
	Name                    string
	Role                    agency.Role
	IsAgency, IsAgencyOwned bool
	URL                     string
}

// pageSize is the number of rows on a page of a list.
const pageSize = 25

// welcomePage is the home page before sign-in.
type welcomePage struct{ frame }

func (c *console) home(v *visit) (response, error) {
	if v.actor.Email == "" {
		return show("welcome", &welcomePage{}), nil
	}
	isFirst := v.r.URL.Query().Get("cursor") == ""
	var list service.List[service.AccountView]
	var waiting service.List[waitingCard]
	err := v.inParallel(
		func() (err error) { list, err = c.svc.MyAccounts(v.ctx, v.actor, v.listPage(pageSize)); return err },
		func() (err error) {
			if isFirst {
				waiting, err = c.waitingCards(v, service.Page{Limit: pageSize})
			}
			return err
		},
	)
	if err != nil {
		return response{}, err
	}
	p := &homePage{Next: list.Next, Waiting: waiting.Items, HasMoreWaiting: waiting.Next != ""}
	for _, a := range list.Items {
		p.Accounts = append(p.Accounts, accountRow{
			Name: a.Name, Role: a.Role, IsAgency: a.IsAgency(), IsAgencyOwned: a.Ownership == agency.AgencyOwned, URL: accountURL(a),
		})
	}
	return show("home", p), nil
}

// accountURL returns the page of an account that its visitor most likely wants.
func accountURL(a service.AccountView) string {
	switch {
	case a.IsAgency():
		return "/agencies/" + string(a.ID)
	case allows(a, agency.ViewTeam):
		return "/accounts/" + string(a.ID) + "/team"
	default:
		return "/accounts/" + string(a.ID) + "/settings"
	}
}
