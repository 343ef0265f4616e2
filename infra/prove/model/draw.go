package model

import (
	"fmt"
	"time"

	"pgregory.net/rapid"

	"agencyhub/infra/prove/law"
	"agencyhub/shared/agency"
)

// person draws somebody; now and then it is another sign-in with their address.
func (w *world) person(rt *rapid.T) agency.Actor {
	who := pick(rt, w.people, "person")
	if between(rt, 0, 24, "impostor") == 24 {
		who.Subject += "-another"
	}
	return who
}

// account draws an account, mostly an open one.
func (w *world) account(rt *rapid.T) agency.AccountID {
	if open := w.accountsThat(func(a law.Account) bool { return a.Closed.IsZero() }); len(open) > 0 && often(rt, "open") {
		return pick(rt, open, "account")
	}
	return pick(rt, w.accounts, "account")
}

// client draws an account that an agency can be connected to, mostly.
func (w *world) client(rt *rapid.T) agency.AccountID {
	found := w.accountsThat(func(a law.Account) bool { return a.Closed.IsZero() && a.Owner == "" })
	if len(found) > 0 && often(rt, "client-owned") {
		return pick(rt, found, "client")
	}
	return w.account(rt)
}

// agency draws an account that is an agency, mostly.
func (w *world) agency(rt *rapid.T) agency.AccountID {
	if often(rt, "agency") {
		if found := w.accountsThat(func(a law.Account) bool { return a.IsAgency && a.Closed.IsZero() }); len(found) > 0 {
			return pick(rt, found, "agency")
		}
	}
	return w.account(rt)
}

func (w *world) accountsThat(match func(law.Account) bool) []agency.AccountID {
	var found []agency.AccountID
	for _, id := range w.accounts {
		if a, there := w.law.Accounts[id]; there && match(a) {
			found = append(found, id)
		}
	}
	return found
}

// among draws one of the persons whose profile in an account matches; anybody if there is
// none, or seldom.
func (w *world) among(rt *rapid.T, id agency.AccountID, match func(law.Member) bool) agency.Actor {
	var found []agency.Actor
	for _, who := range w.people {
		if match(w.law.Members[agency.PersonAt(id, who.ID())]) {
			found = append(found, who)
		}
	}
	if len(found) > 0 && often(rt, "among") {
		who := pick(rt, found, "who")
		// With the sign-in that the profile belongs to, mostly.
		if m := w.law.Members[agency.PersonAt(id, who.ID())]; m.Subject != "" && often(rt, "sign-in") {
			who.Issuer, who.Subject = m.Issuer, m.Subject
		}
		return who
	}
	return w.person(rt)
}

func manages(m law.Member) bool {
	return m.Status == agency.Active && (m.Role == agency.Owner || m.Role == agency.Admin)
}

func owns(m law.Member) bool { return m.Status == agency.Active && m.Role == agency.Owner }

func isThere(m law.Member) bool { return m.Status != "" }

// caller draws who acts in an account: one of its owners and admins, or for an agency one
// of that, mostly.
func (w *world) caller(rt *rapid.T, id agency.AccountID) (agency.Actor, agency.AccountID) {
	a := w.law.Accounts[id]
	switch {
	case a.Owner != "" && often(rt, "for the owner"):
		return w.among(rt, a.Owner, manages), a.Owner
	case seldom(rt, "for an agency"):
		of := w.agency(rt)
		return w.among(rt, of, isThere), of
	case seldom(rt, "anybody"):
		return w.among(rt, id, isThere), ""
	default:
		return w.among(rt, id, manages), ""
	}
}

// profileThat draws a profile that matches, of those that the accounts, persons and
// agencies of the sequence can have; false if there is none.
func (w *world) profileThat(rt *rapid.T, match func(agency.ProfileKey, law.Member) bool) (agency.ProfileKey, bool) {
	var parties []agency.Party
	for _, id := range w.accounts {
		parties = append(parties, agency.Party(id))
	}
	for _, who := range w.people {
		parties = append(parties, agency.Party(who.ID()))
	}
	var found []agency.ProfileKey
	for _, at := range parties {
		for _, member := range parties {
			key := agency.ProfileKey{Addressee: at, Member: member}
			if m, there := w.law.Members[key]; there && match(key, m) {
				found = append(found, key)
			}
		}
	}
	if len(found) == 0 || seldom(rt, "any profile") {
		return agency.ProfileKey{}, false
	}
	return pick(rt, found, "profile"), true
}

