package service_test

import (
	"testing"
	"time"

	"agencyhub/shared/agency"
	"agencyhub/shared/service"
	"agencyhub/shared/testbed"
)

// TestTrend makes months of an agency's life and reads them back.
func TestTrend(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	see := func(who agency.Actor) service.Trend { return must[service.Trend](t)(w.Trend(ctx, who, w.agency)) }
	opened := 0
	// request opens a client's account and requests access to it.
	request := func() (agency.Actor, agency.Profile) {
		opened++
		owner := actor("owner" + string(rune('a'+opened)))
		account := must[service.AccountView](t)(w.OpenAccount(ctx, owner, idempotencyKey(1), "Client"))
		return owner, must[agency.Profile](t)(w.RequestConnection(ctx, w.gil, w.agency, service.ConnectionRequest{Account: account.ID, Areas: editAll}))
	}
	accept := func(until *time.Time) (agency.Actor, agency.Profile) {
		owner, p := request()
		return owner, must[agency.Profile](t)(w.AcceptRequest(ctx, as(owner), p.Account(), w.agency, service.Grant{Request: p.Request.Number, Until: until}))
	}
	nextMonth := func() { w.setTime(time.Date(w.now.Year(), w.now.Month()+1, 3, 0, 0, 0, 0, time.UTC)) }
	first := time.Date(noon.Year(), noon.Month(), 1, 0, 0, 0, 0, time.UTC)

	// In the first month the agency created one account.
	got := see(w.gil)
	if len(got) != service.TrendMonths || !got[0].Begin.Equal(first.AddDate(0, -11, 0)) {
		t.Fatalf("%+v", got)
	}
	diff(t, "one month", service.TrendMonth{Begin: first, Clients: 1}, got[11])
	diff(t, "before it", service.TrendMonth{Begin: first.AddDate(0, -1, 0)}, got[10])

	nextMonth() // two accept, one with an end date; one declines
	until := w.Now().Add(30 * day)
	_, left := accept(nil)
	_, lapsing := accept(&until)
	decliner, declined := request()
	must[agency.Profile](t)(w.declineAt(as(decliner), declined.Account(), w.agency, false))
	nextMonth() // one is left, one lapses, one is withdrawn, one expires
	must[agency.Profile](t)(w.LeaveAccount(ctx, w.gil, w.agency, left.ID()))
	_, withdrawn := request()
	must[agency.Profile](t)(w.WithdrawRequest(ctx, w.gil, w.agency, withdrawn.ID()))
	_, expiring := request()
	w.advance(20 * day)
	must[service.Outcome](t)(w.SweepProfile(ctx, lapsing.ProfileKey))
	must[service.Outcome](t)(w.SweepProfile(ctx, expiring.ProfileKey))
	nextMonth() // one accepts and revokes in one month, one accepts and closes the account
	revoker, revoked := accept(nil)
	must[agency.Profile](t)(w.RemoveMember(ctx, as(revoker), revoked.Account(), agency.Party(w.agency), false))
	closer, closing := accept(nil)
	nextMonth()
	must[service.AccountView](t)(w.CloseAccount(ctx, as(closer), closing.Account()))
	must[service.Outcome](t)(w.SweepAccount(ctx, closing.Account()))

	got = see(w.gil)
	at := func(i int) time.Time { return first.AddDate(0, i, 0) }
	diff(t, "five months", service.Trend{
		{Begin: at(-1)}, {Begin: at(0), Clients: 1}, {Begin: at(1), Clients: 3, Accepted: 2, Declined: 1},
		{Begin: at(2), Clients: 1, Withdrawn: 1, Expired: 1}, {Begin: at(3), Clients: 2, Accepted: 2}, {Begin: at(4), Clients: 1},
	}, got[6:])

	// The oldest month is a whole one too. A year later only the remaining clients are counted.
	for range 8 {
		nextMonth()
	}
	diff(t, "the oldest month", service.TrendMonth{Begin: at(1), Clients: 3, Accepted: 2, Declined: 1}, see(w.gil)[0])
	for range 4 {
		nextMonth()
	}
	got = see(w.gil)
	diff(t, "a year later", service.TrendMonth{Begin: at(5), Clients: 1}, got[0])
	diff(t, "a year later", service.TrendMonth{Begin: at(16), Clients: 1}, got[11])

	diff(t, "staff see it", got, see(w.gem))
	one := []agency.AccountID{w.owned}
	must[agency.Profile](t)(w.ChangeMember(ctx, as(w.gil), w.agency, party(w.gem), service.MemberChange{Clients: &one}))
	if got := see(w.gem); got != nil {
		t.Errorf("limited staff see %+v", got)
	}
	refused(t, "a stranger", agency.NotFound, second(w.Trend(ctx, w.eve, w.agency)))
	refused(t, "no agency", agency.Conflict, second(w.Trend(ctx, w.ann, w.client)))
	w.audit(t)
}

