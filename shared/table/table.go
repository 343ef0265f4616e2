// Package table stores the domain in one DynamoDB table. README.md lists its
// items and access patterns. It knows keys, indexes, conditions and transactions,
// and nothing of who may do what.
package table

import (
	"context"
	"crypto/cipher"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"agencyhub/shared/agency"
	"agencyhub/shared/service"
)

// API is what the table calls of DynamoDB.
type API interface {
	BatchGetItem(context.Context, *dynamodb.BatchGetItemInput, ...func(*dynamodb.Options)) (*dynamodb.BatchGetItemOutput, error)
	GetItem(context.Context, *dynamodb.GetItemInput, ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error)
	Query(context.Context, *dynamodb.QueryInput, ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error)
	TransactWriteItems(context.Context, *dynamodb.TransactWriteItemsInput, ...func(*dynamodb.Options)) (*dynamodb.TransactWriteItemsOutput, error)
	UpdateItem(context.Context, *dynamodb.UpdateItemInput, ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error)
	DeleteItem(context.Context, *dynamodb.DeleteItemInput, ...func(*dynamodb.Options)) (*dynamodb.DeleteItemOutput, error)
}

// Table is the service.Store in DynamoDB, and what publish, notify, delivery, cleanup and
// console need besides.
type Table struct {
	db   API
	name string
	// sealKey and seal encrypt cursors.
	sealKey [sha256.Size]byte
	seal    cipher.AEAD
}

var _ service.Store = (*Table)(nil)

// New returns the table of that name.
func New(db API, name string) *Table {
	t := &Table{db: db, name: name}
	t.sealKey, t.seal = newSeal(name)
	return t
}

// batchLimit is the number of items that DynamoDB reads in one batch.
const batchLimit = 100

// Load reads what is wanted, strongly consistent, in one batch for up to 100
// items.
func (t *Table) Load(ctx context.Context, want service.Want) (service.Snapshot, error) {
	read := service.Snapshot{
		Accounts: make(map[agency.AccountID]agency.Account, len(want.Accounts)),
		Profiles: make(map[agency.ProfileKey]agency.Profile, len(want.Profiles)),
		People:   make(map[agency.PersonID]agency.Person, len(want.People)),
		Pairs:    make(map[agency.PairKey]agency.Pair, len(want.Pairs)),
		Calls:    make(map[service.CallKey]service.Call, len(want.Calls)),
	}
	var keys []key
	for _, id := range want.Accounts {
		read.Accounts[id] = agency.Account{ID: id}
		keys = append(keys, accountKey(id))
	}
	for _, k := range want.Profiles {
		read.Profiles[k] = agency.Profile{ProfileKey: k}
		keys = append(keys, profileKey(k))
	}
	for _, id := range want.People {
		read.People[id] = agency.Person{ID: id}
		keys = append(keys, personKey(id))
	}
	for _, k := range want.Pairs {
		read.Pairs[k] = agency.Pair{PairKey: k}
		keys = append(keys, pairKey(k))
	}
	for _, k := range want.Calls {
		read.Calls[k] = service.Call{CallKey: k}
		keys = append(keys, callKey(k))
	}
	items, err := t.batch(ctx, keys)
	if err != nil {
		return service.Snapshot{}, err
	}
	for id := range read.Accounts {
		if item, ok := items[accountKey(id)]; ok {
			i, err1 := decode[accountItem](item)
			account, err2 := i.account(id)
			read.Accounts[id], err = account, errors.Join(err, err1, err2)
		}
	}
	for k := range read.Profiles {
		if item, ok := items[profileKey(k)]; ok {
			i, err1 := decode[profileItem](item)
			p, err2 := i.profile()
			read.Profiles[k], err = p, errors.Join(err, err1, err2)
		}
	}
	for id := range read.People {
		if item, ok := items[personKey(id)]; ok {
			i, err1 := decode[personItem](item)
			person, err2 := i.person(id)
			read.People[id], err = person, errors.Join(err, err1, err2)
		}
	}
	for k := range read.Pairs {
		if item, ok := items[pairKey(k)]; ok {
			i, err1 := decode[pairItem](item)
			pair, err2 := i.pair()
			read.Pairs[k], err = pair, errors.Join(err, err1, err2)
		}
	}
	for k := range read.Calls {
		if item, ok := items[callKey(k)]; ok {
			i, err1 := decode[callItem](item)
			call, err2 := i.call()
			read.Calls[k], err = call, errors.Join(err, err1, err2)
		}
	}
	return read, err
}