// actor is the person of an id.
func (w *world) actor(id agency.PersonID) agency.Actor {
	for _, who := range w.people {
		if who.ID() == id {
			return who
		}
	}
	return w.people[0]
}

// number is that of a profile's request, mostly.
func (w *world) number(rt *rapid.T, key agency.ProfileKey) int {
	if often(rt, "number") {
		return w.law.Members[key].Request.Number
	}
	return between(rt, 0, 3, "other number")
}

func (w *world) areas(rt *rapid.T) agency.Areas {
	if seldom(rt, "bad areas") {
		return pick(rt, []agency.Areas{{"pages": agency.None}, {"shop": agency.View}, {"mail": "much"}, nil}, "areas")
	}
	return pick(rt, []agency.Areas{pages, {"pages": agency.Edit}, everything, everything, {"mail": agency.View, "pages": agency.None}}, "areas")
}

// until draws an end date, none, or its removal.
func (w *world) until(rt *rapid.T) *time.Time {
	at := w.now.Add(time.Duration(between(rt, 0, 20, "until")) * 12 * hour)
	if seldom(rt, "no end date") {
		return &time.Time{}
	}
	return pick(rt, []*time.Time{nil, &at, &at}, "end date")
}

// roleAndAreas draws a role, and levels that go with it, mostly.
func (w *world) roleAndAreas(rt *rapid.T, c *law.Command) {
	c.Role = pick(rt, []agency.Role{agency.Owner, agency.Admin, agency.Member, agency.Member}, "role")
	if w.law.Accounts[c.Account].Owner != "" && often(rt, "member") {
		c.Role = agency.Member
	}
	if c.Role == agency.Member || seldom(rt, "levels") {
		c.Areas = w.areas(rt)
	}
}

func (*world) accountName(rt *rapid.T) string {
	if seldom(rt, "no name") {
		return ""
	}
	return pick(rt, []string{"Ada", "Bakery", "Ceramics"}, "name")
}

func (w *world) plan(rt *rapid.T) string {
	if seldom(rt, "no plan") {
		return "none"
	}
	return pick(rt, []string{"starter", "growth"}, "plan")
}

// draw draws a command.
func (w *world) draw(rt *rapid.T) law.Command {
	draws := []struct {
		weight int
		draw   func(*rapid.T) law.Command
	}{
		{3, w.drawAccount}, {4, w.drawInvitation}, {4, w.drawInvitationStep}, {5, w.drawAnswer}, {4, w.drawMember}, {6, w.drawRequest},
		{3, w.drawAgencyStep}, {6, w.drawDecision}, {4, w.drawByEmail}, {3, w.drawBilling}, {4, w.drawPlatform}, {2, w.drawEnding},
	}
	total := 0
	for _, d := range draws {
		total += d.weight
	}
	n := between(rt, 0, total-1, "command")
	for _, d := range draws {
		if n -= d.weight; n < 0 {
			return d.draw(rt)
		}
	}
	panic("no command")
}

func (w *world) drawAccount(rt *rapid.T) law.Command {
	id := w.account(rt)
	name := w.accountName(rt)
	switch between(rt, 0, 5, "account command") {
	case 0:
		return law.Command{Do: law.OpenAccount, By: w.person(rt), Key: w.someKey(rt), Name: name}
	case 1, 2:
		of := w.agency(rt)
		c := law.Command{
			Do: law.CreateAccount, By: w.among(rt, of, manages), Agency: of, Key: w.someKey(rt), Name: name, Plan: w.plan(rt), Confirm: often(rt, "confirm"),
		}
		if coin(rt, "with a client") {
			c.Email, c.Areas = w.person(rt).Email, w.areas(rt)
		}
		return c
	case 3:
		c := law.Command{Do: law.RenameAccount, Account: id, Name: name}
		c.By, c.As = w.caller(rt, id)
		return c
	default:
		id = w.agency(rt)
		return law.Command{Do: pick(rt, []law.Do{law.SwitchAgencyOn, law.SwitchAgencyOff}, "switch"), By: w.among(rt, id, manages), Account: id}
	}
}