func TestTrendOfNothing(t *testing.T) {
	f := newFixture(t)
	ann := actor("ann")
	a := must[service.AccountView](t)(f.OpenAccount(t.Context(), ann, idempotencyKey(1), "New"))
	must[service.AccountView](t)(f.SwitchAgencyOn(t.Context(), ann, a.ID))
	if got := must[service.Trend](t)(f.Trend(t.Context(), ann, a.ID)); got != nil {
		t.Errorf("%+v", got)
	}
}

// TestClientFilters lists an agency's clients by who owns them, and ended connections.
func TestClientFilters(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	names := func(who agency.Actor, limit int, f service.ClientFilter) []string {
		t.Helper()
		all, _ := testbed.Pages(t, limit, func(page service.Page) (service.List[agency.Profile], error) {
			list, _, err := w.Clients(ctx, who, w.agency, f, page)
			return list, err
		})
		out := []string{}
		for _, p := range all {
			name := p.AccountName
			if name == "" {
				name = string(p.Status)
			}
			out = append(out, name)
		}
		return out
	}
	var assigned []agency.AccountID
	for n := range 6 {
		owner := actor("owner" + string(rune('a'+n)))
		account := must[service.AccountView](t)(w.OpenAccount(ctx, owner, idempotencyKey(1), "Client "+string(rune('A'+n))))
		p := must[agency.Profile](t)(w.RequestConnection(ctx, w.gil, w.agency, service.ConnectionRequest{Account: account.ID, Areas: editAll}))
		assigned = append(assigned, account.ID)
		switch n {
		case 0, 1, 2:
			must[agency.Profile](t)(w.AcceptRequest(ctx, as(owner), account.ID, w.agency, service.Grant{Request: p.Request.Number}))
		case 3:
			must[agency.Profile](t)(w.WithdrawRequest(ctx, w.gil, w.agency, p.ID()))
		case 4:
			must[agency.Profile](t)(w.declineAt(as(owner), account.ID, w.agency, false))
		}
		if n == 2 {
			must[agency.Profile](t)(w.LeaveAccount(ctx, w.gil, w.agency, p.ID()))
		}
	}
	owned := service.ClientFilter{Status: agency.Active, Ownership: agency.AgencyOwned}
	connected := service.ClientFilter{Status: agency.Active, Ownership: agency.ClientOwned}
	diff(t, "owned", []string{"Owned"}, names(w.gil, 2, owned))
	diff(t, "connected", []string{"Client A", "Client B"}, names(w.gil, 2, connected))
	diff(t, "ended", []string{"declined", "Client C", "withdrawn"}, names(w.gil, 2, service.ClientFilter{Ended: true}))
	// The table leaves out other clients, so pages are not short.
	for want, f := range map[int]service.ClientFilter{3: {Ended: true}, 1: owned, 2: connected} {
		diff(t, "rows", want, len(must[service.List[agency.Profile]](t)(w.store.Clients(ctx, w.agency, f, service.Page{Limit: 10})).Items))
	}
	must[agency.Profile](t)(w.ChangeMember(ctx, as(w.gil), w.agency, party(w.gem), service.MemberChange{Clients: &assigned}))
	diff(t, "owned, limited", []string{}, names(w.gem, 10, owned))
	diff(t, "connected, limited", []string{"Client A", "Client B"}, names(w.gem, 10, connected))
	refused(t, "ended and active", agency.Invalid,
		third(w.Clients(ctx, w.gil, w.agency, service.ClientFilter{Ended: true, Status: agency.Active}, service.Page{Limit: 1})))
}
