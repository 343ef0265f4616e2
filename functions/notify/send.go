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

// How long one email may take, with the client's own new attempts. Once SES has
// given trouble in an invocation, the emails after that get one attempt each, so
// that a whole batch ends in time even while SES is down.
const (
	sendTime      = 6 * time.Second
	troubledTime  = 2 * time.Second
	oneEmailAtAll = sendTime + saveTime
)

// errRefused is SES's final no to this very email.
var errRefused = errors.New("SES refuses this email for good")

// errUnreachable is a call of SES that had no answer.
var errUnreachable = errors.New("SES can't be reached")

// post sends emails through SES.
type post struct {
	ses *sesv2.Client
	// product stands before the address in From; sender is a plain address.
	product, sender  string
	configurationSet string
}

// tags are what SES says again with its news of an email: whose it is, and where
// its event stands.
type tags struct {
	mail      outbox.MailKey
	addressee agency.Party
}

// send hands an email to SES and answers SES's id for it. An error that is
// errRefused will be the same next time; every other may pass. After one of
// those it is possible that SES has taken the email all the same.
func (p post) send(ctx context.Context, to string, t tags, r rendered, patient bool) (messageID string, err error) {
	within := sendTime
	if !patient {
		within = troubledTime
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
		if !patient {
			o.RetryMaxAttempts = 1
		}
	})
	switch {
	case err == nil:
		return aws.ToString(out.MessageId), nil
	case refused(err):
		return "", errors.Join(errRefused, err)
	default:
		return "", err
	}
}

// unsuppress takes an address off SES's own list of those that it does not mail.
// One that is not on it is no error.
func (p post) unsuppress(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, troubledTime)
	defer cancel()
	_, err := p.ses.DeleteSuppressedDestination(ctx, &sesv2.DeleteSuppressedDestinationInput{EmailAddress: &address})
	if _, absent := errors.AsType[*types.NotFoundException](err); absent {
		return nil
	}
	if _, answered := errors.AsType[smithy.APIError](err); err != nil && !answered {
		// The error names the address that was called, and that holds the person's.
		return errUnreachable
	}
	return err
}

func content(s string) *types.Content {
	return &types.Content{Data: &s, Charset: aws.String("UTF-8")}
}

// refused tells whether an error is about this email and will not pass. What is
// about the sender, its account or its rate passes when somebody mends it or in
// time. SES reports a sender that has not been verified yet, and any recipient
// before it lets the account out of its sandbox, as a rejected message.
func refused(err error) bool {
	if rejected, ok := errors.AsType[*types.MessageRejected](err); ok {
		return !strings.Contains(rejected.ErrorMessage(), "not verified")
	}
	_, malformed := errors.AsType[*types.BadRequestException](err)
	return malformed
}

// reason is what the log may hold of an error of SES: its code, since its
// message can name addresses.
func reason(err error) string {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return api.ErrorCode()
	}
	return err.Error()
}