// batch reads items by key. It returns those that exist.
func (t *Table) batch(ctx context.Context, keys []key) (map[key]map[string]types.AttributeValue, error) {
	items := make(map[key]map[string]types.AttributeValue, len(keys))
	var todo []map[string]types.AttributeValue
	for _, k := range keys {
		todo = append(todo, k.attributes())
	}
	for pause := 10 * time.Millisecond; len(todo) > 0; {
		n := min(len(todo), batchLimit)
		out, err := t.db.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{
			RequestItems: map[string]types.KeysAndAttributes{t.name: {Keys: todo[:n], ConsistentRead: aws.Bool(true)}},
		})
		if err != nil {
			return nil, fmt.Errorf("table: batch read: %w", busy(err))
		}
		for _, item := range out.Responses[t.name] {
			items[keyOf(item)] = item
		}
		left := out.UnprocessedKeys[t.name].Keys
		todo = append(left, todo[n:]...)
		if len(left) == 0 {
			continue
		}
		// DynamoDB read only part of the batch: it is short of capacity.
		select {
		case <-time.After(pause):
			pause = min(2*pause, time.Second)
		case <-ctx.Done():
			return nil, fmt.Errorf("table: batch read: %w", service.Busy(ctx.Err()))
		}
	}
	return items, nil
}

// Save writes the changes in one transaction. Each item is put on the condition
// that it still has the version that was read, and everything else that was read
// is checked for the same. A condition that fails is service.ErrConflict, and
// another transaction on the same items service.ErrContended.
func (t *Table) Save(ctx context.Context, read service.Snapshot, c service.Changes) error {
	w := writer{table: t.name, was: map[key]int{}, limits: map[int]error{}}
	for id, a := range read.Accounts {
		w.was[accountKey(id)] = a.Version
	}
	for k, p := range read.Profiles {
		w.was[profileKey(k)] = p.Version
	}
	for id, p := range read.People {
		w.was[personKey(id)] = p.Version
	}
	for k, p := range read.Pairs {
		w.was[pairKey(k)] = p.Version
	}
	for k, c := range read.Calls {
		w.was[callKey(k)] = c.Version
	}
	for _, a := range c.Accounts {
		w.put(accountKey(a.ID), fromAccount(a))
	}
	for _, p := range c.Profiles {
		w.put(profileKey(p.ProfileKey), fromProfile(p))
	}
	for _, p := range c.People {
		w.put(personKey(p.ID), fromPerson(p))
	}
	for _, p := range c.Pairs {
		w.put(pairKey(p.PairKey), fromPair(p))
	}
	for _, call := range c.Calls {
		w.put(callKey(call.CallKey), fromCall(call))
	}
	for _, k := range c.GoneProfiles {
		w.delete(profileKey(k))
	}
	for _, id := range c.GoneAccounts {
		w.delete(accountKey(id))
	}
	for _, id := range c.GonePeople {
		w.delete(personKey(id))
	}
	for _, k := range c.GonePairs {
		w.delete(pairKey(k))
	}
	for k, version := range w.was {
		w.check(k, version)
	}
	for _, e := range c.Events {
		w.was[eventKey(EventKey{e.Addressee, e.ID})] = 0
		w.put(eventKey(EventKey{e.Addressee, e.ID}), fromEvent(e))
	}
	for _, m := range c.Counts {
		w.count(m)
	}
	for _, m := range c.PersonCounts {
		w.countPerson(m)
	}
	if w.err != nil {
		return w.err
	}
	return t.transact(ctx, &w, c.Events, c.GiveUpAt)
}

// writer builds one transaction.
type writer struct {
	table string
	// was are the versions that were read of what is not written yet.
	was   map[key]int
	items []types.TransactWriteItem
	// limits are the errors of failed conditions, by the item's position; any
	// other failed condition is a lost race.
	limits map[int]error
	err    error
}

