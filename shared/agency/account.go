package agency

import "time"

// Ownership says who owns an account. It is fixed at creation.
type Ownership string

// The two kinds of ownership. The owner of an account also pays for it.
const (
	AgencyOwned Ownership = "agency"
	ClientOwned Ownership = "client"
)

// Account is one customer workspace of the platform.
type Account struct {
	ID        AccountID
	Name      string
	Ownership Ownership
	// Owner is the agency that owns it; "" when ClientOwned.
	Owner AccountID
	// AgencyOn is true while its agency features are switched on, which makes it
	// an agency. Only a ClientOwned account can have them.
	AgencyOn bool
	// Owners counts the active persons with the role owner: 0 when AgencyOwned.
	Owners       int
	Subscription Subscription
	// Closed is when it was closed; zero while it is open.
	Closed    time.Time
	CreatedAt time.Time
	// BodyHash is over the input of the call that made it. It tells a
	// repeat of the call from another call with the same key.
	BodyHash string
	// DueAt is when cleanup has something to do with it: its cancelled period is
	// over; or it is closed, and its members are to be ended, or its data is to go.
	// Zero for never.
	DueAt time.Time
	// LastEvent is the newest event of the account itself.
	LastEvent EventID
	// Version is 0 for an account that does not exist, and rises by each write.
	Version int
}

// Exists reports whether there is such an account, open or closed.
func (a Account) Exists() bool { return a.Version > 0 }

// IsOpen reports whether there is such an account and it is not closed.
func (a Account) IsOpen() bool { return a.Exists() && a.Closed.IsZero() }

// Payer says whose subscription it is: as the ownership.
func (a Account) Payer() Ownership { return a.Ownership }

// IsAgency reports whether the account is an agency now.
func (a Account) IsAgency() bool { return a.IsOpen() && a.Ownership == ClientOwned && a.AgencyOn }

// Person is what is stored of a person apart from their profiles.
type Person struct {
	ID    PersonID
	Email string
	// Teams are the client-owned accounts in which the person is active, the
	// newest last, at most MaxTeams.
	Teams []AccountID
	// Erasing is since when the person is being erased: they have no access any
	// more. Zero for not.
	Erasing time.Time
	// DueAt is when the sweep continues to erase the person; zero is never.
	DueAt time.Time
	// Suppression is why the person gets no mail.
	Suppression Suppression
	Version     int
}

// SuppressionReason is why an address is not mailed.
type SuppressionReason string

// The reasons: mail to the address bounced permanently, or its owner complained.
const (
	AddressBounced    SuppressionReason = "bounced"
	AddressComplained SuppressionReason = "complained"
)

// Suppression keeps mail from an address until its person signs in: somebody who
// reads the mail of a sign-in can be reached again. The zero value is none.
type Suppression struct {
	Reason SuppressionReason
	// At is when it happened.
	At time.Time
	// Lifted is when the person last signed in after that. Older news of SES does
	// not suppress again. A Reason beside it means that SES must be asked to lift
	// its own suppression before the next email.
	Lifted time.Time
}

// IsActive reports whether the person is not mailed.
func (s Suppression) IsActive() bool { return s.Reason != "" && s.Lifted.IsZero() }

// MaxTeams bounds how many agencies the access check looks through for a
// caller who names none.
const MaxTeams = 20

// WithTeam returns the person with an account as the newest of their teams. The
// oldest is dropped beyond MaxTeams.
func (p Person) WithTeam(account AccountID) Person {
	teams := p.WithoutTeam(account).Teams
	teams = append(teams, account)
	if len(teams) > MaxTeams {
		teams = teams[len(teams)-MaxTeams:]
	}
	p.Teams = teams
	return p
}

// WithoutTeam returns the person without an account among their teams.
func (p Person) WithoutTeam(account AccountID) Person {
	var teams []AccountID
	for _, t := range p.Teams {
		if t != account {
			teams = append(teams, t)
		}
	}
	p.Teams = teams
	return p
}

// SeenBy is the account as people of an agency see it, or as people of the
// account itself do (""). Its price is the payer's to see; its state is
// everybody's who has access.
func (a Account) SeenBy(agency AccountID, now time.Time) Account {
	a.Subscription = a.Subscription.At(now)
	if a.Owner != agency {
		a.Subscription = Subscription{State: a.Subscription.State, FreezesAt: a.Subscription.FreezesAt}
	}
	return a
}