// someKey is a new Idempotency-Key, or one that was used.
func (w *world) someKey(rt *rapid.T) string {
	if w.keys > 0 && between(rt, 0, 3, "used key") == 0 {
		return fmt.Sprintf("key-%s-%d-%06d", w.name, w.runs, between(rt, 1, w.keys, "key"))
	}
	return w.key()
}

func (w *world) drawInvitation(rt *rapid.T) law.Command {
	c := law.Command{Do: law.InvitePerson, Account: w.account(rt), Email: w.person(rt).Email}
	if key, found := w.profileThat(rt, func(k agency.ProfileKey, m law.Member) bool {
		return k.Member.Person() != "" && (m.Status == agency.Active || m.Status == agency.Invited)
	}); found && coin(rt, "again") {
		c.Account, c.Email = key.Addressee.Account(), w.actor(key.Member.Person()).Email
	}
	c.By, c.As = w.caller(rt, c.Account)
	w.roleAndAreas(rt, &c)
	return c
}

func (w *world) drawInvitationStep(rt *rapid.T) law.Command {
	do := pick(rt, []law.Do{law.ResendInvitation, law.ResendInvitation, law.WithdrawInvitation, law.AskNewSignIn}, "step")
	c := law.Command{Do: do, Account: w.account(rt), Member: agency.Party(w.person(rt).ID())}
	key, found := w.profileThat(rt, func(k agency.ProfileKey, m law.Member) bool {
		waits := m.Request.State == agency.StateOpen
		return k.Member.Person() != "" && waits == (do != law.AskNewSignIn)
	})
	switch {
	case found:
		c.Account, c.Member = key.Addressee.Account(), key.Member
	case seldom(rt, "an agency"):
		c.Member = agency.Party(w.agency(rt))
	}
	c.By, c.As = w.caller(rt, c.Account)
	return c
}

func (w *world) drawAnswer(rt *rapid.T) law.Command {
	c := law.Command{Do: pick(rt, []law.Do{law.AcceptInvitation, law.AcceptInvitation, law.DeclineInvitation}, "answer"), Account: w.account(rt), By: w.person(rt)}
	key, found := w.profileThat(rt, func(k agency.ProfileKey, m law.Member) bool {
		return k.Member.Person() != "" && m.Request.Number > 0 && m.Request.State != agency.StateAccepted
	})
	if found {
		c.Account, c.By = key.Addressee.Account(), w.actor(key.Member.Person())
		if m := w.law.Members[key]; m.Status == agency.Active && m.Subject != "" {
			c.By.Issuer, c.By.Subject = m.Issuer, m.Subject
		}
	}
	c.Number = w.number(rt, agency.PersonAt(c.Account, c.By.ID()))
	if c.Do == law.DeclineInvitation {
		c.Block = between(rt, 0, 2, "block") == 0
	} else if c.Plan = w.law.Accounts[c.Account].Plan; seldom(rt, "other plan") {
		c.Plan = pick(rt, []string{"", "growth", "starter"}, "plan")
	}
	return c
}

// drawMember changes or removes persons.
func (w *world) drawMember(rt *rapid.T) law.Command {
	c := law.Command{Do: pick(rt, []law.Do{law.ChangeMember, law.ChangeMember, law.RemoveMember}, "member command"), Account: w.account(rt)}
	c.By, c.As = w.caller(rt, c.Account)
	who := w.among(rt, c.Account, isThere)
	if between(rt, 0, 3, "staff") == 0 {
		// Members of an agency are assigned to clients.
		c.Do, c.Account = law.ChangeMember, w.agency(rt)
		c.By, c.As = w.caller(rt, c.Account)
		who = w.among(rt, c.Account, func(m law.Member) bool { return m.Status == agency.Active && m.Role == agency.Member })
		c.Member = agency.Party(who.ID())
		clients := pick(rt, [][]agency.AccountID{nil, {}, {w.account(rt)}}, "clients")
		c.Clients = &clients
		return c
	}
	if seldom(rt, "self") {
		who = c.By
	}
	c.Member = agency.Party(who.ID())
	if c.Do == law.RemoveMember {
		c.Block = seldom(rt, "block")
		return c
	}
	switch between(rt, 0, 3, "change") {
	case 0:
		c.Areas = w.areas(rt)
	case 1:
		clients := pick(rt, [][]agency.AccountID{nil, {}, {w.accounts[0]}, {w.account(rt), w.account(rt)}}, "clients")
		c.Clients = &clients
	case 2:
		w.roleAndAreas(rt, &c)
	default:
		c.Role = pick(rt, []agency.Role{agency.Owner, agency.Admin, agency.Member}, "role")
		c.Until = pick(rt, []*time.Time{nil, nil, nil, nil, nil, {}}, "until")
	}
	return c
}

