package service_test

import (
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

// Random commands by random actors, one after the other and four at a time, and
// afterwards everything that is kept in two places is counted again. A failure
// names its seed; SEED plays the same commands again, though four at a time do
// not meet in the same way twice.
func TestRandomCommandsKeepTheBooks(t *testing.T) {
	for _, workers := range []int{1, 4} {
		t.Run(strconv.Itoa(workers), func(t *testing.T) { keepTheBooks(t, workers) })
	}
}

func keepTheBooks(t *testing.T, workers int) {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if given, err := strconv.ParseUint(os.Getenv("SEED"), 10, 64); err == nil {
		seed = given
	}
	t.Logf("SEED=%d", seed)
	h := newHub(t)
	h.carrying, h.collected = true, true
	// Two worlds, so that each agency has a stranger and another agency beside it.
	worlds := []*world{h.world("-a"), h.world("-b")}
	steps := 480 / workers
	outcomes := map[agency.Code]int{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for worker := range workers {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(seed, uint64(worker)))
			for n := range steps {
				code := agency.CodeOf(randomCommand(h, r, worlds, fmt.Sprintf("%d-%d-%016d", worker, n, seed)))
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
	h.audit(t)
	// What is due is done, and done with: whatever is left of what was closed, or
	// is being erased, comes to its end.
	for range 12 {
		if err := h.tick(); err != nil {
			t.Error(err)
		}
		// The last trace of a person waits for the lists.
		h.advance(time.Minute)
	}
	h.audit(t)
	for k, i := range testbed.Items(t, h.db, h.name) {
		if strings.HasSuffix(k, " PERSON") && testbed.Str(i["erasing"]) != "" && testbed.Str(i["email"]) == "" {
			t.Errorf("%s is still there", k)
		}
	}
}

// tick does what cleanup does in one run, but for waking events. To stop at a
// last owner is no failure.
func (h *hub) tick() error {
	now := h.Now()
	for shard := range table.Shards {
		for item, err := range h.store.Due(h.t.Context(), shard, now) {
			switch {
			case err != nil:
			case item.Profile != nil:
				_, err = h.SweepProfile(h.t.Context(), *item.Profile)
			case item.Account != "":
				_, err = h.SweepAccount(h.t.Context(), item.Account)
			case item.Person != "":
				_, err = h.SweepPerson(h.t.Context(), item.Person)
			}
			if err != nil && agency.CodeOf(err) != agency.LastOwner {
				return err
			}
		}
	}
	return nil
}

func randomCommand(h *hub, r *rand.Rand, worlds []*world, key string) error {
	ctx := h.t.Context()
	w := pick(r, worlds)
	people := []agency.Actor{w.ann, w.bob, w.mem, w.gil, w.gus, w.gem, w.olga, w.eve, impostor(w.bob)}
	// Mostly those who may; sometimes anybody, anywhere.
	by, who, id, of, caller := pick(r, people), pick(r, people), w.client, w.agency, agency.Caller{}
	staff := pick(r, []agency.Actor{w.gil, w.gus})
	switch r.IntN(10) {
	case 0, 1:
		id, of = pick(r, []agency.AccountID{w.client, w.owned, w.agency}), pick(r, worlds).agency
		if r.IntN(2) == 0 {
			caller.As = of
		}
	case 2, 3:
		id, by, caller.As = w.owned, staff, of
	case 4:
		id, by = w.agency, w.gil
	default:
		by, of = pick(r, []agency.Actor{w.ann, w.bob}), pick(r, worlds).agency
		for _, v := range worlds {
			if v.agency == of {
				staff = pick(r, []agency.Actor{v.gil, v.gus})
			}
		}
	}
	caller.Actor = by
	con := agency.NewConnectionID(agency.Party(id), of)
	request := 1 + r.IntN(3)
	if read, err := h.store.Load(ctx, service.Want{Profiles: []agency.ProfileKey{agency.AgencyAt(id, of)}}); err == nil && r.IntN(5) > 0 {
		request = read.Profile(agency.AgencyAt(id, of)).Request.Number
	}
	areas := pick(r, []agency.Areas{viewPages, editPages, editAll})
	role := pick(r, []agency.Role{agency.Owner, agency.Admin, agency.Member})
	in := service.Invitation{Email: who.Email, Role: role}
	if role == agency.Member {
		in.Areas = areas
	}
	h.advance(time.Duration(r.IntN(60)) * time.Minute)
	if r.IntN(20) == 0 {
		h.advance(pick(r, []time.Duration{day, 4 * day, lifetime, 31 * day}))
	}
	// A request by email, to whom it may be taken up, into any of the accounts.
	ann := pick(r, []agency.Actor{w.ann, w.ann, w.bob, w.eve})
	byMail := agency.NewConnectionID(agency.Party(ann.ID()), of)
	mailed := agency.ProfileKey{Addressee: agency.Party(ann.ID()), Member: agency.Party(of)}
	until := h.Now().Add(time.Duration(1+r.IntN(20)) * day)
	switch r.IntN(34) {
	case 0:
		return second(h.OpenAccount(ctx, by, key, "Opened"))
	case 1:
		return second(h.CreateAccount(ctx, staff, of, key, service.NewClientAccount{
			Name: "Created", Plan: "starter", ConfirmPermanentOwnership: true, Client: &service.NewClient{Email: who.Email, Areas: areas},
		}))
	case 2:
		return second(h.RenameAccount(ctx, caller, id, "Name "+strconv.Itoa(r.IntN(3))))
	case 3:
		return third(h.InvitePerson(ctx, caller, id, in))
	case 4:
		return second(h.ChangeMember(ctx, caller, id, agency.Party(who.ID()), service.MemberChange{Role: role}))
	case 5:
		return second(h.RemoveMember(ctx, caller, id, agency.Party(who.ID()), false))
	case 6:
		return second(h.RemoveMember(ctx, caller, id, agency.Party(by.ID()), false))
	case 7, 8:
		return second(h.RequestConnection(ctx, staff, of, service.ConnectionRequest{Account: id, Areas: areas}))
	case 9, 10:
		return second(h.AcceptRequest(ctx, caller, id, of, service.Grant{Request: request, Until: pick(r, []*time.Time{nil, &until})}))
	case 11:
		return second(h.DenyRequest(ctx, caller, id, of, r.IntN(4) == 0))
	case 12:
		return second(h.WithdrawRequest(ctx, staff, of, con))
	case 13:
		return second(h.LeaveAccount(ctx, staff, of, con))
	case 14:
		if r.IntN(2) == 0 {
			return second(h.RemoveMember(ctx, caller, id, agency.Party(of), r.IntN(4) == 0))
		}
		return second(h.ChangeMember(ctx, caller, id, agency.Party(of), service.MemberChange{Areas: areas, Until: pick(r, []*time.Time{nil, &until, {}})}))
	case 15, 16, 17:
		return second(h.RequestConnection(ctx, staff, of, service.ConnectionRequest{OwnerEmail: ann.Email, Areas: areas}))
	case 18, 19, 20:
		read, err := h.store.Load(ctx, service.Want{Profiles: []agency.ProfileKey{mailed}})
		if err != nil {
			return err
		}
		into := pick(r, []agency.AccountID{w.client, w.client, w.agency, w.owned})
		return second(h.AcceptRequestInto(ctx, ann, byMail, into, service.Grant{Request: read.Profile(mailed).Request.Number, Until: pick(r, []*time.Time{nil, &until})}))
	case 21:
		return second(h.DenyRequestByID(ctx, ann, byMail, r.IntN(3) == 0))
	case 22:
		switch r.IntN(4) {
		case 0:
			return second(h.WithdrawRequest(ctx, staff, of, byMail))
		case 1:
			return second(h.ResendRequest(ctx, staff, of, byMail))
		case 2:
			return second(h.Unblock(ctx, caller, id, of))
		default:
			return second(h.UnblockForMe(ctx, ann, byMail))
		}
	case 23:
		clients := pick(r, [][]agency.AccountID{nil, {}, {w.client}, {w.client, w.owned}})
		return second(h.ChangeMember(ctx, as(w.gil), w.agency, agency.Party(pick(r, people).ID()), service.MemberChange{Clients: &clients}))
	case 24, 25, 26:
		return h.tick()
	case 27:
		return h.RefreshCopies(ctx, id)
	case 28:
		if r.IntN(3) > 0 {
			return second(h.SwitchAgencyOff(ctx, pick(r, []agency.Actor{w.gil, w.ann}), pick(r, []agency.AccountID{w.agency, w.client})))
		}
		return second(h.SwitchAgencyOn(ctx, w.gil, w.agency))
	case 29:
		switch r.IntN(6) {
		case 0:
			return h.EraseMe(ctx, pick(r, []agency.Actor{w.mem, w.gem, w.olga, w.eve, w.bob}))
		case 1:
			return second(h.CloseAccount(ctx, as(staff, of), w.owned))
		case 2:
			return second(h.CloseAccount(ctx, caller, id))
		default:
			return nil
		}
	case 30:
		payer := pick(r, []agency.Caller{caller, as(w.gil, w.agency), as(w.ann)})
		account := pick(r, []agency.AccountID{id, w.owned, w.client})
		switch r.IntN(4) {
		case 0:
			return second(h.ChangePlan(ctx, payer, account, pick(r, []string{"starter", "growth"})))
		case 1:
			return second(h.CancelSubscription(ctx, payer, account, r.IntN(3) == 0))
		default:
			return second(h.ResumeSubscription(ctx, payer, account))
		}
	case 31:
		account := pick(r, []agency.AccountID{w.client, w.owned, w.agency, agency.NewAccountID("platform", strconv.Itoa(r.IntN(3)))})
		return second(h.RegisterAccount(ctx, platform, account, service.Registration{
			Name: "Name " + strconv.Itoa(r.IntN(3)), OwnerEmail: pick(r, people).Email, Plan: pick(r, []string{"", "", "starter", "growth"}),
		}))
	case 32:
		return second(h.ReportPayment(ctx, platform, pick(r, []agency.AccountID{w.client, w.owned, w.agency}), service.Payment{
			Failed: r.IntN(2) == 0, At: h.Now().Add(-time.Duration(r.IntN(3)) * time.Hour),
		}))
	default:
		if r.IntN(2) == 0 {
			return second(h.ResendRequest(ctx, staff, of, con))
		}
		return second(h.SweepProfile(ctx, agency.AgencyAt(id, of)))
	}
}

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }
