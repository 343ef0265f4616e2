package law

import (
	"time"

	"agencyhub/shared/agency"
)

// askerFor is the account that asks persons to join an account: itself, or the agency
// that the caller acts for.
func (t *turn) askerFor(id agency.AccountID) agency.AccountID {
	if t.c.As != "" {
		return t.c.As
	}
	return id
}

// roleAreas checks a role and levels that are given; "" and nil leave them, if leaving is
// allowed. It returns the levels that follow.
func (t *turn) roleAreas(canLeave bool) (agency.Areas, error) {
	switch t.c.Role {
	case agency.Owner, agency.Admin:
		if t.c.Areas != nil {
			return nil, refuse(agency.Invalid)
		}
		return t.everything(), nil
	case agency.Member, "":
		switch {
		case t.c.Role == "" && !canLeave, t.c.Areas == nil && !canLeave, t.c.Areas != nil && !t.areGiven(t.c.Areas):
			return nil, refuse(agency.Invalid)
		}
		return levels(t.c.Areas), nil
	default:
		return nil, refuse(agency.Invalid)
	}
}

func (t *turn) invitePerson() (Outcome, error) {
	if !isAddress(t.c.Email) {
		return Outcome{}, refuse(agency.Invalid)
	}
	areas, err := t.roleAreas(false)
	if err != nil {
		return Outcome{}, err
	}
	at, err := t.locate(t.c.Account)
	if err != nil {
		return Outcome{}, err
	}
	if err := at.allow(toManage); err != nil {
		return Outcome{}, err
	}
	if at.account.Ownership == agency.AgencyOwned && t.c.Role != agency.Member {
		return Outcome{}, refuse(agency.Invalid)
	}
	key := agency.PersonAt(t.c.Account, agency.NewPersonID(t.c.Email))
	m := t.Members[key]
	if err := at.allowOwner(m, t.c.Role); err != nil {
		return Outcome{}, err
	}
	if m.status(t.now) == agency.Invited {
		if err := at.allowOwner(m, m.Request.Role); err != nil {
			return Outcome{}, err
		}
	}
	if m.Status == agency.Active && (t.c.Role != agency.Owner || m.Role == agency.Owner) {
		next, err := t.change(at.account, key, t.c.Role, areas, nil)
		return Outcome{Profile: &next, Done: "changed"}, err
	}
	asked := "invited"
	if m.Status == agency.Active {
		asked = "changed"
	}
	next, err := t.invite(at.account, t.askerFor(t.c.Account), t.c.Email, t.c.Role, areas)
	return Outcome{Profile: &next, Done: asked}, err
}

// invite opens an invitation or, for somebody who is active, an offer of ownership. An
// open one is sent again, with these terms.
func (t *turn) invite(account Account, from agency.AccountID, email string, role agency.Role, areas agency.Areas) (Member, error) {
	person := agency.NewPersonID(email)
	key := agency.PersonAt(account.ID, person)
	pair, untagged := pairOf(key, from), agency.PersonPair(agency.NewPersonID(agency.Untagged(email)), from)
	was := t.Members[key]
	areas = levels(areas)
	if was.waits(t.now) {
		isSame := was.Request.Role == role && same(was.Request.Areas, areas)
		if isSame && t.now.Before(was.Request.MailedAt.Add(t.Rules.ResendAfter)) {
			return was, nil
		}
		next := t.sendAgain(was, t.Rules.InvitationLifetime)
		if !isSame {
			next.Request.Role, next.Request.Areas = role, areas
			next.Request.Number++
		}
		next.Email, next.AccountName = email, account.Name
		t.countResend(was, pair)
		return t.write(key, was, next, t.remindAt, t.profileEvent(agency.InvitationResent, key, next)), nil
	}
	number := t.number(key, from)
	next, events := t.settle(key, was)
	if err := t.isCooling(key, from); err != nil {
		return was, err
	}
	as, kind := agency.PersonInvited, agency.InvitationKind
	if was.Status == agency.Active {
		as, kind = agency.OwnershipOffered, agency.OwnershipKind
	} else {
		next = Member{CloseAt: was.CloseAt, Status: agency.Invited, Since: t.now}
	}
	next.Email, next.AccountName, next.Ownership = email, account.Name, account.Ownership
	next.Request = Request{
		Number: number + 1, Kind: kind, State: agency.StateOpen, From: from, By: t.c.By.ID(), Role: role, Areas: areas,
		RequestedAt: t.now, MailedAt: t.now, ExpiresAt: t.now.Add(t.Rules.InvitationLifetime), Muted: t.isMuting(pair) || t.isMuting(untagged),
	}
	raised := t.Accounts[from].Raised
	t.limitOpen(from, false, raise(t.Rules.OpenInvitations, raised[agency.OpenInvitationsLimit]))
	if t.c.Do != CreateAccount {
		// The client of a new account counts as that account.
		t.countAct(agency.InvitationsMade, raised)
	}
	t.countMail(pair)
	return t.write(key, was, next, t.remindAt, append(events, t.profileEvent(as, key, next))...), nil
}

