package service_test

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"agencyhub/shared/agency"
	"agencyhub/shared/service"
	"agencyhub/shared/testbed"
)

// What each end of a connection leaves behind: the cooldown of the account and of the person who
// decided, and the block.
func TestWhatHoldsAnAgencyOff(t *testing.T) {
	ctx := t.Context()
	for _, tt := range []struct {
		name            string
		do              func(*world) error
		account, person bool // cooling
		blocked         bool
		events          []string
		again           agency.Code
		before          func(*world) *world
	}{
		{name: "decline", before: (*world).pending, do: func(w *world) error { return second(w.decline(w.bob, false)) },
			account: true, person: true, events: []string{"connection.declined"}, again: agency.Cooling},
		{name: "decline and block", before: (*world).pending, do: func(w *world) error { return second(w.decline(w.bob, true)) },
			account: true, person: true, blocked: true, events: []string{"connection.declined", "agency.blocked"}, again: agency.Cooling},
		{name: "revoke", before: (*world).connected, do: func(w *world) error {
			return second(w.RemoveMember(ctx, as(w.bob), w.client, agency.Party(w.agency), false))
		}, account: true, person: true, events: []string{"connection.revoked"}, again: agency.Cooling},
		{name: "revoke and block", before: (*world).connected, do: func(w *world) error {
			return second(w.RemoveMember(ctx, as(w.bob), w.client, agency.Party(w.agency), true))
		}, account: true, person: true, blocked: true, events: []string{"connection.revoked", "agency.blocked"}, again: agency.Cooling},
		{name: "dismiss an expired one", before: func(w *world) *world { w.pending().advance(lifetime); return w }, do: func(w *world) error { return second(w.decline(w.bob, false)) },
			account: true, person: true, events: []string{"connection.expired", "connection.declined"}, again: agency.Cooling},
		{name: "withdraw", before: (*world).pending, do: func(w *world) error { return second(w.withdraw()) },
			events: []string{"connection.withdrawn"}},
		{name: "leave", before: (*world).connected, do: func(w *world) error { return second(w.leave()) },
			events: []string{"connection.left"}},
		{name: "expire", before: func(w *world) *world { w.pending().advance(lifetime); return w }, do: func(w *world) error {
			return second(w.SweepProfile(ctx, agency.AgencyAt(w.client, w.agency)))
		}, events: []string{"connection.expired"}},
		{name: "lapse", before: func(w *world) *world {
			w.connected()
			w.setEnd(day)
			w.advance(day)
			return w
		}, do: func(w *world) error { return second(w.SweepProfile(ctx, agency.AgencyAt(w.client, w.agency))) }, events: []string{"connection.lapsed"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := tt.before(newWorld(t))
			was := len(w.events(w.client))
			noError(t, tt.do(w))
			diff(t, "events", tt.events, w.events(w.client)[was:])
			until := w.Now().Add(30 * day)
			for of, held := range map[agency.Party]bool{agency.Party(w.client): tt.account, party(w.bob): tt.person, party(w.ann): false} {
				p := w.pairBetween(of, w.agency)
				if p.CoolingUntil.Equal(until) != held || p.CoolingUntil.IsZero() == held || p.Blocked != (held && tt.blocked) {
					t.Errorf("%s holds %+v", of, p)
				}
			}
			if tt.again == "" {
				must[agency.Profile](t)(w.request())
			} else {
				w.refusedFor(t, "asked again", tt.again, 30*day, func() error { return second(w.request()) })
				w.advance(30*day - time.Millisecond)
				w.refusedFor(t, "asked again a moment early", tt.again, time.Millisecond, func() error { return second(w.request()) })
				w.advance(time.Millisecond)
				if p := must[agency.Profile](t)(w.request()); p.Request.Muted != tt.blocked || p.Status != agency.Pending {
					t.Errorf("%+v", p)
				}
			}
			// By email only the person who decided has a cooldown.
			diff(t, "muted by email", tt.person && tt.blocked, must[agency.Profile](t)(w.requestByEmail(w.bob)).Request.Muted)
			diff(t, "muted to another", false, must[agency.Profile](t)(w.requestByEmail(w.ann)).Request.Muted)
			w.audit(t)
		})
	}
}

// setEnd sets the end date of the agency's connection, counted from now.
func (w *world) setEnd(after time.Duration) *world {
	w.t.Helper()
	until := w.Now().Add(after)
	noError(w.t, w.change(agency.Party(w.agency), service.MemberChange{Until: &until}))
	return w
}

