package service_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"agencyhub/shared/agency"
	"agencyhub/shared/outbox"
	"agencyhub/shared/service"
	"agencyhub/shared/testbed"
)

// mail is one email to a person.
func mail(n int, to agency.Actor) outbox.MailKey {
	return outbox.MailKey{Event: agency.EventID(fmt.Sprintf("evt_%026d", n)), Kind: "requested", Recipient: to.ID()}
}

// mustClaim claims an unsolicited email, of which there may be ten a day.
func mustClaim(w *world, n int, to agency.Actor) {
	w.t.Helper()
	if got, err := w.store.ClaimUnsolicited(w.t.Context(), mail(n, to), w.Now(), lease, 10); got != outbox.ClaimTaken || err != nil {
		w.t.Fatalf("claim %d, %v", got, err)
	}
}

// limited holds a refusal to its code and to how long to wait, and to having
// written nothing.
func (w *world) limited(t *testing.T, what string, code agency.Code, wait time.Duration, do func() error) {
	t.Helper()
	before := testbed.Items(t, w.db, w.name)
	err := do()
	refusal, ok := errors.AsType[*agency.Error](err)
	if !ok || refusal.Code != code || refusal.RetryAfter != wait {
		t.Errorf("%s: %v, want %s for %s", what, err, code, wait)
		if ok {
			t.Errorf("%s: to wait %s", what, refusal.RetryAfter)
		}
	}
	testbed.SameItems(t, before, testbed.Items(t, w.db, w.name))
}

// Fifty at once, by email and by id, of which ten may be.
func TestLimitsHoldInARace(t *testing.T) {
	for name, tt := range map[string]struct {
		rules func(*agency.Rules)
		wait  time.Duration
	}{
		"open":  {func(r *agency.Rules) { r.OpenRequests = 10 }, time.Hour},
		"a day": {func(r *agency.Rules) { r.DailyRequests = 10 }, 12 * time.Hour},
		"both":  {func(r *agency.Rules) { r.OpenRequests, r.DailyRequests = 10, 10 }, time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			tt.rules(&w.Rules)
			asks := make([]service.ConnectionRequest, 50)
			for i := range asks {
				asks[i] = service.ConnectionRequest{OwnerEmail: actor(fmt.Sprint("person", i)).Email, Areas: viewPages}
				if i%3 == 0 {
					asks[i] = service.ConnectionRequest{Account: w.opened(w.eve, 100+i, "One"), Areas: viewPages}
				}
			}
			var wg sync.WaitGroup
			refusals := make([]error, len(asks))
			for i, in := range asks {
				wg.Go(func() {
					_, refusals[i] = w.RequestConnection(t.Context(), []agency.Actor{w.gil, w.gus}[i%2], w.agency, in)
				})
			}
			wg.Wait()
			made := 0
			for _, err := range refusals {
				if err == nil {
					made++
				} else if refusal, ok := errors.AsType[*agency.Error](err); !ok || refusal.Code != agency.RateLimited || refusal.RetryAfter != tt.wait {
					t.Errorf("%v", err)
				}
			}
			diff(t, "made", 10, made)
			diff(t, "open", 10, w.counts().Pending)
			diff(t, "counted today", 10, w.today())
			w.audit(t)
		})
	}
}

// today is how many new requests of the agency's stand on this UTC day.
func (w *world) today() int {
	w.t.Helper()
	i := testbed.Items(w.t.(*testing.T), w.db, w.name)["LIMIT#"+string(w.agency)+" "+w.Now().UTC().Format("2006-01-02")]
	return atoi(testbed.Num(i["requests"]))
}

func TestOpenRequests(t *testing.T) {
	w := newWorld(t)
	w.Rules.OpenRequests = 2
	one, two, three := actor("one"), actor("two"), actor("three")
	must[agency.Profile](t)(w.ask(one))
	must[agency.Profile](t)(w.ask(two))
	w.limited(t, "a third", agency.RateLimited, time.Hour, func() error { return second(w.ask(three)) })
	// The state comes before the limit.
	w.limited(t, "the same again", agency.AlreadyRequested, 0, func() error { return second(w.ask(two)) })
	must[agency.Profile](t)(w.WithdrawRequest(t.Context(), w.gil, w.agency, w.byMail(one)))
	must[agency.Profile](t)(w.ask(three))
	w.limited(t, "once more", agency.RateLimited, time.Hour, func() error { return second(w.ask(one)) })
	// An expired request that nobody has recorded gives its own place back.
	w.advance(lifetime)
	w.limited(t, "while both are still counted", agency.RateLimited, time.Hour, func() error { return second(w.ask(one)) })
	if p := must[agency.Profile](t)(w.ask(two)); p.Request.Number != 2 {
		t.Errorf("%+v", p)
	}
	diff(t, "open", 2, w.counts().Pending)
	if err := w.tick(); err != nil {
		t.Fatal(err)
	}
	diff(t, "open, once recorded", 1, w.counts().Pending)
	must[agency.Profile](t)(w.ask(one))
	w.audit(t)
}

