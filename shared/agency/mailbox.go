package agency

import (
	"hash/fnv"
	"strings"
	"time"
)

// MailboxID identifies the mailbox behind an address: "box_" and 26 characters,
// 128 bits of a hash. All spellings that reach one mailbox have one id. It is for
// limits alone: a person is identified by a PersonID, which tells them apart, and
// neither id can be computed from the other.
type MailboxID string

const mailboxPrefix = "box_"

// IsValid reports whether the id has the form of a mailbox id.
func (id MailboxID) IsValid() bool { return wellFormed(string(id), mailboxPrefix) }

// Mailbox returns the id of the mailbox behind an address: without the tag and, at
// Gmail, without the dots of the local part, which it ignores. What ParseEmail refuses
// has none: "".
func Mailbox(address string) MailboxID {
	address = Untagged(address)
	local, domain, ok := strings.Cut(address, "@")
	if !ok {
		return ""
	}
	if domain == "gmail.com" || domain == "googlemail.com" {
		address = strings.ReplaceAll(local, ".", "") + "@gmail.com"
	}
	return MailboxID(mailboxPrefix + digest("mailbox", address))
}

// Untagged returns the normal form of an address without its tag: the part of the local
// part from the first plus sign on, with the dots before it. A local part that begins
// with a plus sign has no tag. What ParseEmail refuses gives "".
func Untagged(address string) string {
	address = NormaliseEmail(address)
	local, domain, _ := strings.Cut(address, "@")
	plain, _, tagged := strings.Cut(local, "+")
	if !tagged || plain == "" {
		return address
	}
	return strings.TrimRight(plain, ".") + "@" + domain
}

// MailLimits bounds the unsolicited emails to a mailbox of a UTC day.
type MailLimits struct {
	// All are those to the mailbox, and NeverSignedIn are those while its person
	// has never signed in.
	All, NeverSignedIn int
	// BySender are those that one person causes, and ByAccount those for one account.
	BySender, ByAccount int
}

// DigestDue returns when the digest of a mailbox goes out, for a first email that is
// held at an instant.
func (r Rules) DigestDue(box MailboxID, held time.Time) time.Time {
	due := held.UTC().Truncate(24*time.Hour).AddDate(0, 0, 1).Add(r.DigestAt)
	if r.DigestAfter > 0 {
		due = held.Add(r.DigestAfter)
	}
	if r.DigestSpread <= 0 {
		return due
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(box)) // a hash never fails
	return due.Add(time.Duration(h.Sum64() % uint64(r.DigestSpread)).Truncate(time.Millisecond))
}