// A decline by email is of the person alone. It mutes later requests, since a refusal would show it.
func TestADeclineByEmailHolds(t *testing.T) {
	w := newWorld(t)
	must[agency.Profile](t)(w.requestByEmail(w.ann))
	p := must[agency.Profile](t)(w.declineByID(w.ann, w.emailConnection(w.ann), false))
	if p.Status != agency.Declined {
		t.Errorf("%+v", p)
	}
	// A repeat changes nothing, except that a block begins.
	before := w.items()
	must[agency.Profile](t)(w.declineByID(w.ann, w.emailConnection(w.ann), false))
	testbed.SameItems(t, before, w.items())
	w.advance(time.Hour)
	must[agency.Profile](t)(w.declineByID(w.ann, w.emailConnection(w.ann), true))
	if p := w.pairBetween(party(w.ann), w.agency); !p.Blocked || !p.CoolingUntil.Equal(noon.Add(30*day)) {
		t.Errorf("%+v", p)
	}
	before = w.items()
	must[agency.Profile](t)(w.declineByID(w.ann, w.emailConnection(w.ann), true))
	testbed.SameItems(t, before, w.items())
	if p := must[agency.Profile](t)(w.requestByEmail(w.ann)); !p.Request.Muted || p.Request.Number != 2 {
		t.Errorf("%+v", p)
	}
	// The account has no cooldown: its other owners have not decided.
	if p := must[agency.Profile](t)(w.request()); p.Request.Muted {
		t.Errorf("%+v", p)
	}
	w.audit(t)
}

// A muted request is in no list of the client and can't be decided. To the agency it looks like any
// other.
func TestMutedIsHidden(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	page := service.Page{Limit: 100}
	w.pending()
	must[agency.Profile](t)(w.decline(w.ann, true))
	w.advance(30 * day)
	lines := w.events(w.client)
	must[agency.Profile](t)(w.request())
	must[agency.Profile](t)(w.requestByEmail(w.ann))
	w.advance(day)
	must[agency.Profile](t)(w.resend())
	must[agency.Profile](t)(w.ResendRequest(ctx, w.gil, w.agency, w.emailConnection(w.ann)))
	diff(t, "counts", service.Counts{Owned: 1, Pending: 2}, w.counts())
	hidden := func(when string) {
		t.Helper()
		diff(t, when+": team", 3, len(must[service.List[agency.Profile]](t)(w.Team(ctx, as(w.bob), w.client, page)).Items))
		diff(t, when+": my requests", 0, len(must[service.List[agency.Profile]](t)(w.MyRequests(ctx, w.ann, page)).Items))
		diff(t, when+": the account's activity", lines, w.events(w.client))
		before := w.items()
		for name, err := range map[string]error{
			"accept":            second(w.accept(w.ann, 2)),
			"accept by its id":  second(w.AcceptRequestInto(ctx, w.ann, w.con, w.client, service.Grant{Request: 2})),
			"accept by email":   second(w.acceptInto(w.ann, w.client, 1)),
			"decline":           second(w.decline(w.bob, true)),
			"decline by its id": second(w.declineByID(w.ann, w.con, false)),
			"decline by email":  second(w.declineByID(w.ann, w.emailConnection(w.ann), true)),
			"restrict":          second(w.ChangeMember(ctx, as(w.ann), w.client, agency.Party(w.agency), service.MemberChange{Areas: viewPages})),
			"revoke":            second(w.RemoveMember(ctx, as(w.ann), w.client, agency.Party(w.agency), true)),
			"see":               second(w.GetRequest(ctx, w.ann, w.con)),
			"see by email":      second(w.GetRequest(ctx, w.ann, w.emailConnection(w.ann))),
		} {
			refused(t, when+": "+name, agency.NotFound, err)
		}
		testbed.SameItems(t, before, w.items())
	}
	hidden("pending")
	diff(t, "access", agency.StillPending, w.access(as(w.gil, w.agency), w.client).Reason)
	// Unblocking does not unmute it.
	diff(t, "unblocked", true, must[bool](t)(w.Unblock(ctx, as(w.ann), w.client, w.agency)))
	lines = append(lines, "agency.unblocked")
	hidden("unblocked")
	w.advance(11 * day)
	noError(t, w.sweepAll())
	hidden("reminded of")
	must[agency.Profile](t)(w.withdraw())
	hidden("withdrawn")
	w.advance(3 * day)
	noError(t, w.sweepAll())
	hidden("expired")
	diff(t, "counts at the end", service.Counts{Owned: 1}, w.counts())
	// The next request is shown.
	must[agency.Profile](t)(w.request())
	must[agency.Profile](t)(w.accept(w.ann, 3))
	must[agency.Profile](t)(w.requestByEmail(w.ann))
	diff(t, "my requests", 1, len(must[service.List[agency.Profile]](t)(w.MyRequests(ctx, w.ann, page)).Items))
	w.audit(t)
}