// sendAgain is a member whose open request is sent again: it lives a whole lifetime from
// now.
func (t *turn) sendAgain(m Member, lifetime time.Duration) Member {
	if end := t.now.Add(lifetime); end.After(m.Request.ExpiresAt) {
		m.Request.ExpiresAt = end
	}
	m.Request.By, m.Request.MailedAt = t.c.By.ID(), t.now
	m.Request.Resends++
	return m
}

// invitationStep resends or withdraws an invitation or offer, or asks a member for a new
// sign-in.
func (t *turn) invitationStep() (Outcome, error) {
	at, err := t.locate(t.c.Account)
	if err != nil {
		return Outcome{}, err
	}
	key := agency.ProfileKey{Addressee: agency.Party(t.c.Account), Member: t.c.Member}
	was, exists := t.Members[key]
	if err := at.allowMember(toManage, exists && (!isConnection(key) || !was.Request.Muted && was.Status != agency.Moved)); err != nil {
		return Outcome{}, err
	}
	var offered agency.Role
	if was.isOpen() && t.c.Do != AskNewSignIn {
		offered = was.Request.Role
	}
	if err := at.allowOwner(was, offered); err != nil {
		return Outcome{}, err
	}
	if t.c.Do == AskNewSignIn && t.c.As == "" && t.c.Member == agency.Party(t.c.By.ID()) {
		return Outcome{}, refuse(agency.Forbidden)
	}
	if isConnection(key) {
		// Only the agency's own side does that to its connection; the owning one's stays.
		if at.account.Ownership == agency.AgencyOwned {
			return Outcome{}, refuse(agency.PermanentlyOwned)
		}
		return Outcome{}, refuse(agency.Forbidden)
	}
	from := t.askerFor(t.c.Account)
	m, events := t.settle(key, was)
	switch t.c.Do {
	case ResendInvitation:
		if !m.isOpen() {
			return Outcome{}, refuseAnswer(m)
		}
		m = t.sendAgain(m, t.Rules.InvitationLifetime)
		t.countResend(was, pairOf(key, from))
		m = t.write(key, was, m, t.remindAt, append(events, t.profileEvent(agency.InvitationResent, key, m))...)
	case WithdrawInvitation:
		switch {
		case m.isOpen():
			if m.Status == agency.Invited {
				m.Status, m.Since = agency.Withdrawn, t.now
			}
			m.Request.State = agency.StateWithdrawn
			m = t.write(key, was, m, nil, append(events, t.profileEvent(agency.InvitationWithdrawn, key, m))...)
		case m.Status == agency.Withdrawn, m.Status == agency.Active && m.Request.Kind == agency.OwnershipKind && m.Request.State == agency.StateWithdrawn:
			return Outcome{Profile: &was}, nil
		default:
			return Outcome{}, refuseAnswer(m)
		}
	default:
		if m, err = t.newSignIn(at.account, key, was, from); err != nil {
			return Outcome{}, err
		}
	}
	return Outcome{Profile: &m}, nil
}

