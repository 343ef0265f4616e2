package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
)

type object = map[string]any

// play is the story, step by step.
func (s *stage) play(ctx context.Context) error {
	s.step("Everybody signs in: Ann has an agency, Olga a bakery, Carl a café")
	var cast [3]person
	for i, who := range [][2]string{{"Ann", "bright"}, {"Olga", "luna"}, {"Carl", "cafe"}} {
		var err error
		if cast[i], err = s.person(ctx, who[0], who[1]); err != nil {
			return err
		}
		fmt.Fprintf(s.out, "    %s is %s\n", cast[i].name, cast[i].email)
	}
	ann, olga, carl := cast[0], cast[1], cast[2]
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
	return s.connect(ctx, ann, olga, agency, luna)
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
	one := requests + "/" + request

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

	s.step("Connect: Olga changes what the agency may do, at any time")
	change := object{"areas": object{"pages": "view", "analytics": "view"}}
	if _, err := s.do(ctx, call{olga, "PATCH", team + "/" + agency, change, false, http.StatusOK, []string{"status", "areas"}}); err != nil {
		return err
	}
	if err := s.mails(ctx, 1); err != nil {
		return err
	}

	s.step("Connect: Olga revokes; from that moment access is refused")
	if _, err := s.do(ctx, call{olga, "DELETE", team + "/" + agency, nil, false, http.StatusOK, []string{"status"}}); err != nil {
		return err
	}
	if err := s.access(ctx, ann, luna, agency); err != nil {
		return err
	}
	if err := s.mails(ctx, 2); err != nil {
		return err
	}

	s.step("Connect: the agency asks once more, and takes it back")
	if _, err := s.do(ctx, call{ann, "POST", requests, ask, false, http.StatusCreated, status[:2]}); err != nil {
		return err
	}
	if err := s.mails(ctx, 1); err != nil {
		return err
	}
	if _, err := s.do(ctx, call{ann, "POST", one + "/withdraw", nil, false, http.StatusOK, []string{"status"}}); err != nil {
		return err
	}
	if err := s.mails(ctx, 1); err != nil {
		return err
	}

	s.step("Connect: a third request, and Olga denies it")
	if _, err := s.do(ctx, call{ann, "POST", requests, ask, false, http.StatusCreated, status[:2]}); err != nil {
		return err
	}
	if err := s.mails(ctx, 1); err != nil {
		return err
	}
	if _, err := s.do(ctx, call{olga, "POST", team + "/" + agency + "/deny", nil, false, http.StatusOK, []string{"status"}}); err != nil {
		return err
	}
	if err := s.mails(ctx, 2); err != nil {
		return err
	}

	s.step("The hub shows the agency its clients: owned, connected, requested and ended")
	hub, err := s.do(ctx, call{ann, "GET", "/v1/agencies/" + agency + "/accounts", nil, false, http.StatusOK, []string{"counts.owned", "counts.connected", "counts.pending"}})
	if err != nil {
		return err
	}
	rows, _ := hub["items"].([]any)
	for _, row := range rows {
		if row, ok := row.(object); ok {
			fmt.Fprintf(s.out, "         %-12v %-9v owned by the %v\n", row["name"], row["status"], row["ownership"])
		}
	}
	return nil
}
