// Package outbox knows what became of each event and of each email: which
// consumers of the stream have finished an event, an email's key, who may send
// it, its fate, and what an agency reads of the emails of its request. publish,
// notify and delivery use it, and table keeps it. It imports the law alone.
package outbox

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"time"

	"agencyhub/shared/agency"
)

// Consumer is a consumer of the table's stream. Each finishes every event by
// itself.
type Consumer string

// The consumers.
const (
	// Publish puts events on the bus and refreshes the copies of names.
	Publish Consumer = "publish"
	// Notify sends the emails.
	Notify Consumer = "notify"
)

// Consumers lists every consumer.
var Consumers = []Consumer{Publish, Notify}

// Event is an event and which consumers have finished it.
type Event struct {
	agency.Event
	DoneBy []Consumer
}

// IsDoneBy reports whether a consumer has finished the event. An event without a
// due mark is finished by all.
func (e Event) IsDoneBy(c Consumer) bool {
	return e.WakeAt.IsZero() || slices.Contains(e.DoneBy, c)
}

// MailKey identifies one email by its event, its kind and its recipient.
type MailKey struct {
	Event     agency.EventID
	Kind      string
	Recipient agency.PersonID
}

// BusKind is the kind of an event's entry on the bus. The entry is claimed and
// finished like an email, and has no recipient.
const BusKind = "bus"

// BusKey is the key of an event's entry on the bus.
func BusKey(e agency.EventID) MailKey { return MailKey{Event: e, Kind: BusKind} }

// Tag returns the key as the value of an SES email tag, which can hold ASCII
// letters, digits, underscores and dashes.
func (m MailKey) Tag() string {
	return string(m.Event) + "-" + m.Kind + "-" + string(m.Recipient)
}

// maxTag bounds the value of an email tag, in bytes.
// https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_MessageTag.html
const maxTag = 256

// ParseMailTag is the inverse of Tag. It fails for a text that is not a tag of ours: a
// kind has lower-case letters, digits and dashes.
func ParseMailTag(tag string) (MailKey, error) {
	const id = 30 // the length of an event's and of a person's id
	if len(tag) < 2*id+3 || len(tag) > maxTag || tag[id] != '-' || tag[len(tag)-id-1] != '-' {
		return MailKey{}, errors.New("outbox: not a mail's tag")
	}
	m := MailKey{
		Event: agency.EventID(tag[:id]), Kind: tag[id+1 : len(tag)-id-1], Recipient: agency.PersonID(tag[len(tag)-id:]),
	}
	if !m.Event.IsValid() || !m.Recipient.IsValid() || strings.Trim(m.Kind, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		return MailKey{}, errors.New("outbox: not a mail's tag")
	}
	return m, nil
}

// Claim is the outcome of an attempt to become an email's only sender.
type Claim struct {
	State ClaimState
	// Attempts counts the claims of the email, this one included. One that its owner
	// repeats more than once may count again.
	Attempts int
	// Unconfirmed means that SES may have accepted the email in an earlier attempt:
	// its answer was lost, or the claim was never given back.
	Unconfirmed bool
	// Stop is the value of the link that stops unsolicited mail to the mailbox; ""
	// for a solicited email.
	Stop string
	// IsStopped means that the mailbox gets no unsolicited mail: the email must not
	// be sent.
	IsStopped bool
}

// Unsolicited is what an email that its recipient did not ask for is counted by.
type Unsolicited struct {
	Mailbox agency.MailboxID
	// Sender is the person who asked last, and Account the account that they asked
	// for; "" where there is none.
	Sender  agency.PersonID
	Account agency.AccountID
	// Addressee is of the email's event.
	Addressee agency.Party
	// IsTagged reports whether the address has a +tag.
	IsTagged bool
	// All bounds the emails to the mailbox of a UTC day, BySender those of the
	// sender among them, and ByAccount those for the account.
	All, BySender, ByAccount int
	// DigestAt is when the next digest goes out, if the email is the first to be held.
	DigestAt time.Time
}

// HeldMail is an email that waits for the digest of its mailbox.
type HeldMail struct {
	MailKey
	// Addressee is of the email's event.
	Addressee agency.Party
	// IsTagged reports whether the address has a +tag.
	IsTagged bool
	// At is when it was held.
	At time.Time
}

// DigestKind is the kind of the email that lists held emails.
const DigestKind = "digest"

// NewOwner returns a random token by which claims are told apart. A claim that its
// owner repeats, or the client on its own, finds itself.
func NewOwner() string { return rand.Text() }

// ClaimState is what a claim has come to.
type ClaimState int

// The outcomes of a claim.
const (
	// ClaimTaken means that the caller sends the email.
	ClaimTaken ClaimState = iota
	// ClaimBusy means that another sender has a claim that has not expired. The
	// email may still need to be sent.
	ClaimBusy
	// ClaimDone means that the email already has a final fate.
	ClaimDone
	// ClaimHeld means that an unsolicited email is over a daily limit and waits for
	// the digest. That is its fate, and is stored.
	ClaimHeld
)

