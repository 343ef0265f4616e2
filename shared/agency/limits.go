package agency

import (
	"maps"
	"slices"
	"time"
)

// Counted is what is counted for each acting person and UTC day, over all their
// accounts.
type Counted string

// What is counted.
const (
	AccountsOpened  Counted = "opened"
	AccountsCreated Counted = "created"
	RequestsMade    Counted = "requests"
	InvitationsMade Counted = "invitations"
)

// PersonLimits bound what one person does in a UTC day. 0 is no limit.
type PersonLimits struct {
	AccountsOpened  int `json:"accountsOpened"`
	AccountsCreated int `json:"accountsCreated"`
	Requests        int `json:"requests"`
	Invitations     int `json:"invitations"`
}

// Of is one of the limits.
func (l PersonLimits) Of(what Counted) int {
	switch what {
	case AccountsOpened:
		return l.AccountsOpened
	case AccountsCreated:
		return l.AccountsCreated
	case RequestsMade:
		return l.Requests
	default:
		return l.Invitations
	}
}

// PersonLimit is how often a person can do something in a UTC day. A person is new
// for NewPersonFor after their first sign-in or command.
func (r Rules) PersonLimit(what Counted, p Person, now time.Time) int {
	if p.FirstAt.IsZero() || now.Before(p.FirstAt.Add(r.NewPersonFor)) {
		return r.DailyByNewPerson.Of(what)
	}
	return r.DailyByPerson.Of(what)
}

// Limit names a limit that the platform can raise for an account.
type Limit string

// The limits of an account, and those of each person who acts in its name.
const (
	OpenRequestsLimit     Limit = "openRequests"
	DailyRequestsLimit    Limit = "dailyRequests"
	OpenInvitationsLimit  Limit = "openInvitations"
	CreatedByPersonLimit  Limit = "accountsCreatedByPerson"
	RequestsByPersonLimit Limit = "requestsByPerson"
	InvitesByPersonLimit  Limit = "invitationsByPerson"
)

// MaxRaisedLimit bounds what a limit can be raised to.
const MaxRaisedLimit = 1_000_000

// Limits are those that the platform has raised for an account. What is not in it
// has the limit of the settings.
type Limits map[Limit]int

// limitsOf returns the limits in the rules that a raised one applies to.
func limitsOf(r *Rules, l Limit) []*int {
	switch l {
	case OpenRequestsLimit:
		return []*int{&r.OpenRequests}
	case DailyRequestsLimit:
		return []*int{&r.DailyRequests}
	case OpenInvitationsLimit:
		return []*int{&r.OpenInvitations}
	case CreatedByPersonLimit:
		return []*int{&r.DailyByPerson.AccountsCreated, &r.DailyByNewPerson.AccountsCreated}
	case RequestsByPersonLimit:
		return []*int{&r.DailyByPerson.Requests, &r.DailyByNewPerson.Requests}
	case InvitesByPersonLimit:
		return []*int{&r.DailyByPerson.Invitations, &r.DailyByNewPerson.Invitations}
	default:
		return nil
	}
}

// With returns the rules as they are for an account and for those who act in its
// name. A raised limit below the one of the settings changes nothing.
func (r Rules) With(raised Limits) Rules {
	for name, n := range raised {
		for _, limit := range limitsOf(&r, name) {
			if *limit > 0 {
				*limit = max(*limit, n)
			}
		}
	}
	return r
}

// Raise returns the limits after a change: a value raises one, nil removes what was
// raised. Errors: Invalid.
func (l Limits) Raise(change map[Limit]*int) (Limits, error) {
	next := Limits{}
	maps.Copy(next, l)
	for _, name := range slices.Sorted(maps.Keys(change)) {
		n := change[name]
		switch {
		case limitsOf(&Rules{}, name) == nil:
			return l, InvalidField("limits."+string(name), "There is no limit of this name.")
		case n == nil:
			delete(next, name)
		case *n < 1 || *n > MaxRaisedLimit:
			return l, InvalidField("limits."+string(name), "Give a whole number from 1 to %d, or null for the limit of the settings.", MaxRaisedLimit)
		default:
			next[name] = *n
		}
	}
	if len(next) == 0 {
		return nil, nil
	}
	return next, nil
}
