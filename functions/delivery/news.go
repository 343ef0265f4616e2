package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"agencyhub/shared/agency"
	"agencyhub/shared/outbox"
)

// news is what is read of an event that SES publishes. The addresses in it are
// not: our own tags say whose email it was.
type news struct {
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

// told is what the news means to the hub.
type told struct {
	mail      outbox.MailKey
	addressee agency.Party
	messageID string
	fate      outbox.Fate
	// reason is why the person is not to be mailed from at on; "" for none.
	reason agency.SuppressionReason
	at     time.Time
}

// What is not for us, and what nobody can read. Neither gets better by trying
// again.
var (
	errNotOurs       = errors.New("it is of another configuration set")
	errNotOfInterest = errors.New("it changes no email's fate")
	errUnreadable    = errors.New("it names no email of the hub's")
)

// read understands an event. Errors: errNotOurs, errNotOfInterest, errUnreadable.
func read(raw json.RawMessage, configurationSet string, now time.Time) (told, error) {
	var n news
	if err := json.Unmarshal(raw, &n); err != nil {
		// The decoder's own message can quote what it read.
		return told{}, fmt.Errorf("%w: it is not of the form", errUnreadable)
	}
	tags := n.Detail.Mail.Tags
	if n.Source != "aws.ses" || only(tags["ses:configuration-set"]) != configurationSet {
		return told{}, errNotOurs
	}
	t := told{messageID: n.Detail.Mail.MessageID, addressee: agency.Party(only(tags["addressee"]))}
	var err error
	if t.mail, err = outbox.ParseMailTag(only(tags["mail"])); err != nil || !t.addressee.IsValid() {
		return told{}, errUnreadable
	}
	if t.fate, t.reason, t.at, err = n.meaning(); err != nil {
		return told{}, err
	}
	// Whoever bounced or complained set that clock; none of theirs runs ahead of
	// ours, so that signing in after this is after it.
	if t.at.IsZero() || t.at.After(now) {
		t.at = now
	}
	return t, nil
}

// meaning is the fate, and why the person is not to be mailed. Only what came
// back for good says something of the address: a full mailbox or an answer from
// somebody on holiday, which are transient bounces, do not.
func (n news) meaning() (outbox.Fate, agency.SuppressionReason, time.Time, error) {
	d := n.Detail
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

// only is the value of a tag that has one; else "".
func only(values []string) string {
	if len(values) != 1 {
		return ""
	}
	return values[0]
}
