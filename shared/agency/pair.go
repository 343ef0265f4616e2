package agency

import "time"

// PairKey names what stands between an addressee, an account or a person, and
// an agency.
type PairKey struct {
	Addressee Party
	Agency    AccountID
}

// AccountPair is the key of the pair of an account and an agency.
func AccountPair(account, agency AccountID) PairKey {
	return PairKey{Addressee: Party(account), Agency: agency}
}

// PersonPair is the key of the pair of a person and an agency.
func PersonPair(person PersonID, agency AccountID) PairKey {
	return PairKey{Addressee: Party(person), Agency: agency}
}

// Pair is what an addressee holds of an agency beyond any one request: a denial
// that is to hold, and how often the agency has written. An account keeps one,
// and each person who decided keeps their own, so that asking the other way
// does not evade it.
type Pair struct {
	PairKey
	// CoolingUntil is until when a denial or revocation holds the agency off;
	// zero for not.
	CoolingUntil time.Time
	// Blocked holds it off beyond that. The agency is never told.
	Blocked bool
	// Mailed are the request emails of the last days, oldest first, whether or
	// not they were mailed in the end.
	Mailed []time.Time
	// Requests and Versions are how far the agency's profile had come when it was
	// collected, long after its end: the next goes on from there, so that numbers
	// and versions never come twice.
	Requests, Versions int
	Version            int
}

// Cooling tells whether a denial holds at the instant.
func (p Pair) IsCooling(now time.Time) bool { return now.Before(p.CoolingUntil) }

// IsBlockedOrCooling tells whether the addressee is not to be mailed for the agency.
func (p Pair) IsBlockedOrCooling(now time.Time) bool { return p.Blocked || p.IsCooling(now) }
