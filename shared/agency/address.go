package agency

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"
)

// The bounds of an address in its ASCII form, in octets (RFC 5321, 4.5.3.1).
const (
	MaxEmail = 254
	maxLocal = 64
	maxLabel = 63
)

// The refusals of an address, each a sentence for the person who typed it.
const (
	badForm          = "Give an email address, such as ann@example.com."
	hiddenCharacter  = "The address contains an invisible character. Type it again by hand instead of pasting it."
	unmailableLocal  = "We can't send email to this address. Give one with only English letters, digits and signs before the @."
	unmailableDomain = "We can't send email to this address. Check the part after the @: it's a domain such as example.com."
	addressTooLong   = "The address is too long. It has at most 64 characters before the @ and 254 in all."
)

// domains maps and checks domains as UTS 46 does for lookup: non-transitional, with
// STD3, the joiner rules and the Bidi rule. Spellings that it maps to one, such as
// capitals, fullwidth letters, K (KELVIN SIGN) and 。 for a dot, are one domain in DNS,
// so the same mailbox. ß and ss are two domains. Hyphens are checked by isHostname:
// labels such as "r3---a" are in use.
var domains = idna.New(idna.MapForLookup(), idna.Transitional(false), idna.BidiRule(), idna.CheckHyphens(false))

// ParseEmail checks an address and returns its normal form, in which it is stored,
// compared and mailed. That is ASCII:
//
//   - Spaces around it are cut off. It has one "@", which is ASCII.
//   - The local part is a dot-atom (RFC 5322, 3.2.3) of 1 to 64 octets, in lower case.
//     Nothing but ASCII is mapped: İ and K are refused, not read as i and k. SES
//     takes no other local part.
//   - The domain is mapped and encoded by IDNA (UTS 46). It has two or more labels of
//     letters, digits and hyphens, 1 to 63 octets each, and no trailing dot. The last
//     label isn't a number.
//   - 254 octets in all.
//
// The error is one of field, with a sentence that says why.
func ParseEmail(field, given string) (string, error) {
	email, refusal := parseAddress(given)
	if refusal != "" {
		return "", InvalidField(field, "%s", refusal)
	}
	return email, nil
}

// NormaliseEmail returns an address as ParseEmail does, and "" for what ParseEmail
// refuses. A second call changes nothing.
func NormaliseEmail(address string) string {
	email, _ := parseAddress(address)
	return email
}

// parseAddress returns the normal form of an address, or why there is none.
func parseAddress(given string) (email, refusal string) {
	given = strings.TrimSpace(given)
	local, domain, _ := strings.Cut(given, "@")
	switch {
	case strings.ContainsFunc(local, isHidden), strings.ContainsFunc(domain, isHiddenInDomain):
		return "", hiddenCharacter
	case !utf8.ValidString(given), local == "", domain == "", strings.Contains(domain, "@"), strings.ContainsFunc(given, unicode.IsSpace):
		return "", badForm
	case !isASCII(local):
		return "", unmailableLocal
	case !isDotAtom(local):
		return "", badForm
	}
	host, ok := asciiDomain(domain)
	if email = lowerASCII(local) + "@" + host; !ok {
		if strings.ContainsFunc(domain, isHidden) {
			return "", hiddenCharacter
		}
		return "", unmailableDomain
	}
	if len(local) > maxLocal || len(email) > MaxEmail {
		return "", addressTooLong
	}
	return email, ""
}

// asciiDomain returns the ASCII form of a domain, and reports whether it has one.
func asciiDomain(given string) (string, bool) {
	host := lowerASCII(given)
	if isASCII(host) && !strings.Contains(host, acePrefix) {
		// IDNA changes no such domain.
		return host, isHostname(host)
	}
	// UTS 46 mapped ẞ to ss before version 15.1, and maps it to ß since. Between Unicode
	// 15.0 and 17.0, the tables of idna, it is the only one that changes its domain.
	if strings.Contains(host, "ẞ") || hasMixedACE(host) {
		return "", false
	}
	host, err := domains.ToASCII(host)
	if err != nil || !isHostname(host) {
		return "", false
	}
	// The form must be one that maps to itself, and hyphens must be right in both.
	shown, err := domains.ToUnicode(host)
	if err != nil {
		return "", false
	}
	for label := range strings.SplitSeq(shown, ".") {
		if label == "" || label[0] == '-' || label[len(label)-1] == '-' {
			return "", false
		}
	}
	again, err := domains.ToASCII(shown)
	return host, err == nil && again == host
}

// hasMixedACE reports whether a label has the prefix of an encoded one and yet letters
// that aren't ASCII, which idna decodes as if they were (RFC 3492, 6.2 refuses them).
func hasMixedACE(domain string) bool {
	isDot := func(r rune) bool { return r == '.' || r == '。' }
	for label := range strings.FieldsFuncSeq(lowerASCII(norm.NFKC.String(domain)), isDot) {
		if strings.HasPrefix(label, acePrefix) && !isASCII(label) {
			return true
		}
	}
	return false
}

// acePrefix begins a label that IDNA has encoded (RFC 5890, 2.3.2.1).
const acePrefix = "xn--"

// isHostname reports whether a domain in ASCII has two or more labels of letters in
// lower case, digits and hyphens (RFC 1123, 2.1), and can be no IPv4 address.
func isHostname(domain string) bool {
	labels := strings.Split(domain, ".")
	for _, label := range labels {
		if label == "" || len(label) > maxLabel || label[0] == '-' || label[len(label)-1] == '-' ||
			strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return false
		}
	}
	return len(labels) > 1 && strings.Trim(labels[len(labels)-1], "0123456789") != ""
}

