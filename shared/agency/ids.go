package agency

import (
	"crypto/sha256"
	"encoding/base32"
	"strings"
	"time"
)

// AccountID identifies an account, and the agency that it is while its agency
// features are on: "acct_" and 26 characters.
type AccountID string

// PersonID identifies a person: "per_" and 26 characters, 128 bits of a hash of
// the verified address in its normal form (ParseEmail). It is a pseudonym and not
// anonymous: it can be computed from the address.
type PersonID string

// Party is an AccountID or a PersonID: what can stand on either side of a
// profile.
type Party string

// EventID names an event: "evt_" and a ULID, so ids sort by time.
type EventID string

// ConnectionID names the profile of an agency at an addressee:
// "con_<addressee>_<agency>".
type ConnectionID string

const (
	accountPrefix    = "acct_"
	personPrefix     = "per_"
	eventPrefix      = "evt_"
	connectionPrefix = "con_"
	// suffixLength is the length of an id behind its prefix: 26 characters of
	// Crockford's base 32 for 128 bits. A ULID has the same.
	suffixLength = 26
)

// crockford is the ULID's alphabet in lower case: no i, l, o or u.
var crockford = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// digest is the 26-character suffix made of 128 bits of a hash over the parts.
// The parts are joined by a byte that occurs in none of them.
func digest(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return crockford.EncodeToString(sum[:16])
}

func wellFormed(id, prefix string) bool {
	suffix, ok := strings.CutPrefix(id, prefix)
	if !ok || len(suffix) != suffixLength {
		return false
	}
	for i := range len(suffix) {
		if !strings.ContainsRune("0123456789abcdefghjkmnpqrstvwxyz", rune(suffix[i])) {
			return false
		}
	}
	return true
}

// IsValid reports whether the id has the form of an account id. Such an account
// need not exist.
func (id AccountID) IsValid() bool { return wellFormed(string(id), accountPrefix) }

// IsValid reports whether the id has the form of a person id.
func (id PersonID) IsValid() bool { return wellFormed(string(id), personPrefix) }

// IsValid reports whether the id has the form of an event id.
func (id EventID) IsValid() bool { return wellFormed(string(id), eventPrefix) }

// Account is the account that the party is, or "" when it is a person.
func (p Party) Account() AccountID {
	if id := AccountID(p); id.IsValid() {
		return id
	}
	return ""
}

// Person is the person that the party is, or "" when it is an account.
func (p Party) Person() PersonID {
	if id := PersonID(p); id.IsValid() {
		return id
	}
	return ""
}

// IsValid reports whether the party has one of the two forms.
func (p Party) IsValid() bool { return AccountID(p).IsValid() || PersonID(p).IsValid() }

// NewAccountID derives the id of an account from
// its maker (a person, or the agency) and the key, so that a repeat of the call
// gives the same account.
func NewAccountID(maker Party, key string) AccountID {
	return AccountID(accountPrefix + digest("account", string(maker), key))
}

// NewPersonID derives the id of the person behind an address. It normalises the address
// itself, so no caller can make two people of its spellings. What ParseEmail refuses is
// nobody's: "".
func NewPersonID(address string) PersonID {
	email := NormaliseEmail(address)
	if email == "" {
		return ""
	}
	return PersonID(personPrefix + digest("person", email))
}

// NewEventID makes an event id of a ULID in either case.
func NewEventID(ulid string) EventID { return EventID(eventPrefix + strings.ToLower(ulid)) }

// Following returns the id, or one of the same millisecond that sorts after last if the id
// does not. An id of another millisecond is returned as it is. What the result has in
// common with last is its upper digits: the lower 13 stay the id's own.
func (id EventID) Following(last EventID) EventID {
	if !last.IsValid() || id > last || !id.At().Equal(last.At()) {
		return id
	}
	const upper = len(eventPrefix) + timeDigits + 3
	digits := []byte(last[:upper])
	for i := upper - 1; i >= len(eventPrefix); i-- {
		if next := strings.IndexByte(idDigits, digits[i]) + 1; next < len(idDigits) {
			digits[i] = idDigits[next]
			break
		}
		digits[i] = idDigits[0] // and one more in the digit before, at last in the time
	}
	return EventID(digits) + id[upper:]
}

const (
	idDigits = "0123456789abcdefghjkmnpqrstvwxyz" // of base 32, in order
	// timeDigits is how many digits of a ULID are its time.
	timeDigits = 10
)

// At is the time in the id, to the millisecond; the zero time for what has not the form
// of an id. A ULID begins with 48 bits of Unix time, in ten digits of base 32.
func (id EventID) At() time.Time {
	if !id.IsValid() {
		return time.Time{}
	}
	milliseconds := int64(0)
	for _, c := range id[len(eventPrefix):][:timeDigits] {
		milliseconds = milliseconds<<5 | int64(strings.IndexRune(idDigits, c))
	}
	return time.UnixMilli(milliseconds).UTC()
}

// NewConnectionID names the connection of an agency to an addressee.
func NewConnectionID(addressee Party, agency AccountID) ConnectionID {
	return ConnectionID(connectionPrefix + string(addressee) + "_" + string(agency))
}

// Split takes a connection id apart; ok is false when it is not of the form.
func (id ConnectionID) Split() (addressee Party, agency AccountID, ok bool) {
	rest, found := strings.CutPrefix(string(id), connectionPrefix)
	at := len(rest) - len(accountPrefix) - suffixLength - 1
	if !found || at < 1 || rest[at] != '_' {
		return "", "", false
	}
	addressee, agency = Party(rest[:at]), AccountID(rest[at+1:])
	return addressee, agency, addressee.IsValid() && agency.IsValid()
}
