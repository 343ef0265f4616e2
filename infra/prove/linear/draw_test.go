package linear

import (
	"math/rand/v2"
	"time"

	"agencyhub/infra/prove/law"
	"agencyhub/shared/agency"
	"agencyhub/shared/service"
)

// Areas by what they allow.
var (
	editAll   = agency.Areas{"pages": agency.Edit, "mail": agency.Edit}
	editPages = agency.Areas{"pages": agency.Edit}
	viewPages = agency.Areas{"pages": agency.View}
)

// commands are all that histories have.
var commands = []law.Do{
	law.RequestConnection, law.AcceptRequest, law.DeclineRequest, law.WithdrawRequest, law.LeaveAccount, law.ResendRequest, law.Unblock,
	law.AcceptInto, law.DeclineByID, law.UnblockForMe, law.SweepProfile, law.InvitePerson, law.AcceptInvitation, law.DeclineInvitation,
	law.ResendInvitation, law.WithdrawInvitation, law.RemoveMember, law.ChangeMember, law.RenameAccount, law.ChangePlan, law.CancelSubscription,
	law.ResumeSubscription, law.CreateAccount, law.SwitchAgencyOff, law.SwitchAgencyOn, law.CheckAccess, readMember, readAccount,
}

func (r *record) isRead() bool {
	return r.Command.Do == law.CheckAccess || r.Command.Do == readMember || r.Command.Do == readAccount
}

func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

// often returns the first in four of five cases, and any of the others in the rest.
func often[T any](r *rand.Rand, first T, others ...T) T {
	if len(others) == 0 || r.IntN(5) > 0 {
		return first
	}
	return pick(r, others...)
}

// key is the profile that a connection is.
func key(id agency.ConnectionID) agency.ProfileKey {
	addressee, of, _ := id.Split()
	return agency.ProfileKey{Addressee: addressee, Member: agency.Party(of)}
}

// draw returns a command or a read that fits the world, mostly.
func (k *worker) draw() law.Command {
	w, r := k.w, k.rand
	step := time.Duration(r.IntN(900)) * time.Millisecond
	if r.IntN(25) == 0 {
		step = time.Duration(r.IntN(9)) * time.Second
	}
	w.clock.Add(int64(step))
	switch n := r.IntN(100); {
	case n < 24:
		return k.drawRead()
	case n < 58:
		return k.drawConnection()
	case n < 70:
		return k.drawByEmail()
	case n < 91:
		return k.drawTeam()
	default:
		return k.drawAccount()
	}
}

// number returns the number of a profile's latest request; sometimes another one. Now and
// then the clock moves on to some seconds before the end of a request that waits.
func (k *worker) number(at agency.ProfileKey) int {
	read, err := k.w.plain.Load(k.w.t.Context(), service.Want{Profiles: []agency.ProfileKey{at}})
	if err != nil {
		return 1
	}
	p := read.Profile(at)
	if end := p.Request.ExpiresAt.Add(-time.Duration(k.rand.IntN(5000)) * time.Millisecond); p.HasOpenRequest() && end.After(k.w.now()) && k.rand.IntN(8) == 0 {
		k.w.clock.Add(int64(end.Sub(k.w.now())))
	}
	n := p.Request.Number
	if k.rand.IntN(8) == 0 {
		n++
	}
	return n
}

// until returns an end date that comes within the history, no end date, or none given.
func (k *worker) until() *time.Time {
	at := k.w.now().Add(k.skew + time.Duration(1000+k.rand.IntN(9000))*time.Millisecond).Truncate(time.Millisecond)
	return pick(k.rand, nil, nil, &at, &at)
}

func (k *worker) drawRead() law.Command {
	w, r := k.w, k.rand
	switch r.IntN(6) {
	case 0:
		return law.Command{Do: readMember, Profile: pick(r, key(w.con), key(w.byEmail), agency.PersonAt(w.client, w.bob.ID()), agency.PersonAt(w.client, w.eve.ID()))}
	case 1:
		return law.Command{Do: readAccount, Account: pick(r, w.client, w.of)}
	case 2:
		return law.Command{Do: law.CheckAccess, By: pick(r, w.bob, w.eve, w.gem, w.gil), Account: pick(r, w.client, w.client, w.of)}
	default:
		return law.Command{Do: law.CheckAccess, By: pick(r, w.gil, w.gem, w.gem), As: w.of, Account: w.client}
	}
}

func (k *worker) drawConnection() law.Command {
	w, r := k.w, k.rand
	c := law.Command{By: often(r, w.ann, w.bob, w.bob, w.eve), Account: w.client, Agency: w.of, Number: 1}
	switch r.IntN(15) {
	case 0, 1, 2, 3:
		c.Do, c.By, c.Areas = law.RequestConnection, w.gil, pick(r, editAll, editPages)
		c.Key = pick(r, "", "", "key-000000000007")
	case 4, 5, 6:
		c.Do, c.Number, c.Areas, c.Until = law.AcceptRequest, k.number(key(w.con)), pick(r, nil, nil, viewPages), k.until()
	case 7:
		c.Do, c.Number, c.Block = law.DeclineRequest, k.number(key(w.con)), r.IntN(4) == 0
	case 8:
		c.Do, c.By, c.Connection = law.WithdrawRequest, w.gil, w.con
	case 9:
		c.Do, c.By, c.Connection = law.LeaveAccount, w.gil, w.con
	case 10:
		c.Do, c.By, c.Connection = law.ResendRequest, w.gil, w.con
	case 11:
		c.Do, c.Member, c.Block = law.RemoveMember, agency.Party(w.of), r.IntN(4) == 0
	case 12:
		c.Do, c.Member, c.Areas, c.Until = law.ChangeMember, agency.Party(w.of), pick(r, editAll, editPages, viewPages), k.until()
	case 13:
		return law.Command{Do: law.SweepProfile, Profile: pick(r, key(w.con), key(w.byEmail))}
	default:
		c.Do = law.Unblock
	}
	return c
}

