package cloud

import (
	"context"
	"crypto/rand"
	"log/slog"
	"time"

	"github.com/oklog/ulid/v2"

	"agencyhub/shared/agency"
	"agencyhub/shared/service"
	"agencyhub/shared/settings"
	"agencyhub/shared/table"
	"agencyhub/shared/trace"
)

// Service returns the use cases on the deployment's table, settings and clock, and a
// function that warms their connection. Its error says what is wrong with the
// environment.
func Service() (*service.Service, func(context.Context), error) {
	env, err := settings.ReadEnvironment(settings.TableName)
	if err != nil {
		return nil, nil, err
	}
	db := DynamoDB()
	svc := &service.Service{
		Store: table.New(db, env.TableName), Rules: env.Settings.Rules(), Now: Now, NewEventID: NewEventID,
		RequestID: trace.RequestID, Saved: logEvents,
	}
	return svc, func(ctx context.Context) { Warm(ctx, db, env.TableName) }, nil
}

// logEvents logs the events that a call has caused: with their lines the call can be
// followed to its emails.
func logEvents(ctx context.Context, events []agency.Event) {
	for _, e := range events {
		slog.InfoContext(trace.With(ctx, slog.String("event", string(e.ID)), slog.String("account", string(e.Addressee))), "An event is saved.", "type", string(e.Type))
	}
}

// entropy increases within a millisecond. So the events of one command, which have the
// same time, sort in the order of their creation.
var entropy = &ulid.LockedMonotonicReader{MonotonicReader: ulid.Monotonic(rand.Reader, 0)}

// NewEventID returns an id that sorts by the event's time, and then by creation.
func NewEventID(at time.Time) agency.EventID {
	return agency.NewEventID(ulid.MustNew(ulid.Timestamp(at), entropy).String())
}
