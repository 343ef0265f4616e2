package service_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"agencyhub/shared/agency"
	"agencyhub/shared/service"
	"agencyhub/shared/testbed"
)

// What stays busy or contended is Unavailable: commands after their time, queries and lists too.
func TestAStoreThatStaysBusyIsUnavailable(t *testing.T) {
	w, v := newWorld(t).connected(), newWorld(t)
	ctx, page := t.Context(), service.Page{Limit: 5}
	unavailable := func(what string, err error) {
		t.Helper()
		refusal, ok := errors.AsType[*agency.Error](err)
		if !ok || refusal.Code != agency.Unavailable || refusal.RetryAfter <= 0 || refusal.Message == "" {
			t.Errorf("%s: %v", what, err)
		}
	}
	w.BeforeQuery = func(*dynamodb.QueryInput) error { return &types.InternalServerError{} }
	unavailable("team", second(w.Team(ctx, as(w.ann), w.client, page)))
	unavailable("clients", third(w.Clients(ctx, w.gil, w.agency, service.ClientFilter{}, page)))
	unavailable("activity", second(w.AccountActivity(ctx, as(w.ann), w.client, page)))
	v.BeforeWrite = func(*dynamodb.TransactWriteItemsInput) error {
		return testbed.Cancelled("None", "TransactionConflict")
	}
	w.BeforeQuery = nil
	waiting := w.profile(agency.AgencyAt(w.client, w.agency))
	w.BeforeBatch = func(*dynamodb.BatchGetItemInput) error { return &types.ProvisionedThroughputExceededException{} }
	unavailable("my requests' details", second(w.RequestDetails(ctx, waiting)))
	unavailable("access", second(w.CheckAccess(ctx, as(w.ann), w.client)))
	var wg sync.WaitGroup
	start := time.Now()
	for what, do := range map[string]func() error{
		"contended": func() error { return second(v.RenameAccount(ctx, as(v.ann), v.client, "New")) },
		"busy":      func() error { return second(w.RenameAccount(ctx, as(w.ann), w.client, "New")) },
		"refused":   func() error { return second(w.RenameAccount(ctx, as(w.eve), w.client, "New")) },
		"a query":   func() error { return second(w.GetAccount(ctx, as(w.ann), w.client)) },
	} {
		wg.Go(func() { unavailable(what, do()) })
	}
	wg.Wait()
	if took := time.Since(start); took > 6500*time.Millisecond {
		t.Errorf("it took %s", took)
	}
}

// A transaction that only met others is decided again on what was read.
func TestOnlyWhatChangedIsReadAgain(t *testing.T) {
	for reason, reads := range map[string]int{"TransactionConflict": 1, "ThrottlingError": 1, "ConditionalCheckFailed": 4} {
		w := newWorld(t)
		times := 0
		w.BeforeWrite = func(*dynamodb.TransactWriteItemsInput) error {
			if times++; times < 4 {
				return testbed.Cancelled(reason)
			}
			return nil
		}
		w.TakeCalls()
		must[agency.Profile](t)(w.request())
		diff(t, reason, map[string]int{"BatchGetItem": reads, "TransactWriteItems": 4}, w.TakeCalls())
	}
}

// A command whose transaction is made while its answer is lost succeeds, and is made once: also if
// the table does not know the second attempt by its token, and refuses it for what the first has
// written.
func TestACommandWhoseAnswerIsLost(t *testing.T) {
	for name, forget := range map[string]bool{"the same token": false, "another token": true} {
		for lost := range 4 {
			t.Run(fmt.Sprintf("%s, %d answers lost", name, lost), func(t *testing.T) {
				w := newWorld(t)
				w.BeforeWrite = func(in *dynamodb.TransactWriteItemsInput) error {
					if forget {
						token := rand.Text()
						in.ClientRequestToken = &token
					}
					return nil
				}
				n := 0
				w.LoseAnswer = func(*dynamodb.TransactWriteItemsInput) error {
					if n++; n <= lost {
						return errors.New("connection reset")
					}
					return nil
				}
				p := must[agency.Profile](t)(w.request())
				diff(t, "events", 1, countOf(w.events(w.client), string(agency.ConnectionRequested)))
				n = 0
				must[agency.Profile](t)(w.WithdrawRequest(t.Context(), w.gil, w.agency, p.ID()))
				diff(t, "events", 1, countOf(w.events(w.client), string(agency.ConnectionWithdrawn)))
				// A profile is bound without an event.
				n = 0
				w.mustInvite(w.ann, w.client, w.eve, agency.Admin)
				n = 0
				must[service.AccountView](t)(w.GetAccount(t.Context(), as(w.eve), w.client))
				diff(t, "bound", w.eve.Subject, w.profile(agency.PersonAt(w.client, w.eve.ID())).Subject)
				w.audit(t)
			})
		}
	}
}

