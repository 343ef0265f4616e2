package main

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"agencyhub/shared/agency"
	"agencyhub/shared/outbox"
	"agencyhub/shared/testbed"
)

func TestPlan(t *testing.T) {
	type change = func(*facts)
	status := func(s agency.Status) change { return func(f *facts) { f.profile.Status = s } }
	request := func(n int) change { return func(f *facts) { f.profile.Request.Number = n } }
	accepted := connection(agency.ConnectionAccepted, agency.Pending, agency.Active)
	restricted := connection(agency.ConnectionRestricted, agency.Active, agency.Active)
	asked := connection(agency.ConnectionRequested, "", agency.Pending)
	sentAgain := connection(agency.ConnectionResent, agency.Pending, agency.Pending)
	expired := connection(agency.ConnectionExpired, agency.Pending, agency.Expired)
	withdrawn := connection(agency.ConnectionWithdrawn, agency.Pending, agency.Withdrawn)
	person := func(as agency.EventType, in agency.Ownership, s agency.Status) facts {
		return membership(as, in, agency.Member, s)
	}
	own, owned := agency.ClientOwned, agency.AgencyOwned

	reminded := connection(agency.ConnectionReminded, agency.Pending, agency.Pending)
	lapsed := connection(agency.ConnectionLapsed, agency.Active, agency.Lapsed).with(func(f *facts) { f.event.Now.Until = f.now })
	warned := ahead(24 * time.Hour)
	muted := func(f *facts) { f.event.Muted, f.profile.Request.Muted = true, true }
	unheard := func(f *facts) { f.profile.Request.Reached = []agency.PersonID{ann} }
	holdsOff := func(f *facts) { f.heldOff = map[agency.PersonID]bool{petra: true, ann: true} }
	closedAt := func(at time.Time) change { return func(f *facts) { f.account.Closed = at } }
	mailAsk, mailAgain := byEmail(agency.ConnectionRequested, "", agency.Pending), byEmail(agency.ConnectionResent, agency.Pending, agency.Pending)
	mailReminded := byEmail(agency.ConnectionReminded, agency.Pending, agency.Pending)
	mailDenied := byEmail(agency.ConnectionDenied, agency.Pending, agency.Denied)
	mailWithdrawn := byEmail(agency.ConnectionWithdrawn, agency.Pending, agency.Withdrawn)
	mailExpired := byEmail(agency.ConnectionExpired, agency.Pending, agency.Expired)

	shown := map[agency.EventType]bool{}
	// A "-" stands before what is overtaken, a "~" before what is muted.
	for _, test := range []struct {
		name string
		f    facts
		then change
		want string
	}{
		{name: "requested", f: asked, want: "requested petra"},
		{name: "requested, accepted", f: asked, then: status(agency.Active), want: "-requested petra"},
		{name: "requested, denied", f: asked, then: status(agency.Denied), want: "-requested petra"},
		{name: "requested, withdrawn", f: asked, then: status(agency.Withdrawn), want: "-requested petra"},
		{name: "requested, overdue by the clock", f: asked, then: func(f *facts) { f.now = deadline }, want: "-requested petra"},
		{name: "requested, a moment before", f: asked, then: func(f *facts) { f.now = deadline.Add(-time.Millisecond) }, want: "requested petra"},
		{name: "requested, asked anew", f: asked, then: request(2), want: "-requested petra"},
		{name: "requested, sent again", f: asked, then: func(f *facts) { f.profile.Request.ExpiresAt = deadline.Add(time.Second) }, want: "-requested petra"},
		{name: "requested, delivery noted", f: asked, then: func(f *facts) { f.profile.Request.Delivery = agency.Sent; f.profile.Version += 5 }, want: "requested petra"},
		{name: "requested, account closed", f: asked, then: func(f *facts) { f.account.Closed = f.now }, want: "-requested petra"},
		{name: "requested, hub switched off", f: asked, then: func(f *facts) { f.agency.AgencyOn = false }, want: "-requested petra"},
		{name: "requested, muted", f: asked, then: muted},
		{name: "requested, held off by the owner", f: asked, then: holdsOff, want: "~requested petra"},
		{name: "requested, held off by another", f: asked, then: func(f *facts) { f.heldOff = map[agency.PersonID]bool{ann: true} }, want: "requested petra"},
		{name: "requested, held off, denied", f: asked, then: func(f *facts) { holdsOff(f); f.profile.Status = agency.Denied }, want: "-requested petra"},
		{name: "resent, muted", f: sentAgain, then: muted},
		{name: "resent, held off by the owner", f: sentAgain, then: holdsOff, want: "~resent petra"},
		{name: "reminded", f: reminded, want: "reminded petra"},
		{name: "reminded, muted", f: reminded, then: muted},
		{name: "reminded, held off by the owner", f: reminded, then: holdsOff, want: "~reminded petra"},
		{name: "reminded, accepted", f: reminded, then: status(agency.Active), want: "-reminded petra"},
		{name: "reminded, sent again", f: reminded, then: func(f *facts) { f.profile.Request.ExpiresAt = deadline.Add(time.Second) }, want: "-reminded petra"},
		{name: "reminded, overdue by the clock", f: reminded, then: func(f *facts) { f.now = deadline }, want: "-reminded petra"},
		{name: "resent", f: sentAgain, want: "resent petra"},
		{name: "resent, accepted", f: sentAgain, then: status(agency.Active), want: "-resent petra"},
		{name: "accepted", f: accepted, want: "accepted-agency ann, accepted-agency oskar, accepted-client petra"},
		{name: "accepted, revoked", f: accepted, then: status(agency.Revoked), want: "accepted-agency ann, accepted-agency oskar, accepted-client petra"},
		{name: "denied", f: connection(agency.ConnectionDenied, agency.Pending, agency.Denied), want: "denied-agency ann, denied-agency oskar, denied-client petra"},
		{name: "denied, asked anew", f: connection(agency.ConnectionDenied, agency.Pending, agency.Pending), then: request(2), want: "denied-agency ann, denied-agency oskar, denied-client petra"},
		{name: "withdrawn", f: withdrawn, want: "withdrawn-client petra"},
		{name: "withdrawn, asked anew", f: withdrawn, then: func(f *facts) { f.profile.Status, f.profile.Request.Number = agency.Pending, 2 }, want: "-withdrawn-client petra"},
		{name: "withdrawn, asked anew, withdrawn", f: withdrawn, then: request(2), want: "-withdrawn-client petra"},
		{name: "withdrawn, unheard of", f: withdrawn, then: unheard},
		{name: "withdrawn, muted", f: withdrawn, then: muted},
		{name: "expired, unheard of", f: expired, then: unheard, want: "expired-agency ann, expired-agency oskar"},
		{name: "expired, muted", f: expired, then: muted, want: "expired-agency ann, expired-agency oskar"},
		{name: "expired with the account", f: expired, then: closedAt(monday), want: "-expired-agency ann, -expired-agency oskar, -expired-client petra"},
		{name: "expired, then closed", f: expired, then: closedAt(deadline), want: "expired-agency ann, expired-agency oskar, expired-client petra"},
		{name: "expired", f: expired, want: "expired-agency ann, expired-agency oskar, expired-client petra"},
		{name: "expired, dismissed", f: expired, then: status(agency.Denied), want: "-expired-agency ann, -expired-agency oskar, -expired-client petra"},
		{name: "expired, asked anew", f: expired, then: func(f *facts) { f.profile.Status, f.profile.Request.Number = agency.Pending, 2 }, want: "-expired-agency ann, -expired-agency oskar, -expired-client petra"},
		{name: "restricted", f: restricted, want: "restricted-agency ann, restricted-agency oskar"},
		{name: "restricted, and again", f: restricted, then: func(f *facts) { f.profile.Areas = fewer }, want: "-restricted-agency ann, -restricted-agency oskar"},
		{name: "restricted, end date moved", f: restricted, then: func(f *facts) { f.profile.Until = deadline }, want: "-restricted-agency ann, -restricted-agency oskar"},
		{name: "restricted, left", f: restricted, then: status(agency.Left), want: "-restricted-agency ann, -restricted-agency oskar"},
		{name: "restricted, connected anew", f: restricted, then: request(2), want: "-restricted-agency ann, -restricted-agency oskar"},
		{name: "revoked", f: connection(agency.ConnectionRevoked, agency.Active, agency.Revoked), want: "revoked-agency ann, revoked-agency oskar, revoked-client petra"},
		{name: "left", f: connection(agency.ConnectionLeft, agency.Active, agency.Left), want: "left-agency ann, left-agency oskar, left-client petra"},
		{name: "lapsed", f: lapsed, want: "lapsed-agency ann, lapsed-agency oskar, lapsed-client petra"},
		{name: "lapsed, requested anew", f: lapsed, then: request(2), want: "lapsed-agency ann, lapsed-agency oskar, lapsed-client petra"},
		{name: "lapsed in a closed account", f: lapsed, then: closedAt(monday), want: "-lapsed-agency ann, -lapsed-agency oskar, -lapsed-client petra"},
		{name: "lapse ahead", f: warned, want: "lapse-ahead-agency ann, lapse-ahead-agency oskar, lapse-ahead-client petra"},
		{name: "lapse ahead, date moved", f: warned, then: func(f *facts) { f.profile.Until = deadline.Add(time.Hour) }, want: "-lapse-ahead-agency ann, -lapse-ahead-agency oskar, -lapse-ahead-client petra"},
		{name: "lapse ahead, date removed", f: warned, then: func(f *facts) { f.profile.Until = time.Time{} }, want: "-lapse-ahead-agency ann, -lapse-ahead-agency oskar, -lapse-ahead-client petra"},
		{name: "lapse ahead, over by the clock", f: warned, then: func(f *facts) { f.now = f.profile.Until }, want: "-lapse-ahead-agency ann, -lapse-ahead-agency oskar, -lapse-ahead-client petra"},
		{name: "lapse ahead, revoked", f: warned, then: status(agency.Revoked), want: "-lapse-ahead-agency ann, -lapse-ahead-agency oskar, -lapse-ahead-client petra"},
		{name: "lapse ahead, account closed", f: warned, then: closedAt(monday), want: "-lapse-ahead-agency ann, -lapse-ahead-agency oskar, -lapse-ahead-client petra"},
		{name: "ended", f: connection(agency.ConnectionEnded, agency.Active, agency.Ended)},
		{name: "moved", f: connection(agency.ConnectionMoved, agency.Pending, agency.Moved)},

		{name: "requested by email", f: mailAsk, want: "requested-person petra"},
		{name: "requested by email, muted", f: mailAsk, then: muted},
		{name: "requested by email, held off since", f: mailAsk, then: holdsOff, want: "~requested-person petra"},
		{name: "requested by email, moved", f: mailAsk, then: status(agency.Moved), want: "-requested-person petra"},
		{name: "requested by email, hub switched off", f: mailAsk, then: func(f *facts) { f.agency.AgencyOn = false }, want: "-requested-person petra"},
		{name: "requested by email, address erased", f: mailAsk, then: func(f *facts) { f.profile.Email = "" }},
		{name: "resent by email", f: mailAgain, want: "resent-person petra"},
		{name: "resent by email, muted", f: mailAgain, then: muted},
		{name: "reminded by email", f: mailReminded, want: "reminded-person petra"},
		{name: "denied by email", f: mailDenied, want: "denied-agency ann, denied-agency oskar, denied-person petra"},
		{name: "withdrawn by email", f: mailWithdrawn, want: "withdrawn-person petra"},
		{name: "withdrawn by email, unheard of", f: mailWithdrawn, then: unheard},
		{name: "withdrawn by email, muted", f: mailWithdrawn, then: muted},
		{name: "expired by email", f: mailExpired, want: "expired-agency ann, expired-agency oskar, expired-person petra"},
		{name: "expired by email, unheard of", f: mailExpired, then: unheard, want: "expired-agency ann, expired-agency oskar"},
		{name: "expired by email, muted", f: mailExpired, then: muted, want: "expired-agency ann, expired-agency oskar"},
		{name: "expired by email, erased", f: mailExpired, then: func(f *facts) { f.profile = agency.Profile{ProfileKey: f.profile.ProfileKey} }, want: "expired-agency oskar"},
		{name: "expired by email, asked anew", f: mailExpired, then: request(2), want: "-expired-agency ann, -expired-agency oskar, -expired-person petra"},

		{name: "closed", f: closing("", ""), want: "closed-client petra"},
		{name: "closed, members ended since", f: closing("", ""), then: func(f *facts) { ended(f.team, f.event.At.Add(time.Second)) }, want: "closed-client petra"},
		{name: "closed on an agency", f: closing(agency.Active, agency.Active), want: "closed-agency ann, closed-agency oskar"},
		{name: "closed on an agency, ended since", f: closing(agency.Active, agency.Ended), want: "closed-agency ann, closed-agency oskar"},
		{name: "closed on an agency that asked", f: closing(agency.Pending, agency.Expired), want: "closed-agency ann, closed-agency oskar"},
		{name: "closed on an agency that asked, muted", f: closing(agency.Pending, agency.Pending), then: func(f *facts) { f.profile.Request.Muted = true }, want: "closed-agency ann, closed-agency oskar"},
		{name: "owned account closed", f: closingOwned("", ""), want: "closed-client petra, closed-client tom"},
		{name: "owned account closed, members ended since", f: closingOwned("", ""), then: func(f *facts) { ended(f.team, f.event.At.Add(time.Second)) }, want: "closed-client petra, closed-client tom"},
		{name: "owned account closed on its agency", f: closingOwned(agency.Active, agency.Ended), want: "closed-agency ann, closed-agency oskar"},
		{name: "switched off", f: person(agency.AgencySwitchedOff, own, agency.Active)},
		{name: "blocked", f: connection(agency.AgencyBlocked, agency.Pending, agency.Denied)},
		{name: "unblocked", f: connection(agency.AgencyUnblocked, agency.Denied, agency.Denied)},
		{name: "erasing", f: person(agency.PersonErasing, own, agency.Active)},
		{name: "erased", f: person(agency.PersonErased, own, agency.Ended)},

		{name: "plan changed", f: subscribed(agency.PlanChanged, own, runs, dearer), want: "plan-changed petra"},
		{name: "plan changed, and again", f: subscribed(agency.PlanChanged, own, runs, dearer), then: func(f *facts) { f.account.Subscription = runs }, want: "-plan-changed petra"},
		{name: "plan changed, cancelled", f: subscribed(agency.PlanChanged, own, dearer, runs), then: func(f *facts) { f.account.Subscription = cancels }, want: "plan-changed petra"},
		{name: "plan changed, closed", f: subscribed(agency.PlanChanged, own, runs, dearer), then: closedAt(deadline), want: "-plan-changed petra"},
		{name: "plan of an owned account changed", f: subscribed(agency.PlanChanged, owned, runs, dearer), want: "plan-changed-agency oskar"},
		{name: "cancelled", f: subscribed(agency.SubscriptionCancelled, own, runs, cancels), want: "subscription-cancelled petra"},
		{name: "cancelled, over by the clock", f: subscribed(agency.SubscriptionCancelled, own, runs, cancels), then: func(f *facts) { f.now = deadline }, want: "-subscription-cancelled petra"},
		{name: "cancelled, resumed", f: subscribed(agency.SubscriptionCancelled, owned, runs, cancels), then: func(f *facts) { f.account.Subscription = runs }, want: "-subscription-cancelled-agency oskar"},
		{name: "resumed", f: subscribed(agency.SubscriptionResumed, owned, frozen, runs), want: "subscription-resumed-agency oskar"},
		{name: "resumed, past due", f: subscribed(agency.SubscriptionResumed, own, frozen, due), want: "subscription-resumed petra"},
		{name: "resumed, cancelled again", f: subscribed(agency.SubscriptionResumed, own, frozen, runs), then: func(f *facts) { f.account.Subscription = cancels }, want: "-subscription-resumed petra"},
		{name: "frozen", f: subscribed(agency.SubscriptionFroze, own, cancels, frozen), want: "subscription-frozen petra"},
		{name: "frozen, resumed", f: subscribed(agency.SubscriptionFroze, owned, cancels, frozen), then: func(f *facts) { f.account.Subscription = runs }, want: "-subscription-frozen-agency oskar"},
		{name: "payment failed", f: subscribed(agency.PaymentFailed, own, runs, due), want: "payment-failed petra"},
		{name: "payment failed, recovered", f: subscribed(agency.PaymentFailed, own, runs, due), then: func(f *facts) { f.account.Subscription = runs }, want: "-payment-failed petra"},
		{name: "payment recovered", f: subscribed(agency.PaymentRecovered, owned, due, runs), want: "payment-recovered-agency oskar"},
		{name: "payment recovered, failed again", f: subscribed(agency.PaymentRecovered, own, due, runs), then: func(f *facts) { f.account.Subscription = due }, want: "-payment-recovered petra"},

		{name: "created", f: created(true), want: "created-agency ann, created-agency oskar, created-client tom"},
		{name: "created, client taken out", f: created(true), then: status(agency.Revoked), want: "created-agency ann, created-agency oskar, -created-client tom"},
		{name: "created for nobody", f: created(false), want: "created-agency ann, created-agency oskar"},
		{name: "opened", f: person(agency.AccountOpened, own, agency.Active)},
		{name: "registered", f: person(agency.AccountRegistered, own, agency.Active)},
		{name: "released", f: person(agency.PersonReleased, own, agency.Active)},
		{name: "renamed", f: person(agency.AccountRenamed, own, agency.Active)},
		{name: "switched on", f: person(agency.AgencySwitchedOn, own, agency.Active)},

		{name: "added", f: person(agency.PersonAdded, own, agency.Active), want: "person-added tom"},
		{name: "added, removed", f: person(agency.PersonAdded, own, agency.Revoked), want: "-person-added tom"},
		{name: "added, removed, added", f: person(agency.PersonAdded, own, agency.Active), then: func(f *facts) { f.profile.Since = f.now.Add(time.Second) }, want: "-person-added tom"},
		{name: "added, changed", f: person(agency.PersonAdded, own, agency.Active), then: func(f *facts) { f.profile.Role = agency.Admin }, want: "person-added tom"},
		{name: "changed", f: person(agency.PersonChanged, own, agency.Active), want: "person-changed tom"},
		{name: "changed, and again", f: person(agency.PersonChanged, own, agency.Active), then: func(f *facts) { f.profile.Role = agency.Owner }, want: "-person-changed tom"},
		{name: "changed, clients since", f: person(agency.PersonChanged, own, agency.Active), then: func(f *facts) { f.profile.Clients = []agency.AccountID{} }, want: "-person-changed tom"},
		{name: "changed, left", f: person(agency.PersonChanged, own, agency.Left), want: "-person-changed tom"},
		{name: "removed", f: person(agency.PersonRemoved, own, agency.Revoked), want: "person-removed tom"},
		{name: "removed, added", f: person(agency.PersonRemoved, own, agency.Active), want: "-person-removed tom"},
		{name: "left a team", f: person(agency.PersonLeft, own, agency.Left), want: "person-left petra"},
		{name: "left a team, added", f: person(agency.PersonLeft, own, agency.Active), want: "person-left petra"},
		{name: "person ended", f: person(agency.PersonEnded, own, agency.Ended)},

		{name: "given", f: person(agency.PersonAdded, owned, agency.Active), want: "access-given tom"},
		{name: "given, taken", f: person(agency.PersonAdded, owned, agency.Revoked), want: "-access-given tom"},
		{name: "access changed", f: person(agency.PersonChanged, owned, agency.Active), want: "access-changed tom"},
		{name: "access changed, taken", f: person(agency.PersonChanged, owned, agency.Revoked), want: "-access-changed tom"},
		{name: "taken", f: person(agency.PersonRemoved, owned, agency.Revoked), want: "access-taken tom"},
		{name: "taken, given", f: person(agency.PersonRemoved, owned, agency.Active), want: "-access-taken tom"},
		{name: "client left", f: person(agency.PersonLeft, owned, agency.Left), want: "person-left oskar"},
	} {
		shown[test.f.event.Type] = true
		t.Run(test.name, func(t *testing.T) {
			f := test.f
			if test.then != nil {
				test.then(&f)
			}
			if diff := cmp.Diff(test.want, brief(plan(f))); diff != "" {
				t.Error(diff)
			}
		})
	}
	types, err := testbed.EventTypes()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range types {
		if !shown[agency.EventType(e)] {
			t.Errorf("no line shows %s", e)
		}
	}
}

