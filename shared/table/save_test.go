package table_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"

	"agencyhub/shared/agency"
	"agencyhub/shared/service"
	"agencyhub/shared/table"
	"agencyhub/shared/testbed"
)

func account(n int) agency.Account {
	return agency.Account{
		ID: agency.NewAccountID("per_x", fmt.Sprint(n)), Name: fmt.Sprintf("Account %03d", n), Ownership: agency.ClientOwned, AgencyOn: true, Owners: 1,
		Subscription: agency.Subscription{Plan: "starter", State: agency.SubscriptionActive}, CreatedAt: noon, BodyHash: "h", Version: 1,
	}
}

func person(n int) agency.Person {
	email := fmt.Sprintf("person%d@client.test", n)
	return agency.Person{ID: agency.NewPersonID(email), Email: email, Version: 1}
}

// pairOf returns the pair of an account and an agency.
func pairOf(a agency.Account, version int) agency.Pair {
	return agency.Pair{PairKey: agency.PairKey{Addressee: agency.Party(a.ID), Asker: account(99).ID}, Mailed: []time.Time{noon}, Version: version}
}

func member(a agency.Account, p agency.Person) agency.Profile {
	return agency.Profile{
		ProfileKey: agency.PersonAt(a.ID, p.ID), Status: agency.Active, Role: agency.Owner, Areas: agency.Areas{"pages": agency.Edit}, Email: p.Email,
		AccountName: a.Name, Ownership: a.Ownership, Subscription: agency.Subscription{Plan: "starter", State: agency.SubscriptionCancelling, FreezesAt: noon.Add(time.Hour)}, Since: noon, Version: 1,
	}
}

func event(n int, on agency.Party, of agency.AccountID, at time.Time) agency.Event {
	return agency.Event{
		ID: agency.EventID(fmt.Sprintf("evt_%026d", n)), Type: agency.ConnectionRequested, At: at, Addressee: on, Agency: of, Member: agency.Party(of),
		Actor: person(1).ID, As: of, Ownership: agency.ClientOwned, Request: 2, Version: 3,
		Was: agency.State{Name: "old", Status: agency.Expired}, Client: person(2).ID, WakeAt: at.Add(time.Minute),
		Now: agency.State{Status: agency.Pending, Role: agency.Owner, Areas: agency.Areas{"mail": agency.View}, Until: at.Add(time.Hour), Expires: at.Add(time.Minute), Message: "m", Plan: "growth", Subscription: agency.SubscriptionPastDue},
	}
}

// wantOf returns what must be read before the changes are saved.
func wantOf(c service.Changes) service.Want {
	var w service.Want
	for _, a := range c.Accounts {
		w.Accounts = append(w.Accounts, a.ID)
	}
	for _, p := range c.Profiles {
		w.Profiles = append(w.Profiles, p.ProfileKey)
	}
	for _, p := range c.People {
		w.People = append(w.People, p.ID)
	}
	for _, p := range c.Pairs {
		w.Pairs = append(w.Pairs, p.PairKey)
	}
	return w
}

func load(t *testing.T, store *testStore, want service.Want) service.Snapshot {
	t.Helper()
	read, err := store.Load(t.Context(), want)
	if err != nil {
		t.Fatal(err)
	}
	return read
}

// put saves changes to the present items.
func put(t *testing.T, store *testStore, c service.Changes) {
	t.Helper()
	noError(t, store.Save(t.Context(), load(t, store, wantOf(c)), c))
}

