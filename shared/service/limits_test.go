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

// mail returns the key of an email to a person.
func mail(n int, to agency.Actor) outbox.MailKey {
	return outbox.MailKey{Event: agency.EventID(fmt.Sprintf("evt_%026d", n)), Kind: "requested", Recipient: to.ID()}
}

// mustClaimMail claims an unsolicited email, of which a person gets ten a day.
func mustClaimMail(w *world, n int, to agency.Actor) {
	w.t.Helper()
	if got, err := w.store.ClaimUnsolicited(w.t.Context(), mail(n, to), outbox.Unsolicited{Mailbox: agency.Mailbox(to.Email), All: 10}, outbox.NewOwner(), w.Now(), lease); got.State != outbox.ClaimTaken || err != nil {
		w.t.Fatalf("claim %v, %v", got, err)
	}
}

// refusedFor checks a refusal's code and how long to wait, and that nothing was written.
func (w *world) refusedFor(t *testing.T, what string, code agency.Code, wait time.Duration, do func() error) {
	t.Helper()
	before := w.items()
	err := do()
	refusal, ok := errors.AsType[*agency.Error](err)
	if !ok || refusal.Code != code || refusal.RetryAfter != wait {
		t.Errorf("%s: %v, want %s for %s", what, err, code, wait)
		if ok {
			t.Errorf("%s: to wait %s", what, refusal.RetryAfter)
		}
	}
	testbed.SameItems(t, before, w.items())
}

// Of fifty concurrent requests, by email and by id, ten succeed.
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
					asks[i] = service.ConnectionRequest{Account: w.mustOpen(w.eve, 100+i, "One"), Areas: viewPages}
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
			diff(t, "counted today", 10, w.requestsToday())
			w.audit(t)
		})
	}
}

// requestsToday returns the number of the agency's new requests on this UTC day.
func (w *world) requestsToday() int {
	w.t.Helper()
	i := w.items()["LIMIT#"+string(w.agency)+" "+w.Now().UTC().Format("2006-01-02")]
	return atoi(testbed.Num(i["requests"]))
}

func TestOpenRequests(t *testing.T) {
	w := newWorld(t)
	w.Rules.OpenRequests = 2
	one, two, three := actor("one"), actor("two"), actor("three")
	must[agency.Profile](t)(w.requestByEmail(one))
	must[agency.Profile](t)(w.requestByEmail(two))
	w.refusedFor(t, "a third", agency.RateLimited, time.Hour, func() error { return second(w.requestByEmail(three)) })
	// The state is checked before the limit.
	w.refusedFor(t, "the same again", agency.AlreadyRequested, 0, func() error { return second(w.requestByEmail(two)) })
	must[agency.Profile](t)(w.WithdrawRequest(t.Context(), w.gil, w.agency, w.emailConnection(one)))
	must[agency.Profile](t)(w.requestByEmail(three))
	w.refusedFor(t, "once more", agency.RateLimited, time.Hour, func() error { return second(w.requestByEmail(one)) })
	// A new request in place of an overdue one takes no further place.
	w.advance(lifetime)
	w.refusedFor(t, "while both are still counted", agency.RateLimited, time.Hour, func() error { return second(w.requestByEmail(one)) })
	if p := must[agency.Profile](t)(w.requestByEmail(two)); p.Request.Number != 2 {
		t.Errorf("%+v", p)
	}
	diff(t, "open", 2, w.counts().Pending)
	noError(t, w.sweepAll())
	diff(t, "open, once recorded", 1, w.counts().Pending)
	must[agency.Profile](t)(w.requestByEmail(one))
	w.audit(t)
}

