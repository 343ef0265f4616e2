package law

import (
	"maps"
	"time"

	"agencyhub/shared/agency"
)

func (t *turn) register() (Outcome, error) {
	t.byPlatform = true
	c := t.c
	if !isName(c.Name) || !isAddress(c.Email) || c.Plan != "" && !t.hasPlan(c.Plan) {
		return Outcome{}, refuse(agency.Invalid)
	}
	person := agency.NewPersonID(c.Email)
	a := t.Accounts[c.Account]
	if !a.exists() {
		if !t.People[person].Erasing.IsZero() {
			return Outcome{}, refuse(agency.Conflict)
		}
		plan := c.Plan
		if plan == "" {
			plan = t.Rules.Plans[0].ID
		}
		t.open(c.Account, c.Name, plan, "", agency.Actor{Email: c.Email}, agency.AccountRegistered)
		return t.platformAnswer("created"), nil
	}
	switch {
	case a.Ownership == agency.AgencyOwned:
		return Outcome{}, refuse(agency.PermanentlyOwned)
	case !a.isOpen():
		return Outcome{}, refuse(agency.Conflict)
	}
	if c.Plan != "" && c.Plan != a.Plan {
		if t.byClockNow(a).State == agency.SubscriptionFrozen {
			return Outcome{}, refuse(agency.Conflict)
		}
		a.Plan = c.Plan
		t.putAccount(a, agency.PlanChanged)
	}
	if c.Name != a.Name {
		a.Name = c.Name
		t.putAccount(a, agency.AccountRenamed)
	}
	if err := t.registerOwner(a, person); err != nil {
		return Outcome{}, err
	}
	return t.platformAnswer("updated"), nil
}

// registerOwner releases the sign-in of a sole owner, or appoints an owner where all
// present ones are being erased.
func (t *turn) registerOwner(a Account, person agency.PersonID) error {
	key := agency.PersonAt(a.ID, person)
	isErasing := func(id agency.PersonID) bool { return !t.People[id].Erasing.IsZero() }
	own := t.Members[key]
	if own.Status == agency.Active && own.Role == agency.Owner {
		if isErasing(person) {
			return refuse(agency.Conflict)
		}
		if t.owners(a) == 1 && own.Subject != "" {
			m := own
			m.Issuer, m.Subject, m.Registered = "", "", true
			t.write(key, own, m, nil, t.profileEvent(agency.PersonReleased, key, m))
		}
		return nil
	}
	for other, m := range t.Members {
		if other.Addressee == key.Addressee && !isConnection(other) && m.Status == agency.Active && m.Role == agency.Owner && !isErasing(other.Member.Person()) {
			return refuse(agency.Conflict)
		}
	}
	return t.appoint(a, t.c.Email)
}

// appoint makes an owner of a person that the platform names. What waits for them is
// closed first.
func (t *turn) appoint(a Account, email string) error {
	person := agency.NewPersonID(email)
	if !t.People[person].Erasing.IsZero() {
		return refuse(agency.Conflict)
	}
	key := agency.PersonAt(a.ID, person)
	was := t.Members[key]
	m, events := t.settle(key, was)
	if m.isOpen() {
		var closed []Event
		m, closed = t.closeRequest(key, m)
		events = append(events, closed...)
	}
	as := agency.PersonChanged
	if m.Status != agency.Active {
		as = agency.PersonAdded
		m.Status, m.Since, m.Issuer, m.Subject = agency.Active, t.now, "", ""
	}
	m.Role, m.Areas, m.Registered, m.Clients, m.Limited = agency.Owner, t.everything(), true, nil, false
	m.Email, m.AccountName, m.Ownership = email, a.Name, a.Ownership
	t.write(key, was, m, nil, append(events, t.profileEvent(as, key, m))...)
	return nil
}

