package audit

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// findings collects what is wrong.
type findings []string

func (f *findings) addf(format string, args ...any) { *f = append(*f, fmt.Sprintf(format, args...)) }

// Chains returns what is wrong with the events of each profile and account: each names the one
// before it, versions rise, the last is the one that the item names, and the item shows what
// it says.
func (d *Data) Chains() []string {
	var wrong findings
	chains := map[[2]string][]Event{}
	for _, e := range d.Events {
		// A block has the pair's version, and a person's erasing is no profile's.
		if e.IsDigest() || strings.HasPrefix(e.Type, "agency.") && e.Member != "" || strings.HasPrefix(e.Type, "person.eras") {
			continue
		}
		key := [2]string{e.Addressee, e.Member}
		chains[key] = append(chains[key], e)
	}
	for key, events := range chains {
		d.chain(&wrong, key, events)
	}
	for key, p := range d.Profiles {
		events := chains[key]
		first := d.creation(key)
		switch {
		case len(events) == 0 && p.LastEvent != first:
			wrong.addf("profile %v names the event %s, and has none", key, p.LastEvent)
		case len(events) > 0:
			d.shown(&wrong, p, events[len(events)-1])
		}
	}
	for id, a := range d.Accounts {
		d.account(&wrong, id, a, chains[[2]string{id, ""}])
	}
	return wrong
}

// creation returns the id of the event that made an account, which is its client's and its
// first owner's too; "" for a profile that has come otherwise.
func (d *Data) creation(key [2]string) string {
	for _, e := range d.at[key[0]] {
		if e.Type == "account.created" && e.Client == key[1] {
			return e.ID()
		}
	}
	return ""
}

// chain checks one chain, whose events are in the order of their ids.
func (d *Data) chain(wrong *findings, key [2]string, events []Event) {
	last, version := d.creation(key), 0
	for n, e := range events {
		if e.After != last {
			wrong.addf("event %s %s of %v comes after %q, not %q", e.ID(), e.Type, key, e.After, last)
		}
		if e.Version <= version {
			wrong.addf("event %s %s of %v has version %d after %d", e.ID(), e.Type, key, e.Version, version)
		}
		if missing, silent := e.Version-n-1, d.silent(key, e.SK); missing > silent {
			wrong.addf("event %s %s of %v has version %d after %d: %d changes have no event, and at most %d can have none", e.ID(), e.Type, key, e.Version, version, missing, silent)
		}
		last, version = e.ID(), e.Version
	}
}

// silent returns how many changes of a profile or account can be without an event of their own
// before an event: who was reached by its requests, and that their emails bounced, copies of
// the account's name and subscription, and the end of the invitations that somebody made; an
// account's list of agencies and its count of owners.
func (d *Data) silent(key [2]string, before string) int {
	n := 0
	for _, e := range d.at[key[0]] {
		switch {
		case e.SK >= before:
			return n
		case key[1] == "" && e.Member != "":
			n++
		case key[1] != "" && e.Member == "" && (e.Type == "account.renamed" || strings.HasPrefix(e.Type, "subscription.")):
			n++
		case e.Member == key[1] && asks[e.Type], e.Type == "account.created" && e.Client == key[1]:
			n += len(d.mailsOf[e.ID()])
		case e.Member == key[1] && strings.HasPrefix(key[1], "per_") && (e.Type == "person.changed" || e.Now.Status != "active"):
			n += 2
		}
	}
	return n
}

// asks holds the events whose emails ask for an answer.
var asks = map[string]bool{
	"connection.requested": true, "connection.resent": true, "person.invited": true, "person.invitation_resent": true, "person.ownership_offered": true,
}

// shown checks that a profile is as its last event left it.
func (d *Data) shown(wrong *findings, p Profile, last Event) {
	key, now := [2]string{p.Addressee(), p.Member()}, last.Now
	if p.LastEvent != last.ID() {
		wrong.addf("profile %v names the event %s, and its last is %s %s", key, p.LastEvent, last.ID(), last.Type)
	}
	if p.Version < last.Version {
		wrong.addf("profile %v has version %d, and its event %s %d", key, p.Version, last.ID(), last.Version)
	}
	// The acceptance at the account says that a request by email has moved.
	if now.Status != "" && p.Status != "moved" && (p.Status != now.Status || p.Role != now.Role || p.Until != now.Until || !maps.Equal(granted(p.Areas), granted(now.Areas))) {
		wrong.addf("profile %v is %s %s %v until %q, and its event %s says %s %s %v until %q", key,
			p.Status, p.Role, p.Areas, p.Until, last.Type, now.Status, now.Role, now.Areas, now.Until)
	}
}

