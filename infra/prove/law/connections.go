package law

import (
	"fmt"
	"time"

	"agencyhub/shared/agency"
)

func (t *turn) requestConnection() (Outcome, error) {
	c := t.c
	byEmail := c.Email != ""
	if !t.areGiven(c.Areas) || byEmail == (c.Account != "") || c.Account == c.Agency || byEmail && !isAddress(c.Email) {
		return Outcome{}, refuse(agency.Invalid)
	}
	at, err := t.locate(c.Agency)
	if err != nil {
		return Outcome{}, err
	}
	person := agency.NewPersonID(c.Email)
	key, name := agency.AgencyAt(c.Account, c.Agency), ""
	if byEmail {
		key = agency.ProfileKey{Addressee: agency.Party(person), Member: agency.Party(c.Agency)}
	}
	call, input := Call{c.Agency, c.Key}, fmt.Sprint(c.Account, c.Email, c.Message, levels(c.Areas))
	forbidden := at.allowWork()
	if made, found := t.Calls[call]; c.Key != "" && found && t.now.Sub(made.At) < 48*time.Hour && forbidden == nil {
		return t.repeatRequest(key, made, input)
	}
	if account := t.Accounts[c.Account]; !byEmail {
		switch {
		case !account.isOpen():
			return Outcome{}, refuse(agency.NotFound)
		case account.Ownership == agency.AgencyOwned:
			return Outcome{}, refuse(agency.PermanentlyOwned)
		}
		name = t.Members[key].AccountName
	}
	if forbidden != nil {
		return Outcome{}, forbidden
	}
	was := t.Members[key]
	m, events := t.settle(key, was)
	switch {
	case m.Status == agency.Pending:
		return Outcome{}, refuseState(agency.AlreadyRequested, m.Status)
	case m.Status == agency.Active:
		return Outcome{}, refuseState(agency.AlreadyConnected, m.Status)
	}
	if !byEmail {
		if err := t.isCooling(key, c.Agency); err != nil {
			return Outcome{}, err
		}
	}
	muted := t.isMuting(pairOf(key, c.Agency))
	if byEmail {
		muted = muted || t.isMuting(agency.PersonPair(agency.NewPersonID(agency.Untagged(c.Email)), c.Agency))
		name = was.AccountName
	}
	m = Member{
		Status: agency.Pending, Since: t.now, Name: at.account.Name, Email: c.Email, AccountName: name, Ownership: agency.ClientOwned,
		Request: Request{
			Number: t.number(key, c.Agency) + 1, Kind: agency.ConnectionKind, State: agency.StateOpen, From: c.Agency, By: c.By.ID(), Message: c.Message,
			Areas: levels(c.Areas), RequestedAt: t.now, MailedAt: t.now, ExpiresAt: t.now.Add(t.Rules.RequestLifetime), Muted: muted,
		},
	}
	t.limitOpen(c.Agency, true, raise(t.Rules.OpenRequests, at.account.Raised[agency.OpenRequestsLimit]))
	t.countRequest(at.account)
	t.countAct(agency.RequestsMade, at.account.Raised)
	if c.Key != "" {
		t.Calls[call] = Made{input, t.now, m.Request.Number}
	}
	t.countMail(pairOf(key, c.Agency))
	t.write(key, was, m, t.remindAt, append(events, t.profileEvent(agency.ConnectionRequested, key, m))...)
	m = t.Members[key]
	return Outcome{Profile: &m}, nil
}

// repeatRequest is the answer to a call under an Idempotency-Key that has been made.
func (t *turn) repeatRequest(key agency.ProfileKey, made Made, input string) (Outcome, error) {
	m := t.Members[key]
	switch {
	case made.Input != input:
		return Outcome{}, refuse(agency.IdempotencyMismatch)
	case made.Number != m.Request.Number:
		return Outcome{}, refuseState(agency.IdempotencyMismatch, m.status(t.now))
	case m.Status != agency.Moved:
		return Outcome{Profile: &m}, nil
	}
	there, found := t.Members[agency.AgencyAt(m.MovedTo, t.c.Agency)]
	if !found {
		return Outcome{}, refuse(agency.NotFound)
	}
	return Outcome{Profile: &there}, nil
}