// Everything an agency can read of a muted request is the same to the byte as of an unanswered one,
// from the request to its end and the next.
func TestAnAgencyCannotTellABlock(t *testing.T) {
	ctx := t.Context()
	play := func(block bool) (seen []string) {
		w := newWorld(t)
		see := func() {
			t.Helper()
			for _, id := range []agency.ConnectionID{w.con, w.emailConnection(w.ann)} {
				p, err := w.GetConnection(ctx, w.gil, w.agency, id)
				p.Request.Muted = false
				seen = append(seen, asText(t, p), asText(t, agency.CodeOf(err)))
			}
			list, counts, err := w.Clients(ctx, w.gus, w.agency, service.ClientFilter{}, service.Page{Limit: 100})
			for i := range list.Items {
				list.Items[i].Request.Muted = false
			}
			seen = append(seen, asText(t, list), asText(t, counts), asText(t, agency.CodeOf(err)), asText(t, w.access(as(w.gil, w.agency), w.client)))
			// The agency's own events, in the account and by email.
			for k, i := range w.items() {
				if testbed.Str(i["agency"]) == string(w.agency) && testbed.Str(i["memberPk"]) == string(w.agency) {
					line := maps.Clone(i)
					delete(line, "muted")
					seen = append(seen, k+" "+plain(line))
				}
			}
			own := must[service.List[agency.Event]](t)(w.store.Activity(ctx, agency.Party(w.client), w.agency, service.Page{Limit: 100}))
			for i := range own.Items {
				own.Items[i].Muted = false
			}
			seen = append(seen, asText(t, own))
		}
		note := func(err error) { seen = append(seen, asText(t, errText(err))) }
		w.pending()
		must[agency.Profile](t)(w.decline(w.ann, block))
		see()
		note(second(w.request()))
		w.advance(29 * day)
		note(second(w.request()))
		w.advance(day)
		note(second(w.request()))
		note(second(w.requestByEmail(w.ann)))
		note(second(w.request()))
		see()
		w.advance(day)
		note(second(w.resend()))
		note(second(w.ResendRequest(ctx, w.gil, w.agency, w.emailConnection(w.ann))))
		see()
		w.advance(11 * day)
		note(w.sweepAll())
		see()
		note(second(w.WithdrawRequest(ctx, w.gil, w.agency, w.emailConnection(w.ann))))
		w.advance(3 * day)
		note(second(w.resend()))
		note(w.sweepAll())
		see()
		note(second(w.request()))
		see()
		w.audit(t)
		for i := range seen {
			// The ids of events also count events that the agency can't see.
			seen[i] = shard.ReplaceAllString(eventID.ReplaceAllString(seen[i], "$1"), "")
		}
		slices.Sort(seen)
		return seen
	}
	if d := cmp.Diff(play(false), play(true)); d != "" {
		t.Error(d)
	}
}

var eventID, shard = regexp.MustCompile(`(evt_|EVENT#)[0-9a-z]{26}`), regexp.MustCompile(`DUE#\d`)

func asText(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	noError(t, err)
	return string(text)
}

// errText returns what an API shows of an error.
func errText(err error) any {
	refusal, ok := err.(*agency.Error) //nolint:errorlint // refusals are not wrapped
	if !ok {
		return err == nil
	}
	return []any{refusal.Code, refusal.Message, refusal.State, refusal.RetryAfter, refusal.Fields}
}

// Accepting ends the cooldown and block of the account and of the person.
func TestAcceptingClearsBothPairs(t *testing.T) {
	for name, accept := range map[string]func(*world) error{
		"by id":    func(w *world) error { return second(w.accept(w.ann, 1)) },
		"by email": func(w *world) error { return second(w.acceptInto(w.ann, w.client, 1)) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			ctx := t.Context()
			// Both are requested before either is decided.
			w.pending()
			must[agency.Profile](t)(w.requestByEmail(w.ann))
			shop := w.mustOpen(w.ann, 5, "Shop")
			must[agency.Profile](t)(w.RequestConnection(ctx, w.gil, w.agency, service.ConnectionRequest{Account: shop, Areas: viewPages}))
			must[agency.Profile](t)(w.declineAt(as(w.ann), shop, w.agency, true))
			must[agency.Profile](t)(w.requestByEmail(w.bob))
			must[agency.Profile](t)(w.declineByID(w.bob, w.emailConnection(w.bob), true))
			noError(t, accept(w))
			for of, held := range map[agency.Party]bool{
				agency.Party(w.client): false, party(w.ann): false, party(w.bob): true, agency.Party(shop): true,
			} {
				if p := w.pairBetween(of, w.agency); p.IsBlockedOrCooling(w.Now()) != held || p.Blocked != held {
					t.Errorf("%s holds %+v", of, p)
				}
			}
			w.audit(t)
		})
	}
}

