package table

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"agencyhub/shared/agency"
	"agencyhub/shared/outbox"
	"agencyhub/shared/service"
)

func FuzzPairKey(f *testing.F) {
	f.Add("ACCT#"+string(account1), "PAIR#"+string(account2))
	f.Fuzz(func(t *testing.T, pk, sk string) {
		p, err := parsePairKey(pk, sk)
		if err != nil {
			return
		}
		if k := pairKey(p); k.pk != pk || k.sk != sk || !p.Addressee.IsValid() || !p.Asker.IsValid() {
			t.Errorf("%q %q is %v, whose key is %v", pk, sk, p, k)
		}
	})
}

// No key is read as two kinds of thing.
func FuzzKindsOfKeys(f *testing.F) {
	f.Add("ACCT#"+string(account1), "ACCT")
	f.Add("HELD#"+string(agency.Mailbox("ann@client.test")), "HELD")
	f.Fuzz(func(t *testing.T, pk, sk string) {
		var kinds []string
		if _, err := parseProfileKey(pk, sk); err == nil {
			kinds = append(kinds, "profile")
		}
		if _, err := parsePairKey(pk, sk); err == nil {
			kinds = append(kinds, "pair")
		}
		if _, err := ParseEventKey(pk, sk); err == nil {
			kinds = append(kinds, "event")
		}
		if _, err := parseCallKey(pk, sk); err == nil {
			kinds = append(kinds, "call")
		}
		if _, err := parseSessionKey(pk, sk); err == nil {
			kinds = append(kinds, "session")
		}
		if box, ok := parseMailbox(pk); ok && sk == heldSort {
			kinds = append(kinds, "digest")
			if k := heldKey(box); k.pk != pk {
				t.Errorf("%q is of %q, whose key is %v", pk, box, k)
			}
		}
		if p, err := parsePartition(pk); err == nil {
			if partition(p) != pk {
				t.Errorf("%q is of %q, whose partition is %q", pk, p, partition(p))
			}
			if sk == accountSort || sk == personSort {
				kinds = append(kinds, "account or person")
			}
		}
		if len(kinds) > 1 {
			t.Errorf("%q %q is all of %q", pk, sk, kinds)
		}
	})
}

// What is read of a stamp or a month is written as the same text.
func FuzzStamp(f *testing.F) {
	f.Add("2026-11-23T12:00:00.000Z")
	f.Add("2026-11")
	f.Fuzz(func(t *testing.T, text string) {
		if at, err := unstamp(text); err == nil && !at.IsZero() && stamp(at) != text {
			t.Errorf("%q is written as %q", text, stamp(at))
		}
		if month, err := parseMonthSort(text); err == nil && monthSort(month) != text {
			t.Errorf("the month %q is written as %q", text, monthSort(month))
		}
	})
}

// A cursor opens for the query that made it alone, and leads into its range.
func FuzzPosition(f *testing.F) {
	f.Add("ByMember", string(account2), "active#", false, "ByMember", string(account2), "a", false, "ACCT#"+string(account1), "TEAM#"+string(account2), "active#acme", 7)
	f.Fuzz(func(t *testing.T, index, of, from string, open bool, index2, of2, from2 string, open2 bool, pk, sk, member string, changed int) {
		store := New(nil, "Hub")
		query1 := query{index: index, pk: "pk", partition: of, sk: "sk", from: from, open: open}
		query2 := query{index: index2, pk: "pk", partition: of2, sk: "sk", from: from2, open: open2}
		if index != "" {
			query1.pk, query1.sk = "memberPk", "memberSk"
		}
		row := key{pk, sk}.attributes()
		row["memberSk"] = text(member)
		cursor, err := store.cursor(query1, row)
		if err != nil {
			t.Fatal(err)
		}
		start, err := store.start(query1, cursor)
		if err != nil && agency.CodeOf(err) != agency.Invalid {
			t.Errorf("%v", err)
		}
		if err == nil {
			partition, sort := textOf(start[query1.pk]), textOf(start[query1.sk])
			if partition != of || sort == "" || !open && !strings.HasPrefix(sort, from) || open && sort < from {
				t.Errorf("%+v: the cursor leads to %v", query1, start)
			}
		}
		if good := query1.holds(position{PK: pk, SK: sk, Member: member}); good && utf8.ValidString(pk+sk+member) && err != nil {
			t.Errorf("%+v: its own cursor does not open", query1)
		}
		same := index == index2 && of == of2 && from == from2 && open == open2
		if start, err := store.start(query2, cursor); err == nil && !same {
			t.Errorf("a cursor of %+v opens for %+v: %v", query1, query2, start)
		}
		raw, err := base64.RawURLEncoding.DecodeString(cursor)
		if err != nil {
			t.Fatal(err)
		}
		raw[uint(changed)%uint(len(raw))] ^= 1
		if _, err := store.start(query1, base64.RawURLEncoding.EncodeToString(raw)); err == nil {
			t.Error("with another byte it opens")
		}
	})
}

