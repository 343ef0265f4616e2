package service_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"agencyhub/shared/agency"
	"agencyhub/shared/service"
	"agencyhub/shared/table"
	"agencyhub/shared/testbed"
)

// Random commands by random actors, one at a time and four at a time. Afterwards the audit compares
// everything that the table keeps in two places. A failure names its seed; SEED repeats the commands,
// though four at a time don't meet in the same way twice.
func TestRandomCommandsKeepTheBooks(t *testing.T) {
	for _, workers := range []int{1, 4} {
		t.Run(strconv.Itoa(workers), func(t *testing.T) { runRandomCommands(t, workers) })
	}
}

func runRandomCommands(t *testing.T, workers int) {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if given, err := strconv.ParseUint(os.Getenv("SEED"), 10, 64); err == nil {
		seed = given
	}
	t.Logf("SEED=%d", seed)
	f := newFixture(t)
	f.longWrites, f.collected = true, true
	// In two worlds each agency meets strangers and another agency.
	worlds := []*world{f.world("-a"), f.world("-b")}
	steps := 480 / workers
	outcomes := map[agency.Code]int{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for worker := range workers {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(seed, uint64(worker)))
			for n := range steps {
				code := agency.CodeOf(randomCommand(f, r, worlds, fmt.Sprintf("%d-%d-%016d", worker, n, seed)))
				if code == agency.Internal {
					t.Errorf("a failure of the store")
				}
				mu.Lock()
				outcomes[code]++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	t.Logf("%d done, refused %v", outcomes[""], outcomes)
	if outcomes[""] < workers*steps/10 {
		t.Errorf("only %d of %d were done", outcomes[""], workers*steps)
	}
	f.audit(t)
	// Sweeps end everything that was closed or is being erased.
	for range 12 {
		if err := f.sweepAll(); err != nil {
			t.Error(err)
		}
		// A person's own item is erased some time after everything else.
		f.advance(time.Minute)
	}
	f.audit(t)
	for k, i := range f.items() {
		if strings.HasSuffix(k, " PERSON") && testbed.Str(i["erasing"]) != "" && testbed.Str(i["email"]) == "" {
			t.Errorf("%s is still there", k)
		}
	}
}

// sweepAll does what one run of cleanup does, except waking events. Erasing that stops at a last
// owner is no failure.
func (f *fixture) sweepAll() error {
	now := f.Now()
	for shard := range table.Shards {
		for item, err := range f.store.Due(f.t.Context(), shard, now) {
			switch {
			case err != nil:
			case item.Profile != nil:
				_, err = f.SweepProfile(f.t.Context(), *item.Profile)
			case item.Account != "":
				_, err = f.SweepAccount(f.t.Context(), item.Account)
			case item.Person != "":
				_, err = f.SweepPerson(f.t.Context(), item.Person)
			}
			if err != nil && agency.CodeOf(err) != agency.LastOwner {
				return err
			}
		}
	}
	return nil
}

// draw is the random input of a command.
type draw struct {
	*world
	*rand.Rand
	ctx      context.Context //nolint:containedctx // of one command
	key      string
	people   []agency.Actor
	caller   agency.Caller
	id       agency.AccountID // the account, mostly one in which the caller has access
	of       agency.AccountID // the agency
	staff    agency.Actor     // an owner or admin of an agency
	who      agency.Actor     // the person that the command is about
	owner    agency.Actor     // the addressee of a request by email
	request  int
	areas    agency.Areas
	role     agency.Role
	until    time.Time
	emailKey agency.ProfileKey
}

func newDraw(f *fixture, r *rand.Rand, worlds []*world, key string) *draw {
	w := pick(r, worlds)
	people := []agency.Actor{w.ann, w.bob, w.mem, w.gil, w.gus, w.gem, w.olga, w.eve, impostor(w.bob)}
	d := &draw{world: w, Rand: r, ctx: f.t.Context(), key: key, people: people, id: w.client, of: w.agency}
	// Mostly callers with access; sometimes anybody, anywhere.
	d.caller.Actor, d.who, d.staff = pick(r, people), pick(r, people), pick(r, []agency.Actor{w.gil, w.gus})
	switch r.IntN(10) {
	case 0, 1:
		d.id, d.of = pick(r, []agency.AccountID{w.client, w.owned, w.agency}), pick(r, worlds).agency
		if r.IntN(2) == 0 {
			d.caller.As = d.of
		}
	case 2, 3:
		d.id, d.caller = w.owned, as(d.staff, d.of)
	case 4:
		d.id, d.caller.Actor = w.agency, w.gil
	default:
		v := pick(r, worlds)
		d.caller.Actor, d.of, d.staff = pick(r, []agency.Actor{w.ann, w.bob}), v.agency, pick(r, []agency.Actor{v.gil, v.gus})
	}
	d.request = 1 + r.IntN(3)
	at := agency.AgencyAt(d.id, d.of)
	if read, err := f.store.Load(d.ctx, service.Want{Profiles: []agency.ProfileKey{at}}); err == nil && r.IntN(5) > 0 {
		d.request = read.Profile(at).Request.Number
	}
	d.areas = pick(r, []agency.Areas{viewPages, editPages, editAll})
	d.role = pick(r, []agency.Role{agency.Owner, agency.Admin, agency.Member})
	f.advance(time.Duration(r.IntN(60)) * time.Minute)
	if r.IntN(20) == 0 {
		f.advance(pick(r, []time.Duration{day, 4 * day, lifetime, 31 * day}))
	}
	d.owner = pick(r, []agency.Actor{w.ann, w.ann, w.bob, w.eve})
	d.emailKey = agency.ProfileKey{Addressee: party(d.owner), Member: agency.Party(d.of)}
	d.until = f.Now().Add(time.Duration(1+r.IntN(20)) * day)
	return d
}

func randomCommand(f *fixture, r *rand.Rand, worlds []*world, key string) error {
	d := newDraw(f, r, worlds, key)
	switch n := r.IntN(34); {
	case n < 7:
		return d.accountCommand(n)
	case n < 15:
		return d.connectionCommand(n)
	case n < 23:
		return d.emailCommand(n)
	default:
		return d.otherCommand(n)
	}
}

func (d *draw) accountCommand(n int) error {
	switch n {
	case 0:
		return second(d.OpenAccount(d.ctx, d.caller.Actor, d.key, "Opened"))
	case 1:
		return second(d.CreateAccount(d.ctx, d.staff, d.of, d.key, service.NewClientAccount{
			Name: "Created", Plan: "starter", ConfirmPermanentOwnership: true, Client: &service.NewClient{Email: d.who.Email, Areas: d.areas},
		}))
	case 2:
		return second(d.RenameAccount(d.ctx, d.caller, d.id, "Name "+strconv.Itoa(d.IntN(3))))
	case 3:
		in := service.Invitation{Email: d.who.Email, Role: d.role}
		if d.role == agency.Member {
			in.Areas = d.areas
		}
		return third(d.InvitePerson(d.ctx, d.caller, d.id, in))
	case 4:
		return d.invitationCommand()
	case 5:
		return second(d.ChangeMember(d.ctx, d.caller, d.id, party(d.who), service.MemberChange{Role: d.role}))
	case 6:
		return second(d.RemoveMember(d.ctx, d.caller, d.id, party(d.who), false))
	default:
		return second(d.RemoveMember(d.ctx, d.caller, d.id, party(d.caller.Actor), false))
	}
}

func (d *draw) invitationCommand() error {
	switch d.IntN(9) {
	case 0:
		return second(d.ResendInvitation(d.ctx, d.caller, d.id, party(d.who)))
	case 1:
		return second(d.WithdrawInvitation(d.ctx, d.caller, d.id, party(d.who)))
	case 2:
		return second(d.AskNewSignIn(d.ctx, d.caller, d.id, party(d.who)))
	case 3:
		return second(d.DeclineInvitation(d.ctx, d.who, d.id, service.Decline{Request: d.request, Block: d.IntN(4) == 0}))
	case 4:
		return second(d.AcceptInvitation(d.ctx, d.who, d.id, service.Answer{Request: d.request, Plan: "starter"}))
	default:
		return second(d.acceptInvitation(d.who, d.id))
	}
}

func (d *draw) connectionCommand(n int) error {
	con := agency.NewConnectionID(agency.Party(d.id), d.of)
	switch n {
	case 7, 8:
		return second(d.RequestConnection(d.ctx, d.staff, d.of, service.ConnectionRequest{Account: d.id, Areas: d.areas}))
	case 9, 10:
		return second(d.AcceptRequest(d.ctx, d.caller, d.id, d.of, service.Grant{Request: d.request, Until: pick(d.Rand, []*time.Time{nil, &d.until})}))
	case 11:
		return second(d.declineAt(d.caller, d.id, d.of, d.IntN(4) == 0))
	case 12:
		return second(d.WithdrawRequest(d.ctx, d.staff, d.of, con))
	case 13:
		return second(d.LeaveAccount(d.ctx, d.staff, d.of, con))
	default:
		if d.IntN(2) == 0 {
			return second(d.RemoveMember(d.ctx, d.caller, d.id, agency.Party(d.of), d.IntN(4) == 0))
		}
		in := service.MemberChange{Areas: d.areas, Until: pick(d.Rand, []*time.Time{nil, &d.until, {}})}
		return second(d.ChangeMember(d.ctx, d.caller, d.id, agency.Party(d.of), in))
	}
}

func (d *draw) emailCommand(n int) error {
	con := agency.NewConnectionID(party(d.owner), d.of)
	switch n {
	case 15, 16, 17:
		return second(d.RequestConnection(d.ctx, d.staff, d.of, service.ConnectionRequest{OwnerEmail: d.owner.Email, Areas: d.areas}))
	case 18, 19, 20:
		read, err := d.store.Load(d.ctx, service.Want{Profiles: []agency.ProfileKey{d.emailKey}})
		if err != nil {
			return err
		}
		into := pick(d.Rand, []agency.AccountID{d.client, d.client, d.agency, d.owned})
		grant := service.Grant{Request: read.Profile(d.emailKey).Request.Number, Until: pick(d.Rand, []*time.Time{nil, &d.until})}
		return second(d.AcceptRequestInto(d.ctx, d.owner, con, into, grant))
	case 21:
		return second(d.declineByID(d.owner, con, d.IntN(3) == 0))
	}
	switch d.IntN(4) {
	case 0:
		return second(d.WithdrawRequest(d.ctx, d.staff, d.of, con))
	case 1:
		return second(d.ResendRequest(d.ctx, d.staff, d.of, con))
	case 2:
		return second(d.Unblock(d.ctx, d.caller, d.id, d.of))
	default:
		return second(d.UnblockForMe(d.ctx, d.owner, con))
	}
}

func (d *draw) otherCommand(n int) error {
	accounts := []agency.AccountID{d.client, d.owned, d.agency}
	switch n {
	case 23:
		clients := pick(d.Rand, [][]agency.AccountID{nil, {}, {d.client}, {d.client, d.owned}})
		return second(d.ChangeMember(d.ctx, as(d.gil), d.agency, party(pick(d.Rand, d.people)), service.MemberChange{Clients: &clients}))
	case 24, 25, 26:
		return d.sweepAll()
	case 27:
		return d.RefreshCopies(d.ctx, d.id)
	case 28:
		if d.IntN(3) > 0 {
			return second(d.SwitchAgencyOff(d.ctx, pick(d.Rand, []agency.Actor{d.gil, d.ann}), pick(d.Rand, []agency.AccountID{d.agency, d.client})))
		}
		return second(d.SwitchAgencyOn(d.ctx, d.gil, d.agency))
	case 29:
		switch d.IntN(6) {
		case 0:
			return d.EraseMe(d.ctx, pick(d.Rand, []agency.Actor{d.mem, d.gem, d.olga, d.eve, d.bob}))
		case 1:
			return second(d.CloseAccount(d.ctx, as(d.staff, d.of), d.owned))
		case 2:
			return second(d.CloseAccount(d.ctx, d.caller, d.id))
		default:
			return nil
		}
	case 30:
		payer := pick(d.Rand, []agency.Caller{d.caller, as(d.gil, d.agency), as(d.ann)})
		account := pick(d.Rand, []agency.AccountID{d.id, d.owned, d.client})
		switch d.IntN(4) {
		case 0:
			return second(d.ChangePlan(d.ctx, payer, account, pick(d.Rand, []string{"starter", "growth"})))
		case 1:
			return second(d.CancelSubscription(d.ctx, payer, account, d.IntN(3) == 0))
		default:
			return second(d.ResumeSubscription(d.ctx, payer, account))
		}
	case 31:
		account := pick(d.Rand, append(accounts, agency.NewAccountID("platform", strconv.Itoa(d.IntN(3)))))
		name, plan := "Name "+strconv.Itoa(d.IntN(3)), pick(d.Rand, []string{"", "", "starter", "growth"})
		return second(d.register(account, name, pick(d.Rand, d.people).Email, plan))
	case 32:
		report := service.Payment{Failed: d.IntN(2) == 0, At: d.Now().Add(-time.Duration(d.IntN(3)) * time.Hour)}
		return second(d.ReportPayment(d.ctx, platform, pick(d.Rand, accounts), report))
	}
	if d.IntN(2) == 0 {
		return second(d.ResendRequest(d.ctx, d.staff, d.of, agency.NewConnectionID(agency.Party(d.id), d.of)))
	}
	return second(d.SweepProfile(d.ctx, agency.AgencyAt(d.id, d.of)))
}

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }
