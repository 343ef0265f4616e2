package table_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"agencyhub/shared/agency"
	"agencyhub/shared/service"
	"agencyhub/shared/table"
	"agencyhub/shared/testbed"
)

// unreliable is the network between the client and the table.
type unreliable struct {
	http.RoundTripper
	// lose decides on the answer to each transaction, by its number.
	lose func(n int, answer *http.Response) (*http.Response, error)
	// tokens are those of the transactions.
	tokens []string
}

func (u *unreliable) RoundTrip(r *http.Request) (*http.Response, error) {
	if !strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".TransactWriteItems") {
		return u.RoundTripper.RoundTrip(r)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	var sent struct{ ClientRequestToken string }
	if err := json.Unmarshal(body, &sent); err != nil {
		return nil, err
	}
	u.tokens = append(u.tokens, sent.ClientRequestToken)
	answer, err := u.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	return u.lose(len(u.tokens), answer)
}

func answerOf(status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}}, Body: io.NopCloser(strings.NewReader(body))}
}

// change is what becomes of an answer.
type change func(*http.Response) (*http.Response, error)

// By the client itself: a transaction without a clear answer is sent three times, each under one
// token, and was made once.
func TestATransactionIsSentAgainUnderItsToken(t *testing.T) {
	lost := func(*http.Response) (*http.Response, error) { return nil, errors.New("the connection was lost") }
	failing := func(*http.Response) (*http.Response, error) {
		return answerOf(500, `{"__type":"com.amazonaws.dynamodb.v20120810#InternalServerError"}`), nil
	}
	unavailable := func(*http.Response) (*http.Response, error) { return answerOf(503, "<html>"), nil }
	throttled := func(*http.Response) (*http.Response, error) {
		return answerOf(400, `{"__type":"com.amazonaws.dynamodb.v20120810#ThrottlingException"}`), nil
	}
	intact := func(r *http.Response) (*http.Response, error) { return r, nil }
	for name, tt := range map[string]struct {
		answers []change
		sent    int
	}{
		"intact":           {nil, 1},
		"lost":             {[]change{lost}, 2},
		"failing":          {[]change{failing, failing}, 3},
		"unavailable":      {[]change{unavailable}, 2},
		"never an answer":  {[]change{lost, lost, lost, lost}, 3},
		"lost, then busy":  {[]change{lost, throttled}, 3},
		"lost, then fails": {[]change{lost, failing, failing, lost}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			db, table1 := testbed.Table(t)
			net := &unreliable{RoundTripper: http.DefaultTransport, lose: func(n int, answer *http.Response) (*http.Response, error) {
				if n > len(tt.answers) {
					return intact(answer)
				}
				return tt.answers[n-1](answer)
			}}
			client := dynamodb.New(db.Options(), func(o *dynamodb.Options) { o.HTTPClient = &http.Client{Transport: net} })
			store := table.New(client, table1)
			a := account(1)
			read, err := store.Load(t.Context(), service.Want{Accounts: []agency.AccountID{a.ID}})
			noError(t, err)
			changes := service.Changes{Accounts: []agency.Account{a}, Events: []agency.Event{event(1, agency.Party(a.ID), account(2).ID, noon)}}
			noError(t, store.Save(t.Context(), read, changes))
			if len(net.tokens) != tt.sent {
				t.Errorf("sent %d times, want %d", len(net.tokens), tt.sent)
			}
			for _, token := range net.tokens {
				if token == "" || token != net.tokens[0] {
					t.Errorf("the tokens differ: %q", net.tokens)
				}
			}
			if n := len(testbed.Items(t, db, table1)); n != 2 {
				t.Errorf("%d items, want the account and its event", n)
			}
		})
	}
}

// The outcome is looked for even after the caller's time.
func TestAnOutcomeIsFoundAfterTheDeadline(t *testing.T) {
	store := newStore(t)
	a := account(1)
	read := load(t, store, service.Want{Accounts: []agency.AccountID{a.ID}})
	ctx, cancel := context.WithCancel(t.Context())
	store.LoseAnswer = func(*dynamodb.TransactWriteItemsInput) error {
		cancel()
		return context.DeadlineExceeded
	}
	changes := service.Changes{Accounts: []agency.Account{a}, Events: []agency.Event{event(1, agency.Party(a.ID), account(2).ID, noon)}}
	noError(t, store.Save(ctx, read, changes))
	if n := store.TakeCalls()["TransactWriteItems"]; n != 1 {
		t.Errorf("sent %d times after the end", n)
	}
}

// What may pass is waited for until the command's time is over. Then the outcome is unknown, unless
// the transaction is there.
func TestWhatMayPassIsWaitedForUntilTheEnd(t *testing.T) {
	for _, made := range []bool{false, true} {
		store := newStore(t)
		a := account(1)
		read := load(t, store, service.Want{Accounts: []agency.AccountID{a.ID}})
		n := 0
		store.BeforeWrite = func(in *dynamodb.TransactWriteItemsInput) error {
			if n++; n > 1 {
				return testbed.Cancelled("TransactionConflict")
			}
			if made {
				if _, err := store.Client.TransactWriteItems(t.Context(), in); err != nil {
					return err
				}
			}
			return errors.New("connection reset")
		}
		end := time.Now().Add(1500 * time.Millisecond)
		err := store.Save(t.Context(), read, service.Changes{
			Accounts: []agency.Account{a}, Events: []agency.Event{event(1, agency.Party(a.ID), account(2).ID, noon)}, GiveUpAt: end,
		})
		if made && err != nil || !made && (agency.CodeOf(err) != agency.Unavailable || errors.Is(err, service.ErrBusy) || errors.Is(err, service.ErrConflict)) {
			t.Errorf("made %t: %v", made, err)
		}
		if late := time.Since(end); n < 4 || late > time.Second {
			t.Errorf("sent %d times, %s after the end", n, late)
		}
	}
}

// A transaction that has no answer, was refused when it was sent again, and was not made is refused
// as the second time.
func TestARefusalAfterALostAnswer(t *testing.T) {
	store := newStore(t)
	a := account(1)
	read := load(t, store, service.Want{Accounts: []agency.AccountID{a.ID}})
	changes := service.Changes{Accounts: []agency.Account{a}, Events: []agency.Event{event(1, agency.Party(a.ID), account(2).ID, noon)}}
	put(t, store, service.Changes{Accounts: []agency.Account{{ID: a.ID, Name: "Somebody else's", Version: 1}}})
	n := 0
	store.BeforeWrite = func(*dynamodb.TransactWriteItemsInput) error {
		if n++; n == 1 {
			return errors.New("connection reset")
		}
		return nil
	}
	start := time.Now()
	if err := store.Save(t.Context(), read, changes); !errors.Is(err, service.ErrConflict) || errors.Is(err, service.ErrContended) {
		t.Errorf("%v, want ErrConflict", err)
	}
	if took := time.Since(start); took > time.Second {
		t.Errorf("it took %s", took)
	}
	// If not even the outcome can be read, nothing is said of it.
	for _, gone := range []error{errors.New("gone"), &types.InternalServerError{}} {
		n = 0
		store.BeforeBatch = func(*dynamodb.BatchGetItemInput) error { return gone }
		if err := store.Save(t.Context(), read, changes); agency.CodeOf(err) != agency.Unavailable || errors.Is(err, service.ErrConflict) {
			t.Errorf("%v, want an unknown outcome", err)
		}
	}
}
