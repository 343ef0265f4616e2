package law

import (
	"cmp"
	"slices"
	"time"

	"agencyhub/shared/agency"
)

// me is a person's first sign-in, or a later one.
func (t *turn) me() (Outcome, error) {
	p := t.People[t.c.By.ID()]
	if p.FirstAt.IsZero() || p.IsSuppressed {
		t.wrote = true
	}
	p.IsSuppressed = false
	t.People[t.c.By.ID()] = p
	return Outcome{}, nil
}

// stopMail stops unsolicited mail to the caller's mailbox, or allows it again.
func (t *turn) stopMail() (Outcome, error) {
	t.byPlatform = true // nobody's first command
	t.Boxes[agency.Mailbox(t.c.By.Email)] = Box{IsStopped: t.c.Do == StopMail}
	return Outcome{}, nil
}

// Suppress notes that mail to a person's address has bounced permanently.
func (l *Law) Suppress(id agency.PersonID) {
	p := l.People[id]
	p.IsSuppressed = true
	l.People[id] = p
}

func (t *turn) eraseMe() (Outcome, error) {
	me := t.c.By.ID()
	var owned []agency.ProfileKey
	for _, key := range t.keys(func(key agency.ProfileKey, m Member) bool {
		return key.Member == agency.Party(me) && m.Status == agency.Active
	}) {
		m := t.Members[key]
		if m.isAnother(t.c.By) {
			return Outcome{}, refuse(agency.IdentityChanged)
		}
		if m.Role == agency.Owner && t.Accounts[key.Addressee.Account()].isOpen() {
			owned = append(owned, key)
		}
	}
	p := t.People[me]
	if !p.Erasing.IsZero() {
		return Outcome{}, nil
	}
	for _, key := range owned {
		if t.owners(t.Accounts[key.Addressee.Account()]) == 1 {
			return Outcome{}, refuse(agency.LastOwner)
		}
	}
	p.Erasing, p.DueAt = t.now, t.now
	t.People[me] = p
	t.wrote = true
	t.personEvent(agency.PersonErasing, me)
	for _, key := range owned {
		if err := t.endErased(key); err != nil {
			return Outcome{}, err
		}
	}
	return Outcome{}, nil
}

func (t *turn) personEvent(as agency.EventType, id agency.PersonID) {
	t.events = append(t.events, Event{Type: as, At: t.now, Addressee: agency.Party(id), Member: agency.Party(id), Ownership: agency.ClientOwned})
}

// endErased ends the profile of a person who is being erased, without their address.
func (t *turn) endErased(key agency.ProfileKey) error {
	m, err := t.endPerson(t.Accounts[key.Addressee.Account()], key, agency.Ended, agency.PersonEnded)
	if err != nil {
		return err
	}
	m.Email, m.Issuer, m.Subject = "", "", ""
	t.put(key, m)
	return nil
}

// keys lists the members that match, in the order of their ids.
func (t *turn) keys(matches func(agency.ProfileKey, Member) bool) []agency.ProfileKey {
	var found []agency.ProfileKey
	for key, m := range t.Members {
		if matches(key, m) {
			found = append(found, key)
		}
	}
	slices.SortFunc(found, func(a, b agency.ProfileKey) int {
		return cmp.Or(cmp.Compare(a.Addressee, b.Addressee), cmp.Compare(a.Member, b.Member))
	})
	return found
}

// Due lists what the sweep has to do at a time, as commands in the order of their ids.
func (l *Law) Due(now time.Time) []Command {
	t := &turn{Law: l, now: now}
	var due []Command
	for _, key := range t.keys(func(_ agency.ProfileKey, m Member) bool { return !t.dueAt(m).IsZero() && !now.Before(t.dueAt(m)) }) {
		due = append(due, Command{Do: SweepProfile, Profile: key})
	}
	for _, id := range slices.Sorted(names(l.Accounts)) {
		if at := t.accountDueAt(l.Accounts[id]); !at.IsZero() && !now.Before(at) {
			due = append(due, Command{Do: SweepAccount, Account: id})
		}
	}
	for _, id := range slices.Sorted(names(l.People)) {
		if p := l.People[id]; !p.Erasing.IsZero() && !now.Before(p.DueAt) {
			due = append(due, Command{Do: SweepPerson, Person: id})
		}
	}
	return due
}

