package law

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"agencyhub/shared/agency"
)

var commands = map[Do]func(*turn) (Outcome, error){}

func init() { //nolint:gochecknoinits // the commands use turns, which use commands
	for do, f := range map[Do]func(*turn) (Outcome, error){
		OpenAccount: (*turn).openAccount, CreateAccount: (*turn).createAccount, RenameAccount: (*turn).renameAccount,
		CloseAccount: (*turn).closeAccount, SwitchAgencyOn: (*turn).switchOn, SwitchAgencyOff: (*turn).switchOff,
		InvitePerson: (*turn).invitePerson, ResendInvitation: (*turn).invitationStep, WithdrawInvitation: (*turn).invitationStep,
		AskNewSignIn: (*turn).invitationStep, AcceptInvitation: (*turn).acceptInvitation, DeclineInvitation: (*turn).declineInvitation,
		ChangeMember: (*turn).changeMember, RemoveMember: (*turn).removeMember,
		RequestConnection: (*turn).requestConnection, ResendRequest: (*turn).agencyStep, WithdrawRequest: (*turn).agencyStep,
		LeaveAccount: (*turn).agencyStep, AcceptRequest: (*turn).acceptRequest, AcceptInto: (*turn).acceptInto,
		DeclineRequest: (*turn).declineRequest, DeclineByID: (*turn).declineByID, Unblock: (*turn).unblock, UnblockForMe: (*turn).unblockForMe,
		ChangePlan: (*turn).changePlan, CancelSubscription: (*turn).cancel, ResumeSubscription: (*turn).resume,
		RegisterAccount: (*turn).register, ReplaceOwner: (*turn).replaceOwner, RaiseLimits: (*turn).raiseLimits, ReportPayment: (*turn).reportPayment,
		Me: (*turn).me, EraseMe: (*turn).eraseMe, StopMail: (*turn).stopMail, AllowMail: (*turn).stopMail,
		SweepProfile: (*turn).sweepProfile, SweepAccount: (*turn).sweepAccount, SweepPerson: (*turn).sweepPerson,
		CheckAccess: (*turn).checkAccess, CheckAccessOf: (*turn).checkAccessOf,
	} {
		commands[do] = f
	}
}

// isName reports whether a name is one: 1 to 80 characters. The proofs type plain ones.
func isName(name string) bool {
	return strings.TrimSpace(name) != "" && utf8.RuneCountInString(name) <= 80
}

func (l *Law) hasPlan(id string) bool {
	for _, p := range l.Rules.Plans {
		if p.ID == id {
			return true
		}
	}
	return false
}

// areGiven reports whether levels are well formed and some is above No access.
func (l *Law) areGiven(a agency.Areas) bool {
	known := l.everything()
	for area, lev := range a {
		if known[area] == "" || level(lev) < 0 {
			return false
		}
	}
	return levels(a) != nil
}

// isAddress reports whether something can be an address. The proofs type plain ones.
func isAddress(s string) bool { return agency.NewPersonID(s) != "" }

// putAccount stores an account, with its event; "" for none.
func (t *turn) putAccount(a Account, as agency.EventType) {
	was := t.Accounts[a.ID]
	t.Accounts[a.ID] = a
	t.wrote = true
	if as != "" {
		e := Event{Type: as, At: t.now, Addressee: agency.Party(a.ID), Agency: a.Owner, Ownership: a.Ownership}
		if strings.HasPrefix(string(as), "subscription.") {
			e.Reported, e.Was = reportedOfAccount(a), reportedOfAccount(was)
		} else {
			e.Name, e.Was.Name = a.Name, was.Name
		}
		t.events = append(t.events, e)
	}
}

// reportedOfAccount is what events report of a subscription.
func reportedOfAccount(a Account) Reported {
	return Reported{Plan: a.Plan, Subscription: a.State, Until: a.FreezesAt}
}

// seen is an account as it is answered: by the clock, and with the plan for its payer's
// side.
func (t *turn) seen(a Account, by agency.AccountID) *Account {
	a = t.byClockNow(a)
	a.Unpaid, a.ReportedAt, a.Input, a.Raised, a.EndedAll = false, time.Time{}, "", nil, false
	if a.Owner != by {
		a.Plan = ""
	}
	return &a
}

// byClockNow is an account whose cancelled period may be over.
func (t *turn) byClockNow(a Account) Account {
	if a.State == agency.SubscriptionCancelling && !t.now.Before(a.FreezesAt) {
		a.State, a.FreezesAt = agency.SubscriptionFrozen, time.Time{}
	}
	return a
}

