package e2e

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A shape is what an answer tells whoever compares it with another: everything
// but the ids, the addresses and the moments in it, which are of one length.
type shape struct {
	Status      int
	HeaderNames []string
	Headers     []string
	Body        string
}

var (
	anyID     = regexp.MustCompile(`(acct|per)_[0-9a-z]{26}`)
	anyMoment = regexp.MustCompile(`"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"`)
)

// shapeOf is the shape of an answer; names are words that stand for one thing in
// one answer and for another in the other.
func shapeOf(r *reply, names ...string) shape {
	s := shape{Status: r.Status, HeaderNames: slices.Sorted(maps.Keys(r.Header))}
	for _, name := range []string{"Content-Type", "Content-Length", "Cache-Control"} {
		s.Headers = append(s.Headers, r.Header.Get(name))
	}
	body := anyMoment.ReplaceAllString(anyID.ReplaceAllString(sameBut(r), "${1}_X"), `"T"`)
	for _, name := range names {
		body = strings.ReplaceAll(body, name, "N")
	}
	s.Body = body
	return s
}

// alike holds several answers to one shape.
func alike(t *testing.T, what string, shapes ...shape) {
	t.Helper()
	for i := range shapes {
		if diff := cmp.Diff(shapes[0], shapes[i]); diff != "" {
			t.Errorf("%s: answer %d differs from the first (-first +other):\n%s", what, i, diff)
		}
	}
}

