package main

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

type object = map[string]any

// play plays the story, step by step.
func (s *demo) play(ctx context.Context) {
	s.step("Everybody signs in: Ann has an agency where Ella works, Olga a bakery, Carl a café; Petra has no account yet")
	var cast [5]person
	for i, who := range [][2]string{{"Ann", "bright"}, {"Ella", "bright"}, {"Olga", "luna"}, {"Carl", "cafe"}, {"Petra", "pots"}} {
		cast[i] = s.person(ctx, who[0], who[1])
	}
	ann, ella, olga, carl, petra := cast[0], cast[1], cast[2], cast[3], cast[4]
	agency := s.opens(ctx, ann, "Bright Agency", "AGENCY")
	s.do(ctx, call{ann, "POST", "/v1/accounts/" + agency + "/agency", nil, false, http.StatusOK, []string{"agency"}})
	luna := s.opens(ctx, olga, "Luna Bakery", "LUNA")
	s.create(ctx, ann, carl, agency)
	s.connect(ctx, ann, olga, agency, luna)
	s.staff(ctx, ann, ella, agency, luna)
	s.ownership(ctx, ann, ella, agency)
	s.end(ctx, ann, olga, agency, luna)
	s.byEmail(ctx, ann, petra, agency)
	s.decline(ctx, olga, petra, luna)
	s.clients(ctx, ann, agency)
}

func (s *demo) opens(ctx context.Context, who person, name, as string) string {
	return s.nameID(s.do(ctx, call{who, "POST", "/v1/accounts", object{"name": name}, true, http.StatusCreated, []string{"id", "ownership"}}), as)
}

// access makes the access check.
func (s *demo) access(ctx context.Context, who person, account, as string) {
	path := "/v1/accounts/" + account + "/access"
	if as != "" {
		path += "?as=" + url.QueryEscape(as)
	}
	s.do(ctx, call{who, "GET", path, nil, false, http.StatusOK, []string{"allowed", "areas", "reason", "payer"}})
}

// accept accepts an invitation to an account, or an offer of ownership in it: the person
// looks at it and names what they saw.
func (s *demo) accept(ctx context.Context, who person, account string) {
	path := "/v1/me/invitations/" + account
	seen := s.do(ctx, call{who, "GET", path, nil, false, http.StatusOK, []string{"kind", "role", "areas", "request", "plan.id"}})
	answer := object{"request": seen["request"]}
	if plan, ok := seen["plan"].(object); ok {
		answer["plan"] = plan["id"]
	}
	s.do(ctx, call{who, "POST", path + "/accept", answer, false, http.StatusOK, []string{"name", "role"}})
}

// waiting lists what waits for a person's answer, page by page.
func (s *demo) waiting(ctx context.Context, who person) {
	for path := "/v1/me/waiting"; s.err == nil && path != ""; {
		page := s.do(ctx, call{who, "GET", path, nil, false, http.StatusOK, nil})
		s.rows(page, func(row object) string { return fmt.Sprintf("%v as %v, by %v", row["kind"], row["role"], row["by"]) })
		path = ""
		if next, ok := page["next"].(string); ok {
			path = "/v1/me/waiting?cursor=" + url.QueryEscape(next)
		}
	}
}

// create creates an account that the agency owns.
func (s *demo) create(ctx context.Context, ann, carl person, agency string) {
	path := "/v1/agencies/" + agency + "/accounts"
	body := object{"name": "Carl's Café", "plan": "starter", "client": object{"email": carl.email, "areas": object{"pages": "view"}}}

	s.step("Create: without a confirmation of the permanent ownership, no account is created")
	s.do(ctx, call{ann, "POST", path, body, true, http.StatusBadRequest, nil})

	s.step("Create: with it, the agency owns the account and pays for it; its client is invited, and has no access yet")
	body["confirmPermanentOwnership"] = true
	made := s.do(ctx, call{ann, "POST", path, body, true, http.StatusCreated, []string{"id", "ownership", "subscription.payer"}})
	cafe := s.nameID(made, "CAFE")
	s.access(ctx, ann, cafe, agency)
	s.access(ctx, carl, cafe, "")
	s.showEmails(ctx, 2)

	s.step("Create: Carl accepts the invitation")
	s.accept(ctx, carl, cafe)
	s.access(ctx, carl, cafe, "")
	s.showEmails(ctx, 2)

	s.step("Create: nobody can end that ownership")
	s.do(ctx, call{carl, "DELETE", "/v1/accounts/" + cafe + "/team/" + agency, nil, false, http.StatusConflict, nil})
}

