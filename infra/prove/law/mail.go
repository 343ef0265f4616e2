package law

import (
	"cmp"
	"slices"
	"time"

	"agencyhub/shared/agency"
	"agencyhub/shared/outbox"
)

// Mail is an email that an event causes.
type Mail struct {
	Kind string
	To   agency.PersonID
	// Address is where it goes.
	Address string
	Fate    outbox.Fate
}

// MailCount counts the unsolicited emails of a UTC day to a mailbox: all ("" for Of), those
// that one person causes, or those for one account.
type MailCount struct {
	Box agency.MailboxID
	Of  agency.Party
	Day time.Time
}

// Box is what is known of a mailbox.
type Box struct {
	// IsStopped: it gets no unsolicited mail.
	IsStopped bool
}

// letter is what an event's emails rest on.
type letter struct {
	*turn
	e       Event
	account Account
	// of is the agency concerned, and m the profile.
	of  agency.AccountID
	key agency.ProfileKey
	m   Member
}

// mailRule says who gets an email of a kind.
type mailRule struct {
	kind string
	to   func(letter) []agency.PersonID
	// over reports whether the email says nothing true or useful any more.
	over func(letter) bool
	// unsolicited reports whether its recipients have accepted nothing of it.
	unsolicited func(letter) bool
}

// Mail sends the emails of an event at a time, and returns them with their fates. It
// notes who was reached by a request.
func (l *Law) Mail(e Event, now time.Time) []Mail {
	t := &turn{Law: l, now: now.UTC().Truncate(time.Millisecond)}
	var mails []Mail
	for _, c := range t.letters(e) {
		for _, rule := range mailRules(c) {
			for _, id := range rule.to(c) {
				mails = append(mails, c.mail(rule, id))
			}
		}
	}
	t.reach(e, mails)
	return mails
}

// letters are the contexts of an event: one, or for a closing one of the account and one
// of each agency that was in it.
func (t *turn) letters(e Event) []letter {
	id := e.Addressee.Account()
	c := letter{turn: t, e: e, account: t.Accounts[id], of: cmp.Or(e.Agency, e.As), key: agency.ProfileKey{Addressee: e.Addressee, Member: e.Member}}
	switch {
	case e.Type == agency.AccountCreated:
		c.key.Member = agency.Party(e.Client)
	case e.Type == agency.AccountClosed:
		all := []letter{c}
		all[0].of = ""
		for _, key := range t.keys(func(k agency.ProfileKey, m Member) bool {
			return k.Addressee == e.Addressee && isConnection(k) && wasThere(m, e.At)
		}) {
			side := c
			side.of, side.key, side.m = key.Member.Account(), key, t.Members[key]
			all = append(all, side)
		}
		return all
	}
	if c.of == "" {
		c.of = c.account.Owner
	}
	c.m = t.Members[c.key]
	return []letter{c}
}

// wasThere reports whether a member was active or waited at a time, by what is known now.
func wasThere(m Member, at time.Time) bool {
	if m.hasEnded() {
		return !m.Since.Before(at)
	}
	status := m.status(at)
	return status == agency.Active || status == agency.Pending || status == agency.Invited
}

// mail decides on the fate of one email.
func (c letter) mail(rule mailRule, id agency.PersonID) Mail {
	out := Mail{Kind: rule.kind, To: id, Address: c.addressOf(rule.kind, id), Fate: outbox.Sent}
	person := c.People[id]
	unsolicited := rule.unsolicited != nil && rule.unsolicited(c) || c.isUnused(rule, id)
	switch {
	case rule.over != nil && rule.over(c):
		out.Fate = outbox.Obsolete
	case c.isMutedFor(id):
		out.Fate = outbox.Muted
	case !person.Erasing.IsZero():
		out.Fate = outbox.Obsolete
	case person.IsSuppressed:
		out.Fate = outbox.Suppressed
	case unsolicited:
		out.Fate = c.count(out.Address, person)
	}
	return out
}

// count counts an unsolicited email; what is over a limit is held.
func (c letter) count(address string, person Person) outbox.Fate {
	box, limits := agency.Mailbox(address), c.Rules.UnsolicitedMails
	if c.Boxes[box].IsStopped {
		return outbox.Stopped
	}
	all := limits.All
	if person.FirstAt.IsZero() {
		all = min(all, limits.NeverSignedIn)
	}
	sender, account := c.askedBy()
	counts := map[MailCount]int{{box, "", day(c.now)}: all}
	if sender != "" {
		counts[MailCount{box, agency.Party(sender), day(c.now)}] = limits.BySender
	}
	if account != "" {
		counts[MailCount{box, agency.Party(account), day(c.now)}] = limits.ByAccount
	}
	for count, limit := range counts {
		if c.Mails[count] >= limit {
			return outbox.Held
		}
	}
	for count := range counts {
		c.Mails[count]++
	}
	return outbox.Sent
}

