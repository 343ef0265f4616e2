package e2e

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"agencyhub/infra/e2e/client"
	"agencyhub/shared/agency"
)

// A person is somebody who is signed in; without a token, somebody who is not.
type person struct {
	*stack
	email, token string
}

func (s *stack) signedOut() *person { return &person{stack: s} }

// person signs somebody in on the issuer's page.
func (s *stack) person(t *testing.T, email string) *person {
	t.Helper()
	return s.signIn(t, client.Identity{Email: email})
}

func (s *stack) signIn(t *testing.T, who client.Identity) *person {
	t.Helper()
	token, err := s.SignIn(t.Context(), who)
	must(t, err)
	s.addSecret(who.Email, "address")
	s.addSecret(token, "token")
	return &person{stack: s, email: who.Email, token: token}
}

// signInToPages signs in on the pages, and returns the session's cookie.
func (s *stack) signInToPages(t *testing.T, email string) string {
	t.Helper()
	cookie, err := s.SignInToPages(t.Context(), email)
	must(t, err)
	s.addSecret(email, "address")
	_, value, _ := strings.Cut(cookie, "=")
	secret, _, _ := strings.Cut(value, ".")
	s.addSecret(secret, "session")
	return cookie
}

// id returns the person's id.
func (p *person) id() string { return string(agency.NewPersonID(p.email)) }

// A reply is an answer with the call that it answers.
type reply struct {
	*client.Answer
	to string
}

// call makes a call as the person, and checks the answer against the contract. A
// string is sent as it is, any other body as JSON.
func (p *person) call(t *testing.T, method, path string, body any, header ...string) *reply {
	t.Helper()
	r, err := p.try(t, method, path, body, header...)
	must(t, err)
	return r
}

// try is call for goroutines other than the test's.
func (p *person) try(t *testing.T, method, path string, body any, header ...string) (*reply, error) {
	t.Helper()
	var content []byte
	switch body := body.(type) {
	case nil:
	case string:
		content = []byte(body)
	default:
		var err error
		if content, err = json.Marshal(body); err != nil {
			return nil, err
		}
	}
	if content != nil {
		header = append([]string{"Content-Type", "application/json"}, header...)
	}
	if p.token != "" {
		header = append([]string{"Authorization", "Bearer " + p.token}, header...)
	}
	answer, err := p.Call(t.Context(), method, path, content, header...)
	if err != nil {
		return nil, err
	}
	r := &reply{Answer: answer, to: method + " " + path}
	if strings.HasPrefix(path, "/v1/") {
		if err := built.contract.check(method, path, r); err != nil {
			return nil, fmt.Errorf("%s answered %d in another form than the contract's: %w", r.to, r.Status, err)
		}
	}
	return r, nil
}

func (p *person) get(t *testing.T, path string) *reply {
	t.Helper()
	return p.call(t, http.MethodGet, path, nil)
}

func (p *person) post(t *testing.T, path string, body any) *reply {
	t.Helper()
	return p.call(t, http.MethodPost, path, body)
}

// postOnce posts with a new Idempotency-Key.
func (p *person) postOnce(t *testing.T, path string, body any) *reply {
	t.Helper()
	return p.call(t, http.MethodPost, path, body, "Idempotency-Key", rand.Text())
}

func (p *person) patch(t *testing.T, path string, body any) *reply {
	t.Helper()
	return p.call(t, http.MethodPatch, path, body)
}

func (p *person) delete(t *testing.T, path string) *reply {
	t.Helper()
	return p.call(t, http.MethodDelete, path, nil)
}

// is checks the answer's status.
func (r *reply) is(t *testing.T, status int) *reply {
	t.Helper()
	if r.Status != status {
		t.Fatalf("%s answered %d, want %d: %s", r.to, r.Status, status, r.Body)
	}
	return r
}

// expectStatus checks the status of the connection or member in a good answer.
func (r *reply) expectStatus(t *testing.T, want string) {
	t.Helper()
	expectEqual(t, "status after "+r.to, want, read[struct{ Status string }](t, r.is(t, http.StatusOK)).Status)
}