// countRequest counts a new request of an agency on this UTC day.
func (t *turn) countRequest(a Account) {
	today := Day{a.ID, day(t.now)}
	most := raise(t.Rules.DailyRequests, a.Raised[agency.DailyRequestsLimit])
	t.Requests[today]++
	t.limits = append(t.limits, func() *refusal {
		if most == 0 || t.Requests[today] <= most {
			return nil
		}
		return reached(DailyRequests, untilTomorrow(t.now))
	})
}

// agencyStep is what an agency does to its own connection: resend, withdraw, leave.
func (t *turn) agencyStep() (Outcome, error) {
	addressee, of, wellFormed := t.c.Connection.Split()
	if !wellFormed || of != t.c.Agency {
		return Outcome{}, refuse(agency.NotFound)
	}
	at, err := t.locate(t.c.Agency)
	if err != nil {
		return Outcome{}, err
	}
	key := agency.ProfileKey{Addressee: addressee, Member: agency.Party(of)}
	was, exists := t.Members[key]
	account := addressee.Account()
	if was.MovedTo != "" {
		account = was.MovedTo
	}
	switch {
	case !exists, !at.self.reaches(account):
		return Outcome{}, refuse(agency.NotFound)
	case was.Ownership == agency.AgencyOwned:
		return Outcome{}, refuse(agency.PermanentlyOwned)
	}
	if err := at.allowWork(); err != nil {
		return Outcome{}, err
	}
	m, events := t.settle(key, was)
	switch t.c.Do {
	case ResendRequest:
		if m.Status != agency.Pending {
			return Outcome{}, refuseAnswer(m)
		}
		m = t.sendAgain(m, t.Rules.RequestLifetime)
		t.countResend(was, pairOf(key, of))
		m = t.write(key, was, m, t.remindAt, append(events, t.profileEvent(agency.ConnectionResent, key, m))...)
		return Outcome{Profile: &m}, nil
	case WithdrawRequest:
		if m.Status == agency.Withdrawn {
			return Outcome{Profile: &was}, nil
		}
		if m.Status != agency.Pending {
			return Outcome{}, refuseAnswer(m)
		}
		m.Request.State = agency.StateWithdrawn
		return t.endConnection(key, was, m, agency.Withdrawn, agency.ConnectionWithdrawn)
	default:
		if m.Status == agency.Left {
			return Outcome{Profile: &was}, nil
		}
		if m.Status != agency.Active {
			return Outcome{}, refuseState(agency.NotActive, m.Status)
		}
		return t.endConnection(key, was, m, agency.Left, agency.ConnectionLeft)
	}
}

func (t *turn) endConnection(key agency.ProfileKey, was, m Member, to agency.Status, as agency.EventType) (Outcome, error) {
	m.Status, m.Since = to, t.now
	m = t.write(key, was, m, nil, t.profileEvent(as, key, m))
	return Outcome{Profile: &m}, nil
}

// parseGrant refuses levels and an end date that are not well formed.
func (t *turn) parseGrant() error {
	if t.c.Areas != nil && !t.areGiven(t.c.Areas) {
		return refuse(agency.Invalid)
	}
	// An end date lies ahead. Only a later change removes it.
	if u := t.c.Until; u != nil && !u.After(t.now) && (t.c.Do != ChangeMember || !u.IsZero()) {
		return refuse(agency.Invalid)
	}
	return nil
}

// decider finds what the caller, who decides on an agency, is in the account, and the
// agency's profile there.
func (t *turn) decider(of agency.AccountID) (position, agency.ProfileKey, Member, error) {
	key := agency.AgencyAt(t.c.Account, of)
	at, err := t.locate(t.c.Account)
	if err != nil {
		return at, key, Member{}, err
	}
	m, exists := t.Members[key]
	return at, key, m, at.allowMember(toDecide, exists && !m.Request.Muted && m.Status != agency.Moved)
}

