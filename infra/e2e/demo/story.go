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

// play is the story, step by step.
func (s *stage) play(ctx context.Context) error {
	s.step("Everybody signs in: Ann has an agency in which Ella works, Olga a bakery, Carl a café; Petra has no account yet")
	var cast [5]person
	for i, who := range [][2]string{{"Ann", "bright"}, {"Ella", "bright"}, {"Olga", "luna"}, {"Carl", "cafe"}, {"Petra", "pots"}} {
		var err error
		if cast[i], err = s.person(ctx, who[0], who[1]); err != nil {
			return err
		}
		fmt.Fprintf(s.out, "    %s is %s\n", cast[i].name, cast[i].email)
	}
	ann, ella, olga, carl, petra := cast[0], cast[1], cast[2], cast[3], cast[4]
	agency, err := s.opens(ctx, ann, "Bright Agency", "AGENCY")
	if err != nil {
		return err
	}
	if _, err := s.do(ctx, call{ann, "POST", "/v1/accounts/" + agency + "/agency", nil, false, http.StatusOK, []string{"agency"}}); err != nil {
		return err
	}
	luna, err := s.opens(ctx, olga, "Luna Bakery", "LUNA")
	if err != nil {
		return err
	}
	if err := s.create(ctx, ann, carl, agency); err != nil {
		return err
	}
	if err := s.connect(ctx, ann, olga, agency, luna); err != nil {
		return err
	}
	if err := s.staff(ctx, ann, ella, agency, luna); err != nil {
		return err
	}
	if err := s.end(ctx, ann, olga, agency, luna); err != nil {
		return err
	}
	if err := s.byEmail(ctx, ann, petra, agency); err != nil {
		return err
	}
	return s.clients(ctx, ann, agency)
}

func (s *stage) opens(ctx context.Context, who person, name, as string) (string, error) {
	a, err := s.do(ctx, call{who, "POST", "/v1/accounts", object{"name": name}, true, http.StatusCreated, []string{"id", "ownership"}})
	if err != nil {
		return "", err
	}
	id := fmt.Sprint(a["id"])
	s.calls(id, as)
	return id, nil
}

// access is the access check.
func (s *stage) access(ctx context.Context, who person, account, as string) error {
	path := "/v1/accounts/" + account + "/access"
	if as != "" {
		path += "?as=" + url.QueryEscape(as)
	}
	_, err := s.do(ctx, call{who, "GET", path, nil, false, http.StatusOK, []string{"allowed", "areas", "reason", "payer"}})
	return err
}

// create is the account that the agency owns.
func (s *stage) create(ctx context.Context, ann, carl person, agency string) error {
	path := "/v1/agencies/" + agency + "/accounts"
	body := object{"name": "Carl's Café", "plan": "starter", "client": object{"email": carl.email, "areas": object{"pages": "view"}}}

	s.step("Create: without confirming that the ownership is for good, no account is made")
	if _, err := s.do(ctx, call{ann, "POST", path, body, true, http.StatusBadRequest, nil}); err != nil {
		return err
	}

	s.step("Create: confirmed, the agency owns the account and pays for it; the client gets in as far as it is let")
	body["confirmPermanentOwnership"] = true
	made, err := s.do(ctx, call{ann, "POST", path, body, true, http.StatusCreated, []string{"id", "ownership", "subscription.payer"}})
	if err != nil {
		return err
	}
	cafe := fmt.Sprint(made["id"])
	s.calls(cafe, "CAFE")
	if err := s.access(ctx, ann, cafe, agency); err != nil {
		return err
	}
	if err := s.access(ctx, carl, cafe, ""); err != nil {
		return err
	}
	if err := s.mails(ctx, 2); err != nil {
		return err
	}

	s.step("Create: nobody ends that ownership")
	_, err = s.do(ctx, call{carl, "DELETE", "/v1/accounts/" + cafe + "/team/" + agency, nil, false, http.StatusConflict, nil})
	return err
}

// connect is the account that the client owns.
func (s *stage) connect(ctx context.Context, ann, olga person, agency, luna string) error {
	requests, team := "/v1/agencies/"+agency+"/connections", "/v1/accounts/"+luna+"/team"
	ask := object{"account": luna, "message": "Shall we set up your spring campaign?", "areas": object{"pages": "edit", "mail": "edit"}}
	status := []string{"status", "request", "name", "areas", "expiresAt"}

	s.step("Connect: the agency asks to work in Olga's account; until she says yes it sees the id alone")
	asked, err := s.do(ctx, call{ann, "POST", requests, ask, false, http.StatusCreated, status})
	if err != nil {
		return err
	}
	request := fmt.Sprint(asked["id"])
	s.calls(request, "REQUEST")
	if err := s.access(ctx, ann, luna, agency); err != nil {
		return err
	}
	if err := s.mails(ctx, 1); err != nil {
		return err
	}

	s.step("Connect: the link in the email is no right: it opens a page that decides nothing")
	page, err := s.stack.Call(ctx, http.MethodGet, "/requests/"+request, nil)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "    anybody: GET /requests/$REQUEST\n      -> %d %s  %s, %d bytes\n",
		page.Status, http.StatusText(page.Status), page.Header.Get("Content-Type"), len(page.Body))
	if page.Status != http.StatusOK {
		return fmt.Errorf("the page of the request answered %d", page.Status)
	}

	s.step("Connect: Olga grants less than was asked for; the agency is in at once, and both are told")
	grant := object{"request": asked["request"], "areas": object{"pages": "edit"}}
	if _, err := s.do(ctx, call{olga, "POST", team + "/" + agency + "/accept", grant, false, http.StatusOK, status[:4]}); err != nil {
		return err
	}
	if err := s.access(ctx, ann, luna, agency); err != nil {
		return err
	}
	if err := s.mails(ctx, 2); err != nil {
		return err
	}

	s.step("Connect: Olga changes what the agency may do and sets an end date, at any time")
	change := object{"areas": object{"pages": "view", "analytics": "view"}, "until": time.Now().AddDate(0, 3, 0).UTC().Format(time.RFC3339)}
	if _, err := s.do(ctx, call{olga, "PATCH", team + "/" + agency, change, false, http.StatusOK, []string{"status", "areas", "until"}}); err != nil {
		return err
	}
	return s.mails(ctx, 1)
}

// staff is a member of the agency, who works for some of its clients.
func (s *stage) staff(ctx context.Context, ann, ella person, agency, luna string) error {
	team := "/v1/accounts/" + agency + "/team"

	s.step("Staff: Ella of the agency reaches its client, by the lower of the agency's levels and her own")
	invitation := object{"email": ella.email, "role": "member", "areas": object{"pages": "edit"}}
	made, err := s.do(ctx, call{ann, "POST", team, invitation, false, http.StatusCreated, []string{"id", "role", "areas"}})
	if err != nil {
		return err
	}
	member := fmt.Sprint(made["id"])
	s.calls(member, "ELLA")
	if err := s.access(ctx, ella, luna, agency); err != nil {
		return err
	}
	if err := s.mails(ctx, 1); err != nil {
		return err
	}

	s.step("Staff: limited to other clients, she does not")
	limit := object{"clients": []string{}}
	if _, err := s.do(ctx, call{ann, "PATCH", team + "/" + member, limit, false, http.StatusOK, []string{"status"}}); err != nil {
		return err
	}
	if err := s.access(ctx, ella, luna, agency); err != nil {
		return err
	}
	return s.mails(ctx, 1)
}

