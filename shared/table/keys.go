package table

import (
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
	"time"

	"agencyhub/shared/agency"
	"agencyhub/shared/outbox"
	"agencyhub/shared/service"
)

// Form is the number of the form of what is stored: keys, due marks, attributes. A
// change after which what was stored before is not read as it was meant raises it.
const Form = 3

// Keys are built and parsed only here, and only from ids: no address and no text
// of a caller is ever part of a primary key.
const (
	accountPrefix = "ACCT#"
	personPrefix  = "PERSON#"
	teamPrefix    = "TEAM#"
	eventPrefix   = "EVENT#"
	mailPrefix    = "MAIL#"
	countPrefix   = "COUNT#"
	pairPrefix    = "PAIR#"
	limitPrefix   = "LIMIT#"
	callPrefix    = "CALL#"
	formerPrefix  = "FORMER#"
	heldPrefix    = "HELD#"
	stopPrefix    = "STOP#"
	invitedPrefix = "INVITED#"
	sessionPrefix = "SESSION#"
	duePrefix     = "DUE#"

	accountSort = "ACCT"
	personSort  = "PERSON"
	nowSort     = "now"
	heldSort    = "HELD"
	stopSort    = "STOP"
	sweepSort   = "SWEEP"
	sessionSort = "SESSION"

	eventIDPrefix = "evt_"
)

// dueShards spreads each half of the due index, so that its one hot end is several.
// Events have the shards after those of everything else.
const dueShards = 4

// unnamed starts the name part of a profile whose account has no name for the
// agency yet. No name and no prefix contains it.
const unnamed = "\x7f"

type key struct{ pk, sk string }

func accountKey(id agency.AccountID) key {
	return key{accountPrefix + string(id), accountSort}
}

func personKey(id agency.PersonID) key {
	return key{personPrefix + string(id), personSort}
}

func profileKey(p agency.ProfileKey) key {
	return key{partition(p.Addressee), teamPrefix + string(p.Member)}
}

// partition is the partition key of everything about an addressee. That of a
// digest is a mailbox.
func partition(p agency.Party) string {
	if id := p.Person(); id != "" {
		return personPrefix + string(id)
	}
	if agency.MailboxID(p).IsValid() {
		return heldPrefix + string(p)
	}
	return accountPrefix + string(p)
}

// EventKey identifies an event by its addressee and its id.
type EventKey struct {
	Addressee agency.Party
	ID        agency.EventID
}

func eventKey(e EventKey) key {
	return key{partition(e.Addressee), eventSort(e.ID)}
}

func eventSort(id agency.EventID) string {
	return eventPrefix + strings.TrimPrefix(string(id), eventIDPrefix)
}

func mailKey(m outbox.MailKey) key {
	return key{mailPrefix + string(m.Event), m.Kind + "#" + string(m.Recipient)}
}

func pairKey(p agency.PairKey) key {
	return key{partition(p.Addressee), pairPrefix + string(p.Asker)}
}

func parsePairKey(pk, sk string) (agency.PairKey, error) {
	addressee, err := parsePartition(pk)
	if err != nil {
		return agency.PairKey{}, err
	}
	id, ok := strings.CutPrefix(sk, pairPrefix)
	if !ok || !agency.AccountID(id).IsValid() {
		return agency.PairKey{}, fmt.Errorf("table: no pair's sort key: %q", sk)
	}
	return agency.PairKey{Addressee: addressee, Asker: agency.AccountID(id)}, nil
}

// callKey is the key of a call under an Idempotency-Key, of which it has the hash.
func callKey(c service.CallKey) key {
	return key{callPrefix + string(c.Agency), c.Hash}
}

func parseCallKey(pk, sk string) (service.CallKey, error) {
	id, ok := strings.CutPrefix(pk, callPrefix)
	c := service.CallKey{Agency: agency.AccountID(id), Hash: sk}
	if !ok || !c.IsValid() {
		return service.CallKey{}, fmt.Errorf("table: no call's key: %q %q", pk, sk)
	}
	return c, nil
}

// stopKey is the key of what a mailbox's owner has stopped.
func stopKey(box agency.MailboxID) key { return key{stopPrefix + string(box), stopSort} }

// heldKey is the key of a mailbox's next digest. The emails held for it are in the
// same partition.
func heldKey(box agency.MailboxID) key { return key{heldPrefix + string(box), heldSort} }

func heldMailKey(box agency.MailboxID, m outbox.MailKey) key {
	return key{heldPrefix + string(box), mailPrefix + m.Tag()}
}

// parseMailbox reads the partition key of held emails.
func parseMailbox(pk string) (agency.MailboxID, bool) {
	id, ok := strings.CutPrefix(pk, heldPrefix)
	return agency.MailboxID(id), ok && agency.MailboxID(id).IsValid()
}

