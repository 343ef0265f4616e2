package e2e

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// expectUnchanged compares two dumps of the table.
func expectUnchanged(t *testing.T, before, after map[string]string) {
	t.Helper()
	expectEqual(t, "the table before and after", before, after)
}

// A badCall is a call that is refused.
type badCall struct {
	name   string
	call   string // who makes it, its method and its path, with $names for ids
	body   string // "" for none
	key    string // the Idempotency-Key, "" for none
	status int
	code   string
	field  string // which errors[] must name; "" where it is no fault of form
}

const goodKey = "a-good-key-of-24-letters"

func invalid(name, call, body, field string) badCall {
	return badCall{name, call, body, "", 400, "invalid", field}
}

func keyed(c badCall) badCall { c.key = goodKey; return c }

func long(n int) string { return strings.Repeat("x", n) }

var badCalls = []badCall{
	// Bodies.
	keyed(invalid("no body", "olga POST /v1/accounts", "", "body")),
	keyed(invalid("not JSON", "olga POST /v1/accounts", `{"name":`, "body")),
	keyed(invalid("JSON of a sort", "olga POST /v1/accounts", "{name:'x'}", "body")),
	keyed(invalid("a comma too many", "olga POST /v1/accounts", `{"name":"x",}`, "body")),
	keyed(invalid("two bodies", "olga POST /v1/accounts", `{"name":"x"}{"name":"y"}`, "body")),
	keyed(invalid("a list", "olga POST /v1/accounts", `[{"name":"x"}]`, "body")),
	keyed(invalid("null", "olga POST /v1/accounts", "null", "body")),
	keyed(invalid("not UTF-8", "olga POST /v1/accounts", "{\"name\":\"\xff\"}", "body")),
	keyed(invalid("half a surrogate", "olga POST /v1/accounts", `{"name":"\ud800"}`, "body.name")),
	keyed(invalid("nested without end", "olga POST /v1/accounts", `{"name":`+strings.Repeat("[", 60)+strings.Repeat("]", 60)+"}", "body")),
	{"too large", "olga POST /v1/accounts", `{"name":"` + long(64<<10) + `"}`, goodKey, 413, "invalid", "body"},

	// Fields.
	keyed(invalid("a missing field", "olga POST /v1/accounts", "{}", "body.name")),
	keyed(invalid("an unknown field", "olga POST /v1/accounts", `{"name":"x","colour":"red"}`, "body.colour")),
	keyed(invalid("a field in another case", "olga POST /v1/accounts", `{"Name":"x"}`, "body.Name")),
	keyed(invalid("a field twice", "olga POST /v1/accounts", `{"name":"x","name":"y"}`, "body.name")),
	keyed(invalid("a field of another type", "olga POST /v1/accounts", `{"name":7}`, "body.name")),
	keyed(invalid("a field that is null", "olga POST /v1/accounts", `{"name":null}`, "body.name")),
	keyed(invalid("an empty name", "olga POST /v1/accounts", `{"name":""}`, "body.name")),
	keyed(invalid("a name of blanks", "olga POST /v1/accounts", `{"name":"  \t "}`, "body.name")),
	keyed(invalid("a name too long", "olga POST /v1/accounts", `{"name":"`+long(81)+`"}`, "body.name")),
	keyed(invalid("a name with a line break", "olga POST /v1/accounts", `{"name":"a\nb"}`, "body.name")),
	keyed(invalid("a name with a NUL", "olga POST /v1/accounts", `{"name":"a\u0000b"}`, "body.name")),
	keyed(invalid("a name that turns the text around", "olga POST /v1/accounts", `{"name":"a\u202eb"}`, "body.name")),
	invalid("a new name too long", "olga PATCH /v1/accounts/$luna", `{"name":"`+long(81)+`"}`, "body.name"),

	// Idempotency keys.
	invalid("no Idempotency-Key", "olga POST /v1/accounts", `{"name":"x"}`, "header.Idempotency-Key"),
	{"an Idempotency-Key too short", "olga POST /v1/accounts", `{"name":"x"}`, long(15), 400, "invalid", "header.Idempotency-Key"},
	{"an Idempotency-Key too long", "olga POST /v1/accounts", `{"name":"x"}`, long(129), 400, "invalid", "header.Idempotency-Key"},
	{"an Idempotency-Key with blanks", "olga POST /v1/accounts", `{"name":"x"}`, "a key of many words", 400, "invalid", "header.Idempotency-Key"},
	invalid("no Idempotency-Key for the agency", "ann POST /v1/agencies/$agency/accounts", `{"name":"x","plan":"starter","confirmPermanentOwnership":true}`, "header.Idempotency-Key"),

	// An account for a client.
	keyed(invalid("not confirmed", "ann POST /v1/agencies/$agency/accounts", `{"name":"x","plan":"starter"}`, "body.confirmPermanentOwnership")),
	keyed(invalid("confirmed by a word", "ann POST /v1/agencies/$agency/accounts", `{"name":"x","plan":"starter","confirmPermanentOwnership":"true"}`, "body.confirmPermanentOwnership")),
	keyed(invalid("an unknown plan", "ann POST /v1/agencies/$agency/accounts", `{"name":"x","plan":"gold","confirmPermanentOwnership":true}`, "body.plan")),
	keyed(invalid("no plan", "ann POST /v1/agencies/$agency/accounts", `{"name":"x","confirmPermanentOwnership":true}`, "body.plan")),
	keyed(invalid("a client who is null", "ann POST /v1/agencies/$agency/accounts", `{"name":"x","plan":"starter","confirmPermanentOwnership":true,"client":null}`, "body.client")),
	keyed(invalid("a client without address", "ann POST /v1/agencies/$agency/accounts", `{"name":"x","plan":"starter","confirmPermanentOwnership":true,"client":{"areas":{"pages":"view"}}}`, "body.client.email")),
	keyed(invalid("a client without areas", "ann POST /v1/agencies/$agency/accounts", `{"name":"x","plan":"starter","confirmPermanentOwnership":true,"client":{"email":"c@bad.test"}}`, "body.client.areas")),
	keyed(invalid("a client with a role", "ann POST /v1/agencies/$agency/accounts", `{"name":"x","plan":"starter","confirmPermanentOwnership":true,"client":{"email":"c@bad.test","areas":{"pages":"view"},"role":"owner"}}`, "body.client.role")),
	keyed(invalid("a client with no address", "ann POST /v1/agencies/$agency/accounts", `{"name":"x","plan":"starter","confirmPermanentOwnership":true,"client":{"email":"c at bad","areas":{"pages":"view"}}}`, "body.client.email")),
	keyed(invalid("a client in an unknown area", "ann POST /v1/agencies/$agency/accounts", `{"name":"x","plan":"starter","confirmPermanentOwnership":true,"client":{"email":"c@bad.test","areas":{"kitchen":"view"}}}`, "body.client.areas.kitchen")),

	// Areas and levels.
	invalid("an unknown area", "ann POST /v1/agencies/$agency/connections", `{"account":"$pub","areas":{"kitchen":"view"}}`, "body.areas.kitchen"),
	invalid("billing is no area", "ann POST /v1/agencies/$agency/connections", `{"account":"$pub","areas":{"billing":"view"}}`, "body.areas.billing"),
	invalid("an unknown level", "ann POST /v1/agencies/$agency/connections", `{"account":"$pub","areas":{"pages":"own"}}`, "body.areas.pages"),
	invalid("a level of another type", "ann POST /v1/agencies/$agency/connections", `{"account":"$pub","areas":{"pages":2}}`, "body.areas.pages"),
	invalid("a level that is null", "ann POST /v1/agencies/$agency/connections", `{"account":"$pub","areas":{"pages":null}}`, "body.areas.pages"),
	invalid("an area twice", "ann POST /v1/agencies/$agency/connections", `{"account":"$pub","areas":{"pages":"view","pages":"edit"}}`, "body.areas.pages"),
	invalid("no areas", "ann POST /v1/agencies/$agency/connections", `{"account":"$pub"}`, "body.areas"),
	invalid("areas of none", "ann POST /v1/agencies/$agency/connections", `{"account":"$pub","areas":{"pages":"none"}}`, "body.areas"),
	invalid("areas that name nothing", "ann POST /v1/agencies/$agency/connections", `{"account":"$pub","areas":{}}`, "body.areas"),
	invalid("a list of areas", "ann POST /v1/agencies/$agency/connections", `{"account":"$pub","areas":["pages"]}`, "body.areas"),
	invalid("granting an unknown area", "olga POST /v1/accounts/$luna/team/$agency/accept", `{"request":1,"areas":{"kitchen":"view"}}`, "body.areas.kitchen"),
	invalid("granting more than was asked for", "olga POST /v1/accounts/$luna/team/$agency/accept", `{"request":1,"areas":{"pages":"edit"}}`, "body.areas"),
	invalid("restricting by an unknown level", "olga PATCH /v1/accounts/$luna/team/$agency", `{"areas":{"pages":"all"}}`, "body.areas.pages"),

	// Requests.
	invalid("a message too long", "ann POST /v1/agencies/$agency/connections", `{"account":"$pub","message":"`+long(501)+`","areas":{"pages":"view"}}`, "body.message"),
	invalid("a message with a control character", "ann POST /v1/agencies/$agency/connections", `{"account":"$pub","message":"a\u0007b","areas":{"pages":"view"}}`, "body.message"),
	invalid("asking nobody", "ann POST /v1/agencies/$agency/connections", `{"areas":{"pages":"view"}}`, "body"),
	invalid("asking oneself", "ann POST /v1/agencies/$agency/connections", `{"account":"$agency","areas":{"pages":"view"}}`, "body.account"),
	{"asking an unknown account", "ann POST /v1/agencies/$agency/connections", `{"account":"acct_00000000000000000000000000","areas":{"pages":"view"}}`, "", 404, "not_found", ""},
	invalid("asking what is no id", "ann POST /v1/agencies/$agency/connections", `{"account":"luna","areas":{"pages":"view"}}`, "body.account"),
	invalid("asking a person", "ann POST /v1/agencies/$agency/connections", `{"account":"$olga","areas":{"pages":"view"}}`, "body.account"),
	{"asking an owned account", "sam POST /v1/agencies/$rival/connections", `{"account":"$cafe","areas":{"pages":"view"}}`, "", 409, "permanently_owned", ""},
	{"asking for a foreign agency", "sam POST /v1/agencies/$agency/connections", `{"account":"$pub","areas":{"pages":"view"}}`, "", 404, "not_found", ""},
	{"asking without a hub", "olga POST /v1/agencies/$pub/connections", `{"account":"$rival","areas":{"pages":"view"}}`, "", 409, "conflict", ""},
	{"an unknown connection", "ann POST /v1/agencies/$agency/connections/con_acct_00000000000000000000000000_$agency/withdraw", "", "", 404, "not_found", ""},
	invalid("what is no connection's id", "ann GET /v1/agencies/$agency/connections/luna", "", "path.id"),
	{"another agency's connection", "sam GET /v1/agencies/$rival/connections/$connection", "", "", 404, "not_found", ""},
	invalid("a withdrawal with a body", "ben POST /v1/agencies/$agency/connections/$connection/withdraw", `{"why":"because"}`, "body"),
	{"leaving what is pending", "ben POST /v1/agencies/$agency/connections/$connection/leave", "", "", 409, "not_active", ""},

	// Requests by email.
	invalid("asking two ways at once", "ann POST /v1/agencies/$agency/connections", `{"account":"$pub","ownerEmail":"a@bad.test","areas":{"pages":"view"}}`, "body"),
	invalid("asking by no address", "ann POST /v1/agencies/$agency/connections", `{"ownerEmail":"olga","areas":{"pages":"view"}}`, "body.ownerEmail"),
	invalid("asking by an address with a name", "ann POST /v1/agencies/$agency/connections", `{"ownerEmail":"Olga <o@bad.test>","areas":{"pages":"view"}}`, "body.ownerEmail"),
	invalid("asking by two addresses", "ann POST /v1/agencies/$agency/connections", `{"ownerEmail":"a@bad.test, b@bad.test","areas":{"pages":"view"}}`, "body.ownerEmail"),
	invalid("asking by an address with a line break", "ann POST /v1/agencies/$agency/connections", `{"ownerEmail":"a@bad.test\r\nBcc: b@bad.test","areas":{"pages":"view"}}`, "body.ownerEmail"),
	invalid("asking by an address too long", "ann POST /v1/agencies/$agency/connections", `{"ownerEmail":"`+long(250)+`@bad.test","areas":{"pages":"view"}}`, "body.ownerEmail"),
	invalid("asking by an address of another type", "ann POST /v1/agencies/$agency/connections", `{"ownerEmail":["a@bad.test"],"areas":{"pages":"view"}}`, "body.ownerEmail"),
	invalid("asking by an address that is null", "ann POST /v1/agencies/$agency/connections", `{"ownerEmail":null,"areas":{"pages":"view"}}`, "body.ownerEmail"),
	invalid("asking by email for no areas", "ann POST /v1/agencies/$agency/connections", `{"ownerEmail":"a@bad.test"}`, "body.areas"),
	invalid("asking by email with a message too long", "ann POST /v1/agencies/$agency/connections", `{"ownerEmail":"a@bad.test","message":"`+long(501)+`","areas":{"pages":"view"}}`, "body.message"),
	{"asking by email once more, in another spelling", "ann POST /v1/agencies/$agency/connections", `{"ownerEmail":"$OLGA","areas":{"pages":"view"}}`, "", 409, "already_requested", ""},
	{"asking by email for a foreign agency", "sam POST /v1/agencies/$agency/connections", `{"ownerEmail":"a@bad.test","areas":{"pages":"view"}}`, "", 404, "not_found", ""},
	{"asking by email without a hub", "olga POST /v1/agencies/$pub/connections", `{"ownerEmail":"a@bad.test","areas":{"pages":"view"}}`, "", 409, "conflict", ""},
	{"leaving what was asked by email", "ben POST /v1/agencies/$agency/connections/$byEmail/leave", "", "", 409, "not_active", ""},
	{"another agency's request by email", "sam GET /v1/agencies/$rival/connections/$byEmail", "", "", 404, "not_found", ""},

	// The person's side of a request.
	invalid("accepting into nothing", "olga POST /v1/requests/$byEmail/accept", `{"request":1}`, "body.account"),
	invalid("accepting into an account without a request", "olga POST /v1/requests/$byEmail/accept", `{"account":"$pub"}`, "body.request"),
	invalid("accepting by id without a body", "olga POST /v1/requests/$byEmail/accept", "", "body"),
	invalid("accepting into the agency", "ann POST /v1/requests/con_$ann_$agency/accept", `{"account":"$agency","request":1}`, "body.account"),
	invalid("accepting into another account than the one asked", "olga POST /v1/requests/$connection/accept", `{"account":"$pub","request":1}`, "body.account"),
	invalid("accepting into more than was asked for", "olga POST /v1/requests/$byEmail/accept", `{"account":"$pub","request":1,"areas":{"pages":"edit"}}`, "body.areas"),
	invalid("accepting into an unknown area", "olga POST /v1/requests/$byEmail/accept", `{"account":"$pub","request":1,"areas":{"kitchen":"view"}}`, "body.areas.kitchen"),
	invalid("accepting by id with a field too many", "olga POST /v1/requests/$byEmail/accept", `{"account":"$pub","request":1,"block":true}`, "body.block"),
	{"accepting into an unknown account", "olga POST /v1/requests/$byEmail/accept", `{"account":"acct_00000000000000000000000000","request":1}`, "", 404, "not_found", ""},
	invalid("accepting into what is no id", "olga POST /v1/requests/$byEmail/accept", `{"account":"luna","request":1}`, "body.account"),
	{"accepting another request by id", "olga POST /v1/requests/$byEmail/accept", `{"account":"$pub","request":7}`, "", 409, "conflict", ""},
	invalid("a request that is none", "olga GET /v1/requests/luna", "", "path.id"),
	invalid("declining what is no request", "olga POST /v1/requests/con_luna/decline", `{"request":1}`, "path.id"),
	invalid("accepting what is no request", "olga POST /v1/requests/con_luna/accept", `{"account":"$pub","request":1}`, "path.id"),
	invalid("allowing the agency of what is no request", "olga POST /v1/requests/con_luna/unblock", "", "path.id"),
	{"an unknown request", "olga GET /v1/requests/con_$olga_$rival", "", "", 404, "not_found", ""},
	{"a request to the account in which one is a member", "mia GET /v1/requests/$connection", "", "", 404, "not_found", ""},
	{"deciding by id as a member", "mia POST /v1/requests/$connection/decline", `{"request":1}`, "", 403, "forbidden", ""},
	invalid("blocking by a word", "olga POST /v1/requests/$byEmail/decline", `{"request":1,"block":"yes"}`, "body.block"),
	invalid("blocking null", "olga POST /v1/accounts/$luna/team/$agency/decline", `{"request":1,"block":null}`, "body.block"),
	invalid("declining with two blocks", "olga POST /v1/requests/$byEmail/decline", `{"request":1,"block":true,"block":false}`, "body.block"),
	invalid("allowing with a body", "olga POST /v1/accounts/$luna/team/$agency/unblock", `{"agency":"x"}`, "body"),
	invalid("allowing by id with a body", "olga POST /v1/requests/$byEmail/unblock", `{"agency":"x"}`, "body"),
	invalid("allowing what is no agency's id", "olga POST /v1/accounts/$luna/team/bright/unblock", "", "path.member"),
	{"allowing as a member", "mia POST /v1/accounts/$luna/team/$agency/unblock", "", "", 403, "forbidden", ""},
	{"the blocks, as a member", "mia GET /v1/accounts/$luna/blocks", "", "", 403, "forbidden", ""},
	{"the blocks of an owned account", "ann GET /v1/accounts/$cafe/blocks?as=$agency", "", "", 409, "permanently_owned", ""},
	{"allowing in an owned account", "ann POST /v1/accounts/$cafe/team/$rival/unblock?as=$agency", "", "", 409, "permanently_owned", ""},
	invalid("blocking who is revoked, by a word", "olga DELETE /v1/accounts/$luna/team/$agency?block=please", "", "query.block"),
	invalid("blocking twice", "olga DELETE /v1/accounts/$luna/team/$agency?block=true&block=false", "", "query.block"),
	{"blocking what is pending", "olga DELETE /v1/accounts/$luna/team/$agency?block=true", "", "", 409, "not_active", ""},

	// End dates and assigned clients.
	invalid("an end date that has passed", "olga POST /v1/accounts/$luna/team/$agency/accept", `{"request":1,"until":"$past"}`, "body.until"),
	invalid("an end date that has passed, by id", "olga POST /v1/requests/$byEmail/accept", `{"account":"$pub","request":1,"until":"$past"}`, "body.until"),
	invalid("an end date of no form", "olga POST /v1/accounts/$luna/team/$agency/accept", `{"request":1,"until":"tomorrow"}`, "body.until"),
	invalid("an end date without a zone", "olga POST /v1/accounts/$luna/team/$agency/accept", `{"request":1,"until":"2099-01-31T12:00:00"}`, "body.until"),
	invalid("an end date that is a number", "olga PATCH /v1/accounts/$luna/team/$agency", `{"until":4102444800}`, "body.until"),
	{"an end date of what is pending", "olga PATCH /v1/accounts/$luna/team/$agency", `{"until":"$ahead"}`, "", 409, "not_active", ""},
	invalid("an end date of a person", "olga PATCH /v1/accounts/$luna/team/$mia", `{"until":"$ahead"}`, "body.until"),
	invalid("no end date of a person", "olga PATCH /v1/accounts/$luna/team/$mia", `{"until":null}`, "body.until"),
	invalid("clients of an agency", "olga PATCH /v1/accounts/$luna/team/$agency", `{"clients":[]}`, "body.clients"),
	invalid("clients that are no list", "ann PATCH /v1/accounts/$agency/team/$cid", `{"clients":"$luna"}`, "body.clients"),
	invalid("clients that are no ids", "ann PATCH /v1/accounts/$agency/team/$cid", `{"clients":["luna"]}`, "body.clients[0]"),
	invalid("a client that is null", "ann PATCH /v1/accounts/$agency/team/$cid", `{"clients":[null]}`, "body.clients[0]"),
	invalid("91 clients", "ann PATCH /v1/accounts/$agency/team/$cid", `{"clients":[`+strings.TrimSuffix(strings.Repeat(`"$luna",`, 91), ",")+"]}", "body.clients"),
	invalid("clients of an owner", "ann PATCH /v1/accounts/$agency/team/$ann", `{"clients":["$luna"]}`, "body.clients"),
	invalid("clients of an admin", "ann PATCH /v1/accounts/$agency/team/$ben", `{"clients":[]}`, "body.clients"),

	// Endings.
	invalid("closing with a body", "olga DELETE /v1/accounts/$luna", `{"why":"because"}`, "body"),
	invalid("erasing with a body", "olga DELETE /v1/me", `{"sure":true}`, "body"),
	invalid("erasing somebody else", "olga DELETE /v1/me?id=$mia", "", "query.id"),
	{"closing as a member", "mia DELETE /v1/accounts/$luna", "", "", 403, "forbidden", ""},
	{"closing an agency", "ann DELETE /v1/accounts/$agency", "", "", 409, "has_clients", ""},
	{"switching the hub of an agency with clients off", "ann DELETE /v1/accounts/$agency/agency", "", "", 409, "has_clients", ""},
	{"switching a hub off as an admin", "ben DELETE /v1/accounts/$agency/agency", "", "", 403, "forbidden", ""},
	{"closing an unknown account", "olga DELETE /v1/accounts/acct_00000000000000000000000000", "", "", 404, "not_found", ""},
	{"closing an owned account as an admin", "ben DELETE /v1/accounts/$cafe?as=$agency", "", "", 403, "forbidden", ""},

	// Decisions.
	invalid("accepting nothing in particular", "olga POST /v1/accounts/$luna/team/$agency/accept", "{}", "body.request"),
	invalid("accepting without a body", "olga POST /v1/accounts/$luna/team/$agency/accept", "", "body"),
	invalid("accepting request 0", "olga POST /v1/accounts/$luna/team/$agency/accept", `{"request":0}`, "body.request"),
	invalid("accepting one and a half", "olga POST /v1/accounts/$luna/team/$agency/accept", `{"request":1.5}`, "body.request"),
	invalid("accepting by a word", "olga POST /v1/accounts/$luna/team/$agency/accept", `{"request":"1"}`, "body.request"),
	{"accepting another request", "olga POST /v1/accounts/$luna/team/$agency/accept", `{"request":9}`, "", 409, "conflict", ""},
	invalid("a decline of another kind", "olga POST /v1/accounts/$luna/team/$agency/decline", `{"request":1,"gently":true}`, "body.gently"),
	invalid("declining nothing in particular", "olga POST /v1/accounts/$luna/team/$agency/decline", "{}", "body.request"),
	invalid("declining without a body", "olga POST /v1/accounts/$luna/team/$agency/decline", "", "body"),
	invalid("declining request 0", "olga POST /v1/requests/$byEmail/decline", `{"request":0}`, "body.request"),
	{"declining another request", "olga POST /v1/accounts/$luna/team/$agency/decline", `{"request":9}`, "", 409, "conflict", ""},
	{"declining another request by id", "olga POST /v1/requests/$byEmail/decline", `{"request":9}`, "", 409, "conflict", ""},
	{"accepting a stranger", "olga POST /v1/accounts/$luna/team/$rival/accept", `{"request":1}`, "", 404, "not_found", ""},
	invalid("accepting a person", "olga POST /v1/accounts/$luna/team/$mia/accept", `{"request":1}`, "path.member"),
	{"restricting what is pending", "olga PATCH /v1/accounts/$luna/team/$agency", `{"areas":{"pages":"view"}}`, "", 409, "not_active", ""},
	{"revoking what is pending", "olga DELETE /v1/accounts/$luna/team/$agency", "", "", 409, "not_active", ""},

	// Persons.
	invalid("no address", "olga POST /v1/accounts/$luna/team", `{"email":"mia","role":"admin"}`, "body.email"),
	invalid("an address with a name", "olga POST /v1/accounts/$luna/team", `{"email":"Mia <m@bad.test>","role":"admin"}`, "body.email"),
	invalid("two addresses", "olga POST /v1/accounts/$luna/team", `{"email":"a@bad.test, b@bad.test","role":"admin"}`, "body.email"),
	invalid("an address with a line break", "olga POST /v1/accounts/$luna/team", `{"email":"a@bad.test\r\nBcc: b@bad.test","role":"admin"}`, "body.email"),
	invalid("an address too long", "olga POST /v1/accounts/$luna/team", `{"email":"`+long(250)+`@bad.test","role":"admin"}`, "body.email"),
	invalid("an unknown role", "olga POST /v1/accounts/$luna/team", `{"email":"a@bad.test","role":"king"}`, "body.role"),
	invalid("a member without areas", "olga POST /v1/accounts/$luna/team", `{"email":"a@bad.test","role":"member"}`, "body.areas"),
	invalid("an owner with areas", "olga POST /v1/accounts/$luna/team", `{"email":"a@bad.test","role":"owner","areas":{"pages":"view"}}`, "body.areas"),
	invalid("an owner of an owned account", "ann POST /v1/accounts/$cafe/team?as=$agency", `{"email":"a@bad.test","role":"owner"}`, "body.role"),
	invalid("a change of nothing", "olga PATCH /v1/accounts/$luna/team/$mia", "{}", "body"),
	invalid("a change to null", "olga PATCH /v1/accounts/$luna/team/$mia", `{"areas":null}`, "body.areas"),
	invalid("an agency with a role", "olga PATCH /v1/accounts/$luna/team/$agency", `{"role":"admin"}`, "body.role"),
	{"an unknown member", "olga PATCH /v1/accounts/$luna/team/per_00000000000000000000000000", `{"areas":{"pages":"view"}}`, "", 404, "not_found", ""},
	{"removing an unknown member", "olga DELETE /v1/accounts/$luna/team/per_00000000000000000000000000", "", "", 404, "not_found", ""},
	invalid("what is no member's id", "olga DELETE /v1/accounts/$luna/team/mia", "", "path.member"),
	{"a member who changes herself", "mia PATCH /v1/accounts/$luna/team/$mia", `{"role":"owner"}`, "", 403, "forbidden", ""},

	// Invitations and offers of ownership: ivy is invited as a member, otto as an owner,
	// and al, an admin, is offered ownership.
	{"an unknown member's invitation", "olga POST /v1/accounts/$luna/team/per_00000000000000000000000000/resend", "", "", 404, "not_found", ""},
	invalid("an invitation of what is no person", "olga POST /v1/accounts/$luna/team/ivy/withdraw", "", "path.member"),
	invalid("resending an agency's request in the team", "olga POST /v1/accounts/$luna/team/$agency/resend", "", "path.member"),
	invalid("a new sign-in of an agency", "olga POST /v1/accounts/$luna/team/$agency/new-sign-in", "", "path.member"),
	invalid("a resend with a body", "olga POST /v1/accounts/$luna/team/$ivy/resend", `{"role":"admin"}`, "body"),
	invalid("withdrawing an invitation with a body", "olga POST /v1/accounts/$luna/team/$ivy/withdraw", `{"request":1}`, "body"),
	invalid("a new sign-in with a body", "olga POST /v1/accounts/$luna/team/$mia/new-sign-in", `{"sub":"x"}`, "body"),
	{"resending what was accepted", "olga POST /v1/accounts/$luna/team/$mia/resend", "", "", 409, "not_pending", ""},
	{"withdrawing what was accepted", "olga POST /v1/accounts/$luna/team/$mia/withdraw", "", "", 409, "not_pending", ""},
	{"a new sign-in of who is only invited", "olga POST /v1/accounts/$luna/team/$ivy/new-sign-in", "", "", 409, "not_active", ""},
	{"a new sign-in of oneself", "olga POST /v1/accounts/$luna/team/$olga/new-sign-in", "", "", 403, "forbidden", ""},
	{"changing who is only invited", "olga PATCH /v1/accounts/$luna/team/$ivy", `{"role":"admin"}`, "", 409, "not_active", ""},
	{"removing who is only invited", "olga DELETE /v1/accounts/$luna/team/$ivy", "", "", 409, "not_active", ""},
	{"sending it again on the same day with other terms", "olga POST /v1/accounts/$luna/team", `{"email":"ivy@luna.bad.test","role":"admin"}`, "", 429, "rate_limited", ""},
	{"sending it again on the same day", "olga POST /v1/accounts/$luna/team/$ivy/resend", "", "", 429, "rate_limited", ""},
	{"inviting as a member", "mia POST /v1/accounts/$luna/team", `{"email":"x@bad.test","role":"admin"}`, "", 403, "forbidden", ""},
	{"resending as a member", "mia POST /v1/accounts/$luna/team/$ivy/resend", "", "", 403, "forbidden", ""},
	{"withdrawing as a member", "mia POST /v1/accounts/$luna/team/$ivy/withdraw", "", "", 403, "forbidden", ""},
	{"a new sign-in as a member", "mia POST /v1/accounts/$luna/team/$olga/new-sign-in", "", "", 403, "forbidden", ""},
	{"resending an owner's invitation as an admin", "al POST /v1/accounts/$luna/team/$otto/resend", "", "", 403, "forbidden", ""},
	{"withdrawing an owner's invitation as an admin", "al POST /v1/accounts/$luna/team/$otto/withdraw", "", "", 403, "forbidden", ""},
	{"withdrawing an offer as an admin", "al POST /v1/accounts/$luna/team/$al/withdraw", "", "", 403, "forbidden", ""},
	{"making it no owner's as an admin", "al POST /v1/accounts/$luna/team", `{"email":"otto@luna.bad.test","role":"admin"}`, "", 403, "forbidden", ""},
	{"a new sign-in of an owner as an admin", "al POST /v1/accounts/$luna/team/$olga/new-sign-in", "", "", 403, "forbidden", ""},
	invalid("accepting an invitation without a body", "ivy POST /v1/me/invitations/$luna/accept", "", "body"),
	invalid("accepting no invitation in particular", "ivy POST /v1/me/invitations/$luna/accept", "{}", "body.request"),
	invalid("accepting invitation 0", "ivy POST /v1/me/invitations/$luna/accept", `{"request":0}`, "body.request"),
	invalid("accepting an invitation by a word", "ivy POST /v1/me/invitations/$luna/accept", `{"request":"1"}`, "body.request"),
	invalid("accepting an invitation that is null", "ivy POST /v1/me/invitations/$luna/accept", `{"request":null}`, "body.request"),
	invalid("accepting more than the invitation", "ivy POST /v1/me/invitations/$luna/accept", `{"request":1,"role":"owner"}`, "body.role"),
	invalid("accepting other levels", "ivy POST /v1/me/invitations/$luna/accept", `{"request":1,"areas":{"pages":"edit"}}`, "body.areas"),
	invalid("accepting on behalf of an agency", "ivy POST /v1/me/invitations/$luna/accept?as=$agency", `{"request":1}`, "query.as"),
	{"accepting another invitation", "ivy POST /v1/me/invitations/$luna/accept", `{"request":2}`, "", 409, "conflict", ""},
	{"accepting an unknown account's invitation", "ivy POST /v1/me/invitations/acct_00000000000000000000000000/accept", `{"request":1}`, "", 404, "not_found", ""},
	invalid("accepting what is no account's invitation", "ivy POST /v1/me/invitations/luna/accept", `{"request":1}`, "path.account"),
	{"accepting an invitation to another address", "mia POST /v1/me/invitations/$pub/accept", `{"request":1}`, "", 404, "not_found", ""},
	{"accepting an invitation that nobody made", "olga POST /v1/me/invitations/$luna/accept", `{"request":1}`, "", 404, "not_found", ""},
	invalid("becoming an owner without a plan", "otto POST /v1/me/invitations/$luna/accept", `{"request":1}`, "body.plan"),
	invalid("becoming an owner with a plan that is null", "otto POST /v1/me/invitations/$luna/accept", `{"request":1,"plan":null}`, "body.plan"),
	invalid("becoming an owner with a plan too long", "otto POST /v1/me/invitations/$luna/accept", `{"request":1,"plan":"`+long(65)+`"}`, "body.plan"),
	{"becoming an owner with another plan", "otto POST /v1/me/invitations/$luna/accept", `{"request":1,"plan":"scale"}`, "", 409, "conflict", ""},
	{"becoming an owner with no plan that there is", "otto POST /v1/me/invitations/$luna/accept", `{"request":1,"plan":"gold"}`, "", 409, "conflict", ""},
	invalid("accepting ownership without a plan", "al POST /v1/me/invitations/$luna/accept", `{"request":2}`, "body.plan"),
	{"accepting ownership with another plan", "al POST /v1/me/invitations/$luna/accept", `{"request":2,"plan":"scale"}`, "", 409, "conflict", ""},
	{"accepting ownership by the invitation's number", "al POST /v1/me/invitations/$luna/accept", `{"request":1,"plan":"starter"}`, "", 409, "conflict", ""},
	invalid("blocking an offer of ownership", "al POST /v1/me/invitations/$luna/decline", `{"request":2,"block":true}`, "body.block"),
	invalid("declining an invitation without a body", "ivy POST /v1/me/invitations/$luna/decline", "", "body"),
	invalid("declining no invitation in particular", "ivy POST /v1/me/invitations/$luna/decline", `{"block":true}`, "body.request"),
	invalid("declining and blocking by a word", "ivy POST /v1/me/invitations/$luna/decline", `{"request":1,"block":"yes"}`, "body.block"),
	invalid("declining with a plan", "otto POST /v1/me/invitations/$luna/decline", `{"request":1,"plan":"starter"}`, "body.plan"),
	{"declining another invitation", "ivy POST /v1/me/invitations/$luna/decline", `{"request":2}`, "", 409, "conflict", ""},
	{"declining what one has accepted", "mia POST /v1/me/invitations/$luna/decline", `{"request":1}`, "", 409, "not_pending", ""},
	{"declining an unknown account's invitation", "ivy POST /v1/me/invitations/acct_00000000000000000000000000/decline", `{"request":1}`, "", 404, "not_found", ""},
	{"an invitation that nobody made", "ivy GET /v1/me/invitations/$pub", "", "", 404, "not_found", ""},
	invalid("an invitation to what is no id", "ivy GET /v1/me/invitations/luna", "", "path.account"),
	invalid("an invitation's account too long", "ivy GET /v1/me/invitations/"+long(65), "", "path.account"),
	invalid("a limit of 0 of what waits", "ivy GET /v1/me/waiting?limit=0", "", "query.limit"),
	invalid("what waits by kind", "ivy GET /v1/me/waiting?kind=invitation", "", "query.kind"),
	invalid("the team's cursor in what waits", "olga GET /v1/me/waiting?cursor=$members", "", "query.cursor"),
	invalid("a cursor of nothing in what waits", "olga GET /v1/me/waiting?cursor=abc", "", "query.cursor"),
	invalid("a cursor of a part of what waits", "olga GET /v1/me/waiting?cursor=a.abc", "", "query.cursor"),
	{"an invitation is changed by no method", "ivy PATCH /v1/me/invitations/$luna", `{"request":1}`, "", 405, "invalid", ""},
	invalid("a change of nothing of one's own", "ivy PATCH /v1/me", "{}", "body.unsolicitedMail"),
	invalid("mail by another word", "ivy PATCH /v1/me", `{"unsolicitedMail":"never"}`, "body.unsolicitedMail"),
	invalid("a change of one's address", "ivy PATCH /v1/me", `{"email":"x@bad.test"}`, "body.email"),

	// Parameters.
	invalid("a limit of 0", "olga GET /v1/accounts/$luna/team?limit=0", "", "query.limit"),
	invalid("a limit of 101", "olga GET /v1/accounts/$luna/team?limit=101", "", "query.limit"),
	invalid("a limit of no number", "olga GET /v1/accounts/$luna/team?limit=many", "", "query.limit"),
	invalid("a limit twice", "olga GET /v1/accounts/$luna/team?limit=1&limit=2", "", "query.limit"),
	invalid("an empty limit", "olga GET /v1/accounts/$luna/team?limit=", "", "query.limit"),
	invalid("an unknown parameter", "olga GET /v1/accounts/$luna/team?colour=red", "", "query.colour"),
	invalid("an unknown parameter of a deletion", "olga DELETE /v1/accounts/$luna/team/$mia?block=true", "", "query.block"),
	invalid("a query that cannot be read", "olga GET /v1/accounts/$luna/team?limit=%zz", "", "query"),
	invalid("an unknown status", "ann GET /v1/agencies/$agency/accounts?status=happy", "", "query.status"),
	invalid("a prefix without status", "ann GET /v1/agencies/$agency/accounts?prefix=lu", "", "query.prefix"),
	invalid("an empty hat", "ann GET /v1/accounts/$cafe?as=", "", "query.as"),
	invalid("a hat that is no agency's id", "ann GET /v1/accounts/$cafe?as=bright", "", "query.as"),
	invalid("two hats", "ann GET /v1/accounts/$cafe?as=$agency&as=$rival", "", "query.as"),
	invalid("an access check of no id", "olga GET /v1/accounts/luna/access", "", "path.account"),
	invalid("an id too long", "olga GET /v1/accounts/"+long(65), "", "path.account"),
	{"somebody else's hat", "sam GET /v1/accounts/$cafe?as=$agency", "", "", 404, "not_found", ""},

	// Cursors.
	invalid("a cursor of nothing", "olga GET /v1/accounts/$luna/team?cursor=abc", "", "query.cursor"),
	invalid("a cursor of nothing, in base 64", "olga GET /v1/accounts/$luna/team?cursor=eyJhIjoxfQ", "", "query.cursor"),
	invalid("a cursor too long", "olga GET /v1/accounts/$luna/team?cursor="+long(1025), "", "query.cursor"),
	invalid("the activity's cursor in the team", "olga GET /v1/accounts/$luna/team?cursor=$lines", "", "query.cursor"),
	invalid("the team's cursor in the activity", "olga GET /v1/accounts/$luna/activity?cursor=$members", "", "query.cursor"),
	invalid("another account's cursor", "olga GET /v1/accounts/$pub/team?cursor=$members", "", "query.cursor"),
	invalid("another person's cursor", "mia GET /v1/accounts?cursor=$mine", "", "query.cursor"),
	invalid("the team's cursor in the blocks", "olga GET /v1/accounts/$luna/blocks?cursor=$members", "", "query.cursor"),
	invalid("a cursor of nothing in one's own blocks", "olga GET /v1/me/blocks?cursor=abc", "", "query.cursor"),
	invalid("the team's cursor in the requests", "olga GET /v1/requests?cursor=$members", "", "query.cursor"),
	invalid("a limit of 0 of the requests", "olga GET /v1/requests?limit=0", "", "query.limit"),
	invalid("another status's cursor", "ann GET /v1/agencies/$agency/accounts?status=pending&cursor=$clients", "", "query.cursor"),
	invalid("another agency's cursor", "sam GET /v1/agencies/$rival/accounts?cursor=$clients", "", "query.cursor"),

	// Addresses.
	{"nothing there", "olga GET /v1/nothing", "", "", 404, "not_found", ""},
	{"a slash too many", "olga GET /v1/accounts/$luna/", "", "", 404, "not_found", ""},
	invalid("a slash in an id", "olga GET /v1/accounts/$luna%2Fteam", "", "path"),
	{"a method that is not there", "olga PUT /v1/accounts/$luna", `{"name":"x"}`, "", 405, "invalid", ""},
	invalid("no plan", "olga PATCH /v1/accounts/$luna/subscription", "{}", "body.plan"),
	invalid("a plan that is not there", "olga PATCH /v1/accounts/$luna/subscription", `{"plan":"free"}`, "body.plan"),
	invalid("a plan of another type", "olga PATCH /v1/accounts/$luna/subscription", `{"plan":1}`, "body.plan"),
	invalid("cancel at some other time", "olga POST /v1/accounts/$luna/subscription/cancel", `{"now":"yes"}`, "body.now"),
	invalid("cancel on a day", "olga POST /v1/accounts/$luna/subscription/cancel", `{"at":"2030-01-01"}`, "body.at"),
	invalid("a bill of no page", "ann GET /v1/agencies/$agency/bill?limit=0", "", "query.limit"),
	invalid("a bill from another list's place", "ann GET /v1/agencies/$agency/bill?cursor=$lines", "", "query.cursor"),
	invalid("an activity from another list's place", "ann GET /v1/agencies/$agency/activity?cursor=$lines", "", "query.cursor"),
	{"an operation that is not there", "olga DELETE /v1/accounts/$luna/activity", "", "", 405, "invalid", ""},
	invalid("an id in capitals", "olga GET /v1/accounts/$LUNA", "", "path.account"),
	{"an unknown account", "olga GET /v1/accounts/acct_00000000000000000000000000", "", "", 404, "not_found", ""},
}

