package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"agencyhub/shared/agency"
	"agencyhub/shared/cloud"
	"agencyhub/shared/outbox"
)

// source is the source of all our events on the bus.
const source = "agencyhub"

// busTime is how long one entry may take, with the client's own retries.
const busTime = 3 * time.Second

// bus publishes events to the platform.
type bus struct {
	client *eventbridge.Client
	name   string
}

// entry is version 1 of an event as the platform reads it; infra/events has its
// schema. Persons are ids. It holds no address, no identity of a token, and nothing
// that people typed except names of accounts. Null is what an event does not have.
type entry struct {
	Version int              `json:"version"`
	ID      agency.EventID   `json:"id"`
	Type    agency.EventType `json:"type"`
	At      time.Time        `json:"at"`
	// Account is where it happened. A request by email, and what concerns a person
	// alone, has Person instead.
	Account    *string `json:"account"`
	Person     *string `json:"person"`
	Agency     *string `json:"agency"`
	Connection *string `json:"connection"`
	// Member is the member whose profile changed.
	Member    *string          `json:"member"`
	Actor     *string          `json:"actor"`
	As        *string          `json:"as"`
	Client    *string          `json:"client"`
	Ownership agency.Ownership `json:"ownership"`
	Payer     agency.Ownership `json:"payer"`
	Request   *int             `json:"request"`
	// Number rises with each event of one member in one account, or of one account
	// or person. Readers order by it and drop what they have had.
	Number int `json:"number"`
	// Muted: nobody on the account's side may learn of it.
	Muted bool  `json:"muted"`
	Was   state `json:"was"`
	Now   state `json:"now"`
}

// state is an agency.State as the bus shows it: without the message, and with an
// empty limit to clients distinct from none.
type state struct {
	agency.State
	Message *struct{}           `json:"message,omitempty"`
	Clients *[]agency.AccountID `json:"clients,omitempty"`
}

func newState(s agency.State) state {
	out := state{State: s}
	if s.Clients != nil {
		out.Clients = &s.Clients
	}
	return out
}

func newEntry(e agency.Event) entry {
	out := entry{
		Version: 1, ID: e.ID, Type: e.Type, At: e.At.UTC(),
		Account: optional(e.AccountID()), Person: optional(e.Addressee.Person()), Agency: optional(e.Agency),
		Connection: optional(e.Connection()), Member: optional(e.Member), Actor: optional(e.Actor), As: optional(e.As),
		Client: optional(e.Client), Ownership: e.Ownership, Payer: e.Ownership, Number: e.Version, Muted: e.Muted,
		Was: newState(e.Was), Now: newState(e.Now),
	}
	if e.Request > 0 {
		out.Request = &e.Request
	}
	return out
}

func optional[S ~string](s S) *string {
	if s == "" {
		return nil
	}
	return new(string(s))
}

// errNotTaken is an entry that the bus has refused.
var errNotTaken = errors.New("the bus has not taken the entry")

// put hands an event to the bus and returns the bus's id for it.
func (b bus) put(ctx context.Context, e agency.Event) (string, error) {
	detail, err := json.Marshal(newEntry(e))
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, busTime)
	defer cancel()
	out, err := b.client.PutEvents(ctx, &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{{
		EventBusName: &b.name, Source: aws.String(source), DetailType: aws.String(string(e.Type)),
		Time: &e.At, Detail: aws.String(string(detail)),
	}}})
	switch {
	case err != nil:
		return "", err
	case out.FailedEntryCount > 0 || len(out.Entries) != 1 || aws.ToString(out.Entries[0].EventId) == "":
		code := "no answer for it"
		if len(out.Entries) > 0 {
			code = aws.ToString(out.Entries[0].ErrorCode)
		}
		return "", fmt.Errorf("%w: %s", errNotTaken, code)
	default:
		return aws.ToString(out.Entries[0].EventId), nil
	}
}

// publish puts an event on the bus, unless another invocation has or is about to. It
// is claimed like an email. An invocation that dies after the bus took the entry and
// before noting it makes it come twice, with the same id. Errors: errLater, and the
// table's.
func (n *invocation) publish(ctx context.Context, e agency.Event, log *slog.Logger) error {
	if deadline, ok := ctx.Deadline(); ok && deadline.Before(n.now().Add(busTime+saveTime)) {
		return fmt.Errorf("%w: the invocation's time is nearly over", errLater)
	}
	if n.busFailing {
		return fmt.Errorf("%w: the bus does not take them now", errLater)
	}
	key := outbox.BusKey(e.ID)
	claim, err := n.store.ClaimMail(ctx, key, n.now(), lease)
	switch {
	case err != nil:
		return err
	case claim == outbox.ClaimDone:
		return nil
	case claim == outbox.ClaimHeld:
		return fmt.Errorf("%w: another is at its entry on the bus", errLater)
	}
	id, err := n.bus.put(ctx, e)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTime)
	defer cancel()
	if err == nil {
		return n.store.FinishMail(ctx, key, outbox.Sent, id, n.now())
	}
	n.busFailing = true
	n.meter.Record("", "", cloud.One("BusFailed", cloud.Count, 1))
	log.WarnContext(ctx, "The bus does not take an event now.", "reason", reason(err))
	if err := n.store.ReleaseMail(ctx, key); err != nil {
		return err
	}
	return fmt.Errorf("%w: the bus does not take them now", errLater)
}