// isDotAtom reports whether a local part is atoms with single dots between them
// (RFC 5322, 3.2.3).
func isDotAtom(local string) bool {
	for atom := range strings.SplitSeq(local, ".") {
		if atom == "" || strings.ContainsFunc(atom, func(r rune) bool {
			return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && !strings.ContainsRune("!#$%&'*+-/=?^_`{|}~", r)
		}) {
			return false
		}
	}
	return true
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r > unicode.MaxASCII })
}

// lowerASCII returns a text with its ASCII letters in lower case. strings.ToLower also
// maps other letters to ASCII ones.
func lowerASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

// isHidden reports whether a character can't be seen in an address: it isn't a space,
// and has no shape or changes only its neighbours.
func isHidden(r rune) bool {
	return !unicode.IsSpace(r) && unicode.IsControl(r) || r == '\u2800' /* BRAILLE PATTERN BLANK */ ||
		unicode.In(r, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

// isHiddenInDomain is isHidden without the joiners U+200C and U+200D, which IDNA allows
// where a script needs them (RFC 5892, A.1 and A.2).
func isHiddenInDomain(r rune) bool { return r != '\u200c' && r != '\u200d' && isHidden(r) }

// DisplayEmail returns an address in normal form as people read it: its domain in
// Unicode. ParseEmail of the result gives the address again. The domain stays in ASCII
// if its Unicode form can be taken for another one: see isPlainDomain.
func DisplayEmail(email string) string {
	local, domain, ok := strings.Cut(email, "@")
	if !ok || !strings.Contains(domain, acePrefix) {
		return email
	}
	shown, err := domains.ToUnicode(domain)
	if err != nil || !isPlainDomain(shown) || NormaliseEmail(local+"@"+shown) != email {
		return email
	}
	return local + "@" + shown
}

// isPlainDomain reports whether a domain in Unicode is safe to show:
//
//   - Each label has only letters, their marks, digits and hyphens. Symbols can look like
//     a slash or a dot, joiners are not seen, and some letters look like signs.
//   - Its letters are of one script, or of a set that UTS 39 calls highly restrictive.
//   - No mark stands apart on a Latin, Greek or Cyrillic letter, such as on an i, where it
//     can't be seen.
//   - It isn't one that can be read as an ASCII one: see isLikeASCII. Below a top-level
//     domain in another script, only labels with Latin letters are held to that.
func isPlainDomain(domain string) bool {
	labels := strings.Split(domain, ".")
	isForeign := !isASCII(labels[len(labels)-1])
	for _, label := range labels {
		before := '-'
		for _, r := range label {
			isMark := unicode.Is(unicode.M, r)
			if r != '-' && !isMark && !unicode.In(r, unicode.L, unicode.Nd) || isLikeSign(r) ||
				isMark && unicode.In(before, unicode.Latin, unicode.Greek, unicode.Cyrillic) {
				return false
			}
			before = r
		}
		if !isOneScript(label) || isLikeASCII(label) && (!isForeign || strings.ContainsFunc(label, isLatin)) {
			return false
		}
	}
	return true
}

// isLikeSign reports whether a letter looks like a sign: a click of African languages,
// such as ǃ, a saltillo, or one of the Spacing Modifier Letters, such as ʼ.
func isLikeSign(r rune) bool {
	return r >= '\u01c0' && r <= '\u01c3' || r >= '\u02b0' && r <= '\u02ff' || r == '\ua78b' || r == '\ua78c'
}

func isLatin(r rune) bool { return unicode.Is(unicode.Latin, r) }

// isLikeASCII reports whether a label isn't ASCII, and each of its letters is or looks
// like one in ASCII (UTS #39).
func isLikeASCII(label string) bool {
	// Letters of many languages, which their readers tell apart from ASCII ones.
	const apart = "ßæœøłđðþħŋŧ"
	return !isASCII(label) && !strings.ContainsFunc(label, func(r rune) bool {
		if r <= unicode.MaxASCII || !unicode.IsLetter(r) || r == 'ω' {
			return false
		}
		_, isListed := lookalikes[r]
		_, isCapital := capitalLike(r)
		return !isListed && !isCapital || strings.ContainsRune(apart, r)
	})
}

// scriptSets are the scripts that UTS 39, 5.2 allows side by side.
var scriptSets = [][]*unicode.RangeTable{
	{unicode.Latin, unicode.Han, unicode.Hiragana, unicode.Katakana},
	{unicode.Latin, unicode.Han, unicode.Bopomofo},
	{unicode.Latin, unicode.Han, unicode.Hangul},
}

// isOneScript reports whether the letters of a label are of one script or of one of
// scriptSets. Characters that scripts share count for none.
func isOneScript(label string) bool {
	ofNone := func(set ...*unicode.RangeTable) func(rune) bool {
		return func(r rune) bool { return !unicode.In(r, unicode.Common, unicode.Inherited) && !unicode.In(r, set...) }
	}
	for _, set := range scriptSets {
		if !strings.ContainsFunc(label, ofNone(set...)) {
			return true
		}
	}
	for _, script := range unicode.Scripts {
		if !strings.ContainsFunc(label, ofNone(script)) {
			return true
		}
	}
	return false
}
