package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	netmail "net/mail"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sesv2"
	"github.com/aws/aws-sdk-go-v2/service/sesv2/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"agencyhub/shared/agency"
	"agencyhub/shared/outbox"
	"agencyhub/shared/stream"
)

// How long one attempt may take, and an email with the saving of its fate and of the
// event's. The sink decides on further attempts, so the client makes none by itself.
const (
	sendTime  = 3 * time.Second
	emailTime = sendTime + stream.Finishing
)

// errUnreachable is a call of SES without a response.
var errUnreachable = errors.New("SES can't be reached")

// errNotHanded is a failure before an email is handed to SES.
var errNotHanded = errors.New("the email was not handed to SES")

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

// send hands an email to SES, in one attempt, and returns SES's id for it. Errors:
// stream.ErrRefused, which will be the same next time, stream.ErrNoAnswer,
// stream.ErrThrottled, and others that may pass.
func (p mailer) send(ctx context.Context, to string, t tags, r email) (messageID string, err error) {
	ctx, cancel := context.WithTimeout(ctx, sendTime)
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
			Headers: headers(r),
		}},
	}, oneAttempt)
	switch {
	case err == nil:
		return aws.ToString(out.MessageId), nil
	case isRefused(err):
		return "", errors.Join(stream.ErrRefused, err)
	case mayBeSent(err):
		return "", errors.Join(stream.ErrNoAnswer, err)
	case isThrottled(err):
		return "", errors.Join(stream.ErrThrottled, err)
	default:
		return "", err
	}
}

// headers says that a program sends the email and, of an unsolicited one, how a mail
// program stops such mail with one click (RFC 8058).
func headers(r email) []types.MessageHeader {
	all := []types.MessageHeader{{Name: aws.String("Auto-Submitted"), Value: aws.String("auto-generated")}}
	if r.StopURL == "" {
		return all
	}
	return append(all,
		types.MessageHeader{Name: aws.String("List-Unsubscribe"), Value: aws.String("<" + r.StopURL + ">")},
		types.MessageHeader{Name: aws.String("List-Unsubscribe-Post"), Value: aws.String("List-Unsubscribe=One-Click")})
}

func oneAttempt(o *sesv2.Options) { o.RetryMaxAttempts = 1 }

// isThrottled reports whether SES asks for less: its rate is used up. A daily quota that
// is used up looks the same, and passes with the day.
func isThrottled(err error) bool {
	_, many := errors.AsType[*types.TooManyRequestsException](err)
	return many
}

// mayBeSent reports whether SES may have accepted an email whose sending has failed: it
// has not answered, or with a failure of its own. A call that was not connected, or
// that it refused, has sent nothing.
func mayBeSent(err error) bool {
	if err == nil {
		return false
	}
	if answer, ok := errors.AsType[*smithyhttp.ResponseError](err); ok && answer.HTTPStatusCode() > 0 {
		return answer.HTTPStatusCode() >= http.StatusInternalServerError && answer.HTTPStatusCode() != http.StatusServiceUnavailable
	}
	op, ok := errors.AsType[*net.OpError](err)
	return !ok || op.Op != "dial"
}

// unsuppress takes an address off SES's own suppression list. It is no error if the
// address is not on it.
func (p mailer) unsuppress(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, sendTime)
	defer cancel()
	_, err := p.ses.DeleteSuppressedDestination(ctx, &sesv2.DeleteSuppressedDestinationInput{EmailAddress: &address}, oneAttempt)
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
