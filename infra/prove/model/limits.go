package model

import (
	"fmt"
	"time"

	"pgregory.net/rapid"

	"agencyhub/infra/prove/law"
	"agencyhub/shared/agency"
)

func limited(do law.Do, limit law.Limit) string { return string(do) + ": " + string(limit) }

// limitsOfLaw are the commands with each limit that must have refused them, while no other
// was reached. The settings below lead to each.
var limitsOfLaw = []string{
	limited(law.OpenAccount, law.ByPerson(agency.AccountsOpened, true)), limited(law.OpenAccount, law.ByPerson(agency.AccountsOpened, false)),
	limited(law.CreateAccount, law.ByPerson(agency.AccountsCreated, true)), limited(law.CreateAccount, law.ByPerson(agency.AccountsCreated, false)),
	limited(law.RequestConnection, law.ByPerson(agency.RequestsMade, true)), limited(law.RequestConnection, law.ByPerson(agency.RequestsMade, false)),
	limited(law.InvitePerson, law.ByPerson(agency.InvitationsMade, true)), limited(law.InvitePerson, law.ByPerson(agency.InvitationsMade, false)),
	limited(law.RequestConnection, law.DailyRequests), limited(law.RequestConnection, law.OpenRequests), limited(law.InvitePerson, law.OpenInvitations),
	limited(law.RequestConnection, law.PairMails), limited(law.ResendRequest, law.PairMails), limited(law.ResendRequest, law.Resends),
	limited(law.ResendRequest, law.ResendAfter), limited(law.InvitePerson, law.PairMails), limited(law.ResendInvitation, law.PairMails),
	limited(law.ResendInvitation, law.Resends), limited(law.ResendInvitation, law.ResendAfter),
}

// limits reaches some limits on days of their own, each while no other is reached.
func (w *world) limits(rt *rapid.T, client, of agency.AccountID) {
	gil := w.people[3]
	w.now = w.now.Truncate(days).Add(days + hour)
	high := 99
	raise := func(limits ...agency.Limit) {
		c := law.Command{Do: law.RaiseLimits, Account: of, Limits: map[agency.Limit]*int{}}
		for _, l := range limits {
			c.Limits[l] = &high
		}
		w.must(rt, c)
	}
	request := func(n int) law.Command {
		return law.Command{Do: law.RequestConnection, By: gil, Agency: of, Email: w.stranger(n), Areas: pages}
	}
	invite := func(n int) law.Command {
		return law.Command{Do: law.InvitePerson, By: gil, Account: of, Email: w.stranger(n), Role: agency.Admin}
	}
	open := func(int) law.Command { return law.Command{Do: law.OpenAccount, By: gil, Key: w.key(), Name: "Opened"} }
	create := func(int) law.Command {
		return law.Command{Do: law.CreateAccount, By: gil, Agency: of, Key: w.key(), Name: "Owned", Plan: "growth", Confirm: true}
	}
	switch between(rt, 0, 5, "limit") {
	case 0:
		w.newAndKnown(rt, open, create)
	case 1:
		raise(agency.DailyRequestsLimit, agency.OpenRequestsLimit, agency.OpenInvitationsLimit)
		w.newAndKnown(rt, request, invite)
	case 2:
		raise(agency.RequestsByPersonLimit, agency.OpenRequestsLimit, agency.InvitesByPersonLimit)
		w.untilLimited(rt, request)
		w.untilLimited(rt, invite)
	case 3:
		w.untilLimited(rt, request)
	case 4:
		id := agency.NewConnectionID(agency.Party(client), of)
		w.mails(rt, law.Command{Do: law.RequestConnection, By: gil, Agency: of, Account: client, Areas: pages},
			law.Command{Do: law.ResendRequest, By: gil, Agency: of, Connection: id}, law.Command{Do: law.WithdrawRequest, By: gil, Agency: of, Connection: id})
	default:
		c := invite(0)
		member := agency.Party(agency.NewPersonID(c.Email))
		w.mails(rt, c, law.Command{Do: law.ResendInvitation, By: gil, Account: of, Member: member},
			law.Command{Do: law.WithdrawInvitation, By: gil, Account: of, Member: member})
	}
}

// newAndKnown repeats commands by a new person, and again once they are none.
func (w *world) newAndKnown(rt *rapid.T, commands ...func(int) law.Command) {
	for round := range 2 {
		for _, c := range commands {
			w.untilLimited(rt, func(n int) law.Command { return c(10*round + n) })
		}
		w.now = w.now.Truncate(days).Add(8*days + hour)
	}
}

// untilLimited performs commands until a limit refuses one.
func (w *world) untilLimited(rt *rapid.T, command func(n int) law.Command) {
	for n := range 10 {
		if out := w.perform(rt, command(n)); out.Code == agency.RateLimited {
			return
		}
	}
}

// mails asks one addressee for something again and again.
func (w *world) mails(rt *rapid.T, ask, again, withdraw law.Command) {
	later := func(after time.Duration, commands ...law.Command) {
		w.now = w.now.Add(after)
		for _, c := range commands {
			w.perform(rt, c)
		}
	}
	// Too soon, and then as many emails as the pair may have: none for a new request.
	later(0, ask, again)
	for range 3 {
		later(days, again)
	}
	later(0, withdraw, ask)
	// Nor for one that is sent again.
	later(31*days, ask)
	later(days, again, withdraw, ask)
	later(days, again)
	later(days, again, withdraw)
	// Sent again as often as it may be, long after its first emails.
	later(31*days, ask)
	for range 4 {
		later(10*days, again)
	}
}

// rare makes what random commands seldom lead to: a warning of an end date, a block and its
// end, and a member who becomes an owner.
func (w *world) rare(rt *rapid.T, client, of agency.AccountID) {
	ann, gil, eve := w.people[0], w.people[3], w.people[7]
	until := w.now.Add(9 * days)
	w.must(rt, law.Command{Do: law.RequestConnection, By: gil, Agency: of, Account: client, Areas: everything})
	w.must(rt, law.Command{Do: law.AcceptRequest, By: ann, Account: client, Agency: of, Number: 1, Until: &until})
	w.now = until.Add(-7*days + time.Minute)
	for _, c := range w.law.Due(w.now) {
		w.perform(rt, c)
	}
	w.must(rt, law.Command{Do: law.RemoveMember, By: ann, Account: client, Member: agency.Party(of), Block: true})
	w.must(rt, law.Command{Do: law.Unblock, By: ann, Account: client, Agency: of})
	w.join(rt, ann, client, eve, agency.Admin)
	w.must(rt, law.Command{Do: law.InvitePerson, By: ann, Account: client, Email: eve.Email, Role: agency.Owner})
	w.must(rt, law.Command{Do: law.AcceptInvitation, By: eve, Account: client, Number: 2, Plan: w.law.Accounts[client].Plan})
}

// stranger is the address of somebody who does nothing.
func (w *world) stranger(n int) string {
	return fmt.Sprintf("z%d-%s-%d@x.test", n, w.name, w.runs)
}
