package e2e

import (
	"fmt"
	"net/http"
	"testing"
	"time"
)

// TestLimits is PRODUCT.md's "Limits", on a stack where they are small.
func TestLimits(t *testing.T) {
	t.Parallel()
	s := startOwn(t, "-schedules=false", "-set", `SettingsOverride={"openRequests":3,"dailyRequests":5,"dailyMails":3}`)
	ann, olga := s.person(t, "ann@limits.test"), s.person(t, "olga@luna.limits.test")
	agency := ann.opensAgency(t, "Bright Agency")
	hub := "/v1/agencies/" + agency + "/connections"
	areas := levels{"pages": "edit"}
	var lunas []string
	for i := range 4 {
		lunas = append(lunas, olga.opens(t, fmt.Sprintf("Luna %d", i)))
	}
	ask := func(t *testing.T, account string) *reply {
		t.Helper()
		return ann.post(t, hub, map[string]any{"account": account, "areas": areas})
	}
	askByEmail := func(t *testing.T, email string) *reply {
		t.Helper()
		return ann.post(t, hub, map[string]any{"ownerEmail": email, "areas": areas})
	}
	withdraw := func(t *testing.T, addressee string) {
		t.Helper()
		ann.post(t, hub+"/"+connectionID(addressee, agency)+"/withdraw", nil).is(t, http.StatusOK)
	}
	refusedBoth := func(t *testing.T, least, most time.Duration) {
		t.Helper()
		s.untilMark(t)
		before := s.still(t)
		ask(t, lunas[3]).limited(t, "rate_limited", "", least, most)
		askByEmail(t, "nora@limits.test").limited(t, "rate_limited", "", least, most)
		same(t, before, s.dump(t))
	}
	pending := func(t *testing.T, want int) {
		t.Helper()
		row := read[list[connection]](t, ann.get(t, "/v1/agencies/"+agency+"/accounts").is(t, http.StatusOK))
		if row.Counts.Pending != want {
			t.Errorf("%d are pending, want %d", row.Counts.Pending, want)
		}
	}

	then(t, t.Run("so many requests of an agency wait at once, by either way of asking", func(t *testing.T) {
		ask(t, lunas[0]).is(t, http.StatusCreated)
		ask(t, lunas[1]).is(t, http.StatusCreated)
		askByEmail(t, "petra@limits.test").is(t, http.StatusCreated)
		pending(t, 3)
		refusedBoth(t, time.Hour, time.Hour)
		withdraw(t, lunas[1])
		ask(t, lunas[2]).is(t, http.StatusCreated)
		pending(t, 3)
		refusedBoth(t, time.Hour, time.Hour)
		accesses(t, lunas[3], check{ann, agency, "no, none"})
	}))

	then(t, t.Run("so many new ones a day; an accepted one is given back to the day", func(t *testing.T) {
		midnight := time.Until(time.Now().UTC().Truncate(aDay).Add(aDay))
		withdraw(t, (&person{email: "petra@limits.test"}).id())
		withdraw(t, lunas[2])
		ask(t, lunas[1]).is(t, http.StatusCreated) // the fifth
		withdraw(t, lunas[1])
		pending(t, 1)
		refusedBoth(t, 1, midnight+time.Second)
		olga.post(t, "/v1/accounts/"+lunas[0]+"/team/"+agency+"/accept", map[string]any{"request": 1}).is(t, http.StatusOK)
		accesses(t, lunas[0], check{ann, agency, "yes, " + agency + ", pages:edit; client owns"})
		ask(t, lunas[3]).is(t, http.StatusCreated)
		withdraw(t, lunas[3])
		refusedBoth(t, 1, midnight+time.Second)
		pending(t, 0)
	}))

	then(t, t.Run("a request is sent again three times, a day apart; four emails in 30 days, whatever is withdrawn and asked again", func(t *testing.T) {
		rita, sam := s.person(t, "rita@limits.test"), s.person(t, "sam@limits.test")
		shop := rita.opens(t, "Rita's Shop")
		asking := sam.opensAgency(t, "Rival Agency")
		hub := "/v1/agencies/" + asking + "/connections"
		again := func(t *testing.T) *reply {
			t.Helper()
			return sam.post(t, hub, map[string]any{"account": shop, "areas": areas})
		}
		one := hub + "/" + connectionID(shop, asking)
		c := read[connection](t, again(t).is(t, http.StatusCreated))
		r := request{by: sam.email, agency: "Rival Agency", account: "Rita's Shop", until: moment(*c.ExpiresAt)}
		s.told(t, requested(rita, r))
		resend := func(t *testing.T) *reply { t.Helper(); return sam.post(t, one+"/resend", nil) }
		// One email a day is all that passes: the day's own limit of 3 is not met.
		for range 2 {
			resend(t).limited(t, "rate_limited", "pending", aDay-time.Minute, aDay)
			s.ages(t, aDay, connectionRow(shop, asking), pairRow(shop, asking))
			r.until = moment(*read[connection](t, resend(t).is(t, http.StatusOK)).ExpiresAt)
			s.told(t, resent(rita, r))
		}
		sam.post(t, one+"/withdraw", nil).is(t, http.StatusOK)
		s.untilMark(t) // her fourth email of the day
		again(t).is(t, http.StatusCreated)
		sam.post(t, one+"/withdraw", nil).is(t, http.StatusOK)
		s.untilMark(t)
		before := s.still(t)
		again(t).limited(t, "rate_limited", "", aMonth-2*aDay-time.Minute, aMonth-2*aDay)
		same(t, before, s.dump(t))
		accesses(t, shop, check{sam, asking, "no, ended; client owns"})
		s.ages(t, aMonth-2*aDay, pairRow(shop, asking))
		again(t).is(t, http.StatusCreated)
		s.untilMark(t)
		// The three resends of one request, with the emails of a month before out of the way.
		for range 3 {
			s.ages(t, aDay, connectionRow(shop, asking))
			s.ages(t, aMonth, pairRow(shop, asking))
			resend(t).is(t, http.StatusOK)
		}
		s.ages(t, aDay, connectionRow(shop, asking))
		s.ages(t, aMonth, pairRow(shop, asking))
		resend(t).limited(t, "rate_limited", "pending", 13*aDay-time.Minute, 13*aDay)
		s.untilMark(t)
	}))

	then(t, t.Run("a person gets so many unsolicited emails a day over all agencies, exactly; no agency can tell, and receipts are never held back", func(t *testing.T) {
		nora := s.person(t, "nora@shop.limits.test")
		shop := nora.opens(t, "Nora's Shop")
		type house struct {
			who  *person
			id   string
			name string
		}
		var houses []house
		var shapes []shape
		for i := range 5 {
			h := house{who: s.person(t, fmt.Sprintf("boss%d@limits.test", i)), name: fmt.Sprintf("Bright %d", i)}
			h.id = h.who.opensAgency(t, h.name)
			r := h.who.post(t, "/v1/agencies/"+h.id+"/connections", map[string]any{"ownerEmail": nora.email, "areas": areas})
			r.is(t, http.StatusCreated)
			houses, shapes = append(houses, h), append(shapes, shapeOf(r, h.name))
		}
		alike(t, "asking somebody who has had enough", shapes...)
		reached := 0
		for _, m := range s.untilMark(t) {
			s.wellMade(t, m)
			if m.To != nora.email {
				t.Errorf("%s got %q", m.To, m.Subject)
			}
			reached++
		}
		if reached != 3 {
			t.Errorf("%d emails reached her, and 3 may", reached)
		}
		shapes = nil
		for _, h := range houses {
			one := "/v1/agencies/" + h.id + "/connections/" + connectionID(nora.id(), h.id)
			r := h.who.get(t, one)
			if c := read[connection](t, r); value(c.Delivery) != "sent" || c.Status != "pending" {
				t.Errorf("%s sees %+v", h.name, c)
			}
			shapes = append(shapes, shapeOf(r, h.name))
		}
		alike(t, "looking at it", shapes...)
		// They all wait for her, whether she was mailed or not.
		mine := read[list[connection]](t, nora.get(t, "/v1/requests").is(t, http.StatusOK)).Items
		if len(mine) != len(houses) {
			t.Errorf("she sees %d requests", len(mine))
		}
		last := houses[len(houses)-1]
		path := "/v1/requests/" + connectionID(nora.id(), last.id) + "/accept"
		nora.post(t, path, map[string]any{"account": shop, "request": 1}).is(t, http.StatusOK)
		accesses(t, shop, check{last.who, last.id, "yes, " + last.id + ", pages:edit; client owns"})
		s.told(t, accepted(last.who, last.name, "Nora's Shop", ""), acceptedBy(nora, nora, last.name, "Nora's Shop", ""))
		for _, h := range houses[:4] {
			h.who.post(t, "/v1/agencies/"+h.id+"/connections/"+connectionID(nora.id(), h.id)+"/withdraw", nil).is(t, http.StatusOK)
		}
		s.told(t) // that they are withdrawn she has not asked to hear either
	}))
}