// names yields the keys of a map.
func names[K comparable, V any](m map[K]V) func(func(K) bool) {
	return func(yield func(K) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// dueAt is when the sweep has something to do with a member; zero for never.
func (t *turn) dueAt(m Member) time.Time {
	switch {
	case !m.CloseAt.IsZero():
		return m.CloseAt
	case m.hasEnded():
		return m.Since.Add(t.Rules.Retention)
	case !m.RemindAt.IsZero():
		return m.RemindAt
	case m.isOpen():
		return m.Request.ExpiresAt
	default:
		return m.Until
	}
}

// accountDueAt is when the sweep has something to do with an account.
func (t *turn) accountDueAt(a Account) time.Time {
	switch {
	case a.EndedAll:
		return a.Closed.Add(t.Rules.Retention)
	case !a.Closed.IsZero():
		return a.Closed
	default:
		return a.FreezesAt
	}
}

func (t *turn) sweepProfile() (Outcome, error) {
	t.byClock = true
	key := t.c.Profile
	was, exists := t.Members[key]
	if at := t.dueAt(was); !exists || at.IsZero() || t.now.Before(at) {
		return Outcome{}, nil
	}
	switch {
	case !was.CloseAt.IsZero():
		t.closeInvitations(key)
		return Outcome{Done: "closed"}, nil
	case was.hasEnded():
		t.collect(key, true)
		return Outcome{Done: "collected"}, nil
	}
	m, events := t.settle(key, was)
	switch {
	case len(events) > 0:
		t.write(key, was, m, nil, events...)
		if m.Status == agency.Lapsed {
			return Outcome{Done: "lapsed"}, nil
		}
		return Outcome{Done: "expired"}, nil
	case m.isOpen() && isConnection(key):
		t.write(key, was, m, noMore, t.profileEvent(agency.ConnectionReminded, key, m))
	case m.isOpen():
		t.write(key, was, m, noMore, t.profileEvent(agency.InvitationReminded, key, m))
	default:
		t.write(key, was, m, t.nextWarning, t.profileEvent(agency.ConnectionLapseAhead, key, m))
	}
	return Outcome{Done: "reminded"}, nil
}

// noMore plans no reminder: a request has one.
func noMore(Member) time.Time { return time.Time{} }

// collect deletes a profile that ended long ago. Its pair keeps the number of its latest
// request, unless the account goes too.
func (t *turn) collect(key agency.ProfileKey, keeps bool) {
	m := t.Members[key]
	asker := m.Request.From
	if isConnection(key) {
		asker = key.Member.Account()
	}
	if keeps && asker != "" {
		pair := pairOf(key, asker)
		p := t.Pairs[pair]
		p.Number = max(p.Number, m.Request.Number)
		t.putPair(pair, p)
	}
	delete(t.Members, key)
	t.wrote = true
}

// closeInvitations closes what somebody has asked persons and is no longer allowed to, in
// their account and in those that it owns.
func (t *turn) closeInvitations(of agency.ProfileKey) {
	maker := t.Members[of]
	maker.CloseAt = time.Time{}
	t.put(of, maker)
	in := of.Addressee.Account()
	for _, key := range t.keys(func(key agency.ProfileKey, m Member) bool {
		account := key.Addressee.Account()
		owning := t.Members[agency.AgencyAt(account, in)]
		theirs := account == in || owning.Ownership == agency.AgencyOwned && owning.Status == agency.Active
		return theirs && !isConnection(key) && m.Request.By == of.Member.Person() && m.waits(t.now) && !canAsk(maker, m.Request.Role)
	}) {
		was := t.Members[key]
		m, events := t.closeRequest(key, was)
		t.write(key, was, m, nil, events...)
	}
}

func (t *turn) sweepAccount() (Outcome, error) {
	t.byClock = true
	a := t.Accounts[t.c.Account]
	if at := t.accountDueAt(a); at.IsZero() || t.now.Before(at) {
		return Outcome{}, nil
	}
	if a.Closed.IsZero() {
		t.freeze(a)
		return Outcome{Done: "frozen"}, nil
	}
	in := func(key agency.ProfileKey, _ Member) bool { return key.Addressee == agency.Party(a.ID) }
	gone := !t.now.Before(a.Closed.Add(t.Rules.Retention))
	left := 0
	for _, key := range t.keys(in) {
		switch m := t.Members[key]; {
		case !m.hasEnded():
			left++
			t.end(key)
		case gone:
			left++
			t.collect(key, false)
		}
	}
	switch {
	case left > 0 && gone:
		return Outcome{Done: "collected"}, nil
	case left > 0:
		return Outcome{Done: "ended"}, nil
	case !gone:
		a.EndedAll = true
		t.putAccount(a, "")
		return Outcome{Done: "ended"}, nil
	}
	for key := range t.Pairs {
		if key.Addressee == agency.Party(a.ID) {
			left++
			delete(t.Pairs, key)
		}
	}
	if left == 0 {
		delete(t.Accounts, a.ID)
	}
	return Outcome{Done: "collected"}, nil
}

// end ends a member of a closed account. What waits there expires.
func (t *turn) end(key agency.ProfileKey) {
	was := t.Members[key]
	m, events := t.settle(key, was)
	switch {
	case m.hasEnded():
	case m.Status != agency.Active:
		var expired []Event
		m, expired = t.expire(key, m)
		m.Since = t.now
		events = append(events, expired...)
	default:
		if m.hasOffer() {
			var closed []Event
			m, closed = t.closeRequest(key, m)
			events = append(events, closed...)
		}
		as := agency.PersonEnded
		if isConnection(key) {
			as = agency.ConnectionEnded
		}
		m.Status, m.Since = agency.Ended, t.now
		events = append(events, t.profileEvent(as, key, m))
	}
	t.write(key, was, m, nil, events...)
}

// sweepPerson goes on to erase a person: their places end, the requests to them are
// muted, and their address goes. It stops where they are a last owner.
func (t *turn) sweepPerson() (Outcome, error) {
	t.byClock = true
	id := t.c.Person
	p := t.People[id]
	if p.Erasing.IsZero() || t.now.Before(p.DueAt) {
		return Outcome{}, nil
	}
	did, stopped := 0, false
	for _, key := range t.keys(func(key agency.ProfileKey, _ Member) bool {
		return key.Member == agency.Party(id) || key.Addressee == agency.Party(id)
	}) {
		switch m := t.Members[key]; {
		case key.Addressee == agency.Party(id), m.Status == agency.Invited:
			if m.isOpen() && !m.Request.Muted {
				m.Request.Muted = true
				t.put(key, m)
				did++
			}
		case m.Status == agency.Active:
			if err := t.endErased(key); err != nil {
				stopped = true
				continue
			}
			did++
		case m.Email != "":
			m.Email, m.Issuer, m.Subject = "", "", ""
			t.put(key, m)
			did++
		}
	}
	const settles = 5 * time.Minute // an index may be late
	switch {
	case stopped:
		p.DueAt = t.now.Add(time.Hour)
		t.People[id] = p
		return Outcome{Code: agency.LastOwner}, nil
	case did > 0:
	case t.now.Before(p.Erasing.Add(settles)):
		p.DueAt = p.Erasing.Add(settles)
		t.People[id] = p
	default:
		delete(t.People, id)
		t.personEvent(agency.PersonErased, id)
	}
	return Outcome{Done: "erased"}, nil
}

// DueTimes are the moments at which the sweep has something to do, by what it is about.
func (l *Law) DueTimes() map[string]time.Time {
	t := &turn{Law: l}
	all := map[string]time.Time{}
	for key, m := range l.Members {
		all[string(key.Member)+" in "+string(key.Addressee)] = t.dueAt(m)
	}
	for id, a := range l.Accounts {
		all[string(id)] = t.accountDueAt(a)
	}
	return all
}

// Moments lists the moments after a time at which the clock changes something.
func (l *Law) Moments(now time.Time) []time.Time {
	t := &turn{Law: l}
	var all []time.Time
	add := func(moments ...time.Time) {
		for _, at := range moments {
			if at.After(now) {
				all = append(all, at)
			}
		}
	}
	for _, m := range l.Members {
		add(t.dueAt(m), m.Until)
		if m.isOpen() {
			add(m.Request.ExpiresAt, m.Request.MailedAt.Add(l.Rules.ResendAfter))
		}
		if m.Status == agency.Declined || m.Status == agency.Revoked {
			add(m.Since.Add(l.Rules.Cooldown))
		}
	}
	for _, p := range l.Pairs {
		add(p.CoolingUntil)
		if len(p.Mailed) >= l.Rules.PairMails {
			add(p.Mailed[len(p.Mailed)-l.Rules.PairMails].Add(l.Rules.PairWindow))
		}
	}
	for _, a := range l.Accounts {
		add(t.accountDueAt(a))
	}
	for _, p := range l.People {
		add(p.DueAt, p.FirstAt.Add(l.Rules.NewPersonFor))
	}
	slices.SortFunc(all, time.Time.Compare)
	return slices.Compact(all)
}
