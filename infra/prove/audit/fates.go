package audit

import (
	"slices"
	"strings"
	"time"
)

// records are the kinds of emails that stay true whatever happens later. They are sent however
// late.
var records = map[string]bool{
	"created-agency": true, "closed-agency": true, "closed-client": true, "accepted-agency": true, "accepted-client": true,
	"declined-agency": true, "declined-client": true, "declined-person": true, "revoked-agency": true, "revoked-client": true,
	"left-agency": true, "left-client": true, "person-left": true, "ownership-accepted": true,
}

// clockTime is how far the clocks of two functions differ at most.
const clockTime = 2 * time.Second

// Fates returns which of the emails that had to be there have an end that nothing explains. It
// is for a table without blocks, cooldowns of persons, stopped mailboxes, suppressed addresses
// and refusals of SES: an email is sent, or a later change has made it pointless, or a digest
// counts it. What may have been sent is not sent again for the same reasons alone.
func (d *Data) Fates() []string {
	var wrong findings
	for _, e := range d.Events {
		mails := d.emailsOf(e)
		for _, r := range rulesOf(e) {
			for _, id := range r.to(d, e).must {
				m, ok := mails[[2]string{r.kind, id}]
				_, final := finalFates[m.Fate]
				switch {
				case !ok || !final: // Due and Unfinished say so
				case m.IsSent():
				case m.Fate == "counted" && m.WasHeld(): // Told checks it
				case m.Fate == "unconfirmed" && m.WasHeld(): // as well
				case (m.Fate == "obsolete" || m.Fate == "unconfirmed") && !records[r.kind] && d.isOvertaken(e, m):
				default:
					wrong.addf("the email %s is %s since %s, and nothing explains it", m.Tag(), m.Fate, m.FinishedAt)
				}
			}
		}
	}
	return wrong
}

// isOvertaken reports whether something has happened after an event and before the end of one of
// its emails that can make the email pointless: its date has passed, or there is an event of the
// profile, of the account or the agency, or of who asked, or somebody concerned is being erased.
func (d *Data) isOvertaken(e Event, m Mail) bool {
	until := after(m.FinishedAt, clockTime)
	passed := func(end string) bool { return end != "" && end <= until }
	if passed(e.Now.Expires) || passed(e.Now.Until) {
		return true
	}
	later := func(other Event) bool { return other.SK > e.SK && other.At <= until }
	maker, agency := d.makerOf(e), e.Agency
	if agency == "" {
		agency = d.Accounts[e.Addressee].Owner
	}
	members := []string{"", e.Member, e.Client, maker}
	changed := func(other Event) bool {
		if other.Type == "account.closed" && other.At <= until {
			return true // what ends by a closing is told by the closing
		}
		return later(other) && other.Type != "account.renamed" && slices.Contains(members, other.Member)
	}
	if slices.ContainsFunc(d.at[e.Addressee], changed) {
		return true
	}
	members = []string{"", maker}
	if agency != "" && slices.ContainsFunc(d.at[agency], changed) {
		return true
	}
	for _, id := range []string{e.Addressee, e.Member, e.Client, maker, m.Recipient()} {
		if slices.ContainsFunc(d.at[id], func(other Event) bool { return other.Type == "person.erasing" && later(other) }) {
			return true
		}
	}
	// A request by email is accepted at the account that the person chooses.
	return strings.HasPrefix(e.Addressee, "per_") && slices.ContainsFunc(d.Events, func(other Event) bool {
		return other.Type == "connection.accepted" && other.Actor == e.Addressee && other.Member == e.Member && later(other)
	})
}

// Told returns what is wrong with digests and the emails that were held for them: what a
// digest has told needs a digest to its recipient, what it counts one to somebody else, and a
// digest that mails nobody an email that was held for it and ended otherwise.
func (d *Data) Told() []string {
	var wrong findings
	var held, digests []Mail
	for _, m := range d.Mails {
		switch {
		case m.Kind() == "digest":
			digests = append(digests, m)
		case m.WasHeld():
			held = append(held, m)
		}
	}
	for _, m := range held {
		of := func(mine bool, is func(Mail) bool) bool {
			return slices.ContainsFunc(digests, func(o Mail) bool { return (o.Recipient() == m.Recipient()) == mine && is(o) })
		}
		maybe := func(o Mail) bool { return o.IsSent() || o.Fate == "unconfirmed" }
		switch {
		case m.IsSent() && (m.MessageID == "" || !of(true, Mail.IsSent)):
			wrong.addf("the held email %s is %s, and its recipient has no digest", m.Tag(), m.Fate)
		case m.Fate == "counted" && !of(false, maybe):
			wrong.addf("the held email %s is counted, and nobody has a digest that counts it", m.Tag())
		case m.Fate == "unconfirmed" && !of(true, func(Mail) bool { return true }):
			wrong.addf("the held email %s is unconfirmed, and its recipient has no digest", m.Tag())
		}
	}
	for _, e := range d.Events {
		if !e.IsDigest() || e.Notified == "" || len(d.emailsOf(e)) > 0 {
			continue
		}
		from, until := after(e.At, -clockTime), after(e.Notified, clockTime)
		if !slices.ContainsFunc(held, func(m Mail) bool {
			return m.IsUnsent() && m.Fate != "counted" && m.FinishedAt >= from && m.FinishedAt <= until
		}) {
			wrong.addf("the digest %s mails nobody, and no email that was held for it has ended otherwise", e.ID())
		}
	}
	return wrong
}

// Endings returns what closings and erasings have left. In a closed account every profile has
// ended, and each that had not at the closing has an event of its end. A person who is erased
// has no profile that goes on and no address in one that has ended. Both are of a table in which
// nothing is due.
func (d *Data) Endings() []string {
	var wrong findings
	for key, p := range d.Profiles {
		if d.Accounts[key[0]].Closed != "" && !p.isEnded() {
			wrong.addf("the account of %v is closed, and the profile is %s", key, p.Status)
		}
		if d.isErasing(key[1]) && p.Status != "invited" && (!p.isEnded() || p.Email != "") {
			wrong.addf("the member of %v is erased, and the profile is %s, with an address: %t", key, p.Status, p.Email != "")
		}
	}
	for _, e := range d.Events {
		switch e.Type {
		case "account.closed":
			d.closing(&wrong, e)
		case "person.erasing":
			if !slices.ContainsFunc(d.at[e.Addressee], func(other Event) bool { return other.Type == "person.erased" }) {
				wrong.addf("the person %s is being erased, and never is", e.Addressee)
			}
			if _, there := d.People[e.Addressee]; there {
				wrong.addf("the person %s is to be erased, and is there", e.Addressee)
			}
		}
	}
	return wrong
}

// closing checks that those in an account at its closing have an event of their end.
func (d *Data) closing(wrong *findings, closed Event) {
	goesOn := map[string]bool{"active": true, "pending": true, "invited": true}
	before, since := map[string]string{}, map[string]string{}
	for _, e := range d.at[closed.Addressee] {
		status := before
		if e.SK > closed.SK {
			status = since
		}
		switch {
		case e.Type == "account.opened":
			status[e.Actor] = "active"
		case e.Type == "account.created":
			status[e.Agency], status[e.Client] = "active", "invited"
		case e.Member != "" && e.Now.Status != "":
			status[e.Member] = e.Now.Status
		}
	}
	for member, was := range before {
		if now := since[member]; goesOn[was] && (now == "" || goesOn[now]) {
			wrong.addf("%s was %s in %s at its closing, and has no event of the end", member, was, closed.Addressee)
		}
	}
}