// pairs are the account's with the agency, and that of the person who decides.
func (t *turn) pairs(of agency.AccountID) []agency.PairKey {
	return []agency.PairKey{agency.AccountPair(t.c.Account, of), agency.PersonPair(t.c.By.ID(), of)}
}

func (t *turn) acceptRequest() (Outcome, error) {
	if err := t.parseGrant(); err != nil {
		return Outcome{}, err
	}
	at, key, was, err := t.decider(t.c.Agency)
	if err != nil {
		return Outcome{}, err
	}
	asker := t.Accounts[t.c.Agency]
	m, events := t.settle(key, was)
	if m.Status == agency.Pending && !asker.isWorking() {
		return Outcome{}, refuse(agency.Conflict)
	}
	if m.Status != agency.Pending {
		if m.Status == agency.Active && t.c.Number == m.Request.Number {
			return Outcome{Profile: &was}, nil
		}
		return Outcome{}, refuseAnswer(m)
	}
	m.Name, m.AccountName = asker.Name, at.account.Name
	return t.accept(key, was, m, events, m.Request.RequestedAt, t.c.Number == m.Request.Number)
}

// accept grants what an open request asks for, or less. isSame says whether the caller
// named that request, which was made at a time.
func (t *turn) accept(key agency.ProfileKey, was, m Member, events []Event, requested time.Time, isSame bool) (Outcome, error) {
	if !isSame {
		return Outcome{}, refuseState(agency.Conflict, m.Status)
	}
	// What an account takes over was pending, even if it had nothing of the agency before.
	pending := reported(key, m)
	m.Areas = m.Request.Areas
	if t.c.Areas != nil {
		if !within(t.c.Areas, m.Request.Areas) {
			return Outcome{}, refuse(agency.Invalid)
		}
		m.Areas = levels(t.c.Areas)
	}
	if t.c.Until != nil {
		m.Until = t.c.Until.UTC().Truncate(time.Millisecond)
	}
	n := 0
	for other, a := range t.Members {
		if other.Addressee == key.Addressee && isConnection(other) && a.Status == agency.Active && other != key {
			n++
		}
	}
	if n >= 20 {
		return Outcome{}, refuse(agency.TooMany)
	}
	m.Status, m.Since = agency.Active, t.now
	m.Request.State, m.Request.AnsweredAt = agency.StateAccepted, t.now
	t.clearPairs(t.pairs(key.Member.Account())...)
	if day(requested).Equal(day(t.now)) {
		t.Requests[Day{key.Member.Account(), day(t.now)}]--
	}
	accepted := t.profileEvent(agency.ConnectionAccepted, key, m)
	accepted.Was = pending
	m = t.write(key, was, m, t.untilPlan(Member{}, m), append(events, accepted)...)
	return Outcome{Profile: &m}, nil
}

func (t *turn) acceptInto() (Outcome, error) {
	addressee, of, wellFormed := t.c.Connection.Split()
	if !wellFormed {
		return Outcome{}, refuse(agency.NotFound)
	}
	t.c.Agency = of
	if addressee.Account() != "" {
		if addressee.Account() != t.c.Account {
			return Outcome{}, refuse(agency.Invalid)
		}
		return t.acceptRequest()
	}
	if err := t.parseGrant(); err != nil {
		return Outcome{}, err
	}
	if t.c.Account == of {
		return Outcome{}, refuse(agency.Invalid)
	}
	key := agency.ProfileKey{Addressee: addressee, Member: agency.Party(of)}
	request, exists := t.Members[key]
	if !t.isAddressee(addressee) || !exists || request.Request.Muted {
		return Outcome{}, refuse(agency.NotFound)
	}
	at, err := t.locate(t.c.Account)
	if err != nil {
		return Outcome{}, err
	}
	if err := at.allow(toDecide); err != nil {
		return Outcome{}, err
	}
	there := agency.AgencyAt(t.c.Account, of)
	was, found := t.Members[there]
	if request.Status == agency.Moved {
		switch {
		case request.MovedTo != t.c.Account, !found:
			return Outcome{}, refuseState(agency.NotPending, agency.Moved)
		case was.Request.Muted || was.Status == agency.Moved:
			return Outcome{}, refuse(agency.NotFound)
		}
		return Outcome{Profile: &was}, nil
	}
	asker := t.Accounts[of]
	if request.status(t.now) == agency.Pending && !asker.isWorking() {
		return Outcome{}, refuse(agency.Conflict)
	}
	if was.isActive(t.now) {
		return Outcome{}, refuseState(agency.AlreadyConnected, agency.Active)
	}
	settled, _ := t.settle(key, request)
	switch {
	case settled.Status != agency.Pending:
		return Outcome{}, refuseAnswer(settled)
	case t.c.Number != request.Request.Number:
		return Outcome{}, refuseState(agency.Conflict, agency.Pending)
	}
	moved := request
	moved.Status, moved.Since, moved.MovedTo, moved.Request.State = agency.Moved, t.now, t.c.Account, agency.StateMoved
	t.write(key, request, moved, nil)
	m, events := t.settle(there, was)
	number := t.number(there, of)
	if m.Status != agency.Pending {
		number++
	}
	m.Status, m.Request, m.Request.Number = agency.Pending, request.Request, number
	m.Request.Number = number
	m.Name, m.AccountName, m.Ownership, m.Until, m.MovedTo = asker.Name, at.account.Name, agency.ClientOwned, time.Time{}, ""
	return t.accept(there, was, m, events, request.Request.RequestedAt, true)
}