// foreignCalls are calls by somebody who has nothing to do with what they name:
// method, path and body.
var foreignCalls = []string{
	"GET /v1/accounts/$luna", `PATCH /v1/accounts/$luna {"name":"x"}`, "POST /v1/accounts/$luna/agency", "GET /v1/accounts/$luna/activity",
	"GET /v1/accounts/$luna/team", `POST /v1/accounts/$luna/team {"email":"a@bad.test","role":"admin"}`,
	`PATCH /v1/accounts/$luna/team/$mia {"role":"admin"}`, "DELETE /v1/accounts/$luna/team/$mia",
	`POST /v1/accounts/$luna/team/$agency/accept {"request":1}`, `POST /v1/accounts/$luna/team/$agency/decline {"request":1}`, "DELETE /v1/accounts/$luna/team/$agency",
	"POST /v1/accounts/$luna/team/$agency/unblock", "POST /v1/accounts/$luna/team/$ivy/resend", "POST /v1/accounts/$luna/team/$ivy/withdraw",
	"POST /v1/accounts/$luna/team/$mia/new-sign-in", "GET /v1/me/invitations/$luna", `POST /v1/me/invitations/$luna/accept {"request":1}`,
	`POST /v1/me/invitations/$luna/accept {"request":1,"plan":"starter"}`, `POST /v1/me/invitations/$luna/decline {"request":1,"block":true}`, "GET /v1/accounts/$luna/blocks", "DELETE /v1/accounts/$luna", "DELETE /v1/accounts/$luna/agency",
	"GET /v1/requests/$connection", `POST /v1/requests/$connection/accept {"account":"$luna","request":1}`, `POST /v1/requests/$connection/decline {"request":1}`,
	"GET /v1/requests/$byEmail", `POST /v1/requests/$byEmail/accept {"account":"$pub","request":1}`, `POST /v1/requests/$byEmail/decline {"request":1,"block":true}`,
	"DELETE /v1/accounts/$cafe", "DELETE /v1/accounts/$luna/team/$agency?block=true", "GET /v1/agencies/$agency/accounts",
	"GET /v1/agencies/$agency/connections/$connection", "POST /v1/agencies/$agency/connections/$connection/withdraw",
	"POST /v1/agencies/$agency/connections/$connection/resend", "POST /v1/agencies/$agency/connections/$connection/leave",
	"GET /v1/accounts/$luna/subscription", `PATCH /v1/accounts/$luna/subscription {"plan":"scale"}`, "POST /v1/accounts/$luna/subscription/cancel",
	`POST /v1/accounts/$cafe/subscription/cancel {"now":true}`, "POST /v1/accounts/$cafe/subscription/resume", "GET /v1/agencies/$agency/bill",
	"GET /v1/agencies/$agency/activity", "GET /v1/accounts/$cafe/team", `PATCH /v1/accounts/$cafe {"name":"x"}`, "DELETE /v1/accounts/$cafe/team/$agency",
}