// block is what a list shows of a block.
type block struct {
	Agency  agency.AccountID
	Name    string
	Blocked bool
	Until   time.Time
}

func readBlocks(t *testing.T, read func(service.Page) (service.List[service.Block], error)) (out []block) {
	t.Helper()
	all, _ := testbed.Pages(t, 1, read)
	for _, b := range all {
		out = append(out, block{b.Asker, b.Name, b.Blocked, b.CoolingUntil})
	}
	return out
}

func (w *world) accountBlocks(t *testing.T) []block {
	t.Helper()
	return readBlocks(t, func(p service.Page) (service.List[service.Block], error) {
		return w.AccountBlocks(t.Context(), as(w.bob), w.client, p)
	})
}

func (w *world) personBlocks(t *testing.T, a agency.Actor) []block {
	t.Helper()
	return readBlocks(t, func(p service.Page) (service.List[service.Block], error) { return w.MyBlocks(t.Context(), a, p) })
}

// sameBlocks compares two lists in any order.
func sameBlocks(t *testing.T, what string, want, got []block) {
	t.Helper()
	if d := cmp.Diff(want, got, cmpopts.SortSlices(func(a, b block) bool { return a.Agency < b.Agency })); d != "" {
		t.Errorf("%s: %s", what, d)
	}
}

func TestBlocksAreListedAndEnded(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	v, u := w.world("-v"), w.world("-u")
	for _, x := range []*world{v, u} {
		must[agency.Profile](t)(x.RequestConnection(ctx, x.gil, x.agency, service.ConnectionRequest{Account: w.client, Areas: viewPages}))
	}
	w.pending()
	sameBlocks(t, "before", nil, w.accountBlocks(t))
	must[agency.Profile](t)(w.decline(w.ann, true))
	must[agency.Profile](t)(w.declineAt(as(w.ann), w.client, v.agency, false))
	must[agency.Profile](t)(v.WithdrawRequest(ctx, u.gil, u.agency, agency.NewConnectionID(agency.Party(w.client), u.agency)))
	until := noon.Add(30 * day)
	both := []block{{w.agency, "Agency", true, until}, {v.agency, "Agency-v", false, until}}
	sameBlocks(t, "the account's", both, w.accountBlocks(t))
	sameBlocks(t, "ann's own", both, w.personBlocks(t, w.ann))
	sameBlocks(t, "bob's own", nil, w.personBlocks(t, w.bob))
	page := service.Page{Limit: 1}
	allRefused(t, agency.Forbidden, map[string]error{
		"a member":     second(w.AccountBlocks(ctx, as(w.mem), w.client, page)),
		"unblock, mem": second(w.Unblock(ctx, as(w.mem), w.client, w.agency)),
	})
	allRefused(t, agency.PermanentlyOwned, map[string]error{
		"owned":        second(w.AccountBlocks(ctx, as(w.gil, w.agency), w.owned, page)),
		"unblock, own": second(w.Unblock(ctx, as(w.gil, w.agency), w.owned, w.agency)),
	})
	allRefused(t, agency.NotFound, map[string]error{
		"a stranger":   second(w.AccountBlocks(ctx, as(w.eve), w.client, page)),
		"the agency":   second(w.AccountBlocks(ctx, as(w.gil, w.agency), w.client, page)),
		"unblock, eve": second(w.Unblock(ctx, as(w.eve), w.client, w.agency)),
		"unblock, con": second(w.UnblockForMe(ctx, w.ann, "con_x")),
	})

	// After the cooldown only the block is left.
	w.advance(30 * day)
	blocked := both[0]
	blocked.Until = time.Time{}
	sameBlocks(t, "the account's, later", []block{blocked}, w.accountBlocks(t))
	w.advance(-30 * day)

	// bob unblocks for the account and for himself; ann's own block stays.
	calls := func(what string, want bool, do func() (bool, error)) {
		t.Helper()
		before := w.items()
		w.TakeCalls()
		diff(t, what, want, must[bool](t)(do()))
		taken := w.TakeCalls()
		if want {
			diff(t, what+": calls", map[string]int{"BatchGetItem": 1, "TransactWriteItems": 1}, taken)
		} else {
			diff(t, what+": calls", map[string]int{"BatchGetItem": 2}, taken)
			testbed.SameItems(t, before, w.items())
		}
	}
	unblock := func() (bool, error) { return w.Unblock(ctx, as(w.bob), w.client, w.agency) }
	calls("unblock", true, unblock)
	calls("unblock again", false, unblock)
	calls("a cooldown too", true, func() (bool, error) { return w.Unblock(ctx, as(w.bob), w.client, v.agency) })
	sameBlocks(t, "the account's", nil, w.accountBlocks(t))
	sameBlocks(t, "ann's own", both, w.personBlocks(t, w.ann))
	mine := func() (bool, error) { return w.UnblockForMe(ctx, w.ann, w.con) }
	calls("for me", true, mine)
	calls("for me again", false, mine)
	sameBlocks(t, "ann's own", both[1:], w.personBlocks(t, w.ann))
	must[agency.Profile](t)(w.request())
	diff(t, "events", []string{"agency.blocked", "agency.unblocked", "agency.unblocked"}, slices.DeleteFunc(w.events(w.client), func(e string) bool { return e[:7] != "agency." }))
	w.audit(t)
}

