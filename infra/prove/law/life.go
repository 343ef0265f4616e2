package law

import (
	"time"

	"agencyhub/shared/agency"
)

// isOpen reports whether a member's request waits for an answer, by what is recorded.
func (m Member) isOpen() bool {
	return m.Status == agency.Pending || m.Status == agency.Invited || m.hasOffer()
}

// hasOffer reports whether a member is offered ownership, by what is recorded.
func (m Member) hasOffer() bool {
	return m.Status == agency.Active && m.Request.Kind == agency.OwnershipKind && m.Request.State == agency.StateOpen
}

// waits is isOpen by the clock.
func (m Member) waits(now time.Time) bool { return m.isOpen() && now.Before(m.Request.ExpiresAt) }

// isActive reports whether a member has access, by the clock.
func (m Member) isActive(now time.Time) bool {
	return m.Status == agency.Active && (m.Until.IsZero() || now.Before(m.Until))
}

// hasEnded reports whether a member is in one of the ended states, by what is recorded.
func (m Member) hasEnded() bool {
	switch m.Status {
	case "", agency.Pending, agency.Invited, agency.Active:
		return false
	default:
		return true
	}
}

// status is the state by the clock.
func (m Member) status(now time.Time) agency.Status {
	switch {
	case (m.Status == agency.Pending || m.Status == agency.Invited) && !m.waits(now):
		return agency.Expired
	case m.Status == agency.Active && !m.isActive(now):
		return agency.Lapsed
	default:
		return m.Status
	}
}

// isConnection reports whether a profile is an agency's.
func isConnection(key agency.ProfileKey) bool { return key.Member.Account() != "" }

// asksOnly reports whether what is shown of a member is what their request asks for.
func (m Member) asksOnly() bool {
	switch m.Status {
	case agency.Pending, agency.Invited, agency.Declined, agency.Withdrawn, agency.Expired, agency.Moved:
		return true
	default:
		return false
	}
}

// shown are the role and the levels that are shown of a member.
func (m Member) shown() (agency.Role, agency.Areas) {
	if m.asksOnly() {
		return m.Request.Role, m.Request.Areas
	}
	return m.Role, m.Areas
}

// profileEvent is an event of a member as it is after a step.
func (t *turn) profileEvent(as agency.EventType, key agency.ProfileKey, m Member) Event {
	e := Event{
		Type: as, At: t.now, Addressee: key.Addressee, Agency: key.Member.Account(), Member: key.Member, Ownership: m.Ownership,
		Request: m.Request.Number, Muted: isConnection(key) && m.Request.Muted, Reported: reported(key, m),
	}
	switch as {
	case agency.PersonInvited, agency.InvitationResent, agency.InvitationDeclined, agency.InvitationWithdrawn, agency.InvitationExpired,
		agency.InvitationReminded, agency.OwnershipOffered, agency.OwnershipAccepted:
		e.Kind = m.Request.Kind
	}
	switch as {
	case agency.ConnectionExpired, agency.ConnectionLapsed, agency.InvitationExpired:
		e.byClock = true
	}
	return e
}

// reported is what events report of a member.
func reported(key agency.ProfileKey, m Member) Reported {
	r := Reported{Status: m.Status, Until: m.Until, Message: m.Request.Message, Clients: m.Clients, Limited: m.Limited}
	r.Role, r.Areas = m.shown()
	if isConnection(key) || m.asksOnly() || m.hasOffer() {
		r.Expires = m.Request.ExpiresAt
	}
	return r
}

// settle records what the clock has decided of a member, and returns its event.
func (t *turn) settle(key agency.ProfileKey, m Member) (Member, []Event) {
	switch {
	case m.isOpen() && !m.waits(t.now):
		return t.expire(key, m)
	case m.Status == agency.Active && !m.isActive(t.now):
		m.Status, m.Since = agency.Lapsed, m.Until
		return m, []Event{t.profileEvent(agency.ConnectionLapsed, key, m)}
	default:
		return m, nil
	}
}

