package e2e

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"agencyhub/infra/e2e/client"
	"agencyhub/shared/agency"
)

// platform is the platform's own software, with a token of its own.
func (s *stack) platform(t *testing.T) *person {
	t.Helper()
	token, err := s.PlatformToken(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return &person{stack: s, token: token}
}

type platformAccount struct {
	ID, Name, Ownership string
	Owner               *string
	Agency              bool
	Subscription        struct{ Plan, State, Payer string }
}

// TestPlatform is the platform's own calls: it makes accounts known, reports
// payments and asks about anyone.
func TestPlatform(t *testing.T) {
	s := common(t)
	platform := s.platform(t)
	o := newOffice(t, s, "Bright Agency", "platform.test")
	ann := o.ann
	olga := s.person(t, "olga@luna.platform.test")
	luna := string(agency.NewAccountID("the platform's tests", "luna"))
	one := "/v1/platform/accounts/" + luna
	register := func(t *testing.T, body map[string]any) *reply {
		t.Helper()
		return platform.call(t, http.MethodPut, one, body)
	}

	then(t, t.Run("registers an account that a client has, and nobody is mailed", func(t *testing.T) {
		olga.get(t, "/v1/accounts/"+luna).refused(t, http.StatusNotFound, "not_found", "")
		for range 2 {
			a := read[platformAccount](t, register(t, map[string]any{"name": "Luna Bakery", "ownerEmail": "Olga@luna.platform.test", "plan": "growth"}).is(t, http.StatusOK))
			if a.ID != luna || a.Name != "Luna Bakery" || a.Ownership != "client" || a.Owner != nil || a.Subscription.Plan != "growth" || a.Subscription.Payer != "client" {
				t.Errorf("%+v", a)
			}
		}
		if a := read[account](t, olga.get(t, "/v1/accounts/"+luna).is(t, http.StatusOK)); value(a.Role) != "owner" {
			t.Errorf("%+v", a)
		}
		if got := kinds(olga.activity(t, luna, "")); !slices.Equal(got, []string{"account.registered"}) {
			t.Errorf("%v", got)
		}
		s.told(t)
	}))

	then(t, t.Run("its owner connects an agency as any other does", func(t *testing.T) {
		ann.asks(t, o.id, luna, levels{"pages": "edit"})
		olga.post(t, "/v1/accounts/"+luna+"/team/"+o.id+"/accept", map[string]any{"request": 1}).is(t, http.StatusOK)
		s.untilMark(t) // told elsewhere
	}))

	then(t, t.Run("asks about anyone by address, and is answered as they are", func(t *testing.T) {
		for _, c := range []struct {
			who  *person
			as   string
			want string
		}{
			{olga, "", "yes, own, " + everything + "; client owns"}, {ann, o.id, "yes, " + o.id + ", pages:edit; client owns"},
			{ann, "", "yes, " + o.id + ", pages:edit; client owns"}, {s.person(t, "sam@elsewhere.platform.test"), "", "no, none"},
		} {
			body := map[string]any{"account": luna, "email": c.who.email}
			if c.as != "" {
				body["as"] = c.as
			}
			got := read[access](t, platform.post(t, "/v1/platform/access", body).is(t, http.StatusOK)).String()
			if asked := c.who.may(t, luna, c.as); got != c.want || asked != c.want {
				t.Errorf("%s: the platform is answered %s, they are answered %s, want %s", c.who.email, got, asked, c.want)
			}
		}
	}))

	then(t, t.Run("a sole owner with another sign-in is let in again by the same call", func(t *testing.T) {
		again := s.signIn(t, client.Identity{Email: olga.email, Subject: "u-another"})
		again.get(t, "/v1/accounts/"+luna).refused(t, http.StatusForbidden, "identity_changed", "")
		register(t, map[string]any{"name": "Luna Bakery", "ownerEmail": olga.email}).is(t, http.StatusOK)
		again.get(t, "/v1/accounts/"+luna).is(t, http.StatusOK)
		olga.get(t, "/v1/accounts/"+luna).refused(t, http.StatusForbidden, "identity_changed", "")
		olga = again
		if got := kinds(olga.activity(t, luna, "")); got[len(got)-1] != "person.released" {
			t.Errorf("%v", got)
		}
		s.told(t)
	}))

	then(t, t.Run("name and plan are brought up to date", func(t *testing.T) {
		a := read[platformAccount](t, register(t, map[string]any{"name": "Luna Café", "ownerEmail": olga.email, "plan": "scale"}).is(t, http.StatusOK))
		if a.Name != "Luna Café" || a.Subscription.Plan != "scale" {
			t.Errorf("%+v", a)
		}
		s.told(t, letter{olga, "Luna Café is on the plan Scale now", []string{"the plan of Luna Café was changed from Growth to Scale"}})
		olga.get(t, "/v1/accounts/"+luna).is(t, http.StatusOK)
	}))

	then(t, t.Run("payments are reported in any order, and the payer is told once", func(t *testing.T) {
		at := time.Now().UTC().Add(-time.Hour).Truncate(time.Second)
		pay := func(state string, after time.Duration, want string) {
			t.Helper()
			body := map[string]any{"state": state, "at": at.Add(after).Format(time.RFC3339)}
			a := read[platformAccount](t, platform.post(t, one+"/payment", body).is(t, http.StatusOK))
			if a.Subscription.State != want {
				t.Errorf("%s after %s: %s, want %s", state, after, a.Subscription.State, want)
			}
		}
		pay("failed", time.Minute, "past_due")
		pay("failed", time.Minute, "past_due")
		pay("paid", 0, "past_due") // before that
		s.told(t, letter{olga, "A payment for Luna Café has failed", []string{"Nobody has lost access by this."}})
		accesses(t, luna, check{ann, o.id, "yes, " + o.id + ", pages:edit; client owns"})
		pay("paid", 2*time.Minute, "active")
		pay("failed", 90*time.Second, "active")
		s.told(t, letter{olga, "The payment for Luna Café has succeeded", nil})
	}))

	then(t, t.Run("refused are what is malformed, what an agency owns, what is closed, and another owner", func(t *testing.T) {
		cafe := read[account](t, ann.make(t, "/v1/agencies/"+o.id+"/accounts", map[string]any{"name": "Carl's Café", "plan": "starter", "confirmPermanentOwnership": true}).is(t, http.StatusCreated)).ID
		closed := olga.opens(t, "Luna Pub")
		olga.delete(t, "/v1/accounts/"+closed).is(t, http.StatusOK)
		s.untilMark(t) // told elsewhere
		before := s.still(t)
		good := func(change func(map[string]any)) map[string]any {
			body := map[string]any{"name": "Luna Café", "ownerEmail": olga.email}
			change(body)
			return body
		}
		accounts := "/v1/platform/accounts/"
		for _, c := range []struct {
			name, method, path string
			body               any
			status             int
			code, field        string
		}{
			{"no body", "PUT", one, nil, 400, "invalid", "body"},
			{"no name", "PUT", one, good(func(b map[string]any) { delete(b, "name") }), 400, "invalid", "body.name"},
			{"a hostile name", "PUT", one, good(func(b map[string]any) { b["name"] = "x\u202ey" }), 400, "invalid", "body.name"},
			{"no owner", "PUT", one, good(func(b map[string]any) { delete(b, "ownerEmail") }), 400, "invalid", "body.ownerEmail"},
			{"no address", "PUT", one, good(func(b map[string]any) { b["ownerEmail"] = "olga" }), 400, "invalid", "body.ownerEmail"},
			{"no such plan", "PUT", one, good(func(b map[string]any) { b["plan"] = "free" }), 400, "invalid", "body.plan"},
			{"an unknown field", "PUT", one, good(func(b map[string]any) { b["role"] = "owner" }), 400, "invalid", "body.role"},
			{"no id", "PUT", accounts + "shop-7", good(func(map[string]any) {}), 400, "invalid", "path.account"},
			{"an unknown parameter", "PUT", one + "?as=" + o.id, good(func(map[string]any) {}), 400, "invalid", "query.as"},
			{"an owned account", "PUT", accounts + cafe, good(func(map[string]any) {}), 409, "permanently_owned", ""},
			{"a closed account", "PUT", accounts + closed, good(func(map[string]any) {}), 409, "conflict", ""},
			{"another owner", "PUT", one, good(func(b map[string]any) { b["ownerEmail"] = ann.email }), 409, "conflict", ""},
			{"no state", "POST", one + "/payment", map[string]any{"at": "2026-01-01T00:00:00Z"}, 400, "invalid", "body.state"},
			{"another state", "POST", one + "/payment", map[string]any{"state": "due", "at": "2026-01-01T00:00:00Z"}, 400, "invalid", "body.state"},
			{"no time", "POST", one + "/payment", map[string]any{"state": "paid"}, 400, "invalid", "body.at"},
			{"half a time", "POST", one + "/payment", map[string]any{"state": "paid", "at": "2026-01-01"}, 400, "invalid", "body.at"},
			{"a time ahead", "POST", one + "/payment", map[string]any{"state": "paid", "at": time.Now().Add(time.Hour).UTC().Format(time.RFC3339)}, 400, "invalid", "body.at"},
			{"a payment of nothing", "POST", accounts + "acct_00000000000000000000000000/payment", map[string]any{"state": "paid", "at": "2026-01-01T00:00:00Z"}, 404, "not_found", ""},
			{"a payment of what is closed", "POST", accounts + closed + "/payment", map[string]any{"state": "paid", "at": "2026-01-01T00:00:00Z"}, 409, "conflict", ""},
			{"access of nobody", "POST", "/v1/platform/access", map[string]any{"account": luna}, 400, "invalid", "body.email"},
			{"access of no address", "POST", "/v1/platform/access", map[string]any{"account": luna, "email": "x"}, 400, "invalid", "body.email"},
			{"access to no id", "POST", "/v1/platform/access", map[string]any{"account": "luna", "email": ann.email}, 400, "invalid", "body.account"},
			{"access as no id", "POST", "/v1/platform/access", map[string]any{"account": luna, "email": ann.email, "as": "x"}, 400, "invalid", "body.as"},
			{"another method", "DELETE", one, nil, 405, "invalid", ""},
			{"nothing", "GET", "/v1/platform/nothing", nil, 404, "not_found", ""},
		} {
			p := platform.call(t, c.method, c.path, c.body)
			got := p.refused(t, c.status, c.code, "")
			named := false
			for _, e := range got.Errors {
				named = named || e.Field == c.field
			}
			if named != (c.field != "") {
				t.Errorf("%s names %+v, want %q", c.name, got.Errors, c.field)
			}
		}
		same(t, before, s.dump(t))
		s.told(t)
	}))

	then(t, t.Run("persons are refused its calls, and it is refused theirs", func(t *testing.T) {
		before := s.still(t)
		for _, who := range []*person{ann, olga} {
			for _, c := range [][2]string{{"PUT", one}, {"POST", one + "/payment"}, {"POST", "/v1/platform/access"}} {
				r := who.call(t, c[0], c[1], map[string]any{"account": luna, "email": ann.email, "name": "x", "ownerEmail": ann.email})
				if r.is(t, http.StatusForbidden); r.Header.Get("Www-Authenticate") == "" {
					t.Errorf("%s: the gateway asks for no scope", r.to)
				}
			}
		}
		s.nobody().call(t, "PUT", one, map[string]any{}).is(t, http.StatusUnauthorized)
		for _, path := range []string{"/v1/me", "/v1/accounts", "/v1/accounts/" + luna, "/v1/accounts/" + luna + "/access", "/v1/accounts/" + luna + "/subscription", "/v1/agencies/" + o.id + "/bill"} {
			platform.get(t, path).refused(t, http.StatusUnauthorized, "unauthenticated", "")
		}
		same(t, before, s.dump(t))
	}))
}
