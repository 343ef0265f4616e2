// Package audit checks what a table holds against itself: the events against what they
// changed, against the emails and entries of the bus that follow from them, and against the
// counts. It reads the stored items by itself, and shares no code with what wrote them.
package audit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// State is what an event reports of a profile or an account.
type State struct {
	Name, Status, Role, Until, Expires, Plan, Subscription string
	Areas                                                  map[string]string
}

// An Event is a stored event.
type Event struct {
	PK, SK                                                    string
	Type, At, Addressee, Agency, Member, Actor, As, Ownership string
	Kind, Client, After, DuePK, DueSK, Published, Notified    string
	Request, Version, Muted                                   int
	Was, Now                                                  State
}

// ID is the event's id.
func (e Event) ID() string { return "evt_" + strings.TrimPrefix(e.SK, "EVENT#") }

// IsDigest reports whether the event starts a digest. It has no entry on the bus and is in no
// chain.
func (e Event) IsDigest() bool { return e.Type == "digest.due" }

// A Profile is a stored profile.
type Profile struct {
	PK, SK                                                                 string
	Status, Role, Ownership, Email, RequestKind, RequestState, RequestFrom string
	RequestedBy, RequestedAt, ExpiresAt, RemindAt, Until, Since, CloseAt   string
	LastEvent, DuePK, DueSK, Subject, SubscriptionState, Plan, FreezesAt   string
	Request, Version, Muted                                                int
	Areas                                                                  map[string]string
	Reached                                                                []string
}

// Addressee is the account, or the person asked by email, whose profile it is.
func (p Profile) Addressee() string { _, id, _ := strings.Cut(p.PK, "#"); return id }

// Member is the person or agency.
func (p Profile) Member() string { return strings.TrimPrefix(p.SK, "TEAM#") }

// isAgency reports whether the member is an agency.
func (p Profile) isAgency() bool { return strings.HasPrefix(p.Member(), "acct_") }

// hasOpenRequest reports whether a request, an invitation or an offer waits.
func (p Profile) hasOpenRequest() bool {
	offer := p.Status == "active" && p.RequestKind == "ownership" && p.RequestState == "open"
	return p.Status == "pending" || p.Status == "invited" || offer
}

// isEnded reports whether the profile is in one of the ended states.
func (p Profile) isEnded() bool {
	return p.Status != "active" && p.Status != "pending" && p.Status != "invited"
}

// An Account is a stored account.
type Account struct {
	PK, SK                                                     string
	Name, Ownership, Owner, Plan, SubscriptionState, FreezesAt string
	Closed, LastEvent, DuePK, DueSK                            string
	AgencyOn                                                   bool `dynamodbav:"hub"`
	Owners, Version                                            int
	Agencies                                                   []string
}

// A Person is a stored person.
type Person struct{ PK, SK, Erasing, DuePK, DueSK, FirstAt string }

// A Mail is an email of an event, or its entry on the bus.
type Mail struct {
	PK, SK, Fate, MessageID, LeaseUntil, FinishedAt string
	Attempts, Unconfirmed                           int
}

// Event is the id of the event.
func (m Mail) Event() string { return strings.TrimPrefix(m.PK, "MAIL#") }

// Kind is the kind of email; "bus" for an entry of the bus.
func (m Mail) Kind() string { kind, _, _ := strings.Cut(m.SK, "#"); return kind }

// Recipient is the person; "" for an entry of the bus.
func (m Mail) Recipient() string { _, id, _ := strings.Cut(m.SK, "#"); return id }

// Tag is the email's key as SES repeats it.
func (m Mail) Tag() string { return m.Event() + "-" + m.Kind() + "-" + m.Recipient() }

// Data is what a table holds.
type Data struct {
	Accounts map[string]Account // by id
	Profiles map[[2]string]Profile
	People   map[string]Person
	Events   []Event // in their order
	Mails    []Mail
	// Numbers are the numbers of items that count, by their keys.
	Numbers map[[2]string]map[string]int
	// Held are the numbers of the next digests of emails that are held, by mailbox; Digests the
	// mailboxes' items.
	Held    map[string][]int
	Digests map[string]struct {
		Digests int
		DueSK   string
	}

	at      map[string][]Event // by addressee
	mailsOf map[string][]Mail  // by event
}