// expire ends the open request of a member as expired, since its time.
func (t *turn) expire(key agency.ProfileKey, m Member) (Member, []Event) {
	as := agency.InvitationExpired
	if isConnection(key) {
		as = agency.ConnectionExpired
	}
	if m.Status != agency.Active {
		m.Status, m.Since = agency.Expired, m.Request.ExpiresAt
	}
	m.Request.State = agency.StateExpired
	return m, []Event{t.profileEvent(as, key, m)}
}

// closeRequest ends the open invitation or offer of a person, because what it rested on
// has ended.
func (t *turn) closeRequest(key agency.ProfileKey, m Member) (Member, []Event) {
	if m.Status != agency.Active {
		m.Status, m.Since = agency.Withdrawn, t.now
	}
	m.Request.State = agency.StateWithdrawn
	return m, []Event{t.profileEvent(agency.InvitationWithdrawn, key, m)}
}

// write stores a member after a step, with its events. The next reminder is planned by
// a plan; nil leaves it, unless the profile or its request has ended.
func (t *turn) write(key agency.ProfileKey, was, next Member, plan func(Member) time.Time, events ...Event) Member {
	switch {
	case plan != nil:
		next.RemindAt = plan(next)
	case next.hasEnded() || next.Status != was.Status || next.isOpen() != was.isOpen():
		next.RemindAt = time.Time{}
	}
	t.put(key, next)
	t.events = append(t.events, events...)
	return next
}

// put stores a member.
func (t *turn) put(key agency.ProfileKey, m Member) {
	t.Members[key] = m
	t.wrote = true
}

// remindAt plans the reminder of a request, or the first warning of an end date. Less
// than a day from now it is left out.
func (t *turn) remindAt(m Member) time.Time { return t.nextReminder(m, 24*time.Hour) }

// nextWarning plans the warning that follows one that has just been given.
func (t *turn) nextWarning(m Member) time.Time { return t.nextReminder(m, time.Nanosecond) }

func (t *turn) nextReminder(m Member, atLeast time.Duration) time.Time {
	var all []time.Time
	if m.isOpen() {
		all = []time.Time{m.Request.ExpiresAt.Add(-t.Rules.RemindBefore)}
	} else if m.Status == agency.Active && !m.Until.IsZero() {
		for _, before := range t.Rules.LapseWarnings {
			all = append(all, m.Until.Add(-before))
		}
	}
	for _, at := range all {
		if at.Sub(t.now) >= atLeast {
			return at
		}
	}
	return time.Time{}
}

// untilPlan plans the warnings of a new end date; it leaves an equal one as it is.
func (t *turn) untilPlan(was, next Member) func(Member) time.Time {
	if next.Until.Equal(was.Until) {
		return nil
	}
	return t.remindAt
}

// number returns the number of a member's latest request. A profile that was deleted
// continues its pair's.
func (t *turn) number(key agency.ProfileKey, asker agency.AccountID) int {
	if m, found := t.Members[key]; found {
		return m.Request.Number
	}
	return t.Pairs[pairOf(key, asker)].Number
}

// pairOf is the pair of the addressee and the asker of a profile's request.
func pairOf(key agency.ProfileKey, asker agency.AccountID) agency.PairKey {
	if key.Member.Person() != "" {
		return agency.PairKey{Addressee: key.Member, Asker: asker}
	}
	return agency.PairKey{Addressee: key.Addressee, Asker: asker}
}

// refuseAnswer is the refusal of a step on a request that does not wait: it has expired,
// or something else has become of it.
func refuseAnswer(m Member) error {
	expired := m.Status == agency.Expired ||
		m.Status == agency.Active && m.Request.Kind == agency.OwnershipKind && m.Request.State == agency.StateExpired
	if expired {
		return refuseState(agency.RequestExpired, m.Status)
	}
	return refuseState(agency.NotPending, m.Status)
}

// isMuting reports whether a pair has a block or a cooldown now.
func (t *turn) isMuting(key agency.PairKey) bool {
	p := t.Pairs[key]
	return p.Blocked || t.now.Before(p.CoolingUntil)
}