func TestEventsComeBackAsTheyWere(t *testing.T) {
	store := newStore(t)
	full := event(1, agency.Party(account(1).ID), account(2).ID, noon)
	bare := agency.Event{ID: "evt_00000000000000000000000002", Type: agency.AccountRenamed, At: noon, Addressee: agency.Party(account(1).ID), Ownership: agency.ClientOwned, Version: 1}
	put(t, store, service.Changes{Events: []agency.Event{full, bare}})
	for _, want := range []agency.Event{full, bare} {
		got, found, err := store.Event(t.Context(), table.EventKey{Addressee: want.Addressee, ID: want.ID})
		if diff := cmp.Diff(want, got.Event); diff != "" || !found || err != nil {
			t.Error(diff, found, err)
		}
	}
	if _, found, err := store.Event(t.Context(), table.EventKey{Addressee: full.Addressee, ID: "evt_00000000000000000000000009"}); found || err != nil {
		t.Errorf("an event that is not there: %t, %v", found, err)
	}
	if err := store.Save(t.Context(), service.Snapshot{}, service.Changes{Events: []agency.Event{full}}); !errors.Is(err, service.ErrConflict) {
		t.Errorf("an event written over another: %v", err)
	}
}

// Save has a condition on everything that was read, written or not. Each item is changed in between,
// in turn.
func TestSaveHoldsToAllThatWasRead(t *testing.T) {
	a, g, p, q := account(1), account(2), person(1), person(2)
	there := service.Changes{
		Accounts: []agency.Account{a, g}, People: []agency.Person{p, q},
		Profiles: []agency.Profile{member(a, p), member(g, q)}, Pairs: []agency.Pair{pairOf(a, 1), pairOf(g, 1)},
	}
	// Read and absent.
	absentAccount, absentProfile, absentPerson := account(3), member(a, q), person(3)
	want := wantOf(there)
	want.Accounts = append(want.Accounts, absentAccount.ID)
	want.Profiles = append(want.Profiles, absentProfile.ProfileKey)
	want.People = append(want.People, absentPerson.ID)
	want.Pairs = append(want.Pairs, pairOf(absentAccount, 1).PairKey)

	// The decision writes one of two accounts, profiles, persons and pairs, and only reads the others.
	decided := service.Changes{
		Accounts: []agency.Account{a}, Profiles: []agency.Profile{member(a, p)}, People: []agency.Person{p},
		Pairs:  []agency.Pair{pairOf(a, 2)},
		Events: []agency.Event{event(1, agency.Party(a.ID), g.ID, noon)},
		Counts: []service.CountChange{{Agency: g.ID, Pending: 1, Month: noon, Happened: map[agency.EventType]int{agency.ConnectionRequested: 1}}},
	}
	decided.Accounts[0].Version, decided.Profiles[0].Version, decided.People[0].Version = 2, 2, 2

	next := func(v int) int { return v + 1 }
	for _, behind := range []struct {
		name string
		c    service.Changes
	}{
		{"nothing", service.Changes{}},
		{"a written account", service.Changes{Accounts: []agency.Account{{ID: a.ID, Name: "x", Version: next(1)}}}},
		{"a written profile", service.Changes{Profiles: []agency.Profile{{ProfileKey: member(a, p).ProfileKey, Version: next(1)}}}},
		{"a written person", service.Changes{People: []agency.Person{{ID: p.ID, Version: next(1)}}}},
		{"a read account", service.Changes{Accounts: []agency.Account{{ID: g.ID, Name: "x", Version: next(1)}}}},
		{"a read profile", service.Changes{Profiles: []agency.Profile{{ProfileKey: member(g, q).ProfileKey, Version: next(1)}}}},
		{"a read person", service.Changes{People: []agency.Person{{ID: q.ID, Version: next(1)}}}},
		{"an account that was not there", service.Changes{Accounts: []agency.Account{absentAccount}}},
		{"a profile that was not there", service.Changes{Profiles: []agency.Profile{absentProfile}}},
		{"a written pair", service.Changes{Pairs: []agency.Pair{pairOf(a, 2)}}},
		{"a read pair", service.Changes{Pairs: []agency.Pair{pairOf(g, 2)}}},
		{"a pair that was not there", service.Changes{Pairs: []agency.Pair{pairOf(absentAccount, 1)}}},
		{"a person who was not there", service.Changes{People: []agency.Person{absentPerson}}},
	} {
		t.Run(behind.name, func(t *testing.T) {
			store := newStore(t)
			put(t, store, there)
			read := load(t, store, want)
			if !behind.c.IsEmpty() {
				put(t, store, behind.c)
			}
			before := store.items(t)
			err := store.Save(t.Context(), read, decided)
			if behind.name == "nothing" {
				if err != nil {
					t.Fatal(err)
				}
				if got := load(t, store, want).Account(a.ID).Version; got != 2 {
					t.Errorf("version %d", got)
				}
				return
			}
			if !errors.Is(err, service.ErrConflict) {
				t.Errorf("%v, want ErrConflict", err)
			}
			testbed.SameItems(t, before, store.items(t))
		})
	}
}