// ended is people as cleanup leaves them once their account is closed.
func ended(people []agency.Profile, at time.Time) {
	for i := range people {
		people[i].Status, people[i].Since = agency.Ended, at.Add(-time.Duration(i)*time.Second)
	}
}

// Unsolicited is RULES.md's list, and creating an account for somebody, which
// gives access too.
func TestUnsolicited(t *testing.T) {
	var got []string
	for _, rows := range tellings {
		for _, row := range rows {
			if row.unsolicited {
				got = append(got, row.kind)
			}
		}
	}
	slices.Sort(got)
	want := []string{
		"access-given", "created-client", "expired-client", "expired-person", "person-added", "reminded", "reminded-person",
		"requested", "requested-person", "resent", "resent-person", "withdrawn-client", "withdrawn-person",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, m := range plan(created(true)) {
		if m.unsolicited != (m.kind == "created-client") {
			t.Errorf("%s is unsolicited: %v", m.kind, m.unsolicited)
		}
	}
}

func TestWasIn(t *testing.T) {
	at := monday.Add(time.Hour)
	for _, test := range []struct {
		p    agency.Profile
		want bool
	}{
		{agency.Profile{Status: agency.Active}, true},
		{agency.Profile{Status: agency.Active, Until: at.Add(1)}, true},
		{agency.Profile{Status: agency.Active, Until: at}, false},
		{agency.Profile{Status: agency.Pending, Request: agency.Request{ExpiresAt: at.Add(1)}}, true},
		{agency.Profile{Status: agency.Pending, Request: agency.Request{ExpiresAt: at}}, false},
		{agency.Profile{Status: agency.Ended, Since: at.Add(time.Hour)}, true},
		{agency.Profile{Status: agency.Expired, Since: at}, true},
		{agency.Profile{Status: agency.Left, Since: at.Add(time.Hour)}, true},
		{agency.Profile{Status: agency.Revoked, Since: at.Add(-1)}, false},
		{agency.Profile{Status: agency.Lapsed, Since: at.Add(-time.Hour)}, false},
	} {
		if got := wasIn(test.p, at); got != test.want {
			t.Errorf("%s since %s until %s: %v", test.p.Status, test.p.Since, test.p.Until, got)
		}
	}
}

// brief writes a plan down in a line.
func brief(mails []mail) string {
	var out []string
	for _, m := range mails {
		mark := map[outbox.Fate]string{"": "", outbox.Obsolete: "-", outbox.Muted: "~"}[m.withheld]
		who, _, _ := strings.Cut(m.to.Address, "@")
		out = append(out, mark+m.kind+" "+who)
		if m.to.ID != agency.NewPersonID(m.to.Address) {
			out = append(out, "(with another's id)")
		}
	}
	return strings.Join(out, ", ")
}

func TestRecipients(t *testing.T) {
	f := connection(agency.ConnectionAccepted, agency.Pending, agency.Active)
	f.staff = nil
	for i := range 14 {
		p := staff(studio, fmt.Sprintf("o%02d@studio.test", i), agency.Owner)
		p.Since = monday.Add(-time.Duration(i) * time.Hour)
		f.staff = append(f.staff, p)
	}
	admin, gone, lapsed := staff(studio, "admin@studio.test", agency.Admin), staff(studio, "gone@studio.test", agency.Owner), staff(studio, "lapsed@studio.test", agency.Owner)
	gone.Status, lapsed.Until = agency.Left, monday
	asker := staff(studio, "ann@studio.test", agency.Admin)
	f.staff = append(f.staff, admin, gone, lapsed, asker)

	addresses := func(to []recipient) string {
		var out []string
		for _, r := range to {
			out = append(out, strings.TrimSuffix(r.Address, "@studio.test"))
		}
		return strings.Join(out, " ")
	}
	all := "ann o13 o12 o11 o10 o09 o08 o07 o06 o05"
	if got := addresses(agencySide(f)); got != all {
		t.Errorf("%s, want %s", got, all)
	}
	slices.Reverse(f.staff)
	if got := addresses(agencySide(f)); got != all {
		t.Errorf("in another order: %s, want %s", got, all)
	}
	f.profile.Request.By = agency.NewPersonID("gone@studio.test")
	if got := addresses(agencySide(f)); strings.Contains(got, "gone") || !strings.HasPrefix(got, "o13 ") || len(strings.Fields(got)) != mostRecipients {
		t.Errorf("asked by who has left: %s", got)
	}
	f.profile.Request.By = agency.NewPersonID("o03@studio.test")
	if got := addresses(agencySide(f)); strings.Count(got, "o03") != 1 || !strings.HasPrefix(got, "o03 ") {
		t.Errorf("asked by an owner: %s", got)
	}
}

// Every type of event has its row of emails. An empty one has its reason, in the
// comment above it or above the empty ones that it follows.
func TestEveryEventIsThoughtOf(t *testing.T) {
	want, err := testbed.EventTypes()
	if err != nil || len(want) < 20 {
		t.Fatal(want, err)
	}
	var rows []string
	for kind := range tellings {
		rows = append(rows, string(kind))
	}
	slices.Sort(rows)
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Errorf("types (-source +rows): %s", diff)
	}
	source, err := os.ReadFile("plan.go")
	if err != nil {
		t.Fatal(err)
	}
	empty := regexp.MustCompile(`^\tagency\.\w+:\s+\{\},$`)
	reason, found := false, 0
	for line := range strings.Lines(string(source)) {
		line = strings.TrimRight(line, "\n")
		if !empty.MatchString(line) {
			reason = strings.HasPrefix(line, "\t//")
			continue
		}
		found++
		if !reason {
			t.Errorf("nothing says why nobody is told:%s", line)
		}
	}
	told := 0
	for _, row := range tellings {
		if len(row) > 0 {
			told++
		}
	}
	if found != len(tellings)-told {
		t.Errorf("%d empty rows are found, of %d", found, len(tellings)-told)
	}
}

// Somebody who never used their profile has agreed to nothing: news of it counts
// as unsolicited until they do.
func TestNewsToAStrangerIsUnsolicited(t *testing.T) {
	person := agency.NewPersonID("stranger@x.test")
	account := agency.NewAccountID("x", "1")
	for _, of := range []agency.EventType{agency.PersonChanged, agency.PersonRemoved} {
		for _, ownership := range []agency.Ownership{agency.ClientOwned, agency.AgencyOwned} {
			f := facts{now: monday, account: agency.Account{ID: account, Ownership: ownership, Version: 1}}
			f.event = agency.Event{Type: of, At: monday, Addressee: agency.Party(account), Member: agency.Party(person), Ownership: ownership}
			f.profile = agency.Profile{ProfileKey: agency.PersonAt(account, person), Status: agency.Active, Email: "stranger@x.test", Version: 2}
			for _, subject := range []string{"", "known"} {
				f.profile.Subject = subject
				mails := plan(f)
				if len(mails) != 1 || mails[0].unsolicited != (subject == "") {
					t.Errorf("%s in an account of %s, signed in %t: %+v", of, ownership, subject != "", mails)
				}
			}
		}
	}
}
