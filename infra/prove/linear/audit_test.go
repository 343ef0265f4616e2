package linear

import (
	"fmt"
	"maps"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// stored is what the audit reads of any item.
type stored struct {
	PK, SK, DuePK, DueSK                   string
	Status, Ownership, Role, Until         string
	RequestKind, RequestState, RequestFrom string
	CloseAt, LastEvent, Closed, FreezesAt  string
	SubscriptionState                      string
	Unpaid                                 *bool
	Version, Owners                        int
	Agencies                               []string
	// of an event
	Type, Member, Agency, After, Client, At string
	Request                                 int
	// of an agency's counts
	Owned, Connected, Pending, Invited int
}

// key is the key of an item, as Items names it.
func (i stored) key() string { return i.PK + " " + i.SK }

// id is the id of an event.
func (i stored) id() string { return "evt_" + strings.TrimPrefix(i.SK, "EVENT#") }

// isOfPair reports whether an event is of a pair, whose versions are the pair's.
func (i stored) isOfPair() bool { return i.Type == "agency.blocked" || i.Type == "agency.unblocked" }

// subject returns the key of the item that an event is about.
func (i stored) subject() string {
	switch {
	case i.isOfPair():
		return i.PK + " PAIR#" + i.Member
	case i.Type == "person.erasing" || i.Type == "person.erased":
		return i.PK + " PERSON"
	case i.Member == "":
		return i.PK + " ACCT"
	default:
		return i.PK + " TEAM#" + i.Member
	}
}

// tally is an agency's clients by state.
type tally struct{ owned, connected, pending int }

// auditor collects what one pass over the table finds.
type auditor struct {
	all      map[string]stored
	problems []string
	clients  map[string]tally
	invited  map[string]int            // open invitations and offers by who asks
	months   map[string]map[string]int // events by "agency month" and type
	owners   map[string]int            // by account
	agencies map[string][]string       // with an active profile, by account
	events   map[string][]stored       // by their subject
	byID     map[string]stored
}

func (a *auditor) problem(format string, args ...any) {
	a.problems = append(a.problems, fmt.Sprintf(format, args...))
}

// auditItems returns what is wrong with the items of a table, as sentences in a fixed order;
// none if nothing is. The keys of items are "pk sk". Nothing in the table may have been
// deleted by the sweep: that ends chains and versions.
func auditItems(items map[string]map[string]types.AttributeValue) []string {
	a := &auditor{
		all: map[string]stored{}, clients: map[string]tally{}, invited: map[string]int{}, months: map[string]map[string]int{},
		owners: map[string]int{}, agencies: map[string][]string{}, events: map[string][]stored{}, byID: map[string]stored{},
	}
	for k, raw := range items {
		var i stored
		if err := attributevalue.UnmarshalMap(raw, &i); err != nil {
			a.problem("%s can't be read: %v", k, err)
			continue
		}
		a.all[k] = i
	}
	keys := slices.Sorted(maps.Keys(a.all))
	for _, k := range keys {
		i := a.all[k]
		if id, ok := strings.CutPrefix(i.SK, "TEAM#"); ok {
			a.profile(i, id)
		}
		if strings.HasPrefix(i.SK, "EVENT#") && i.Type != "digest.due" {
			a.event(i)
		}
	}
	for _, k := range keys {
		if i := a.all[k]; i.SK == "ACCT" {
			a.account(i)
		}
	}
	a.counts(items)
	for _, subject := range slices.Sorted(maps.Keys(a.events)) {
		a.chain(subject, a.events[subject])
	}
	return a.problems
}

// profile counts a profile and checks its due mark.
func (a *auditor) profile(i stored, id string) {
	active, person := i.Status == "active", strings.HasPrefix(id, "per_")
	offered := active && i.RequestKind == "ownership" && i.RequestState == "open"
	if person {
		if active && i.Ownership == "client" && i.Role == "owner" {
			a.owners[i.PK]++
		}
		if i.Status == "invited" || offered {
			a.invited[i.RequestFrom]++
		}
	} else {
		c := a.clients[id]
		switch {
		case active && i.Ownership == "agency":
			c.owned++
		case active:
			c.connected++
		case i.Status == "pending":
			c.pending++
		}
		a.clients[id] = c
		if active && strings.HasPrefix(i.PK, "ACCT#") {
			a.agencies[i.PK] = append(a.agencies[i.PK], id)
		}
	}
	// Only an active profile without an end date, an offer or invitations to close has
	// no due mark.
	if due := !active || i.Until != "" || offered || i.CloseAt != ""; due != (i.DuePK != "") || due != (i.DueSK != "") {
		a.problem("%s is %s: due mark %t", i.key(), i.Status, !due)
	}
}

// event files an event under its subject, and counts it for its agency's month.
func (a *auditor) event(i stored) {
	a.byID[i.id()] = i
	a.events[i.subject()] = append(a.events[i.subject()], i)
	if i.Ownership == "agency" && i.Agency == "" {
		a.problem("%s of %s names no agency", i.Type, i.subject())
	}
	if i.Agency == "" {
		return
	}
	k := "COUNT#" + i.Agency + " " + i.At[:len("2006-01")]
	if a.months[k] == nil {
		a.months[k] = map[string]int{}
	}
	a.months[k][i.Type]++
}

// account checks an account's due mark, payment state, number of owners and list of
// agencies.
func (a *auditor) account(i stored) {
	closed, cancelling := i.Closed != "", i.SubscriptionState == "cancelling"
	if due := closed || cancelling; due != (i.DuePK != "") || cancelling != (i.FreezesAt != "") {
		a.problem("%s is %s, closed %t: due mark %t, freezes at %q", i.key(), i.SubscriptionState, closed, i.DuePK != "", i.FreezesAt)
	}
	if (i.SubscriptionState == "past_due") && i.Unpaid == nil || i.SubscriptionState == "active" && i.Unpaid != nil {
		a.problem("%s is %s, unpaid %v", i.key(), i.SubscriptionState, i.Unpaid)
	}
	if i.Owners != a.owners[i.PK] && !closed {
		a.problem("%s has %d owners and keeps %d", i.key(), a.owners[i.PK], i.Owners)
	}
	if i.Ownership == "client" && a.owners[i.PK] == 0 && !closed {
		a.problem("%s has no owner", i.key())
	}
	kept, there := slices.Sorted(slices.Values(i.Agencies)), slices.Sorted(slices.Values(a.agencies[i.PK]))
	if !slices.Equal(kept, there) {
		a.problem("%s has the agencies %v and keeps %v", i.key(), there, kept)
	}
	delete(a.agencies, i.PK)
}

// counts compares an agency's counts of now and of its months with the items.
func (a *auditor) counts(items map[string]map[string]types.AttributeValue) {
	for _, k := range slices.Sorted(maps.Keys(a.all)) {
		i := a.all[k]
		id, ok := strings.CutPrefix(i.PK, "COUNT#")
		switch {
		case ok && i.SK == "now":
			if kept := (tally{i.Owned, i.Connected, i.Pending}); kept != a.clients[id] {
				a.problem("%s has clients %+v and keeps %+v", id, a.clients[id], kept)
			}
			if i.Invited != a.invited[id] {
				a.problem("%s has %d open invitations and keeps %d", id, a.invited[id], i.Invited)
			}
			delete(a.clients, id)
			delete(a.invited, id)
		case ok:
			happened := map[string]int{}
			for what := range items[k] {
				if strings.Contains(what, ".") { // every type of event has a dot, and nothing else
					happened[what] = 0
				}
			}
			maps.Copy(happened, a.months[k])
			for _, what := range slices.Sorted(maps.Keys(happened)) {
				if kept := number(items[k][what]); kept != happened[what] {
					a.problem("%s: %d events %s and keeps %d", k, happened[what], what, kept)
				}
			}
			delete(a.months, k)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(a.clients)) {
		if c := a.clients[id]; c != (tally{}) {
			a.problem("%s has clients %+v and keeps nothing", id, c)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(a.invited)) {
		if n := a.invited[id]; n != 0 {
			a.problem("%s has %d open invitations and keeps nothing", id, n)
		}
	}
	for _, k := range slices.Sorted(maps.Keys(a.months)) {
		a.problem("%s has events and keeps nothing", k)
	}
	for _, pk := range slices.Sorted(maps.Keys(a.agencies)) {
		a.problem("%s has agencies and no account", pk)
	}
}

// chain checks the events of one subject: their versions rise, the item is as new as the
// newest of them, and each names the one before it.
func (a *auditor) chain(subject string, events []stored) {
	sort.Slice(events, func(x, y int) bool { return events[x].Version < events[y].Version })
	for n, e := range events {
		if e.Version < 1 || n > 0 && e.Version == events[n-1].Version {
			a.problem("%s: %s has version %d, as another one", subject, e.Type, e.Version)
		}
	}
	newest := events[len(events)-1]
	now, ok := a.all[subject]
	switch {
	case !ok:
		a.problem("%s has events and is not there", subject)
	case now.Version < newest.Version:
		a.problem("%s has version %d, and an event %d", subject, now.Version, newest.Version)
	case strings.Contains(subject, " TEAM#") || strings.HasSuffix(subject, " ACCT"):
		if last, ok := a.before(now.LastEvent); !ok || last.id() != newest.id() && !a.isClients(last, subject) {
			a.problem("%s: the last event is %s %q, want %s", subject, last.Type, now.LastEvent, newest.id())
		}
		for n, e := range events {
			last, ok := a.before(e.After)
			switch {
			case !ok:
				a.problem("%s: %s comes after %q, which is not there", subject, e.Type, e.After)
			case n == 0 && (last.SK == "" || a.isClients(last, subject)):
			case n == 0 || last.id() != events[n-1].id():
				a.problem("%s: %s of version %d comes after %q", subject, e.Type, e.Version, e.After)
			}
		}
	}
}

// before returns the event with an id or, if that is one of a pair, the one before it.
// It is the zero item for no id.
func (a *auditor) before(id string) (stored, bool) {
	for id != "" {
		e, ok := a.byID[id]
		if !ok || !e.isOfPair() {
			return e, ok
		}
		id = e.After
	}
	return stored{}, true
}

// isClients reports whether an event made the account whose client the subject is.
func (a *auditor) isClients(e stored, subject string) bool {
	return e.Type == "account.created" && e.Client != "" && e.PK+" TEAM#"+e.Client == subject
}

// number is the value of a number attribute; 0 for none.
func number(v types.AttributeValue) int {
	n, ok := v.(*types.AttributeValueMemberN)
	if !ok {
		return 0
	}
	value, err := strconv.Atoi(n.Value)
	if err != nil {
		return 0
	}
	return value
}

// auditOrder returns which events of one profile or account do not sort by their ids as they
// happened. They do as long as clocks are less than a minute apart.
func auditOrder(items map[string]map[string]types.AttributeValue) []string {
	a := &auditor{events: map[string][]stored{}, months: map[string]map[string]int{}, byID: map[string]stored{}}
	for _, k := range slices.Sorted(maps.Keys(items)) {
		var i stored
		if err := attributevalue.UnmarshalMap(items[k], &i); err != nil {
			a.problem("%s can't be read: %v", k, err)
		} else if strings.HasPrefix(i.SK, "EVENT#") && !i.isOfPair() {
			a.events[i.subject()] = append(a.events[i.subject()], i)
		}
	}
	for _, subject := range slices.Sorted(maps.Keys(a.events)) {
		events := a.events[subject]
		sort.Slice(events, func(x, y int) bool { return events[x].Version < events[y].Version })
		for n, e := range events {
			if n > 0 && e.SK <= events[n-1].SK {
				a.problem("%s: %s of version %d sorts before version %d", subject, e.Type, e.Version, events[n-1].Version)
			}
		}
	}
	return a.problems
}