func TestSaveWritesOnlyWhatWasReadAndOnce(t *testing.T) {
	store := newStore(t)
	a := account(1)
	read := load(t, store, service.Want{Accounts: []agency.AccountID{a.ID}})
	for what, c := range map[string]service.Changes{
		"unread":  {Accounts: []agency.Account{account(2)}},
		"twice":   {Accounts: []agency.Account{a, a}},
		"profile": {Accounts: []agency.Account{a}, Profiles: []agency.Profile{member(a, person(1))}},
	} {
		if err := store.Save(t.Context(), read, c); err == nil || errors.Is(err, service.ErrConflict) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if all := store.items(t); len(all) != 0 {
		t.Errorf("written all the same: %v", slices.Collect(maps.Keys(all)))
	}
}

func TestCountsAddUp(t *testing.T) {
	store := newStore(t)
	g := account(1).ID
	if got, err := store.Counts(t.Context(), g); err != nil || got != (service.Counts{}) {
		t.Errorf("counts of nothing: %+v, %v", got, err)
	}
	later := noon.AddDate(0, 1, 0)
	for _, m := range []service.CountChange{
		{Agency: g, Pending: 1, Month: noon, Happened: map[agency.EventType]int{agency.ConnectionRequested: 1}},
		{Agency: g, Pending: -1, Connected: 1, Month: noon, Happened: map[agency.EventType]int{agency.ConnectionAccepted: 1}},
		{Agency: g, Owned: 2, Month: later, Happened: map[agency.EventType]int{agency.AccountCreated: 2, agency.ConnectionExpired: 0}},
	} {
		put(t, store, service.Changes{Counts: []service.CountChange{m}})
	}
	if got, err := store.Counts(t.Context(), g); err != nil || got != (service.Counts{Owned: 2, Connected: 1}) {
		t.Errorf("%+v, %v", got, err)
	}
	all := store.items(t)
	month := all["COUNT#"+string(g)+" 2026-11"]
	if testbed.Num(month["connection.requested"]) != "1" || testbed.Num(month["connection.accepted"]) != "1" {
		t.Errorf("%v", month)
	}
	if next := all["COUNT#"+string(g)+" 2026-12"]; testbed.Num(next["account.created"]) != "2" || len(next) != 3 {
		t.Errorf("%v", next)
	}
}

func TestLoadOfMoreThanABatch(t *testing.T) {
	store := newStore(t)
	var want service.Want
	for n := range 250 {
		want.Accounts = append(want.Accounts, account(n).ID)
		if n%2 == 0 {
			put(t, store, service.Changes{Accounts: []agency.Account{account(n)}})
		}
	}
	for _, tt := range []struct{ atMost, calls int }{{0, 3}, {60, 5}} {
		store.TakeCalls()
		store.MaxKeys = tt.atMost
		read := load(t, store, want)
		for n := range 250 {
			a, is := account(n), agency.Account{ID: account(n).ID}
			if n%2 == 0 {
				is = a
			}
			diff(t, a.Name, is, read.Account(a.ID))
		}
		if got := store.TakeCalls()["BatchGetItem"]; got != tt.calls {
			t.Errorf("at most %d a call: %d calls, want %d", tt.atMost, got, tt.calls)
		}
	}
}

func TestLoadNeverTakesAFailureForAnAbsence(t *testing.T) {
	store := newStore(t)
	a := account(1)
	put(t, store, service.Changes{Accounts: []agency.Account{a}})
	want := service.Want{Accounts: []agency.AccountID{a.ID}}

	for failure, code := range map[error]agency.Code{
		&types.ProvisionedThroughputExceededException{}: agency.Unavailable,
		&types.ThrottlingException{}:                    agency.Unavailable,
		&types.RequestLimitExceeded{}:                   agency.Unavailable,
		&types.InternalServerError{}:                    agency.Unavailable,
		errors.New("connection reset"):                  agency.Unavailable,
		context.DeadlineExceeded:                        agency.Unavailable,
		&types.ResourceNotFoundException{}:              agency.Internal,
		errors.New("not even an answer"):                agency.Internal,
	} {
		store.BeforeBatch = func(*dynamodb.BatchGetItemInput) error { return failure }
		read, err := store.Load(t.Context(), want)
		if !errors.Is(err, failure) || agency.CodeOf(err) != code || errors.Is(err, service.ErrConflict) || len(read.Accounts) != 0 {
			t.Errorf("%v: %v, %v", failure, read, err)
		}
		if errors.Is(err, service.ErrBusy) != (code == agency.Unavailable) {
			t.Errorf("%v: busy is %t", failure, errors.Is(err, service.ErrBusy))
		}
	}
	// Half of a batch is read, then the store fails.
	store.MaxKeys, store.BeforeBatch = 1, nil
	two := service.Want{Accounts: []agency.AccountID{a.ID, account(2).ID}}
	calls := 0
	store.BeforeBatch = func(*dynamodb.BatchGetItemInput) error {
		if calls++; calls > 1 {
			return errors.New("gone")
		}
		return nil
	}
	if _, err := store.Load(t.Context(), two); agency.CodeOf(err) != agency.Internal {
		t.Errorf("half a batch: %v", err)
	}
	// Keys that are never processed end with the caller's context.
	store.BeforeBatch = nil
	store.MaxKeys = 0
	starved := table.New(&starving{Faults: store.Faults}, store.name)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if _, err := starved.Load(ctx, want); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, service.ErrBusy) {
		t.Errorf("a batch that is never read: %v", err)
	}

	if _, err := store.Client.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{
		TableName: &store.name, Key: key("ACCT#"+string(a.ID), "ACCT"), UpdateExpression: aws.String("SET createdAt = :bad"),
		ExpressionAttributeValues: testbed.Item{":bad": &types.AttributeValueMemberS{Value: "yesterday"}},
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := table.New(store.Client, store.name).Load(t.Context(), want); agency.CodeOf(err) != agency.Internal {
		t.Errorf("an item that can't be read: %v", err)
	}
}

// starving leaves every key unprocessed.
type starving struct{ *testbed.Faults }

func (s *starving) BatchGetItem(_ context.Context, in *dynamodb.BatchGetItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.BatchGetItemOutput, error) {
	return &dynamodb.BatchGetItemOutput{UnprocessedKeys: in.RequestItems}, nil
}

func key(pk, sk string) testbed.Item {
	return testbed.Item{"pk": &types.AttributeValueMemberS{Value: pk}, "sk": &types.AttributeValueMemberS{Value: sk}}
}

func TestWhatARefusedTransactionMeans(t *testing.T) {
	store := newStore(t)
	a := account(1)
	read := load(t, store, service.Want{Accounts: []agency.AccountID{a.ID}})
	const unavailable, internal = agency.Unavailable, agency.Internal
	for _, tt := range []struct {
		name string
		err  error
		// is is what the command does about it; nil for nothing.
		is   error
		code agency.Code
	}{
		{"a condition", testbed.Cancelled("None", "ConditionalCheckFailed"), service.ErrConflict, internal},
		{"another transaction", testbed.Cancelled("TransactionConflict", "None"), service.ErrContended, internal},
		{"another transaction, and a condition", testbed.Cancelled("TransactionConflict", "ConditionalCheckFailed"), service.ErrConflict, internal},
		{"another transaction, and short of capacity", testbed.Cancelled("ThrottlingError", "TransactionConflict"), service.ErrContended, internal},
		{"short of capacity", testbed.Cancelled("None", "ProvisionedThroughputExceeded"), service.ErrBusy, unavailable},
		{"short of capacity for items", testbed.Cancelled("ThrottlingError"), service.ErrBusy, unavailable},
		{"throttled", &types.ThrottlingException{}, service.ErrBusy, unavailable},
		{"throughput exceeded", &types.ProvisionedThroughputExceededException{}, service.ErrBusy, unavailable},
		{"request limit", &types.RequestLimitExceeded{}, service.ErrBusy, unavailable},
		{"too big", testbed.Cancelled("ItemCollectionSizeLimitExceeded"), nil, internal},
		{"not valid", testbed.Cancelled("ValidationError"), nil, internal},
		{"no reason", testbed.Cancelled(), nil, internal},
		{"the table is gone", &types.ResourceNotFoundException{}, nil, internal},
		{"in progress", &types.TransactionInProgressException{}, nil, unavailable},
		{"a failure of DynamoDB", &types.InternalServerError{}, nil, unavailable},
		{"cut off", errors.New("connection reset"), nil, unavailable},
		{"too late", context.DeadlineExceeded, nil, unavailable},
	} {
		store.BeforeWrite = func(*dynamodb.TransactWriteItemsInput) error { return tt.err }
		err := store.Save(t.Context(), read, service.Changes{Accounts: []agency.Account{a}, Events: []agency.Event{event(1, agency.Party(a.ID), "", noon)}})
		if agency.CodeOf(err) != tt.code || !errors.Is(err, tt.err) {
			t.Errorf("%s: %v", tt.name, err)
		}
		for _, is := range []error{service.ErrConflict, service.ErrContended, service.ErrBusy} {
			want := tt.is != nil && errors.Is(tt.is, is)
			if errors.Is(err, is) != want {
				t.Errorf("%s: %q is %t, want %t", tt.name, is, !want, want)
			}
		}
		if refusal, ok := errors.AsType[*agency.Error](err); ok && (refusal.RetryAfter < time.Second || refusal.RetryAfter > 5*time.Second) {
			t.Errorf("%s: try again after %s", tt.name, refusal.RetryAfter)
		}
	}
}

func TestListsAnswerFailuresAsFailures(t *testing.T) {
	store := newStore(t)
	a, page := account(1).ID, service.Page{Limit: 5}
	for failure, code := range map[error]agency.Code{
		errors.New("not even an answer"): agency.Internal,
		&types.ThrottlingException{}:     agency.Unavailable,
		&types.InternalServerError{}:     agency.Unavailable,
	} {
		store.BeforeQuery = func(*dynamodb.QueryInput) error { return failure }
		_, err1 := store.Team(t.Context(), agency.Party(a), page)
		_, err2 := store.Clients(t.Context(), a, service.ClientFilter{}, page)
		_, err3 := store.Memberships(t.Context(), person(1).ID, page)
		_, err4 := store.Activity(t.Context(), agency.Party(a), "", page)
		_, err5 := store.Pairs(t.Context(), agency.Party(a), page)
		_, _, err6 := store.Months(t.Context(), a, noon)
		for i, err := range []error{err1, err2, err3, err4, err5, err6} {
			if agency.CodeOf(err) != code || !errors.Is(err, failure) {
				t.Errorf("list %d: %v", i+1, err)
			}
		}
		_, _, err7 := store.Backlog(t.Context(), noon)
		var err8 error
		for _, err := range store.Due(t.Context(), 0, noon) {
			err8 = err
		}
		if !errors.Is(err7, failure) || !errors.Is(err8, failure) {
			t.Errorf("the due index: %v, %v", err7, err8)
		}
	}
}

// A state that only a newer version knows is not taken for any other.
func TestAStateOfANewerVersionIsUnavailable(t *testing.T) {
	store := newStore(t)
	a, p := account(1), person(1)
	m := member(a, p)
	put(t, store, service.Changes{Accounts: []agency.Account{a}, People: []agency.Person{p}, Profiles: []agency.Profile{m}})
	for _, tt := range []struct{ sk, attribute, was string }{
		{"ACCT", "subscriptionState", "active"}, {"TEAM#" + string(p.ID), "status", "active"}, {"TEAM#" + string(p.ID), "subscriptionState", "cancelling"},
	} {
		for _, state := range []string{"paused", tt.was} {
			_, err := store.Client.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{
				TableName: &store.name, Key: key("ACCT#"+string(a.ID), tt.sk), UpdateExpression: aws.String("SET #a = :s"),
				ExpressionAttributeNames: map[string]string{"#a": tt.attribute}, ExpressionAttributeValues: testbed.Item{":s": &types.AttributeValueMemberS{Value: state}},
			})
			noError(t, err)
			want := agency.Code("")
			if state != tt.was {
				want = agency.Unavailable
			}
			_, err1 := store.Load(t.Context(), service.Want{Accounts: []agency.AccountID{a.ID}, Profiles: []agency.ProfileKey{m.ProfileKey}})
			if agency.CodeOf(err1) != want {
				t.Errorf("%s is %s: %v", tt.attribute, state, err1)
			}
			if _, err := store.Team(t.Context(), agency.Party(a.ID), service.Page{Limit: 5}); tt.sk != "ACCT" && agency.CodeOf(err) != want {
				t.Errorf("a list where %s is %s: %v", tt.attribute, state, err)
			}
		}
	}
}

