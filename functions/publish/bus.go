package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"agencyhub/shared/agency"
	"agencyhub/shared/stream"
)

// source is the source of all our events on the bus.
const source = "agencyhub"

// busTime is how long one attempt may take.
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
	// Kind is the request's, in an event of an invitation or of an offer of ownership.
	Kind *string `json:"kind"`
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
		Client: optional(e.Client), Ownership: e.Ownership, Payer: e.Ownership, Number: e.Version, Muted: e.Muted, Kind: optional(e.Kind),
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

// put hands an event to the bus, in one attempt, and returns the bus's id for it.
// Errors: stream.ErrRefused, stream.ErrNoAnswer, stream.ErrThrottled, stream.ErrItem,
// and others that may pass.
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
	}}}, func(o *eventbridge.Options) { o.RetryMaxAttempts = 1 })
	switch {
	case err != nil:
		return "", classify(err)
	case len(out.Entries) != 1:
		return "", errors.New("the bus has answered for no entry")
	case aws.ToString(out.Entries[0].EventId) == "":
		code := aws.ToString(out.Entries[0].ErrorCode)
		if refusals[code] {
			return "", fmt.Errorf("%w: %s", stream.ErrRefused, code)
		}
		if code == "ThrottlingException" {
			return "", fmt.Errorf("%w: %s", stream.ErrThrottled, code)
		}
		return "", fmt.Errorf("%w: %s", stream.ErrItem, code)
	default:
		return aws.ToString(out.Entries[0].EventId), nil
	}
}

// refusals are the codes of PutEvents that say something of the entry itself, which
// will be the same next time (PutEventsResultEntry in the API reference). A missing
// permission is not among them: it is about us, and passes once it is given.
var refusals = map[string]bool{
	"InvalidArgument": true, "MalformedDetail": true, "RedactionFailure": true,
	// Of a whole call, which has one entry.
	"ValidationException": true, "RequestEntityTooLarge": true,
}

// classify returns the error of a call that has failed.
func classify(err error) error {
	status := 0
	if answer, ok := errors.AsType[*smithyhttp.ResponseError](err); ok {
		status = answer.HTTPStatusCode()
	}
	api, answered := errors.AsType[smithy.APIError](err)
	op, network := errors.AsType[*net.OpError](err)
	switch {
	case status == http.StatusRequestEntityTooLarge, answered && refusals[api.ErrorCode()]:
		return errors.Join(stream.ErrRefused, err)
	case status == http.StatusTooManyRequests, answered && api.ErrorCode() == "ThrottlingException":
		return errors.Join(stream.ErrThrottled, err)
	case status == http.StatusServiceUnavailable, status >= 400 && status < 500, network && op.Op == "dial":
		return err
	default:
		return errors.Join(stream.ErrNoAnswer, err)
	}
}

// reason returns what the log may hold of an error of the bus.
func reason(err error) string {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return api.ErrorCode()
	}
	return err.Error()
}