// newSignIn turns an active person's profile into an invitation with what it grants.
func (t *turn) newSignIn(account Account, key agency.ProfileKey, was Member, from agency.AccountID) (Member, error) {
	m, events := t.settle(key, was)
	if m.Status != agency.Active {
		return m, refuseState(agency.NotActive, m.Status)
	}
	if m.hasOffer() {
		var closed []Event
		m, closed = t.closeRequest(key, m)
		events = append(events, closed...)
	}
	if was.Role == agency.Owner && t.owners(account) == 1 {
		return m, refuseState(agency.LastOwner, was.Status)
	}
	m.Request = Request{
		Number: m.Request.Number + 1, Kind: agency.InvitationKind, State: agency.StateOpen, From: from, By: t.c.By.ID(), Role: m.Role, Areas: m.Areas,
		RequestedAt: t.now, MailedAt: t.now, ExpiresAt: t.now.Add(t.Rules.InvitationLifetime),
	}
	m.Status, m.Since, m.Role, m.Areas, m.Issuer, m.Subject, m.Registered = agency.Invited, t.now, "", nil, "", "", false
	raised := t.Accounts[from].Raised
	t.limitOpen(from, false, raise(t.Rules.OpenInvitations, raised[agency.OpenInvitationsLimit]))
	t.countAct(agency.InvitationsMade, raised)
	t.countMail(pairOf(key, from))
	return t.write(key, was, m, t.remindAt, append(events, t.profileEvent(agency.PersonInvited, key, m))...), nil
}

// owners counts the owners of an open client-owned account.
func (t *turn) owners(a Account) int {
	n := 0
	for key, m := range t.before.Members {
		if key.Addressee == agency.Party(a.ID) && !isConnection(key) && m.Status == agency.Active && m.Role == agency.Owner {
			n++
		}
	}
	return n
}

// invitationFor finds what waits for the caller in an account, or what became of it.
func (t *turn) invitationFor() (agency.ProfileKey, Member, error) {
	key := agency.PersonAt(t.c.Account, t.c.By.ID())
	m, exists := t.Members[key]
	switch {
	case !exists, m.Request.From == "", m.Request.Muted, !t.People[t.c.By.ID()].Erasing.IsZero():
		return key, m, refuse(agency.NotFound)
	case m.Status == agency.Active && m.isAnother(t.c.By):
		return key, m, refuse(agency.IdentityChanged)
	case !t.Accounts[t.c.Account].isOpen() && m.waits(t.now):
		return key, m, refuse(agency.Conflict)
	}
	return key, m, nil
}

func (t *turn) acceptInvitation() (Outcome, error) {
	key, was, err := t.invitationFor()
	if err != nil {
		return Outcome{}, err
	}
	account := t.Accounts[t.c.Account]
	m, events := t.settle(key, was)
	if !m.isOpen() {
		accepted := m.Status == agency.Active && (m.Request.Kind != agency.OwnershipKind || m.Request.State == agency.StateAccepted)
		if accepted && t.c.Number == m.Request.Number {
			return t.answer(account.ID), nil
		}
		return Outcome{}, refuseAnswer(m)
	}
	if t.c.Number != m.Request.Number {
		return Outcome{}, refuseState(agency.Conflict, m.Status)
	}
	maker := t.Members[agency.PersonAt(m.Request.From, m.Request.By)]
	if !canAsk(maker, m.Request.Role) {
		return Outcome{}, refuseState(agency.NotPending, was.Status)
	}
	if m.Request.Role == agency.Owner {
		switch t.c.Plan {
		case account.Plan:
		case "":
			return Outcome{}, refuse(agency.Invalid)
		default:
			return Outcome{}, refuseState(agency.Conflict, was.Status)
		}
	}
	as := agency.PersonAdded
	if m.Status == agency.Active {
		as = agency.OwnershipAccepted
	} else {
		m.Status, m.Since = agency.Active, t.now
	}
	m.Request.State, m.Request.AnsweredAt = agency.StateAccepted, t.now
	m.Role, m.Areas = m.Request.Role, m.Request.Areas
	m.Issuer, m.Subject, m.Registered = t.c.By.Issuer, t.c.By.Subject, false
	m.AccountName = account.Name
	if m.Role != agency.Member {
		m.Clients, m.Limited = nil, false
	}
	t.clearPairs(agency.PersonPair(t.c.By.ID(), m.Request.From))
	t.write(key, was, m, nil, append(events, t.profileEvent(as, key, m))...)
	return t.answer(account.ID), nil
}

