package table

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"agencyhub/shared/agency"
	"agencyhub/shared/service"
)

// Team lists the profiles at an addressee, agencies first.
func (t *Table) Team(ctx context.Context, at agency.Party, page service.Page) (service.List[agency.Profile], error) {
	return list(ctx, t, query{
		pk: "pk", partition: partition(at), sk: "sk", from: teamPrefix, consistent: true,
	}, page, profileOf)
}

// Pairs lists an addressee's pairs.
func (t *Table) Pairs(ctx context.Context, at agency.Party, page service.Page) (service.List[agency.Pair], error) {
	return list(ctx, t, query{
		pk: "pk", partition: partition(at), sk: "sk", from: pairPrefix, consistent: true,
	}, page, func(item map[string]types.AttributeValue) (agency.Pair, error) {
		i, err1 := decode[pairItem](item)
		p, err2 := i.pair()
		return p, errors.Join(err1, err2)
	})
}

// Where statuses start in the sort keys of a member: all of them behind the agency's
// events, whose prefix is in upper case, and the ended ones behind "active".
const (
	allStatuses   = "a"
	endedStatuses = "b"
)

// Clients lists an agency's profiles by status and name.
func (t *Table) Clients(ctx context.Context, id agency.AccountID, filter service.ClientFilter, page service.Page) (service.List[agency.Profile], error) {
	q := query{index: "ByMember", pk: "memberPk", partition: string(id), sk: "memberSk"}
	switch {
	case filter.Status != "":
		q.from = string(filter.Status) + "#" + agency.Fold(filter.Prefix)
	case filter.Ended:
		// Pending profiles sort between the ended ones, and their number is bounded.
		q.from, q.open = endedStatuses, true
		q.not, q.differs = "status", text(string(agency.Pending))
	default:
		q.from, q.open = allStatuses, true
	}
	if filter.Ownership != "" {
		q.only, q.equals = "ownership", text(string(filter.Ownership))
	}
	return list(ctx, t, q, page, profileOf)
}

// Memberships lists the profiles by which a person has access to accounts, by
// name.
func (t *Table) Memberships(ctx context.Context, id agency.PersonID, page service.Page) (service.List[agency.Profile], error) {
	return list(ctx, t, query{index: "ByMember", pk: "memberPk", partition: string(id), sk: "memberSk"}, page, profileOf)
}

// Invitations lists a person's open invitations that are not muted, oldest first.
func (t *Table) Invitations(ctx context.Context, id agency.PersonID, page service.Page) (service.List[agency.Profile], error) {
	q := query{index: "ByMember", pk: "memberPk", partition: invitedPrefix + string(id), sk: "memberSk"}
	q.only, q.equals = "muted", number(0)
	return list(ctx, t, q, page, profileOf)
}

// FormerMemberships lists a person's ended profiles that still hold their
// address.
func (t *Table) FormerMemberships(ctx context.Context, id agency.PersonID, page service.Page) (service.List[agency.Profile], error) {
	return list(ctx, t, query{index: "ByMember", pk: "memberPk", partition: formerPrefix + string(id), sk: "memberSk"}, page, profileOf)
}

// Activity lists events, newest first: an account's, or one agency's there or,
// without an account, one agency's anywhere.
func (t *Table) Activity(ctx context.Context, at agency.Party, of agency.AccountID, page service.Page) (service.List[agency.Event], error) {
	q := query{pk: "pk", partition: partition(at), sk: "sk", from: eventPrefix, backward: true, consistent: true}
	q.only, q.equals = "muted", number(0)
	if of != "" {
		// The agency's own events are read, so that not even the length of a page
		// depends on others.
		q = query{index: "ByMember", pk: "memberPk", partition: string(of), sk: "memberSk", from: eventPrefix, backward: true}
		if at != "" {
			q.only, q.equals = "addressee", text(string(at))
		}
	}
	return list(ctx, t, q, page, func(item map[string]types.AttributeValue) (agency.Event, error) {
		i, err1 := decode[eventItem](item)
		e, err2 := i.event()
		return e, errors.Join(err1, err2)
	})
}

// Counts reads an agency's present counts.
func (t *Table) Counts(ctx context.Context, id agency.AccountID) (service.Counts, error) {
	out, err := t.db.GetItem(ctx, &dynamodb.GetItemInput{
		TableName: &t.name, Key: countKey(id, nowSort).attributes(), ConsistentRead: aws.Bool(true),
	})
	if err != nil {
		return service.Counts{}, fmt.Errorf("table: counts: %w", busy(err))
	}
	return countsOf(out.Item)
}

