package agency

import (
	"strings"
	"time"
)

// Rules are what a deployment decides: its areas, plans, lifetimes and limits.
type Rules struct {
	Areas []Area
	// Plans, the default first.
	Plans []Plan
	// RequestLifetime is how long a connection request can be accepted.
	RequestLifetime time.Duration
	// WakeAfter is how long an event may wait to be told before cleanup wakes it.
	WakeAfter time.Duration
}

// Plan is one thing that a subscription can be for.
type Plan struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	// MonthlyPrice is in minor units of the currency.
	MonthlyPrice int    `json:"monthlyPrice"`
	Currency     string `json:"currency"`
}

func (r Rules) defaultPlan() string { return r.Plans[0].ID }

func (r Rules) hasPlan(id string) bool {
	for _, p := range r.Plans {
		if p.ID == id {
			return true
		}
	}
	return false
}

func (r Rules) planList() string {
	ids := make([]string, len(r.Plans))
	for i, p := range r.Plans {
		ids[i] = p.ID
	}
	return strings.Join(ids, ", ")
}