// A problem is the body of a refusal.
type problem struct {
	Status    int
	Code      string
	State     string
	Detail    string
	RequestID string
	Errors    []struct{ Field, Message string }
}

// refused checks a refusal: its status, its code, the state that it names ("" for
// none), a sentence for a person and the request's id.
func (r *reply) refused(t *testing.T, status int, code, state string) problem {
	t.Helper()
	p, err := r.problem()
	must(t, err)
	if r.Status != status || p.Code != code || p.State != state {
		t.Fatalf("%s answered %d %s (state %q), want %d %s (state %q): %s", r.to, r.Status, p.Code, p.State, status, code, state, r.Body)
	}
	return p
}

// limited checks a refusal by a limit, whose Retry-After is between the two.
func (r *reply) limited(t *testing.T, code, state string, least, most time.Duration) {
	t.Helper()
	r.refused(t, http.StatusTooManyRequests, code, state)
	seconds, err := strconv.Atoi(r.Header.Get("Retry-After"))
	if wait := time.Duration(seconds) * time.Second; err != nil || wait < least || wait > most {
		t.Errorf("%s says Retry-After %q, want %s to %s", r.to, r.Header.Get("Retry-After"), least, most)
	}
}

func (r *reply) problem() (problem, error) {
	var p problem
	if err := json.Unmarshal(r.Body, &p); err != nil {
		return p, fmt.Errorf("%s answered %d %s: %w", r.to, r.Status, r.Body, err)
	}
	sentence := len(p.Detail) > 10 && strings.HasSuffix(p.Detail, ".")
	if r.Header.Get("Content-Type") != "application/problem+json" || p.Status != r.Status || !sentence ||
		p.RequestID == "" || p.RequestID != r.Header.Get("Apigw-Requestid") {
		return p, fmt.Errorf("%s answered %d and no whole problem: %v %s", r.to, r.Status, r.Header, r.Body)
	}
	return p, nil
}

// read decodes a good answer.
func read[T any](t *testing.T, r *reply) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(r.Body, &v); err != nil || r.Status >= http.StatusBadRequest {
		t.Fatalf("%s answered %d %s: %v", r.to, r.Status, r.Body, err)
	}
	return v
}

// Resources of the API, with the fields that tests look at.
type (
	account struct {
		ID, Name, Ownership string
		Owner, Role         *string
		Agency              bool
		Subscription        struct {
			Plan, State, Payer string
			PeriodEnd          time.Time
		}
		Access   access
		ClosedAt *time.Time
	}
	access struct {
		Allowed                       bool
		Areas                         levels
		Via, Reason, Ownership, Payer *string
	}
	member struct {
		ID, Kind, Name, Status, Ownership string
		Email, Role, Message, Delivery    *string
		Areas                             levels
		Request                           int
		Offer                             *string
		RequestedAt, ExpiresAt, Until     *time.Time
		Clients                           *[]string
	}
	// invitation is what waits for a person's answer, or waited; only an invitation and an
	// offer of ownership have a status.
	invitation struct {
		Kind, Status           string
		ID, By, Email, Role    *string
		Account                *struct{ ID, Name string }
		From                   struct{ ID, Name string }
		Areas                  levels
		Message                *string
		Request                int
		RequestedAt, ExpiresAt time.Time
		Plan                   *struct {
			ID, Name, Currency string
			MonthlyPrice       int
		}
	}
	connection struct {
		ID, Kind, Name, Status, Ownership string
		Account, Message, Delivery        *string
		Email                             *string
		Agency                            struct{ ID, Name string }
		Areas                             levels
		Request                           int
		RequestedAt, ExpiresAt, Until     *time.Time
	}
	block struct {
		Agency       struct{ ID, Name string }
		Blocked      bool
		CoolingUntil *time.Time
	}
	line struct {
		ID, Type, Ownership       string
		At                        time.Time
		Actor, As, Agency, Member *string
		Request                   int
	}
	list[T any] struct {
		Items  []T
		Next   *string
		Counts counts
	}
	counts struct{ Owned, Connected, Pending int }
	levels map[string]string
)

