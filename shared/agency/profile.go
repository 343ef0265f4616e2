package agency

import (
	"slices"
	"time"
)

// Status is the state of a profile.
type Status string

// The states of a profile. A connection request is an agency's profile that is
// pending, and an invitation a person's that is invited. The zero value is a profile
// that does not exist.
const (
	Pending   Status = "pending"
	Invited   Status = "invited"
	Active    Status = "active"
	Declined  Status = "declined"
	Withdrawn Status = "withdrawn"
	Expired   Status = "expired"
	Revoked   Status = "revoked"
	Left      Status = "left"
	Lapsed    Status = "lapsed"
	Ended     Status = "ended"
	Moved     Status = "moved"
)

// Statuses are all states of a profile that exists.
var Statuses = []Status{Pending, Invited, Active, Declined, Withdrawn, Expired, Revoked, Left, Lapsed, Ended, Moved}

// IsEnded reports whether a profile in this state has ended, so that it grants
// nothing and can start again.
func (s Status) IsEnded() bool { return s != "" && s != Pending && s != Invited && s != Active }

// IsValid reports whether the status is one of the eleven.
func (s Status) IsValid() bool { return slices.Contains(Statuses, s) }

// Role is the role of a person in an account. Agencies have none.
type Role string

// The roles of persons.
const (
	Owner  Role = "owner"
	Admin  Role = "admin"
	Member Role = "member"
)

// IsValid reports whether the role is one of the three.
func (r Role) IsValid() bool { return r == Owner || r == Admin || r == Member }

// Kind says what a profile's member is.
type Kind string

// The kinds of members.
const (
	PersonKind Kind = "person"
	AgencyKind Kind = "agency"
)

// Delivery is what an asker reads of the fate of their request's email: "" or failed.
type Delivery string

// DeliveryFailed means that every email of the latest mailing bounced. Nothing else is
// told, at no time.
const DeliveryFailed Delivery = "failed"

// ProfileKey names one profile: one member at one addressee.
type ProfileKey struct {
	// Addressee is the account that the profile is in. For a request that is
	// addressed by email it is the person.
	Addressee Party
	Member    Party
}

// PersonAt is the key of a person's profile in an account.
func PersonAt(account AccountID, person PersonID) ProfileKey {
	return ProfileKey{Addressee: Party(account), Member: Party(person)}
}

// AgencyAt is the key of an agency's profile in an account.
func AgencyAt(account, agency AccountID) ProfileKey {
	return ProfileKey{Addressee: Party(account), Member: Party(agency)}
}

// Profile is the team member profile: one member, a person or an agency, in one
// account. It is what the member is granted plus the latest request for it.
type Profile struct {
	ProfileKey
	Status Status
	// Role is the one that is granted to a person; "" for an agency, and until a
	// person's invitation is accepted.
	Role Role
	// Areas are the access levels that are granted. Owners, admins and an owning
	// agency have every area at Edit, whatever they hold.
	Areas Areas
	// Name is the agency's name; "" for a person, who is known by Email.
	Name string
	// Email is a person's address.
	Email string
	// AccountName is the account's name as last copied; "" until an agency has
	// been accepted for the first time.
	AccountName string
	Ownership   Ownership
	// Subscription is the account's as last copied, for the agency's list.
	Subscription Subscription

	// Request is the latest request for the profile, open or answered.
	Request Request
	// Until is when an active profile ends by itself; zero for never.
	Until time.Time
	// Since is when the profile last changed its status.
	Since time.Time
	// RemindAt is when to remind of the expiry or the end date; zero for never.
	RemindAt time.Time
	// DueAt is the next moment at which cleanup has something to do.
	DueAt time.Time
	// Clients are the only clients that a member of an agency is assigned to; nil
	// for all. Ids that name nothing grant nothing.
	Clients []AccountID
	// MovedTo is the account that took up a request by email.
	MovedTo AccountID

	// Issuer and Subject are of the token with which the person accepted their
	// invitation, opened the account or, if registered, first used the profile. They
	// are "" until then, and always for an agency.
	Issuer, Subject string
	// Registered means that the platform has named the person as an owner. Such a
	// profile is active before its person has signed in.
	Registered bool
	// CloseAt is when the sweep closes the invitations and offers that the person
	// made and is no longer allowed to; zero for never.
	CloseAt time.Time
	// CloseCursor is where among an agency's clients the sweep goes on with that.
	CloseCursor string

	// LastEvent is the newest event of the profile; the transaction sets it.
	LastEvent EventID
	// Version is 0 for a profile that does not exist, and rises by each write
	// and by each event.
	Version int
}