// isAddressee reports whether the caller is a request's addressee, and not being erased.
func (t *turn) isAddressee(addressee agency.Party) bool {
	return addressee == agency.Party(t.c.By.ID()) && t.People[t.c.By.ID()].Erasing.IsZero()
}

func (t *turn) declineRequest() (Outcome, error) {
	_, key, was, err := t.decider(t.c.Agency)
	if err != nil {
		return Outcome{}, err
	}
	return t.decline(key, was, t.pairs(t.c.Agency)...)
}

func (t *turn) declineByID() (Outcome, error) {
	addressee, of, wellFormed := t.c.Connection.Split()
	if !wellFormed {
		return Outcome{}, refuse(agency.NotFound)
	}
	t.c.Agency = of
	if account := addressee.Account(); account != "" {
		t.c.Account = account
		return t.declineRequest()
	}
	key := agency.ProfileKey{Addressee: addressee, Member: agency.Party(of)}
	was, exists := t.Members[key]
	if !t.isAddressee(addressee) || !exists || was.Request.Muted {
		return Outcome{}, refuse(agency.NotFound)
	}
	return t.decline(key, was, agency.PersonPair(t.c.By.ID(), of))
}

// decline declines a request, or dismisses an expired one. It cools the pairs, and
// blocks them if the caller says so.
func (t *turn) decline(key agency.ProfileKey, was Member, pairs ...agency.PairKey) (Outcome, error) {
	m, events := t.settle(key, was)
	switch m.Status {
	case agency.Pending, agency.Expired:
		if t.c.Number != m.Request.Number {
			return Outcome{}, refuseState(agency.Conflict, m.Status)
		}
		m.Status, m.Since = agency.Declined, t.now
		m.Request.State, m.Request.AnsweredAt = agency.StateDeclined, t.now
		m = t.write(key, was, m, nil, append(events, t.profileEvent(agency.ConnectionDeclined, key, m))...)
		t.cool(pairs...)
	case agency.Declined:
		if t.c.Number != m.Request.Number {
			return Outcome{}, refuseState(agency.NotPending, m.Status)
		}
	default:
		return Outcome{}, refuseState(agency.NotPending, m.Status)
	}
	if t.c.Block {
		t.block(pairs...)
	}
	return Outcome{Profile: &m}, nil
}

// revoke ends a connection by the account's side, and blocks the agency if the caller
// says so.
func (t *turn) revoke() (Outcome, error) {
	_, key, was, err := t.decider(t.c.Agency)
	if err != nil {
		return Outcome{}, err
	}
	m, _ := t.settle(key, was)
	switch m.Status {
	case agency.Active:
		m.Status, m.Since = agency.Revoked, t.now
		m = t.write(key, was, m, nil, t.profileEvent(agency.ConnectionRevoked, key, m))
		t.cool(t.pairs(t.c.Agency)...)
	case agency.Revoked:
		m = was
	default:
		return Outcome{}, refuseState(agency.NotActive, m.Status)
	}
	if t.c.Block {
		t.block(t.pairs(t.c.Agency)...)
	}
	return Outcome{Profile: &m}, nil
}

