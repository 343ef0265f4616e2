package audit

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

const (
	agencyID = "acct_00000000000000000000000001"
	clientID = "acct_00000000000000000000000002"
	ann      = "per_00000000000000000000000001"
	olga     = "per_00000000000000000000000002"
)

type item = map[string]any

// table returns the items of an agency that was accepted by a client and restricted, by a name.
func table() map[string]item {
	event := func(n, kind, addressee, member, before string, version int, more item) item {
		e := item{
			"pk": "ACCT#" + addressee, "sk": "EVENT#0000000000000000000000000" + n, "type": kind, "at": "2026-11-26T10:00:0" + n + ".000Z", "addressee": addressee,
			"member": member, "after": before, "ownership": "client", "version": version, "muted": 0, "published": "2026-11-26T10:00:0" + n + ".500Z", "notified": "2026-11-26T10:00:0" + n + ".500Z",
		}
		maps.Copy(e, more)
		return e
	}
	mail := func(n, kind, to, fate string) item {
		return item{"pk": "MAIL#evt_0000000000000000000000000" + n, "sk": kind + "#" + to, "fate": fate, "attempts": 1, "finishedAt": "2026-11-26T10:00:09.000Z"}
	}
	edit, view := item{"pages": "edit"}, item{"pages": "view"}
	id := func(n string) string { return "evt_0000000000000000000000000" + n }
	items := map[string]item{
		"agency":   {"pk": "ACCT#" + agencyID, "sk": "ACCT", "name": "Bright", "ownership": "client", "hub": true, "owners": 1, "plan": "starter", "subscriptionState": "active", "lastEvent": id("3"), "version": 2},
		"client":   {"pk": "ACCT#" + clientID, "sk": "ACCT", "name": "Luna", "ownership": "client", "hub": false, "owners": 1, "agencies": []string{agencyID}, "plan": "starter", "subscriptionState": "active", "version": 2},
		"ann":      {"pk": "ACCT#" + agencyID, "sk": "TEAM#" + ann, "status": "active", "role": "owner", "ownership": "client", "muted": 0, "lastEvent": id("1"), "version": 1},
		"olga":     {"pk": "ACCT#" + clientID, "sk": "TEAM#" + olga, "status": "active", "role": "owner", "ownership": "client", "muted": 0, "lastEvent": id("2"), "version": 1},
		"profile":  {"pk": "ACCT#" + clientID, "sk": "TEAM#" + agencyID, "status": "active", "ownership": "client", "areas": view, "muted": 0, "lastEvent": id("6"), "version": 4},
		"opened":   event("1", "account.opened", agencyID, ann, "", 1, item{"actor": ann, "now": item{"status": "active", "role": "owner"}}),
		"opened 2": event("2", "account.opened", clientID, olga, "", 1, item{"actor": olga, "now": item{"status": "active", "role": "owner"}}),
		"on":       event("3", "agency.switched_on", agencyID, "", "", 2, nil),
		"requested": event("4", "connection.requested", clientID, agencyID, "", 1, item{
			"agency": agencyID, "actor": ann, "request": 1, "now": item{"status": "pending", "areas": edit}}),
		"accepted": event("5", "connection.accepted", clientID, agencyID, id("4"), 3, item{
			"agency": agencyID, "actor": olga, "request": 1, "now": item{"status": "active", "areas": edit}}),
		"restricted": event("6", "connection.restricted", clientID, agencyID, id("5"), 4, item{
			"agency": agencyID, "actor": olga, "request": 1, "now": item{"status": "active", "areas": view}}),
		"count":   {"pk": "COUNT#" + agencyID, "sk": "now", "connected": 1, "pending": 0},
		"month":   {"pk": "COUNT#" + agencyID, "sk": "2026-11", "connection.requested": 1, "connection.accepted": 1, "connection.restricted": 1},
		"day":     {"pk": "LIMIT#" + agencyID, "sk": "2026-11-26", "requests": 0, "ttl": 1},
		"by ann":  {"pk": "LIMIT#" + ann, "sk": "2026-11-26", "requests": 1, "opened": 1, "invitations": 4, "ttl": 1},
		"by olga": {"pk": "LIMIT#" + olga, "sk": "2026-11-26", "opened": 1, "ttl": 1},
		"asked":   mail("4", "requested", olga, "delivered"), "told": mail("5", "accepted-agency", ann, "sent"),
		"told 2": mail("5", "accepted-client", olga, "sent"), "told 3": mail("6", "restricted-agency", ann, "sent"),
		"status": {"pk": "SWEEP", "sk": "SWEEP", "report": "{}"},
	}
	for _, n := range []string{"1", "2", "3", "4", "5", "6"} {
		items["bus "+n] = mail(n, "bus", "", "sent")
	}
	return items
}

// set changes an attribute of an item.
func set(name, attribute string, value any) func(map[string]item) {
	return func(items map[string]item) { items[name][attribute] = value }
}

// without deletes an item.
func without(name string) func(map[string]item) {
	return func(items map[string]item) { delete(items, name) }
}

// changes are what can be wrong with the table.
var changes = map[string]struct {
	change func(map[string]item)
	want   string // part of a finding; "" for none
	more   bool   // others follow from it
}{
	"nothing":                               {func(map[string]item) {}, "", false},
	"an event is lost":                      {without("accepted"), "comes after", true},
	"the last event is lost":                {without("restricted"), "names the event", true},
	"two events have one version":           {set("accepted", "version", 1), "has version 1 after 1", false},
	"a version has no event":                {set("restricted", "version", 9), "changes have no event", true},
	"an event comes after another":          {set("restricted", "after", "evt_00000000000000000000000004"), "comes after", false},
	"a profile is not what its event says":  {set("profile", "status", "revoked"), "is revoked", true},
	"a profile has other levels":            {set("profile", "areas", item{"pages": "edit"}), "says active", false},
	"an account does not list its agency":   {set("client", "agencies", []string{}), "lists the agencies", false},
	"an account counts another owner":       {set("client", "owners", 2), "counts 2 owners", false},
	"agency features are off":               {set("agency", "hub", false), "an agency false", false},
	"a count is wrong":                      {set("count", "connected", 2), "a recount gives", false},
	"a count of the month is wrong":         {set("month", "connection.requested", 2), "a recount gives", false},
	"a count of the day is wrong":           {set("day", "requests", 1), "a recount gives", false},
	"a person's count of the day is wrong":  {set("by ann", "opened", 2), "a recount gives", false},
	"an email is lost":                      {without("told"), "should mail accepted-agency", false},
	"an email goes to somebody else":        {set("told", "sk", "accepted-agency#"+olga), "no reason to mail", true},
	"an email waits":                        {set("told", "fate", "waiting"), "is waiting", false},
	"an email is obsolete without a change": {set("told 3", "fate", "obsolete"), "nothing explains it", false},
	"an email is obsolete after a change":   {set("asked", "fate", "obsolete"), "", false},
	"an email is obsolete before a change": {func(i map[string]item) {
		i["asked"]["fate"], i["asked"]["finishedAt"] = "obsolete", "2026-11-26T10:00:02.900Z"
	}, "nothing explains it", false},
	"a record is obsolete":              {set("told", "fate", "obsolete"), "nothing explains it", false},
	"a record may not have been sent":   {set("told", "fate", "unconfirmed"), "nothing explains it", false},
	"an email is muted":                 {set("told 3", "fate", "muted"), "nothing explains it", false},
	"an email is dropped":               {set("told 3", "fate", "dropped"), "nothing explains it", false},
	"a held email is told by no digest": {set("told 3", "attempts", 0), "has no digest", false},
	"a held email is counted by no digest": {func(i map[string]item) {
		i["told 3"]["fate"], i["told 3"]["attempts"] = "counted", 0
	}, "nobody has a digest", false},
	"a held email is told by its digest": {func(i map[string]item) {
		i["told 3"]["attempts"], i["told 3"]["messageId"] = 0, "ses-1"
		i["digest"] = item{"pk": "MAIL#evt_00000000000000000000000007", "sk": "digest#" + ann, "fate": "sent", "attempts": 1, "messageId": "ses-1"}
	}, "", false},
	"a digest mails nobody": {func(i map[string]item) {
		i["due"] = item{"pk": "BOX#1", "sk": "EVENT#00000000000000000000000007", "type": "digest.due", "at": "2026-11-26T10:00:20.000Z", "addressee": "box_1", "notified": "2026-11-26T10:00:21.000Z"}
	}, "mails nobody", false},
	"a closing ends nobody": {func(i map[string]item) {
		i["client"]["closed"], i["client"]["duePk"], i["client"]["dueSk"], i["client"]["lastEvent"] = "2026-11-26T10:00:07.000Z", "DUE#1", "2027-02-26T10:00:07.000Z", "evt_00000000000000000000000007"
		i["closing"] = item{
			"pk": "ACCT#" + clientID, "sk": "EVENT#00000000000000000000000007", "type": "account.closed", "at": "2026-11-26T10:00:07.000Z", "addressee": clientID,
			"ownership": "client", "version": 3, "published": "2026-11-26T10:00:08.000Z", "notified": "2026-11-26T10:00:08.000Z",
		}
	}, "has no event of the end", true},
	"an erasing does not end": {func(i map[string]item) {
		i["erasing"] = item{
			"pk": "PERSON#" + olga, "sk": "EVENT#00000000000000000000000007", "type": "person.erasing", "at": "2026-11-26T10:00:07.000Z", "addressee": olga, "member": olga,
			"ownership": "client", "version": 1, "published": "2026-11-26T10:00:08.000Z", "notified": "2026-11-26T10:00:08.000Z",
		}
	}, "never is", true},
	"an event is not told to everybody": {set("accepted", "published", ""), "is finished false", false},
	"a finished event is due": {func(i map[string]item) {
		i["accepted"]["dueSk"], i["accepted"]["duePk"] = "2026-11-26T10:00:09.000Z", "DUE#4"
	}, "is finished true", true},
	"a profile without an end is due": {func(i map[string]item) {
		i["profile"]["dueSk"], i["profile"]["duePk"] = "2026-11-26T10:00:09.000Z", "DUE#1"
	}, "is due", false},
	"a profile with an end date is not due": {func(i map[string]item) {
		i["profile"]["until"], i["restricted"]["now"].(item)["until"] = "2026-12-01T00:00:00.000Z", "2026-12-01T00:00:00.000Z"
	}, "is due", false},
}

