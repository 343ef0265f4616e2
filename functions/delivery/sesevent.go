package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"agencyhub/shared/agency"
	"agencyhub/shared/outbox"
)

// sesEvent is the part of an event of SES that is read. It has no addresses: our own
// tags say whose email it is.
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
			ComplaintFeedbackType string
			Timestamp             time.Time
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

// Why an event is ignored. Trying again would not help.
var (
	errNotOurs       = errors.New("it is of another configuration set")
	errNotOfInterest = errors.New("it changes no email's fate")
	errUnreadable    = errors.New("it names no email of the hub's")
)

// parseEvent reads an event. Errors: errNotOurs, errNotOfInterest, errUnreadable.
func parseEvent(raw json.RawMessage, configurationSet string, now time.Time) (notice, error) {
	var e sesEvent
	if err := json.Unmarshal(raw, &e); err != nil {
		// The decoder's own message can quote an address.
		return notice{}, fmt.Errorf("%w: it is not of the form", errUnreadable)
	}
	tags := e.Detail.Mail.Tags
	if e.Source != "aws.ses" || single(tags["ses:configuration-set"]) != configurationSet {
		return notice{}, errNotOurs
	}
	n := notice{messageID: e.Detail.Mail.MessageID, addressee: agency.Party(single(tags["addressee"]))}
	var err error
	known := n.addressee.IsValid() || agency.MailboxID(n.addressee).IsValid()
	if n.mail, err = outbox.ParseMailTag(single(tags["mail"])); err != nil || !known {
		return notice{}, errUnreadable
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

// fate returns the email's fate, and why and from when on the person is not mailed. A
// transient bounce, such as of a full mailbox, says nothing about the address.
func (e sesEvent) fate() (outbox.Fate, agency.SuppressionReason, time.Time, error) {
	d := e.Detail
	switch {
	case d.EventType == "Send":
		return outbox.Sent, "", time.Time{}, nil
	case d.EventType == "Delivery":
		return outbox.Delivered, "", time.Time{}, nil
	case d.EventType == "DeliveryDelay", d.EventType == "Bounce" && d.Bounce.BounceType != "Permanent":
		return outbox.Delayed, "", time.Time{}, nil
	case d.EventType == "Bounce":
		return outbox.Bounced, agency.AddressBounced, d.Bounce.Timestamp, nil
	case d.EventType == "Reject":
		return outbox.Failed, "", time.Time{}, nil
	case d.EventType == "Complaint" && d.Complaint.ComplaintFeedbackType != "not-spam":
		return outbox.Complained, agency.AddressComplained, d.Complaint.Timestamp, nil
	default:
		return "", "", time.Time{}, errNotOfInterest
	}
}

// single returns the value of a tag that has exactly one; else "".
func single(values []string) string {
	if len(values) != 1 {
		return ""
	}
	return values[0]
}
