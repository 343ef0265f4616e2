// Package table keeps the domain in one DynamoDB table. It knows keys, indexes,
// conditions and transactions, and nothing of who may do what. It imports the
// domain and the DynamoDB client, and no other room.
package table

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"agencyhub/shared/agency"
)

// API is what the table calls of DynamoDB.
type API interface {
	BatchGetItem(context.Context, *dynamodb.BatchGetItemInput, ...func(*dynamodb.Options)) (*dynamodb.BatchGetItemOutput, error)
	GetItem(context.Context, *dynamodb.GetItemInput, ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error)
	Query(context.Context, *dynamodb.QueryInput, ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error)
	TransactWriteItems(context.Context, *dynamodb.TransactWriteItemsInput, ...func(*dynamodb.Options)) (*dynamodb.TransactWriteItemsOutput, error)
	UpdateItem(context.Context, *dynamodb.UpdateItemInput, ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error)
}

// Table is the agency.Store in DynamoDB, and what notify and cleanup need
// besides.
type Table struct {
	db   API
	name string
}

var _ agency.Store = (*Table)(nil)

// New is the table of that name.
func New(db API, name string) *Table { return &Table{db: db, name: name} }

// batchLimit is how many items DynamoDB reads in one batch.
const batchLimit = 100

// Load reads what is wanted, strongly consistent: one batch for up to 100
// items.
func (t *Table) Load(ctx context.Context, want agency.Want) (agency.Snapshot, error) {
	read := agency.Snapshot{
		Accounts: make(map[agency.AccountID]agency.Account, len(want.Accounts)),
		Profiles: make(map[agency.ProfileKey]agency.Profile, len(want.Profiles)),
		People:   make(map[agency.PersonID]agency.Person, len(want.People)),
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
	items, err := t.batch(ctx, keys)
	if err != nil {
		return agency.Snapshot{}, err
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
			read.People[id], err = agency.Person{ID: id, Email: i.Email, Teams: i.Teams, Version: i.Version}, errors.Join(err, err1)
		}
	}
	return read, err
}

// batch reads items by key; what does not exist is not in the answer.
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
			return nil, fmt.Errorf("table: batch read: %w", err)
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
			return nil, fmt.Errorf("table: batch read: %w", ctx.Err())
		}
	}
	return items, nil
}

// Save writes the changes in one transaction: each item put under the condition
// that it is still in the version that was read, everything else that was read
// checked for the same. A condition that fails, or another transaction on the
// same items, is agency.ErrConflict.
func (t *Table) Save(ctx context.Context, read agency.Snapshot, c agency.Changes) error {
	w := writer{table: t.name, was: map[key]int{}}
	for id, a := range read.Accounts {
		w.was[accountKey(id)] = a.Version
	}
	for k, p := range read.Profiles {
		w.was[profileKey(k)] = p.Version
	}
	for id, p := range read.People {
		w.was[personKey(id)] = p.Version
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
	if w.err != nil {
		return w.err
	}
	_, err := t.db.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: w.items})
	return translate(err)
}

// translate tells a lost race from a failure of the store.
func translate(err error) error {
	if err == nil {
		return nil
	}
	if cancelled, ok := errors.AsType[*types.TransactionCanceledException](err); ok {
		for _, reason := range cancelled.CancellationReasons {
			switch aws.ToString(reason.Code) {
			case "ConditionalCheckFailed", "TransactionConflict":
				return fmt.Errorf("%w: %w", agency.ErrConflict, err)
			}
		}
	}
	return fmt.Errorf("table: transaction: %w", err)
}

// writer gathers one transaction.
type writer struct {
	table string
	// was are the versions read of what has not been written yet.
	was   map[key]int
	items []types.TransactWriteItem
	err   error
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
	put.ConditionExpression, put.ExpressionAttributeNames, put.ExpressionAttributeValues = still(version)
	w.items = append(w.items, types.TransactWriteItem{Put: put})
}

func (w *writer) check(k key, version int) {
	check := &types.ConditionCheck{TableName: &w.table, Key: k.attributes()}
	check.ConditionExpression, check.ExpressionAttributeNames, check.ExpressionAttributeValues = still(version)
	w.items = append(w.items, types.TransactWriteItem{ConditionCheck: check})
}

// count moves an agency's counts. They are sums, so they need no condition.
func (w *writer) count(m agency.CountChange) {
	now := map[string]int{"owned": m.Owned, "connected": m.Connected, "pending": m.Pending}
	month := map[string]int{}
	for event, n := range m.Happened {
		month[string(event)] = n
	}
	w.add(countKey(m.Agency, nowSort), now)
	w.add(countKey(m.Agency, monthSort(m.Month)), month)
}

func (w *writer) add(k key, by map[string]int) {
	names, values, expression := map[string]string{}, map[string]types.AttributeValue{}, ""
	for attribute, n := range by {
		if n == 0 {
			continue
		}
		i := strconv.Itoa(len(names))
		names["#"+i], values[":"+i] = attribute, number(n)
		if expression != "" {
			expression += ", "
		}
		expression += "#" + i + " :" + i
	}
	if expression == "" {
		return
	}
	w.items = append(w.items, types.TransactWriteItem{Update: &types.Update{
		TableName: &w.table, Key: k.attributes(), UpdateExpression: aws.String("ADD " + expression),
		ExpressionAttributeNames: names, ExpressionAttributeValues: values,
	}})
}

// still is the condition that an item is in the version that was read; 0 is of
// an item that was not there.
func still(version int) (*string, map[string]string, map[string]types.AttributeValue) {
	if version == 0 {
		return aws.String("attribute_not_exists(pk)"), nil, nil
	}
	return aws.String("#version = :version"), map[string]string{"#version": "version"},
		map[string]types.AttributeValue{":version": number(version)}
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
