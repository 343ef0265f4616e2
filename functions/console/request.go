package main

import "agencyhub/shared/agency"

type requestPage struct{ frame }

func (c *console) request(v *visit) (answer, error) {
	if _, _, ok := agency.ConnectionID(v.path("id")).Split(); !ok {
		return answer{}, &agency.Error{Code: agency.NotFound, Message: "This address leads to no request. Please open the link exactly as it stands in the email: some mail programs break long links in two."}
	}
	return show("request", &requestPage{}), nil
}