// answer is the answer with an account: what the caller has by their own profile, or by
// the agency that they act for.
func (t *turn) answer(id agency.AccountID) Outcome {
	if t.c.As != "" {
		return t.answerFor(t.c.As, id)
	}
	access := t.access(t.c.By, id, true, nil, true)
	return Outcome{Account: t.seen(t.Accounts[id], ""), Access: &access}
}

func (t *turn) openAccount() (Outcome, error) {
	if !isName(t.c.Name) {
		return Outcome{}, refuse(agency.Invalid)
	}
	me := t.c.By.ID()
	id, input := agency.NewAccountID(agency.Party(me), t.c.Key), "open "+t.c.Name
	if a := t.Accounts[id]; a.exists() {
		if _, err := t.locate(id); err != nil {
			return Outcome{}, err
		}
		if a.Input != input {
			return Outcome{}, refuse(agency.IdempotencyMismatch)
		}
		return t.answer(id), nil
	}
	if !t.People[me].Erasing.IsZero() {
		return Outcome{}, refuse(agency.Conflict)
	}
	t.countAct(agency.AccountsOpened, nil)
	t.open(id, t.c.Name, t.Rules.Plans[0].ID, input, t.c.By, agency.AccountOpened)
	return t.answer(id), nil
}

// open makes a client-owned account with its first owner.
func (t *turn) open(id agency.AccountID, name, plan, input string, owner agency.Actor, as agency.EventType) {
	t.putAccount(Account{ID: id, Name: name, Ownership: agency.ClientOwned, Plan: plan, State: agency.SubscriptionActive, Input: input}, "")
	key := agency.PersonAt(id, owner.ID())
	m := Member{
		Status: agency.Active, Since: t.now, Role: agency.Owner, Areas: t.everything(), Email: owner.Email, AccountName: name,
		Ownership: agency.ClientOwned, Issuer: owner.Issuer, Subject: owner.Subject, Registered: as == agency.AccountRegistered,
	}
	e := t.profileEvent(as, key, m)
	e.Name = name
	if as == agency.AccountRegistered {
		e.Plan = plan
	}
	t.write(key, Member{}, m, nil, e)
}

func (t *turn) createAccount() (Outcome, error) {
	c := t.c
	wellFormed := c.Confirm && isName(c.Name) && t.hasPlan(c.Plan) && (c.Email == "" || isAddress(c.Email) && t.areGiven(c.Areas))
	if !wellFormed {
		return Outcome{}, refuse(agency.Invalid)
	}
	at, err := t.locate(c.Agency)
	if err != nil {
		return Outcome{}, err
	}
	if err := at.allowWork(); err != nil {
		return Outcome{}, err
	}
	id, input := agency.NewAccountID(agency.Party(c.Agency), c.Key), fmt.Sprint("create ", c.Name, c.Plan, c.Email, levels(c.Areas))
	if a := t.Accounts[id]; a.exists() {
		if a.Input != input {
			return Outcome{}, refuse(agency.IdempotencyMismatch)
		}
		return t.answerFor(c.Agency, id), nil
	}
	t.countAct(agency.AccountsCreated, at.account.Raised)
	account := Account{
		ID: id, Name: c.Name, Ownership: agency.AgencyOwned, Owner: c.Agency, Plan: c.Plan, State: agency.SubscriptionActive, Input: input,
	}
	t.putAccount(account, "")
	key := agency.AgencyAt(id, c.Agency)
	owning := Member{
		Status: agency.Active, Since: t.now, Areas: t.everything(), Name: at.account.Name, AccountName: c.Name, Ownership: agency.AgencyOwned,
	}
	created := t.profileEvent(agency.AccountCreated, key, owning)
	created.Name = c.Name
	t.write(key, Member{}, owning, nil)
	if c.Email != "" {
		// The event of the account is the invitation's too.
		invited, err := t.invite(account, c.Agency, c.Email, agency.Member, c.Areas)
		if err != nil {
			return Outcome{}, err
		}
		created.Client, created.Request = agency.NewPersonID(c.Email), invited.Request.Number
		t.events = nil
	}
	t.events = append(t.events, created)
	return t.answerFor(c.Agency, id), nil
}

// answerFor is answer for the people of an agency.
func (t *turn) answerFor(of, id agency.AccountID) Outcome {
	access := t.access(t.c.By, id, false, []agency.AccountID{of}, true)
	return Outcome{Account: t.seen(t.Accounts[id], of), Access: &access}
}

func (t *turn) renameAccount() (Outcome, error) {
	if !isName(t.c.Name) {
		return Outcome{}, refuse(agency.Invalid)
	}
	return t.changeAccount(toRename, func(a *Account) (agency.EventType, error) {
		if a.Name == t.c.Name {
			return "", nil
		}
		a.Name = t.c.Name
		return agency.AccountRenamed, nil
	})
}