// granted leaves out areas without access.
func granted(areas map[string]string) map[string]string {
	out := map[string]string{}
	for area, level := range areas {
		if level != "none" {
			out[area] = level
		}
	}
	return out
}

// account checks an account against its own events and its profiles.
func (d *Data) account(wrong *findings, id string, a Account, events []Event) {
	name, plan, closed, on := "", "", false, false
	for _, e := range events {
		if e.Now.Name != "" {
			name = e.Now.Name
		}
		if e.Now.Plan != "" {
			plan = e.Now.Plan
		}
		switch e.Type {
		case "account.closed":
			closed = true
		case "agency.switched_on":
			on = true
		case "agency.switched_off":
			on = false
		}
	}
	if len(events) > 0 && a.LastEvent != events[len(events)-1].ID() {
		wrong.addf("account %s names the event %s, and its last is %s", id, a.LastEvent, events[len(events)-1].ID())
	}
	if name != "" && a.Name != name || plan != "" && a.Plan != plan || closed != (a.Closed != "") || a.AgencyOn != on {
		wrong.addf("account %s is %q on %s, closed %q, an agency %t; its events say %q, %s, %t, %t", id, a.Name, a.Plan, a.Closed, a.AgencyOn, name, plan, closed, on)
	}
	owners, agencies := 0, []string{}
	for _, p := range d.Profiles {
		if p.Addressee() != id || p.Status != "active" {
			continue
		}
		if p.isAgency() {
			agencies = append(agencies, p.Member())
		} else if p.Role == "owner" {
			owners++
		}
	}
	if a.Ownership == "client" && a.Closed == "" && a.Owners != owners {
		wrong.addf("account %s counts %d owners and has %d", id, a.Owners, owners)
	}
	listed := slices.Sorted(slices.Values(a.Agencies))
	slices.Sort(agencies)
	if !slices.Equal(listed, agencies) {
		wrong.addf("account %s lists the agencies %v and has %v", id, listed, agencies)
	}
}

// Counts returns which counts differ from a recount: those of agencies now and by month, and
// those of each day. Invitations that a person makes are counted too, whatever their events.
func (d *Data) Counts() []string {
	want := map[[2]string]map[string]int{}
	add := func(pk, sk, what string, n int) {
		key := [2]string{pk, sk}
		if want[key] == nil {
			want[key] = map[string]int{}
		}
		want[key][what] += n
	}
	for _, p := range d.Profiles {
		switch {
		case p.isAgency() && p.Status == "active" && p.Ownership == "agency":
			add("COUNT#"+p.Member(), "now", "owned", 1)
		case p.isAgency() && p.Status == "active":
			add("COUNT#"+p.Member(), "now", "connected", 1)
		case p.isAgency() && p.Status == "pending":
			add("COUNT#"+p.Member(), "now", "pending", 1)
		case !p.isAgency() && p.hasOpenRequest():
			add("COUNT#"+p.RequestFrom, "now", "invited", 1)
		}
	}
	for _, e := range d.Events {
		if e.IsDigest() {
			continue
		}
		day, month := e.At[:10], e.At[:7]
		if e.Agency != "" {
			add("COUNT#"+e.Agency, month, e.Type, 1)
		}
		switch e.Type {
		case "connection.requested":
			add("LIMIT#"+e.Agency, day, "requests", 1)
			add("LIMIT#"+e.Actor, day, "requests", 1)
		case "account.opened":
			add("LIMIT#"+e.Actor, day, "opened", 1)
		case "account.created":
			add("LIMIT#"+e.Actor, day, "created", 1)
		case "connection.accepted":
			if d.requestedOn(e) == day {
				add("LIMIT#"+e.Agency, day, "requests", -1)
			}
		}
	}
	var wrong findings
	for key := range maps.Keys(d.Numbers) {
		if want[key] == nil {
			want[key] = map[string]int{}
		}
	}
	for key, numbers := range want {
		if strings.HasPrefix(key[0], "LIMIT#box_") {
			continue
		}
		got := map[string]int{}
		for what, n := range d.Numbers[key] {
			if n != 0 && what != "invitations" {
				got[what] = n
			}
		}
		maps.DeleteFunc(numbers, func(_ string, n int) bool { return n == 0 })
		if !maps.Equal(got, numbers) {
			wrong.addf("%v counts %v, and a recount gives %v", key, got, numbers)
		}
	}
	return wrong
}

