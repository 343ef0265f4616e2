package cloud

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/oklog/ulid/v2"

	"agencyhub/shared/agency"
	"agencyhub/shared/service"
	"agencyhub/shared/settings"
	"agencyhub/shared/table"
)

// Hub wires the use cases to the deployment's table, settings and clock, and
// answers besides what warms their connection. Every function that changes or
// reads accounts does it by this one. Errors say what is wrong with the
// environment.
func Service() (*service.Service, func(context.Context), error) {
	env, err := settings.ReadEnvironment(settings.TableName)
	if err != nil {
		return nil, nil, err
	}
	db := DynamoDB()
	svc := &service.Service{
		Store: table.New(db, env.TableName), Rules: env.Settings.Rules(), Now: time.Now, NewEventID: newEventID,
	}
	return svc, func(ctx context.Context) { Warm(ctx, db, env.TableName) }, nil
}

// entropy grows within a millisecond, so that the events of one command, which
// happen at one time, sort as they were made.
var entropy = &ulid.LockedMonotonicReader{MonotonicReader: ulid.Monotonic(rand.Reader, 0)}

// newEventID makes ids that sort by the time of their event, and by their making
// where that is the same.
func newEventID(at time.Time) agency.EventID {
	return agency.NewEventID(ulid.MustNew(ulid.Timestamp(at), entropy).String())
}