// Months reads an agency's present counts and those of its months since an
// instant. The months sort before "now", as digits sort before letters.
func (t *Table) Months(ctx context.Context, id agency.AccountID, since time.Time) (service.Counts, []service.Month, error) {
	out, err := t.db.Query(ctx, &dynamodb.QueryInput{
		TableName: &t.name, ConsistentRead: aws.Bool(true),
		KeyConditionExpression:    aws.String("pk = :pk AND sk >= :since"),
		ExpressionAttributeValues: map[string]types.AttributeValue{":pk": text(countKey(id, "").pk), ":since": text(monthSort(since))},
	})
	if err != nil {
		return service.Counts{}, nil, fmt.Errorf("table: months: %w", busy(err))
	}
	var now service.Counts
	var months []service.Month
	for _, item := range out.Items {
		if keyOf(item).sk == nowSort {
			now, err = countsOf(item)
		} else {
			var m service.Month
			m, err = monthOf(item)
			months = append(months, m)
		}
		if err != nil {
			return service.Counts{}, nil, err
		}
	}
	return now, months, nil
}

func countsOf(item map[string]types.AttributeValue) (service.Counts, error) {
	i, err := decode[struct {
		Owned     int `dynamodbav:"owned"`
		Connected int `dynamodbav:"connected"`
		Pending   int `dynamodbav:"pending"`
	}](item)
	return service.Counts(i), err
}

// monthOf reads a month. Its attributes, except for its key, are types of events.
func monthOf(item map[string]types.AttributeValue) (service.Month, error) {
	begin, err := parseMonthSort(keyOf(item).sk)
	m := service.Month{Begin: begin, Happened: map[agency.EventType]int{}}
	for name, value := range item {
		n, ok := value.(*types.AttributeValueMemberN)
		if !ok {
			continue
		}
		times, err1 := strconv.Atoi(n.Value)
		m.Happened[agency.EventType(name)], err = times, errors.Join(err, err1)
	}
	return m, err
}

func profileOf(item map[string]types.AttributeValue) (agency.Profile, error) {
	i, err1 := decode[profileItem](item)
	p, err2 := i.profile()
	return p, errors.Join(err1, err2)
}

// query is one partition of the table or of an index, or a range of it.
type query struct {
	index         string
	pk, partition string
	// sk is the sort key's name, and from its prefix; with open, from is where a
	// range without an end starts.
	sk, from string
	open     bool
	// only is an attribute that must equal equals, and not one that must differ
	// from differs; "" for none.
	only, not            string
	equals, differs      types.AttributeValue
	backward, consistent bool
}

// rounds bounds how often a list asks DynamoDB for one page if a filter drops
// most of what it read.
const maxRounds = 5

// list reads one page of a query.
func list[T any](ctx context.Context, t *Table, q query, page service.Page, read func(map[string]types.AttributeValue) (T, error)) (service.List[T], error) {
	var out service.List[T]
	start, err := t.start(q, page.Cursor)
	if err != nil {
		return out, err
	}
	limit := min(max(page.Limit, 1), 1000)
	for range maxRounds {
		input := q.input(t.name)
		input.ExclusiveStartKey = start
		input.Limit = aws.Int32(int32(limit - len(out.Items)))
		answer, err := t.db.Query(ctx, input)
		if err != nil {
			return service.List[T]{}, fmt.Errorf("table: query: %w", busy(err))
		}
		for _, item := range answer.Items {
			one, err := read(item)
			if err != nil {
				return service.List[T]{}, err
			}
			out.Items = append(out.Items, one)
		}
		if start = answer.LastEvaluatedKey; start == nil || len(out.Items) >= limit {
			break
		}
	}
	out.Next, err = t.cursor(q, start)
	return out, err
}