// A request counts on the day on which it is made. Its place is returned only when it is accepted
// on that day.
func TestDailyRequests(t *testing.T) {
	w := newWorld(t)
	w.Rules.DailyRequests = 3
	must[agency.Profile](t)(w.requestByEmail(w.ann))
	must[agency.Profile](t)(w.request())
	must[agency.Profile](t)(w.requestByEmail(w.eve))
	w.refusedFor(t, "a fourth", agency.RateLimited, 12*time.Hour, func() error { return second(w.requestByEmail(w.bob)) })
	// A withdrawn or declined request returns no place.
	must[agency.Profile](t)(w.withdraw())
	must[agency.Profile](t)(w.declineByID(w.eve, w.emailConnection(w.eve), false))
	diff(t, "counted", 3, w.requestsToday())
	w.advance(12*time.Hour - time.Millisecond)
	w.refusedFor(t, "the day's last moment", agency.RateLimited, time.Millisecond, func() error { return second(w.requestByEmail(w.bob)) })
	must[agency.Profile](t)(w.acceptInto(w.ann, w.client, 1))
	diff(t, "counted, when one was accepted", 2, w.requestsToday())
	must[agency.Profile](t)(w.requestByEmail(w.bob))
	diff(t, "counted again", 3, w.requestsToday())
	w.advance(time.Millisecond)
	diff(t, "counted the next day", 0, w.requestsToday())
	must[agency.Profile](t)(w.requestByEmail(w.mem))
	must[agency.Profile](t)(w.acceptInto(w.bob, w.mustOpen(w.bob, 5, "Bob's"), 1))
	diff(t, "counted, when one of the day before was accepted", 1, w.requestsToday())
	w.advance(-time.Millisecond)
	diff(t, "counted the day before", 3, w.requestsToday())
	// By account id it is the same.
	w.advance(day)
	v := w.world("-v")
	v.gil, v.agency = w.gil, w.agency
	must[agency.Profile](t)(v.request())
	n := w.requestsToday()
	must[agency.Profile](t)(v.accept(v.ann, 1))
	diff(t, "counted, accepted by id", n-1, w.requestsToday())
	w.audit(t)
}

func TestResends(t *testing.T) {
	for name, request := range map[string]func(w *world) (agency.ConnectionID, error){
		"by id": func(w *world) (agency.ConnectionID, error) { return w.con, second(w.request()) },
		"by email": func(w *world) (agency.ConnectionID, error) {
			return w.emailConnection(w.ann), second(w.requestByEmail(w.ann))
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			id, err := request(w)
			noError(t, err)
			resend := func() error { return second(w.ResendRequest(t.Context(), w.gus, w.agency, id)) }
			w.refusedFor(t, "at once", agency.RateLimited, day, resend)
			for n := 1; n <= 3; n++ {
				w.advance(day - time.Millisecond)
				w.refusedFor(t, "a moment early", agency.RateLimited, time.Millisecond, resend)
				w.advance(time.Millisecond)
				noError(t, resend())
				w.refusedFor(t, "just after", agency.RateLimited, map[bool]time.Duration{true: day, false: lifetime}[n < 3], resend)
			}
			w.advance(2 * day)
			w.refusedFor(t, "a fourth", agency.RateLimited, lifetime-2*day, resend)
			// The state is checked before the limit.
			w.advance(lifetime - 2*day)
			w.refusedFor(t, "expired", agency.RequestExpired, 0, resend)
			// Four emails in 30 days, however caused: 0, 1, 2 and 3 days after noon.
			again := func() error { return second(request(w)) }
			w.refusedFor(t, "asked again", agency.RateLimited, 13*day, again)
			w.advance(13*day - time.Millisecond)
			w.refusedFor(t, "asked again a moment early", agency.RateLimited, time.Millisecond, again)
			w.advance(time.Millisecond)
			noError(t, again())
			// The second email was a day later, and so is the first resend.
			w.advance(day)
			noError(t, resend())
			w.audit(t)
		})
	}
}

// At most 4 emails a pair, whatever is withdrawn and requested again. Requests by id and by email
// count separately.
func TestPairMails(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	for range 4 {
		must[agency.Profile](t)(w.request())
		must[agency.Profile](t)(w.withdraw())
		must[agency.Profile](t)(w.requestByEmail(w.ann))
		must[agency.Profile](t)(w.WithdrawRequest(ctx, w.gil, w.agency, w.emailConnection(w.ann)))
		w.advance(time.Hour)
	}
	w.refusedFor(t, "by id", agency.RateLimited, 30*day-4*time.Hour, func() error { return second(w.request()) })
	w.refusedFor(t, "by email", agency.RateLimited, 30*day-4*time.Hour, func() error { return second(w.requestByEmail(w.ann)) })
	// Another agency has its own limit, and so has another addressee.
	must[agency.Profile](t)(w.requestByEmail(w.bob))
	v := w.world("-v")
	must[agency.Profile](t)(v.RequestConnection(ctx, v.gil, v.agency, service.ConnectionRequest{Account: w.client, Areas: viewPages}))
	diff(t, "mails kept", 4, len(w.pairBetween(agency.Party(w.client), w.agency).Mailed))
	w.advance(30*day - 4*time.Hour)
	must[agency.Profile](t)(w.request())
	diff(t, "mails kept", 4, len(w.pairBetween(agency.Party(w.client), w.agency).Mailed))
	w.audit(t)
}