// requestedOn returns the day of the request that an acceptance answers.
func (d *Data) requestedOn(accepted Event) string {
	day := ""
	for _, addressee := range []string{accepted.Addressee, accepted.Actor} {
		for _, e := range d.at[addressee] {
			if e.Type == "connection.requested" && e.Member == accepted.Member && e.SK < accepted.SK {
				day = e.At[:10]
			}
		}
	}
	return day
}

// Marks returns which items have a due mark that they should not have, or none where they
// should. retention is that of ended profiles.
func (d *Data) Marks(retention time.Duration) []string {
	var wrong findings
	check := func(what any, duePK, dueSK, want string) {
		if dueSK != want || (duePK != "") != (want != "") {
			wrong.addf("%v is due %q, not %q", what, dueSK, want)
		}
	}
	for key, p := range d.Profiles {
		want := p.Until
		switch {
		case p.CloseAt != "":
			want = p.CloseAt
		case p.isEnded():
			want = after(p.Since, retention)
		case p.RemindAt != "":
			want = p.RemindAt
		case p.hasOpenRequest():
			want = p.ExpiresAt
		}
		check(key, p.DuePK, p.DueSK, want)
	}
	for id, a := range d.Accounts {
		switch {
		case a.Closed != "":
			if a.DueSK == "" || a.DuePK == "" {
				wrong.addf("the closed account %s is never collected", id)
			}
		case a.SubscriptionState == "cancelling":
			check(id, a.DuePK, a.DueSK, a.FreezesAt)
		default:
			check(id, a.DuePK, a.DueSK, "")
		}
	}
	for id, p := range d.People {
		if (p.Erasing != "") != (p.DueSK != "") {
			wrong.addf("the person %s is erasing %q and due %q", id, p.Erasing, p.DueSK)
		}
	}
	for _, e := range d.Events {
		finished := e.Published != "" && e.Notified != ""
		if e.IsDigest() {
			finished = e.Notified != ""
		}
		if finished == (e.DueSK != "") {
			wrong.addf("the event %s %s is finished %t and due %q", e.ID(), e.Type, finished, e.DueSK)
		}
	}
	for box, held := range d.Held {
		next := d.Digests[box]
		if slices.ContainsFunc(held, func(n int) bool { return n > next.Digests }) && next.DueSK == "" {
			wrong.addf("the mailbox %s holds emails and its digest is not due", box)
		}
	}
	return wrong
}

// finalFates are the fates in which an email ends, with whether SES has it.
var finalFates = map[string]struct{ sent, notSent bool }{
	"obsolete": {notSent: true}, "stopped": {notSent: true}, "muted": {notSent: true}, "dropped": {notSent: true},
	"suppressed": {}, "failed": {}, "unconfirmed": {},
	"sent": {sent: true}, "delayed": {sent: true}, "delivered": {sent: true}, "bounced": {sent: true}, "complained": {sent: true},
	"counted": {notSent: true},
}

// Unfinished returns what is left to do: events that are not finished, and emails and entries
// without a final fate.
func (d *Data) Unfinished() []string {
	var wrong findings
	for _, e := range d.Events {
		if e.DueSK != "" {
			wrong.addf("the event %s %s is not finished: published %q, notified %q", e.ID(), e.Type, e.Published, e.Notified)
		}
	}
	for _, m := range d.Mails {
		if _, final := finalFates[m.Fate]; !final {
			wrong.addf("the email %s is %s", m.Tag(), m.Fate)
		}
	}
	return wrong
}

// IsSent reports whether SES has taken an email by its fate, IsUnsent whether it has not. Of a
// few fates neither can be told.
func (m Mail) IsSent() bool { return finalFates[m.Fate].sent }

// IsUnsent is the other of IsSent.
func (m Mail) IsUnsent() bool { return finalFates[m.Fate].notSent }

// WasHeld reports whether the email has waited for a digest: it was never claimed.
func (m Mail) WasHeld() bool { return m.Attempts == 0 }
