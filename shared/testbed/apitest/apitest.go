// Package apitest calls the API of a function in tests, over the use cases on a real
// table. Only tests import it.
package apitest

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"agencyhub/shared/agency"
	"agencyhub/shared/cloud"
	"agencyhub/shared/rest"
	"agencyhub/shared/service"
	"agencyhub/shared/settings"
	"agencyhub/shared/table"
	"agencyhub/shared/testbed"
)

// Noon is when a stage's clock starts.
var Noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// Stage is the use cases on an empty table, with the product's settings, a clock that
// only pauses move, and the API of one function.
type Stage struct {
	*service.Service
	*testbed.Faults
	*testbed.Clock
	t   *testing.T
	api *rest.API
	// tableName is the table's.
	tableName string
	keys      int
}

// New returns a stage with a function's API.
func New(t *testing.T, api func(*service.Service) *rest.API) *Stage {
	t.Helper()
	loaded, err := settings.Load("")
	if err != nil {
		t.Fatal(err)
	}
	db, name := testbed.Table(t)
	s := &Stage{Faults: &testbed.Faults{Client: db}, Clock: testbed.NewClock(Noon), t: t, tableName: name}
	s.Service = &service.Service{Store: table.New(s.Faults, name), Rules: loaded.Rules(), Now: s.Clock.Now, NewEventID: cloud.NewEventID}
	s.api = api(s.Service)
	return s
}

// Now returns what the stage's clock shows.
func (s *Stage) Now() time.Time { return s.Clock.Now() }

// Items returns everything in the table, by "pk sk".
func (s *Stage) Items() map[string]testbed.Item {
	s.t.Helper()
	return testbed.Items(s.t, s.Client, s.tableName)
}

// Person returns the person with the address name@x.test.
func Person(name string) agency.Actor {
	return agency.NewActor(name+"@x.test", "https://issuer.test", "sub-"+name)
}

// Must returns a use case's result. It fails the test on an error.
func Must[T any](s *Stage) func(T, error) T {
	s.t.Helper()
	return func(v T, err error) T {
		s.t.Helper()
		if err != nil {
			s.t.Fatal(err)
		}
		return v
	}
}

// Open opens an account of a person's.
func (s *Stage) Open(owner agency.Actor, name string) agency.AccountID {
	s.t.Helper()
	s.keys++
	return Must[service.AccountView](s)(s.OpenAccount(s.t.Context(), owner, fmt.Sprintf("apitest-key-%04d", s.keys), name)).ID
}

// OpenAgency opens an account and switches its agency features on.
func (s *Stage) OpenAgency(owner agency.Actor, name string) agency.AccountID {
	s.t.Helper()
	id := s.Open(owner, name)
	Must[service.AccountView](s)(s.SwitchAgencyOn(s.t.Context(), owner, id))
	return id
}

// CreateOwned creates an account that an agency owns, without a client.
func (s *Stage) CreateOwned(staff agency.Actor, agencyID agency.AccountID, name string) agency.AccountID {
	s.t.Helper()
	s.keys++
	return Must[service.AccountView](s)(s.CreateAccount(s.t.Context(), staff, agencyID, fmt.Sprintf("apitest-key-%04d", s.keys), service.NewClientAccount{
		Name: name, Plan: s.Rules.DefaultPlan(), ConfirmPermanentOwnership: true,
	})).ID
}

// Invite invites a person with a role; as a member, with View in the first area.
func (s *Stage) Invite(owner agency.Caller, account agency.AccountID, who agency.Actor, role agency.Role) agency.Profile {
	s.t.Helper()
	in := service.Invitation{Email: who.Email, Role: role}
	if role == agency.Member {
		in.Areas = agency.Areas{s.Rules.Areas[0].ID: agency.View}
	}
	p, _, err := s.InvitePerson(s.t.Context(), owner, account, in)
	if err != nil {
		s.t.Fatal(err)
	}
	return p
}

// Join invites a person with a role, and accepts for them.
func (s *Stage) Join(owner agency.Caller, account agency.AccountID, who agency.Actor, role agency.Role) {
	s.t.Helper()
	p := s.Invite(owner, account, who, role)
	Must[service.AccountView](s)(s.AcceptInvitation(s.t.Context(), who, account, service.Answer{Request: p.Request.Number, Plan: s.Rules.DefaultPlan()}))
}

// Answer is an answer of the API.
type Answer struct {
	Status int
	Header map[string]string
	Body   string
	// Problem is what a refusal says.
	Problem rest.Problem
	t       *testing.T
}

// Call calls the API for a person, by "METHOD /path?query". The body is "" for none.
func (s *Stage) Call(who agency.Actor, call, body string) Answer {
	s.t.Helper()
	return s.call(claimsOf(who), call, body)
}

func claimsOf(who agency.Actor) map[string]string {
	return map[string]string{"iss": who.Issuer, "sub": who.Subject, "email": who.Email, "email_verified": "true"}
}

// CallWithout calls the API without a token.
func (s *Stage) CallWithout(call, body string) Answer {
	s.t.Helper()
	return s.call(nil, call, body)
}

// CallPlatform calls the API with a token of the platform's own software.
func (s *Stage) CallPlatform(call, body string) Answer {
	s.t.Helper()
	return s.call(platformClaims, call, body)
}

var platformClaims = map[string]string{"iss": "https://issuer.test", "sub": "platform", "client_id": "platform", "scope": "hub/platform"}

// call calls the API. headers are pairs of a name and a value.
func (s *Stage) call(claims map[string]string, call, body string, headers ...string) Answer {
	s.t.Helper()
	method, target, _ := strings.Cut(call, " ")
	path, query, _ := strings.Cut(target, "?")
	event := events.APIGatewayV2HTTPRequest{RawPath: path, RawQueryString: query, Body: body, Headers: map[string]string{}}
	if body != "" {
		event.Headers["content-type"] = "application/json"
	}
	for i := 0; i < len(headers); i += 2 {
		event.Headers[headers[i]] = headers[i+1]
	}
	event.RequestContext.HTTP.Method, event.RequestContext.RequestID = method, "request-1"
	if claims != nil {
		event.RequestContext.Authorizer = &events.APIGatewayV2HTTPRequestContextAuthorizerDescription{
			JWT: &events.APIGatewayV2HTTPRequestContextAuthorizerJWTDescription{Claims: maps.Clone(claims)},
		}
	}
	response, err := s.api.Invoke(context.Background(), event)
	if err != nil {
		s.t.Error(err)
	}
	a := Answer{Status: response.StatusCode, Header: response.Headers, Body: response.Body, t: s.t}
	if a.Status >= 400 {
		if err := json.Unmarshal([]byte(a.Body), &a.Problem); err != nil {
			s.t.Errorf("%s: %v in %s", call, err, a.Body)
		}
	}
	return a
}

// Refusal returns what a refusal is: its code and, in brackets, its state and then
// the first field that is wrong. It is "" for a success.
func (a Answer) Refusal() string {
	text := string(a.Problem.Code)
	if a.Problem.State != "" {
		text += " [" + string(a.Problem.State) + "]"
	}
	if len(a.Problem.Errors) > 0 {
		text += " [" + a.Problem.Errors[0].Field + "]"
	}
	return text
}

// Read decodes the body of an answer with the status, and fails the test on another.
func Read[T any](a Answer, status int) T {
	a.t.Helper()
	var v T
	if a.Status != status {
		a.t.Fatalf("%d instead of %d: %s", a.Status, status, a.Body)
	}
	if err := json.Unmarshal([]byte(a.Body), &v); err != nil {
		a.t.Fatalf("%v in %s", err, a.Body)
	}
	return v
}