// end is how a connection ends, and begins again.
func (s *stage) end(ctx context.Context, ann, olga person, agency, luna string) error {
	requests, team := "/v1/agencies/"+agency+"/connections", "/v1/accounts/"+luna+"/team/"+agency
	ask := object{"account": luna, "areas": object{"pages": "edit"}}

	s.step("End: Olga revokes; from that moment access is refused, and the agency can't ask again at once")
	if _, err := s.do(ctx, call{olga, "DELETE", team, nil, false, http.StatusOK, []string{"status"}}); err != nil {
		return err
	}
	if err := s.access(ctx, ann, luna, agency); err != nil {
		return err
	}
	if _, err := s.do(ctx, call{ann, "POST", requests, ask, false, http.StatusTooManyRequests, nil}); err != nil {
		return err
	}
	if err := s.mails(ctx, 2); err != nil {
		return err
	}

	s.step("End: Olga allows it again, the agency asks, and takes its request back")
	if _, err := s.do(ctx, call{olga, "POST", team + "/unblock", nil, false, http.StatusOK, []string{"allowed"}}); err != nil {
		return err
	}
	asked, err := s.do(ctx, call{ann, "POST", requests, ask, false, http.StatusCreated, []string{"status", "request"}})
	if err != nil {
		return err
	}
	if err := s.mails(ctx, 1); err != nil {
		return err
	}
	path := requests + "/" + fmt.Sprint(asked["id"]) + "/withdraw"
	if _, err := s.do(ctx, call{ann, "POST", path, nil, false, http.StatusOK, []string{"status"}}); err != nil {
		return err
	}
	return s.mails(ctx, 1)
}

// byEmail is a request to somebody of whom only the address is known.
func (s *stage) byEmail(ctx context.Context, ann, petra person, agency string) error {
	requests := "/v1/agencies/" + agency + "/connections"
	ask := object{"ownerEmail": petra.email, "areas": object{"pages": "edit"}}

	s.step("By email: the agency asks Petra by her address, and is not told whether she has an account")
	asked, err := s.do(ctx, call{ann, "POST", requests, ask, false, http.StatusCreated, []string{"status", "account", "email"}})
	if err != nil {
		return err
	}
	id := fmt.Sprint(asked["id"])
	s.calls(id, "BY_EMAIL")
	if err := s.mails(ctx, 1); err != nil {
		return err
	}
	one := "/v1/requests/" + id

	s.step("By email: Petra opens an account and lets the agency into that")
	pots, err := s.opens(ctx, petra, "Petra's Pots", "POTS")
	if err != nil {
		return err
	}
	grant := object{"account": pots, "request": asked["request"]}
	if _, err := s.do(ctx, call{petra, "POST", one + "/accept", grant, false, http.StatusOK, []string{"status", "name", "areas"}}); err != nil {
		return err
	}
	if err := s.access(ctx, ann, pots, agency); err != nil {
		return err
	}
	if err := s.mails(ctx, 2); err != nil {
		return err
	}

	s.step("By email: a second request, and Petra denies it and blocks the agency, which is told of the denial alone")
	if asked, err = s.do(ctx, call{ann, "POST", requests, ask, false, http.StatusCreated, []string{"status", "request"}}); err != nil {
		return err
	}
	if err := s.mails(ctx, 1); err != nil {
		return err
	}
	if _, err := s.do(ctx, call{petra, "POST", one + "/deny", object{"block": true}, false, http.StatusOK, []string{"status"}}); err != nil {
		return err
	}
	blocks, err := s.do(ctx, call{petra, "GET", "/v1/me/blocks", nil, false, http.StatusOK, nil})
	if err != nil {
		return err
	}
	s.rows(blocks, func(row object) string { return fmt.Sprintf("blocked: %v", row["blocked"]) })
	if _, err := s.do(ctx, call{ann, "GET", requests + "/" + fmt.Sprint(asked["id"]), nil, false, http.StatusOK, []string{"status"}}); err != nil {
		return err
	}
	return s.mails(ctx, 2)
}

// clients is the hub's list.
func (s *stage) clients(ctx context.Context, ann person, agency string) error {
	s.step("The hub shows the agency its clients: owned, connected, requested and ended")
	path := "/v1/agencies/" + agency + "/accounts"
	hub, err := s.do(ctx, call{ann, "GET", path, nil, false, http.StatusOK, []string{"counts.owned", "counts.connected", "counts.pending"}})
	if err != nil {
		return err
	}
	s.rows(hub, func(row object) string {
		return fmt.Sprintf("%-12v %-9v owned by the %v", cmp.Or[any](row["email"], row["name"]), row["status"], row["ownership"])
	})
	return nil
}
