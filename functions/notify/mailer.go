package main

import (
	"context"
	"errors"
	netmail "net/mail"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sesv2"
	"github.com/aws/aws-sdk-go-v2/service/sesv2/types"
	"github.com/aws/smithy-go"

	"agencyhub/shared/agency"
	"agencyhub/shared/outbox"
)

// How long one email may take, with the client's own retries. Once SES has failed in
// an invocation, each further email gets one attempt, so that a whole batch ends in
// time even while SES is down.
const (
	sendTime      = 6 * time.Second
	singleTryTime = 2 * time.Second
	emailTime     = sendTime + saveTime
)

// errRefused is an email that SES will never take.
var errRefused = errors.New("SES refuses this email for good")

// errUnreachable is a call of SES without a response.
var errUnreachable = errors.New("SES can't be reached")

// mailer sends emails through SES.
type mailer struct {
	ses *sesv2.Client
	// product stands before the address in From; sender is a plain address.
	product, sender  string
	configurationSet string
}

// tags are what SES repeats in its notifications of an email: the email's key, and
// the addressee, whose events include its event.
type tags struct {
	mail      outbox.MailKey
	addressee agency.Party
}

// send hands an email to SES and returns SES's id for it, with one attempt unless
// retry. errRefused will be the same next time; any other error may pass. After one
// of those SES may have taken the email nevertheless.
func (p mailer) send(ctx context.Context, to string, t tags, r email, retry bool) (messageID string, err error) {
	within := sendTime
	if !retry {
		within = singleTryTime
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	out, err := p.ses.SendEmail(ctx, &sesv2.SendEmailInput{
		FromEmailAddress:     aws.String((&netmail.Address{Name: p.product, Address: p.sender}).String()),
		Destination:          &types.Destination{ToAddresses: []string{to}},
		ConfigurationSetName: &p.configurationSet,
		EmailTags: []types.MessageTag{
			{Name: aws.String("mail"), Value: aws.String(t.mail.Tag())},
			{Name: aws.String("addressee"), Value: aws.String(string(t.addressee))},
		},
		Content: &types.EmailContent{Simple: &types.Message{
			Subject: content(r.Subject),
			Body:    &types.Body{Text: content(r.Text), Html: content(r.HTML)},
		}},
	}, func(o *sesv2.Options) {
		if !retry {
			o.RetryMaxAttempts = 1
		}
	})
	switch {
	case err == nil:
		return aws.ToString(out.MessageId), nil
	case isRefused(err):
		return "", errors.Join(errRefused, err)
	default:
		return "", err
	}
}

// unsuppress takes an address off SES's own suppression list. It is no error if the
// address is not on it.
func (p mailer) unsuppress(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, singleTryTime)
	defer cancel()
	_, err := p.ses.DeleteSuppressedDestination(ctx, &sesv2.DeleteSuppressedDestinationInput{EmailAddress: &address})
	if _, absent := errors.AsType[*types.NotFoundException](err); absent {
		return nil
	}
	if _, answered := errors.AsType[smithy.APIError](err); err != nil && !answered {
		// The error holds the URL that was called, which holds the person's address.
		return errUnreachable
	}
	return err
}

func content(s string) *types.Content {
	return &types.Content{Data: &s, Charset: aws.String("UTF-8")}
}

// isRefused reports whether an error is about this email and will not pass. Errors
// about the sender, its account or its rate pass in time or once they are fixed. SES
// reports an unverified sender, and in its sandbox any recipient, as a rejected
// message.
func isRefused(err error) bool {
	if rejected, ok := errors.AsType[*types.MessageRejected](err); ok {
		return !strings.Contains(rejected.ErrorMessage(), "not verified")
	}
	_, malformed := errors.AsType[*types.BadRequestException](err)
	return malformed
}

// reason returns what the log may hold of an error of SES: its code, since its
// message can hold addresses.
func reason(err error) string {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return api.ErrorCode()
	}
	return err.Error()
}