// TestTheAuditFindsWhatIsWrong tests that a whole table passes, and that each check fails for
// what it is for.
func TestTheAuditFindsWhatIsWrong(t *testing.T) {
	for name, test := range changes {
		items := table()
		test.change(items)
		var raw []map[string]types.AttributeValue
		for _, i := range items {
			one, err := attributevalue.MarshalMap(i)
			if err != nil {
				t.Fatal(err)
			}
			raw = append(raw, one)
		}
		d, err := Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		due, emails := d.Due()
		wrong := slices.Concat(emails, d.Chains(), d.Counts(), d.Marks(90*24*time.Hour), d.Unfinished(), d.Fates(), d.Told(), d.Endings())
		found := test.want == "" && len(wrong) == 0 && due == 4 || slices.ContainsFunc(wrong, func(text string) bool { return test.want != "" && strings.Contains(text, test.want) })
		if !found || len(wrong) > 1 && !test.more {
			t.Errorf("%s: %d emails are due; found %q", name, due, wrong)
		}
	}
}

// TestAnUnknownItem tests that the audit does not pass over what it does not know.
func TestAnUnknownItem(t *testing.T) {
	raw, err := attributevalue.MarshalMap(item{"pk": "NEW#1", "sk": "NEW"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Parse([]map[string]types.AttributeValue{raw}); err == nil {
		t.Error("an item of an unknown kind is passed over")
	}
}