// TestByEmail is a request that is addressed to a person.
func TestByEmail(t *testing.T) {
	s := common(t)
	o := newOffice(t, s, "Bright Agency", "byemail.test")
	ann, ben, cid := o.ann, o.ben, o.cid
	// Addresses of one length, so that no answer differs by that.
	petra, ursel := s.person(t, "petra@pots.test"), s.person(t, "ursel@pots.test")
	berta, colin := s.person(t, "berta@pots.test"), s.person(t, "colin@pots.test")
	sam := s.person(t, "sam@elsewhere.byemail.test")
	all := []*person{petra, ursel, berta, colin}
	const words = "We met at the fair: shall we set your shop up?"
	pots, pans := petra.opens(t, "Petra's Pots"), petra.opens(t, "Petra's Pans")
	shops := map[*person]string{berta: berta.opens(t, "Berta's Bowls"), colin: colin.opens(t, "Colin's Cups")}
	cups := sam.opens(t, "Sam's Cups")
	sam.invites(t, cups, petra, "member", levels{"pages": "view"})
	s.told(t, added(petra, sam, "Sam's Cups", "a member"))

	hub := "/v1/agencies/" + o.id
	con := func(who *person) string { return connectionID(who.id(), o.id) }
	ask := func(t *testing.T, who *person) *reply {
		t.Helper()
		return ben.post(t, hub+"/connections", map[string]any{
			"ownerEmail": who.email, "message": words, "areas": levels{"pages": "edit", "mail": "view"},
		})
	}
	asking := func(who *person, c connection, manages bool) letter {
		return askedPerson(who, request{
			by: ben.email, agency: o.name, areas: "Pages: view and edit", message: words,
			until: moment(*c.ExpiresAt), link: s.PublicURL + "/requests/" + con(who),
		}, manages)
	}
	outside := []check{{ann, o.id, "no, none"}, {ben, "", "no, none"}, {petra, "", "yes, own, " + everything + "; client owns"}}

	then(t, t.Run("an agency asks by address: the person is emailed how to answer, with an account or without", func(t *testing.T) {
		var letters []letter
		for _, who := range all {
			c := read[connection](t, ask(t, who).is(t, http.StatusCreated))
			if c.ID != con(who) || c.Account != nil || value(c.Email) != who.email || c.Name != who.id() || c.Status != "pending" || c.Request != 1 {
				t.Errorf("asked: %+v", c)
			}
			letters = append(letters, asking(who, c, who != ursel))
		}
		accesses(t, pots, outside...)
		s.told(t, letters...)
	}))

	then(t, t.Run("the person denies, or denies and blocks, by the request's id: both sides are told, and the block to nobody", func(t *testing.T) {
		for range 2 { // a repeat changes nothing
			for _, who := range []*person{berta, colin} {
				body := map[string]any{"block": who == berta}
				if c := read[connection](t, who.post(t, "/v1/requests/"+con(who)+"/deny", body).is(t, http.StatusOK)); c.Status != "denied" {
					t.Errorf("it is %s", c.Status)
				}
			}
		}
		s.told(t, deniedByMe(berta, o.name), deniedByMe(colin, o.name),
			deniedEmail(ben, o.name, berta.email), deniedEmail(ann, o.name, berta.email),
			deniedEmail(ben, o.name, colin.email), deniedEmail(ann, o.name, colin.email))
		alike(t, "a request denied", shapeOf(ben.get(t, hub+"/connections/"+con(berta)), berta.email), shapeOf(ben.get(t, hub+"/connections/"+con(colin)), colin.email))
		for who, blocked := range map[*person]bool{berta: true, colin: false} {
			list := read[list[block]](t, who.get(t, "/v1/me/blocks").is(t, http.StatusOK))
			if len(list.Items) != 1 || list.Items[0].Agency.ID != o.id || list.Items[0].Agency.Name != o.name || list.Items[0].Blocked != blocked ||
				list.Items[0].CoolingUntil.Before(time.Now().Add(30*aDay-time.Hour)) {
				t.Errorf("%s holds off %+v", who.email, list.Items)
			}
		}
		for _, who := range []*person{petra, ursel} {
			ben.post(t, hub+"/connections/"+con(who)+"/withdraw", nil).is(t, http.StatusOK)
		}
		s.told(t, withdrawnPerson(petra, o.name), withdrawnPerson(ursel, o.name))
	}))

	then(t, t.Run("the answer is the same for an address that is unknown, known, blocking and cooling, now and later", func(t *testing.T) {
		shapes := map[string][]shape{}
		note := func(what string, who *person, r *reply) { shapes[what] = append(shapes[what], shapeOf(r, who.email)) }
		var letters []letter
		for _, who := range all {
			r := ask(t, who)
			note("asking", who, r)
			c := read[connection](t, r.is(t, http.StatusCreated))
			if who == petra || who == ursel {
				letters = append(letters, asking(who, c, who == petra))
			}
		}
		s.told(t, letters...) // the others hold the agency off, and it cannot tell
		for _, who := range all {
			one := hub + "/connections/" + con(who)
			r := ben.get(t, one)
			if c := read[connection](t, r.is(t, http.StatusOK)); value(c.Delivery) != "sent" || c.Status != "pending" {
				t.Errorf("%s: %+v", who.email, c)
			}
			note("looking at it", who, r)
			note("asking twice", who, ask(t, who))
			note("sending it again too soon", who, ben.post(t, one+"/resend", nil))
			note("sending it again as a member", who, cid.post(t, one+"/resend", nil))
		}
		for what, these := range shapes {
			alike(t, what, these...)
		}
		if row := read[list[connection]](t, ann.get(t, hub+"/accounts?status=pending").is(t, http.StatusOK)); len(row.Items) != 4 || row.Counts.Pending != 4 {
			t.Errorf("the hub shows %+v", row)
		}
		s.told(t)
	}))

	then(t, t.Run("it stands under the requests of whoever has the address, and is nobody else's", func(t *testing.T) {
		for _, who := range []*person{petra, ursel} {
			mine := read[list[connection]](t, who.get(t, "/v1/requests").is(t, http.StatusOK)).Items
			if len(mine) != 1 || mine[0].ID != con(who) || mine[0].Agency.Name != o.name || value(mine[0].Message) != words || mine[0].Request != 2 ||
				mine[0].Areas.String() != "mail:view pages:edit" || value(mine[0].Email) != who.email {
				t.Errorf("%s sees %+v", who.email, mine)
			}
		}
		one := "/v1/requests/" + con(petra)
		accept := map[string]any{"account": pots, "request": 2}
		before := s.still(t)
		for _, who := range []*person{sam, ann, ben, ursel} {
			for _, r := range []*reply{who.get(t, one), who.post(t, one+"/accept", accept), who.post(t, one+"/deny", nil)} {
				r.refused(t, http.StatusNotFound, "not_found", "")
			}
		}
		for _, who := range []*person{berta, colin} { // what they hold off is not there for them
			if mine := read[list[connection]](t, who.get(t, "/v1/requests").is(t, http.StatusOK)).Items; len(mine) != 0 {
				t.Errorf("%s sees %+v", who.email, mine)
			}
			for _, r := range []*reply{
				who.get(t, "/v1/requests/"+con(who)), who.post(t, "/v1/requests/"+con(who)+"/deny", nil),
				who.post(t, "/v1/requests/"+con(who)+"/accept", map[string]any{"account": shops[who], "request": 2}),
			} {
				r.refused(t, http.StatusNotFound, "not_found", "")
			}
		}
		if r := s.nobody().get(t, one); r.Status != http.StatusUnauthorized {
			t.Errorf("without a token: %d %s", r.Status, r.Body)
		}
		same(t, before, s.dump(t))
		accesses(t, pots, outside...)
	}))

	then(t, t.Run("it can go to an account in which they are owner or admin, and to no other, as it was asked", func(t *testing.T) {
		one := "/v1/requests/" + con(petra) + "/accept"
		before := s.still(t)
		petra.post(t, one, map[string]any{"account": cups, "request": 2}).refused(t, http.StatusForbidden, "forbidden", "")
		petra.post(t, one, map[string]any{"account": o.id, "request": 2}).refused(t, http.StatusBadRequest, "invalid", "")
		petra.post(t, one, map[string]any{"account": "acct_00000000000000000000000000", "request": 2}).refused(t, http.StatusNotFound, "not_found", "")
		petra.post(t, one, map[string]any{"account": pots, "request": 1}).refused(t, http.StatusConflict, "conflict", "pending")
		petra.post(t, one, map[string]any{"account": pots, "request": 2, "areas": levels{"mail": "edit"}}).refused(t, http.StatusBadRequest, "invalid", "")
		past := time.Now().Add(-time.Minute).UTC().Format(time.RFC3339)
		petra.post(t, one, map[string]any{"account": pots, "request": 2, "until": past}).refused(t, http.StatusBadRequest, "invalid", "")
		same(t, before, s.dump(t))
		accesses(t, pots, outside...)
		s.told(t)
	}))

	until := time.Now().AddDate(0, 1, 0).UTC().Truncate(time.Second)
	in := []check{{ann, o.id, "yes, " + o.id + ", mail:view; client owns"}, {ben, "", "yes, " + o.id + ", mail:view; client owns"},
		{petra, "", "yes, own, " + everything + "; client owns"}}
	then(t, t.Run("she chooses the account, narrows it and sets an end date: the agency is in, knows the account, and both are told", func(t *testing.T) {
		accept := map[string]any{"account": pots, "request": 2, "areas": levels{"mail": "view"}, "until": until.Format(time.RFC3339)}
		c := read[connection](t, petra.post(t, "/v1/requests/"+con(petra)+"/accept", accept).is(t, http.StatusOK))
		if c.Status != "active" || value(c.Account) != pots || c.ID != connectionID(pots, o.id) || c.Name != "Petra's Pots" ||
			c.Areas.String() != "mail:view" || c.Until == nil || !c.Until.Equal(until) || c.Email != nil {
			t.Errorf("accepted: %+v", c)
		}
		accesses(t, pots, in...)
		accesses(t, pans, outside...)
		note := "Pages: no access (asked for: view and edit)"
		s.told(t, accepted(ben, o.name, "Petra's Pots", note).until(moment(until)), accepted(ann, o.name, "Petra's Pots", note).until(moment(until)),
			acceptedBy(petra, petra, o.name, "Petra's Pots", note).until(moment(until)))
		rows := read[list[connection]](t, ann.get(t, hub+"/accounts?status=active").is(t, http.StatusOK))
		if len(rows.Items) != 1 || rows.Items[0].ID != c.ID || rows.Items[0].Name != "Petra's Pots" || rows.Counts.Connected != 1 || rows.Counts.Pending != 3 {
			t.Errorf("the hub shows %+v", rows)
		}
		if m := read[list[member]](t, petra.get(t, "/v1/accounts/"+pots+"/team").is(t, http.StatusOK)).Items[0]; m.ID != o.id || m.Status != "active" {
			t.Errorf("the team shows %+v", m)
		}
		if diff := cmp.Diff([]string{"account.opened", "connection.accepted"}, kinds(petra.activity(t, pots, ""))); diff != "" {
			t.Errorf("activity (-want +got):\n%s", diff)
		}
	}))

	then(t, t.Run("the email's link, a bookmark and a repeat still answer, and move it nowhere else", func(t *testing.T) {
		before := s.still(t)
		page := s.page(t, http.MethodGet, "/requests/"+con(petra))
		for _, says := range []string{"Opening this page has decided nothing", "Sign in to look at it"} {
			if page.Status != http.StatusOK || !strings.Contains(unmarked(string(page.Body)), says) {
				t.Errorf("the link answers %d and does not say %q", page.Status, says)
			}
		}
		for _, secret := range []string{petra.email, o.name, "Petra's Pots", words} {
			if strings.Contains(unmarked(string(page.Body)), secret) {
				t.Errorf("the link's page tells %q", secret)
			}
		}
		one := "/v1/requests/" + con(petra)
		for _, r := range []*reply{
			petra.get(t, one), ann.get(t, hub+"/connections/"+con(petra)), ann.get(t, hub+"/connections/"+connectionID(pots, o.id)),
			petra.post(t, one+"/accept", map[string]any{"account": pots, "request": 2}),
		} {
			if c := read[connection](t, r.is(t, http.StatusOK)); c.Status != "active" || value(c.Account) != pots {
				t.Errorf("%s answers %+v", r.to, c)
			}
		}
		petra.post(t, one+"/accept", map[string]any{"account": pans, "request": 2}).refused(t, http.StatusConflict, "not_pending", "moved")
		petra.post(t, one+"/deny", nil).refused(t, http.StatusConflict, "not_pending", "moved")
		ben.post(t, hub+"/connections/"+con(petra)+"/withdraw", nil).refused(t, http.StatusConflict, "not_pending", "moved")
		if mine := read[list[connection]](t, petra.get(t, "/v1/requests").is(t, http.StatusOK)).Items; len(mine) != 0 {
			t.Errorf("she still sees %+v", mine)
		}
		same(t, before, s.dump(t))
		accesses(t, pots, in...)
		s.told(t)
	}))

	then(t, t.Run("from then on it is a connection as any other: she takes the end date off, and the agency is told", func(t *testing.T) {
		petra.patch(t, "/v1/accounts/"+pots+"/team/"+o.id, map[string]any{"until": nil}).is(t, http.StatusOK)
		gone := "The access has no end date any more; until now it was to end on " + moment(until) + "."
		s.told(t, restrictedUntil(ben, o.name, "Petra's Pots", gone), restrictedUntil(ann, o.name, "Petra's Pots", gone))
		accesses(t, pots, in...)
	}))

	then(t, t.Run("who has no account opens one, and lets the agency into that", func(t *testing.T) {
		dishes := ursel.opens(t, "Ursel's Dishes")
		accesses(t, dishes, check{ann, o.id, "no, none"})
		c := read[connection](t, ursel.post(t, "/v1/requests/"+con(ursel)+"/accept", map[string]any{"account": dishes, "request": 2}).is(t, http.StatusOK))
		if c.Status != "active" || c.Areas.String() != "mail:view pages:edit" || c.Until != nil {
			t.Errorf("accepted: %+v", c)
		}
		accesses(t, dishes, check{ann, o.id, "yes, " + o.id + ", mail:view pages:edit; client owns"}, check{cid, o.id, "yes, " + o.id + ", mail:view pages:view; client owns"})
		s.told(t, accepted(ben, o.name, "Ursel's Dishes", "Pages: view and edit"), accepted(ann, o.name, "Ursel's Dishes", "Pages: view and edit"),
			acceptedBy(ursel, ursel, o.name, "Ursel's Dishes", "Pages: view and edit"))
	}))

	then(t, t.Run("a new request by email comes in the place of the one that went away; what waits at the account is accepted with it", func(t *testing.T) {
		atPans := ann.asks(t, o.id, pans, levels{"contacts": "edit"})
		byEmail := read[connection](t, ask(t, petra).is(t, http.StatusCreated))
		if byEmail.Request != 3 || byEmail.Account != nil || byEmail.Status != "pending" {
			t.Errorf("asked again: %+v", byEmail)
		}
		s.told(t, requested(petra, request{by: ann.email, agency: o.name, account: "Petra's Pans", until: moment(*atPans.ExpiresAt)}), asking(petra, byEmail, true))
		petra.post(t, "/v1/requests/"+con(petra)+"/accept", map[string]any{"account": pots, "request": 3}).refused(t, http.StatusConflict, "already_connected", "active")
		accesses(t, pans, check{ann, o.id, "no, pending; client owns"})
		c := read[connection](t, petra.post(t, "/v1/requests/"+con(petra)+"/accept", map[string]any{"account": pans, "request": 3}).is(t, http.StatusOK))
		if c.Status != "active" || value(c.Account) != pans || c.Areas.String() != "mail:view pages:edit" {
			t.Errorf("accepted: %+v", c)
		}
		accesses(t, pans, check{ann, o.id, "yes, " + o.id + ", mail:view pages:edit; client owns"})
		if diff := cmp.Diff([]string{"account.opened", "connection.requested", "connection.accepted"}, kinds(petra.activity(t, pans, ""))); diff != "" {
			t.Errorf("activity (-want +got):\n%s", diff)
		}
		if rows := read[list[connection]](t, ann.get(t, hub+"/accounts").is(t, http.StatusOK)); rows.Counts.Connected != 3 || rows.Counts.Pending != 2 {
			t.Errorf("the hub counts %+v", rows.Counts)
		}
		s.told(t, accepted(ben, o.name, "Petra's Pans", "Pages: view and edit"), accepted(ann, o.name, "Petra's Pans", "Pages: view and edit"),
			acceptedBy(petra, petra, o.name, "Petra's Pans", "Pages: view and edit"))
	}))

	then(t, t.Run("two accept into two accounts at once: one wins", func(t *testing.T) {
		one, two := petra.opens(t, "Petra's Jars"), petra.opens(t, "Petra's Jugs")
		c := read[connection](t, ask(t, petra).is(t, http.StatusCreated))
		s.told(t, asking(petra, c, true))
		accept := "/v1/requests/" + con(petra) + "/accept"
		replies := together(t,
			move{petra, "POST", accept, map[string]any{"account": one, "request": c.Request}, nil},
			move{petra, "POST", accept, map[string]any{"account": two, "request": c.Request}, nil})
		won, lost, name := one, two, "Petra's Jars"
		if replies[1].Status == http.StatusOK {
			won, lost, name, replies[0], replies[1] = two, one, "Petra's Jugs", replies[1], replies[0]
		}
		replies[0].is(t, http.StatusOK)
		replies[1].refused(t, http.StatusConflict, "not_pending", "moved")
		accesses(t, won, check{ann, o.id, "yes, " + o.id + ", mail:view pages:edit; client owns"})
		accesses(t, lost, check{ann, o.id, "no, none"})
		s.told(t, accepted(ben, o.name, name, ""), accepted(ann, o.name, name, ""), acceptedBy(petra, petra, o.name, name, ""))
	}))

	then(t, t.Run("who held the agency off allows it again: what was asked meanwhile does not revive, the next request arrives", func(t *testing.T) {
		unblock := "/v1/requests/" + con(berta) + "/unblock"
		for _, held := range []bool{true, false} {
			if got := read[struct{ Allowed bool }](t, berta.post(t, unblock, nil).is(t, http.StatusOK)).Allowed; got != held {
				t.Errorf("it was held off %t, want %t", got, held)
			}
		}
		berta.get(t, "/v1/requests/"+con(berta)).refused(t, http.StatusNotFound, "not_found", "")
		if list := read[list[block]](t, berta.get(t, "/v1/me/blocks").is(t, http.StatusOK)); len(list.Items) != 0 {
			t.Errorf("she still holds off %+v", list.Items)
		}
		ben.post(t, hub+"/connections/"+con(berta)+"/withdraw", nil).is(t, http.StatusOK)
		s.told(t) // she never heard of it
		c := read[connection](t, ask(t, berta).is(t, http.StatusCreated))
		s.told(t, asking(berta, c, true))
		s.ages(t, aDay, connectionRow(berta.id(), o.id))
		c = read[connection](t, ben.post(t, hub+"/connections/"+con(berta)+"/resend", nil).is(t, http.StatusOK))
		s.told(t, resentAsked(asking(berta, c, true)))
	}))

	then(t, t.Run("accepting a request in their account ends what they held against the agency themselves", func(t *testing.T) {
		cups := shops[colin]
		ann.asks(t, o.id, cups, levels{"pages": "view"})
		s.told(t) // he holds it off still
		colin.post(t, "/v1/accounts/"+cups+"/team/"+o.id+"/accept", map[string]any{"request": 1}).is(t, http.StatusOK)
		accesses(t, cups, check{ann, o.id, "yes, " + o.id + ", pages:view; client owns"})
		s.told(t, accepted(ann, o.name, "Colin's Cups", ""), acceptedBy(colin, colin, o.name, "Colin's Cups", ""))
		if list := read[list[block]](t, colin.get(t, "/v1/me/blocks").is(t, http.StatusOK)); len(list.Items) != 0 {
			t.Errorf("he still holds off %+v", list.Items)
		}
		ben.post(t, hub+"/connections/"+con(colin)+"/withdraw", nil).is(t, http.StatusOK)
		c := read[connection](t, ask(t, colin).is(t, http.StatusCreated))
		s.told(t, asking(colin, c, true))
	}))
}

