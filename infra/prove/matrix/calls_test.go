package matrix

import (
	"strings"
	"time"
)

// A target is what the calls of a section are about.
type target struct {
	account, agency string
	members         map[string]string // ids, by the row's variant; "" for the rows without one
	ids             map[string]string // of connections, by the row's variant
	as              map[string]string // the agency that a column's caller acts for
}

// takesAs reports whether an operation has the parameter as.
func takesAs(route string) bool {
	return strings.Contains(route, "/v1/accounts/{account}") && !strings.HasSuffix(route, "/agency")
}

// path returns a call's path. as is the agency to act for; "" is none.
func (on target) path(r row, caller, as string) string {
	_, path, _ := strings.Cut(r.route(), " ")
	_, variant, _ := strings.Cut(r.label, " · ")
	member := on.members[variant]
	if variant == "oneself" {
		member = personID(strings.TrimSuffix(caller, " again"))
	}
	path = strings.NewReplacer("{account}", on.account, "{agency}", on.agency, "{member}", member, "{id}", on.ids[variant]).Replace(path)
	if as != "" {
		path += "?as=" + as
	}
	return path
}

// body returns what a call sends, such that only who calls decides about it.
func (f *fixture) body(r row, on target) any {
	route := r.route()
	_, variant, _ := strings.Cut(r.label, " · ")
	areas := object{"pages": "edit"}
	request := object{"request": 1}
	switch route {
	case "PATCH /v1/accounts/{account}":
		return object{"name": "Another Name"}
	case "PATCH /v1/accounts/{account}/subscription":
		return object{"plan": "scale"}
	case "POST /v1/accounts/{account}/subscription/cancel":
		return object{}
	case "POST /v1/accounts/{account}/team":
		if variant == "an owner" {
			return object{"email": address("nobody.yet"), "role": "owner"}
		}
		if variant == "an owner's address" {
			return object{"email": address("oona"), "role": "member", "areas": areas}
		}
		return object{"email": address("nobody.yet"), "role": "member", "areas": areas}
	case "PATCH /v1/accounts/{account}/team/{member}":
		switch variant {
		case "an owner":
			return object{"role": "admin"}
		case "an offer of ownership":
			return object{"role": "owner"}
		case "assigned clients":
			return object{"clients": []string{f.shop}}
		}
		return object{"areas": areas}
	case "POST /v1/accounts/{account}/team/{member}/accept", "POST /v1/accounts/{account}/team/{member}/decline",
		"POST /v1/me/invitations/{account}/accept", "POST /v1/me/invitations/{account}/decline", "POST /v1/requests/{id}/decline":
		return request
	case "POST /v1/requests/{id}/accept":
		return object{"request": 1, "account": on.account}
	case "POST /v1/agencies/{agency}/accounts":
		return object{"name": "Client", "plan": "starter", "confirmPermanentOwnership": true}
	case "POST /v1/agencies/{agency}/connections":
		if variant == "by email" {
			return object{"ownerEmail": address("nobody.yet"), "areas": areas}
		}
		return object{"account": f.pottery, "areas": areas}
	case "PATCH /v1/me":
		return object{"unsolicitedMail": "stopped"}
	case "POST /v1/accounts":
		return object{"name": "Mine"}
	}
	return f.platformBody(route, on)
}

// platformBody is body for the platform's calls.
func (f *fixture) platformBody(route string, on target) any {
	switch route {
	case "PUT /v1/platform/accounts/{account}":
		return object{"name": "Shop", "ownerEmail": address("oscar")}
	case "PATCH /v1/platform/accounts/{account}":
		return object{"limits": object{"dailyRequests": 5000}}
	case "POST /v1/platform/accounts/{account}/owner":
		return object{"from": address("oscar"), "to": address("new.oscar")}
	case "POST /v1/platform/accounts/{account}/payment":
		return object{"state": "failed", "at": time.Now().UTC().Format(time.RFC3339)}
	case "POST /v1/platform/access":
		return object{"account": on.account, "email": address("olga")}
	}
	return nil
}