// A transaction that is made late, after a further attempt was refused for what may pass, is still
// made once: its command does not decide again, and does not meet its own changes.
func TestATransactionThatIsMadeLate(t *testing.T) {
	for _, reason := range []string{"TransactionConflict", "ThrottlingError"} {
		t.Run(reason, func(t *testing.T) {
			w := newWorld(t)
			var first *dynamodb.TransactWriteItemsInput
			n := 0
			w.BeforeWrite = func(in *dynamodb.TransactWriteItemsInput) error {
				switch n++; n {
				case 1:
					first = in
					return errors.New("connection reset")
				case 2:
					return testbed.Cancelled("None", reason)
				case 3:
					_, err := w.Client.TransactWriteItems(t.Context(), first)
					return err
				}
				return nil
			}
			p := must[agency.Profile](t)(w.request())
			diff(t, "request", 1, p.Request.Number)
			diff(t, "events", 1, countOf(w.events(w.client), string(agency.ConnectionRequested)))
			w.audit(t)
		})
	}
}

// A transaction that has no answer and then meets others, or a store that is short of capacity, is
// sent again under its token for as long as its command has.
func TestAnUnclearTransactionOutlastsOthers(t *testing.T) {
	for _, inTheWay := range []error{testbed.Cancelled("None", "TransactionConflict"), testbed.Cancelled("ThrottlingError"), &types.ThrottlingException{}, &types.TransactionInProgressException{}} {
		t.Run(fmt.Sprintf("%T", inTheWay), func(t *testing.T) {
			w := newWorld(t)
			tokens := map[string]int{}
			n := 0
			w.BeforeWrite = func(in *dynamodb.TransactWriteItemsInput) error {
				tokens[*in.ClientRequestToken]++
				switch n++; {
				case n == 1:
					return errors.New("connection reset")
				case n < 6:
					return inTheWay
				}
				return nil
			}
			p := must[agency.Profile](t)(w.request())
			diff(t, "request", 1, p.Request.Number)
			if n != 6 || len(tokens) != 1 {
				t.Errorf("sent %d times under %d tokens, want 6 under one", n, len(tokens))
			}
			w.audit(t)
		})
	}
}

// After an attempt without an answer a count at its limit is no answer: that attempt may still be
// under way, and the count can fall before it is made.
func TestALimitAfterALostAnswerIsUnknown(t *testing.T) {
	w := newWorld(t)
	w.Rules.OpenRequests = 1
	must[agency.Profile](t)(w.request())
	before := w.items()
	n := 0
	w.BeforeWrite = func(*dynamodb.TransactWriteItemsInput) error {
		if n++; n == 1 {
			return errors.New("connection reset")
		}
		return nil
	}
	_, err := w.RequestConnection(t.Context(), w.gil, w.agency, service.ConnectionRequest{OwnerEmail: w.eve.Email, Areas: agency.Areas{"pages": agency.View}})
	refused(t, "at its limit", agency.Unavailable, err)
	if refusal, ok := errors.AsType[*agency.Error](err); !ok || !strings.Contains(refusal.Message, "whether your change was made") {
		t.Errorf("%v", err)
	}
	diff(t, "sent", 3, n)
	testbed.SameItems(t, before, w.items())
}

// A transaction that gets no answer and was not made is not said to be made, nor not to be.
func TestACommandWithoutAnyAnswer(t *testing.T) {
	w := newWorld(t)
	before := w.items()
	w.BeforeWrite = func(*dynamodb.TransactWriteItemsInput) error { return errors.New("connection reset") }
	w.TakeCalls()
	_, err := w.request()
	refused(t, "without an answer", agency.Unavailable, err)
	if refusal, ok := errors.AsType[*agency.Error](err); !ok || !strings.Contains(refusal.Message, "whether your change was made") || refusal.RetryAfter <= 0 {
		t.Errorf("%v", err)
	}
	diff(t, "calls", map[string]int{"BatchGetItem": 2, "TransactWriteItems": 3}, w.TakeCalls())
	testbed.SameItems(t, before, w.items())
}

// A command whose transaction is made, whose answers are lost, and whose outcome can't be read for a
// moment, does not decide again: it would meet its own changes.
func TestAnUnreadOutcomeIsNotDecidedAgain(t *testing.T) {
	for name, failures := range map[string]int{"for a moment": 1, "for ever": 1000} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			n, failed := 0, 0
			w.LoseAnswer = func(*dynamodb.TransactWriteItemsInput) error {
				n++
				return errors.New("connection reset")
			}
			w.BeforeBatch = func(*dynamodb.BatchGetItemInput) error {
				if n > 0 && failed < failures {
					failed++
					return &types.InternalServerError{}
				}
				return nil
			}
			_, err := w.request()
			refusal, ok := errors.AsType[*agency.Error](err)
			if !ok || refusal.Code != agency.Unavailable || !strings.Contains(refusal.Message, "whether your change was made") || n != 3 {
				t.Errorf("%v after %d transactions", err, n)
			}
			w.BeforeBatch, w.LoseAnswer = nil, nil
			diff(t, "events", 1, countOf(w.events(w.client), string(agency.ConnectionRequested)))
		})
	}
}
