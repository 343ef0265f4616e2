package service

import (
	"context"
	"time"

	"agencyhub/shared/agency"
)

// TrendMonths is the number of months in a Trend, the present one included.
const TrendMonths = 12

// Trend is how an agency's clients came and went, month by month, oldest first.
// It is empty if there is nothing to show, or nothing that the actor may see.
type Trend []TrendMonth

// TrendMonth is one UTC month of a Trend.
type TrendMonth struct {
	// Begin is its first instant.
	Begin time.Time
	// Clients is their number at its end; in the present month, now.
	Clients int
	// Accepted, Declined, Withdrawn and Expired count how requests ended in it. One
	// that was dismissed after it expired counts as both.
	Accepted, Declined, Withdrawn, Expired int
}

// Trend returns how the agency's clients came and went in the last TrendMonths;
// nothing for staff who are limited to some clients. Errors: IdentityChanged,
// NotFound, Forbidden, Conflict (the agency features are off).
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

// newTrend counts back from the present by what each month added and removed.
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
			Begin: begin, Clients: clients, Accepted: of[agency.ConnectionAccepted], Declined: of[agency.ConnectionDeclined],
			Withdrawn: of[agency.ConnectionWithdrawn], Expired: of[agency.ConnectionExpired],
		}
		came := of[agency.AccountCreated] + of[agency.ConnectionAccepted]
		went := of[agency.ConnectionRevoked] + of[agency.ConnectionLeft] + of[agency.ConnectionLapsed] + of[agency.ConnectionEnded]
		clients -= came - went
	}
	return trend
}
