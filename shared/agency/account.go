package agency

import (
	"fmt"
	"slices"
	"time"
)

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
	Owners int
	// Agencies are those with an active profile in it, the owning one included, in
	// the order in which they came: at most MaxAgencies.
	Agencies []AccountID
	// Limits are those that the platform has raised for it.
	Limits       Limits
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
	ID PersonID
	// Email is the address of a signed-in person; it is not stored here.
	Email string
	// FirstAt is when they first signed in, or changed anything; zero before that.
	FirstAt time.Time
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

// MaxAgencies is the most agencies that can be active in an account. The access
// check reads all of them for a caller who names none.
const MaxAgencies = 20

// WithAgency returns the account with an agency among its Agencies. Errors: TooMany.
func (a Account) WithAgency(id AccountID) (Account, error) {
	if slices.Contains(a.Agencies, id) {
		return a, nil
	}
	if len(a.Agencies) >= MaxAgencies {
		return a, Refuse(TooMany, fmt.Sprintf("This account has %d agencies, the most it can have. Revoke another agency's access first.", MaxAgencies))
	}
	a.Agencies = append(slices.Clip(a.Agencies), id)
	return a, nil
}

// WithoutAgency returns the account without an agency among its Agencies.
func (a Account) WithoutAgency(id AccountID) Account {
	var others []AccountID
	for _, other := range a.Agencies {
		if other != id {
			others = append(others, other)
		}
	}
	a.Agencies = others
	return a
}

// SeenBy is the account as people of an agency see it, or as people of the
// account itself do (""). Its price is the payer's to see; its state is
// everybody's who has access. Its agencies are for those who see the team.
func (a Account) SeenBy(agency AccountID, now time.Time) Account {
	a.Subscription, a.Agencies = a.Subscription.At(now), nil
	if a.Owner != agency {
		a.Subscription = Subscription{State: a.Subscription.State, FreezesAt: a.Subscription.FreezesAt}
	}
	return a
}