// The event of a block is at a pair that it changed: a second owner's own block follows the
// account's.
func TestABlockIsToldWhereItIs(t *testing.T) {
	w := newWorld(t).pending()
	ctx := t.Context()
	must[agency.Profile](t)(w.decline(w.ann, true))
	must[agency.Profile](t)(w.decline(w.bob, true))
	diff(t, "in the account", 1, countOf(w.events(w.client), "agency.blocked"))
	blocked := map[string]int{}
	for _, i := range w.items() {
		if testbed.Str(i["type"]) == "agency.blocked" {
			blocked[testbed.Str(i["pk"])]++
			if i["memberPk"] != nil || i["agency"] != nil {
				t.Errorf("the agency can read %v", i)
			}
		}
	}
	diff(t, "blocked", map[string]int{"ACCT#" + string(w.client): 1, "PERSON#" + string(w.bob.ID()): 1}, blocked)
	w.audit(t)
	must[bool](t)(w.Unblock(ctx, as(w.ann), w.client, w.agency))
	must[bool](t)(w.Unblock(ctx, as(w.bob), w.client, w.agency))
	diff(t, "unblocked in the account", 1, countOf(w.events(w.client), "agency.unblocked"))
	w.audit(t)
}

// Numbers and versions are never used twice. A request after the old item was collected continues
// its numbers, by id, by email, or when it is accepted into the account.
func TestNumbersRiseWhenARowHasGone(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.collected = true
	gone := func(key agency.ProfileKey) {
		t.Helper()
		for range 3 {
			w.advance(91 * day)
			noError(t, w.sweepAll())
		}
		if p := must[service.Snapshot](t)(w.store.Load(ctx, service.Want{Profiles: []agency.ProfileKey{key}})).Profile(key); p.Version != 0 {
			t.Fatalf("still there: %+v", p)
		}
	}
	at := agency.AgencyAt(w.client, w.agency)
	must[agency.Profile](t)(w.request())
	must[agency.Profile](t)(w.withdraw())
	must[agency.Profile](t)(w.request())
	last := must[agency.Profile](t)(w.withdraw())
	gone(at)
	p := must[agency.Profile](t)(w.request())
	if p.Request.Number != 3 || p.Version != last.Version+1 || p.Status != agency.Pending {
		t.Errorf("asked anew: %+v after version %d", p, last.Version)
	}
	last = must[agency.Profile](t)(w.withdraw())
	gone(at)

	// By email, and accepted into that account.
	byMail := agency.ProfileKey{Addressee: party(w.ann), Member: agency.Party(w.agency)}
	for n := range 2 {
		asked := must[agency.Profile](t)(w.requestByEmail(w.ann))
		if asked.Request.Number != n+1 {
			t.Errorf("asked by email: %+v", asked)
		}
		took := must[agency.Profile](t)(w.AcceptRequestInto(ctx, w.ann, asked.ID(), w.client, service.Grant{Request: asked.Request.Number}))
		if took.Request.Number != 4+n || took.Version <= last.Version {
			t.Errorf("taken up: %+v after version %d", took, last.Version)
		}
		last = must[agency.Profile](t)(w.leave())
		gone(at)
		gone(byMail)
	}
	w.audit(t)
}