func (w *world) drawRequest(rt *rapid.T) law.Command {
	of := w.agency(rt)
	c := law.Command{Do: law.RequestConnection, By: w.among(rt, of, manages), Agency: of, Areas: w.areas(rt), Message: pick(rt, []string{"", "Hello"}, "message")}
	if between(rt, 0, 2, "by email") == 0 {
		c.Email = w.person(rt).Email
	} else {
		c.Account = w.client(rt)
		for c.Account == of && often(rt, "another") {
			c.Account = w.client(rt)
		}
	}
	if seldom(rt, "both") {
		c.Email, c.Account = w.people[0].Email, w.account(rt)
	}
	if between(rt, 0, 2, "with a key") == 0 {
		c.Key = fmt.Sprint("request-", between(rt, 0, 2, "key"))
	}
	return c
}

func (w *world) drawAgencyStep(rt *rapid.T) law.Command {
	do := pick(rt, []law.Do{law.ResendRequest, law.ResendRequest, law.WithdrawRequest, law.LeaveAccount}, "agency step")
	want := agency.Pending
	if do == law.LeaveAccount {
		want = agency.Active
	}
	key, found := w.profileThat(rt, func(k agency.ProfileKey, m law.Member) bool { return k.Member.Account() != "" && m.Status == want })
	if !found {
		key = agency.AgencyAt(w.account(rt), w.agency(rt))
	}
	of := key.Member.Account()
	return law.Command{Do: do, By: w.among(rt, of, manages), Agency: of, Connection: agency.NewConnectionID(key.Addressee, of)}
}

// drawDecision decides on an agency in an account.
func (w *world) drawDecision(rt *rapid.T) law.Command {
	do := pick(rt, []law.Do{law.AcceptRequest, law.AcceptRequest, law.DeclineRequest, law.RemoveMember, law.ChangeMember, law.ChangeMember, law.Unblock}, "decision")
	want := agency.Pending
	if do == law.RemoveMember || do == law.ChangeMember {
		want = agency.Active
	}
	key, found := w.profileThat(rt, func(k agency.ProfileKey, m law.Member) bool {
		return k.Member.Account() != "" && k.Addressee.Account() != "" && (m.Status == want || do == law.Unblock)
	})
	if !found {
		key = agency.AgencyAt(w.account(rt), w.agency(rt))
	}
	c := law.Command{Do: do, Account: key.Addressee.Account(), Agency: key.Member.Account(), Number: w.number(rt, key)}
	c.By, c.As = w.caller(rt, c.Account)
	switch do {
	case law.AcceptRequest:
		c.Areas, c.Until = pick(rt, []agency.Areas{nil, nil, w.areas(rt)}, "granted"), w.until(rt)
	case law.RemoveMember:
		c.Member, c.Block = key.Member, seldom(rt, "block")
	case law.DeclineRequest:
		c.Block = between(rt, 0, 3, "block") == 0
	case law.ChangeMember:
		c.Member, c.Until = key.Member, w.until(rt)
		if coin(rt, "levels") {
			c.Areas = w.areas(rt)
		}
		if seldom(rt, "role") {
			c.Role = agency.Admin
		}
	default:
	}
	return c
}