// Kind says what the member is.
func (p Profile) Kind() Kind {
	if p.Member.Account() != "" {
		return AgencyKind
	}
	return PersonKind
}

// ID is how the connection that the profile is is named.
func (p Profile) ID() ConnectionID { return NewConnectionID(p.Addressee, p.Member.Account()) }

// Account is the account that the profile is in; "" while a request is
// addressed by email.
func (p Profile) Account() AccountID {
	if p.MovedTo != "" {
		return p.MovedTo
	}
	return p.Addressee.Account()
}

// IsPermanent reports whether the profile is the owning agency's, which ends only
// with the account.
func (p Profile) IsPermanent() bool { return p.Kind() == AgencyKind && p.Ownership == AgencyOwned }

// IsHidden reports whether an agency's profile is invisible to the client: a muted
// request, or one that an account has taken over.
func (p Profile) IsHidden() bool {
	return p.Kind() == AgencyKind && (p.Request.Muted || p.Status == Moved)
}

// StatusAt is the status by the clock: an overdue request is expired and an
// overdue end date has lapsed, whether or not anything has recorded it yet.
func (p Profile) StatusAt(now time.Time) Status {
	switch {
	case (p.Status == Pending || p.Status == Invited) && !now.Before(p.Request.ExpiresAt):
		return Expired
	case p.Status == Active && !p.Until.IsZero() && !now.Before(p.Until):
		return Lapsed
	default:
		return p.Status
	}
}

// Due is the next moment at which cleanup has something to do with the profile;
// zero for never.
func (r Rules) Due(p Profile) time.Time {
	switch {
	case !p.CloseAt.IsZero():
		return p.CloseAt
	case p.Status.IsEnded():
		return p.Since.Add(r.Retention)
	case !p.RemindAt.IsZero():
		return p.RemindAt
	case p.HasOpenRequest():
		return p.Request.ExpiresAt
	default:
		return p.Until
	}
}

// minReminderLead is how long after a request, or after an end date was set, a reminder
// would say nothing new.
const minReminderLead = 24 * time.Hour

// remindAt plans the next reminder after an instant: the moment of the request or
// of a new end date, or that of the last reminder. It must be at least that far
// ahead. Zero is none.
func (r Rules) remindAt(p Profile, from time.Time, least time.Duration) time.Time {
	var moments []time.Time
	switch {
	case p.HasOpenRequest():
		moments = append(moments, p.Request.ExpiresAt.Add(-r.RemindBefore))
	case p.Status == Active && !p.Until.IsZero():
		for _, before := range r.LapseWarnings {
			moments = append(moments, p.Until.Add(-before))
		}
	}
	for _, at := range moments {
		if at.After(from) && at.Sub(from) >= least {
			return at
		}
	}
	return time.Time{}
}

// MayMake reports whether the person of a profile, in the account that asks, has the
// role that a request to a person needs at the instant.
func (p Profile) MayMake(r Request, now time.Time) bool {
	if p.StatusAt(now) != Active {
		return false
	}
	return p.Role == Owner || p.Role == Admin && r.Role != Owner
}

// IsAssigned reports whether a member of an agency has access to that client.
func (p Profile) IsAssigned(account AccountID) bool {
	return p.Clients == nil || slices.Contains(p.Clients, account)
}

// Granted returns the shown areas with every area named; everything at Edit for
// owners, admins and an owning agency.
func (r Rules) Granted(p Profile) Areas {
	if role := p.ShownRole(); role == Owner || role == Admin || p.IsPermanent() {
		return r.AllAreas(Edit)
	}
	return r.CompleteAreas(p.ShownAreas())
}

// Unbound is a profile that belongs to no identity yet.
func (p Profile) Unbound() Profile {
	p.Issuer, p.Subject = "", ""
	return p
}

// WithoutIdentity is the profile of a person without their address and sign-in.
func (p Profile) WithoutIdentity() Profile {
	p.Email, p.Issuer, p.Subject = "", "", ""
	return p
}

// NextReminder returns when to remind of a profile that a step at s.At has changed;
// the zero time is never. A resend and a new end date plan the reminder again.
func (r Rules) NextReminder(was, next Profile, s Step) time.Time {
	switch {
	case s.Do == OpenRequest || s.Do == NewSignIn || s.Do == Resend || next.Status == Active && !next.Until.Equal(was.Until):
		return r.remindAt(next, s.At, minReminderLead)
	case s.Do == Remind || next.Status.IsEnded():
		return time.Time{}
	case s.Do == Warn:
		return r.remindAt(next, s.At, 0)
	case was.Status != next.Status || was.HasOpenRequest() != next.HasOpenRequest():
		return time.Time{}
	default:
		return was.RemindAt
	}
}
