package agency

import (
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// The bounds of names and messages in characters: as they are stored, and as they are
// typed. A letter that is stored as one character is up to four in NFD.
const (
	MaxName    = 80
	MaxMessage = 500

	MaxTypedName    = 4 * MaxName
	MaxTypedMessage = 4 * MaxMessage
)

// ParseName checks the name of an account, of any script: see README, Names and
// messages. It returns the name in NFC, with single blanks and without what is
// invisible. Errors: Invalid, whose sentence says what the name has and where.
func (r Rules) ParseName(field, given string) (string, error) {
	name, err := parseText(field, "name", given, MaxTypedName, MaxName, false)
	switch {
	case err != nil:
		return "", err
	case !strings.ContainsFunc(name, isVisible):
		return "", InvalidField(field, "Give it a name.")
	case isTakenFor(name, r.Product):
		return "", InvalidField(field, "This name could be taken for %s itself. Choose another one.", r.Product)
	}
	return name, nil
}

// SameName reports whether two texts, as they were typed, are the same name. What is
// invisible does not count.
func SameName(a, b string) bool { return visible(a) == visible(b) }

// ParseMessage checks the message of a request: a text as ParseName takes it, which can
// be empty and whose line breaks become blanks. Errors: Invalid.
func ParseMessage(field, given string) (string, error) {
	return parseText(field, "message", given, MaxTypedMessage, MaxMessage, true)
}

// parseText checks a text of at most typed characters, and at most limit once it is plain.
func parseText(field, noun, given string, typed, limit int, isMultiline bool) (string, error) {
	tooLong := InvalidField(field, "A %s has at most %d characters.", noun, limit)
	if utf8.RuneCountInString(given) > typed {
		return "", tooLong
	}
	if why, at, found := findFlaw(given, isMultiline); found {
		return "", why.refusal(field, noun, given[:at])
	}
	text := plain(given)
	if why, at, found := findMarks(text); found {
		return "", why.refusal(field, noun, text[:at])
	}
	if at := encodedWord.FindStringIndex(text); at != nil {
		return "", encodedText.refusal(field, noun, text[:at[0]])
	}
	if utf8.RuneCountInString(text) > limit {
		return "", tooLong
	}
	return text, nil
}

// encodedWord is how an encoded word begins (RFC 2047), in any charset and also without
// its end: mail readers decode it in a subject.
var encodedWord = regexp.MustCompile(`(?i)=\?[^?]*\?\s*[bq]\s*\?`)

// PlainText returns a text as it can be shown on one line, whatever was stored: without
// what ParseName refuses or strips.
func PlainText(s string) string { return plain(s) }

// visible returns a text without its invisible characters.
func visible(s string) string {
	return norm.NFC.String(strings.Map(func(r rune) rune {
		if as, _ := treat(r); as == contextual {
			return -1
		}
		return r
	}, plain(s)))
}

// maxUntilYears bounds how far ahead an end date may be.
const maxUntilYears = 100

// ParseUntil checks an end date and returns it in UTC and whole milliseconds; nil
// for none.
func ParseUntil(given *time.Time, now time.Time) (*time.Time, error) {
	if given == nil {
		return nil, nil
	}
	until := given.UTC().Truncate(time.Millisecond)
	switch {
	case !until.After(now):
		return nil, InvalidField("until", "The end date must lie ahead.")
	case until.After(now.AddDate(maxUntilYears, 0, 0)):
		return nil, InvalidField("until", "The end date must lie within %d years. Leave it out for access without an end.", maxUntilYears)
	}
	return &until, nil
}

// Money is an amount in minor units of a currency as a person reads it, such as
// "29 USD" or "29.50 USD". Most currencies have two decimals.
func Money(amount int, currency string) string {
	decimals, unit := 2, 100
	switch currency {
	case "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF":
		decimals, unit = 0, 1
	case "BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND":
		decimals, unit = 3, 1000
	}
	if amount%unit == 0 {
		return fmt.Sprintf("%d %s", amount/unit, currency)
	}
	return fmt.Sprintf("%d.%0*d %s", amount/unit, decimals, amount%unit, currency)
}

// Fold returns a name as it is ordered and searched: in NFC, in lower case, without
// what is invisible.
func Fold(name string) string { return strings.ToLower(visible(name)) }
