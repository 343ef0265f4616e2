package service

import (
	"context"
	"time"

	"agencyhub/shared/agency"
)

// TrendMonths is how many months a Trend covers, the present one included.
const TrendMonths = 12

// Trend is how an agency's clients came and went, month by month, the oldest
// first. It is empty where there is nothing to tell, or nothing that the asker
// may see.
type Trend []TrendMonth

// TrendMonth is one UTC month of it.
type TrendMonth struct {
	// Begin is its first instant.
	Begin time.Time
	// Clients is how many there were at its end; in the present month, now.
	Clients int
	// Accepted, Denied, Withdrawn and Expired count how requests ended in it. A
	// request that was dismissed after it had expired counts as both.
	Accepted, Denied, Withdrawn, Expired int
}

// Trend tells how the agency's clients came and went in the last TrendMonths.
// Staff who are limited to some clients see none of it. Errors: IdentityChanged,
// NotFound, Forbidden, Conflict (the hub is off).
func (s *Service) Trend(ctx context.Context, actor agency.Actor, agencyID agency.AccountID) (Trend, error) {
	me, now, err := s.staff(ctx, actor, agency.ViewClients, agencyID)
	if err != nil || me.Clients != nil {
		return nil, err
	}
	present, months, err := s.Store.Months(ctx, agencyID, agency.StartOfMonth(now).AddDate(0, 1-TrendMonths, 0))
	if err != nil {
		return nil, err
	}
	return newTrend(present, months, now), nil
}

// newTrend counts back from what there is now by what each month has brought and
// taken.
func newTrend(present Counts, months []Month, now time.Time) Trend {
	clients := present.Owned + present.Connected
	if clients == 0 && len(months) == 0 {
		return nil
	}
	happened := map[time.Time]map[agency.EventType]int{}
	for _, m := range months {
		happened[m.Begin] = m.Happened
	}
	trend := make(Trend, TrendMonths)
	for i := TrendMonths - 1; i >= 0; i-- {
		begin := agency.StartOfMonth(now).AddDate(0, i+1-TrendMonths, 0)
		of := happened[begin]
		trend[i] = TrendMonth{
			Begin: begin, Clients: clients, Accepted: of[agency.ConnectionAccepted], Denied: of[agency.ConnectionDenied],
			Withdrawn: of[agency.ConnectionWithdrawn], Expired: of[agency.ConnectionExpired],
		}
		came := of[agency.AccountCreated] + of[agency.ConnectionAccepted]
		went := of[agency.ConnectionRevoked] + of[agency.ConnectionLeft] + of[agency.ConnectionLapsed] + of[agency.ConnectionEnded]
		clients -= came - went
	}
	return trend
}