// restrict changes what an agency has.
func (t *turn) restrict() (Outcome, error) {
	if t.c.Role != "" || t.c.Clients != nil {
		return Outcome{}, refuse(agency.Invalid)
	}
	if err := t.parseGrant(); err != nil {
		return Outcome{}, err
	}
	_, key, was, err := t.decider(t.c.Member.Account())
	if err != nil {
		return Outcome{}, err
	}
	m, _ := t.settle(key, was)
	if m.Status != agency.Active {
		return Outcome{}, refuseState(agency.NotActive, m.Status)
	}
	if t.c.Areas != nil {
		m.Areas = levels(t.c.Areas)
	}
	if t.c.Until != nil {
		if m.Until = t.c.Until.UTC().Truncate(time.Millisecond); t.c.Until.IsZero() {
			m.Until = time.Time{}
		}
	}
	if same(m.Areas, was.Areas) && m.Until.Equal(was.Until) {
		return Outcome{Profile: &was}, nil
	}
	m = t.write(key, was, m, t.untilPlan(was, m), t.profileEvent(agency.ConnectionRestricted, key, m))
	return Outcome{Profile: &m}, nil
}

// cool starts a cooldown in each of the pairs.
func (t *turn) cool(keys ...agency.PairKey) {
	for _, key := range keys {
		p := t.Pairs[key]
		if end := t.now.Add(t.Rules.Cooldown); end.After(p.CoolingUntil) {
			p.CoolingUntil = end
		}
		t.putPair(key, p)
	}
}

// block blocks the asker in each of the pairs. One event stands for all.
func (t *turn) block(keys ...agency.PairKey) {
	var first *agency.PairKey
	for _, key := range keys {
		if p := t.Pairs[key]; !p.Blocked {
			p.Blocked = true
			t.putPair(key, p)
			if first == nil {
				first = &key
			}
		}
	}
	if first != nil {
		t.pairEvent(agency.AgencyBlocked, *first)
	}
}

func (t *turn) pairEvent(as agency.EventType, key agency.PairKey) {
	t.events = append(t.events, Event{Type: as, At: t.now, Addressee: key.Addressee, Member: agency.Party(key.Asker), Ownership: agency.ClientOwned})
}

func (t *turn) putPair(key agency.PairKey, p Pair) {
	t.Pairs[key] = p
	t.wrote = true
}

// clearPairs ends blocks and cooldowns, and returns the pairs that had one.
func (t *turn) clearPairs(keys ...agency.PairKey) (had []agency.PairKey) {
	for _, key := range keys {
		if t.isMuting(key) {
			had = append(had, key)
		}
		if p := t.Pairs[key]; p.Blocked || !p.CoolingUntil.IsZero() {
			p.Blocked, p.CoolingUntil = false, time.Time{}
			t.putPair(key, p)
		}
	}
	return had
}

func (t *turn) unblock() (Outcome, error) {
	at, err := t.locate(t.c.Account)
	if err != nil {
		return Outcome{}, err
	}
	if err := at.allow(toDecide); err != nil {
		return Outcome{}, err
	}
	return t.unblockPairs(t.pairs(t.c.Agency)...)
}

func (t *turn) unblockForMe() (Outcome, error) {
	_, of, wellFormed := t.c.Connection.Split()
	if !wellFormed {
		return Outcome{}, refuse(agency.NotFound)
	}
	return t.unblockPairs(agency.PersonPair(t.c.By.ID(), of))
}

func (t *turn) unblockPairs(keys ...agency.PairKey) (Outcome, error) {
	had := t.clearPairs(keys...)
	if len(had) == 0 {
		return Outcome{Done: "nothing"}, nil
	}
	t.pairEvent(agency.AgencyUnblocked, had[0])
	return Outcome{Done: "unblocked"}, nil
}