// askedBy is who asked last, and the account that they asked for.
func (c letter) askedBy() (agency.PersonID, agency.AccountID) {
	switch {
	case c.e.Kind != "", c.e.Type == agency.AccountCreated:
		return cmp.Or(c.m.Request.By, c.e.Actor), cmp.Or(c.m.Request.From, c.e.Agency)
	case c.e.Agency != "" && c.e.Member == agency.Party(c.e.Agency):
		return cmp.Or(c.m.Request.By, c.e.Actor), c.e.Agency
	default:
		return c.e.Actor, cmp.Or(c.e.As, c.account.Owner, c.account.ID)
	}
}

// asksAccount and asksPerson report whether the event's emails ask for an answer.
func (c letter) asksAccount() bool {
	switch c.e.Type {
	case agency.ConnectionRequested, agency.ConnectionResent, agency.ConnectionReminded:
		return true
	default:
		return false
	}
}

func (c letter) asksPerson() bool {
	switch c.e.Type {
	case agency.AccountCreated, agency.PersonInvited, agency.InvitationResent, agency.InvitationReminded, agency.OwnershipOffered:
		return true
	default:
		return false
	}
}

// isMutedFor reports whether a person must not hear of what the event is about: by their
// own block or cooldown, or since the request is muted for them.
func (c letter) isMutedFor(id agency.PersonID) bool {
	isAsked := id == c.key.Member.Person()
	switch {
	case c.asksAccount():
		return c.isMuting(agency.PersonPair(id, c.of))
	case (c.e.Kind != "" || c.asksPerson()) && isAsked && c.m.Request.Muted:
		return true
	case c.asksPerson() && isAsked && c.m.Request.From != "" && c.m.Email != "":
		untagged := agency.NewPersonID(agency.Untagged(c.m.Email))
		return c.isMuting(agency.PersonPair(id, c.m.Request.From)) || c.isMuting(agency.PersonPair(untagged, c.m.Request.From))
	default:
		return false
	}
}

// reach notes the people who are to answer and were sent an email of the request.
func (t *turn) reach(e Event, mails []Mail) {
	key := agency.ProfileKey{Addressee: e.Addressee, Member: e.Member}
	switch e.Type {
	case agency.ConnectionRequested, agency.ConnectionResent, agency.PersonInvited, agency.InvitationResent, agency.OwnershipOffered:
	case agency.AccountCreated:
		key.Member = agency.Party(e.Client)
	default:
		return
	}
	m, found := t.Members[key]
	if !found || m.Request.Number != e.Request {
		return
	}
	for _, mail := range mails {
		if mail.Fate == outbox.Sent && !isToAgency(mail.Kind) && !slices.Contains(m.Request.Reached, mail.To) {
			m.Request.Reached = append(slices.Clone(m.Request.Reached), mail.To)
		}
	}
	slices.Sort(m.Request.Reached)
	t.Members[key] = m
}

// addressOf is where a recipient is mailed: the address that was typed for who is asked, and
// for everybody else that of their profile in the account or the agency.
func (c letter) addressOf(kind string, id agency.PersonID) string {
	if isToAsked[kind] {
		return c.m.Email
	}
	at := []agency.AccountID{c.account.ID, c.of}
	if isToAgency(kind) {
		at = at[1:]
	}
	for _, at := range at {
		if m := c.Members[agency.PersonAt(at, id)]; m.Email != "" {
			return m.Email
		}
	}
	return ""
}

// isUnused reports whether a recipient, as an owner, has never used their profile.
func (c letter) isUnused(rule mailRule, id agency.PersonID) bool {
	if isToAsked[rule.kind] {
		return false
	}
	at := c.account.ID
	if isToAgency(rule.kind) || c.e.Type == agency.PersonLeft && c.e.Ownership == agency.AgencyOwned {
		at = c.of
	}
	if isToMaker[rule.kind] && c.m.Request.From != c.account.ID {
		at = c.of
	}
	return c.Members[agency.PersonAt(at, id)].Subject == ""
}