func (q query) input(table string) *dynamodb.QueryInput {
	input := &dynamodb.QueryInput{
		TableName: &table, ScanIndexForward: aws.Bool(!q.backward), ConsistentRead: aws.Bool(q.consistent),
		KeyConditionExpression:    aws.String("#pk = :pk"),
		ExpressionAttributeNames:  map[string]string{"#pk": q.pk},
		ExpressionAttributeValues: map[string]types.AttributeValue{":pk": text(q.partition)},
	}
	if q.index != "" {
		input.IndexName = &q.index
	}
	if q.from != "" {
		input.ExpressionAttributeNames["#sk"], input.ExpressionAttributeValues[":sk"] = q.sk, text(q.from)
		*input.KeyConditionExpression += " AND begins_with(#sk, :sk)"
		if q.open {
			*input.KeyConditionExpression = "#pk = :pk AND #sk >= :sk"
		}
	}
	var filters []string
	if q.only != "" {
		filters = append(filters, "#only = :only")
		input.ExpressionAttributeNames["#only"], input.ExpressionAttributeValues[":only"] = q.only, q.equals
	}
	if q.not != "" {
		filters = append(filters, "#not <> :not")
		input.ExpressionAttributeNames["#not"], input.ExpressionAttributeValues[":not"] = q.not, q.differs
	}
	if len(filters) > 0 {
		input.FilterExpression = aws.String(strings.Join(filters, " AND "))
	}
	return input
}

// A cursor is a position in a list, sealed: only the same query of the same table
// opens it, and it shows nobody what is at the position, which can be a row that
// they must not see. It is no right, since the partition comes from the query and
// the position must lie in it.
type position struct {
	PK, SK string
	Member string `json:",omitempty"`
}

// newSeal makes the seal of a table's cursors. Its key is derived from the
// table's name, which ends in random letters of CloudFormation. All that depends
// on it is that positions can't be read.
func newSeal(table string) (key [sha256.Size]byte, seal cipher.AEAD) {
	key = sha256.Sum256([]byte("cursors of " + table))
	block, err := aes.NewCipher(key[:])
	if err == nil {
		seal, err = cipher.NewGCM(block)
	}
	if err != nil {
		panic(err) // a key of 32 bytes always makes a cipher
	}
	return key, seal
}

// identity is the text that distinguishes one query from another.
func (q query) identity() []byte {
	var all []byte
	for _, part := range []string{q.index, q.partition, q.from, strconv.FormatBool(q.open), q.only, textOf(q.equals), q.not, textOf(q.differs)} {
		all = strconv.AppendQuote(all, part)
	}
	return all
}

func (t *Table) cursor(q query, last map[string]types.AttributeValue) (string, error) {
	if last == nil {
		return "", nil
	}
	k := keyOf(last)
	at, err := json.Marshal(position{PK: k.pk, SK: k.sk, Member: textOf(last["memberSk"])})
	if err != nil {
		return "", fmt.Errorf("table: cursor: %w", err)
	}
	// The nonce is derived from what is sealed, so that one position has one
	// cursor.
	mac := hmac.New(sha256.New, t.sealKey[:])
	_, _ = mac.Write(append(q.identity(), at...)) // a hash never fails
	nonce := mac.Sum(nil)[:t.seal.NonceSize()]
	return base64.RawURLEncoding.EncodeToString(t.seal.Seal(nonce, nonce, at, q.identity())), nil
}

func (t *Table) start(q query, cursor string) (map[string]types.AttributeValue, error) {
	if cursor == "" {
		return nil, nil
	}
	refusal := &agency.Error{
		Code: agency.Invalid, Message: "This cursor is not of this list. Begin again without one.",
		Fields: []agency.FieldError{{Field: "cursor", Message: "Not a cursor of this list."}},
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil || len(raw) < t.seal.NonceSize() {
		return nil, refusal
	}
	at, err := t.seal.Open(nil, raw[:t.seal.NonceSize()], raw[t.seal.NonceSize():], q.identity())
	var p position
	if err != nil || json.Unmarshal(at, &p) != nil || !q.holds(p) {
		return nil, refusal
	}
	start := key{p.PK, p.SK}.attributes()
	if q.index != "" {
		start[q.pk], start[q.sk] = text(q.partition), text(p.Member)
	}
	return start, nil
}

// holds reports whether a position lies in the query's own range. DynamoDB fails
// on one that does not.
func (q query) holds(p position) bool {
	sort := p.Member
	if q.index == "" {
		if p.PK != q.partition {
			return false
		}
		sort = p.SK
	}
	if p.PK == "" || p.SK == "" || sort == "" {
		return false
	}
	if q.open {
		return sort >= q.from
	}
	return strings.HasPrefix(sort, q.from)
}
