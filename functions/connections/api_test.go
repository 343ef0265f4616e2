package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"golang.org/x/text/unicode/norm"

	"agencyhub/shared/agency"
	"agencyhub/shared/rest"
	"agencyhub/shared/service"
	"agencyhub/shared/table"
	"agencyhub/shared/testbed"
	"agencyhub/shared/trace"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// stage is an agency, a client's account, and the API.
type stage struct {
	*testbed.Faults
	t              *testing.T
	api            *rest.API
	agency, client agency.AccountID
}

func newStage(t *testing.T) *stage {
	t.Helper()
	db, name := testbed.Table(t)
	s := &stage{Faults: &testbed.Faults{Client: db}, t: t}
	ids := 0
	svc := &service.Service{
		Store: table.New(s.Faults, name), Now: func() time.Time { return noon },
		NewEventID: func(time.Time) agency.EventID { ids++; return agency.EventID(fmt.Sprintf("evt_%026d", ids)) },
		Rules: agency.Rules{
			Areas: []agency.Area{{ID: "pages", Name: "Pages"}}, Plans: []agency.Plan{{ID: "starter", Name: "Starter", Currency: "USD"}},
			RequestLifetime: 14 * 24 * time.Hour, PairMails: 4, PairWindow: 30 * 24 * time.Hour, OpenRequests: 100, OpenInvitations: 100, InvitationLifetime: 30 * 24 * time.Hour, DailyRequests: 50,
		},
	}
	open := func(who, key string) agency.AccountID {
		v, err := svc.OpenAccount(t.Context(), agency.NewActor(who, "https://issuer.test", who), key, "Name")
		if err != nil {
			t.Fatal(err)
		}
		return v.ID
	}
	s.agency, s.client = open("ann@agency.test", "0123456789abcdef"), open("cleo@client.test", "0123456789abcdef")
	if _, err := svc.SwitchAgencyOn(t.Context(), agency.NewActor("ann@agency.test", "https://issuer.test", "ann@agency.test"), s.agency); err != nil {
		t.Fatal(err)
	}
	s.api = api(svc)
	return s
}

type answer struct {
	events.APIGatewayV2HTTPResponse
	code string
}

const noKey = "none"

// request requests a connection.
func (s *stage) request(key, body string) answer {
	s.t.Helper()
	headers := map[string]string{"content-type": "application/json"}
	if key != noKey {
		headers["idempotency-key"] = key
	}
	path := "/v1/agencies/" + string(s.agency) + "/connections"
	event := events.APIGatewayV2HTTPRequest{RawPath: path, Headers: headers, Body: body}
	event.RequestContext.HTTP.Method, event.RequestContext.RequestID = "POST", "request-1"
	event.RequestContext.Authorizer = &events.APIGatewayV2HTTPRequestContextAuthorizerDescription{
		JWT: &events.APIGatewayV2HTTPRequestContextAuthorizerJWTDescription{Claims: map[string]string{
			"iss": "https://issuer.test", "sub": "ann@agency.test", "email": "ann@agency.test", "email_verified": "true",
		}},
	}
	response, err := s.api.Invoke(context.Background(), event)
	if err != nil {
		s.t.Fatal(err)
	}
	var problem struct{ Code string }
	if err := json.Unmarshal([]byte(response.Body), &problem); err != nil {
		s.t.Fatal(err)
	}
	return answer{response, problem.Code}
}

// A request can be repeated under its Idempotency-Key.
func TestIdempotencyKey(t *testing.T) {
	s := newStage(t)
	const key = "a-key-of-16-char"
	body := fmt.Sprintf(`{"account":%q,"areas":{"pages":"view"}}`, s.client)
	first := s.request(key, body)
	again := s.request(key, fmt.Sprintf(`{"areas": {"pages": "view"}, "account": %q}`, s.client))
	if first.StatusCode != 201 || again.StatusCode != 201 || first.Body != again.Body {
		t.Errorf("%d %s, then %d %s", first.StatusCode, first.Body, again.StatusCode, again.Body)
	}
	for what, tt := range map[string]struct {
		key, body string
		status    int
		code      string
	}{
		"another body": {key, `{"ownerEmail":"x@y.test","areas":{"pages":"view"}}`, 409, "idempotency_mismatch"},
		"an empty key": {"", body, 400, "invalid"},
		"no key":       {noKey, body, 409, "already_requested"},
		"too short":    {"a-key-of-15-cha", body, 400, "invalid"},
		"with blanks":  {"a key of 16 char", body, 400, "invalid"},
		"a blank":      {" ", body, 400, "invalid"},
		"empty email":  {"a-key-of-no-email", fmt.Sprintf(`{"account":%q,"ownerEmail":"","areas":{"pages":"view"}}`, s.client), 400, "invalid"},
		"by email":     {"a-key-of-email-1", `{"ownerEmail":"x@y.test","areas":{"pages":"view"}}`, 201, ""},
	} {
		if got := s.request(tt.key, tt.body); got.StatusCode != tt.status || got.code != tt.code {
			t.Errorf("%s: %d %s", what, got.StatusCode, got.Body)
		}
	}
}

// The bound of a message is that of the stored one, however it is typed.
func TestTypedMessages(t *testing.T) {
	s := newStage(t)
	message := func(n int) string { return norm.NFD.String(strings.Repeat("\ud55c", n)) }
	request := func(key string, n int) answer {
		return s.request(key, fmt.Sprintf(`{"ownerEmail":"x@y.test","areas":{"pages":"view"},"message":%q}`, message(n)))
	}
	if got := request("a-key-of-16-char", agency.MaxMessage+1); got.StatusCode != 400 || !strings.Contains(got.Body, "A message has at most 500 characters.") {
		t.Errorf("%d %s", got.StatusCode, got.Body)
	}
	if got := request("another-key-of-16", agency.MaxMessage); got.StatusCode != 201 || !strings.Contains(got.Body, strings.Repeat("\ud55c", agency.MaxMessage)) {
		t.Errorf("%d %s", got.StatusCode, got.Body)
	}
}

// A busy store is 503 with Retry-After. The log has the cause, and the answer has not.
func TestABusyStore(t *testing.T) {
	s := newStage(t)
	var lines bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(trace.NewHandler(slog.NewJSONHandler(&lines, nil))))
	t.Cleanup(func() { slog.SetDefault(before) })
	s.BeforeBatch = func(*dynamodb.BatchGetItemInput) error { return &types.ProvisionedThroughputExceededException{} }
	got := s.request(noKey, fmt.Sprintf(`{"account":%q,"areas":{"pages":"view"}}`, s.client))
	if got.StatusCode != 503 || got.code != "unavailable" || got.Headers["Retry-After"] == "" || strings.Contains(got.Body, "Throughput") {
		t.Errorf("%d %s, %v", got.StatusCode, got.Body, got.Headers)
	}
	first, _, _ := strings.Cut(lines.String(), "\n")
	for _, want := range []string{`"level":"WARN"`, `"requestId":"request-1"`, "ProvisionedThroughputExceededException"} {
		if !strings.Contains(first, want) {
			t.Errorf("the log does not have %s: %s", want, first)
		}
	}
}
