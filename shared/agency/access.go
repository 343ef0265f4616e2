// Package agency is the law of the product: who owns an account, who pays, who may
// do what, and how a connection between an agency and an account lives and ends.
// README.md is its specification. The package is pure: it imports the standard
// library and Unicode normalisation, and is given the time.
//
// Start with profile.go, transition.go, may.go, access.go and event.go.
package agency

import "time"

// Reason says why access is refused, or cut. "" where it is neither.
type Reason string

// The reasons.
const (
	NoProfile       Reason = "none"
	StillPending    Reason = "pending"
	StillInvited    Reason = "invited"
	HasEnded        Reason = "ended"
	HasLapsed       Reason = "lapsed"
	HasClosed       Reason = "closed"
	NotAssigned     Reason = "not_assigned"
	ChangedIdentity Reason = "identity_changed"
	Frozen          Reason = "frozen"
)

// Access is the answer of the access check.
type Access struct {
	Allowed bool
	// Areas names every area of the settings.
	Areas Areas
	// Via is "own", the agency through which access is had, or "" for none.
	Via string
	// Reason is "" where everything asked for is granted.
	Reason Reason
	// Ownership and Payer are "" for a caller who learns nothing about the
	// account.
	Ownership, Payer Ownership
}

// ViaOwn is Access.Via for access by the actor's own profile.
const ViaOwn = "own"

// Path is one way through an agency into an account.
type Path struct {
	Agency Account
	// connection is the agency's profile in the account, staff the actor's in
	// the agency.
	Connection, Staff Profile
}

// DecideAccess is the access check over what was read: the account, the actor's
// own profile in it, and the paths through agencies. It follows one hop, never
// more. The highest level of all paths counts, area by area. Via is the path that
// grants most; "own" where two are equal.
func (r Rules) DecideAccess(actor Actor, account Account, own Profile, paths []Path, now time.Time) Access {
	answer := Access{Areas: r.AllAreas(None)}
	if !account.Exists() {
		answer.Reason = NoProfile
		return answer
	}
	reason, best := NoProfile, -1
	consider := func(areas Areas, why Reason, via string) {
		if why != "" {
			if reason == NoProfile {
				reason = why
			}
			return
		}
		answer.Areas = answer.Areas.higher(areas)
		if n := areas.sum(); n > best {
			best, answer.Via = n, via
		}
	}
	consider(r.Granted(own), own.refusalReason(actor, now), ViaOwn)
	for _, p := range paths {
		why := p.Connection.refusalReason(Actor{}, now)
		switch staff := p.Staff.refusalReason(actor, now); {
		case why == NoProfile || !p.Agency.IsAgency():
			why = NoProfile
		case staff == ChangedIdentity:
			why = staff
		case staff == "" && !p.Staff.IsAssigned(account.ID):
			why = NotAssigned
		case staff != "":
			// Who does not work for an agency learns nothing of its clients.
			why = NoProfile
		}
		consider(r.Granted(p.Connection).lower(r.Granted(p.Staff)), why, string(p.Agency.ID))
	}

	answer.Allowed = answer.Areas.IsAny()
	if answer.Allowed {
		reason = ""
	} else {
		answer.Via = ""
	}
	if reason == NoProfile {
		// The same as for an account that does not exist.
		answer.Reason = NoProfile
		return answer
	}
	answer.Ownership, answer.Payer = account.Ownership, account.Payer()
	switch {
	case !account.IsOpen():
		answer.Allowed, answer.Via, answer.Areas, answer.Reason = false, "", r.AllAreas(None), HasClosed
	case answer.Allowed && account.Subscription.StateAt(now) == SubscriptionFrozen:
		answer.Areas, answer.Reason = answer.Areas.cappedAtView(), Frozen
	default:
		answer.Reason = reason
	}
	return answer
}

// refusalReason says why a profile grants nothing now; "" when it grants.
func (p Profile) refusalReason(actor Actor, now time.Time) Reason {
	if p.Kind() == PersonKind && p.ShowsRequest() && p.Request.Muted {
		// They don't know of the invitation, whatever became of it.
		return NoProfile
	}
	switch p.StatusAt(now) {
	case none:
		return NoProfile
	case Invited:
		return StillInvited
	case Pending:
		return StillPending
	case Active:
		if p.Kind() == PersonKind && p.IsBoundToAnother(actor) {
			return ChangedIdentity
		}
		return ""
	case Lapsed:
		return HasLapsed
	default:
		return HasEnded
	}
}

// IsBoundToAnother reports whether the profile belongs to another identity than
// the one in the actor's token.
func (p Profile) IsBoundToAnother(actor Actor) bool {
	return p.Subject != "" && (p.Subject != actor.Subject || p.Issuer != actor.Issuer)
}

func (a Areas) sum() int {
	n := 0
	for _, l := range a {
		n += l.rank()
	}
	return n
}