// canAsk reports whether somebody has the role that asking a person for a role needs.
func canAsk(maker Member, role agency.Role) bool {
	return maker.Status == agency.Active && (maker.Role == agency.Owner || maker.Role == agency.Admin && role != agency.Owner)
}

func (t *turn) declineInvitation() (Outcome, error) {
	key, was, err := t.invitationFor()
	if err != nil {
		return Outcome{}, err
	}
	if t.c.Block && was.Status == agency.Active && was.Request.Kind == agency.OwnershipKind {
		return Outcome{}, refuse(agency.Invalid)
	}
	m, events := t.settle(key, was)
	isOffer := m.Status == agency.Active && m.Request.Kind == agency.OwnershipKind
	pair := agency.PersonPair(t.c.By.ID(), was.Request.From)
	switch {
	case m.isOpen(), m.Status == agency.Expired, isOffer && m.Request.State == agency.StateExpired:
		if t.c.Number != m.Request.Number {
			return Outcome{}, refuseState(agency.Conflict, m.Status)
		}
		if m.Status != agency.Active {
			m.Status, m.Since = agency.Declined, t.now
		}
		m.Request.State, m.Request.AnsweredAt = agency.StateDeclined, t.now
		t.write(key, was, m, nil, append(events, t.profileEvent(agency.InvitationDeclined, key, m))...)
		t.cool(pair)
	case (m.Status == agency.Declined || isOffer && m.Request.State == agency.StateDeclined) && t.c.Number == m.Request.Number:
	default:
		return Outcome{}, refuseState(agency.NotPending, m.Status)
	}
	if t.c.Block {
		t.block(pair)
	}
	return Outcome{Profile: &m}, nil
}

func (t *turn) changeMember() (Outcome, error) {
	c := t.c
	if c.Role == "" && c.Areas == nil && c.Until == nil && c.Clients == nil {
		return Outcome{}, refuse(agency.Invalid)
	}
	if c.Member.Account() != "" {
		return t.restrict()
	}
	areas, err := t.roleAreas(true)
	if err != nil {
		return Outcome{}, err
	}
	if c.Until != nil || c.Clients != nil && len(*c.Clients) > 90 {
		return Outcome{}, refuse(agency.Invalid)
	}
	at, err := t.locate(c.Account)
	if err != nil {
		return Outcome{}, err
	}
	key := agency.ProfileKey{Addressee: agency.Party(c.Account), Member: c.Member}
	was, exists := t.Members[key]
	if err := at.allowMember(toManage, exists); err != nil {
		return Outcome{}, err
	}
	role, _ := was.shown()
	if c.Role != "" {
		role = c.Role
	}
	isOwned := at.account.Ownership == agency.AgencyOwned
	switch {
	case isOwned && role != agency.Member, role != agency.Member && c.Areas != nil,
		c.Clients != nil && *c.Clients != nil && (role != agency.Member || isOwned):
		return Outcome{}, refuse(agency.Invalid)
	}
	if err := at.allowOwner(was, role); err != nil {
		return Outcome{}, err
	}
	if c.Role == agency.Owner && was.Status == agency.Active && was.Role != agency.Owner {
		next, err := t.invite(at.account, t.askerFor(c.Account), was.Email, agency.Owner, areas)
		return Outcome{Profile: &next}, err
	}
	next, err := t.change(at.account, key, c.Role, areas, c.Clients)
	return Outcome{Profile: &next}, err
}

