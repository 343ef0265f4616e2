package main

import (
	"time"

	"agencyhub/shared/agency"
	"agencyhub/shared/service"
)

// homePage is the accounts that the person has access to, and the requests that they
// can decide.
type homePage struct {
	frame
	Waiting  []waitingRow
	Accounts []accountRow
	Next     string
}

// waitingRow is a connection request that the person can decide.
type waitingRow struct {
	Agency, Account, Message string
	Expires                  time.Time
	URL                      string
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
	list, err := c.svc.MyAccounts(v.ctx, v.actor, v.listPage(pageSize))
	if err != nil {
		return response{}, err
	}
	p := &homePage{Next: list.Next}
	for _, a := range list.Items {
		p.Accounts = append(p.Accounts, accountRow{
			Name: a.Name, Role: a.Role, IsAgency: a.IsAgency(), IsAgencyOwned: a.Ownership == agency.AgencyOwned, URL: accountURL(a),
		})
	}
	if v.r.URL.Query().Get("cursor") != "" {
		return show("home", p), nil
	}
	waiting, err := c.svc.PendingRequests(v.ctx, v.actor)
	if err != nil {
		return response{}, err
	}
	for _, w := range waiting {
		p.Waiting = append(p.Waiting, waitingRow{
			Agency: w.Name, Account: w.To.Name, Message: w.Request.Message, Expires: w.Request.ExpiresAt, URL: "/requests/" + string(w.ID()),
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