// badInput holds who makes bad calls, and what the $names in them stand for.
type badInput struct {
	agencyStaff
	people map[string]*person
	names  *strings.Replacer
}

func newBadInput(t *testing.T) *badInput {
	t.Helper()
	s := &badInput{agencyStaff: newAgency(t, common(t), "Bright Agency", "bad.test")}
	olga, mia, sam := s.person(t, "olga@luna.bad.test"), s.person(t, "mia@luna.bad.test"), s.person(t, "sam@elsewhere.bad.test")
	al, ivy, otto := s.person(t, "al@luna.bad.test"), s.person(t, "ivy@luna.bad.test"), s.person(t, "otto@luna.bad.test")
	s.people = map[string]*person{"ann": s.ann, "ben": s.ben, "olga": olga, "mia": mia, "sam": sam, "al": al, "ivy": ivy, "otto": otto}
	rival := sam.opensAgency(t, "Rival Agency")
	luna, pub := olga.opens(t, "Luna Bakery"), olga.opens(t, "Luna Pub")
	olga.invites(t, luna, mia, "member", levels{"pages": "view"})
	olga.invites(t, luna, al, "admin", nil)
	olga.sendsInvitation(t, luna, ivy, "member", levels{"pages": "view"})
	olga.sendsInvitation(t, luna, otto, "owner", nil)
	olga.patch(t, "/v1/accounts/"+luna+"/team/"+al.id(), map[string]any{"role": "owner"}).is(t, http.StatusOK)
	c := s.ben.requests(t, s.agencyID, luna, levels{"pages": "view"})
	cafe := s.ann.opensOwned(t, s.agencyID, "Carl's Café", "starter", nil, nil)
	byEmail := s.ben.requestsByEmail(t, s.agencyID, olga.email, levels{"pages": "view"})
	s.expectEmails(t, append(append(joined(mia, olga, "Luna Bakery", "a member"), joined(al, olga, "Luna Bakery", "an admin")...),
		invited(ivy, olga, "Luna Bakery", "a member"), invited(otto, olga, "Luna Bakery", "an owner"), offered(al, olga, "Luna Bakery", "the plan Starter, 29 USD"),
		requestedByEmail(olga, request{by: s.ben.email, agency: s.agencyName, until: moment(*byEmail.ExpiresAt)}, true), created(s.ann, s.agencyName, "Carl's Café"),
		requested(olga, request{by: s.ben.email, agency: s.agencyName, account: "Luna Bakery", until: moment(*c.ExpiresAt)}))...)
	past, ahead := time.Now().Add(-time.Hour).UTC().Format(time.RFC3339), time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	next := func(who *person, path string) string {
		page := read[list[any]](t, who.get(t, path).is(t, http.StatusOK))
		if page.Next == nil {
			t.Fatalf("%s has one page only", path)
		}
		return *page.Next
	}
	s.names = strings.NewReplacer(
		"$luna", luna, "$pub", pub, "$cafe", cafe, "$rival", rival, "$agency", s.agencyID, "$connection", c.ID, "$byEmail", byEmail.ID,
		"$ann", s.ann.id(), "$ben", s.ben.id(), "$cid", s.cid.id(), "$olga", olga.id(), "$mia", mia.id(), "$al", al.id(), "$ivy", ivy.id(), "$otto", otto.id(), "$past", past, "$ahead", ahead,
		"$OLGA", strings.ToUpper(olga.email), "$LUNA", strings.ToUpper(luna),
		"$lines", next(olga, "/v1/accounts/"+luna+"/activity?limit=1"), "$members", next(olga, "/v1/accounts/"+luna+"/team?limit=1"),
		"$clients", next(s.ann, s.agencyPath+"/accounts?limit=1"), "$mine", next(olga, "/v1/accounts?limit=1"))
	return s
}