// TestByEmailTakesTheSameTime reports, and holds to nothing, how long asking and
// withdrawing take whatever the address is: this machine's noise is larger than
// what could be told apart.
func TestByEmailTakesTheSameTime(t *testing.T) {
	s := unlimited(t)
	ann := s.person(t, "ann@timing.test")
	agency := ann.opensAgency(t, "Bright Agency")
	hub := "/v1/agencies/" + agency + "/connections"
	cases := []string{"unknown", "known", "blocking", "cooling"}
	took := map[string][]time.Duration{}
	for _, name := range cases[1:] {
		who := s.person(t, name+"@timing.test")
		who.opens(t, "Luna "+name)
		if name == "known" {
			continue
		}
		c := ann.asksByEmail(t, agency, who.email, levels{"pages": "view"})
		who.post(t, "/v1/requests/"+c.ID+"/deny", map[string]any{"block": name == "blocking"}).is(t, http.StatusOK)
	}
	s.untilMark(t)
	const calls = 40
	for range calls {
		for _, i := range rand.Perm(len(cases)) {
			began := time.Now()
			c := ann.asksByEmail(t, agency, cases[i]+"@timing.test", levels{"pages": "view"})
			took[cases[i]] = append(took[cases[i]], time.Since(began))
			ann.post(t, hub+"/"+c.ID+"/withdraw", nil).is(t, http.StatusOK)
		}
	}
	line := ""
	for _, name := range cases {
		slices.Sort(took[name])
		line += fmt.Sprintf("  %s %s", name, took[name][calls/2].Round(10*time.Microsecond))
	}
	t.Log("medians of asking by email over " + strconv.Itoa(calls) + " calls each:" + line)
	for _, m := range s.untilMark(t) {
		if m.To == "blocking@timing.test" || m.To == "cooling@timing.test" {
			t.Errorf("%s got %q", m.To, m.Subject)
		}
	}
}