// itemKinds decode an item of each kind, and encode what was read.
var itemKinds = []struct {
	name  string
	valid any
	read  func(map[string]types.AttributeValue) (value, item any, err error)
}{
	{"account", fromAccount(agency.Account{ID: account1, Name: "Shop", Ownership: agency.ClientOwned, Owners: 1, Subscription: agency.Subscription{Plan: "starter", State: agency.SubscriptionActive}, CreatedAt: noon, Version: 1}),
		readItem(func(i accountItem) (agency.Account, error) { return i.account(account1) }, fromAccount)},
	{"profile", fromProfile(agency.Profile{ProfileKey: agency.AgencyAt(account1, account2), Status: agency.Active, Areas: agency.Areas{"pages": agency.Edit}, Since: noon, Version: 2}),
		readItem(profileItem.profile, fromProfile)},
	{"person", fromPerson(agency.Person{ID: person1, FirstAt: noon, Version: 1}),
		readItem(func(i personItem) (agency.Person, error) { return i.person(person1) }, fromPerson)},
	{"pair", fromPair(agency.Pair{PairKey: agency.PairKey{Addressee: agency.Party(account1), Asker: account2}, Mailed: []time.Time{noon}, Version: 1}),
		readItem(pairItem.pair, fromPair)},
	{"call", fromCall(service.Call{CallKey: service.CallKey{Agency: account1, Hash: hash1}, At: noon, Version: 1}),
		readItem(callItem.call, fromCall)},
	{"event", fromEvent(agency.Event{ID: event1, Addressee: agency.Party(account1), Type: agency.ConnectionAccepted, At: noon, WakeAt: noon, Version: 1}),
		readItem(eventItem.event, fromEvent)},
}

func readItem[Item, Value any](read func(Item) (Value, error), write func(Value) Item) func(map[string]types.AttributeValue) (any, any, error) {
	return func(item map[string]types.AttributeValue) (any, any, error) {
		i, err1 := decode[Item](item)
		value, err2 := read(i)
		if err := errors.Join(err1, err2); err != nil {
			return nil, nil, err
		}
		return value, write(value), nil
	}
}

// An item with arbitrary attributes is an error, or a value that is written and read as the
// same one. edits is a JSON object, laid over a valid item.
func FuzzItem(f *testing.F) {
	f.Add(byte(1), `{"status":"active"}`)
	f.Fuzz(func(t *testing.T, kind byte, edits string) {
		of := itemKinds[int(kind)%len(itemKinds)]
		item, err := encode(of.valid)
		if err != nil {
			t.Fatal(err)
		}
		var over map[string]any
		d := json.NewDecoder(bytes.NewReader([]byte(edits)))
		d.UseNumber()
		if d.Decode(&over) != nil {
			return
		}
		for name, value := range over {
			if name != "pk" && name != "sk" { // items are read by their keys
				item[name] = attributeOf(value)
			}
		}
		value, again, err := of.read(item)
		checkDueItem(t, item)
		if err != nil {
			return
		}
		checkStates(t, value)
		written, err := encode(again)
		if err != nil {
			t.Fatalf("%s %s: %v", of.name, edits, err)
		}
		back, _, err := of.read(written)
		if err != nil {
			t.Fatalf("%s %s is written as %v, which can't be read: %v", of.name, edits, written, err)
		}
		if diff := cmp.Diff(value, back, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s %s is read as another after a write: %s", of.name, edits, diff)
		}
	})
}

