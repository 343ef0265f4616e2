package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"agencyhub/shared/agency"
	"agencyhub/shared/outbox"
)

// sesEvent is the part of an event of SES that is read. It has no addresses: our own
// tags say whose email it is. Each email has one recipient, so an event is about one
// person, however many it lists.
type sesEvent struct {
	Source string
	Detail struct {
		EventType string
		Mail      struct {
			MessageID string
			Tags      map[string][]string
		}
		Bounce struct {
			BounceType, BounceSubType string
			Timestamp                 time.Time
		}
		Complaint struct {
			ComplaintFeedbackType, ComplaintSubType string
			Timestamp                               time.Time
		}
	}
}

// notice is the meaning of an event of SES.
type notice struct {
	mail outbox.MailKey
	// addressee is of the email's event: a mailbox, of a digest.
	addressee agency.Party
	messageID string
	fate      outbox.Fate
	// reason is why the person is not mailed from at on; "" if they still are.
	reason agency.SuppressionReason
	at     time.Time
}

// Why an event is ignored.
var (
	errNotOurs       = errors.New("it is of another configuration set")
	errNotOfInterest = errors.New("it changes no email's fate")
)

// errUnreadable is the error of an event of ours that can't be read: a later version
// may. Its message holds nothing of the event. Of what the rule passes on, these are
// events without the hub's tags, of several configuration sets, of another form, and
// bounces of an unknown type.
var errUnreadable = errors.New("news of SES can't be read")

// parseEvent reads an event. Errors: errNotOurs, errNotOfInterest, errUnreadable.
func parseEvent(raw json.RawMessage, configurationSet string, now time.Time) (notice, error) {
	var e sesEvent
	if err := json.Unmarshal(raw, &e); err != nil {
		// The decoder's own message can quote an address.
		return notice{}, fmt.Errorf("%w: it is not of the form", errUnreadable)
	}
	tags := e.Detail.Mail.Tags
	sets := tags["ses:configuration-set"]
	switch {
	case e.Source != "aws.ses" || !slices.Contains(sets, configurationSet):
		return notice{}, errNotOurs
	case len(sets) > 1:
		return notice{}, fmt.Errorf("%w: it is of several configuration sets", errUnreadable)
	}
	n := notice{messageID: e.Detail.Mail.MessageID, addressee: agency.Party(single(tags["addressee"]))}
	var err error
	known := n.addressee.IsValid() || agency.MailboxID(n.addressee).IsValid()
	if n.mail, err = outbox.ParseMailTag(single(tags["mail"])); err != nil || !known {
		return notice{}, fmt.Errorf("%w: it names no email of the hub's", errUnreadable)
	}
	if n.fate, n.reason, n.at, err = e.fate(); err != nil {
		return notice{}, err
	}
	// The time is of another mail server's clock. It must not be ahead of ours, or
	// signing in after this would seem to come before it.
	if n.at.IsZero() || n.at.After(now) {
		n.at = now
	}
	return n, nil
}

// onSuppressionList is the subtype of an email that SES has accepted and withheld: the
// address is on its list because of an earlier bounce, or complaint.
// https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html
const onSuppressionList = "OnAccountSuppressionList"

// fate returns the email's fate, and why and from when on the person is not mailed. A
// transient bounce, such as of a full mailbox, says nothing about the address. A
// withheld bounce counts as a bounce, of which its asker learns. A withheld complaint is
// none: nobody has complained about this email, and its asker learns nothing.
//
// The configuration set publishes deliveries, delays, bounces, complaints and rejects, and
// the rule passes on these types alone. Events of other types arrive only if an operator
// invokes the function with them, or has both pass on more. A rendering failure is of SES's
// templates, which the hub does not use. Errors: errNotOfInterest, errUnreadable.
func (e sesEvent) fate() (outbox.Fate, agency.SuppressionReason, time.Time, error) {
	d := e.Detail
	switch d.EventType {
	case "Send":
		return outbox.Sent, "", time.Time{}, nil
	case "Delivery":
		return outbox.Delivered, "", time.Time{}, nil
	case "DeliveryDelay":
		return outbox.Delayed, "", time.Time{}, nil
	case "Reject", "Rendering Failure":
		return outbox.Failed, "", time.Time{}, nil
	case "Bounce":
		switch d.Bounce.BounceType {
		case "Permanent":
			return outbox.Bounced, agency.AddressBounced, d.Bounce.Timestamp, nil
		case "Transient", "Undetermined":
			return outbox.Delayed, "", time.Time{}, nil
		}
		return "", "", time.Time{}, fmt.Errorf("%w: it is a bounce of an unknown type", errUnreadable)
	case "Complaint":
		switch {
		case d.Complaint.ComplaintSubType == onSuppressionList:
			return outbox.Suppressed, agency.AddressComplained, d.Complaint.Timestamp, nil
		case d.Complaint.ComplaintFeedbackType == "not-spam":
			return "", "", time.Time{}, errNotOfInterest
		}
		return outbox.Complained, agency.AddressComplained, d.Complaint.Timestamp, nil
	case "Open", "Click", "Subscription":
		return "", "", time.Time{}, errNotOfInterest
	}
	return "", "", time.Time{}, fmt.Errorf("%w: it is of an unknown type", errUnreadable)
}

// single returns the value of a tag that has exactly one; else "".
func single(values []string) string {
	if len(values) != 1 {
		return ""
	}
	return values[0]
}