func (w *writer) put(k key, item any) {
	version, ok := w.was[k]
	if !ok {
		w.err = errors.Join(w.err, fmt.Errorf("table: %s %s is written without having been read, or twice", k.pk, k.sk))
		return
	}
	delete(w.was, k)
	attributes, err := encode(item)
	if err != nil {
		w.err = errors.Join(w.err, err)
		return
	}
	put := &types.Put{TableName: &w.table, Item: attributes}
	put.ConditionExpression, put.ExpressionAttributeNames, put.ExpressionAttributeValues = unchanged(k, version)
	w.items = append(w.items, types.TransactWriteItem{Put: put})
}

func (w *writer) check(k key, version int) {
	check := &types.ConditionCheck{TableName: &w.table, Key: k.attributes()}
	check.ConditionExpression, check.ExpressionAttributeNames, check.ExpressionAttributeValues = unchanged(k, version)
	w.items = append(w.items, types.TransactWriteItem{ConditionCheck: check})
}

func (w *writer) delete(k key) {
	version, ok := w.was[k]
	if !ok {
		w.err = errors.Join(w.err, fmt.Errorf("table: %s %s is deleted without having been read, or is also written", k.pk, k.sk))
		return
	}
	delete(w.was, k)
	gone := &types.Delete{TableName: &w.table, Key: k.attributes()}
	gone.ConditionExpression, gone.ExpressionAttributeNames, gone.ExpressionAttributeValues = unchanged(k, version)
	w.items = append(w.items, types.TransactWriteItem{Delete: gone})
}

// count moves an agency's counts. They are sums, so they need no condition except
// their limits.
func (w *writer) count(m service.CountChange) {
	month := map[string]int{}
	for event, n := range m.Happened {
		month[string(event)] = n
	}
	now := adding(map[string]int{"owned": m.Owned, "connected": m.Connected, "pending": m.Pending, "invited": m.Invited})
	switch {
	case m.NoClients:
		now.require(none("owned")+" AND "+none("connected")+" AND "+none("pending"), map[string]int{":zero": 0})
		w.add(countKey(m.Agency, nowSort), now, service.ErrHasClients)
	case m.MaxPending > 0:
		now.require(lessThan("pending"), map[string]int{":max": m.MaxPending - m.Pending + 1})
		w.add(countKey(m.Agency, nowSort), now, service.ErrTooManyOpen)
	case m.MaxInvited > 0:
		now.require(lessThan("invited"), map[string]int{":max": m.MaxInvited - m.Invited + 1})
		w.add(countKey(m.Agency, nowSort), now, service.ErrTooManyInvited)
	default:
		w.add(countKey(m.Agency, nowSort), now, nil)
	}
	w.add(countKey(m.Agency, monthSort(m.Month)), adding(month), nil)
	if m.Requests == 0 {
		return
	}
	requests := adding(map[string]int{"requests": m.Requests})
	if m.DayBelow > 0 {
		requests.require(lessThan("requests"), map[string]int{":max": m.DayBelow})
	}
	requests.expireAt(m.Day.Add(limitRetention))
	w.add(limitKey(agency.Party(m.Agency), m.Day), requests, service.ErrTooManyToday)
}

// countPerson adds to a person's counts of a day.
func (w *writer) countPerson(m service.PersonCount) {
	by, most := map[string]int{}, map[string]int{}
	var conditions []string
	counted := slices.Sorted(maps.Keys(m.Max))
	for _, what := range counted {
		by[string(what)] = 1
		if n := m.Max[what]; n > 0 {
			value := ":max" + strconv.Itoa(len(conditions))
			conditions = append(conditions, below(string(what), value))
			most[value] = n
		}
	}
	counts := adding(by)
	if len(conditions) > 0 {
		counts.require(strings.Join(conditions, " AND "), most)
	}
	counts.expireAt(m.Day.Add(limitRetention))
	w.add(limitKey(agency.Party(m.Person), m.Day), counts, &service.PersonLimitError{Counted: counted})
}