// checkStates fails for a value with a state that this version does not know.
func checkStates(t *testing.T, value any) {
	t.Helper()
	status, subscription := agency.Status(""), agency.SubscriptionState("")
	switch v := value.(type) {
	case agency.Profile:
		status, subscription = v.Status, v.Subscription.State
	case agency.Account:
		subscription = v.Subscription.State
	}
	if status != "" && !status.IsValid() {
		t.Errorf("the status %q is read", status)
	}
	switch subscription {
	case "", agency.SubscriptionActive, agency.SubscriptionPastDue, agency.SubscriptionCancelling, agency.SubscriptionFrozen:
	default:
		t.Errorf("the subscription %q is read", subscription)
	}
}

// checkDueItem reads an item as the sweep does: exactly one thing, or an error.
func checkDueItem(t *testing.T, item map[string]types.AttributeValue) {
	t.Helper()
	d, err := dueItem(item)
	if err != nil {
		return
	}
	n := 0
	for _, is := range []bool{d.Event != nil, d.Profile != nil, d.Account != "", d.Person != "", d.Mailbox != ""} {
		if is {
			n++
		}
	}
	if n != 1 || d.String() == "" {
		t.Errorf("%v is %d due things", item, n)
	}
}

// attributeOf returns a JSON value as an attribute.
func attributeOf(value any) types.AttributeValue {
	switch v := value.(type) {
	case string:
		return text(v)
	case json.Number:
		return &types.AttributeValueMemberN{Value: v.String()}
	case bool:
		return &types.AttributeValueMemberBOOL{Value: v}
	case []any:
		list := &types.AttributeValueMemberL{}
		for _, one := range v {
			list.Value = append(list.Value, attributeOf(one))
		}
		return list
	case map[string]any:
		m := &types.AttributeValueMemberM{Value: map[string]types.AttributeValue{}}
		for name, one := range v {
			if name != "" { // DynamoDB has no such name
				m.Value[name] = attributeOf(one)
			}
		}
		return m
	}
	return &types.AttributeValueMemberNULL{Value: true}
}

// A due item of arbitrary keys is exactly one thing, or an error.
func FuzzDueItem(f *testing.F) {
	f.Add("ACCT#"+string(account1), "ACCT", "2026-11-23T12:00:00.000Z", "", "", "")
	f.Fuzz(func(t *testing.T, pk, sk, due, at, wakes, status string) {
		item := key{pk, sk}.attributes()
		for name, value := range map[string]string{"dueSk": due, "at": at, "status": status} {
			item[name] = text(value)
		}
		item["wakes"] = &types.AttributeValueMemberN{Value: wakes}
		checkDueItem(t, item)
	})
}

// A mail's key comes apart as Mails reads it.
func FuzzMailKey(f *testing.F) {
	f.Add(string(event1), "request", string(person1))
	f.Fuzz(func(t *testing.T, event, kind, recipient string) {
		m, err := outbox.ParseMailTag(outbox.MailKey{Event: agency.EventID(event), Kind: kind, Recipient: agency.PersonID(recipient)}.Tag())
		if err != nil {
			return
		}
		k := mailKey(m)
		kind2, recipient2, _ := strings.Cut(k.sk, "#")
		if k.pk != mailPrefix+string(m.Event) || kind2 != m.Kind || recipient2 != string(m.Recipient) {
			t.Errorf("%v has the key %v", m, k)
		}
	})
}