// expectRefused makes a bad call.
func (s *badInput) expectRefused(t *testing.T, c badCall) {
	t.Helper()
	var header []string
	if c.key != "" {
		header = []string{"Idempotency-Key", c.key}
	}
	var body any
	if c.body != "" {
		body = s.names.Replace(c.body)
	}
	call := strings.SplitN(s.names.Replace(c.call), " ", 3)
	r := s.people[call[0]].call(t, call[1], call[2], body, header...)
	p, err := r.problem()
	must(t, err)
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
}

// TestBadInput makes calls that are refused: each with its status, its code, a
// sentence, the part of the call that is wrong, and nothing written.
func TestBadInput(t *testing.T) {
	s := newBadInput(t)
	calls := slices.Clone(badCalls)
	short := strings.NewReplacer("$luna", "luna", "$agency", "agency", "$cafe", "cafe", "$mia", "mia", "$ivy", "ivy", "$connection", "con", "$byEmail", "mail")
	for _, f := range foreignCalls {
		// Accounts of others do not exist for somebody outside of them.
		method, rest, _ := strings.Cut(f, " ")
		path, body, _ := strings.Cut(rest, " ")
		calls = append(calls, badCall{"a foreign account: " + method + " " + short.Replace(path), "sam " + method + " " + path, body, "", 404, "not_found", ""})
	}
	before := s.settled(t)
	for _, c := range calls {
		t.Run(c.name, func(t *testing.T) { s.expectRefused(t, c) })
	}
	t.Run("another type of content", func(t *testing.T) {
		for _, kind := range []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "*/*"} {
			r := s.people["olga"].call(t, "POST", "/v1/accounts", `{"name":"x"}`, "Idempotency-Key", goodKey, "Content-Type", kind)
			r.refused(t, http.StatusUnsupportedMediaType, "invalid", "")
		}
	})
	t.Run("nothing is written, and nobody is told", func(t *testing.T) {
		expectUnchanged(t, before, s.dump(t))
		s.expectEmails(t)
	})
}