// connect connects an account that its client owns.
func (s *demo) connect(ctx context.Context, ann, olga person, agency, luna string) {
	requests, team := "/v1/agencies/"+agency+"/connections", "/v1/accounts/"+luna+"/team"
	ask := object{"account": luna, "message": "Shall we set up your spring campaign?", "areas": object{"pages": "edit", "mail": "edit"}}
	status := []string{"status", "request", "name", "areas", "expiresAt"}

	s.step("Connect: the agency requests access to Olga's account; until she accepts, it sees the account's id alone")
	asked := s.do(ctx, call{ann, "POST", requests, ask, false, http.StatusCreated, status})
	request := s.nameID(asked, "REQUEST")
	s.access(ctx, ann, luna, agency)
	s.showEmails(ctx, 1)

	s.step("Connect: the email's link gives no access; opening it changes nothing")
	s.openLink(ctx, request)

	s.step("Connect: Olga accepts, with less than was asked for; the agency has access, and both sides are told")
	grant := object{"request": asked["request"], "areas": object{"pages": "edit"}}
	s.do(ctx, call{olga, "POST", team + "/" + agency + "/accept", grant, false, http.StatusOK, status[:4]})
	s.access(ctx, ann, luna, agency)
	s.showEmails(ctx, 2)

	s.step("Connect: Olga changes the agency's access and sets an end date")
	change := object{"areas": object{"pages": "view", "analytics": "view"}, "until": time.Now().AddDate(0, 3, 0).UTC().Format(time.RFC3339)}
	s.do(ctx, call{olga, "PATCH", team + "/" + agency, change, false, http.StatusOK, []string{"status", "areas", "until"}})
	s.showEmails(ctx, 1)
}

// openLink opens a request's page as somebody who is not signed in.
func (s *demo) openLink(ctx context.Context, request string) {
	if s.err != nil {
		return
	}
	page, err := s.stack.Call(ctx, http.MethodGet, "/requests/"+request, nil)
	if s.err = err; err != nil {
		return
	}
	fmt.Fprintf(s.out, "    anybody: GET /requests/$REQUEST\n      -> %d %s  %s, %d bytes\n",
		page.Status, http.StatusText(page.Status), page.Header.Get("Content-Type"), len(page.Body))
	if page.Status != http.StatusOK {
		s.err = fmt.Errorf("the page of the request answered %d", page.Status)
	}
}

// staff invites a member into the agency, and limits them to some of its clients.
func (s *demo) staff(ctx context.Context, ann, ella person, agency, luna string) {
	team := "/v1/accounts/" + agency + "/team"

	s.step("Staff: Ann invites Ella into the agency; until she accepts, Ella has no access to its clients")
	invitation := object{"email": ella.email, "role": "member", "areas": object{"pages": "edit"}}
	made := s.do(ctx, call{ann, "POST", team, invitation, false, http.StatusCreated, []string{"id", "status", "role", "areas"}})
	member := s.nameID(made, "ELLA")
	s.access(ctx, ella, luna, agency)
	s.showEmails(ctx, 1)

	s.step("Staff: Ella accepts; she reaches the client by the lower of the agency's levels and her own")
	s.accept(ctx, ella, agency)
	s.access(ctx, ella, luna, agency)
	s.showEmails(ctx, 2)

	s.step("Staff: limited to other clients, she doesn't")
	limit := object{"clients": []string{}}
	s.do(ctx, call{ann, "PATCH", team + "/" + member, limit, false, http.StatusOK, []string{"status"}})
	s.access(ctx, ella, luna, agency)
	s.showEmails(ctx, 1)
}

// ownership offers a member of the agency to become an owner.
func (s *demo) ownership(ctx context.Context, ann, ella person, agency string) {
	team := "/v1/accounts/" + agency + "/team/"

	s.step("Owners: Ann is the agency's last owner, and can't leave")
	me := s.do(ctx, call{ann, "GET", "/v1/me", nil, false, http.StatusOK, []string{"email"}})
	s.do(ctx, call{ann, "DELETE", team + s.nameID(me, "ANN"), nil, false, http.StatusConflict, nil})

	s.step("Owners: Ann offers Ella ownership; Ella stays a member until she accepts")
	ellas := s.do(ctx, call{ella, "GET", "/v1/me", nil, false, http.StatusOK, []string{"id"}})
	offer := object{"role": "owner"}
	s.do(ctx, call{ann, "PATCH", team + fmt.Sprint(ellas["id"]), offer, false, http.StatusOK, []string{"role", "offer", "request"}})
	s.showEmails(ctx, 1)

	s.step("Owners: Ella sees the plan that she will pay for, and accepts with its name")
	s.waiting(ctx, ella)
	s.accept(ctx, ella, agency)
	s.showEmails(ctx, 2)
}

