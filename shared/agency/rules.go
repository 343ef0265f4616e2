package agency

import (
	"slices"
	"strings"
	"time"
)

// Rules are what a deployment decides: areas, plans, lifetimes and limits.
type Rules struct {
	// Product is the platform's name, which no account's name may be taken for.
	Product string
	Areas   []Area
	// Plans, the default first.
	Plans []Plan
	// RequestLifetime is how long a connection request can be accepted.
	RequestLifetime time.Duration
	// InvitationLifetime is how long an invitation, or an offer of ownership, can be
	// accepted.
	InvitationLifetime time.Duration
	// RemindBefore is how long before its expiry a request is reminded of.
	RemindBefore time.Duration
	// LapseWarnings are how long before an end date both sides are warned, the
	// longest first.
	LapseWarnings []time.Duration
	// Cooldown is how long an agency can't request again after a decline or a
	// revocation.
	Cooldown time.Duration
	// PairMails bounds the request emails of an agency to one addressee in
	// PairWindow, withdrawn requests included.
	PairMails  int
	PairWindow time.Duration
	// OpenRequests bounds the requests of an agency that wait for an answer, and
	// DailyRequests its new ones of a UTC day.
	OpenRequests, DailyRequests int
	// UnsolicitedMails bounds unsolicited mail to a mailbox.
	UnsolicitedMails MailLimits
	// DigestAt is when the digest of what was held on a UTC day goes out: the time
	// since 00:00 UTC of the next day. If DigestAfter is not 0 it goes out that long
	// after the first email was held instead. DigestSpread spreads the digests of
	// mailboxes over the time after that.
	DigestAt, DigestAfter, DigestSpread time.Duration
	// OpenInvitations bounds the invitations and offers of ownership of an account
	// that wait for an answer.
	OpenInvitations int
	// DailyByPerson bounds what one person does in a UTC day, over all their
	// accounts, and DailyByNewPerson what they do for NewPersonFor after their first
	// command.
	DailyByPerson, DailyByNewPerson PersonLimits
	NewPersonFor                    time.Duration
	// Resends bounds how often one request is sent again, at least ResendAfter
	// apart.
	Resends     int
	ResendAfter time.Duration
	// Retention is how long what has ended stays visible.
	Retention time.Duration
	// WakeAfter is how long an event may stay unfinished before the sweep wakes
	// it, and the wait until the next wake. Each further wait is twice as long, up
	// to an hour.
	WakeAfter time.Duration
	// WakesPerRun bounds how many events one run of the sweep wakes.
	WakesPerRun int
}

// Plan is one thing that a subscription can be for.
type Plan struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	// MonthlyPrice is in minor units of the currency.
	MonthlyPrice int    `json:"monthlyPrice"`
	Currency     string `json:"currency"`
}

// DefaultPlan is the id of the plan that an account gets if none is named.
func (r Rules) DefaultPlan() string { return r.Plans[0].ID }

// HasPlan reports whether the settings have a plan of that id.
func (r Rules) HasPlan(id string) bool {
	return slices.ContainsFunc(r.Plans, func(p Plan) bool { return p.ID == id })
}

// Plan is a plan by its id. One that the settings no longer know is named by that
// and has no price left: it is free, in the currency of the others.
func (r Rules) Plan(id string) Plan {
	for _, p := range r.Plans {
		if p.ID == id {
			return p
		}
	}
	return Plan{ID: id, Name: id, Currency: r.Plans[0].Currency}
}

// PlanList lists the ids of all plans, for a sentence.
func (r Rules) PlanList() string {
	ids := make([]string, len(r.Plans))
	for i, p := range r.Plans {
		ids[i] = p.ID
	}
	return strings.Join(ids, ", ")
}

// CheckResend refuses a resend that comes too soon, or too often.
func (r Rules) CheckResend(p Profile, now time.Time) error {
	next := p.Request.MailedAt.Add(r.ResendAfter)
	switch {
	case p.Request.Resends >= r.Resends:
		return &Error{Code: RateLimited, State: p.Status, RetryAfter: p.Request.ExpiresAt.Sub(now), Message: "This request was sent again as often as it may be. Wait for an answer, or until it expires."}
	case now.Before(next):
		return &Error{Code: RateLimited, State: p.Status, RetryAfter: next.Sub(now), Message: "This request was sent not long ago. Give them a day before you send it again."}
	default:
		return nil
	}
}