// limitRetention is how long the counts of a day are kept, for DynamoDB to delete.
const limitRetention = 3 * 24 * time.Hour

// addition adds to the numbers of one item.
type addition struct {
	sums, sets []string
	condition  string
	names      map[string]string
	values     map[string]types.AttributeValue
}

// adding returns the addition of everything that is not 0.
func adding(by map[string]int) *addition {
	a := &addition{names: map[string]string{}, values: map[string]types.AttributeValue{}}
	for _, attribute := range slices.Sorted(maps.Keys(by)) {
		if n := by[attribute]; n != 0 {
			// Types of events, which contain dots, are among the attributes.
			i := strconv.Itoa(len(a.sums))
			a.sums = append(a.sums, "#add"+i+" :add"+i)
			a.names["#add"+i], a.values[":add"+i] = attribute, number(n)
		}
	}
	return a
}

// require makes the addition depend on a condition.
func (a *addition) require(condition string, values map[string]int) {
	a.condition = condition
	maps.Copy(a.names, names(condition))
	for name, n := range values {
		a.values[name] = number(n)
	}
}

// lessThan is the condition that a number, which may be missing, is below :max;
// none that it is :zero.
func lessThan(attribute string) string { return below(attribute, ":max") }

func below(attribute, value string) string {
	return "(attribute_not_exists(#" + attribute + ") OR #" + attribute + " < " + value + ")"
}

func none(attribute string) string {
	return "(attribute_not_exists(#" + attribute + ") OR #" + attribute + " = :zero)"
}

// expireAt sets until when the item is kept.
func (a *addition) expireAt(until time.Time) {
	a.sets = append(a.sets, "#ttl = :ttl")
	a.names["#ttl"] = "ttl"
	a.values[":ttl"] = epoch(until)
}

func (w *writer) add(k key, a *addition, failed error) {
	if len(a.sums) == 0 && a.condition == "" {
		return
	}
	var expression []string
	if len(a.sums) > 0 {
		expression = append(expression, "ADD "+strings.Join(a.sums, ", "))
		if len(a.sets) > 0 {
			expression = append(expression, "SET "+strings.Join(a.sets, ", "))
		}
	}
	update := strings.Join(expression, " ")
	item := types.TransactWriteItem{}
	if update == "" {
		item.ConditionCheck = &types.ConditionCheck{
			TableName: &w.table, Key: k.attributes(), ConditionExpression: &a.condition,
			ExpressionAttributeNames: a.names, ExpressionAttributeValues: a.values,
		}
	} else {
		item.Update = &types.Update{
			TableName: &w.table, Key: k.attributes(), UpdateExpression: &update,
			ExpressionAttributeNames: a.names, ExpressionAttributeValues: a.values,
		}
		if a.condition != "" {
			item.Update.ConditionExpression = &a.condition
		}
	}
	if failed != nil {
		w.limits[len(w.items)] = failed
	}
	w.items = append(w.items, item)
}

// unchanged is the condition that an item has the version that was read; 0 for one
// that did not exist. Pairs have one condition for both, so that the size of the
// call does not show whether there was one.
func unchanged(k key, version int) (*string, map[string]string, map[string]types.AttributeValue) {
	condition := "#version = :version"
	if strings.HasPrefix(k.sk, pairPrefix) {
		condition = "attribute_not_exists(pk) OR #version = :version"
	} else if version == 0 {
		return aws.String("attribute_not_exists(pk)"), nil, nil
	}
	return &condition, map[string]string{"#version": "version"}, map[string]types.AttributeValue{":version": number(version)}
}

func (k key) attributes() map[string]types.AttributeValue {
	return map[string]types.AttributeValue{"pk": text(k.pk), "sk": text(k.sk)}
}

func keyOf(item map[string]types.AttributeValue) key {
	return key{textOf(item["pk"]), textOf(item["sk"])}
}

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func textOf(v types.AttributeValue) string {
	if s, ok := v.(*types.AttributeValueMemberS); ok {
		return s.Value
	}
	return ""
}

func number(n int) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.Itoa(n)}
}

// epoch is a time in the form of DynamoDB's TTL.
func epoch(t time.Time) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(t.Unix(), 10)}
}