// isCooling refuses a new request where the one before was itself declined, or revoked
// as a connection, less than a cooldown ago. An unblocking has ended that.
func (t *turn) isCooling(key agency.ProfileKey, asker agency.AccountID) error {
	m := t.before.Members[key]
	var since time.Time
	switch {
	case m.Status == agency.Declined, m.Status == agency.Revoked && isConnection(key):
		since = m.Since
	case m.Status == agency.Active && m.Request.Kind == agency.OwnershipKind && m.Request.State == agency.StateDeclined:
		since = m.Request.AnsweredAt
	default:
		return nil
	}
	end := since.Add(t.Rules.Cooldown)
	if !t.now.Before(end) || !t.now.Before(t.Pairs[pairOf(key, asker)].CoolingUntil) {
		return nil
	}
	return &refusal{code: agency.Cooling, state: m.Status, wait: []time.Duration{end.Sub(t.now)}}
}

// countMail counts a request email of a pair: at most so many in a window.
func (t *turn) countMail(key agency.PairKey) {
	p := t.Pairs[key]
	var recent []time.Time
	for _, at := range p.Mailed {
		if t.now.Sub(at) < t.Rules.PairWindow {
			recent = append(recent, at)
		}
	}
	t.limits = append(t.limits, func() *refusal {
		if len(recent) < t.Rules.PairMails {
			return nil
		}
		oldest := recent[len(recent)-t.Rules.PairMails]
		return reached(PairMails, oldest.Add(t.Rules.PairWindow).Sub(t.now))
	})
	p.Mailed = append(recent[:len(recent):len(recent)], t.now)
	t.Pairs[key] = p
	t.wrote = true
}

// countResend bounds how often, and how soon, a request is sent again.
func (t *turn) countResend(was Member, key agency.PairKey) {
	r := was.Request
	t.limits = append(t.limits, func() *refusal {
		next := r.MailedAt.Add(t.Rules.ResendAfter)
		switch {
		case r.Resends >= t.Rules.Resends:
			return reached(Resends, r.ExpiresAt.Sub(t.now))
		case t.now.Before(next):
			return reached(ResendAfter, next.Sub(t.now))
		default:
			return nil
		}
	})
	t.countMail(key)
}

// countAct counts something that the caller does on this UTC day, in the name of an
// account that may have raised limits.
func (t *turn) countAct(what agency.Counted, raised map[agency.Limit]int) {
	me := t.People[t.c.By.ID()]
	limits := t.Rules.DailyByPerson
	isNew := me.FirstAt.IsZero() || t.now.Before(me.FirstAt.Add(t.Rules.NewPersonFor))
	if isNew {
		limits = t.Rules.DailyByNewPerson
	}
	most := 0
	switch what {
	case agency.AccountsOpened:
		most = limits.AccountsOpened
	case agency.AccountsCreated:
		most = raise(limits.AccountsCreated, raised[agency.CreatedByPersonLimit])
	case agency.RequestsMade:
		most = raise(limits.Requests, raised[agency.RequestsByPersonLimit])
	case agency.InvitationsMade:
		most = raise(limits.Invitations, raised[agency.InvitesByPersonLimit])
	}
	act := Act{agency.NewPersonID(agency.Untagged(t.c.By.Email)), what, day(t.now)}
	t.Acts[act]++
	t.limits = append(t.limits, func() *refusal {
		if most == 0 || t.Acts[act] <= most {
			return nil
		}
		return reached(ByPerson(what, isNew), untilTomorrow(t.now))
	})
}

// raise is a limit of the settings, or a raised one that is higher. 0 is no limit.
func raise(limit, raised int) int {
	if limit == 0 {
		return 0
	}
	return max(limit, raised)
}

// limitOpen bounds how many requests of an agency, or invitations of an asker, wait, by
// what is recorded.
func (t *turn) limitOpen(asker agency.AccountID, ofConnections bool, limit int) {
	kind := OpenInvitations
	if ofConnections {
		kind = OpenRequests
	}
	t.limits = append(t.limits, func() *refusal {
		n := 0
		for key, m := range t.Members {
			if m.isOpen() && m.Request.From == asker && isConnection(key) == ofConnections {
				n++
			}
		}
		if limit == 0 || n <= limit {
			return nil
		}
		return reached(kind, time.Hour)
	})
}