// sweepKey is the key of what the newest run of cleanup has reported.
func sweepKey() key { return key{sweepSort, sweepSort} }

func sessionKey(id SessionID) key { return key{sessionPrefix + string(id), sessionSort} }

func parseSessionKey(pk, sk string) (SessionID, error) {
	id, ok := strings.CutPrefix(pk, sessionPrefix)
	if !ok || sk != sessionSort || !SessionID(id).IsValid() {
		return "", fmt.Errorf("table: no session's key: %q %q", pk, sk)
	}
	return SessionID(id), nil
}

// mailboxLimitKey is the key of the counts of unsolicited mail to a mailbox of a UTC
// day.
func mailboxLimitKey(box agency.MailboxID, day time.Time) key {
	return limitKey(agency.Party(box), day)
}

// limitKey is the key of somebody's counts of a UTC day.
func limitKey(who agency.Party, day time.Time) key {
	return key{limitPrefix + string(who), day.UTC().Format("2006-01-02")}
}

func countKey(id agency.AccountID, sort string) key {
	return key{countPrefix + string(id), sort}
}

const monthLayout = "2006-01"

func monthSort(t time.Time) string { return t.UTC().Format(monthLayout) }

func parseMonthSort(sk string) (time.Time, error) { return time.Parse(monthLayout, sk) }

func parsePartition(pk string) (agency.Party, error) {
	id, ok := strings.CutPrefix(pk, accountPrefix)
	if ok && agency.AccountID(id).IsValid() {
		return agency.Party(id), nil
	}
	id, ok = strings.CutPrefix(pk, personPrefix)
	if ok && agency.PersonID(id).IsValid() {
		return agency.Party(id), nil
	}
	return "", fmt.Errorf("table: no addressee's partition: %q", pk)
}

// ParseEventKey reads the primary key of an event.
func ParseEventKey(pk, sk string) (EventKey, error) {
	addressee, err := parsePartition(pk)
	if box, ok := parseMailbox(pk); ok {
		addressee, err = agency.Party(box), nil
	}
	if err != nil {
		return EventKey{}, err
	}
	ulid, ok := strings.CutPrefix(sk, eventPrefix)
	id := agency.EventID(eventIDPrefix + ulid)
	if !ok || !id.IsValid() {
		return EventKey{}, fmt.Errorf("table: no event's sort key: %q", sk)
	}
	return EventKey{Addressee: addressee, ID: id}, nil
}

func parseProfileKey(pk, sk string) (agency.ProfileKey, error) {
	addressee, err := parsePartition(pk)
	if err != nil {
		return agency.ProfileKey{}, err
	}
	member, ok := strings.CutPrefix(sk, teamPrefix)
	if !ok || !agency.Party(member).IsValid() {
		return agency.ProfileKey{}, fmt.Errorf("table: no profile's sort key: %q", sk)
	}
	return agency.ProfileKey{Addressee: addressee, Member: agency.Party(member)}, nil
}

// memberSort orders a member's profiles: an agency's by status and then name, a
// person's by name, and their invitations by time.
func memberSort(p agency.Profile) string {
	if p.Status == agency.Invited {
		return stamp(p.Request.RequestedAt) + "#" + string(p.Addressee)
	}
	name := agency.Fold(p.AccountName)
	if p.Kind() == agency.PersonKind {
		return name
	}
	if name == "" {
		name = unnamed + string(p.Addressee)
	}
	return string(p.Status) + "#" + name
}

// dueShard spreads items over the due index by their own key, so that an item
// never moves from one shard to another.
func dueShard(k key) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(k.pk + k.sk)) // a hash never fails
	shard := int(h.Sum32() % dueShards)
	if strings.HasPrefix(k.sk, eventPrefix) {
		shard += dueShards
	}
	return duePartition(shard)
}

func duePartition(shard int) string { return duePrefix + strconv.Itoa(shard) }

// stampLayout has one width, so that stamps sort as their times do.
const stampLayout = "2006-01-02T15:04:05.000Z"

var lastStamp = time.Date(9999, 12, 31, 23, 59, 59, 999e6, time.UTC)

// A time beyond the last that fits is written as that one: what is written can
// always be read.
func stamp(t time.Time) string {
	t = t.UTC()
	switch {
	case t.IsZero():
		return ""
	case t.After(lastStamp):
		t = lastStamp
	}
	return t.Format(stampLayout)
}

// unstamp reads a stamp; "" is the zero time. What has not the form of one is an error:
// time.Parse also reads texts that would not sort as their times do.
func unstamp(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	at, err := time.Parse(stampLayout, s)
	if err == nil && at.Format(stampLayout) != s {
		return time.Time{}, fmt.Errorf("table: %q is no stamp", s)
	}
	return at, err
}