func (t *turn) closeAccount() (Outcome, error) {
	return t.changeAccount(toClose, func(a *Account) (agency.EventType, error) {
		if a.IsAgency {
			return "", refuse(agency.HasClients)
		}
		a.Closed = t.now
		return agency.AccountClosed, nil
	})
}

func (t *turn) switchOn() (Outcome, error) {
	return t.changeAccount(toSwitchOn, func(a *Account) (agency.EventType, error) {
		if a.IsAgency {
			return "", nil
		}
		a.IsAgency = true
		return agency.AgencySwitchedOn, nil
	})
}

// switchOff needs an agency without clients and waiting requests, by what is recorded.
func (t *turn) switchOff() (Outcome, error) {
	return t.changeAccount(toSwitchOff, func(a *Account) (agency.EventType, error) {
		if !a.IsAgency {
			return "", nil
		}
		for key, m := range t.Members {
			if key.Member == agency.Party(a.ID) && (m.Status == agency.Active || m.Status == agency.Pending) {
				return "", refuse(agency.HasClients)
			}
		}
		a.IsAgency = false
		return agency.AgencySwitchedOff, nil
	})
}

// changeAccount changes an account itself. change returns the event, "" if nothing
// changes.
func (t *turn) changeAccount(op string, change func(*Account) (agency.EventType, error)) (Outcome, error) {
	at, err := t.locate(t.c.Account)
	if err != nil {
		return Outcome{}, err
	}
	if err := at.allow(op); err != nil {
		return Outcome{}, err
	}
	a := at.account
	as, err := change(&a)
	if err != nil {
		return Outcome{}, err
	}
	if as != "" {
		t.putAccount(a, as)
	}
	return t.answer(a.ID), nil
}

// Subscriptions.

func (t *turn) changePlan() (Outcome, error) {
	if !t.hasPlan(t.c.Plan) {
		return Outcome{}, refuse(agency.Invalid)
	}
	return t.changeBilling(func(a Account) (Account, agency.EventType, error) {
		if a.State == agency.SubscriptionFrozen {
			return a, "", refuse(agency.Conflict)
		}
		if a.Plan == t.c.Plan {
			return a, "", nil
		}
		a.Plan = t.c.Plan
		return a, agency.PlanChanged, nil
	})
}

func (t *turn) cancel() (Outcome, error) {
	return t.changeBilling(func(a Account) (Account, agency.EventType, error) {
		switch {
		case a.State == agency.SubscriptionFrozen, a.State == agency.SubscriptionCancelling && !t.c.Immediately:
			return a, "", nil
		case t.c.Immediately:
			a.State, a.FreezesAt = agency.SubscriptionFrozen, time.Time{}
			return a, agency.SubscriptionFroze, nil
		default:
			a.State, a.FreezesAt = agency.SubscriptionCancelling, time.Date(t.now.Year(), t.now.Month()+1, 1, 0, 0, 0, 0, time.UTC)
			return a, agency.SubscriptionCancelled, nil
		}
	})
}

func (t *turn) resume() (Outcome, error) {
	return t.changeBilling(func(a Account) (Account, agency.EventType, error) {
		if a.State != agency.SubscriptionCancelling && a.State != agency.SubscriptionFrozen {
			return a, "", nil
		}
		a.State, a.FreezesAt = agency.SubscriptionActive, time.Time{}
		if a.Unpaid {
			a.State = agency.SubscriptionPastDue
		}
		return a, agency.SubscriptionResumed, nil
	})
}

// changeBilling changes a subscription for its payer. A freeze that is due is recorded
// first, if anything changes.
func (t *turn) changeBilling(change func(Account) (Account, agency.EventType, error)) (Outcome, error) {
	at, err := t.locate(t.c.Account)
	if err != nil {
		return Outcome{}, err
	}
	if err := at.allow(toPay); err != nil {
		return Outcome{}, err
	}
	next, as, err := change(t.byClockNow(at.account))
	if err != nil {
		return Outcome{}, err
	}
	if as != "" {
		t.freeze(at.account)
		t.putAccount(next, as)
	}
	shown := t.byClockNow(t.Accounts[t.c.Account])
	return Outcome{Account: &Account{ID: shown.ID, Plan: shown.Plan, State: shown.State, FreezesAt: shown.FreezesAt, Unpaid: shown.Unpaid, ReportedAt: shown.ReportedAt}}, nil
}

// freeze records that a cancelled period is over, if it is.
func (t *turn) freeze(a Account) {
	frozen := t.byClockNow(a)
	if frozen.State == a.State {
		return
	}
	t.putAccount(frozen, agency.SubscriptionFroze)
	t.events[len(t.events)-1].byClock = true
}
