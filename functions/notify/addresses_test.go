package main

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"agencyhub/shared/agency"
	"agencyhub/shared/outbox"
	"agencyhub/shared/service"
	"agencyhub/shared/stream"
	"agencyhub/shared/testbed"
)

var olgaActs = agency.NewActor("Olga@BÜCHER.test", "https://issuer.test", "olga")

// recipients returns the recipients of the emails in the inbox, but for the first few.
func (s *stage) recipients(t *testing.T, after int) (to []string) {
	t.Helper()
	for _, e := range s.inbox.Emails(t)[after:] {
		to = append(to, e.Destination.To...)
	}
	return to
}

// SES is handed an address in ASCII, and people read it in Unicode.
func TestAddressesInEmails(t *testing.T) {
	s := newStage(t)
	studio := s.agencyOf(t, annActs, "Studio")
	shop := s.agencyOf(t, olgaActs, "Books")
	s.deliver(t, s.waiting(t)...)
	// Olga is mailed, as the person addressed.
	p := s.ask(t, annActs, studio, service.ConnectionRequest{OwnerEmail: "OLGA@xn--Bcher-kva.test"})
	s.deliver(t, s.waiting(t)...)
	if got := s.recipients(t, 0); !slices.Equal(got, []string{"olga@xn--bcher-kva.test"}) {
		t.Errorf("her request goes to %q", got)
	}
	// Her address is the name of the client in the agency's emails.
	must[agency.Profile](t)(s.service.DeclineRequestByID(t.Context(), olgaActs, p.ID(), service.Decline{Request: 1}))
	before := len(s.inbox.Emails(t))
	s.deliver(t, s.waiting(t)...)
	var news []testbed.Email
	for _, e := range s.inbox.Emails(t)[before:] {
		if slices.Contains(e.Destination.To, "ann@studio.test") {
			news = append(news, e)
		}
	}
	if len(news) != 1 || !strings.Contains(news[0].Body.Text, "olga@bücher.test") || !strings.Contains(news[0].Subject, "olga@bücher.test") {
		t.Errorf("the agency reads %+v", news)
	}
	// She invites somebody, who reads her address.
	s.invite(t, agency.Caller{Actor: olgaActs}, shop, service.Invitation{Email: "tom@x.test", Role: agency.Admin})
	s.deliver(t, s.waiting(t)...)
	if text := s.text(t); !strings.Contains(text, "olga@bücher.test") {
		t.Errorf("Tom reads %s", text)
	}
	for _, e := range s.inbox.Emails(t) {
		for _, address := range append(e.Destination.To, e.From) {
			if strings.ContainsFunc(address, func(r rune) bool { return r > '~' }) {
				t.Errorf("an email from or to %s", address)
			}
		}
	}
}

// An address that SES refuses, such as one from before a rule, is one failed email. It is not
// tried again, and holds nobody else's up.
func TestAnAddressThatSESRefuses(t *testing.T) {
	s := newStage(t)
	bakery, _, _ := s.requested(t)
	tom := s.addOwner(t, bakery, "tom@bakery.test")
	key := s.waiting(t)[0]
	if _, err := s.db.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{
		TableName:                 &s.tableName,
		Key:                       map[string]types.AttributeValue{"pk": &types.AttributeValueMemberS{Value: "ACCT#" + string(bakery)}, "sk": &types.AttributeValueMemberS{Value: "TEAM#" + string(tom)}},
		UpdateExpression:          aws.String("SET email = :e"),
		ConditionExpression:       aws.String("attribute_exists(email)"),
		ExpressionAttributeValues: map[string]types.AttributeValue{":e": &types.AttributeValueMemberS{Value: "töm@bakery.test"}},
	}); err != nil {
		t.Fatal(err)
	}
	s.deliver(t, key)
	s.told(t, true, key)
	if f := s.fate(t, key.ID, "requested", tom); f != outbox.Failed {
		t.Errorf("the fate is %s", f)
	}
	if f := s.fate(t, key.ID, "requested", petraActs.ID()); f != outbox.Sent {
		t.Errorf("the other owner's is %s", f)
	}
	if got := s.recipients(t, 0); !slices.Equal(got, []string{"petra@bakery.test"}) {
		t.Errorf("mailed: %q", got)
	}
	for _, address := range []string{"olga@bücher.test", "tom@bakery", "tom@bakery.test\r\nBcc: x@y.test", ""} {
		if _, err := s.n.mailer.send(t.Context(), address, tags{mail: outbox.MailKey{Event: key.ID, Kind: "requested", Recipient: tom}}, email{Subject: "s", Text: "t", HTML: "h"}); !errors.Is(err, stream.ErrRefused) {
			t.Errorf("%q: %v", address, err)
		}
	}
}
