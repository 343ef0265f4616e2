package agency

import "strings"

// MailboxID identifies the mailbox behind an address: "box_" and 26 characters,
// 128 bits of a hash. All spellings that reach one mailbox have one id. It is for
// limits alone: a person is identified by a PersonID, which tells them apart, and
// neither id can be computed from the other.
type MailboxID string

const mailboxPrefix = "box_"

// IsValid reports whether the id has the form of a mailbox id.
func (id MailboxID) IsValid() bool { return wellFormed(string(id), mailboxPrefix) }

// Mailbox returns the id of the mailbox behind an address: without the tag and, at
// Gmail, without the dots of the local part, which it ignores.
func Mailbox(address string) MailboxID {
	address = Untagged(address)
	local, domain, _ := cutAddress(address)
	if domain == "gmail.com" || domain == "googlemail.com" {
		if plain := strings.ReplaceAll(local, ".", ""); plain != "" {
			local = plain
		}
		address = local + "@gmail.com"
	}
	return MailboxID(mailboxPrefix + digest("mailbox", address))
}

// Untagged returns the normalised address without its tag: the part of the local
// part from the first plus sign on. A local part that begins with a plus sign has no
// tag.
func Untagged(address string) string {
	address = NormaliseEmail(address)
	local, domain, ok := cutAddress(address)
	if plain, _, _ := strings.Cut(local, "+"); ok && plain != "" {
		return plain + "@" + domain
	}
	return address
}

// cutAddress splits an address at its last "@"; ok is false if it has none.
func cutAddress(address string) (local, domain string, ok bool) {
	at := strings.LastIndexByte(address, '@')
	if at < 0 {
		return "", "", false
	}
	return address[:at], address[at+1:], true
}