// change gives an active person another role, other levels or other clients. What is not
// given stays. An offer is closed by another role.
func (t *turn) change(account Account, key agency.ProfileKey, role agency.Role, areas agency.Areas, clients *[]agency.AccountID) (Member, error) {
	was := t.Members[key]
	m, events := t.settle(key, was)
	if m.Status != agency.Active {
		return was, refuseState(agency.NotActive, m.Status)
	}
	if m.hasOffer() && role != "" && role != m.Role {
		var closed []Event
		m, closed = t.closeRequest(key, m)
		events = append(events, closed...)
	}
	if role != "" {
		m.Role = role
	}
	if areas != nil {
		m.Areas = areas
	}
	if clients != nil {
		m.Clients, m.Limited = *clients, *clients != nil
	}
	if m.Role != agency.Member {
		m.Clients, m.Limited = nil, false
	}
	if m.Role == was.Role && same(m.Areas, was.Areas) && m.Limited == was.Limited && equal(m.Clients, was.Clients) {
		return was, nil
	}
	if was.Role == agency.Owner && m.Role != agency.Owner && account.Ownership == agency.ClientOwned && t.owners(account) == 1 {
		return was, refuseState(agency.LastOwner, was.Status)
	}
	return t.write(key, was, m, nil, append(events, t.profileEvent(agency.PersonChanged, key, m))...), nil
}

func equal(a, b []agency.AccountID) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

func (t *turn) removeMember() (Outcome, error) {
	if t.c.Member.Account() != "" {
		t.c.Agency = t.c.Member.Account()
		return t.revoke()
	}
	if t.c.Block {
		return Outcome{}, refuse(agency.Invalid)
	}
	key := agency.ProfileKey{Addressee: agency.Party(t.c.Account), Member: t.c.Member}
	was, exists := t.Members[key]
	isSelf := t.c.As == "" && t.c.Member == agency.Party(t.c.By.ID())
	if isSelf && was.Status == agency.Left && !was.isAnother(t.c.By) {
		return Outcome{Profile: &was}, nil
	}
	at, err := t.locate(t.c.Account)
	if err != nil {
		return Outcome{}, err
	}
	was = t.Members[key] // a first call has bound it
	to, as := agency.Left, agency.PersonLeft
	if !isSelf {
		to, as = agency.Revoked, agency.PersonRemoved
		if err := at.allowMember(toManage, exists); err != nil {
			return Outcome{}, err
		}
		if err := at.allowOwner(was, ""); err != nil {
			return Outcome{}, err
		}
	}
	m, err := t.endPerson(at.account, key, to, as)
	return Outcome{Profile: &m}, err
}

// endPerson ends an active person's profile, unless they are the last owner. Their open
// offer is closed first.
func (t *turn) endPerson(account Account, key agency.ProfileKey, to agency.Status, as agency.EventType) (Member, error) {
	was := t.Members[key]
	m, events := t.settle(key, was)
	switch m.Status {
	case agency.Active:
	case to:
		return was, nil
	default:
		return was, refuseState(agency.NotActive, m.Status)
	}
	if m.hasOffer() {
		var closed []Event
		m, closed = t.closeRequest(key, m)
		events = append(events, closed...)
	}
	if was.Role == agency.Owner && account.Ownership == agency.ClientOwned && account.isOpen() && t.owners(account) == 1 && t.c.Do != ReplaceOwner {
		return was, refuseState(agency.LastOwner, was.Status)
	}
	m.Status, m.Since = to, t.now
	return t.write(key, was, m, nil, append(events, t.profileEvent(as, key, m))...), nil
}