// Counts of a person's day move together, each below its limit.
func TestCountsOfAPersonsDay(t *testing.T) {
	store := newStore(t)
	p := person(1).ID
	count := func(most map[agency.Counted]int) error {
		return store.Save(t.Context(), service.Snapshot{}, service.Changes{PersonCounts: []service.PersonCount{{Person: p, Day: noon, Max: most}}})
	}
	noError(t, count(map[agency.Counted]int{agency.AccountsCreated: 2, agency.InvitationsMade: 1}))
	for _, tt := range []struct {
		most map[agency.Counted]int
		want []agency.Counted
	}{
		{map[agency.Counted]int{agency.AccountsCreated: 2, agency.InvitationsMade: 1}, []agency.Counted{agency.AccountsCreated, agency.InvitationsMade}},
		{map[agency.Counted]int{agency.AccountsCreated: 1, agency.InvitationsMade: 2}, []agency.Counted{agency.AccountsCreated, agency.InvitationsMade}},
		{map[agency.Counted]int{agency.InvitationsMade: 1}, []agency.Counted{agency.InvitationsMade}},
	} {
		limit, ok := errors.AsType[*service.PersonLimitError](count(tt.most))
		if !ok {
			t.Fatalf("%v: no limit", tt.most)
		}
		diff(t, "counted", tt.want, limit.Counted)
	}
	noError(t, count(map[agency.Counted]int{agency.AccountsCreated: 2, agency.RequestsMade: 0}))
	i := store.items(t)["LIMIT#"+string(p)+" 2026-11-23"]
	if testbed.Num(i["created"]) != "2" || testbed.Num(i["invitations"]) != "1" || testbed.Num(i["requests"]) != "1" || testbed.Num(i["ttl"]) != fmt.Sprint(noon.Add(72*time.Hour).Unix()) {
		t.Errorf("%v", i)
	}
}