// Fate is what became of an email.
type Fate string

// The fates.
const (
	// Waiting is claimed, or can be claimed again.
	Waiting Fate = "waiting"
	// Held is over a daily limit, and waits for the digest of its mailbox.
	Held Fate = "held"
	// Obsolete, Stopped, Muted, Dropped and Counted are not sent: because a later change
	// made the email pointless, because its mailbox gets no unsolicited mail, because
	// the request is muted, because its recipient ceased to be one, or because the
	// digest went to another spelling of the mailbox and counts the email without
	// naming it.
	Obsolete Fate = "obsolete"
	Stopped  Fate = "stopped"
	Muted    Fate = "muted"
	Dropped  Fate = "dropped"
	Counted  Fate = "counted"
	// Unconfirmed may or may not have been accepted by SES, whose answer was lost,
	// and is not sent again: a later change made it pointless. What follows from a
	// sent email follows from it too. SES's own report can still tell.
	Unconfirmed Fate = "unconfirmed"
	// Sent was accepted by SES.
	Sent Fate = "sent"
	// Delayed has not got through yet, or was given up for a temporary reason, such
	// as a full mailbox.
	Delayed Fate = "delayed"
	// Failed was refused by SES itself, immediately or after a check.
	Failed Fate = "failed"
	// Suppressed is withheld because the address bounced or complained before: by
	// notify, or by SES, which accepts the email and tells of it afterwards.
	Suppressed Fate = "suppressed"
	// Delivered was accepted by the recipient's server. It can still bounce.
	Delivered Fate = "delivered"
	// Bounced came back permanently.
	Bounced Fate = "bounced"
	// Complained was reported as unwanted by its recipient.
	Complained Fate = "complained"
)

// fateRanks lists the fates from the lowest. The fates of an unsent email share a
// rank, since an email has only one of them. SES reports late, twice and out of
// order, and sometimes before notify stores "sent": an email keeps the highest
// fate that was reported.
var fateRanks = [][]Fate{
	{Waiting},
	{Held},
	{Obsolete, Stopped, Muted, Dropped, Counted},
	{Unconfirmed},
	{Sent}, {Delayed}, {Failed}, {Suppressed}, {Delivered}, {Bounced}, {Complained},
}

// Fates lists every fate, from the lowest.
var Fates = slices.Concat(fateRanks...)

// Below lists the fates from which an email can advance to this one.
func (f Fate) Below() []Fate {
	var lower []Fate
	for _, rank := range fateRanks {
		if slices.Contains(rank, f) {
			break
		}
		lower = append(lower, rank...)
	}
	return lower
}

// Mail is one email and its fate.
type Mail struct {
	MailKey
	Fate Fate
	// MessageID is SES's; "" for an email that was not sent.
	MessageID string
	// MayBeSent means that an email that waits may have been sent by an earlier attempt.
	MayBeSent bool
	// At is when the fate was stored or, while the email waits, when it was first
	// claimed.
	At time.Time
}

// IsKnown reports whether this version knows the fate. Another version may have
// stored one that it does not.
func (f Fate) IsKnown() bool { return slices.Contains(Fates, f) }

// AllBounced reports whether emails bounced and none counts as sent. A withheld
// email counts as sent: otherwise an agency could tell which addresses get no mail
// from it. One whose recipient ceased to be one does not count.
func AllBounced(mails []Mail) bool {
	bounced := 0
	for _, m := range mails {
		switch m.Fate {
		case Bounced:
			bounced++
		case Dropped:
		default:
			return false
		}
	}
	return bounced > 0
}

// NotReached returns the people that the latest request of a profile has not reached
// before.
func NotReached(request agency.Profile, people ...agency.PersonID) []agency.PersonID {
	return slices.DeleteFunc(slices.Clone(people), func(id agency.PersonID) bool { return slices.Contains(request.Request.Reached, id) })
}

// Requests is the part of the store that FailRequest uses.
type Requests interface {
	Mails(context.Context, agency.EventID) ([]Mail, error)
	FailDelivery(ctx context.Context, k agency.ProfileKey, request int, mailedAt time.Time) error
}

// FailRequest stores that a request has reached nobody, if all emails of its
// event bounced. delivery calls it after a bounce, and notify when it has
// finished the event, since delivery leaves it to notify until then. It does
// nothing for any other event. Errors are the store's.
func FailRequest(ctx context.Context, store Requests, e agency.Event) error {
	if !e.MailsRequest() {
		return nil
	}
	mails, err := store.Mails(ctx, e.ID)
	if err != nil {
		return err
	}
	key := e.RequestKey()
	if person := key.Member.Person(); person != "" {
		// The event can have emails to those who ask, too.
		mails = slices.DeleteFunc(mails, func(m Mail) bool { return m.Recipient != person })
	}
	if !AllBounced(mails) {
		return nil
	}
	return store.FailDelivery(ctx, key, e.Request, e.At)
}
