package linear

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"agencyhub/shared/agency"
	"agencyhub/shared/service"
	"agencyhub/shared/table"
	"agencyhub/shared/testbed"
)

const day = 24 * time.Hour

// playStory makes a table in which an agency creates an account and is connected to another one.
func playStory(t *testing.T) map[string]testbed.Item {
	t.Helper()
	db, name := testbed.Table(t)
	n, ctx := 0, t.Context()
	s := &service.Service{
		Store: table.New(db, name),
		Rules: agency.Rules{
			Areas: []agency.Area{{ID: "pages", Name: "Pages"}}, Plans: []agency.Plan{{ID: "starter", Name: "Starter", MonthlyPrice: 100, Currency: "USD"}},
			RequestLifetime: 14 * day, InvitationLifetime: 30 * day, Cooldown: 30 * day, Retention: 90 * day, WakeAfter: time.Minute,
			PairMails: 4, PairWindow: 30 * day, OpenRequests: 100, OpenInvitations: 100, DailyRequests: 50, Resends: 3, ResendAfter: day,
		},
		Now: func() time.Time { return time.Date(2026, 11, 23, 12, 0, n, 0, time.UTC) },
		NewEventID: func(at time.Time) agency.EventID {
			n++
			return agency.EventID(fmt.Sprintf("evt_%013d%013d", at.UnixMilli(), n))
		},
	}
	ann := agency.NewActor("ann@x.test", "https://issuer.test", "ann")
	gil := agency.NewActor("gil@x.test", "https://issuer.test", "gil")
	view := agency.Areas{"pages": agency.View}
	client, err := s.OpenAccount(ctx, ann, "key-000000000001", "Client")
	must(t, err)
	of, err := s.OpenAccount(ctx, gil, "key-000000000001", "Agency")
	must(t, err)
	_, err = s.SwitchAgencyOn(ctx, gil, of.ID)
	must(t, err)
	created, err := s.CreateAccount(ctx, gil, of.ID, "key-000000000002", service.NewClientAccount{
		Name: "Created", Plan: "starter", ConfirmPermanentOwnership: true, Client: &service.NewClient{Email: "olga@x.test", Areas: view},
	})
	must(t, err)
	_, err = s.WithdrawInvitation(ctx, agency.Caller{Actor: gil, As: of.ID}, created.ID, agency.Party(agency.NewPersonID("olga@x.test")))
	must(t, err)
	_, _, err = s.InvitePerson(ctx, agency.Caller{Actor: ann}, client.ID, service.Invitation{Email: "bob@x.test", Role: agency.Admin})
	must(t, err)
	for range 2 {
		p, err := s.RequestConnection(ctx, gil, of.ID, service.ConnectionRequest{Account: client.ID, Areas: view})
		must(t, err)
		_, err = s.AcceptRequest(ctx, agency.Caller{Actor: ann}, client.ID, of.ID, service.Grant{Request: p.Request.Number})
		must(t, err)
		_, err = s.LeaveAccount(ctx, gil, of.ID, p.ID())
		must(t, err)
	}
	// A block and the end of a block have events between those of the profile.
	p, err := s.RequestConnection(ctx, gil, of.ID, service.ConnectionRequest{Account: client.ID, Areas: view})
	must(t, err)
	_, err = s.DeclineRequest(ctx, agency.Caller{Actor: ann}, client.ID, of.ID, service.Decline{Request: p.Request.Number, Block: true})
	must(t, err)
	_, err = s.Unblock(ctx, agency.Caller{Actor: ann}, client.ID, of.ID)
	must(t, err)
	p, err = s.RequestConnection(ctx, gil, of.ID, service.ConnectionRequest{Account: client.ID, Areas: view})
	must(t, err)
	_, err = s.AcceptRequest(ctx, agency.Caller{Actor: ann}, client.ID, of.ID, service.Grant{Request: p.Request.Number})
	must(t, err)
	return testbed.Items(t, db, name)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Nothing is wrong with what the product wrote, and each change of it is found.
func TestItems(t *testing.T) {
	items := playStory(t)
	for _, p := range auditItems(items) {
		t.Error(p)
	}
	find := func(kind string, attributes ...string) string {
		t.Helper()
		for k, i := range items {
			has := strings.Contains(k, kind)
			for n := 0; n < len(attributes); n += 2 {
				has = has && testbed.Str(i[attributes[n]]) == attributes[n+1]
			}
			if has {
				return k
			}
		}
		t.Fatalf("no %s with %q", kind, attributes)
		return ""
	}
	text := func(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }
	number := func(n string) types.AttributeValue { return &types.AttributeValueMemberN{Value: n} }
	connection := find(" TEAM#acct_", "status", "active", "ownership", "client")
	for what, test := range map[string]struct {
		key, attribute string
		value          types.AttributeValue
		want           string
	}{
		"an agency's clients":             {find("COUNT#", "sk", "now"), "connected", number("2"), "has clients"},
		"open invitations":                {find(" TEAM#per_", "status", "invited"), "status", text("expired"), "open invitations"},
		"the events of a month":           {find("COUNT#", "sk", "2026-11"), "connection.accepted", number("1"), "events connection.accepted"},
		"an account's owners":             {find(" ACCT", "name", "Client"), "owners", number("2"), "owners and keeps"},
		"an account's agencies":           {find(" ACCT", "name", "Client"), "agencies", &types.AttributeValueMemberL{}, "has the agencies"},
		"a due mark":                      {connection, "until", text("2026-12-01T00:00:00.000Z"), "due mark"},
		"a version behind":                {connection, "version", number("3"), "has version 3"},
		"another last event":              {connection, "lastEvent", text(testbed.Str(items[find(" TEAM#per_", "status", "invited")]["lastEvent"])), "the last event is"},
		"an event without the one before": {find(" EVENT#", "type", "connection.left"), "after", text(""), "comes after"},
		"two events of a version":         {find(" EVENT#", "type", "connection.declined"), "version", number("1"), "as another one"},
	} {
		changed := maps.Clone(items)
		changed[test.key] = maps.Clone(items[test.key])
		changed[test.key][test.attribute] = test.value
		if found := strings.Join(auditItems(changed), "\n"); !strings.Contains(found, test.want) {
			t.Errorf("%s: want a problem with %q, got %q", what, test.want, found)
		}
	}
	missing := maps.Clone(items)
	delete(missing, find(" EVENT#", "type", "connection.declined"))
	if found := strings.Join(auditItems(missing), "\n"); !strings.Contains(found, "comes after") || !strings.Contains(found, "events connection.declined") {
		t.Errorf("a missing event: got %q", found)
	}
}
