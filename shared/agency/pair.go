package agency

import "time"

// PairKey identifies an addressee, an account or a person, together with
// the account that asks it: an agency for access to an account, or an account for
// its team.
type PairKey struct {
	Addressee Party
	Asker     AccountID
}

// AccountPair is the key of the pair of an account and an agency.
func AccountPair(account, agency AccountID) PairKey {
	return PairKey{Addressee: Party(account), Asker: agency}
}

// PersonPair is the key of the pair of a person and an agency.
func PersonPair(person PersonID, agency AccountID) PairKey {
	return PairKey{Addressee: Party(person), Asker: agency}
}

// Pair is the cooldown, the block and the mail history between an addressee and
// an agency, whatever became of single requests. An account has one, and each
// person who answered has their own, so that asking in another way does not evade
// it.
type Pair struct {
	PairKey
	// CoolingUntil is when a cooldown ends; zero for none.
	CoolingUntil time.Time
	// Blocked lasts until it is cleared. The agency is never told.
	Blocked bool
	// Mailed are the request emails of the last days, oldest first, whether or
	// not they were mailed in the end.
	Mailed []time.Time
	// Requests and Versions are the counters of an agency's profile that was
	// deleted long after its end. The next profile continues them, so that
	// numbers and versions never repeat.
	Requests, Versions int
	Version            int
}

// IsCooling reports whether a cooldown runs at the instant.
func (p Pair) IsCooling(now time.Time) bool { return now.Before(p.CoolingUntil) }

// IsBlockedOrCooling reports whether the addressee is not mailed about the
// agency.
func (p Pair) IsBlockedOrCooling(now time.Time) bool { return p.Blocked || p.IsCooling(now) }
