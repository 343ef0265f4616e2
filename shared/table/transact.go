package table

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"

	"agencyhub/shared/agency"
	"agencyhub/shared/service"
)

const (
	// transactionAttempts bounds how often a transaction is sent while no clear
	// answer comes. What may pass after one of these is not counted.
	transactionAttempts = 3
	// transactionPause is the longest pause before it is sent again. It doubles with
	// each answer that may pass, up to longestTransactionPause.
	transactionPause        = 100 * time.Millisecond
	longestTransactionPause = time.Second
	// outcomeTime is how long the outcome is looked for once the caller's time is
	// over.
	outcomeTime = 300 * time.Millisecond
)

// transact makes a transaction that was built for a command. If no clear answer
// comes, as after a lost connection, it may have been made or not. It is then sent
// again under the same token, by which DynamoDB makes it once. While that is throttled
// or meets other transactions, it is sent until giveUpAt. If it is refused after all, or
// no clear answer ever comes, the first of its events shows whether it was made: a
// transaction must not be refused for what it has itself written.
func (t *Table) transact(ctx context.Context, w *writer, events []agency.Event, giveUpAt time.Time) error {
	input := &dynamodb.TransactWriteItemsInput{TransactItems: w.items, ClientRequestToken: aws.String(rand.Text())}
	while, cancel := context.WithDeadline(ctx, giveUpAt)
	defer cancel()
	ceiling := transactionPause
	for unclear := 0; ; {
		// The client's own retries would not report that an attempt had no answer.
		_, err := t.db.TransactWriteItems(ctx, input, func(o *dynamodb.Options) { o.RetryMaxAttempts = 1 })
		if err == nil {
			return nil
		}
		// After an attempt without an answer only a refusal that holds for that one too is
		// an answer. It may still be under way while another is throttled or meets other
		// transactions, and would be made after a second decision.
		definite := isClear(err) && (unclear == 0 || w.isOutdated(err))
		if definite && unclear == 0 {
			return w.translate(err)
		}
		pause, again := mathrand.N(ceiling), false //nolint:gosec // a pause, not a secret
		switch {
		case definite:
		case unclear > 0 && w.mayPass(err) && sleep(while, pause):
			ceiling, again = min(2*ceiling, longestTransactionPause), true
		default:
			unclear++
			again = unclear < transactionAttempts && sleep(ctx, min(pause, transactionPause))
		}
		if again {
			continue
		}
		made, failed := t.wasMade(ctx, events)
		switch {
		case made:
			return nil
		case len(events) == 0:
			// Such changes can be made twice. Whether they still need to be shows the
			// next read.
			return fmt.Errorf("%w: %w", service.ErrConflict, err)
		case definite && failed == nil:
			return w.translate(err)
		default:
			return fmt.Errorf("table: transaction: %w", service.OutcomeUnknown(errors.Join(err, failed)))
		}
	}
}

// sleep pauses. It returns false if the context has ended.
func sleep(ctx context.Context, pause time.Duration) bool {
	select {
	case <-time.After(pause):
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// wasMade reports whether the transaction with these events was made.
func (t *Table) wasMade(ctx context.Context, events []agency.Event) (bool, error) {
	if len(events) == 0 {
		return false, nil
	}
	if ctx.Err() != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), outcomeTime)
		defer cancel()
	}
	// The roles of all use cases allow a batch read.
	items, err := t.batch(ctx, []key{eventKey(EventKey{events[0].Addressee, events[0].ID})})
	return len(items) > 0, err
}

// isClear reports whether an error of a transaction says that it was not made.
func isClear(err error) bool {
	refusal, ok := errors.AsType[smithy.APIError](err)
	return ok && !isFault(err) && refusal.ErrorCode() != transactionInProgress
}

// isOutdated reports whether an error says that the transaction can't be made any more: an
// item has another version than it rests on, and versions only rise. A count that is at its
// limit can fall again.
func (w *writer) isOutdated(err error) bool {
	cancelled, ok := errors.AsType[*types.TransactionCanceledException](err)
	if !ok {
		return false
	}
	for i, reason := range cancelled.CancellationReasons {
		if aws.ToString(reason.Code) == "ConditionalCheckFailed" && w.limits[i] == nil {
			return true
		}
	}
	return false
}

// mayPass reports whether an error says that the transaction met others, itself included,
// or that the table is short of capacity.
func (w *writer) mayPass(err error) bool {
	if refusal, ok := errors.AsType[smithy.APIError](err); ok && refusal.ErrorCode() == transactionInProgress {
		return true
	}
	found := w.translate(err)
	return isClear(err) && (errors.Is(found, service.ErrContended) || errors.Is(found, service.ErrBusy))
}

// transactionInProgress is the code of a transaction that was sent again while
// DynamoDB is still making it.
const transactionInProgress = "TransactionInProgressException"

// isFault reports whether an error is a failure within DynamoDB.
func isFault(err error) bool {
	if refusal, ok := errors.AsType[smithy.APIError](err); ok && refusal.ErrorFault() == smithy.FaultServer {
		return true
	}
	response, ok := errors.AsType[interface {
		error
		HTTPStatusCode() int
	}](err)
	return ok && response.HTTPStatusCode() >= http.StatusInternalServerError
}

// retryable finds, as the client does, what may pass: throttling and lost
// connections.
var retryable = retry.IsErrorRetryables(retry.DefaultRetryables)

// busy returns service.Busy of an error that says that DynamoDB is short of capacity,
// fails or can't be reached at the moment, and any other error unchanged.
func busy(err error) error {
	if isFault(err) || errors.Is(err, context.DeadlineExceeded) || retryable.IsErrorRetryable(err).Bool() {
		return service.Busy(err)
	}
	return err
}

// translate distinguishes a lost race, a lack of capacity and a failed condition on a
// count, and these from a failure of the store. A lost race comes first: what it
// would have led to is unknown.
func (w *writer) translate(err error) error {
	if err == nil {
		return nil
	}
	cancelled, ok := errors.AsType[*types.TransactionCanceledException](err)
	if !ok {
		return fmt.Errorf("table: transaction: %w", busy(err))
	}
	var limit error
	changed, contended, throttled := false, false, false
	for i, reason := range cancelled.CancellationReasons {
		switch aws.ToString(reason.Code) {
		case "TransactionConflict":
			contended = true
		case "ThrottlingError", "ProvisionedThroughputExceeded":
			throttled = true
		case "ConditionalCheckFailed":
			failed := w.limits[i]
			changed = changed || failed == nil
			limit = cmp.Or(limit, failed)
		}
	}
	switch {
	case changed:
		return fmt.Errorf("%w: %w", service.ErrConflict, err)
	case contended:
		return fmt.Errorf("%w: %w", service.ErrContended, err)
	case throttled:
		return service.Busy(err)
	case limit != nil:
		return fmt.Errorf("%w: %w", limit, err)
	}
	return fmt.Errorf("table: transaction: %w", err)
}