// Scan reads a whole table.
func Scan(ctx context.Context, db *dynamodb.Client, table string) (*Data, error) {
	var items []map[string]types.AttributeValue
	for pages := dynamodb.NewScanPaginator(db, &dynamodb.ScanInput{TableName: &table, ConsistentRead: aws.Bool(true)}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("audit: %w", err)
		}
		items = append(items, page.Items...)
	}
	return Parse(items)
}

// Parse reads the items of a table. It fails for an item of a kind that it does not know.
func Parse(items []map[string]types.AttributeValue) (*Data, error) {
	d := &Data{Accounts: map[string]Account{}, Profiles: map[[2]string]Profile{}, People: map[string]Person{}, Numbers: map[[2]string]map[string]int{}, Held: map[string][]int{}}
	d.Digests = map[string]struct {
		Digests int
		DueSK   string
	}{}
	var failed error
	for _, item := range items {
		failed = errors.Join(failed, d.add(item))
	}
	slices.SortFunc(d.Events, func(a, b Event) int { return strings.Compare(a.SK, b.SK) })
	d.at, d.mailsOf = map[string][]Event{}, map[string][]Mail{}
	for _, e := range d.Events {
		d.at[e.Addressee] = append(d.at[e.Addressee], e)
	}
	for _, m := range d.Mails {
		d.mailsOf[m.Event()] = append(d.mailsOf[m.Event()], m)
	}
	return d, failed
}

func (d *Data) add(item map[string]types.AttributeValue) error {
	pk, sk := text(item["pk"]), text(item["sk"])
	kind, id, _ := strings.Cut(pk, "#")
	var err error
	switch {
	case strings.HasPrefix(sk, "EVENT#"):
		var e Event
		err = attributevalue.UnmarshalMap(item, &e)
		d.Events = append(d.Events, e)
	case strings.HasPrefix(sk, "TEAM#"):
		var p Profile
		err = attributevalue.UnmarshalMap(item, &p)
		d.Profiles[[2]string{p.Addressee(), p.Member()}] = p
	case kind == "ACCT" && sk == "ACCT":
		var a Account
		err = attributevalue.UnmarshalMap(item, &a)
		d.Accounts[id] = a
	case kind == "PERSON" && sk == "PERSON":
		var p Person
		err = attributevalue.UnmarshalMap(item, &p)
		d.People[id] = p
	case kind == "MAIL":
		var m Mail
		err = attributevalue.UnmarshalMap(item, &m)
		d.Mails = append(d.Mails, m)
	case kind == "COUNT", kind == "LIMIT":
		numbers := map[string]int{}
		for name, value := range item {
			if _, ok := value.(*types.AttributeValueMemberN); ok && name != "ttl" {
				var n int
				err = errors.Join(err, attributevalue.Unmarshal(value, &n))
				numbers[name] = n
			}
		}
		d.Numbers[[2]string{kind + "#" + id, sk}] = numbers
	case kind == "HELD" && strings.HasPrefix(sk, "MAIL#"):
		var h struct{ Digest int }
		err = attributevalue.UnmarshalMap(item, &h)
		d.Held[id] = append(d.Held[id], h.Digest)
	case kind == "HELD":
		var h struct {
			Digests int
			DueSK   string
		}
		err = attributevalue.UnmarshalMap(item, &h)
		d.Digests[id] = h
	case kind == "STOP", kind == "CALL", kind == "SESSION", pk == "FORM", pk == "SWEEP", strings.HasPrefix(sk, "PAIR#"):
	default:
		err = errors.New("an item of an unknown kind")
	}
	if err != nil {
		return fmt.Errorf("audit: %s %s: %w", pk, sk, err)
	}
	return nil
}

func text(v types.AttributeValue) string {
	if s, ok := v.(*types.AttributeValueMemberS); ok {
		return s.Value
	}
	return ""
}

// stamp is the layout of stored times.
const stamp = "2006-01-02T15:04:05.000Z"

// after returns a stored time and a duration; "" for a text that is no time.
func after(text string, d time.Duration) string {
	at, err := time.Parse(stamp, text)
	if err != nil {
		return ""
	}
	return at.Add(d).Format(stamp)
}
