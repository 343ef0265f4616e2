package main

import (
	"time"

	"agencyhub/shared/agency"
	"agencyhub/shared/service"
)

// homePage is where a person begins: the accounts that they can enter, and what
// waits for their decision.
type homePage struct {
	frame
	Waiting  []waitingRow
	Accounts []accountRow
	Next     string
}

// waitingRow is a request that the person may decide.
type waitingRow struct {
	Agency, Account, Message string
	Expires                  time.Time
	Link                     string
}

type accountRow struct {
	Name       string
	Role       agency.Role
	Hub, Owned bool
	Link       string
}

// pageSize is how many rows a list shows at once.
const pageSize = 25

// welcomePage is what the address of the hub shows to whoever is not signed in.
type welcomePage struct{ frame }

func (c *console) home(v *visit) (answer, error) {
	if v.actor.Email == "" {
		return show("welcome", &welcomePage{}), nil
	}
	list, err := c.svc.MyAccounts(v.ctx, v.actor, v.page(pageSize))
	if err != nil {
		return answer{}, err
	}
	p := &homePage{Next: list.Next}
	for _, a := range list.Items {
		p.Accounts = append(p.Accounts, accountRow{
			Name: a.Name, Role: a.Role, Hub: a.IsAgency(), Owned: a.Ownership == agency.AgencyOwned, Link: accountLink(a),
		})
	}
	if v.r.URL.Query().Get("cursor") != "" {
		return show("home", p), nil
	}
	waiting, err := c.svc.PendingRequests(v.ctx, v.actor)
	if err != nil {
		return answer{}, err
	}
	for _, w := range waiting {
		p.Waiting = append(p.Waiting, waitingRow{
			Agency: w.Name, Account: w.To.Name, Message: w.Request.Message, Expires: w.Request.ExpiresAt, Link: "/requests/" + string(w.ID()),
		})
	}
	return show("home", p), nil
}

// accountLink is the page of an account where its people have most to do.
func accountLink(a service.AccountView) string {
	switch {
	case a.IsAgency():
		return "/agencies/" + string(a.ID)
	case a.Role == agency.Member:
		return "/accounts/" + string(a.ID) + "/settings"
	default:
		return "/accounts/" + string(a.ID) + "/team"
	}
}