// platformAnswer is an account as the platform reads it.
func (t *turn) platformAnswer(done string) Outcome {
	a := t.byClockNow(t.Accounts[t.c.Account])
	a.Input, a.Raised, a.EndedAll = "", nil, false
	return Outcome{Account: &a, Done: done}
}

// platformAccount finds an account for the platform.
func (t *turn) platformAccount(fixed bool) (Account, error) {
	t.byPlatform = true
	a := t.Accounts[t.c.Account]
	switch {
	case !a.exists():
		return a, refuse(agency.NotFound)
	case fixed && a.Ownership == agency.AgencyOwned:
		return a, refuse(agency.PermanentlyOwned)
	case !a.isOpen():
		return a, refuse(agency.Conflict)
	}
	return a, nil
}

func (t *turn) replaceOwner() (Outcome, error) {
	if !isAddress(t.c.Email) || !isAddress(t.c.To) || agency.NewPersonID(t.c.Email) == agency.NewPersonID(t.c.To) {
		return Outcome{}, refuse(agency.Invalid)
	}
	a, err := t.platformAccount(true)
	if err != nil {
		return Outcome{}, err
	}
	from, to := agency.PersonAt(a.ID, agency.NewPersonID(t.c.Email)), agency.PersonAt(a.ID, agency.NewPersonID(t.c.To))
	owns := func(m Member) bool { return m.Status == agency.Active && m.Role == agency.Owner }
	was, next := t.Members[from], t.Members[to]
	switch n := t.owners(a); {
	case n == 1 && owns(next) && was.Status == agency.Revoked && was.Role == agency.Owner:
		return t.platformAnswer(""), nil
	case n != 1, !owns(was):
		return Outcome{}, refuse(agency.Conflict)
	}
	if err := t.appoint(a, t.c.To); err != nil {
		return Outcome{}, err
	}
	if _, err := t.endPerson(a, from, agency.Revoked, agency.PersonRemoved); err != nil {
		return Outcome{}, err
	}
	return t.platformAnswer(""), nil
}

func (t *turn) raiseLimits() (Outcome, error) {
	if len(t.c.Limits) == 0 {
		return Outcome{}, refuse(agency.Invalid)
	}
	for _, n := range t.c.Limits {
		if n != nil && (*n < 1 || *n > 1_000_000) {
			return Outcome{}, refuse(agency.Invalid)
		}
	}
	a, err := t.platformAccount(true)
	if err != nil {
		return Outcome{}, err
	}
	raised := maps.Clone(a.Raised)
	for limit, n := range t.c.Limits {
		if n == nil {
			delete(raised, limit)
			continue
		}
		if raised == nil {
			raised = map[agency.Limit]int{}
		}
		raised[limit] = *n
	}
	if len(raised) == 0 {
		raised = nil
	}
	if !maps.Equal(raised, a.Raised) {
		a.Raised = raised
		t.putAccount(a, "")
	}
	return t.platformAnswer(""), nil
}

func (t *turn) reportPayment() (Outcome, error) {
	at := t.c.At.UTC().Truncate(time.Millisecond)
	if at.After(t.now.Add(5 * time.Minute)) {
		return Outcome{}, refuse(agency.Invalid)
	}
	a, err := t.platformAccount(false)
	if err != nil {
		return Outcome{}, err
	}
	if at.After(a.ReportedAt) {
		t.freeze(a)
		a = t.Accounts[a.ID]
		as := agency.EventType("")
		switch {
		case t.c.Failed && !a.Unpaid:
			as = agency.PaymentFailed
		case !t.c.Failed && a.Unpaid:
			as = agency.PaymentRecovered
		}
		a.Unpaid, a.ReportedAt = t.c.Failed, at
		switch {
		case a.State != agency.SubscriptionActive && a.State != agency.SubscriptionPastDue:
		case a.Unpaid:
			a.State = agency.SubscriptionPastDue
		default:
			a.State = agency.SubscriptionActive
		}
		t.putAccount(a, as)
	}
	return t.platformAnswer(""), nil
}