// drawByEmail decides on requests by their id.
func (w *world) drawByEmail(rt *rapid.T) law.Command {
	do := pick(rt, []law.Do{law.AcceptInto, law.AcceptInto, law.AcceptInto, law.DeclineByID, law.UnblockForMe}, "by id")
	key, found := w.profileThat(rt, func(k agency.ProfileKey, m law.Member) bool {
		return k.Member.Account() != "" && (k.Addressee.Person() != "" || m.Status == agency.Pending)
	})
	if !found {
		key = agency.ProfileKey{Addressee: agency.Party(w.person(rt).ID()), Member: agency.Party(w.agency(rt))}
	}
	c := law.Command{Do: do, Connection: agency.NewConnectionID(key.Addressee, key.Member.Account()), Number: w.number(rt, key)}
	if id := key.Addressee.Account(); id != "" {
		c.Account, c.By = id, w.among(rt, id, manages)
	} else {
		c.By = w.actor(key.Addressee.Person())
		if seldom(rt, "somebody else") {
			c.By = w.person(rt)
		}
		c.Account = w.account(rt)
		mine := w.accountsThat(func(a law.Account) bool { return manages(w.law.Members[agency.PersonAt(a.ID, c.By.ID())]) })
		if len(mine) > 0 && often(rt, "mine") {
			c.Account = pick(rt, mine, "mine")
		}
	}
	switch do {
	case law.AcceptInto:
		c.Areas, c.Until = pick(rt, []agency.Areas{nil, nil, w.areas(rt)}, "granted"), w.until(rt)
	case law.DeclineByID:
		c.Block = between(rt, 0, 2, "block") == 0
	default:
	}
	return c
}

func (w *world) drawBilling(rt *rapid.T) law.Command {
	id := w.account(rt)
	c := law.Command{Account: id, Do: pick(rt, []law.Do{law.ChangePlan, law.CancelSubscription, law.CancelSubscription, law.ResumeSubscription}, "billing")}
	c.By, c.As = w.caller(rt, id)
	if seldom(rt, "member") {
		c.By, c.As = w.among(rt, id, isThere), ""
	}
	c.Plan, c.Immediately = w.plan(rt), between(rt, 0, 2, "immediately") == 0
	return c
}

func (w *world) drawPlatform(rt *rapid.T) law.Command {
	id := w.account(rt)
	name := w.accountName(rt)
	owner := w.among(rt, id, owns)
	switch between(rt, 0, 5, "platform command") {
	case 0:
		id = agency.NewAccountID("platform", fmt.Sprint(w.name, w.runs, between(rt, 0, 2, "id")))
		owner = w.person(rt)
		fallthrough
	case 1:
		return law.Command{Do: law.RegisterAccount, Account: id, Name: name, Email: owner.Email, Plan: pick(rt, []string{"", "", "starter", "growth"}, "plan")}
	case 2:
		return law.Command{Do: law.ReplaceOwner, Account: id, Email: owner.Email, To: w.person(rt).Email}
	case 3:
		limit := pick(rt, []agency.Limit{agency.OpenRequestsLimit, agency.DailyRequestsLimit, agency.OpenInvitationsLimit, agency.RequestsByPersonLimit, agency.InvitesByPersonLimit}, "limit")
		n := pick(rt, []int{0, 1, 7}, "raised")
		return law.Command{Do: law.RaiseLimits, Account: id, Limits: map[agency.Limit]*int{limit: pick(rt, []*int{nil, &n}, "or none")}}
	default:
		return law.Command{
			Do: law.ReportPayment, Account: id, Failed: w.law.Accounts[id].Unpaid == seldom(rt, "the same"),
			At: w.now.Add(-time.Duration(between(rt, -1, 3, "ago")) * hour),
		}
	}
}

// drawEnding signs in, closes or erases; what ends much is rare.
func (w *world) drawEnding(rt *rapid.T) law.Command {
	switch between(rt, 0, 4, "ending") {
	case 0:
		return law.Command{Do: law.Me, By: w.person(rt)}
	case 1, 2:
		return law.Command{Do: law.EraseMe, By: w.person(rt)}
	default:
		id := w.account(rt)
		c := law.Command{Do: law.CloseAccount, Account: id}
		c.By, c.As = w.caller(rt, id)
		return c
	}
}
