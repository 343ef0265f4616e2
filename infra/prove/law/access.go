package law

import (
	"slices"
	"time"

	"agencyhub/shared/agency"
)

func (t *turn) checkAccess() (Outcome, error) {
	a := t.access(t.c.By, t.c.Account, true, t.waysTo(t.c.Account), true)
	return Outcome{Access: &a}, nil
}

func (t *turn) checkAccessOf() (Outcome, error) {
	if !isAddress(t.c.Email) {
		return Outcome{}, refuse(agency.Invalid)
	}
	a := t.access(agency.Actor{Email: t.c.Email}, t.c.Account, true, t.waysTo(t.c.Account), false)
	return Outcome{Access: &a}, nil
}

// waysTo are the agencies through which an access check looks: the one named, or all that
// are active in the account.
func (t *turn) waysTo(id agency.AccountID) []agency.AccountID {
	if t.c.As != "" {
		return []agency.AccountID{t.c.As}
	}
	return t.agenciesOf(t.Accounts[id])
}

// access is README, "Access check".
func (t *turn) access(by agency.Actor, id agency.AccountID, own bool, ways []agency.AccountID, bound bool) agency.Access {
	me, a := by.ID(), t.Accounts[id]
	nothing := agency.Access{Reason: agency.NoProfile}
	if !a.exists() || !t.People[me].Erasing.IsZero() {
		return nothing
	}
	var best, sum agency.Areas
	via := ""
	reason := agency.NoProfile
	if own {
		reason = t.personReason(agency.PersonAt(id, me), by, bound)
	}
	if reason == "" {
		via, best = agency.ViaOwn, t.granted(agency.PersonAt(id, me))
		sum = best
	}
	for _, of := range ways {
		through, why := t.through(by, of, id, bound)
		if why != "" {
			if reason == agency.NoProfile {
				reason = why
			}
			continue
		}
		if via == "" || total(through) > total(best) {
			via, best = string(of), through
		}
		sum = higher(sum, through)
	}
	out := agency.Access{Allowed: len(sum) > 0, Areas: sum, Via: via}
	if out.Allowed {
		reason = ""
	} else {
		out.Via = ""
	}
	if reason == agency.NoProfile {
		return nothing
	}
	out.Reason, out.Ownership, out.Payer = reason, a.Ownership, a.Ownership
	switch {
	case !a.isOpen():
		return agency.Access{Reason: agency.HasClosed, Ownership: a.Ownership, Payer: a.Ownership}
	case out.Allowed && t.byClockNow(a).State == agency.SubscriptionFrozen:
		out.Reason = agency.Frozen
		out.Areas = agency.Areas{}
		for area := range sum {
			out.Areas[area] = agency.View
		}
	}
	return out
}

// personReason says why a person's own profile grants nothing; "" where it does.
func (t *turn) personReason(key agency.ProfileKey, by agency.Actor, bound bool) agency.Reason {
	m, exists := t.Members[key]
	switch {
	case !exists, m.asksOnly() && m.Request.Muted:
		return agency.NoProfile
	case m.Status == agency.Active && bound && m.isAnother(by):
		return agency.ChangedIdentity
	case m.Status == agency.Active:
		return ""
	case m.waits(t.now):
		return agency.StillInvited
	default:
		return agency.HasEnded
	}
}

// connectionReason says why an agency's profile grants nothing; "" where it does.
func (t *turn) connectionReason(key agency.ProfileKey) agency.Reason {
	m, exists := t.Members[key]
	switch {
	case !exists:
		return agency.NoProfile
	case m.isActive(t.now):
		return ""
	case m.status(t.now) == agency.Lapsed:
		return agency.HasLapsed
	case m.waits(t.now):
		return agency.StillPending
	default:
		return agency.HasEnded
	}
}

// through is what a person has in an account through an agency, or why nothing.
func (t *turn) through(by agency.Actor, of, id agency.AccountID, bound bool) (agency.Areas, agency.Reason) {
	at, work := agency.AgencyAt(id, of), agency.PersonAt(of, by.ID())
	why := t.connectionReason(at)
	if why == agency.NoProfile || !t.Accounts[of].isWorking() {
		return nil, agency.NoProfile
	}
	switch mine := t.personReason(work, by, bound); {
	case mine == agency.ChangedIdentity:
		return nil, mine
	case mine != "":
		return nil, agency.NoProfile
	case !t.Members[work].reaches(id):
		return nil, agency.NotAssigned
	}
	if why != "" {
		return nil, why
	}
	out := agency.Areas{}
	mine := t.granted(work)
	for area, l := range t.granted(at) {
		if level(mine[area]) < level(l) {
			l = mine[area]
		}
		if level(l) > 0 {
			out[area] = l
		}
	}
	return out, ""
}

// granted are the levels of an active member.
func (t *turn) granted(key agency.ProfileKey) agency.Areas {
	m := t.Members[key]
	isOwning := isConnection(key) && m.Ownership == agency.AgencyOwned
	if m.Role == agency.Owner || m.Role == agency.Admin || isOwning {
		return t.everything()
	}
	return levels(m.Areas)
}

// agenciesOf lists the agencies that are active in an open account, in the order in which
// they came.
func (t *turn) agenciesOf(a Account) []agency.AccountID {
	type place struct {
		id    agency.AccountID
		since time.Time
	}
	var found []place
	for key, m := range t.Members {
		if key.Addressee == agency.Party(a.ID) && isConnection(key) && m.isActive(t.now) && a.isOpen() {
			found = append(found, place{key.Member.Account(), m.Since})
		}
	}
	slices.SortFunc(found, func(x, y place) int { return x.since.Compare(y.since) })
	var ids []agency.AccountID
	for _, p := range found {
		ids = append(ids, p.id)
	}
	return ids
}

// total adds levels up.
func total(a agency.Areas) int {
	n := 0
	for _, l := range a {
		n += max(0, level(l))
	}
	return n
}

// higher is the higher level of both, area by area.
func higher(a, b agency.Areas) agency.Areas {
	out := agency.Areas{}
	for _, both := range []agency.Areas{a, b} {
		for area, l := range both {
			if level(l) > max(0, level(out[area])) {
				out[area] = l
			}
		}
	}
	return out
}