// A request counts on the day on which it was made, and is given back only when
// it is accepted on that day.
func TestDailyRequests(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.Rules.DailyRequests = 3
	must[agency.Profile](t)(w.ask(w.ann))
	must[agency.Profile](t)(w.request())
	must[agency.Profile](t)(w.ask(w.eve))
	w.limited(t, "a fourth", agency.RateLimited, 12*time.Hour, func() error { return second(w.ask(w.bob)) })
	// Neither what is withdrawn nor what is denied is given back.
	must[agency.Profile](t)(w.WithdrawRequest(ctx, w.gil, w.agency, w.con))
	must[agency.Profile](t)(w.DenyRequestByID(ctx, w.eve, w.byMail(w.eve), false))
	diff(t, "counted", 3, w.today())
	w.advance(12*time.Hour - time.Millisecond)
	w.limited(t, "the day's last moment", agency.RateLimited, time.Millisecond, func() error { return second(w.ask(w.bob)) })
	must[agency.Profile](t)(w.into(w.ann, w.client, 1))
	diff(t, "counted, when one was accepted", 2, w.today())
	must[agency.Profile](t)(w.ask(w.bob))
	diff(t, "counted again", 3, w.today())
	w.advance(time.Millisecond)
	diff(t, "counted the next day", 0, w.today())
	must[agency.Profile](t)(w.ask(w.mem))
	must[agency.Profile](t)(w.into(w.bob, w.opened(w.bob, 5, "Bob's"), 1))
	diff(t, "counted, when one of the day before was accepted", 1, w.today())
	w.advance(-time.Millisecond)
	diff(t, "counted the day before", 3, w.today())
	// By account id it is the same.
	w.advance(day)
	v := w.world("-v")
	v.gil, v.agency = w.gil, w.agency
	must[agency.Profile](t)(v.request())
	n := w.today()
	must[agency.Profile](t)(v.accept(v.ann, 1))
	diff(t, "counted, accepted by id", n-1, w.today())
	w.audit(t)
}

func TestResends(t *testing.T) {
	for name, ask := range map[string]func(w *world) (agency.ConnectionID, error){
		"by id":    func(w *world) (agency.ConnectionID, error) { return w.con, second(w.request()) },
		"by email": func(w *world) (agency.ConnectionID, error) { return w.byMail(w.ann), second(w.ask(w.ann)) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			id, err := ask(w)
			if err != nil {
				t.Fatal(err)
			}
			resend := func() error { return second(w.ResendRequest(t.Context(), w.gus, w.agency, id)) }
			w.limited(t, "at once", agency.RateLimited, day, resend)
			for n := 1; n <= 3; n++ {
				w.advance(day - time.Millisecond)
				w.limited(t, "a moment early", agency.RateLimited, time.Millisecond, resend)
				w.advance(time.Millisecond)
				if err := resend(); err != nil {
					t.Fatal(err)
				}
				w.limited(t, "just after", agency.RateLimited, map[bool]time.Duration{true: day, false: lifetime}[n < 3], resend)
			}
			w.advance(2 * day)
			w.limited(t, "a fourth", agency.RateLimited, lifetime-2*day, resend)
			// The state comes before the limit.
			w.advance(lifetime - 2*day)
			w.limited(t, "expired", agency.RequestExpired, 0, resend)
			// Four emails in 30 days, by whatever way they were caused: 0, 1, 2 and 3 days after noon.
			again := func() error { return second(ask(w)) }
			w.limited(t, "asked again", agency.RateLimited, 13*day, again)
			w.advance(13*day - time.Millisecond)
			w.limited(t, "asked again a moment early", agency.RateLimited, time.Millisecond, again)
			w.advance(time.Millisecond)
			if err := again(); err != nil {
				t.Fatal(err)
			}
			// The second mail is of a day later, and so is the first resend.
			w.advance(day)
			if err := resend(); err != nil {
				t.Fatal(err)
			}
			w.audit(t)
		})
	}
}

// At most 4 emails a pair, whatever is withdrawn and asked again; each way of
// asking has its own.
func TestPairMails(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	for range 4 {
		must[agency.Profile](t)(w.request())
		must[agency.Profile](t)(w.WithdrawRequest(ctx, w.gil, w.agency, w.con))
		must[agency.Profile](t)(w.ask(w.ann))
		must[agency.Profile](t)(w.WithdrawRequest(ctx, w.gil, w.agency, w.byMail(w.ann)))
		w.advance(time.Hour)
	}
	w.limited(t, "by id", agency.RateLimited, 30*day-4*time.Hour, func() error { return second(w.request()) })
	w.limited(t, "by email", agency.RateLimited, 30*day-4*time.Hour, func() error { return second(w.ask(w.ann)) })
	// Another agency has its own, and so has another addressee.
	must[agency.Profile](t)(w.ask(w.bob))
	v := w.world("-v")
	must[agency.Profile](t)(v.RequestConnection(ctx, v.gil, v.agency, service.ConnectionRequest{Account: w.client, Areas: viewPages}))
	diff(t, "mails kept", 4, len(w.pair(agency.Party(w.client), w.agency).Mailed))
	w.advance(30*day - 4*time.Hour)
	must[agency.Profile](t)(w.request())
	diff(t, "mails kept", 4, len(w.pair(agency.Party(w.client), w.agency).Mailed))
	w.audit(t)
}