// end ends a connection, and requests it again.
func (s *demo) end(ctx context.Context, ann, olga person, agency, luna string) {
	requests, team := "/v1/agencies/"+agency+"/connections", "/v1/accounts/"+luna+"/team/"+agency
	ask := object{"account": luna, "areas": object{"pages": "edit"}}

	s.step("End: Olga revokes the access, which ends immediately; the agency can't request again for 30 days")
	s.do(ctx, call{olga, "DELETE", team, nil, false, http.StatusOK, []string{"status"}})
	s.access(ctx, ann, luna, agency)
	s.do(ctx, call{ann, "POST", requests, ask, false, http.StatusTooManyRequests, nil})
	s.showEmails(ctx, 3)

	s.step("End: Olga unblocks the agency; it requests access again, and withdraws the request")
	s.do(ctx, call{olga, "POST", team + "/unblock", nil, false, http.StatusOK, []string{"unblocked"}})
	asked := s.do(ctx, call{ann, "POST", requests, ask, false, http.StatusCreated, []string{"status", "request"}})
	s.showEmails(ctx, 1)
	path := requests + "/" + fmt.Sprint(asked["id"]) + "/withdraw"
	s.do(ctx, call{ann, "POST", path, nil, false, http.StatusOK, []string{"status"}})
	s.showEmails(ctx, 1)
}

// byEmail requests access by email, of a person whose account is not known.
func (s *demo) byEmail(ctx context.Context, ann, petra person, agency string) {
	requests := "/v1/agencies/" + agency + "/connections"
	ask := object{"ownerEmail": petra.email, "areas": object{"pages": "edit"}}

	s.step("By email: the agency asks Petra by her address, and can't tell whether she has an account")
	asked := s.do(ctx, call{ann, "POST", requests, ask, false, http.StatusCreated, []string{"status", "account", "email", "delivery"}})
	id := s.nameID(asked, "BY_EMAIL")
	s.showEmails(ctx, 1)
	one := "/v1/requests/" + id

	s.step("By email: Petra opens an account and accepts the request for it")
	pots := s.opens(ctx, petra, "Petra's Pots", "POTS")
	grant := object{"account": pots, "request": asked["request"]}
	s.do(ctx, call{petra, "POST", one + "/accept", grant, false, http.StatusOK, []string{"status", "name", "areas"}})
	s.access(ctx, ann, pots, agency)
	s.showEmails(ctx, 3)

	s.step("By email: Petra declines a second request and blocks the agency, which is told of the decline alone")
	asked = s.do(ctx, call{ann, "POST", requests, ask, false, http.StatusCreated, []string{"status", "request"}})
	s.showEmails(ctx, 1)
	decline := object{"request": asked["request"], "block": true}
	s.do(ctx, call{petra, "POST", one + "/decline", decline, false, http.StatusOK, []string{"status"}})
	blocks := s.do(ctx, call{petra, "GET", "/v1/me/blocks", nil, false, http.StatusOK, nil})
	s.rows(blocks, func(row object) string { return fmt.Sprintf("blocked: %v", row["blocked"]) })
	s.do(ctx, call{ann, "GET", requests + "/" + fmt.Sprint(asked["id"]), nil, false, http.StatusOK, []string{"status"}})
	s.showEmails(ctx, 3)
}

// decline invites a person as an owner, who declines.
func (s *demo) decline(ctx context.Context, olga, petra person, luna string) {
	s.step("Invitations: Olga invites Petra as an owner of the bakery; Petra owes nothing, and declines")
	invitation := object{"email": petra.email, "role": "owner"}
	made := s.do(ctx, call{olga, "POST", "/v1/accounts/" + luna + "/team", invitation, false, http.StatusCreated, []string{"status", "role", "request"}})
	s.showEmails(ctx, 1)
	answer := object{"request": made["request"]}
	s.do(ctx, call{petra, "POST", "/v1/me/invitations/" + luna + "/decline", answer, false, http.StatusOK, []string{"status"}})
	s.access(ctx, petra, luna, "")
	s.showEmails(ctx, 1)
}

// clients lists the agency's clients.
func (s *demo) clients(ctx context.Context, ann person, agency string) {
	s.step("Clients: the agency sees all of them, owned and connected, and past ones")
	path := "/v1/agencies/" + agency + "/accounts"
	list := s.do(ctx, call{ann, "GET", path, nil, false, http.StatusOK, []string{"counts.owned", "counts.connected", "counts.pending"}})
	s.rows(list, func(row object) string {
		return fmt.Sprintf("%-12v %-9v owned by the %v", cmp.Or[any](row["email"], row["name"]), row["status"], row["ownership"])
	})
}