// String returns the levels above none, by area.
func (l levels) String() string {
	var parts []string
	for _, area := range slices.Sorted(maps.Keys(l)) {
		if l[area] != "none" {
			parts = append(parts, area+":"+l[area])
		}
	}
	return strings.Join(parts, " ")
}

const everything = "analytics:edit contacts:edit funnels:edit mail:edit pages:edit"

// String returns the access in a line: "yes, own, pages:edit; client owns" or "no,
// pending; client owns".
func (a access) String() string {
	text := "no"
	if a.Allowed {
		text = "yes, " + value(a.Via) + ", " + a.Areas.String()
	}
	if a.Reason != nil {
		text += ", " + *a.Reason
	}
	if a.Ownership != nil {
		text += "; " + *a.Ownership + " owns"
	}
	if value(a.Payer) != value(a.Ownership) || a.Allowed != (a.Areas.String() != "") || len(a.Areas) != 5 {
		text += " (the answer contradicts itself)"
	}
	return text
}

func value(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// access makes the access check as the person, on behalf of an agency if one is
// named.
func (p *person) access(t *testing.T, account, as string) string {
	t.Helper()
	path := "/v1/accounts/" + account + "/access"
	if as != "" {
		path += "?as=" + as
	}
	return read[access](t, p.get(t, path).is(t, http.StatusOK)).String()
}

// expectAccess compares the access of several people.
func expectAccess(t *testing.T, account string, want ...wantAccess) {
	t.Helper()
	for _, c := range want {
		expectEqual(t, fmt.Sprintf("access of %s (as %q)", c.who.email, c.as), c.want, c.who.access(t, account, c.as))
	}
}

// withoutAs is what staff of an agency are answered without as: an agency without access
// gives no reason then.
func withoutAs(want string) string {
	if strings.HasPrefix(want, "no, ") {
		return "no, none"
	}
	return want
}

type wantAccess struct {
	who  *person
	as   string
	want string
}

// opens creates the person's own account and returns its id.
func (p *person) opens(t *testing.T, name string) string {
	t.Helper()
	return read[account](t, p.postOnce(t, "/v1/accounts", map[string]any{"name": name}).is(t, http.StatusCreated)).ID
}

// opensAgency is opens with agency features switched on.
func (p *person) opensAgency(t *testing.T, name string) string {
	t.Helper()
	id := p.opens(t, name)
	p.post(t, "/v1/accounts/"+id+"/agency", nil).is(t, http.StatusOK)
	return id
}

// opensOwned creates an account that the agency owns. The client is invited with these
// areas and accepts; nil is no client.
func (p *person) opensOwned(t *testing.T, agency, name, plan string, client *person, areas levels) string {
	t.Helper()
	body := map[string]any{"name": name, "plan": plan, "confirmPermanentOwnership": true}
	if client != nil {
		body["client"] = map[string]any{"email": client.email, "areas": areas}
	}
	id := read[account](t, p.postOnce(t, "/v1/agencies/"+agency+"/accounts", body).is(t, http.StatusCreated)).ID
	if client != nil {
		client.joins(t, id)
	}
	return id
}

// invites brings somebody into an account: they are invited, and accept. Only a member
// has areas.
func (p *person) invites(t *testing.T, account string, who *person, role string, areas levels) {
	t.Helper()
	p.sendsInvitation(t, account, who, role, areas)
	who.joins(t, account)
}

// sendsInvitation invites somebody to an account. They have no access until they accept.
func (p *person) sendsInvitation(t *testing.T, account string, who *person, role string, areas levels) member {
	t.Helper()
	body := map[string]any{"email": who.email, "role": role}
	if areas != nil {
		body["areas"] = areas
	}
	return read[member](t, p.post(t, "/v1/accounts/"+account+"/team", body).is(t, http.StatusCreated))
}

// joins accepts the invitation to an account or the offer of ownership in it, with the
// plan that it shows. The email about it is out by then: an acceptance makes it obsolete.
func (p *person) joins(t *testing.T, id string) {
	t.Helper()
	p.awaitNotified(t)
	in := p.invitation(t, id)
	body := map[string]any{"request": in.Request}
	if in.Plan != nil {
		body["plan"] = in.Plan.ID
	}
	p.post(t, "/v1/me/invitations/"+id+"/accept", body).is(t, http.StatusOK)
}

// invitation returns the person's latest invitation to an account, or offer of ownership.
func (p *person) invitation(t *testing.T, account string) invitation {
	t.Helper()
	return read[invitation](t, p.get(t, "/v1/me/invitations/"+account).is(t, http.StatusOK))
}

// waiting returns all that waits for the person's answer.
func (p *person) waiting(t *testing.T) []invitation {
	t.Helper()
	var all []invitation
	for next := ""; ; {
		page := read[list[invitation]](t, p.get(t, "/v1/me/waiting?limit=7"+next).is(t, http.StatusOK))
		all = append(all, page.Items...)
		if page.Next == nil {
			return all
		}
		next = "&cursor=" + *page.Next
	}
}

// requests sends a connection request.
func (p *person) requests(t *testing.T, agency, account string, areas levels) connection {
	t.Helper()
	r := p.post(t, "/v1/agencies/"+agency+"/connections", map[string]any{"account": account, "areas": areas})
	return read[connection](t, r.is(t, http.StatusCreated))
}

// requestsByEmail sends a connection request to an address.
func (p *person) requestsByEmail(t *testing.T, agency, email string, areas levels) connection {
	t.Helper()
	r := p.post(t, "/v1/agencies/"+agency+"/connections", map[string]any{"ownerEmail": email, "areas": areas})
	return read[connection](t, r.is(t, http.StatusCreated))
}

// unblocks ends an account's block or cooldown of an agency. ended is whether there
// must be one.
func (p *person) unblocks(t *testing.T, account, agency string, ended bool) {
	t.Helper()
	r := p.post(t, "/v1/accounts/"+account+"/team/"+agency+"/unblock", nil)
	expectEqual(t, p.email+" ends a block", ended, read[struct{ Unblocked bool }](t, r.is(t, http.StatusOK)).Unblocked)
}

func connectionID(account, of string) string {
	return string(agency.NewConnectionID(agency.Party(account), agency.AccountID(of)))
}

// activity returns an account's activity, the oldest first.
func (p *person) activity(t *testing.T, account, as string) []line {
	t.Helper()
	path := "/v1/accounts/" + account + "/activity?limit=7"
	if as != "" {
		path += "&as=" + as
	}
	var all []line
	for next := ""; ; {
		page := read[list[line]](t, p.get(t, path+next).is(t, http.StatusOK))
		all = append(all, page.Items...)
		if page.Next == nil {
			slices.Reverse(all)
			return all
		}
		next = "&cursor=" + *page.Next
	}
}

// expectActivity compares the types of an account's activity, the oldest first.
func (p *person) expectActivity(t *testing.T, account, as string, want ...string) {
	t.Helper()
	expectEqual(t, "the activity that "+p.email+" sees", want, eventTypes(p.activity(t, account, as)))
}

// expectEmpty checks that a list has no items.
func (p *person) expectEmpty(t *testing.T, path string) {
	t.Helper()
	if items := read[list[any]](t, p.get(t, path).is(t, http.StatusOK)).Items; len(items) != 0 {
		t.Errorf("%s sees %v of %s", p.email, items, path)
	}
}

func expectEqual(t *testing.T, what string, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// expectContains checks that a text contains all parts.
func expectContains(t *testing.T, what, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%s does not contain %q:\n%s", what, part, text)
		}
	}
}

// expectNoneOf checks that a text contains none of the parts.
func expectNoneOf(t *testing.T, what, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if strings.Contains(text, part) {
			t.Errorf("%s contains %q:\n%s", what, part, text)
		}
	}
}

func eventTypes(lines []line) []string {
	var out []string
	for _, l := range lines {
		out = append(out, l.Type)
	}
	return out
}

// step ends a test whose step has failed, since the next steps depend on it.
func step(t *testing.T, passed bool) {
	t.Helper()
	if !passed {
		t.FailNow()
	}
}

// must ends a test that can't go on after an error.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