func (k *worker) drawByEmail() law.Command {
	w, r := k.w, k.rand
	c := law.Command{By: w.ann, Account: w.client, Agency: w.of, Connection: w.byEmail}
	switch r.IntN(9) {
	case 0, 1, 2:
		return law.Command{Do: law.RequestConnection, By: w.gil, Agency: w.of, Email: w.ann.Email, Areas: pick(r, editAll, viewPages)}
	case 3, 4, 5:
		c.Do, c.Number, c.Until = law.AcceptInto, k.number(key(w.byEmail)), k.until()
	case 6:
		c.Do, c.Number, c.Block = law.DeclineByID, k.number(key(w.byEmail)), r.IntN(4) == 0
	case 7:
		c.Do = law.UnblockForMe
	default:
		c.Do, c.By = pick(r, law.WithdrawRequest, law.ResendRequest), w.gil
	}
	return c
}

func (k *worker) drawTeam() law.Command {
	w, r := k.w, k.rand
	who := pick(r, w.bob, w.eve)
	c := law.Command{By: often(r, w.ann, w.bob), Account: w.client, Member: agency.Party(who.ID())}
	switch r.IntN(14) {
	case 0, 1, 2:
		c.Do, c.Email, c.Role = law.InvitePerson, who.Email, pick(r, agency.Owner, agency.Admin, agency.Member)
		if c.Role == agency.Member {
			c.Areas = viewPages
		}
	case 3, 4, 5:
		c.Do, c.By, c.Number, c.Plan = law.AcceptInvitation, who, k.number(agency.PersonAt(w.client, who.ID())), pick(r, "starter", "starter", "growth")
	case 6:
		c.Do, c.By, c.Number = law.DeclineInvitation, who, k.number(agency.PersonAt(w.client, who.ID()))
	case 7:
		c.Do = law.ResendInvitation
	case 8:
		c.Do = law.WithdrawInvitation
	case 9:
		c.Do = law.RemoveMember
	case 10:
		// They leave.
		c.By = pick(r, w.ann, w.bob, w.eve)
		c.Do, c.Member = law.RemoveMember, agency.Party(c.By.ID())
	case 11:
		// Two owners remove or demote each other.
		c.Do, c.By, c.Member = law.RemoveMember, who, agency.Party(pick(r, w.ann, w.bob).ID())
	case 12:
		c.Do, c.Account, c.By, c.Member = law.ChangeMember, w.of, w.gil, agency.Party(w.gem.ID())
		c.Clients = pick(r, &[]agency.AccountID{}, &[]agency.AccountID{w.client}, new([]agency.AccountID))
	default:
		c.Do, c.Role = law.ChangeMember, pick(r, agency.Owner, agency.Admin, agency.Member)
	}
	return c
}

func (k *worker) drawAccount() law.Command {
	w, r := k.w, k.rand
	switch r.IntN(8) {
	case 0:
		return law.Command{Do: law.RenameAccount, By: pick(r, w.ann, w.bob), Account: w.client, Name: pick(r, "Client", "Customer")}
	case 1:
		return law.Command{Do: law.ChangePlan, By: pick(r, w.ann, w.bob), Account: w.client, Plan: pick(r, "starter", "growth")}
	case 2:
		return law.Command{Do: law.CancelSubscription, By: w.ann, Account: w.client, Immediately: true}
	case 3:
		return law.Command{Do: law.ResumeSubscription, By: w.ann, Account: w.client}
	case 4, 5:
		// Several make the same account, or another one under its key.
		return law.Command{Do: law.CreateAccount, By: w.gil, Agency: w.of, Key: pick(r, "key-000000000002", "key-000000000003", "key-000000000004"),
			Name: "Created", Plan: often(r, "growth", "starter"), Confirm: true, Email: w.eve.Email, Areas: viewPages}
	case 6:
		return law.Command{Do: law.SwitchAgencyOff, By: w.gil, Account: w.of}
	default:
		return law.Command{Do: law.SwitchAgencyOn, By: w.gil, Account: w.of}
	}
}

// everything is read at the end of a history.
func (w *world) everything() []law.Command {
	var all []law.Command
	for _, id := range []agency.AccountID{w.client, w.of} {
		all = append(all, law.Command{Do: readAccount, Account: id})
		for _, who := range []agency.Actor{w.ann, w.bob, w.eve, w.gil, w.gem} {
			all = append(all, law.Command{Do: readMember, Profile: agency.PersonAt(id, who.ID())})
		}
	}
	for _, id := range []agency.ConnectionID{w.con, w.byEmail} {
		all = append(all, law.Command{Do: readMember, Profile: key(id)})
	}
	for _, who := range []agency.Actor{w.ann, w.bob, w.eve} {
		all = append(all, law.Command{Do: law.CheckAccess, By: who, Account: w.client})
	}
	return append(all, law.Command{Do: law.CheckAccess, By: w.gem, As: w.of, Account: w.client})
}
