package e2e

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// same holds the table to what it was.
func same(t *testing.T, before, after map[string]string) {
	t.Helper()
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("something was written (-before +after):\n%s", diff)
	}
}

// TestBadInput is "Bad input and failures": each with its status, its code, a
// sentence, the part of the call that is wrong, and nothing written.
func TestBadInput(t *testing.T) {
	s := common(t)
	o := newOffice(t, s, "Bright Agency", "bad.test")
	ann, ben := o.ann, o.ben
	olga, mia, sam := s.person(t, "olga@luna.bad.test"), s.person(t, "mia@luna.bad.test"), s.person(t, "sam@elsewhere.bad.test")
	rival := sam.opensAgency(t, "Rival Agency")
	luna, pub := olga.opens(t, "Luna Bakery"), olga.opens(t, "Luna Pub")
	olga.invites(t, luna, mia, "member", levels{"pages": "view"})
	c := ben.asks(t, o.id, luna, levels{"pages": "view"})
	body := map[string]any{"name": "Carl's Café", "plan": "starter", "confirmPermanentOwnership": true}
	cafe := read[account](t, ann.make(t, "/v1/agencies/"+o.id+"/accounts", body).is(t, http.StatusCreated)).ID
	byEmail := ben.asksByEmail(t, o.id, olga.email, levels{"pages": "view"})
	s.told(t, askedPerson(olga, request{by: ben.email, agency: o.name, until: moment(*byEmail.ExpiresAt)}, true),
		added(mia, olga, "Luna Bakery", "a member"), created(ann, o.name, "Carl's Café"),
		requested(olga, request{by: ben.email, agency: o.name, account: "Luna Bakery", until: moment(*c.ExpiresAt)}))

	const (
		unknown = "acct_00000000000000000000000000"
		someone = "per_00000000000000000000000000"
		key     = "a-good-key-of-24-letters"
	)
	accounts, hub, hers := "/v1/accounts", "/v1/agencies/"+o.id, "/v1/accounts/"+luna
	own, team := "/v1/accounts/"+cafe, hers+"/team"
	staff := "/v1/accounts/" + o.id + "/team/" + o.cid.id()
	one := hub + "/connections/" + c.ID
	accept := team + "/" + o.id + "/accept"
	asked, known := "/v1/requests/"+byEmail.ID, "/v1/requests/"+c.ID
	theirs := hub + "/connections/" + byEmail.ID
	past, ahead := time.Now().Add(-time.Hour).UTC().Format(time.RFC3339), time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	into := func(rest string) string { return `{"account":"` + pub + `","request":1` + rest + `}` }
	email := func(address string) string { return `{"ownerEmail":"` + address + `","areas":{"pages":"view"}}` }
	as := "?as=" + o.id
	long := func(n int) string { return strings.Repeat("x", n) }
	create := func(rest string) string {
		return `{"name":"x","plan":"starter","confirmPermanentOwnership":true` + rest + `}`
	}
	next := func(who *person, path string) string {
		page := read[list[any]](t, who.get(t, path).is(t, http.StatusOK))
		if page.Next == nil {
			t.Fatalf("%s has one page only", path)
		}
		return *page.Next
	}
	lines, members, clients := next(olga, hers+"/activity?limit=1"), next(olga, team+"?limit=1"), next(ann, hub+"/accounts?limit=1")
	mine := next(olga, accounts+"?limit=1")

	type call struct {
		name   string
		who    *person
		method string
		path   string
		body   any
		key    string // the Idempotency-Key, "" for none
		status int
		code   string
		field  string // which errors[] must name; "" where it is no fault of form
	}
	invalid := func(name string, who *person, method, path string, body any, field string) call {
		return call{name, who, method, path, body, "", 400, "invalid", field}
	}
	keyed := func(c call) call { c.key = key; return c }
	calls := []call{
		// Bodies that are no body.
		keyed(invalid("no body", olga, "POST", accounts, nil, "body")),
		keyed(invalid("not JSON", olga, "POST", accounts, `{"name":`, "body")),
		keyed(invalid("JSON of a sort", olga, "POST", accounts, `{name:'x'}`, "body")),
		keyed(invalid("a comma too many", olga, "POST", accounts, `{"name":"x",}`, "body")),
		keyed(invalid("two bodies", olga, "POST", accounts, `{"name":"x"}{"name":"y"}`, "body")),
		keyed(invalid("a list", olga, "POST", accounts, `[{"name":"x"}]`, "body")),
		keyed(invalid("null", olga, "POST", accounts, `null`, "body")),
		keyed(invalid("not UTF-8", olga, "POST", accounts, "{\"name\":\"\xff\"}", "body")),
		keyed(invalid("half a surrogate", olga, "POST", accounts, `{"name":"\ud800"}`, "body.name")),
		keyed(invalid("nested without end", olga, "POST", accounts, `{"name":`+strings.Repeat("[", 60)+strings.Repeat("]", 60)+`}`, "body")),
		{"too large", olga, "POST", accounts, `{"name":"` + long(64<<10) + `"}`, key, 413, "invalid", "body"},

		// Fields.
		keyed(invalid("a missing field", olga, "POST", accounts, `{}`, "body.name")),
		keyed(invalid("an unknown field", olga, "POST", accounts, `{"name":"x","colour":"red"}`, "body.colour")),
		keyed(invalid("a field in another case", olga, "POST", accounts, `{"Name":"x"}`, "body.Name")),
		keyed(invalid("a field twice", olga, "POST", accounts, `{"name":"x","name":"y"}`, "body.name")),
		keyed(invalid("a field of another type", olga, "POST", accounts, `{"name":7}`, "body.name")),
		keyed(invalid("a field that is null", olga, "POST", accounts, `{"name":null}`, "body.name")),
		keyed(invalid("an empty name", olga, "POST", accounts, `{"name":""}`, "body.name")),
		keyed(invalid("a name of blanks", olga, "POST", accounts, `{"name":"  \t "}`, "body.name")),
		keyed(invalid("a name too long", olga, "POST", accounts, `{"name":"`+long(81)+`"}`, "body.name")),
		keyed(invalid("a name with a line break", olga, "POST", accounts, `{"name":"a\nb"}`, "body.name")),
		keyed(invalid("a name with a NUL", olga, "POST", accounts, `{"name":"a\u0000b"}`, "body.name")),
		keyed(invalid("a name that turns the text around", olga, "POST", accounts, `{"name":"a\u202eb"}`, "body.name")),
		invalid("a new name too long", olga, "PATCH", hers, `{"name":"`+long(81)+`"}`, "body.name"),

		// Idempotency keys.
		invalid("no Idempotency-Key", olga, "POST", accounts, `{"name":"x"}`, "header.Idempotency-Key"),
		{"an Idempotency-Key too short", olga, "POST", accounts, `{"name":"x"}`, long(15), 400, "invalid", "header.Idempotency-Key"},
		{"an Idempotency-Key too long", olga, "POST", accounts, `{"name":"x"}`, long(129), 400, "invalid", "header.Idempotency-Key"},
		{"an Idempotency-Key with blanks", olga, "POST", accounts, `{"name":"x"}`, "a key of many words", 400, "invalid", "header.Idempotency-Key"},
		invalid("no Idempotency-Key for the agency", ann, "POST", hub+"/accounts", create(""), "header.Idempotency-Key"),

		// An account for a client.
		keyed(invalid("not confirmed", ann, "POST", hub+"/accounts", `{"name":"x","plan":"starter"}`, "body.confirmPermanentOwnership")),
		keyed(invalid("confirmed by a word", ann, "POST", hub+"/accounts", `{"name":"x","plan":"starter","confirmPermanentOwnership":"true"}`, "body.confirmPermanentOwnership")),
		keyed(invalid("an unknown plan", ann, "POST", hub+"/accounts", `{"name":"x","plan":"gold","confirmPermanentOwnership":true}`, "body.plan")),
		keyed(invalid("no plan", ann, "POST", hub+"/accounts", `{"name":"x","confirmPermanentOwnership":true}`, "body.plan")),
		keyed(invalid("a client who is null", ann, "POST", hub+"/accounts", create(`,"client":null`), "body.client")),
		keyed(invalid("a client without address", ann, "POST", hub+"/accounts", create(`,"client":{"areas":{"pages":"view"}}`), "body.client.email")),
		keyed(invalid("a client without areas", ann, "POST", hub+"/accounts", create(`,"client":{"email":"c@bad.test"}`), "body.client.areas")),
		keyed(invalid("a client with a role", ann, "POST", hub+"/accounts", create(`,"client":{"email":"c@bad.test","areas":{"pages":"view"},"role":"owner"}`), "body.client.role")),
		keyed(invalid("a client with no address", ann, "POST", hub+"/accounts", create(`,"client":{"email":"c at bad","areas":{"pages":"view"}}`), "body.client.email")),
		keyed(invalid("a client in an unknown area", ann, "POST", hub+"/accounts", create(`,"client":{"email":"c@bad.test","areas":{"kitchen":"view"}}`), "body.client.areas.kitchen")),

		// Areas and levels.
		invalid("an unknown area", ann, "POST", hub+"/connections", `{"account":"`+pub+`","areas":{"kitchen":"view"}}`, "body.areas.kitchen"),
		invalid("billing is no area", ann, "POST", hub+"/connections", `{"account":"`+pub+`","areas":{"billing":"view"}}`, "body.areas.billing"),
		invalid("an unknown level", ann, "POST", hub+"/connections", `{"account":"`+pub+`","areas":{"pages":"own"}}`, "body.areas.pages"),
		invalid("a level of another type", ann, "POST", hub+"/connections", `{"account":"`+pub+`","areas":{"pages":2}}`, "body.areas.pages"),
		invalid("a level that is null", ann, "POST", hub+"/connections", `{"account":"`+pub+`","areas":{"pages":null}}`, "body.areas.pages"),
		invalid("an area twice", ann, "POST", hub+"/connections", `{"account":"`+pub+`","areas":{"pages":"view","pages":"edit"}}`, "body.areas.pages"),
		invalid("no areas", ann, "POST", hub+"/connections", `{"account":"`+pub+`"}`, "body.areas"),
		invalid("areas of none", ann, "POST", hub+"/connections", `{"account":"`+pub+`","areas":{"pages":"none"}}`, "body.areas"),
		invalid("areas that name nothing", ann, "POST", hub+"/connections", `{"account":"`+pub+`","areas":{}}`, "body.areas"),
		invalid("a list of areas", ann, "POST", hub+"/connections", `{"account":"`+pub+`","areas":["pages"]}`, "body.areas"),
		invalid("granting an unknown area", olga, "POST", accept, `{"request":1,"areas":{"kitchen":"view"}}`, "body.areas.kitchen"),
		invalid("granting more than was asked for", olga, "POST", accept, `{"request":1,"areas":{"pages":"edit"}}`, "body.areas"),
		invalid("restricting by an unknown level", olga, "PATCH", team+"/"+o.id, `{"areas":{"pages":"all"}}`, "body.areas.pages"),

		// Requests.
		invalid("a message too long", ann, "POST", hub+"/connections", `{"account":"`+pub+`","message":"`+long(501)+`","areas":{"pages":"view"}}`, "body.message"),
		invalid("a message with a control character", ann, "POST", hub+"/connections", `{"account":"`+pub+`","message":"a\u0007b","areas":{"pages":"view"}}`, "body.message"),
		invalid("asking nobody", ann, "POST", hub+"/connections", `{"areas":{"pages":"view"}}`, "body"),
		invalid("asking oneself", ann, "POST", hub+"/connections", `{"account":"`+o.id+`","areas":{"pages":"view"}}`, "body.account"),
		{"asking an unknown account", ann, "POST", hub + "/connections", `{"account":"` + unknown + `","areas":{"pages":"view"}}`, "", 404, "not_found", ""},
		{"asking what is no id", ann, "POST", hub + "/connections", `{"account":"luna","areas":{"pages":"view"}}`, "", 404, "not_found", ""},
		{"asking a person", ann, "POST", hub + "/connections", `{"account":"` + olga.id() + `","areas":{"pages":"view"}}`, "", 404, "not_found", ""},
		{"asking an owned account", sam, "POST", "/v1/agencies/" + rival + "/connections", `{"account":"` + cafe + `","areas":{"pages":"view"}}`, "", 409, "permanently_owned", ""},
		{"asking for a foreign agency", sam, "POST", hub + "/connections", `{"account":"` + pub + `","areas":{"pages":"view"}}`, "", 404, "not_found", ""},
		{"asking without a hub", olga, "POST", "/v1/agencies/" + pub + "/connections", `{"account":"` + rival + `","areas":{"pages":"view"}}`, "", 409, "conflict", ""},
		{"an unknown connection", ann, "POST", hub + "/connections/con_" + unknown + "_" + o.id + "/withdraw", nil, "", 404, "not_found", ""},
		{"what is no connection's id", ann, "GET", hub + "/connections/luna", nil, "", 404, "not_found", ""},
		{"another agency's connection", sam, "GET", "/v1/agencies/" + rival + "/connections/" + c.ID, nil, "", 404, "not_found", ""},
		invalid("a withdrawal with a body", ben, "POST", one+"/withdraw", `{"why":"because"}`, "body"),
		{"leaving what is pending", ben, "POST", one + "/leave", nil, "", 409, "not_active", ""},

		// Requests by email.
		invalid("asking two ways at once", ann, "POST", hub+"/connections", `{"account":"`+pub+`","ownerEmail":"a@bad.test","areas":{"pages":"view"}}`, "body"),
		invalid("asking by no address", ann, "POST", hub+"/connections", email("olga"), "body.ownerEmail"),
		invalid("asking by an address with a name", ann, "POST", hub+"/connections", email("Olga <o@bad.test>"), "body.ownerEmail"),
		invalid("asking by two addresses", ann, "POST", hub+"/connections", email("a@bad.test, b@bad.test"), "body.ownerEmail"),
		invalid("asking by an address with a line break", ann, "POST", hub+"/connections", email(`a@bad.test\r\nBcc: b@bad.test`), "body.ownerEmail"),
		invalid("asking by an address too long", ann, "POST", hub+"/connections", email(long(250)+"@bad.test"), "body.ownerEmail"),
		invalid("asking by an address of another type", ann, "POST", hub+"/connections", `{"ownerEmail":["a@bad.test"],"areas":{"pages":"view"}}`, "body.ownerEmail"),
		invalid("asking by an address that is null", ann, "POST", hub+"/connections", `{"ownerEmail":null,"areas":{"pages":"view"}}`, "body.ownerEmail"),
		invalid("asking by email for no areas", ann, "POST", hub+"/connections", `{"ownerEmail":"a@bad.test"}`, "body.areas"),
		invalid("asking by email with a message too long", ann, "POST", hub+"/connections", `{"ownerEmail":"a@bad.test","message":"`+long(501)+`","areas":{"pages":"view"}}`, "body.message"),
		{"asking by email once more, in another spelling", ann, "POST", hub + "/connections", email(strings.ToUpper(olga.email)), "", 409, "already_requested", ""},
		{"asking by email for a foreign agency", sam, "POST", hub + "/connections", email("a@bad.test"), "", 404, "not_found", ""},
		{"asking by email without a hub", olga, "POST", "/v1/agencies/" + pub + "/connections", email("a@bad.test"), "", 409, "conflict", ""},
		{"leaving what was asked by email", ben, "POST", theirs + "/leave", nil, "", 409, "not_active", ""},
		{"another agency's request by email", sam, "GET", "/v1/agencies/" + rival + "/connections/" + byEmail.ID, nil, "", 404, "not_found", ""},

		// The person's side of a request.
		invalid("accepting into nothing", olga, "POST", asked+"/accept", `{"request":1}`, "body.account"),
		invalid("accepting into an account without a request", olga, "POST", asked+"/accept", `{"account":"`+pub+`"}`, "body.request"),
		invalid("accepting by id without a body", olga, "POST", asked+"/accept", nil, "body"),
		invalid("accepting into the agency", ann, "POST", "/v1/requests/con_"+ann.id()+"_"+o.id+"/accept", `{"account":"`+o.id+`","request":1}`, "body.account"),
		invalid("accepting into another account than the one asked", olga, "POST", known+"/accept", into(""), "body.account"),
		invalid("accepting into more than was asked for", olga, "POST", asked+"/accept", into(`,"areas":{"pages":"edit"}`), "body.areas"),
		invalid("accepting into an unknown area", olga, "POST", asked+"/accept", into(`,"areas":{"kitchen":"view"}`), "body.areas.kitchen"),
		invalid("accepting by id with a field too many", olga, "POST", asked+"/accept", into(`,"block":true`), "body.block"),
		{"accepting into an unknown account", olga, "POST", asked + "/accept", `{"account":"` + unknown + `","request":1}`, "", 404, "not_found", ""},
		{"accepting into what is no id", olga, "POST", asked + "/accept", `{"account":"luna","request":1}`, "", 404, "not_found", ""},
		{"accepting another request by id", olga, "POST", asked + "/accept", `{"account":"` + pub + `","request":7}`, "", 409, "conflict", ""},
		{"a request that is none", olga, "GET", "/v1/requests/luna", nil, "", 404, "not_found", ""},
		{"denying what is no request", olga, "POST", "/v1/requests/con_luna/deny", nil, "", 404, "not_found", ""},
		{"accepting what is no request", olga, "POST", "/v1/requests/con_luna/accept", into(""), "", 404, "not_found", ""},
		{"allowing the agency of what is no request", olga, "POST", "/v1/requests/con_luna/unblock", nil, "", 404, "not_found", ""},
		{"an unknown request", olga, "GET", "/v1/requests/con_" + olga.id() + "_" + rival, nil, "", 404, "not_found", ""},
		{"a request to the account in which one is a member", mia, "GET", known, nil, "", 404, "not_found", ""},
		{"deciding by id as a member", mia, "POST", known + "/deny", nil, "", 403, "forbidden", ""},
		invalid("blocking by a word", olga, "POST", asked+"/deny", `{"block":"yes"}`, "body.block"),
		invalid("blocking null", olga, "POST", team+"/"+o.id+"/deny", `{"block":null}`, "body.block"),
		invalid("denying with two blocks", olga, "POST", asked+"/deny", `{"block":true,"block":false}`, "body.block"),
		invalid("allowing with a body", olga, "POST", team+"/"+o.id+"/unblock", `{"agency":"x"}`, "body"),
		invalid("allowing by id with a body", olga, "POST", asked+"/unblock", `{"agency":"x"}`, "body"),
		{"allowing what is no agency's id", olga, "POST", team + "/bright/unblock", nil, "", 404, "not_found", ""},
		{"allowing as a member", mia, "POST", team + "/" + o.id + "/unblock", nil, "", 403, "forbidden", ""},
		{"the blocks, as a member", mia, "GET", hers + "/blocks", nil, "", 403, "forbidden", ""},
		{"the blocks of an owned account", ann, "GET", own + "/blocks" + as, nil, "", 409, "permanently_owned", ""},
		{"allowing in an owned account", ann, "POST", own + "/team/" + rival + "/unblock" + as, nil, "", 409, "permanently_owned", ""},
		invalid("blocking who is revoked, by a word", olga, "DELETE", team+"/"+o.id+"?block=please", nil, "query.block"),
		invalid("blocking twice", olga, "DELETE", team+"/"+o.id+"?block=true&block=false", nil, "query.block"),
		{"blocking what is pending", olga, "DELETE", team + "/" + o.id + "?block=true", nil, "", 409, "not_active", ""},

		// End dates and assigned clients.
		invalid("an end date that has passed", olga, "POST", accept, `{"request":1,"until":"`+past+`"}`, "body.until"),
		invalid("an end date that has passed, by id", olga, "POST", asked+"/accept", into(`,"until":"`+past+`"`), "body.until"),
		invalid("an end date of no form", olga, "POST", accept, `{"request":1,"until":"tomorrow"}`, "body.until"),
		invalid("an end date without a zone", olga, "POST", accept, `{"request":1,"until":"2099-01-31T12:00:00"}`, "body.until"),
		invalid("an end date that is a number", olga, "PATCH", team+"/"+o.id, `{"until":4102444800}`, "body.until"),
		{"an end date of what is pending", olga, "PATCH", team + "/" + o.id, `{"until":"` + ahead + `"}`, "", 409, "not_active", ""},
		invalid("an end date of a person", olga, "PATCH", team+"/"+mia.id(), `{"until":"`+ahead+`"}`, "body.until"),
		invalid("no end date of a person", olga, "PATCH", team+"/"+mia.id(), `{"until":null}`, "body.until"),
		invalid("clients of an agency", olga, "PATCH", team+"/"+o.id, `{"clients":[]}`, "body.clients"),
		invalid("clients that are no list", ann, "PATCH", staff, `{"clients":"`+luna+`"}`, "body.clients"),
		invalid("clients that are no ids", ann, "PATCH", staff, `{"clients":["luna"]}`, "body.clients"),
		invalid("a client that is null", ann, "PATCH", staff, `{"clients":[null]}`, "body.clients[0]"),
		invalid("91 clients", ann, "PATCH", staff, `{"clients":[`+strings.TrimSuffix(strings.Repeat(`"`+luna+`",`, 91), ",")+`]}`, "body.clients"),
		invalid("clients of an owner", ann, "PATCH", "/v1/accounts/"+o.id+"/team/"+ann.id(), `{"clients":["`+luna+`"]}`, "body.clients"),
		invalid("clients of an admin", ann, "PATCH", "/v1/accounts/"+o.id+"/team/"+ben.id(), `{"clients":[]}`, "body.clients"),

		// Endings.
		invalid("closing with a body", olga, "DELETE", hers, `{"why":"because"}`, "body"),
		invalid("erasing with a body", olga, "DELETE", "/v1/me", `{"sure":true}`, "body"),
		invalid("erasing somebody else", olga, "DELETE", "/v1/me?id="+mia.id(), nil, "query.id"),
		{"closing as a member", mia, "DELETE", hers, nil, "", 403, "forbidden", ""},
		{"closing an agency", ann, "DELETE", "/v1/accounts/" + o.id, nil, "", 409, "has_clients", ""},
		{"switching the hub of an agency with clients off", ann, "DELETE", "/v1/accounts/" + o.id + "/agency", nil, "", 409, "has_clients", ""},
		{"switching a hub off as an admin", ben, "DELETE", "/v1/accounts/" + o.id + "/agency", nil, "", 403, "forbidden", ""},
		{"closing an unknown account", olga, "DELETE", "/v1/accounts/" + unknown, nil, "", 404, "not_found", ""},
		{"closing an owned account as an admin", ben, "DELETE", own + as, nil, "", 403, "forbidden", ""},

		// Decisions.
		invalid("accepting nothing in particular", olga, "POST", accept, `{}`, "body.request"),
		invalid("accepting without a body", olga, "POST", accept, nil, "body"),
		invalid("accepting request 0", olga, "POST", accept, `{"request":0}`, "body.request"),
		invalid("accepting one and a half", olga, "POST", accept, `{"request":1.5}`, "body.request"),
		invalid("accepting by a word", olga, "POST", accept, `{"request":"1"}`, "body.request"),
		{"accepting another request", olga, "POST", accept, `{"request":9}`, "", 409, "conflict", ""},
		invalid("a denial of another kind", olga, "POST", team+"/"+o.id+"/deny", `{"gently":true}`, "body.gently"),
		{"accepting a stranger", olga, "POST", team + "/" + rival + "/accept", `{"request":1}`, "", 404, "not_found", ""},
		{"accepting a person", olga, "POST", team + "/" + mia.id() + "/accept", `{"request":1}`, "", 404, "not_found", ""},
		{"restricting what is pending", olga, "PATCH", team + "/" + o.id, `{"areas":{"pages":"view"}}`, "", 409, "not_active", ""},
		{"revoking what is pending", olga, "DELETE", team + "/" + o.id, nil, "", 409, "not_active", ""},

		// Persons.
		invalid("no address", olga, "POST", team, `{"email":"mia","role":"admin"}`, "body.email"),
		invalid("an address with a name", olga, "POST", team, `{"email":"Mia <m@bad.test>","role":"admin"}`, "body.email"),
		invalid("two addresses", olga, "POST", team, `{"email":"a@bad.test, b@bad.test","role":"admin"}`, "body.email"),
		invalid("an address with a line break", olga, "POST", team, `{"email":"a@bad.test\r\nBcc: b@bad.test","role":"admin"}`, "body.email"),
		invalid("an address too long", olga, "POST", team, `{"email":"`+long(250)+`@bad.test","role":"admin"}`, "body.email"),
		invalid("an unknown role", olga, "POST", team, `{"email":"a@bad.test","role":"king"}`, "body.role"),
		invalid("a member without areas", olga, "POST", team, `{"email":"a@bad.test","role":"member"}`, "body.areas"),
		invalid("an owner with areas", olga, "POST", team, `{"email":"a@bad.test","role":"owner","areas":{"pages":"view"}}`, "body.areas"),
		invalid("an owner of an owned account", ann, "POST", own+"/team"+as, `{"email":"a@bad.test","role":"owner"}`, "body.role"),
		invalid("a change of nothing", olga, "PATCH", team+"/"+mia.id(), `{}`, "body"),
		invalid("a change to null", olga, "PATCH", team+"/"+mia.id(), `{"areas":null}`, "body.areas"),
		invalid("an agency with a role", olga, "PATCH", team+"/"+o.id, `{"role":"admin"}`, "body.role"),
		{"an unknown member", olga, "PATCH", team + "/" + someone, `{"areas":{"pages":"view"}}`, "", 404, "not_found", ""},
		{"removing an unknown member", olga, "DELETE", team + "/" + someone, nil, "", 404, "not_found", ""},
		{"what is no member's id", olga, "DELETE", team + "/mia", nil, "", 404, "not_found", ""},
		{"a member who changes herself", mia, "PATCH", team + "/" + mia.id(), `{"role":"owner"}`, "", 403, "forbidden", ""},

		// Parameters.
		invalid("a limit of 0", olga, "GET", team+"?limit=0", nil, "query.limit"),
		invalid("a limit of 101", olga, "GET", team+"?limit=101", nil, "query.limit"),
		invalid("a limit of no number", olga, "GET", team+"?limit=many", nil, "query.limit"),
		invalid("a limit twice", olga, "GET", team+"?limit=1&limit=2", nil, "query.limit"),
		invalid("an empty limit", olga, "GET", team+"?limit=", nil, "query.limit"),
		invalid("an unknown parameter", olga, "GET", team+"?colour=red", nil, "query.colour"),
		invalid("an unknown parameter of a deletion", olga, "DELETE", team+"/"+mia.id()+"?block=true", nil, "query.block"),
		invalid("a query that cannot be read", olga, "GET", team+"?limit=%zz", nil, "query"),
		invalid("an unknown status", ann, "GET", hub+"/accounts?status=happy", nil, "query.status"),
		invalid("a prefix without status", ann, "GET", hub+"/accounts?prefix=lu", nil, "query.prefix"),
		invalid("an empty hat", ann, "GET", own+"?as=", nil, "query.as"),
		invalid("a hat that is no agency's id", ann, "GET", own+"?as=bright", nil, "query.as"),
		invalid("two hats", ann, "GET", own+as+"&as="+rival, nil, "query.as"),
		invalid("an access check of no id", olga, "GET", "/v1/accounts/luna/access", nil, "path.account"),
		invalid("an id too long", olga, "GET", "/v1/accounts/"+long(65), nil, "path.account"),
		{"somebody else's hat", sam, "GET", own + as, nil, "", 404, "not_found", ""},

		// Cursors.
		invalid("a cursor of nothing", olga, "GET", team+"?cursor=abc", nil, "query.cursor"),
		invalid("a cursor of nothing, in base 64", olga, "GET", team+"?cursor=eyJhIjoxfQ", nil, "query.cursor"),
		invalid("a cursor too long", olga, "GET", team+"?cursor="+long(1025), nil, "query.cursor"),
		invalid("the activity's cursor in the team", olga, "GET", team+"?cursor="+lines, nil, "query.cursor"),
		invalid("the team's cursor in the activity", olga, "GET", hers+"/activity?cursor="+members, nil, "query.cursor"),
		invalid("another account's cursor", olga, "GET", "/v1/accounts/"+pub+"/team?cursor="+members, nil, "query.cursor"),
		invalid("another person's cursor", mia, "GET", accounts+"?cursor="+mine, nil, "query.cursor"),
		invalid("the team's cursor in the blocks", olga, "GET", hers+"/blocks?cursor="+members, nil, "query.cursor"),
		invalid("a cursor of nothing in one's own blocks", olga, "GET", "/v1/me/blocks?cursor=abc", nil, "query.cursor"),
		invalid("the team's cursor in the requests", olga, "GET", "/v1/requests?cursor="+members, nil, "query.cursor"),
		invalid("a limit of 0 of the requests", olga, "GET", "/v1/requests?limit=0", nil, "query.limit"),
		invalid("another status's cursor", ann, "GET", hub+"/accounts?status=pending&cursor="+clients, nil, "query.cursor"),
		invalid("another agency's cursor", sam, "GET", "/v1/agencies/"+rival+"/accounts?cursor="+clients, nil, "query.cursor"),

		// Addresses.
		{"nothing there", olga, "GET", "/v1/nothing", nil, "", 404, "not_found", ""},
		{"a slash too many", olga, "GET", "/v1/accounts/" + luna + "/", nil, "", 404, "not_found", ""},
		{"a slash in an id", olga, "GET", "/v1/accounts/" + luna + "%2Fteam", nil, "", 404, "not_found", ""},
		{"a method that is not there", olga, "PUT", hers, `{"name":"x"}`, "", 405, "invalid", ""},
		invalid("no plan", olga, "PATCH", hers+"/subscription", `{}`, "body.plan"),
		invalid("a plan that is not there", olga, "PATCH", hers+"/subscription", `{"plan":"free"}`, "body.plan"),
		invalid("a plan of another type", olga, "PATCH", hers+"/subscription", `{"plan":1}`, "body.plan"),
		invalid("cancel at some other time", olga, "POST", hers+"/subscription/cancel", `{"now":"yes"}`, "body.now"),
		invalid("cancel on a day", olga, "POST", hers+"/subscription/cancel", `{"at":"2030-01-01"}`, "body.at"),
		invalid("a bill of no page", ann, "GET", hub+"/bill?limit=0", nil, "query.limit"),
		invalid("a bill from another list's place", ann, "GET", hub+"/bill?cursor="+lines, nil, "query.cursor"),
		invalid("an activity from another list's place", ann, "GET", hub+"/activity?cursor="+lines, nil, "query.cursor"),
		{"an operation that is not there", olga, "DELETE", hers + "/activity", nil, "", 405, "invalid", ""},
		{"an id in capitals", olga, "GET", "/v1/accounts/" + strings.ToUpper(luna), nil, "", 404, "not_found", ""},
		{"an unknown account", olga, "GET", "/v1/accounts/" + unknown, nil, "", 404, "not_found", ""},
	}
	// A foreign account is not there, whatever one wants of it.
	for _, f := range []struct {
		method, path string
		body         any
	}{
		{"GET", hers, nil}, {"PATCH", hers, `{"name":"x"}`}, {"POST", hers + "/agency", nil}, {"GET", hers + "/activity", nil},
		{"GET", team, nil}, {"POST", team, `{"email":"a@bad.test","role":"admin"}`},
		{"PATCH", team + "/" + mia.id(), `{"role":"admin"}`}, {"DELETE", team + "/" + mia.id(), nil},
		{"POST", accept, `{"request":1}`}, {"POST", team + "/" + o.id + "/deny", nil}, {"DELETE", team + "/" + o.id, nil},
		{"POST", team + "/" + o.id + "/unblock", nil}, {"GET", hers + "/blocks", nil}, {"DELETE", hers, nil}, {"DELETE", hers + "/agency", nil},
		{"GET", known, nil}, {"POST", known + "/accept", `{"account":"` + luna + `","request":1}`}, {"POST", known + "/deny", nil},
		{"GET", asked, nil}, {"POST", asked + "/accept", into("")}, {"POST", asked + "/deny", `{"block":true}`},
		{"DELETE", own, nil}, {"DELETE", team + "/" + o.id + "?block=true", nil},
		{"GET", hub + "/accounts", nil}, {"GET", one, nil}, {"POST", one + "/withdraw", nil}, {"POST", one + "/resend", nil}, {"POST", one + "/leave", nil},
		{"GET", hers + "/subscription", nil}, {"PATCH", hers + "/subscription", `{"plan":"scale"}`}, {"POST", hers + "/subscription/cancel", nil},
		{"POST", own + "/subscription/cancel", `{"now":true}`}, {"POST", own + "/subscription/resume", nil}, {"GET", hub + "/bill", nil}, {"GET", hub + "/activity", nil},
		{"GET", own + "/team", nil}, {"PATCH", own, `{"name":"x"}`}, {"DELETE", own + "/team/" + o.id, nil},
	} {
		calls = append(calls, call{"a foreign account: " + f.method + " " + strings.NewReplacer(luna, "luna", o.id, "agency", cafe, "cafe", mia.id(), "mia", c.ID, "con", byEmail.ID, "mail").Replace(f.path), sam, f.method, f.path, f.body, "", 404, "not_found", ""})
	}

	before := s.still(t)
	for _, c := range calls {
		t.Run(c.name, func(t *testing.T) {
			var header []string
			if c.key != "" {
				header = []string{"Idempotency-Key", c.key}
			}
			r := c.who.call(t, c.method, c.path, c.body, header...)
			p, err := r.problem()
			if err != nil {
				t.Fatal(err)
			}
			if p.Status != c.status || p.Code != c.code {
				t.Errorf("answered %d %s, want %d %s: %s", p.Status, p.Code, c.status, c.code, r.Body)
			}
			var fields []string
			for _, e := range p.Errors {
				fields = append(fields, e.Field)
				if len(e.Message) < 10 || !strings.HasSuffix(e.Message, ".") {
					t.Errorf("of %s it says %q", e.Field, e.Message)
				}
			}
			if c.field != "" && !slices.Contains(fields, c.field) || c.field == "" && len(fields) > 0 {
				t.Errorf("it names the fields %q, want %q: %s", fields, c.field, r.Body)
			}
		})
	}
	t.Run("another type of content", func(t *testing.T) {
		for _, kind := range []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "*/*"} {
			r := olga.call(t, "POST", accounts, `{"name":"x"}`, "Idempotency-Key", key, "Content-Type", kind)
			r.refused(t, http.StatusUnsupportedMediaType, "invalid", "")
		}
	})
	t.Run("nothing is written, and nobody is told", func(t *testing.T) {
		same(t, before, s.dump(t))
		s.told(t)
	})
}
